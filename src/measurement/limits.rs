//! CLs upper limits and confidence regions of two parameters.

use super::analyse::no_fit;
use super::model::{Analysis, HistogramRequest, no_likelihood};
use super::result::{ClsPoint, ContourLevel, ContourResult, FitResult, LimitResult};
use crate::error::{Error, Kind, Result};
use crate::settings::{ContourConfig, LimitConfig, Method};
use crate::workspace::{ToyRequest, limits_by_toys};
use rayon::prelude::*;
use sideband_likelihood::asymptotic::{Asymptotics, CLs, DataSet, LimitSettings, UpperStatistic};
use sideband_likelihood::fit::{Fit, contour, reach};
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{CorrelatedPrior, Error as NoLimit, Likelihood, Model};
use std::sync::Arc;

/// How far beyond the outermost region a range reaches that is not given.
const MARGIN: f64 = 1.35;
/// The least that t is there, in units of that of its border.
const LEAST: f64 = 1.2;
/// Points of CLs where the expected limits are, and how far beyond the highest they reach.
const FINE: usize = 21;
const BEYOND: f64 = 1.5;

impl Analysis<'_> {
    /// The upper limit that the configuration asks for. What cannot be had is a reason in the
    /// result, by itself: the rest of it, and the fit, stand without it. `found`: what is known
    /// of the parameters; `scanned`: values of the scan of the parameter. `is_hidden`: the data
    /// are expected ones in the place of observed ones that may not be looked at; then there is
    /// the expected limit alone.
    pub(super) fn limit<D: DataSet>(
        &self,
        config: &LimitConfig,
        is_hidden: bool,
        data: &D,
        (found, scanned): (&FitResult, &[f64]),
    ) -> Option<LimitResult> {
        let place = self.limited(config)?;
        let why = found.parameters[place].not_measured.as_ref();
        let why = why.filter(|_| !self.is_of_limit());
        let name = &self.parameters.list[place].name;
        let why = why.map(|why| format!("{name} is not measured: {why}"));
        let (mut result, tests) = self.limits(config, (place, why), data, !is_hidden);
        if let Some((tests, statistic)) = tests {
            let expected = result.expected.into_iter().flatten().flatten();
            let highest = result.observed.into_iter().chain(expected);
            let highest = highest.fold(None, |most: Option<f64>, x| {
                Some(most.map_or(x, |m| m.max(x)))
            });
            let grid = self.grid(scanned, place, highest);
            let (curve, failed) = self.cls_curve(&tests, statistic, &grid, place);
            result.curve = curve;
            if is_hidden {
                result.curve.iter_mut().for_each(|p| p.observed = None);
            }
            result.reason = match (result.reason.take(), failed) {
                (Some(reasons), Some(failed)) => Some(format!("{reasons}; {failed}")),
                (reasons, failed) => reasons.or(failed),
            };
        }
        Some(result)
    }

    /// Adds limits by toys to asymptotic ones of histograms, which are about these; gives what is
    /// missing of what was asked for, and notes.
    pub(super) fn add_toys(
        &self,
        result: &mut LimitResult,
        asked: &ToyRequest,
        (model, has_observed): (&HistogramModel, bool),
        progress: &(dyn Fn(u64) + Sync),
    ) -> [Vec<String>; 2] {
        let Some(place) = self.parameters.place(&result.parameter) else {
            return [Vec::new(), Vec::new()];
        };
        let mut model = model.clone();
        let (_, own) = model.parameters[place].bounds;
        let bound = result.bound_widened.unwrap_or(own);
        model.parameters[place].bounds.1 = bound;
        let median = result.expected.and_then(|expected| expected[2]);
        let Some(values) = asked.values([result.observed, median], bound) else {
            let text = "no toys were thrown: there is no limit about which they could be";
            return [vec![text.to_owned()], Vec::new()];
        };
        let found = limits_by_toys(
            (&model, place, has_observed),
            (&values, result.confidence_level),
            &self.settings(),
            asked,
            progress,
        );
        match found {
            Ok(toys) => {
                result.toys = Some(toys.record);
                [toys.lost, toys.noted]
            }
            Err(error) => [vec![format!("limits by toys: {error}")], Vec::new()],
        }
    }

    /// The upper limit that histograms alone give, as the exported workspace. `has_observed`:
    /// their counts are data; without them there is the expected limit alone.
    pub(super) fn histogram_limit(
        &self,
        config: &LimitConfig,
        model: &HistogramModel,
        has_observed: bool,
    ) -> Option<LimitResult> {
        let data = HistogramData {
            model: model.clone(),
            prior: self.parameters.prior.clone(),
        };
        let place = self.limited(config)?;
        Some(self.limits(config, (place, None), &data, has_observed).0)
    }

    /// Whether counts alone are fitted, which are expected beyond the bounds of what is limited,
    /// too, and have limits where it is not measured.
    fn is_of_limit(&self) -> bool {
        self.measurement.experiment.method == Method::Limit
    }

    /// Histograms with their data: observed ones, or those that are expected without signal.
    pub(super) fn with_data(
        &self,
        asked: &[HistogramRequest],
        config: &LimitConfig,
        is_observed: bool,
    ) -> Result<HistogramModel> {
        let model = self.histograms(asked)?;
        if is_observed {
            return Ok(model);
        }
        let mut without = model.nominal();
        if let Some(place) = self.limited(config) {
            without[place] = 0.0;
        }
        model.asimov(&without).map_err(no_likelihood)
    }

    /// Place of the parameter that is limited.
    pub(super) fn limited(&self, config: &LimitConfig) -> Option<usize> {
        let interest = &self.measurement.measurement.interest;
        self.parameters
            .place(config.poi.as_ref().unwrap_or(&interest[0]))
    }

    /// The limits of data, and the tests that they come from. `why`: why there are none, if
    /// that is known.
    pub(super) fn limits<D: DataSet>(
        &self,
        config: &LimitConfig,
        (place, why): (usize, Option<String>),
        data: &D,
        has_observed: bool,
    ) -> (LimitResult, Option<(Asymptotics, UpperStatistic)>) {
        let mut result = LimitResult {
            parameter: self.parameters.list[place].name.clone(),
            confidence_level: config.confidence_level,
            test_stat: config.test_stat,
            observed: None,
            expected: None,
            reason: why,
            bound_widened: None,
            curve: Vec::new(),
            toys: None,
        };
        if result.reason.is_some() {
            return (result, None);
        }
        let asked = LimitSettings {
            level: config.confidence_level,
            statistic: config.test_stat.into(),
            strict_bounds: !self.is_of_limit(),
        };
        let none = self.parameters.coordinate(place, 0.0);
        let tests = Asymptotics::new(data, place, none, &self.settings());
        let both = tests.and_then(|tests| {
            let limits = tests.limits_with(&asked)?;
            Ok((tests, limits))
        });
        let (tests, limits) = match both {
            Ok(both) => both,
            Err(error) => {
                result.reason = Some(self.explained(place, &error));
                return (result, None);
            }
        };
        let mut reasons = Vec::new();
        let mut value = |found: Result<f64, NoLimit>| match found {
            Ok(coordinate) => Some(self.parameters.value(place, coordinate)),
            Err(error) => {
                reasons.push(self.explained(place, &error));
                None
            }
        };
        if has_observed {
            result.observed = value(limits.observed);
        }
        let expected = limits.expected.map(value);
        result.expected = expected.iter().any(Option::is_some).then_some(expected);
        result.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        result.bound_widened = limits.bound_widened;
        (result, Some((tests, asked.statistic)))
    }

    /// An error in units of the parameter, with what to change.
    fn explained(&self, place: usize, error: &NoLimit) -> String {
        match error {
            NoLimit::BeyondBounds { which, bound } => {
                let name = &self.parameters.list[place].name;
                let bound = self.parameters.value(place, *bound);
                format!(
                    "{which} upper limit lies above {bound}, the upper bound of {name}: widen \
                     parameters.{name}.bounds"
                )
            }
            other => other.to_string(),
        }
    }

    /// The values of the scan, and some more up to where the limits are, which may be far from
    /// the best fit; in the fit's coordinate, rising.
    fn grid(&self, scanned: &[f64], place: usize, highest: Option<f64>) -> Vec<f64> {
        let coordinate = |value: f64| self.parameters.coordinate(place, value);
        let mut grid: Vec<f64> = scanned.iter().map(|value| coordinate(*value)).collect();
        let (low, high) = self.parameters.list[place].bounds;
        if let Some(highest) = highest {
            let [a, b] = [0.0, BEYOND * highest].map(|x| coordinate(x).clamp(low, high));
            grid.extend(self.evenly(place, [a.min(b), a.max(b)], FINE));
        }
        grid.retain(|x| (low..=high).contains(x));
        grid.sort_by(f64::total_cmp);
        grid.dedup();
        grid
    }

    /// CLs at values in the fit's coordinate, and how many could not be had.
    fn cls_curve(
        &self,
        tests: &Asymptotics,
        statistic: UpperStatistic,
        grid: &[f64],
        place: usize,
    ) -> (Vec<ClsPoint>, Option<String>) {
        let found = grid.par_iter().map(|at| tests.cls(*at, statistic));
        let found: Vec<Result<CLs, NoLimit>> = found.collect();
        let all = found.len();
        let known = found.into_iter().filter_map(Result::ok);
        let known = known.filter(|cls| cls.observed.is_finite());
        let points: Vec<ClsPoint> = known
            .map(|cls| ClsPoint {
                value: self.parameters.value(place, cls.mu),
                observed: Some(cls.observed),
                expected: cls.expected,
            })
            .collect();
        let lost = all - points.len();
        let text = format!("CLs could not be found at {lost} of {all} values of its curve");
        (points, (lost > 0).then_some(text))
    }

    /// The regions of two parameters that the configuration asks for; a reason in the result
    /// where they cannot be had.
    pub(super) fn regions(
        &self,
        config: &ContourConfig,
        likelihood: &dyn Likelihood,
        (best, found): (&Fit, &FitResult),
    ) -> ContourResult {
        let known = config.parameters.iter();
        let known = known.filter_map(|name| found.parameters.iter().find(|p| p.name == *name));
        // where two share a valley, the region is what shows it
        let is_valley = known.clone().all(|q| q.not_measured.is_some())
            && best.flat.iter().all(|f| f.parameters.len() > 1);
        let unknown = known.filter(|_| !is_valley).find_map(|p| {
            let why = p.not_measured.as_ref()?;
            Some(format!("{} is not measured: {why}", p.name))
        });
        let made = match unknown {
            Some(why) => Err(Error::new(Kind::NotMeasured, why)),
            None => self.region(config, likelihood, best),
        };
        made.unwrap_or_else(|error| ContourResult {
            parameters: config.parameters.clone(),
            labels: config.parameters.clone(),
            reason: Some(error.to_string()),
            ..ContourResult::default()
        })
    }

    fn region(
        &self,
        config: &ContourConfig,
        likelihood: &dyn Likelihood,
        best: &Fit,
    ) -> Result<ContourResult> {
        let place = |name: &String| {
            let missing = || {
                let text = format!("there is no {name}");
                Error::config_at("measurement.contours", text)
            };
            self.parameters.place(name).ok_or_else(missing)
        };
        let [first, second] = &config.parameters;
        let places = [place(first)?, place(second)?];
        let outermost = config.confidence_levels.iter().copied().fold(0.0, f64::max);
        let settings = self.settings();
        let along = |place: usize| {
            let parameter = &self.parameters.list[place];
            let (low, high) = parameter.bounds;
            let range = match config.range.get(&parameter.name) {
                Some(given) => given.map(|x| self.parameters.coordinate(place, x).clamp(low, high)),
                None => {
                    // the region is not drawn to its edge: t is above that of its border there
                    let wanted = (LEAST * border(outermost), MARGIN * border(outermost).sqrt());
                    reach(likelihood, &settings, best, place, wanted).map_err(no_fit)?
                }
            };
            Ok::<_, Error>(self.evenly(place, range, config.points))
        };
        let grids = [along(places[0])?, along(places[1])?];
        let found = contour(likelihood, &settings, best, places, [&grids[0], &grids[1]]);
        let found = found.map_err(no_fit)?;
        let value = |k: usize, at: f64| self.parameters.value(places[k], at);
        let rows = found.points.chunks(grids[1].len());
        let level = |level: &f64| ContourLevel {
            level: *level,
            t: border(*level),
        };
        Ok(ContourResult {
            parameters: config.parameters.clone(),
            labels: places.map(|place| self.parameters.labels[place].clone()),
            best: [0, 1].map(|k| value(k, found.best.point[places[k]])),
            levels: config.confidence_levels.iter().map(level).collect(),
            values: [0, 1].map(|k| grids[k].iter().map(|at| value(k, *at)).collect()),
            t: rows
                .map(|row| row.iter().map(|p| p.t.as_ref().ok().copied()).collect())
                .collect(),
            deeper_at: found.deeper_at.map(|at| [value(0, at[0]), value(1, at[1])]),
            reason: None,
        })
    }
}

/// Histograms with the correlations of the auxiliary measurements.
pub(super) struct HistogramData {
    pub model: HistogramModel,
    pub prior: Option<Arc<CorrelatedPrior>>,
}

impl DataSet for HistogramData {
    type Error = NoLimit;

    fn likelihood(&self) -> Model {
        self.model.likelihood().with_prior(self.prior.clone())
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, NoLimit> {
        Ok(Self {
            model: self.model.asimov(point)?,
            prior: self.prior.clone(),
        })
    }
}

/// t at the border of a region of two parameters: the quantile of chi-square with two
/// degrees of freedom.
fn border(level: f64) -> f64 {
    -2.0 * (-level).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_those_of_two_degrees_of_freedom() {
        assert!((border(0.6827) - 2.2957).abs() < 1e-3);
        assert!((border(0.9545) - 6.1801).abs() < 1e-3);
    }
}
