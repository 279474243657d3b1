//! Nothing closes that was not tested, and every error is there.

use crate::support::workplace::{INTERPOLATION, SHIPPED_MEASUREMENT};
use crate::support::{Columns, Done, Numbers, Workplace, contains, doubles, integers, singles};
use serde_json::Value;
use sideband::files::{from_text, to_text};
use sideband::measurement::MeasurementResult;
use sideband::report::{EnsembleSummary, read_metrics};
use sideband::results::{ComparisonMetrics, FigureData, Metrics, VerdictState};
use sideband::rundir::{Manifest, RunDirectory};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Moves `pt` of the signal region's events of both samples.
fn move_signal_region(place: &Workplace, by: f64) {
    place.edit_both(|columns| {
        let mass = columns.numbers("mass");
        columns.change("pt", |row, pt| if mass[row] > 0.7 { pt + by } else { pt });
    });
}

fn metrics(place: &Workplace, run: &str) -> Metrics {
    read_metrics(&RunDirectory::open(&place.path(run)).unwrap()).unwrap()
}

fn says_closes(done: &Done) -> bool {
    done.stdout.lines().any(|line| line.starts_with("closes"))
}

const TRAINED: [&str; 3] = [
    "training.epochs=30",
    "training.learning_rate=0.01",
    "ensemble.members=3",
];

#[test]
fn a_prediction_that_is_not_finite_is_no_result_and_can_be_read() {
    let place = Workplace::new();
    move_signal_region(&place, 2e5);
    let done = place.run("out", &TRAINED).exits(4);
    assert!(done.stdout.starts_with("failed"), "{}", done.stdout);
    done.says(["not finite in sr"]);
    let found = metrics(&place, "out");
    assert_eq!(found.verdict.state, VerdictState::NotFinite);
    assert_eq!(found.regions["sr"].verdict.state, VerdictState::NotFinite);
    assert_ne!(found.regions["cr"].verdict.state, VerdictState::NotFinite);
    assert!(!found.regions["sr"].yields.after.is_finite());
    // what was written is read by every command
    let inspected = place.sideband(&["inspect", "out"]).exits(0);
    inspected.says(["not finite in sr"]);
    place.sideband(&["report", "out"]).exits(4);
    let status = place.sideband(&["status", "out"]).exits(0);
    status.says(["not finite"]);
    // and is a result that is there: nothing is trained or applied again
    let again = place.run("out", &TRAINED).exits(4);
    again.warns(["nothing to do"]);
}

#[test]
fn a_spread_that_hides_everything_is_no_agreement() {
    let place = Workplace::new();
    move_signal_region(&place, 200.0);
    let done = place.run("out", &TRAINED).exits(0);
    assert!(!done.stdout.starts_with("closes"), "{}", done.stdout);
    let found = metrics(&place, "out");
    assert_ne!(found.regions["sr"].verdict.state, VerdictState::Closes);
    assert_ne!(found.verdict.state, VerdictState::Closes);
    // and none of it was trained on
    let outside = &found.regions["sr"].outside;
    assert!(outside.share > 0.99, "{outside:?}");
    let reason = outside.reasons.keys().next().unwrap();
    assert!(reason.starts_with("pt above"), "{reason}");
    done.says(["lie outside of what was trained"]);
    let page = place.text("out/report.html");
    contains(&page, ["outside of what was trained"]);
}

/// Two equal samples, of which the target has more events in the signal region.
fn with_more_in_signal_region(factor: f64) -> Workplace {
    let place = Workplace::new();
    let sample = |seed: u64, [cr, sr]: [usize; 2], first: i64| {
        let mut numbers = Numbers::new(seed);
        let n = cr + sr;
        let mut normal = || singles((0..n).map(|_| numbers.normal()).collect::<Vec<_>>());
        let mass = doubles((0..n).map(|i| if i < cr { 0.1 } else { 0.9 }));
        Columns::numbered(first, n)
            .with("pt", normal())
            .with("eta", normal())
            .with("mass", mass)
            .with("weight", doubles(vec![1.0; n]))
    };
    let observed = (300.0 * factor) as usize;
    place.put("source.parquet", &sample(11, [4000, 2000], 0));
    place.put("target.parquet", &sample(12, [600, observed], 1 << 32));
    place
}

