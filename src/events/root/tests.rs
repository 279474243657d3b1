#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::Float64Type;
use serde::Deserialize;
use sideband_numerics::random::Key;

use super::basket::{Basket, Place};
use super::*;
use crate::events::part::Fault;

/// What `scripts/make_root.py` found in a column with uproot.
#[derive(Deserialize)]
struct Expected {
    kind: String,
    values: usize,
    sum: String,
    lengths: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    entries: u64,
    columns: BTreeMap<String, Expected>,
}

type Contents = BTreeMap<String, BTreeMap<String, Table>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/root")
}

fn contents() -> Contents {
    let text = std::fs::read_to_string(folder().join("contents.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(path: &Path, name: Option<&str>) -> Result<Opened<RootFile>, Fault> {
    let file = File::open(path).unwrap();
    let bytes = file.metadata().unwrap().len();
    RootFile::open(file, bytes, name)
}

/// All rows of the columns that can be read, by name.
fn read(path: &Path, name: Option<&str>) -> Result<(u64, BTreeMap<String, ArrayRef>), Fault> {
    let (root, schema, parts) = open(path, name)?;
    let fields = schema.fields().iter().enumerate();
    let usable = fields.filter(|(_, field)| *field.data_type() != DataType::Null);
    let wanted: Vec<usize> = usable.map(|(place, _)| place).collect();
    let mut batches = Vec::new();
    for part in &parts {
        root.read(path, *part, &wanted, &mut |batch| {
            batches.push(batch);
            true
        })?;
    }
    let rows = parts.iter().map(|part| part.rows).sum();
    let schema = Arc::new(schema.project(&wanted).unwrap());
    let whole = arrow::compute::concat_batches(&schema, &batches).unwrap();
    assert_eq!(whole.num_rows() as u64, rows);
    let named = schema.fields().iter().zip(whole.columns());
    let named = named.map(|(field, array)| (field.name().clone(), Arc::clone(array)));
    Ok((rows, named.collect()))
}

/// The numbers of a column with the lengths of its outermost lists.
fn flat(array: &ArrayRef) -> (ArrayRef, Option<Vec<usize>>) {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let lengths = lists.offsets().lengths().collect();
            (flat(lists.values()).0, Some(lengths))
        }
        DataType::FixedSizeList(_, length) => {
            let lists = array.as_fixed_size_list();
            let lengths = vec![*length as usize; lists.len()];
            (flat(lists.values()).0, Some(lengths))
        }
        _ => (Arc::clone(array), None),
    }
}

fn weighted<T: From<u16> + std::ops::Mul<Output = T> + std::iter::Sum>(
    values: impl Iterator<Item = T>,
) -> T {
    let places = (0..1000_u16).map(|place| place + 1).cycle();
    values
        .zip(places)
        .map(|(value, weight)| T::from(weight) * value)
        .sum()
}

/// Whether a column is what uproot has read of it.
fn check(array: &ArrayRef, expected: &Expected, what: &str) {
    let (values, lengths) = flat(array);
    let kind = values.data_type().to_string().to_lowercase();
    let kind = kind.trim_end_matches("ean");
    assert_eq!(
        (kind, values.len()),
        (&*expected.kind, expected.values),
        "{what}"
    );
    if values.data_type().is_floating() {
        let values = arrow::compute::cast(&values, &DataType::Float64).unwrap();
        let values = values
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .copied();
        let size: f64 = weighted(values.clone().map(f64::abs));
        let sum: f64 = expected.sum.parse().unwrap();
        assert!((weighted(values) - sum).abs() <= 1e-12 * size, "{what}");
    } else {
        let wide = DataType::Decimal128(38, 0);
        let values = match values.data_type() {
            DataType::Boolean => arrow::compute::cast(&values, &DataType::Int8).unwrap(),
            _ => values,
        };
        let values = arrow::compute::cast(&values, &wide).unwrap();
        let values = values.as_primitive::<arrow::datatypes::Decimal128Type>();
        assert_eq!(
            weighted(values.values().iter().copied()).to_string(),
            expected.sum,
            "{what}"
        );
    }
    let lengths =
        lengths.map(|lengths| weighted(lengths.into_iter().map(|n| n as u64)).to_string());
    assert_eq!(lengths, expected.lengths, "{what}");
}

