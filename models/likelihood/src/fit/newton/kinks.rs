//! Minima of likelihoods with kinks: parameters along which the slope jumps at zero, as
//! that of the piecewise linear and exponential interpolations of HistFactory does.
//!
//! Between kinks the likelihood is smooth. A descent that ends on one is repeated in the
//! part of the space that it lies in, with the kinks as bounds; where the slope on the
//! other side of a kink falls, the descent goes on there. The jump along one parameter does
//! not depend on the side that another is on, so that a point from which no parameter
//! alone leads down is a minimum to first order.
//!
//! A kink that the likelihood falls away from on both sides may hide a deeper minimum: it
//! is looked for from the mirrored point.

use super::{Descent, Evaluations, Place, Problem, scales};
use sideband_numerics::minimise::{Bounds, Outcome};

/// Just below zero: the slope is that from below, nothing else changes.
const BELOW: f64 = -1e-300;
/// A minimum is deeper than another by more than this, or by this part of its value.
const DEEPER: [f64; 2] = [1e-9, 1e-12];

/// A parameter with a kink, and the side of it that is looked at.
struct Kink {
    parameter: usize,
    is_above: bool,
    /// Slopes from below and from above there, over one conditional standard deviation.
    slopes: [f64; 2],
}

impl Kink {
    /// The kink as seen from a side.
    fn edge(is_above: bool) -> f64 {
        if is_above { 0.0 } else { BELOW }
    }

    fn is_on(&self, point: &[f64]) -> bool {
        point[self.parameter] == Self::edge(self.is_above)
    }

    /// Whether the likelihood is lower on both sides than on the kink, or would be if it
    /// were not tilted.
    fn is_ridge(&self, tolerance: f64) -> bool {
        let [below, above] = self.slopes;
        below - above > tolerance
    }
}

