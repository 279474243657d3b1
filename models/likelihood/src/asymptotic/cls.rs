//! CLs from the statistics of data and of Asimov data.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// The statistic of an upper limit. Its value is `q_mu` of equation 14 where the
/// bounds of the parameter of interest allow negative values, and that of
/// equation 16 where they end at 0; this chooses its distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpperStatistic {
    /// `q_mu`, equation 52: for a parameter that may be negative.
    Q,
    /// `q_mu` bounded, equation 66: for one that ends at 0.
    #[default]
    QTilde,
}

/// A test of the presence of a signal by CLs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CLs {
    /// The tested value.
    pub mu: f64,
    /// The ratio of the probabilities of a larger statistic with the signal, `CL_s+b`, and
    /// without it, `CL_b`. Where the best fit is above `mu` the statistic is zero, which no
    /// data fall below: the ratio is 1.
    pub observed: f64,
    /// The ratio as expected without signal, for data that fluctuate by -2, -1, 0,
    /// 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

/// A statistic with its derivative by `mu`.
pub(super) type Slope = [f64; 2];

impl CLs {
    /// `q`: none where the best fit is above `mu`.
    pub(super) fn new(mu: f64, q: Option<f64>, q_asimov: f64, statistic: UpperStatistic) -> Self {
        let asimov = q_asimov.sqrt();
        let observed = |q: f64| {
            let [z, _] = normal([q, 0.0], [q_asimov, 0.0], statistic);
            ratio_above(z + asimov, z)
        };
        Self {
            mu,
            observed: q.map_or(1.0, observed),
            expected: BANDS.map(|sigma| above(asimov - sigma) / above(-sigma)),
        }
    }
}

/// The logarithm of the observed ratio, with its derivative.
pub(super) fn log_cls(q: Slope, q_asimov: Slope, statistic: UpperStatistic) -> Slope {
    let [z, slope] = normal(q, q_asimov, statistic);
    let [asimov, rise] = root(q_asimov);
    let far = z + asimov;
    // -inf where the ratio is no number any more
    let value = ratio_above(far, z).ln();
    [value, hazard(z) * slope - hazard(far) * (slope + rise)]
}

/// Equations 59 and 66 as a unit normal number, larger with less signal; where signal and none
/// are the same, at and below 0, CLs is 1.
fn normal(q: Slope, q_asimov: Slope, statistic: UpperStatistic) -> Slope {
    let ([root, rise], [asimov, asimov_rise]) = (root(q), root(q_asimov));
    if statistic == UpperStatistic::Q || root <= asimov || asimov == 0.0 {
        [root - asimov, rise - asimov_rise]
    } else {
        let z = (q[0] - q_asimov[0]) / (2.0 * asimov);
        [
            z,
            (q[1] - q_asimov[1]) / (2.0 * asimov) - z * asimov_rise / asimov,
        ]
    }
}

/// The square root of a statistic, with its derivative.
pub(super) fn root([q, slope]: Slope) -> Slope {
    let root = q.max(0.0).sqrt();
    [root, if root > 0.0 { 0.5 * slope / root } else { 0.0 }]
}

/// Fluctuations of the data, in standard deviations, of the expected results.
pub(super) const BANDS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];

/// `sqrt(q)` of Asimov data at the expected limit for data that fluctuate by `sigma`:
/// `above(sqrt(q) - sigma) / above(-sigma) = alpha`.
pub(super) fn wanted(alpha: f64, sigma: f64) -> f64 {
    sigma + exceeded_with(alpha * above(-sigma))
}

/// Probability of a unit normal number above `z`.
pub(super) fn above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// The unit normal number that is exceeded with a probability.
fn exceeded_with(probability: f64) -> f64 {
    -Normal::standard().inverse_cdf(probability)
}

/// From here on Mills' ratio is taken as `1 / z`, right to 1e-3.
const FAR: f64 = 30.0;

/// The density of a unit normal number at `z`, relative to the probability above.
fn hazard(z: f64) -> f64 {
    if z > FAR {
        return z;
    }
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    density / above(z)
}

/// `above(far) / above(near)` for `far >= near`, also where both are too small for a
/// number.
pub(super) fn ratio_above(far: f64, near: f64) -> f64 {
    let (above_far, above_near) = (above(far), above(near));
    if above_far > 0.0 || above_near >= f64::MIN_POSITIVE {
        return above_far / above_near;
    }
    // Mills' ratio is 1 / z to 1e-3 here
    (0.5 * (near - far) * (near + far)).exp() * near / far
}
