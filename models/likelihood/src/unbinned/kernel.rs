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

mod factors;
mod orders;

use super::layout::{Layout, Response};
use super::sample::{LANES, Stored};
use super::simd::F;
use super::sums::{ROW, Sums};
use crate::Interpolation;
use crate::interpolation::EndWeights;
use factors::products;
use orders::{first_order, second_order};
use pulp::{Simd, WithSimd};

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
    pub(super) factors: Vec<Factor>,
}

/// A response at the point.
pub(super) enum Factor {
    /// Exactly 1.
    One,
    /// `low^-alpha`.
    Low(f64),
    /// `high^alpha`.
    High(f64),
    /// The polynomial of code 4, or a code that adds terms.
    Linear(EndWeights),
}

impl Factor {
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
