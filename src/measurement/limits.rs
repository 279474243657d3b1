//! CLs upper limits and confidence regions of two parameters.

use super::analyse::{Analyst, no_fit};
use super::asimov::{Asimov, Data};
use super::result::{ClsPoint, ContourLevel, ContourResult, FitResult, LimitResult};
use crate::error::{Error, Kind, Result};
use crate::settings::{ContourConfig, LimitConfig, TestStatistic};
use rayon::prelude::*;
use sideband_likelihood::asymptotic::{Asymptotics, CLs, UpperStatistic};
use sideband_likelihood::fit::{Fit, contour, reach};
use sideband_likelihood::{Error as NoLimit, Likelihood, Model, Parameter};

/// How far beyond the outermost region a range reaches that is not given.
const MARGIN: f64 = 1.35;
/// The least that t is there, in units of that of its border.
const LEAST: f64 = 1.2;
/// Points of CLs where the expected limits are, and how far beyond the highest they reach.
const FINE: usize = 21;
const BEYOND: f64 = 1.5;

/// The upper limit that the configuration asks for. What cannot be had is a reason in the
/// result, by itself: the rest of it, and the fit, stand without it. `found`: what is known
/// of the parameters; `scanned`: values of the scan of the parameter. `is_hidden`: the data
/// are expected ones in the place of observed ones that may not be looked at; then there is
/// the expected limit alone.
pub(super) fn limit(
    analyst: &Analyst<'_>,
    (config, is_hidden): (&LimitConfig, bool),
    (model, parameters): (&Model, &[Parameter]),
    asimov: &Asimov<'_>,
    (found, scanned): (&FitResult, &[f64]),
) -> Option<LimitResult> {
    let interest = &analyst.measurement.measurement.interest;
    let name = config.poi.as_ref().unwrap_or(&interest[0]);
    let place = analyst.parameters.place(name)?;
    let mut result = LimitResult {
        parameter: name.clone(),
        confidence_level: config.confidence_level,
        test_stat: config.test_stat,
        observed: None,
        expected: None,
        reason: None,
        curve: Vec::new(),
    };
    if let Some(why) = &found.parameters[place].not_measured {
        result.reason = Some(format!("{name} is not measured: {why}"));
        return Some(result);
    }
    let data = Data {
        model: model.clone(),
        parameters: parameters.to_vec(),
        source: asimov,
    };
    let statistic = match config.test_stat {
        TestStatistic::Q => UpperStatistic::Q,
        TestStatistic::Qtilde => UpperStatistic::QTilde,
    };
    let none = analyst.parameters.coordinate(place, 0.0);
    let settings = analyst.settings();
    let tests = match Asymptotics::new(&data, place, none, &settings) {
        Ok(tests) => tests,
        Err(error) => {
            result.reason = Some(explained(analyst, place, &error));
            return Some(result);
        }
    };
    let limits = match tests.limits(config.confidence_level, statistic) {
        Ok(limits) => limits,
        Err(error) => {
            result.reason = Some(explained(analyst, place, &error));
            return Some(result);
        }
    };
    let mut reasons = Vec::new();
    let mut value = |found: Result<f64, NoLimit>| match found {
        Ok(coordinate) => Some(analyst.parameters.value(place, coordinate)),
        Err(error) => {
            reasons.push(explained(analyst, place, &error));
            None
        }
    };
    result.observed = match is_hidden {
        true => None,
        false => value(limits.observed),
    };
    let expected = limits.expected.map(value);
    result.expected = expected.iter().any(Option::is_some).then_some(expected);
    let highest = result.observed.into_iter();
    let highest = highest.chain(expected.into_iter().flatten());
    let highest = highest.fold(None, |most: Option<f64>, x| {
        Some(most.map_or(x, |m| m.max(x)))
    });
    let grid = grid(analyst, scanned, place, highest);
    let (curve, failed) = curve(analyst, &tests, statistic, &grid, place);
    result.curve = curve;
    if is_hidden {
        result.curve.iter_mut().for_each(|p| p.observed = None);
    }
    reasons.extend(failed);
    result.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    Some(result)
}

