//! What the data say of one parameter: its error, or why it has none.
//!
//! An error of the Hessian is one where the parameter is free, the likelihood has
//! curvature along it, and its coordinate is about linear within the error. Elsewhere the
//! profile likelihood says what is known, and a parameter whose profile stays low over all
//! that it may be is not measured.

use super::analyse::Analyst;
use crate::settings::Coordinate;
use sideband_likelihood::fit::{
    End, Fit, FitSettings, ScanPoint, ScanSettings, State, minos, scan,
};
use sideband_likelihood::{Error, Likelihood, Parameter};

/// An error above this part of the distance of the bounds is checked against the profile.
const SUSPICIOUS: f64 = 0.5;
/// Half way to where t = 1 a parabola has t = 1/4; below this it is a valley.
const VALLEY: f64 = 0.01;
/// Nothing is said of a bound that is nearer than this part of half the distance to where
/// t = 1.
const NEAR: f64 = 0.01;
/// Parameters with a larger correlation with one that is not measured share its valley.
const TOGETHER: f64 = 0.99;

/// What is known of a parameter, in its own units.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// Error from the Hessian.
    pub error: Option<f64>,
    /// Distances down and up to where t = 1, above 0.
    pub sides: [Option<f64>; 2],
    /// The same with their signs, or to the bound.
    pub ends: Option<[Option<f64>; 2]>,
    /// Why the Hessian gives no error.
    pub no_error: Option<String>,
    /// Why it is not measured.
    pub not_measured: Option<String>,
}

