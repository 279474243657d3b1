//! A Gaussian process on a grid of two axes, some points of it missing.
//!
//! On the whole grid the kernel is a Kronecker product, `K = c Kx (x) Ky`. The
//! kernel is smooth, so that few eigenvalues of Kx and Ky rise above rounding:
//! with `Kx = Lx Lx^T` of low rank
//!
//! ```text
//! K = c B B^T,  B = columns Lx_i (x) Ly_j         A = S + c B B^T,  s = 1/S, 0 where missing
//! M = 1 + c B^T s B                               log|A| = log|S| + log|M|
//! u = sqrt(c) M^-1 B^T s y                        y^T A^-1 y = |sqrt(s) (y - sqrt(c) B u)|^2 + |u|^2
//! mu* = sqrt(c) B u                               S* = c B M^-1 B^T
//! ```
//!
//! by the Woodbury identity; the forms above have no cancellation, and S* comes
//! with its root. A missing point is one of infinite noise. s is not a product,
//! but B^T s B still falls into two small matrix products, over iy and then ix.
//!
//! Derivatives: `tr(A^-1 dK) = 2 c tr(M^-1 B^T s dB)`. An axis has
//! `K = U Lambda U^T = L L^T` with `L = U sqrt(Lambda)`. The derivative of the
//! root by log l solves `dK = dL L^T + L dL^T`:
//!
//! ```text
//! dL = U X,   X_ab = (U^T dK U)_ab / (sqrt(lambda_a) + sqrt(lambda_b))
//! ```
//!
//! which divides small numbers by small ones of the same size, never by less.
//!
//! The numbers are those of [`DenseProcess`](super::DenseProcess): what is left
//! out of K is below 1e-12 of the smallest noise variance a column, or below the
//! rounding of Kx and Ky themselves.

use super::posterior::{Cholesky, Posterior};
use super::{LogMarginal, Marginal, SquaredExponential, check_data, check_finite};
use crate::{ProcessError, fail};
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Spec};

/// Columns of B whose squared length is below this, in units of the smallest
/// noise variance over c, are left out. A thousand of them change log p by less
/// than 1e-9.
const NEGLIGIBLE: f64 = 1e-12;

/// Smallest noise variance, in units of the amplitude: below it the rounding of
/// Kx and Ky (1e-14) would show in log p.
const SMALLEST_NOISE: f64 = 1e-8;

/// Targets and noise variances on the grid; the index of a point is `ix * ny + iy`.
#[derive(Clone, Debug)]
pub struct GridProcess {
    axes: [Vec<f64>; 2],
    targets: Vec<f64>,
    /// 1 / noise variance; 0 where the point is missing.
    precision: Vec<f64>,
    observed: usize,
    smallest_noise: f64,
    /// sum of log noise variance over the observed points.
    log_noise: f64,
}

impl GridProcess {
    /// Checks data: `points` are the grid points that have a target (zero mean) and a
    /// noise variance, in the same order. Fails for fewer than two points, a point
    /// that is not on the grid or comes twice, values that are not finite, variances
    /// that are not positive, and lengths that do not match.
    pub fn new(
        axes: [Vec<f64>; 2],
        points: &[usize],
        targets: &[f64],
        noise: &[f64],
    ) -> Result<Self, ProcessError> {
        check_data(targets, noise, points.len())?;
        for axis in &axes {
            check_finite("coordinate", axis)?;
        }
        let all = axes[0].len() * axes[1].len();
        let mut process = Self {
            axes,
            targets: vec![0.0; all],
            precision: vec![0.0; all],
            observed: points.len(),
            smallest_noise: noise.iter().copied().fold(f64::INFINITY, f64::min),
            log_noise: noise.iter().map(|v| v.ln()).sum(),
        };
        for ((point, target), noise) in points.iter().zip(targets).zip(noise) {
            match process.precision.get_mut(*point) {
                Some(precision) if *precision == 0.0 => *precision = 1.0 / noise,
                Some(_) => {
                    return fail(format!(
                        "point {point} of the grid is given twice; add its events up first"
                    ));
                }
                None => {
                    return fail(format!("point {point} is not on a grid of {all} points"));
                }
            }
            process.targets[*point] = *target;
        }
        Ok(process)
    }

    /// Points of the grid, missing ones too.
    pub(super) fn points(&self) -> usize {
        self.precision.len()
    }

    pub(super) fn singular(&self, kernel: &SquaredExponential, jitter: f64) -> ProcessError {
        kernel.singular(self.observed, self.smallest_noise, jitter)
    }

    /// The posterior at every point of the grid, missing or not. Fails if the kernel
    /// has not two length scales, or its covariance is singular.
    pub fn posterior(&self, kernel: &SquaredExponential) -> Result<Posterior, ProcessError> {
        let (mean, root) = GridState::new(self, kernel)?.mean_and_root(kernel);
        Ok(Posterior::from_root(mean, root))
    }
}

