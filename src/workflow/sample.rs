//! One sample of events, opened and read as the configuration says.

use crate::error::{Error, Result};
use crate::events::{
    Category, Dataset, EventTable, FileRecord, HIDDEN, HIDDEN_IN_WATCHED, Hidden, IdSpec, Jets,
    Loss, LossKind, Losses, PartOrder, Scale, ScanRequest, StreamOptions, builtin_names,
};
use crate::settings::{Blinding, Config, SampleConfig, SampleRole, ScaleConfig, StreamConfig};
use crate::training::{ClassSource, SplitSettings, Streams, is_streamed};
use sideband_numerics::expression::written;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Events of a chunk of a stream.
const CHUNK_ROWS: usize = 1 << 14;

/// A sample in memory.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// `source` or `target`.
    pub role: &'static str,
    /// The files it came from.
    pub files: Vec<FileRecord>,
    /// Its selected events; features as read, not standardised.
    pub table: EventTable,
    /// Events that are missing somewhere, by reason.
    pub losses: Losses,
    /// Whether events are named by file and row for want of id columns.
    pub ids_by_row: bool,
    /// Built-in columns that were computed.
    pub(super) computed: BTreeSet<&'static str>,
    /// Built-in columns that are columns of the files, which then mean those.
    pub(super) stored: BTreeSet<&'static str>,
    /// All events, if the table has only a share of them.
    pub streamed: Option<StreamedEvents>,
    /// What was asked of the files.
    request: ScanRequest,
    drawing: Option<Drawing>,
}

/// Where samples of one result have built-in columns from: all of them from their files, or
/// none, so that a name has one meaning.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    /// By name, the place of the first sample that it is computed for.
    computed: BTreeMap<&'static str, String>,
    /// The place of the first sample that has it as a column.
    stored: BTreeMap<&'static str, String>,
}

impl Meanings {
    /// Adds the sample that the configuration has at `place`, if it goes with the others.
    pub(crate) fn add(&mut self, place: &str, sample: &Sample) -> Result<()> {
        let own = [&sample.computed, &sample.stored];
        let others = [&self.stored, &self.computed];
        for (is_stored, (own, others)) in own.into_iter().zip(others).enumerate() {
            let both = |name: &&str| Some((name.to_string(), others.get(*name)?));
            let Some((name, other)) = own.iter().find_map(both) else {
                continue;
            };
            let [computed, stored] = match is_stored {
                0 => [place, other],
                _ => [other, place],
            };
            let reason = format!(
                "`{name}` is a column of the files of {stored} and is computed for {computed}, \
                 whose files have none: one name, two meanings. Give all samples the column, or none"
            );
            return Err(Error::config_at(stored, reason));
        }
        let places = [&mut self.computed, &mut self.stored];
        for (own, places) in own.into_iter().zip(places) {
            for name in own {
                places.entry(name).or_insert_with(|| place.to_owned());
            }
        }
        Ok(())
    }
}

/// A sample whose files are open and known, before its events are read.
pub(crate) struct OpenSample<'a> {
    role: &'static str,
    place: String,
    ids_by_row: bool,
    config: &'a Config,
    dataset: Dataset,
    files: Vec<FileRecord>,
    request: ScanRequest,
    /// Factor on the weights, if the configuration has one.
    scale: Option<f64>,
    drawing: Option<Drawing>,
}

/// By what a share of the events is drawn, and the others are told apart.
#[derive(Clone, Debug, PartialEq)]
struct Drawing {
    stream: StreamConfig,
    seed: u64,
    /// Number of the training region.
    region: usize,
    split: SplitSettings,
}

/// The events of a sample that is larger than memory.
#[derive(Clone, Debug)]
pub(crate) struct StreamedEvents {
    /// What a result needs of each event: regions, inputs, weight and id.
    pub request: Arc<ScanRequest>,
    /// The training region as training reads it, and how much there is of it.
    pub training: ClassSource,
    /// Selected events in the files.
    pub events: u64,
    /// Sum of their weights.
    pub weight: f64,
    /// Selected events in each region, in the configuration's order.
    pub in_regions: Vec<u64>,
    /// Those of them that are in the training region as well.
    pub in_training: Vec<u64>,
    /// How much is read ahead.
    pub options: StreamOptions,
}

