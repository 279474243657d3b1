//! Samples that are runs, where they are asked for beside a limit on a reweighted background: an
//! interpolation in a limit, and a run in the channels of a measurement.

use crate::support::events::{self, Columns};
use crate::support::statistics::mean;
use crate::support::workplace::Made;
use crate::support::{Workplace, configuration, list, number, numbers};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Edges of the observable of interpolated events.
const PT: [f64; 4] = [0.0, 80.0, 130.0, 1000.0];

static INTERPOLATED: LazyLock<Made> = LazyLock::new(|| {
    let place = Workplace::interpolation();
    Made::new(
        &place,
        &["ensemble.members=4", "interpolation.posterior_draws=24"],
    )
});

static WEIGHTED: LazyLock<Made> = LazyLock::new(|| {
    let place = Workplace::with_configuration(configuration("limit_background"));
    weighted_samples(&place);
    Made::new(&place, &[])
});

fn weighted_samples(place: &Workplace) {
    place.put("source.parquet", &events::reweighting(1, 0, 1500, 0.0));
    let target = events::reweighting(2, 1 << 32, 1500, 0.5);
    place.put("target.parquet", &target);
}

/// A limit above the run `bg`, which interpolates.
fn interpolated() -> Workplace {
    let place = Workplace::interpolation().with("bg", &INTERPOLATED);
    place.put("signal.parquet", &events::plane(5));
    place.write(
        "config.toml",
        r#"
        [experiment]
        name = "limit"
        method = "limit"
        [data.define]
        x_hh = "sqrt(((m1 - 124) / (0.1 * m1))^2 + ((m2 - 117) / (0.1 * m2))^2)"
        [regions.sr]
        selection = "x_hh < 1.6"
        [parameters.mu]
        nominal = 1.0
        bounds = [0.0, 50.0]
        [samples.signal]
        path = "signal.parquet"
        weight = "weight"
        id = ["event"]
        scale = 0.1
        coefficient = "mu"
        [samples.multijet]
        run = "bg"
        plane = { keep = 1.0, at_most = 100 }
        [channels.sr]
        region = "sr"
        observable = "pt"
        bins = [0.0, 80.0, 130.0, 1000.0]
        [measurement]
        interest = ["mu"]
        "#,
    );
    place
}

/// A measurement whose channel has the run `bg` beside simulated samples.
fn measured() -> Workplace {
    let place = Workplace::with_configuration(configuration("measurement"));
    weighted_samples(&place);
    let place = place.with("bg", &WEIGHTED);
    for ensemble in ["cr1", "cr2"] {
        place.start_here(&format!("bg/ensembles/control={ensemble}"));
    }
    for (name, seed, first, shift) in [
        ("S.parquet", 5, 1_i64 << 40, 0.8),
        ("B.parquet", 6, 1 << 41, 0.0),
    ] {
        place.put(name, &events::reweighting(seed, first, 1500, shift));
    }
    place.configure(&[
        ("reg == 0", "mass <= 0.35"),
        ("reg == 1", "mass > 0.7"),
        ("weight = \"w\"", "weight = \"weight\""),
        ("inputs = [\"x\"]", "inputs = [\"pt\"]"),
        (
            "observable = \"z\"\nbins = [-4.0, -1.0, 0.0, 1.0, 4.0]",
            "observable = \"pt\"\nbins = [-10.0, -0.5, 0.5, 1.5, 10.0]",
        ),
        (
            "[observed]\npath = \"obs.parquet\"\n",
            "[samples.multijet]\nrun = \"bg\"\npoint = { control = \"cr1\" }\n\
             selection = \"mass > 0.7\"\n\
             [samples.multijet.control_region]\npoint = { control = \"cr2\" }\n",
        ),
    ]);
    place
}

