//! Impacts of nuisance parameters on what is measured.
//!
//! From the covariance V at the best fit; as a check, from fits with one nuisance
//! parameter moved and the others profiled again.

use super::profile::Profile;
use super::result::{covariance, ranges};
use super::{End, Fit, FitSettings, State, check_parameter, minos};
use crate::Likelihood;
use crate::error::{Error, ensure};
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
    /// Whether shifts are found by refits too where the covariance gives them.
    pub refit: bool,
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
    /// The shift when the outcome of the parameter's auxiliary measurement rises by one standard
    /// deviation, `V_muk / delta_k` of a Gaussian one; none as before, or without such a
    /// measurement, or if it is correlated. In quadrature these add up, with what the data
    /// contribute, to the error (Pinto et al., arXiv:2307.04007).
    pub shifted: Option<f64>,
    /// Shifts by refit at `a^ + sqrt(V_kk)` and `a^ - sqrt(V_kk)`. A nuisance parameter on a
    /// bound is moved inwards to where its profile has t = 1. None where it would leave its
    /// bounds, the fit failed, or the covariance gives all shifts and no refits were asked for.
    pub refit: [Option<f64>; 2],
}

/// Impact of a group on one parameter of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupImpact {
    /// The group.
    pub name: String,
    /// `sqrt(error^2 - error_frozen^2)`, the second with the group at the best fit; none
    /// for a parameter of interest on a bound.
    pub impact: Option<f64>,
    /// [`Impact::shifted`] of its parameters in quadrature; none for a parameter of interest on
    /// a bound.
    pub shifted: Option<f64>,
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
    /// What the data alone contribute to its error: what is left of it without the shifts by
    /// all auxiliary measurements; none on a bound.
    pub from_data: Option<f64>,
    /// Impacts of the nuisance parameters that are not fixed, largest post-fit impact first.
    pub ranking: Vec<Impact>,
    /// Impacts of groups, as asked for.
    pub groups: Vec<GroupImpact>,
}

/// Impacts at a best fit, one a parameter of interest; refits run in parallel.
///
/// # Errors
/// If the question makes no sense or `best` is no result.
pub fn impacts(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    asked: &ImpactSettings,
) -> Result<Vec<Impacts>, Error> {
    let table = ImpactTable::new(likelihood, best.checked()?, asked)?;
    let moved = table.nuisances.par_iter();
    let moved: Result<Vec<Moved>, Error> = moved.map(|k| table.refits(settings, *k)).collect();
    let moved = moved?;
    let interest = asked.interest.iter();
    Ok(interest.map(|mu| table.impacts(*mu, &moved)).collect())
}

/// Whether a fit determined a parameter, be it on a bound or a kink.
fn is_measured(state: State) -> bool {
    !matches!(state, State::Fixed | State::Unmeasured)
}

impl Impact {
    /// Its size for the ranking: from the covariance, or the larger shift by refit.
    pub(super) fn size(&self) -> f64 {
        let shifts = self.refit.iter().flatten().map(|x| x.abs());
        self.post_fit
            .map_or_else(|| shifts.fold(0.0, f64::max), f64::abs)
    }
}

/// Points of the fits with one parameter moved up and down.
type Moved = [Option<Vec<f64>>; 2];

/// What all impacts are made of.
struct ImpactTable<'a> {
    likelihood: &'a dyn Likelihood,
    best: &'a Fit,
    asked: &'a ImpactSettings,
    /// Parameters that are not of interest and that the fit measured.
    nuisances: Vec<usize>,
    ranges: Vec<f64>,
}

