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

/// The value is half the deviance; infinite for `gamma` below zero.
impl Term for PoissonConstraint {
    fn value(&self, at: &[f64]) -> f64 {
        half_deviance(self.observed, self.tau * at[self.parameter])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[self.parameter] += self.tau - self.observed / at[self.parameter];
        self.value(at)
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let gamma = at[self.parameter];
        hessian[self.parameter * (at.len() + 1)] += self.observed / (gamma * gamma);
        self.gradient(at, gradient)
    }
}

/// `-log` of a Poisson probability of `n` at mean `lambda`, less its value at
/// `lambda = n`: half the deviance. Infinite where the mean is impossible.
pub(super) fn half_deviance(n: f64, lambda: f64) -> f64 {
    if n == 0.0 && lambda >= 0.0 {
        lambda
    } else if lambda > 0.0 && lambda.is_finite() {
        lambda - n + n * (n / lambda).ln()
    } else {
        f64::INFINITY
    }
}

/// `-log` of the Poisson probability (by the gamma function if `n` is no integer)
/// of `n` at mean `n`: what [`half_deviance`] leaves out.
pub(super) fn saturated(n: f64) -> f64 {
    let power = if n > 0.0 { n * n.ln() } else { 0.0 };
    n - power + statrs::function::gamma::ln_gamma(n + 1.0)
}
