//! The sample with all jets of an event: by expressions over lists, and by built-in columns.

use crate::support::{Columns, Done, Workplace, root};
use arrow::array::{Array, ListArray};
use sideband::events::{Dataset, Hidden, Jets, Resolver, ScanRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn sample(file: &str) -> PathBuf {
    root().join(format!("tests/data/jets/{file}.parquet"))
}

fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.display().to_string()], Path::new("")).unwrap()
}

#[test]
fn candidates_are_made_of_the_jets_that_are_written() {
    let mut define = BTreeMap::new();
    for (name, place) in [("a", "h1_jets[0]"), ("b", "h1_jets[1]")] {
        for variable in ["pt", "eta", "phi", "m"] {
            define.insert(
                format!("{name}_{variable}"),
                format!("jet_{variable}[{place}]"),
            );
        }
        let energy = format!("sqrt(({name}_pt * cosh({name}_eta))^2 + {name}_m^2)");
        define.insert(format!("{name}_e"), energy);
    }
    let product = "a_pt * b_pt * (cos(a_phi - b_phi) + sinh(a_eta) * sinh(b_eta))";
    let mass = format!("sqrt(a_m^2 + b_m^2 + 2 * (a_e * b_e - {product}))");
    let none = [
        "sum(jet_tag) - n_btag".to_owned(),
        "count(jet_pt > 40) - n_jets".to_owned(),
        "max(jet_pt) - jet_pt[0]".to_owned(),
        "count(jet_tag && jet_pt <= 40)".to_owned(),
        "min(jet_pt) <= 25".to_owned(),
        format!("abs({mass} / m_h1 - 1) > 1e-5"),
    ];
    for (file, tags) in [("jets_3b", "n_btag == 3"), ("jets_4b", "n_btag >= 4")] {
        let dataset = open(&sample(file));
        let resolver = Resolver::new(dataset.columns(), &define).unwrap();
        let columns = none
            .iter()
            .map(|text| (text.clone(), resolver.compile(text).unwrap()));
        let request = ScanRequest {
            selection: Some(resolver.compile(tags).unwrap()),
            columns: columns.collect(),
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None).unwrap();
        assert_eq!(table.len(), 7600, "{file}");
        for (text, values) in &table.columns {
            assert!(values.iter().all(|value| *value == 0.0), "{file}: {text}");
        }
    }
}

/// The columns that the generator has made of the jets, of those that are built in.
const MADE: [&str; 15] = [
    "log_pt2",
    "log_pt4",
    "log_dr1",
    "log_dr2",
    "avg_abs_eta",
    "log_pt_hh",
    "dr_hh",
    "dphi_h1",
    "dphi_h2",
    "x_wt",
    "n_jets",
    "trig_bucket",
    "m_h1",
    "m_h2",
    "m_hh",
];

/// The configuration's words for the jets of the sample: those that can be candidates are
/// above 40 GeV.
const SETTING: &str = "data.jets={candidates='min_dr', selected='jet_pt > 40'}";