#[test]
fn columns_are_what_uproot_reads() {
    for (file, tables) in contents() {
        for (name, table) in tables {
            let (rows, columns) = read(&folder().join(&file), Some(&name)).unwrap();
            assert_eq!(rows, table.entries, "{file}, {name}");
            let others = match file.as_str() {
                "root_tree.root" => &["parts"][..],
                // uproot takes a counter for unsigned
                "root_split.root" => &["event.parts", "event.tracks.hits", "event.n"],
                _ => &[],
            };
            let readable = |column: &&String| !others.contains(&column.as_str());
            for column in table.columns.keys().filter(readable) {
                let expected = &table.columns[column];
                let what = format!("{file}, {name}, {column}");
                let array = columns
                    .get(column)
                    .unwrap_or_else(|| panic!("{what} is not there"));
                check(array, expected, &what);
            }
        }
    }
}

/// What uproot reads as something else, and what nothing can be computed with.
#[test]
fn trees_of_root_itself() {
    let path = folder().join("root_tree.root");
    let (_, columns) = read(&path, Some("Events")).unwrap();
    let of = |name: &str| {
        columns[name]
            .as_primitive::<arrow::datatypes::Float32Type>()
            .value(7)
    };
    assert_eq!(of("pair.a"), 3.5);
    let b = columns["pair.b"].as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!(b.value(7), -7);
    let unusable = |file: &str, column: &str| {
        let (_, schema, _) = open(&folder().join(file), Some("Events")).unwrap();
        let field = schema.field_with_name(column).unwrap();
        [UNUSABLE, TYPE_NAME].map(|key| field.metadata()[key].clone())
    };
    let of_floats = "vector<vector<float> >";
    for (file, column, words, type_name) in [
        ("root_tree.root", "text", "it holds text", "TLeafC"),
        ("root_tree.root", "parts", of_floats, of_floats),
        (
            "root_split.root",
            "event.parts",
            "it is a `vector<vector<float> >` in class `Event`",
            "Event",
        ),
        (
            "root_split.root",
            "event.tracks.hits",
            "it is a list of `vector<float>` in class `Track`",
            "Track",
        ),
        (
            "root_split.root",
            "event.two",
            "it is an array of `vector<float>` in class `Event`",
            "Event",
        ),
    ] {
        let [why, of] = unusable(file, column);
        assert!(why.contains(words), "{why}");
        assert_eq!(of, type_name);
    }
    let (_, columns) = read(&folder().join("root_split.root"), None).unwrap();
    let n = columns["event.n"].as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!(n.values()[..5], [0, 1, 2, 3, 0]);
}

/// What an RNTuple has that is no number is there with its type.
#[test]
fn text_of_an_ntuple_has_its_type_and_the_reason() {
    let mut texts = 0;
    for (file, tables) in contents() {
        for name in tables.keys().filter(|_| file.contains("ntuple")) {
            let (_, schema, _) = open(&folder().join(&file), Some(name)).unwrap();
            let unusable = schema.fields().iter();
            let unusable = unusable.filter_map(|f| Some((f.metadata().get(UNUSABLE)?, f)));
            for (why, field) in unusable {
                let of = &field.metadata()[TYPE_NAME];
                assert!(!of.is_empty(), "{file}: {field:?}");
                if of == "std::string" {
                    assert_eq!(why, "it holds text; write a number for each");
                    texts += 1;
                }
            }
        }
    }
    assert!(texts > 0);
}

