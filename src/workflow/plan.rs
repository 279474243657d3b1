//! The plan: the configuration checked against the data, whole, before any
//! training.

use super::interpolation::{self, Plane};
use super::members::training_settings;
use super::sample::{
    Meanings, Sample, SampleSpec, Wanted, blind_overlap, inputs, read_samples, region_index,
    report_columns,
};
use crate::error::{Error, Result};
use crate::events::{Loss, LossKind, memory};
use crate::settings::{Bins, Blinding, Config, Method, SampleRole, Split};
use crate::statistics::WeightSummary;
use crate::training::{
    ClassRows, FeatureScaling, Fold, Inputs, StreamSource, Streams, Task, TrainingSample,
    TrainingSettings, check_folds,
};
use sideband_networks::Network;
use sideband_numerics::{Edges, NumericsError};
use std::sync::Arc;

/// An ensemble whose configuration fits its data, with the data.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Name of the ensemble.
    pub ensemble: String,
    pub config: Config,
    /// What may be looked at.
    pub blinding: Blinding,
    /// Source and target; of an interpolation the target alone.
    pub samples: Vec<Sample>,
    /// Inputs and their standardisation.
    pub scaling: FeatureScaling,
    /// Distributions to compare.
    pub variables: Vec<Variable>,
    /// How members are trained.
    pub settings: TrainingSettings,
    /// Events of the training region.
    pub training: TrainingSample,
    pub streams: Streams,
    /// Where training reads its events from, if they are more than memory holds.
    pub stream: Option<StreamSource>,
    /// What an interpolation has beside that.
    pub plane: Option<Plane>,
}

impl Plan {
    /// Reads the data and checks everything that a run needs. `unblind`: look at target
    /// events of blind regions. `earlier`: samples of another plan, of which what is the
    /// same is not read again.
    pub(crate) fn new(
        ensemble: &str,
        config: Config,
        unblind: bool,
        earlier: Vec<Sample>,
    ) -> Result<Self> {
        let blinding = Blinding::new(&config.regions, unblind);
        let plane = match config.experiment.method {
            Method::Interpolate => Some(Plane::new(&config, &blinding)?),
            Method::Reweight | Method::Ratio | Method::Measure | Method::Limit | Method::Mix => {
                None
            }
        };
        let wanted = match &plane {
            Some(_) => interpolation::wanted(&config),
            None => Wanted {
                features: inputs(&config),
                columns: report_columns(&config),
                exact: config.features.inputs.len(),
                ..Wanted::default()
            },
        };
        let of_source = match &plane {
            Some(_) => None,
            None => Some(&config.data.source),
        };
        let source = of_source.map(|source| {
            let sample = source.as_ref().expect("the method's check asks for it");
            ("source", "data.source", sample, SampleRole::Model)
        });
        let target = &config.data.target;
        let target = ("target", "data.target", target, SampleRole::Data);
        let open = |(role, place, sample, whose)| {
            let spec = SampleSpec {
                role,
                place,
                sample,
                whose,
            };
            spec.open(&config, &wanted, &blinding)
        };
        let opened = source.into_iter().chain([target]).map(open);
        let samples = read_samples(opened.collect(), earlier)?;
        let mut plan = Self {
            ensemble: ensemble.to_owned(),
            samples,
            settings: training_settings(&config, wanted.features.len()),
            streams: Streams::new(config.experiment.seed, ensemble),
            scaling: FeatureScaling::default(),
            variables: Vec::new(),
            training: TrainingSample::of(Arc::default(), Vec::new()),
            stream: None,
            blinding,
            plane,
            config,
        };
        if let [source, target] = plan.samples.as_mut_slice() {
            target.losses.lost.extend(shared_keys(source, target)?);
        }
        plan.check_pair()?;
        plan.check_selections()?;
        plan.check_plane()?;
        plan.scaling = plan.standardise(&wanted.features)?;
        let is_plane = plan.plane.is_some();
        let binned = if is_plane { &[] } else { &wanted.features[..] };
        plan.variables = variables(&plan.config, binned, &plan.samples[0])?;
        plan.training = plan.training_sample()?;
        for (role, class) in plan.training.named_classes() {
            has_weight(role, class.weights.iter().sum())?;
        }
        plan.check_density()?;
        plan.stream = plan.stream_source()?;
        Ok(plan)
    }

    /// Events to be reweighted.
    pub(crate) fn source(&self) -> &Sample {
        &self.samples[0]
    }

    /// Events to be predicted.
    pub(crate) fn target(&self) -> &Sample {
        &self.samples[self.samples.len() - 1]
    }

