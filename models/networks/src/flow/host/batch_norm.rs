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
use crate::buffer::Buffer;
use crate::flow::{NORM_EPSILON, NORM_MOMENTUM};
use sideband_numerics::lanes::{Arch, Simd, WithSimd, double::softplus, single::F};

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
    pub(super) log_det: f64,
    /// Events of the batch.
    events: usize,
}

/// Sums over the events of a lane, each `[D, TILE]`.
#[derive(Default)]
pub(super) struct NormSums {
    first: Buffer,
    second: Buffer,
    values: Vec<f32>,
}

impl BatchNorm {
    pub(super) fn read(&mut self, parameters: &[f32]) {
        let (gain, shift) = parameters.split_at(parameters.len() / 2);
        self.offset.clear();
        self.offset.extend_from_slice(shift);
        self.gain.clear();
        self.slope.clear();
        for theta in gain.iter().map(|gain| f64::from(*gain)) {
            let (value, slope) = softplus(theta);
            self.gain.push(value + NORM_EPSILON);
            self.slope.push(slope);
        }
    }

    fn set(&mut self, mean: &[f32], variance: impl Iterator<Item = f64>) {
        self.centre.clear();
        self.centre.extend_from_slice(mean);
        self.factor.clear();
        self.narrow.clear();
        self.log_det = 0.0;
        for (gain, variance) in self.gain.iter().zip(variance) {
            let narrow = (variance + NORM_EPSILON).sqrt().recip();
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
        sums: &mut NormSums,
    ) {
        let d = self.gain.len();
        self.events = events;
        let (running_mean, running_variance) = statistics.split_at_mut(d);
        tile::clear_padding(x, d, events, |_| 0.0);
        let first = sums.first.zeros(d * TILE);
        for tile in x.chunks_exact(d * TILE) {
            self.dispatch(arch, tile, Pass::Sum(first));
        }
        sums.values.clear();
        let lanes = first.chunks_exact(TILE);
        let mean = lanes.map(|lanes| tile::sum(lanes) / events as f32);
        sums.values.extend(mean);
        tile::clear_padding(x, d, events, |feature| sums.values[feature]);
        let second = sums.second.zeros(d * TILE);
        for tile in x.chunks_exact(d * TILE) {
            let to = &mut *second;
            let mean = &sums.values;
            self.dispatch(arch, tile, Pass::Squares { mean, to });
        }
        let unbiased = events.saturating_sub(1).max(1) as f64;
        let variance = |feature: usize| {
            f64::from(tile::sum(&second[feature * TILE..(feature + 1) * TILE])) / unbiased
        };
        let update = |running: &mut f32, value: f64| {
            *running = ((1.0 - NORM_MOMENTUM) * f64::from(*running) + NORM_MOMENTUM * value) as f32;
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
        let scales = self.gain.iter().zip(&self.narrow);
        for (factor, (gain, narrow)) in self.factor.iter_mut().zip(scales) {
            *factor = (gain * narrow).recip() as f32;
        }
        self.log_det = -self.log_det;
    }

    /// `to = (x - centre) factor + offset` for one tile `[D, TILE]`.
    pub(super) fn apply(&self, arch: Arch, x: &[f32], to: &mut [f32]) {
        self.dispatch(arch, x, Pass::Affine(to));
    }

    fn dispatch(&self, arch: Arch, x: &[f32], pass: Pass) {
        let norm = self;
        arch.dispatch(Tile { norm, x, pass });
    }

    /// Gradient of a batch normalised by its own moments: replaces that by y by
    /// that by x, and writes that by the parameters. `by_log_det`: gradient by
    /// the log-determinant, summed over the batch.
    pub(super) fn backward(
        &self,
        arch: Arch,
        x: &[f32],
        by_log_det: f64,
        gradient: &mut [f32],
        sums: &mut NormSums,
        by_parameters: &mut [f32],
    ) {
        let (d, events) = (self.gain.len(), self.events);
        let (first, second) = (sums.first.zeros(d * TILE), sums.second.zeros(d * TILE));
        let tiles = x.chunks_exact(d * TILE);
        for (x, by_y) in tiles.clone().zip(gradient.chunks_exact(d * TILE)) {
            let (plain, scaled) = (&mut *first, &mut *second);
            let pass = Pass::Gradients {
                by_y,
                plain,
                scaled,
            };
            self.dispatch(arch, x, pass);
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
        for (x, gradient) in tiles.zip(gradient.chunks_exact_mut(d * TILE)) {
            let terms = &sums.values;
            self.dispatch(arch, x, Pass::Through { terms, gradient });
        }
        tile::clear_padding(gradient, d, events, |_| 0.0);
    }
}

/// What is done with a tile x `[D, TILE]`, lane by lane.
enum Pass<'a> {
    /// Adds x.
    Sum(&'a mut [f32]),
    /// Adds `(x - mean)^2`.
    Squares { mean: &'a [f32], to: &'a mut [f32] },
    /// Sets to `(x - centre) factor + offset`.
    Affine(&'a mut [f32]),
    /// Adds by_y, and by_y (x - mean).
    Gradients {
        by_y: &'a [f32],
        plain: &'a mut [f32],
        scaled: &'a mut [f32],
    },
    /// Replaces by_y by `factor by_y + constant + slope (x - mean)`. `terms`: constant and
    /// slope, feature by feature.
    Through {
        terms: &'a [f32],
        gradient: &'a mut [f32],
    },
}

struct Tile<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    pass: Pass<'a>,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let of = |values: &[f32], at: usize| F::splat(simd, values[at / TILE]);
        let load = |values: &[f32], at: usize| F::load(simd, &values[at..]);
        let (norm, x) = (self.norm, self.x);
        let registers = (0..x.len()).step_by(S::F32_LANES);
        match self.pass {
            Pass::Sum(to) => {
                for at in registers {
                    (load(to, at) + load(x, at)).store(&mut to[at..]);
                }
            }
            Pass::Squares { mean, to } => {
                for at in registers {
                    let centred = load(x, at) - of(mean, at);
                    let sum = centred.mul_add(centred, load(to, at));
                    sum.store(&mut to[at..]);
                }
            }
            Pass::Affine(to) => {
                for at in registers {
                    let centred = load(x, at) - of(&norm.centre, at);
                    let y = centred.mul_add(of(&norm.factor, at), of(&norm.offset, at));
                    y.store(&mut to[at..]);
                }
            }
            Pass::Gradients {
                by_y,
                plain,
                scaled,
            } => {
                for at in registers {
                    let (centred, by_y) = (load(x, at) - of(&norm.centre, at), load(by_y, at));
                    (load(plain, at) + by_y).store(&mut plain[at..]);
                    let sum = by_y.mul_add(centred, load(scaled, at));
                    sum.store(&mut scaled[at..]);
                }
            }
            Pass::Through { terms, gradient } => {
                for at in registers {
                    let term = |part: usize| F::splat(simd, terms[2 * (at / TILE) + part]);
                    let centred = load(x, at) - of(&norm.centre, at);
                    let by_y = load(gradient, at);
                    let by_x =
                        by_y.mul_add(of(&norm.factor, at), centred.mul_add(term(1), term(0)));
                    by_x.store(&mut gradient[at..]);
                }
            }
        }
    }
}
