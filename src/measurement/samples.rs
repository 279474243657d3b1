//! The samples of a measurement, read one after the other, and events that are in them
//! twice.

use crate::error::{Context, Error, Kind, Result};
use crate::events::{Dataset, HIDDEN};
use crate::files::lock;
use crate::rundir::InputFiles;
use crate::settings::{
    Blinding, Config, Measurement, Places, RUN_PREFIX, SampleConfig, SampleRole, ScaleConfig,
};
use crate::workflow::{
    Meanings, OpenSample, Sample, SampleSpec, Wanted, factor, inputs, read_samples,
};
use sideband_numerics::Edges;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Mutex;

/// Share of a varied sample's events that may have the inputs of another event by chance.
const CHANCE: f64 = 0.01;
/// Values of an event below which equal ones may be chance in a few events.
const FEW_VALUES: usize = 2;

/// A histogram of the configuration; its place among all is that of its templates.
pub(super) struct Binned<'a> {
    /// Its region, of the one without bins, or its channel.
    pub name: &'a str,
    /// Its table in the configuration.
    pub key: String,
    pub region: &'a str,
    pub observable: &'a str,
    pub edges: &'a [f64],
    pub statistical: bool,
    /// Whether the fit has it, and not the comparison beside it alone.
    pub is_fitted: bool,
}

/// The histogram of the region that is measured without bins, if there is one, and those of
/// `[channels]`.
pub(super) fn binned(measurement: &Measurement) -> Vec<Binned<'_>> {
    let own = measurement.measurement.histogram.iter().map(|h| Binned {
        name: &measurement.training.region,
        key: "measurement.histogram".to_owned(),
        region: &measurement.training.region,
        observable: &h.observable,
        edges: &h.bins,
        statistical: false,
        is_fitted: false,
    });
    let channels = measurement.channels.iter().map(|(name, channel)| Binned {
        name,
        key: format!("channels.{name}"),
        region: &channel.region,
        observable: &channel.observable,
        edges: &channel.bins,
        statistical: channel.statistical,
        is_fitted: true,
    });
    own.chain(channels).collect()
}

/// Contents and variances of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Template {
    pub contents: Vec<f64>,
    pub variances: Vec<f64>,
}

impl Template {
    pub(super) fn multiply(&mut self, factor: f64) {
        self.contents.iter_mut().for_each(|x| *x *= factor);
        let square = factor * factor;
        self.variances.iter_mut().for_each(|x| *x *= square);
    }
}

