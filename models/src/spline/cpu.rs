//! The spline on the processor, as many values at a time as a register holds.
//!
//! A row of `theta` belongs to one value, so rows are turned into registers
//! first, one a parameter ([`Rows`]), and from there on no value sees another:
//! the last, partly filled registers run through the same instructions.
//! One thread: the engine's threads hold different members.

use super::bin::{Bin, BinGradient};
use super::lanes::{Lanes, Mask};
use super::{Constants, Direction};
use pulp::{Arch, Simd, WithSimd, bytemuck};

/// Evaluates the spline of `N` values.
pub(super) struct Values<'a> {
    pub(super) constants: &'a Constants,
    pub(super) direction: Direction,
    /// `[N]`
    pub(super) x: &'a [f32],
    /// `[N, 3K - 1]`
    pub(super) theta: &'a [f32],
    /// `[2, N]`: results, then log-derivatives.
    pub(super) out: &'a mut [f32],
}

/// Gradient of `sum(gradient * out)` of [`Values`].
pub(super) struct Gradients<'a> {
    pub(super) constants: &'a Constants,
    pub(super) direction: Direction,
    /// `[N]`
    pub(super) x: &'a [f32],
    /// `[N, 3K - 1]`
    pub(super) theta: &'a [f32],
    /// `[2, N]`
    pub(super) gradient: &'a [f32],
    /// `[N]`
    pub(super) for_x: &'a mut [f32],
    /// `[N, 3K - 1]`
    pub(super) for_theta: &'a mut [f32],
}

/// Runs with the widest registers of this processor.
pub(super) fn run(work: impl WithSimd<Output = ()>) {
    Arch::new().dispatch(work);
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut spline = Spline::new(simd, self.constants);
        let (lanes, width) = (S::F32_LANES, spline.theta.width());
        let (results, log_dets) = self.out.split_at_mut(self.x.len());
        let operands = self.x.chunks(lanes).zip(self.theta.chunks(width * lanes));
        let results = results.chunks_mut(lanes).zip(log_dets.chunks_mut(lanes));
        for ((x, theta), (result, log_det)) in operands.zip(results) {
            let x = Lanes::load(simd, x);
            let (tail, at) = spline.split(x);
            let found = spline.find(self.direction, at, theta);
            let (value, log_slope) = match self.direction {
                Direction::Forward => {
                    let place = found.bin.place(at);
                    (place.y(), place.slope().ln())
                }
                Direction::Inverse => {
                    let place = found.bin.place_of_value(at);
                    (place.x(), -place.slope().ln())
                }
            };
            tail.choose(x, value).store(result);
            tail.choose(spline.zero, log_slope).store(log_det);
        }
    }
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut spline = Spline::new(simd, self.constants);
        let (lanes, width) = (S::F32_LANES, spline.theta.width());
        let mut out = Rows::new(simd, width);
        let (g_values, g_logs) = self.gradient.split_at(self.x.len());
        let operands = self.x.chunks(lanes).zip(self.theta.chunks(width * lanes));
        let gradients = g_values.chunks(lanes).zip(g_logs.chunks(lanes));
        let for_theta = self.for_theta.chunks_mut(width * lanes);
        let results = self.for_x.chunks_mut(lanes).zip(for_theta);
        for (((x, theta), (g_value, g_log)), (for_x, for_theta)) in
            operands.zip(gradients).zip(results)
        {
            let (tail, at) = spline.split(Lanes::load(simd, x));
            let (g_value, g_log) = (Lanes::load(simd, g_value), Lanes::load(simd, g_log));
            let found = spline.find(self.direction, at, theta);
            let (g_x, gradient) = match self.direction {
                Direction::Forward => found.bin.place(at).gradient(g_value, g_log),
                Direction::Inverse => {
                    let place = found.bin.place_of_value(at);
                    place.inverse_gradient(g_value, g_log)
                }
            };
            tail.choose(g_value, g_x).store(for_x);
            spline.spread(&found, &gradient, tail, &mut out);
            out.write(for_theta);
        }
    }
}

/// A number in each lane for every parameter.
struct Rows<S: Simd> {
    simd: S,
    registers: Vec<S::f32s>,
}

impl<S: Simd> Rows<S> {
    fn new(simd: S, width: usize) -> Self {
        let registers = vec![simd.splat_f32s(0.0); width];
        Self { simd, registers }
    }

    #[inline(always)]
    fn width(&self) -> usize {
        self.registers.len()
    }

