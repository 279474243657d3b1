//! The command line on a small data set, as a user runs it: what each command
//! prints and writes, that nothing depends on threads, blocks, the number of
//! members or on being killed, and that blind events leave no trace.

use crate::support::events::EVENTS;
use crate::support::workplace::{REWEIGHTING, copy, differing, modified, set, tree};
use crate::support::{
    Numbers, Running, Workplace, configuration, doubles, list, same_results,
    shipped_configurations, wait_until,
};
use arrow::array::{Array as _, BooleanArray, StringArray};
use serde_json::{Value, json};
use sideband::training::{Member, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Files of a run that do not depend on when and where it ran.
const RESULTS: [&str; 4] = [
    "config.toml",
    "metrics.json",
    "predictions/source.parquet",
    "plots/report.toml",
];

#[test]
fn help_version_and_usage_errors() {
    let place = Workplace::new();
    let help = place.sideband(&["--help"]).exits(0);
    let commands = "run mix plan init example status extend merge cancel worker devices inspect \
                    predict fit limit scan impacts combine report schema completions";
    for command in commands.split(' ') {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command}");
        let own = place.sideband(&[command, "--help"]).exits(0);
        assert!(own.stderr.is_empty());
        let example = format!("Example:\n  sideband {command}");
        own.says(["Usage: sideband", &example]);
    }
    help.says(["Exit codes: 0 ok, 2 usage, 3 config, 4 data"]);
    let version = place.sideband(&["--version"]).exits(0).stdout;
    let expected = concat!("sideband ", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.trim(), expected);
    let nothing = place.sideband(&[]).exits(2);
    assert_eq!(nothing.stdout, "");
    nothing.warns(["Usage: sideband"]);
}

#[test]
fn plan_says_what_would_be_done_and_does_nothing() {
    let place = Workplace::new();
    let done = place.sideband(&["plan", "config.toml"]).exits(0);
    assert_eq!(done.stderr, "");
    done.says([
        "small: reweighting, exponential loss, seed 7",
        "members     2, bootstrapped on cpu",
        "network     2 inputs, hidden [8], 33 parameters a member, 66 in all",
        "cr, trained on  source",
        "held out",
        "M events/s",
        "nominal         2       0           1",
    ]);
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn settings_and_device_of_the_command_line_go_on_top_of_the_file() {
    let place = Workplace::new();
    let done = place.plan(&["ensemble.members=5", "experiment.seed=9"]);
    done.exits(0).says(["seed 9", "members     5"]);
    let plan = [&["plan", "config.toml"][..], &set(&["device.name=gpu"])].concat();
    let done = place.sideband(&[&plan[..], &["--device", "cpu"]].concat());
    done.exits(0).says(["on cpu"]);
}

#[test]
fn devices_lists_the_cpu_as_usable() {
    let done = Workplace::new().sideband(&["devices"]).exits(0);
    let mut lines = done.stdout.lines();
    let cpu = lines.find(|line| line.starts_with("cpu")).unwrap();
    assert!(cpu.contains("yes") && cpu.contains("burn-flex"), "{cpu}");
    assert_eq!(done.stderr, "");
    let width = done.stdout.lines().map(|line| line.chars().count()).max();
    assert!(width <= Some(100), "{}", done.stdout);
    assert!(!done.stdout.contains("cargo"), "{}", done.stdout);
    done.says(["ndarray", "wgpu", "cuda", "this binary was built with cpu"]);
}

#[test]
fn inspect_of_a_file_counts_what_is_odd_in_it() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        columns.change("pt", |row, pt| match row {
            3 => f64::NAN,
            4 => f64::INFINITY,
            5 => 0.0,
            _ => pt,
        });
        columns.set("run", doubles(vec![51_539_607_580.0; columns.len()]));
        let words = std::iter::repeat_n("a", columns.len());
        columns.set("word", Arc::new(StringArray::from_iter_values(words)));
    });
    let inspect = |more: &[&str]| place.sideband(&[&["inspect"], more].concat()).exits(0);
    let text = inspect(&["source.parquet"]).begins("400 rows in 1 file");
    let text = text.says(["word    Utf8  it holds text; write a number for each"]);
    let run = text.stdout.lines().find(|line| line.starts_with("run "));
    let run = run.unwrap_or_default();
    assert_eq!(run.matches(" 51539607580 ").count(), 3, "{run}");
    let value = inspect(&["source.parquet", "--json"]).json();
    assert_eq!(value["rows"], 400);
    assert_eq!(value["files"][0], "source.parquet");
    let word = &value["unusable"][0];
    assert_eq!(
        (&word["name"], &word["type_name"]),
        (&json!("word"), &json!("Utf8"))
    );
    let mut columns = list(&value["columns"]).iter();
    let pt = columns.find(|c| c["name"] == "pt").unwrap();
    for odd in ["nans", "infinities", "zeros"] {
        assert_eq!(pt[odd], 1, "{odd}");
    }
    let both = Workplace::new().sideband(&["inspect", "*.parquet"]);
    both.exits(0).begins("800 rows in 2 files");
}