#[test]
fn built_in_columns_are_those_of_the_generator() {
    let jets = Jets {
        pt: "jet_pt".into(),
        eta: "jet_eta".into(),
        phi: "jet_phi".into(),
        mass: "jet_m".into(),
        tagged: "jet_tag".into(),
        selected: Some("jet_pt > 40".into()),
        most: 8,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("renamed.parquet");
    for file in ["jets_3b", "jets_4b"] {
        let mut columns = Columns::read_parquet(&sample(file));
        for (name, _) in &mut columns.0 {
            if MADE.contains(&name.as_str()) {
                name.insert_str(0, "own_");
            }
        }
        columns.write_parquet(&path);
        let dataset = open(&path);
        let resolver = Resolver::with_jets(dataset.columns(), Some(&jets), []).unwrap();
        let names = MADE
            .iter()
            .flat_map(|name| [(*name).to_owned(), format!("own_{name}")]);
        let request = ScanRequest {
            columns: names
                .map(|name| (name.clone(), resolver.compile(&name).unwrap()))
                .collect(),
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None).unwrap();
        assert_eq!(table.len(), 7600, "{file}");
        for pair in table.columns.chunks(2) {
            let [(name, made), (_, own)] = pair else {
                panic!("pairs of columns");
            };
            for (row, (made, own)) in made.iter().zip(own).enumerate() {
                let near = (made - own).abs() <= 1e-5 * own.abs().max(1.0);
                assert!(near, "{file}, row {row}, {name}: {made}, generator {own}");
            }
            // they are no constants
            assert!(made.iter().any(|x| *x != made[0]), "{name}");
        }
    }
}

/// Reweighting of 3b to 4b by the 12 inputs, of files with or without the generator's columns.
fn place(has_own: bool, events: usize) -> Workplace {
    let place = Workplace::new();
    for (file, sample_file) in [("source", "jets_3b"), ("target", "jets_4b")] {
        let mut columns = Columns::read_parquet(&sample(sample_file));
        columns.truncate(events);
        if !has_own {
            columns.drop(&MADE);
        }
        place.put(&format!("{file}.parquet"), &columns);
    }
    let inputs: Vec<String> = MADE[..12].iter().map(|name| format!("'{name}'")).collect();
    place.configure(&[
        ("[\"event\"]", "[\"event_id\"]"),
        ("mass > 0.7", "m_h1 <= 110"),
        ("mass <= 0.7", "m_h1 > 110"),
        ("[\"pt\", \"eta\"]", &format!("[{}]", inputs.join(", "))),
    ]);
    place
}

/// What a plan says of events and inputs, without what depends on the length of the files.
fn numbers(plan: &Done) -> Vec<&str> {
    let lines = plan.stdout.lines();
    lines
        .skip_while(|line| !line.starts_with("region "))
        .take_while(|line| !line.starts_with("ensemble "))
        .collect()
}

#[test]
fn a_run_with_jets_alone_is_the_run_of_the_generators_columns() {
    let (own, jets) = (place(true, 2000), place(false, 2000));
    let of_columns = own.plan(&[]).exits(0);
    let of_jets = jets.plan(&[SETTING]).exits(0);
    assert!(
        !of_columns.stdout.contains("computed "),
        "{}",
        of_columns.stdout
    );
    let of_jets = of_jets.says([
        "computed    avg_abs_eta, dphi_h1, dphi_h2, dr_hh, log_dr1, log_dr2, log_pt2, log_pt4, \
         log_pt_hh, m_h1, n_jets, trig_bucket, x_wt (built in)",
    ]);
    assert_eq!(numbers(&of_columns), numbers(&of_jets));
    assert!(numbers(&of_jets).len() > 15);
    // the files' own columns come first, which is said
    let both = own.plan(&[SETTING]).exits(0);
    both.says(["not of jets ", "m_h1", ": columns of the files"]);
    jets.run_quietly("out", &[SETTING]).exits(0);
    jets.predict("out", "source.parquet", "predicted.parquet");
    let predicted = jets.events("predicted.parquet");
    let of_run = jets.events("out/predictions/source.parquet");
    let ratio = predicted.numbers("nominal");
    assert_eq!(ratio.len(), 2000);
    assert!(ratio.iter().all(|x| x.is_finite()));
    assert_eq!(of_run.len(), 2000);
    // without the jets nothing is known of such columns
    jets.refuses(&[], &["there is no column `m_h1`"]);
}

#[test]
fn inspect_lists_built_in_columns() {
    let place = place(false, 10);
    let about = place.sideband(&["inspect", "source.parquet"]).exits(0);
    about.says([
        "With data.jets.candidates = \"min_dr\": ",
        "m_hh, ",
        "in_cr1",
    ]);
    let about = place.sideband(&["inspect", "source.parquet", "--json"]);
    let about = about.exits(0).json();
    let names: Vec<String> = crate::support::parsed(&about["of_jets"]);
    assert!(MADE.iter().all(|name| names.contains(&(*name).to_owned())));
}

#[test]
fn wrong_jets_are_refused_by_key_and_row() {
    let place = place(false, 400);
    for (setting, words) in [
        ("data.jets={}", "`data.jets`: key `candidates` is missing"),
        (
            "data.jets={candidates='min_mass'}",
            "`data.jets.candidates`",
        ),
        ("data.jets={candidates='min_dr', max=3}", "`data.jets.max`"),
        (
            "data.jets={candidates='min_dr', pt='jet_p'}",
            "`data.jets.pt`: there is no column `jet_p`",
        ),
        (
            "data.jets={candidates='min_dr', tagged='jet_flav'}",
            "such as `jet_flav > 0`",
        ),
        (
            "data.jets={candidates='min_dr', mass='n_btag'}",
            "`data.jets.mass`: `n_btag` is a number",
        ),
    ] {
        place.refuses(&[setting], &[words]);
    }
    // three jets above 50 GeV are no candidates
    let few = "data.jets={candidates='min_dr', selected='jet_pt > 50'}";
    let features = "features.inputs=['n_jets', 'log_pt4']";
    let all = [
        "regions.sr.selection=n_jets >= 5",
        "regions.cr.selection=n_jets >= 3",
    ];
    let missing = [few, features, all[0], all[1]];
    place
        .plan(&missing)
        .exits(4)
        .warns(["`log_pt4`", "data.on_missing"]);
    let dropped = [&missing[..], &["data.on_missing=drop"]].concat();
    place
        .plan(&dropped)
        .exits(0)
        .says(["log_pt4", "data.on_missing"]);
    place.edit("target.parquet", |columns| {
        let lists = columns.get("jet_phi").clone();
        let lists = lists.as_any().downcast_ref::<ListArray>().unwrap();
        let events = 0..lists.len();
        // that of the event before
        let shifted: Vec<_> = events
            .map(|row| lists.slice(row.saturating_sub(1), 1))
            .collect();
        let shifted: Vec<&dyn Array> = shifted.iter().map(|list| list as &dyn Array).collect();
        let shifted = arrow::compute::concat(&shifted).unwrap();
        columns.set("jet_phi", Arc::clone(&shifted));
    });
    let lengths = [
        "`jet_pt` (data.jets.pt)",
        "`jet_phi` (data.jets.phi)",
        "target.parquet",
    ];
    place.plan(&[SETTING]).exits(4).warns(lengths);
}
