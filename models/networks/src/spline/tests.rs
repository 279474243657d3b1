//! What the spline promises, for both implementations on every backend that
//! this machine offers. The measure of all is the plain one in f64 on the CPU,
//! which is itself held against nflows.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod properties;

use super::{Direction, Implementation, SplineConfig};
use crate::Compute;
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use sideband_numerics::random::Key;

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Inverse];

/// An implementation on a backend, in a number type.
#[derive(Clone)]
struct Engine {
    name: String,
    compute: Compute,
    implementation: Implementation,
    dtype: DType,
}

/// The backends that can be opened; says what it leaves out.
fn backends() -> Vec<Compute> {
    let open = |name: &&str| {
        let opened = Compute::open(name);
        opened.inspect_err(|error| eprintln!("backend {name}: SKIPPED, {error}"))
    };
    let names = ["cpu", "ndarray", "wgpu", "cuda"];
    names.iter().filter_map(|name| open(name).ok()).collect()
}

/// Both implementations in f32 where they exist.
fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    for compute in backends() {
        let name = compute.name();
        let probe = Tensor::<3>::zeros([1, 1, 1], (compute.device(), DType::F32));
        let mut implementations = vec![Implementation::Plain, Implementation::of(&probe)];
        implementations.dedup();
        engines.extend(implementations.into_iter().map(|implementation| Engine {
            name: format!("{name} {implementation:?}"),
            compute: compute.clone(),
            implementation,
            dtype: DType::F32,
        }));
    }
    engines
}

fn exact() -> Engine {
    Engine {
        name: "cpu Plain f64".to_owned(),
        compute: Compute::open("cpu").unwrap(),
        implementation: Implementation::Plain,
        dtype: DType::F64,
    }
}

/// Every engine with every case in both directions.
fn everywhere(mut check: impl FnMut(&Engine, &Case, Direction)) {
    for engine in engines() {
        for case in cases() {
            for direction in DIRECTIONS {
                check(&engine, &case, direction);
            }
        }
    }
}

/// A spline, its operands, and the gradient at its results.
#[derive(Clone)]
struct Case {
    config: SplineConfig,
    shape: [usize; 3],
    x: Vec<f64>,
    theta: Vec<f64>,
    for_value: Vec<f64>,
    for_log_det: Vec<f64>,
}

struct Outcome {
    value: Vec<f64>,
    log_det: Vec<f64>,
    for_x: Vec<f64>,
    for_theta: Vec<f64>,
}

impl Case {
    /// Values within 1.2 times the bound, `theta` uniform in +-`spread`; all of
    /// them numbers that f32 holds.
    fn random(bins: usize, bound: f64, shape: [usize; 3], spread: f64, seed: u64) -> Self {
        let mut stream = Key::from_seed(seed).stream();
        let mut draw = |count: usize, spread: f64| -> Vec<f64> {
            let mut number = || f64::from((spread * (2.0 * stream.uniform() - 1.0)) as f32);
            (0..count).map(|_| number()).collect()
        };
        let config = SplineConfig {
            bins,
            bound,
            scale: 1.0,
        };
        let count = shape.iter().product();
        Self {
            x: draw(count, 1.2 * bound),
            theta: draw(count * config.parameters(), spread),
            for_value: draw(count, 1.0),
            for_log_det: draw(count, 1.0),
            config,
            shape,
        }
    }

    /// `[E, B, ...]` on the engine's device, in its type.
    fn tensor(&self, engine: &Engine, numbers: &[f64]) -> Tensor<3> {
        let [members, batch, _] = self.shape;
        let shape = [members, batch, numbers.len() / (members * batch)];
        Tensor::from_data(
            TensorData::new(numbers.to_vec(), shape).convert_dtype(engine.dtype),
            (engine.compute.device(), engine.dtype),
        )
    }

    fn apply(
        &self,
        engine: &Engine,
        direction: Direction,
        x: Tensor<3>,
        theta: Tensor<3>,
    ) -> [Tensor<3>; 2] {
        let (value, log_det) = (engine.implementation).apply(&self.config, direction, x, theta);
        [value, log_det]
    }

    fn gradients(&self, engine: &Engine, [value, log_det]: &[Tensor<3>; 2]) -> Gradients {
        let tensor = |numbers: &[f64]| self.tensor(engine, numbers).autodiff();
        let weighted = value.clone() * tensor(&self.for_value);
        (weighted + log_det.clone() * tensor(&self.for_log_det))
            .sum()
            .backward()
    }

