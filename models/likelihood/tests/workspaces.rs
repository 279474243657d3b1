//! Published likelihoods against the reference numbers of pyhf: see
//! `tests/data/workspaces/README.md`.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde::Deserialize;
use serde_json::Value;
use sideband_likelihood::asymptotic::{
    Asymptotics, ImpactKind, LimitImpactSettings, LimitSettings, UpperStatistic, limit_impacts,
};
use sideband_likelihood::fit::{FitSettings, Group, fit};
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::toys::{ToyRatio, ToySettings, toy_cls};
use sideband_likelihood::workspace::{
    self, CombineSettings, ImportOptions, Imported, Join, Part, combine, import,
};
use sideband_likelihood::{Error, Interpolation};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Golden {
    parameters: Vec<String>,
    fixed: Vec<bool>,
    bounds: Vec<(f64, f64)>,
    poi: String,
    points: Vec<Point>,
    logpdf_code1_code0: Vec<f64>,
    max_logpdf: f64,
    mu: f64,
    mu_error: Option<f64>,
    best_fit: Vec<f64>,
    errors: Vec<Option<f64>>,
    cls_at_1: Bands,
    upper_limit_95: Bands,
    conditional_fits: String,
    impacts: Option<GoldenImpacts>,
    toys: Option<GoldenToys>,
}

#[derive(Deserialize)]
struct GoldenToys {
    mu: f64,
    q_obs: f64,
    cls: f64,
    error: f64,
}

#[derive(Deserialize)]
struct Point {
    at: Vec<f64>,
    logpdf: f64,
}

#[derive(Deserialize)]
struct Bands {
    observed: f64,
    expected_minus2_to_plus2: [f64; 5],
}

#[derive(Deserialize)]
struct GoldenImpacts {
    expected_limit: f64,
    groups: BTreeMap<String, GoldenImpact>,
}

#[derive(Deserialize)]
struct GoldenImpact {
    parameters: usize,
    delta_mu_over_mu: f64,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/workspaces")
}

fn golden(name: &str) -> Golden {
    let text = fs::read(folder().join(format!("{name}.golden.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    let packed = fs::File::open(folder().join(format!("{name}.json.gz"))).unwrap();
    workspace::read(packed, &workspace::Limits::default()).unwrap()
}

/// The 1Lbb background with one of its signals.
fn onelbb_of(signal: &str) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&bytes("onelbb_background")).unwrap();
    let patches: Value = serde_json::from_slice(&bytes("onelbb_patchset")).unwrap();
    let mut patches = patches["patches"].as_array().unwrap().iter();
    let patch = patches.find(|p| p["metadata"]["name"] == signal).unwrap();
    for operation in patch["patch"].as_array().unwrap() {
        assert_eq!(operation["op"], "add");
        let (list, place) = operation["path"]
            .as_str()
            .unwrap()
            .rsplit_once('/')
            .unwrap();
        let list = document.pointer_mut(list).unwrap().as_array_mut().unwrap();
        list.insert(place.parse().unwrap(), operation["value"].clone());
    }
    document.to_string().into_bytes()
}

fn model_of(text: &[u8], options: &ImportOptions) -> Imported {
    import(text, options).unwrap()
}

fn settings(model: &HistogramModel) -> FitSettings {
    FitSettings {
        fixed: model.fixed.clone(),
        ..FitSettings::default()
    }
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let far = (found - expected).abs();
    assert!(
        far <= tolerance,
        "{what}: {found} is not {expected}, {far:.2e} away"
    );
}

/// Places in the model of the reference's parameters.
fn places(model: &HistogramModel, golden: &Golden) -> Vec<usize> {
    let names: Vec<&str> = model.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), golden.parameters.len());
    let place = |name: &String| names.iter().position(|n| n == name);
    let places = golden.parameters.iter().map(place);
    places.collect::<Option<_>>().unwrap()
}

/// The likelihood at all points.
fn check_points(model: &HistogramModel, golden: &Golden, expected: &[f64], what: &str) {
    let places = places(model, golden);
    for (point, expected) in golden.points.iter().zip(expected) {
        let mut at = vec![f64::NAN; places.len()];
        places.iter().zip(&point.at).for_each(|(k, x)| at[*k] = *x);
        assert_near(-model.negative_log_pdf(&at), *expected, 1e-7, what);
    }
}

