//! The measurement of the interference model with its exact density ratios.
//!
//! Densities that are interpolated are divided by their integrals. The response is
//! `h = cos(theta)` with an angle `theta` that is linear in the observables. Moments of
//! `cos(n theta)`, the Chebyshev polynomials of `h`, are in closed form and fall off as
//! `exp(-n^2 |q sigma|^2 / 2)`, so that the rule of Chebyshev and Gauss with weights from
//! these moments integrates every smooth function of `h`, exact to rounding with a few
//! nodes: `E_j[f(h)] = sum_m w_jm f(h_m)`.

use super::gaussian::{Gaussian, Point, Wave};
use super::{Count, Interference, Lobe, Nuisance, TrueProcess, Truth, UpDown};
use crate::error::{Context, Kind, Result};
use crate::toys::Toy;
use sideband_likelihood::fit::{FitSettings, Search};
use sideband_likelihood::toys::{ToyRecord, fit_toy, randomised};
use sideband_likelihood::{
    Coefficient, Events, Interpolation, Model, Parameter, Process, ProcessEvents, Rate,
    RateResponse, ResponseEvents, Sample, Storage, UnbinnedChannel,
};
use std::f64::consts::{FRAC_PI_2, PI};
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

/// Moments `exp(-x^2 / 2)` beyond this `x` are below rounding.
const NEGLIGIBLE: f64 = 8.5;
/// Fewest nodes: responses are nearly linear, so that this is plenty.
const LEAST_NODES: usize = 32;

/// The interference model as a measurement: its likelihood with exact ratios, and its
/// pseudo-experiments. Parameters are `kappa = sqrt(mu)`, in which the likelihood is
/// smooth at `mu = 0` too, shape and rate, the latter two measured as 0 +- 1.
///
/// Between and beyond the values at which the responses are given, an interpolated
/// response has not mean 1 under its process: by Jensen's inequality `E[g^a] > 1` for
/// `a > 1`, and code 4 has the curvature of `g^a` at `a = 1` already. Events gain by
/// going there what the normalisation should have cost them. The densities are
/// divided by their integral, unless
/// [`without_normalisation`](Self::without_normalisation).
#[derive(Clone, Debug)]
pub struct ExactMeasurement {
    model: Interference,
    reference: Vec<TrueProcess>,
    processes: Vec<Process>,
    parameters: Vec<Parameter>,
    settings: FitSettings,
    normalisation: Option<Sample>,
}

