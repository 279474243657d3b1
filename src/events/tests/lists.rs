//! Lists of the three types, null, empty, sliced, in lists, from every format.

use std::collections::BTreeMap;

use arrow::array::{
    Array as _, Date32Array, FixedSizeListArray, LargeListArray, LargeListBuilder, ListBuilder,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, Float32Type, Float64Type, Int64Type};
use sideband_numerics::Number;

use super::*;

const EVENTS: usize = 20_000;

/// Lengths of the jets' lists; none where they are null.
fn jets(i: usize) -> Option<usize> {
    (i % 7 != 3).then_some(i % 4)
}

fn pt(i: usize, jet: usize) -> f64 {
    ((i * 31 + jet * 17) % 97) as f64
}

fn tag(i: usize, jet: usize) -> f64 {
    ((i * 13 + jet * 29) % 89) as f64
}

/// Event `i` has
///
/// | column | value |
/// |---|---|
/// | `pt` list of f32 | [`pt`] of each jet |
/// | `tag` large list of f64 | [`tag`] of each jet |
/// | `tight` list of boolean | whether its number is even |
/// | `code` list of dictionary of i64 | 10, 20, 10, .. |
/// | `vertex` three i64 | i, 2^60 + i, -i, null where i % 11 == 5 |
/// | `parts` list of lists of f64 | as many numbers `pt` as the jet's number + 1 |
/// | `met` f64 | i % 50 |
/// | `other` list of f64 | one number |
fn events() -> RecordBatch {
    let all = || (0..EVENTS).map(|i| jets(i).map(|jets| (i, jets)));
    let lists = |value: fn(usize, usize) -> f64| {
        all().map(move |event| event.map(|(i, jets)| (0..jets).map(move |k| Some(value(i, k)))))
    };
    let singles = lists(pt).map(|list| list.map(|list| list.map(|x| x.map(|x| x as f32))));
    let singles = ListArray::from_iter_primitive::<Float32Type, _, _>(singles);
    let tags = LargeListArray::from_iter_primitive::<Float64Type, _, _>(lists(tag));
    let mut tight = ListBuilder::new(arrow::array::BooleanBuilder::new());
    let mut code = ListBuilder::new(arrow::array::PrimitiveDictionaryBuilder::<
        Int32Type,
        Int64Type,
    >::new());
    let floats = arrow::array::Float64Builder::new();
    let mut parts = LargeListBuilder::new(ListBuilder::new(floats));
    for event in all() {
        for (i, jet) in event
            .into_iter()
            .flat_map(|(i, jets)| (0..jets).map(move |k| (i, k)))
        {
            tight.values().append_value(jet % 2 == 0);
            code.values().append_value([10, 20][jet % 2]);
            let inner = parts.values();
            (0..=jet).for_each(|_| inner.values().append_value(pt(i, jet)));
            inner.append(true);
        }
        tight.append(event.is_some());
        code.append(event.is_some());
        parts.append(event.is_some());
    }
    let vertex = (0..EVENTS as i64).map(|i| {
        let vertex = [i, (1 << 60) + i, -i];
        (i % 11 != 5).then_some(vertex.map(Some))
    });
    let vertex = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(vertex, 3);
    let met = Float64Array::from_iter_values((0..EVENTS).map(|i| (i % 50) as f64));
    let other = (0..EVENTS).map(|i| Some([Some(i as f64)]));
    let other = ListArray::from_iter_primitive::<Float64Type, _, _>(other);
    batch_of(&[
        ("pt", Arc::new(singles)),
        ("tag", Arc::new(tags)),
        ("tight", Arc::new(tight.finish())),
        ("code", Arc::new(code.finish())),
        ("vertex", Arc::new(vertex)),
        ("parts", Arc::new(parts.finish())),
        ("met", Arc::new(met)),
        ("other", Arc::new(other)),
    ])
}

/// The columns of an event, by the rules of the language.
fn expected(i: usize) -> [Option<f64>; 8] {
    let jets = jets(i).map(|jets| 0..jets);
    let best = jets.clone().and_then(|jets| {
        let tagged = jets.map(|k| (tag(i, k), k));
        tagged.reduce(|best, next| if next.0 > best.0 { next } else { best })
    });
    let sum = |of: &dyn Fn(usize) -> f64| jets.clone().map(|jets| jets.map(of).sum::<f64>());
    [
        jets.clone()
            .and_then(|mut jets| jets.next())
            .map(|k| pt(i, k)),
        best.map(|(_, k)| pt(i, k)),
        sum(&|k| if k % 2 == 0 { pt(i, k) } else { 0.0 }),
        sum(&|k| f64::from(pt(i, k) > 30.0 && tag(i, k) < 60.0)),
        sum(&|k| [10.0, 20.0][k % 2] * (i % 50) as f64),
        (i % 11 != 5).then_some(i as f64),
        sum(&|k| (k + 1) as f64 * pt(i, k)),
        jets.map(|jets| jets.len() as f64),
    ]
}

