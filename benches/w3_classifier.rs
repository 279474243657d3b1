//! W3: training steps of one large classifier, 16-5x1000-1, SiLU, weighted binary
//! cross-entropy, Adam, batches of 1024 and 8192. Items are events.
//!
//!     cargo bench --bench w3_classifier
//!
//! One member on all threads of the machine, as a run trains a member that is alone.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use divan::counter::ItemsCount;
use sideband_networks::{
    Activation, Batches, Compute, InputScaling, MemberState, MlpConfig, Network, Objective,
    OptimizerConfig, Stack, StackConfig, Table,
};
use sideband_numerics::random::Key;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 65_536;
const FEATURES: usize = 16;
const STEPS: usize = 2;

fn main() {
    divan::main();
}

fn device() -> Compute {
    let name = std::env::var("SIDEBAND_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    Compute::open(&name).unwrap()
}

fn config() -> StackConfig {
    StackConfig {
        network: MlpConfig {
            inputs: FEATURES,
            hidden: vec![1000; 5],
            activation: Activation::Silu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective: Objective::CrossEntropy,
        optimizer: OptimizerConfig::default(),
        gradient_clip: None,
        l2: 0.0,
    }
}

fn table(compute: &Compute) -> Table {
    let mut stream = Key::from_seed(1).stream();
    let x = (0..EVENTS * FEATURES)
        .map(|_| stream.uniform() as f32 * 2.0 - 1.0)
        .collect();
    Table::new(compute, x, FEATURES)
}

fn stack(compute: &Compute) -> Stack {
    let network = Network::new(config().network);
    let state = MemberState::start(network.initial(Key::from_seed(2)));
    let inputs = [InputScaling::identity(FEATURES)];
    Stack::new(compute, config(), &[state], &inputs)
}

/// Random rows, each with a weight of exponential distribution over the class's number.
fn batches(batch: usize) -> Batches {
    let key = Key::from_seed(3);
    let size = STEPS * batch;
    let mut weights = key.with(1).stream();
    Batches {
        steps: STEPS,
        rows: (0..size as u64)
            .map(|i| (key.at(i) % EVENTS as u64) as i32)
            .collect(),
        coefficients: (0..size)
            .map(|_| -(1.0 - weights.uniform()).ln() as f32 * 2.0 / batch as f32)
            .collect(),
        learning_rates: vec![1e-3],
        dropout_keys: vec![key],
        first_steps: vec![0],
    }
}

#[divan::bench(args = [1024, 8192], sample_count = 7, sample_size = 1)]
fn train(bencher: Bencher<'_, '_>, batch: usize) {
    let compute = device();
    let table = table(&compute);
    let batches = batches(batch);
    let mut stack = stack(&compute);
    bencher
        .counter(ItemsCount::new(STEPS * batch))
        .bench_local(|| {
            stack.train(&table, &batches);
            stack.take_losses(&[true])
        });
}
