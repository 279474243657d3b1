//! Conditional minima along one parameter, one after the other: each starts from the nearest
//! that is known, moved to the minimum of the quadratic model there.
//!
//! A likelihood may have several minima, of which another is the deepest farther on. A path
//! follows those that it knows of; [`Path::check`] looks for one more from the nominal point.

use super::newton::Place;
use super::profile::{Profile, is_deeper, predict};
use super::{Fit, FitSettings, check_within, fit, refit};
use crate::Likelihood;
use crate::error::Error;
use sideband_numerics::minimise::Outcome;

/// A minimum that is deeper than another by more than this is another one.
const DEEPER: f64 = 1e-7;
/// A minimum above what the quadratic model promised by more than this, and by more than this
/// part of the change, is looked for from the nominal point too.
const SURPRISE: [f64; 2] = [0.1, 0.5];
/// Places that agree within this many conditional standard deviations are one.
const SAME: f64 = 0.01;
/// Places that a branch keeps.
const KEPT: usize = 8;

/// What is known at one value of the parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conditional {
    /// Negative log-likelihood.
    pub(crate) nll: f64,
    /// Its derivative along the parameter, the others profiled.
    pub(crate) slope: f64,
}

/// Conditional minima of a likelihood along a parameter.
pub(crate) struct Path<'a> {
    likelihood: &'a dyn Likelihood,
    settings: &'a FitSettings,
    parameter: usize,
    /// Places of each known minimum.
    branches: Vec<Vec<Place>>,
}

impl<'a> Path<'a> {
    /// From a best fit, along a parameter that `settings` leaves free.
    pub(crate) fn new(
        likelihood: &'a dyn Likelihood,
        settings: &'a FitSettings,
        best: &Fit,
        parameter: usize,
    ) -> Result<Self, Error> {
        Profile::new(likelihood, settings, &[parameter])?;
        Ok(Self {
            likelihood,
            settings,
            parameter,
            branches: vec![vec![best.checked()?.place()]],
        })
    }

    /// The deepest conditional minimum that is known to be there.
    pub(crate) fn at(&mut self, value: f64) -> Result<Conditional, Error> {
        let parameter = &self.likelihood.parameters()[self.parameter];
        check_within("a fixed parameter", parameter, value)?;
        let settings = self.settings.with_fixed(self.parameter, value);
        let bounds = settings.bounds(self.likelihood)?;
        let problem = settings.problem(self.likelihood, &bounds);
        let mut failure = None;
        let mut is_surprise = false;
        let mut found = false;
        for branch in &mut self.branches {
            let Some(near) = nearest(branch, self.parameter, value) else {
                continue;
            };
            if near.point[self.parameter] == value {
                found = true;
                continue;
            }
            let (start, promised) = predict(near, &bounds);
            let before = near.value;
            let end = problem.to_the_end(start);
            if end.outcome == Outcome::Converged {
                let above = end.place.value - promised;
                is_surprise |= above > SURPRISE[0] + SURPRISE[1] * (promised - before).abs();
                keep(branch, end.place);
                found = true;
            } else {
                failure = Some(end.place.point);
            }
        }
        if !found || is_surprise || failure.is_some() {
            self.look(value, failure)?;
        }
        self.join(value);
        let deepest = self.deepest(value).map(|place| Conditional {
            nll: place.value,
            slope: place.gradient[self.parameter],
        });
        deepest.ok_or_else(|| Error::new("there is no conditional minimum"))
    }

    /// Looks for a deeper conditional minimum from the nominal point and from all other
    /// starts of the settings; says whether there is one.
    pub(crate) fn check(&mut self, value: f64) -> Result<bool, Error> {
        let before = self.at(value)?.nll;
        self.look(value, None)?;
        let after = self.deepest(value).map_or(before, |place| place.value);
        Ok(after < before - DEEPER - 1e-12 * before.abs())
    }

    /// The free minimum that the deepest known place at a value leads to.
    pub(crate) fn best_from(&self, value: f64) -> Result<Fit, Error> {
        let place = self.deepest(value);
        let place = place.ok_or_else(|| Error::new("there is no conditional minimum"))?;
        refit(self.likelihood, self.settings, &place.point)
    }

    /// The point, `[n]`, of the deepest known conditional minimum at a value.
    pub(crate) fn point(&self, value: f64) -> Option<&[f64]> {
        Some(&self.deepest(value)?.point)
    }

    /// Whether a negative log-likelihood lies below that of a best fit.
    pub(crate) fn is_missed(nll: f64, best: &Fit) -> bool {
        is_deeper(nll, best)
    }

    /// Descents from all starts, and from one more; what is deeper than all that is known is
    /// a branch.
    fn look(&mut self, value: f64, start: Option<Vec<f64>>) -> Result<(), Error> {
        let mut settings = self.settings.with_fixed(self.parameter, value);
        settings.starts.extend(start);
        let bounds = settings.bounds(self.likelihood)?;
        let mut starts = settings.starts(self.likelihood, &bounds)?;
        let (found, _) = settings.search(self.likelihood, &starts[0])?;
        starts.extend(found);
        let problem = settings.problem(self.likelihood, &bounds);
        let mut known = self.deepest(value).map(|place| place.value);
        for end in starts.into_iter().map(|start| problem.to_the_end(start)) {
            let is_new = |known: f64| end.place.value < known - DEEPER - 1e-12 * known.abs();
            if end.outcome == Outcome::Converged && known.is_none_or(is_new) {
                known = Some(end.place.value);
                self.branches.push(vec![end.place]);
            }
        }
        if known.is_none() {
            // the reason, or what helps where nothing is finite
            let found = fit(self.likelihood, &settings)?;
            if let Some(failure) = &found.failure {
                return Err(failure.clone());
            }
            self.branches.push(vec![found.place()]);
        }
        Ok(())
    }

    /// Of branches that lead to one minimum the first stays.
    fn join(&mut self, value: f64) {
        let (mut seen, k): (Vec<Place>, usize) = (Vec::new(), self.parameter);
        if self.branches.len() < 2 {
            return;
        }
        self.branches.retain(|branch| {
            let Some(place) = branch.iter().find(|place| place.point[k] == value) else {
                return true;
            };
            let is_new = !seen.iter().any(|other| is_same(other, place));
            if is_new {
                seen.push(place.clone());
            }
            is_new
        });
    }

    fn deepest(&self, value: f64) -> Option<&Place> {
        let places = self.branches.iter().flatten();
        places
            .filter(|place| place.point[self.parameter] == value)
            .min_by(|a, b| a.value.total_cmp(&b.value))
    }
}

/// Whether two places are one, within parts of the conditional standard deviations.
fn is_same(one: &Place, other: &Place) -> bool {
    let n = one.point.len();
    let far = |k: usize| {
        let scale = one.hessian[k * n + k].max(0.0).sqrt();
        (one.point[k] - other.point[k]).abs() * scale
    };
    (0..n).all(|k| far(k) < SAME)
}

fn nearest(branch: &[Place], parameter: usize, value: f64) -> Option<&Place> {
    let far = |place: &Place| (place.point[parameter] - value).abs();
    branch.iter().min_by(|a, b| far(a).total_cmp(&far(b)))
}

/// Adds a place; the oldest but the first leaves.
fn keep(branch: &mut Vec<Place>, place: Place) {
    if branch.len() >= KEPT {
        branch.remove(1);
    }
    branch.push(place);
}
