//! The densities of a chunk of events and what they add to the sums, in lanes.
//!
//! Per process `P_j = r_j prod_k g_jk`, `q = sum_j v_j P_j`; of a function `phi(q)`
//! with weight `w`
//!
//! - by `v_j`: `w phi' P_j`,
//! - by `alpha_k`: `w phi' sum_j v_j P_j d_jk`, where `d = g'/g`,
//! - twice: `w phi'' q_a q_b + w phi' q_ab`, where `q_ab` is `P_j d_jk` for a rate and
//!   a parameter, `sum_j v_j P_j d_jk d_jl` for two parameters, and with `g''/g`
//!   instead of `d^2` for a parameter with itself.

use super::places::{ROW, Sums};
use super::sample::{LANES, Layout, Response, Stored};
use crate::Interpolation;
use crate::interpolation::EndWeights;
use sideband_numerics::lanes::{Simd, WithSimd, double::F};

/// The function of the density whose weighted sum is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Transform {
    /// `q`.
    Identity,
    /// `ln q`; not a number where `q` is not positive.
    Log,
    /// `ln q`, continued below the threshold as its tangent there.
    Barrier(f64),
}

impl Transform {
    /// Below which density it is no logarithm any more.
    pub(super) fn threshold(self) -> f64 {
        match self {
            Self::Barrier(threshold) => threshold,
            Self::Log | Self::Identity => 0.0,
        }
    }
}

/// A point as the events see it.
pub(super) struct Point<'a> {
    pub(super) layout: &'a Layout,
    /// `v_j`.
    pub(super) rates: &'a [f64],
    /// One per response.
    pub(super) factors: Vec<ResponseFactor>,
}

/// A response at the point.
pub(super) enum ResponseFactor {
    /// Exactly 1.
    One,
    /// `low^-alpha`.
    Low(f64),
    /// `high^alpha`.
    High(f64),
    /// The polynomial of code 4, or a code that adds terms.
    Linear(EndWeights),
}

impl ResponseFactor {
    /// At `alpha`; a factor of 1 has no derivatives, so that it is used only if
    /// just the `value` is wanted.
    pub(super) fn new(response: &Response, alpha: f64, value: bool) -> Self {
        let code = response.interpolation;
        if value && alpha == 0.0 {
            Self::One
        } else if !code.is_factor() {
            Self::Linear(EndWeights::additive(code, alpha))
        } else if code == Interpolation::Code4 && alpha.abs() < 1.0 {
            Self::Linear(EndWeights::code4(alpha))
        } else if alpha < 0.0 {
            Self::Low(alpha)
        } else {
            Self::High(alpha)
        }
    }
}

/// Memory of one thread.
pub(super) struct Scratch {
    /// `P_j`, `[J, LANES]`.
    products: Vec<f64>,
    /// `g'/g`, `[responses, LANES]`.
    slopes: Vec<f64>,
    /// `g''/g`, `[responses, LANES]`.
    curvatures: Vec<f64>,
    /// `w phi'` and `w phi''`, `[LANES]`.
    first: Vec<f64>,
    second: Vec<f64>,
    /// Gradient of `q` by rates and slots, and times `w phi''`: `[M, LANES]`.
    gradient: Vec<f64>,
    scaled: Vec<f64>,
    /// `w phi' P_j d_jk` of one response, `[LANES]`.
    weighted: Vec<f64>,
    /// Two widened columns.
    narrow: Vec<f64>,
}

impl Scratch {
    /// For derivatives up to `order`.
    pub(super) fn new(layout: &Layout, order: usize) -> Self {
        let zeros = |columns: usize, from: usize| {
            vec![0.0; if order >= from { columns * LANES } else { 0 }]
        };
        let (responses, dimension) = (layout.responses.len(), layout.dimension());
        Self {
            products: zeros(layout.processes.len(), 0),
            slopes: zeros(responses, 1),
            curvatures: zeros(responses, 2),
            first: zeros(1, 0),
            second: zeros(1, 0),
            gradient: zeros(dimension, 2),
            scaled: zeros(dimension, 2),
            weighted: zeros(1, 2),
            narrow: zeros(2, 0),
        }
    }
}

/// Adds the events of some chunks to the sums.
pub(super) struct Accumulate<'a, T, const ORDER: usize> {
    pub(super) point: &'a Point<'a>,
    pub(super) transform: Transform,
    pub(super) densities: &'a [f64],
    pub(super) logs: &'a [T],
    pub(super) scratch: &'a mut Scratch,
    pub(super) sums: &'a mut [f64],
}

impl<T: Stored, const ORDER: usize> WithSimd for Accumulate<'_, T, ORDER> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (layout, scratch) = (self.point.layout, self.scratch);
        let places = Sums::new(layout);
        for (densities, logs) in chunks(layout, self.densities, self.logs) {
            let (weights, ratios) = densities.split_at(LANES);
            products::<S, T, ORDER>(simd, self.point, ratios, logs, scratch);
            transform(
                simd,
                self.point,
                self.transform,
                weights,
                scratch,
                self.sums,
            );
            if ORDER > 1 {
                second_order(simd, self.point, &places, scratch, self.sums);
            }
            if ORDER > 0 {
                first_order(simd, layout, &places, scratch, self.sums);
            }
        }
    }
}

