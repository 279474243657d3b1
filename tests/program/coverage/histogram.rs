//! What a histogram of one observable says of the data sets of an [`ExactMeasurement`].

use super::histogram_model;
use sideband::toys::Toy;
use sideband::truth::{Count, DIMENSIONS, ExactMeasurement, Point, Side, TrueProcess, Truth};
use sideband_likelihood::Interpolation;
use sideband_likelihood::fit::{FitSettings, fit};
use sideband_likelihood::histogram::{Factor, HistogramChannel, Modifier, Template};
use sideband_likelihood::toys::{ToyRecord, fit_toy, randomised};
use sideband_numerics::random::Key;

/// Places of the parameters of an experiment: `sqrt(mu)` and the shape.
const KAPPA: usize = 0;
const SHAPE: usize = 1;

/// Bins, of equal content under the mixture.
const BINS: usize = 20;

/// Events of a template: its bins are known to half a per cent, those of 2000 events to 10.
const SIMULATED: usize = 1_000_000;

/// Words that branch the key of a toy.
const EVENTS: u64 = 0;
const AUXILIARY: u64 = 1;

/// Bins of one observable; the first and the last are open.
struct Binning {
    observable: usize,
    edges: Vec<f64>,
}

impl Binning {
    fn new(observable: usize, mixture: &[Point]) -> Self {
        let mut values: Vec<f64> = mixture.iter().map(|x| x[observable]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let edge = |k: usize| values[k * values.len() / BINS];
        Self {
            observable,
            edges: (1..BINS).map(edge).collect(),
        }
    }

    fn counts(&self, events: &[Point]) -> Vec<f64> {
        let mut counts = vec![0.0; BINS];
        for x in events {
            let bin = self.edges.partition_point(|e| *e <= x[self.observable]);
            counts[bin] += 1.0;
        }
        counts
    }
}

/// The same model, nuisance parameters and truth as those of an experiment, measured
/// with a histogram of one observable instead of every event's density.
pub(super) struct HistogramAnalysis<'a> {
    experiment: &'a ExactMeasurement,
    binning: Binning,
    channel: HistogramChannel,
}

impl<'a> HistogramAnalysis<'a> {
    /// One of every observable, with templates from simulated events.
    pub(super) fn of_all(experiment: &'a ExactMeasurement) -> Vec<Self> {
        let model = experiment.model();
        let key = Key::from_seed(7);
        let mixture = model.sample(TrueProcess::Sbi, SIMULATED, key.with(0));
        let binnings: Vec<Binning> = (0..DIMENSIONS).map(|k| Binning::new(k, &mixture)).collect();
        let mut templates = vec![Vec::new(); DIMENSIONS];
        for (k, process) in TrueProcess::ALL.into_iter().enumerate() {
            let key = key.with(1 + k as u64);
            let nominal = model.sample(process, SIMULATED, key.with(0));
            let varied = |side, word| model.sample_varied(process, side, SIMULATED, key.with(word));
            let (down, up) = (varied(Side::Down, 1), varied(Side::Up, 2));
            for (binning, templates) in binnings.iter().zip(&mut templates) {
                let scaled = |events: &[Point]| -> Vec<f64> {
                    let scale = model.events(process) / SIMULATED as f64;
                    let counts = binning.counts(events);
                    counts.into_iter().map(|n| n * scale).collect()
                };
                templates.push(Template {
                    name: process.name().to_owned(),
                    nominal: scaled(&nominal),
                    factors: Factor::of_rate(&experiment.processes()[k].rate),
                    // the sum over bins stays what it is: the rate has its own response
                    modifiers: vec![Modifier::Shape {
                        parameter: SHAPE,
                        low: scaled(&down),
                        high: scaled(&up),
                        code: Interpolation::Code4p,
                    }],
                });
            }
        }
        let each = binnings.into_iter().zip(templates);
        each.map(|(binning, templates)| Self {
            experiment,
            binning,
            channel: HistogramChannel::new("histogram", templates, vec![0.0; BINS], 3).unwrap(),
        })
        .collect()
    }

    /// Place of its observable.
    pub(super) fn observable(&self) -> usize {
        self.binning.observable
    }

    /// Error of `mu` on the data expected at `mu`, with the nuisance parameters.
    pub(super) fn expected_error(&self, mu: f64) -> f64 {
        let at = [mu.sqrt(), 0.0, 0.0];
        let parameters = self.experiment.parameters().to_vec();
        let model = histogram_model(&self.channel, self.channel.expected(&at), parameters);
        let fit = fit(&model.likelihood(), self.experiment.settings()).unwrap();
        2.0 * mu.sqrt() * fit.error(KAPPA).unwrap()
    }

    /// The pseudo-experiment that [`ExactMeasurement::toy`] makes, measured with its histogram.
    pub(super) fn toy(&self, truth: &Truth, toy: Toy) -> ToyRecord {
        let settings: &FitSettings = self.experiment.settings();
        let events = self
            .experiment
            .model()
            .sample_at(truth, Count::Poisson, toy.key.with(EVENTS))
            .unwrap();
        let at = [truth.mu.sqrt(), truth.shape, truth.rate];
        let parameters = randomised(self.experiment.parameters(), &at, toy.key.with(AUXILIARY));
        let counts = self.binning.counts(&events);
        let model = histogram_model(&self.channel, counts, parameters);
        let mut fitted = fit_toy(&model.likelihood(), settings, KAPPA, &at).unwrap();
        let kappa = fitted.fitted[KAPPA];
        fitted.fitted[KAPPA] = kappa * kappa;
        fitted.errors[KAPPA] *= 2.0 * kappa;
        ToyRecord {
            point: toy.point,
            toy: toy.number,
            events: events.len() as u64,
            converged: fitted.converged,
            t: fitted.t,
            truth: vec![truth.mu, truth.shape, truth.rate],
            fitted: fitted.fitted,
            errors: fitted.errors,
        }
    }
}
