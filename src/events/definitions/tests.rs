#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::chunk::ColumnChunk;
use super::*;
use sideband_numerics::expression::{Column, Lane};

fn columns(names: &[&str]) -> Vec<ColumnInfo> {
    let info = |name: &&str| ColumnInfo {
        name: (*name).into(),
        type_name: match name.starts_with("text") {
            true => "Utf8".into(),
            false => "Float32".into(),
        },
        shape: match name.starts_with("text") {
            true => Err("it holds text".into()),
            false => Ok(Shape {
                depth: name.matches("list").count(),
                truths: false,
            }),
        },
    };
    names.iter().map(info).collect()
}

fn definitions(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, text)| (name.into(), text.into()))
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
    let constant = resolver.compile("1 + 1").unwrap();
    assert_eq!(*constant.eval_chunk(&chunk).unwrap(), [2.0, 2.0]);
}

#[test]
fn columns_of_the_file_come_before_builtins() {
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2", "x_hh"]), []).unwrap();
    assert_eq!(resolver.compile("in_sr").unwrap().columns(), ["x_hh"]);
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2"]), []).unwrap();
    assert_eq!(
        resolver.compile("in_sr").unwrap().columns(),
        ["m_h1", "m_h2"]
    );
}

#[test]
fn the_mass_plane() {
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2", "deta_hh", "x_wt"]), []).unwrap();
    // m_h1, m_h2, deta, x_wt, then the values of the names
    let points = [
        [124.0, 117.0, 0.2, 1.5, 1., 0., 0., 0., 1., 0., 0.],
        [124.0, 132.0, -0.7, 1.6, 1., 0., 0., 0., 0., 1., 3.],
        [124.0, 105.0, 1.2, 1.6, 1., 0., 0., 0., 2., 1., 5.],
        [130.0, 150.0, 0.2, 1.6, 0., 1., 1., 0., 0., 1., -1.],
        [160.0, 120.0, 0.2, 1.6, 0., 1., 0., 1., 1., 1., -1.],
        [130.0, 90.0, 0.2, 1.6, 0., 1., 1., 0., 2., 1., -1.],
        [95.0, 117.0, 0.2, 1.6, 0., 1., 0., 1., 3., 1., -1.],
        [124.0, 117.0, 1.5, 1.6, 1., 0., 0., 0., 1., 1., 4.],
        [300.0, 300.0, 0.2, 1.6, 0., 0., 0., 0., 0., 1., -1.],
    ];
    let names = ["in_sr", "in_cr", "in_cr1", "in_cr2", "quadrant"];
    let names = [&names[..], &["x_wt_category", "hh_category"]].concat();
    for point in points {
        let (inputs, expected) = point.split_at(4);
        let columns = ["m_h1", "m_h2", "deta_hh", "x_wt"].into_iter();
        let columns: Vec<_> = columns.zip(inputs.chunks(1)).collect();
        let chunk = chunk(&columns);
        for (name, &expected) in names.iter().zip(expected) {
            let value = resolver.compile(name).unwrap().eval_chunk(&chunk).unwrap()[0];
            assert_eq!(value, expected, "{name} at {inputs:?}");
        }
    }
}

#[test]
fn a_missing_mass_is_in_no_region_and_no_quadrant() {
    let resolver = Resolver::new(&columns(&["m_h1", "m_h2", "deta_hh"]), []).unwrap();
    let inputs = [("m_h1", &[f64::NAN][..]), ("m_h2", &[117.0])];
    let chunk = chunk(&[&inputs[..], &[("deta_hh", &[0.1])]].concat());
    let value = |name: &str| resolver.compile(name).unwrap().eval_chunk(&chunk).unwrap()[0];
    assert!(value("quadrant").is_nan());
    assert_eq!(["in_sr", "in_cr", "in_cr1", "in_cr2"].map(value), [0.0; 4]);
    assert_eq!(value("hh_category"), -1.0);
}

#[test]
fn every_builtin_parses_and_is_offered_where_its_inputs_are() {
    let all = Resolver::new(&columns(&["m_h1", "m_h2", "deta_hh", "x_wt"]), []).unwrap();
    assert_eq!(all.builtins().len(), BUILTINS.len());
    let few = Resolver::new(&columns(&["m_h1"]), []).unwrap();
    assert_eq!(few.builtins().len(), 0);
    let message = few.compile("in_cr + 1").unwrap_err().to_string();
    assert!(
        message.starts_with("built-in `r_cr`") || message.starts_with("built-in `x_hh`"),
        "{message}"
    );
    assert!(message.contains("no column `m_h2`"), "{message}");
}

