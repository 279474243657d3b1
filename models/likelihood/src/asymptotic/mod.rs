//! Tests of one parameter of interest by asymptotic formulae.
//!
//! Profile likelihood ratios, their distributions for large samples, CLs and upper
//! limits, observed and as expected from Asimov data: Cowan, Cranmer, Gross and
//! Vitells, Eur. Phys. J. C 71 (2011) 1554 (arXiv:1007.1727, whose equations are
//! cited); CLs: Read, J. Phys. G 28 (2002) 2693.
//!
//! The formulae rest on a parabola in mu and on enough events. Where mu-hat sits
//! at a boundary or the likelihood has two minima they fail: see `neyman`.

mod distribution;
mod kink;
mod root;
#[cfg(test)]
mod tests;
mod upper_limit;

pub use distribution::{CLs, Discovery, TwoSided};
pub use upper_limit::{Limits, UpperLimit};

use crate::fit::{Fit, FitError, FitFailure, FitSettings, fit};
use crate::histogram::{HistogramError, HistogramModel};
use crate::{Likelihood, Model};
use kink::minimum_at_kinks;
use thiserror::Error;

/// A conditional fit may lie this far below the best fit, in `nll`, and still be
/// rounding.
const ROUNDING: f64 = 1e-6;

/// A data set with its model, from which Asimov data can be made.
pub trait DataSet: Sized {
    /// Why Asimov data cannot be made.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The likelihood of these data.
    fn likelihood(&self) -> Model;

    /// The data, and all auxiliary measurements, that are expected at a point `[n]`.
    ///
    /// # Errors
    /// If the model predicts nothing possible there.
    fn asimov(&self, point: &[f64]) -> Result<Self, Self::Error>;
}

impl DataSet for HistogramModel {
    type Error = HistogramError;

    fn likelihood(&self) -> Model {
        Self::likelihood(self)
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, HistogramError> {
        Self::asimov(self, point)
    }
}

/// A test that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum AsymptoticError {
    /// The fit cannot be asked for, or failed.
    #[error("{what}: {source}")]
    Fit { what: String, source: FitError },
    /// No Asimov data.
    #[error("Asimov data at mu = {mu}: {source}")]
    Asimov {
        mu: f64,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The best fit is not the best.
    #[error(
        "the fit at mu = {mu} is by {by} in -log L better than the best fit; give the fit more \
         starts"
    )]
    BestFitMissed { mu: f64, by: f64 },
    /// A confidence level that is none.
    #[error("confidence level {0} is not between 0.5 and 1")]
    Level(f64),
    /// The range of mu ends before the limit.
    #[error(
        "{which} upper limit lies above mu = {bound}, the upper bound of the parameter of \
         interest; widen its bounds"
    )]
    BeyondBounds { which: String, bound: f64 },
}

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

/// Fits of observed and of Asimov data, ready to be tested at any mu.
pub struct Asymptotics {
    interest: usize,
    settings: FitSettings,
    observed: Fitted,
    asimov: Fitted,
}

/// A likelihood with its best fit.
struct Fitted {
    name: &'static str,
    likelihood: Model,
    best: Fit,
}

impl Asymptotics {
    /// Fits `data`, makes Asimov data at `asimov_mu` with all other parameters
    /// profiled on `data`, and fits those. For limits `asimov_mu` is 0, for a
    /// discovery 1. `interest` is the place of the parameter of interest.
    ///
    /// # Errors
    /// [`AsymptoticError`] if a fit fails or there are no Asimov data.
    pub fn new<D: DataSet>(
        data: &D,
        interest: usize,
        asimov_mu: f64,
        settings: &FitSettings,
    ) -> Result<Self, AsymptoticError> {
        let observed = Fitted::new("data", data.likelihood(), settings)?;
        let profiled = observed.at(interest, asimov_mu, settings)?;
        let asimov = data.asimov(&profiled.point);
        let asimov = asimov.map_err(|error| AsymptoticError::Asimov {
            mu: asimov_mu,
            source: Box::new(error),
        })?;
        // the point that Asimov data were made at is their best fit
        let mut from_there = settings.clone();
        from_there.starts.push(profiled.point);
        Ok(Self {
            interest,
            asimov: Fitted::new("Asimov data", asimov.likelihood(), &from_there)?,
            observed,
            settings: settings.clone(),
        })
    }