#[test]
fn a_yield_that_is_off_by_its_errors_does_not_close() {
    let place = with_more_in_signal_region(1.0);
    let done = place.run("equal", &[]).exits(0);
    let state = metrics(&place, "equal").verdict.state;
    assert_eq!(state, VerdictState::Closes, "{}", done.stdout);
    assert!(says_closes(&done));

    let place = with_more_in_signal_region(1.35);
    let done = place.run("more", &[]).exits(0);
    let found = metrics(&place, "more");
    let sr = &found.regions["sr"].verdict;
    assert_eq!(sr.state, VerdictState::Open, "{}", done.stdout);
    assert!(sr.failed.contains(&"yield".to_owned()), "{sr:?}");
    assert_eq!(found.verdict.state, VerdictState::Open);
    assert!(done.stdout.starts_with("open"), "{}", done.stdout);
    let asked = |command| place.sideband(&[command, "more", "--json"]).exits(0).json();
    let status = asked("status")["ensembles"][0].clone();
    for result in [place.json("more/metrics.json"), asked("inspect"), status] {
        assert_eq!(result["verdict"]["state"], "open");
    }
}

#[test]
fn few_events_and_one_member_are_said() {
    let place = Workplace::with_events(60);
    let settings = ["ensemble.members=1", "regions.sr.selection='mass > 0.95'"];
    let done = place.run("few", &settings).exits(0);
    let state = metrics(&place, "few").regions["sr"].verdict.state;
    assert_eq!(state, VerdictState::Untested, "{}", done.stdout);
    assert!(done.stdout.starts_with("untested"), "{}", done.stdout);
    done.says(["one replica"]);
}

/// Floating-point numbers of a JSON value, replaced all at once or one by one.
fn replace(value: &mut Value, by: &Value, only: Option<usize>, count: &mut usize) {
    match value {
        Value::Number(n) if n.is_f64() => {
            if only.is_none_or(|only| only == *count) {
                *value = by.clone();
            }
            *count += 1;
        }
        Value::Array(list) => list.iter_mut().for_each(|v| replace(v, by, only, count)),
        Value::Object(map) => map.values_mut().for_each(|v| replace(v, by, only, count)),
        _ => {}
    }
}

/// Every kind of number that is not finite, in every place of a file: what is read is
/// written as it was read.
fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut leaves = 0;
    replace(&mut value.clone(), &Value::Null, None, &mut leaves);
    for name in ["NaN", "inf", "-inf"] {
        let singles = (0..leaves).step_by(leaves / 20 + 1).map(Some);
        for only in std::iter::once(None).chain(singles) {
            let mut changed = value.clone();
            replace(&mut changed, &name.into(), only, &mut 0);
            let read: T = from_text(&changed.to_string())
                .unwrap_or_else(|e| panic!("{} {name} {only:?}: {e}", path.display()));
            let written = to_text(&read, false).unwrap();
            let again: Value = serde_json::from_str(&written).unwrap();
            assert_eq!(again, changed, "{} {name} {only:?}", path.display());
        }
    }
}

/// Makes every number of a file one that is not finite.
fn without_finite(place: &Workplace, name: &str) {
    let mut value = place.json(name);
    replace(&mut value, &"NaN".into(), None, &mut 0);
    place.write(name, value.to_string());
}

#[test]
fn whatever_is_written_can_be_read() {
    let place = Workplace::trained();
    round_trip::<Metrics>(&place.path("out/metrics.json"));
    round_trip::<Manifest>(&place.path("out/manifest.json"));
    let brief = ["ensemble.members=1", "training.epochs=1"];
    let matrix = ["matrix.year=[1, 2]", "experiment.description='of ${year}'"];
    place.run("matrix", &[matrix, brief].concat()).exits(0);
    round_trip::<BTreeMap<String, EnsembleSummary>>(&place.path("matrix/summary.json"));
    let compared = [
        "matrix={ region=['a', 'b'], method=['cr1'] }",
        "comparison={ region='sr', reweighting={ nominal='cr1' } }",
        "experiment.description='${region} ${method}'",
        "ensemble.members=1",
    ];
    place.run("compared", &compared).exits(0);
    round_trip::<ComparisonMetrics>(&place.path("compared/comparison.json"));
    for line in place.text("out/log.jsonl").lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["event"].is_string(), "{line}");
    }
    // a result in which no number is finite is one that every command reads
    without_finite(&place, "out/metrics.json");
    let inspected = place.sideband(&["inspect", "out"]).exits(0);
    inspected.says(["not finite"]);
    // a number that is not there at all is named
    let mut value = place.json("out/metrics.json");
    value["regions"]["sr"]["yields"]["after"] = Value::Null;
    place.write("out/metrics.json", value.to_string());
    let inspected = place.sideband(&["inspect", "out"]).exits(4);
    inspected.warns(["regions.sr.yields.after"]);
}

