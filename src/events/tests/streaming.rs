//! A stream gives what a scan gives, in any order, pass after pass, and never
//! reads far ahead.

use crate::error::Result;
use std::time::{Duration, Instant};

use super::reading::full_request;
use super::*;

fn options(chunk_rows: usize, buffers: usize, threads: usize) -> StreamOptions {
    StreamOptions {
        chunk_rows,
        buffers,
        threads,
    }
}

fn at(pass: u64, event: u64) -> StreamPosition {
    StreamPosition { pass, event }
}

/// All chunks in one table; what a scan cannot tell is taken out.
fn joined(chunks: impl Iterator<Item = Result<EventTable>>) -> EventTable {
    let mut whole = EventTable::default();
    for chunk in chunks {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.report.rows_selected, chunk.len() as u64);
        whole.append_range(&chunk, 0..chunk.len());
        whole.report.merge(&chunk.report);
    }
    whole
}

/// Three files of several formats and group sizes, 66 000 rows.
fn three_files(directory: &Path) -> Arc<Dataset> {
    sample(&directory.join("a"), Form::ParquetZstdSplit);
    sample(&directory.join("b"), Form::IpcStreamZstd);
    let groups = [(0, 700), (700, 21_000), (21_700, 300)];
    let batches = groups.map(|(first, rows)| batch(first, rows));
    write(&directory.join("c"), Form::ParquetSnappy, &batches);
    Arc::new(Dataset::open(&["*".into()], directory).unwrap())
}

/// Without the column that holds NaN, which is equal to nothing.
fn request(dataset: &Dataset) -> Arc<ScanRequest> {
    let mut request = full_request(&resolver(dataset));
    request.columns.remove(0);
    Arc::new(request)
}

/// `n` rows that hold their number in `x`, in row groups of `group` rows.
fn numbered(n: usize, group: usize) -> (TempDir, Arc<Dataset>) {
    let batch = |first: usize| {
        let x: Vec<f64> = (first..n.min(first + group)).map(|i| i as f64).collect();
        batch_of(&[("x", floats(&x))])
    };
    let batches: Vec<_> = (0..n).step_by(group).map(batch).collect();
    let (directory, dataset) = written(Form::ParquetPlain, &batches);
    (directory, Arc::new(dataset))
}

fn of_x(dataset: &Dataset, selection: Option<&str>) -> Arc<ScanRequest> {
    let resolver = resolver(dataset);
    Arc::new(ScanRequest {
        selection: selection.map(|text| resolver.compile(text).unwrap()),
        features: named(&resolver, &["x"]),
        ..ScanRequest::new(Hidden::nothing())
    })
}

/// Parts of a pass, turned round by the number of the pass.
fn turned(parts: usize) -> impl Fn(u64) -> Vec<u32> {
    move |pass| {
        let mut list: Vec<u32> = (0..parts as u32).collect();
        list.rotate_left(pass as usize % parts);
        if pass % 2 == 1 {
            list.reverse();
        }
        list
    }
}

#[test]
fn a_stream_is_a_scan_in_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let request = request(&dataset);
    let mut scan = dataset.scan(&request, None).unwrap();
    scan.report.duplicate_ids = 0;
    for options in [
        StreamOptions::default(),
        options(1000, 1, 1),
        options(333, 3, 2),
        options(8192, 7, 3),
        options(100_000, 2, 9),
        options(0, 0, 0),
    ] {
        let stream = dataset.stream(&request, &PartOrder::files(), options);
        let mut stream = stream.unwrap();
        let mut longest = 0;
        let whole = joined(stream.by_ref().inspect(|chunk| {
            longest = longest.max(chunk.as_ref().unwrap().len());
        }));
        assert_eq!(whole, scan, "{options:?}");
        assert!(longest <= options.chunk_rows.max(1));
        assert_eq!(stream.rows_read(), 66_000);
        assert!(stream.next().is_none());
    }
}

#[test]
fn places_tell_events_apart_whatever_is_selected() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = three_files(directory.path());
    let all = dataset
        .scan(&ScanRequest::new(Hidden::nothing()), None)
        .unwrap();
    let some = dataset.scan(&request(&dataset), None).unwrap();
    assert_eq!(all.ids.place(22_000), 1 << 40);
    assert_eq!(all.ids.place(65_999), (2 << 40) + 21_999);
    assert!(some.len() > 1000);
    let places: Vec<u64> = (0..all.len()).map(|k| all.ids.place(k)).collect();
    for k in 0..some.len() {
        let row = places.binary_search(&some.ids.place(k)).unwrap() as u64 % 22_000;
        assert_eq!(some.ids.values(k).nth(1), Some((1 << 63) + row));
    }
}

