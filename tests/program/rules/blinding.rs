//! What a blind region hides is in no output of any method.
//!
//! Every method is run twice, on data that differ in nothing but the events that are
//! hidden: how many, with what weights, what values. All that it writes and says must be
//! the same, but for the digests of the files, their sizes and the time of day.

use crate::support::workplace::{set, tree};
use crate::support::{
    Columns, Workplace, contains, doubles, integers, list, number, root, singles,
};
use arrow::array::{ArrayRef, UInt64Array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hidden events of the two data sets: none of their numbers may be found anywhere.
const HIDDEN: [usize; 2] = [41, 1237];
/// What each of them weighs.
const WEIGHTS: [f64; 2] = [1.0, 7.3137];

/// Adds events with values by column and number.
fn add(columns: &mut Columns, more: usize, value: impl Fn(&str, usize) -> Option<f64>) {
    for (name, values) in &mut columns.0 {
        let new = (0..more).map(|i| value(name, i));
        let new: ArrayRef = match values.data_type() {
            DataType::Int64 => integers(new.map(|x| x.map(|x| x as i64))),
            _ => doubles(new),
        };
        let old = cast(values, new.data_type()).unwrap();
        *values = concat(&[old.as_ref(), new.as_ref()]).unwrap();
    }
}

/// Everything that a run has written, by name: with what may differ taken out.
fn written(place: &Workplace, run: &str, digests: &[String]) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = tree(&place.path(run)).into_iter();
    let plain = |(name, bytes): (PathBuf, Vec<u8>)| {
        let bytes = plain(&name, bytes, digests);
        (name, bytes)
    };
    files.map(plain).collect()
}

/// A file without digests, sizes and times.
fn plain(name: &Path, bytes: Vec<u8>, digests: &[String]) -> Vec<u8> {
    let ending = name.extension().unwrap_or_default().to_string_lossy();
    if !["json", "jsonl", "html", "toml", "csv", "tex", "txt"].contains(&&*ending) {
        return bytes;
    }
    said(&String::from_utf8(bytes).unwrap(), digests).into_bytes()
}

/// Text without digests, times and sizes.
fn said(text: &str, digests: &[String]) -> String {
    let replace = |text: String, digest: &String| text.replace(digest, "DIGEST");
    let lines = without_times(&digests.iter().fold(text.to_owned(), replace));
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
    let digest = |path: PathBuf| {
        let digest = Sha256::digest(fs::read(path).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let digests = files.filter(|path| path.is_file()).map(digest);
    let folder = place.path("").display().to_string();
    digests
        .chain([folder.trim_end_matches('/').to_owned()])
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
    let digests: Vec<String> = places.iter().flat_map(digests).collect();
    let set = set(settings);
    let plan = [&["plan", "config.toml", "--no-calibration"], set.as_slice()].concat();
    let run = [&["run", "config.toml", "--out", "out"], set.as_slice()].concat();
    for arguments in [plan.as_slice(), &run].iter().chain(commands) {
        let [one, other] = places.each_ref().map(|place| {
            let done = place.sideband(arguments).exits(0);
            said(&format!("{}\n{}", done.stdout, done.stderr), &digests)
        });
        assert_eq!(one, other, "{arguments:?}");
    }
    let [one, other] = places
        .each_ref()
        .map(|place| written(place, "out", &digests));
    let [names, others] = [&one, &other].map(|files| files.keys().collect::<Vec<_>>());
    assert_eq!(names, others);
    let shown =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(3000)]).into_owned();
    for ((name, one), other) in one.iter().zip(other.values()) {
        let name = name.display();
        assert!(one == other, "{name}:\n{}\n{}", shown(one), shown(other));
    }
    let [one, other] = places
        .each_ref()
        .map(|place| fs::read(place.path(NEW)).ok());
    assert!(one == other, "{NEW}");
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
        columns.keep("mass", |mass| mass <= 0.7);
        add(columns, hidden, |name, i| match name {
            "mass" if i % 20 == 3 => None,
            "mass" => Some(0.75 + 0.2 * (i % 7) as f64 / 7.0),
            "event" => Some(1e7 + i as f64),
            "pt" => Some(5.0 + weight),
            "weight" => Some(weight),
            _ => Some(0.5),
        });
    });
    let overlapping = "[regions.vr]
