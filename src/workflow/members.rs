//! How members are trained, as the configuration says.

use crate::settings::{Config, InterpolationConfig, Method};
use crate::training::{SplitSettings, TrainingSettings};
use sideband_networks::{FlowConfig, MlpConfig, NetworkConfig};

/// How members with so many inputs are trained.
pub(super) fn training_settings(config: &Config, inputs: usize) -> TrainingSettings {
    let (m, t) = (&config.model, &config.training);
    TrainingSettings {
        network: match &config.interpolation {
            Some(of) if config.experiment.method == Method::Interpolate => flow(of),
            _ => MlpConfig {
                inputs,
                hidden: m.hidden.clone(),
                activation: m.activation,
                dropout: m.dropout,
                batch_norm: m.batch_norm,
            }
            .into(),
        },
        objective: config.experiment.method.objective(),
        normalise: t.normalise,
        optimizer: t.optimizer,
        learning_rate: t.learning_rate,
        schedule: t.schedule,
        gradient_clip: t.gradient_clip,
        l2: t.l2,
        batch: t.batch,
        epochs: t.epochs,
        patience: t.patience,
        retries: t.retries,
        bootstrap: config.ensemble.bootstrap,
        split: split_settings(config),
    }
}

pub(super) fn split_settings(config: &Config) -> SplitSettings {
    let t = &config.training;
    SplitSettings {
        split: t.split,
        held_out: t.held_out,
        validation: t.validation,
        folds: t.folds,
    }
}

/// The network of a member of an interpolation.
fn flow(interpolation: &InterpolationConfig) -> NetworkConfig {
    let flow = &interpolation.flow;
    let categories = interpolation.categories().len();
    let sequence = flow.sequence.iter().copied();
    let steps = std::iter::repeat_n(sequence, flow.repeat);
    NetworkConfig::Flow(FlowConfig {
        features: interpolation.variables.len(),
        context: 2 + if categories > 1 { categories } else { 0 },
        steps: steps.flatten().collect(),
        bins: flow.bins,
        bound: flow.bound,
        hidden: flow.hidden,
        blocks: flow.blocks,
        dropout: flow.dropout,
    })
}
