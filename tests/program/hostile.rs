//! Bad input by the table, a table a kind: ROOT, Parquet and Arrow files that nobody's program writes,
//! columns of lists, settings of figures, and what `init` is given. A line says what is wrong, how
//! the program ends and what it must say. Configurations are in `bad_input`; inputs that nobody thought of
//! are `scripts/fuzz.py`'s.

use crate::support::root_file::{
    Basket, Branch, Class, File, Key, Member, Ntuple, Tree, column, ends, field, floats, page,
};
use crate::support::workplace::{set, tree};
use crate::support::{Columns, Done, Workplace, contains, doubles, integers};
use arrow::array::{Array as _, ArrayRef, FixedSizeListArray, Int16Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type};
use parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use resvg::usvg::roxmltree::Document;
use std::sync::Arc;

/// What is wrong, how that comes about, the exit code, and what is said.
type Line<T> = (&'static str, T, i32, &'static [&'static str]);
/// Makes the bytes of a file.
type Made = fn() -> Vec<u8>;

/// Tries every line of a table and names all that did not end as it says.
#[track_caller]
fn try_all<T: Copy>(least: usize, lines: &[Line<T>], done: impl Fn(T) -> Done) {
    assert!(lines.len() >= least, "{} lines", lines.len());
    let complaint = |(about, how, exit, words): &Line<T>| {
        let done = done(*how);
        let said = done.stdout + &done.stderr;
        let missing = words.iter().find(|word| !said.contains(**word));
        let is_fault = ["a fault of the program", "the decoder gave up"];
        let is_fault = is_fault.iter().any(|words| said.contains(words));
        let fine = done.exit == Some(*exit) && missing.is_none() && !is_fault;
        (!fine).then(|| format!("{about}: {:?}, lacks {missing:?}:\n{said}", done.exit))
    };
    let failed: Vec<String> = lines.iter().filter_map(complaint).collect();
    let (number, all) = (failed.len(), lines.len());
    assert!(
        failed.is_empty(),
        "{number} of {all}:\n\n{}",
        failed.join("\n")
    );
}

/// `sideband inspect` of a file, which ends soon.
fn inspected(place: &Workplace, name: &str, bytes: &[u8]) -> Done {
    place.write(name, bytes);
    place.start(&["inspect", name]).end()
}

fn jet(places: [u32; 3]) -> Branch {
    let mut jet = Branch::new("jet", "TLeafF", floats(&[1.0, 2.0, 3.0]), Some(places));
    jet.leaves[0].counted = 2;
    jet
}

/// Makes the list a member of a class, of a kind and with a streamer's code.
fn member(tree: &mut Tree, class: &str, kind: i32, code: i32) {
    let jet = &mut tree.branches[1];
    jet.class = "TBranchElement".to_owned();
    jet.element = Some((class.to_owned(), kind, code));
}

/// The same of a class `Hit` of which the file says that the list is of a type.
fn hit(tree: &mut Tree, kind: i32, code: i32, type_name: &str, dimensions: i32) {
    member(tree, "Hit", kind, code);
    let member = Member {
        name: "jet".to_owned(),
        title: String::new(),
        type_name: type_name.to_owned(),
        dimensions,
    };
    tree.classes.push(Class {
        name: "Hit".to_owned(),
        version: 1,
        checksum: 0,
        members: vec![member],
    });
}

/// The baskets of both branches lie in the tree.
fn in_tree(tree: &mut Tree, change: impl Fn(&mut Basket)) {
    for branch in &mut tree.branches {
        branch.in_tree = std::mem::take(&mut branch.baskets);
        branch.in_tree.iter_mut().for_each(&change);
    }
}

fn in_branches(tree: &mut Tree, depth: usize) {
    for _ in 0..depth {
        let mut around = tree.branches[0].clone();
        around.branches = vec![tree.branches[0].clone()];
        around.baskets.clear();
        tree.branches[0] = around;
    }
}

#[rustfmt::skip]
const TREES: &[Line<fn(&mut Tree)>] = &[
    ("as it should be", |_| {}, 0, &["3 rows", "x       Float32", "jet", "elements"]),
    ("more entries than can be", |t| t.entries = 1 << 41, 4,
     &["at `Events`: it says that it has 2199023255552 entries"]),
    ("entries that are in no branch", |t| t.entries = 1 << 40, 0,
     &["1099511627776 rows", "it has 3 of 1099511627776 entries"]),
    ("a branch with fewer entries", |t| t.branches[0].entries = 2, 0, &["it has 2 of 3 entries"]),
    ("baskets whose first entries fall", |t| {
        let baskets = &mut t.branches[0].baskets;
        baskets.push(baskets[0].clone());
        baskets[0].first = 3;
    }, 4, &["at `Events`: baskets out of order"]),
    ("a basket beyond all entries", |t| t.branches[0].baskets[0].first = 9, 4,
     &["baskets out of order"]),
    ("entries before the first basket", |t| t.branches[0].baskets[0].first = 1, 4,
     &["at cluster 0: not all of the entries 0 to 3 are in a basket"]),
    ("no basket", |t| t.branches[0].baskets.clear(), 4, &["not all of the entries"]),
    ("a basket outside of the file", |t| t.branches[0].baskets[0].place = Some(1 << 40), 4,
     &["at cluster 0: the file ends before byte"]),
    ("a basket at the last byte there is", |t| t.branches[0].baskets[0].place = Some(u64::MAX), 4,
     &["the file ends before byte 18446744073709551615"]),
    ("a basket in another's place", |t| t.branches[0].baskets[0].place = Some(0), 4,
     &["at cluster 0: basket at byte 0: "]),
    ("a basket of negative length", |t| t.branches[0].baskets[0].length = Some(-5), 4,
     &["at `Events`: a size of -5"]),
    ("a basket longer than the file", |t| t.branches[0].baskets[0].length = Some(1 << 30), 4,
     &["its baskets are longer than the file"]),
    ("a basket that is cut off", |t| t.branches[0].baskets[0].length = Some(10), 4,
     &["the description ends after 10 bytes"]),
    ("more baskets than room", |t| t.branches[0].written = Some(7), 4, &["7 baskets in room for 1"]),
    ("fewer than no baskets", |t| t.branches[0].written = Some(-1), 4, &["a size of -1"]),
    ("room for all baskets that can be", |t| t.branches[0].room = Some(i32::MAX.into()), 4,
     &["the description ends after"]),
    ("a basket of other entries", |t| t.branches[0].baskets[0].entries = 5, 4,
     &["it has 5 entries and not 3"]),
    ("a basket of negative entries", |t| t.branches[0].baskets[0].entries = -3, 4,
     &["a size of -3"]),
    ("entries that end behind the basket", |t| t.branches[0].baskets[0].border = 1000, 4,
     &["its entries end outside of it"]),
    ("entries that end before the basket", |t| t.branches[0].baskets[0].border = -20, 4,
     &["its entries end outside of it"]),
    ("entries that end before the file", |t| t.branches[0].baskets[0].border = -1000, 4,
     &["a size of -"]),
    ("entries of another length", |t| t.branches[0].baskets[0].border = 8, 4,
     &["a basket of 8 bytes for 3 entries"]),
    ("a basket that says to be longer", |t| t.branches[0].baskets[0].key.unpacked = Some(1 << 20), 4,
     &["at cluster 0: basket at byte "]),
    ("places of entries that fall", |t| t.branches[1] = jet([8, 0, 8]), 4,
     &["its entries are out of order"]),
    ("places of entries behind them", |t| t.branches[1] = jet([0, 8, 1000]), 4,
     &["its entries are out of order"]),
    ("no places of entries", |t| t.branches[1].baskets[0].bytes.truncate(12), 4,
     &["lengths of entries are missing"]),
    ("a list that ends in a number", |t| t.branches[1] = jet([0, 6, 8]), 4,
     &["a list that ends within a number"]),
    ("a leaf of an unknown class", |t| t.branches[0].leaves[0].class = "TLeafX".to_owned(), 0,
     &["it is a leaf of class `TLeafX`"]),
    ("a quantised leaf", |t| t.branches[0].leaves[0].class = "TLeafF16".to_owned(), 4,
     &["a basket of 12 bytes for 3 entries"]),
    ("a leaf of text", |t| t.branches[0].leaves[0].class = "TLeafC".to_owned(), 0,
     &["it holds text; write a number for each"]),
    ("a leaf longer than its basket", |t| t.branches[0].leaves[0].length = 1 << 24, 4,
     &["a basket of 12 bytes for 3 entries"]),
    ("a leaf of no numbers", |t| {
        t.branches[0].leaves[0].title = "x[0]".to_owned();
        t.branches[0].leaves[0].length = 0;
    }, 0, &["it holds lists without elements"]),
    ("dimensions without end", |t| t.branches[0].leaves[0].title += &"[1]".repeat(100_000), 0,
     &["x       Float32"]),
    ("dimensions beyond all numbers", |t| {
        t.branches[0].leaves[0].title += "[4294967296][4294967296]";
    }, 0, &["x       Float32"]),
    ("dimensions of other numbers", |t| {
        t.branches[0].leaves[0].title += "[2][3]";
        t.branches[0].leaves[0].length = 4;
    }, 4, &["a basket of 12 bytes for 3 entries"]),
    ("branches in each other", |t| in_branches(t, 20), 0, &["3 rows", "Float32"]),
    ("branches in each other without end", |t| in_branches(t, 40), 4,
     &["more than 32 branches in each other"]),
    ("a name of all branches around", |t| {
        t.branches[0].name = "n".repeat(3000);
        t.branches[1] = t.branches[0].clone();
        in_branches(t, 20);
    }, 4, &["two columns are called `nnn"]),
    ("lists of arrays", |t| t.branches[1].leaves[0].length = 2, 0, &["it holds lists of arrays, `jet`"]),
    ("a list beside another leaf", |t| {
        let mut leaf = t.branches[1].leaves[0].clone();
        leaf.title = "other".to_owned();
        t.branches[1].leaves.push(leaf);
    }, 0, &["it is a list beside other leaves of its branch"]),
    ("a branch of an unknown class", |t| t.branches[0].class = "TBranchClones".to_owned(), 0,
     &["it is a branch of class `TBranchClones`"]),
    ("lists of lists", |t| member(t, "vector<vector<float> >", 0, -1), 0,
     &["it is a branch of class `vector<vector<float> >`"]),
    ("a member that points to its numbers", |t| member(t, "Hit", 0, 45), 4,
     &["a list that ends within a number"]),
    ("a vector without its length", |t| member(t, "vector<float>", 0, 300), 4,
     &["a list without its length"]),
    ("bits of referenced objects", |t| member(t, "TRef", 31, 15), 0,
     &["it is a branch of class `TRef`"]),
    ("a member of a kind below all", |t| member(t, "Hit", i32::MIN, i32::MIN), 0,
     &["it is a branch of class `Hit`"]),
    ("an object in a class that the file does not describe", |t| member(t, "Hit", 0, 500), 0,
     &["what class `Hit` is made of is not known: the file describes no classes"]),
    ("a member that its class has not", |t| {
        hit(t, 0, 500, "vector<float>", 0);
        t.branches[1].name = "hit.x".to_owned();
    }, 0, &["the file describes no member `x` of class `Hit`"]),
    ("a member of another type", |t| hit(t, 0, 500, "map<int,float>", 0), 0,
     &["it is a `map<int,float>` in class `Hit`; write lists of numbers"]),
    ("a member of a type without end", |t| hit(t, 0, 500, &"vector<".repeat(100_000), 0), 0,
     &["it is a `vector<vector<"]),
    ("an array of vectors", |t| hit(t, 0, 320, "vector<float>", 1), 0,
     &["it is an array of `vector<float>` in class `Hit`"]),
    ("a vector of each of a list", |t| hit(t, 41, 500, "vector<float>", 0), 0,
     &["it is a list of `vector<float>` in class `Hit`"]),
    ("a member that is no vector as it says", |t| hit(t, 0, 500, "vector<float>", 0), 4,
     &["a list without its length"]),
    ("reduced floats of a class that the file does not describe", |t| member(t, "Hit", 0, 19), 0,
     &["what class `Hit` is made of is not known"]),
    ("baskets in the tree", |t| in_tree(t, |_| {}), 0, &["x       Float32", "jet", "elements"]),
    ("a basket in the tree beside all events", |t| {
        t.branches[0].in_tree = t.branches[0].baskets.clone();
    }, 0, &["x       Float32"]),
    ("baskets in the tree of other entries", |t| in_tree(t, |basket| basket.entries = 2), 0,
     &["its last events are in no basket"]),
    ("baskets in the tree of negative entries", |t| in_tree(t, |basket| basket.entries = -3), 0,
     &["its last events are in no basket"]),
    ("baskets in the tree that are longer than it", |t| in_tree(t, |basket| {
        basket.bytes.resize(1000, 0);
        basket.border = 10_000;
    }), 0, &["its last events are in no basket"]),
    ("baskets in the tree behind a longer key", |t| in_tree(t, |basket| {
        basket.key.header = Some(60_000);
    }), 0, &["its last events are in no basket"]),
    ("a basket in the tree of entries of another length", |t| {
        in_tree(t, |_| {});
        let basket = &mut t.branches[0].in_tree[0];
        basket.bytes.truncate(8);
        basket.border = 8;
    }, 4, &["a basket of 8 bytes for 3 entries"]),
    ("an old tree", |t| t.version = 12, 4, &["a tree of version 12, which ROOT 5.18 to 6 do not write"]),
    ("a tree to come", |t| t.version = 999, 4, &["a tree of version 999"]),
    ("an old branch", |t| t.branches[0].version = 3, 4, &["a branch of version 3"]),
    ("fewer than no branches", |t| t.count = Some(-1), 4, &["a size of -1"]),
    ("more branches than there are", |t| t.count = Some(i32::MAX.into()), 4,
     &["the description ends after"]),
    ("two branches of a name", |t| t.branches[1].name = "x".to_owned(), 4,
     &["two columns are called `x`"]),
];

#[test]
fn trees() {
    let place = Workplace::with_configuration("");
    try_all(65, TREES, |change| {
        let mut tree = Tree::new();
        change(&mut tree);
        inspected(&place, "file.root", &tree.file())
    });
}

/// A collection in so many others, and in the innermost a number.
fn collections(n: &mut Ntuple, levels: u32) {
    n.fields.truncate(1);
    n.columns.truncate(1);
    for level in 1..=levels {
        let parent = if level == 1 { 1 } else { level - 1 };
        n.fields.push(field(parent, 1, "list", "std::vector"));
        n.columns.push(column(level, 0x0f, 64));
    }
    n.fields.push(field(levels, 0, "_0", "float"));
    n.columns.push(column(levels + 1, 0x0c, 32));
}

const DAMAGED: &[&str] = &["at `Events`: the description at byte", "is damaged"];
const FLOAT: &[&str] = &["it is a field of type `float`"];

#[rustfmt::skip]
const NTUPLES: &[Line<fn(&mut Ntuple)>] = &[
    ("as it should be", |_| {}, 0, &["3 rows", "x       Float32", "jet", "elements"]),
    ("a draft", |n| n.epoch = 0, 4, &["an RNTuple of epoch 0, a draft of the format"]),
    ("a format to come", |n| n.features = 1, 4, &["features of a later format, 0x1"]),
    ("a header of another checksum", |n| n.wrong[0] = [1, 0, 0], 4, DAMAGED),
    ("a footer of another checksum", |n| n.wrong[1] = [u64::MAX, 0, 0], 4, DAMAGED),
    ("a list of pages of another checksum", |n| n.wrong[2] = [1, 0, 0], 4, DAMAGED),
    ("a header of another kind", |n| n.wrong[0] = [0, 1, 0], 4, DAMAGED),
    ("a footer of another length", |n| n.wrong[1] = [0, 0, 1], 4, DAMAGED),
    ("a list of pages without end", |n| n.wrong[2] = [0, 0, 1 << 40], 4, DAMAGED),
    ("a footer outside of the file", |n| n.footer[0] = Some(1 << 60), 4, &["the file ends before byte"]),
    ("a footer of no bytes", |n| n.footer[1] = Some(0), 4, &["the packed bytes end", "early"]),
    ("a footer that says to be longer", |n| n.footer[2] = Some(1 << 60), 4,
     &["a block of 0 bytes, of 1152921504606846976"]),
    ("fields that end behind the header", |n| n.frame = 1000, 4, &["a frame of "]),
    ("fields that end before they do", |n| n.frame = -8, 4, &["an object is longer than it says"]),
    ("fields without end", |n| n.count = Some(u32::MAX), 4, &["corrupt or truncated at `Events`"]),
    ("a column of no field", |n| n.columns[0].field = 9, 4, &["a column of no field"]),
    ("an alias of no column", |n| n.aliases.push([9, 0]), 4, &["an alias of no column"]),
    ("an alias of no field", |n| n.aliases.push([0, 9]), 4, &["a column of no field"]),
    ("fields in a circle", |n| {
        n.fields[1].parent = 2;
        n.fields.push(field(1, 0, "y", "float"));
    }, 0, &["its fields lie in each other without end"]),
    ("a field in none", |n| n.fields[2].parent = 99, 0, &["its fields lie in each other without end"]),
    ("clusters that overlap", |n| n.clusters.push([2, 3]), 4, &["cluster 1 begins at 2 and not 3"]),
    ("clusters with a gap", |n| n.clusters.push([4, 3]), 4, &["cluster 1 begins at 4 and not 3"]),
    ("the same clusters twice", |n| n.groups = 2, 4, &["cluster 1 begins at 0 and not 3"]),
    ("the same clusters without end", |n| n.groups = 10_000, 4,
     &["its lists of pages are longer than the file"]),
    ("more entries than can be", |n| n.clusters[0] = [0, 1 << 50], 4, &["absurdly many entries"]),
    ("a sharded cluster", |n| n.clusters[0] = [0, 3 | 1 << 56], 4, &["a sharded cluster"]),
    ("pages of no cluster", |n| n.clusters.clear(), 4, &["pages of no cluster"]),
    ("a cluster without pages", |n| n.pages.clear(), 4, &["0 elements in place of 3"]),
    ("a page of more elements", |n| n.pages[0][0][0].elements = 5, 4, &["5 elements in place of 3"]),
    ("a page of fewer elements", |n| n.pages[0][0][0].elements = 2, 4, &["2 elements in place of 3"]),
    ("a page of a million elements", |n| n.pages[0][0][0].elements = -(1 << 20), 4,
     &["1048576 elements in place of 3"]),
    ("a page outside of the file", |n| n.pages[0][0][0].place = Some(1 << 50), 4,
     &["the file ends before byte"]),
    ("a page of fewer bytes", |n| n.pages[0][0][0].length = Some(8), 4,
     &["the packed bytes end 12 bytes early"]),
    ("a page of all bytes there are", |n| n.pages[0][0][0].length = Some(i32::MAX), 4,
     &["the file ends before byte"]),
    ("a page of another checksum", |n| n.pages[0][0][0].elements = -3, 4,
     &["page at byte", "its checksum is wrong"]),
    ("a page in another store", |n| n.pages[0][0][0].length = Some(-1), 4,
     &["a place that is not in this file"]),
    ("lists that end before they begin", |n| n.pages[0][1] = vec![ends(&[2, 1, 3])], 4,
     &["a list of absurd length"]),
    ("a list of absurd length", |n| n.pages[0][1] = vec![ends(&[2, 2, 1 << 40])], 4,
     &["a list of absurd length"]),
    ("lists longer than their numbers", |n| n.pages[0][1] = vec![ends(&[2, 2, 4])], 4,
     &["3 elements in place of 4"]),
    ("lists of more numbers than there are", |n| {
        let most = u64::from(u32::MAX);
        n.pages[0][1] = vec![ends(&[most, 2 * most, 3 * most])];
    }, 4, &["3 elements in place of 12884901885"]),
    ("fewer lists than entries", |n| n.pages[0][1] = vec![ends(&[3])], 4, &["1 elements in place of 3"]),
    ("numbers that no list has", |n| n.pages[0][2].push(page(&[7.0])), 4, &["4 elements in place of 3"]),
    ("a variant", |n| {
        n.fields[1].role = 3;
        n.fields[1].type_name = "std::variant<float>".to_owned();
    }, 0, &["it is a field of type `std::variant<float>`"]),
    ("an object by its streamer", |n| {
        n.fields[0].role = 4;
        n.fields[0].type_name = "TLorentzVector".to_owned();
    }, 0, &["it is a field of type `TLorentzVector`"]),
    ("a text", |n| {
        n.fields[0].type_name = "std::string".to_owned();
        n.columns[0] = column(0, 0x0f, 64);
    }, 0, &["std::string", "it holds text"]),
    ("steps of no range", |n| n.columns[0] = column(0, 0x1d, 12), 0, FLOAT),
    ("steps of too many bits", |n| {
        n.columns[0] = column(0, 0x1d, 33);
        n.columns[0].range = Some([0.0, 1.0]);
    }, 0, FLOAT),
    ("steps of a range that is none", |n| {
        n.columns[0] = column(0, 0x1d, 32);
        n.columns[0].range = Some([f64::NAN, f64::INFINITY]);
    }, 0, &["x       Float64"]),
    ("a float of few bits", |n| n.columns[0] = column(0, 0x1c, 9), 0, FLOAT),
    ("a float of a byte", |n| n.columns[0].bits = 8, 0, FLOAT),
    ("an unknown kind of numbers", |n| n.columns[0].kind = 0x77, 0, FLOAT),
    ("two columns in one", |n| n.columns.push(column(0, 0x0c, 32)), 0, FLOAT),
    ("arrays of absurd length", |n| n.fields[0].repeats = Some(1 << 40), 0,
     &["its arrays have an absurd length"]),
    ("arrays of more than there is", |n| n.fields[0].repeats = Some(i32::MAX as u64), 4,
     &["3 elements in place of 6442450941"]),
    ("arrays of nothing", |n| n.fields[0].repeats = Some(0), 0, &["it holds lists without elements"]),
    ("lists in five lists", |n| collections(n, 5), 0, &["it holds lists nested 5 deep"]),
    ("lists in nine lists", |n| collections(n, 9), 0, FLOAT),
    ("lists in each other without end", |n| collections(n, 40), 0,
     &["its fields lie in each other without end"]),
    ("a name of thousands of letters", |n| n.fields[1].name = "n".repeat(3000), 0,
     &["its name has 3000 bytes"]),
    ("two fields of a name", |n| n.fields.push(field(3, 0, "x", "float")), 4,
     &["two columns are called `x`"]),
    ("elements that came too late", |n| {
        n.columns[0].later = Some(1 << 25);
        n.clusters[0] = [0, 1 << 25];
        n.pages[0][0].clear();
    }, 4, &["elements in place of 33554432"]),
];

#[test]
fn ntuples() {
    let place = Workplace::with_configuration("");
    try_all(55, NTUPLES, |change| {
        let mut ntuple = Ntuple::new();
        change(&mut ntuple);
        inspected(&place, "file.root", &ntuple.file())
    });
}

/// A tree behind a key that is changed, in a file that is.
fn kept(change: impl Fn(&mut File, &mut Key)) -> Vec<u8> {
    let mut file = File::default();
    let object = Tree::new().object(&mut file);
    let mut key = Key::new("TTree", "Events");
    change(&mut file, &mut key);
    file.object(&key, &object);
    file.finish()
}

/// The same as a block of a codec with both of its sizes, which says to be 100 bytes of a tree.
fn packed(codec: &[u8; 3], block: &[u8], [size, whole]: [u32; 2]) -> Vec<u8> {
    let sizes = [size, whole].map(|size| size.to_le_bytes());
    let object = [&codec[..], &sizes[0][..3], &sizes[1][..3], block].concat();
    let mut key = Key::new("TTree", "Events");
    key.unpacked = Some(100);
    let mut file = File::default();
    file.object(&key, &object);
    file.finish()
}

/// "abc" as zlib packs it.
const ABC: &[u8] = &[
    0x78, 1, 1, 3, 0, 0xfc, 0xff, b'a', b'b', b'c', 2, 0x4d, 1, 0x27,
];

#[rustfmt::skip]
const FILES: &[Line<Made>] = &[
    ("as it should be", || kept(|_, _| {}), 0, &["3 rows"]),
    ("nothing but the first word", || b"root".to_vec(), 4, &["the description ends after 4 bytes"]),
    ("a first folder outside of the file", || {
        let mut bytes = kept(|_, _| {});
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        bytes
    }, 4, &["at list of objects: the file ends before byte 2147483647"]),
    ("a first folder at a negative place", || {
        let mut bytes = kept(|_, _| {});
        bytes[8..12].copy_from_slice(&(-8_i32).to_be_bytes());
        bytes
    }, 4, &["a place of -8"]),
    ("no object", || File::default().finish(), 4, &["file.root: it holds no tree and no RNTuple"]),
    ("fewer than no objects", || kept(|f, _| f.count = Some(-1)), 4,
     &["at list of objects: a size of -1"]),
    ("more objects than there are", || kept(|f, _| f.count = Some(1 << 30)), 4,
     &["at list of objects: the description ends after"]),
    ("a list of objects outside of the file", || kept(|f, _| f.list = Some([1 << 30, 100])), 4,
     &["at list of objects: the file ends before byte"]),
    ("a list of objects longer than the file", || kept(|f, _| f.list = Some([200, 1 << 30])), 4,
     &["the lists of its folders are longer than the file"]),
    ("a list of objects at a negative place", || kept(|f, _| f.list = Some([-1, 100])), 4,
     &["a place of -1"]),
    ("a key longer than its object", || kept(|_, k| k.header = Some(60_000)), 4,
     &["the key of `Events` is longer than its object"]),
    ("a key of negative length", || kept(|_, k| k.length = Some(-4)), 4, &["a size of -4"]),
    ("an object outside of the file", || kept(|_, k| k.place = Some(1 << 30)), 4,
     &["at `Events`: the file ends before byte"]),
    ("an object of negative size", || kept(|_, k| k.unpacked = Some(-9)), 4, &["a size of -9"]),
    ("an object of other bytes", || kept(|_, k| k.place = Some(64)), 4, &["at `Events`: "]),
    ("a folder in itself", || kept(|f, _| {
        let mut key = Key::new("TDirectory", "a");
        key.place = Some(24);
        f.object(&key, &[0; 64]);
    }), 4, &["the folder \"a\" lies in itself"]),
    ("an unknown codec", || packed(b"YY\0", &[0; 9], [9, 100]), 4, &["an unknown codec \"YY\""]),
    ("a block longer than the object", || packed(b"ZL\x08", &[0; 9], [1000, 100]), 4,
     &["a packed block ends early"]),
    ("a block of nothing", || packed(b"ZL\x08", ABC, [14, 0]), 4, &["a block of 0 bytes, of 100"]),
    ("a block of more than the object", || packed(b"ZS\x01", ABC, [14, 101]), 4,
     &["a block of 101 bytes, of 100"]),
    ("blocks of less than the object", || packed(b"ZL\x08", ABC, [14, 3]), 4,
     &["the packed bytes end 97 bytes early"]),
    ("a block that says to be longer", || packed(b"ZL\x08", ABC, [14, 20]), 4,
     &["a block has not the size that it says"]),
    ("a block that says to be shorter", || packed(b"ZL\x08", ABC, [14, 2]), 4,
     &["a zlib block has not the size that it says"]),
    ("what zlib does not write", || packed(b"ZL\x08", &[0xff; 20], [20, 100]), 4, &["zlib: "]),
    ("an lz4 block without a checksum", || packed(b"L4\x01", &[0; 4], [4, 100]), 4,
     &["a block ends early"]),
    ("an lz4 block of another checksum", || packed(b"L4\x01", &[0; 20], [20, 100]), 4,
     &["the checksum of an lz4 block is wrong"]),
    ("what zstd does not write", || packed(b"ZS\x01", &[0xff; 20], [20, 100]), 4, &["zstd: "]),
    ("what lzma does not write", || packed(b"XZ\0", &[0xff; 20], [20, 100]), 4, &["lzma: "]),
    ("packed bytes of another object", || packed(b"ZL\x08", ABC, [14, 1 << 20]), 4, &["a block of"]),
];

#[test]
fn root_files() {
    let place = Workplace::with_configuration("");
    try_all(25, FILES, |bytes| inspected(&place, "file.root", &bytes()));
}

/// A Parquet file of so many rows with another footer.
fn footed(
    rows: usize,
    change: impl Fn(&ParquetMetaData, Vec<RowGroupMetaData>) -> ParquetMetaData,
) -> Vec<u8> {
    let place = Workplace::with_configuration("");
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![Some([Some(1.0)]); rows]);
    let columns = Columns::numbered(0, rows).with("list", Arc::new(lists));
    place.put("good.parquet", &columns);
    let file = std::fs::File::open(place.path("good.parquet")).unwrap();
    let about = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap();
    let about = change(&about, about.row_groups().to_vec());
    let mut bytes = place.read("good.parquet");
    let footer = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap());
    bytes.truncate(bytes.len() - 8 - footer as usize);
    ParquetMetaDataWriter::new(&mut bytes, &about)
        .finish()
        .unwrap();
    bytes
}

