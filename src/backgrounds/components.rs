//! Principal components of the covariance of retrained networks' histograms: as many correlated
//! shifts as it takes, and what is left as an error of single bins.
//!
//! Contents are first divided by what each bin is known to, so that bins count by what they can
//! say. However many components are kept, the variances of all bins stay exact.

use crate::statistics::quantile;
use faer::{Mat, Side};
use rayon::prelude::*;

/// The interquartile range of a normal distribution of width one.
const NORMAL_RANGE: f64 = 1.348_979_500_392_163_5;

/// Shifts of all bins by one standard deviation each, and the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Components {
    /// The shifts, `[k, bins]`, largest first; the largest entry of each, in the units of the
    /// bins' errors, is positive.
    pub shifts: Vec<Vec<f64>>,
    /// Variance of each bin that is in none of them, `[bins]`.
    pub left: Vec<f64>,
    /// Share of the variance, in the units of the bins' errors, that they have.
    pub share: f64,
    /// The largest correlation of two bins that is in none of them.
    pub lost_correlation: f64,
}

/// Takes the covariance of replicas apart. `replicas`: their contents, `[M, bins]`; `errors`:
/// what each bin is known to, above 0, `[bins]`. As many components are kept as have the share
/// `keep` of the variance together, at most `at_most` and `M - 2`. None without two replicas, or
/// if a number is not finite.
pub(crate) fn components(
    replicas: &[f64],
    errors: &[f64],
    keep: f64,
    at_most: usize,
) -> Option<Components> {
    let bins = errors.len();
    let count = replicas.len() / bins.max(1);
    if count < 2 || replicas.len() != count * bins || replicas.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let deviations = deviations(replicas, bins, count);
    let entry = |r: usize, b: usize| deviations[r * bins + b];
    let scaled = |r: usize, b: usize| entry(r, b) / errors[b];
    // of both products the one of the smaller matrix, whose eigenvalues are those of the other
    let is_wide = count < bins;
    let n = count.min(bins);
    let mut product = Mat::<f64>::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = match is_wide {
                true => (0..bins).map(|b| scaled(i, b) * scaled(j, b)).sum(),
                false => (0..count).map(|r| scaled(r, i) * scaled(r, j)).sum(),
            };
            (product[(i, j)], product[(j, i)]) = (sum, sum);
        }
    }
    let total: f64 = (0..n).map(|i| product[(i, i)]).sum();
    let variances = variances(&deviations, bins, count);
    if total <= 0.0 {
        return Some(Components {
            left: variances,
            share: 1.0,
            ..Components::default()
        });
    }
    let eigen = product.self_adjoint_eigen(Side::Lower).ok()?;
    let shift = |k: usize| {
        // the last eigenvalue is the largest
        let (value, vector) = (eigen.S()[n - 1 - k].max(0.0), |i: usize| {
            eigen.U()[(i, n - 1 - k)]
        });
        let of_bin = |b: usize| match is_wide {
            true => (0..count).map(|r| entry(r, b) * vector(r)).sum(),
            false => errors[b] * vector(b) * value.sqrt(),
        };
        signed((0..bins).map(of_bin).collect(), errors)
    };
    let most = at_most.min(count - 2).min(n);
    let (mut kept, mut shifts) = (0.0, Vec::new());
    while shifts.len() < most && kept < keep * total {
        kept += eigen.S()[n - 1 - shifts.len()].max(0.0);
        shifts.push(shift(shifts.len()));
    }
    let left = (0..bins).map(|b| {
        let own: f64 = shifts.iter().map(|s| s[b] * s[b]).sum();
        // no variance is negative but by rounding
        (variances[b] - own).max(0.0)
    });
    Some(Components {
        left: left.collect(),
        share: (kept / total).min(1.0),
        lost_correlation: lost(&deviations, &variances, &shifts),
        shifts,
    })
}

