//! Rational-quadratic splines on lanes of events.
//!
//! A feature's `theta` are K widths, K heights and K-1 inner derivatives
//! before their constraints. Bins are found and read by comparing and selecting over
//! all K of them: with a few bins that is faster than a gather, and no lane
//! waits for another. Outside +-B the map is the identity; inputs are clamped
//! into the domain first, so that what is not selected is finite too.
//!
//! Source: Durkan et al., arXiv:1906.04032: equation 4 is [`SplineBin::forward`], its
//! derivative equation 5; the inverse solves their equations 6 to 8 in a form
//! without cancellation (see [`SplineBin::inverse`]).

use super::tile::TILE;
use crate::spline::{MIN_BIN, MIN_DERIVATIVE};
use sideband_numerics::lanes::single::{F, M};
use sideband_numerics::lanes::{Simd, WithSimd};

/// What all splines of a flow have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostSpline {
    /// `K`.
    pub(super) bins: usize,
    /// `B`.
    pub(super) bound: f64,
    /// Factor on widths and heights before the softmax.
    pub(super) scale: f64,
}

#[derive(Clone, Copy)]
struct SplineBin<S: Simd> {
    /// Left and right knot.
    x: [F<S>; 2],
    y: [F<S>; 2],
    /// Derivatives at them, and their derivatives by theta.
    d: [F<S>; 2],
    slope: [F<S>; 2],
}

/// What the gradient needs beside the bin.
struct BinTerms<S: Simd> {
    index: F<S>,
    /// The softmax's terms of the bin itself and of all bins to its left.
    own: [F<S>; 2],
    left: [F<S>; 2],
    norm: [F<S>; 2],
}

/// A spline at one point: eq. 4 and its parts.
struct SplinePoint<S: Simd> {
    t: F<S>,
    u: F<S>,
    s: F<S>,
    width_recip: F<S>,
    height: F<S>,
    den_recip: F<S>,
    /// (y - y0)/height
    ratio: F<S>,
    /// d1 t^2 + 2 s t (1-t) + d0 (1-t)^2
    m: F<S>,
}

impl<S: Simd> SplineBin<S> {
    /// Equation 4 at x within the bin.
    #[inline(always)]
    fn point(&self, simd: S, x: F<S>) -> SplinePoint<S> {
        let (zero, one) = (F::splat(simd, 0.0), F::splat(simd, 1.0));
        let width_recip = (self.x[1] - self.x[0]).recip();
        // here and below the order of the arguments keeps a NaN
        let t = one.min(zero.max((x - self.x[0]) * width_recip));
        let height = self.y[1] - self.y[0];
        let s = height * width_recip;
        let rest = one - t;
        let u = t * rest;
        // both denominators as sums of positive terms
        let two_u = u + u;
        let den = (self.d[0] + self.d[1]).mul_add(u, s * (one - two_u));
        let den_recip = den.recip();
        let ratio = (s * t).mul_add(t, self.d[0] * u) * den_recip;
        let m = (self.d[1] * t).mul_add(t, (self.d[0] * rest).mul_add(rest, s * two_u));
        SplinePoint {
            t,
            u,
            s,
            width_recip,
            height,
            den_recip,
            ratio,
            m,
        }
    }

    /// y and ln dy/dx.
    #[inline(always)]
    fn forward(&self, simd: S, x: F<S>) -> (F<S>, F<S>) {
        let p = self.point(simd, x);
        let y = p.height.mul_add(p.ratio, self.y[0]);
        (self.y[1].min(self.y[0].max(y)), p.log_slope())
    }

    /// x.
    ///
    /// With the distances a and b of y from the two knots, p = d0 b - d1 a and
    /// q = 4 s^2 a b, the root of equations 6-8 is t = 2sa/(2sa + p + sqrt(p^2 + q));
    /// for p < 0 the last two terms are q/(|p| + sqrt(p^2 + q)). Every sum has
    /// terms of one sign.
    #[inline(always)]
    fn inverse(&self, simd: S, y: F<S>) -> F<S> {
        let zero = F::splat(simd, 0.0);
        let width = self.x[1] - self.x[0];
        let s = (self.y[1] - self.y[0]) * width.recip();
        let (a, b) = (zero.max(y - self.y[0]), zero.max(self.y[1] - y));
        let p = self.d[0] * b - self.d[1] * a;
        let (a, b) = (s * (a + a), s * (b + b));
        let m = p.abs() + p.mul_add(p, a * b).sqrt();
        let rising = p.ge(zero);
        let (above, other) = (rising.select(a, m), rising.select(m, b));
        let t = above * (above + other).recip();
        let x = t.mul_add(width, self.x[0]);
        self.x[1].min(self.x[0].max(x))
    }
}

