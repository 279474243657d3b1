//! What a set of weights is worth.

use serde::{Deserialize, Serialize};

/// Summary of event weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightSummary {
    /// Number of events.
    pub events: usize,
    /// Sum of weights.
    pub sum: f64,
    /// Square root of the sum of squared weights.
    pub error: f64,
    /// Effective sample size (sum w)^2 / sum w^2.
    pub effective: f64,
    /// Largest weight.
    pub largest: f64,
    /// Its share of the sum.
    pub largest_share: f64,
    /// Number of negative weights.
    pub negative: usize,
}

impl WeightSummary {
    /// Summary of weights.
    #[must_use]
    pub fn of(weights: impl Iterator<Item = f64>) -> Self {
        let mut s = Self::default();
        let mut square = 0.0;
        for w in weights {
            s.events += 1;
            s.sum += w;
            square += w * w;
            if s.events == 1 || w > s.largest {
                s.largest = w;
            }
            s.negative += usize::from(w < 0.0);
        }
        s.error = square.sqrt();
        if square > 0.0 {
            s.effective = s.sum * s.sum / square;
        }
        if s.sum != 0.0 {
            s.largest_share = s.largest / s.sum;
        }
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_size_of_equal_and_of_one_large_weight() {
        let equal = WeightSummary::of([2.0; 50].into_iter());
        assert_eq!((equal.events, equal.effective), (50, 50.0));
        let spiked = WeightSummary::of([1.0, 1.0, 98.0].into_iter());
        assert!(spiked.effective < 1.1);
        assert_eq!(spiked.largest_share, 0.98);
        let signed = WeightSummary::of([3.0, -1.0].into_iter());
        assert_eq!((signed.sum, signed.negative), (2.0, 1));
        assert_eq!(WeightSummary::of(std::iter::empty()).effective, 0.0);
    }
}