/// Names and expressions of what is read beside weights and ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub features: Vec<(String, String)>,
    pub columns: Vec<(String, String)>,
    /// Whether the names of columns are keys of the configuration.
    pub columns_are_keys: bool,
    /// Selections beside the regions', numbered after them.
    pub flags: Vec<(String, String)>,
    /// Columns that events of a region must have, by their place in `columns`, and the
    /// number of the region.
    pub needed: Vec<(usize, usize)>,
    /// How many of the features, from the first, are binned or averaged: of these, what
    /// `f32` does not hold exactly is read in `f64` as well.
    pub exact: usize,
}

/// Marks the name of a feature's own column in `f64`.
const EXACT: &str = "features.inputs, ";

/// All inputs of the networks, as (name, expression): the listed ones, then one
/// for each value of each one-hot column.
pub(crate) fn inputs(config: &Config) -> Vec<(String, String)> {
    let listed = config.features.inputs.iter().cloned();
    let one_hot = config.features.one_hot.iter().flat_map(|(column, values)| {
        let text = move |value| format!("{} == {value:?}", written(column));
        values.iter().map(text)
    });
    let all = listed.chain(one_hot);
    all.map(|text| (text.clone(), text)).collect()
}

/// (name, expression) of the columns that the distributions need.
pub(super) fn report_columns(config: &Config) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    for v in &config.report.variables {
        let text = v.expression.as_ref().unwrap_or(&v.name);
        columns.push((v.name.clone(), text.clone()));
    }
    for plane in &config.report.planes {
        columns.push((format!("{}:x", plane.name), plane.x.clone()));
        columns.push((format!("{}:y", plane.name), plane.y.clone()));
    }
    columns
}

/// What each one-hot column can be: its name in messages, its expression, the values.
pub(crate) fn categories(config: &Config) -> Vec<(String, String, Vec<f64>)> {
    let of = |(column, values): (&String, &Vec<f64>)| {
        let key = format!("features.one_hot.{column}");
        (key, written(column), values.clone())
    };
    config.features.one_hot.iter().map(of).collect()
}

/// The number of a region.
pub(super) fn region_index(config: &Config, name: &str) -> usize {
    let index = config.regions.get_index_of(name);
    index.expect("the configuration was checked to name a region")
}

/// A blind region that reaches into the training region; `events` are in both, no number
/// of target events.
pub(super) fn blind_overlap(blind: &str, config: &Config, events: &str) -> Error {
    let training = &config.training.region;
    let reason = format!(
        "{events} are in this blind region and in the training region `{training}`; without their \
         target events nothing can be learned there. Exclude the blind region from the training \
         region's selection"
    );
    Error::config_at(format!("regions.{blind}"), reason)
}

/// A sample of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleSpec<'a> {
    /// `source` or `target`.
    pub role: &'static str,
    /// Where the configuration has it.
    pub place: &'a str,
    pub sample: &'a SampleConfig,
    /// Whose events it has.
    pub whose: SampleRole,
}

