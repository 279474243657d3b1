//! Dense symmetric matrices, row-major: n is the number of parameters of a fit. A fit of a
//! toy must not wait for its linear algebra, and a published workspace has hundreds of
//! parameters: small matrices are factored here, large ones in blocks.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::cholesky::llt::inverse::{inverse as blocked_inverse, inverse_scratch};
use faer::{Mat, MatMut, MatRef, Par, Side, Spec};

/// Smallest pivot of a positive definite matrix whose diagonal is one: below it,
/// what is left of a parameter is rounding.
pub(super) const LEAST_PIVOT: f64 = 1e-12;

/// Matrices of at least this size are factored in blocks.
pub(super) const LARGE: usize = 48;

/// Replaces the lower triangle of the symmetric matrix `a`, `[n, n]`, by its Cholesky factor
/// L, `a = L L^T`. False, and `a` is spent, if a pivot is not above [`LEAST_PIVOT`].
pub(crate) fn cholesky(a: &mut [f64], n: usize) -> bool {
    if n >= LARGE {
        return cholesky_in_blocks(a, n);
    }
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

fn cholesky_in_blocks(a: &mut [f64], n: usize) -> bool {
    // by columns, which is the same for a symmetric matrix
    let matrix = MatMut::from_column_major_slice_mut(a, n, n);
    let scratch = cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::default());
    let factored = cholesky_in_place(
        matrix,
        LltRegularization::default(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    );
    let is_pivot = |l: f64| l * l > LEAST_PIVOT && l.is_finite();
    if factored.is_err() || !(0..n).all(|j| is_pivot(a[j * n + j])) {
        return false;
    }
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = a[j * n + i];
        }
    }
    true
}

/// Replaces `b`, `[n]`, by the solution of `L x = b`.
pub(super) fn forward(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        b[i] = (b[i] - dot(&l[i * n..i * n + i], &b[..i])) / l[i * n + i];
    }
}

/// Replaces `b`, `[n]`, by the solution of `L L^T x = b`.
pub(super) fn solve(l: &[f64], n: usize, b: &mut [f64]) {
    forward(l, n, b);
    for i in (0..n).rev() {
        b[i] /= l[i * n + i];
        let x = b[i];
        for (b, l) in b[..i].iter_mut().zip(&l[i * n..]) {
            *b -= l * x;
        }
    }
}

/// Replaces `b`, `[n]`, by the solution of `a x = b` for a symmetric matrix whose diagonal is
/// about one; `a` is spent. False, and both are spent, if it is not positive definite. What
/// stands alone is divided by its diagonal and left out of the factor.
pub(super) fn solve_positive(a: &mut [f64], n: usize, b: &mut [f64]) -> bool {
    let coupled = coupled(a, n);
    let m = coupled.len();
    if m == n {
        return cholesky(a, n) && {
            solve(a, n, b);
            true
        };
    }
    if !divide_alone(a, n, &coupled, |i, pivot| b[i] /= pivot) {
        return false;
    }
    // never ahead of what is read
    for (p, &i) in coupled.iter().enumerate() {
        for (q, &j) in coupled.iter().enumerate() {
            a[p * m + q] = a[i * n + j];
        }
    }
    let mut x: Vec<f64> = coupled.iter().map(|i| b[*i]).collect();
    if !cholesky(&mut a[..m * m], m) {
        return false;
    }
    solve(&a[..m * m], m, &mut x);
    for (i, x) in coupled.iter().zip(x) {
        b[*i] = x;
    }
    true
}

/// The inverse of a symmetric matrix, `[n, n]`, whose diagonal is about one; none if it is
/// not positive definite.
pub(super) fn inverse_positive(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let coupled = coupled(&a, n);
    let m = coupled.len();
    if m == n {
        return cholesky(&mut a, n).then(|| inverse(&a, n));
    }
    let mut result = vec![0.0; n * n];
    if !divide_alone(&a, n, &coupled, |i, pivot| result[i * n + i] = 1.0 / pivot) {
        return None;
    }
    let pairs = coupled
        .iter()
        .flat_map(|i| coupled.iter().map(|j| a[*i * n + *j]));
    let mut factor: Vec<f64> = pairs.collect();
    if !cholesky(&mut factor, m) {
        return None;
    }
    let inverse = inverse(&factor, m);
    for (p, &i) in coupled.iter().enumerate() {
        for (q, &j) in coupled.iter().enumerate() {
            result[i * n + j] = inverse[p * m + q];
        }
    }
    Some(result)
}