fn check(name: &str, text: &[u8]) {
    let golden = golden(name);
    let Imported {
        model, interest, ..
    } = model_of(text, &ImportOptions::default());
    let (mu, places) = (interest.unwrap(), places(&model, &golden));
    assert_eq!(model.parameters[mu].name, golden.poi);
    for (i, k) in places.iter().enumerate() {
        let is_fixed = model.fixed.iter().any(|(fixed, _)| fixed == k);
        let name = &model.parameters[*k].name;
        assert_eq!(is_fixed, golden.fixed[i], "{name}");
        assert_eq!(model.parameters[*k].bounds, golden.bounds[i], "{name}");
    }
    let expected: Vec<f64> = golden.points.iter().map(|point| point.logpdf).collect();
    check_points(&model, &golden, &expected, "logpdf");
    let other = ImportOptions {
        rates: Interpolation::Code1,
        shapes: Interpolation::Code0,
        ..ImportOptions::default()
    };
    let other = model_of(text, &other).model;
    check_points(
        &other,
        &golden,
        &golden.logpdf_code1_code0,
        "logpdf of codes 1 and 0",
    );

    let settings = settings(&model);
    let best = fit(&model.likelihood(), &settings).unwrap();
    let best = best.checked().unwrap();
    assert_near(
        -model.negative_log_pdf(&best.point),
        golden.max_logpdf,
        1e-6,
        "maximum",
    );
    let unit = golden.mu_error.unwrap_or(1.0);
    assert_near(best.point[mu], golden.mu, 1e-5 * unit, "mu");
    assert_eq!(best.error(mu).is_some(), golden.mu_error.is_some());
    for (i, k) in places.iter().enumerate() {
        let Some(error) = golden.errors[i] else {
            continue;
        };
        let name = &model.parameters[*k].name;
        // fixed ones have an error of none here
        if let Some(found) = best.error(*k) {
            assert_near(found / error, 1.0, 1e-4, &format!("error of {name}"));
            assert_near(best.point[*k], golden.best_fit[i], 1e-4 * error, name);
        }
    }

    let tests = Asymptotics::new(&model, mu, 0.0, &settings).unwrap();
    let cls = tests.cls(1.0, UpperStatistic::QTilde).unwrap();
    assert_near(cls.observed, golden.cls_at_1.observed, 1e-5, "CLs");
    for (found, expected) in cls
        .expected
        .iter()
        .zip(golden.cls_at_1.expected_minus2_to_plus2)
    {
        assert_near(*found, expected, 1e-5, "expected CLs");
    }
    let limits = tests.limits_with(&LimitSettings::default()).unwrap();
    assert_eq!((limits.bound_widened, limits.deeper_at.len()), (None, 0));
    let tolerance = match golden.conditional_fits.as_str() {
        "warm starts only" => 1e-4,
        _ => 1e-5,
    };
    let relative = |found: Result<f64, Error>, expected: f64, what: &str| {
        assert_near(found.unwrap() / expected, 1.0, tolerance, what);
    };
    let expected = &golden.upper_limit_95;
    relative(limits.observed, expected.observed, "observed limit");
    let bands = limits
        .expected
        .into_iter()
        .zip(expected.expected_minus2_to_plus2);
    for (found, expected) in bands {
        relative(found, expected, "expected limit");
    }
    if let Some(expected) = &golden.impacts {
        check_impacts(&model, mu, expected);
    }
    if let Some(expected) = &golden.toys {
        check_toys(&model, mu, expected);
    }
}

fn check_toys(model: &HistogramModel, mu: usize, expected: &GoldenToys) {
    let asked = ToySettings {
        seed: 1,
        toys: 4000,
        precision: None,
    };
    let at = (expected.mu, 0);
    let found = toy_cls(model, mu, at, &settings(model), &asked, &|_| ()).unwrap();
    assert_near(found.q, expected.q_obs, 1e-5, "q");
    assert_eq!(found.failed, 0);
    let ToyRatio::Value { value, error } = found.observed else {
        panic!("{found:?}");
    };
    assert_near(
        value,
        expected.cls,
        3.0 * error.hypot(expected.error),
        "CLs by toys",
    );
}

