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

pub(crate) use kinks::{descend_with_kinks, look_behind_kinks};
pub use place::Evaluations;
pub(crate) use place::Place;
pub(crate) use step::scales;

use super::super::Likelihood;
use super::matrix::dot;
use place::update;
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
    /// Where the curvature comes from.
    pub curvature: Curvature,
}

impl Default for NewtonSettings {
    fn default() -> Self {
        Self {
            gradient_tolerance: 1e-6,
            max_iterations: 100,
            radius: 3.0,
            curvature: Curvature::Exact,
        }
    }
}

/// Where the curvature of the quadratic model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curvature {
    /// The exact Hessian at every point: fewest steps.
    Exact,
    /// The Hessian of the start, brought along by BFGS updates, and exact again
    /// where those lead nowhere: cheapest where a good Hessian is at hand and one
    /// evaluation of it costs as much as several gradients.
    Updated,
}

/// Where a descent ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Descent {
    /// The last point. Its Hessian is exact if [`Descent::exact`].
    pub place: Place,
    /// Whether the Hessian is the likelihood's, not an update.
    pub exact: bool,
    /// Largest component of the projected gradient, in the unit of
    /// [`NewtonSettings::gradient_tolerance`].
    pub projected_gradient: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Steps, taken or not.
    pub iterations: u64,
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
    /// Parameters that are held at zero by a kink of the likelihood there.
    pub kinks: Vec<usize>,
}

/// Descends from `start`, whose point must lie within `bounds`; parameters with
/// equal bounds stay.
pub(crate) fn descend(
    likelihood: &dyn Likelihood,
    start: Start<'_>,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let mut run = Run::new(likelihood, start, bounds, settings);
    let outcome = run.descend();
    let place = run.here;
    Descent {
        projected_gradient: run.slope,
        place,
        exact: run.exact,
        outcome,
        iterations: run.iterations,
        evaluations: run.evaluations,
        kinks: Vec::new(),
    }
}

