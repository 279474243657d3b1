//! Tables of the likelihood: how it is made, what is asked of it, pseudo-experiments.

use super::super::defaults::count;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_likelihood::NotPositive;
use sideband_likelihood::asymptotic::UpperStatistic;

/// The default of `finite_sample_points`.
pub(super) const FINITE_SAMPLE_POINTS: usize = 9;

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
    /// Values of the first parameter of interest at which that error is found, over the
    /// range of the scan; between them it is interpolated. 1 = at the best fit alone.
    #[serde(default = "count::<FINITE_SAMPLE_POINTS>")]
    pub finite_sample_points: usize,
    /// Parameters and systematic uncertainties, or `finite_sample`, that no fit moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// Observed events above which their ratios are kept in a file and read block after
    /// block at every evaluation, in place of memory.
    #[serde(default = "count::<5_000_000>")]
    pub stream_above: usize,
    /// Correlations of auxiliary measurements, by pairs; the others are independent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlations: Vec<CorrelationConfig>,
    /// Points of the profile scan of each parameter of interest.
    #[serde(default = "count::<41>")]
    pub scan_points: usize,
    /// Range of the scan by parameter; if absent, four errors around the best fit, or as far
    /// as t is of interest where that is not what the errors say.
    #[serde(default)]
    pub scan_range: IndexMap<String, [f64; 2]>,
    /// Histogram of one observable beside the unbinned result, and the export.
    #[serde(default)]
    pub histogram: Option<HistogramConfig>,
    /// A CLs upper limit on a parameter of interest, by asymptotic formulae.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitConfig>,
    /// Confidence regions of two parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contours: Vec<ContourConfig>,
}

/// `[[measurement.correlations]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelationConfig {
    /// Two systematic uncertainties, or parameters with a constraint.
    pub parameters: [String; 2],
    /// The correlation of their auxiliary measurements, between -1 and 1.
    pub coefficient: f64,
}

/// `[measurement.limit]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// The parameter of interest; the first one if absent.
    #[serde(default)]
    pub poi: Option<String>,
    /// Confidence level of the limit.
    #[serde(default = "default_confidence_level")]
    pub confidence_level: f64,
    /// The test statistic.
    #[serde(default)]
    pub test_stat: TestStatistic,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            poi: None,
            confidence_level: default_confidence_level(),
            test_stat: TestStatistic::default(),
        }
    }
}

fn default_confidence_level() -> f64 {
    0.95
}

/// The test statistic of an upper limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestStatistic {
    /// For a parameter whose bounds begin at 0.
    #[default]
    Qtilde,
    /// For one that may be negative.
    Q,
}

impl From<TestStatistic> for UpperStatistic {
    fn from(statistic: TestStatistic) -> Self {
        match statistic {
            TestStatistic::Qtilde => Self::QTilde,
            TestStatistic::Q => Self::Q,
        }
    }
}

/// `[[measurement.contours]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContourConfig {
    /// Two parameters or systematic uncertainties; all others are profiled.
    pub parameters: [String; 2],
    /// Confidence levels of the regions, rising.
    #[serde(default = "default_confidence_levels")]
    pub confidence_levels: Vec<f64>,
    /// Points along each of the two.
    #[serde(default = "count::<31>")]
    pub points: usize,
    /// Ranges by parameter; as wide as the outermost region is if absent.
    #[serde(default)]
    pub range: IndexMap<String, [f64; 2]>,
}

fn default_confidence_levels() -> Vec<f64> {
    vec![0.6827, 0.9545]
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

impl From<NotPositiveConfig> for NotPositive {
    fn from(policy: NotPositiveConfig) -> Self {
        /// Density below which the logarithm goes on linearly, in units of the reference.
        const BARRIER: f64 = 1e-3;
        match policy {
            NotPositiveConfig::Barrier => Self::Barrier { relative: BARRIER },
            NotPositiveConfig::Error => Self::Error,
        }
    }
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
