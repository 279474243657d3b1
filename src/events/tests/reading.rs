//! Every format gives the same arrays; rows and ids are counted right.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::table::{ScanReport, event_key};
use super::*;
use sideband_numerics::Number;

/// Everything at once, on a sample.
pub(super) fn full_request(resolver: &Resolver) -> ScanRequest {
    let compile = |text: &str| resolver.compile(text).unwrap();
    ScanRequest {
        selection: Some(compile("n != 3")),
        hidden: Hidden::rejected(vec![compile("coded == 20")]),
        features: named(resolver, &["x", "y", "x * half", "small"]),
        columns: named(resolver, &["1 / n", "flag", "sum(list)"]),
        flags: named(resolver, &["x < 1000", "flag", "n == 4"]),
        require_any_flag: true,
        weight: Some(compile("n - 4.5")),
        id: IdSpec::Columns(vec!["run".into(), "id".into()]),
        id_namespace: "sample".into(),
        on_missing: OnMissing::Drop,
        ..ScanRequest::new(Hidden::nothing())
    }
}

#[test]
fn every_format_gives_the_same_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected_rows = Vec::new();
    let mut lost = [0_u64; 2];
    for i in 0..ROWS {
        let wanted = i % 10 != 3 && i % 3 != 2 && (i < 4000 || i % 2 == 1 || i % 10 == 4);
        lost[0] += u64::from(wanted && i % 100 == 7);
        lost[1] += u64::from(wanted && i % 100 == 50);
        if wanted && i % 100 != 7 && i % 100 != 50 {
            expected_rows.push(i);
        }
    }
    for form in FORMS {
        let path = directory.path().join(format!("{form:?}"));
        sample(&path, form);
        let dataset = open(&path);
        assert_eq!(dataset.rows(), ROWS as u64);
        let progress = AtomicU64::new(0);
        let count = |rows| {
            progress.fetch_add(rows, Ordering::Relaxed);
        };
        let table = dataset
            .scan(&full_request(&resolver(&dataset)), Some(&count))
            .unwrap();
        assert_eq!(progress.into_inner(), ROWS as u64);
        assert_eq!(table.len(), expected_rows.len(), "{form:?}");
        let hidden = (0..ROWS).filter(|i| i % 3 == 2).count();
        assert_eq!(table.report.rows_read, (ROWS - hidden) as u64);
        assert_eq!(table.report.rows_selected, expected_rows.len() as u64);
        assert_eq!(table.report.rows_dropped, lost[0] + lost[1]);
        let dropped = table.report.losses.iter();
        let dropped = dropped.filter(|loss| loss.kind == LossKind::Input);
        let dropped: Vec<_> = dropped
            .map(|loss| (loss.name.as_str(), loss.events))
            .collect();
        assert_eq!(dropped, [("y", lost[0]), ("small", lost[1])]);
        assert_eq!(table.report.duplicate_ids, 0);
        assert_eq!(table.n_features, 4);
        let names = table.ids.names();
        assert_eq!(names[0].name, "run");
        assert!(names[0].signed && !names[1].signed);
        for (k, &i) in expected_rows.iter().enumerate() {
            let x = i as f32 / 4.0;
            let features = [x, -(i as f32), x * (i % 8) as f32, (i % 5) as f32 - 2.0];
            assert_eq!(table.features[4 * k..][..4], features, "{form:?} row {i}");
            assert_eq!(table.weights[k], (i % 10) as f64 - 4.5);
            let over_n = table.columns[0].1[k];
            assert_eq!(over_n, 1.0 / (i % 10) as f64);
            assert_eq!(table.columns[1].1[k], (i % 2) as f64);
            let sum: usize = (i..i + i % 4).sum();
            assert_eq!(table.columns[2].1[k], sum as f64);
            let flags = [i < 4000, i % 2 == 1, i % 10 == 4].map(u64::from);
            assert_eq!(table.flags[k], flags[0] + 2 * flags[1] + 4 * flags[2]);
            let run = (-1 - (i / 1000) as i64).cast_unsigned();
            let id = (1 << 63) + i as u64;
            assert_eq!(table.ids.values(k).collect::<Vec<_>>(), [run, id]);
            assert_eq!(table.ids.key(k), event_key("sample", &[run, id]));
            assert_eq!(table.ids.place(k), i as u64);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b", "a", "c"] {
        sample(&directory.path().join(name), Form::ParquetZstdSplit);
    }
    let dataset = Dataset::open(&["*".into()], directory.path()).unwrap();
    let names = dataset.files().map(|f| f.file_name().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "c"]);
    let request = full_request(&resolver(&dataset));
    let table = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let read = || (dataset.scan(&request, None), summarise(&dataset));
        let (table, summary) = pool.unwrap().install(read);
        (table.unwrap(), summary.unwrap())
    };
    let one = table(1);
    assert_eq!(one, table(3));
    assert_eq!(one.0.report.duplicate_ids, 2 * one.0.len() as u64 / 3);
}

