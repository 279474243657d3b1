//! `measurement.json`: every number of a measurement, under documented keys.

use crate::events::Losses;
use crate::files::formats::MEASUREMENT;
use crate::report::page::Status;
use crate::rundir::InputFiles;
use crate::settings::{Measurement, TestStatistic};
use crate::statistics::{Auc, CalibrationPoint};
use crate::workspace::ToyRecord;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sideband_likelihood::Normalisation;
use sideband_likelihood::neyman;

/// The file of all numbers.
pub(super) const RESULT: &str = "measurement.json";
/// Its version.
pub(super) const FORMAT: u32 = MEASUREMENT.written;
/// Levels of intervals, and where t crosses them.
pub(super) const LEVELS: [(f64, f64); 2] = [(0.6827, 1.0), (0.9545, 4.0)];

/// The whole of `measurement.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasurementResult {
    /// Version of the file.
    pub format: u32,
    /// `measure` or `limit`.
    #[serde(default = "measure")]
    pub method: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Where the events come from: `observed` or `asimov`.
    pub data: String,
    /// Number of events without bins.
    pub events: usize,
    /// Sum of their weights.
    pub weight: f64,
    /// Expected events at the best fit.
    pub expected: f64,
    /// Rates of the processes in the region without bins, and their statistical errors.
    pub rates: IndexMap<String, [f64; 2]>,
    /// The fit.
    pub fit: FitResult,
    /// Profile scans by parameter of interest.
    pub scans: IndexMap<String, ScanResult>,
    /// Impacts on the parameters of interest.
    pub impacts: IndexMap<String, ImpactsResult>,
    /// The upper limit, if one is asked for.
    #[serde(default)]
    pub limit: Option<LimitResult>,
    /// The upper limit of histograms alone, as the exported workspace gives it.
    #[serde(default)]
    pub histogram_limit: Option<LimitResult>,
    /// Confidence regions of two parameters.
    #[serde(default)]
    pub contours: Vec<ContourResult>,
    /// Checks of the likelihood at the best fit.
    pub checks: Checks,
    /// Error of the first parameter of interest from the finite training sample.
    pub finite_sample: Option<FiniteSample>,
    /// Pseudo-experiments.
    pub toys: Option<ToysResult>,
    /// What was asked for and is not there, with the reason: the rest stands without it.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The ratios.
    pub ratios: Vec<RatioTrust>,
    /// The backgrounds that are runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backgrounds: Vec<BackgroundResult>,
    /// Expected events of the channels of a limit, before and after the fit.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub yields: IndexMap<String, ChannelYields>,
    /// What groups of nuisance parameters do to the expected limit, of a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_impacts: Option<LimitImpactsResult>,
    /// Limits at values of other parameters, of a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit_scans: Vec<LimitScanResult>,
    /// Limits with single replicas of a background, of a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replica_limits: Vec<ReplicaLimits>,
    /// The histograms as a workspace.
    #[serde(default)]
    pub export: ExportResult,
    /// The files that it was made of, by the configuration's key.
    #[serde(default)]
    pub inputs: InputFiles,
    /// The files that belong to it, beside this one.
    #[serde(default)]
    pub files: Vec<String>,
    /// Events of the samples that are missing somewhere, by reason.
    #[serde(default)]
    pub losses: Vec<Losses>,
    /// What the user should know.
    pub notes: Vec<String>,
}

fn measure() -> String {
    "measure".to_owned()
}

/// A background that a run predicts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackgroundResult {
    /// The sample.
    pub sample: String,
    /// The run, with its ensemble if it has several.
    pub run: String,
    /// Source events in channels.
    pub events: u64,
    /// Expected events, and their error from the source's statistics.
    pub expected: [f64; 2],
    /// Replicas of the prediction.
    pub replicas: usize,
    /// Relative standard deviation of the replicas' sums.
    pub spread: f64,
    /// Parameters for the retraining, and the share of its variance that they have.
    pub components: usize,
    pub share: f64,
    /// The largest correlation of two bins that is in none of them.
    pub lost_correlation: f64,
    /// Relative counting error of what it is normalised to.
    pub normalisation: f64,
    /// The error of an interpolation's Gaussian processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<PlaneErrorResult>,
    /// The run whose mixed data say what it varies by and is biased by, in place of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixing: Option<String>,
    /// Names of its parameters.
    pub parameters: Vec<String>,
}

