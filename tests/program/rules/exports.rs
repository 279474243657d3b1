//! What is exported is the model that was fitted; every input is on record.

use crate::support::events::measured;
use crate::support::{
    Columns, Done, Workplace, contains, doubles, integers, list, number, numbers, words,
};
use serde_json::{Value, json};
use sideband_likelihood::fit::{FitSettings, fit};
use sideband_likelihood::histogram::{Factor, HistogramChannel, Modifier, Template};
use sideband_likelihood::workspace::{ImportOptions, import};
use sideband_likelihood::{
    Coefficient, Constraint, Interpolation, Likelihood as _, Model, Parameter, RateResponse,
};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// Events of each simulated sample.
const SIMULATED: usize = 600;
/// Expected signal and background events of a region, of which 2 x 460 are observed.
const YIELDS: [f64; 2] = [60.0, 400.0];

/// The samples and data of one signal yield, and the configuration with changes.
fn place(changes: &[(&str, &str)]) -> Workplace {
    let place = Workplace::measurement(2, SIMULATED, YIELDS, YIELDS);
    place.configure(changes);
    place
}

/// The same with a table of the configuration before the channels.
fn place_with(table: &str) -> Workplace {
    place(&[("[channels.c]", &format!("{table}\n[channels.c]"))])
}

