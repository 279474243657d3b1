//! What a blind region hides is in no output of any method.
//!
//! Every method is run twice, on data that differ in nothing but the events that are
//! hidden: how many, with what weights, what values. All that it writes and says must be
//! the same, but for the digests of the files, their sizes and the time of day.

use super::support::{
    CONFIG, Columns, Done, Numbers, Workplace, numbers, read_parquet, write_parquet,
};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::compute::concat;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Hidden events of the two data sets: none of their numbers may be found anywhere.
const HIDDEN: [usize; 2] = [41, 1237];
/// What each of them weighs.
const WEIGHTS: [f64; 2] = [1.0, 7.3137];

/// Adds events to columns: some as the first of them, with other values.
fn add(columns: &mut Columns, more: usize, change: impl Fn(&str, usize) -> Option<f64>) {
    for (name, values) in columns.iter_mut() {
        let new: ArrayRef = match values.data_type() {
            arrow::datatypes::DataType::Int64 => {
                let value = |i| change(name, i).map(|x| x as i64);
                Arc::new(Int64Array::from_iter((0..more).map(value)))
            }
            _ => Arc::new(Float64Array::from_iter((0..more).map(|i| change(name, i)))),
        };
        let old = arrow::compute::cast(values, new.data_type()).unwrap();
        *values = concat(&[old.as_ref(), new.as_ref()]).unwrap();
    }
}

/// Everything that a run has written, by name: with what may differ taken out.
fn written(place: &Workplace, run: &str, digests: &[String]) -> BTreeMap<String, Vec<u8>> {
    let root = place.path(run);
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            files.insert(name, plain(&path, digests));
        }
    }
    files
}

/// A file without digests, sizes and times.
fn plain(path: &Path, digests: &[String]) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let ending = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if !["json", "jsonl", "html", "toml", "csv", "tex", "txt"].contains(&ending.as_str()) {
        return bytes;
    }
    let mut text = String::from_utf8(bytes).unwrap();
    for digest in digests {
        text = text.replace(digest.as_str(), "DIGEST");
    }
    said(&text).into_bytes()
}

/// Text without times and sizes.
fn said(text: &str) -> String {
    let lines = without_times(text);
    // checksums are those of the other files, times and all
    let of_file = ["\"bytes\"", "\"crc32\""];
    let is_size = |line: &&str| of_file.iter().any(|key| line.trim_start().starts_with(key));
    let kept: Vec<&str> = lines.lines().filter(|line| !is_size(line)).collect();
    kept.join("\n")
}

/// Text without what is said of times: `2026-01-01T00:00:00Z`, `1.25 s`, `"seconds": 0.3`.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_digit() || ".-:TZ".contains(c)));
        let (word, next) = after.split_at(end.unwrap_or(after.len()));
        let is_stamp = word.len() >= 20 && word.as_bytes()[10] == b'T' && word.contains('Z');
        let unit = next.strip_prefix(' ').unwrap_or(next).strip_prefix('s');
        let is_seconds = unit.is_some_and(|u| !u.starts_with(|c: char| c.is_ascii_alphanumeric()));
        let of_time = ["seconds\":", "per_second\":", "\"rate\":"];
        let key = out.trim_end();
        let is_value = of_time.iter().any(|name| key.ends_with(name));
        let is_time = is_stamp || is_seconds || is_value;
        if is_time {
            // later times are longer
            out.truncate(out.trim_end_matches(' ').len());
        }
        out.push_str(if is_time { "TIME" } else { word });
        rest = next;
    }
    out + rest
}

