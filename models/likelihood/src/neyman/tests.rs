//! Feldman-Cousins belts as golden numbers, coverage, disjoint sets, refusals.

use serde::Deserialize;
use sideband_numerics::random::Key;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::*;

/// `k`, `n`, level, Clopper-Pearson, Wilson.
type Reference = (u64, u64, f64, [f64; 2], [f64; 2]);

/// Made by scipy 1.17.1, `binomtest(k, n).proportion_ci(level, method)`.
const PROPORTIONS: [Reference; 5] = [
    (
        0,
        20,
        0.6827,
        [0.0, 0.08794295183129343],
        [0.0, 0.047621017098760154],
    ),
    (
        3,
        20,
        0.6827,
        [0.06951665751472963, 0.27471360350114415],
        [0.0869837288356456, 0.24635098313348647],
    ),
    (
        683,
        1000,
        0.95,
        [0.6531529694410998, 0.7117651432741482],
        [0.6535068964204828, 0.711092509973804],
    ),
    (
        20,
        20,
        0.9,
        [0.8608916593316243, 1.0],
        [0.8808421626390355, 1.0],
    ),
    (
        13654,
        20000,
        0.6827,
        [0.6793747453783509, 0.686006845852623],
        [0.679399809342506, 0.6859819207776143],
    ),
];

#[test]
fn proportions_are_those_of_scipy() {
    for (k, n, level, exact, wilson) in PROPORTIONS {
        let found = Proportion::clopper_pearson(k, n, level).unwrap();
        assert!((found.low - exact[0]).abs() < 1e-8, "{found:?}");
        assert!((found.high - exact[1]).abs() < 1e-8, "{found:?}");
        let found = Proportion::wilson(k, n, level).unwrap();
        assert!((found.low - wilson[0]).abs() < 1e-12, "{found:?}");
        assert!((found.high - wilson[1]).abs() < 1e-12, "{found:?}");
    }
    let coverage = Proportion::wilson(13_654, 20_000, 0.6827).unwrap();
    assert!((coverage.pull(0.6827) - 0.0).abs() < 1e-9);
}

/// `n` values that follow a distribution as evenly as `n` values can.
fn even(n: usize, quantile: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..n)
        .map(|i| quantile((i as f64 + 0.5) / n as f64))
        .collect()
}

fn unit_normal(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

#[test]
fn quantile_error_is_that_of_the_binomial() {
    // Var(c) = p (1 - p) / (n f(c)^2) with f the density of chi-square at c
    let t: Vec<f64> = even(20_000, unit_normal).iter().map(|x| x * x).collect();
    let set = ToySet {
        mu: 0.0,
        t,
        failed: 3,
    };
    let belt = Belt::new(
        &[set.clone(), ToySet { mu: 1.0, ..set }],
        &[0.6827, 0.9545],
        Statistic::TwoSided,
    )
    .unwrap();
    for critical in &belt.points()[0].critical {
        let (p, c) = (critical.toys.probability, critical.asymptotic);
        let density = (-0.5 * c).exp() / (2.0 * std::f64::consts::PI * c).sqrt();
        let expected = (p * (1.0 - p) / 20_000.0).sqrt() / density;
        assert!(
            (critical.toys.error() / expected - 1.0).abs() < 0.03,
            "{critical:?}"
        );
        assert!(critical.pull.abs() < 0.1, "{critical:?}");
    }
    assert_eq!(belt.points()[0].failed, 3);
}

#[test]
fn quantile_intervals_hold_the_truth_in_68_percent() {
    let truth = Statistic::TwoSided.asymptotic(0.9).unwrap();
    let samples = 2000;
    let mut held = 0;
    for sample in 0..samples {
        let mut stream = Key::from_seed(5).with(sample).stream();
        let mut t: Vec<f64> = (0..400)
            .map(|_| unit_normal(stream.uniform().max(1e-300)).powi(2))
            .collect();
        t.sort_by(f64::total_cmp);
        let found = ToyQuantile::of_sorted(0.0, &t, 0.9).unwrap();
        held += u64::from(found.low <= truth && truth <= found.high);
    }
    // binomial standard deviation 0.0104; the interval's ends are interpolated ranks
    let coverage = Proportion::wilson(held, samples, 0.6827).unwrap();
    assert!(coverage.pull(0.6827).abs() < 3.5, "{coverage:?}");
}

#[derive(Deserialize)]
struct Golden {
    poisson: Counting,
    gaussian_bounded: Bounded,
}

#[derive(Deserialize)]
struct Counting {
    background: f64,
    cl: f64,
    mu_every_0p5: Vec<Acceptance>,
    intervals_by_n: std::collections::BTreeMap<String, (f64, f64)>,
}

#[derive(Deserialize)]
struct Acceptance {
    mu: f64,
    n_lo: u64,
    n_hi: u64,
}

#[derive(Deserialize)]
struct Bounded {
    cl: f64,
    intervals: Vec<Observed>,
}

#[derive(Deserialize)]
struct Observed {
    x: f64,
    interval: (f64, f64),
}

/// Made by numpy, see the file's own notes.
fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/data/golden/neyman_fc.json")).unwrap()
}

