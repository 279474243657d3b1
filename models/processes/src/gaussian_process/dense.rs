//! A Gaussian process on any points, by the Cholesky factor of its covariance.

use super::posterior::{Cholesky, Posterior, add_square, column, mirror};
use super::{LogMarginal, Marginal, SquaredExponential};
use super::{check_data, check_finite, check_length, wrong_length};
use crate::ProcessError;
use faer::Mat;

/// Points, targets and noise variances.
#[derive(Clone, Debug)]
pub struct DenseProcess {
    dimensions: usize,
    points: Vec<f64>,
    targets: Vec<f64>,
    noise: Vec<f64>,
}

impl DenseProcess {
    /// Checks data: `points` holds `dimensions` coordinates a point, `targets` have
    /// zero mean, `noise` are variances. Fails for fewer than two points, values that
    /// are not finite, variances that are not positive, and lengths that do not
    /// match.
    pub fn new(
        dimensions: usize,
        points: Vec<f64>,
        targets: Vec<f64>,
        noise: Vec<f64>,
    ) -> Result<Self, ProcessError> {
        check_length("coordinates", points.len(), dimensions * targets.len())?;
        check_data(&targets, &noise, targets.len())?;
        check_finite("coordinate", &points)?;
        Ok(Self {
            dimensions,
            points,
            targets,
            noise,
        })
    }

    fn len(&self) -> usize {
        self.targets.len()
    }

    fn point(&self, i: usize) -> &[f64] {
        &self.points[i * self.dimensions..(i + 1) * self.dimensions]
    }

    /// K (lower triangle) and the factor of K + S.
    fn factorise(&self, kernel: &SquaredExponential) -> Result<(Mat<f64>, Cholesky), ProcessError> {
        kernel.check_dimensions(self.dimensions)?;
        let n = self.len();
        let mut k = Mat::zeros(n, n);
        for j in 0..n {
            for i in j..n {
                k[(i, j)] = kernel.value(self.point(i), self.point(j));
            }
        }
        let mut a = k.clone();
        for (i, noise) in self.noise.iter().enumerate() {
            a[(i, i)] += noise;
        }
        let smallest = self.noise.iter().copied().fold(f64::INFINITY, f64::min);
        let factor = Cholesky::new(&a, kernel.amplitude());
        Ok((
            k,
            factor.map_err(|jitter| kernel.singular(n, smallest, jitter))?,
        ))
    }

    /// The posterior at `points` (coordinates, a point after another). Fails if a
    /// coordinate is not finite, lengths do not match, or a covariance is singular.
    pub fn posterior(
        &self,
        kernel: &SquaredExponential,
        points: &[f64],
    ) -> Result<Posterior, ProcessError> {
        let d = self.dimensions;
        if d == 0 || !points.len().is_multiple_of(d) {
            let whole = points.len().next_multiple_of(d.max(1));
            return Err(wrong_length("coordinates", points.len(), whole));
        }
        check_finite("coordinate", points)?;
        let (_, factor) = self.factorise(kernel)?;
        let at = |i: usize| &points[i * d..(i + 1) * d];
        let (n, m) = (self.len(), points.len() / d);

        let mut cross = Mat::from_fn(n, m, |i, j| kernel.value(self.point(i), at(j)));
        let a = factor.solve(&self.targets);
        let mean = |j| {
            let column = cross.col_as_slice(j).iter().zip(&a);
            column.map(|(k, a)| k * a).sum()
        };
        let mean = (0..m).map(mean).collect();
        // S* = K** - V^T V with V = L^-1 K(X,X*)
        factor.solve_lower(cross.as_mut());
        let mut covariance = Mat::from_fn(m, m, |i, j| kernel.value(at(i), at(j)));
        add_square(covariance.as_mut(), -1.0, cross.as_ref().transpose());
        mirror(&mut covariance);
        Posterior::from_covariance(mean, covariance, kernel.amplitude())
            .map_err(|jitter| kernel.singular(m, 0.0, jitter))
    }
}

impl Marginal for DenseProcess {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn log_marginal(&self, kernel: &SquaredExponential) -> Result<LogMarginal, ProcessError> {
        let (k, factor) = self.factorise(kernel)?;
        let n = self.len();
        let mut half = column(&self.targets);
        factor.solve_lower(half.as_mut());
        let quadratic: f64 = half.col_as_slice(0).iter().map(|v| v * v).sum();
        factor.solve_upper(half.as_mut());
        let a = half.col_as_slice(0);
        let inverse = factor.inverse();

        // dK/d log c = K and dK_ij/d log l_k = K_ij d_k^2/l_k^2, which is zero on
        // the diagonal; both are symmetric, so that the lower triangle is enough
        let mut gradient = vec![0.0; 1 + self.dimensions];
        for j in 0..n {
            let (k, inverse) = (k.col_as_slice(j), inverse.col_as_slice(j));
            gradient[0] += 0.5 * (a[j] * a[j] - inverse[j]) * k[j];
            for i in j + 1..n {
                let weight = (a[i] * a[j] - inverse[i]) * k[i];
                gradient[0] += weight;
                let coordinates = self.point(i).iter().zip(self.point(j));
                for (g, (x, y)) in gradient[1..].iter_mut().zip(coordinates) {
                    *g += weight * (x - y) * (x - y);
                }
            }
        }
        for (g, l) in gradient[1..].iter_mut().zip(kernel.length_scales()) {
            *g /= l * l;
        }
        let value = -0.5
            * (quadratic + factor.log_determinant() + n as f64 * (2.0 * std::f64::consts::PI).ln());
        Ok(LogMarginal {
            value,
            gradient,
            jitter: factor.jitter,
        })
    }
}
