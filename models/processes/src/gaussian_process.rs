//! Gaussian-process regression with the squared-exponential kernel, in f64.
//!
//! ```text
//! k(x, x') = c exp(-sum_k (x_k - x'_k)^2 / (2 l_k^2)),   A = K + S,  S = diag(noise variances)
//! log p(y|X) = -1/2 y^T A^-1 y - 1/2 log|A| - n/2 log 2 pi
//! mu* = K(X*,X) A^-1 y          S* = K** - K(X*,X) A^-1 K(X,X*)
//! d log p / d theta = 1/2 [a^T (dK/d theta) a - tr(A^-1 dK/d theta)],  a = A^-1 y
//! ```
//!
//! Source: Rasmussen and Williams, Gaussian Processes for Machine Learning
//! (2006), equations 2.22 to 2.30 and 5.8 and 5.9. Parameters are logarithms:
//! `theta = (log c, log l_1, ...)`.
//!
//! Two representations answer the same questions:
//! - [`DenseProcess`]: any points in any dimension, by the Cholesky factor of A;
//!   n^3 operations.
//! - [`GridProcess`]: points on a grid of two axes, some of them missing. There
//!   K is a Kronecker product of two small matrices of low numerical rank, so
//!   that r (about 60 to 150 for smooth planes) takes the place of n.
//!
//! The mean function is zero: [`Standardised`] makes targets for which it is.
//! Everything runs on one thread, so that numbers do not depend on how many
//! there are; only the width of the processor's vectors can move last digits.

mod dense;
mod fit;
mod grid;
mod posterior;

use crate::{ProcessError, fail};
pub use dense::DenseProcess;
pub use fit::{Amplitude, Averaged, FitSettings, Fitted, averaged, fit};
pub use grid::GridProcess;
pub use posterior::Posterior;

/// `k(x, x') = amplitude * exp(-sum_k (x_k - x'_k)^2 / (2 l_k^2))`.
#[derive(Clone, Debug, PartialEq)]
pub struct SquaredExponential {
    amplitude: f64,
    length_scales: Vec<f64>,
}

impl SquaredExponential {
    /// Fails unless all parameters are finite and above 0. The amplitude is a
    /// variance, in units of the targets squared.
    pub fn new(amplitude: f64, length_scales: Vec<f64>) -> Result<Self, ProcessError> {
        let amplitudes = std::slice::from_ref(&amplitude);
        for (what, values) in [
            ("the amplitude", amplitudes),
            ("a length scale", &length_scales),
        ] {
            if let Some(value) = values.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
                return fail(format!(
                    "{what} of the kernel is {value}; it must be finite and above 0"
                ));
            }
        }
        Ok(Self {
            amplitude,
            length_scales,
        })
    }

    /// The kernel of `theta = (log amplitude, log l_1, ...)`. Fails where the
    /// exponential overflows.
    pub fn from_log(theta: &[f64]) -> Result<Self, ProcessError> {
        let (first, rest) = theta.split_first().ok_or_else(|| dimensions(0, 0))?;
        Self::new(first.exp(), rest.iter().map(|t| t.exp()).collect())
    }

    /// `(log amplitude, log l_1, ...)`.
    pub fn log_parameters(&self) -> Vec<f64> {
        let scales = self.length_scales.iter();
        let parameters = [&self.amplitude].into_iter().chain(scales);
        parameters.map(|parameter| parameter.ln()).collect()
    }

    /// Variance of the process.
    pub fn amplitude(&self) -> f64 {
        self.amplitude
    }

    /// One a coordinate, in its units.
    pub fn length_scales(&self) -> &[f64] {
        &self.length_scales
    }

    /// The kernel of two points.
    pub fn value(&self, a: &[f64], b: &[f64]) -> f64 {
        let scaled = self.length_scales.iter().zip(a.iter().zip(b));
        let squares = scaled.map(|(l, (x, y))| ((x - y) / l).powi(2));
        self.amplitude * (-0.5 * squares.sum::<f64>()).exp()
    }

    fn check_dimensions(&self, points: usize) -> Result<(), ProcessError> {
        match self.length_scales.len() {
            kernel if kernel == points => Ok(()),
            kernel => Err(dimensions(kernel, points)),
        }
    }

    /// The complaint about a covariance that is singular in f64. `noise`: the smallest
    /// variance of the points.
    fn singular(&self, points: usize, noise: f64, jitter: f64) -> ProcessError {
        ProcessError::new(format!(
            "the covariance of {points} points is singular in double precision (amplitude \
             {:.3e}, length scales {:.3?}, smallest noise variance {noise:.3e}, diagonal raised \
             by up to {jitter:.1e}): raise the noise variances, lower the upper bound of the \
             length scales, or merge points that lie close together",
            self.amplitude, self.length_scales
        ))
    }
}