impl Analyst<'_> {
    /// A value in the units of a parameter, which may be one of a bin.
    pub(super) fn reported(&self, place: usize, coordinate: f64) -> f64 {
        match self.parameters.list.get(place) {
            Some(_) => self.parameters.value(place, coordinate),
            None => coordinate,
        }
    }

    /// The error of the Hessian in the parameter's units, where it is one: beside a kink of
    /// the likelihood it is none, since others leave the kink within an error.
    pub(super) fn hessian_error(&self, best: &Fit, place: usize) -> Option<f64> {
        if best.states.contains(&State::AtKink) {
            return None;
        }
        let (at, error) = (best.point[place], best.error(place)?);
        match self.parameters.coordinates.get(place) {
            None | Some(Coordinate::Linear) => Some(error),
            // the square is no straight line within an error of zero
            Some(Coordinate::Sqrt) => {
                (error <= at.abs()).then(|| self.parameters.error(place, at, error))
            }
        }
    }

    /// What is known of a parameter. `is_interest`: whether its profile is followed in any
    /// case.
    pub(super) fn known(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        place: usize,
        is_interest: bool,
    ) -> Result<Known, Error> {
        let parameter = &likelihood.parameters()[place];
        let state = best.states[place];
        if state == State::Fixed {
            return Ok(Known {
                no_error: Some("it is fixed".to_owned()),
                ..Known::default()
            });
        }
        let mut known = Known {
            error: self.hessian_error(best, place),
            ..Known::default()
        };
        let (lower, upper) = parameter.bounds;
        let is_wide = |error: f64| error > SUSPICIOUS * (upper - lower);
        let has_kink = best.states.contains(&State::AtKink);
        let is_suspicious = has_kink || best.error(place).is_none_or(is_wide);
        if known.error.is_none() {
            known.no_error = Some(self.no_error(likelihood.parameters(), best, place));
        }
        if !is_interest && !is_suspicious {
            return Ok(known);
        }
        let settings = match is_interest {
            true => self.settings(),
            false => self.from(best),
        };
        let found = minos(likelihood, &settings, best, place, 1.0)?;
        if !found.deeper_at.is_empty() {
            // the distances would be from another minimum
            let at = self.reported(place, found.best.point[place]);
            known.no_error = Some(format!(
                "the search for its errors found a deeper minimum at {at:.4}: give \
                 measurement.scan_range that holds it"
            ));
            known.error = None;
            return Ok(known);
        }
        let value = self.reported(place, best.point[place]);
        let ends = [&found.lower, &found.upper];
        let signed = |end: &End| end.value().map(|x| self.reported(place, x) - value);
        known.ends = Some(ends.map(signed));
        known.sides = ends.map(|end| match end {
            End::Crossing(x) => Some((self.reported(place, *x) - value).abs()),
            End::Bound(_) | End::NotFound { .. } => None,
        });
        if is_suspicious || known.sides == [None, None] {
            known.not_measured = self.why_not(likelihood, &settings, best, place, ends)?;
        }
        if known.not_measured.is_some() {
            known.error = None;
            known.no_error.clone_from(&known.not_measured);
            known.sides = [None, None];
        }
        Ok(known)
    }

    /// Why the Hessian gives no error of a parameter that is not fixed.
    fn no_error(&self, parameters: &[Parameter], best: &Fit, place: usize) -> String {
        let parameter = &parameters[place];
        let (lower, upper) = parameter.bounds;
        let [lower, upper] = [lower, upper].map(|x| self.reported(place, x));
        let on_kink = best.states.iter().position(|s| *s == State::AtKink);
        match best.states[place] {
            State::AtLower => format!("it ended on its lower bound {lower}"),
            State::AtUpper => format!("it ended on its upper bound {upper}"),
            State::AtKink => format!(
                "its best fit is at {}, where the likelihood has a kink",
                self.reported(place, best.point[place])
            ),
            State::Free if on_kink.is_some() => format!(
                "the best fit of {} is on a kink of the likelihood, which has no curvature there",
                on_kink.map_or("", |k| parameters[k].name.as_str())
            ),
            State::Free => format!(
                "zero is within one error of its square root: the error of {} is not \
                 symmetric there",
                parameter.name
            ),
            State::Fixed | State::Unmeasured => {
                "the likelihood has no curvature along it at the best fit".to_owned()
            }
        }
    }

    /// Why the profile says that a parameter is not measured, if it does: t stays low from
    /// bound to bound, or there is a valley without slope about the best fit.
    fn why_not(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        best: &Fit,
        place: usize,
        ends: [&End; 2],
    ) -> Result<Option<String>, Error> {
        let at = best.point[place];
        let is_crossing = ends.iter().any(|end| matches!(end, End::Crossing(_)));
        // how far away something is, in the parameter's units; crossings give the measure
        let distance = |x: f64| (self.reported(place, x) - self.reported(place, at)).abs();
        let crossings = ends.iter().filter_map(|end| match end {
            End::Crossing(x) => Some(0.5 * distance(*x)),
            End::Bound(_) | End::NotFound { .. } => None,
        });
        let measure = crossings.fold(0.0, f64::max);
        let probe = |end: &&End| {
            let end = end.value()?;
            let probed = if is_crossing { 0.5 * (at + end) } else { end };
            (end != at).then_some(probed)
        };
        let grid: Vec<f64> = ends.iter().filter_map(probe).collect();
        if grid.is_empty() {
            return Ok(None);
        }
        let asked = ScanSettings {
            parameter: place,
            grid,
        };
        let found = scan(likelihood, settings, best, &asked)?;
        let text = |x: f64| format!("{:.4}", self.reported(place, x));
        let names = self.together(likelihood, best, place);
        let and = match names.as_slice() {
            [] => String::new(),
            names => format!("; only a combination with {} is", names.join(" and ")),
        };
        if !is_crossing {
            let is_whole = ends.iter().all(|end| matches!(end, End::Bound(_)));
            let highest = found.curve.iter().map(|p| p.t).fold(0.0, f64::max);
            let (lower, upper) = likelihood.parameters()[place].bounds;
            return Ok(is_whole.then(|| {
                format!(
                    "the data do not measure it: t stays below {:.2e} between its bounds {} and \
                     {}{and}",
                    highest.max(1e-12),
                    text(lower),
                    text(upper)
                )
            }));
        }
        // near a bound that is close, t is low in any case
        let share = |x: f64| (distance(x) / measure).min(1.0);
        let is_flat = |p: &&ScanPoint| {
            let share = share(p.value);
            share > NEAR && p.t < VALLEY * share * share
        };
        let flat = found.curve.iter().find(is_flat);
        Ok(flat.map(|p| {
            format!(
                "the data do not measure it by itself: t is {:.1e} both at {} and at {}{and}",
                p.t,
                text(at),
                text(p.value)
            )
        }))
    }

    /// Names of the parameters that share a direction without curvature with one.
    fn together(&self, likelihood: &dyn Likelihood, best: &Fit, place: usize) -> Vec<String> {
        let flat = best.flat.iter().filter(|f| f.parameters.contains(&place));
        let mut places: Vec<usize> = flat.flat_map(|f| f.parameters.clone()).collect();
        if let Some(own) = best.covariance_of(place, place) {
            places.extend((0..best.point.len()).filter(|k| {
                let both = best
                    .covariance_of(place, *k)
                    .zip(best.covariance_of(*k, *k));
                both.is_some_and(|(both, other)| both.abs() > TOGETHER * (own * other).sqrt())
            }));
        }
        places.sort_unstable();
        places.dedup();
        let others = places.into_iter().filter(|k| *k != place);
        others
            .map(|k| likelihood.parameters()[k].name.clone())
            .collect()
    }

    /// Distance to where t = 1 on one side (-1 or 1) with some parameters at their best
    /// fit; none where the bound comes before, or the search fails.
    pub(super) fn one_sided(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        (place, direction): (usize, f64),
        frozen: &[usize],
    ) -> Option<f64> {
        let fixed = frozen.iter().filter(|k| !self.from(best).is_fixed(**k));
        let settings = fixed.fold(self.from(best), |settings, k| {
            settings.with_fixed(*k, best.point[*k])
        });
        let found = minos(likelihood, &settings, best, place, 1.0).ok()?;
        let end = if direction < 0.0 {
            found.lower
        } else {
            found.upper
        };
        match end {
            End::Crossing(x) => {
                let value = self.reported(place, best.point[place]);
                Some((self.reported(place, x) - value).abs())
            }
            End::Bound(_) | End::NotFound { .. } => None,
        }
    }
}