/// The interquartile ranges of replicas' contents, `[M, bins]`, as one shift of all bins by a
/// standard deviation of a normal distribution: that their correlations are one is assumed, and
/// `lost_correlation` says by how much it is not so. None as of [`components`].
pub(crate) fn interquartile(replicas: &[f64], bins: usize) -> Option<Components> {
    let count = replicas.len() / bins.max(1);
    if count < 2 || replicas.len() != count * bins || replicas.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let range = |b: usize| {
        let mut own: Vec<f64> = (0..count).map(|r| replicas[r * bins + b]).collect();
        own.sort_by(f64::total_cmp);
        (quantile(&own, 0.75) - quantile(&own, 0.25)) / NORMAL_RANGE
    };
    let shift: Vec<f64> = (0..bins).map(range).collect();
    let deviations = deviations(replicas, bins, count);
    let variances = variances(&deviations, bins, count);
    // in the units of what the replicas themselves differ by
    let all: Vec<f64> = variances.iter().map(|v| v.sqrt()).collect();
    Some(Components {
        left: vec![0.0; bins],
        share: 1.0,
        lost_correlation: lost(&deviations, &variances, std::slice::from_ref(&all)),
        shifts: match shift.iter().all(|x| *x == 0.0) {
            true => Vec::new(),
            false => vec![shift],
        },
    })
}

/// Contents less their means, over `sqrt(M - 1)`: their products add up to the covariance.
fn deviations(replicas: &[f64], bins: usize, count: usize) -> Vec<f64> {
    let mut deviations = replicas.to_vec();
    let norm = ((count - 1) as f64).sqrt();
    for b in 0..bins {
        let own = || (0..count).map(|r| r * bins + b);
        let mean = own().map(|i| replicas[i]).sum::<f64>() / count as f64;
        own().for_each(|i| deviations[i] = (deviations[i] - mean) / norm);
    }
    deviations
}

fn variances(deviations: &[f64], bins: usize, count: usize) -> Vec<f64> {
    let of_bin = |b: usize| (0..count).map(|r| deviations[r * bins + b].powi(2)).sum();
    (0..bins).map(of_bin).collect()
}

/// A shift of the sign with which its largest entry, in units of the errors, is positive: its
/// name means the same however the decomposition comes out.
fn signed(shift: Vec<f64>, errors: &[f64]) -> Vec<f64> {
    let largest = shift.iter().zip(errors).map(|(x, error)| x / error);
    let largest = largest.fold(
        0.0,
        |most: f64, x| if x.abs() > most.abs() { x } else { most },
    );
    match largest < 0.0 {
        true => shift.into_iter().map(|x| -x).collect(),
        false => shift,
    }
}

