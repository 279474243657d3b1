//! Why a measurement has no result.

use super::event_file::EventFileError;
use crate::report::ReportError;
use crate::rundir::DirectoryError;
use crate::training::StoreError;
use crate::workflow::{ApplyError, PlanError, RunError};
use sideband_networks::DeviceError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a measurement has no result.
#[derive(Debug, Error)]
pub(crate) enum MeasureError {
    /// The training of its ratios.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A sample that cannot be read as the configuration says.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A member file.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Members could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The file of events that are streamed.
    #[error(transparent)]
    EventFile(#[from] EventFileError),
    /// The page could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A value of the configuration that does not fit the others.
    #[error("`{key}`: {reason}")]
    Config {
        key: String,
        /// What is wrong, and what to change.
        reason: String,
    },
    /// A sample that does not fit the model.
    #[error("`{key}`: {reason}")]
    Data {
        key: String,
        /// What is wrong, and what to change.
        reason: String,
    },
    /// The likelihood cannot be made of what was trained.
    #[error("the likelihood cannot be made: {0}")]
    Likelihood(String),
    /// The fit to the observed events failed.
    #[error("the fit to the observed events failed: {0}")]
    Fit(String),
    /// A file of results.
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
    /// Somebody asked to stop.
    #[error("interrupted; run the same command again to go on")]
    Interrupted { by_time: bool },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl MeasureError {
    pub(super) fn config(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn data(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Data {
            key: key.into(),
            reason: reason.into(),
        }
    }
}
