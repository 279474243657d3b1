//! The spline of one value, its inverse and its gradient, in f32 on the CPU.
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
//! from the nearer end is used, and the knots are met exactly.
//!
//! The inverse (eqs 6-8) solves a quadratic. With `v = (y - bottom) / h`, its
//! complement `1 - v = (top - y) / h` and `r = d0 (1 - v) - d1 v`, the
//! discriminant is `h^2 (r^2 + 4 s^2 v (1 - v))`: a sum of squares. It cannot
//! become negative by rounding and needs no clamp. The root is written so that
//! only positive terms are added: with `q = sqrt(r^2 + 4 s^2 v (1 - v)) + |r|`,
//!
//! ```text
//! r >= 0:  xi : om = 2 s v : q          r < 0:  xi : om = q : 2 s (1 - v)
//! ```
//!
//! The gradient is derived by hand below, the inverse's through the implicit
//! function: x(y, theta) has dx = (dy - (df/dtheta) dtheta) / f'.

use super::{Constants, Direction};

/// Values of the spline: for each of the `N` values `x` with its row of
/// `theta` (`[N, 3K - 1]`) the result, then the `N` log-derivatives, in `out`.
pub(super) fn values(
    constants: &Constants,
    direction: Direction,
    x: &[f32],
    theta: &[f32],
    out: &mut [f32],
) {
    // the usual numbers of bins as constants: loops unroll, nothing else changes
    match constants.bins {
        4 => values_of::<4>(constants, direction, x, theta, out),
        8 => values_of::<8>(constants, direction, x, theta, out),
        _ => values_of::<0>(constants, direction, x, theta, out),
    }
}

fn values_of<const K: usize>(
    constants: &Constants,
    direction: Direction,
    x: &[f32],
    theta: &[f32],
    out: &mut [f32],
) {
    let bins = if K > 0 { K } else { constants.bins };
    let mut shares = vec![0.0; 2 * bins];
    let (results, log_dets) = out.split_at_mut(x.len());
    let rows = x.iter().zip(theta.chunks_exact(3 * bins - 1));
    for (((x, theta), result), log_det) in rows.zip(results).zip(log_dets) {
        if x.abs() > constants.bound {
            (*result, *log_det) = (*x, 0.0);
            continue;
        }
        let bin = Bin::find(constants, bins, direction, *x, theta, &mut shares);
        (*result, *log_det) = match direction {
            Direction::Forward => {
                let place = bin.place(*x);
                (bin.value(&place), place.slope().ln())
            }
            Direction::Inverse => {
                let place = bin.place_of_value(*x);
                (bin.argument(&place), -place.slope().ln())
            }
        };
    }
}

/// Gradients of `sum(gradient * out)` of [`values`] with respect to `x` `[N]`
/// and `theta` `[N, 3K - 1]`. `for_theta` comes filled with zeros.
pub(super) fn gradients(
    constants: &Constants,
    direction: Direction,
    x: &[f32],
    theta: &[f32],
    gradient: &[f32],
    for_x: &mut [f32],
    for_theta: &mut [f32],
) {
    let run = match constants.bins {
        4 => gradients_of::<4>,
        8 => gradients_of::<8>,
        _ => gradients_of::<0>,
    };
    run(
        constants, direction, x, theta, gradient, for_x, for_theta,
    );
}

fn gradients_of<const K: usize>(
    constants: &Constants,
    direction: Direction,
    x: &[f32],
    theta: &[f32],
    gradient: &[f32],
    for_x: &mut [f32],
    for_theta: &mut [f32],
) {
    let bins = if K > 0 { K } else { constants.bins };
    let mut shares = vec![0.0; 2 * bins];
    let (g_values, g_log_dets) = gradient.split_at(x.len());
    let rows = x
        .iter()
        .zip(theta.chunks_exact(3 * bins - 1))
        .zip(g_values.iter().zip(g_log_dets));
    let results = for_x.iter_mut().zip(for_theta.chunks_exact_mut(3 * bins - 1));
    for (((x, theta), (g_value, g_log_det)), (for_x, for_theta)) in rows.zip(results) {
        if x.abs() > constants.bound {
            *for_x = *g_value;
            continue;
        }
        let bin = Bin::find(constants, bins, direction, *x, theta, &mut shares);
        let pull = match direction {
            Direction::Forward => {
                let pull = bin.place(*x).pull(bin.height(), *g_value, *g_log_det);
                *for_x = pull.xi / bin.width();
                pull
            }
            Direction::Inverse => {
                let place = bin.place_of_value(*x);
                let along = g_value - g_log_det * place.log_slope_by_xi() / bin.width();
                *for_x = along / place.slope();
                place.pull(bin.height(), -*for_x, -g_log_det)
            }
        };
        bin.spread(constants, bins, &pull, theta, &shares, for_theta);
    }
}

