//! The samples of a measurement, read one after the other.

use super::error::MeasureError;
use crate::background::{Sample, Wanted, inputs};
use crate::config::{Config, Measurement, SampleConfig};
use crate::stats::Edges;
use std::path::Path;

/// Reads samples with all that a measurement wants of their events.
pub(super) struct Reader<'a> {
    run: &'a Path,
    config: Config,
    wanted: Wanted,
    channels: Vec<(usize, Edges)>,
    /// Place of the region that is measured without bins.
    region: usize,
}

/// What a column of an observable is called.
fn column(channel: usize) -> String {
    format!("channel {channel}")
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
    ) -> Result<Self, MeasureError> {
        let mut config = measurement.ensemble_config(like.clone(), like.clone());
        config.regions.clone_from(&measurement.regions);
        let region = config.regions.get_index_of(&measurement.training.region);
        let mut columns = Vec::new();
        let mut channels = Vec::new();
        let own = measurement.measurement.histogram.iter();
        let own = own.map(|h| (&measurement.training.region, &h.observable, &h.bins));
        let others = measurement.channels.values();
        let others = others.map(|c| (&c.region, &c.observable, &c.bins));
        for (number, (name, observable, bins)) in own.chain(others).enumerate() {
            columns.push((column(number), observable.clone()));
            let place = config.regions.get_index_of(name).unwrap_or(0);
            let edges = Edges::new(bins.clone());
            channels.push((
                place,
                edges.map_err(|e| MeasureError::Other(e.to_string()))?,
            ));
        }
        Ok(Self {
            run,
            wanted: Wanted {
                features: inputs(&config),
                columns,
                flags: Vec::new(),
            },
            config,
            channels,
            region: region.unwrap_or(0),
        })
    }

    /// Reads a sample that the configuration has at `place`.
    pub(super) fn read(&self, place: &str, sample: &SampleConfig) -> Result<Sample, MeasureError> {
        let sample = sample.in_run(self.run);
        let role = ("target", place);
        let base = Path::new("");
        Ok(Sample::load(
            role,
            &self.config,
            &sample,
            &self.wanted,
            base,
            true,
        )?)
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

    /// The histogram of the region that is measured without bins, if there is one.
    pub(super) fn has_own_histogram(measurement: &Measurement) -> bool {
        measurement.measurement.histogram.is_some()
    }

    /// Histograms of a sample in all channels: first that of the region that is
    /// measured without bins, if it has one, then those of `[channels]`.
    pub(super) fn templates(&self, sample: &Sample) -> Vec<Template> {
        let channels = self.channels.iter().enumerate();
        channels
            .map(|(number, (region, edges))| {
                let mut template = Template {
                    contents: vec![0.0; edges.bins()],
                    variances: vec![0.0; edges.bins()],
                };
                let Some(values) = sample.column(&column(number)) else {
                    return template;
                };
                for row in sample.in_region(*region) {
                    let value = f64::from(values[row]);
                    if let Some(bin) = edges.find(value) {
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
