//! CLs upper limits and confidence regions of two parameters.

use super::analyse::Analyst;
use super::asimov::{Asimov, Data};
use super::error::MeasureError;
use super::result::{ClsPoint, ContourLevel, ContourResult, LimitResult};
use crate::config::{ContourConfig, LimitConfig, TestStatistic};
use crate::inference::asymptotic::{AsymptoticError, Asymptotics, CLs, UpperStatistic};
use crate::inference::fit::{Fit, contour};
use crate::inference::{Likelihood, Model, Parameter};
use rayon::prelude::*;

/// How far beyond the outermost region a range reaches that is not given.
const MARGIN: f64 = 1.35;
/// Points of CLs where the expected limits are, and how far beyond the highest they reach.
const FINE: usize = 21;
const BEYOND: f64 = 1.5;

/// The upper limit that the configuration asks for. What cannot be had is a reason in the
/// result: the fit stands without it. `is_hidden`: the data are expected ones in the place
/// of observed ones that may not be looked at; then there is the expected limit alone.
pub(super) fn limit(
    analyst: &Analyst<'_>,
    (config, is_hidden): (&LimitConfig, bool),
    (model, parameters): (&Model, &[Parameter]),
    asimov: &Asimov<'_>,
    best: &Fit,
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
    let found = Asymptotics::new(&data, place, none, &settings).and_then(|tests| {
        let found = tests.upper_limit(config.confidence_level, statistic);
        let highest = found.as_ref().ok().map(|limit| limit.expected[4]);
        let grid = grid(analyst, best, place, highest);
        result.curve = curve(analyst, &tests, statistic, &grid, place)?;
        found
    });
    let value = |coordinate: f64| analyst.parameters.value(place, coordinate);
    match found {
        Ok(limit) => {
            result.observed = (!is_hidden).then(|| value(limit.observed));
            result.expected = Some(limit.expected.map(value));
        }
        Err(error) => result.reason = Some(error.to_string()),
    }
    if is_hidden {
        result.curve.iter_mut().for_each(|p| p.observed = None);
    }
    Some(result)
}

/// The points of the scan, and some more up to where the expected limits are, which may be
/// far below the best fit; in the fit's coordinate, rising.
fn grid(analyst: &Analyst<'_>, best: &Fit, place: usize, highest: Option<f64>) -> Vec<f64> {
    let mut grid = analyst.grid(best, place);
    if let Some(highest) = highest {
        let range = [0.0, BEYOND * analyst.parameters.value(place, highest)];
        grid.extend(analyst.grid_over(best, place, (Some(range), 0.0), FINE));
    }
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    grid
}

/// CLs at values in the fit's coordinate.
fn curve(
    analyst: &Analyst<'_>,
    tests: &Asymptotics,
    statistic: UpperStatistic,
    grid: &[f64],
    place: usize,
) -> Result<Vec<ClsPoint>, AsymptoticError> {
    let found = grid.par_iter().map(|at| tests.cls(*at, statistic));
    let found = found.collect::<Result<Vec<CLs>, _>>()?;
    let is_finite = |cls: &CLs| cls.observed.is_finite();
    let points = found.into_iter().filter(is_finite).map(|cls| ClsPoint {
        value: analyst.parameters.value(place, cls.mu),
        observed: Some(cls.observed),
        expected: cls.expected,
    });
    Ok(points.collect())
}

/// t at the border of a region of two parameters: the quantile of chi-square with two
/// degrees of freedom.
fn border(level: f64) -> f64 {
    -2.0 * (-level).ln_1p()
}

/// The regions of two parameters that the configuration asks for.
pub(super) fn regions(
    analyst: &Analyst<'_>,
    config: &ContourConfig,
    likelihood: &dyn Likelihood,
    best: &Fit,
) -> Result<ContourResult, MeasureError> {
    let missing =
        |name: &String| MeasureError::config("measurement.contours", format!("there is no {name}"));
    let [first, second] = &config.parameters;
    let places = [
        analyst
            .parameters
            .place(first)
            .ok_or_else(|| missing(first))?,
        analyst
            .parameters
            .place(second)
            .ok_or_else(|| missing(second))?,
    ];
    let outermost = config.confidence_levels.iter().copied().fold(0.0, f64::max);
    let reach = MARGIN * border(outermost).sqrt();
    let grids = places.map(|place| {
        let name = &analyst.parameters.list[place].name;
        let range = config.range.get(name).copied();
        analyst.grid_over(best, place, (range, reach), config.points)
    });
    let settings = analyst.settings();
    let found = contour(likelihood, &settings, best, places, [&grids[0], &grids[1]])
        .map_err(|e| MeasureError::Fit(e.to_string()))?;
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
