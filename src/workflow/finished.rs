//! A finished run as a sample: what it predicts of its source events, replica by replica, beside
//! columns of the files that it was made of.
//!
//! Files of predictions have no observables. Both are read as streams in the order of the files
//! and brought together by the ids of the events: neither is held in memory. Sampled events of an
//! interpolation have columns of their own.

mod sampled;

use super::apply::{Combiner, Replicas};
use super::interpolation::{PLANE_FILE, PlaneWeights};
use crate::error::{Context, Error, Kind, Result};
use crate::events::{
    Compiled, Dataset, EventStream, EventTable, FileRecord, Hidden, IdSpec, Jets, LACKS, Loss,
    LossKind, OnMissing, PartOrder, Resolver, ScanReport, ScanRequest, StreamOptions, found,
    within,
};
use crate::report::read_metrics;
use crate::results::Metrics;
use crate::rundir::{Manifest, RunDirectory, RunState};
use crate::settings::{
    Blinding, ColumnsConfig, Config, DATA, EnsembleSpec, Experiment, Method, SampleConfig,
    SampleRole, direct,
};
use crate::training::Streams;
use indexmap::IndexMap;
use sideband_numerics::expression::written;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of predictions, and that of an interpolation.
const SOURCE: &str = "predictions/source.parquet";
const SAMPLED: &str = "predictions/samples.parquet";
/// The flag of events in any region of the run.
const ANYWHERE: &str = "any region of the run";
/// Numbers of a chunk of predictions, and rows of one at most and at least.
const CHUNK_NUMBERS: usize = 1 << 20;
const CHUNK_ROWS: usize = 1 << 13;
const FEW_ROWS: usize = 1 << 6;

/// What is wanted of a run's events, in the words of another configuration.
pub(crate) struct RunColumns<'a> {
    /// Columns that all samples of that have.
    pub columns: &'a ColumnsConfig,
    /// Keys and texts of selections, a flag each.
    pub selections: Vec<(String, String)>,
    /// Keys and texts of observables.
    pub observables: Vec<(String, String)>,
    /// Observables that events of a selection must have, by their places in both lists.
    pub needed: Vec<(usize, usize)>,
}

impl RunColumns<'_> {
    /// The observables that must be there, each with the flags of the selections that ask for
    /// it.
    fn needed_flags(&self) -> Vec<(usize, u64)> {
        let mut all: Vec<(usize, u64)> = Vec::new();
        for (observable, selection) in &self.needed {
            match all.iter_mut().find(|(column, _)| column == observable) {
                Some((_, flags)) => *flags |= 1 << selection,
                None => all.push((*observable, 1 << selection)),
            }
        }
        all
    }
}

/// A source event as a run predicts it, or a sampled one.
pub(crate) struct PredictedEvent<'a> {
    /// Expected events that it stands for.
    pub nominal: f64,
    /// What it adds to the statistical variance of a bin.
    pub variance: f64,
    /// The same of each replica.
    pub replicas: &'a [f64],
    /// Whether each of the selections holds, a bit each.
    pub selected: u64,
    /// Whether it is in each of the run's regions that are asked for, a bit each.
    pub regions: u64,
    /// Whether it is in the region that the run was trained in.
    pub is_trained: bool,
    /// Whether it lacks an observable that it must have.
    pub lacks: bool,
    pub key: u64,
    /// Of a sampled one the cell of the plane, as of [`PlaneWeights`].
    pub cell: Option<usize>,
    table: &'a EventTable,
    row: usize,
}

impl PredictedEvent<'_> {
    /// The value of an observable, by its place.
    pub(crate) fn value(&self, observable: usize) -> f64 {
        self.table.columns[observable].1[self.row]
    }
}

