//! The samples of a measurement, read one after the other.

use crate::error::{Context, Error, Kind, Result};
use crate::events::{Dataset, HIDDEN};
use crate::rundir::InputFiles;
use crate::settings::{Blinding, Config, Measurement, RUN_PREFIX, SampleConfig, SampleRole};
use crate::workflow::{Sample, SampleSpec, Wanted, inputs};
use sideband_numerics::Edges;
use std::cell::RefCell;
use std::path::Path;

/// Reads samples with all that a measurement wants of their events.
pub(super) struct Reader<'a> {
    run: &'a Path,
    config: Config,
    wanted: Wanted,
    /// Key of the observable, place of the region, bins.
    channels: Vec<(String, usize, Edges)>,
    /// Place of the region that is measured without bins.
    region: usize,
    /// What may be looked at of the observed events.
    blinding: Blinding,
    /// The files that were read, by the configuration's key.
    files: RefCell<InputFiles>,
}

/// Contents and variances of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Template {
    pub contents: Vec<f64>,
    pub variances: Vec<f64>,
}

impl<'a> Reader<'a> {
    /// A reader for samples like `like`.
    pub(super) fn new(
        measurement: &Measurement,
        like: &SampleConfig,
        run: &'a Path,
        unblind: bool,
    ) -> Result<Self> {
        let mut config = measurement.ensemble_config(like.clone(), like.clone());
        config.regions.clone_from(&measurement.regions);
        let region = config.regions.get_index_of(&measurement.training.region);
        let mut columns = Vec::new();
        let (mut channels, mut needed) = (Vec::new(), Vec::new());
        let own = measurement.measurement.histogram.iter();
        let own = own.map(|h| {
            let key = "measurement.histogram.observable".to_owned();
            (key, &measurement.training.region, &h.observable, &h.bins)
        });
        let others = measurement.channels.iter();
        let others = others.map(|(name, c)| {
            let key = format!("channels.{name}.observable");
            (key, &c.region, &c.observable, &c.bins)
        });
        for (key, name, observable, bins) in own.chain(others) {
            columns.push((key.clone(), observable.clone()));
            let place = config.regions.get_index_of(name).unwrap_or(0);
            let edges = Edges::new(bins.clone());
            let edges = edges.of(Kind::Internal)?;
            needed.push((columns.len() - 1, place));
            channels.push((key, place, edges));
        }
        Ok(Self {
            run,
            wanted: Wanted {
                features: inputs(&config),
                columns,
                columns_are_keys: true,
                needed,
                ..Wanted::default()
            },
            blinding: Blinding::new(&config.regions, unblind),
            config,
            channels,
            region: region.unwrap_or(0),
            files: RefCell::default(),
        })
    }

    /// Names of the columns of a sample's files.
    pub(super) fn column_names(&self, place: &str, sample: &SampleConfig) -> Result<Vec<String>> {
        let sample = sample.in_run(self.run);
        let dataset = Dataset::open(&sample.path.to_list(), Path::new(""))
            .map_err(|e| e.at_key(format!("{place}.path")))?;
        Ok(dataset.columns().iter().map(|c| c.name.clone()).collect())
    }

    /// Reads a simulated sample that the configuration has at `place`.
    pub(super) fn read(&self, place: &str, sample: &SampleConfig) -> Result<Sample> {
        self.load(place, sample, SampleRole::Simulation)
    }

    /// Reads the observed events, but for those of blind regions.
    pub(super) fn read_observed(&self, sample: &SampleConfig) -> Result<Sample> {
        self.load("observed", sample, SampleRole::Data)
    }

    /// What may be looked at of the observed events.
    pub(super) fn blinding(&self) -> &Blinding {
        &self.blinding
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
        for (key, region) in self.fitted() {
            let hidden = sample.in_region(region).map(|row| sample.table.flags[row]);
            let shared = hidden
                .filter(|flags| flags & HIDDEN != 0)
                .fold(0, |all, flags| all | flags);
            let itself = if self.blinding.shows(region) {
                0
            } else {
                1 << region
            };
            if shared | itself == 0 {
                continue;
            }
            // a selection that is null selects no region by name
            let own = names(shared | itself);
            let of = if own.is_empty() { names(u64::MAX) } else { own };
            found.push((key, of.join(" and ")));
        }
        found
    }

    /// Keys and places of the regions that the likelihood is of.
    fn fitted(&self) -> Vec<(String, usize)> {
        let others = self
            .channels
            .iter()
            .filter(|(key, ..)| key.starts_with("channels."));
        let others =
            others.map(|(key, region, _)| (key.replace(".observable", ".region"), *region));
        let unbinned = ("training.region".to_owned(), self.region);
        std::iter::once(unbinned).chain(others).collect()
    }

    fn load(&self, place: &str, sample: &SampleConfig, whose: SampleRole) -> Result<Sample> {
        let sample = sample.in_run(self.run);
        let base = Path::new("");
        let twice = Dataset::named_twice(&sample.path.to_list(), base)
            .map_err(|e| e.at_key(format!("{place}.path")))?;
        if let Some(file) = twice {
            return Err(Error::data_at(
                format!("{place}.path"),
                format!(
                    "{} is named twice; its events would count once: name every file once",
                    file.display()
                ),
            ));
        }
        let spec = SampleSpec {
            role: "target",
            place,
            sample: &sample,
            whose,
        };
        let read = Sample::load(&spec, &self.config, &self.wanted, &self.blinding, base)?;
        let mut files = read.files.clone();
        for file in &mut files {
            // the same in whichever directory the run is
            if let Ok(own) = Path::new(&file.path).strip_prefix(self.run) {
                file.path = format!("{RUN_PREFIX}{}", own.display());
            }
        }
        self.files.borrow_mut().insert(place.to_owned(), files);
        Ok(read)
    }

    /// The files that were read so far.
    pub(super) fn files(&self) -> InputFiles {
        self.files.borrow().clone()
    }

    /// Number of inputs.
    pub(super) fn columns(&self) -> usize {
        self.wanted.features.len()
    }

    /// Names of the inputs.
    pub(super) fn names(&self) -> Vec<String> {
        self.wanted.features.iter().map(|f| f.0.clone()).collect()
    }

    /// Events of a sample in the region that is measured without bins.
    pub(super) fn selected<'s>(&self, sample: &'s Sample) -> impl Iterator<Item = usize> + 's {
        sample.in_region(self.region)
    }

    /// Events that two channels of the likelihood have in common: the keys of both, and
    /// how many.
    pub(super) fn overlap(&self, sample: &Sample) -> Option<(String, String, usize)> {
        let all = self.fitted();
        for (i, (key, region)) in all.iter().enumerate() {
            for (other, earlier) in &all[..i] {
                let both = |row: &usize| sample.table.flags[*row] >> earlier & 1 == 1;
                let events = sample.in_region(*region).filter(both).count();
                if events > 0 {
                    return Some((key.clone(), other.clone(), events));
                }
            }
        }
        None
    }

    /// The histogram of the region that is measured without bins, if there is one.
    pub(super) fn has_own_histogram(measurement: &Measurement) -> bool {
        measurement.measurement.histogram.is_some()
    }

    /// Histograms of a sample in all channels: first that of the region that is
    /// measured without bins, if it has one, then those of `[channels]`.
    pub(super) fn templates(&self, sample: &Sample) -> Vec<Template> {
        self.channels
            .iter()
            .map(|(key, region, edges)| {
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
            })
            .collect()
    }
}
