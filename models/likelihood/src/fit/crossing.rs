//! Where a profile crosses a level: Newton's method for `sqrt(t)`, whose slope at a
//! conditional minimum is a partial derivative of the likelihood.

use super::conditional::{Profile, is_deeper};
use super::interval::{End, NotFound};
use super::newton::{Evaluations, Place};
use super::{Fit, FitFailure};

/// `sqrt(t)` is found to this part of its level.
const PRECISION: f64 = 1e-6;
/// Conditional fits to find an end.
const MOST_FITS: usize = 60;
/// Without a crossing so far, a step goes at most this many times as far.
const EXPANSION: f64 = 2.5;

/// A search for crossings.
pub(super) struct Search<'a> {
    profile: &'a Profile<'a>,
    best: &'a Fit,
    parameter: usize,
    /// `sqrt(level)`.
    pub(super) target: f64,
}

/// An end, and what was met on the way.
pub(super) struct Found {
    pub(super) end: End,
    /// A point below the best fit, with which the search ended.
    pub(super) deeper: Option<Place>,
    pub(super) evaluations: Evaluations,
}

/// What is known of where a crossing lies.
struct Bracket {
    /// The farthest point inside.
    inside: Place,
    /// The nearest value outside.
    outside: Option<f64>,
    /// Why the fit at the value outside failed, if it did.
    failure: Option<FitFailure>,
    evaluations: Evaluations,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        profile: &'a Profile<'a>,
        best: &'a Fit,
        parameter: usize,
        level: f64,
    ) -> Self {
        Self {
            profile,
            best,
            parameter,
            target: level.sqrt(),
        }
    }

    /// `sqrt(t)` of a conditional minimum.
    pub(super) fn root_t(&self, place: &Place) -> f64 {
        (2.0 * (place.value - self.best.nll)).max(0.0).sqrt()
    }

    /// From the best fit towards the bound below (-1) or above (1).
    pub(super) fn outwards(&self, direction: f64) -> Found {
        let place = self.best.place();
        self.outwards_from(&place, direction)
    }

    /// From a conditional minimum inside towards the bound below (-1) or above (1).
    pub(super) fn outwards_from(&self, place: &Place, direction: f64) -> Found {
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
            evaluations: Evaluations::default(),
        };
        self.close_in(bracket, first, direction)
    }

    /// Between a point inside and one outside.
    pub(super) fn between(&self, inside: &Place, outside: &Place) -> Found {
        let (a, b) = (inside.point[self.parameter], outside.point[self.parameter]);
        let (s, far) = (self.root_t(inside), self.root_t(outside));
        let first = a + (b - a) * (self.target - s) / (far - s);
        let bracket = Bracket {
            inside: inside.clone(),
            outside: Some(b),
            failure: None,
            evaluations: Evaluations::default(),
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
            let found = self
                .profile
                .at(&[value], &bracket.inside, &mut bracket.evaluations);
            let place = match found {
                Ok(place) => place,
                Err(failure) => {
                    bracket.outside = Some(value);
                    bracket.failure = Some(failure);
                    next = 0.5 * (last + value);
                    continue;
                }
            };
            if is_deeper(place.value, self.best) {
                return bracket.deeper(k, place);
            }
            let s = self.root_t(&place);
            if (s - self.target).abs() <= PRECISION * self.target {
                return bracket.end(End::Crossing(value));
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
                    return bracket.end(End::Bound(bound));
                }
            } else {
                bracket.outside = Some(value);
                bracket.failure = None;
            }
        }
        bracket.closed_or(k, NotFound::Level)
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

impl Bracket {
    fn end(self, end: End) -> Found {
        Found {
            end,
            deeper: None,
            evaluations: self.evaluations,
        }
    }

    fn deeper(self, k: usize, place: Place) -> Found {
        let end = End::NotFound {
            last: self.inside.point[k],
            reason: NotFound::Level,
        };
        Found {
            end,
            deeper: Some(place),
            evaluations: self.evaluations,
        }
    }

    /// Nothing is left between inside and outside.
    fn closed(self, k: usize, value: f64) -> Found {
        if self.failure.is_some() {
            return self.closed_or(k, NotFound::Level);
        }
        let end = match self.outside {
            Some(_) => End::Crossing(value),
            // the best fit is on its bound
            None => End::Bound(value),
        };
        self.end(end)
    }

    /// A failure, or else `reason`.
    fn closed_or(mut self, k: usize, reason: NotFound) -> Found {
        let reason = self.failure.take().map_or(reason, NotFound::Failed);
        let last = self.inside.point[k];
        self.end(End::NotFound { last, reason })
    }
}
