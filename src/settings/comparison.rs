//! `[comparison]`: regions and methods of a matrix side by side.

mod check;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[comparison]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparisonConfig {
    /// Axis of the matrix whose values are validation regions.
    #[serde(default = "default_rows")]
    pub rows: String,
    /// Axis of the matrix whose values are methods.
    #[serde(default = "default_methods")]
    pub methods: String,
    /// Region of each ensemble in which prediction and observation are compared.
    pub region: String,
    /// The reweighting.
    #[serde(default)]
    pub reweighting: Option<ReweightingComparison>,
    /// Value of the methods' axis that interpolates.
    #[serde(default)]
    pub interpolation: Option<String>,
    /// Distributions that are compared; all that the methods share if empty.
    #[serde(default)]
    pub variables: Vec<String>,
}

/// `[comparison.reweighting]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReweightingComparison {
    /// Value of the methods' axis that gives the nominal prediction (trained in
    /// CR1).
    pub nominal: String,
    /// Value that gives the variation (trained in CR2).
    #[serde(default)]
    pub variation: Option<String>,
    /// Quadrants of the region: names of regions of each ensemble. In one after the
    /// other the variation takes the nominal's place.
    #[serde(default)]
    pub quadrants: Vec<String>,
    /// Value of the rows' axis whose non-closure becomes an error of all others.
    #[serde(default)]
    pub nonclosure: Option<String>,
}

fn default_rows() -> String {
    "region".to_owned()
}
fn default_methods() -> String {
    "method".to_owned()
}
