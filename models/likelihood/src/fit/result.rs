//! The result of a fit.

use super::matrix::{LEAST_PIVOT, eigen, inverse_positive};
use super::newton::{Descent, Evaluations, Place, scales};
use crate::error::Error;
use crate::{Likelihood, Parameter};
use sideband_numerics::minimise::{Bounds, Outcome};

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
    /// Fitted, ended at zero, where slope or curvature of the likelihood along it jump:
    /// without error from the Hessian, and fixed in the covariance.
    AtKink,
    /// Fitted, but the likelihood does not change along it, or along a combination that
    /// it is part of: see [`Fit::flat`]. Without error, and fixed in the covariance.
    Unmeasured,
}

/// A direction along which a likelihood has no curvature at its minimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Flat {
    /// The parameters with a share in it, in their order.
    pub parameters: Vec<usize>,
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
    /// Inverse of the Hessian of the free parameters, `[n, n]`: zero for fixed ones, for
    /// those at a bound or a kink and for those that are not measured, empty if the Hessian
    /// has a negative eigenvalue.
    pub covariance: Vec<f64>,
    /// Directions without curvature, lowest eigenvalue first; empty as a rule.
    pub flat: Vec<Flat>,
    /// What became of each parameter, `[n]`.
    pub states: Vec<State>,
    /// Why this is no result; none if it is one.
    pub failure: Option<Error>,
    /// Other minima, deepest first.
    pub others: Vec<OtherMinimum>,
    /// Calls of the likelihood, by all starts.
    pub evaluations: Evaluations,
}

/// A parameter with a kink at zero is on it if it is nearer, in the parameter's units (those
/// of a nuisance parameter are its pre-fit errors).
const AT_ZERO: f64 = 1e-7;
/// Ends whose parameters agree within this many conditional standard deviations
/// are one minimum.
const SAME: f64 = 0.01;

impl Fit {
    /// Whether the gradient vanishes and the Hessian has no negative eigenvalue. It may
    /// have some that vanish: see [`Fit::flat`].
    pub fn is_converged(&self) -> bool {
        self.failure.is_none()
    }

    /// This, if it is a result.
    ///
    /// # Errors
    /// If it is none.
    pub fn checked(&self) -> Result<&Self, Error> {
        let Some(failure) = &self.failure else {
            return Ok(self);
        };
        let message = format!("there is no best fit to start from: {failure}");
        Err(Error::new(message))
    }

    /// Standard deviation of a parameter, `sqrt(V_kk)`; none if it is not free or the fit
    /// failed.
    pub fn error(&self, parameter: usize) -> Option<f64> {
        self.covariance_of(parameter, parameter).map(f64::sqrt)
    }

    /// Element of the covariance; none if one of the two is not free or the fit failed.
    pub fn covariance_of(&self, one: usize, other: usize) -> Option<f64> {
        let n = self.point.len();
        let is_free = |k: usize| self.states.get(k) == Some(&State::Free);
        if !self.is_converged() || !is_free(one) || !is_free(other) {
            return None;
        }
        self.covariance.get(one * n + other).copied()
    }

    /// Second derivative of the profile along a parameter at this point, also where the
    /// parameter is on a bound: one over its variance were it free. None where the fit
    /// failed or the Hessian of the free parameters and it has no inverse.
    pub fn profile_curvature(&self, parameter: usize) -> Option<f64> {
        let n = self.point.len();
        if !self.is_converged() {
            return None;
        }
        let mut states = self.states.clone();
        *states.get_mut(parameter)? = State::Free;
        let (covariance, _) = covariance(&self.hessian, &vec![f64::INFINITY; n], &states)?;
        Some(1.0 / covariance[parameter * n + parameter])
    }

    /// Parameters on a bound.
    pub fn at_bound(&self) -> impl Iterator<Item = usize> {
        let on = |state: &State| matches!(state, State::AtLower | State::AtUpper);
        (0..self.states.len()).filter(move |k| on(&self.states[*k]))
    }

