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

use super::super::super::Likelihood;
use super::{Curvature, Descent, Evaluations, NewtonSettings, Start, descend, scales};
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

/// A descent, and if it ends on kinks one between them.
pub(crate) fn descend_with_kinks(
    likelihood: &dyn Likelihood,
    start: Start<'_>,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let first = descend(likelihood, start, bounds, settings);
    let is_done = matches!(first.outcome, Outcome::Converged | Outcome::StartNotFinite);
    if is_done || likelihood.kinks().is_empty() {
        return first;
    }
    between(likelihood, first, bounds, settings)
}

/// The end of a descent, or a deeper minimum behind one of the likelihood's kinks.
pub(crate) fn look_behind_kinks(
    likelihood: &dyn Likelihood,
    mut end: Descent,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let exact = NewtonSettings {
        curvature: Curvature::Exact,
        ..*settings
    };
    let mut spent = Evaluations::default();
    for kink in find(likelihood, &end, bounds, &mut spent) {
        if !kink.is_ridge(settings.gradient_tolerance) {
            continue;
        }
        let k = kink.parameter;
        let mirrored = Kink {
            is_above: end.place.point[k] < 0.0,
            ..kink
        };
        let mut point = end.place.point.clone();
        point[k] = -point[k];
        let Some(part) = part(bounds, std::slice::from_ref(&mirrored), &mut point) else {
            continue;
        };
        let other = descend_with_kinks(likelihood, Start::Point(point), &part, &exact);
        spent += other.evaluations;
        let least = DEEPER[0] + DEEPER[1] * end.place.value.abs();
        let is_deeper = other.place.value < end.place.value - least;
        if is_deeper && other.outcome == Outcome::Converged && !mirrored.is_on(&other.place.point) {
            let before = (end.evaluations, end.iterations);
            end = other;
            (end.evaluations, end.iterations) = before;
        }
    }
    end.evaluations += spent;
    end
}

/// Goes on from the end of a descent that did not converge, if there are kinks; else it is
/// the end.
fn between(
    likelihood: &dyn Likelihood,
    mut from: Descent,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let mut spent = from.evaluations;
    let mut kinks = find(likelihood, &from, bounds, &mut spent);
    let jumps = |kink: &Kink| (kink.slopes[0] - kink.slopes[1]).abs() > settings.gradient_tolerance;
    kinks.retain(jumps);
    let settings = NewtonSettings {
        curvature: Curvature::Exact,
        ..*settings
    };
    let mut iterations = from.iterations;
    // each round is lower than the one before
    for _ in 0..2 * kinks.len() + 10 {
        let mut point = from.place.point.clone();
        let Some(part) = part(bounds, &kinks, &mut point) else {
            break;
        };
        if kinks.is_empty() {
            break;
        }
        let mut end = descend(likelihood, Start::Point(point), &part, &settings);
        spent += end.evaluations;
        iterations += end.iterations;
        let is_lower = turn(likelihood, &end, bounds, &settings, &mut kinks);
        spent.gradients += 1;
        if is_lower && end.outcome == Outcome::Converged {
            from = end;
            from.outcome = Outcome::IterationLimit;
            continue;
        }
        let on = kinks.iter().map(|kink| kink.parameter);
        end.kinks = on
            .filter(|&k| [0.0, BELOW].contains(&end.place.point[k]))
            .collect();
        for &k in &end.kinks {
            end.place.point[k] = 0.0;
        }
        from = end;
        break;
    }
    (from.evaluations, from.iterations) = (spent, iterations);
    from
}

/// The kinks within the bounds, with the slopes there, the others where a descent ended.
fn find(
    likelihood: &dyn Likelihood,
    from: &Descent,
    bounds: &Bounds,
    spent: &mut Evaluations,
) -> Vec<Kink> {
    let n = bounds.len();
    let mut scale = vec![1.0; n];
    scales(&from.place, bounds, &mut scale);
    let mut at = from.place.point.clone();
    let mut gradient = vec![0.0; n];
    let mut kinks = Vec::new();
    let inside = |k: &&usize| bounds.lower()[**k] < BELOW && bounds.upper()[**k] > 0.0;
    for &k in likelihood.kinks().iter().filter(inside) {
        let here = at[k];
        let slopes = [false, true].map(|is_above| {
            at[k] = Kink::edge(is_above);
            likelihood.gradient(&at, &mut gradient);
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

/// The part of the space on this side of the kinks; the point is put into it.
fn part(bounds: &Bounds, kinks: &[Kink], point: &mut [f64]) -> Option<Bounds> {
    let (mut lower, mut upper) = (bounds.lower().to_vec(), bounds.upper().to_vec());
    for kink in kinks {
        let k = kink.parameter;
        let end = if kink.is_above {
            &mut lower
        } else {
            &mut upper
        };
        end[k] = Kink::edge(kink.is_above);
        point[k] = point[k].clamp(lower[k], upper[k]);
    }
    Bounds::new(lower, upper).ok()
}

/// Turns to the other side where the slope falls there; says whether there was one.
fn turn(
    likelihood: &dyn Likelihood,
    end: &Descent,
    bounds: &Bounds,
    settings: &NewtonSettings,
    kinks: &mut [Kink],
) -> bool {
    let n = bounds.len();
    let mut scale = vec![1.0; n];
    scales(&end.place, bounds, &mut scale);
    let mut at = end.place.point.clone();
    for kink in kinks.iter().filter(|kink| kink.is_on(&end.place.point)) {
        at[kink.parameter] = Kink::edge(!kink.is_above);
    }
    let mut gradient = vec![0.0; n];
    likelihood.gradient(&at, &mut gradient);
    let mut turned = false;
    for kink in kinks {
        let k = kink.parameter;
        let slope = gradient[k] * scale[k];
        let falls = if kink.is_above {
            slope > settings.gradient_tolerance
        } else {
            slope < -settings.gradient_tolerance
        };
        if kink.is_on(&end.place.point) && falls {
            kink.is_above = !kink.is_above;
            turned = true;
        }
    }
    turned
}