#[test]
fn a_file_that_is_not_there_is_named_once() {
    let done = Workplace::new().sideband(&["inspect", "x.root"]).exits(4);
    assert_eq!(done.stderr.matches("x.root").count(), 1, "{}", done.stderr);
}

/// Numbers and their nouns agree, whatever there is one of.
#[test]
fn one_is_said_in_the_singular() {
    let place = Workplace::new();
    let one = ["ensemble.members=1", "device.threads=1"];
    let run = place.run("out", &one).exits(0);
    let ask = |command| place.sideband(&[command, "out"]).exits(0).stdout;
    let plan = place.plan(&one).exits(0).stdout;
    let all = [run.stdout, run.stderr, ask("status"), ask("inspect"), plan];
    let nouns = "members threads files events ensembles epochs replicas inputs";
    for text in all.into_iter().chain([place.text("out/report.html")]) {
        for noun in nouns.split(' ') {
            let one = format!("1 {noun}");
            let found = text.match_indices(&one);
            let mut found =
                found.filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_ascii_digit()));
            assert_eq!(found.next(), None, "{text}");
        }
    }
}

#[test]
fn the_terminal_says_in_plain_words_what_the_page_says() {
    let place = Workplace::new();
    let labels = "features.labels={pt='p_{T}', eta='p_{T}'}";
    let run = place.run("out", &[labels]).exits(0);
    let about = place.sideband(&["inspect", "out"]).exits(0);
    for text in [&run.stdout, &about.stdout] {
        assert!(text.contains("least probable is pT"), "{text}");
    }
    let page = place.text("out/report.html");
    let verdict = run.stdout.split("result  ").next().unwrap_or_default();
    assert!(verdict.lines().count() >= 3, "{verdict}");
    for word in verdict.lines().filter_map(|line| line.split(' ').next()) {
        let said = format!("<span class=\"status\">{word}</span>");
        assert!(page.contains(&said), "{word} in {verdict}");
    }
}

#[test]
fn an_interrupted_matrix_says_nothing_of_what_has_no_result() {
    let place = Workplace::new();
    let settings = [
        "matrix.m=['a', 'b']",
        "experiment.description=${m}",
        "training.epochs=100000",
        "training.patience=100000",
    ];
    let run = [
        &Workplace::run_arguments("out", &settings)[..],
        &["--time-limit", "1"],
    ]
    .concat();
    let done = place.sideband(&run).exits(75);
    let mut lines = done.stdout.lines();
    assert!(lines.all(|line| !line.ends_with(':')), "{}", done.stdout);
}

#[test]
fn a_plan_without_a_measurement_has_no_empty_figures() {
    let place = Workplace::trained();
    let bare = place.plan(&[]).exits(0).stdout;
    for part in ["M events/s", "time", "not measured"] {
        assert!(!bare.contains(part), "{part} in {bare}");
    }
    let plan = |more: &[&str]| place.sideband(&[&["plan", "config.toml"], more].concat());
    let measured = plan(&[]).exits(0);
    let measured = measured.says(["at least", "at most", "of twice the patience in epochs"]);
    measured.says(["M events/s"]);
    let like = plan(&["--out", "out"]).exits(0);
    like.says(["of the median of 2 members that are there in epochs"]);
    // those of another plan say nothing
    let other = [&["--out", "out"][..], &set(&["training.batch=32"])].concat();
    plan(&other)
        .exits(0)
        .says(["of twice the patience in epochs"]);
}

#[test]
fn completions_for_every_shell() {
    let place = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = place.sideband(&["completions", shell]).exits(0);
        done.says(["sideband", "unblind"]);
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
            let reasons = choices.iter().map(|c| misfit(root, c, value, path));
            let reasons: Option<Vec<String>> = reasons.collect();
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
    let words = schema["enum"].as_array();
    if constant || words.is_some_and(|words| !words.contains(value)) {
        return Some(format!("{path}: {value} is not allowed"));
    }
    let pattern = schema.get("pattern").is_some();
    if pattern && !value.as_str().is_some_and(|text| text.contains("${")) {
        return Some(format!("{path}: {value} stands for nothing"));
    }
    if let Some(list) = value.as_array() {
        let items = schema.get("items").unwrap_or(&Value::Bool(true));
        let mut items = list
            .iter()
            .map(|v| misfit(root, items, v, &format!("{path}[]")));
        return items.find_map(|reason| reason);
    }
    let table = value.as_object()?;
    let mut required = schema["required"].as_array().into_iter().flatten();
    if let Some(key) = required.find(|key| !table.contains_key(key.as_str().unwrap())) {
        return Some(format!("{path}: {key} is missing"));
    }
    table.iter().find_map(|(key, inner)| {
        let path = format!("{path}.{key}");
        let others = schema.get("additionalProperties");
        match (schema["properties"].get(key), others) {
            (Some(own), _) => misfit(root, own, inner, &path),
            (None, Some(Value::Bool(false))) => Some(format!("{path}: unknown key")),
            (None, Some(other)) => misfit(root, other, inner, &path),
            (None, None) => None,
        }
    })
}

