//! What the spline promises, for both implementations on every backend that
//! this machine offers. The measure of all is the plain one in f64 on the CPU,
//! which is itself held against nflows.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use super::{Direction, Implementation, SplineConfig, SplineError};
use crate::Compute;
use crate::random::Key;
use burn::tensor::{DType, Tensor, TensorData};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Inverse];

/// An implementation on a backend, in a number type.
struct Engine {
    name: String,
    compute: Compute,
    implementation: Implementation,
    dtype: DType,
}

/// Both implementations in f32 where they exist; says what it leaves out.
fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    for name in ["cpu", "ndarray", "wgpu", "cuda"] {
        let compute = match Compute::open(name) {
            Ok(compute) => compute,
            Err(error) => {
                eprintln!("backend {name}: SKIPPED, {error}");
                continue;
            }
        };
        let probe = Tensor::<3>::zeros([1, 1, 1], (compute.device(), DType::F32));
        let mut implementations = vec![Implementation::Plain];
        if Implementation::of(&probe) == Implementation::Fused {
            implementations.push(Implementation::Fused);
        }
        engines.extend(implementations.into_iter().map(|implementation| Engine {
            name: format!("{name} {implementation:?}"),
            compute: compute.clone(),
            implementation,
            dtype: DType::F32,
        }));
    }
    engines
}

/// The plain implementation in f64.
fn exact() -> Engine {
    Engine {
        name: "cpu Plain f64".to_owned(),
        compute: Compute::open("cpu").unwrap(),
        implementation: Implementation::Plain,
        dtype: DType::F64,
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

/// What comes out of a [`Case`].
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
            (0..count)
                .map(|_| f64::from((spread * (2.0 * stream.uniform() - 1.0)) as f32))
                .collect()
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

    fn run(&self, engine: &Engine, direction: Direction) -> Outcome {
        let [members, batch, values] = self.shape;
        let tensor = |numbers: &[f64], width: usize| {
            let data = TensorData::new(numbers.to_vec(), [members, batch, width]);
            Tensor::<3>::from_data(
                data.convert_dtype(engine.dtype),
                (engine.compute.device(), engine.dtype),
            )
        };
        let x = tensor(&self.x, values).autodiff().require_grad();
        let theta = tensor(&self.theta, values * self.config.parameters());
        let theta = theta.autodiff().require_grad();
        let (value, log_det) =
            engine
                .implementation
                .apply(&self.config, direction, x.clone(), theta.clone());
        let gradients = (value.clone() * tensor(&self.for_value, values).autodiff()
            + log_det.clone() * tensor(&self.for_log_det, values).autodiff())
        .sum()
        .backward();
        Outcome {
            value: host(value.inner()),
            log_det: host(log_det.inner()),
            for_x: host(x.grad(&gradients).unwrap()),
            for_theta: host(theta.grad(&gradients).unwrap()),
        }
    }

    /// The same without gradients, as sampling and evaluation do it.
    fn run_without_gradient(&self, engine: &Engine, direction: Direction) -> [Vec<f64>; 2] {
        let [members, batch, values] = self.shape;
        let tensor = |numbers: &[f64], width: usize| {
            let data = TensorData::new(numbers.to_vec(), [members, batch, width]);
            Tensor::<3>::from_data(
                data.convert_dtype(engine.dtype),
                (engine.compute.device(), engine.dtype),
            )
        };
        let (value, log_det) = engine.implementation.apply(
            &self.config,
            direction,
            tensor(&self.x, values),
            tensor(&self.theta, values * self.config.parameters()),
        );
        [host(value), host(log_det)]
    }
}

fn host(tensor: Tensor<3>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

impl Outcome {
    fn is_finite(&self) -> bool {
        [&self.value, &self.log_det, &self.for_x, &self.for_theta]
            .iter()
            .all(|numbers| numbers.iter().all(|n| n.is_finite()))
    }

    /// Largest differences to `other`: of results, over 1 + their size; and of
    /// each value's gradients, over the largest of them.
    fn differences(&self, other: &Self) -> (f64, f64) {
        let of_results = [(&self.value, &other.value), (&self.log_det, &other.log_det)]
            .into_iter()
            .flat_map(|(a, b)| a.iter().zip(b))
            .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
            .fold(0.0, f64::max);
        let width = self.for_theta.len() / self.for_x.len();
        let rows = self.for_theta.chunks(width).zip(other.for_theta.chunks(width));
        let of_gradients = self
            .for_x
            .iter()
            .zip(&other.for_x)
            .zip(rows)
            .map(|((a, b), (row_a, row_b))| {
                let pairs = || row_a.iter().zip(row_b).chain([(a, b)]);
                let size = pairs().map(|(_, b)| b.abs()).fold(0.0, f64::max);
                let difference = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                if difference == 0.0 { 0.0 } else { difference / size }
            })
            .fold(0.0, f64::max);
        (of_results, of_gradients)
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
    .enumerate()
    .map(|(seed, (bins, bound, shape, spread))| {
        Case::random(bins, bound, shape, spread, seed as u64)
    })
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
            rows.flat_map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row.clone()]))
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
        close("gradient at theta", &found.for_theta, &flat("gradient_theta"));
        let back = Case {
            x: flat("y"),
            ..case
        };
        let found = back.run(&exact(), Direction::Inverse);
        close("inverse", &found.value, &flat("inverse"));
        close("inverse log det", &found.log_det, &flat("inverse_log_det"));
    }
}

