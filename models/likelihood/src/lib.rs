//! Likelihoods of measurements: from per-event density ratios and histograms to
//! intervals. Numbers in, numbers out: nothing here knows of files or networks.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod asymptotic;
mod coefficient;
pub mod fit;
pub mod histogram;
mod interpolation;
mod likelihood;
pub mod neyman;
mod parameters;
mod prior;
mod rate;
pub mod toys;
mod unbinned;
pub mod workspace;

pub use coefficient::{Coefficient, Spline, SplineError};
pub use interpolation::{Interpolation, Jet};
pub use likelihood::{Likelihood, Model, Term};
pub use parameters::{Constraint, Parameter, Role};
pub use prior::{CorrelatedPrior, PriorError};
pub use rate::{Derivatives, Rate, RateError, RateResponse};
pub use unbinned::{
    ChannelError, EventSource, Events, Normalisation, NotPositive, PointError, Pool, Process,
    ProcessEvents, ResponseEvents, Sample, SampleError, Storage, StreamError, StreamedChannel,
    UnbinnedChannel,
};
