//! Fits that cannot be asked for, and fits that failed.

use thiserror::Error;

/// A fit, scan or interval that cannot be asked for.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum FitError {
    /// A parameter that is none.
    #[error("parameter {index} is asked for; the likelihood has {count}")]
    Parameter { index: usize, count: usize },
    /// A point of the wrong length.
    #[error("{what} has {found} values; the likelihood has {expected} parameters")]
    Length {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    /// A value that is not within the bounds of its parameter.
    #[error("{what}: {name} = {value} is not within its bounds [{lower}, {upper}]")]
    Outside {
        what: &'static str,
        name: String,
        value: f64,
        lower: f64,
        upper: f64,
    },
    /// Bounds that leave nothing.
    #[error("{name}: bounds [{lower}, {upper}] leave nothing; lower <= upper is needed")]
    Bounds {
        name: String,
        lower: f64,
        upper: f64,
    },
    /// A setting out of range.
    #[error("{name} is {value}; {expected} is needed")]
    Setting {
        name: &'static str,
        value: f64,
        expected: &'static str,
    },
    /// A scan or an interval along a parameter that is fixed.
    #[error("{0} is fixed and asked for at the same time; leave it free")]
    Fixed(
        /// The parameter.
        String,
    ),
    /// Impacts on a parameter that the fit did not determine.
    #[error("impacts on {0} are asked for, which is fixed or which the data do not measure")]
    NotFree(
        /// The parameter.
        String,
    ),
    /// A parameter of interest in a group.
    #[error("{0} is of interest and in a group of nuisance parameters; take it out of one")]
    InterestInGroup(
        /// The parameter.
        String,
    ),
    /// An interval, scan or impact about a fit that failed.
    #[error("there is no best fit to start from: {0}")]
    NoBestFit(#[from] FitFailure),
}

/// Why a fit is no result.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum FitFailure {
    /// The likelihood is not finite at any start.
    #[error(
        "the likelihood is not finite at any start; start where every density and rate is positive"
    )]
    StartNotFinite,
    /// No lower point was found, and the gradient does not vanish.
    #[error(
        "no lower point was found although the gradient is {projected_gradient:.3e} a standard \
         deviation; the likelihood may end at a wall (a density or rate that is not positive) or \
         its gradient may not be that of its value"
    )]
    Stalled {
        /// Largest component of the projected gradient, times `1 / sqrt(H_ii)`.
        projected_gradient: f64,
    },
    /// The steps were used up.
    #[error(
        "no minimum within {iterations} steps; the gradient is still {projected_gradient:.3e} a \
         standard deviation; allow more steps or start closer"
    )]
    IterationLimit {
        iterations: u64,
        /// Largest component of the projected gradient, times `1 / sqrt(H_ii)`.
        projected_gradient: f64,
    },
    /// The Hessian of the free parameters is not positive definite.
    #[error(
        "the Hessian is not positive definite: its lowest eigenvalue in units of the conditional \
         errors is {eigenvalue:.3e}, mostly along {along}; constrain or fix that parameter, or \
         check that the density is normalised"
    )]
    NotPositiveDefinite {
        /// Lowest eigenvalue of `H_ij / sqrt(H_ii H_jj)`.
        eigenvalue: f64,
        /// The parameter with the largest share in its eigenvector.
        along: String,
    },
}
