//! Bounded minimisation of a negative log-likelihood with its exact Hessian.
//!
//! A trust-region Newton method (Nocedal and Wright, Numerical Optimization, 2nd
//! ed., chapters 4 and 16.7): the quadratic model is minimised within a radius and
//! the bounds, parameters on a bound that the gradient pushes against are left
//! out, an indefinite Hessian is followed along its negative curvature, and a
//! point where the likelihood is not finite (a wall) shortens the step.
//!
//! Everything is measured in units of the conditional standard deviations
//! `1 / sqrt(H_ii)`, so that neither tolerance nor radius knows the units of a
//! parameter. A likelihood has two to sixty parameters and a toy study fits it a
//! million times: the usual step costs one small Cholesky factorisation.

mod kinks;
mod place;
mod step;

pub(super) use place::Place;
pub(super) use step::scales;

use super::matrix::dot;
use crate::Likelihood;
use sideband_numerics::minimise::{Bounds, Outcome};
use step::{Model, Step, Workspace, projected};

/// How long and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewtonSettings {
    /// A minimum has a projected gradient below this; its unit is the change of the
    /// negative log-likelihood over one conditional standard deviation. The value
    /// is then about `tolerance^2 / 2` above its minimum.
    pub gradient_tolerance: f64,
    /// Steps.
    pub max_iterations: u64,
    /// First radius, in conditional standard deviations a parameter.
    pub radius: f64,
}

impl Default for NewtonSettings {
    fn default() -> Self {
        Self {
            gradient_tolerance: 1e-6,
            max_iterations: 100,
            radius: 3.0,
        }
    }
}

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

/// Where a descent ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Descent {
    /// The last point.
    pub(super) place: Place,
    /// Largest component of the projected gradient, in the unit of
    /// [`NewtonSettings::gradient_tolerance`].
    pub(super) projected_gradient: f64,
    pub(super) outcome: Outcome,
    /// Steps, taken or not.
    pub(super) iterations: u64,
    /// Calls of the likelihood.
    pub(super) evaluations: Evaluations,
    /// Parameters that are held at zero by a kink of the likelihood there.
    pub(super) kinks: Vec<usize>,
}

/// What is minimised: parameters with equal bounds stay.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a> {
    pub(super) likelihood: &'a dyn Likelihood,
    pub(super) bounds: &'a Bounds,
    pub(super) settings: &'a NewtonSettings,
}

impl Problem<'_> {
    /// Descends from a point within the bounds.
    fn descend(self, point: Vec<f64>) -> Descent {
        let n = self.bounds.len();
        let here = Place::at(self.likelihood, point);
        let mut run = Run {
            problem: self,
            trial: here.clone(),
            here,
            work: Workspace::new(n),
            slope: f64::INFINITY,
            radius: self.settings.radius * (n.max(1) as f64).sqrt(),
            iterations: 0,
            hessians: 1,
        };
        let outcome = run.descend();
        Descent {
            projected_gradient: run.slope,
            place: run.here,
            outcome,
            iterations: run.iterations,
            evaluations: Evaluations {
                hessians: run.hessians,
                ..Evaluations::default()
            },
            kinks: Vec::new(),
        }
    }
}

/// Relative rounding of the sum over events: a smaller decrease of the value says
/// nothing, and the gradient decides.
const VALUE_ROUNDING: f64 = 1e-12;
/// A step that falls by less than this part of what the model promised is refused.
const LEAST_RATIO: f64 = 1e-4;
/// What is left of a step into a wall, or of one whose value tells nothing.
const SHORTER: f64 = 0.25;
/// A radius, in standard deviations, at which a step is rounding.
const LEAST_RADIUS: f64 = 1e-13;

/// One descent.
struct Run<'a> {
    problem: Problem<'a>,
    here: Place,
    trial: Place,
    work: Workspace,
    /// Projected gradient here.
    slope: f64,
    radius: f64,
    iterations: u64,
    hessians: u64,
}

impl Run<'_> {
    /// To the end.
    fn descend(&mut self) -> Outcome {
        if !self.here.is_finite() {
            return Outcome::StartNotFinite;
        }
        self.measure();
        loop {
            let small = self.slope <= self.problem.settings.gradient_tolerance;
            let model = Model::new(&self.here, self.problem.bounds);
            let step = model.minimise(&mut self.work, self.radius);
            if small && !step.negative_curvature {
                return Outcome::Converged;
            }
            if self.iterations == self.problem.settings.max_iterations {
                return Outcome::IterationLimit;
            }
            let descends = step.decrease > 0.0;
            if self.radius < LEAST_RADIUS || !descends {
                return if small {
                    Outcome::Converged
                } else {
                    Outcome::Stalled
                };
            }
            self.iterations += 1;
            if let Some(shrink) = self.attempt(&step) {
                self.radius = shrink * step.length.min(self.radius);
            }
        }
    }

    /// The projected gradient here.
    fn measure(&mut self) {
        let bounds = self.problem.bounds;
        scales(&self.here, bounds, &mut self.work.scale);
        self.slope = projected(&self.here, bounds, &self.work.scale);
    }

    /// Evaluates the likelihood behind a step and goes there if it is lower; if not, the
    /// part of its length that the next one may have.
    fn attempt(&mut self, step: &Step) -> Option<f64> {
        self.trial.point.copy_from_slice(&self.work.target);
        self.trial.evaluate(self.problem.likelihood);
        self.hessians += 1;
        if !self.trial.is_finite() {
            return Some(SHORTER);
        }
        let rounding = VALUE_ROUNDING * self.here.value.abs().max(1.0);
        let fallen = self.here.value - self.trial.value;
        if step.decrease < rounding {
            return self.attempt_by_gradient(fallen > -rounding);
        }
        let ratio = fallen / step.decrease;
        if ratio <= LEAST_RATIO {
            // the minimum of the parabola through both values and the slope here
            let slope = -dot(&self.here.gradient, &self.work.step);
            return Some((0.5 * slope / (slope - fallen)).clamp(0.05, 0.5));
        }
        if ratio < 0.25 {
            self.radius = 0.25 * step.length;
        } else if ratio > 0.75 && step.length > 0.8 * self.radius {
            self.radius *= 2.0;
        }
        self.swap();
        None
    }

    /// Where the value cannot tell: taken if the gradient falls.
    fn attempt_by_gradient(&mut self, not_higher: bool) -> Option<f64> {
        let before = self.slope;
        if !not_higher {
            return Some(SHORTER);
        }
        self.swap();
        if self.slope < before {
            return None;
        }
        // back again
        self.swap();
        Some(SHORTER)
    }

    /// Makes the trial the place.
    fn swap(&mut self) {
        std::mem::swap(&mut self.here, &mut self.trial);
        self.measure();
    }
}
