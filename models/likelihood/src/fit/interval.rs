//! Intervals of one parameter from its profile likelihood: where `t` crosses a level, by
//! Newton's method for `sqrt(t)`, whose slope at a conditional minimum is a partial
//! derivative of the likelihood.

use super::newton::Place;
use super::profile::{Profile, is_deeper};
use super::{Fit, FitSettings, Scan, check_setting};
use crate::Likelihood;
use crate::error::Error;
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
        /// Why the conditional fit beyond failed; none where `t` does not reach the level
        /// however far one goes.
        failure: Option<Error>,
    },
}

impl End {
    /// The value, if it is a crossing or a bound.
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
    /// The best fit.
    pub best: Fit,
    /// Values of the parameter where the likelihood was higher than at the best
    /// fit, which was then redone from there; empty as a rule.
    pub deeper_at: Vec<f64>,
    /// Lower end.
    pub lower: End,
    /// Upper end.
    pub upper: End,
}

impl Minos {
    /// Distances of the ends from the best fit, negative and positive.
    pub fn errors(&self) -> [Option<f64>; 2] {
        let centre = self.best.point[self.parameter];
        [&self.lower, &self.upper].map(|end| end.value().map(|value| value - centre))
    }
}

/// All intervals of a scanned parameter on which `t` is below a level.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceSet {
    /// The intervals, ascending; more than one where the curve has several minima.
    pub intervals: Vec<[End; 2]>,
    /// A value of the parameter where the likelihood is higher than at the scan's best
    /// fit: the set then refers to the wrong minimum, and a scan with this value is
    /// needed.
    pub deeper_at: Option<f64>,
}

/// Best fits that a search for an end may redo.
const REDONE: usize = 4;

/// The ends of the interval about the best fit, by conditional fits and the slope
/// of the profile, which at a conditional minimum is the partial derivative. Where
/// the curve has several minima, the ends are crossings, but [`confidence_set`] has
/// them all. `level`: 1 for one standard deviation, 4 for two.
///
/// # Errors
/// If the question makes no sense or `best` is no result.
pub fn minos(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    parameter: usize,
    level: f64,
) -> Result<Minos, Error> {
    let along = [parameter];
    let profile = Profile::new(likelihood, settings, &along)?;
    let mut best = best.checked()?.clone();
    let mut deeper_at = Vec::new();
    loop {
        let search = CrossingSearch::new(profile, &best, parameter, level)?;
        let (lower, upper) = rayon::join(|| search.outwards(-1.0), || search.outwards(1.0));
        let deeper = lower.deeper.as_ref().or(upper.deeper.as_ref());
        if let Some(place) = deeper.filter(|_| deeper_at.len() < REDONE) {
            deeper_at.push(place.point[parameter]);
            best = profile.best_from(place)?;
            best.checked()?;
            continue;
        }
        return Ok(Minos {
            parameter,
            lower: lower.end,
            upper: upper.end,
            best,
            deeper_at,
        });
    }
}

/// All intervals on which `t` of a scan is below a level: its crossings between
/// points of the scan, found by conditional fits. Where a scan ends inside, its end is
/// looked for beyond, up to the parameter's bound.
///
/// # Errors
/// If the question makes no sense or the scan's best fit is no result.
pub fn confidence_set(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    scan: &Scan,
    level: f64,
) -> Result<ConfidenceSet, Error> {
    let along = [scan.parameter];
    let profile = Profile::new(likelihood, settings, &along)?;
    let best = scan.best.checked()?;
    let search = CrossingSearch::new(profile, best, scan.parameter, level)?;
    let origin = best.place();
    let mut nodes: Vec<&Place> = scan.places.iter().chain([&origin]).collect();
    let at = |place: &Place| place.point[scan.parameter];
    nodes.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let is_inside = |node: &&Place| search.root_t(node) <= search.target;
    let is_inside: Vec<bool> = nodes.iter().map(is_inside).collect();
    let steps = (1..nodes.len()).filter(|&i| is_inside[i - 1] != is_inside[i]);
    let steps: Vec<usize> = steps.collect();
    let crossing = |&i: &usize| {
        let outside = if is_inside[i - 1] { i } else { i - 1 };
        search.between(nodes[2 * i - 1 - outside], nodes[outside])
    };
    let found: Vec<Found> = steps.par_iter().map(crossing).collect();
    let beyond =
        |k: usize, direction: f64| is_inside[k].then(|| search.outwards_from(nodes[k], direction));
    let (below, above) = rayon::join(|| beyond(0, -1.0), || beyond(nodes.len() - 1, 1.0));
    let mut ends: Vec<End> = Vec::new();
    let mut deeper_at = None;
    for found in below.into_iter().chain(found).chain(above) {
        deeper_at = deeper_at.or(found.deeper.as_ref().map(at));
        ends.push(found.end);
    }
    let intervals = ends.chunks_exact(2);
    Ok(ConfidenceSet {
        intervals: intervals
            .map(|pair| [pair[0].clone(), pair[1].clone()])
            .collect(),
        deeper_at,
    })
}

/// `sqrt(t)` is found to this part of its level.
const PRECISION: f64 = 1e-6;
/// Conditional fits to find an end.
const MOST_FITS: usize = 60;
/// Without a crossing so far, a step goes at most this many times as far.
const EXPANSION: f64 = 2.5;

/// A search for crossings.
struct CrossingSearch<'a> {
    profile: Profile<'a>,
    best: &'a Fit,
    parameter: usize,
    /// `sqrt(level)`.
    target: f64,
}

