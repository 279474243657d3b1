//! Best fits at bounds, parameters that nothing measures, quantities that cannot be had,
//! curves that contain what their names say.

use crate::support::{Done, Workplace, contains, list, number, numbers, parsed};
use arrow::array::StringArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::Value;

/// Expected background and signal events, in the region without bins and in the channel
/// each.
const BACKGROUND: f64 = 300.0;
const SIGNAL: f64 = 60.0;

/// A folder with samples and as many observed events.
fn place(signal: f64, background: f64) -> Workplace {
    Workplace::measurement(2, 1200, [SIGNAL, BACKGROUND], [signal, background])
}

/// Two members of a network that learns something.
fn measure(place: &Workplace, out: &str, settings: &[&str]) -> Done {
    let trained = [
        "model.hidden=[8]",
        "training.epochs=2",
        "training.batch=512",
        "ensemble.members=2",
        "measurement.scan_points=11",
    ];
    place.run_quietly(out, &[&trained, settings].concat())
}

/// Measures and gives the result, of which holds what holds of every result: it can be
/// read, nothing has an error of zero, curves are curves, and intervals have both ends.
#[track_caller]
fn measured(place: &Workplace, out: &str, settings: &[&str], exit: i32) -> (Value, Done) {
    let done = measure(place, out, settings).exits(exit);
    let result = place.json(&format!("{out}/measurement.json"));
    let page = place.text(&format!("{out}/report.html"));
    let zeros = ["± 0.0000", "± 0.000<", "± -0", "-0.0000", " NaN", ">NaN"];
    for zero in zeros.into_iter().chain(["[0.0000, ?]"]) {
        assert!(!done.stdout.contains(zero), "{zero}: {}", done.stdout);
        assert!(!page.contains(zero), "{zero} on the page");
    }
    for p in list(&result["fit"]["parameters"]) {
        let error = p["error"].as_f64();
        assert!(error.is_none_or(|error| error > 0.0), "{p}");
        assert_eq!(error.is_none(), p["no_error"].is_string(), "{p}");
    }
    for (name, scan) in result["scans"].as_object().unwrap() {
        for (curve, found) in scan["curves"].as_object().unwrap() {
            let points: Vec<[f64; 2]> = parsed(&found["points"]);
            let rises = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
            assert!(rises, "{name} {curve}: {points:?}");
        }
        for (curve, sets) in scan["intervals"].as_object().unwrap() {
            let mut ends = list(sets).iter().flat_map(|s| list(&s["intervals"]));
            let is_whole = |pair: &Value| pair[0].is_number() && pair[1].is_number();
            assert!(ends.all(is_whole), "{name} {curve}: {sets}");
        }
    }
    let seen = place.sideband(&["inspect", out, "--json"]).exits(0);
    assert_eq!(seen.json()["result"], result);
    (result, done)
}

fn parameter<'a>(result: &'a Value, name: &str) -> &'a Value {
    let mut all = list(&result["fit"]["parameters"]).iter();
    all.find(|p| p["name"] == name).unwrap()
}

fn intervals(result: &Value, curve: &str, level: usize) -> Vec<[f64; 2]> {
    parsed(&result["scans"]["mu"]["intervals"][curve][level]["intervals"])
}

const HISTOGRAM: &str = "measurement.histogram={observable='x', bins=[-3.0, 0.0, 1.0, 4.0]}";
const RATE: &str = "systematics.a.rates.B=[0.9, 1.1]";
const TWO_MEMBERS: &str = "measurement.finite_sample_members=2";
const LIMIT: &str = "measurement.limit={}";

/// Everything that can be asked of a measurement.
const EVERYTHING: [&str; 6] = [
    RATE,
    "measurement.contours=[{parameters=['mu', 'a'], points=5}]",
    TWO_MEMBERS,
    "measurement.finite_sample_points=3",
    HISTOGRAM,
    "toys.number=120",
];

