//! Both losses on two Gaussians whose density ratio is known in closed form
//! (tests/data/golden/README.md): the optimum and, for the exponential loss, the
//! value of the minimum.

use crate::support::flows::{Job, cpu, settings};
use crate::support::statistics::mean;
use crate::support::{Numbers, document, number, numbers, parsed};
use serde_json::Value;
use sideband::settings::{Schedule, Split};
use sideband::training::{
    ClassRows, FeatureScaling, Inputs, SplitSettings, TrainingSample, TrainingSettings,
};
use sideband_networks::{Activation, Kernels, MlpConfig, Network, Objective, Predictor, Row};
use std::sync::Arc;

fn golden() -> Value {
    serde_json::from_str(&document("tests/data/golden/exp_loss.json")).unwrap()
}

/// Lower triangle L of V = L L^T.
fn cholesky(v: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = v.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            l[i][j] = if i == j {
                (v[i][i] - sum).sqrt()
            } else {
                (v[i][j] - sum) / l[j][j]
            };
        }
    }
    l
}

fn draw(n: usize, mean: &[f64], covariance: &[Vec<f64>], seed: u64) -> Vec<f32> {
    let l = cholesky(covariance);
    let mut numbers = Numbers::new(seed);
    let mut x = Vec::with_capacity(n * mean.len());
    for _ in 0..n {
        let z: Vec<f64> = mean.iter().map(|_| numbers.normal()).collect();
        for (i, m) in mean.iter().enumerate() {
            let shift: f64 = l[i].iter().zip(&z).map(|(l, z)| l * z).sum();
            x.push((m + shift) as f32);
        }
    }
    x
}

/// Mean validation loss of the members at their best epochs, and the log of the
/// mean over members of r at the golden points.
fn train(objective: Objective, events: usize) -> (f64, Vec<f64>) {
    let golden = golden();
    let class = |mean: &str, covariance: &str, word: u64| {
        let covariance: Vec<Vec<f64>> = parsed(&golden[covariance]);
        let x = draw(events, &numbers(&golden[mean]), &covariance, 5 + word);
        let first = word as usize * events;
        let keys = (0..events as u64).map(|i| i * 2 + word).collect();
        (x, ClassRows::consecutive(first, vec![1.0; events], keys))
    };
    let (mut x, source) = class("meanA", "covA", 0);
    let (target_x, target) = class("meanB", "covB", 1);
    x.extend(target_x);
    let sample = TrainingSample::of(Arc::new(Inputs::new(x, 3)), vec![source, target]);
    let network = MlpConfig {
        inputs: 3,
        hidden: vec![32, 32],
        activation: Activation::Silu,
        dropout: 0.0,
        batch_norm: false,
    };
    let job = Job {
        sample,
        scaling: FeatureScaling {
            mean: vec![0.0; 3],
            scale: vec![1.0; 3],
            ..FeatureScaling::default()
        },
        settings: TrainingSettings {
            objective,
            learning_rate: 3e-3,
            schedule: Schedule::Cosine {
                epochs: 20,
                floor: 0.0,
            },
            batch: 1024,
            bootstrap: true,
            split: SplitSettings {
                split: Split::Shared,
                held_out: 0.05,
                validation: 0.2,
                folds: 2,
            },
            ..settings(network.clone(), 20)
        },
    };
    let compute = cpu(Kernels::Fused);
    let members = job.train(0..8, &compute, [2, 0]);
    let history = members.iter().map(|m| &m.about.history);
    let loss = mean(history.map(|h| h.validation[h.best_epoch]));
    let points: Vec<Vec<f64>> = parsed(&golden["x"]);
    let flat: Vec<f32> = points.iter().flatten().map(|v| *v as f32).collect();
    let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
    let network = Network::new(network);
    let q = Predictor::new(&compute, &network, &job.scaling.inputs(), &rows).output(&flat);
    let n = points.len();
    let log_mean = |i: usize| mean((0..rows.len()).map(|m| f64::from(q[m * n + i]).exp())).ln();
    (loss, (0..n).map(log_mean).collect())
}

#[test]
fn the_optimum_of_both_losses_is_the_log_density_ratio() {
    let golden = golden();
    let exact = numbers(&golden["optimal_Q"]);
    let center = mean(&exact);
    let squares = |values: &[f64], other: &dyn Fn(usize) -> f64| {
        let values = values.iter().enumerate();
        mean(values.map(|(i, v)| (v - other(i)).powi(2)))
    };
    for objective in Objective::OF_RATIOS {
        let (loss, q) = train(objective, 30_000);
        let variance = squares(&exact, &|_| center);
        let mse = squares(&q, &|i| exact[i]);
        // 24 000 training events a class in 3 dimensions: about 1 % is seen
        assert!(mse < 0.04 * variance, "{objective:?}: {mse} of {variance}");
        if objective == Objective::Exponential {
            let minimum = number(&golden["loss_at_optimum_exact"]);
            // 6000 validation events a class: standard deviation of exp(Q/2) is
            // about 0.6, so the mean of the two sums is known to 0.011; 4 of those
            assert!((loss - minimum).abs() < 0.044, "{loss} {minimum}");
        }
    }
}
