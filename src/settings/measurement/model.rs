//! Tables of the model: parameters, samples, systematic uncertainties, channels, data.

use super::super::defaults::{count, max_loss};
use super::super::raw::{JetsConfig, MissingPolicy, OneOrMany, Scalar, ScaleConfig};
use super::super::runs::{
    ControlRegionConfig, NonclosureConfig, NormalisationConfig, PlaneErrorConfig, RetrainingConfig,
    SampleMixingConfig, named,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_likelihood::Interpolation;

/// `[generate]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// Which model.
    pub model: GeneratedModel,
    /// Events of each sample.
    #[serde(default = "count::<100_000>")]
    pub events: usize,
    /// Seed of the samples; that of the experiment if absent.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Parameters of the pseudo-data in `run:samples/observed.parquet`; nominal ones
    /// if a parameter is not named, no file if absent.
    #[serde(default)]
    pub observed: Option<IndexMap<String, f64>>,
}

/// Models with known truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedModel {
    /// Two interfering amplitudes and an incoherent background in six observables.
    Interference,
}

/// `[data]` of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsConfig {
    /// Derived columns: name = expression.
    pub define: IndexMap<String, String>,
    /// The jets of an event, and what is made of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jets: Option<JetsConfig>,
    /// What to do with events whose feature is missing, NaN or infinite, whose one-hot
    /// value is not listed, or whose observable in a channel has no value.
    pub on_missing: MissingPolicy,
    /// Largest share of a sample's events that may be missing somewhere unasked: a
    /// selection without a value.
    pub max_loss: f64,
}

impl Default for ColumnsConfig {
    fn default() -> Self {
        Self {
            define: IndexMap::new(),
            jets: None,
            on_missing: MissingPolicy::default(),
            max_loss: max_loss(),
        }
    }
}

/// `[parameters.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterConfig {
    /// Its value in the samples' simulation; fits start here.
    pub nominal: f64,
    /// Lowest and highest value that a fit may take.
    pub bounds: [f64; 2],
    /// The fit's own coordinate.
    #[serde(default)]
    pub fit: Coordinate,
    /// A Gaussian auxiliary measurement: its result and error. Free without it.
    #[serde(default)]
    pub constraint: Option<[f64; 2]>,
    /// How it is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

/// In what a parameter is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coordinate {
    /// The parameter itself.
    #[default]
    Linear,
    /// Its square root: where a rate depends on sqrt(mu), the gradient at mu = 0 is
    /// finite in it.
    Sqrt,
}

/// `[samples.NAME]`: of simulated events, by `path`, or of a run, which is in `[channels]` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Parquet, Arrow IPC or ROOT files, from the folder of the configuration; `run:...` is
    /// meant from the run directory.
    #[serde(default = "no_files")]
    pub path: OneOrMany,
    /// A finished run, from the folder of the configuration, in place of files: its prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which ensemble of the run's matrix: a value an axis.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub point: IndexMap<String, Scalar>,
    /// Which events are used; an expression over columns.
    #[serde(default)]
    pub selection: Option<String>,
    /// Event weight; an expression over columns. The sum of weights in a region is the
    /// rate there.
    #[serde(default)]
    pub weight: Option<String>,
    /// Integer columns that name an event.
    #[serde(default)]
    pub id: Vec<String>,
    /// Tells apart samples whose ids merely collide.
    #[serde(default)]
    pub namespace: String,
    /// f(parameters): what the nominal rate is multiplied with.
    #[serde(default = "default_coefficient")]
    pub coefficient: String,
    /// Factor on the sum of weights, above 0: a number, or an expression over constants and
    /// sums of columns of another tree of the ROOT files, `xsec * lumi / sum(Runs.genEventSumw)`.
    /// That of a varied sample is of its own files.
    #[serde(default)]
    pub scale: ScaleConfig,
    /// How the process is called in plots.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether the finite number of its events is an error of the bins; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistical: Option<bool>,
    /// What its retrained networks differ by; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retraining: Option<RetrainingConfig>,
    /// What its Gaussian processes are known to; of an interpolated run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<PlaneErrorConfig>,
    /// The counting error of what its prediction is normalised to; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<NormalisationConfig>,
    /// The same background learned in another control region; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_region: Option<ControlRegionConfig>,
    /// What a run whose target is known leaves; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonclosure: Option<NonclosureConfig>,
    /// What synthetic data sets say of its error, in place of its retraining and normalisation; of
    /// a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixing: Option<SampleMixingConfig>,
}

fn no_files() -> OneOrMany {
    OneOrMany::Many(Vec::new())
}

fn default_coefficient() -> String {
    "1".to_owned()
}

impl ProcessConfig {
    /// Whether it is the prediction of a run.
    pub(crate) fn is_run(&self) -> bool {
        self.run.is_some()
    }

    /// The point of the run's matrix, by the names of its values.
    pub(crate) fn point(&self) -> IndexMap<String, String> {
        named(&self.point)
    }
}

/// `[systematics.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystematicConfig {
    /// Samples that stand for +1 and -1 standard deviation, by process.
    #[serde(default)]
    pub samples: IndexMap<String, VariedConfig>,
    /// Factors on the rate at -1 and +1, by process. With varied samples, in place of
    /// their sums of weights.
    #[serde(default)]
    pub rates: IndexMap<String, [f64; 2]>,
    /// Whether the varied samples change the density, which takes two ratios a
    /// process, or the rate alone.
    #[serde(default = "yes")]
    pub shape: bool,
    /// How rates are interpolated.
    #[serde(default)]
    pub interpolation: InterpolationCode,
    /// How the density of every event is interpolated. Between -1 and +1 and beyond,
    /// codes 1 and 4 do not integrate to one; codes 0 and 4p do, as long as a process has
    /// one such uncertainty.
    #[serde(default)]
    pub density_interpolation: InterpolationCode,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(default)]
    pub group: Option<String>,
    /// How it is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

fn yes() -> bool {
    true
}

/// How a factor between -1 and +1, and beyond, is interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterpolationCode {
    /// Piecewise linear.
    Code0,
    /// Exponential.
    Code1,
    /// Polynomial of the sixth degree inside, exponential outside.
    #[default]
    Code4,
    /// Polynomial inside, linear outside.
    Code4p,
}

impl From<InterpolationCode> for Interpolation {
    fn from(code: InterpolationCode) -> Self {
        match code {
            InterpolationCode::Code0 => Self::Code0,
            InterpolationCode::Code1 => Self::Code1,
            InterpolationCode::Code4 => Self::Code4,
            InterpolationCode::Code4p => Self::Code4p,
        }
    }
}

/// The samples of a systematic uncertainty for one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariedConfig {
    /// At +1 standard deviation.
    pub up: SideConfig,
    /// At -1.
    pub down: SideConfig,
}

/// One of them: what it does not say is as in the nominal sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SideConfig {
    /// Files of the varied events.
    pub path: Option<OneOrMany>,
    /// Weight of the varied events.
    pub weight: Option<String>,
}

/// `[channels.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Region whose events are counted.
    pub region: String,
    /// Expression that is histogrammed.
    pub observable: String,
    /// Bin edges. Values beyond them count in the end bins.
    pub bins: Vec<f64>,
    /// Parameters for the finite number of simulated events, one a bin.
    #[serde(default = "yes")]
    pub statistical: bool,
}

/// `[observed]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservedConfig {
    /// Parquet, Arrow IPC or ROOT files.
    pub path: OneOrMany,
    /// Which events are used.
    #[serde(default)]
    pub selection: Option<String>,
}