/// What differs between workplaces: where they are, and the digests of their files.
fn digests(place: &Workplace) -> Vec<String> {
    use sha2::{Digest, Sha256};
    let files = fs::read_dir(place.path("")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| {
            let digest = Sha256::digest(fs::read(path).unwrap());
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .chain([place
            .path("")
            .display()
            .to_string()
            .trim_end_matches('/')
            .to_owned()])
        .collect()
}

/// Where predictions of new events go.
const NEW: &str = "new.parquet";

/// The commands that look at a run or make something of it.
const COMMANDS: [&[&str]; 6] = [
    &["status", "out"],
    &["status", "out", "--json"],
    &["inspect", "out"],
    &["inspect", "out", "--json"],
    &["report", "out"],
    &["extend", "out", "--members", "3"],
];

/// Runs both data sets through all commands and compares every output.
#[track_caller]
fn same_whatever_is_hidden(
    make: &dyn Fn(usize, f64) -> Workplace,
    settings: &[&str],
    commands: &[&[&str]],
) -> [Workplace; 2] {
    let places = [0, 1].map(|k| make(HIDDEN[k], WEIGHTS[k]));
    let all_digests: Vec<String> = places.iter().flat_map(digests).collect();
    let set: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
    let mut both: Vec<Vec<String>> = vec![Vec::new(), Vec::new()];
    let plan = [&["plan", "config.toml", "--no-calibration"], set.as_slice()].concat();
    let run = [&["run", "config.toml", "--out", "out"], set.as_slice()].concat();
    let list: Vec<&[&str]> = [plan.as_slice(), run.as_slice()]
        .into_iter()
        .chain(commands.iter().copied())
        .collect();
    for arguments in &list {
        for (place, texts) in places.iter().zip(&mut both) {
            let done = place.sideband(arguments).exits(0);
            let mut text = format!("{}\n{}", done.stdout, done.stderr);
            for digest in &all_digests {
                text = text.replace(digest.as_str(), "DIGEST");
            }
            texts.push(said(&text));
        }
        let [one, other] = [0, 1].map(|k| both[k].last().unwrap());
        assert_eq!(one, other, "{arguments:?}");
    }
    let files = places
        .each_ref()
        .map(|place| written(place, "out", &all_digests));
    let names = |k: usize| files[k].keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(0), names(1));
    for (name, bytes) in &files[0] {
        let other = &files[1][name];
        let shown =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(3000)]).into_owned();
        assert!(
            bytes == other,
            "{name}:\n{}\n{}",
            shown(bytes),
            shown(other)
        );
    }
    let new = places
        .each_ref()
        .map(|place| fs::read(place.path(NEW)).ok());
    assert!(new[0] == new[1], "{NEW}");
    places
}

/// Two samples whose target has hidden events: in the signal region, and with a mass that
/// is null. A validation region and the whole overlap with the signal region.
fn two_samples(hidden: usize, weight: f64) -> Workplace {
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        add(columns, 3, |name, i| match name {
            "mass" => None,
            "event" => Some(1e6 + i as f64),
            _ => Some(1.0),
        });
    });
    place.edit("target.parquet", |columns| {
        let (_, mass) = columns.iter().find(|(name, _)| name == "mass").unwrap();
        let visible: Vec<bool> = numbers(mass).iter().map(|m| *m <= 0.7).collect();
        let visible = arrow::array::BooleanArray::from(visible);
        for (_, values) in columns.iter_mut() {
            *values = arrow::compute::filter(values, &visible).unwrap();
        }
        add(columns, hidden, |name, i| match name {
            "mass" if i % 20 == 3 => None,
            "mass" => Some(0.75 + 0.2 * (i % 7) as f64 / 7.0),
            "event" => Some(1e7 + i as f64),
            "pt" => Some(5.0 + weight),
            "weight" => Some(weight),
            _ => Some(0.5),
        });
    });
    let regions = r#"
[regions.sr]
selection = "mass > 0.7"
blind = true

[regions.vr]
selection = "mass > 0.6"

[regions.all]
selection = "eta < 100"

[regions.cr]
"#;
    let config = CONFIG
        .replace("[regions.sr]\nselection = \"mass > 0.7\"\n", "")
        .replace("[regions.cr]\n", regions)
        + "planes = [{ name = \"m\", x = \"pt\", y = \"eta\", x_range = [-3, 3], y_range = [-3, 3], \
           bins = 3 }]\n";
    fs::write(place.path("config.toml"), config).unwrap();
    place
}

#[test]
fn a_reweighting_says_nothing_of_hidden_events() {
    let places = same_whatever_is_hidden(&two_samples, &[], &COMMANDS);
    let [place, _] = &places;
    let plan = place
        .sideband(&["plan", "config.toml", "--no-calibration"])
        .exits(0);
    assert!(plan.stdout.contains("blind       sr"), "{}", plan.stdout);
    let metrics = place.json("out/metrics.json");
    let events = |region: &str| metrics["regions"][region]["target_events"].clone();
    assert!(events("sr").is_null());
    // what overlaps with the signal region is compared without it, on both sides
    let (source, target) = ("source.parquet", "target.parquet");
    let inside = |file: &str, low: f64| {
        let columns = read_parquet(&place.path(file));
        let (_, mass) = columns.iter().find(|(name, _)| name == "mass").unwrap();
        let mass = numbers(mass);
        mass.iter().filter(|m| **m > low && **m <= 0.7).count() as u64
    };
    for (role, file) in [("source", source), ("target", target)] {
        let mut rows = plan
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.starts_with(&["vr", role])).unwrap();
        assert_eq!(row[2], inside(file, 0.6).to_string(), "{role}");
    }
    // the source is seen in the blind region
    assert!(metrics["regions"]["sr"]["source_events"].as_u64().unwrap() > 50);
}