    fn run(&self, engine: &Engine, direction: Direction) -> Outcome {
        let tensor = |numbers: &[f64]| self.tensor(engine, numbers).autodiff().require_grad();
        let (x, theta) = (tensor(&self.x), tensor(&self.theta));
        let results = self.apply(engine, direction, x.clone(), theta.clone());
        self.outcome(engine, &x, &theta, results)
    }

    fn outcome(
        &self,
        engine: &Engine,
        x: &Tensor<3>,
        theta: &Tensor<3>,
        results: [Tensor<3>; 2],
    ) -> Outcome {
        let gradients = self.gradients(engine, &results);
        let [value, log_det] = results.map(|result| host(result.inner()));
        Outcome {
            value,
            log_det,
            for_x: host(x.grad(&gradients).unwrap()),
            for_theta: host(theta.grad(&gradients).unwrap()),
        }
    }

    /// The same without gradients, as sampling and evaluation do it.
    fn run_without_gradient(&self, engine: &Engine, direction: Direction) -> Outcome {
        let [x, theta] = [&self.x, &self.theta].map(|numbers| self.tensor(engine, numbers));
        let [value, log_det] = self.apply(engine, direction, x, theta).map(host);
        Outcome {
            value,
            log_det,
            for_x: Vec::new(),
            for_theta: Vec::new(),
        }
    }
}

fn host(tensor: Tensor<3>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

/// The larger; a NaN is the worst of all.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

impl Outcome {
    fn is_finite(&self) -> bool {
        let all = [&self.value, &self.log_det, &self.for_x, &self.for_theta];
        all.into_iter().flatten().all(|n| n.is_finite())
    }

    /// Largest differences to `other`: of results, over 1 + their size; and of
    /// each value's gradients, over the largest of them.
    fn differences(&self, other: &Self) -> (f64, f64) {
        let values = self.value.iter().zip(&other.value);
        let results = values.chain(self.log_det.iter().zip(&other.log_det));
        let of_results = results.map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
        let of_results = of_results.fold(0.0, worse);
        if self.for_x.is_empty() {
            return (of_results, 0.0);
        }
        let width = self.for_theta.len() / self.for_x.len();
        let thetas = self.for_theta.chunks(width);
        let rows = thetas.zip(other.for_theta.chunks(width));
        let points = self.for_x.iter().zip(&other.for_x).zip(rows);
        let of_point = |((a, b), (row_a, row_b)): ((_, _), (&[f64], &[f64]))| {
            let pairs = || row_a.iter().zip(row_b).chain([(a, b)]);
            let size = pairs()
                .map(|(_, b): (&f64, &f64)| b.abs())
                .fold(0.0, f64::max);
            match pairs().map(|(a, b)| (a - b).abs()).fold(0.0, worse) {
                0.0 => 0.0,
                difference => difference / size,
            }
        };
        (of_results, points.map(of_point).fold(0.0, worse))
    }
}

/// Bins, bound, shape, spread: powers of two and odd ones, one and many.
fn cases() -> Vec<Case> {
    [
        (2, 1.0, [1, 1, 1], 1.0),
        (2, 3.0, [3, 37, 2], 2.0),
        (3, 0.1, [2, 17, 5], 2.0),
        (4, 3.0, [1, 257, 3], 2.0),
        (4, 3.0, [5, 64, 1], 3.0),
        (7, 10.0, [1, 33, 1], 2.0),
        (8, 5.0, [2, 101, 3], 2.0),
        (16, 5.0, [3, 29, 7], 2.0),
    ]
    .into_iter()
    .zip(0..)
    .map(|((bins, bound, shape, spread), seed)| Case::random(bins, bound, shape, spread, seed))
    .collect()
}

#[test]
fn plain_f64_agrees_with_nflows() {
    for text in [
        include_str!("../../tests/data/golden/spline_K4_B3.json"),
        include_str!("../../tests/data/golden/spline_K8_B5.json"),
    ] {
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let flat = |key: &str| -> Vec<f64> {
            let rows = golden[key].as_array().unwrap().iter();
            let rows = rows.map(|row| row.as_array().cloned().unwrap_or(vec![row.clone()]));
            rows.flatten()
                .map(|number| number.as_f64().unwrap())
                .collect()
        };
        let count = flat("x").len();
        let case = Case {
            config: SplineConfig {
                bins: golden["bins"].as_u64().unwrap() as usize,
                bound: golden["bound"].as_f64().unwrap(),
                scale: 1.0,
            },
            shape: [1, count, 1],
            x: flat("x"),
            theta: flat("theta"),
            for_value: flat("cotangent_value"),
            for_log_det: flat("cotangent_log_det"),
        };
        let close = |what: &str, found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (i, (a, b)) in found.iter().zip(expected).enumerate() {
                let difference = (a - b).abs() / (1.0 + b.abs());
                assert!(difference < 1e-9, "{what} {i}: {a}, nflows {b}");
            }
        };
        let found = case.run(&exact(), Direction::Forward);
        close("value", &found.value, &flat("forward"));
        close("log det", &found.log_det, &flat("forward_log_det"));
        close("gradient at x", &found.for_x, &flat("gradient_x"));
        let expected = flat("gradient_theta");
        close("gradient at theta", &found.for_theta, &expected);
        let back = Case {
            x: flat("y"),
            ..case
        };
        let found = back.run(&exact(), Direction::Inverse);
        close("inverse", &found.value, &flat("inverse"));
        close("inverse log det", &found.log_det, &flat("inverse_log_det"));
    }
}