/// An end, and what was met on the way.
struct Found {
    end: End,
    /// A point below the best fit, with which the search ended.
    deeper: Option<Place>,
}

/// What is known of where a crossing lies.
struct Bracket {
    /// The farthest point inside.
    inside: Place,
    /// The nearest value outside.
    outside: Option<f64>,
    /// Why the fit at the value outside failed, if it did.
    failure: Option<Error>,
}

impl<'a> CrossingSearch<'a> {
    fn new(
        profile: Profile<'a>,
        best: &'a Fit,
        parameter: usize,
        level: f64,
    ) -> Result<Self, Error> {
        let fits = level.is_finite() && level > 0.0;
        check_setting("level", level, fits, "a finite number above 0")?;
        Ok(Self {
            profile,
            best,
            parameter,
            target: level.sqrt(),
        })
    }

    /// `sqrt(t)` of a conditional minimum.
    fn root_t(&self, place: &Place) -> f64 {
        (2.0 * (place.value - self.best.nll)).max(0.0).sqrt()
    }

    /// From the best fit towards the bound below (-1) or above (1).
    fn outwards(&self, direction: f64) -> Found {
        self.outwards_from(&self.best.place(), direction)
    }

    /// From a conditional minimum inside towards the bound below (-1) or above (1).
    fn outwards_from(&self, place: &Place, direction: f64) -> Found {
        let inside = place.clone();
        let k = self.parameter;
        let curvature = self.best.hessian[k * inside.point.len() + k];
        let error = match self.best.error(k) {
            Some(error) if error > 0.0 => error,
            _ if curvature > 0.0 => curvature.sqrt().recip(),
            _ => 1.0,
        };
        let missing = (self.target - self.root_t(place)).max(0.1 * self.target);
        let first = inside.point[k] + direction * error * missing;
        let bracket = Bracket {
            inside,
            outside: None,
            failure: None,
        };
        self.close_in(bracket, first, direction)
    }

    /// Between a point inside and one outside.
    fn between(&self, inside: &Place, outside: &Place) -> Found {
        let (a, b) = (inside.point[self.parameter], outside.point[self.parameter]);
        let (s, far) = (self.root_t(inside), self.root_t(outside));
        let first = a + (b - a) * (self.target - s) / (far - s);
        let bracket = Bracket {
            inside: inside.clone(),
            outside: Some(b),
            failure: None,
        };
        self.close_in(bracket, first, (b - a).signum())
    }

    /// Newton's method for `sqrt(t) = sqrt(level)`, kept between the ends of the
    /// bracket.
    fn close_in(&self, mut bracket: Bracket, first: f64, direction: f64) -> Found {
        let k = self.parameter;
        let bound = self.bound(direction);
        let mut next = first;
        for _ in 0..MOST_FITS {
            let value = self.keep_within(&bracket, next, direction);
            let last = bracket.inside.point[k];
            if (value - last).abs() <= 4.0 * f64::EPSILON * value.abs() {
                // the bracket has closed on a jump of the profile or on a wall
                return bracket.closed(k, value);
            }
            let place = match self.profile.at(&[value], &bracket.inside) {
                Ok(place) => place,
                Err(failure) => {
                    bracket.outside = Some(value);
                    bracket.failure = Some(failure);
                    next = 0.5 * (last + value);
                    continue;
                }
            };
            if is_deeper(place.value, self.best) {
                let mut found = bracket.not_found(k);
                found.deeper = Some(place);
                return found;
            }
            let s = self.root_t(&place);
            if (s - self.target).abs() <= PRECISION * self.target {
                return Found::at(End::Crossing(value));
            }
            let slope = place.gradient[k] / s;
            let rises = slope * direction > 0.0;
            next = if rises {
                value + (self.target - s) / slope
            } else {
                f64::NAN
            };
            if s < self.target {
                bracket.inside = place;
                if value == bound {
                    return Found::at(End::Bound(bound));
                }
            } else {
                bracket.outside = Some(value);
                bracket.failure = None;
            }
        }
        bracket.not_found(k)
    }

    /// A proposed value, or one that is strictly within the bracket and not too far.
    fn keep_within(&self, bracket: &Bracket, next: f64, direction: f64) -> f64 {
        let last = bracket.inside.point[self.parameter];
        if let Some(outside) = bracket.outside {
            let within = (next - last) * (next - outside) < 0.0;
            return if within { next } else { 0.5 * (last + outside) };
        }
        let (centre, bound) = (self.best.point[self.parameter], self.bound(direction));
        let gone = (last - centre).abs();
        let farthest = centre + direction * EXPANSION * gone;
        let too_far = next.is_nan() || gone > 0.0 && direction * (next - farthest) > 0.0;
        let next = if too_far { farthest } else { next };
        if direction * (next - bound) > 0.0 {
            bound
        } else {
            next
        }
    }

    fn bound(&self, direction: f64) -> f64 {
        let (lower, upper) = self.profile.limits();
        if direction < 0.0 { lower } else { upper }
    }
}

impl Found {
    fn at(end: End) -> Self {
        let deeper = None;
        Self { end, deeper }
    }
}

impl Bracket {
    /// Nothing is left between inside and outside.
    fn closed(self, k: usize, value: f64) -> Found {
        match self.outside {
            _ if self.failure.is_some() => self.not_found(k),
            Some(_) => Found::at(End::Crossing(value)),
            // the best fit is on its bound
            None => Found::at(End::Bound(value)),
        }
    }

    fn not_found(self, k: usize) -> Found {
        Found::at(End::NotFound {
            last: self.inside.point[k],
            failure: self.failure,
        })
    }
}
