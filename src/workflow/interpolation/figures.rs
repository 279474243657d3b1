//! What is kept of sampled events for figures.

use super::points::{DrawnPoints, noise};
use crate::results::FigureData;
use crate::workflow::plan::Plan;
use sideband_networks::FlowSampler;

/// Points that are followed through the flow.
const TRACED: usize = 2500;
/// Stages that are drawn, noise and result included.
const STAGES: usize = 6;
/// Most observed events that are kept.
const OBSERVED: usize = 4000;

/// Of observed events, and of the flow of the first member step by step. `sampled`:
/// features of sampled events, `[variable][event]`.
pub(super) fn figure_data(
    plan: &Plan,
    sampler: &FlowSampler,
    drawn: &DrawnPoints,
    sampled: &[Vec<f32>],
) -> FigureData {
    let variables = &plan.interpolation().variables;
    let d = variables.len();
    let region = plan.plane().regions.first().map_or(0, |(index, _)| *index);
    let mut observed = vec![Vec::new(); d];
    if plan.blinding.shows(region) {
        for row in plan.target().in_region(region).take(OBSERVED) {
            let features = plan.target().features(row).iter().zip(variables);
            for (column, (y, variable)) in observed.iter_mut().zip(features) {
                column.push(round(variable.transform.inverse(f64::from(*y))));
            }
        }
    }
    let step = (drawn.points.len() / TRACED).max(1);
    let points = drawn.points.iter().step_by(step).take(TRACED);
    let noise: Vec<f32> = points.clone().flat_map(|p| noise(plan, *p)).collect();
    let context = points.flat_map(|p| plan.context(p.masses, p.category));
    let context: Vec<f32> = context.collect();
    let trace = if sampler.members() > 0 && !noise.is_empty() {
        sampler.trace(0, &noise, &context)
    } else {
        Vec::new()
    };
    let rounded = |x: &f32| round(f64::from(*x));
    let columns = |rows: &[f32]| -> Vec<Vec<f32>> {
        let column = |k| rows.iter().skip(k).step_by(d).map(rounded).collect();
        (0..d).map(column).collect()
    };
    let last = trace.len().saturating_sub(1);
    let mut chosen: Vec<usize> = (0..STAGES).map(|k| k * last / (STAGES - 1)).collect();
    chosen.dedup();
    let stage = |k: &usize| match *k {
        0 => "Noise".to_owned(),
        k if k == last => "Prediction".to_owned(),
        k => format!("{k} of {last} steps"),
    };
    let steps = chosen.iter().filter_map(|k| trace.get(*k));
    let rows = plan.training.classes()[0].rows.iter().take(TRACED);
    let standardised = rows.flat_map(|row| {
        let features = plan.training.inputs().row(*row as usize).iter().take(d);
        let scaling = plan.scaling.mean.iter().zip(&plan.scaling.scale);
        let scaled = features.zip(scaling);
        scaled.map(|(x, (mean, scale))| ((f64::from(*x) - mean) / scale) as f32)
    });
    let labels = variables
        .iter()
        .map(|v| v.label.as_ref().unwrap_or(&v.name));
    FigureData {
        labels: labels.cloned().collect(),
        observed,
        sampled: sampled
            .iter()
            .map(|column| column.iter().map(rounded).collect())
            .collect(),
        stages: chosen.iter().map(stage).collect(),
        steps: steps.map(|rows| columns(rows)).collect(),
        training: columns(&standardised.collect::<Vec<f32>>()),
    }
}

/// Four significant digits, which a figure does not show; anything not finite
/// becomes 0, which JSON can hold.
fn round(x: f64) -> f32 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let digits = 10f64.powi(3 - x.abs().log10().floor() as i32);
    ((x * digits).round() / digits) as f32
}
