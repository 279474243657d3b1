//! Variances of coefficients, from a covariance of one model between bins.

use super::least_squares::{LeastSquares, dot};
use super::sets::SetHistograms;
use crate::error::Error;

/// How the coefficients of some functions follow the contents of the bins, `[n][B]`.
pub(super) fn slopes(sets: &SetHistograms, functions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
    let ([average, variances], floor) = (sets.average(), sets.floor());
    let errors: Vec<f64> = variances.iter().map(|v| (v + floor).sqrt()).collect();
    let column = |function: &Vec<f64>| {
        let bins = errors.iter().enumerate();
        bins.map(|(b, e)| average[b] * function[b] / e).collect()
    };
    let columns: Vec<Vec<f64>> = functions.iter().map(column).collect();
    let fit = LeastSquares::new(&columns, &vec![0.0; errors.len()])?;
    let of_row = |row: &Vec<f64>| {
        let slope = |(b, error): (usize, &f64)| {
            let terms = row.iter().zip(&columns);
            terms.map(|(v, column)| v * column[b]).sum::<f64>() / error
        };
        errors.iter().enumerate().map(slope).collect()
    };
    Ok(fit.covariance.iter().map(of_row).collect())
}

/// The variance of a coefficient with these slopes, of contents with this covariance, `[B][B]`.
pub(super) fn propagated(slopes: &[f64], covariance: &[Vec<f64>]) -> f64 {
    let rows = covariance.iter().zip(slopes);
    let variance: f64 = rows.map(|(row, s)| s * dot(row, slopes)).sum();
    variance.max(0.0)
}
