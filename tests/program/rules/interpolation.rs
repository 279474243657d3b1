//! What is fitted is what is predicted; every error is there in every bin.

use crate::support::{Columns, Done, Numbers, Workplace, write_parquet};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

/// Columns of numbers, with ids from 0.
fn columns(names: &[&str], values: Vec<Vec<f64>>) -> Columns {
    let events = values[0].len() as i64;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..events));
    let mut all = vec![("event".to_owned(), ids)];
    for (name, values) in names.iter().zip(values) {
        all.push(((*name).to_owned(), Arc::new(Float64Array::from(values))));
    }
    all
}

/// Events of the square [0, 10)^2 with a falling or a flat density, `a` above 0, `b`,
/// `year` 0 or 1 and a weight of 0.5.
fn plane_events(seed: u64, events: usize, slope: f64) -> Columns {
    let mut random = Numbers::new(seed);
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); 6];
    while values[0].len() < events {
        let (m1, m2) = (10.0 * random.uniform(), 10.0 * random.uniform());
        if random.uniform() > (-slope * (m1 + m2)).exp() {
            continue;
        }
        let event = [
            m1,
            m2,
            (1.0 + 0.05 * m1 + 0.3 * random.normal()).exp(),
            0.1 * m2 + random.normal(),
            (random.bits() % 2) as f64,
            0.5,
        ];
        for (column, value) in values.iter_mut().zip(event) {
            column.push(value);
        }
    }
    columns(&["m1", "m2", "a", "b", "year", "w"], values)
}

const PLANE: &str = r#"
[experiment]
name = "rules"
method = "interpolate"
seed = 3
[device]
threads = 1
[data.target]
path = "t.parquet"
weight = "w"
id = ["event"]
[data.define]
near = "abs(m1 - 5) < 1.5 && abs(m2 - 5) < 1.5"
ring = "!near && abs(m1 - 5) < 2.5 && abs(m2 - 5) < 2.5"
[regions.sr]
selection = "near"
[regions.out]
selection = "!near"
[interpolation]
samples = 3000
posterior_draws = 8
flow = { sequence = ["linear", "coupling"], repeat = 1, hidden = 4, dropout = 0.0 }
[interpolation.plane]
x = "m1"
y = "m2"
x_range = [0, 10]
y_range = [0, 10]
bins = 8
holes = [{ kind = "box", m1 = [3.5, 6.5], m2 = [3.5, 6.5] }]
fit = { noise = "predicted", starts = 2 }
[interpolation.category]
column = "year"
values = [0, 1]
[[interpolation.variables]]
name = "a"
transform = { kind = "log" }
[[interpolation.variables]]
name = "b"
[training]
region = "out"
held_out = 0.0
epochs = 1
batch = 512
[ensemble]
members = 2
bootstrap = false
[report]
variables = [{ name = "b", bins = [-4, 0, 1, 5] }]
"#;

/// A folder with the plane's events and configuration.
fn plane(events: usize) -> Workplace {
    let place = Workplace::new();
    write_parquet(&place.path("t.parquet"), plane_events(1, events, 0.06));
    fs::write(place.path("config.toml"), PLANE).unwrap();
    place
}

fn planned(place: &Workplace, settings: &[&str]) -> Done {
    let mut arguments = vec!["plan", "config.toml", "--no-calibration"];
    arguments.extend(settings.iter().flat_map(|s| ["--set", s]));
    place.sideband(&arguments)
}

