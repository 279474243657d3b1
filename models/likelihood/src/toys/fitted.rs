//! The fits of one pseudo-experiment.

use crate::Likelihood;
use crate::fit::{Fit, FitError, FitSettings, State, fit, refit};

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
) -> Result<FittedToy, FitError> {
    let mut free = fit(likelihood, settings)?;
    let mut start = free.point.clone();
    if let (Some(value), Some(at)) = (start.get_mut(interest), truth.get(interest)) {
        *value = *at;
    }
    let at_truth = start.get(interest).copied().unwrap_or(f64::NAN);
    let fixed = settings.with_fixed(interest, at_truth);
    let conditional = refit(likelihood, &fixed, &start, None)?;
    if is_deeper(&conditional, &free) {
        let again = refit(likelihood, settings, &conditional.point, None)?;
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
