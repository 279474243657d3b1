//! The closed forms against quadrature and Monte Carlo, the sampler against both.

use super::*;
use crate::settings::GeneratedModel;
use arrow::array::{Array, Float32Array, Float64Array, Int64Array};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use sideband_numerics::random::Key;
use std::collections::HashSet;
use std::fs::File;

const REFERENCE: [Process; 2] = [Process::S, Process::Sbi];

fn model() -> Interference {
    Interference::new(InterferenceConfig::default()).unwrap()
}

fn key(word: u64) -> Key {
    Key::from_seed(20_26).with(word)
}

fn truth(mu: f64, shape: f64, rate: f64) -> Truth {
    Truth { mu, shape, rate }
}

/// Whether the mean of `f` over events is as expected within four of its standard errors,
/// which comes back.
fn has_mean(
    expected: f64,
    events: &[Point],
    f: impl Fn(&Point) -> f64 + Sync + Send,
    what: &str,
) -> f64 {
    let (found, error) = mean(events, f);
    let text = format!("{what}: {found} +- {error}, expected {expected}");
    assert!((found - expected).abs() < 4.0 * error, "{text}");
    error
}

/// Mean of `f` and its standard error.
fn mean(events: &[Point], f: impl Fn(&Point) -> f64 + Sync + Send) -> (f64, f64) {
    let n = events.len() as f64;
    let values: Vec<f64> = events.par_iter().map(f).collect();
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, square.sqrt() / n)
}

/// `n` events of the mixture of `S` and `SBI` by their yields.
fn reference_events(model: &Interference, n: usize) -> Vec<Point> {
    let [s, sbi] = REFERENCE.map(|p| model.events(p));
    let of_s = (n as f64 * s / (s + sbi)).round() as usize;
    let mut events = model.sample(Process::S, of_s, key(1));
    events.extend(model.sample(Process::Sbi, n - of_s, key(2)));
    events
}

/// Density of that mixture, times its events, which come first.
fn reference(model: &Interference, x: &Point) -> (f64, f64) {
    let terms = REFERENCE.map(|k| (model.events(k), model.events(k) * model.density(k, x)));
    (terms[0].0 + terms[1].0, terms[0].1 + terms[1].1)
}

/// `integral of sqrt(N_a N_b) exp(i (k x + phase))` in one dimension, by the
/// trapezoidal rule over `range`, which is exact for whole Gaussians.
fn quadrature(
    [(ma, sa), (mb, sb)]: [(f64, f64); 2],
    k: f64,
    (low, high): (f64, f64),
) -> (f64, f64) {
    let steps = 400;
    let h = (high - low) / f64::from(steps);
    let normal = |x: f64, m: f64, s: f64| {
        (-0.5 * ((x - m) / s).powi(2)).exp() / (s * (std::f64::consts::TAU).sqrt())
    };
    let mut sum = (0.0, 0.0);
    for i in 0..=steps {
        let x = low + h * f64::from(i);
        let end = if i == 0 || i == steps { 0.5 } else { 1.0 };
        let size = end * h * (normal(x, ma, sa) * normal(x, mb, sb)).sqrt();
        sum.0 += size * (k * x).cos();
        sum.1 += size * (k * x).sin();
    }
    sum
}

const WHOLE: (f64, f64) = (-15.0, 15.0);

/// `integral of sqrt(N_a N_b) exp(i (k . x + phase))`, the first observable in `range`.
fn integral(
    a: &Lobe,
    b: &Lobe,
    k: &Point,
    phase: f64,
    (d, range): (usize, (f64, f64)),
) -> (f64, f64) {
    let (mut re, mut im) = (phase.cos(), phase.sin());
    for (i, wave) in k.iter().enumerate() {
        let range = if i == d { range } else { WHOLE };
        let (c, s) = quadrature(
            [(a.mean[i], a.width[i]), (b.mean[i], b.width[i])],
            *wave,
            range,
        );
        (re, im) = (re * c - im * s, re * s + im * c);
    }
    (re, im)
}

/// Events of a process with observable `d` in a range, times `1 + size h` if tilted.
fn events_in(
    config: &InterferenceConfig,
    process: Process,
    size: f64,
    bin: (usize, (f64, f64)),
) -> f64 {
    let q = config.shape.wave;
    let lobe = |l: &Lobe| {
        let flat = integral(l, l, &[0.0; DIMENSIONS], 0.0, bin).0;
        l.events * (flat + size * integral(l, l, &q, config.shape.phase, bin).1)
    };
    let beat = || {
        let (s, b) = (&config.signal, &config.background);
        let of = |sign: f64| {
            let k = std::array::from_fn(|i| q[i] + sign * config.wave[i]);
            integral(s, b, &k, config.shape.phase + sign * config.phase, bin).1
        };
        let flat = integral(s, b, &config.wave, config.phase, bin).0;
        let amplitude = 2.0 * config.coherence * (s.events * b.events).sqrt();
        amplitude * (flat + size * 0.5 * (of(1.0) + of(-1.0)))
    };
    let s = lobe(&config.signal);
    let b = lobe(&config.background) + lobe(&config.incoherent);
    match process {
        Process::S => s,
        Process::B => b,
        Process::Sbi => s + b + beat(),
    }
}

