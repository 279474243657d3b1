//! What happens to a layer's product: batch norm, activation with its derivative, and
//! the loss of the output.

use crate::buffer::Buffer;
use crate::mlp::{Activation, EPSILON, MOMENTUM};
use crate::objective::Objective;
use sideband_numerics::lanes::single::{F, WIDEST};
use sideband_numerics::lanes::{Simd, WithSimd, dispatch};

/// The batch norm between a layer's product and its activation, in a training step; see
/// [`batch_norm`](crate::mlp::batch_norm) for what it computes. Matrices are
/// `[rows, width + 1]`; the last column is left as it is.
#[derive(Default)]
pub(super) struct Norm {
    /// 1 / standard deviation, `[width]`.
    inverse: Vec<f64>,
    /// (z - mean) / standard deviation, `[rows, width]`.
    normalised: Vec<f32>,
    /// New running mean and variance, `[2, width]`.
    pub(super) running: Vec<f32>,
    /// Gradient by gain and shift, `[2, width]`.
    pub(super) gradient: Vec<f32>,
}

impl Norm {
    /// Normalises by the statistics of `z` itself. `affine`: gain and shift;
    /// `running`: mean and variance so far.
    pub(super) fn train(&mut self, affine: &[f32], running: &[f32], z: &mut [f32], rows: usize) {
        let width = affine.len() / 2;
        let count = rows as f64;
        let mut mean = vec![0.0f64; width];
        for row in z.chunks_exact(width + 1) {
            for (sum, z) in mean.iter_mut().zip(row) {
                *sum += f64::from(*z);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut variance = vec![0.0f64; width];
        for row in z.chunks_exact(width + 1) {
            for ((sum, mean), z) in variance.iter_mut().zip(&mean).zip(row) {
                *sum += (f64::from(*z) - mean).powi(2);
            }
        }
        variance.iter_mut().for_each(|sum| *sum /= count);
        let unbiased = count / (count - 1.0).max(1.0);
        let variances = variance.iter().map(|v| v * unbiased);
        let new = mean.iter().copied().chain(variances);
        let mix = |(old, new): (&f32, f64)| f64::from(*old) * (1.0 - MOMENTUM) + new * MOMENTUM;
        self.running.clear();
        let mixed = running.iter().zip(new).map(mix);
        self.running.extend(mixed.map(|value| value as f32));
        self.inverse.clear();
        let inverse = variance.iter().map(|v| (v + EPSILON).sqrt().recip());
        self.inverse.extend(inverse);
        self.normalised.resize(rows * width, 0.0);
        let (gain, shift) = affine.split_at(width);
        let normalised = self.normalised.chunks_exact_mut(width.max(1));
        for (row, normalised) in z.chunks_exact_mut(width + 1).zip(normalised) {
            for (i, (z, normalised)) in row.iter_mut().zip(normalised).enumerate() {
                *normalised = ((f64::from(*z) - mean[i]) * self.inverse[i]) as f32;
                *z = *normalised * gain[i] + shift[i];
            }
        }
    }

    pub(super) fn evaluate(&self, affine: &[f32], running: &[f32], z: &mut [f32]) {
        let width = affine.len() / 2;
        let (gain, shift) = affine.split_at(width);
        let (mean, variance) = running.split_at(width);
        let scale = gain.iter().zip(variance);
        let scale = scale.map(|(gain, variance)| gain / (variance + EPSILON as f32).sqrt());
        let scale: Vec<f32> = scale.collect();
        for row in z.chunks_exact_mut(width + 1) {
            for (i, z) in row[..width].iter_mut().enumerate() {
                *z = (*z - mean[i]) * scale[i] + shift[i];
            }
        }
    }

    /// Turns the gradient by the result into that by what was normalised.
    pub(super) fn backward(&mut self, affine: &[f32], by_z: &mut [f32], rows: usize) {
        let width = affine.len() / 2;
        let mut sums = vec![0.0f64; 2 * width];
        let (by_gain, by_shift) = sums.split_at_mut(width);
        let normalised = self.normalised.chunks_exact(width.max(1));
        for (row, normalised) in by_z.chunks_exact(width + 1).zip(normalised) {
            for (i, (by_y, normalised)) in row.iter().zip(normalised).enumerate() {
                by_gain[i] += f64::from(*by_y) * f64::from(*normalised);
                by_shift[i] += f64::from(*by_y);
            }
        }
        self.gradient.clear();
        self.gradient.extend(sums.iter().map(|sum| *sum as f32));
        let (by_gain, by_shift) = sums.split_at(width);
        let count = rows as f64;
        let normalised = self.normalised.chunks_exact(width.max(1));
        for (row, normalised) in by_z.chunks_exact_mut(width + 1).zip(normalised) {
            for (i, (by_y, normalised)) in row.iter_mut().zip(normalised).enumerate() {
                let factor = f64::from(affine[i]) * self.inverse[i];
                let common = (by_shift[i] + f64::from(*normalised) * by_gain[i]) / count;
                *by_y = (factor * (f64::from(*by_y) - common)) as f32;
            }
        }
    }
}

/// Slope of a leaky ReLU below zero.
const LEAK: f32 = 0.01;

/// The derivative below zero of an activation that is a straight line on either
/// side of it, one above: of such a one the value alone tells the derivative.
pub(super) fn below_zero(activation: Activation) -> Option<f32> {
    match activation {
        Activation::Relu => Some(0.0),
        Activation::LeakyRelu => Some(LEAK),
        Activation::Silu | Activation::Gelu | Activation::Tanh | Activation::Softplus => None,
    }
}

/// What is done with the elements of a layer. Lengths are whole registers.
pub(super) enum Elements<'a> {
    /// Replaces every `value` by itself above zero and by `below` times itself elsewhere.
    Bend { below: f32, value: &'a mut [f32] },
    /// Multiplies `to` by the derivative of a bend: one where `value` is above zero and
    /// `below` elsewhere.
    BendBack {
        below: f32,
        value: &'a [f32],
        to: &'a mut [f32],
    },
    /// Replaces every `value` by its activation, and `slope` by the derivative there.
    Activate {
        activation: Activation,
        value: &'a mut [f32],
        slope: &'a mut [f32],
    },
    /// Multiplies `to` by `factor`.
    Multiply {
        factor: &'a [f32],
        to: &'a mut [f32],
    },
}

impl WithSimd for Elements<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self {
            Self::Bend { below, value } => {
                for value in S::as_mut_simd_f32s(value).0 {
                    *value = bent(simd, F::of(simd, *value), below).0.lanes();
                }
            }
            Self::BendBack { below, value, to } => {
                let (zero, below) = (F::splat(simd, 0.0), F::splat(simd, below));
                let products = S::as_mut_simd_f32s(to).0;
                for (value, product) in S::as_simd_f32s(value).0.iter().zip(products) {
                    let by_value = F::of(simd, *product);
                    let above = F::of(simd, *value).gt(zero);
                    *product = above.select(by_value, by_value * below).lanes();
                }
            }
            Self::Activate {
                activation,
                value,
                slope,
            } => match activation {
                Activation::Relu => activate(simd, value, slope, |_, x| bent(simd, x, 0.0)),
                Activation::LeakyRelu => activate(simd, value, slope, |_, x| bent(simd, x, LEAK)),
                Activation::Silu => activate(simd, value, slope, silu),
                Activation::Gelu => activate(simd, value, slope, |_, x| gelu(x)),
                Activation::Tanh => activate(simd, value, slope, tanh),
                Activation::Softplus => activate(simd, value, slope, |_, x| x.softplus()),
            },
            Self::Multiply { factor, to } => {
                let products = S::as_mut_simd_f32s(to).0;
                for (factor, product) in S::as_simd_f32s(factor).0.iter().zip(products) {
                    *product = (F::of(simd, *factor) * F::of(simd, *product)).lanes();
                }
            }
        }
    }
}

