//! Calibration of a learned ratio: predicted against observed fraction.

use serde::{Deserialize, Serialize};

/// One bin of a calibration curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationPoint {
    /// Lower edge in the predicted fraction.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Mean predicted fraction r/(1+r) of the bin's events, classes at equal
    /// weight. A perfect model lies on `observed = predicted`.
    pub predicted: f64,
    /// Observed fraction of the target, classes at equal weight.
    pub observed: f64,
    /// Statistical error of the observed fraction.
    pub error: f64,
}

/// Calibration curve of r(x) = p_t/p_s in at most `bins` bins of equal content.
///
/// `source`, `target`: (log r, weight). Each class is scaled to unit sum, so
/// that a perfect r predicts the fraction s = r/(1+r). The error propagates the
/// weighted counts of both classes. Bins in which a class's sum is not positive
/// are left out.
#[must_use]
pub(crate) fn calibration(
    source: &[(f64, f64)],
    target: &[(f64, f64)],
    bins: usize,
) -> Vec<CalibrationPoint> {
    let of = |list: &[(f64, f64)], class: usize| -> Vec<(f64, [f64; 2])> {
        let both = |w: f64| if class == 0 { [w, 0.0] } else { [0.0, w] };
        list.iter().map(|(log_r, w)| (*log_r, both(*w))).collect()
    };
    let mut events = of(source, 0);
    events.extend(of(target, 1));
    shared_calibration(events, bins)
}

/// [`calibration`] of samples that have events in common: (log r, weights as source and
/// as target). The error knows that they fluctuate together.
#[must_use]
pub(crate) fn shared_calibration(
    mut events: Vec<(f64, [f64; 2])>,
    bins: usize,
) -> Vec<CalibrationPoint> {
    let totals = [0, 1].map(|class| events.iter().map(|(_, w)| w[class]).sum::<f64>());
    if !(totals[0] > 0.0 && totals[1] > 0.0) {
        return Vec::new();
    }
    for (score, weights) in &mut events {
        *score = 1.0 / (1.0 + (-*score).exp());
        *weights = [0, 1].map(|class| weights[class] / totals[class]);
    }
    events.retain(|(s, _)| s.is_finite());
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = events.len().div_ceil(bins.max(1)).max(1);
    events.chunks(size).filter_map(point).collect()
}

fn point(chunk: &[(f64, [f64; 2])]) -> Option<CalibrationPoint> {
    let sum = [0, 1].map(|class| chunk.iter().map(|(_, w)| w[class]).sum::<f64>());
    if !(sum[0] > 0.0 && sum[1] > 0.0) {
        return None;
    }
    let all = sum[0] + sum[1];
    let predicted: f64 = chunk.iter().map(|(s, w)| s * (w[0] + w[1])).sum();
    let variance: f64 = chunk
        .iter()
        .map(|(_, w)| (sum[0] * w[1] - sum[1] * w[0]).powi(2))
        .sum();
    Some(CalibrationPoint {
        low: chunk[0].0,
        high: chunk[chunk.len() - 1].0,
        predicted: predicted / all,
        observed: sum[1] / all,
        error: variance.sqrt() / all.powi(2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    /// p_s = 1, p_t = 2x on (0, 1): r = 2x exactly.
    #[test]
    fn a_perfect_ratio_lies_on_the_diagonal_and_a_wrong_one_does_not() {
        let mut stream = Key::from_seed(4).stream();
        let source: Vec<f64> = (0..20_000).map(|_| stream.uniform()).collect();
        let target: Vec<f64> = (0..30_000).map(|_| stream.uniform().sqrt()).collect();
        let curve = |power: f64| {
            let of = |list: &[f64], w: f64| -> Vec<(f64, f64)> {
                list.iter().map(|x| (power * (2.0 * x).ln(), w)).collect()
            };
            calibration(&of(&source, 0.5), &of(&target, 3.0), 20)
        };
        let pull2 = |points: &[CalibrationPoint]| {
            points
                .iter()
                .map(|p| ((p.observed - p.predicted) / p.error).powi(2))
                .sum::<f64>()
        };
        let good = curve(1.0);
        assert_eq!(good.len(), 20);
        // chi2 of 20: below 45 but for one seed in 1000
        assert!(pull2(&good) < 45.0, "{}", pull2(&good));
        assert!(pull2(&curve(0.8)) > 200.0);
    }
}
