//! The three stages against fits by an independent program (numpy 2.4, scipy 1.17).

use super::stages;
use serde_json::Value;
use sideband_likelihood::mixing::{
    Estimator, Fitted, Scale, SetHistograms, StageSettings, basis, corrected, corrected_model,
    nuisances, residual_signal,
};
use std::io::Read as _;
use std::path::Path;

fn cases() -> Vec<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/mixing/closure.json.gz");
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(whole["cases"].take()).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn lists(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn near(found: f64, golden: f64, relative: f64, absolute: f64, what: &str) {
    let allowed = absolute.max(relative * golden.abs());
    assert!(
        (found - golden).abs() <= allowed || found == golden,
        "{what}: {found}, golden {golden}"
    );
}

#[track_caller]
fn all_near(found: &[f64], golden: &[f64], absolute: f64, what: &str) {
    assert_eq!(found.len(), golden.len(), "{what}");
    for (f, g) in found.iter().zip(golden) {
        near(*f, *g, 0.0, absolute, what);
    }
}

fn histograms(case: &Value) -> SetHistograms {
    SetHistograms {
        edges: list(&case["edges"]),
        models: lists(&case["models"]),
        model_variances: lists(&case["models_variance"]),
        data: list(&case["data"]),
        data_variances: list(&case["data_variance"]),
        top: list(&case["top"]),
        top_variances: list(&case["top_variance"]),
        signal: Some(list(&case["signal"])),
    }
}

/// Coefficients to 1e-6 of their errors.
#[track_caller]
fn coefficients(found: (&[f64], &[f64]), golden: (&Value, &Value), what: &str) {
    let (c, errors) = (list(golden.0), list(golden.1));
    assert_eq!(found.0.len(), c.len(), "{what}");
    for k in 0..c.len() {
        near(found.0[k], c[k], 0.0, 1e-6 * errors[k], what);
        near(found.1[k], errors[k], 1e-8, 0.0, what);
    }
}

fn optional(value: &Value, what: &str, found: Option<f64>, relative: f64, absolute: f64) {
    match value.as_f64() {
        Some(golden) => near(found.unwrap(), golden, relative, absolute, what),
        None => assert_eq!(found, None, "{what}"),
    }
}

#[test]
fn functions_are_those_of_the_reference() {
    for case in cases() {
        let sets = histograms(&case);
        let [average, variances] = sets.average();
        all_near(&average, &list(&case["average"]), 1e-8, "average");
        all_near(
            &variances,
            &list(&case["average_variance"]),
            1e-8,
            "variance",
        );
        for (scale, key) in [(Scale::Range, "basis"), (Scale::Norm, "basis_norm")] {
            let found = basis(&sets.edges, &average, 5, scale);
            for (order, golden) in lists(&case[key]).iter().enumerate() {
                all_near(&found[order], golden, 1e-10, &format!("{key} {order}"));
            }
        }
    }
}

#[test]
fn every_fit_is_that_of_the_reference() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let is_exact = name == "exact";
        let sets = histograms(&case);
        let (functions, varied, biased) = stages(&sets, &StageSettings::default());
        let golden = &case["variance"];
        assert_eq!(
            varied.selected as u64,
            golden["selected"].as_u64().unwrap(),
            "{name}"
        );
        assert_eq!(
            varied.is_decorrelated,
            golden["decorrelated"].as_bool().unwrap()
        );
        for (found, golden) in varied
            .orders
            .iter()
            .zip(golden["orders"].as_array().unwrap())
        {
            let what = format!("{name}, variance {}", found.order);
            // what is fitted perfectly is rounding
            let chi2 = golden["chi2"].as_f64().unwrap();
            near(
                found.chi2,
                chi2,
                1e-8,
                if is_exact { 1e-9 } else { 1e-12 },
                &what,
            );
            let (c, errors) = (lists(&golden["c"]), lists(&golden["c_error"]));
            for model in 0..c.len() {
                for k in 0..c[model].len() {
                    let error = errors[model][k];
                    near(
                        found.coefficients[model][k],
                        c[model][k],
                        0.0,
                        1e-6 * error,
                        &what,
                    );
                    near(found.errors[model][k], error, 1e-8, 0.0, &what);
                }
            }
            if chi2 < 1e-9 {
                continue;
            }
            assert_eq!(found.ndf as u64, golden["ndf"].as_u64().unwrap(), "{what}");
            near(
                found.correlation,
                golden["r"].as_f64().unwrap(),
                0.0,
                1e-8,
                &what,
            );
            optional(&golden["p"], &what, found.p_value, 0.0, 1e-8);
            let white = &golden["white"];
            for (key, found) in [
                ("r", found.white.correlation),
                ("expected", found.white.expected),
                ("z", found.white.z),
                ("p", found.white.p_value),
            ] {
                // z is no probability, and may be large
                near(
                    found,
                    white[key].as_f64().unwrap(),
                    1e-8,
                    1e-8,
                    &format!("{what} {key}"),
                );
            }
            all_near(&found.size, &list(&golden["size"]), 1e-10, &what);
        }
        let golden = &case["bias"];
        assert_eq!(
            i64::from(biased.selected),
            golden["selected"].as_i64().unwrap(),
            "{name}"
        );
        assert_eq!(
            biased.is_satisfied,
            golden["satisfied"].as_bool().unwrap(),
            "{name}"
        );
        all_near(&biased.errors, &list(&golden["error"]), 1e-8, name);
        for (found, golden) in biased
            .orders
            .iter()
            .zip(golden["orders"].as_array().unwrap())
        {
            let what = format!("{name}, bias {}", found.order);
            let pair = (&*found.coefficients, &*found.errors);
            coefficients(pair, (&golden["c"], &golden["c_error"]), &what);
            let chi2 = golden["chi2"].as_f64().unwrap();
            near(
                found.chi2,
                chi2,
                1e-8,
                if is_exact { 1e-9 } else { 1e-12 },
                &what,
            );
            if chi2 < 1e-9 {
                continue;
            }
            assert_eq!(found.ndf as u64, golden["ndf"].as_u64().unwrap(), "{what}");
            near(
                found.p_value,
                golden["p"].as_f64().unwrap(),
                0.0,
                1e-8,
                &what,
            );
            optional(&golden["f"], &what, found.f, 1e-8, 1e-12);
            optional(
                &golden["f_probability"],
                &what,
                found.f_probability,
                0.0,
                1e-8,
            );
            all_near(&found.bias, &list(&golden["bias"]), 1e-10, &what);
            all_near(&found.total, &list(&golden["total"]), 1e-10, &what);
            let (found, golden) = (found.spurious.as_ref().unwrap(), &golden["spurious"]);
            let error = golden["strength_error"].as_f64().unwrap();
            near(found.error, error, 1e-8, 0.0, &what);
            near(
                found.strength,
                golden["strength"].as_f64().unwrap(),
                0.0,
                1e-6 * error,
                &what,
            );
            near(
                found.chi2_without,
                golden["chi2_zero"].as_f64().unwrap(),
                1e-8,
                1e-9,
                &what,
            );
            near(
                found.chi2,
                golden["chi2"].as_f64().unwrap(),
                1e-8,
                1e-9,
                &what,
            );
            let probability = golden["f_probability"].as_f64().unwrap();
            near(found.f_probability, probability, 0.0, 1e-8, &what);
        }
        let golden = case["templates"].as_object().unwrap();
        let found = nuisances(&functions, &varied, &biased);
        assert_eq!(found.len(), golden.len(), "{name}");
        for nuisance in &found {
            let up = list(&golden[&nuisance.name]);
            all_near(&nuisance.up, &up, 1e-10, &nuisance.name);
        }
        let [average, _] = sets.average();
        let n = biased.chosen().coefficients.len();
        let signal = sets.signal.as_ref().unwrap();
        let residual = residual_signal(&functions, &average, signal, n);
        all_near(&residual, &list(&case["signal_residual"]), 1e-10, name);
    }
}

