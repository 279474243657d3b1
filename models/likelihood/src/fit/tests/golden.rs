//! A fit with interference by Minuit: counts in bins, two minima in kappa, two
//! nuisance parameters. Expected counts of a bin are
//! `(kappa^2 s + kappa i) exp(w a1) + b exp(c a2)`.

use super::likelihoods::{Counts, Expected};
use super::{best_fit, impacts_on_first, scanned, searched};
use crate::fit::{End, FitSettings, confidence_set, fit, minos};
use crate::support::assert_near;
use crate::{Model, Parameter};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Clone, Deserialize)]
struct Golden {
    signal: Vec<f64>,
    interference: Vec<f64>,
    background: Vec<f64>,
    background_slope: Vec<f64>,
    signal_width: f64,
    counts: Vec<f64>,
    bounds: [f64; 2],
    nll: f64,
    point: [f64; 3],
    covariance: [[f64; 3]; 3],
    minima: Vec<[f64; 4]>,
    minos: Levels,
    scan: Curve,
    post_fit_impacts: [[f64; 2]; 2],
}

#[derive(Clone, Deserialize)]
struct Levels {
    #[serde(rename = "1")]
    one: [[f64; 2]; 3],
    #[serde(rename = "4")]
    four: [[f64; 2]; 3],
}

#[derive(Clone, Deserialize)]
struct Curve {
    kappa: Vec<f64>,
    t: Vec<f64>,
}

fn golden() -> (Golden, Model) {
    let text = include_str!("../../../tests/data/golden/interference_bins.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let parameters = vec![
        Parameter::interest("kappa", 1.0, golden.bounds.into()),
        Parameter::nuisance("a1"),
        Parameter::nuisance("a2"),
    ];
    let of = golden.clone();
    let expected = move |bin: usize, at: &[f64]| -> Expected<3> {
        let (kappa, w, c) = (at[0], of.signal_width, of.background_slope[bin]);
        let (s, i, up) = (of.signal[bin], of.interference[bin], (w * at[1]).exp());
        let signal = (kappa * kappa * s + kappa * i) * up;
        let background = of.background[bin] * (c * at[2]).exp();
        let slope = (2.0 * kappa * s + i) * up;
        let second = [
            [2.0 * s * up, w * slope, 0.0],
            [w * slope, w * w * signal, 0.0],
            [0.0, 0.0, c * c * background],
        ];
        let first = [slope, w * signal, c * background];
        (signal + background, first, second)
    };
    let term = Counts {
        counts: golden.counts.clone(),
        expected,
        kinks: Vec::new(),
    };
    (golden, Model::new(parameters, vec![Arc::new(term)]))
}

#[test]
fn both_minima_are_those_of_minuit() {
    let (golden, model) = golden();
    let found = fit(&model, &searched(15)).unwrap();
    assert!(found.is_converged());
    assert_near(found.nll, golden.nll, 1e-7);
    for k in 0..3 {
        // MIGRAD stops at about 1e-5 of an error
        let error = golden.covariance[k][k].sqrt();
        assert_near(found.point[k], golden.point[k], 1e-4 * error);
        for j in 0..3 {
            let scale = error * golden.covariance[j][j].sqrt();
            let distance = found.covariance_of(k, j).unwrap() - golden.covariance[k][j];
            assert!(distance.abs() < 1e-3 * scale, "{k} {j} {distance:e}");
        }
    }
    let [_, other] = &golden.minima[..] else {
        unreachable!("two minima")
    };
    assert_eq!(found.others.len(), 1);
    assert_near(found.others[0].nll, other[0], 1e-7);
    assert_near(found.others[0].point[0], other[1], 1e-4);
}

#[test]
fn minos_errors_are_those_of_minuit() {
    let (golden, model) = golden();
    let settings = searched(15);
    let best = fit(&model, &settings).unwrap();
    for (level, expected) in [(1.0, golden.minos.one), (4.0, golden.minos.four)] {
        for (k, expected) in expected.iter().enumerate() {
            let found = minos(&model, &settings, &best, k, level).unwrap();
            let errors = found.errors().map(Option::unwrap);
            for (found, expected) in errors.iter().zip(expected) {
                // MINOS looks for its crossings to about 1e-3
                assert_near(found / expected, 1.0, 3e-3);
            }
        }
    }
}

#[test]
fn the_scan_is_that_of_minuit_and_has_two_intervals() {
    let (golden, model) = golden();
    let settings = searched(15);
    let best = fit(&model, &settings).unwrap();
    let curve = scanned(&model, &settings, &best, golden.scan.kappa);
    assert_eq!(curve.curve.len(), golden.scan.t.len());
    for (point, t) in curve.curve.iter().zip(&golden.scan.t) {
        assert_near(point.t, t, 1e-6);
    }
    let of = |level| {
        confidence_set(&model, &settings, &curve, level)
            .unwrap()
            .intervals
    };
    let (one, four) = (of(1.0), of(4.0));
    assert_eq!((one.len(), four.len()), (2, 1));
    let upper = minos(&model, &settings, &best, 0, 1.0).unwrap().upper;
    let (End::Crossing(a), End::Crossing(b)) = (&one[1][1], &upper) else {
        unreachable!("{one:?} {upper:?}")
    };
    assert_near(a, b, 1e-6);
}

#[test]
fn impacts_by_refit_are_those_of_minuit() {
    let (golden, model) = golden();
    let found = impacts_on_first(&model, &FitSettings::default(), &best_fit(&model));
    for impact in &found.ranking {
        let expected = golden.post_fit_impacts[impact.parameter - 1];
        for (shift, expected) in impact.refit.iter().zip(expected) {
            // the reference moves by an error known to 1e-3
            let shift = shift.unwrap();
            assert_near(shift / expected, 1.0, 2e-3);
        }
    }
}
