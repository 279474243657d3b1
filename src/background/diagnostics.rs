//! From the events' weights to every number of `metrics.json`.

use super::Workbench;
use super::apply::{Applier, ApplyError, Combiner, Predicted, training_errors, yields};
use super::classifier::{Class, ClassifierError, closure_auc};
use super::closure::{Component, compare};
use super::metrics::{
    AucPair, LossSummary, METRICS_FORMAT, MemberSummary, Metrics, PlaneMetrics, RegionMetrics,
    VariableMetrics, YieldMetrics,
};
use super::plan::Plan;
use super::replicas::Replicas;
use super::variables::Variable;
use crate::config::{Config, PlaneConfig};
use crate::data::{EventTable, HIDDEN};
use crate::ensemble::{Member, Outcome};
use crate::stats::{Edges, EnsembleHistogram, Histogram, WeightSummary, calibration};
use indexmap::IndexMap;

const CALIBRATION_BINS: usize = 12;

/// What the reweighted source adds up to, filled event by event.
pub(super) struct Accumulator<'a> {
    plan: &'a Plan,
    replicas: &'a Replicas,
    /// Factor that scales the source as a whole to the target.
    before_factor: f64,
    /// Nominal weight of every source event.
    pub nominal: Vec<f64>,
    regions: Vec<RegionSums>,
    planes: Vec<PlaneSums>,
}

/// The prediction in a plane.
struct PlaneSums {
    x: Edges,
    y: Edges,
    sums: Histogram,
    /// Weight that lies in none of the bins.
    outside: f64,
}

struct RegionSums {
    variables: Vec<(Histogram, Histogram, EnsembleHistogram)>,
    total: EnsembleHistogram,
    raw: Vec<f64>,
}

/// Whether an event enters the diagnostics: of the events in the training region
/// only those that no member, or with folds not every member, has seen.
fn enters(plan: &Plan, table: &EventTable, row: usize) -> bool {
    table.flags[row] >> plan.training_region() & 1 == 0
        || plan
            .settings
            .split
            .is_diagnostic(plan.streams, table.ids.key(row))
}

impl<'a> Accumulator<'a> {
    pub(super) fn new(plan: &'a Plan, replicas: &'a Replicas) -> Self {
        let regions = plan
            .regions()
            .map(|_| RegionSums {
                variables: plan
                    .variables
                    .iter()
                    .map(|v| {
                        let bins = v.edges.bins();
                        (
                            Histogram::new(bins),
                            Histogram::new(bins),
                            EnsembleHistogram::new(replicas.len(), bins),
                        )
                    })
                    .collect(),
                total: EnsembleHistogram::new(replicas.len(), 1),
                raw: vec![0.0; replicas.len()],
            })
            .collect();
        let planes = plan
            .config
            .report
            .planes
            .iter()
            .filter_map(|p| {
                let x = Edges::uniform(p.bins, p.x_range[0], p.x_range[1]).ok()?;
                let y = Edges::uniform(p.bins, p.y_range[0], p.y_range[1]).ok()?;
                Some(PlaneSums {
                    x,
                    y,
                    sums: Histogram::new(p.bins * p.bins),
                    outside: 0.0,
                })
            })
            .collect();
        let [source, target] = yields(plan);
        Self {
            plan,
            replicas,
            before_factor: target / source,
            nominal: Vec::with_capacity(plan.source.table.len()),
            regions,
            planes,
        }
    }

    /// Adds the next source event: its nominal weight, the replicas' weights,
    /// and the replicas' weights without the members' normalisation.
    pub(super) fn push(&mut self, event: Predicted, replicas: &[f64], raw: &[f64]) {
        let plan = self.plan;
        let row = self.nominal.len();
        let table = &plan.source.table;
        self.nominal.push(event.nominal);
        let before = table.weights[row] * self.before_factor;
        let shown = enters(plan, table, row);
        for (region, sums) in self.regions.iter_mut().enumerate().filter(|_| shown) {
            if table.flags[row] >> region & 1 == 0 {
                continue;
            }
            for (r, weight) in replicas.iter().enumerate() {
                sums.total.fill(r, 0, *weight);
                sums.raw[r] += raw[r];
            }
            for (variable, (old, new, members)) in plan.variables.iter().zip(&mut sums.variables) {
                let Some(bin) = variable
                    .edges
                    .find(value(plan, &plan.source, variable, row))
                else {
                    continue;
                };
                old.fill(bin, before);
                new.fill(bin, event.nominal);
                for (r, weight) in replicas.iter().enumerate() {
                    members.fill(r, bin, *weight);
                }
            }
        }
        for (config, plane) in plan.config.report.planes.iter().zip(&mut self.planes) {
            match plane_bin(&plan.source, config, &plane.x, &plane.y, row) {
                Some(bin) => plane.sums.fill(bin, event.nominal),
                None => plane.outside += event.nominal,
            }
        }
    }

