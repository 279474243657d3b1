//! The hand-written network against the same in f64, written as plainly as it
//! can be, and its gradient against central differences of that.
//!
//! What is compared with tensor operations is in `tests/mlp.rs`.

use crate::kind::{Batch, Scratch};
use crate::layout::Row;
use crate::mlp::{Activation, EPSILON, MlpConfig};
use crate::network::Network;
use crate::objective::Objective;
use sideband_numerics::random::Key;

struct Case {
    config: MlpConfig,
    member: Row,
    x: Vec<f32>,
    coefficients: Vec<f32>,
    masks: Vec<f32>,
    objective: Objective,
}

impl Case {
    fn new(config: MlpConfig, objective: Objective, rows: usize) -> Self {
        let key = Key::from_seed(29);
        let mut stream = key.with(1).stream();
        let mut uniform = |low: f64, high: f64| (low + (high - low) * stream.uniform()) as f32;
        let x = (0..rows * (config.inputs + 1)).map(|i| {
            let last = i % (config.inputs + 1) == config.inputs;
            if last { 1.0 } else { uniform(-2.0, 2.0) }
        });
        let x = x.collect();
        let kept = (1.0 - config.dropout).recip() as f32;
        let units: usize = config.hidden.iter().sum();
        let cells = rows * units * usize::from(config.dropout > 0.0);
        let masks = (0..cells).map(|_| match uniform(0.0, 1.0) {
            u if f64::from(u) < config.dropout => 0.0,
            _ => kept,
        });
        let masks = masks.collect();
        // one weight in ten is negative
        let coefficients = (0..rows).map(|_| uniform(-0.1, 0.9) / rows as f32);
        Self {
            coefficients: coefficients.collect(),
            member: Network::new(config.clone()).initial(key),
            x,
            masks,
            objective,
            config,
        }
    }

    /// Loss and gradient by the code under test.
    fn gradient(&self) -> (f32, Vec<f32>) {
        let mut gradient = vec![f32::NAN; self.member.parameters.len()];
        let batch = Batch {
            x: &self.x,
            coefficients: &self.coefficients,
            masks: &self.masks,
            objective: self.objective,
        };
        let network = Network::new(self.config.clone()).on_host();
        let (mut scratch, mut member) = (Scratch::default(), self.member.clone());
        let loss = network.gradient(&mut scratch, &mut member, &batch, &mut gradient);
        (loss, gradient)
    }

    /// The network's outputs in f64, in training.
    fn outputs(&self, parameters: &[f64]) -> Vec<f64> {
        let rows = self.coefficients.len();
        let mut rest = parameters;
        let mut masks = self.masks.as_slice();
        let mut take = |len: usize| {
            let (own, behind) = rest.split_at(len);
            rest = behind;
            own
        };
        let inputs = self.config.inputs;
        let row = |row: &[f32]| row[..inputs].iter().copied().map(f64::from).collect();
        let mut x: Vec<Vec<f64>> = self.x.chunks(inputs + 1).map(row).collect();
        for width in self.config.hidden.iter().copied() {
            x = linear(&x, take(x[0].len() * width), take(width));
            if self.config.batch_norm {
                normalise(&mut x, take(width), take(width));
            }
            let function = function(self.config.activation);
            x.iter_mut().flatten().for_each(|x| *x = function(*x));
            if !masks.is_empty() {
                let (own, behind) = masks.split_at(rows * width);
                masks = behind;
                let units = x.iter_mut().flatten().zip(own);
                units.for_each(|(x, mask)| *x *= f64::from(*mask));
            }
        }
        let last = x[0].len();
        linear(&x, take(last), take(1)).concat()
    }

    fn loss(&self, parameters: &[f64]) -> f64 {
        let half = self.coefficients.len() / 2;
        let outputs = self.outputs(parameters);
        let rows = outputs.iter().zip(&self.coefficients).enumerate();
        rows.map(|(i, (q, coefficient))| {
            let sign = if i < half { 1.0 } else { -1.0 };
            f64::from(*coefficient) * self.objective.value(*q, sign)
        })
        .sum()
    }

    fn check(&self) {
        let what = format!("{:?} {:?}", self.config, self.objective);
        let exact = self.member.parameters.iter().copied();
        let exact: Vec<f64> = exact.map(f64::from).collect();
        let (loss, gradient) = self.gradient();
        let expected = self.loss(&exact);
        let error = (f64::from(loss) - expected).abs();
        assert!(
            error < 2e-6 * (1.0 + expected.abs()),
            "{what}: {loss}, {expected}"
        );
        let size = gradient.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for (i, found) in gradient.iter().enumerate() {
            // small, so that hardly ever a kink lies between
            let h = 1e-7;
            let moved = |by: f64| {
                let mut parameters = exact.clone();
                parameters[i] += by;
                self.loss(&parameters)
            };
            let expected = (moved(h) - moved(-h)) / (2.0 * h);
            let error = (f64::from(*found) - expected).abs();
            let close = error < 3e-5 * f64::from(size);
            assert!(close, "{what} parameter {i}: {found}, expected {expected}");
        }
    }
}

