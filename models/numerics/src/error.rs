//! What cannot be binned or minimised.

use thiserror::Error;

/// Edges that are none, or a minimisation that cannot be asked for.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum NumericsError {
    /// Fewer than two edges, or values from which to make them.
    #[error("{0} edges; at least 2 are needed")]
    TooFewEdges(usize),
    /// All else: what was found, and what is needed.
    #[error("{0}")]
    Other(String),
}

impl NumericsError {
    pub(crate) fn other<T>(message: String) -> Result<T, Self> {
        Err(Self::Other(message))
    }
}
