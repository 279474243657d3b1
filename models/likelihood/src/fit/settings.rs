//! How a likelihood is fitted.

use super::super::{Likelihood, Parameter};
use super::FitError;
use super::newton::NewtonSettings;
use sideband_numerics::minimise::Bounds;

/// Which minimum is the result, where several are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basin {
    /// The deepest.
    #[default]
    Deepest,
    /// The one that the nominal point leads to; a deeper one is reported beside it.
    Nominal,
}

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
    /// Which minimum is the result.
    pub basin: Basin,
}

impl FitSettings {
    /// The same with one more parameter fixed, or fixed elsewhere.
    #[must_use]
    pub fn with_fixed(&self, parameter: usize, value: f64) -> Self {
        let mut settings = self.clone();
        settings.fixed.retain(|(k, _)| *k != parameter);
        settings.fixed.push((parameter, value));
        settings
    }

    /// Whether a parameter is fixed.
    #[must_use]
    pub fn is_fixed(&self, parameter: usize) -> bool {
        self.fixed.iter().any(|(k, _)| *k == parameter)
    }

    /// The bounds that a fit obeys: equal ends where a parameter is fixed.
    pub(super) fn bounds(&self, likelihood: &dyn Likelihood) -> Result<Bounds, FitError> {
        self.check_newton()?;
        let parameters = likelihood.parameters();
        let (mut lower, mut upper): (Vec<f64>, Vec<f64>) =
            parameters.iter().map(|p| p.bounds).unzip();
        for parameter in parameters {
            let (lower, upper) = parameter.bounds;
            if lower > upper || lower.is_nan() || upper.is_nan() {
                return Err(FitError::Bounds {
                    name: parameter.name.clone(),
                    lower,
                    upper,
                });
            }
        }
        for &(k, value) in &self.fixed {
            check_parameter(k, parameters)?;
            check_within("a fixed parameter", &parameters[k], value)?;
            (lower[k], upper[k]) = (value, value);
        }
        Ok(Bounds::new(lower, upper).expect("ends were checked"))
    }

    fn check_newton(&self) -> Result<(), FitError> {
        let newton = &self.newton;
        for (name, value) in [
            ("gradient_tolerance", newton.gradient_tolerance),
            ("radius", newton.radius),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(FitError::Setting {
                    name,
                    value,
                    expected: "a finite number above 0",
                });
            }
        }
        Ok(())
    }

    /// The nominal point, moved into the bounds, and the starts of the caller.
    pub(super) fn starts(
        &self,
        likelihood: &dyn Likelihood,
        bounds: &Bounds,
    ) -> Result<Vec<Vec<f64>>, FitError> {
        let parameters = likelihood.parameters();
        let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
        let mut starts = Vec::with_capacity(1 + self.starts.len());
        for start in std::iter::once(&nominal).chain(&self.starts) {
            starts.push(start_within(start, parameters, bounds)?);
        }
        Ok(starts)
    }

    /// Starts along parameters, and how many gradients of the likelihood they took.
    pub(super) fn search(
        &self,
        likelihood: &dyn Likelihood,
        nominal: &[f64],
    ) -> Result<(Vec<Vec<f64>>, u64), FitError> {
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
    fn along(&self, likelihood: &dyn Likelihood, nominal: &[f64]) -> Result<Vec<Probe>, FitError> {
        let (lower, upper) = likelihood.parameters()[self.parameter].bounds;
        if !(upper - lower).is_finite() {
            return Err(FitError::Setting {
                name: "the range of a searched parameter",
                value: upper - lower,
                expected: "a finite lower and a finite upper bound",
            });
        }
        if self.points < 2 {
            return Err(FitError::Setting {
                name: "points of a search",
                value: self.points as f64,
                expected: "at least 2",
            });
        }
        let step = (upper - lower) / (self.points - 1) as f64;
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
        Ok((0..self.points).map(at).collect())
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
pub(super) fn check_parameter(index: usize, parameters: &[Parameter]) -> Result<(), FitError> {
    let count = parameters.len();
    if index < count {
        Ok(())
    } else {
        Err(FitError::Parameter { index, count })
    }
}

/// Refuses a value that is not within the bounds.
pub(super) fn check_within(
    what: &'static str,
    parameter: &Parameter,
    value: f64,
) -> Result<(), FitError> {
    let (lower, upper) = parameter.bounds;
    if value.is_finite() && lower <= value && value <= upper {
        return Ok(());
    }
    Err(FitError::Outside {
        what,
        name: parameter.name.clone(),
        value,
        lower,
        upper,
    })
}

/// Refuses a Hessian that is not `[n, n]`.
pub(super) fn check_hessian(hessian: &[f64], n: usize) -> Result<(), FitError> {
    if hessian.len() == n * n {
        return Ok(());
    }
    Err(FitError::Length {
        what: "the Hessian of a start",
        found: hessian.len(),
        expected: n * n,
    })
}

/// A start moved into the bounds.
pub(super) fn start_within(
    start: &[f64],
    parameters: &[Parameter],
    bounds: &Bounds,
) -> Result<Vec<f64>, FitError> {
    if start.len() != parameters.len() {
        return Err(FitError::Length {
            what: "a start",
            found: start.len(),
            expected: parameters.len(),
        });
    }
    let ends = bounds.lower().iter().zip(bounds.upper());
    let mut moved = Vec::with_capacity(start.len());
    for ((value, parameter), (lower, upper)) in start.iter().zip(parameters).zip(ends) {
        if !value.is_finite() {
            let (lower, upper) = parameter.bounds;
            return Err(FitError::Outside {
                what: "a start",
                name: parameter.name.clone(),
                value: *value,
                lower,
                upper,
            });
        }
        moved.push(value.clamp(*lower, *upper));
    }
    Ok(moved)
}