/// What is done with the source events of a run, in the order of the files.
pub(crate) trait TakesEvents {
    /// One that it predicts.
    fn predicted(&mut self, event: &PredictedEvent<'_>);

    /// One that it does not, by the selections that hold, a bit each. `has_region`: whether it
    /// is in one of the run's regions all the same.
    fn passed_over(&mut self, selected: u64, has_region: bool);
}

/// An ensemble of a finished run.
pub(crate) struct FinishedRun {
    /// The run, and the ensemble if there are several.
    name: String,
    config: Config,
    directory: RunDirectory,
    manifest: Manifest,
    metrics: Metrics,
    replicas: Replicas,
    /// Of an interpolation what its sampled events weigh.
    plane: Option<PlaneWeights>,
}

impl FinishedRun {
    /// Opens the ensemble of a run that is at a point of its matrix.
    ///
    /// # Errors
    /// Also if it is not complete, or lacks one of its errors.
    pub(crate) fn open(run: &Path, point: &IndexMap<String, String>) -> Result<Self> {
        let root = RunDirectory::open(run)?;
        let experiment = root.experiment()?;
        let wrong = |text: String| Error::data(text).at(run.display());
        if experiment.measurement.is_some() || experiment.limit.is_some() {
            let text = "it is a measurement; a sample is a run of `method = \"reweight\"`, \
                        \"ratio\" or \"interpolate\"";
            return Err(wrong(text.to_owned()));
        }
        let spec = chosen(&experiment, point)?;
        let shown = direct(run);
        let (directory, name) = match experiment.is_matrix {
            true => (
                root.ensemble(&spec.name),
                format!("{} ({})", shown.display(), spec.name),
            ),
            false => (root, shown.display().to_string()),
        };
        let manifest = directory.manifest()?;
        let manifest = manifest.filter(|m| m.state == RunState::Complete);
        let Some(manifest) = manifest else {
            return Err(Error::data(format!(
                "{name} is not complete: run its configuration again first, until all members are \
                 there"
            )));
        };
        let files = [source_of(&spec.config), PLANE_FILE];
        if let Some(file) = directory.damaged_output(&manifest, |file| files.contains(&file)) {
            return Err(Error::data(format!(
                "{file} of {name} is not as it was written: run its configuration again first"
            )));
        }
        let training = &spec.config.training;
        let streams = Streams::new(spec.config.experiment.seed, &spec.name);
        Ok(Self {
            plane: plane(&directory, &spec.config).map_err(|e| e.at(&name))?,
            replicas: Replicas::of(training.into(), streams, &manifest.members),
            metrics: read_metrics(&directory)?,
            config: spec.config.clone(),
            name,
            directory,
            manifest,
        })
    }

    /// The run in words, with its ensemble if it has several.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number of its replicas.
    pub(crate) fn replicas(&self) -> usize {
        match self.plane {
            // a member samples alone, whatever it was trained on
            Some(_) => self.manifest.members.len(),
            None => self.replicas.len(),
        }
    }

    /// What the sampled events of an interpolation weigh.
    pub(crate) fn plane(&self) -> Option<&PlaneWeights> {
        self.plane.as_ref()
    }

    /// Its file of predictions.
    fn source(&self) -> &'static str {
        source_of(&self.config)
    }

    /// Whether each replica has a resampling of the events of its own.
    pub(crate) fn is_bootstrapped(&self) -> bool {
        self.config.ensemble.bootstrap
    }

    /// How often the resampling of each replica has an event; empty without any, and where
    /// nothing is normalised to it.
    pub(crate) fn resamplings(&self) -> Vec<Box<dyn Fn(u64) -> u8>> {
        match self.is_bootstrapped() && self.replicas() > 1 && self.plane.is_none() {
            true => self.replicas.resamplings(),
            false => Vec::new(),
        }
    }

    /// The target's yield in the training region, and its statistical error.
    pub(crate) fn target_yield(&self) -> [f64; 2] {
        [
            self.metrics.training_yields[1],
            self.metrics.training_errors[1],
        ]
    }

    /// Digests of the files that its events are of, among its `files`: sampled ones are in none
    /// but its own.
    pub(crate) fn source_digests(&self, files: &[FileRecord]) -> Vec<String> {
        match self.plane {
            Some(_) => digests(files.get(..1).unwrap_or_default()),
            None => digests(&self.manifest.inputs.source),
        }
    }

    /// Whether its target events may be among those of another run: of the same files, by the
    /// same selection.
    pub(crate) fn has_target_of(&self, other: &Self) -> bool {
        let of = |run: &Self| {
            let selection = run.config.data.target.selection.clone();
            (digests(&run.manifest.inputs.target), selection)
        };
        of(self) == of(other)
    }

