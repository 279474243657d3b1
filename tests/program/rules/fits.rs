//! Best fits at bounds, parameters that nothing measures, quantities that cannot be had,
//! curves that contain what their names say.

use super::support::{Columns, Done, Numbers, Workplace, numbers, read_parquet, write_parquet};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

/// Events of a simulated sample.
const SIMULATED: usize = 1200;
/// Expected background events, in the region without bins and in the channel each.
const BACKGROUND: f64 = 300.0;
/// Expected signal events, likewise.
const SIGNAL: f64 = 60.0;

/// Signal and background over one input `x` and one observable `z`; half of the events in
/// the region without bins.
const CONFIG: &str = r#"
[experiment]
name = "small"
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
bins = [-4.0, -1.0, 0.0, 1.0, 4.0]
[observed]
path = "obs.parquet"
[features]
inputs = ["x"]
[model]
hidden = [8]
[training]
region = "all"
epochs = 2
batch = 512
held_out = 0.3
[ensemble]
members = 2
[measurement]
interest = ["mu"]
reference = ["B"]
scan_points = 11
[report]
classifier_members = 0
"#;

/// Events of which `signal` are like the signal; `weight` of each by its number.
fn events(
    seed: u64,
    first: i64,
    [signal, background]: [usize; 2],
    weight: impl Fn(usize) -> f64,
) -> Columns {
    let mut random = Numbers::new(seed);
    let n = signal + background;
    let (mut x, mut z, mut region) = (Vec::new(), Vec::new(), Vec::new());
    for event in 0..n {
        let centre = f64::from(u8::from(event < signal));
        x.push(centre + random.normal());
        z.push((centre + random.normal()).clamp(-3.99, 3.99));
        region.push((event % 2) as i64);
    }
    let float = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let event: Vec<i64> = (first..).take(n).collect();
    vec![
        ("x".to_owned(), float(x)),
        ("z".to_owned(), float(z)),
        ("w".to_owned(), float((0..n).map(weight).collect())),
        ("reg".to_owned(), Arc::new(Int64Array::from(region))),
        ("event".to_owned(), Arc::new(Int64Array::from(event))),
    ]
}

/// A folder with samples and as many observed events.
fn place(signal: f64, background: f64) -> Workplace {
    let place = Workplace::new();
    let share = |expected: f64| 2.0 * expected / SIMULATED as f64;
    let simulated = events(1, 0, [SIMULATED, 0], |_| share(SIGNAL));
    write_parquet(&place.path("S.parquet"), simulated);
    let simulated = events(2, 1 << 20, [0, SIMULATED], |_| share(BACKGROUND));
    write_parquet(&place.path("B.parquet"), simulated);
    let count = |expected: f64| (2.0 * expected).round() as usize;
    let observed = events(3, 0, [count(signal), count(background)], |_| 1.0);
    write_parquet(&place.path("obs.parquet"), observed);
    fs::write(place.path("config.toml"), CONFIG).unwrap();
    place
}

fn measure(place: &Workplace, out: &str, settings: &[&str]) -> Done {
    let mut arguments = Workplace::run_arguments(out, settings);
    arguments.push("--quiet");
    place.sideband(&arguments)
}

/// What holds of every result: it can be read, nothing has an error of zero, curves are
/// curves, and intervals have both ends.
fn sound(place: &Workplace, out: &str, done: &Done) -> Value {
    let result = place.json(&format!("{out}/measurement.json"));
    let page = String::from_utf8(place.read(&format!("{out}/report.html"))).unwrap();
    for zero in [
        "± 0.0000",
        "± 0.000<",
        "± -0",
        "-0.0000",
        " NaN",
        ">NaN",
        "[0.0000, ?]",
    ] {
        assert!(!done.stdout.contains(zero), "{zero}: {}", done.stdout);
        assert!(!page.contains(zero), "{zero} on the page");
    }
    for p in result["fit"]["parameters"].as_array().unwrap() {
        let error = p["error"].as_f64();
        assert!(error.is_none_or(|error| error > 0.0), "{p}");
        assert_eq!(error.is_none(), p["no_error"].is_string(), "{p}");
    }
    for (name, scan) in result["scans"].as_object().unwrap() {
        for (curve, found) in scan["curves"].as_object().unwrap() {
            let points: Vec<[f64; 2]> = serde_json::from_value(found["points"].clone()).unwrap();
            assert!(
                points.windows(2).all(|pair| pair[0][0] < pair[1][0]),
                "{name} {curve}: {points:?}"
            );
        }
        for (curve, sets) in scan["intervals"].as_object().unwrap() {
            let ends = sets.as_array().unwrap().iter();
            let mut ends = ends.flat_map(|s| s["intervals"].as_array().unwrap());
            let is_whole = |pair: &Value| pair[0].is_number() && pair[1].is_number();
            assert!(ends.all(is_whole), "{name} {curve}: {sets}");
        }
    }
    let seen = place.sideband(&["inspect", out, "--json"]).exits(0).stdout;
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["result"], result);
    result
}