#[test]
fn long_row_groups_are_read_in_parts() {
    let rows = 300_000;
    let x = floats(&(0..rows).map(f64::from).collect::<Vec<_>>());
    let (_directory, dataset) = written(Form::ParquetSnappy, &[batch_of(&[("x", x)])]);
    let resolver = resolver(&dataset);
    let request = ScanRequest {
        features: named(&resolver, &["x"]),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request, None).unwrap();
    assert_eq!(table.len(), rows as usize);
    assert!(table.features.iter().zip(0..).all(|(&x, i)| x == i as f32));
    let last = table.ids.values(rows as usize - 1);
    assert_eq!(last.collect::<Vec<_>>(), [0, rows as u64 - 1]);
    let names = table.ids.names();
    assert_eq!(names[0].name, "file");
    assert!(names[1].name == "row" && !names[1].signed);
    assert_eq!(table.ids.key(5), event_key("", &[0, 5]));
    assert_eq!(table.weights[0], 1.0);
}

#[test]
fn no_column_is_needed_to_count_events() {
    let directory = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = directory.path().join(format!("{form:?}"));
        sample(&path, form);
        let table = open(&path).scan(&ScanRequest::new(Hidden::nothing()), None);
        assert_eq!(table.unwrap().len(), ROWS, "{form:?}");
    }
}

#[test]
fn missing_features_are_counted_and_located() {
    let value = |i: usize, bad: f64| if i % 1000 == 999 { bad } else { 1.0 };
    let column = |bad: f64| floats(&(0..10_000).map(|i| value(i, bad)).collect::<Vec<_>>());
    let bad = [("a", 1.0), ("b", 1e300), ("c", f64::NAN), ("k", 0.0)];
    let batch = batch_of(&bad.map(|(name, bad)| (name, column(bad))));
    let (_directory, dataset) = written(Form::ParquetSnappy, &[batch.clone(), batch]);
    let resolver = resolver(&dataset);
    let request = |selection: &str, on_missing| ScanRequest {
        selection: Some(resolver.compile(selection).unwrap()),
        features: named(&resolver, &["a", "b", "c"]),
        on_missing,
        ..ScanRequest::new(Hidden::nothing())
    };
    let scan = |selection, on_missing| dataset.scan(&request(selection, on_missing), None);
    let error = scan("1", OnMissing::Error).unwrap_err().to_string();
    let first = "feature `b` is missing or not finite on 20 of the selected rows";
    assert!(error.starts_with(first), "{error}");
    says(&error, "first on row 999 of ");
    says(&error, "(also `c` on 20)");
    let table = scan("1", OnMissing::Drop).unwrap();
    assert_eq!((table.len(), table.report.rows_dropped), (19_980, 20));
    assert_eq!(scan("k", OnMissing::Error).unwrap().len(), 19_980);
}