impl ExactMeasurement {
    /// The measurement of `model` with ratios to the mixture `reference`, of which the
    /// result does not depend.
    ///
    /// # Errors
    /// Rates that are none.
    pub fn new(model: Interference, reference: Vec<TrueProcess>) -> Result<Self> {
        let search = Search {
            parameter: KAPPA,
            points: SEARCHED,
        };
        // the nodes as events of unit weight, each with the ratio of its weight under a
        // process to that weight
        let nodes = response_rule(&model).into_iter();
        let n = nodes.len() as f64;
        let nodes = nodes.map(|(weights, responses)| (weights.map(|w| w * n), responses));
        Ok(Self {
            processes: processes(&model)?,
            normalisation: Some(sample(nodes)?),
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
    pub fn processes(&self) -> &[Process] {
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
        let model = &self.model;
        let events = events.iter();
        let events = events.map(|x| (model.ratios(&self.reference, x), model.responses(x)));
        let channel = UnbinnedChannel::new(self.processes.clone(), sample(events)?, &parameters);
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
        let key = toy.key.with(EVENTS);
        let events = self.model.sample_at(truth, Count::Poisson, key)?;
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
fn processes(model: &Interference) -> Result<Vec<Process>> {
    let texts = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];
    let process = |(process, text): (TrueProcess, &str)| {
        let coefficient = Coefficient::parse(text, &["mu", "shape", "rate"]);
        let coefficient = coefficient.of(Kind::Likelihood)?.with_square(KAPPA);
        let response = |(parameter, nuisance)| {
            let UpDown { up, down } = model.rates(process, nuisance);
            RateResponse {
                parameter,
                low: down,
                high: up,
                interpolation: Interpolation::Code4,
            }
        };
        let responses = [(SHAPE, Nuisance::Shape), (RATE, Nuisance::Rate)].map(response);
        let rate = Rate::new(coefficient, model.events(process), responses.to_vec());
        Ok(Process {
            name: process.name().to_owned(),
            rate: rate.of(Kind::Likelihood)?,
        })
    };
    TrueProcess::ALL
        .into_iter()
        .zip(texts)
        .map(process)
        .collect()
}

/// Events of unit weight, from their ratios and responses by process.
fn sample(events: impl Iterator<Item = ([f64; 3], [UpDown; 3])>) -> Result<Sample> {
    let events: Vec<_> = events.collect();
    type Columns<'a> = &'a dyn Fn(&([f64; 3], [UpDown; 3])) -> f64;
    let column = |of: Columns<'_>| -> Vec<f64> { events.iter().map(of).collect() };
    let columns: [[Vec<f64>; 3]; 3] = std::array::from_fn(|j| {
        let (down, up) = (column(&|e| e.1[j].down), column(&|e| e.1[j].up));
        [column(&|e| e.0[j]), down, up]
    });
    let process = |j: usize| ProcessEvents {
        ratios: &columns[j][0],
        responses: vec![ResponseEvents {
            parameter: SHAPE,
            low: &columns[j][1],
            high: &columns[j][2],
            interpolation: Interpolation::Code4,
        }],
    };
    let weights = column(&|_| 1.0);
    let events = Events {
        weights: &weights,
        processes: (0..3).map(process).collect(),
    };
    Sample::new(&events, Storage::Double).of(Kind::Likelihood)
}

/// The rule for functions of the responses to the shape-and-rate parameter: weights of each
/// node under each process, which are probabilities, and the responses there. With it the
/// normalisation of an interpolated density, `E_j[g_j(x, a)]`, costs a few dozen evaluations
/// instead of a reference sample.
fn response_rule(model: &Interference) -> Vec<([f64; 3], [UpDown; 3])> {
    let least = (NEGLIGIBLE / model.config().least_spread()).ceil() as usize;
    let nodes = LEAST_NODES.max(least);
    let moments: Vec<[f64; 3]> = (1..nodes).map(|n| chebyshev_moments(model, n)).collect();
    let node = |m: usize| {
        let angle = PI * (m as f64 + 0.5) / nodes as f64;
        let weight = |j: usize| {
            let terms = (1..nodes).zip(&moments);
            let sum: f64 = terms.map(|(n, e)| (n as f64 * angle).cos() * e[j]).sum();
            // a density at the node, but for rounding
            ((1.0 + 2.0 * sum) / nodes as f64).max(0.0)
        };
        (std::array::from_fn(weight), model.responses_to(angle.cos()))
    };
    (0..nodes).map(node).collect()
}

/// `E_j[cos(n theta)]` of every process.
fn chebyshev_moments(model: &Interference, n: usize) -> [f64; 3] {
    let n = n as f64;
    let wave = Wave {
        vector: model.response.vector.map(|q| n * q),
        phase: n * (model.response.phase - FRAC_PI_2),
    };
    let config = model.config();
    let of = |gaussian: &Gaussian, lobe: &Lobe| lobe.events * gaussian.mean_of(&wave).0;
    let s = of(&model.signal, &config.signal);
    let b = of(&model.background, &config.background) + of(&model.incoherent, &config.incoherent);
    let (size, product) = model.interference();
    let beat = |sign| product.mean_of(&wave.shifted(sign, &model.beat)).0;
    let sbi = s + b + 0.5 * size * (beat(1.0) + beat(-1.0));
    let sums = [s, sbi, b];
    std::array::from_fn(|j| sums[j] / model.events[j])
}

#[cfg(test)]
mod tests {
    use super::super::InterferenceConfig;
    use super::*;
    use crate::toys::ToyStudy;
    use rayon::prelude::*;
    use sideband_likelihood::Likelihood;
    use sideband_likelihood::fit::{Fit, fit};
    use sideband_likelihood::toys::{AsimovPool, PointReport, reference_weights};
    use sideband_numerics::random::Key;

    fn experiment(reference: &[TrueProcess]) -> ExactMeasurement {
        let model = Interference::new(InterferenceConfig::default()).unwrap();
        ExactMeasurement::new(model, reference.to_vec()).unwrap()
    }

    impl ExactMeasurement {
        fn data(&self, [mu, shape, rate]: [f64; 3], key: Key) -> Vec<Point> {
            let at = Truth { mu, shape, rate };
            self.model.sample_at(&at, Count::Poisson, key).unwrap()
        }

        fn nominal(&self, events: &[Point]) -> Model {
            self.likelihood(events, self.parameters.clone()).unwrap()
        }
    }

    fn study(toys: u64) -> ToyStudy {
        ToyStudy {
            name: "interference".into(),
            seed: 20_26,
            parameters: ["mu", "shape", "rate"].map(String::from).to_vec(),
            points: 1,
            toys,
            chunk: toys,
        }
    }

    #[test]
    fn the_rule_integrates_responses_and_their_powers() {
        let mut narrow = InterferenceConfig::default();
        narrow.shape.wave = [0.1, 0.0, -0.1, 0.0, 0.0, 0.0];
        narrow.shape.size.up = 0.5;
        let flat = InterferenceConfig::without_interference();
        for config in [InterferenceConfig::default(), flat, narrow] {
            let model = Interference::new(config).unwrap();
            let rule = response_rule(&model);
            for (j, process) in TrueProcess::ALL.into_iter().enumerate() {
                let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
                    rule.iter().map(|(w, g)| w[j] * f(g[j].up)).sum()
                };
                assert!((sum(&|_| 1.0) - 1.0).abs() < 1e-12);
                assert!((sum(&|g| g) - 1.0).abs() < 1e-12);
                assert!(rule.iter().all(|(weights, _)| weights[j] >= 0.0));
                // a power that no rule knows, against Monte Carlo
                let n = 20_000;
                let events = model.sample(process, n, Key::from_seed(6));
                let power = |x: &Point| model.responses(x)[j].up.powf(7.3);
                let powers: Vec<f64> = events.iter().map(power).collect();
                let mean = powers.iter().sum::<f64>() / n as f64;
                let square = powers.iter().map(|p| (p - mean).powi(2)).sum::<f64>();
                let error = square.sqrt() / n as f64;
                let found = sum(&|g| g.powf(7.3));
                let text = format!("{found} {mean} +- {error}");
                assert!((found - mean).abs() < 4.0 * error, "{text}");
                assert!(found > 1.01, "the power is not normalised: {found}");
            }
        }
    }

    #[test]
    fn differences_of_the_likelihood_are_those_of_the_exact_densities() {
        let experiment = experiment(&[TrueProcess::S, TrueProcess::Sbi]);
        let model = experiment.model();
        let data = experiment.data([1.5, 1.0, 0.4], Key::from_seed(1));
        let exact = |[mu, shape, rate]: [f64; 3]| {
            let at = Truth { mu, shape, rate };
            let logs = data.iter().map(|x| model.intensity(&at, x).unwrap().ln());
            let penalty = 0.5 * (shape.powi(2) + rate.powi(2));
            model.expected(&at).unwrap() - logs.sum::<f64>() + penalty
        };
        let likelihood = experiment.nominal(&data);
        let value = |[mu, shape, rate]: [f64; 3]| likelihood.value(&[mu.sqrt(), shape, rate]);
        let nominal = [1.0, 0.0, 0.0];
        for mu in [0.0, 0.3, 1.5, 3.0] {
            for [shape, rate] in [[0.0, 0.0], [1.0, -0.7], [-1.0, 1.6]] {
                let at = [mu, shape, rate];
                let found = value(at) - value(nominal);
                let away = found - (exact(at) - exact(nominal));
                assert!(away.abs() < 1e-8, "{at:?}: {found} {away}");
            }
        }
    }

    #[test]
    fn the_best_fit_does_not_depend_on_the_reference() {
        let references: [&[TrueProcess]; 3] =
            [&TrueProcess::ALL, &[TrueProcess::Sbi], &[TrueProcess::B]];
        let data = experiment(references[0]).data([0.6, 0.0, 0.0], Key::from_seed(2));
        let [first, others @ ..] = references.map(|reference| {
            let experiment = experiment(reference);
            let fit = fit(&experiment.nominal(&data), experiment.settings()).unwrap();
            assert!(fit.is_converged());
            fit
        });
        for other in &others {
            for k in 0..3 {
                let error = |fit: &Fit| fit.error(k).unwrap();
                let away = (other.point[k] - first.point[k]) / error(&first);
                let ratio = error(other) / error(&first);
                assert!(away.abs() < 1e-5, "{away}");
                assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
            }
        }
    }

    const DATA_SETS: u64 = 150;

    /// Variance over data sets of the slope of the likelihood by the shape parameter, and
    /// mean of its curvature without the constraint: equal for a density, the information.
    fn information(experiment: &ExactMeasurement, shape: f64) -> (f64, f64) {
        let one = |number: u64| {
            let data = experiment.data([1.0, shape, 0.0], Key::from_seed(3).with(number));
            let (mut gradient, mut hessian) = ([0.0; 3], [0.0; 9]);
            let likelihood = experiment.nominal(&data);
            likelihood.hessian(&[1.0, shape, 0.0], &mut gradient, &mut hessian);
            (gradient[1], hessian[4] - 1.0)
        };
        let all: Vec<(f64, f64)> = (0..DATA_SETS).into_par_iter().map(one).collect();
        let n = all.len() as f64;
        let slope = all.iter().map(|(slope, _)| slope).sum::<f64>() / n;
        let variance = all.iter().map(|(s, _)| (s - slope).powi(2)).sum::<f64>() / (n - 1.0);
        let curvature = all.iter().map(|(_, curvature)| curvature).sum::<f64>() / n;
        (variance, curvature)
    }

    #[test]
    fn without_normalisation_the_curvature_is_not_the_information() {
        let normalised = experiment(&[TrueProcess::Sbi]);
        let bare = normalised.clone().without_normalisation();
        // four standard errors of a variance
        let error = 4.0 * (2.0 / DATA_SETS as f64).sqrt();
        for shape in [0.0, 1.0] {
            let (variance, curvature) = information(&normalised, shape);
            let away = (variance / curvature - 1.0).abs();
            assert!(away < error, "{shape}: {variance} {curvature}");
        }
        let (variance, curvature) = information(&bare, 1.0);
        assert!(curvature < 0.3 * variance, "{variance} {curvature}");
    }

    #[test]
    fn toys_cover_and_pull_as_they_must() {
        let experiment = experiment(&[TrueProcess::S, TrueProcess::Sbi]);
        let study = study(160);
        let at = Truth {
            mu: 1.0,
            shape: 1.0,
            rate: -1.0,
        };
        let toy = |t| experiment.toy(&at, study.toy(0, t)).unwrap();
        let records: Vec<ToyRecord> = (0..160).into_par_iter().map(toy).collect();
        let report = PointReport::new(&records, &[0.6827, 0.9545]).unwrap();
        assert_eq!(report.failed, 0);
        for coverage in &report.asymptotic {
            assert!(coverage.pull.abs() < 3.5, "{coverage:?}");
        }
        for pull in &report.pulls {
            assert!(pull.mean.abs() < 4.0 * pull.mean_error, "{pull:?}");
            let away = (pull.width - 1.0).abs();
            assert!(away < 4.0 * pull.width_error, "{pull:?}");
        }
        // what the information says that 2000 events know: 16 % of mu
        let width = report.fitted[0].width;
        assert!(width > 0.13 && width < 0.19, "{width}");
    }

    #[test]
    fn toys_of_a_pool_are_those_of_the_truth() {
        let experiment = experiment(&[TrueProcess::Sbi]);
        let model = experiment.model();
        let n = 30_000;
        let pool = model.sample(TrueProcess::Sbi, n, Key::from_seed(4));
        let truth = Truth::nominal(1.5);
        let expected = model.expected(&truth).unwrap();
        let ratio = |x: &Point| {
            model.intensity(&truth, x).unwrap() / expected / model.density(TrueProcess::Sbi, x)
        };
        let ratios: Vec<f64> = pool.iter().map(ratio).collect();
        let weights = vec![model.events(TrueProcess::Sbi) / n as f64; n];
        let weights = reference_weights(&ratios, &weights, expected).unwrap();
        let asimov = AsimovPool::new(&weights).unwrap();
        assert!(asimov.duplicates().largest_weight < 0.2);
        let study = study(120);
        let at = [truth.mu.sqrt(), 0.0, 0.0];
        let pull = |t| {
            let thrown = asimov.throw(study.toy(0, t).key);
            let copies = thrown.rows.iter().zip(&thrown.copies);
            let events: Vec<Point> = copies
                .flat_map(|(row, copies)| std::iter::repeat_n(pool[*row], *copies as usize))
                .collect();
            let likelihood = experiment.nominal(&events);
            let fitted = fit_toy(&likelihood, experiment.settings(), 0, &at).unwrap();
            assert!(fitted.converged);
            (fitted.fitted[0] - at[0]) / fitted.errors[0]
        };
        let pulls: Vec<f64> = (0..120).into_par_iter().map(pull).collect();
        let mean = pulls.iter().sum::<f64>() / 120.0;
        let width = (pulls.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 119.0).sqrt();
        // the pool itself is 15 toys, so that their common shift is 0.26
        let error = (1.0_f64 / 120.0 + 1.0 / 15.0).sqrt();
        assert!(mean.abs() < 4.0 * error, "{mean}");
        assert!((width - 1.0).abs() < 4.0 / 240.0_f64.sqrt(), "{width}");
    }
}
