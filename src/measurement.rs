//! A measurement: ensembles of density ratios, and the likelihood that is made of them.
//!
//! ```text
//! Measurement -> samples generated -> Plan (every sample read and checked)
//!             -> ensembles of ratios (trained like any others)
//!             -> trust report, ratios of the observed events
//!             -> likelihood -> fit, scan, impacts, toys -> result and page
//! ```
//!
//! A limit, of histograms alone, goes the same way from samples and finished runs, without
//! ensembles.
//!
//! What is read (settings, plan, parameters) is one value, `Analysis`, that everything is made
//! of; a file names only those above it in the list of modules.

mod generate;
mod result;
mod samples;

mod allowed;

mod plan;

mod events;
mod model;

mod rules;

mod backgrounds;

mod event_file;
mod ratios;

mod likelihoods;
mod trust;

mod analyse;
mod impacts;
mod limits;
mod scans;

mod finite_sample;
mod progress;

mod published;

mod files;

mod toys;

mod export;
mod notes;
mod tables;

mod page;

mod histogram_fit;
mod pipeline;

pub(crate) use histogram_fit::{HistogramFit, describe_limit, fit_histograms};
pub(crate) use page::{redraw as redraw_measurement, redraw_limit, verdict as measurement_verdict};
pub(crate) use pipeline::{Measured, describe as describe_measurement, measure};
pub(crate) use progress::{MeasurementProgress, read_result};
pub use result::MeasurementResult;
