//! One axis of a grid: its kernel matrix by eigenvalues, and their derivatives.
//!
//! `K = U Lambda U^T = L L^T` with `L = U sqrt(Lambda)`. The derivative of the
//! root by log l solves `dK = dL L^T + L dL^T`:
//!
//! ```text
//! dL = U X,   X_ab = (U^T dK U)_ab / (sqrt(lambda_a) + sqrt(lambda_b))
//! ```
//!
//! which divides small numbers by small ones of the same size, never by less.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Spec};

/// The root of an axis's kernel matrix, and its derivative.
pub(super) struct Axis {
    /// Eigenvalues above rounding, falling.
    pub(super) eigenvalues: Vec<f64>,
    /// L: eigenvectors times roots of eigenvalues, [points, rank].
    pub(super) root: Mat<f64>,
    /// dL / d log l, [points, rank].
    pub(super) slope: Mat<f64>,
}

impl Axis {
    /// None if the eigenvalues cannot be found.
    pub(super) fn new(coordinates: &[f64], length_scale: f64) -> Option<Self> {
        let n = coordinates.len();
        let squared =
            |i: usize, j: usize| ((coordinates[i] - coordinates[j]) / length_scale).powi(2);
        let kernel = Mat::from_fn(n, n, |i, j| (-0.5 * squared(i, j)).exp());
        let slope = Mat::from_fn(n, n, |i, j| kernel[(i, j)] * squared(i, j));

        let mut eigenvalues = Diag::<f64>::zeros(n);
        let mut vectors = Mat::<f64>::zeros(n, n);
        let scratch =
            self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default());
        self_adjoint_evd(
            kernel.as_ref(),
            eigenvalues.as_mut(),
            Some(vectors.as_mut()),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Spec::default(),
        )
        .ok()?;
        // rising, as computed; rounding may leave the smallest below zero
        let roots: Vec<f64> = (0..n).map(|k| eigenvalues[k].max(0.0).sqrt()).collect();
        let rounding = 4.0 * f64::EPSILON * eigenvalues[n - 1];
        let kept: Vec<usize> = (0..n)
            .rev()
            .filter(|k| eigenvalues[*k] > rounding)
            .collect();

        let turned = product(
            vectors.transpose(),
            product(slope.as_ref(), vectors.as_ref()).as_ref(),
        );
        let x = Mat::from_fn(n, kept.len(), |a, k| {
            turned[(a, kept[k])] / (roots[a] + roots[kept[k]])
        });
        Some(Self {
            eigenvalues: kept.iter().map(|k| eigenvalues[*k]).collect(),
            root: Mat::from_fn(n, kept.len(), |p, k| vectors[(p, kept[k])] * roots[kept[k]]),
            slope: product(vectors.as_ref(), x.as_ref()),
        })
    }

    /// Products of two columns of L at every point, [points, pairs i >= i'], and
    /// half their derivatives.
    pub(super) fn pairs(&self) -> [Mat<f64>; 2] {
        let (n, r) = (self.root.nrows(), self.root.ncols());
        let mut products = [(); 2].map(|()| Mat::<f64>::zeros(n, r * (r + 1) / 2));
        for i in 0..r {
            let (l_i, d_i) = (self.root.col_as_slice(i), self.slope.col_as_slice(i));
            for k in 0..=i {
                let (l_k, d_k) = (self.root.col_as_slice(k), self.slope.col_as_slice(k));
                let [values, slopes] = products.each_mut().map(|m| m.col_as_slice_mut(pair(i, k)));
                for p in 0..n {
                    values[p] = l_i[p] * l_k[p];
                    slopes[p] = 0.5 * (l_i[p] * d_k[p] + d_i[p] * l_k[p]);
                }
            }
        }
        products
    }
}

/// Where the pair (i, k) lies among all pairs.
pub(super) fn pair(i: usize, k: usize) -> usize {
    let (high, low) = if i >= k { (i, k) } else { (k, i) };
    high * (high + 1) / 2 + low
}

/// a b, on one thread.
pub(super) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    c
}
