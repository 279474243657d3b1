//! Batch norm between a layer's product and its activation; see
//! [`batch_norm`](crate::stack::batch_norm) for what it computes.
//!
//! Matrices are `[rows, width + 1]`; the last column is left as it is.

use crate::stack::batch_norm::{EPSILON, MOMENTUM};

/// The batch norm of one layer in a training step.
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
        let new = mean
            .iter()
            .copied()
            .chain(variance.iter().map(|v| v * unbiased));
        self.running.clear();
        self.running.extend(
            running
                .iter()
                .zip(new)
                .map(|(old, new)| (f64::from(*old) * (1.0 - MOMENTUM) + new * MOMENTUM) as f32),
        );
        self.inverse.clear();
        self.inverse
            .extend(variance.iter().map(|v| (v + EPSILON).sqrt().recip()));
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

    /// Normalises by running statistics.
    pub(super) fn evaluate(&self, affine: &[f32], running: &[f32], z: &mut [f32]) {
        let width = affine.len() / 2;
        let (gain, shift) = affine.split_at(width);
        let (mean, variance) = running.split_at(width);
        let scale: Vec<f32> = gain
            .iter()
            .zip(variance)
            .map(|(gain, variance)| gain / (variance + EPSILON as f32).sqrt())
            .collect();
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
