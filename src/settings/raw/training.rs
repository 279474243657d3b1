//! Networks, their training, and their ensemble: `[features]`, `[model]`, `[training]`,
//! `[ensemble]`.

use crate::settings::defaults::{count, number};
use crate::settings::{Normalise, Schedule, Split};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::{Activation, OptimizerConfig};

/// `[features]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// Inputs: columns or expressions over columns.
    pub inputs: Vec<String>,
    /// Columns that become one input for each of the listed values.
    #[serde(default)]
    pub one_hot: IndexMap<String, Vec<f64>>,
    /// Axis labels of inputs in plots.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Activation after every hidden layer.
    pub activation: Activation,
    /// Probability to drop a hidden unit in training; 0 = off.
    pub dropout: f64,
    /// Batch normalisation before every activation.
    pub batch_norm: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            hidden: vec![50, 50, 50],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: false,
        }
    }
}

/// `[training]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Region whose events are trained on.
    pub region: String,
    /// Rows of a batch, half of each class.
    #[serde(default = "count::<1024>")]
    pub batch: usize,
    /// Largest number of epochs; an epoch is one pass over the larger class.
    #[serde(default = "number::<200>")]
    pub epochs: u32,
    /// Epochs without improvement on the validation fold after which a member
    /// stops.
    #[serde(default = "number::<15>")]
    pub patience: u32,
    /// Fraction of events that decides when to stop.
    #[serde(default = "default_fraction")]
    pub validation: f64,
    /// Fraction of events that no member sees, kept for the diagnostics of the training
    /// region; 0 = none, which are left out then.
    #[serde(default = "default_fraction")]
    pub held_out: f64,
    /// How events are divided into folds.
    #[serde(default)]
    pub split: Split,
    /// Number of folds with `split = "folds"`.
    #[serde(default = "number::<5>")]
    pub folds: u32,
    /// What the two sums of the loss are divided by.
    #[serde(default)]
    pub normalise: Normalise,
    /// Optimizer and its constants.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Initial learning rate.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Change of the learning rate.
    #[serde(default)]
    pub schedule: Schedule,
    /// Largest norm of a member's gradient.
    #[serde(default)]
    pub gradient_clip: Option<f64>,
    /// L2 penalty beta of the loss (beta sum w^2), on weights.
    #[serde(default)]
    pub l2: f64,
    /// Further attempts of a member that diverges, each from a new stream.
    #[serde(default = "number::<1>")]
    pub retries: u32,
}

impl TrainingConfig {
    /// Whether events are kept from training, to test the training region with.
    #[must_use]
    pub(crate) fn holds_out(&self) -> bool {
        self.split == Split::Folds || self.held_out > 0.0
    }
}

fn default_fraction() -> f64 {
    0.2
}

fn default_learning_rate() -> f64 {
    1e-3
}

/// `[ensemble]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleConfig {
    /// Number of members.
    pub members: u32,
    /// Poisson(1) weight for every event in every member.
    pub bootstrap: bool,
    /// What the nominal weight of an event is.
    pub combine: Combine,
    /// Fraction of members that must succeed for a result.
    pub minimum: f64,
}

impl Default for EnsembleConfig {
    fn default() -> Self {
        Self {
            members: 100,
            bootstrap: true,
            combine: Combine::Mean,
            minimum: 0.9,
        }
    }
}

/// How members make the nominal weight of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Mean of the members' weights: histograms of it are the means of the
    /// members' histograms.
    #[default]
    Mean,
    /// Median of the members' weights.
    Median,
}
