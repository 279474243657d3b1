//! The likelihood of a measurement, and of events that it expects at a point itself: those of
//! the reference that no network has seen, with the weights that make them the model's.

use super::event_file::{Evaluated, EventTerm};
use super::events::Events;
use super::model::{Analysis, HistogramRequest, Parameters, model, no_likelihood};
use super::ratios::Columns;
use super::result::Checks;
use crate::error::{Error, Kind, Result};
use sideband_likelihood::asymptotic::DataSet;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::histogram::{HistogramChannel, HistogramModel};
use sideband_likelihood::{
    CorrelatedPrior, Likelihood as _, Model, Normalisation, Parameter, UnbinnedChannel,
};
use std::sync::Arc;

/// A likelihood with what it was made of.
pub(super) struct Likelihoods {
    pub model: Model,
    pub events: EventTerm,
    /// The histograms among its channels.
    pub channels: Vec<HistogramChannel>,
    /// Histograms alone, without the error of the networks, which no histogram has.
    pub histograms: Option<HistogramModel>,
    /// What these were made of.
    pub asked: Vec<HistogramRequest>,
}

impl Likelihoods {
    /// All channels in one likelihood. `pool`: events of the reference.
    pub(super) fn new(
        analysis: Analysis<'_>,
        events: &Events,
        columns: &Evaluated,
        pool: &Columns,
    ) -> Result<Self> {
        let measurement = analysis.measurement;
        let asked = HistogramRequest::all(measurement, &events.templates, true);
        let HistogramModel {
            channels,
            parameters,
            ..
        } = analysis.histograms(&asked)?;
        let reference = pool.sample()?;
        let over_pool = analysis.unbinned(reference.clone(), Some(&reference), &parameters)?;
        let normalising = measurement.measurement.renormalise.then_some(reference);
        let events_term = columns.term(over_pool, normalising, &parameters)?;
        let asked = HistogramRequest::all(measurement, &events.templates, false);
        let plain = Parameters::new(measurement, None);
        let alone = Analysis {
            parameters: &plain,
            ..analysis
        };
        let has_any = !asked.is_empty();
        let histograms = has_any.then(|| alone.histograms(&asked)).transpose()?;
        let prior = analysis.parameters.prior.clone();
        let term = Arc::clone(&events_term.term);
        Ok(Self {
            model: model(parameters, term, channels.clone(), prior),
            events: events_term,
            channels,
            histograms,
            asked,
        })
    }

    /// All parameters of the model.
    pub(super) fn parameters(&self) -> &[Parameter] {
        self.model.parameters()
    }

    /// Why the fit of it failed: that, or what is not defined at the nominal point, be it
    /// a bin of a channel, an event, or a file of events that cannot be read.
    pub(super) fn reason(&self, error: Error) -> Error {
        if let Some(unread) = self.events.unread() {
            return unread.clone();
        }
        if error.kind() != Kind::Fit {
            return error;
        }
        let nominal: Vec<f64> = self.parameters().iter().map(|p| p.nominal).collect();
        let mut channels = self.channels.iter();
        let bin = channels.find_map(|channel| impossible(channel, &nominal));
        let why = bin.or_else(|| {
            if self.model.value(&nominal).is_finite() {
                return None;
            }
            let event = self.events.channel.check(&nominal).err()?;
            Some(event.to_string())
        });
        error.map(|text| match why {
            Some(why) => format!("{text}: {why}"),
            None => text,
        })
    }

