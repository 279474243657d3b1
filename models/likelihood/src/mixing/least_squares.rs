//! Least squares of rows of unit variance, in a few parameters.

use crate::error::{Error, ensure};
use crate::fit::matrix::{cholesky, inverse};

/// The minimum of `|A c - y|^2`.
pub(super) struct LeastSquares {
    /// `c`, `[n]`.
    pub parameters: Vec<f64>,
    /// `(A^T A)^-1`, `[n][n]`.
    pub covariance: Vec<Vec<f64>>,
    /// `A c - y`.
    pub residuals: Vec<f64>,
    /// Their squares.
    pub chi2: f64,
}

impl LeastSquares {
    /// `columns`: those of A.
    pub(super) fn new(columns: &[Vec<f64>], y: &[f64]) -> Result<Self, Error> {
        let n = columns.len();
        let normal = |k: usize, l: usize| dot(&columns[k], &columns[l]);
        let scales: Vec<f64> = (0..n).map(|k| normal(k, k).sqrt().recip()).collect();
        let pairs = (0..n).flat_map(|k| (0..n).map(move |l| (k, l)));
        let mut matrix: Vec<f64> = pairs
            .map(|(k, l)| normal(k, l) * scales[k] * scales[l])
            .collect();
        let fine = matrix.iter().all(|x| x.is_finite()) && cholesky(&mut matrix, n);
        ensure(fine, || {
            "the functions that are fitted cannot be told apart in these bins: the signal has the \
             shape of the background's, or a bin has no weight"
                .to_owned()
        })?;
        let scaled = inverse(&matrix, n);
        let row = |k: usize| {
            let entry = |l: usize| scaled[k * n + l] * scales[k] * scales[l];
            (0..n).map(entry).collect()
        };
        let covariance: Vec<Vec<f64>> = (0..n).map(row).collect();
        let mut fitted = Self {
            parameters: vec![0.0; n],
            covariance,
            residuals: y.iter().map(|y| -y).collect(),
            chi2: 0.0,
        };
        // the second step takes away the rounding of the first
        for _ in 0..2 {
            let slopes: Vec<f64> = columns.iter().map(|c| dot(c, &fitted.residuals)).collect();
            for (c, row) in fitted.parameters.iter_mut().zip(&fitted.covariance) {
                *c -= dot(row, &slopes);
            }
            for (i, (r, y)) in fitted.residuals.iter_mut().zip(y).enumerate() {
                let terms = columns.iter().zip(&fitted.parameters);
                *r = terms.map(|(column, c)| column[i] * c).sum::<f64>() - y;
            }
        }
        fitted.chi2 = dot(&fitted.residuals, &fitted.residuals);
        Ok(fitted)
    }

    /// Square roots of the variances.
    pub(super) fn errors(&self) -> Vec<f64> {
        let rows = self.covariance.iter().enumerate();
        rows.map(|(k, row)| row[k].sqrt()).collect()
    }
}

pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}