#[test]
fn a_ratio_says_nothing_of_hidden_events() {
    let predict: &[&str] = &["predict", "out", "target.parquet", "--out", NEW];
    let mut commands = COMMANDS.to_vec();
    commands.push(predict);
    let settings = ["experiment.method=ratio"];
    let [place, _] = same_whatever_is_hidden(&two_samples, &settings, &commands);
    let all = [
        "predict",
        "out",
        "target.parquet",
        "--out",
        "all.parquet",
        "--unblind",
    ];
    place.sideband(&all).exits(0);
    let rows = |name: &str| read_parquet(&place.path(name))[0].1.len();
    assert_eq!(rows("all.parquet"), rows(NEW) + HIDDEN[0]);
    // the source is no secret
    place
        .sideband(&["predict", "out", "source.parquet", "--out", "s.parquet"])
        .exits(0);
    assert_eq!(rows("s.parquet"), rows("source.parquet"));
    let both = [
        "predict",
        "out",
        "target.parquet",
        "source.parquet",
        "--out",
        "b.parquet",
    ];
    let refused = place.sideband(&both).exits(2);
    assert!(refused.stderr.contains("--unblind"), "{}", refused.stderr);
}

#[test]
fn a_streamed_training_says_nothing_of_hidden_events() {
    let settings = ["data.stream.window=64"];
    same_whatever_is_hidden(&two_samples, &settings, &COMMANDS[..5]);
}

#[test]
fn a_matrix_says_nothing_of_hidden_events() {
    let make = |hidden, weight| {
        let place = two_samples(hidden, weight);
        let config = String::from_utf8(place.read("config.toml")).unwrap();
        let matrix = "\n[matrix]\nrow = [1]\nmethod = [{ name = \"rw\", l2 = 0.0 }, { name = \"other\", l2 = 0.1 }]\n\n[comparison]\n\
                      rows = \"row\"\nmethods = \"method\"\nregion = \"sr\"\n\n\
                      [comparison.reweighting]\nnominal = \"rw\"\nvariation = \"other\"\n";
        let config = config
            .replace("seed = 7", "seed = \"${row}\"")
            .replace("[training]", "[training]\nl2 = \"${method.l2}\"");
        fs::write(place.path("config.toml"), config + matrix).unwrap();
        place
    };
    let commands = [COMMANDS[0], COMMANDS[1], COMMANDS[4]];
    same_whatever_is_hidden(&make, &[], &commands);
}

#[test]
fn an_interpolation_says_nothing_of_hidden_events() {
    let make = |hidden: usize, weight: f64| {
        let place = Workplace::interpolation();
        place.edit("plane.parquet", |columns| {
            let masses = |columns: &Columns, name: &str| {
                let (_, values) = columns.iter().find(|(n, _)| n == name).unwrap();
                numbers(values)
            };
            let (m1, m2) = (masses(columns, "m1"), masses(columns, "m2"));
            let outside = m1.iter().zip(&m2).map(|(a, b)| {
                let (x, y) = ((a - 124.0) / (0.1 * a), (b - 117.0) / (0.1 * b));
                x.hypot(y) >= 1.6
            });
            let outside = arrow::array::BooleanArray::from(outside.collect::<Vec<bool>>());
            for (_, values) in columns.iter_mut() {
                *values = arrow::compute::filter(values, &outside).unwrap();
            }
            add(columns, hidden, |name, i| match name {
                "m1" => Some(124.0 + (i % 7) as f64),
                "m2" => Some(117.0),
                "event" => Some(1e7 + i as f64),
                "year" => Some(2016.0 + (i % 2) as f64),
                "weight" => Some(weight),
                _ => Some(1.0 + (i % 11) as f64),
            });
        });
        place
    };
    let settings = ["regions.sr.blind=true"];
    let predict: &[&str] = &["predict", "out", "plane.parquet", "--out", NEW];
    let mut commands = COMMANDS.to_vec();
    commands.push(predict);
    same_whatever_is_hidden(&make, &settings, &commands);
}