#[test]
fn schema_accepts_every_shipped_configuration_and_no_misspelt_one() {
    let schema = Workplace::new().sideband(&["schema"]).exits(0).json();
    let misfit = |text: &str| {
        let table: toml::Table = toml::from_str(text).unwrap();
        misfit(&schema, &schema, &serde_json::to_value(table).unwrap(), "")
    };
    let shipped = shipped_configurations();
    assert!(shipped.len() >= 4);
    for (name, text) in shipped {
        assert_eq!(misfit(&text), None, "{name}");
    }
    let small = configuration("reweighting");
    assert_eq!(misfit(&small), None);
    // that of one method has no others
    let limit = Workplace::new()
        .sideband(&["schema", "limit"])
        .exits(0)
        .json();
    assert!(limit["$defs"]["Limit"].is_object() && limit["$defs"]["Config"].is_null());
    let unknown = Workplace::new().sideband(&["schema", "limits"]).exits(2);
    unknown.warns(["reweight, ratio, interpolate, mix, measure, limit"]);
    for (right, wrong) in [
        ("batch = 64", "bacth = 64"),
        ("batch = 64", "batch = \"64\""),
        ("\"reweight\"", "\"rewieght\""),
        ("region = \"cr\"", ""),
    ] {
        assert!(misfit(&small.replace(right, wrong)).is_some(), "{wrong}");
    }
}

#[test]
fn a_run_writes_everything_and_says_where() {
    let place = Workplace::new();
    let done = place.run("out", &[]).exits(0);
    let done = done.says(["result  out\nreport  out/report.html"]);
    done.warns(["training 2 members on cpu"]);
    let written = "config.toml manifest.json metrics.json report.html log.jsonl \
                   members/member_0000.safetensors members/member_0001.safetensors \
                   predictions/source.parquet";
    for name in written.split(' ') {
        assert!(!place.read(&format!("out/{name}")).is_empty(), "{name}");
    }
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["state"], "complete");
    assert_eq!(manifest["seed"], 7);
    assert_eq!(manifest["inputs"]["source"][0]["rows"], 400);
    assert_eq!(manifest["inputs"]["source"][0]["path"], "source.parquet");
    for line in place.text("out/log.jsonl").lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["event"].is_string(), "{line}");
    }
    let plots = tree(&place.path("out/plots"));
    for kind in ["svg", "png", "pdf", "json"] {
        let is_of_kind = |path: &&PathBuf| path.extension().unwrap() == kind;
        assert!(plots.keys().filter(is_of_kind).count() > 3, "{kind}");
    }
    let report = place.text("out/report.html");
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http"));

    let about = place.sideband(&["inspect", "out"]).exits(0);
    about.says(["state    complete", "members  2 of 2, 0 failed"]);
    let about = place.sideband(&["inspect", "out", "--json"]).exits(0);
    let mut about = about.json();
    let verdict = about.as_object_mut().unwrap().remove("verdict");
    assert_eq!(verdict.unwrap(), place.json("out/metrics.json")["verdict"]);
    assert_eq!(about, manifest);
}

#[test]
fn without_out_a_run_goes_to_its_name() {
    let place = Workplace::new();
    let done = place.sideband(&["run", "config.toml"]).exits(0);
    done.says(["result  runs/small\n"]);
    assert!(place.has("runs/small/report.html"));
}

#[test]
fn quiet_is_quiet_and_still_gives_the_result() {
    let place = Workplace::new();
    for _ in 0..2 {
        let done = place.run_quietly("out", &[]).exits(0);
        assert_eq!(done.stderr, "");
        done.says(["result  out"]);
    }
}

/// Bars with the time that is left, from training to figures; a run without a terminal has
/// lines alone.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_what_is_under_way() {
    let place = Workplace::new();
    let program = env!("CARGO_BIN_EXE_sideband");
    let mut script = std::process::Command::new("script");
    let run = format!("{program} run config.toml --set report.classifier_members=5");
    let script = script
        .args(["-qec", &run, "/dev/null"])
        .env("TERM", "xterm");
    let Ok(output) = script.current_dir(place.path("")).output() else {
        println!("skipped, there is no `script` here that lends a terminal");
        return;
    };
    let shown = String::from_utf8(output.stdout).unwrap();
    for stage in ["training [", "applying [", "classifying [", "drawing ["] {
        assert!(shown.contains(stage), "no {stage} in {shown}");
    }
    assert!(
        shown.contains("… left") && !shown.contains("0s left"),
        "{shown}"
    );
    let done = place
        .run("lines", &["report.classifier_members=5"])
        .exits(0);
    for bar in ["applying [", "\u{1b}["] {
        assert!(!done.stderr.contains(bar), "{}", done.stderr);
    }
}

