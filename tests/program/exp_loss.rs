//! Both losses on two Gaussians whose density ratio is known in closed form
//! (tests/data/golden/README.md): the optimum and, for the exponential loss, the
//! value of the minimum.

use serde_json::Value;
use sideband::settings::{Normalise, Schedule, Split};
use sideband::training::{
    ClassRows, FeatureScaling, Inputs, List, Member, Observer, Resources, SplitSettings, Task,
    TrainingSample, TrainingSettings, train_local,
};
use sideband_networks::{
    Activation, Compute, MlpConfig, Network, Objective, OptimizerConfig, Predictor, Row,
};
use sideband_numerics::random::{Key, Stream};
use std::sync::{Arc, Mutex};

struct Quiet;

impl Observer for Quiet {
    fn interrupted(&self) -> bool {
        false
    }
    fn trained(&self, _: &str, _: u64) {}
    fn finished(&self, _: &Member) {}
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../data/golden/exp_loss.json")).unwrap()
}

fn vector(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(vector).collect()
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

fn normal(stream: &mut Stream) -> f64 {
    let (u, v) = (1.0 - stream.uniform(), stream.uniform());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn draw(n: usize, mean: &[f64], covariance: &[Vec<f64>], key: Key) -> Vec<f32> {
    let l = cholesky(covariance);
    let mut stream = key.stream();
    let mut x = Vec::with_capacity(n * mean.len());
    for _ in 0..n {
        let z: Vec<f64> = mean.iter().map(|_| normal(&mut stream)).collect();
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
        let key = Key::from_seed(5).with(word);
        let x = draw(
            events,
            &vector(&golden[mean]),
            &matrix(&golden[covariance]),
            key,
        );
        let first = word as usize * events;
        let keys = (0..events as u64).map(|i| i * 2 + word).collect();
        (x, ClassRows::consecutive(first, vec![1.0; events], keys))
    };
    let (mut x, source) = class("meanA", "covA", 0);
    let (target_x, target) = class("meanB", "covB", 1);
    x.extend(target_x);
    let sample = TrainingSample::new(Arc::new(Inputs::new(x, 3)), source, target);
    let settings = TrainingSettings {
        network: MlpConfig {
            inputs: 3,
            hidden: vec![32, 32],
            activation: Activation::Silu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective,
        normalise: Normalise::Class,
        optimizer: OptimizerConfig::default(),
        learning_rate: 3e-3,
        schedule: Schedule::Cosine {
            epochs: 20,
            floor: 0.0,
        },
        gradient_clip: None,
        l2: 0.0,
        batch: 1024,
        epochs: 20,
        patience: 20,
        retries: 0,
        bootstrap: true,
        split: SplitSettings {
            split: Split::Shared,
            held_out: 0.05,
            validation: 0.2,
            folds: 2,
        },
    };
    let compute = Compute::open("cpu").unwrap();
    let members = Mutex::new(Vec::new());
    let store = |member: &Member| {
        members.lock().unwrap().push(member.clone());
        Ok(())
    };
    let scaling = FeatureScaling {
        mean: vec![0.0; 3],
        scale: vec![1.0; 3],
        ..FeatureScaling::default()
    };
    let task = Task {
        sample: &sample,
        settings: &settings,
        seed: 1,
        ensemble: "golden",
        features: &scaling,
        stream: None,
    };
    let resources = Resources {
        devices: std::slice::from_ref(&compute),
        threads: 2,
        block: 0,
        device_memory: None,
    };
    let ledger = List::new(0..8, store);
    train_local(&[task], resources, &ledger, &Quiet).unwrap();
    let members = members.into_inner().unwrap();
    let loss = members
        .iter()
        .map(|m| m.about.history.validation[m.about.history.best_epoch])
        .sum::<f64>()
        / members.len() as f64;
    let points = matrix(&golden["x"]);
    let flat: Vec<f32> = points.iter().flatten().map(|v| *v as f32).collect();
    let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
    let network = Network::new(settings.network);
    let q = Predictor::new(&compute, &network, &scaling.inputs(), &rows).output(&flat);
    let n = points.len();
    let log_mean = (0..n)
        .map(|i| {
            let sum: f64 = (0..rows.len()).map(|m| f64::from(q[m * n + i]).exp()).sum();
            (sum / rows.len() as f64).ln()
        })
        .collect();
    (loss, log_mean)
}

#[test]
fn the_optimum_of_both_losses_is_the_log_density_ratio() {
    let golden = golden();
    let exact = vector(&golden["optimal_Q"]);
    for objective in [Objective::Exponential, Objective::CrossEntropy] {
        let (loss, q) = train(objective, 30_000);
        let mean = exact.iter().sum::<f64>() / exact.len() as f64;
        let variance = exact.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / exact.len() as f64;
        let mse = q
            .iter()
            .zip(&exact)
            .map(|(q, e)| (q - e).powi(2))
            .sum::<f64>()
            / exact.len() as f64;
        // 24 000 training events a class in 3 dimensions: about 1 % is seen
        assert!(mse < 0.04 * variance, "{objective:?}: {mse} of {variance}");
        if objective == Objective::Exponential {
            let minimum = golden["loss_at_optimum_exact"].as_f64().unwrap();
            // 6000 validation events a class: standard deviation of exp(Q/2) is
            // about 0.6, so the mean of the two sums is known to 0.011; 4 of those
            assert!((loss - minimum).abs() < 0.044, "{loss} {minimum}");
        }
    }
}