    /// Number of the region that is trained on.
    pub(crate) fn training_region(&self) -> usize {
        region_index(&self.config, &self.config.training.region)
    }

    /// The regions: number, name, and whether target events are shown.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let regions = self.config.regions.keys().enumerate();
        regions.map(|(i, name)| (i, name.as_str(), self.blinding.shows(i)))
    }

    /// How a region is called in plots.
    pub(super) fn label(&self, region: &str) -> String {
        self.config.region_label(region).to_owned()
    }

    /// The network of a member.
    pub(crate) fn network(&self) -> Network {
        Network::new(self.settings.network.clone())
    }

    /// What is trained.
    pub(crate) fn task(&self) -> Task<'_> {
        Task {
            sample: &self.training,
            settings: &self.settings,
            seed: self.config.experiment.seed,
            ensemble: &self.ensemble,
            features: &self.scaling,
            stream: self.stream.as_ref(),
        }
    }

    /// Events of one class in each fold of member 0: training, validation, held
    /// out.
    pub(crate) fn fold_counts(&self, class: usize) -> [usize; 3] {
        let mut counts = [0; 3];
        for key in &self.training.classes()[class].keys {
            let fold = self.settings.split.fold(self.streams, 0, *key);
            counts[match fold {
                Fold::Training => 0,
                Fold::Validation => 1,
                Fold::HeldOut => 2,
            }] += 1;
        }
        counts
    }

    /// Whether the folds of members have events of every class. Those of one id are in one
    /// fold: where most share theirs, that is said.
    pub(super) fn check_folds(&self, members: &[u32]) -> Result<()> {
        check_folds(&self.task(), members).map_err(|error| {
            let samples = self.samples.iter().map(|sample| &sample.losses);
            let shared = samples.flat_map(|losses| {
                let ids = losses.lost.iter().filter(|loss| loss.kind == LossKind::Id);
                let most = ids.filter(move |loss| losses.share(loss) > 0.5);
                most.map(move |loss| losses.sentence(loss))
            });
            let shared = shared.map(|text| format!(". {}", text.trim_end_matches('.')));
            let shared: String = shared.collect();
            error.map(|message| message + &shared)
        })
    }

    /// Bytes of the events in the program's memory.
    pub(crate) fn event_bytes(&self) -> u64 {
        let table = |s: &Sample| {
            let row = 4 * s.table.n_features + 8 * (s.table.columns.len() + 4);
            (s.table.len() * row) as u64
        };
        let matrix = 4 * self.training.inputs().as_slice().len() as u64;
        let tables: u64 = self.samples.iter().map(table).sum();
        tables + matrix + 20 * self.training.len() as u64
    }

    /// Summary of a sample's weights in a region.
    pub(crate) fn region_weights(&self, sample: &Sample, region: usize) -> WeightSummary {
        WeightSummary::of(sample.in_region(region).map(|i| sample.table.weights[i]))
    }

    /// Places in the files of each class's training events, in the order of the
    /// training sample.
    pub(super) fn places(&self) -> Vec<Vec<u64>> {
        let region = self.training_region();
        let of = |sample: &Sample| {
            let rows = sample.trained(region);
            rows.map(|row| sample.table.ids.place(row)).collect()
        };
        self.samples.iter().map(of).collect()
    }

    /// Whether source and target go together; an interpolation has no source.
    fn check_pair(&self) -> Result<()> {
        let [source, target] = self.samples.as_slice() else {
            return Ok(());
        };
        let mut meanings = Meanings::default();
        meanings.add("data.source", source)?;
        meanings.add("data.target", target)?;
        // also when unblinded: members must not depend on that
        for (index, name) in self.blinding.blind_regions() {
            let [_, events] = source.count(index, self.training_region());
            if events > 0 {
                let events = format!("{events} source events");
                return Err(blind_overlap(name, &self.config, &events));
            }
        }
        Ok(())
    }

    /// Whether the samples and all of their regions have events.
    fn check_selections(&self) -> Result<()> {
        for sample in &self.samples {
            let empty = |key: String| {
                let reason = format!(
                    "no event of the {} is selected (of {} rows in {}); widen the selection or \
                     check the files",
                    sample.role,
                    sample.table.report.rows_read,
                    files(sample)
                );
                Error::data_at(key, reason)
            };
            if sample.table.is_empty() {
                return Err(empty(format!("data.{}.selection", sample.role)));
            }
            for (i, name, shown) in self.regions() {
                let hidden = sample.role == "target" && !shown;
                if !hidden && sample.count(i, i)[0] == 0 {
                    return Err(empty(format!("regions.{name}.selection")));
                }
            }
        }
        Ok(())
    }

    /// Mean and standard deviation of each input over the training region, all
    /// classes at equal weight, from events that no diagnostic uses.
    fn standardise(&self, inputs: &[(String, String)]) -> Result<FeatureScaling> {
        let (config, samples) = (&self.config, &self.samples);
        let width = inputs.len();
        let training_rows = |sample: &Sample| -> Result<Vec<usize>> {
            let held_out = |i: &usize| {
                let (split, key) = (self.settings.split, sample.table.ids.key(*i));
                split.split != Split::Folds && split.holds_out(self.streams, 0, key)
            };
            let mut rows = reserved(sample.table.len())?;
            let trained = sample.trained(self.training_region());
            rows.extend(trained.filter(|i| !held_out(i)));
            Ok(rows)
        };
        let rows = samples.iter().map(training_rows);
        let rows: Vec<Vec<usize>> = rows.collect::<Result<_>>()?;
        // each class has the same share of the weight
        let each = |visit: &mut dyn FnMut(usize, f64, f64)| {
            for (sample, rows) in samples.iter().zip(&rows) {
                let named = inputs.iter().enumerate();
                let values: Vec<_> = named
                    .map(|(k, (name, _))| sample.feature(k, name))
                    .collect();
                let share = 1.0 / (samples.len() * rows.len().max(1)) as f64;
                for row in rows {
                    for (k, value) in values.iter().enumerate() {
                        visit(k, value(*row), share);
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
                let events: usize = rows.iter().map(Vec::len).sum();
                return Err(Error::data_at(
                    "features.inputs",
                    format!(
                        "`{name}` is {} for all {events} events of the training region; remove it \
                         or widen the region",
                        range[k].0
                    ),
                ));
            }
            // a category may have no target event: the ratio is small there
            let is_listed = k < config.features.inputs.len();
            for (sample, rows) in samples.iter().zip(&rows) {
                if samples.len() == 1 || !is_listed && sample.role != "source" {
                    continue;
                }
                let value = sample.feature(k, name);
                let mut values = rows.iter().map(|row| value(*row));
                let Some(first) = values.next() else { continue };
                if rows.len() > 1 && values.all(|x| x == first) {
                    let key = match is_listed {
                        true => "features.inputs",
                        false => "features.one_hot",
                    };
                    let (events, role) = (rows.len(), sample.role);
                    let reason = format!(
                        "`{name}` is {first} for all {events} events of data.{role} in the \
                         training region and has other values in the other sample: the classes \
                         are told apart by it, and no ratio exists. Remove it, or check the files \
                         of data.{role}"
                    );
                    return Err(Error::data_at(key, reason));
                }
            }
        }
        let scale: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
        for (k, (name, _)) in inputs.iter().enumerate() {
            self.check_resolution(name, mean[k], scale[k], rounding[k])?;
        }
        Ok(FeatureScaling {
            expressions: inputs.iter().map(|(_, text)| text.clone()).collect(),
            definitions: config.data.define.clone().into_iter().collect(),
            mean,
            scale,
        })
    }

    /// Whether a feature survives in 32 bits: its values keep their differences, and its
    /// standardisation is a number.
    fn check_resolution(&self, name: &str, mean: f64, scale: f64, rounding: f64) -> Result<()> {
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
        let key = match self.config.interpolation {
            Some(_) => "interpolation.variables",
            None => "features.inputs",
        };
        let reason = format!(
            "`{name}` varies by {scale:e} around {mean:e}, which the networks' 32-bit numbers \
             cannot hold: {what}. Write {hint} in its place"
        );
        Err(Error::data_at(key, reason))
    }

    fn training_sample(&self) -> Result<TrainingSample> {
        let region = self.training_region();
        let width = self.target().table.n_features;
        let count = |sample: &Sample| sample.trained(region).count();
        let events = self.samples.iter().map(count).sum::<usize>();
        let mut inputs = Inputs::new(reserved(events.saturating_mul(width))?, width);
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
        let classes = self.samples.iter().map(&mut class_of);
        let classes = classes.collect::<Result<_>>()?;
        if events > i32::MAX as usize {
            return Err(Error::data(format!(
                "{events} events in the training region; at most 2147483647 are supported"
            )));
        }
        Ok(TrainingSample::of(Arc::new(inputs), classes))
    }

    fn stream_source(&self) -> Result<Option<StreamSource>> {
        let (Some(config), [source, target]) = (&self.config.data.stream, self.samples.as_slice())
        else {
            return Ok(None);
        };
        let (Some(source), Some(target)) = (&source.streamed, &target.streamed) else {
            return Ok(None);
        };
        let stream = StreamSource {
            classes: [source.training.clone(), target.training.clone()],
            window: config.window,
            options: source.options,
        };
        for (role, class) in ["source", "target"].into_iter().zip(&stream.classes) {
            has_weight(role, if class.rows == 0 { 0.0 } else { class.weight })?;
        }
        Ok(Some(stream))
    }
}

/// One distribution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variable {
    /// Name in keys.
    pub name: String,
    /// Axis label.
    pub label: String,
    /// Whether networks see it.
    pub is_input: bool,
    /// Logarithmic event axis.
    pub log: bool,
    /// Bin edges.
    pub edges: Edges,
}