    /// All numbers, once every source event has been added.
    pub(super) fn metrics(
        self,
        members: &[Member],
        failed: &[u32],
        applier: &Applier,
        bench: Workbench<'_>,
    ) -> Result<Metrics, ClassifierError> {
        let plan = self.plan;
        let target_ratios = self.target_ratios(applier)?;
        let mut regions = IndexMap::new();
        for ((index, name, label, shown), sums) in plan.regions().zip(&self.regions) {
            let source_rows: Vec<usize> = plan
                .source
                .in_region(index)
                .filter(|i| enters(plan, &plan.source.table, *i))
                .collect();
            let target_rows: Vec<usize> = plan
                .target
                .in_region(index)
                .filter(|i| enters(plan, &plan.target.table, *i))
                .collect();
            let target = shown.then_some(target_rows.as_slice());
            let mut region = self.region(index, label, sums, &source_rows, target);
            if let Some(target_rows) = target {
                region.calibration = self.calibration(&source_rows, target_rows, &target_ratios);
                if plan.config.report.classifier_members > 0 {
                    (bench.say)(&format!("classifier of source against target in {name}"));
                    region.auc = self.auc_pair(name, &source_rows, target_rows, bench)?;
                }
            }
            regions.insert(name.to_owned(), region);
        }
        Ok(Metrics {
            format: METRICS_FORMAT,
            experiment: plan.config.experiment.name.clone(),
            training_region: plan.config.training.region.clone(),
            training_yields: yields(plan),
            training_errors: training_errors(plan),
            members: member_summary(&plan.config, members, failed, self.replicas.len()),
            loss: loss_summary(members),
            losses: vec![plan.source.losses.clone(), plan.target.losses.clone()],
            regions,
            planes: self.planes(),
            interpolation: None,
        })
    }

    /// Nominal weight per unit input weight of every target event.
    fn target_ratios(&self, applier: &Applier) -> Result<Vec<f64>, ApplyError> {
        let plan = self.plan;
        let table = &plan.target.table;
        let trained = plan.training_region();
        let mut combiner = Combiner::new(self.replicas, plan.config.ensemble.combine);
        let mut ratios = Vec::with_capacity(table.len());
        applier.for_each(&table.features, |row, members| {
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(members, table.ids.key(row), in_training);
            ratios.push(event.nominal);
            Ok::<(), ApplyError>(())
        })?;
        Ok(ratios)
    }

    fn region(
        &self,
        index: usize,
        label: &str,
        sums: &RegionSums,
        source_rows: &[usize],
        target: Option<&[usize]>,
    ) -> RegionMetrics {
        let plan = self.plan;
        let nominal = || source_rows.iter().map(|i| self.nominal[*i]);
        let weights = WeightSummary::of(nominal());
        let before = source_rows.iter();
        let before = before.map(|i| plan.source.table.weights[*i] * self.before_factor);
        let before = WeightSummary::of(before);
        let observed = target
            .map(|rows| WeightSummary::of(rows.iter().map(|i| plan.target.table.weights[*i])));
        let spread = sums.total.spread()[0];
        let mut yields = YieldMetrics {
            observed: observed.map(|o| o.sum),
            observed_error: observed.map(|o| o.error),
            before: Some(before.sum),
            before_stat: Some(before.error),
            after: weights.sum,
            after_stat: weights.error,
            after_spread: spread,
            components: [("members".to_owned(), spread)].into(),
            raw_relative_spread: relative_spread(&sums.raw),
            ratio: None,
            ratio_error: None,
        };
        if let Some(o) = observed.filter(|o| o.sum > 0.0 && weights.sum > 0.0) {
            let ratio = weights.sum / o.sum;
            let relative = (o.error / o.sum).powi(2)
                + (weights.error / weights.sum).powi(2)
                + (spread / weights.sum).powi(2);
            yields.ratio = Some(ratio);
            yields.ratio_error = Some(ratio * relative.sqrt());
        }
        let variables = plan
            .variables
            .iter()
            .zip(&sums.variables)
            .map(|(v, (old, new, members))| {
                let metrics = self.variable(v, old, new, members, target);
                (v.name.clone(), metrics)
            })
            .collect();
        RegionMetrics {
            label: label.to_owned(),
            trained: index == plan.training_region(),
            blind: target.is_none(),
            source_events: source_rows.len(),
            target_events: target.map(<[usize]>::len),
            yields,
            weights,
            weight_distribution: self.weight_distribution(source_rows),
            auc: None,
            calibration: Vec::new(),
            variables,
        }
    }

