//! Every event is counted, every value is what the file says.

use crate::support::events::reweighting;
use crate::support::workplace::INTERPOLATION;
use crate::support::{
    Columns, Done, Numbers, Workplace, contains, doubles, integers, list, numbers,
};
use arrow::array::{Array, BooleanArray};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Contents of a histogram as numpy makes it, but for what lies beyond: that is in the
/// end bins.
fn histogram(values: &[f64], weights: &[f64], edges: &[f64]) -> Vec<f64> {
    let mut contents = vec![0.0; edges.len() - 1];
    for (value, weight) in values.iter().zip(weights).filter(|(v, _)| !v.is_nan()) {
        let above = edges[1..edges.len() - 1].iter().filter(|e| value >= e);
        contents[above.count()] += weight;
    }
    contents
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        let close = (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        assert!(close, "{what}: {found:?}, not {expected:?}");
    }
}

/// Events that are missing in a result, and why.
#[derive(Debug, Deserialize)]
struct Loss {
    kind: String,
    name: String,
    events: u64,
    weight: f64,
}

impl Loss {
    fn about(&self) -> (&str, &str, u64) {
        (&self.kind, &self.name, self.events)
    }
}

/// Losses of a sample of a result.
fn losses(result: &Value, sample: &str) -> Vec<Loss> {
    let samples = list(&result["losses"]);
    let found = samples.iter().find(|s| s["sample"] == sample);
    let found = found.unwrap_or_else(|| panic!("no losses of {sample} in {samples:?}"));
    serde_json::from_value(found["lost"].clone()).unwrap()
}

const DROP: &str = "data.on_missing=drop";

/// Simulated events of each sample.
const SIMULATED: usize = 800;
/// What each background event weighs.
const BACKGROUND_WEIGHT: f64 = 2.0 * 400.0 / SIMULATED as f64;

/// A measurement whose `z` are multiples of 0.1, many of them on the edges of bins.
fn measurement() -> Workplace {
    let place = Workplace::measurement(2, SIMULATED, [60.0, 400.0], [0.0, 450.0]);
    for file in ["S.parquet", "B.parquet", "obs.parquet"] {
        place.edit(file, |columns| {
            columns.change("z", |_, z| (10.0 * z).round() / 10.0);
        });
    }
    place
}

/// The histograms of a channel, against the file's own.
#[track_caller]
fn assert_templates(place: &Workplace, keep: impl Fn(f64) -> bool) {
    let templates = place.json("out/templates.json");
    for name in ["S", "B"] {
        let table = place.events(&format!("{name}.parquet"));
        let [z, w, region] = ["z", "w", "reg"].map(|c| table.numbers(c));
        let inside = (0..z.len()).filter(|i| region[*i] == 1.0 && keep(z[*i]));
        let (z, w): (Vec<f64>, Vec<f64>) = inside.map(|i| (z[i], w[i])).unzip();
        let found = numbers(&templates["c"]["processes"][name]["contents"]);
        let edges = [-4.0, -1.0, 0.0, 1.0, 4.0];
        assert_close(&found, &histogram(&z, &w, &edges), name);
    }
}

#[test]
fn values_on_an_edge_belong_to_the_bin_above_and_infinite_ones_to_the_end_bins() {
    let place = measurement();
    place.edit("S.parquet", |columns| {
        columns.change("z", |row, z| match row {
            1..30 => f64::INFINITY,
            30..50 => f64::NEG_INFINITY,
            _ => z,
        });
    });
    let done = place.run("out", &[]).exits(0);
    assert_templates(&place, |_| true);
    let lost = losses(&place.json("out/measurement.json"), "samples.S");
    // 25 of the 49 are in the channel's region
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!((lost[0].kind.as_str(), lost[0].events), ("infinite", 25));
    done.says(["25 events"]);
}

#[test]
fn an_observable_without_a_value_is_refused_or_dropped_from_everything() {
    let place = measurement();
    // rows 0 to 39: half of them outside the channel, which ask for no z
    place.edit("B.parquet", |columns| {
        columns.change("z", |row, z| (row >= 40).then_some(z));
    });
    place.run("never", &[]).exits(4).warns([
        "samples.B",
        "channels.c.observable",
        "20 of",
        "row 1 of",
        "on_missing = \"drop\"",
    ]);
    let done = place.run_quietly("out", &[DROP]).exits(0);
    assert_templates(&place, |z| !z.is_nan());
    done.says(["samples.B: 20 events"]);
    let lost = &losses(&place.json("out/measurement.json"), "samples.B")[0];
    assert_eq!(lost.kind, "observable");
    assert_eq!(lost.events, 20);
    assert!((lost.weight - 20.0 * BACKGROUND_WEIGHT).abs() < 1e-9);
    place.plan(&[DROP]).exits(0).says(["samples.B: 20 events"]);
}

