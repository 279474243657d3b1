//! Runs that are killed, stopped, damaged, shared, divided and made larger: in
//! the end everything is as if nothing had happened. `scripts/fault_test.py` does
//! the same at length.

use crate::support::workplace::{Made, copy, modified, tree};
use crate::support::{Done, Workplace, same_results, wait_until, workplace};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What two runs share that were disturbed in different ways.
const RESULTS: [&str; 2] = ["metrics.json", "predictions/source.parquet"];

/// Settings of members that take long enough to be stopped in their middle, and
/// are saved after every epoch.
const SLOW: [&str; 5] = [
    "training.epochs=1000",
    "training.patience=1000",
    "training.batch=16",
    "executor.checkpoint_epochs=1",
    "executor.members=2",
];
/// What they end with undisturbed.
static WHOLE: LazyLock<Made> = LazyLock::new(|| Made::new(&Workplace::new(), &SLOW));
/// Epochs of a member of [`SLOW`].
const EPOCHS: usize = 1000;

/// Members that do not end.
const ENDLESS: [&str; 4] = [
    "training.epochs=100000",
    "training.patience=100000",
    "training.batch=16",
    "executor.checkpoint_epochs=1",
];

/// Two ensembles that differ in the rate of learning; the rest is the small configuration.
fn matrix_config(place: &Workplace, name: &str, rates: &str) {
    let training = "[training]\nlearning_rate = \"${rate}\"";
    let text = place.text("config.toml").replace("[training]", training);
    place.write(name, format!("{text}\n[matrix]\nrate = {rates}\n"));
}

/// A run of another configuration.
fn run_of<'a>(config: &'a str, out: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    with(&["run", config, "--out", out], &workplace::set(settings))
}

/// Holds the results of the undisturbed run `whole` to those of another.
#[track_caller]
fn as_if_nothing_had_happened(place: &Workplace, run: &str) {
    same_results(place, "whole", run, &RESULTS);
}

/// Events of one kind in the log of a run; every line is one.
#[track_caller]
fn events(place: &Workplace, run: &str, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap_or_default();
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{run}/log.jsonl: {e}: {line}"))
    };
    let events = text.lines().map(parse);
    events.filter(|event| event["event"] == kind).collect()
}

/// Epochs that ended so far, in a log that may be written to at this moment.
fn epochs(place: &Workplace, run: &str) -> usize {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap_or_default();
    text.matches("\"event\":\"epoch\"").count()
}

/// Waits until so many more epochs have ended.
#[track_caller]
fn wait_for_epochs(place: &Workplace, run: &str, more: usize) {
    let before = epochs(place, run);
    wait_until("epochs", || epochs(place, run) >= before + more);
}

/// Checkpoints of members in training, the newest of each.
fn checkpoints(place: &Workplace, run: &str) -> Vec<PathBuf> {
    let folder = place.path(run).join("checkpoints");
    let names = tree(&folder).into_keys().map(|name| folder.join(name));
    let newest = names.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    newest.collect()
}

/// As a crash of the machine leaves a file: shorter.
fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

fn run_with(place: &Workplace, out: &str, settings: &[&str], options: &[&str]) -> Done {
    place.sideband(&with(&Workplace::run_arguments(out, settings), options))
}

fn ensemble(run: &str, rate: &str) -> String {
    format!("{run}/ensembles/rate={rate}")
}

/// Holds an ensemble of two matrices to each other.
#[track_caller]
fn same_ensembles(place: &Workplace, a: &str, b: &str, rate: &str) {
    same_results(place, &ensemble(a, rate), &ensemble(b, rate), &RESULTS);
}