/// Visits rows that are not coupled, with their diagonal; false if one is no pivot.
fn divide_alone(a: &[f64], n: usize, coupled: &[usize], mut visit: impl FnMut(usize, f64)) -> bool {
    let mut next = coupled.iter().peekable();
    for i in 0..n {
        if next.next_if_eq(&&i).is_some() {
            continue;
        }
        let pivot = a[i * n + i];
        if !(pivot > LEAST_PIVOT && pivot.is_finite()) {
            return false;
        }
        visit(i, pivot);
    }
    true
}

/// The inverse of `L L^T`, `[n, n]`.
pub(crate) fn inverse(l: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = if n >= LARGE {
        inverse_in_blocks(l, n)
    } else {
        let mut inverse = vec![0.0; n * n];
        for (j, column) in inverse.chunks_exact_mut(n.max(1)).enumerate() {
            column[j] = 1.0;
            solve(l, n, column);
        }
        inverse
    };
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (inverse[i * n + j] + inverse[j * n + i]);
            inverse[i * n + j] = mean;
            inverse[j * n + i] = mean;
        }
    }
    inverse
}

fn inverse_in_blocks(l: &[f64], n: usize) -> Vec<f64> {
    let factor = Mat::from_fn(n, n, |i, j| if j <= i { l[i * n + j] } else { 0.0 });
    let mut lower = Mat::zeros(n, n);
    let scratch = inverse_scratch::<f64>(n, Par::Seq);
    let stack = &mut MemBuffer::new(scratch);
    blocked_inverse(
        lower.as_mut(),
        factor.as_ref(),
        Par::Seq,
        MemStack::new(stack),
    );
    let mut inverse = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            inverse[i * n + j] = lower[(i, j)];
            inverse[j * n + i] = lower[(i, j)];
        }
    }
    inverse
}

/// Rows of a symmetric matrix, `[n, n]`, that have something beside their diagonal.
fn coupled(a: &[f64], n: usize) -> Vec<usize> {
    let is_coupled = |i: &usize| {
        let row = &a[i * n..(i + 1) * n];
        let beside = row[..*i].iter().chain(&row[i + 1..]);
        // something that is no number is something
        beside.copied().any(|x| x != 0.0)
    };
    (0..n).filter(is_coupled).collect()
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

    /// A positive definite matrix with a diagonal of ones.
    fn correlations(n: usize) -> Vec<f64> {
        let size = |i: usize| 0.5 + 0.5 * i as f64 / n as f64;
        // a convex falling function of the distance is positive definite
        let entry = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 1.0,
            far => 0.4 / (1.0 + far as f64) * size(i) * size(j),
        };
        (0..n * n).map(|k| entry(k / n, k % n)).collect()
    }

    #[test]
    fn large_matrices_are_factored_like_small_ones() {
        for n in [LARGE - 1, LARGE, 150] {
            let matrix = correlations(n);
            let mut l = matrix.clone();
            assert!(cholesky(&mut l, n));
            for i in 0..n {
                for j in 0..=i {
                    let product = dot(&l[i * n..i * n + j + 1], &l[j * n..j * n + j + 1]);
                    assert_near(product, matrix[i * n + j], 1e-14);
                }
            }
            let mut x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let b = x.clone();
            solve(&l, n, &mut x);
            let inverse = inverse(&l, n);
            for i in 0..n {
                assert_near(dot(&matrix[i * n..(i + 1) * n], &x), b[i], 1e-12);
                assert_near(dot(&inverse[i * n..(i + 1) * n], &b), x[i], 1e-12);
            }
            let mut odd = matrix;
            odd[n * n - 1] = -1.0;
            assert!(!cholesky(&mut odd.clone(), n));
            odd[n * n - 1] = f64::NAN;
            assert!(!cholesky(&mut odd, n));
        }
    }

    #[test]
    fn what_stands_alone_is_found() {
        let matrix = [1.0, 0.0, 0.5, 0.0, 2.0, 0.0, 0.5, 0.0, 3.0];
        assert_eq!(coupled(&matrix, 3), [0, 2]);
        assert_eq!(coupled(&[1.0, f64::NAN, f64::NAN, 1.0], 2), [0, 1]);
        assert!(coupled(&[7.0], 1).is_empty());
        let mut b = [1.0, 3.0, -2.0];
        assert!(solve_positive(&mut matrix.clone(), 3, &mut b));
        for (row, expected) in matrix.chunks(3).zip([1.0, 3.0, -2.0]) {
            assert_near(dot(row, &b), expected, 1e-14);
        }
        let inverse = inverse_positive(matrix.to_vec(), 3).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| matrix[i * 3 + k] * inverse[k * 3 + j]).sum();
                assert_near(product, f64::from(u8::from(i == j)), 1e-14);
            }
        }
        let flat = [1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 3.0];
        assert!(!solve_positive(&mut flat.clone(), 3, &mut b));
        assert!(inverse_positive(flat.to_vec(), 3).is_none());
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
