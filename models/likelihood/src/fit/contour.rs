//! Profile scans over two parameters.

use super::super::Likelihood;
use super::conditional::{Profile, is_deeper};
use super::newton::{Evaluations, Place};
use super::{Fit, FitError, FitFailure, FitSettings};
use rayon::prelude::*;

/// A point of a profile likelihood over two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ContourPoint {
    /// Values of the two parameters.
    pub values: [f64; 2],
    /// `2 (nll - nll_min)`, at least 0, or why there is none.
    pub t: Result<f64, FitFailure>,
}

/// A profile likelihood over a grid of two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// The parameters.
    pub parameters: [usize; 2],
    /// The best fit, to which `t` refers.
    pub best: Fit,
    /// Where a deeper point than the best fit was found, which was then redone from
    /// there.
    pub deeper_at: Option<[f64; 2]>,
    /// Points, the second parameter running fastest, both ascending.
    pub points: Vec<ContourPoint>,
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
}

/// A grid point and its conditional fit.
type Found = ([f64; 2], Result<Place, FitFailure>);

/// Profiles a likelihood over the grid `first` x `second` of two parameters, one
/// row of the first a task, each from the best fit outwards.
///
/// # Errors
/// [`FitError`] if the question makes no sense or `best` is no result.
pub fn contour(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameters: [usize; 2],
    grids: [&[f64]; 2],
) -> Result<Contour, FitError> {
    let profile = Profile::new(likelihood, settings, &parameters, false)?;
    let [first, second] = grids.map(|grid| {
        let mut grid = grid.to_vec();
        grid.sort_by(f64::total_cmp);
        grid
    });
    for &a in &first {
        for &b in &second {
            profile.check("a contour", &[a, b])?;
        }
    }
    let mut best = best.checked()?.clone();
    let origin = best.place();
    let middle = second.partition_point(|value| *value < origin.point[parameters[1]]);
    let rows: Vec<(Vec<Found>, Evaluations)> = first
        .par_iter()
        .map(|a| row(&profile, *a, &second, middle, &origin))
        .collect();
    let mut evaluations = Evaluations::default();
    let mut found: Vec<Found> = Vec::with_capacity(first.len() * second.len());
    for (row, calls) in rows {
        evaluations += calls;
        found.extend(row);
    }
    let deepest = found
        .iter()
        .filter_map(|(values, outcome)| Some((*values, outcome.as_ref().ok()?)))
        .filter(|(_, place)| is_deeper(place.value, &best))
        .min_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let mut deeper_at = None;
    if let Some((values, place)) = deepest {
        best = profile.best_from(place)?;
        best.checked()?;
        evaluations += best.evaluations;
        deeper_at = Some(values);
    }
    let points = found
        .into_iter()
        .map(|(values, outcome)| ContourPoint {
            values,
            t: outcome.map(|place| (2.0 * (place.value - best.nll)).max(0.0)),
        })
        .collect();
    Ok(Contour {
        parameters,
        best,
        deeper_at,
        points,
        evaluations,
    })
}

/// One row, from its middle outwards, each point from the last that did not fail.
fn row(
    profile: &Profile<'_>,
    a: f64,
    second: &[f64],
    middle: usize,
    origin: &Place,
) -> (Vec<Found>, Evaluations) {
    let mut evaluations = Evaluations::default();
    let mut side = |values: &mut dyn Iterator<Item = &f64>| {
        let mut found: Vec<Found> = Vec::new();
        for &b in values {
            let last = found
                .iter()
                .rev()
                .find_map(|(_, place)| place.as_ref().ok());
            let place = profile.at(&[a, b], last.unwrap_or(origin), &mut evaluations);
            found.push(([a, b], place));
        }
        found
    };
    let mut row = side(&mut second[..middle].iter().rev());
    row.reverse();
    row.extend(side(&mut second[middle..].iter()));
    (row, evaluations)
}