impl Marginal for GridProcess {
    fn dimensions(&self) -> usize {
        2
    }

    fn log_marginal(&self, kernel: &SquaredExponential) -> Result<LogMarginal, ProcessError> {
        let state = GridState::new(self, kernel)?;
        let c = kernel.amplitude();
        let [x, y] = &state.axes;
        let [nx, ny] = [self.axes[0].len(), self.axes[1].len()];

        // a = A^-1 y as a matrix [ny, nx]
        let a = Mat::from_fn(ny, nx, |iy, ix| {
            let p = ix * ny + iy;
            self.precision[p] * (self.targets[p] - state.fitted[p])
        });
        // 1/2 a^T dK a = sqrt(c) (dB^T a) . u
        let moved = [
            product_of(x.slope.transpose(), a.transpose(), y.root.as_ref()),
            product_of(x.root.transpose(), a.transpose(), y.slope.as_ref()),
        ];
        let inverse = state.factor.inverse();
        let traces = state.traces(self, &inverse);
        let trace_inverse: f64 = (0..state.columns.len()).map(|k| inverse[(k, k)]).sum();
        let length: f64 = state.u.iter().map(|u| u * u).sum();
        let mut gradient = vec![0.5 * (length - (state.columns.len() as f64 - trace_inverse))];
        for (moved, trace) in moved.iter().zip(traces) {
            let columns = state.columns.iter().zip(&state.u);
            let along: f64 = columns.map(|(place, u)| moved[*place] * u).sum();
            gradient.push(c.sqrt() * along - c * trace);
        }
        Ok(LogMarginal {
            value: state.log_marginal(self),
            gradient,
            jitter: state.factor.jitter,
        })
    }
}

/// Everything that value, gradient and posterior at one kernel share.
pub(super) struct GridState {
    axes: [Axis; 2],
    pairs: [[Mat<f64>; 2]; 2],
    /// The columns of B as (i, j).
    columns: Vec<(usize, usize)>,
    /// The factor of M.
    factor: Cholesky,
    u: Vec<f64>,
    /// mu = sqrt(c) B u on the whole grid.
    fitted: Vec<f64>,
}

impl GridState {
    pub(super) fn new(
        process: &GridProcess,
        kernel: &SquaredExponential,
    ) -> Result<Self, ProcessError> {
        kernel.check_dimensions(2)?;
        let c = kernel.amplitude();
        let singular = |jitter: f64| process.singular(kernel, jitter);
        if process.smallest_noise < SMALLEST_NOISE * c {
            return Err(singular(0.0));
        }
        let axis = |k: usize| {
            Axis::new(&process.axes[k], kernel.length_scales()[k]).ok_or_else(|| singular(0.0))
        };
        let axes = [axis(0)?, axis(1)?];
        let [x, y] = &axes;
        let negligible = NEGLIGIBLE * process.smallest_noise / c;
        let (x_values, y_values) = (&x.eigenvalues, &y.eigenvalues);
        let all = (0..x_values.len()).flat_map(|i| (0..y_values.len()).map(move |j| (i, j)));
        let kept = all.filter(|(i, j)| x_values[*i] * y_values[*j] > negligible);
        let columns: Vec<(usize, usize)> = kept.collect();

        let pairs = axes.each_ref().map(Axis::pairs);
        let gram = gram(process, &pairs[0][0], &pairs[1][0]);
        let mut m = Mat::zeros(columns.len(), columns.len());
        for (b, (i_b, j_b)) in columns.iter().enumerate() {
            let column = m.col_as_slice_mut(b);
            for (a, (i_a, j_a)) in columns.iter().enumerate().skip(b) {
                column[a] = c * gram[(pair(*i_a, *i_b), pair(*j_a, *j_b))];
            }
            column[b] += 1.0;
        }
        let scale = (0..columns.len()).map(|k| m[(k, k)]).fold(1.0, f64::max);
        let factor = Cholesky::new(&m, scale).map_err(singular)?;

        let [nx, ny] = [process.axes[0].len(), process.axes[1].len()];
        let weighted = Mat::from_fn(nx, ny, |ix, iy| {
            let p = ix * ny + iy;
            process.precision[p] * process.targets[p]
        });
        let right = product_of(x.root.transpose(), weighted.as_ref(), y.root.as_ref());
        let right = columns.iter().map(|place| c.sqrt() * right[*place]);
        let u = factor.solve(&right.collect::<Vec<f64>>());
        let mut square = Mat::<f64>::zeros(x.root.ncols(), y.root.ncols());
        for (value, place) in u.iter().zip(&columns) {
            square[*place] = c.sqrt() * value;
        }
        let fitted = product_of(x.root.as_ref(), square.as_ref(), y.root.transpose());
        let fitted = (0..nx * ny).map(|p| fitted[(p / ny, p % ny)]).collect();
        Ok(Self {
            axes,
            pairs,
            columns,
            factor,
            u,
            fitted,
        })
    }

