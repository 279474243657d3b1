//! Batch normalisation of the flow variables.
//!
//! y = s (x - mean)/sqrt(variance + 1e-5) + shift with s = softplus(gain) + 1e-5,
//! and ln s - ln(variance + 1e-5)/2 in the log-determinant of every row. In
//! training mean and (unbiased) variance are the batch's, and the gradient
//! passes through both; event weights do not enter them.
//!
//! Source: Ioffe and Szegedy, arXiv:1502.03167; as a flow, Papamakarios et al.,
//! arXiv:1705.07057.

use super::tile::{self, TILE};
use crate::host::Buffer;
use crate::host::simd::{F, softplus};
use pulp::{Arch, Simd, WithSimd};

const MIN_GAIN: f64 = 1e-5;
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// y = (x - centre) factor + offset, feature by feature.
#[derive(Default)]
pub(super) struct BatchNorm {
    centre: Vec<f32>,
    factor: Vec<f32>,
    offset: Vec<f32>,
    /// s, d s / d gain and 1/sqrt(variance + epsilon).
    gain: Vec<f64>,
    slope: Vec<f64>,
    narrow: Vec<f64>,
    /// Logarithm of the determinant.
    pub(super) log_det: f64,
}

/// Sums over the events of a lane, each `[D, TILE]`.
#[derive(Default)]
pub(super) struct Sums {
    first: Buffer,
    second: Buffer,
    values: Vec<f32>,
}

impl BatchNorm {
    /// Reads a step's parameters `[gain, shift]`.
    pub(super) fn read(&mut self, parameters: &[f32]) {
        let (gain, shift) = parameters.split_at(parameters.len() / 2);
        self.offset.clear();
        self.offset.extend_from_slice(shift);
        self.gain.clear();
        self.slope.clear();
        for theta in gain.iter().map(|gain| f64::from(*gain)) {
            let (value, slope) = softplus(theta);
            self.gain.push(value + MIN_GAIN);
            self.slope.push(slope);
        }
    }

    /// Normalises by given means and variances.
    fn set(&mut self, mean: &[f32], variance: impl Iterator<Item = f64>) {
        self.centre.clear();
        self.centre.extend_from_slice(mean);
        self.factor.clear();
        self.narrow.clear();
        self.log_det = 0.0;
        for (gain, variance) in self.gain.iter().zip(variance) {
            let narrow = (variance + EPSILON).sqrt().recip();
            self.narrow.push(narrow);
            self.factor.push((gain * narrow) as f32);
            self.log_det += (gain * narrow).ln();
        }
    }

    /// Normalises by the running statistics `[mean, variance]`.
    pub(super) fn running(&mut self, statistics: &[f32]) {
        let (mean, variance) = statistics.split_at(statistics.len() / 2);
        self.set(mean, variance.iter().map(|value| f64::from(*value)));
    }

    /// Normalises by the moments of a batch and updates the running ones.
    /// `x`: tiles `[D, TILE]` with `events` events in all; the lanes behind the
    /// last event are set to the mean.
    pub(super) fn batch(
        &mut self,
        arch: Arch,
        x: &mut [f32],
        events: usize,
        statistics: &mut [f32],
        sums: &mut Sums,
    ) {
        let d = self.gain.len();
        let (running_mean, running_variance) = statistics.split_at_mut(d);
        tile::clear_padding(x, d, events, |_| 0.0);
        let first = sums.first.zeros(d * TILE);
        for tile in x.chunks_exact(d * TILE) {
            arch.dispatch(AddTo {
                from: tile,
                to: first,
            });
        }
        sums.values.clear();
        let lanes = first.chunks_exact(TILE);
        let mean = lanes.map(|lanes| tile::sum(lanes) / events as f32);
        sums.values.extend(mean);
        tile::clear_padding(x, d, events, |feature| sums.values[feature]);
        let second = sums.second.zeros(d * TILE);
        for tile in x.chunks_exact(d * TILE) {
            arch.dispatch(AddSquares {
                from: tile,
                mean: &sums.values,
                to: second,
            });
        }
        let unbiased = events.saturating_sub(1).max(1) as f64;
        let variance = |feature: usize| {
            f64::from(tile::sum(&second[feature * TILE..(feature + 1) * TILE])) / unbiased
        };
        let update = |running: &mut f32, value: f64| {
            *running = ((1.0 - MOMENTUM) * f64::from(*running) + MOMENTUM * value) as f32;
        };
        for feature in 0..d {
            update(&mut running_mean[feature], f64::from(sums.values[feature]));
            update(&mut running_variance[feature], variance(feature));
        }
        self.set(&sums.values, (0..d).map(variance));
    }

    /// Replaces the map by its inverse.
    pub(super) fn invert(&mut self) {
        std::mem::swap(&mut self.centre, &mut self.offset);
        for (factor, (gain, narrow)) in self
            .factor
            .iter_mut()
            .zip(self.gain.iter().zip(&self.narrow))
        {
            *factor = (gain * narrow).recip() as f32;
        }
        self.log_det = -self.log_det;
    }

    /// `to = (x - centre) factor + offset` for one tile `[D, TILE]`.
    pub(super) fn apply(&self, arch: Arch, x: &[f32], to: &mut [f32]) {
        arch.dispatch(Affine { norm: self, x, to });
    }

