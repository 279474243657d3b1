//! Conditional fits: some parameters at given values, the others profiled; and how far from
//! its best fit a parameter has to be looked at.

use super::matrix::{dot, solve_positive};
use super::newton::Place;
use super::{Fit, FitSettings, check_parameter, check_within, fit, refit};
use crate::Likelihood;
use crate::error::{Error, ensure};
use rayon::prelude::*;
use sideband_numerics::minimise::{Bounds, Outcome};

/// A likelihood profiled along some of its parameters.
///
/// A conditional fit starts from a neighbour, moved to the minimum of the quadratic
/// model there. Where that fails, it is a [`fit`] from all starts, and from there.
#[derive(Clone, Copy)]
pub(super) struct Profile<'a> {
    likelihood: &'a dyn Likelihood,
    settings: &'a FitSettings,
    along: &'a [usize],
}

/// A conditional minimum, or why there is none.
pub(super) type Outcomes = Vec<Result<Place, Error>>;

/// A lower value than that of the best fit by more than this is another minimum.
const DEEPER: f64 = 1e-6;

/// Whether `nll` lies below that of the best fit by more than rounding.
pub(super) fn is_deeper(nll: f64, best: &Fit) -> bool {
    nll < best.nll - DEEPER - 1e-12 * best.nll.abs()
}

impl<'a> Profile<'a> {
    /// Along `along`, which must be parameters that `settings` leaves free.
    pub(super) fn new(
        likelihood: &'a dyn Likelihood,
        settings: &'a FitSettings,
        along: &'a [usize],
    ) -> Result<Self, Error> {
        for &k in along {
            check_parameter(k, likelihood.parameters())?;
            let name = &likelihood.parameters()[k].name;
            ensure(!settings.is_fixed(k), || {
                format!("{name} is fixed and asked for at the same time; leave it free")
            })?;
        }
        // what could be wrong with the settings is told here, not at every point
        settings.bounds(likelihood)?;
        Ok(Self {
            likelihood,
            settings,
            along,
        })
    }

    /// Refuses values outside of the bounds.
    pub(super) fn check(&self, what: &str, values: &[f64]) -> Result<(), Error> {
        let parameters = self.along.iter().map(|k| &self.likelihood.parameters()[*k]);
        let mut pairs = parameters.zip(values);
        pairs.try_for_each(|(parameter, value)| check_within(what, parameter, *value))
    }

    /// Bounds of the first parameter.
    pub(super) fn limits(&self) -> (f64, f64) {
        self.likelihood.parameters()[self.along[0]].bounds
    }

    /// The conditional minimum at `values`, which lie within the bounds.
    pub(super) fn at(&self, values: &[f64], neighbour: &Place) -> Result<Place, Error> {
        let mut settings = self.settings.clone();
        let fixed = self.along.iter().copied().zip(values.iter().copied());
        settings.fixed.extend(fixed);
        let bounds = settings.bounds(self.likelihood)?;
        let (start, _) = predict(neighbour, &bounds);
        let problem = settings.problem(self.likelihood, &bounds);
        let end = problem.to_the_end(start.clone());
        if end.outcome == Outcome::Converged {
            return Ok(end.place);
        }
        settings.starts.push(start);
        let found = fit(self.likelihood, &settings)?;
        found.failure.clone().map_or_else(|| Ok(found.place()), Err)
    }

    /// The conditional minima at ascending points, in parallel by segments: from `middle`
    /// upwards and downwards, each from the last in its segment that did not fail, the first
    /// from `origin`. The length of a segment is part of the result, which does not depend on
    /// the number of threads.
    pub(super) fn outwards<const N: usize>(
        &self,
        points: &[[f64; N]],
        middle: usize,
        segment: usize,
        origin: &Place,
    ) -> Outcomes {
        let (below, above) = points.split_at(middle);
        let down = below.rchunks(segment).map(|s| s.iter().rev().collect());
        let up = above.chunks(segment).map(|s| s.iter().collect());
        let segments: Vec<Vec<&[f64; N]>> = down.chain(up).collect();
        let parts = segments.par_iter().map(|segment| {
            let mut found = Outcomes::with_capacity(segment.len());
            for values in segment {
                let last = found.iter().rev().find_map(|place| place.as_ref().ok());
                found.push(self.at(*values, last.unwrap_or(origin)));
            }
            found
        });
        let mut all: Outcomes = parts.flatten_iter().collect();
        all[..middle].reverse();
        all
    }

    /// The free minimum that a point leads to.
    pub(super) fn best_from(&self, place: &Place) -> Result<Fit, Error> {
        refit(self.likelihood, self.settings, &place.point)
    }
}

/// The lowest point below the best fit.
pub(super) fn deepest<'a, const N: usize>(
    points: &[[f64; N]],
    outcomes: &'a Outcomes,
    best: &Fit,
) -> Option<([f64; N], &'a Place)> {
    let all = points.iter().zip(outcomes);
    all.filter_map(|(values, outcome)| Some((*values, outcome.as_ref().ok()?)))
        .filter(|(_, place)| is_deeper(place.value, best))
        .min_by(|a, b| a.1.value.total_cmp(&b.1.value))
}