#[test]
fn predictions_have_ids_nominal_spread_and_members() {
    let place = Workplace::new();
    place.run("out", &["ensemble.members=3"]).exits(0);
    let table = place.events("out/predictions/source.parquet");
    let expected = "event in_sr in_cr weight nominal spread median member_0000 member_0001 \
                    member_0002";
    let expected: Vec<&str> = expected.split(' ').collect();
    assert_eq!(table.names(), expected);
    let input = place.events("source.parquet");
    assert_eq!(table.get("event"), input.get("event"));
    assert_eq!(table.numbers("weight"), input.numbers("weight"));
    let mass = input.numbers("mass");
    let in_sr = table.get("in_sr").as_any();
    let in_sr = in_sr.downcast_ref::<BooleanArray>().unwrap();
    let members = [7, 8, 9].map(|column| table.numbers(expected[column]));
    let [nominal, spread, median] = ["nominal", "spread", "median"].map(|name| table.numbers(name));
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
    let target = place.events("target.parquet");
    let yields = |mass: &[f64], weights: &[f64]| -> f64 {
        let pairs = mass.iter().zip(weights);
        pairs.filter(|(m, _)| **m <= 0.7).map(|(_, w)| w).sum()
    };
    let observed = yields(&target.numbers("mass"), &target.numbers("weight"));
    for weights in &members {
        let sum = yields(&mass, weights);
        assert!((sum / observed - 1.0).abs() < 1e-5, "{sum} {observed}");
    }
}

#[test]
fn the_median_can_be_the_nominal() {
    let place = Workplace::new();
    let settings = ["ensemble.members=3", "ensemble.combine=median"];
    place.run("out", &settings).exits(0);
    let table = place.events("out/predictions/source.parquet");
    assert_eq!(table.numbers("nominal"), table.numbers("median"));
}

#[test]
fn running_again_does_nothing() {
    let place = Workplace::trained();
    let out = place.path("out");
    let results = "members predictions plots metrics.json manifest.json";
    let is_result = |path: &PathBuf| results.split(' ').any(|name| path.starts_with(name));
    let stamps = || -> Vec<_> {
        let files = tree(&out).into_keys().filter(is_result);
        let stamp = |path: PathBuf| (modified(&out.join(&path)), path);
        files.map(stamp).collect()
    };
    let (members, before) = (place.members("out"), stamps());
    let second = place.run("out", &[]).exits(0);
    assert_eq!(second.stdout, REWEIGHTING.done.stdout);
    second.warns(["nothing to do"]);
    assert_eq!(stamps(), before);
    assert_eq!(place.members("out"), members);
}

#[test]
fn a_changed_report_keeps_the_members() {
    let place = Workplace::trained();
    let before = modified(&place.member("out", 1));
    let done = place.run("out", &["report.bins=3", "device.threads=2"]);
    done.exits(0).warns_not("training");
    assert_eq!(modified(&place.member("out", 1)), before);
    let metrics = place.json("out/metrics.json");
    let edges = &metrics["regions"]["sr"]["variables"]["pt"]["edges"];
    assert_eq!(list(edges).len(), 4);
}

#[test]
fn what_was_deleted_is_made_again() {
    let place = Workplace::new();
    place.run("out", &["experiment.method=ratio"]).exits(0);
    let members = place.members("out");
    let derived = "predictions/source.parquet predictions/target.parquet metrics.json report.html \
                   manifest.json";
    for name in derived.split(' ') {
        let file = format!("out/{name}");
        let whole = place.read(&file);
        place.remove(&file);
        let done = place.run("out", &["experiment.method=ratio"]).exits(0);
        done.warns_not("training");
        // times of day are in the manifest and on the page
        let has_times = name == "manifest.json" || name == "report.html";
        assert!(place.read(&file) == whole || has_times, "{name}");
    }
    assert_eq!(place.members("out"), members);
}

#[test]
fn report_can_be_redone() {
    let place = Workplace::trained();
    let page = place.read("out/report.html");
    place.remove("out/report.html");
    place.remove("out/plots");
    let done = place.sideband(&["report", "out"]).exits(0);
    assert_eq!(done.stdout, REWEIGHTING.done.stdout);
    assert!(place.read("out/report.html") == page);
    assert!(place.has("out/plots"));
}

#[test]
fn predict_applies_the_ensemble_to_other_events() {
    let place = Workplace::trained();
    let predict = |file: &str, more: &[&str]| {
        let arguments = ["predict", "out", file, "--out", "new.parquet"];
        place.sideband(&[&arguments, more].concat())
    };
    let done = predict("source.parquet", &[]).exits(0);
    assert_eq!(done.stdout, "400 events in new.parquet\n");
    let new = place.events("new.parquet");
    let run = place.events("out/predictions/source.parquet");
    for (name, values) in &new.0 {
        assert_eq!(values, run.get(name), "{name}");
    }
    assert!(!new.names().iter().any(|n| n.starts_with("in_")));

    let selection = ["--selection", "mass > 0.7 && kind == 2"];
    let columns = ["--weight", "2", "--id", "event,kind"];
    predict("target.parquet", &[&selection[..], &columns].concat()).exits(0);
    let some = place.events("new.parquet");
    assert_eq!(some.names()[..4], ["event", "kind", "weight", "nominal"]);
    for column in ["kind", "weight"] {
        assert!(some.numbers(column).iter().all(|x| *x == 2.0), "{column}");
    }
}

