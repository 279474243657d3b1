//! What is fitted is what is predicted; every error is there in every bin.

use crate::support::statistics::mean;
use crate::support::{
    Columns, Numbers, Workplace, configuration, contains, doubles, list, number, numbers,
};

/// Numbered events with columns of numbers.
fn columns<const N: usize>(names: [&str; N], values: [Vec<f64>; N]) -> Columns {
    let mut all = Columns::numbered(0, values[0].len());
    for (name, values) in names.iter().zip(values) {
        all.set(name, doubles(values));
    }
    all
}

/// Events of the square [0, 10)^2 with a falling or a flat density, `a` above 0, `b`,
/// `year` 0 or 1 and a weight of 0.5.
fn plane_events(seed: u64, events: usize, slope: f64) -> Columns {
    let mut random = Numbers::new(seed);
    let mut values: [Vec<f64>; 6] = Default::default();
    while values[0].len() < events {
        let (m1, m2) = (10.0 * random.uniform(), 10.0 * random.uniform());
        if random.uniform() > (-slope * (m1 + m2)).exp() {
            continue;
        }
        let a = (1.0 + 0.05 * m1 + 0.3 * random.normal()).exp();
        let b = 0.1 * m2 + random.normal();
        let event = [m1, m2, a, b, (random.bits() % 2) as f64, 0.5];
        for (column, value) in values.iter_mut().zip(event) {
            column.push(value);
        }
    }
    columns(["m1", "m2", "a", "b", "year", "w"], values)
}

/// A folder with the plane's events and configuration.
fn plane(events: usize) -> Workplace {
    let place = Workplace::with_configuration(configuration("square"));
    place.put("t.parquet", &plane_events(1, events, 0.06));
    place
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
        place.plan(settings).exits(0);
    }
    let is_refused = |settings: &[&str], words: &str| {
        place.refuses(settings, &["`training.region`", words]);
    };
    let without_ring = "regions.out.selection=!near && !ring";
    // a validation ring that is in no hole
    is_refused(&[without_ring], "events (year = 0: ");
    for (setting, words) in [
        (
            "regions.out.selection=!near && m1 < 7",
            "events (year = 0: ",
        ),
        // a cut that the region to be predicted does not have
        (
            "regions.out.selection=!near && a > 2",
            "data.target.selection",
        ),
        (
            "regions.out.selection=!near && (year == 0 || m1 < 5)",
            "(year = 1: ",
        ),
        // no event is left out there, but bins are
        ("data.target.selection=m1 < 7", "of 64 bins of year = 0"),
        (
            "data.target.selection=year == 0 || m1 < 7",
            "bins of year = 1",
        ),
    ] {
        is_refused(&[setting], words);
    }
    let blind = "regions.ring={selection='ring', blind=true}";
    let predicted = "interpolation.regions=['sr']";
    is_refused(
        &[blind, without_ring, predicted],
        "events of the blind region ring",
    );
    is_refused(&["data.target.selection=!ring", without_ring], "of 64 bins");
}

/// A category that is not listed has no prediction: its events are counted, blind
/// or not.
#[test]
fn a_category_that_is_not_listed_is_refused_where_it_is_predicted() {
    let place = plane(1000);
    for blind in ["regions.sr.blind=false", "regions.sr.blind=true"] {
        let one = "interpolation.category.values=[0]";
        let trained = "regions.out.selection=!near && year == 0";
        let words = "events of region sr have another category";
        place.refuses(
            &[one, trained, blind],
            &["`interpolation.category.values`", words],
        );
    }
}

#[test]
fn a_hole_twice_is_refused() {
    let hole = "{kind='box', m1=[3.5, 6.5], m2=[3.5, 6.5]}";
    let holes = format!("interpolation.plane.holes=[{hole}, {hole}]");
    plane(500).refuses(&[&holes], &["each hole once"]);
}