impl Problem<'_> {
    /// A descent, and if it ends on kinks one between them.
    pub(in crate::fit) fn descend_with_kinks(self, point: Vec<f64>) -> Descent {
        let first = self.descend(point);
        let is_done = matches!(first.outcome, Outcome::Converged | Outcome::StartNotFinite);
        if is_done || self.likelihood.kinks().is_empty() {
            return first;
        }
        self.between(first)
    }

    /// The end of a descent, or a deeper minimum behind one of the likelihood's kinks.
    pub(in crate::fit) fn look_behind_kinks(self, mut end: Descent) -> Descent {
        let mut spent = Evaluations::default();
        for kink in self.kinks(&end, &mut spent) {
            if !kink.is_ridge(self.settings.gradient_tolerance) {
                continue;
            }
            let k = kink.parameter;
            let mirrored = Kink {
                is_above: end.place.point[k] < 0.0,
                ..kink
            };
            let mut point = end.place.point.clone();
            point[k] = -point[k];
            let mirrored = std::slice::from_ref(&mirrored);
            let Some(part) = part(self.bounds, mirrored, &mut point) else {
                continue;
            };
            let within = Problem {
                bounds: &part,
                ..self
            };
            let other = within.descend_with_kinks(point);
            spent += other.evaluations;
            let least = DEEPER[0] + DEEPER[1] * end.place.value.abs();
            let is_deeper = other.place.value < end.place.value - least;
            let is_end = other.outcome == Outcome::Converged;
            if is_deeper && is_end && !mirrored[0].is_on(&other.place.point) {
                let before = (end.evaluations, end.iterations);
                end = other;
                (end.evaluations, end.iterations) = before;
            }
        }
        end.evaluations += spent;
        end
    }

    /// Goes on from the end of a descent that did not converge, if there are kinks; else it
    /// is the end.
    fn between(self, mut from: Descent) -> Descent {
        let mut spent = from.evaluations;
        let mut kinks = self.kinks(&from, &mut spent);
        let tolerance = self.settings.gradient_tolerance;
        kinks.retain(|kink| (kink.slopes[0] - kink.slopes[1]).abs() > tolerance);
        let mut iterations = from.iterations;
        // each round is lower than the one before
        for _ in 0..2 * kinks.len() + 10 {
            let mut point = from.place.point.clone();
            let Some(part) = part(self.bounds, &kinks, &mut point) else {
                break;
            };
            if kinks.is_empty() {
                break;
            }
            let within = Problem {
                bounds: &part,
                ..self
            };
            let mut end = within.descend(point);
            spent += end.evaluations;
            iterations += end.iterations;
            let is_lower = self.turn(&end, &mut kinks);
            spent.gradients += 1;
            if is_lower && end.outcome == Outcome::Converged {
                from = end;
                from.outcome = Outcome::IterationLimit;
                continue;
            }
            let on = kinks.iter().map(|kink| kink.parameter);
            let on = on.filter(|&k| [0.0, BELOW].contains(&end.place.point[k]));
            end.kinks = on.collect();
            for &k in &end.kinks {
                end.place.point[k] = 0.0;
            }
            from = end;
            break;
        }
        (from.evaluations, from.iterations) = (spent, iterations);
        from
    }

    /// Conditional standard deviations, `[n]`.
    pub(in crate::fit) fn scale(self, place: &Place) -> Vec<f64> {
        let mut scale = vec![1.0; self.bounds.len()];
        scales(place, self.bounds, &mut scale);
        scale
    }

    /// The kinks within the bounds, with the slopes there, the others where a descent ended.
    fn kinks(self, from: &Descent, spent: &mut Evaluations) -> Vec<Kink> {
        let scale = self.scale(&from.place);
        let mut at = from.place.point.clone();
        let mut gradient = vec![0.0; at.len()];
        let mut kinks = Vec::new();
        let (lower, upper) = (self.bounds.lower(), self.bounds.upper());
        let inside = |k: &&usize| lower[**k] < BELOW && upper[**k] > 0.0;
        for &k in self.likelihood.kinks().iter().filter(inside) {
            let here = at[k];
            let slopes = [false, true].map(|is_above| {
                at[k] = Kink::edge(is_above);
                self.likelihood.gradient(&at, &mut gradient);
                gradient[k] * scale[k]
            });
            spent.gradients += 2;
            at[k] = here;
            kinks.push(Kink {
                parameter: k,
                is_above: here >= 0.0,
                slopes,
            });
        }
        kinks
    }

    /// Turns to the other side where the slope falls there; says whether there was one.
    fn turn(self, end: &Descent, kinks: &mut [Kink]) -> bool {
        let scale = self.scale(&end.place);
        let mut at = end.place.point.clone();
        for kink in kinks.iter().filter(|kink| kink.is_on(&end.place.point)) {
            at[kink.parameter] = Kink::edge(!kink.is_above);
        }
        let mut gradient = vec![0.0; at.len()];
        self.likelihood.gradient(&at, &mut gradient);
        let mut turned = false;
        for kink in kinks {
            let slope = gradient[kink.parameter] * scale[kink.parameter];
            let outwards = if kink.is_above { slope } else { -slope };
            let falls = outwards > self.settings.gradient_tolerance;
            if kink.is_on(&end.place.point) && falls {
                kink.is_above = !kink.is_above;
                turned = true;
            }
        }
        turned
    }
}

/// The part of the space on this side of the kinks; the point is put into it.
fn part(bounds: &Bounds, kinks: &[Kink], point: &mut [f64]) -> Option<Bounds> {
    let (mut lower, mut upper) = (bounds.lower().to_vec(), bounds.upper().to_vec());
    for kink in kinks {
        let k = kink.parameter;
        let ends = match kink.is_above {
            true => &mut lower,
            false => &mut upper,
        };
        ends[k] = Kink::edge(kink.is_above);
        point[k] = point[k].clamp(lower[k], upper[k]);
    }
    Bounds::new(lower, upper).ok()
}