    /// Distribution of log10 of the nominal weight over the source's as a whole.
    fn weight_distribution(&self, rows: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let edges: Vec<f64> = (0..=60).map(|i| f64::from(i - 30) / 10.0).collect();
        let mut counts = vec![0.0; edges.len() - 1];
        for i in rows {
            let before = self.plan.source.table.weights[*i] * self.before_factor;
            let ratio = (self.nominal[*i] / before).log10();
            if ratio.is_finite() {
                let above = edges.partition_point(|edge| *edge <= ratio);
                let bin = above.saturating_sub(1).min(edges.len() - 2);
                counts[bin] += 1.0;
            }
        }
        (edges, counts)
    }

    fn variable(
        &self,
        variable: &Variable,
        old: &Histogram,
        new: &Histogram,
        members: &EnsembleHistogram,
        target: Option<&[usize]>,
    ) -> VariableMetrics {
        let plan = self.plan;
        let observed = target.map(|rows| {
            let mut h = Histogram::new(variable.edges.bins());
            for row in rows {
                if let Some(bin) = variable
                    .edges
                    .find(value(plan, &plan.target, variable, *row))
                {
                    h.fill(bin, plan.target.table.weights[*row]);
                }
            }
            h
        });
        let components = [Component::members(members.clone())];
        compare(variable, Some(old), new, &components, observed)
    }

    /// Calibration of the ratio within a region, where it is normalised so that
    /// it integrates to one over the region's source.
    fn calibration(
        &self,
        source: &[usize],
        target: &[usize],
        target_ratios: &[f64],
    ) -> Vec<crate::stats::CalibrationPoint> {
        let weights = &self.plan.source.table.weights;
        let input: f64 = source.iter().map(|i| weights[*i]).sum();
        let after: f64 = source.iter().map(|i| self.nominal[*i]).sum();
        let shift = (input / after).ln();
        let of_source: Vec<(f64, f64)> = source
            .iter()
            .filter(|i| weights[**i] != 0.0)
            .map(|i| ((self.nominal[*i] / weights[*i]).ln() + shift, weights[*i]))
            .collect();
        let of_target: Vec<(f64, f64)> = target
            .iter()
            .map(|i| {
                (
                    target_ratios[*i].ln() + shift,
                    self.plan.target.table.weights[*i],
                )
            })
            .collect();
        calibration(&of_source, &of_target, CALIBRATION_BINS)
    }

