//! Synthetic data sets: what is in them, that they are the same again, and what is refused.

use crate::support::{Columns, Workplace, list, number, numbers, root};
use arrow::array::{Array, ListArray};
use std::collections::{BTreeMap, BTreeSet};

const SETS: usize = 3;

fn set(number: usize) -> String {
    format!("out/mixing/set_{number:02}.parquet")
}

fn mix(place: &Workplace, settings: &[&str]) -> crate::support::Done {
    let start = ["mix", "config.toml", "--out", "out", "--quiet"];
    let set = settings.iter().flat_map(|s| ["--set", s]);
    place.sideband(&start.into_iter().chain(set).collect::<Vec<_>>())
}

#[test]
fn sets_are_disjoint_and_no_event_has_both_halves_of_one() {
    let place = Workplace::mixing(3000);
    mix(&place, &[]).exits(0).says(["3 sets with "]);
    let [source, target] = ["source.parquet", "target.parquet"].map(|name| place.events(name));
    let known = |columns: &Columns| -> BTreeSet<u64> {
        let ids = columns.numbers("event_id").into_iter();
        ids.map(|id| id as u64).collect()
    };
    let (queries, parents) = (known(&source), known(&target));
    let mut taken = BTreeSet::new();
    let mut sizes = Vec::new();
    for number in 0..SETS {
        let events = place.events(&set(number));
        sizes.push(events.len());
        assert!(
            events
                .numbers("mix_set")
                .iter()
                .all(|m| *m == number as f64)
        );
        let [ids, pairs, plus, minus] = [
            "event_id",
            "mix_k",
            "mix_plus_event_id",
            "mix_minus_event_id",
        ]
        .map(|name| events.numbers(name));
        for row in 0..events.len() {
            let is_new = taken.insert((ids[row] as u64, pairs[row] as u64));
            assert!(is_new, "a pair is in two sets");
            assert!(queries.contains(&(ids[row] as u64)));
            assert!(parents.contains(&(plus[row] as u64)));
            assert!(parents.contains(&(minus[row] as u64)));
            assert_ne!(plus[row], minus[row], "both halves are of one event");
        }
        // four tagged jets, which 3b events have not, and lists of one length
        let lists = |name: &str| {
            let lists = events.get(name).as_any().downcast_ref::<ListArray>();
            lists.unwrap().clone()
        };
        let [pt, tag, phi] = ["jet_pt", "jet_tag", "jet_phi"].map(lists);
        for row in 0..events.len() {
            assert_eq!(pt.value_length(row), tag.value_length(row));
            assert_eq!(pt.value_length(row), phi.value_length(row));
        }
        // what the files have as columns, mixed events have too: of their own jets
        let masses = events.numbers("m_hh");
        assert!(masses.iter().all(|m| m.is_finite()));
    }
    let mean = sizes.iter().sum::<usize>() as f64 / SETS as f64;
    let spread = sizes.iter().map(|n| (*n as f64 - mean).abs());
    assert!(spread.fold(0.0, f64::max) < 5.0 * mean.sqrt(), "{sizes:?}");
    let record = place.json("out/mixing/sets.json");
    let summary = &record["summary"];
    let counted: Vec<f64> = list(&summary["sets"])
        .iter()
        .map(|set| number(&set["events"]))
        .collect();
    let sizes: Vec<f64> = sizes.into_iter().map(|n| n as f64).collect();
    assert_eq!(counted, sizes);
    assert!(number(&summary["unmixable"]) < 0.2);
    // with shared parents errors are no smaller than those of independent events
    let histogram = &summary["histograms"]["m_hh"];
    let (with, without) = (&histogram["parents"], &histogram["independent"]);
    let pairs = numbers(with).into_iter().zip(numbers(without));
    assert!(pairs.into_iter().all(|(with, without)| with >= without));
}

