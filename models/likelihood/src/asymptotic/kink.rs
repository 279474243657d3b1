//! Minima at a kink.
//!
//! Codes 0 and 1 of HistFactory have a jump of the slope where a nuisance
//! parameter is 0, which is where data without a systematic shift put it. There
//! the minimum has no vanishing gradient: the slope is negative on one side and
//! positive on the other, and a fit that asks for less stalls.

use crate::fit::{Fit, FitError, FitSettings, fit};
use crate::{Likelihood, Model};

/// A parameter this close to 0 may sit at its kink.
const NEAR: f64 = 1e-6;

/// The minimum at the kinks of those parameters that a stalled fit left at 0: the
/// others are fitted with these at 0, and on either side of each kink the slope must
/// lead back to it. None if there is no such minimum.
pub(super) fn minimum_at_kinks(
    likelihood: &Model,
    settings: &FitSettings,
    stalled: &Fit,
) -> Result<Option<Fit>, FitError> {
    let at_zero = |k: &usize| {
        let (low, high) = likelihood.parameters()[*k].bounds;
        !settings.is_fixed(*k) && stalled.point[*k].abs() < NEAR && low < -NEAR && NEAR < high
    };
    let kinks: Vec<usize> = (0..stalled.point.len()).filter(at_zero).collect();
    if kinks.is_empty() {
        return Ok(None);
    }
    let fixed = kinks
        .iter()
        .fold(settings.clone(), |settings, k| settings.with_fixed(*k, 0.0));
    let found = fit(likelihood, &fixed)?;
    let leads_back = |k: &usize| {
        let slope = |side: f64| {
            let mut point = found.point.clone();
            point[*k] = side;
            let mut gradient = vec![0.0; point.len()];
            likelihood.gradient(&point, &mut gradient);
            gradient[*k]
        };
        slope(-NEAR) <= 0.0 && 0.0 <= slope(NEAR)
    };
    let minimum = found.is_converged() && kinks.iter().all(leads_back);
    Ok(minimum.then_some(found))
}
