//! Data larger than memory: events that are read while training. The data here
//! are small; that memory is bounded shows `configs/large.toml`.

use crate::support::workplace::{differing, tree};
use crate::support::{Workplace, number, numbers, same_results};
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
    assert_eq!(place.members(a).len(), 4);
    same_results(place, a, b, &[]);
}

#[test]
fn every_event_is_predicted_and_the_yields_are_those_of_all() {
    let place = Workplace::with_events(EVENTS);
    let done = place.run("out", &STREAM).exits(0);
    done.warns(["read while training"]);
    let [source, target] = ["source.parquet", "target.parquet"].map(|name| place.events(name));
    let predicted = place.events("out/predictions/source.parquet");
    assert_eq!(predicted.len(), source.len());
    // of the training region
    let yields = |mass: &[f64], weights: &[f64]| -> f64 {
        let pairs = weights.iter().zip(mass);
        pairs.filter(|(_, m)| **m <= 0.7).map(|(w, _)| w).sum()
    };
    let mass = source.numbers("mass");
    let sum = yields(&mass, &source.numbers("weight"));
    let found = numbers(&place.json("out/metrics.json")["training_yields"])[0];
    assert!((found - sum).abs() < 1e-6 * sum, "{found} {sum}");
    // each member is normalised to the target's yield over all events
    let wanted = yields(&target.numbers("mass"), &target.numbers("weight"));
    let got = yields(&mass, &predicted.numbers("member_0002"));
    assert!((got / wanted - 1.0).abs() < 1e-4, "{got} {wanted}");
}

#[test]
fn members_do_not_depend_on_threads_blocks_or_what_is_read_ahead() {
    let place = Workplace::with_events(EVENTS);
    place.run("one", &STREAM).exits(0);
    place.run("threads", &with(&["device.threads=3"])).exits(0);
    let block = with(&["device.block=4", "executor.members=4"]);
    place.run("block", &block).exits(0);
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
        let patience = Duration::from_millis(120 + 60 * (round % 7));
        while !child.has_ended() && begin.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        if child.has_ended() {
            child.end().exits(0);
            break;
        }
        child.kill();
        kills += 1;
    }
    assert!(kills > 0, "it was never killed");
    place.run("killed", &slow).exits(0);
    same_members(&place, "whole", "killed");
    assert!(tree(&place.path("killed/checkpoints")).is_empty());
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
        let metrics = place.json(&format!("{run}/metrics.json"));
        number(&metrics["loss"]["validation_mean"])
    };
    // other validation events: the loss of 500 events a class is known to about 0.03
    let (a, b) = (loss("memory"), loss("stream"));
    assert!((a - b).abs() < 0.12, "{a} {b}");
}
