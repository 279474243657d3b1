//! Fits of likelihoods: best fit, profile scans, intervals, pulls and impacts.
//!
//! A fit that failed is a value that says why. It has no covariance, and no scan,
//! interval or impact makes a number of it. A parameter that is on a bound, or that the
//! data do not measure, has no error from the Hessian: its profile says what is known.

mod impacts;
mod interval;
pub(crate) mod matrix;
mod newton;
mod path;
mod profile;
mod result;
mod scan;
#[cfg(test)]
mod tests;

pub use impacts::{Group, GroupImpact, Impact, ImpactSettings, Impacts, impacts};
pub use interval::{ConfidenceSet, End, Minos, confidence_set, minos};
pub use newton::{Evaluations, NewtonSettings};
pub(crate) use path::Path;
pub use profile::reach;
pub use result::{Fit, Flat, OtherMinimum, State};
pub use scan::{Contour, ContourPoint, FailedPoint, Scan, ScanPoint, ScanSettings, contour, scan};

use crate::error::{Error, ensure};
use crate::{Likelihood, Parameter, Role};
use newton::{Descent, Problem};
use sideband_numerics::minimise::{Bounds, MinimiseSettings, Outcome, minimise};

/// Free parameters that can be fitted, and all parameters of a likelihood: a Hessian of
/// 128 MB, of which a fit holds several.
const MOST_FREE: usize = 2000;
const MOST: usize = 4000;

/// Further starts along one parameter: the likelihood is evaluated at `points`
/// equally spaced values within its bounds, the others nominal, and every one next to
/// a minimum, by value or by slope, is a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// The parameter, whose bounds must be finite.
    pub parameter: usize,
    /// Values, at least 2.
    pub points: usize,
}

/// How a likelihood is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FitSettings {
    /// The method.
    pub newton: NewtonSettings,
    /// Parameters that are not fitted, and their values: a conditional fit.
    pub fixed: Vec<(usize, f64)>,
    /// Starts beside the nominal point, `[n]` each.
    pub starts: Vec<Vec<f64>>,
    /// Starts along parameters.
    pub searches: Vec<Search>,
}

impl FitSettings {
    /// The same with one more parameter fixed, or fixed elsewhere.
    pub fn with_fixed(&self, parameter: usize, value: f64) -> Self {
        let mut settings = self.clone();
        settings.fixed.retain(|(k, _)| *k != parameter);
        settings.fixed.push((parameter, value));
        settings
    }

    /// Whether a parameter is fixed.
    pub fn is_fixed(&self, parameter: usize) -> bool {
        self.fixed.iter().any(|(k, _)| *k == parameter)
    }

    /// The bounds that a fit obeys: equal ends where a parameter is fixed.
    fn bounds(&self, likelihood: &dyn Likelihood) -> Result<Bounds, Error> {
        let expected = "a finite number above 0";
        for (name, value) in [
            ("gradient_tolerance", self.newton.gradient_tolerance),
            ("radius", self.newton.radius),
        ] {
            check_setting(name, value, value.is_finite() && value > 0.0, expected)?;
        }
        let parameters = likelihood.parameters();
        let (mut lower, mut upper): (Vec<f64>, Vec<f64>) =
            parameters.iter().map(|p| p.bounds).unzip();
        for Parameter { name, bounds, .. } in parameters {
            let (lower, upper) = bounds;
            ensure(lower <= upper, || {
                format!("{name}: bounds [{lower}, {upper}] leave nothing; lower <= upper is needed")
            })?;
        }
        for &(k, value) in &self.fixed {
            check_parameter(k, parameters)?;
            check_within("a fixed parameter", &parameters[k], value)?;
            (lower[k], upper[k]) = (value, value);
        }
        let free = lower.iter().zip(&upper).filter(|(l, u)| l < u).count();
        ensure(free <= MOST_FREE && lower.len() <= MOST, || {
            format!(
                "{free} of {} parameters are free; at most {MOST_FREE} of {MOST} can be fitted, \
                 as the Hessian has the square of that: fix some, or merge bins",
                lower.len()
            )
        })?;
        Ok(Bounds::new(lower, upper).expect("ends were checked"))
    }