#[test]
fn events_with_missing_features_can_be_dropped() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        columns.change("pt", |row, pt| match row {
            3 => None,
            4 => Some(f64::NAN),
            5 => Some(f64::INFINITY),
            _ => Some(pt),
        });
    });
    place.run("out", &[]).exits(4);
    let done = place.run("out", &["data.on_missing=drop"]).exits(0);
    done.warns(["data.source: 3 events (0.75 %,"]);
    let predicted = place.events("out/predictions/source.parquet");
    let ids = predicted.numbers("event");
    assert_eq!(ids.len(), EVENTS - 3);
    assert!(!ids.iter().any(|id| (3.0..6.0).contains(id)));
}

/// What blind events leave a trace in is in `rules/blinding.rs`; here they are opened.
#[test]
fn blind_events_leave_no_trace_until_unblinded() {
    let place = Workplace::new();
    let blind = ["regions.sr.blind=true"];
    place.plan(&blind).exits(0).says(["blinded"]);
    place.run("closed", &blind).exits(0);
    let sr = &place.json("closed/metrics.json")["regions"]["sr"];
    assert_eq!(sr["blind"], true);
    let observed = [&sr["yields"], &sr["variables"]["pt"]].map(|of| &of["observed"]);
    for seen in observed.into_iter().chain([&sr["target_events"]]) {
        assert!(seen.is_null(), "{sr}");
    }
    // the same members, and the events in the numbers
    copy(&place.path("closed"), &place.path("open"));
    place
        .run_open("open", &blind)
        .exits(0)
        .warns_not("training");
    same_results(&place, "closed", "open", &[]);
    let mass = place.events("target.parquet").numbers("mass");
    let hidden = mass.iter().filter(|m| **m > 0.7).count();
    let sr = &place.json("open/metrics.json")["regions"]["sr"];
    assert_eq!(sr["target_events"], hidden);
    assert_eq!(place.json("open/manifest.json")["unblind"], true);
    // and closed again
    place.run("open", &blind).exits(0);
    same_results(&place, "closed", "open", &RESULTS);
}

#[test]
fn arrow_files_give_the_same_members_as_parquet() {
    let place = Workplace::new();
    for name in ["source", "target"] {
        let columns = place.events(&format!("{name}.parquet"));
        columns.write_arrow(&place.path(&format!("{name}.arrow")));
    }
    place.run("parquet", &[]).exits(0);
    let paths = ["source", "target"].map(|role| format!("data.{role}.path={role}.arrow"));
    let paths = paths.each_ref().map(String::as_str);
    place.run("arrow", &paths).exits(0);
    same_results(&place, "parquet", "arrow", &RESULTS[1..]);
}

#[test]
fn one_file_or_many_give_the_same_members() {
    let place = Workplace::new();
    let all = place.events("source.parquet");
    place.put("part_1.parquet", &all.slice(0, 150));
    place.put("part_2.parquet", &all.slice(150, 250));
    place.run("one", &[]).exits(0);
    for (out, path) in [
        ("glob", "part_*.parquet"),
        ("list", "['part_2.parquet', 'part_1.parquet']"),
    ] {
        let path = format!("data.source.path={path}");
        place.run(out, &[&path]).exits(0);
        same_results(&place, "one", out, &RESULTS[1..]);
    }
}

#[test]
fn categories_become_one_input_a_value() {
    let place = Workplace::new();
    let settings = ["features.one_hot={kind=[0, 1, 2]}"];
    place.plan(&settings).exits(0).says(["5 inputs"]);
    place.run("out", &settings).exits(0);
    let metrics = place.json("out/metrics.json");
    let variables = metrics["regions"]["sr"]["variables"].as_object().unwrap();
    let has_kind = variables.keys().any(|name| name.starts_with("kind"));
    assert!(has_kind, "{:?}", variables.keys());
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
    place.predict("out", "target.parquet", "new.parquet");
}

