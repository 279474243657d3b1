//! The result of a fit.

use super::super::Likelihood;
use super::matrix::{LEAST_PIVOT, cholesky, eigen, inverse};
use super::newton::{Descent, Evaluations, Place, scales};
use super::{Basin, FitError, FitFailure};
use crate::stats::minimise::{Bounds, Outcome};

/// What a fit did with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Fitted.
    Free,
    /// Not fitted, as asked for.
    Fixed,
    /// Fitted, ended on its lower bound: without error, and fixed in the covariance.
    AtLower,
    /// Fitted, ended on its upper bound.
    AtUpper,
}

/// An end of another start.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherMinimum {
    /// The point, `[n]`.
    pub point: Vec<f64>,
    /// Negative log-likelihood there.
    pub nll: f64,
    /// Whether it is a minimum, and not just where a descent ended.
    pub is_converged: bool,
}

/// The result of a fit of n parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The point, `[n]`.
    pub point: Vec<f64>,
    /// Negative log-likelihood there; NaN if it was finite at no start.
    pub nll: f64,
    /// Largest component of the projected gradient; its unit is the change of the
    /// negative log-likelihood over one conditional standard deviation.
    pub projected_gradient: f64,
    /// First derivatives of the negative log-likelihood, `[n]`.
    pub gradient: Vec<f64>,
    /// Second derivatives of the negative log-likelihood, `[n, n]`.
    pub hessian: Vec<f64>,
    /// Inverse of the Hessian of the free parameters, `[n, n]`: zero for fixed ones
    /// and for those at a bound, empty if the Hessian is not positive definite.
    pub covariance: Vec<f64>,
    /// What became of each parameter, `[n]`.
    pub states: Vec<State>,
    /// Why this is no result; none if it is one.
    pub failure: Option<FitFailure>,
    /// Other minima, deepest first.
    pub others: Vec<OtherMinimum>,
    /// Calls of the likelihood, by all starts.
    pub evaluations: Evaluations,
}

/// Ends whose parameters agree within this many conditional standard deviations
/// are one minimum.
const SAME: f64 = 0.01;

impl Fit {
    /// Whether the gradient vanishes and the Hessian is positive definite.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.failure.is_none()
    }

    /// This, if it is a result.
    ///
    /// # Errors
    /// [`FitError::NoBestFit`] if it is none.
    pub fn checked(&self) -> Result<&Self, FitError> {
        match &self.failure {
            None => Ok(self),
            Some(failure) => Err(failure.clone().into()),
        }
    }

    /// Standard deviation of a parameter, `sqrt(V_kk)`: zero if fixed or at a
    /// bound; none if the fit failed.
    #[must_use]
    pub fn error(&self, parameter: usize) -> Option<f64> {
        self.covariance_of(parameter, parameter).map(f64::sqrt)
    }

    /// Element of the covariance; none if the fit failed.
    #[must_use]
    pub fn covariance_of(&self, one: usize, other: usize) -> Option<f64> {
        let n = self.point.len();
        if !self.is_converged() {
            return None;
        }
        self.covariance.get(one * n + other).copied()
    }

    /// Parameters on a bound.
    pub fn at_bound(&self) -> impl Iterator<Item = usize> {
        let on = |state: &State| matches!(state, State::AtLower | State::AtUpper);
        (0..self.states.len()).filter(move |k| on(&self.states[*k]))
    }

    /// A minimum deeper than this one: possible with [`Basin::Nominal`], or where
    /// a descent from elsewhere did not end.
    #[must_use]
    pub fn deeper(&self) -> Option<&OtherMinimum> {
        self.others.first().filter(|other| other.nll < self.nll)
    }

    /// The result among the ends of all starts; the first is that of the nominal
    /// point.
    pub(super) fn among(
        ends: Vec<Descent>,
        likelihood: &dyn Likelihood,
        basin: Basin,
        bounds: &Bounds,
    ) -> Self {
        let mut fits: Vec<Self> = ends
            .into_iter()
            .map(|end| Self::of(end, likelihood, bounds))
            .collect();
        let chosen = choose(&fits, basin);
        let mut fit = fits.swap_remove(chosen);
        let mut scale = vec![1.0; fit.point.len()];
        scales(&fit.place(), bounds, &mut scale);
        fits.sort_by(|a, b| a.nll.total_cmp(&b.nll));
        for other in fits {
            fit.evaluations += other.evaluations;
            let known = std::iter::once(&fit.point).chain(fit.others.iter().map(|o| &o.point));
            let is_new = known.into_iter().all(|point| {
                let distance = (0..scale.len())
                    .map(|i| ((point[i] - other.point[i]) / scale[i]).abs())
                    .fold(0.0, f64::max);
                distance > SAME
            });
            if is_new && other.nll.is_finite() {
                fit.others.push(OtherMinimum {
                    is_converged: other.is_converged(),
                    nll: other.nll,
                    point: other.point,
                });
            }
        }
        fit
    }

    /// The point with its derivatives.
    pub(super) fn place(&self) -> Place {
        Place {
            point: self.point.clone(),
            value: self.nll,
            gradient: self.gradient.clone(),
            hessian: self.hessian.clone(),
        }
    }

    /// The end of one start.
    fn of(mut end: Descent, likelihood: &dyn Likelihood, bounds: &Bounds) -> Self {
        if !end.exact && end.outcome != Outcome::StartNotFinite {
            end.place = Place::at(likelihood, end.place.point);
            end.evaluations.hessians += 1;
        }
        let states = states(&end.place.point, bounds);
        let failure = failure(&end);
        let mut fit = Self {
            point: end.place.point,
            nll: if end.outcome == Outcome::StartNotFinite {
                f64::NAN
            } else {
                end.place.value
            },
            projected_gradient: end.projected_gradient,
            gradient: end.place.gradient,
            hessian: end.place.hessian,
            covariance: Vec::new(),
            states,
            failure,
            others: Vec::new(),
            evaluations: end.evaluations,
        };
        if fit.failure != Some(FitFailure::StartNotFinite) {
            match covariance(&fit.hessian, &fit.states) {
                Ok(covariance) => fit.covariance = covariance,
                Err((eigenvalue, along)) if fit.failure.is_none() => {
                    let along = likelihood.parameters()[along].name.clone();
                    fit.failure = Some(FitFailure::NotPositiveDefinite { eigenvalue, along });
                }
                Err(_) => (),
            }
        }
        fit
    }
}

