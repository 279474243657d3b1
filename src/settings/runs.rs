//! Tables of a sample that is a finished run: which errors of its prediction are parameters, and
//! how they are called. Limits and measurements have them in the same words.

use super::defaults::count;
use super::raw::Scalar;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[samples.NAME.retraining]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrainingConfig {
    /// Share of the variance, relative to what bins are known to, that parameters of their
    /// own have.
    pub keep: f64,
    /// Most such parameters; what is left is an error of single bins.
    pub at_most: usize,
    /// What of the replicas is an error.
    pub spread: RetrainingSpread,
    /// What is made of the replicas.
    pub mode: RetrainingMode,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Default for RetrainingConfig {
    fn default() -> Self {
        Self {
            keep: 0.99,
            at_most: 8,
            spread: RetrainingSpread::default(),
            mode: RetrainingMode::default(),
            group: None,
        }
    }
}

/// What of retrained networks' histograms is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetrainingSpread {
    /// Their covariance over all bins.
    #[default]
    Covariance,
    /// The interquartile ranges of single bins, as one shift of all: their correlations are
    /// assumed.
    Iqr,
}

/// What is made of retrained networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetrainingMode {
    /// Parameters.
    #[default]
    Components,
    /// Parameters, and as a check of them the limits with each replica in the place of all.
    Replicas,
}

/// `[samples.NAME.plane]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlaneErrorConfig {
    /// Share of the variance, relative to what bins are known to, that parameters of their
    /// own have.
    pub keep: f64,
    /// Most such parameters; what is left is an error of single bins.
    pub at_most: usize,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Default for PlaneErrorConfig {
    fn default() -> Self {
        Self {
            keep: 0.99,
            at_most: 8,
            group: None,
        }
    }
}

/// `[samples.NAME.normalisation]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalisationConfig {
    /// The parameter's name; `NAME_normalisation` if absent. Equal names are one parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// `[samples.NAME.control_region]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlRegionConfig {
    /// The run; that of the sample if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which ensemble of its matrix; what is not said is as in the sample.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub point: IndexMap<String, Scalar>,
    /// Regions of the run that share the events of the channels among them: a parameter each.
    /// One for all events without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quadrants: Vec<String>,
    /// The parameter's name, to which a quadrant is added; `NAME_control_region` if absent.
    /// Equal names are one parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// `[samples.NAME.nonclosure]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NonclosureConfig {
    /// The run; that of the sample if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which ensemble of its matrix; what is not said is as in the sample.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub point: IndexMap<String, Scalar>,
    /// The same run learned in another control region, whose difference explains a part; as
    /// `point`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variation: IndexMap<String, Scalar>,
    /// Bins of the running mean of the relative deviation, an odd number.
    #[serde(default = "count::<3>")]
    pub smooth: usize,
    /// The parameter's name; `NAME_nonclosure` if absent. Equal names are one parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// `[samples.NAME.mixing]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleMixingConfig {
    /// A finished run of `method = "mix"`; that of the sample if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The uncertainty of the run that a channel, or part of one, has; that of its observable and
    /// bins if absent.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub uncertainties: IndexMap<String, String>,
    /// Parameters that are frozen together in the table of impacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Values by their names.
pub(super) fn named(point: &IndexMap<String, Scalar>) -> IndexMap<String, String> {
    let all = point.iter();
    all.map(|(axis, value)| (axis.clone(), value.text()))
        .collect()
}

/// A point where some axes have other values than at another one.
pub(crate) fn moved(
    from: &IndexMap<String, Scalar>,
    to: &IndexMap<String, Scalar>,
) -> IndexMap<String, String> {
    let mut point = named(from);
    point.extend(named(to));
    point
}
