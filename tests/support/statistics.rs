//! Means, and how far they are known.

use std::borrow::Borrow;

/// Mean and its standard error.
pub fn mean_and_error(values: impl IntoIterator<Item: Borrow<f64>>) -> (f64, f64) {
    // Welford: no loss where the mean is far from zero
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let off = value.borrow() - mean;
        mean += off / n;
        squares += off * (value.borrow() - mean);
    }
    (mean, (squares / (n - 1.0) / n).sqrt())
}

pub fn mean(values: impl IntoIterator<Item: Borrow<f64>>) -> f64 {
    mean_and_error(values).0
}

/// Standard deviation, by one value less than there are.
pub fn deviation(values: &[f64]) -> f64 {
    mean_and_error(values).1 * (values.len() as f64).sqrt()
}
