//! What the fitted models and the program share of numbers: keyed random streams,
//! expressions over named variables, binnings, minimisers. f64 throughout.
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
mod error;
pub mod expression;
pub mod minimise;
pub mod random;

pub use binning::Edges;
pub use error::NumericsError;
pub use expression::{Expression, ExpressionError, Number};
