//! Intervals of one parameter from its profile likelihood: where `t` crosses a
//! level.

use super::super::Likelihood;
use super::conditional::Profile;
use super::crossing::{Found, Search};
use super::newton::{Evaluations, Place};
use super::{Fit, FitError, FitFailure, FitSettings, Scan};
use rayon::prelude::*;

/// An end of an interval.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// `t` crosses the level here.
    Crossing(f64),
    /// `t` is still below the level at this bound of the parameter.
    Bound(f64),
    /// It was not found.
    NotFound {
        /// The farthest value where `t` is below the level.
        last: f64,
        /// Why it is not known what lies beyond.
        reason: NotFound,
    },
}

/// Why an end of an interval was not found.
#[derive(Clone, Debug, PartialEq)]
pub enum NotFound {
    /// The conditional fit beyond failed.
    Failed(FitFailure),
    /// `t` does not reach the level however far one goes.
    Level,
}

impl End {
    /// The value, if it is a crossing or a bound.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Crossing(value) | Self::Bound(value) => Some(*value),
            Self::NotFound { .. } => None,
        }
    }
}

/// The interval about the best fit on which `t` is below a level, as MINOS finds it
/// (James and Roos, Comput. Phys. Commun. 10 (1975) 343).
#[derive(Clone, Debug, PartialEq)]
pub struct Minos {
    /// The parameter.
    pub parameter: usize,
    /// The level: 1 for one standard deviation, 4 for two.
    pub level: f64,
    /// The best fit.
    pub best: Fit,
    /// Values of the parameter where the likelihood was higher than at the best
    /// fit, which was then redone from there; empty as a rule.
    pub deeper_at: Vec<f64>,
    /// Lower end.
    pub lower: End,
    /// Upper end.
    pub upper: End,
    /// `sqrt(level V_kk)`, what the Hessian says of both errors; none for a parameter that
    /// is not free.
    pub parabolic: Option<f64>,
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
}

impl Minos {
    /// Distances of the ends from the best fit, negative and positive.
    #[must_use]
    pub fn errors(&self) -> [Option<f64>; 2] {
        let centre = self.best.point[self.parameter];
        [&self.lower, &self.upper].map(|end| end.value().map(|value| value - centre))
    }
}

/// All intervals of a scanned parameter on which `t` is below a level.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceSet {
    /// The parameter.
    pub parameter: usize,
    /// The level.
    pub level: f64,
    /// The intervals, ascending; more than one where the curve has several minima.
    pub intervals: Vec<[End; 2]>,
    /// A value of the parameter where the likelihood is higher than at the scan's best
    /// fit: the set then refers to the wrong minimum, and a scan with this value is
    /// needed.
    pub deeper_at: Option<f64>,
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
}

/// Best fits that a search for an end may redo.
const REDONE: usize = 4;

/// The ends of the interval about the best fit, by conditional fits and the slope
/// of the profile, which at a conditional minimum is the partial derivative. Where
/// the curve has several minima, the ends are crossings, but [`confidence_set`] has
/// them all.
///
/// # Errors
/// [`FitError`] if the question makes no sense or `best` is no result.
pub fn minos(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameter: usize,
    level: f64,
) -> Result<Minos, FitError> {
    check_level(level)?;
    let along = [parameter];
    let profile = Profile::new(likelihood, settings, &along, false)?;
    let mut best = best.checked()?.clone();
    let mut deeper_at = Vec::new();
    let mut evaluations = Evaluations::default();
    loop {
        let search = Search::new(&profile, &best, parameter, level);
        let (lower, upper) = rayon::join(|| search.outwards(-1.0), || search.outwards(1.0));
        evaluations += lower.evaluations;
        evaluations += upper.evaluations;
        let deeper = lower.deeper.as_ref().or(upper.deeper.as_ref());
        if let Some(place) = deeper.filter(|_| deeper_at.len() < REDONE) {
            deeper_at.push(place.point[parameter]);
            best = profile.best_from(place)?;
            best.checked()?;
            evaluations += best.evaluations;
            continue;
        }
        return Ok(Minos {
            parameter,
            level,
            parabolic: best.error(parameter).map(|error| error * level.sqrt()),
            lower: lower.end,
            upper: upper.end,
            best,
            deeper_at,
            evaluations,
        });
    }
}

/// All intervals on which `t` of a scan is below a level: its crossings between
/// points of the scan, found by conditional fits. Where a scan ends inside, its end is
/// looked for beyond, up to the parameter's bound.
///
/// # Errors
/// [`FitError`] if the question makes no sense or the scan's best fit is no result.
pub fn confidence_set(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    scan: &Scan,
    level: f64,
) -> Result<ConfidenceSet, FitError> {
    check_level(level)?;
    let along = [scan.parameter];
    let profile = Profile::new(likelihood, settings, &along, false)?;
    let best = scan.best.checked()?;
    let search = Search::new(&profile, best, scan.parameter, level);
    let origin = best.place();
    let mut nodes: Vec<&Place> = scan.places.iter().chain(std::iter::once(&origin)).collect();
    let at = |place: &Place| place.point[scan.parameter];
    nodes.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let is_inside: Vec<bool> = nodes
        .iter()
        .map(|p| search.root_t(p) <= search.target)
        .collect();
    let steps: Vec<usize> = (1..nodes.len())
        .filter(|&i| is_inside[i - 1] != is_inside[i])
        .collect();
    let found: Vec<Found> = steps
        .par_iter()
        .map(|&i| {
            let (inside, outside) = if is_inside[i - 1] {
                (i - 1, i)
            } else {
                (i, i - 1)
            };
            search.between(nodes[inside], nodes[outside])
        })
        .collect();
    let beyond =
        |k: usize, direction: f64| is_inside[k].then(|| search.outwards_from(nodes[k], direction));
    let (below, above) = rayon::join(|| beyond(0, -1.0), || beyond(nodes.len() - 1, 1.0));
    let mut ends: Vec<End> = Vec::new();
    let mut evaluations = Evaluations::default();
    let mut deeper_at = None;
    for found in below.into_iter().chain(found).chain(above) {
        evaluations += found.evaluations;
        deeper_at = deeper_at.or(found.deeper.as_ref().map(at));
        ends.push(found.end);
    }
    let intervals = ends
        .chunks_exact(2)
        .map(|pair| [pair[0].clone(), pair[1].clone()])
        .collect();
    Ok(ConfidenceSet {
        parameter: scan.parameter,
        level,
        intervals,
        deeper_at,
        evaluations,
    })
}

fn check_level(level: f64) -> Result<(), FitError> {
    if level.is_finite() && level > 0.0 {
        return Ok(());
    }
    Err(FitError::Setting {
        name: "level",
        value: level,
        expected: "a finite number above 0",
    })
}
