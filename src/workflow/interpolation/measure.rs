//! From trained flows to predicted events and every number of `metrics.json`.

use super::figures::figure_data;
use super::points::{DRAWING, DrawnPoints, draw, interrupted, noise};
use super::sampled::{MemberChunk, SampleWriter, SampledChunk};
use super::weights::{FILE, PlaneWeights};
use crate::error::{Context, Error, Kind, Result, counted};
use crate::events::{Loss, LossKind, Losses};
use crate::results::{InterpolationMetrics, Metrics, RegionMetrics, yield_test};
use crate::statistics::{EnsembleHistogram, Histogram, WeightSummary};
use crate::training::Fold;
use crate::workflow::TrainedEnsemble;
use crate::workflow::apply::in_threads;
use crate::workflow::metrics::{Component, Correlations, compare, observed, of_members, yields};
use crate::workflow::plan::Plan;
use indexmap::IndexMap;
use sideband_networks::{Compute, EVALUATION_CHUNK, FlowSampler, NetworkConfig, Row};

/// More sampled events are lost than may be.
fn lost(what: &str, limit: f64) -> Error {
    let text = format!(
        "{what} That is more than data.max_loss = {limit}: choose transforms, expressions and \
         selections that have a value everywhere in the predicted part, train longer, or raise \
         data.max_loss"
    );
    Error::new(Kind::NoSamples, text)
}

/// Points that go through the flows at once.
const CHUNK: usize = EVALUATION_CHUNK;
/// Most sampled events that are kept for the corner plot.
const CORNER_EVENTS: usize = 4000;

/// Draws, predicts, measures and writes.
pub(in crate::workflow) fn predict(trained: TrainedEnsemble<'_>) -> Result<Metrics> {
    let TrainedEnsemble {
        plan,
        bench,
        members,
        directory,
        ..
    } = trained;
    let interpolation = plan.interpolation();
    (bench.say)(&format!(
        "{}, {} each",
        counted(interpolation.categories().len(), "Gaussian process"),
        counted(interpolation.samples, "point")
    ));
    let drawn = draw(plan, bench)?;
    (bench.say)(&format!(
        "{} through {}",
        counted(drawn.points.len(), "point"),
        counted(members.len(), "flow")
    ));
    let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
    let NetworkConfig::Flow(flow) = &plan.settings.network else {
        unreachable!("an interpolation's network is a flow");
    };
    let scaling = plan.scaling.inputs();
    let compute = bench.compute;
    let sampler = compute.guard(|| FlowSampler::new(compute, flow, &scaling, &rows))?;
    let mut sums = SampleSums::new(plan, &drawn, members.len());
    let path = directory.predictions().join("samples.parquet");
    let at_once = if compute.is_cpu() {
        bench.threads.max(1)
    } else {
        1
    };
    let mut writer = SampleWriter::new(&path, plan, members)?;
    let stage = bench.stage("sampling", drawn.points.len() as u64);
    // chunk by chunk, and in the order of the points
    let firsts: Vec<usize> = (0..drawn.points.len()).step_by(CHUNK).collect();
    for group in firsts.chunks(at_once) {
        if bench.interrupt.is_raised() {
            return Err(interrupted());
        }
        let work = |first: &usize| sample(plan, compute, &sampler, &drawn, *first);
        for chunk in in_threads(DRAWING, group, work)? {
            sums.add(&chunk);
            writer.push(&drawn, &chunk)?;
        }
        stage.add((group.len() * CHUNK) as u64);
    }
    drop(stage);
    writer.finish()?;
    drawn.weights.write(&directory.join(FILE))?;
    let figures = figure_data(plan, &sampler, &drawn, &sums.corner);
    directory.write_compact(&directory.join("figures.json"), &figures)?;
    sums.metrics(of_members(trained, members.len()))
}

