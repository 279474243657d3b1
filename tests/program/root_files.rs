//! ROOT files as a user gives them to the program; what is in them is tested beside the reader.

use crate::support::{Workplace, root};

fn file(name: &str) -> String {
    let path = root().join("tests/data/root").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn inspect_shows_trees_and_their_branches() {
    let place = Workplace::new();
    let folders = file("folders.root");
    let done = place.sideband(&["inspect", &folders]).exits(0);
    done.says([
        "deep/er/Events",
        "RNTuple",
        &format!("sideband inspect {folders}:"),
    ]);
    let value = place
        .sideband(&["inspect", &folders, "--json"])
        .exits(0)
        .json();
    assert_eq!(value["tables"].as_array().unwrap().len(), 4);
    let events = format!("{folders}:Events");
    place
        .sideband(&["inspect", &events])
        .exits(0)
        .says(["7 rows", "jet_f4", "x_u8"]);
    let done = place
        .sideband(&["inspect", &format!("{folders}:events")])
        .exits(4);
    done.warns(["no tree `events`", "deep/er/Events"]);
}

#[test]
fn a_plan_reads_trees_and_ntuples_with_lists() {
    let place = Workplace::new();
    let settings = [
        format!("data.source.path={}:Events", file("tree_zstd.root")),
        format!("data.target.path={}", file("ntuple_lzma.root")),
        "data.source.id=[]".to_owned(),
        "data.target.id=[]".to_owned(),
        "data.source.weight='1 + x_bool'".to_owned(),
        "data.target.weight='1 + x_bool'".to_owned(),
        "features.inputs=['x_f4', 'sum(jet_f4)', 'count(jet_i8 > 0)', 'x_i4 / 1e9']".to_owned(),
        "regions={ cr = { selection = 'len(jet_f4) >= 0' } }".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let done = place.plan(&settings).exits(0);
    done.says(["network     4 inputs", "241"]);
    let folders = format!("data.source.path={}", file("folders.root"));
    let done = place.plan(&[&settings[1..], &[&folders]].concat()).exits(4);
    done.warns(["it holds 4 trees", "`file.root:"]);
}