const BY_K: (&str, &str) = ("coefficient = \"1\"", "coefficient = \"k\"");
const RATES: &str = "rates = { B = [0.9, 1.1] }";
/// A systematic of the background's weights.
const SAMPLES: &str = "[systematics.nu.samples]
B = { up = { weight = \"wu\" }, down = { weight = \"wd\" } }";

fn run(place: &Workplace, settings: &[&str]) -> Done {
    place.run_quietly("out", settings)
}

/// Names and types of the modifiers of a sample in the first channel.
fn modifiers(workspace: &Value, sample: &str) -> BTreeMap<String, Vec<String>> {
    let mut samples = list(&workspace["channels"][0]["samples"]).iter();
    let found = samples.find(|s| s["name"] == sample).unwrap();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for modifier in list(&found["modifiers"]) {
        let text = |key: &str| modifier[key].as_str().unwrap().to_owned();
        all.entry(text("name")).or_default().push(text("type"));
    }
    all
}

/// The setting of a parameter in the exported measurement.
fn setting(place: &Workplace, name: &str) -> Value {
    let workspace = place.json("out/workspace.json");
    let mut all = list(&workspace["measurements"][0]["config"]["parameters"]).iter();
    let found = all.find(|p| p["name"] == name);
    found.unwrap_or(&Value::Null).clone()
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
    assert_is_the_curve(place, best.point[interest], best.error(interest).unwrap());
}

/// A best fit of mu and its error are those of the curve of histograms alone.
fn assert_is_the_curve(place: &Workplace, found: f64, its_error: f64) {
    let own = &place.json("out/measurement.json")["scans"]["mu"]["curves"]["histogram"];
    let (value, error) = (number(&own["best"]), number(&own["error"]));
    assert!((found - value).abs() < 1e-4 * error, "{found} {own}");
    assert!(
        (its_error - error).abs() < 1e-3 * error,
        "{its_error} {own}"
    );
}

/// Fits what templates.json says of the histograms, with mu and the systematic uncertainty
/// nu, and compares with the curve of histograms alone.
fn refit_templates(place: &Workplace) {
    let file = place.json("out/templates.json");
    let channel = &file["c"];
    let code = |value: &Value| serde_json::from_value::<Interpolation>(value.clone()).unwrap();
    let bins = list(&channel["edges"]).len() - 1;
    let mut parameters = vec![
        Parameter::interest("mu", 1.0, (0.0, 5.0)),
        Parameter::nuisance("nu"),
    ];
    let (mut sums, mut variances) = (vec![0.0; bins], vec![0.0; bins]);
    let mut templates = Vec::new();
    for (name, process) in channel["processes"].as_object().unwrap() {
        let [nominal, errors] = ["contents", "errors"].map(|key| numbers(&process[key]));
        let add = |(sum, x): (&mut f64, f64)| *sum += x;
        sums.iter_mut().zip(nominal.iter().copied()).for_each(add);
        let squares = errors.iter().map(|error| error * error);
        variances.iter_mut().zip(squares).for_each(add);
        let text = process["coefficient"].as_str().unwrap();
        let coefficient = Coefficient::parse(text, &["mu"]).unwrap();
        let mut factors = vec![Factor::Coefficient(coefficient)];
        let mut modifiers = vec![Modifier::PerBin {
            parameters: (2..2 + bins).collect(),
        }];
        let nu = &process["systematics"]["nu"];
        let mut rates = vec![1.0, 1.0];
        if nu["rates"].is_array() {
            rates = numbers(&nu["rates"]);
            factors.push(Factor::Response(RateResponse {
                parameter: 1,
                low: rates[0],
                high: rates[1],
                interpolation: code(&nu["interpolation"]),
            }));
        }
        if nu["up"].is_array() {
            let side = |key: &str, rate: f64| -> Vec<f64> {
                numbers(&nu[key]).iter().map(|x| x / rate).collect()
            };
            modifiers.push(Modifier::Shape {
                parameter: 1,
                low: side("down", rates[0]),
                high: side("up", rates[1]),
                code: code(&nu["shape_interpolation"]),
            });
        }
        templates.push(Template {
            name: name.clone(),
            nominal,
            factors,
            modifiers,
        });
    }
    for (sum, variance) in sums.iter().zip(&variances) {
        parameters.push(Parameter {
            nominal: 1.0,
            bounds: (1e-10, 10.0),
            constraint: Some(Constraint {
                centre: 1.0,
                width: f64::sqrt(*variance) / sum,
            }),
            ..Parameter::nuisance(&format!("bin_{}", parameters.len()))
        });
    }
    let observed = numbers(&place.json("out/workspace.json")["observations"][0]["data"]);
    let channel = HistogramChannel::new("c", templates, observed, parameters.len()).unwrap();
    let model = Model::new(parameters, vec![Arc::new(channel)]);
    let best = fit(&model, &FitSettings::default()).unwrap();
    assert_is_the_curve(place, best.point[0], best.error(0).unwrap());
}

#[test]
fn fixed_parameters_are_fixed_in_the_workspace() {
    let nu = format!("[systematics.nu]\n{RATES}\n[channels.c]");
    let k = "[parameters.k]\nnominal = 1.0\nbounds = [0.5, 2.0]\n[samples.S]";
    for (name, changes) in [
        ("nu", &[("[channels.c]", nu.as_str())][..]),
        ("k", &[("[samples.S]", k), BY_K]),
    ] {
        let place = place(changes);
        run(&place, &[&format!("measurement.fixed=[{name:?}]")]).exits(0);
        let found = setting(&place, name);
        assert_eq!(found["fixed"], true, "{found}");
        let workspace = place.json("out/workspace.json");
        assert!(modifiers(&workspace, "B").contains_key(name), "{name}");
        refit(&place);
        let export = &place.json("out/measurement.json")["export"];
        assert_eq!(export["is_written"], true);
    }
}

#[test]
fn a_root_as_the_fits_coordinate_is_not_the_parameter_of_the_file() {
    let root = "bounds = [0.25, 5.0]\nfit = \"sqrt\"";
    let place = place(&[("bounds = [0.0, 5.0]", root)]);
    run(&place, &[]).exits(0);
    assert_eq!(setting(&place, "mu")["bounds"], json!([[0.25, 5.0]]));
    refit(&place);
}

#[test]
fn rates_shapes_and_codes_mean_the_same_in_bins() {
    let code4p = "density_interpolation = \"code4p\"";
    let code1 = "interpolation = \"code1\"";
    for (table, codes) in [
        // the rate alone, by its own code
        (format!("shape = false\n{code1}"), ["code1", "code4p"]),
        // the default: bins cannot have code 4 of events, and that is said
        (String::new(), ["code4", "code4p"]),
        (code4p.to_owned(), ["code4", "code4p"]),
        (code4p.replace("4p", "0") + "\n" + code1, ["code1", "code0"]),
        // rates of the configuration in place of those of the samples
        (
            format!("{code4p}\nrates = {{ B = [0.7, 1.25] }}"),
            ["code4", "code4p"],
        ),
    ] {
        let both = ["normsys", "histosys"];
        let types = &both[..if table.contains("shape = false") {
            1
        } else {
            2
        }];
        let place = place_with(&format!("[systematics.nu]\n{table}\n{SAMPLES}"));
        let done = run(&place, &[]).exits(0);
        let workspace = place.json("out/workspace.json");
        assert_eq!(modifiers(&workspace, "B")["nu"], types, "{table}");
        let settings = &place.json("out/workspace_points.json")["modifier_settings"];
        let used = both.map(|kind| &settings[kind]["interpcode"]);
        assert_eq!(used, codes, "{table}");
        let said = "by code4, that of histograms by code4p";
        assert_eq!(done.stdout.contains(said), table.is_empty());
        refit(&place);
        refit_templates(&place);
        let b = &place.json("out/templates.json")["c"]["processes"]["B"];
        let nu = &b["systematics"]["nu"];
        let sum = |values: &Value| numbers(values).iter().sum::<f64>();
        let rates = numbers(&nu["rates"]);
        if table.contains("rates") {
            assert_eq!(rates, [0.7, 1.25]);
        }
        if types.len() == 2 {
            for (rate, key) in rates.iter().zip(["down", "up"]) {
                let found = sum(&nu[key]) / sum(&b["contents"]);
                assert!((found - rate).abs() < 1e-12, "{table}: {found}");
            }
        }
    }
}

#[test]
fn settings_of_a_systematic_that_change_nothing_are_refused() {
    let density = "density_interpolation";
    for (table, key) in [
        (format!("shape = false\n{RATES}"), "shape"),
        (format!("{density} = \"code0\"\n{RATES}"), density),
        (
            format!("shape = false\n{density} = \"code4p\"\n{SAMPLES}"),
            density,
        ),
        (format!("shape = false\n{RATES}\n{SAMPLES}"), "samples.B"),
    ] {
        let place = place_with(&format!("[systematics.nu]\n{table}"));
        let done = run(&place, &[]).fails();
        done.warns([format!("systematics.nu.{key}")]);
        assert!(!place.has("out"), "{table}");
    }
    let done = run(&place(&[]), &["measurement.finite_sample_points=5"]);
    done.warns(["finite_sample_points"]);
}

#[test]
fn what_a_workspace_cannot_say_is_none() {
    let correlated = "[systematics.a.rates]\nB = [0.9, 1.1]\n[systematics.b.rates]\nB = [0.8, 1.2]";
    let correlated = format!("{correlated}\n[channels.c]");
    let constrained = "[parameters.k]\nnominal = 1.0\nbounds = [0.5, 2.0]\nconstraint = [1.0, \
                       0.1]\n[samples.S]";
    let linear = format!("[systematics.nu]\ninterpolation = \"code0\"\n{RATES}\n[channels.c]");
    let points = "measurement.scan_points=5";
    for (set, changes, reason) in [
        (
            points,
            &[("coefficient = \"mu\"", "coefficient = \"mu*mu\"")][..],
            "`mu*mu` of mu is no normfactor",
        ),
        (
            "measurement.correlations=[{ parameters = [\"a\", \"b\"], coefficient = 0.5 }]",
            &[("[channels.c]", &correlated)],
            "correlated",
        ),
        (
            points,
            &[("[samples.S]", constrained), BY_K],
            "`k` scales samples and has a constraint",
        ),
        (
            points,
            &[("[channels.c]", &linear)],
            "parameter `nu`: interpolation Code0",
        ),
    ] {
        let place = place(changes);
        run(&place, &[set]).exits(0);
        let export = &place.json("out/measurement.json")["export"];
        assert_eq!(export["is_written"], false, "{reason}");
        assert_eq!(export["is_wrong"], false, "{reason}");
        contains(export["reason"].as_str().unwrap(), [reason]);
        let there = ["workspace.json", "workspace_points.json", "templates.json"];
        let there = there.map(|name| place.has(&format!("out/{name}")));
        assert_eq!(there, [false, false, true], "{reason}");
        let page = place.text("out/report.html");
        assert!(page.contains("There is no workspace.json"), "{reason}");
    }
}

const FIFTH_BIN: (&str, &str) = ("1.0, 4.0]", "1.0, 4.0, 8.0]");

/// Bins without simulation, and no signal at the nominal point: what is written is read back
/// and is the fit.
#[test]
fn odd_bins_are_exported_as_they_are_fitted() {
    let no_signal = ("nominal = 1.0", "nominal = 0.0");
    let below = ("bounds = [0.0, 5.0]", "bounds = [-0.2, 5.0]");
    // an empty bin without data, and no signal
    for changes in [&[FIFTH_BIN][..], &[no_signal, below]] {
        let place = place(changes);
        run(&place, &[]).exits(0);
        refit(&place);
    }
}

/// Adds an observed event in the bin from 4 to 8.
fn observe_one(place: &Workplace, region: i64) {
    let one = measured(9, 0, [0, 1], 1.0, 1).with("z", doubles([5.0]));
    let one = one.with("reg", integers([region]));
    place.edit("obs.parquet", |columns| columns.append(&one));
}

#[test]
fn bins_that_nothing_predicts_are_refused_before_training() {
    let beside = place(&[FIFTH_BIN]);
    observe_one(&beside, 1);
    run(&beside, &[]).exits(4).warns([
        "channel c, bin 4 [4, 8): 1 event observed, 0 expected; merge the bin",
        "channels.c.bins",
    ]);
    assert!(!beside.member("out/ensembles/S", 0).exists());
    // the same beside the region without bins
    let histogram = "histogram = { observable = \"z\", bins = [-4.0, 0.0, 4.0, 8.0] }";
    let beside = place(&[("scan_points = 5", histogram)]);
    observe_one(&beside, 0);
    let done = run(&beside, &[]).exits(4);
    done.warns(["channel all, bin 2 [4, 8): 1 event observed, 0 expected"]);
    // nothing is expected at one end of a parameter
    let signal = place(&[("coefficient = \"1\"", "coefficient = \"mu\"")]);
    run(&signal, &[]).fails().warns(["mu = 0.0000"]);
    // edges that cut nothing, and a region of no simulation
    for (change, said) in [
        (
            ("[-4.0, -1.0, 0.0, 1.0, 4.0]", "[10.0, 20.0, 30.0]"),
            "the edges cut nothing",
        ),
        (("reg == 1", "reg == 7"), "no event of any sample"),
    ] {
        run(&place(&[change]), &[]).exits(4).warns([said]);
    }
}

#[test]
fn contradictory_input_is_refused() {
    let by_lumi = ("coefficient = \"1\"", "coefficient = \"lumi\"");
    for (constraint, allowed) in [
        ("[7.0, 0.02]", "within the bounds"),
        ("[0.4, 0.02]", "within the bounds"),
        ("[1.0, 0.0]", "above 0"),
        ("[1.0, -1.0]", "above 0"),
        ("[nan, 0.1]", "above 0"),
    ] {
        let lumi = "[parameters.lumi]\nnominal = 1.0\nbounds = [0.5, 1.5]";
        let lumi = format!("{lumi}\nconstraint = {constraint}\n[samples.S]");
        let done = run(&place(&[("[samples.S]", &lumi), by_lumi]), &[]).exits(3);
        done.warns(["parameters.lumi.constraint", allowed]);
    }
    // an observed event twice, with an id and without
    for has_id in [false, true] {
        let place = place(&[]);
        place.edit("obs.parquet", |columns| {
            if has_id {
                columns.set("event", integers(0..columns.len() as i64));
            }
            columns.append(&columns.slice(0, 3));
        });
        let done = run(&place, &[]).exits(4);
        done.warns(["3 of 923 events are there twice"]);
    }
    // the nominal events under other ids as a variation
    let other = "up = { path = \"Bu.parquet\", weight = \"wu\" }";
    let place = place_with(&SAMPLES.replace("up = { weight = \"wu\" }", other));
    let renamed = Columns::numbered(7_000_000, SIMULATED);
    let renamed = place
        .events("B.parquet")
        .with("event", renamed.get("event").clone());
    place.put("Bu.parquet", &renamed);
    let done = run(&place, &[]).exits(4);
    done.warns(["systematics.nu.samples.B.up.path", "another id"]);
}

/// The areas of a figure's first panel by their names: lower and upper ends in the bins.
fn stacked(place: &Workplace, figure: &str) -> BTreeMap<String, [Vec<f64>; 2]> {
    let figure = place.json(&format!("out/plots/{figure}.json"));
    let drawn = list(&figure["panels"][0]["drawn"]).iter();
    let areas = drawn.filter(|lists| lists["what"] == "band");
    let ends = |lists: &Value| ["low", "high"].map(|end| numbers(&lists[end]));
    areas
        .map(|lists| (lists["label"].as_str().unwrap().to_owned(), ends(lists)))
        .collect()
}

#[test]
fn processes_are_stacked_before_the_fit_and_at_the_best_fit() {
    let place = place(&[]);
    let settings = [
        "channels.c.statistical=false",
        "systematics.nu.rates={ B = [0.9, 1.1] }",
        "samples.S.label=Signal",
        "measurement.histogram={ observable = \"z\", bins = [-4.0, 0.0, 4.0] }",
    ];
    run(&place, &settings).exits(0);
    let templates = place.json("out/templates.json");
    let contents = |process: &str| numbers(&templates["c"]["processes"][process]["contents"]);
    let (s, b) = (contents("S"), contents("B"));
    let result = place.json("out/measurement.json");
    let [mu, nu] = [0, 1].map(|k| number(&result["fit"]["parameters"][k]["value"]));
    for (figure, mu, nu) in [
        ("channel_c_prefit", 1.0, 0.0),
        ("channel_c_postfit", mu, nu),
    ] {
        let areas = stacked(&place, figure);
        let total = &areas["total and its error"];
        let factor = areas["B"][1][0] / b[0];
        assert!(
            (factor - 1.0).signum() == nu.signum() || nu == 0.0,
            "{factor} {nu}"
        );
        for bin in 0..4 {
            let near = |found: f64, expected: f64| {
                let off = (found - expected).abs();
                assert!(off <= 1e-9 * expected.abs(), "{figure}: {found} {expected}");
            };
            let [from, to] = [0, 1].map(|end| areas["B"][end][bin]);
            assert_eq!(from, 0.0);
            near(to, factor * b[bin]);
            // the signal lies on top
            let [from, top] = [0, 1].map(|end| areas["Signal"][end][bin]);
            assert_eq!(from, to);
            near(top - from, mu * s[bin]);
            near(0.5 * (total[0][bin] + total[1][bin]), top);
            let error = 0.5 * (total[1][bin] - total[0][bin]);
            match figure {
                "channel_c_prefit" => near(error, 0.1 * b[bin]),
                _ => assert!(error > 0.0),
            }
        }
        let figure = place.json(&format!("out/plots/{figure}.json"));
        let mut drawn = list(&figure["panels"][0]["drawn"]).iter();
        let observed = drawn.find(|lists| lists["label"] == "observed").unwrap();
        assert_eq!(
            numbers(&observed["y"]).iter().sum::<f64>(),
            YIELDS[0] + YIELDS[1]
        );
        assert_eq!(list(&figure["panels"]).len(), 2);
    }
    for figure in ["channel_c_prefit", "histogram_all_postfit"] {
        place.says_in("out/report.html", &format!("plots/{figure}.json"));
    }
    // without observed events there is nothing to compare with
    let config = place.text("config.toml");
    let config = config.replace("[observed]\npath = \"obs.parquet\"\n", "");
    place.write("config.toml", config);
    run(&place, &settings).exits(0);
    let figure = place.json("out/plots/channel_c_postfit.json");
    assert_eq!(list(&figure["panels"]).len(), 1);
    assert!(figure["heading"].to_string().contains("none are observed"));
}

#[test]
fn files_of_a_former_result_are_gone() {
    let place = place(&[]);
    let settings = [
        "measurement.limit={ confidence_level = 0.95 }",
        "measurement.contours=[{ parameters = [\"mu\", \"nu\"], points = 5 }]",
        "systematics.nu.rates={ B = [0.9, 1.1] }",
    ];
    let has = |name: &str| place.has(&format!("out/{name}"));
    run(&place, &settings).exits(0);
    let former = place.json("out/measurement.json");
    let former = words(&former["files"]);
    let wanted = "workspace.json limit.parquet contours.parquet plots/limit.svg";
    for name in wanted.split(' ') {
        assert!(former.contains(&name), "{name}");
    }
    let all_are_there = || {
        for name in &former {
            assert!(has(name), "{name}");
        }
    };
    all_are_there();
    // what is missing or damaged is made anew
    place.remove("out/curves.parquet");
    place.write("out/workspace.json", "{");
    place.write("out/measurement.json", "{");
    run(&place, &settings).exits(0);
    assert!(has("curves.parquet"));
    place.json("out/workspace.json");
    // drawn, without a fit: not even the data are there
    let before = place.read("out/measurement.json");
    fs::rename(place.path("obs.parquet"), place.path("gone.parquet")).unwrap();
    for name in "report.html plots/limit.svg plots/limit.png pulls.parquet".split(' ') {
        fs::remove_file(place.path(&format!("out/{name}"))).unwrap();
    }
    place.sideband(&["report", "out"]).exits(0);
    assert_eq!(place.read("out/measurement.json"), before);
    all_are_there();
    fs::remove_file(place.path("out/templates.json")).unwrap();
    let done = place.sideband(&["report", "out"]).exits(4);
    done.warns(["templates.json"]);
    fs::rename(place.path("gone.parquet"), place.path("obs.parquet")).unwrap();
    // another model, which is no workspace and has no limit
    place.write("out/notes.txt", "mine");
    run(&place, &["samples.S.coefficient=\"mu*mu\""]).exits(0);
    let present = place.json("out/measurement.json");
    let present = words(&present["files"]);
    let gone = former.iter().filter(|name| !present.contains(name));
    let of_former = ["workspace.json", "workspace_points.json", "limit.parquet"];
    for name in gone.chain(&of_former).chain(&["contours.parquet"]) {
        assert!(!has(name), "{name} is of the former model");
    }
    assert!(has("notes.txt"), "not the program's own");
    let left = fs::read_dir(place.path("out")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_input_is_on_record_and_a_changed_one_is_said() {
    let samples = SAMPLES.replace("weight = \"wd\"", "path = \"Bd.parquet\"");
    let place = place_with(&format!("[systematics.nu]\nshape = false\n{samples}"));
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
    place.edit("obs.parquet", |columns| columns.truncate(460));
    let after = sha256(&place.read("obs.parquet"));
    for _ in 0..2 {
        let done = run(&place, &[]).exits(0);
        let done = done.says(["observed: the files changed", "920 rows", "460 rows"]);
        done.says([&before[..12], &after[..12]]);
        assert!(on_record().contains("files changed"));
    }
    // a varied sample that no network has seen
    let shorten = |columns: &mut Columns| columns.truncate(SIMULATED - 20);
    place.edit("Bd.parquet", shorten);
    let done = run(&place, &[]).exits(0);
    done.says(["systematics.nu.samples.B.down: the files changed"]);
    on_record();
    // one that networks were trained on
    place.edit("S.parquet", shorten);
    run(&place, &[]).fails().warns(["S.parquet"]);
}