#[test]
fn circles_are_printed() {
    for (user, circle) in [
        (
            &[("a", "b + 1"), ("b", "c * 2"), ("c", "x + a")][..],
            "a -> b -> c -> a",
        ),
        (&[("a", "a")], "a -> a"),
    ] {
        let error = Resolver::new(&columns(&["x"]), &definitions(user)).unwrap_err();
        let text = format!("definitions go round in a circle: {circle}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn layers_are_bounded() {
    // Each rests on the next, then on the one before, so that it is visited after it.
    for (last, step) in [(99, 1), (0, -1)] {
        let text = |i: i32| match i == last {
            true => "x".to_owned(),
            false => format!("d{:03}", i + step),
        };
        let user: BTreeMap<_, _> = (0..100).map(|i| (format!("d{i:03}"), text(i))).collect();
        let error = Resolver::new(&columns(&["x"]), &user)
            .unwrap_err()
            .to_string();
        assert!(error.contains("rests on more than"), "{error}");
    }
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
    for (user, text, expected) in [
        (&[("a", "1")][..], "a", "also a column of the data"),
        (&[("two words", "1")], "a", "no name for a definition"),
        (&[("pi", "1")], "a", "no name for a definition"),
        (
            &[],
            "text_label == 1",
            "column `text_label` is Utf8, not a number",
        ),
        (
            &[("d", "sqt(a)")],
            "d",
            "definition `d`: unknown function `sqt`",
        ),
        (
            &[("d", "aa + 1")],
            "2 * d",
            "definition `d`: there is no column `aa`; did you mean `a`",
        ),
        (&[], "a + text_labl", "did you mean `text_label`"),
    ] {
        let error = refused(user, text);
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.find("definition `d`").unwrap_or(0), 0, "{error}");
    }
}

#[test]
fn an_unused_definition_for_other_data_is_no_error() {
    let resolver = Resolver::new(&columns(&["a"]), &definitions(&[("d", "elsewhere")])).unwrap();
    assert!(resolver.compile("a").is_ok());
}

#[test]
fn equal_expressions_mean_the_same() {
    let compiled = |user: &[(&str, &str)], text: &str| {
        let resolver = Resolver::new(&columns(&["x", "y"]), &definitions(user));
        resolver.unwrap().compile(text).unwrap()
    };
    let first = compiled(&[("a", "b + 1"), ("b", "2 * x")], "a > y");
    assert_eq!(first, compiled(&[("b", "2 * x"), ("a", "b + 1")], "a > y"));
    for (user, text) in [
        (&[("a", "b + 1"), ("b", "3 * x")][..], "a > y"),
        (&[("a", "b + 1"), ("b", "2 * x")], "a >  y"),
        (&[("a", "y"), ("b", "2 * x")], "a > y"),
    ] {
        assert_ne!(first, compiled(user, text), "{user:?}, {text}");
    }
    let of_list = |user: &[(&str, &str)], text: &str| {
        let resolver = Resolver::new(&columns(&["list", "y"]), &definitions(user));
        resolver.unwrap().compile(text).unwrap()
    };
    let good = [("good", "list > y")];
    assert_eq!(of_list(&good, "count(good)"), of_list(&good, "count(good)"));
    for (user, text) in [
        (&good, "any(good)"),
        (&good, "good[0]"),
        (&[("good", "list[list > y]")], "count(good)"),
    ] {
        assert_ne!(of_list(&good, "count(good)"), of_list(user, text), "{text}");
    }
    // a column is not a definition of its name
    let of_column = Resolver::new(&columns(&["a", "y"]), &definitions(&[]));
    assert_ne!(first, of_column.unwrap().compile("a > y").unwrap());
}

fn jets() -> Jets {
    Jets {
        pt: "list_pt".into(),
        eta: "list_eta".into(),
        phi: "list_phi".into(),
        mass: "list_m".into(),
        tagged: "list_tag > 0.5".into(),
        selected: None,
        most: 8,
    }
}

const LISTS: [&str; 5] = ["list_pt", "list_eta", "list_phi", "list_m", "list_tag"];

#[test]
fn columns_of_jets_are_built_in_where_the_lists_are() {
    let of = |more: &[&str], user: &[(&str, &str)]| {
        let columns = columns(&[&LISTS[..], more].concat());
        Resolver::with_jets(&columns, Some(&jets()), &definitions(user)).unwrap()
    };
    let resolver = of(&[], &[]);
    let all = BUILTINS.len() + Jets::columns().count();
    assert_eq!(resolver.builtins().len(), all);
    assert_eq!(
        resolver.compile("m_h1").unwrap().columns().len(),
        LISTS.len()
    );
    // built-in expressions rest on them
    let region = resolver.compile("in_cr1").unwrap();
    assert_eq!(region.columns().len(), LISTS.len());
    let names: Vec<&str> = region.builtins().collect();
    assert_eq!(names, ["in_cr", "in_cr1", "m_h1", "m_h2", "r_cr", "x_hh"]);
    // columns and definitions come first
    let resolver = of(&["m_h1"], &[("m_h2", "2 * m_h1")]);
    assert_eq!(resolver.compile("x_hh").unwrap().columns(), ["m_h1"]);
    assert_eq!(resolver.builtins().len(), all - 2);
    let few = Resolver::with_jets(&columns(&LISTS[1..]), Some(&jets()), []).unwrap();
    assert_eq!(few.builtins().len(), 0);
    let error = few.compile("in_sr").unwrap_err().to_string();
    let start = "`data.jets.pt`: there is no column `list_pt`";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn lists_of_jets_may_be_definitions_and_those_rest_on_no_jets() {
    let resolver = |user: &[(&str, &str)], jets: &Jets| {
        Resolver::with_jets(&columns(&LISTS), Some(jets), &definitions(user))
    };
    let scaled = Jets {
        pt: "scaled".into(),
        ..jets()
    };
    let of = |text: &str| resolver(&[("scaled", text)], &scaled);
    let [once, again, twice] = ["list_pt", "list_pt", "2 * list_pt"].map(|t| of(t).unwrap());
    let compile = |of: &Resolver| of.compile("m_hh").unwrap();
    assert_eq!(compile(&once), compile(&again));
    assert_ne!(compile(&once), compile(&twice));
    assert_ne!(compile(&once), once.compile("m_h1").unwrap());
    let circle = of("list_pt * n_jets").unwrap_err().to_string();
    assert!(
        circle.contains("[data.jets] -> scaled -> [data.jets]"),
        "{circle}"
    );
}

#[test]
fn what_are_no_lists_of_jets_is_said_where_it_is_used() {
    type Change = fn(&mut Jets);
    let changes: [(Change, &str); 5] = [
        (
            |jets| jets.pt = "list_pt[0]".into(),
            "`data.jets.pt`: `list_pt[0]` is a number",
        ),
        (
            |jets| jets.pt = "list_pt +".into(),
            "`data.jets.pt`: a value is missing",
        ),
        (
            |jets| jets.tagged = "list_tag".into(),
            "write a condition, such as `list_tag > 0`",
        ),
        (
            |jets| jets.selected = Some("list_list > 1".into()),
            "is a list of lists of numbers",
        ),
        (
            |jets| jets.mass = "broken".into(),
            "definition `broken`: there is no column",
        ),
    ];
    for (change, words) in changes {
        let mut jets = jets();
        change(&mut jets);
        let names = [&LISTS[..], &["list_list"]].concat();
        let user = definitions(&[("broken", "list_x")]);
        let resolver = Resolver::with_jets(&columns(&names), Some(&jets), &user).unwrap();
        assert!(resolver.compile("list_pt[0]").is_ok());
        let error = resolver.compile("m_h1").unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn lists_of_jets_that_are_not_equally_long_are_both_named() {
    use sideband_numerics::expression::Lists;
    let list = |length: usize| {
        let elements = Column::Numbers(Lane::real(vec![1.0; length], None));
        Column::Lists(Lists::new(vec![0, length], None, elements, false).unwrap())
    };
    let resolver = Resolver::with_jets(&columns(&LISTS), Some(&jets()), []).unwrap();
    let mut chunk = ColumnChunk::new(1);
    for (name, length) in LISTS.iter().zip([4, 4, 4, 5, 4]) {
        chunk.insert_column(*name, list(length));
    }
    let error = resolver.compile("m_hh").unwrap().eval_chunk(&chunk);
    let error = error.unwrap_err().to_string();
    let words = "the lists `list_pt` (data.jets.pt) and `list_m` (data.jets.mass) have 4 and 5 \
                 elements on row 0";
    assert!(error.starts_with(words), "{error}");
}