/// With so many rows in the file's only group, which has three.
fn of_rows(rows: i64) -> Vec<u8> {
    says(3, rows, |_| true)
}

/// A file that says to have so many rows, and as many values in `columns`.
fn says(has: usize, rows: i64, columns: impl Fn(usize) -> bool) -> Vec<u8> {
    footed(has, |about, mut groups| {
        let (of_file, mut of_group) = (about.file_metadata(), groups.remove(0).into_builder());
        let all = of_group.take_columns().into_iter().enumerate();
        let columns = all.map(|(k, column)| match columns(k) {
            true => column.into_builder().set_num_values(rows).build().unwrap(),
            false => column,
        });
        let of_group = of_group.set_column_metadata(columns.collect());
        let schema = of_file.schema_descr_ptr();
        let of_file = FileMetaData::new(2, rows, None, None, schema, None);
        ParquetMetaData::new(of_file, vec![of_group.set_num_rows(rows).build().unwrap()])
    })
}

/// With another place, length and number of values of its first column.
fn of_column(place: i64, bytes: i64, values: i64) -> Vec<u8> {
    footed(3, |about, mut groups| {
        let column = groups[0].column(0).clone().into_builder();
        let column = column
            .set_data_page_offset(place)
            .set_dictionary_page_offset(None);
        let column = column
            .set_total_compressed_size(bytes)
            .set_num_values(values);
        groups[0].columns_mut()[0] = column.build().unwrap();
        ParquetMetaData::new(about.file_metadata().clone(), groups)
    })
}

