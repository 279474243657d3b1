//! Commands on workspaces of pyhf, as a user runs them: published likelihoods against the numbers of
//! an independent program, patches, and what is refused. Reference numbers and their
//! tolerances: `tests/data/workspaces/README.md`.

use crate::support::{Done, Workplace, contains, number, numbers, parsed, root, words};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

/// A file of `tests/data/workspaces`.
fn file(name: &str) -> String {
    let path = root().join("tests/data/workspaces").join(name);
    path.display().to_string()
}

fn golden(name: &str) -> Value {
    let text = fs::read_to_string(file(&format!("{name}.golden.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The JSON of a packed file.
fn unpacked(name: &str) -> Value {
    let bytes = fs::read(file(name)).unwrap();
    let mut text = String::new();
    GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A folder without anything of use.
fn empty() -> Workplace {
    Workplace::with_configuration("")
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let fits = (found - expected).abs() <= tolerance;
    assert!(fits, "{what}: {found}, not {expected} within {tolerance}");
}

/// Holds a fit to its reference: maximum, best fit, errors.
#[track_caller]
fn assert_fit(found: &Value, golden: &Value) {
    assert_eq!(found["failure"], Value::Null, "{found}");
    let maximum = -0.5 * number(&found["twice_nll"]);
    assert_near(maximum, number(&golden["max_logpdf"]), 1e-6, "maximum");
    let poi = golden["poi"].as_str().unwrap();
    let own = &found["parameters"][poi];
    let error: Option<f64> = parsed(&golden["mu_error"]);
    let scale = error.unwrap_or(1.0);
    assert_near(
        number(&own["value"]),
        number(&golden["mu"]),
        2e-5 * scale,
        poi,
    );
    assert_eq!(own["error"].is_null(), error.is_none(), "{own}");
    if let Some(error) = error {
        assert_near(number(&own["error"]), error, 1e-3 * error, "error");
    }
    let names = words(&golden["parameters"]);
    assert_eq!(found["parameters"].as_object().unwrap().len(), names.len());
    let lists = found["mle_parameters"].as_object().unwrap();
    let flat: usize = lists.values().map(|list| numbers(list).len()).sum();
    assert_eq!(flat, names.len());
}

/// Holds limits to their reference.
#[track_caller]
fn assert_limits(found: &Value, golden: &Value) {
    assert_eq!(found["failure"], Value::Null, "{found}");
    let cls = &golden["cls_at_1"];
    let observed = number(&found["CLs_obs"]);
    assert_near(observed, number(&cls["observed"]), 1e-5, "CLs");
    let expected = numbers(&cls["expected_minus2_to_plus2"]);
    for (found, expected) in numbers(&found["CLs_exp"]).into_iter().zip(expected) {
        assert_near(found, expected, 1e-5, "expected CLs");
    }
    let limits = &golden["upper_limit_95"];
    let mut pairs = vec![(
        number(&found["upper_limit"]["observed"]),
        number(&limits["observed"]),
    )];
    let expected = numbers(&limits["expected_minus2_to_plus2"]);
    pairs.extend(
        numbers(&found["upper_limit"]["expected"])
            .into_iter()
            .zip(expected),
    );
    assert_eq!(pairs.len(), 6);
    for (found, expected) in pairs {
        assert_near(found, expected, 1e-5 * expected, "limit");
    }
}

#[test]
fn published_likelihoods_have_the_fits_and_limits_of_an_independent_program() {
    let place = empty();
    for name in ["dvmuon_met", "mimic", "hb_a", "ewk_high"] {
        let (workspace, golden) = (file(&format!("{name}.json.gz")), golden(name));
        let fit = place
            .sideband(&["fit", &workspace, "--json", "--quiet"])
            .exits(0);
        assert_eq!(fit.stderr, "");
        assert_fit(&fit.json(), &golden);
        let limit = place
            .sideband(&["limit", &workspace, "--json", "--quiet"])
            .exits(0);
        assert_limits(&limit.json(), &golden);
    }
}

#[test]
fn a_patch_of_a_set_is_the_published_signal() {
    let place = empty();
    let (workspace, set) = (
        file("onelbb_background.json.gz"),
        file("onelbb_patchset.json.gz"),
    );
    let golden = golden("onelbb_C1N2_500_0");
    let by_name = [
        "fit",
        &workspace,
        "--patch",
        &set,
        "C1N2_Wh_hbb_500_0",
        "--json",
    ];
    let fit = place.sideband(&by_name).exits(0).json();
    assert_fit(&fit, &golden);
    assert_eq!(fit["patch"]["name"], "C1N2_Wh_hbb_500_0");
    assert_eq!(fit["patch"]["values"], json!({"m_C1N2": 500, "m_N1": 0}));
    let by_values = ["limit", &workspace, "--patch", &set, "[500, 0]", "--json"];
    let limit = place.sideband(&by_values).exits(0).json();
    assert_limits(&limit, &golden);
    assert_eq!(limit["digest"], fit["digest"]);
    // a background alone has no parameter of interest
    let none = place.sideband(&["fit", &workspace]).exits(4);
    none.warns(["parameter of interest `mu_SIG`", "--poi none"]);
    let background = place.sideband(&["fit", &workspace, "--poi", "none", "--json"]);
    let background = background.exits(0).json();
    assert_eq!(background["poi"], Value::Null);
    assert!(number(&background["goodness_of_fit"]["p_value"]) > 1e-4);
    // without a name they are listed
    let listed = place
        .sideband(&["fit", &workspace, "--patch", &set])
        .exits(2);
    listed.warns(["the set has 2 patches: C1N2_Wh_hbb_500_0, C1N2_Wh_hbb_300_150"]);
    let typo = ["fit", &workspace, "--patch", &set, "C1N2_Wh_hbb_500_1"];
    place
        .sideband(&typo)
        .exits(4)
        .warns(["did you mean `C1N2_Wh_hbb_500_0`?"]);
    let every = ["fit", &workspace, "--patch", &set, "all"];
    place
        .sideband(&every)
        .exits(2)
        .warns(["`sideband limit` alone"]);
    let other = [
        "fit",
        &file("hb_a.json.gz"),
        "--patch",
        &set,
        "C1N2_Wh_hbb_500_0",
    ];
    let other = place.sideband(&other).exits(4);
    other.warns(["the patches are for another workspace than ", "its md5 is "]);
    let reversed = ["fit", &set, "--patch", &workspace, "x"];
    place
        .sideband(&reversed)
        .exits(4)
        .warns(["this is a patch set where a workspace is expected"]);
    let twice = ["fit", &workspace, "--patch", &workspace, "x"];
    let twice = place.sideband(&twice).exits(4);
    twice.warns(["this is a workspace where a patch set is expected"]);
}

/// A patch set for `ws.json` of a folder.
fn patch_set(place: &Workplace, labels: &[&str], patches: Value) -> Value {
    let found = place.sideband(&["inspect", "ws.json", "--json"]).json();
    json!({"version": "1.0.0", "patches": patches, "metadata": {
        "references": {"hepdata": "ins1234567"}, "description": "signals", "labels": labels,
        "digests": found["digests"]}})
}

#[test]
fn several_patches_are_applied_in_their_order() {
    let place = small_place();
    let sample = json!({"name": "more", "data": [1.0, 1.0], "modifiers": []});
    let count = |n: f64| json!([{"op": "replace", "path": "/observations/1/data/0", "value": n}]);
    place.write("one.json", count(70.0).to_string());
    place.write("two.json", count(80.0).to_string());
    let add = |name: &str, mass: f64, at: &str| {
        json!({"metadata": {"name": name, "values": [mass]}, "patch": [
            {"op": "add", "path": format!("/channels/0/samples/{at}"), "value": sample}]})
    };
    let patches = json!([add("a", 1.0, "-"), add("b", 2.0, "0")]);
    place.write("ps.json", patch_set(&place, &["m"], patches).to_string());
    let fit = |more: &[&str]| place.sideband(&[&["fit", "--json"][..], more].concat());
    for (last, first, content) in [
        ("two.json", "one.json", 80.0),
        ("one.json", "two.json", 70.0),
    ] {
        let mut whole = small();
        whole["observations"][1]["data"][0] = json!(content);
        let samples = whole["channels"][0]["samples"].as_array_mut().unwrap();
        samples.push(sample.clone());
        place.write("whole.json", whole.to_string());
        let whole = fit(&["whole.json"]).exits(0).json();
        let patched = fit(&[
            "ws.json", "-p", first, "--patch", "ps.json", "a", "-p", last,
        ]);
        let patched = patched.exits(0).json();
        for key in ["digest", "parameters", "twice_nll"] {
            assert_eq!(patched[key], whole[key]);
        }
        assert_eq!(patched["patch"]["file"], last);
        let before = json!([{"file": first, "name": null, "values": {}},
            {"file": "ps.json", "name": "a", "values": {"m": 1.0}}]);
        assert_eq!(patched["patched_before"], before);
    }
    // every signal of a set, with other data
    let all = [
        "limit", "ws.json", "--json", "-p", "one.json", "-p", "ps.json", "all",
    ];
    let all = place.sideband(&all).exits(0).json();
    let one = fit(&["ws.json", "-p", "one.json", "-p", "ps.json", "b"]).json();
    assert_eq!(all["patches"][1]["limit"]["digest"], one["digest"]);
    let [workspace, set] =
        ["onelbb_background", "onelbb_patchset"].map(|name| file(&format!("{name}.json.gz")));
    for (more, exit, said) in [
        (
            &["ws.json", "-p", "ps.json", "a", "-p", "ps.json", "b"][..],
            4,
            "ps.json: patch `b`: it adds sample `more` of channel `SR`, which ps.json: patch `a` has \
             already",
        ),
        (
            &[
                workspace.as_str(),
                "-p",
                &set,
                "C1N2_Wh_hbb_500_0",
                "-p",
                &set,
                "[500, 0]",
            ],
            4,
            "it adds sample `C1N2_Wh_hbb_500_0` of channel `WREM_cuts`, which ",
        ),
        (
            &["ws.json", "-p", "ps.json", "all", "-p", "one.json"],
            2,
            "give it as the last of all patches",
        ),
        (
            &["ws.json", "-p", "-", "-p", "-"],
            2,
            "one alone can come on standard input",
        ),
    ] {
        fit(more).exits(exit).warns([said]);
    }
}

#[test]
fn every_patch_has_a_limit_that_is_found_once() {
    let place = empty();
    let background = small();
    place.write("ws.json", background.to_string());
    let digest = place.sideband(&["inspect", "ws.json", "--json"]).json()["digests"].clone();
    let patch = |name: &str, mass: f64, yields: [f64; 2]| {
        let sample = json!({"name": "signal", "data": yields, "modifiers": [
            {"name": "mu", "type": "normfactor", "data": null}]});
        json!({"metadata": {"name": name, "values": [mass, "x"]},
            "patch": [{"op": "replace", "path": "/channels/0/samples/0", "value": sample}]})
    };
    let bad = json!({"metadata": {"name": "bad", "values": [400, "x"]},
        "patch": [{"op": "remove", "path": "/channels/7"}]});
    let mut set = json!({
        "metadata": {"references": {"hepdata": "ins1234567"}, "description": "signals",
            "digests": digest, "labels": ["mass", "decay"]},
        "patches": [patch("m300", 300.0, [2.0, 1.0]), patch("m100", 100.0, [5.0, 8.0]),
            patch("m200", 200.0, [3.0, 4.0])],
        "version": "1.0.0"
    });
    place.write("ps.json", set.to_string());
    let all = [
        "limit", "ws.json", "--patch", "ps.json", "all", "--out", "out", "--quiet",
    ];
    let done = place.sideband(&all).exits(0);
    done.says([
        "ws.json with 3 patches of ps.json",
        "m100",
        "[100.0, \"x\"]",
        "written",
    ]);
    let limits = place.json("out/limits.json");
    let one = ["limit", "ws.json", "--patch", "ps.json", "m200", "--json"];
    let one = place.sideband(&one).exits(0).json();
    assert_eq!(
        limits["patches"][2]["limit"]["upper_limit"],
        one["upper_limit"]
    );
    let table = place.text("out/limits.csv");
    contains(
        &table,
        [
            "patch,mass,decay,observed,expected_minus_2",
            "m100,100.0,x,",
        ],
    );
    // one value varies alone, so that there is a band against it
    contains(&place.text("out/limits.svg"), ["<svg", "mass"]);
    // what is there is kept, what became different is found anew
    place.edit_json("out/patches/m300.json", |limit| {
        limit["upper_limit"]["observed"] = json!(1.2345)
    });
    place.edit_json("out/patches/m100.json", |limit| {
        limit["digest"] = json!("other")
    });
    let again = place
        .sideband(&all)
        .exits(0)
        .says(["2 of them there already"]);
    again.says(["1.2345"]);
    assert_eq!(
        place.json("out/patches/m100.json")["digest"],
        limits["patches"][1]["limit"]["digest"]
    );
    // other values of the curve are another option
    let shorter = [&all[..], &["--range", "0:2"]].concat();
    let shorter = place.sideband(&shorter).exits(0);
    assert!(!shorter.stdout.contains("there already"), "{shorter:?}");
    let curve = place.json("out/patches/m100.json")["curve"].clone();
    assert_eq!(number(&curve[30]["poi"]), 2.0);
    place.sideband(&all).exits(0);
    // one that fails costs the others nothing
    set["patches"].as_array_mut().unwrap().push(bad);
    place.write("ps.json", set.to_string());
    let done = place.sideband(&all).exits(4);
    let done = done.warns([
        "there is no result with one patch: ps.json: patch `bad`: operation 0, remove /channels/7",
    ]);
    done.says(["3 of them there already", "m200"]);
}

#[test]
fn limits_over_two_masses_are_a_plane() {
    let place = small_place();
    // yields of a signal that grow by factors of two along both labels
    let factor = |i: usize, j: usize| 2_f64.powi((i + j) as i32 - 2);
    let grid: Vec<[usize; 2]> = (0..9).map(|k| [k / 3, k % 3]).collect();
    let patches = grid.iter().map(|[i, j]| {
        let yields = [5.0, 8.0].map(|x| x * factor(*i, *j));
        json!({"metadata": {"name": format!("s{i}{j}"), "values": [100 * i, 10 * j]},
            "patch": [{"op": "replace", "path": "/channels/0/samples/0/data", "value": yields}]})
    });
    let patches = json!(patches.collect::<Vec<Value>>());
    let set = patch_set(&place, &["mass", "width"], patches);
    place.write("ps.json", set.to_string());
    let all = [
        "limit", "ws.json", "--patch", "ps.json", "all", "--out", "out", "--quiet",
    ];
    place.sideband(&all).exits(0);
    let limits = place.json("out/limits.json");
    let limit = |k: usize| {
        let limit = &limits["patches"][k]["limit"]["upper_limit"];
        let mut all = numbers(&limit["expected"]);
        all.push(number(&limit["observed"]));
        all
    };
    // so many times the signal, so much smaller the limit
    for (k, [i, j]) in grid.iter().enumerate() {
        for (found, whole) in limit(k).into_iter().zip(limit(4)) {
            let expected = whole / factor(*i, *j);
            assert_near(found, expected, 1e-4 * expected, &format!("{i} {j}"));
        }
    }
    let figure = place.text("out/limits.svg");
    contains(
        &figure,
        ["mass", "width", "observed = 1", "expected = 1", "±1σ"],
    );
    let yaml = place.text("out/hepdata/limits/limits.yaml");
    let columns: Vec<Vec<f64>> = yaml
        .split("header: ")
        .skip(1)
        .map(|column| numbers_behind(column, "value: "))
        .collect();
    let [mass, width, observed, expected] = &columns[..] else {
        panic!("{yaml}");
    };
    for (k, [i, j]) in grid.iter().enumerate() {
        assert_eq!([mass[k], width[k]], [100.0 * *i as f64, 10.0 * *j as f64]);
        assert_eq!([expected[k], observed[k]], [limit(k)[2], limit(k)[5]]);
    }
    contains(
        &place.text("out/limits.tex"),
        [
            "mass & width & observed & expected, $-2\\sigma$",
            "200 & 20 & $",
        ],
    );
    // a grid with a hole has points all the same
    let mut few = set;
    few["patches"].as_array_mut().unwrap().retain(|patch| {
        ["s00", "s12", "s21"].contains(&patch["metadata"]["name"].as_str().unwrap())
    });
    place.write("ps.json", few.to_string());
    place.write("out/patches/mine.json", "{}");
    place
        .sideband(&all)
        .exits(0)
        .says(["3 of them there already"]);
    for (name, stays) in [("s00", true), ("mine", true), ("s11", false)] {
        let is_there = place.has(&format!("out/patches/{name}.json"));
        assert_eq!(is_there, stays, "{name}");
    }
    let figure = place.text("out/limits.svg");
    assert!(figure.contains("width") && !figure.contains("observed = 1"));
}

impl Workplace {
    /// Rewrites a JSON file of the folder.
    fn edit_json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = self.json(name);
        change(&mut value);
        self.write(name, value.to_string());
    }
}

/// A workspace with all types of modifiers.
fn small() -> Value {
    json!({
        "channels": [
            {"name": "SR", "samples": [
                {"name": "signal", "data": [5.0, 8.0], "modifiers": [
                    {"name": "mu", "type": "normfactor", "data": null},
                    {"name": "lumi", "type": "lumi", "data": null}]},
                {"name": "top", "data": [50.0, 30.0], "modifiers": [
                    {"name": "lumi", "type": "lumi", "data": null},
                    {"name": "jes_1", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
                    {"name": "jes_2", "type": "histosys",
                     "data": {"lo_data": [48.0, 31.0], "hi_data": [52.0, 29.0]}},
                    {"name": "mc_SR", "type": "staterror", "data": [2.0, 1.5]}]},
                {"name": "fakes", "data": [4.0, 3.0], "modifiers": [
                    {"name": "fake_rate", "type": "shapesys", "data": [1.0, 0.5]}]}]},
            {"name": "CR", "samples": [
                {"name": "top", "data": [200.0, 100.0, 60.0], "modifiers": [
                    {"name": "jes_1", "type": "normsys", "data": {"lo": 0.95, "hi": 1.05}},
                    {"name": "top_norm", "type": "normfactor", "data": null}]}]}
        ],
        "measurements": [
            {"name": "main", "config": {"poi": "mu", "parameters": [
                {"name": "lumi", "inits": [1.0], "bounds": [[0.9, 1.1]], "auxdata": [1.0],
                 "sigmas": [0.02]},
                {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}]}},
            {"name": "other", "config": {"poi": "", "parameters": [
                {"name": "lumi", "inits": [1.0], "bounds": [[0.9, 1.1]], "auxdata": [1.0],
                 "sigmas": [0.02], "fixed": true}]}}
        ],
        "observations": [
            {"name": "CR", "data": [215.0, 96.0, 58.0]},
            {"name": "SR", "data": [61.0, 38.0]}
        ],
        "version": "1.0.0"
    })
}

/// A folder with [`small`] in it.
fn small_place() -> Workplace {
    let place = empty();
    place.write("ws.json", small().to_string());
    place
}

#[test]
fn workspaces_come_packed_and_on_standard_input() {
    let place = small_place();
    let plain = place
        .sideband(&["fit", "ws.json", "--json"])
        .exits(0)
        .json();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(small().to_string().as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    place.write("ws.gz", &packed);
    let from_file = place.sideband(&["fit", "ws.gz", "--json"]).exits(0).json();
    let mut command = place.command(&["fit", "-", "--json"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(&packed).unwrap();
    let piped = Done::of(running.wait_with_output().unwrap())
        .exits(0)
        .json();
    for (found, name) in [(from_file, "ws.gz"), (piped, "standard input")] {
        assert_eq!(found["workspace"], name);
        assert_eq!(found["parameters"], plain["parameters"]);
        assert_eq!(found["digest"], plain["digest"]);
    }
}

#[test]
fn fits_say_what_is_free_and_what_is_not() {
    let place = small_place();
    let fit = |more: &[&str]| {
        let all = [&["fit", "ws.json", "--json"][..], more].concat();
        place.sideband(&all).exits(0).json()
    };
    let free = fit(&["--covariance"]);
    let names: Vec<&String> = free["parameters"].as_object().unwrap().keys().collect();
    contains(&format!("{names:?}"), ["mc_SR[1]", "fake_rate[0]", "jes_2"]);
    let covariance = &free["covariance"];
    let place_of = |name: &str| {
        words(&covariance["parameters"])
            .iter()
            .position(|n| *n == name)
    };
    let mu = place_of("mu").unwrap();
    let variance = number(&covariance["values"][mu][mu]);
    let error = number(&free["parameters"]["mu"]["error"]);
    assert_near(variance.sqrt(), error, 1e-12, "error");
    let fixed = fit(&["--fix", "jes_1=0.5,mc_SR=1", "--poi", "top_norm"]);
    assert_eq!(fixed["poi"], "top_norm");
    assert_eq!(
        fixed["fixed"],
        json!({"jes_1": 0.5, "mc_SR[0]": 1.0, "mc_SR[1]": 1.0})
    );
    let own = &fixed["parameters"]["jes_1"];
    assert_eq!(
        (&own["state"], &own["value"]),
        (&json!("fixed"), &json!(0.5))
    );
    assert_eq!((&own["error"], &own["pull"]), (&Value::Null, &Value::Null));
    assert!(number(&fixed["twice_nll"]) > number(&free["twice_nll"]));
    // Asimov data have their own parameters as best fit
    let asimov = fit(&["--asimov", "2", "--significance"]);
    assert_eq!(asimov["data"], "asimov");
    assert_near(
        number(&asimov["parameters"]["mu"]["value"]),
        2.0,
        1e-5,
        "mu",
    );
    assert_near(
        number(&asimov["goodness_of_fit"]["chi2"]),
        0.0,
        1e-6,
        "chi2",
    );
    assert!(number(&asimov["significance"]["significance"]) > 1.0);
    // a significance that cannot be had takes nothing from the fit
    let fixed = ["--fix", "mu=1", "--significance"];
    let fixed = [&["fit", "ws.json", "--json"][..], &fixed].concat();
    let fixed = place.sideband(&fixed).exits(4);
    fixed
        .clone()
        .warns(["significance: parameter of interest `mu` is fixed"]);
    assert_eq!(fixed.json()["parameters"]["mu"]["value"], 1.0);
    let other = fit(&["--measurement", "other", "--codes", "1,0"]);
    assert_eq!(other["poi"], Value::Null);
    assert_eq!(other["parameters"]["lumi"]["state"], "fixed");
    assert_eq!(
        other["codes"],
        json!({"normsys": "code1", "histosys": "code0"})
    );
    let text = place.sideband(&["fit", "ws.json"]).exits(0);
    text.begins("ws.json: measurement main\n2 channels, 5 bins, 9 parameters, 0 of them fixed\n")
        .says([
            "mu ",
            "-2 log L",
            "goodness",
            "parameter",
            "mc_SR[0]",
            "pull",
        ]);
}

#[test]
fn limits_are_expected_ones_where_data_are_not_looked_at() {
    let place = small_place();
    let limit = |more: &[&str]| {
        let all = [&["limit", "ws.json", "--json"][..], more].concat();
        place.sideband(&all).exits(0).json()
    };
    let open = limit(&["--range", "0:3"]);
    let curve = open["curve"].as_array().unwrap();
    assert_eq!(curve.len(), 31);
    assert_near(number(&curve[0]["CLs_obs"]), 1.0, 1e-9, "CLs at 0");
    // nothing is known beyond the bounds
    let cut = limit(&["--range", "8:11"]);
    assert_eq!(cut["curve"].as_array().unwrap().len(), 21);
    contains(
        &cut["notes"].to_string(),
        ["10 of the 31 values of --range are beyond the bounds 0 and 10 of mu"],
    );
    let blind = limit(&["--asimov"]);
    for hidden in [
        &blind["CLs_obs"],
        &blind["best_fit"],
        &blind["upper_limit"]["observed"],
    ] {
        assert!(hidden.is_null(), "{blind}");
    }
    // other data, the same expected limits
    place.edit_json("ws.json", |ws| {
        ws["observations"][1]["data"] = json!([90.0, 5.0])
    });
    let other = limit(&["--asimov"]);
    assert_eq!(blind["upper_limit"], other["upper_limit"]);
    let wide = limit(&["--level", "0.99", "--test-stat", "q", "--test-poi", "2"]);
    assert_eq!(wide["test_poi"], 2.0);
    // each statistic has its lower bound
    let note = |found: &Value| found["notes"].to_string();
    contains(
        &note(&wide),
        ["bound of mu is 0, and q is the statistic of"],
    );
    assert!(!note(&open).contains("statistic"), "{open}");
    place.edit_json("ws.json", |ws| {
        ws["observations"][1]["data"] = json!([61.0, 38.0]);
        ws["measurements"][0]["config"]["parameters"][1]["bounds"] = json!([[-1.0, 10.0]]);
    });
    let qtilde = note(&limit(&[]));
    contains(
        &qtilde,
        ["bound of mu is -1, and qtilde is the statistic of"],
    );
    assert!(!note(&limit(&["--test-stat", "q"])).contains("statistic"));
    place.write("ws.json", small().to_string());
    // data far above what the bounds allow
    place.edit_json("ws.json", |ws| {
        ws["observations"][1]["data"] = json!([130.0, 130.0])
    });
    let widened = limit(&["--range", "0:30"]);
    let observed = number(&widened["upper_limit"]["observed"]);
    assert!(observed > 10.0 && observed < 29.0, "{widened}");
    assert!(number(&widened["bound_widened"]) > 10.0, "{widened}");
    // so are the values of the curve, which falls to 1 - 95 % where the limit is
    let curve = widened["curve"].as_array().unwrap();
    assert_eq!(curve.len(), 31);
    let excluded = curve.iter().find(|p| number(&p["CLs_obs"]) < 0.05);
    assert_near(
        number(&excluded.unwrap()["poi"]),
        observed + 0.5,
        0.5,
        "curve",
    );
    let strict = ["limit", "ws.json", "--json", "--strict-bounds"];
    let strict = place.sideband(&strict).exits(4);
    let found = strict.json();
    assert!(found["upper_limit"]["observed"].is_null(), "{found}");
    strict.warns(["observed upper limit lies above mu = 10"]);
    // CLs that is asked for where nothing is known of it: all the rest is there
    place.write("ws.json", small().to_string());
    let beyond = [
        "limit",
        "ws.json",
        "--json",
        "--test-poi",
        "50",
        "--out",
        "beyond",
    ];
    let beyond = place
        .sideband(&beyond)
        .exits(4)
        .warns(["error: CLs at mu = 50: "]);
    let found = beyond.json();
    assert!(
        found["CLs_exp"].is_null() && found["CLs_obs"].is_null(),
        "{found}"
    );
    contains(&found["failure"].to_string(), ["CLs at mu = 50: "]);
    assert!(number(&found["upper_limit"]["observed"]) > 0.0, "{found}");
    assert!(place.has("beyond/limit.json") && place.has("beyond/cls.csv"));
    // where it is not, a note says so
    place.edit_json("ws.json", |ws| {
        let mu = &mut ws["measurements"][0]["config"]["parameters"][1];
        (mu["inits"], mu["bounds"]) = (json!([0.1]), json!([[0.0, 0.5]]));
        ws["channels"][0]["samples"][0]["data"] = json!([500.0, 800.0]);
    });
    let silent = limit(&[]);
    contains(&silent["notes"].to_string(), ["CLs at mu = 1: "]);
    assert!(
        silent["CLs_exp"].is_null() && silent["failure"].is_null(),
        "{silent}"
    );
}

#[test]
fn limits_by_toys_have_errors_and_do_not_depend_on_threads() {
    let place = empty();
    let workspace = file("dvmuon_met.json.gz");
    let limit = ["limit", &workspace, "--json", "--toys"];
    let asked = ["1500", "--seed", "7", "--points", "0.4,0.8,1.2"];
    let found = place.sideband(&[&limit[..], &asked].concat()).exits(0);
    let toys = found.json()["toys"].clone();
    assert_eq!((&toys["toys"], &toys["seed"]), (&json!(1500), &json!(7)));
    // no event is observed: CLs is about exp(-3 mu); by another program 0.034 +- 0.009 at mu = 1
    let observed = &toys["observed"];
    let [value, error] = ["value", "error"].map(|key| number(&observed[key]));
    assert!(error > 0.0 && error < 0.2, "{observed}");
    assert_near(value, 0.9, 4.0 * error, "limit by toys");
    for test in toys["tests"].as_array().unwrap() {
        let [with, without]: [u64; 2] = parsed(&test["toys"]);
        let failed: u64 = parsed(&test["failed"]);
        assert_eq!(with + without + failed, 3000, "{test}");
    }
    // no more of them where CLs is known well enough, and these are the first ones
    let asked = ["200", "--points", "0.4,1.2"];
    let few = [&limit[..], &asked].concat();
    let run = |threads: &str| {
        let mut command = place.command(&few);
        Done::of(command.env("RAYON_NUM_THREADS", threads).output().unwrap()).json()
    };
    let one = run("1");
    assert_eq!(one, run("3"));
    let asked = ["2000", "--precision", "0.05", "--points", "0.4,1.2"];
    let more = place.sideband(&[&limit[..], &asked].concat()).json();
    assert_eq!(more["toys"]["tests"][1], one["toys"]["tests"][1]);
    let text = [
        "limit", &workspace, "--toys", "200", "--points", "0.4,1.2", "--quiet",
    ];
    let text = place.sideband(&text);
    text.says(["by toys", "CLs observed", "toys with signal"]);
    // values about limits above the bound, and up to it where it is strict
    let mut bounded = unpacked("dvmuon_met.json.gz");
    bounded["measurements"][0]["config"]["parameters"][1]["bounds"] = json!([[0.0, 1.1]]);
    place.write("ws.json", bounded.to_string());
    let last = |more: &[&str]| {
        let all = [&["limit", "ws.json", "--json", "--toys", "20"][..], more].concat();
        let found = place.sideband(&all).json();
        let last = found["toys"]["tests"].as_array().and_then(|all| all.last());
        number(&last.unwrap_or_else(|| panic!("{found}"))["poi"])
    };
    assert!(last(&[]) > 1.1);
    assert_near(last(&["--strict-bounds"]), 1.1, 1e-12, "strict");
    for (more, said) in [
        (&["--toys", "0"][..], "--toys 0: 1 to"),
        (&["--toys", "18446744073709551615"], "1 to 10000000 are"),
        (&["--toys", "9", "--points", "2,1"], "rising values above 0"),
        (&["--toys", "9", "--points", "1"], "2 to 1000 rising values"),
        (&["--toys", "9", "--precision", "0"], "--precision 0"),
        (&["--points", "1,2"], "--toys"),
    ] {
        let all = [&["limit", "ws.json"][..], more].concat();
        place.sideband(&all).exits(2).warns([said]);
    }
}

#[test]
fn scans_have_intervals_and_regions() {
    let place = small_place();
    let scan = |more: &[&str]| {
        let all = [&["scan", "ws.json", "--json"][..], more].concat();
        place.sideband(&all).exits(0).json()
    };
    let own = scan(&["--out", "out"]);
    let fit = place
        .sideband(&["fit", "ws.json", "--json"])
        .exits(0)
        .json();
    let mu = &fit["parameters"]["mu"];
    assert_near(
        number(&own["best_fit"][0]),
        number(&mu["value"]),
        1e-6,
        "best fit",
    );
    let one = &own["intervals"][0];
    let [low, high]: [f64; 2] = parsed(&one["intervals"][0]);
    let best = number(&mu["value"]);
    let error = number(&mu["error"]);
    assert_near(high - best, error, 0.1 * error, "upper error");
    // it may not be negative
    assert_eq!((low, &one["ends_at_bound"]), (0.0, &json!(true)));
    contains(&place.text("out/scan.csv"), ["mu,t\n"]);
    contains(&place.text("out/scan.svg"), ["68.27 %"]);
    let jes = scan(&["--parameter", "jes_1", "--range", "-1:1", "--points", "5"]);
    let values: Vec<f64> = jes["curve"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| number(&p["value"]))
        .collect();
    assert_eq!(values, [-1.0, -0.5, 0.0, 0.5, 1.0]);
    let cut = scan(&["--range", "8:12", "--points", "3"]);
    let curve = cut["curve"].as_array().unwrap().iter();
    let values: Vec<f64> = curve.map(|p| number(&p["value"])).collect();
    assert_eq!(values, [8.0, 9.0, 10.0]);
    contains(
        &cut["notes"].to_string(),
        ["the range 8 to 12 of mu is cut by its bounds 0 and 10"],
    );
    let both = scan(&["--second", "top_norm", "--points", "9", "--out", "both"]);
    assert_eq!(both["parameters"], json!(["mu", "top_norm"]));
    let t: Vec<Vec<Option<f64>>> = parsed(&both["plane"]["t"]);
    assert_eq!((t.len(), t[0].len()), (9, 9));
    let least = t
        .iter()
        .flatten()
        .flatten()
        .fold(f64::INFINITY, |m, t| m.min(*t));
    assert!((0.0..2.0).contains(&least), "{least}");
    contains(&place.text("both/scan.svg"), ["95.45 %"]);
    for (more, exit, said) in [
        (&["--parameter", "mc_SR"][..], 4, "`mc_SR` are 2 parameters"),
        (
            &["--parameter", "jes_3"],
            4,
            "there is no parameter `jes_3`, did you mean `jes_",
        ),
        (&["--second", "mu"], 2, "it is the first parameter, too"),
        (&["--range", "2:1"], 2, "--range 2:1"),
        (
            &["--range", "10:12"],
            4,
            "--range 10:12: mu is bounded by 0 and 10",
        ),
        (&["--points", "1"], 2, "--points 1: 2 to 10000"),
        (&["--second-range", "0:1"], 2, "name it with --second"),
        (&["--fix", "mu=1"], 4, "mu is fixed"),
    ] {
        let all = [&["scan", "ws.json"][..], more].concat();
        place.sideband(&all).exits(exit).warns([said]);
    }
}

#[test]
fn impacts_on_limits_are_those_of_an_independent_program() {
    let place = empty();
    let groups = "everything = \"*\"\nsignal_theory = [\"signal_theory\"]\n";
    place.write("groups.toml", groups);
    for name in ["hb_a", "mimic"] {
        let golden = golden(name)["impacts"].clone();
        let workspace = file(&format!("{name}.json.gz"));
        let impacts = |more: &[&str]| {
            let all = [&["impacts", &workspace, "--limit", "--json"][..], more].concat();
            place.sideband(&all).exits(0).json()
        };
        let by_type = impacts(&[]);
        let limit = number(&golden["expected_limit"]);
        assert_near(
            number(&by_type["expected_limit"]),
            limit,
            1e-5 * limit,
            name,
        );
        let of_file = impacts(&["--groups", "groups.toml"]);
        let row = |record: &Value, group: &str| {
            let mut rows = record["groups"].as_array().unwrap().iter();
            let row = rows.find(|row| row["name"] == group);
            row.cloned().unwrap_or_else(|| panic!("{group}: {record}"))
        };
        for (record, group, reference) in [
            (
                &by_type,
                "bin statistics (staterror, shapesys)",
                "bin_statistics",
            ),
            (&by_type, "free normalisations (normfactor)", "normfactors"),
            (&by_type, "all nuisance parameters", "everything"),
            (&of_file, "everything", "everything"),
            (&of_file, "signal_theory", "signal_theory"),
        ] {
            let (row, reference) = (row(record, group), &golden["groups"][reference]);
            assert_eq!(
                row["parameters"], reference["parameters"],
                "{name}: {group}"
            );
            let relative = number(&reference["delta_mu_over_mu"]);
            assert_near(number(&row["relative"]), relative, 1e-4, group);
        }
    }
}

#[test]
fn impacts_on_a_limit_above_the_bound_say_so() {
    let place = small_place();
    let impacts = ["impacts", "ws.json", "--limit", "--json"];
    let within = place.sideband(&impacts).exits(0).json();
    assert!(within["bound_widened"].is_null(), "{within}");
    place.edit_json("ws.json", |ws| {
        let mu = &mut ws["measurements"][0]["config"]["parameters"][1];
        (mu["inits"], mu["bounds"]) = (json!([0.05]), json!([[0.0, 0.1]]));
    });
    let beyond = place.sideband(&impacts).exits(0).json();
    let limit = number(&within["expected_limit"]);
    assert_near(
        number(&beyond["expected_limit"]),
        limit,
        1e-4 * limit,
        "limit",
    );
    assert!(number(&beyond["bound_widened"]) > limit, "{beyond}");
    let said = "the limits lie above the upper bound 0.1 of mu: it was taken as 1";
    contains(&beyond["notes"].to_string(), [said]);
    place.sideband(&impacts[..3]).exits(0).says([said]);
}

#[test]
fn impacts_of_all_kinds_are_there() {
    let place = small_place();
    let impacts = |more: &[&str]| {
        let all = [&["impacts", "ws.json", "--json"][..], more].concat();
        place.sideband(&all).exits(0).json()
    };
    let frozen = impacts(&["--refit", "--by", "prefix", "--out", "out"]);
    let total = number(&frozen["error"]);
    let row = |record: &Value, name: &str| {
        let mut rows = record["groups"].as_array().unwrap().iter();
        number(&rows.find(|row| row["name"] == name).unwrap()["impact"])
    };
    let jes = row(&frozen, "jes");
    assert!(jes > 0.0 && jes < total, "{jes} {total}");
    let all = row(&frozen, "all nuisance parameters");
    let statistical = number(&frozen["statistical"]);
    assert_near(
        all.hypot(statistical),
        total,
        1e-9,
        "frozen and statistical",
    );
    let first = &frozen["ranking"][0];
    let [up, down]: [f64; 2] = parsed(&first["refit"]);
    let post_fit = number(&first["post_fit"]);
    assert_near(0.5 * (up - down), post_fit, 0.1 * post_fit.abs(), "refit");
    contains(&place.text("out/ranking.svg"), ["Δmu"]);
    contains(
        &place.text("out/groups.csv"),
        ["group,parameters,impact", "jes,2,"],
    );
    let shifted = impacts(&["--kind", "shifted", "--by", "name"]);
    // free normalisations have no auxiliary measurement: what they do is in the statistical error
    let sum: f64 = shifted["ranking"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["shifted"].as_f64())
        .map(|x| x * x)
        .sum();
    assert!(sum > 0.0 && sum < total * total, "{sum}");
    let removed = impacts(&["--limit", "--kind", "removed", "--by", "prefix"]);
    assert!(removed["expected_limit"].is_number());
    // groups of a file that leave parameters out
    place.write("few.toml", "bins = \"mc_?R[0]\"\nenergy = [\"jes_*\"]");
    let few = impacts(&["--groups", "few.toml"]);
    let groups = few["groups"].as_array().unwrap().iter();
    let groups: Vec<Value> = groups
        .map(|group| json!([group["name"], group["parameters"]]))
        .collect();
    let expected = [("bins", 1), ("energy", 2), ("all nuisance parameters", 8)];
    assert_eq!(groups, expected.map(|(name, n)| json!([name, n])));
    assert_near(row(&few, "all nuisance parameters"), all, 1e-12, "all");
    let ranking = place.sideband(&["ranking", "ws.json"]).exits(0);
    ranking.says(["statistical", "of the error", "impact, post-fit", "jes_1"]);
    place.write("groups.toml", "jets = [\"jet*\"]");
    place.write("list.toml", "jets = 1");
    place.write("bin.toml", "bin = \"mc_SR[2]\"");
    for (more, exit, said) in [
        (
            &["--groups", "groups.toml"][..],
            3,
            "`jets`: no nuisance parameter that is fitted matches jet*",
        ),
        (
            &["--groups", "list.toml"],
            3,
            "`jets`: expected patterns of parameters' names",
        ),
        (
            &["--groups", "bin.toml"],
            3,
            "matches mc_SR[2], did you mean `mc_SR[",
        ),
        (&["--groups", "none.toml"], 4, "none.toml"),
        (&["--kind", "removed"], 2, "add --limit"),
        (&["--kind", "shifted", "--limit"], 2, "leave --limit out"),
        (&["--limit", "--level", "2"], 2, "--level 2"),
        (&["--level", "0.9"], 2, "--limit"),
        (&["--limit", "--refit"], 2, "cannot be used with"),
        (
            &["--by", "colour"],
            2,
            "possible values: type, prefix, name",
        ),
        (
            &["--measurement", "other"],
            4,
            "has no parameter of interest; name one with --poi",
        ),
    ] {
        let all = [&["impacts", "ws.json"][..], more].concat();
        place.sideband(&all).exits(exit).warns([said]);
    }
}

#[test]
fn combinations_are_by_the_names_of_parameters() {
    let place = empty();
    let [a, b] = ["hb_a", "mimic"].map(|name| file(&format!("{name}.json.gz")));
    // the luminosity is fixed in one and free in the other
    let differ = place
        .sideband(&["combine", &a, &b, "--out", "both.json"])
        .exits(4);
    differ.warns(["lumi", "hb_a.json.gz", "mimic.json.gz"]);
    assert!(!place.has("both.json"));
    let combine = ["combine", &a, &b, "--prefer", &a, "--out", "both.json"];
    let done = place.sideband(&combine).exits(0);
    done.says([
        "7 channels, ",
        "109 parameters",
        "parameter of interest mu_SIG",
    ]);
    let golden = golden("combined_hb_a_mimic");
    let fit = place
        .sideband(&["fit", "both.json", "--json"])
        .exits(0)
        .json();
    assert_fit(&fit, &golden);
    assert_limits(
        &place
            .sideband(&["limit", "both.json", "--json"])
            .exits(0)
            .json(),
        &golden,
    );
    // nothing of the inputs is written over
    fs::copy(&b, place.path("b.json.gz")).unwrap();
    let over = [
        "combine",
        &a,
        "b.json.gz",
        "--prefer",
        &a,
        "--out",
        "b.json.gz",
    ];
    place
        .sideband(&over)
        .exits(2)
        .warns(["is one of the input files"]);
    place.write("ws.json", small().to_string());
    let same = place.sideband(&["combine", "ws.json", "ws.json"]).exits(4);
    same.warns(["channel `SR`"]);
    for (more, exit, said) in [
        (
            &["--prefer", "x.json"][..],
            2,
            "--prefer x.json: it is none of the workspaces",
        ),
        (&["--measurements", "main"], 2, "1 names for 2 workspaces"),
        (&["--rename", "a"], 2, "expected FROM=TO"),
        (&["--join", "inner"], 2, "possible values: none, outer"),
    ] {
        let all = [&["combine", "ws.json", &a][..], more].concat();
        place.sideband(&all).exits(exit).warns([said]);
    }
    // two parameters of one workspace become one
    let mut elsewhere = small().to_string();
    for name in ["SR", "CR", "mc_SR", "fake_rate"] {
        elsewhere = elsewhere.replace(&format!("\"{name}\""), &format!("\"{name}_2\""));
    }
    place.write("two.json", elsewhere);
    let merge = [
        "combine",
        "ws.json",
        "two.json",
        "--rename",
        "jes_2=jes_1",
        "--out",
        "merged.json",
    ];
    let merged = place.sideband(&merge).exits(0);
    merged.warns([
        "note: ws.json: its parameters `jes_2` and `jes_1` are one, `jes_1`",
        "note: two.json: its parameters `jes_2` and `jes_1` are one, `jes_1`",
    ]);
    let printed = place
        .sideband(&["combine", "ws.json", "ws.json", "--join", "outer"])
        .exits(0);
    assert_eq!(printed.json()["channels"].as_array().unwrap().len(), 2);
}

#[test]
fn inspect_says_what_is_in_a_workspace() {
    let place = small_place();
    let text = place.sideband(&["inspect", "ws.json"]).exits(0);
    text.begins("ws.json: 2 channels, 5 bins, 9 parameters, 0 of them fixed\nsha256 ")
        .says([
            "measurement main of mu",
            "measurement other without parameter of interest",
            "SR",
            "fakes",
            "shapesys",
            "poisson",
            "0.9 to 1.1",
        ]);
    let found = place
        .sideband(&["inspect", "ws.json", "--json"])
        .exits(0)
        .json();
    assert_eq!(found["parameters"]["jes_1"]["types"], json!(["normsys"]));
    assert_eq!(found["parameters"]["jes_1"]["channels"], 2);
    // the digest that pyhf 0.7.6 has of it
    let own = unpacked("onelbb_patchset.json.gz")["metadata"]["digests"].clone();
    let background = ["inspect", &file("onelbb_background.json.gz"), "--json"];
    let background = place.sideband(&background).exits(4).json();
    assert_eq!(background["digests"]["sha256"], own["sha256"]);
    assert_eq!(background["digests"]["md5"], own["md5"]);
    contains(background["failure"].as_str().unwrap(), ["mu_SIG"]);
    assert!(background["parameters"].as_object().unwrap().len() > 100);
    let set = place
        .sideband(&["inspect", &file("onelbb_patchset.json.gz")])
        .exits(0);
    set.says([
        "two signals of the 1Lbb search",
        "2 patches for the workspace of md5 ",
        "[500, 0]",
    ]);
}

/// The place of a value in [`small`], another one, and what is said of it.
const WORKSPACES: &str = r#"
/version | "2.0.0" | ws.json: the workspace has schema version `2.0.0`
/channels | [] | no channel
/channels/0 | 1 | ws.json: this is no pyhf workspace
/channels/1/name | "SR" | channel `SR` is there twice
/channels/1/samples | [] | channel `CR` has no sample
/channels/0/samples/1/name | "signal" | channel `SR`: sample `signal` is there twice
/channels/0/samples/1/data | [1.0] | channel `SR`, sample `top`, data: 1 values; the channel has 2 bins
/channels/0/samples/1/data | [-99.0, 1.0] | channel `SR`, bin 0: all samples sum to
/channels/0/samples/1/data | ["a", 1.0] | this is no pyhf workspace
/channels/0/samples/1/modifiers/1/type | "normshape" | this type of modifier is not known
/channels/0/samples/1/modifiers/1/data | {"lo": 0.0, "hi": 1.1} | sample `top`, normsys `jes_1`, lo: 0 is not
/channels/0/samples/1/modifiers/1/data | {"lo": 1.0} | normsys `jes_1`: data must be an object
/channels/0/samples/1/modifiers/1/name | "mu" | normsys `mu`: the name stands for a normfactor
/channels/0/samples/1/modifiers/1/name | "jes_2" | the fit
/channels/0/samples/1/modifiers/2/data/hi_data | [1.0] | histosys `jes_2`, hi_data: 1 values
/channels/0/samples/1/modifiers/3/data | [-1.0, 1.0] | staterror `mc_SR`, data, bin 0: -1 is not
/channels/0/samples/2/modifiers/0/data | [1.0] | shapesys `fake_rate`, data: 1 values
/channels/0/samples/2/modifiers/0/name | "mc_SR" | the name stands for a
/observations | [] | channel `SR` has no observation
/observations/0/name | "VR" | observation of channel `VR`, which the workspace does not have
/observations/0/data | [1.0, -1.0, 2.0] | channel `CR`, the observation, bin 1: -1
/observations/0/data | [1.0] | the observation: 1 values
/measurements | [] | no measurement
/measurements/0/config/poi | "nu" | parameter of interest `nu`
/measurements/0/config/poi | "mc_SR" | parameter of interest `mc_SR`
/measurements/0/config/parameters | [] | the luminosity needs inits
/measurements/0/config/parameters/1/bounds | [[3.0, 2.0]] | bounds 3 and 2 leave nothing
/measurements/0/config/parameters/1/inits | [11.0] | it starts at 11, outside of 0 to 10
/measurements/0/config/parameters/1/inits | [] | inits has 0 values
/measurements/0/config/parameters/0/sigmas | [0.0] | sigma 0 is not positive
"#;

#[test]
fn bad_workspaces_are_refused_by_name() {
    let place = empty();
    let mut tried = 0;
    for case in WORKSPACES.trim().lines() {
        let [pointer, value, said] = case.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{case}");
        };
        let mut workspace = small();
        *workspace.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        place.write("ws.json", workspace.to_string());
        let done = place.sideband(&["fit", "ws.json"]);
        if said == "the fit" {
            // two kinds of variation may share a name
            done.exits(0);
        } else {
            let done = done.exits(4);
            assert_eq!(done.stdout, "", "{case}");
            assert!(done.stderr.contains(said), "{case}: {}", done.stderr);
        }
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
}

#[test]
fn bad_documents_are_refused_by_name() {
    let place = empty();
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let text = small().to_string();
    let cut = &text[..text.len() / 2];
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..260 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let cases: Vec<(&str, &[u8], &str)> = vec![
        ("nothing", b"", "this is no JSON"),
        ("half of it", cut.as_bytes(), "this is no JSON: EOF"),
        (
            "NaN",
            b"{\"version\": NaN}",
            "NaN and Infinity are no numbers of JSON",
        ),
        ("a number that is none", b"[1e999]", "number out of range"),
        ("depth", deep.as_bytes(), "more than 64 deep"),
        (
            "a name twice",
            b"{\"version\": 1, \"version\": 2}",
            "the name \"version\" twice",
        ),
        (
            "a list",
            b"[]",
            "this is a list, and a workspace is an object",
        ),
        ("another object", b"{\"a\": 1}", "this is no pyhf workspace"),
        (
            "half of a packed one",
            &packed[..packed.len() / 2],
            "it cannot be read",
        ),
        ("a bomb", &bomb, "more than 268435456 bytes"),
        ("not UTF-8", b"{\"\xff\": 1}", "this is no JSON"),
    ];
    for (what, bytes, said) in cases {
        place.write("ws.json", bytes);
        let done = place.sideband(&["fit", "ws.json"]).exits(4);
        contains(&done.stderr, ["ws.json"]);
        assert!(done.stderr.contains(said), "{what}: {}", done.stderr);
    }
    place.write("ws.json", &text);
    fs::create_dir(place.path("folder")).unwrap();
    for (arguments, exit, said) in [
        (&["fit", "none.json"][..], 4, "none.json"),
        (&["fit", "folder"], 4, "not a regular file but a folder"),
        (
            &["fit", "ws.json", "--patch", "none.json", "x"],
            4,
            "none.json",
        ),
        (&["fit", "ws.json", "--fix", "mu"], 2, "expected NAME=VALUE"),
        (
            &["fit", "ws.json", "--fix", "nu=1"],
            4,
            "there is no parameter `nu`",
        ),
        (
            &["fit", "ws.json", "--fix", "mu=1,mu=2"],
            2,
            "--fix: `mu` is there twice",
        ),
        (
            &["fit", "ws.json", "--fix", "mu=11"],
            4,
            "--fix mu=11: mu is bounded by 0 and 10",
        ),
        (
            &["fit", "ws.json", "--measurement", "x"],
            4,
            "no measurement `x`",
        ),
        (&["fit", "ws.json", "--poi", "x"], 4, "`x`"),
        (
            &["fit", "ws.json", "--codes", "4"],
            2,
            "expected 1 or 4, and 0, 2 or 4p",
        ),
        (
            &["fit", "ws.json", "--asimov", "11"],
            4,
            "Asimov data at mu = 11",
        ),
        (
            &["fit", "ws.json", "--asimov", "1", "--poi", "none"],
            4,
            "has no parameter of interest",
        ),
        (&["fit", "ws.json", "--out", "ws.json"], 2, "--out ws.json"),
        // before anything is done that would be lost
        (&["fit", "none.json", "--out", "ws.json"], 2, "is no folder"),
        (&["limit", "ws.json", "--level", "0.2"], 2, "--level 0.2"),
        (
            &["limit", "ws.json", "--poi", "none"],
            4,
            "has no parameter of interest",
        ),
        (&["limit", "ws.json", "--fix", "mu=1"], 4, "mu"),
        (&["limit", "ws.json", "--range", "1:x"], 2, "--range 1:x"),
        (&["inspect", "none.json"], 4, "none.json"),
    ] {
        let done = place.sideband(arguments).exits(exit);
        assert!(done.stderr.contains(said), "{arguments:?}: {}", done.stderr);
    }
}

#[test]
fn bad_patches_are_refused_by_name() {
    let place = small_place();
    let set = |digest: &str, patches: Value| {
        json!({"version": "1.0.0", "patches": patches, "metadata": {
            "references": {"hepdata": "ins1"}, "description": "", "labels": ["m"],
            "digests": {"sha256": digest}}})
    };
    let one = |name: &str, operations: Value| json!([{"metadata": {"name": name, "values": [1]}, "patch": operations}]);
    let found = place.sideband(&["inspect", "ws.json", "--json"]).json();
    let own = found["digests"]["sha256"].as_str().unwrap().to_owned();
    for (patches, name, said) in [
        (
            json!(1),
            None,
            "this is a number, and neither a patch set nor a list",
        ),
        (
            json!({}),
            Some("a"),
            "this is no pyhf patch set: missing field",
        ),
        (
            json!({"channels": []}),
            Some("a"),
            "this is a workspace where a patch set is expected",
        ),
        (
            set("00", one("a", json!([]))),
            Some("a"),
            "another workspace than ws.json: its sha256 is ",
        ),
        (
            set(&own, json!([])),
            Some("a"),
            "the patch set has 0 patches",
        ),
        (
            set(&own, one("a b", json!([]))),
            Some("a"),
            "patch `a b`: a name is of letters",
        ),
        (
            set(&own, one("a", json!([]))),
            Some("b"),
            "there is no patch `b`",
        ),
        (
            set(&own, one("a", json!([]))),
            Some("[2]"),
            "no patch has the values [2] of m",
        ),
        (
            set(&own, one("a", json!([{"op": "add"}]))),
            Some("a"),
            "patch `a`: operation 0: it has no `value`",
        ),
        (
            set(
                &own,
                one("a", json!([{"op": "remove", "path": "/channels/2"}])),
            ),
            Some("a"),
            "patch `a`: operation 0, remove /channels/2: /channels: 2 is beyond the end",
        ),
        (
            set(
                &own,
                one(
                    "a",
                    json!([{"op": "replace", "path": "/version", "value": "2"}]),
                ),
            ),
            Some("a"),
            "ws.json with patch `a`: the workspace has schema version `2`",
        ),
        (
            json!([{"op": "test", "path": "/version", "value": "2"}]),
            None,
            "ps.json: operation 0, test /version: there is another value",
        ),
        (
            json!([{"op": "remove", "path": "/observations"}]),
            None,
            "missing field `observations`",
        ),
    ] {
        place.write("ps.json", patches.to_string());
        let mut arguments = vec!["fit", "ws.json", "--patch", "ps.json"];
        arguments.extend(name);
        let done = place.sideband(&arguments).exits(4);
        assert!(done.stderr.contains(said), "{patches}: {}", done.stderr);
    }
    let operations = json!([{"op": "replace", "path": "/observations/1/data/0", "value": 70}]);
    place.write("ps.json", operations.to_string());
    let named = ["fit", "ws.json", "--patch", "ps.json", "a"];
    place
        .sideband(&named)
        .exits(2)
        .warns(["the file is one patch of 1 operations"]);
    let fit = ["fit", "ws.json", "--patch", "ps.json", "--json"];
    let fit = place.sideband(&fit).exits(0).json();
    assert_eq!(
        fit["patch"],
        json!({"file": "ps.json", "name": null, "values": {}})
    );
}

#[test]
fn results_are_files_as_well() {
    let place = small_place();
    for (command, files) in [
        (
            "fit",
            &[
                "fit.json",
                "parameters.csv",
                "yields.csv",
                "covariance.csv",
                "correlation.svg",
                "pulls_1.svg",
                "prefit_000_SR.svg",
                "postfit_001_CR.svg",
            ][..],
        ),
        ("limit", &["limit.json", "cls.csv", "cls.svg"]),
    ] {
        let done = place
            .sideband(&[command, "ws.json", "--out", command])
            .exits(0);
        done.says(["written"]);
        for name in files {
            assert!(place.has(&format!("{command}/{name}")), "{name}");
        }
        let printed = place
            .sideband(&[command, "ws.json", "--json", "--out", command])
            .exits(0);
        let mut written = place.json(&format!("{command}/{command}.json"));
        let belong = written.as_object_mut().unwrap().remove("files").unwrap();
        assert_eq!(printed.json(), written);
        for name in &files[1..] {
            assert!(words(&belong).iter().any(|own| own == name), "{belong}");
        }
    }
    // what was read is not written over
    for name in ["fit.json", "limit.json", "scan.json", "impacts.json"] {
        place.write(name, small().to_string());
        let command = name.strip_suffix(".json").unwrap();
        let over = place.sideband(&[command, &format!("./{name}"), "--out", "."]);
        over.exits(2).warns([name, "is one of the input files"]);
        assert_eq!(place.json(name), small());
    }
    let yields = place.text("fit/yields.csv");
    contains(
        &yields,
        [
            "channel,bin,sample,prefit,postfit\n",
            "SR,0,signal,5,",
            "SR,1,(observed),38,38",
        ],
    );
    let parameters = place.text("fit/parameters.csv");
    assert_eq!(parameters.lines().count(), 10);
    let pulls = place.text("fit/pulls_1.svg");
    contains(&pulls, ["jes_1", "fake_rate[0]", "pre-fit ±1σ"]);
    // free normalisations have no pull
    assert!(!pulls.contains("top_norm"));
    contains(&place.text("fit/postfit_001_CR.svg"), ["all channels: χ²"]);
}

#[test]
fn results_of_a_former_workspace_do_not_stay() {
    let place = small_place();
    let fit = ["fit", "ws.json", "--quiet", "--out", "out"];
    let limit = ["limit", "ws.json", "--quiet", "--out", "out"];
    // commands share a folder
    place.sideband(&fit).exits(0);
    place.sideband(&limit).exits(0);
    place.write("out/mine.svg", "x");
    let former = [
        "out/postfit_001_CR.svg",
        "out/prefit_001_CR.svg",
        "out/hepdata/fit/channel_001.yaml",
    ];
    assert!(former.iter().all(|name| place.has(name)));
    place.edit_json("ws.json", |ws| {
        for list in ["channels", "observations"] {
            ws[list]
                .as_array_mut()
                .unwrap()
                .retain(|own| own["name"] == "SR");
        }
    });
    // but not with the result of another workspace
    let before = place.read("out/limit.json");
    let said = "--out out: its fit.json is of another workspace or patch, ws.json";
    place.sideband(&limit).exits(2).warns([said]);
    assert_eq!(place.read("out/limit.json"), before);
    place.remove("out/limit.json");
    place.sideband(&fit).exits(0);
    for name in former {
        assert!(!place.has(name), "{name}");
    }
    for name in [
        "mine.svg",
        "postfit_000_SR.svg",
        "hepdata/fit/channel_000.yaml",
    ] {
        assert!(place.has(&format!("out/{name}")), "{name}");
    }
    place.sideband(&limit).exits(0);
}

#[test]
fn channels_without_a_figure_are_said() {
    let place = empty();
    let name = |k: usize| format!("SR{k:02}");
    let channel = |k: usize| {
        json!({"name": name(k), "samples": [
            {"name": "signal", "data": [5.0], "modifiers": [
                {"name": "mu", "type": "normfactor", "data": null}]},
            {"name": "top", "data": [50.0], "modifiers": []}]})
    };
    let observation = |k: usize| json!({"name": name(k), "data": [56.0]});
    let workspace = json!({
        "channels": (0..61).map(channel).collect::<Vec<Value>>(),
        "observations": (0..61).map(observation).collect::<Vec<Value>>(),
        "measurements": [{"name": "main", "config": {"poi": "mu", "parameters": [
            {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}]}}],
        "version": "1.0.0"
    });
    place.write("ws.json", workspace.to_string());
    let said = "60 of 61 channels are drawn, the first ones: yields.csv has all of them";
    let fit = place.sideband(&["fit", "ws.json", "--out", "fit"]);
    fit.exits(0).says([said]);
    assert_eq!(words(&place.json("fit/fit.json")["notes"]), [said]);
    assert!(place.has("fit/postfit_059_SR59.svg") && !place.has("fit/postfit_060_SR60.svg"));
    contains(&place.text("fit/yields.csv"), ["SR60,0,(observed),56,56"]);
    // where nothing is drawn, nothing is left out
    let printed = place.sideband(&["fit", "ws.json", "--json"]).exits(0);
    assert!(words(&printed.json()["notes"]).is_empty());
}

#[test]
fn yields_of_channels_have_the_error_of_their_sum() {
    let place = small_place();
    // data of the nominal parameters: the fit changes nothing but errors
    let fit = ["fit", "ws.json", "--asimov", "1", "--quiet", "--out", "fit"];
    place.sideband(&fit).exits(0);
    let table = place.text("fit/channel_yields.csv");
    contains(&table, ["channel,sample,prefit,postfit\n"]);
    let row = |names: &str| -> [f64; 2] {
        let rest = table.lines().find_map(|line| line.strip_prefix(names));
        let rest = rest.unwrap_or_else(|| panic!("{names}: {table}"));
        let numbers: Vec<f64> = rest.split(',').map(|x| x.parse().unwrap()).collect();
        parsed(&json!(numbers))
    };
    for (names, expected) in [
        ("SR,signal,", 13.0),
        ("SR,top,", 80.0),
        ("SR,fakes,", 7.0),
        ("SR,(total),", 100.0),
        ("SR,(Asimov data),", 100.0),
        ("CR,(total),", 360.0),
    ] {
        for found in row(names) {
            assert_near(found, expected, 1e-3, names);
        }
    }
    // lumi 0.02 * 93; jes_1 80 times the slope of code 4; jes_2 2 - 1; staterror 2 and 1.5;
    // shapesys 1 and 0.5
    let (up, down) = (1.1_f64, 0.9_f64);
    let slope = 15.0 / 16.0 * (up - down) - 7.0 / 16.0 * (up * up.ln() - down * down.ln())
        + 1.0 / 16.0 * (up * up.ln().powi(2) - down * down.ln().powi(2));
    let parts = [1.86, 80.0 * slope, 1.0, 2.0, 1.5, 1.0, 0.5];
    let expected = parts.iter().map(|x| x * x).sum::<f64>().sqrt();
    let [before, after] = row("SR,(error),");
    assert_near(before, expected, 1e-3, "error before the fit");
    // with mu free, and the information of 59 and 41 counts
    assert_near(after, 9.41496, 2e-3, "error after the fit");
    contains(
        &place.text("fit/channel_yields.tex"),
        [
            "SR & top & $80.00$ & $80.00$ \\\\\n",
            "SR & all & $100.0 \\pm 8.7$ & $100.0 \\pm 9.4$ \\\\\n",
        ],
    );
    contains(
        &place.text("fit/hepdata/fit/yields.yaml"),
        ["- {value: \"SR\"}", "symerror: 8.7262", "label: \"total\""],
    );
    contains(
        &place.text("fit/hepdata/fit/submission.yaml"),
        [
            "data_file: \"yields.yaml\"",
            "name: \"Channel 1: CR\"",
            "data_file: \"channel_001.yaml\"",
        ],
    );
}

/// Numbers behind a word in a text, as far as they are some.
fn numbers_behind(text: &str, word: &str) -> Vec<f64> {
    let parts = text.split(word).skip(1);
    let number = |part: &str| {
        let is_number = |c: char| c.is_ascii_digit() || "+-.e".contains(c);
        let end = part.find(|c: char| !is_number(c)).unwrap_or(part.len());
        part[..end].parse().ok()
    };
    parts.filter_map(number).collect()
}

#[test]
fn published_limits_are_those_of_an_independent_program() {
    let place = empty();
    let (workspace, golden) = (file("dvmuon_met.json.gz"), golden("dvmuon_met"));
    let limit = ["limit", &workspace, "--quiet", "--out", "out"];
    place.sideband(&limit).exits(0);
    let golden = &golden["upper_limit_95"];
    let expected = numbers(&golden["expected_minus2_to_plus2"]);
    let observed = number(&golden["observed"]);
    let table = place.text("out/limit.csv");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows.len(), rows[0]), (7, "which,upper_limit,CLs"));
    for (row, limit) in rows[1..].iter().zip([&[observed][..], &expected].concat()) {
        let found = row.split(',').nth(1).unwrap().parse().unwrap();
        assert_near(found, limit, 1e-5 * limit, row);
    }
    let tex = place.text("out/limit.tex");
    contains(
        &tex,
        [
            "& $0.7463$ &",
            "expected, median & $0.9506$ &",
            "(95 \\% CL)",
        ],
    );
    let yaml = place.text("out/hepdata/limit/limits.yaml");
    let found = numbers_behind(&yaml, "value: ");
    for (found, limit) in found.iter().zip([observed, expected[2]]) {
        assert_near(*found, limit, 1e-5 * limit, &yaml);
    }
    let ends = [(2, 3, 1), (2, 4, 0)].map(|(middle, up, down)| {
        [
            expected[up] - expected[middle],
            expected[down] - expected[middle],
        ]
    });
    let [up, down] = ["plus: ", "minus: "].map(|word| numbers_behind(&yaml, word));
    assert_eq!((found.len(), up.len(), down.len()), (2, 2, 2), "{yaml}");
    for (found, expected) in up.iter().zip(&down).zip(&ends) {
        assert_near(*found.0, expected[0], 1e-4, "band, upwards");
        assert_near(*found.1, expected[1], 1e-4, "band, downwards");
    }
    // two bands at every value but 0, where all CLs are 1
    let curve = place.text("out/hepdata/limit/cls.yaml");
    assert!(curve.matches("symerror").count() >= 2 * 30, "{curve}");
    contains(
        &place.text("out/hepdata/limit/submission.yaml"),
        ["location: \"workspace.json\"", "type: \"HistFactory\""],
    );
    // what lies beside the tables is what they are of
    let beside = ["fit", "out/hepdata/limit/workspace.json", "--json"];
    let beside = place.sideband(&beside).exits(0).json();
    assert_eq!(beside["digest"], place.json("out/limit.json")["digest"]);
    let blind = ["limit", &workspace, "--quiet", "--asimov", "--out", "blind"];
    place.sideband(&blind).exits(0);
    let hidden = ["limit.csv", "limit.tex", "hepdata/limit/limits.yaml"];
    for name in hidden.map(|name| format!("blind/{name}")) {
        assert!(
            !place.text(&name).to_lowercase().contains("observed"),
            "{name}"
        );
    }
}

#[test]
fn published_impacts_are_those_of_an_independent_program() {
    let place = empty();
    let (workspace, golden) = (file("hb_a.json.gz"), golden("hb_a"));
    let impacts = ["impacts", &workspace, "--limit", "--quiet", "--out", "out"];
    place.sideband(&impacts).exits(0);
    let groups = &golden["impacts"]["groups"];
    let tex = place.text("out/groups.tex");
    let yaml = place.text("out/hepdata/impacts/impacts.yaml");
    let shares = yaml
        .split("name: \"Relative impact, frozen\"")
        .nth(1)
        .unwrap();
    let shares = numbers_behind(shares, "value: ");
    let names: Vec<&str> = yaml.split("value: \"").skip(1).collect();
    assert_eq!(names.len(), shares.len(), "{yaml}");
    for (name, reference) in [
        ("bin statistics (staterror, shapesys)", "bin_statistics"),
        ("all nuisance parameters", "everything"),
    ] {
        let share = number(&groups[reference]["delta_mu_over_mu"]);
        let at = names.iter().position(|own| own.starts_with(name)).unwrap();
        assert_near(shares[at], share, 1e-4, name);
        let row = tex.lines().find(|line| line.starts_with(name)).unwrap();
        let percent = numbers_behind(row, "& $");
        assert_near(percent[1], 100.0 * share, 0.011, row);
    }
}
