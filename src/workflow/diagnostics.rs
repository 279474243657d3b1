//! From the events' weights to every number of `metrics.json`.

use super::Workbench;
use super::apply::{Applier, Combiner, Predicted, training_errors, yields};
use super::classifier::{Class, closure_auc};
use super::closure::{Component, Correlations, compare_correlated};
use super::normalisation::{Normalisation, SharedBins};
use super::plan::Plan;
use super::replicas::Replicas;
use super::support::count;
use super::variables::Variable;
use crate::closure::{EnsembleHistogram, Histogram, WeightSummary, calibration};
use crate::error::Result;
use crate::events::{EventTable, HIDDEN};
use crate::results::{
    AucPair, LossSummary, METRICS_FORMAT, MemberSummary, Metrics, PlaneMetrics, RegionMetrics,
    VariableMetrics, YieldMetrics,
};
use crate::results::{OutsideMetrics, Support};
use crate::results::{Verdict, yield_test};
use crate::settings::{Config, PlaneConfig};
use crate::training::{Member, Outcome};
use indexmap::IndexMap;
use sideband_numerics::Edges;

const CALIBRATION_BINS: usize = 12;
/// Share of the target's yield in the training region above which a region's own events
/// fix its prediction: out of fold, all of them do.
const FIXED: f64 = 0.5;

/// What the reweighted source adds up to, filled event by event.
pub(super) struct Accumulator<'a> {
    plan: &'a Plan,
    replicas: &'a Replicas,
    /// Factor that scales the source as a whole to the target.
    before_factor: f64,
    /// Nominal weight of every source event.
    pub nominal: Vec<f64>,
    training: TrainingSums,
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

/// What the training region's source events add up to.
struct TrainingSums {
    /// Squared nominal weights, and squared weights scaled as a whole.
    squares: [f64; 2],
    /// How often each replica's resampling has an event; empty without bootstrap.
    resamplings: Vec<Box<dyn Fn(u64) -> u8>>,
    /// Each replica's weights, as they are and resampled.
    sums: Vec<[f64; 2]>,
}

impl TrainingSums {
    fn new(plan: &Plan, replicas: &Replicas) -> Self {
        let resamplings = if plan.settings.bootstrap && replicas.len() > 1 {
            replicas.resamplings()
        } else {
            Vec::new()
        };
        Self {
            squares: [0.0; 2],
            sums: vec![[0.0; 2]; resamplings.len()],
            resamplings,
        }
    }

    fn push(&mut self, key: u64, nominal: f64, before: f64, replicas: &[f64]) {
        self.squares[0] += nominal * nominal;
        self.squares[1] += before * before;
        let pairs = self.resamplings.iter().zip(replicas);
        for ((times, weight), sum) in pairs.zip(&mut self.sums) {
            sum[0] += weight;
            sum[1] += weight * f64::from(times(key));
        }
    }
}

struct RegionSums {
    variables: Vec<VariableSums>,
    total: EnsembleHistogram,
    raw: Vec<f64>,
}

struct VariableSums {
    before: Histogram,
    after: Histogram,
    members: EnsembleHistogram,
    shared: SharedBins,
}

impl VariableSums {
    fn new(bins: usize, replicas: usize) -> Self {
        Self {
            before: Histogram::new(bins),
            after: Histogram::new(bins),
            members: EnsembleHistogram::new(replicas, bins),
            shared: SharedBins {
                observed: vec![0.0; bins],
                after: vec![0.0; bins],
                before: vec![0.0; bins],
            },
        }
    }
}

