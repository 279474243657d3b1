//! Profile scans over one parameter, and over two.

use super::newton::Place;
use super::profile::{Outcomes, Profile, deepest};
use super::{Fit, FitSettings};
use crate::Likelihood;
use crate::error::Error;
use rayon::prelude::*;

/// What is scanned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanSettings {
    /// The parameter.
    pub parameter: usize,
    /// Its values, in any order, within its bounds.
    pub grid: Vec<f64>,
}

/// A point of a profile likelihood curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanPoint {
    /// Value of the parameter.
    pub value: f64,
    /// `2 (nll - nll_min)`, at least 0.
    pub t: f64,
}

/// A conditional fit that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedPoint {
    /// Value of the parameter.
    pub value: f64,
    /// Why.
    pub failure: Error,
}

/// A profile likelihood curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The parameter.
    pub parameter: usize,
    /// The best fit, to which `t` refers.
    pub best: Fit,
    /// Values of the parameter where the scan found a deeper point than the best
    /// fit, which was then redone from there; empty as a rule.
    pub deeper_at: Vec<f64>,
    /// Points of the curve, ascending.
    pub curve: Vec<ScanPoint>,
    /// Failed points, ascending. They are no points of the curve.
    pub failed: Vec<FailedPoint>,
    /// Conditional minima with their derivatives, as [`Scan::curve`].
    pub(super) places: Vec<Place>,
}

/// A point of a profile likelihood over two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ContourPoint {
    /// Values of the two parameters.
    pub values: [f64; 2],
    /// `2 (nll - nll_min)`, at least 0, or why there is none.
    pub t: Result<f64, Error>,
}

/// A profile likelihood over a grid of two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// The best fit, to which `t` refers.
    pub best: Fit,
    /// Where a deeper point than the best fit was found, which was then redone from
    /// there.
    pub deeper_at: Option<[f64; 2]>,
    /// Points, the second parameter running fastest, both ascending.
    pub points: Vec<ContourPoint>,
}

/// Points of a grid that are fitted one after the other.
const SEGMENT: usize = 6;
/// A best fit that was redone this often is taken as it is.
const REDONE: usize = 4;

fn t_of(place: &Place, best: &Fit) -> f64 {
    (2.0 * (place.value - best.nll)).max(0.0)
}

/// Profiles a likelihood over a grid, in parallel, from the best fit outwards.
///
/// # Errors
/// If the question makes no sense or `best` is no result.
pub fn scan(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    scan: &ScanSettings,
) -> Result<Scan, Error> {
    let along = [scan.parameter];
    let profile = Profile::new(likelihood, settings, &along)?;
    let mut grid: Vec<[f64; 1]> = scan.grid.iter().map(|value| [*value]).collect();
    grid.iter()
        .try_for_each(|value| profile.check("a scan", value))?;
    grid.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let sweep = |best: &Fit| {
        let origin = best.place();
        let middle = grid.partition_point(|value| value[0] < origin.point[scan.parameter]);
        profile.outwards(&grid, middle, SEGMENT, &origin)
    };
    let nll = |outcome: &Result<Place, Error>| outcome.as_ref().map_or(f64::INFINITY, |p| p.value);
    let mut best = best.checked()?.clone();
    let mut deeper_at = Vec::new();
    let mut outcomes = sweep(&best);
    while let Some(([value], place)) = deepest(&grid, &outcomes, &best) {
        best = profile.best_from(place)?;
        deeper_at.push(value);
        if !best.is_converged() || deeper_at.len() > REDONE {
            // the curve would refer to a minimum that is none
            best.checked()?;
            break;
        }
        for (old, new) in outcomes.iter_mut().zip(sweep(&best)) {
            if nll(&new) < nll(old) {
                *old = new;
            }
        }
    }
    let mut scan = Scan {
        parameter: scan.parameter,
        best,
        deeper_at,
        curve: Vec::new(),
        failed: Vec::new(),
        places: Vec::new(),
    };
    for (&[value], outcome) in grid.iter().zip(outcomes) {
        match outcome {
            Ok(place) => {
                let t = t_of(&place, &scan.best);
                scan.curve.push(ScanPoint { value, t });
                scan.places.push(place);
            }
            Err(failure) => scan.failed.push(FailedPoint { value, failure }),
        }
    }
    Ok(scan)
}

/// Profiles a likelihood over the grid `first` x `second` of two parameters, one
/// row of the first a task, each from the best fit outwards.
///
/// # Errors
/// If the question makes no sense or `best` is no result.
pub fn contour(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameters: [usize; 2],
    grids: [&[f64]; 2],
) -> Result<Contour, Error> {
    let profile = Profile::new(likelihood, settings, &parameters)?;
    let [first, second] = grids.map(|grid| {
        let mut grid = grid.to_vec();
        grid.sort_by(f64::total_cmp);
        grid
    });
    let row = |a: &f64| second.iter().map(|b| [*a, *b]).collect::<Vec<_>>();
    let rows: Vec<Vec<[f64; 2]>> = first.iter().map(row).collect();
    let points = rows.concat();
    points
        .iter()
        .try_for_each(|values| profile.check("a contour", values))?;
    let mut best = best.checked()?.clone();
    let origin = best.place();
    let middle = second.partition_point(|value| *value < origin.point[parameters[1]]);
    let whole = second.len().max(1);
    let found = rows.par_iter();
    let found = found.flat_map_iter(|row| profile.outwards(row, middle, whole, &origin));
    let found: Outcomes = found.collect();
    let mut deeper_at = None;
    if let Some((values, place)) = deepest(&points, &found, &best) {
        best = profile.best_from(place)?;
        best.checked()?;
        deeper_at = Some(values);
    }
    let points = points.into_iter().zip(found);
    let points = points.map(|(values, outcome)| ContourPoint {
        values,
        t: outcome.map(|place| t_of(&place, &best)),
    });
    Ok(Contour {
        points: points.collect(),
        deeper_at,
        best,
    })
}