#[test]
fn the_published_spread_is_larger_and_decides_the_same() {
    for case in cases() {
        let settings = StageSettings {
            estimator: Estimator::Published,
            ..StageSettings::default()
        };
        let (_, varied, biased) = stages(&histograms(&case), &settings);
        let golden = &case["published"];
        let sizes = list(&golden["size"]);
        all_near(&varied.chosen().size, &sizes, 1e-10, "size");
        // known beside what was taken
        let unbiased = varied.chosen().sizes(Estimator::Unbiased);
        let (_, varied, _) = stages(&histograms(&case), &StageSettings::default());
        let published = varied.chosen().sizes(Estimator::Published);
        all_near(&published, &sizes, 1e-10, "published size");
        all_near(&varied.chosen().size, &unbiased, 1e-15, "unbiased size");
        let selected = golden["bias_selected"].as_i64().unwrap();
        assert_eq!(i64::from(biased.selected), selected);
    }
}

/// Data that are the mean model with known coefficients.
#[test]
fn a_known_bias_is_found_and_taken_away() {
    let case = cases().into_iter().find(|c| c["name"] == "exact").unwrap();
    let sets = histograms(&case);
    let (functions, varied, biased) = stages(&sets, &StageSettings::default());
    let truth = list(&case["truth"]["bias_coefficients"]);
    let last = biased.orders.last().unwrap();
    // the reference asks for 1e-12; 1.2e-12 was seen
    all_near(&last.coefficients, &truth, 1e-11, "bias");
    let [average, _] = sets.average();
    let chosen = biased.chosen();
    if chosen.order >= 3 {
        let model = corrected_model(&average, &functions, &biased);
        for (b, m) in model.iter().enumerate() {
            near(*m + sets.top[b], sets.data[b], 1e-9, 0.0, "corrected");
        }
    }
    let left = corrected(&functions, &varied, &biased);
    let before = nuisances(&functions, &varied, &biased);
    for (left, before) in left.iter().zip(&before) {
        assert_eq!(left.name, before.name);
        assert!(left.size <= before.size + chosen.errors[left.order.unwrap()]);
    }
}

