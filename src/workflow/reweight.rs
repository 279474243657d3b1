//! A ratio of two samples applied: from the events' weights to the files of predictions and
//! to every number of `metrics.json`.

use super::apply::{Applier, Combiner, Predicted, Replicas};
use super::classifier::{ClassifierClass, closure_auc};
use super::metrics::{
    Component, Correlations, add, compare, observed, of_members, relative_spread, values, yields,
};
use super::normalisation::Normalisation;
use super::plan::{Plan, Variable};
use super::predictions::PredictionWriter;
use super::sample::Sample;
use super::support::outside;
use super::{TrainedEnsemble, Workbench};
use crate::closure::{CalibrationPoint, EnsembleHistogram, Histogram, WeightSummary, calibration};
use crate::error::{Context, Kind, Result};
use crate::events::{EventTable, HIDDEN, PartOrder};
use crate::results::{
    AucPair, Metrics, PlaneMetrics, RegionMetrics, Support, VariableMetrics, YieldMetrics,
    yield_test,
};
use crate::settings::{Method, PlaneConfig};
use crate::training::Member;
use indexmap::IndexMap;
use sideband_numerics::Edges;
use std::path::Path;

const CALIBRATION_BINS: usize = 12;
/// Share of the target's yield in the training region above which a region's own events
/// fix its prediction: out of fold, all of them do.
const FIXED: f64 = 0.5;

/// Predicts, measures and writes.
pub(super) fn predict(trained: TrainedEnsemble<'_>) -> Result<Metrics> {
    let TrainedEnsemble { plan, members, .. } = trained;
    let (compute, threads) = (trained.bench.compute, trained.bench.threads);
    let ensemble = AppliedEnsemble {
        applier: Applier::new(compute, threads, &plan.network(), &plan.scaling, members)?,
        replicas: Replicas::new(plan.settings.split, plan.streams, members),
        plan,
        members,
    };
    let normalisations = members.iter().map(|m| m.about.normalisation);
    let unnormalised = 1.0 / (normalisations.sum::<f64>() / members.len() as f64);
    let mut sums = SourceSums::new(plan, &ensemble.replicas);
    let (mut combiner, mut raw_combiner) = (ensemble.combiner(), ensemble.combiner());
    let (source, target, training) = (plan.source(), plan.target(), sums.trained);
    let mut raw = vec![0.0; members.len()];
    let path = |name: &str| trained.directory.predictions().join(name);
    ensemble.apply(source, Some(&path("source.parquet")), &mut |row, ratios| {
        let (weight, key) = (source.table.weights[row], source.table.ids.key(row));
        let in_training = source.is_in(row, training);
        for ((raw, ratio), member) in raw.iter_mut().zip(ratios).zip(members) {
            *raw = weight * ratio / (member.about.normalisation * unnormalised);
        }
        let (_, raw) = raw_combiner.event(&raw, key, in_training);
        let weights: Vec<f64> = ratios.iter().map(|r| r * weight).collect();
        let (event, replicas) = combiner.event(&weights, key, in_training);
        sums.push(event, replicas, raw);
    })?;
    // nominal weight per unit input weight of every target event
    let mut target_ratios = Vec::with_capacity(target.table.len());
    // with the ratio as the product, the target's events have theirs too
    let is_written = plan.config.experiment.method == Method::Ratio;
    let path = is_written.then(|| path("target.parquet"));
    ensemble.apply(target, path.as_deref(), &mut |row, ratios| {
        let (key, in_training) = (target.table.ids.key(row), target.is_in(row, training));
        let (event, _) = combiner.event(ratios, key, in_training);
        target_ratios.push(event.nominal);
    })?;
    let of_members = of_members(trained, ensemble.replicas.len());
    sums.metrics(of_members, &target_ratios, trained.bench)
}

/// What makes a prediction file.
struct AppliedEnsemble<'a> {
    plan: &'a Plan,
    applier: Applier,
    replicas: Replicas,
    members: &'a [Member],
}

/// Takes the members' ratios of an event, by its row.
type Take<'a> = &'a mut dyn FnMut(usize, &[f64]);

