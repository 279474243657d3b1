//! Limits with single replicas of a background in its place: a check of the parameters that are
//! made of all of them, and no result.

use super::super::backgrounds::Replicas;
use super::super::events::step;
use super::super::limits::HistogramData;
use super::super::model::{Analysis, HistogramRequest};
use super::super::plan::Plan;
use super::super::result::ReplicaLimits;
use crate::settings::LimitConfig;
use crate::statistics::quantile;
use crate::training::Interrupt;
use rayon::prelude::*;
use sideband_likelihood::asymptotic::{Asymptotics, LimitSettings};

/// Most replicas of a background that limits are found with, evenly taken of all.
const MOST: usize = 200;
/// The quantiles of the limits that are told: the median, and 68 % about it.
const QUANTILES: [f64; 3] = [0.16, 0.5, 0.84];

impl Replicas {
    /// The plan with one of them in the place of the background, and without the parameters for
    /// their differences.
    fn plan(&self, plan: &Plan, replica: &[f64]) -> Plan {
        let mut plan = plan.clone();
        let sample = &self.sample;
        plan.varied
            .retain(|(name, process), _| process != sample || !self.retraining.contains(name));
        let Some(own) = plan.processes.iter_mut().find(|p| p.name == *sample) else {
            return plan;
        };
        let (mut contents, mut variances) = (replica, self.variances.as_slice());
        // what the others shift stays as it is
        let mut moved = Vec::with_capacity(own.templates.len());
        for template in &mut own.templates {
            let bins = template.contents.len();
            let (first, rest) = contents.split_at(bins);
            let (first_variances, rest_variances) = variances.split_at(bins);
            let by = first.iter().zip(&template.contents);
            moved.push(by.map(|(new, old)| new - old).collect::<Vec<f64>>());
            template.contents = first.to_vec();
            template.variances = first_variances.to_vec();
            (contents, variances) = (rest, rest_variances);
        }
        let varied = plan.varied.iter_mut().filter(|((_, p), _)| p == sample);
        let sides = varied.filter_map(|(_, varied)| varied.templates.as_mut());
        for side in sides.flatten() {
            for (template, moved) in side.iter_mut().zip(&moved) {
                let bins = template.contents.iter_mut().zip(moved);
                bins.for_each(|(bin, by)| *bin += by);
            }
        }
        plan
    }

    /// The limits; none if it was interrupted.
    pub(super) fn limits(
        &self,
        analysis: Analysis<'_>,
        asked: &[HistogramRequest],
        (config, is_observed): (&LimitConfig, bool),
        interrupt: &Interrupt,
    ) -> Option<ReplicaLimits> {
        let bins = self.variances.len().max(1);
        let all: Vec<&[f64]> = self.contents.chunks_exact(bins).collect();
        let taken = all.iter().step_by(step(all.len(), MOST));
        let taken: Vec<&[f64]> = taken.copied().collect();
        let place = analysis.limited(config)?;
        let settings = LimitSettings {
            level: config.confidence_level,
            statistic: config.test_stat.into(),
            strict_bounds: false,
        };
        let limits = |replica: &&[f64]| {
            if interrupt.is_raised() {
                return None;
            }
            let plan = self.plan(analysis.plan, replica);
            let analysis = Analysis {
                plan: &plan,
                ..analysis
            };
            let data = HistogramData {
                model: analysis.with_data(asked, config, is_observed).ok()?,
                prior: analysis.parameters.prior.clone(),
            };
            let tests = Asymptotics::new(&data, place, 0.0, &analysis.settings()).ok()?;
            let limits = tests.limits_with(&settings).ok()?;
            let [_, _, median, _, _] = limits.expected;
            Some((median.ok()?, limits.observed.ok()))
        };
        let found: Vec<Option<(f64, Option<f64>)>> = taken.par_iter().map(limits).collect();
        if interrupt.is_raised() {
            return None;
        }
        let expected = found.iter().flatten().map(|(median, _)| *median);
        let observed = found.iter().flatten().filter_map(|(_, observed)| *observed);
        Some(ReplicaLimits {
            sample: self.sample.clone(),
            replicas: taken.len(),
            failed: found.iter().filter(|found| found.is_none()).count(),
            expected: quantiles(expected),
            observed: quantiles(observed.filter(|_| is_observed)),
        })
    }
}

/// None without any.
fn quantiles(limits: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut limits: Vec<f64> = limits.collect();
    limits.sort_by(f64::total_cmp);
    (!limits.is_empty()).then(|| QUANTILES.map(|share| quantile(&limits, share)))
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::{ProcessPlan, VariedPlan};
    use super::super::super::samples::Template;
    use super::*;

    fn templates(contents: [f64; 3]) -> Vec<Template> {
        let template = |bins: &[f64]| Template {
            contents: bins.to_vec(),
            variances: vec![9.0; bins.len()],
        };
        vec![template(&contents[..2]), template(&contents[2..])]
    }

    #[test]
    fn a_replica_moves_the_shifts_of_others_with_it() {
        let shifted = |down: [f64; 3], up: [f64; 3]| VariedPlan {
            templates: Some([templates(down), templates(up)]),
            is_additive: true,
            ..VariedPlan::of_rates([1.0, 1.0])
        };
        let mut plan = Plan::default();
        for name in ["a", "b"] {
            plan.processes.push(ProcessPlan {
                name: name.to_owned(),
                sum: 60.0,
                sum_error: 1.0,
                events: 60,
                scale: 1.0,
                templates: templates([10.0, 20.0, 30.0]),
                is_statistical: true,
                is_measured: true,
            });
        }
        for (name, process) in [("a_retraining_1", "a"), ("cr", "a"), ("cr", "b")] {
            let effect = shifted([9.0, 19.0, 29.0], [11.0, 21.0, 31.0]);
            let key = (name.to_owned(), process.to_owned());
            plan.varied.insert(key, effect);
        }
        let replicas = Replicas {
            sample: "a".to_owned(),
            contents: Vec::new(),
            variances: vec![1.0, 2.0, 3.0],
            retraining: vec!["a_retraining_1".to_owned()],
        };
        let found = replicas.plan(&plan, &[12.0, 20.0, 27.0]);
        let contents = |templates: &[Template]| -> Vec<f64> {
            let bins = templates.iter().flat_map(|t| t.contents.clone());
            bins.collect()
        };
        let own = &found.processes[0].templates;
        assert_eq!(contents(own), [12.0, 20.0, 27.0]);
        assert_eq!(own[1].variances, [3.0]);
        assert_eq!(contents(&found.processes[1].templates), [10.0, 20.0, 30.0]);
        assert_eq!(found.varied.len(), 2);
        let sides = |process: &str| {
            let key = ("cr".to_owned(), process.to_owned());
            let [down, up] = found.varied[&key].templates.clone().unwrap();
            [contents(&down), contents(&up)]
        };
        assert_eq!(sides("a"), [[11.0, 19.0, 26.0], [13.0, 21.0, 28.0]]);
        assert_eq!(sides("b"), [[9.0, 19.0, 29.0], [11.0, 21.0, 31.0]]);
    }
}
