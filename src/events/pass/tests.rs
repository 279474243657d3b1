//! Order, gaps and room, whatever the number of threads.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array};

use super::super::Hidden;
use super::super::tests::{Form, batch_of, named, resolver, says, write};
use super::*;

/// Rows of the row groups of each file; the third is longer than a part.
const GROUPS: [&[usize]; 3] = [&[900, 1, 20_000], &[5], &[150_000, 10_000]];

/// `x` counts the rows of all files; single precision, so that it is taken as it is.
/// `a` to `d` are the same, `e` too but for every tenth, which is missing.
fn three_files(directory: &Path) -> Dataset {
    let mut first = 0;
    for (file, groups) in GROUPS.iter().enumerate() {
        let batches: Vec<_> = groups
            .iter()
            .map(|&rows| {
                let x = (first..first + rows).map(|i| i as f32);
                first += rows;
                let e = x.clone().map(|x| (x % 10.0 != 0.0).then_some(x));
                let e: ArrayRef = Arc::new(Float32Array::from_iter(e));
                let x: ArrayRef = Arc::new(Float32Array::from_iter_values(x));
                let same = ["x", "a", "b", "c", "d"].map(|name| (name, Arc::clone(&x)));
                batch_of(&[&same[..], &[("e", e)]].concat())
            })
            .collect();
        let path = directory.join(format!("{file}.parquet"));
        write(&path, Form::ParquetSnappy, &batches);
    }
    Dataset::open(&["*.parquet".to_owned()], directory).unwrap()
}

fn request(dataset: &Dataset, selection: &str) -> ScanRequest {
    let resolver = resolver(dataset);
    ScanRequest {
        selection: Some(resolver.compile(selection).unwrap()),
        // Five: one more than are written at once.
        features: named(&resolver, &["x", "2 * x", "x + 1", "-x", "x"]),
        columns: named(&resolver, &["x / 2"]),
        flags: named(&resolver, &["x % 2 == 0"]),
        weight: Some(resolver.compile("x + 0.5").unwrap()),
        ..ScanRequest::new(Hidden::nothing())
    }
}

fn in_threads(threads: usize, scan: impl Fn() -> EventTable + Send + Sync) -> EventTable {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(scan)
}

#[test]
fn events_come_in_the_order_of_files_and_rows() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    for (selection, every) in [("1", 1), ("x % 3 == 0", 3), ("x % 7777 == 0", 7777)] {
        let request = request(&dataset, selection);
        let one = in_threads(1, || dataset.scan(&request, None).unwrap());
        let rows: usize = GROUPS.iter().copied().flatten().sum();
        assert_eq!(one.len(), rows.div_ceil(every));
        for (event, features) in one.features.chunks(5).enumerate() {
            let x = (event * every) as f32;
            assert_eq!(features, [x, 2.0 * x, x + 1.0, -x, x]);
            assert_eq!(one.columns[0].1[event], f64::from(x) / 2.0);
            assert_eq!(one.weights[event], f64::from(x) + 0.5);
            assert_eq!(one.flags[event], u64::from(x % 2.0 == 0.0));
        }
        assert!((0..one.len()).is_sorted_by_key(|k| one.ids.place(k)));
        for threads in [2, 5] {
            let more = in_threads(threads, || dataset.scan(&request, None).unwrap());
            assert_eq!(more, one, "{threads} threads, {selection}");
        }
    }
}

#[test]
fn room_that_is_short_is_made_longer() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    for selection in ["1", "x % 3 == 0"] {
        let request = request(&dataset, selection);
        let plan = ScanPlan::new(&dataset, &request).unwrap();
        let whole = dataset.scan(&request, None).unwrap();
        for room_bytes in [0, 100_000, 5_000_000] {
            let waves = in_threads(1, || {
                let jobs = dataset.jobs();
                let scan = Scan::new(&plan, &jobs, room_bytes).unwrap();
                scan.run(&jobs, None).unwrap()
            });
            assert_eq!(waves, whole, "{room_bytes} bytes, {selection}");
        }
    }
}

/// The same data with few columns in the selection, so that events are counted.
fn counted_request(dataset: &Dataset) -> ScanRequest {
    let resolver = resolver(dataset);
    ScanRequest {
        selection: Some(resolver.compile("x % 7 != 0").unwrap()),
        hidden: Hidden::rejected(vec![resolver.compile("x > 500 && x < 30000").unwrap()]),
        features: named(&resolver, &["a", "b", "c", "d"]),
        flags: named(&resolver, &["x % 2 == 0", "x < 10"]),
        require_any_flag: true,
        ..ScanRequest::new(Hidden::nothing())
    }
}