/// Events that a training region leaves out, wherever and for whatever reason, are
/// refused by count and never fitted as if they were not there.
#[test]
fn what_is_neither_fitted_nor_in_a_hole_is_refused() {
    let place = plane(2000);
    let fine: [&[&str]; 5] = [
        &[],
        &["regions.sr.selection=near && b > 0"],
        &["data.target.selection=a > 1"],
        &[
            "interpolation.category.values=[0]",
            "regions.out.selection=!near && year == 0",
            "regions.sr.selection=near && year == 0",
        ],
        &[
            "regions.ring={selection='ring', blind=true}",
            "regions.out.selection=!near && !ring",
            "interpolation.plane.holes=[{kind='box', m1=[2.5, 7.5], m2=[2.5, 7.5]}]",
        ],
    ];
    for settings in fine {
        planned(&place, settings).exits(0);
    }
    let refused: [(&[&str], &str); 8] = [
        // a validation ring that is in no hole
        (
            &["regions.out.selection=!near && !ring"],
            "events (year = 0: ",
        ),
        (
            &["regions.out.selection=!near && m1 < 7"],
            "events (year = 0: ",
        ),
        // a cut that the region to be predicted does not have
        (
            &["regions.out.selection=!near && a > 2"],
            "data.target.selection",
        ),
        (
            &["regions.out.selection=!near && (year == 0 || m1 < 5)"],
            "(year = 1: ",
        ),
        // no event is left out there, but bins are
        (&["data.target.selection=m1 < 7"], "of 64 bins of year = 0"),
        (
            &["data.target.selection=year == 0 || m1 < 7"],
            "bins of year = 1",
        ),
        (
            &[
                "regions.ring={selection='ring', blind=true}",
                "regions.out.selection=!near && !ring",
                "interpolation.regions=['sr']",
            ],
            "events of the blind region ring",
        ),
        (
            &[
                "data.target.selection=!ring",
                "regions.out.selection=!near && !ring",
            ],
            "of 64 bins",
        ),
    ];
    for (settings, words) in refused {
        let done = planned(&place, settings).exits(3);
        assert!(done.stderr.contains("`training.region`"), "{}", done.stderr);
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
}

/// A category that is not listed has no prediction: its events are counted, blind
/// or not.
#[test]
fn a_category_that_is_not_listed_is_refused_where_it_is_predicted() {
    let place = plane(1000);
    for blind in ["false", "true"] {
        let settings = [
            "interpolation.category.values=[0]",
            "regions.out.selection=!near && year == 0",
            &format!("regions.sr.blind={blind}"),
        ];
        let done = planned(&place, &settings).exits(3);
        for words in [
            "`interpolation.category.values`",
            "events of region sr have another category",
        ] {
            assert!(done.stderr.contains(words), "{}", done.stderr);
        }
    }
}

#[test]
fn a_hole_twice_is_refused() {
    let place = plane(500);
    let hole = "{kind='box', m1=[3.5, 6.5], m2=[3.5, 6.5]}";
    let holes = format!("interpolation.plane.holes=[{hole}, {hole}]");
    let done = planned(&place, &[&holes]).exits(3);
    assert!(done.stderr.contains("each hole once"), "{}", done.stderr);
}

/// What is advised is not what is set.
#[test]
fn advice_is_not_what_is_set_already() {
    let place = plane(3000);
    // the events end within the box, where no selection says so
    place.edit("t.parquet", |columns| {
        for (name, values) in columns.iter_mut() {
            if name == "m1" {
                let old = crate::support::numbers(values);
                *values = Arc::new(Float64Array::from_iter_values(
                    old.iter().map(|m| if *m > 7.5 { m - 7.5 } else { *m }),
                ));
            }
        }
    });
    let done = place.run("out", &["interpolation.predict=box"]).exits(0);
    assert!(
        !done.stdout.contains("noise = \"predicted\""),
        "{}",
        done.stdout
    );
    let metrics = place.json("out/metrics.json");
    let category = &metrics["interpolation"]["categories"][0];
    assert!(category["empty_bins"].as_u64().unwrap() > 0, "{category}");
}

/// Settings without effect are refused by name, for every method.
#[test]
fn settings_that_change_nothing_are_refused() {
    let place = plane(500);
    for (setting, key) in [
        ("ensemble.combine=median", "ensemble.combine"),
        ("features.inputs=['a']", "features.inputs"),
        ("features.one_hot={year=[0]}", "features.one_hot"),
        ("features.labels={a='A'}", "features.labels"),
        ("model.hidden=[7]", "model.hidden"),
        ("model.dropout=0.5", "model.dropout"),
        ("training.normalise=yield", "training.normalise"),
        ("training.folds=3", "training.folds"),
        ("report.bins=3", "report.bins"),
        ("report.classifier_members=3", "report.classifier_members"),
        ("data.source={path='t.parquet'}", "data.source"),
    ] {
        let done = planned(&place, &[setting]).exits(3);
        let named = done.stderr.contains(&format!("`{key}`"));
        assert!(named, "{key}: {}", done.stderr);
    }
    // what says that nothing is done is no setting without effect
    planned(&place, &["report.classifier_members=0"]).exits(0);
    let place = Workplace::new();
    for (setting, key) in [
        ("training.folds=3", "training.folds"),
        ("features.labels={petee='p'}", "features.labels"),
    ] {
        let done = planned(&place, &[setting]).exits(3);
        let named = done.stderr.contains(&format!("`{key}`"));
        assert!(named, "{key}: {}", done.stderr);
    }
    let whole = fs::read_to_string(place.path("config.toml")).unwrap();
    let tables = PLANE.find("[interpolation]").unwrap()..PLANE.find("[training]").unwrap();
    fs::write(place.path("config.toml"), whole + &PLANE[tables]).unwrap();
    let done = planned(&place, &[]).exits(3);
    assert!(done.stderr.contains("`interpolation`"), "{}", done.stderr);
}

/// Events with `m1` and `m2` in [0, 10) and `x`, `z` about them.
fn ratio_events(
    seed: u64,
    events: usize,
    shift: f64,
    weight: &dyn Fn(&mut Numbers) -> f64,
) -> Columns {
    let mut random = Numbers::new(seed);
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); 5];
    for _ in 0..events {
        let (m1, m2) = (10.0 * random.uniform(), 10.0 * random.uniform());
        let event = [
            m1,
            m2,
            0.1 * m1 + random.normal(),
            0.1 * m2 + shift + random.normal(),
            weight(&mut random),
        ];
        for (column, value) in values.iter_mut().zip(event) {
            column.push(value);
        }
    }
    columns(&["m1", "m2", "x", "z", "w"], values)
}

