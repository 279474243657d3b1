//! W4: the unbinned likelihood of three processes and ten nuisance parameters, value,
//! gradient and Hessian. One JSON object a line.
//!
//!     cargo bench --bench w4_likelihood -- [SECONDS | gradient | profile | growth | toys | stream]
//!
//! `gradient EVENTS SECONDS`: value and gradient alone, on all threads, as
//! `scripts/compare_peers.py` asks for them in turn with its peers; `profile FILE POINTS`:
//! fit and profile scan of what `scripts/peers/w4_data.py` wrote; `growth`: more events,
//! processes and parameters; `toys`: pseudo-experiments a second likewise; `stream`: 10^7
//! events and 50 parameters in blocks, with the peak of memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use sideband_likelihood::fit::{FitSettings, ScanSettings, fit, scan};
use sideband_likelihood::toys::{AsimovPool, fit_toy, randomised};
use sideband_likelihood::{
    Coefficient, EventSource, Events, Interpolation, Model, NotPositive, Parameter, Pool, Process,
    ProcessEvents, Rate, RateResponse, ResponseEvents, Sample, Storage, StreamedChannel, Term,
    UnbinnedChannel,
};
use sideband_numerics::random::{Key, SplitMix64};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

fn column(numbers: &mut SplitMix64, n: usize, low: f64, high: f64) -> Vec<f64> {
    let number = |_| low + (high - low) * numbers.uniform();
    (0..n).map(number).collect()
}

const COEFFICIENTS: [&str; 3] = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];

/// What a likelihood is made of. Responses by process and nuisance parameter: those of
/// process `j` to parameter `k` are at `j nuisances + k`.
struct Inputs {
    nuisances: usize,
    /// Expected events of the processes, `[J]`.
    expected: Vec<f64>,
    /// Responses of rates at -1 and +1, `[J K]`.
    rates: Vec<[f64; 2]>,
    /// Ratios of the events, `[J][N]`.
    ratios: Vec<Vec<f64>>,
    /// Responses of densities at -1 and +1, `[J K][N]`.
    densities: Vec<[Vec<f64>; 2]>,
}

impl Inputs {
    fn random(events: usize, processes: usize, nuisances: usize) -> Self {
        let mut numbers = SplitMix64(7);
        let pairs = processes * nuisances;
        Self {
            nuisances,
            expected: vec![events as f64; processes],
            rates: vec![[0.97, 1.04]; pairs],
            ratios: (0..processes)
                .map(|_| column(&mut numbers, events, 0.5, 1.5))
                .collect(),
            densities: (0..pairs)
                .map(|_| [0, 1].map(|_| column(&mut numbers, events, 0.96, 1.04)))
                .collect(),
        }
    }