#[test]
fn a_best_fit_on_its_lower_bound_has_all_that_others_have() {
    for fit in ["parameters.mu.fit=linear", "parameters.mu.fit=sqrt"] {
        let place = place(0.0, 0.8 * BACKGROUND);
        let grid = "toys.grid=[0.0, 0.4, 0.8]";
        let asked = [fit, LIMIT, grid, "systematics.a.group=rates"];
        let settings = [&asked[..], &EVERYTHING].concat();
        let (result, done) = measured(&place, "out", &settings, 0);
        let mu = parameter(&result, "mu");
        assert_eq!(mu["value"], 0.0, "{mu}");
        assert_eq!(mu["at_bound"], true, "{fit} {mu}");
        assert!(mu["error"].is_null() && mu["error_down"].is_null());
        let up = number(&mu["error_up"]);
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
        let points: Vec<[f64; 2]> = parsed(points);
        let last = points[points.len() - 1];
        assert!(last[1] >= 9.0 && last[1] <= 63.0, "{points:?}");
        let impacts = &result["impacts"]["mu"];
        assert_eq!(impacts["from"], "profile_up");
        let [whole, alone] = ["error", "statistical"].map(|k| number(&impacts[k]));
        assert!(0.0 < alone && alone <= whole * (1.0 + 1e-6), "{impacts}");
        assert!(impacts["groups"]["rates"].is_number(), "{impacts}");
        let refit = &impacts["ranking"][0]["refit"];
        assert!(refit[0].is_number() && refit[1].is_number(), "{impacts}");
        assert!(number(&result["limit"]["observed"]) > up);
        let contour = &result["contours"][0];
        assert!(contour["reason"].is_null(), "{contour}");
        let t: Vec<Vec<f64>> = parsed(&contour["t"]);
        assert!(t.iter().flatten().any(|t| *t > 6.18));
        let values = numbers(&contour["values"][0]);
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]) && values[0] == 0.0);
        assert_eq!(list(&result["finite_sample"]["points"]).len(), 3);
        let toys = &result["toys"];
        assert_eq!(toys["sets"][0]["intervals"][0]["low"]["mu"], 0.0, "{toys}");
        assert!(number(&toys["points"][0]["at_bound"]) > 0.2);
        for figure in ["likelihood_mu", "contour_mu-a", "impacts_mu_1", "belt"] {
            assert!(place.has(&format!("out/plots/{figure}.png")), "{figure}");
        }
        done.says(["mu = 0.0000 at the bound (+", "ended on its lower bound 0"]);
    }
}

#[test]
fn a_best_fit_on_its_upper_bound_has_errors_downwards() {
    let place = place(2.0 * SIGNAL, BACKGROUND);
    let asked = ["parameters.mu.bounds=[0.0, 1.2]", "toys.grid=[0.8, 1.2]"];
    let (result, _) = measured(&place, "out", &[&asked[..], &EVERYTHING].concat(), 0);
    let mu = parameter(&result, "mu");
    assert_eq!(mu["value"], 1.2);
    assert!(mu["error_up"].is_null(), "{mu}");
    assert!(number(&mu["error_down"]) > 0.0, "{mu}");
    assert_eq!(intervals(&result, "profiled", 1)[0][1], 1.2);
    assert_eq!(result["impacts"]["mu"]["from"], "profile_down");
}

#[test]
fn a_best_fit_near_a_bound_is_measured() {
    let place = place(SIGNAL, BACKGROUND);
    let fitted = |out: &str, settings: &[&str]| {
        let (result, _) = measured(&place, out, settings, 0);
        parameter(&result, "mu").clone()
    };
    let about = number(&fitted("about", &[])["value"]);
    // it must lie inside of the bounds, and the bins' statistical errors are those at it
    let nominal = format!("parameters.mu.nominal={about:?}");
    let free = fitted("free", &[&nominal]);
    let [value, up] = ["value", "error_up"].map(|k| number(&free[k]));
    let nearest = (about - value).abs() / up;
    assert!(nearest < 5e-3, "{nearest}");
    for (run, inside) in [("near-0", 1e-5), ("near-1", 1e-4), ("near-2", 1e-3)] {
        // so narrow that the profile is asked whether it is measured
        let bounds = [value.min(about) - inside * up, value.max(about) + 1.2 * up];
        let bounds = format!("parameters.mu.bounds={bounds:?}");
        let mu = fitted(run, &[&nominal, &bounds]);
        assert!(mu["not_measured"].is_null(), "{inside} {mu}");
        let [at, near_up] = ["value", "error_up"].map(|k| number(&mu[k]));
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
    let (result, _) = measured(&place, "out", &settings, 0);
    let k = parameter(&result, "k");
    assert!(k["at_bound"] == true && k["error_up"].is_null(), "{k}");
    let down = number(&k["error_down"]);
    assert!(down > 0.0 && down < 0.2, "{k}");
    let mut ranking = list(&result["impacts"]["mu"]["ranking"]).iter();
    let impact = ranking.find(|i| i["name"] == "k").unwrap();
    let [up, down] = [0, 1].map(|side| &impact["refit"][side]);
    assert!(impact["post_fit"].is_null() && up.is_null(), "{impact}");
    // less background is more signal
    assert!(number(down) > 0.0, "{impact}");
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
        LIMIT,
        "measurement.contours=[{parameters=['b', 'mu'], points=5}]",
        "toys.grid=[0.5, 1.0]",
        "toys.number=100",
    ];
    let (result, done) = measured(&place, "out", &settings, 6);
    for (name, other) in [("mu", "k"), ("k", "mu")] {
        let p = parameter(&result, name);
        let why = p["not_measured"].as_str().unwrap();
        contains(why, [format!("combination with {other}")]);
        assert!(p["error"].is_null() && p["error_up"].is_null(), "{p}");
    }
    assert!(!done.stdout.contains("mu = "), "{}", done.stdout);
    done.says(["mu is not measured"]);
    // what is measured is there
    let b = parameter(&result, "b");
    assert!((number(&b["value"]) - 1.0).abs() < 0.2, "{b}");
    assert!(number(&b["error"]) > 0.01, "{b}");
    assert!(result["impacts"]["b"].is_object() && result["impacts"]["mu"].is_null());
    for withheld in [&result["limit"], &result["contours"][0]] {
        let reason = withheld["reason"].as_str().unwrap();
        contains(reason, ["mu is not measured"]);
    }
    assert!(result["toys"].is_null());
    assert_eq!(list(&result["missing"]).len(), 4, "{}", result["missing"]);
}

