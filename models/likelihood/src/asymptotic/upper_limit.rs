//! Upper limits by CLs.

use serde::{Deserialize, Serialize};

use super::distribution::{BANDS, above, exceeded_with};
use super::root::root;
use super::{AsymptoticError, Asymptotics, UpperStatistic};

/// Precision of a limit, of the step that brackets it.
const PRECISION: f64 = 1e-7;
/// The first step, of the finite range of mu.
const FIRST_STEP: f64 = 1.0 / 64.0;

/// The value of mu below which CLs exceeds `1 - level`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpperLimit {
    /// The confidence level.
    pub level: f64,
    /// The limit from the data.
    pub observed: f64,
    /// The limits expected without signal, for data that fluctuate by -2, -1, 0, 1
    /// and 2 standard deviations.
    pub expected: [f64; 5],
}

/// Upper limits, each with its own reason if it does not exist.
#[derive(Debug)]
pub struct Limits {
    /// From the data.
    pub observed: Result<f64, AsymptoticError>,
    /// Expected without signal, as [`UpperLimit::expected`].
    pub expected: [Result<f64, AsymptoticError>; 5],
}

impl Asymptotics {
    /// The upper limit at a confidence `level`, such as 0.95. The Asimov data must
    /// be those without signal.
    ///
    /// # Errors
    /// [`AsymptoticError`] if a fit fails, the level is not in (0.5, 1), or a limit
    /// lies beyond the bounds of the parameter of interest.
    pub fn upper_limit(
        &self,
        level: f64,
        statistic: UpperStatistic,
    ) -> Result<UpperLimit, AsymptoticError> {
        let parts = self.limits(level, statistic)?;
        let mut expected = [0.0; 5];
        for (limit, found) in expected.iter_mut().zip(parts.expected) {
            *limit = found?;
        }
        Ok(UpperLimit {
            level,
            observed: parts.observed?,
            expected,
        })
    }

    /// The limits of [`Asymptotics::upper_limit`], each by itself: one that does not exist
    /// withholds no other.
    ///
    /// # Errors
    /// [`AsymptoticError::Level`] if the level is not in (0.5, 1).
    pub fn limits(&self, level: f64, statistic: UpperStatistic) -> Result<Limits, AsymptoticError> {
        if !(level > 0.5 && level < 1.0) {
            return Err(AsymptoticError::Level(level));
        }
        let alpha = 1.0 - level;
        let observed = || {
            self.descent("the observed", self.best().point[self.interest], |mu| {
                Ok((self.cls(mu, statistic)?.observed / alpha).ln())
            })
        };
        let expected = |sigma: f64| {
            // CLs = above(sqrt(q_A) - sigma) / above(-sigma) solved for sqrt(q_A)
            let wanted = sigma + exceeded_with(alpha * above(-sigma));
            let which = format!("the expected ({sigma:+} sigma)");
            self.descent(&which, self.best_asimov().point[self.interest], |mu| {
                Ok(wanted - self.q_asimov(mu)?.sqrt())
            })
        };
        Ok(Limits {
            observed: observed(),
            expected: BANDS.map(expected),
        })
    }

    /// Where `f`, positive at and below `from`, becomes negative.
    fn descent(
        &self,
        which: &str,
        from: f64,
        f: impl Fn(f64) -> Result<f64, AsymptoticError>,
    ) -> Result<f64, AsymptoticError> {
        let (lower, bound) = self.bounds();
        let range = bound - lower;
        let mut step = if range.is_finite() {
            FIRST_STEP * range
        } else {
            from.abs().max(1.0)
        };
        let mut low = (from, f(from)?);
        loop {
            let mu = (low.0 + step).min(bound);
            let high = (mu, f(mu)?);
            if high.1 <= 0.0 {
                return root(&f, low, high, PRECISION * step);
            }
            if mu >= bound || !step.is_finite() {
                return Err(AsymptoticError::BeyondBounds {
                    which: which.to_owned(),
                    bound,
                });
            }
            low = high;
            step *= 2.0;
        }
    }
}
