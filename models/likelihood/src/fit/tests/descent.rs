//! Descents, what they start from, and how they fail.

use super::best_fit;
use super::likelihoods::*;
use crate::fit::{FitSettings, NewtonSettings, Search, State, fit};
use crate::support::{assert_near, assert_refused};
use crate::{Likelihood, Model, Parameter};

#[test]
fn minima_are_found() {
    let cases = [
        (Analytic::new(rosenbrock, &[-1.2, 1.0]), vec![1.0, 1.0]),
        (
            Analytic::new(rosenbrock, &[-1.2, 1.0]).bounded(0, -2.0, 0.5),
            vec![0.5, 0.25],
        ),
        (Analytic::new(count, &[40.0]), vec![3.0]),
        (Analytic::new(count, &[1e-3]), vec![3.0]),
    ];
    for (likelihood, minimum) in cases {
        let fit = best_fit(&likelihood);
        assert!(fit.is_converged(), "{fit:?}");
        for (x, expected) in fit.point.iter().zip(&minimum) {
            // the tolerance is one of conditional errors, which here are 1/40 of the others
            assert_near(x, expected, 1e-5);
        }
        assert!(fit.evaluations.hessians < 60, "{fit:?}");
    }
}

#[test]
fn a_parameter_on_its_bound_is_named_and_has_no_error() {
    let likelihood = Analytic::new(rosenbrock, &[-1.2, 1.0]).bounded(0, -2.0, 0.5);
    let fit = best_fit(&likelihood);
    assert_eq!(fit.states, [State::AtUpper, State::Free]);
    assert_eq!(fit.at_bound().collect::<Vec<_>>(), [0]);
    assert_eq!(fit.covariance, [0.0, 0.0, 0.0, 1.0 / 200.0]);
}

#[test]
fn a_saddle_is_left() {
    let fit = best_fit(&Analytic::new(saddle, &[0.0, 0.0]));
    assert!(fit.is_converged(), "{fit:?}");
    assert_near(fit.point[0].abs(), 1.0, 1e-6);
    assert_near(fit.point[1], 0.5 * fit.point[0], 1e-6);
}

#[test]
fn failures_say_why() {
    for (function, start, words) in [
        (cliff as Function, 5.0, "no lower point was found"),
        (count, -1.0, "not finite at any start"),
        (runaway, 0.0, ""),
    ] {
        let failed = best_fit(&Analytic::new(function, &[start]));
        assert_refused(failed.checked(), words);
        assert_eq!(failed.nll.is_nan(), start < 0.0, "{failed:?}");
    }
    let nan = fit(&Analytic::new(count, &[f64::NAN]), &FitSettings::default());
    assert_refused(nan, "a start: x0 = NaN is not within its bounds");
}

#[test]
fn fixed_parameters_stay_and_the_rest_is_fitted() {
    let model = linear();
    let settings = FitSettings::default()
        .with_fixed(2, 5.0)
        .with_fixed(2, 0.25);
    let found = fit(&model, &settings).unwrap();
    assert!(found.is_converged() && found.point[2] == 0.25);
    assert_eq!(found.states[2], State::Fixed);
    assert_eq!(found.error(2), None);
    assert!(found.gradient[2].abs() > 0.1);
    let free = [0, 1, 3, 4];
    assert!(
        free.iter().all(|k| found.gradient[*k].abs() < 1e-6),
        "{found:?}"
    );
    let all = (0..5).fold(FitSettings::default(), |all, k| all.with_fixed(k, 0.5));
    let nothing = fit(&model, &all).unwrap();
    assert!(nothing.is_converged());
    assert_eq!(nothing.nll, model.value(&[0.5; 5]));
}

#[test]
fn starts_of_the_caller_lead_to_other_minima() {
    let likelihood = Analytic::new(wells, &[0.9, 0.0]);
    let settings = FitSettings {
        // the last one leads to the same minimum as the first
        starts: vec![vec![-0.9, 0.0], vec![1.2, 3.0], vec![-1.4, -2.0]],
        ..FitSettings::default()
    };
    let found = fit(&likelihood, &settings).unwrap();
    assert!(
        found.point[0] < -1.0 && found.others.len() == 1,
        "{found:?}"
    );
    assert!(found.others[0].point[0] > 0.9 && found.others[0].nll > found.nll);
    assert_eq!(found, fit(&likelihood, &settings).unwrap());
}

#[test]
fn a_bad_start_beside_a_good_one_does_no_harm() {
    let likelihood = Analytic::new(count, &[-1.0]);
    let settings = FitSettings {
        starts: vec![vec![50.0]],
        ..FitSettings::default()
    };
    let found = fit(&likelihood, &settings).unwrap();
    assert!(found.is_converged() && (found.point[0] - 3.0).abs() < 1e-6);
    assert!(found.others.is_empty());
}

#[test]
fn too_few_steps_are_a_failure_that_keeps_the_point() {
    let settings = FitSettings {
        newton: NewtonSettings {
            max_iterations: 2,
            ..NewtonSettings::default()
        },
        ..FitSettings::default()
    };
    let likelihood = Analytic::new(rosenbrock, &[-1.2, 1.0]);
    let found = fit(&likelihood, &settings).unwrap();
    assert_refused(
        found.checked(),
        "no minimum within 4 steps; the gradient is still",
    );
    assert_eq!((found.error(0), found.covariance_of(0, 1)), (None, None));
    assert_eq!(found.nll, likelihood.value(&found.point));
}

#[test]
fn senseless_questions_are_refused() {
    let model = linear();
    let refused = |settings: &FitSettings, words| assert_refused(fit(&model, settings), words);
    let fixed = |k, value| FitSettings::default().with_fixed(k, value);
    refused(
        &fixed(9, 0.0),
        "parameter 9 is asked for; the likelihood has 5",
    );
    for outside in [10.5, f64::NAN] {
        refused(&fixed(2, outside), "a fixed parameter: a = ");
    }
    let short = FitSettings {
        starts: vec![vec![0.0]],
        ..FitSettings::default()
    };
    refused(&short, "a start has 1 values; the likelihood has 5");
    for (parameter, points, words) in [
        (0, 5, "the range of a searched parameter is inf"),
        (2, 1, "points of a search is 1; at least 2 is needed"),
    ] {
        let settings = FitSettings {
            searches: vec![Search { parameter, points }],
            ..FitSettings::default()
        };
        refused(&settings, words);
    }
    let loose = FitSettings {
        newton: NewtonSettings {
            gradient_tolerance: 0.0,
            ..NewtonSettings::default()
        },
        ..FitSettings::default()
    };
    refused(&loose, "gradient_tolerance is 0; a finite number above 0");
    let many = vec![Parameter::nuisance("a"); 2001];
    let many = fit(&Model::new(many, Vec::new()), &FitSettings::default());
    assert_refused(many, "2001 of 2001 parameters are free; at most 2000");
    let empty = Analytic::new(count, &[1.0]).bounded(0, 2.0, 1.0);
    assert_refused(
        fit(&empty, &fixed(0, 1.0)),
        "x0: bounds [2, 1] leave nothing",
    );
}
