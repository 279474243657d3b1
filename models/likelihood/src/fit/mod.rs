//! Fits of likelihoods: best fit, profile scans, intervals, pulls and impacts.
//!
//! A fit that failed is a value that says why. It has no covariance, and no scan,
//! interval or impact makes a number of it. A parameter that is on a bound, or that the
//! data do not measure, has no error from the Hessian: its profile says what is known.

mod conditional;
mod contour;
mod crossing;
mod error;
mod impacts;
mod interval;
pub(super) mod matrix;
mod newton;
mod reach;
mod result;
mod scan;
mod settings;
#[cfg(test)]
mod tests;

pub use contour::{Contour, ContourPoint, contour};
pub use error::{FitError, FitFailure};
pub use impacts::{
    Group, GroupImpact, Impact, ImpactSettings, Impacts, Pull, PullsAndImpacts, Shift, impacts,
};
pub use interval::{ConfidenceSet, End, Minos, NotFound, confidence_set, minos};
pub use newton::{Curvature, Evaluations, NewtonSettings};
pub use reach::reach;
pub use result::{Fit, Flat, OtherMinimum, State};
pub use scan::{FailedPoint, Scan, ScanPoint, ScanSettings, scan};
pub use settings::{Basin, FitSettings, Search};

use super::Likelihood;
use newton::{Descent, Start, descend_with_kinks, look_behind_kinks, scales};
use sideband_numerics::minimise::{Bounds, MinimiseSettings, Outcome, minimise};

/// Minimises a negative log-likelihood from the nominal point and from all other
/// starts of `settings`.
///
/// Each start descends by Newton's method; where that stalls, it is repeated between the
/// kinks of the likelihood, and then L-BFGS-B goes on and Newton's method finishes. Same
/// input, same numbers, to the bit.
///
/// # Errors
/// [`FitError`] if the question makes no sense. A fit that fails is a [`Fit`]
/// with a [`FitFailure`].
pub fn fit(likelihood: &dyn Likelihood, settings: &FitSettings) -> Result<Fit, FitError> {
    let bounds = settings.bounds(likelihood)?;
    let mut starts = settings.starts(likelihood, &bounds)?;
    let (found, gradients) = settings.search(likelihood, &starts[0])?;
    starts.extend(found);
    let ends = starts
        .into_iter()
        .map(|start| to_the_end(likelihood, Start::Point(start), &bounds, &settings.newton))
        .collect();
    let mut fit = Fit::among(ends, likelihood, settings.basin, &bounds);
    fit.evaluations.gradients += gradients;
    Ok(fit)
}

/// [`fit`] from one start alone: a point close to the minimum and, for
/// [`Curvature::Updated`], a Hessian `[n, n]` from its neighbourhood. The Hessian
/// of the result is the exact one all the same.
///
/// # Errors
/// [`FitError`] as there.
pub fn refit(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    point: &[f64],
    hessian: Option<&[f64]>,
) -> Result<Fit, FitError> {
    let bounds = settings.bounds(likelihood)?;
    let point = settings::start_within(point, likelihood.parameters(), &bounds)?;
    let start = match hessian {
        Some(hessian) => {
            settings::check_hessian(hessian, point.len())?;
            Start::Warm(point, hessian)
        }
        None => Start::Point(point),
    };
    let descent = to_the_end(likelihood, start, &bounds, &settings.newton);
    Ok(Fit::among(
        vec![descent],
        likelihood,
        settings.basin,
        &bounds,
    ))
}

/// Newton's method and, where it stalls, L-BFGS-B and Newton's method again; behind kinks
/// of the likelihood a deeper minimum is looked for.
fn to_the_end(
    likelihood: &dyn Likelihood,
    start: Start<'_>,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let mut end = descend_with_kinks(likelihood, start, bounds, settings);
    if !matches!(end.outcome, Outcome::Converged | Outcome::StartNotFinite) {
        let (point, gradients) = quasi_newton(likelihood, &end, bounds, settings);
        let first = end;
        end = descend_with_kinks(likelihood, Start::Point(point), bounds, settings);
        end.evaluations += first.evaluations;
        end.evaluations.gradients += gradients;
        end.iterations += first.iterations;
    }
    if end.outcome != Outcome::Converged {
        return end;
    }
    end = leave_saddles(likelihood, end, bounds, settings);
    if likelihood.kinks().is_empty() {
        return end;
    }
    end = look_behind_kinks(likelihood, end, bounds, settings);
    leave_saddles(likelihood, end, bounds, settings)
}

/// Goes on from bounds on which the slope vanishes and the likelihood falls inwards, as it
/// may in the root of a parameter at zero, whose slope there is zero whatever the data say.
fn leave_saddles(
    likelihood: &dyn Likelihood,
    end: Descent,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> Descent {
    let n = bounds.len();
    let place = &end.place;
    let mut point = place.point.clone();
    for (k, x) in point.iter_mut().enumerate() {
        let (lower, upper) = (bounds.lower()[k], bounds.upper()[k]);
        let curvature = place.hessian[k * n + k];
        let is_on = lower < upper && (*x <= lower || *x >= upper);
        if is_on && curvature < 0.0 && place.gradient[k].abs() < settings.gradient_tolerance {
            let step = (0.1 / (-curvature).sqrt()).min(0.5 * (upper - lower));
            *x += if *x <= lower { step } else { -step };
        }
    }
    if point == place.point {
        return end;
    }
    let other = descend_with_kinks(likelihood, Start::Point(point), bounds, settings);
    let is_lower = other.place.value < place.value && other.outcome == Outcome::Converged;
    let (mut found, left) = if is_lower { (other, end) } else { (end, other) };
    found.evaluations += left.evaluations;
    found.iterations += left.iterations;
    found
}

/// L-BFGS-B in units of the conditional standard deviations: where it ends, and
/// how many gradients that took.
fn quasi_newton(
    likelihood: &dyn Likelihood,
    from: &Descent,
    bounds: &Bounds,
    settings: &NewtonSettings,
) -> (Vec<f64>, u64) {
    let n = bounds.len();
    let mut scale = vec![1.0; n];
    scales(&from.place, bounds, &mut scale);
    let divided = |x: &[f64]| {
        x.iter()
            .zip(&scale)
            .map(|(x, s)| x / s)
            .collect::<Vec<f64>>()
    };
    let unscaled = |y: &[f64]| -> Vec<f64> {
        (0..n)
            .map(|i| (y[i] * scale[i]).clamp(bounds.lower()[i], bounds.upper()[i]))
            .collect()
    };
    let here = from.place.point.clone();
    let Ok(scaled) = Bounds::new(divided(bounds.lower()), divided(bounds.upper())) else {
        return (here, 0);
    };
    let function = |y: &[f64], g: &mut [f64]| {
        let value = likelihood.gradient(&unscaled(y), g);
        g.iter_mut().zip(&scale).for_each(|(g, s)| *g *= s);
        value
    };
    let settings = MinimiseSettings {
        gradient_tolerance: settings.gradient_tolerance,
        max_iterations: settings.max_iterations,
        ..MinimiseSettings::default()
    };
    match minimise(function, &divided(&here), &scaled, &settings) {
        Ok(end) if end.value <= from.place.value => (unscaled(&end.point), end.evaluations),
        Ok(end) => (here, end.evaluations),
        Err(_) => (here, 0),
    }
}
