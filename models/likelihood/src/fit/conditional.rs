//! Conditional fits: some parameters at given values, the others profiled.

use super::super::Likelihood;
use super::matrix::{cholesky, solve};
use super::newton::{Evaluations, Place, Start};
use super::settings::{check_parameter, check_within};
use super::{Fit, FitError, FitFailure, FitSettings, fit, to_the_end};
use sideband_numerics::minimise::{Bounds, Outcome};

/// A likelihood profiled along some of its parameters.
///
/// A conditional fit starts from a neighbour, moved to the minimum of the quadratic
/// model there. Where that fails, it is a [`fit`] from all starts, and from there.
pub(super) struct Profile<'a> {
    likelihood: &'a dyn Likelihood,
    settings: &'a FitSettings,
    along: &'a [usize],
    /// Whether every point is a [`fit`] from all starts.
    thorough: bool,
}

/// A lower value than that of the best fit by more than this is another minimum.
const DEEPER: f64 = 1e-6;

/// Whether `nll` lies below that of the best fit by more than rounding.
pub(super) fn is_deeper(nll: f64, best: &Fit) -> bool {
    nll < best.nll - DEEPER - 1e-12 * best.nll.abs()
}

impl<'a> Profile<'a> {
    /// Along `along`, which must be parameters that `settings` leaves free.
    pub(super) fn new(
        likelihood: &'a dyn Likelihood,
        settings: &'a FitSettings,
        along: &'a [usize],
        thorough: bool,
    ) -> Result<Self, FitError> {
        for &k in along {
            check_parameter(k, likelihood.parameters())?;
            if settings.is_fixed(k) {
                let parameter = &likelihood.parameters()[k];
                return Err(FitError::Fixed(parameter.name.clone()));
            }
        }
        // what could be wrong with the settings is told here, not at every point
        settings.bounds(likelihood)?;
        Ok(Self {
            likelihood,
            settings,
            along,
            thorough,
        })
    }

    /// Refuses values outside of the bounds.
    pub(super) fn check(&self, what: &'static str, values: &[f64]) -> Result<(), FitError> {
        let parameters = self.along.iter().map(|k| &self.likelihood.parameters()[*k]);
        parameters
            .zip(values)
            .try_for_each(|(parameter, value)| check_within(what, parameter, *value))
    }

    /// Bounds of the first parameter.
    pub(super) fn limits(&self) -> (f64, f64) {
        self.likelihood.parameters()[self.along[0]].bounds
    }

    /// The conditional minimum at `values`, which lie within the bounds.
    pub(super) fn at(
        &self,
        values: &[f64],
        neighbour: &Place,
        evaluations: &mut Evaluations,
    ) -> Result<Place, FitFailure> {
        let settings = self.fixed(values);
        let bounds = settings
            .bounds(self.likelihood)
            .map_err(|_| FitFailure::StartNotFinite)?;
        let start = predict(neighbour, &bounds);
        if !self.thorough {
            let near = Start::Near(start.clone(), neighbour);
            let end = to_the_end(self.likelihood, near, &bounds, &self.settings.newton);
            *evaluations += end.evaluations;
            if end.outcome == Outcome::Converged {
                return Ok(end.place);
            }
        }
        self.fit_from_all_starts(settings, start, evaluations)
    }

    /// The conditional minimum from all starts and one more.
    fn fit_from_all_starts(
        &self,
        mut settings: FitSettings,
        start: Vec<f64>,
        evaluations: &mut Evaluations,
    ) -> Result<Place, FitFailure> {
        settings.starts.push(start);
        let found = fit(self.likelihood, &settings).map_err(|_| FitFailure::StartNotFinite)?;
        *evaluations += found.evaluations;
        match &found.failure {
            None => Ok(found.place()),
            Some(failure) => Err(failure.clone()),
        }
    }

    /// The settings with the profile's parameters at `values`.
    fn fixed(&self, values: &[f64]) -> FitSettings {
        let mut settings = self.settings.clone();
        settings
            .fixed
            .extend(self.along.iter().copied().zip(values.iter().copied()));
        settings
    }

    /// The free minimum that a point leads to.
    pub(super) fn best_from(&self, place: &Place) -> Result<Fit, FitError> {
        super::refit(self.likelihood, self.settings, &place.point, None)
    }
}

/// The minimum within `bounds` of the quadratic model about a place, for the
/// parameters that the bounds leave free and the place does not have on them.
fn predict(near: &Place, bounds: &Bounds) -> Vec<f64> {
    let n = near.point.len();
    let (lower, upper) = (bounds.lower(), bounds.upper());
    let mut point: Vec<f64> = (0..n)
        .map(|i| near.point[i].clamp(lower[i], upper[i]))
        .collect();
    let free: Vec<usize> = (0..n)
        .filter(|&i| lower[i] < near.point[i] && near.point[i] < upper[i])
        .collect();
    let m = free.len();
    let scale: Vec<f64> = free
        .iter()
        .map(|&i| near.hessian[i * n + i].sqrt().recip())
        .collect();
    let mut factor = vec![0.0; m * m];
    let mut step = vec![0.0; m];
    for (a, &i) in free.iter().enumerate() {
        let row = &near.hessian[i * n..(i + 1) * n];
        let moved = (0..n).map(|j| row[j] * (point[j] - near.point[j]));
        step[a] = -scale[a] * (near.gradient[i] + moved.sum::<f64>());
        for (b, &j) in free.iter().enumerate() {
            factor[a * m + b] = row[j] * scale[a] * scale[b];
        }
    }
    if cholesky(&mut factor, m) {
        solve(&factor, m, &mut step);
        for (a, &i) in free.iter().enumerate() {
            point[i] = (point[i] + step[a] * scale[a]).clamp(lower[i], upper[i]);
        }
    }
    point
}
