//! A fit with interference by Minuit: counts in bins, two minima in kappa, two
//! nuisance parameters. Expected counts of a bin are
//! `(kappa^2 s + kappa i) exp(w a1) + b exp(c a2)`.

use crate::fit::{
    End, FitSettings, ImpactSettings, ScanSettings, Search, Shift, confidence_set, fit, impacts,
    minos, scan,
};
use crate::{Model, Parameter, Term};
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

impl Term for Golden {
    fn value(&self, at: &[f64]) -> f64 {
        self.gradient(at, &mut [0.0; 3])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.hessian(at, gradient, &mut [0.0; 9])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let (kappa, w) = (at[0], self.signal_width);
        let up = (w * at[1]).exp();
        let mut value = 0.0;
        for (bin, n) in self.counts.iter().enumerate() {
            let (s, i) = (self.signal[bin], self.interference[bin]);
            let c = self.background_slope[bin];
            let signal = (kappa * kappa * s + kappa * i) * up;
            let background = self.background[bin] * (c * at[2]).exp();
            let slope = (2.0 * kappa * s + i) * up;
            let rate = signal + background;
            let first = [slope, w * signal, c * background];
            let second = [
                [2.0 * s * up, w * slope, 0.0],
                [w * slope, w * w * signal, 0.0],
                [0.0, 0.0, c * c * background],
            ];
            value += rate - n * rate.ln();
            for a in 0..3 {
                gradient[a] += (1.0 - n / rate) * first[a];
                for b in 0..3 {
                    hessian[a * 3 + b] +=
                        (1.0 - n / rate) * second[a][b] + n * first[a] * first[b] / (rate * rate);
                }
            }
        }
        value
    }
}

fn golden() -> (Golden, Model) {
    let text = include_str!("../../../tests/data/golden/interference_bins.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let parameters = vec![
        Parameter::interest("kappa", 1.0, golden.bounds.into()),
        Parameter::nuisance("a1"),
        Parameter::nuisance("a2"),
    ];
    let model = Model::new(parameters, vec![Arc::new(golden.clone())]);
    (golden, model)
}

fn searched() -> FitSettings {
    FitSettings {
        searches: vec![Search {
            parameter: 0,
            points: 15,
        }],
        ..FitSettings::default()
    }
}

#[test]
fn both_minima_are_those_of_minuit() {
    let (golden, model) = golden();
    let found = fit(&model, &searched()).unwrap();
    assert!(found.is_converged());
    assert!((found.nll - golden.nll).abs() < 1e-7, "{found:?}");
    for k in 0..3 {
        // MIGRAD stops at about 1e-5 of an error
        let error = golden.covariance[k][k].sqrt();
        assert!((found.point[k] - golden.point[k]).abs() < 1e-4 * error);
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
    assert!((found.others[0].nll - other[0]).abs() < 1e-7);
    assert!((found.others[0].point[0] - other[1]).abs() < 1e-4);
}

#[test]
fn minos_errors_are_those_of_minuit() {
    let (golden, model) = golden();
    let settings = searched();
    let best = fit(&model, &settings).unwrap();
    for (level, expected) in [(1.0, golden.minos.one), (4.0, golden.minos.four)] {
        for (k, expected) in expected.iter().enumerate() {
            let found = minos(&model, &settings, &best, k, level).unwrap();
            let errors = found.errors().map(Option::unwrap);
            for (found, expected) in errors.iter().zip(expected) {
                // MINOS looks for its crossings to about 1e-3
                assert!(
                    (found / expected - 1.0).abs() < 3e-3,
                    "{k}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn the_scan_is_that_of_minuit_and_has_two_intervals() {
    let (golden, model) = golden();
    let settings = searched();
    let best = fit(&model, &settings).unwrap();
    let mut asked = ScanSettings {
        parameter: 0,
        grid: golden.scan.kappa.clone(),
        thorough: false,
    };
    for thorough in [false, true] {
        asked.thorough = thorough;
        let curve = scan(&model, &settings, &best, &asked).unwrap().curve;
        assert_eq!(curve.len(), golden.scan.t.len());
        for (point, t) in curve.iter().zip(&golden.scan.t) {
            assert!((point.t - t).abs() < 1e-6, "{point:?} {t}");
        }
    }
    let curve = scan(&model, &settings, &best, &asked).unwrap();
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
    assert!((a - b).abs() < 1e-6);
}

#[test]
fn impacts_by_refit_are_those_of_minuit() {
    let (golden, model) = golden();
    let settings = FitSettings::default();
    let best = fit(&model, &settings).unwrap();
    let asked = ImpactSettings {
        interest: vec![0],
        refit: true,
        ..ImpactSettings::default()
    };
    let found = impacts(&model, &settings, &best, &asked).unwrap();
    for impact in &found.impacts[0].ranking {
        let shifts = impact.post_fit_refit.clone().unwrap();
        let expected = golden.post_fit_impacts[impact.parameter - 1];
        for (shift, expected) in shifts.iter().zip(expected) {
            let Shift::By(shift) = shift else {
                unreachable!("{shift:?}")
            };
            // the reference moves by an error known to 1e-3
            assert!((shift / expected - 1.0).abs() < 2e-3, "{shift} {expected}");
        }
    }
}
