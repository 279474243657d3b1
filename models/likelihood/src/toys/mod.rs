//! Pseudo-experiments of unbinned measurements.
//!
//! Events are drawn from a pool with Asimov weights ([`AsimovPool`]) or from the truth
//! itself, auxiliary measurements around the true values ([`randomised`]).

mod auxiliary;
mod coverage;
mod fitted;
mod normal;
mod poisson;
mod pool;
mod record;

pub use auxiliary::randomised;
pub use coverage::{Coverage, PointReport, Spread, coverage, toy_set};
pub use fitted::{FittedToy, fit_toy};
pub use normal::normal_pair;
pub use poisson::poisson;
pub use pool::{AsimovPool, Duplicates, PoolError, Thrown, reference_weights};
pub use record::ToyRecord;