/// -2 log of the likelihood ratio of n events over a known background, mu >= 0.
fn counting_t(n: f64, mu: f64, background: f64) -> f64 {
    let expected = mu + background;
    let best = n.max(background);
    let log_ratio = if n > 0.0 {
        n * (best / expected).ln()
    } else {
        0.0
    };
    2.0 * (expected - best + log_ratio)
}

/// Poisson counts of even probability, by inversion of the distribution function.
fn even_counts(toys: usize, mean: f64) -> Vec<f64> {
    let (mut n, mut probability) = (0.0, (-mean).exp());
    let mut cumulative = probability;
    let mut counts = Vec::with_capacity(toys);
    for i in 0..toys {
        while cumulative < (i as f64 + 0.5) / toys as f64 {
            n += 1.0;
            probability *= mean / n;
            cumulative += probability;
        }
        counts.push(n);
    }
    counts
}

fn counting_set(toys: usize, mu: f64, background: f64) -> ToySet {
    let counts = even_counts(toys, mu + background);
    let t = counts.iter().map(|n| counting_t(*n, mu, background));
    ToySet {
        mu,
        t: t.collect(),
        failed: 0,
    }
}

#[test]
fn poisson_with_background_is_feldman_cousins() {
    let golden = golden().poisson;
    let b = golden.background;
    let grid = golden.mu_every_0p5.iter();
    let sets: Vec<ToySet> = grid
        .map(|point| counting_set(40_000, point.mu, b))
        .collect();
    let belt = Belt::new(&sets, &[golden.cl], Statistic::TwoSided).unwrap();
    for (point, expected) in belt.points().iter().zip(&golden.mu_every_0p5) {
        let limit = point.critical[0].toys.value;
        let accepted = |n: &u64| counting_t(*n as f64, point.mu, b) <= limit + 1e-9;
        let found: Vec<u64> = (0..60).filter(accepted).collect();
        let ends = (found.first().copied(), found.last().copied());
        assert_eq!(
            ends,
            (Some(expected.n_lo), Some(expected.n_hi)),
            "mu = {}",
            point.mu
        );
    }
}

