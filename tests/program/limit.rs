//! `method = "limit"` from outside: histograms whose background is a run, from its predictions to
//! limits.

use crate::support::events::{self, Columns};
use crate::support::workplace::Made;
use crate::support::{Done, Workplace, configuration, document, list, number, numbers};
use serde_json::Value;
use sideband_likelihood::Coefficient;
use sideband_likelihood::asymptotic::{Asymptotics, UpperStatistic};
use sideband_likelihood::fit::FitSettings;
use sideband_likelihood::workspace::{ImportOptions, import};
use std::collections::HashMap;
use std::fs::File;
use std::sync::LazyLock;

/// Edges of the channels' observable.
const EDGES: [f64; 5] = [-10.0, -0.5, 0.5, 1.5, 10.0];
const EVENTS: usize = 1500;

/// The run `bg`, and samples beside it.
fn samples() -> Workplace {
    let place = Workplace::with_configuration(configuration("limit_background"));
    place.put("source.parquet", &events::reweighting(1, 0, EVENTS, 0.0));
    let target = events::reweighting(2, 1 << 32, EVENTS, 0.5);
    place.put("target.parquet", &target);
    place.put("signal.parquet", &events::reweighting(5, 1 << 40, 400, 2.0));
    place
}

static BACKGROUND: LazyLock<Made> = LazyLock::new(|| {
    let place = samples();
    // the run is called as the limit calls it
    Made::new(&place, &[])
});

fn place() -> Workplace {
    let place = samples().with("bg", &BACKGROUND);
    for ensemble in ["cr1", "cr2"] {
        place.start_here(&format!("bg/ensembles/control={ensemble}"));
    }
    place.write("config.toml", configuration("limit"));
    place
}

fn limit(place: &Workplace, out: &str, settings: &[&str]) -> Done {
    place.run_quietly(out, settings)
}

fn result(place: &Workplace, out: &str) -> Value {
    place.json(&format!("{out}/measurement.json"))
}

/// Expected limits, lowest first.
fn expected(result: &Value) -> Vec<f64> {
    numbers(&result["limit"]["expected"])
}

/// What an ensemble predicts in both channels, by hand: contents of all events, and of those in
/// one of its regions.
fn predicted(place: &Workplace, ensemble: &str, region: &str) -> [[f64; 4]; 2] {
    let name = format!("bg/ensembles/control={ensemble}/predictions/source.parquet");
    let (predictions, source) = (place.events(&name), place.events("source.parquet"));
    let column = |columns: &Columns, name: &str| columns.numbers(name);
    let place_of: HashMap<u64, usize> = column(&source, "event")
        .into_iter()
        .enumerate()
        .map(|(row, event)| (event as u64, row))
        .collect();
    let [pt, kind] = ["pt", "kind"].map(|name| column(&source, name));
    let [event, nominal, inside] =
        ["event", "nominal", &format!("in_{region}")].map(|name| column(&predictions, name));
    let mut contents = [[0.0; 4]; 2];
    for row in (0..event.len()).filter(|row| inside[*row] == 1.0) {
        let own = place_of[&(event[row] as u64)];
        let bin = EDGES[1..4].iter().filter(|edge| pt[own] >= **edge).count();
        contents[usize::from(kind[own] > 0.0)][bin] += nominal[row];
    }
    contents
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() < 1e-5 * expected.abs().max(1.0);
        assert!(near, "{what}: {found} {expected}");
    }
}