/// Which fit is the result.
fn choose(fits: &[Fit], basin: Basin) -> usize {
    if basin == Basin::Nominal && fits[0].is_converged() {
        return 0;
    }
    let lowest = |converged: bool| {
        (0..fits.len())
            .filter(|&i| fits[i].is_converged() == converged && fits[i].nll.is_finite())
            .min_by(|&a, &b| fits[a].nll.total_cmp(&fits[b].nll))
    };
    lowest(true).or_else(|| lowest(false)).unwrap_or(0)
}

fn states(point: &[f64], bounds: &Bounds) -> Vec<State> {
    (0..point.len())
        .map(|k| match point[k] {
            _ if bounds.lower()[k] == bounds.upper()[k] => State::Fixed,
            x if x <= bounds.lower()[k] => State::AtLower,
            x if x >= bounds.upper()[k] => State::AtUpper,
            _ => State::Free,
        })
        .collect()
}

fn failure(end: &Descent) -> Option<FitFailure> {
    let projected_gradient = end.projected_gradient;
    match end.outcome {
        Outcome::Converged => None,
        Outcome::Stalled => Some(FitFailure::Stalled { projected_gradient }),
        Outcome::IterationLimit => Some(FitFailure::IterationLimit {
            iterations: end.iterations,
            projected_gradient,
        }),
        Outcome::StartNotFinite => Some(FitFailure::StartNotFinite),
    }
}

/// Inverse of the Hessian over the free parameters, `[n, n]`; else the lowest
/// eigenvalue of the scaled Hessian and the parameter with the largest share in it.
pub(super) fn covariance(hessian: &[f64], states: &[State]) -> Result<Vec<f64>, (f64, usize)> {
    let n = states.len();
    let free: Vec<usize> = (0..n).filter(|&k| states[k] == State::Free).collect();
    let m = free.len();
    let scale: Vec<f64> = free
        .iter()
        .map(|&i| {
            let curvature = hessian[i * n + i];
            if curvature > 0.0 {
                1.0 / curvature.sqrt()
            } else {
                1.0
            }
        })
        .collect();
    let mut matrix = vec![0.0; m * m];
    for a in 0..m {
        for b in 0..m {
            matrix[a * m + b] = hessian[free[a] * n + free[b]] * scale[a] * scale[b];
        }
    }
    let mut factor = matrix.clone();
    if !cholesky(&mut factor, m) {
        return Err(lowest(&matrix, &free));
    }
    let inverse = inverse(&factor, m);
    let mut covariance = vec![0.0; n * n];
    for a in 0..m {
        for b in 0..m {
            covariance[free[a] * n + free[b]] = inverse[a * m + b] * scale[a] * scale[b];
        }
    }
    Ok(covariance)
}

/// Lowest eigenvalue, at most [`LEAST_PIVOT`], and the parameter that has most of
/// its eigenvector.
fn lowest(matrix: &[f64], free: &[usize]) -> (f64, usize) {
    let Some(eigen) = eigen(matrix, free.len()) else {
        return (f64::NAN, free[0]);
    };
    let vector = &eigen.vectors[0];
    let along = (0..free.len())
        .max_by(|&a, &b| vector[a].abs().total_cmp(&vector[b].abs()))
        .unwrap_or(0);
    (eigen.values[0].min(LEAST_PIVOT), free[along])
}
