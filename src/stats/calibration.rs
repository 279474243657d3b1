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
pub fn calibration(
    source: &[(f64, f64)],
    target: &[(f64, f64)],
    bins: usize,
) -> Vec<CalibrationPoint> {
    let total = |class: &[(f64, f64)]| class.iter().map(|(_, w)| w).sum::<f64>();
    let totals = [total(source), total(target)];
    if !(totals[0] > 0.0 && totals[1] > 0.0) {
        return Vec::new();
    }
    let mut events: Vec<(f64, f64, usize)> = [source, target]
        .iter()
        .enumerate()
        .flat_map(|(class, list)| {
            let total = totals[class];
            list.iter()
                .map(move |(log_r, w)| (1.0 / (1.0 + (-log_r).exp()), w / total, class))
        })
        .filter(|(s, ..)| s.is_finite())
        .collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = events.len().div_ceil(bins.max(1)).max(1);
    events
        .chunks(size)
        .filter_map(|chunk| {
            let mut sum = [0.0; 2];
            let mut square = [0.0; 2];
            let mut predicted = 0.0;
            for (s, w, class) in chunk {
                sum[*class] += w;
                square[*class] += w * w;
                predicted += s * w;
            }
            let all = sum[0] + sum[1];
            (sum[0] > 0.0 && sum[1] > 0.0).then(|| CalibrationPoint {
                low: chunk[0].0,
                high: chunk[chunk.len() - 1].0,
                predicted: predicted / all,
                observed: sum[1] / all,
                error: (sum[0].powi(2) * square[1] + sum[1].powi(2) * square[0]).sqrt()
                    / all.powi(2),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_models::random::Key;

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