#[test]
fn a_limit_is_made_of_a_run() {
    let place = place();
    let done = limit(&place, "out", &[]).exits(0);
    done.says(["expected without signal"]);
    let result = result(&place, "out");
    assert_eq!(result["method"], "limit");
    assert_eq!(result["data"], "asimov");
    // without data there is no observed limit, and the others rise
    assert!(result["limit"]["observed"].is_null());
    let limits = expected(&result);
    assert!(
        limits.len() == 5 && limits.is_sorted() && limits[0] > 0.0,
        "{limits:?}"
    );
    let parameters = list(&result["fit"]["parameters"]).iter();
    let names: Vec<&str> = parameters.map(|p| p["name"].as_str().unwrap()).collect();
    for name in [
        "mu",
        "signal_rate",
        "multijet_retraining_1",
        "multijet_normalisation",
        "multijet_control_region_low",
        "multijet_control_region_high",
        "staterror_sr_low[0]",
        "staterror_sr_high[3]",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // templates are those of the run, event by event
    let templates = place.json("out/templates.json");
    let nominal = predicted(&place, "cr1", "sr");
    for (channel, contents) in ["sr_low", "sr_high"].iter().zip(&nominal) {
        let found = &templates[*channel]["processes"]["multijet"];
        assert_near(&numbers(&found["contents"]), contents, channel);
    }
    // and a quadrant's shift is the difference of its events in the other control region
    for region in ["low", "high"] {
        let (one, other) = (
            predicted(&place, "cr1", region),
            predicted(&place, "cr2", region),
        );
        for (k, channel) in ["sr_low", "sr_high"].iter().enumerate() {
            let process = &templates[*channel]["processes"]["multijet"];
            let name = format!("multijet_control_region_{region}");
            let varied = &process["systematics"][&name];
            for (side, sign) in [("up", 1.0), ("down", -1.0)] {
                let shifted: Vec<f64> = (0..4)
                    .map(|b| nominal[k][b] + sign * (other[k][b] - one[k][b]))
                    .collect();
                assert_near(&numbers(&varied[side]), &shifted, &format!("{name} {side}"));
            }
        }
    }
    let of = &result["backgrounds"][0];
    assert_eq!(
        (number(&of["replicas"]), of["sample"].as_str()),
        (6.0, Some("multijet"))
    );
    assert!((1.0..=4.0).contains(&number(&of["components"])), "{of}");
    assert!(number(&of["normalisation"]) > 0.0 && number(&of["spread"]) > 0.0);
    let groups = list(&result["limit_impacts"]["groups"]).iter();
    let groups: Vec<&str> = groups.map(|g| g["group"].as_str().unwrap()).collect();
    for group in [
        "Uncertainty on signal rate",
        "NN retraining (6 x)",
        "Choice of CR",
        "Background statistics",
        "Background modelling",
        "All nuisance parameters",
    ] {
        assert!(groups.contains(&group), "{group}: {groups:?}");
    }
    for file in [
        "report.html",
        "impacts.csv",
        "impacts.tex",
        "yields.csv",
        "limit.parquet",
        "workspace.json",
        "hepdata/workspace.json",
        "hepdata/impacts.yaml",
        "hepdata/yields.yaml",
        "plots/channel_sr_low_prefit.svg",
        "plots/limit.svg",
    ] {
        assert!(place.has(&format!("out/{file}")), "{file}");
    }
    // what is frozen makes no limit weaker
    for group in list(&result["limit_impacts"]["groups"]) {
        assert!(number(&group["relative"]) > -1e-3, "{group}");
    }
    // what is published are the same numbers
    let published = place.text("out/hepdata/limits.yaml");
    let published: Vec<&str> = published.split("value: ").skip(1).collect();
    assert_eq!(published.len(), 1, "{published:?}");
    let median = published[0].lines().next().unwrap();
    assert_near(&[median.parse().unwrap()], &limits[2..3], "published");
    let files = list(&result["files"]).iter();
    let files: Vec<&str> = files.map(|name| name.as_str().unwrap()).collect();
    assert!(files.contains(&"hepdata/submission.yaml"), "{files:?}");
    // again: the same numbers
    limit(&place, "again", &[]).exits(0);
    assert_eq!(expected(&self::result(&place, "again")), limits);
}

#[test]
fn the_workspace_has_the_same_limits() {
    let place = place();
    limit(&place, "out", &[]).exits(0);
    let limits = expected(&result(&place, "out"));
    let file = File::open(place.path("out/workspace.json")).unwrap();
    let imported = import(file, &ImportOptions::default()).unwrap();
    let settings = FitSettings {
        fixed: imported.model.fixed.clone(),
        ..FitSettings::default()
    };
    let interest = imported.interest.unwrap();
    let tests = Asymptotics::new(&imported.model, interest, 0.0, &settings).unwrap();
    let found = tests.limits(0.95, UpperStatistic::QTilde).unwrap();
    for (found, limit) in found.expected.into_iter().zip(limits) {
        let found = found.unwrap();
        assert!((found / limit - 1.0).abs() < 1e-4, "{found} {limit}");
    }
}

#[test]
fn observed_events_are_counted_where_they_may_be() {
    let place = place();
    place.edit("target.parquet", |columns| {
        columns.keep("mass", |mass| mass > 0.4)
    });
    let data = [
        "observed.path=target.parquet",
        "samples.multijet.nonclosure.point={}",
    ];
    // the run's own target is another file now: it cannot be read for the non-closure
    limit(&place, "other", &data)
        .exits(4)
        .warns(["others than when it was made"]);
    place.put(
        "data.parquet",
        &events::reweighting(9, 1 << 33, EVENTS, 0.5),
    );
    place.put(
        "target.parquet",
        &events::reweighting(2, 1 << 32, EVENTS, 0.5),
    );
    let data = ["observed.path=data.parquet"];
    limit(&place, "open", &data).exits(0);
    let open = result(&place, "open");
    assert_eq!(open["data"], "observed");
    assert!(number(&open["limit"]["observed"]) > 0.0);
    let counts: Vec<f64> = list(&place.json("open/workspace.json")["observations"])
        .iter()
        .flat_map(|o| numbers(&o["data"]))
        .collect();
    let all = place.events("data.parquet").numbers("mass");
    let inside = all.iter().filter(|mass| **mass > 0.7).count();
    assert_eq!(counts.iter().sum::<f64>(), inside as f64);
    // a non-closure of the very background would have looked into the blind region
    let blind = [data[0], "regions.sr.blind=true"];
    place
        .plan(&blind)
        .exits(3)
        .warns(["those that the background is of"]);
    place.configure(&[("[samples.multijet.nonclosure]\nsmooth = 1\n", "")]);
    // what is hidden changes nothing
    let done = limit(&place, "blind", &blind).exits(0);
    done.says(["expected without signal"]);
    let closed = result(&place, "blind");
    assert_eq!(closed["data"], "asimov");
    assert!(closed["limit"]["observed"].is_null());
    place.put(
        "data.parquet",
        &events::reweighting(10, 1 << 33, EVENTS, 2.0),
    );
    limit(&place, "blind2", &blind).exits(0);
    assert_eq!(expected(&result(&place, "blind2")), expected(&closed));
    // nor are events looked at that a channel shares with a blind region
    let shared = [
        data[0],
        "regions.top={ selection = 'mass > 0.9', blind = true }",
    ];
    let done = place.plan(&shared).exits(0);
    done.says(["blind region top", "are not opened"]);
}

#[test]
fn limits_by_toys_have_errors_and_are_those_of_the_workspace() {
    let place = place();
    let settings = [
        "measurement.toys={ number = 400 }",
        "samples.multijet.retraining={ keep = 1.0, at_most = 1 }",
    ];
    place.run("out", &settings).exits(0).says(["by toys: "]);
    let result = result(&place, "out");
    let toys = &result["limit"]["toys"];
    // nothing is observed: the median alone is a result
    assert!(toys["observed"].is_null(), "{toys}");
    let median = &toys["expected"][2];
    let [value, error] = ["value", "error"].map(|key| number(&median[key]));
    let asymptotic = expected(&result)[2];
    assert!(error > 0.0 && error < 0.5 * value, "{toys}");
    assert!(
        (value / asymptotic - 1.0).abs() < 0.5,
        "{value} {asymptotic}"
    );
    assert_eq!(list(&toys["tests"]).len(), 8);
    place.says_in("out/report.html", "Upper limit by pseudo-experiments");
    let workspace = [
        "limit",
        "out/workspace.json",
        "--asimov",
        "--toys",
        "400",
        "--seed",
        "3",
        "--json",
        "--quiet",
    ];
    let found = place.sideband(&workspace).json();
    let found = number(&found["toys"]["expected"][2]["value"]);
    assert!((found / value - 1.0).abs() < 0.2, "{found} {value}");
    limit(&place, "wrong", &["measurement.toys={ number = 0 }"])
        .exits(3)
        .warns(["measurement.toys.number"]);
}

#[test]
fn limits_along_a_parameter_that_is_fixed() {
    let place = place();
    let settings = [
        "parameters.kl={ nominal = 1.0, bounds = [-2.0, 4.0] }",
        "samples.signal.coefficient=mu * (kl^2 - kl + 1)",
        "measurement.fixed=['kl']",
        "measurement.scans=[{ parameter = 'kl', range = [-1, 3], points = 5, limit = true }]",
        "samples.multijet.retraining={ keep = 1.0, at_most = 2 }",
    ];
    limit(&place, "out", &settings).exits(0);
    let result = result(&place, "out");
    let points = list(&result["limit_scans"][0]["points"]);
    let medians: Vec<f64> = points.iter().map(|p| number(&p["expected"][2])).collect();
    assert_eq!(medians.len(), 5);
    // kl = -1, 0, 1, 2, 3: the signal is 3, 1, 1, 3 and 7 times as strong
    let strengths = [3.0, 1.0, 1.0, 3.0, 7.0];
    for (median, strength) in medians.iter().zip(strengths) {
        let ratio = median * strength / medians[2];
        assert!((ratio - 1.0).abs() < 1e-3, "{medians:?}");
    }
    assert!((medians[2] / expected(&result)[2] - 1.0).abs() < 1e-3);
    assert_eq!(number(&result["backgrounds"][0]["components"]), 2.0);
    assert!(place.has("out/plots/limits_kl.svg") && place.has("out/limit_scans.parquet"));
    assert!(!place.has("out/plots/cross_sections_kl.svg"));
    assert!(points[0]["cross_section"].is_null());
    // a workspace has the signal where kl is fixed
    assert_eq!(result["export"]["is_written"], true);
    let text = result["export"]["text"].as_str().unwrap();
    assert!(text.contains("at kl = 1"), "{text}");
    // and a patch set where it is elsewhere
    assert!(
        text.contains("patchset.json is the patch set of workspace.json"),
        "{text}"
    );
    for (name, median) in [
        ("kl_m1", medians[0]),
        ("kl_1", medians[2]),
        ("kl_3", medians[4]),
    ] {
        let files = [
            "limit",
            "out/workspace.json",
            "--patch",
            "out/patchset.json",
        ];
        let patched = [&files[..], &[name, "--json", "--quiet"]].concat();
        let found = place.sideband(&patched).exits(0).json();
        let found = number(&found["upper_limit"]["expected"][2]);
        assert!(
            (found / median - 1.0).abs() < 1e-4,
            "{name}: {found} {median}"
        );
    }
}

#[test]
fn limits_along_a_parameter_say_what_they_allow() {
    let place = place();
    // the limit at kl is that at 1 over kl^2 - kl + 1
    let along = |scale: f64, more: &str| {
        [
            "parameters.kl={ nominal = 1.0, bounds = [-2.0, 4.0] }".to_owned(),
            format!("samples.signal.coefficient=mu * {scale} * (kl^2 - kl + 1)"),
            "measurement.fixed=['kl']".to_owned(),
            format!(
                "measurement.scans=[{{ parameter = 'kl', range = [-1, 3], points = 9, limit = true\
                 {more} }}]"
            ),
        ]
    };
    let run = |out: &str, settings: &[String]| {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        limit(&place, out, &settings).exits(0)
    };
    run("out", &along(1.0, ""));
    let unit = expected(&result(&place, "out"))[2];
    // half as strong a signal as is excluded, at kl = 1: others are allowed up to where
    // kl^2 - kl + 1 is about 2, by straight lines between the points
    let theory = ", cross_section = { value = '10 + kl', down = '9', up = '20' }";
    let done = run("theory", &along(0.5 * unit, theory));
    let found = result(&place, "theory");
    let scan = &found["limit_scans"][0];
    let limit_at = |kl: f64| 2.0 / (kl * kl - kl + 1.0);
    let crossing = |from: f64, to: f64| {
        let [a, b] = [from, to].map(limit_at);
        from + (to - from) * (1.0 - a) / (b - a)
    };
    let allowed = &scan["allowed"];
    assert!(allowed["observed"].is_null());
    let intervals = list(&allowed["expected"]);
    assert_eq!(intervals.len(), 1);
    assert_eq!(
        intervals[0]["ends"],
        serde_json::json!(["crossing", "crossing"])
    );
    let ends = [&intervals[0]["low"], &intervals[0]["high"]].map(number);
    for (found, exact) in ends
        .into_iter()
        .zip([crossing(-1.0, -0.5), crossing(1.5, 2.0)])
    {
        assert!((found - exact).abs() < 0.01, "{found} {exact}");
    }
    let words = "kl allowed at 95 % CL, where limits on mu are at least 1: expected -0.6";
    done.says([words]);
    assert!(place.text("theory/report.html").contains(words));
    // the same in fb: limits times the theory
    for point in list(&scan["points"]) {
        let kl = number(&point["value"]);
        assert_eq!(number(&point["cross_section"]), 10.0 + kl);
        assert_eq!(numbers(&point["cross_section_range"]), [9.0, 20.0]);
    }
    let figure = place.json("theory/plots/cross_sections_kl.json");
    let drawn = list(&figure["panels"][0]["drawn"]);
    let line = |label: &str, what: &str| {
        let mut lines = drawn.iter();
        let found = lines.find(|l| l["label"] == label && l["what"] == what);
        found.unwrap_or_else(|| panic!("{label}: {drawn:?}"))
    };
    let medians = numbers(&line("expected without signal", "line")["y"]);
    let theory = numbers(&line("theory", "line")["y"]);
    assert_eq!(numbers(&line("theory", "band")["high"]), [20.0; 9]);
    for ((point, median), theory) in list(&scan["points"]).iter().zip(&medians).zip(&theory) {
        let expected = number(&point["expected"][2]) * theory;
        assert!(
            (median / expected - 1.0).abs() < 1e-9,
            "{median} {expected}"
        );
    }
    let table = place.events("theory/limit_scans.parquet");
    assert_eq!(table.numbers("cross_section")[0], 9.0);
    let is_allowed = table.numbers("allowed_expected");
    assert_eq!(is_allowed, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    assert!(place.has("theory/hepdata/cross_sections_1.yaml"));
    // drawn again: the same page
    let page = place.text("theory/report.html");
    place.sideband(&["report", "theory"]).exits(0);
    assert_eq!(place.text("theory/report.html"), page);
    // everything or nothing within the range
    for (scale, word) in [(0.1 * unit, "everywhere"), (5.0 * unit, "nowhere")] {
        let words = format!("expected {word} from -1 to 3");
        run(word, &along(scale, "")).says([words]);
    }
}

/// What `scripts/make_signal.py` draws the shipped signal from: its total before cuts at a
/// kappa_lambda, less a constant.
fn total(kappa: f64) -> f64 {
    const STEPS: usize = 1000;
    let middle = |k: usize, steps: usize| (k as f64 + 0.5) / steps as f64;
    let gluon = |x: f64| x.powf(-0.3) * (1.0 - x).powi(5);
    let spectrum = |m: f64| {
        let tau = (m / 13_000.0).powi(2);
        let most = -0.5 * tau.ln();
        let parts = (0..100).map(|k| {
            let x = tau.sqrt() * (most * middle(k, 100)).exp();
            gluon(x) * gluon(tau / x)
        });
        let beta = (1.0 - (250.0 / m).powi(2)).sqrt();
        let amplitude = kappa * 3.0 * 125.0 * 125.0 / (m * m - 125.0 * 125.0) - 1.0;
        most * parts.sum::<f64>() * m * beta * amplitude.powi(2)
    };
    let masses = (0..STEPS).map(|k| 250.5 + 349.5 * middle(k, STEPS));
    masses.map(spectrum).sum()
}

#[test]
fn the_shipped_signal_has_the_rate_of_its_theory() {
    let config: toml::Table = document("configs/limit.toml").parse().unwrap();
    let function = |text: &toml::Value, names: &[&str]| {
        Coefficient::parse(text.as_str().unwrap(), names).unwrap()
    };
    let theory = &config["measurement"]["scans"][0]["cross_section"];
    let [down, value, up] = ["down", "value", "up"].map(|key| function(&theory[key], &["kl"]));
    let samples = [("ggf_0", 0.0), ("ggf_1", 1.0), ("ggf_10", 10.0)].map(|(name, kappa)| {
        let coefficient = &config["samples"][name]["coefficient"];
        // as the weights of the file are normalised
        let rate = 31.05 * total(kappa) / total(1.0);
        (function(coefficient, &["mu", "kl"]), rate)
    });
    for kl in [-10.0, -3.0, 0.0, 1.0, 2.5, 7.0, 15.0] {
        let parts = samples.iter();
        let rate: f64 = parts.map(|(f, rate)| f.value(&[1.0, kl]) * rate).sum();
        let cited = value.value(&[kl]);
        assert!((rate / cited - 1.0).abs() < 2e-3, "{kl}: {rate} {cited}");
        assert!(down.value(&[kl]) < cited && cited < up.value(&[kl]));
    }
    // ratios of the sample and of the theory, as tests/data/signal/README.md has them
    for (kl, sample, expected) in [(0.0, 2.040, 2.268), (10.0, 16.93, 21.66)] {
        let own = total(kl) / total(1.0);
        assert!((own / sample - 1.0).abs() < 1e-3, "{kl}: {own}");
        let cited = value.value(&[kl]) / value.value(&[1.0]);
        assert!((cited / expected - 1.0).abs() < 1e-3, "{kl}: {cited}");
    }
}

#[test]
fn limits_with_replicas_are_beside_the_result() {
    let place = place();
    let settings = [
        "samples.multijet.retraining={ spread = 'iqr', mode = 'replicas' }",
        "samples.multijet.normalisation.parameter=counts",
    ];
    limit(&place, "out", &settings).exits(0);
    let result = result(&place, "out");
    let parameters = list(&result["fit"]["parameters"]).iter();
    let names: Vec<&str> = parameters.map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"multijet_retraining") && names.contains(&"counts"));
    let absent = ["multijet_retraining_1", "multijet_normalisation"];
    assert!(!names.iter().any(|name| absent.contains(name)), "{names:?}");
    let of = &result["replica_limits"][0];
    assert_eq!((number(&of["replicas"]), number(&of["failed"])), (6.0, 0.0));
    assert!(of["observed"].is_null());
    let limits = numbers(&of["expected"]);
    let median = expected(&result)[2];
    // what they differ by is no error of any of them, and is small beside all others
    assert!(limits.is_sorted() && limits[0] < limits[2], "{limits:?}");
    assert!(
        (limits[1] / median - 1.0).abs() < 0.3,
        "{limits:?} {median}"
    );
}

