//! The formulas in one bin of the spline: value, inverse, slope and gradient.
//!
//! In the bin from `(left, bottom)` to `(right, top)` with width `w`, height
//! `h`, mean slope `s = h / w` and end slopes `d0`, `d1`, let
//! `xi = (x - left) / w`, `om = (right - x) / w = 1 - xi` and `t = xi om`. Then
//! (Durkan et al., arXiv:1906.04032, eqs 4 and 5, with 1 - 2t = xi^2 + om^2)
//!
//! ```text
//! den  = s (xi^2 + om^2) + (d0 + d1) t
//! y    = bottom + h (s xi^2 + d0 t) / den = top - h (s om^2 + d1 t) / den
//! f'   = s^2 n2 / den^2,   n2 = d1 xi^2 + 2 s t + d0 om^2
//! ```
//!
//! All terms are positive, so nothing cancels; of the two forms of y the one
//! from the nearer end is used, so that the knots are met exactly and no value
//! leaves its bin. Of x, likewise.
//!
//! The inverse (eqs 6-8) solves a quadratic. With `v = (y - bottom) / h`, its
//! complement `1 - v = (top - y) / h` and `r = d0 (1 - v) - d1 v`, the
//! discriminant is `h^2 (r^2 + 4 s^2 v (1 - v))`: a sum of squares. Rounding
//! cannot make it negative, so it needs no clamp. The root is written so that
//! only positive terms are added: with `q = sqrt(r^2 + 4 s^2 v (1 - v)) + |r|`,
//!
//! ```text
//! r >= 0:  xi : om = 2 s v : q          r < 0:  xi : om = q : 2 s (1 - v)
//! ```
//!
//! The gradient is derived by hand; the inverse's follows from the forward one
//! through the implicit function, dx = (dy - (df/dtheta) dtheta) / f'.

use super::lanes::Lanes;
use pulp::Simd;

/// One bin, in each lane that of another value.
#[derive(Clone, Copy)]
pub(super) struct Bin<S: Simd> {
    pub(super) left: Lanes<S>,
    pub(super) right: Lanes<S>,
    pub(super) bottom: Lanes<S>,
    pub(super) top: Lanes<S>,
    pub(super) d0: Lanes<S>,
    pub(super) d1: Lanes<S>,
}

/// A place in a bin and what the formulas share there.
#[derive(Clone, Copy)]
pub(super) struct Place<S: Simd> {
    bin: Bin<S>,
    s: Lanes<S>,
    xi: Lanes<S>,
    om: Lanes<S>,
    t: Lanes<S>,
    per_den: Lanes<S>,
    n2: Lanes<S>,
}

/// The gradient at a bin's geometry.
#[derive(Clone, Copy)]
pub(super) struct BinGradient<S: Simd> {
    /// At a shift of the bin along x, and at its width where its left end is.
    pub(super) left: Lanes<S>,
    pub(super) width: Lanes<S>,
    /// At a shift of the bin along y, and at its height where its bottom is.
    pub(super) bottom: Lanes<S>,
    pub(super) height: Lanes<S>,
    /// At the slopes of its ends.
    pub(super) d0: Lanes<S>,
    pub(super) d1: Lanes<S>,
}

impl<S: Simd> Bin<S> {
    #[inline(always)]
    fn width(&self) -> Lanes<S> {
        self.right - self.left
    }

    #[inline(always)]
    fn height(&self) -> Lanes<S> {
        self.top - self.bottom
    }

    /// Where `x` lies.
    #[inline(always)]
    pub(super) fn place(self, x: Lanes<S>) -> Place<S> {
        let width = self.width();
        self.at((x - self.left) / width, (self.right - x) / width)
    }

    /// Where the spline takes the value `y`.
    #[inline(always)]
    pub(super) fn place_of_value(self, y: Lanes<S>) -> Place<S> {
        let height = self.height();
        let (v, rest) = ((y - self.bottom) / height, (self.top - y) / height);
        let s = height / self.width();
        // in units of the largest slope: the squares of any finite slopes are finite
        let unit = s.max(self.d0).max(self.d1);
        let twice_s = s / unit * 2.0;
        let r = self.d0 / unit * rest - self.d1 / unit * v;
        let large = (r * r + twice_s * twice_s * v * rest).sqrt() + r.abs();
        let rising = r.is_not_negative();
        let small = twice_s * rising.choose(v, rest);
        let sum = small + large;
        let (small, large) = (small / sum, large / sum);
        self.at(rising.choose(small, large), rising.choose(large, small))
    }