impl<S: Simd> SplinePoint<S> {
    /// ln dy/dx, equation 5.
    #[inline(always)]
    fn log_slope(&self) -> F<S> {
        let r = self.s * self.den_recip;
        (self.m * r * r).ln()
    }
}

impl HostSpline {
    pub(super) fn parameters(&self) -> usize {
        3 * self.bins - 1
    }

    /// Replaces K rows by the terms e^(scale (theta - max)) of their softmax;
    /// returns the reciprocal of their sum.
    #[inline(always)]
    fn softmax<S: Simd>(&self, simd: S, rows: &mut [f32], lane: usize) -> F<S> {
        let mut largest = F::load(simd, &rows[lane..]);
        for row in rows.chunks_exact(TILE).skip(1) {
            largest = largest.max(F::load(simd, &row[lane..]));
        }
        let scale = F::splat(simd, self.scale as f32);
        let mut sum = F::splat(simd, 0.0);
        for row in rows.chunks_exact_mut(TILE) {
            let term = ((F::load(simd, &row[lane..]) - largest) * scale).exp();
            term.store(&mut row[lane..]);
            sum = sum + term;
        }
        sum.recip()
    }

    /// The bin of `value`: an x, or a y where `BY_HEIGHT`. Widths and heights in
    /// `theta` are replaced by their softmax's terms.
    #[inline(always)]
    fn locate<S: Simd, const BY_HEIGHT: bool>(
        &self,
        simd: S,
        theta: &mut [f32],
        lane: usize,
        value: F<S>,
    ) -> (SplineBin<S>, BinTerms<S>) {
        let bins = self.bins;
        let (widths, rest) = theta.split_at_mut(bins * TILE);
        let (heights, derivatives) = rest.split_at_mut(bins * TILE);
        let norm = [
            self.softmax(simd, widths, lane),
            self.softmax(simd, heights, lane),
        ];

        let (zero, one, end) = (
            constant(simd, 0.0),
            constant(simd, 1.0),
            constant(simd, self.bound),
        );
        let stretch = constant(simd, 2.0 * self.bound * (1.0 - MIN_BIN * bins as f64));
        let factor = [stretch * norm[0], stretch * norm[1]];

        let mut knot = [-end, -end];
        let mut cumulative = [zero, zero];
        let mut bin = SplineBin {
            x: [zero; 2],
            y: [zero; 2],
            d: [one; 2],
            slope: [zero; 2],
        };
        let mut place = BinTerms {
            index: zero,
            own: [zero; 2],
            left: [zero; 2],
            norm,
        };
        // derivatives before their constraint
        let mut raw = [zero; 2];
        let mut edge = zero;
        let mut first = one.ge(zero);
        let mut last = first;
        for k in 0..bins {
            let terms = [
                F::load(simd, &widths[k * TILE + lane..]),
                F::load(simd, &heights[k * TILE + lane..]),
            ];
            let after = [cumulative[0] + terms[0], cumulative[1] + terms[1]];
            let next = if k + 1 == bins {
                [end, end]
            } else {
                let offset = constant(simd, self.bound * (2.0 * MIN_BIN * (k + 1) as f64 - 1.0));
                [
                    factor[0].mul_add(after[0], offset),
                    factor[1].mul_add(after[1], offset),
                ]
            };
            // theta of the derivatives at the bin's two knots, inner ones only
            let before = edge;
            if k + 1 < bins {
                edge = F::load(simd, &derivatives[k * TILE + lane..]);
            }
            let edges = [before, edge];
            if k == 0 {
                bin.x = [knot[0], next[0]];
                bin.y = [knot[1], next[1]];
                raw = edges;
                place.own = terms;
            } else {
                let here = value.ge(knot[usize::from(BY_HEIGHT)]);
                bin.x = pick(here, [knot[0], next[0]], bin.x);
                bin.y = pick(here, [knot[1], next[1]], bin.y);
                raw = pick(here, edges, raw);
                place.own = pick(here, terms, place.own);
                place.left = pick(here, cumulative, place.left);
                place.index = here.select(constant(simd, k as f64), place.index);
                if k == 1 {
                    first = here;
                }
                if k + 1 == bins {
                    last = here;
                }
            }
            knot = next;
            cumulative = after;
        }
        // `first` is true right of the first bin; `last` is true in the last bin
        let least = constant(simd, MIN_DERIVATIVE);
        let (left, left_slope) = raw[0].softplus();
        let (right, right_slope) = raw[1].softplus();
        bin.d = [
            first.select(left + least, one),
            last.select(one, right + least),
        ];
        bin.slope = [first.keep(left_slope), last.select(zero, right_slope)];
        (bin, place)
    }