#[test]
fn parts_come_in_the_order_asked_for() {
    let (_directory, dataset) = numbered(10_500, 1000);
    assert_eq!(dataset.parts(), 11);
    let request = of_x(&dataset, None);
    let order = vec![10, 3, 0, 9, 7];
    let expected: Vec<f32> = order
        .iter()
        .flat_map(|part| part * 1000..10_500.min((part + 1) * 1000))
        .map(|i| i as f32)
        .collect();
    let order = PartOrder::given(order);
    for options in [options(300, 2, 1), options(999, 5, 3), options(5000, 9, 9)] {
        let stream = dataset.stream(&request, &order, options).unwrap();
        assert_eq!(joined(stream).features, expected);
    }
    let refused = |order| {
        let order = PartOrder::given(order);
        let stream = dataset.stream(&request, &order, StreamOptions::default());
        stream.unwrap_err().to_string()
    };
    assert!(refused(vec![0, 11]).contains("of the 11 parts of the files: there is no part 11"));
    assert!(refused(vec![2, 1, 2]).contains("part 2 comes twice"));
    assert!(refused(vec![]).contains("it is empty"));
}

#[test]
fn passes_follow_each_other_and_start_anywhere() {
    let (_directory, dataset) = numbered(5300, 1000);
    let parts = dataset.parts();
    for selection in [None, Some("x < 900 || x > 2100")] {
        let request = of_x(&dataset, selection);
        let per_pass = dataset.scan(&request, None).unwrap().len();
        let passes = |start, options| {
            let order = PartOrder::passes(turned(parts)).starting_at(start);
            dataset.stream(&request, &order, options).unwrap()
        };
        let taken = |start, options, n: usize| {
            let chunks = passes(start, options).map(|chunk| chunk.unwrap().features);
            chunks.flatten().take(n).collect::<Vec<f32>>()
        };
        let all = taken(StreamPosition::default(), options(64, 4, 1), 5 * per_pass);
        for (pass, events) in all.chunks(per_pass).enumerate() {
            let order = PartOrder::given(turned(parts)(pass as u64));
            let one = dataset.stream(&request, &order, options(64, 4, 1)).unwrap();
            assert_eq!(events, joined(one).features, "pass {pass}");
        }
        let starts = [(0, 1), (1, 0), (1, 1000), (2, 1700)];
        for (pass, event) in starts.into_iter().chain([(1, per_pass), (0, 9000)]) {
            let start = at(pass, event as u64);
            let rest = &all[pass as usize * per_pass + event..];
            for options in [options(77, 2, 2), options(4000, 9, 3)] {
                assert_eq!(taken(start, options, rest.len()), rest, "{start:?}");
            }
        }
        // Every position that a stream tells leads to what comes next.
        let mut stream = passes(StreamPosition::default(), options(450, 4, 2));
        let mut seen = 0;
        for _ in 0..40 {
            let position = stream.position();
            let passed = position.pass as usize * per_pass;
            assert_eq!(position.event, (seen - passed) as u64);
            let chunk = stream.next().unwrap().unwrap();
            assert_eq!(chunk.features, all[seen..seen + chunk.len()]);
            let mut again =
                passes(position, options(450, 3, 3)).filter(|c| !c.as_ref().unwrap().is_empty());
            if !chunk.is_empty() {
                let again = again.next().unwrap().unwrap();
                assert_eq!(again.features[..], chunk.features[..again.len()]);
            }
            seen += chunk.len();
        }
        assert!(seen > 2 * per_pass);
    }
}

#[test]
fn whole_parts_are_passed_over_unread_where_every_row_counts() {
    let (_directory, dataset) = numbered(6000, 1000);
    let start = at(0, 4500);
    let order = PartOrder::files().starting_at(start);
    for (selection, read) in [(None, 2000), (Some("1"), 6000)] {
        let request = of_x(&dataset, selection);
        let stream = dataset.stream(&request, &order, options(100, 4, 2));
        let mut stream = stream.unwrap();
        assert_eq!(stream.position(), start);
        assert_eq!(joined(stream.by_ref()).features[0], 4500.0);
        assert_eq!(stream.rows_read(), read);
    }
    let behind = PartOrder::files().starting_at(at(0, 6001));
    let request = of_x(&dataset, None);
    let stream = dataset.stream(&request, &behind, StreamOptions::default());
    assert_eq!(joined(stream.unwrap()).len(), 0);
}

