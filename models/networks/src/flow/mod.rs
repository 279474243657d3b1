//! A conditional normalising flow: an invertible map from the features x to
//! standard normal noise z, given a context c, with
//!
//! ```text
//! log p(x|c) = log N(z; 0, 1) + sum over steps of log |det dy/dx|.
//! ```
//!
//! Steps: batch norm, a linear map with LU-parametrised matrix after a fixed
//! permutation, and a rational-quadratic spline coupling whose parameters come
//! from a residual network of the untouched features and the context.
//!
//! Sources: Durkan et al., "Neural Spline Flows", arXiv:1906.04032; Dinh et al.,
//! arXiv:1605.08803 (coupling, batch norm); Kingma and Dhariwal,
//! arXiv:1807.03039 (LU). The parametrisation is that of nflows 0.14.

mod device;
mod host;
mod layout;
mod sampler;

pub use layout::{Flow, FlowConfig, FlowStep};
pub use sampler::FlowSampler;

pub(crate) use device::FlowOnDevice;
pub(crate) use host::{HostFlow, Scratch};

/// Added to the variance of a batch norm, and to the softplus that is its scale.
const NORM_EPSILON: f64 = 1e-5;
/// Weight of a batch in the running statistics.
const NORM_MOMENTUM: f64 = 0.1;
/// Added to the softplus that is the diagonal of a linear step.
const DIAGONAL_MINIMUM: f64 = 1e-3;
