//! The loss of a density ratio on the events of both classes.

/// Mean loss at equal weight of both classes, and its statistical error, of pairs of log r and
/// weight. `loss`: of an event of the source by its log r, of one of the target by its
/// negative.
pub(crate) fn class_loss(classes: [&[(f64, f64)]; 2], loss: impl Fn(f64) -> f64) -> [f64; 2] {
    let (mut value, mut variance) = (0.0, 0.0);
    for (class, sign) in classes.into_iter().zip([1.0, -1.0]) {
        let total: f64 = class.iter().map(|(_, w)| w).sum();
        let mean = class.iter().map(|(l, w)| w * loss(sign * l)).sum::<f64>() / total;
        let squares = class
            .iter()
            .map(|(l, w)| (w * (loss(sign * l) - mean)).powi(2));
        let square: f64 = squares.sum();
        value += 0.5 * mean;
        variance += 0.25 * square / (total * total);
    }
    [value, variance.sqrt()]
}

/// Cross-entropy of an event of the source by its log r.
pub(crate) fn cross_entropy(log_r: f64) -> f64 {
    log_r.max(0.0) + (-log_r.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_what_knows_nothing_is_ln_2() {
        let class = [(0.0, 1.0), (0.0, 3.0)];
        let [value, error] = class_loss([&class, &class], cross_entropy);
        assert!((value - std::f64::consts::LN_2).abs() < 1e-15 && error == 0.0);
        // far on the right side costs nothing, on the wrong side its distance
        let [right, wrong] = [(-30.0, 30.0), (30.0, -30.0)].map(|(s, t)| {
            let [value, _] = class_loss([&[(s, 1.0)], &[(t, 2.0)]], cross_entropy);
            value
        });
        assert!(right < 1e-12 && (wrong - 30.0).abs() < 1e-9);
    }
}
