//! How the time of a training step and the memory of the program grow with the
//! number of members of a stack, E, and with the number of events, N: one axis at
//! a time, 200 timed steps after 20 others, each point in a process of its own.
//!
//!     cargo bench --bench scaling
//!
//! 12-50-50-50-1, ReLU, exponential loss, batch 1024, bootstrapped, on one thread:
//! everything that a run does in a step, the making of batches included.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use sideband::ensemble::{
    ClassRows, FeatureScaling, Inputs, List, Member, Normalise, Observer, Resources, Schedule,
    Split, SplitSettings, Task, TrainingSample, TrainingSettings, train_local,
};
use sideband_models::random::Key;
use sideband_models::{Activation, Compute, MlpConfig, Objective, OptimizerConfig};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 1024;
const FEATURES: usize = 12;
const WARM_UP: u64 = 20;
const STEPS: u64 = 200;

/// Times the steps between the warm-up and the end, which it asks for.
struct Timer {
    members: u64,
    state: Mutex<(u64, Option<Instant>, Option<f64>)>,
}

impl Observer for Timer {
    fn interrupted(&self) -> bool {
        self.state.lock().unwrap().2.is_some()
    }
    fn trained(&self, _: &str, rows: u64) {
        let mut state = self.state.lock().unwrap();
        state.0 += rows;
        let steps = state.0 / (self.members * BATCH as u64);
        match state.1 {
            None if steps >= WARM_UP => {
                state.0 = 0;
                state.1 = Some(Instant::now());
            }
            Some(begin) if steps >= STEPS => {
                state.2 = Some(begin.elapsed().as_secs_f64() / steps as f64);
            }
            _ => {}
        }
    }
    fn finished(&self, _: &Member) {}
}

/// Seconds a step.
fn step(members: u32, events: usize, device: &str) -> f64 {
    let mut stream = Key::from_seed(1).stream();
    let features = (0..events * FEATURES)
        .map(|_| stream.uniform() as f32 * 2.0 - 1.0)
        .collect();
    let half = events / 2;
    let class = |first: usize| {
        let keys = (first as u64..(first + half) as u64).collect();
        ClassRows::consecutive(first, vec![1.0; half], keys)
    };
    let inputs = Arc::new(Inputs::new(features, FEATURES));
    let sample = TrainingSample::new(inputs, class(0), class(half));
    let settings = TrainingSettings {
        network: MlpConfig {
            inputs: FEATURES,
            hidden: vec![50; 3],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective: Objective::Exponential,
        normalise: Normalise::Class,
        optimizer: OptimizerConfig::default(),
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        gradient_clip: None,
        l2: 0.0,
        batch: BATCH,
        epochs: 10_000,
        patience: 10_000,
        retries: 0,
        bootstrap: true,
        split: SplitSettings {
            split: Split::Shared,
            held_out: 0.05,
            validation: 0.05,
            folds: 2,
        },
    };
    let scaling = FeatureScaling {
        mean: vec![0.0; FEATURES],
        scale: vec![1.0; FEATURES],
        ..FeatureScaling::default()
    };
    let task = Task {
        sample: &sample,
        settings: &settings,
        seed: 1,
        ensemble: "scaling",
        features: &scaling,
        stream: None,
    };
    let compute = Compute::open(device).unwrap();
    let resources = Resources {
        devices: std::slice::from_ref(&compute),
        threads: 1,
        block: members as usize,
        device_memory: None,
    };
    let timer = Timer {
        members: u64::from(members),
        state: Mutex::default(),
    };
    let ledger = List::new(0..members, |_: &Member| Ok(()));
    train_local(&[task], resources, &ledger, &timer).unwrap();
    timer.state.into_inner().unwrap().2.unwrap()
}

fn peak_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(f64::NAN, |kib| kib / 1024.0)
}

fn main() {
    let device = std::env::var("SIDEBAND_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [point, members, events] = arguments.as_slice()
        && point == "point"
    {
        let (members, events) = (members.parse().unwrap(), events.parse().unwrap());
        let seconds = step(members, events, &device);
        let rate = f64::from(members) * BATCH as f64 / seconds * 1e-6;
        println!(
            "| {members} | {events} | {:.2} | {rate:.2} | {:.0} |",
            seconds * 1e3,
            peak_mib()
        );
        return;
    }
    println!("device {device}\n");
    println!("| E | N | ms a step | M member-events/s | peak MiB |\n|---|---|---|---|---|");
    let members = [1, 10, 100, 1000].map(|e| (e, 100_000));
    let events = [10_000, 100_000, 1_000_000, 10_000_000].map(|n| (10, n));
    for (members, events) in members.into_iter().chain(events) {
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["point", &members.to_string(), &events.to_string()])
            .status()
            .unwrap();
        assert!(done.success(), "E = {members}, N = {events}");
    }
}