/// One bin of one spline.
struct Bin {
    index: usize,
    left: f32,
    right: f32,
    bottom: f32,
    top: f32,
    d0: f32,
    d1: f32,
}

impl Bin {
    /// The bin that holds `at`: by its knots along x, or along y for the
    /// inverse. Leaves the softmax of widths and heights in `shares` `[2K]`.
    #[inline(always)]
    fn find(
        constants: &Constants,
        bins: usize,
        direction: Direction,
        at: f32,
        theta: &[f32],
        shares: &mut [f32],
    ) -> Self {
        let (widths, heights) = shares.split_at_mut(bins);
        softmax(&theta[..bins], constants.inverse_scale, widths);
        softmax(&theta[bins..2 * bins], constants.inverse_scale, heights);
        let (mut left, mut bottom) = (-constants.bound, -constants.bound);
        let mut bin = Self {
            index: 0,
            left,
            right: left,
            bottom,
            top: bottom,
            d0: 1.0,
            d1: 1.0,
        };
        for index in 0..bins {
            let last = index + 1 == bins;
            let next = |low: f32, share: f32| {
                if last {
                    constants.bound
                } else {
                    low + (constants.floor + constants.span * share)
                }
            };
            let (right, top) = (next(left, widths[index]), next(bottom, heights[index]));
            let start = match direction {
                Direction::Forward => left,
                Direction::Inverse => bottom,
            };
            if index == 0 || at >= start {
                (bin.index, bin.left, bin.right) = (index, left, right);
                (bin.bottom, bin.top) = (bottom, top);
            }
            (left, bottom) = (right, top);
        }
        let slopes = &theta[2 * bins..];
        if bin.index > 0 {
            bin.d0 = constants.min_derivative + softplus(slopes[bin.index - 1]);
        }
        if bin.index + 1 < bins {
            bin.d1 = constants.min_derivative + softplus(slopes[bin.index]);
        }
        bin
    }

    #[inline(always)]
    fn width(&self) -> f32 {
        self.right - self.left
    }

    #[inline(always)]
    fn height(&self) -> f32 {
        self.top - self.bottom
    }

    #[inline(always)]
    fn place(&self, x: f32) -> Place {
        let width = self.width();
        self.at((x - self.left) / width, (self.right - x) / width)
    }

    #[inline(always)]
    fn place_of_value(&self, y: f32) -> Place {
        let height = self.height();
        let (v, rest) = ((y - self.bottom) / height, (self.top - y) / height);
        let s = height / self.width();
        // in units of the largest slope: squares of any finite slopes are finite
        let unit = s.max(self.d0).max(self.d1);
        let (s, d0, d1) = (s / unit, self.d0 / unit, self.d1 / unit);
        let r = d0 * rest - d1 * v;
        let large = (r * r + 4.0 * s * s * v * rest).sqrt() + r.abs();
        if r >= 0.0 {
            let small = 2.0 * s * v;
            self.at(small / (small + large), large / (small + large))
        } else {
            let small = 2.0 * s * rest;
            self.at(large / (small + large), small / (small + large))
        }
    }

    #[inline(always)]
    fn at(&self, xi: f32, om: f32) -> Place {
        let (d0, d1) = (self.d0, self.d1);
        let s = self.height() / self.width();
        let t = xi * om;
        Place {
            xi,
            om,
            t,
            s,
            d0,
            d1,
            per_den: (s * (xi * xi + om * om) + (d0 + d1) * t).recip(),
            n2: d1 * xi * xi + 2.0 * s * t + d0 * om * om,
        }
    }

    #[inline(always)]
    fn value(&self, place: &Place) -> f32 {
        if place.xi <= place.om {
            self.bottom + self.height() * place.risen()
        } else {
            self.top - self.height() * place.left_to_rise()
        }
    }

    #[inline(always)]
    fn argument(&self, place: &Place) -> f32 {
        if place.xi <= place.om {
            self.left + self.width() * place.xi
        } else {
            self.right - self.width() * place.om
        }
    }

    /// From the gradient at the bin's geometry to that at `theta`.
    #[inline(always)]
    fn spread(
        &self,
        constants: &Constants,
        bins: usize,
        pull: &Pull,
        theta: &[f32],
        shares: &[f32],
        out: &mut [f32],
    ) {
        let (width, s) = (self.width(), self.height() / self.width());
        let (out_widths, rest) = out.split_at_mut(bins);
        let (out_heights, out_slopes) = rest.split_at_mut(bins);
        // widths of earlier bins shift the bin, its own width stretches it
        let factor = constants.span * constants.inverse_scale;
        let shift = -pull.xi / width * factor;
        let stretch = -(pull.s * s + pull.xi * pull.within) / width * factor;
        softmax_gradient(self.index, shift, stretch, &shares[..bins], out_widths);
        let shift = pull.value * factor;
        let stretch = (pull.value * pull.risen + pull.s / width) * factor;
        softmax_gradient(self.index, shift, stretch, &shares[bins..], out_heights);
        let slopes = &theta[2 * bins..];
        if self.index > 0 {
            out_slopes[self.index - 1] = pull.d0 * sigmoid(slopes[self.index - 1]);
        }
        if self.index + 1 < bins {
            out_slopes[self.index] = pull.d1 * sigmoid(slopes[self.index]);
        }
    }
}