    /// Whether the spline acts on a value, and the value clamped into its domain.
    #[inline(always)]
    fn clamp<S: Simd>(&self, simd: S, value: F<S>) -> (M<S>, F<S>) {
        let end = F::splat(simd, self.bound as f32);
        let inside = value.ge(-end).and(value.le(end));
        (inside, value.max(-end).min(end))
    }
}

#[inline(always)]
fn constant<S: Simd>(simd: S, value: f64) -> F<S> {
    F::splat(simd, value as f32)
}

#[inline(always)]
fn pick<S: Simd>(mask: M<S>, yes: [F<S>; 2], no: [F<S>; 2]) -> [F<S>; 2] {
    [mask.select(yes[0], no[0]), mask.select(yes[1], no[1])]
}

/// Maps the transformed features of a tile in place and adds the logarithm of
/// the derivative to `log_det`; the inverse map, without its derivative, which nobody
/// asks for, where `INVERSE`.
pub(super) struct Map<'a, const INVERSE: bool> {
    pub(super) spline: HostSpline,
    pub(super) transformed: &'a [usize],
    /// `[T (3K - 1), TILE]`; overwritten.
    pub(super) theta: &'a mut [f32],
    /// `[D, TILE]`.
    pub(super) x: &'a mut [f32],
    /// `[TILE]`; left as it is by the inverse.
    pub(super) log_det: &'a mut [f32],
}

impl<const INVERSE: bool> WithSimd for Map<'_, INVERSE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let thetas = self.theta.chunks_exact_mut(self.spline.parameters() * TILE);
        for (feature, theta) in self.transformed.iter().zip(thetas) {
            let x = &mut self.x[feature * TILE..(feature + 1) * TILE];
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let value = F::load(simd, &x[lane..]);
                let (inside, clamped) = self.spline.clamp(simd, value);
                let (bin, _) = self.spline.locate::<S, INVERSE>(simd, theta, lane, clamped);
                let mapped = if INVERSE {
                    bin.inverse(simd, clamped)
                } else {
                    let (mapped, log_slope) = bin.forward(simd, clamped);
                    let log_det = &mut self.log_det[lane..];
                    (F::load(simd, log_det) + inside.keep(log_slope)).store(log_det);
                    mapped
                };
                inside.select(mapped, value).store(&mut x[lane..]);
            }
        }
    }
}

