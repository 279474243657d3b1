//! Pseudo-experiments of unbinned measurements.
//!
//! Events are drawn from a pool with Asimov weights ([`AsimovPool`]) or from the truth
//! itself (the [`interference`](super::interference) model), auxiliary measurements
//! around the true values ([`randomised`]). A [`Study`] runs any number of them at
//! any number of points; every toy is a function of the seed, the point and its
//! number.

mod auxiliary;
mod coverage;
mod fitted;
mod normal;
mod poisson;
mod pool;
mod record;
mod study;

#[cfg(test)]
mod tests;

pub use auxiliary::randomised;
pub use coverage::{Coverage, PointReport, Spread, coverage, toy_set};
pub use fitted::{FittedToy, fit_toy};
pub use normal::normal_pair;
pub use poisson::poisson;
pub use pool::{AsimovPool, Duplicates, PoolError, Thrown, reference_weights};
pub use record::{RecordError, ToyRecord};
pub use study::{Chunks, Study, StudyError, Toy, finished_toys};
