//! Tests of the flow on the host, and the random members they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod gradient;
#[path = "../../../tests/support/nflows.rs"]
mod nflows;
mod spline;

use super::HostFlow;
use super::reference::Reference;
use super::tile::{self, TILE, Transpose};
use crate::flow::{FlowConfig, FlowStep};
use crate::kind::{Batch, HostNetwork, Scratch};
use crate::layout::Row;
use crate::network::Network;
use crate::objective::Objective;
use serde_json::Value;
use sideband_numerics::lanes::instruction_sets;
use sideband_numerics::random::Key;

fn normals(key: Key, n: usize) -> Vec<f32> {
    let mut stream = key.stream();
    (0..n).map(|_| stream.normal() as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// A flow, a member with random parameters and a batch.
struct Case {
    config: FlowConfig,
    flow: HostFlow,
    member: Row,
    x: Vec<f32>,
    coefficients: Vec<f32>,
    masks: Vec<f32>,
}

impl Case {
    /// `sizes`: D, C, K, H, blocks.
    fn new(sizes: [usize; 5], steps: &[FlowStep], events: usize, dropout: f64) -> Self {
        let [features, context, bins, hidden, blocks] = sizes;
        let config = FlowConfig {
            features,
            context,
            steps: steps.to_vec(),
            bins,
            bound: 2.5,
            hidden,
            blocks,
            dropout,
        };
        let flow = HostFlow::new(&config);
        let places = Network::new(config.clone());
        let key = Key::from_seed(17);
        let spread = (hidden as f32).sqrt().recip();
        let parameters = normals(key.with(0), places.parameters().len());
        let parameters = parameters.iter().map(|v| v * spread).collect();
        let mut statistics = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let key = key.with(1).with(i as u64);
            match step {
                FlowStep::BatchNorm => {
                    statistics.extend(normals(key, features));
                    let squares = normals(key.with(1), features).into_iter();
                    statistics.extend(squares.map(|v| 0.3 + v * v));
                }
                FlowStep::Linear => {
                    let order = key.permutation(features as u32);
                    statistics.extend(order.iter().map(|v| *v as f32));
                }
                FlowStep::Coupling => {}
            }
        }
        assert_eq!(statistics.len(), places.statistics().len());
        let couplings = steps.iter().filter(|s| **s == FlowStep::Coupling).count();
        let cells = couplings * blocks * events * hidden * usize::from(dropout > 0.0);
        let mut stream = key.with(2).stream();
        let kept = (1.0 - dropout).recip() as f32;
        let mut is_dropped = || stream.uniform() < dropout;
        let cell = |_| if is_dropped() { 0.0 } else { kept };
        let masks = (0..cells).map(cell).collect();
        let mut stream = key.with(3).stream();
        // one weight in ten is negative
        let coefficients = (0..events).map(|_| (stream.uniform() - 0.1) as f32 / events as f32);
        Self {
            x: normals(key.with(4), events * (features + context)),
            coefficients: coefficients.collect(),
            config,
            flow,
            member: Row {
                parameters,
                statistics,
            },
            masks,
        }
    }

    fn gradient(&self) -> (f32, Vec<f32>, Vec<f32>) {
        self.gradient_with(&mut Scratch::default())
    }

    fn gradient_with(&self, scratch: &mut Scratch) -> (f32, Vec<f32>, Vec<f32>) {
        let mut gradient = vec![f32::NAN; self.member.parameters.len()];
        let mut member = self.member.clone();
        let batch = batch(&self.x, &self.coefficients, &self.masks);
        let loss = (self.flow).gradient(scratch, &mut member, &batch, &mut gradient);
        (loss, gradient, member.statistics)
    }

    /// The same member and batch in f64.
    fn reference(&self, training: bool) -> Reference<'_> {
        let row = self.config.features + self.config.context;
        Reference {
            config: &self.config,
            parameters: wide(&self.member.parameters),
            statistics: wide(&self.member.statistics),
            x: self.x.chunks_exact(row).map(wide).collect(),
            masks: &self.masks,
            training,
        }
    }

    fn log_prob(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; x.len() / self.flow.stride()];
        let mut scratch = Scratch::default();
        self.flow.output(&mut scratch, &self.member, x, &mut out);
        out
    }

    fn sample(&self, z: &[f32], context: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; z.len()];
        let mut scratch = super::Scratch::default();
        (self.flow).sample(&mut scratch, &self.member, z, context, &mut out);
        out
    }
}

fn batch<'a>(x: &'a [f32], coefficients: &'a [f32], masks: &'a [f32]) -> Batch<'a> {
    Batch {
        x,
        coefficients,
        masks,
        objective: Objective::Likelihood,
    }
}

/// Two rounds of all steps.
const TWICE: [FlowStep; 6] = {
    use FlowStep::{BatchNorm, Coupling, Linear};
    [BatchNorm, Linear, Coupling, BatchNorm, Linear, Coupling]
};

#[test]
fn transposition() {
    for columns in [16, 32, 48] {
        let from: Vec<f32> = (0..TILE * columns).map(|i| i as f32).collect();
        for arch in instruction_sets() {
            let mut turned = vec![f32::NAN; from.len()];
            let (from, to) = (&from, &mut turned);
            arch.dispatch(Transpose { from, to, columns });
            for (i, value) in turned.iter().enumerate() {
                assert_eq!(*value, from[i % TILE * columns + i / TILE], "{arch:?} {i}");
            }
        }
    }
}

