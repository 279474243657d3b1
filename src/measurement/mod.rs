//! A measurement: ensembles of density ratios, and the likelihood that is made of them.
//!
//! ```text
//! Measurement -> samples generated -> Plan (every sample read and checked)
//!             -> ensembles of ratios (trained like any others)
//!             -> trust report, ratios of the observed events
//!             -> likelihood -> fit, scan, impacts, toys -> result and page
//! ```

mod alone;
mod analyse;
mod asimov;
mod beside;
mod bins;
mod columns;
mod describe;
mod evaluated;
mod event_file;
mod events;
mod files;
mod finite_sample;
mod generate;
mod inputs;
mod known;
mod likelihoods;
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
mod twins;

pub(crate) use describe::describe as describe_measurement;
pub(crate) use page::{redraw as redraw_measurement, verdict as measurement_verdict};
pub(crate) use pipeline::{Measured, measure};
pub(crate) use progress::{MeasurementProgress, read_result};
pub use result::MeasurementResult;