#[inline(always)]
fn activate<S: Simd>(
    simd: S,
    value: &mut [f32],
    slope: &mut [f32],
    function: impl Fn(S, F<S>) -> (F<S>, F<S>),
) {
    let slopes = S::as_mut_simd_f32s(slope).0;
    for (value, slope) in S::as_mut_simd_f32s(value).0.iter_mut().zip(slopes) {
        let (y, derivative) = function(simd, F::of(simd, *value));
        *value = y.lanes();
        *slope = derivative.lanes();
    }
}

#[inline(always)]
fn bent<S: Simd>(simd: S, x: F<S>, below: f32) -> (F<S>, F<S>) {
    let zero = F::splat(simd, 0.0);
    let (one, below_zero) = (F::splat(simd, 1.0), F::splat(simd, below));
    let slope = x.gt(zero).select(one, below_zero);
    // this order of the arguments keeps a NaN
    let value = if below == 0.0 { zero.max(x) } else { x * slope };
    (value, slope)
}

#[inline(always)]
fn silu<S: Simd>(simd: S, x: F<S>) -> (F<S>, F<S>) {
    let s = x.sigmoid();
    let y = x * s;
    (y, y.mul_add(F::splat(simd, 1.0) - s, s))
}

#[inline(always)]
fn gelu<S: Simd>(x: F<S>) -> (F<S>, F<S>) {
    let (probability, density) = x.normal();
    (x * probability, x.mul_add(density, probability))
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, x: F<S>) -> (F<S>, F<S>) {
    let y = x.tanh();
    (y, F::splat(simd, 1.0) - y * y)
}

