//! The linear step: a fixed permutation, then y = L (U x) + b.
//!
//! L is unit lower triangular; U is upper triangular with the diagonal
//! softplus(theta) + 1e-3. The D x D matrices are multiplied out, and inverted,
//! once a batch in f64; an event only meets their f32 product.

use super::matmul::{Accumulate, Factor, Start};
use super::tile::{self, TILE};
use crate::buffer::Buffer;
use crate::flow::DIAGONAL_MINIMUM;
use sideband_numerics::lanes::{Arch, Simd, WithSimd, double::softplus, single::F};

pub(super) fn parameters(features: usize) -> usize {
    features * features.saturating_sub(1) + 2 * features
}

/// y = M x + b and what its gradient needs.
#[derive(Default)]
pub(super) struct Linear {
    features: usize,
    /// L and U, each `[D, D]`.
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// d diagonal / d theta.
    slope: Vec<f64>,
    permutation: Vec<usize>,
    /// M with the permutation in it, `[D, D]`, and b.
    matrix: Vec<f32>,
    bias: Vec<f32>,
    /// ln |det M|.
    pub(super) log_det: f64,
}

/// Sums of a gradient over the events of a lane: by M `[D, D, TILE]` and by b
/// `[D, TILE]`.
#[derive(Default)]
pub(super) struct LinearSums {
    matrix: Buffer,
    bias: Buffer,
    values: Vec<f64>,
}

impl Linear {
    /// Reads a step's parameters and its permutation.
    pub(super) fn read(&mut self, features: usize, parameters: &[f32], permutation: &[f32]) {
        let d = features;
        let triangle = d * d.saturating_sub(1) / 2;
        let (lower, rest) = parameters.split_at(triangle);
        let (upper, rest) = rest.split_at(triangle);
        let (diagonal, bias) = rest.split_at(d);
        self.features = d;
        for values in [&mut self.lower, &mut self.upper] {
            values.clear();
            values.resize(d * d, 0.0);
        }
        self.slope.clear();
        self.permutation.clear();
        self.bias.clear();
        let permutation = permutation.iter().map(|index| *index as usize);
        self.permutation.extend(permutation);
        self.bias.extend_from_slice(bias);
        self.log_det = 0.0;
        let (mut below, mut above) = (lower.iter(), upper.iter());
        for (row, theta) in diagonal.iter().enumerate() {
            let (entry, slope) = softplus(f64::from(*theta));
            let entry = entry + DIAGONAL_MINIMUM;
            self.slope.push(slope);
            self.log_det += entry.ln();
            self.lower[row * d + row] = 1.0;
            self.upper[row * d + row] = entry;
            let left = below.by_ref().take(row);
            for (to, value) in self.lower[row * d..].iter_mut().zip(left) {
                *to = f64::from(*value);
            }
            let right = above.by_ref().take(d - row - 1);
            for (to, value) in self.upper[row * d + row + 1..].iter_mut().zip(right) {
                *to = f64::from(*value);
            }
        }
        self.matrix.clear();
        self.matrix.resize(d * d, 0.0);
        for row in 0..d {
            for column in 0..d {
                let term = |k: usize| self.lower[row * d + k] * self.upper[k * d + column];
                let sum: f64 = (0..=row.min(column)).map(term).sum();
                self.matrix[row * d + self.permutation[column]] = sum as f32;
            }
        }
    }

    pub(super) fn invert(&mut self) {
        let d = self.features;
        let mut column = std::mem::take(&mut self.slope);
        let bias = std::mem::take(&mut self.bias);
        self.bias.resize(d, 0.0);
        // one solution of L U v = e_i a column, and one for the bias
        for right in 0..=d {
            column.clear();
            column.extend((0..d).map(|row| match right {
                right if right == d => -f64::from(bias[row]),
                right => f64::from(u8::from(row == right)),
            }));
            for row in 0..d {
                for k in 0..row {
                    column[row] -= self.lower[row * d + k] * column[k];
                }
            }
            for row in (0..d).rev() {
                for k in row + 1..d {
                    column[row] -= self.upper[row * d + k] * column[k];
                }
                column[row] /= self.upper[row * d + row];
            }
            for (row, value) in column.iter().enumerate() {
                let row = self.permutation[row];
                match right {
                    right if right == d => self.bias[row] = *value as f32,
                    right => self.matrix[row * d + right] = *value as f32,
                }
            }
        }
        self.slope = column;
        self.log_det = -self.log_det;
    }

