//! Data larger than memory: events that are read while training. The data here
//! are small; that memory is bounded shows `configs/large.toml`.

use crate::support::{Workplace, differing, numbers, read_parquet};
use std::fs;
use std::time::{Duration, Instant};

/// Events of each sample: several windows, and more than stay in memory.
const EVENTS: usize = 9000;

const STREAM: [&str; 6] = [
    "data.stream={window=1024, sample=3000, read_ahead=8192}",
    "ensemble.members=4",
    "training.epochs=6",
    "training.patience=6",
    "executor.checkpoint_epochs=1",
    "executor.members=2",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    STREAM.iter().chain(more).copied().collect()
}

#[track_caller]
fn same_members(place: &Workplace, a: &str, b: &str) {
    let (a, b) = (place.members(a), place.members(b));
    assert_eq!(a.len(), 4);
    assert_eq!(differing(&a, &b), Vec::<String>::new());
}

#[test]
fn every_event_is_predicted_and_the_yields_are_those_of_all() {
    let place = Workplace::with_events(EVENTS);
    let done = place.run("out", &STREAM).exits(0);
    assert!(
        done.stderr.contains("read while training"),
        "{}",
        done.stderr
    );
    let source = read_parquet(&place.path("source.parquet"));
    let column = |table: &crate::support::Columns, name: &str| -> Vec<f64> {
        numbers(&table.iter().find(|(n, _)| n == name).unwrap().1)
    };
    let predicted = read_parquet(&place.path("out/predictions/source.parquet"));
    let (weights, own) = (column(&predicted, "weight"), column(&source, "weight"));
    assert_eq!(weights.len(), own.len());
    let trained = column(&source, "mass")
        .iter()
        .map(|m| *m <= 0.7)
        .collect::<Vec<_>>();
    let sum: f64 = own
        .iter()
        .zip(&trained)
        .filter(|(_, t)| **t)
        .map(|(w, _)| w)
        .sum();
    let found = place.json("out/metrics.json")["training_yields"][0]
        .as_f64()
        .unwrap();
    assert!((found - sum).abs() < 1e-6 * sum, "{found} {sum}");
    // each member is normalised to the target's yield over all events
    let target = read_parquet(&place.path("target.parquet"));
    let masses = column(&target, "mass");
    let weights = column(&target, "weight");
    let pairs = weights.iter().zip(&masses);
    let wanted: f64 = pairs.filter(|(_, m)| **m <= 0.7).map(|(w, _)| w).sum();
    let member = column(&predicted, "member_0002");
    let pairs = member.iter().zip(&trained);
    let got: f64 = pairs.filter(|(_, t)| **t).map(|(w, _)| w).sum();
    assert!((got / wanted - 1.0).abs() < 1e-4, "{got} {wanted}");
}

#[test]
fn members_do_not_depend_on_threads_blocks_or_what_is_read_ahead() {
    let place = Workplace::with_events(EVENTS);
    place.run("one", &STREAM).exits(0);
    place.run("threads", &with(&["device.threads=3"])).exits(0);
    place
        .run("block", &with(&["device.block=4", "executor.members=4"]))
        .exits(0);
    same_members(&place, "one", "threads");
    same_members(&place, "one", "block");
    // another window is another shuffle
    let wider = with(&["data.stream={window=2048, sample=3000, read_ahead=8192}"]);
    place.run("wider", &wider).exits(0);
    let (a, b) = (place.members("one"), place.members("wider"));
    assert_eq!(differing(&a, &b).len(), 4);
}

#[test]
fn killed_and_gone_on_it_ends_with_the_same_members() {
    let place = Workplace::with_events(EVENTS);
    let slow = with(&["training.epochs=60", "training.patience=60"]);
    place.run("whole", &slow).exits(0);
    let mut kills = 0;
    for round in 0..40u64 {
        let mut child = place.start(&Workplace::run_arguments("killed", &slow));
        let begin = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begin.elapsed() > Duration::from_millis(120 + 60 * (round % 7)) {
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(0));
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0, "it was never killed");
    place.run("killed", &slow).exits(0);
    same_members(&place, "whole", "killed");
    assert_eq!(
        fs::read_dir(place.path("killed/checkpoints"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn the_ensemble_learns_as_well_as_in_memory() {
    let place = Workplace::with_events(EVENTS);
    let settings = [
        "ensemble.members=4",
        "training.epochs=30",
        "training.patience=30",
    ];
    place.run("memory", &settings).exits(0);
    let streamed = with(&["training.epochs=30", "training.patience=30"]);
    place.run("stream", &streamed).exits(0);
    let loss = |run: &str| {
        place.json(&format!("{run}/metrics.json"))["loss"]["validation_mean"]
            .as_f64()
            .unwrap()
    };
    // other validation events: the loss of 500 events a class is known to about 0.03
    let (a, b) = (loss("memory"), loss("stream"));
    assert!((a - b).abs() < 0.12, "{a} {b}");
}