/// What is known of the error of a mass plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaneErrorResult {
    /// Relative standard deviation of the sums with each draw.
    pub spread: f64,
    /// Its parameters, and the share of the variance that they have.
    pub components: usize,
    pub share: f64,
    /// The largest correlation of two bins that is in none of them.
    pub lost_correlation: f64,
}

/// Events of one channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelYields {
    /// None where none are observed.
    pub observed: Option<f64>,
    /// Expected ones before the fit, by process.
    pub prefit: IndexMap<String, f64>,
    /// Their sum with the error of the auxiliary measurements.
    pub prefit_total: [f64; 2],
    /// At the best fit.
    pub postfit: IndexMap<String, f64>,
    /// Their sum with the error of all parameters; null without a covariance.
    pub postfit_total: (f64, Option<f64>),
}

/// Relative changes of the median expected limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitImpactsResult {
    /// The parameter that is limited.
    pub parameter: String,
    /// The median expected limit with all nuisance parameters.
    pub expected: f64,
    /// Groups; they are no parts of a sum.
    pub groups: Vec<LimitImpactRow>,
}

/// What one group does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitImpactRow {
    pub group: String,
    /// Its parameters.
    pub parameters: usize,
    /// The limit with them where they fit best without signal, the data as they are.
    pub frozen: Option<f64>,
    /// `1 - frozen / expected`.
    pub relative: Option<f64>,
    /// The same with the group out of the model and the data made anew.
    pub removed: Option<f64>,
    /// Why one of them is missing.
    pub reason: Option<String>,
}

/// Upper limits with single replicas of a background in its place, which check the parameters
/// that are made of all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaLimits {
    pub sample: String,
    /// Replicas that were taken, of all evenly, and those without a limit.
    pub replicas: usize,
    pub failed: usize,
    /// The 16 %, 50 % and 84 % quantiles of their median expected limits; null without any.
    pub expected: Option<[f64; 3]>,
    /// The same of their observed limits; null where the data are hidden.
    pub observed: Option<[f64; 3]>,
}

/// Upper limits along another parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitScanResult {
    pub parameter: String,
    pub points: Vec<LimitScanPoint>,
    /// Where a signal of strength one is not excluded; null of an earlier program.
    #[serde(default)]
    pub allowed: Option<AllowedValues>,
}

/// Values of a parameter at which limits are at least one, which a signal of strength one does
/// not exceed: a straight line between the points of the scan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AllowedValues {
    /// By the median expected limits, rising.
    pub expected: Vec<AllowedInterval>,
    /// By the observed ones; null where the data are hidden.
    pub observed: Option<Vec<AllowedInterval>>,
}

/// One interval of such values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllowedInterval {
    pub low: f64,
    pub high: f64,
    /// What is at the lower and at the upper end.
    pub ends: [AllowedEnd; 2],
}

/// Why an interval of allowed values ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowedEnd {
    /// The limit is one.
    Crossing,
    /// The scan ends: what is beyond is not known.
    ScanEnd,
    /// There is no limit at the next point.
    Missing,
}

/// Upper limits at one value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitScanPoint {
    pub value: f64,
    /// None where the data are hidden.
    pub observed: Option<f64>,
    /// As [`LimitResult::expected`].
    pub expected: [Option<f64>; 5],
    /// Why some are missing.
    pub reason: Option<String>,
    /// The theory's cross-section of a signal of strength one, in fb; null if none is given.
    #[serde(default)]
    pub cross_section: Option<f64>,
    /// The ends of its uncertainty.
    #[serde(default)]
    pub cross_section_range: Option<[f64; 2]>,
}

impl LimitScanPoint {
    /// In fb what is 1 of the limited parameter: limits times this are limits on the cross-section.
    pub(super) fn in_fb(&self, limit: Option<f64>) -> Option<f64> {
        Some(limit? * self.cross_section?)
    }
}

impl ToysResult {
    /// The point whose distribution of t is shown: that in the middle.
    pub(super) fn shown(&self) -> Option<&ToyPoint> {
        self.points.get(self.points.len() / 2)
    }
}