#[test]
fn sets_are_the_same_on_any_number_of_threads_and_again() {
    let place = Workplace::mixing(1500);
    let bytes = || -> BTreeMap<String, Vec<u8>> {
        let names = (0..SETS)
            .map(set)
            .chain(["out/mixing/sets.json".to_owned()]);
        names
            .map(|name| (name.clone(), place.read(&name)))
            .collect()
    };
    mix(&place, &[]).exits(0);
    let first = bytes();
    mix(&place, &[]).exits(0);
    assert!(first == bytes());
    // a damaged set is mixed anew
    place.write(&set(1), "damaged");
    mix(&place, &[]).exits(0);
    assert!(first == bytes());
    place.remove("out");
    let mut command = place.command(&["mix", "config.toml", "--out", "out", "--quiet"]);
    let done = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(done.status.success());
    assert!(first == bytes());
    // another observable takes the same sets, other sets are refused
    let other = ["mixing.uncertainties.m_hh.bins=[250, 350, 450, 550, 1020]"];
    mix(&place, &other).exits(0);
    assert!((0..SETS).all(|n| place.read(&set(n)) == first[&set(n)]));
    mix(&place, &["mixing.flip_z=false"])
        .exits(3)
        .warns(["`mixing`", "sets of other settings"]);
}

#[test]
fn a_run_ends_with_variations_a_workspace_and_a_page() {
    let place = Workplace::mixing(3000);
    let done = place.run_quietly("out", &[]).exits(0);
    done.says(["m_hh: the variance is of order ", "report  "]);
    let result = place.json("out/mixing.json");
    assert_eq!(result["method"], "mix");
    // inputs of mixed data and of the target are compared where models are trained
    let alike = result["likeness"].as_object().unwrap();
    assert!(
        alike.contains_key("log_pt2") && alike.len() >= 12,
        "{alike:?}"
    );
    // and a classifier tells them apart, or does not
    let auc = &result["auc"];
    assert!((0.4..1.0).contains(&number(&auc["value"])), "{auc}");
    assert!(number(&auc["error"]) > 0.0);
    let of = &result["uncertainties"]["m_hh"];
    assert_eq!(list(&of["histograms"]["models"]).len(), SETS);
    let [model, _]: [Vec<f64>; 2] = crate::support::parsed(&of["model"]);
    // the data's model is that of its ensemble, less what is beyond the bins
    let metrics = place.json("out/ensembles/data/metrics.json");
    let region = &metrics["regions"]["sr"];
    assert_eq!(region["blind"], true);
    let variable = &region["variables"]["mixing.m_hh"];
    assert!(variable["observed"].is_null());
    let all = numbers(&variable["after"]["values"]);
    assert_eq!(model, all[1..all.len() - 1]);
    assert!(model.iter().all(|m| *m > 0.0));
    // sources add to the error
    let errors = &of["strength_errors"];
    assert!(number(&errors["statistics"]) < number(&errors["all"]));
    let templates = &place.json("out/templates.json")["m_hh"];
    assert_eq!(numbers(&templates["background"]), model);
    let variations = templates["variations"].as_object().unwrap();
    assert!(variations.contains_key("variance_0") && variations.contains_key("bias_0"));
    let workspace = place.json("out/workspace.json");
    assert_eq!(workspace["measurements"][0]["config"]["poi"], "mu");
    let samples = list(&workspace["channels"][0]["samples"]);
    let names: Vec<&str> = samples
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["signal", "background"]);
    let points = place.json("out/workspace_points.json");
    assert_eq!(list(&points["points"]).len(), 2);
    assert!(place.has("out/report.html") && place.has("out/ensembles.html"));
    assert!(place.has("out/plots/m_hh_mixed.svg") && place.has("out/plots/m_hh_background.svg"));
    // nothing is trained or mixed again
    let before = place.read("out/mixing.json");
    place.run_quietly("out", &[]).exits(0);
    assert!(before == place.read("out/mixing.json"));
    place.sideband(&["report", "out"]).exits(0);
    // the stages' settings change the result alone
    place
        .run_quietly("out", &["mixing.uncertainties.m_hh.estimator=published"])
        .exits(0);
    assert!(before != place.read("out/mixing.json"));
}