#[test]
fn integrals_agree_with_quadrature() {
    for config in [
        InterferenceConfig::default(),
        InterferenceConfig::without_interference(),
    ] {
        let model = Interference::new(config.clone()).unwrap();
        for process in Process::ALL {
            let whole = (0, WHOLE);
            let events = events_in(&config, process, 0.0, whole);
            assert!((model.events(process) / events - 1.0).abs() < 1e-11);
            let rates = model.rates(process, Nuisance::Shape);
            for side in [Side::Up, Side::Down] {
                let varied = events_in(&config, process, side.of(config.shape.size), whole);
                let rate = side.of(config.shape.rate) * varied / events;
                assert!(
                    (side.of(rates) / rate - 1.0).abs() < 1e-11,
                    "{process:?} {side:?}"
                );
            }
        }
    }
}

#[test]
fn sampled_histograms_have_the_marginal_densities() {
    let model = model();
    let n = 60_000;
    let edges: Vec<f64> = (0..=20).map(|i| -4.0 + 0.4 * f64::from(i)).collect();
    for (process, side) in [
        (Process::Sbi, None),
        (Process::S, Some(Side::Up)),
        (Process::B, Some(Side::Down)),
    ] {
        let events = match side {
            None => model.sample(process, n, key(3)),
            Some(side) => model.sample_varied(process, side, n, key(4)),
        };
        let size = side.map_or(0.0, |side| side.of(model.config().shape.size));
        let whole = events_in(model.config(), process, size, (0, WHOLE));
        for d in 0..DIMENSIONS {
            let mut chi2 = 0.0;
            for edge in edges.windows(2) {
                let inside = events
                    .iter()
                    .filter(|x| edge[0] <= x[d] && x[d] < edge[1])
                    .count();
                let bin = (d, (edge[0], edge[1]));
                let expected = n as f64 * events_in(model.config(), process, size, bin) / whole;
                chi2 += (inside as f64 - expected).powi(2) / expected;
            }
            // 20 bins: a chi2 above 49 has a probability of 3e-4
            assert!(chi2 < 49.0, "{process:?} {side:?} x{}: {chi2}", d + 1);
        }
    }
}

#[test]
fn every_ratio_has_mean_one_over_the_reference() {
    let model = model();
    let events = reference_events(&model, 60_000);
    for process in Process::ALL {
        let of = |x: &Point| model.ratio(process, &REFERENCE, x);
        assert!(has_mean(1.0, &events, of, process.name()) < 0.01);
        let x = &events[0];
        let (total, density) = reference(&model, x);
        let expected = model.density(process, x) * total / density;
        assert!((of(x) / expected - 1.0).abs() < 1e-13);
    }
}

#[test]
fn every_response_has_mean_one_under_its_process() {
    let model = model();
    for process in Process::ALL {
        let events = model.sample(process, 40_000, key(5));
        for side in [Side::Up, Side::Down] {
            let of = |x: &Point| model.response(process, Nuisance::Shape, side, x);
            assert!(has_mean(1.0, &events, of, process.name()) < 1e-3);
            let flat = model.response(process, Nuisance::Rate, side, &events[0]);
            assert_eq!(flat, 1.0);
        }
    }
}

/// The mixture of METHODS: `sum_j f_j nu_j G_j G'_j p_j g_j`.
fn mixture(model: &Interference, truth: &Truth, x: &Point) -> f64 {
    let f = Interference::coefficients(truth.mu);
    let side = |a: f64| (a != 0.0).then_some(if a > 0.0 { Side::Up } else { Side::Down });
    let term = |process: Process| {
        let rate = |nuisance, a| side(a).map_or(1.0, |s| s.of(model.rates(process, nuisance)));
        let g = side(truth.shape).map_or(1.0, |s| model.response(process, Nuisance::Shape, s, x));
        f[process as usize]
            * model.events(process)
            * model.density(process, x)
            * g
            * rate(Nuisance::Shape, truth.shape)
            * rate(Nuisance::Rate, truth.rate)
    };
    Process::ALL.into_iter().map(term).sum()
}

