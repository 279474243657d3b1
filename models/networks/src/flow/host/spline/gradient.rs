//! The gradient of the spline, by x and by theta.
//!
//! Of the knots only the two of the point's own bin matter; behind the softmax
//! they are the terms of the bins to the left, which share one gradient, and of
//! the bin itself.

use super::{MIN_BIN, Spline, constant};
use crate::flow::host::tile::TILE;
use crate::host::simd::F;
use pulp::{Simd, WithSimd};

impl Spline {
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
pub(in crate::flow::host) struct Backward<'a> {
    pub(in crate::flow::host) spline: Spline,
    pub(in crate::flow::host) transformed: &'a [usize],
    /// `[T (3K - 1), TILE]`: theta, afterwards the gradient by it.
    pub(in crate::flow::host) theta: &'a mut [f32],
    /// The map's input, `[D, TILE]`.
    pub(in crate::flow::host) x: &'a [f32],
    /// Gradient by the map's output, `[D, TILE]`, afterwards by its input.
    pub(in crate::flow::host) gradient: &'a mut [f32],
    /// Gradient by the logarithm of the determinant, `[TILE]`.
    pub(in crate::flow::host) by_log_det: &'a [f32],
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
