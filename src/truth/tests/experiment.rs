//! The likelihood of the exact ratios against the exact densities, its derivatives
//! against their statistics, and pseudo-experiments of it.

use super::super::*;
use crate::toys::ToyStudy;
use rayon::prelude::*;
use sideband_likelihood::Likelihood;
use sideband_likelihood::fit::fit;
use sideband_likelihood::toys::{AsimovPool, PointReport, ToyRecord, fit_toy, reference_weights};
use sideband_numerics::random::Key;

fn experiment(reference: &[Process]) -> Experiment {
    let model = Interference::new(InterferenceConfig::default()).unwrap();
    Experiment::new(model, reference.to_vec()).unwrap()
}

fn truth(mu: f64, shape: f64, rate: f64) -> Truth {
    Truth { mu, shape, rate }
}

fn study(toys: u64) -> ToyStudy {
    ToyStudy {
        name: "interference".into(),
        seed: 20_26,
        parameters: ["mu", "shape", "rate"].map(String::from).to_vec(),
        points: 1,
        toys,
        chunk: toys,
    }
}

#[test]
fn differences_of_the_likelihood_are_those_of_the_exact_densities() {
    let experiment = experiment(&[Process::S, Process::Sbi]);
    let model = experiment.model();
    let data = model.sample_at(&truth(1.5, 1.0, 0.4), Count::Poisson, Key::from_seed(1));
    let data = data.unwrap();
    let exact = |at: &Truth| {
        let logs = data.iter().map(|x| model.intensity(at, x).unwrap().ln());
        let penalty = 0.5 * (at.shape.powi(2) + at.rate.powi(2));
        model.expected(at).unwrap() - logs.sum::<f64>() + penalty
    };
    let likelihood = experiment
        .likelihood(&data, experiment.parameters().to_vec())
        .unwrap();
    let value = |at: &Truth| likelihood.value(&[at.mu.sqrt(), at.shape, at.rate]);
    let nominal = Truth::nominal(1.0);
    for mu in [0.0, 0.3, 1.5, 3.0] {
        for (shape, rate) in [(0.0, 0.0), (1.0, -0.7), (-1.0, 1.6)] {
            let at = truth(mu, shape, rate);
            let found = value(&at) - value(&nominal);
            let expected = exact(&at) - exact(&nominal);
            assert!(
                (found - expected).abs() < 1e-8,
                "{at:?}: {found} {expected}"
            );
        }
    }
}

#[test]
fn the_best_fit_does_not_depend_on_the_reference() {
    let references: [&[Process]; 3] = [&Process::ALL, &[Process::Sbi], &[Process::B]];
    let data = experiment(references[0])
        .model()
        .sample_at(&truth(0.6, 0.0, 0.0), Count::Poisson, Key::from_seed(2))
        .unwrap();
    let fits = references.map(|reference| {
        let experiment = experiment(reference);
        let likelihood = experiment
            .likelihood(&data, experiment.parameters().to_vec())
            .unwrap();
        let fit = fit(&likelihood, experiment.settings()).unwrap();
        assert!(fit.is_converged());
        fit
    });
    for other in &fits[1..] {
        for k in 0..3 {
            let away = (other.point[k] - fits[0].point[k]) / fits[0].error(k).unwrap();
            assert!(away.abs() < 1e-5, "{away}");
            let ratio = other.error(k).unwrap() / fits[0].error(k).unwrap();
            assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
        }
    }
}

/// Variance over data sets of the slope of the likelihood by the shape parameter, and
/// mean of its curvature without the constraint: equal for a density, the information.
fn information(experiment: &Experiment, shape: f64) -> (f64, f64) {
    let at = truth(1.0, shape, 0.0);
    let one = |number: u64| {
        let key = Key::from_seed(3).with(number);
        let data = experiment
            .model()
            .sample_at(&at, Count::Poisson, key)
            .unwrap();
        let likelihood = experiment
            .likelihood(&data, experiment.parameters().to_vec())
            .unwrap();
        let (mut gradient, mut hessian) = ([0.0; 3], [0.0; 9]);
        likelihood.hessian(&[1.0, shape, 0.0], &mut gradient, &mut hessian);
        (gradient[1], hessian[4] - 1.0)
    };
    let all: Vec<(f64, f64)> = (0..DATA_SETS).into_par_iter().map(one).collect();
    let n = all.len() as f64;
    let slope = all.iter().map(|(slope, _)| slope).sum::<f64>() / n;
    let variance = all.iter().map(|(s, _)| (s - slope).powi(2)).sum::<f64>() / (n - 1.0);
    let curvature = all.iter().map(|(_, curvature)| curvature).sum::<f64>() / n;
    (variance, curvature)
}

