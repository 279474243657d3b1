//! The spline as CubeCL kernels, one thread a value: WGPU and CUDA.
//!
//! In the bin from `(left, bottom)` to `(right, top)` with width `w`, height
//! `h`, mean slope `s = h / w` and end slopes `d0`, `d1`, let
//! `xi = (x - left) / w`, `om = (right - x) / w = 1 - xi` and `t = xi om`. Then
//! (Durkan et al., arXiv:1906.04032, eqs 4 and 5, with 1 - 2t = xi^2 + om^2)
//!
//! ```text
//! den  = s (xi^2 + om^2) + (d0 + d1) t
//! y    = bottom + h (s xi^2 + d0 t) / den = top - h (s om^2 + d1 t) / den
//! f'   = s^2 n2 / den^2,   n2 = d1 xi^2 + 2 s t + d0 om^2
//! ```
//!
//! All terms are positive, so nothing cancels; of the two forms of y the one
//! from the nearer end is used, so that the knots are met exactly and no value
//! leaves its bin. Of x, likewise.
//!
//! The inverse (eqs 6-8) solves a quadratic. With `v = (y - bottom) / h`, its
//! complement `1 - v = (top - y) / h` and `r = d0 (1 - v) - d1 v`, the
//! discriminant is `h^2 (r^2 + 4 s^2 v (1 - v))`: a sum of squares. Rounding
//! cannot make it negative, so it needs no clamp. The root is written so that
//! only positive terms are added: with `q = sqrt(r^2 + 4 s^2 v (1 - v)) + |r|`,
//!
//! ```text
//! r >= 0:  xi : om = 2 s v : q          r < 0:  xi : om = q : 2 s (1 - v)
//! ```
//!
//! The gradient is derived by hand; the inverse's follows from the forward one
//! through the implicit function, dx = (dy - (df/dtheta) dtheta) / f'.
//!
//! The number of bins and the direction are known when a kernel is compiled. A thread rereads its row of
//! `theta` (largest, sum, knots) rather than keeping `2K` exponentials: the row
//! is in the cache, and registers are scarce. The launches are the checked ones:
//! no kernel can leave its buffers, and no `unsafe` is needed.

use super::fused::{Spline, SplineGradient, packed};
use super::{Direction, MIN_BIN, MIN_DERIVATIVE, SplineConfig};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// What of a [`SplineConfig`] is known when a kernel runs: a bin's width and height is
/// `floor + span * softmax`.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Scalars {
    bound: f32,
    inverse_scale: f32,
    floor: f32,
    span: f32,
    min_derivative: f32,
}

/// One bin, and the sums of the two softmaxes with what was subtracted.
#[derive(CubeType)]
struct Bin {
    index: usize,
    left: f32,
    right: f32,
    bottom: f32,
    top: f32,
    d0: f32,
    d1: f32,
    widths_largest: f32,
    widths_sum: f32,
    heights_largest: f32,
    heights_sum: f32,
}

/// A place in a bin and what the formulas share there.
#[derive(CubeType)]
struct Place {
    xi: f32,
    om: f32,
    t: f32,
    s: f32,
    per_den: f32,
    n2: f32,
}

#[cube]
fn softplus(x: f32) -> f32 {
    max(x, 0.0) + (-x.abs()).exp().log1p()
}