/// f32 rounds the knots to a few 1e-7 B, and the narrowest bins here are some
/// 1e-2 B wide: their places are known to 1e-4.
const OF_RESULTS: f64 = 2e-4;
const OF_GRADIENTS: f64 = 1e-3;

#[test]
fn every_engine_agrees_with_f64_and_fused_with_plain() {
    let engines = engines();
    let f64s = engines.iter().map(|engine| (engine, exact()));
    let mut pairs: Vec<_> = f64s.collect();
    for pair in engines.windows(2) {
        if pair[1].implementation != Implementation::Plain {
            pairs.push((&pair[1], pair[0].clone()));
        }
    }
    for (engine, judge) in pairs {
        let (mut of_results, mut of_gradients) = (0.0f64, 0.0f64);
        for case in cases() {
            for direction in DIRECTIONS {
                let expected = case.run(&judge, direction);
                let (results, gradients) = case.run(engine, direction).differences(&expected);
                of_results = of_results.max(results);
                of_gradients = of_gradients.max(gradients);
            }
        }
        let (name, judge) = (&engine.name, &judge.name);
        eprintln!("{name} to {judge}: results {of_results:.1e}, gradients {of_gradients:.1e}");
        assert!(of_results < OF_RESULTS && of_gradients < OF_GRADIENTS);
    }
}

/// Sampling and evaluation get what training gets; the plain softmax rounds
/// differently where burn records it.
#[test]
fn gradients_are_not_needed_for_values() {
    everywhere(|engine, case, direction| {
        let tracked = case.run(engine, direction);
        let untracked = case.run_without_gradient(engine, direction);
        if engine.implementation != Implementation::Plain {
            assert_eq!(tracked.value, untracked.value, "{}", engine.name);
            assert_eq!(tracked.log_det, untracked.log_det, "{}", engine.name);
        } else {
            let (results, _) = untracked.differences(&tracked);
            assert!(results < OF_RESULTS, "{}: {results}", engine.name);
        }
    });
}

/// The middle of a symmetric bin, where the inverse's two forms of the root
/// meet, and softplus at 0: a fresh conditioner with zero output.
#[test]
fn the_gradient_at_zero_is_exact() {
    for engine in engines() {
        let mut case = Case::random(5, 3.0, [1, 6, 1], 0.0, 2);
        case.x = vec![0.0, 1.2, -1.2, 2.4, 0.3, -0.3];
        for direction in DIRECTIONS {
            let expected = case.run(&exact(), direction);
            let (results, gradients) = case.run(&engine, direction).differences(&expected);
            let close = results < 1e-6 && gradients < 5e-6;
            assert!(close, "{}: {results}, {gradients}", engine.name);
        }
    }
}

fn near(found: &[f64], expected: &[f64], what: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-4 * (1.0 + b.abs()), "{what}: {a}, {b}");
    }
}