    /// Gradient of a batch normalised by its own moments: replaces that by y by
    /// that by x, and writes that by the parameters. `by_log_det`: gradient by
    /// the log-determinant, summed over the batch.
    #[expect(
        clippy::too_many_arguments,
        reason = "a batch and the places of its gradients"
    )]
    pub(super) fn backward(
        &self,
        arch: Arch,
        x: &[f32],
        events: usize,
        by_log_det: f64,
        gradient: &mut [f32],
        sums: &mut Sums,
        by_parameters: &mut [f32],
    ) {
        let d = self.gain.len();
        let (first, second) = (sums.first.zeros(d * TILE), sums.second.zeros(d * TILE));
        for (x, by_y) in x
            .chunks_exact(d * TILE)
            .zip(gradient.chunks_exact(d * TILE))
        {
            arch.dispatch(AddGradients {
                norm: self,
                x,
                by_y,
                plain: first,
                scaled: second,
            });
        }
        // by_x = factor by_y + constant + slope (x - mean)
        sums.values.clear();
        let unbiased = events.saturating_sub(1).max(1) as f64;
        let rows = first.chunks_exact(TILE).zip(second.chunks_exact(TILE));
        for (feature, (plain, scaled)) in rows.enumerate() {
            let (gain, narrow) = (self.gain[feature], self.narrow[feature]);
            let plain = f64::from(tile::sum(plain));
            let scaled = f64::from(tile::sum(scaled)) * narrow;
            by_parameters[feature] = (self.slope[feature] * (scaled + by_log_det / gain)) as f32;
            by_parameters[d + feature] = plain as f32;
            let constant = -gain * narrow * plain / events as f64;
            let slope = -(gain * scaled + by_log_det) * narrow * narrow / unbiased;
            sums.values.extend([constant as f32, slope as f32]);
        }
        for (x, gradient) in x
            .chunks_exact(d * TILE)
            .zip(gradient.chunks_exact_mut(d * TILE))
        {
            arch.dispatch(ThroughNorm {
                norm: self,
                x,
                terms: &sums.values,
                gradient,
            });
        }
        tile::clear_padding(gradient, d, events, |_| 0.0);
    }
}

/// Adds a tile to lane sums.
struct AddTo<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for AddTo<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.from.chunks_exact(S::F32_LANES);
        for (from, to) in rows.zip(self.to.chunks_exact_mut(S::F32_LANES)) {
            (F::load(simd, to) + F::load(simd, from)).store(to);
        }
    }
}

/// Adds `(from - mean)^2` to lane sums.
struct AddSquares<'a> {
    from: &'a [f32],
    mean: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for AddSquares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self
            .from
            .chunks_exact(TILE)
            .zip(self.to.chunks_exact_mut(TILE));
        for ((from, to), mean) in rows.zip(self.mean) {
            let mean = F::splat(simd, *mean);
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let centred = F::load(simd, &from[lane..]) - mean;
                let to = &mut to[lane..];
                centred.mul_add(centred, F::load(simd, to)).store(to);
            }
        }
    }
}

/// (x - centre) factor + offset.
struct Affine<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self
            .x
            .chunks_exact(TILE)
            .zip(self.to.chunks_exact_mut(TILE));
        for (feature, (x, to)) in rows.enumerate() {
            let centre = F::splat(simd, self.norm.centre[feature]);
            let factor = F::splat(simd, self.norm.factor[feature]);
            let offset = F::splat(simd, self.norm.offset[feature]);
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let y = (F::load(simd, &x[lane..]) - centre).mul_add(factor, offset);
                y.store(&mut to[lane..]);
            }
        }
    }
}

/// Adds by_y, and by_y (x - mean), to lane sums.
struct AddGradients<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    by_y: &'a [f32],
    plain: &'a mut [f32],
    scaled: &'a mut [f32],
}

impl WithSimd for AddGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact(TILE).zip(self.by_y.chunks_exact(TILE));
        let plain = self.plain.chunks_exact_mut(TILE);
        let sums = plain.zip(self.scaled.chunks_exact_mut(TILE));
        for (feature, ((x, by_y), (plain, scaled))) in rows.zip(sums).enumerate() {
            let centre = F::splat(simd, self.norm.centre[feature]);
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let by_y = F::load(simd, &by_y[lane..]);
                let centred = F::load(simd, &x[lane..]) - centre;
                let (plain, scaled) = (&mut plain[lane..], &mut scaled[lane..]);
                (F::load(simd, plain) + by_y).store(plain);
                by_y.mul_add(centred, F::load(simd, scaled)).store(scaled);
            }
        }
    }
}

/// factor by_y + constant + slope (x - mean) in place of by_y.
struct ThroughNorm<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    /// Constant and slope, feature by feature.
    terms: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for ThroughNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self
            .x
            .chunks_exact(TILE)
            .zip(self.gradient.chunks_exact_mut(TILE));
        for (feature, (x, gradient)) in rows.enumerate() {
            let centre = F::splat(simd, self.norm.centre[feature]);
            let factor = F::splat(simd, self.norm.factor[feature]);
            let constant = F::splat(simd, self.terms[2 * feature]);
            let slope = F::splat(simd, self.terms[2 * feature + 1]);
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let centred = F::load(simd, &x[lane..]) - centre;
                let gradient = &mut gradient[lane..];
                let by_y = F::load(simd, gradient);
                by_y.mul_add(factor, centred.mul_add(slope, constant))
                    .store(gradient);
            }
        }
    }
}
