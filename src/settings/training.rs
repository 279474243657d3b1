//! Choices of how members are trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the two sums of the loss are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Each class by its own sum of weights: the optimum is the ratio of
    /// densities.
    #[default]
    Class,
    /// Both by the same number: the optimum carries the ratio of yields too.
    Yield,
}

/// How events are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// One division for all members.
    #[default]
    Shared,
    /// The held-out fold is common, validation is drawn anew for each member.
    Member,
    /// k folds: member m does not see fold m modulo k.
    Folds,
}