/// Draws features for one chunk of points.
fn sample(
    plan: &Plan,
    compute: &Compute,
    sampler: &FlowSampler,
    drawn: &DrawnPoints,
    first: usize,
) -> Result<SampledChunk> {
    let points = &drawn.points[first..(first + CHUNK).min(drawn.points.len())];
    let noise: Vec<f32> = points.iter().flat_map(|p| noise(plan, *p)).collect();
    let context = points.iter();
    let context: Vec<f32> = context
        .flat_map(|p| plan.context(p.masses, p.category))
        .collect();
    // one thread a pool: no sum is divided by how many threads there are
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.at(Kind::Internal, DRAWING)?;
    let features = || sampler.sample(&noise, &context);
    let features = pool.install(|| compute.guard(features))?;
    let members = features
        .chunks(noise.len().max(1))
        .map(|features| MemberChunk::new(plan, points, features).of(Kind::Config));
    Ok(SampledChunk {
        first,
        members: members.collect::<Result<_>>()?,
    })
}

/// Sums over all samples.
struct SampleSums<'a> {
    plan: &'a Plan,
    drawn: &'a DrawnPoints,
    members: usize,
    regions: Vec<SampledRegion>,
    /// Features of some of them, `[variable][event]`.
    corner: Vec<Vec<f32>>,
    dropped: u64,
    /// Sampled events in a region, and the sum of their weights.
    kept: (u64, f64),
    /// Sampled events for which a region's selection has no value.
    undecided: Vec<u64>,
    /// Samples without a value, by plotted variable.
    without_value: Vec<u64>,
}

struct SampledRegion {
    total: BinSums,
    variables: Vec<BinSums>,
    /// Weights of one member's samples.
    weights: Vec<f64>,
}

/// Bin contents of each member, and of the plane's bins behind them: all
/// variations of the plane are weights of its bins.
struct BinSums {
    members: EnsembleHistogram,
    /// Mean number of samples of a member, `[category][plane bin][bin]`.
    counts: Vec<f64>,
    bins: usize,
}

impl BinSums {
    fn new(members: usize, cells: usize, bins: usize) -> Self {
        Self {
            members: EnsembleHistogram::new(members, bins),
            counts: vec![0.0; cells * bins],
            bins,
        }
    }

    fn fill(&mut self, member: usize, cell: usize, bin: usize, weight: f64, share: f64) {
        self.members.fill(member, bin, weight);
        self.counts[cell * self.bins + bin] += share;
    }

    fn nominal(&self, weights: &PlaneWeights) -> Histogram {
        Histogram {
            values: weights.nominal(&self.counts),
            // members share their points and noise: as one member's samples
            variances: weights.variances(&self.counts),
        }
    }

    /// Members, Gaussian process, and the number of events that all is scaled to.
    fn components(&self, weights: &PlaneWeights) -> Vec<Component> {
        let mut list = vec![Component::draws("members", self.members.clone())];
        let draws = weights.draws();
        if draws > 1 {
            let mut contents = EnsembleHistogram::new(draws, self.bins);
            for (draw, values) in weights.drawn(&self.counts).enumerate() {
                for (bin, content) in values.into_iter().enumerate() {
                    contents.fill(draw, bin, content);
                }
            }
            list.push(Component::draws("gp", contents));
        }
        let shift = |shifted: usize| {
            weights.contents(&self.counts, |category, _| {
                let of = &weights.categories[category];
                of.weight
                    * if category == shifted {
                        1.0 + of.relative_error
                    } else {
                        1.0
                    }
            })
        };
        let shifts = (0..weights.categories.len()).map(shift).collect();
        list.push(Component::shifts("normalisation", shifts));
        list
    }
}