#[test]
fn killed_in_the_middle_of_a_member_it_goes_on_from_its_checkpoint() {
    let place = Workplace::new().with("whole", &WHOLE);
    let newest = |place: &Workplace| checkpoints(place, "out").pop().unwrap();
    let kills: [&dyn Fn(); 5] = [
        &|| {},
        &|| fs::remove_file(newest(&place)).unwrap(),
        &|| {},
        &|| truncate(&newest(&place)),
        &|| place.write("out/members/member_0001.safetensors.1-0.tmp", "x"),
    ];
    for damage in &kills {
        let child = place.start(&Workplace::run_arguments("out", &SLOW));
        wait_for_epochs(&place, "out", 20);
        child.kill();
        // there is none if it was killed between the two names of a checkpoint
        if !checkpoints(&place, "out").is_empty() {
            damage();
        }
    }
    place.run("out", &SLOW).exits(0);
    as_if_nothing_had_happened(&place, "out");
    // a kill costs the epoch it falls into, the loss of the newest checkpoint
    // one more; a member begun anew would cost tens
    let (needed, trained) = (2 * EPOCHS, epochs(&place, "out"));
    let allowed = needed..=needed + 2 * kills.len();
    let is_allowed = allowed.contains(&trained);
    assert!(is_allowed, "{trained} epochs, not {allowed:?}");
    assert!(checkpoints(&place, "out").is_empty());
}

#[test]
fn without_any_checkpoint_a_member_begins_anew() {
    let place = Workplace::new().with("whole", &WHOLE);
    let child = place.start(&Workplace::run_arguments("out", &SLOW));
    wait_for_epochs(&place, "out", 20);
    child.kill();
    fs::remove_dir_all(place.path("out/checkpoints")).unwrap();
    place.run("out", &SLOW).exits(0);
    as_if_nothing_had_happened(&place, "out");
    assert!(epochs(&place, "out") >= 2 * EPOCHS + 20);
}

#[cfg(unix)]
#[test]
fn sigterm_saves_every_member_where_it_stands() {
    let place = Workplace::new();
    // long enough that on a busy machine, too, a member stands when the signal comes
    let long = ["training.epochs=4000", "training.patience=4000"];
    let two = with(&with(&SLOW, &long), &["device.threads=2"]);
    place.run("whole", &two).exits(0);
    // by time alone, and far away: what is found was written at the signal
    let two = with(&two, &["executor.checkpoint_epochs=0"]);
    for _ in 0..3 {
        let mut child = place.start(&Workplace::run_arguments("out", &two));
        wait_for_epochs(&place, "out", 30);
        child.signal("-TERM");
        let done = child.end().exits(130);
        done.says(["run the same command again"]);
        assert!(!checkpoints(&place, "out").is_empty());
        assert_eq!(place.json("out/manifest.json")["state"], "interrupted");
    }
    place.run("out", &two).exits(0);
    as_if_nothing_had_happened(&place, "out");
    // no epoch was trained twice
    assert_eq!(epochs(&place, "out"), 2 * 4000);
    let ends = events(&place, "out", "end").into_iter();
    let states: Vec<Value> = ends.map(|e| e["state"].clone()).collect();
    let expected = [["interrupted"; 3].as_slice(), &["complete"]].concat();
    assert_eq!(states, expected);
}

#[test]
fn at_the_time_limit_a_run_leaves_and_goes_on_later() {
    let place = Workplace::new();
    let limited = |out, seconds, settings: &[&'static str]| {
        run_with(&place, out, settings, &["--time-limit", seconds])
    };
    let done = limited("endless", "1", &ENDLESS).exits(75);
    done.says(["time limit reached"]);
    assert_eq!(checkpoints(&place, "endless").len(), 1);
    assert_eq!(place.json("endless/manifest.json")["state"], "interrupted");

    let slow = with(&SLOW, &["training.epochs=2000", "training.patience=2000"]);
    place.run("whole", &slow).exits(0);
    let mut times = 0;
    while limited("out", "1", &slow).exit == Some(75) {
        times += 1;
        assert!(times < 200, "it does not come to an end");
    }
    println!("{times} times");
    place.run("out", &slow).exits(0);
    as_if_nothing_had_happened(&place, "out");
    assert_eq!(epochs(&place, "out"), 2 * 2000);

    // no time at all: nothing but the directory
    limited("none", "0", &SLOW).exits(75);
    assert!(place.members("none").is_empty());
    let worker = ["worker", "none", "--time-limit", "0"];
    let done = place.sideband(&worker).exits(75);
    done.says(["not all is done"]);
}

