//! Value, gradient and Hessian: against JAX, and against differences.

use super::{BARRIER, Data, EVENTS, NUISANCES, parameters, points};
use crate::support::{assert_close, assert_derivatives, assert_near, jet_of_term};
use crate::{Coefficient, Interpolation, Likelihood, Model, Rate, Term, UnbinnedChannel};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Golden {
    evaluations: Vec<Evaluation>,
}

#[derive(Deserialize)]
struct Evaluation {
    theta: Vec<f64>,
    nll: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
    below_threshold: usize,
}

#[test]
fn value_gradient_and_hessian_are_those_of_jax() {
    let text = include_str!("../../../tests/data/golden/unbinned.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let channel = Data::new(EVENTS).channel();
    let model = Model::new(parameters(), vec![Arc::new(channel.clone())]);
    let n = NUISANCES + 1;
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
    for expected in golden.evaluations {
        let at = &expected.theta;
        let close = |value: f64| (value / expected.nll - 1.0).abs() < 1e-13;
        assert!(close(model.value(at)));
        assert!(close(model.gradient(at, &mut gradient)));
        assert_close(&gradient, &expected.gradient, 1e-12);
        assert!(close(model.hessian(at, &mut gradient, &mut hessian)));
        assert_close(&gradient, &expected.gradient, 1e-12);
        assert_close(&hessian, &expected.hessian, 1e-11);
        assert_eq!(channel.count_not_positive(at), expected.below_threshold);
    }
}

fn assert_slopes(channel: &UnbinnedChannel, at: &[f64], rough: &[usize]) {
    assert_derivatives(|at| jet_of_term(channel, at), at, 5e-6, [1e-5, 1e-4], rough);
}

#[test]
fn agree_with_differences_at_0_at_the_ends_inside_and_outside() {
    let channel = Data::new(EVENTS).channel();
    for at in points() {
        // code 1 has a kink at 0
        let rough: &[usize] = if at[9] == 0.0 { &[9] } else { &[] };
        assert_slopes(&channel, &at, rough);
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
        assert_slopes(&channel, &at, &rough);
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
        assert_slopes(&channel, &at, rough);
    }
}

#[test]
fn square_root_of_the_signal_strength_has_derivatives_at_zero() {
    let data = Data::new(EVENTS);
    let parameters = parameters();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let mut processes = data.processes();
    for (process, nominal) in processes.iter_mut().zip(&data.nominal) {
        let text = process.rate.coefficient().text().to_owned();
        let coefficient = Coefficient::parse(&text, &names).unwrap().with_square(0);
        let responses = process.rate.responses().to_vec();
        process.rate = Rate::new(coefficient, *nominal, responses).unwrap();
    }
    let channel = UnbinnedChannel::new(processes, data.sample(), &parameters).unwrap();
    let channel = channel.with_policy(BARRIER).unwrap();
    let mut at = vec![0.3; NUISANCES + 1];
    at[0] = 1.1;
    let mut squared = at.clone();
    squared[0] = at[0] * at[0];
    let same = channel.value(&at) / data.channel().value(&squared);
    assert_near(same, 1.0, 1e-13);
    at[0] = 0.0;
    assert_slopes(&channel, &at, &[]);
}