#[test]
fn an_interpolation_can_be_read_whatever_its_numbers() {
    let place = Workplace::interpolation().with("out", &INTERPOLATION);
    round_trip::<Metrics>(&place.path("out/metrics.json"));
    if place.has("out/figures.json") {
        round_trip::<FigureData>(&place.path("out/figures.json"));
    }
    let found = metrics(&place, "out");
    let mut yields = found.regions.values().map(|region| &region.yields);
    assert!(yields.any(|y| y.components.contains_key("normalisation")));
}

#[test]
fn a_measurement_can_be_read_whatever_its_numbers() {
    let place = Workplace::shipped_measurement().with("out", &SHIPPED_MEASUREMENT);
    round_trip::<MeasurementResult>(&place.path("out/measurement.json"));
    // every command reads it
    without_finite(&place, "out/measurement.json");
    place.sideband(&["inspect", "out"]).exits(0);
    place.sideband(&["status", "out"]).exits(0);
}

#[test]
fn two_figures_never_share_a_file() {
    let place = Workplace::new();
    let inputs = r#"features.inputs=["pt", "eta", "pt+eta", "pt*eta", "pt/eta", "pt - eta"]"#;
    let region = "regions.s={ selection = 'mass > 0.5' }";
    place.run("out", &[inputs, region]).exits(0);
    let names: Vec<String> = fs::read_dir(place.path("out/plots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".svg") && name.starts_with("sr_"))
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.contains(&"sr_pt.svg".to_owned()), "{names:?}");
    // the page shows each of them
    let page = place.text("out/report.html");
    for name in names {
        let slug = name.trim_end_matches(".svg").to_lowercase();
        let slug = slug.replace('_', "-");
        let words: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).collect();
        let anchor = words.join("-");
        assert!(page.contains(&format!("id=\"figure-{anchor}")), "{anchor}");
    }
}

#[test]
fn predictions_go_to_regular_files_that_nobody_needs() {
    let place = Workplace::trained();
    let at = |name: &str| place.path(name);
    fs::hard_link(at("source.parquet"), at("hard.parquet")).unwrap();
    let mut outs = vec![
        ("out/metrics.json", "run directory"),
        ("out/predictions/new.parquet", "run directory"),
        ("out/members/member_0000.safetensors", "run directory"),
        ("source.parquet", "input"),
        ("./out/../source.parquet", "input"),
        ("hard.parquet", "input"),
        ("out", "a folder"),
        ("nowhere/file.parquet", "a folder that exists"),
    ];
    #[cfg(unix)]
    {
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(at(to), at(name)).unwrap();
        link("source.parquet", "to_input.parquet");
        link("out/metrics.json", "to_run.json");
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        if made.is_ok_and(|status| status.success()) {
            outs.push(("pipe", "a pipe"));
        }
        outs.extend([
            ("to_input.parquet", "input"),
            ("to_run.json", "run directory"),
            ("/dev/null", "a device"),
        ]);
    }
    let kept = || ["out/metrics.json", "source.parquet"].map(|name| place.read(name));
    let before = kept();
    for (out, why) in outs {
        let done = place.sideband(&["predict", "out", "source.parquet", "--out", out]);
        done.exits(2).warns([why]);
    }
    assert!(before == kept());
    // again over its own output, and through a link to it
    for _ in 0..2 {
        place.predict("out", "source.parquet", "new.parquet");
    }
    #[cfg(unix)]
    {
        let link = at("link.parquet");
        std::os::unix::fs::symlink(at("new.parquet"), &link).unwrap();
        place.predict("out", "source.parquet", "link.parquet");
        assert!(link.is_symlink());
    }
}

#[test]
fn a_feature_that_tells_the_classes_apart_is_named() {
    for role in ["source", "target"] {
        let place = Workplace::new();
        place.edit(&format!("{role}.parquet"), |columns| {
            columns.change("pt", |_, _| 0.0);
        });
        let done = place.plan(&[]);
        assert!(matches!(done.exit, Some(3 | 4)), "{done:?}");
        let role = format!("data.{role}");
        done.warns(["features.inputs", "`pt`", "is 0 for all", &role]);
    }
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        columns.set("kind", integers(vec![1; columns.len()]));
    });
    let variables = r#"report.variables=[{ name = "kind", bins = 5 }]"#;
    let done = place.run("out", &[variables]).exits(3);
    done.warns(["report.variables", "`kind`", "one value", "bins = ["]);
}