#[test]
fn a_damaged_member_is_trained_anew() {
    let place = Workplace::new();
    let settings = ["ensemble.members=5"];
    place.run("whole", &settings).exits(0);
    copy(&place.path("whole"), &place.path("out"));
    let member = |n| place.member("out", n);
    truncate(&member(1));
    let mut bytes = fs::read(member(2)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(member(2), bytes).unwrap();
    fs::write(member(3), "not a member").unwrap();
    fs::remove_file(member(4)).unwrap();
    let done = place.run("out", &settings).exits(0);
    let done = done.warns_not("training member 0 anew");
    done.warns([1, 2, 3].map(|n| format!("training member {n} anew")));
    as_if_nothing_had_happened(&place, "out");
}

/// The first run once waited for ever for a member of its own block, and the
/// second one for the first.
#[test]
fn a_member_that_is_damaged_while_its_block_is_in_training_is_trained_anew() {
    let place = Workplace::new();
    let settings = with(&SLOW, &["ensemble.members=4", "executor.members=4"]);
    place.run("whole", &settings).exits(0);
    let first = place.start(&Workplace::run_arguments("out", &settings));
    let member = place.member("out", 0);
    wait_until("a member", || member.exists());
    truncate(&member);
    let second = place.start(&Workplace::run_arguments("out", &settings));
    first.end().exits(0);
    second.end().exits(0);
    as_if_nothing_had_happened(&place, "out");
}

#[test]
fn two_runs_on_one_directory_share_the_work() {
    let place = Workplace::new();
    let settings = with(&SLOW, &["ensemble.members=8", "training.epochs=60"]);
    place.run("whole", &settings).exits(0);
    let both = [(); 2].map(|()| place.start(&Workplace::run_arguments("out", &settings)));
    for child in both {
        child.end().exits(0);
    }
    as_if_nothing_had_happened(&place, "out");
    // every member once, every epoch once, every line of the log whole
    assert_eq!(events(&place, "out", "member").len(), 8);
    assert_eq!(events(&place, "out", "epoch").len(), 8 * 60);
    let left = tree(&place.path("out/claims"));
    assert!(left.keys().eq([Path::new(".clock")]), "{:?}", left.keys());
}

#[test]
fn workers_train_block_by_block() {
    let place = Workplace::new();
    let settings = ["ensemble.members=5", "executor.members=2"];
    place.run("whole", &settings).exits(0);
    run_with(&place, "out", &settings, &["--time-limit", "0"]).exits(75);
    for (block, members) in [("2", 1), ("0", 3), ("1", 5)] {
        let worker = ["worker", "out", "--block", block];
        let work = || {
            let done = place.sideband(&worker).exits(0);
            done.says([format!("block {block} is done")]);
            modified(&place.member("out", 4))
        };
        let before = work();
        assert_eq!(place.members("out").len(), members);
        // a second time there is nothing to do
        assert_eq!(work(), before);
    }
    let done = place.sideband(&["worker", "out"]).exits(0);
    done.says(["every block is done"]);
    assert!(!place.has("out/metrics.json"));
    let done = place.sideband(&["worker", "out", "--block", "3"]).exits(2);
    done.warns(["the run has blocks 0 to 2"]);
    place.sideband(&["worker", "nowhere"]).exits(4);
    place.run("out", &settings).exits(0);
    as_if_nothing_had_happened(&place, "out");
    // what the workers wrote down is in the run's log
    assert_eq!(events(&place, "out", "member").len(), 5);
}

#[test]
fn a_worker_that_is_killed_leaves_its_block_to_the_next() {
    let place = Workplace::new().with("whole", &WHOLE);
    run_with(&place, "out", &SLOW, &["--time-limit", "0"]).exits(75);
    let worker = place.start(&["worker", "out", "--block", "0"]);
    wait_until("a checkpoint", || !checkpoints(&place, "out").is_empty());
    worker.kill();
    let status = place.sideband(&["status", "out"]).exits(0);
    status.says(["the next worker takes them over"]);
    place.sideband(&["worker", "out", "--block", "0"]).exits(0);
    place.run("out", &SLOW).exits(0);
    as_if_nothing_had_happened(&place, "out");
}

#[test]
fn more_members_leave_those_that_are_there_alone() {
    let place = Workplace::new();
    place.run("whole", &["ensemble.members=6"]).exits(0);
    place.run("out", &["ensemble.members=3"]).exits(0);
    let members = place.members("out");
    let times = || [0, 1, 2].map(|n| modified(&place.member("out", n)));
    let before = times();
    let fewer = ["extend", "out", "--members", "2"];
    place.sideband(&fewer).exits(2).warns(["3 members"]);
    // stopped before anything is trained: the same command goes on
    let arguments = ["extend", "out", "--members", "6"];
    let limited = with(&arguments, &["--time-limit", "0"]);
    place.sideband(&limited).exits(75);
    place.sideband(&arguments).exits(0).says(["result  "]);
    let now = place.members("out");
    for (name, bytes) in &members {
        assert!(now[name] == *bytes, "{name}");
    }
    assert_eq!(times(), before);
    as_if_nothing_had_happened(&place, "out");
    // as often as one likes
    place.sideband(&arguments).exits(0);
}

#[test]
fn parts_of_a_run_are_merged() {
    let place = Workplace::new();
    let settings = ["ensemble.members=6"];
    place.run("whole", &settings).exits(0);
    let only = |out, range| run_with(&place, out, &settings, &["--only", range]);
    for (out, range, first) in [("a", "0-2", 0), ("b", "3-4", 3), ("c", "4-5", 4)] {
        only(out, range).exits(0);
        let first = format!("member_{first:04}.safetensors");
        assert_eq!(place.members(out).keys().next(), Some(&first));
        assert!(!place.has(&format!("{out}/metrics.json")));
    }
    only("a", "5-3").exits(2);
    let done = place.sideband(&["merge", "a", "b"]).exits(6);
    done.says(["2 members taken over", "1 missing"]);
    let done = place.sideband(&["merge", "a", "b", "c"]).exits(0);
    done.says(["1 member taken over, 3 there and equal, 0 there and different"]);
    as_if_nothing_had_happened(&place, "a");
}

#[test]
fn runs_of_another_plan_or_of_other_data_are_not_merged() {
    let place = Workplace::new();
    let four = "ensemble.members=4";
    place.run("out", &[four]).exits(0);
    fs::remove_file(place.member("out", 3)).unwrap();
    place.run("seed", &[four, "experiment.seed=8"]).exits(0);
    let done = place.sideband(&["merge", "out", "seed"]).exits(4);
    done.warns(["seed cannot be merged", "experiment.seed = 8"]);
    let other = Workplace::with_events(500);
    other.run("data", &[four]).exits(0);
    let path = other.path("data").display().to_string();
    let done = place.sideband(&["merge", "out", &path]).exits(4);
    done.warns(["other data"]);
    // nothing was taken over
    assert_eq!(place.members("out").len(), 3);
    place.sideband(&["merge", "out", "nowhere"]).exits(4);
}

#[test]
fn ensembles_of_a_matrix_do_not_know_each_other() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "[0.001, 0.002]");
    matrix_config(&place, "one.toml", "[0.002]");
    place.sideband(&run_of("one.toml", "one", &[])).exits(0);
    // several members of both ensembles in one stack, and each alone
    for (out, block) in [("stack", "device.block=4"), ("alone", "device.block=1")] {
        let done = place.sideband(&run_of("two.toml", out, &[block])).exits(0);
        done.says(["rate=0.001:"]);
        same_ensembles(&place, "one", out, "0.002");
        same_ensembles(&place, "stack", out, "0.001");
        assert!(place.has(&(ensemble(out, "0.001") + "/report.html")));
    }
    // one of them is a run directory like any other
    let nominal = "stack/ensembles/rate=0.001";
    place.sideband(&["report", nominal]).exits(0);
    place.predict(nominal, "source.parquet", "new.parquet");
    place.sideband(&["report", "stack"]).exits(0);
    // and all of them get more members
    let extend = ["extend", "stack", "--members", "3"];
    place.sideband(&extend).exits(0);
    assert_eq!(place.members(nominal).len(), 3);
}

