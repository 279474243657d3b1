//! Events that the likelihood itself expects at a point: those of the reference that no
//! network has seen, with the weights that make them the model's.

use super::error::MeasureError;
use super::model::Builder;
use crate::inference::asymptotic::DataSet;
use crate::inference::histogram::HistogramChannel;
use crate::inference::toys::reference_weights;
use crate::inference::{Model, Parameter, UnbinnedChannel};

/// What a reference event is worth at a point `[n]` of the fit's coordinates. `channel`:
/// the model over the events; `weights`: theirs in the reference, both `[N]`.
///
/// # Errors
/// [`MeasureError::Likelihood`] if nothing is expected there.
pub(super) fn asimov_weights(
    channel: &UnbinnedChannel,
    weights: &[f64],
    at: &[f64],
) -> Result<Vec<f64>, MeasureError> {
    let rate: f64 = channel.rates(at).iter().sum();
    // a learned density may be slightly negative: such an event is not expected
    let ratios: Vec<f64> = channel
        .densities(at)
        .iter()
        .map(|q| (q / rate).max(0.0))
        .collect();
    let mut weights = reference_weights(&ratios, weights, rate)
        .map_err(|e| MeasureError::Likelihood(e.to_string()))?;
    // the rate is that of the likelihood, whatever the density integrates to
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w *= rate / sum);
    Ok(weights)
}

/// The parameters with auxiliary measurements as expected at a point.
pub(super) fn at_point(parameters: &[Parameter], point: &[f64]) -> Vec<Parameter> {
    let mut parameters = parameters.to_vec();
    for (parameter, value) in parameters.iter_mut().zip(point) {
        if let Some(constraint) = &mut parameter.constraint {
            constraint.centre = *value;
        }
    }
    parameters
}

/// Histograms with the counts that are expected at a point.
pub(super) fn expected(
    histograms: &[HistogramChannel],
    point: &[f64],
) -> Result<Vec<HistogramChannel>, MeasureError> {
    let histograms = histograms.iter();
    let expected = histograms.map(|channel| channel.with_observed(channel.expected(point)));
    expected
        .collect::<Result<_, _>>()
        .map_err(|e| MeasureError::Likelihood(e.to_string()))
}

/// What Asimov data are made of.
pub(super) struct Asimov<'a> {
    /// The model over events of the reference that no network has seen.
    pub channel: &'a UnbinnedChannel,
    /// Their weights, `[N]`.
    pub weights: &'a [f64],
    /// The histograms beside them.
    pub histograms: &'a [HistogramChannel],
}

/// A data set of a measurement: observed, or Asimov data.
pub(super) struct Data<'a> {
    pub model: Model,
    pub parameters: Vec<Parameter>,
    pub source: &'a Asimov<'a>,
}

impl DataSet for Data<'_> {
    type Error = MeasureError;

    fn likelihood(&self) -> Model {
        self.model.clone()
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, MeasureError> {
        let source = self.source;
        let weights = asimov_weights(source.channel, source.weights, point)?;
        let rows: Vec<usize> = (0..weights.len()).collect();
        let channel = source
            .channel
            .select(&rows, &weights)
            .map_err(|e| MeasureError::Likelihood(e.to_string()))?;
        let histograms = expected(source.histograms, point)?;
        let parameters = at_point(&self.parameters, point);
        Ok(Self {
            model: Builder::model(parameters.clone(), Some(channel), histograms)
                .with_prior(self.model.prior().cloned()),
            parameters,
            source,
        })
    }
}
