//! What the fitted models and the program share of numbers: keyed random streams,
//! expressions over named variables, binnings, minimisers. f64 throughout.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod binning;
mod error;
pub mod expression;
pub mod minimise;
pub mod random;

pub use binning::Edges;
pub use error::NumericsError;
pub use expression::{Expression, ExpressionError, Number};
