//! The background that a finished run predicts, as histograms: contents, and what is known of
//! their error from retrained networks, from another control region and from a known target.
//!
//! ```text
//! FinishedRun -> RunHistograms (one pass over predictions and files)
//!             -> components of the replicas' covariance, differences, non-closure
//! ```

mod components;
mod histograms;
mod nonclosure;

pub(crate) use components::{components, interquartile};
pub(crate) use histograms::{Axis, ChannelAxes, RunHistograms};
pub(crate) use nonclosure::{FEW_OBSERVED, Known, deviations};
