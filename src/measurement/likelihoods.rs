//! The likelihood of a measurement, with what it was made of.

use super::asimov::expected;
use super::columns::Columns;
use super::error::MeasureError;
use super::evaluated::{Evaluated, EventTerm};
use super::events::Events;
use super::model::{Builder, Histogram, Parameters};
use super::pipeline::Study;
use super::samples::Reader;
use crate::inference::histogram::{HistogramChannel, HistogramModel};
use crate::inference::{Model, Parameter};
use std::sync::Arc;

/// A likelihood with what it was made of.
pub(super) struct Likelihoods {
    pub model: Model,
    pub events: EventTerm,
    pub histograms: Option<HistogramModel>,
    /// What the histograms were made of.
    pub asked: Vec<Histogram>,
    channels: Vec<HistogramChannel>,
    list: Vec<Parameter>,
    parameters: Parameters,
}

impl Likelihoods {
    /// Why the fit of it failed: that, or a file of events that cannot be read.
    pub(super) fn reason(&self, error: MeasureError) -> MeasureError {
        let nominal: Vec<f64> = self.list.iter().map(|p| p.nominal).collect();
        self.events.reason(&nominal, error)
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
    pub(super) fn expected(&self, point: &[f64]) -> Result<Vec<HistogramChannel>, MeasureError> {
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

impl Study<'_> {
    /// All channels in one likelihood.
    pub(super) fn likelihoods(
        &self,
        builder: &Builder<'_>,
        events: &Events,
        columns: &Evaluated,
        pool: &Columns,
        is_observed: bool,
    ) -> Result<Likelihoods, MeasureError> {
        let counts = |number: usize| {
            let template = events.templates.get(number).filter(|_| is_observed)?;
            Some(template.contents.clone())
        };
        let has_own = Reader::has_own_histogram(self.measurement);
        let channels = self.measurement.channels.iter().enumerate();
        let asked: Vec<Histogram> = channels
            .map(|(i, (name, channel))| {
                let number = i + usize::from(has_own);
                Histogram {
                    name: name.clone(),
                    number,
                    observed: counts(number),
                    statistical: channel.statistical,
                }
            })
            .collect();
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
        // the region without bins as a histogram, beside the channels that are ones
        let own = has_own.then(|| Histogram {
            name: self.measurement.training.region.clone(),
            number: 0,
            observed: counts(0),
            statistical: false,
        });
        let all: Vec<Histogram> = own.into_iter().chain(asked).collect();
        let histograms = match all.is_empty() {
            true => None,
            false => Some(builder.histograms(&all)?),
        };
        Ok(Likelihoods {
            model,
            events: events_term,
            histograms,
            asked: all,
            channels,
            list,
            parameters: builder.parameters.clone(),
        })
    }
}