    /// What `scripts/peers/w4_data.py` wrote.
    fn read(path: &str) -> Self {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let text = &reader.schema().metadata["rates"];
        let about: serde_json::Value = serde_json::from_str(text).unwrap();
        let list = |value: &serde_json::Value| -> Vec<f64> {
            let values = value.as_array().unwrap().iter();
            values.map(|x| x.as_f64().unwrap()).collect()
        };
        let table = |key: &str| -> Vec<f64> {
            let rows = about[key].as_array().unwrap();
            rows.iter().flat_map(list).collect()
        };
        let expected = list(&about["expected"]);
        let rates: Vec<[f64; 2]> = table("low")
            .into_iter()
            .zip(table("high"))
            .map(|(low, high)| [low, high])
            .collect();
        let schema = reader.schema().clone();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let column = |name: String| -> Vec<f64> {
            let place = schema.index_of(&name).unwrap();
            let parts = batches
                .iter()
                .map(|batch| batch.column(place).as_primitive::<Float64Type>());
            parts.flat_map(|part| part.values().to_vec()).collect()
        };
        Self {
            nuisances: rates.len() / expected.len(),
            ratios: (0..expected.len())
                .map(|j| column(format!("ratio_{j}")))
                .collect(),
            densities: (0..rates.len())
                .map(|i| ["low", "high"].map(|side| column(format!("{side}_{i}"))))
                .collect(),
            expected,
            rates,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = vec![Parameter::interest("mu", 1.0, (0.01, 10.0))];
        parameters.extend((0..self.nuisances).map(|k| Parameter::nuisance(&format!("alpha_{k}"))));
        parameters
    }

    fn channel(&self, storage: Storage) -> UnbinnedChannel {
        let (parameters, interpolation) = (self.parameters(), Interpolation::Code4);
        let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let pairs = |j: usize| (0..self.nuisances).map(move |k| (k + 1, j * self.nuisances + k));
        let process = |(j, expected): (usize, &f64)| {
            let text = COEFFICIENTS.get(j).copied().unwrap_or("0.1");
            let responses = pairs(j).map(|(parameter, pair)| RateResponse {
                parameter,
                low: self.rates[pair][0],
                high: self.rates[pair][1],
                interpolation,
            });
            let coefficient = Coefficient::parse(text, &names).unwrap();
            Process {
                name: format!("process {j}"),
                rate: Rate::new(coefficient, *expected, responses.collect()).unwrap(),
            }
        };
        let events = |(j, ratios)| ProcessEvents {
            ratios,
            responses: pairs(j)
                .map(|(parameter, pair)| ResponseEvents {
                    parameter,
                    low: &self.densities[pair][0],
                    high: &self.densities[pair][1],
                    interpolation,
                })
                .collect(),
        };
        let weights = vec![1.0; self.ratios[0].len()];
        let events = Events {
            weights: &weights,
            processes: self
                .ratios
                .iter()
                .map(Vec::as_slice)
                .enumerate()
                .map(events)
                .collect(),
        };
        let processes = self.expected.iter().enumerate().map(process).collect();
        UnbinnedChannel::new(
            processes,
            Sample::new(&events, storage).unwrap(),
            &parameters,
        )
        .unwrap()
        .with_policy(NotPositive::Barrier { relative: 1e-3 })
        .unwrap()
    }
}

/// Fit and profile scan of `mu` over the likelihood in a file, at the points of
/// `scripts/peers/w4_profile.py`.
fn profile(path: &str, points: usize) {
    let inputs = Inputs::read(path);
    let events = inputs.ratios[0].len();
    let model = Model::new(
        inputs.parameters(),
        vec![Arc::new(inputs.channel(Storage::Double))],
    );
    drop(inputs);
    let half = 0.1 * (20_000.0 / events as f64).sqrt();
    let step = 2.0 * half / (points - 1) as f64;
    let settings = FitSettings::default();
    let (start, before) = (Instant::now(), processor_seconds());
    let best = fit(&model, &settings).unwrap();
    let asked = ScanSettings {
        grid: (0..points).map(|i| 1.0 - half + step * i as f64).collect(),
        parameter: 0,
    };
    let found = scan(&model, &settings, &best, &asked).unwrap();
    let wall = start.elapsed().as_secs_f64();
    assert!(found.failed.is_empty() && best.is_converged());
    let curve = found
        .curve
        .iter()
        .map(|point| (format!("{:.4}", point.value), point.t));
    println!(
        "{}",
        serde_json::json!({
            "metric": "full scan seconds", "events": events, "points": points,
            "threads": rayon::current_num_threads(), "value": wall,
            "cpu_s": processor_seconds() - before, "mu_hat": found.best.point[0],
            "t_mu": curve.collect::<BTreeMap<_, _>>(),
        })
    );
}

/// Processor time of this process so far, user and system, in steps of 10 ms.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit(')').next().unwrap().split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// Median seconds of a call, over at least `seconds` in all.
fn median(seconds: f64, mut f: impl FnMut(usize)) -> f64 {
    f(0);
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < 3 || start.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        f(times.len());
        times.push(before.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn time(events: usize, processes: usize, nuisances: usize, storage: Storage, seconds: f64) {
    let channel = Inputs::random(events, processes, nuisances).channel(storage);
    let n = nuisances + 1;
    let mut at = vec![0.1; n];
    at[0] = 1.0;
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let report = |what: &str, f: &mut (dyn FnMut(&[f64]) + Send)| {
            let mut at = at.clone();
            let (mut calls, before) = (0, processor_seconds());
            let wall = pool.install(|| {
                median(seconds, |i| {
                    at[1] = 0.1 + 1e-3 * (i % 100) as f64;
                    calls += 1;
                    f(&at);
                })
            });
            let processor = (processor_seconds() - before) / f64::from(calls);
            println!(
                "{}",
                serde_json::json!({
                    "metric": what, "events": events, "processes": processes,
                    "nuisances": nuisances, "storage": format!("{storage:?}"),
                    "threads": threads, "ms": 1e3 * wall, "value": 1.0 / wall,
                    "value_per_cpu_s": 1.0 / processor,
                })
            );
        };
        report("value", &mut |at| {
            channel.value(at);
        });
        report("gradient", &mut |at| {
            gradient.fill(0.0);
            channel.gradient(at, &mut gradient);
        });
        report("hessian", &mut |at| {
            gradient.fill(0.0);
            hessian.fill(0.0);
            channel.hessian(at, &mut gradient, &mut hessian);
        });
    }
}

/// Value and gradient on all threads of the machine, ten nuisance parameters.
fn gradient(events: usize, seconds: f64) {
    let channel = Inputs::random(events, 3, 10).channel(Storage::Double);
    let mut at = vec![0.1; 11];
    at[0] = 1.0;
    let mut gradient = vec![0.0; 11];
    let wall = median(seconds, |i| {
        at[1] = 0.1 + 1e-3 * (i % 100) as f64;
        gradient.fill(0.0);
        channel.gradient(&at, &mut gradient);
    });
    println!(
        "{}",
        serde_json::json!({
            "metric": "gradient", "events": events,
            "threads": rayon::current_num_threads(), "value": 1.0 / wall,
        })
    );
}

/// One gradient and one Hessian on all threads, and a fit, for growing problems.
fn growth() {
    for (events, processes, nuisances) in [
        (2_000, 3, 10),
        (20_000, 3, 10),
        (200_000, 3, 10),
        (1_000_000, 3, 20),
        (20_000, 6, 10),
        (20_000, 12, 10),
        (20_000, 3, 20),
        (20_000, 3, 40),
    ] {
        let inputs = Inputs::random(events, processes, nuisances);
        let channel = inputs.channel(Storage::Double);
        let n = nuisances + 1;
        let mut at = vec![0.1; n];
        at[0] = 1.0;
        let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
        let value = median(0.3, |_| {
            channel.value(&at);
        });
        let first = median(0.3, |_| {
            channel.gradient(&at, &mut gradient);
        });
        let second = median(0.3, |_| {
            channel.hessian(&at, &mut gradient, &mut hessian);
        });
        let bytes = channel.sample().bytes();
        let model = Model::new(inputs.parameters(), vec![Arc::new(channel)]);
        let start = Instant::now();
        let best = fit(&model, &FitSettings::default()).unwrap();
        println!(
            "events {events} processes {processes} nuisances {nuisances}: value {:.3} ms, gradient {:.3} ms, hessian {:.3} ms, {} MB; fit {:.2} s, {}",
            1e3 * value,
            1e3 * first,
            1e3 * second,
            bytes / 1_000_000,
            start.elapsed().as_secs_f64(),
            if best.is_converged() {
                "converged"
            } else {
                "failed"
            },
        );
    }
}

/// Pseudo-experiments from a pool of twenty times their events, thrown and fitted on all
/// threads: the free and the conditional fit.
fn toys() {
    for (events, processes, nuisances) in [
        (500, 3, 5),
        (2_000, 3, 2),
        (2_000, 3, 5),
        (2_000, 3, 10),
        (2_000, 3, 20),
        (2_000, 3, 40),
        (2_000, 6, 5),
        (2_000, 12, 5),
        (10_000, 3, 5),
        (50_000, 3, 5),
    ] {
        let mut inputs = Inputs::random(20 * events, processes, nuisances);
        inputs.expected.fill(events as f64);
        let channel = inputs.channel(Storage::Double);
        let share = |j: usize| match j {
            1 => 1.0 / 20.0,
            0 | 2 => 0.0,
            _ => 0.1 / 20.0,
        };
        let weight = |i: usize| (0..processes).map(|j| share(j) * inputs.ratios[j][i]).sum();
        let weights: Vec<f64> = (0..20 * events).map(weight).collect();
        let pool = AsimovPool::new(&weights).unwrap();
        let columns = Pool::new(channel.sample());
        let mut truth = vec![0.0; nuisances + 1];
        truth[0] = 1.0;
        let (parameters, settings) = (inputs.parameters(), FitSettings::default());
        let toy = |number: u64| {
            let key = Key::from_seed(1).with(number);
            let thrown = pool.throw(key.with(0));
            let sample = columns.select(&thrown.rows, &thrown.weights()).unwrap();
            let channel = channel.with_sample(sample).unwrap();
            let parameters = randomised(&parameters, &truth, key.with(1));
            let model = Model::new(parameters, vec![Arc::new(channel)]);
            fit_toy(&model, &settings, 0, &truth).unwrap().converged
        };
        let (mut thrown, mut converged, start) = (0, 0, Instant::now());
        while start.elapsed().as_secs_f64() < 3.0 {
            let good = (thrown..thrown + 32).into_par_iter().filter(|n| toy(*n));
            converged += good.count();
            thrown += 32;
        }
        println!(
            "toys of {events} events, {processes} processes, {nuisances} nuisances: {:.1} a second, {} of {thrown} failed",
            thrown as f64 / start.elapsed().as_secs_f64(),
            thrown - converged as u64,
        );
    }
}

/// Blocks that stand for a file of 10^7 events.
struct Repeated(Sample, usize);

impl EventSource for Repeated {
    type Error = std::convert::Infallible;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Self::Error> {
        (0..self.1).for_each(|_| visit(&self.0));
        Ok(())
    }
}

/// 10^7 events of 3 processes and 50 nuisance parameters.
fn stream() {
    let one = Inputs::random(50_000, 3, 50).channel(Storage::Double);
    let parameters: Vec<Parameter> = std::iter::once(Parameter::interest("mu", 1.0, (0.0, 10.0)))
        .chain((0..50).map(|k| Parameter::nuisance(&format!("alpha_{k}"))))
        .collect();
    let source = Repeated(one.sample().clone(), 200);
    let channel = StreamedChannel::new(one.processes().to_vec(), source, &parameters, one.policy());
    let channel = channel.unwrap();
    let mut at = vec![0.1; 51];
    at[0] = 1.0;
    let mut gradient = vec![0.0; 51];
    let start = Instant::now();
    let value = channel.gradient(&at, &mut gradient);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    println!(
        "{} events: {value} in {:.1} s, {peak}",
        channel.events(),
        start.elapsed().as_secs_f64()
    );
}

fn main() {
    // cargo adds `--bench`
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<f64>().ok());
    match words.first().map_or("", String::as_str) {
        "gradient" => gradient(
            number(1).unwrap_or(200_000.0) as usize,
            number(2).unwrap_or(0.5),
        ),
        "profile" => profile(words.get(1).unwrap(), number(2).unwrap_or(21.0) as usize),
        "growth" => growth(),
        "toys" => toys(),
        "stream" => stream(),
        seconds => {
            let seconds = seconds.parse().unwrap_or(0.5);
            for events in [20_000, 200_000] {
                time(events, 3, 10, Storage::Double, seconds);
                time(events, 3, 10, Storage::Single, seconds);
            }
        }
    }
}