impl SampleSpec<'_> {
    /// Opens its files, and checks what is to be read of them.
    pub(crate) fn open<'a>(
        &self,
        config: &'a Config,
        wanted: &Wanted,
        blinding: &Blinding,
    ) -> Result<OpenSample<'a>> {
        let at_path = |e: Error| e.at_key(format!("{}.path", self.place));
        let dataset = Dataset::open(&self.sample.path.to_list(), Path::new("")).map_err(at_path)?;
        let request = self.request(config, wanted, blinding, &dataset)?;
        let mut files = dataset.digest().map_err(at_path)?;
        if self.whose == SampleRole::Data && blinding.is_closed() {
            files.iter_mut().for_each(|file| file.rows = None);
        }
        let drawing = config.data.stream.as_ref().map(|stream| Drawing {
            stream: stream.clone(),
            seed: config.experiment.seed,
            region: region_index(config, &config.training.region),
            split: (&config.training).into(),
        });
        Ok(OpenSample {
            role: self.role,
            place: self.place.to_owned(),
            ids_by_row: self.sample.id.is_empty(),
            config,
            dataset,
            files,
            scale: self.sample.scale.as_ref().map(|_| request.scale),
            request,
            drawing,
        })
    }

    /// What is to be read of its files.
    fn request(
        &self,
        config: &Config,
        wanted: &Wanted,
        blinding: &Blinding,
        dataset: &Dataset,
    ) -> Result<ScanRequest> {
        let (place, sample) = (self.place, self.sample);
        let resolver = config.data.resolver(dataset.columns())?;
        let compile = |key: String, text: &str| {
            resolver.compile(text).map_err(|e| {
                let e = match dataset.lacking_file() {
                    Some(file) => e.at(format!(
                        "{} lacks columns that other files of the sample have",
                        file.display()
                    )),
                    None => e,
                };
                // a common expression fails for one of the samples
                match key.starts_with(&format!("{place}.")) {
                    true => e.at_key(&key),
                    false => e.at_key(format!("{key} (in {place})")),
                }
            })
        };
        let mut regions = Vec::with_capacity(config.regions.len());
        for (name, region) in &config.regions {
            let compiled = compile(format!("regions.{name}.selection"), &region.selection)?;
            regions.push((name.clone(), compiled));
        }
        let training = config.regions.get_index_of(&config.training.region);
        let hidden = blinding.hidden(self.whose, &regions, training);
        let mut request = ScanRequest {
            flags: regions,
            require_any_flag: true,
            // rows of different samples are different events
            id_namespace: match sample.id.is_empty() {
                true => format!("{}/{}", self.role, sample.namespace),
                false => sample.namespace.clone(),
            },
            id: match sample.id.is_empty() {
                true => IdSpec::FileRow,
                false => IdSpec::Columns(sample.id.clone()),
            },
            on_missing: config.data.on_missing.into(),
            ..ScanRequest::new(hidden)
        };
        if let Some(text) = &sample.selection {
            request.selection = Some(compile(format!("{place}.selection"), text)?);
        }
        if let Some(text) = &sample.weight {
            request.weight = Some(compile(format!("{place}.weight"), text)?);
        }
        if let Some(scale) = &sample.scale {
            let is_hidden = self.whose == SampleRole::Data && blinding.is_closed();
            let factor = factor(scale, config, is_hidden, || Ok(dataset));
            request.scale = factor.map_err(|e| e.at_key(format!("{place}.scale")))?;
        }
        for (name, text) in &wanted.flags {
            let compiled = compile(name.clone(), text)?;
            request.flags.push((name.clone(), compiled));
        }
        let mut first = config.features.inputs.len();
        for (name, column, listed) in categories(config) {
            let value = compile(name.clone(), &column)?;
            let inputs = first..first + listed.len();
            first = inputs.end;
            request.categories.push(Category {
                name,
                value,
                listed,
                inputs,
            });
        }
        for (name, text) in &wanted.columns {
            let key = match wanted.columns_are_keys {
                true => name.clone(),
                false => format!("report, {name}"),
            };
            let compiled = compile(key, text)?;
            if !wanted.columns_are_keys && name != text.trim() && resolver.knows(name) {
                let reason = format!(
                    "`{name}` is the name of a column or definition in {place} and here of \
                     `{text}`; give the distribution another name"
                );
                return Err(Error::config_at("report.variables", reason));
            }
            request.columns.push((name.clone(), compiled));
        }
        for (column, region) in &wanted.needed {
            match request.needed.iter_mut().find(|(c, _)| c == column) {
                Some((_, flags)) => *flags |= 1 << region,
                None => request.needed.push((*column, 1 << region)),
            }
        }
        for (k, (name, text)) in wanted.features.iter().enumerate() {
            let compiled = compile("features.inputs".to_owned(), text)?;
            if k < wanted.exact && !dataset.is_single(&compiled) {
                let name = format!("{EXACT}{name}");
                request.columns.push((name, compiled.clone()));
            }
            request.features.push((name.clone(), compiled));
        }
        Ok(request)
    }
}

