//! Linear measurements: everything about their fit is linear algebra. Reference
//! numbers by numpy 2 (`linalg.solve`, `linalg.inv`).

use super::likelihoods::linear;
use crate::Model;
use crate::fit::{
    ContourPoint, Fit, FitError, FitSettings, Group, ImpactSettings, ScanSettings, Shift, contour,
    fit, impacts, minos, scan,
};

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
    let (model, settings) = (linear(), FitSettings::default());
    let best = fit(&model, &settings).unwrap();
    (model, settings, best)
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
    let grid: Vec<f64> = (-10..=10)
        .map(|i| POINT[0] + 0.3 * error * f64::from(i))
        .collect();
    let asked = ScanSettings {
        parameter: 0,
        grid,
        thorough: false,
    };
    let scan = scan(&model, &settings, &best, &asked).unwrap();
    assert_eq!((scan.curve.len(), scan.failed.len()), (21, 0));
    for (point, i) in scan.curve.iter().zip(-10..=10) {
        assert!(close(point.t, 0.09 * f64::from(i * i)), "{point:?}");
    }
    for level in [1.0, 4.0] {
        let minos = minos(&model, &settings, &best, 0, level).unwrap();
        let [lower, upper] = minos.errors().map(Option::unwrap);
        let parabolic = minos.parabolic.unwrap();
        assert!(close(parabolic, error * level.sqrt()));
        assert!(
            (lower + parabolic).abs() < 2e-6 * error * level,
            "{minos:?}"
        );
        assert!(
            (upper - parabolic).abs() < 2e-6 * error * level,
            "{minos:?}"
        );
    }
}

#[test]
fn the_scan_does_not_depend_on_the_number_of_threads() {
    let (model, settings, best) = best();
    let asked = ScanSettings {
        parameter: 1,
        grid: (0..37).map(|i| 0.02 * f64::from(i) - 0.3).collect(),
        thorough: false,
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| scan(&model, &settings, &best, &asked).unwrap())
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn impacts_by_covariance_and_by_refit_agree() {
    let (model, settings, best) = best();
    let asked = ImpactSettings {
        interest: vec![0, 1],
        groups: vec![Group {
            name: "a and c".to_owned(),
            parameters: vec![2, 4],
        }],
        refit: true,
    };
    let found = impacts(&model, &settings, &best, &asked).unwrap();
    assert_eq!(found.pulls.len(), 3);
    for (pull, (centre, width)) in found.pulls.iter().zip([(0.0, 1.0), (0.0, 1.0), (0.5, 2.0)]) {
        assert!(close(pull.value, (POINT[pull.parameter] - centre) / width));
        assert!(close(
            pull.error.unwrap(),
            VARIANCES[pull.parameter].sqrt() / width
        ));
    }
    let mu = &found.impacts[0];
    assert!(close(mu.error.unwrap(), VARIANCES[0].sqrt()));
    assert!(close(mu.statistical.unwrap(), 0.100167084494));
    assert!(close(mu.groups[0].impact.unwrap(), 0.194820719435));
    assert!(mu.ranking.is_sorted_by(|a, b| a.size() >= b.size()));
    for impact in &mu.ranking {
        let k = impact.parameter;
        assert!(close(
            impact.post_fit.unwrap(),
            WITH_MU[k] / VARIANCES[k].sqrt()
        ));
        let delta = [1.0, 1.0, 2.0][k - 2];
        let pre_fit = WITH_MU[k] / VARIANCES[k] * delta;
        assert!(close(impact.pre_fit.unwrap(), pre_fit));
        for (refit, expected) in [
            (&impact.post_fit_refit, impact.post_fit.unwrap()),
            (&impact.pre_fit_refit, pre_fit),
        ] {
            let [Shift::By(up), Shift::By(down)] = refit.clone().unwrap() else {
                unreachable!("{impact:?}")
            };
            assert!(close(up, expected) && close(down, -expected), "{impact:?}");
        }
    }
    let wrong = ImpactSettings {
        interest: vec![2],
        groups: asked.groups,
        refit: false,
    };
    assert!(matches!(
        impacts(&model, &settings, &best, &wrong),
        Err(FitError::InterestInGroup(name)) if name == "a"
    ));
}

#[test]
fn unprofiled_impacts_keep_the_others() {
    let (model, settings, best) = best();
    let asked = ImpactSettings {
        interest: vec![0],
        ..ImpactSettings::default()
    };
    let found = impacts(&model, &settings, &best, &asked).unwrap();
    // nu is a nuisance parameter here: four are ranked, nu without constraint
    let ranking = &found.impacts[0].ranking;
    assert_eq!(ranking.len(), 4);
    let nu = ranking.iter().find(|impact| impact.parameter == 1).unwrap();
    assert!(nu.pre_fit.is_none() && nu.post_fit_refit.is_none());
    // mu at the minimum for nu one error up, all else fixed: by hand,
    // H_mumu = 100 + 16 + 1 + 4, H_munu = 10 + 32 - 2
    assert!(close(
        nu.unprofiled.unwrap(),
        -40.0 / 121.0 * VARIANCES[1].sqrt()
    ));
}

#[test]
fn the_contour_of_two_parameters_is_their_ellipse() {
    let (model, settings, best) = best();
    let grids = [0, 1].map(|k| -> Vec<f64> {
        let error = VARIANCES[k].sqrt();
        (-3..=3)
            .map(|i| POINT[k] + 0.5 * error * f64::from(i))
            .collect()
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
