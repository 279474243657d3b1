//! What is done to the elements of a matrix product while they are in
//! registers: the element-wise steps of the conditioner, forwards and backwards.

use crate::flow::host::matmul::Epilogue;
use crate::flow::host::tile::TILE;
use crate::host::simd::F;
use pulp::{Simd, WithSimd};

/// Keeps the product.
pub(super) struct Plain<'a>(pub(super) &'a mut [f32]);

impl Epilogue for Plain<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, _: S, at: usize, value: F<S>) {
        value.store(&mut self.0[at..]);
    }
}

/// h, and relu(h) where a block follows.
pub(super) struct Entering<'a> {
    pub(super) hidden: &'a mut [f32],
    pub(super) entry: Option<&'a mut [f32]>,
}

impl Epilogue for Entering<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        value.store(&mut self.hidden[at..]);
        if let Some(entry) = &mut self.entry {
            relu(simd, value).store(&mut entry[at..]);
        }
    }
}

/// dropout(relu(v)).
pub(super) struct Dropping<'a> {
    pub(super) mask: Option<&'a [f32]>,
    pub(super) to: &'a mut [f32],
}

impl Epilogue for Dropping<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        let mut value = relu(simd, value);
        if let Some(mask) = self.mask {
            value = value * F::load(simd, &mask[at..]);
        }
        value.store(&mut self.to[at..]);
    }
}

/// sigmoid(v).
pub(super) struct Gating<'a>(pub(super) &'a mut [f32]);

impl Epilogue for Gating<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, _: S, at: usize, value: F<S>) {
        value.sigmoid().store(&mut self.0[at..]);
    }
}

/// h + gate v, its relu where a block follows, and v itself.
pub(super) struct Adding<'a> {
    pub(super) gate: Option<&'a [f32]>,
    pub(super) update: &'a mut [f32],
    pub(super) hidden: &'a mut [f32],
    pub(super) entry: Option<&'a mut [f32]>,
}

impl Epilogue for Adding<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        value.store(&mut self.update[at..]);
        let hidden = F::load(simd, &self.hidden[at..]);
        let hidden = match self.gate {
            Some(gate) => value.mul_add(F::load(simd, &gate[at..]), hidden),
            None => hidden + value,
        };
        hidden.store(&mut self.hidden[at..]);
        if let Some(entry) = &mut self.entry {
            relu(simd, hidden).store(&mut entry[at..]);
        }
    }
}

/// Gradient through [`Dropping`]: `dropped` is its result.
pub(super) struct ThroughDropping<'a> {
    pub(super) dropped: &'a [f32],
    pub(super) mask: Option<&'a [f32]>,
    pub(super) to: &'a mut [f32],
}

impl Epilogue for ThroughDropping<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        let alive = F::load(simd, &self.dropped[at..]).gt(F::splat(simd, 0.0));
        let value = match self.mask {
            Some(mask) => value * F::load(simd, &mask[at..]),
            None => value,
        };
        alive.keep(value).store(&mut self.to[at..]);
    }
}

/// Gradient through the relu at a block's entry, added to that by h.
pub(super) struct ThroughEntry<'a> {
    pub(super) entry: &'a [f32],
    pub(super) by_hidden: &'a mut [f32],
}

impl Epilogue for ThroughEntry<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        let alive = F::load(simd, &self.entry[at..]).gt(F::splat(simd, 0.0));
        let sum = F::load(simd, &self.by_hidden[at..]) + alive.keep(value);
        sum.store(&mut self.by_hidden[at..]);
    }
}

#[inline(always)]
fn relu<S: Simd>(simd: S, value: F<S>) -> F<S> {
    // this order of the arguments keeps a NaN
    F::splat(simd, 0.0).max(value)
}

/// Gradient of `update * sigmoid(v)` by `update` and by v.
pub(super) struct ThroughGate<'a> {
    pub(super) by_hidden: &'a [f32],
    pub(super) update: &'a [f32],
    /// sigmoid(v)
    pub(super) gate: &'a [f32],
    pub(super) by_update: &'a mut [f32],
    pub(super) by_gate: &'a mut [f32],
    pub(super) columns: usize,
}

impl WithSimd for ThroughGate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let one = F::splat(simd, 1.0);
        for at in (0..TILE * self.columns).step_by(S::F32_LANES) {
            let gradient = F::load(simd, &self.by_hidden[at..]);
            let gate = F::load(simd, &self.gate[at..]);
            let by_update = gradient * gate;
            by_update.store(&mut self.by_update[at..]);
            let by_gate = by_update * F::load(simd, &self.update[at..]) * (one - gate);
            by_gate.store(&mut self.by_gate[at..]);
        }
    }
}
