//! What is done about a point at which the likelihood of a channel is not defined.

use super::channel::ChannelError;
use super::kernel::Transform;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is done about a density that is not positive. Exact ratios do not have it;
/// learned ones may, where contributions of different sign nearly cancel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NotPositive {
    /// The likelihood is not a number there.
    #[default]
    Error,
    /// Below a threshold `log q` is continued as its tangent there: value and slope
    /// have no jump and a fit can return.
    Barrier {
        /// The threshold as a share of `sum_i |w_i|`, about the size of `q` where an
        /// event is as likely as under the reference; positive, 1e-3 is usual.
        relative: f64,
    },
}

impl NotPositive {
    pub(super) fn check(self) -> Result<(), ChannelError> {
        match self {
            Self::Barrier { relative } if !(relative.is_finite() && relative > 0.0) => {
                Err(ChannelError::Threshold(relative))
            }
            Self::Barrier { .. } | Self::Error => Ok(()),
        }
    }

    /// For a sample with this sum of absolute weights.
    pub(super) fn transform(self, absolute_weight: f64) -> Transform {
        match self {
            Self::Error => Transform::Log,
            Self::Barrier { relative } => Transform::Barrier(relative * absolute_weight),
        }
    }
}

/// Why the likelihood of a channel is not defined at a point.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PointError {
    /// A coefficient outside its domain.
    #[error(
        "the rate of `{process}` with the coefficient `{coefficient}` is {rate} at {at}; keep \
         the parameters within its domain by bounds"
    )]
    Coefficient {
        process: String,
        coefficient: String,
        rate: f64,
        /// Names and values of the parameters.
        at: String,
    },
    /// No events are expected.
    #[error("the expected number of events is {rate} at {at}; it must be positive")]
    Rate {
        rate: f64,
        /// Names and values of the parameters.
        at: String,
    },
    /// Densities that are not positive, or below the threshold of the barrier.
    #[error(
        "the density of {count} events is not above {threshold} at {at}, the first is event \
         {event} with {density}; check the ratios of this event"
    )]
    Density {
        count: usize,
        event: usize,
        density: f64,
        threshold: f64,
        /// Names and values of the parameters.
        at: String,
    },
}
