//! What the spline promises, for both implementations on every backend that
//! this machine offers. The measure of all is the plain one in f64 on the CPU,
//! which is itself held against nflows.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod agreement;
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
