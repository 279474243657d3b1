//! Gaussian processes and the mass plane that they fill: f64, no network in sight.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod error;
pub mod gaussian_process;
mod mass_plane;

pub use error::ProcessError;
pub use mass_plane::{
    Hole, Integral, Noise, PlaneCounts, PlaneFit, PlaneGrid, PlaneGridConfig, PlaneSample,
    PlaneSampler, PlaneSettings, PullSummary, Pulls, Rectangle,
};