    /// The best fit of the observed data.
    #[must_use]
    pub fn best(&self) -> &Fit {
        &self.observed.best
    }

    /// The best fit of the Asimov data.
    #[must_use]
    pub fn best_asimov(&self) -> &Fit {
        &self.asimov.best
    }

    /// `t_mu` with its p-value, equations 8 and 35.
    ///
    /// # Errors
    /// [`AsymptoticError`] if the conditional fit fails.
    pub fn two_sided(&self, mu: f64) -> Result<TwoSided, AsymptoticError> {
        Ok(TwoSided::new(
            mu,
            self.observed.t(self.interest, mu, &self.settings)?,
        ))
    }

    /// `q_mu`: `t_mu`, or 0 where the best fit lies above `mu`.
    ///
    /// # Errors
    /// [`AsymptoticError`] if the conditional fit fails.
    pub fn q(&self, mu: f64) -> Result<f64, AsymptoticError> {
        self.observed.q(self.interest, mu, &self.settings)
    }

    /// CLs at `mu`, observed and expected.
    ///
    /// # Errors
    /// [`AsymptoticError`] if a conditional fit fails.
    pub fn cls(&self, mu: f64, statistic: UpperStatistic) -> Result<CLs, AsymptoticError> {
        Ok(CLs::new(mu, self.q(mu)?, self.q_asimov(mu)?, statistic))
    }

    /// `q_0` with its p-value and significance, equations 12 and 53; expected at
    /// the mu of the Asimov data, which must not be 0.
    ///
    /// # Errors
    /// [`AsymptoticError`] if a conditional fit fails.
    pub fn discovery(&self) -> Result<Discovery, AsymptoticError> {
        let q0 = |fitted: &Fitted| {
            if fitted.best.point[self.interest] < 0.0 {
                Ok(0.0)
            } else {
                fitted.t(self.interest, 0.0, &self.settings)
            }
        };
        Ok(Discovery::new(q0(&self.observed)?, q0(&self.asimov)?))
    }

    fn q_asimov(&self, mu: f64) -> Result<f64, AsymptoticError> {
        self.asimov.q(self.interest, mu, &self.settings)
    }

    fn bounds(&self) -> (f64, f64) {
        self.observed.likelihood.parameters()[self.interest].bounds
    }
}

impl Fitted {
    fn new(
        name: &'static str,
        likelihood: Model,
        settings: &FitSettings,
    ) -> Result<Self, AsymptoticError> {
        let best = checked(&likelihood, settings, || format!("best fit of {name}"))?;
        Ok(Self {
            name,
            likelihood,
            best,
        })
    }

    /// The fit at a given value, from the best fit and from all other starts.
    fn at(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<Fit, AsymptoticError> {
        let mut settings = base.with_fixed(interest, mu);
        settings.starts.push(self.best.point.clone());
        checked(&self.likelihood, &settings, || {
            format!("fit of {} at mu = {mu}", self.name)
        })
    }

    fn t(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<f64, AsymptoticError> {
        let away = self.at(interest, mu, base)?.nll - self.best.nll;
        if away < -ROUNDING {
            return Err(AsymptoticError::BestFitMissed { mu, by: -away });
        }
        Ok(2.0 * away.max(0.0))
    }

    fn q(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<f64, AsymptoticError> {
        if self.best.point[interest] > mu {
            return Ok(0.0);
        }
        self.t(interest, mu, base)
    }
}

/// A fit that is a result, if need be at a kink.
fn checked(
    likelihood: &Model,
    settings: &FitSettings,
    what: impl Fn() -> String,
) -> Result<Fit, AsymptoticError> {
    let failed = |source| AsymptoticError::Fit {
        what: what(),
        source,
    };
    let mut found = fit(likelihood, settings).map_err(failed)?;
    if let Some(FitFailure::Stalled { .. }) = found.failure {
        let kink = minimum_at_kinks(likelihood, settings, &found).map_err(failed)?;
        found = kink.unwrap_or(found);
    }
    found.checked().map_err(failed)?;
    Ok(found)
}