/// Above this, e^x is no f32.
const OVERFLOW: f32 = 88.72;

/// Sum of `coefficient * loss(q)` over the rows of a tile; replaces `q` `[rows]` by
/// the derivative. The first `sources` rows are source, the others target.
pub(super) fn loss_gradient(
    objective: Objective,
    sources: usize,
    coefficients: &[f32],
    q: &mut Buffer,
) -> f64 {
    let rows = coefficients.len();
    let q = &mut q.get(rows)[..rows];
    let (source, target) = q.split_at_mut(sources);
    let (by_source, by_target) = coefficients.split_at(sources);
    let of = |q, coefficients, half_sign| {
        dispatch(LossRows {
            objective,
            half_sign,
            coefficients,
            q,
        })
    };
    of(source, by_source, 0.5) + of(target, by_target, -0.5)
}

struct LossRows<'a> {
    objective: Objective,
    half_sign: f32,
    coefficients: &'a [f32],
    q: &'a mut [f32],
}

impl WithSimd for LossRows<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let half_sign = F::splat(simd, self.half_sign);
        match self.objective {
            Objective::Exponential => self.each(simd, |q| {
                let x = q * half_sign;
                let infinite = F::splat(simd, f32::INFINITY);
                let value = x.gt(F::splat(simd, OVERFLOW)).select(infinite, x.exp());
                (value, value * half_sign)
            }),
            Objective::CrossEntropy => self.each(simd, |q| {
                let sign = half_sign + half_sign;
                let (value, slope) = (q * sign).softplus();
                (value, slope * sign)
            }),
            Objective::Likelihood => self.each(simd, |q| (-q, F::splat(simd, -1.0))),
        }
    }
}

impl LossRows<'_> {
    #[inline(always)]
    fn each<S: Simd>(self, simd: S, loss: impl Fn(F<S>) -> (F<S>, F<S>)) -> f64 {
        let mut sum = 0.0;
        let coefficients = self.coefficients.chunks(WIDEST);
        for (coefficients, q) in coefficients.zip(self.q.chunks_mut(WIDEST)) {
            let (mut c, mut x) = ([0.0; WIDEST], [0.0; WIDEST]);
            c[..q.len()].copy_from_slice(coefficients);
            x[..q.len()].copy_from_slice(q);
            for first in (0..WIDEST).step_by(S::F32_LANES) {
                let coefficient = F::load(simd, &c[first..]);
                let (value, slope) = loss(F::load(simd, &x[first..]));
                (coefficient * value).store(&mut c[first..]);
                (coefficient * slope).store(&mut x[first..]);
            }
            sum += c[..q.len()].iter().copied().map(f64::from).sum::<f64>();
            q.copy_from_slice(&x[..q.len()]);
        }
        sum
    }
}
