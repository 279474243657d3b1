//! The command line on a small data set, as a user runs it: what each command
//! prints and writes, that nothing depends on threads, blocks, the number of
//! members or on being killed, and that blind events leave no trace.

use crate::support::{
    Columns, Done, EVENTS, Numbers, Workplace, differing, numbers, read_parquet, write_arrow,
};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use serde_json::Value;
use sideband::training::{Member, Outcome};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn column<'a>(columns: &'a Columns, name: &str) -> &'a ArrayRef {
    let found = columns.iter().find(|(n, _)| n == name);
    &found.unwrap_or_else(|| panic!("no column {name}")).1
}

fn names(columns: &Columns) -> Vec<&str> {
    columns.iter().map(|(name, _)| name.as_str()).collect()
}

/// Files of a run that do not depend on when and where it ran.
const RESULTS: [&str; 4] = [
    "config.toml",
    "metrics.json",
    "predictions/source.parquet",
    "plots/report.toml",
];

/// Holds the results of two runs to each other, byte for byte.
#[track_caller]
fn same_results(place: &Workplace, a: &str, b: &str, files: &[&str]) {
    let (members, others) = (place.members(a), place.members(b));
    assert_eq!(members.len(), others.len());
    assert_eq!(
        differing(&members, &others),
        Vec::<String>::new(),
        "{a} {b}"
    );
    for name in files {
        let (one, other) = (format!("{a}/{name}"), format!("{b}/{name}"));
        assert!(
            place.read(&one) == place.read(&other),
            "{one} is not {other}"
        );
    }
}

#[test]
fn help_version_and_usage_errors() {
    let place = Workplace::new();
    let help = place.sideband(&["--help"]).exits(0);
    for command in [
        "run",
        "plan",
        "devices",
        "inspect",
        "predict",
        "report",
        "schema",
        "completions",
    ] {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command}");
        let own = place.sideband(&[command, "--help"]).exits(0);
        assert!(own.stdout.contains("Usage: sideband") && own.stderr.is_empty());
    }
    assert!(
        help.stdout
            .contains("Exit codes: 0 ok, 2 usage, 3 config, 4 data")
    );
    let version = place.sideband(&["--version"]).exits(0);
    assert_eq!(
        version.stdout.trim(),
        concat!("sideband ", env!("CARGO_PKG_VERSION"))
    );
    let nothing = place.sideband(&[]).exits(2);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("Usage: sideband"));
}

#[test]
fn plan_says_what_would_be_done_and_does_nothing() {
    let place = Workplace::new();
    let done = place.sideband(&["plan", "config.toml"]).exits(0);
    println!("{}", done.stdout);
    for part in [
        "small: reweighting, exponential loss, seed 7",
        "members     2, bootstrapped on cpu",
        "network     2 inputs, hidden [8], 33 parameters a member, 66 in all",
        "cr, trained on  source",
        "held out",
        "M events/s",
        "nominal         2       0           1",
    ] {
        assert!(done.stdout.contains(part), "{part}\n{}", done.stdout);
    }
    assert_eq!(done.stderr, "");
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn settings_and_device_of_the_command_line_go_on_top_of_the_file() {
    let place = Workplace::new();
    let set = [
        "plan",
        "config.toml",
        "--set",
        "ensemble.members=5",
        "--set",
        "experiment.seed=9",
    ];
    let done = place.sideband(&set).exits(0);
    assert!(done.stdout.contains("seed 9") && done.stdout.contains("members     5"));
    let device = [
        "plan",
        "config.toml",
        "--set",
        "device.name=gpu",
        "--device",
        "cpu",
    ];
    assert!(place.sideband(&device).exits(0).stdout.contains("on cpu"));
}

#[test]
fn devices_lists_the_cpu_as_usable() {
    let done = Workplace::new().sideband(&["devices"]).exits(0);
    let cpu = done
        .stdout
        .lines()
        .find(|line| line.starts_with("cpu"))
        .unwrap();
    assert!(cpu.contains("yes") && cpu.contains("burn-flex"), "{cpu}");
    for name in ["ndarray", "wgpu", "cuda"] {
        assert!(done.stdout.contains(name), "{}", done.stdout);
    }
    assert_eq!(done.stderr, "");
}

#[test]
fn inspect_of_a_file_counts_what_is_odd_in_it() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        let mut pt = numbers(column(columns, "pt"));
        pt[3] = f64::NAN;
        pt[4] = f64::INFINITY;
        pt[5] = 0.0;
        columns[1].1 = Arc::new(Float64Array::from(pt));
    });
    let done = place.sideband(&["inspect", "source.parquet"]).exits(0);
    assert!(
        done.stdout.starts_with("400 rows in 1 file(s)"),
        "{}",
        done.stdout
    );
    let done = place
        .sideband(&["inspect", "source.parquet", "--json"])
        .exits(0);
    let value: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["rows"], 400);
    assert_eq!(value["files"][0], "source.parquet");
    let columns = value["columns"].as_array().unwrap();
    let pt = columns.iter().find(|c| c["name"] == "pt").unwrap();
    assert_eq!(
        (&pt["nans"], &pt["infinities"], &pt["zeros"]),
        (&1.into(), &1.into(), &1.into())
    );
    let done = place.sideband(&["inspect", "*.parquet"]).exits(0);
    assert!(
        done.stdout.starts_with("800 rows in 2 file(s)"),
        "{}",
        done.stdout
    );
}

