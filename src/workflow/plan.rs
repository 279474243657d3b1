//! The plan: the configuration checked against the data, whole, before any
//! training.

use super::events::{FeatureValues, Sample, Wanted, inputs};
use super::variables::{self, Variable};
use crate::error::{Error, Result};
use crate::events::{Loss, LossKind, memory};
use crate::settings::{Blinding, Config, Method, SampleRole};
use crate::training::{
    ClassRows, FeatureScaling, Inputs, SplitSettings, StreamSource, Streams, Task, TrainingSample,
    TrainingSettings,
};
use sideband_networks::{MlpConfig, Network};
use std::path::Path;
use std::sync::Arc;

/// A class whose weights do not add up to something positive.
pub(super) fn no_weight(role: &str, sum: f64) -> Error {
    Error::data(format!(
        "`data.{role}.weight`: the weights in the training region add up to {sum}; a density needs \
         a positive sum"
    ))
}

/// A blind region that reaches into the training region; `events` are in both, no number
/// of target events.
pub(super) fn blind_overlap(blind: &str, training: &str, events: &str) -> Error {
    Error::config(format!(
        "`regions.{blind}`: {events} are in this blind region and in the training region \
         `{training}`; without their target events nothing can be learned there. Exclude the \
         blind region from the training region's selection"
    ))
}

/// More rows than the program addresses.
pub(super) fn too_many(events: usize) -> Error {
    Error::data(format!(
        "{events} events in the training region; at most 2147483647 are supported"
    ))
}

/// How a plan is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlanOptions {
    /// Look at target events of blind regions.
    pub unblind: bool,
}

/// A configuration that fits its data, with the data.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Name of the ensemble.
    pub ensemble: String,
    pub config: Config,
    /// What may be looked at.
    pub blinding: Blinding,
    /// Events to be reweighted.
    pub source: Sample,
    /// Events to be predicted.
    pub target: Sample,
    /// Inputs and their standardisation.
    pub scaling: FeatureScaling,
    /// Distributions to compare.
    pub variables: Vec<Variable>,
    /// How members are trained.
    pub settings: TrainingSettings,
    /// Events of the training region.
    pub sample: TrainingSample,
    /// Streams of the ensemble.
    pub streams: Streams,
    /// Where training reads its events from, if they are more than memory holds.
    pub stream: Option<StreamSource>,
}

impl Plan {
    /// Reads the data and checks everything that a run needs.
    pub(crate) fn new(
        ensemble: &str,
        config: Config,
        base: &Path,
        options: PlanOptions,
    ) -> Result<Self> {
        let inputs = inputs(&config);
        let wanted = Wanted {
            features: inputs.clone(),
            columns: variables::columns(&config),
            exact: config.features.inputs.len(),
            ..Wanted::default()
        };
        let blinding = Blinding::new(&config.regions, options.unblind);
        let load = |role, sample, events| {
            Sample::load(role, &config, sample, &wanted, base, (&blinding, events))
        };
        let source = config.data.source.as_ref();
        let source = load(
            ("source", "data.source"),
            source.expect("the method's check asks for it"),
            SampleRole::Model,
        )?;
        let target = &config.data.target;
        let mut target = load(("target", "data.target"), target, SampleRole::Data)?;
        let shared = shared_keys(&source, &target)?;
        target.losses.lost.extend(shared);
        check_builtins(&source, &target)?;
        check_builtins(&target, &source)?;
        check_blinding(&config, &blinding, &source)?;
        check_selections(&config, &[&source, &target], &blinding)?;

        let region = region_index(&config, &config.training.region);
        let settings = settings(&config, inputs.len());
        let streams = Streams::new(config.experiment.seed, ensemble);
        let scaling = scaling(
            &config,
            &inputs,
            region,
            &settings,
            streams,
            &[&source, &target],
        )?;
        let variables = variables::variables(&config, &inputs, &source)?;
        let sample = training_sample(region, &source, &target)?;
        for (role, class) in sample.named_classes() {
            let sum: f64 = class.weights.iter().sum();
            if sum <= 0.0 {
                return Err(no_weight(role, sum));
            }
        }
        let stream = match (&config.data.stream, &source.rest, &target.rest) {
            (Some(stream), Some(source), Some(target)) => Some(StreamSource {
                classes: [source.training.clone(), target.training.clone()],
                window: stream.window,
                options: source.options,
            }),
            _ => None,
        };
        if let Some(stream) = &stream {
            for (role, class) in ["source", "target"].into_iter().zip(&stream.classes) {
                if class.rows == 0 || class.weight <= 0.0 {
                    return Err(no_weight(role, class.weight));
                }
            }
        }
        Ok(Self {
            ensemble: ensemble.to_owned(),
            blinding,
            config,
            source,
            target,
            scaling,
            variables,
            settings,
            sample,
            streams,
            stream,
        })
    }