#[test]
fn every_engine_agrees_with_f64() {
    for engine in engines() {
        let (mut of_results, mut of_gradients) = (0.0f64, 0.0f64);
        for case in cases() {
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                let expected = case.run(&exact(), direction);
                let (results, gradients) = found.differences(&expected);
                of_results = of_results.max(results);
                of_gradients = of_gradients.max(gradients);
            }
        }
        eprintln!(
            "{}: results {of_results:.1e}, gradients {of_gradients:.1e}",
            engine.name
        );
    }
}

#[test]
fn fused_agrees_with_plain() {
    let engines = engines();
    for pair in engines.windows(2) {
        let [plain, fused] = pair else { unreachable!() };
        if fused.implementation == Implementation::Plain {
            continue;
        }
        let (mut of_results, mut of_gradients) = (0.0f64, 0.0f64);
        for case in cases() {
            for direction in DIRECTIONS {
                let (results, gradients) = case
                    .run(fused, direction)
                    .differences(&case.run(plain, direction));
                of_results = of_results.max(results);
                of_gradients = of_gradients.max(gradients);
            }
        }
        eprintln!(
            "{} to plain: results {of_results:.1e}, gradients {of_gradients:.1e}",
            fused.name
        );
    }
}

#[test]
fn gradients_are_not_needed_for_values() {
    for engine in engines() {
        for case in cases() {
            for direction in DIRECTIONS {
                let tracked = case.run(&engine, direction);
                let untracked = case.run_without_gradient(&engine, direction);
                assert_eq!([tracked.value, tracked.log_det], untracked, "{}", engine.name);
            }
        }
    }
}

/// The derivative of the result by autodiff, against the reported log.
#[test]
fn log_det_is_the_log_of_the_derivative() {
    for engine in engines() {
        let mut largest = 0.0f64;
        for mut case in cases() {
            case.for_value.fill(1.0);
            case.for_log_det.fill(0.0);
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                for (derivative, log_det) in found.for_x.iter().zip(&found.log_det) {
                    largest = largest.max((derivative.ln() - log_det).abs());
                }
            }
        }
        eprintln!("{}: log det {largest:.1e}", engine.name);
    }
}

#[test]
fn inverse_undoes_forward() {
    for engine in engines() {
        let (mut strict, mut largest) = (0.0f64, 0.0f64);
        for mut case in cases() {
            let bound = case.config.bound;
            let far = [-1e30, -1e4 * bound, -bound, bound, 1.5 * bound, 7e7, 1e38];
            for (x, far) in case.x.iter_mut().skip(1).step_by(5).zip(far) {
                *x = f64::from(far as f32);
            }
            let there = case.run(&engine, Direction::Forward);
            let derivative = case.run(&exact(), Direction::Forward).log_det;
            let back = Case {
                x: there.value.clone(),
                ..case.clone()
            };
            let back = back.run(&engine, Direction::Inverse);
            for (i, x) in case.x.iter().enumerate() {
                let y = there.value[i];
                let slope = derivative[i].exp();
                let eps = f64::from(f32::EPSILON);
                let difference = (back.value[i] - x).abs() / eps;
                strict = strict.max(difference / (x.abs() + y.abs() / slope));
                largest = largest.max(difference / (x.abs() + bound + (y.abs()+bound) / slope));
            }
        }
        eprintln!("{}: inverse strict {strict:.1} loose {largest:.1}", engine.name);
    }
}

