//! A multivariate normal posterior and draws from it, by Cholesky factors on one thread.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::cholesky::llt::inverse::{inverse, inverse_scratch};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};
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
        let factor = Cholesky::new(&covariance, scale)?;
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
    pub fn rescaled(mut self, offset: f64, scale: f64) -> Self {
        for mean in &mut self.mean {
            *mean = offset + scale * *mean;
        }
        self.covariance *= faer::Scale(scale * scale);
        self.root *= faer::Scale(scale);
        self.jitter *= scale * scale;
        self
    }

    /// Mean of every point.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Variance of a point; rounding below zero is zero.
    pub fn variance(&self, i: usize) -> f64 {
        self.covariance[(i, i)].max(0.0)
    }

    /// Covariance of two points.
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        self.covariance[(i, j)]
    }

    /// What was added to the diagonal to draw.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Variance of the sum over `points`, with their covariance.
    pub fn variance_of_sum(&self, points: &[usize]) -> f64 {
        let column = |j: &usize| -> f64 {
            let column = self.covariance.col_as_slice(*j);
            points.iter().map(|i| column[*i]).sum()
        };
        points.iter().map(column).sum::<f64>().max(0.0)
    }

    /// Draw number `index`: mean + root xi, a pure function of key and index.
    pub fn draw(&self, key: Key, index: u64) -> Vec<f64> {
        let key = key.with(index);
        let mut drawn = self.mean.clone();
        for j in 0..self.root.ncols() {
            let xi = key.normal(j as u64);
            for (d, r) in drawn.iter_mut().zip(self.root.col_as_slice(j)) {
                *d += xi * r;
            }
        }
        drawn
    }
}

/// What is added to the diagonal, in units of the scale, if the matrix is not
/// positive definite in f64: nothing first, then more and more. The rounding of
/// a sum of n squares is n 2^-53 of the scale, 1e-13 for a thousand points.
const JITTER: [f64; 4] = [0.0, 1e-13, 1e-11, 1e-9];

/// A = L L^T, with what had to be added to the diagonal of A.
pub(super) struct Cholesky {
    /// L; above its diagonal lie leftovers of A.
    lower: Mat<f64>,
    pub(super) jitter: f64,
}

impl Cholesky {
    /// Factorises the lower triangle of `matrix`, whose elements carry the
    /// rounding of numbers of size `scale`. The error is the largest jitter that
    /// did not help.
    pub(super) fn new(matrix: &Mat<f64>, scale: f64) -> Result<Self, f64> {
        let n = matrix.nrows();
        for relative in JITTER {
            let jitter = relative * scale;
            let mut lower = matrix.clone();
            if jitter > 0.0 {
                for i in 0..n {
                    lower[(i, i)] += jitter;
                }
            }
            let scratch = cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::default());
            let mut memory = MemBuffer::new(scratch);
            let done = cholesky_in_place(
                lower.as_mut(),
                LltRegularization::default(),
                Par::Seq,
                MemStack::new(&mut memory),
                Spec::default(),
            );
            // a NaN passes the test of the pivots
            if done.is_ok() && (0..n).all(|i| lower[(i, i)].is_finite()) {
                return Ok(Self { lower, jitter });
            }
        }
        Err(JITTER[JITTER.len() - 1] * scale)
    }

    /// L, with zeros above the diagonal.
    fn lower_triangle(&self) -> Mat<f64> {
        let n = self.lower.nrows();
        Mat::from_fn(n, n, |i, j| if i >= j { self.lower[(i, j)] } else { 0.0 })
    }

    /// log |A|.
    pub(super) fn log_determinant(&self) -> f64 {
        let n = self.lower.nrows();
        2.0 * (0..n).map(|i| self.lower[(i, i)].ln()).sum::<f64>()
    }

    /// L^-1 B, in place.
    pub(super) fn solve_lower(&self, right: MatMut<'_, f64>) {
        solve_lower_triangular_in_place(self.lower.as_ref(), right, Par::Seq);
    }

    /// L^-T B, in place.
    pub(super) fn solve_upper(&self, right: MatMut<'_, f64>) {
        solve_upper_triangular_in_place(self.lower.as_ref().transpose(), right, Par::Seq);
    }

    /// A^-1 b.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = column(right);
        self.solve_lower(x.as_mut());
        self.solve_upper(x.as_mut());
        x.col_as_slice(0).to_vec()
    }

    /// The lower triangle of A^-1.
    pub(super) fn inverse(&self) -> Mat<f64> {
        let n = self.lower.nrows();
        let mut result = Mat::zeros(n, n);
        let mut memory = MemBuffer::new(inverse_scratch::<f64>(n, Par::Seq));
        let stack = MemStack::new(&mut memory);
        inverse(result.as_mut(), self.lower.as_ref(), Par::Seq, stack);
        result
    }
}

/// A column of numbers as a matrix.
pub(super) fn column(values: &[f64]) -> Mat<f64> {
    MatRef::from_column_major_slice(values, values.len(), 1).to_owned()
}

/// `sum + weight * root root^T` in the lower triangle of `sum`.
pub(super) fn add_square(mut sum: MatMut<'_, f64>, weight: f64, root: MatRef<'_, f64>) {
    matmul(
        sum.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        root,
        BlockStructure::Rectangular,
        root.transpose(),
        BlockStructure::Rectangular,
        weight,
        Par::Seq,
    );
}

/// Copies the lower triangle into the upper one.
pub(super) fn mirror(matrix: &mut Mat<f64>) {
    for j in 1..matrix.ncols() {
        for i in 0..j {
            matrix[(i, j)] = matrix[(j, i)];
        }
    }
}
