//! `method = "measure"`: a measurement with per-event density ratios. The file says
//! which samples make the model and how they depend on its parameters; what is
//! trained for it is a list of ensembles, one a ratio, that follows from it.

mod check;

use super::parse::{ConfigError, EnsembleSpec};
use super::raw::{
    Config, DataConfig, DeviceConfig, EnsembleConfig, ExecutorConfig, ExperimentConfig,
    FeaturesConfig, Method, MissingPolicy, ModelConfig, OneOrMany, RegionConfig, ReportConfig,
    SampleConfig, TrainingConfig,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the parameter for the finite training sample.
pub const FINITE_SAMPLE: &str = "finite_sample";

/// What a path begins with that is meant from the run directory.
pub const RUN_PREFIX: &str = "run:";

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
    /// Processes by name, with their simulated events.
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

/// `[generate]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// Which model.
    pub model: GeneratedModel,
    /// Events of each sample.
    #[serde(default = "default_generated")]
    pub events: usize,
    /// Seed of the samples; that of the experiment if absent.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Parameters of the pseudo-data in `run:samples/observed.parquet`; nominal ones
    /// if a parameter is not named, no file if absent.
    #[serde(default)]
    pub observed: Option<IndexMap<String, f64>>,
}

fn default_generated() -> usize {
    100_000
}

/// Models with known truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedModel {
    /// Two interfering amplitudes and an incoherent background in six observables.
    Interference,
}

/// `[data]` of a measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsConfig {
    /// Derived columns: name = expression.
    pub define: IndexMap<String, String>,
    /// What to do with events whose feature is missing, NaN or infinite.
    pub on_missing: MissingPolicy,
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

/// `[samples.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Parquet or Arrow IPC files; `run:...` is meant from the run directory.
    pub path: OneOrMany,
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
    /// Factor on the sum of weights.
    #[serde(default = "one")]
    pub scale: f64,
    /// How the process is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

fn default_coefficient() -> String {
    "1".to_owned()
}
fn one() -> f64 {
    1.0
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
    /// Parquet or Arrow IPC files.
    pub path: OneOrMany,
    /// Which events are used.
    #[serde(default)]
    pub selection: Option<String>,
}

/// `[measurement]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LikelihoodConfig {
    /// Parameters that are measured; the others are profiled.
    pub interest: Vec<String>,
    /// Samples whose sum is the reference of all ratios.
    pub reference: Vec<String>,
    /// How the members of an ensemble make one ratio.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// Calibration of each ratio on validation events.
    #[serde(default)]
    pub calibration: CalibrationMethod,
    /// What to do where the density is not positive.
    #[serde(default)]
    pub not_positive: NotPositiveConfig,
    /// Divides the density by its integral over the reference, so that the rate term
    /// alone has the rate.
    #[serde(default)]
    pub renormalise: bool,
    /// Members of a second ensemble of each ratio, not bootstrapped, from which the
    /// error of a finite training sample follows; 0 = no such parameter.
    #[serde(default)]
    pub finite_sample_members: u32,
    /// Parameters and systematic uncertainties, or `finite_sample`, that no fit moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// Points of the profile scan of each parameter of interest.
    #[serde(default = "default_points")]
    pub scan_points: usize,
    /// Range of the scan by parameter; four errors around the best fit if absent.
    #[serde(default)]
    pub scan_range: IndexMap<String, [f64; 2]>,
    /// Histogram of one observable beside the unbinned result, and the export.
    #[serde(default)]
    pub histogram: Option<HistogramConfig>,
}

fn default_points() -> usize {
    41
}

/// `[measurement.histogram]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistogramConfig {
    /// Expression that is histogrammed.
    pub observable: String,
    /// Bin edges. Values beyond them count in the end bins.
    pub bins: Vec<f64>,
}

/// How the members of an ensemble make one ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Mean of ratios.
    #[default]
    Mean,
    /// Mean of log ratios.
    MeanLog,
    /// Median.
    Median,
}

/// Calibration of a ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// The ratio as it is.
    #[default]
    None,
    /// Monotonic regression of the observed fraction in log r.
    Isotonic,
    /// Observed fraction in bins of log r of equal content.
    Histogram,
}

