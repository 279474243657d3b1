//! What can be wrong with a Gaussian process.

use sideband_numerics::minimise::MinimiseError;
use thiserror::Error;

/// A Gaussian process that cannot be built, fitted or evaluated.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum GpError {
    /// Nothing to learn from.
    #[error("{0} points; a Gaussian process needs at least 2")]
    TooFewPoints(usize),
    /// Lengths that do not match.
    #[error("{what}: {found} values, {expected} expected")]
    Length {
        what: &'static str,
        found: usize,
        /// The length that fits the rest.
        expected: usize,
    },
    /// A number that is none.
    #[error("{what} {index} is {value}; a finite number is expected")]
    NotFinite {
        what: &'static str,
        index: usize,
        value: f64,
    },
    /// A noise variance that is not positive.
    #[error(
        "noise variance {index} is {value}; it must be above 0: give a point without an error of \
         its own the smallest one that makes sense (one event in a histogram), or leave it out"
    )]
    Noise { index: usize, value: f64 },
    /// Targets that are all the same.
    #[error(
        "all {points} values are {value}: there is no variation to learn from; use the constant \
         itself, or finer bins"
    )]
    NoSpread { points: usize, value: f64 },
    /// A point that is not on the grid.
    #[error("point {point} is not on a grid of {points} points")]
    OffGrid { point: usize, points: usize },
    /// A point given twice.
    #[error("point {point} of the grid is given twice; add its events up first")]
    Twice { point: usize },
    /// A kernel parameter out of range.
    #[error("{what} is {value}; it must be finite and above 0")]
    Parameter { what: &'static str, value: f64 },
    /// Bounds that leave nothing.
    #[error("bounds of {what} are [{lower}, {upper}]; 0 < lower <= upper is needed")]
    Bounds {
        what: &'static str,
        lower: f64,
        upper: f64,
    },
    /// Another number of dimensions.
    #[error("the kernel has {kernel} length scales, the points have {points} coordinates")]
    Dimensions { kernel: usize, points: usize },
    /// A matrix that is singular in f64.
    #[error(
        "the covariance of {points} points is singular in double precision (amplitude \
         {amplitude:.3e}, length scales {length_scales:.3?}, smallest noise variance \
         {noise:.3e}, diagonal raised by up to {jitter:.1e}): raise the noise variances, lower the \
         upper bound of the length scales, or merge points that lie close together"
    )]
    Singular {
        points: usize,
        amplitude: f64,
        length_scales: Vec<f64>,
        noise: f64,
        jitter: f64,
    },
    /// No start from which the likelihood could be evaluated.
    #[error(
        "the marginal likelihood is not finite at any of the {starts} starts between the bounds of \
         the length scales {bounds:?}: {reason}"
    )]
    NoFit {
        starts: usize,
        bounds: Vec<[f64; 2]>,
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
