//! Neyman construction from pseudo-experiments (toys), and coverage.
//!
//! For each value of the parameter of interest on a grid the toys thrown at it
//! give the distribution of a test statistic `t_mu`; its quantile `c(mu)` is the
//! largest value accepted. The confidence set of an observation is
//! `{mu : t_obs(mu) <= c(mu)}`, which may be several intervals. With the
//! likelihood ratio as `t_mu` this is the ordering of Feldman and Cousins,
//! Phys. Rev. D 57 (1998) 3873; with the profile likelihood ratio, its usual
//! extension to nuisance parameters.
//!
//! How toys are made does not matter here: numbers in, numbers out.

mod confidence_set;
mod quantile;
#[cfg(test)]
mod tests;

pub use confidence_set::{ConfidenceSet, Edge, EdgeKind, Interval};
pub use quantile::ToyQuantile;

use crate::error::{Error, ensure};
use confidence_set::check_grid;
use quantile::check_probability;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal};

/// Which statistic the toys hold; decides the asymptotic critical value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// `t_mu`: large on both sides of the best fit; chi-square with one degree of
    /// freedom (Wilks).
    TwoSided,
    /// `q_mu` or its bounded form: zero if the best fit is above mu; half a
    /// chi-square and half a delta function at zero.
    OneSided,
}

impl Statistic {
    /// Quantile of the asymptotic distribution at its own mu, away from
    /// boundaries: Cowan, Cranmer, Gross and Vitells, Eur. Phys. J. C 71 (2011)
    /// 1554, equations 32 and 52.
    ///
    /// # Errors
    /// If `level` is not in (0, 1).
    pub fn asymptotic(self, level: f64) -> Result<f64, Error> {
        check_probability(level)?;
        Ok(match self {
            Self::TwoSided => ChiSquared::new(1.0).map_or(f64::NAN, |d| d.inverse_cdf(level)),
            Self::OneSided => Normal::standard().inverse_cdf(level).max(0.0).powi(2),
        })
    }
}

/// The toys thrown at one value of the parameter of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToySet {
    /// The parameter of interest.
    pub mu: f64,
    /// The statistic of each toy whose fits succeeded, tested at the same mu.
    pub t: Vec<f64>,
    /// Number of toys whose fit failed.
    pub failed: usize,
}

impl ToySet {
    fn sorted(&self) -> Result<Vec<f64>, Error> {
        let mu = self.mu;
        for (toy, t) in self.t.iter().enumerate() {
            ensure(t.is_finite(), || {
                format!(
                    "toy {toy} at mu = {mu} has t = {t}; count a failed fit in `failed` and leave \
                     its t out"
                )
            })?;
        }
        let mut sorted = self.t.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        Ok(sorted)
    }
}

/// Critical value at one confidence level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriticalValue {
    /// From the toys.
    pub toys: ToyQuantile,
    /// From the asymptotic distribution.
    pub asymptotic: f64,
    /// `(toys - asymptotic)` in errors of the former; 0 where both agree and the
    /// toys have no spread.
    pub pull: f64,
}

/// The belt at one value of the parameter of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeltPoint {
    /// The parameter of interest.
    pub mu: f64,
    /// Number of toys used.
    pub toys: usize,
    /// Number of toys left out because a fit failed.
    pub failed: usize,
    /// One a confidence level, in the belt's order.
    pub critical: Vec<CriticalValue>,
}

/// Critical values over a grid of the parameter of interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Belt {
    levels: Vec<f64>,
    points: Vec<BeltPoint>,
}

impl Belt {
    /// The belt of `sets`, in increasing order of mu, at confidence `levels`.
    ///
    /// # Errors
    /// If a level is not in (0, 1), the grid is not increasing, a statistic is not finite, or
    /// the toys are too few for a level.
    pub fn new(sets: &[ToySet], levels: &[f64], statistic: Statistic) -> Result<Self, Error> {
        check_grid("belt", sets.iter().map(|set| set.mu))?;
        let points = sets
            .iter()
            .map(|set| BeltPoint::new(set, levels, statistic));
        Ok(Self {
            levels: levels.to_vec(),
            points: points.collect::<Result<_, _>>()?,
        })
    }

    /// The confidence levels.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The points, in increasing order of mu.
    pub fn points(&self) -> &[BeltPoint] {
        &self.points
    }

    /// The confidence set of an observed curve `(mu, t_obs(mu))`, in increasing
    /// order of mu, within the common range of curve and belt.
    ///
    /// Between grid points `c(mu)` is linear and `t_obs(mu)` a cubic that follows
    /// a parabola exactly.
    ///
    /// # Errors
    /// If the belt does not hold `level`, or the curve is not finite, not increasing in mu,
    /// or elsewhere than the belt.
    pub fn confidence_set(&self, level: f64, curve: &[(f64, f64)]) -> Result<ConfidenceSet, Error> {
        let held = &self.levels;
        let place = held.iter().position(|held| *held == level).ok_or_else(|| {
            Error::new(format!(
                "the belt has no confidence level {level}; it has {held:?}"
            ))
        })?;
        let points = self.points.iter();
        let critical = points.map(|point| (point.mu, point.critical[place].toys));
        confidence_set::find(level, &critical.collect::<Vec<_>>(), curve)
    }
}

impl BeltPoint {
    fn new(set: &ToySet, levels: &[f64], statistic: Statistic) -> Result<Self, Error> {
        let sorted = set.sorted()?;
        let critical = levels.iter().map(|level| {
            let toys = ToyQuantile::of_sorted(set.mu, &sorted, *level)?;
            let asymptotic = statistic.asymptotic(*level)?;
            let away = toys.value - asymptotic;
            let pull = if away == 0.0 {
                0.0
            } else {
                away / toys.error()
            };
            Ok(CriticalValue {
                toys,
                asymptotic,
                pull,
            })
        });
        Ok(Self {
            mu: set.mu,
            toys: sorted.len(),
            failed: set.failed,
            critical: critical.collect::<Result<_, Error>>()?,
        })
    }
}

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
    /// `k` of `n` with the interval of Wilson (J. Am. Stat. Assoc. 22 (1927) 209): covers `level`
    /// on average; the choice for error bars.
    ///
    /// # Errors
    /// If `level` is not in (0, 1) or `successes` exceeds `trials`.
    pub fn wilson(successes: u64, trials: u64, level: f64) -> Result<Self, Error> {
        ensure(trials > 0 && successes <= trials, || {
            format!("{successes} of {trials} is no proportion; at least one trial is needed")
        })?;
        check_probability(level)?;
        let value = successes as f64 / trials as f64;
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
    pub fn pull(&self, expected: f64) -> f64 {
        let sigma = (expected * (1.0 - expected) / self.trials as f64).sqrt();
        (self.value - expected) / sigma
    }
}