/// All distributions, with edges from the source where the config gives none.
pub(super) fn variables(
    config: &Config,
    inputs: &[(String, String)],
    source: &Sample,
) -> Result<Vec<Variable>> {
    let mut list = Vec::new();
    for v in &config.report.variables {
        let wrong = |e| cannot_be_binned("report.variables", &v.name, &e);
        let edges = match &v.bins {
            Bins::Edges(edges) => Edges::new(edges.clone()).map_err(wrong)?,
            Bins::Number(bins) => {
                let values = source.column(&v.name).unwrap_or_default();
                Edges::quantiles(values.iter().copied(), *bins).map_err(wrong)?
            }
        };
        list.push(Variable {
            name: v.name.clone(),
            label: config.axis(&v.name).0.to_owned(),
            is_input: false,
            log: v.log,
            edges,
        });
    }
    for (k, (name, _)) in inputs.iter().enumerate() {
        let rows = source.table.len();
        let mut all = memory::reserved(rows).map_err(|e| e.at_key("data.source"))?;
        all.extend((0..rows).map(source.feature(k, name)));
        let edges = Edges::quantiles(all.into_iter(), config.report.bins)
            .map_err(|e| cannot_be_binned("features.inputs", name, &e))?;
        list.push(Variable {
            name: name.clone(),
            label: config.axis(name).0.to_owned(),
            is_input: true,
            log: false,
            edges,
        });
    }
    Ok(list)
}

