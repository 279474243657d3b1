//! What networks were trained on, and events to be predicted outside of it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Share of a prediction outside of what was trained above which it is no test.
pub(crate) const OUTSIDE: f64 = 0.05;

/// Ranges and categories of the training region's events, of all classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// The inputs that are no category, in order.
    pub inputs: Vec<InputRange>,
    /// The one-hot columns; their inputs follow.
    pub one_hot: Vec<Categories>,
}

/// Smallest and largest value of an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputRange {
    /// Its expression.
    pub name: String,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// Categories of a one-hot column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Categories {
    pub column: String,
    /// Its listed values.
    pub values: Vec<f64>,
    /// Whether a training event has each of them; the last: none of them.
    pub seen: Vec<bool>,
}

/// Events of a region outside of what was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutsideMetrics {
    /// How many.
    pub events: u64,
    /// Their share of the source's weight.
    pub share: f64,
    /// Their share of the prediction.
    pub predicted_share: f64,
    /// How many by reason; an event may have several.
    pub reasons: IndexMap<String, u64>,
}

impl OutsideMetrics {
    /// The larger of both shares.
    #[must_use]
    pub fn largest_share(&self) -> f64 {
        self.share.abs().max(self.predicted_share.abs())
    }

    /// The most frequent reasons in words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut reasons: Vec<(&String, &u64)> = self.reasons.iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(a.1));
        let named = reasons.iter().take(3).map(|(why, n)| format!("{why}: {n}"));
        let named: Vec<String> = named.collect();
        let more = if reasons.len() > 3 { ", ..." } else { "" };
        format!("{}{more}", named.join(", "))
    }
}
