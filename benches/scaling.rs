//! How the time of a training step and the memory of the program grow: with the
//! members of a block, E, the events, N, the batch, the width of the hidden layers,
//! the features, D, and the threads; one axis at a time, by hand and by tensor
//! operations (`kernels`), each point in a process of its own.
//!
//!     cargo bench --bench scaling
//!
//! 12-50-50-50-1, ReLU, exponential loss, batch 1024, bootstrapped, on one thread
//! where nothing else is said: everything that a run does in a step, the making of
//! batches included.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use sideband::settings::{Normalise, Schedule, Split};
use sideband::training::{
    ClassRows, FeatureScaling, Inputs, List, Member, Observer, Resources, SplitSettings, Task,
    TrainingSample, TrainingSettings, train_local,
};
use sideband_networks::{Activation, Compute, Kernels, MlpConfig, Objective, OptimizerConfig};
use sideband_numerics::random::Key;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Member-events that are trained before the clock starts, and on it at least; fewer
/// where an event costs more.
const WARM_UP: f64 = 2e4;
const TIMED: f64 = 1e6;

/// One point of the table.
#[derive(Clone, Debug)]
struct Point {
    members: usize,
    events: usize,
    batch: usize,
    width: usize,
    features: usize,
    threads: usize,
    plain: bool,
}

impl Default for Point {
    fn default() -> Self {
        Self {
            members: 1,
            events: 100_000,
            batch: 1024,
            width: 50,
            features: 12,
            threads: 1,
            plain: false,
        }
    }
}

impl Point {
    /// The axes, for a process of its own.
    fn arguments(&self) -> [String; 7] {
        let [plain, members] = [usize::from(self.plain), self.members];
        let (events, batch, width) = (self.events, self.batch, self.width);
        let axes = [
            members,
            events,
            batch,
            width,
            self.features,
            self.threads,
            plain,
        ];
        axes.map(|axis| axis.to_string())
    }

    fn parse(arguments: &[String]) -> Self {
        let axis = |i: usize| arguments[i].parse().unwrap();
        Self {
            members: axis(0),
            events: axis(1),
            batch: axis(2),
            width: axis(3),
            features: axis(4),
            threads: axis(5),
            plain: axis(6) == 1,
        }
    }

    /// Multiplications and additions of a member-event: three products a weight, but
    /// two for the first layer, whose input needs no gradient.
    fn flop(&self) -> f64 {
        let (width, features) = (self.width as f64, self.features as f64);
        6.0 * (features * width + 2.0 * width * width + width) - 2.0 * features * width
    }

    /// Steps that are worth about this many member-events of 12-50-50-50-1.
    fn steps(&self, events: f64) -> u64 {
        let cost = self.flop() / Self::default().flop() * (self.members * self.batch) as f64;
        (events / cost).ceil().max(2.0) as u64
    }
}

/// Times the steps between the warm-up and the end, which it asks for.
struct Timer {
    point: Point,
    state: Mutex<(u64, Option<Instant>, Option<f64>)>,
}

impl Observer for Timer {
    fn interrupted(&self) -> bool {
        self.state.lock().unwrap().2.is_some()
    }
    fn trained(&self, _: &str, rows: u64) {
        let mut state = self.state.lock().unwrap();
        state.0 += rows;
        let steps = state.0 / (self.point.members * self.point.batch) as u64;
        match state.1 {
            None if steps >= self.point.steps(WARM_UP) => {
                state.0 = 0;
                state.1 = Some(Instant::now());
            }
            Some(begin) if steps >= self.point.steps(TIMED) => {
                state.2 = Some(begin.elapsed().as_secs_f64() / steps as f64);
            }
            _ => {}
        }
    }
    fn finished(&self, _: &Member) {}
}

/// Seconds a step.
fn step(point: &Point, device: &str) -> f64 {
    let (events, features) = (point.events, point.features);
    let mut stream = Key::from_seed(1).stream();
    let values = (0..events * features)
        .map(|_| stream.uniform() as f32 * 2.0 - 1.0)
        .collect();
    let half = events / 2;
    let class = |first: usize| {
        let keys = (first as u64..(first + half) as u64).collect();
        ClassRows::consecutive(first, vec![1.0; half], keys)
    };
    let inputs = Arc::new(Inputs::new(values, features));
    let sample = TrainingSample::of(inputs, vec![class(0), class(half)]);
    let settings = TrainingSettings {
        network: MlpConfig {
            inputs: features,
            hidden: vec![point.width; 3],
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
        batch: point.batch,
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
        mean: vec![0.0; features],
        scale: vec![1.0; features],
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
    let mut compute = Compute::open(device).unwrap();
    if point.plain {
        compute = compute.with_kernels(Kernels::Plain);
    }
    let resources = Resources {
        devices: std::slice::from_ref(&compute),
        threads: point.threads,
        stack: point.members.div_ceil(point.threads),
        device_memory: None,
    };
    let timer = Timer {
        point: point.clone(),
        state: Mutex::default(),
    };
    let ledger = List::new(0..point.members as u32, |_: &Member| Ok(()));
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

/// Every axis by itself.
fn points() -> Vec<Point> {
    let one = Point::default;
    let mut points = Vec::new();
    points.extend([1, 10, 100, 1000].map(|members| Point { members, ..one() }));
    points.extend([10_000, 1_000_000, 10_000_000].map(|events| Point { events, ..one() }));
    points.extend([256, 4096, 16_384, 65_536].map(|batch| Point { batch, ..one() }));
    points.extend([16, 32, 64, 128, 256, 512, 1024].map(|width| Point { width, ..one() }));
    points.extend([2, 50, 200].map(|features| Point { features, ..one() }));
    let threads = 2;
    points.push(Point { threads, ..one() });
    let wide = |batch| Point {
        threads,
        batch,
        width: 1024,
        ..one()
    };
    points.extend([1024, 8192].map(wide));
    points
}

fn main() {
    let device = std::env::var("SIDEBAND_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, axes @ ..] = arguments.as_slice()
        && word == "point"
    {
        let point = Point::parse(axes);
        let seconds = step(&point, &device);
        let rate = (point.members * point.batch) as f64 / seconds;
        println!("{} {} {}", seconds * 1e3, rate, peak_mib());
        return;
    }
    println!("device {device}\n");
    println!(
        "| E | N | batch | width | D | threads | ms a step | M member-events/s | GFLOP/s | peak MiB \
         | plain: M/s | ratio |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for point in points() {
        let [ms, rate, peak] = measure(&point);
        let plainly = Point {
            plain: true,
            ..point.clone()
        };
        let plain = measure(&plainly)[1];
        println!(
            "| {} | {} | {} | {} | {} | {} | {ms:.2} | {:.3} | {:.0} | {peak:.0} | {:.3} | {:.2} |",
            point.members,
            point.events,
            point.batch,
            point.width,
            point.features,
            point.threads,
            rate * 1e-6,
            rate * point.flop() * 1e-9,
            plain * 1e-6,
            rate / plain
        );
    }
}

/// Milliseconds a step, member-events a second and peak memory of a point.
fn measure(point: &Point) -> [f64; 3] {
    let done = Command::new(std::env::current_exe().unwrap())
        .arg("point")
        .args(point.arguments())
        .output()
        .unwrap();
    assert!(done.status.success(), "{point:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap())
}