fn grid() -> Vec<Truth> {
    let mut grid = Vec::new();
    for mu in [0.0, 0.1, 0.5, 1.0, 2.0, 4.0] {
        for shape in [-1.0, 0.0, 1.0] {
            grid.extend([-1.0, 0.0, 1.0].map(|rate| truth(mu, shape, rate)));
        }
    }
    grid
}

#[test]
fn intensity_is_the_mixture_and_positive() {
    let model = model();
    let events = reference_events(&model, 2000);
    for truth in grid() {
        for x in &events {
            let intensity = model.intensity(&truth, x).unwrap();
            let expected = mixture(&model, &truth, x);
            assert!(intensity > 0.0, "{truth:?} {x:?}");
            assert!((intensity / expected - 1.0).abs() < 1e-10, "{truth:?}");
        }
    }
    let nominal = Truth::nominal(1.0);
    for x in &events {
        let sbi = model.events(Process::Sbi) * model.density(Process::Sbi, x);
        assert!((model.intensity(&nominal, x).unwrap() / sbi - 1.0).abs() < 1e-12);
    }
    assert!((model.expected(&nominal).unwrap() - model.events(Process::Sbi)).abs() < 1e-9);
}

#[test]
fn expected_events_are_the_integral_of_the_intensity() {
    let model = model();
    let events = reference_events(&model, 40_000);
    for truth in grid() {
        let over_reference = |x: &Point| {
            let (total, density) = reference(&model, x);
            model.intensity(&truth, x).unwrap() * total / density
        };
        let expected = model.expected(&truth).unwrap();
        has_mean(expected, &events, over_reference, &format!("{truth:?}"));
    }
}

#[test]
fn data_sets_follow_the_intensity_at_their_parameters() {
    let model = model();
    let n = 40_000;
    let truth = truth(2.0, 1.0, -1.0);
    let data = model.sample_at(&truth, Count::Fixed(n), key(6)).unwrap();
    let base = model.sample(Process::Sbi, n, key(7));
    let nu = model.expected(&truth).unwrap();
    let weight =
        |x: &Point| model.intensity(&truth, x).unwrap() / nu / model.density(Process::Sbi, x);
    let ratio = |x: &Point| model.ratio(Process::S, &REFERENCE, x);
    for test in 0..3 {
        let f = |x: &Point| [ratio(x), ratio(x).powi(2), x[0] * x[1]][test];
        let (found, e1) = mean(&data, f);
        let (expected, e2) = mean(&base, |x| weight(x) * f(x));
        let away = (found - expected).abs();
        assert!(away < 4.0 * e1.hypot(e2), "{test}: {found} {expected}");
    }
    // numbers of events: Poisson around the expectation
    let count = |t| model.sample_at(&truth, Count::Poisson, key(8).with(t));
    let counts: Vec<usize> = (0..200).map(|t| count(t).unwrap().len()).collect();
    let average = counts.iter().sum::<usize>() as f64 / 200.0;
    let away = (average - nu).abs();
    assert!(away < 4.0 * (nu / 200.0).sqrt(), "{average} {nu}");
}

#[test]
fn ratios_are_bounded_and_interference_is_destructive() {
    let model = model();
    let total: f64 = REFERENCE.iter().map(|k| model.events(*k)).sum();
    let mut negative = 0.0;
    for process in Process::ALL {
        // |A_S|^2 + |A_S + A_B|^2 >= |A_B|^2 / 2, so B is at most twice the reference
        let bound = total / model.events(process) * if process == Process::B { 2.0 } else { 1.0 };
        let events = model.sample(process, 20_000, key(10));
        for x in &events {
            let r = model.ratio(process, &REFERENCE, x);
            assert!(r > 0.0 && r <= bound, "{process:?}: {r}");
        }
        assert!(bound < 20.0);
        if process == Process::Sbi {
            let of = |p, x: &Point| model.events(p) * model.density(p, x);
            let below = |x: &&Point| of(Process::Sbi, x) < of(Process::S, x) + of(Process::B, x);
            negative = events.iter().filter(below).count() as f64 / 20_000.0;
        }
    }
    assert!(negative > 0.5, "{negative}");
    let [s, sbi, b] = Process::ALL.map(|p| model.events(p));
    assert!(sbi < 0.85 * (s + b));
}

