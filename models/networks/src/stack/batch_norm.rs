//! Stacked batch normalisation over the batch axis, a member's own statistics.
//!
//! Event weights do not enter the statistics: they are those of the rows seen.
//! Source: Ioffe and Szegedy, arXiv:1502.03167; momentum and epsilon are
//! PyTorch's defaults, and the running variance is the unbiased one.

use burn::tensor::Tensor;

pub(crate) const EPSILON: f64 = 1e-5;
pub(crate) const MOMENTUM: f64 = 0.1;

/// Normalises `x` `[E, B, W]` by its batch statistics; returns the result and
/// the new running mean and variance, each `[E, 1, W]`, without gradients.
pub(crate) fn train(
    x: Tensor<3>,
    gain: Tensor<3>,
    shift: Tensor<3>,
    running: &[Tensor<3>],
) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
    let batch = x.dims()[1] as f64;
    let mean = x.clone().sum_dim(1) / batch;
    let centred = x - mean.clone();
    let variance = centred.clone().square().sum_dim(1) / batch;
    let unbiased = variance.clone().inner() * (batch / (batch - 1.0).max(1.0));
    let new_mean = running[0].clone() * (1.0 - MOMENTUM) + mean.inner() * MOMENTUM;
    let new_variance = running[1].clone() * (1.0 - MOMENTUM) + unbiased * MOMENTUM;
    let y = centred / (variance + EPSILON).sqrt() * gain + shift;
    (y, new_mean, new_variance)
}

/// Normalises `x` `[E, B, W]` by the running mean and variance.
pub(crate) fn evaluate(
    x: Tensor<3>,
    gain: Tensor<3>,
    shift: Tensor<3>,
    running: &[Tensor<3>],
) -> Tensor<3> {
    let scale = gain / (running[1].clone() + EPSILON).sqrt();
    (x - running[0].clone()) * scale + shift
}
