//! Likelihoods of measurements: from per-event density ratios and histograms to
//! intervals. Numbers in, numbers out: nothing here knows of files or networks.

pub mod interference;
mod likelihood;
mod parameters;
pub mod toys;

pub use likelihood::{Likelihood, Model, Term};
pub use parameters::{Constraint, Parameter, Role};
