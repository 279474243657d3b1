//! Linear measurements: everything about their fit is linear algebra. Reference
//! numbers by numpy 2 (`linalg.solve`, `linalg.inv`).

use super::likelihoods::linear;
use super::{best_fit, impacts_on_first, scanned};
use crate::Model;
use crate::fit::{
    ContourPoint, Fit, FitSettings, Group, ImpactSettings, Impacts, ScanSettings, contour, impacts,
    minos, scan,
};
use crate::support::assert_refused;

const POINT: [f64; 5] = [
    0.852941352212,
    -0.098791142318,
    0.677335200793,
    0.060347611661,
    1.374927751688,
];
const VARIANCES: [f64; 5] = [
    0.047999890647,
    0.022916826236,
    0.447172449454,
    0.303682918269,
    1.018720425871,
];
/// Covariance with mu.
const WITH_MU: [f64; 5] = [
    0.047999890647,
    -0.009756059861,
    -0.110175061621,
    0.014704165655,
    -0.07815967746,
];
const NLL: f64 = 0.514722667606;

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

fn best() -> (Model, FitSettings, Fit) {
    let model = linear();
    let best = best_fit(&model);
    (model, FitSettings::default(), best)
}

#[test]
fn the_fit_is_the_solution_of_the_normal_equations() {
    let (_, _, best) = best();
    assert!(best.is_converged() && best.others.is_empty());
    // one Newton step: the start, and its end
    assert_eq!(best.evaluations.hessians, 2);
    assert!(close(best.nll, NLL));
    for k in 0..5 {
        assert!(close(best.point[k], POINT[k]), "{best:?}");
        assert!(close(best.covariance_of(k, k).unwrap(), VARIANCES[k]));
        assert!(close(best.covariance_of(0, k).unwrap(), WITH_MU[k]));
    }
}

#[test]
fn its_profile_is_a_parabola_and_minos_agrees_with_the_hessian() {
    let (model, settings, best) = best();
    let error = VARIANCES[0].sqrt();
    let grid = (-10..=10).map(|i| POINT[0] + 0.3 * error * f64::from(i));
    let scan = scanned(&model, &settings, &best, grid.collect());
    assert_eq!((scan.curve.len(), scan.failed.len()), (21, 0));
    for (point, i) in scan.curve.iter().zip(-10..=10) {
        assert!(close(point.t, 0.09 * f64::from(i * i)), "{point:?}");
    }
    for level in [1.0, 4.0] {
        let minos = minos(&model, &settings, &best, 0, level).unwrap();
        let [lower, upper] = minos.errors().map(Option::unwrap);
        for far in [lower + error * level.sqrt(), upper - error * level.sqrt()] {
            assert!(far.abs() < 2e-6 * error * level, "{minos:?}");
        }
    }
}

#[test]
fn the_scan_does_not_depend_on_the_number_of_threads() {
    let (model, settings, best) = best();
    let asked = ScanSettings {
        parameter: 1,
        grid: (0..37).map(|i| 0.02 * f64::from(i) - 0.3).collect(),
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| scan(&model, &settings, &best, &asked).unwrap())
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn impacts_by_covariance_and_by_refit_agree() {
    let (model, settings, best) = best();
    let mut asked = ImpactSettings {
        interest: vec![0, 1],
        groups: vec![Group {
            name: "a and c".to_owned(),
            parameters: vec![2, 4],
        }],
        refit: true,
    };
    let mu = &impacts(&model, &settings, &best, &asked).unwrap()[0];
    assert!(close(mu.error.unwrap(), VARIANCES[0].sqrt()));
    assert!(close(mu.statistical.unwrap(), 0.100167084494));
    assert!(close(mu.groups[0].impact.unwrap(), 0.194820719435));
    assert!(mu.ranking.is_sorted_by(|a, b| a.size() >= b.size()));
    assert_eq!(mu.ranking.len(), 3);
    for impact in &mu.ranking {
        let k = impact.parameter;
        let post_fit = impact.post_fit.unwrap();
        assert!(close(post_fit, WITH_MU[k] / VARIANCES[k].sqrt()));
        let delta = [1.0, 1.0, 2.0][k - 2];
        let pre_fit = WITH_MU[k] / VARIANCES[k] * delta;
        assert!(close(impact.pre_fit.unwrap(), pre_fit));
        assert!(close(impact.shifted.unwrap(), WITH_MU[k] / delta));
        let [up, down] = impact.refit.map(Option::unwrap);
        assert!(close(up, post_fit) && close(down, -post_fit), "{impact:?}");
    }
    // the errors that auxiliary measurements propagate, and what is left for the data
    let square = |k: usize| (WITH_MU[k] / [1.0, 1.0, 2.0][k - 2]).powi(2);
    let shifted = (square(2) + square(4)).sqrt();
    assert!(close(mu.groups[0].shifted.unwrap(), shifted));
    let from_data = (VARIANCES[0] - square(2) - square(3) - square(4)).sqrt();
    assert!(close(mu.from_data.unwrap(), from_data));
    // without refits nothing else changes
    asked.refit = false;
    let same = &impacts(&model, &settings, &best, &asked).unwrap()[0];
    assert!(same.ranking.iter().all(|impact| impact.refit == [None; 2]));
    let post_fit = |mu: &Impacts| -> Vec<Option<f64>> {
        mu.ranking.iter().map(|impact| impact.post_fit).collect()
    };
    assert_eq!(post_fit(same), post_fit(mu));
    asked.interest = vec![2];
    let wrong = impacts(&model, &settings, &best, &asked);
    assert_refused(wrong, "a is of interest and in a group");
}

#[test]
fn unprofiled_impacts_keep_the_others() {
    let (model, settings, best) = best();
    // nu is a nuisance parameter here: four are ranked, nu without constraint
    let ranking = impacts_on_first(&model, &settings, &best).ranking;
    assert_eq!(ranking.len(), 4);
    let nu = ranking.iter().find(|impact| impact.parameter == 1).unwrap();
    assert!(nu.pre_fit.is_none() && nu.shifted.is_none());
    // mu at the minimum for nu one error up, all else fixed: by hand,
    // H_mumu = 100 + 16 + 1 + 4, H_munu = 10 + 32 - 2
    let expected = -40.0 / 121.0 * VARIANCES[1].sqrt();
    assert!(close(nu.unprofiled.unwrap(), expected));
}

#[test]
fn the_contour_of_two_parameters_is_their_ellipse() {
    let (model, settings, best) = best();
    let grids = [0, 1].map(|k| -> Vec<f64> {
        let step = 0.5 * VARIANCES[k].sqrt();
        (-3..=3).map(|i| POINT[k] + step * f64::from(i)).collect()
    });
    let found = contour(&model, &settings, &best, [0, 1], [&grids[0], &grids[1]]).unwrap();
    assert_eq!(found.points.len(), 49);
    let rho = WITH_MU[1] / (VARIANCES[0] * VARIANCES[1]).sqrt();
    for (cell, ContourPoint { values, t }) in found.points.iter().enumerate() {
        let (i, j) = (cell / 7, cell % 7);
        assert_eq!(*values, [grids[0][i], grids[1][j]]);
        let (u, v) = (0.5 * (i as f64 - 3.0), 0.5 * (j as f64 - 3.0));
        let expected = (u * u - 2.0 * rho * u * v + v * v) / (1.0 - rho * rho);
        assert!(close(*t.as_ref().unwrap(), expected), "{values:?} {t:?}");
    }
}
