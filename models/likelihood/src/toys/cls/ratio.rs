//! The ratio of two tails of toys, with its error.

use serde::Serialize;

/// Probability that a value without toys beyond lies below its upper limit.
const LIMIT_LEVEL: f64 = 0.95;

/// Toys whose statistic is at least that of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ToyTail {
    /// Their number.
    pub beyond: u64,
    /// All toys with a fit.
    pub toys: u64,
}

/// A ratio of two tails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToyRatio {
    /// It was counted.
    Value {
        /// The ratio.
        value: f64,
        /// Its error, by those of both binomial proportions.
        error: f64,
    },
    /// No toy with the signal is beyond: an upper limit at 95 %.
    Below(f64),
    /// No toy without the signal is beyond: throw more.
    Unknown,
}

impl ToyRatio {
    /// `(k / n) / (k' / n')`.
    pub(super) fn of(with_signal: ToyTail, without: ToyTail) -> Self {
        let share = |tail: ToyTail| tail.beyond as f64 / tail.toys as f64;
        if without.beyond == 0 || with_signal.toys == 0 {
            return Self::Unknown;
        }
        let (with, none) = (share(with_signal), share(without));
        if with_signal.beyond == 0 {
            let most = 1.0 - (1.0 - LIMIT_LEVEL).powf(1.0 / with_signal.toys as f64);
            return Self::Below(most / none);
        }
        let square = |tail: ToyTail| (1.0 - share(tail)) / tail.beyond as f64;
        let value = with / none;
        Self::Value {
            value,
            error: value * (square(with_signal) + square(without)).sqrt(),
        }
    }

    /// Whether it is known to a precision.
    pub(super) fn is_known_to(self, precision: f64) -> bool {
        match self {
            Self::Value { error, .. } => error <= precision,
            Self::Below(most) => most <= precision,
            Self::Unknown => false,
        }
    }
}
