//! What can be wrong with a Gaussian process.

use sideband_numerics::minimise::MinimiseError;
use thiserror::Error;

/// A Gaussian process that cannot be built, fitted or evaluated.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum GpError {
    /// Nothing to learn from.
    #[error("{0} points; a Gaussian process needs at least 2")]
    TooFewPoints(usize),
    /// Lengths that do not match.
    #[error("{what}: {found} values, {expected} expected")]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits the rest.
        expected: usize,
    },
    /// A number that is none.
    #[error("{what} {index} is {value}; a finite number is expected")]
    NotFinite {
        /// What it is.
        what: &'static str,
        /// Which one.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A noise variance that is not positive.
    #[error(
        "noise variance {index} is {value}; it must be above 0: give a point without an error of \
         its own the smallest one that makes sense (one event in a histogram), or leave it out"
    )]
    Noise {
        /// Which point.
        index: usize,
        /// Its noise variance.
        value: f64,
    },
    /// Targets that are all the same.
    #[error(
        "all {points} values are {value}: there is no variation to learn from; use the constant \
         itself, or finer bins"
    )]
    NoSpread {
        /// Number of points.
        points: usize,
        /// Their common value.
        value: f64,
    },
    /// A point that is not on the grid.
    #[error("point {point} is not on a grid of {points} points")]
    OffGrid {
        /// Its index.
        point: usize,
        /// Points of the grid.
        points: usize,
    },
    /// A point given twice.
    #[error("point {point} of the grid is given twice; add its events up first")]
    Twice {
        /// Its index.
        point: usize,
    },
    /// A kernel parameter out of range.
    #[error("{what} is {value}; it must be finite and above 0")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Bounds that leave nothing.
    #[error("bounds of {what} are [{lower}, {upper}]; 0 < lower <= upper is needed")]
    Bounds {
        /// Which parameter.
        what: &'static str,
        /// Lower bound.
        lower: f64,
        /// Upper bound.
        upper: f64,
    },
    /// Another number of dimensions.
    #[error("the kernel has {kernel} length scales, the points have {points} coordinates")]
    Dimensions {
        /// Length scales of the kernel.
        kernel: usize,
        /// Coordinates of the points.
        points: usize,
    },
    /// A matrix that is singular in f64.
    #[error(
        "the covariance of {points} points is singular in double precision (amplitude \
         {amplitude:.3e}, length scales {length_scales:.3?}, smallest noise variance \
         {noise:.3e}, diagonal raised by up to {jitter:.1e}): raise the noise variances, lower the \
         upper bound of the length scales, or merge points that lie close together"
    )]
    Singular {
        /// Number of points.
        points: usize,
        /// Amplitude of the kernel.
        amplitude: f64,
        /// Length scales of the kernel.
        length_scales: Vec<f64>,
        /// Smallest noise variance.
        noise: f64,
        /// Largest jitter that was tried.
        jitter: f64,
    },
    /// No start from which the likelihood could be evaluated.
    #[error(
        "the marginal likelihood is not finite at any of the {starts} starts between the bounds of \
         the length scales {bounds:?}: {reason}"
    )]
    NoFit {
        /// Number of starts.
        starts: usize,
        /// Bounds of the length scales.
        bounds: Vec<[f64; 2]>,
        /// What the last evaluation said.
        reason: String,
    },
    /// The minimiser refuses.
    #[error(transparent)]
    Minimise(#[from] MinimiseError),
}

/// Checks targets and noise variances of `expected` points.
pub(super) fn check_data(targets: &[f64], noise: &[f64], expected: usize) -> Result<(), GpError> {
    for (what, values) in [("targets", targets), ("noise variances", noise)] {
        if values.len() != expected {
            return Err(GpError::Length {
                what,
                found: values.len(),
                expected,
            });
        }
    }
    if expected < 2 {
        return Err(GpError::TooFewPoints(expected));
    }
    check_finite("target", targets)?;
    match noise.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        Some(index) => Err(GpError::Noise {
            index,
            value: noise[index],
        }),
        None => Ok(()),
    }
}

/// Checks that all values are finite.
pub(super) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), GpError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(GpError::NotFinite {
            what,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}
