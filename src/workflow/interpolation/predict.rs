//! From trained flows to predicted events and every number of `metrics.json`.

use super::super::Workbench;
use super::super::closure::{Component, Variations, compare};
use super::super::diagnostics::{loss_summary, member_summary};
use super::events::rebuild;
use super::plan::InterpolationPlan;
use super::points::{Drawn, Point, draw};
use super::write::SampleWriter;
use crate::closure::{EnsembleHistogram, Histogram, WeightSummary};
use crate::error::{Context, Error, Kind, Result, hint};
use crate::events::{Loss, LossKind, Losses};
use crate::files::atomic;
use crate::results::{
    FigureData, InterpolationMetrics, METRICS_FORMAT, Metrics, OutsideMetrics, RegionMetrics,
    Verdict, YieldMetrics, yield_test,
};
use crate::rundir::RunDirectory;
use crate::training::Member;
use indexmap::IndexMap;
use sideband_networks::{
    Compute, EVALUATION_CHUNK, Flow, FlowSampler, InputScaling, NetworkConfig, Row,
};

/// Somebody asked to stop, or the time is over.
pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted while samples were drawn")
}

/// More sampled events are lost than may be.
fn lost(what: &str, limit: f64) -> Error {
    let text = format!(
        "{what} That is more than data.max_loss = {limit}: choose transforms, expressions and \
         selections that have a value everywhere in the predicted part, train longer, or raise \
         data.max_loss"
    );
    Error::new(Kind::NoSamples, text)
}

pub(super) const DRAWING: &str = "drawing the samples";

/// Points that go through the flows at once.
const CHUNK: usize = EVALUATION_CHUNK;

/// Everything of one chunk of points, member after member.
pub(super) struct Piece {
    /// First point of the chunk.
    pub first: usize,
    pub members: Vec<MemberPiece>,
}

/// The events of one member that fall into a region.
pub(super) struct MemberPiece {
    /// Point of each, counted from the chunk's first.
    pub points: Vec<u32>,
    /// Regions of each, a bit each in the order of the plan's.
    pub flags: Vec<u64>,
    /// Plotted variables, `[variable][event]`.
    values: Vec<Vec<f64>>,
    /// All columns, `[column][event]`.
    pub columns: Vec<Vec<f64>>,
    /// Events with features that are not finite.
    dropped: u64,
    /// Events for which the selection of a region has no value, a number each.
    undecided: Vec<u64>,
}

/// Draws, predicts, measures and writes.
pub(crate) fn predict(
    plan: &InterpolationPlan,
    bench: Workbench<'_>,
    members: &[Member],
    failed: &[u32],
    directory: &RunDirectory,
) -> Result<Metrics> {
    let interpolation = plan.interpolation();
    (bench.say)(&format!(
        "{} Gaussian process(es), {} points each",
        interpolation.categories().len(),
        interpolation.samples
    ));
    let drawn = draw(plan, bench.threads, bench.interrupt)?;
    (bench.say)(&format!(
        "{} points through {} flows",
        drawn.points.len(),
        members.len()
    ));
    let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
    let NetworkConfig::Flow(flow) = &plan.settings.network else {
        unreachable!("an interpolation's network is a flow");
    };
    let flow = Flow::new(flow.clone());
    let scaling: InputScaling = plan.scaling.inputs();
    let sampler = bench
        .compute
        .guard(|| FlowSampler::new(bench.compute, &flow, &scaling, &rows))?;
    let mut sums = Sums::new(plan, &drawn, members.len());
    let path = directory.predictions().join("samples.parquet");
    let unwritten = |e: std::io::Error| {
        Error::internal(format!("{e}{}", hint(&e))).at("predictions/samples.parquet")
    };
    atomic::write_with(&path, unwritten, |file| {
        let mut writer = SampleWriter::new(file, plan, members)?;
        each_piece(plan, bench, &sampler, &drawn, &mut |piece| {
            sums.add(&piece);
            writer.push(&drawn, &piece)
        })?;
        writer.finish()
    })?;
    let figures = FigureData::new(plan, &sampler, &drawn, &sums.corner).of(Kind::Config)?;
    directory.write_compact(&directory.join("figures.json"), &figures)?;
    metrics(plan, members, failed, &drawn, sums)
}