#[test]
fn a_matrix_is_killed_and_goes_on() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "[0.001, 0.002]");
    let run = |out| run_of("two.toml", out, &SLOW);
    place.sideband(&run("whole")).exits(0);
    for _ in 0..3 {
        let child = place.start(&run("out"));
        wait_for_epochs(&place, "out", 50);
        child.kill();
    }
    let done = place.sideband(&["status", "out"]).exits(0);
    done.says(["rate=0.002", "nobody works on it"]);
    place.sideband(&run("out")).exits(0);
    same_ensembles(&place, "whole", "out", "0.001");
    same_ensembles(&place, "whole", "out", "0.002");
    assert!(epochs(&place, "out") <= 4 * EPOCHS + 2 * 3);
}

#[test]
fn a_member_that_diverges_is_tried_again_and_disturbs_nobody() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "[0.001, 10.0]");
    matrix_config(&place, "one.toml", "[0.001]");
    let settings = [
        "model.hidden=[50, 50, 50]",
        "training.retries=1",
        "device.block=4",
    ];
    place
        .sideband(&run_of("one.toml", "one", &settings))
        .exits(0);
    let run = || {
        place
            .sideband(&run_of("two.toml", "two", &settings))
            .exits(6)
    };
    run().says(["0 of 2 members succeeded", "ensemble.minimum asks for 2"]);
    same_ensembles(&place, "one", "two", "0.001");
    let failures = events(&place, "two", "failed");
    for member in [0, 1] {
        let of_member = failures.iter().filter(|e| e["member"] == member);
        let again: Vec<&Value> = of_member.map(|e| &e["again"]).collect();
        assert_eq!(again, [true, false], "member {member}");
    }
    let manifest = place.json("two/ensembles/rate=10/manifest.json");
    assert_eq!(manifest["failed"], serde_json::json!([0, 1]));
    // they are recorded: nobody tries them a third time
    run().warns_not("anew");
    assert_eq!(events(&place, "two", "failed").len(), 4);
}