/// Writes the densities `q` of some chunks.
pub(super) struct Densities<'a, T> {
    pub(super) point: &'a Point<'a>,
    pub(super) densities: &'a [f64],
    pub(super) logs: &'a [T],
    pub(super) scratch: &'a mut Scratch,
    pub(super) to: &'a mut [f64],
}

impl<T: Stored> WithSimd for Densities<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let chunks = chunks(self.point.layout, self.densities, self.logs);
        for ((densities, logs), to) in chunks.zip(self.to.chunks_exact_mut(LANES)) {
            let ratios = &densities[LANES..];
            products::<S, T, 0>(simd, self.point, ratios, logs, self.scratch);
            for (lane, to) in S::as_mut_simd_f64s(to).0.iter_mut().enumerate() {
                *to = density(simd, self.point, &self.scratch.products, lane).lanes();
            }
        }
    }
}

/// Chunk by chunk weights with ratios, and logarithms.
#[inline(always)]
fn chunks<'a, T>(
    layout: &Layout,
    densities: &'a [f64],
    logs: &'a [T],
) -> impl Iterator<Item = (&'a [f64], &'a [T])> {
    let (each, stride) = (
        (1 + layout.processes.len()) * LANES,
        2 * layout.responses.len() * LANES,
    );
    let chunks = densities.chunks_exact(each).enumerate();
    chunks.map(move |(i, densities)| (densities, &logs[i * stride..(i + 1) * stride]))
}

/// `q` of one register of events.
#[inline(always)]
fn density<S: Simd>(simd: S, point: &Point<'_>, products: &[f64], lane: usize) -> F<S> {
    let mut q = F::splat(simd, 0.0);
    for (product, rate) in products.chunks_exact(LANES).zip(point.rates) {
        let product = F::of(simd, S::as_simd_f64s(product).0[lane]);
        q = product.mul_add(F::splat(simd, *rate), q);
    }
    q
}

/// Adds `w phi(q)` to the first sum; keeps `w phi'` and `w phi''`. An event of weight
/// 0 adds nothing, whatever its density.
#[inline(always)]
fn transform<S: Simd>(
    simd: S,
    point: &Point<'_>,
    transform: Transform,
    weights: &[f64],
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let (zero, one) = (F::splat(simd, 0.0), F::splat(simd, 1.0));
    let first = S::as_mut_simd_f64s(&mut scratch.first).0;
    let second = S::as_mut_simd_f64s(&mut scratch.second).0;
    let sum = &mut S::as_mut_simd_f64s(&mut sums[..ROW]).0[0];
    for (lane, weight) in S::as_simd_f64s(weights).0.iter().enumerate() {
        let q = density(simd, point, &scratch.products, lane);
        let (value, slope, curvature) = match transform {
            Transform::Identity => (q, one, zero),
            Transform::Log => {
                let inverse = one / q;
                (q.ln(), inverse, -(inverse * inverse))
            }
            Transform::Barrier(threshold) => barrier(F::splat(simd, threshold), q),
        };
        let weight = F::of(simd, *weight);
        let none = weight.abs().le(zero);
        let add = none.select(zero, weight * value);
        *sum = (F::of(simd, *sum) + add).lanes();
        first[lane] = none.select(zero, weight * slope).lanes();
        second[lane] = none.select(zero, weight * curvature).lanes();
    }
}

/// `ln q` with two derivatives, below the threshold its tangent there.
#[inline(always)]
fn barrier<S: Simd>(threshold: F<S>, q: F<S>) -> (F<S>, F<S>, F<S>) {
    let (zero, one) = (q.constant(0.0), q.constant(1.0));
    let above = q.ge(threshold);
    let raised = above.select(q, threshold);
    let inverse = one / raised;
    let value = raised.ln() + (q - raised) * inverse;
    let curvature = above.select(-(inverse * inverse), zero);
    (value, inverse, curvature)
}

#[inline(always)]
fn column<S: Simd>(of: &[f64], column: usize) -> &[S::f64s] {
    S::as_simd_f64s(&of[column * LANES..(column + 1) * LANES]).0
}

#[inline(always)]
fn column_mut<S: Simd>(of: &mut [f64], column: usize, wanted: bool) -> &mut [S::f64s] {
    let lanes = column * LANES..(column + 1) * LANES;
    let lanes = if wanted { &mut of[lanes] } else { &mut [] };
    S::as_mut_simd_f64s(lanes).0
}

