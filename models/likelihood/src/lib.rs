//! Likelihoods of measurements: from per-event density ratios and histograms to
//! intervals. Numbers in, numbers out: nothing here knows of files or networks.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod asymptotic;
mod coefficient;
mod error;
pub mod fit;
pub mod histogram;
mod interpolation;
mod jet;
mod model;
pub mod neyman;
mod rate;
#[cfg(test)]
mod support;
pub mod toys;
mod unbinned;
pub mod workspace;

pub use coefficient::{Coefficient, Spline};
pub use error::Error;
pub use interpolation::Interpolation;
pub use jet::Jet;
pub use model::{Constraint, CorrelatedPrior, Likelihood, Model, Parameter, Role, Term};
pub use rate::{Rate, RateResponse};
pub use unbinned::{
    EventSource, Events, Normalisation, NotPositive, Pool, Process, ProcessEvents, ResponseEvents,
    Sample, Storage, StreamError, StreamedChannel, UnbinnedChannel,
};