/// What is advised is not what is set.
#[test]
fn advice_is_not_what_is_set_already() {
    let place = plane(3000);
    // the events end within the box, where no selection says so
    place.edit("t.parquet", |columns| {
        columns.change("m1", |_, m| if m > 7.5 { m - 7.5 } else { m });
    });
    let done = place.run("out", &["interpolation.predict=box"]).exits(0);
    let advised = "noise = \"predicted\"";
    assert!(!done.stdout.contains(advised), "{}", done.stdout);
    let metrics = place.json("out/metrics.json");
    let category = &metrics["interpolation"]["categories"][0];
    assert!(number(&category["empty_bins"]) > 0.0, "{category}");
}

/// Settings without effect are refused by name, for every method.
#[test]
fn settings_that_change_nothing_are_refused() {
    let place = plane(500);
    let settings = "ensemble.combine=median features.inputs=['a'] features.one_hot={year=[0]} \
                    features.labels={a='A'} model.hidden=[7] model.dropout=0.5 \
                    training.normalise=yield training.folds=3 report.bins=3 \
                    report.classifier_members=3 data.source={path='t.parquet'}";
    for setting in settings.split(' ') {
        is_refused(&place, setting);
    }
    // what says that nothing is done is no setting without effect
    place.plan(&["report.classifier_members=0"]).exits(0);
    let place = Workplace::new();
    is_refused(&place, "training.folds=3");
    is_refused(&place, "features.labels={petee='p'}");
    let square = configuration("square");
    let tables = square.find("[interpolation]").unwrap()..square.find("[training]").unwrap();
    place.configure(&[("[training]", &format!("{}[training]", &square[tables]))]);
    place.refuses(&[], &["`interpolation`"]);
}

/// Holds that the key of a setting is named.
#[track_caller]
fn is_refused(place: &Workplace, setting: &str) {
    let key = setting.split('=').next().unwrap();
    place.refuses(&[setting], &[&format!("`{key}`")]);
}

/// Events with `m1` and `m2` in [0, 10) and `x`, `z` about them.
fn ratio_events(
    seed: u64,
    events: usize,
    shift: f64,
    weight: &dyn Fn(&mut Numbers) -> f64,
) -> Columns {
    let mut random = Numbers::new(seed);
    let mut values: [Vec<f64>; 5] = Default::default();
    for _ in 0..events {
        let (m1, m2) = (10.0 * random.uniform(), 10.0 * random.uniform());
        let x = 0.1 * m1 + random.normal();
        let z = 0.1 * m2 + shift + random.normal();
        let event = [m1, m2, x, z, weight(&mut random)];
        for (column, value) in values.iter_mut().zip(event) {
            column.push(value);
        }
    }
    columns(["m1", "m2", "x", "z", "w"], values)
}