impl<'a> SampleSums<'a> {
    fn new(plan: &'a Plan, drawn: &'a DrawnPoints, members: usize) -> Self {
        let cells = drawn.weights.cells();
        let variables = plan.variables.iter();
        let region = |_: &_| SampledRegion {
            total: BinSums::new(members, cells, 1),
            variables: variables
                .clone()
                .map(|v| BinSums::new(members, cells, v.edges.bins()))
                .collect(),
            weights: Vec::new(),
        };
        let regions = &plan.plane().regions;
        Self {
            plan,
            drawn,
            members,
            regions: regions.iter().map(region).collect(),
            corner: vec![Vec::new(); plan.interpolation().variables.len()],
            dropped: 0,
            kept: (0, 0.0),
            without_value: vec![0; plan.variables.len()],
            undecided: vec![0; regions.len()],
        }
    }

    fn add(&mut self, chunk: &SampledChunk) {
        let share = 1.0 / self.members as f64;
        let first_feature = 2 + usize::from(self.plan.interpolation().category.is_some());
        for (member, events) in chunk.members.iter().enumerate() {
            self.dropped += events.dropped;
            for (sum, undecided) in self.undecided.iter_mut().zip(&events.undecided) {
                *sum += undecided;
            }
            for (i, (point, flags)) in events.points.iter().zip(&events.flags).enumerate() {
                let point = self.drawn.points[chunk.first + *point as usize];
                let weight = self.drawn.weight(point.category);
                let cell = self.drawn.weights.cell(point.category, point.bin);
                self.kept.0 += 1;
                self.kept.1 += weight * share;
                for (bit, region) in self.regions.iter_mut().enumerate() {
                    if flags >> bit & 1 == 0 {
                        continue;
                    }
                    region.total.fill(member, cell, 0, weight, share);
                    if member == 0 {
                        region.weights.push(weight);
                    }
                    for (k, sums) in region.variables.iter_mut().enumerate() {
                        match self.plan.variables[k].edges.find(events.values[k][i]) {
                            Some(bin) => sums.fill(member, cell, bin, weight, share),
                            None => self.without_value[k] += 1,
                        }
                    }
                }
                // the first region's samples, of one member after the other
                let kept = self.corner.first().map_or(0, Vec::len);
                if flags & 1 == 1 && kept < CORNER_EVENTS && member == i % self.members {
                    for (column, values) in
                        self.corner.iter_mut().zip(&events.columns[first_feature..])
                    {
                        column.push(values[i] as f32);
                    }
                }
            }
        }
    }

    /// Sampled events without a decision, of all members together.
    fn losses(&self) -> Losses {
        let regions = self.plan.plane().regions.iter().zip(&self.undecided);
        let regions = regions.filter(|(_, events)| **events > 0);
        let loss = |((index, _), events): (&(usize, _), &u64)| {
            let (name, _) = self.plan.config.regions.get_index(*index)?;
            Some(Loss {
                kind: LossKind::Region,
                name: format!("regions.{name}"),
                events: *events,
                weight: 0.0,
                first: None,
            })
        };
        Losses {
            sample: "sampled events".to_owned(),
            events: self.kept.0,
            weight: self.kept.1,
            scale: None,
            lost: regions.filter_map(loss).collect(),
        }
    }