#[test]
fn poisson_intervals_are_those_of_feldman_and_cousins() {
    let golden = golden().poisson;
    let b = golden.background;
    let step = 0.02;
    let grid: Vec<f64> = (0..=720).map(|i| step * f64::from(i)).collect();
    let sets: Vec<ToySet> = grid.iter().map(|mu| counting_set(20_000, *mu, b)).collect();
    let belt = Belt::new(&sets, &[golden.cl], Statistic::TwoSided).unwrap();
    for (n, (low, high)) in &golden.intervals_by_n {
        let n: f64 = n.parse().unwrap();
        let curve: Vec<(f64, f64)> = grid.iter().map(|mu| (*mu, counting_t(n, *mu, b))).collect();
        let set = belt.confidence_set(golden.cl, &curve).unwrap();
        // counts are discrete: the critical value jumps, and a set may have holes
        let first = set.intervals.first().unwrap().low.mu;
        let last = set.intervals.last().unwrap().high.mu;
        assert!((first - low).abs() < 2.0 * step, "n = {n}: {first} {low}");
        assert!((last - high).abs() < 2.0 * step, "n = {n}: {last} {high}");
    }
}

/// t of a unit Gaussian with mu >= 0.
fn bounded_t(x: f64, mu: f64) -> f64 {
    (x - mu).powi(2) - (x - x.max(0.0)).powi(2)
}

#[test]
fn bounded_gaussian_is_feldman_cousins() {
    let golden = golden().gaussian_bounded;
    let normal = even(20_000, unit_normal);
    let grid: Vec<f64> = (0..=80).map(|i| 0.1 * f64::from(i)).collect();
    let sets: Vec<ToySet> = grid
        .iter()
        .map(|mu| ToySet {
            mu: *mu,
            t: normal.iter().map(|z| bounded_t(mu + z, *mu)).collect(),
            failed: 0,
        })
        .collect();
    let belt = Belt::new(&sets, &[golden.cl], Statistic::TwoSided).unwrap();
    for Observed { x, interval } in golden.intervals {
        let curve: Vec<(f64, f64)> = grid.iter().map(|mu| (*mu, bounded_t(x, *mu))).collect();
        let set = belt.confidence_set(golden.cl, &curve).unwrap();
        assert_eq!(set.intervals.len(), 1, "x = {x}: {set:?}");
        let Interval { low, high } = set.intervals[0];
        // the golden grid has steps of 0.01, and its ends lie inside the interval
        assert!(
            (low.mu - interval.0).abs() < 0.015,
            "x = {x}: {low:?} {interval:?}"
        );
        assert!(
            (high.mu - interval.1).abs() < 0.015,
            "x = {x}: {high:?} {interval:?}"
        );
        assert!(
            high.error < 0.03 && high.kind == EdgeKind::Crossing,
            "{high:?}"
        );
    }
}

fn flat_belt(critical_at_half: f64) -> Belt {
    let t: Vec<f64> = even(1000, |p| 2.0 * critical_at_half * p);
    let set = |mu| ToySet {
        mu,
        t: t.clone(),
        failed: 0,
    };
    Belt::new(
        &[set(-2.0), set(0.0), set(2.0)],
        &[0.5],
        Statistic::TwoSided,
    )
    .unwrap()
}

#[test]
fn two_minima_give_two_intervals() {
    // t = (mu^2 - 1)^2 <= 0.25 where |mu| is within sqrt(1 -+ 0.5)
    let belt = flat_belt(0.25);
    let curve: Vec<(f64, f64)> = (0..=80)
        .map(|i| -2.0 + 0.05 * f64::from(i))
        .map(|mu| (mu, (mu * mu - 1.0).powi(2)))
        .collect();
    let set = belt.confidence_set(0.5, &curve).unwrap();
    let ends: Vec<f64> = set
        .intervals
        .iter()
        .flat_map(|interval| [interval.low.mu, interval.high.mu])
        .collect();
    let expected = [
        -1.5_f64.sqrt(),
        -0.5_f64.sqrt(),
        0.5_f64.sqrt(),
        1.5_f64.sqrt(),
    ];
    assert_eq!(ends.len(), 4, "{set:?}");
    for (found, expected) in ends.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-3, "{found} {expected}");
    }
    assert!(set.contains(1.0) && !set.contains(0.0));
}