const TEXTS: [&str; 8] = [
    "pt[0]",
    "pt[argmax(tag)]",
    "sum(pt[tight])",
    "n_good",
    "sum(code * met)",
    "vertex[1] - 1152921504606846976",
    "sum(sum(parts))",
    "len(pt)",
];

fn of_lists(dataset: &Dataset) -> Resolver {
    let definitions = [("n_good", "count(good)"), ("good", "pt > 30 && tag < 60")];
    let definitions = definitions.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Resolver::new(dataset.columns(), &BTreeMap::from(definitions)).unwrap()
}

#[test]
fn lists_of_every_type_and_format() {
    let directory = tempfile::tempdir().unwrap();
    let events = events();
    // slices begin inside of the arrays that they are of
    let halves = [(0, 9000), (9000, EVENTS - 9000)].map(|(from, rows)| events.slice(from, rows));
    for form in FORMS {
        let path = directory.path().join(format!("{form:?}"));
        write(&path, form, &halves);
        let dataset = open(&path);
        let resolver = of_lists(&dataset);
        let request = ScanRequest {
            columns: named(&resolver, &TEXTS),
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None).unwrap();
        assert_eq!(table.len(), EVENTS);
        for (k, (text, values)) in table.columns.iter().enumerate() {
            for (i, x) in values.iter().enumerate() {
                let expected = expected(i)[k].unwrap_or(f64::NAN);
                let same = *x == expected || x.is_nan() && expected.is_nan();
                assert!(same, "{form:?}, {text}, {i}: {x}, expected {expected}");
            }
        }
        let request = ScanRequest {
            selection: Some(resolver.compile("any(pt > 90) || len(pt) == 3").unwrap()),
            features: named(&resolver, &["pt[0]", "max(vertex) % 3"]),
            weight: Some(resolver.compile("0.5 * len(pt)").unwrap()),
            on_missing: OnMissing::Drop,
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None).unwrap();
        let wanted = |&i: &usize| {
            let jets = jets(i).unwrap_or(0);
            jets == 3 || (0..jets).any(|k| pt(i, k) > 90.0)
        };
        let selected: Vec<usize> = (0..EVENTS).filter(wanted).collect();
        let kept: Vec<usize> = selected.iter().copied().filter(|i| i % 11 != 5).collect();
        assert!(kept.len() > 4000 && kept.len() < selected.len());
        assert_eq!(table.len(), kept.len(), "{form:?}");
        for (event, &i) in kept.iter().enumerate() {
            let rest = ((1_i64 << 60) + i as i64) % 3;
            let features = [pt(i, 0) as f32, rest as f32];
            assert_eq!(table.features[2 * event..][..2], features, "{form:?} {i}");
            assert_eq!(table.weights[event], 0.5 * (i % 4) as f64);
        }
        let count = |kind| {
            let losses = table.report.losses.iter().filter(|loss| loss.kind == kind);
            losses.map(|loss| loss.events).sum::<u64>() as usize
        };
        let no_list = (0..EVENTS).filter(|&i| jets(i).is_none()).count();
        assert_eq!(count(LossKind::Selection), no_list);
        assert_eq!(count(LossKind::Input), selected.len() - kept.len());
    }
}

#[test]
fn what_null_lists_hide_is_in_no_result() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 50.0, 2.0, 3.0]));
    let field = Arc::new(Field::new_list_field(DataType::Float64, true));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 2, 4]));
    let hiding = ListArray::new(
        Arc::clone(&field),
        offsets,
        Arc::clone(&values),
        Some(nulls),
    );
    let fixed = FixedSizeListArray::new(field, 1, values.slice(0, 3), hiding.nulls().cloned());
    let columns: [(&str, ArrayRef); 2] = [("a", Arc::new(hiding)), ("b", Arc::new(fixed))];
    let (_directory, dataset) = written(Form::IpcFile, &[batch_of(&columns)]);
    let resolver = resolver(&dataset);
    let request = ScanRequest {
        columns: named(&resolver, &["sum(a)", "sum(b)", "sum(a[0] * b)"]),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request, None).unwrap();
    let columns: Vec<_> = table.columns.iter().map(|(_, x)| [x[0], x[2]]).collect();
    assert_eq!(columns, [[1.0, 5.0], [1.0, 2.0], [1.0, 4.0]]);
    assert!(table.columns.iter().all(|(_, x)| x[1].is_nan()));
    let summary = summarise(&dataset).unwrap();
    let largest = |k: usize| summary[k].max;
    assert_eq!(
        [largest(0), largest(1)],
        [3.0, 2.0].map(|x| Some(Number::Real(x)))
    );
    assert_eq!(summary[0].lengths.as_ref().unwrap().nulls, 1);
}

