//! The belt: critical values of the test statistic over a grid of mu.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal};

use super::confidence_set::{self, ConfidenceSet};
use super::{NeymanError, Proportion, ToyQuantile, check_grid, check_probability};

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
    /// [`NeymanError::Probability`] if `level` is not in (0, 1).
    pub fn asymptotic(self, level: f64) -> Result<f64, NeymanError> {
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
    /// Share of toys with `t >= observed`, with its Wilson interval at 68.27 %.
    ///
    /// # Errors
    /// [`NeymanError::Proportion`] if there is no toy.
    pub fn p_value(&self, observed: f64) -> Result<Proportion, NeymanError> {
        let above = self.t.iter().filter(|t| **t >= observed).count();
        Proportion::wilson(above as u64, self.t.len() as u64, 0.6827)
    }

    fn sorted(&self) -> Result<Vec<f64>, NeymanError> {
        if let Some((toy, value)) = self.t.iter().enumerate().find(|(_, t)| !t.is_finite()) {
            return Err(NeymanError::ToyNotFinite {
                mu: self.mu,
                toy,
                value: *value,
            });
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
    statistic: Statistic,
    levels: Vec<f64>,
    points: Vec<BeltPoint>,
}

impl Belt {
    /// The belt of `sets`, in increasing order of mu, at confidence `levels`.
    ///
    /// # Errors
    /// [`NeymanError`] if a level is not in (0, 1), if the grid is not increasing,
    /// if a statistic is not finite, or if the toys are too few for a level.
    pub fn new(sets: &[ToySet], levels: &[f64], statistic: Statistic) -> Result<Self, NeymanError> {
        check_grid("belt", sets.iter().map(|set| set.mu))?;
        let points: Result<_, _> = sets
            .iter()
            .map(|set| BeltPoint::new(set, levels, statistic))
            .collect();
        Ok(Self {
            statistic,
            levels: levels.to_vec(),
            points: points?,
        })
    }

    /// Which statistic it is for.
    #[must_use]
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// The confidence levels.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The points, in increasing order of mu.
    #[must_use]
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
    /// [`NeymanError`] if the belt does not hold `level`, or if the curve is not
    /// finite, not increasing in mu, or elsewhere than the belt.
    pub fn confidence_set(
        &self,
        level: f64,
        curve: &[(f64, f64)],
    ) -> Result<ConfidenceSet, NeymanError> {
        let place = self.levels.iter().position(|held| *held == level);
        let place = place.ok_or_else(|| NeymanError::NoSuchLevel {
            wanted: level,
            held: self.levels.clone(),
        })?;
        let critical: Vec<(f64, ToyQuantile)> = self
            .points
            .iter()
            .map(|point| (point.mu, point.critical[place].toys))
            .collect();
        confidence_set::find(level, &critical, curve)
    }
}

impl BeltPoint {
    fn new(set: &ToySet, levels: &[f64], statistic: Statistic) -> Result<Self, NeymanError> {
        let sorted = set.sorted()?;
        let critical: Result<_, _> = levels
            .iter()
            .map(|level| {
                let toys = ToyQuantile::of_sorted(set.mu, &sorted, *level)?;
                let asymptotic = statistic.asymptotic(*level)?;
                let away = toys.value - asymptotic;
                Ok(CriticalValue {
                    toys,
                    asymptotic,
                    pull: if away == 0.0 {
                        0.0
                    } else {
                        away / toys.error()
                    },
                })
            })
            .collect();
        Ok(Self {
            mu: set.mu,
            toys: sorted.len(),
            failed: set.failed,
            critical: critical?,
        })
    }
}