fn parameter<'a>(result: &'a Value, name: &str) -> &'a Value {
    let all = result["fit"]["parameters"].as_array().unwrap();
    all.iter().find(|p| p["name"] == name).unwrap()
}

fn intervals(result: &Value, curve: &str, level: usize) -> Vec<[f64; 2]> {
    let set = &result["scans"]["mu"]["intervals"][curve][level]["intervals"];
    serde_json::from_value(set.clone()).unwrap()
}

/// Everything that can be asked of a measurement.
const EVERYTHING: [&str; 6] = [
    "systematics.a.rates.B=[0.9, 1.1]",
    "measurement.contours=[{parameters=['mu', 'a'], points=5}]",
    "measurement.finite_sample_members=2",
    "measurement.finite_sample_points=3",
    "measurement.histogram={observable='x', bins=[-3.0, 0.0, 1.0, 4.0]}",
    "toys.number=120",
];

#[test]
fn a_best_fit_on_its_lower_bound_has_all_that_others_have() {
    for fit in ["linear", "sqrt"] {
        let place = place(0.0, 0.8 * BACKGROUND);
        let fit = format!("parameters.mu.fit={fit}");
        let asked = [
            &fit,
            "measurement.limit={}",
            "toys.grid=[0.0, 0.4, 0.8]",
            "systematics.a.group=rates",
        ];
        let settings = [&asked[..], &EVERYTHING[..]].concat();
        let done = measure(&place, "out", &settings).exits(0);
        let result = sound(&place, "out", &done);
        let mu = parameter(&result, "mu");
        assert_eq!(mu["value"], 0.0, "{mu}");
        assert_eq!(mu["at_bound"], true, "{fit} {mu}");
        assert!(mu["error"].is_null() && mu["error_down"].is_null());
        let up = mu["error_up"].as_f64().unwrap();
        assert!((0.02..0.5).contains(&up), "{mu}");
        // intervals begin at the bound and end where errors say
        for curve in ["profiled", "statistical", "histogram"] {
            let [one, two] = [0, 1].map(|level| intervals(&result, curve, level));
            assert_eq!((one[0][0], two[0][0]), (0.0, 0.0), "{curve}");
            assert!(one[0][1] < two[0][1] && two[0][1] < 5.0, "{one:?} {two:?}");
        }
        assert!((intervals(&result, "profiled", 0)[0][1] / up - 1.0).abs() < 1e-4);
        // the scan goes as far as the intervals and not to the other bound
        let points = &result["scans"]["mu"]["curves"]["profiled"]["points"];
        let points: Vec<[f64; 2]> = serde_json::from_value(points.clone()).unwrap();
        let last = points[points.len() - 1];
        assert!(last[1] >= 9.0 && last[1] <= 63.0, "{points:?}");
        let impacts = &result["impacts"]["mu"];
        assert_eq!(impacts["from"], "profile_up");
        let [whole, alone] = ["error", "statistical"].map(|k| impacts[k].as_f64().unwrap());
        assert!(0.0 < alone && alone <= whole * (1.0 + 1e-6), "{impacts}");
        assert!(impacts["groups"]["rates"].is_number(), "{impacts}");
        let refit = &impacts["ranking"][0]["refit"];
        assert!(refit[0].is_number() && refit[1].is_number(), "{impacts}");
        assert!(result["limit"]["observed"].as_f64().unwrap() > up);
        let contour = &result["contours"][0];
        assert!(contour["reason"].is_null(), "{contour}");
        let t: Vec<Vec<f64>> = serde_json::from_value(contour["t"].clone()).unwrap();
        assert!(t.iter().flatten().any(|t| *t > 6.18));
        let values: Vec<f64> = serde_json::from_value(contour["values"][0].clone()).unwrap();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]) && values[0] == 0.0);
        let finite = &result["finite_sample"]["points"];
        assert_eq!(finite.as_array().unwrap().len(), 3);
        let toys = &result["toys"];
        assert_eq!(toys["sets"][0]["intervals"][0]["low"]["mu"], 0.0, "{toys}");
        assert!(toys["points"][0]["at_bound"].as_f64().unwrap() > 0.2);
        for figure in ["likelihood_mu", "contour_mu-a", "impacts_mu_1", "belt"] {
            let figure = place.path(&format!("out/plots/{figure}.png"));
            assert!(figure.is_file(), "{}", figure.display());
        }
        assert!(
            done.stdout.contains("mu = 0.0000 at the bound (+"),
            "{}",
            done.stdout
        );
        assert!(
            done.stdout.contains("ended on its lower bound 0"),
            "{}",
            done.stdout
        );
    }
}

