#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn columns(names: &[&str]) -> Vec<ColumnInfo> {
    let info = |name: &&str| ColumnInfo {
        name: (*name).into(),
        type_name: if name.starts_with("text") {
            "Utf8".into()
        } else {
            "Float32".into()
        },
        numeric: !name.starts_with("text"),
    };
    names.iter().map(info).collect()
}

fn definitions(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

fn chunk(columns: &[(&str, &[f64])]) -> ColumnChunk {
    let mut chunk = ColumnChunk::new(columns[0].1.len());
    for (name, values) in columns {
        chunk.insert(*name, values.to_vec()).unwrap();
    }
    chunk
}

#[test]
fn definitions_rest_on_columns_and_on_each_other() {
    let user = definitions(&[("twice", "2 * once + a"), ("once", "a + b")]);
    let resolver = Resolver::new(&columns(&["a", "b", "c"]), &user).unwrap();
    let compiled = resolver.compile("twice - once").unwrap();
    assert_eq!(compiled.columns(), ["a", "b"]);
    let chunk = chunk(&[("a", &[1.0, 2.0]), ("b", &[10.0, 20.0])]);
    assert_eq!(*compiled.eval_chunk(&chunk).unwrap(), [12.0, 24.0]);
    assert_eq!(
        *resolver
            .compile("1 + 1")
            .unwrap()
            .eval_chunk(&chunk)
            .unwrap(),
        [2.0, 2.0]
    );
}

#[test]
fn columns_of_the_file_come_before_builtins() {
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2", "x_hh"]), &BTreeMap::new()).unwrap();
    assert_eq!(resolver.compile("in_sr").unwrap().columns(), ["x_hh"]);
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2"]), &BTreeMap::new()).unwrap();
    assert_eq!(
        resolver.compile("in_sr").unwrap().columns(),
        ["m_h1", "m_h2"]
    );
}

#[test]
fn the_mass_plane() {
    let resolver = Resolver::new(
        &columns(&["m_h1", "m_h2", "deta_hh", "x_wt"]),
        &BTreeMap::new(),
    )
    .unwrap();
    let points = [
        // m_h1, m_h2, deta, x_wt | sr, cr, cr1, cr2, quadrant, x_wt_category, hh_category
        (
            [124.0, 117.0, 0.2, 1.5],
            [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        ),
        (
            [124.0, 132.0, -0.7, 1.6],
            [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0],
        ),
        (
            [124.0, 105.0, 1.2, 1.6],
            [1.0, 0.0, 0.0, 0.0, 2.0, 1.0, 5.0],
        ),
        (
            [130.0, 150.0, 0.2, 1.6],
            [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, -1.0],
        ),
        (
            [160.0, 120.0, 0.2, 1.6],
            [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, -1.0],
        ),
        (
            [130.0, 90.0, 0.2, 1.6],
            [0.0, 1.0, 1.0, 0.0, 2.0, 1.0, -1.0],
        ),
        (
            [95.0, 117.0, 0.2, 1.6],
            [0.0, 1.0, 0.0, 1.0, 3.0, 1.0, -1.0],
        ),
        (
            [124.0, 117.0, 1.5, 1.6],
            [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 4.0],
        ),
        (
            [300.0, 300.0, 0.2, 1.6],
            [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0],
        ),
    ];
    let names = [
        "in_sr",
        "in_cr",
        "in_cr1",
        "in_cr2",
        "quadrant",
        "x_wt_category",
        "hh_category",
    ];
    for (inputs, expected) in points {
        let chunk = chunk(&[
            ("m_h1", &inputs[..1]),
            ("m_h2", &inputs[1..2]),
            ("deta_hh", &inputs[2..3]),
            ("x_wt", &inputs[3..]),
        ]);
        for (name, expected) in names.iter().zip(expected) {
            let value = resolver.compile(name).unwrap().eval_chunk(&chunk).unwrap()[0];
            assert_eq!(value, expected, "{name} at {inputs:?}");
        }
    }
}

#[test]
fn a_missing_mass_is_in_no_region_and_no_quadrant() {
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2", "deta_hh"]), &BTreeMap::new()).unwrap();
    let chunk = chunk(&[
        ("m_h1", &[f64::NAN]),
        ("m_h2", &[117.0]),
        ("deta_hh", &[0.1]),
    ]);
    let value = |name: &str| resolver.compile(name).unwrap().eval_chunk(&chunk).unwrap()[0];
    assert!(value("quadrant").is_nan());
    assert_eq!(
        [
            value("in_sr"),
            value("in_cr"),
            value("in_cr1"),
            value("in_cr2")
        ],
        [0.0; 4]
    );
    assert_eq!(value("hh_category"), -1.0);
}

#[test]
fn every_builtin_parses_and_is_offered_where_its_inputs_are() {
    let all = Resolver::new(
        &columns(&["m_h1", "m_h2", "deta_hh", "x_wt"]),
        &BTreeMap::new(),
    )
    .unwrap();
    assert_eq!(all.definitions().count(), BUILTINS.len());
    let few = Resolver::new(&columns(&["m_h1"]), &BTreeMap::new()).unwrap();
    assert_eq!(few.definitions().count(), 0);
    let message = few.compile("in_cr + 1").unwrap_err().to_string();
    assert!(
        message.starts_with("built-in `r_cr`") || message.starts_with("built-in `x_hh`"),
        "{message}"
    );
    assert!(message.contains("no column `m_h2`"), "{message}");
}

#[test]
fn circles_are_printed() {
    let user = definitions(&[("a", "b + 1"), ("b", "c * 2"), ("c", "x + a")]);
    let error = Resolver::new(&columns(&["x"]), &user).unwrap_err();
    assert_eq!(
        error.to_string(),
        "definitions go round in a circle: a -> b -> c -> a"
    );
    let error = Resolver::new(&[], &definitions(&[("a", "a")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "definitions go round in a circle: a -> a"
    );
}

#[test]
fn layers_are_bounded() {
    let user: BTreeMap<_, _> = (0..100)
        .map(|i| {
            (
                format!("d{i:03}"),
                if i == 99 {
                    "x".to_owned()
                } else {
                    format!("d{:03}", i + 1)
                },
            )
        })
        .collect();
    let error = Resolver::new(&columns(&["x"]), &user).unwrap_err();
    assert!(error.to_string().contains("rests on more than"), "{error}");
    // Written so that each is visited after what it rests on.
    let user: BTreeMap<_, _> = (0..100)
        .map(|i| {
            (
                format!("d{i:03}"),
                if i == 0 {
                    "x".to_owned()
                } else {
                    format!("d{:03}", i - 1)
                },
            )
        })
        .collect();
    let error = Resolver::new(&columns(&["x"]), &user).unwrap_err();
    assert!(error.to_string().contains("rests on more than"), "{error}");
}

#[test]
fn bad_names_and_uses_are_refused() {
    let schema = columns(&["a", "text_label"]);
    let refused = |user: &[(&str, &str)], text: &str| {
        let resolver = Resolver::new(&schema, &definitions(user));
        resolver
            .and_then(|resolver| resolver.compile(text))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&[("a", "1")], "a").contains("also a column of the data"));
    assert!(refused(&[("two words", "1")], "a").contains("no name for a definition"));
    assert!(refused(&[("pi", "1")], "a").contains("no name for a definition"));
    assert!(refused(&[], "text_label == 1").contains("column `text_label` is Utf8, not a number"));
    assert!(refused(&[("d", "sqt(a)")], "d").starts_with("definition `d`: unknown function `sqt`"));
    assert!(
        refused(&[("d", "aa + 1")], "2 * d")
            .starts_with("definition `d`: there is no column `aa`; did you mean `a`")
    );
    assert!(refused(&[], "a + text_labl").contains("did you mean `text_label`"));
}

#[test]
fn an_unused_definition_for_other_data_is_no_error() {
    let resolver = Resolver::new(&columns(&["a"]), &definitions(&[("d", "elsewhere")])).unwrap();
    assert!(resolver.compile("a").is_ok());
}
