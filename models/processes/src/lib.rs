//! Gaussian processes and the mass plane that they fill: f64, no network in sight.
//!
//! ```
//! use sideband_numerics::minimise::MinimiseSettings;
//! use sideband_processes::gaussian_process::{Amplitude, DenseProcess, FitSettings, fit};
//!
//! // a wave at twenty points, with a noise of 0.1
//! let points: Vec<f64> = (0..20).map(|i| 0.3 * f64::from(i)).collect();
//! let values = points.iter().map(|x| x.sin()).collect();
//! let process = DenseProcess::new(1, points, values, vec![0.01; 20])?;
//! let settings = FitSettings {
//!     amplitude: Amplitude::Fixed(1.0),
//!     length_scales: vec![[0.1, 10.0]],
//!     starts: 3,
//!     start_within: None,
//!     minimiser: MinimiseSettings::default(),
//! };
//! let fitted = fit(&process, &settings)?;
//! let posterior = process.posterior(&fitted.kernel, &[1.0])?;
//! assert!((posterior.mean()[0] - 1.0f64.sin()).abs() < 0.1);
//! # Ok::<(), sideband_processes::ProcessError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod gaussian_process;
mod mass_plane;

pub use mass_plane::{
    Hole, Integral, Noise, PlaneCounts, PlaneFit, PlaneGrid, PlaneSample, PlaneSampler,
    PlaneSettings, PullSummary, Pulls, Rectangle,
};
use sideband_numerics::NumericsError;
use thiserror::Error;

/// What cannot be built, fitted or sampled: what was found, what is expected and what
/// to change.
#[derive(Debug, Error, Clone, PartialEq)]
#[error("{0}")]
pub struct ProcessError(String);

impl ProcessError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }

    /// Of the process behind a mass plane.
    pub(crate) fn of_plane(self) -> Self {
        Self(format!("Gaussian process of the mass plane: {self}"))
    }
}

impl From<NumericsError> for ProcessError {
    fn from(error: NumericsError) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn fail<T>(message: String) -> Result<T, ProcessError> {
    Err(ProcessError(message))
}
