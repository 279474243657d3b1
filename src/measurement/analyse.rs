//! From a likelihood to numbers: fit, scans, intervals, impacts.

use super::known::Known;
use super::model::Parameters;
use super::result::{
    Curve, ErrorSource, FitResult, ImpactResult, ImpactsResult, IntervalSet, ParameterResult,
    ScanResult,
};
use crate::error::{Error, Kind, Result};
use crate::settings::{InterpolationCode, Measurement, SystematicConfig};
use indexmap::IndexMap;
use sideband_likelihood::fit::{
    End, Fit, FitSettings, Group, ImpactSettings, Impacts, Scan, ScanSettings, Search, State,
    confidence_set, fit, impacts, reach, scan,
};
use sideband_likelihood::{Likelihood, Role};
use std::fmt::Display;
use std::time::Instant;

/// Values of a parameter of interest among which basins are looked for.
const SEARCH: usize = 9;
/// Errors on both sides of the best fit that a scan covers, if no range is given.
const REACH: f64 = 4.0;
/// t that a scan without a given range exceeds at its ends, unless a bound comes before:
/// beyond every level of [`LEVELS`], and where curves are compared. The most that it may
/// be there, so that the points lie where they are looked at, is [`FARTHEST`] times it.
const NEEDED: f64 = 9.0;
const FARTHEST: f64 = 7.0;
/// Scans that may be redone because a search between their points found a deeper minimum.
const REDONE: usize = 3;
/// Levels of intervals, and where t crosses them.
pub(super) const LEVELS: [(f64, f64); 2] = [(0.6827, 1.0), (0.9545, 4.0)];

/// Looks at likelihoods of one measurement.
pub(super) struct Analyst<'a> {
    pub measurement: &'a Measurement,
    pub parameters: &'a Parameters,
}