/// A place in a bin and what the formulas share there.
struct Place {
    xi: f32,
    om: f32,
    t: f32,
    s: f32,
    d0: f32,
    d1: f32,
    per_den: f32,
    n2: f32,
}

/// Gradient with respect to the value and a bin's geometry: the place `xi` in
/// it, its mean slope `s` and end slopes; with the place and the share risen.
struct Pull {
    value: f32,
    xi: f32,
    s: f32,
    d0: f32,
    d1: f32,
    within: f32,
    risen: f32,
}

impl Place {
    /// `(y - bottom) / h`.
    #[inline(always)]
    fn risen(&self) -> f32 {
        (self.s * self.xi * self.xi + self.d0 * self.t) * self.per_den
    }

    /// `(top - y) / h`.
    #[inline(always)]
    fn left_to_rise(&self) -> f32 {
        (self.s * self.om * self.om + self.d1 * self.t) * self.per_den
    }

    /// `f' = dy/dx`, in an order in which neither factor over- nor underflows.
    #[inline(always)]
    fn slope(&self) -> f32 {
        let share = self.s * self.per_den;
        share * (share * self.n2)
    }

    /// d ln f' / d xi.
    #[inline(always)]
    fn log_slope_by_xi(&self) -> f32 {
        let Self { xi, om, s, d0, d1, .. } = self;
        let n2 = d1 * xi + s * (om - xi) - d0 * om;
        let den = (d0 - s + (d1 - s)) * (om - xi);
        2.0 * (n2 / self.n2 - den * self.per_den)
    }

    /// Gradient of `g_value y + g_log ln f'` in a bin of the given height.
    #[inline(always)]
    fn pull(&self, height: f32, g_value: f32, g_log: f32) -> Pull {
        let Self { xi, om, t, s, d0, d1, per_den, n2 } = *self;
        let (risen, left_to_rise) = (self.risen(), self.left_to_rise());
        // of q = (y - bottom) / h: each numerator is q's times den, less den's times q
        let g = g_value * height;
        let q_xi = s * (n2 * per_den) * per_den;
        let q_s = t * ((d1 * xi * xi - d0 * om * om) * per_den) * per_den;
        let q_d0 = t * left_to_rise * per_den;
        let q_d1 = -t * risen * per_den;
        let per_n2 = n2.recip();
        let l_s = 2.0 * (s.recip() + t * per_n2 - (xi * xi + om * om) * per_den);
        let l_d0 = om * om * per_n2 - 2.0 * t * per_den;
        let l_d1 = xi * xi * per_n2 - 2.0 * t * per_den;
        Pull {
            value: g_value,
            xi: g * q_xi + g_log * self.log_slope_by_xi(),
            s: g * q_s + g_log * l_s,
            d0: g * q_d0 + g_log * l_d0,
            d1: g * q_d1 + g_log * l_d1,
            within: xi,
            risen,
        }
    }
}

/// softmax(scale * theta), its largest argument subtracted first.
#[inline(always)]
fn softmax(theta: &[f32], scale: f32, out: &mut [f32]) {
    let largest = theta.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (share, value) in out.iter_mut().zip(theta) {
        *share = ((value - largest) * scale).exp();
        sum += *share;
    }
    for share in out.iter_mut() {
        *share /= sum;
    }
}

/// Through the softmax: the gradient at share j is `shift` before the bin,
/// `stretch` in it and 0 behind it.
#[inline(always)]
fn softmax_gradient(bin: usize, shift: f32, stretch: f32, shares: &[f32], out: &mut [f32]) {
    let at = |index: usize| match index.cmp(&bin) {
        std::cmp::Ordering::Less => shift,
        std::cmp::Ordering::Equal => stretch,
        std::cmp::Ordering::Greater => 0.0,
    };
    let mean: f32 = shares.iter().enumerate().map(|(i, p)| p * at(i)).sum();
    for (index, (out, share)) in out.iter_mut().zip(shares).enumerate() {
        *out = share * (at(index) - mean);
    }
}

/// ln(1 + exp(x)) without overflow.
#[inline(always)]
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + exp(-x)) without overflow.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}
