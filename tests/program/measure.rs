//! `method = "measure"` from outside: a small measurement of the model with known truth,
//! from generated samples to intervals.

use crate::support::{Done, Workplace};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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
    let place = Workplace::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/interference.toml");
    fs::copy(config, place.path("measure.toml")).unwrap();
    place
}

fn measure(place: &Workplace, out: &str, settings: &[&str]) -> Done {
    let mut arguments = vec!["run", "measure.toml", "--quiet", "--out", out];
    for setting in SMALL.iter().chain(settings) {
        arguments.extend(["--set", setting]);
    }
    place.sideband(&arguments)
}

/// Toys and results by name.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![run.join("toys")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(run).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// The numbers of a result, without the time that it took.
fn numbers(place: &Workplace, run: &str) -> Value {
    let mut result = place.json(&format!("{run}/measurement.json"));
    result["fit"]["seconds"] = Value::Null;
    result
}

#[test]
fn a_measurement_ends_with_intervals_and_is_the_same_again() {
    let place = place();
    let done = measure(&place, "out", &[]).exits(0);
    assert!(done.stdout.contains("68.27 %"), "{}", done.stdout);
    let result = numbers(&place, "out");
    let fit = &result["fit"]["parameters"];
    let names: Vec<&str> = fit
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["mu", "shape", "rate"]);
    let mu = fit[0]["value"].as_f64().unwrap();
    let error = fit[0]["error"].as_f64();
    // from ratios that were hardly trained: on a bound there is no error
    assert!((0.0..=4.0).contains(&mu), "{mu}");
    assert!(error.is_none_or(|error| error > 0.0), "{error:?}");
    assert_eq!(error.is_none(), fit[0]["no_error"].is_string());
    let scan = &result["scans"]["mu"];
    for curve in ["profiled", "statistical", "exact", "histogram"] {
        let points = scan["curves"][curve]["points"].as_array().unwrap();
        assert_eq!(points.len(), 11, "{curve}");
        assert!(
            points.iter().all(|p| p[1].as_f64().unwrap() >= 0.0),
            "{curve}"
        );
    }
    // exact ratios measure what the samples say: 1 +- 0.16
    let exact = scan["curves"]["exact"]["best"].as_f64().unwrap();
    assert!((0.4..1.7).contains(&exact), "{exact}");
    assert_eq!(result["ratios"].as_array().unwrap().len(), 8);
    let points = result["toys"]["points"].as_array().unwrap();
    assert!(
        points
            .iter()
            .all(|p| p["toys"].as_u64().unwrap() + p["failed"].as_u64().unwrap() == 150)
    );
    // 3000 events of a sample, 20 % of them unseen, are no pool for toys of 2000
    let warning = result["toys"]["warning"].as_str().unwrap();
    for part in ["copies of each other", "give samples.SBI more events"] {
        assert!(
            warning.contains(part) && done.stdout.contains(part),
            "{warning}"
        );
    }
    let shifts = points.iter().map(|p| p["common_shift"].as_f64().unwrap());
    assert!(shifts.into_iter().all(|shift| shift > 0.5));
    let out = place.path("out");
    for file in [
        "report.html",
        "ensembles.html",
        "curves.parquet",
        "pulls.parquet",
        "ratios.parquet",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    for figure in [
        "likelihood_mu",
        "gain_mu",
        "impacts_mu_1",
        "belt",
        "coverage",
        "calibration",
    ] {
        assert!(
            out.join("plots").join(format!("{figure}.png")).is_file(),
            "{figure}"
        );
    }
    says_how_far_it_is(&place);
    // again, somewhere else and with another number of threads
    measure(&place, "again", &["device.threads=1"]).exits(0);
    assert_eq!(numbers(&place, "again"), result);
    assert_eq!(results(&place.path("again")), results(&out));
    // lost toys and a lost result come back as they were
    let toys = results(&out);
    let first = out.join(toys.keys().next().unwrap());
    fs::remove_file(first).unwrap();
    fs::remove_file(out.join("measurement.json")).unwrap();
    measure(&place, "out", &[]).exits(0);
    assert_eq!(numbers(&place, "out"), result);
    assert_eq!(results(&out), toys);
    // more toys: the same first ones
    measure(&place, "out", &["toys.number=170"]).exits(0);
    let more = results(&out);
    assert!(
        toys.iter()
            .all(|(name, bytes)| more.get(name) == Some(bytes))
    );
    assert!(more.len() > toys.len());
}

