//! What a stack promises, on every backend that this machine offers.

use sideband_networks::{
    Activation, Batches, Compute, EvaluationRows, InputScaling, MemberState, MlpConfig, Network,
    Objective, OptimizerConfig, Predictor, Row, Stack, StackConfig, Table,
};
use sideband_numerics::random::Key;
use std::ops::Range;

const D: usize = 5;
const N: usize = 700;

/// Runs `check` on each backend; says which it leaves out, and why.
fn on_every_backend(check: impl Fn(&Compute) + Sync) {
    for name in ["cpu", "ndarray", "wgpu", "cuda"] {
        let compute = match Compute::open(name) {
            Ok(compute) => compute,
            Err(error) => {
                eprintln!("backend {name}: SKIPPED, {error}");
                continue;
            }
        };
        eprintln!("backend {name}: tested");
        // as in training: one thread, so that sums have one order
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let (pool, check, compute) = (pool.unwrap(), &check, &compute);
        let on_its_own = move || match compute.is_cpu() {
            true => pool.scope(|_| check(compute)),
            false => check(compute),
        };
        std::thread::scope(|scope| scope.spawn(on_its_own).join().unwrap());
    }
}

struct Case {
    config: StackConfig,
    batch: usize,
}

fn cases() -> Vec<(&'static str, Case)> {
    let plain = |hidden: &[usize], activation| {
        StackConfig::new(
            MlpConfig::new(D, hidden, activation),
            Objective::Exponential,
        )
    };
    let config = plain(&[50, 50, 50], Activation::Relu);
    let mut cases = vec![("paper", Case { config, batch: 256 })];
    let network = MlpConfig {
        dropout: 0.2,
        batch_norm: true,
        ..MlpConfig::new(D, &[13, 7], Activation::Silu)
    };
    let config = StackConfig {
        optimizer: OptimizerConfig::Adamw {
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.1,
        },
        gradient_clip: Some(0.5),
        l2: 1e-3,
        ..StackConfig::new(network, Objective::CrossEntropy)
    };
    cases.push(("everything on, odd sizes", Case { config, batch: 38 }));
    for activation in Activation::ALL {
        let mut config = plain(&[17], activation);
        config.optimizer = OptimizerConfig::Nadam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        cases.push(("activation", Case { config, batch: 30 }));
    }
    cases
}

fn table(compute: &Compute) -> (Table, Vec<f32>) {
    let mut stream = Key::from_seed(11).stream();
    let mut value = |i: usize| {
        let shift = if i / D < N / 2 { 0.0 } else { 0.3 };
        4.0 * (stream.uniform() as f32 - 0.5) + shift
    };
    let x: Vec<f32> = (0..N * D).map(&mut value).collect();
    (Table::new(compute, x.clone(), D), x)
}

fn member_key(member: u64) -> Key {
    Key::from_seed(99).with(member)
}

fn start(config: &StackConfig, member: u64) -> MemberState {
    let network = Network::new(config.network.clone());
    MemberState::start(network.initial(member_key(member).with(0)))
}

/// Members standardise their inputs differently, as those of different
/// ensembles do.
fn scaling(member: u64) -> InputScaling {
    let shift = |d| 0.1 * (member % 4) as f32 - 0.05 * d as f32;
    let factor = |d| 1.0 + 0.1 * ((member as usize + d) % 3) as f32;
    InputScaling {
        shift: (0..D).map(shift).collect(),
        factor: (0..D).map(factor).collect(),
    }
}

fn stack(compute: &Compute, config: &StackConfig, members: &[u64]) -> Stack {
    let states: Vec<MemberState> = members.iter().map(|m| start(config, *m)).collect();
    let inputs: Vec<InputScaling> = members.iter().map(|m| scaling(*m)).collect();
    Stack::new(compute, config.clone(), &states, &inputs)
}

