//! What groups of nuisance parameters do to the expected upper limit.
//!
//! No use is made of an error of mu, so that a best fit on a bound has impacts like any other.

use super::curve::Search;
use super::{Asymptotics, DataSet, WIDENED};
use crate::error::{Error, ensure};
use crate::fit::{FitSettings, Group};
use crate::{Likelihood as _, Model};
use rayon::prelude::*;

/// What is done with a group of nuisance parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImpactKind {
    /// They are held where the Asimov data were made, which stay the same: at their best fit to
    /// the data without signal.
    #[default]
    Frozen,
    /// They are out of the model: held at their nominal values, and Asimov data made anew.
    Removed,
}

/// Which impacts on a limit are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitImpactSettings {
    /// Confidence level, in (0.5, 1).
    pub level: f64,
    /// What is done with the groups.
    pub kind: ImpactKind,
    /// The groups. Parameters that are fixed anyway change nothing.
    pub groups: Vec<Group>,
}

/// What a group does to a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitImpact {
    /// The group.
    pub name: String,
    /// The median expected limit with the group frozen or removed.
    pub limit: Result<f64, Error>,
    /// `1 - limit / limit with all parameters`; none without a limit.
    pub relative: Option<f64>,
}

/// Impacts on the expected upper limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitImpacts {
    /// The median expected limit with all parameters.
    pub expected: f64,
    /// The widest upper bound of the parameter of interest that a limit needed in place of its
    /// own; none if all lie below that.
    pub bound_widened: Option<f64>,
    /// Impacts of the groups, as asked for. They are no parts of a sum.
    pub groups: Vec<LimitImpact>,
}

/// `Delta mu / mu` of groups of nuisance parameters: the relative change of the median expected
/// limit on mu, the place of which is `interest`, for Asimov data at mu = 0 with all other
/// parameters profiled on `data`. The upper bound of mu is widened where the limit lies above.
/// Groups run in parallel.
///
/// # Errors
/// If the question makes no sense, a fit fails, or there is no limit with all parameters.
pub fn limit_impacts<D: DataSet + Sync>(
    data: &D,
    interest: usize,
    settings: &FitSettings,
    asked: &LimitImpactSettings,
) -> Result<LimitImpacts, Error> {
    ensure(asked.level > 0.5 && asked.level < 1.0, || {
        format!("confidence level {} is not between 0.5 and 1", asked.level)
    })?;
    let likelihood = data.likelihood();
    for group in &asked.groups {
        check_group(&likelihood, interest, group)?;
    }
    let tests = Asymptotics::new(data, interest, 0.0, settings)?;
    let (tests, expected, widened) = tests.median_widened(asked.level)?;
    // with the bound that it needed, where that is a wider one by itself
    let without = |group: &Group| -> Result<(f64, Option<f64>), Error> {
        match asked.kind {
            ImpactKind::Frozen => {
                let at = |k: usize| tests.made_at[k];
                let limit = tests.median(asked.level, &held(settings, group, at))?;
                Ok((limit, None))
            }
            ImpactKind::Removed => {
                let nominal = |k: usize| likelihood.parameters()[k].nominal;
                let settings = held(settings, group, nominal);
                let tests = Asymptotics::new(data, interest, 0.0, &settings)?;
                let (_, limit, widened) = tests.median_widened(asked.level)?;
                Ok((limit, widened))
            }
        }
    };
    let found: Vec<_> = asked.groups.par_iter().map(without).collect();
    let bounds = found.iter().flatten().filter_map(|(_, widened)| *widened);
    let bound_widened = bounds.chain(widened).reduce(f64::max);
    let groups = asked.groups.iter().zip(found).map(|(group, found)| {
        let limit = found.map(|(limit, _)| limit);
        LimitImpact {
            name: group.name.clone(),
            relative: limit.as_ref().ok().map(|limit| 1.0 - limit / expected),
            limit,
        }
    });
    Ok(LimitImpacts {
        groups: groups.collect(),
        expected,
        bound_widened,
    })
}

impl Asymptotics {
    /// The median expected limit, with an upper bound of mu that is wide enough, and that bound
    /// where it is another than its own.
    fn median_widened(self, level: f64) -> Result<(Self, f64, Option<f64>), Error> {
        let (_, bound) = self.asimov.likelihood.parameters()[self.interest].bounds;
        let (mut tests, mut widened) = (self, None);
        for power in 1..=WIDENED {
            match tests.median(level, &tests.settings) {
                Err(Error::BeyondBounds { .. }) if bound > 0.0 => {
                    let wider = bound * 10.0_f64.powi(power);
                    tests = tests.widened(wider)?;
                    widened = Some(wider);
                }
                found => return Ok((tests, found?, widened)),
            }
        }
        let found = tests.median(level, &tests.settings)?;
        Ok((tests, found, widened))
    }

    /// The median expected limit, with more parameters fixed where Asimov data were made.
    fn median(&self, level: f64, settings: &FitSettings) -> Result<f64, Error> {
        let mut search = Search::new([&self.asimov], self.interest, settings)?;
        let none = self.asimov.best.point[self.interest];
        let [_, _, median, _, _] =
            search.expected(1.0 - level, [None, None, Some(none), None, None]);
        median
    }
}

/// The same settings with a group held; what is fixed already stays as it is.
fn held(settings: &FitSettings, group: &Group, at: impl Fn(usize) -> f64) -> FitSettings {
    let mut held = settings.clone();
    let free = group.parameters.iter().filter(|k| !settings.is_fixed(**k));
    held.fixed.extend(free.map(|k| (*k, at(*k))));
    held
}

fn check_group(likelihood: &Model, interest: usize, group: &Group) -> Result<(), Error> {
    let (parameters, name) = (likelihood.parameters(), &group.name);
    for &k in &group.parameters {
        ensure(k < parameters.len(), || {
            let count = parameters.len();
            format!("group `{name}` has parameter {k}; the likelihood has {count}")
        })?;
        ensure(k != interest, || {
            let mu = &parameters[k].name;
            format!("group `{name}` has the parameter of interest `{mu}`; take it out")
        })?;
    }
    Ok(())
}
