//! The squared-exponential kernel and its parameters.

use super::error::GpError;

/// `k(x, x') = amplitude * exp(-sum_k (x_k - x'_k)^2 / (2 l_k^2))`.
#[derive(Clone, Debug, PartialEq)]
pub struct SquaredExponential {
    amplitude: f64,
    length_scales: Vec<f64>,
}

impl SquaredExponential {
    /// Checks parameters: all finite and above 0. The amplitude is a variance,
    /// in units of the targets squared.
    ///
    /// # Errors
    /// [`GpError::Parameter`].
    pub fn new(amplitude: f64, length_scales: Vec<f64>) -> Result<Self, GpError> {
        let positive = |what, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(GpError::Parameter { what, value })
            }
        };
        positive("the amplitude of the kernel", amplitude)?;
        for l in &length_scales {
            positive("a length scale of the kernel", *l)?;
        }
        Ok(Self {
            amplitude,
            length_scales,
        })
    }

    /// The kernel of `theta = (log amplitude, log l_1, ...)`.
    ///
    /// # Errors
    /// [`GpError::Parameter`] where the exponential overflows.
    pub fn from_log(theta: &[f64]) -> Result<Self, GpError> {
        let (first, rest) = theta.split_first().ok_or(GpError::Dimensions {
            kernel: 0,
            points: 0,
        })?;
        Self::new(first.exp(), rest.iter().map(|t| t.exp()).collect())
    }

    /// `(log amplitude, log l_1, ...)`.
    #[must_use]
    pub fn log_parameters(&self) -> Vec<f64> {
        std::iter::once(self.amplitude)
            .chain(self.length_scales.iter().copied())
            .map(f64::ln)
            .collect()
    }

    /// Variance of the process.
    #[must_use]
    pub fn amplitude(&self) -> f64 {
        self.amplitude
    }

    /// One a coordinate, in its units.
    #[must_use]
    pub fn length_scales(&self) -> &[f64] {
        &self.length_scales
    }

    /// The kernel of two points.
    #[must_use]
    pub fn value(&self, a: &[f64], b: &[f64]) -> f64 {
        let exponent: f64 = self
            .length_scales
            .iter()
            .zip(a.iter().zip(b))
            .map(|(l, (x, y))| ((x - y) / l).powi(2))
            .sum();
        self.amplitude * (-0.5 * exponent).exp()
    }

    pub(super) fn check_dimensions(&self, points: usize) -> Result<(), GpError> {
        if self.length_scales.len() == points {
            Ok(())
        } else {
            Err(GpError::Dimensions {
                kernel: self.length_scales.len(),
                points,
            })
        }
    }
}

/// The log marginal likelihood at some kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMarginal {
    /// log p(y|X).
    pub value: f64,
    /// Its derivatives by log amplitude, log l_1, ...
    pub gradient: Vec<f64>,
    /// What was added to the diagonal to factorise the covariance, in units of
    /// the targets squared; 0 as a rule.
    pub jitter: f64,
}
