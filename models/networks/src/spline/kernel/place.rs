//! What the kernels compute for one value: its bin, its place in the bin, and
//! the way back through the softmax. See [`super`] for the formulas.

use cubecl::prelude::*;

/// The run-time part of [`Constants`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Scalars {
    pub(super) bound: f32,
    pub(super) inverse_scale: f32,
    pub(super) floor: f32,
    pub(super) span: f32,
    pub(super) min_derivative: f32,
}

/// One bin, and the sums of the two softmaxes with what was subtracted.
#[derive(CubeType)]
pub(super) struct Bin {
    pub(super) index: usize,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
    pub(super) top: f32,
    pub(super) d0: f32,
    pub(super) d1: f32,
    pub(super) widths_largest: f32,
    pub(super) widths_sum: f32,
    pub(super) heights_largest: f32,
    pub(super) heights_sum: f32,
}

/// A place in a bin and what the formulas share there.
#[derive(CubeType)]
pub(super) struct Place {
    pub(super) xi: f32,
    pub(super) om: f32,
    pub(super) t: f32,
    pub(super) s: f32,
    pub(super) per_den: f32,
    pub(super) n2: f32,
}

#[cube]
fn softplus(x: f32) -> f32 {
    max(x, 0.0) + (-x.abs()).exp().log1p()
}

#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    select(x >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))
}

#[cube]
fn largest(theta: &Tensor<f32>, start: usize, #[comptime] bins: usize) -> f32 {
    let mut result = theta[start];
    for j in 1..bins {
        result = max(result, theta[start + j]);
    }
    result
}

#[cube]
fn exponential(theta: &Tensor<f32>, position: usize, largest: f32, scale: f32) -> f32 {
    ((theta[position] - largest) * scale).exp()
}

#[cube]
fn sum(
    theta: &Tensor<f32>,
    start: usize,
    largest: f32,
    scale: f32,
    #[comptime] bins: usize,
) -> f32 {
    let mut result = 0.0f32;
    for j in 0..bins {
        result += exponential(theta, start + j, largest, scale);
    }
    result
}

#[cube]
pub(super) fn find_bin(
    at: f32,
    theta: &Tensor<f32>,
    row: usize,
    scalars: &Scalars,
    #[comptime] bins: usize,
    #[comptime] inverse: bool,
) -> Bin {
    let scale = scalars.inverse_scale;
    let widths_largest = largest(theta, row, bins);
    let heights_largest = largest(theta, row + bins, bins);
    let widths_sum = sum(theta, row, widths_largest, scale, bins);
    let heights_sum = sum(theta, row + bins, heights_largest, scale, bins);
    let mut next_left = -scalars.bound;
    let mut next_bottom = -scalars.bound;
    let mut index = 0usize;
    let mut left = next_left;
    let mut right = next_left;
    let mut bottom = next_bottom;
    let mut top = next_bottom;
    for j in 0..bins {
        let low = next_left;
        let under = next_bottom;
        let width = exponential(theta, row + j, widths_largest, scale) / widths_sum;
        let height = exponential(theta, row + bins + j, heights_largest, scale) / heights_sum;
        next_left = low + (scalars.floor + scalars.span * width);
        next_bottom = under + (scalars.floor + scalars.span * height);
        if j == bins - 1 {
            next_left = scalars.bound;
            next_bottom = scalars.bound;
        }
        let start = if inverse { under } else { low };
        if at >= start || j == 0 {
            index = j;
            left = low;
            right = next_left;
            bottom = under;
            top = next_bottom;
        }
    }
    let slopes = row + 2 * bins;
    let mut d0 = 1.0f32;
    let mut d1 = 1.0f32;
    if index > 0 {
        d0 = scalars.min_derivative + softplus(theta[slopes + index - 1]);
    }
    if index < bins - 1 {
        d1 = scalars.min_derivative + softplus(theta[slopes + index]);
    }
    Bin {
        index,
        left,
        right,
        bottom,
        top,
        d0,
        d1,
        widths_largest,
        widths_sum,
        heights_largest,
        heights_sum,
    }
}

#[cube]
pub(super) fn find_place(at: f32, bin: &Bin, #[comptime] inverse: bool) -> Place {
    let width = bin.right - bin.left;
    let height = bin.top - bin.bottom;
    let s = height / width;
    let mut xi = (at - bin.left) / width;
    let mut om = (bin.right - at) / width;
    if inverse {
        let v = (at - bin.bottom) / height;
        let rest = (bin.top - at) / height;
        let unit = max(s, max(bin.d0, bin.d1));
        let mean = s / unit;
        let r = bin.d0 / unit * rest - bin.d1 / unit * v;
        let large = (r * r + 4.0 * mean * mean * v * rest).sqrt() + r.abs();
        let small = 2.0 * mean * select(r >= 0.0, v, rest);
        let first = small / (small + large);
        let second = large / (small + large);
        xi = select(r >= 0.0, first, second);
        om = select(r >= 0.0, second, first);
    }
    let t = xi * om;
    Place {
        xi,
        om,
        t,
        s,
        per_den: 1.0 / (s * (xi * xi + om * om) + (bin.d0 + bin.d1) * t),
        n2: bin.d1 * xi * xi + 2.0 * s * t + bin.d0 * om * om,
    }
}

#[cube]
pub(super) fn slope(place: &Place) -> f32 {
    let share = place.s * place.per_den;
    share * (share * place.n2)
}

/// Writes the softmax's gradient: it is `shift` before the bin, `stretch` in
/// it and 0 behind it at the shares.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a softmax and its gradient")]
pub(super) fn softmax_gradient(
    theta: &Tensor<f32>,
    out: &mut Tensor<f32>,
    start: usize,
    largest: f32,
    sum: f32,
    scale: f32,
    index: usize,
    shift: f32,
    stretch: f32,
    #[comptime] bins: usize,
) {
    let mut mean = 0.0f32;
    for j in 0..bins {
        let at = select(j < index, shift, select(j == index, stretch, 0.0));
        mean += exponential(theta, start + j, largest, scale) / sum * at;
    }
    for j in 0..bins {
        let at = select(j < index, shift, select(j == index, stretch, 0.0));
        let share = exponential(theta, start + j, largest, scale) / sum;
        out[start + j] = share * (at - mean);
    }
}