    /// Names of its blind regions.
    pub(crate) fn blind_regions(&self) -> Vec<String> {
        let blind = self.config.regions.iter().filter(|(_, r)| r.blind);
        blind.map(|(name, _)| name.clone()).collect()
    }

    /// The files that it is made of, that of predictions first.
    pub(crate) fn files(&self) -> Result<Vec<FileRecord>> {
        let mut files = self.predictions()?.digest()?;
        if self.plane.is_some() {
            files.extend(opened(&self.directory, PLANE_FILE)?.digest()?);
            files.extend(self.manifest.inputs.target.iter().cloned());
        }
        files.extend(self.manifest.inputs.source.iter().cloned());
        Ok(files)
    }

    /// Its file of predictions.
    fn predictions(&self) -> Result<Dataset> {
        opened(&self.directory, self.source())
    }

    /// Files of one of its samples, from wherever the run was started.
    fn dataset(&self, sample: &SampleConfig, known: &[FileRecord]) -> Result<Dataset> {
        let base = PathBuf::from(self.manifest.base.clone().unwrap_or_default());
        let folder = base.join(self.manifest.folder.clone().unwrap_or_default());
        let place = |path: &String| match found(path, &folder).is_empty() {
            true => within(&base, path),
            false => within(&folder, path),
        };
        let paths: Vec<String> = sample.path.to_list().iter().map(place).collect();
        let wrong = |error: Error| error.at(format!("the files of {}", self.name));
        let dataset = Dataset::open(&paths, Path::new("")).map_err(wrong)?;
        let own = dataset.digest().map_err(wrong)?;
        if digests(&own) != digests(known) {
            return Err(wrong(Error::data(
                "they are others than when it was made: restore them, or run its configuration \
                 again",
            )));
        }
        Ok(dataset)
    }

    /// What is read of one of its samples. `resolver`: of its own expressions.
    fn request(
        &self,
        sample: &SampleConfig,
        (dataset, resolver): (&Dataset, &Resolver),
        wanted: &RunColumns<'_>,
    ) -> Result<ScanRequest> {
        let jets = wanted.columns.jets.as_ref();
        let jets = jets.filter(|jets| jets.candidates.is_some());
        let jets = jets.map(Jets::from);
        let theirs = Resolver::with_jets(dataset.columns(), jets.as_ref(), &wanted.columns.define)
            .map_err(|e| e.at_key("data.define"))?;
        let compile = |(key, text): &(String, String)| {
            let compiled = theirs.compile(text);
            let compiled = compiled.map_err(|e| e.at_key(format!("{key} (in {})", self.name)));
            Ok::<_, Error>((key.clone(), compiled?))
        };
        let of_run = |text: &String| resolver.compile(text);
        let request = ScanRequest {
            selection: sample.selection.as_ref().map(of_run).transpose()?,
            flags: wanted
                .selections
                .iter()
                .map(compile)
                .collect::<Result<_>>()?,
            columns: wanted
                .observables
                .iter()
                .map(compile)
                .collect::<Result<_>>()?,
            id: match sample.id.is_empty() {
                true => IdSpec::FileRow,
                false => IdSpec::Columns(sample.id.clone()),
            },
            id_namespace: match sample.id.is_empty() {
                true => format!("source/{}", sample.namespace),
                false => sample.namespace.clone(),
            },
            needed: wanted.needed_flags(),
            ..ScanRequest::new(Hidden::nothing())
        };
        Ok(request)
    }

