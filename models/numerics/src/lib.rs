//! What the fitted models and the program share of numbers: keyed random streams,
//! expressions over named variables, binnings, minimisers, in f64, and the lanes of kernels
//! in f64 and f32.
//!
//! ```
//! use sideband_numerics::Expression;
//!
//! let selection = Expression::parse("log(pt / 2) > 1 && !is_mc")?;
//! assert_eq!(selection.variables(), ["pt", "is_mc"]);
//! assert_eq!(selection.eval(&[10.0, 0.0]), 1.0);
//! let error = Expression::parse("logg(pt)").unwrap_err();
//! assert_eq!(error.message, "unknown function `logg`; did you mean `log`?");
//! # Ok::<(), sideband_numerics::ExpressionError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod binning;
pub mod expression;
pub mod lanes;
pub mod minimise;
pub mod random;

pub use binning::{Edges, evenly};
pub use expression::{Expression, ExpressionError, Number};
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
