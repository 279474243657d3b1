//! Poisson counts, in bins and auxiliary.

use crate::model::Term;

/// An auxiliary count `a ~ Poisson(gamma tau)` that measures the parameter
/// `gamma`, as HistFactory has it for `shapesys`: `tau = (nominal / error)^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonConstraint {
    /// Place of the parameter in the model.
    pub parameter: usize,
    /// Expected count at `gamma = 1`; positive.
    pub tau: f64,
    /// The count; need not be an integer.
    pub observed: f64,
}

impl PoissonConstraint {
    /// Where the auxiliary count is what is expected: exactly 1 if the count is `tau`.
    fn centre(&self) -> f64 {
        self.observed / self.tau
    }
}

/// The value is half the deviance; infinite for `gamma` below zero.
///
/// `tau` may be 1e11 and more, where `gamma` is known to 1e-6: all differences are those of
/// `gamma`, so that nothing of the size of `tau` cancels.
impl Term for PoissonConstraint {
    fn value(&self, at: &[f64]) -> f64 {
        let (gamma, n) = (at[self.parameter], self.observed);
        if n > 0.0 && gamma > 0.0 && gamma.is_finite() {
            let centre = self.centre();
            n * excess((gamma - centre) / centre)
        } else {
            half_deviance(n, self.tau * gamma)
        }
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let gamma = at[self.parameter];
        gradient[self.parameter] += if self.observed > 0.0 {
            self.tau * (gamma - self.centre()) / gamma
        } else {
            self.tau
        };
        self.value(at)
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let gamma = at[self.parameter];
        if self.observed > 0.0 {
            hessian[self.parameter * (at.len() + 1)] += self.observed / (gamma * gamma);
        }
        self.gradient(at, gradient)
    }

    fn is_linear_in(&self, _parameter: usize) -> bool {
        true
    }

    fn auxiliary_slope(&self, parameter: usize, at: &[f64]) -> Option<f64> {
        (parameter == self.parameter).then(|| self.observed.sqrt() / at[parameter])
    }

    fn impossible(&self, at: &[f64]) -> Option<String> {
        let (gamma, n) = (at[self.parameter], self.observed);
        (!self.value(at).is_finite()).then(|| {
            format!(
                "an auxiliary count of {n} where {} are expected",
                self.tau * gamma
            )
        })
    }
}

/// `-log` of a Poisson probability of `n` at mean `lambda`, less its value at
/// `lambda = n`: half the deviance. Infinite where the mean is impossible.
pub(super) fn half_deviance(n: f64, lambda: f64) -> f64 {
    if n == 0.0 && lambda >= 0.0 {
        lambda
    } else if lambda > 2.0 * n && lambda.is_finite() {
        // nothing cancels here, and the quotient of both may be no number
        lambda - n + n * (n / lambda).ln()
    } else if lambda > 0.0 && lambda.is_finite() {
        n * excess((lambda - n) / n)
    } else {
        f64::INFINITY
    }
}

/// Below this the logarithm is taken by its series.
const SMALL: f64 = 1e-3;

/// `d - ln(1 + d)` for `d > -1`: about `d^2 / 2`, without the cancellation of both.
pub(crate) fn excess(d: f64) -> f64 {
    if d.abs() >= SMALL {
        return d - d.ln_1p();
    }
    // what is left out is 1e-18 of it
    let coefficients = [
        1.0 / 7.0,
        1.0 / 6.0,
        1.0 / 5.0,
        1.0 / 4.0,
        1.0 / 3.0,
        1.0 / 2.0,
    ];
    d * d * coefficients.iter().fold(0.0, |sum, c| c - d * sum)
}

/// From here on Stirling's series is exact to rounding.
pub(crate) const STIRLING: f64 = 16.0;

/// `ln n! - ln(sqrt(2 pi n) (n / e)^n)` for `n` of at least [`STIRLING`], by Stirling's series.
pub(crate) fn stirling(n: f64) -> f64 {
    let square = n * n;
    let series = [
        1.0 / 1188.0,
        1.0 / 1680.0,
        1.0 / 1260.0,
        1.0 / 360.0,
        1.0 / 12.0,
    ];
    series.iter().fold(0.0, |sum, c| c - sum / square) / n
}

