//! Every event is counted, every value is what the file says.

use crate::support::{
    CONFIG, Columns, Done, Numbers, Workplace, numbers, plane, read_parquet, sample, write_parquet,
};
use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

fn column<'a>(columns: &'a Columns, name: &str) -> &'a ArrayRef {
    let found = columns.iter().find(|(n, _)| n == name);
    &found.unwrap_or_else(|| panic!("no column {name}")).1
}

fn set(columns: &mut Columns, name: &str, values: ArrayRef) {
    match columns.iter_mut().find(|(n, _)| n == name) {
        Some(found) => found.1 = values,
        None => columns.push((name.to_owned(), values)),
    }
}

fn floats(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

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

fn list(value: &Value) -> Vec<f64> {
    let values = value
        .as_array()
        .unwrap_or_else(|| panic!("{value} is no list"));
    values.iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        let close = (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        assert!(close, "{what}: {found:?}, not {expected:?}");
    }
}

/// Losses of a sample of a result: kind, key, events, weight.
fn losses(result: &Value, sample: &str) -> Vec<(String, String, u64, f64)> {
    let samples = result["losses"].as_array().unwrap();
    let found = samples.iter().find(|s| s["sample"] == sample);
    let found = found.unwrap_or_else(|| panic!("no losses of {sample} in {samples:?}"));
    let of = |loss: &Value| {
        let text = |key: &str| loss[key].as_str().unwrap().to_owned();
        let events = loss["events"].as_u64().unwrap();
        (
            text("kind"),
            text("name"),
            events,
            loss["weight"].as_f64().unwrap(),
        )
    };
    found["lost"].as_array().unwrap().iter().map(of).collect()
}

const MEASUREMENT: &str = r#"
[experiment]
name = "binned"
method = "measure"
[device]
threads = 1
[regions.all]
selection = "reg == 0"
[regions.ch]
selection = "reg == 1"
[parameters.mu]
nominal = 1.0
bounds = [0.0, 5.0]
[samples.S]
path = "S.parquet"
weight = "w"
id = ["event"]
coefficient = "mu"
[samples.B]
path = "B.parquet"
weight = "w"
id = ["event"]
coefficient = "1"
[channels.c]
region = "ch"
observable = "z"
bins = [0.0, 0.7, 1.3, 2.0]
[observed]
path = "obs.parquet"
[features]
inputs = ["x"]
[model]
hidden = [4]
[training]
region = "all"
epochs = 1
batch = 256
held_out = 0.3
[ensemble]
members = 1
[measurement]
interest = ["mu"]
reference = ["B"]
scan_points = 11
[report]
classifier_members = 0
"#;

/// A run that drops what lacks something, and says no more than it must.
const QUIET_DROP: [&str; 7] = [
    "run",
    "config.toml",
    "--out",
    "out",
    "--quiet",
    "--set",
    "data.on_missing=drop",
];

/// A sample of a measurement; `z` a multiple of 0.1 from 0 to 1.9.
fn measured(seed: u64, first: i64, events: usize, shift: f64, total: f64) -> Columns {
    let mut random = Numbers::new(seed);
    let x: Vec<f64> = (0..events).map(|_| random.normal() + shift).collect();
    let tenth = |random: &mut Numbers| (random.uniform() * 20.0).floor() / 10.0;
    let z: Vec<f64> = (0..events).map(|_| tenth(&mut random)).collect();
    let region: Vec<i64> = (0..events as i64).map(|i| i % 2).collect();
    vec![
        ("x".to_owned(), Arc::new(Float64Array::from(x)) as ArrayRef),
        ("z".to_owned(), Arc::new(Float64Array::from(z))),
        ("reg".to_owned(), Arc::new(Int64Array::from(region))),
        (
            "w".to_owned(),
            Arc::new(Float64Array::from(vec![
                2.0 * total / events as f64;
                events
            ])),
        ),
        (
            "event".to_owned(),
            Arc::new(Int64Array::from((first..).take(events).collect::<Vec<_>>())),
        ),
    ]
}

fn measurement() -> Workplace {
    let place = Workplace::new();
    fs::write(place.path("config.toml"), MEASUREMENT).unwrap();
    write_parquet(&place.path("S.parquet"), measured(1, 0, 800, 1.0, 60.0));
    write_parquet(
        &place.path("B.parquet"),
        measured(2, 1 << 20, 800, 0.0, 400.0),
    );
    write_parquet(
        &place.path("obs.parquet"),
        measured(3, 1 << 30, 900, 0.0, 1.0),
    );
    place
}

/// The histograms of a channel, against the file's own.
#[track_caller]
fn assert_templates(place: &Workplace, keep: impl Fn(f64) -> bool) {
    let templates = place.json("out/templates.json");
    for name in ["S", "B"] {
        let table = read_parquet(&place.path(&format!("{name}.parquet")));
        let [z, w, region] = ["z", "w", "reg"].map(|c| numbers(column(&table, c)));
        let inside = (0..z.len()).filter(|i| region[*i] == 1.0 && keep(z[*i]));
        let (z, w): (Vec<f64>, Vec<f64>) = inside.map(|i| (z[i], w[i])).unzip();
        let found = list(&templates["c"]["processes"][name]["contents"]);
        assert_close(&found, &histogram(&z, &w, &[0.0, 0.7, 1.3, 2.0]), name);
    }
}

#[test]
fn values_on_an_edge_belong_to_the_bin_above_and_infinite_ones_to_the_end_bins() {
    let place = measurement();
    place.edit("S.parquet", |columns| {
        let z = numbers(column(columns, "z"));
        let odd = |(i, z): (usize, f64)| match i {
            1..30 => f64::INFINITY,
            30..50 => f64::NEG_INFINITY,
            _ => z,
        };
        let z = z.into_iter().enumerate().map(odd).map(Some);
        set(columns, "z", floats(z.collect::<Vec<_>>()));
    });
    let done = place.run("out", &[]).exits(0);
    assert_templates(&place, |_| true);
    let result = place.json("out/measurement.json");
    let lost = losses(&result, "samples.S");
    // 25 of the 49 are in the channel's region
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!((lost[0].0.as_str(), lost[0].2), ("infinite", 25));
    assert!(done.stdout.contains("25 events"), "{}", done.stdout);
}

#[test]
fn an_observable_without_a_value_is_refused_or_dropped_from_everything() {
    let place = measurement();
    place.edit("B.parquet", |columns| {
        let z = numbers(column(columns, "z"));
        // rows 0 to 39: half of them outside the channel, which ask for no z
        let z = z
            .into_iter()
            .enumerate()
            .map(|(i, z)| (i >= 40).then_some(z));
        set(columns, "z", floats(z.collect::<Vec<_>>()));
    });
    let done = place.run("never", &[]).exits(4);
    for part in [
        "samples.B",
        "channels.c.observable",
        "20 of",
        "row 1 of",
        "on_missing = \"drop\"",
    ] {
        assert!(done.stderr.contains(part), "no {part} in {}", done.stderr);
    }
    let done = place.sideband(&QUIET_DROP).exits(0);
    assert_templates(&place, |z| !z.is_nan());
    assert!(
        done.stdout.contains("samples.B: 20 events"),
        "{}",
        done.stdout
    );
    let result = place.json("out/measurement.json");
    let lost = losses(&result, "samples.B");
    assert_eq!(
        (lost[0].0.as_str(), lost[0].2),
        ("observable", 20),
        "{lost:?}"
    );
    assert!((lost[0].3 - 20.0).abs() < 1e-9);
    let plan = place.sideband(&[
        "plan",
        "config.toml",
        "--no-calibration",
        "--set",
        "data.on_missing=drop",
    ]);
    assert!(plan.exits(0).stdout.contains("samples.B: 20 events"));
}

/// Every distribution of every region, inputs and others, against the files.
#[test]
fn distributions_are_of_the_files_own_numbers() {
    let place = Workplace::new();
    for (name, shift) in [("source.parquet", 0.0), ("target.parquet", 0.5)] {
        place.edit(name, |columns| {
            let mut random = Numbers::new(9);
            let events = columns[0].1.len();
            // doubles that no f32 holds, many of them on edges
            let tenths =
                (0..events).map(|_| Some((10.0 * (random.normal() + shift)).round() / 10.0));
            set(columns, "pt", floats(tenths.collect::<Vec<_>>()));
            let fine = (0..events).map(|_| Some(1.0 + 0.001 * (random.normal() * 3.0).round()));
            set(columns, "fine", floats(fine.collect::<Vec<_>>()));
        });
    }
    let mut config = CONFIG.replace("bins = 4", "bins = 7");
    config += "[[report.variables]]\nname = \"fine\"\nbins = [0.99, 0.997, 1.001, 1.003, 1.01]\n";
    fs::write(place.path("config.toml"), config).unwrap();
    place.run("out", &[]).exits(0);
    let metrics = place.json("out/metrics.json");
    for (region, inside) in [("sr", true)] {
        let variables = metrics["regions"][region]["variables"].as_object().unwrap();
        assert_eq!(variables.len(), 3);
        for (name, v) in variables {
            let target = read_parquet(&place.path("target.parquet"));
            let [x, w, mass] = [name, "weight", "mass"].map(|c| numbers(column(&target, c)));
            let rows = (0..x.len()).filter(|i| (mass[*i] > 0.7) == inside);
            let (x, w): (Vec<f64>, Vec<f64>) = rows.map(|i| (x[i], w[i])).unzip();
            let expected = histogram(&x, &w, &list(&v["edges"]));
            assert_close(&list(&v["observed"]["values"]), &expected, name);
        }
    }
}

/// A reweighting whose source and target lack inputs, one-hot values and more.
fn lacking() -> Workplace {
    let place = Workplace::new();
    for name in ["source.parquet", "target.parquet"] {
        place.edit(name, |columns| {
            let pt = numbers(column(columns, "pt"));
            let pt = pt
                .into_iter()
                .enumerate()
                .map(|(i, x)| (i % 4 != 1).then_some(x));
            set(columns, "pt", floats(pt.collect::<Vec<_>>()));
        });
    }
    place
}

#[test]
fn what_was_dropped_is_in_plan_result_manifest_page_and_verdict() {
    let place = lacking();
    let done = place.run("never", &[]).exits(4);
    assert!(
        done.stderr.contains("data.on_missing = \"drop\""),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("`pt`"), "{}", done.stderr);
    let plan = [
        "plan",
        "config.toml",
        "--no-calibration",
        "--set",
        "data.on_missing=drop",
    ];
    let said = "100 events (25.00 %, sum of weights";
    assert!(place.sideband(&plan).exits(0).stdout.contains(said));
    let done = place.sideband(&QUIET_DROP).exits(0);
    for sample in ["source", "target"] {
        let said = format!("data.{sample}: {said}");
        assert!(done.stdout.contains(&said), "{}", done.stdout);
    }
    let page = String::from_utf8(place.read("out/report.html")).unwrap();
    assert!(page.contains(said) && page.contains("Events that are missing"));
    let table = read_parquet(&place.path("target.parquet"));
    let weights = numbers(column(&table, "weight"));
    let weight: f64 = weights.iter().skip(1).step_by(4).sum();
    for file in ["out/metrics.json", "out/manifest.json"] {
        let lost = losses(&place.json(file), "data.target");
        assert_eq!(lost.len(), 1, "{file}");
        assert_eq!(
            (lost[0].0.as_str(), lost[0].1.as_str(), lost[0].2),
            ("input", "pt", 100)
        );
        assert!((lost[0].3 - weight).abs() < 1e-9, "{file}");
    }
}

#[test]
fn a_selection_without_a_value_is_counted_and_limited() {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        let mass = numbers(column(columns, "mass"));
        let mass = mass
            .into_iter()
            .enumerate()
            .map(|(i, m)| (i % 50 != 7).then_some(m));
        set(columns, "mass", floats(mass.collect::<Vec<_>>()));
    });
    let done = place.run("out", &[]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.source");
    for region in ["sr", "cr"] {
        let key = format!("regions.{region}.selection");
        let found = lost.iter().find(|l| l.0 == "region" && l.1 == key);
        assert_eq!(found.unwrap_or_else(|| panic!("{lost:?}")).2, 8);
        assert!(done.stdout.contains(&key), "{}", done.stdout);
    }
    let done = place.run("never", &["data.max_loss=0.01"]).exits(4);
    for part in [
        "data.source",
        "regions.sr.selection",
        "8 events",
        "row 7 of",
        "data.max_loss",
    ] {
        assert!(done.stderr.contains(part), "no {part} in {}", done.stderr);
    }
}