const COMPARED: &str = r#"
[matrix]
region = [
    { name = "a", file = "t", cut = "x < 1.5", blind = false },
    { name = "b", file = "u", cut = "x < 99", blind = false },
]
method = [{ name = "cr1", train = "ring && m1 > m2" }, { name = "cr2", train = "ring && m1 <= m2" }]
[comparison]
region = "sr"
[comparison.reweighting]
nominal = "cr1"
variation = "cr2"
quadrants = ["hi", "lo"]
nonclosure = "b"
[experiment]
name = "rules"
method = "reweight"
[device]
threads = 1
[data.source]
path = "s.parquet"
selection = "${region.cut}"
weight = "w"
id = ["event"]
[data.target]
path = "${region.file}.parquet"
selection = "${region.cut}"
weight = "w"
id = ["event"]
[data.define]
box = "abs(m1 - 5) < 2 && abs(m2 - 5) < 2"
ring = "!box"
[regions.sr]
selection = "box"
blind = "${region.blind}"
[regions.hi]
selection = "box && m1 > 5"
[regions.lo]
selection = "box && m1 <= 5"
[regions.train]
selection = "${method.train}"
[features]
inputs = ["x", "z"]
[model]
hidden = [4]
[training]
region = "train"
epochs = 8
batch = 256
learning_rate = 0.03
[ensemble]
members = 3
[report]
bins = 6
classifier_members = 0
variables = [{ name = "m1", bins = 5 }, { name = "x2", expression = "x", bins = [-3, -1, 0, 1, 2, 4] }]
"#;

