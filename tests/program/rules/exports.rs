//! What is exported is the model that was fitted; every input is on record.

use crate::support::{Columns, Done, Numbers, Workplace, write_parquet};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use serde_json::Value;
use sideband_likelihood::fit::{FitSettings, fit};
use sideband_likelihood::workspace::{ImportOptions, import};
use sideband_likelihood::{Interpolation, Likelihood as _};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// Two processes, a channel of histograms beside the region without bins.
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
hidden = [4]
[training]
region = "all"
epochs = 1
batch = 256
held_out = 0.3
[ensemble]
members = 1
bootstrap = false
[measurement]
interest = ["mu"]
reference = ["B"]
scan_points = 5
[report]
classifier_members = 0
"#;

/// Events of each simulated sample.
const EVENTS: usize = 600;
/// Expected signal and background events of a region.
const YIELDS: [f64; 2] = [60.0, 400.0];

fn real(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

fn whole(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

/// `n` events around `loc`, in two regions: `x` and `z` normal, `w` and its variations for
/// a yield of `total` a region.
fn events(seed: u64, loc: f64, (n, total): (usize, f64), first: i64) -> Columns {
    let mut numbers = Numbers::new(seed);
    let mut normal = || numbers.normal() + loc;
    let (x, z): (Vec<f64>, Vec<f64>) = (0..n).map(|_| (normal(), normal())).unzip();
    let z: Vec<f64> = z.iter().map(|z| z.clamp(-3.99, 3.99)).collect();
    let w = 2.0 * total / n as f64;
    let varied = |sign: f64| {
        z.iter()
            .map(|z| w * (1.0 + sign * (0.1 + 0.05 * z)))
            .collect()
    };
    vec![
        ("event".to_owned(), whole((first..).take(n).collect())),
        ("x".to_owned(), real(x)),
        ("wu".to_owned(), real(varied(1.0))),
        ("wd".to_owned(), real(varied(-1.0))),
        ("w".to_owned(), real(vec![w; n])),
        (
            "reg".to_owned(),
            whole((0..n as i64).map(|i| i % 2).collect()),
        ),
        ("z".to_owned(), real(z)),
    ]
}

/// Two samples' events in one file.
fn together(one: Columns, other: Columns) -> Columns {
    let pairs = one.into_iter().zip(other);
    let joined = pairs.map(|((name, a), (_, b))| {
        let both = arrow::compute::concat(&[a.as_ref(), b.as_ref()]).unwrap();
        (name, both)
    });
    joined.collect()
}

fn without(columns: Columns, names: &[&str]) -> Columns {
    let kept = columns.into_iter();
    kept.filter(|(name, _)| !names.contains(&name.as_str()))
        .collect()
}

/// The samples and data of one signal yield, and the configuration with `changes` applied.
fn place(changes: &[(&str, &str)]) -> Workplace {
    let place = Workplace::with_events(8);
    write_parquet(
        &place.path("S.parquet"),
        events(1, 1.0, (EVENTS, YIELDS[0]), 0),
    );
    write_parquet(
        &place.path("B.parquet"),
        events(2, 0.0, (EVENTS, YIELDS[1]), 1_000_000),
    );
    let observed = together(
        events(3, 1.0, (2 * YIELDS[0] as usize, 1.0), 0),
        events(4, 0.0, (2 * YIELDS[1] as usize, 1.0), 500_000),
    );
    let observed = without(observed, &["event", "w", "wu", "wd"]);
    write_parquet(&place.path("obs.parquet"), observed);
    let mut config = CONFIG.to_owned();
    for (old, new) in changes {
        assert!(config.contains(old), "{old}");
        config = config.replace(old, new);
    }
    fs::write(place.path("config.toml"), config).unwrap();
    place
}

fn run(place: &Workplace, settings: &[&str]) -> Done {
    let mut arguments = Workplace::run_arguments("out", settings);
    arguments.push("--quiet");
    place.sideband(&arguments)
}

fn has(place: &Workplace, name: &str) -> bool {
    place.path(name).exists()
}

/// The setting of a parameter in the exported measurement.
fn setting(workspace: &Value, name: &str) -> Value {
    let all = workspace["measurements"][0]["config"]["parameters"].as_array();
    let found = all.unwrap().iter().find(|p| p["name"] == name);
    found.unwrap_or(&Value::Null).clone()
}

/// Names and types of the modifiers of a sample in the first channel.
fn modifiers(workspace: &Value, sample: &str) -> BTreeMap<String, Vec<String>> {
    let samples = workspace["channels"][0]["samples"].as_array().unwrap();
    let found = samples.iter().find(|s| s["name"] == sample).unwrap();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for modifier in found["modifiers"].as_array().unwrap() {
        let text = |key: &str| modifier[key].as_str().unwrap().to_owned();
        all.entry(text("name")).or_default().push(text("type"));
    }
    all
}

/// Fits the exported file, read back, and compares with the curve of histograms alone.
fn refit(place: &Workplace) {
    let codes = place.json("out/workspace_points.json")["modifier_settings"].clone();
    let code = |kind: &str| match codes[kind]["interpcode"].as_str().unwrap() {
        "code0" => Interpolation::Code0,
        "code1" => Interpolation::Code1,
        "code4" => Interpolation::Code4,
        _ => Interpolation::Code4p,
    };
    let options = ImportOptions {
        rates: code("normsys"),
        shapes: code("histosys"),
        ..ImportOptions::default()
    };
    let file = place.read("out/workspace.json");
    let found = import(file.as_slice(), &options).unwrap();
    let settings = FitSettings {
        fixed: found.model.fixed.clone(),
        ..FitSettings::default()
    };
    let likelihood = found.model.likelihood();
    let best = fit(&likelihood, &settings).unwrap();
    let interest = found.interest.unwrap();
    assert_eq!(likelihood.parameters()[interest].name, "mu");
    let own = &place.json("out/measurement.json")["scans"]["mu"]["curves"]["histogram"];
    let (value, error) = (
        own["best"].as_f64().unwrap(),
        own["error"].as_f64().unwrap(),
    );
    let refitted = best.error(interest).unwrap();
    assert!((best.point[interest] - value).abs() < 1e-4 * error, "{own}");
    assert!((refitted - error).abs() < 1e-3 * error, "{refitted} {own}");
}

#[test]
fn fixed_parameters_are_fixed_in_the_workspace() {
    let nu = (
        "[channels.c]",
        "[systematics.nu.rates]\nB = [0.9, 1.1]\n[channels.c]",
    );
    let k = (
        "[samples.S]",
        "[parameters.k]\nnominal = 1.0\nbounds = [0.5, 2.0]\n[samples.S]",
    );
    let by_k = ("coefficient = \"1\"", "coefficient = \"k\"");
    for (name, changes) in [("nu", vec![nu]), ("k", vec![k, by_k])] {
        let place = place(&changes);
        let fixed = format!("measurement.fixed=[{name:?}]");
        run(&place, &[&fixed]).exits(0);
        let workspace = place.json("out/workspace.json");
        let found = setting(&workspace, name);
        assert_eq!(found["fixed"], true, "{found}");
        assert!(modifiers(&workspace, "B").contains_key(name), "{name}");
        refit(&place);
        assert_eq!(
            place.json("out/measurement.json")["export"]["is_written"],
            true
        );
    }
}

#[test]
fn a_root_as_the_fits_coordinate_is_not_the_parameter_of_the_file() {
    let place = place(&[(
        "bounds = [0.0, 5.0]",
        "bounds = [0.25, 5.0]\nfit = \"sqrt\"",
    )]);
    run(&place, &[]).exits(0);
    let mu = setting(&place.json("out/workspace.json"), "mu");
    assert_eq!(mu["bounds"], serde_json::json!([[0.25, 5.0]]));
    refit(&place);
}

#[test]
fn rates_shapes_and_codes_mean_the_same_in_bins() {
    let samples = "[systematics.nu.samples]\nB = { up = { weight = \"wu\" }, down = { weight = \
                   \"wd\" } }\n";
    for (table, types, codes, note) in [
        // the rate alone, by its own code
        (
            "shape = false\ninterpolation = \"code1\"\n",
            vec!["normsys"],
            ("code1", "code4p"),
            false,
        ),
        // the default: bins cannot have code 4 of events, and that is said
        ("", vec!["normsys", "histosys"], ("code4", "code4p"), true),
        (
            "density_interpolation = \"code4p\"\n",
            vec!["normsys", "histosys"],
            ("code4", "code4p"),
            false,
        ),
        (
            "density_interpolation = \"code0\"\ninterpolation = \"code1\"\n",
            vec!["normsys", "histosys"],
            ("code1", "code0"),
            false,
        ),
        // rates of the configuration in place of those of the samples
        (
            "density_interpolation = \"code4p\"\nrates = { B = [0.7, 1.25] }\n",
            vec!["normsys", "histosys"],
            ("code4", "code4p"),
            false,
        ),
    ] {
        let change = format!("[systematics.nu]\n{table}{samples}[channels.c]");
        let place = place(&[("[channels.c]", &change)]);
        let done = run(&place, &[]).exits(0);
        let workspace = place.json("out/workspace.json");
        assert_eq!(modifiers(&workspace, "B")["nu"], types, "{table}");
        let settings = &place.json("out/workspace_points.json")["modifier_settings"];
        assert_eq!(settings["normsys"]["interpcode"], codes.0, "{table}");
        assert_eq!(settings["histosys"]["interpcode"], codes.1, "{table}");
        assert_eq!(
            done.stdout
                .contains("by code4, that of histograms by code4p"),
            note
        );
        refit(&place);
        let nu = &place.json("out/templates.json")["c"]["processes"]["B"]["systematics"]["nu"];
        let sum = |values: &Value| -> f64 {
            values
                .as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap())
                .sum()
        };
        let nominal = sum(&place.json("out/templates.json")["c"]["processes"]["B"]["contents"]);
        let rate = |side: usize| nu["rates"][side].as_f64().unwrap();
        if table.contains("rates") {
            assert_eq!((rate(0), rate(1)), (0.7, 1.25));
        }
        if types.len() == 2 {
            for (side, key) in [(0, "down"), (1, "up")] {
                let found = sum(&nu[key]) / nominal;
                assert!((found - rate(side)).abs() < 1e-12, "{table}: {found}");
            }
        }
    }
}

#[test]
fn settings_of_a_systematic_that_change_nothing_are_refused() {
    let samples = "[systematics.nu.samples]\nB = { up = { weight = \"wu\" }, down = { weight = \
                   \"wd\" } }\n";
    let rates = "rates = { B = [0.9, 1.1] }\n";
    for (table, key) in [
        (format!("shape = false\n{rates}"), "systematics.nu.shape"),
        (
            format!("density_interpolation = \"code0\"\n{rates}"),
            "systematics.nu.density_interpolation",
        ),
        (
            format!("shape = false\ndensity_interpolation = \"code4p\"\n{samples}"),
            "systematics.nu.density_interpolation",
        ),
        (
            format!("shape = false\n{rates}{samples}"),
            "systematics.nu.samples.B",
        ),
    ] {
        let change = format!("[systematics.nu]\n{table}[channels.c]");
        let place = place(&[("[channels.c]", &change)]);
        let done = run(&place, &[]);
        assert_ne!(done.exit, Some(0), "{table}");
        assert!(done.stderr.contains(key), "{table}: {}", done.stderr);
        assert!(!has(&place, "out"), "{table}");
    }
    let place = place(&[]);
    let done = run(&place, &["measurement.finite_sample_points=5"]);
    assert!(
        done.stderr.contains("finite_sample_points"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_a_workspace_cannot_say_is_none() {
    let correlated = "[systematics.a.rates]\nB = [0.9, 1.1]\n[systematics.b.rates]\nB = [0.8, \
                      1.2]\n[channels.c]";
    let constrained = "[parameters.k]\nnominal = 1.0\nbounds = [0.5, 2.0]\nconstraint = [1.0, \
                       0.1]\n[samples.S]";
    let by_k = ("coefficient = \"1\"", "coefficient = \"k\"");
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);
    let cases: [Case<'_>; 4] = [
        (
            "measurement.scan_points=5",
            vec![("coefficient = \"mu\"", "coefficient = \"mu*2\"")],
            "`mu*2` of mu is no normfactor",
        ),
        (
            "measurement.correlations=[{ parameters = [\"a\", \"b\"], coefficient = 0.5 }]",
            vec![("[channels.c]", correlated)],
            "correlated",
        ),
        (
            "measurement.scan_points=5",
            vec![("[samples.S]", constrained), by_k],
            "`k` scales samples and has a constraint",
        ),
        (
            "measurement.scan_points=5",
            vec![(
                "[channels.c]",
                "[systematics.nu]\ninterpolation = \"code0\"\nrates = { B = [0.9, 1.1] \
                 }\n[channels.c]",
            )],
            "parameter `nu`: interpolation Code0",
        ),
    ];
    for (set, changes, reason) in cases {
        let place = place(&changes);
        run(&place, &[set]).exits(0);
        let export = &place.json("out/measurement.json")["export"];
        assert_eq!(export["is_written"], false, "{reason}");
        assert_eq!(export["is_wrong"], false, "{reason}");
        let said = export["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{reason}: {said}");
        assert!(!has(&place, "out/workspace.json") && !has(&place, "out/workspace_points.json"));
        assert!(has(&place, "out/templates.json"));
        let page = String::from_utf8(place.read("out/report.html")).unwrap();
        assert!(page.contains("There is no workspace.json"), "{reason}");
    }
}

/// Bins without simulation, and no signal at the nominal point: what is written is read back
/// and is the fit.
#[test]
fn odd_bins_are_exported_as_they_are_fitted() {
    // an empty bin without data
    let empty = place(&[("1.0, 4.0]", "1.0, 4.0, 8.0]")]);
    run(&empty, &[]).exits(0);
    refit(&empty);
    let place = place(&[
        ("nominal = 1.0", "nominal = 0.0"),
        ("bounds = [0.0, 5.0]", "bounds = [-0.2, 5.0]"),
    ]);
    run(&place, &[]).exits(0);
    refit(&place);
}

#[test]
fn bins_that_nothing_predicts_are_refused_before_training() {
    let more = |z: f64, n: usize| {
        let mut columns = events(9, 0.0, (n, 1.0), 0);
        for (name, values) in &mut columns {
            match name.as_str() {
                "z" => *values = real(vec![z; n]),
                "reg" => *values = whole(vec![1; n]),
                _ => {}
            }
        }
        without(columns, &["event", "w", "wu", "wd"])
    };
    let place = place(&[("1.0, 4.0]", "1.0, 4.0, 8.0]")]);
    place.edit("obs.parquet", |columns| {
        *columns = together(std::mem::take(columns), more(5.0, 1));
    });
    let done = run(&place, &[]).exits(4);
    let text = "channel c, bin 4 [4, 8): 1 event observed, 0 expected; merge the bin";
    assert!(done.stderr.contains(text), "{}", done.stderr);
    assert!(done.stderr.contains("channels.c.bins"), "{}", done.stderr);
    assert!(!has(
        &place,
        "out/ensembles/S/members/member_0000.safetensors"
    ));
    // the same beside the region without bins
    let histogram = "histogram = { observable = \"z\", bins = [-4.0, 0.0, 4.0, 8.0] }";
    let beside = super::exports::place(&[("scan_points = 5", histogram)]);
    beside.edit("obs.parquet", |columns| {
        let mut one = more(5.0, 1);
        let reg = one.iter_mut().find(|(name, _)| name == "reg").unwrap();
        reg.1 = whole(vec![0]);
        *columns = together(std::mem::take(columns), one);
    });
    let done = run(&beside, &[]).exits(4);
    let text = "channel all, bin 2 [4, 8): 1 event observed, 0 expected";
    assert!(done.stderr.contains(text), "{}", done.stderr);
    // nothing is expected at one end of a parameter
    let signal = super::exports::place(&[("coefficient = \"1\"", "coefficient = \"mu\"")]);
    let done = run(&signal, &[]);
    assert_ne!(done.exit, Some(0));
    assert!(done.stderr.contains("mu = 0.0000"), "{}", done.stderr);
    // edges that cut nothing, and a region of no simulation
    let far = super::exports::place(&[("[-4.0, -1.0, 0.0, 1.0, 4.0]", "[10.0, 20.0, 30.0]")]);
    let done = run(&far, &[]).exits(4);
    assert!(
        done.stderr.contains("the edges cut nothing"),
        "{}",
        done.stderr
    );
    let none = super::exports::place(&[("reg == 1", "reg == 7")]);
    let done = run(&none, &[]).exits(4);
    assert!(
        done.stderr.contains("no event of any sample"),
        "{}",
        done.stderr
    );
}

#[test]
fn contradictory_input_is_refused() {
    let lumi = |constraint: &str| {
        format!(
            "[parameters.lumi]\nnominal = 1.0\nbounds = [0.5, 1.5]\nconstraint = \
             {constraint}\n[samples.S]"
        )
    };
    let by_lumi = ("coefficient = \"1\"", "coefficient = \"lumi\"");
    for (constraint, allowed) in [
        ("[7.0, 0.02]", "within the bounds"),
        ("[0.4, 0.02]", "within the bounds"),
        ("[1.0, 0.0]", "above 0"),
        ("[1.0, -1.0]", "above 0"),
        ("[nan, 0.1]", "above 0"),
    ] {
        let change = lumi(constraint);
        let place = place(&[("[samples.S]", &change), by_lumi]);
        let done = run(&place, &[]).exits(3);
        assert!(
            done.stderr.contains("parameters.lumi.constraint"),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr.contains(allowed),
            "{constraint}: {}",
            done.stderr
        );
    }
    // an observed event twice, with an id and without
    for has_id in [false, true] {
        let place = place(&[]);
        place.edit("obs.parquet", |columns| {
            let n = columns[0].1.len();
            if has_id {
                columns.push(("event".to_owned(), whole((0..n as i64).collect())));
            }
            let head = columns
                .iter()
                .map(|(name, v)| (name.clone(), v.slice(0, 3)));
            *columns = together(columns.clone(), head.collect());
        });
        let done = run(&place, &[]).exits(4);
        assert!(
            done.stderr.contains("3 of 923 events are there twice"),
            "{}",
            done.stderr
        );
    }
    // the nominal events under other ids as a variation
    let varied = "[systematics.nu.samples]\nB = { up = { path = \"Bu.parquet\", weight = \"wu\" \
                  }, down = { weight = \"wd\" } }\n[channels.c]";
    let place = place(&[("[channels.c]", varied)]);
    let mut renamed = crate::support::read_parquet(&place.path("B.parquet"));
    renamed[0].1 = whole((7_000_000..).take(EVENTS).collect());
    write_parquet(&place.path("Bu.parquet"), renamed);
    let done = run(&place, &[]).exits(4);
    assert!(
        done.stderr.contains("systematics.nu.samples.B.up.path"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("another id"), "{}", done.stderr);
}

#[test]
fn files_of_a_former_result_are_gone() {
    let place = place(&[]);
    let limit = "measurement.limit={ confidence_level = 0.95 }";
    let contours = "measurement.contours=[{ parameters = [\"mu\", \"nu\"], points = 5 }]";
    let nu = "systematics.nu.rates={ B = [0.9, 1.1] }";
    run(&place, &[nu, limit, contours]).exits(0);
    let former = place.json("out/measurement.json");
    let files = |result: &Value| -> Vec<String> {
        let names = result["files"].as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    for name in files(&former) {
        assert!(has(&place, &format!("out/{name}")), "{name}");
    }
    for name in [
        "workspace.json",
        "limit.parquet",
        "contours.parquet",
        "plots/limit.svg",
    ] {
        assert!(files(&former).iter().any(|n| n == name), "{name}");
    }
    // what is missing or damaged is made anew
    fs::remove_file(place.path("out/curves.parquet")).unwrap();
    fs::write(place.path("out/workspace.json"), "{").unwrap();
    fs::write(place.path("out/measurement.json"), "{").unwrap();
    run(&place, &[nu, limit, contours]).exits(0);
    assert!(has(&place, "out/curves.parquet"));
    place.json("out/workspace.json");
    // drawn, without a fit: not even the data are there
    let before = place.read("out/measurement.json");
    fs::rename(place.path("obs.parquet"), place.path("gone.parquet")).unwrap();
    for name in [
        "report.html",
        "plots/limit.svg",
        "plots/limit.png",
        "pulls.parquet",
    ] {
        fs::remove_file(place.path(&format!("out/{name}"))).unwrap();
    }
    place.sideband(&["report", "out"]).exits(0);
    assert_eq!(place.read("out/measurement.json"), before);
    for name in files(&former) {
        assert!(has(&place, &format!("out/{name}")), "{name}");
    }
    fs::remove_file(place.path("out/templates.json")).unwrap();
    let done = place.sideband(&["report", "out"]).exits(4);
    assert!(done.stderr.contains("templates.json"), "{}", done.stderr);
    fs::rename(place.path("gone.parquet"), place.path("obs.parquet")).unwrap();
    // another model, which is no workspace and has no limit
    fs::write(place.path("out/notes.txt"), "mine").unwrap();
    run(&place, &["samples.S.coefficient=\"mu*2\""]).exits(0);
    let present = place.json("out/measurement.json");
    let now = files(&present);
    for name in files(&former).iter().filter(|name| !now.contains(name)) {
        assert!(
            !has(&place, &format!("out/{name}")),
            "{name} is of the former model"
        );
    }
    for name in [
        "workspace.json",
        "workspace_points.json",
        "limit.parquet",
        "contours.parquet",
    ] {
        assert!(!has(&place, &format!("out/{name}")), "{name}");
    }
    assert!(has(&place, "out/notes.txt"), "not the program's own");
    let left: Vec<String> = fs::read_dir(place.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_input_is_on_record_and_a_changed_one_is_said() {
    let samples = "[systematics.nu]\nshape = false\n[systematics.nu.samples]\nB = { up = { weight \
                   = \"wu\" }, down = { path = \"Bd.parquet\" } }\n[channels.c]";
    let place = place(&[("[channels.c]", samples)]);
    fs::copy(place.path("B.parquet"), place.path("Bd.parquet")).unwrap();
    let keys = [
        ("observed", "obs.parquet"),
        ("samples.S", "S.parquet"),
        ("samples.B", "B.parquet"),
        ("systematics.nu.samples.B.up", "B.parquet"),
        ("systematics.nu.samples.B.down", "Bd.parquet"),
    ];
    let on_record = || {
        let manifest = place.json("out/manifest.json");
        let result = place.json("out/measurement.json");
        for inputs in [&manifest["inputs"]["files"], &result["inputs"]] {
            assert_eq!(inputs.as_object().unwrap().len(), keys.len(), "{inputs}");
            for (key, file) in keys {
                let record = &inputs[key][0];
                assert_eq!(record["sha256"], sha256(&place.read(file)), "{key}");
                assert!(record["rows"].as_u64().unwrap() > 0);
            }
        }
        result["notes"].to_string()
    };
    run(&place, &[]).exits(0);
    assert!(!on_record().contains("files changed"));
    let before = sha256(&place.read("obs.parquet"));
    // half of the data: another result, and both digests
    place.edit("obs.parquet", |columns| {
        for (_, values) in columns {
            *values = values.slice(0, values.len() / 2);
        }
    });
    let after = sha256(&place.read("obs.parquet"));
    for _ in 0..2 {
        let done = run(&place, &[]).exits(0);
        for text in ["observed: the files changed", "920 rows", "460 rows"] {
            assert!(done.stdout.contains(text), "{text}: {}", done.stdout);
        }
        for digest in [&before, &after] {
            assert!(done.stdout.contains(&digest[..12]), "{}", done.stdout);
        }
        assert!(on_record().contains("files changed"));
    }
    // a varied sample that no network has seen
    place.edit("Bd.parquet", |columns| {
        for (_, values) in columns {
            *values = values.slice(0, values.len() - 20);
        }
    });
    let done = run(&place, &[]).exits(0);
    assert!(
        done.stdout
            .contains("systematics.nu.samples.B.down: the files changed")
    );
    on_record();
    // one that networks were trained on
    place.edit("S.parquet", |columns| {
        for (_, values) in columns {
            *values = values.slice(0, values.len() - 20);
        }
    });
    let done = run(&place, &[]);
    assert_ne!(done.exit, Some(0));
    assert!(done.stderr.contains("S.parquet"), "{}", done.stderr);
}