fn linear(x: &[Vec<f64>], weight: &[f64], bias: &[f64]) -> Vec<Vec<f64>> {
    let rows = x.iter().map(|x| {
        let terms = |unit: usize| {
            let weights = weight.iter().skip(unit).step_by(bias.len());
            x.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
        };
        let units = 0..bias.len();
        units.map(|unit| terms(unit) + bias[unit]).collect()
    });
    rows.collect()
}

fn normalise(x: &mut [Vec<f64>], gain: &[f64], shift: &[f64]) {
    let rows = x.len() as f64;
    for unit in 0..gain.len() {
        let mean = x.iter().map(|x| x[unit]).sum::<f64>() / rows;
        let variance = x.iter().map(|x| (x[unit] - mean).powi(2)).sum::<f64>() / rows;
        for x in &mut *x {
            x[unit] = (x[unit] - mean) / (variance + EPSILON).sqrt() * gain[unit] + shift[unit];
        }
    }
}

fn function(activation: Activation) -> fn(f64) -> f64 {
    match activation {
        Activation::Relu => |x| x.max(0.0),
        Activation::LeakyRelu => |x| if x > 0.0 { x } else { 0.01 * x },
        Activation::Silu => |x| x / (1.0 + (-x).exp()),
        Activation::Gelu => |x| x * normal_distribution(x),
        Activation::Tanh => f64::tanh,
        Activation::Softplus => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    }
}

/// By Simpson's rule from zero: good to 1e-12 in the range of these tests.
fn normal_distribution(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let (steps, h) = (400, x / 400.0);
    let inner = (1..steps).map(|i| f64::from(2 + 2 * (i % 2)) * density(f64::from(i) * h));
    0.5 + h / 3.0 * (density(0.0) + inner.sum::<f64>() + density(x))
}

#[test]
fn gradients_are_central_differences_of_the_network_in_f64() {
    for activation in Activation::ALL {
        for objective in Objective::OF_RATIOS {
            Case::new(MlpConfig::new(3, &[5, 17], activation), objective, 70).check();
        }
    }
    // more than one tile, the last one not full, source and target in one of them
    Case::new(
        MlpConfig::new(3, &[4], Activation::Silu),
        Objective::Exponential,
        600,
    )
    .check();
    // logistic regression
    Case::new(
        MlpConfig::new(3, &[], Activation::Relu),
        Objective::CrossEntropy,
        33,
    )
    .check();
}

#[test]
fn gradients_with_batch_norm_and_dropout_are_central_differences() {
    for (dropout, batch_norm) in [(0.25, false), (0.0, true), (0.25, true)] {
        let config = MlpConfig {
            dropout,
            batch_norm,
            ..MlpConfig::new(3, &[6, 4], Activation::Tanh)
        };
        Case::new(config, Objective::CrossEntropy, 300).check();
    }
}

#[test]
fn activations_are_those_of_f64_everywhere() {
    let points: Vec<f64> = (-4000..=4000).map(|i| f64::from(i) * 0.005).collect();
    for activation in Activation::ALL {
        let network = Network::new(MlpConfig::new(1, &[1], activation)).on_host();
        let x: Vec<f32> = points.iter().flat_map(|x| [*x as f32, 1.0]).collect();
        let mut output = vec![f32::NAN; points.len()];
        let identity = Row {
            parameters: vec![1.0, 0.0, 1.0, 0.0],
            statistics: Vec::new(),
        };
        network.output(&mut Scratch::default(), &identity, &x, &mut output);
        for (x, found) in points.iter().zip(&output) {
            let x = f64::from(*x as f32);
            let expected = match activation {
                Activation::Gelu if x.abs() > 12.0 => x.max(0.0),
                _ => function(activation)(x),
            };
            let close = (f64::from(*found) - expected).abs() < 3e-7 * (1.0 + expected.abs());
            assert!(close, "{activation:?}({x}) = {found}, expected {expected}");
        }
    }
}

#[test]
fn numbers_do_not_depend_on_the_threads() {
    let config = MlpConfig::new(3, &[300, 20], Activation::Silu);
    let case = Case::new(config.clone(), Objective::Exponential, 2500);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be made").install(|| {
            let mut output = vec![f32::NAN; 2500];
            let network = Network::new(config.clone()).on_host();
            let mut scratch = Scratch::default();
            network.output(&mut scratch, &case.member, &case.x, &mut output);
            (case.gradient(), output)
        })
    };
    let alone = on(1);
    assert!(alone == on(2) && alone == on(3));
}

#[test]
fn an_infinite_loss_and_a_nan_are_not_hidden() {
    let config = MlpConfig::new(3, &[4], Activation::Relu);
    let mut case = Case::new(config, Objective::Exponential, 64);
    let bias = case.member.parameters.len() - 1;
    case.coefficients.fill(1.0);
    case.member.parameters[bias] = 200.0;
    assert_eq!(case.gradient().0, f32::INFINITY);
    case.member.parameters[bias] = f32::NAN;
    assert!(case.gradient().0.is_nan());
    case.member.parameters[bias] = 0.0;
    case.member.parameters[0] = f32::NAN;
    assert!(case.gradient().0.is_nan());
}