#[cube]
fn sigmoid(x: f32) -> f32 {
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
fn find_bin(
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
fn find_place(at: f32, bin: &Bin, #[comptime] inverse: bool) -> Place {
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
fn slope(place: &Place) -> f32 {
    let share = place.s * place.per_den;
    share * (share * place.n2)
}

/// Writes the softmax's gradient: it is `shift` before the bin, `stretch` in
/// it and 0 behind it at the shares.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a softmax and its gradient")]
fn softmax_gradient(
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

#[cube(launch)]
fn values_kernel(
    x: &Tensor<f32>,
    theta: &Tensor<f32>,
    out: &mut Tensor<f32>,
    scalars: Scalars,
    count: usize,
    #[comptime] bins: usize,
    #[comptime] inverse: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let at = x[i];
    let mut value = at;
    let mut log_det = 0.0f32;
    if at.abs() <= scalars.bound {
        let bin = find_bin(at, theta, i * (3 * bins - 1), &scalars, bins, inverse);
        let place = find_place(at, &bin, inverse);
        let (xi, om) = (place.xi, place.om);
        log_det = slope(&place).ln();
        if inverse {
            log_det = -log_det;
            let width = bin.right - bin.left;
            value = select(xi <= om, bin.left + width * xi, bin.right - width * om);
        } else {
            let height = bin.top - bin.bottom;
            let risen = (place.s * xi * xi + bin.d0 * place.t) * place.per_den;
            let rest = (place.s * om * om + bin.d1 * place.t) * place.per_den;
            value = select(
                risen <= rest,
                bin.bottom + height * risen,
                bin.top - height * rest,
            );
        }
    }
    out[i] = value;
    out[count + i] = log_det;
}

#[cube(launch)]
fn gradients_kernel(
    x: &Tensor<f32>,
    theta: &Tensor<f32>,
    gradient: &Tensor<f32>,
    for_x: &mut Tensor<f32>,
    for_theta: &mut Tensor<f32>,
    scalars: Scalars,
    count: usize,
    #[comptime] bins: usize,
    #[comptime] inverse: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let at = x[i];
    let row = i * (3 * bins - 1);
    let mut g_value = gradient[i];
    let mut g_log = gradient[count + i];
    if at.abs() > scalars.bound {
        for_x[i] = g_value;
        for j in 0..3 * bins - 1 {
            for_theta[row + j] = 0.0;
        }
        terminate!();
    }
    let bin = find_bin(at, theta, row, &scalars, bins, inverse);
    let place = find_place(at, &bin, inverse);
    let (xi, om, t, s) = (place.xi, place.om, place.t, place.s);
    let (d0, d1) = (bin.d0, bin.d1);
    let width = bin.right - bin.left;
    let height = bin.top - bin.bottom;
    let per_den = place.per_den;
    let per_n2 = 1.0 / place.n2;
    let n2_by_xi = d1 * xi + s * (om - xi) - d0 * om;
    let den_by_xi = (d0 - s + (d1 - s)) * (om - xi);
    let log_by_xi = 2.0 * (n2_by_xi * per_n2 - den_by_xi * per_den);
    if inverse {
        // the implicit function: what x pulls is handed to y and, reversed, to theta
        g_value = -(g_value - g_log * log_by_xi / width) / slope(&place);
        g_log = -g_log;
        for_x[i] = -g_value;
    }
    let risen = (s * xi * xi + d0 * t) * per_den;
    let rest = (s * om * om + d1 * t) * per_den;
    let g = g_value * height;
    let log_d = 2.0 * t * per_den;
    let by_xi = g * (s * (place.n2 * per_den) * per_den) + g_log * log_by_xi;
    let by_s = g * (t * ((d1 * xi * xi - d0 * om * om) * per_den) * per_den)
        + g_log * 2.0 * (1.0 / s + t * per_n2 - (xi * xi + om * om) * per_den);
    let by_d0 = g * (t * rest * per_den) + g_log * (om * om * per_n2 - log_d);
    let by_d1 = g_log * (xi * xi * per_n2 - log_d) - g * (t * risen * per_den);
    if !inverse {
        for_x[i] = by_xi / width;
    }

    let factor = scalars.span * scalars.inverse_scale;
    softmax_gradient(
        theta,
        for_theta,
        row,
        bin.widths_largest,
        bin.widths_sum,
        scalars.inverse_scale,
        bin.index,
        -by_xi / width * factor,
        -(by_s * s + by_xi * xi) / width * factor,
        bins,
    );
    softmax_gradient(
        theta,
        for_theta,
        row + bins,
        bin.heights_largest,
        bin.heights_sum,
        scalars.inverse_scale,
        bin.index,
        g_value * factor,
        (g_value * risen + by_s / width) * factor,
        bins,
    );
    let slopes = row + 2 * bins;
    for j in 0..bins - 1 {
        // inner knot j + 1 ends bin j and begins bin j + 1
        let at_knot = select(
            j + 1 == bin.index,
            by_d0,
            select(j == bin.index, by_d1, 0.0),
        );
        for_theta[slopes + j] = at_knot * sigmoid(theta[slopes + j]);
    }
}

fn scalars(config: &SplineConfig) -> ScalarsLaunch {
    let interval = 2.0 * config.bound;
    ScalarsLaunch::new(
        config.bound as f32,
        config.scale.recip() as f32,
        (interval * MIN_BIN) as f32,
        (interval * (1.0 - config.bins as f64 * MIN_BIN)) as f32,
        MIN_DERIVATIVE as f32,
    )
}

fn empty(like: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, like.dtype)
}

impl Spline for CubeBackend {
    fn spline(
        x: FloatTensor<Self>,
        theta: FloatTensor<Self>,
        config: SplineConfig,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let (x, theta) = (into_contiguous(x), into_contiguous(theta));
        let out = empty(&x, packed(&x.shape()));
        let count = x.shape().num_elements();
        let client = x.client.clone();
        let cube_dim = CubeDim::new(&client, count);
        values_kernel::launch(
            &client,
            calculate_cube_count_elemwise(&client, count, cube_dim),
            cube_dim,
            x.into_tensor_arg(),
            theta.into_tensor_arg(),
            out.clone().into_tensor_arg(),
            scalars(&config),
            count,
            config.bins,
            direction == Direction::Inverse,
        );
        out
    }
}

impl SplineGradient for CubeBackend {
    fn spline_gradient(
        x: FloatTensor<Self>,
        theta: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        config: SplineConfig,
        direction: Direction,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, theta) = (into_contiguous(x), into_contiguous(theta));
        let gradient = into_contiguous(gradient);
        let (for_x, for_theta) = (empty(&x, x.shape()), empty(&x, theta.shape()));
        let count = x.shape().num_elements();
        let client = x.client.clone();
        let cube_dim = CubeDim::new(&client, count);
        gradients_kernel::launch(
            &client,
            calculate_cube_count_elemwise(&client, count, cube_dim),
            cube_dim,
            x.into_tensor_arg(),
            theta.into_tensor_arg(),
            gradient.into_tensor_arg(),
            for_x.clone().into_tensor_arg(),
            for_theta.clone().into_tensor_arg(),
            scalars(&config),
            count,
            config.bins,
            direction == Direction::Inverse,
        );
        (for_x, for_theta)
    }
}
