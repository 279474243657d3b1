//! Matrix products of one tile, all by one kernel, and what is done to their elements
//! while they are in registers: the element-wise steps of the conditioner.
//!
//! `C[r, :] = start + sum_k A(k, r) B[k, :]`: rows of `B` lie on lanes, single
//! values of `A` are broadcast, and a block of `C` stays in registers over the
//! whole sum. Forward products, their input gradients and their weight
//! gradients differ only in what `A`, `B` and `C` are. The sum runs upwards in
//! `k` for every element, whatever the block it is computed in.

use super::tile::TILE;
use sideband_numerics::lanes::{Simd, WithSimd, single::F};

/// The broadcast matrix and its stride.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a> {
    /// `A(k, r)` is at `k * stride + r`.
    ByTerm(&'a [f32], usize),
    /// `A(k, r)` is at `r * stride + k`.
    ByRow(&'a [f32], usize),
}

/// A tile's activations `[TILE, out] = A W + bias`, handed to an epilogue.
pub(super) struct Dense<'a, E> {
    /// `A(k, event)`.
    pub(super) input: Factor<'a>,
    pub(super) terms: usize,
    /// `[terms, columns]`.
    pub(super) weight: &'a [f32],
    /// `[columns]`, or empty for zero.
    pub(super) bias: &'a [f32],
    pub(super) columns: usize,
    pub(super) epilogue: E,
}

/// What happens to an element of the product when it is complete.
pub(super) trait Epilogue {
    /// `at`: place of the first lane in a `[TILE, columns]` buffer.
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>);
}

#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// With what `to` holds.
    Held,
    /// With zero.
    Zero,
    /// With one value a row.
    Rows(&'a [f32]),
}

/// `to[r, :] = start + sum_k A(k, r) B[k, :]` for any number of rows.
pub(super) struct Accumulate<'a> {
    pub(super) factor: Factor<'a>,
    pub(super) terms: usize,
    /// `[terms, columns]`.
    pub(super) lanes: &'a [f32],
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) start: Start<'a>,
    /// `[rows, columns]`.
    pub(super) to: &'a mut [f32],
}

/// Adds `sum_k A(k, r) B[k, :]` to a block of `R` rows and `N` registers. `lanes`:
/// B, its number of columns, and the first one of the block.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "k and r index several arrays")]
fn block<S: Simd, const R: usize, const N: usize>(
    simd: S,
    mut sum: [[F<S>; N]; R],
    factor: Factor,
    first: usize,
    terms: usize,
    lanes: (&[f32], usize, usize),
) -> [[F<S>; N]; R] {
    let (lanes, columns, column) = lanes;
    let lanes = S::as_simd_f32s(lanes).0;
    let (stride, mut at) = (columns / S::F32_LANES, column / S::F32_LANES);
    match factor {
        Factor::ByTerm(values, step) => {
            for k in 0..terms {
                let row = &lanes[at..at + N];
                let values = &values[k * step + first..k * step + first + R];
                for r in 0..R {
                    let value = F::splat(simd, values[r]);
                    for n in 0..N {
                        sum[r][n] = value.mul_add(F::of(simd, row[n]), sum[r][n]);
                    }
                }
                at += stride;
            }
        }
        Factor::ByRow(all, step) => {
            let mut values: [&[f32]; R] = [&[]; R];
            for (r, values) in values.iter_mut().enumerate() {
                *values = &all[(first + r) * step..][..terms];
            }
            for k in 0..terms {
                let row = &lanes[at..at + N];
                for r in 0..R {
                    let value = F::splat(simd, values[r][k]);
                    for n in 0..N {
                        sum[r][n] = value.mul_add(F::of(simd, row[n]), sum[r][n]);
                    }
                }
                at += stride;
            }
        }
    }
    sum
}

impl<E: Epilogue> Dense<'_, E> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const N: usize>(&mut self, simd: S, column: usize) {
        let mut start = [F::splat(simd, 0.0); N];
        if !self.bias.is_empty() {
            for (n, start) in start.iter_mut().enumerate() {
                *start = F::load(simd, &self.bias[column + n * S::F32_LANES..]);
            }
        }
        for first in (0..TILE).step_by(R) {
            let lanes = (self.weight, self.columns, column);
            let sum = block(simd, [start; R], self.input, first, self.terms, lanes);
            // written out: a loop over the rows would have the block in memory
            macro_rules! store {
                ($($r:literal)*) => {$(
                    if $r < R {
                        let at = (first + $r) * self.columns + column;
                        self.store(simd, at, sum[$r]);
                    }
                )*};
            }
            store!(0 1 2 3 4 5 6 7);
        }
    }

    #[inline(always)]
    fn store<S: Simd, const N: usize>(&mut self, simd: S, at: usize, row: [F<S>; N]) {
        for (n, value) in row.into_iter().enumerate() {
            self.epilogue.store(simd, at + n * S::F32_LANES, value);
        }
    }

    #[inline(always)]
    fn run<S: Simd, const R: usize>(&mut self, simd: S) {
        let mut column = 0;
        while column + 2 * S::F32_LANES <= self.columns {
            self.rows::<S, R, 2>(simd, column);
            column += 2 * S::F32_LANES;
        }
        if column < self.columns {
            self.rows::<S, R, 1>(simd, column);
        }
    }
}

