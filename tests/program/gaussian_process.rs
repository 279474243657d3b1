//! Gaussian processes against scikit-learn and against each other.

use crate::support::contains;
use crate::support::golden::Golden;
use sideband_numerics::minimise::MinimiseSettings;
use sideband_numerics::random::Key;
use sideband_processes::ProcessError;
use sideband_processes::gaussian_process::{
    Amplitude, DenseProcess, FitSettings, GridProcess, Marginal, Posterior, SquaredExponential,
    Standardised, averaged, fit,
};
use std::fmt::Debug;

struct Histogram {
    golden: Golden,
    standardised: Standardised,
    grid: GridProcess,
    dense: DenseProcess,
    /// m1, m2 of every bin.
    centres: Vec<f64>,
    hole: Vec<usize>,
}

fn histogram(name: &str) -> Histogram {
    let golden = Golden::of_histogram(name);
    let axis = golden.edges.windows(2).map(|e| 0.5 * (e[0] + e[1]));
    let axis: Vec<f64> = axis.collect();
    let bins = axis.len();
    let (blind, counts) = (golden.blind.concat(), golden.counts.concat());
    let (hole, kept): (Vec<usize>, Vec<usize>) = (0..bins * bins).partition(|bin| blind[*bin] == 1);
    let values: Vec<f64> = kept.iter().map(|bin| counts[*bin]).collect();
    let variances: Vec<f64> = values.iter().map(|n| n.max(1.0)).collect();
    let standardised = Standardised::new(&values, &variances).unwrap();
    let centre = |bin: &usize| [axis[bin / bins], axis[bin % bins]];
    let centres = (0..bins * bins).flat_map(|bin| centre(&bin)).collect();
    let points = kept.iter().flat_map(centre).collect();
    let (targets, noise) = (&standardised.targets, &standardised.noise);
    Histogram {
        dense: DenseProcess::new(2, points, targets.clone(), noise.clone()).unwrap(),
        grid: GridProcess::new([axis.clone(), axis], &kept, targets, noise).unwrap(),
        golden,
        standardised,
        centres,
        hole,
    }
}

fn relative(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs()
}

fn kernel(amplitude: f64, scales: &[f64]) -> SquaredExponential {
    SquaredExponential::new(amplitude, scales.to_vec()).unwrap()
}

fn settings(amplitude: Amplitude, bounds: [f64; 2], starts: usize) -> FitSettings {
    FitSettings {
        amplitude,
        length_scales: vec![bounds; 2],
        starts,
        start_within: None,
        minimiser: MinimiseSettings {
            gradient_tolerance: 1e-4,
            ..MinimiseSettings::default()
        },
    }
}