#[test]
fn tails_are_the_identity_to_the_bit() {
    for engine in engines() {
        for mut case in cases() {
            let bound = case.config.bound;
            let far = [1.000001, -1.000001, 2.0, -1e6, 1e30, -1e37];
            for (i, x) in case.x.iter_mut().enumerate() {
                *x = f64::from((bound * far[i % far.len()]) as f32);
            }
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                assert_eq!(found.value, case.x, "{}", engine.name);
                assert_eq!(found.for_x, case.for_value, "{}", engine.name);
                assert!(found.log_det.iter().all(|n| *n == 0.0), "{}", engine.name);
                assert!(found.for_theta.iter().all(|n| *n == 0.0), "{}", engine.name);
            }
        }
    }
}

#[test]
fn ends_and_knots_are_met() {
    for engine in engines() {
        for bins in [2, 3, 4, 5, 8, 16] {
            // theta = 0: equal bins, slopes 1e-3 + ln 2 at the inner knots
            let mut case = Case::random(bins, 3.0, [1, bins + 1, 1], 0.0, 1);
            case.x = (0..=bins)
                .map(|j| f64::from((6.0 * j as f64 / bins as f64 - 3.0) as f32))
                .collect();
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                assert!(found.is_finite(), "{}", engine.name);
                assert_eq!((found.value[0], found.value[bins]), (-3.0, 3.0));
                for (j, x) in case.x.iter().enumerate() {
                    assert!((found.value[j] - x).abs() < 4e-6, "{}", engine.name);
                    let slope: f64 = if j == 0 || j == bins {
                        1.0
                    } else {
                        1e-3 + std::f64::consts::LN_2
                    };
                    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
                    assert!((found.log_det[j] - sign * slope.ln()).abs() < 1e-4);
                }
            }
        }
    }
}

/// The middle of a symmetric bin, where the inverse's two forms of the root
/// meet, and softplus at 0: a fresh conditioner with zero output.
#[test]
fn the_gradient_at_zero_is_exact() {
    for engine in engines() {
        let mut case = Case::random(5, 3.0, [1, 6, 1], 0.0, 2);
        case.x = vec![0.0, 1.2, -1.2, 2.4, 0.3, -0.3];
        for direction in DIRECTIONS {
            let (results, gradients) = case
                .run(&engine, direction)
                .differences(&case.run(&exact(), direction));
            eprintln!("{}: zero {results:.1e} {gradients:.1e}", engine.name);
        }
    }
}

#[test]
fn extreme_parameters_stay_finite() {
    for engine in engines() {
        for bins in [2, 4, 16] {
            for size in [1.0, 1e2, 1e4] {
                let mut case = Case::random(bins, 3.0, [2, 211, 2], 1.0, 5);
                for theta in &mut case.theta {
                    *theta = size * theta.signum();
                }
                for direction in DIRECTIONS {
                    let found = case.run(&engine, direction);
                    assert!(found.is_finite(), "{} {size}", engine.name);
                    let outside = |(x, y): (&f64, &f64)| x.abs() <= 3.0 && y.abs() > 3.0;
                    assert!(!case.x.iter().zip(&found.value).any(outside));
                }
            }
        }
    }
}

#[test]
fn a_member_does_not_notice_its_company() {
    for engine in engines() {
        if !engine.compute.is_cpu() {
            continue;
        }
        for case in cases() {
            let [members, batch, values] = case.shape;
            for direction in DIRECTIONS {
                let together = case.run(&engine, direction);
                for member in 0..members {
                    let part = |numbers: &[f64]| {
                        let width = numbers.len() / members;
                        numbers[member * width..(member + 1) * width].to_vec()
                    };
                    let alone = Case {
                        config: case.config.clone(),
                        shape: [1, batch, values],
                        x: part(&case.x),
                        theta: part(&case.theta),
                        for_value: part(&case.for_value),
                        for_log_det: part(&case.for_log_det),
                    }
                    .run(&engine, direction);
                    assert_eq!(alone.value, part(&together.value), "{}", engine.name);
                    assert_eq!(alone.log_det, part(&together.log_det), "{}", engine.name);
                    assert_eq!(alone.for_x, part(&together.for_x), "{}", engine.name);
                    assert_eq!(alone.for_theta, part(&together.for_theta), "{}", engine.name);
                }
            }
        }
    }
}