fn dimensions(kernel: usize, points: usize) -> ProcessError {
    ProcessError::new(format!(
        "the kernel has {kernel} length scales, the points have {points} coordinates"
    ))
}

/// The log marginal likelihood at some kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMarginal {
    /// log p(y|X).
    pub value: f64,
    /// Its derivatives by log amplitude, log l_1, ...
    pub gradient: Vec<f64>,
    /// What was added to the diagonal to factorise the covariance, in units of
    /// the targets squared; 0 as a rule.
    pub jitter: f64,
}

/// A process whose marginal likelihood can be evaluated.
pub trait Marginal {
    /// Number of coordinates.
    fn dimensions(&self) -> usize;

    /// log p(y|X) and its gradient. Fails if the kernel does not fit the points or
    /// its covariance is singular.
    fn log_marginal(&self, kernel: &SquaredExponential) -> Result<LogMarginal, ProcessError>;
}

/// Values made ready for a process of zero mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardised {
    /// Mean of the values.
    pub mean: f64,
    /// Their standard deviation (division by n).
    pub deviation: f64,
    /// (value - mean) / deviation.
    pub targets: Vec<f64>,
    /// variance / deviation^2.
    pub noise: Vec<f64>,
}

impl Standardised {
    /// Standardises values and their noise variances. Fails for fewer than two
    /// values, values that are not finite or all the same, and variances that are not
    /// positive.
    pub fn new(values: &[f64], variances: &[f64]) -> Result<Self, ProcessError> {
        check_data(values, variances, values.len())?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        // equal values leave at most the rounding of their mean
        if deviation <= 4.0 * f64::EPSILON * mean.abs() || !deviation.is_finite() {
            return fail(format!(
                "all {} values are {mean}: there is no variation to learn from; use the constant \
                 itself, or finer bins",
                values.len()
            ));
        }
        Ok(Self {
            mean,
            deviation,
            targets: values.iter().map(|v| (v - mean) / deviation).collect(),
            noise: variances.iter().map(|v| v / deviation.powi(2)).collect(),
        })
    }
}

/// Checks targets and noise variances of `expected` points.
fn check_data(targets: &[f64], noise: &[f64], expected: usize) -> Result<(), ProcessError> {
    check_length("targets", targets.len(), expected)?;
    check_length("noise variances", noise.len(), expected)?;
    if expected < 2 {
        return fail(format!(
            "{expected} points; a Gaussian process needs at least 2"
        ));
    }
    check_finite("target", targets)?;
    match noise.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        Some(index) => fail(format!(
            "noise variance {index} is {}; it must be above 0: give a point without an error of \
             its own the smallest one that makes sense (one event in a histogram), or leave it out",
            noise[index]
        )),
        None => Ok(()),
    }
}

fn check_length(what: &str, found: usize, expected: usize) -> Result<(), ProcessError> {
    match found == expected {
        true => Ok(()),
        false => Err(wrong_length(what, found, expected)),
    }
}

fn wrong_length(what: &str, found: usize, expected: usize) -> ProcessError {
    ProcessError::new(format!("{what}: {found} values, {expected} expected"))
}

fn check_finite(what: &str, values: &[f64]) -> Result<(), ProcessError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => fail(format!(
            "{what} {index} is {}; a finite number is expected",
            values[index]
        )),
        None => Ok(()),
    }
}
