//! Pulls of nuisance parameters and their impacts on what is measured.
//!
//! From the covariance V at the best fit; as a check, from fits with one nuisance
//! parameter moved and the others profiled again.

use super::super::Likelihood;
use super::conditional::Profile;
use super::result::covariance;
use super::settings::check_parameter;
use super::{Evaluations, Fit, FitError, FitFailure, FitSettings, State};
use rayon::prelude::*;

/// Nuisance parameters with one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub parameters: Vec<usize>,
}

/// What impacts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImpactSettings {
    /// Parameters of interest, which the fit leaves free.
    pub interest: Vec<usize>,
    /// Groups of nuisance parameters.
    pub groups: Vec<Group>,
    /// Whether to repeat the fit with each nuisance parameter moved.
    pub refit: bool,
}

/// The pull of a constrained parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pull {
    /// The parameter.
    pub parameter: usize,
    /// `(a^ - a0) / delta`.
    pub value: f64,
    /// Post-fit error `sqrt(V_kk) / delta`; zero if fixed or at a bound.
    pub error: f64,
}

/// Shift of a parameter of interest in a fit with a nuisance parameter moved.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// The shift.
    By(f64),
    /// The nuisance parameter would leave its bounds.
    OutsideBounds,
    /// The fit failed.
    Failed(FitFailure),
}

/// Impact of one nuisance parameter on one parameter of interest, in units of the
/// latter.
#[derive(Clone, Debug, PartialEq)]
pub struct Impact {
    /// The nuisance parameter.
    pub parameter: usize,
    /// `V_muk / sqrt(V_kk)`: the shift for one post-fit error.
    pub post_fit: f64,
    /// `-H_muk / H_mumu sqrt(V_kk)`: the same with all others fixed.
    pub unprofiled: f64,
    /// `V_muk / V_kk delta_k`: the shift for one pre-fit error; none without
    /// constraint.
    pub pre_fit: Option<f64>,
    /// Shifts by refit at `a^ + sqrt(V_kk)` and `a^ - sqrt(V_kk)`, if asked for.
    pub post_fit_refit: Option<[Shift; 2]>,
    /// Shifts by refit at `a^ + delta_k` and `a^ - delta_k`, if asked for.
    pub pre_fit_refit: Option<[Shift; 2]>,
}

/// Impact of a group on one parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupImpact {
    /// The group.
    pub name: String,
    /// `sqrt(error^2 - error_frozen^2)`, the second with the group at the best fit.
    pub impact: f64,
}

/// Impacts on one parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Impacts {
    /// The parameter of interest.
    pub parameter: usize,
    /// Its error.
    pub error: f64,
    /// Its error with all that is not of interest at the best fit.
    pub statistical: f64,
    /// Impacts of the free nuisance parameters, largest post-fit impact first.
    pub ranking: Vec<Impact>,
    /// Impacts of groups, as asked for.
    pub groups: Vec<GroupImpact>,
}

/// Pulls, and impacts on every parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct PullsAndImpacts {
    /// Pulls of all constrained parameters.
    pub pulls: Vec<Pull>,
    /// One a parameter of interest.
    pub impacts: Vec<Impacts>,
    /// Calls of the likelihood.
    pub evaluations: Evaluations,
}

/// Pulls and impacts at a best fit; refits run in parallel.
///
/// # Errors
/// [`FitError`] if the question makes no sense or `best` is no result.
pub fn impacts(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    asked: &ImpactSettings,
) -> Result<PullsAndImpacts, FitError> {
    let table = Table::new(likelihood, best.checked()?, asked)?;
    let mut evaluations = Evaluations::default();
    let mut moved = Vec::new();
    if asked.refit {
        let found: Result<Vec<(Moved, Evaluations)>, FitError> = table
            .nuisances
            .par_iter()
            .map(|k| table.refits(settings, *k))
            .collect();
        for (row, calls) in found? {
            evaluations += calls;
            moved.push(row);
        }
    }
    Ok(PullsAndImpacts {
        pulls: table.pulls(),
        impacts: asked
            .interest
            .iter()
            .map(|mu| table.impacts(*mu, &moved))
            .collect(),
        evaluations,
    })
}

/// Points of the fits with one parameter moved: post-fit up and down, pre-fit up
/// and down.
type Moved = [Result<Vec<f64>, Option<FitFailure>>; 4];