impl<E: Epilogue> WithSimd for Dense<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 8>(simd);
        } else {
            self.run::<S, 4>(simd);
        }
    }
}

impl Accumulate<'_> {
    #[inline(always)]
    fn columns<S: Simd, const R: usize, const N: usize>(
        &mut self,
        simd: S,
        first: usize,
        column: usize,
    ) {
        let mut sum = [[F::splat(simd, 0.0); N]; R];
        for (r, row) in sum.iter_mut().enumerate() {
            let row_at = (first + r) * self.columns + column;
            for (n, sum) in row.iter_mut().enumerate() {
                match self.start {
                    Start::Held => *sum = F::load(simd, &self.to[row_at + n * S::F32_LANES..]),
                    Start::Zero => {}
                    Start::Rows(values) => *sum = F::splat(simd, values[first + r]),
                }
            }
        }
        let lanes = (self.lanes, self.columns, column);
        let sum = block(simd, sum, self.factor, first, self.terms, lanes);
        for (r, row) in sum.into_iter().enumerate() {
            let row_at = (first + r) * self.columns + column;
            for (n, value) in row.into_iter().enumerate() {
                value.store(&mut self.to[row_at + n * S::F32_LANES..]);
            }
        }
    }

    /// Computes `R` rows; returns `R`.
    #[inline(always)]
    fn run<S: Simd, const R: usize>(&mut self, simd: S, first: usize) -> usize {
        let mut column = 0;
        while column + 2 * S::F32_LANES <= self.columns {
            self.columns::<S, R, 2>(simd, first, column);
            column += 2 * S::F32_LANES;
        }
        if column < self.columns {
            self.columns::<S, R, 1>(simd, first, column);
        }
        R
    }
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let widest = if S::REGISTER_COUNT >= 32 { 12 } else { 4 };
        let mut first = 0;
        while first < self.rows {
            // blocks of nearly equal height: a low one at the end would wait for
            // its few additions
            let left = self.rows - first;
            first += match left.div_ceil(left.div_ceil(widest)) {
                12 if widest > 4 => self.run::<S, 12>(simd, first),
                11 if widest > 4 => self.run::<S, 11>(simd, first),
                8.. if widest > 4 => self.run::<S, 8>(simd, first),
                6.. if widest > 4 => self.run::<S, 6>(simd, first),
                4.. => self.run::<S, 4>(simd, first),
                3 => self.run::<S, 3>(simd, first),
                2 => self.run::<S, 2>(simd, first),
                _ => self.run::<S, 1>(simd, first),
            };
        }
    }
}

/// Adds the sum over the tile of every column of `from` `[TILE, columns]` to `to`.
pub(super) struct ColumnSum<'a> {
    pub(super) from: &'a [f32],
    pub(super) columns: usize,
    pub(super) to: &'a mut [f32],
}

impl WithSimd for ColumnSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for column in (0..self.columns).step_by(S::F32_LANES) {
            // four sums, or each addition would wait for the one before
            let mut sums = [F::splat(simd, 0.0); 4];
            for first in (0..TILE).step_by(4) {
                for (r, sum) in sums.iter_mut().enumerate() {
                    let row = &self.from[(first + r) * self.columns + column..];
                    *sum = *sum + F::load(simd, row);
                }
            }
            let total = F::load(simd, &self.to[column..]);
            (total + ((sums[0] + sums[1]) + (sums[2] + sums[3]))).store(&mut self.to[column..]);
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

/// h + gate v and v itself, or v where no h was before; and the relu of the sum where a
/// block follows.
pub(super) struct Adding<'a> {
    pub(super) gate: Option<&'a [f32]>,
    /// v, if there was an h.
    pub(super) update: Option<&'a mut [f32]>,
    pub(super) hidden: &'a mut [f32],
    pub(super) entry: Option<&'a mut [f32]>,
}

impl Epilogue for Adding<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, value: F<S>) {
        let mut sum = value;
        if let Some(update) = &mut self.update {
            value.store(&mut update[at..]);
            let hidden = F::load(simd, &self.hidden[at..]);
            sum = match self.gate {
                Some(gate) => value.mul_add(F::load(simd, &gate[at..]), hidden),
                None => hidden + value,
            };
        }
        sum.store(&mut self.hidden[at..]);
        if let Some(entry) = &mut self.entry {
            relu(simd, sum).store(&mut entry[at..]);
        }
    }
}

/// A gradient: through a dropout and a relu, if they were, and added to another one or
/// alone.
pub(super) struct Through<'a> {
    pub(super) mask: Option<&'a [f32]>,
    /// The relu's result.
    pub(super) alive: Option<&'a [f32]>,
    pub(super) added: bool,
    pub(super) to: &'a mut [f32],
}

impl Epilogue for Through<'_> {
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, at: usize, mut value: F<S>) {
        if let Some(mask) = self.mask {
            value = value * F::load(simd, &mask[at..]);
        }
        if let Some(alive) = self.alive {
            let alive = F::load(simd, &alive[at..]).gt(F::splat(simd, 0.0));
            value = alive.keep(value);
        }
        if self.added {
            value = F::load(simd, &self.to[at..]) + value;
        }
        value.store(&mut self.to[at..]);
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
