//! Tests of the unbinned likelihood. The inputs are those of
//! `scripts/make_unbinned_golden.py`, made anew.

mod derivatives;
mod golden;
mod input;
mod normalisation;
mod samples;
mod w4;

use crate::{
    Coefficient, Events, Interpolation, NotPositive, Parameter, Process, ProcessEvents, Rate,
    RateResponse, ResponseEvents, Sample, Storage, UnbinnedChannel,
};

pub(super) const EVENTS: usize = 300;
pub(super) const NUISANCES: usize = 10;
const SHAPES: usize = 8;
const COEFFICIENTS: [&str; 3] = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];
const NOMINAL: [f64; 3] = [320.0, 300.0, 180.0];
const BARRIER: NotPositive = NotPositive::Barrier { relative: 1e-3 };

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let u = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * u
    }

    fn column(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|_| self.uniform(low, high)).collect()
    }
}

/// A response in two columns: parameter, low, high, code.
type Response = (usize, Vec<f64>, Vec<f64>, Interpolation);

/// Three processes with responses of code 4 to eight parameters, of code 1 to one.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) weights: Vec<f64>,
    pub(super) ratios: Vec<Vec<f64>>,
    pub(super) responses: Vec<Vec<Response>>,
    rates: Vec<Vec<RateResponse>>,
}

impl Data {
    pub(super) fn new(events: usize) -> Self {
        let mut numbers = Numbers(2024);
        let weights = numbers.column(events, -0.2, 1.8);
        let ratios = (0..3).map(|_| numbers.column(events, 0.3, 1.7));
        let mut ratios: Vec<Vec<f64>> = ratios.collect();
        ratios[1].iter_mut().step_by(60).for_each(|r| *r *= 0.01);
        let mut response = |parameter, code| {
            let low = numbers.column(events, 0.85, 1.05);
            (parameter, low, numbers.column(events, 0.9, 1.2), code)
        };
        let mut all = || {
            (0..SHAPES)
                .map(|k| response(k + 1, Interpolation::Code4))
                .collect()
        };
        let mut responses: Vec<Vec<Response>> = vec![all(), all(), all()];
        responses[1].push(response(9, Interpolation::Code1));
        let rates = (0..3).map(|j| rate_responses(j, &mut numbers)).collect();
        Self {
            weights,
            ratios,
            responses,
            rates,
        }
    }

    pub(super) fn events(&self) -> Events<'_> {
        let processes = self.ratios.iter().zip(&self.responses);
        let processes = processes.map(|(ratios, responses)| ProcessEvents {
            ratios,
            responses: responses.iter().map(borrow).collect(),
        });
        Events {
            weights: &self.weights,
            processes: processes.collect(),
        }
    }

    pub(super) fn sample(&self) -> Sample {
        Sample::new(&self.events(), Storage::Double).unwrap()
    }

    pub(super) fn processes(&self) -> Vec<Process> {
        let names: Vec<String> = parameters().into_iter().map(|p| p.name).collect();
        let process = |j: usize| {
            let coefficient = Coefficient::parse(COEFFICIENTS[j], &names).unwrap();
            let rate = Rate::new(coefficient, NOMINAL[j], self.rates[j].clone()).unwrap();
            Process {
                name: format!("process {j}"),
                rate,
            }
        };
        (0..3).map(process).collect()
    }

    /// With the barrier.
    pub(super) fn channel(&self) -> UnbinnedChannel {
        let channel = UnbinnedChannel::new(self.processes(), self.sample(), &parameters());
        channel.unwrap().with_policy(BARRIER).unwrap()
    }
}

fn borrow((parameter, low, high, code): &Response) -> ResponseEvents<'_> {
    ResponseEvents {
        parameter: *parameter,
        low,
        high,
        interpolation: *code,
    }
}

fn rate_responses(process: usize, numbers: &mut Numbers) -> Vec<RateResponse> {
    let response = |parameter, (low, high), interpolation| RateResponse {
        parameter,
        low,
        high,
        interpolation,
    };
    let mut pair = || (numbers.uniform(0.9, 1.0), numbers.uniform(1.0, 1.1));
    let shapes = (0..SHAPES).map(|k| response(k + 1, pair(), Interpolation::Code4));
    let mut all: Vec<RateResponse> = shapes.collect();
    if process == 1 {
        all.push(response(9, (0.93, 1.04), Interpolation::Code1));
    }
    let last = [(0.95, 1.1), (0.97, 1.02), (1.01, 0.96)][process];
    all.push(response(10, last, Interpolation::Code4p));
    all
}

pub(super) fn parameters() -> Vec<Parameter> {
    let nuisances = (0..NUISANCES).map(|k| Parameter::nuisance(&format!("alpha_{k}")));
    let mu = Parameter::interest("mu", 1.0, (0.0, 10.0));
    std::iter::once(mu).chain(nuisances).collect()
}

/// Points with nuisance parameters at 0, at the ends, between and beyond them.
pub(super) fn points() -> Vec<Vec<f64>> {
    let mut numbers = Numbers(5);
    let mut points = vec![vec![1.0; NUISANCES + 1], vec![0.0; NUISANCES + 1]];
    points[1][0] = 1.2;
    points[0][1] = -1.0;
    for size in [0.6, 2.5] {
        let mut point = numbers.column(NUISANCES + 1, -size, size);
        point[0] = 1.1;
        points.push(point);
    }
    points
}

/// Largest difference relative to the size of the expected numbers.
fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0_f64, |far, (a, b)| far.max((a - b).abs() / size))
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let far = largest_difference(found, expected);
    assert!(far <= tolerance, "{far:e}: {found:?} is not {expected:?}");
}