#[test]
fn lists_used_wrongly_say_what_to_write() {
    let texts = StringArray::from_iter_values((0..EVENTS).map(|i| format!("{i}")));
    let mut labels = ListBuilder::new(arrow::array::StringBuilder::new());
    (0..EVENTS).for_each(|_| labels.append(true));
    let field = Arc::new(Field::new("e", DataType::Float64, false));
    let events = events();
    let met = Arc::clone(events.column_by_name("met").unwrap());
    let days = Date32Array::from_iter_values(0..EVENTS as i32);
    let more: [(&str, ArrayRef); 5] = [
        ("name", Arc::new(texts)),
        ("labels", Arc::new(labels.finish())),
        (
            "p4",
            Arc::new(StructArray::from(vec![(field, Arc::clone(&met))])),
        ),
        ("day", Arc::new(days)),
        ("met[0]", met),
    ];
    let schema = events.schema();
    let own = schema.fields().iter().zip(events.columns());
    let own = own.map(|(field, array)| (field.name().as_str(), Arc::clone(array)));
    let columns: Vec<(&str, ArrayRef)> = own.chain(more).collect();
    let (directory, dataset) = written(Form::ParquetSnappy, &[batch_of(&columns)]);
    let resolver = of_lists(&dataset);
    for (text, message) in [
        (
            "pt",
            "`pt` is a list of numbers for every event, and a number is needed",
        ),
        (
            "pt * 2",
            "write one element, `(pt * 2)[0]`, or a number of all: `max(pt * 2)`",
        ),
        ("good", "`any(good)`, `all(good)`, `count(good)`"),
        ("parts", "`parts[0][0]`"),
        (
            "max(met)",
            "`met` is a number; of two numbers it is `max(a, b)`",
        ),
        ("pt[tag]", "the list `tag` in brackets"),
        ("pt[-1]", "the last is `pt[len(pt) - 1]`"),
        ("name", "column `name` is Utf8, not a number: it holds text"),
        (
            "len(labels)",
            "it holds lists of text; write a number for each",
        ),
        (
            "p4",
            "it holds records; write a column for each of their fields",
        ),
        ("day", "it holds times; write seconds as a number"),
        (
            "met[0]",
            "there is a column `met[0]`: write {met[0]} for it",
        ),
    ] {
        says(resolver.compile(text).unwrap_err(), message);
    }
    let scan = |text: &str| {
        let request = ScanRequest {
            columns: named(&resolver, &[text]),
            ..ScanRequest::new(Hidden::nothing())
        };
        dataset.scan(&request, None)
    };
    assert_eq!(scan("{met[0]} + 1").unwrap().columns[0].1[7], 8.0);
    let path = directory.path().join("events").display().to_string();
    for (text, message) in [
        (
            "sum(pt[pt >= 0] * abs(other))",
            "the lists `pt[pt >= 0]` and `abs(other)` have 0 and 1 elements on row 0 of ",
        ),
        ("tag[met / 4]", "`met / 4` is 0.25 on row 1 of "),
        (
            "sum(vertex / 2)",
            "column `vertex` is 1152921504606846977 on row 1 of ",
        ),
        (
            "max(vertex)",
            "column `vertex` is 1152921504606846977 on row 1 of ",
        ),
    ] {
        let error = scan(text).unwrap_err();
        says(&error, message);
        says(&error, &path);
    }
    let mut request = ScanRequest::new(Hidden::nothing());
    request.id = IdSpec::Columns(vec!["vertex".to_owned()]);
    let error = dataset.scan(&request, None).unwrap_err();
    says(
        error,
        "column `vertex`: expected an integer, found FixedSizeList",
    );
}

#[test]
fn files_agree_in_what_is_a_list() {
    let directory = tempfile::tempdir().unwrap();
    let lists = |values: &[f64]| -> ArrayRef {
        let lists = values.iter().map(|&x| Some([Some(x)]));
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))
    };
    let fixed = [Some([Some(3), Some(4)])];
    let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(fixed, 2);
    let files: [(&str, ArrayRef); 3] = [
        ("a", lists(&[1.0])),
        ("b", Arc::new(fixed)),
        ("c", floats(&[5.0])),
    ];
    for (name, array) in files {
        let path = directory.path().join(name);
        write(&path, Form::IpcFile, &[batch_of(&[("x", array)])]);
    }
    let of = |pattern: &str| Dataset::open(&[pattern.into()], directory.path()).unwrap();
    let scan = |dataset: &Dataset, text: &str| {
        let request = ScanRequest {
            features: named(&resolver(dataset), &[text]),
            ..ScanRequest::new(Hidden::nothing())
        };
        dataset.scan(&request, None)
    };
    assert_eq!(scan(&of("[ab]"), "sum(x)").unwrap().features, [1.0, 7.0]);
    let error = scan(&of("[ac]"), "sum(x)").unwrap_err();
    says(
        error,
        "c: column `x`: expected a list of numbers, found Float64",
    );
}
