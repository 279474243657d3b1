//! The mass plane p(m1, m2): counts around a hole, a Gaussian process over them,
//! and samples of its mean everywhere.
//!
//! ```text
//! PlaneGridConfig -> PlaneGrid -> PlaneCounts -+
//!                                       Hole --+-> PlaneFit -> PlaneSampler
//!                              PlaneSettings --+          \--> Pulls, Integral, draws
//! ```
//!
//! Paper: ATLAS, HH -> 4b, the published choices are the defaults: 25 x 25 bins
//! in 90 GeV around (1.05 * 124, 1.05 * 117) GeV, amplitude 1, noise from the
//! observed counts. The index of a bin is `i1 * n2 + i2`.

mod error;
mod fit;
mod grid;
mod hole;
mod pulls;
mod sampler;
mod settings;

pub use error::PlaneError;
pub use fit::{Integral, PlaneFit};
pub use grid::{PlaneCounts, PlaneGrid, PlaneGridConfig, Rectangle};
pub use hole::Hole;
pub use pulls::{PullSummary, Pulls};
pub use sampler::{PlaneSample, PlaneSampler};
pub use settings::{Noise, PlaneSettings};