/// Every distribution of every region, inputs and others, against the files.
#[test]
fn distributions_are_of_the_files_own_numbers() {
    let place = Workplace::new();
    for (name, shift) in [("source.parquet", 0.0), ("target.parquet", 0.5)] {
        place.edit(name, |columns| {
            let mut random = Numbers::new(9);
            // doubles that no f32 holds, many of them on edges
            let mut tenth = || (10.0 * (random.normal() + shift)).round() / 10.0;
            columns.change("pt", |_, _| tenth());
            let mut fine = || 1.0 + 0.001 * (random.normal() * 3.0).round();
            columns.set("fine", doubles((0..columns.len()).map(|_| fine())));
        });
    }
    place.configure(&[("bins = 4", "bins = 7")]);
    let more = "[[report.variables]]\nname = \"fine\"\nbins = [0.99, 0.997, 1.001, 1.003, 1.01]\n";
    place.write("config.toml", place.text("config.toml") + more);
    place.run("out", &[]).exits(0);
    let metrics = place.json("out/metrics.json");
    let variables = metrics["regions"]["sr"]["variables"].as_object().unwrap();
    assert_eq!(variables.len(), 3);
    for (name, v) in variables {
        let target = place.events("target.parquet");
        let [x, w, mass] = [name, "weight", "mass"].map(|c| target.numbers(c));
        let rows = (0..x.len()).filter(|i| mass[*i] > 0.7);
        let (x, w): (Vec<f64>, Vec<f64>) = rows.map(|i| (x[i], w[i])).unzip();
        let expected = histogram(&x, &w, &numbers(&v["edges"]));
        assert_close(&numbers(&v["observed"]["values"]), &expected, name);
    }
}

/// A reweighting whose source and target lack inputs.
fn lacking() -> Workplace {
    let place = Workplace::new();
    place.edit_both(|columns| columns.change("pt", |row, x| (row % 4 != 1).then_some(x)));
    place
}

#[test]
fn what_was_dropped_is_in_plan_result_manifest_page_and_verdict() {
    let place = lacking();
    let done = place.run("never", &[]).exits(4);
    done.warns(["data.on_missing = \"drop\"", "`pt`"]);
    let said = "100 events (25.00 %, sum of weights";
    place.plan(&[DROP]).exits(0).says([said]);
    let done = place.run_quietly("out", &[DROP]).exits(0);
    done.says(["source", "target"].map(|sample| format!("data.{sample}: {said}")));
    contains(
        &place.text("out/report.html"),
        [said, "Events that are missing"],
    );
    let weights = place.events("target.parquet").numbers("weight");
    let weight: f64 = weights.iter().skip(1).step_by(4).sum();
    for file in ["out/metrics.json", "out/manifest.json"] {
        let lost = losses(&place.json(file), "data.target");
        assert_eq!(lost.len(), 1, "{file}");
        assert_eq!(lost[0].about(), ("input", "pt", 100));
        assert!((lost[0].weight - weight).abs() < 1e-9, "{file}");
    }
}

#[test]
fn a_selection_without_a_value_is_counted_and_limited() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        columns.change("mass", |row, m| (row % 50 != 7).then_some(m));
    });
    let done = place.run("out", &[]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.source");
    let keys = ["sr", "cr"].map(|region| format!("regions.{region}.selection"));
    for key in &keys {
        let found = lost.iter().find(|l| l.kind == "region" && l.name == *key);
        assert_eq!(found.unwrap_or_else(|| panic!("{lost:?}")).events, 8);
    }
    done.says(keys);
    place.run("never", &["data.max_loss=0.01"]).exits(4).warns([
        "data.source",
        "regions.sr.selection",
        "8 events",
        "row 7 of",
        "data.max_loss",
    ]);
}