fn cannot_be_binned(key: &str, name: &str, error: &NumericsError) -> Error {
    let reason = match error {
        NumericsError::TooFewEdges(0) => {
            "no event of the source has a finite value of it".to_owned()
        }
        NumericsError::TooFewEdges(1) => {
            "it has one value in the source; give edges with `bins = [..]`, or leave it out"
                .to_owned()
        }
        other => other.to_string(),
    };
    Error::config_at(key, format!("`{name}` cannot be binned: {reason}"))
}

/// Whether the weights of a class add up to something positive.
fn has_weight(role: &str, sum: f64) -> Result<()> {
    if sum > 0.0 {
        return Ok(());
    }
    let reason = format!(
        "the weights in the training region add up to {sum}; a density needs a positive sum"
    );
    Err(Error::data_at(format!("data.{role}.weight"), reason))
}

/// Target events whose key a source event has as well.
fn shared_keys(source: &Sample, target: &Sample) -> Result<Option<Loss>> {
    let keys = source.table.ids.sorted_keys();
    let keys = keys.map_err(|e| e.at_key("data.source"))?;
    let shared = target.table.ids.keys();
    let shared = shared.filter(|key| keys.binary_search(key).is_ok()).count();
    // samples of both are drawn by the same number of a key
    let share = source.share().min(target.share());
    let events = (shared as f64 / share).round() as u64;
    Ok((events > 0).then(|| Loss {
        kind: LossKind::SharedId,
        name: "data.target.id".to_owned(),
        events,
        weight: 0.0,
        first: None,
    }))
}

fn files(sample: &Sample) -> String {
    let files = &sample.files;
    match files.as_slice() {
        [one] => one.path.clone(),
        [first, .., last] => format!("{} files, {} to {}", files.len(), first.path, last.path),
        [] => "no file".to_owned(),
    }
}

/// Largest rounding of a value to 32 bits, in standard deviations.
const COARSE: f64 = 1e-3;

/// An empty list with room for `length` values.
fn reserved<T>(length: usize) -> Result<Vec<T>> {
    memory::reserved(length).map_err(|e| e.at_key("data"))
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
            Self::Limit => "limit from histograms",
            Self::Mix => "synthetic data sets by hemisphere mixing",
        }
    }
}