#[test]
fn completions_for_every_shell() {
    let place = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = place.sideband(&["completions", shell]).exits(0);
        assert!(
            done.stdout.contains("sideband") && done.stdout.contains("unblind"),
            "{shell}"
        );
    }
}

/// Why a value does not fit a schema, if it does not: types, known keys,
/// required keys, words.
fn misfit(root: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
    if schema == &Value::Bool(true) {
        return None;
    }
    if let Some(name) = schema["$ref"].as_str() {
        let found = root.pointer(name.trim_start_matches('#')).unwrap();
        return misfit(root, found, value, path);
    }
    for list in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[list].as_array() {
            let reasons: Option<Vec<String>> = choices
                .iter()
                .map(|c| misfit(root, c, value, path))
                .collect();
            if let Some(reasons) = reasons {
                return Some(reasons.join("; or "));
            }
        }
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("a new type: {other}"),
    };
    let fits = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|n| is(n.as_str().unwrap())),
        _ => true,
    };
    if !fits {
        return Some(format!("{path}: {value} is no {}", schema["type"]));
    }
    let constant = schema.get("const").is_some_and(|c| c != value);
    let word = schema["enum"]
        .as_array()
        .is_some_and(|words| !words.contains(value));
    if constant || word {
        return Some(format!("{path}: {value} is not allowed"));
    }
    let pattern = schema.get("pattern").is_some();
    if pattern && !value.as_str().is_some_and(|text| text.contains("${")) {
        return Some(format!("{path}: {value} stands for nothing"));
    }
    if let Some(list) = value.as_array() {
        let items = schema.get("items").unwrap_or(&Value::Bool(true));
        return list
            .iter()
            .find_map(|v| misfit(root, items, v, &format!("{path}[]")));
    }
    let table = value.as_object()?;
    let missing = schema["required"].as_array().and_then(|keys| {
        keys.iter()
            .find(|k| !table.contains_key(k.as_str().unwrap()))
    });
    if let Some(key) = missing {
        return Some(format!("{path}: {key} is missing"));
    }
    table.iter().find_map(|(key, inner)| {
        let path = format!("{path}.{key}");
        match (
            schema["properties"].get(key),
            schema.get("additionalProperties"),
        ) {
            (Some(own), _) => misfit(root, own, inner, &path),
            (None, Some(Value::Bool(false))) => Some(format!("{path}: unknown key")),
            (None, Some(other)) => misfit(root, other, inner, &path),
            (None, None) => None,
        }
    })
}

#[test]
fn schema_accepts_every_shipped_configuration_and_no_misspelt_one() {
    let done = Workplace::new().sideband(&["schema"]).exits(0);
    let schema: Value = serde_json::from_str(&done.stdout).unwrap();
    let read = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap());
    let mut shipped = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let value = read(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(misfit(&schema, &schema, &value, ""), None, "{path:?}");
        shipped += 1;
    }
    assert!(shipped >= 4);
    let small = read(crate::support::CONFIG).unwrap();
    assert_eq!(misfit(&schema, &schema, &small, ""), None);
    for (right, wrong) in [
        ("batch = 64", "bacth = 64"),
        ("batch = 64", "batch = \"64\""),
        ("\"reweight\"", "\"rewieght\""),
        ("region = \"cr\"", ""),
    ] {
        let text = crate::support::CONFIG.replace(right, wrong);
        let value = read(&text).unwrap();
        assert!(misfit(&schema, &schema, &value, "").is_some(), "{wrong}");
    }
}