fn evaluate(compute: &Compute, stack: &Stack, table: &Table, members: &[u64]) -> Vec<f64> {
    let members = members.iter().map(|m| evaluation(compute, table, *m));
    let losses = members
        .enumerate()
        .map(|(i, rows)| stack.evaluate(&[i], table, &rows)[0]);
    losses.collect()
}

fn batches(members: &[u64], steps: usize, first: u64, batch: usize, rate: f64) -> Batches {
    let (mut rows, mut coefficients) = (Vec::new(), Vec::new());
    for step in 0..steps as u64 {
        for m in members {
            let key = member_key(*m).with(1).with(first + step);
            for i in 0..batch {
                let half = (N / 2) as u64;
                let offset = if i < batch / 2 { 0 } else { half };
                rows.push((offset + key.at(i as u64) % half) as i32);
                let w = f32::from(key.with(7).poisson_one(i as u64));
                coefficients.push(w * 2.0 / batch as f32);
            }
        }
    }
    Batches {
        steps,
        rows,
        coefficients,
        learning_rates: vec![rate; members.len()],
        dropout_keys: members.iter().map(|m| member_key(*m).with(2)).collect(),
        first_steps: vec![first; members.len()],
    }
}

fn evaluation(compute: &Compute, table: &Table, member: u64) -> EvaluationRows {
    let row = |i| {
        (
            i,
            2.0 / N as f32,
            if (i as usize) < N / 2 { 1.0 } else { -1.0 },
        )
    };
    let list = (0..N as u32).map(row).collect();
    EvaluationRows::new(compute, table, &[list], &[scaling(member)])
}

/// Parameters, losses and evaluation of a member.
type Result = (Row, f64, f64);

/// Trains `members` together; their results.
fn train(compute: &Compute, case: &Case, members: &[u64]) -> Vec<Result> {
    let (table, _) = table(compute);
    let mut stack = stack(compute, &case.config, members);
    train_chunks(&mut stack, &table, case, members, 0..5);
    results(compute, &mut stack, &table, members)
}

/// Goes on with some chunks of four steps.
fn train_chunks(
    stack: &mut Stack,
    table: &Table,
    case: &Case,
    members: &[u64],
    chunks: Range<u64>,
) {
    for chunk in chunks {
        stack.train(table, &batches(members, 4, 4 * chunk, case.batch, 1e-2));
    }
}

fn results(compute: &Compute, stack: &mut Stack, table: &Table, members: &[u64]) -> Vec<Result> {
    let evaluation = evaluate(compute, stack, table, members);
    let everyone = vec![true; members.len()];
    stack.keep_best(&everyone);
    let losses = stack.take_losses(&everyone);
    let result = |i| (stack.best(i), losses[i], evaluation[i]);
    (0..members.len()).map(result).collect()
}

fn assert_same(compute: &Compute, what: &str, a: &Result, b: &Result) {
    let name = compute.name();
    if compute.is_cpu() {
        assert_eq!(a, b, "{what} on {name}: not equal to the bit");
        return;
    }
    // a GPU may sum in another order in another shape
    for (x, y) in a.0.parameters.iter().zip(&b.0.parameters) {
        assert!((x - y).abs() < 2e-4, "{what} on {name}: {x} {y}");
    }
}

#[test]
fn a_member_alone_equals_the_member_in_a_stack() {
    on_every_backend(|compute| {
        for (name, case) in cases() {
            let together = train(compute, &case, &[3, 8, 1, 4, 9, 17, 5]);
            for (i, m) in [(0, 3), (3, 4), (5, 17)] {
                let alone = train(compute, &case, &[m]);
                assert_same(compute, name, &together[i], &alone[0]);
            }
            let pair = train(compute, &case, &[9, 17]);
            assert_same(compute, name, &together[4], &pair[0]);
        }
    });
}

#[test]
fn the_same_stack_twice_gives_the_same_numbers() {
    on_every_backend(|compute| {
        for (name, case) in cases() {
            let first = train(compute, &case, &[1, 2, 3]);
            let second = train(compute, &case, &[1, 2, 3]);
            assert_same(compute, name, &first[2], &second[2]);
        }
    });
}

