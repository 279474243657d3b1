//! What a training step takes from the allocator: a figure that a busy machine does
//! not move, so that a step that begins to copy is seen.
//!
//! The limits are 10 % above what was measured when they were written; a change that
//! raises them says why. What is left are the packing buffers of the matrix products, whose
//! sizes follow the instruction set: the figures are those of AVX-512, others may need twice
//! as much.

use sideband_networks::{
    Activation, Batches, Compute, FlowConfig, FlowStep, InputScaling, MemberState, MlpConfig,
    Network, NetworkConfig, Objective, Stack, StackConfig, Table, cpu_kernel,
};
use sideband_numerics::random::Key;

const BATCH: usize = 1024;
const STEPS: usize = 20;

/// Allocations and bytes a step, on one thread, after the buffers have been made.
fn step(network: NetworkConfig, objective: Objective) -> (f64, f64) {
    let compute = Compute::open("cpu").unwrap();
    let columns = network.columns();
    let key = Key::from_seed(1);
    let mut stream = key.stream();
    let features = (0..4 * BATCH * columns).map(|_| 2.0 * stream.uniform() as f32 - 1.0);
    let table = Table::new(&compute, features.collect(), columns);
    let start = MemberState::start(Network::new(network.clone()).initial(key));
    let config = StackConfig::new(network, objective);
    let inputs = InputScaling::identity(columns);
    let mut stack = Stack::new(&compute, config, &[start], &[inputs]);
    let size = (STEPS * BATCH) as u64;
    let batches = Batches {
        steps: STEPS,
        rows: (0..size)
            .map(|i| (key.at(i) % (4 * BATCH as u64)) as i32)
            .collect(),
        coefficients: vec![1.0 / BATCH as f32; size as usize],
        learning_rates: vec![1e-3],
        dropout_keys: vec![key],
        first_steps: vec![0],
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let info = pool.unwrap().install(|| {
        stack.train(&table, &batches);
        allocation_counter::measure(|| stack.train(&table, &batches))
    });
    let [count, bytes] = [info.count_total, info.bytes_total].map(|n| n as f64 / STEPS as f64);
    (count, bytes)
}

fn check(what: &str, (count, bytes): (f64, f64), limit: (f64, f64)) {
    println!("{what}: {count:.1} allocations, {bytes:.0} bytes a step");
    let tolerance = match cpu_kernel().contains("512") {
        true => 1.1,
        false => 2.0,
    };
    assert!(
        count <= tolerance * limit.0 && bytes <= tolerance * limit.1,
        "{what}: {count:.1} allocations and {bytes:.0} bytes a step, more than {tolerance} times \
         {limit:?}"
    );
}

#[test]
fn a_step_of_the_classifier() {
    let network = MlpConfig::new(12, &[50; 3], Activation::Relu);
    let found = step(network.into(), Objective::Exponential);
    check("12-50-50-50-1", found, (65.0, 1_007_124.0));
}

#[test]
fn a_step_of_the_flow() {
    use FlowStep::{BatchNorm, Coupling, Linear};
    let network = FlowConfig {
        features: 6,
        context: 5,
        steps: [BatchNorm, Linear, Coupling].repeat(10),
        bins: 4,
        bound: 3.0,
        hidden: 32,
        blocks: 1,
        dropout: 0.1,
    };
    let found = step(network.into(), Objective::Likelihood);
    check("flow of ten couplings", found, (0.0, 0.0));
}
