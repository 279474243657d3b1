//! Profile scans along one parameter.

use super::super::Likelihood;
use super::conditional::{Profile, is_deeper};
use super::newton::{Evaluations, Place};
use super::{Fit, FitError, FitFailure, FitSettings};
use rayon::prelude::*;

/// What is scanned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanSettings {
    /// The parameter.
    pub parameter: usize,
    /// Its values, in any order, within its bounds.
    pub grid: Vec<f64>,
    /// Fit every point from all starts of the fit, with its exact Hessian, rather
    /// than from its neighbour alone.
    pub thorough: bool,
}

/// A point of a profile likelihood curve.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanPoint {
    /// Value of the parameter.
    pub value: f64,
    /// `2 (nll - nll_min)`, at least 0.
    pub t: f64,
    /// Negative log-likelihood at the conditional minimum.
    pub nll: f64,
    /// The conditional minimum, `[n]`.
    pub point: Vec<f64>,
}

/// A conditional fit that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedPoint {
    /// Value of the parameter.
    pub value: f64,
    /// Why.
    pub failure: FitFailure,
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
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
    /// Conditional minima with their derivatives, as [`Scan::curve`].
    pub(super) places: Vec<Place>,
}

/// Points of a grid that are fitted one after the other, each from the one before;
/// the first starts from the best fit. It is part of the result, so that this does
/// not depend on the number of threads.
const SEGMENT: usize = 6;
/// A best fit that was redone this often is taken as it is.
const REDONE: usize = 4;

/// The conditional fits of one grid point.
type Outcome = Result<Place, FitFailure>;

/// Profiles a likelihood over a grid, in parallel, from the best fit outwards.
///
/// # Errors
/// [`FitError`] if the question makes no sense or `best` is no result.
pub fn scan(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    scan: &ScanSettings,
) -> Result<Scan, FitError> {
    let along = [scan.parameter];
    let profile = Profile::new(likelihood, settings, &along, scan.thorough)?;
    for value in &scan.grid {
        profile.check("a scan", &[*value])?;
    }
    let mut grid = scan.grid.clone();
    grid.sort_by(f64::total_cmp);
    let mut best = best.checked()?.clone();
    let mut deeper_at = Vec::new();
    let mut evaluations = Evaluations::default();
    let mut outcomes = sweep(&profile, &grid, &best, scan.parameter, &mut evaluations);
    while let Some((value, place)) = deepest(&grid, &outcomes, &best) {
        let lower = profile.best_from(place)?;
        evaluations += lower.evaluations;
        deeper_at.push(value);
        if !lower.is_converged() || deeper_at.len() > REDONE {
            // the curve would refer to a minimum that is none
            best = lower;
            best.checked()?;
            break;
        }
        best = lower;
        let again = sweep(&profile, &grid, &best, scan.parameter, &mut evaluations);
        for (old, new) in outcomes.iter_mut().zip(again) {
            if nll(&new) < nll(old) {
                *old = new;
            }
        }
    }
    Ok(Scan::of(
        scan.parameter,
        best,
        deeper_at,
        &grid,
        outcomes,
        evaluations,
    ))
}

fn nll(outcome: &Outcome) -> f64 {
    outcome.as_ref().map_or(f64::INFINITY, |place| place.value)
}

/// The lowest point below the best fit.
fn deepest<'a>(grid: &[f64], outcomes: &'a [Outcome], best: &Fit) -> Option<(f64, &'a Place)> {
    let places = outcomes.iter().zip(grid);
    places
        .filter_map(|(outcome, value)| Some((*value, outcome.as_ref().ok()?)))
        .filter(|(_, place)| is_deeper(place.value, best))
        .min_by(|a, b| a.1.value.total_cmp(&b.1.value))
}

/// All points of an ascending grid.
fn sweep(
    profile: &Profile<'_>,
    grid: &[f64],
    best: &Fit,
    parameter: usize,
    evaluations: &mut Evaluations,
) -> Vec<Outcome> {
    let origin = best.place();
    let middle = grid.partition_point(|value| *value < origin.point[parameter]);
    let left: Vec<usize> = (0..middle).rev().collect();
    let right: Vec<usize> = (middle..grid.len()).collect();
    let segments: Vec<&[usize]> = left.chunks(SEGMENT).chain(right.chunks(SEGMENT)).collect();
    let parts: Vec<(Vec<(usize, Outcome)>, Evaluations)> = segments
        .par_iter()
        .map(|segment| outwards(profile, grid, segment, &origin))
        .collect();
    let mut all: Vec<(usize, Outcome)> = Vec::with_capacity(grid.len());
    for (part, calls) in parts {
        *evaluations += calls;
        all.extend(part);
    }
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

/// One segment, each point from the last that did not fail.
fn outwards(
    profile: &Profile<'_>,
    grid: &[f64],
    segment: &[usize],
    origin: &Place,
) -> (Vec<(usize, Outcome)>, Evaluations) {
    let mut evaluations = Evaluations::default();
    let mut points: Vec<(usize, Outcome)> = Vec::with_capacity(segment.len());
    for &i in segment {
        let last = points
            .iter()
            .rev()
            .find_map(|(_, outcome)| outcome.as_ref().ok());
        let found = profile.at(&[grid[i]], last.unwrap_or(origin), &mut evaluations);
        points.push((i, found));
    }
    (points, evaluations)
}

impl Scan {
    fn of(
        parameter: usize,
        best: Fit,
        deeper_at: Vec<f64>,
        grid: &[f64],
        outcomes: Vec<Outcome>,
        evaluations: Evaluations,
    ) -> Self {
        let mut scan = Self {
            parameter,
            best,
            deeper_at,
            curve: Vec::new(),
            failed: Vec::new(),
            evaluations,
            places: Vec::new(),
        };
        for (&value, outcome) in grid.iter().zip(outcomes) {
            match outcome {
                Ok(place) => {
                    scan.curve.push(ScanPoint {
                        value,
                        t: (2.0 * (place.value - scan.best.nll)).max(0.0),
                        nll: place.value,
                        point: place.point.clone(),
                    });
                    scan.places.push(place);
                }
                Err(failure) => scan.failed.push(FailedPoint { value, failure }),
            }
        }
        scan
    }
}