#[test]
fn what_gives_no_result_is_refused_by_bin() {
    let case = cases().swap_remove(0);
    let good = histograms(&case);
    let refused = |sets: SetHistograms, words: &str| {
        let text = sets.check(5).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    let mut empty = good.clone();
    empty.models.iter_mut().for_each(|m| m[3] = 0.0);
    refused(empty, "bin 4 ");
    let mut poor = good.clone();
    let last = poor.edges.len() - 1;
    poor.models.iter_mut().for_each(|m| m[last - 1] = 4.0);
    let joined: Vec<f64> = [&poor.edges[..last - 1], &poor.edges[last..]].concat();
    refused(poor, &format!("bin {last} "));
    let mut poor = good.clone();
    poor.models.iter_mut().for_each(|m| m[last - 1] = 4.0);
    refused(
        poor,
        &format!("the bins {joined:?} would do, with max_order = 5"),
    );
    let mut few = good.clone();
    few.models.truncate(2);
    refused(few, "2 sets; at least 3");
    let mut falling = good.clone();
    falling.edges.swap(3, 4);
    refused(falling, "rise");
    let mut no_signal = good.clone();
    no_signal.signal = Some(vec![0.0; 17]);
    refused(no_signal, "signal has no events");
    assert!(good.check(15).unwrap_err().to_string().contains("order 14"));
}

/// The expected error of a signal: statistics alone in closed form, and every source adds to it.
#[test]
fn every_source_adds_to_the_error_of_the_strength() {
    let case = cases().into_iter().find(|c| c["name"] == "signal").unwrap();
    let sets = histograms(&case);
    let (functions, varied, biased) = stages(&sets, &StageSettings::default());
    let [average, _] = sets.average();
    let signal = sets.signal.clone().unwrap();
    let mut all = nuisances(&functions, &varied, &biased);
    let n = biased.chosen().coefficients.len();
    let residual = residual_signal(&functions, &average, &signal, n);
    let spurious = biased.chosen().spurious.as_ref().unwrap();
    all.push(spurious.nuisance(&residual).0);
    let fitted = Fitted::new("sr", &average, &signal, &all).unwrap();
    let error = |without: &[&str]| fitted.strength_error(without).unwrap().unwrap();
    let information: f64 = signal.iter().zip(&average).map(|(s, h)| s * s / h).sum();
    let statistics = error(&["variance", "bias", "spurious"]);
    near(
        statistics,
        information.sqrt().recip(),
        1e-6,
        0.0,
        "statistics",
    );
    let whole = error(&[]);
    for without in ["variance", "bias", "spurious"] {
        let less = error(&[without]);
        assert!(
            statistics < less && less < whole,
            "{without}: {statistics} {less} {whole}"
        );
    }
}

/// A covariance that is that of known coefficients gives their spread back.
#[test]
fn a_wider_model_widens_the_spread() {
    let case = cases().swap_remove(0);
    let sets = histograms(&case);
    let (functions, mut varied, _) = stages(&sets, &StageSettings::default());
    let before = varied.chosen().clone();
    let [average, _] = sets.average();
    let bins = 0..average.len();
    let covariance = |size: f64| -> Vec<Vec<f64>> {
        let shift: Vec<f64> = bins
            .clone()
            .map(|b| size * functions[1][b] * average[b])
            .collect();
        shift
            .iter()
            .map(|a| shift.iter().map(|b| a * b).collect())
            .collect()
    };
    let small = covariance(0.01 * before.spread[1]);
    assert!(!varied.widen(&sets, &functions, &small).unwrap());
    assert_eq!(*varied.chosen(), before);
    let large = covariance(3.0 * before.spread[1]);
    assert!(varied.widen(&sets, &functions, &large).unwrap());
    let after = varied.chosen();
    near(after.spread[1], 3.0 * before.spread[1], 1e-9, 0.0, "spread");
    near(
        after.size[1],
        before.mean[1].abs() + after.spread[1],
        1e-12,
        0.0,
        "size",
    );
    assert_eq!(after.spread[0], before.spread[0]);
}