impl AppliedEnsemble<'_> {
    fn combiner(&self) -> Combiner<'_> {
        Combiner::new(&self.replicas, self.plan.config.ensemble.combine)
    }

    /// Predicts the events of a sample, wherever they are: gives those in memory to `take`
    /// and writes all of them to a file, if there is one.
    fn apply(&self, sample: &Sample, file: Option<&Path>, take: Take<'_>) -> Result<()> {
        let give = |take: Take<'_>| {
            let features = &sample.table.features;
            self.applier.for_each(features, |row, ratios| {
                take(row, ratios);
                Ok(())
            })
        };
        let Some(path) = file else {
            return give(take);
        };
        let regions = self.plan.config.regions.keys();
        let (table, members) = (&sample.table, self.members);
        let mut writer = PredictionWriter::new(path, table, regions, members, false)?;
        let Some(all) = &sample.streamed else {
            self.write(&mut writer, table, take)?;
            return writer.finish();
        };
        give(take)?;
        let (dataset, order) = (&all.training.dataset, PartOrder::files());
        let chunks = dataset.stream(&all.request, &order, all.options);
        for chunk in chunks.of(Kind::Internal)? {
            self.write(&mut writer, &chunk.of(Kind::Internal)?, &mut |_, _| {})?;
        }
        writer.finish()
    }

    fn write(
        &self,
        writer: &mut PredictionWriter,
        table: &EventTable,
        take: Take<'_>,
    ) -> Result<()> {
        let method = self.plan.config.experiment.method;
        let (trained, yields) = (self.plan.training_region(), training_yields(self.plan));
        let mut combiner = self.combiner();
        self.applier.for_each(&table.features, |row, ratios| {
            take(row, ratios);
            let factor = column_factor(method, table.weights[row], yields);
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(&scaled, table.ids.key(row), in_training);
            writer.push(table, row, Some((event, &scaled)))
        })
    }
}

/// Sums of weights in the training region, of source and target, that turn a weight into
/// a ratio of densities.
fn training_yields(plan: &Plan) -> [f64; 2] {
    [0, 1].map(|class: usize| match &plan.stream {
        Some(stream) => stream.classes[class].total,
        None => plan.training.classes()[class].weights.iter().sum(),
    })
}

/// Their statistical errors.
fn training_errors(plan: &Plan) -> [f64; 2] {
    let shares = shares(plan);
    [0, 1].map(|class: usize| {
        let weights = plan.training.classes()[class].weights.iter();
        // the events in memory are this share of all, their weights that of all
        (weights.map(|w| w * w).sum::<f64>() * shares[class]).sqrt()
    })
}

/// Shares of the events in memory, of source and target: one, but for data larger than
/// memory. Weights in memory stand for all events.
fn shares(plan: &Plan) -> [f64; 2] {
    [plan.source().share(), plan.target().share()]
}

/// What a column of the prediction file holds, for one event.
pub(super) fn column_factor(method: Method, weight: f64, yields: [f64; 2]) -> f64 {
    match method {
        // events: the weight that stands for the target's yield, or their own
        Method::Reweight | Method::Interpolate => weight,
        // the ratio of densities p_t / p_s itself
        Method::Ratio | Method::Measure => yields[0] / yields[1],
    }
}

/// What the reweighted source adds up to, filled event by event.
struct SourceSums<'a> {
    plan: &'a Plan,
    /// Number of the region that is trained on.
    trained: usize,
    /// The distributions of a source event.
    values: Vec<Box<dyn Fn(usize) -> f64 + 'a>>,
    /// Factor that scales the source as a whole to the target.
    before_factor: f64,
    /// Nominal weight of every source event.
    nominal: Vec<f64>,
    /// Of the training region: squared nominal weights, and squared weights scaled as a
    /// whole.
    squares: [f64; 2],
    /// How often each replica's resampling has an event; empty without bootstrap.
    resamplings: Vec<Box<dyn Fn(u64) -> u8>>,
    /// Each replica's weights in the training region, as they are and resampled.
    resampled: Vec<[f64; 2]>,
    regions: Vec<ReweightedRegion>,
    planes: Vec<ReweightedPlane>,
}

struct ReweightedRegion {
    variables: Vec<ReweightedVariable>,
    total: EnsembleHistogram,
    raw: Vec<f64>,
}

struct ReweightedVariable {
    before: Histogram,
    after: Histogram,
    members: EnsembleHistogram,
    /// Squared weights of the training region's events, scaled as a whole and reweighted.
    shared: [Vec<f64>; 2],
}