fn compared() -> Workplace {
    let place = Workplace::new();
    let weight = |_: &mut Numbers| 0.02;
    write_parquet(
        &place.path("s.parquet"),
        ratio_events(1, 4000, 0.0, &weight),
    );
    write_parquet(
        &place.path("t.parquet"),
        ratio_events(2, 3000, 0.4, &weight),
    );
    write_parquet(
        &place.path("u.parquet"),
        ratio_events(3, 3000, 0.8, &weight),
    );
    fs::write(place.path("config.toml"), COMPARED).unwrap();
    place
}

fn list(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_f64().unwrap()).collect()
}

fn texts(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

/// Every component is in every distribution and bin or said to be missing, and one
/// set of edges serves all ensembles, whichever are made first.
#[test]
fn a_comparison_has_one_set_of_edges_and_all_errors() {
    let place = compared();
    place.run("out", &[]).exits(0);
    let compared = place.json("out/comparison.json");
    let rows = compared["rows"].as_object().unwrap();
    let edges_of = |row: &str, method: &str, variable: &str| {
        let path = format!("out/ensembles/region={row},method={method}/metrics.json");
        list(&place.json(&path)["regions"]["sr"]["variables"][variable]["edges"])
    };
    for (row, expected) in [
        ("a", vec!["members", "control_region", "nonclosure"]),
        ("b", vec!["members", "control_region"]),
    ] {
        let method = &rows[row]["methods"]["reweighting"];
        let path = format!("out/ensembles/region={row},method=cr1/metrics.json");
        let own = place.json(&path)["regions"]["sr"]["yields"]["components"].clone();
        // nothing is missing but in bins that have no events, and what the result lacks
        for missing in method["missing"].as_array().unwrap() {
            let bins = missing["bins"].as_array().unwrap();
            let component = missing["component"].as_str().unwrap();
            let is_own = ["members", "normalisation"].contains(&component);
            let lacks = is_own && own.get(component).is_none();
            assert!(!bins.is_empty() || lacks, "{missing}");
        }
        for variable in ["x", "z", "m1", "x2"] {
            let edges = edges_of("a", "cr1", variable);
            for (row, method) in [("a", "cr2"), ("b", "cr1"), ("b", "cr2")] {
                assert_eq!(
                    edges_of(row, method, variable),
                    edges,
                    "{row} {method} {variable}"
                );
            }
            let v = &method["variables"][variable];
            for component in &expected {
                let errors = list(&v["components"][*component]);
                assert_eq!(errors.len() + 1, edges.len(), "{variable} {component}");
                // a row may close within its errors
                let some = *component == "nonclosure" || errors.iter().any(|e| *e > 0.0);
                assert!(some, "{row} {variable} {component}: {errors:?}");
            }
            let total = list(&v["spread"]);
            for (bin, total) in total.iter().enumerate() {
                let components = v["components"].as_object().unwrap().values();
                let sum: f64 = components.map(|c| list(c)[bin].powi(2)).sum();
                assert!(
                    (sum.sqrt() - total).abs() <= 1e-6 * total,
                    "{row} {variable} {bin}"
                );
            }
        }
        // every component of the ensemble's own result is there
        for (name, error) in own.as_object().unwrap() {
            let (found, error) = (
                method["errors"][name].as_f64().unwrap(),
                error.as_f64().unwrap(),
            );
            assert!((found / error - 1.0).abs() < 1e-9, "{name}");
        }
    }
    // made again in another order, with one ensemble missing
    let gone = place.path("out/ensembles/region=a,method=cr1/metrics.json");
    fs::remove_file(gone).unwrap();
    place.run("out", &[]).exits(0);
    assert_eq!(place.json("out/comparison.json"), compared);
    // digits of the observation: not fewer than its error has
    let tex = String::from_utf8(place.read("out/comparison.tex")).unwrap();
    for (name, row) in rows {
        let line = tex
            .lines()
            .find(|l| l.starts_with(&format!("{name} &")))
            .unwrap();
        let written: f64 = line.split('&').nth(1).unwrap().trim().parse().unwrap();
        let (n, error) = (
            row["observed"].as_f64().unwrap(),
            row["observed_error"].as_f64().unwrap(),
        );
        assert!((written - n).abs() < 0.06 * error, "{line} {n}");
    }
}

/// What cannot be had is said with its reason wherever there are numbers.
#[test]
fn a_missing_component_is_named_everywhere() {
    let place = compared();
    let mut text = COMPARED.replace(
        "cut = \"x < 99\", blind = false",
        "cut = \"x < 99\", blind = true",
    );
    for quadrant in ["box && m1 > 5", "box && m1 <= 5"] {
        let line = format!("selection = \"{quadrant}\"\n");
        text = text.replace(&line, &format!("{line}blind = \"${{region.blind}}\"\n"));
    }
    fs::write(place.path("config.toml"), text).unwrap();
    let done = place
        .run("out", &["ensemble.members=2", "training.epochs=1"])
        .exits(0);
    let compared = place.json("out/comparison.json");
    let method = &compared["rows"]["a"]["methods"]["reweighting"];
    let missing = method["missing"].as_array().unwrap();
    let of = |variable: Option<&str>| {
        missing.iter().any(|m| {
            m["component"] == "nonclosure"
                && m["variable"].as_str() == variable
                && m["reason"].as_str().unwrap().contains("row b is blind")
        })
    };
    assert!(of(None), "{}", texts(&method["missing"]));
    for variable in ["x", "z", "m1", "x2"] {
        assert!(of(Some(variable)), "{}", texts(&method["missing"]));
        assert!(
            method["variables"][variable]["components"]
                .get("nonclosure")
                .is_none()
        );
    }
    let words = "lacks nonclosure: row b is blind";
    assert!(done.stdout.contains(words), "{}", done.stdout);
    for file in ["comparison.csv", "comparison.tex", "report.html"] {
        let text = String::from_utf8(place.read(&format!("out/{file}"))).unwrap();
        assert!(text.contains(words), "{file}");
    }
}

#[test]
fn quadrants_share_the_region_among_them() {
    let place = compared();
    planned(&place, &[]).exits(0);
    let cases: [(&[&str], &str); 4] = [
        (
            &["comparison.reweighting.quadrants=['hi', 'lo', 'sr']"],
            "more than one quadrant",
        ),
        (
            &["regions.lo.selection=box && m1 <= 5.1"],
            "more than one quadrant",
        ),
        (&["regions.lo.selection=box && m1 <= 4.5"], "in no quadrant"),
        (&["regions.lo.selection=m1 <= 5"], "not in the region"),
    ];
    for (settings, words) in cases {
        for done in [planned(&place, settings), place.run("out", settings)] {
            let done = done.exits(3);
            let key = "`comparison.reweighting.quadrants`";
            assert!(done.stderr.contains(key), "{}", done.stderr);
            assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
        }
    }
    for (setting, key) in [
        (
            "comparison.reweighting.variation=cr1",
            "comparison.reweighting.variation",
        ),
        (
            "comparison.reweighting={nominal='cr1', quadrants=['hi', 'lo']}",
            "comparison.reweighting.quadrants",
        ),
    ] {
        let done = planned(&place, &[setting]).exits(3);
        assert!(done.stderr.contains(key), "{}", done.stderr);
    }
}

/// Width about the truth of (predicted - truth) / error.
fn width(pulls: &[f64]) -> f64 {
    let square: f64 = pulls.iter().map(|p| p * p).sum();
    (square / pulls.len() as f64).sqrt()
}

/// Estimates without networks of repeated data sets scatter by their error; it is
/// that of effective numbers, since the weights are spread.
#[test]
fn abcd_scatters_by_its_error() {
    let place = compared();
    let text = COMPARED
        .replace(", cut = \"x < 1.5\"", ", cut = \"x < 99\"")
        .replace("nonclosure = \"b\"", "")
        .replace("variation = \"cr2\"", "")
        .replace("quadrants = [\"hi\", \"lo\"]", "")
        .replace("ring && m1 > m2", "m1 < 3")
        .replace(", { name = \"cr2\", train = \"ring && m1 <= m2\" }", "")
        .replace("    { name = \"b\"", "#");
    fs::write(place.path("config.toml"), text).unwrap();
    // half of the weights are 5 times the others: 1 / sum w is not the variance
    let spread = |random: &mut Numbers| if random.uniform() < 0.2 { 10.0 } else { 0.2 };
    let mean = 0.2 * 10.0 + 0.8 * 0.2;
    let events = 400;
    let truth = events as f64 * mean * 16.0 / 100.0;
    let (mut pulls, mut without) = (Vec::new(), Vec::new());
    for k in 0..24 {
        write_parquet(
            &place.path("s.parquet"),
            ratio_events(100 + k, 2 * events, 0.0, &spread),
        );
        write_parquet(
            &place.path("t.parquet"),
            ratio_events(200 + k, events, 0.0, &spread),
        );
        let out = format!("out{k}");
        let settings = ["ensemble.members=2", "training.epochs=1", "report.bins=2"];
        place.run(&out, &settings).exits(0);
        let method = &place.json(&format!("{out}/comparison.json"))["rows"]["a"]["methods"]["abcd"];
        let number = |value: &Value| value.as_f64().unwrap();
        let (value, error) = (number(&method["predicted"]), number(&method["error"]));
        pulls.push((value - truth) / error);
        without.push((value - truth) / number(&method["errors"]["statistical"]));
    }
    let (with, without) = (width(&pulls), width(&without));
    assert!((0.6..1.45).contains(&with), "{with} {pulls:?}");
    assert!(without > 1.25 * with, "{without} {with}");
}

/// Interpolated yields of repeated data sets scatter by their error, of which the
/// counting error of the events outside is a part.
#[test]
fn an_interpolation_scatters_by_its_error() {
    let place = Workplace::new();
    fs::write(place.path("config.toml"), PLANE).unwrap();
    let events = 900;
    let truth = 0.5 * events as f64 * 9.0 / 100.0;
    let (mut pulls, mut without) = (Vec::new(), Vec::new());
    for k in 0..20 {
        let mut random = Numbers::new(900 + k);
        // a Poisson number of events, from its normal limit
        let n = (events as f64 + (events as f64).sqrt() * random.normal()).round() as usize;
        write_parquet(&place.path("t.parquet"), plane_events(300 + k, n, 0.0));
        let out = format!("out{k}");
        let settings = [
            "interpolation.category.values=[0, 1]",
            "interpolation.plane.bins=6",
            "interpolation.plane.fit.length_scales=[30, 31]",
            "interpolation.posterior_draws=30",
            "report.variables=[]",
        ];
        place.run(&out, &settings).exits(0);
        let y = &place.json(&format!("{out}/metrics.json"))["regions"]["sr"]["yields"];
        let number = |key: &str| y[key].as_f64().unwrap();
        let (stat, spread) = (number("after_stat"), number("after_spread"));
        let normalisation = y["components"]["normalisation"].as_f64().unwrap();
        let off = number("after") - truth;
        pulls.push(off / stat.hypot(spread));
        without.push(off / (stat.hypot(spread).powi(2) - normalisation.powi(2)).sqrt());
    }
    let (with, without) = (width(&pulls), width(&without));
    assert!((0.6..1.45).contains(&with), "{with} {pulls:?}");
    assert!(without > 1.15 * with, "{without} {with}");
}