#[test]
fn a_plotted_variable_without_a_value_is_counted_and_limited() {
    let place = Workplace::new();
    let extra = |is_there: fn(usize) -> bool| {
        doubles((0..400).map(move |i| is_there(i).then_some(i as f64)))
    };
    place.edit("target.parquet", |c| {
        c.set("extra", extra(|i| i % 100 != 3))
    });
    place.edit("source.parquet", |c| c.set("extra", extra(|_| true)));
    let more = "[[report.variables]]\nname = \"extra\"\nbins = 4\n";
    place.write("config.toml", place.text("config.toml") + more);
    place.run("out", &[]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.target");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].about(), ("variable", "extra", 4));
    let done = place.run("never", &["data.max_loss=0.005"]).exits(4);
    done.warns(["`extra`"]);
}

#[test]
fn a_stream_counts_what_the_memory_counts() {
    let place = lacking();
    place.edit("source.parquet", |columns| {
        columns.change("mass", |row, m| (row % 50 != 8).then_some(m));
        let event = columns.numbers("event");
        columns.set("event", integers(event.iter().map(|e| *e as i64 / 2 * 2)));
    });
    place.run("memory", &[DROP]).exits(0);
    let stream = "data.stream={window=64, sample=100000, read_ahead=16384}";
    let done = place.run("stream", &[DROP, stream, "training.batch=32"]);
    done.exits(0);
    let [memory, stream] =
        ["memory", "stream"].map(|run| place.json(&format!("{run}/metrics.json")));
    for sample in ["data.source", "data.target"] {
        let (a, b) = (losses(&memory, sample), losses(&stream, sample));
        assert!(!a.is_empty());
        assert_eq!(a.len(), b.len(), "{a:?}\n{b:?}");
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a.about(), b.about());
            assert!((a.weight - b.weight).abs() < 1e-9);
        }
    }
}

