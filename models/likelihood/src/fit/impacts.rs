//! Pulls of nuisance parameters and their impacts on what is measured.
//!
//! From the covariance V at the best fit; as a check, from fits with one nuisance
//! parameter moved and the others profiled again.

use super::super::Likelihood;
use super::conditional::Profile;
use super::result::{covariance, ranges};
use super::settings::check_parameter;
use super::{End, Evaluations, Fit, FitError, FitFailure, FitSettings, State, minos};
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
    /// Parameters of interest that the fit measured. One on a bound has impacts by refit
    /// alone.
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
    /// Post-fit error `sqrt(V_kk) / delta`; none if it is not free.
    pub error: Option<f64>,
}

/// Shift of a parameter of interest in a fit with a nuisance parameter moved.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// The shift.
    By(f64),
    /// The nuisance parameter would leave its bounds, or is on one.
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
    /// `V_muk / sqrt(V_kk)`: the shift for one post-fit error; none where one of the two
    /// is on a bound.
    pub post_fit: Option<f64>,
    /// `-H_muk / H_mumu sqrt(V_kk)`: the same with all others fixed; none as before.
    pub unprofiled: Option<f64>,
    /// `V_muk / V_kk delta_k`: the shift for one pre-fit error; none as before, or without
    /// constraint.
    pub pre_fit: Option<f64>,
    /// Shifts by refit at `a^ + sqrt(V_kk)` and `a^ - sqrt(V_kk)`, if asked for. A nuisance
    /// parameter on a bound is moved to where its profile has t = 1.
    pub post_fit_refit: Option<[Shift; 2]>,
    /// Shifts by refit at `a^ + delta_k` and `a^ - delta_k`, if asked for.
    pub pre_fit_refit: Option<[Shift; 2]>,
}

/// Impact of a group on one parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupImpact {
    /// The group.
    pub name: String,
    /// `sqrt(error^2 - error_frozen^2)`, the second with the group at the best fit; none
    /// for a parameter of interest on a bound.
    pub impact: Option<f64>,
}

/// Impacts on one parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Impacts {
    /// The parameter of interest.
    pub parameter: usize,
    /// Its error; none on a bound.
    pub error: Option<f64>,
    /// Its error with all that is not of interest at the best fit; none on a bound.
    pub statistical: Option<f64>,
    /// Impacts of the nuisance parameters that are not fixed, largest post-fit impact first.
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

/// Whether a fit determined a parameter, be it on a bound or a kink.
fn is_measured(state: State) -> bool {
    !matches!(state, State::Fixed | State::Unmeasured)
}

impl Impact {
    /// Its size for the ranking: from the covariance, or the larger shift by refit.
    #[must_use]
    pub fn size(&self) -> f64 {
        let shifts = self
            .post_fit_refit
            .iter()
            .flatten()
            .map(|shift| match shift {
                Shift::By(x) => x.abs(),
                Shift::OutsideBounds | Shift::Failed(_) => 0.0,
            });
        self.post_fit
            .map_or_else(|| shifts.fold(0.0, f64::max), f64::abs)
    }
}

/// Points of the fits with one parameter moved: post-fit up and down, pre-fit up
/// and down.
type Moved = [Result<Vec<f64>, Option<FitFailure>>; 4];

/// What all impacts are made of.
struct Table<'a> {
    likelihood: &'a dyn Likelihood,
    best: &'a Fit,
    asked: &'a ImpactSettings,
    /// Parameters that are not of interest and that the fit measured.
    nuisances: Vec<usize>,
    ranges: Vec<f64>,
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
            if !is_measured(best.states[k]) {
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
            .filter(|k| is_measured(best.states[*k]) && !asked.interest.contains(k))
            .collect();
        Ok(Self {
            likelihood,
            best,
            asked,
            nuisances,
            ranges: ranges(likelihood),
        })
    }

    fn n(&self) -> usize {
        self.best.point.len()
    }

    fn v(&self, i: usize, j: usize) -> Option<f64> {
        self.best.covariance_of(i, j)
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
                    error: self.best.error(k).map(|error| error / constraint.width),
                })
            })
            .collect()
    }

    fn impacts(&self, mu: usize, moved: &[Moved]) -> Impacts {
        let error = self.best.error(mu);
        let mut ranking: Vec<Impact> = self
            .nuisances
            .iter()
            .enumerate()
            .map(|(row, &k)| self.impact(mu, k, moved.get(row)))
            .collect();
        ranking.sort_by(|a, b| b.size().total_cmp(&a.size()));
        let groups = self.asked.groups.iter().map(|group| GroupImpact {
            name: group.name.clone(),
            impact: error
                .zip(self.error_without(mu, &group.parameters))
                .map(|(error, frozen)| (error * error - frozen * frozen).max(0.0).sqrt()),
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
        let (both, own) = (self.v(mu, k), self.v(k, k));
        let pair = both.zip(own);
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
            post_fit: pair.map(|(both, own)| both / own.sqrt()),
            unprofiled: pair
                .map(|(_, own)| -hessian[mu * n + k] / hessian[mu * n + mu] * own.sqrt()),
            pre_fit: pair
                .zip(delta)
                .map(|((both, own), delta)| both / own * delta),
            post_fit_refit: shift(0).zip(shift(1)).map(<[Shift; 2]>::from),
            pre_fit_refit: delta
                .and_then(|_| shift(2).zip(shift(3)))
                .map(<[Shift; 2]>::from),
        }
    }

    /// Error of a parameter with others frozen: a part of a positive definite
    /// Hessian is positive definite.
    fn error_without(&self, mu: usize, frozen: &[usize]) -> Option<f64> {
        let mut states = self.best.states.clone();
        for &k in frozen {
            states[k] = State::Fixed;
        }
        if states[mu] != State::Free {
            return None;
        }
        let (covariance, _) = covariance(&self.best.hessian, &self.ranges, &states).ok()?;
        Some(covariance[mu * self.n() + mu].sqrt())
    }

    /// How far a nuisance parameter is moved up and down: by its error, or inwards from its
    /// bound to where its profile has t = 1.
    fn post_fit_moves(
        &self,
        settings: &FitSettings,
        k: usize,
    ) -> Result<[Option<f64>; 2], FitError> {
        if let Some(error) = self.best.error(k) {
            return Ok([Some(error), Some(-error)]);
        }
        let found = minos(self.likelihood, settings, self.best, k, 1.0)?;
        let distance = |end: &End| {
            let moved = end.value()? - self.best.point[k];
            (moved != 0.0).then_some(moved)
        };
        Ok([distance(&found.upper), distance(&found.lower)])
    }

    /// Fits with one parameter moved.
    fn refits(&self, settings: &FitSettings, k: usize) -> Result<(Moved, Evaluations), FitError> {
        let along = [k];
        let profile = Profile::new(self.likelihood, settings, &along, false)?;
        let origin = self.best.place();
        let [up, down] = self.post_fit_moves(settings, k)?;
        let delta = self.delta(k);
        let mut evaluations = Evaluations::default();
        let moved = [up, down, delta, delta.map(|delta| -delta)].map(|by| {
            let value = [self.best.point[k] + by.ok_or(None)?];
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
