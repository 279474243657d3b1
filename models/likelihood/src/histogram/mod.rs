//! Histogram channels: Poisson counts in bins, predicted from templates with the
//! modifiers of HistFactory.
//!
//! `lambda_b(theta) = sum_s F_s(theta) [n_sb + sum_k d_skb(theta_k)] prod_l m_slb(theta_l)`
//!
//! with a factor `F_s` common to all bins (normalisation factors, coefficients of
//! a mixture, responses of the rate), additive variations `d` of the shape and
//! factors `m` of single bins. Cranmer et al., CERN-OPEN-2012-016; with the codes
//! that pyhf chooses, this is the likelihood of pyhf.
//!
//! Derivatives are exact; a product is differentiated by the product rule, never
//! through its logarithm, so that factors may vanish.

mod channel;
mod constraint;
mod jet;
mod model;
mod shape;
mod template;
#[cfg(test)]
mod tests;

pub use channel::HistogramChannel;
pub use constraint::PoissonConstraint;
pub use model::HistogramModel;
pub use template::{Factor, Modifier, Template};

use thiserror::Error;

/// A channel that cannot be built.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum HistogramError {
    /// No template, or no bin.
    #[error("channel `{channel}` has no {what}; at least one is needed")]
    Empty { channel: String, what: &'static str },
    /// Two templates of one name.
    #[error("channel `{channel}` has two samples `{sample}`; give each its own name")]
    Duplicate { channel: String, sample: String },
    /// Bins that do not match.
    #[error("channel `{channel}`, {place}: {found} values; the channel has {expected} bins")]
    Length {
        channel: String,
        /// Sample and modifier, or the observation.
        place: String,
        found: usize,
        expected: usize,
    },
    /// A value that cannot stand where it does.
    #[error("channel `{channel}`, {place}, bin {bin}: {value} is not {expected}")]
    Value {
        channel: String,
        /// Sample and modifier, or the observation.
        place: String,
        bin: usize,
        value: f64,
        expected: &'static str,
    },
    /// A parameter that the model does not have.
    #[error("channel `{channel}`, {place}: parameter {parameter} of a model that has {parameters}")]
    Parameter {
        channel: String,
        place: String,
        parameter: usize,
        /// Number of parameters of the model.
        parameters: usize,
    },
}

/// `-log` of a Poisson probability of `n` at mean `lambda`, less its value at
/// `lambda = n`: half the deviance. Infinite where the mean is impossible.
fn half_deviance(n: f64, lambda: f64) -> f64 {
    if n == 0.0 && lambda >= 0.0 {
        lambda
    } else if lambda > 0.0 && lambda.is_finite() {
        lambda - n + n * (n / lambda).ln()
    } else {
        f64::INFINITY
    }
}

/// `-log` of the Poisson probability (by the gamma function if `n` is no integer)
/// of `n` at mean `n`: what [`half_deviance`] leaves out.
fn saturated(n: f64) -> f64 {
    let power = if n > 0.0 { n * n.ln() } else { 0.0 };
    n - power + statrs::function::gamma::ln_gamma(n + 1.0)
}