fn compared() -> Workplace {
    let place = Workplace::with_configuration(configuration("comparison"));
    let weight = |_: &mut Numbers| 0.02;
    place.put("s.parquet", &ratio_events(1, 4000, 0.0, &weight));
    place.put("t.parquet", &ratio_events(2, 3000, 0.4, &weight));
    place.put("u.parquet", &ratio_events(3, 3000, 0.8, &weight));
    place
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
        numbers(&place.json(&path)["regions"]["sr"]["variables"][variable]["edges"])
    };
    for (row, expected) in [
        ("a", vec!["members", "control_region", "nonclosure"]),
        ("b", vec!["members", "control_region"]),
    ] {
        let method = &rows[row]["methods"]["reweighting"];
        let path = format!("out/ensembles/region={row},method=cr1/metrics.json");
        let own = place.json(&path)["regions"]["sr"]["yields"]["components"].clone();
        // nothing is missing but in bins that have no events, and what the result lacks
        for missing in list(&method["missing"]) {
            let bins = list(&missing["bins"]);
            let component = missing["component"].as_str().unwrap();
            let is_own = ["members", "normalisation"].contains(&component);
            let lacks = is_own && own.get(component).is_none();
            assert!(!bins.is_empty() || lacks, "{missing}");
        }
        for variable in ["x", "z", "m1", "x2"] {
            let edges = edges_of("a", "cr1", variable);
            for (row, method) in [("a", "cr2"), ("b", "cr1"), ("b", "cr2")] {
                let other = edges_of(row, method, variable);
                assert_eq!(other, edges, "{row} {method} {variable}");
            }
            let v = &method["variables"][variable];
            for component in &expected {
                let errors = numbers(&v["components"][*component]);
                assert_eq!(errors.len() + 1, edges.len(), "{variable} {component}");
                // a row may close within its errors
                let some = *component == "nonclosure" || errors.iter().any(|e| *e > 0.0);
                assert!(some, "{row} {variable} {component}: {errors:?}");
            }
            for (bin, total) in numbers(&v["spread"]).iter().enumerate() {
                let components = v["components"].as_object().unwrap().values();
                let squares = components.map(|c| numbers(c)[bin].powi(2));
                let off = squares.sum::<f64>().sqrt() - total;
                assert!(off.abs() <= 1e-6 * total, "{row} {variable} {bin}");
            }
        }
        // every component of the ensemble's own result is there
        for (name, error) in own.as_object().unwrap() {
            let found = number(&method["errors"][name]);
            assert!((found / number(error) - 1.0).abs() < 1e-9, "{name}");
        }
    }
    // made again in another order, with one ensemble missing
    place.remove("out/ensembles/region=a,method=cr1/metrics.json");
    place.run("out", &[]).exits(0);
    assert_eq!(place.json("out/comparison.json"), compared);
    // digits of the observation: not fewer than its error has
    let tex = place.text("out/comparison.tex");
    for (name, row) in rows {
        let start = format!("{name} &");
        let line = tex.lines().find(|line| line.starts_with(&start)).unwrap();
        let written: f64 = line.split('&').nth(1).unwrap().trim().parse().unwrap();
        let [n, error] = ["observed", "observed_error"].map(|key| number(&row[key]));
        assert!((written - n).abs() < 0.06 * error, "{line} {n}");
    }
}

/// What cannot be had is said with its reason wherever there are numbers.
#[test]
fn a_missing_component_is_named_everywhere() {
    let place = compared();
    let [high, low] = ["box && m1 > 5", "box && m1 <= 5"].map(|cut| format!("\"{cut}\""));
    let blind = |line: &str| format!("{line}\nblind = \"${{region.blind}}\"");
    place.configure(&[
        ("99\", blind = false", "99\", blind = true"),
        (&high, &blind(&high)),
        (&low, &blind(&low)),
    ]);
    let brief = ["ensemble.members=2", "training.epochs=1"];
    let done = place.run("out", &brief).exits(0);
    let compared = place.json("out/comparison.json");
    let method = &compared["rows"]["a"]["methods"]["reweighting"];
    for variable in [None, Some("x"), Some("z"), Some("m1"), Some("x2")] {
        let said = list(&method["missing"]).iter().any(|m| {
            m["component"] == "nonclosure"
                && m["variable"].as_str() == variable
                && m["reason"].as_str().unwrap().contains("row b is blind")
        });
        assert!(said, "{variable:?}: {}", method["missing"]);
        if let Some(variable) = variable {
            let components = &method["variables"][variable]["components"];
            assert!(components.get("nonclosure").is_none(), "{variable}");
        }
    }
    let words = "lacks nonclosure: row b is blind";
    done.says([words]);
    for file in ["comparison.csv", "comparison.tex", "report.html"] {
        contains(&place.text(&format!("out/{file}")), [words]);
    }
}

