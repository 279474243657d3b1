//! Fits that start from what is known.

use super::likelihoods::*;
use crate::Likelihood;
use crate::fit::{
    Curvature, FitError, FitFailure, FitSettings, NewtonSettings, Search, State, fit, refit,
};

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
fn a_refit_with_a_known_hessian_needs_gradients_alone_and_ends_with_an_exact_one() {
    let model = linear();
    let best = fit(&model, &FitSettings::default()).unwrap();
    let updated = FitSettings {
        newton: NewtonSettings {
            curvature: Curvature::Updated,
            ..NewtonSettings::default()
        },
        ..FitSettings::default()
    };
    let start: Vec<f64> = best.point.iter().map(|x| x + 0.1).collect();
    let again = refit(&model, &updated, &start, Some(&best.hessian)).unwrap();
    assert_eq!(
        (again.evaluations.gradients, again.evaluations.hessians),
        (2, 1)
    );
    assert_eq!(again.hessian, best.hessian);
    for (a, b) in again.point.iter().zip(&best.point) {
        assert!((a - b).abs() < 1e-9);
    }
    let wrong = refit(&model, &updated, &start, Some(&[1.0]));
    assert!(matches!(
        wrong,
        Err(FitError::Length {
            found: 1,
            expected: 25,
            ..
        })
    ));
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
    assert!(matches!(
        found.failure,
        Some(FitFailure::IterationLimit { .. })
    ));
    assert_eq!((found.error(0), found.covariance_of(0, 1)), (None, None));
    assert_eq!(found.nll, likelihood.value(&found.point));
}

#[test]
fn senseless_questions_are_refused() {
    let model = linear();
    let ask = |settings: &FitSettings| fit(&model, settings).map(|fit| fit.nll).unwrap_err();
    let fixed = |k, value| FitSettings::default().with_fixed(k, value);
    let parameter = FitError::Parameter { index: 9, count: 5 };
    assert_eq!(ask(&fixed(9, 0.0)), parameter);
    for outside in [10.5, f64::NAN] {
        assert!(matches!(ask(&fixed(2, outside)), FitError::Outside { name, .. } if name == "a"));
    }
    let short = FitSettings {
        starts: vec![vec![0.0]],
        ..FitSettings::default()
    };
    assert!(matches!(
        ask(&short),
        FitError::Length {
            found: 1,
            expected: 5,
            ..
        }
    ));
    for (parameter, points) in [(0, 5), (2, 1)] {
        let settings = FitSettings {
            searches: vec![Search { parameter, points }],
            ..FitSettings::default()
        };
        assert!(matches!(ask(&settings), FitError::Setting { .. }));
    }
    let loose = FitSettings {
        newton: NewtonSettings {
            gradient_tolerance: 0.0,
            ..NewtonSettings::default()
        },
        ..FitSettings::default()
    };
    assert!(matches!(
        ask(&loose),
        FitError::Setting {
            name: "gradient_tolerance",
            ..
        }
    ));
    let empty = fit(
        &Analytic::new(count, &[1.0]).bounded(0, 2.0, 1.0),
        &fixed(0, 1.0),
    );
    assert!(matches!(empty, Err(FitError::Bounds { .. })));
}
