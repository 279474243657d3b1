//! A multivariate normal posterior and draws from it.

use super::factor::{Factor, add_square, mirror};
use faer::Mat;
use sideband_numerics::random::Key;

/// Mean and covariance of the process, without noise, at some points.
#[derive(Clone, Debug)]
pub struct Posterior {
    mean: Vec<f64>,
    covariance: Mat<f64>,
    /// covariance + jitter = root root^T; a column a normal number.
    root: Mat<f64>,
    jitter: f64,
}

impl Posterior {
    /// From a covariance, whose Cholesky factor is the root. The rounding of
    /// S* = K** - ... leaves eigenvalues that may be below zero by a few 1e-16
    /// of the amplitude, which is the scale; the jitter lifts them. The error is
    /// the largest jitter that did not help.
    pub(super) fn from_covariance(
        mean: Vec<f64>,
        covariance: Mat<f64>,
        scale: f64,
    ) -> Result<Self, f64> {
        let factor = Factor::new(&covariance, scale)?;
        Ok(Self {
            mean,
            covariance,
            root: factor.lower_triangle(),
            jitter: factor.jitter,
        })
    }

    /// From a root, for which no jitter is needed.
    pub(super) fn from_root(mean: Vec<f64>, root: Mat<f64>) -> Self {
        let n = mean.len();
        let mut covariance = Mat::zeros(n, n);
        add_square(covariance.as_mut(), 1.0, root.as_ref());
        mirror(&mut covariance);
        Self {
            mean,
            covariance,
            root,
            jitter: 0.0,
        }
    }

    /// The same in other units: `offset + scale * f`.
    #[must_use]
    pub fn rescaled(mut self, offset: f64, scale: f64) -> Self {
        for mean in &mut self.mean {
            *mean = offset + scale * *mean;
        }
        self.covariance *= faer::Scale(scale * scale);
        self.root *= faer::Scale(scale);
        self.jitter *= scale * scale;
        self
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// Mean of every point.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Variance of a point; rounding below zero is zero.
    #[must_use]
    pub fn variance(&self, i: usize) -> f64 {
        self.covariance[(i, i)].max(0.0)
    }

    /// Covariance of two points.
    #[must_use]
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        self.covariance[(i, j)]
    }

    /// What was added to the diagonal to draw.
    #[must_use]
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Variance of the sum over `points`, with their covariance.
    #[must_use]
    pub fn variance_of_sum(&self, points: &[usize]) -> f64 {
        let sum: f64 = points
            .iter()
            .map(|j| {
                let column = self.covariance.col_as_slice(*j);
                points.iter().map(|i| column[*i]).sum::<f64>()
            })
            .sum();
        sum.max(0.0)
    }

    /// Draw number `index`: mean + root xi, a pure function of key and index.
    #[must_use]
    pub fn draw(&self, key: Key, index: u64) -> Vec<f64> {
        let key = key.with(index);
        let mut drawn = self.mean.clone();
        for j in 0..self.root.ncols() {
            let xi = normal(key, j as u64);
            for (d, r) in drawn.iter_mut().zip(self.root.col_as_slice(j)) {
                *d += xi * r;
            }
        }
        drawn
    }
}

/// Standard normal number at `counter`, by Box and Muller.
fn normal(key: Key, counter: u64) -> f64 {
    let radius = (-2.0 * (1.0 - key.uniform(2 * counter)).ln()).sqrt();
    radius * (std::f64::consts::TAU * key.uniform(2 * counter + 1)).cos()
}