/// A footer with a group in so many others.
fn nested(groups: u16) -> Vec<u8> {
    let [high, low] = ((groups + 1) << 1).to_be_bytes();
    // the version; a list of elements, each with a name and a child but for the last
    let mut footer = vec![0x15, 2, 0x19, 0xfc, low >> 1 | 0x80, high];
    footer.extend([0x48, 1, b'x', 0x15, 2, 0].repeat(groups.into()));
    footer.extend([0x15, 10, 0x25, 0, 0x18, 1, b'x', 0]);
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [&b"PAR1"[..], &footer, &length, b"PAR1"].concat()
}

/// An Arrow file of 12345 rows with another number in place of it.
fn of_arrow(rows: i64) -> Vec<u8> {
    let place = Workplace::with_configuration("");
    let numbers = Arc::new(Int16Array::from(vec![1; 12_345]));
    Columns::default()
        .with("x", numbers)
        .write_arrow(&place.path("good.arrow"));
    let mut bytes = place.read("good.arrow");
    let old = 12_345_i64.to_le_bytes();
    let found: Vec<usize> = (0..bytes.len() - 8)
        .filter(|&at| bytes[at..at + 8] == old)
        .collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at..at + 8].copy_from_slice(&rows.to_le_bytes());
    }
    bytes
}

