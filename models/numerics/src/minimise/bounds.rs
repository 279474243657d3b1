//! Intervals of parameters.

use super::MinimiseError;

/// An interval a parameter; infinite ends are allowed, and equal ends fix it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
}

impl Bounds {
    /// Checks bounds.
    ///
    /// # Errors
    /// [`MinimiseError`] if lengths differ or an interval is empty or NaN.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self, MinimiseError> {
        if lower.len() != upper.len() {
            return Err(MinimiseError::Length {
                what: "upper bounds",
                found: upper.len(),
                expected: lower.len(),
            });
        }
        for (index, (l, u)) in lower.iter().copied().zip(upper.iter().copied()).enumerate() {
            // an end at the wrong infinity leaves no point
            let empty = l.is_nan() || u.is_nan() || l > u;
            if empty || l == f64::INFINITY || u == f64::NEG_INFINITY {
                return Err(MinimiseError::Bounds {
                    index,
                    lower: l,
                    upper: u,
                });
            }
        }
        Ok(Self { lower, upper })
    }

    /// No bounds on `parameters` parameters.
    #[must_use]
    pub fn none(parameters: usize) -> Self {
        Self {
            lower: vec![f64::NEG_INFINITY; parameters],
            upper: vec![f64::INFINITY; parameters],
        }
    }

    /// Number of parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lower.len()
    }

    /// Whether there is no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    /// Lower ends.
    #[must_use]
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper ends.
    #[must_use]
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// Largest component of `x - P(x - gradient)`, P the projection into the
    /// bounds: zero at a minimum, on a bound or not.
    #[must_use]
    pub fn projected_gradient(&self, point: &[f64], gradient: &[f64]) -> f64 {
        (0..self.len())
            .map(|i| {
                let moved = (point[i] - gradient[i]).clamp(self.lower[i], self.upper[i]);
                (point[i] - moved).abs()
            })
            .fold(0.0, f64::max)
    }
}
