//! Likelihoods of measurements: from per-event density ratios and histograms to
//! intervals. Numbers in, numbers out: nothing here knows of files or networks.
//!
//! Modules are public where they are half of a name: a [`fit::ConfidenceSet`] is no
//! [`neyman::ConfidenceSet`], [`asymptotic::Limits`] are no [`workspace::Limits`], and
//! [`histogram::Factor`] or [`toys::coverage`] say too little alone.
//!
//! Counts in two bins, fitted, with the error and the interval of the signal strength:
//!
//! ```
//! use sideband_likelihood::fit::{FitSettings, fit, minos};
//! use sideband_likelihood::histogram::{Factor, HistogramChannel, Template};
//! use sideband_likelihood::{Error, Model, Parameter};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Error> {
//! let template = |name: &str, nominal: [f64; 2], factors| Template {
//!     name: name.to_owned(),
//!     nominal: nominal.to_vec(),
//!     factors,
//!     modifiers: Vec::new(),
//! };
//! let signal = template("signal", [2.0, 8.0], vec![Factor::Parameter(0)]);
//! let background = template("background", [50.0, 20.0], Vec::new());
//! let channel = HistogramChannel::new("SR", vec![signal, background], vec![55.0, 31.0], 1)?;
//! let mu = Parameter::interest("mu", 1.0, (0.0, 10.0));
//! let model = Model::new(vec![mu], vec![Arc::new(channel)]);
//!
//! let settings = FitSettings::default();
//! let best = fit(&model, &settings)?;
//! assert!((best.point[0] - 1.415).abs() < 1e-3);
//! assert!(best.error(0).is_some_and(|error| (error - 0.690).abs() < 1e-3));
//! let [down, up] = minos(&model, &settings, &best, 0, 1.0)?.errors();
//! assert!(down.is_some_and(|down| (down + 0.651).abs() < 1e-3));
//! assert!(up.is_some_and(|up| (up - 0.729).abs() < 1e-3));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod asymptotic;
mod coefficient;
mod combination;
mod error;
pub mod fit;
pub mod histogram;
mod interpolation;
mod jet;
pub mod mixing;
mod model;
pub mod neyman;
mod rate;
#[cfg(test)]
mod support;
pub mod toys;
mod unbinned;
pub mod workspace;

pub use coefficient::{Coefficient, Spline};
pub use combination::Combination;
pub use error::Error;
pub use interpolation::Interpolation;
pub use jet::Jet;
pub use model::{Constraint, CorrelatedPrior, Likelihood, Model, Parameter, Role, Term};
pub use rate::{Rate, RateResponse};
pub use unbinned::{
    EventSource, Events, Normalisation, NotPositive, Pool, Process, ProcessEvents, ResponseEvents,
    Sample, Storage, StreamError, StreamedChannel, UnbinnedChannel,
};