    #[inline(always)]
    fn get(&self, index: usize) -> Lanes<S> {
        Lanes::new(self.simd, self.registers[index])
    }

    #[inline(always)]
    fn set(&mut self, index: usize, value: Lanes<S>) {
        self.registers[index] = value.register();
    }

    /// One row a lane; lanes without a row keep what they had.
    #[inline(always)]
    fn read(&mut self, rows: &[f32]) {
        let width = self.width();
        let flat: &mut [f32] = bytemuck::cast_slice_mut(&mut self.registers);
        for (lane, row) in rows.chunks_exact(width).enumerate() {
            for (column, value) in flat.chunks_exact_mut(S::F32_LANES).zip(row) {
                column[lane] = *value;
            }
        }
    }

    #[inline(always)]
    fn write(&self, rows: &mut [f32]) {
        let width = self.width();
        let flat: &[f32] = bytemuck::cast_slice(&self.registers);
        for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
            for (column, value) in flat.chunks_exact(S::F32_LANES).zip(row) {
                *value = column[lane];
            }
        }
    }
}

/// The spline's constants, and room for what belongs to the present values.
struct Spline<S: Simd> {
    simd: S,
    bins: usize,
    bound: Lanes<S>,
    inverse_scale: Lanes<S>,
    floor: Lanes<S>,
    span: Lanes<S>,
    min_derivative: Lanes<S>,
    zero: Lanes<S>,
    one: Lanes<S>,
    theta: Rows<S>,
    /// Softmax of the widths, then of the heights.
    shares: Rows<S>,
}

/// The bin that holds a value.
struct Found<S: Simd> {
    bin: Bin<S>,
    index: Lanes<S>,
    /// Derivatives of the end slopes by their parameters; 0 at the ends.
    d0_by_theta: Lanes<S>,
    d1_by_theta: Lanes<S>,
}

impl<S: Simd> Spline<S> {
    #[inline(always)]
    fn new(simd: S, constants: &Constants) -> Self {
        let splat = |value| Lanes::splat(simd, value);
        let bins = constants.bins;
        Self {
            simd,
            bins,
            bound: splat(constants.bound),
            inverse_scale: splat(constants.inverse_scale),
            floor: splat(constants.floor),
            span: splat(constants.span),
            min_derivative: splat(constants.min_derivative),
            zero: splat(0.0),
            one: splat(1.0),
            theta: Rows::new(simd, 3 * bins - 1),
            shares: Rows::new(simd, 2 * bins),
        }
    }

    /// Where the identity holds, and a value that is inside everywhere.
    #[inline(always)]
    fn split(&self, x: Lanes<S>) -> (Mask<S>, Lanes<S>) {
        let tail = x.abs().above(self.bound);
        (tail, tail.choose(self.zero, x))
    }

    /// Shares of the parameters from `start` on, the largest subtracted first.
    #[inline(always)]
    fn softmax(&mut self, start: usize) {
        let mut largest = self.theta.get(start);
        for j in start + 1..start + self.bins {
            largest = largest.max(self.theta.get(j));
        }
        let mut sum = self.zero;
        for j in start..start + self.bins {
            let e = ((self.theta.get(j) - largest) * self.inverse_scale).exp_of_negative();
            sum = sum + e;
            self.shares.set(j, e);
        }
        let per_sum = sum.recip();
        for j in start..start + self.bins {
            self.shares.set(j, self.shares.get(j) * per_sum);
        }
    }

    /// The bin of `at`: by its knots along x, or along y for the inverse.
    #[inline(always)]
    fn find(&mut self, direction: Direction, at: Lanes<S>, theta: &[f32]) -> Found<S> {
        let bins = self.bins;
        self.theta.read(theta);
        self.softmax(0);
        self.softmax(bins);
        let knot = |before, share| before + (self.floor + self.span * self.shares.get(share));
        let slope = |j: usize| self.theta.get(2 * bins + j);
        let (mut left, mut bottom) = (-self.bound, -self.bound);
        let (mut right, mut top) = (knot(left, 0), knot(bottom, bins));
        let (mut theta0, mut theta1) = (self.zero, slope(0));
        let mut index = self.zero;
        let (mut next_left, mut next_bottom) = (right, top);
        for j in 1..bins {
            let (low, under) = (next_left, next_bottom);
            let last = j + 1 == bins;
            if last {
                (next_left, next_bottom) = (self.bound, self.bound);
            } else {
                (next_left, next_bottom) = (knot(low, j), knot(under, bins + j));
            }
            let reached = at.at_least(match direction {
                Direction::Forward => low,
                Direction::Inverse => under,
            });
            index = reached.choose(Lanes::splat(self.simd, j as f32), index);
            left = reached.choose(low, left);
            right = reached.choose(next_left, right);
            bottom = reached.choose(under, bottom);
            top = reached.choose(next_bottom, top);
            theta0 = reached.choose(slope(j - 1), theta0);
            if !last {
                theta1 = reached.choose(slope(j), theta1);
            }
        }
        let (first, last) = (index.equals(0.0), index.equals((bins - 1) as f32));
        let (d0, d0_by_theta) = theta0.softplus();
        let (d1, d1_by_theta) = theta1.softplus();
        Found {
            bin: Bin {
                left,
                right,
                bottom,
                top,
                d0: first.choose(self.one, d0 + self.min_derivative),
                d1: last.choose(self.one, d1 + self.min_derivative),
            },
            index,
            d0_by_theta: first.choose(self.zero, d0_by_theta),
            d1_by_theta: last.choose(self.zero, d1_by_theta),
        }
    }