    fn auc_pair(
        &self,
        name: &str,
        source: &[usize],
        target: &[usize],
        bench: Workbench<'_>,
    ) -> Result<Option<AucPair>, ClassifierError> {
        let plan = self.plan;
        let class = |rows: &[usize], table: &'a EventTable, weights: &[f64]| Class {
            features: rows
                .iter()
                .map(|i| &table.features[i * table.n_features..(i + 1) * table.n_features])
                .collect(),
            weights: rows.iter().map(|i| weights[*i]).collect(),
            keys: rows.iter().map(|i| table.ids.key(*i)).collect(),
        };
        let (source_table, target_table) = (&plan.source.table, &plan.target.table);
        let of_target = class(target, target_table, &target_table.weights);
        let run = |what: &str, weights: &[f64]| {
            closure_auc(
                plan,
                bench,
                &format!("closure/{name}/{what}"),
                &class(source, source_table, weights),
                &of_target,
            )
        };
        let before = run("before", &source_table.weights)?;
        let after = run("after", &self.nominal)?;
        Ok(before
            .zip(after)
            .map(|(before, after)| AucPair { before, after }))
    }

    fn planes(&self) -> IndexMap<String, PlaneMetrics> {
        let plan = self.plan;
        let hidden = if plan.blinding.is_closed() { HIDDEN } else { 0 };
        plan.config
            .report
            .planes
            .iter()
            .zip(&self.planes)
            .map(|(config, plane)| {
                let (x, y, predicted) = (&plane.x, &plane.y, &plane.sums);
                let mut observed = Histogram::new(predicted.values.len());
                let mut outside = 0.0;
                for row in 0..plan.target.table.len() {
                    let weight = plan.target.table.weights[row];
                    match plane_bin(&plan.target, config, x, y, row) {
                        Some(bin) => observed.fill(bin, weight),
                        None => outside += weight,
                    }
                }
                // no pull where blinded events are predicted but not shown
                let mut blinded = vec![false; predicted.values.len()];
                for (row, flags) in plan.source.table.flags.iter().enumerate() {
                    if flags & hidden != 0
                        && let Some(bin) = plane_bin(&plan.source, config, x, y, row)
                    {
                        blinded[bin] = true;
                    }
                }
                let pull = (0..predicted.values.len())
                    .map(|b| {
                        let variance = observed.variances[b] + predicted.variances[b];
                        let pull = (observed.values[b] - predicted.values[b]) / variance.sqrt();
                        (pull.is_finite() && !blinded[b]).then_some(pull)
                    })
                    .collect::<Vec<_>>();
                let label =
                    |own: &Option<String>, text: &String| own.as_ref().unwrap_or(text).clone();
                let metrics = PlaneMetrics {
                    labels: [
                        label(&config.x_label, &config.x),
                        label(&config.y_label, &config.y),
                    ],
                    x_edges: x.values().to_vec(),
                    y_edges: y.values().to_vec(),
                    observed: rows(&observed.values, config.bins),
                    predicted: rows(&predicted.values, config.bins),
                    pull: rows(&pull, config.bins),
                    outside: [outside, plane.outside],
                    hh_borders: config.hh_borders,
                };
                (config.name.clone(), metrics)
            })
            .collect()
    }
}

fn rows<T: Clone>(flat: &[T], width: usize) -> Vec<Vec<T>> {
    flat.chunks(width).map(<[T]>::to_vec).collect()
}

fn relative_spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return 0.0;
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    variance.sqrt() / mean
}

/// A variable of an event, in the user's units.
fn value(plan: &Plan, sample: &super::Sample, variable: &Variable, row: usize) -> f64 {
    if !variable.is_input {
        return sample
            .column(&variable.name)
            .map_or(f64::NAN, |values| values[row]);
    }
    let Some(k) = plan
        .scaling
        .expressions
        .iter()
        .position(|e| *e == variable.name)
    else {
        return f64::NAN;
    };
    sample.feature(k, &variable.name).at(row)
}

fn plane_bin(
    sample: &super::Sample,
    config: &PlaneConfig,
    x: &Edges,
    y: &Edges,
    row: usize,
) -> Option<usize> {
    let at = |axis: &str, edges: &Edges| {
        let value = sample.column(&format!("{}:{axis}", config.name))?[row];
        let (low, high) = (edges.values()[0], edges.values()[edges.bins()]);
        (low..=high).contains(&value).then(|| edges.find(value))?
    };
    Some(at("x", x)? * config.bins + at("y", y)?)
}

pub(super) fn member_summary(
    config: &Config,
    members: &[Member],
    failed: &[u32],
    replicas: usize,
) -> MemberSummary {
    let count = |outcome: Outcome| {
        members
            .iter()
            .filter(|m| m.about.outcome == outcome)
            .count()
    };
    let epochs: usize = members
        .iter()
        .map(|m| m.about.history.validation.len())
        .sum();
    MemberSummary {
        requested: config.ensemble.members,
        usable: members.len(),
        replicas,
        failed: failed.to_vec(),
        converged: count(Outcome::Converged),
        epoch_limit: count(Outcome::EpochLimit),
        mean_epochs: epochs as f64 / members.len().max(1) as f64,
    }
}

pub(super) fn loss_summary(members: &[Member]) -> LossSummary {
    let at_best = |pick: fn(&crate::ensemble::History) -> &[f64]| -> Vec<f64> {
        members
            .iter()
            .filter_map(|m| {
                let history = &m.about.history;
                pick(history).get(history.best_epoch).copied()
            })
            .collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let validation = at_best(|h| &h.validation);
    LossSummary {
        validation_mean: mean(&validation),
        validation_spread: relative_spread(&validation) * mean(&validation),
        training_mean: mean(&at_best(|h| &h.training)),
    }
}