#[test]
fn status_says_how_far_a_run_is() {
    let place = Workplace::new();
    place.sideband(&["status", "out"]).exits(4);
    let mut child = place.start(&Workplace::run_arguments("out", &ENDLESS));
    wait_until("a run directory", || place.has("out/manifest.json"));
    let mut value = Value::Null;
    wait_until("a worker that says its block", || {
        let status = place.sideband(&["status", "out", "--json"]).exits(0);
        value = status.json();
        let begun = value["ensembles"][0]["begun"] == 1;
        begun && value["workers"][0]["blocks"][0]["epoch_max"].as_u64() > Some(0)
    });
    let ensemble = &value["ensembles"][0];
    assert_eq!(ensemble["name"], "nominal");
    assert_eq!(ensemble["members"], 2);
    assert_eq!(ensemble["finished"], 0);
    assert_eq!(ensemble["state"], "running");
    assert_eq!(value["workers"][0]["pid"], child.id());
    assert_eq!(value["claims"][0]["block"], 0);
    let status = |run| place.sideband(&["status", run]).exits(0);
    status("out").says(["small: 0 of 2 members", "running", "nominal, member 0"]);
    child.kill();
    // the worker of this host is seen to be gone at once
    status("out").says(["nobody works on it in this moment", "gives no sign: 0"]);
    place.run("whole", &[]).exits(0);
    let done = status("whole").says(["small: 2 of 2 members", "complete"]);
    assert!(!done.stdout.contains("member-events/s"), "{}", done.stdout);
}

#[test]
fn members_that_are_not_there_cannot_be_asked_for() {
    let done = run_with(&Workplace::new(), "out", &[], &["--only", "2-3"]);
    done.exits(2).warns(["the last member is 1"]);
}
