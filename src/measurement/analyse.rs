//! The best fit of a likelihood, and what the data say of each parameter: its error, or why it
//! has none.
//!
//! An error of the Hessian is one where the parameter is free, the likelihood has
//! curvature along it, and its coordinate is about linear within the error. Elsewhere the
//! profile likelihood says what is known, and a parameter whose profile stays low over all
//! that it may be is not measured.

use super::model::Analysis;
use super::result::{FitResult, ParameterResult};
use crate::error::{Error, Kind, Result};
use crate::settings::{Coordinate, SystematicConfig};
use sideband_likelihood::fit::{
    End, Fit, FitSettings, ScanPoint, ScanSettings, Search, State, fit, minos, scan,
};
use sideband_likelihood::{Error as FitError, Interpolation, Likelihood, Parameter, Role};
use std::fmt::Display;
use std::time::Instant;

/// Values of a parameter of interest among which basins are looked for.
const SEARCH: usize = 9;
/// An error above this part of the distance of the bounds is checked against the profile.
const SUSPICIOUS: f64 = 0.5;
/// Half way to where t = 1 a parabola has t = 1/4; below this it is a valley.
const VALLEY: f64 = 0.01;
/// Nothing is said of a bound that is nearer than this part of half the distance to where
/// t = 1.
const NEAR: f64 = 0.01;
/// Parameters with a larger correlation with one that is not measured share its valley.
const TOGETHER: f64 = 0.99;

/// The fit to the observed events failed.
pub(super) fn no_fit(error: impl Display) -> Error {
    let text = format!("the fit to the observed events failed: {error}");
    Error::new(Kind::Fit, text)
}

