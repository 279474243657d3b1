//! A conditional density in closed form, and events of it with a hole in the
//! plane of their context.
//!
//! Events have three features x and a context c in the square [-1, 1]^2; with
//! events outside the hole there is none with c in the disc [`CENTRE`],
//! [`RADIUS`]. Given c, three correlated standard normal numbers u = L(c) z become
//! features:
//!
//!     x_0 = l_0(c) + s_0(c) sinh(asinh(u_0) + k(c))     skewed,
//!     x_1 = l_1(c) + s_1(c) sinh(asinh(u_1) / t(c))     tails heavier or lighter,
//!     x_2 = exp(l_2(c) + s_2(c) u_2)                    log-normal
//!
//! (Jones and Pewsey, Biometrika 96 (2009) 761). Locations, scales, skewness, tails
//! and correlations are smooth in c, and none of them is linear across the hole.

use super::Numbers;
use std::f64::consts::PI;

pub const D: usize = 3;
pub const C: usize = 2;
pub const CENTRE: [f64; C] = [0.1, -0.1];
pub const RADIUS: f64 = 0.4;

/// How x is made of u at one context.
pub struct Truth {
    location: [f64; D],
    scale: [f64; D],
    skewness: f64,
    tail: f64,
    /// Lower triangle with rows of norm one: u has unit variances.
    factor: [[f64; D]; D],
}

impl Truth {
    pub fn at([a, b]: [f64; C]) -> Self {
        let (r01, r02, r12) = (0.7 * (1.8 * a).sin(), -0.5 * b, 0.6 * (2.0 * (a - b)).cos());
        let root = |r: f64| (1.0 - r * r).sqrt();
        Self {
            location: [
                0.9 * (1.6 * a + 0.6 * b).sin(),
                0.8 * a * b + 0.5 * (2.5 * b).cos(),
                0.5 * (1.5 * (b - a)).sin(),
            ],
            scale: [
                (0.3 * b - 0.4 * a * a).exp(),
                (0.4 * (2.0 * a).sin()).exp(),
                0.4 + 0.12 * (2.0 * b).sin(),
            ],
            skewness: 0.35 + 0.3 * b,
            tail: 1.0 - 0.15 * a,
            factor: [
                [1.0, 0.0, 0.0],
                [r01, root(r01), 0.0],
                [r02, root(r02) * r12, root(r02) * root(r12)],
            ],
        }
    }

    pub fn feature(&self, k: usize, u: f64) -> f64 {
        let (l, s) = (self.location[k], self.scale[k]);
        match k {
            0 => l + s * (u.asinh() + self.skewness).sinh(),
            1 => l + s * (u.asinh() / self.tail).sinh(),
            _ => (l + s * u).exp(),
        }
    }

    pub fn draw(&self, random: &mut Numbers) -> [f64; D] {
        let z: [f64; D] = std::array::from_fn(|_| random.normal());
        std::array::from_fn(|k| {
            let u = (0..D).map(|j| self.factor[k][j] * z[j]).sum();
            self.feature(k, u)
        })
    }

    pub fn log_p(&self, x: [f64; D]) -> f64 {
        let y = |k: usize| (x[k] - self.location[k]) / self.scale[k];
        // u and du/dx
        let (v0, v1) = (y(0).asinh() - self.skewness, self.tail * y(1).asinh());
        let slope = |y: f64, v: f64| v.cosh() / (1.0 + y * y).sqrt();
        let u = [
            v0.sinh(),
            v1.sinh(),
            (x[2].ln() - self.location[2]) / self.scale[2],
        ];
        let jacobian = slope(y(0), v0).ln() + (self.tail * slope(y(1), v1)).ln() - x[2].ln();
        let mut z = [0.0; D];
        let mut log_p = jacobian;
        for k in 0..D {
            let known: f64 = (0..k).map(|j| self.factor[k][j] * z[j]).sum();
            z[k] = (u[k] - known) / self.factor[k][k];
            log_p -= 0.5 * (z[k] * z[k] + std::f64::consts::TAU.ln())
                + (self.factor[k][k] * self.scale[k]).ln();
        }
        log_p
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    Hole,
    Outside,
}

pub fn from_centre(c: [f64; C]) -> f64 {
    (c[0] - CENTRE[0]).hypot(c[1] - CENTRE[1])
}

/// Events of one part of the plane.
pub struct Events {
    /// `[N, D + C]`, as a flow reads them.
    pub rows: Vec<f32>,
}

impl Events {
    pub fn draw(part: Part, seed: u64, events: usize) -> Self {
        let mut random = Numbers::new(seed << 1 | u64::from(part == Part::Hole));
        let mut rows = Vec::with_capacity(events * (D + C));
        while rows.len() < events * (D + C) {
            let c: [f64; C] = std::array::from_fn(|_| 2.0 * random.uniform() - 1.0);
            if (from_centre(c) < RADIUS) != (part == Part::Hole) {
                continue;
            }
            let x = Truth::at(c).draw(&mut random);
            rows.extend(x.iter().chain(&c).map(|v| *v as f32));
        }
        Self { rows }
    }