#[test]
fn weights_must_be_finite_where_selected() {
    let first = batch_of(&[("w", floats(&[1.0, -2.0]))]);
    let second = batch_of(&[("w", floats(&[1.0, f64::NAN, 0.0]))]);
    let (_directory, dataset) = written(Form::ParquetSnappy, &[first, second]);
    let resolver = resolver(&dataset);
    let mut request = ScanRequest {
        weight: Some(resolver.compile("w").unwrap()),
        on_missing: OnMissing::Drop,
        ..ScanRequest::new(Hidden::nothing())
    };
    let error = dataset.scan(&request, None).unwrap_err();
    says(error, "row 3: the weight is NaN");
    request.selection = Some(resolver.compile("w <= 1").unwrap());
    let table = dataset.scan(&request, None).unwrap();
    assert_eq!(table.weights, [1.0, -2.0, 1.0, 0.0]);
}

#[test]
fn blinded_rows_leave_no_trace() {
    let bad = f64::NAN;
    let columns = [
        ("x", floats(&[0.0, 1.0, bad, 3.0])),
        ("secret", floats(&[0.0, 1.0, bad, 0.0])),
        ("w", floats(&[1.0, bad, bad, 1.0])),
    ];
    let (_directory, dataset) = written(Form::IpcFile, &[batch_of(&columns)]);
    let resolver = resolver(&dataset);
    let request = ScanRequest {
        features: named(&resolver, &["x"]),
        weight: Some(resolver.compile("w").unwrap()),
        ..ScanRequest::new(Hidden::rejected(vec![resolver.compile("secret").unwrap()]))
    };
    let table = dataset.scan(&request, None).unwrap();
    assert_eq!(table.features, [0.0, 3.0]);
    let expected = ScanReport {
        rows_read: 2,
        rows_selected: 2,
        ..ScanReport::default()
    };
    assert_eq!(table.report, expected);
}

#[test]
fn ids_must_be_integers_and_present() {
    let (_directory, path) = folder();
    sample(&path, Form::ParquetSnappy);
    let dataset = open(&path);
    let resolver = resolver(&dataset);
    let scan = |names: &[&str], selection: &str| {
        let request = ScanRequest {
            selection: Some(resolver.compile(selection).unwrap()),
            id: IdSpec::Columns(names.iter().map(|&name| name.to_owned()).collect()),
            ..ScanRequest::new(Hidden::nothing())
        };
        dataset.scan(&request, None)
    };
    for (names, selection, text) in [
        (
            &["x"][..],
            "1",
            "column `x`: expected an integer, found Float32",
        ),
        (&["idd"], "1", "no such column (there is `id`)"),
        (
            &["small"],
            "n > 5 || n == 0",
            "row 50: id column `small` is null",
        ),
        (&[], "1", "the event id needs at least one column"),
    ] {
        says(scan(names, selection).unwrap_err(), text);
    }
    assert!(scan(&["small"], "n > 5").unwrap().ids.names()[0].signed);
}

#[test]
fn files_may_differ_in_numeric_types_but_not_in_needed_columns() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, form, columns: &[(&str, ArrayRef)]| {
        write(&directory.path().join(name), form, &[batch_of(columns)]);
    };
    let (x, y) = (("x", floats(&[1.5])), ("y", floats(&[1.0])));
    put("a", Form::ParquetSnappy, &[x, y]);
    let (more, x) = (("more", floats(&[0.0])), ("x", bytes(&[7])));
    put("b", Form::IpcFile, &[more, x]);
    let dataset = Dataset::open(&["[ab]".into()], directory.path()).unwrap();
    let resolver = resolver(&dataset);
    let request = |text: &str| ScanRequest {
        features: named(&resolver, &[text]),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request("x"), None).unwrap();
    assert_eq!(table.features, [1.5, 7.0]);
    let error = dataset.scan(&request("y"), None).unwrap_err();
    says(
        error,
        "b: column `y`: expected a number, found no such column",
    );
}

#[test]
fn a_column_that_is_no_number_is_refused_where_used() {
    let (_directory, path) = folder();
    sample(&path, Form::IpcStream);
    let dataset = open(&path);
    let error = resolver(&dataset).compile("label > 3").unwrap_err();
    says(error, "column `label` is Utf8, not a number: it holds text");
}

