//! The jets of an event: `[data.jets]`.

use crate::events::Jets;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[data.jets]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JetsConfig {
    /// pT of the jets in GeV: a list, as a column or an expression, as the others are.
    pub pt: String,
    /// Their pseudorapidities, an expression.
    pub eta: String,
    /// Their azimuths in radians, an expression.
    pub phi: String,
    /// Their masses in GeV, an expression.
    pub mass: String,
    /// Whether they are tagged, an expression.
    pub tagged: String,
    /// Which of the list are jets of the event, an expression; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<String>,
    /// Jets of an event, by falling pT, that are anything but counted.
    pub max: usize,
    /// How Higgs candidates are made of them: built-in columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<CandidateRule>,
}

impl Default for JetsConfig {
    fn default() -> Self {
        let [pt, eta, phi, mass, tagged] =
            ["jet_pt", "jet_eta", "jet_phi", "jet_m", "jet_tag"].map(str::to_owned);
        Self {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected: None,
            max: 8,
            candidates: None,
        }
    }
}

impl From<&JetsConfig> for Jets {
    fn from(jets: &JetsConfig) -> Self {
        let JetsConfig {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected,
            max,
            candidates: _,
        } = jets.clone();
        Self {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected,
            most: max,
        }
    }
}

/// How Higgs candidates are made of jets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CandidateRule {
    /// Of the four leading tagged jets, filled up with the leading others: the pairing whose
    /// pair of higher pT has the smallest dR.
    MinDr,
}
