//! Descents from one start, and how they fail.

use super::likelihoods::*;
use crate::fit::{Curvature, FitError, FitFailure, FitSettings, NewtonSettings, State, fit};

fn updated() -> FitSettings {
    FitSettings {
        newton: NewtonSettings {
            curvature: Curvature::Updated,
            ..NewtonSettings::default()
        },
        ..FitSettings::default()
    }
}

#[test]
fn minima_are_found_with_either_curvature() {
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
        for settings in [FitSettings::default(), updated()] {
            let fit = fit(&likelihood, &settings).unwrap();
            assert!(fit.is_converged(), "{fit:?}");
            for (x, expected) in fit.point.iter().zip(&minimum) {
                // the tolerance is one of conditional errors, which here are 1/40 of the others
                assert!((x - expected).abs() < 1e-5, "{fit:?}");
            }
            assert!(fit.evaluations.hessians < 60, "{fit:?}");
        }
    }
}

#[test]
fn a_parameter_on_its_bound_is_named_and_has_no_error() {
    let likelihood = Analytic::new(rosenbrock, &[-1.2, 1.0]).bounded(0, -2.0, 0.5);
    let fit = fit(&likelihood, &FitSettings::default()).unwrap();
    assert_eq!(fit.states, [State::AtUpper, State::Free]);
    assert_eq!(fit.at_bound().collect::<Vec<_>>(), [0]);
    assert_eq!(fit.covariance, [0.0, 0.0, 0.0, 1.0 / 200.0]);
}

#[test]
fn a_saddle_is_left() {
    let fit = fit(&Analytic::new(saddle, &[0.0, 0.0]), &FitSettings::default()).unwrap();
    assert!(fit.is_converged(), "{fit:?}");
    assert!((fit.point[0].abs() - 1.0).abs() < 1e-6, "{fit:?}");
    assert!((fit.point[1] - 0.5 * fit.point[0]).abs() < 1e-6, "{fit:?}");
}

#[test]
fn failures_say_why() {
    let of = |function, nominal: &[f64]| {
        fit(&Analytic::new(function, nominal), &FitSettings::default()).unwrap()
    };
    let stalled = of(cliff, &[5.0]);
    assert!(
        matches!(stalled.failure, Some(FitFailure::Stalled { .. })),
        "{stalled:?}"
    );
    let wall = of(count, &[-1.0]);
    assert_eq!(wall.failure, Some(FitFailure::StartNotFinite));
    assert!(wall.nll.is_nan());
    let away = of(runaway, &[0.0]);
    assert!(!away.is_converged(), "{away:?}");
    let nan = fit(&Analytic::new(count, &[f64::NAN]), &FitSettings::default());
    assert!(matches!(nan, Err(FitError::Outside { .. })));
}
