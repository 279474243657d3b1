//! How many kernels a training step launches on WGPU, whatever the number of members.
//!
//! The limit is 10 % above what was measured when it was written.
#![cfg(feature = "wgpu")]
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use cubecl::config::profiling::ProfilingLogLevel;
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use sideband_networks::{
    Activation, Batches, Compute, InputScaling, MemberState, MlpConfig, Network, Objective, Stack,
    StackConfig, Table,
};
use sideband_numerics::random::Key;
use std::path::Path;
use std::time::Duration;

const BATCH: usize = 256;
const MEMBERS: usize = 4;
/// Launches a step of 12-50-50-50-1 with exponential loss and Adam.
const LAUNCHES: f64 = 44.0;

/// Lines of the log, once it has stopped growing.
fn lines(log: &Path) -> usize {
    let count = || std::fs::read_to_string(log).map_or(0, |text| text.lines().count());
    let mut last = count();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = count();
        if now == last {
            return now;
        }
        last = now;
    }
}

#[test]
fn a_step_launches_as_few_kernels_as_it_did() {
    let log = std::env::temp_dir().join(format!("sideband-launches-{}.log", std::process::id()));
    let mut config = CubeClRuntimeConfig::default();
    config.profiling.logger.level = ProfilingLogLevel::Minimal;
    config.profiling.logger.file = Some(log.clone());
    CubeClRuntimeConfig::set(config);
    let Ok(compute) = Compute::open("wgpu") else {
        eprintln!("no WGPU adapter: not tested");
        return;
    };
    let network = MlpConfig::new(12, &[50; 3], Activation::Relu);
    let config = StackConfig::new(network.clone(), Objective::Exponential);
    let shape = Network::new(network);
    let key = Key::from_seed(2);
    let states = (0..MEMBERS as u64).map(|m| MemberState::start(shape.initial(key.with(m))));
    let states: Vec<MemberState> = states.collect();
    let table = Table::new(&compute, vec![0.5; 12 * BATCH], 12);
    let inputs = vec![InputScaling::identity(12); MEMBERS];
    let mut stack = Stack::new(&compute, config, &states, &inputs);
    let mut train = |steps: usize| {
        let rows = steps * MEMBERS * BATCH;
        let batches = Batches {
            steps,
            rows: (0..rows).map(|row| (row % BATCH) as i32).collect(),
            coefficients: vec![1.0 / BATCH as f32; rows],
            learning_rates: vec![1e-3; MEMBERS],
            dropout_keys: vec![key; MEMBERS],
            first_steps: vec![0; MEMBERS],
        };
        stack.train(&table, &batches);
        let _ = stack.take_losses(&[true; MEMBERS]);
        lines(&log)
    };
    // kernels are compiled and chosen in the first steps
    train(4);
    train(4);
    let (start, few) = (train(4), train(4));
    let many = train(14);
    let _ = std::fs::remove_file(&log);
    let launches = ((many - few) as f64 - (few - start) as f64) / 10.0;
    println!("{launches:.1} launches a step");
    assert!(launches > 0.0, "nothing was logged");
    let few = launches <= 1.1 * LAUNCHES;
    assert!(
        few,
        "{launches:.1} launches a step, more than 10 % above {LAUNCHES}"
    );
}