#[test]
fn edges_at_the_end_of_the_grid_say_so_and_errors_follow_the_slope() {
    let belt = flat_belt(1.0);
    // a parabola is interpolated exactly, whatever the grid
    let curve: Vec<(f64, f64)> = [-2.0_f64, -1.3, 0.1, 0.9, 2.0]
        .map(|mu| (mu, 0.25 * (mu + 1.0).powi(2)))
        .to_vec();
    let set = belt.confidence_set(0.5, &curve).unwrap();
    let Interval { low, high } = set.intervals[0];
    assert_eq!((low.mu, low.kind), (-2.0, EdgeKind::EndOfGrid));
    assert!((high.mu - 1.0).abs() < 1e-9, "{high:?}");
    let c = belt.points()[1].critical[0].toys.error();
    // halfway between two grid points, slope 1
    assert!(
        (high.error / (c / 2.0_f64.sqrt()) - 1.0).abs() < 0.02,
        "{high:?} {c}"
    );
    let above = curve
        .iter()
        .map(|(mu, t)| (*mu, t + 5.0))
        .collect::<Vec<_>>();
    assert!(
        belt.confidence_set(0.5, &above)
            .unwrap()
            .intervals
            .is_empty()
    );
}

#[test]
fn one_sided_critical_values_are_half_a_chi_square() {
    let q: Vec<f64> = even(20_000, unit_normal)
        .iter()
        .map(|z| if *z > 0.0 { 0.0 } else { z * z })
        .collect();
    let set = |mu| ToySet {
        mu,
        t: q.clone(),
        failed: 0,
    };
    let belt = Belt::new(&[set(0.0), set(1.0)], &[0.95], Statistic::OneSided).unwrap();
    let critical = belt.points()[0].critical[0];
    assert!((critical.asymptotic - 1.644_853_626_951_f64.powi(2)).abs() < 1e-9);
    assert!(critical.pull.abs() < 0.1, "{critical:?}");
    let p = set(0.0).p_value(critical.asymptotic).unwrap();
    assert!((p.value - 0.05).abs() < 1e-4, "{p:?}");
    assert!(p.low < 0.05 && 0.05 < p.high, "{p:?}");
}

#[test]
fn what_cannot_be_built_is_refused() {
    let set = |mu, t: Vec<f64>| ToySet { mu, t, failed: 0 };
    let good = even(100, |p| p);
    let belt = |sets: &[ToySet], level| Belt::new(sets, &[level], Statistic::TwoSided);
    let few = belt(&[set(0.0, good.clone()), set(1.0, vec![0.5; 20])], 0.9);
    let message = few.unwrap_err().to_string();
    assert!(
        message.contains("mu = 1") && message.contains("at least 50"),
        "{message}"
    );
    let nan = belt(
        &[set(0.0, good.clone()), set(1.0, vec![f64::NAN; 100])],
        0.5,
    );
    assert!(matches!(nan, Err(NeymanError::ToyNotFinite { toy: 0, .. })));
    let falling = belt(&[set(1.0, good.clone()), set(1.0, good.clone())], 0.5);
    assert!(matches!(falling, Err(NeymanError::Grid { .. })));
    let grid = [set(0.0, good.clone()), set(1.0, good)];
    assert_eq!(belt(&grid, 1.0), Err(NeymanError::Probability(1.0)));
    let belt = belt(&grid, 0.5).unwrap();
    let level = belt.confidence_set(0.9, &[(0.0, 1.0), (1.0, 1.0)]);
    assert!(matches!(level, Err(NeymanError::NoSuchLevel { .. })));
    let apart = belt.confidence_set(0.5, &[(2.0, 1.0), (3.0, 1.0)]);
    assert!(matches!(apart, Err(NeymanError::NoOverlap { .. })));
    let nan = belt.confidence_set(0.5, &[(0.0, 1.0), (1.0, f64::NAN)]);
    assert!(matches!(nan, Err(NeymanError::CurveNotFinite { .. })));
    assert!(Proportion::wilson(3, 2, 0.9).is_err());
    assert!(Proportion::clopper_pearson(0, 0, 0.9).is_err());
}