selection = \"mass > 0.6\"

[regions.all]
selection = \"eta < 100\"

[regions.cr]";
    let planes = "[report]
planes = [{ name = \"m\", x = \"pt\", y = \"eta\", x_range = [-3, 3], y_range = [-3, 3], bins = 3 }]";
    place.configure(&[
        ("\"mass > 0.7\"", "\"mass > 0.7\"\nblind = true"),
        ("[regions.cr]", overlapping),
        ("[report]", planes),
    ]);
    place
}

#[test]
fn a_reweighting_says_nothing_of_hidden_events() {
    let [place, _] = same_whatever_is_hidden(&two_samples, &[], &COMMANDS);
    let plan = place.plan(&[]).exits(0).says(["blind       sr"]);
    let metrics = place.json("out/metrics.json");
    assert!(metrics["regions"]["sr"]["target_events"].is_null());
    // what overlaps with the signal region is compared without it, on both sides
    for role in ["source", "target"] {
        let mass = place.events(&format!("{role}.parquet")).numbers("mass");
        let inside = mass.iter().filter(|m| **m > 0.6 && **m <= 0.7).count();
        let rows = plan.stdout.lines();
        let mut rows = rows.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.starts_with(&["vr", role])).unwrap();
        assert_eq!(row[2], inside.to_string(), "{role}");
    }
    // the source is seen in the blind region
    assert!(metrics["regions"]["sr"]["source_events"].as_u64().unwrap() > 50);
}