#[test]
fn a_plotted_variable_without_a_value_is_counted_and_limited() {
    let place = Workplace::new();
    place.edit("target.parquet", |columns| {
        let value = (0..400).map(|i| (i % 100 != 3).then_some(f64::from(i)));
        set(columns, "extra", floats(value.collect::<Vec<_>>()));
    });
    place.edit("source.parquet", |columns| {
        set(
            columns,
            "extra",
            floats((0..400).map(|i| Some(f64::from(i))).collect::<Vec<_>>()),
        );
    });
    let config = CONFIG.to_owned() + "[[report.variables]]\nname = \"extra\"\nbins = 4\n";
    fs::write(place.path("config.toml"), config).unwrap();
    place.run("out", &[]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.target");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(
        (lost[0].0.as_str(), lost[0].1.as_str(), lost[0].2),
        ("variable", "extra", 4)
    );
    let done = place.run("never", &["data.max_loss=0.005"]).exits(4);
    assert!(done.stderr.contains("`extra`"), "{}", done.stderr);
}

#[test]
fn a_stream_counts_what_the_memory_counts() {
    let place = lacking();
    place.edit("source.parquet", |columns| {
        let mass = numbers(column(columns, "mass"));
        let mass = mass
            .into_iter()
            .enumerate()
            .map(|(i, m)| (i % 50 != 8).then_some(m));
        set(columns, "mass", floats(mass.collect::<Vec<_>>()));
        let event = numbers(column(columns, "event"));
        let event: Vec<i64> = event.iter().map(|e| *e as i64 / 2 * 2).collect();
        set(columns, "event", Arc::new(Int64Array::from(event)));
    });
    let drop = "data.on_missing=drop";
    place.run("memory", &[drop]).exits(0);
    let stream = "data.stream={window=64, sample=100000, read_ahead=16384}";
    place
        .run("stream", &[drop, stream, "training.batch=32"])
        .exits(0);
    let [memory, stream] =
        ["memory", "stream"].map(|run| place.json(&format!("{run}/metrics.json")));
    for sample in ["data.source", "data.target"] {
        let (a, b) = (losses(&memory, sample), losses(&stream, sample));
        assert!(!a.is_empty());
        assert_eq!(a.len(), b.len(), "{a:?}\n{b:?}");
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((&a.0, &a.1, a.2), (&b.0, &b.1, b.2));
            assert!((a.3 - b.3).abs() < 1e-9);
        }
    }
}

