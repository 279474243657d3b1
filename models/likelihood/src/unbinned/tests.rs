//! Tests of the unbinned likelihood. The inputs are those of
//! `scripts/make_unbinned_golden.py`, made anew.

mod derivatives;
mod refusals;
mod samples;

use crate::{
    Coefficient, Events, Interpolation, NotPositive, Parameter, Process, ProcessEvents, Rate,
    RateResponse, ResponseEvents, Sample, Storage, UnbinnedChannel,
};
use sideband_numerics::random::SplitMix64;

const EVENTS: usize = 300;
const NUISANCES: usize = 10;
const SHAPES: usize = 8;
const COEFFICIENTS: [&str; 3] = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];
const BARRIER: NotPositive = NotPositive::Barrier { relative: 1e-3 };

struct Numbers(SplitMix64);

impl Numbers {
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.uniform()
    }

    fn column(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|_| self.uniform(low, high)).collect()
    }
}

/// A response in two columns: parameter, low, high, code.
pub(crate) type Response = (usize, Vec<f64>, Vec<f64>, Interpolation);

/// Three processes with responses of code 4 to eight parameters, of code 1 to one.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) weights: Vec<f64>,
    pub(crate) ratios: Vec<Vec<f64>>,
    pub(crate) responses: Vec<Vec<Response>>,
    pub(crate) rates: Vec<Vec<RateResponse>>,
    pub(crate) nominal: Vec<f64>,
}

impl Data {
    fn new(events: usize) -> Self {
        let mut numbers = Numbers(SplitMix64(2024));
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
            nominal: vec![320.0, 300.0, 180.0],
        }
    }

    fn events(&self) -> Events<'_> {
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

    fn sample(&self) -> Sample {
        Sample::new(&self.events(), Storage::Double).unwrap()
    }

    fn processes(&self) -> Vec<Process> {
        let names: Vec<String> = parameters().into_iter().map(|p| p.name).collect();
        let process = |j: usize| {
            let coefficient = Coefficient::parse(COEFFICIENTS[j], &names).unwrap();
            let rate = Rate::new(coefficient, self.nominal[j], self.rates[j].clone()).unwrap();
            Process {
                name: format!("process {j}"),
                rate,
            }
        };
        (0..3).map(process).collect()
    }

    /// With the barrier.
    pub(crate) fn channel(&self) -> UnbinnedChannel {
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

pub(crate) fn parameters() -> Vec<Parameter> {
    let nuisances = (0..NUISANCES).map(|k| Parameter::nuisance(&format!("alpha_{k}")));
    let mu = Parameter::interest("mu", 1.0, (0.0, 10.0));
    std::iter::once(mu).chain(nuisances).collect()
}

/// Points with nuisance parameters at 0, at the ends, between and beyond them.
fn points() -> Vec<Vec<f64>> {
    let mut numbers = Numbers(SplitMix64(5));
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
