//! The W5 plane: a Gaussian process over a 25 x 25 histogram with a blinded disc,
//! 528 bins left, kernel c exp(-d1^2/2l1^2 - d2^2/2l2^2), on one thread. Items are
//! fits, evaluations of likelihood and gradient, or predictions of all bins.
//!
//!     cargo bench --bench w5_plane
//!
//! `grid` is what the mass plane uses, `dense` the same by the Cholesky factor of
//! the whole covariance.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use divan::counter::ItemsCount;
use sideband_numerics::minimise::MinimiseSettings;
use sideband_processes::gaussian_process::{
    Amplitude, DenseProcess, FitSettings, GridProcess, Marginal, SquaredExponential, Standardised,
    averaged, fit,
};
use std::hint::black_box;

fn main() {
    divan::main();
}

struct Plane {
    grid: GridProcess,
    dense: DenseProcess,
    centres: Vec<f64>,
}

/// The histogram of `tests/data/golden/gp_hist_a.json`.
fn plane() -> Plane {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/golden/gp_hist_a.json"
    );
    let golden: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let edges: Vec<f64> = serde_json::from_value(golden["edges"].clone()).unwrap();
    let counts: Vec<Vec<f64>> = serde_json::from_value(golden["counts"].clone()).unwrap();
    let blind: Vec<Vec<u8>> = serde_json::from_value(golden["blind"].clone()).unwrap();
    let axis: Vec<f64> = edges.windows(2).map(|e| 0.5 * (e[0] + e[1])).collect();
    let (counts, blind) = (counts.concat(), blind.concat());
    let kept: Vec<usize> = (0..625).filter(|b| blind[*b] == 0).collect();
    let values: Vec<f64> = kept.iter().map(|b| counts[*b]).collect();
    let variances: Vec<f64> = values.iter().map(|n| n.max(1.0)).collect();
    let s = Standardised::new(&values, &variances).unwrap();
    let centre = |b: &usize| [axis[b / 25], axis[b % 25]];
    let points = kept.iter().flat_map(centre).collect();
    Plane {
        centres: (0..625)
            .collect::<Vec<_>>()
            .iter()
            .flat_map(centre)
            .collect(),
        grid: GridProcess::new([axis.clone(), axis.clone()], &kept, &s.targets, &s.noise).unwrap(),
        dense: DenseProcess::new(2, points, s.targets, s.noise).unwrap(),
    }
}

/// One start at c = 1, l = 20 GeV, as the peer program has it.
fn settings() -> FitSettings {
    FitSettings {
        amplitude: Amplitude::Fitted([1e-3, 1e3]),
        length_scales: vec![[1.0, 500.0]; 2],
        starts: 1,
        start_within: Some(vec![[20.0, 20.0]; 2]),
        minimiser: MinimiseSettings {
            gradient_tolerance: 1e-4,
            ..MinimiseSettings::default()
        },
    }
}

fn best() -> SquaredExponential {
    SquaredExponential::new(0.997, vec![41.05, 24.50]).unwrap()
}

#[divan::bench(args = ["grid", "dense"])]
fn fits(bencher: Bencher<'_, '_>, what: &str) {
    let (plane, settings) = (plane(), settings());
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| match what {
            "grid" => fit(&plane.grid, &settings).unwrap(),
            _ => fit(&plane.dense, &settings).unwrap(),
        });
}

#[divan::bench(args = ["grid", "dense"])]
fn likelihood_and_gradient(bencher: Bencher<'_, '_>, what: &str) {
    let (plane, kernel) = (plane(), best());
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| match what {
            "grid" => plane.grid.log_marginal(black_box(&kernel)).unwrap(),
            _ => plane.dense.log_marginal(black_box(&kernel)).unwrap(),
        });
}

#[divan::bench(args = ["grid", "dense"])]
fn predictions(bencher: Bencher<'_, '_>, what: &str) {
    let (plane, kernel) = (plane(), best());
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| match what {
            "grid" => plane.grid.posterior(black_box(&kernel)).unwrap(),
            _ => plane
                .dense
                .posterior(black_box(&kernel), &plane.centres)
                .unwrap(),
        });
}

#[divan::bench]
fn averages(bencher: Bencher<'_, '_>) {
    let (plane, settings) = (plane(), settings());
    let fitted = fit(&plane.grid, &settings).unwrap();
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| averaged(&plane.grid, &fitted, &settings).unwrap());
}