    /// Number of the region that is trained on.
    #[must_use]
    pub(crate) fn training_region(&self) -> usize {
        region_index(&self.config, &self.config.training.region)
    }

    /// The regions: number, name, label, and whether target events are shown.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (usize, &str, &str, bool)> {
        self.config
            .regions
            .iter()
            .enumerate()
            .map(|(i, (name, r))| {
                let label = r.label.as_deref().unwrap_or(name);
                (i, name.as_str(), label, self.blinding.shows(i))
            })
    }

    /// The network of a member.
    #[must_use]
    pub(crate) fn network(&self) -> Network {
        Network::new(self.settings.network.clone())
    }

    /// What is trained.
    #[must_use]
    pub(crate) fn task(&self) -> Task<'_> {
        Task {
            sample: &self.sample,
            settings: &self.settings,
            seed: self.config.experiment.seed,
            ensemble: &self.ensemble,
            features: &self.scaling,
            stream: self.stream.as_ref(),
        }
    }
}

/// Target events whose key a source event has as well.
fn shared_keys(source: &Sample, target: &Sample) -> Result<Option<Loss>> {
    let keys = source.table.ids.sorted_keys();
    let keys = keys.map_err(|e| e.at_key("data.source"))?;
    let shared = target.table.ids.keys();
    let shared = shared.filter(|key| keys.binary_search(key).is_ok()).count();
    // samples of both are drawn by the same number of a key
    let share = |sample: &Sample| sample.rest.as_ref().map_or(1.0, |rest| rest.training.share);
    let events = (shared as f64 / share(source).min(share(target))).round() as u64;
    Ok((events > 0).then(|| Loss {
        kind: LossKind::SharedId,
        name: "data.target.id".to_owned(),
        events,
        weight: 0.0,
        first: None,
    }))
}

pub(super) fn region_index(config: &Config, name: &str) -> usize {
    config
        .regions
        .get_index_of(name)
        .expect("the configuration was checked to name a region")
}

pub(super) fn settings(config: &Config, inputs: usize) -> TrainingSettings {
    let (m, t) = (&config.model, &config.training);
    TrainingSettings {
        network: MlpConfig {
            inputs,
            hidden: m.hidden.clone(),
            activation: m.activation,
            dropout: m.dropout,
            batch_norm: m.batch_norm,
        }
        .into(),
        objective: config.experiment.method.objective(),
        normalise: t.normalise,
        optimizer: t.optimizer,
        learning_rate: t.learning_rate,
        schedule: t.schedule,
        gradient_clip: t.gradient_clip,
        l2: t.l2,
        batch: t.batch,
        epochs: t.epochs,
        patience: t.patience,
        retries: t.retries,
        bootstrap: config.ensemble.bootstrap,
        split: SplitSettings {
            split: t.split,
            held_out: t.held_out,
            validation: t.validation,
            folds: t.folds,
        },
    }
}

/// Whether the samples and all of their regions have events.
pub(super) fn check_selections(
    config: &Config,
    samples: &[&Sample],
    blinding: &Blinding,
) -> Result<()> {
    for sample in samples {
        let empty = |key: String| {
            let reason = format!(
                "no event of the {} is selected (of {} rows in {}); widen the selection or check \
                 the files",
                sample.role,
                sample.table.report.rows_read,
                files(sample)
            );
            Error::data_at(key, reason)
        };
        if sample.table.is_empty() {
            return Err(empty(format!("data.{}.selection", sample.role)));
        }
        for (i, name) in config.regions.keys().enumerate() {
            let hidden = sample.role == "target" && !blinding.shows(i);
            if !hidden && sample.count(i, i)[0] == 0 {
                return Err(empty(format!("regions.{name}.selection")));
            }
        }
    }
    Ok(())
}