/// Groups of the reference: by the name of a parameter, or by what it is.
fn check_impacts(model: &HistogramModel, mu: usize, expected: &GoldenImpacts) {
    let is_in = |group: &str, k: usize| {
        let parameter = &model.parameters[k];
        let is_bin = parameter.name.ends_with(']');
        match group {
            "everything" => true,
            "bin_statistics" => is_bin,
            // the luminosity is in neither
            "normfactors" => !is_bin && parameter.constraint.is_none(),
            "alphas" => !is_bin && parameter.constraint.is_some() && parameter.name != "lumi",
            name => parameter.name == name,
        }
    };
    let groups = expected.groups.keys().map(|name| Group {
        name: name.clone(),
        parameters: (0..model.parameters.len())
            .filter(|k| *k != mu && is_in(name, *k))
            .collect(),
    });
    let groups: Vec<Group> = groups.collect();
    for group in &groups {
        let wanted = expected.groups[&group.name].parameters;
        let fixed = |k: &&usize| model.fixed.iter().any(|(fixed, _)| fixed == *k);
        let all = group.parameters.len();
        let free = all - group.parameters.iter().filter(fixed).count();
        assert!(
            [all, free].contains(&wanted),
            "{}: {all}, {free}, {wanted}",
            group.name
        );
    }
    let asked = LimitImpactSettings {
        level: 0.95,
        kind: ImpactKind::Frozen,
        groups,
    };
    let found = limit_impacts(model, mu, &settings(model), &asked).unwrap();
    assert_near(found.expected / expected.expected_limit, 1.0, 1e-5, "limit");
    for impact in &found.groups {
        let expected = expected.groups[&impact.name].delta_mu_over_mu;
        assert_near(impact.relative.unwrap(), expected, 1e-4, &impact.name);
    }
}

#[test]
fn dvmuon_met() {
    check("dvmuon_met", &bytes("dvmuon_met"));
}

#[test]
fn ewk_high() {
    check("ewk_high", &bytes("ewk_high"));
}

#[test]
fn hb_a() {
    check("hb_a", &bytes("hb_a"));
}

#[test]
fn mimic() {
    check("mimic", &bytes("mimic"));
}

#[test]
fn combined_hb_a_mimic() {
    check("combined_hb_a_mimic", &bytes("combined_hb_a_mimic"));
}

#[test]
fn a_combination_is_that_of_pyhf_where_a_part_is_preferred() {
    let [one, two]: [Value; 2] =
        ["hb_a", "mimic"].map(|name| serde_json::from_slice(&bytes(name)).unwrap());
    let part = |name, workspace| Part {
        name,
        workspace,
        measurement: None,
    };
    let parts = [part("hb_a", &one), part("mimic", &two)];
    let joined = |join| {
        let settings = CombineSettings {
            join,
            measurement: "both".to_owned(),
            ..CombineSettings::default()
        };
        combine(&parts, &settings)
    };
    let refused = joined(Join::Outer).err().unwrap().to_string();
    let words = "parameter `lumi`: fixed false and true in hb_a and mimic";
    assert!(refused.contains(words), "{refused}");
    let both = joined(Join::LeftOuter).unwrap().workspace.to_string();
    let model = model_of(both.as_bytes(), &ImportOptions::default()).model;
    let golden = golden("combined_hb_a_mimic");
    let expected: Vec<f64> = golden.points.iter().map(|point| point.logpdf).collect();
    check_points(&model, &golden, &expected, "logpdf");
}

#[test]
fn onelbb() {
    check("onelbb_C1N2_500_0", &onelbb_of("C1N2_Wh_hbb_500_0"));
}

#[test]
fn trilepton_300() {
    check("trilepton_300", &bytes("trilepton_300"));
}

/// A signal without reference: its limits against CLs, whose fits start anew each time.
#[test]
fn limits_are_where_cls_is_one_in_twenty() {
    let found = model_of(&onelbb_of("C1N2_Wh_hbb_300_150"), &ImportOptions::default());
    let (model, mu) = (found.model, found.interest.unwrap());
    let tests = Asymptotics::new(&model, mu, 0.0, &settings(&model)).unwrap();
    let limits = tests.limits_with(&LimitSettings::default()).unwrap();
    let cls = |mu: f64| tests.cls(mu, UpperStatistic::QTilde).unwrap();
    assert_near(cls(limits.observed.unwrap()).observed, 0.05, 1e-6, "CLs");
    for (band, limit) in limits.expected.into_iter().enumerate() {
        assert_near(
            cls(limit.unwrap()).expected[band],
            0.05,
            1e-6,
            "expected CLs",
        );
    }
}

#[test]
fn a_background_alone_has_no_parameter_of_interest() {
    let refused = import(
        bytes("onelbb_background").as_slice(),
        &ImportOptions::default(),
    );
    let words = refused.err().unwrap().to_string();
    assert!(
        words.contains("parameter of interest `mu_SIG` of measurement"),
        "{words}"
    );
    let options = ImportOptions {
        poi: workspace::Poi::None,
        ..ImportOptions::default()
    };
    let found = model_of(&bytes("onelbb_background"), &options);
    assert_eq!(found.interest, None);
    let best = fit(&found.model.likelihood(), &settings(&found.model)).unwrap();
    assert!(best.is_converged());
}