#[test]
fn a_tree_is_found_by_its_name() {
    let path = folder().join("folders.root");
    let rows = |name: &str| read(&path, Some(name)).map(|(rows, _)| rows);
    for (name, expected) in [
        ("Events", 7),
        ("Events;1", 5),
        ("deep/er/Events", 3),
        ("Empty", 0),
    ] {
        assert_eq!(rows(name).unwrap(), expected, "{name}");
    }
    let refused = |name| open(&path, name).unwrap_err().message;
    let text = refused(Some("events"));
    assert_eq!(
        text,
        "no tree `events`; there is Empty, Events, Runs, deep/er/Events"
    );
    let text = refused(None);
    assert!(
        text.contains("it holds 4 trees: Empty, Events, Runs, deep/er/Events"),
        "{text}"
    );
    let text = refused(Some("Events;3"));
    assert!(text.starts_with("no tree `Events;3`"), "{text}");
    let only = folder().join("tree_zlib.root");
    assert_eq!(read(&only, None).unwrap().0, 241);
}

#[test]
fn a_file_without_a_table_says_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heads.root");
    // the tables become objects of other classes
    let mut bytes = std::fs::read(folder().join("folders.root")).unwrap();
    for (table, other) in [
        (&b"\x05TTree"[..], &b"\x05THead"[..]),
        (b"ROOT::RNTuple", b"ROOT::RNThead"),
    ] {
        let places = bytes.windows(table.len()).enumerate();
        let places = places.filter(|(_, window)| *window == table);
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        for place in places {
            bytes[place..place + other.len()].copy_from_slice(other);
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    let there = "it holds no tree and no RNTuple; there is Empty (THead), Events (THead), Runs \
                 (ROOT::RNThead), deep/er/Events (THead)";
    for name in [None, Some("Events")] {
        assert_eq!(open(&path, name).unwrap_err().message, there);
    }
    let found = crate::events::tables(&path).unwrap_err().to_string();
    assert_eq!(found, format!("{}: {there}", path.display()));
}

#[test]
fn at_most_ten_objects_are_named() {
    let object = |k: usize| Object {
        path: format!("h{k:02}"),
        key: container::Key {
            place: 0,
            length: 0,
            header: 0,
            unpacked: 0,
            cycle: 1,
            class: "TH1D".to_owned(),
            name: format!("h{k:02}"),
        },
    };
    let said = |count| no_table((0..count).map(object).collect()).message;
    let named: Vec<String> = (0..10).map(|k| format!("h{k:02} (TH1D)")).collect();
    let named = named.join(", ");
    assert!(
        said(10).ends_with(&format!("there is {named}")),
        "{}",
        said(10)
    );
    let all = said(23);
    assert!(
        all.ends_with(&format!("there is {named} and 13 others")),
        "{all}"
    );
    assert!(said(0).ends_with("it is empty"), "{}", said(0));
}

fn of_length(length: u64, first: u64, end: u64) -> Basket {
    let place = Place::File { start: 0, length };
    Basket { place, first, end }
}

#[test]
fn clusters_are_put_together_and_cut() {
    let basket = |first, end| of_length(0, first, end);
    let column = |ends: &[u64]| {
        let mut first = 0;
        let baskets = ends
            .iter()
            .map(|&end| basket(std::mem::replace(&mut first, end), end));
        Some(branches::Content::of_baskets(baskets.collect()))
    };
    let long = 3 * MOST_ROWS;
    for (columns, entries, expected) in [
        (vec![], 10, vec![0, 10]),
        (vec![column(&[])], 0, vec![0]),
        (vec![column(&[1000, 2000, 3000])], 3000, vec![0, 3000]),
        (
            vec![column(&[40_000, 50_000, 90_000])],
            90_000,
            vec![0, 40_000, 90_000],
        ),
        (
            vec![column(&[40_000, 90_000]), column(&[50_000, 90_000])],
            90_000,
            vec![0, 90_000],
        ),
        (
            vec![column(&[long]), column(&[MOST_ROWS + 5, long - 1, long])],
            long,
            vec![0, MOST_ROWS + 5, long - 1, long],
        ),
    ] {
        assert_eq!(cuts(entries, &columns), expected);
    }
}

#[test]
fn bytes_of_rows_are_those_of_the_baskets_that_have_them() {
    let ends = [(5, 10), (5, 7), (9, 20), (20, 40)];
    let mut first = 0;
    let baskets =
        ends.map(|(end, length)| of_length(length, std::mem::replace(&mut first, end), end));
    let column = branches::Content::of_baskets(baskets.to_vec());
    for begin in 0..20 {
        for end in begin + 1..=20 {
            let has = |basket: &&Basket| basket.first < end && basket.end > begin;
            let expected: u64 = baskets.iter().filter(has).map(Basket::length).sum();
            assert_eq!(column.bytes(&(begin..end)), expected, "{begin} to {end}");
        }
    }
}

/// What is read of it for one part serves the next, whose bytes are not even looked at.
#[test]
fn a_basket_of_several_parts_is_unpacked_once() {
    let path = folder().join("tree_zstd.root");
    let (root, schema, _) = open(&path, None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let zeros = directory.path().join("zeros.root");
    std::fs::write(&zeros, vec![0; root.bytes as usize]).unwrap();
    let usable = schema.fields().iter().enumerate();
    let usable = usable.filter(|(_, field)| *field.data_type() != DataType::Null);
    let wanted: Vec<usize> = usable.map(|(place, _)| place).collect();
    let read = |path: &Path, first_row, rows| {
        let part = Part {
            first_row,
            rows,
            group: 0,
            offset: 0,
        };
        let mut found = Vec::new();
        let read = root.read(path, part, &wanted, &mut |batch| {
            found.push(batch);
            true
        });
        read.map(|()| found.remove(0))
    };
    // of 150 rows
    let whole = read(&path, 0, 150).unwrap();
    let begin = read(&path, 0, 100).unwrap();
    let middle = read(&zeros, 100, 20).unwrap();
    let end = read(&zeros, 120, 30).unwrap();
    for (part, first) in [(begin, 0), (middle, 100), (end, 120)] {
        assert_eq!(part, whole.slice(first, part.num_rows()));
    }
    // all of it was read
    read(&zeros, 120, 30).unwrap_err();
}

/// What was read would be read again, in each of the objects around it.
#[test]
fn an_object_that_says_less_than_it_is_ends_the_reading() {
    let mut cursor = cursor::Cursor::new(&[0; 8]);
    cursor.skip(6).unwrap();
    assert!(cursor.seek(5).is_err());
    cursor.seek(6).unwrap();
    cursor.seek(8).unwrap();
    assert!(cursor.seek(9).is_err());
}

/// A block as it stands in a file: what it says it is long when it is unpacked, and `packed`.
fn block(codec: &[u8; 2], length: usize, packed: &[u8]) -> Vec<u8> {
    let three = |n: usize| n.to_le_bytes()[..3].to_vec();
    let header = [codec.to_vec(), vec![1], three(packed.len()), three(length)];
    [header.concat(), packed.to_vec()].concat()
}

#[test]
fn what_is_unpacked_is_as_long_as_it_says() {
    let plain: Vec<u8> = (0..1000).map(|k| (k % 7) as u8).collect();
    let packed = zstd::bulk::compress(&plain, 1).unwrap();
    let one = |says| block(b"ZS", says, &packed);
    let two = [one(1000), one(1000)].concat();
    let both = |packed: &[u8], length: usize| {
        let mut out = vec![1; length];
        let filled = codec::unpack(packed, &mut out).map(|()| out);
        let grown = codec::unpacked(packed, length).map(std::borrow::Cow::into_owned);
        assert_eq!(filled, grown);
        filled
    };
    assert_eq!(both(&two, 2000).unwrap(), [&*plain, &*plain].concat());
    assert_eq!(both(&plain, 1000).unwrap(), plain);
    for (packed, length) in [
        (two.clone(), 1999),
        (two, 2001),
        (one(999), 999),
        (one(1001), 1001),
        (block(b"??", 1000, &packed), 1000),
        (one(1000)[..20].to_vec(), 1000),
        (one(0), 1000),
    ] {
        both(&packed, length).unwrap_err();
    }
}

/// Words of which some lie on both sides of what is joined at once.
#[test]
fn elements_of_pages_are_joined_from_their_bytes() {
    let split = |words: &[u64], size: usize| -> Vec<u8> {
        let byte = |place: usize| words.iter().map(move |word| word.to_le_bytes()[place]);
        (0..size).flat_map(byte).collect()
    };
    let decoded = |kind: u16, size: usize, words: &[u64]| {
        let column = ntuple::ColumnRecord {
            kind,
            bits: 8 * size,
            representation: 0,
            deferred: false,
            range: None,
        };
        let encoding = encoding::Encoding::of(&column).unwrap();
        let page = split(words, size);
        let width = encoding.number().size();
        let mut out = vec![1; words.len() * width];
        encoding::decode(encoding, &page, &mut out).unwrap();
        encoding::decode(encoding, &page, &mut [out.clone(), vec![0; width]].concat()).unwrap_err();
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        out.chunks(width).map(word).collect::<Vec<u64>>()
    };
    let mut stream = Key::from_seed(3).stream();
    for count in [0, 1, 63, 64, 65, 200] {
        for (size, plain, signed) in [(2, 0x12, 0x11), (4, 0x14, 0x13), (8, 0x16, 0x15)] {
            let largest = u64::MAX >> (64 - 8 * size);
            let mut word = || (stream.uniform() * largest as f64) as u64;
            let words: Vec<u64> = (0..count).map(|_| word()).collect();
            assert_eq!(decoded(plain, size, &words), words);
            let number = |word: &u64| match word % 2 {
                0 => word / 2,
                _ => largest - word / 2,
            };
            let numbers: Vec<u64> = words.iter().map(number).collect();
            assert_eq!(decoded(signed, size, &words), numbers);
        }
        for (size, kind) in [(4, 0x1a), (8, 0x1b)] {
            let steps: Vec<u64> = (0..count).map(|k| 1000 * k % 777).collect();
            let ends = steps.iter().scan(0_u64, |sum, step| {
                *sum += step;
                Some(*sum)
            });
            assert_eq!(decoded(kind, size, &steps), ends.collect::<Vec<u64>>());
        }
    }
}

/// Whatever is changed in a file, reading it ends with its events or with a fault.
#[test]
fn damaged_files_are_faults() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.root");
    let mut stream = Key::from_seed(17).stream();
    let mut faults = 0;
    let files = [
        "tree_none.root",
        "tree_zstd.root",
        "ntuple_none.root",
        "ntuple_lz4.root",
    ];
    for (file, round) in files
        .iter()
        .flat_map(|file| (0..100).map(move |round| (file, round)))
    {
        let mut bytes = std::fs::read(folder().join(file)).unwrap();
        let length = bytes.len();
        let mut below = |n: usize| (stream.uniform() * n as f64) as usize;
        match round % 4 {
            0 => bytes.truncate(below(length)),
            1 => bytes[below(length)] ^= 1 << below(8),
            // the descriptions are at the beginning and the end
            2 => {
                let place = length - 1 - below(length / 4);
                bytes[place] = below(256) as u8;
            }
            _ => {
                let place = below(length - 8);
                bytes[place..place + 4].copy_from_slice(&[0x7f, 0xff, 0xff, below(256) as u8]);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        let ended = std::panic::catch_unwind(|| read(&path, None));
        let ended = ended.unwrap_or_else(|_| panic!("{file}, round {round}: a panic"));
        faults += usize::from(ended.is_err());
    }
    assert!(faults > 100, "{faults}");
}