#[test]
fn a_histogram_without_signal_has_no_curve() {
    let place = place(SIGNAL, BACKGROUND);
    place.edit("S.parquet", |columns| {
        let region = columns.numbers("reg");
        columns.change("w", |row, w| if region[row] == 0.0 { w } else { 0.0 });
    });
    let (result, done) = measured(&place, "out", &[], 0);
    let scan = &result["scans"]["mu"];
    assert!(scan["curves"]["histogram"].is_null() && scan["curves"]["profiled"].is_object());
    let why = scan["missing"]["histogram"].as_str().unwrap();
    contains(why, ["do not measure it"]);
    done.says(["no curve `histogram` of mu"]);
}

#[test]
fn one_limit_that_does_not_exist_withholds_no_other() {
    let place = place(0.0, BACKGROUND);
    let settings = [
        LIMIT,
        "parameters.mu.bounds=[0.0, 0.45]",
        "parameters.mu.nominal=0.2",
    ];
    let (result, done) = measured(&place, "out", &settings, 6);
    let limit = &result["limit"];
    let expected: Vec<Option<f64>> = parsed(&limit["expected"]);
    assert!(
        expected[0].is_some() && expected[4].is_none(),
        "{expected:?}"
    );
    let advice = "the expected (+2 sigma) upper limit lies above 0.45, the upper bound of mu: \
                  widen parameters.mu.bounds";
    contains(limit["reason"].as_str().unwrap(), [advice]);
    done.says([advice]);
}

#[test]
fn a_level_without_enough_toys_withholds_no_other() {
    let place = place(SIGNAL, BACKGROUND);
    let settings = ["toys.grid=[0.5, 1.0, 1.5]", "toys.number=60"];
    let (result, done) = measured(&place, "out", &settings, 0);
    let toys = &result["toys"];
    let levels = list(&toys["sets"]).iter().map(|s| &s["level"]);
    assert!(levels.eq([0.6827].iter()), "{toys}");
    let no_belt = toys["no_belt"].as_str().unwrap();
    assert!(no_belt.starts_with("95.45 %"), "{toys}");
    done.says(["there is no belt at 95.45 %"]);
}

#[test]
fn signed_weights_have_a_limit_and_toys() {
    let place = place(SIGNAL, BACKGROUND);
    // a fifth of the weights is negative, the sum as before
    place.edit("B.parquet", |columns| {
        let sign = |row: usize| if row % 10 < 2 { -1.0 } else { 1.0 };
        columns.change("w", |row, w| sign(row) * w / 0.6);
    });
    let grid = "toys.grid=[0.5, 1.0, 1.5]";
    let settings = [LIMIT, grid, "toys.number=120", TWO_MEMBERS];
    let (result, done) = measured(&place, "out", &settings, 0);
    let limit = &result["limit"];
    let median = number(&limit["expected"][2]);
    assert!((0.1..2.0).contains(&median), "{limit}");
    assert!(number(&limit["observed"]) > median);
    assert!(!done.stdout.contains("negative weights"), "{}", done.stdout);
    assert!(result["finite_sample"].is_object());
    for point in list(&result["toys"]["points"]) {
        let of = |key: &str| number(&point[key]);
        assert!(of("toys") > 100.0, "{point}");
        // thrown from the signal's sample, weighted to the whole
        let expected = BACKGROUND + SIGNAL * of("value");
        assert!((of("events") / expected - 1.0).abs() < 0.15, "{point}");
    }
}

#[test]
fn the_histograms_curve_has_no_error_of_the_networks() {
    let place = place(SIGNAL, BACKGROUND);
    let with = [TWO_MEMBERS, RATE, HISTOGRAM];
    measure(&place, "with", &with).exits(0);
    measure(&place, "without", &with[1..]).exits(0);
    let curve = |run: &str| -> Vec<f64> {
        let curves = place.events(&format!("{run}/curves.parquet"));
        let names = cast(curves.get("curve"), &DataType::Utf8).unwrap();
        let names = names.as_any().downcast_ref::<StringArray>().unwrap();
        let t = curves.numbers("t").into_iter().zip(names);
        t.filter(|(_, name)| *name == Some("histogram"))
            .map(|(t, _)| t)
            .collect()
    };
    assert_eq!(curve("with").len(), 11);
    assert_eq!(curve("with"), curve("without"));
    // neither has the workspace
    let [one, other] = ["with", "without"].map(|run| place.read(&format!("{run}/workspace.json")));
    assert!(one == other);
}
