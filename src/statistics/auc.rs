//! Area under the ROC curve of weighted samples.

use serde::{Deserialize, Serialize};

/// An area under the curve and its statistical error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auc {
    /// Probability that a target event scores above a source event (ties half).
    pub value: f64,
    /// Standard error, from the events' placements.
    pub error: f64,
}

/// AUC of scores, source against target, with weights.
///
/// Negative weights enter sums and placements as they are. The error is the
/// weighted form of DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988)
/// 837): with placement v of each event (fraction of the other class on its
/// side), var = sum w^2 (v - AUC)^2 / (sum w)^2 for each class, added. None if a
/// class has no positive sum of weights or a score is not finite.
pub(crate) fn auc(source: &[(f64, f64)], target: &[(f64, f64)]) -> Option<Auc> {
    let sum = |class: &[(f64, f64)]| class.iter().map(|(_, w)| w).sum::<f64>();
    let (total_source, total_target) = (sum(source), sum(target));
    let finite = |class: &[(f64, f64)]| class.iter().all(|(s, w)| s.is_finite() && w.is_finite());
    if !(total_source > 0.0 && total_target > 0.0 && finite(source) && finite(target)) {
        return None;
    }
    let below_target = placements(target, source, total_source);
    let value = target
        .iter()
        .zip(&below_target)
        .map(|((_, w), v)| w * v)
        .sum::<f64>()
        / total_target;
    let above_source: Vec<f64> = placements(source, target, total_target)
        .into_iter()
        .map(|below| 1.0 - below)
        .collect();
    let variance = |class: &[(f64, f64)], placement: &[f64], total: f64| {
        class
            .iter()
            .zip(placement)
            .map(|((_, w), v)| (w * (v - value) / total).powi(2))
            .sum::<f64>()
    };
    let variance = variance(source, &above_source, total_source)
        + variance(target, &below_target, total_target);
    Some(Auc {
        value,
        error: variance.sqrt(),
    })
}

/// Weight fraction of `others` that scores below each event (ties half).
fn placements(events: &[(f64, f64)], others: &[(f64, f64)], total: f64) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut cumulative = Vec::with_capacity(sorted.len() + 1);
    cumulative.push(0.0);
    for (_, w) in &sorted {
        cumulative.push(cumulative[cumulative.len() - 1] + w);
    }
    events
        .iter()
        .map(|(score, _)| {
            let below = sorted.partition_point(|o| o.0 < *score);
            let through = sorted.partition_point(|o| o.0 <= *score);
            0.5 * (cumulative[below] + cumulative[through]) / total
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    #[test]
    fn small_case_by_hand() {
        let a = auc(&[(0.1, 1.0), (0.4, 1.0)], &[(0.35, 1.0), (0.8, 1.0)]).unwrap();
        assert_eq!(a.value, 0.75);
        let weighted = auc(&[(0.1, 3.0), (0.4, 1.0)], &[(0.35, 1.0), (0.8, 1.0)]).unwrap();
        assert_eq!(weighted.value, (0.75 + 1.0) / 2.0);
        assert_eq!(auc(&[(1.0, 1.0)], &[(1.0, 2.0)]).unwrap().value, 0.5);
        assert_eq!(auc(&[], &[(1.0, 1.0)]), None);
        assert_eq!(auc(&[(f64::NAN, 1.0)], &[(1.0, 1.0)]), None);
    }

    #[test]
    fn the_error_is_that_of_repeated_samples() {
        let mut values = Vec::new();
        let mut errors = Vec::new();
        for toy in 0..300 {
            let mut stream = Key::from_seed(toy).stream();
            let mut draw = |n: usize, shift: f64| -> Vec<(f64, f64)> {
                (0..n)
                    .map(|_| (stream.uniform() + shift, 0.5 + stream.uniform()))
                    .collect()
            };
            let a = auc(&draw(200, 0.0), &draw(150, 0.2)).unwrap();
            values.push(a.value);
            errors.push(a.error);
        }
        let mean = values.iter().sum::<f64>() / 300.0;
        // P(u' + 0.2 > u) = 1 - 0.8^2 / 2
        assert!((mean - 0.68).abs() < 4.0 * errors[0] / 300f64.sqrt());
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 299.0).sqrt();
        let error = errors.iter().sum::<f64>() / 300.0;
        // 300 toys know a width to 4 %
        assert!((error / spread - 1.0).abs() < 0.15, "{error} {spread}");
    }
}
