//! What can be wrong with a Gaussian process or a mass plane.

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