impl<'a> ImpactTable<'a> {
    fn new(
        likelihood: &'a dyn Likelihood,
        best: &'a Fit,
        asked: &'a ImpactSettings,
    ) -> Result<Self, Error> {
        let parameters = likelihood.parameters();
        for &k in &asked.interest {
            check_parameter(k, parameters)?;
            let name = &parameters[k].name;
            ensure(is_measured(best.states[k]), || {
                format!(
                    "impacts on {name} are asked for, which is fixed or which the data do not \
                     measure"
                )
            })?;
        }
        for &k in asked.groups.iter().flat_map(|group| &group.parameters) {
            check_parameter(k, parameters)?;
            let name = &parameters[k].name;
            ensure(!asked.interest.contains(&k), || {
                format!(
                    "{name} is of interest and in a group of nuisance parameters; take it out of \
                     one"
                )
            })?;
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

    fn impacts(&self, mu: usize, moved: &[Moved]) -> Impacts {
        let error = self.best.error(mu);
        let nuisances = self.nuisances.iter().zip(moved);
        let mut ranking: Vec<Impact> = nuisances.map(|(k, m)| self.impact(mu, *k, m)).collect();
        ranking.sort_by(|a, b| b.size().total_cmp(&a.size()));
        let shifted = |is_in: &dyn Fn(usize) -> bool| -> f64 {
            let own = ranking.iter().filter(|impact| is_in(impact.parameter));
            own.filter_map(|impact| impact.shifted).map(|x| x * x).sum()
        };
        let from_data = |error: f64| (error * error - shifted(&|_| true)).max(0.0).sqrt();
        let groups = self.asked.groups.iter().map(|group| GroupImpact {
            name: group.name.clone(),
            shifted: error.map(|_| shifted(&|k| group.parameters.contains(&k)).sqrt()),
            impact: error
                .zip(self.error_without(mu, &group.parameters))
                .map(|(error, frozen)| (error * error - frozen * frozen).max(0.0).sqrt()),
        });
        Impacts {
            parameter: mu,
            error,
            statistical: self.error_without(mu, &self.nuisances),
            from_data: error.map(from_data),
            groups: groups.collect(),
            ranking,
        }
    }

    fn impact(&self, mu: usize, k: usize, moved: &Moved) -> Impact {
        let (hessian, n) = (&self.best.hessian, self.n());
        let covariance = |i: usize| self.best.covariance_of(i, k);
        let pair = covariance(mu).zip(covariance(k));
        let constraint = self.likelihood.parameters()[k].constraint;
        let shift = |point: &Vec<f64>| point[mu] - self.best.point[mu];
        Impact {
            parameter: k,
            post_fit: pair.map(|(both, own)| both / own.sqrt()),
            unprofiled: pair
                .map(|(_, own)| -hessian[mu * n + k] / hessian[mu * n + mu] * own.sqrt()),
            pre_fit: pair
                .zip(constraint)
                .map(|((both, own), constraint)| both / own * constraint.width),
            shifted: pair
                .zip(self.likelihood.auxiliary_slope(k, &self.best.point))
                .map(|((both, _), slope)| both * slope),
            refit: [0, 1].map(|side| moved[side].as_ref().map(shift)),
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
        let (covariance, _) = covariance(&self.best.hessian, &self.ranges, &states)?;
        Some(covariance[mu * self.n() + mu].sqrt())
    }

    /// How far a nuisance parameter is moved up and down: by its error, or inwards from its
    /// bound to where its profile has t = 1.
    fn post_fit_moves(&self, settings: &FitSettings, k: usize) -> Result<[Option<f64>; 2], Error> {
        if let Some(error) = self.best.error(k) {
            let interest = &self.asked.interest;
            let is_known = interest.iter().all(|mu| self.best.error(*mu).is_some());
            let is_wanted = self.asked.refit || !is_known;
            return Ok([error, -error].map(|by| is_wanted.then_some(by)));
        }
        let found = minos(self.likelihood, settings, self.best, k, 1.0)?;
        let distance = |end: &End| {
            let moved = end.value()? - self.best.point[k];
            (moved != 0.0).then_some(moved)
        };
        Ok([distance(&found.upper), distance(&found.lower)])
    }

    /// Fits with one parameter moved.
    fn refits(&self, settings: &FitSettings, k: usize) -> Result<Moved, Error> {
        let along = [k];
        let profile = Profile::new(self.likelihood, settings, &along)?;
        let origin = self.best.place();
        let moves = self.post_fit_moves(settings, k)?;
        Ok(moves.map(|by| {
            let value = [self.best.point[k] + by?];
            profile.check("a moved parameter", &value).ok()?;
            Some(profile.at(&value, &origin).ok()?.point)
        }))
    }
}