#[test]
fn counted_events_have_just_the_room_they_need() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let mut request = counted_request(&dataset);
    let uncounted = |request: &ScanRequest| {
        let plan = ScanPlan::new(&dataset, request).unwrap();
        let jobs = dataset.jobs();
        let scan = Scan::new(&plan, &jobs, ROOM_BYTES).unwrap();
        scan.run(&jobs, None).unwrap()
    };
    let parts = |request: &ScanRequest| {
        let plan = ScanPlan::new(&dataset, request).unwrap();
        let selection = selection(&plan).unwrap();
        let selection = ScanPlan::new(&dataset, &selection).unwrap();
        counted(&dataset.jobs(), &selection).unwrap()
    };
    let table = dataset.scan(&request, None).unwrap();
    assert_eq!(table, uncounted(&request));
    let events = |parts: &[Job]| parts.iter().map(|part| part.events).sum::<usize>();
    assert_eq!(events(&parts(&request)), table.len());
    assert!(parts(&request).iter().any(|part| part.events == 0));

    // Rows that lack a feature are counted all the same; their gaps are closed.
    request.features.extend(named(&resolver(&dataset), &["e"]));
    request.on_missing = OnMissing::Drop;
    let fewer = dataset.scan(&request, None).unwrap();
    assert_eq!(fewer, uncounted(&request));
    let counted = events(&parts(&request));
    assert_eq!(counted, fewer.len() + fewer.report.rows_dropped as usize);
    assert!(fewer.len() < counted);
}

#[test]
fn a_selection_that_needs_many_columns_is_not_read_twice() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let mut request = counted_request(&dataset);
    request.features.pop();
    assert!(selection(&ScanPlan::new(&dataset, &request).unwrap()).is_some());
    request.features.pop();
    assert!(selection(&ScanPlan::new(&dataset, &request).unwrap()).is_none());
    // Nothing to count where every row is taken.
    let all = ScanRequest {
        features: named(&resolver(&dataset), &["a", "b", "c", "d"]),
        ..ScanRequest::new(Hidden::nothing())
    };
    assert!(selection(&ScanPlan::new(&dataset, &all).unwrap()).is_none());
}

#[test]
fn a_file_that_grows_between_counting_and_reading_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let request = counted_request(&dataset);
    let plan = ScanPlan::new(&dataset, &request).unwrap();
    let selection = selection(&plan).unwrap();
    let selection = ScanPlan::new(&dataset, &selection).unwrap();
    let mut jobs = counted(&dataset.jobs(), &selection).unwrap();
    jobs[0].events -= 1;
    let scan = Scan::new(&plan, &jobs, ROOM_BYTES).unwrap();
    let error = scan.run(&jobs, None).unwrap_err();
    says(&error, "more events than a moment ago");
    says(&error, "0.parquet");
}

#[test]
fn rows_beyond_any_memory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let request = request(&dataset, "1");
    let plan = ScanPlan::new(&dataset, &request).unwrap();
    let mut jobs = dataset.jobs();
    jobs[1].part.rows = u64::MAX;
    jobs[1].events = usize::MAX;
    let scan = Scan::new(&plan, &jobs, ROOM_BYTES).unwrap();
    let error = scan.run(&jobs, None).unwrap_err().to_string();
    assert!(error.starts_with("there is no memory"), "{error}");
}

#[test]
fn merged_parts_cover_all_rows_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let parts = dataset.jobs();
    // The long row group is two parts.
    assert_eq!(parts.len(), 7);
    for (least, expected) in [(1, 6), (6, 6), (7, 7), (100, 7)] {
        let jobs = merged(&parts, least);
        assert_eq!(jobs.len(), expected, "{least}");
        let mut next = (0, 0);
        for job in &jobs {
            let first = if job.file == next.0 { next.1 } else { 0 };
            assert_eq!(job.part.first_row, first);
            next = (job.file, first + job.part.rows);
        }
        let rows: u64 = jobs.iter().map(|job| job.part.rows).sum();
        assert_eq!(rows, dataset.rows());
        let events: usize = jobs.iter().map(|job| job.events).sum();
        assert_eq!(events as u64, rows);
    }
}

#[test]
fn the_error_is_that_of_the_first_bad_row() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let mut request = request(&dataset, "1");
    // Not finite in most row groups; first in row 1001.
    request.weight = Some(resolver(&dataset).compile("log(1001 - x)").unwrap());
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let error = pool.unwrap().install(|| dataset.scan(&request, None));
        says(
            error.unwrap_err(),
            "0.parquet: row 1001: the weight is -inf",
        );
    }
}
