//! A point with the likelihood's derivatives.

use super::super::super::Likelihood;
use super::super::matrix::{dot, length};
use super::step::Workspace;

/// Calls of a likelihood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluations {
    /// Values with gradients.
    pub gradients: u64,
    /// Values with gradients and Hessians.
    pub hessians: u64,
}

impl std::ops::AddAssign for Evaluations {
    fn add_assign(&mut self, other: Self) {
        self.gradients += other.gradients;
        self.hessians += other.hessians;
    }
}

/// A point with the likelihood's derivatives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// The point, `[n]`.
    pub point: Vec<f64>,
    /// Negative log-likelihood.
    pub value: f64,
    /// Its gradient, `[n]`.
    pub gradient: Vec<f64>,
    /// Its Hessian, `[n, n]`.
    pub hessian: Vec<f64>,
}

impl Place {
    /// Evaluates a likelihood.
    pub(crate) fn at(likelihood: &dyn Likelihood, point: Vec<f64>) -> Self {
        let n = point.len();
        let mut place = Self {
            point,
            value: f64::NAN,
            gradient: vec![0.0; n],
            hessian: vec![0.0; n * n],
        };
        place.evaluate(likelihood, true);
        place
    }

    /// Evaluates a likelihood; its Hessian only if `second`.
    pub(super) fn evaluate(&mut self, likelihood: &dyn Likelihood, second: bool) {
        self.value = if second {
            likelihood.hessian(&self.point, &mut self.gradient, &mut self.hessian)
        } else {
            likelihood.gradient(&self.point, &mut self.gradient)
        };
    }

    /// Whether value and derivatives are finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.value.is_finite()
            && self.gradient.iter().all(|g| g.is_finite())
            && self.hessian.iter().all(|h| h.is_finite())
    }
}

/// BFGS update of the Hessian from `old` to `new`; left as it is where the
/// gradient says that the curvature along the step is not positive.
pub(super) fn update(old: &Place, new: &mut Place, work: &mut Workspace) {
    let n = old.point.len();
    let (step, change, bent) = (&mut work.step, &mut work.change, &mut work.bent);
    for i in 0..n {
        step[i] = new.point[i] - old.point[i];
        change[i] = new.gradient[i] - old.gradient[i];
    }
    for (bent, row) in bent.iter_mut().zip(old.hessian.chunks_exact(n)) {
        *bent = dot(row, step);
    }
    let expected = dot(bent, step);
    let found = dot(change, step);
    if !(expected > 0.0 && found > 1e-3 * expected && length(step) > 0.0) {
        return;
    }
    for i in 0..n {
        for j in 0..n {
            new.hessian[i * n + j] += change[i] * change[j] / found - bent[i] * bent[j] / expected;
        }
    }
}
