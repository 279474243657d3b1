//! The size of the variance against the spread over independent pairs of a source and a target.
//!
//! A model follows its training events: the background's slope, the coefficient of the first
//! function, is the mean of y over the target less that over the source. Mixed events have the y of
//! the event whose hemispheres were replaced, and a little of their neighbours'.

use super::super::sets::intervals;
use sideband_likelihood::mixing::{Scale, SetHistograms, StageSettings, basis, variance};
use sideband_numerics::random::Key;

const TARGET: usize = 400;
const SETS: usize = 15;
const PAIRS: usize = 17;
/// Members of the data's own ensemble, each with a resampling of its events.
const MEMBERS: u64 = 20;
const BINS: usize = 10;
/// What neighbours add to the y of an event, whose own is of width one.
const NEIGHBOURS: f64 = 0.2;
const PSEUDO_EXPERIMENTS: u64 = 200;

/// What one pair of samples gives.
struct Found {
    /// The slope of its own model.
    slope: f64,
    /// The spread over the sets' models, and the size of the first order.
    spread: f64,
    size: f64,
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    sum / count
}

/// A mean with the weights of a resampling.
fn resampled(values: &[f64], key: Key) -> f64 {
    let times = |k: usize| f64::from(key.poisson_one(k as u64));
    let weights: f64 = (0..values.len()).map(times).sum();
    let all = values.iter().enumerate();
    all.map(|(k, y)| times(k) * y).sum::<f64>() / weights
}

/// With `ratio` source events a target event.
fn found(ratio: usize, number: u64) -> Found {
    let key = Key::from_seed(7).with(ratio as u64).with(number);
    let events = |purpose: u64, count: usize| -> Vec<f64> {
        let key = key.with(purpose);
        (0..count).map(|k| key.normal(k as u64)).collect()
    };
    let (source, target) = (events(1, ratio * TARGET), events(2, TARGET));
    let mean_source = mean(source.iter().copied());
    let mut sums = vec![(0.0, 0.0); SETS];
    let weight = 1.0 / ratio as f64;
    for (row, y) in source.iter().enumerate() {
        let row = row as u64;
        for (set, k) in intervals(key.with(3).uniform(row), weight, PAIRS, SETS) {
            let neighbours = NEIGHBOURS * key.with(4).with(row).normal(k as u64);
            sums[set].0 += y + neighbours;
            sums[set].1 += 1.0;
        }
    }
    let edges: Vec<f64> = (0..=BINS).map(|b| b as f64).collect();
    let shape: Vec<f64> = (0..BINS).map(|b| 1000.0 - 50.0 * b as f64).collect();
    let first = basis(&edges, &shape, 1, Scale::Range).swap_remove(1);
    let model = |slope: f64| -> Vec<f64> {
        let bins = shape.iter().zip(&first);
        bins.map(|(h, f)| h * (1.0 + slope * f)).collect()
    };
    let models: Vec<Vec<f64>> = sums
        .iter()
        .map(|(sum, count)| model(sum / count - mean_source))
        .collect();
    let sets = SetHistograms {
        model_variances: models.clone(),
        models,
        data: shape.clone(),
        data_variances: shape.clone(),
        top: vec![0.0; BINS],
        top_variances: vec![0.0; BINS],
        signal: None,
        edges,
    };
    let settings = StageSettings {
        max_order: 1,
        ..StageSettings::default()
    };
    let [average, _] = sets.average();
    let functions = basis(&sets.edges, &average, 1, Scale::Range);
    let mut varied = variance(&sets, &functions, &settings).unwrap();
    let spread = varied.orders[1].spread[1];
    // sets that share events
    if SETS as f64 * weight > 1.0 {
        let members: Vec<Vec<f64>> = (0..MEMBERS)
            .map(|member| {
                let key = key.with(5).with(member);
                let [s, t] = [(&source, 1), (&target, 2)].map(|(y, k)| resampled(y, key.with(k)));
                model(t - s)
            })
            .collect();
        let means: Vec<f64> = (0..BINS)
            .map(|b| mean(members.iter().map(|m| m[b])))
            .collect();
        let product = |a: usize, b: usize| {
            let products = members
                .iter()
                .map(|m| (m[a] - means[a]) * (m[b] - means[b]));
            products.sum::<f64>() / (MEMBERS - 1) as f64
        };
        let row = |a: usize| (0..BINS).map(|b| product(a, b)).collect();
        let covariance: Vec<Vec<f64>> = (0..BINS).map(row).collect();
        varied.widen(&sets, &functions, &covariance).unwrap();
    }
    Found {
        slope: mean(target.iter().copied()) - mean_source,
        spread,
        size: varied.orders[1].size[1],
    }
}

/// Root mean square.
fn typical(values: impl Iterator<Item = f64>) -> f64 {
    mean(values.map(|x| x * x)).sqrt()
}

/// Within 20 %, of a spread that 200 pairs know to 5 %.
#[test]
fn a_size_is_the_spread_over_independent_samples() {
    for ratio in [1, 20] {
        let all: Vec<Found> = (0..PSEUDO_EXPERIMENTS).map(|n| found(ratio, n)).collect();
        // their mean is zero
        let truth = typical(all.iter().map(|of| of.slope));
        let [size, spread] = [
            typical(all.iter().map(|of| of.size)),
            typical(all.iter().map(|of| of.spread)),
        ];
        assert!(
            (size / truth - 1.0).abs() < 0.2,
            "{ratio}: {size} of {truth}"
        );
        // sets that share all events have models that differ by their neighbours alone, which is
        // 0.2 of sqrt(2)
        if ratio == 1 {
            assert!(spread < 0.2 * truth, "{spread} of {truth}");
        }
    }
}
