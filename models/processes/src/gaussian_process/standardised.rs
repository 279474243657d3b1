//! Targets of zero mean and unit variance.

use super::error::{GpError, check_data};

/// Values made ready for a process of zero mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardised {
    /// Mean of the values.
    pub mean: f64,
    /// Their standard deviation (division by n).
    pub deviation: f64,
    /// (value - mean) / deviation.
    pub targets: Vec<f64>,
    /// variance / deviation^2.
    pub noise: Vec<f64>,
}

impl Standardised {
    /// Standardises values and their noise variances.
    ///
    /// # Errors
    /// [`GpError`] for fewer than two values, values that are not finite or all
    /// the same, and variances that are not positive.
    pub fn new(values: &[f64], variances: &[f64]) -> Result<Self, GpError> {
        check_data(values, variances, values.len())?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        // equal values leave at most the rounding of their mean
        if deviation <= 4.0 * f64::EPSILON * mean.abs() || !deviation.is_finite() {
            return Err(GpError::NoSpread {
                points: values.len(),
                value: mean,
            });
        }
        Ok(Self {
            mean,
            deviation,
            targets: values.iter().map(|v| (v - mean) / deviation).collect(),
            noise: variances.iter().map(|v| v / deviation.powi(2)).collect(),
        })
    }
}
