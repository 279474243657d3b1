//! `method = "measure"` from outside: a small measurement of the model with known truth,
//! from generated samples to intervals.

use crate::support::workplace::{Made, copy, tree};
use crate::support::{Done, Workplace, contains, document, list, number, numbers, parsed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// What makes `configs/interference.toml` small.
const SMALL: &[&str] = &[
    "generate.events=3000",
    "ensemble.members=2",
    "training.epochs=3",
    "model.hidden=[16, 16]",
    "measurement.scan_points=11",
    "toys.grid=[0.5, 1.0, 1.5]",
    "toys.number=150",
    "report.classifier_members=0",
];

fn place() -> Workplace {
    Workplace::with_configuration(document("configs/interference.toml"))
}

fn measure(place: &Workplace, out: &str, settings: &[&str]) -> Done {
    place.run_quietly(out, &[SMALL, settings].concat())
}

/// Toys by name.
fn toys(place: &Workplace, run: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(&place.path(run).join("toys"))
}

/// A result, without the time that it took.
fn result_of(place: &Workplace, run: &str) -> Value {
    let mut result = place.json(&format!("{run}/measurement.json"));
    result["fit"]["seconds"] = Value::Null;
    result
}

/// Names of the fitted parameters.
fn parameters(result: &Value) -> Vec<&str> {
    let parameters = list(&result["fit"]["parameters"]).iter();
    parameters.map(|p| p["name"].as_str().unwrap()).collect()
}

/// Files of the run `out`.
fn are_there(place: &Workplace, files: &str) {
    for file in files.split(' ') {
        assert!(place.has(&format!("out/{file}")), "{file}");
    }
}

static MADE: LazyLock<Made> = LazyLock::new(|| Made::new(&place(), SMALL));

#[test]
fn a_measurement_ends_with_intervals_and_is_the_same_again() {
    let (place, done) = (place().with("out", &MADE), MADE.done.clone());
    let result = result_of(&place, "out");
    assert_eq!(parameters(&result), ["mu", "shape", "rate"]);
    let mu = &result["fit"]["parameters"][0];
    let error = mu["error"].as_f64();
    // from ratios that were hardly trained: on a bound there is no error
    assert!((0.0..=4.0).contains(&number(&mu["value"])), "{mu}");
    assert!(error.is_none_or(|error| error > 0.0), "{error:?}");
    assert_eq!(error.is_none(), mu["no_error"].is_string());
    let scan = &result["scans"]["mu"];
    for curve in ["profiled", "statistical", "exact", "histogram"] {
        let points: Vec<[f64; 2]> = parsed(&scan["curves"][curve]["points"]);
        assert_eq!(points.len(), 11, "{curve}");
        assert!(points.iter().all(|p| p[1] >= 0.0), "{curve}");
    }
    // exact ratios measure what the samples say: 1 +- 0.16
    let exact = number(&scan["curves"]["exact"]["best"]);
    assert!((0.4..1.7).contains(&exact), "{exact}");
    assert_eq!(list(&result["ratios"]).len(), 8);
    for point in list(&result["toys"]["points"]) {
        let [toys, failed, shift] = ["toys", "failed", "common_shift"].map(|k| number(&point[k]));
        assert_eq!(toys + failed, 150.0, "{point}");
        assert!(shift > 0.5, "{point}");
    }
    // 3000 events of a sample, 20 % of them unseen, are no pool for toys of 2000
    let warning = ["copies of each other", "give samples.SBI more events"];
    contains(result["toys"]["warning"].as_str().unwrap(), warning);
    done.says(["68.27 %"]).says(warning);
    let written = "report.html ensembles.html curves.parquet pulls.parquet ratios.parquet \
                   plots/likelihood_mu.png plots/gain_mu.png plots/impacts_mu_1.png \
                   plots/belt.png plots/coverage.png plots/calibration.png";
    are_there(&place, written);
    says_how_far_it_is(&place);
    // again, somewhere else and with another number of threads
    measure(&place, "again", &["device.threads=1"]).exits(0);
    assert_eq!(result_of(&place, "again"), result);
    let thrown = toys(&place, "out");
    assert_eq!(toys(&place, "again"), thrown);
    // lost toys and a lost result come back as they were
    let first = thrown.keys().next().unwrap();
    fs::remove_file(place.path("out/toys").join(first)).unwrap();
    place.remove("out/measurement.json");
    measure(&place, "out", &[]).exits(0);
    assert_eq!(result_of(&place, "out"), result);
    assert_eq!(toys(&place, "out"), thrown);
    // more toys: the same first ones
    measure(&place, "out", &["toys.number=170"]).exits(0);
    let more = toys(&place, "out");
    let mut first = thrown.iter();
    assert!(first.all(|(name, bytes)| more.get(name) == Some(bytes)));
    assert!(more.len() > thrown.len());
}

/// `status` and `inspect` know ratios, toys and result of the measurement in `out`.
fn says_how_far_it_is(place: &Workplace) {
    let ask = |arguments: &[&str]| place.sideband(arguments).exits(0);
    ask(&["status", "out"]).says([
        "8 of 8 complete, 16 of 16 members",
        "150 of 150 at mu = 0.5",
    ]);
    let status = ask(&["status", "out", "--json"]).json();
    let toys = list(&status["measurement"]["toys"]);
    let are_done = toys.len() == 3 && toys.iter().all(|t| t["done"] == 150);
    assert!(are_done, "{toys:?}");
    assert_eq!(status["measurement"]["has_result"], true);
    ask(&["inspect", "out"]).says([
        "measures mu, against the reference SBI",
        "S, SBI, B",
        "68.27 %",
    ]);
    let seen = ask(&["inspect", "out", "--json"]).json();
    assert_eq!(seen["result"], place.json("out/measurement.json"));
}

#[test]
fn the_training_sample_is_a_nuisance_parameter_and_toys_know_the_truth() {
    let place = place().with("out", &MADE);
    let settings = "measurement.finite_sample_members=2 measurement.finite_sample_points=4 \
                    measurement.renormalise=true measurement.calibration=isotonic \
                    measurement.aggregate=mean_log toys.events=truth toys.nuisance.shape=1.0 \
                    systematics.shape.density_interpolation=code4 measurement.limit={} \
                    measurement.contours=[{parameters=['mu','shape'],points=7}] \
                    measurement.correlations=[{parameters=['rate','shape'],coefficient=0.4}]";
    let settings: Vec<&str> = settings.split(' ').collect();
    let done = measure(&place, "out", &settings).exits(0);
    let result = result_of(&place, "out");
    limits_and_regions_are_there(&place, done, &result);
    // a workspace has no correlated auxiliary measurements
    assert!(place.has("out/templates.json"));
    assert!(!place.has("out/workspace.json"));
    let finite = &result["finite_sample"];
    assert_eq!(finite["members"], json!([2, 2]));
    // over the range of the scan, evenly spaced in sqrt(mu)
    let points = list(&finite["points"]);
    let roots = points.iter().map(|p| number(&p["value"]).sqrt());
    for (root, expected) in roots.zip([0.0, 1.0, 2.0, 3.0].map(|k| k * 2.5_f64.sqrt() / 3.0)) {
        assert!((root - expected).abs() < 1e-9, "{root} {expected}");
    }
    assert_eq!(points.len(), 4);
    for p in points {
        let [all, same, error] = ["bootstrapped", "fixed", "error"].map(|k| number(&p[k]));
        let expected = (all - 0.5 * same).max(0.0).sqrt();
        assert!((error - expected).abs() <= 1e-12, "{p}");
    }
    let fitted = parameters(&result);
    assert_eq!(fitted, ["mu", "shape", "rate", "finite_sample"]);
    assert_eq!(result["toys"]["points"][1]["value"], 1.0);
    let mut impacts = list(&result["impacts"]["mu"]["ranking"]).iter();
    assert!(impacts.any(|i| i["name"] == "finite_sample"));
}

fn limits_and_regions_are_there(place: &Workplace, done: Done, result: &Value) {
    let limit = &result["limit"];
    let expected = numbers(&limit["expected"]);
    let rise = expected.windows(2).all(|w| 0.0 < w[0] && w[0] < w[1]);
    assert!(rise, "{expected:?}");
    // CLs crosses the level at the limit
    let observed = number(&limit["observed"]);
    for point in list(&limit["curve"]) {
        let [value, cls] = ["value", "observed"].map(|k| number(&point[k]));
        assert_eq!(value < observed, cls > 0.05, "{point}");
    }
    done.says(["at 95 % CL (CLs)"]);
    let t: Vec<Vec<Option<f64>>> = parsed(&result["contours"][0]["t"]);
    assert!(t.len() == 7 && t.iter().all(|column| column.len() == 7));
    assert!(t.iter().flatten().flatten().any(|t| *t > 6.18));
    let written = "limit.parquet contours.parquet plots/limit.png plots/contour_mu-shape.png";
    are_there(place, written);
}

#[test]
fn events_in_a_file_measure_the_same_as_events_in_memory() {
    let place = place().with("out", &MADE);
    for run in ["streamed", "memory"] {
        copy(&place.path("out"), &place.path(run));
    }
    let settings = [
        "measurement.renormalise=true",
        "measurement.stream_above=1000",
        "measurement.limit={}",
        "toys.number=50",
    ];
    measure(&place, "streamed", &settings).exits(0);
    measure(&place, "memory", &[settings[0], settings[2], settings[3]]).exits(0);
    let [streamed, memory] = ["streamed", "memory"].map(|run| result_of(&place, run));
    assert!(place.has("streamed/events.parquet"));
    assert!(!place.has("memory/events.parquet"));
    let [one, other] = [&streamed, &memory].map(|run| &run["checks"]["not_positive"]);
    assert_eq!(one, other);
    let close = |one: &Value, other: &Value| {
        let (one, other) = (number(one), number(other));
        let off = (one - other).abs();
        assert!(off <= 1e-6 * other.abs().max(1.0), "{one} {other}");
    };
    close(&streamed["fit"]["nll"], &memory["fit"]["nll"]);
    close(&streamed["limit"]["observed"], &memory["limit"]["observed"]);
    for k in 0..3 {
        let [one, other] = [&streamed, &memory].map(|run| &run["fit"]["parameters"][k]);
        close(&one["value"], &other["value"]);
        let (one, other) = (&one["error"], &other["error"]);
        assert_eq!(one.is_null(), other.is_null());
        if other.is_number() {
            close(one, other);
        }
    }
    assert!(memory["scans"]["mu"]["curves"]["exact"].is_object());
    assert!(streamed["scans"]["mu"]["curves"]["exact"].is_null());
}

#[test]
fn a_plan_says_what_would_be_trained() {
    let place = place();
    let words = ["SBI.shape.up", "mu - sqrt(mu)", "8 ensembles, 16 networks"];
    place.plan(SMALL).exits(0).says(words);
    assert!(!place.has("runs"));
}
