//! All numbers of `metrics.json` from what the reweighted source adds up to.

use super::region::RegionRows;
use super::sums::{ReweightedPlane, SourceSums, training_errors, training_yields};
use crate::error::Result;
use crate::events::HIDDEN;
use crate::results::{AucPair, Metrics, PlaneMetrics, RegionMetrics, Support};
use crate::rundir::Stage;
use crate::settings::PlaneConfig;
use crate::statistics::{CalibrationPoint, Histogram, WeightSummary, calibration, class_loss};
use crate::workflow::Workbench;
use crate::workflow::classifier::{ClassifierClass, closure_auc, trainings};
use crate::workflow::plan::Plan;
use crate::workflow::support::outside;
use indexmap::IndexMap;

const CALIBRATION_BINS: usize = 12;

impl SourceSums<'_> {
    /// All numbers, once every source event has been added, with those of the members.
    pub(super) fn metrics(
        self,
        of_members: Metrics,
        target_ratios: &[f64],
        bench: Workbench<'_>,
    ) -> Result<Metrics> {
        let plan = self.plan;
        let normalisation = self.normalisation();
        let support = Support::of(plan);
        let mut regions = IndexMap::new();
        let mut of_members = of_members;
        let holds_out = plan.config.training.holds_out();
        let shown = plan.regions().filter(|(.., shown)| *shown).count() as u64;
        let trainings = 2 * shown * trainings(plan);
        let stage = (trainings > 0).then(|| bench.stage("classifying", trainings));
        for ((index, name, shown), sums) in plan.regions().zip(&self.regions) {
            let rows = self.rows(index, shown, &normalisation);
            if rows.source.is_empty() && !holds_out {
                // all of its events are trained on
                continue;
            }
            if index == self.trained {
                of_members.loss.held_out = self.held_out_loss(&rows, target_ratios);
            }
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
                if let Some(stage) = &stage {
                    (bench.say)(&format!("classifier of source against target in {name}"));
                    let bench = (bench, stage);
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

    /// Loss of the nominal ratio of densities on events that no member has seen, or with folds
    /// out of fold.
    fn held_out_loss(&self, rows: &RegionRows<'_>, target_ratios: &[f64]) -> Option<[f64; 2]> {
        let plan = self.plan;
        let [source, target] = training_yields(plan);
        let shift = (source / target).ln();
        let weights = &plan.source().table.weights;
        let of_source = rows.source.iter().filter(|i| weights[**i] != 0.0);
        let of_source: Vec<(f64, f64)> = of_source
            .map(|i| ((self.nominal[*i] / weights[*i]).ln() + shift, weights[*i]))
            .collect();
        let weights = &plan.target().table.weights;
        let of_target = rows.target.as_ref()?.iter();
        let of_target: Vec<(f64, f64)> = of_target
            .map(|i| (target_ratios[*i].ln() + shift, weights[*i]))
            .collect();
        let objective = plan.config.experiment.method.objective();
        let loss = class_loss([&of_source, &of_target], |q| objective.value(q, 1.0));
        loss.iter().all(|x| x.is_finite()).then_some(loss)
    }

    fn auc_pair(
        &self,
        name: &str,
        source: &[usize],
        target: &[usize],
        (bench, stage): (Workbench<'_>, &Stage<'_>),
    ) -> Result<Option<AucPair>> {
        let plan = self.plan;
        let of_target = &plan.target().table.weights;
        let of_target = ClassifierClass::new(plan.target(), target, of_target);
        let run = |what: &str, weights: &[f64]| {
            let of_source = ClassifierClass::new(plan.source(), source, weights);
            let name = format!("closure/{name}/{what}");
            closure_auc(plan, (bench, stage), &name, &of_source, &of_target)
        };
        let before = run("before", &plan.source().table.weights)?;
        let after = run("after", &self.nominal)?;
        let pair = before.zip(after);
        Ok(pair.map(|(before, after)| AucPair { before, after }))
    }
}

impl ReweightedPlane {
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
        PlaneMetrics {
            labels: config.labels(),
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
