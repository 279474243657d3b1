//! What the user wrote, and what the program checks of it before any work.
//!
//! [`Config`] is the file, parsed strictly ([`parse`]) and checked for values
//! that no run could use ([`Config::check`]). What needs the data (columns,
//! selections, weights) is checked when the [`Plan`](crate::background::Plan)
//! is made.

mod check;
mod comparison;
mod interpolation;
mod matrix;
mod parse;
mod raw;

pub use comparison::{ComparisonConfig, ReweightingComparison};
pub use interpolation::{
    CandidatesConfig, CategoryConfig, FlowSettings, FlowVariable, InterpolationConfig,
    MassPlaneConfig, PredictedPart, Transform,
};
pub use parse::{
    ConfigError, EnsembleSpec, Experiment, load, load_experiment, parse, parse_experiment,
};
pub use raw::{
    AxisValue, Bins, Combine, Config, DataConfig, DeviceConfig, EnsembleConfig, ExecutorConfig,
    ExecutorKind, ExperimentConfig, FeaturesConfig, Method, MissingPolicy, ModelConfig, OneOrMany,
    PlaneConfig, RegionConfig, ReportConfig, SampleConfig, Scalar, StreamConfig, TrainingConfig,
    VariableConfig,
};

/// JSON Schema of the configuration.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
