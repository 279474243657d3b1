//! The monotone rational-quadratic spline of the coupling layers.
//!
//! A strictly increasing map of `[-B, B]` onto itself through `K + 1` knots,
//! the identity beyond, with a closed inverse and derivative (Durkan et al.,
//! arXiv:1906.04032, eqs 4-8). Every transformed value has `3K - 1` free
//! parameters `theta`, in this order:
//!
//! - `K` widths and `K` heights: `2B (m + (1 - mK) softmax(theta / scale))`,
//!   with the least share `m` = [`MIN_BIN`]; the knots are their running sums
//!   from `-B`, and the last knot is `+B` exactly;
//! - `K - 1` derivatives at the inner knots: [`MIN_DERIVATIVE`] `+ softplus(theta)`;
//!   at both ends the derivative is 1, that of the tails.
//!
//! There are two implementations of the same formulas. [`plain`] is a chain of
//! tensor operations that every backend has and burn differentiates; `fused`
//! is one operation of a GPU with a gradient derived by hand (`kernel`). Which
//! one runs depends on the backend and the number type alone
//! ([`Implementation::of`]), never on the number of members, the batch or the
//! threads, so that a member does not notice its company. On the processor a
//! flow is computed by `crate::flow`'s host path, and by [`plain`] where its
//! tensor operations are asked for.
//!
//! Axes: `E` members, `B` batch, `T` transformed values, `K` bins.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod fused;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod kernel;
mod plain;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

/// Least width and least height of a bin, as a share of the whole interval.
pub(crate) const MIN_BIN: f64 = 1e-3;

/// Least derivative at an inner knot.
pub(crate) const MIN_DERIVATIVE: f64 = 1e-3;

/// The form of a spline; the parameters are tensors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SplineConfig {
    /// Bins, `K >= 2`.
    pub(crate) bins: usize,
    /// Half the interval, `B > 0`; the identity beyond.
    pub(crate) bound: f64,
    /// Divides the widths and heights before their softmax; `sqrt(H)` behind a
    /// conditioner of `H` hidden units keeps a fresh spline near the identity.
    pub(crate) scale: f64,
}

impl SplineConfig {
    /// Free parameters of a transformed value, `3K - 1`.
    pub(crate) fn parameters(&self) -> usize {
        3 * self.bins - 1
    }
}

/// The f32 numbers of a [`SplineConfig`] that the fused implementation uses.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[derive(Clone, Copy, Debug)]
struct Constants {
    bins: usize,
    bound: f32,
    inverse_scale: f32,
    /// A bin's width and height is `floor + span * softmax`.
    floor: f32,
    span: f32,
    min_derivative: f32,
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl Constants {
    fn new(config: &SplineConfig) -> Self {
        let interval = 2.0 * config.bound;
        Self {
            bins: config.bins,
            bound: config.bound as f32,
            inverse_scale: config.scale.recip() as f32,
            floor: (interval * MIN_BIN) as f32,
            span: (interval * (1.0 - config.bins as f64 * MIN_BIN)) as f32,
            min_derivative: MIN_DERIVATIVE as f32,
        }
    }
}

/// Which way the spline is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the data to the latent value.
    Forward,
    /// From the latent value to the data.
    Inverse,
}

/// Which of the two implementations evaluates a spline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Implementation {
    /// Tensor operations; any backend, any float type.
    Plain,
    /// One operation; f32 on WGPU and CUDA.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Fused,
}

impl Implementation {
    /// Fused where it exists for the tensor's backend and number type.
    pub(crate) fn of(tensor: &Tensor<3>) -> Self {
        match tensor.device().without_autodiff().as_dispatch() {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            burn::backend::DispatchDevice::Cube(_)
                if tensor.dtype() == burn::tensor::DType::F32 =>
            {
                Self::Fused
            }
            _ => Self::Plain,
        }
    }

    /// Evaluates the spline by this implementation: the transformed values and
    /// the log of the derivative of what was done, both `[E, B, T]`.
    pub(crate) fn apply(
        self,
        config: &SplineConfig,
        direction: Direction,
        x: Tensor<3>,
        theta: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let [members, batch, values] = x.dims();
        assert_eq!(
            theta.dims(),
            [members, batch, values * config.parameters()],
            "each of the values [{members}, {batch}, {values}] has its 3K - 1 parameters"
        );
        match self {
            Self::Plain => plain::apply(config, direction, x, theta),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Self::Fused => fused::apply(config, direction, x, theta),
        }
    }
}

/// `y = f(x)` and `ln f'(x)`, each `[E, B, T]`. `x`: `[E, B, T]`; `theta`:
/// `[E, B, T (3K - 1)]`. Finite, with finite gradients, for every finite `x`
/// and every `theta` within +-1e15.
pub(crate) fn forward(
    config: &SplineConfig,
    x: Tensor<3>,
    theta: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    Implementation::of(&x).apply(config, Direction::Forward, x, theta)
}

/// `x` with `f(x) = y`, and the log-derivative of the inverse, `-ln f'(x)`.
/// Shapes and domain as in [`forward`].
pub(crate) fn inverse(
    config: &SplineConfig,
    y: Tensor<3>,
    theta: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    Implementation::of(&y).apply(config, Direction::Inverse, y, theta)
}
