//! Feldman-Cousins belts as golden numbers, coverage, disjoint sets, refusals.

use super::*;
use crate::support::{assert_near, assert_refused};
use serde::Deserialize;
use sideband_numerics::random::Key;

/// `k`, `n`, level and ends, by scipy 1.17.1: `binomtest(k, n).proportion_ci(level, "wilson")`.
const PROPORTIONS: [(u64, u64, f64, f64, f64); 5] = [
    (0, 20, 0.6827, 0.0, 0.047621017098760154),
    (3, 20, 0.6827, 0.0869837288356456, 0.24635098313348647),
    (683, 1000, 0.95, 0.6535068964204828, 0.711092509973804),
    (20, 20, 0.9, 0.8808421626390355, 1.0),
    (13654, 20000, 0.6827, 0.679399809342506, 0.6859819207776143),
];

#[test]
fn proportions_are_those_of_scipy() {
    for (k, n, level, low, high) in PROPORTIONS {
        let found = Proportion::wilson(k, n, level).unwrap();
        assert_near(found.low, low, 1e-12);
        assert_near(found.high, high, 1e-12);
    }
    let coverage = Proportion::wilson(13_654, 20_000, 0.6827).unwrap();
    assert_near(coverage.pull(0.6827), 0.0, 1e-9);
}

/// `n` values that follow a distribution as evenly as `n` values can.
fn even(n: usize, quantile: impl Fn(f64) -> f64) -> Vec<f64> {
    let probability = |i: usize| (i as f64 + 0.5) / n as f64;
    (0..n).map(|i| quantile(probability(i))).collect()
}

