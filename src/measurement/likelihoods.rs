//! The likelihood of a measurement, with what it was made of.

use super::asimov::expected;
use super::columns::Columns;
use super::evaluated::{Evaluated, EventTerm};
use super::events::Events;
use super::model::{Builder, Histogram, Parameters};
use super::pipeline::Study;
use super::samples::Reader;
use crate::error::{Error, Kind, Result};
use sideband_likelihood::histogram::{HistogramChannel, HistogramModel};
use sideband_likelihood::{Likelihood as _, Model, Parameter};
use std::sync::Arc;

/// A likelihood with what it was made of.
pub(super) struct Likelihoods {
    pub model: Model,
    pub events: EventTerm,
    /// Histograms alone, without the error of the networks.
    pub histograms: Option<HistogramModel>,
    /// What the histograms were made of.
    pub asked: Vec<Histogram>,
    channels: Vec<HistogramChannel>,
    list: Vec<Parameter>,
    parameters: Parameters,
}

impl Likelihoods {
    /// Why the fit of it failed: that, or what is not defined at the nominal point, be it
    /// a bin of a channel, an event, or a file of events that cannot be read.
    pub(super) fn reason(&self, error: Error) -> Error {
        let nominal: Vec<f64> = self.list.iter().map(|p| p.nominal).collect();
        let error = self.events.reason(&nominal, error);
        let mut channels = self.channels.iter();
        let bin = channels.find_map(|channel| impossible(channel, &nominal));
        let why = match bin {
            _ if error.kind() != Kind::Fit => None,
            Some(bin) => Some(bin),
            None if self.model.value(&nominal).is_finite() => None,
            None => self
                .events
                .channel
                .check(&nominal)
                .err()
                .map(|e| e.to_string()),
        };
        error.map(|text| match why {
            Some(why) => format!("{text}: {why}"),
            None => text,
        })
    }

    /// Place of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<usize> {
        self.parameters.place(name)
    }

    /// Those of the measurement, without the bins'.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// All parameters of the model.
    pub(super) fn list(&self) -> &[Parameter] {
        &self.list
    }

    /// The histograms among its channels.
    pub(super) fn channels(&self) -> &[HistogramChannel] {
        &self.channels
    }

    /// Those with the counts that are expected at a point.
    pub(super) fn expected(&self, point: &[f64]) -> Result<Vec<HistogramChannel>> {
        expected(&self.channels, point)
    }

    /// Bounds of a parameter, in the fit's coordinate.
    pub(super) fn bounds(&self, place: usize) -> (f64, f64) {
        self.parameters.list[place].bounds
    }

    /// A coordinate of the fit as a value of the parameter.
    pub(super) fn reported(&self, place: usize, coordinate: f64) -> f64 {
        self.parameters.value(place, coordinate)
    }
}

/// A bin of a histogram in which data are impossible at a point, and what to change.
pub(super) fn impossible(channel: &HistogramChannel, at: &[f64]) -> Option<String> {
    let expected = channel.expected(at);
    let both = channel.observed().iter().zip(expected).enumerate();
    let mut bad = both
        .filter(|(_, (n, mean))| *mean < 0.0 || !mean.is_finite() || (*mean == 0.0 && **n > 0.0));
    let (bin, (n, mean)) = bad.next()?;
    Some(format!(
        "channel {}, bin {bin} (counted from 0): {n} events observed and {mean} expected at the \
         nominal point; merge it with a neighbour in channels.{}.bins, or simulate events there",
        channel.name(),
        channel.name()
    ))
}

impl Study<'_> {
    /// The histograms of `[channels]` with the counts of `events`.
    pub(super) fn asked(&self, events: &Events, is_observed: bool) -> Vec<Histogram> {
        let first = usize::from(Reader::has_own_histogram(self.measurement));
        let channels = self.measurement.channels.iter().enumerate();
        channels
            .map(|(i, (name, channel))| Histogram {
                name: name.clone(),
                number: i + first,
                observed: counts(events, i + first, is_observed),
                statistical: channel.statistical,
            })
            .collect()
    }

    /// The same with that of the region without bins, if it has one, before them.
    fn asked_alone(&self, events: &Events, is_observed: bool) -> Vec<Histogram> {
        let own = Reader::has_own_histogram(self.measurement).then(|| Histogram {
            name: self.measurement.training.region.clone(),
            number: 0,
            observed: counts(events, 0, is_observed),
            statistical: false,
        });
        own.into_iter()
            .chain(self.asked(events, is_observed))
            .collect()
    }

    /// Histograms alone: without the error of the networks, which no histogram has.
    fn histograms(
        &self,
        plain: &Parameters,
        asked: &[Histogram],
    ) -> Result<Option<HistogramModel>> {
        let builder = Builder {
            measurement: self.measurement,
            plan: self.plan,
            parameters: plain,
        };
        match asked.is_empty() {
            true => Ok(None),
            false => Ok(Some(builder.histograms(asked)?)),
        }
    }

    /// All channels in one likelihood.
    pub(super) fn likelihoods(
        &self,
        builder: &Builder<'_>,
        events: &Events,
        columns: &Evaluated,
        pool: &Columns,
        is_observed: bool,
    ) -> Result<Likelihoods> {
        let asked = self.asked(events, is_observed);
        let HistogramModel {
            channels,
            parameters,
            ..
        } = builder.histograms(&asked)?;
        let reference = pool.sample()?;
        let over_pool = builder.unbinned(pool, Some(&reference), &parameters)?;
        let normalising = (&reference, self.is_renormalised());
        let events_term = columns.term(over_pool, normalising, &parameters)?;
        let list = parameters.clone();
        let term = Arc::clone(&events_term.term);
        let model = Builder::model_of(parameters, Some(term), channels.clone())
            .with_prior(builder.parameters.prior.clone());
        let plain = Parameters::new(self.measurement, None);
        let asked = self.asked_alone(events, is_observed);
        let histograms = self.histograms(&plain, &asked)?;
        Ok(Likelihoods {
            model,
            events: events_term,
            histograms,
            asked,
            channels,
            list,
            parameters: builder.parameters.clone(),
        })
    }
}

/// The counts of events in a histogram, by its place among the templates.
fn counts(events: &Events, number: usize, is_observed: bool) -> Option<Vec<f64>> {
    let template = events.templates.get(number).filter(|_| is_observed)?;
    Some(template.contents.clone())
}