/// Draws features for all points, chunk by chunk and in their order.
fn each_piece(
    plan: &InterpolationPlan,
    bench: Workbench<'_>,
    sampler: &FlowSampler,
    drawn: &Drawn,
    take: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<()> {
    let at_once = if bench.compute.is_cpu() {
        bench.threads.max(1)
    } else {
        1
    };
    let starts: Vec<usize> = (0..drawn.points.len()).step_by(CHUNK).collect();
    for group in starts.chunks(at_once) {
        if bench.interrupt.is_raised() {
            return Err(interrupted());
        }
        let pieces = std::thread::scope(|scope| {
            let handles: Vec<_> = group
                .iter()
                .map(|first| {
                    let last = (first + CHUNK).min(drawn.points.len());
                    let points = &drawn.points[*first..last];
                    let compute = bench.compute;
                    scope.spawn(move || piece(plan, compute, sampler, *first, points))
                })
                .collect();
            let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
                let died = |_| Error::internal("a thread panicked").at(DRAWING);
                handle.join().map_err(died)?
            };
            handles
                .into_iter()
                .map(join)
                .collect::<Result<Vec<Piece>>>()
        })?;
        for piece in pieces {
            take(piece)?;
        }
    }
    Ok(())
}

fn piece(
    plan: &InterpolationPlan,
    compute: &Compute,
    sampler: &FlowSampler,
    first: usize,
    points: &[Point],
) -> Result<Piece> {
    let noise: Vec<f32> = points.iter().flat_map(|p| noise(plan, *p)).collect();
    let context: Vec<f32> = points
        .iter()
        .flat_map(|p| plan.context(p.masses, p.category))
        .collect();
    // one thread a pool: no sum is divided by how many threads there are
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .at(Kind::Internal, DRAWING)?;
    let features = pool.install(|| compute.guard(|| sampler.sample(&noise, &context)))?;
    let members = features
        .chunks(noise.len().max(1))
        .map(|features| member_piece(plan, points, features).of(Kind::Config))
        .collect::<Result<_, _>>()?;
    Ok(Piece { first, members })
}

/// Standard normal noise `[D]` of a point: the same for every member, so that
/// their spread is that of the networks and not of the sampling.
pub(super) fn noise(plan: &InterpolationPlan, point: Point) -> impl Iterator<Item = f32> {
    let key = plan.streams.noise(point.category as u64, point.index);
    let mut stream = key.stream();
    let features = plan.interpolation().variables.len();
    (0..features.div_ceil(2))
        .flat_map(move |_| {
            // Box and Muller; 1 - u is never 0
            let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
            let angle = std::f64::consts::TAU * stream.uniform();
            [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
        })
        .take(features)
}

fn member_piece(
    plan: &InterpolationPlan,
    points: &[Point],
    features: &[f32],
) -> Result<MemberPiece> {
    let d = plan.interpolation().variables.len();
    let rebuilt = rebuild(plan, points, features)?;
    let mut flags = vec![0u64; points.len()];
    let mut undecided = Vec::with_capacity(plan.columns.regions.len());
    for (bit, (_, selection)) in plan.columns.regions.iter().enumerate() {
        let selected = selection.eval_chunk(&rebuilt.chunk)?;
        undecided.push(selected.iter().filter(|s| s.is_nan()).count() as u64);
        for (flags, selected) in flags.iter_mut().zip(selected.iter()) {
            *flags |= u64::from(*selected != 0.0 && !selected.is_nan()) << bit;
        }
    }
    plan.columns.hide(&rebuilt.chunk, &mut flags)?;
    let mut dropped = 0;
    for (row, flags) in flags.iter_mut().enumerate() {
        let finite = features[row * d..(row + 1) * d]
            .iter()
            .all(|x| x.is_finite())
            && rebuilt.columns.iter().all(|column| column[row].is_finite());
        if !finite {
            dropped += 1;
            *flags = 0;
        }
    }
    let kept: Vec<usize> = (0..points.len()).filter(|i| flags[*i] != 0).collect();
    let pick = |values: &[f64]| kept.iter().map(|i| values[*i]).collect::<Vec<f64>>();
    let variables = plan.columns.variables.iter();
    Ok(MemberPiece {
        values: variables
            .map(|compiled| Ok(pick(&compiled.eval_chunk(&rebuilt.chunk)?)))
            .collect::<Result<_>>()?,
        columns: rebuilt.columns.iter().map(|c| pick(c)).collect(),
        points: kept.iter().map(|i| *i as u32).collect(),
        flags: kept.iter().map(|i| flags[*i]).collect(),
        dropped,
        undecided,
    })
}

/// Sums over all samples.
struct Sums<'a> {
    plan: &'a InterpolationPlan,
    drawn: &'a Drawn,
    members: usize,
    regions: Vec<RegionSums>,
    corner: Vec<Vec<f32>>,
    dropped: u64,
    /// Sampled events in a region, and the sum of their weights.
    kept: (u64, f64),
    /// Sampled events for which a region's selection has no value.
    undecided: Vec<u64>,
    /// Samples without a value, by plotted variable.
    without_value: Vec<u64>,
}