/// A backend that runs later, and remembers plans by shape, must run each call
/// with that call's own constants.
#[test]
fn calls_of_one_shape_keep_their_own_constants() {
    for engine in engines() {
        let case = Case::random(4, 3.0, [1, 65, 3], 2.0, 4);
        for _ in 0..3 {
            let mut pending = Vec::new();
            for (bound, scale) in [(3.0, 1.0), (2.0, 1.0), (3.0, 4.0)] {
                for direction in DIRECTIONS {
                    let mut case = case.clone();
                    (case.config.bound, case.config.scale) = (bound, scale);
                    let operands = [&case.x, &case.theta];
                    let [x, theta] = operands.map(|numbers| case.tensor(&engine, numbers));
                    let results = case.apply(&engine, direction, x, theta);
                    pending.push((case, direction, results));
                }
            }
            for (case, direction, [value, log_det]) in pending {
                let expected = case.run_without_gradient(&exact(), direction);
                near(&host(value), &expected.value, &engine.name);
                near(&host(log_det), &expected.log_det, &engine.name);
            }
        }
    }
}

/// Operands that lie in larger or turned tensors, between other operations.
#[test]
fn operands_may_be_views_of_results() {
    for engine in engines() {
        let case = Case::random(4, 3.0, [2, 33, 3], 2.0, 6);
        for direction in DIRECTIONS {
            let x = case.tensor(&engine, &case.x);
            let theta = case.tensor(&engine, &case.theta);
            // twice as wide, then the second half; turned, then turned back
            let wide = Tensor::cat(vec![x.clone() * 7.0, x * 2.0], 2);
            let x = wide.narrow(2, 3, 3) * 0.5;
            let turned = (theta.swap_dims(1, 2) * 4.0).reshape([2, 33, 33]);
            let theta = turned.swap_dims(1, 2) * 0.25;
            let (x, theta) = (x.autodiff().require_grad(), theta.autodiff().require_grad());
            let turned = theta.clone().swap_dims(1, 2).swap_dims(1, 2);
            let results = case.apply(&engine, direction, x.clone(), turned);
            let found = case.outcome(&engine, &x, &theta, results);
            let (results, of_gradients) = found.differences(&case.run(&exact(), direction));
            assert!(results < 2e-4 && of_gradients < 1e-3, "{}", engine.name);
        }
    }
}

/// The first coupling transforms data: only `theta` has a gradient. Sampling
/// with fixed parameters has only the other.
#[test]
fn either_operand_may_be_a_constant() {
    for engine in engines() {
        let case = &cases()[3];
        for direction in DIRECTIONS {
            let both = case.run(&engine, direction);
            for x_is_constant in [true, false] {
                let mut x = case.tensor(&engine, &case.x);
                let mut theta = case.tensor(&engine, &case.theta);
                let tracked = if x_is_constant { &mut theta } else { &mut x };
                *tracked = tracked.clone().autodiff().require_grad();
                let tracked = tracked.clone();
                let results = case.apply(&engine, direction, x, theta);
                let gradients = case.gradients(&engine, &results);
                let found = host(tracked.grad(&gradients).unwrap());
                let expected = match x_is_constant {
                    true => &both.for_theta,
                    false => &both.for_x,
                };
                if engine.implementation != Implementation::Plain {
                    assert_eq!(&found, expected, "{}", engine.name);
                } else {
                    let size = expected.iter().fold(0.0f64, |size, g| size.max(g.abs()));
                    for (a, b) in found.iter().zip(expected) {
                        assert!((a - b).abs() < 1e-4 * size, "{}: {a}, {b}", engine.name);
                    }
                }
            }
        }
    }
}

/// Two splines one behind the other, there and back: the gradient of the whole
/// at its input is 1.
#[test]
fn gradients_chain() {
    for engine in engines() {
        let case = Case::random(8, 3.0, [2, 50, 2], 1.0, 8);
        let x = case.tensor(&engine, &case.x).autodiff().require_grad();
        let theta = case.tensor(&engine, &case.theta).autodiff().require_grad();
        let apply = |direction, x| case.apply(&engine, direction, x, theta.clone());
        let [y, there] = apply(Direction::Forward, x.clone());
        let [back, and_back] = apply(Direction::Inverse, y);
        let sum = back.clone().sum() + (there + and_back).sum();
        let gradients = sum.backward();
        near(&host(back.inner()), &case.x, &engine.name);
        let ones = vec![1.0; case.x.len()];
        let zeros = vec![0.0; case.theta.len()];
        for (found, expected) in [(&x, &ones), (&theta, &zeros)] {
            for (a, b) in host(found.grad(&gradients).unwrap()).iter().zip(expected) {
                assert!((a - b).abs() < 2e-3, "{}: {a}, not {b}", engine.name);
            }
        }
    }
}
