//! How the members of an ensemble are trained.

use super::split::SplitSettings;
use crate::settings::{Normalise, Schedule};
use sideband_networks::{NetworkConfig, Objective, OptimizerConfig, StackConfig};

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
