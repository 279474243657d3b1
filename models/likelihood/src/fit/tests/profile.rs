//! Profiles that are no parabolas.

use super::likelihoods::*;
use crate::Likelihood;
use crate::fit::{
    Basin, End, Fit, FitError, FitSettings, NotFound, Scan, ScanSettings, Search, confidence_set,
    fit, minos, scan,
};

/// The wells within +-2, fitted from near +1, which is not the deeper one.
fn two_wells() -> Analytic {
    Analytic::new(wells, &[0.9, 0.0]).bounded(0, -2.0, 2.0)
}

/// Roots of the derivative of `(k^2 - 1)^2 + k / 8`, by numpy 2 (`roots`).
const DEEP: f64 = -1.015273307677;
const SHALLOW: f64 = 0.983992700340778;

fn scanned(likelihood: &dyn Likelihood, best: &Fit, range: (f64, f64), points: usize) -> Scan {
    let step = (range.1 - range.0) / (points - 1) as f64;
    let asked = ScanSettings {
        parameter: 0,
        grid: (0..points)
            .map(|i| (range.0 + step * i as f64).min(range.1))
            .collect(),
        thorough: false,
    };
    scan(likelihood, &FitSettings::default(), best, &asked).unwrap()
}

#[test]
fn a_search_finds_the_deeper_well() {
    let likelihood = two_wells();
    let near = fit(&likelihood, &FitSettings::default()).unwrap();
    assert!(
        (near.point[0] - SHALLOW).abs() < 1e-6 && near.others.is_empty(),
        "{near:?}"
    );
    let search = FitSettings {
        searches: vec![Search {
            parameter: 0,
            points: 9,
        }],
        ..FitSettings::default()
    };
    let deep = fit(&likelihood, &search).unwrap();
    assert!((deep.point[0] - DEEP).abs() < 1e-6, "{deep:?}");
    assert_eq!((deep.others.len(), deep.evaluations.gradients), (1, 9));
    assert!(deep.deeper().is_none() && deep.others[0].is_converged);
    let nominal = FitSettings {
        basin: Basin::Nominal,
        ..search
    };
    let near = fit(&likelihood, &nominal).unwrap();
    assert!((near.point[0] - SHALLOW).abs() < 1e-6);
    assert_eq!(near.deeper().map(|other| other.nll), Some(deep.nll));
}

#[test]
fn a_scan_that_meets_a_deeper_well_redoes_the_best_fit() {
    let likelihood = two_wells();
    let near = fit(&likelihood, &FitSettings::default()).unwrap();
    let scan = scanned(&likelihood, &near, (-2.0, 2.0), 21);
    assert_eq!(scan.deeper_at.len(), 1);
    assert!((scan.best.point[0] - DEEP).abs() < 1e-6);
    let depth = |k: f64| (k * k - 1.0).powi(2) + 0.125 * k;
    for point in &scan.curve {
        let expected = 2.0 * (depth(point.value) - depth(DEEP));
        assert!((point.t - expected).abs() < 1e-9, "{point:?}");
    }
    // so does the search for an end
    let minos = minos(&likelihood, &FitSettings::default(), &near, 0, 4.0).unwrap();
    assert_eq!(minos.deeper_at.len(), 1);
    assert!((minos.best.point[0] - DEEP).abs() < 1e-6);
}

#[test]
fn a_curve_with_two_minima_has_two_intervals() {
    let likelihood = two_wells();
    let near = fit(&likelihood, &FitSettings::default()).unwrap();
    let scan = scanned(&likelihood, &near, (-2.0, 2.0), 21);
    let set = confidence_set(&likelihood, &FitSettings::default(), &scan, 1.0).unwrap();
    assert_eq!(set.intervals.len(), 2);
    let depth = |k: f64| (k * k - 1.0).powi(2) + 0.125 * k;
    for end in set.intervals.iter().flatten() {
        let End::Crossing(k) = end else {
            unreachable!("{end:?}")
        };
        assert!(
            (2.0 * (depth(*k) - depth(DEEP)) - 1.0).abs() < 1e-5,
            "{end:?}"
        );
    }
    // the barrier is lower than this
    let one = confidence_set(&likelihood, &FitSettings::default(), &scan, 3.0).unwrap();
    assert_eq!(one.intervals.len(), 1);
    // and the bounds are reached before that
    let all = confidence_set(&likelihood, &FitSettings::default(), &scan, 50.0).unwrap();
    assert_eq!(all.intervals, [[End::Bound(-2.0), End::Bound(2.0)]]);
}

