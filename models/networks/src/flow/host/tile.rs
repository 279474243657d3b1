//! Tiles of events and the memory they live in.
//!
//! A batch is cut into tiles of [`TILE`] events. Flow variables are kept
//! feature by feature (`[D, TILE]`, events on lanes), the conditioner's
//! activations event by event (`[TILE, H]`, hidden units on lanes), so that
//! neither needs a gather; what passes from one to the other is transposed here.
//! The last tile is filled up with rows of zero.

use sideband_numerics::lanes::single::{F, WIDEST};
use sideband_numerics::lanes::{Simd, WithSimd};

/// Events a tile: two registers of AVX-512, and a tile's activations of 32
/// hidden units fit the first-level cache.
pub(super) const TILE: usize = 32;

/// Hidden widths are padded to a multiple of this number of lanes.
pub(super) const PAD: usize = WIDEST;

/// Rows `first..` of `rows` `[n, stride]`, columns `columns`, as `[columns, TILE]`;
/// zero beyond the last row.
pub(super) fn gather(
    rows: &[f32],
    stride: usize,
    columns: std::ops::Range<usize>,
    first: usize,
    tile: &mut [f32],
) {
    let present = (rows.len() / stride.max(1)).saturating_sub(first).min(TILE);
    for (column, lanes) in columns.zip(tile.chunks_exact_mut(TILE)) {
        let (filled, empty) = lanes.split_at_mut(present);
        for (event, lane) in filled.iter_mut().enumerate() {
            *lane = rows[(first + event) * stride + column];
        }
        empty.fill(0.0);
    }
}

/// Writes a tile `[width, TILE]` back to rows `first..` of `rows` `[n, width]`.
pub(super) fn scatter(tile: &[f32], width: usize, first: usize, rows: &mut [f32]) {
    let rows = rows.chunks_exact_mut(width.max(1)).skip(first).take(TILE);
    for (event, row) in rows.enumerate() {
        for (value, lanes) in row.iter_mut().zip(tile.chunks_exact(TILE)) {
            *value = lanes[event];
        }
    }
}

/// Sets the lanes behind the last event of a batch, in tiles `[D, TILE]`, to one
/// value a feature.
pub(super) fn clear_padding(
    tiles: &mut [f32],
    features: usize,
    events: usize,
    value: impl Fn(usize) -> f32,
) {
    let used = events % TILE;
    if used == 0 {
        return;
    }
    let last = tiles.len() - features * TILE;
    for (feature, lanes) in tiles[last..].chunks_exact_mut(TILE).enumerate() {
        lanes[used..].fill(value(feature));
    }
}

/// Sum over the lanes of a row of a tile, in one order on every machine.
pub(super) fn sum(lanes: &[f32]) -> f32 {
    let mut partial: [f32; TILE] = lanes.try_into().expect("a row of a tile");
    let mut width = TILE / 2;
    while width > 0 {
        for lane in 0..width {
            partial[lane] += partial[lane + width];
        }
        width /= 2;
    }
    partial[0]
}

/// `[TILE, columns]` to `[columns, TILE]`; `columns` is a multiple of [`PAD`].
pub(super) struct Transpose<'a> {
    pub(super) from: &'a [f32],
    pub(super) to: &'a mut [f32],
    pub(super) columns: usize,
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        if lanes < 4 || !TILE.is_multiple_of(lanes) {
            for (column, to) in self.to.chunks_exact_mut(TILE).enumerate() {
                for (event, value) in to.iter_mut().enumerate() {
                    *value = self.from[event * self.columns + column];
                }
            }
            return;
        }
        // Four registers of 4x4 blocks: block b of register k holds four columns
        // of row 4b + k, so that transposing every block leaves whole columns.
        for first in (0..TILE).step_by(lanes) {
            for column in (0..self.columns).step_by(4) {
                let mut blocks = [F::splat(simd, 0.0).lanes(); 4];
                for (k, block) in blocks.iter_mut().enumerate() {
                    let mut pieces = [[0.0f32; 4]; 16];
                    for (b, piece) in pieces[..lanes / 4].iter_mut().enumerate() {
                        let at = (first + 4 * b + k) * self.columns + column;
                        piece.copy_from_slice(&self.from[at..at + 4]);
                    }
                    *block = F::load(simd, pieces.as_flattened()).lanes();
                }
                let blocks = simd.deinterleave_shfl_f32s(blocks);
                for (j, block) in blocks.into_iter().enumerate() {
                    F::of(simd, block).store(&mut self.to[(column + j) * TILE + first..]);
                }
            }
        }
    }
}