/// Rows read beyond `taken`, once there are `enough` and no more come.
fn settled(stream: &EventStream, taken: u64, enough: u64) -> u64 {
    let (start, mut last) = (Instant::now(), 0);
    loop {
        std::thread::sleep(Duration::from_millis(60));
        let now = stream.rows_read() - taken;
        if now == last && now >= enough {
            return now;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "only {now}");
        last = now;
    }
}

#[test]
fn a_long_row_group_is_not_read_ahead_of_a_slow_consumer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("long");
    let rows = 4_000_000;
    let x: Vec<f64> = (0..rows).map(f64::from).collect();
    let zero = floats(&vec![0.0; rows as usize]);
    let zeros = ["a", "b", "c"].map(|name| (name, zero.clone()));
    write_long(
        &path,
        &batch_of(&[&[("x", floats(&x))], &zeros[..]].concat()),
    );
    let dataset = Arc::new(open(&path));
    assert_eq!(dataset.parts(), 31);
    let resolver = resolver(&dataset);
    let request = Arc::new(ScanRequest {
        features: named(&resolver, &["x", "a", "b", "c"]),
        ..ScanRequest::new(Hidden::nothing())
    });
    for (options, bound) in [
        (options(10_000, 1, 1), 10_000),
        (options(10_000, 6, 2), 60_000),
        (options(65_536, 5, 3), 5 * 65_536),
    ] {
        let order = PartOrder::passes(turned(31));
        let mut stream = dataset.stream(&request, &order, options).unwrap();
        let mut taken = 0;
        for round in 0..4 {
            let ahead = settled(&stream, taken, bound / 4);
            assert!(ahead <= bound, "{options:?} {ahead}");
            for _ in 0..round {
                taken += stream.next().unwrap().unwrap().len() as u64;
            }
        }
        // At full speed too.
        while taken < 1_000_000 {
            let read = stream.rows_read();
            assert!(read - taken <= bound, "{options:?} {}", read - taken);
            taken += stream.next().unwrap().unwrap().len() as u64;
        }
    }
    let stream = dataset.stream(&request, &PartOrder::files(), StreamOptions::default());
    let mut next = 0;
    for chunk in stream.unwrap() {
        for event in chunk.unwrap().features.chunks(4) {
            assert_eq!(event, [next as f32, 0.0, 0.0, 0.0]);
            next += 1;
        }
    }
    assert_eq!(next, rows);
}

/// One row group, however long.
fn write_long(path: &Path, batch: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(batch.num_rows()))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    assert_eq!(writer.close().unwrap().row_groups().len(), 1);
}

#[test]
fn threads_end_with_their_stream() {
    let (_directory, dataset) = numbered(300_000, 50_000);
    // Nothing is selected, so that no thread is ever stopped by a full queue.
    let nothing = of_x(&dataset, Some("x < 0 || x > 299998"));
    let order = PartOrder::passes(turned(dataset.parts()));
    for request in [of_x(&dataset, None), nothing] {
        for taken in [0, 1, 5] {
            let stream = dataset.stream(&request, &order, options(1000, 8, 4));
            let mut stream = stream.unwrap();
            for chunk in stream.by_ref().take(taken) {
                chunk.unwrap();
            }
            assert!(Arc::strong_count(&dataset) > 1);
            let start = Instant::now();
            drop(stream);
            assert!(start.elapsed() < Duration::from_secs(5));
            assert_eq!(Arc::strong_count(&dataset), 1);
        }
    }
}

/// What comes before the error, and the error, which is the last item.
fn until_error(mut stream: EventStream) -> (Vec<f32>, String) {
    let mut before = Vec::new();
    loop {
        match stream.next().unwrap() {
            Ok(chunk) => before.extend(chunk.features),
            Err(error) => {
                assert!(stream.next().is_none());
                return (before, error.to_string());
            }
        }
    }
}