/// A file of lists of no length beside numbers.
fn of_nothing() -> Vec<u8> {
    let place = Workplace::with_configuration("");
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let nulls = Some(vec![true, false, true].into());
    let empty = FixedSizeListArray::try_new(
        item,
        0,
        arrow::array::new_empty_array(&DataType::Float64),
        nulls,
    );
    let columns = Columns::numbered(0, 3).with("empty", Arc::new(empty.unwrap()));
    columns.write_arrow(&place.path("x.arrow"));
    place.read("x.arrow")
}

#[rustfmt::skip]
const COLUMNAR: &[Line<Made>] = &[
    ("as it should be", || of_rows(3), 0, &["3 rows", "list", "elements"]),
    ("more rows than can be", || of_rows(1 << 50), 4,
     &["at footer, row group 0: it says that it has 1125899906842624 rows"]),
    ("more rows than there are", || of_rows(5), 4, &["file: corrupt or truncated at row group 0"]),
    ("fewer rows than there are", || of_rows(2), 4,
     &["file: corrupt or truncated at row group 0: it promises 2 rows and holds more"]),
    ("fewer rows than lists have values", || says(3, 2, |k| k == 0), 4, &["it promises 2 rows and holds more"]),
    ("fewer rows in the last of several parts", || says(300_000, 290_000, |_| true), 4, &[" rows and holds more"]),
    ("no rows where there are some", || of_rows(0), 4,
     &["at footer, row group 0: it says that it has no rows, and its pages have some"]),
    ("fewer than no rows", || of_rows(-1), 4, &["corrupt or truncated at footer"]),
    ("a column outside of the file", || of_column(1 << 40, 20, 3), 4, &["lies outside the file"]),
    ("a column at a negative place", || of_column(-4, 20, 3), 4, &["corrupt or truncated at footer"]),
    ("a column of negative length", || of_column(4, -20, 3), 4, &["lies outside the file"]),
    ("a column of other values", || of_column(4, 20, 7), 4, &["has 7 values for 3 rows"]),
    ("a column in another's place", || of_column(20, 20, 3), 4, &["file: corrupt or truncated at row group 0"]),
    ("groups in groups without end", || nested(16_000), 4,
     &["at footer: columns nested 16000 deep, at most 128 can be read"]),
    ("groups in groups to the end", || nested(100), 4, &["file: "]),
    ("an Arrow file as it should be", || of_arrow(12_345), 0, &["12345 rows"]),
    ("more rows of Arrow than can be", || of_arrow(1 << 50), 4,
     &["it says that it has 1125899906842624 rows"]),
    ("fewer than no rows of Arrow", || of_arrow(-1), 4, &["a negative number of rows"]),
    ("rows of Arrow without values", || of_arrow(1 << 30), 4, &["at record batch 0"]),
    ("lists of no length", of_nothing, 0, &["3 rows", "it holds lists without elements; leave it out"]),
];