#[test]
fn without_interference_the_first_observable_knows_all() {
    let model = Interference::new(InterferenceConfig::without_interference()).unwrap();
    let events = model.sample(Process::Sbi, 500, key(11));
    for x in &events {
        let mut other = events[0];
        other[0] = x[0];
        for process in Process::ALL {
            let r = |x: &Point| model.ratio(process, &REFERENCE, x);
            assert!((r(x) / r(&other) - 1.0).abs() < 1e-11);
            let g = |x: &Point| model.response(process, Nuisance::Shape, Side::Up, x);
            assert!((g(x) / g(&other) - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn an_event_depends_on_its_number_alone() {
    let model = model();
    let many = model.sample(Process::Sbi, 9000, key(12));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let few = || model.sample(Process::Sbi, 100, key(12));
    assert_eq!(many[..100], one.unwrap().install(few)[..]);
    assert_ne!(many[0], model.sample(Process::Sbi, 1, key(13))[0]);
}

#[test]
fn numbers_outside_their_domain_are_named() {
    type Change = fn(&mut InterferenceConfig);
    let cases: [(Change, &str); 7] = [
        (
            |c| c.signal.events = 0.0,
            "signal.events is 0, expected a positive",
        ),
        (|c| c.incoherent.width[2] = -1.0, "incoherent.width is -1"),
        (
            |c| c.coherence = 1.1,
            "coherence is 1.1, expected a number from 0 to 1",
        ),
        (|c| c.shape.size.down = -1.0, "shape.size.down is -1"),
        (
            |c| c.rate.background.up = f64::NAN,
            "rate.background.up is NaN",
        ),
        (|c| c.wave[0] = f64::INFINITY, "wave is inf"),
        (
            |c| c.shape.wave = [0.0; DIMENSIONS],
            "spread of shape.wave . x is 0",
        ),
    ];
    for (change, expected) in cases {
        let mut config = InterferenceConfig::default();
        change(&mut config);
        let found = Interference::new(config).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
    // rates alone cannot make up for a background that goes another way
    let mut unlike = InterferenceConfig::default();
    unlike.rate.background = UpDown { up: 2.0, down: 0.5 };
    let unlike = Interference::new(unlike).unwrap();
    assert!(unlike.expected(&truth(4.0, 0.0, 1.0)).is_ok());
    for (model, at, expected) in [
        (&model(), truth(-0.5, 0.0, 0.0), "mu is -0.5"),
        (&model(), truth(1.0, 0.5, 0.0), "shape parameter is 0.5"),
        (&model(), truth(1.0, 0.0, f64::NAN), "rate is NaN"),
        (&unlike, truth(4.0, 0.0, 1.0), "negative for some events"),
    ] {
        let found = model.sample_at(&at, Count::Fixed(1), key(0)).unwrap_err();
        assert!(found.to_string().contains(expected), "{found}");
    }
    let fine = unlike.sample_at(&truth(4.0, 0.0, 0.0), Count::Fixed(1), key(0));
    assert!(fine.is_ok());
}

#[test]
fn the_intensity_is_positive_where_fits_go() {
    let model = model();
    for step in 0..=36 {
        let mu = (0.1 * f64::from(step)).powi(2);
        for rate in [-2.0, -1.0, -0.3, 0.6, 1.0, 2.0] {
            for shape in [-1.0, 0.0, 1.0] {
                let intensity = model.intensity(&truth(mu, shape, rate), &[0.5; DIMENSIONS]);
                assert!(intensity.unwrap() > 0.0);
            }
        }
    }
}

#[test]
fn samples_are_written_as_they_are_drawn() {
    let model = model();
    let world = open(GeneratedModel::Interference).unwrap();
    let names = world.files();
    let folder = tempfile::tempdir().unwrap();
    let mut ids = HashSet::new();
    for (number, name) in names.iter().enumerate() {
        let path = folder.path().join(name);
        world.write(&path, number, 700, key(14)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let mut weights = 0.0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.num_columns(), 8);
            let column = |name: &str| batch.column_by_name(name).unwrap().as_any();
            let id: &Int64Array = column("event_id").downcast_ref().unwrap();
            ids.extend(id.values().iter().copied());
            let weight: &Float64Array = column("weight").downcast_ref().unwrap();
            weights += weight.values().iter().sum::<f64>();
            assert!(column("x6").is::<Float32Array>());
        }
        let of = |p: &Process| name.starts_with(&format!("{}_", p.name()));
        let process = Process::ALL[number / 3];
        let rates = model.rates(process, Nuisance::Shape);
        let rate = match (of(&process), name.contains("_up")) {
            (false, _) => 1.0,
            (true, true) => rates.up,
            (true, false) => rates.down,
        };
        let expected = model.events(process) * rate;
        assert!((weights / expected - 1.0).abs() < 1e-12);
    }
    assert_eq!((ids.len(), names.len()), (6300, 9));
    assert_eq!(names[5], "SBI_shape_down.parquet");
}
