//! The part of `metrics.json` that is an interpolation's own.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Gaussian processes and samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterpolationMetrics {
    /// One Gaussian process each, in the configuration's order.
    pub categories: Vec<CategoryMetrics>,
    /// Mean of -log p of the user's variables on events that no member was
    /// trained on: the validation fold, and the held-out fold if there is one.
    pub negative_log_density: f64,
    /// Sampled events with features outside every finite value, dropped; summed
    /// over members.
    pub dropped: u64,
    /// Samples of all members in a predicted region that have no value of a plotted
    /// variable and are in none of its bins, by variable.
    #[serde(default)]
    pub without_value: IndexMap<String, u64>,
}

/// One category's Gaussian process and its samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryMetrics {
    /// Value of the category's column; none without categories.
    pub value: Option<f64>,
    /// Events outside the holes.
    pub events: u64,
    /// Sum of their weights.
    pub observed: f64,
    /// Points drawn, and those of them outside the holes.
    pub samples: [u64; 2],
    /// Weight of a sample, `observed / samples[1]`.
    pub weight: f64,
    /// Signal variance c of the kernel, in units of the counts' variance.
    pub amplitude: f64,
    /// Length scales along both axes.
    pub length_scales: [f64; 2],
    pub log_marginal_likelihood: f64,
    /// Starting points of the fit, and those that converged.
    pub starts: [usize; 2],
    /// Bins whose predicted content was negative and is taken as 0.
    pub negative_bins: usize,
    /// Bins of the fit without events, beside bins that have many.
    #[serde(default)]
    pub empty_bins: usize,
    /// Bins that overlap the holes together.
    pub hole: HoleMetrics,
    /// Pulls a bin outside the holes, which the fit has seen.
    pub outside: PullMetrics,
    /// Pulls a bin inside the holes; none where anything of them is blind.
    pub inside: Option<PullMetrics>,
    /// The plane itself.
    pub plane: PlaneFigure,
}

/// The Gaussian process integrated over the bins that overlap the holes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoleMetrics {
    pub predicted: f64,
    /// Its error, with the covariance of all bins.
    pub error: f64,
    /// Observation; none where blind.
    pub observed: Option<f64>,
}

/// Pulls of many bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PullMetrics {
    /// (prediction - observed) / sqrt(observed), as published: mean and width.
    pub published: Option<[f64; 2]>,
    /// (prediction - observed) / sqrt(GP variance + prediction): mean and width;
    /// unit normal if the errors are right.
    pub with_error: Option<[f64; 2]>,
    /// The latter, a bin.
    pub values: Vec<f64>,
}

/// What is drawn of a plane, `[x][y]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneFigure {
    /// Axis labels.
    pub labels: [String; 2],
    /// Edges along x.
    pub x_edges: Vec<f64>,
    /// Edges along y.
    pub y_edges: Vec<f64>,
    /// What was fitted; null where it was cut out.
    pub input: Vec<Vec<Option<f64>>>,
    /// Mean of the Gaussian process.
    pub prediction: Vec<Vec<f64>>,
    /// Its standard deviation.
    pub error: Vec<Vec<f64>>,
    /// Pulls with the error; null where nothing is observed or shown.
    pub pull: Vec<Vec<Option<f64>>>,
}

/// What figures need beside the metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureData {
    /// Labels of the variables.
    pub labels: Vec<String>,
    /// Observed events of the first predicted region, `[variable][event]`; empty
    /// where blind.
    pub observed: Vec<Vec<f32>>,
    /// Sampled events there, of all members.
    pub sampled: Vec<Vec<f32>>,
    /// One member step by step: names of the stages.
    pub stages: Vec<String>,
    /// Points at each stage, standardised, `[stage][variable][point]`.
    pub steps: Vec<Vec<Vec<f32>>>,
    /// Training events, standardised, `[variable][event]`.
    pub training: Vec<Vec<f32>>,
}
