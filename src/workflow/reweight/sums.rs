//! What the reweighted source adds up to, event by event.

use crate::settings::{Method, PlaneConfig};
use crate::statistics::{EnsembleHistogram, Histogram};
use crate::workflow::apply::{Predicted, Replicas};
use crate::workflow::metrics::values;
use crate::workflow::normalisation::Normalisation;
use crate::workflow::plan::{Plan, Variable};
use crate::workflow::sample::Sample;
use sideband_numerics::Edges;

/// Sums of weights in the training region, of source and target, that turn a weight into
/// a ratio of densities.
pub(super) fn training_yields(plan: &Plan) -> [f64; 2] {
    [0, 1].map(|class: usize| match &plan.stream {
        Some(stream) => stream.classes[class].total,
        None => plan.training.classes()[class].weights.iter().sum(),
    })
}

/// Their statistical errors.
pub(super) fn training_errors(plan: &Plan) -> [f64; 2] {
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
pub(in crate::workflow) fn column_factor(method: Method, weight: f64, yields: [f64; 2]) -> f64 {
    match method {
        // events: the weight that stands for the target's yield, or their own
        Method::Reweight | Method::Interpolate => weight,
        // the ratio of densities p_t / p_s itself
        Method::Ratio | Method::Measure | Method::Limit | Method::Mix => yields[0] / yields[1],
    }
}

/// What the reweighted source adds up to, filled event by event.
pub(super) struct SourceSums<'a> {
    pub(super) plan: &'a Plan,
    /// Number of the region that is trained on.
    pub(super) trained: usize,
    /// The distributions of a source event.
    values: Vec<Box<dyn Fn(usize) -> f64 + 'a>>,
    /// Factor that scales the source as a whole to the target.
    before_factor: f64,
    /// Nominal weight of every source event.
    pub(super) nominal: Vec<f64>,
    /// Of the training region: squared nominal weights, and squared weights scaled as a
    /// whole.
    squares: [f64; 2],
    /// How often each replica's resampling has an event; empty without bootstrap.
    resamplings: Vec<Box<dyn Fn(u64) -> u8>>,
    /// Each replica's weights in the training region, as they are and resampled.
    resampled: Vec<[f64; 2]>,
    pub(super) regions: Vec<ReweightedRegion>,
    pub(super) planes: Vec<ReweightedPlane>,
}

pub(super) struct ReweightedRegion {
    pub(super) variables: Vec<ReweightedVariable>,
    pub(super) total: EnsembleHistogram,
    pub(super) raw: Vec<f64>,
}

pub(super) struct ReweightedVariable {
    pub(super) before: Histogram,
    pub(super) after: Histogram,
    pub(super) members: EnsembleHistogram,
    /// Squared weights of the training region's events, scaled as a whole and reweighted.
    pub(super) shared: [Vec<f64>; 2],
}

/// The prediction in a plane.
pub(super) struct ReweightedPlane {
    pub(super) x: Edges,
    pub(super) y: Edges,
    pub(super) sums: Histogram,
    /// Weight that lies in none of the bins.
    pub(super) outside: f64,
}

impl<'a> SourceSums<'a> {
    pub(super) fn new(plan: &'a Plan, replicas: &Replicas) -> Self {
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
    pub(super) fn push(&mut self, event: Predicted, replicas: &[f64], raw: &[f64]) {
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
    pub(super) fn enters(&self, sample: &Sample, row: usize) -> bool {
        let (split, streams) = (&self.plan.settings.split, self.plan.streams);
        !sample.is_in(row, self.trained) || split.is_diagnostic(streams, sample.table.ids.key(row))
    }

    /// Counting errors of the training region, with every source event added.
    pub(super) fn normalisation(&self) -> Normalisation {
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

    /// Weight of a source event, scaled as a whole.
    pub(super) fn before(&self, row: usize) -> f64 {
        self.plan.source().table.weights[row] * self.before_factor
    }
}

impl ReweightedPlane {
    /// Bin of an event; none outside.
    pub(super) fn bin(&self, sample: &Sample, config: &PlaneConfig, row: usize) -> Option<usize> {
        let at = |axis: &str, edges: &Edges| {
            let value = sample.column(&format!("{}:{axis}", config.name))?[row];
            let (low, high) = (edges.values()[0], edges.values()[edges.bins()]);
            (low..=high).contains(&value).then(|| edges.find(value))?
        };
        Some(at("x", &self.x)? * config.bins + at("y", &self.y)?)
    }
}