#[test]
fn rows_go_to_tiles_and_back() {
    let (n, width) = (TILE + 5, 3);
    let rows: Vec<f32> = (0..n * width).map(|i| i as f32 + 1.0).collect();
    let mut back = vec![0.0; rows.len()];
    for first in [0, TILE] {
        let mut tile = vec![f32::NAN; width * TILE];
        tile::gather(&rows, width, 0..width, first, &mut tile);
        tile::scatter(&tile, width, first, &mut back);
        let mut empty = tile.chunks_exact(TILE).map(|lanes| &lanes[5..]);
        assert!(first == 0 || empty.all(|lanes| lanes == [0.0; TILE - 5]));
    }
    assert_eq!(rows, back);
}

/// A flow of nflows 0.14: densities, noise, inverse, and one training step.
const STATE: &[u8] = include_bytes!("../../../tests/data/golden/flow_small.safetensors");
const STEP: &[u8] = include_bytes!("../../../tests/data/golden/flow_small_trainstep.safetensors");

fn file() -> Value {
    let text = include_str!("../../../tests/data/golden/flow_small.json");
    serde_json::from_str(text).unwrap()
}

fn member(state: &nflows::State) -> Row {
    let (parameters, statistics) = nflows::rows(state);
    Row {
        parameters,
        statistics,
    }
}

fn golden() -> (Row, HostFlow) {
    let config: FlowConfig = serde_json::from_str(nflows::CONFIG).unwrap();
    (member(&nflows::state(STATE)), HostFlow::new(&config))
}

fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(floats).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

/// Rows of `[n, D]` and `[n, C]` side by side.
fn rows(x: &[f32], context: &[f32]) -> Vec<f32> {
    let pairs = x.chunks_exact(6).zip(context.chunks_exact(5));
    pairs.flat_map(|(x, c)| [x, c].concat()).collect()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let is_close = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(is_close, "{what} {i}: {found} for {expected}");
    }
}

#[test]
fn densities_noise_and_samples_of_nflows() {
    let (member, flow) = golden();
    let golden = &file()["eval"];
    let x = rows(&floats(&golden["x"]), &floats(&golden["context"]));
    let mut scratch = Scratch::default();
    let mut out = vec![0.0; 50];
    flow.output(&mut scratch, &member, &x, &mut out);
    close(&out, &floats(&golden["log_prob"]), 2e-6, "log_prob");

    let mut noise = vec![0.0; 300];
    let scratch: &mut super::Scratch = scratch.of();
    flow.prepare(scratch, &member);
    for first in (0..50).step_by(TILE) {
        tile::gather(&x, 11, 0..6, first, scratch.variables.get(6 * TILE));
        tile::gather(&x, 11, 6..11, first, scratch.context.get(5 * TILE));
        scratch.log_det.zeros(TILE);
        for step in &flow.steps {
            flow.step::<false>(step, scratch, &member);
        }
        tile::scatter(scratch.variables.held(6 * TILE), 6, first, &mut noise);
    }
    close(&noise, &floats(&golden["z"]), 2e-6, "z");

    let z = floats(&golden["inverse_in_z"]);
    let context = floats(&golden["context"]);
    let mut samples = vec![0.0; 300];
    flow.sample(scratch, &member, &z, &context, &mut samples);
    close(&samples, &floats(&golden["inverse_out_x"]), 1e-5, "inverse");
}

#[test]
fn a_training_step_of_nflows() {
    let (before, flow) = golden();
    let step = nflows::state(STEP);
    let find = |name: &str| -> Vec<f32> { step[name].1.iter().map(|v| *v as f32).collect() };
    let x = rows(&find("train_x"), &find("train_context"));
    let mut gradient = vec![f32::NAN; before.parameters.len()];
    let (mut scratch, mut after) = (Scratch::default(), before.clone());
    let batch = batch(&x, &[1.0 / 256.0; 256], &[]);
    let loss = flow.gradient(&mut scratch, &mut after, &batch, &mut gradient);
    let expected = file()["train"]["loss"].as_f64().unwrap();
    let error = (f64::from(loss) - expected).abs();
    assert!(error < 2e-6 * expected, "{loss} for {expected}");

    // the gradients have the names of the state, so that they are rows, too
    let part = |prefix: &str| {
        let mut state = nflows::state(STATE);
        for (name, values) in &mut state {
            if let Some(new) = step.get(&format!("{prefix}.{name}")) {
                values.clone_from(new);
            }
        }
        member(&state)
    };
    let expected = part("grad").parameters;
    let scale = expected.iter().fold(0.0f32, |s, v| s.max(v.abs()));
    for (i, (found, expected)) in gradient.iter().zip(&expected).enumerate() {
        let is_close = (found - expected).abs() <= 1e-5 * expected.abs() + 1e-6 * scale;
        assert!(is_close, "{i}: {found} for {expected}");
    }
    let expected = part("after").statistics;
    close(&after.statistics, &expected, 1e-6, "running statistics");
    assert!(after.statistics != before.statistics);
}