/// Most sampled events that are kept for the corner plot.
const CORNER_EVENTS: usize = 4000;

struct RegionSums {
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

    /// Bin contents with other weights of the plane's bins.
    fn contents(&self, weight: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut contents = vec![0.0; self.bins];
        for (cell, counts) in self.counts.chunks(self.bins).enumerate() {
            if counts.iter().all(|c| *c == 0.0) {
                continue;
            }
            let weight = weight(cell);
            for (content, count) in contents.iter_mut().zip(counts) {
                *content += weight * count;
            }
        }
        contents
    }

    fn nominal(&self, drawn: &Drawn) -> Histogram {
        let bins = drawn.plane_bins;
        let weight = |cell: usize| drawn.categories[cell / bins].weight;
        Histogram {
            values: self.contents(weight),
            // members share their points and noise: as one member's samples
            variances: self.contents(|cell| weight(cell).powi(2)),
        }
    }

    /// Members, Gaussian process, and the number of events that all is scaled to.
    fn components(&self, drawn: &Drawn) -> Vec<Component> {
        let bins = drawn.plane_bins;
        let of = |cell: usize| (&drawn.categories[cell / bins], cell % bins);
        let mut list = vec![Component::members(self.members.clone())];
        let draws = drawn.categories.iter().map(|c| c.variations.len()).min();
        let draws = draws.unwrap_or(0);
        if draws > 1 {
            let mut contents = EnsembleHistogram::new(draws, self.bins);
            for draw in 0..draws {
                let weights = |cell: usize| {
                    let (category, bin) = of(cell);
                    category.variations[draw][bin]
                };
                for (bin, content) in self.contents(weights).into_iter().enumerate() {
                    contents.fill(draw, bin, content);
                }
            }
            list.push(Component {
                name: "gp".into(),
                variations: Variations::Draws(contents),
            });
        }
        let shift = |shifted: usize| {
            self.contents(|cell| {
                let category = &drawn.categories[cell / bins];
                let up = if cell / bins == shifted {
                    1.0 + category.relative_error
                } else {
                    1.0
                };
                category.weight * up
            })
        };
        list.push(Component {
            name: "normalisation".into(),
            variations: Variations::Shifts((0..drawn.categories.len()).map(shift).collect()),
        });
        list
    }
}

impl<'a> Sums<'a> {
    fn new(plan: &'a InterpolationPlan, drawn: &'a Drawn, members: usize) -> Self {
        let cells = drawn.categories.len() * drawn.plane_bins;
        let region = || RegionSums {
            total: BinSums::new(members, cells, 1),
            variables: plan
                .variables
                .iter()
                .map(|v| BinSums::new(members, cells, v.edges.bins()))
                .collect(),
            weights: Vec::new(),
        };
        Self {
            plan,
            drawn,
            members,
            regions: plan.columns.regions.iter().map(|_| region()).collect(),
            corner: vec![Vec::new(); plan.interpolation().variables.len()],
            dropped: 0,
            kept: (0, 0.0),
            without_value: vec![0; plan.variables.len()],
            undecided: vec![0; plan.columns.regions.len()],
        }
    }