const DATA_SETS: u64 = 150;

#[test]
fn without_normalisation_the_curvature_is_not_the_information() {
    let normalised = experiment(&[Process::Sbi]);
    let bare = normalised.clone().without_normalisation();
    // four standard errors of a variance
    let error = 4.0 * (2.0 / DATA_SETS as f64).sqrt();
    for shape in [0.0, 1.0] {
        let (variance, curvature) = information(&normalised, shape);
        assert!(
            (variance / curvature - 1.0).abs() < error,
            "{shape}: {variance} {curvature}"
        );
    }
    let (variance, curvature) = information(&bare, 1.0);
    assert!(curvature < 0.3 * variance, "{variance} {curvature}");
}

#[test]
fn toys_cover_and_pull_as_they_must() {
    let experiment = experiment(&[Process::S, Process::Sbi]);
    let study = study(160);
    let at = truth(1.0, 1.0, -1.0);
    let toy = |t| experiment.toy(&at, study.toy(0, t)).unwrap();
    let records: Vec<ToyRecord> = (0..160).into_par_iter().map(toy).collect();
    let report = PointReport::new(&records, &[0.6827, 0.9545]).unwrap();
    assert_eq!(report.failed, 0);
    for coverage in &report.asymptotic {
        assert!(coverage.pull.abs() < 3.5, "{coverage:?}");
    }
    for pull in &report.pulls {
        assert!(pull.mean.abs() < 4.0 * pull.mean_error, "{pull:?}");
        assert!(
            (pull.width - 1.0).abs() < 4.0 * pull.width_error,
            "{pull:?}"
        );
    }
    // what the information says that 2000 events know: 16 % of mu
    let width = report.fitted[0].width;
    assert!(width > 0.13 && width < 0.19, "{width}");
}

#[test]
fn toys_of_a_pool_are_those_of_the_truth() {
    let experiment = experiment(&[Process::Sbi]);
    let model = experiment.model();
    let n = 30_000;
    let pool = model.sample(Process::Sbi, n, Key::from_seed(4));
    let mu = 1.5;
    let expected = model.expected(&Truth::nominal(mu)).unwrap();
    let ratio = |x: &Point| {
        model.intensity(&Truth::nominal(mu), x).unwrap() / expected / model.density(Process::Sbi, x)
    };
    let ratios: Vec<f64> = pool.iter().map(ratio).collect();
    let weights = vec![model.events(Process::Sbi) / n as f64; n];
    let weights = reference_weights(&ratios, &weights, expected).unwrap();
    let asimov = AsimovPool::new(&weights).unwrap();
    assert!(asimov.duplicates().largest_weight < 0.2);
    let study = study(120);
    let at = [mu.sqrt(), 0.0, 0.0];
    let pull = |t| {
        let thrown = asimov.throw(study.toy(0, t).key);
        let copies = thrown.rows.iter().zip(&thrown.copies);
        let events: Vec<Point> = copies
            .flat_map(|(row, copies)| std::iter::repeat_n(pool[*row], *copies as usize))
            .collect();
        let parameters = experiment.parameters().to_vec();
        let likelihood = experiment.likelihood(&events, parameters).unwrap();
        let fitted = fit_toy(&likelihood, experiment.settings(), 0, &at).unwrap();
        assert!(fitted.converged);
        (fitted.fitted[0] - at[0]) / fitted.errors[0]
    };
    let pulls: Vec<f64> = (0..120).into_par_iter().map(pull).collect();
    let mean = pulls.iter().sum::<f64>() / 120.0;
    let width = (pulls.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 119.0).sqrt();
    // the pool itself is 15 toys, so that their common shift is 0.26
    assert!(
        mean.abs() < 4.0 * (1.0_f64 / 120.0 + 1.0 / 15.0).sqrt(),
        "{mean}"
    );
    assert!((width - 1.0).abs() < 4.0 / 240.0_f64.sqrt(), "{width}");
}