fn unit_normal(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

fn toys(mu: f64, t: &[f64]) -> ToySet {
    ToySet {
        mu,
        t: t.to_vec(),
        failed: 3,
    }
}

fn belt(sets: &[ToySet], level: f64) -> Belt {
    Belt::new(sets, &[level], Statistic::TwoSided).unwrap()
}

fn curve(grid: &[f64], t: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    grid.iter().map(|mu| (*mu, t(*mu))).collect()
}

#[test]
fn quantile_error_is_that_of_the_binomial() {
    // Var(c) = p (1 - p) / (n f(c)^2) with f the density of chi-square at c
    let t = even(20_000, |p| unit_normal(p).powi(2));
    let sets = [toys(0.0, &t), toys(1.0, &t)];
    let belt = Belt::new(&sets, &[0.6827, 0.9545], Statistic::TwoSided).unwrap();
    for critical in &belt.points()[0].critical {
        let (p, c) = (critical.toys.probability, critical.asymptotic);
        let density = (-0.5 * c).exp() / (2.0 * std::f64::consts::PI * c).sqrt();
        let expected = (p * (1.0 - p) / 20_000.0).sqrt() / density;
        assert_near(critical.toys.error() / expected, 1.0, 0.03);
        assert_near(critical.pull, 0.0, 0.1);
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
        let mut next = || unit_normal(stream.uniform().max(1e-300)).powi(2);
        let mut t: Vec<f64> = (0..400).map(|_| next()).collect();
        t.sort_by(f64::total_cmp);
        let found = ToyQuantile::of_sorted(0.0, &t, 0.9).unwrap();
        held += u64::from(found.low <= truth && truth <= found.high);
    }
    // binomial standard deviation 0.0104; the interval's ends are interpolated ranks
    let coverage = Proportion::wilson(held, samples, 0.6827).unwrap();
    assert_near(coverage.pull(0.6827), 0.0, 3.5);
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
    let log_ratio = match n > 0.0 {
        true => n * (best / expected).ln(),
        false => 0.0,
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

fn counting_set(number: usize, mu: f64, background: f64) -> ToySet {
    let counts = even_counts(number, mu + background);
    let t = counts.iter().map(|n| counting_t(*n, mu, background));
    toys(mu, &t.collect::<Vec<f64>>())
}

#[test]
fn poisson_with_background_is_feldman_cousins() {
    let golden = golden().poisson;
    let b = golden.background;
    let sets = golden.mu_every_0p5.iter();
    let sets: Vec<ToySet> = sets.map(|p| counting_set(40_000, p.mu, b)).collect();
    let belt = belt(&sets, golden.cl);
    for (point, expected) in belt.points().iter().zip(&golden.mu_every_0p5) {
        let limit = point.critical[0].toys.value;
        let accepted = |n: &u64| counting_t(*n as f64, point.mu, b) <= limit + 1e-9;
        let found: Vec<u64> = (0..60).filter(accepted).collect();
        let ends = [found[0], found[found.len() - 1]];
        assert_eq!(ends, [expected.n_lo, expected.n_hi], "mu = {}", point.mu);
    }
}

#[test]
fn poisson_intervals_are_those_of_feldman_and_cousins() {
    let golden = golden().poisson;
    let b = golden.background;
    let step = 0.02;
    let grid: Vec<f64> = (0..=720).map(|i| step * f64::from(i)).collect();
    let sets: Vec<ToySet> = grid.iter().map(|mu| counting_set(20_000, *mu, b)).collect();
    let belt = belt(&sets, golden.cl);
    for (n, (low, high)) in &golden.intervals_by_n {
        let n: f64 = n.parse().unwrap();
        let curve = curve(&grid, |mu| counting_t(n, mu, b));
        let set = belt.confidence_set(golden.cl, &curve).unwrap();
        // counts are discrete: the critical value jumps, and a set may have holes
        let first = set.intervals.first().unwrap().low.mu;
        let last = set.intervals.last().unwrap().high.mu;
        assert_near(first, *low, 2.0 * step);
        assert_near(last, *high, 2.0 * step);
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
    let set = |mu: &f64| {
        let t = normal.iter().map(|z| bounded_t(mu + z, *mu));
        toys(*mu, &t.collect::<Vec<f64>>())
    };
    let sets: Vec<ToySet> = grid.iter().map(set).collect();
    let belt = belt(&sets, golden.cl);
    for Observed { x, interval } in golden.intervals {
        let curve = curve(&grid, |mu| bounded_t(x, mu));
        let set = belt.confidence_set(golden.cl, &curve).unwrap();
        assert_eq!(set.intervals.len(), 1, "x = {x}: {set:?}");
        let Interval { low, high } = set.intervals[0];
        // the golden grid has steps of 0.01, and its ends lie inside the interval
        assert_near(low.mu, interval.0, 0.015);
        assert_near(high.mu, interval.1, 0.015);
        let is_crossing = high.kind == EdgeKind::Crossing;
        assert!(is_crossing && high.error < 0.03, "{high:?}");
    }
}

fn flat_belt(critical_at_half: f64) -> Belt {
    let t = even(1000, |p| 2.0 * critical_at_half * p);
    belt(&[-2.0, 0.0, 2.0].map(|mu| toys(mu, &t)), 0.5)
}

#[test]
fn two_minima_give_two_intervals() {
    // t = (mu^2 - 1)^2 <= 0.25 where |mu| is within sqrt(1 -+ 0.5)
    let grid: Vec<f64> = (0..=80).map(|i| -2.0 + 0.05 * f64::from(i)).collect();
    let curve = curve(&grid, |mu| (mu * mu - 1.0).powi(2));
    let set = flat_belt(0.25).confidence_set(0.5, &curve).unwrap();
    assert_eq!(set.intervals.len(), 2, "{set:?}");
    let (near, far) = (0.5_f64.sqrt(), 1.5_f64.sqrt());
    for (interval, ends) in set.intervals.iter().zip([[-far, -near], [near, far]]) {
        assert_near(interval.low.mu, ends[0], 2e-3);
        assert_near(interval.high.mu, ends[1], 2e-3);
    }
}

#[test]
fn edges_at_the_end_of_the_grid_say_so_and_errors_follow_the_slope() {
    let belt = flat_belt(1.0);
    // a parabola is interpolated exactly, whatever the grid
    let parabola = |above: f64| {
        let grid = [-2.0, -1.3, 0.1, 0.9, 2.0];
        let curve = curve(&grid, |mu| above + 0.25 * (mu + 1.0).powi(2));
        belt.confidence_set(0.5, &curve).unwrap().intervals
    };
    let Interval { low, high } = parabola(0.0)[0];
    assert_eq!((low.mu, low.kind), (-2.0, EdgeKind::EndOfGrid));
    assert_near(high.mu, 1.0, 1e-9);
    let c = belt.points()[1].critical[0].toys.error();
    // halfway between two grid points, slope 1
    assert_near(high.error / (c / 2.0_f64.sqrt()), 1.0, 0.02);
    assert!(parabola(5.0).is_empty());
}

#[test]
fn one_sided_critical_values_are_half_a_chi_square() {
    let q = even(20_000, |p| unit_normal(p).min(0.0).powi(2));
    let sets = [toys(0.0, &q), toys(1.0, &q)];
    let belt = Belt::new(&sets, &[0.95], Statistic::OneSided).unwrap();
    let critical = belt.points()[0].critical[0];
    assert_near(critical.asymptotic, 1.644_853_626_951_f64.powi(2), 1e-9);
    assert_near(critical.pull, 0.0, 0.1);
}

#[test]
fn what_cannot_be_built_is_refused() {
    let good = even(100, |p| p);
    for (first, t, level, words) in [
        (0.0, &[0.5; 20][..], 0.9, "20 toys at mu = 1 cannot give"),
        (0.0, &[0.5; 20], 0.9, "throw at least 50"),
        (0.0, &[f64::NAN; 100], 0.5, "toy 0 at mu = 1 has t = NaN"),
        (1.0, &good, 0.5, "belt: mu = 1 is followed by 1"),
        (0.0, &good, 1.0, "probability 1 is not between"),
    ] {
        let sets = [toys(first, &good), toys(1.0, t)];
        assert_refused(Belt::new(&sets, &[level], Statistic::TwoSided), words);
    }
    let belt = belt(&[toys(0.0, &good), toys(1.0, &good)], 0.5);
    for (level, curve, words) in [
        (0.9, [(0.0, 1.0), (1.0, 1.0)], "no confidence level 0.9"),
        (0.5, [(2.0, 1.0), (3.0, 1.0)], "they do not overlap"),
        (0.5, [(0.0, 1.0), (1.0, f64::NAN)], "is NaN at mu = 1"),
    ] {
        assert_refused(belt.confidence_set(level, &curve), words);
    }
    for (k, n) in [(3, 2), (0, 0)] {
        assert_refused(Proportion::wilson(k, n, 0.9), "is no proportion");
    }
}