/// A world whose truth is known: the target's ratio to the source depends on `pt` alone
/// and is the same everywhere. Numbers of events are Poisson.
fn world(place: &Workplace, seed: u64, [source, target]: [f64; 2]) {
    let mut numbers = Numbers::new(seed);
    for (file, expected, shift, first) in [
        ("source.parquet", source, 0.0, 0),
        ("target.parquet", target, 0.2, 1_i64 << 32),
    ] {
        let n = numbers.poisson(expected);
        let mut values: [Vec<f64>; 3] = Default::default();
        for _ in 0..n {
            values[0].push(numbers.normal() + shift);
            values[1].push(numbers.normal());
            values[2].push(numbers.uniform());
        }
        let [pt, eta, mass] = values;
        let columns = Columns::numbered(first, n)
            .with("pt", singles(pt))
            .with("eta", singles(eta))
            .with("mass", doubles(mass))
            .with("weight", doubles(vec![1.0; n]));
        place.put(file, &columns);
    }
}

/// Width of (predicted - true) / quoted error of the signal region's yield. A tenth of
/// the events is in the training region: its counting error is the largest by far.
fn pull_width(sets: u64, expected: [f64; 2], settings: &[&str]) -> f64 {
    let truth = 0.9 * expected[1];
    let place = Workplace::new();
    let pull = |seed: u64| {
        world(&place, 100 + seed, expected);
        let out = format!("out{seed}");
        let seed = format!("experiment.seed={}", seed + 1);
        let mut all = vec![
            seed.as_str(),
            "regions.sr.selection='mass > 0.1'",
            "regions.cr.selection='mass <= 0.1'",
            "report.bins=2",
            "training.epochs=4",
            "model.hidden=[4]",
        ];
        all.extend(settings);
        let done = place.run(&out, &all);
        assert!(matches!(done.exit, Some(0 | 6)), "{done:?}");
        let y = &metrics(&place, &out).regions["sr"].yields;
        (y.after - truth) / y.after_stat.hypot(y.after_spread)
    };
    let squares = (0..sets).map(|seed| pull(seed).powi(2));
    (squares.sum::<f64>() / sets as f64).sqrt()
}

/// Quoted errors of repeated data sets: few target events, then few source events, in
/// the training region. Without their counting errors the widths are above two.
#[test]
fn yields_scatter_by_their_quoted_errors() {
    for expected in [[20_000.0, 3000.0], [4000.0, 30_000.0]] {
        let width = pull_width(12, expected, &["ensemble.members=10"]);
        assert!((0.5..1.6).contains(&width), "{expected:?}: {width:.2}");
    }
}

/// The same out of fold, where members of one prediction share their resampling.
#[test]
fn yields_out_of_fold_scatter_by_their_quoted_errors() {
    let folds = [
        "experiment.method='ratio'",
        "training.split='folds'",
        "training.folds=2",
        "ensemble.members=16",
    ];
    let width = pull_width(10, [4000.0, 30_000.0], &folds);
    assert!((0.5..1.7).contains(&width), "{width:.2}");
}

/// The components say what the error is made of.
#[test]
fn the_normalisation_has_an_error_of_its_own() {
    let place = Workplace::new();
    world(&place, 5, [4000.0, 400.0]);
    let components = |bootstrap: &str| {
        let setting = format!("ensemble.bootstrap={bootstrap}");
        place.run(bootstrap, &[setting.as_str()]).exits(0);
        let found = metrics(&place, bootstrap);
        let y = found.regions["sr"].yields.clone();
        (y, found)
    };
    let (y, found) = components("true");
    let [_, target] = found.training_yields;
    let [_, error] = found.training_errors;
    assert!((error - target.sqrt()).abs() < 1e-9);
    let relative = y.components["normalisation"] / y.after;
    assert!((relative - error / target).abs() < 1e-9, "{relative}");
    let all: f64 = y.components.values().map(|c| c * c).sum();
    assert!((all.sqrt() - y.after_spread).abs() < 1e-9);
    // every bin has it, and bins share it
    for v in found.regions["sr"].variables.values() {
        let own = &v.components["normalisation"];
        for (error, content) in own.iter().zip(&v.after.values) {
            assert!((error - relative * content).abs() < 1e-9);
        }
    }
    // without bootstrap the source's part is in no member
    let (y, _) = components("false");
    let without = y.components["normalisation"] / y.after;
    assert!(without > relative * 1.01, "{without} {relative}");
}