    fn problem<'a>(&'a self, likelihood: &'a dyn Likelihood, bounds: &'a Bounds) -> Problem<'a> {
        Problem {
            likelihood,
            bounds,
            settings: &self.newton,
        }
    }

    /// The nominal point, moved into the bounds, and the starts of the caller.
    fn starts(&self, likelihood: &dyn Likelihood, bounds: &Bounds) -> Result<Vec<Vec<f64>>, Error> {
        let parameters = likelihood.parameters();
        let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
        let starts = std::iter::once(&nominal).chain(&self.starts);
        let within = |start: &Vec<f64>| start_within(start, parameters, bounds);
        starts.map(within).collect()
    }

    /// Starts along parameters, and how many gradients of the likelihood they took.
    fn search(
        &self,
        likelihood: &dyn Likelihood,
        nominal: &[f64],
    ) -> Result<(Vec<Vec<f64>>, u64), Error> {
        let mut starts = Vec::new();
        let mut gradients = 0;
        for search in &self.searches {
            check_parameter(search.parameter, likelihood.parameters())?;
            if self.is_fixed(search.parameter) {
                continue;
            }
            let points = search.along(likelihood, nominal)?;
            gradients += points.len() as u64;
            starts.extend(minima(&points));
        }
        Ok((starts, gradients))
    }
}

impl Search {
    /// The points.
    fn along(&self, likelihood: &dyn Likelihood, nominal: &[f64]) -> Result<Vec<Probe>, Error> {
        let (lower, upper) = likelihood.parameters()[self.parameter].bounds;
        let (range, points) = (upper - lower, self.points);
        let expected = "a finite lower and a finite upper bound";
        check_setting(
            "the range of a searched parameter",
            range,
            range.is_finite(),
            expected,
        )?;
        check_setting(
            "points of a search",
            points as f64,
            points >= 2,
            "at least 2",
        )?;
        let step = range / (points - 1) as f64;
        let mut gradient = vec![0.0; nominal.len()];
        let at = |i: usize| {
            let mut point = nominal.to_vec();
            point[self.parameter] = (lower + step * i as f64).min(upper);
            let nll = likelihood.gradient(&point, &mut gradient);
            Probe {
                nll: if nll.is_finite() { nll } else { f64::INFINITY },
                slope: gradient[self.parameter],
                point,
            }
        };
        Ok((0..points).map(at).collect())
    }
}

/// A point of a search.
struct Probe {
    point: Vec<f64>,
    /// Negative log-likelihood, infinite where there is none.
    nll: f64,
    /// Its derivative along the search.
    slope: f64,
}

/// Points next to a minimum: lower than both neighbours, or the lower one of two
/// whose slopes point at each other.
fn minima(probes: &[Probe]) -> Vec<Vec<f64>> {
    let nll = |i: usize| probes.get(i).map_or(f64::INFINITY, |probe| probe.nll);
    let faces = |i: usize| {
        let pair = probes.get(i).zip(probes.get(i + 1));
        pair.is_some_and(|(a, b)| a.slope < 0.0 && b.slope > 0.0)
    };
    (0..probes.len())
        .filter(|&i| {
            let (before, here, after) = (nll(i.wrapping_sub(1)), nll(i), nll(i + 1));
            let is_lowest = here <= before && here < after;
            let faces_before = i > 0 && faces(i - 1) && here < before;
            here.is_finite() && (is_lowest || faces_before || faces(i) && here <= after)
        })
        .map(|i| probes[i].point.clone())
        .collect()
}

/// Refuses a parameter that is none.
fn check_parameter(index: usize, parameters: &[Parameter]) -> Result<(), Error> {
    let count = parameters.len();
    ensure(index < count, || {
        format!("parameter {index} is asked for; the likelihood has {count}")
    })
}

/// Refuses a setting that is out of range.
fn check_setting(name: &str, value: f64, fits: bool, expected: &str) -> Result<(), Error> {
    ensure(fits, || format!("{name} is {value}; {expected} is needed"))
}

/// Refuses a value that is not within the bounds.
fn check_within(what: &str, parameter: &Parameter, value: f64) -> Result<(), Error> {
    let (lower, upper) = parameter.bounds;
    let fits = value.is_finite() && lower <= value && value <= upper;
    ensure(fits, || outside(what, parameter, value))
}