#[test]
fn one_hot_values_that_are_missing_or_not_listed_are_no_zeros() {
    let place = Workplace::new();
    let config = CONFIG.replace("[model]", "[features.one_hot]\nkind = [0, 1, 2]\n[model]");
    fs::write(place.path("config.toml"), config).unwrap();
    place.edit("target.parquet", |columns| {
        let kind = numbers(column(columns, "kind"));
        let kind = kind.into_iter().enumerate().map(|(i, k)| match i {
            10..15 => None,
            15..18 => Some(7),
            _ => Some(k as i64),
        });
        set(columns, "kind", Arc::new(kind.collect::<Int64Array>()));
    });
    let done = place.run("never", &[]).exits(4);
    for part in [
        "features.one_hot.kind",
        "8 of",
        "row 10 of",
        "[0.0, 1.0, 2.0]",
    ] {
        assert!(done.stderr.contains(part), "no {part} in {}", done.stderr);
    }
    place.run("out", &["data.on_missing=drop"]).exits(0);
    let lost = losses(&place.json("out/metrics.json"), "data.target");
    let found = lost.iter().find(|l| l.0 == "category").unwrap();
    assert_eq!(found.2, 8, "{lost:?}");
    // and where the ensemble is applied to others
    let done = place
        .sideband(&["predict", "out", "target.parquet", "--out", "p.parquet"])
        .exits(0);
    assert!(
        done.stderr.contains("8 events have no prediction: `kind`"),
        "{}",
        done.stderr
    );
    assert_nulls(&place, 400, |i| (10..18).contains(&i));
}