    /// Gives every source or sampled event to `take`, those that it predicts with the run's
    /// `regions`. What selections have no value for comes back.
    ///
    /// # Errors
    /// Also if the files are not those of the run, or it has no such region.
    pub(crate) fn for_each(
        &self,
        wanted: &RunColumns<'_>,
        regions: &[String],
        take: &mut dyn TakesEvents,
    ) -> Result<Vec<Loss>> {
        if self.plane.is_some() {
            return self.for_each_sampled(wanted, regions, take);
        }
        let sample = self.config.data.source.as_ref();
        let no_source = || Error::data(format!("{} has no source", self.name));
        let sample = sample.ok_or_else(no_source)?;
        let dataset = Arc::new(self.dataset(sample, &self.manifest.inputs.source)?);
        let resolver = self.config.data.resolver(dataset.columns())?;
        let mut request = ScanRequest {
            on_missing: OnMissing::Keep,
            ..self.request(sample, (&dataset, &resolver), wanted)?
        };
        // behind the selections: whether the run predicts such events
        let anywhere: u64 = 1 << request.flags.len();
        let regions_of_run = self.config.regions.values();
        let texts: Vec<String> = regions_of_run
            .map(|region| format!("({})", region.selection))
            .collect();
        let any = resolver.compile(&texts.join(" || "))?;
        request.flags.push((ANYWHERE.to_owned(), any));
        let selections = anywhere - 1;
        // of data larger than memory it predicts those that were drawn
        let is_whole = self.config.data.stream.is_none();
        let predictions = Arc::new(self.predictions()?);
        let asked = Arc::new(self.predicted_columns(&predictions, sample, regions)?);
        let numbers = asked.columns.len().max(1);
        let options = StreamOptions {
            chunk_rows: (CHUNK_NUMBERS / numbers).clamp(FEW_ROWS, CHUNK_ROWS),
            buffers: 2,
            threads: 1,
        };
        let order = PartOrder::files();
        let events = dataset.stream(&Arc::new(request), &order, options)?;
        let mut events = Rows::new(events);
        let mut combiner = Combiner::new(&self.replicas, self.config.ensemble.combine);
        let [of_source, of_target] = self.metrics.training_yields;
        for chunk in predictions.stream(&asked, &order, options)? {
            let chunk = chunk?;
            let [(_, nominal), (_, weights), members @ ..] = chunk.columns.as_slice() else {
                return Err(Error::internal("a chunk of predictions has no columns"));
            };
            let mut values = vec![0.0; members.len()];
            for row in 0..chunk.len() {
                let passed_over = &mut |flags: u64| {
                    if is_whole {
                        take.passed_over(flags & selections, flags & anywhere != 0);
                    }
                };
                let place = events.find(Some((&chunk, row)), passed_over)?;
                let place = place.ok_or_else(|| {
                    Error::data(format!(
                        "{}: the event of row {row} of a part of {SOURCE} is not among its source \
                         events",
                        self.name
                    ))
                })?;
                // of a ratio columns are densities, of a reweighting weights of events
                let factor = match self.config.experiment.method {
                    Method::Ratio => weights[row] * of_target / of_source,
                    _ => 1.0,
                };
                for (value, (_, column)) in values.iter_mut().zip(members) {
                    *value = factor * column[row];
                }
                let (table, flags) = (&events.table, chunk.flags[row]);
                let key = table.ids.key(place);
                let is_trained = flags & 1 == 1;
                let (_, replicas) = combiner.event(&values, key, is_trained);
                let nominal = factor * nominal[row];
                take.predicted(&PredictedEvent {
                    nominal,
                    variance: nominal * nominal,
                    replicas,
                    selected: table.flags[place] & selections,
                    regions: flags >> 1,
                    is_trained,
                    lacks: table.flags[place] & LACKS != 0,
                    key,
                    cell: None,
                    table,
                    row: place,
                });
            }
        }
        events.find(None, &mut |flags| {
            if is_whole {
                take.passed_over(flags & selections, flags & anywhere != 0);
            }
        })?;
        let mut lost = events.report.losses;
        lost.retain(|loss| loss.kind == LossKind::Region && loss.name != ANYWHERE);
        Ok(lost)
    }

    fn no_region(&self, name: &str) -> Error {
        let known: Vec<&String> = self.config.regions.keys().collect();
        Error::config(format!(
            "`{name}` is no region of {}, which has {known:?}",
            self.name
        ))
    }

