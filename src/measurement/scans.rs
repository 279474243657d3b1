//! Profile likelihoods of single parameters and the confidence sets from them, and curves
//! beside the learned one: of histograms alone, and of exact ratios where they are known.

use super::analyse::no_fit;
use super::events::Events;
use super::likelihoods::impossible;
use super::model::{Analysis, HistogramRequest, model};
use super::result::{Curve, IntervalSet, LEVELS, ScanResult};
use crate::error::Result;
use crate::truth;
use indexmap::IndexMap;
use sideband_likelihood::fit::{
    End, Fit, FitSettings, Scan, ScanPoint, ScanSettings, confidence_set, fit, reach, scan,
};
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{Likelihood, Role};
use sideband_numerics::evenly;
use std::fmt::Display;
use std::sync::Arc;

/// Errors on both sides of the best fit that a scan covers, if no range is given.
const REACH: f64 = 4.0;
/// t that a scan without a given range exceeds at its ends, unless a bound comes before:
/// beyond every level of [`LEVELS`], and where curves are compared. The most that it may
/// be there, so that the points lie where they are looked at, is [`FARTHEST`] times it.
const NEEDED: f64 = 9.0;
const FARTHEST: f64 = 7.0;
/// Scans that may be redone because a search between their points found a deeper minimum.
const REDONE: usize = 3;
/// Largest t at which learned and exact curve are compared.
const COMPARED: f64 = 9.0;

impl Analysis<'_> {
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
        let ends = [from, to].map(|end| self.reported(place, end));
        let coordinate = |value: f64| {
            let found = self.parameters.coordinate(place, value);
            found.clamp(from, to)
        };
        let mut values: Vec<f64> = evenly(ends, points).map(coordinate).collect();
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
        let is_end = |p: &ScanPoint, bound: f64| {
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
        best.clone_from(&found.best);
        let value = |x: f64| self.parameters.value(place, x);
        let mut result = ScanResult {
            failed: found.failed.iter().map(|p| value(p.value)).collect(),
            deeper_at: found.deeper_at.iter().map(|x| value(*x)).collect(),
            ..ScanResult::default()
        };
        result.add("profiled", Ok::<_, String>((found, curve, sets)));
        let parameters = likelihood.parameters().iter().enumerate();
        let nuisances = parameters.filter(|(_, p)| p.role == Role::Nuisance);
        let nuisances: Vec<usize> = nuisances.map(|(k, _)| k).collect();
        if nuisances.is_empty() {
            return Ok(result);
        }
        let freeze = |settings: FitSettings, k| settings.with_fixed(k, best.point[k]);
        let frozen = nuisances.into_iter().fold(self.from(best), freeze);
        let alone = fit(likelihood, &frozen).map_err(no_fit);
        let found = alone.and_then(|alone| self.curve(likelihood, &frozen, &alone, place));
        result.add("statistical", found);
        Ok(result)
    }

    /// What histograms alone would say: without networks, and without their error.
    pub(super) fn histogram_curves(
        &self,
        histograms: &HistogramModel,
        scans: &mut IndexMap<String, ScanResult>,
    ) {
        let prior = self.parameters.prior.clone();
        let likelihood = histograms.likelihood().with_prior(prior);
        let nominal = histograms.nominal();
        let mut channels = histograms.channels.iter();
        let impossible = channels.find_map(|c| impossible(c, &nominal));
        self.add_curves(&likelihood, "histogram", impossible, scans);
    }

    /// What the exact ratios would say, where they are known. The channels with bins are those
    /// of the learned curve. `reference`: events of it that no network has seen.
    pub(super) fn exact_curves(
        &self,
        events: &Events,
        reference: &Events,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<()> {
        let generate = self.measurement.generate.as_ref();
        let Some(config) = generate.filter(|_| self.measurement.is_known_truth()) else {
            return Ok(());
        };
        let world = truth::open(config.model)?;
        let exact = |events: &Events| {
            let columns = self.exact(world.as_ref(), &events.features, events.weights.clone())?;
            columns.sample()
        };
        let (events_sample, pool) = (exact(events)?, exact(reference)?);
        let asked = HistogramRequest::all(self.measurement, &events.templates, true);
        let HistogramModel {
            parameters,
            channels,
            ..
        } = self.histograms(&asked)?;
        let channel = self.unbinned(events_sample, Some(&pool), &parameters)?;
        let prior = self.parameters.prior.clone();
        let model = model(parameters, Arc::new(channel), channels, prior);
        self.add_curves(&model, "exact", None, scans);
        for scan in scans.values_mut() {
            let curve = |name| scan.curves.get(name);
            if let Some((learned, exact)) = curve("profiled").zip(curve("exact")) {
                scan.largest_difference = largest_difference(learned, exact, COMPARED);
            }
        }
        Ok(())
    }

    /// A curve for each parameter of interest, or why there is none. `impossible`: what makes
    /// a fit impossible, if that is known.
    fn add_curves(
        &self,
        likelihood: &dyn Likelihood,
        name: &str,
        impossible: Option<String>,
        scans: &mut IndexMap<String, ScanResult>,
    ) {
        let best = match impossible {
            Some(reason) => Err(reason),
            None => self.best(likelihood).map_err(|e| e.to_string()),
        };
        for place in self.interest() {
            let parameter = self.parameters.list[place].name.clone();
            let found = best.clone().and_then(|best| {
                let known = self.known(likelihood, &best, place);
                if let Some(why) = known.map_err(|e| e.to_string())?.not_measured {
                    return Err(why);
                }
                let curve = self.curve(likelihood, &self.settings(), &best, place);
                curve.map_err(|e| e.to_string())
            });
            scans.entry(parameter).or_default().add(name, found);
        }
    }
}

impl ScanResult {
    /// A curve of this name with its sets, or why it is not there.
    fn add(&mut self, name: &str, found: Result<(Scan, Curve, Vec<IntervalSet>), impl Display>) {
        let name = name.to_owned();
        match found {
            Ok((_, curve, sets)) => {
                self.curves.insert(name.clone(), curve);
                self.intervals.insert(name, sets);
            }
            Err(reason) => {
                self.missing.insert(name, reason.to_string());
            }
        }
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