#[test]
fn errors_come_at_their_place() {
    let bad = |i: usize| match i {
        2345 | 2346 => f64::NAN,
        _ => 1.0,
    };
    let batch = |group: usize| {
        let column = |value: &dyn Fn(usize) -> f64| {
            floats(
                &(group * 1000..(group + 1) * 1000)
                    .map(value)
                    .collect::<Vec<_>>(),
            )
        };
        batch_of(&[("x", column(&|i| i as f64)), ("w", column(&bad))])
    };
    let batches: Vec<_> = (0..6).map(batch).collect();
    let (_directory, dataset) = written(Form::ParquetPlain, &batches);
    let dataset = Arc::new(dataset);
    let resolver = resolver(&dataset);
    let lacking = Arc::new(ScanRequest {
        features: named(&resolver, &["x", "x * w", "w"]),
        ..ScanRequest::new(Hidden::nothing())
    });
    let heavy = Arc::new(ScanRequest {
        features: named(&resolver, &["x"]),
        weight: Some(resolver.compile("w").unwrap()),
        ..ScanRequest::new(Hidden::nothing())
    });
    for threads in [1, 2, 5] {
        let order = PartOrder::given(vec![5, 1, 2, 0]);
        let stream = |request| dataset.stream(request, &order, options(100, 10, threads));
        let (before, error) = until_error(stream(&lacking).unwrap());
        assert_eq!(before.len(), 3 * 2300);
        assert!(error.starts_with("feature `x * w` is missing"), "{error}");
        assert!(error.contains("row 2345 of "), "{error}");
        let (before, error) = until_error(stream(&heavy).unwrap());
        assert_eq!((before.len(), before[2299]), (2300, 2299.0));
        assert!(error.contains("row 2345: the weight is NaN"), "{error}");
    }

    let order = |pass: u64| if pass < 2 { vec![0, 1] } else { vec![6] };
    let order = PartOrder::passes(order);
    let stream = dataset.stream(&of_x(&dataset, None), &order, options(100, 9, 3));
    let (before, error) = until_error(stream.unwrap());
    assert_eq!(before.len(), 4000);
    assert!(error.contains("pass 2 has a wrong order"), "{error}");

    let never = of_x(&dataset, Some("x < 0"));
    let order = PartOrder::passes(turned(6));
    let stream = dataset.stream(&never, &order, StreamOptions::default());
    let (before, error) = until_error(stream.unwrap());
    assert!(before.is_empty());
    assert_eq!(error, "no event is selected in pass 0 over the files");
    let stream = dataset.stream(&never, &PartOrder::files(), StreamOptions::default());
    let report = joined(stream.unwrap()).report;
    assert_eq!((report.rows_read, report.rows_selected), (6000, 0));
}

#[test]
fn a_corrupt_group_ends_the_stream_where_it_lies() {
    let directory = tempfile::tempdir().unwrap();
    for form in [Form::ParquetSnappy, Form::IpcFileLz4] {
        let path = directory.path().join(format!("{form:?}"));
        sample(&path, form);
        let dataset = Arc::new(open(&path));
        let request = request(&dataset);
        let good = dataset.scan(&request, None).unwrap();
        // The events of the first group; the second one is long and in the middle.
        let ids = (0..good.len()).map(|k| good.ids.values(k).nth(1).unwrap());
        let first = ids.take_while(|&id| id < (1 << 63) + 1500).count();
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 8..content.len() / 2;
        content[middle].fill(0xa5);
        std::fs::write(&path, content).unwrap();
        for threads in [1, 3] {
            let stream = dataset.stream(&request, &PartOrder::files(), options(50_000, 6, threads));
            let (before, error) = until_error(stream.unwrap());
            assert_eq!(before, good.features[..4 * first], "{form:?}");
            assert!(error.contains("corrupt or truncated at r"), "{error}");
            assert!(error.contains(" 1: "), "{error}");
        }
    }
}

#[test]
fn a_panic_of_the_order_is_an_error() {
    let (_directory, dataset) = numbered(100, 100);
    let order = PartOrder::passes(|pass| match pass {
        0..3 => vec![0],
        _ => panic!("no order for {pass}"),
    });
    let stream = dataset.stream(&of_x(&dataset, None), &order, options(100, 2, 2));
    let (before, error) = until_error(stream.unwrap());
    assert_eq!(before.len(), 300);
    assert_eq!(error, "reading ahead failed: no order for 3");
}
