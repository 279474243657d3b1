//! The likelihood of 20 000 events and its fit, made by JAX 0.10 in f64; not part of the
//! repository. `SIDEBAND_W4_GOLDEN` is the folder of `w4_20k.json` and
//! `w4_20k.safetensors`.

#![allow(clippy::print_stdout)]

use super::{best_fit, impacts_on_first, scanned};
use crate::fit::{Fit, FitSettings, minos, refit};
use crate::support::{assert_close, assert_near, jet_of_likelihood};
use crate::unbinned::tests::{Data, parameters};
use crate::{Interpolation, Likelihood as _, Model, RateResponse};
use safetensors::SafeTensors;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Deserialize)]
struct Golden {
    nu: Vec<f64>,
    #[serde(rename = "Glo")]
    rate_low: Vec<Vec<f64>>,
    #[serde(rename = "Ghi")]
    rate_high: Vec<Vec<f64>>,
    evaluations: Vec<GoldenValue>,
    hessian: Vec<Vec<f64>>,
    mu_hat: f64,
    alpha_hat: Vec<f64>,
    nll_min: f64,
    covariance: Vec<Vec<f64>>,
    pulls: Vec<GoldenPull>,
    mu_sigma_hessian: f64,
    mu_sigma_stat_only: f64,
    scan: Vec<GoldenPoint>,
    impacts: Vec<GoldenImpact>,
}