    /// From the gradient at the bin to that at `theta`; 0 in the tails.
    #[inline(always)]
    fn spread(
        &self,
        found: &Found<S>,
        gradient: &BinGradient<S>,
        tail: Mask<S>,
        out: &mut Rows<S>,
    ) {
        let (bins, index) = (self.bins, found.index);
        let inside = |value| tail.choose(self.zero, value);
        let factor = self.span * self.inverse_scale;
        // widths before the bin shift it, its own stretches it; heights alike
        for (start, shift, stretch) in [
            (0, gradient.left, gradient.width),
            (bins, gradient.bottom, gradient.height),
        ] {
            let (shift, stretch) = (shift * factor, stretch * factor);
            let at = |j: usize| {
                let stretch = index.equals(j as f32).choose(stretch, self.zero);
                index
                    .above(Lanes::splat(self.simd, j as f32))
                    .choose(shift, stretch)
            };
            let mut mean = self.zero;
            for j in 0..bins {
                mean = mean + self.shares.get(start + j) * at(j);
            }
            for j in 0..bins {
                let share = self.shares.get(start + j);
                out.set(start + j, inside(share * (at(j) - mean)));
            }
        }
        let d0 = inside(gradient.d0 * found.d0_by_theta);
        let d1 = inside(gradient.d1 * found.d1_by_theta);
        for j in 0..bins - 1 {
            // inner knot j + 1 ends bin j and begins bin j + 1
            let begins = index.equals((j + 1) as f32).choose(d0, self.zero);
            out.set(2 * bins + j, index.equals(j as f32).choose(d1, begins));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::spline::SplineConfig;
    use pulp::Scalar;

    /// The widest registers against one value at a time, to the bit.
    #[test]
    fn the_width_of_the_registers_does_not_show() {
        let mut stream = Key::from_seed(7).stream();
        let mut draw = |count: usize, spread: f64| -> Vec<f32> {
            (0..count)
                .map(|_| (spread * (2.0 * stream.uniform() - 1.0)) as f32)
                .collect()
        };
        for (bins, count) in [(2, 1), (4, 37), (5, 16), (8, 33), (16, 15)] {
            let constants = Constants::new(&SplineConfig {
                bins,
                bound: 3.0,
                scale: 1.5,
            });
            let width = 3 * bins - 1;
            let (x, theta) = (draw(count, 3.5), draw(count * width, 4.0));
            let gradient = draw(2 * count, 1.0);
            for direction in [Direction::Forward, Direction::Inverse] {
                let values = |wide: bool| {
                    let mut out = vec![0.0; 2 * count];
                    let work = Values {
                        constants: &constants,
                        direction,
                        x: &x,
                        theta: &theta,
                        out: &mut out,
                    };
                    if wide {
                        run(work)
                    } else {
                        work.with_simd(Scalar::new())
                    }
                    out
                };
                assert_eq!(values(true), values(false), "{bins} {direction:?}");
                let gradients = |wide: bool| {
                    let (mut for_x, mut for_theta) = (vec![0.0; count], vec![0.0; count * width]);
                    let work = Gradients {
                        constants: &constants,
                        direction,
                        x: &x,
                        theta: &theta,
                        gradient: &gradient,
                        for_x: &mut for_x,
                        for_theta: &mut for_theta,
                    };
                    if wide {
                        run(work)
                    } else {
                        work.with_simd(Scalar::new())
                    }
                    (for_x, for_theta)
                };
                assert_eq!(gradients(true), gradients(false), "{bins} {direction:?}");
            }
        }
    }
}
