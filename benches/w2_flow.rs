//! W2: training steps and samples of the conditional spline flow: D = 6 given C = 5,
//! 10 x [batch norm, linear, coupling], K = 4, B = 3, conditioners of one block of 32
//! units, dropout 0.1, batch 1024, Adam. Items are member-events, or sampled events.
//!
//!     cargo bench --bench w2_flow
//!     SIDEBAND_KERNELS=plain cargo bench --bench w2_flow
//!
//! `scripts/compare_peers.py` runs it in turn with its peers.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use divan::counter::ItemsCount;
use sideband_networks::{
    Batches, Compute, FlowConfig, FlowSampler, FlowStep, InputScaling, Kernels, MemberState,
    Network, NetworkConfig, Objective, OptimizerConfig, Row, Stack, StackConfig, Table,
};
use sideband_numerics::random::Key;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 1024;
const STEPS: usize = 4;
const EVENTS: usize = 100_000;
const COLUMNS: usize = 11;

fn main() {
    divan::main();
}

fn flow() -> FlowConfig {
    FlowConfig {
        features: 6,
        context: 5,
        steps: [FlowStep::BatchNorm, FlowStep::Linear, FlowStep::Coupling].repeat(10),
        bins: 4,
        bound: 3.0,
        hidden: 32,
        blocks: 1,
        dropout: 0.1,
    }
}

fn device() -> Compute {
    let name = std::env::var("SIDEBAND_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let compute = Compute::open(&name).unwrap();
    match std::env::var("SIDEBAND_KERNELS").as_deref() {
        Ok("plain") => compute.with_kernels(Kernels::Plain),
        _ => compute,
    }
}

fn table(compute: &Compute) -> Table {
    let mut stream = Key::from_seed(1).stream();
    let x = (0..EVENTS * COLUMNS)
        .map(|_| (stream.uniform() + stream.uniform() + stream.uniform()) as f32 * 2.0 - 3.0)
        .collect();
    Table::new(compute, x, COLUMNS)
}

fn row(member: u64) -> Row {
    let network = Network::new(flow());
    let key = Key::from_seed(2).with(member);
    network.initial(key)
}

fn stack(compute: &Compute, member: u64) -> Stack {
    let config = StackConfig {
        network: NetworkConfig::Flow(flow()),
        objective: Objective::Likelihood,
        optimizer: OptimizerConfig::default(),
        gradient_clip: None,
        l2: 0.0,
    };
    let state = MemberState::start(row(member));
    Stack::new(
        compute,
        config,
        &[state],
        &[InputScaling::identity(COLUMNS)],
    )
}

fn batches() -> Batches {
    let key = Key::from_seed(3);
    let size = STEPS * BATCH;
    Batches {
        steps: STEPS,
        rows: (0..size as u64)
            .map(|i| (key.at(i) % EVENTS as u64) as i32)
            .collect(),
        coefficients: vec![1.0 / BATCH as f32; size],
        learning_rates: vec![1e-3],
        dropout_keys: vec![key],
        first_steps: vec![0],
    }
}

fn pools(count: usize) -> Vec<rayon::ThreadPool> {
    (0..count)
        .map(|_| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap()
        })
        .collect()
}

/// As a run does: every thread its own members. One member has one thread.
#[divan::bench(args = [1, 25], sample_count = 7, sample_size = 1)]
fn train(bencher: Bencher<'_, '_>, members: usize) {
    let compute = device();
    let table = table(&compute);
    let batches = batches();
    let threads = std::thread::available_parallelism().unwrap().get();
    let pools = pools(threads.min(members));
    let repeat = (8 / members).max(1);
    let mut stacks: Vec<Stack> = (0..members as u64).map(|m| stack(&compute, m)).collect();
    bencher
        .counter(ItemsCount::new(repeat * members * STEPS * BATCH))
        .bench_local(|| {
            std::thread::scope(|scope| {
                for (mine, pool) in stacks.chunks_mut(members.div_ceil(threads)).zip(&pools) {
                    let (table, batches) = (&table, &batches);
                    scope.spawn(move || {
                        pool.install(|| {
                            for stack in mine {
                                for _ in 0..repeat {
                                    stack.train(table, batches);
                                }
                            }
                        });
                    });
                }
            });
        });
}

/// One member, 100 000 events on all threads.
#[divan::bench(sample_count = 7, sample_size = 1)]
fn sample(bencher: Bencher<'_, '_>) {
    let compute = device();
    let scaling = InputScaling::identity(COLUMNS);
    let sampler = FlowSampler::new(&compute, &flow(), &scaling, &[row(0)]);
    let mut stream = Key::from_seed(5).stream();
    let mut draw = |n: usize| -> Vec<f32> {
        (0..n)
            .map(|_| (stream.uniform() + stream.uniform() + stream.uniform()) as f32 * 2.0 - 3.0)
            .collect()
    };
    let (noise, context) = (draw(EVENTS * 6), draw(EVENTS * 5));
    let threads = std::thread::available_parallelism().unwrap().get();
    let pools = pools(threads);
    let share = EVENTS.div_ceil(threads);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        std::thread::scope(|scope| {
            let pieces = noise.chunks(share * 6).zip(context.chunks(share * 5));
            for ((noise, context), pool) in pieces.zip(&pools) {
                let sampler = &sampler;
                scope.spawn(move || pool.install(|| sampler.sample(noise, context).len()));
            }
        });
    });
}