/// Whether exactly some rows of `p.parquet` have no prediction.
#[track_caller]
fn assert_nulls(place: &Workplace, rows: usize, is_null: impl Fn(usize) -> bool) {
    let table = read_parquet(&place.path("p.parquet"));
    for name in ["nominal", "spread", "median", "member_0000"] {
        let values = column(&table, name);
        assert_eq!(values.len(), rows);
        for row in 0..rows {
            assert_eq!(values.is_null(row), is_null(row), "{name}, row {row}");
        }
    }
}

#[test]
fn predict_writes_a_row_for_every_row() {
    let place = Workplace::new();
    place.run("out", &["data.on_missing=drop"]).exits(0);
    write_parquet(&place.path("new.parquet"), sample(5, 7000, 300, 0.2));
    place.edit("new.parquet", |columns| {
        let pt = numbers(column(columns, "pt"));
        let pt = pt.into_iter().enumerate().map(|(i, x)| match i {
            0 => None,
            5 => Some(f64::NAN),
            9 => Some(f64::NEG_INFINITY),
            _ => Some(x),
        });
        set(columns, "pt", floats(pt.collect::<Vec<_>>()));
    });
    let predict = |more: &[&str]| {
        let arguments = ["predict", "out", "new.parquet", "--out", "p.parquet"];
        place.sideband(&[&arguments, more].concat())
    };
    let done = predict(&[]).exits(0);
    assert_eq!(
        done.stdout,
        "300 events in p.parquet, 3 of them without a prediction (null)\n"
    );
    assert!(
        done.stderr.contains("3 events have no prediction: `pt`"),
        "{}",
        done.stderr
    );
    assert_nulls(&place, 300, |i| [0, 5, 9].contains(&i));
    for (missing, said, instead) in [
        ("event", "no column `event`", ["--id", ""]),
        ("weight", "`weight`", ["--weight", "1"]),
    ] {
        let columns = read_parquet(&place.path("new.parquet"));
        place.edit("new.parquet", |c| c.retain(|(name, _)| name != missing));
        let done = predict(&[]).exits(4);
        assert!(done.stderr.contains(said), "{}", done.stderr);
        assert!(
            done.stderr
                .contains(&instead.join(" ").trim_end().to_owned())
        );
        predict(&instead).exits(0);
        write_parquet(&place.path("new.parquet"), columns);
    }
}