/// `-log` of the Poisson probability (by the gamma function if `n` is no integer)
/// of `n` at mean `n`: what [`half_deviance`] leaves out.
pub(super) fn saturated(n: f64) -> f64 {
    if n >= STIRLING {
        return 0.5 * (std::f64::consts::TAU * n).ln() + stirling(n);
    }
    let power = if n > 0.0 { n * n.ln() } else { 0.0 };
    n - power + statrs::function::gamma::ln_gamma(n + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;

    #[test]
    fn half_deviance_is_the_logarithm_where_that_can_be_had() {
        for (n, lambda) in [(3.0, 4.5_f64), (100.0, 80.0), (0.5, 7.0), (1e4, 1.02e4)] {
            let plain = lambda - n + n * (n / lambda).ln();
            assert_near(half_deviance(n, lambda) / plain, 1.0, 1e-11);
        }
        assert_eq!(half_deviance(0.0, 2.5), 2.5);
        assert_eq!(half_deviance(0.0, 0.0), 0.0);
        assert_eq!(half_deviance(5.0, 5.0), 0.0);
        assert_near(half_deviance(1e-310, 1.5), 1.5, 1e-15);
        for (n, lambda) in [(0.0, -1e-9), (2.0, 0.0), (2.0, -1.0), (2.0, f64::INFINITY)] {
            assert_eq!(half_deviance(n, lambda), f64::INFINITY);
        }
    }

    #[test]
    fn series_and_logarithm_agree_where_one_follows_the_other() {
        for d in [SMALL, -SMALL] {
            // d^2/2 - d^3/3 + ..., twenty terms
            let exact = |d: f64| -> f64 {
                let term = |k: i32| (-d).powi(k) / f64::from(k);
                (2..22).map(term).sum()
            };
            for d in [d * (1.0 - 1e-9), d * (1.0 + 1e-9)] {
                assert_near(excess(d) / exact(d), 1.0, 1e-9);
            }
            assert_near(excess(0.5 * d) / exact(0.5 * d), 1.0, 1e-15);
        }
    }

    #[test]
    fn a_count_of_1e11_is_a_parabola_without_stairs() {
        let tau = 1.8928e11;
        let count = PoissonConstraint {
            parameter: 0,
            tau,
            observed: tau,
        };
        let width = 1.0 / tau.sqrt();
        let value = |z: f64| count.value(&[1.0 + z * width]);
        for z in [-2.0, -0.3, 1e-3, 1.0, 3.0] {
            // gamma is a number of 53 bits: z is known to 2e-16 / width
            assert_near(value(z), 0.5 * z * z, 1e-9 * z.abs() + 1e-5 * z * z);
            let mut gradient = [0.0];
            count.gradient(&[1.0 + z * width], &mut gradient);
            assert_near(gradient[0] * width, z, 1e-9 + 1e-5 * z * z);
        }
        let steps: Vec<f64> = (0..2000).map(|i| value(1e-3 * f64::from(i))).collect();
        assert!(steps.windows(2).all(|w| w[0] < w[1]));
        // a count that is not the expected one, as Asimov data have it
        let observed = tau * (1.0 + 0.5 * width);
        let other = PoissonConstraint { observed, ..count };
        assert_near(other.value(&[1.0]), 0.125, 1e-5);
        assert_near(other.value(&[observed / tau]), 0.0, 1e-20);
    }

    #[test]
    fn saturated_probability_joins_where_the_formula_changes() {
        for n in [STIRLING, 20.5, 1e3, 1e6] {
            let plain = n - n * n.ln() + statrs::function::gamma::ln_gamma(n + 1.0);
            assert_near(saturated(n), plain, 1e-15 * n * n.ln() + 1e-13);
        }
        assert_near(saturated(0.0), 0.0, 1e-14);
        assert_near(saturated(1.0), 1.0, 1e-14);
        // ln(2 pi n) / 2 is all that is left
        assert_near(saturated(1.8928e11), 13.902_185_151_8, 1e-9);
    }
}
