//! Quantiles of toys.

use crate::error::{Error, ensure};
use serde::{Deserialize, Serialize};

/// Toys expected on either side of a quantile below which neither it nor its
/// error can be told.
const LEAST_IN_TAIL: f64 = 5.0;

/// A quantile of a sample, with the values one standard deviation of its rank
/// away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToyQuantile {
    /// Its probability.
    pub probability: f64,
    /// Its value.
    pub value: f64,
    /// Lower end of its 68 % interval.
    pub low: f64,
    /// Upper end of its 68 % interval.
    pub high: f64,
}

impl ToyQuantile {
    /// The `probability` quantile of `sorted` (increasing, finite), thrown at `mu`.
    ///
    /// The value is that at rank `(n + 1) p`, by linear interpolation, below which
    /// a further toy falls with probability `p`. The number of toys below the true
    /// quantile is binomial, so that the values at the ranks
    /// `(n + 1) p -+ sqrt(n p (1 - p))` bracket it in 68 % of all samples, whatever
    /// the distribution.
    ///
    /// # Errors
    /// If fewer than five toys are expected on either side.
    pub fn of_sorted(mu: f64, sorted: &[f64], probability: f64) -> Result<Self, Error> {
        check_probability(probability)?;
        let n = sorted.len() as f64;
        let smaller_tail = probability.min(1.0 - probability);
        ensure(n * smaller_tail >= LEAST_IN_TAIL, || {
            // less rounding, so that 0.9 asks for 50 and not for 51
            let needed = (LEAST_IN_TAIL / smaller_tail - 1e-9).ceil();
            format!(
                "{n} toys at mu = {mu} cannot give the {probability} quantile; throw at least \
                 {needed}"
            )
        })?;
        let rank = (n + 1.0) * probability;
        let spread = (n * probability * (1.0 - probability)).sqrt();
        Ok(Self {
            probability,
            value: at_rank(sorted, rank),
            low: at_rank(sorted, rank - spread),
            high: at_rank(sorted, rank + spread),
        })
    }

    /// Half the width of the 68 % interval.
    pub fn error(&self) -> f64 {
        0.5 * (self.high - self.low)
    }
}

/// Order statistic of a real rank, counted from one.
fn at_rank(sorted: &[f64], rank: f64) -> f64 {
    let rank = rank.clamp(1.0, sorted.len() as f64);
    let below = rank.floor();
    let lower = sorted[below as usize - 1];
    let upper = sorted[rank.ceil() as usize - 1];
    lower + (rank - below) * (upper - lower)
}

/// Checks that a probability lies strictly between 0 and 1.
pub(super) fn check_probability(probability: f64) -> Result<(), Error> {
    ensure(probability > 0.0 && probability < 1.0, || {
        format!(
            "probability {probability} is not between 0 and 1; give a confidence level such as \
             0.6827"
        )
    })
}