#[test]
fn summaries() {
    let directory = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = directory.path().join(format!("{form:?}"));
        sample(&path, form);
        let summary = summarise(&open(&path)).unwrap();
        assert_eq!(summary.len(), 10, "{form:?}");
        let y = &summary[1];
        assert_eq!((&*y.name, &*y.type_name), ("y", "Float64"));
        assert_eq!((y.rows, y.nulls, y.nans), (22_000, 220, 0));
        let range = [-21_999.0, -0.0].map(|x| Some(Number::Real(x)));
        assert_eq!([y.min, y.max], range);
        assert_eq!((y.zeros, y.negatives), (1, 21_779));
        let x = &summary[0];
        assert!((x.mean.unwrap() - 21_999.0 / 8.0).abs() < 1e-9);
        let list = &summary[9];
        let range = [1, 22_001].map(|x| Some(Number::Integer(x)));
        assert_eq!(([list.min, list.max], list.rows), (range, 22_000));
        let lengths = list.lengths.as_ref().unwrap();
        assert_eq!((lengths.min, lengths.max), (Some(0), Some(3)));
        let rest = (lengths.mean, lengths.nulls, lengths.elements);
        assert_eq!(rest, (Some(1.5), 0, 33_000));
    }
    let column = floats(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let (_directory, dataset) = written(Form::ParquetPlain, &[batch_of(&[("odd", column)])]);
    let odd = summarise(&dataset).unwrap().remove(0);
    assert_eq!((odd.min, odd.max, odd.mean), (None, None, None));
    let counts = [odd.nulls, odd.nans, odd.infinities, odd.negatives];
    assert_eq!(counts, [0, 1, 2, 1]);
}

#[test]
fn digests_are_those_of_sha256sum() {
    let (_directory, path) = folder();
    sample(&path, Form::ParquetSnappy);
    let record = open(&path).digest().unwrap().remove(0);
    assert_eq!(record.bytes, std::fs::metadata(&path).unwrap().len());
    assert_eq!((record.rows, record.sha256.len()), (Some(ROWS as u64), 64));
    let output = std::process::Command::new("sha256sum").arg(&path).output();
    if let Ok(output) = output {
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(&record.sha256));
    }
}

#[test]
fn rows_that_nothing_keeps_may_hold_what_cannot_be_computed_with() {
    let large = (1_i64 << 60) + 1;
    let lists = |lists: [&[i32]; 4]| -> ArrayRef {
        let lists = lists.map(|list| Some(list.iter().map(|x| Some(*x)).collect::<Vec<_>>()));
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
    };
    let batch = batch_of(&[
        ("keep", bytes(&[1, 0, 1, 0])),
        ("big", Arc::new(Int64Array::from(vec![5, large, 7, 9]))),
        ("a", lists([&[1], &[1], &[1, 2], &[1]])),
        ("b", lists([&[3], &[3], &[3, 4], &[]])),
    ]);
    let (_directory, dataset) = written(Form::ParquetSnappy, &[batch]);
    let resolver = resolver(&dataset);
    let compile = |text: &str| resolver.compile(text).unwrap();
    let request = |selection: &str| ScanRequest {
        selection: Some(compile(selection)),
        features: named(&resolver, &["big", "big / 2"]),
        columns: named(&resolver, &["sum(a * b)"]),
        weight: Some(compile("big")),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request("keep == 1"), None).unwrap();
    assert_eq!(table.features, [5.0, 2.5, 7.0, 3.5]);
    assert_eq!(table.weights, [5.0, 7.0]);
    assert_eq!(table.columns[0].1, [3.0, 11.0]);
    let places: Vec<u64> = (0..2).map(|k| table.ids.place(k)).collect();
    assert_eq!(places, [0, 2]);
    // a row that is kept is refused, by its place in the file
    for (selection, words) in [
        ("big != 9", "row 1 of"),
        ("big != 0 && keep == 0", "row 1 of"),
    ] {
        says(dataset.scan(&request(selection), None).unwrap_err(), words);
    }
    let error = dataset.scan(&request("big < 100"), None).unwrap_err();
    says(error, "have 1 and 0 elements on row 3 of");
}