    /// Sampled events without a decision, of all members together.
    fn losses(&self) -> Losses {
        let regions = self.plan.columns.regions.iter().zip(&self.undecided);
        let regions = regions.filter_map(|((index, _), events)| {
            let (name, _) = self.plan.config.regions.get_index(*index)?;
            (*events > 0).then(|| Loss {
                kind: LossKind::Region,
                name: format!("regions.{name}"),
                events: *events,
                weight: 0.0,
                first: None,
            })
        });
        Losses {
            sample: "sampled events".to_owned(),
            events: self.kept.0,
            weight: self.kept.1,
            lost: regions.collect(),
        }
    }

    fn add(&mut self, piece: &Piece) {
        let share = 1.0 / self.members as f64;
        let features = self.plan.columns.names.len();
        let first_feature = 2 + usize::from(self.plan.interpolation().category.is_some());
        for (member, events) in piece.members.iter().enumerate() {
            self.dropped += events.dropped;
            for (sum, undecided) in self.undecided.iter_mut().zip(&events.undecided) {
                *sum += undecided;
            }
            for (i, (point, flags)) in events.points.iter().zip(&events.flags).enumerate() {
                let point = self.drawn.points[piece.first + *point as usize];
                let weight = self.drawn.categories[point.category].weight;
                let cell = point.category * self.drawn.plane_bins + point.bin;
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
                        let value = events.values[k][i];
                        match self.plan.variables[k].edges.find(value) {
                            Some(bin) => sums.fill(member, cell, bin, weight, share),
                            None => self.without_value[k] += 1,
                        }
                    }
                }
                // the first region's samples, of one member after the other
                let kept = self.corner.first().map_or(0, Vec::len);
                if flags & 1 == 1 && kept < CORNER_EVENTS && member == i % self.members {
                    for (k, column) in self.corner.iter_mut().enumerate() {
                        debug_assert!(first_feature + k < features);
                        column.push(events.columns[first_feature + k][i] as f32);
                    }
                }
            }
        }
    }
}

fn metrics(
    plan: &InterpolationPlan,
    members: &[Member],
    failed: &[u32],
    drawn: &Drawn,
    sums: Sums<'_>,
) -> Result<Metrics> {
    let mut regions = IndexMap::new();
    for ((index, _), sums) in plan.columns.regions.iter().zip(&sums.regions) {
        let Some((name, config)) = plan.config.regions.get_index(*index) else {
            continue;
        };
        if sums.weights.is_empty() {
            let text = format!(
                "no sampled event falls into region {name}: of {} points {} lie in the predicted \
                 part of the plane. Check the region's selection against the holes and raise \
                 interpolation.samples",
                drawn.categories.iter().map(|c| c.samples[0]).sum::<u64>(),
                drawn.points.len()
            );
            return Err(Error::new(Kind::NoSamples, text));
        }
        let shown = plan.blinding.shows(*index);
        let label = config.label.clone().unwrap_or_else(|| name.clone());
        regions.insert(
            name.clone(),
            region(plan, drawn, sums, *index, label, shown),
        );
    }
    let count: f64 = drawn
        .categories
        .iter()
        .map(|c| c.weight * c.samples[1] as f64)
        .sum();
    let outside = WeightSummary::of(plan.sample.classes()[0].weights.iter().copied());
    let (observed, outside_error) = (outside.sum, outside.error);
    let loss = loss_summary(members);
    let losses = sums.losses();
    let limit = plan.config.data.max_loss;
    if let Some(loss) = losses.beyond(limit) {
        return Err(lost(&losses.sentence(loss), limit));
    }
    let all = (losses.events + sums.dropped).max(1) as f64;
    if sums.dropped as f64 > limit * all {
        let dropped = sums.dropped;
        let what = format!("{dropped} of {all} sampled events have features that are not finite.");
        return Err(lost(&what, limit));
    }
    let interpolation = InterpolationMetrics {
        categories: drawn.categories.iter().map(|c| c.metrics.clone()).collect(),
        negative_log_density: loss.validation_mean + jacobian(plan),
        dropped: sums.dropped,
        without_value: plan
            .variables
            .iter()
            .zip(&sums.without_value)
            .filter(|(_, samples)| **samples > 0)
            .map(|(variable, samples)| (variable.name.clone(), *samples))
            .collect(),
    };
    Ok(Metrics {
        format: METRICS_FORMAT,
        experiment: plan.config.experiment.name.clone(),
        training_region: plan.config.training.region.clone(),
        training_yields: [count, observed],
        // samples are scaled to the events
        training_errors: [outside_error, outside_error],
        support: None,
        verdict: Verdict::default(),
        members: member_summary(&plan.config, members, failed, members.len()),
        loss,
        losses: vec![plan.target.losses.clone(), losses],
        regions,
        planes: IndexMap::new(),
        interpolation: Some(interpolation),
    })
}