/// What to do with events whose density is not positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotPositiveConfig {
    /// The logarithm goes on linearly below a small density; counted and reported.
    #[default]
    Barrier,
    /// The fit stops and names the event.
    Error,
}

/// `[toys]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToysConfig {
    /// Values of the first parameter of interest.
    pub grid: Vec<f64>,
    /// Pseudo-experiments at each.
    pub number: u32,
    /// Where events come from.
    #[serde(default)]
    pub events: ToyEvents,
    /// Values of nuisance parameters that toys from the truth are thrown at, -1, 0 or
    /// 1; 0 for those not named.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub nuisance: IndexMap<String, f64>,
    /// Fits toys from the truth with its exact ratios.
    #[serde(default)]
    pub exact: bool,
}

/// Where the events of pseudo-experiments come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToyEvents {
    /// Simulated events that no network has seen, each a Poisson number of times.
    #[default]
    Simulated,
    /// The model with known truth.
    Truth,
}

/// What a ratio is of: the second density over the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RatioName {
    /// A process over the reference.
    Process(String),
    /// A varied sample of a process over the nominal one.
    Varied {
        /// The process.
        process: String,
        /// The systematic uncertainty.
        systematic: String,
        /// Up or down.
        up: bool,
    },
}

impl fmt::Display for RatioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "{process}"),
            Self::Varied {
                process,
                systematic,
                up,
            } => write!(f, "{process}.{systematic}.{}", side(*up)),
        }
    }
}