#[test]
fn limits_above_the_bound_are_found_with_a_wider_one() {
    let place = place();
    limit(&place, "out", &[]).exits(0);
    let limits = expected(&result(&place, "out"));
    let (nominal, bound) = (0.5 * limits[2], 1.2 * limits[2]);
    let setting = format!("parameters.mu={{ nominal = {nominal}, bounds = [0.0, {bound}] }}");
    let done = limit(&place, "low", &[&setting]).exits(0);
    done.says(["lie above its upper bound"]);
    let low = result(&place, "low");
    assert_near(&expected(&low), &limits, "limits");
    let widened = number(&low["limit"]["bound_widened"]);
    assert!((widened / bound - 10.0).abs() < 1e-9, "{widened}");
}

#[test]
fn a_run_that_is_no_background_is_refused() {
    let place = place();
    let plan = |settings: &[&str]| place.plan(settings);
    for (setting, exit, words) in [
        ("samples.multijet.run=nowhere", 4, "no such run directory"),
        ("samples.multijet.point={}", 3, "a value of every axis"),
        (
            "samples.multijet.point={ control = 'cr3' }",
            3,
            "no such ensemble",
        ),
        ("samples.multijet.point={ year = 1 }", 3, "no axis `year`"),
        (
            "samples.multijet.control_region.quadrants=['north']",
            3,
            "no region of",
        ),
        (
            "samples.multijet.control_region.quadrants=['low']",
            3,
            "share the events",
        ),
        (
            "samples.multijet.control_region.point={ control = 'cr1' }",
            4,
            "the same ensemble",
        ),
        ("samples.multijet.weight=weight", 3, "those of the run"),
        ("samples.multijet.plane={}", 3, "is no interpolation"),
        ("samples.multijet.path=a.parquet", 3, "either `path`"),
        (
            "samples.signal.retraining.keep=0.5",
            3,
            "only a `run` has it",
        ),
        ("samples.multijet.retraining.keep=0", 3, "a share above 0"),
        (
            "samples.multijet.retraining={ spread = 'iqr', keep = 0.5 }",
            3,
            "which has one parameter",
        ),
        ("samples.multijet.nonclosure.smooth=2", 3, "an odd number"),
        ("samples.signal.coefficient='1'", 3, "depends on"),
        ("parameters.mu.bounds=[0.5, 2]", 3, "bounds that hold 0"),
        ("parameters.mu.fit=sqrt", 3, "linear"),
        ("regions.sr.selection=mass > 0.2", 4, "trained in"),
        (
            "regions.sr.selection=mass > 0.7 || (mass > 0.36 && mass < 0.39)",
            4,
            "none of the regions of",
        ),
        (
            "samples.other={ run = 'bg', point = { control = 'cr1' }, selection = 'eta < 0' }",
            4,
            "are events of samples.multijet, too",
        ),
        ("channels.sr.observable=nothing", 3, "nothing"),
        ("channels.sr.region=vr", 3, "a name under [regions]"),
        ("channels.sr.categories=[]", 3, "at least one part"),
        (
            "channels.sr.categories=[{ name = 'a', selection = 'kind == 0' }, { name = 'b', \
             selection = 'kind < 2' }]",
            3,
            "would count twice",
        ),
        (
            "systematics.signal_rate.rates={ multi = [0.9, 1.1] }",
            3,
            "processes under",
        ),
        (
            "systematics.jes.samples.multijet={ up = { weight = 'w' }, down = { weight = 'v' } }",
            3,
            "varied by its own tables",
        ),
        ("measurement.interest=['nu']", 3, "nu"),
        (
            "measurement.scans=[{ parameter = 'mu', limit = true }]",
            3,
            "measurement.fixed",
        ),
        (
            "measurement.scans=[{ parameter = 'mu', cross_section = { value = '31' } }]",
            3,
            "limits along a parameter have it",
        ),
        ("measurement.limit.test_stat=q", 3, "qtilde"),
        ("report.planes=[]", 0, ""),
        ("report.bins=7", 3, "changes nothing"),
        ("training.epochs=3", 3, "unknown key `training`"),
        (
            "parameters.multijet_normalisation={ nominal = 1, bounds = [0, 2] }",
            3,
            "is taken",
        ),
    ] {
        plan(&[setting]).exits(exit).warns([words]);
    }
    // two samples of one run may share its events among them
    let other = "samples.other={ run = 'bg', point = { control = 'cr1' }, selection = 'eta < 0' }";
    plan(&[other, "samples.multijet.selection=eta >= 0"]).exits(0);
}

