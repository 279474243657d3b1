//! Pseudo-experiments: of unbinned measurements, and CLs of histograms.
//!
//! Events are drawn from a pool with Asimov weights ([`AsimovPool`]) or from the truth
//! itself, auxiliary measurements around the true values ([`randomised`]); counts of histograms
//! from the expected ones ([`ToyTest`]).

mod cls;
mod coverage;
mod poisson;
mod pool;

pub use cls::{
    Hypothesis, MOST_TOYS, ToyCLs, ToyLimits, ToyRatio, ToySettings, ToyTail, ToyTest, ToyValue,
    toy_cls, toy_limits,
};
pub use coverage::{Coverage, PointReport, Spread, coverage, toy_set};
pub use poisson::{poisson, poisson_count};
pub use pool::{AsimovPool, Duplicates, Thrown, reference_weights};

use crate::fit::{Fit, FitSettings, State, fit, refit};
use crate::{Error, Likelihood, Parameter};
use sideband_numerics::random::Key;

/// The result of one pseudo-experiment. `[n]` are the parameters of the fit, the
/// parameter of interest first.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyRecord {
    /// The point of the study.
    pub point: u32,
    /// The number of the toy at that point.
    pub toy: u64,
    /// Events in it.
    pub events: u64,
    /// Whether all of its fits converged; where not, `t`, `fitted` and `errors` are
    /// what they ended with or not a number, and count for nothing.
    pub converged: bool,
    /// The test statistic at the true value of the parameter of interest.
    pub t: f64,
    /// True values, `[n]`.
    pub truth: Vec<f64>,
    /// Fitted values, `[n]`.
    pub fitted: Vec<f64>,
    /// Errors of the fitted values, `[n]`: 0 at a bound.
    pub errors: Vec<f64>,
}

impl ToyRecord {
    /// `(fitted - true) / error` of a parameter; none for a failed fit, without
    /// error, or for a parameter that is none.
    pub fn pull(&self, parameter: usize) -> Option<f64> {
        let error = *self.errors.get(parameter)?;
        let pull = (self.fitted.get(parameter)? - self.truth.get(parameter)?) / error;
        (self.converged && error > 0.0 && pull.is_finite()).then_some(pull)
    }
}

/// What the fits of a pseudo-experiment gave. `[n]` are the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedToy {
    /// Whether both fits converged.
    pub converged: bool,
    /// `t = -2 log L(mu, a^^) / L(mu^, a^)` at the true value of the parameter of
    /// interest.
    pub t: f64,
    /// The best fit, `[n]`.
    pub fitted: Vec<f64>,
    /// Errors from its Hessian, `[n]`: 0 at a bound or if fixed; not numbers for a failed fit
    /// and for what the toy does not measure.
    pub errors: Vec<f64>,
}

/// Fits a pseudo-experiment: all parameters free, then parameter `interest` at its
/// true value. `truth`, `[n]`: the values that the toy was thrown at. Should the
/// conditional fit be the deeper one, the free fit goes on from there.
///
/// # Errors
/// Settings, bounds or a truth that make no sense; a fit that fails is no error.
pub fn fit_toy(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    interest: usize,
    truth: &[f64],
) -> Result<FittedToy, Error> {
    let mut free = fit(likelihood, settings)?;
    let mut start = free.point.clone();
    if let (Some(value), Some(at)) = (start.get_mut(interest), truth.get(interest)) {
        *value = *at;
    }
    let at_truth = start.get(interest).copied().unwrap_or(f64::NAN);
    let fixed = settings.with_fixed(interest, at_truth);
    let conditional = refit(likelihood, &fixed, &start)?;
    if is_deeper(&conditional, &free) {
        let again = refit(likelihood, settings, &conditional.point)?;
        if is_deeper(&again, &free) {
            free = again;
        }
    }
    let error = |k: usize| match free.states[k] {
        _ if !free.is_converged() => f64::NAN,
        State::AtLower | State::AtUpper | State::AtKink | State::Fixed => 0.0,
        State::Free | State::Unmeasured => free.error(k).unwrap_or(f64::NAN),
    };
    Ok(FittedToy {
        converged: free.is_converged() && conditional.is_converged(),
        t: (2.0 * (conditional.nll - free.nll)).max(0.0),
        errors: (0..free.point.len()).map(error).collect(),
        fitted: free.point,
    })
}

fn is_deeper(fit: &Fit, than: &Fit) -> bool {
    fit.is_converged() && (!than.is_converged() || fit.nll < than.nll)
}

/// The parameters with new outcomes of their auxiliary measurements,
/// `a0 ~ Normal(a, delta)` at the values `truth`, `[n]`, that the toy is thrown at.
/// The outcome of parameter `k` is a function of `(key, k)`; parameters without
/// constraint stay as they are, and so do those that `truth` does not reach.
pub fn randomised(parameters: &[Parameter], truth: &[f64], key: Key) -> Vec<Parameter> {
    let mut parameters = parameters.to_vec();
    for (k, (parameter, at)) in parameters.iter_mut().zip(truth).enumerate() {
        if let Some(constraint) = &mut parameter.constraint {
            constraint.centre = at + constraint.width * key.with(k as u64).normal(0);
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;

    #[test]
    fn outcomes_scatter_around_the_truth_by_their_width() {
        let mut shape = Parameter::nuisance("shape");
        if let Some(constraint) = &mut shape.constraint {
            constraint.width = 0.5;
        }
        let parameters = [Parameter::interest("mu", 1.0, (0.0, 9.0)), shape];
        let n = 20_000_u32;
        let key = Key::from_seed(5);
        let centres: Vec<f64> = (0..n)
            .map(|t| randomised(&parameters, &[2.0, -1.0], key.with(u64::from(t))))
            .map(|thrown| {
                assert!(thrown[0].constraint.is_none());
                thrown[1].constraint.unwrap().centre
            })
            .collect();
        let mean = centres.iter().sum::<f64>() / f64::from(n);
        let variance = centres.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / f64::from(n);
        // five standard errors
        assert!(
            (mean + 1.0).abs() < 5.0 * 0.5 / f64::from(n).sqrt(),
            "{mean}"
        );
        assert_near(variance / 0.25, 1.0, 5.0 * (2.0 / f64::from(n)).sqrt());
    }
}