#[test]
fn a_member_that_joins_late_or_stays_when_others_leave_is_unchanged() {
    on_every_backend(|compute| {
        for (name, case) in cases() {
            let (table, _) = table(compute);
            let mut stack = stack(compute, &case.config, &[3, 8]);
            stack.train(&table, &batches(&[3, 8], 4, 0, case.batch, 1e-2));
            // 3 goes on, 17 takes the place of 8
            stack.replace(1, &start(&case.config, 17), &scaling(17));
            let mut mixed = batches(&[3, 17], 4, 0, case.batch, 1e-2);
            let later = batches(&[3], 4, 4, case.batch, 1e-2);
            for step in 0..4 {
                let from = step * case.batch..(step + 1) * case.batch;
                let into = 2 * step * case.batch..(2 * step + 1) * case.batch;
                mixed.rows[into.clone()].copy_from_slice(&later.rows[from.clone()]);
                mixed.coefficients[into].copy_from_slice(&later.coefficients[from]);
            }
            mixed.first_steps = vec![4, 0];
            stack.train(&table, &mixed);
            // 3 leaves
            stack.retain(&[false, true]);
            train_chunks(&mut stack, &table, &case, &[17], 1..5);
            let late = results(compute, &mut stack, &table, &[17]);
            let alone = train(compute, &case, &[17]);
            assert_same(compute, name, &late[0], &alone[0]);
        }
    });
}

#[test]
fn backends_agree_with_the_cpu() {
    let cpu = Compute::open("cpu").unwrap();
    on_every_backend(|compute| {
        for (name, case) in cases() {
            let here = train(compute, &case, &[1, 2]);
            let there = train(&cpu, &case, &[1, 2]);
            for (a, b) in here.iter().zip(&there) {
                let (device, a, b) = (compute.name(), a.2, b.2);
                let is_close = (a - b).abs() < 2e-3 * b.abs();
                assert!(is_close, "{name} on {device}: loss {a} against {b}");
            }
        }
    });
}

#[test]
fn training_lowers_the_loss_and_the_best_weights_are_kept() {
    on_every_backend(|compute| {
        let (_, case) = cases().swap_remove(0);
        let network = Network::new(case.config.network.clone());
        let (table, x) = table(compute);
        let states = [start(&case.config, 1), start(&case.config, 2)];
        let inputs = [scaling(0), scaling(0)];
        let mut stack = Stack::new(compute, case.config.clone(), &states, &inputs);
        let held = evaluation(compute, &table, 0);
        let before = stack.evaluate(&[0, 1], &table, &held);
        stack.train(&table, &batches(&[1, 2], 60, 0, case.batch, 3e-3));
        let after = stack.evaluate(&[0, 1], &table, &held);
        assert!(after[0] < before[0] - 1e-2, "{before:?} {after:?}");
        stack.keep_best(&[true, false]);
        stack.train(&table, &batches(&[1, 2], 4, 60, case.batch, 0.5));
        // member 0 is remembered from before the last steps, member 1 from its start
        let best = [stack.best(0), stack.best(1)];
        assert_eq!(best[1], states[1].row);
        let predictor = Predictor::new(compute, &network, &scaling(0), &best);
        let q = predictor.output(&x);
        assert_eq!(q.len(), 2 * N);
        let term = |i: usize| {
            let sign = if i < N / 2 { 1.0 } else { -1.0 };
            case.config.objective.value(f64::from(q[i]), sign) * 2.0 / N as f64
        };
        let loss: f64 = (0..N).map(term).sum();
        assert!((loss - after[0]).abs() < 1e-4 * loss, "{loss} {}", after[0]);
    });
}