/// What the transforms and the standardisation add to the mean of -log p on the
/// validation fold.
fn jacobian(plan: &InterpolationPlan) -> f64 {
    let variables = &plan.interpolation().variables;
    let scales = plan.scaling.scale.iter().take(variables.len());
    let standardised: f64 = scales.map(|s| s.ln()).sum();
    let (mut sum, mut weights) = (0.0, 0.0);
    for (row, weight, key) in plan.sample.classes()[0].iter() {
        if plan.settings.split.fold(plan.streams, 0, key) != crate::training::Fold::Validation {
            continue;
        }
        let features = plan.sample.inputs().row(row as usize);
        let slopes = variables.iter().zip(features);
        let log: f64 = slopes
            .map(|(v, y)| v.transform.log_jacobian(f64::from(*y)))
            .sum();
        sum += weight * log;
        weights += weight;
    }
    standardised - sum / weights
}

fn region(
    plan: &InterpolationPlan,
    drawn: &Drawn,
    sums: &RegionSums,
    index: usize,
    label: String,
    shown: bool,
) -> RegionMetrics {
    let table = &plan.target.table;
    let rows: Option<Vec<usize>> = shown.then(|| plan.target.in_region(index).collect());
    let total = sums.total.nominal(drawn);
    let components = sums.total.components(drawn);
    let covariances = components.iter().map(|c| c.covariance(&total.values)[0][0]);
    let covariances: Vec<f64> = covariances.collect();
    let observed = rows
        .as_ref()
        .map(|rows| WeightSummary::of(rows.iter().map(|i| table.weights[*i])));
    let (after, stat) = (total.values[0], total.variances[0].sqrt());
    let spread = covariances.iter().sum::<f64>().sqrt();
    let mut yields = YieldMetrics {
        observed: observed.map(|o| o.sum),
        observed_error: observed.map(|o| o.error),
        before: None,
        before_stat: None,
        after,
        after_stat: stat,
        after_spread: spread,
        components: components
            .iter()
            .zip(&covariances)
            .map(|(c, variance)| (c.name.to_string(), variance.sqrt()))
            .collect(),
        raw_relative_spread: if after > 0.0 {
            covariances[0].sqrt() / after
        } else {
            0.0
        },
        ..YieldMetrics::default()
    };
    let all = WeightSummary::of(table.weights.iter().copied());
    yield_test(&mut yields, 0.0, all.error.powi(2) / all.sum);
    let variables = plan.variables.iter().zip(&sums.variables).map(|(v, sums)| {
        let observed = rows.as_ref().map(|rows| {
            let mut histogram = Histogram::new(v.edges.bins());
            let values = plan.target.column(&v.name).unwrap_or_default();
            for row in rows {
                if let Some(bin) = v.edges.find(values[*row]) {
                    histogram.fill(bin, table.weights[*row]);
                }
            }
            histogram
        });
        let (nominal, components) = (sums.nominal(drawn), sums.components(drawn));
        let metrics = compare(v, None, &nominal, &components, observed);
        (v.name.clone(), metrics)
    });
    RegionMetrics {
        label,
        // its events were trained on, but the samples are no part of them
        trained: false,
        blind: !shown,
        source_events: sums.weights.len(),
        target_events: rows.as_ref().map(Vec::len),
        outside: OutsideMetrics::default(),
        verdict: Verdict::default(),
        yields,
        weights: WeightSummary::of(sums.weights.iter().copied()),
        weight_distribution: (Vec::new(), Vec::new()),
        auc: None,
        calibration: Vec::new(),
        variables: variables.collect(),
    }
}
