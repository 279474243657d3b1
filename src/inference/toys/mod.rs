//! Pseudo-experiments.

mod poisson;

pub use poisson::poisson;
