//! chi-square of a prediction against an observation.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// A chi-square with its degrees of freedom and p-value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chi2 {
    /// d^T V^-1 d
    pub chi2: f64,
    /// Bins with a variance, less what was fixed by the data.
    pub ndf: usize,
    /// Probability of a larger value.
    pub p_value: f64,
}

/// chi2 = d^T V^-1 d with d = observed - predicted and
/// V = diag(V_obs + V_pred) + covariance (if given).
///
/// Bins without any variance are left out. `fixed` is the number of parameters
/// of the prediction that the same data fixed (1 for its normalisation). None
/// if no degree of freedom is left or V is not positive definite.
pub(crate) fn chi2(
    observed: &[f64],
    predicted: &[f64],
    variances: &[f64],
    covariance: Option<&[Vec<f64>]>,
    fixed: usize,
) -> Option<Chi2> {
    let bins = with_variance(variances);
    let ndf = bins.len().checked_sub(fixed).filter(|n| *n > 0)?;
    let difference = |b: usize| observed[b] - predicted[b];
    let chi2 = match covariance {
        None => bins
            .iter()
            .map(|b| difference(*b).powi(2) / variances[*b])
            .sum(),
        Some(covariance) => {
            let d = Mat::<f64>::from_fn(bins.len(), 1, |i, _| difference(bins[i]));
            products(&bins, variances, covariance, &d)?[0]
        }
    };
    Chi2::new(chi2, ndf)
}

fn with_variance(variances: &[f64]) -> Vec<usize> {
    (0..variances.len())
        .filter(|b| variances[*b] > 0.0)
        .collect()
}

impl Chi2 {
    /// A chi-square with its p-value; none without a degree of freedom, or of a number
    /// that is negative or not finite.
    #[must_use]
    pub fn new(chi2: f64, ndf: usize) -> Option<Self> {
        if !(chi2.is_finite() && chi2 >= 0.0) {
            return None;
        }
        let p_value = ChiSquared::new(ndf as f64).ok()?.sf(chi2);
        Some(Self { chi2, ndf, p_value })
    }
}

/// What a chi2 test could see at most: the chi2 of a prediction that is wrong by the
/// whole content of one bin, or of all bins, with V as in [`chi2`].
///
/// A test whose threshold lies above this number cannot fail, whatever is observed
/// between nothing and twice the prediction. None as in [`chi2`].
pub(crate) fn sensitivity(
    predicted: &[f64],
    variances: &[f64],
    covariance: &[Vec<f64>],
) -> Option<f64> {
    let bins = with_variance(variances);
    let n = bins.len();
    if n == 0 {
        return None;
    }
    // column 0: the whole prediction; the others: one bin each
    let deviations = Mat::<f64>::from_fn(n, n + 1, |i, j| {
        let is_wrong = j == 0 || j == i + 1;
        if is_wrong { predicted[bins[i]] } else { 0.0 }
    });
    let all = products(&bins, variances, covariance, &deviations)?;
    let most = all.into_iter().fold(0.0, f64::max);
    most.is_finite().then_some(most)
}

/// d^T V^-1 d of every column of `d`, over some bins.
fn products(
    bins: &[usize],
    variances: &[f64],
    covariance: &[Vec<f64>],
    d: &Mat<f64>,
) -> Option<Vec<f64>> {
    let n = bins.len();
    let v = Mat::<f64>::from_fn(n, n, |i, j| {
        let diagonal = if i == j { variances[bins[i]] } else { 0.0 };
        covariance[bins[i]][bins[j]] + diagonal
    });
    let solved = v.llt(Side::Lower).ok()?.solve(d);
    let product = |j: usize| (0..n).map(|i| d[(i, j)] * solved[(i, j)]).sum();
    Some((0..d.ncols()).map(product).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_covariance_it_is_a_sum_of_pulls() {
        let c = chi2(
            &[10.0, 20.0, 0.0],
            &[13.0, 16.0, 0.0],
            &[9.0, 4.0, 0.0],
            None,
            1,
        )
        .unwrap();
        assert_eq!(c.chi2, 5.0);
        assert_eq!(c.ndf, 1);
        // scipy 1.16: chi2.sf(5, 1)
        assert!((c.p_value - 0.025_347_318_677_468_325).abs() < 1e-12);
    }

    #[test]
    fn covariance_enters_whole() {
        let covariance = vec![vec![1.0, 0.8], vec![0.8, 1.0]];
        let c = chi2(&[1.0, 1.0], &[0.0, 0.0], &[1.0, 1.0], Some(&covariance), 0).unwrap();
        // V = [[2, .8], [.8, 2]]: (1,1) V^-1 (1,1) = 2 / 2.8
        assert!((c.chi2 - 2.0 / 2.8).abs() < 1e-12);
        let zero = vec![vec![0.0; 2]; 2];
        let without = chi2(&[1.0, 3.0], &[0.0, 1.0], &[2.0, 3.0], None, 0).unwrap();
        let with = chi2(&[1.0, 3.0], &[0.0, 1.0], &[2.0, 3.0], Some(&zero), 0).unwrap();
        assert!((with.chi2 - without.chi2).abs() < 1e-12);
    }

    #[test]
    fn what_a_test_could_see_shrinks_with_a_common_error() {
        let (predicted, variances) = ([100.0, 50.0], [100.0, 50.0]);
        let with = |relative: f64| {
            let c = |i: usize, j: usize| relative * relative * predicted[i] * predicted[j];
            let covariance: Vec<Vec<f64>> = (0..2).map(|i| vec![c(i, 0), c(i, 1)]).collect();
            sensitivity(&predicted, &variances, &covariance).unwrap()
        };
        // 100^2 / 100 + 50^2 / 50
        assert!((with(0.0) - 150.0).abs() < 1e-9);
        // a common factor that is not known leaves the shape
        let shape = with(1e3);
        assert!((1.0..150.0).contains(&shape), "{shape}");
        // one bin: no more than (1 / relative)^2
        let one = sensitivity(&[100.0], &[100.0], &[vec![9e4]]).unwrap();
        assert!(one < 1.0 / 9.0, "{one}");
        assert_eq!(sensitivity(&[1.0], &[0.0], &[vec![0.0]]), None);
    }

    #[test]
    fn nothing_to_compare_is_none() {
        assert_eq!(chi2(&[1.0], &[1.0], &[1.0], None, 1), None);
        assert_eq!(chi2(&[1.0], &[1.0], &[0.0], None, 0), None);
    }
}