/// The fit to the observed events failed.
pub(super) fn no_fit(error: impl Display) -> Error {
    let text = format!("the fit to the observed events failed: {error}");
    Error::new(Kind::Fit, text)
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

    /// A value and its error, of a parameter of a fit; none where the Hessian gives none.
    pub(super) fn measured(&self, best: &Fit, place: usize) -> (f64, Option<f64>) {
        let value = self.reported(place, best.point[place]);
        (value, self.hessian_error(best, place))
    }

    /// The range of a scan in the fit's coordinate: as given, or as far as the profile is
    /// of interest.
    pub(super) fn range(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        best: &Fit,
        place: usize,
    ) -> Result<[f64; 2]> {
        if let Some(given) = self.given_range(place) {
            return Ok(given);
        }
        let wanted = (NEEDED, REACH);
        reach(likelihood, settings, best, place, wanted).map_err(no_fit)
    }

    /// The range of a scan that the configuration gives, within the bounds.
    fn given_range(&self, place: usize) -> Option<[f64; 2]> {
        let ranges = &self.measurement.measurement.scan_range;
        let parameter = self.parameters.list.get(place)?;
        let range = ranges.get(&parameter.name)?;
        let (low, high) = parameter.bounds;
        Some(range.map(|x| self.parameters.coordinate(place, x).clamp(low, high)))
    }

    /// The range of a scan as the Hessian has it; none where it says nothing.
    fn hessian_range(&self, best: &Fit, place: usize) -> Option<[f64; 2]> {
        let error = best
            .error(place)
            .filter(|_| self.hessian_error(best, place).is_some())?;
        let (low, high) = self.parameters.list[place].bounds;
        Some([-REACH, REACH].map(|n| (best.point[place] + n * error).clamp(low, high)))
    }

    /// Values of a parameter in the fit's coordinate, evenly spaced in its own between two
    /// ends in the fit's.
    pub(super) fn evenly(&self, place: usize, [from, to]: [f64; 2], points: usize) -> Vec<f64> {
        let (low, high) = (self.reported(place, from), self.reported(place, to));
        let steps = (points - 1) as f64;
        let coordinate = |i: usize| {
            let value = low + (high - low) * i as f64 / steps;
            let found = self.parameters.coordinate(place, value);
            found.clamp(from, to)
        };
        let mut values: Vec<f64> = (0..points).map(coordinate).collect();
        // ends are what they are, whatever a root rounds
        if let [first, .., last] = values.as_mut_slice() {
            (*first, *last) = (from, to);
        }
        values
    }

    /// Whether a scan shows all that is of interest: it ends on bounds or where t is high,
    /// though not too high, and holds the other minima.
    fn is_covered(&self, found: &Scan, place: usize) -> bool {
        let [first, .., last] = found.curve.as_slice() else {
            return false;
        };
        let (low, high) = self.parameters.list[place].bounds;
        let is_end = |p: &sideband_likelihood::fit::ScanPoint, bound: f64| {
            p.value == bound || (NEEDED..=FARTHEST * NEEDED).contains(&p.t)
        };
        let others = found.best.others.iter();
        let mut others =
            others.filter(|o| o.is_converged && 2.0 * (o.nll - found.best.nll) < NEEDED);
        is_end(first, low)
            && is_end(last, high)
            && others.all(|o| (first.value..=last.value).contains(&o.point[place]))
    }

    /// A scan over a range that covers what is of interest.
    fn covering_scan(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        best: &Fit,
        place: usize,
    ) -> Result<Scan> {
        let points = self.measurement.measurement.scan_points;
        let over = |range: [f64; 2], best: &Fit| {
            let asked = ScanSettings {
                parameter: place,
                grid: self.evenly(place, range, points),
            };
            scan(likelihood, settings, best, &asked).map_err(no_fit)
        };
        if let Some(given) = self.given_range(place) {
            return over(given, best);
        }
        let mut best = best.clone();
        if let Some(range) = self.hessian_range(&best, place) {
            let found = over(range, &best)?;
            if self.is_covered(&found, place) {
                return Ok(found);
            }
            // a deeper minimum on the way is kept, and the others that are known
            best = Fit {
                others: best.others,
                ..found.best
            };
        }
        over(self.range(likelihood, settings, &best, place)?, &best)
    }

    /// A scan of one likelihood, and the confidence sets from it.
    pub(super) fn curve(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        best: &Fit,
        place: usize,
    ) -> Result<(Scan, Curve, Vec<IntervalSet>)> {
        let mut found = self.covering_scan(likelihood, settings, best, place)?;
        for _ in 0..REDONE {
            let (sets, deeper) = self.sets(likelihood, settings, &found)?;
            let Some(deeper) = deeper else {
                return Ok(self.as_curve(found, sets));
            };
            let mut grid: Vec<f64> = found.curve.iter().map(|p| p.value).collect();
            grid.extend(found.failed.iter().map(|p| p.value));
            grid.push(deeper);
            let asked = ScanSettings {
                parameter: place,
                grid,
            };
            found = scan(likelihood, settings, &found.best, &asked).map_err(no_fit)?;
        }
        let (sets, _) = self.sets(likelihood, settings, &found)?;
        Ok(self.as_curve(found, sets))
    }

    fn as_curve(&self, found: Scan, sets: Vec<IntervalSet>) -> (Scan, Curve, Vec<IntervalSet>) {
        let place = found.parameter;
        let (value, error) = self.measured(&found.best, place);
        let points = found.curve.iter();
        let curve = Curve {
            best: value,
            error,
            points: points
                .map(|p| [self.parameters.value(place, p.value), p.t])
                .collect(),
        };
        (found, curve, sets)
    }

    /// The confidence sets of a scan, and a value where the likelihood is higher than at
    /// its best fit if one was met.
    fn sets(
        &self,
        likelihood: &dyn Likelihood,
        settings: &FitSettings,
        found: &Scan,
    ) -> Result<(Vec<IntervalSet>, Option<f64>)> {
        let mut sets = Vec::new();
        let mut deeper = None;
        for (level, t) in LEVELS {
            let set = confidence_set(likelihood, settings, found, t).map_err(no_fit)?;
            let value = |x: f64| self.parameters.value(found.parameter, x);
            let end = |end: &End| end.value().map(value);
            deeper = deeper.or(set.deeper_at);
            sets.push(IntervalSet {
                level,
                intervals: set
                    .intervals
                    .iter()
                    .map(|[low, high]| [end(low), end(high)])
                    .collect(),
            });
        }
        Ok((sets, deeper))
    }

    /// The profile scan of one parameter, and the scan with the nuisance parameters at
    /// their best fit. The best fit is the scan's if that is deeper.
    pub(super) fn scan(
        &self,
        likelihood: &dyn Likelihood,
        best: &mut Fit,
        place: usize,
    ) -> Result<ScanResult> {
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
            let name = "statistical".to_owned();
            let alone = fit(likelihood, &frozen).map_err(no_fit);
            let found = alone.and_then(|alone| self.curve(likelihood, &frozen, &alone, place));
            match found {
                Ok((_, curve, sets)) => {
                    result.curves.insert(name.clone(), curve);
                    result.intervals.insert(name, sets);
                }
                Err(reason) => {
                    result.missing.insert(name, reason.to_string());
                }
            }
        }
        Ok(result)
    }

    /// The best fit as it is reported.
    pub(super) fn fit_result(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        started: Instant,
    ) -> Result<FitResult> {
        let n = best.point.len();
        let correlation = |i: usize, j: usize| {
            let product = best.error(i)? * best.error(j)?;
            let covariance = best.covariance_of(i, j)?;
            (product > 0.0).then(|| covariance / product)
        };
        let mut parameters = Vec::new();
        for (k, parameter) in likelihood.parameters().iter().enumerate() {
            let is_interest = parameter.role == Role::Interest;
            let known = self.known(likelihood, best, k, is_interest);
            let known = known.unwrap_or_else(|e| Known {
                no_error: Some(format!("the search for its errors failed: {e}")),
                ..Known::default()
            });
            let [error_down, error_up] = known.sides;
            let of_profile = error_down.zip(error_up).map(|(d, u)| 0.5 * (d + u));
            let has_kink = best.states.contains(&State::AtKink);
            let pull_error = if has_kink { of_profile } else { best.error(k) };
            parameters.push(ParameterResult {
                name: parameter.name.clone(),
                label: self
                    .parameters
                    .labels
                    .get(k)
                    .unwrap_or(&parameter.name)
                    .clone(),
                is_interest,
                value: self.reported(k, best.point[k]),
                error: known.error,
                error_down,
                error_up,
                no_error: known.no_error,
                not_measured: known.not_measured,
                minos: known.ends.filter(|_| is_interest),
                pull: parameter.constraint.map(|c| {
                    let error = pull_error.map(|error| error / c.width);
                    ((best.point[k] - c.centre) / c.width, error)
                }),
                at_bound: matches!(best.states[k], State::AtLower | State::AtUpper),
            });
        }
        let reported = |point: &[f64]| -> Vec<f64> {
            let all = point.iter().enumerate();
            all.map(|(k, x)| self.reported(k, *x)).collect()
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

    /// Impacts on all parameters of interest that are measured, in their own units.
    /// `found`: what is known of the parameters.
    pub(super) fn impacts(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        found: &FitResult,
    ) -> Result<IndexMap<String, ImpactsResult>> {
        let parameters = likelihood.parameters();
        let mut interest = self.interest();
        interest.retain(|place| {
            let is_measured = found.parameters[*place].not_measured.is_none();
            let state = best.states[*place];
            is_measured && !matches!(state, State::Fixed | State::Unmeasured)
        });
        if interest.is_empty() {
            return Ok(IndexMap::new());
        }
        let asked = ImpactSettings {
            interest,
            groups: self.groups(parameters.len()),
        };
        let refits = self.from(best);
        let impacts = impacts(likelihood, &refits, best, &asked).map_err(no_fit)?;
        let mut all = IndexMap::new();
        for of in &impacts {
            let result = match self.hessian_error(best, of.parameter) {
                Some(_) => self.by_hessian(likelihood, best, of),
                None => self.by_profile(likelihood, best, (of, &asked.groups), found),
            };
            all.insert(parameters[of.parameter].name.clone(), result);
        }
        Ok(all)
    }

    /// The ranking in units of the parameter of interest; `unit`: a small change of its
    /// coordinate in them, none where a small change says nothing.
    fn ranking(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        of: &Impacts,
        unit: Option<f64>,
    ) -> Vec<ImpactResult> {
        let (place, at) = (of.parameter, best.point[of.parameter]);
        let moved = |x: f64| self.reported(place, at + x) - self.reported(place, at);
        let small = |x: Option<f64>| Some(unit? * x?);
        let ranking = of.ranking.iter().map(|impact| ImpactResult {
            name: likelihood.parameters()[impact.parameter].name.clone(),
            post_fit: small(impact.post_fit),
            unprofiled: small(impact.unprofiled),
            pre_fit: small(impact.pre_fit),
            refit: impact.refit.map(|shift| shift.map(moved)),
        });
        ranking.collect()
    }

    fn by_hessian(&self, likelihood: &dyn Likelihood, best: &Fit, of: &Impacts) -> ImpactsResult {
        let unit = self
            .parameters
            .error(of.parameter, best.point[of.parameter], 1.0);
        let groups = of.groups.iter();
        ImpactsResult {
            from: ErrorSource::Hessian,
            error: of.error.map(|x| unit * x),
            statistical: of.statistical.map(|x| unit * x),
            ranking: self.ranking(likelihood, best, of, Some(unit)),
            groups: groups
                .map(|g| (g.name.clone(), g.impact.map(|x| unit * x)))
                .collect(),
        }
    }

    /// Errors from the profile, on the side where there is one: those of a parameter on a
    /// bound.
    fn by_profile(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        (of, groups): (&Impacts, &[Group]),
        found: &FitResult,
    ) -> ImpactsResult {
        let parameter = &found.parameters[of.parameter];
        let (from, direction, error) = match (parameter.error_up, parameter.error_down) {
            (None, Some(down)) => (ErrorSource::ProfileDown, -1.0, Some(down)),
            (up, _) => (ErrorSource::ProfileUp, 1.0, up),
        };
        let side = (of.parameter, direction);
        let without = |frozen: &[usize]| self.one_sided(likelihood, best, side, frozen);
        let nuisances: Vec<usize> = of.ranking.iter().map(|i| i.parameter).collect();
        let impact = |group: &Group| {
            let (error, frozen) = error.zip(without(&group.parameters))?;
            Some((error * error - frozen * frozen).max(0.0).sqrt())
        };
        ImpactsResult {
            from,
            error,
            statistical: without(&nuisances),
            ranking: self.ranking(likelihood, best, of, None),
            groups: groups.iter().map(|g| (g.name.clone(), impact(g))).collect(),
        }
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
/// the second that the first reaches; between points of the first, its root goes on as a
/// straight line, as that of a parabola does.
pub(super) fn largest_difference(one: &Curve, other: &Curve, below: f64) -> Option<f64> {
    let root = |p: &[f64; 2]| p[1].sqrt() * if p[0] < one.best { -1.0 } else { 1.0 };
    let find = |x: f64| {
        let same = |p: &&[f64; 2]| (p[0] - x).abs() <= 1e-9 * (1.0 + x.abs());
        let between = |pair: &&[[f64; 2]]| pair[0][0] < x && x < pair[1][0];
        let known = one.points.iter().find(same).map(|p| p[1]);
        known.or_else(|| {
            let pair = one.points.windows(2).find(between)?;
            let u = (x - pair[0][0]) / (pair[1][0] - pair[0][0]);
            Some(((1.0 - u) * root(&pair[0]) + u * root(&pair[1])).powi(2))
        })
    };
    let inside = other.points.iter().filter(|p| p[1] < below);
    let differences = inside.filter_map(|p| Some((find(p[0])? - p[1]).abs()));
    differences.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_other_points_are_compared() {
        let parabola = |best: f64, from: f64| Curve {
            best,
            error: Some(1.0),
            points: (0..9)
                .map(|i| from + f64::from(i))
                .map(|x| [x, (x - best).powi(2)])
                .collect(),
        };
        let (one, other) = (parabola(0.0, -4.3), parabola(0.0, -4.0));
        assert!(largest_difference(&one, &other, 9.0).is_some_and(|d| d < 1e-12));
        // moved by a tenth: 2 * 0.1 * 2 + 0.01 at two errors
        let moved = parabola(0.1, -4.3);
        let found = largest_difference(&moved, &other, 9.0);
        assert!(found.is_some_and(|d| (d - 0.41).abs() < 1e-9), "{found:?}");
    }
}
