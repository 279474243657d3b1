//! A coverage or a p-value as counted: k of n, with its uncertainty.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF as _, Normal};

use super::{NeymanError, check_probability};

/// A proportion with a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Number of successes, `k`.
    pub successes: u64,
    /// Number of trials, `n`.
    pub trials: u64,
    /// `k / n`.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Proportion {
    /// The interval of Clopper and Pearson (Biometrika 26 (1934) 404): covers at
    /// least `level`, whatever the true proportion.
    ///
    /// # Errors
    /// [`NeymanError`] if `level` is not in (0, 1) or `successes` exceeds `trials`.
    pub fn clopper_pearson(successes: u64, trials: u64, level: f64) -> Result<Self, NeymanError> {
        let value = share(successes, trials)?;
        check_probability(level)?;
        let (k, n, tail) = (successes as f64, trials as f64, 0.5 * (1.0 - level));
        let quantile =
            |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |d| d.inverse_cdf(p));
        let low = if successes == 0 {
            0.0
        } else {
            quantile(k, n - k + 1.0, tail)
        };
        let high = if successes == trials {
            1.0
        } else {
            quantile(k + 1.0, n - k, 1.0 - tail)
        };
        Ok(Self {
            successes,
            trials,
            value,
            low,
            high,
        })
    }

    /// The interval of Wilson (J. Am. Stat. Assoc. 22 (1927) 209): covers `level`
    /// on average; the choice for error bars.
    ///
    /// # Errors
    /// [`NeymanError`] if `level` is not in (0, 1) or `successes` exceeds `trials`.
    pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Self, NeymanError> {
        let value = share(successes, trials)?;
        check_probability(level)?;
        let n = trials as f64;
        let z = Normal::standard().inverse_cdf(0.5 * (1.0 + level));
        let shrink = 1.0 / (1.0 + z * z / n);
        let centre = shrink * (value + 0.5 * z * z / n);
        let half = shrink * z * (value * (1.0 - value) / n + 0.25 * z * z / (n * n)).sqrt();
        Ok(Self {
            successes,
            trials,
            value,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        })
    }

    /// How far the value is from `expected`, in binomial standard deviations at
    /// `expected`.
    #[must_use]
    pub fn pull(&self, expected: f64) -> f64 {
        let sigma = (expected * (1.0 - expected) / self.trials as f64).sqrt();
        (self.value - expected) / sigma
    }
}

fn share(successes: u64, trials: u64) -> Result<f64, NeymanError> {
    if trials == 0 || successes > trials {
        return Err(NeymanError::Proportion { successes, trials });
    }
    Ok(successes as f64 / trials as f64)
}