/// The prediction in a plane.
struct ReweightedPlane {
    x: Edges,
    y: Edges,
    sums: Histogram,
    /// Weight that lies in none of the bins.
    outside: f64,
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

/// The events of a region that enter its numbers.
struct RegionRows<'a> {
    all: &'a SourceSums<'a>,
    normalisation: &'a Normalisation,
    source: Vec<usize>,
    /// None where they are blind.
    target: Option<Vec<usize>>,
    overlap: Overlap,
}

impl<'a> SourceSums<'a> {
    fn new(plan: &'a Plan, replicas: &Replicas) -> Self {
        let variable = |v: &Variable| {
            let bins = v.edges.bins();
            ReweightedVariable {
                before: Histogram::new(bins),
                after: Histogram::new(bins),
                members: EnsembleHistogram::new(replicas.len(), bins),
                shared: [vec![0.0; bins], vec![0.0; bins]],
            }
        };
        let region = |_| ReweightedRegion {
            variables: plan.variables.iter().map(variable).collect(),
            total: EnsembleHistogram::new(replicas.len(), 1),
            raw: vec![0.0; replicas.len()],
        };
        let plane = |p: &PlaneConfig| {
            Some(ReweightedPlane {
                x: Edges::uniform(p.bins, p.x_range[0], p.x_range[1]).ok()?,
                y: Edges::uniform(p.bins, p.y_range[0], p.y_range[1]).ok()?,
                sums: Histogram::new(p.bins * p.bins),
                outside: 0.0,
            })
        };
        let resamplings = match plan.settings.bootstrap && replicas.len() > 1 {
            true => replicas.resamplings(),
            false => Vec::new(),
        };
        let value = |v| values(plan, plan.source(), v);
        let [source, target] = training_yields(plan);
        Self {
            trained: plan.training_region(),
            values: plan.variables.iter().map(value).collect(),
            before_factor: target / source,
            nominal: Vec::with_capacity(plan.source().table.len()),
            squares: [0.0; 2],
            resampled: vec![[0.0; 2]; resamplings.len()],
            resamplings,
            regions: plan.regions().map(region).collect(),
            planes: plan.config.report.planes.iter().filter_map(plane).collect(),
            plan,
        }
    }

    /// Adds the next source event: its nominal weight, the replicas' weights,
    /// and the replicas' weights without the members' normalisation.
    fn push(&mut self, event: Predicted, replicas: &[f64], raw: &[f64]) {
        let (plan, row) = (self.plan, self.nominal.len());
        let source = plan.source();
        self.nominal.push(event.nominal);
        let before = source.table.weights[row] * self.before_factor;
        let in_training = source.is_in(row, self.trained);
        if in_training {
            let key = source.table.ids.key(row);
            self.squares[0] += event.nominal * event.nominal;
            self.squares[1] += before * before;
            let pairs = self.resamplings.iter().zip(replicas);
            for ((times, weight), sum) in pairs.zip(&mut self.resampled) {
                sum[0] += weight;
                sum[1] += weight * f64::from(times(key));
            }
        }
        let shown = self.enters(source, row);
        for (region, sums) in self.regions.iter_mut().enumerate() {
            if !shown || !source.is_in(row, region) {
                continue;
            }
            for (r, weight) in replicas.iter().enumerate() {
                sums.total.fill(r, 0, *weight);
                sums.raw[r] += raw[r];
            }
            for (k, sums) in sums.variables.iter_mut().enumerate() {
                let Some(bin) = plan.variables[k].edges.find(self.values[k](row)) else {
                    continue;
                };
                sums.before.fill(bin, before);
                sums.after.fill(bin, event.nominal);
                if in_training {
                    sums.shared[0][bin] += before * before;
                    sums.shared[1][bin] += event.nominal * event.nominal;
                }
                for (r, weight) in replicas.iter().enumerate() {
                    sums.members.fill(r, bin, *weight);
                }
            }
        }
        for (config, plane) in plan.config.report.planes.iter().zip(&mut self.planes) {
            match plane.bin(source, config, row) {
                Some(bin) => plane.sums.fill(bin, event.nominal),
                None => plane.outside += event.nominal,
            }
        }
    }