    /// Checks at the best fit and one error around it.
    pub(super) fn checks(&self, best: &Fit) -> Result<Checks> {
        let channel = &self.events.channel;
        let mut worst: Option<Normalisation> = None;
        for (k, parameter) in self.parameters().iter().enumerate() {
            // on a bound, by the curvature inwards: the other step stays where it is
            let by_curvature = || best.profile_curvature(k).map(|c| c.sqrt().recip());
            let error = best.error(k).or_else(by_curvature);
            let Some(error) = error.filter(|error| error.is_finite()) else {
                continue;
            };
            for step in [-error, error] {
                let mut at = best.point.clone();
                at[k] = (at[k] + step).clamp(parameter.bounds.0, parameter.bounds.1);
                let found = channel.normalisation(&at);
                let farther = |n: &Normalisation| {
                    let away = n.significance().abs();
                    worst.is_none_or(|w| w.significance().abs() < away)
                };
                worst = found.filter(farther).or(worst);
            }
        }
        Ok(Checks {
            not_positive: self.events.count_not_positive(&best.point)?,
            normalisation: channel.normalisation(&best.point),
            normalisation_around: worst,
        })
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

/// What a reference event is worth at a point `[n]` of the fit's coordinates. `channel`:
/// the model over the events; `weights`: theirs in the reference, both `[N]`. Weights may
/// be of both signs, as those of the likelihood may: only their sum must be positive. Toys
/// cannot be thrown from such; see `toys`.
///
/// # Errors
/// [`Kind::Likelihood`] if nothing is expected there.
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

/// Data that are expected at a point.
pub(super) struct AsimovData {
    /// What the events of a pool are worth.
    weights: Vec<f64>,
    /// The parameters, with auxiliary measurements as expected there.
    parameters: Vec<Parameter>,
    /// The histograms as expected there.
    histograms: Vec<HistogramChannel>,
}

impl AsimovData {
    /// Of events with `weights`, `[N]`, and the model over them.
    pub(super) fn new(
        (pool, weights): (&UnbinnedChannel, &[f64]),
        parameters: &[Parameter],
        histograms: &[HistogramChannel],
        point: &[f64],
    ) -> Result<Self> {
        let weights = asimov_weights(pool, weights, point)?;
        let mut parameters = parameters.to_vec();
        for (parameter, value) in parameters.iter_mut().zip(point) {
            if let Some(constraint) = &mut parameter.constraint {
                constraint.centre = *value;
            }
        }
        let histograms = histograms.iter();
        let expected = histograms.map(|channel| channel.with_observed(channel.expected(point)));
        let histograms = expected.collect::<Result<_, _>>().map_err(no_likelihood)?;
        Ok(Self {
            weights,
            parameters,
            histograms,
        })
    }

    /// Their likelihood by some model over the events.
    pub(super) fn model(
        &self,
        pool: &UnbinnedChannel,
        prior: Option<Arc<CorrelatedPrior>>,
    ) -> Result<Model> {
        let rows: Vec<usize> = (0..self.weights.len()).collect();
        let channel = pool.select(&rows, &self.weights).map_err(no_likelihood)?;
        let (parameters, histograms) = (self.parameters.clone(), self.histograms.clone());
        Ok(model(parameters, Arc::new(channel), histograms, prior))
    }
}

/// A data set of a measurement, observed or Asimov data, and what the latter are made of.
pub(super) struct Data<'a> {
    pub model: Model,
    /// The model over events of the reference that no network has seen.
    pub pool: &'a UnbinnedChannel,
    /// Their weights, `[N]`.
    pub weights: &'a [f64],
    /// The histograms beside them.
    pub histograms: &'a [HistogramChannel],
}

impl DataSet for Data<'_> {
    type Error = Error;

    fn likelihood(&self) -> Model {
        self.model.clone()
    }

    fn asimov(&self, point: &[f64]) -> Result<Self> {
        let pool = (self.pool, self.weights);
        let data = AsimovData::new(pool, self.model.parameters(), self.histograms, point)?;
        let model = data.model(self.pool, self.model.prior().cloned())?;
        Ok(Self { model, ..*self })
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
        let unbinned = Data {
            model: model(parameters(), Arc::new(channel), Vec::new(), None),
            pool: &pool,
            weights: &weights,
            histograms: &[],
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
