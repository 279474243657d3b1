//! Small dense symmetric matrices, row-major: n is the number of parameters of a
//! fit, and a fit of a toy must not wait for its linear algebra.

use faer::{MatRef, Side};

/// Smallest pivot of a positive definite matrix whose diagonal is one: below it,
/// what is left of a parameter is rounding.
pub(super) const LEAST_PIVOT: f64 = 1e-12;

/// Replaces the lower triangle of `a`, `[n, n]`, by its Cholesky factor L,
/// `a = L L^T`. False, and `a` is spent, if a pivot is not above [`LEAST_PIVOT`].
pub(crate) fn cholesky(a: &mut [f64], n: usize) -> bool {
    for j in 0..n {
        let (above, rest) = a.split_at_mut((j + 1) * n);
        let row = &mut above[j * n..];
        let pivot = row[j] - row[..j].iter().map(|l| l * l).sum::<f64>();
        if !(pivot > LEAST_PIVOT && pivot.is_finite()) {
            return false;
        }
        let diagonal = pivot.sqrt();
        row[j] = diagonal;
        for below in rest.chunks_exact_mut(n) {
            below[j] = (below[j] - dot(&below[..j], &row[..j])) / diagonal;
        }
    }
    true
}

/// Replaces `b`, `[n]`, by the solution of `L L^T x = b`.
pub(super) fn solve(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        b[i] = (b[i] - dot(&l[i * n..i * n + i], &b[..i])) / l[i * n + i];
    }
    for i in (0..n).rev() {
        b[i] /= l[i * n + i];
        for k in 0..i {
            b[k] -= l[i * n + k] * b[i];
        }
    }
}

/// The inverse of `L L^T`, `[n, n]`.
pub(crate) fn inverse(l: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for (j, column) in inverse.chunks_exact_mut(n.max(1)).enumerate() {
        column[j] = 1.0;
        solve(l, n, column);
    }
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (inverse[i * n + j] + inverse[j * n + i]);
            inverse[i * n + j] = mean;
            inverse[j * n + i] = mean;
        }
    }
    inverse
}

/// Eigenvalues, ascending, and eigenvectors, one after the other, of a symmetric
/// matrix.
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<Vec<f64>>,
}

/// The eigen decomposition of `a`, `[n, n]`; none if it did not converge.
pub(super) fn eigen(a: &[f64], n: usize) -> Option<Eigen> {
    let matrix = MatRef::from_row_major_slice(a, n, n);
    let found = matrix.self_adjoint_eigen(Side::Lower).ok()?;
    let (values, vectors) = (found.S(), found.U());
    Some(Eigen {
        values: (0..n).map(|i| values[i]).collect(),
        vectors: (0..n)
            .map(|k| (0..n).map(|i| vectors[(i, k)]).collect())
            .collect(),
    })
}

/// `a . b`.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Euclidean length.
pub(super) fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;

    const A: [f64; 9] = [1.0, 0.4, -0.3, 0.4, 1.0, 0.2, -0.3, 0.2, 1.0];

    #[test]
    fn the_factor_solves_and_inverts() {
        let mut l = A;
        assert!(cholesky(&mut l, 3));
        let mut x = [1.0, -2.0, 0.5];
        solve(&l, 3, &mut x);
        for (row, expected) in A.chunks(3).zip([1.0, -2.0, 0.5]) {
            assert_near(dot(row, &x), expected, 1e-14);
        }
        let inverse = inverse(&l, 3);
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| A[i * 3 + k] * inverse[k * 3 + j]).sum();
                let unit = f64::from(u8::from(i == j));
                assert_near(product, unit, 1e-14);
            }
        }
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let eigen = eigen(&A, 3).unwrap();
        assert!(eigen.values.is_sorted());
        for i in 0..3 {
            for j in 0..3 {
                let sum: f64 = (0..3)
                    .map(|k| eigen.values[k] * eigen.vectors[k][i] * eigen.vectors[k][j])
                    .sum();
                assert_near(sum, A[i * 3 + j], 1e-14);
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2));
        assert!(!cholesky(&mut [1.0, 1.0, 1.0, 1.0], 2));
        assert!(!cholesky(&mut [1.0, 0.0, 0.0, f64::NAN], 2));
    }
}