    /// M as it acts on rows from the right.
    pub(super) fn transposed(&self) -> Vec<f32> {
        let d = self.features;
        let cell = |cell: usize| self.matrix[cell % d * d + cell / d];
        (0..d * d).map(cell).collect()
    }

    /// `to = M x + b` for one tile `[D, TILE]`.
    pub(super) fn apply(&self, arch: Arch, x: &[f32], to: &mut [f32]) {
        arch.dispatch(Accumulate {
            factor: Factor::ByRow(&self.matrix, self.features),
            terms: self.features,
            lanes: x,
            columns: TILE,
            rows: self.features,
            start: Start::Rows(&self.bias),
            to,
        });
    }

    pub(super) fn begin(&self, sums: &mut LinearSums) {
        sums.matrix.zeros(self.features * self.features * TILE);
        sums.bias.zeros(self.features * TILE);
    }

    /// Adds a tile to the sums; `to` becomes the gradient by x, from the
    /// gradient by y.
    pub(super) fn backward(
        &self,
        arch: Arch,
        x: &[f32],
        gradient: &[f32],
        to: &mut [f32],
        sums: &mut LinearSums,
    ) {
        let d = self.features;
        arch.dispatch(Outer {
            x,
            gradient,
            matrix: sums.matrix.get(d * d * TILE),
            bias: sums.bias.get(d * TILE),
        });
        arch.dispatch(Accumulate {
            factor: Factor::ByTerm(&self.matrix, d),
            terms: d,
            lanes: gradient,
            columns: TILE,
            rows: d,
            start: Start::Zero,
            to,
        });
    }

    /// Writes the gradient by the parameters. `by_log_det`: gradient by the
    /// logarithm of the determinant, summed over the batch.
    pub(super) fn finish(&self, sums: &mut LinearSums, by_log_det: f64, gradient: &mut [f32]) {
        let d = self.features;
        let by_matrix = &mut sums.values;
        by_matrix.clear();
        let lanes = sums.matrix.held(d * d * TILE).chunks_exact(TILE);
        by_matrix.extend(lanes.map(|lanes| f64::from(tile::sum(lanes))));
        // gradient by (L U)[row, k], whose column k acts on x[permutation[k]]
        let product = |row: usize, k: usize| by_matrix[row * d + self.permutation[k]];
        let triangle = d * d.saturating_sub(1) / 2;
        let (lower, rest) = gradient.split_at_mut(triangle);
        let (upper, rest) = rest.split_at_mut(triangle);
        let (diagonal, bias) = rest.split_at_mut(d);
        let (mut lower, mut upper) = (lower.iter_mut(), upper.iter_mut());
        for (row, by_diagonal) in diagonal.iter_mut().enumerate() {
            for (column, to) in lower.by_ref().take(row).enumerate() {
                let u = &self.upper[column * d..];
                *to = (column..d).map(|k| product(row, k) * u[k]).sum::<f64>() as f32;
            }
            let by_upper = |column: usize| -> f64 {
                let l = |k: usize| self.lower[k * d + row];
                (row..d).map(|k| l(k) * product(k, column)).sum()
            };
            for (column, to) in (row + 1..d).zip(upper.by_ref()) {
                *to = by_upper(column) as f32;
            }
            let entry = self.upper[row * d + row];
            *by_diagonal = (self.slope[row] * (by_upper(row) + by_log_det / entry)) as f32;
        }
        let lanes = sums.bias.held(d * TILE).chunks_exact(TILE);
        for (value, lanes) in bias.iter_mut().zip(lanes) {
            *value = tile::sum(lanes);
        }
    }
}

/// Adds `gradient_i x_j` to `matrix[i, j]` and `gradient_i` to `bias[i]`, lane by lane.
struct Outer<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    matrix: &'a mut [f32],
    bias: &'a mut [f32],
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for lane in (0..TILE).step_by(S::F32_LANES) {
            let mut sums = self.matrix.chunks_exact_mut(TILE);
            let rows = self.gradient.chunks_exact(TILE);
            for (by_y, bias) in rows.zip(self.bias.chunks_exact_mut(TILE)) {
                let by_y = F::load(simd, &by_y[lane..]);
                let bias = &mut bias[lane..];
                (F::load(simd, bias) + by_y).store(bias);
                for (x, sum) in self.x.chunks_exact(TILE).zip(sums.by_ref()) {
                    let sum = &mut sum[lane..];
                    by_y.mul_add(F::load(simd, &x[lane..]), F::load(simd, sum))
                        .store(sum);
                }
            }
        }
    }
}