    /// The result among the ends of all starts: the deepest.
    pub(super) fn among(
        ends: impl Iterator<Item = Descent>,
        likelihood: &dyn Likelihood,
        bounds: &Bounds,
    ) -> Self {
        let mut fits: Vec<Self> = ends.map(|end| Self::of(end, likelihood, bounds)).collect();
        let lowest = |is_converged: bool| {
            (0..fits.len())
                .filter(|&i| fits[i].is_converged() == is_converged && fits[i].nll.is_finite())
                .min_by(|&a, &b| fits[a].nll.total_cmp(&fits[b].nll))
        };
        let chosen = lowest(true).or_else(|| lowest(false)).unwrap_or(0);
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
    fn of(end: Descent, likelihood: &dyn Likelihood, bounds: &Bounds) -> Self {
        let mut states = states(&end.place.point, bounds);
        // where the slope does not jump at zero, the curvature does
        let zero = likelihood.kinks().iter();
        let zero = zero.filter(|k| end.place.point[**k].abs() < AT_ZERO);
        for &k in end.kinks.iter().chain(zero) {
            if states[k] == State::Free {
                states[k] = State::AtKink;
            }
        }
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
            flat: Vec::new(),
            states,
            failure,
            others: Vec::new(),
            evaluations: end.evaluations,
        };
        if end.outcome != Outcome::StartNotFinite {
            fit.find_covariance(likelihood);
        }
        fit
    }

    /// The covariance, without the parameters that the likelihood does not depend on.
    fn find_covariance(&mut self, likelihood: &dyn Likelihood) {
        let ranges = ranges(likelihood);
        let held = self.hardly_held(&ranges);
        // a bound that does not hold a parameter does not break a valley either
        let mut flat = Vec::new();
        while !held.is_empty() {
            let may_move = |k: &usize| {
                self.states[*k] == State::Free
                    || held.contains(k) && self.states[*k] != State::Unmeasured
            };
            let places: Vec<usize> = (0..self.states.len()).filter(may_move).collect();
            flat = flat_directions(&self.hessian, &ranges, &places);
            if flat.is_empty() {
                break;
            }
            self.leave_out(&mut flat);
        }
        loop {
            self.leave_out(&mut flat);
            let free: Vec<usize> = (0..self.states.len())
                .filter(|k| self.states[*k] == State::Free)
                .collect();
            match covariance(&self.hessian, &ranges, &self.states) {
                Some((covariance, worst)) if worst < UNMEASURED.recip() => {
                    self.covariance = covariance;
                    return;
                }
                _ => flat = flat_directions(&self.hessian, &ranges, &free),
            }
            if flat.is_empty() {
                let (eigenvalue, along) = lowest(&self.hessian, &ranges, &free);
                let along = &likelihood.parameters()[along].name;
                self.failure.get_or_insert_with(|| {
                    Error::new(format!(
                        "the Hessian is not positive definite: its lowest eigenvalue in units of \
                         the conditional errors is {eigenvalue:.3e}, mostly along {along}; \
                         constrain or fix that parameter, or check that the density is normalised"
                    ))
                });
                return;
            }
        }
    }

    /// Keeps directions without curvature, and leaves their parameters out.
    fn leave_out(&mut self, flat: &mut Vec<Flat>) {
        for direction in flat.iter() {
            for &k in &direction.parameters {
                self.states[k] = State::Unmeasured;
            }
        }
        self.flat.append(flat);
    }