/// The factor that a scale is for the events of a sample, whose files are opened if it depends
/// on them. Of files with hidden events it may not: what they add up to would tell of these.
pub(crate) fn factor<D: Borrow<Dataset>>(
    scale: &ScaleConfig,
    config: &Config,
    is_hidden: bool,
    open: impl FnOnce() -> Result<D>,
) -> Result<f64> {
    let text = match scale {
        ScaleConfig::Number(number) => return Ok(*number),
        ScaleConfig::Text(text) => text,
    };
    let scale = Scale::new(text, &config.data.define)?;
    if scale.reads_files() && is_hidden {
        return Err(Error::config(
            "it depends on what is in the files, of which events of blind regions are hidden; \
             write it as a number",
        ));
    }
    scale.value(open()?.borrow())
}

/// Reads samples, one after the other. Of `earlier` ones it takes over those that have the
/// same events; the others are gone before anything is read.
///
/// # Errors
/// What is wrong with the first sample, then with the next.
pub(crate) fn read_samples(
    opened: Vec<Result<OpenSample<'_>>>,
    mut earlier: Vec<Sample>,
) -> Result<Vec<Sample>> {
    let known = opened.iter().map(|open| {
        let open = open.as_ref().ok()?;
        let place = earlier.iter().position(|sample| open.is_of(sample))?;
        Some(earlier.swap_remove(place))
    });
    let known: Vec<Option<Sample>> = known.collect();
    drop(earlier);
    let both = opened.into_iter().zip(known);
    both.map(|(open, known)| open?.read(known)).collect()
}

impl OpenSample<'_> {
    /// Whether reading it would give the events of `earlier`.
    fn is_of(&self, earlier: &Sample) -> bool {
        self.files == earlier.files
            && self.request == earlier.request
            && self.drawing == earlier.drawing
    }

    /// Reads the events, unless they are known: of an earlier sample that has the same.
    pub(crate) fn read(self, known: Option<Sample>) -> Result<Sample> {
        let (config, place) = (self.config, self.place.as_str());
        let computed = self.request.builtins();
        let columns = self.dataset.columns();
        let is_stored = |name: &&str| columns.iter().any(|column| column.name == *name);
        let stored = builtin_names().filter(is_stored).collect();
        let read = match (known, &self.drawing) {
            (Some(known), _) => Ok((known.table, known.streamed)),
            (None, None) => {
                let table = self.dataset.scan(&self.request, None);
                table.map(|table| (table, None))
            }
            (None, Some(drawing)) => draw(Arc::new(self.dataset), &self.request, drawing),
        };
        let (table, streamed) = read.map_err(|e| e.at_key(place))?;
        let losses = Losses {
            scale: self.scale,
            ..losses(place, config, &table, streamed.as_ref())
        };
        if let Some(loss) = losses.beyond(config.data.max_loss) {
            return Err(Error::data(format!(
                "{} That is more than data.max_loss = {}: mend the files, select such rows away, \
                 or raise data.max_loss",
                losses.sentence(loss),
                config.data.max_loss
            )));
        }
        Ok(Sample {
            role: self.role,
            files: self.files,
            losses,
            table,
            ids_by_row: self.ids_by_row,
            computed,
            stored,
            streamed,
            request: self.request,
            drawing: self.drawing,
        })
    }
}