/// `status` and `inspect` know ratios, toys and result of the measurement in `out`.
fn says_how_far_it_is(place: &Workplace) {
    let status = place.sideband(&["status", "out"]).exits(0).stdout;
    for part in [
        "8 of 8 complete, 16 of 16 members",
        "150 of 150 at mu = 0.5",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let text = place.sideband(&["status", "out", "--json"]).exits(0).stdout;
    let status: Value = serde_json::from_str(&text).unwrap();
    let toys = status["measurement"]["toys"].as_array().unwrap();
    assert!(
        toys.len() == 3 && toys.iter().all(|t| t["done"] == 150),
        "{toys:?}"
    );
    assert_eq!(status["measurement"]["has_result"], true);
    let seen = place.sideband(&["inspect", "out"]).exits(0).stdout;
    for part in [
        "measures mu, against the reference SBI",
        "S, SBI, B",
        "68.27 %",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let text = place
        .sideband(&["inspect", "out", "--json"])
        .exits(0)
        .stdout;
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(seen["result"], place.json("out/measurement.json"));
}

#[test]
fn the_training_sample_is_a_nuisance_parameter_and_toys_know_the_truth() {
    let place = place();
    let settings = [
        "measurement.finite_sample_members=2",
        "measurement.finite_sample_points=4",
        "measurement.renormalise=true",
        "measurement.calibration=isotonic",
        "measurement.aggregate=mean_log",
        "systematics.shape.density_interpolation=code4",
        "toys.events=truth",
        "toys.nuisance.shape=1.0",
        "measurement.limit={}",
        "measurement.contours=[{parameters=['mu', 'shape'], points=7}]",
        "measurement.correlations=[{parameters=['rate', 'shape'], coefficient=0.4}]",
    ];
    let done = measure(&place, "out", &settings).exits(0);
    let result = numbers(&place, "out");
    limits_and_regions_are_there(&place, &done, &result);
    // a workspace has no correlated auxiliary measurements
    assert!(place.path("out/templates.json").is_file());
    assert!(!place.path("out/workspace.json").exists());
    let finite = &result["finite_sample"];
    assert_eq!(finite["members"], serde_json::json!([2, 2]));
    // over the range of the scan, evenly spaced in sqrt(mu)
    let points = finite["points"].as_array().unwrap();
    let roots = points.iter().map(|p| p["value"].as_f64().unwrap().sqrt());
    for (root, expected) in roots.zip([0.0, 1.0, 2.0, 3.0].map(|k| k * 2.5_f64.sqrt() / 3.0)) {
        assert!((root - expected).abs() < 1e-9, "{root} {expected}");
    }
    assert_eq!(points.len(), 4);
    for p in points {
        let [all, same, error] = ["bootstrapped", "fixed", "error"].map(|k| p[k].as_f64().unwrap());
        let expected = (all - 0.5 * same).max(0.0).sqrt();
        assert!((error - expected).abs() <= 1e-12, "{p}");
    }
    let names: Vec<&Value> = result["fit"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["mu", "shape", "rate", "finite_sample"]);
    assert_eq!(result["toys"]["points"][1]["value"], 1.0);
    let impacts = result["impacts"]["mu"]["ranking"].as_array().unwrap();
    assert!(impacts.iter().any(|i| i["name"] == "finite_sample"));
}

fn limits_and_regions_are_there(place: &Workplace, done: &Done, result: &Value) {
    let limit = &result["limit"];
    let expected: Vec<f64> = serde_json::from_value(limit["expected"].clone()).unwrap();
    assert!(
        expected.windows(2).all(|w| 0.0 < w[0] && w[0] < w[1]),
        "{expected:?}"
    );
    // CLs crosses the level at the limit
    let observed = limit["observed"].as_f64().unwrap();
    for point in limit["curve"].as_array().unwrap() {
        let (value, cls) = (point["value"].as_f64(), point["observed"].as_f64());
        assert_eq!(value.unwrap() < observed, cls.unwrap() > 0.05, "{point}");
    }
    assert!(done.stdout.contains("at 95 % CL (CLs)"), "{}", done.stdout);
    let contour = &result["contours"][0];
    let t: Vec<Vec<Option<f64>>> = serde_json::from_value(contour["t"].clone()).unwrap();
    assert!(t.len() == 7 && t.iter().all(|column| column.len() == 7));
    assert!(t.iter().flatten().flatten().any(|t| *t > 6.18));
    for file in [
        "limit.parquet",
        "contours.parquet",
        "plots/limit.png",
        "plots/contour_mu-shape.png",
    ] {
        assert!(place.path("out").join(file).is_file(), "{file}");
    }
}

#[test]
fn events_in_a_file_measure_the_same_as_events_in_memory() {
    let place = place();
    let settings = [
        "measurement.renormalise=true",
        "measurement.stream_above=1000",
        "measurement.limit={}",
        "toys.number=50",
    ];
    measure(&place, "streamed", &settings).exits(0);
    measure(&place, "memory", &[settings[0], settings[2], settings[3]]).exits(0);
    let [streamed, memory] = ["streamed", "memory"].map(|run| numbers(&place, run));
    assert!(place.path("streamed/events.parquet").is_file());
    assert!(!place.path("memory/events.parquet").exists());
    assert_eq!(
        streamed["checks"]["not_positive"],
        memory["checks"]["not_positive"]
    );
    let close = |one: &Value, other: &Value| {
        let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
        assert!(
            (one - other).abs() <= 1e-6 * other.abs().max(1.0),
            "{one} {other}"
        );
    };
    close(&streamed["fit"]["nll"], &memory["fit"]["nll"]);
    close(&streamed["limit"]["observed"], &memory["limit"]["observed"]);
    for k in 0..3 {
        let of = |run: &Value, key: &str| run["fit"]["parameters"][k][key].clone();
        close(&of(&streamed, "value"), &of(&memory, "value"));
        assert_eq!(
            of(&streamed, "error").is_null(),
            of(&memory, "error").is_null()
        );
        if of(&memory, "error").is_number() {
            close(&of(&streamed, "error"), &of(&memory, "error"));
        }
    }
    assert!(memory["scans"]["mu"]["curves"]["exact"].is_object());
    assert!(streamed["scans"]["mu"]["curves"]["exact"].is_null());
}

#[test]
fn a_plan_says_what_would_be_trained() {
    let place = place();
    let mut arguments = vec!["plan", "measure.toml", "--no-calibration"];
    for setting in SMALL {
        arguments.extend(["--set", setting]);
    }
    let done = place.sideband(&arguments).exits(0);
    for word in ["SBI.shape.up", "mu - sqrt(mu)", "8 ensembles, 16 networks"] {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
    assert!(!place.path("runs").exists());
}