#[test]
fn rows_that_differ_by_member_are_padded_without_effect() {
    on_every_backend(|compute| {
        let (_, case) = cases().swap_remove(0);
        let (table, _) = table(compute);
        let scalings = [scaling(0), scaling(1)];
        let long: Vec<_> = (0..N as u32).map(|i| (i, 0.01, 1.0)).collect();
        let short: Vec<_> = (0..100).map(|i| (i, 0.02, -1.0)).collect();
        let rows = EvaluationRows::new(compute, &table, &[long, short.clone()], &scalings);
        let both = stack(compute, &case.config, &[0, 1]).evaluate(&[0, 1], &table, &rows);
        let rows = EvaluationRows::new(compute, &table, &[short], &scalings[1..]);
        let alone = stack(compute, &case.config, &[1]).evaluate(&[0], &table, &rows);
        let allowed = if compute.is_cpu() { 0.0 } else { 1e-5 };
        assert!((both[1] - alone[0]).abs() <= allowed);
    });
}

#[test]
fn gradients_of_parallel_threads_are_not_lost() {
    // burn#5573: concurrent backward passes lost gradients in pre-releases
    let cpu = Compute::open("cpu").unwrap();
    let (_, case) = cases().swap_remove(0);
    let expected = train(&cpu, &case, &[5]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                let pool = pool.unwrap();
                for _ in 0..10 {
                    assert_eq!(pool.install(|| train(&cpu, &case, &[5])), expected);
                }
            });
        }
    });
}

#[test]
fn a_member_goes_on_from_its_state_as_if_nothing_had_happened() {
    on_every_backend(|compute| {
        for (name, case) in cases() {
            let (table, _) = table(compute);
            let undisturbed = train(compute, &case, &[3, 8]);
            let mut first = stack(compute, &case.config, &[3, 8]);
            train_chunks(&mut first, &table, &case, &[3, 8], 0..2);
            let states = [first.state(0), first.state(1)];
            assert_eq!(states[0].clock.steps(), 8);
            // 8 goes on in a stack of its own, in the place of another
            let mut second = stack(compute, &case.config, &[5]);
            train_chunks(&mut second, &table, &case, &[5], 0..1);
            second.replace(0, &states[1], &scaling(8));
            train_chunks(&mut second, &table, &case, &[8], 2..5);
            let resumed = results(compute, &mut second, &table, &[8]);
            assert_same(compute, name, &resumed[0], &undisturbed[1]);
        }
    });
}

#[test]
fn losses_are_taken_and_losses_evaluated_of_some_members_only() {
    on_every_backend(|compute| {
        let (_, case) = cases().swap_remove(0);
        let (table, _) = table(compute);
        let members = [1, 2, 3];
        let together = train(compute, &case, &members);
        let mut stack = stack(compute, &case.config, &members);
        train_chunks(&mut stack, &table, &case, &members, 0..5);
        let close = |a: f64, b: f64| {
            let same = a == b || !compute.is_cpu() && (a - b).abs() < 1e-4 * b.abs();
            assert!(same, "{a} {b} on {}", compute.name());
        };
        let taken = stack.take_losses(&[false, true, false]);
        close(taken[1], together[1].1);
        assert_eq!(taken[0], 0.0);
        let rest = stack.take_losses(&[true, true, false]);
        close(rest[0], together[0].1);
        assert_eq!(rest[1], 0.0);
        let list = |k: u32| (0..100).map(|i| (i + 300 * k, 0.02, 1.0)).collect();
        let lists: Vec<Vec<(u32, f32, f32)>> = (0..2).map(list).collect();
        let scalings = [scaling(3), scaling(1)];
        let two = EvaluationRows::new(compute, &table, &lists, &scalings);
        let some = stack.evaluate(&[2, 0], &table, &two);
        for (k, member) in [2, 0].into_iter().enumerate() {
            let one = EvaluationRows::new(compute, &table, &lists[k..=k], &scalings[k..=k]);
            close(some[k], stack.evaluate(&[member], &table, &one)[0]);
        }
        let largest = stack.largest_parameters();
        let parameters = stack.state(1).row.parameters;
        let expected = parameters.iter().fold(0.0f32, |a, p| a.max(p.abs()));
        assert_eq!(largest[1], expected);
    });
}