impl MeasurementResult {
    /// Takes the words of a configuration: labels of its parameters.
    pub(super) fn take_words(&mut self, measurement: &Measurement) {
        for parameter in &mut self.fit.parameters {
            let name = &parameter.name;
            let own = measurement.parameters.get(name).map(|p| &p.label);
            let own = own.or_else(|| measurement.systematics.get(name).map(|s| &s.label));
            if let Some(label) = own {
                parameter.label = label.as_ref().unwrap_or(name).clone();
            }
        }
        let labels: Vec<[String; 2]> = self
            .contours
            .iter()
            .map(|contour| {
                let names = contour.parameters.each_ref();
                names.map(|name| self.label(name).to_owned())
            })
            .collect();
        for (contour, labels) in self.contours.iter_mut().zip(labels) {
            contour.labels = labels;
        }
    }

    /// What is known of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&ParameterResult> {
        self.fit.parameters.iter().find(|p| p.name == name)
    }

    /// How a parameter is called in plots.
    pub(super) fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.parameter(name).map_or(name, |p| &p.label)
    }
}

/// Whether there is a workspace of the histograms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportResult {
    /// Whether `workspace.json` is there; read back, it was the model that was fitted.
    pub is_written: bool,
    /// Why it is not.
    pub reason: Option<String>,
    /// Whether it was not the model that was fitted: a fault of this program.
    pub is_wrong: bool,
    /// The same in words, for the page.
    pub text: String,
}

/// The best fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitResult {
    /// Minimum of -log L, up to a constant.
    pub nll: f64,
    /// Parameters in their order.
    pub parameters: Vec<ParameterResult>,
    /// Correlations, in the same order; null where one of the two has no error.
    pub correlation: Vec<Vec<Option<f64>>>,
    /// Largest component of the projected gradient, for a step of one standard
    /// deviation.
    pub gradient: f64,
    /// Other minima: their height above the best one as t, and their points.
    pub other_minima: Vec<(f64, Vec<f64>)>,
    /// Evaluations of value, gradient and Hessian.
    pub evaluations: u64,
    /// Seconds of the fit.
    pub seconds: f64,
}

/// A parameter at the best fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterResult {
    pub name: String,
    /// Label for plots.
    pub label: String,
    /// Whether it is measured.
    pub is_interest: bool,
    /// Best fit; where the fit stopped, if it is not measured.
    pub value: f64,
    /// Error from the Hessian; null where that gives none, and `no_error` says why.
    pub error: Option<f64>,
    /// Distance down to where t = 1, above 0, of parameters of interest and of those on a
    /// bound; null where the bound comes before.
    #[serde(default)]
    pub error_down: Option<f64>,
    /// The same up.
    #[serde(default)]
    pub error_up: Option<f64>,
    /// Why the Hessian gives no error.
    #[serde(default)]
    pub no_error: Option<String>,
    /// Why the data do not measure it; null if they do.
    #[serde(default)]
    pub not_measured: Option<String>,
    /// Distances to where t = 1, or to the bound where that comes before, down and up, of
    /// parameters of interest; null where none was found.
    pub minos: Option<[Option<f64>; 2]>,
    /// `(a - a0) / delta` and its error; the latter null without error.
    pub pull: Option<(f64, Option<f64>)>,
    /// Whether it ended on a bound.
    pub at_bound: bool,
}

/// A profile likelihood curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScanResult {
    /// Curves by name: `profiled`, `statistical`, `histogram`, `exact`.
    pub curves: IndexMap<String, Curve>,
    /// Why a curve of this name is not there.
    #[serde(default)]
    pub missing: IndexMap<String, String>,
    /// Values whose conditional fit failed; they are no points of the curve.
    pub failed: Vec<f64>,
    /// Values where the scan found a deeper point than the first best fit.
    pub deeper_at: Vec<f64>,
    /// Largest difference between learned and exact t where the exact one is below 9.
    pub largest_difference: Option<f64>,
    /// Confidence sets from t < 1 and t < 4, by the name of the curve.
    pub intervals: IndexMap<String, Vec<IntervalSet>>,
}

