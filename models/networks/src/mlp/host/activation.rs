//! Activations with their derivatives, and products of elements.

use crate::activation::Activation;
use crate::host::simd::F;
use pulp::{Simd, WithSimd};

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

/// Replaces every `value` by itself above zero and by `below` times itself elsewhere.
/// Whole registers.
pub(super) struct Bend<'a> {
    pub(super) below: f32,
    pub(super) value: &'a mut [f32],
}

impl WithSimd for Bend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for value in S::as_mut_simd_f32s(self.value).0 {
            *value = bent(simd, F::of(simd, *value), self.below).0.lanes();
        }
    }
}

/// Multiplies every element of `to` by the derivative of a [`Bend`], one where `value` is
/// above zero and `below` elsewhere. Lengths are whole registers.
pub(super) struct BendBack<'a> {
    pub(super) below: f32,
    pub(super) value: &'a [f32],
    pub(super) to: &'a mut [f32],
}

impl WithSimd for BendBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, below) = (F::splat(simd, 0.0), F::splat(simd, self.below));
        let values = S::as_simd_f32s(self.value).0;
        let products = S::as_mut_simd_f32s(self.to).0;
        for (value, product) in values.iter().zip(products) {
            let by_value = F::of(simd, *product);
            let above = F::of(simd, *value).gt(zero);
            *product = above.select(by_value, by_value * below).lanes();
        }
    }
}

/// Replaces every `value` by its activation, and `slope` by the derivative there.
/// Lengths are whole registers.
pub(super) struct Activate<'a> {
    pub(super) activation: Activation,
    pub(super) value: &'a mut [f32],
    pub(super) slope: &'a mut [f32],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.activation {
            Activation::Relu => self.each(simd, |_, x| bent(simd, x, 0.0)),
            Activation::LeakyRelu => self.each(simd, |_, x| bent(simd, x, LEAK)),
            Activation::Silu => self.each(simd, silu),
            Activation::Gelu => self.each(simd, |_, x| gelu(x)),
            Activation::Tanh => self.each(simd, tanh),
            Activation::Softplus => self.each(simd, |_, x| x.softplus()),
        }
    }
}

impl Activate<'_> {
    #[inline(always)]
    fn each<S: Simd>(self, simd: S, function: impl Fn(S, F<S>) -> (F<S>, F<S>)) {
        let values = S::as_mut_simd_f32s(self.value).0;
        let slopes = S::as_mut_simd_f32s(self.slope).0;
        for (value, slope) in values.iter_mut().zip(slopes) {
            let (y, derivative) = function(simd, F::of(simd, *value));
            *value = y.lanes();
            *slope = derivative.lanes();
        }
    }
}

#[inline(always)]
fn bent<S: Simd>(simd: S, x: F<S>, below: f32) -> (F<S>, F<S>) {
    let zero = F::splat(simd, 0.0);
    let slope = x
        .gt(zero)
        .select(F::splat(simd, 1.0), F::splat(simd, below));
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

/// Multiplies every element of `to` by that of `factor`. Lengths are whole registers.
pub(super) struct Multiply<'a> {
    pub(super) factor: &'a [f32],
    pub(super) to: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factors = S::as_simd_f32s(self.factor).0;
        let products = S::as_mut_simd_f32s(self.to).0;
        for (factor, product) in factors.iter().zip(products) {
            *product = (F::of(simd, *factor) * F::of(simd, *product)).lanes();
        }
    }
}
