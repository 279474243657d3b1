//! What a comparison of prediction and observation says, and why.

use serde::{Deserialize, Serialize};

/// What a comparison of prediction and observation says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictState {
    /// It was tested, and nothing failed.
    Closes,
    /// A test failed.
    Open,
    /// Nothing could be tested, or no test could have failed.
    #[default]
    Untested,
    /// A number of the result is not finite.
    NotFinite,
}

impl VerdictState {
    /// The state in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Closes => "closes",
            Self::Open => "open",
            Self::Untested => "untested",
            Self::NotFinite => "not finite",
        }
    }
}

/// A verdict and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it says.
    pub state: VerdictState,
    /// Why it is not `closes`, and what of it was not tested.
    pub reasons: Vec<String>,
    /// Tests that count: distributions, `yield`, `AUC`; of a whole result, regions.
    pub tested: Vec<String>,
    /// Those that failed.
    pub failed: Vec<String>,
    /// p-value below which a test fails; none on a whole result, or where nothing was
    /// tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}
