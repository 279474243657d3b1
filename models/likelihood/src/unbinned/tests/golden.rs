//! Against JAX.

use super::{Data, NUISANCES, assert_close, parameters};
use crate::{Likelihood, Model};
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
    let channel = Data::new(super::EVENTS).channel();
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