    /// Nominal weight, the event's own and those of all members; whether an event is in the
    /// training region, and in others.
    fn predicted_columns(
        &self,
        predictions: &Dataset,
        sample: &SampleConfig,
        regions: &[String],
    ) -> Result<ScanRequest> {
        let known = &self.config.regions;
        if let Some(name) = regions.iter().find(|name| !known.contains_key(*name)) {
            return Err(self.no_region(name));
        }
        let resolver = Resolver::new(predictions.columns(), &BTreeMap::new())?;
        let column = |name: String| {
            let compiled = resolver.compile(&written(&name)).of(Kind::Data)?;
            Ok::<_, Error>((name, compiled))
        };
        let members = self.manifest.members.iter();
        let members = members.map(|member| format!("member_{member:04}"));
        let numbers = ["nominal", "weight"].map(str::to_owned);
        let flags = std::iter::once(&self.config.training.region).chain(regions);
        let ids = match sample.id.is_empty() {
            true => ["file", "row"].map(str::to_owned).to_vec(),
            false => sample.id.clone(),
        };
        Ok(ScanRequest {
            columns: numbers
                .into_iter()
                .chain(members)
                .map(column)
                .collect::<Result<_>>()?,
            flags: flags
                .map(|name| column(format!("in_{name}")))
                .collect::<Result<_>>()?,
            id: IdSpec::Columns(ids),
            ..ScanRequest::new(Hidden::nothing())
        })
    }

    /// The run's target events for which one of the selections holds, with their weights, those
    /// of blind regions left out.
    pub(crate) fn observed(&self, wanted: &RunColumns<'_>) -> Result<EventTable> {
        let (config, sample) = (&self.config, &self.config.data.target);
        let dataset = self.dataset(sample, &self.manifest.inputs.target)?;
        let resolver = config.data.resolver(dataset.columns())?;
        let compile = |text: &String| resolver.compile(text);
        let mut regions: Vec<(String, Compiled)> = Vec::with_capacity(config.regions.len());
        for (name, region) in &config.regions {
            regions.push((name.clone(), compile(&region.selection)?));
        }
        let blinding = Blinding::new(&config.regions, false);
        let mut known = self.manifest.losses.iter();
        let known = known.find(|losses| losses.sample == "data.target");
        let request = ScanRequest {
            weight: sample.weight.as_ref().map(compile).transpose()?,
            scale: known.and_then(|losses| losses.scale).unwrap_or(1.0),
            hidden: blinding.hidden(SampleRole::Data, &regions, None),
            require_any_flag: true,
            on_missing: wanted.columns.on_missing.into(),
            ..self.request(sample, (&dataset, &resolver), wanted)?
        };
        dataset.scan(&request, None)
    }
}

/// The file of predictions of a run.
fn source_of(config: &Config) -> &'static str {
    match config.experiment.method {
        Method::Interpolate => SAMPLED,
        _ => SOURCE,
    }
}

/// A file of a run.
fn opened(directory: &RunDirectory, file: &str) -> Result<Dataset> {
    let path = within(directory.path(), file);
    Dataset::open(&[path], Path::new(""))
}

/// What the sampled events of an interpolation weigh; none of another run.
///
/// # Errors
/// Also if that is not known: no error of a prediction is left out unsaid.
fn plane(directory: &RunDirectory, config: &Config) -> Result<Option<PlaneWeights>> {
    let interpolation = config.interpolation.as_ref();
    let is_one = config.experiment.method == Method::Interpolate;
    let Some(interpolation) = interpolation.filter(|_| is_one) else {
        return Ok(None);
    };
    let draws = interpolation.posterior_draws;
    if draws < 2 {
        return Err(Error::data(format!(
            "it has {draws} draws of its Gaussian process, whose error would be in no parameter: \
             run it with interpolation.posterior_draws = 50"
        )));
    }
    if !directory.join(PLANE_FILE).is_file() {
        return Err(Error::data(format!(
            "{PLANE_FILE} is not there, without which the error of its Gaussian process and of \
             what it is normalised to would be in no parameter; an earlier program wrote none: \
             remove {SAMPLED} of it and run its configuration again, which trains nothing"
        )));
    }
    let bins = interpolation.plane.bins * interpolation.plane.bins;
    let shape = [interpolation.categories().len(), bins, draws];
    PlaneWeights::read(&opened(directory, PLANE_FILE)?, shape).map(Some)
}

fn digests(files: &[FileRecord]) -> Vec<String> {
    files.iter().map(|file| file.sha256.clone()).collect()
}