/// What all impacts are made of.
struct Table<'a> {
    likelihood: &'a dyn Likelihood,
    best: &'a Fit,
    asked: &'a ImpactSettings,
    /// Free parameters that are not of interest.
    nuisances: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(
        likelihood: &'a dyn Likelihood,
        best: &'a Fit,
        asked: &'a ImpactSettings,
    ) -> Result<Self, FitError> {
        let parameters = likelihood.parameters();
        for &k in &asked.interest {
            check_parameter(k, parameters)?;
            if best.states[k] != State::Free {
                return Err(FitError::NotFree(parameters[k].name.clone()));
            }
        }
        for &k in asked.groups.iter().flat_map(|group| &group.parameters) {
            check_parameter(k, parameters)?;
            if asked.interest.contains(&k) {
                return Err(FitError::InterestInGroup(parameters[k].name.clone()));
            }
        }
        let nuisances = (0..parameters.len())
            .filter(|k| best.states[*k] == State::Free && !asked.interest.contains(k))
            .collect();
        Ok(Self {
            likelihood,
            best,
            asked,
            nuisances,
        })
    }

    fn n(&self) -> usize {
        self.best.point.len()
    }

    fn v(&self, i: usize, j: usize) -> f64 {
        self.best.covariance[i * self.n() + j]
    }

    fn delta(&self, k: usize) -> Option<f64> {
        self.likelihood.parameters()[k].constraint.map(|c| c.width)
    }

    fn pulls(&self) -> Vec<Pull> {
        let parameters = self.likelihood.parameters().iter().enumerate();
        parameters
            .filter_map(|(k, parameter)| {
                let constraint = parameter.constraint?;
                Some(Pull {
                    parameter: k,
                    value: (self.best.point[k] - constraint.centre) / constraint.width,
                    error: self.v(k, k).sqrt() / constraint.width,
                })
            })
            .collect()
    }

    fn impacts(&self, mu: usize, moved: &[Moved]) -> Impacts {
        let error = self.v(mu, mu).sqrt();
        let mut ranking: Vec<Impact> = self
            .nuisances
            .iter()
            .enumerate()
            .map(|(row, &k)| self.impact(mu, k, moved.get(row)))
            .collect();
        ranking.sort_by(|a, b| b.post_fit.abs().total_cmp(&a.post_fit.abs()));
        let groups = self.asked.groups.iter().map(|group| GroupImpact {
            name: group.name.clone(),
            impact: {
                let frozen = self.error_without(mu, &group.parameters);
                (error * error - frozen * frozen).max(0.0).sqrt()
            },
        });
        Impacts {
            parameter: mu,
            error,
            statistical: self.error_without(mu, &self.nuisances),
            ranking,
            groups: groups.collect(),
        }
    }

    fn impact(&self, mu: usize, k: usize, moved: Option<&Moved>) -> Impact {
        let (hessian, n) = (&self.best.hessian, self.n());
        let sigma = self.v(k, k).sqrt();
        let shift = |i: usize| {
            moved.map(|moved| match &moved[i] {
                Ok(point) => Shift::By(point[mu] - self.best.point[mu]),
                Err(Some(failure)) => Shift::Failed(failure.clone()),
                Err(None) => Shift::OutsideBounds,
            })
        };
        let delta = self.delta(k);
        Impact {
            parameter: k,
            post_fit: self.v(mu, k) / sigma,
            unprofiled: -hessian[mu * n + k] / hessian[mu * n + mu] * sigma,
            pre_fit: delta.map(|delta| self.v(mu, k) / self.v(k, k) * delta),
            post_fit_refit: shift(0).zip(shift(1)).map(<[Shift; 2]>::from),
            pre_fit_refit: delta
                .and_then(|_| shift(2).zip(shift(3)))
                .map(<[Shift; 2]>::from),
        }
    }

    /// Error of a parameter with others frozen: a part of a positive definite
    /// Hessian is positive definite.
    fn error_without(&self, mu: usize, frozen: &[usize]) -> f64 {
        let mut states = self.best.states.clone();
        for &k in frozen {
            states[k] = State::Fixed;
        }
        covariance(&self.best.hessian, &states)
            .map_or(f64::NAN, |covariance| covariance[mu * self.n() + mu].sqrt())
    }

    /// Fits with one parameter moved.
    fn refits(&self, settings: &FitSettings, k: usize) -> Result<(Moved, Evaluations), FitError> {
        let along = [k];
        let profile = Profile::new(self.likelihood, settings, &along, false)?;
        let origin = self.best.place();
        let sigma = self.v(k, k).sqrt();
        let delta = self.delta(k).unwrap_or(f64::NAN);
        let mut evaluations = Evaluations::default();
        let moved = [sigma, -sigma, delta, -delta].map(|by| {
            let value = [self.best.point[k] + by];
            profile
                .check("a moved parameter", &value)
                .map_err(|_| None)?;
            let place = profile
                .at(&value, &origin, &mut evaluations)
                .map_err(Some)?;
            Ok(place.point)
        });
        Ok((moved, evaluations))
    }
}
