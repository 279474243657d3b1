//! The W1 step: exp-loss ensemble 12-50-50-50-1, ReLU, batch 1024, Adam, with
//! each member's own rows and Poisson weights. Items are member-events.
//!
//!     cargo bench
//!
//! `stack` trains E members in one stack on one thread; `threads` trains them as
//! a run does, in blocks over all threads of the machine.
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

const EVENTS: usize = 100_000;
const BATCH: usize = 1024;
const STEPS: usize = 4;

fn main() {
    divan::main();
}

fn config() -> StackConfig {
    StackConfig {
        network: MlpConfig {
            inputs: 12,
            hidden: vec![50; 3],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective: Objective::Exponential,
        optimizer: OptimizerConfig::default(),
        gradient_clip: None,
        l2: 0.0,
    }
}

fn device() -> Compute {
    let name = std::env::var("SIDEBAND_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    Compute::open(&name).unwrap()
}

fn table(compute: &Compute) -> Table {
    let mut stream = Key::from_seed(1).stream();
    let x = (0..EVENTS * 12)
        .map(|_| stream.uniform() as f32 * 2.0 - 1.0)
        .collect();
    Table::new(compute, x, 12)
}

fn stack(compute: &Compute, members: usize) -> Stack {
    let network = Network::new(config().network);
    let states: Vec<MemberState> = (0..members as u64)
        .map(|m| MemberState::start(network.initial(Key::from_seed(2).with(m))))
        .collect();
    let inputs = vec![InputScaling::identity(12); members];
    Stack::new(compute, config(), &states, &inputs)
}

fn batches(members: usize) -> Batches {
    let key = Key::from_seed(3);
    let size = STEPS * members * BATCH;
    Batches {
        steps: STEPS,
        rows: (0..size as u64)
            .map(|i| (key.at(i) % EVENTS as u64) as i32)
            .collect(),
        coefficients: (0..size as u64)
            .map(|i| f32::from(key.with(1).poisson_one(i)) / 512.0)
            .collect(),
        learning_rates: vec![1e-3; members],
        dropout_keys: vec![key; members],
        first_steps: vec![0; members],
    }
}

#[divan::bench(args = [1, 10, 100], sample_count = 7, sample_size = 1)]
fn one_thread(bencher: Bencher<'_, '_>, members: usize) {
    let compute = device();
    let table = table(&compute);
    let batches = batches(members);
    let mut stack = stack(&compute, members);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let repeat = (100 / members).max(1);
    bencher
        .counter(ItemsCount::new(repeat * members * STEPS * BATCH))
        .bench_local(|| {
            pool.install(|| {
                for _ in 0..repeat {
                    stack.train(&table, &batches);
                }
                stack.take_losses(&vec![true; members])
            })
        });
}

/// As a run does: every thread its own members, one after the other.
#[divan::bench(args = [10, 100], sample_count = 7, sample_size = 1)]
fn all_threads(bencher: Bencher<'_, '_>, members: usize) {
    let compute = device();
    let table = table(&compute);
    let batches = batches(1);
    let threads = std::thread::available_parallelism().unwrap().get();
    let pools: Vec<_> = (0..threads)
        .map(|_| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap()
        })
        .collect();
    let mut stacks: Vec<Stack> = (0..members).map(|_| stack(&compute, 1)).collect();
    bencher
        .counter(ItemsCount::new(members * STEPS * BATCH))
        .bench_local(|| {
            std::thread::scope(|scope| {
                for (mine, pool) in stacks.chunks_mut(members.div_ceil(threads)).zip(&pools) {
                    let (table, batches) = (&table, &batches);
                    scope.spawn(move || {
                        pool.install(|| {
                            for stack in mine {
                                stack.train(table, batches);
                            }
                        });
                    });
                }
            });
        });
}
