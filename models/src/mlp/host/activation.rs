//! Activations with their derivatives, and products of elements.

use crate::activation::Activation;
use crate::host::simd::F;
use pulp::{Simd, WithSimd};

/// Slope of a leaky ReLU below zero.
const LEAK: f32 = 0.01;

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
            Activation::Relu => self.each(simd, relu),
            Activation::LeakyRelu => self.each(simd, leaky_relu),
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
fn relu<S: Simd>(simd: S, x: F<S>) -> (F<S>, F<S>) {
    let (zero, one) = (F::splat(simd, 0.0), F::splat(simd, 1.0));
    // this order of the arguments keeps a NaN
    (zero.max(x), x.gt(zero).keep(one))
}

#[inline(always)]
fn leaky_relu<S: Simd>(simd: S, x: F<S>) -> (F<S>, F<S>) {
    let slope = x
        .gt(F::splat(simd, 0.0))
        .select(F::splat(simd, 1.0), F::splat(simd, LEAK));
    (x * slope, slope)
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
