//! Impacts of nuisance parameters on those of interest.

use super::analyse::no_fit;
use super::model::Analysis;
use super::result::{ErrorSource, FitResult, ImpactResult, ImpactsResult};
use crate::error::Result;
use indexmap::IndexMap;
use sideband_likelihood::Likelihood;
use sideband_likelihood::fit::{End, Fit, Group, ImpactSettings, Impacts, State, impacts, minos};

impl Analysis<'_> {
    /// Impacts on all parameters of interest that are measured, in their own units.
    /// `found`: what is known of the parameters.
    pub(super) fn impacts(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        found: &FitResult,
    ) -> Result<IndexMap<String, ImpactsResult>> {
        let parameters = likelihood.parameters();
        let mut interest = self.interest();
        interest.retain(|place| {
            let is_measured = found.parameters[*place].not_measured.is_none();
            let state = best.states[*place];
            is_measured && !matches!(state, State::Fixed | State::Unmeasured)
        });
        if interest.is_empty() {
            return Ok(IndexMap::new());
        }
        let asked = ImpactSettings {
            interest,
            groups: self.groups(parameters.len()),
            refit: true,
        };
        let refits = self.from(best);
        let impacts = impacts(likelihood, &refits, best, &asked).map_err(no_fit)?;
        let mut all = IndexMap::new();
        for of in &impacts {
            let result = match self.hessian_error(best, of.parameter) {
                Some(_) => self.by_hessian(likelihood, best, of),
                None => self.by_profile(likelihood, best, (of, &asked.groups), found),
            };
            all.insert(parameters[of.parameter].name.clone(), result);
        }
        Ok(all)
    }

    /// The ranking in units of the parameter of interest; `unit`: a small change of its
    /// coordinate in them, none where a small change says nothing.
    fn ranking(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        of: &Impacts,
        unit: Option<f64>,
    ) -> Vec<ImpactResult> {
        let (place, at) = (of.parameter, best.point[of.parameter]);
        let moved = |x: f64| self.reported(place, at + x) - self.reported(place, at);
        let small = |x: Option<f64>| Some(unit? * x?);
        let ranking = of.ranking.iter().map(|impact| ImpactResult {
            name: likelihood.parameters()[impact.parameter].name.clone(),
            post_fit: small(impact.post_fit),
            unprofiled: small(impact.unprofiled),
            pre_fit: small(impact.pre_fit),
            refit: impact.refit.map(|shift| shift.map(moved)),
        });
        ranking.collect()
    }

    fn by_hessian(&self, likelihood: &dyn Likelihood, best: &Fit, of: &Impacts) -> ImpactsResult {
        let unit = self
            .parameters
            .error(of.parameter, best.point[of.parameter], 1.0);
        let groups = of.groups.iter();
        ImpactsResult {
            from: ErrorSource::Hessian,
            error: of.error.map(|x| unit * x),
            statistical: of.statistical.map(|x| unit * x),
            ranking: self.ranking(likelihood, best, of, Some(unit)),
            groups: groups
                .map(|g| (g.name.clone(), g.impact.map(|x| unit * x)))
                .collect(),
        }
    }

    /// Errors from the profile, on the side where there is one: those of a parameter on a
    /// bound.
    fn by_profile(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        (of, groups): (&Impacts, &[Group]),
        found: &FitResult,
    ) -> ImpactsResult {
        let parameter = &found.parameters[of.parameter];
        let (from, direction, error) = match (parameter.error_up, parameter.error_down) {
            (None, Some(down)) => (ErrorSource::ProfileDown, -1.0, Some(down)),
            (up, _) => (ErrorSource::ProfileUp, 1.0, up),
        };
        let side = (of.parameter, direction);
        let without = |frozen: &[usize]| self.one_sided(likelihood, best, side, frozen);
        let nuisances: Vec<usize> = of.ranking.iter().map(|i| i.parameter).collect();
        let impact = |group: &Group| {
            let (error, frozen) = error.zip(without(&group.parameters))?;
            Some((error * error - frozen * frozen).max(0.0).sqrt())
        };
        ImpactsResult {
            from,
            error,
            statistical: without(&nuisances),
            ranking: self.ranking(likelihood, best, of, None),
            groups: groups.iter().map(|g| (g.name.clone(), impact(g))).collect(),
        }
    }

    /// Groups of the configuration, and the statistical errors of bins.
    fn groups(&self, parameters: usize) -> Vec<Group> {
        let mut groups: IndexMap<String, Vec<usize>> = IndexMap::new();
        for (name, systematic) in &self.measurement.systematics {
            if let (Some(group), Some(place)) = (&systematic.group, self.parameters.place(name)) {
                groups.entry(group.clone()).or_default().push(place);
            }
        }
        let bins: Vec<usize> = (self.parameters.list.len()..parameters).collect();
        if !bins.is_empty() {
            groups.insert("statistics of the simulation".to_owned(), bins);
        }
        let group = |(name, parameters)| Group { name, parameters };
        groups.into_iter().map(group).collect()
    }

    /// Distance to where t = 1 on one side (-1 or 1) with some parameters at their best
    /// fit; none where the bound comes before, or the search fails.
    pub(super) fn one_sided(
        &self,
        likelihood: &dyn Likelihood,
        best: &Fit,
        (place, direction): (usize, f64),
        frozen: &[usize],
    ) -> Option<f64> {
        let fixed = frozen.iter().filter(|k| !self.from(best).is_fixed(**k));
        let settings = fixed.fold(self.from(best), |settings, k| {
            settings.with_fixed(*k, best.point[*k])
        });
        let found = minos(likelihood, &settings, best, place, 1.0).ok()?;
        let end = if direction < 0.0 {
            found.lower
        } else {
            found.upper
        };
        match end {
            End::Crossing(x) => {
                let value = self.reported(place, best.point[place]);
                Some((self.reported(place, x) - value).abs())
            }
            End::Bound(_) | End::NotFound { .. } => None,
        }
    }
}
