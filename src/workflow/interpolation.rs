//! The background interpolated into a hole of the mass plane:
//! p(x, m1, m2) = p(x | m1, m2, category) p(m1, m2).
//!
//! ```text
//! events outside the holes -> Gaussian process of (m1, m2), one a category
//!                          -> flows of x given (m1, m2, category), an ensemble
//! drawn points in the holes -> flows -> transforms inverted -> four-vectors
//!                          -> events with weights -> histograms, samples.parquet
//!                          -> weights of the plane's bins and their errors, plane.parquet
//! ```
//!
//! A sample weighs n_obs(outside) / n_samples(outside) of its category, wherever it
//! is; the yield of a region is the sum of what falls into it.

mod checks;
mod events;
mod figures;
mod measure;
mod plane;
mod points;
mod sampled;
mod transform;
mod weights;

pub(super) use measure::predict;
pub(super) use plane::{Plane, in_box, names, resolver, wanted};
pub(super) use weights::{FILE as PLANE_FILE, PlaneWeights};