impl Analysis<'_> {
    /// Places of the parameters of interest.
    pub(super) fn interest(&self) -> Vec<usize> {
        let names = self.measurement.measurement.interest.iter();
        let places = names.filter_map(|name| self.parameters.place(name));
        places.collect()
    }

    /// How every likelihood is fitted: from the nominal point and from whatever basin
    /// there is along the parameters of interest.
    pub(super) fn settings(&self) -> FitSettings {
        let search = |parameter| Search {
            parameter,
            points: SEARCH,
        };
        FitSettings {
            searches: self.interest().into_iter().map(search).collect(),
            fixed: self.fixed(),
            ..FitSettings::default()
        }
    }

    /// What may be the reason of a fit that fails.
    fn hint(&self) -> &'static str {
        let m = self.measurement;
        let is_factor = |s: &SystematicConfig| {
            let code = Interpolation::from(s.density_interpolation);
            s.shape && !s.samples.is_empty() && code.is_factor()
        };
        if !m.measurement.renormalise && m.systematics.values().any(is_factor) {
            "; densities interpolated by codes 1 and 4 do not integrate to one: try \
             density_interpolation = \"code4p\" or measurement.renormalise = true"
        } else {
            ""
        }
    }

    /// How a likelihood is fitted close to a best fit.
    pub(super) fn from(&self, best: &Fit) -> FitSettings {
        FitSettings {
            starts: vec![best.point.clone()],
            fixed: self.fixed(),
            ..FitSettings::default()
        }
    }

    /// The best fit; an error if it is none.
    pub(super) fn best(&self, likelihood: &dyn Likelihood) -> Result<Fit> {
        let found = fit(likelihood, &self.settings());
        let best = found.and_then(|best| best.checked().cloned());
        best.map_err(|error| no_fit(format!("{error}{}", self.hint())))
    }

    /// All parameters where one has a value and the others fit best, in the fit's
    /// coordinates; an error if that fit is none.
    pub(super) fn profiled(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        place: usize,
        coordinate: f64,
    ) -> Result<Vec<f64>> {
        let settings = self.from(best).with_fixed(place, coordinate);
        let found = fit(likelihood, &settings).map_err(no_fit)?;
        let value = self.parameters.value(place, coordinate);
        found
            .checked()
            .map_err(|e| no_fit(format!("at {value}: {e}")))?;
        Ok(found.point)
    }

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

    /// A value and its error, of a parameter of a fit; none where the Hessian gives none.
    pub(super) fn measured(&self, best: &Fit, place: usize) -> (f64, Option<f64>) {
        let value = self.reported(place, best.point[place]);
        (value, self.hessian_error(best, place))
    }

    /// A parameter at the best fit, without what the profile says of it.
    fn parameter(&self, parameter: &Parameter, best: &Fit, place: usize) -> ParameterResult {
        let has_kink = best.states.contains(&State::AtKink);
        let error = best.error(place).filter(|_| !has_kink);
        let label = self.parameters.labels.get(place);
        ParameterResult {
            name: parameter.name.clone(),
            label: label.unwrap_or(&parameter.name).clone(),
            is_interest: parameter.role == Role::Interest,
            value: self.reported(place, best.point[place]),
            pull: pull(parameter, best.point[place], error),
            at_bound: matches!(best.states[place], State::AtLower | State::AtUpper),
            ..ParameterResult::default()
        }
    }

    /// What is known of a parameter. The profile of one of interest is followed in any case.
    pub(super) fn known(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        place: usize,
    ) -> Result<ParameterResult, FitError> {
        let parameter = &likelihood.parameters()[place];
        let mut known = self.parameter(parameter, best, place);
        let is_interest = known.is_interest;
        if best.states[place] == State::Fixed {
            known.no_error = Some("it is fixed".to_owned());
            return Ok(known);
        }
        known.error = self.hessian_error(best, place);
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
        known.minos = is_interest.then(|| ends.map(signed));
        let distance = |end: &End| match end {
            End::Crossing(x) => Some((self.reported(place, *x) - value).abs()),
            End::Bound(_) | End::NotFound { .. } => None,
        };
        let sides = ends.map(distance);
        if is_suspicious || sides == [None, None] {
            known.not_measured = self.why_not(likelihood, &settings, best, place, ends)?;
        }
        if known.not_measured.is_some() {
            known.error = None;
            known.no_error.clone_from(&known.not_measured);
        } else {
            [known.error_down, known.error_up] = sides;
        }
        if has_kink {
            let both = known.error_down.zip(known.error_up);
            let error = both.map(|(down, up)| 0.5 * (down + up));
            known.pull = pull(parameter, best.point[place], error);
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
    ) -> Result<Option<String>, FitError> {
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

    /// The best fit as it is reported.
    pub(super) fn fit_result(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        started: Instant,
    ) -> FitResult {
        let n = best.point.len();
        let correlation = |i: usize, j: usize| {
            let product = best.error(i)? * best.error(j)?;
            let covariance = best.covariance_of(i, j)?;
            (product > 0.0).then(|| covariance / product)
        };
        let parameters = likelihood.parameters().iter().enumerate();
        let parameters = parameters.map(|(k, parameter)| {
            let known = self.known(likelihood, best, k);
            known.unwrap_or_else(|e| ParameterResult {
                no_error: Some(format!("the search for its errors failed: {e}")),
                ..self.parameter(parameter, best, k)
            })
        });
        let reported = |point: &[f64]| -> Vec<f64> {
            let all = point.iter().enumerate();
            all.map(|(k, x)| self.reported(k, *x)).collect()
        };
        FitResult {
            nll: best.nll,
            parameters: parameters.collect(),
            correlation: (0..n)
                .map(|i| (0..n).map(|j| correlation(i, j)).collect())
                .collect(),
            gradient: best.projected_gradient,
            other_minima: best
                .others
                .iter()
                .filter(|other| other.is_converged)
                .map(|other| (2.0 * (other.nll - best.nll), reported(&other.point)))
                .collect(),
            evaluations: best.evaluations.gradients + best.evaluations.hessians,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

/// How far a parameter is from its auxiliary measurement, in its errors, with its own.
fn pull(parameter: &Parameter, at: f64, error: Option<f64>) -> Option<(f64, Option<f64>)> {
    let c = parameter.constraint?;
    Some((
        (at - c.centre) / c.width,
        error.map(|error| error / c.width),
    ))
}