/// One curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Best fit.
    pub best: f64,
    /// Its error from the Hessian; null if that gives none: on a bound, or without
    /// curvature.
    pub error: Option<f64>,
    /// Parameter and t.
    pub points: Vec<[f64; 2]>,
}

/// A confidence set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalSet {
    /// Its level, 0.6827 or 0.9545.
    pub level: f64,
    /// Its intervals; an end that was not found is null.
    pub intervals: Vec<[Option<f64>; 2]>,
}

/// Impacts on one parameter of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImpactsResult {
    /// Where its errors come from.
    #[serde(default)]
    pub from: ErrorSource,
    /// Its error; null if the search for it failed.
    pub error: Option<f64>,
    /// Its error with all nuisance parameters at their best fit.
    pub statistical: Option<f64>,
    /// By nuisance parameter, largest first.
    pub ranking: Vec<ImpactResult>,
    /// By group: what the error has in quadrature beyond that with the group at its best
    /// fit.
    pub groups: IndexMap<String, Option<f64>>,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// The Hessian at the best fit.
    #[default]
    Hessian,
    /// Where t of the profile is 1, above the best fit.
    ProfileUp,
    /// The same below.
    ProfileDown,
}

/// Impact of one nuisance parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImpactResult {
    /// The nuisance parameter.
    pub name: String,
    /// `V_muk / sqrt(V_kk)`; null where one of the two has no error from the Hessian.
    pub post_fit: Option<f64>,
    /// With the other nuisance parameters fixed; null as before.
    pub unprofiled: Option<f64>,
    /// For one pre-fit error.
    pub pre_fit: Option<f64>,
    /// By refit at the best fit +- its post-fit error. A nuisance parameter on a bound is
    /// moved inwards, to where its profile has t = 1.
    pub refit: [Option<f64>; 2],
}

/// A CLs upper limit by asymptotic formulae.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitResult {
    pub parameter: String,
    pub confidence_level: f64,
    pub test_stat: TestStatistic,
    /// The limit from the data; none where they are hidden.
    pub observed: Option<f64>,
    /// The limits expected without signal, for data that fluctuate by -2, -1, 0, 1 and 2
    /// standard deviations; null without any, each null by itself.
    pub expected: Option<[Option<f64>; 5]>,
    /// Why there is no limit, or which of them are missing and why.
    pub reason: Option<String>,
    /// The upper bound that limits above that of the parameter were found with, of a limit;
    /// none if they lie below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_widened: Option<f64>,
    /// CLs at the points of the scan.
    pub curve: Vec<ClsPoint>,
    /// The limits by pseudo-experiments, of a limit that asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) toys: Option<ToyRecord>,
}

/// CLs at one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClsPoint {
    pub value: f64,
    /// From the data; none where they are hidden.
    pub observed: Option<f64>,
    /// Expected without signal, as [`LimitResult::expected`].
    pub expected: [f64; 5],
}

/// Confidence regions of two parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContourResult {
    pub parameters: [String; 2],
    /// Their labels for plots.
    pub labels: [String; 2],
    /// The best fit.
    pub best: [f64; 2],
    /// Levels of the regions.
    pub levels: Vec<ContourLevel>,
    /// Values of both, rising.
    pub values: [Vec<f64>; 2],
    /// t by the value of the first and that of the second; null where the fit failed.
    pub t: Vec<Vec<Option<f64>>>,
    /// Where a deeper point than the best fit was found, from which it was redone.
    pub deeper_at: Option<[f64; 2]>,
    /// Why there is none; values and t are then empty.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A region of two parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContourLevel {
    /// Its confidence level.
    pub level: f64,
    /// t at its border.
    pub t: f64,
}

/// Checks of the likelihood at the best fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// Events whose density is below the barrier.
    pub not_positive: usize,
    /// The integral of the density over the reference; one if it is a density.
    pub normalisation: Option<Normalisation>,
    /// The same where each nuisance parameter alone is one post-fit error up or down:
    /// the one farthest from one, in errors.
    pub normalisation_around: Option<Normalisation>,
}

