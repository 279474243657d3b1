//! How far from its best fit a parameter has to be looked at.

use super::super::Likelihood;
use super::conditional::Profile;
use super::newton::{Evaluations, Place};
use super::{Fit, FitError, FitSettings};

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
/// [`FitError`] if the question makes no sense or `best` is no result.
pub fn reach(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameter: usize,
    (needed, first): (f64, f64),
) -> Result<[f64; 2], FitError> {
    let along = [parameter];
    let profile = Profile::new(likelihood, settings, &along, false)?;
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
        let mut evaluations = Evaluations::default();
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
            let found = self.profile.at(&[value], &last, &mut evaluations);
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
