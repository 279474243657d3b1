//! Distributions of the test statistics for large samples.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::UpperStatistic;

/// Probability of a unit normal number above `z`.
pub(super) fn above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// The unit normal number that is exceeded with a probability.
pub(super) fn exceeded_with(probability: f64) -> f64 {
    -Normal::standard().inverse_cdf(probability)
}

/// `above(far) / above(near)` for `far >= near`, also where both are too small for a
/// number.
fn ratio_above(far: f64, near: f64) -> f64 {
    let (above_far, above_near) = (above(far), above(near));
    if above_far > 0.0 || above_near >= f64::MIN_POSITIVE {
        return above_far / above_near;
    }
    // Mills' ratio is 1 / z to 1e-3 here
    (0.5 * (near - far) * (near + far)).exp() * near / far
}

/// A two-sided test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoSided {
    /// The tested value.
    pub mu: f64,
    /// `t_mu`.
    pub t: f64,
    /// Probability of a larger value: chi-square with one degree of freedom.
    pub p_value: f64,
}

impl TwoSided {
    pub(super) fn new(mu: f64, t: f64) -> Self {
        Self {
            mu,
            t,
            p_value: 2.0 * above(t.sqrt()),
        }
    }
}

/// A test of the absence of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    /// `q_0`.
    pub q0: f64,
    /// Probability of a larger value without signal.
    pub p_value: f64,
    /// In standard deviations, `sqrt(q_0)`.
    pub significance: f64,
    /// The median significance expected with the signal of the Asimov data.
    pub expected: f64,
}

impl Discovery {
    pub(super) fn new(q0: f64, q0_asimov: f64) -> Self {
        Self {
            q0,
            p_value: above(q0.sqrt()),
            significance: q0.sqrt(),
            expected: q0_asimov.sqrt(),
        }
    }
}

/// A test of the presence of a signal by CLs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CLs {
    /// The tested value.
    pub mu: f64,
    /// The statistic on the data.
    pub q: f64,
    /// The statistic on the Asimov data without signal.
    pub q_asimov: f64,
    /// Probability of a larger statistic with the signal, `CL_s+b`.
    pub p_signal: f64,
    /// Probability of a larger statistic without it, `CL_b`.
    pub p_background: f64,
    /// Their ratio.
    pub observed: f64,
    /// The ratio as expected without signal, for data that fluctuate by -2, -1, 0,
    /// 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl CLs {
    pub(super) fn new(mu: f64, q: f64, q_asimov: f64, statistic: UpperStatistic) -> Self {
        let (root, asimov) = (q.sqrt(), q_asimov.sqrt());
        // equations 59 and 66 as a unit normal number, larger with less signal
        let z = if statistic == UpperStatistic::Q || root <= asimov {
            root - asimov
        } else {
            (q - q_asimov) / (2.0 * asimov)
        };
        let (p_signal, p_background) = (above(z + asimov), above(z));
        Self {
            mu,
            q,
            q_asimov,
            p_signal,
            p_background,
            observed: ratio_above(z + asimov, z),
            expected: BANDS.map(|sigma| above(asimov - sigma) / above(-sigma)),
        }
    }
}

/// Fluctuations of the data, in standard deviations, of the expected results.
pub(super) const BANDS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];
