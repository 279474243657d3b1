//! What tests share.

use crate::{Error, Jet, Likelihood, Term};
use std::borrow::Borrow;

/// A likelihood at a point; its value and its gradient alone must be the same.
pub(crate) fn jet_of_likelihood(likelihood: &dyn Likelihood, at: &[f64]) -> Jet {
    jet(
        at.len(),
        |gradient| likelihood.gradient(at, gradient),
        |gradient, hessian| likelihood.hessian(at, gradient, hessian),
        likelihood.value(at),
    )
}

/// As [`jet_of_likelihood`], of a term.
pub(crate) fn jet_of_term(term: &dyn Term, at: &[f64]) -> Jet {
    jet(
        at.len(),
        |gradient| term.gradient(at, gradient),
        |gradient, hessian| term.hessian(at, gradient, hessian),
        term.value(at),
    )
}

fn jet(
    n: usize,
    first: impl Fn(&mut [f64]) -> f64,
    second: impl Fn(&mut [f64], &mut [f64]) -> f64,
    value: f64,
) -> Jet {
    let mut jet = Jet::constant(0.0, n, 2);
    jet.value = second(&mut jet.gradient, &mut jet.hessian);
    let mut gradient = vec![0.0; n];
    let values = [value, first(&mut gradient)];
    for other in values {
        let far = (other - jet.value).abs();
        assert!(
            far <= 1e-13 * jet.value.abs() || far.is_nan(),
            "{values:?} {jet:?}"
        );
    }
    assert_close(&gradient, &jet.gradient, 1e-13);
    jet
}

#[track_caller]
pub(crate) fn assert_near(found: impl Borrow<f64>, expected: impl Borrow<f64>, tolerance: f64) {
    let (found, expected) = (found.borrow(), expected.borrow());
    let far = (found - expected).abs();
    assert!(far <= tolerance, "{found} is not {expected}");
}

/// The largest difference, relative to the largest of the expected numbers.
fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0_f64, |far, (a, b)| far.max((a - b).abs() / size))
}

#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let far = largest_difference(found, expected);
    assert!(far <= tolerance, "{far:e}: {found:?} is not {expected:?}");
}

/// Asserts that derivatives are the slopes of value and gradient, by differences of fourth
/// order, to `tolerances` of the first and the second, relative to the larger of one and the
/// derivative; not along `rough` parameters. The Hessian must be symmetric.
pub(crate) fn assert_derivatives(
    f: impl Fn(&[f64]) -> Jet,
    at: &[f64],
    step: f64,
    tolerances: [f64; 2],
    rough: &[usize],
) {
    let (exact, n) = (f(at), at.len());
    for k in (0..n).filter(|k| !rough.contains(k)) {
        let moved = [-2.0, -1.0, 1.0, 2.0].map(|steps| {
            let mut at = at.to_vec();
            at[k] += steps * step;
            f(&at)
        });
        let assert_slope = |found: f64, of: &dyn Fn(&Jet) -> f64, tolerance: f64| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| of(&moved[i]));
            let slope = (a - 8.0 * b + 8.0 * c - d) / (12.0 * step);
            let far = (found - slope).abs() / slope.abs().max(1.0);
            assert!(far < tolerance, "{k} at {at:?}: {found} is not {slope}");
        };
        assert_slope(exact.gradient[k], &|jet| jet.value, tolerances[0]);
        for l in 0..n {
            let second = exact.hessian[k * n + l];
            assert_slope(second, &|jet| jet.gradient[l], tolerances[1]);
            let mirrored = exact.hessian[l * n + k];
            assert!((second - mirrored).abs() <= 1e-10 * second.abs().max(1.0));
        }
    }
}

/// Asserts that something was refused with these words.
#[track_caller]
pub(crate) fn assert_refused<T>(found: Result<T, Error>, words: &str) {
    let message = found.err().map(|error| error.to_string());
    let message = message.unwrap_or_else(|| "accepted".to_owned());
    assert!(message.contains(words), "`{message}` without `{words}`");
}