#[test]
fn one_hot_values_that_are_missing_or_not_listed_are_no_zeros() {
    let place = Workplace::new();
    let one_hot = "[features.one_hot]\nkind = [0, 1, 2]\n[model]";
    place.configure(&[("[model]", one_hot)]);
    place.edit("target.parquet", |columns| {
        let kind = columns.numbers("kind").into_iter().enumerate();
        let kind = kind.map(|(row, k)| match row {
            10..15 => None,
            15..18 => Some(7),
            _ => Some(k as i64),
        });
        columns.set("kind", integers(kind));
    });
    place.run("never", &[]).exits(4).warns([
        "features.one_hot.kind",
        "8 of",
        "row 10 of",
        "[0.0, 1.0, 2.0]",
    ]);
    place.run("out", &[DROP]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.target");
    let found = lost.iter().find(|l| l.kind == "category").unwrap();
    assert_eq!(found.events, 8, "{lost:?}");
    // and where the ensemble is applied to others
    let done = place.predict("out", "target.parquet", "p.parquet");
    done.warns(["8 events have no prediction: `kind`"]);
    assert_nulls(&place, 400, |i| (10..18).contains(&i));
}

/// Whether exactly some rows of `p.parquet` have no prediction.
#[track_caller]
fn assert_nulls(place: &Workplace, rows: usize, is_null: impl Fn(usize) -> bool) {
    let table = place.events("p.parquet");
    for name in ["nominal", "spread", "median", "member_0000"] {
        let values = table.get(name);
        assert_eq!(values.len(), rows);
        for row in 0..rows {
            assert_eq!(values.is_null(row), is_null(row), "{name}, row {row}");
        }
    }
}

#[test]
fn predict_writes_a_row_for_every_row() {
    let place = Workplace::new();
    place.run("out", &[DROP]).exits(0);
    let mut columns = reweighting(5, 7000, 300, 0.2);
    columns.change("pt", |row, x| match row {
        0 => None,
        5 => Some(f64::NAN),
        9 => Some(f64::NEG_INFINITY),
        _ => Some(x),
    });
    place.put("new.parquet", &columns);
    let predict = |more: &[&str]| {
        let arguments = ["predict", "out", "new.parquet", "--out", "p.parquet"];
        place.sideband(&[&arguments, more].concat())
    };
    let done = predict(&[]).exits(0);
    let said = "300 events in p.parquet, 3 of them without a prediction (null)\n";
    assert_eq!(done.stdout, said);
    done.warns(["3 events have no prediction: `pt`"]);
    assert_nulls(&place, 300, |i| [0, 5, 9].contains(&i));
    for (missing, said, instead) in [
        ("event", "no column `event`", ["--id", ""]),
        ("weight", "`weight`", ["--weight", "1"]),
    ] {
        place.edit("new.parquet", |columns| columns.drop(&[missing]));
        let done = predict(&[]).exits(4);
        done.warns([said, instead.join(" ").trim_end()]);
        predict(&instead).exits(0);
        let weight = place.events("p.parquet").numbers("weight");
        assert!(missing != "weight" || weight.iter().all(|w| *w == 1.0));
        place.put("new.parquet", &columns);
    }
}

#[test]
fn predict_knows_where_an_interpolation_ends() {
    let place = Workplace::interpolation().with("out", &INTERPOLATION);
    place.edit("plane.parquet", |columns| {
        columns.change("m1", |row, m| match row {
            // the box ends before its upper edge
            3 => Some(180.0),
            4 => Some(1180.0),
            7 => None,
            _ => Some(m),
        });
        columns.change("m2", |row, m| if row == 9 { f64::MAX } else { m });
    });
    let done = place.predict("out", "plane.parquet", "p.parquet");
    done.warns(["outside the plane"]);
    let table = place.events("p.parquet");
    let nominal = table.get("nominal");
    assert_eq!(nominal.len(), place.events("plane.parquet").len());
    for row in [3, 4, 7, 9] {
        assert!(nominal.is_null(row), "row {row}");
    }
    let without = nominal.null_count();
    assert!(without < nominal.len() / 2, "{without}");
}

#[test]
fn a_feature_that_32_bits_do_not_hold_is_refused_by_name() {
    for (value, instead) in [
        ((|x| 1e-40 * x) as fn(f64) -> f64, "odd / 1e-40"),
        (|x| 1.7e9 + x, "odd - 1.7e9"),
        (|x| 125.0 + 1e-7 * x, "(odd - 125) * 1e7"),
    ] {
        let place = Workplace::new();
        place.edit_both(|columns| {
            columns.set("odd", doubles(columns.numbers("pt").into_iter().map(value)));
        });
        let inputs = |odd: &str| format!("features.inputs=[\"{odd}\", \"eta\"]");
        let done = place.run("out", &[&inputs("odd")]).exits(4);
        done.warns(["features.inputs", "`odd`", "Write `(odd)"]);
        place.run("good", &[&inputs(instead)]).exits(0);
    }
}

#[cfg(unix)]
#[test]
fn globs_look_into_each_directory_once() {
    use std::os::unix::fs::symlink;
    let place = Workplace::new();
    fs::create_dir_all(place.path("a/b")).unwrap();
    for file in ["source.parquet", "target.parquet"] {
        fs::rename(place.path(file), place.path(&format!("a/b/{file}"))).unwrap();
    }
    for k in 0..3 {
        symlink("..", place.path(&format!("a/up{k}"))).unwrap();
        symlink("../../a", place.path(&format!("a/b/round{k}"))).unwrap();
    }
    let done = place.sideband(&["inspect", "a/**/*.parquet"]).exits(0);
    done.begins("800 rows in 2 files");
    let source = "data.source.path=a/**/source.parquet";
    let target = "data.target.path=a/b/t*.parquet";
    place.run("out", &[source, target]).exits(0);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_before_it_is_opened() {
    let place = Workplace::new();
    let pipe = place.path("pipe.parquet");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    for (arguments, code) in [
        (&["inspect", "pipe.parquet"][..], 4),
        (&["plan", "pipe.parquet"], 3),
        (
            &[
                "plan",
                "config.toml",
                "--set",
                "data.source.path=pipe.parquet",
            ],
            4,
        ),
    ] {
        let said = place.sideband(arguments).exits(code).stderr;
        let is_refused = said.contains("regular file") || said.contains("not a file");
        assert!(is_refused, "{said}");
    }
    // a glob passes it over
    place.sideband(&["inspect", "pip*"]).exits(4);
}

/// Under a limit of its memory the program ends with a message, not with a signal.
#[cfg(target_os = "linux")]
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let place = Workplace::new();
    let rows = 6_000_000;
    let repeated = |value: f64| doubles(std::iter::repeat_n(value, rows));
    let mass: Vec<bool> = (0..rows).map(|i| i % 2 == 0).collect();
    let columns = Columns::default()
        .with("event", integers(vec![0; rows]))
        .with("pt", repeated(1.0))
        .with("eta", repeated(2.0))
        .with("mass", Arc::new(BooleanArray::from(mass)))
        .with("weight", repeated(1.0));
    place.put("source.parquet", &columns);
    let (mut refused, mut limit) = (0, 400_000);
    while limit < 1_300_000 {
        let done = limited(&place.path(""), limit);
        assert!(done.exit.is_some(), "{limit} KB: {}", done.stderr);
        refused += u32::from(done.stderr.contains("there is no memory for"));
        done.warns_not("memory allocation of");
        limit += 150_000;
    }
    assert!(refused > 0, "no limit was felt");
}

fn limited(folder: &Path, kilobytes: u32) -> Done {
    let program = env!("CARGO_BIN_EXE_sideband");
    let command = format!(
        "ulimit -v {kilobytes}; exec {program} plan config.toml --no-calibration --set \
         device.threads=1"
    );
    let mut bash = Command::new("bash");
    let bash = bash.args(["-c", &command]).current_dir(folder);
    let bash = bash.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
    Done::of(bash.output().unwrap())
}
