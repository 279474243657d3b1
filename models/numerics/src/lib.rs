//! What the fitted models and the program share of numbers: keyed random streams,
//! expressions over named variables, binnings, minimisers. f64 throughout.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod binning;
pub mod expression;
pub mod minimise;
pub mod random;

pub use binning::{BinningError, Edges};
pub use expression::{Expression, ExpressionError, FUNCTIONS, MAX_DEPTH, MAX_LENGTH, Number};
