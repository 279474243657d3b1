//! From a likelihood to numbers: fit, scans, intervals, impacts.

use super::error::MeasureError;
use super::model::Parameters;
use super::result::{
    Curve, FitResult, ImpactResult, ImpactsResult, IntervalSet, ParameterResult, ScanResult,
};
use crate::config::{InterpolationCode, Measurement, SystematicConfig};
use crate::inference::fit::{
    End, Fit, FitError, FitSettings, Group, ImpactSettings, Scan, ScanSettings, Search, Shift,
    State, confidence_set, fit, impacts, minos, scan,
};
use crate::inference::{Likelihood, Role};
use indexmap::IndexMap;
use std::time::Instant;

/// Values of a parameter of interest among which basins are looked for.
const SEARCH: usize = 9;
/// Errors on both sides of the best fit that a scan covers, if no range is given.
const REACH: f64 = 4.0;
/// Levels of intervals, and where t crosses them.
pub(super) const LEVELS: [(f64, f64); 2] = [(0.6827, 1.0), (0.9545, 4.0)];

/// Looks at likelihoods of one measurement.
pub(super) struct Analyst<'a> {
    pub measurement: &'a Measurement,
    pub parameters: &'a Parameters,
}

fn failed(error: FitError) -> MeasureError {
    MeasureError::Fit(error.to_string())
}