/// The ensemble at a point of a matrix.
fn chosen<'a>(
    experiment: &'a Experiment,
    point: &IndexMap<String, String>,
) -> Result<&'a EnsembleSpec> {
    let axes = &experiment.axes;
    let words: Vec<String> = axes
        .iter()
        .map(|(a, v)| format!("{a}: {}", v.join(", ")))
        .collect();
    let there = match words.as_slice() {
        [] => "the run has no matrix".to_owned(),
        words => format!("the run has {}", words.join("; ")),
    };
    let unknown = point.keys().find(|axis| !axes.contains_key(*axis));
    if let Some(axis) = unknown {
        return Err(Error::config(format!("there is no axis `{axis}`: {there}")));
    }
    let is_there = |spec: &&EnsembleSpec| {
        let mut own = point.iter();
        // the background of a mixing is that of its data
        let is_set = experiment.mixing.is_some() && spec.name != DATA;
        !is_set && own.all(|(axis, value)| spec.point.get(axis) == Some(value))
    };
    let mut found = experiment.ensembles.iter().filter(is_there);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Error::config(format!("there is no such ensemble: {there}"))),
        (Some(_), Some(_)) => Err(Error::config(format!(
            "it has several such ensembles; give a value of every axis: {there}"
        ))),
    }
}

/// Source events, one after the other.
struct Rows {
    stream: EventStream,
    table: EventTable,
    /// The next row that is looked at.
    next: usize,
    /// Of all that was read so far.
    report: ScanReport,
}

impl Rows {
    fn new(stream: EventStream) -> Self {
        Self {
            stream,
            table: EventTable::default(),
            next: 0,
            report: ScanReport::default(),
        }
    }

    /// Goes on to the event with the id of another one, or to the end; its place in the present
    /// table. `passed_over` gets the flags of those before it.
    fn find(
        &mut self,
        other: Option<(&EventTable, usize)>,
        passed_over: &mut dyn FnMut(u64),
    ) -> Result<Option<usize>> {
        loop {
            while self.next < self.table.len() {
                let place = self.next;
                self.next += 1;
                let own = || self.table.ids.values(place);
                if other.is_some_and(|(other, row)| own().eq(other.ids.values(row))) {
                    return Ok(Some(place));
                }
                passed_over(self.table.flags[place]);
            }
            match self.stream.next() {
                Some(chunk) => (self.table, self.next) = (chunk?, 0),
                None => return Ok(None),
            }
            self.report.merge(&self.table.report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse_experiment;

    #[test]
    fn one_ensemble_is_chosen_by_the_values_of_its_axes() {
        let text = r#"
            experiment = { name = "t", method = "reweight" }
            matrix = { year = [2017, 2018], cr = ["a", "b"] }
            data = { source = { path = "a" }, target = { path = "b" } }
            regions.cr = { selection = "x > 1 && in_${cr} && year == ${year}" }
            features = { inputs = ["x"] }
            training = { region = "cr" }
        "#;
        let experiment = parse_experiment(text, &[]).unwrap();
        let choose = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let point = pairs.map(|(a, v)| ((*a).to_owned(), (*v).to_owned()));
            let found = chosen(&experiment, &point.collect());
            found.map_or_else(|e| e.to_string(), |spec| spec.name.clone())
        };
        assert_eq!(choose(&[("cr", "b"), ("year", "2018")]), "year=2018,cr=b");
        for (pairs, words) in [
            (
                &[("cr", "b")][..],
                "a value of every axis: the run has year: 2017, 2018; cr: a, b",
            ),
            (&[("cr", "c"), ("year", "2018")], "no such ensemble"),
            (&[("era", "b")], "no axis `era`"),
        ] {
            let found = choose(pairs);
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn the_background_of_a_mixing_is_that_of_its_data() {
        let text = r#"
            experiment = { name = "t", method = "mix" }
            data.source = { path = "a" }
            data.target = { path = "b" }
            data.jets.candidates = "min_dr"
            regions = { cr.selection = "x > 1", sr.selection = "x <= 1" }
            features = { inputs = ["x"] }
            training = { region = "cr" }
            [mixing.uncertainties.x]
            region = "sr"
            observable = "x"
            bins = [0, 1, 2, 3, 4, 5, 6, 7, 8]
        "#;
        let experiment = parse_experiment(text, &[]).unwrap();
        let found = chosen(&experiment, &IndexMap::new()).unwrap();
        assert_eq!(found.name, DATA);
    }
}