#[test]
fn a_ratio_says_nothing_of_hidden_events() {
    let predict: &[&str] = &["predict", "out", "target.parquet", "--out", NEW];
    let commands = [&COMMANDS[..], &[predict]].concat();
    let settings = ["experiment.method=ratio"];
    let [place, _] = same_whatever_is_hidden(&two_samples, &settings, &commands);
    let predict = |files: &[&str], more: &[&str]| {
        place.sideband(&[&["predict", "out"], files, &["--out", "p.parquet"], more].concat())
    };
    let rows = |name: &str| place.events(name).len();
    predict(&["target.parquet"], &["--unblind"]).exits(0);
    assert_eq!(rows("p.parquet"), rows(NEW) + HIDDEN[0]);
    // the source is no secret
    predict(&["source.parquet"], &[]).exits(0);
    assert_eq!(rows("p.parquet"), rows("source.parquet"));
    let done = predict(&["target.parquet"], &[]).exits(0);
    done.warns(["blind regions have no row"]);
    let both = predict(&["target.parquet", "source.parquet"], &[]).exits(2);
    both.warns(["--unblind"]);
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
        let matrix = "[matrix]
row = [1]
method = [{ name = \"rw\", l2 = 0.0 }, { name = \"other\", l2 = 0.1 }]

[comparison]
rows = \"row\"
methods = \"method\"
region = \"sr\"

[comparison.reweighting]
nominal = \"rw\"
variation = \"other\"

[report]";
        place.configure(&[
            ("seed = 7", "seed = \"${row}\""),
            ("[training]", "[training]\nl2 = \"${method.l2}\""),
            ("[report]", matrix),
        ]);
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
            let masses = columns.numbers("m1").into_iter().zip(columns.numbers("m2"));
            let outside = masses.map(|(a, b)| {
                let (x, y) = ((a - 124.0) / (0.1 * a), (b - 117.0) / (0.1 * b));
                x.hypot(y) >= 1.6
            });
            columns.keep_rows(outside.collect());
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
    let predict: &[&str] = &["predict", "out", "plane.parquet", "--out", NEW];
    let commands = [&COMMANDS[..], &[predict]].concat();
    same_whatever_is_hidden(&make, &["regions.sr.blind=true"], &commands);
}

/// The shipped mixing with hidden events in the target's file beside those that it has: events of
/// the signal region with ids and weights of their own.
fn mixing(hidden: usize, weight: f64) -> Workplace {
    let place = Workplace::mixing(1500);
    let mut all = Columns::read_parquet(&root().join("tests/data/jets/jets_4b.parquet"));
    let masses = all.numbers("m_h1").into_iter().zip(all.numbers("m_h2"));
    let inside = masses.map(|(a, b)| {
        let (x, y) = ((a - 124.0) / (0.1 * a), (b - 117.0) / (0.1 * b));
        x.hypot(y) < 1.6
    });
    all.keep_rows(inside.collect());
    let mut extra = all.clone();
    while extra.len() < hidden {
        extra.append(&all);
    }
    extra.truncate(hidden);
    let ids = (0..hidden as u64).map(|i| (1 << 50) + i);
    extra.set("event_id", Arc::new(UInt64Array::from_iter_values(ids)));
    extra.set("weight", singles(vec![weight; hidden]));
    place.edit("target.parquet", |columns| columns.append(&extra));
    place
}

#[test]
fn a_mixing_says_nothing_of_hidden_events() {
    let [place, _] = same_whatever_is_hidden(&mixing, &["device.threads=1"], &COMMANDS[..5]);
    let summary = &place.json("out/mixing/sets.json")["summary"];
    // the library is of what is seen
    assert!(number(&summary["library"]) < 1500.0);
    // hemispheres of hidden events are in it where that is written, and then nobody counts them
    let include = ["mixing.library_blind=include"];
    place.run_quietly("open", &include).exits(0);
    let summary = &place.json("open/mixing/sets.json")["summary"];
    assert!(summary["library"].is_null() && summary["duplicates"].is_null());
    assert!(summary["reuse"].is_null());
    assert!(list(&summary["pools"]).is_empty());
    // what the command line opens changes no set
    place.run_open("out", &[]).exits(0);
    let closed = place.read("out/mixing/set_00.parquet");
    place.remove("out");
    place.run_quietly("out", &[]).exits(0);
    assert!(closed == place.read("out/mixing/set_00.parquet"));
}

#[test]
fn closed_again_nothing_of_the_open_result_is_left() {
    let [open, closed] = [0, 1].map(|_| two_samples(HIDDEN[1], WEIGHTS[1]));
    open.run_open("out", &[]).exits(0);
    let inspect = || open.sideband(&["inspect", "out"]).exits(0).stdout;
    let inspected = inspect();
    for place in [&open, &closed] {
        place.run("out", &[]).exits(0);
    }
    assert_ne!(inspect(), inspected);
    let digests = [digests(&open), digests(&closed)].concat();
    let [a, b] = [&open, &closed].map(|place| written(place, "out", &digests));
    for (name, bytes) in &a {
        // epochs, and when they were
        if name != Path::new("log.jsonl") {
            assert!(Some(bytes) == b.get(name), "{}", name.display());
        }
    }
    let log = open.text("out/log.jsonl");
    for number in [HIDDEN[1].to_string(), format!("{} events", HIDDEN[1] + 280)] {
        assert!(!log.contains(&number), "{number} in {log}");
    }
}

/// A measurement with hidden events beside it: region 0 is measured without bins, 1 is a
/// channel, 2 is blind.
fn measurement(hidden: usize, weight: f64) -> Workplace {
    let place = Workplace::measurement(3, 1200, [50.0, 300.0], [20.0, 180.0]);
    place.edit("obs.parquet", |columns| {
        columns.keep("reg", |region| region != 2.0);
        add(columns, hidden, |name, i| match name {
            "reg" => (i % 40 != 3).then_some(2.0),
            _ => Some(0.1 * weight + 1e-3 * i as f64),
        });
    });
    let blind = "[regions.signal]\nselection = \"reg == 2\"\nblind = true\n[parameters.mu]";
    let bins = "bins = [-4.0, 0.0, 4.0]";
    let histogram = format!("scan_points = 11\nhistogram = {{ observable = \"z\", {bins} }}");
    place.configure(&[
        ("[parameters.mu]", blind),
        ("bounds = [0.0, 5.0]", "bounds = [0.0, 10.0]"),
        (
            "bins = [-4.0, -1.0, 0.0, 1.0, 4.0]",
            &format!("{bins}\nstatistical = false"),
        ),
        ("hidden = [4]", "hidden = [8]"),
        ("epochs = 1\nbatch = 256", "epochs = 2\nbatch = 64"),
        ("members = 1", "members = 2"),
        ("scan_points = 5", &histogram),
    ]);
    place
}

#[test]
fn a_measurement_beside_a_blind_region_says_nothing_of_it() {
    let commands = &COMMANDS[..5];
    let [place, _] = same_whatever_is_hidden(&measurement, &[], commands);
    place.plan(&[]).exits(0).says(["blind regions: signal"]);
    assert_eq!(place.json("out/measurement.json")["data"], "observed");
}

/// Ways in which a fit needs events that are hidden: the setting, and the key that is named.
const NEEDS: [(&str, &str); 4] = [
    ("channels.c.region=signal", "channels.c.region"),
    ("training.region=signal", "training.region"),
    // not blind itself, but some of its events are
    ("regions.ch.selection=reg > 0", "channels.c.region"),
    ("regions.all.selection=reg != 1", "training.region"),
];

#[test]
fn a_fit_that_needs_hidden_events_is_refused_by_name() {
    let place = measurement(HIDDEN[1], WEIGHTS[1]);
    for (setting, key) in NEEDS {
        for done in [place.plan(&[setting]), place.run("refused", &[setting])] {
            let words = ["signal", "--unblind", "measurement.limit", "[observed]"];
            let done = done.exits(3).warns([key]).warns(words);
            done.warns_not(&HIDDEN[1].to_string());
        }
        // before anything is trained
        assert!(!place.member("refused/ensembles/S", 0).exists());
    }
    place.run_open("open", &[NEEDS[0].0]).exits(0);
    assert_eq!(place.json("open/measurement.json")["data"], "observed");
}

#[test]
fn a_blind_limit_never_opens_the_observed_events() {
    for (setting, key) in &NEEDS[..2] {
        let settings = [setting, "measurement.limit={}"];
        let [place, _] = same_whatever_is_hidden(&measurement, &settings, &COMMANDS[..5]);
        let result = place.json("out/measurement.json");
        assert_eq!(result["data"], "asimov");
        let limit = &result["limit"];
        assert!(limit["observed"].is_null());
        let expected = list(&limit["expected"]);
        assert!(expected.len() == 5 && expected.iter().all(|x| number(x) > 0.0));
        assert!(limit["curve"][0]["observed"].is_null());
        // not even a file that is none
        place.write("obs.parquet", "no events");
        let done = place.run_quietly("again", &settings).exits(0);
        done.says([key, "signal", "Asimov"]);
        let page = place.text("again/report.html");
        contains(&page, ["Asimov", "expected without signal"]);
        place.run_open("again", &settings).fails();
    }
}

#[test]
fn messages_about_blind_regions_count_none_of_their_events() {
    let place = Workplace::interpolation();
    let blind = "regions.sr={selection='x_hh < 1.8', blind=true}";
    let overlap = ["interpolation.predict=box", "interpolation.regions=['sr']"];
    let outside = "regions.outside.selection=x_hh >= 1.8 && min(m1, m2) >= 80 && max(m1, m2) < 180";
    for settings in [&overlap[..], &[outside]] {
        let done = place.run("out", &[&[blind], settings].concat()).exits(3);
        let text = done.stderr.lines().last().unwrap();
        let count = text.split_once(" events").map_or("", |(before, _)| before);
        assert!(!count.ends_with(|c: char| c.is_ascii_digit()), "{text}");
    }
}
