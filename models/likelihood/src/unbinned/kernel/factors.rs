//! The products of responses, with their derivatives.

use super::{Factor, Point, Scratch, column_mut};
use crate::interpolation::EndWeights;
use crate::unbinned::sample::{LANES, Stored};
use crate::unbinned::simd::F;
use pulp::Simd;

/// `P_j` with, for the derivatives wanted, `g'/g` and `g''/g`.
#[inline(always)]
pub(super) fn products<S: Simd, T: Stored, const ORDER: usize>(
    simd: S,
    point: &Point<'_>,
    ratios: &[f64],
    logs: &[T],
    scratch: &mut Scratch,
) {
    scratch.products.copy_from_slice(ratios);
    let (narrow_low, narrow_high) = scratch.narrow.split_at_mut(LANES);
    let products = scratch.products.chunks_exact_mut(LANES);
    for (product, responses) in products.zip(&point.layout.processes) {
        for k in responses.clone() {
            let (low, high) = logs[2 * k * LANES..2 * (k + 1) * LANES].split_at(LANES);
            let to = To {
                product: S::as_mut_simd_f64s(product).0,
                slope: column_mut::<S>(&mut scratch.slopes, k, ORDER > 0),
                curvature: column_mut::<S>(&mut scratch.curvatures, k, ORDER > 1),
            };
            let factor = &point.factors[k];
            match factor {
                Factor::One => (),
                Factor::Low(alpha) => {
                    let low = T::widen(low, narrow_low);
                    exponential::<S, ORDER>(simd, S::as_simd_f64s(low).0, *alpha, -1.0, to);
                }
                Factor::High(alpha) => {
                    let high = T::widen(high, narrow_high);
                    exponential::<S, ORDER>(simd, S::as_simd_f64s(high).0, *alpha, 1.0, to);
                }
                Factor::Linear(weights) => {
                    let low = S::as_simd_f64s(T::widen(low, narrow_low)).0;
                    let high = S::as_simd_f64s(T::widen(high, narrow_high)).0;
                    code4::<S, ORDER>(simd, low, high, weights, to);
                }
            }
        }
    }
}

/// Where the lanes of a response go: multiplied to the product; slope and curvature
/// are empty if not wanted.
struct To<'a, S: Simd> {
    product: &'a mut [S::f64s],
    slope: &'a mut [S::f64s],
    curvature: &'a mut [S::f64s],
}

/// `g = exp(sign log alpha)`, `g'/g = sign log`.
#[inline(always)]
fn exponential<S: Simd, const ORDER: usize>(
    simd: S,
    log: &[S::f64s],
    alpha: f64,
    sign: f64,
    to: To<'_, S>,
) {
    let (alpha, sign) = (F::splat(simd, alpha), F::splat(simd, sign));
    for (i, (log, product)) in log.iter().zip(to.product).enumerate() {
        let slope = F::of(simd, *log) * sign;
        *product = (F::of(simd, *product) * (slope * alpha).exp()).lanes();
        if ORDER > 0 {
            to.slope[i] = slope.lanes();
        }
        if ORDER > 1 {
            to.curvature[i] = (slope * slope).lanes();
        }
    }
}

/// The polynomial of code 4 and its derivatives.
#[inline(always)]
fn code4<S: Simd, const ORDER: usize>(
    simd: S,
    low: &[S::f64s],
    high: &[S::f64s],
    weights: &EndWeights,
    to: To<'_, S>,
) {
    let splat = |x: f64| F::splat(simd, x);
    let low_weights = weights.low.map(|w| w.map(splat));
    let high_weights = weights.high.map(|w| w.map(splat));
    let constant = weights.constant.map(splat);
    for (i, (low, product)) in low.iter().zip(to.product).enumerate() {
        let (low, high) = (F::of(simd, *low), F::of(simd, high[i]));
        let (exp_low, exp_high) = (low.exp(), high.exp());
        let derivative = |order: usize| {
            let [w0, w1, w2] = low_weights[order];
            let value = exp_low.mul_add(low.mul_add(low.mul_add(w2, w1), w0), constant[order]);
            let [w0, w1, w2] = high_weights[order];
            exp_high.mul_add(high.mul_add(high.mul_add(w2, w1), w0), value)
        };
        let value = derivative(0);
        *product = (F::of(simd, *product) * value).lanes();
        if ORDER > 0 {
            let inverse = splat(1.0) / value;
            to.slope[i] = (derivative(1) * inverse).lanes();
            if ORDER > 1 {
                to.curvature[i] = (derivative(2) * inverse).lanes();
            }
        }
    }
}
