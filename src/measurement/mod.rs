//! A measurement: ensembles of density ratios, and the likelihood that is made of them.
//!
//! ```text
//! Measurement -> samples generated -> Plan (every sample read and checked)
//!             -> ensembles of ratios (trained like any others)
//!             -> trust report, ratios of the observed events
//!             -> likelihood -> fit, scan, impacts, toys -> result and page
//! ```

mod error;
mod generate;
mod pipeline;
mod plan;
mod ratios;
mod samples;
mod support;
mod trust;

pub use error::MeasureError;
pub use pipeline::{Measured, measure};
pub use trust::RatioTrust;