fn outside(what: &str, parameter: &Parameter, value: f64) -> String {
    let (name, (lower, upper)) = (&parameter.name, parameter.bounds);
    format!("{what}: {name} = {value} is not within its bounds [{lower}, {upper}]")
}

/// A start moved into the bounds.
fn start_within(
    start: &[f64],
    parameters: &[Parameter],
    bounds: &Bounds,
) -> Result<Vec<f64>, Error> {
    let (found, expected) = (start.len(), parameters.len());
    ensure(found == expected, || {
        format!("a start has {found} values; the likelihood has {expected} parameters")
    })?;
    let ends = bounds.lower().iter().zip(bounds.upper());
    let all = start.iter().zip(parameters).zip(ends);
    all.map(|((value, parameter), (lower, upper))| {
        ensure(value.is_finite(), || outside("a start", parameter, *value))?;
        Ok(value.clamp(*lower, *upper))
    })
    .collect()
}

/// Minimises a negative log-likelihood from the nominal point and from all other
/// starts of `settings`.
///
/// Each start descends by Newton's method; where that stalls, it is repeated between the
/// kinks of the likelihood, and then L-BFGS-B goes on and Newton's method finishes. Same
/// input, same numbers, to the bit.
///
/// # Errors
/// If the question makes no sense. A fit that fails is a [`Fit`] that says why.
pub fn fit(likelihood: &dyn Likelihood, settings: &FitSettings) -> Result<Fit, Error> {
    let bounds = settings.bounds(likelihood)?;
    let mut starts = settings.starts(likelihood, &bounds)?;
    let (found, gradients) = settings.search(likelihood, &starts[0])?;
    starts.extend(found);
    let problem = settings.problem(likelihood, &bounds);
    let nominal = starts[0].clone();
    let ends = starts.into_iter().map(|start| problem.to_the_end(start));
    let mut ends: Vec<Descent> = ends.collect();
    let is_nowhere = |end: &Descent| end.outcome == Outcome::StartNotFinite;
    let impossible = match ends.iter().all(is_nowhere) {
        true => likelihood.impossible(&nominal),
        false => None,
    };
    if impossible.is_some() {
        let mut raised = raised(likelihood, &bounds, &nominal).into_iter();
        let found = raised.find_map(|start| {
            let end = problem.to_the_end(start);
            (!is_nowhere(&end)).then_some(end)
        });
        ends.extend(found);
    }
    let mut fit = Fit::among(ends.into_iter(), likelihood, &bounds);
    fit.evaluations.gradients += gradients;
    if let Some(why) = impossible.filter(|_| fit.nll.is_nan()) {
        let message = format!("the likelihood is not finite at any start: {why}");
        fit.failure = Some(Error::new(message));
    }
    Ok(fit)
}

/// By how much parameters of interest are raised where a likelihood is not finite.
const RAISED: [f64; 5] = [1.0, 0.1, 10.0, 0.01, 100.0];

/// Starts with the free parameters of interest above their nominal values: without signal
/// there may be nothing where there are data.
fn raised(likelihood: &dyn Likelihood, bounds: &Bounds, nominal: &[f64]) -> Vec<Vec<f64>> {
    let interest = likelihood.parameters().iter().enumerate();
    let interest = interest.filter(|(_, p)| p.role == Role::Interest);
    let interest: Vec<usize> = interest.map(|(k, _)| k).collect();
    let raise = |by: &f64| {
        let mut start = nominal.to_vec();
        for &k in &interest {
            start[k] = (start[k] + by).clamp(bounds.lower()[k], bounds.upper()[k]);
        }
        start
    };
    let starts = RAISED.iter().map(raise);
    starts.filter(|start| start != nominal).collect()
}

/// [`fit`] from one start alone.
pub(crate) fn refit(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    start: &[f64],
) -> Result<Fit, Error> {
    let bounds = settings.bounds(likelihood)?;
    let start = start_within(start, likelihood.parameters(), &bounds)?;
    let end = settings.problem(likelihood, &bounds).to_the_end(start);
    Ok(Fit::among([end].into_iter(), likelihood, &bounds))
}

/// A minimum without its errors.
pub(crate) struct Minimum {
    /// The point, `[n]`.
    pub(crate) point: Vec<f64>,
    /// Negative log-likelihood there.
    pub(crate) nll: f64,
}

