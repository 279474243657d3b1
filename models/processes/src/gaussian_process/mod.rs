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

mod averaged;
mod axis;
mod dense;
mod error;
mod factor;
mod grid;
mod hyperparameters;
mod kernel;
mod posterior;
mod standardised;

pub use averaged::{Averaged, averaged};
pub use dense::DenseProcess;
pub use error::GpError;
pub use grid::GridProcess;
pub use hyperparameters::{Amplitude, FitSettings, Fitted, Marginal, fit};
pub use kernel::{LogMarginal, SquaredExponential};
pub use posterior::Posterior;
pub use standardised::Standardised;