/// Both representations of the same data.
fn both(h: &Histogram) -> [(&'static str, &dyn Marginal); 2] {
    [("grid", &h.grid), ("dense", &h.dense)]
}

#[test]
fn likelihood_and_gradient_at_fixed_parameters_are_those_of_scikit_learn() {
    for name in ["a", "b"] {
        let h = histogram(name);
        assert!(relative(h.standardised.mean, h.golden.mean) < 1e-14);
        assert!(relative(h.standardised.deviation, h.golden.deviation) < 1e-14);
        let golden = &h.golden.c1_l20;
        for (what, process) in both(&h) {
            let found = process.log_marginal(&kernel(1.0, &[20.0; 2])).unwrap();
            assert!(relative(found.value, golden.log_marginal) < 1e-11, "{what}");
            for (g, expected) in found.gradient.iter().zip(&golden.gradient) {
                assert!(relative(*g, *expected) < 1e-9, "{what}: {g} {expected}");
            }
            assert_eq!(found.jitter, 0.0);
        }
        // at scikit-learn's optimum the gradient is its leftover: absolute
        let golden = &h.golden.fitted;
        let best = kernel(golden.amplitude, &golden.length_scales);
        for (what, process) in both(&h) {
            let found = process.log_marginal(&best).unwrap();
            assert!(relative(found.value, golden.log_marginal) < 1e-11, "{what}");
            for (g, expected) in found.gradient.iter().zip(&golden.gradient) {
                assert!((g - expected).abs() < 1e-8, "{what}: {g} {expected}");
            }
        }
    }
}

#[test]
fn the_fit_ends_where_that_of_scikit_learn_does() {
    for name in ["a", "b"] {
        let h = histogram(name);
        let settings = settings(Amplitude::Fitted([1e-3, 1e3]), [1.0, 500.0], 2);
        let golden = &h.golden.fitted;
        for found in [fit(&h.grid, &settings), fit(&h.dense, &settings)] {
            let found = found.unwrap();
            assert!(found.converged && found.projected_gradient < 1e-4);
            assert_eq!(found.at_bound, [false, false]);
            assert!(found.starts_agreeing >= 2, "{found:?}");
            assert!(relative(found.kernel.amplitude(), golden.amplitude) < 1e-3);
            let scales = found.kernel.length_scales().iter();
            for (l, expected) in scales.zip(&golden.length_scales) {
                assert!(relative(*l, *expected) < 1e-5, "{l} {expected}");
            }
            assert!(found.log_marginal > golden.log_marginal - 1e-8);
        }
    }
}

#[test]
fn predictions_are_those_of_scikit_learn() {
    for name in ["a", "b"] {
        let h = histogram(name);
        let kernel = kernel(h.golden.fitted.amplitude, &h.golden.fitted.length_scales);
        for (what, posterior) in [
            ("grid", h.grid.posterior(&kernel).unwrap()),
            ("dense", h.dense.posterior(&kernel, &h.centres).unwrap()),
        ] {
            for bin in 0..posterior.mean().len() {
                let (mean, std) = (h.golden.posterior_mean[bin], h.golden.posterior_std[bin]);
                let difference = (posterior.mean()[bin] - mean).abs();
                assert!(difference < 1e-8 * mean.abs().max(1.0), "{what}");
                let error = posterior.variance(bin).sqrt();
                assert!(relative(error, std) < 1e-6, "{what}");
            }
            let events = posterior.rescaled(h.standardised.mean, h.standardised.deviation);
            let sum: f64 = h.hole.iter().map(|bin| events.mean()[*bin]).sum();
            let error = events.variance_of_sum(&h.hole).sqrt();
            assert!(relative(sum, h.golden.hole_sum) < 1e-9, "{what}: {sum}");
            let off = relative(error, h.golden.hole_error);
            assert!(off < 1e-6, "{what}: {error}");
        }
    }
}

/// A number in [-1, 1).
fn noise(key: Key, counter: u64) -> f64 {
    2.0 * key.uniform(counter) - 1.0
}

#[test]
fn gradients_are_the_differences_of_the_likelihood() {
    let key = Key::from_seed(5);
    let mut cases: Vec<(String, Box<dyn Marginal>, Vec<SquaredExponential>)> = Vec::new();
    for d in 1..=3 {
        let n = 30;
        let points = (0..n * d).map(|i| 10.0 * key.uniform(i as u64)).collect();
        let targets = (0..n).map(|i| noise(key.with(1), i as u64)).collect();
        let variance = |i| 0.01 + 0.1 * key.with(2).uniform(i as u64);
        let variances = (0..n).map(variance).collect();
        let dense = DenseProcess::new(d, points, targets, variances).unwrap();
        let kernels = [(0.3, 0.4), (1.0, 2.0), (4.0, 30.0)].map(|(c, l)| {
            let scales: Vec<f64> = (0..d).map(|k| l * (1.0 + 0.3 * k as f64)).collect();
            kernel(c, &scales)
        });
        cases.push((format!("dense {d}D"), Box::new(dense), kernels.to_vec()));
    }
    for (what, (grid, _)) in grids() {
        let kernels = [(0.3, 0.7, 1.0), (1.0, 5.0, 2.0), (30.0, 9.0, 70.0)]
            .map(|(c, l1, l2)| kernel(c, &[l1, l2]));
        cases.push((what, Box::new(grid), kernels.to_vec()));
    }
    for (what, process, kernels) in cases {
        for kernel in kernels {
            let theta = kernel.log_parameters();
            let gradient = process.log_marginal(&kernel).unwrap().gradient;
            for k in 0..theta.len() {
                let at = |step: f64| {
                    let mut theta = theta.clone();
                    theta[k] += step;
                    let kernel = SquaredExponential::from_log(&theta).unwrap();
                    process.log_marginal(&kernel).unwrap().value
                };
                // five points: error h^4
                let h = 1e-3;
                let (one, two) = (at(h) - at(-h), at(2.0 * h) - at(-2.0 * h));
                let (found, expected) = (gradient[k], (8.0 * one - two) / (12.0 * h));
                let is_close = (found - expected).abs() < 1e-7 * found.abs().max(1.0);
                assert!(is_close, "{what} {kernel:?} {k}: {found} {expected}");
            }
        }
    }
}

/// Grids with points missing, and the same data as points.
fn grids() -> [(String, (GridProcess, DenseProcess)); 4] {
    let key = Key::from_seed(8);
    [(7, 7), (5, 9), (12, 4), (1, 8)].map(|(nx, ny)| {
        // unequal steps
        let axis = |n: u64, k: u64| -> Vec<f64> {
            let step = |i| 2.0 * i as f64 + key.with(k).uniform(i);
            (0..n).map(step).collect()
        };
        let axes = [axis(nx as u64, 1), axis(ny as u64, 2)];
        let is_observed = |point: &usize| key.with(3).uniform(*point as u64) < 0.7;
        let observed: Vec<usize> = (0..nx * ny).filter(is_observed).collect();
        let numbers = 0..observed.len() as u64;
        let targets: Vec<f64> = numbers.clone().map(|i| noise(key.with(4), i)).collect();
        let variance = |i| 0.01 + 0.2 * key.with(5).uniform(i);
        let variances: Vec<f64> = numbers.map(variance).collect();
        let point = |p: &usize| [axes[0][p / ny], axes[1][p % ny]];
        let points = observed.iter().flat_map(point).collect();
        let grid = GridProcess::new(axes.clone(), &observed, &targets, &variances).unwrap();
        let dense = DenseProcess::new(2, points, targets, variances).unwrap();
        (format!("grid {nx} x {ny}"), (grid, dense))
    })
}

/// Holds likelihood and gradient of two processes to each other.
#[track_caller]
fn agree(
    what: &str,
    tolerance: f64,
    a: &dyn Marginal,
    b: &dyn Marginal,
    kernel: &SquaredExponential,
) {
    let [a, b] = [a, b].map(|process| process.log_marginal(kernel).unwrap());
    assert!(relative(a.value, b.value) < tolerance, "{what} {kernel:?}");
    for (x, y) in a.gradient.iter().zip(&b.gradient) {
        let is_close = (x - y).abs() < 1e-8 * y.abs().max(1.0);
        assert!(is_close, "{what} {kernel:?}: {x} {y}");
    }
}

#[test]
fn a_grid_and_its_points_are_one_process() {
    for (what, (grid, dense)) in grids() {
        for (c, scales) in [(0.3, [0.7, 1.0]), (1.0, [5.0, 2.0]), (30.0, [9.0, 70.0])] {
            agree(&what, 1e-9, &grid, &dense, &kernel(c, &scales));
        }
    }
}

/// The whole 25 x 25 plane at the length scales of the paper and far from them.
#[test]
fn the_low_rank_leaves_nothing_out() {
    let h = histogram("a");
    for (c, scales) in [
        (1.0, [108.3, 50.6]),
        (1.0, [3.6, 3.6]),
        (0.5, [8.0, 400.0]),
        (100.0, [500.0; 2]),
    ] {
        let kernel = kernel(c, &scales);
        agree("whole plane", 1e-10, &h.grid, &h.dense, &kernel);
        let grid = h.grid.posterior(&kernel).unwrap();
        let dense = h.dense.posterior(&kernel, &h.centres).unwrap();
        for i in 0..grid.mean().len() {
            assert!((grid.mean()[i] - dense.mean()[i]).abs() < 1e-8);
            let far = (i * 7 + 13) % grid.mean().len();
            let difference = grid.covariance(i, far) - dense.covariance(i, far);
            assert!(difference.abs() < 1e-10 * kernel.amplitude());
        }
    }
}

/// Moments of draws against mean and covariance: every standardised difference
/// within 5.5 errors (of a thousand normal numbers the largest is near 3.3).
fn check_draws(what: &str, posterior: &Posterior, draws: u64) {
    let key = Key::from_seed(21);
    let n = posterior.mean().len();
    let drawn: Vec<Vec<f64>> = (0..draws).map(|g| posterior.draw(key, g)).collect();
    let again = posterior.draw(key, 3);
    assert_eq!(drawn[3], again, "a function of key and index");
    assert_ne!(drawn[3], drawn[4]);
    assert_ne!(drawn[3], posterior.draw(key.with(1), 3));
    let mean = |of: &dyn Fn(&Vec<f64>) -> f64| drawn.iter().map(of).sum::<f64>() / draws as f64;
    let off = |d: &Vec<f64>, i: usize| d[i] - posterior.mean()[i];
    for i in 0..n {
        let error = (posterior.variance(i) / draws as f64).sqrt();
        let pull = mean(&|d| off(d, i)) / error;
        assert!(pull.abs() < 5.5, "{what}: mean of {i} off by {pull}");
        for j in 0..=i {
            let found = mean(&|d| off(d, i) * off(d, j));
            let expected = posterior.covariance(i, j);
            let variance = posterior.variance(i) * posterior.variance(j) + expected * expected;
            let pull = (found - expected) / (variance / draws as f64).sqrt();
            assert!(pull.abs() < 5.5, "{what}: covariance {i} {j} off by {pull}");
        }
    }
}

#[test]
fn draws_have_the_mean_and_the_covariance_of_the_posterior() {
    let [_, (_, (grid, dense)), ..] = grids();
    let kernel = kernel(1.0, &[5.0, 2.0]);
    check_draws("grid", &grid.posterior(&kernel).unwrap(), 4000);
    // ten points on top of each other: S* is singular up to rounding
    let mut at: Vec<f64> = [3.0, 4.0].repeat(10);
    at.extend([0.5, 0.5, 9.0, 1.0]);
    let posterior = dense.posterior(&kernel, &at).unwrap();
    assert!(posterior.jitter() < 1e-9);
    let drawn = posterior.draw(Key::from_seed(1), 0);
    for same in &drawn[1..10] {
        assert!((same - drawn[0]).abs() < 1e-4);
    }
    let rescaled = grid.posterior(&kernel).unwrap().rescaled(100.0, 7.0);
    check_draws("rescaled", &rescaled, 2000);
}

#[test]
fn the_average_over_kernels_is_the_integral() {
    // a smooth plane with a gap, 9 x 9
    let axis: Vec<f64> = (0..9).map(f64::from).collect();
    let is_hole = |p: &usize| (3..6).contains(&(p / 9)) && (3..6).contains(&(p % 9));
    let observed: Vec<usize> = (0..81).filter(|p| !is_hole(p)).collect();
    let key = Key::from_seed(2);
    let target = |p: &usize| {
        let (x, y) = ((p / 9) as f64, (p % 9) as f64);
        (x / 2.5).sin() + 0.3 * (y / 3.0).cos() + 0.3 * noise(key, *p as u64)
    };
    let targets: Vec<f64> = observed.iter().map(target).collect();
    let variances = vec![0.03; observed.len()];
    let process = GridProcess::new([axis.clone(), axis], &observed, &targets, &variances).unwrap();
    let settings = settings(Amplitude::Fixed(1.0), [0.5, 100.0], 3);
    let fitted = fit(&process, &settings).unwrap();
    let found = averaged(&process, &fitted, &settings).unwrap();

    // the same integral, by a fine lattice over the whole range
    let n = 60;
    let (low, high) = (0.5_f64.ln(), 100.0_f64.ln());
    let (mut weight, mut mean, mut square, mut log_l) = (0.0, 0.0, 0.0, 0.0);
    for i in 0..n {
        for j in 0..n {
            let at = |k: i32| low + (high - low) * (f64::from(k) + 0.5) / f64::from(n);
            let kernel = SquaredExponential::from_log(&[0.0, at(i), at(j)]).unwrap();
            let marginal = process.log_marginal(&kernel).unwrap().value;
            let w = (marginal - fitted.log_marginal).exp();
            if w > 1e-5 {
                let posterior = process.posterior(&kernel).unwrap();
                let m = posterior.mean()[40];
                weight += w;
                mean += w * m;
                square += w * (posterior.variance(40) + m * m);
                log_l += w * at(i);
            }
        }
    }
    mean /= weight;
    let deviation = (square / weight - mean * mean).sqrt();
    let best = process.posterior(&fitted.kernel).unwrap();
    let found_deviation = found.posterior.variance(40).sqrt();
    // by far more than the tolerance, the average is wider than the best kernel
    assert!(found_deviation > 1.1 * best.variance(40).sqrt());
    let off = relative(found_deviation, deviation);
    assert!(off < 0.03, "{found_deviation} {deviation}");
    assert!((found.posterior.mean()[40] - mean).abs() < 0.03 * deviation);
    assert!((found.log_parameters[1][0] - log_l / weight).abs() < 0.02);
    assert_eq!(found.log_parameters[0], [0.0, 0.0]);
    assert!(found.kernels > 20, "{}", found.kernels);

    // nothing free, nothing to average over
    let mut fixed = settings;
    let l = fitted.kernel.length_scales();
    fixed.length_scales = l.iter().map(|l| [*l, *l]).collect();
    let alone = averaged(&process, &fitted, &fixed).unwrap();
    assert_eq!(alone.kernels, 1);
    for i in 0..81 {
        assert!((alone.posterior.mean()[i] - best.mean()[i]).abs() < 1e-12);
        assert!(relative(alone.posterior.variance(i), best.variance(i)) < 1e-9);
    }
}

#[test]
fn a_fixed_amplitude_stays_and_a_bound_is_reported() {
    let h = histogram("b");
    let found = fit(&h.grid, &settings(Amplitude::Fixed(0.3), [5.0, 20.0], 2)).unwrap();
    assert_eq!(found.kernel.amplitude(), 0.3);
    assert_eq!(found.at_bound, [true, true]);
    assert!(found.converged);
}

/// Holds that what cannot be done is refused, in these words.
#[track_caller]
fn refused<T: Debug>(found: Result<T, ProcessError>, words: &str) {
    contains(&found.unwrap_err().to_string(), [words]);
}

#[test]
fn wrong_data_say_why() {
    let dense = |points: &[f64], targets: &[f64], noise: &[f64]| {
        DenseProcess::new(1, points.to_vec(), targets.to_vec(), noise.to_vec()).map(|_| ())
    };
    let grid = |points: &[usize], targets: &[f64], noise: &[f64]| {
        let axes = [vec![0.0, 1.0], vec![0.0, 1.0, 2.0]];
        GridProcess::new(axes, points, targets, noise).map(|_| ())
    };
    let (two, fine, infinite) = ([1.0, 2.0], [0.1, 0.1], [1.0, f64::INFINITY]);
    assert_eq!(dense(&[0.0, 1.0], &two, &fine), Ok(()));
    assert_eq!(grid(&[0, 5], &two, &fine), Ok(()));
    refused(dense(&[0.0], &[1.0], &[0.1]), "1 points;");
    refused(grid(&[0], &[1.0], &[0.1]), "1 points;");
    refused(dense(&[0.0, f64::NAN], &two, &fine), "coordinate 1 is NaN");
    for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let words = format!("noise variance 1 is {noise}");
        refused(dense(&[0.0, 1.0], &two, &[0.1, noise]), &words);
        refused(grid(&[0, 1], &two, &[0.1, noise]), &words);
    }
    refused(dense(&[0.0, 1.0], &infinite, &fine), "target 1 is inf");
    refused(grid(&[0, 1], &infinite, &fine), "target 1 is inf");
    refused(
        dense(&[0.0, 1.0, 2.0], &two, &fine),
        "coordinates: 3 values",
    );
    refused(grid(&[0, 1], &two, &[0.1]), "noise variances: 1 values");
    refused(
        grid(&[0, 6], &two, &fine),
        "point 6 is not on a grid of 6 points",
    );
    refused(
        grid(&[3, 3], &two, &fine),
        "point 3 of the grid is given twice",
    );
    let constant = Standardised::new(&[0.1; 5], &[1.0; 5]);
    refused(constant, "all 5 values are 0.1");
    for (c, l, what) in [
        (0.0, 1.0, "amplitude"),
        (f64::NAN, 1.0, "amplitude"),
        (1.0, 0.0, "length scale"),
        (1.0, f64::INFINITY, "length scale"),
    ] {
        let kernel = SquaredExponential::new(c, vec![l]);
        refused(kernel.clone(), what);
        refused(kernel, "it must be finite and above 0");
    }
}

