//! `method = "measure"`: a measurement with per-event density ratios. The file says
//! which samples make the model and how they depend on its parameters; what is
//! trained for it is a list of ensembles, one a ratio, that follows from it.

mod check;
mod likelihood;
mod model;
mod ratios;
mod runs;

use likelihood::FINITE_SAMPLE_POINTS;
pub(crate) use likelihood::{
    Aggregate, CalibrationMethod, ContourConfig, CorrelationConfig, LikelihoodConfig, LimitConfig,
    NotPositiveConfig, TestStatistic, ToyEvents, ToysConfig,
};
use model::SideConfig;
pub(crate) use model::{
    ChannelConfig, ColumnsConfig, Coordinate, GenerateConfig, GeneratedModel, InterpolationCode,
    ObservedConfig, ParameterConfig, ProcessConfig, SystematicConfig,
};
pub(crate) use ratios::{FIXED_SUFFIX, RatioName, side};
pub(super) use runs::MOST_PARTS;

use super::raw::{
    DeviceConfig, EnsembleConfig, ExecutorConfig, ExperimentConfig, FeaturesConfig, ModelConfig,
    RegionConfig, ReportConfig, TrainingConfig,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the parameter for the finite training sample.
pub(crate) const FINITE_SAMPLE: &str = "finite_sample";

/// A measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What is done, and under which seed.
    pub experiment: ExperimentConfig,
    /// What computes.
    #[serde(default)]
    pub device: DeviceConfig,
    /// Where members are trained, and how often they are saved.
    #[serde(default)]
    pub executor: ExecutorConfig,
    /// Samples drawn from the model with known truth, into the run directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateConfig>,
    /// Columns that all samples have.
    #[serde(default)]
    pub data: ColumnsConfig,
    /// Regions by name.
    pub regions: IndexMap<String, RegionConfig>,
    /// Parameters by name: those of interest and norm factors.
    pub parameters: IndexMap<String, ParameterConfig>,
    /// Processes by name, with their simulated events or the run that predicts them.
    pub samples: IndexMap<String, ProcessConfig>,
    /// Systematic uncertainties by name; each is a nuisance parameter of that name,
    /// measured as 0 +- 1.
    #[serde(default)]
    pub systematics: IndexMap<String, SystematicConfig>,
    /// Histograms in regions of their own, with the same parameters.
    #[serde(default)]
    pub channels: IndexMap<String, ChannelConfig>,
    /// The events that are measured; without them those that the model expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedConfig>,
    /// Inputs of the networks.
    pub features: FeaturesConfig,
    /// Shape of a network.
    #[serde(default)]
    pub model: ModelConfig,
    /// How a member is trained.
    pub training: TrainingConfig,
    /// Members of each ratio and how they are combined.
    #[serde(default)]
    pub ensemble: EnsembleConfig,
    /// How the likelihood is made and looked at.
    pub measurement: LikelihoodConfig,
    /// Pseudo-experiments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toys: Option<ToysConfig>,
    /// Diagnostics, plots and the report.
    #[serde(default)]
    pub report: ReportConfig,
}

impl Measurement {
    /// Whether the finite number of a sample's events is an error of the bins.
    pub(crate) fn is_statistical(&self, name: &str) -> bool {
        let own = self.samples.get(name).and_then(|s| s.statistical);
        own.unwrap_or(true)
    }
}