/// How a region hangs together with the training region.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Overlap {
    /// No event is in both.
    None,
    /// Some events are in both.
    Some,
    /// The region's own events fix the normalisation.
    Fixed,
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
                    .map(|v| VariableSums::new(v.edges.bins(), replicas.len()))
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
            training: TrainingSums::new(plan, replicas),
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
        let in_training = table.flags[row] >> plan.training_region() & 1 == 1;
        if in_training {
            let key = table.ids.key(row);
            self.training.push(key, event.nominal, before, replicas);
        }
        let shown = enters(plan, table, row);
        for (region, sums) in self.regions.iter_mut().enumerate().filter(|_| shown) {
            if table.flags[row] >> region & 1 == 0 {
                continue;
            }
            for (r, weight) in replicas.iter().enumerate() {
                sums.total.fill(r, 0, *weight);
                sums.raw[r] += raw[r];
            }
            for (variable, sums) in plan.variables.iter().zip(&mut sums.variables) {
                let Some(bin) = variable
                    .edges
                    .find(value(plan, &plan.source, variable, row))
                else {
                    continue;
                };
                sums.before.fill(bin, before);
                sums.after.fill(bin, event.nominal);
                if in_training {
                    sums.shared.after[bin] += event.nominal * event.nominal;
                    sums.shared.before[bin] += before * before;
                }
                for (r, weight) in replicas.iter().enumerate() {
                    sums.members.fill(r, bin, *weight);
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
    ) -> Result<Metrics> {
        let plan = self.plan;
        let normalisation = self.normalisation();
        let support = Support::of(plan);
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
            let mut region = self.region(index, label, sums, &normalisation, &source_rows, target);
            region.outside = count(
                &support,
                source_rows.iter().map(|i| {
                    let weight = plan.source.table.weights[*i];
                    (plan.source.features(*i), weight, self.nominal[*i])
                }),
            );
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
            support: Some(support),
            verdict: Verdict::default(),
            members: member_summary(&plan.config, members, failed, self.replicas.len()),
            loss: loss_summary(members),
            losses: vec![plan.source.losses.clone(), plan.target.losses.clone()],
            regions,
            planes: self.planes(),
            interpolation: None,
        })
    }

    /// Nominal weight per unit input weight of every target event.
    fn target_ratios(&self, applier: &Applier) -> Result<Vec<f64>> {
        let plan = self.plan;
        let table = &plan.target.table;
        let trained = plan.training_region();
        let mut combiner = Combiner::new(self.replicas, plan.config.ensemble.combine);
        let mut ratios = Vec::with_capacity(table.len());
        applier.for_each(&table.features, |row, members| {
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(members, table.ids.key(row), in_training);
            ratios.push(event.nominal);
            Ok(())
        })?;
        Ok(ratios)
    }

    /// Counting errors of the training region, with every source event added.
    fn normalisation(&self) -> Normalisation {
        let plan = self.plan;
        let [source, target] = shares(plan);
        let [_, target_error] = training_errors(plan);
        let [_, total] = yields(plan);
        let factor = |[weights, resampled]: &[f64; 2]| {
            // of the events in memory, a share of all
            1.0 + source.sqrt() * (weights / resampled - 1.0)
        };
        let sums = &self.training.sums;
        let is_sound = sums.iter().all(|[a, b]| *a > 0.0 && *b > 0.0);
        Normalisation {
            target: total,
            target_variance: target_error * target_error,
            source_variance: source * self.training.squares[0],
            before_variance: source * self.training.squares[1],
            shares: [source, target],
            factors: (is_sound && !sums.is_empty()).then(|| sums.iter().map(factor).collect()),
        }
    }

    /// How a region's shown events hang together with the training region's.
    fn overlap(&self, source_rows: &[usize], target: Option<&[usize]>, total: f64) -> Overlap {
        let plan = self.plan;
        let is_trained =
            |table: &EventTable, i: usize| table.flags[i] >> plan.training_region() & 1 == 1;
        let shared = source_rows
            .iter()
            .filter(|i| is_trained(&plan.source.table, **i));
        let weight: f64 = shared.clone().map(|i| self.nominal[*i]).sum();
        let mut observed = target.into_iter().flatten();
        let is_apart = shared.count() == 0 && !observed.any(|i| is_trained(&plan.target.table, *i));
        if is_apart {
            Overlap::None
        } else if weight > FIXED * total {
            Overlap::Fixed
        } else {
            Overlap::Some
        }
    }

    fn region(
        &self,
        index: usize,
        label: &str,
        sums: &RegionSums,
        normalisation: &Normalisation,
        source_rows: &[usize],
        target: Option<&[usize]>,
    ) -> RegionMetrics {
        let plan = self.plan;
        let overlap = self.overlap(source_rows, target, normalisation.target);
        let weights = WeightSummary::of(source_rows.iter().map(|i| self.nominal[*i]));
        let yields = self.yields(sums, normalisation, overlap, &weights, source_rows, target);
        let variables = plan
            .variables
            .iter()
            .zip(&sums.variables)
            .map(|(v, sums)| {
                let metrics = self.variable(v, sums, normalisation, overlap, target);
                (v.name.clone(), metrics)
            })
            .collect();
        RegionMetrics {
            label: label.to_owned(),
            trained: index == plan.training_region(),
            blind: target.is_none(),
            source_events: source_rows.len(),
            target_events: target.map(<[usize]>::len),
            outside: OutsideMetrics::default(),
            verdict: Verdict::default(),
            yields,
            weights,
            weight_distribution: self.weight_distribution(source_rows),
            auc: None,
            calibration: Vec::new(),
            variables,
        }
    }

    fn yields(
        &self,
        sums: &RegionSums,
        normalisation: &Normalisation,
        overlap: Overlap,
        weights: &WeightSummary,
        source_rows: &[usize],
        target: Option<&[usize]>,
    ) -> YieldMetrics {
        let plan = self.plan;
        let trained = plan.training_region();
        let squares = |table: &EventTable, rows: &[usize], weights: &[f64]| -> f64 {
            let shared = rows.iter().filter(|i| table.flags[**i] >> trained & 1 == 1);
            shared.map(|i| weights[*i].powi(2)).sum()
        };
        let table = &plan.target.table;
        let observed = target.map(|rows| WeightSummary::of(rows.iter().map(|i| table.weights[*i])));
        let shared = squares(&plan.source.table, source_rows, &self.nominal)
            * normalisation.shares[0]
            + target.map_or(0.0, |rows| squares(table, rows, &table.weights))
                * normalisation.shares[1];
        let nominal = [weights.sum];
        let components = self.components(&sums.total, normalisation, overlap, &nominal);
        let covariances: Vec<f64> = components
            .iter()
            .map(|c| c.covariance(&nominal)[0][0])
            .collect();
        let spread = covariances.iter().sum::<f64>();
        let correlation = match overlap {
            Overlap::Some => normalisation.correlation(&nominal, &[shared])[0][0],
            Overlap::None | Overlap::Fixed => 0.0,
        };
        let before = source_rows.iter();
        let before = before.map(|i| plan.source.table.weights[*i] * self.before_factor);
        let before = WeightSummary::of(before);
        let mut yields = YieldMetrics {
            observed: observed.map(|o| o.sum),
            observed_error: observed.map(|o| o.error),
            before: Some(before.sum),
            before_stat: Some(before.error),
            after: weights.sum,
            after_stat: weights.error,
            after_spread: spread.sqrt(),
            components: components
                .iter()
                .zip(&covariances)
                .map(|(c, variance)| (c.name.to_string(), variance.sqrt()))
                .collect(),
            raw_relative_spread: relative_spread(&sums.raw),
            is_fixed: overlap == Overlap::Fixed,
            ..YieldMetrics::default()
        };
        let unit = normalisation.target_variance / normalisation.target;
        yield_test(&mut yields, correlation, unit);
        yields
    }

    /// Members and normalisation. Replicas that are resampled are each brought to their
    /// own resampling of the source, where the region has no events of it.
    fn components(
        &self,
        members: &EnsembleHistogram,
        normalisation: &Normalisation,
        overlap: Overlap,
        nominal: &[f64],
    ) -> [Component; 2] {
        let factors = normalisation.factors.as_ref();
        match factors.filter(|_| overlap == Overlap::None) {
            Some(factors) => [
                Component::members(members.scaled(factors)),
                normalisation.component(nominal, true),
            ],
            None => [
                Component::members(members.clone()),
                normalisation.component(nominal, false),
            ],
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
        sums: &VariableSums,
        normalisation: &Normalisation,
        overlap: Overlap,
        target: Option<&[usize]>,
    ) -> VariableMetrics {
        let plan = self.plan;
        let table = &plan.target.table;
        let mut shared = sums.shared.clone();
        let observed = target.map(|rows| {
            let mut h = Histogram::new(variable.edges.bins());
            for row in rows {
                let value = value(plan, &plan.target, variable, *row);
                let Some(bin) = variable.edges.find(value) else {
                    continue;
                };
                h.fill(bin, table.weights[*row]);
                if table.flags[*row] >> plan.training_region() & 1 == 1 {
                    shared.observed[bin] += table.weights[*row].powi(2);
                }
            }
            h
        });
        let [source, target] = normalisation.shares;
        let together = |of_source: &[f64]| -> Vec<f64> {
            let pairs = shared.observed.iter().zip(of_source);
            pairs.map(|(o, s)| target * o + source * s).collect()
        };
        let after = &sums.after.values;
        let before = &sums.before.values;
        let mut of_before = normalisation.before(before).covariance(before);
        let mut correlations = Correlations::default();
        if overlap == Overlap::Some {
            let shared_before = normalisation.correlation(before, &together(&shared.before));
            add(&mut of_before, &shared_before);
            correlations.after = Some(normalisation.correlation(after, &together(&shared.after)));
        }
        correlations.before = Some(of_before);
        let components = self.components(&sums.members, normalisation, overlap, after);
        compare_correlated(
            variable,
            Some(&sums.before),
            &sums.after,
            &components,
            observed,
            &correlations,
        )
    }

    /// Calibration of the ratio within a region, where it is normalised so that
    /// it integrates to one over the region's source.
    fn calibration(
        &self,
        source: &[usize],
        target: &[usize],
        target_ratios: &[f64],
    ) -> Vec<crate::closure::CalibrationPoint> {
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
    ) -> Result<Option<AucPair>> {
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

fn add(to: &mut [Vec<f64>], other: &[Vec<f64>]) {
    for (line, other) in to.iter_mut().zip(other) {
        for (entry, value) in line.iter_mut().zip(other) {
            *entry += value;
        }
    }
}

/// Shares of the events in memory, of source and target: one, but for data larger than
/// memory. Weights in memory stand for all events.
fn shares(plan: &Plan) -> [f64; 2] {
    [&plan.source, &plan.target]
        .map(|sample| sample.rest.as_ref().map_or(1.0, |rest| rest.training.share))
}

/// Standard deviation over mean; 0 where there is none.
fn relative_spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 || mean == 0.0 {
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
    let at_best = |pick: fn(&crate::training::History) -> &[f64]| -> Vec<f64> {
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
