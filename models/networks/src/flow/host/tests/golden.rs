//! A flow of nflows 0.14: densities, noise, inverse, and one training step.

#[path = "../../../../tests/support/nflows.rs"]
mod nflows;

use super::super::tile::{self, TILE};
use super::{HostFlow, batch};
use crate::flow::FlowConfig;
use crate::network::{HostNetwork, Scratch};
use crate::stack::Row;
use serde_json::Value;

const STATE: &[u8] = include_bytes!("../../../../tests/data/golden/flow_small.safetensors");
const STEP: &[u8] =
    include_bytes!("../../../../tests/data/golden/flow_small_trainstep.safetensors");

fn file() -> Value {
    let text = include_str!("../../../../tests/data/golden/flow_small.json");
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
    let scratch = &mut scratch.flow;
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