    #[inline(always)]
    fn at(self, xi: Lanes<S>, om: Lanes<S>) -> Place<S> {
        let Self { d0, d1, .. } = self;
        let s = self.height() / self.width();
        let t = xi * om;
        Place {
            bin: self,
            s,
            xi,
            om,
            t,
            per_den: (s * (xi * xi + om * om) + (d0 + d1) * t).recip(),
            n2: d1 * xi * xi + s * t * 2.0 + d0 * om * om,
        }
    }
}

impl<S: Simd> Place<S> {
    #[inline(always)]
    pub(super) fn x(&self) -> Lanes<S> {
        let from_left = self.bin.left + self.bin.width() * self.xi;
        let from_right = self.bin.right - self.bin.width() * self.om;
        self.om.at_least(self.xi).choose(from_left, from_right)
    }

    #[inline(always)]
    pub(super) fn y(&self) -> Lanes<S> {
        let (risen, left_to_rise) = (self.risen(), self.left_to_rise());
        let from_bottom = self.bin.bottom + self.bin.height() * risen;
        let from_top = self.bin.top - self.bin.height() * left_to_rise;
        left_to_rise.at_least(risen).choose(from_bottom, from_top)
    }

    /// `f' = dy/dx`, in an order in which neither factor over- nor underflows.
    #[inline(always)]
    pub(super) fn slope(&self) -> Lanes<S> {
        let share = self.s * self.per_den;
        share * (share * self.n2)
    }

    /// `(y - bottom) / h`.
    #[inline(always)]
    fn risen(&self) -> Lanes<S> {
        (self.s * self.xi * self.xi + self.bin.d0 * self.t) * self.per_den
    }

    /// `(top - y) / h`.
    #[inline(always)]
    fn left_to_rise(&self) -> Lanes<S> {
        (self.s * self.om * self.om + self.bin.d1 * self.t) * self.per_den
    }

    /// d ln f' / d xi.
    #[inline(always)]
    fn log_slope_by_xi(&self) -> Lanes<S> {
        let Self { bin, s, xi, om, .. } = *self;
        let n2 = bin.d1 * xi + s * (om - xi) - bin.d0 * om;
        let den = (bin.d0 - s + (bin.d1 - s)) * (om - xi);
        (n2 / self.n2 - den * self.per_den) * 2.0
    }

    /// Gradient of `g_y y + g_log ln f'` at `x` and at the bin.
    #[inline(always)]
    pub(super) fn gradient(&self, g_y: Lanes<S>, g_log: Lanes<S>) -> (Lanes<S>, BinGradient<S>) {
        let Self {
            bin,
            s,
            xi,
            om,
            t,
            per_den,
            n2,
        } = *self;
        let (xi2, om2) = (xi * xi, om * om);
        let (risen, left_to_rise) = (self.risen(), self.left_to_rise());
        // derivatives of y / h, each with its positive terms gathered
        let g = g_y * bin.height();
        let y_xi = s * (n2 * per_den) * per_den;
        let y_s = t * ((bin.d1 * xi2 - bin.d0 * om2) * per_den) * per_den;
        let y_d0 = t * left_to_rise * per_den;
        let y_d1 = -t * risen * per_den;
        // and of ln f' = 2 ln s + ln n2 - 2 ln den
        let per_n2 = n2.recip();
        let twice_t = t * per_den * 2.0;
        let log_s = (s.recip() + t * per_n2 - (xi2 + om2) * per_den) * 2.0;
        let g_xi = g * y_xi + g_log * self.log_slope_by_xi();
        let g_s = g * y_s + g_log * log_s;
        let per_width = bin.width().recip();
        let g_x = g_xi * per_width;
        let gradient = BinGradient {
            left: -g_x,
            width: -(g_s * s + g_xi * xi) * per_width,
            bottom: g_y,
            height: g_y * risen + g_s * per_width,
            d0: g * y_d0 + g_log * (om2 * per_n2 - twice_t),
            d1: g * y_d1 + g_log * (xi2 * per_n2 - twice_t),
        };
        (g_x, gradient)
    }

    /// Gradient of `g_x x - g_log ln f'`, where x belongs to a given y, at that
    /// `y` and at the bin.
    #[inline(always)]
    pub(super) fn inverse_gradient(
        &self,
        g_x: Lanes<S>,
        g_log: Lanes<S>,
    ) -> (Lanes<S>, BinGradient<S>) {
        let along = g_x - g_log * self.log_slope_by_xi() / self.bin.width();
        let g_y = along / self.slope();
        (g_y, self.gradient(-g_y, -g_log).1)
    }
}
