//! The events that a likelihood is evaluated at: those that were observed, or events
//! that no network has seen.

use super::plan::Plan;
use super::samples::{Reader, Template};
use crate::error::{Error, Result};
use crate::events::Losses;
use crate::settings::{Measurement, SampleConfig};
use crate::training::{SplitSettings, Streams};
use crate::workflow::Sample;

/// Events with weights.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    /// Inputs as they were read, `[n, D]`.
    pub features: Vec<f32>,
    /// `[n]`
    pub weights: Vec<f64>,
    /// Histograms of them, as [`Reader::templates`].
    pub templates: Vec<Template>,
    /// What is missing of the observed sample.
    pub losses: Option<Losses>,
}

impl Events {
    /// Number of events.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    fn push(&mut self, sample: &Sample, row: usize, weight: f64) {
        self.features.extend_from_slice(sample.features(row));
        self.weights.push(weight);
    }

    /// At most `n` of the events, evenly taken, with the same sum of weights.
    pub(super) fn thinned(&self, n: usize) -> Self {
        let columns = self.features.len() / self.len().max(1);
        let step = step(self.len(), n);
        let rows: Vec<usize> = (0..self.len()).step_by(step).collect();
        let sum = |rows: &mut dyn Iterator<Item = usize>| -> f64 {
            rows.map(|row| self.weights[row]).sum()
        };
        let scale = sum(&mut (0..self.len())) / sum(&mut rows.iter().copied());
        let features = |row: &usize| &self.features[row * columns..(row + 1) * columns];
        Self {
            features: rows.iter().flat_map(features).copied().collect(),
            weights: rows.iter().map(|row| scale * self.weights[*row]).collect(),
            ..Self::default()
        }
    }
}

/// Every how many of `events` are taken so that there are at most `n`.
pub(super) fn step(events: usize, n: usize) -> usize {
    events.div_ceil(n.max(1)).max(1)
}

/// How events are divided for all ratios.
pub(super) fn split(measurement: &Measurement) -> (SplitSettings, Streams) {
    let settings = SplitSettings::from(&measurement.training);
    (settings, Streams::new(measurement.experiment.seed, ""))
}

/// What stands in the way of a fit to the observed events: the region of the likelihood
/// and the blind region, in words. None where nothing is observed.
pub(super) fn withheld(measurement: &Measurement, plan: &Plan) -> Option<String> {
    let (key, region) = plan.hidden.first()?;
    measurement.observed.as_ref()?;
    Some(format!(
        "the fit needs observed events of `{key}` that are in the blind region {region}"
    ))
}

/// The observed events; none if there are none, or if they may not be looked at and an
/// upper limit is asked for, whose expected values need none.
///
/// # Errors
/// [`Kind::Config`] where a fit needs events that may not be looked at.
pub(super) fn observed(reader: &Reader<'_>, plan: &Plan) -> Result<Option<Events>> {
    let measurement = reader.measurement;
    let Some(mut sample) = measurement.observed_sample() else {
        return Ok(None);
    };
    if let Some((key, region)) = plan.hidden.first() {
        if measurement.measurement.limit.is_some() {
            return Ok(None);
        }
        let text = format!(
            "events of it are in the blind region `{region}`: a fit to the observed events would \
             need those that are hidden. Take [observed] out to see what is expected (Asimov \
             data), ask for measurement.limit, which then gives the expected limit alone, or open \
             the region with --unblind"
        );
        return Err(Error::config_at(key, text));
    }
    // copies are told by their ids, where the files have them
    if let Some(id) = observed_id(reader, &sample)? {
        sample.id = id;
    }
    let sample = reader.read_observed(&sample)?;
    let mut events = Events {
        templates: reader.templates(&sample),
        losses: Some(sample.losses.clone()),
        ..Events::default()
    };
    for row in reader.selected(&sample) {
        events.push(&sample, row, 1.0);
    }
    if events.len() == 0 {
        let text = match measurement.measurement.reference.is_empty() {
            true => "no event is in a channel",
            false => "no event is in the region that is measured without bins",
        };
        return Err(Error::data_at("observed", text));
    }
    Ok(Some(events))
}

/// The columns that name an event in the samples, if the observed files have all of them.
fn observed_id(reader: &Reader<'_>, sample: &SampleConfig) -> Result<Option<Vec<String>>> {
    let measurement = reader.measurement;
    let id = match measurement.reference() {
        Some(reference) => reference.id,
        None => {
            let mut ids = measurement.samples.values().map(|p| &p.id);
            ids.find(|id| !id.is_empty()).cloned().unwrap_or_default()
        }
    };
    let columns = reader.column_names("observed", sample)?;
    let has_all = id.iter().all(|name| columns.contains(name));
    Ok((has_all && !id.is_empty()).then_some(id))
}

/// Events of a process that no network has seen, weighted to `rate`.
pub(super) fn unseen(
    reader: &Reader<'_>,
    process: &str,
    rate: f64,
    into: &mut Events,
) -> Result<()> {
    let sample = reader.read_process(process)?;
    let (split, streams) = split(reader.measurement);
    let rows: Vec<usize> = reader
        .selected(&sample)
        .filter(|row| split.holds_out(streams, 0, sample.table.ids.key(*row)))
        .collect();
    let weights = &sample.table.weights;
    let sum: f64 = rows.iter().map(|row| weights[*row]).sum();
    if sum <= 0.0 {
        let text = format!(
            "the {} events that no network has seen have weights that add up to {sum}; raise \
             training.held_out",
            rows.len()
        );
        return Err(Error::data_at(format!("samples.{process}"), text));
    }
    for row in rows {
        into.push(&sample, row, weights[row] * rate / sum);
    }
    Ok(())
}

/// Events of the reference that no network has seen.
pub(super) fn reference(reader: &Reader<'_>, plan: &Plan) -> Result<Events> {
    let mut events = Events::default();
    for name in &reader.measurement.measurement.reference {
        unseen(reader, name, plan.sum(name).unwrap_or(0.0), &mut events)?;
    }
    Ok(events)
}