#[test]
fn columnar_files() {
    let place = Workplace::with_configuration("");
    try_all(15, COLUMNAR, |bytes| inspected(&place, "file", &bytes()));
}

/// Where no column is wanted to count events, they are those of a column all the same.
#[test]
fn rows_that_no_column_has_are_not_counted() {
    let place = Workplace::new();
    place.write("rows.arrow", of_arrow(1 << 39));
    place.write("good.arrow", of_arrow(12_345));
    let settings = [
        "data.source={path='rows.arrow'}",
        "data.target={path='good.arrow'}",
        "regions={cr={selection='1'}}",
        "features.inputs=['x', 'x^2', 'x^3', 'x^4']",
    ];
    let plan = [
        &["plan", "config.toml", "--no-calibration"][..],
        &set(&settings),
    ]
    .concat();
    let done = place.start(&plan).end().exits(4);
    done.warns(["rows.arrow: corrupt or truncated at record batch 0"]);
}

/// A column of lists, null where an event has none.
fn lists<N: Into<Option<f64>>>(of: impl Fn(usize) -> Option<Vec<N>>) -> ArrayRef {
    let list = |i| {
        of(i).map(|list| {
            list.into_iter()
                .map(Into::into)
                .collect::<Vec<Option<f64>>>()
        })
    };
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(
        (0..400).map(list),
    ))
}

/// The samples of the reweighting with lists of 0 to 3 numbers.
fn with_lists() -> Workplace {
    let place = Workplace::new();
    place.edit_both(|columns| {
        let pt = |i: usize| -> Vec<f64> { (0..i % 4).map(|k| (10 * i + k) as f64).collect() };
        let inner = |i| -> Vec<Option<f64>> {
            pt(i).into_iter().map(|x| (x > 30.0).then_some(x)).collect()
        };
        columns.set("jets", lists(|i| Some(pt(i))));
        columns.set("short", lists(|i| Some(pt(if i == 7 { 6 } else { i }))));
        columns.set("holes", lists(|i| Some(inner(i))));
        columns.set("none", lists(|i| (i != 9).then(|| pt(i))));
        columns.set("nan", lists(|i| Some(vec![f64::NAN; i % 4])));
        columns.set(
            "place",
            doubles((0..400).map(|i| if i == 5 { 0.5 } else { 0.0 })),
        );
        columns.set("below", integers(vec![-1_i64; 400]));
        columns.set(
            "words",
            Arc::new(StringArray::from_iter_values(
                (0..400).map(|i| format!("{i}")),
            )),
        );
        for name in ["", "a}b", " space"] {
            columns.set(name, doubles(vec![1.0; 400]));
        }
        let mut deep = columns.get("jets").clone();
        for name in ["two", "three", "four", "five"] {
            let item = Arc::new(Field::new("item", deep.data_type().clone(), true));
            let each = arrow::buffer::OffsetBuffer::from_lengths([1; 400]);
            deep = Arc::new(ListArray::new(item, each, deep, None));
            columns.set(name, deep.clone());
        }
    });
    place
}