impl Sample {
    /// Built-in columns that were computed.
    pub(super) fn computed(&self) -> impl Iterator<Item = &'static str> {
        self.computed.iter().copied()
    }

    /// Built-in columns that were computed, and those of jets that are the files' own instead.
    pub(crate) fn built_in(&self) -> [Vec<&'static str>; 2] {
        let stored = Jets::columns().filter(|name| self.stored.contains(name));
        [self.computed().collect(), stored.collect()]
    }

    /// Inputs of an event, as they were read.
    pub(crate) fn features(&self, row: usize) -> &[f32] {
        let width = self.table.n_features;
        &self.table.features[row * width..(row + 1) * width]
    }

    /// Events in a region.
    pub(crate) fn in_region(&self, region: usize) -> impl Iterator<Item = usize> {
        let flags = self.table.flags.iter().enumerate();
        flags.filter_map(move |(row, flags)| (flags >> region & 1 == 1).then_some(row))
    }

    /// Whether an event is in a region.
    pub(crate) fn is_in(&self, row: usize, region: usize) -> bool {
        self.table.flags[row] >> region & 1 == 1
    }

    /// Share of the events that is in memory, whose weights stand for all.
    pub(super) fn share(&self) -> f64 {
        let streamed = self.streamed.as_ref();
        streamed.map_or(1.0, |all| all.training.share)
    }

    /// Events of the training region that may be trained on: no hidden ones, opened or
    /// not, so that members do not depend on that.
    pub(crate) fn trained(&self, training: usize) -> impl Iterator<Item = usize> {
        self.in_region(training)
            .filter(|row| self.table.flags[*row] & HIDDEN == 0)
    }

    /// Number of events in a region, and of those that the training region selects as
    /// well, wherever they are.
    pub(super) fn count(&self, region: usize, training: usize) -> [u64; 2] {
        if let Some(all) = &self.streamed {
            return [all.in_regions[region], all.in_training[region]];
        }
        let both = |row: &usize| selects(self.table.flags[*row], training);
        let rows = || self.in_region(region);
        [rows().count() as u64, rows().filter(both).count() as u64]
    }

    /// Values of one of the columns.
    pub(crate) fn column(&self, name: &str) -> Option<&[f64]> {
        let mut columns = self.table.columns.iter();
        let (_, values) = columns.find(|(n, _)| n == name)?;
        Some(values)
    }

    /// The feature number `k`, called `name`, of an event by its row, as it is in the files.
    pub(crate) fn feature(&self, k: usize, name: &str) -> impl Fn(usize) -> f64 {
        let double = self.column(&format!("{EXACT}{name}"));
        let single = self.table.features.get(k..).unwrap_or_default();
        let width = self.table.n_features.max(1);
        move |row| match double {
            Some(values) => values[row],
            // the networks' input, which holds it exactly
            None => f64::from(single[row * width]),
        }
    }
}

/// What is missing of a sample, by the keys of the configuration.
fn losses(
    place: &str,
    config: &Config,
    table: &EventTable,
    streamed: Option<&StreamedEvents>,
) -> Losses {
    let key = |loss: &Loss| match loss.kind {
        LossKind::Selection => format!("{place}.selection"),
        LossKind::Region if config.regions.contains_key(&loss.name) => {
            format!("regions.{}.selection", loss.name)
        }
        _ => match loss.name.strip_prefix("interpolation:") {
            Some("category") => "interpolation.category.column".to_owned(),
            Some(axis) => format!("interpolation.plane.{axis}"),
            None => {
                let name = loss.name.strip_prefix(EXACT);
                name.unwrap_or(&loss.name).to_owned()
            }
        },
    };
    // those of a feature's own column are those of the feature
    let own = table.report.losses.iter();
    let own = own.filter(|loss| !loss.name.starts_with(EXACT));
    let own = own.map(|loss| Loss {
        name: key(loss),
        ..loss.clone()
    });
    let duplicates = (table.report.duplicate_ids > 0).then(|| Loss {
        kind: LossKind::Id,
        name: format!("{place}.id"),
        events: table.report.duplicate_ids,
        weight: 0.0,
        first: None,
    });
    Losses {
        sample: place.to_owned(),
        events: streamed.map_or(table.len() as u64, |all| all.events),
        weight: streamed.map_or_else(|| table.weights.iter().sum(), |all| all.weight),
        scale: None,
        lost: own.chain(duplicates).collect(),
    }
}

/// Whether the training region selects an event with these flags, hidden or not.
fn selects(flags: u64, training: usize) -> bool {
    flags & (1 << training | HIDDEN_IN_WATCHED) != 0
}

/// Number of events of a sample for which all of the given expressions hold, blind or
/// not: for checks that must see what nothing else may. What is said of blind events is
/// whether there are any, and never the number.
pub(super) fn count(config: &Config, sample: &SampleConfig, texts: &[&str]) -> Result<u64> {
    let wrong = |e: Error| e.at_key("data.target");
    let dataset = Dataset::open(&sample.path.to_list(), Path::new("")).map_err(wrong)?;
    let resolver = config.data.resolver(dataset.columns()).map_err(wrong)?;
    let own = sample.selection.iter().map(String::as_str);
    let texts = own.chain(texts.iter().copied());
    let all: Vec<String> = texts.map(|text| format!("({text})")).collect();
    let request = ScanRequest {
        selection: Some(resolver.compile(&all.join(" && ")).map_err(wrong)?),
        id: IdSpec::FileRow,
        ..ScanRequest::new(Hidden::nothing())
    };
    dataset.count(&request).map_err(wrong)
}