    /// All numbers, once every sample has been added, with those of the members.
    fn metrics(self, of_members: Metrics) -> Result<Metrics> {
        let (plan, drawn) = (self.plan, self.drawn);
        let mut regions = IndexMap::new();
        for ((index, _), sums) in plan.plane().regions.iter().zip(&self.regions) {
            let Some((name, _)) = plan.config.regions.get_index(*index) else {
                continue;
            };
            if sums.weights.is_empty() {
                let points = drawn.categories.iter().map(|c| c.samples[0]);
                let text = format!(
                    "no sampled event falls into region {name}: of {} points {} lie in the \
                     predicted part of the plane. Check the region's selection against the holes \
                     and raise interpolation.samples",
                    points.sum::<u64>(),
                    drawn.points.len()
                );
                return Err(Error::new(Kind::NoSamples, text));
            }
            regions.insert(name.clone(), self.region(*index, name, sums));
        }
        let count = drawn.categories.iter();
        let count: f64 = count.map(|c| c.weight * c.samples[1] as f64).sum();
        let outside = &plan.training.classes()[0].weights;
        let outside = WeightSummary::of(outside.iter().copied());
        let losses = self.losses();
        let limit = plan.config.data.max_loss;
        if let Some(loss) = losses.beyond(limit) {
            return Err(lost(&losses.sentence(loss), limit));
        }
        let all = (losses.events + self.dropped).max(1) as f64;
        if self.dropped as f64 > limit * all {
            let dropped = self.dropped;
            let what =
                format!("{dropped} of {all} sampled events have features that are not finite.");
            return Err(lost(&what, limit));
        }
        let without = plan.variables.iter().zip(&self.without_value);
        let without = without.filter(|(_, samples)| **samples > 0);
        let interpolation = InterpolationMetrics {
            categories: drawn.categories.clone(),
            negative_log_density: of_members.loss.validation_mean + log_jacobian(plan),
            dropped: self.dropped,
            without_value: without
                .map(|(v, samples)| (v.name.clone(), *samples))
                .collect(),
        };
        Ok(Metrics {
            training_yields: [count, outside.sum],
            // samples are scaled to the events
            training_errors: [outside.error; 2],
            losses: of_members.losses.into_iter().chain([losses]).collect(),
            regions,
            interpolation: Some(interpolation),
            ..of_members
        })
    }

    fn region(&self, index: usize, name: &str, sums: &SampledRegion) -> RegionMetrics {
        let (plan, drawn, target) = (self.plan, self.drawn, self.plan.target());
        let weights = &target.table.weights;
        let shown = plan.blinding.shows(index);
        let rows: Option<Vec<usize>> = shown.then(|| target.in_region(index).collect());
        let total = sums.total.nominal(&drawn.weights);
        let found = rows.as_ref();
        let found = found.map(|rows| WeightSummary::of(rows.iter().map(|i| weights[*i])));
        let (after, stat) = (total.values[0], total.variances[0].sqrt());
        let mut yields = yields(found, [after, stat], &sums.total.components(&drawn.weights));
        if after > 0.0 {
            yields.raw_relative_spread = yields.components["members"] / after;
        }
        let all = WeightSummary::of(weights.iter().copied());
        yield_test(&mut yields, 0.0, all.error.powi(2) / all.sum);
        let variables = plan.variables.iter().zip(&sums.variables).map(|(v, sums)| {
            let found = rows.as_ref().map(|rows| observed(plan, v, rows));
            let plane = &drawn.weights;
            let (nominal, components) = (sums.nominal(plane), sums.components(plane));
            let alone = Correlations::default();
            let metrics = compare(v, None, &nominal, &components, found, &alone);
            (v.name.clone(), metrics)
        });
        RegionMetrics {
            label: plan.label(name),
            // its events were trained on, but the samples are no part of them
            trained: false,
            blind: !shown,
            source_events: sums.weights.len(),
            target_events: rows.as_ref().map(Vec::len),
            yields,
            weights: WeightSummary::of(sums.weights.iter().copied()),
            variables: variables.collect(),
            ..RegionMetrics::default()
        }
    }
}

/// What the transforms and the standardisation add to the mean of -log p on the
/// validation fold.
fn log_jacobian(plan: &Plan) -> f64 {
    let variables = &plan.interpolation().variables;
    let scales = plan.scaling.scale.iter().take(variables.len());
    let standardised: f64 = scales.map(|s| s.ln()).sum();
    let (mut sum, mut weights) = (0.0, 0.0);
    for (row, weight, key) in plan.training.classes()[0].iter() {
        if plan.settings.split.fold(plan.streams, 0, key) == Fold::Validation {
            let features = plan.training.inputs().row(row as usize);
            let slopes = variables.iter().zip(features);
            let log = slopes.map(|(v, y)| v.transform.log_jacobian(f64::from(*y)));
            sum += weight * log.sum::<f64>();
            weights += weight;
        }
    }
    standardised - sum / weights
}