#[derive(Deserialize)]
struct GoldenValue {
    theta: Vec<f64>,
    nll: f64,
    grad: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenPull {
    value: f64,
    sigma: f64,
}

#[derive(Deserialize)]
struct GoldenPoint {
    mu: f64,
    t_mu: f64,
    alpha_hat: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenImpact {
    nuisance: usize,
    post_up: f64,
    post_down: f64,
    cov_based: f64,
}

/// Golden and model, for a range of mu; none, and a word about it, without the folder.
fn golden(mu: (f64, f64)) -> Option<(Golden, Model)> {
    let Some(folder) = std::env::var_os("SIDEBAND_W4_GOLDEN").map(PathBuf::from) else {
        println!("SIDEBAND_W4_GOLDEN is not set: nothing compared");
        return None;
    };
    let text = std::fs::read_to_string(folder.join("w4_20k.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(folder.join("w4_20k.safetensors")).unwrap();
    let model = model(&golden, &SafeTensors::deserialize(&bytes).unwrap(), mu);
    Some((golden, model))
}

fn column(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let bytes = tensors.tensor(name).unwrap().data();
    let number = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    bytes.chunks_exact(4).map(number).collect()
}

fn model(golden: &Golden, tensors: &SafeTensors<'_>, mu: (f64, f64)) -> Model {
    let [r, low, high] = ["r", "glo", "ghi"].map(|name| column(tensors, name));
    let n = r.len() / 3;
    let of = |values: &[f64], row: usize| values[row * n..(row + 1) * n].to_vec();
    let interpolation = Interpolation::Code4;
    let responses = |j: usize| {
        let rows = (0..10).map(|k| (k + 1, 10 * j + k));
        let response = |(parameter, row)| (parameter, of(&low, row), of(&high, row), interpolation);
        rows.map(response).collect()
    };
    let rates = |j: usize| {
        let rate = |k: usize| RateResponse {
            parameter: k + 1,
            low: golden.rate_low[j][k],
            high: golden.rate_high[j][k],
            interpolation,
        };
        (0..10).map(rate).collect()
    };
    let data = Data {
        weights: vec![1.0; n],
        ratios: (0..3).map(|j| of(&r, j)).collect(),
        responses: (0..3).map(responses).collect(),
        rates: (0..3).map(rates).collect(),
        nominal: golden.nu.clone(),
    };
    let mut parameters = parameters();
    parameters[0].bounds = mu;
    Model::new(parameters, vec![Arc::new(data.channel())])
}

impl Golden {
    fn best(&self) -> Vec<f64> {
        [&[self.mu_hat], self.alpha_hat.as_slice()].concat()
    }

    /// The fit at the golden's own point.
    fn fit(&self, model: &Model) -> Fit {
        let fit = refit(model, &FitSettings::default(), &self.best()).unwrap();
        assert!(fit.is_converged() && fit.point == self.best(), "{fit:?}");
        fit
    }
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs()
}

#[test]
fn values_gradients_and_hessian_of_20_000_events() {
    let Some((golden, model)) = golden((0.0, 10.0)) else {
        return;
    };
    let mut gradient = vec![0.0; 11];
    for evaluation in &golden.evaluations {
        let value = model.gradient(&evaluation.theta, &mut gradient);
        assert!(close(value, evaluation.nll, 1e-12));
        assert!(close(model.value(&evaluation.theta), value, 1e-14));
        assert_close(&gradient, &evaluation.grad, 1e-9);
    }
    let best = jet_of_likelihood(&model, &golden.best());
    assert!(best.gradient.iter().all(|g| g.abs() < 1e-6), "{best:?}");
    // central differences in the golden
    assert_close(&best.hessian, &golden.hessian.concat(), 1e-6);
}

#[test]
fn the_best_fit_is_the_physical_minimum() {
    let Some((golden, model)) = golden((0.1, 3.0)) else {
        return;
    };
    let fit = best_fit(&model);
    assert!(fit.is_converged());
    let error = golden.mu_sigma_hessian;
    assert_near(fit.point[0], golden.mu_hat, 1e-5 * error);
    assert_near(fit.nll, golden.nll_min, 1e-6);
}

#[test]
fn pulls_and_impacts_at_its_own_point() {
    let Some((golden, model)) = golden((0.1, 3.0)) else {
        return;
    };
    let best = golden.fit(&model);
    let n = best.point.len();
    for i in 0..n {
        for j in 0..n {
            let scale = (golden.covariance[i][i] * golden.covariance[j][j]).sqrt();
            let distance = best.covariance[i * n + j] - golden.covariance[i][j];
            assert!(distance.abs() < 1e-6 * scale, "{i} {j} {distance:e}");
        }
    }
    for (k, expected) in golden.pulls.iter().enumerate() {
        // auxiliary measurements are 0 +- 1
        assert!(close(best.point[k + 1], expected.value, 1e-6), "{k}");
        assert!(close(best.error(k + 1).unwrap(), expected.sigma, 1e-6));
    }
    let mu = impacts_on_first(&model, &FitSettings::default(), &best);
    assert!(close(mu.error.unwrap(), golden.mu_sigma_hessian, 1e-6));
    assert!(close(
        mu.statistical.unwrap(),
        golden.mu_sigma_stat_only,
        1e-6
    ));
    let mut far = 0.0_f64;
    for impact in &mu.ranking {
        let expected = &golden.impacts[impact.parameter - 1];
        assert_eq!(expected.nuisance, impact.parameter - 1);
        let scale = golden.mu_sigma_hessian;
        assert_near(impact.post_fit.unwrap(), expected.cov_based, 1e-6 * scale);
        let [up, down] = impact.refit.map(Option::unwrap);
        far = far.max((up - expected.post_up).abs() / scale);
        far = far.max((down - expected.post_down).abs() / scale);
    }
    assert!(far < 1e-5, "{far:e}");
}

#[test]
fn the_scan_is_the_golden_one() {
    let Some((golden, model)) = golden((0.1, 3.0)) else {
        return;
    };
    let settings = FitSettings::default();
    let best = golden.fit(&model);
    let grid = golden.scan.iter().map(|point| point.mu).collect();
    let found = scanned(&model, &settings, &best, grid);
    assert!(found.failed.is_empty() && found.deeper_at.is_empty());
    let (mut far, mut off) = (0.0_f64, 0.0_f64);
    for (i, expected) in golden.scan.iter().enumerate() {
        far = far.max((found.curve[i].t - expected.t_mu).abs());
        for (a, expected) in found.places[i].point[1..].iter().zip(&expected.alpha_hat) {
            off = off.max((a - expected).abs());
        }
    }
    assert!(far < 1e-5 && off < 1e-4, "{far:e} {off:e}");
    let minos = minos(&model, &settings, &best, 0, 1.0).unwrap();
    for error in minos.errors() {
        assert!(close(error.unwrap().abs(), golden.mu_sigma_hessian, 0.1));
    }
}