fn names(result: &Value) -> Vec<&str> {
    let parameters = list(&result["fit"]["parameters"]).iter();
    parameters.map(|p| p["name"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() < 1e-5 * expected.abs().max(1.0);
        assert!(near, "{what}: {found} {expected}");
    }
}

/// What a process is shifted by at +1, bin by bin.
fn shift(process: &Value, parameter: &str) -> Vec<f64> {
    let up = numbers(&process["systematics"][parameter]["up"]);
    let nominal = numbers(&process["contents"]);
    up.iter().zip(nominal).map(|(up, h)| up - h).collect()
}

/// Sums over sampled events in the signal region, `[bins]`. `weight`: of a row.
fn filled(sampled: &Columns, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let [inside, pt] = ["in_sr", "pt"].map(|name| sampled.numbers(name));
    let mut contents = vec![0.0; PT.len() - 1];
    for row in (0..pt.len()).filter(|row| inside[*row] == 1.0) {
        let bin = PT[1..3].iter().filter(|edge| pt[row] >= **edge).count();
        contents[bin] += weight(row);
    }
    contents
}

#[test]
fn an_interpolation_brings_all_its_errors() {
    let place = interpolated();
    place.run_quietly("out", &[]).exits(0);
    let result = place.json("out/measurement.json");
    let names = names(&result);
    for name in [
        "multijet_retraining_1",
        "multijet_plane_1",
        "multijet_normalisation_2016",
        "multijet_normalisation_2017",
        "staterror_sr[0]",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let templates = place.json("out/templates.json");
    let process = &templates["sr"]["processes"]["multijet"];
    let sampled = place.events("bg/predictions/samples.parquet");
    let [nominal, weight, year, bin] =
        ["nominal", "weight", "year", "plane_bin"].map(|name| sampled.numbers(name));
    let contents = filled(&sampled, |row| nominal[row]);
    assert_near(&numbers(&process["contents"]), &contents, "contents");
    // all draws of the Gaussian processes: the components have their variance
    let plane = place.events("bg/predictions/plane.parquet");
    let [category, cell, error] =
        ["category", "plane_bin", "relative_error"].map(|name| plane.numbers(name));
    let places: HashMap<(u64, u64), usize> = (0..plane.len())
        .map(|row| ((category[row] as u64, cell[row] as u64), row))
        .collect();
    let of = |row: usize| places[&((year[row] - 2016.0) as u64, bin[row] as u64)];
    let draws: Vec<Vec<f64>> = (0..24)
        .map(|draw| {
            let drawn = plane.numbers(&format!("draw_{draw:04}"));
            filled(&sampled, |row| drawn[of(row)] / 4.0)
        })
        .collect();
    let components = (1..).map(|k| format!("multijet_plane_{k}"));
    let components = components.take_while(|name| names.contains(&name.as_str()));
    let shifts: Vec<Vec<f64>> = components.map(|name| shift(process, &name)).collect();
    for b in 0..contents.len() {
        let of_bin: Vec<f64> = draws.iter().map(|draw| draw[b]).collect();
        let centre = mean(&of_bin);
        let squares = of_bin.iter().map(|x| (x - centre).powi(2));
        let variance = squares.sum::<f64>() / 23.0;
        let found: f64 = shifts.iter().map(|shift| shift[b].powi(2)).sum();
        assert!(variance > 0.0, "{draws:?}");
        assert!((found / variance - 1.0).abs() < 1e-3, "{found} {variance}");
    }
    // a category is normalised apart from others
    for value in [2016.0, 2017.0] {
        let own = |row: usize| {
            if year[row] == value {
                nominal[row]
            } else {
                0.0
            }
        };
        let expected = filled(&sampled, |row| error[of(row)] * own(row));
        let found = shift(process, &format!("multijet_normalisation_{value}"));
        assert_near(&found, &expected, "normalisation");
    }
    // what is left of networks is in the error of single bins, which is that of one member's
    // samples at least
    let statistical = filled(&sampled, |row| weight[row].powi(2) / 4.0);
    for (found, variance) in numbers(&process["errors"]).iter().zip(statistical) {
        assert!(*found >= 0.999 * variance.sqrt(), "{found} {variance}");
    }
    let of = &result["backgrounds"][0];
    assert_eq!(number(&of["replicas"]), 4.0);
    assert!(number(&of["plane"]["spread"]) > 0.0 && number(&of["normalisation"]) > 0.0);
    let groups = list(&result["limit_impacts"]["groups"]).iter();
    let groups: Vec<&str> = groups.map(|g| g["group"].as_str().unwrap()).collect();
    assert!(groups.contains(&"Mass plane"), "{groups:?}");
    // its own target tells how well it closes, as long as that may be looked at
    place
        .plan(&["samples.multijet.nonclosure={ smooth = 1 }"])
        .exits(0);
    let blind = [
        "samples.multijet.nonclosure={ smooth = 1 }",
        "regions.sr.blind=true",
    ];
    place
        .plan(&blind)
        .exits(3)
        .warns(["those that the background is of"]);
}

#[test]
fn an_interpolation_without_one_of_its_errors_is_refused() {
    let place = interpolated().with("weighted", &WEIGHTED);
    for (setting, exit, words) in [
        // where it has sampled nothing
        (
            "regions.sr.selection=x_hh < 2.5",
            4,
            "in none of the regions of",
        ),
        // what events have and sampled ones have not
        ("channels.sr.observable=kind", 3, "in the sampled events of"),
        (
            "samples.multijet.control_region={}",
            3,
            "no control region is chosen for",
        ),
        (
            "samples.multijet.nonclosure={ run = 'weighted', point = { control = 'cr1' } }",
            3,
            "a run of the same method",
        ),
        (
            "samples.multijet.nonclosure.variation={ year = 1 }",
            3,
            "in another control region",
        ),
        ("samples.signal.plane={}", 3, "only a `run` has it"),
        ("samples.signal.mixing={}", 3, "only a `run` has it"),
        (
            "samples.multijet.mixing={}",
            3,
            "what a model of mixed data",
        ),
        ("samples.multijet.plane.keep=0", 3, "a share above 0"),
        (
            "samples.other={ run = 'bg', selection = 'eta < 0' }",
            4,
            "are events of samples.multijet, too",
        ),
    ] {
        place.plan(&[setting]).exits(exit).warns([words]);
    }
    let other = "samples.other={ run = 'bg', selection = 'eta < 0' }";
    place
        .plan(&[other, "samples.multijet.selection=eta >= 0"])
        .exits(0);
    // the file of another result, of an earlier program, and no draws at all
    let plane = "bg/predictions/plane.parquet";
    place.edit(plane, |columns| columns.truncate(20));
    place.plan(&[]).exits(4).warns(["is not as it was written"]);
    place.remove(plane);
    let mut manifest = place.json("bg/manifest.json");
    let outputs = manifest["outputs"].as_object_mut().unwrap();
    outputs.remove("predictions/plane.parquet").unwrap();
    place.write("bg/manifest.json", manifest.to_string());
    let done = place.plan(&[]).exits(4);
    done.warns(["plane.parquet is not there", "run its configuration again"]);
    let config = place.text("bg/config.toml");
    assert!(config.contains("posterior_draws = 24"), "{config}");
    let without = config.replace("posterior_draws = 24", "posterior_draws = 0");
    place.write("bg/config.toml", without);
    place
        .plan(&[])
        .exits(4)
        .warns(["0 draws of its Gaussian process"]);
}

#[test]
fn a_channel_of_a_measurement_has_a_run() {
    let place = measured();
    place
        .plan(&[])
        .exits(0)
        .says(["6 replicas of it, in channels alone"]);
    place.run_quietly("out", &[]).exits(0);
    let result = place.json("out/measurement.json");
    let names = names(&result);
    for name in [
        "multijet_retraining_1",
        "multijet_normalisation",
        "multijet_control_region",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // one ratio, of the signal: a run has none, and no rate without bins
    assert_eq!(list(&result["ratios"]).len(), 1);
    let rates = result["rates"].as_object().unwrap();
    assert!(rates.contains_key("S") && !rates.contains_key("multijet"));
    assert_eq!(result["backgrounds"][0]["sample"], "multijet");
    // the template is that of a limit: the events of the run
    let templates = place.json("out/templates.json");
    let found = numbers(&templates["c"]["processes"]["multijet"]["contents"]);
    let predicted = place.events("bg/ensembles/control=cr1/predictions/source.parquet");
    let source = place.events("source.parquet");
    let [pt, events] = ["pt", "event"].map(|name| source.numbers(name));
    let places: HashMap<u64, f64> = events.iter().map(|e| *e as u64).zip(pt).collect();
    let [event, nominal, inside] =
        ["event", "nominal", "in_sr"].map(|name| predicted.numbers(name));
    let mut contents = [0.0; 4];
    for row in (0..event.len()).filter(|row| inside[*row] == 1.0) {
        let pt = places[&(event[row] as u64)];
        let bin = [-0.5, 0.5, 1.5].iter().filter(|edge| pt >= **edge).count();
        contents[bin] += nominal[row];
    }
    assert_near(&found, &contents, "contents");
    let workspace = place.text("out/workspace.json");
    assert!(workspace.contains("multijet_control_region"));
    place.says_in("out/report.html", "Backgrounds from runs");
    // drawn again, it is the same page
    let page = place.text("out/report.html");
    place.remove("out/report.html");
    place.sideband(&["report", "out"]).exits(0);
    assert_eq!(place.text("out/report.html"), page);
}

#[test]
fn a_run_that_is_in_no_channel_alone_is_refused() {
    let place = measured();
    for (setting, exit, words) in [
        (
            "samples.multijet.selection=mass > 0",
            4,
            "measured without bins",
        ),
        ("measurement.reference=['multijet']", 3, "no density ratio"),
        (
            "samples.multijet.retraining.mode=replicas",
            3,
            "`method = \"limit\"`",
        ),
        ("samples.multijet.path=a.parquet", 3, "either `path`"),
        ("samples.multijet.weight=weight", 3, "those of the run"),
        ("samples.S.retraining.keep=0.5", 3, "only a `run` has it"),
        ("samples.multijet.run=nowhere", 4, "no such run directory"),
        ("samples.multijet.point={}", 3, "a value of every axis"),
        ("samples.multijet.plane={}", 3, "is no interpolation"),
        ("samples.multijet.mixing={}", 4, "it is no run of `method"),
        ("channels={}", 3, "histograms in [channels]"),
        (
            "systematics.jes.samples.multijet={ up = { weight = 'w' }, down = { weight = 'v' } }",
            3,
            "varied by its own tables",
        ),
        (
            "samples.multijet.normalisation.parameter=mu",
            3,
            "a name that no parameter",
        ),
        ("samples.S={ run = 'bg' }", 3, "at least two processes"),
    ] {
        place.plan(&[setting]).exits(exit).warns([words]);
    }
    // what is hidden of the channel is hidden of the fit
    let blind = [
        "regions.top={ selection = 'mass > 0.9', blind = true }",
        "observed.path=target.parquet",
        "measurement.limit={}",
    ];
    let done = place.plan(&blind).exits(0);
    done.says(["blind regions: top", "are not opened"]);
}