#[test]
fn closed_again_nothing_of_the_open_result_is_left() {
    let [open, closed] = [0, 1].map(|_| two_samples(HIDDEN[1], WEIGHTS[1]));
    let run = ["run", "config.toml", "--out", "out"];
    open.sideband(&[&run[..], &["--unblind"]].concat()).exits(0);
    let inspected = open.sideband(&["inspect", "out"]).exits(0).stdout;
    for place in [&open, &closed] {
        place.sideband(&run).exits(0);
    }
    assert_ne!(
        open.sideband(&["inspect", "out"]).exits(0).stdout,
        inspected
    );
    let digests = [digests(&open), digests(&closed)].concat();
    let [a, b] = [&open, &closed].map(|place| written(place, "out", &digests));
    for (name, bytes) in &a {
        // epochs, and when they were
        if name != "log.jsonl" {
            assert!(Some(bytes) == b.get(name), "{name}");
        }
    }
    let log = String::from_utf8(open.read("out/log.jsonl")).unwrap();
    let all = format!("{} events", HIDDEN[1] + 280);
    assert!(
        !log.contains(&HIDDEN[1].to_string()) && !log.contains(&all),
        "{log}"
    );
}

/// Samples and observed events of a counting measurement: `region` 0 is measured without
/// bins, 1 and 2 are channels.
fn measurement(hidden: usize, weight: f64) -> Workplace {
    let place = Workplace::new();
    let mut random = Numbers::new(5);
    let mut events = |shift: f64, n: usize, weight: f64, first: usize| -> Columns {
        let x: Vec<f64> = (0..n).map(|_| random.normal() + shift).collect();
        let z = x.iter().map(|x| x.clamp(-3.9, 3.9)).collect::<Vec<f64>>();
        let region: Vec<i64> = (0..n).map(|i| (i % 3) as i64).collect();
        let event: Vec<i64> = (first..first + n).map(|i| i as i64).collect();
        let column = |name: &str, values: ArrayRef| (name.to_owned(), values);
        vec![
            column("x", Arc::new(Float64Array::from(x))),
            column("z", Arc::new(Float64Array::from(z))),
            column("region", Arc::new(Int64Array::from(region))),
            column("w", Arc::new(Float64Array::from(vec![weight; n]))),
            column("event", Arc::new(Int64Array::from(event))),
        ]
    };
    write_parquet(&place.path("S.parquet"), events(0.5, 3000, 0.05, 0));
    write_parquet(&place.path("B.parquet"), events(0.0, 3000, 0.3, 1 << 20));
    let mut observed = events(0.1, 600, 1.0, 1 << 21);
    let (_, regions) = &observed[2];
    let visible: Vec<bool> = numbers(regions).iter().map(|r| *r != 2.0).collect();
    let visible = arrow::array::BooleanArray::from(visible);
    for (_, values) in &mut observed {
        *values = arrow::compute::filter(values, &visible).unwrap();
    }
    add(&mut observed, hidden, |name, i| match name {
        "region" => (i % 40 != 3).then_some(2.0),
        "event" => Some(1e8 + i as f64),
        _ => Some(0.1 * weight),
    });
    write_parquet(&place.path("observed.parquet"), observed);
    fs::write(place.path("config.toml"), MEASUREMENT).unwrap();
    place
}

const MEASUREMENT: &str = r#"
[experiment]
name = "small"
method = "measure"
[device]
threads = 1
[regions.main]
selection = "region == 0"
[regions.control]
selection = "region == 1"
[regions.signal]
selection = "region == 2"
blind = true
[parameters.mu]
nominal = 1.0
bounds = [0.0, 10.0]
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
[channels.side]
region = "control"
observable = "z"
bins = [-4.0, 0.0, 4.0]
statistical = false
[observed]
path = "observed.parquet"
[features]
inputs = ["x"]
[model]
hidden = [8]
[training]
region = "main"
epochs = 2
batch = 64
held_out = 0.3
[ensemble]
members = 2
[measurement]
interest = ["mu"]
reference = ["B"]
scan_points = 11
histogram = { observable = "z", bins = [-4.0, 0.0, 4.0] }
[report]
classifier_members = 0
"#;