#[test]
fn a_best_fit_on_its_upper_bound_has_errors_downwards() {
    let place = place(2.0 * SIGNAL, BACKGROUND);
    let asked = ["parameters.mu.bounds=[0.0, 1.2]", "toys.grid=[0.8, 1.2]"];
    let settings = [&asked[..], &EVERYTHING[..]].concat();
    let done = measure(&place, "out", &settings).exits(0);
    let result = sound(&place, "out", &done);
    let mu = parameter(&result, "mu");
    assert_eq!(
        (mu["value"].as_f64(), &mu["error_up"]),
        (Some(1.2), &Value::Null)
    );
    assert!(mu["error_down"].as_f64().unwrap() > 0.0, "{mu}");
    assert_eq!(intervals(&result, "profiled", 1)[0][1], 1.2);
    assert_eq!(result["impacts"]["mu"]["from"], "profile_down");
}

#[test]
fn a_best_fit_near_a_bound_is_measured() {
    let place = place(SIGNAL, BACKGROUND);
    let fitted = |out: &str, settings: &[&str]| {
        let done = measure(&place, out, settings).exits(0);
        sound(&place, out, &done)
    };
    let known = |result: &Value| ["value", "error_up"].map(|k| parameter(result, "mu")[k].as_f64());
    let [about, _] = known(&fitted("about", &[])).map(Option::unwrap);
    // it must lie inside of the bounds, and the bins' statistical errors are those at it
    let nominal = format!("parameters.mu.nominal={about:?}");
    let [value, up] = known(&fitted("free", &[&nominal])).map(Option::unwrap);
    let nearest = (about - value).abs() / up;
    assert!(nearest < 5e-3, "{nearest}");
    for (number, inside) in [1e-5, 1e-4, 1e-3].into_iter().enumerate() {
        // so narrow that the profile is asked whether it is measured
        let bounds = [value.min(about) - inside * up, value.max(about) + 1.2 * up];
        let bounds = format!("parameters.mu.bounds={bounds:?}");
        let result = fitted(&format!("near-{number}"), &[&nominal, &bounds]);
        let mu = parameter(&result, "mu");
        assert!(mu["not_measured"].is_null(), "{inside} {mu}");
        let [at, near_up] = known(&result).map(Option::unwrap);
        assert!((at - value).abs() < 1e-5 * up, "{inside} {mu} {value}");
        assert!((near_up / up - 1.0).abs() < 1e-4, "{inside} {mu} {up}");
    }
}

#[test]
fn a_nuisance_parameter_on_its_bound_has_a_one_sided_impact() {
    let place = place(SIGNAL, 1.3 * BACKGROUND);
    let settings = [
        "samples.B.coefficient=k",
        "parameters.k={nominal=1.0, bounds=[0.9, 1.1]}",
    ];
    let done = measure(&place, "out", &settings).exits(0);
    let result = sound(&place, "out", &done);
    let k = parameter(&result, "k");
    assert!(k["at_bound"] == true && k["error_up"].is_null(), "{k}");
    let down = k["error_down"].as_f64().unwrap();
    assert!(down > 0.0 && down < 0.2, "{k}");
    let ranking = result["impacts"]["mu"]["ranking"].as_array().unwrap();
    let impact = ranking.iter().find(|i| i["name"] == "k").unwrap();
    assert!(
        impact["post_fit"].is_null() && impact["refit"][0].is_null(),
        "{impact}"
    );
    // less background is more signal
    assert!(impact["refit"][1].as_f64().unwrap() > 0.0, "{impact}");
}