    /// Whether an event enters the diagnostics: of the events in the training region
    /// only those that no member, or with folds not every member, has seen.
    fn enters(&self, sample: &Sample, row: usize) -> bool {
        let (split, streams) = (&self.plan.settings.split, self.plan.streams);
        !sample.is_in(row, self.trained) || split.is_diagnostic(streams, sample.table.ids.key(row))
    }

    /// All numbers, once every source event has been added, with those of the members.
    fn metrics(
        self,
        of_members: Metrics,
        target_ratios: &[f64],
        bench: Workbench<'_>,
    ) -> Result<Metrics> {
        let plan = self.plan;
        let normalisation = self.normalisation();
        let support = Support::of(plan);
        let mut regions = IndexMap::new();
        for ((index, name, shown), sums) in plan.regions().zip(&self.regions) {
            let rows = self.rows(index, shown, &normalisation);
            let weights = WeightSummary::of(rows.source.iter().map(|i| self.nominal[*i]));
            let variables = plan.variables.iter().zip(&sums.variables);
            let variables = variables.map(|(v, sums)| (v.name.clone(), rows.variable(v, sums)));
            let weighted = rows.source.iter().map(|i| {
                let weight = plan.source().table.weights[*i];
                (plan.source().features(*i), weight, self.nominal[*i])
            });
            let mut region = RegionMetrics {
                label: plan.label(name),
                trained: index == self.trained,
                blind: !shown,
                source_events: rows.source.len(),
                target_events: rows.target.as_ref().map(Vec::len),
                outside: outside(&support, weighted),
                yields: rows.yields(sums, &weights),
                weights,
                weight_distribution: self.weight_distribution(&rows.source),
                variables: variables.collect(),
                ..RegionMetrics::default()
            };
            if let Some(target) = &rows.target {
                region.calibration = self.calibration(&rows.source, target, target_ratios);
                if plan.config.report.classifier_members > 0 {
                    (bench.say)(&format!("classifier of source against target in {name}"));
                    region.auc = self.auc_pair(name, &rows.source, target, bench)?;
                }
            }
            regions.insert(name.to_owned(), region);
        }
        let planes = plan.config.report.planes.iter().zip(&self.planes);
        let planes = planes.map(|(config, p)| (config.name.clone(), p.metrics(plan, config)));
        Ok(Metrics {
            training_yields: training_yields(plan),
            training_errors: training_errors(plan),
            support: Some(support),
            regions,
            planes: planes.collect(),
            ..of_members
        })
    }

    /// Counting errors of the training region, with every source event added.
    fn normalisation(&self) -> Normalisation {
        let shares @ [share, _] = shares(self.plan);
        let ([_, target], [_, error]) = (training_yields(self.plan), training_errors(self.plan));
        let factor = |[weights, resampled]: &[f64; 2]| {
            // of the events in memory, a share of all
            1.0 + share.sqrt() * (weights / resampled - 1.0)
        };
        let sums = &self.resampled;
        let is_sound = !sums.is_empty() && sums.iter().all(|[a, b]| *a > 0.0 && *b > 0.0);
        Normalisation {
            target,
            target_variance: error * error,
            source_variance: share * self.squares[0],
            before_variance: share * self.squares[1],
            shares,
            factors: is_sound.then(|| sums.iter().map(factor).collect()),
        }
    }

