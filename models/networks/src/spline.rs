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
//! There are two implementations of the same formulas. [`plain()`] is a chain of
//! tensor operations that every backend has and burn differentiates; `fused`
//! is one operation of a GPU with a gradient derived by hand (`kernel`). Which
//! one runs depends on the backend and the number type alone
//! ([`Implementation::of`]), never on the number of members, the batch or the
//! threads, so that a member does not notice its company. On the processor a
//! flow is computed by `crate::flow`'s host path, and by [`plain()`] where its
//! tensor operations are asked for.
//!
//! Axes: `E` members, `B` batch, `T` transformed values, `K` bins.

mod form;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod fused;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod kernel;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use burn::tensor::activation::{softmax, softplus_with_threshold};
pub(crate) use form::{Direction, MIN_BIN, MIN_DERIVATIVE, SplineConfig};

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

    /// Evaluates the spline of `x` `[E, B, T]` and `theta` `[E, B, T (3K - 1)]`: the
    /// transformed values and the log of the derivative of what was done, both
    /// `[E, B, T]`. Finite, with finite gradients, for every finite `x` and every
    /// `theta` within +-1e15.
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
            Self::Plain => plain(config, direction, x, theta),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Self::Fused => fused::apply(config, direction, x, theta),
        }
    }
}

/// Where softplus is its argument to the last bit in f64 too.
const SOFTPLUS_IS_LINEAR: f64 = 40.0;

/// The spline in burn's tensor operations: any backend, any float type. Written so that
/// no branch that is not taken can spoil a gradient: values in the tails are replaced by
/// 0 before anything is computed from them, and each quantity is a sum of positive terms
/// or a difference of neighbours, with no cancellation left.
fn plain(
    config: &SplineConfig,
    direction: Direction,
    x: Tensor<3>,
    theta: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let [members, batch, values] = x.dims();
    let bins = config.bins;
    let x = x.reshape([members, batch, values, 1]);
    let theta = theta.reshape([members, batch, values, config.parameters()]);
    let tail = x.clone().abs().greater_elem(config.bound);
    let at = x.clone().mask_fill(tail.clone(), 0.0);

    let across = knots(config, theta.clone().narrow(3, 0, bins));
    let up = knots(config, theta.clone().narrow(3, bins, bins));
    let slope = theta.narrow(3, 2 * bins, bins - 1);
    let slope = softplus_with_threshold(slope, 1.0, SOFTPLUS_IS_LINEAR) + MIN_DERIVATIVE;
    let one = x.ones_like();
    let slope = Tensor::cat(vec![one.clone(), slope, one], 3);

    let searched = match direction {
        Direction::Forward => &across,
        Direction::Inverse => &up,
    };
    let inner = searched.clone().narrow(3, 1, bins - 1);
    let above = at.clone().expand(inner.dims()).greater_equal(inner);
    let bin = above.int().sum_dim(3);
    let next = bin.clone() + 1;
    let ends = |knots: Tensor<4>| {
        let low = knots.clone().gather(3, bin.clone());
        (low, knots.gather(3, next.clone()))
    };
    let (left, right) = ends(across);
    let (bottom, top) = ends(up);
    let (d0, d1) = ends(slope);
    let width = right.clone() - left.clone();
    let height = top.clone() - bottom.clone();
    let s = height.clone() / width.clone();

    let (xi, om) = match direction {
        Direction::Forward => (
            (at.clone() - left.clone()) / width.clone(),
            (right.clone() - at) / width.clone(),
        ),
        Direction::Inverse => {
            let v = (at.clone() - bottom.clone()) / height.clone();
            let rest = (top.clone() - at) / height.clone();
            solve(&s, &d0, &d1, v, rest)
        }
    };
    let t = xi.clone() * om.clone();
    let (xi2, om2) = (xi.clone().square(), om.clone().square());
    let den = s.clone() * (xi2.clone() + om2.clone()) + (d0.clone() + d1.clone()) * t.clone();
    let n2 = d1.clone() * xi2.clone() + s.clone() * t.clone() * 2.0 + d0.clone() * om2.clone();
    let share = s.clone() / den.clone();
    let log_slope = (share.clone() * (share * n2)).log();

    // from the nearer end: knots are met exactly, and no value leaves its bin
    let (value, log_det) = match direction {
        Direction::Forward => {
            let from_bottom = (s.clone() * xi2 + d0 * t.clone()) / den.clone() * height.clone();
            let from_top = (s * om2 + d1 * t) / den * height;
            let lower = from_bottom.clone().lower_equal(from_top.clone());
            let value = (top - from_top).mask_where(lower, bottom + from_bottom);
            (value, log_slope)
        }
        Direction::Inverse => {
            let lower = xi.clone().lower_equal(om.clone());
            let value = (right - om * width.clone()).mask_where(lower, left + xi * width);
            (value, log_slope.neg())
        }
    };
    let shape = [members, batch, values];
    (
        value.mask_where(tail.clone(), x).reshape(shape),
        log_det.mask_fill(tail, 0.0).reshape(shape),
    )
}

/// Knots `[E, B, T, K + 1]` of the shares that `theta` `[E, B, T, K]` stands for.
fn knots(config: &SplineConfig, theta: Tensor<4>) -> Tensor<4> {
    let bins = config.bins;
    let free = 1.0 - bins as f64 * MIN_BIN;
    let shares = softmax(theta / config.scale, 3) * free + MIN_BIN;
    let inner = shares.narrow(3, 0, bins - 1) * (2.0 * config.bound);
    let end = inner.zeros_like().narrow(3, 0, 1);
    let (first, last) = (end.clone() - config.bound, end + config.bound);
    Tensor::cat(vec![first, inner.cumsum(3) - config.bound, last], 3)
}

/// The place in the bin, from its left and from its right end, at which the
/// spline has risen by the share `v` of the bin's height (`rest` = 1 - v).
fn solve(
    s: &Tensor<4>,
    d0: &Tensor<4>,
    d1: &Tensor<4>,
    v: Tensor<4>,
    rest: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let r = d0.clone() * rest.clone() - d1.clone() * v.clone();
    let root = (r.clone().square() + s.clone().square() * v.clone() * rest.clone() * 4.0).sqrt();
    let rising = r.clone().greater_equal_elem(0.0);
    let small = rest.mask_where(rising.clone(), v) * s.clone() * 2.0;
    let large = root + r.clone().neg().mask_where(rising.clone(), r);
    let sum = small.clone() + large.clone();
    let (small, large) = (small / sum.clone(), large / sum);
    (
        large.clone().mask_where(rising.clone(), small.clone()),
        small.mask_where(rising, large),
    )
}
