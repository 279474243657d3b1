//! The measurement of the interference model with its exact density ratios.

use super::gaussian::Point;
use super::{Count, Interference, Nuisance, Process, Truth, UpDown};
use crate::error::{Context, Kind, Result};
use crate::toys::Toy;
use sideband_likelihood::fit::{FitSettings, Search};
use sideband_likelihood::toys::{ToyRecord, fit_toy, randomised};
use sideband_likelihood::{
    Coefficient, Events, Interpolation, Model, Parameter, ProcessEvents, Rate, RateResponse,
    ResponseEvents, Sample, Storage, UnbinnedChannel,
};
use std::sync::Arc;

/// Places of the parameters: `kappa = sqrt(mu)`, shape and rate.
const KAPPA: usize = 0;
const SHAPE: usize = 1;
const RATE: usize = 2;

/// Largest `kappa` that a fit may take.
const KAPPA_MAX: f64 = 4.0;

/// Values of `kappa` at which a fit looks for further minima.
const SEARCHED: usize = 9;

/// Words that branch the key of a toy.
const EVENTS: u64 = 0;
const AUXILIARY: u64 = 1;

/// The interference model as a measurement: its likelihood with exact ratios, and its
/// pseudo-experiments. Parameters are `kappa = sqrt(mu)`, in which the likelihood is
/// smooth at `mu = 0` too, shape and rate, the latter two measured as 0 +- 1.
///
/// Between and beyond the values at which the responses are given, an interpolated
/// response has not mean 1 under its process: by Jensen's inequality `E[g^a] > 1` for
/// `a > 1`, and code 4 has the curvature of `g^a` at `a = 1` already. Events gain by
/// going there what the normalisation should have cost them. The densities are
/// divided by their integral, which [`Interference::response_rule`] gives, unless
/// [`without_normalisation`](Self::without_normalisation).
#[derive(Clone, Debug)]
pub struct Experiment {
    model: Interference,
    reference: Vec<Process>,
    processes: Vec<sideband_likelihood::Process>,
    parameters: Vec<Parameter>,
    settings: FitSettings,
    normalisation: Option<Sample>,
}

impl Experiment {
    /// The measurement of `model` with ratios to the mixture `reference`, of which the
    /// result does not depend.
    ///
    /// # Errors
    /// Rates that are none.
    pub fn new(model: Interference, reference: Vec<Process>) -> Result<Self> {
        let search = Search {
            parameter: KAPPA,
            points: SEARCHED,
        };
        Ok(Self {
            processes: processes(&model)?,
            normalisation: Some(normalisation(&model).of(Kind::Likelihood)?),
            model,
            reference,
            parameters: vec![
                Parameter::interest("kappa", 1.0, (0.0, KAPPA_MAX)),
                Parameter::nuisance("shape"),
                Parameter::nuisance("rate"),
            ],
            settings: FitSettings {
                searches: vec![search],
                ..FitSettings::default()
            },
        })
    }

    /// The same with the interpolated responses as they are, not normalised: what this
    /// does to a fit is a study of its own.
    #[must_use]
    pub fn without_normalisation(mut self) -> Self {
        self.normalisation = None;
        self
    }

    /// The interference model.
    #[must_use]
    pub fn model(&self) -> &Interference {
        &self.model
    }

    /// Signal, signal with background and interference, background, with coefficients
    /// and rates in `kappa`, shape and rate.
    #[must_use]
    pub fn processes(&self) -> &[sideband_likelihood::Process] {
        &self.processes
    }

    /// `kappa`, shape and rate.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How it is fitted.
    #[must_use]
    pub fn settings(&self) -> &FitSettings {
        &self.settings
    }

    /// The likelihood of `events`, with `parameters` that hold the outcomes of the
    /// auxiliary measurements.
    ///
    /// # Errors
    /// No events.
    pub fn likelihood(&self, events: &[Point], parameters: Vec<Parameter>) -> Result<Model> {
        let mut columns = Columns::empty(events.len());
        for x in events {
            columns.push(
                self.model.ratios(&self.reference, x),
                self.model.responses(x),
            );
        }
        let sample = Sample::new(&columns.events(), Storage::Double).of(Kind::Likelihood)?;
        let channel = UnbinnedChannel::new(self.processes.clone(), sample, &parameters);
        let channel = match &self.normalisation {
            Some(events) => channel
                .and_then(|channel| channel.with_reference(events.clone()))
                .and_then(UnbinnedChannel::with_renormalisation),
            None => channel,
        };
        let channel = channel.of(Kind::Likelihood)?;
        Ok(Model::new(parameters, vec![Arc::new(channel)]))
    }

