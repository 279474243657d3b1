//! `metrics.json`: every number of a result, under documented keys.

use super::interpolation::InterpolationMetrics;
use super::support::{OutsideMetrics, Support};
use super::verdict::Verdict;
use crate::events::Losses;
use crate::files::formats::METRICS;
use crate::settings::Config;
use crate::statistics::{Auc, CalibrationPoint, Chi2, Histogram, WeightSummary};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Version of the file.
pub(crate) const METRICS_FORMAT: u32 = METRICS.written;

/// The whole of `metrics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of the file.
    pub format: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// Region that was trained on; its numbers are of held-out events.
    pub training_region: String,
    /// Sums of weights of source and target in the training region.
    pub training_yields: [f64; 2],
    /// Their statistical errors: square roots of the sums of squared weights.
    pub training_errors: [f64; 2],
    /// What networks were trained on; an interpolation has a plane instead.
    #[serde(default)]
    pub support: Option<Support>,
    /// What the result says as a whole.
    #[serde(default)]
    pub verdict: Verdict,
    /// Members.
    pub members: MemberSummary,
    /// Losses.
    pub loss: LossSummary,
    /// Events of each sample that are missing somewhere, by reason.
    #[serde(default)]
    pub losses: Vec<Losses>,
    /// Regions by name, in the configuration's order.
    pub regions: IndexMap<String, RegionMetrics>,
    /// Two-dimensional distributions by name.
    pub planes: IndexMap<String, PlaneMetrics>,
    /// Gaussian processes and samples, of an interpolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<InterpolationMetrics>,
}

impl Metrics {
    /// Takes the words of a configuration: labels of regions, distributions and planes, and
    /// which axes are logarithmic.
    pub(crate) fn take_words(&mut self, config: &Config) {
        for (name, region) in &mut self.regions {
            config.region_label(name).clone_into(&mut region.label);
            for (name, variable) in &mut region.variables {
                let (label, log) = config.axis(name);
                label.clone_into(&mut variable.label);
                variable.log = log;
            }
        }
        for plane in &config.report.planes {
            if let Some(own) = self.planes.get_mut(&plane.name) {
                own.labels = plane.labels();
                own.hh_borders = plane.hh_borders;
            }
        }
    }

    /// Relative error of the ratio of target and source in the training region, from
    /// the numbers of effective events (sum w)^2 / sum w^2 of both.
    #[must_use]
    pub fn relative_training_error(&self) -> f64 {
        let relative = |k: usize| self.training_errors[k] / self.training_yields[k];
        relative(0).hypot(relative(1))
    }
}

/// Members of the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberSummary {
    /// How many were asked for.
    pub requested: u32,
    /// How many the result stands on.
    pub usable: usize,
    /// Complete predictions among which means and spreads are taken: the
    /// members, or groups of k members with k folds.
    pub replicas: usize,
    /// Numbers of the members that failed.
    pub failed: Vec<u32>,
    /// Members that stopped early.
    pub converged: usize,
    /// Members that reached the largest number of epochs.
    pub epoch_limit: usize,
    /// Mean number of epochs of a usable member.
    pub mean_epochs: f64,
}

/// Losses of the usable members at their best epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSummary {
    /// Mean validation loss.
    pub validation_mean: f64,
    /// Standard deviation over members.
    pub validation_spread: f64,
    /// Mean training loss at the same epoch.
    pub training_mean: f64,
    /// Loss of the nominal ratio on the training region's held-out events, both classes at
    /// equal weight, and its statistical error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<[f64; 2]>,
}

/// What is known of one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionMetrics {
    /// How it is called in plots.
    pub label: String,
    /// Whether members were trained in it; then the numbers are of held-out
    /// events.
    pub trained: bool,
    /// Whether target events were kept out.
    pub blind: bool,
    /// Source events that the numbers stand on.
    pub source_events: usize,
    /// Target events that the numbers stand on; none if blind.
    pub target_events: Option<usize>,
    /// Events to be predicted that lie outside of what was trained.
    #[serde(default)]
    pub outside: OutsideMetrics,
    /// Whether prediction and observation agree, and if not, why.
    #[serde(default)]
    pub verdict: Verdict,
    pub yields: YieldMetrics,
    /// The nominal weights.
    pub weights: WeightSummary,
    /// Distribution of nominal weight over input weight: edges and counts.
    pub weight_distribution: (Vec<f64>, Vec<f64>),
    /// AUC of a fresh classifier of source against target; 0.5 = closed.
    pub auc: Option<AucPair>,
    /// Calibration curve of the nominal ratio.
    pub calibration: Vec<CalibrationPoint>,
    /// Distributions by name.
    pub variables: IndexMap<String, VariableMetrics>,
}

