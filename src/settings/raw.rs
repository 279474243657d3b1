//! The configuration as written: one struct a table, defaults where a default
//! makes sense.

mod axes;
mod data;
mod jets;
mod machine;
mod report;
mod training;

pub(crate) use axes::{AxisValue, FieldValue, Scalar};
pub(crate) use data::{
    DataConfig, MissingPolicy, OneOrMany, RegionConfig, SampleConfig, ScaleConfig, StreamConfig,
};
pub(crate) use jets::JetsConfig;
pub(crate) use machine::{DeviceConfig, ExecutorConfig, ExecutorKind};
pub(crate) use report::{
    Bins, HistogramStyle, PlaneConfig, Quantity, RankBy, ReportConfig, VariableConfig,
};
pub(crate) use training::{Combine, EnsembleConfig, FeaturesConfig, ModelConfig, TrainingConfig};

use super::comparison::ComparisonConfig;
use super::interpolation::InterpolationConfig;
use super::mixing::MixingConfig;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::Objective;

/// What a path begins with that is meant from the run directory.
pub(crate) const RUN_PREFIX: &str = "run:";

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is done, and under which seed.
    pub experiment: ExperimentConfig,
    /// Axes along which the rest of the file varies: every combination of their
    /// values is an ensemble; `${axis}` stands for the value.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub matrix: IndexMap<String, Vec<AxisValue>>,
    /// What computes.
    #[serde(default)]
    pub device: DeviceConfig,
    /// Where members are trained, and how often they are saved.
    #[serde(default)]
    pub executor: ExecutorConfig,
    /// Event samples.
    pub data: DataConfig,
    /// Regions by name.
    pub regions: IndexMap<String, RegionConfig>,
    /// Inputs of the networks.
    #[serde(default)]
    pub features: FeaturesConfig,
    /// Shape of a network.
    #[serde(default)]
    pub model: ModelConfig,
    /// Mass plane and flow of `method = "interpolate"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<InterpolationConfig>,
    /// Synthetic data sets of `method = "mix"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixing: Option<MixingConfig>,
    /// How a member is trained.
    pub training: TrainingConfig,
    /// Members and how they are combined.
    #[serde(default)]
    pub ensemble: EnsembleConfig,
    /// Diagnostics, plots and the report.
    #[serde(default)]
    pub report: ReportConfig,
    /// Regions and methods of a matrix side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparisonConfig>,
}

/// `[experiment]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Name of the experiment: letters, digits, `-`, `_` and `.`; also the name
    /// of the run directory under `runs/`.
    pub name: String,
    /// Seed of every random number.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// What is learned.
    pub method: Method,
    /// One line on what this is, shown in the report.
    #[serde(default)]
    pub description: String,
}

fn default_seed() -> u64 {
    1
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Reweight the source to the target with the exponential loss.
    Reweight,
    /// Density ratio target / source with binary cross-entropy.
    Ratio,
    /// The target itself, interpolated into a hole of the mass plane: Gaussian
    /// process and conditional flow.
    Interpolate,
    /// A measurement with many ratios; its file has tables of its own.
    Measure,
    /// A fit of histograms alone, whose backgrounds may be runs; its file has tables of its
    /// own.
    Limit,
    /// Synthetic data sets by hemisphere mixing, and a background model of each.
    Mix,
}

impl Method {
    /// The loss that the method minimises.
    #[must_use]
    pub fn objective(self) -> Objective {
        match self {
            Self::Reweight => Objective::Exponential,
            Self::Ratio | Self::Measure | Self::Limit | Self::Mix => Objective::CrossEntropy,
            Self::Interpolate => Objective::Likelihood,
        }
    }
}

impl Config {
    /// How a region is called in plots.
    #[must_use]
    pub(crate) fn region_label<'a>(&'a self, name: &'a str) -> &'a str {
        let own = self.regions.get(name).and_then(|r| r.label.as_deref());
        own.unwrap_or(name)
    }

    /// The axis label of a distribution, and whether its event axis is logarithmic.
    #[must_use]
    pub(crate) fn axis<'a>(&'a self, name: &'a str) -> (&'a str, bool) {
        let mut variables = self.report.variables.iter();
        match variables.find(|variable| variable.name == name) {
            Some(variable) => (variable.label.as_deref().unwrap_or(name), variable.log),
            None => (
                self.features.labels.get(name).map_or(name, String::as_str),
                false,
            ),
        }
    }
}