const NEEDED: &[&str] = &[
    "`features.inputs (in data.source)`",
    "for every event, and a number is needed: write",
];

/// Settings; what begins with no key is an input.
#[rustfmt::skip]
const LISTS: &[Line<&str>] = &[
    ("a list", "jets", 3, NEEDED),
    ("a list of truths", "jets > 20", 3, &["`any(jets > 20)`", "`count(jets > 20)`"]),
    ("a sum of lists of lists", "sum(two)", 3, NEEDED),
    ("a list that is chosen", "jets[jets > 20]", 3, NEEDED),
    ("the first of lists of lists", "three[0][0]", 3, NEEDED),
    ("lists that are not equally long", "sum(jets * short)", 4,
     &["the lists `jets` and `short` have 3 and 2 elements on row 7 of source.parquet"]),
    ("a mask that is not as long", "sum(jets[short > 0])", 4, &["on row 7 of source.parquet"]),
    ("null in a list", "sum(holes)", 4, &["`sum(holes)` is missing or not finite", "data.on_missing"]),
    ("a null list", "len(none)", 4, &["`len(none)` is missing or not finite on 1 of", "first on row 9"]),
    ("NaN in a list", "max(nan)", 4, &["`max(nan)` is missing or not finite"]),
    ("an element that is not there", "jets[3]", 4, &["`jets[3]` is missing or not finite on 400 of"]),
    ("a place far behind", "jets[1e300]", 4, &["is missing or not finite on 400 of"]),
    ("a place before the first", "jets[-1]", 3, &["`-1` is no place in a list", "jets[len(jets) - 1]"]),
    ("a place between two", "jets[0.5]", 3, &["`0.5` is no place in a list: elements are counted 0, 1, 2"]),
    ("a place between two of an event", "jets[place]", 4, &["`place` is 0.5 on row 5 of source.parquet"]),
    ("a place below all", "jets[below]", 4, &["is missing or not finite on 400 of"]),
    ("a list of places", "sum(jets[jets])", 3, &["neither a place nor a truth for every element"]),
    ("no place", "jets[]", 3, &["a value is missing after `[`"]),
    ("two places", "jets[0, 1]", 3, &["a comma only separates the two arguments of a function"]),
    ("a bracket that is not closed", "jets[0", 3, &["this `[` is never closed"]),
    ("a bracket that is not opened", "jets]0[", 3, &["this `]` has no `[` before it"]),
    ("a bracket of nothing", "[0]", 3, &["a value is missing at the start"]),
    ("an element of a number", "mass[0]", 3, &["`mass` is a number and has no elements"]),
    ("a count of numbers", "count(mass)", 3, &["`count` makes a number of a list, and `mass` is a number"]),
    ("a count of words", "count(words)", 3, &["column `words` is Utf8, not a number: it holds text"]),
    ("lists nested too deep", "sum(five)", 3, &["it holds lists nested 5 deep; at most 4 levels can be used"]),
    ("a circle of brackets", "jets[jets[jets[0]]]", 4, &["is missing or not finite"]),
    // a file with a column that has no name says of each other mistake what it is
    ("an unknown column", "masss", 3, &["there is no column `masss`; did you mean `mass`?"]),
    ("a column without a name", "{}", 3, &["has no closing `}` after a name"]),
    ("a name with a brace", "{a}b}", 3, &["expression: "]),
    ("a weight of lists", "data.source.weight=jets", 3, &["`data.source.weight`", "a number is needed"]),
    ("a weight of null", "data.source.weight=jets[0]", 4, &["row 0: the weight is NaN; weights must be finite"]),
    ("a selection of lists", "data.source.selection=jets > 1", 3,
     &["`data.source.selection`", "`any(jets > 1)`"]),
    ("a region of lists", "regions.cr.selection=jets", 3, &["`regions.cr.selection (in data.source)`"]),
    ("ids of lists", "data.source.id=['jets']", 4, &["column `jets`: expected an integer, found List("]),
    ("categories of lists", "features.one_hot={jets=[1.0]}", 3, &["`features.one_hot.jets (in data.source)`"]),
    ("a figure of lists", "report.variables=[{name='v', expression='jets', bins=4}]", 3,
     &["report, v (in data.source)", "a number is needed"]),
    ("a plane of lists", "report.planes=[{name='p', x='jets', y='mass', x_range=[0, 1], y_range=[0, 1]}]", 3,
     &["report, p:x (in data.source)", "a number is needed"]),
    ("a definition in a circle of lists", "data.define={a='sum(b)', b='jets * a'}", 3,
     &["definitions go round in a circle: a -> b -> a"]),
];

#[test]
fn columns_of_lists() {
    let place = with_lists();
    try_all(35, LISTS, |text| {
        let input = format!("features.inputs=[{text:?}, 'mass']");
        let is_setting = ["data.", "features.", "regions.", "report."]
            .iter()
            .any(|t| text.starts_with(t));
        place.plan(&[if is_setting { text } else { input.as_str() }])
    });
}

const PLANE: &str = "y='mass', y_range=[0, 1]";
const MASS: &str = "name='v', expression='mass'";
const STRING: &str = "allowed is a string";
const RISING: &[&str] = &[
    "`report.planes[0].x_range`",
    "a lower and a higher finite number",
];

