//! Exact derivatives against differences.

use super::{Data, EVENTS, NUISANCES, points};
use crate::{Coefficient, Interpolation, Rate, Term, UnbinnedChannel};

const N: usize = NUISANCES + 1;

/// Value, gradient and Hessian.
pub(super) fn all(term: &dyn Term, at: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let (mut gradient, mut hessian) = (vec![0.0; at.len()], vec![0.0; at.len().pow(2)]);
    let value = term.hessian(at, &mut gradient, &mut hessian);
    (value, gradient, hessian)
}

/// Compares with central differences, but not in `rough` parameters that are at a kink.
pub(super) fn assert_derivatives(term: &dyn Term, at: &[f64], rough: &[usize]) {
    const STEP: f64 = 1e-5;
    let n = at.len();
    let (value, gradient, hessian) = all(term, at);
    let mut first = vec![0.0; n];
    assert!((term.value(at) / value - 1.0).abs() < 1e-13);
    assert!((term.gradient(at, &mut first) / value - 1.0).abs() < 1e-13);
    super::assert_close(&first, &gradient, 1e-13);
    for k in (0..n).filter(|k| !rough.contains(k)) {
        let moved = |by: f64| {
            let mut at = at.to_vec();
            at[k] += by;
            all(term, &at)
        };
        let (below, above) = (moved(-STEP), moved(STEP));
        let slope = (above.0 - below.0) / (2.0 * STEP);
        assert!(
            (gradient[k] - slope).abs() < 1e-5 * (1.0 + slope.abs()),
            "{k} {slope}"
        );
        for l in 0..n {
            let slope = (above.1[l] - below.1[l]) / (2.0 * STEP);
            let far = (hessian[k * n + l] - slope).abs();
            assert!(far < 1e-4 * (1.0 + slope.abs()), "{k} {l}: {far} {slope}");
            assert_eq!(hessian[k * n + l], hessian[l * n + k]);
        }
    }
}

#[test]
fn agree_with_differences_at_0_at_the_ends_inside_and_outside() {
    let channel = Data::new(EVENTS).channel();
    for at in points() {
        // code 1 has a kink at 0
        let rough: &[usize] = if at[9] == 0.0 { &[9] } else { &[] };
        assert_derivatives(&channel, &at, rough);
    }
}

#[test]
fn codes_that_add_terms_agree_with_differences() {
    let mut data = Data::new(EVENTS);
    for responses in &mut data.responses {
        responses[1].3 = Interpolation::Code4p;
        responses[2].3 = Interpolation::Code0;
        responses[3].3 = Interpolation::Code2;
    }
    let channel = data.channel();
    for at in points() {
        // codes 0 and 1 have kinks at 0, the second derivatives of code 2 at the ends
        let is_rough = |k: &usize| match k {
            9 | 3 => at[*k] == 0.0,
            4 => at[*k].abs() == 1.0,
            _ => false,
        };
        let rough: Vec<usize> = (0..at.len()).filter(is_rough).collect();
        assert_derivatives(&channel, &at, &rough);
    }
}

#[test]
fn renormalised_derivatives_agree_with_differences() {
    let data = Data::new(EVENTS);
    let mut reference = Data::new(2 * EVENTS);
    reference.weights.iter_mut().for_each(|w| *w = w.abs());
    let channel = data.channel().with_reference(reference.sample()).unwrap();
    let channel = channel.with_renormalisation().unwrap();
    for at in points() {
        let rough: &[usize] = if at[9] == 0.0 { &[9] } else { &[] };
        assert_derivatives(&channel, &at, rough);
    }
}

#[test]
fn square_root_of_the_signal_strength_has_derivatives_at_zero() {
    let data = Data::new(EVENTS);
    let parameters = super::parameters();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let mut processes = data.processes();
    for process in &mut processes {
        let text = process.rate.coefficient().text().to_owned();
        let coefficient = Coefficient::parse(&text, &names).unwrap().with_square(0);
        let (nominal, responses) = (process.rate.nominal(), process.rate.responses().to_vec());
        process.rate = Rate::new(coefficient, nominal, responses).unwrap();
    }
    let channel = UnbinnedChannel::new(processes, data.sample(), &parameters).unwrap();
    let channel = channel.with_policy(super::BARRIER).unwrap();
    let mut at = vec![0.3; N];
    at[0] = 1.1;
    let mut squared = at.clone();
    squared[0] = at[0] * at[0];
    let same = channel.value(&at) / data.channel().value(&squared);
    assert!((same - 1.0).abs() < 1e-13);
    at[0] = 0.0;
    assert_derivatives(&channel, &at, &[]);
}