/// `P_j` with, for the derivatives wanted, `g'/g` and `g''/g`.
#[inline(always)]
fn products<S: Simd, T: Stored, const ORDER: usize>(
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
                ResponseFactor::One => (),
                ResponseFactor::Low(alpha) => {
                    let low = T::widen(low, narrow_low);
                    exponential::<S, ORDER>(simd, S::as_simd_f64s(low).0, *alpha, -1.0, to);
                }
                ResponseFactor::High(alpha) => {
                    let high = T::widen(high, narrow_high);
                    exponential::<S, ORDER>(simd, S::as_simd_f64s(high).0, *alpha, 1.0, to);
                }
                ResponseFactor::Linear(weights) => {
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

/// Adds the first derivatives; leaves `w phi' P_j` in the place of `P_j`.
#[inline(always)]
fn first_order<S: Simd>(
    simd: S,
    layout: &Layout,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let products = scratch.products.chunks_exact_mut(LANES).enumerate();
    for (j, product) in products {
        let product = S::as_mut_simd_f64s(product).0;
        let first = S::as_simd_f64s(&scratch.first).0;
        let mut sum = F::splat(simd, 0.0);
        for (product, first) in product.iter_mut().zip(first) {
            let weighted = F::of(simd, *product) * F::of(simd, *first);
            sum = sum + weighted;
            *product = weighted.lanes();
        }
        let row = places.row(sums, places.rate(j));
        (F::load(simd, row) + sum).store(row);
        for k in layout.processes[j].clone() {
            let slope = column::<S>(&scratch.slopes, k);
            dot::<S>(simd, product, slope, places.row(sums, places.response(k)));
        }
    }
}

/// Adds the second derivatives.
#[inline(always)]
fn second_order<S: Simd>(
    simd: S,
    point: &Point<'_>,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    density_gradient(simd, point, scratch);
    let second = S::as_simd_f64s(&scratch.second).0;
    for a in 0..point.layout.dimension() {
        let row = column::<S>(&scratch.gradient, a);
        let scaled = column_mut::<S>(&mut scratch.scaled, a, true);
        for ((to, row), second) in scaled.iter_mut().zip(row).zip(second) {
            *to = (F::of(simd, *row) * F::of(simd, *second)).lanes();
        }
        for b in 0..=a {
            let other = column::<S>(&scratch.gradient, b);
            dot::<S>(simd, scaled, other, places.row(sums, places.outer(a, b)));
        }
    }
    for j in 0..point.layout.processes.len() {
        within_process(simd, point.layout, j, places, scratch, sums);
    }
}

/// The gradient of `q` by rates and slots.
#[inline(always)]
fn density_gradient<S: Simd>(simd: S, point: &Point<'_>, scratch: &mut Scratch) {
    let processes = point.layout.processes.len();
    let (rates, slots) = scratch.gradient.split_at_mut(processes * LANES);
    rates.copy_from_slice(&scratch.products);
    slots.fill(0.0);
    for (j, responses) in point.layout.processes.iter().enumerate() {
        let rate = F::splat(simd, point.rates[j]);
        let product = column::<S>(&scratch.products, j);
        for k in responses.clone() {
            let slope = column::<S>(&scratch.slopes, k);
            let to = column_mut::<S>(slots, point.layout.responses[k].slot, true);
            for ((to, slope), product) in to.iter_mut().zip(slope).zip(product) {
                let by_rate = F::of(simd, *product) * F::of(simd, *slope);
                *to = by_rate.mul_add(rate, F::of(simd, *to)).lanes();
            }
        }
    }
}

/// The second derivatives of `P_j` by the parameters of its responses.
#[inline(always)]
fn within_process<S: Simd>(
    simd: S,
    layout: &Layout,
    process: usize,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let responses = layout.processes[process].clone();
    let product = column::<S>(&scratch.products, process);
    let first = S::as_simd_f64s(&scratch.first).0;
    for k in responses.clone() {
        let slope = column::<S>(&scratch.slopes, k);
        let curvature = column::<S>(&scratch.curvatures, k);
        let weighted = S::as_mut_simd_f64s(&mut scratch.weighted).0;
        let mut diagonal = F::splat(simd, 0.0);
        for (lane, to) in weighted.iter_mut().enumerate() {
            let weight = F::of(simd, product[lane]) * F::of(simd, first[lane]);
            diagonal = weight.mul_add(F::of(simd, curvature[lane]), diagonal);
            *to = (weight * F::of(simd, slope[lane])).lanes();
        }
        let row = places.row(sums, places.within(process, k, k));
        (F::load(simd, row) + diagonal).store(row);
        for l in responses.start..k {
            let other = column::<S>(&scratch.slopes, l);
            dot::<S>(
                simd,
                weighted,
                other,
                places.row(sums, places.within(process, k, l)),
            );
        }
    }
}

/// Adds the products of two columns to a row of sums.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[S::f64s], b: &[S::f64s], row: &mut [f64]) {
    let mut sum = F::load(simd, row);
    for (a, b) in a.iter().zip(b) {
        sum = F::of(simd, *a).mul_add(F::of(simd, *b), sum);
    }
    sum.store(row);
}