/// A built-in column is computed for both samples, or read from both.
fn check_builtins(computed: &Sample, stored: &Sample) -> Result<()> {
    let Some(name) = computed.computed.intersection(&stored.stored).next() else {
        return Ok(());
    };
    let reason = format!(
        "`{name}` is a column of the {} and is computed for the {}, which has none: one name, two \
         meanings. Give both samples the column, or neither",
        stored.role, computed.role
    );
    let key = format!("data.{}", stored.role);
    Err(Error::config_at(key, reason))
}

/// Also when unblinded: members must not depend on that.
fn check_blinding(config: &Config, blinding: &Blinding, source: &Sample) -> Result<()> {
    let training = region_index(config, &config.training.region);
    for (index, name) in blinding.blind_regions() {
        let [_, events] = source.count(index, training);
        if events > 0 {
            let events = format!("{events} source events");
            return Err(blind_overlap(name, &config.training.region, &events));
        }
    }
    Ok(())
}

fn files(sample: &Sample) -> String {
    match sample.files.as_slice() {
        [one] => one.path.clone(),
        [first, .., last] => {
            format!(
                "{} files, {} to {}",
                sample.files.len(),
                first.path,
                last.path
            )
        }
        [] => "no file".to_owned(),
    }
}

/// Mean and standard deviation of each input over the training region, all
/// classes at equal weight, from events that no diagnostic uses.
pub(super) fn scaling(
    config: &Config,
    inputs: &[(String, String)],
    region: usize,
    settings: &TrainingSettings,
    streams: Streams,
    samples: &[&Sample],
) -> Result<FeatureScaling> {
    let width = inputs.len();
    let training_rows = |sample: &&Sample| -> Result<Vec<usize>> {
        let held_out = |i: usize| {
            config.training.split != crate::settings::Split::Folds
                && settings
                    .split
                    .holds_out(streams, 0, sample.table.ids.key(i))
        };
        let mut rows = reserved(sample.table.len())?;
        rows.extend(sample.trained(region).filter(|i| !held_out(*i)));
        Ok(rows)
    };
    let rows: Vec<Vec<usize>> = samples
        .iter()
        .map(training_rows)
        .collect::<Result<_, _>>()?;
    let events: usize = rows.iter().map(Vec::len).sum();
    // each class has the same share of the weight
    let each = |visit: &mut dyn FnMut(usize, f64, f64)| {
        for (sample, rows) in samples.iter().zip(&rows) {
            let named = inputs.iter().enumerate();
            let values = named.map(|(k, (name, _))| sample.feature(k, name));
            let values: Vec<FeatureValues<'_>> = values.collect();
            let share = 1.0 / (samples.len() * rows.len().max(1)) as f64;
            for row in rows {
                for (k, values) in values.iter().enumerate() {
                    visit(k, values.at(*row), share);
                }
            }
        }
    };
    let mut mean = vec![0.0; width];
    let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); width];
    each(&mut |k, x, share| {
        mean[k] += share * x;
        range[k] = (range[k].0.min(x), range[k].1.max(x));
    });
    let one_of = |sample: &Sample, rows: &[usize], k: usize| -> Option<f64> {
        let feature = sample.feature(k, &inputs[k].0);
        let mut values = rows.iter().map(|row| feature.at(*row));
        let first = values.next()?;
        (rows.len() > 1 && values.all(|x| x == first)).then_some(first)
    };
    let mut variance = vec![0.0; width];
    // what is lost when a value is rounded to what a network reads
    let mut rounding = vec![0.0_f64; width];
    each(&mut |k, x, share| {
        variance[k] += share * (x - mean[k]).powi(2);
        rounding[k] = rounding[k].max((x - f64::from(x as f32)).abs());
    });
    for (k, (name, _)) in inputs.iter().enumerate() {
        // also when no event is left: then a fold is empty, said later
        if range[k].0 == range[k].1 {
            return Err(Error::data(format!(
                "`features.inputs`: `{name}` is {} for all {events} events of the training region; \
                 remove it or widen the region",
                range[k].0
            )));
        }
        // a category may have no target event: the ratio is small there
        let is_listed = k < config.features.inputs.len();
        for (sample, rows) in samples.iter().zip(&rows) {
            if samples.len() > 1
                && (is_listed || sample.role == "source")
                && let Some(value) = one_of(sample, rows, k)
            {
                let key = match is_listed {
                    true => "features.inputs",
                    false => "features.one_hot",
                };
                let (events, role) = (rows.len(), sample.role);
                let reason = format!(
                    "`{name}` is {value} for all {events} events of data.{role} in the training \
                     region and has other values in the other sample: the classes are told apart \
                     by it, and no ratio exists. Remove it, or check the files of data.{role}"
                );
                return Err(Error::data_at(key, reason));
            }
        }
    }
    let scale: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
    for (k, (name, _)) in inputs.iter().enumerate() {
        check_resolution(config, name, (mean[k], scale[k]), rounding[k])?;
    }
    Ok(FeatureScaling {
        expressions: inputs.iter().map(|(_, text)| text.clone()).collect(),
        definitions: config
            .data
            .define
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        mean,
        scale,
    })
}