/// An error in units of the parameter, with what to change.
fn explained(analyst: &Analyst<'_>, place: usize, error: &NoLimit) -> String {
    match error {
        NoLimit::BeyondBounds { which, bound } => {
            let name = &analyst.parameters.list[place].name;
            let bound = analyst.parameters.value(place, *bound);
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
fn grid(analyst: &Analyst<'_>, scanned: &[f64], place: usize, highest: Option<f64>) -> Vec<f64> {
    let coordinate = |value: f64| analyst.parameters.coordinate(place, value);
    let mut grid: Vec<f64> = scanned.iter().map(|value| coordinate(*value)).collect();
    let (low, high) = analyst.parameters.list[place].bounds;
    if let Some(highest) = highest {
        let [a, b] = [0.0, BEYOND * highest].map(|x| coordinate(x).clamp(low, high));
        grid.extend(analyst.evenly(place, [a.min(b), a.max(b)], FINE));
    }
    grid.retain(|x| (low..=high).contains(x));
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    grid
}

/// CLs at values in the fit's coordinate, and how many could not be had.
fn curve(
    analyst: &Analyst<'_>,
    tests: &Asymptotics,
    statistic: UpperStatistic,
    grid: &[f64],
    place: usize,
) -> (Vec<ClsPoint>, Option<String>) {
    let found: Vec<Result<CLs, NoLimit>> = grid
        .par_iter()
        .map(|at| tests.cls(*at, statistic))
        .collect();
    let all = found.len();
    let known = found.into_iter().filter_map(Result::ok);
    let known = known.filter(|cls| cls.observed.is_finite());
    let points: Vec<ClsPoint> = known
        .map(|cls| ClsPoint {
            value: analyst.parameters.value(place, cls.mu),
            observed: Some(cls.observed),
            expected: cls.expected,
        })
        .collect();
    let lost = all - points.len();
    let text = format!("CLs could not be found at {lost} of {all} values of its curve");
    (points, (lost > 0).then_some(text))
}

/// t at the border of a region of two parameters: the quantile of chi-square with two
/// degrees of freedom.
fn border(level: f64) -> f64 {
    -2.0 * (-level).ln_1p()
}

/// The regions of two parameters that the configuration asks for; a reason in the result
/// where they cannot be had.
pub(super) fn regions(
    analyst: &Analyst<'_>,
    config: &ContourConfig,
    likelihood: &dyn Likelihood,
    (best, found): (&Fit, &FitResult),
) -> ContourResult {
    let empty = || ContourResult {
        parameters: config.parameters.clone(),
        labels: config.parameters.clone(),
        best: [0.0; 2],
        levels: Vec::new(),
        values: [Vec::new(), Vec::new()],
        t: Vec::new(),
        deeper_at: None,
        reason: None,
    };
    let known = |name: &String| found.parameters.iter().find(|p| p.name == *name);
    let unknown = config.parameters.iter().filter_map(known).find_map(|p| {
        let why = p.not_measured.as_ref()?;
        // where two share a valley, the region is what shows it
        let both = config.parameters.iter().filter_map(known);
        let is_valley = both.clone().all(|q| q.not_measured.is_some())
            && best.flat.iter().all(|f| f.parameters.len() > 1);
        (!is_valley).then(|| format!("{} is not measured: {why}", p.name))
    });
    let made = match unknown {
        Some(why) => Err(Error::new(Kind::NotMeasured, why)),
        None => region(analyst, config, likelihood, best),
    };
    made.unwrap_or_else(|error| ContourResult {
        reason: Some(error.to_string()),
        ..empty()
    })
}

fn region(
    analyst: &Analyst<'_>,
    config: &ContourConfig,
    likelihood: &dyn Likelihood,
    best: &Fit,
) -> Result<ContourResult> {
    let missing =
        |name: &String| Error::config_at("measurement.contours", format!("there is no {name}"));
    let place = |name: &String| analyst.parameters.place(name).ok_or_else(|| missing(name));
    let [first, second] = &config.parameters;
    let places = [place(first)?, place(second)?];
    let outermost = config.confidence_levels.iter().copied().fold(0.0, f64::max);
    let settings = analyst.settings();
    let along = |place: usize| {
        let parameter = &analyst.parameters.list[place];
        let (low, high) = parameter.bounds;
        let range = match config.range.get(&parameter.name) {
            Some(given) => given.map(|x| analyst.parameters.coordinate(place, x).clamp(low, high)),
            None => {
                // the region is not drawn to its edge: t is above that of its border there
                let wanted = (LEAST * border(outermost), MARGIN * border(outermost).sqrt());
                reach(likelihood, &settings, best, place, wanted).map_err(no_fit)?
            }
        };
        Ok::<_, Error>(analyst.evenly(place, range, config.points))
    };
    let grids = [along(places[0])?, along(places[1])?];
    let found =
        contour(likelihood, &settings, best, places, [&grids[0], &grids[1]]).map_err(no_fit)?;
    let value = |k: usize, at: f64| analyst.parameters.value(places[k], at);
    let rows = found.points.chunks(grids[1].len());
    let level = |level: &f64| ContourLevel {
        level: *level,
        t: border(*level),
    };
    Ok(ContourResult {
        parameters: config.parameters.clone(),
        labels: places.map(|place| analyst.parameters.labels[place].clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_those_of_two_degrees_of_freedom() {
        assert!((border(0.6827) - 2.2957).abs() < 1e-3);
        assert!((border(0.9545) - 6.1801).abs() < 1e-3);
    }
}