/// `up` or `down`.
#[must_use]
pub fn side(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// Ending of the name of a second ensemble that is not bootstrapped.
pub const FIXED_SUFFIX: &str = ".fixed";

impl Measurement {
    /// Whether samples, weights and regions are just those of the generated model, so that
    /// its truth is that of the measurement.
    #[must_use]
    pub fn is_known_truth(&self) -> bool {
        let inputs: Vec<String> = (1..=6).map(|i| format!("x{i}")).collect();
        let region = self.regions.get(&self.training.region);
        let own = |process: &str, side: &str| {
            OneOrMany::One(format!("{RUN_PREFIX}samples/{process}{side}.parquet"))
        };
        let is_plain = |(name, p): (&String, &ProcessConfig)| {
            p.path == own(name, "")
                && p.selection.is_none()
                && p.weight.as_deref() == Some("weight")
                && p.scale == 1.0
        };
        let varied = |(systematic, s): (&String, &SystematicConfig)| {
            s.samples.iter().all(|(process, varied)| {
                let is_own = |side: &SideConfig, name: &str| {
                    side.weight.is_none()
                        && side.path == Some(own(process, &format!("_{systematic}_{name}")))
                };
                is_own(&varied.up, "up") && is_own(&varied.down, "down")
            })
        };
        self.generate.is_some()
            && self.features.inputs == inputs
            && self.features.one_hot.is_empty()
            && self.data.define.is_empty()
            && region.is_some_and(|r| r.selection.trim() == "1")
            && self.samples.iter().all(is_plain)
            && self.systematics.iter().all(varied)
    }

    /// All ratios that the model needs.
    #[must_use]
    pub fn ratios(&self) -> Vec<RatioName> {
        let processes = self.samples.keys().cloned().map(RatioName::Process);
        let varied = self.systematics.iter().flat_map(|(systematic, s)| {
            let processes = s.samples.keys().filter(|_| s.shape);
            processes.flat_map(|process| {
                [true, false].map(|up| RatioName::Varied {
                    process: process.clone(),
                    systematic: systematic.clone(),
                    up,
                })
            })
        });
        // a process that is the whole reference has the ratio one
        let trivial = match self.measurement.reference.as_slice() {
            [one] => Some(RatioName::Process(one.clone())),
            _ => None,
        };
        processes
            .chain(varied)
            .filter(|r| Some(r) != trivial.as_ref())
            .collect()
    }

    /// The sample of a process.
    #[must_use]
    pub fn sample(&self, process: &str) -> Option<SampleConfig> {
        let p = self.samples.get(process)?;
        Some(SampleConfig {
            path: p.path.clone(),
            selection: p.selection.clone(),
            weight: p.weight.clone(),
            id: p.id.clone(),
            namespace: p.namespace.clone(),
            label: Some(p.label.clone().unwrap_or_else(|| process.to_owned())),
        })
    }

    /// A varied sample of a process.
    #[must_use]
    pub fn varied(&self, process: &str, systematic: &str, up: bool) -> Option<SampleConfig> {
        let mut sample = self.sample(process)?;
        let varied = self.systematics.get(systematic)?.samples.get(process)?;
        let own = if up { &varied.up } else { &varied.down };
        if let Some(path) = &own.path {
            sample.path = path.clone();
        }
        if let Some(weight) = &own.weight {
            sample.weight = Some(weight.clone());
        }
        sample.label = Some(format!("{process}, {systematic} {}", side(up)));
        Some(sample)
    }

    /// The reference: all of its processes as one sample.
    #[must_use]
    pub fn reference(&self) -> Option<SampleConfig> {
        let mut names = self.measurement.reference.iter();
        let mut sample = self.sample(names.next()?)?;
        let mut paths = sample.path.to_list();
        for name in names {
            paths.extend(self.samples.get(name)?.path.to_list());
        }
        sample.path = OneOrMany::Many(paths);
        sample.label = Some("reference".to_owned());
        Some(sample)
    }

    /// The observed events.
    #[must_use]
    pub fn observed_sample(&self) -> Option<SampleConfig> {
        self.observed.as_ref().map(|o| SampleConfig {
            path: o.path.clone(),
            selection: o.selection.clone(),
            weight: None,
            id: Vec::new(),
            namespace: "observed".to_owned(),
            label: Some("observed".to_owned()),
        })
    }

    /// Source and target of a ratio.
    #[must_use]
    pub fn sides(&self, ratio: &RatioName) -> Option<[SampleConfig; 2]> {
        match ratio {
            RatioName::Process(process) => Some([self.reference()?, self.sample(process)?]),
            RatioName::Varied {
                process,
                systematic,
                up,
            } => Some([
                self.sample(process)?,
                self.varied(process, systematic, *up)?,
            ]),
        }
    }

    /// The configuration of an ensemble that learns from two samples.
    #[must_use]
    pub fn ensemble_config(&self, source: SampleConfig, target: SampleConfig) -> Config {
        Config {
            experiment: ExperimentConfig {
                method: Method::Ratio,
                ..self.experiment.clone()
            },
            matrix: IndexMap::new(),
            device: self.device.clone(),
            executor: self.executor.clone(),
            data: DataConfig {
                source: Some(source),
                target,
                define: self.data.define.clone(),
                on_missing: self.data.on_missing,
                stream: None,
            },
            regions: self
                .regions
                .iter()
                .filter(|(name, _)| **name == self.training.region)
                .map(|(name, region)| (name.clone(), region.clone()))
                .collect(),
            features: self.features.clone(),
            model: self.model.clone(),
            interpolation: None,
            training: self.training.clone(),
            ensemble: self.ensemble.clone(),
            report: self.report.clone(),
            comparison: None,
        }
    }

    /// The ensembles to be trained.
    ///
    /// # Errors
    /// [`ConfigError`] if one of them cannot be.
    pub(super) fn ensembles(&self) -> Result<Vec<EnsembleSpec>, ConfigError> {
        let mut list = Vec::new();
        for ratio in self.ratios() {
            let Some([source, target]) = self.sides(&ratio) else {
                continue;
            };
            let config = self.ensemble_config(source, target);
            config.check()?;
            let spec = |name: String, config: Config| EnsembleSpec {
                name,
                point: IndexMap::new(),
                config,
            };
            if self.measurement.finite_sample_members > 0 {
                let mut fixed = config.clone();
                fixed.ensemble.bootstrap = false;
                fixed.ensemble.members = self.measurement.finite_sample_members;
                list.push(spec(format!("{ratio}{FIXED_SUFFIX}"), fixed));
            }
            list.push(spec(ratio.to_string(), config));
        }
        Ok(list)
    }
}