/// Gradient by x and by theta. Of the knots only the two of the point's own bin matter;
/// behind the softmax they are the terms of the bins to the left, which share one
/// gradient, and of the bin itself.
impl HostSpline {
    /// Gradient of one register of events: `theta` is replaced by the gradient
    /// by theta, the gradient by x returned. `by_y`, `by_log`: gradients by y
    /// and by ln dy/dx.
    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        simd: S,
        theta: &mut [f32],
        lane: usize,
        x: F<S>,
        by_y: F<S>,
        by_log: F<S>,
    ) -> F<S> {
        let (inside, clamped) = self.clamp(simd, x);
        let (bin, place) = self.locate::<S, false>(simd, theta, lane, clamped);
        let p = bin.point(simd, clamped);
        let one = constant(simd, 1.0);
        let (t, u, s, r) = (p.t, p.u, p.s, p.den_recip);
        let rest = one - t;
        let m_recip = p.m.recip();
        let middle = one - (u + u);
        let odd = rest - t;
        let by_m = by_log * m_recip;
        // gradient by the denominator of eq. 4, and by its value over the height
        let by_ratio = by_y * p.height;
        let by_den = -(by_ratio.mul_add(p.ratio, by_log + by_log)) * r;
        let scaled = by_ratio * r;
        let by_both = by_den * u;
        let by_d0 = scaled.mul_add(u, (by_m * rest).mul_add(rest, by_both));
        let by_d1 = (by_m * t).mul_add(t, by_both);
        let two_by_m = by_m + by_m;
        let by_s = scaled.mul_add(
            t * t,
            by_den.mul_add(middle, two_by_m.mul_add(u, (by_log + by_log) * s.recip())),
        );
        // through t alone: dy/dt = height s M/den^2
        let curved = bin.d[1].mul_add(t, s.mul_add(odd, -(bin.d[0] * rest)));
        let bend = bin.d[0] + bin.d[1] - (s + s);
        let by_t = (by_ratio * s * p.m).mul_add(
            r * r,
            two_by_m.mul_add(curved, -((by_log + by_log) * r * bend * odd)),
        );
        let by_x = by_t * p.width_recip;
        let by_width = -(by_x.mul_add(t, by_s * s * p.width_recip));
        let by_height = by_y.mul_add(p.ratio, by_s * p.width_recip);
        let by_knot = [inside.keep(-by_x), inside.keep(by_y)];
        let by_own = [inside.keep(by_width), inside.keep(by_height)];

        let bins = self.bins;
        let (softmaxes, derivatives) = theta.split_at_mut(2 * bins * TILE);
        let gain = constant(
            simd,
            2.0 * self.bound * (1.0 - MIN_BIN * bins as f64) * self.scale,
        );
        let weight = [gain * place.norm[0], gain * place.norm[1]];
        let mut mean = [by_x; 2];
        for (i, mean) in mean.iter_mut().enumerate() {
            let sum = by_knot[i].mul_add(place.left[i], by_own[i] * place.own[i]);
            *mean = sum * place.norm[i];
        }
        for k in 0..bins {
            let number = constant(simd, k as f64);
            let before = place.index.gt(number);
            let own = place.index.eq(number);
            for i in 0..2 {
                let term = &mut softmaxes[(i * bins + k) * TILE + lane..];
                let by_term = before.select(by_knot[i], own.keep(by_own[i])) - mean[i];
                (F::load(simd, term) * weight[i] * by_term).store(term);
            }
        }
        let by_raw = [
            inside.keep(by_d0 * bin.slope[0]),
            inside.keep(by_d1 * bin.slope[1]),
        ];
        for k in 1..bins {
            // inner knot k is the right one of bin k-1 and the left one of bin k
            let left = place.index.eq(constant(simd, k as f64)).keep(by_raw[0]);
            let value = place
                .index
                .eq(constant(simd, (k - 1) as f64))
                .select(by_raw[1], left);
            value.store(&mut derivatives[(k - 1) * TILE + lane..]);
        }
        inside.select(by_x, by_y)
    }
}

/// Gradient of [`Map`] (forward): replaces theta and the gradient by the mapped
/// features by the gradients before the map.
pub(super) struct Backward<'a> {
    pub(super) spline: HostSpline,
    pub(super) transformed: &'a [usize],
    /// `[T (3K - 1), TILE]`: theta, afterwards the gradient by it.
    pub(super) theta: &'a mut [f32],
    /// The map's input, `[D, TILE]`.
    pub(super) x: &'a [f32],
    /// Gradient by the map's output, `[D, TILE]`, afterwards by its input.
    pub(super) gradient: &'a mut [f32],
    /// Gradient by the logarithm of the determinant, `[TILE]`.
    pub(super) by_log_det: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let thetas = self.theta.chunks_exact_mut(self.spline.parameters() * TILE);
        for (feature, theta) in self.transformed.iter().zip(thetas) {
            let row = feature * TILE..(feature + 1) * TILE;
            let (x, gradient) = (&self.x[row.clone()], &mut self.gradient[row]);
            for lane in (0..TILE).step_by(S::F32_LANES) {
                let by_x = self.spline.backward(
                    simd,
                    theta,
                    lane,
                    F::load(simd, &x[lane..]),
                    F::load(simd, &gradient[lane..]),
                    F::load(simd, &self.by_log_det[lane..]),
                );
                by_x.store(&mut gradient[lane..]);
            }
        }
    }
}