    /// The events of a region, and how they hang together with the training region's.
    fn rows<'s>(
        &'s self,
        region: usize,
        shown: bool,
        normalisation: &'s Normalisation,
    ) -> RegionRows<'s> {
        let rows = |sample: &Sample| -> Vec<usize> {
            let all = sample.in_region(region);
            all.filter(|i| self.enters(sample, *i)).collect()
        };
        let (source, target) = (self.plan.source(), self.plan.target());
        let (of_source, of_target) = (rows(source), shown.then(|| rows(target)));
        let shared = of_source.iter().filter(|i| source.is_in(**i, self.trained));
        let weight: f64 = shared.clone().map(|i| self.nominal[*i]).sum();
        let mut observed = of_target.iter().flatten();
        let is_apart = shared.count() == 0 && !observed.any(|i| target.is_in(*i, self.trained));
        RegionRows {
            overlap: match is_apart {
                true => Overlap::None,
                false if weight > FIXED * normalisation.target => Overlap::Fixed,
                false => Overlap::Some,
            },
            source: of_source,
            target: of_target,
            all: self,
            normalisation,
        }
    }

    /// Weight of a source event, scaled as a whole.
    fn before(&self, row: usize) -> f64 {
        self.plan.source().table.weights[row] * self.before_factor
    }

    /// Distribution of log10 of the nominal weight over the source's as a whole.
    fn weight_distribution(&self, rows: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let edges: Vec<f64> = (0..=60).map(|i| f64::from(i - 30) / 10.0).collect();
        let mut counts = vec![0.0; edges.len() - 1];
        for i in rows {
            let ratio = (self.nominal[*i] / self.before(*i)).log10();
            if ratio.is_finite() {
                let above = edges.partition_point(|edge| *edge <= ratio);
                let bin = above.saturating_sub(1).min(edges.len() - 2);
                counts[bin] += 1.0;
            }
        }
        (edges, counts)
    }

    /// Calibration of the ratio within a region, where it is normalised so that
    /// it integrates to one over the region's source.
    fn calibration(
        &self,
        source: &[usize],
        target: &[usize],
        target_ratios: &[f64],
    ) -> Vec<CalibrationPoint> {
        let weights = &self.plan.source().table.weights;
        let input: f64 = source.iter().map(|i| weights[*i]).sum();
        let after: f64 = source.iter().map(|i| self.nominal[*i]).sum();
        let shift = (input / after).ln();
        let of_source = source.iter().filter(|i| weights[**i] != 0.0);
        let of_source: Vec<(f64, f64)> = of_source
            .map(|i| ((self.nominal[*i] / weights[*i]).ln() + shift, weights[*i]))
            .collect();
        let weights = &self.plan.target().table.weights;
        let of_target = target.iter();
        let of_target: Vec<(f64, f64)> = of_target
            .map(|i| (target_ratios[*i].ln() + shift, weights[*i]))
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
        let of_target = &plan.target().table.weights;
        let of_target = ClassifierClass::new(plan.target(), target, of_target);
        let run = |what: &str, weights: &[f64]| {
            let of_source = ClassifierClass::new(plan.source(), source, weights);
            let name = format!("closure/{name}/{what}");
            closure_auc(plan, bench, &name, &of_source, &of_target)
        };
        let before = run("before", &plan.source().table.weights)?;
        let after = run("after", &self.nominal)?;
        let pair = before.zip(after);
        Ok(pair.map(|(before, after)| AucPair { before, after }))
    }
}

impl RegionRows<'_> {
    fn yields(&self, sums: &ReweightedRegion, weights: &WeightSummary) -> YieldMetrics {
        let (all, normalisation) = (self.all, self.normalisation);
        let (source, target) = (all.plan.source(), all.plan.target());
        let squares = |sample: &Sample, rows: &[usize], weights: &[f64]| -> f64 {
            let shared = rows.iter().filter(|i| sample.is_in(**i, all.trained));
            shared.map(|i| weights[*i].powi(2)).sum()
        };
        let of_target = &target.table.weights;
        let found = self.target.as_ref();
        let shared = squares(source, &self.source, &all.nominal) * normalisation.shares[0]
            + found.map_or(0.0, |rows| squares(target, rows, of_target)) * normalisation.shares[1];
        let found = found.map(|rows| WeightSummary::of(rows.iter().map(|i| of_target[*i])));
        let nominal = [weights.sum];
        let correlation = match self.overlap {
            Overlap::Some => normalisation.correlation(&nominal, &[shared])[0][0],
            Overlap::None | Overlap::Fixed => 0.0,
        };
        let components = self.components(&sums.total, &nominal);
        let before = WeightSummary::of(self.source.iter().map(|i| all.before(*i)));
        let mut yields = YieldMetrics {
            before: Some(before.sum),
            before_stat: Some(before.error),
            raw_relative_spread: relative_spread(&sums.raw),
            is_fixed: self.overlap == Overlap::Fixed,
            ..yields(found, [weights.sum, weights.error], &components)
        };
        let unit = normalisation.target_variance / normalisation.target;
        yield_test(&mut yields, correlation, unit);
        yields
    }

    /// Members and normalisation. Replicas that are resampled are each brought to their
    /// own resampling of the source, where the region has no events of it.
    fn components(&self, members: &EnsembleHistogram, nominal: &[f64]) -> [Component; 2] {
        let factors = self.normalisation.factors.as_ref();
        let factors = factors.filter(|_| self.overlap == Overlap::None);
        let scaled = factors.map(|factors| members.scaled(factors));
        let members = scaled.unwrap_or_else(|| members.clone());
        let of_counts = self.normalisation.component(nominal, factors.is_some());
        [Component::draws("members", members), of_counts]
    }

    fn variable(&self, variable: &Variable, sums: &ReweightedVariable) -> VariableMetrics {
        let (all, normalisation) = (self.all, self.normalisation);
        let (plan, target) = (all.plan, all.plan.target());
        let found = self.target.as_ref();
        let found = found.map(|rows| observed(plan, variable, rows));
        let (before, after) = (&sums.before.values, &sums.after.values);
        let mut of_before = normalisation.before(before).covariance(before);
        let mut of_after = None;
        if self.overlap == Overlap::Some {
            let shared = self.target.iter().flatten().copied();
            let shared: Vec<usize> = shared.filter(|i| target.is_in(*i, all.trained)).collect();
            let observed = observed(plan, variable, &shared).variances;
            let [source, target] = normalisation.shares;
            let correlation = |nominal: &[f64], of_source: &[f64]| {
                let pairs = observed.iter().zip(of_source);
                let together: Vec<f64> = pairs.map(|(o, s)| target * o + source * s).collect();
                normalisation.correlation(nominal, &together)
            };
            add(&mut of_before, &correlation(before, &sums.shared[0]));
            of_after = Some(correlation(after, &sums.shared[1]));
        }
        let correlations = Correlations {
            before: Some(of_before),
            after: of_after,
        };
        let components = self.components(&sums.members, after);
        let (before, after) = (Some(&sums.before), &sums.after);
        compare(variable, before, after, &components, found, &correlations)
    }
}