#[test]
fn predict_knows_where_an_interpolation_ends() {
    let place = Workplace::interpolation();
    place.run("out", &[]).exits(0);
    let config: toml::Table = plane::CONFIG.parse().unwrap();
    let part = &config["interpolation"]["plane"];
    let (x, y) = (part["x"].as_str().unwrap(), part["y"].as_str().unwrap());
    let high = part["x_range"].as_array().unwrap()[1].clone();
    let high = high
        .as_float()
        .or(high.as_integer().map(|i| i as f64))
        .unwrap();
    place.edit("plane.parquet", |columns| {
        let mut far = numbers(column(columns, x));
        // the box ends before its upper edge
        (far[3], far[4], far[7]) = (high, high + 1000.0, f64::NAN);
        set(
            columns,
            x,
            floats(far.into_iter().map(Some).collect::<Vec<_>>()),
        );
        let mut inside = numbers(column(columns, y));
        inside[9] = f64::MAX;
        set(
            columns,
            y,
            floats(inside.into_iter().map(Some).collect::<Vec<_>>()),
        );
    });
    let rows = read_parquet(&place.path("plane.parquet"))[0].1.len();
    let done = place
        .sideband(&["predict", "out", "plane.parquet", "--out", "p.parquet"])
        .exits(0);
    assert!(done.stderr.contains("outside the plane"), "{}", done.stderr);
    let table = read_parquet(&place.path("p.parquet"));
    let nominal = column(&table, "nominal");
    assert_eq!(nominal.len(), rows);
    for row in [3, 4, 7, 9] {
        assert!(nominal.is_null(row), "row {row}");
    }
    assert!(nominal.null_count() < rows / 2, "{}", nominal.null_count());
}

