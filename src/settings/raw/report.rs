//! Diagnostics and figures: `[report]`.

use crate::settings::defaults::{count, is_default};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[report]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Title of the report; the experiment's name if absent.
    pub title: Option<String>,
    /// Words on the data, put on every plot.
    pub data_label: String,
    /// Whose the figures are, in bold above each; "Sideband" if absent.
    pub experiment: Option<String>,
    /// In italics beside it: "Private Work", "Preliminary".
    pub status: Option<String>,
    /// Integrated luminosity, at the right above each figure: a number in fb^-1, or a text.
    pub luminosity: Option<Quantity>,
    /// Centre-of-mass energy beside it: a number in TeV, or a text.
    pub com: Option<Quantity>,
    /// Events per unit of the variable in place of events a bin.
    #[serde(skip_serializing_if = "is_default")]
    pub density: bool,
    /// How predictions are drawn.
    #[serde(skip_serializing_if = "is_default")]
    pub style: HistogramStyle,
    /// Distributions beside those of the inputs.
    pub variables: Vec<VariableConfig>,
    /// Bins of the inputs' distributions.
    pub bins: usize,
    /// Two-dimensional distributions.
    pub planes: Vec<PlaneConfig>,
    /// Members of the classifier that tells reweighted source from target (the
    /// AUC); 0 = no AUC.
    pub classifier_members: u32,
    /// Significance below which a distribution counts as not closed.
    pub p_value: f64,
    /// What the ensembles of a matrix are ranked by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_by: Option<RankBy>,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            title: None,
            data_label: String::new(),
            experiment: None,
            status: None,
            luminosity: None,
            com: None,
            density: false,
            style: HistogramStyle::default(),
            variables: Vec::new(),
            bins: 15,
            planes: Vec::new(),
            classifier_members: 10,
            p_value: 0.01,
            rank_by: None,
        }
    }
}

impl ReportConfig {
    /// Forgets titles, labels, and which axes are logarithmic.
    pub(in crate::settings) fn forget_words(&mut self) {
        self.title = None;
        self.data_label.clear();
        for variable in &mut self.variables {
            variable.label = None;
            variable.log = false;
        }
        for plane in &mut self.planes {
            [plane.x_label, plane.y_label] = [None, None];
            plane.hh_borders = false;
        }
    }

    /// Forgets what changes neither numbers nor which figures there are.
    pub(in crate::settings) fn forget_looks(&mut self) {
        self.experiment = None;
        self.status = None;
        self.luminosity = None;
        self.com = None;
        self.density = false;
        self.style = HistogramStyle::default();
    }
}

/// What the ensembles of a matrix are ranked by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RankBy {
    /// The loss on held-out events of the training region.
    HeldOutLoss,
    /// How far the AUC of the fresh classifier is from 0.5; takes `classifier_members`.
    Auc {
        /// The region.
        region: String,
    },
    /// The mean chi2 / ndf of distributions, with the statistical errors of both samples alone.
    Chi2 {
        /// The region.
        region: String,
        /// One distribution in place of all.
        #[serde(default)]
        variable: Option<String>,
    },
}

/// How predictions are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramStyle {
    /// As lines.
    #[default]
    Line,
    /// The prediction that is compared with the observation as an area; where several methods
    /// stand side by side, and would hide each other, as lines. Processes of a measurement's
    /// histograms, which add up, are stacked in any case.
    Filled,
}

/// A number in a unit that goes without saying, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number or a text")]
pub enum Quantity {
    /// A number.
    Number(f64),
    /// A text, taken as it stands.
    Text(String),
}

impl Quantity {
    /// The number with its unit, or the text.
    #[must_use]
    pub(crate) fn in_words(&self, unit: &str) -> String {
        match self {
            Self::Number(number) => format!("{number} {unit}"),
            Self::Text(text) => text.clone(),
        }
    }
}

/// One entry of `report.variables`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableConfig {
    /// Name of the distribution in files and keys.
    pub name: String,
    /// Expression over columns; the name if absent.
    #[serde(default)]
    pub expression: Option<String>,
    /// Axis label; the name if absent.
    #[serde(default)]
    pub label: Option<String>,
    /// Bin edges, or a number of bins of equal content.
    pub bins: Bins,
    /// Logarithmic event axis.
    #[serde(default)]
    pub log: bool,
}

/// Bin edges, or a number of bins of equal content of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of increasing edges or a number of bins")]
pub enum Bins {
    /// Number of bins.
    Number(usize),
    /// Edges.
    Edges(Vec<f64>),
}

/// One entry of `report.planes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaneConfig {
    /// Name in files and keys.
    pub name: String,
    /// Expression of the horizontal axis.
    pub x: String,
    /// Expression of the vertical axis.
    pub y: String,
    /// Lowest and highest value, horizontally.
    pub x_range: [f64; 2],
    /// Lowest and highest value, vertically.
    pub y_range: [f64; 2],
    /// Bins along each axis.
    #[serde(default = "count::<25>")]
    pub bins: usize,
    /// Axis labels.
    #[serde(default)]
    pub x_label: Option<String>,
    /// Axis labels.
    #[serde(default)]
    pub y_label: Option<String>,
    /// Draws the SR and CR borders of the HH -> 4b mass plane.
    #[serde(default)]
    pub hh_borders: bool,
}

impl PlaneConfig {
    /// Axis labels.
    #[must_use]
    pub(crate) fn labels(&self) -> [String; 2] {
        let label = |own: &Option<String>, text: &String| own.as_ref().unwrap_or(text).clone();
        [label(&self.x_label, &self.x), label(&self.y_label, &self.y)]
    }
}
