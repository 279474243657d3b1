//! What a prediction leaves where its target is known, beyond all other errors.

/// Observed events of a channel below which it tells nothing.
pub(crate) const FEW_OBSERVED: f64 = 10.0;

/// A bin in which a prediction is compared with what was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Known {
    pub observed: f64,
    /// Sum of the squared weights of the observed events.
    pub observed_variance: f64,
    pub predicted: f64,
    /// Variance of the prediction by all that is known beside.
    pub predicted_variance: f64,
}

/// Relative deviations of a channel's bins, signed as observed over predicted less one, of which
/// the square of what the errors explain is taken away; smoothed by the mean over `smooth` bins
/// about each, of as many as there are. Zero where nothing is predicted. None with fewer than
/// [`FEW_OBSERVED`] observed events.
pub(crate) fn deviations(bins: &[Known], smooth: usize) -> Option<Vec<f64>> {
    let observed: f64 = bins.iter().map(|bin| bin.observed).sum();
    if observed < FEW_OBSERVED {
        return None;
    }
    let of_bin = |bin: &Known| {
        if bin.predicted <= 0.0 {
            return 0.0;
        }
        let deviation = bin.observed / bin.predicted - 1.0;
        // nothing observed has the counting error of what is predicted
        let counting = match bin.observed_variance > 0.0 {
            true => bin.observed_variance,
            false => bin.predicted,
        };
        let variance = (counting + bin.predicted_variance) / bin.predicted.powi(2);
        let beyond = deviation * deviation - variance;
        match beyond > 0.0 {
            true => beyond.sqrt().copysign(deviation),
            false => 0.0,
        }
    };
    let raw: Vec<f64> = bins.iter().map(of_bin).collect();
    let half = smooth / 2;
    let mean = |bin: usize| {
        let window = &raw[bin.saturating_sub(half)..(bin + half + 1).min(raw.len())];
        window.iter().sum::<f64>() / window.len() as f64
    };
    Some((0..raw.len()).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(observed: f64, predicted: f64, predicted_variance: f64) -> Known {
        Known {
            observed,
            observed_variance: observed,
            predicted,
            predicted_variance,
        }
    }

    #[test]
    fn what_errors_explain_is_taken_away() {
        // 20 % off: 0.04 less (120 + 80) / 1e4 = 0.02
        let found = deviations(&[bin(120.0, 100.0, 80.0)], 1).unwrap();
        assert!((found[0] - 0.02_f64.sqrt()).abs() < 1e-12);
        let below = deviations(&[bin(60.0, 100.0, 0.0)], 1).unwrap();
        assert!((below[0] + (0.16_f64 - 0.006).sqrt()).abs() < 1e-12);
        assert_eq!(deviations(&[bin(105.0, 100.0, 0.0)], 1).unwrap(), [0.0]);
        assert_eq!(deviations(&[bin(105.0, 0.0, 0.0)], 1).unwrap(), [0.0]);
        // no event where half of one is predicted is no deviation of the whole of it
        let none = [bin(20.0, 20.0, 0.0), bin(0.0, 0.5, 0.0)];
        assert_eq!(deviations(&none, 1).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn deviations_are_smoothed_inside_a_channel() {
        let off = bin(400.0, 200.0, 0.0);
        let none = bin(200.0, 200.0, 0.0);
        let alone = deviations(&[off], 1).unwrap()[0];
        let found = deviations(&[none, off, none, none], 3).unwrap();
        let expected = [alone / 2.0, alone / 3.0, alone / 3.0, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn few_events_tell_nothing() {
        assert_eq!(
            deviations(&[bin(5.0, 1.0, 0.0), bin(4.0, 1.0, 0.0)], 3),
            None
        );
    }
}
