//! What can be wrong with a mass plane.

use crate::gaussian_process::GpError;
use sideband_numerics::BinningError;
use thiserror::Error;

/// A plane that cannot be filled, fitted or sampled.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum PlaneError {
    /// Edges that are not edges.
    #[error("{axis} of the mass plane: {source}; check the centre, the width and the bins")]
    Axis {
        /// m1 or m2.
        axis: &'static str,
        /// What is wrong.
        source: BinningError,
    },
    /// An event that is not a number.
    #[error("event {event}: {what} is {value}; a finite number is expected")]
    Event {
        /// Position among the events.
        event: usize,
        /// m1, m2 or the weight.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Lengths that do not match.
    #[error("{what}: {found} bins, the plane has {expected}")]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Bins of the plane.
        expected: usize,
    },
    /// A bin outside of the hole that cannot be used.
    #[error("bin {bin} outside of the hole: {what} is {value}; {expected} is expected")]
    Bin {
        /// Which bin.
        bin: usize,
        /// Count or variance.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A hole that is no region.
    #[error("hole: {what} is {value}; {expected} is expected")]
    Hole {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// X_HH of a mass that is not positive.
    #[error(
        "the plane begins at {axis} = {low} GeV, but X_HH is defined for positive masses only: \
         move the box, or use a hole of kind `circle` or `box`"
    )]
    NotPositive {
        /// m1 or m2.
        axis: &'static str,
        /// Lower edge.
        low: f64,
    },
    /// Nothing outside of the hole.
    #[error("the hole touches all {bins} bins of the plane: enlarge the box or shrink the hole")]
    HoleCoversPlane {
        /// Bins of the plane.
        bins: usize,
    },
    /// Not enough outside of the hole.
    #[error(
        "{visible} of {bins} bins lie outside of the hole, at least 2 are needed: enlarge the box, \
         shrink the hole or use finer bins"
    )]
    TooFewBins {
        /// Bins outside of the hole.
        visible: usize,
        /// Bins of the plane.
        bins: usize,
    },
    /// Nothing to fit.
    #[error("no event in the {visible} bins outside of the hole: check the box and the selection")]
    NoEvents {
        /// Bins outside of the hole.
        visible: usize,
    },
    /// A setting out of range.
    #[error("{name} is {value}; {expected} is expected")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Nothing to sample from.
    #[error("the expected counts add up to {total}: there is nothing to sample from")]
    NothingToSample {
        /// Sum over the bins.
        total: f64,
    },
    /// The Gaussian process.
    #[error("Gaussian process of the mass plane: {0}")]
    Process(#[from] GpError),
}