    /// A pseudo-experiment from the true density: a Poisson number of events at
    /// `truth`, auxiliary measurements around it, and its fits. The parameters of the
    /// record are `mu`, shape and rate.
    ///
    /// # Errors
    /// A truth outside its domain. A toy whose fit fails is recorded as such.
    pub fn toy(&self, truth: &Truth, toy: Toy) -> Result<ToyRecord> {
        let events = self
            .model
            .sample_at(truth, Count::Poisson, toy.key.with(EVENTS))?;
        let at = [truth.mu.sqrt(), truth.shape, truth.rate];
        let parameters = randomised(&self.parameters, &at, toy.key.with(AUXILIARY));
        let likelihood = self.likelihood(&events, parameters)?;
        let mut fitted = fit_toy(&likelihood, &self.settings, KAPPA, &at).of(Kind::Fit)?;
        // at a minimum d2/dmu2 = (dkappa/dmu)^2 d2/dkappa2
        let kappa = fitted.fitted[KAPPA];
        fitted.fitted[KAPPA] = kappa * kappa;
        fitted.errors[KAPPA] *= 2.0 * kappa;
        Ok(ToyRecord {
            point: toy.point,
            toy: toy.number,
            events: events.len() as u64,
            converged: fitted.converged,
            t: fitted.t,
            truth: vec![truth.mu, truth.shape, truth.rate],
            fitted: fitted.fitted,
            errors: fitted.errors,
        })
    }
}

/// Coefficients and rates of the three processes.
fn processes(model: &Interference) -> Result<Vec<sideband_likelihood::Process>> {
    let texts = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];
    let process = |(process, text): (Process, &str)| {
        let coefficient = Coefficient::parse(text, &["mu", "shape", "rate"]);
        let coefficient = coefficient.of(Kind::Likelihood)?.with_square(KAPPA);
        let responses = [(SHAPE, Nuisance::Shape), (RATE, Nuisance::Rate)];
        let response = |(parameter, nuisance)| {
            let UpDown { up, down } = model.rates(process, nuisance);
            RateResponse {
                parameter,
                low: down,
                high: up,
                interpolation: Interpolation::Code4,
            }
        };
        let responses = responses.map(response).to_vec();
        Ok(sideband_likelihood::Process {
            name: process.name().to_owned(),
            rate: Rate::new(coefficient, model.events(process), responses).of(Kind::Likelihood)?,
        })
    };
    Process::ALL.into_iter().zip(texts).map(process).collect()
}

/// The nodes of the rule as events of a reference sample: of unit weight, each with
/// the ratio of its weight under a process to that weight.
fn normalisation(model: &Interference) -> Result<Sample, sideband_likelihood::Error> {
    let nodes = model.response_rule();
    let mut columns = Columns::empty(nodes.len());
    for node in &nodes {
        let ratios = node.weights.map(|w| w * nodes.len() as f64);
        columns.push(ratios, node.responses);
    }
    Sample::new(&columns.events(), Storage::Double)
}

/// What the likelihood needs of each event, by process.
struct Columns {
    weights: Vec<f64>,
    ratios: [Vec<f64>; 3],
    up: [Vec<f64>; 3],
    down: [Vec<f64>; 3],
}

impl Columns {
    fn empty(events: usize) -> Self {
        let column = || std::array::from_fn(|_| Vec::with_capacity(events));
        Self {
            weights: Vec::with_capacity(events),
            ratios: column(),
            up: column(),
            down: column(),
        }
    }

    fn push(&mut self, ratios: [f64; 3], responses: [UpDown; 3]) {
        self.weights.push(1.0);
        for j in 0..ratios.len() {
            self.ratios[j].push(ratios[j]);
            self.up[j].push(responses[j].up);
            self.down[j].push(responses[j].down);
        }
    }

    fn events(&self) -> Events<'_> {
        let process = |j: usize| ProcessEvents {
            ratios: &self.ratios[j],
            responses: vec![ResponseEvents {
                parameter: SHAPE,
                low: &self.down[j],
                high: &self.up[j],
                interpolation: Interpolation::Code4,
            }],
        };
        Events {
            weights: &self.weights,
            processes: (0..self.ratios.len()).map(process).collect(),
        }
    }
}
