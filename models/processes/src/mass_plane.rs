//! The mass plane p(m1, m2): counts around a hole, a Gaussian process over them,
//! and samples of its mean everywhere.
//!
//! ```text
//! PlaneGrid -> PlaneCounts -+
//!                   Hole ---+-> PlaneFit -> PlaneSampler
//!          PlaneSettings ---+          \--> Pulls, Integral, draws
//! ```
//!
//! Paper: ATLAS, HH -> 4b, the published choices are the defaults: 25 x 25 bins
//! in 90 GeV around (1.05 * 124, 1.05 * 117) GeV, amplitude 1, noise from the
//! observed counts. The index of a bin is `i1 * n2 + i2`.

mod fit;
mod grid;
mod hole;

use crate::{ProcessError, fail};
pub use fit::{Integral, Noise, PlaneFit, PlaneSettings, PullSummary, Pulls};
pub use grid::{PlaneCounts, PlaneGrid, PlaneSample, PlaneSampler, Rectangle};
pub use hole::Hole;

fn check_length(what: &str, found: usize, bins: usize) -> Result<(), ProcessError> {
    if found == bins {
        return Ok(());
    }
    fail(format!("{what}: {found} bins, the plane has {bins}"))
}

/// A bin outside of the hole that cannot be used.
fn wrong_bin(bin: usize, what: &str, value: f64, expected: &str) -> ProcessError {
    ProcessError::new(format!(
        "bin {bin} outside of the hole: {what} is {value}; {expected} is expected"
    ))
}

/// What sums of squares and expectations are.
const NOT_NEGATIVE: &str = "a finite number, 0 or above,";
