//! The likelihood of 20 000 events made by JAX 0.10 in f64; not part of the
//! repository. `SIDEBAND_W4_GOLDEN` is the folder of `w4_20k.json` and
//! `w4_20k.safetensors`.
#![allow(clippy::print_stdout)]

use super::{assert_close, largest_difference};
use crate::{
    Coefficient, Constraint, Events, Interpolation, Likelihood, Model, NotPositive, Parameter,
    Process, ProcessEvents, Rate, RateResponse, ResponseEvents, Sample, Storage, UnbinnedChannel,
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
    evaluations: Vec<Evaluation>,
    mu_hat: f64,
    alpha_hat: Vec<f64>,
    nll_min: f64,
    hessian: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Evaluation {
    theta: Vec<f64>,
    nll: f64,
    grad: Vec<f64>,
}

const COEFFICIENTS: [&str; 3] = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];

fn column(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let bytes = tensors.tensor(name).unwrap().data();
    let number = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    bytes.chunks_exact(4).map(number).collect()
}

fn model(golden: &Golden, tensors: &SafeTensors<'_>) -> Model {
    let mut parameters = vec![Parameter::interest("mu", 1.0, (0.0, 10.0))];
    parameters.extend((0..10).map(|k| Parameter::nuisance(&format!("alpha_{k}"))));
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        parameters[1].constraint,
        Some(Constraint {
            centre: 0.0,
            width: 1.0
        })
    );
    let interpolation = Interpolation::Code4;
    let process = |j: usize| {
        let responses = (0..10).map(|k| RateResponse {
            parameter: k + 1,
            low: golden.rate_low[j][k],
            high: golden.rate_high[j][k],
            interpolation,
        });
        let coefficient = Coefficient::parse(COEFFICIENTS[j], &names).unwrap();
        let rate = Rate::new(coefficient, golden.nu[j], responses.collect()).unwrap();
        Process {
            name: COEFFICIENTS[j].to_owned(),
            rate,
        }
    };
    let (r, low, high) = (
        column(tensors, "r"),
        column(tensors, "glo"),
        column(tensors, "ghi"),
    );
    let n = r.len() / 3;
    let events = Events {
        weights: &vec![1.0; n],
        processes: (0..3)
            .map(|j| ProcessEvents {
                ratios: &r[j * n..(j + 1) * n],
                responses: (0..10)
                    .map(|k| {
                        let rows = (j * 10 + k) * n..(j * 10 + k + 1) * n;
                        ResponseEvents {
                            parameter: k + 1,
                            low: &low[rows.clone()],
                            high: &high[rows],
                            interpolation,
                        }
                    })
                    .collect(),
            })
            .collect(),
    };
    let sample = Sample::new(&events, Storage::Double).unwrap();
    let channel = UnbinnedChannel::new((0..3).map(process).collect(), sample, &parameters);
    let channel = channel
        .unwrap()
        .with_policy(NotPositive::Barrier { relative: 1e-3 })
        .unwrap();
    Model::new(parameters, vec![Arc::new(channel)])
}

#[test]
fn values_gradients_and_hessian_of_20_000_events() {
    let Some(folder) = std::env::var_os("SIDEBAND_W4_GOLDEN").map(PathBuf::from) else {
        println!("SIDEBAND_W4_GOLDEN is not set: nothing compared");
        return;
    };
    let text = std::fs::read_to_string(folder.join("w4_20k.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(folder.join("w4_20k.safetensors")).unwrap();
    let model = model(&golden, &SafeTensors::deserialize(&bytes).unwrap());
    let mut gradient = vec![0.0; 11];
    for evaluation in &golden.evaluations {
        let value = model.gradient(&evaluation.theta, &mut gradient);
        println!(
            "value {:.1e}, gradient {:.1e}",
            value / evaluation.nll - 1.0,
            largest_difference(&gradient, &evaluation.grad)
        );
        assert!((value / evaluation.nll - 1.0).abs() < 1e-12);
        assert!((model.value(&evaluation.theta) / value - 1.0).abs() < 1e-14);
        assert_close(&gradient, &evaluation.grad, 1e-9);
    }
    let best: Vec<f64> = std::iter::once(golden.mu_hat)
        .chain(golden.alpha_hat)
        .collect();
    let mut hessian = vec![0.0; 121];
    let value = model.hessian(&best, &mut gradient, &mut hessian);
    println!(
        "minimum {:.1e}, gradient {gradient:.1?}",
        value - golden.nll_min
    );
    assert!(gradient.iter().all(|g| g.abs() < 1e-6));
    // central differences in the golden
    println!(
        "hessian {:.1e}",
        largest_difference(&hessian, &golden.hessian.concat())
    );
    assert_close(&hessian, &golden.hessian.concat(), 1e-6);
}