#[test]
fn a_measurement_beside_a_blind_region_says_nothing_of_it() {
    let commands = &COMMANDS[..5];
    let [place, _] = same_whatever_is_hidden(&measurement, &[], commands);
    let plan = place
        .sideband(&["plan", "config.toml", "--no-calibration"])
        .exits(0);
    assert!(
        plan.stdout.contains("blind regions: signal"),
        "{}",
        plan.stdout
    );
    assert_eq!(place.json("out/measurement.json")["data"], "observed");
}

/// Ways in which a fit needs events that are hidden: settings, and the key that is named.
const NEEDS: [(&[&str], &str); 4] = [
    (&["channels.side.region=signal"], "channels.side.region"),
    (&["training.region=signal"], "training.region"),
    // not blind itself, but some of its events are
    (
        &["regions.control.selection=region > 0"],
        "channels.side.region",
    ),
    (&["regions.main.selection=region != 1"], "training.region"),
];

#[test]
fn a_fit_that_needs_hidden_events_is_refused_by_name() {
    let place = measurement(HIDDEN[1], WEIGHTS[1]);
    for (settings, key) in NEEDS {
        let set: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
        for command in [
            &["plan", "config.toml", "--no-calibration"][..],
            &["run", "config.toml", "--out", "refused"],
        ] {
            let done: Done = place.sideband(&[command, &set].concat()).exits(3);
            for part in [
                key,
                "signal",
                "--unblind",
                "measurement.limit",
                "[observed]",
            ] {
                assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
            }
            assert!(!done.stderr.contains("1237"), "{}", done.stderr);
        }
        // before anything is trained
        assert!(
            !place
                .path("refused/ensembles/S/members/member_0000.safetensors")
                .exists()
        );
    }
    let open = ["--set", NEEDS[0].0[0], "--unblind"];
    let run = ["run", "config.toml", "--out", "open"];
    place.sideband(&[&run[..], &open].concat()).exits(0);
    assert_eq!(place.json("open/measurement.json")["data"], "observed");
}

#[test]
fn a_blind_limit_never_opens_the_observed_events() {
    let limit = "measurement.limit={}";
    let commands = &COMMANDS[..5];
    for (settings, key) in &NEEDS[..2] {
        let settings = [settings, &[limit][..]].concat();
        let [place, _] = same_whatever_is_hidden(&measurement, &settings, commands);
        let result = place.json("out/measurement.json");
        assert_eq!(result["data"], "asimov");
        assert!(result["limit"]["observed"].is_null());
        let expected = result["limit"]["expected"].as_array().unwrap();
        assert!(expected.len() == 5 && expected.iter().all(|x| x.as_f64().unwrap() > 0.0));
        assert!(result["limit"]["curve"][0]["observed"].is_null());
        let set: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
        // not even a file that is none
        fs::write(place.path("observed.parquet"), "no events").unwrap();
        let run = ["run", "config.toml", "--out", "again", "--quiet"];
        let done = place.sideband(&[&run[..], &set].concat()).exits(0);
        for part in [*key, "signal", "Asimov"] {
            assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
        }
        let page = String::from_utf8(place.read("again/report.html")).unwrap();
        assert!(page.contains("Asimov") && page.contains("expected without signal"));
        let done = place.sideband(&[&run[..], &set, &["--unblind"]].concat());
        assert_ne!(done.exit, Some(0), "{}", done.stdout);
    }
}

#[test]
fn messages_about_blind_regions_count_none_of_their_events() {
    let place = Workplace::interpolation();
    let overlap = [
        "regions.sr.selection=x_hh < 1.8",
        "interpolation.predict=box",
        "interpolation.regions=['sr']",
        "regions.sr.blind=true",
    ];
    let outside = [
        "regions.sr.selection=x_hh < 1.8",
        "regions.outside.selection=x_hh >= 1.8 && min(m1, m2) >= 80 && max(m1, m2) < 180",
        "regions.sr.blind=true",
    ];
    for settings in [&overlap[..], &outside] {
        let done = place.run("out", settings).exits(3);
        let text = done.stderr.lines().last().unwrap();
        let count = text.split_once(" events").map_or("", |(before, _)| before);
        assert!(!count.ends_with(|c: char| c.is_ascii_digit()), "{text}");
    }
}