/// [`refit`] without errors; none if it did not converge.
pub(crate) fn minimum(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    start: &[f64],
) -> Result<Option<Minimum>, Error> {
    let bounds = settings.bounds(likelihood)?;
    let start = start_within(start, likelihood.parameters(), &bounds)?;
    let end = settings.problem(likelihood, &bounds).to_the_end(start);
    Ok((end.outcome == Outcome::Converged).then_some(Minimum {
        point: end.place.point,
        nll: end.place.value,
    }))
}

impl Problem<'_> {
    /// Newton's method and, where it stalls, L-BFGS-B and Newton's method again; behind kinks
    /// of the likelihood a deeper minimum is looked for.
    fn to_the_end(self, start: Vec<f64>) -> Descent {
        let mut end = self.descend_with_kinks(start);
        if !matches!(end.outcome, Outcome::Converged | Outcome::StartNotFinite) {
            let (point, gradients) = self.quasi_newton(&end);
            let first = end;
            end = self.descend_with_kinks(point);
            end.evaluations += first.evaluations;
            end.evaluations.gradients += gradients;
            end.iterations += first.iterations;
        }
        if end.outcome != Outcome::Converged {
            return end;
        }
        end = self.leave_saddles(end);
        if self.likelihood.kinks().is_empty() {
            return end;
        }
        end = self.look_behind_kinks(end);
        self.leave_saddles(end)
    }

    /// Goes on from bounds on which the slope vanishes and the likelihood falls inwards, as it
    /// may in the root of a parameter at zero, whose slope there is zero whatever the data say.
    fn leave_saddles(self, end: Descent) -> Descent {
        let (n, place) = (self.bounds.len(), &end.place);
        let mut point = place.point.clone();
        for (k, x) in point.iter_mut().enumerate() {
            let (lower, upper) = (self.bounds.lower()[k], self.bounds.upper()[k]);
            let curvature = place.hessian[k * n + k];
            let is_on = lower < upper && (*x <= lower || *x >= upper);
            let is_level = place.gradient[k].abs() < self.settings.gradient_tolerance;
            if is_on && curvature < 0.0 && is_level {
                let step = (0.1 / (-curvature).sqrt()).min(0.5 * (upper - lower));
                *x += if *x <= lower { step } else { -step };
            }
        }
        if point == place.point {
            return end;
        }
        let other = self.descend_with_kinks(point);
        let is_lower = other.place.value < place.value && other.outcome == Outcome::Converged;
        let (mut found, left) = if is_lower { (other, end) } else { (end, other) };
        found.evaluations += left.evaluations;
        found.iterations += left.iterations;
        found
    }

    /// L-BFGS-B in units of the conditional standard deviations: where it ends, and how many
    /// gradients that took.
    fn quasi_newton(self, from: &Descent) -> (Vec<f64>, u64) {
        let (lower, upper) = (self.bounds.lower(), self.bounds.upper());
        let scale = self.scale(&from.place);
        let divided =
            |x: &[f64]| -> Vec<f64> { x.iter().zip(&scale).map(|(x, s)| x / s).collect() };
        let unscaled = |y: &[f64]| -> Vec<f64> {
            let one = |i: usize| (y[i] * scale[i]).clamp(lower[i], upper[i]);
            (0..y.len()).map(one).collect()
        };
        let here = from.place.point.clone();
        let Ok(scaled) = Bounds::new(divided(lower), divided(upper)) else {
            return (here, 0);
        };
        let function = |y: &[f64], g: &mut [f64]| {
            let value = self.likelihood.gradient(&unscaled(y), g);
            g.iter_mut().zip(&scale).for_each(|(g, s)| *g *= s);
            value
        };
        let settings = MinimiseSettings {
            gradient_tolerance: self.settings.gradient_tolerance,
            max_iterations: self.settings.max_iterations,
            ..MinimiseSettings::default()
        };
        match minimise(function, &divided(&here), &scaled, &settings) {
            Ok(end) if end.value <= from.place.value => (unscaled(&end.point), end.evaluations),
            Ok(end) => (here, end.evaluations),
            Err(_) => (here, 0),
        }
    }
}