#[test]
fn an_interval_between_two_points_of_the_grid_is_seen() {
    let likelihood = Analytic::new(count, &[3.0]).bounded(0, 0.1, 100.0);
    let best = fit(&likelihood, &FitSettings::default()).unwrap();
    let scan = scanned(&likelihood, &best, (0.1, 90.1), 4);
    let set = confidence_set(&likelihood, &FitSettings::default(), &scan, 1.0).unwrap();
    let minos = minos(&likelihood, &FitSettings::default(), &best, 0, 1.0).unwrap();
    let ends: Vec<f64> = set.intervals[0].iter().filter_map(End::value).collect();
    // roots of x - 3 - 3 ln(x / 3) = 1/2, by scipy 1 (`brentq`)
    for (found, expected) in ends.iter().zip([1.583974255776, 5.080236697497]) {
        assert!((found - expected).abs() < 1e-5, "{set:?}");
    }
    let minos = [&minos.lower, &minos.upper].map(|end| end.value().unwrap());
    assert!((minos[0] - ends[0]).abs() < 1e-5 && (minos[1] - ends[1]).abs() < 1e-5);
    let short = scanned(&likelihood, &best, (2.9, 3.2), 4);
    // a scan that ends inside does not end the interval
    let set = confidence_set(&likelihood, &FitSettings::default(), &short, 1.0).unwrap();
    for (end, expected) in set.intervals[0].iter().zip(&ends) {
        assert!((end.value().unwrap() - expected).abs() < 1e-5, "{set:?}");
    }
}

#[test]
fn ends_at_bounds_and_ends_that_are_not_there_are_told_apart() {
    let settings = FitSettings::default();
    // bounded from below within one error
    let likelihood = Analytic::new(count, &[4.0]).bounded(0, 2.5, 100.0);
    let best = fit(&likelihood, &settings).unwrap();
    let found = minos(&likelihood, &settings, &best, 0, 1.0).unwrap();
    assert_eq!(found.lower, End::Bound(2.5));
    assert!(matches!(found.upper, End::Crossing(x) if (x - 5.080236697497).abs() < 1e-5));
    // a best fit on its bound
    let likelihood = Analytic::new(count, &[4.0]).bounded(0, 3.5, 100.0);
    let best = fit(&likelihood, &settings).unwrap();
    let found = minos(&likelihood, &settings, &best, 0, 1.0).unwrap();
    assert_eq!(found.lower, End::Bound(3.5));
    assert!(matches!(found.upper, End::Crossing(x) if (x - 5.170784137884).abs() < 1e-5));
    let likelihood = Analytic::new(count, &[2.0]).bounded(0, 0.1, 2.5);
    let best = fit(&likelihood, &settings).unwrap();
    let found = minos(&likelihood, &settings, &best, 0, 1.0).unwrap();
    assert_eq!((best.point[0], found.upper), (2.5, End::Bound(2.5)));
    assert!(
        matches!(found.lower, End::Crossing(x) if x < 1.584),
        "{:?}",
        found.lower
    );
    // a curve that saturates at t = 1
    let likelihood = Analytic::new(saturating, &[0.3]);
    let best = fit(&likelihood, &settings).unwrap();
    let found = minos(&likelihood, &settings, &best, 0, 2.0).unwrap();
    for end in [found.lower, found.upper] {
        let level = NotFound::Level;
        assert!(
            matches!(end, End::NotFound { ref reason, .. } if *reason == level),
            "{end:?}"
        );
    }
}

#[test]
fn failed_points_are_no_points_of_the_curve() {
    // rates below one are a wall
    let likelihood = Analytic::new(walled_count, &[4.0]).bounded(0, 0.0, 100.0);
    let best = fit(&likelihood, &FitSettings::default()).unwrap();
    let scan = scanned(&likelihood, &best, (0.0, 6.0), 13);
    assert_eq!((scan.curve.len(), scan.failed.len()), (11, 2));
    assert!(scan.failed.iter().all(|failed| failed.value < 1.0));
    assert!(scan.curve.iter().all(|point| point.value >= 1.0));
    let found = minos(&likelihood, &FitSettings::default(), &best, 0, 4.0).unwrap();
    let End::NotFound { last, reason } = found.lower else {
        unreachable!("{found:?}")
    };
    assert!(
        (last - 1.0).abs() < 1e-6 && matches!(reason, NotFound::Failed(_)),
        "{last}"
    );
}

#[test]
fn nothing_is_made_of_a_failed_fit() {
    let likelihood = Analytic::new(runaway, &[0.0]);
    let settings = FitSettings::default();
    let failed = fit(&likelihood, &settings).unwrap();
    let scan = scan(&likelihood, &settings, &failed, &ScanSettings::default());
    assert!(matches!(scan, Err(FitError::NoBestFit(_))));
    let minos = minos(&likelihood, &settings, &failed, 0, 1.0);
    assert!(matches!(minos, Err(FitError::NoBestFit(_))));
}