impl Analyst<'_> {
    /// Places of the parameters of interest.
    pub(super) fn interest(&self) -> Vec<usize> {
        let names = self.measurement.measurement.interest.iter();
        names
            .filter_map(|name| self.parameters.place(name))
            .collect()
    }

    /// How every likelihood is fitted: from the nominal point and from whatever basin
    /// there is along the parameters of interest.
    pub(super) fn settings(&self) -> FitSettings {
        FitSettings {
            searches: self
                .interest()
                .into_iter()
                .map(|parameter| Search {
                    parameter,
                    points: SEARCH,
                })
                .collect(),
            fixed: self.fixed(),
            ..FitSettings::default()
        }
    }

    /// What may be the reason of a fit that fails.
    fn hint(&self) -> &'static str {
        let m = self.measurement;
        let is_factor = |s: &SystematicConfig| {
            let codes = [InterpolationCode::Code1, InterpolationCode::Code4];
            s.shape && !s.samples.is_empty() && codes.contains(&s.density_interpolation)
        };
        if !m.measurement.renormalise && m.systematics.values().any(is_factor) {
            "; densities interpolated by codes 1 and 4 do not integrate to one: try \
             density_interpolation = \"code4p\" or measurement.renormalise = true"
        } else {
            ""
        }
    }

    /// Parameters that no fit moves, at their nominal values.
    fn fixed(&self) -> Vec<(usize, f64)> {
        let names = self.measurement.measurement.fixed.iter();
        names
            .filter_map(|name| self.parameters.place(name))
            .map(|place| (place, self.parameters.list[place].nominal))
            .collect()
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
    pub(super) fn best(&self, likelihood: &dyn Likelihood) -> Result<Fit, MeasureError> {
        let found = fit(likelihood, &self.settings());
        let best = found.and_then(|best| best.checked().cloned());
        best.map_err(|error| MeasureError::Fit(format!("{error}{}", self.hint())))
    }

    /// All parameters where one has a value and the others fit best, in the fit's
    /// coordinates; an error if that fit is none.
    pub(super) fn profiled(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        place: usize,
        coordinate: f64,
    ) -> Result<Vec<f64>, MeasureError> {
        let settings = self.from(best).with_fixed(place, coordinate);
        let found = fit(likelihood, &settings).map_err(failed)?;
        let value = self.parameters.value(place, coordinate);
        found
            .checked()
            .map_err(|e| MeasureError::Fit(format!("at {value}: {e}")))?;
        Ok(found.point)
    }

    /// A value and its error, of a parameter of a fit.
    pub(super) fn measured(&self, best: &Fit, place: usize) -> (f64, f64) {
        let at = best.point[place];
        let error = best.error(place).unwrap_or(f64::NAN);
        if place >= self.parameters.list.len() {
            return (at, error);
        }
        (
            self.parameters.value(place, at),
            self.parameters.error(place, at, error),
        )
    }

    /// The grid of a scan, in the fit's coordinate.
    pub(super) fn grid(&self, best: &Fit, place: usize) -> Vec<f64> {
        let m = &self.measurement.measurement;
        let range = m.scan_range.get(&self.parameters.list[place].name).copied();
        self.grid_over(best, place, (range, REACH), m.scan_points)
    }

    /// Values of a parameter in the fit's coordinate, evenly spaced in its own: over a
    /// range, or over so many errors on both sides of the best fit.
    pub(super) fn grid_over(
        &self,
        best: &Fit,
        place: usize,
        (range, reach): (Option<[f64; 2]>, f64),
        points: usize,
    ) -> Vec<f64> {
        let parameter = &self.parameters.list[place];
        let (value, error) = self.measured(best, place);
        let lowest = self.parameters.value(place, parameter.bounds.0);
        let highest = self.parameters.value(place, parameter.bounds.1);
        let [low, high] = range.unwrap_or([value - reach * error, value + reach * error]);
        let (low, high) = (low.max(lowest), high.min(highest));
        let steps = (points - 1) as f64;
        (0..points)
            .map(|i| {
                let value = low + (high - low) * i as f64 / steps;
                self.parameters
                    .coordinate(place, value)
                    .clamp(parameter.bounds.0, parameter.bounds.1)
            })
            .collect()
    }

    /// A scan of one likelihood, and the confidence sets from it.
    pub(super) fn curve(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        best: &Fit,
        place: usize,
    ) -> Result<(Scan, Curve, Vec<IntervalSet>), MeasureError> {
        let asked = ScanSettings {
            parameter: place,
            grid: self.grid(best, place),
            thorough: false,
        };
        let found = scan(likelihood, settings, best, &asked).map_err(failed)?;
        let (value, error) = self.measured(&found.best, place);
        let points = found.curve.iter();
        let curve = Curve {
            best: value,
            error,
            points: points
                .map(|p| [self.parameters.value(place, p.value), p.t])
                .collect(),
        };
        let mut sets = Vec::new();
        for (level, t) in LEVELS {
            let set = confidence_set(likelihood, settings, &found, t).map_err(failed)?;
            let end = |end: &End| end.value().map(|x| self.parameters.value(place, x));
            sets.push(IntervalSet {
                level,
                intervals: set
                    .intervals
                    .iter()
                    .map(|[low, high]| [end(low), end(high)])
                    .collect(),
            });
        }
        Ok((found, curve, sets))
    }

    /// The profile scan of one parameter, and the scan with the nuisance parameters at
    /// their best fit. The best fit is the scan's if that is deeper.
    pub(super) fn scan(
        &self,
        likelihood: &dyn Likelihood,
        best: &mut Fit,
        place: usize,
    ) -> Result<ScanResult, MeasureError> {
        let settings = self.settings();
        let (found, curve, sets) = self.curve(likelihood, &settings, best, place)?;
        *best = found.best.clone();
        let mut result = ScanResult {
            failed: found
                .failed
                .iter()
                .map(|p| self.parameters.value(place, p.value))
                .collect(),
            deeper_at: found
                .deeper_at
                .iter()
                .map(|x| self.parameters.value(place, *x))
                .collect(),
            ..ScanResult::default()
        };
        result.curves.insert("profiled".to_owned(), curve);
        result.intervals.insert("profiled".to_owned(), sets);
        let mut frozen = self.from(best);
        for (k, parameter) in likelihood.parameters().iter().enumerate() {
            if parameter.role == Role::Nuisance {
                frozen = frozen.with_fixed(k, best.point[k]);
            }
        }
        if likelihood
            .parameters()
            .iter()
            .any(|p| p.role == Role::Nuisance)
        {
            let alone = fit(likelihood, &frozen).map_err(failed)?;
            let (_, curve, sets) = self.curve(likelihood, &frozen, &alone, place)?;
            result.curves.insert("statistical".to_owned(), curve);
            result.intervals.insert("statistical".to_owned(), sets);
        }
        Ok(result)
    }

    /// The best fit as it is reported.
    pub(super) fn fit_result(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        started: Instant,
    ) -> Result<FitResult, MeasureError> {
        let n = best.point.len();
        let errors: Vec<f64> = (0..n).map(|k| best.error(k).unwrap_or(0.0)).collect();
        let correlation = |i: usize, j: usize| {
            let product = errors[i] * errors[j];
            let covariance = best.covariance_of(i, j).unwrap_or(0.0);
            if product > 0.0 {
                covariance / product
            } else {
                f64::from(u8::from(i == j))
            }
        };
        let mut parameters = Vec::new();
        for (k, parameter) in likelihood.parameters().iter().enumerate() {
            let (value, error) = self.measured(best, k);
            let is_interest = parameter.role == Role::Interest;
            let ends = match is_interest {
                true => Some(self.minos(likelihood, best, k, value)?),
                false => None,
            };
            parameters.push(ParameterResult {
                name: parameter.name.clone(),
                label: self
                    .parameters
                    .labels
                    .get(k)
                    .unwrap_or(&parameter.name)
                    .clone(),
                is_interest,
                value,
                error,
                minos: ends,
                pull: parameter
                    .constraint
                    .map(|c| [(best.point[k] - c.centre) / c.width, errors[k] / c.width]),
                at_bound: matches!(best.states[k], State::AtLower | State::AtUpper),
            });
        }
        let reported = |point: &[f64]| -> Vec<f64> {
            let all = point.iter().enumerate();
            all.map(|(k, x)| match self.parameters.list.get(k) {
                Some(_) => self.parameters.value(k, *x),
                None => *x,
            })
            .collect()
        };
        Ok(FitResult {
            nll: best.nll,
            parameters,
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
        })
    }

    fn minos(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        place: usize,
        value: f64,
    ) -> Result<[Option<f64>; 2], MeasureError> {
        let found = minos(likelihood, &self.settings(), best, place, 1.0).map_err(failed)?;
        let distance = |end: &End| {
            let at = end.value()?;
            Some(self.parameters.value(place, at) - value)
        };
        Ok([distance(&found.lower), distance(&found.upper)])
    }

    /// Impacts on all parameters of interest, in their own units.
    pub(super) fn impacts(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
    ) -> Result<IndexMap<String, ImpactsResult>, MeasureError> {
        let parameters = likelihood.parameters();
        let mut interest = self.interest();
        // what ended on a bound has no error that could be shared out
        interest.retain(|place| best.states[*place] == State::Free);
        if interest.is_empty() {
            return Ok(IndexMap::new());
        }
        let asked = ImpactSettings {
            interest,
            groups: self.groups(parameters.len()),
            refit: true,
        };
        let refits = self.from(best);
        let found = impacts(likelihood, &refits, best, &asked).map_err(failed)?;
        let mut all = IndexMap::new();
        for of in &found.impacts {
            let place = of.parameter;
            let at = best.point[place];
            // a small change of the coordinate in units of the parameter
            let unit = self.parameters.error(place, at, 1.0);
            let moved = |shift: &Shift| match shift {
                Shift::By(x) => {
                    let (before, after) = (
                        self.parameters.value(place, at),
                        self.parameters.value(place, at + x),
                    );
                    Some(after - before)
                }
                Shift::OutsideBounds | Shift::Failed(_) => None,
            };
            let ranking = of.ranking.iter().map(|impact| ImpactResult {
                name: parameters[impact.parameter].name.clone(),
                post_fit: unit * impact.post_fit,
                unprofiled: unit * impact.unprofiled,
                pre_fit: impact.pre_fit.map(|x| unit * x),
                refit: impact
                    .post_fit_refit
                    .as_ref()
                    .map_or([None, None], |[up, down]| [moved(up), moved(down)]),
            });
            let result = ImpactsResult {
                error: unit * of.error,
                statistical: unit * of.statistical,
                ranking: ranking.collect(),
                groups: of
                    .groups
                    .iter()
                    .map(|g| (g.name.clone(), unit * g.impact))
                    .collect(),
            };
            all.insert(parameters[place].name.clone(), result);
        }
        Ok(all)
    }

    /// Groups of the configuration, and the statistical errors of bins.
    fn groups(&self, parameters: usize) -> Vec<Group> {
        let mut groups: IndexMap<String, Vec<usize>> = IndexMap::new();
        for (name, systematic) in &self.measurement.systematics {
            if let (Some(group), Some(place)) = (&systematic.group, self.parameters.place(name)) {
                groups.entry(group.clone()).or_default().push(place);
            }
        }
        let bins: Vec<usize> = (self.parameters.list.len()..parameters).collect();
        if !bins.is_empty() {
            groups.insert("statistics of the simulation".to_owned(), bins);
        }
        let group = |(name, parameters)| Group { name, parameters };
        groups.into_iter().map(group).collect()
    }
}

/// Largest difference of two curves where the second is below a level, at the points of
/// the second.
pub(super) fn largest_difference(one: &Curve, other: &Curve, below: f64) -> Option<f64> {
    let find = |x: f64| {
        let same = |p: &&[f64; 2]| (p[0] - x).abs() <= 1e-9 * (1.0 + x.abs());
        one.points.iter().find(same).map(|p| p[1])
    };
    let inside = other.points.iter().filter(|p| p[1] < below);
    let differences = inside.filter_map(|p| Some((find(p[0])? - p[1]).abs()));
    differences.max_by(f64::total_cmp)
}