#[test]
fn a_run_writes_everything_and_says_where() {
    let place = Workplace::new();
    let done = place.run("out", &[]).exits(0);
    assert!(
        done.stdout.contains("result  out\nreport  out/report.html"),
        "{}",
        done.stdout
    );
    assert!(
        done.stderr.contains("training 2 members on cpu"),
        "{}",
        done.stderr
    );
    for name in [
        "config.toml",
        "manifest.json",
        "metrics.json",
        "report.html",
        "log.jsonl",
        "members/member_0000.safetensors",
        "members/member_0001.safetensors",
        "predictions/source.parquet",
    ] {
        assert!(!place.read(&format!("out/{name}")).is_empty(), "{name}");
    }
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["state"], "complete");
    assert_eq!(manifest["seed"], 7);
    assert_eq!(manifest["inputs"]["source"][0]["rows"], 400);
    assert_eq!(manifest["inputs"]["source"][0]["path"], "source.parquet");
    let log = String::from_utf8(place.read("out/log.jsonl")).unwrap();
    for line in log.lines() {
        assert!(
            serde_json::from_str::<Value>(line).unwrap()["event"].is_string(),
            "{line}"
        );
    }
    let plots: Vec<String> = fs::read_dir(place.path("out/plots"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    for kind in [".svg", ".png"] {
        assert!(
            plots.iter().filter(|n| n.ends_with(kind)).count() > 3,
            "{plots:?}"
        );
    }
    let report = String::from_utf8(place.read("out/report.html")).unwrap();
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http"));

    let about = place.sideband(&["inspect", "out"]).exits(0);
    assert!(
        about.stdout.contains("state    complete"),
        "{}",
        about.stdout
    );
    assert!(
        about.stdout.contains("members  2 of 2, 0 failed"),
        "{}",
        about.stdout
    );
    let about = place.sideband(&["inspect", "out", "--json"]).exits(0);
    let mut about: Value = serde_json::from_str(&about.stdout).unwrap();
    let verdict = about.as_object_mut().unwrap().remove("verdict");
    assert_eq!(verdict.unwrap(), place.json("out/metrics.json")["verdict"]);
    assert_eq!(about, manifest);
}

#[test]
fn without_out_a_run_goes_to_its_name() {
    let place = Workplace::new();
    let done = place.sideband(&["run", "config.toml"]).exits(0);
    assert!(
        done.stdout.contains("result  runs/small\n"),
        "{}",
        done.stdout
    );
    assert!(place.path("runs/small/report.html").is_file());
}

#[test]
fn quiet_is_quiet_and_still_gives_the_result() {
    let place = Workplace::new();
    for _ in 0..2 {
        let mut arguments = Workplace::run_arguments("out", &[]);
        arguments.push("--quiet");
        let done = place.sideband(&arguments).exits(0);
        assert_eq!(done.stderr, "");
        assert!(done.stdout.contains("result  out"), "{}", done.stdout);
    }
}

#[test]
fn predictions_have_ids_nominal_spread_and_members() {
    let place = Workplace::new();
    place.run("out", &["ensemble.members=3"]).exits(0);
    let table = read_parquet(&place.path("out/predictions/source.parquet"));
    let expected = [
        "event",
        "in_sr",
        "in_cr",
        "weight",
        "nominal",
        "spread",
        "median",
        "member_0000",
        "member_0001",
        "member_0002",
    ];
    assert_eq!(names(&table), expected);
    let input = read_parquet(&place.path("source.parquet"));
    assert_eq!(
        column(&table, "event").as_ref(),
        column(&input, "event").as_ref()
    );
    assert_eq!(
        numbers(column(&table, "weight")),
        numbers(column(&input, "weight"))
    );
    let mass = numbers(column(&input, "mass"));
    let in_sr = column(&table, "in_sr")
        .as_any()
        .downcast_ref::<BooleanArray>()
        .unwrap();
    let member = |m: usize| numbers(column(&table, &format!("member_{m:04}")));
    let members = [member(0), member(1), member(2)];
    let [nominal, spread, median] =
        ["nominal", "spread", "median"].map(|name| numbers(column(&table, name)));
    for i in 0..EVENTS {
        assert_eq!(in_sr.value(i), mass[i] > 0.7);
        let mut values = [0, 1, 2].map(|m| members[m][i]);
        let mean = values.iter().sum::<f64>() / 3.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0;
        values.sort_by(f64::total_cmp);
        // members are kept in single precision
        let tolerance = 1e-6 * mean;
        assert!((nominal[i] - mean).abs() < tolerance, "{i}");
        assert!((spread[i] - variance.sqrt()).abs() < tolerance, "{i}");
        assert!((median[i] - values[1]).abs() < tolerance, "{i}");
    }
    // each member brings the source to the target's yield where it was trained
    let target = read_parquet(&place.path("target.parquet"));
    let yields = |mass: &[f64], weights: &[f64]| -> f64 {
        mass.iter()
            .zip(weights)
            .filter(|(m, _)| **m <= 0.7)
            .map(|(_, w)| w)
            .sum()
    };
    let observed = yields(
        &numbers(column(&target, "mass")),
        &numbers(column(&target, "weight")),
    );
    for weights in &members {
        let sum = yields(&mass, weights);
        assert!((sum / observed - 1.0).abs() < 1e-5, "{sum} {observed}");
    }
}

#[test]
fn the_median_can_be_the_nominal() {
    let place = Workplace::new();
    place
        .run("out", &["ensemble.members=3", "ensemble.combine=median"])
        .exits(0);
    let table = read_parquet(&place.path("out/predictions/source.parquet"));
    let [nominal, median] = ["nominal", "median"].map(|n| numbers(column(&table, n)));
    assert_eq!(nominal, median);
}

#[test]
fn running_again_does_nothing() {
    let place = Workplace::new();
    let first = place.run("out", &[]).exits(0);
    let stamps = || -> Vec<(String, std::time::SystemTime)> {
        ["members", "predictions", "plots"]
            .iter()
            .flat_map(|folder| fs::read_dir(place.path("out").join(folder)).unwrap())
            .map(|e| e.unwrap().path())
            .chain([
                place.path("out/metrics.json"),
                place.path("out/manifest.json"),
            ])
            .map(|path| {
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                (path.display().to_string(), time)
            })
            .collect()
    };
    let (members, before) = (place.members("out"), stamps());
    let second = place.run("out", &[]).exits(0);
    assert!(second.stderr.contains("nothing to do"), "{}", second.stderr);
    assert_eq!(second.stdout, first.stdout);
    assert_eq!(stamps(), before);
    assert_eq!(place.members("out"), members);
}

#[test]
fn a_changed_report_keeps_the_members() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let stamp = || {
        fs::metadata(place.path("out/members/member_0001.safetensors"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = stamp();
    let done = place
        .run("out", &["report.bins=3", "device.threads=2"])
        .exits(0);
    assert!(!done.stderr.contains("training"), "{}", done.stderr);
    assert_eq!(stamp(), before);
    let metrics = place.json("out/metrics.json");
    let edges = &metrics["regions"]["sr"]["variables"]["pt"]["edges"];
    assert_eq!(edges.as_array().unwrap().len(), 4);
}

#[test]
fn a_deleted_or_damaged_member_is_trained_anew_and_is_the_same() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let members = place.members("out");
    let metrics = place.read("out/metrics.json");
    fs::remove_file(place.path("out/members/member_0000.safetensors")).unwrap();
    fs::write(
        place.path("out/members/member_0001.safetensors"),
        "not a member",
    )
    .unwrap();
    let done = place.run("out", &[]).exits(0);
    assert!(
        done.stderr.contains("training member 1 anew"),
        "{}",
        done.stderr
    );
    assert_eq!(place.members("out"), members);
    assert_eq!(place.read("out/metrics.json"), metrics);
}

#[test]
fn what_was_deleted_is_made_again() {
    let place = Workplace::new();
    place.run("out", &["experiment.method=ratio"]).exits(0);
    let members = place.members("out");
    for name in [
        "predictions/source.parquet",
        "predictions/target.parquet",
        "metrics.json",
        "report.html",
        "manifest.json",
    ] {
        let path = place.path("out").join(name);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let done = place.run("out", &["experiment.method=ratio"]).exits(0);
        assert!(!done.stderr.contains("training"), "{name}: {}", done.stderr);
        let again = fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        // times of day are in the manifest and on the page
        assert!(
            again == whole || name == "manifest.json" || name == "report.html",
            "{name}"
        );
    }
    assert_eq!(place.members("out"), members);
}

#[test]
fn report_can_be_redone() {
    let place = Workplace::new();
    let run = place.run("out", &[]).exits(0);
    let page = place.read("out/report.html");
    fs::remove_file(place.path("out/report.html")).unwrap();
    fs::remove_dir_all(place.path("out/plots")).unwrap();
    let done = place.sideband(&["report", "out"]).exits(0);
    assert_eq!(done.stdout, run.stdout);
    assert!(place.read("out/report.html") == page);
    assert!(place.path("out/plots").is_dir());
}

#[test]
fn predict_applies_the_ensemble_to_other_events() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let predict = |file: &str, more: &[&str]| {
        let arguments = ["predict", "out", file, "--out", "new.parquet"];
        place.sideband(&[&arguments, more].concat())
    };
    let done = predict("source.parquet", &[]).exits(0);
    assert_eq!(done.stdout, "400 events in new.parquet\n");
    let new = read_parquet(&place.path("new.parquet"));
    let run = read_parquet(&place.path("out/predictions/source.parquet"));
    for (name, values) in &new {
        assert_eq!(values.as_ref(), column(&run, name).as_ref(), "{name}");
    }
    assert!(!names(&new).iter().any(|n| n.starts_with("in_")));

    let options = [
        "--selection",
        "mass > 0.7 && kind == 2",
        "--weight",
        "2",
        "--id",
        "event,kind",
    ];
    predict("target.parquet", &options).exits(0);
    let some = read_parquet(&place.path("new.parquet"));
    assert_eq!(names(&some)[..4], ["event", "kind", "weight", "nominal"]);
    assert!(numbers(column(&some, "kind")).iter().all(|k| *k == 2.0));
    assert!(numbers(column(&some, "weight")).iter().all(|w| *w == 2.0));

    // without the configured id and weight columns: only if that is asked for
    place.edit("target.parquet", |columns| {
        columns.retain(|(name, _)| name == "pt" || name == "eta");
    });
    let done = predict("target.parquet", &[]).exits(4);
    assert!(done.stderr.contains("--weight 1"), "{}", done.stderr);
    let done = predict("target.parquet", &["--weight", "1"]).exits(4);
    assert!(done.stderr.contains("no column `event`"), "{}", done.stderr);
    predict("target.parquet", &["--weight", "1", "--id", ""]).exits(0);
    let bare = read_parquet(&place.path("new.parquet"));
    assert!(numbers(column(&bare, "weight")).iter().all(|w| *w == 1.0));
    assert_eq!(column(&bare, "nominal").len(), EVENTS);
}

#[test]
fn events_with_missing_features_can_be_dropped() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        let mut pt: Vec<Option<f64>> = numbers(column(columns, "pt"))
            .into_iter()
            .map(Some)
            .collect();
        (pt[3], pt[4], pt[5]) = (None, Some(f64::NAN), Some(f64::INFINITY));
        columns[1].1 = Arc::new(Float64Array::from(pt));
    });
    place.run("out", &[]).exits(4);
    let done = place.run("out", &["data.on_missing=drop"]).exits(0);
    assert!(
        done.stderr.contains("data.source: 3 events (0.75 %,"),
        "{}",
        done.stderr
    );
    let table = read_parquet(&place.path("out/predictions/source.parquet"));
    let ids = numbers(column(&table, "event"));
    assert_eq!(ids.len(), EVENTS - 3);
    assert!(!ids.iter().any(|id| (3.0..6.0).contains(id)));
}