/// Yields of a region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct YieldMetrics {
    /// Sum of the target's weights.
    pub observed: Option<f64>,
    /// Its statistical error.
    pub observed_error: Option<f64>,
    /// Source, scaled as a whole to the target in the training region; an
    /// interpolation has none.
    pub before: Option<f64>,
    /// Its statistical error, that of the source's events in the region.
    #[serde(default)]
    pub before_stat: Option<f64>,
    /// Prediction: the reweighted source, or the samples.
    pub after: f64,
    /// Its statistical error.
    pub after_stat: f64,
    /// Its error that bins have in common: all components in quadrature.
    pub after_spread: f64,
    /// The components: `members` is the standard deviation over replicas, each
    /// normalised to its own resampling of the source in the training region;
    /// `normalisation` the counting error of the target there (and of the source where
    /// replicas are not resampled).
    pub components: IndexMap<String, f64>,
    /// Relative standard deviation over replicas before each member was
    /// normalised in the training region.
    pub raw_relative_spread: f64,
    /// after / observed.
    pub ratio: Option<f64>,
    /// Its error from all sources, less what both have in common.
    pub ratio_error: Option<f64>,
    /// Whether the region's own events fix the prediction's yield, which then is no test.
    #[serde(default)]
    pub is_fixed: bool,
    /// Test of after against observed: ((after - observed) / error)^2. None where blind,
    /// and where the same events fix the normalisation.
    pub chi2: Option<Chi2>,
    /// The chi2 of a prediction that is wrong by all of its content: a test above it
    /// cannot fail.
    pub sensitivity: Option<f64>,
}

/// AUC before and after reweighting. The value expected of a perfect model is
/// 0.5 within the error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AucPair {
    /// Source as it is against target.
    pub before: Auc,
    /// Reweighted source against target.
    pub after: Auc,
}

/// One distribution in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VariableMetrics {
    /// Axis label.
    pub label: String,
    /// Whether networks see it.
    pub is_input: bool,
    /// Logarithmic event axis.
    pub log: bool,
    /// Bin edges; under- and overflow are in the end bins.
    pub edges: Vec<f64>,
    /// Target.
    pub observed: Option<Histogram>,
    /// Source, scaled as a whole; an interpolation has none.
    pub before: Option<Histogram>,
    /// Prediction: nominal contents and their statistical variances.
    pub after: Histogram,
    /// Error that bins have in common, a bin: all components in quadrature.
    pub spread: Vec<f64>,
    /// Covariance of it between bins.
    pub covariance: Vec<Vec<f64>>,
    /// The components, named as those of the yields.
    pub components: IndexMap<String, Vec<f64>>,
    /// chi2 before, V = V_obs + V_pred + covariance of the normalisation.
    pub chi2_before: Option<Chi2>,
    /// chi2 after, V = V_obs + V_pred.
    pub chi2_after: Option<Chi2>,
    /// chi2 after, V = V_obs + V_pred + covariance of all components, less what
    /// prediction and observation have in common.
    pub chi2_after_covariance: Option<Chi2>,
    /// The largest chi2 of a prediction that is wrong by the content of a bin or by all
    /// of its content: a test above it cannot fail.
    #[serde(default)]
    pub sensitivity: Option<f64>,
    /// chi2 of shapes with V = V_obs + V_pred alone, divided by bins - 1 in the
    /// published tables.
    #[serde(default)]
    pub chi2_shape_statistical: Option<Chi2>,
    /// As `chi2_after_covariance`, of shapes: the prediction scaled to the
    /// observation, one degree of freedom less.
    pub chi2_shape: Option<Chi2>,
}

/// A two-dimensional distribution over all regions together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneMetrics {
    /// Axis labels.
    pub labels: [String; 2],
    /// Edges along x.
    pub x_edges: Vec<f64>,
    /// Edges along y.
    pub y_edges: Vec<f64>,
    /// Target, `[x][y]`.
    pub observed: Vec<Vec<f64>>,
    /// Reweighted source, `[x][y]`.
    pub predicted: Vec<Vec<f64>>,
    /// (observed - predicted) / error; null where there is nothing.
    pub pull: Vec<Vec<Option<f64>>>,
    /// Sums of the weights of target and reweighted source in none of the bins.
    #[serde(default)]
    pub outside: [f64; 2],
    /// Draw the borders of SR and CR.
    pub hh_borders: bool,
}