    /// Parameters on a bound that the gradient does not push against, though there is
    /// curvature along them: without, it is the profile that tells whether the likelihood
    /// has a kink there.
    fn hardly_held(&self, ranges: &[f64]) -> Vec<usize> {
        let n = self.point.len();
        let hardly = |k: &usize| {
            let scale = conditional(&self.hessian, ranges, &[*k])[0];
            let curvature = self.hessian[k * n + k] * scale * scale;
            self.gradient[*k].abs() * scale < HARDLY && curvature.abs() >= UNMEASURED
        };
        self.at_bound().filter(hardly).collect()
    }
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

/// Why the end of a descent is no result. Gradients are the largest component of the
/// projected one, times `1 / sqrt(H_ii)`.
fn failure(end: &Descent) -> Option<Error> {
    let (steps, gradient) = (end.iterations, end.projected_gradient);
    let message = match end.outcome {
        Outcome::Converged => return None,
        Outcome::Stalled => format!(
            "no lower point was found although the gradient is {gradient:.3e} a standard \
             deviation; the likelihood may end at a wall (a density or rate that is not positive) \
             or its gradient may not be that of its value"
        ),
        Outcome::IterationLimit => format!(
            "no minimum within {steps} steps; the gradient is still {gradient:.3e} a standard \
             deviation; allow more steps or start closer"
        ),
        Outcome::StartNotFinite => "the likelihood is not finite at any start; start where every \
                                    density and rate is positive"
            .to_owned(),
    };
    Some(Error::new(message))
}

/// Eigenvalues of the scaled Hessian below this are flat: the error along such a
/// direction is 1e5 times the conditional one.
const UNMEASURED: f64 = 1e-10;
/// Eigenvalues below minus this are negative curvature, as in a descent.
const NEGATIVE: f64 = 1e-9;
/// A component of a flat direction that is smaller is none.
const SHARE: f64 = 1e-3;
/// A gradient below this, over one conditional standard deviation, does not hold a
/// parameter on its bound.
const HARDLY: f64 = 1e-5;

/// Conditional standard deviations of some parameters, at most the distance of their
/// bounds; that, or one, without curvature.
fn conditional(hessian: &[f64], ranges: &[f64], places: &[usize]) -> Vec<f64> {
    let scale = |&i: &usize| {
        let curvature = hessian[i * ranges.len() + i];
        let range = ranges[i];
        if curvature > 0.0 {
            range.min(1.0 / curvature.sqrt())
        } else {
            range.min(1.0)
        }
    };
    places.iter().map(scale).collect()
}

/// Distances of the bounds of all parameters; infinite where one is, or where they are
/// equal.
pub(super) fn ranges(likelihood: &dyn Likelihood) -> Vec<f64> {
    let range = |p: &Parameter| match p.bounds.1 - p.bounds.0 {
        range if range > 0.0 => range,
        _ => f64::INFINITY,
    };
    likelihood.parameters().iter().map(range).collect()
}

/// The Hessian of some parameters in units of their conditional standard deviations,
/// `[m, m]`.
fn scaled(hessian: &[f64], n: usize, places: &[usize], scale: &[f64]) -> Vec<f64> {
    let m = places.len();
    let mut matrix = vec![0.0; m * m];
    for a in 0..m {
        for b in 0..m {
            matrix[a * m + b] = hessian[places[a] * n + places[b]] * scale[a] * scale[b];
        }
    }
    matrix
}

/// Inverse of the Hessian over the free parameters, `[n, n]`, and the largest element of
/// its diagonal in units of the conditional variances; none if there is no inverse.
pub(super) fn covariance(
    hessian: &[f64],
    ranges: &[f64],
    states: &[State],
) -> Option<(Vec<f64>, f64)> {
    let n = states.len();
    let free: Vec<usize> = (0..n).filter(|&k| states[k] == State::Free).collect();
    let m = free.len();
    let scale = conditional(hessian, ranges, &free);
    let inverse = inverse_positive(scaled(hessian, n, &free, &scale), m)?;
    let worst = (0..m).map(|a| inverse[a * m + a]).fold(0.0, f64::max);
    let mut covariance = vec![0.0; n * n];
    for a in 0..m {
        for b in 0..m {
            covariance[free[a] * n + free[b]] = inverse[a * m + b] * scale[a] * scale[b];
        }
    }
    Some((covariance, worst))
}

/// Directions among some parameters along which the Hessian vanishes; none if it is
/// negative along another.
fn flat_directions(hessian: &[f64], ranges: &[f64], places: &[usize]) -> Vec<Flat> {
    let n = ranges.len();
    // what does nothing at all is a direction of its own, whatever else is flat
    let curvature = |k: usize| hessian[k * n + k] * conditional(hessian, ranges, &[k])[0].powi(2);
    let alone: Vec<Flat> = places
        .iter()
        .filter(|k| curvature(**k).abs() < UNMEASURED)
        .map(|k| Flat {
            parameters: vec![*k],
        })
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let scale = conditional(hessian, ranges, places);
    let Some(eigen) = eigen(&scaled(hessian, n, places, &scale), places.len()) else {
        return Vec::new();
    };
    if eigen
        .values
        .first()
        .is_none_or(|lowest| *lowest < -NEGATIVE)
    {
        return Vec::new();
    }
    let pairs = eigen.values.iter().zip(&eigen.vectors);
    let flat = pairs.take_while(|(value, _)| **value < UNMEASURED);
    flat.map(|(_, vector)| {
        let shares = places.iter().zip(vector);
        let shares = shares.filter(|(_, share)| share.abs() > SHARE);
        Flat {
            parameters: shares.map(|(k, _)| *k).collect(),
        }
    })
    .collect()
}

/// Lowest eigenvalue of the scaled Hessian, at most [`LEAST_PIVOT`], and the parameter
/// that has most of its eigenvector.
fn lowest(hessian: &[f64], ranges: &[f64], free: &[usize]) -> (f64, usize) {
    let n = ranges.len();
    let scale = conditional(hessian, ranges, free);
    let Some(eigen) = eigen(&scaled(hessian, n, free, &scale), free.len()) else {
        return (f64::NAN, free.first().copied().unwrap_or(0));
    };
    let vector = &eigen.vectors[0];
    let along = (0..free.len())
        .max_by(|&a, &b| vector[a].abs().total_cmp(&vector[b].abs()))
        .unwrap_or(0);
    (eigen.values[0].min(LEAST_PIVOT), free[along])
}
