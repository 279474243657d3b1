//! Profiles that are no parabolas.

use super::likelihoods::*;
use super::{best_fit, grid, scanned, searched};
use crate::fit::{End, Fit, FitSettings, Scan, ScanSettings, confidence_set, fit, minos, scan};
use crate::support::{assert_near, assert_refused};

/// The wells within +-2, fitted from near +1, which is not the deeper one.
fn two_wells() -> Analytic {
    Analytic::new(wells, &[0.9, 0.0]).bounded(0, -2.0, 2.0)
}

/// Roots of the derivative of `(k^2 - 1)^2 + k / 8`, by numpy 2 (`roots`).
const DEEP: f64 = -1.015273307677;
const SHALLOW: f64 = 0.983992700340778;

fn depth(k: f64) -> f64 {
    (k * k - 1.0).powi(2) + 0.125 * k
}

fn plain_scan(likelihood: &Analytic, best: &Fit, range: [f64; 2], points: usize) -> Scan {
    scanned(
        likelihood,
        &FitSettings::default(),
        best,
        grid(range, points),
    )
}

#[test]
fn a_search_finds_the_deeper_well() {
    let likelihood = two_wells();
    let near = best_fit(&likelihood);
    assert_near(near.point[0], SHALLOW, 1e-6);
    assert!(near.others.is_empty());
    let deep = fit(&likelihood, &searched(9)).unwrap();
    assert_near(deep.point[0], DEEP, 1e-6);
    assert_eq!((deep.others.len(), deep.evaluations.gradients), (1, 9));
    assert!(deep.others[0].is_converged && deep.others[0].nll > deep.nll);
    assert_near(deep.others[0].point[0], SHALLOW, 1e-6);
}

#[test]
fn a_scan_that_meets_a_deeper_well_redoes_the_best_fit() {
    let likelihood = two_wells();
    let near = best_fit(&likelihood);
    let scan = plain_scan(&likelihood, &near, [-2.0, 2.0], 21);
    assert_eq!(scan.deeper_at.len(), 1);
    assert_near(scan.best.point[0], DEEP, 1e-6);
    for point in &scan.curve {
        let expected = 2.0 * (depth(point.value) - depth(DEEP));
        assert_near(point.t, expected, 1e-9);
    }
    // so does the search for an end
    let minos = minos(&likelihood, &FitSettings::default(), &near, 0, 4.0).unwrap();
    assert_eq!(minos.deeper_at.len(), 1);
    assert_near(minos.best.point[0], DEEP, 1e-6);
}

#[test]
fn a_curve_with_two_minima_has_two_intervals() {
    let likelihood = two_wells();
    let near = best_fit(&likelihood);
    let scan = plain_scan(&likelihood, &near, [-2.0, 2.0], 21);
    let set = confidence_set(&likelihood, &FitSettings::default(), &scan, 1.0).unwrap();
    assert_eq!(set.intervals.len(), 2);
    for end in set.intervals.iter().flatten() {
        let End::Crossing(k) = end else {
            unreachable!("{end:?}")
        };
        assert_near(2.0 * (depth(*k) - depth(DEEP)), 1.0, 1e-5);
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
    let best = best_fit(&likelihood);
    let scan = plain_scan(&likelihood, &best, [0.1, 90.1], 4);
    let set = confidence_set(&likelihood, &FitSettings::default(), &scan, 1.0).unwrap();
    let minos = minos(&likelihood, &FitSettings::default(), &best, 0, 1.0).unwrap();
    let ends: Vec<f64> = set.intervals[0].iter().filter_map(End::value).collect();
    // roots of x - 3 - 3 ln(x / 3) = 1/2, by scipy 1 (`brentq`)
    for (found, expected) in ends.iter().zip([1.583974255776, 5.080236697497]) {
        assert_near(found, expected, 1e-5);
    }
    let minos = [&minos.lower, &minos.upper].map(|end| end.value().unwrap());
    assert!((minos[0] - ends[0]).abs() < 1e-5 && (minos[1] - ends[1]).abs() < 1e-5);
    let short = plain_scan(&likelihood, &best, [2.9, 3.2], 4);
    // a scan that ends inside does not end the interval
    let set = confidence_set(&likelihood, &FitSettings::default(), &short, 1.0).unwrap();
    for (end, expected) in set.intervals[0].iter().zip(&ends) {
        assert_near(end.value().unwrap(), expected, 1e-5);
    }
}

#[test]
fn ends_at_bounds_and_ends_that_are_not_there_are_told_apart() {
    let settings = FitSettings::default();
    let ends = |likelihood: &Analytic, level: f64| {
        let best = best_fit(likelihood);
        let found = minos(likelihood, &settings, &best, 0, level).unwrap();
        (best.point[0], found.lower, found.upper)
    };
    let crosses = |end: &End, at: f64| matches!(end, End::Crossing(x) if (x - at).abs() < 1e-5);
    let counted = |nominal: f64, low, high| Analytic::new(count, &[nominal]).bounded(0, low, high);
    // bounded from below within one error
    let (_, lower, upper) = ends(&counted(4.0, 2.5, 100.0), 1.0);
    assert_eq!(lower, End::Bound(2.5));
    assert!(crosses(&upper, 5.080236697497), "{upper:?}");
    // a best fit on its bound
    let (_, lower, upper) = ends(&counted(4.0, 3.5, 100.0), 1.0);
    assert_eq!(lower, End::Bound(3.5));
    assert!(crosses(&upper, 5.170784137884), "{upper:?}");
    let (best, lower, upper) = ends(&counted(2.0, 0.1, 2.5), 1.0);
    assert_eq!((best, upper), (2.5, End::Bound(2.5)));
    assert!(matches!(lower, End::Crossing(x) if x < 1.584), "{lower:?}");
    // a curve that saturates at t = 1
    let (_, lower, upper) = ends(&Analytic::new(saturating, &[0.3]), 2.0);
    for end in [lower, upper] {
        let is_level = matches!(end, End::NotFound { failure: None, .. });
        assert!(is_level, "{end:?}");
    }
}

#[test]
fn failed_points_are_no_points_of_the_curve() {
    // rates below one are a wall
    let likelihood = Analytic::new(walled_count, &[4.0]).bounded(0, 0.0, 100.0);
    let best = best_fit(&likelihood);
    let scan = plain_scan(&likelihood, &best, [0.0, 6.0], 13);
    assert_eq!((scan.curve.len(), scan.failed.len()), (11, 2));
    assert!(scan.failed.iter().all(|failed| failed.value < 1.0));
    assert!(scan.curve.iter().all(|point| point.value >= 1.0));
    let found = minos(&likelihood, &FitSettings::default(), &best, 0, 4.0).unwrap();
    let End::NotFound { last, failure } = found.lower else {
        unreachable!("{found:?}")
    };
    assert!((last - 1.0).abs() < 1e-6 && failure.is_some(), "{last}");
}

#[test]
fn nothing_is_made_of_a_failed_fit() {
    let likelihood = Analytic::new(runaway, &[0.0]);
    let settings = FitSettings::default();
    let failed = best_fit(&likelihood);
    let scan = scan(&likelihood, &settings, &failed, &ScanSettings::default());
    assert_refused(scan, "there is no best fit to start from");
    let minos = minos(&likelihood, &settings, &failed, 0, 1.0);
    assert_refused(minos, "there is no best fit to start from");
}
