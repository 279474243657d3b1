//! Choices of how members are trained; a learning-rate schedule is a member's own, a function
//! of its epoch and of its validation losses so far.

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

/// How the learning rate changes from epoch to epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The same throughout.
    #[default]
    Constant,
    /// Times `decay` each epoch.
    Exponential {
        /// Factor an epoch.
        decay: f64,
    },
    /// Half a cosine from 1 to `floor` over `epochs`, then `floor`.
    Cosine {
        /// Length of the descent.
        epochs: u32,
        /// Final rate over the initial one.
        #[serde(default)]
        floor: f64,
    },
    /// Times `factor` whenever the validation loss has not improved for
    /// `patience` epochs, not below `floor`.
    Plateau {
        /// Factor at a plateau.
        factor: f64,
        /// Epochs without improvement.
        patience: u32,
        /// Smallest rate over the initial one.
        #[serde(default)]
        floor: f64,
    },
}

impl Schedule {
    /// Factor on the initial learning rate in the epoch that follows the given
    /// validation losses.
    #[must_use]
    pub fn factor(&self, validation: &[f64]) -> f64 {
        let epoch = validation.len();
        match *self {
            Self::Constant => 1.0,
            Self::Exponential { decay } => decay.powf(epoch as f64),
            Self::Cosine { epochs, floor } => {
                let x = (epoch as f64 / f64::from(epochs.max(1))).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * x).cos())
            }
            Self::Plateau {
                factor,
                patience,
                floor,
            } => {
                let (mut best, mut wait, mut scale) = (f64::INFINITY, 0, 1.0f64);
                for loss in validation {
                    if *loss < best {
                        best = *loss;
                        wait = 0;
                    } else {
                        wait += 1;
                        if wait >= patience.max(1) {
                            scale = (scale * factor).max(floor);
                            wait = 0;
                        }
                    }
                }
                scale
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_follow_their_formulas() {
        let flat = vec![1.0; 7];
        assert_eq!(Schedule::Constant.factor(&flat), 1.0);
        let e = Schedule::Exponential { decay: 0.9 };
        assert!((e.factor(&flat) - 0.9f64.powi(7)).abs() < 1e-12);
        let c = Schedule::Cosine {
            epochs: 10,
            floor: 0.1,
        };
        assert_eq!(c.factor(&[]), 1.0);
        assert!((c.factor(&[1.0; 5]) - 0.55).abs() < 1e-12);
        assert!((c.factor(&[1.0; 20]) - 0.1).abs() < 1e-12);
        let p = Schedule::Plateau {
            factor: 0.5,
            patience: 3,
            floor: 0.2,
        };
        assert_eq!(p.factor(&[1.0, 1.0, 1.0]), 1.0);
        assert_eq!(p.factor(&[1.0, 1.0, 1.0, 1.0]), 0.5);
        assert_eq!(p.factor(&[1.0; 100]), 0.2);
    }
}
