//! Tests of the absence of a signal.

use super::cls::{BANDS, above};
use super::{Asymptotics, DataSet};
use crate::error::{Error, ensure};
use crate::fit::FitSettings;

/// A test of mu = 0 by `q_0`, equation 12, whose distribution is that of equation 49.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discovery {
    /// The best fit of mu.
    pub mu: f64,
    /// `t_0`; zero where the best fit is not above zero.
    pub q0: f64,
    /// `sqrt(q_0)`, equation 53.
    pub significance: f64,
    /// Probability of a larger statistic without signal; 1/2 where it is zero.
    pub p_value: f64,
    /// The significance expected with the signal of the Asimov data, for data that fluctuate by
    /// -2, -1, 0, 1 and 2 standard deviations; not below zero.
    pub expected: [f64; 5],
}

/// The significance of a signal, observed and as expected with a signal of `asimov_mu`, which
/// is 1 as a rule. `interest` is the place of the parameter of interest.
///
/// # Errors
/// As [`Asymptotics::new`], or if mu = 0 is outside of the bounds or its fit fails.
pub fn discovery<D: DataSet>(
    data: &D,
    interest: usize,
    asimov_mu: f64,
    settings: &FitSettings,
) -> Result<Discovery, Error> {
    let likelihood = data.likelihood();
    super::check_interest(&likelihood, interest, 0.0, settings)?;
    ensure(asimov_mu > 0.0, || {
        format!("a signal of {asimov_mu} is expected; a discovery needs one above 0")
    })?;
    let tests = Asymptotics::new(data, interest, asimov_mu, settings)?;
    let q0 = |fitted: &super::Fitted| {
        let mut curve = fitted.curve(interest, settings)?;
        curve.check(0.0)?;
        let [t, _] = curve.t(0.0)?;
        let mu = curve.best_mu();
        Ok::<_, Error>((mu, if mu > 0.0 { t } else { 0.0 }))
    };
    let (mu, q0_observed) = q0(&tests.observed)?;
    let (_, q0_asimov) = q0(&tests.asimov)?;
    let significance = q0_observed.sqrt();
    Ok(Discovery {
        mu,
        q0: q0_observed,
        significance,
        p_value: above(significance),
        expected: BANDS.map(|sigma| (q0_asimov.sqrt() + sigma).max(0.0)),
    })
}
