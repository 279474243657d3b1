//! A measurement: ensembles of density ratios, and the likelihood that is made of them.
//!
//! ```text
//! Measurement -> samples generated -> Plan (every sample read and checked)
//!             -> ensembles of ratios (trained like any others)
//!             -> trust report, ratios of the observed events
//!             -> likelihood -> fit, scan, impacts, toys -> result and page
//! ```

mod analyse;
mod asimov;
mod columns;
mod error;
mod events;
mod finite_sample;
mod generate;
mod limits;
mod model;
mod notes;
mod page;
mod pipeline;
mod plan;
mod progress;
mod ratios;
mod result;
mod rules;
mod samples;
mod support;
mod tables;
mod toys;
mod trust;

pub use error::MeasureError;
pub use page::verdict as measurement_verdict;
pub use pipeline::{Measured, describe as describe_measurement, measure};
pub use progress::{MeasurementProgress, RatioProgress, ToyProgress, read_result};
pub use result::{
    Checks, ClsPoint, ContourLevel, ContourResult, Curve, FiniteSample, FitResult, ImpactResult,
    ImpactsResult, IntervalSet, LimitResult, MeasurementResult, ParameterResult, ScanResult,
    ToyPoint, ToysResult,
};
pub use trust::RatioTrust;
