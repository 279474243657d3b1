//! What can be wrong with a mass plane.

use crate::gaussian_process::GpError;
use sideband_numerics::BinningError;
use thiserror::Error;

/// A plane that cannot be filled, fitted or sampled.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PlaneError {
    /// Edges that are not edges.
    #[error("{axis} of the mass plane: {source}; check the centre, the width and the bins")]
    Axis {
        axis: &'static str,
        source: BinningError,
    },
    /// An event that is not a number.
    #[error("event {event}: {what} is {value}; a finite number is expected")]
    Event {
        event: usize,
        what: &'static str,
        value: f64,
    },
    /// Lengths that do not match.
    #[error("{what}: {found} bins, the plane has {expected}")]
    Length {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    /// A bin outside of the hole that cannot be used.
    #[error("bin {bin} outside of the hole: {what} is {value}; {expected} is expected")]
    Bin {
        bin: usize,
        what: &'static str,
        value: f64,
        expected: &'static str,
    },
    /// A hole that is no region.
    #[error("hole: {what} is {value}; {expected} is expected")]
    Hole {
        what: &'static str,
        value: f64,
        expected: &'static str,
    },
    /// X_HH of a mass that is not positive.
    #[error(
        "the plane begins at {axis} = {low} GeV, but X_HH is defined for positive masses only: \
         move the box, or use a hole of kind `circle` or `box`"
    )]
    NotPositive { axis: &'static str, low: f64 },
    /// Nothing outside of the hole.
    #[error("the hole touches all {bins} bins of the plane: enlarge the box or shrink the hole")]
    HoleCoversPlane { bins: usize },
    /// Not enough outside of the hole.
    #[error(
        "{visible} of {bins} bins lie outside of the hole, at least 2 are needed: enlarge the box, \
         shrink the hole or use finer bins"
    )]
    TooFewBins { visible: usize, bins: usize },
    /// Nothing to fit.
    #[error("no event in the {visible} bins outside of the hole: check the box and the selection")]
    NoEvents { visible: usize },
    /// A setting out of range.
    #[error("{name} is {value}; {expected} is expected")]
    Setting {
        name: &'static str,
        value: f64,
        expected: &'static str,
    },
    /// Nothing to sample from.
    #[error("the expected counts add up to {total}: there is nothing to sample from")]
    NothingToSample { total: f64 },
    /// The Gaussian process.
    #[error("Gaussian process of the mass plane: {0}")]
    Process(#[from] GpError),
}