/// Reads samples with all that a measurement wants of their events.
pub(super) struct Reader<'a> {
    pub measurement: &'a Measurement,
    places: Places,
    config: Config,
    wanted: Wanted,
    /// Key of the observable, place of the region, bins.
    histograms: Vec<(String, usize, Edges)>,
    /// Keys and places of the regions that the likelihood is of; the first is measured
    /// without bins, if there is a reference.
    fitted: Vec<(String, usize)>,
    /// Regions whose events a process has its rate from, a bit each: that without bins, or all
    /// channels where there is none.
    measured: u64,
    /// What may be looked at of the observed events.
    pub blinding: Blinding,
    /// The files that were read, by the configuration's key.
    files: Mutex<InputFiles>,
    meanings: Mutex<Meanings>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(measurement: &'a Measurement, places: Places, unblind: bool) -> Result<Self> {
        let has_reference = !measurement.measurement.reference.is_empty();
        let like = match measurement.samples.keys().next() {
            Some(first) if !has_reference => measurement.sample(first),
            _ => measurement.reference(),
        };
        let like = like.ok_or_else(no_reference)?;
        let mut config = measurement.ensemble_config(like.clone(), like);
        config.regions.clone_from(&measurement.regions);
        let place = |region: &str| config.regions.get_index_of(region).unwrap_or(0);
        let unbinned = place(&measurement.training.region);
        let mut fitted = Vec::new();
        if has_reference {
            fitted.push(("training.region".to_owned(), unbinned));
        }
        let (mut histograms, mut columns, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, histogram) in binned(measurement).into_iter().enumerate() {
            let key = format!("{}.observable", histogram.key);
            let region = place(histogram.region);
            columns.push((key.clone(), histogram.observable.to_owned()));
            needed.push((number, region));
            let edges = Edges::new(histogram.edges.to_vec()).of(Kind::Internal)?;
            histograms.push((key, region, edges));
            if histogram.is_fitted {
                fitted.push((format!("{}.region", histogram.key), region));
            }
        }
        Ok(Self {
            measurement,
            places,
            wanted: Wanted {
                features: inputs(&config),
                columns,
                columns_are_keys: true,
                needed,
                ..Wanted::default()
            },
            blinding: Blinding::new(&config.regions, unblind),
            config,
            histograms,
            measured: match has_reference {
                true => 1 << unbinned,
                false => fitted.iter().fold(0, |all, (_, region)| all | 1 << region),
            },
            fitted,
            files: Mutex::default(),
            meanings: Mutex::default(),
        })
    }

    fn dataset(&self, place: &str, sample: &SampleConfig) -> Result<Dataset> {
        let sample = self.placed(place, sample)?;
        let dataset = Dataset::open(&sample.path.to_list(), Path::new(""));
        dataset.map_err(|e| e.at_key(format!("{place}.path")))
    }

    /// Names of the columns of a sample's files.
    pub(super) fn column_names(&self, place: &str, sample: &SampleConfig) -> Result<Vec<String>> {
        let dataset = self.dataset(place, sample)?;
        Ok(dataset.columns().iter().map(|c| c.name.clone()).collect())
    }

    /// The factor on the rate of a process as it is for the files of its sample at `place`,
    /// the nominal or a varied one.
    pub(super) fn factor(&self, process: &str, place: &str, sample: &SampleConfig) -> Result<f64> {
        let scale = &self.measurement.samples[process].scale;
        let found = factor(scale, &self.config, false, || self.dataset(place, sample));
        let key = format!("samples.{process}.scale");
        found.map_err(|e| match place.starts_with("samples.") {
            true => e.at_key(key),
            false => e.at_key(format!("{key} (in {place})")),
        })
    }

    /// The same as it goes on record: none where the configuration has no such factor.
    pub(super) fn recorded(&self, process: &str, factor: f64) -> Option<f64> {
        let is_there = self.measurement.samples[process].scale != ScaleConfig::default();
        is_there.then_some(factor)
    }

    /// Reads a simulated sample that the configuration has at `place`.
    pub(super) fn read(&self, place: &str, sample: &SampleConfig) -> Result<Sample> {
        self.load(place, sample, SampleRole::Simulation)
    }

    /// Reads two simulated samples. What they have in common with `earlier` ones is not
    /// read again.
    pub(super) fn read_pair(
        &self,
        pair: [(&str, &SampleConfig); 2],
        earlier: Vec<Sample>,
    ) -> Result<Vec<Sample>> {
        let open = |(place, sample)| self.open(place, sample, SampleRole::Simulation);
        let opened = pair.map(open).into_iter().collect();
        let read = read_samples(opened, earlier)?;
        for ((place, _), sample) in pair.iter().zip(&read) {
            self.record(place, sample)?;
        }
        Ok(read)
    }

    /// Reads the events of a process.
    pub(super) fn read_process(&self, name: &str) -> Result<Sample> {
        let place = format!("samples.{name}");
        let sample = self.measurement.sample(name);
        let sample = sample.ok_or_else(|| Error::config_at(&place, "is not there"))?;
        self.read(&place, &sample)
    }

    /// Reads the observed events, but for those of blind regions, and refuses them if some
    /// are there twice. Without ids, events of equal values are copies where simulated ones
    /// have none.
    pub(super) fn read_observed(&self, sample: &SampleConfig) -> Result<Sample> {
        let observed = self.load("observed", sample, SampleRole::Data)?;
        let found = copies(&observed, usize::MAX);
        if found == 0 {
            return Ok(observed);
        }
        let values = observed.table.n_features + observed.table.columns.len();
        let by_id = !observed.ids_by_row;
        if !by_id {
            let Some(simulated) = self.measurement.reference() else {
                // observables alone do not tell events apart
                return Ok(observed);
            };
            let simulated = self.read("measurement.reference", &simulated)?;
            let by_chance = copies(&simulated, observed.table.len());
            if by_chance > 0 || (values < FEW_VALUES && found < 3) {
                return Ok(observed);
            }
        }
        let how = if by_id { "id and " } else { "" };
        let text = format!(
            "{found} of {} events are there twice: {how}all inputs and observables are those of \
             an earlier event; remove the copies from the files",
            observed.table.len()
        );
        Err(Error::data_at("observed", text))
    }

    fn load(&self, place: &str, sample: &SampleConfig, whose: SampleRole) -> Result<Sample> {
        let read = self.open(place, sample, whose)?.read(None)?;
        self.record(place, &read)?;
        Ok(read)
    }

    fn open(
        &self,
        place: &str,
        sample: &SampleConfig,
        whose: SampleRole,
    ) -> Result<OpenSample<'_>> {
        let sample = self.placed(place, sample)?;
        let base = Path::new("");
        let twice = Dataset::named_twice(&sample.path.to_list(), base)
            .map_err(|e| e.at_key(format!("{place}.path")))?;
        if let Some(file) = twice {
            let text = format!(
                "{} is named twice; its events would count once: name every file once",
                file.display()
            );
            return Err(Error::data_at(format!("{place}.path"), text));
        }
        let spec = SampleSpec {
            role: "target",
            place,
            sample: &sample,
            whose,
        };
        spec.open(&self.config, &self.wanted, &self.blinding)
    }

    /// The sample with its paths as the working directory has them.
    fn placed(&self, place: &str, sample: &SampleConfig) -> Result<SampleConfig> {
        let placed = self.places.sample(sample);
        placed.map_err(|e| e.at_key(format!("{place}.path")))
    }

    /// Keeps the files of a sample that was read, if it goes with the others.
    fn record(&self, place: &str, sample: &Sample) -> Result<()> {
        lock(&self.meanings).add(place, sample)?;
        let mut files = sample.files.clone();
        for file in &mut files {
            // the same in whichever directory the run is
            if let Ok(own) = Path::new(&file.path).strip_prefix(&self.places.run) {
                file.path = format!("{RUN_PREFIX}{}", own.display());
            }
        }
        lock(&self.files).insert(place.to_owned(), files);
        Ok(())
    }

    /// The files that were read so far.
    pub(super) fn files(&self) -> InputFiles {
        lock(&self.files).clone()
    }

    /// Names of the inputs.
    pub(super) fn names(&self) -> Vec<&str> {
        let features = self.wanted.features.iter();
        features.map(|f| f.0.as_str()).collect()
    }

    /// Events of a sample in the region that is measured without bins, or in a channel where
    /// there is none.
    pub(super) fn selected<'s>(&self, sample: &'s Sample) -> impl Iterator<Item = usize> + use<'s> {
        let measured = self.measured;
        let flags = sample.table.flags.iter().enumerate();
        flags.filter_map(move |(row, flags)| (flags & measured != 0).then_some(row))
    }

    /// The number of a region.
    pub(super) fn region(&self, name: &str) -> Option<usize> {
        self.config.regions.get_index_of(name)
    }

    /// Regions of the likelihood whose observed events are not all to be looked at: each
    /// one's key, and the blind region. A region is concerned if it is blind, or if
    /// simulated events of it are in a blind one.
    pub(super) fn hidden(&self, sample: &Sample) -> Vec<(String, String)> {
        let blind: Vec<(usize, &str)> = self.blinding.blind_regions().collect();
        if !self.blinding.is_closed() {
            return Vec::new();
        }
        let names = |flags: u64| {
            let own = blind.iter().filter(|(number, _)| flags >> number & 1 == 1);
            own.map(|(_, name)| *name).collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        for (key, region) in &self.fitted {
            let flags = sample.in_region(*region).map(|row| sample.table.flags[row]);
            let shared = flags
                .filter(|flags| flags & HIDDEN != 0)
                .fold(0, |all, flags| all | flags);
            let is_shown = self.blinding.shows(*region);
            let itself = if is_shown { 0 } else { 1 << region };
            if shared | itself == 0 {
                continue;
            }
            // a selection that is null selects no region by name
            let own = names(shared | itself);
            let of = if own.is_empty() { names(u64::MAX) } else { own };
            found.push((key.clone(), of.join(" and ")));
        }
        found
    }

    /// Events that two channels of the likelihood have in common: the keys of both, and
    /// how many.
    pub(super) fn overlap(&self, sample: &Sample) -> Option<(&str, &str, usize)> {
        for (i, (key, region)) in self.fitted.iter().enumerate() {
            for (other, earlier) in &self.fitted[..i] {
                let both = |row: &usize| sample.table.flags[*row] >> earlier & 1 == 1;
                let events = sample.in_region(*region).filter(both).count();
                if events > 0 {
                    return Some((key, other, events));
                }
            }
        }
        None
    }

    /// Histograms of a sample, in the order of [`binned`].
    pub(super) fn templates(&self, sample: &Sample) -> Vec<Template> {
        let template = |(key, region, edges): &(String, usize, Edges)| {
            let mut template = Template {
                contents: vec![0.0; edges.bins()],
                variances: vec![0.0; edges.bins()],
            };
            let Some(values) = sample.column(key) else {
                return template;
            };
            for row in sample.in_region(*region) {
                // none is NaN: such events are refused or dropped while reading
                if let Some(bin) = edges.find(values[row]) {
                    let weight = sample.table.weights[row];
                    template.contents[bin] += weight;
                    template.variances[bin] += weight * weight;
                }
            }
            template
        };
        self.histograms.iter().map(template).collect()
    }

    /// Refuses events of a varied sample that are nominal events under another id: a network
    /// would be trained and tested on them at once.
    pub(super) fn check_varied(
        &self,
        nominal: &Sample,
        varied: &Sample,
        place: &str,
        process: &str,
    ) -> Result<()> {
        // none where several events have these values
        let mut known: HashMap<u64, Option<u64>> = HashMap::new();
        for row in self.selected(nominal) {
            let key = nominal.table.ids.key(row);
            known
                .entry(fingerprint(nominal, row))
                .and_modify(|id| *id = id.filter(|id| *id == key))
                .or_insert(Some(key));
        }
        let (mut all, mut other) = (0_usize, 0_usize);
        for row in self.selected(varied) {
            all += 1;
            if let Some(Some(id)) = known.get(&fingerprint(varied, row)) {
                other += usize::from(*id != varied.table.ids.key(row));
            }
        }
        if other as f64 <= CHANCE * all as f64 {
            return Ok(());
        }
        let text = format!(
            "{other} of its {all} events have all inputs and observables of an event of \
             samples.{process} and another id: they are the same events, which would be trained \
             and tested on at once; write the ids of the nominal sample"
        );
        Err(Error::data_at(format!("{place}.path"), text))
    }
}

fn no_reference() -> Error {
    Error::config_at("measurement.reference", "names no sample")
}

/// What tells events apart that have no id: their inputs and observables.
fn fingerprint(sample: &Sample, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for x in sample.features(row) {
        x.to_bits().hash(&mut hasher);
    }
    for (_, values) in &sample.table.columns {
        values[row].to_bits().hash(&mut hasher);
    }
    sample.table.flags[row].hash(&mut hasher);
    hasher.finish()
}

/// Events with the values of an earlier one, of at most `first` rows; with ids, of those
/// with its id as well.
fn copies(sample: &Sample, first: usize) -> usize {
    let mut seen = HashSet::new();
    let rows = 0..sample.table.len().min(first);
    let id = |row: usize| (!sample.ids_by_row).then(|| sample.table.ids.key(row));
    rows.filter(|row| !seen.insert((fingerprint(sample, *row), id(*row))))
        .count()
}
