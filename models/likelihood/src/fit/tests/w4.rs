//! The fit of 20 000 events made by JAX 0.10 in f64; not part of the repository.
//! `SIDEBAND_W4_GOLDEN` is the folder of `w4_20k.json` and `w4_20k.safetensors`.

#![allow(clippy::print_stdout)]

use crate::fit::{
    Basin, Fit, FitSettings, ImpactSettings, ScanSettings, Search, Shift, fit, impacts, minos,
    refit, scan,
};
use crate::{
    Coefficient, Events, Interpolation, Model, NotPositive, Parameter, Process, ProcessEvents,
    Rate, RateResponse, ResponseEvents, Sample, Storage, UnbinnedChannel,
};
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

const COEFFICIENTS: [&str; 3] = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];

/// Golden and model; none, and a word about it, without the folder.
fn golden() -> Option<(Golden, Model)> {
    let Some(folder) = std::env::var_os("SIDEBAND_W4_GOLDEN").map(PathBuf::from) else {
        println!("SIDEBAND_W4_GOLDEN is not set: nothing compared");
        return None;
    };
    let text = std::fs::read_to_string(folder.join("w4_20k.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(folder.join("w4_20k.safetensors")).unwrap();
    let model = model(&golden, &SafeTensors::deserialize(&bytes).unwrap());
    Some((golden, model))
}

fn column(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let bytes = tensors.tensor(name).unwrap().data();
    let number = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    bytes.chunks_exact(4).map(number).collect()
}

fn model(golden: &Golden, tensors: &SafeTensors<'_>) -> Model {
    let mut parameters = vec![Parameter::interest("mu", 1.0, (0.1, 3.0))];
    parameters.extend((0..10).map(|k| Parameter::nuisance(&format!("alpha_{k}"))));
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let interpolation = Interpolation::Code4;
    let process = |j: usize| {
        let responses = (0..10).map(|k| RateResponse {
            parameter: k + 1,
            low: golden.rate_low[j][k],
            high: golden.rate_high[j][k],
            interpolation,
        });
        let coefficient = Coefficient::parse(COEFFICIENTS[j], &names).unwrap();
        Process {
            name: COEFFICIENTS[j].to_owned(),
            rate: Rate::new(coefficient, golden.nu[j], responses.collect()).unwrap(),
        }
    };
    let (r, low, high) = (
        column(tensors, "r"),
        column(tensors, "glo"),
        column(tensors, "ghi"),
    );
    let n = r.len() / 3;
    let response = |row: usize| ResponseEvents {
        parameter: row % 10 + 1,
        low: &low[row * n..(row + 1) * n],
        high: &high[row * n..(row + 1) * n],
        interpolation,
    };
    let events = Events {
        weights: &vec![1.0; n],
        processes: (0..3)
            .map(|j| ProcessEvents {
                ratios: &r[j * n..(j + 1) * n],
                responses: (0..10).map(|k| response(10 * j + k)).collect(),
            })
            .collect(),
    };
    let sample = Sample::new(&events, Storage::Double).unwrap();
    let channel = UnbinnedChannel::new((0..3).map(process).collect(), sample, &parameters)
        .unwrap()
        .with_policy(NotPositive::Barrier { relative: 1e-3 })
        .unwrap();
    Model::new(parameters, vec![Arc::new(channel)])
}

/// The fit at the golden's own point.
fn own_point(golden: &Golden, model: &Model) -> Fit {
    let point: Vec<f64> = std::iter::once(&golden.mu_hat)
        .chain(&golden.alpha_hat)
        .copied()
        .collect();
    let fit = refit(model, &FitSettings::default(), &point, None).unwrap();
    assert!(fit.is_converged() && fit.point == point, "{fit:?}");
    fit
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs()
}

#[test]
fn the_best_fit_is_the_physical_minimum() {
    let Some((golden, model)) = golden() else {
        return;
    };
    let fit = fit(&model, &FitSettings::default()).unwrap();
    assert!(fit.is_converged());
    let error = golden.mu_sigma_hessian;
    assert!((fit.point[0] - golden.mu_hat).abs() < 1e-5 * error);
    assert!((fit.nll - golden.nll_min).abs() < 1e-6);
    let elsewhere = FitSettings {
        searches: vec![Search {
            parameter: 0,
            points: 12,
        }],
        basin: Basin::Nominal,
        ..FitSettings::default()
    };
    let again = super::super::fit(&model, &elsewhere).unwrap();
    assert_eq!(again.point, fit.point);
}

#[test]
fn pulls_and_impacts_at_its_own_point() {
    let Some((golden, model)) = golden() else {
        return;
    };
    let best = own_point(&golden, &model);
    let n = best.point.len();
    for i in 0..n {
        for j in 0..n {
            let scale = (golden.covariance[i][i] * golden.covariance[j][j]).sqrt();
            let distance = best.covariance[i * n + j] - golden.covariance[i][j];
            assert!(distance.abs() < 1e-6 * scale, "{i} {j} {distance:e}");
        }
    }
    let asked = ImpactSettings {
        interest: vec![0],
        refit: true,
        ..ImpactSettings::default()
    };
    let found = impacts(&model, &FitSettings::default(), &best, &asked).unwrap();
    for (pull, expected) in found.pulls.iter().zip(&golden.pulls) {
        assert!(close(pull.value, expected.value, 1e-6), "{pull:?}");
        assert!(close(pull.error.unwrap(), expected.sigma, 1e-6), "{pull:?}");
    }
    let mu = &found.impacts[0];
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
        assert!((impact.post_fit.unwrap() - expected.cov_based).abs() < 1e-6 * scale);
        let [Shift::By(up), Shift::By(down)] = impact.post_fit_refit.clone().unwrap() else {
            unreachable!("{impact:?}")
        };
        far = far.max((up - expected.post_up).abs() / scale);
        far = far.max((down - expected.post_down).abs() / scale);
    }
    assert!(far < 1e-5, "{far:e}");
}

#[test]
fn the_scan_is_the_golden_one() {
    let Some((golden, model)) = golden() else {
        return;
    };
    let settings = FitSettings::default();
    let best = own_point(&golden, &model);
    let asked = ScanSettings {
        parameter: 0,
        grid: golden.scan.iter().map(|point| point.mu).collect(),
        thorough: false,
    };
    let found = scan(&model, &settings, &best, &asked).unwrap();
    assert!(found.failed.is_empty() && found.deeper_at.is_empty());
    let (mut far, mut off) = (0.0_f64, 0.0_f64);
    for (point, expected) in found.curve.iter().zip(&golden.scan) {
        far = far.max((point.t - expected.t_mu).abs());
        for (a, expected) in point.point[1..].iter().zip(&expected.alpha_hat) {
            off = off.max((a - expected).abs());
        }
    }
    assert!(far < 1e-5 && off < 1e-4, "{far:e} {off:e}");
    let minos = minos(&model, &settings, &best, 0, 1.0).unwrap();
    for error in minos.errors() {
        assert!(close(error.unwrap().abs(), golden.mu_sigma_hessian, 0.1));
    }
}
