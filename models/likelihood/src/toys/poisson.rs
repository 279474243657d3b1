//! Poisson numbers of any mean.

use crate::histogram::{STIRLING, excess, stirling};
use sideband_numerics::random::Stream;

/// Terms below this are not visited: fewer than one number in 2^53 is told apart.
const NEGLIGIBLE: f64 = 1.0 / (1u64 << 60) as f64;

/// From this mean on a number is made of a normal one.
const LARGE: f64 = 1e8;

/// A Poisson number by inversion, from one uniform number with 53 random bits:
/// probabilities are taken off it in the order mode, mode + 1, mode - 1, mode + 2, ...
/// until it is used up, so that a few `sqrt(mean)` terms are visited. Exact up to the
/// rounding of the sum, about 1e-13. 0 for a mean that is not positive. Means of 1e8 and
/// more: as [`poisson_count`].
pub fn poisson(mean: f64, stream: &mut Stream) -> u64 {
    poisson_count(mean, stream) as u64
}

/// As [`poisson`], of any size: auxiliary counts of published workspaces have means of 1e11,
/// and those of others may have any. From a mean of 1e8 on it is the expansion of the
/// quantile about that of a normal number, whose probabilities are right to 1e-9.
pub fn poisson_count(mean: f64, stream: &mut Stream) -> f64 {
    if mean.is_nan() || mean <= 0.0 {
        return 0.0;
    }
    if mean >= LARGE {
        return expanded(mean, stream.normal());
    }
    let mode = mean.floor();
    let at_mode = probability_of_mode(mean, mode);
    let mut left = stream.uniform() - at_mode;
    let (mut above, mut below) = (mode, mode);
    let (mut p_above, mut p_below) = (at_mode, at_mode);
    let mut number = mode;
    while left >= 0.0 && p_above + p_below > NEGLIGIBLE {
        above += 1.0;
        p_above *= mean / above;
        left -= p_above;
        number = above;
        if left >= 0.0 && below > 0.0 {
            p_below *= below / mean;
            below -= 1.0;
            left -= p_below;
            number = below;
        }
    }
    number
}

/// The Poisson number of a large mean at a unit normal number, by the expansion of Cornish and
/// Fisher (1938) up to `1 / sqrt(mean)`.
fn expanded(mean: f64, z: f64) -> f64 {
    let (root, square) = (mean.sqrt(), z * z);
    let skewed = (square - 1.0) / 6.0 + z * (1.0 - square) / (72.0 * root);
    (mean + root * z + skewed).round()
}

/// `exp(-mean) mean^mode / mode!`, from its saddle point where the factorial is large
/// (Loader, "Fast and accurate computation of binomial probabilities", 2000).
fn probability_of_mode(mean: f64, mode: f64) -> f64 {
    if mode < STIRLING {
        let factors = (1..=mode as u32).map(|i| mean / f64::from(i));
        return (-mean).exp() * factors.product::<f64>();
    }
    let away = (mean - mode) / mode;
    let deviance = mode * excess(away);
    (-stirling(mode) - deviance).exp() / (std::f64::consts::TAU * mode).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;
    use sideband_numerics::random::Key;
    use statrs::distribution::{ContinuousCDF, Discrete, DiscreteCDF, Normal, Poisson};

    #[test]
    fn frequencies_are_those_of_the_distribution() {
        let n = 100_000;
        for (which, mean) in [0.05, 0.7, 1.0, 6.5, 40.0, 2000.3].into_iter().enumerate() {
            let expected = Poisson::new(mean).unwrap();
            let mut counts = std::collections::HashMap::<u64, f64>::new();
            let mut stream = Key::from_seed(11).with(which as u64).stream();
            for _ in 0..n {
                *counts.entry(poisson(mean, &mut stream)).or_default() += 1.0;
            }
            let (mut chi2, mut bins) = (0.0, 0.0_f64);
            for k in 0..4000 {
                let expected = f64::from(n) * expected.pmf(k);
                if expected > 20.0 {
                    let found = counts.get(&k).copied().unwrap_or(0.0);
                    chi2 += (found - expected).powi(2) / expected;
                    bins += 1.0;
                }
            }
            assert!(bins >= 3.0);
            // four standard deviations of a chi2 of that many bins
            assert_near(chi2, bins, 4.0 * (2.0 * bins).sqrt() + 4.0);
        }
    }

    #[test]
    fn mean_and_variance_hold_at_a_million() {
        let (n, mean) = (20_000, 1.0e6);
        let mut stream = Key::from_seed(3).stream();
        let pulls: Vec<f64> = (0..n)
            .map(|_| (poisson(mean, &mut stream) as f64 - mean) / mean.sqrt())
            .collect();
        let first = pulls.iter().sum::<f64>() / f64::from(n);
        let second = pulls.iter().map(|p| p * p).sum::<f64>() / f64::from(n);
        // five standard errors
        assert!(first.abs() < 5.0 / f64::from(n).sqrt(), "{first}");
        assert_near(second, 1.0, 5.0 * (2.0 / f64::from(n)).sqrt());
    }

    #[test]
    fn large_numbers_take_no_longer_than_others() {
        let n = 20_000;
        for (which, mean) in [LARGE, 1.9e11, 1e20].into_iter().enumerate() {
            let mut stream = Key::from_seed(5).with(which as u64).stream();
            let pull = |stream: &mut Stream| (poisson_count(mean, stream) - mean) / mean.sqrt();
            let pulls: Vec<f64> = (0..n).map(|_| pull(&mut stream)).collect();
            let first = pulls.iter().sum::<f64>() / f64::from(n);
            let second = pulls.iter().map(|p| p * p).sum::<f64>() / f64::from(n);
            // five standard errors
            assert!(first.abs() < 5.0 / f64::from(n).sqrt(), "{first}");
            assert_near(second, 1.0, 5.0 * (2.0 / f64::from(n)).sqrt());
        }
        // beyond 64 bits, and where a count is less than the rounding of a number
        let mut stream = Key::from_seed(5).stream();
        assert_near(poisson_count(1e99, &mut stream), 1e99, 1e84);
    }

    #[test]
    fn the_expansion_has_the_quantiles_of_the_distribution() {
        let mean = 2000.0;
        let exact = Poisson::new(mean).unwrap();
        for z in [-5.5, -3.1, -1.2, -0.3, 0.0, 0.7, 2.4, 5.0] {
            let (number, below) = (expanded(mean, z) as u64, Normal::standard().cdf(z));
            // right to 1 / mean^1.5 or so
            assert!(exact.cdf(number) > below - 1e-5, "{z}: {number}");
            assert!(exact.cdf(number - 1) < below + 1e-5, "{z}: {number}");
        }
    }

    #[test]
    fn the_probability_of_the_mode_joins_where_the_formula_changes() {
        for mean in [15.9, 16.0, 16.7, 31.2, 150.0] {
            let exact = Poisson::new(mean).unwrap().pmf(mean as u64);
            let found = probability_of_mode(mean, mean.floor());
            assert_near(found / exact, 1.0, 1e-12);
        }
        let mut stream = Key::from_seed(3).stream();
        assert_eq!(poisson(0.0, &mut stream), 0);
        assert_eq!(poisson(f64::NAN, &mut stream), 0);
    }
}
