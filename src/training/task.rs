//! What is trained, how, and with what.

use super::sample::TrainingSample;
use super::split::SplitSettings;
use super::store::FeatureScaling;
use crate::events::{Dataset, ScanRequest, StreamOptions};
use crate::settings::{Normalise, Schedule};
use sideband_networks::{Compute, NetworkConfig, Objective, OptimizerConfig, StackConfig};
use std::sync::Arc;

/// What is trained: an ensemble of networks on one sample.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The events.
    pub sample: &'a TrainingSample,
    /// How members are trained.
    pub settings: &'a TrainingSettings,
    /// Seed of the ensemble.
    pub seed: u64,
    /// Name of the ensemble.
    pub ensemble: &'a str,
    /// Inputs and their standardisation, kept with each member.
    pub features: &'a FeatureScaling,
    /// Where the events are read from while training, if they are more than
    /// memory holds; `sample` then has those that validate.
    pub stream: Option<&'a StreamSource>,
}

/// With what it is trained. No result depends on it on a CPU.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a> {
    /// The devices; one may be there twice.
    pub devices: &'a [Compute],
    /// Training threads of each CPU.
    pub threads: usize,
    /// Members of a stack; 0 = what suits the device.
    pub stack: usize,
    /// Memory of a GPU in bytes, if it is known.
    pub device_memory: Option<u64>,
}

/// Everything that decides how a member is trained, but for its data.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSettings {
    /// Shape of a network.
    pub network: NetworkConfig,
    /// Loss that is minimised.
    pub objective: Objective,
    /// What the loss's sums are divided by.
    pub normalise: Normalise,
    /// Optimizer and its constants.
    pub optimizer: OptimizerConfig,
    /// Initial learning rate.
    pub learning_rate: f64,
    /// Change of the learning rate.
    pub schedule: Schedule,
    /// Largest norm of a member's gradient.
    pub gradient_clip: Option<f64>,
    /// L2 penalty on weights.
    pub l2: f64,
    /// Rows of a batch, divided equally among the classes.
    pub batch: usize,
    /// Largest number of epochs.
    pub epochs: u32,
    /// Epochs without improvement after which a member stops.
    pub patience: u32,
    /// Further attempts of a member that diverges.
    pub retries: u32,
    /// Poisson(1) weights for every event.
    pub bootstrap: bool,
    /// Folds.
    pub split: SplitSettings,
}

impl TrainingSettings {
    pub(crate) fn stack(&self) -> StackConfig {
        StackConfig {
            network: self.network.clone(),
            objective: self.objective,
            optimizer: self.optimizer,
            gradient_clip: self.gradient_clip,
            l2: self.l2,
        }
    }
}

/// One class as it lies in its files.
#[derive(Clone, Debug)]
pub struct ClassSource {
    pub dataset: Arc<Dataset>,
    /// What is read of them: inputs, weights and keys in the training region.
    pub request: Arc<ScanRequest>,
    /// Share of the events that stays in memory.
    pub share: f64,
    /// Events that are trained on.
    pub rows: u64,
    pub weight: f64,
    /// Sum of the weights of all events of the training region.
    pub total: f64,
}

/// Both classes of an ensemble, and how they are read.
#[derive(Clone, Debug)]
pub struct StreamSource {
    pub classes: [ClassSource; 2],
    /// Events of a window, `W`.
    pub window: usize,
    pub options: StreamOptions,
}

impl StreamSource {
    /// Bytes of what one training thread holds: windows of both classes, twice
    /// while they are copied to the device, and what is read ahead.
    pub fn window_bytes(&self, settings: &TrainingSettings) -> u64 {
        let event = 4 * settings.network.columns() as u64 + 40;
        let ahead = (self.options.buffers * self.options.chunk_rows) as u64;
        2 * event * (2 * self.window as u64 + ahead)
    }
}