#[test]
fn wrong_kernels_and_bounds_say_why() {
    let h = histogram("a");
    let three = kernel(1.0, &[1.0; 3]);
    for (_, process) in both(&h) {
        let words = "the kernel has 3 length scales, the points have 2 coordinates";
        refused(process.log_marginal(&three), words);
    }
    let posterior = h.dense.posterior(&kernel(1.0, &[20.0; 2]), &[1.0]);
    refused(posterior, "coordinates: 1 values");
    let fixed = Amplitude::Fixed(1.0);
    for bounds in [
        [0.0, 1.0],
        [2.0, 1.0],
        [1.0, f64::INFINITY],
        [f64::NAN, 1.0],
    ] {
        let found = fit(&h.grid, &settings(fixed, bounds, 1));
        refused(found, "bounds of a length scale are");
    }
    let falling = Amplitude::Fitted([1.0, 0.5]);
    let found = fit(&h.grid, &settings(falling, [1.0, 2.0], 1));
    refused(found, "bounds of the amplitude are");
    let none = fit(&h.grid, &settings(fixed, [1.0, 2.0], 0));
    refused(none, "no start; at least one is needed");

    // the same point many times, with next to no noise
    let process = DenseProcess::new(1, vec![0.0; 40], vec![0.5; 40], vec![1e-300; 40]).unwrap();
    let one = kernel(1.0, &[1.0]);
    // jitter makes it work: the diagonal is raised, and that is said
    let found = process.log_marginal(&one).unwrap();
    assert!(found.jitter > 0.0 && found.value.is_finite());
    // nothing makes this one work
    let axes = [vec![0.0, 1.0], vec![0.0, 1.0]];
    let hard = GridProcess::new(axes, &[0, 1, 2], &[0.1, 0.2, -0.3], &[1e-12; 3]).unwrap();
    for words in ["singular", "raise the noise variances"] {
        refused(hard.posterior(&kernel(1.0, &[50.0; 2])), words);
    }
    for words in ["at any of the 2 starts", "singular"] {
        refused(fit(&hard, &settings(fixed, [1.0, 100.0], 2)), words);
    }
}
