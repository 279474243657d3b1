//! A ratio of two samples applied: from the events' weights to the files of predictions and
//! to every number of `metrics.json`.

mod measure;
mod region;
mod sums;

pub(super) use sums::column_factor;

use super::TrainedEnsemble;
use super::apply::{Applier, Combiner, Replicas};
use super::metrics::of_members;
use super::plan::Plan;
use super::predictions::PredictionWriter;
use super::sample::Sample;
use crate::error::{Context, Kind, Result};
use crate::events::{EventTable, PartOrder};
use crate::results::Metrics;
use crate::rundir::Stage;
use crate::settings::Method;
use crate::training::Member;
use std::path::Path;
use sums::{SourceSums, training_yields};

/// Predicts, measures and writes.
pub(super) fn predict(trained: TrainedEnsemble<'_>) -> Result<Metrics> {
    let TrainedEnsemble { plan, members, .. } = trained;
    let (compute, threads) = (trained.bench.compute, trained.bench.threads);
    let rows: u64 = plan.samples.iter().map(rows).sum();
    let ensemble = AppliedEnsemble {
        applier: Applier::new(compute, threads, &plan.network(), &plan.scaling, members)?,
        replicas: Replicas::new(plan.settings.split, plan.streams, members),
        plan,
        members,
        stage: trained.bench.stage("applying", rows),
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
    drop(ensemble.stage);
    let of_members = of_members(trained, ensemble.replicas.len());
    sums.metrics(of_members, &target_ratios, trained.bench)
}

/// Events of a sample that members are applied to; those in memory twice, if all are read from
/// its files as well.
fn rows(sample: &Sample) -> u64 {
    let streamed = sample.streamed.as_ref().map_or(0, |all| all.events);
    sample.table.len() as u64 + streamed
}

/// What makes a prediction file.
struct AppliedEnsemble<'a> {
    plan: &'a Plan,
    applier: Applier,
    replicas: Replicas,
    members: &'a [Member],
    /// A step an event.
    stage: Stage<'a>,
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
                self.stage.row(row);
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
            self.stage.row(row);
            let factor = column_factor(method, table.weights[row], yields);
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(&scaled, table.ids.key(row), in_training);
            writer.push(table, row, Some((event, &scaled)))
        })
    }
}
