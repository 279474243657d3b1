//! The fully connected network by hand and by tensor operations: the same step
//! and the same output.

use sideband_networks::{
    Activation, Batches, Compute, EvaluationRows, InputScaling, Kernels, MemberState, MlpConfig,
    Network, Objective, OptimizerConfig, Predictor, Stack, StackConfig, Table,
};
use sideband_numerics::random::Key;

const ROWS: usize = 3000;
const BATCH: usize = 700;

fn config(hidden: &[usize], activation: Activation, objective: Objective) -> StackConfig {
    StackConfig::new(MlpConfig::new(5, hidden, activation), objective)
}

fn features() -> Vec<f32> {
    let mut stream = Key::from_seed(1).stream();
    let values = (0..ROWS * 5).map(|_| 4.0 * stream.uniform() as f32 - 1.0);
    values.collect()
}

fn scaling() -> InputScaling {
    InputScaling {
        shift: vec![1.0, 0.9, 1.1, 1.0, 1.2],
        factor: vec![0.9, 0.8, 1.0, 0.7, 0.6],
    }
}

fn batches(steps: usize) -> Batches {
    let key = Key::from_seed(3);
    let size = (steps * BATCH) as u64;
    let coefficient = |i| f32::from(key.with(1).poisson_one(i)) / 350.0;
    Batches {
        steps,
        rows: (0..size)
            .map(|i| (key.at(i) % ROWS as u64) as i32)
            .collect(),
        coefficients: (0..size).map(coefficient).collect(),
        learning_rates: vec![1e-2],
        dropout_keys: vec![key.with(2)],
        first_steps: vec![0],
    }
}

fn device(kernels: Kernels) -> Compute {
    Compute::open("cpu").unwrap().with_kernels(kernels)
}

fn train(kernels: Kernels, config: &StackConfig, steps: usize) -> MemberState {
    let compute = device(kernels);
    let network = Network::new(config.network.clone());
    let start = MemberState::start(network.initial(Key::from_seed(7)));
    let table = Table::new(&compute, features(), 5);
    let mut stack = Stack::new(&compute, config.clone(), &[start], &[scaling()]);
    stack.train(&table, &batches(steps));
    stack.state(0)
}

/// Loss of a member on rows of both classes, and its outputs.
fn evaluate(kernels: Kernels, config: &StackConfig, state: &MemberState) -> (f64, Vec<f32>) {
    let compute = device(kernels);
    let table = Table::new(&compute, features(), 5);
    let members = std::slice::from_ref(state);
    let stack = Stack::new(&compute, config.clone(), members, &[scaling()]);
    let row = |row| (row, 1e-3, if row % 2 == 0 { 1.0 } else { -1.0 });
    let list = (0..ROWS as u32).map(row).collect();
    let rows = EvaluationRows::new(&compute, &table, &[list], &[scaling()]);
    let loss = stack.evaluate(&[0], &table, &rows)[0];
    let network = Network::new(config.network.clone());
    let rows = std::slice::from_ref(&state.row);
    let output = Predictor::new(&compute, &network, &scaling(), rows).output(&features());
    (loss, output)
}

/// Largest difference over the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = a.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let pairs = a.iter().zip(b);
    pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest.max(1e-30)
}

fn check(config: &StackConfig) {
    let what = format!("{config:?}");
    let by_hand = train(Kernels::Fused, config, 1);
    let plainly = train(Kernels::Plain, config, 1);
    // after one step the first moment is the gradient times 1 - beta1
    let gradient = difference(&by_hand.first_moment, &plainly.first_moment);
    assert!(gradient < 2e-5, "{what}: gradient {gradient}");
    let statistics = difference(&by_hand.row.statistics, &plainly.row.statistics);
    assert!(statistics < 1e-5, "{what}: statistics {statistics}");
    assert!((by_hand.loss - plainly.loss).abs() < 1e-5, "{what}: loss");

    let by_hand = train(Kernels::Fused, config, 6);
    let plainly = train(Kernels::Plain, config, 6);
    if by_hand.row.statistics.is_empty() {
        // before a batch norm a bias has a gradient of rounding alone, of which Adam
        // makes whole steps
        let parameters = difference(&by_hand.row.parameters, &plainly.row.parameters);
        assert!(parameters < 1e-3, "{what}: parameters {parameters}");
    }
    let (loss, output) = evaluate(Kernels::Fused, config, &by_hand);
    let (plain_loss, plain_output) = evaluate(Kernels::Plain, config, &by_hand);
    assert!((loss - plain_loss).abs() < 1e-5, "{what}: evaluated loss");
    let output = difference(&output, &plain_output);
    assert!(output < 1e-5, "{what}: output {output}");
}

#[test]
fn every_activation_and_loss() {
    for activation in Activation::ALL {
        for objective in Objective::OF_RATIOS {
            check(&config(&[50, 7], activation, objective));
        }
    }
}

#[test]
fn every_width() {
    for hidden in [&[] as &[usize], &[1], &[16, 16, 16], &[130, 33], &[300]] {
        check(&config(hidden, Activation::Silu, Objective::Exponential));
    }
}

#[test]
fn batch_norm_dropout_decay_and_clipping() {
    for (dropout, batch_norm) in [(0.2, false), (0.0, true), (0.2, true)] {
        let mut config = config(&[20, 12], Activation::Silu, Objective::CrossEntropy);
        config.network = MlpConfig {
            dropout,
            batch_norm,
            ..MlpConfig::new(5, &[20, 12], Activation::Silu)
        }
        .into();
        check(&config);
        config.l2 = 0.01;
        config.gradient_clip = Some(0.02);
        check(&config);
        config.optimizer = OptimizerConfig::Adamw {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.1,
        };
        check(&config);
    }
}