#[test]
fn a_feature_that_32_bits_do_not_hold_is_refused_by_name() {
    for (what, value) in [
        ("tiny", (|x| 1e-40 * x) as fn(f64) -> f64),
        ("far", |x| 1.7e9 + x),
        ("fine", |x| 125.0 + 1e-7 * x),
    ] {
        let place = Workplace::new();
        for name in ["source.parquet", "target.parquet"] {
            place.edit(name, |columns| {
                let pt = numbers(column(columns, "pt"));
                let pt = pt.into_iter().map(|x| Some(value(x)));
                set(columns, "odd", floats(pt.collect::<Vec<_>>()));
            });
        }
        let inputs = "features.inputs=[\"odd\", \"eta\"]";
        let done = place.run("out", &[inputs]).exits(4);
        for part in ["features.inputs", "`odd`", "Write `(odd)"] {
            assert!(
                done.stderr.contains(part),
                "{what}: no {part} in {}",
                done.stderr
            );
        }
        let inputs = match what {
            "tiny" => "odd / 1e-40",
            "far" => "odd - 1.7e9",
            _ => "(odd - 125) * 1e7",
        };
        let inputs = format!("features.inputs=[\"{inputs}\", \"eta\"]");
        place.run("good", &[&inputs]).exits(0);
    }
}

#[cfg(unix)]
#[test]
fn globs_look_into_each_directory_once() {
    use std::os::unix::fs::symlink;
    let place = Workplace::new();
    fs::create_dir_all(place.path("a/b")).unwrap();
    for name in ["source", "target"] {
        let file = format!("{name}.parquet");
        fs::rename(place.path(&file), place.path(&format!("a/b/{file}"))).unwrap();
    }
    for k in 0..3 {
        symlink("..", place.path(&format!("a/up{k}"))).unwrap();
        symlink("../../a", place.path(&format!("a/b/round{k}"))).unwrap();
    }
    let done = place.sideband(&["inspect", "a/**/*.parquet"]).exits(0);
    assert!(
        done.stdout.starts_with("800 rows in 2 file(s)"),
        "{}",
        done.stdout
    );
    let source = "data.source.path=a/**/source.parquet";
    place
        .run("out", &[source, "data.target.path=a/b/t*.parquet"])
        .exits(0);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_before_it_is_opened() {
    let place = Workplace::new();
    let made = Command::new("mkfifo")
        .arg(place.path("pipe.parquet"))
        .status();
    assert!(made.unwrap().success());
    let ends = |arguments: &[&str], code: i32| {
        let done = place.sideband(arguments).exits(code);
        assert!(
            done.stderr.contains("regular file") || done.stderr.contains("not a file"),
            "{}",
            done.stderr
        );
    };
    ends(&["inspect", "pipe.parquet"], 4);
    ends(&["plan", "pipe.parquet"], 3);
    ends(
        &[
            "plan",
            "config.toml",
            "--set",
            "data.source.path=pipe.parquet",
        ],
        4,
    );
    // a glob passes it over
    place.sideband(&["inspect", "pip*"]).exits(4);
}

/// Under a limit of its memory the program ends with a message, not with a signal.
#[cfg(target_os = "linux")]
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let place = Workplace::new();
    let rows = 6_000_000;
    let repeated = |value: f64| floats(std::iter::repeat_n(Some(value), rows));
    let mass: Vec<bool> = (0..rows).map(|i| i % 2 == 0).collect();
    let columns: Columns = vec![
        (
            "event".to_owned(),
            Arc::new(Int64Array::from(vec![0; rows])) as ArrayRef,
        ),
        ("pt".to_owned(), repeated(1.0)),
        ("eta".to_owned(), repeated(2.0)),
        ("mass".to_owned(), Arc::new(BooleanArray::from(mass))),
        ("weight".to_owned(), repeated(1.0)),
    ];
    write_parquet(&place.path("source.parquet"), columns);
    let (mut refused, mut limit) = (0, 400_000);
    while limit < 1_300_000 {
        let done = limited(&place.path(""), limit);
        assert!(done.exit.is_some(), "{limit} KB: {}", done.stderr);
        assert!(
            !done.stderr.contains("memory allocation of"),
            "{limit} KB: {}",
            done.stderr
        );
        refused += u32::from(done.stderr.contains("there is no memory for"));
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
    let output = Command::new("bash")
        .args(["-c", &command])
        .current_dir(folder)
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Done::of(output)
}