/// Where a descent starts.
pub(crate) enum Start<'a> {
    Point(Vec<f64>),
    /// At a point, with a Hessian from its neighbourhood, `[n, n]`, for
    /// [`Curvature::Updated`].
    Warm(Vec<f64>, &'a [f64]),
    /// At a point near one whose derivatives are known, for [`Curvature::Updated`].
    Near(Vec<f64>, &'a Place),
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
/// A step with an updated Hessian that the radius did not cut must shrink the gradient by this factor, or the
/// Hessian is evaluated again.
const LEAST_PROGRESS: f64 = 0.3;

/// One descent.
struct Run<'a> {
    likelihood: &'a dyn Likelihood,
    bounds: &'a Bounds,
    settings: &'a NewtonSettings,
    here: Place,
    trial: Place,
    work: Workspace,
    /// Projected gradient here.
    slope: f64,
    /// Whether the Hessian here is the likelihood's.
    exact: bool,
    radius: f64,
    iterations: u64,
    evaluations: Evaluations,
}

/// What became of a step.
enum Verdict {
    Taken,
    /// With the part of its length that the next one may have.
    Refused(f64),
}

impl<'a> Run<'a> {
    fn new(
        likelihood: &'a dyn Likelihood,
        start: Start<'_>,
        bounds: &'a Bounds,
        settings: &'a NewtonSettings,
    ) -> Self {
        let n = bounds.len();
        let updated = settings.curvature == Curvature::Updated;
        let (point, hessian, near) = match start {
            Start::Warm(point, hessian) if updated => (point, Some(hessian.to_vec()), None),
            Start::Near(point, near) if updated => (point, Some(near.hessian.clone()), Some(near)),
            Start::Point(point) | Start::Warm(point, _) | Start::Near(point, _) => {
                (point, None, None)
            }
        };
        let exact = hessian.is_none();
        let here = Place {
            point,
            value: f64::NAN,
            gradient: vec![0.0; n],
            hessian: hessian.unwrap_or_else(|| vec![0.0; n * n]),
        };
        let mut run = Self {
            likelihood,
            bounds,
            settings,
            trial: here.clone(),
            here,
            work: Workspace::new(n),
            slope: f64::INFINITY,
            exact,
            radius: settings.radius * (n.max(1) as f64).sqrt(),
            iterations: 0,
            evaluations: Evaluations::default(),
        };
        run.here.evaluate(likelihood, exact);
        run.count(exact);
        if let Some(near) = near.filter(|_| run.here.is_finite()) {
            update(near, &mut run.here, &mut run.work);
        }
        run
    }

    fn count(&mut self, second: bool) {
        if second {
            self.evaluations.hessians += 1;
        } else {
            self.evaluations.gradients += 1;
        }
    }

    /// To the end.
    fn descend(&mut self) -> Outcome {
        if !self.here.is_finite() {
            return Outcome::StartNotFinite;
        }
        self.measure();
        loop {
            let small = self.slope <= self.settings.gradient_tolerance;
            let step = Model::new(&self.here, self.bounds).minimise(&mut self.work, self.radius);
            if small && !step.negative_curvature {
                return Outcome::Converged;
            }
            if self.iterations == self.settings.max_iterations {
                return Outcome::IterationLimit;
            }
            let descends = step.decrease > 0.0;
            if self.radius < LEAST_RADIUS || !descends {
                if self.exact {
                    return if small {
                        Outcome::Converged
                    } else {
                        Outcome::Stalled
                    };
                }
                self.renew();
                continue;
            }
            self.iterations += 1;
            let before = self.slope;
            let is_full = step.length < 0.99 * self.radius;
            match self.attempt(&step) {
                Verdict::Taken if self.exact => (),
                Verdict::Taken => {
                    if is_full && self.slope > LEAST_PROGRESS * before {
                        self.renew();
                    }
                }
                Verdict::Refused(shrink) if self.exact => {
                    self.radius = shrink * step.length.min(self.radius);
                }
                Verdict::Refused(_) => self.renew(),
            }
        }
    }

    /// The exact Hessian here.
    fn renew(&mut self) {
        self.here.evaluate(self.likelihood, true);
        self.count(true);
        self.exact = true;
        self.radius = self.radius.max(1.0);
        self.measure();
    }

    /// The projected gradient here.
    fn measure(&mut self) {
        scales(&self.here, self.bounds, &mut self.work.scale);
        self.slope = projected(&self.here, self.bounds, &self.work.scale);
    }

    /// Evaluates the likelihood behind a step and goes there if it is lower.
    fn attempt(&mut self, step: &Step) -> Verdict {
        let second = self.settings.curvature == Curvature::Exact;
        self.trial.point.copy_from_slice(&self.work.target);
        self.trial.evaluate(self.likelihood, second);
        self.count(second);
        if !second {
            self.trial.hessian.copy_from_slice(&self.here.hessian);
        }
        if !self.trial.is_finite() {
            return Verdict::Refused(SHORTER);
        }
        let rounding = VALUE_ROUNDING * self.here.value.abs().max(1.0);
        let fallen = self.here.value - self.trial.value;
        if step.decrease < rounding {
            return self.attempt_by_gradient(second, fallen > -rounding);
        }
        let ratio = fallen / step.decrease;
        if ratio <= LEAST_RATIO {
            // the minimum of the parabola through both values and the slope here
            let slope = -dot(&self.here.gradient, &self.work.step);
            return Verdict::Refused((0.5 * slope / (slope - fallen)).clamp(0.05, 0.5));
        }
        if ratio < 0.25 {
            self.radius = 0.25 * step.length;
        } else if ratio > 0.75 && step.length > 0.8 * self.radius {
            self.radius *= 2.0;
        }
        self.go(second);
        Verdict::Taken
    }

    /// Where the value cannot tell: taken if the gradient falls.
    fn attempt_by_gradient(&mut self, second: bool, not_higher: bool) -> Verdict {
        let before = self.slope;
        if !not_higher {
            return Verdict::Refused(SHORTER);
        }
        let (exact, radius) = (self.exact, self.radius);
        self.go(second);
        if self.slope < before {
            return Verdict::Taken;
        }
        // back again
        std::mem::swap(&mut self.here, &mut self.trial);
        (self.exact, self.radius) = (exact, radius);
        self.measure();
        Verdict::Refused(SHORTER)
    }

    /// Makes the trial the place.
    fn go(&mut self, second: bool) {
        if !second {
            update(&self.here, &mut self.trial, &mut self.work);
        }
        self.exact = second;
        std::mem::swap(&mut self.here, &mut self.trial);
        self.measure();
    }
}