#[test]
fn the_backend_and_number_type_choose_the_implementation() {
    for name in ["cpu", "ndarray", "wgpu", "cuda"] {
        let Ok(compute) = Compute::open(name) else {
            continue;
        };
        let expected = match name {
            "ndarray" => Implementation::Plain,
            _ => Implementation::Fused,
        };
        for shape in [[1, 1, 1], [25, 64, 3]] {
            let tensor = Tensor::<3>::zeros(shape, (compute.device(), DType::F32));
            assert_eq!(Implementation::of(&tensor), expected, "{name}");
            assert_eq!(Implementation::of(&tensor.autodiff()), expected, "{name}");
        }
    }
    let double = Tensor::<3>::zeros([1, 1, 1], (exact().compute.device(), DType::F64));
    assert_eq!(Implementation::of(&double), Implementation::Plain);
}

#[test]
fn impossible_splines_are_refused() {
    let good = SplineConfig {
        bins: 4,
        bound: 3.0,
        scale: 1.0,
    };
    assert_eq!(good.check(), Ok(()));
    for bins in [0, 1, 1000] {
        let bad = SplineConfig { bins, ..good.clone() };
        assert_eq!(bad.check(), Err(SplineError::Bins(bins)));
    }
    for value in [0.0, -1.0, f64::INFINITY] {
        let bad = SplineConfig { bound: value, ..good.clone() };
        assert_eq!(bad.check(), Err(SplineError::Bound(value)));
        let bad = SplineConfig { scale: value, ..good.clone() };
        assert_eq!(bad.check(), Err(SplineError::Scale(value)));
    }
}

#[test]
fn timing() {
    use std::time::Instant;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for (name, e) in [("cpu", 1), ("cpu", 25)] {
            let compute = Compute::open(name).unwrap();
            let mut case = Case::random(4, 3.0, [e, 1024, 3], 2.0, 3);
            case.x.iter_mut().for_each(|x| *x /= 1.2);
            let mut times = Vec::new();
            for implementation in [Implementation::Plain, Implementation::Fused] {
                let tensor = |n: &[f64], w: usize| Tensor::<3>::from_data(TensorData::new(n.to_vec(), [e, 1024, w]).convert_dtype(DType::F32), compute.device());
                let x = tensor(&case.x, 3); let th = tensor(&case.theta, 33);
                let gv = tensor(&case.for_value, 3).autodiff(); let gl = tensor(&case.for_log_det, 3).autodiff();
                let (mut best, mut bestf) = (f64::MAX, f64::MAX);
                for _ in 0..(if e == 1 { 300 } else { 30 }) {
                    let t = Instant::now();
                    let x = x.clone().autodiff().require_grad(); let th = th.clone().autodiff().require_grad();
                    let (v, l) = implementation.apply(&case.config, Direction::Forward, x.clone(), th.clone());
                    let loss = (v * gv.clone() + l * gl.clone()).sum();
                    bestf = bestf.min(t.elapsed().as_secs_f64());
                    let g = loss.backward();
                    let _ = (x.grad(&g), th.grad(&g));
                    best = best.min(t.elapsed().as_secs_f64());
                }
                eprintln!("{name} E={e} {implementation:?}: {:.3} ms (forward {:.3})", best * 1e3, bestf * 1e3);
                times.push(best);
            }
            eprintln!("ratio {:.2}", times[0] / times[1]);
            let c = super::Constants::new(&case.config);
            let f = |v: &[f64]| v.iter().map(|x| *x as f32).collect::<Vec<f32>>();
            let (x, th) = (f(&case.x), f(&case.theta)); let n = x.len();
            let mut g = f(&case.for_value); g.extend(f(&case.for_log_det));
            let (mut out, mut gx, mut gt) = (vec![0f32; 2 * n], vec![0f32; n], vec![0f32; 11 * n]);
            let (mut a, mut b) = (f64::MAX, f64::MAX);
            for _ in 0..50 {
                let t = Instant::now(); super::scalar::values(&c, Direction::Forward, &x, &th, &mut out); a = a.min(t.elapsed().as_secs_f64());
                let t = Instant::now(); super::scalar::gradients(&c, Direction::Forward, &x, &th, &g, &mut gx, &mut gt); b = b.min(t.elapsed().as_secs_f64());
            }
            eprintln!("scalar values {:.1} ns, gradients {:.1} ns an element", a / n as f64 * 1e9, b / n as f64 * 1e9);
        }
    });
}