/// The largest correlation between two bins that no shift has.
fn lost(deviations: &[f64], variances: &[f64], shifts: &[Vec<f64>]) -> f64 {
    let bins = variances.len();
    let with_others = |b: usize| {
        let correlation = |c: usize| {
            let norm = (variances[b] * variances[c]).sqrt();
            let rows = deviations.chunks_exact(bins);
            let whole: f64 = rows.map(|row| row[b] * row[c]).sum();
            let kept: f64 = shifts.iter().map(|s| s[b] * s[c]).sum();
            // a bin without variance has none
            if norm > 0.0 {
                (whole - kept).abs() / norm
            } else {
                0.0
            }
        };
        (0..b).map(correlation).fold(0.0, f64::max)
    };
    let largest = (0..bins).into_par_iter().map(with_others);
    largest.reduce(|| 0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    /// Contents of `count` replicas with two common shifts and noise of single bins.
    fn replicas(count: usize, bins: usize) -> Vec<f64> {
        let mut stream = Key::from_seed(7).stream();
        let mut normal = || (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0;
        let mut all = Vec::with_capacity(count * bins);
        for _ in 0..count {
            let [tilt, size] = [normal(), normal()];
            for b in 0..bins {
                let x = b as f64 / bins as f64 - 0.4;
                all.push(100.0 + 8.0 * size + 20.0 * tilt * x + 0.5 * normal());
            }
        }
        all
    }

    /// The covariance by its definition.
    fn covariance(all: &[f64], bins: usize) -> Vec<f64> {
        let count = all.len() / bins;
        let mean = |b: usize| (0..count).map(|r| all[r * bins + b]).sum::<f64>() / count as f64;
        let means: Vec<f64> = (0..bins).map(mean).collect();
        let mut covariance = vec![0.0; bins * bins];
        for (b, row) in covariance.chunks_mut(bins).enumerate() {
            for (c, entry) in row.iter_mut().enumerate() {
                let product =
                    |r: usize| (all[r * bins + b] - means[b]) * (all[r * bins + c] - means[c]);
                *entry = (0..count).map(product).sum::<f64>() / (count - 1) as f64;
            }
        }
        covariance
    }

    fn errors(bins: usize) -> Vec<f64> {
        (0..bins).map(|b| 5.0 + b as f64).collect()
    }

    #[test]
    fn all_components_are_the_covariance() {
        for (count, bins) in [(40, 6), (200, 12)] {
            let all = replicas(count, bins);
            let found = components(&all, &errors(bins), 1.0, 100).unwrap();
            assert_eq!(found.shifts.len(), bins);
            for (i, expected) in covariance(&all, bins).iter().enumerate() {
                let (b, c) = (i / bins, i % bins);
                let sum: f64 = found.shifts.iter().map(|s| s[b] * s[c]).sum();
                assert!((sum - expected).abs() < 1e-9 * 100.0, "{sum} {expected}");
            }
            assert!(found.left.iter().all(|x| *x < 1e-9) && found.lost_correlation < 1e-9);
        }
    }

    #[test]
    fn variances_are_exact_whatever_is_kept() {
        for (count, bins) in [(50, 10), (6, 10), (3, 10), (2, 10)] {
            let all = replicas(count, bins);
            let expected = covariance(&all, bins);
            for (keep, at_most) in [(1.0, 100), (0.99, 8), (0.5, 8), (0.99, 1), (0.99, 0)] {
                let found = components(&all, &errors(bins), keep, at_most).unwrap();
                assert!(found.shifts.len() <= at_most.min(count - 2));
                for b in 0..bins {
                    let own: f64 = found.shifts.iter().map(|s| s[b] * s[b]).sum();
                    let variance = own + found.left[b];
                    let exact = expected[b * bins + b];
                    assert!((variance / exact - 1.0).abs() < 1e-9, "{variance} {exact}");
                }
            }
        }
    }

    #[test]
    fn a_few_components_have_what_bins_have_in_common() {
        let all = replicas(300, 10);
        let found = components(&all, &errors(10), 0.99, 8).unwrap();
        // two common shifts, and little noise
        assert!(found.shifts.len() <= 3, "{}", found.shifts.len());
        assert!(found.share >= 0.99 && found.lost_correlation < 0.1);
        let one = components(&all, &errors(10), 0.99, 1).unwrap();
        assert!(one.share < found.share && one.lost_correlation > found.lost_correlation);
        for shift in &found.shifts {
            let units = shift.iter().zip(errors(10)).map(|(x, e)| x / e);
            let largest = units.max_by(|a, b| a.abs().total_cmp(&b.abs()));
            assert!(largest.unwrap() > 0.0);
        }
    }

    #[test]
    fn interquartile_ranges_are_one_shift() {
        // 0, 1, .., 8 times a slope: the quartiles are 2 and 6
        let all: Vec<f64> = (0..9)
            .flat_map(|r| [f64::from(r), -2.0 * f64::from(r)])
            .collect();
        let found = interquartile(&all, 2).unwrap();
        let expected = [4.0, 8.0].map(|range| range / 1.349);
        for (found, expected) in found.shifts[0].iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-4);
        }
        assert_eq!(
            (found.shifts.len(), found.left.as_slice()),
            (1, &[0.0, 0.0][..])
        );
        // the bins are anticorrelated, which is taken for the opposite
        assert!((found.lost_correlation - 2.0).abs() < 1e-12);
        assert!(interquartile(&[5.0; 6], 2).unwrap().shifts.is_empty());
        assert_eq!(interquartile(&[1.0, 2.0], 2), None);
    }

    #[test]
    fn what_has_no_covariance_has_no_components() {
        assert_eq!(components(&[1.0, 2.0], &[1.0, 1.0], 0.99, 8), None);
        assert_eq!(components(&[1.0, f64::NAN], &[1.0], 0.99, 8), None);
        assert_eq!(components(&[], &[], 0.99, 8), None);
        let equal = components(&[3.0, 4.0, 3.0, 4.0, 3.0, 4.0], &[1.0, 1.0], 0.99, 8).unwrap();
        assert!(equal.shifts.is_empty() && equal.left == [0.0, 0.0]);
    }
}
