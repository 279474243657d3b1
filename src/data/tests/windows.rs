//! Windows hold exactly so many events, whatever the chunks are.

use super::streaming::{numbered, of_x, options, turned};
use super::*;

#[test]
fn the_last_window_of_a_pass_is_shorter() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events");
    let dataset = numbered(&path, 10_000, 700);
    let request = of_x(&dataset, Some("x != 5"));
    let scan = dataset.scan(&request, None).unwrap();
    for rows in [1000, 701, 9998, 9999, 50_000] {
        for chunk_rows in [64, 10_000] {
            let stream = dataset
                .stream(&request, &PartOrder::files(), options(chunk_rows, 6, 2))
                .unwrap();
            let windows: Vec<EventTable> = stream.windows(rows).map(Result::unwrap).collect();
            let (last, full) = windows.split_last().unwrap();
            assert!(full.iter().all(|window| window.len() == rows));
            assert_eq!(full.len() * rows + last.len(), 9999);
            assert!(!last.is_empty());
            let mut whole = EventTable::default();
            for window in &windows {
                whole.append_range(window, 0..window.len());
                whole.report.merge(&window.report);
            }
            assert_eq!(whole, scan);
        }
    }
}

#[test]
fn windows_reach_over_passes_and_can_be_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events");
    let dataset = numbered(&path, 3100, 500);
    for selection in [None, Some("x < 900 || x > 1600")] {
        let request = of_x(&dataset, selection);
        let per_pass = dataset.scan(&request, None).unwrap().len();
        let stream = |position, chunk_rows| {
            let order = PartOrder::passes(turned(dataset.parts())).starting_at(position);
            let options = options(chunk_rows, 4, 2);
            dataset.stream(&request, &order, options).unwrap()
        };
        let chunks = stream(StreamPosition::default(), 100).map(|chunk| chunk.unwrap().features);
        let all: Vec<f32> = chunks.flatten().take(5 * per_pass).collect();
        for rows in [1, 333, 500, per_pass, per_pass + 1] {
            let mut windows = stream(StreamPosition::default(), 450).windows(rows);
            let mut seen = 0;
            for step in 0..(4 * per_pass / rows).min(40) {
                let position = windows.position();
                let window = windows.next().unwrap().unwrap();
                assert_eq!(window.features, all[seen..seen + rows]);
                assert_eq!(
                    position.pass as usize * per_pass + position.event as usize,
                    seen
                );
                if step % 3 == 0 {
                    let mut again = stream(position, 170).windows(rows);
                    assert_eq!(again.position(), position);
                    assert_eq!(again.next().unwrap().unwrap().features, window.features);
                }
                seen += rows;
            }
        }
    }
}

#[test]
fn an_error_ends_the_windows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events");
    let dataset = numbered(&path, 3000, 500);
    let order = |pass: u64| if pass == 0 { vec![0, 1, 2] } else { vec![] };
    let stream = dataset.stream(
        &of_x(&dataset, None),
        &PartOrder::passes(order),
        options(100, 4, 2),
    );
    let mut windows = stream.unwrap().windows(400);
    let lengths: Vec<_> = windows.by_ref().map(|w| w.map(|w| w.len()).ok()).collect();
    assert_eq!(lengths, [Some(400), Some(400), Some(400), None]);
    assert!(windows.next().is_none());
}