/// Error of the first parameter of interest from the finite training sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiniteSample {
    /// The best fit without the parameter for it.
    pub value: f64,
    /// The error there.
    pub error: f64,
    /// The same in the coordinate of the fit, which the parameter moves.
    pub coordinate_error: f64,
    /// Bootstrapped members, and members that differ by their initial weights alone.
    pub members: [usize; 2],
    /// The error by value, between which it is interpolated by a cubic spline.
    pub points: Vec<FiniteSamplePoint>,
}

/// The error from the finite training sample at one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiniteSamplePoint {
    pub value: f64,
    /// Variance of the best fit over bootstrapped members.
    pub bootstrapped: f64,
    /// The same over members that differ by their initial weights alone.
    pub fixed: f64,
    /// The error of the ensemble's mean: sqrt(bootstrapped - fixed (1 - 1/E)), zero if
    /// that is negative.
    pub error: f64,
    /// The same in the coordinate of the fit.
    pub coordinate_error: f64,
}

/// Pseudo-experiments, and the belt they make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToysResult {
    /// What they say of the fit, at each value.
    pub points: Vec<ToyPoint>,
    /// Critical values of t with their errors from the number of toys, of the levels that
    /// there are enough toys for.
    pub belt: Vec<neyman::BeltPoint>,
    /// Why there is none, or which levels are missing and why.
    pub no_belt: Option<String>,
    /// Confidence sets of the observed curve.
    pub sets: Vec<neyman::ConfidenceSet>,
    /// Why there is no set, or none at some level.
    #[serde(default)]
    pub no_sets: Option<String>,
    /// What toys have in common because their pool is finite, at the worst of the values,
    /// and what to change; none if that is little.
    pub warning: Option<String>,
}

/// Pseudo-experiments at one value of the first parameter of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToyPoint {
    pub value: f64,
    /// Toys whose fits converged.
    pub toys: usize,
    /// Toys whose fits did not; they count for nothing.
    pub failed: usize,
    /// Expected events.
    pub events: f64,
    /// Share of toys with t below its asymptotic quantile at 68.27 and 95.45 %, with the
    /// ends of its binomial interval.
    pub coverage: Vec<[f64; 3]>,
    /// Mean and standard deviation of the fitted values; the latter null of a single toy.
    pub fitted: (f64, Option<f64>),
    /// (mean - true) / standard deviation; null if all toys are fitted alike.
    pub bias: Option<f64>,
    /// Of each parameter of the fit: mean of (fitted - true) / error, its error, width
    /// and its error, in the fit's coordinate; null where fewer than two toys have an error.
    pub pulls: Vec<Option<[f64; 4]>>,
    /// Share of toys that are fitted at a bound.
    pub at_bound: f64,
    /// Largest Asimov weight of the pool; toys hold copies unless it is well below one.
    pub largest_weight: f64,
    /// Expected share of a toy's events that it holds more than once.
    pub duplicates: f64,
    /// The fluctuation of the pool itself, which all toys share, in standard deviations of
    /// one toy.
    pub common_shift: f64,
    /// t of every toy, for the figure; the files of toys have them.
    #[serde(skip)]
    pub t: Vec<f64>,
}

/// What is known of a trained ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioTrust {
    /// Its name: a process, or `process.systematic.side`.
    pub name: String,
    /// Members that it is made of.
    pub members: usize,
    /// Mean of r over source events, which should be one, and its statistical error.
    pub integral: [f64; 2],
    /// Calibration curve.
    pub calibration: Vec<CalibrationPoint>,
    /// p-value of its chi2.
    pub calibration_p: Option<f64>,
    /// AUC of a fresh classifier of the reweighted source against the target.
    pub closure: Option<Auc>,
    /// Distributions of features that do not close, of all.
    pub open_features: [usize; 2],
    /// Cross-entropy on held-out less that on training events, and its error.
    pub overtraining: [f64; 2],
    /// Separation: ln 2 less the cross-entropy on held-out events.
    pub separation: f64,
    /// Share of events whose |log r| is larger than the logarithm of the effective
    /// number of training events.
    pub saturated: f64,
    /// Largest |log r|.
    pub largest: f64,
    /// Median relative spread of the members.
    pub spread: f64,
    /// What to think of it.
    pub status: Status,
    /// Why.
    pub reasons: Vec<String>,
}