/// Whether the target's files have a column, or it is made of their jets.
pub(super) fn has_column(config: &Config, name: &str) -> Result<bool> {
    let dataset = Dataset::open(&config.data.target.path.to_list(), Path::new(""));
    let dataset = dataset.map_err(|e| e.at_key("data.target.path"))?;
    let is_made = config.data.jets().is_some() && Jets::columns().any(|made| made == name);
    Ok(is_made || dataset.columns().iter().any(|c| c.name == name))
}

/// One pass over files that are larger than memory: a share of the events, with
/// weights that stand for all of them, and what the rest adds up to.
fn draw(
    dataset: Arc<Dataset>,
    request: &ScanRequest,
    drawing: &Drawing,
) -> Result<(EventTable, Option<StreamedEvents>)> {
    let (stream, region) = (&drawing.stream, drawing.region);
    let share = (stream.sample as f64 / dataset.rows().max(1) as f64).min(1.0);
    // the same for every ensemble: neither folds nor this draw know its name
    let streams = Streams::new(drawing.seed, "");
    // a pass over the files has no more chunks than this
    let chunks = usize::try_from(dataset.rows()).unwrap_or(usize::MAX) / CHUNK_ROWS;
    let chunks = chunks.saturating_add(dataset.parts());
    let options = StreamOptions {
        chunk_rows: CHUNK_ROWS,
        buffers: (stream.read_ahead / CHUNK_ROWS).min(chunks).max(1),
        threads: 1,
    };
    let everything = StreamOptions {
        threads: rayon::current_num_threads().min(options.buffers),
        ..options
    };
    let mut table = EventTable::default();
    let of_training = ScanRequest {
        flags: vec![request.flags[region].clone()],
        hidden: request.hidden.as_rejected(),
        require_any_flag: true,
        columns: Vec::new(),
        needed: Vec::new(),
        ..request.clone()
    };
    let mut all = StreamedEvents {
        request: Arc::new(ScanRequest {
            columns: Vec::new(),
            needed: Vec::new(),
            ..request.clone()
        }),
        training: ClassSource {
            dataset: Arc::clone(&dataset),
            request: Arc::new(of_training),
            share,
            rows: 0,
            weight: 0.0,
            total: 0.0,
        },
        events: 0,
        weight: 0.0,
        in_regions: vec![0; request.flags.len()],
        in_training: vec![0; request.flags.len()],
        options,
    };
    let request = Arc::new(request.clone());
    for chunk in dataset.stream(&request, &PartOrder::files(), everything)? {
        let chunk = chunk?;
        all.events += chunk.len() as u64;
        all.weight += chunk.weights.iter().sum::<f64>();
        for (row, key) in chunk.ids.keys().enumerate() {
            if streams.sample(key) < share {
                table.append_range(&chunk, row..row + 1);
            }
            let flags = chunk.flags[row];
            let is_selected = u64::from(selects(flags, region));
            for (number, count) in all.in_regions.iter_mut().enumerate() {
                let inside = flags >> number & 1;
                *count += inside;
                all.in_training[number] += inside & is_selected;
            }
            if flags >> region & 1 == 1 && flags & HIDDEN == 0 {
                let (training, weight) = (&mut all.training, chunk.weights[row]);
                training.total += weight;
                if is_streamed(drawing.split, streams, share, key) {
                    training.rows += 1;
                    training.weight += weight;
                }
            }
        }
        table.report.merge(&chunk.report);
    }
    table.report.rows_selected = table.len() as u64;
    // events of one id are drawn together
    let twice = table.ids.duplicates()? as f64 / share;
    table.report.duplicate_ids = twice.round() as u64;
    table.weights.iter_mut().for_each(|w| *w /= share);
    Ok((table, Some(all)))
}

#[cfg(test)]
mod tests;