#[test]
fn quadrants_share_the_region_among_them() {
    let place = compared();
    place.plan(&[]).exits(0);
    let key = "`comparison.reweighting.quadrants`";
    let all = "comparison.reweighting.quadrants=['hi', 'lo', 'sr']";
    for (setting, words) in [
        (all, "more than one quadrant"),
        (
            "regions.lo.selection=box && m1 <= 5.1",
            "more than one quadrant",
        ),
        ("regions.lo.selection=box && m1 <= 4.5", "in no quadrant"),
        ("regions.lo.selection=m1 <= 5", "not in the region"),
    ] {
        for done in [place.plan(&[setting]), place.run("out", &[setting])] {
            done.exits(3).warns([key, words]);
        }
    }
    let variation = "comparison.reweighting.variation=cr1";
    place.refuses(&[variation], &["comparison.reweighting.variation"]);
    let alone = "comparison.reweighting={nominal='cr1', quadrants=['hi', 'lo']}";
    place.refuses(&[alone], &["comparison.reweighting.quadrants"]);
}

/// Width about the truth of (predicted - truth) / error.
fn width(pulls: &[f64]) -> f64 {
    mean(pulls.iter().map(|p| p * p)).sqrt()
}

/// Estimates without networks of repeated data sets scatter by their error; it is
/// that of effective numbers, since the weights are spread.
#[test]
fn abcd_scatters_by_its_error() {
    let place = compared();
    place.configure(&[
        // what is not looked at is not drawn
        ("variables = [", "# "),
        ("[regions.hi]\nselection = \"box && m1 > 5\"", ""),
        ("[regions.lo]\nselection = \"box && m1 <= 5\"", ""),
        (", cut = \"x < 1.5\"", ", cut = \"x < 99\""),
        ("nonclosure = \"b\"", ""),
        ("variation = \"cr2\"", ""),
        ("quadrants = [\"hi\", \"lo\"]", ""),
        ("ring && m1 > m2", "m1 < 3"),
        (", { name = \"cr2\", train = \"ring && m1 <= m2\" }", ""),
        ("    { name = \"b\"", "#"),
    ]);
    // half of the weights are 5 times the others: 1 / sum w is not the variance
    let spread = |random: &mut Numbers| if random.uniform() < 0.2 { 10.0 } else { 0.2 };
    let mean = 0.2 * 10.0 + 0.8 * 0.2;
    let events = 400;
    let truth = events as f64 * mean * 16.0 / 100.0;
    let (mut pulls, mut without) = (Vec::new(), Vec::new());
    for k in 0..24 {
        let source = ratio_events(100 + k, 2 * events, 0.0, &spread);
        place.put("s.parquet", &source);
        place.put("t.parquet", &ratio_events(200 + k, events, 0.0, &spread));
        let out = format!("out{k}");
        let settings = ["ensemble.members=2", "training.epochs=1", "report.bins=2"];
        place.run(&out, &settings).exits(0);
        let method = &place.json(&format!("{out}/comparison.json"))["rows"]["a"]["methods"]["abcd"];
        let off = number(&method["predicted"]) - truth;
        pulls.push(off / number(&method["error"]));
        without.push(off / number(&method["errors"]["statistical"]));
    }
    let (with, without) = (width(&pulls), width(&without));
    assert!((0.6..1.45).contains(&with), "{with} {pulls:?}");
    assert!(without > 1.25 * with, "{without} {with}");
}

/// Interpolated yields of repeated data sets scatter by their error, of which the
/// counting error of the events outside is a part.
#[test]
fn an_interpolation_scatters_by_its_error() {
    let place = Workplace::with_configuration(configuration("square"));
    let events = 900.0;
    let truth = 0.5 * events * 9.0 / 100.0;
    let (mut pulls, mut without) = (Vec::new(), Vec::new());
    for k in 0..20 {
        let n = Numbers::new(900 + k).poisson(events);
        place.put("t.parquet", &plane_events(300 + k, n, 0.0));
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
        let error = number(&y["after_stat"]).hypot(number(&y["after_spread"]));
        let normalisation = number(&y["components"]["normalisation"]);
        let off = number(&y["after"]) - truth;
        pulls.push(off / error);
        without.push(off / (error.powi(2) - normalisation.powi(2)).sqrt());
    }
    let (with, without) = (width(&pulls), width(&without));
    assert!((0.6..1.45).contains(&with), "{with} {pulls:?}");
    assert!(without > 1.15 * with, "{without} {with}");
}
