//! The counting errors of what a prediction is normalised to.
//!
//! The prediction of a bin is P = T A / B: T the target's yield in the training
//! region, A the reweighted source in the bin, B the reweighted source in the
//! training region. T, A and B are sums of weights of events that were counted, each
//! with the variance sum w^2. A is the prediction's statistical error; T and B are
//! common to all bins and kept here.
//!
//! B and the networks are learned from the same events, so that their errors are
//! correlated. Bootstrapped members know how: each is brought to its own resampling of
//! B ([`Normalisation::factors`]). Without bootstrap, and in a region that shares
//! events with the training region, B has the variance sum w^2 of the weights after
//! reweighting.

use super::metrics::{Component, Matrix, square};

/// Counting errors of the training region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Normalisation {
    /// The target's yield.
    pub target: f64,
    /// Sum of squared weights of the target's events.
    pub target_variance: f64,
    /// The same of the source's events, after reweighting.
    pub source_variance: f64,
    /// The same, scaled as a whole.
    pub before_variance: f64,
    /// Shares of the events in memory, of source and target.
    pub shares: [f64; 2],
    /// What brings each replica to its own resampling of the source; none without
    /// bootstrap.
    pub factors: Option<Vec<f64>>,
}

impl Normalisation {
    /// The error of a prediction, common to all bins. `is_resampled`: the replicas have
    /// the source's part.
    pub(super) fn component(&self, nominal: &[f64], is_resampled: bool) -> Component {
        self.common(
            nominal,
            if is_resampled {
                0.0
            } else {
                self.source_variance
            },
        )
    }

    /// The error of the source scaled as a whole.
    pub(super) fn before(&self, nominal: &[f64]) -> Component {
        self.common(nominal, self.before_variance)
    }

    fn common(&self, nominal: &[f64], source: f64) -> Component {
        let relative = (self.target_variance + source).sqrt() / self.target;
        let up = nominal.iter().map(|n| n * (1.0 + relative)).collect();
        Component::shifts("normalisation", vec![up])
    }

    /// What correlates a prediction with its observation and its own normalisation
    /// where both are of the training region's events: to be added to the covariance
    /// of their difference. `shared`: squared weights of shared events a bin.
    pub(super) fn correlation(&self, nominal: &[f64], shared: &[f64]) -> Matrix {
        let share = |bin: usize| nominal[bin] / self.target;
        square(nominal.len(), |b, c| {
            -share(b) * shared[c] - share(c) * shared[b]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One source of 400 events scaled to a target of 100: a held-out fifth has the
    /// variance of a binomial of the target and of the source.
    #[test]
    fn a_share_of_the_training_region_is_binomial() {
        let normalisation = Normalisation {
            target: 100.0,
            target_variance: 100.0,
            source_variance: 400.0 / 16.0,
            before_variance: 400.0 / 16.0,
            shares: [1.0; 2],
            factors: None,
        };
        let (nominal, observed) = ([20.0], 20.0);
        let after = 80.0 / 16.0;
        let common = normalisation
            .component(&nominal, false)
            .covariance(&nominal)[0][0];
        let shared = normalisation.correlation(&nominal, &[observed + after])[0][0];
        let variance = observed + after + common + shared;
        // f (1 - f) of 100 events, and the same relative of 400
        let expected = 100.0 * 0.16 + 400.0 * 0.16 / 16.0;
        assert!((variance - expected).abs() < 1e-9, "{variance} {expected}");
        let far = normalisation.component(&nominal, true).covariance(&nominal)[0][0];
        assert!((far - 400.0 * 100.0 / 1e4).abs() < 1e-9);
    }
}
