//! What the metrics of every method have in common.

use super::distributions::{Component, Variable};
use super::plan::Plan;
use super::sample::Sample;
use crate::closure::{Histogram, WeightSummary};
use crate::results::{LossSummary, METRICS_FORMAT, MemberSummary, Metrics, Verdict, YieldMetrics};
use crate::training::{History, Member, Outcome};
use indexmap::IndexMap;

/// The metrics of an ensemble, without those of its events.
pub(super) fn of_members(
    plan: &Plan,
    members: &[Member],
    failed: &[u32],
    replicas: usize,
) -> Metrics {
    let count = |outcome: Outcome| {
        let ended = members.iter().filter(|m| m.about.outcome == outcome);
        ended.count()
    };
    let epochs = members.iter().map(|m| m.about.history.validation.len());
    let epochs: usize = epochs.sum();
    Metrics {
        format: METRICS_FORMAT,
        experiment: plan.config.experiment.name.clone(),
        training_region: plan.config.training.region.clone(),
        training_yields: [0.0; 2],
        training_errors: [0.0; 2],
        support: None,
        verdict: Verdict::default(),
        members: MemberSummary {
            requested: plan.config.ensemble.members,
            usable: members.len(),
            replicas,
            failed: failed.to_vec(),
            converged: count(Outcome::Converged),
            epoch_limit: count(Outcome::EpochLimit),
            mean_epochs: epochs as f64 / members.len().max(1) as f64,
        },
        loss: loss_summary(members),
        losses: plan.samples.iter().map(|s| s.losses.clone()).collect(),
        regions: IndexMap::new(),
        planes: IndexMap::new(),
        interpolation: None,
    }
}

fn loss_summary(members: &[Member]) -> LossSummary {
    let at_best = |pick: fn(&History) -> &[f64]| -> Vec<f64> {
        let histories = members.iter().map(|m| &m.about.history);
        let losses = histories.filter_map(|h| pick(h).get(h.best_epoch).copied());
        losses.collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let validation = at_best(|h| &h.validation);
    LossSummary {
        validation_mean: mean(&validation),
        validation_spread: relative_spread(&validation) * mean(&validation),
        training_mean: mean(&at_best(|h| &h.training)),
    }
}

/// Standard deviation over mean; 0 where there is none.
pub(super) fn relative_spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 || mean == 0.0 {
        return 0.0;
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    variance.sqrt() / mean
}

/// Observation and prediction of a region, with the errors that its events have in common.
pub(super) fn yields(
    observed: Option<WeightSummary>,
    [after, after_stat]: [f64; 2],
    components: &[Component],
) -> YieldMetrics {
    let variances = components.iter().map(|c| c.covariance(&[after])[0][0]);
    let variances: Vec<f64> = variances.collect();
    let component = |(c, variance): (&Component, &f64)| (c.name.to_string(), variance.sqrt());
    YieldMetrics {
        observed: observed.map(|o| o.sum),
        observed_error: observed.map(|o| o.error),
        after,
        after_stat,
        after_spread: variances.iter().sum::<f64>().sqrt(),
        components: components.iter().zip(&variances).map(component).collect(),
        ..YieldMetrics::default()
    }
}

/// A variable of an event by its row, in the user's units.
pub(super) fn values<'a>(
    plan: &Plan,
    sample: &'a Sample,
    variable: &'a Variable,
) -> Box<dyn Fn(usize) -> f64 + 'a> {
    let name = &variable.name;
    let mut inputs = plan.scaling.expressions.iter();
    match inputs.position(|e| variable.is_input && e == name) {
        Some(k) => Box::new(sample.feature(k, name)),
        None => {
            let column = sample.column(name).filter(|_| !variable.is_input);
            Box::new(move |row| column.map_or(f64::NAN, |values| values[row]))
        }
    }
}

/// The observed events of a distribution, from their rows.
pub(super) fn observed(plan: &Plan, variable: &Variable, rows: &[usize]) -> Histogram {
    let target = plan.target();
    let mut histogram = Histogram::new(variable.edges.bins());
    let value = values(plan, target, variable);
    for row in rows {
        if let Some(bin) = variable.edges.find(value(*row)) {
            histogram.fill(bin, target.table.weights[*row]);
        }
    }
    histogram
}