#[test]
fn what_the_data_do_not_measure_is_named_and_has_no_error() {
    // two parameters that enter by their product
    let place = place(SIGNAL, BACKGROUND);
    let settings = [
        "samples.S.coefficient=mu * k",
        "parameters.k={nominal=1.0, bounds=[0.2, 5.0]}",
        "parameters.b={nominal=1.0, bounds=[0.5, 2.0]}",
        "samples.B.coefficient=b",
        "measurement.interest=['mu', 'b']",
        "measurement.limit={}",
        "measurement.contours=[{parameters=['b', 'mu'], points=5}]",
        "toys.grid=[0.5, 1.0]",
        "toys.number=100",
    ];
    let done = measure(&place, "out", &settings).exits(6);
    let result = sound(&place, "out", &done);
    for (name, other) in [("mu", "k"), ("k", "mu")] {
        let p = parameter(&result, name);
        let why = p["not_measured"].as_str().unwrap();
        assert!(why.contains(&format!("combination with {other}")), "{why}");
        assert!(p["error"].is_null() && p["error_up"].is_null(), "{p}");
    }
    assert!(
        done.stdout.contains("mu is not measured"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("mu = "), "{}", done.stdout);
    // what is measured is there
    let b = parameter(&result, "b");
    assert!((b["value"].as_f64().unwrap() - 1.0).abs() < 0.2, "{b}");
    assert!(b["error"].as_f64().unwrap() > 0.01, "{b}");
    assert!(result["impacts"]["b"].is_object() && result["impacts"]["mu"].is_null());
    for (key, reason) in [
        ("limit", &result["limit"]["reason"]),
        ("contour", &result["contours"][0]["reason"]),
    ] {
        let reason = reason.as_str().unwrap();
        assert!(reason.contains("mu is not measured"), "{key}: {reason}");
    }
    assert!(result["toys"].is_null());
    assert_eq!(
        result["missing"].as_array().unwrap().len(),
        4,
        "{}",
        result["missing"]
    );
}

#[test]
fn a_histogram_without_signal_has_no_curve() {
    let place = place(SIGNAL, BACKGROUND);
    place.edit("S.parquet", |columns| {
        let region = numbers(&columns[3].1);
        let weights = numbers(&columns[2].1).into_iter().zip(region);
        let weights: Vec<f64> = weights
            .map(|(w, r)| if r == 0.0 { w } else { 0.0 })
            .collect();
        columns[2].1 = Arc::new(Float64Array::from(weights));
    });
    let done = measure(&place, "out", &[]).exits(0);
    let result = sound(&place, "out", &done);
    let scan = &result["scans"]["mu"];
    assert!(scan["curves"]["histogram"].is_null() && scan["curves"]["profiled"].is_object());
    let why = scan["missing"]["histogram"].as_str().unwrap();
    assert!(why.contains("do not measure it"), "{why}");
    assert!(
        done.stdout.contains("no curve `histogram` of mu"),
        "{}",
        done.stdout
    );
}

#[test]
fn one_limit_that_does_not_exist_withholds_no_other() {
    let place = place(0.0, BACKGROUND);
    let settings = [
        "measurement.limit={}",
        "parameters.mu.bounds=[0.0, 0.45]",
        "parameters.mu.nominal=0.2",
    ];
    let done = measure(&place, "out", &settings).exits(6);
    let result = sound(&place, "out", &done);
    let limit = &result["limit"];
    let expected: Vec<Option<f64>> = serde_json::from_value(limit["expected"].clone()).unwrap();
    assert!(
        expected[0].is_some() && expected[4].is_none(),
        "{expected:?}"
    );
    let reason = limit["reason"].as_str().unwrap();
    let advice = "the expected (+2 sigma) upper limit lies above 0.45, the upper bound of mu: \
                  widen parameters.mu.bounds";
    assert!(reason.contains(advice), "{reason}");
    assert!(done.stdout.contains(advice), "{}", done.stdout);
}

#[test]
fn a_level_without_enough_toys_withholds_no_other() {
    let place = place(SIGNAL, BACKGROUND);
    let settings = ["toys.grid=[0.5, 1.0, 1.5]", "toys.number=60"];
    let done = measure(&place, "out", &settings).exits(0);
    let result = sound(&place, "out", &done);
    let toys = &result["toys"];
    let levels: Vec<&Value> = toys["sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["level"])
        .collect();
    assert_eq!(levels, [0.6827], "{toys}");
    assert!(
        toys["no_belt"].as_str().unwrap().starts_with("95.45 %"),
        "{toys}"
    );
    assert!(
        done.stdout.contains("there is no belt at 95.45 %"),
        "{}",
        done.stdout
    );
}

#[test]
fn signed_weights_have_a_limit_and_toys() {
    let place = place(SIGNAL, BACKGROUND);
    // a fifth of the weights is negative, the sum as before
    place.edit("B.parquet", |columns| {
        let weights = numbers(&columns[2].1).into_iter().enumerate();
        let signed = |(i, w): (usize, f64)| if i % 10 < 2 { -w / 0.6 } else { w / 0.6 };
        columns[2].1 = Arc::new(Float64Array::from_iter_values(weights.map(signed)));
    });
    let settings = [
        "measurement.limit={}",
        "toys.grid=[0.5, 1.0, 1.5]",
        "toys.number=120",
        "measurement.finite_sample_members=2",
    ];
    let done = measure(&place, "out", &settings).exits(0);
    let result = sound(&place, "out", &done);
    let limit = &result["limit"];
    let median = limit["expected"][2].as_f64().unwrap();
    assert!((0.1..2.0).contains(&median), "{limit}");
    assert!(limit["observed"].as_f64().unwrap() > median);
    assert!(!done.stdout.contains("negative weights"), "{}", done.stdout);
    assert!(result["finite_sample"].is_object());
    for point in result["toys"]["points"].as_array().unwrap() {
        assert!(point["toys"].as_u64().unwrap() > 100, "{point}");
        // thrown from the signal's sample, weighted to the whole
        let expected = BACKGROUND + SIGNAL * point["value"].as_f64().unwrap();
        let events = point["events"].as_f64().unwrap();
        assert!((events / expected - 1.0).abs() < 0.15, "{point}");
    }
}

#[test]
fn the_histograms_curve_has_no_error_of_the_networks() {
    let place = place(SIGNAL, BACKGROUND);
    let histogram = EVERYTHING[4];
    let with = [
        "measurement.finite_sample_members=2",
        EVERYTHING[0],
        histogram,
    ];
    measure(&place, "with", &with).exits(0);
    measure(&place, "without", &with[1..]).exits(0);
    let curve = |run: &str| -> Vec<f64> {
        let columns = read_parquet(&place.path(&format!("{run}/curves.parquet")));
        let names = arrow::compute::cast(&columns[1].1, &arrow::datatypes::DataType::Utf8).unwrap();
        let names = names
            .as_any()
            .downcast_ref::<arrow::array::StringArray>()
            .unwrap();
        let t = numbers(&columns[3].1).into_iter().zip(names);
        t.filter(|(_, name)| *name == Some("histogram"))
            .map(|(t, _)| t)
            .collect()
    };
    assert_eq!(curve("with").len(), 11);
    assert_eq!(curve("with"), curve("without"));
    // neither has the workspace
    let workspace = String::from_utf8(place.read("with/workspace.json")).unwrap();
    assert_eq!(workspace.as_bytes(), place.read("without/workspace.json"));
}

#[test]
fn a_bin_without_simulation_is_named() {
    let place = place(SIGNAL, BACKGROUND);
    // z ends at +-3.99
    let done = measure(&place, "out", &["channels.c.bins=[-9.0, -4.0, 0.0, 9.0]"]);
    place.edit("obs.parquet", |columns| {
        let mut z = numbers(&columns[1].1);
        z[1] = -5.0;
        columns[1].1 = Arc::new(Float64Array::from(z));
    });
    done.exits(0);
    let done = measure(&place, "again", &["channels.c.bins=[-9.0, -4.0, 0.0, 9.0]"]);
    assert_ne!(done.exit, Some(0));
    for part in ["channel", "c", "bin 0", "channels.c.bins"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}
