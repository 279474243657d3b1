//! Events that the likelihood itself expects at a point: those of the reference that no
//! network has seen, with the weights that make them the model's.

use super::model::{Builder, no_likelihood};
use crate::error::{Error, Result};
use sideband_likelihood::asymptotic::DataSet;
use sideband_likelihood::histogram::HistogramChannel;
use sideband_likelihood::{Model, Parameter, UnbinnedChannel};

/// What a reference event is worth at a point `[n]` of the fit's coordinates. `channel`:
/// the model over the events; `weights`: theirs in the reference, both `[N]`. Weights may
/// be of both signs, as those of the likelihood may: only their sum must be positive. Toys
/// cannot be thrown from such; see `toys`.
///
/// # Errors
/// `Kind::Likelihood` if nothing is expected there.
pub(super) fn asimov_weights(
    channel: &UnbinnedChannel,
    weights: &[f64],
    at: &[f64],
) -> Result<Vec<f64>> {
    let rate: f64 = channel.rates(at).iter().sum();
    // a learned density may be slightly negative: such an event is not expected
    let mut weights: Vec<f64> = channel
        .densities(at)
        .iter()
        .zip(weights)
        .map(|(q, w)| (q / rate).max(0.0) * w)
        .collect();
    let sum: f64 = weights.iter().sum();
    if !(sum.is_finite() && sum > 0.0) {
        return Err(no_likelihood(format!(
            "the {} events of the reference that no network has seen have weights that add up to \
             {sum} at {}: raise training.held_out, or give the reference more events",
            weights.len(),
            described(channel, at)
        )));
    }
    // the rate is that of the likelihood, whatever the density integrates to
    weights.iter_mut().for_each(|w| *w *= rate / sum);
    Ok(weights)
}

/// A point in words.
fn described(channel: &UnbinnedChannel, at: &[f64]) -> String {
    let pairs = channel.parameters().iter().zip(at);
    let pairs: Vec<String> = pairs.map(|(name, x)| format!("{name} = {x:.4}")).collect();
    pairs.join(", ")
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
) -> Result<Vec<HistogramChannel>> {
    let histograms = histograms.iter();
    let expected = histograms.map(|channel| channel.with_observed(channel.expected(point)));
    expected.collect::<Result<_, _>>().map_err(no_likelihood)
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
    type Error = Error;

    fn likelihood(&self) -> Model {
        self.model.clone()
    }

    fn asimov(&self, point: &[f64]) -> Result<Self> {
        let source = self.source;
        let weights = asimov_weights(source.channel, source.weights, point)?;
        let rows: Vec<usize> = (0..weights.len()).collect();
        let channel = source
            .channel
            .select(&rows, &weights)
            .map_err(no_likelihood)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_likelihood::asymptotic::{Asymptotics, UpperStatistic};
    use sideband_likelihood::fit::FitSettings;
    use sideband_likelihood::histogram::{Factor, HistogramModel, Template};
    use sideband_likelihood::{Coefficient, Constraint, Process, Rate, RateResponse};
    use sideband_likelihood::{Events, Interpolation, ProcessEvents, Sample, Storage};

    const OBSERVED: usize = 57;

    fn parameters() -> Vec<Parameter> {
        let mut all = vec![Parameter::interest("mu", 1.0, (0.0, 10.0))];
        all.push(Parameter {
            constraint: Some(Constraint {
                centre: 0.3,
                width: 1.0,
            }),
            ..Parameter::nuisance("rate")
        });
        all
    }

    /// Signal and background with one uncertain rate.
    fn processes() -> [(Coefficient, f64, RateResponse); 2] {
        let response = |low, high| RateResponse {
            parameter: 1,
            low,
            high,
            interpolation: Interpolation::Code4,
        };
        [
            ("mu", 10.0, response(0.9, 1.1)),
            ("1", 50.0, response(0.8, 1.15)),
        ]
        .map(|(text, nominal, response)| {
            let coefficient = Coefficient::parse(text, &["mu", "rate"]).unwrap();
            (coefficient, nominal, response)
        })
    }

    /// Events that tell nothing: both processes have the density of the reference.
    fn events(weights: &[f64]) -> Sample {
        let ones = vec![1.0; weights.len()];
        let process = || ProcessEvents {
            ratios: &ones,
            responses: Vec::new(),
        };
        let events = Events {
            weights,
            processes: vec![process(), process()],
        };
        Sample::new(&events, Storage::Double).unwrap()
    }

    /// Observed and expected.
    fn limits<D: DataSet>(data: &D) -> Vec<f64> {
        let tests = Asymptotics::new(data, 0, 0.0, &FitSettings::default()).unwrap();
        let found = tests.limits(0.95, UpperStatistic::QTilde).unwrap();
        let all = std::iter::once(found.observed).chain(found.expected);
        all.map(Result::unwrap).collect()
    }

    #[test]
    fn without_shapes_limits_are_those_of_a_counting_experiment() {
        let process = |(coefficient, nominal, response)| Process {
            name: format!("{nominal}"),
            rate: Rate::new(coefficient, nominal, vec![response]).unwrap(),
        };
        let channel = UnbinnedChannel::new(
            processes().map(process).to_vec(),
            events(&[1.0; OBSERVED]),
            &parameters(),
        )
        .unwrap();
        // any weights of the reference will do
        let weights: Vec<f64> = (1..=40).map(f64::from).collect();
        let pool = channel.with_sample(events(&weights)).unwrap();
        let source = Asimov {
            channel: &pool,
            weights: &weights,
            histograms: &[],
        };
        let unbinned = Data {
            model: Builder::model(parameters(), Some(channel), Vec::new()),
            parameters: parameters(),
            source: &source,
        };
        let template = |(coefficient, nominal, response)| Template {
            name: format!("{nominal}"),
            nominal: vec![nominal],
            factors: vec![Factor::Coefficient(coefficient), Factor::Response(response)],
            modifiers: Vec::new(),
        };
        let counts = vec![OBSERVED as f64];
        let templates = processes().map(template).to_vec();
        let counting = HistogramModel {
            parameters: parameters(),
            fixed: Vec::new(),
            channels: vec![HistogramChannel::new("all", templates, counts, 2).unwrap()],
            constraints: Vec::new(),
        };
        for (found, expected) in limits(&unbinned).iter().zip(limits(&counting)) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
        }
    }
}