impl ReweightedPlane {
    /// Bin of an event; none outside.
    fn bin(&self, sample: &Sample, config: &PlaneConfig, row: usize) -> Option<usize> {
        let at = |axis: &str, edges: &Edges| {
            let value = sample.column(&format!("{}:{axis}", config.name))?[row];
            let (low, high) = (edges.values()[0], edges.values()[edges.bins()]);
            (low..=high).contains(&value).then(|| edges.find(value))?
        };
        Some(at("x", &self.x)? * config.bins + at("y", &self.y)?)
    }

    fn metrics(&self, plan: &Plan, config: &PlaneConfig) -> PlaneMetrics {
        let (source, target, predicted) = (plan.source(), plan.target(), &self.sums);
        let bins = predicted.values.len();
        let mut observed = Histogram::new(bins);
        let mut outside = 0.0;
        for (row, weight) in target.table.weights.iter().enumerate() {
            match self.bin(target, config, row) {
                Some(bin) => observed.fill(bin, *weight),
                None => outside += weight,
            }
        }
        // no pull where blinded events are predicted but not shown
        let hidden = if plan.blinding.is_closed() { HIDDEN } else { 0 };
        let mut blinded = vec![false; bins];
        for (row, flags) in source.table.flags.iter().enumerate() {
            if flags & hidden != 0
                && let Some(bin) = self.bin(source, config, row)
            {
                blinded[bin] = true;
            }
        }
        let pull = |bin: usize| {
            let variance = observed.variances[bin] + predicted.variances[bin];
            let pull = (observed.values[bin] - predicted.values[bin]) / variance.sqrt();
            (pull.is_finite() && !blinded[bin]).then_some(pull)
        };
        let pull: Vec<Option<f64>> = (0..bins).map(pull).collect();
        fn lines<T: Clone>(flat: &[T], width: usize) -> Vec<Vec<T>> {
            flat.chunks(width).map(<[T]>::to_vec).collect()
        }
        let label = |own: &Option<String>, text: &String| own.as_ref().unwrap_or(text).clone();
        PlaneMetrics {
            labels: [
                label(&config.x_label, &config.x),
                label(&config.y_label, &config.y),
            ],
            x_edges: self.x.values().to_vec(),
            y_edges: self.y.values().to_vec(),
            observed: lines(&observed.values, config.bins),
            predicted: lines(&predicted.values, config.bins),
            pull: lines(&pull, config.bins),
            outside: [outside, self.outside],
            hh_borders: config.hh_borders,
        }
    }
}
