//! A point of a likelihood.

use crate::Likelihood;

/// A point with the likelihood's derivatives.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fit) struct Place {
    /// The point, `[n]`.
    pub(in crate::fit) point: Vec<f64>,
    /// Negative log-likelihood.
    pub(in crate::fit) value: f64,
    /// Its gradient, `[n]`.
    pub(in crate::fit) gradient: Vec<f64>,
    /// Its Hessian, `[n, n]`.
    pub(in crate::fit) hessian: Vec<f64>,
}

impl Place {
    /// Evaluates a likelihood.
    pub(in crate::fit) fn at(likelihood: &dyn Likelihood, point: Vec<f64>) -> Self {
        let n = point.len();
        let mut place = Self {
            point,
            value: f64::NAN,
            gradient: vec![0.0; n],
            hessian: vec![0.0; n * n],
        };
        place.evaluate(likelihood);
        place
    }

    pub(super) fn evaluate(&mut self, likelihood: &dyn Likelihood) {
        self.value = likelihood.hessian(&self.point, &mut self.gradient, &mut self.hessian);
    }

    /// Whether value and derivatives are finite.
    pub(super) fn is_finite(&self) -> bool {
        self.value.is_finite()
            && self.gradient.iter().all(|g| g.is_finite())
            && self.hessian.iter().all(|h| h.is_finite())
    }
}