    /// log p(y|X).
    pub(super) fn log_marginal(&self, process: &GridProcess) -> f64 {
        let data = process
            .targets
            .iter()
            .zip(&process.precision)
            .zip(&self.fitted);
        let squares = data.map(|((target, s), fitted)| s * (target - fitted).powi(2));
        let length: f64 = self.u.iter().map(|u| u * u).sum();
        let constant = process.observed as f64 * (2.0 * std::f64::consts::PI).ln();
        let determinant = self.factor.log_determinant();
        -0.5 * (squares.sum::<f64>() + length + determinant + process.log_noise + constant)
    }

    /// Posterior mean on the whole grid, and a root of the covariance:
    /// sqrt(c) B L^-T, so that root root^T = c B M^-1 B^T.
    pub(super) fn mean_and_root(self, kernel: &SquaredExponential) -> (Vec<f64>, Mat<f64>) {
        let c = kernel.amplitude().sqrt();
        let [x, y] = &self.axes;
        let (nx, ny) = (x.root.nrows(), y.root.nrows());
        let mut root = Mat::zeros(nx * ny, self.columns.len());
        for (k, (i, j)) in self.columns.iter().copied().enumerate() {
            let out = root.col_as_slice_mut(k);
            for ix in 0..nx {
                let factor = c * x.root[(ix, i)];
                for iy in 0..ny {
                    out[ix * ny + iy] = factor * y.root[(iy, j)];
                }
            }
        }
        self.factor.solve_lower(root.as_mut().transpose_mut());
        (self.fitted, root)
    }

    /// tr(M^-1 B^T s dB) for both length scales, `inverse` the lower triangle of
    /// M^-1.
    fn traces(&self, process: &GridProcess, inverse: &Mat<f64>) -> [f64; 2] {
        // M^-1 summed over the columns that share their pairs
        let [[x, dx], [y, dy]] = &self.pairs;
        let mut weights = Mat::<f64>::zeros(x.ncols(), y.ncols());
        for (b, (i_b, j_b)) in self.columns.iter().enumerate() {
            let column = inverse.col_as_slice(b);
            weights[(pair(*i_b, *i_b), pair(*j_b, *j_b))] += column[b];
            for (a, (i_a, j_a)) in self.columns.iter().enumerate().skip(b + 1) {
                weights[(pair(*i_a, *i_b), pair(*j_a, *j_b))] += 2.0 * column[a];
            }
        }
        [gram(process, dx, y), gram(process, x, dy)].map(|slopes| {
            let column = |k| {
                let (s, w) = (slopes.col_as_slice(k), weights.col_as_slice(k));
                s.iter().zip(w).map(|(s, w)| s * w).sum::<f64>()
            };
            (0..slopes.ncols()).map(column).sum()
        })
    }
}

/// `sum_p s_p x[ix, k] y[iy, l]`, [pairs of x, pairs of y].
fn gram(process: &GridProcess, x: &Mat<f64>, y: &Mat<f64>) -> Mat<f64> {
    let (nx, ny) = (x.nrows(), y.nrows());
    // the precision as [ny, nx]: its columns are the rows of the grid
    let precision = MatRef::from_column_major_slice(&process.precision, ny, nx);
    let inner = product(precision.transpose(), y.as_ref());
    product(x.transpose(), inner.as_ref())
}

/// a b c, from the left.
fn product_of(a: MatRef<'_, f64>, b: MatRef<'_, f64>, c: MatRef<'_, f64>) -> Mat<f64> {
    product(product(a, b).as_ref(), c)
}

/// The root of an axis's kernel matrix, and its derivative.
struct Axis {
    /// Eigenvalues above rounding, falling.
    eigenvalues: Vec<f64>,
    /// L: eigenvectors times roots of eigenvalues, [points, rank].
    root: Mat<f64>,
    /// dL / d log l, [points, rank].
    slope: Mat<f64>,
}

impl Axis {
    /// None if the eigenvalues cannot be found.
    fn new(coordinates: &[f64], length_scale: f64) -> Option<Self> {
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
        let falling = (0..n).rev();
        let kept: Vec<usize> = falling.filter(|k| eigenvalues[*k] > rounding).collect();

        let turned = product(slope.as_ref(), vectors.as_ref());
        let turned = product(vectors.transpose(), turned.as_ref());
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
    fn pairs(&self) -> [Mat<f64>; 2] {
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
fn pair(i: usize, k: usize) -> usize {
    let (high, low) = if i >= k { (i, k) } else { (k, i) };
    high * (high + 1) / 2 + low
}

/// a b, on one thread.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    c
}