    pub fn each(&self) -> impl Iterator<Item = ([f64; D], [f64; C])> {
        self.rows.chunks(D + C).map(|row| {
            let x = std::array::from_fn(|k| f64::from(row[k]));
            (x, std::array::from_fn(|k| f64::from(row[D + k])))
        })
    }

    pub fn log_p(&self) -> Vec<f64> {
        self.each().map(|(x, c)| Truth::at(c).log_p(x)).collect()
    }

    /// The same events, each with the context of the point on the circle that is
    /// nearest.
    pub fn at_nearest(&self) -> Self {
        let row = |(x, c): ([f64; D], [f64; C])| {
            let factor = RADIUS / from_centre(c);
            let moved = [0, 1].map(|k| CENTRE[k] + factor * (c[k] - CENTRE[k]));
            let all = x.into_iter().chain(moved).map(|v| v as f32);
            all.collect::<Vec<f32>>()
        };
        Self {
            rows: self.each().flat_map(row).collect(),
        }
    }
}

/// Mean, width and fourth central moment of one feature in the hole.
#[derive(Clone, Copy)]
pub struct Moments {
    pub mean: f64,
    pub width: f64,
    fourth: f64,
}

impl Moments {
    /// Of numbers with weights that sum to one.
    pub fn new(values: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let mean: f64 = values.clone().map(|(w, x)| w * x).sum();
        let central = |power: i32| -> f64 {
            let terms = values.clone().map(|(w, x)| w * (x - mean).powi(power));
            terms.sum()
        };
        Self {
            mean,
            width: central(2).sqrt(),
            fourth: central(4),
        }
    }

    /// Of the truth, contexts uniform in the hole.
    pub fn of_truth(feature: usize) -> Self {
        // u is standard normal; the trapezoidal rule is exact to rounding
        let step = 0.1;
        let lattice: Vec<(f64, f64)> = (-90..=90)
            .map(|i| {
                let u = f64::from(i) * step;
                (step * (-0.5 * u * u).exp() / (2.0 * PI).sqrt(), u)
            })
            .collect();
        let contexts = in_hole(4000);
        let each: Vec<(f64, f64)> = contexts
            .iter()
            .flat_map(|c| {
                let truth = Truth::at(*c);
                let n = contexts.len() as f64;
                let value = move |(w, u): &(f64, f64)| (w / n, truth.feature(feature, *u));
                lattice.iter().map(value).collect::<Vec<_>>()
            })
            .collect();
        Self::new(each.iter().copied())
    }

    /// Statistical errors of mean and width as `events` events measure them.
    pub fn errors(&self, events: f64) -> [f64; 2] {
        let kurtosis = self.fourth / self.width.powi(4);
        let mean = self.width / events.sqrt();
        [mean, mean * (0.25 * (kurtosis - 1.0)).sqrt()]
    }
}

/// Contexts that fill the hole evenly (Vogel's spiral).
pub fn in_hole(count: usize) -> Vec<[f64; C]> {
    let golden = PI * (3.0 - 5f64.sqrt());
    (0..count)
        .map(|i| {
            let r = RADIUS * ((i as f64 + 0.5) / count as f64).sqrt();
            let (sin, cos) = (i as f64 * golden).sin_cos();
            [CENTRE[0] + r * cos, CENTRE[1] + r * sin]
        })
        .collect()
}

/// Events that a sample with `outside` events outside the hole has in it.
pub fn expected_in_hole(outside: usize) -> f64 {
    let hole = PI * RADIUS * RADIUS;
    outside as f64 * hole / (4.0 - hole)
}
