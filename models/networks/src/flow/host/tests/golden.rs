//! A flow of nflows 0.14: densities, noise, inverse, and one training step.

#[path = "../../../../tests/support/nflows.rs"]
mod nflows;

use super::super::tile::{self, TILE};
use super::super::{HostFlow, Scratch};
use crate::flow::FlowConfig;
use serde_json::Value;

const STATE: &[u8] = include_bytes!("../../../../tests/data/golden/flow_small.safetensors");
const STEP: &[u8] =
    include_bytes!("../../../../tests/data/golden/flow_small_trainstep.safetensors");

fn file() -> Value {
    let text = include_str!("../../../../tests/data/golden/flow_small.json");
    serde_json::from_str(text).unwrap()
}

/// Parameters and statistics of the golden member.
fn member() -> (Vec<f32>, Vec<f32>, HostFlow) {
    let (parameters, statistics) = nflows::rows(&nflows::state(STATE));
    let config: FlowConfig = serde_json::from_str(nflows::CONFIG).unwrap();
    (parameters, statistics, HostFlow::new(&config))
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
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "{what} {i}: {found} for {expected}"
        );
    }
}

#[test]
fn densities_noise_and_samples_of_nflows() {
    let (parameters, statistics, flow) = member();
    let golden = &file()["eval"];
    let x = rows(&floats(&golden["x"]), &floats(&golden["context"]));
    let mut scratch = Scratch::default();
    let mut out = vec![0.0; 50];
    flow.log_prob(&mut scratch, &parameters, &statistics, &x, &mut out);
    close(&out, &floats(&golden["log_prob"]), 2e-6, "log_prob");

    let mut noise = vec![0.0; 300];
    flow.prepare(&mut scratch, &parameters, &statistics);
    for first in (0..50).step_by(TILE) {
        tile::gather(&x, 11, 0..6, first, scratch.variables.get(6 * TILE));
        tile::gather(&x, 11, 6..11, first, scratch.context.get(5 * TILE));
        scratch.log_det.zeros(TILE);
        for step in &flow.steps {
            flow.step::<false>(step, &mut scratch, &parameters);
        }
        tile::scatter(scratch.variables.held(6 * TILE), 6, first, &mut noise);
    }
    close(&noise, &floats(&golden["z"]), 2e-6, "z");

    let z = floats(&golden["inverse_in_z"]);
    let context = floats(&golden["context"]);
    let mut samples = vec![0.0; 300];
    flow.sample(
        &mut scratch,
        &parameters,
        &statistics,
        &z,
        &context,
        &mut samples,
    );
    close(&samples, &floats(&golden["inverse_out_x"]), 1e-5, "inverse");
}

#[test]
fn a_training_step_of_nflows() {
    let (parameters, statistics, flow) = member();
    let step = nflows::state(STEP);
    let find = |name: &str| -> Vec<f32> { step[name].1.iter().map(|v| *v as f32).collect() };
    let x = rows(&find("train_x"), &find("train_context"));
    let coefficients = [1.0 / 256.0; 256];
    let mut gradient = vec![f32::NAN; parameters.len()];
    let mut after = statistics.clone();
    let loss = flow.gradient(
        &mut Scratch::default(),
        &parameters,
        &mut after,
        &x,
        &coefficients,
        &[],
        &mut gradient,
    );
    let expected = file()["train"]["loss"].as_f64().unwrap();
    assert!(
        (f64::from(loss) - expected).abs() < 2e-6 * expected,
        "{loss} for {expected}"
    );

    // the gradients have the names of the state, so that they are rows, too
    let part = |prefix: &str| {
        let mut state = nflows::state(STATE);
        for (name, values) in &mut state {
            if let Some(new) = step.get(&format!("{prefix}.{name}")) {
                values.clone_from(new);
            }
        }
        nflows::rows(&state)
    };
    let (expected, _) = part("grad");
    let scale = expected.iter().fold(0.0f32, |s, v| s.max(v.abs()));
    for (i, (found, expected)) in gradient.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-5 * expected.abs() + 1e-6 * scale,
            "{i}: {found} for {expected}"
        );
    }
    let (_, expected) = part("after");
    close(&after, &expected, 1e-6, "running statistics");
    assert!(after != statistics);
}
