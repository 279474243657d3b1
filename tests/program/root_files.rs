//! ROOT files as a user gives them to the program; what is in them is tested beside the reader.

use crate::support::root_file::{Branch, Class, Member, Tree, floats};
use crate::support::{Workplace, root};
use serde_json::{Value, json};

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

/// What `inspect` says of a column of a tree.
fn inspected(tree: &Tree, name: &str) -> Value {
    let place = Workplace::new();
    place.write("tree.root", tree.file());
    let found = place.sideband(&["inspect", "tree.root", "--json"]).exits(0);
    let found = found.json();
    let mut columns = found["columns"].as_array().unwrap().iter();
    let column = columns.find(|column| column["name"] == *name);
    let of = |key: &str| column.unwrap()[key].clone();
    json!([
        of("type_name"),
        of("min"),
        of("mean"),
        of("max"),
        of("lengths")["elements"]
    ])
}

/// Entries of vectors, each behind its length, version and number of elements.
fn vectors(lists: &[&[f32]]) -> (Vec<u8>, Vec<u32>) {
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for list in lists {
        places.push(bytes.len() as u32);
        let count = list.len() as u32;
        bytes.extend((0x4000_0000 | (6 + 4 * count)).to_be_bytes());
        bytes.extend(9_u16.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(floats(list));
    }
    (bytes, places)
}

/// A class `Hit` with members of a name, a title and a type.
fn class(version: i32, checksum: u32, members: &[[&str; 3]]) -> Class {
    let members = members.iter().map(|[name, title, type_name]| Member {
        name: (*name).to_owned(),
        title: (*title).to_owned(),
        type_name: (*type_name).to_owned(),
        dimensions: 0,
    });
    Class {
        name: "Hit".to_owned(),
        version,
        checksum,
        members: members.collect(),
    }
}

/// A class that was split into branches, one of which has a vector an entry.
#[test]
fn a_member_that_is_a_vector_is_read_as_lists() {
    let (bytes, places) = vectors(&[&[1.0, -2.5], &[], &[4.0]]);
    let places = places.try_into().unwrap();
    let mut member = Branch::new("hit.pt", "TLeafElement", bytes, Some(places));
    member.class = "TBranchElement".to_owned();
    member.element = Some(("Hit".to_owned(), 0, 500));
    let mut tree = Tree::new();
    tree.branches.push(member);
    let lists = json!(["List(non-null Float32)", -2.5, 2.5 / 3.0, 4.0, 3]);
    for type_name in [
        "vector<float>",
        "std::vector<Float_t>",
        "ROOT::VecOps::RVec<float>",
        "vector<float,allocator<float> >",
    ] {
        tree.classes = vec![
            // the version of the branch, and a newer one
            class(
                1,
                0,
                &[
                    ["id", "", "int"],
                    ["pt", "of each [GeV, in order]", type_name],
                ],
            ),
            class(2, 7, &[["pt", "", "vector<vector<float> >"]]),
        ];
        assert_eq!(inspected(&tree, "hit.pt"), lists, "{type_name}");
    }
    // where the branch's version is not there, the newest
    tree.classes[0].checksum = 8;
    tree.classes
        .push(class(3, 9, &[["pt", "", "vector<float>"]]));
    assert_eq!(inspected(&tree, "hit.pt"), lists);
}

/// Members with less than they have in memory, by the range in their titles.
#[test]
fn reduced_floats_of_a_class_are_read_by_their_titles() {
    let steps: Vec<u8> = [32_768_u32, 0, 65_536].map(u32::to_be_bytes).concat();
    let mut member = Branch::new("hit.x", "TLeafElement", steps, None);
    member.class = "TBranchElement".to_owned();
    member.element = Some(("Hit".to_owned(), 0, 9));
    let mut tree = Tree::new();
    tree.branches.push(member);
    tree.classes = vec![class(
        1,
        0,
        &[["x", "[-2,2,16] from the vertex", "Double32_t"]],
    )];
    assert_eq!(
        inspected(&tree, "hit.x"),
        json!(["Float64", -2.0, 0.0, 2.0, null])
    );
    tree.branches[2].element = Some(("Hit".to_owned(), 0, 19));
    assert_eq!(
        inspected(&tree, "hit.x"),
        json!(["Float32", -2.0, 0.0, 2.0, null])
    );
}

/// A tree that was written while baskets were being filled.
#[test]
fn baskets_that_lie_in_the_tree_are_read() {
    let mut tree = Tree::new();
    let before = [inspected(&tree, "x"), inspected(&tree, "jet")];
    for branch in &mut tree.branches {
        branch.in_tree = std::mem::take(&mut branch.baskets);
    }
    assert_eq!([inspected(&tree, "x"), inspected(&tree, "jet")], before);
    // behind some that are in the file
    let mut more = Branch::new("x", "TLeafF", floats(&[4.0, 5.0, 9.0]), None);
    let mut last = more.baskets.remove(0);
    last.first = 3;
    let mut first = tree.branches[0].in_tree.remove(0);
    first.first = 0;
    tree.branches[0].baskets.push(first);
    tree.branches[0].in_tree.push(last);
    tree.branches.truncate(1);
    tree.branches[0].entries = 6;
    tree.entries = 6;
    assert_eq!(
        inspected(&tree, "x"),
        json!(["Float32", 1.0, 4.0, 9.0, null])
    );
}