/// The minimum within `bounds` of the quadratic model about a place, for the
/// parameters that the bounds leave free and the place does not have on them, and the value
/// of the model there.
pub(super) fn predict(near: &Place, bounds: &Bounds) -> (Vec<f64>, f64) {
    let n = near.point.len();
    let (lower, upper) = (bounds.lower(), bounds.upper());
    let mut point: Vec<f64> = (0..n)
        .map(|i| near.point[i].clamp(lower[i], upper[i]))
        .collect();
    let free: Vec<usize> = (0..n)
        .filter(|&i| lower[i] < near.point[i] && near.point[i] < upper[i])
        .collect();
    let m = free.len();
    let scale: Vec<f64> = free
        .iter()
        .map(|&i| near.hessian[i * n + i].sqrt().recip())
        .collect();
    let moved: Vec<f64> = (0..n).map(|j| point[j] - near.point[j]).collect();
    let mut matrix = vec![0.0; m * m];
    let mut step = vec![0.0; m];
    for (a, &i) in free.iter().enumerate() {
        let row = &near.hessian[i * n..(i + 1) * n];
        step[a] = -scale[a] * (near.gradient[i] + dot(row, &moved));
        for (b, &j) in free.iter().enumerate() {
            matrix[a * m + b] = row[j] * scale[a] * scale[b];
        }
    }
    if solve_positive(&mut matrix, m, &mut step) {
        for (a, &i) in free.iter().enumerate() {
            point[i] = (point[i] + step[a] * scale[a]).clamp(lower[i], upper[i]);
        }
    }
    let moved: Vec<f64> = (0..n).map(|j| point[j] - near.point[j]).collect();
    let rows = near.hessian.chunks_exact(n.max(1)).zip(&moved);
    let bent: f64 = rows.map(|(row, x)| x * dot(row, &moved)).sum();
    let value = near.value + dot(&near.gradient, &moved) + 0.5 * bent;
    (point, value)
}

/// A range ends where `t` is at least what is needed and at most this many times it.
const TOO_FAR: f64 = 7.0;
/// Conditional fits to find an end.
const MOST_FITS: usize = 60;

/// Ends of the range of a parameter on which `t` of its profile may be below `needed`, in
/// the fit's coordinate: beyond them `t` has exceeded `needed`, or the parameter has its
/// bound there. The profile is walked outwards from the best fit, and from other minima
/// that `best` knows of and that are not higher than `needed`; no use is made of an error
/// that the Hessian does not give. `first`: the part of `sqrt(t)` that the first step aims
/// at, above `sqrt(needed)`.
///
/// # Errors
/// If the question makes no sense or `best` is no result.
pub fn reach(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameter: usize,
    (needed, first): (f64, f64),
) -> Result<[f64; 2], Error> {
    let along = [parameter];
    let profile = Profile::new(likelihood, settings, &along)?;
    let best = best.checked()?;
    let mut minima = vec![best.place()];
    let low = |nll: f64| 2.0 * (nll - best.nll) < needed;
    let others = best.others.iter().filter(|o| o.is_converged && low(o.nll));
    minima.extend(others.map(|o| Place::at(likelihood, o.point.clone())));
    let at = |place: &Place| place.point[parameter];
    minima.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let walk = Walk {
        profile: &profile,
        best,
        parameter,
        needed,
        first,
    };
    let (lowest, highest) = (&minima[0], &minima[minima.len() - 1]);
    let (low, high) = rayon::join(
        || walk.outwards(lowest, -1.0),
        || walk.outwards(highest, 1.0),
    );
    Ok([low, high])
}

struct Walk<'a> {
    profile: &'a Profile<'a>,
    best: &'a Fit,
    parameter: usize,
    needed: f64,
    first: f64,
}

impl Walk<'_> {
    /// From a minimum towards the bound below (-1) or above (1).
    fn outwards(&self, from: &Place, direction: f64) -> f64 {
        let k = self.parameter;
        let (lower, upper) = self.profile.limits();
        let bound = if direction < 0.0 { lower } else { upper };
        let origin = from.point[k];
        let room = (bound - origin).abs();
        let mut step = self.step(from, direction, room);
        // how far it is known to be inside, and from where it is known to be outside
        let (mut inside, mut outside) = (0.0, None);
        let mut last = from.clone();
        for _ in 0..MOST_FITS {
            if room == 0.0 {
                return bound;
            }
            let is_bound = step >= room;
            let value = if is_bound {
                bound
            } else {
                origin + direction * step
            };
            let found = self.profile.at(&[value], &last);
            let t = found
                .as_ref()
                .map_or(f64::INFINITY, |place| 2.0 * (place.value - self.best.nll));
            if t < self.needed {
                last = found.unwrap_or(last);
                if is_bound {
                    return bound;
                }
                inside = step;
            } else if t <= TOO_FAR * self.needed {
                return value;
            } else {
                outside = Some(step.min(room));
            }
            step = outside.map_or(2.0 * step, |outside: f64| 0.5 * (inside + outside));
            if outside.is_some_and(|outside| outside - inside <= 1e-9 * outside) {
                break;
            }
        }
        let end = outside.unwrap_or(inside);
        (origin + direction * end).clamp(lower, upper)
    }

    /// The distance at which `sqrt(t)` should be [`Walk::first`]: by the error of the
    /// Hessian, or by slope and curvature where it gives none.
    fn step(&self, from: &Place, direction: f64, room: f64) -> f64 {
        let k = self.parameter;
        let error = self.best.error(k).filter(|error| *error > 0.0);
        if let Some(error) = error {
            return self.first * error;
        }
        let (slope, curvature) = (
            (direction * from.gradient[k]).max(0.0),
            from.hessian[k * from.point.len() + k].max(0.0),
        );
        // slope d + curvature d^2 / 2 = first^2 / 2
        let wanted = self.first * self.first;
        let by_both = wanted / (slope + (slope * slope + curvature * wanted).sqrt());
        let most = if room.is_finite() { room } else { 1.0 };
        if by_both.is_finite() {
            by_both.min(most)
        } else {
            most
        }
    }
}