/// A limit whose background is the mixing's own run.
fn limit() -> String {
    let signal = root().join("tests/data/signal/ggf_hh.parquet");
    format!(
        "[experiment]
name = \"limit\"
method = \"limit\"

[regions.sr]
selection = \"in_sr\"
blind = true

[parameters.mu]
nominal = 1.0
bounds = [0.0, 100.0]

[samples.signal]
path = {:?}
weight = \"w_kl1\"
scale = 14.0
coefficient = \"mu\"

[samples.multijet]
run = \"out\"

[samples.multijet.mixing]
group = \"Mixing\"

[channels.sr]
region = \"sr\"
observable = \"m_hh\"
bins = [240.0, 370.0, 420.0, 500.0, 1200.0]

[measurement]
interest = [\"mu\"]
",
        signal.display().to_string()
    )
}

/// A measurement with the mixing's own run in a channel, beside files that stand for simulated ones.
const MEASUREMENT: &str = "[experiment]
name = \"measured\"
method = \"measure\"

[regions.side]
selection = \"!in_sr\"

[regions.sr]
selection = \"in_sr\"

[parameters.mu]
nominal = 1.0
bounds = [0.0, 5.0]

[samples.one]
path = \"source.parquet\"
weight = \"weight\"
id = [\"event_id\"]
coefficient = \"mu\"

[samples.other]
path = \"target.parquet\"
weight = \"weight\"
id = [\"event_id\"]

[samples.multijet]
run = \"out\"
selection = \"in_sr\"

[samples.multijet.mixing]
group = \"Mixing\"

[channels.sr]
region = \"sr\"
observable = \"m_hh\"
bins = [240.0, 370.0, 420.0, 500.0, 1200.0]

[features]
inputs = [\"m_hh\"]

[model]
hidden = [4]

[training]
region = \"side\"
epochs = 1

[ensemble]
members = 1

[measurement]
interest = [\"mu\"]
reference = [\"other\"]

[report]
classifier_members = 0
";

#[test]
fn a_limit_has_the_variance_and_bias_of_mixed_data() {
    let place = Workplace::mixing(3000);
    place.run_quietly("out", &[]).exits(0);
    place.write("config.toml", limit());
    place.run_quietly("limit", &[]).exits(0);
    let (mixing, limit) = (
        place.json("out/mixing.json"),
        place.json("limit/measurement.json"),
    );
    let of = &mixing["uncertainties"]["m_hh"];
    let parameters = list(&limit["fit"]["parameters"]).iter();
    let names: Vec<&str> = parameters.map(|p| p["name"].as_str().unwrap()).collect();
    let [model, _]: [Vec<f64>; 2] = crate::support::parsed(&of["model"]);
    let templates = place.json("limit/templates.json");
    let process = &templates["sr"]["processes"]["multijet"];
    let contents = numbers(&process["contents"]);
    // but for events beyond the bins, which end bins of a limit have
    for b in 1..model.len() - 1 {
        assert!((contents[b] / model[b] - 1.0).abs() < 1e-3, "{b}");
    }
    for nuisance in list(&of["nuisances"]) {
        let name = format!("multijet_{}", nuisance["name"].as_str().unwrap());
        assert!(names.contains(&&*name), "{name}: {names:?}");
        // the first is a rate, the others shapes
        if nuisance["order"] == 0 {
            continue;
        }
        let varied = &process["systematics"][&name];
        for side in ["up", "down"] {
            let factors = numbers(&nuisance[side]).into_iter().zip(&contents);
            let expected = factors.map(|(factor, content)| factor * content);
            for (found, expected) in numbers(&varied[side]).iter().zip(expected) {
                let is_near = (found - expected).abs() < 1e-6 * expected.abs();
                assert!(is_near, "{name}: {found} {expected}");
            }
        }
    }
    // what trainings vary by, and what they are normalised to, counts once
    let counts_twice = |name: &&str| {
        ["retraining", "normalisation"]
            .iter()
            .any(|n| name.contains(n))
    };
    assert!(!names.iter().any(counts_twice), "{names:?}");
    // the first order has the counting error of what the background is normalised to, as far as the
    // sets' models have as many events as the data's
    let variance = &list(&of["nuisances"])[0];
    assert_eq!(variance["name"], "variance_0");
    let counting = number(&limit["backgrounds"][0]["normalisation"]);
    let is_shared = number(&mixing["sets"]["expected"]) > 1.0;
    assert!(
        !is_shared || number(&variance["size"]) > 0.8 * counting,
        "{counting}"
    );
    let groups = list(&limit["limit_impacts"]["groups"]).iter();
    assert!(groups.map(|g| &g["group"]).any(|name| name == "Mixing"));
    assert_eq!(limit["backgrounds"][0]["components"], 0);
    for (setting, code, words) in [
        ("samples.multijet.retraining={}", 3, "would count twice"),
        ("samples.multijet.normalisation={}", 3, "would count twice"),
        (
            "samples.multijet.mixing.uncertainties={sr='no'}",
            3,
            "`no` is no uncertainty of ",
        ),
        (
            "samples.multijet.mixing.uncertainties={cr='m_hh'}",
            3,
            "a name of a channel, or part of one",
        ),
        ("channels.sr.bins=[240, 400, 1200]", 3, "no uncertainty of "),
        (
            "samples.multijet.selection=n_jets > 4",
            3,
            "select the same ones",
        ),
        (
            "samples.multijet.mixing.run=limit",
            4,
            "it is no run of `method = \"mix\"`",
        ),
    ] {
        place.plan(&[setting]).exits(code).warns([words]);
    }
    // and so has the channel of a measurement
    place.write("config.toml", MEASUREMENT);
    place
        .plan(&[])
        .exits(0)
        .says(["multijet: variance and bias of the mixed data of out"]);
    place
        .plan(&["samples.multijet.mixing.uncertainties={side='m_hh'}"])
        .exits(3)
        .warns(["a name of a channel, or part of one"]);
}

#[test]
fn a_first_ensemble_shapes_the_queries() {
    let place = Workplace::mixing(1500);
    mix(&place, &[]).exits(0);
    let plain = place.read(&set(0));
    place.remove("out");
    let shaped = ["mixing.fidelity=ratio", "mixing.pairs=40"];
    mix(&place, &shaped).exits(0);
    assert!(place.has("out/mixing/first/predictions/source.parquet"));
    assert!(plain != place.read(&set(0)));
    // the weights are no longer one
    let summary = &place.json("out/mixing/sets.json")["summary"];
    let [factor, largest] = ["factor", "largest"].map(|key| number(&summary[key]));
    assert!((largest / factor - 1.0).abs() > 0.01, "{largest} {factor}");
    // once more from what is there
    let made = place.read(&set(0));
    mix(&place, &shaped).exits(0);
    assert!(made == place.read(&set(0)));
    // members that are added to the others change no set
    let more = [shaped[0], shaped[1], "ensemble.members=20"];
    mix(&place, &more).exits(0);
    assert!(made == place.read(&set(0)));
}

#[test]
fn what_cannot_be_mixed_is_refused_with_what_to_change() {
    let other = Workplace::new();
    let text = "config.toml: nothing is mixed without method = \"mix\"";
    mix(&other, &[]).exits(2).warns([text]);
    assert!(!other.has("out"));
    let place = Workplace::mixing(1500);
    mix(&place, &["mixing.pairs=1"]).exits(3).warns([
        "`mixing.pairs`: 3 sets take an event up to ",
        "set mixing.pairs to ",
    ]);
    mix(&place, &["mixing.pool_minimum=100000"])
        .exits(4)
        .warns(["no pool of the library has 100000 hemispheres"]);
    mix(&place, &["mixing.pool_minimum=1000"])
        .exits(4)
        .warns(["of the weight cannot be mixed", "whose pool is too small"]);
    mix(&place, &["mixing.tags=5"])
        .exits(4)
        .warns(["jets, and 5 are needed"]);
    let shared = ["regions.sideband.selection=in_box && (!in_sr || x_wt > 2)"];
    mix(&place, &[&shared[..], &["regions.sr.blind=false"]].concat())
        .exits(3)
        .warns([
            "`mixing.uncertainties.m_hh.region`: ",
            "are in `sr` and in `sideband`, which is trained in",
        ]);
    let open = [
        "regions.box.selection=in_box && x_wt > 2",
        "mixing.uncertainties.m_hh.region=box",
        "training.split=folds",
        "training.folds=2",
    ];
    mix(&place, &open)
        .exits(3)
        .warns(["are in `box` and in `sr`, which is blind"]);
    mix(&place, &["mixing.event_columns=['yaer']"])
        .exits(3)
        .warns(["`yaer`"]);
    mix(&place, &["experiment.method=ratio"]).exits(3);
    place.edit("source.parquet", |columns| {
        columns.change(
            "weight",
            |row, weight| if row == 7 { -weight } else { weight },
        );
    });
    mix(&place, &[])
        .exits(4)
        .warns(["`data.source.weight`: 1 event"]);
    let target = place.events("target.parquet");
    place.put("source.parquet", &target);
    mix(&place, &["data.source.selection=n_btag >= 4"])
        .exits(4)
        .warns(["`data.target.id`: ", "mixing.queries = \"target\""]);
    let itself = [
        "data.source.selection=n_btag >= 4",
        "mixing.queries=target",
        "data.source.namespace=copy",
    ];
    mix(&place, &itself).exits(0);
}