/// Keys of `report` and of labels with values, in which `PLANE` and `MASS` stand for some more.
#[rustfmt::skip]
const FIGURES: &[Line<&str>] = &[
    ("a number", "report=3", 3, &["`report`: found 3; allowed is a table"]),
    ("a list", "report=['title', 'words']", 3, &["`report`: found [\"title\", \"words\"]; allowed is a table"]),
    ("a plane as a list", "report.planes=[['p', 'pt', 'eta', [0, 1], [0, 1]]]", 3,
     &["`report.planes[0]`: found [", "allowed is a table"]),
    ("an unknown format", "report.formats=['gif']", 3, &["`report`: unknown key `formats`", "`luminosity`"]),
    ("an unknown style", "report.style='steps'", 3, &["found \"steps\"; allowed is one of \"line\", \"filled\""]),
    ("a style in capitals", "report.style='Filled'", 3, &["did you mean \"filled\"?"]),
    ("a number for a style", "report.style=1", 3, &["`report.style`: found 1; allowed is one of"]),
    ("a word for a switch", "report.density='yes'", 3, &["`report.density`", "allowed is a boolean"]),
    ("a number for a switch", "report.density=1", 3, &["`report.density`: found 1; allowed is a boolean"]),
    ("a negative luminosity", "report.luminosity=-1", 3, &["found -1.0; allowed is a number above 0, or a text"]),
    ("no luminosity", "report.luminosity=0", 3, &["`report.luminosity`: found 0.0; allowed is a number above 0"]),
    ("a luminosity that is none", "report.luminosity=nan", 3, &["`report.luminosity`: found NaN"]),
    ("a luminosity of two", "report.luminosity=[138, 300]", 3, &["allowed is a number or a text"]),
    ("a luminosity that is true", "report.luminosity=true", 3, &["found true; allowed is a number or a text"]),
    ("a negative energy", "report.com=-13", 3, &["`report.com`: found -13.0"]),
    ("an energy without end", "report.com=inf", 3, &["`report.com`: found inf"]),
    ("a number for an experiment", "report.experiment=3", 3, &["`report.experiment`: found 3", STRING]),
    ("experiments", "report.experiment=['CMS']", 3, &["`report.experiment`: found [\"CMS\"]", STRING]),
    ("a switch for a status", "report.status=true", 3, &["`report.status`: found true", STRING]),
    ("a table for a title", "report.title={ text = 'x' }", 3, &["`report.title`: found a table", STRING]),
    ("no bins", "report.bins=0", 3, &["`report.bins`: found 0; allowed is 1 to 1000"]),
    ("bins without end", "report.bins=1000000000", 3, &["`report.bins`: found 1000000000; allowed is 1 to 1000"]),
    ("half a bin", "report.bins=1.5", 3, &["found 1.5; allowed is a whole number that is not negative"]),
    ("a probability of one", "report.p_value=1", 3, &["`report.p_value`: found 1.0; allowed is above 0 and below 1"]),
    ("a probability that is none", "report.p_value=nan", 3, &["`report.p_value`: found NaN"]),
    ("fewer than no classifiers", "report.classifier_members=-1", 3, &["found -1; allowed is a whole number"]),
    ("a table for planes", "report.planes={}", 3, &["`report.planes`: found a table; allowed is a list"]),
    ("a plane without a name", "report.planes=[{}]", 3, &["`report.planes[0]`: key `name` is missing"]),
    ("a plane with a path", "report.planes=[{name='../p', x='pt', x_range=[0, 1], PLANE}]", 3,
     &["`report.planes[0].name`: found \"../p\"; allowed is 1 to 64 letters"]),
    ("a plane upside down", "report.planes=[{name='p', x='pt', x_range=[1, 0], PLANE}]", 3, RISING),
    ("a plane to nowhere", "report.planes=[{name='p', x='pt', x_range=[0, nan], PLANE}]", 3, RISING),
    ("a plane of three ends", "report.planes=[{name='p', x='pt', x_range=[0, 1, 2], PLANE}]", 3,
     &["allowed is a list of 2 values"]),
    ("a plane wider than numbers", "report.planes=[{name='p', x='pt', x_range=[-1e308, 1e308], PLANE}]", 3,
     &["`report.planes[0].x_range`", "a range in which every bin has two finite ends that differ"]),
    ("a plane thinner than numbers", "report.planes=[{name='p', x='pt', x_range=[1, 1.0000000000000002], PLANE}]", 3,
     &["`report.planes[0].x_range`", "a range in which every bin has two finite ends that differ"]),
    ("a plane of too many bins", "report.planes=[{name='p', x='pt', x_range=[0, 1], bins=201, PLANE}]", 3,
     &["`report.planes[0].bins`: found 201; allowed is 1 to 200"]),
    ("two planes of a name",
     "report.planes=[{name='p', x='pt', x_range=[0, 1], PLANE}, {name='p', x='eta', x_range=[0, 1], PLANE}]", 3,
     &["`report.planes[1].name`: found \"p\"; allowed is a name of its own"]),
    ("a plane of no column", "report.planes=[{name='p', x='ptt', x_range=[0, 1], PLANE}]", 3,
     &["report, p:x (in data.source)", "there is no column `ptt`; did you mean `pt`?"]),
    ("edges that stand still", "report.variables=[{MASS, bins=[0, 0]}]", 3,
     &["`report.variables[0].bins`: edge 1 (0) is not a finite number above the edge before it"]),
    ("one edge", "report.variables=[{MASS, bins=[1]}]", 3, &["1 edges; at least 2 are needed"]),
    ("no edge", "report.variables=[{MASS, bins=[]}]", 3, &["0 edges; at least 2 are needed"]),
    ("an edge without end", "report.variables=[{MASS, bins=[0, inf]}]", 3, &["edge 1 (inf)"]),
    ("bins below none", "report.variables=[{MASS, bins=-3}]", 3,
     &["a list of increasing edges or a number of bins"]),
    ("no bins of a variable", "report.variables=[{MASS}]", 3, &["key `bins` is missing"]),
    ("a colour", "report.variables=[{MASS, bins=4, colour='red'}]", 3,
     &["`report.variables[0]`: unknown key `colour`; allowed are `name`"]),
    ("two variables of a name", "report.variables=[{MASS, bins=4}, {name='v', expression='pt', bins=4}]", 3,
     &["`report.variables[1].name`: found \"v\"; allowed is a name of its own"]),
    ("a name of no letters", "report.variables=[{name='', expression='mass', bins=4}]", 3,
     &["`report.variables[0].name`: found \"\"; allowed is 1 to 64 letters"]),
    ("a variable of nothing", "report.variables=[{name='v', expression='', bins=4}]", 3, &["the expression is empty"]),
    ("a ranking by a region that is none", "report.rank_by={kind='auc', region='x'}", 3,
     &["`report.rank_by.region`: found \"x\""]),
    ("a ranking by the best", "report.rank_by={kind='best'}", 3, &["allowed is one of \"held_out_loss\", \"auc\", \"chi2\""]),
    ("a label of no input", "features.labels={masss='x'}", 3, &["`masss` is no input"]),
    ("a number for a label", "features.labels={pt=1}", 3, &["`features.labels.pt`: found 1", STRING]),
];

#[test]
fn settings_of_figures() {
    let place = Workplace::new();
    try_all(45, FIGURES, |text| {
        place.plan(&[&text.replace("PLANE", PLANE).replace("MASS", MASS)])
    });
}

/// What a terminal, a page or a drawing would act on is text in all of them.
#[test]
fn words_in_figures_stay_words() {
    let place = Workplace::new();
    let endless = format!("report.data_label=\"{}\"", "_{^{ ".repeat(20_000));
    let script = "</title></svg>]]><script>alert(1)</script>&#0;";
    let texts = [
        r#"report.experiment="\u001b[2J\u0000<b>&\uFFFF\u202e""#.to_owned(),
        format!("report.title=\"{script}\""),
        format!("report.status=\"{script}\""),
        format!("report.luminosity=\"{script}\""),
        format!("experiment.description=\"{script}\""),
        format!("regions.sr.label=\"{script}\""),
        format!("data.source.label=\"{script}\""),
        format!("features.labels={{pt=\"{script}\"}}"),
        "report.com=1e308".to_owned(),
        endless,
    ];
    let settings: Vec<&str> = texts.iter().map(String::as_str).collect();
    let done = place.run("out", &settings).exits(0);
    assert!(!(done.stdout + &done.stderr).contains(['\u{1b}', '\0', '\u{202e}']));
    assert!(!place.text("out/report.html").contains("<script>alert"));
    let drawn = tree(&place.path("out/plots"));
    let drawn: Vec<_> = drawn
        .iter()
        .filter(|(name, _)| name.extension().is_some_and(|e| e == "svg"))
        .collect();
    assert!(drawn.len() >= 4, "{}", drawn.len());
    for (name, bytes) in drawn {
        let text = std::str::from_utf8(bytes).unwrap();
        let document = Document::parse(text).unwrap_or_else(|e| panic!("{}: {e}", name.display()));
        assert!(
            !document
                .descendants()
                .any(|node| node.has_tag_name("script"))
        );
    }
}

