//! The auxiliary counting experiment of a scale parameter.

use crate::Term;

use super::{half_deviance, saturated};

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
    /// What the term's value leaves out of the negative logarithm of the
    /// probability: a constant of the count.
    #[must_use]
    pub fn normalisation(&self) -> f64 {
        saturated(self.observed)
    }
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