#[test]
fn a_run_that_changed_is_refused() {
    let place = place();
    place.edit("source.parquet", |columns| columns.truncate(EVENTS - 1));
    place
        .plan(&[])
        .exits(4)
        .warns(["others than when it was made"]);
    place.put("source.parquet", &events::reweighting(1, 0, EVENTS, 0.0));
    place.plan(&[]).exits(0);
    let predictions = "bg/ensembles/control=cr1/predictions/source.parquet";
    place.edit(predictions, |columns| columns.truncate(20));
    place.plan(&[]).exits(4).warns(["is not as it was written"]);
    place.remove("bg/ensembles/control=cr1/manifest.json");
    place.plan(&[]).exits(4).warns(["is not complete"]);
}

#[test]
fn a_limit_is_described_and_drawn_again_and_trains_nothing() {
    let place = place();
    place
        .plan(&[])
        .exits(0)
        .says(["limits mu with 8 bins in 2 channels", "6 replicas"]);
    place.sideband(&["status", "out"]).exits(4);
    limit(&place, "out", &[]).exits(0);
    place
        .sideband(&["status", "out"])
        .exits(0)
        .says(["limit: complete"]);
    let inspected = place.sideband(&["inspect", "out"]).exits(0);
    inspected.says(["samples  signal, multijet", "expected without signal"]);
    let page = place.text("out/report.html");
    place.remove("out/report.html");
    place.sideband(&["report", "out"]).exits(0);
    assert_eq!(place.text("out/report.html"), page);
    for command in [
        &["extend", "out", "--members", "3"][..],
        &["worker", "out"],
        &["cancel", "out"],
        &["predict", "out", "source.parquet", "--out", "w.parquet"],
        &["run", "config.toml", "--out", "out", "--only", "0-1"],
    ] {
        place.sideband(command).exits(2).warns(["trains nothing"]);
    }
    // a background is no limit
    let text = "samples.multijet.run=out";
    place.plan(&[text]).exits(4).warns(["it is a measurement"]);
}