/// Files that `init` may be given.
fn with_files() -> Workplace {
    let place = Workplace::new();
    let both = [
        place.events("source.parquet"),
        place.events("target.parquet"),
    ];
    let put = |name: &str, change: &dyn Fn(&mut Columns)| {
        let mut columns = both[1].clone();
        change(&mut columns);
        place.put(name, &columns);
    };
    let words = |columns: &Columns| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..columns.len()).map(|i| format!("{i}")),
        ))
    };
    let alone = |name: &str, values: ArrayRef| Columns::default().with(name, values);
    for (name, columns) in [
        ("words", alone("name", words(&both[0]))),
        ("one", alone("pt", doubles(vec![1.0; 400]))),
        ("nan", alone("pt", doubles(vec![f64::NAN; 400]))),
        ("null", alone("pt", doubles(vec![None::<f64>; 400]))),
        ("lists", alone("pt", lists(|_| Some(vec![1.0])))),
    ] {
        place.put(&format!("{name}.parquet"), &columns);
        place.put(&format!("{name}_2.parquet"), &columns.slice(0, 399));
    }
    place.put("other.parquet", &alone("charge", integers(0..400_i64)));
    put("none.parquet", &|columns| columns.truncate(0));
    put("text.parquet", &|columns| {
        let words = words(columns);
        columns.set("pt", words);
    });
    put("labels.parquet", &|columns| {
        columns.set("a", integers((0..400_i64).map(|i| i % 2)));
        columns.set("b", integers((0..400_i64).map(|i| i / 200)));
    });
    for (name, sample) in ["odd_a.parquet", "odd_b.parquet"].iter().zip(&both) {
        let mut columns = sample.clone();
        for odd in [
            "",
            " ",
            "a}b",
            "new\nline",
            "\u{1b}[2J",
            "quo\"te'",
            "ünï",
            "{x}",
            "pi",
            "a-b",
        ] {
            columns.set(odd, columns.get("pt").clone());
        }
        columns.set("same\nline", doubles(vec![1.0; columns.len()]));
        place.put(name, &columns);
    }
    for name in [
        "it's.parquet",
        "quo\"te.parquet",
        "new\nline.parquet",
        "ünï.parquet",
        "st[a]r.parquet",
    ] {
        place.put(name, &both[1]);
    }
    place.write("empty.parquet", "");
    place.write("table.csv", "pt,eta\n1,2\n");
    place.write("mine.toml", "mine");
    std::fs::create_dir(place.path("folder")).unwrap();
    #[cfg(unix)]
    {
        let mut command = std::process::Command::new("mkfifo");
        assert!(command.arg(place.path("pipe")).status().unwrap().success());
        std::os::unix::fs::symlink("nowhere", place.path("lost")).unwrap();
    }
    place
}

const NO_INPUT: &str = "no column can be an input: ";

/// Arguments of `init`, with commas between them.
#[rustfmt::skip]
const STARTS: &[Line<&str>] = &[
    ("no file", "", 2, &["required arguments were not provided", "<DATA>"]),
    ("a file that is not there", "nothing.parquet", 4, &["nothing.parquet: no such file"]),
    ("a second file that is not there", "source.parquet,nothing.parquet", 4, &["nothing.parquet: no such file"]),
    ("a pattern without files", "*.nothing", 4, &["no file matches `*.nothing`"]),
    ("a pattern that is none", "[,source.parquet", 3, &["`[` is not a valid file pattern"]),
    ("an empty file", "empty.parquet,source.parquet", 4, &["empty.parquet: neither", "the file is empty"]),
    ("a file without rows", "source.parquet,none.parquet", 4, &["no rows in none.parquet"]),
    ("a text", "table.csv", 4, &["table.csv: neither", "perhaps CSV; convert it to Parquet"]),
    ("a folder", "folder", 4, &["folder: not a regular file", "write folder/*.parquet"]),
    ("a device", "/dev/zero,source.parquet", 4, &["/dev/zero: not a regular file"]),
    ("a tree of a file without", "source.parquet:Events,target.parquet", 4, &["no such file"]),
    ("one sample", "source.parquet", 2, &["no column that tells two classes apart"]),
    ("one file as both samples", "source.parquet,./source.parquet", 2, &["source.parquet is in both samples"]),
    ("two columns of classes", "labels.parquet", 2, &["several columns could tell two classes apart: a, b"]),
    ("words alone", "words.parquet,words_2.parquet", 4, &[NO_INPUT, "`name` holds text; write a number for each"]),
    ("lists alone", "lists.parquet,lists_2.parquet", 4, &[NO_INPUT, "`pt` is a list"]),
    ("the same everywhere", "one.parquet,one_2.parquet", 4, &[NO_INPUT, "`pt` is the same everywhere"]),
    ("no number", "nan.parquet,nan_2.parquet", 4, &[NO_INPUT, "`pt` has no number"]),
    ("nothing but null", "null.parquet,null_2.parquet", 4, &[NO_INPUT, "`pt` has no number"]),
    ("no column in both", "source.parquet,other.parquet", 4, &[NO_INPUT, "`pt`, `eta`", "each is in one of the samples alone"]),
    ("no column in all files of a sample", "source.parquet,target.parquet,other.parquet", 4,
     &["source.parquet: column `charge`: expected a number, found no such column"]),
    ("a column that is text in one", "source.parquet,text.parquet,--out,t.toml", 0,
     &["written t.toml: 3 inputs", "next    sideband plan t.toml"]),
    ("names with an apostrophe", "source.parquet,it's.parquet,--out,1.toml", 0, &["next    sideband plan 1.toml"]),
    ("names with a quote", "source.parquet,quo\"te.parquet,--out,2.toml", 0, &["next    sideband plan 2.toml"]),
    ("names with a new line", "source.parquet,new\nline.parquet,--out,3.toml", 0, &["next    sideband plan 3.toml"]),
    ("names of other letters", "source.parquet,ünï.parquet,--out,4.toml", 0, &["next    sideband plan 4.toml"]),
    ("names like a pattern", "source.parquet,st[a]r.parquet,--out,5.toml", 0, &["next    sideband plan 5.toml"]),
    ("columns of all names", "odd_a.parquet,odd_b.parquet,--out,6.toml", 0, &["next    sideband plan 6.toml"]),
    ("an output with a new line", "source.parquet,target.parquet,--out,a\nb.toml", 0, &["next    sideband plan a"]),
    ("an output that is there", "source.parquet,target.parquet,--out,mine.toml", 2,
     &["mine.toml is there already: name another file, or give --force"]),
    ("an output that is an input", "source.parquet,target.parquet,--out,source.parquet,--force", 2,
     &["--out source.parquet is one of the input files"]),
    ("an output that is a folder", "source.parquet,target.parquet,--out,folder,--force", 2,
     &["--out folder is a folder; name a regular file"]),
    ("an output in no folder", "source.parquet,target.parquet,--out,none/x.toml", 2,
     &["choose a file in a folder that exists"]),
    ("an output without a name", "source.parquet,target.parquet,--out,/", 2, &["--out / is a folder"]),
    ("an option that is none", "source.parquet,target.parquet,--what", 2, &["unexpected argument '--what'"]),
    #[cfg(unix)]
    ("a pipe", "pipe", 4, &["pipe: not a regular file"]),
    #[cfg(unix)]
    ("a pipe as the second", "source.parquet,pipe", 4, &["pipe: not a regular file"]),
    #[cfg(unix)]
    ("an output that is a pipe", "source.parquet,target.parquet,--out,pipe,--force", 2,
     &["--out pipe is a pipe (FIFO); name a regular file"]),
    #[cfg(unix)]
    ("an output that leads nowhere", "source.parquet,target.parquet,--out,lost", 2,
     &["--out lost is a symbolic link that leads nowhere"]),
    #[cfg(unix)]
    ("an output that is a device", "source.parquet,target.parquet,--out,/dev/null,--force", 2,
     &["--out /dev/null is a device"]),
];

#[test]
fn files_for_init() {
    let place = with_files();
    try_all(34, STARTS, |arguments| {
        let arguments: Vec<&str> = arguments
            .split(',')
            .filter(|argument| !argument.is_empty())
            .collect();
        place.start(&[&["init"][..], &arguments].concat()).end()
    });
    assert_eq!(place.text("mine.toml"), "mine");
    let text = place.text("6.toml");
    contains(
        &text,
        [
            "#   has a name that no expression can hold; rename it: ",
            "\"a}b\"",
            "\"{a-b}\",",
            "\"{pi}\",",
        ],
    );
    contains(&text, [r"#   is the same everywhere: {same\x0aline}"]);
}