/// Largest rounding of a value to 32 bits, in standard deviations.
const COARSE: f64 = 1e-3;

/// Whether a feature survives in 32 bits: its values keep their differences, and its
/// standardisation is a number.
fn check_resolution(
    config: &Config,
    name: &str,
    (mean, scale): (f64, f64),
    rounding: f64,
) -> Result<()> {
    let factor = (1.0 / scale) as f32;
    let what = if rounding > COARSE * scale {
        format!("values are rounded by up to {rounding:e}")
    } else if !factor.is_normal() || !(mean as f32).is_finite() {
        format!("1 / {scale:e} or {mean:e} is none of them")
    } else {
        return Ok(());
    };
    let hint = if mean.abs() > scale {
        format!("`({name}) - ({mean:.3e})`")
    } else {
        format!("`({name}) / {scale:.3e}`")
    };
    let key = match config.interpolation {
        Some(_) => "interpolation.variables",
        None => "features.inputs",
    };
    let reason = format!(
        "`{name}` varies by {scale:e} around {mean:e}, which the networks' 32-bit numbers cannot \
         hold: {what}. Write {hint} in its place"
    );
    Err(Error::data_at(key, reason))
}

/// An empty list with room for `length` values.
fn reserved<T>(length: usize) -> Result<Vec<T>> {
    memory::reserved(length).map_err(|e| e.at_key("data"))
}

fn training_sample(region: usize, source: &Sample, target: &Sample) -> Result<TrainingSample> {
    let width = source.table.n_features;
    let count = |sample: &Sample| sample.trained(region).count();
    let all = count(source) + count(target);
    let mut inputs = Inputs::new(reserved(all.saturating_mul(width))?, width);
    let mut class_of = |sample: &Sample| {
        let events = count(sample);
        let mut class = ClassRows {
            rows: reserved(events)?,
            weights: reserved(events)?,
            keys: reserved(events)?,
        };
        for row in sample.trained(region) {
            class.rows.push(inputs.push(sample.features(row)) as u32);
            class.weights.push(sample.table.weights[row]);
            class.keys.push(sample.table.ids.key(row));
        }
        Ok::<_, Error>(class)
    };
    let classes = [class_of(source)?, class_of(target)?];
    let [source, target] = classes;
    let events = source.len() + target.len();
    if events > i32::MAX as usize {
        return Err(too_many(events));
    }
    Ok(TrainingSample::new(Arc::new(inputs), source, target))
}

impl Method {
    /// The word for what is learned, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Reweight => "reweighting, exponential loss",
            Self::Ratio => "density ratio, binary cross-entropy",
            Self::Interpolate => "interpolation, Gaussian process and conditional flow",
            Self::Measure => "measurement with density ratios",
        }
    }
}
