//! The events: `[data]` and `[regions]`.

use super::jets::JetsConfig;
use crate::error::Result;
use crate::events::{ColumnInfo, Jets, OnMissing, Resolver};
use crate::settings::defaults::max_loss;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Sample whose events are reweighted (2b); an interpolation needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SampleConfig>,
    /// Sample that is to be predicted (4b).
    pub target: SampleConfig,
    /// Derived columns: name = expression.
    #[serde(default)]
    pub define: IndexMap<String, String>,
    /// The jets of an event, and what is made of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jets: Option<JetsConfig>,
    /// What to do with events whose feature is missing, NaN or infinite, whose one-hot value
    /// is not listed, or whose observable in a channel has no value.
    #[serde(default)]
    pub on_missing: MissingPolicy,
    /// Largest share of a sample's events that may be missing somewhere unasked: a
    /// selection without a value, a plotted variable without one.
    #[serde(default = "max_loss")]
    pub max_loss: f64,
    /// Reads the events while training, with a shuffle in windows: for data
    /// larger than memory. Without it they are all held in memory.
    #[serde(default)]
    pub stream: Option<StreamConfig>,
}

impl DataConfig {
    /// What names mean in files with these columns: defined ones, and those that are built in.
    ///
    /// # Errors
    /// If a definition is none.
    pub(crate) fn resolver(&self, columns: &[ColumnInfo]) -> Result<Resolver> {
        let resolver = Resolver::with_jets(columns, self.jets().as_ref(), &self.define);
        resolver.map_err(|e| e.at_key("data.define"))
    }

    /// The jets of which built-in columns are made, if there are any.
    pub(crate) fn jets(&self) -> Option<Jets> {
        let jets = self.jets.as_ref();
        jets.filter(|jets| jets.candidates.is_some())
            .map(Jets::from)
    }

    /// The samples that there are, with their roles.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, &SampleConfig)> {
        let source = self.source.iter().map(|sample| ("source", sample));
        source.chain([("target", &self.target)])
    }

    /// The same to be changed.
    pub(in crate::settings) fn samples_mut(&mut self) -> impl Iterator<Item = &mut SampleConfig> {
        self.source.iter_mut().chain([&mut self.target])
    }

    /// How the source is called in plots.
    #[must_use]
    pub fn source_label(&self) -> &str {
        let label = self.source.as_ref().and_then(|s| s.label.as_deref());
        label.unwrap_or("source")
    }

    /// How the target is called in plots.
    #[must_use]
    pub fn target_label(&self) -> &str {
        self.target.label.as_deref().unwrap_or("target")
    }
}

/// `[data.stream]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Events of each class that are shuffled together, and held by each
    /// training thread.
    pub window: usize,
    /// Events of each class that stay in memory if all in the files are
    /// selected, and in that proportion else, drawn at random: they validate, and
    /// the diagnostics are made of them.
    pub sample: usize,
    /// Events that are read ahead of the training, for each thread and class.
    pub read_ahead: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            window: 1 << 18,
            sample: 200_000,
            read_ahead: 1 << 17,
        }
    }
}

/// What to do with events whose feature is missing, NaN or infinite, whose one-hot value
/// is not listed, or whose observable in a channel has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingPolicy {
    /// Stop and say which.
    #[default]
    Error,
    /// Leave them out and report how many.
    Drop,
}

impl From<MissingPolicy> for OnMissing {
    fn from(policy: MissingPolicy) -> Self {
        match policy {
            MissingPolicy::Error => Self::Error,
            MissingPolicy::Drop => Self::Drop,
        }
    }
}

/// `[data.source]`, `[data.target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Parquet, Arrow IPC or ROOT files: a path, a glob, or a list of them, from the folder
    /// of the configuration. Of a ROOT file with several trees it says which:
    /// `events.root:Events`.
    pub path: OneOrMany,
    /// Which events are used; an expression over columns.
    #[serde(default)]
    pub selection: Option<String>,
    /// Event weight; an expression over columns. 1 if absent.
    #[serde(default)]
    pub weight: Option<String>,
    /// Factor on all weights, above 0: a number, or an expression over constants and sums of
    /// columns of another tree of the ROOT files, `xsec * lumi / sum(Runs.genEventSumw)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleConfig>,
    /// Integer columns that name an event. If absent, the file's place in the
    /// sorted list and the row in it.
    #[serde(default)]
    pub id: Vec<String>,
    /// Tells apart samples whose ids merely collide. Samples that share events
    /// have the same namespace.
    #[serde(default)]
    pub namespace: String,
    /// How the sample is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

/// A factor on the weights of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number or a text")]
pub enum ScaleConfig {
    /// A number.
    Number(f64),
    /// An expression over constants and sums of columns of another tree of the files.
    Text(String),
}

impl Default for ScaleConfig {
    fn default() -> Self {
        Self::Number(1.0)
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(list) => list.clone(),
        }
    }
}

/// `[regions.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// Which events are in the region; an expression over columns.
    pub selection: String,
    /// Keeps the target's events of this region out of counts, plots and files.
    #[serde(default)]
    pub blind: bool,
    /// How the region is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}
