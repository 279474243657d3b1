//! W4: the unbinned likelihood of three processes and ten nuisance parameters, value,
//! gradient and Hessian. One JSON object a line.
//!
//!     cargo bench --bench w4_likelihood -- [SECONDS | gradient | growth | toys | stream]
//!
//! `gradient EVENTS SECONDS`: value and gradient alone, on all threads, as
//! `scripts/compare_peers.py` asks for them in turn with its peers; `growth`: more events,
//! processes and parameters; `toys`: pseudo-experiments of 2000 events; `stream`: 10^7
//! events and 50 parameters in blocks, with the peak of memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use sideband::inference::{
    Coefficient, EventSource, Events, Interpolation, NotPositive, Parameter, Pool, Process,
    ProcessEvents, Rate, RateResponse, ResponseEvents, Sample, Storage, StreamedChannel, Term,
    UnbinnedChannel,
};
use std::time::Instant;

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn column(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n)
            .map(|_| low + (high - low) * self.uniform())
            .collect()
    }
}

fn channel(events: usize, processes: usize, nuisances: usize, storage: Storage) -> UnbinnedChannel {
    let mut numbers = Numbers(7);
    let mut parameters = vec![Parameter::interest("mu", 1.0, (0.0, 10.0))];
    parameters.extend((0..nuisances).map(|k| Parameter::nuisance(&format!("alpha_{k}"))));
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let texts = ["mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"];
    let interpolation = Interpolation::Code4;
    let all = (0..processes).map(|j| {
        let coefficient =
            Coefficient::parse(texts.get(j).copied().unwrap_or("0.1"), &names).unwrap();
        let responses = (0..nuisances).map(|k| RateResponse {
            parameter: k + 1,
            low: 0.97,
            high: 1.04,
            interpolation,
        });
        let rate = Rate::new(coefficient, events as f64, responses.collect()).unwrap();
        Process {
            name: format!("process {j}"),
            rate,
        }
    });
    let ratios: Vec<Vec<f64>> = (0..processes)
        .map(|_| numbers.column(events, 0.5, 1.5))
        .collect();
    let pairs = processes * nuisances;
    let low: Vec<Vec<f64>> = (0..pairs)
        .map(|_| numbers.column(events, 0.95, 1.0))
        .collect();
    let high: Vec<Vec<f64>> = (0..pairs)
        .map(|_| numbers.column(events, 1.0, 1.06))
        .collect();
    let weights = vec![1.0; events];
    let sample = Sample::new(
        &Events {
            weights: &weights,
            processes: (0..processes)
                .map(|j| ProcessEvents {
                    ratios: &ratios[j],
                    responses: (0..nuisances)
                        .map(|k| ResponseEvents {
                            parameter: k + 1,
                            low: &low[j * nuisances + k],
                            high: &high[j * nuisances + k],
                            interpolation,
                        })
                        .collect(),
                })
                .collect(),
        },
        storage,
    );
    UnbinnedChannel::new(all.collect(), sample.unwrap(), &parameters)
        .unwrap()
        .with_policy(NotPositive::Barrier { relative: 1e-3 })
        .unwrap()
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
    let channel = channel(events, processes, nuisances, storage);
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
    let channel = channel(events, 3, 10, Storage::Double);
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

/// One gradient and one Hessian on all threads, for growing problems.
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
        let channel = channel(events, processes, nuisances, Storage::Double);
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
        println!(
            "events {events} processes {processes} nuisances {nuisances}: value {:.3} ms, gradient {:.3} ms, hessian {:.3} ms, {} MB",
            1e3 * value,
            1e3 * first,
            1e3 * second,
            channel.sample().bytes() / 1_000_000
        );
    }
}

/// The cost of a pseudo-experiment of about 2000 of 20 000 events.
fn toys() {
    let channel = channel(20_000, 3, 10, Storage::Double);
    let rows: Vec<usize> = (0..20_000).step_by(10).collect();
    let weights = vec![1.0; rows.len()];
    let mut at = vec![0.1; 11];
    at[0] = 1.0;
    let mut gradient = vec![0.0; 11];
    let mut hessian = vec![0.0; 121];
    let select = median(0.3, |_| {
        channel.select(&rows, &weights).unwrap();
    });
    let toy = channel.select(&rows, &weights).unwrap();
    let value = median(0.3, |_| {
        toy.gradient(&at, &mut gradient);
    });
    let second = median(0.3, |_| {
        toy.hessian(&at, &mut gradient, &mut hessian);
    });
    let pool = Pool::new(channel.sample());
    let pooled = median(0.3, |_| {
        pool.select(&rows, &weights).unwrap();
    });
    println!("toy: from a pool {:.1} us", 1e6 * pooled);
    println!(
        "toy: select {:.1} us, gradient {:.1} us, hessian {:.1} us",
        1e6 * select,
        1e6 * value,
        1e6 * second
    );
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
    let one = channel(50_000, 3, 50, Storage::Double);
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
    let value = channel.try_gradient(&at, &mut gradient).unwrap();
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