#[test]
fn splits_by_member_and_by_folds() {
    let place = Workplace::new();
    let member = ["training.split=member", "ensemble.members=3"];
    place.run("member", &member).exits(0);
    let folds = ["training.split=folds", "ensemble.members=5"];
    let folds = [&folds[..], &["training.folds=2"]].concat();
    place.run("folds", &folds).exits(0);
    let members = &place.json("folds/metrics.json")["members"];
    // the fifth member has no partner
    assert_eq!(members["usable"], 5);
    assert_eq!(members["replicas"], 2);
    let table = place.events("folds/predictions/source.parquet");
    let nominal = table.numbers("nominal");
    assert!(nominal.iter().all(|w| w.is_finite() && *w > 0.0));
    // in the training region an event has the weight of the member of each
    // group that did not see it; elsewhere the mean of all
    let member = |m: usize| table.numbers(&format!("member_{m:04}"));
    let members: Vec<Vec<f64>> = (0..4).map(member).collect();
    let in_cr = table.get("in_cr").as_any();
    let in_cr = in_cr.downcast_ref::<BooleanArray>().unwrap();
    let is = |a: f64, b: f64| (a - b).abs() < 1e-6 * b;
    for (i, nominal) in nominal.iter().enumerate() {
        let values: Vec<f64> = members.iter().map(|m| m[i]).collect();
        let fine = if in_cr.value(i) {
            let pairs = [(0, 2), (0, 3), (1, 2), (1, 3)];
            let mut means = pairs
                .map(|(a, b)| 0.5 * (values[a] + values[b]))
                .into_iter();
            means.any(|mean| is(*nominal, mean))
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
    for file in ["source.parquet", "target.parquet"] {
        let table = place.events(&format!("out/predictions/{file}"));
        assert_eq!(table.get("event"), place.events(file).get("event"));
        let ratios = table.numbers("nominal");
        assert!(ratios.iter().all(|r| r.is_finite() && *r > 0.0));
    }
    predicts_as_the_run(&place, "out", "target.parquet");
}

/// One definition of the ratio, in the run and in predict.
#[track_caller]
fn predicts_as_the_run(place: &Workplace, out: &str, file: &str) {
    place.predict(out, file, "new.parquet");
    let new = place.events("new.parquet");
    let run = place.events(&format!("{out}/predictions/{file}"));
    assert_eq!(new.get("nominal"), run.get("nominal"), "{out}");
}

/// More members by `run` are an extension, all or nothing; fewer are a result of some, and
/// `extend`, which takes none away, says so.
#[test]
fn a_run_grows_and_shrinks_by_its_number_of_members() {
    let place = Workplace::trained();
    let first = place.members("out");
    // what is refused leaves the run as it was
    let files = tree(&place.path("out"));
    let wrong = ["ensemble.members=4", "training.batch=32"];
    place.run("out", &wrong).exits(3);
    assert!(tree(&place.path("out")) == files);
    let four = ["ensemble.members=4"];
    let done = place.run("out", &four).exits(0);
    done.warns(["training 2 members"]);
    assert!(differing(&first, &place.members("out")).is_empty());
    place.run("fresh", &four).exits(0);
    same_results(&place, "fresh", "out", &RESULTS);
    let fewer = place.sideband(&["extend", "out", "--members", "3"]);
    let advice = fewer.exits(2).stderr;
    assert!(advice.contains("the run has 4 members already"), "{advice}");
    assert!(advice.contains("--set ensemble.members=3"), "{advice}");
    let three = [
        "run",
        "out/config.toml",
        "--out",
        "out",
        "--set",
        "ensemble.members=3",
    ];
    let done = place.sideband(&three).exits(0);
    done.warns(["1 member above ensemble.members = 3 is set aside"]);
    assert_eq!(place.json("out/metrics.json")["members"]["requested"], 3);
    place.run("out", &four).exits(0).warns_not("training");
    same_results(&place, "fresh", "out", &RESULTS);
}

#[test]
fn every_choice_of_network_and_optimizer_runs() {
    let place = Workplace::new();
    let choices = [
        "model.dropout=0.2 model.batch_norm=true training.optimizer={kind='nadam'} \
         training.schedule={kind='plateau',factor=0.5,patience=1}",
        "model.activation=silu training.optimizer={kind='adamw',weight_decay=0.01} \
         training.schedule={kind='cosine',epochs=2}",
        "training.schedule={kind='exponential',decay=0.9} training.gradient_clip=1.0",
        "model.hidden=[] training.l2=1e-4 ensemble.bootstrap=false",
        "training.normalise=yield report.classifier_members=1",
    ];
    for (number, settings) in choices.iter().enumerate() {
        let out = format!("out_{number}");
        let settings: Vec<&str> = settings.split(' ').collect();
        place.run(&out, &settings).exits(0);
        predicts_as_the_run(&place, &out, "source.parquet");
    }
    let auc = &place.json("out_4/metrics.json")["regions"]["sr"]["auc"];
    assert!(auc["after"].is_object(), "{auc}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let place = Workplace::new();
    for (out, seed) in [("a", 7), ("b", 7), ("c", 8)] {
        let seed = format!("experiment.seed={seed}");
        place.run(out, &[&seed]).exits(0);
    }
    same_results(&place, "a", "b", &RESULTS);
    assert_eq!(differing(&place.members("a"), &place.members("c")).len(), 2);
}

#[test]
fn threads_and_blocks_change_nothing() {
    let place = Workplace::new();
    let network = ["model.dropout=0.1", "ensemble.members=5"];
    let network = [&network[..], &["model.batch_norm=true"]].concat();
    let run = |out: &str, threads: u32, block: u32| {
        let own = format!("device={{threads={threads}, block={block}}}");
        place.run(out, &[&network[..], &[&own]].concat()).exits(0);
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
    let members = |out: &str, number: usize, block: &str| {
        let number_of = format!("ensemble.members={number}");
        place.run(out, &[&number_of, block]).exits(0);
        assert_eq!(place.members(out).len(), number);
        place.members(out)
    };
    let eight = members("eight", 8, "device.block=1");
    for (out, number, block) in [("four", 4, 1), ("stack", 8, 8), ("one", 1, 1)] {
        let these = members(out, number, &format!("device.block={block}"));
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
#[test]
fn interrupted_by_ctrl_c_a_run_stops_and_goes_on_later() {
    let place = Workplace::new();
    place.run("whole", &LONG).exits(0);
    let endless = ["training.epochs=100000", "training.patience=100000"];
    let endless = [&LONG[..], &endless, &["device.threads=2"]].concat();
    let stop = |mut child: Running, signal: &str| {
        child.signal(signal);
        child.end().exits(130)
    };
    for signal in ["-INT", "-TERM"] {
        let run = format!("run{signal}");
        let child = place.start(&Workplace::run_arguments(&run, &endless));
        let manifest = format!("{run}/manifest.json");
        wait_until("a manifest", || place.has(&manifest));
        stop(child, signal).says(["run the same command again"]);
        assert_eq!(place.json(&manifest)["state"], "interrupted");
        let about = place.sideband(&["inspect", &run]).exits(0);
        about.says(["interrupted"]);
    }
    // with members finished before
    let child = place.start(&Workplace::run_arguments("out", &LONG));
    wait_until("a member", || {
        place.has("out/members") && !place.members("out").is_empty()
    });
    stop(child, "-INT");
    let kept = place.members("out");
    assert!(!kept.is_empty());
    place.run("out", &LONG).exits(0);
    let differing = differing(&kept, &place.members("out"));
    assert!(differing.is_empty(), "{differing:?}");
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
            killed += u32::from(!child.has_ended());
            child.kill();
        }
        place.run(out, &LONG).exits(0);
        same_results(&place, "whole", out, &RESULTS);
        let manifest = place.json(&format!("{out}/manifest.json"));
        assert_eq!(manifest["state"], "complete");
        place.run(out, &LONG).exits(0).warns(["nothing to do"]);
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
        let done = done.warns(["0 of 2 members succeeded, ensemble.minimum asks for 2"]);
        done.warns_not("anew");
        assert_eq!(place.json("out/manifest.json")["failed"], json!([0, 1]));
        assert!(!place.has("out/metrics.json"));
    }
    let about = place.sideband(&["inspect", "out"]).exits(0);
    about.says(["members  0 of 2, 2 failed"]);
    place.sideband(&["report", "out"]).exits(4);
}

/// Makes a member one that has diverged: its outcome and its last loss.
fn spoil(path: &Path) {
    let Member { mut about, row } = Member::read(path).unwrap();
    about.outcome = Outcome::Diverged { epoch: 2 };
    about.history.validation[1] = f64::NAN;
    Member::new(about, row).write(path).unwrap();
}

/// What the command ends with another exit code than 0 is no result that a caller of the
/// library takes for whole.
#[test]
fn the_library_does_not_pass_a_partial_result_over() {
    let place = Workplace::new();
    let file = |key: &str| {
        format!(
            "data.{key}.path={:?}",
            place.path(&format!("{key}.parquet"))
        )
    };
    let mut settings = vec![file("source"), file("target")];
    settings.extend(["ensemble.members=4", "ensemble.minimum=0.5"].map(str::to_owned));
    let text = place.text("config.toml");
    let run = || sideband::run(&text, &settings, &place.path("out"));
    assert_eq!(run().unwrap().path(), place.path("out"));
    spoil(&place.member("out", 1));
    place.remove("out/metrics.json");
    let error = run().unwrap_err();
    assert_eq!(error.kind(), sideband::error::Kind::Partial);
    assert!(error.to_string().contains("members failed"), "{error}");
    assert!(place.has("out/metrics.json"));
}

#[test]
fn a_diverged_member_makes_the_result_partial() {
    let place = Workplace::new();
    let settings = ["ensemble.members=4", "ensemble.minimum=0.5"];
    place.run("out", &settings).exits(0);
    spoil(&place.member("out", 1));
    place.remove("out/metrics.json");
    for _ in 0..2 {
        let done = place.run("out", &settings).exits(6);
        done.warns_not("anew").says(["result  out"]);
    }
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["state"], "partial");
    assert_eq!(manifest["failed"], json!([1]));
    let members = &place.json("out/metrics.json")["members"];
    assert_eq!(members["usable"], 3);
    assert_eq!(members["requested"], 4);
    let table = place.events("out/predictions/source.parquet");
    let mut members = table.names();
    members.retain(|name| name.starts_with("member_"));
    assert_eq!(members, ["member_0000", "member_0002", "member_0003"]);
    // the report itself is whole
    place.sideband(&["report", "out"]).exits(0);
    let about = place.sideband(&["inspect", "out"]).exits(0);
    about.says(["members  3 of 4, 1 failed"]);
    place.predict("out", "source.parquet", "new.parquet");

    // more must succeed: no result, and the old one is not shown as one
    let fresh = ["ensemble.members=4"];
    place.run("strict", &fresh).exits(0);
    spoil(&place.member("strict", 1));
    place.remove("strict/metrics.json");
    let done = place.run("strict", &fresh).exits(6);
    done.warns(["3 of 4 members succeeded"]);
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
        let report = place.sideband(&["report", &out]).exits(0);
        assert_eq!(report.stdout, first.stdout);
        place.sideband(&["inspect", &out]).exits(0);
        place.run(&out, settings).exits(0).warns(["nothing to do"]);
    }
}

/// Values of any kind vary along axes, and the page puts the ensembles in order by what is
/// asked for, without computing anything anew.
#[test]
fn a_scan_of_numbers_and_lists_is_ranked() {
    let place = Workplace::new();
    let scan = [
        "matrix.rate=[0.001, 0.03]",
        "matrix.net=[{name='one', hidden=[8]}, {name='two', hidden=[6, 4]}]",
        "training.learning_rate=${rate}",
        "model.hidden=${net.hidden}",
    ];
    let run = |by: &str| {
        let by = format!("report.rank_by={by}");
        place.run("out", &[&scan[..], &[&by]].concat()).exits(0)
    };
    let done = run("{kind='held_out_loss'}").says(["note    Held-out loss: 1. rate="]);
    let places = || -> Vec<(String, Value)> {
        let summary = place.json("out/summary.json");
        let all = summary.as_object().unwrap().iter();
        all.map(|(name, about)| (name.clone(), about["score"].clone()))
            .collect()
    };
    let by_loss = places();
    assert_eq!(by_loss.len(), 4);
    let mut losses = Vec::new();
    for (name, score) in &by_loss {
        let own = place.json(&format!("out/ensembles/{name}/metrics.json"));
        assert_eq!(
            own["loss"]["held_out"],
            json!([score["value"], score["error"]])
        );
        losses.push((
            score["value"].as_f64().unwrap(),
            score["place"].as_u64().unwrap(),
        ));
    }
    losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    let order: Vec<u64> = losses.iter().map(|(_, place)| *place).collect();
    assert_eq!(order, [1, 2, 3, 4], "{losses:?}");
    let best = by_loss
        .iter()
        .find(|(_, score)| score["place"] == 1)
        .unwrap();
    done.says([format!("1. {}, ", best.0)]);
    let again = run("{kind='chi2', region='sr', variable='pt'}");
    again
        .warns(["nothing to do"])
        .says(["χ² / ndf of pt in sr: 1. rate="]);
    assert!(places() != by_loss);
    let page = place.text("out/report.html");
    assert!(page.contains("Ranking") && page.contains("Behind the first"));
    let by_auc = "{kind='auc', region='sr'}";
    run(by_auc).warns(["nothing to do", "no ensemble gets a place"]);
    place.says_in("out/report.html", "is not ranked: no AUC");
    let by_auc = format!("report.rank_by={by_auc}");
    let plan = place.plan(&[&scan[..], &[&by_auc]].concat()).exits(0);
    plan.warns([
        "report.rank_by ranks by the AUC in sr",
        "no ensemble gets a place",
    ]);
}

/// With nothing held out the training region has no diagnostics, which is said.
#[test]
fn all_events_of_the_training_region_can_be_trained_on() {
    let place = Workplace::new();
    let all = ["training.held_out=0.0"];
    let said = "cr: training.held_out is 0";
    place.run("out", &all).exits(0).says([said]);
    let regions = &place.json("out/metrics.json")["regions"];
    assert!(regions.get("cr").is_none() && regions["sr"]["yields"]["ratio"].is_number());
    place.says_in("out/report.html", said);
    place.run("out", &all).exits(0).warns(["nothing to do"]);
    place.predict("out", "target.parquet", "new.parquet");
    place.configure(&[("[regions.sr]\nselection = \"mass > 0.7\"\n", "")]);
    let done = place.run("alone", &all).exits(0);
    done.says(["untested Closure cannot be judged"]);
}

#[test]
fn two_devices_train_the_members_of_one() {
    let place = Workplace::new();
    let members = "ensemble.members=5";
    place.run("one", &[members]).exits(0);
    let devices = "device.name=\"cpu, cpu\"";
    place.run("two", &[members, devices]).exits(0);
    assert_eq!(place.members("one").len(), 5);
    same_results(&place, "one", "two", &[]);
}