/// Changes every target event of the signal region beyond recognition.
fn disguise_signal_region(place: &Workplace) {
    place.edit("target.parquet", |columns| {
        let hidden: Vec<bool> = numbers(column(columns, "mass"))
            .iter()
            .map(|m| *m > 0.7)
            .collect();
        for (name, values) in columns.iter_mut() {
            if name == "event" || name == "kind" || name == "mass" {
                continue;
            }
            let changed = numbers(values)
                .into_iter()
                .zip(&hidden)
                .map(|(v, hidden)| if *hidden { 50.0 + 3.0 * v } else { v });
            *values = Arc::new(changed.collect::<Float64Array>());
        }
        // and doubles them
        let rows = hidden.len();
        let twice: Vec<i64> = (0..rows)
            .chain((0..rows).filter(|i| hidden[*i]))
            .map(|i| i as i64)
            .collect();
        let twice = Int64Array::from(twice);
        for (_, values) in columns.iter_mut() {
            *values = arrow::compute::take(values.as_ref(), &twice, None).unwrap();
        }
    });
}

#[test]
fn blind_events_leave_no_trace_until_unblinded() {
    let place = Workplace::new();
    let blind = ["regions.sr.blind=true"];
    let plan = |more: &[&str]| {
        let arguments = [
            "plan",
            "config.toml",
            "--no-calibration",
            "--set",
            "regions.sr.blind=true",
        ];
        place.sideband(&[&arguments, more].concat()).exits(0).stdout
    };
    let status = |done: &Done| -> Vec<String> {
        let text = |line: &str| {
            line.split_once("s] ")
                .map_or(line, |(_, text)| text)
                .to_owned()
        };
        done.stderr.lines().map(text).collect()
    };
    let (before, first) = (plan(&[]), place.run("a", &blind).exits(0));
    assert!(before.contains("blinded"), "{before}");
    disguise_signal_region(&place);
    assert_eq!(plan(&[]), before);
    let second = place.run("b", &blind).exits(0);
    assert_eq!(status(&second), status(&first));
    same_results(&place, "a", "b", &RESULTS);
    let metrics = place.json("b/metrics.json");
    let sr = &metrics["regions"]["sr"];
    assert_eq!(
        (&sr["blind"], &sr["target_events"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(sr["yields"]["observed"], Value::Null);
    assert_eq!(sr["variables"]["pt"]["observed"], Value::Null);
    for entry in fs::read_dir(place.path("b/plots")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (a, b) = (format!("a/plots/{name}"), format!("b/plots/{name}"));
        assert!(place.read(&a) == place.read(&b), "{name}");
    }

    // what is opened: the same members, and the events in the numbers
    assert_ne!(plan(&["--unblind"]), before);
    let members = place.members("b");
    let mut arguments = Workplace::run_arguments("b", &blind);
    arguments.push("--unblind");
    let done = place.sideband(&arguments).exits(0);
    assert!(!done.stderr.contains("training"), "{}", done.stderr);
    assert_eq!(place.members("b"), members);
    let metrics = place.json("b/metrics.json");
    let target = read_parquet(&place.path("target.parquet"));
    let hidden = numbers(column(&target, "mass"))
        .iter()
        .filter(|m| **m > 0.7)
        .count();
    assert_eq!(metrics["regions"]["sr"]["target_events"], hidden);
    assert_eq!(place.json("b/manifest.json")["unblind"], true);
    // and closed again
    place.run("b", &blind).exits(0);
    same_results(&place, "a", "b", &RESULTS);
}

#[test]
fn arrow_files_give_the_same_members_as_parquet() {
    let place = Workplace::new();
    for name in ["source", "target"] {
        let columns = read_parquet(&place.path(&format!("{name}.parquet")));
        write_arrow(&place.path(&format!("{name}.arrow")), columns);
    }
    place.run("parquet", &[]).exits(0);
    let arrow = [
        "data.source.path=source.arrow",
        "data.target.path=target.arrow",
    ];
    place.run("arrow", &arrow).exits(0);
    same_results(&place, "parquet", "arrow", &RESULTS[1..]);
}

#[test]
fn one_file_or_many_give_the_same_members() {
    let place = Workplace::new();
    let all = read_parquet(&place.path("source.parquet"));
    for (name, first, rows) in [("part_1", 0, 150), ("part_2", 150, 250)] {
        let part = all
            .iter()
            .map(|(n, v)| (n.clone(), v.slice(first, rows)))
            .collect();
        crate::support::write_parquet(&place.path(&format!("{name}.parquet")), part);
    }
    place.run("one", &[]).exits(0);
    place
        .run("glob", &["data.source.path=part_*.parquet"])
        .exits(0);
    let list = "data.source.path=['part_2.parquet', 'part_1.parquet']";
    place.run("list", &[list]).exits(0);
    same_results(&place, "one", "glob", &RESULTS[1..]);
    same_results(&place, "one", "list", &RESULTS[1..]);
}

#[test]
fn categories_become_one_input_a_value() {
    let place = Workplace::new();
    let settings = ["features.one_hot={kind=[0, 1, 2]}"];
    let plan = ["plan", "config.toml", "--set", settings[0]];
    assert!(place.sideband(&plan).exits(0).stdout.contains("5 inputs"));
    place.run("out", &settings).exits(0);
    let metrics = place.json("out/metrics.json");
    let variables = metrics["regions"]["sr"]["variables"].as_object().unwrap();
    assert!(
        variables.keys().any(|name| name.starts_with("kind")),
        "{:?}",
        variables.keys()
    );
}

#[test]
fn derived_columns_can_be_inputs_selections_and_distributions() {
    let place = Workplace::new();
    let settings = [
        "data.define={ratio='pt / (1 + eta^2)', near='mass < 0.9'}",
        "data.source.selection=near",
        "data.target.selection=near && kind != 1",
        "features.inputs=['ratio', 'exp(-pt^2)', 'abs(eta)']",
        "report.variables=[{name='m', expression='100 * mass', bins=[0.0, 50.0, 100.0]}]",
    ];
    place.run("out", &settings).exits(0);
    let metrics = place.json("out/metrics.json");
    let variables = metrics["regions"]["cr"]["variables"].as_object().unwrap();
    for name in ["ratio", "exp(-pt^2)", "abs(eta)", "m"] {
        assert!(variables.contains_key(name), "{:?}", variables.keys());
    }
    let settings = ["--out", "new.parquet"];
    place
        .sideband(&[&["predict", "out", "target.parquet"], &settings[..]].concat())
        .exits(0);
}

#[test]
fn splits_by_member_and_by_folds() {
    let place = Workplace::new();
    place
        .run("member", &["training.split=member", "ensemble.members=3"])
        .exits(0);
    let folds = [
        "training.split=folds",
        "training.folds=2",
        "ensemble.members=5",
    ];
    place.run("folds", &folds).exits(0);
    let members = &place.json("folds/metrics.json")["members"];
    // the fifth member has no partner
    assert_eq!(
        (&members["usable"], &members["replicas"]),
        (&5.into(), &2.into())
    );
    let table = read_parquet(&place.path("folds/predictions/source.parquet"));
    let nominal = numbers(column(&table, "nominal"));
    assert!(nominal.iter().all(|w| w.is_finite() && *w > 0.0));
    // in the training region an event has the weight of the member of each
    // group that did not see it; elsewhere the mean of all
    let member = |m: usize| numbers(column(&table, &format!("member_{m:04}")));
    let members: Vec<Vec<f64>> = (0..4).map(member).collect();
    let in_cr = column(&table, "in_cr")
        .as_any()
        .downcast_ref::<BooleanArray>()
        .unwrap();
    let is = |a: f64, b: f64| (a - b).abs() < 1e-6 * b;
    for (i, nominal) in nominal.iter().enumerate() {
        let values: Vec<f64> = members.iter().map(|m| m[i]).collect();
        let fine = if in_cr.value(i) {
            [0, 1].iter().any(|a| {
                [2, 3]
                    .iter()
                    .any(|b| is(*nominal, 0.5 * (values[*a] + values[*b])))
            })
        } else {
            is(*nominal, 0.25 * values.iter().sum::<f64>())
        };
        assert!(fine, "{i}: {nominal} from {values:?}");
    }
}

#[test]
fn the_ratio_method_predicts_the_target_too() {
    let place = Workplace::new();
    place.run("out", &["experiment.method=ratio"]).exits(0);
    for (role, file) in [("source", "source.parquet"), ("target", "target.parquet")] {
        let table = read_parquet(&place.path(&format!("out/predictions/{role}.parquet")));
        let input = read_parquet(&place.path(file));
        assert_eq!(
            column(&table, "event").as_ref(),
            column(&input, "event").as_ref()
        );
        assert!(
            numbers(column(&table, "nominal"))
                .iter()
                .all(|r| r.is_finite() && *r > 0.0)
        );
    }
    // one definition of the ratio, in the run and in predict
    let arguments = ["predict", "out", "target.parquet", "--out", "new.parquet"];
    place.sideband(&arguments).exits(0);
    let new = read_parquet(&place.path("new.parquet"));
    let run = read_parquet(&place.path("out/predictions/target.parquet"));
    assert_eq!(
        column(&new, "nominal").as_ref(),
        column(&run, "nominal").as_ref()
    );
}

#[test]
fn every_choice_of_network_and_optimizer_runs() {
    let place = Workplace::new();
    let choices: [&[&str]; 5] = [
        &[
            "model.dropout=0.2",
            "model.batch_norm=true",
            "training.optimizer={kind='nadam'}",
            "training.schedule={kind='plateau', factor=0.5, patience=1}",
        ],
        &[
            "model.activation=silu",
            "training.optimizer={kind='adamw', weight_decay=0.01}",
            "training.schedule={kind='cosine', epochs=2}",
        ],
        &[
            "training.schedule={kind='exponential', decay=0.9}",
            "training.gradient_clip=1.0",
        ],
        &[
            "model.hidden=[]",
            "training.l2=1e-4",
            "ensemble.bootstrap=false",
        ],
        &["training.normalise=yield", "report.classifier_members=1"],
    ];
    for (number, settings) in choices.iter().enumerate() {
        let out = format!("out_{number}");
        place.run(&out, settings).exits(0);
        let arguments = ["predict", &out, "source.parquet", "--out", "new.parquet"];
        place.sideband(&arguments).exits(0);
        let new = read_parquet(&place.path("new.parquet"));
        let run = read_parquet(&place.path(&format!("{out}/predictions/source.parquet")));
        assert_eq!(
            column(&new, "nominal").as_ref(),
            column(&run, "nominal").as_ref()
        );
    }
    let auc = &place.json("out_4/metrics.json")["regions"]["sr"]["auc"];
    assert!(auc["after"].is_object(), "{auc}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let place = Workplace::new();
    for (out, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        place
            .run(out, &[&format!("experiment.seed={seed}")])
            .exits(0);
    }
    same_results(&place, "a", "b", &RESULTS);
    assert_eq!(differing(&place.members("a"), &place.members("c")).len(), 2);
}

#[test]
fn threads_and_blocks_change_nothing() {
    let place = Workplace::new();
    let network = [
        "model.dropout=0.1",
        "model.batch_norm=true",
        "ensemble.members=5",
    ];
    let run = |out: &str, threads: u32, block: u32| {
        let own = [
            format!("device.threads={threads}"),
            format!("device.block={block}"),
        ];
        let settings = [&network[..], &[own[0].as_str(), own[1].as_str()]].concat();
        place.run(out, &settings).exits(0);
    };
    run("plain", 1, 1);
    for (out, threads, block) in [("threads", 2, 1), ("block", 1, 3), ("both", 2, 2)] {
        run(out, threads, block);
        same_results(&place, "plain", out, &RESULTS[1..]);
    }
}

#[test]
fn a_member_does_not_know_how_many_there_are() {
    let place = Workplace::new();
    for (out, members, block) in [
        ("four", 4, 1),
        ("eight", 8, 1),
        ("stack", 8, 8),
        ("one", 1, 1),
    ] {
        let settings = [
            format!("ensemble.members={members}"),
            format!("device.block={block}"),
        ];
        place.run(out, &[&settings[0], &settings[1]]).exits(0);
    }
    let eight = place.members("eight");
    for (out, members) in [("four", 4), ("stack", 8), ("one", 1)] {
        let these = place.members(out);
        assert_eq!(these.len(), members);
        assert_eq!(differing(&these, &eight), Vec::<String>::new(), "{out}");
    }
}

/// Settings of a run that takes a second or two.
const LONG: [&str; 5] = [
    "ensemble.members=8",
    "training.epochs=40",
    "training.patience=40",
    "training.batch=16",
    "report.classifier_members=1",
];

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    // it may have ended just now
    let _ = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
}

/// Waits until the run has written its first member.
fn wait_for_a_member(place: &Workplace, run: &str) {
    let started = Instant::now();
    let folder = place.path(run).join("members");
    while !folder.is_dir() || place.members(run).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(120), "no member");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn interrupted_by_ctrl_c_a_run_stops_and_goes_on_later() {
    let place = Workplace::new();
    place.run("whole", &LONG).exits(0);
    for name in ["-INT", "-TERM"] {
        let run = format!("run{name}");
        let endless = [
            "training.epochs=100000",
            "training.patience=100000",
            "device.threads=2",
        ];
        let mut settings = LONG.to_vec();
        settings.extend(endless);
        let child = place.start(&Workplace::run_arguments(&run, &settings));
        while !place.path(&run).join("manifest.json").is_file() {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, name);
        let done = Done::of(child.wait_with_output().unwrap()).exits(130);
        assert!(
            done.stdout.contains("run the same command again"),
            "{}",
            done.stdout
        );
        assert_eq!(
            place.json(&format!("{run}/manifest.json"))["state"],
            "interrupted"
        );
        let about = place.sideband(&["inspect", &run]).exits(0);
        assert!(about.stdout.contains("interrupted"), "{}", about.stdout);
    }
    // with members finished before
    let child = place.start(&Workplace::run_arguments("out", &LONG));
    wait_for_a_member(&place, "out");
    signal(&child, "-INT");
    Done::of(child.wait_with_output().unwrap()).exits(130);
    let kept = place.members("out");
    assert!(!kept.is_empty());
    place.run("out", &LONG).exits(0);
    assert_eq!(
        differing(&kept, &place.members("out")),
        Vec::<String>::new()
    );
    same_results(&place, "whole", "out", &RESULTS);
    assert_eq!(place.json("out/manifest.json")["state"], "complete");
}

#[test]
fn killed_at_any_moment_a_run_goes_on_to_the_same_numbers() {
    let place = Workplace::new();
    let started = Instant::now();
    place.run("whole", &LONG).exits(0);
    let whole = started.elapsed();
    let mut numbers = Numbers::new(11);
    let mut killed = 0;
    for out in ["first", "second", "third"] {
        for _ in 0..4 {
            let mut child = place.start(&Workplace::run_arguments(out, &LONG));
            std::thread::sleep(whole.mul_f64(0.7 * numbers.uniform()));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                killed += 1;
            }
            child.wait().unwrap();
        }
        place.run(out, &LONG).exits(0);
        same_results(&place, "whole", out, &RESULTS);
        assert_eq!(
            place.json(&format!("{out}/manifest.json"))["state"],
            "complete"
        );
        let again = place.run(out, &LONG).exits(0);
        assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    }
    assert!(killed > 0, "every run had ended before it was killed");
}

#[test]
fn members_that_all_diverge_are_no_result() {
    let place = Workplace::new();
    // so large a step that the loss overflows
    let settings = [
        "training.learning_rate=10.0",
        "model.hidden=[50, 50, 50]",
        "training.retries=0",
    ];
    for _ in 0..2 {
        let done = place.run("out", &settings).exits(6);
        let text = "0 of 2 members succeeded, ensemble.minimum asks for 2";
        assert!(done.stderr.contains(text), "{}", done.stderr);
        assert!(!done.stderr.contains("anew"), "{}", done.stderr);
        assert_eq!(
            place.json("out/manifest.json")["failed"],
            serde_json::json!([0, 1])
        );
    }
    let about = place.sideband(&["inspect", "out"]).exits(0);
    assert!(
        about.stdout.contains("members  0 of 2, 2 failed"),
        "{}",
        about.stdout
    );
    place.sideband(&["report", "out"]).exits(4);
}

/// Makes a member one that has diverged: its outcome and its last loss.
fn spoil(path: &Path) {
    let Member { mut about, row } = Member::read(path).unwrap();
    about.outcome = Outcome::Diverged { epoch: 2 };
    about.history.validation[1] = f64::NAN;
    Member::new(about, row).write(path).unwrap();
}

#[test]
fn a_diverged_member_makes_the_result_partial() {
    let place = Workplace::new();
    let settings = ["ensemble.members=4", "ensemble.minimum=0.5"];
    place.run("out", &settings).exits(0);
    spoil(&place.path("out/members/member_0001.safetensors"));
    fs::remove_file(place.path("out/metrics.json")).unwrap();
    for _ in 0..2 {
        let done = place.run("out", &settings).exits(6);
        assert!(!done.stderr.contains("anew"), "{}", done.stderr);
        assert!(done.stdout.contains("result  out"), "{}", done.stdout);
    }
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["state"], "partial");
    assert_eq!(manifest["failed"], serde_json::json!([1]));
    let members = &place.json("out/metrics.json")["members"];
    assert_eq!(
        (&members["usable"], &members["requested"]),
        (&3.into(), &4.into())
    );
    let table = read_parquet(&place.path("out/predictions/source.parquet"));
    let members: Vec<&str> = names(&table)
        .into_iter()
        .filter(|n| n.starts_with("member_"))
        .collect();
    assert_eq!(members, ["member_0000", "member_0002", "member_0003"]);
    // the report itself is whole
    place.sideband(&["report", "out"]).exits(0);
    let about = place.sideband(&["inspect", "out"]).exits(0);
    assert!(
        about.stdout.contains("members  3 of 4, 1 failed"),
        "{}",
        about.stdout
    );
    let arguments = ["predict", "out", "source.parquet", "--out", "new.parquet"];
    place.sideband(&arguments).exits(0);

    // more must succeed: no result, and the old one is not shown as one
    let fresh = ["ensemble.members=4"];
    place.run("strict", &fresh).exits(0);
    spoil(&place.path("strict/members/member_0001.safetensors"));
    fs::remove_file(place.path("strict/metrics.json")).unwrap();
    let done = place.run("strict", &fresh).exits(6);
    assert!(
        done.stderr.contains("3 of 4 members succeeded"),
        "{}",
        done.stderr
    );
}

#[test]
fn results_at_the_edge_can_be_written_and_read_again() {
    let place = Workplace::new();
    let edges: [&[&str]; 6] = [
        &["ensemble.members=1"],
        &["report.bins=1"],
        // a handful of events
        &["regions.sr.selection=mass > 0.99", "report.bins=40"],
        // beyond all events, and a point
        &["report.variables=[{name='far', expression='pt + 1000', bins=[0.0, 1.0, 2.0]}]"],
        &[
            "report.variables=[{name='none', expression='log(-exp(pt))', bins=[0.0, 1.0, 2.0]}]",
            "data.max_loss=1.0",
        ],
        &["data.source.weight=weight * (1 - 1.9 * (kind == 1))"],
    ];
    for (number, settings) in edges.iter().enumerate() {
        let out = format!("out_{number}");
        let first = place.run(&out, settings).exits(0);
        assert_eq!(
            place.sideband(&["report", &out]).exits(0).stdout,
            first.stdout
        );
        place.sideband(&["inspect", &out]).exits(0);
        let again = place.run(&out, settings).exits(0);
        assert!(
            again.stderr.contains("nothing to do"),
            "{settings:?}: {}",
            again.stderr
        );
    }
}

#[test]
fn two_devices_train_the_members_of_one() {
    let place = Workplace::new();
    let members = "ensemble.members=5";
    place.run("one", &[members]).exits(0);
    place
        .run("two", &[members, "device.name=\"cpu, cpu\""])
        .exits(0);
    let (one, two) = (place.members("one"), place.members("two"));
    assert_eq!(one.len(), 5);
    assert_eq!(differing(&one, &two), Vec::<String>::new());
}
