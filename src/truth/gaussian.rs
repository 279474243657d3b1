//! Normal densities of independent components, their geometric means, and the
//! expectations of waves under them: all that the interference model integrates.

/// Number of observables.
pub const DIMENSIONS: usize = 6;

/// The observables of one event.
pub type Point = [f64; DIMENSIONS];

/// The phase `k . x + delta` of a plane wave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wave {
    pub(super) vector: Point,
    pub(super) phase: f64,
}

impl Wave {
    pub(super) fn at(&self, x: &Point) -> f64 {
        let terms = self.vector.iter().zip(x).map(|(k, x)| k * x);
        terms.sum::<f64>() + self.phase
    }

    /// The wave whose phase is this one plus `sign` times another.
    pub(super) fn shifted(&self, sign: f64, other: &Self) -> Self {
        Self {
            vector: std::array::from_fn(|i| self.vector[i] + sign * other.vector[i]),
            phase: self.phase + sign * other.phase,
        }
    }
}

/// A normal density of independent components.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    mean: Point,
    width: Point,
    log_norm: f64,
}

impl Gaussian {
    /// `width`: standard deviations, positive.
    pub(super) fn new(mean: Point, width: Point) -> Self {
        let log_two_pi = (2.0 * std::f64::consts::PI).ln();
        let log_norm = width.iter().map(|s| -s.ln() - 0.5 * log_two_pi).sum();
        Self {
            mean,
            width,
            log_norm,
        }
    }

    /// The logarithm of the density.
    pub(super) fn log_density(&self, x: &Point) -> f64 {
        let square = (0..DIMENSIONS).map(|i| ((x[i] - self.mean[i]) / self.width[i]).powi(2));
        self.log_norm - 0.5 * square.sum::<f64>()
    }

    /// The point at `z` standard deviations from the mean.
    pub(super) fn point(&self, z: &Point) -> Point {
        std::array::from_fn(|i| self.mean[i] + self.width[i] * z[i])
    }

    /// `Z` and `N` of `sqrt(N_a N_b) = Z N`, which is a normal density again.
    pub(super) fn geometric_mean(a: &Self, b: &Self) -> (f64, Self) {
        let mut log_z = 0.0;
        let (mut mean, mut width) = ([0.0; DIMENSIONS], [0.0; DIMENSIONS]);
        for i in 0..DIMENSIONS {
            let (va, vb) = (a.width[i].powi(2), b.width[i].powi(2));
            let variance = 2.0 * va * vb / (va + vb);
            mean[i] = 0.5 * variance * (a.mean[i] / va + b.mean[i] / vb);
            width[i] = variance.sqrt();
            let away = a.mean[i] - b.mean[i];
            log_z += 0.5 * variance.ln() - 0.25 * (va * vb).ln() - 0.25 * away * away / (va + vb);
        }
        (log_z.exp(), Self::new(mean, width))
    }

    /// `E[cos], E[sin]` of a wave: those of its phase at the mean, times
    /// `exp(-sum_i (k_i sigma_i)^2 / 2)`.
    pub(super) fn mean_of(&self, wave: &Wave) -> (f64, f64) {
        let terms = wave.vector.iter().zip(&self.width);
        let damping: f64 = terms.map(|(k, s)| (k * s).powi(2)).sum();
        let (sin, cos) = wave.at(&self.mean).sin_cos();
        let size = (-0.5 * damping).exp();
        (size * cos, size * sin)
    }

    /// The least value of this density over another one, 0 where the other one is
    /// wider or as wide and elsewhere.
    pub(super) fn least_ratio(&self, to: &Self) -> f64 {
        let mut log = 0.0;
        for i in 0..DIMENSIONS {
            let away = self.mean[i] - to.mean[i];
            let wider = self.width[i].powi(2) - to.width[i].powi(2);
            if away == 0.0 && wider == 0.0 {
                continue;
            }
            if wider <= 0.0 {
                return 0.0;
            }
            log += (to.width[i] / self.width[i]).ln() - 0.5 * away * away / wider;
        }
        log.exp()
    }
}
