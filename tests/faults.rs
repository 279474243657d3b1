//! Runs that are killed, stopped, damaged, shared, divided and made larger: in
//! the end everything is as if nothing had happened. `scripts/fault_test.py` does
//! the same at length.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};
use support::{Done, Workplace, differing};

/// What takes longer than this hangs, also on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Settings of members that take long enough to be stopped in their middle, and
/// are saved after every epoch.
const SLOW: [&str; 5] = [
    "training.epochs=1000",
    "training.patience=1000",
    "training.batch=16",
    "executor.checkpoint_epochs=1",
    "executor.members=2",
];
/// Epochs of a member of [`SLOW`].
const EPOCHS: usize = 1000;

/// Members that do not end.
const ENDLESS: [&str; 4] = [
    "training.epochs=100000",
    "training.patience=100000",
    "training.batch=16",
    "executor.checkpoint_epochs=1",
];

/// Two ensembles that differ in one number; the rest is the small configuration.
fn matrix_config(place: &Workplace, name: &str, key: &str, rates: &str) {
    let text = fs::read_to_string(place.path("config.toml")).unwrap();
    let text = text.replace("[training]", &format!("[training]\n{key} = \"${{rate}}\""));
    let text = format!("{text}\n[matrix]\nrate = {rates}\n");
    fs::write(place.path(name), text).unwrap();
}

/// Holds the results of two runs to each other, byte for byte.
#[track_caller]
fn same_results(place: &Workplace, a: &str, b: &str) {
    let (members, others) = (place.members(a), place.members(b));
    let names = |m: &BTreeMap<String, Vec<u8>>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&members), names(&others), "{a} {b}");
    assert_eq!(
        differing(&members, &others),
        Vec::<String>::new(),
        "{a} {b}"
    );
    for name in ["metrics.json", "predictions/source.parquet"] {
        let (one, other) = (format!("{a}/{name}"), format!("{b}/{name}"));
        assert!(
            place.read(&one) == place.read(&other),
            "{one} is not {other}"
        );
    }
}

/// Events of one kind in the log of a run; every line is one.
#[track_caller]
fn events(place: &Workplace, run: &str, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap_or_default();
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{run}/log.jsonl: {e}: {line}"))
    };
    text.lines()
        .map(parse)
        .filter(|event| event["event"] == kind)
        .collect()
}

/// Epochs that ended so far, in a log that may be written to at this moment.
fn epochs(place: &Workplace, run: &str) -> usize {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap_or_default();
    text.matches("\"event\":\"epoch\"").count()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until so many more epochs have ended.
#[track_caller]
fn wait_for_epochs(place: &Workplace, run: &str, more: usize) {
    let before = epochs(place, run);
    wait_until("epochs", || epochs(place, run) >= before + more);
}

/// The program at work; a test that fails leaves none behind.
struct Running(Option<Child>);

impl Running {
    fn start(place: &Workplace, arguments: &[&str]) -> Self {
        Self(Some(place.start(arguments)))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// How it ended.
    #[track_caller]
    fn end(mut self) -> Done {
        let started = Instant::now();
        while self.child().try_wait().unwrap().is_none() {
            if started.elapsed() > LIMIT {
                self.child().kill().unwrap();
                let output = self.0.take().unwrap().wait_with_output();
                panic!("it hangs: {output:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Done::of(self.0.take().unwrap().wait_with_output().unwrap())
    }

    /// SIGKILL.
    fn kill(self) {
        drop(self);
    }

    #[cfg(unix)]
    fn terminate(&mut self) {
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &self.child().id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // it may have ended just now
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Checkpoints of members in training, the newest of each.
fn checkpoints(place: &Workplace, run: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(place.path(run).join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    paths.sort();
    paths
}

/// As a crash of the machine leaves a file: shorter.
fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

#[test]
fn killed_in_the_middle_of_a_member_it_goes_on_from_its_checkpoint() {
    let place = Workplace::new();
    place.run("whole", &SLOW).exits(0);
    let newest = |place: &Workplace| checkpoints(place, "out").pop().unwrap();
    let kills: [&dyn Fn(); 5] = [
        &|| {},
        &|| fs::remove_file(newest(&place)).unwrap(),
        &|| {},
        &|| truncate(&newest(&place)),
        &|| {
            fs::write(
                place.path("out/members/member_0001.safetensors.1-0.tmp"),
                "x",
            )
            .unwrap()
        },
    ];
    for damage in &kills {
        let child = Running::start(&place, &Workplace::run_arguments("out", &SLOW));
        wait_for_epochs(&place, "out", 20);
        child.kill();
        // there is none if it was killed between the two names of a checkpoint
        if !checkpoints(&place, "out").is_empty() {
            damage();
        }
    }
    place.run("out", &SLOW).exits(0);
    same_results(&place, "whole", "out");
    // a kill costs the epoch it falls into, the loss of the newest checkpoint
    // one more; a member begun anew would cost tens
    let (needed, trained) = (2 * EPOCHS, epochs(&place, "out"));
    assert!(
        (needed..=needed + 2 * kills.len()).contains(&trained),
        "{trained} epochs trained, {needed} needed"
    );
    assert!(checkpoints(&place, "out").is_empty());
}

#[test]
fn without_any_checkpoint_a_member_begins_anew() {
    let place = Workplace::new();
    place.run("whole", &SLOW).exits(0);
    let child = Running::start(&place, &Workplace::run_arguments("out", &SLOW));
    wait_for_epochs(&place, "out", 20);
    child.kill();
    fs::remove_dir_all(place.path("out/checkpoints")).unwrap();
    place.run("out", &SLOW).exits(0);
    same_results(&place, "whole", "out");
    assert!(epochs(&place, "out") >= 2 * EPOCHS + 20);
}

#[cfg(unix)]
#[test]
fn sigterm_saves_every_member_where_it_stands() {
    let place = Workplace::new();
    // long enough that on a busy machine, too, a member stands when the signal comes
    let long = [
        "training.epochs=4000",
        "training.patience=4000",
        "device.threads=2",
    ];
    let two = with(&SLOW, &long);
    place.run("whole", &two).exits(0);
    // by time alone, and far away: what is found was written at the signal
    let two = with(&two, &["executor.checkpoint_epochs=0"]);
    for _ in 0..3 {
        let mut child = Running::start(&place, &Workplace::run_arguments("out", &two));
        wait_for_epochs(&place, "out", 30);
        child.terminate();
        let done = child.end().exits(130);
        assert!(
            done.stdout.contains("run the same command again"),
            "{}",
            done.stdout
        );
        assert!(!checkpoints(&place, "out").is_empty());
        assert_eq!(place.json("out/manifest.json")["state"], "interrupted");
    }
    place.run("out", &two).exits(0);
    same_results(&place, "whole", "out");
    // no epoch was trained twice
    assert_eq!(epochs(&place, "out"), 2 * 4000);
    let states: Vec<Value> = events(&place, "out", "end")
        .into_iter()
        .map(|e| e["state"].clone())
        .collect();
    assert_eq!(
        states,
        ["interrupted", "interrupted", "interrupted", "complete"]
    );
}

#[test]
fn at_the_time_limit_a_run_leaves_and_goes_on_later() {
    let place = Workplace::new();
    let limited = |out: &'static str, seconds, settings: &[&'static str]| {
        let mut arguments = Workplace::run_arguments(out, settings);
        arguments.extend(["--time-limit", seconds]);
        place.sideband(&arguments)
    };
    let done = limited("endless", "1", &ENDLESS).exits(75);
    assert!(
        done.stdout.contains("time limit reached"),
        "{}",
        done.stdout
    );
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
    same_results(&place, "whole", "out");
    assert_eq!(epochs(&place, "out"), 2 * 2000);

    // no time at all: nothing but the directory
    limited("none", "0", &SLOW).exits(75);
    assert!(place.members("none").is_empty());
    let worker = ["worker", "none", "--time-limit", "0"];
    let done = place.sideband(&worker).exits(75);
    assert!(done.stdout.contains("not all is done"), "{}", done.stdout);
}

#[test]
fn a_damaged_member_is_trained_anew() {
    let place = Workplace::new();
    let settings = ["ensemble.members=4"];
    place.run("whole", &settings).exits(0);
    place.run("out", &settings).exits(0);
    let member = |n| place.path(&format!("out/members/member_{n:04}.safetensors"));
    truncate(&member(1));
    let mut bytes = fs::read(member(2)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(member(2), bytes).unwrap();
    fs::remove_file(member(3)).unwrap();
    let done = place.run("out", &settings).exits(0);
    for (n, expected) in [(0, false), (1, true), (2, true)] {
        let said = done.stderr.contains(&format!("training member {n} anew"));
        assert_eq!(said, expected, "{}", done.stderr);
    }
    same_results(&place, "whole", "out");
}

/// The first run once waited for ever for a member of its own block, and the
/// second one for the first.
#[test]
fn a_member_that_is_damaged_while_its_block_is_in_training_is_trained_anew() {
    let place = Workplace::new();
    let settings = with(&SLOW, &["ensemble.members=4", "executor.members=4"]);
    place.run("whole", &settings).exits(0);
    let first = Running::start(&place, &Workplace::run_arguments("out", &settings));
    let member = place.path("out/members/member_0000.safetensors");
    wait_until("a member", || member.exists());
    truncate(&member);
    let second = Running::start(&place, &Workplace::run_arguments("out", &settings));
    first.end().exits(0);
    second.end().exits(0);
    same_results(&place, "whole", "out");
}

#[test]
fn two_runs_on_one_directory_share_the_work() {
    let place = Workplace::new();
    let settings = with(&SLOW, &["ensemble.members=8", "training.epochs=60"]);
    place.run("whole", &settings).exits(0);
    let both =
        [(); 2].map(|()| Running::start(&place, &Workplace::run_arguments("out", &settings)));
    for child in both {
        child.end().exits(0);
    }
    same_results(&place, "whole", "out");
    // every member once, every epoch once, every line of the log whole
    assert_eq!(events(&place, "out", "member").len(), 8);
    assert_eq!(events(&place, "out", "epoch").len(), 8 * 60);
    let left: Vec<_> = fs::read_dir(place.path("out/claims"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".clock"]);
}

#[test]
fn workers_train_block_by_block() {
    let place = Workplace::new();
    let settings = ["ensemble.members=5", "executor.members=2"];
    place.run("whole", &settings).exits(0);
    let mut arguments = Workplace::run_arguments("out", &settings);
    arguments.extend(["--time-limit", "0"]);
    place.sideband(&arguments).exits(75);
    for (block, members) in [("2", 1), ("0", 3), ("1", 5)] {
        let worker = ["worker", "out", "--block", block];
        let done = place.sideband(&worker).exits(0);
        let text = format!("block {block} is done");
        assert!(done.stdout.contains(&text), "{}", done.stdout);
        assert_eq!(place.members("out").len(), members);
        // a second time there is nothing to do
        let before = fs::metadata(place.path("out/members/member_0004.safetensors")).unwrap();
        let done = place.sideband(&worker).exits(0);
        assert!(done.stdout.contains(&text), "{}", done.stdout);
        let after = fs::metadata(place.path("out/members/member_0004.safetensors")).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    }
    let done = place.sideband(&["worker", "out"]).exits(0);
    assert!(done.stdout.contains("every block is done"));
    assert!(!place.path("out/metrics.json").exists());
    let done = place.sideband(&["worker", "out", "--block", "3"]).exits(2);
    assert!(
        done.stderr.contains("the run has blocks 0 to 2"),
        "{}",
        done.stderr
    );
    place.sideband(&["worker", "nowhere"]).exits(4);
    place.run("out", &settings).exits(0);
    same_results(&place, "whole", "out");
    // what the workers wrote down is in the run's log
    assert_eq!(events(&place, "out", "member").len(), 5);
}

#[test]
fn a_worker_that_is_killed_leaves_its_block_to_the_next() {
    let place = Workplace::new();
    place.run("whole", &SLOW).exits(0);
    let mut arguments = Workplace::run_arguments("out", &SLOW);
    arguments.extend(["--time-limit", "0"]);
    place.sideband(&arguments).exits(75);
    let worker = Running::start(&place, &["worker", "out", "--block", "0"]);
    wait_until("a checkpoint", || !checkpoints(&place, "out").is_empty());
    worker.kill();
    let status = place.sideband(&["status", "out"]).exits(0);
    assert!(
        status.stdout.contains("the next worker takes them over"),
        "{}",
        status.stdout
    );
    place.sideband(&["worker", "out", "--block", "0"]).exits(0);
    place.run("out", &SLOW).exits(0);
    same_results(&place, "whole", "out");
}

#[test]
fn more_members_leave_those_that_are_there_alone() {
    let place = Workplace::new();
    place.run("whole", &["ensemble.members=6"]).exits(0);
    place.run("out", &["ensemble.members=3"]).exits(0);
    let times = |place: &Workplace| -> BTreeMap<String, SystemTime> {
        let time = |name: &String| {
            let path = place.path("out/members").join(name);
            fs::metadata(path).unwrap().modified().unwrap()
        };
        let names = place.members("out");
        names
            .keys()
            .map(|name| (name.clone(), time(name)))
            .collect()
    };
    let (members, before) = (place.members("out"), times(&place));
    let done = place
        .sideband(&["extend", "out", "--members", "2"])
        .exits(2);
    assert!(done.stderr.contains("3 members"), "{}", done.stderr);
    // stopped before anything is trained: the same command goes on
    let arguments = ["extend", "out", "--members", "6"];
    let limited = with(&arguments, &["--time-limit", "0"]);
    place.sideband(&limited).exits(75);
    let done = place.sideband(&arguments).exits(0);
    assert!(done.stdout.contains("result  "), "{}", done.stdout);
    let (now, after) = (place.members("out"), times(&place));
    for (name, bytes) in &members {
        assert!(now[name] == *bytes && after[name] == before[name], "{name}");
    }
    same_results(&place, "whole", "out");
    // as often as one likes
    place.sideband(&arguments).exits(0);
}

#[test]
fn parts_of_a_run_are_merged() {
    let place = Workplace::new();
    let settings = ["ensemble.members=6"];
    place.run("whole", &settings).exits(0);
    let only = |out: &'static str, range: &'static str| {
        let mut arguments = Workplace::run_arguments(out, &settings);
        arguments.extend(["--only", range]);
        place.sideband(&arguments)
    };
    for (out, range, first) in [("a", "0-2", 0), ("b", "3-4", 3), ("c", "4-5", 4)] {
        only(out, range).exits(0);
        let first = format!("member_{first:04}.safetensors");
        assert_eq!(place.members(out).keys().next(), Some(&first));
        assert!(!place.path(out).join("metrics.json").exists());
    }
    only("a", "5-3").exits(2);
    let done = place.sideband(&["merge", "a", "b"]).exits(6);
    assert!(
        done.stdout.contains("2 members taken over") && done.stdout.contains("1 are missing"),
        "{}",
        done.stdout
    );
    let done = place.sideband(&["merge", "a", "b", "c"]).exits(0);
    let text = "1 members taken over, 3 were there and are equal, 0 were there and differ";
    assert!(done.stdout.contains(text), "{}", done.stdout);
    same_results(&place, "whole", "a");
}

#[test]
fn runs_of_another_plan_or_of_other_data_are_not_merged() {
    let place = Workplace::new();
    place.run("out", &["ensemble.members=4"]).exits(0);
    fs::remove_file(place.path("out/members/member_0003.safetensors")).unwrap();
    place
        .run("seed", &["ensemble.members=4", "experiment.seed=8"])
        .exits(0);
    let done = place.sideband(&["merge", "out", "seed"]).exits(4);
    for part in ["seed cannot be merged", "experiment.seed = 8"] {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    let other = Workplace::with_events(500);
    other.run("data", &["ensemble.members=4"]).exits(0);
    let path = other.path("data").display().to_string();
    let done = place.sideband(&["merge", "out", &path]).exits(4);
    assert!(done.stderr.contains("other data"), "{}", done.stderr);
    // nothing was taken over
    assert_eq!(place.members("out").len(), 3);
    place.sideband(&["merge", "out", "nowhere"]).exits(4);
}

#[test]
fn ensembles_of_a_matrix_do_not_know_each_other() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "learning_rate", "[0.001, 0.002]");
    matrix_config(&place, "one.toml", "learning_rate", "[0.002]");
    place
        .sideband(&["run", "one.toml", "--out", "one"])
        .exits(0);
    // several members of both ensembles in one stack, and each alone
    for (out, block) in [("stack", "device.block=4"), ("alone", "device.block=1")] {
        let run = ["run", "two.toml", "--out", out, "--set", block];
        let done = place.sideband(&run).exits(0);
        assert!(done.stdout.contains("rate=0.001:"), "{}", done.stdout);
        let ensemble = |run: &str, rate: &str| format!("{run}/ensembles/rate={rate}");
        same_results(&place, &ensemble("one", "0.002"), &ensemble(out, "0.002"));
        same_results(&place, &ensemble("stack", "0.001"), &ensemble(out, "0.001"));
        assert!(
            place
                .path(&ensemble(out, "0.001"))
                .join("report.html")
                .is_file()
        );
    }
    // one of them is a run directory like any other
    let nominal = "stack/ensembles/rate=0.001";
    place.sideband(&["report", nominal]).exits(0);
    let new = ["predict", nominal, "source.parquet", "--out", "new.parquet"];
    place.sideband(&new).exits(0);
    place.sideband(&["report", "stack"]).exits(0);
    // and all of them get more members
    place
        .sideband(&["extend", "stack", "--members", "3"])
        .exits(0);
    assert_eq!(place.members(nominal).len(), 3);
}

#[test]
fn a_matrix_is_killed_and_goes_on() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "learning_rate", "[0.001, 0.002]");
    let run = |out| {
        let mut arguments = vec!["run", "two.toml", "--out", out];
        for setting in SLOW {
            arguments.extend(["--set", setting]);
        }
        arguments
    };
    place.sideband(&run("whole")).exits(0);
    for _ in 0..3 {
        let child = Running::start(&place, &run("out"));
        wait_for_epochs(&place, "out", 50);
        child.kill();
    }
    let done = place.sideband(&["status", "out"]).exits(0);
    assert!(
        done.stdout.contains("rate=0.002") && done.stdout.contains("nobody works on it"),
        "{}",
        done.stdout
    );
    place.sideband(&run("out")).exits(0);
    for rate in ["0.001", "0.002"] {
        let ensemble = |run: &str| format!("{run}/ensembles/rate={rate}");
        same_results(&place, &ensemble("whole"), &ensemble("out"));
    }
    assert!(epochs(&place, "out") <= 4 * EPOCHS + 2 * 3);
}

#[test]
fn a_member_that_diverges_is_tried_again_and_disturbs_nobody() {
    let place = Workplace::new();
    matrix_config(&place, "two.toml", "learning_rate", "[0.001, 10.0]");
    matrix_config(&place, "one.toml", "learning_rate", "[0.001]");
    let run = |config, out| {
        let mut arguments = vec!["run", config, "--out", out];
        for setting in [
            "model.hidden=[50, 50, 50]",
            "training.retries=1",
            "device.block=4",
        ] {
            arguments.extend(["--set", setting]);
        }
        arguments
    };
    place.sideband(&run("one.toml", "one")).exits(0);
    let done = place.sideband(&run("two.toml", "two")).exits(6);
    for part in ["0 of 2 members succeeded", "ensemble.minimum asks for 2"] {
        assert!(done.stdout.contains(part), "{}", done.stdout);
    }
    same_results(
        &place,
        "one/ensembles/rate=0.001",
        "two/ensembles/rate=0.001",
    );
    let again: Vec<(u64, bool)> = events(&place, "two", "failed")
        .iter()
        .map(|e| (e["member"].as_u64().unwrap(), e["again"].as_bool().unwrap()))
        .collect();
    for member in [0, 1] {
        let of_member: Vec<bool> = again
            .iter()
            .filter(|(m, _)| *m == member)
            .map(|(_, again)| *again)
            .collect();
        assert_eq!(of_member, [true, false], "member {member}");
    }
    let manifest = place.json("two/ensembles/rate=10/manifest.json");
    assert_eq!(manifest["failed"], serde_json::json!([0, 1]));
    // they are recorded: nobody tries them a third time
    let done = place.sideband(&run("two.toml", "two")).exits(6);
    assert!(!done.stderr.contains("anew"), "{}", done.stderr);
    assert_eq!(events(&place, "two", "failed").len(), 4);
    // on its own, without a result
    let alone = ["training.learning_rate=10.0", "model.hidden=[50, 50, 50]"];
    let done = place.run("alone", &alone).exits(6);
    assert!(
        done.stderr.contains("ensemble.minimum asks for 2"),
        "{}",
        done.stderr
    );
    assert!(!place.path("alone/metrics.json").exists());
}

#[test]
fn status_says_how_far_a_run_is() {
    let place = Workplace::new();
    place.sideband(&["status", "out"]).exits(4);
    let mut child = Running::start(&place, &Workplace::run_arguments("out", &ENDLESS));
    let json = |place: &Workplace| -> Value {
        let done = place.sideband(&["status", "out", "--json"]).exits(0);
        serde_json::from_str(&done.stdout).unwrap()
    };
    wait_until("a run directory", || {
        place.path("out/manifest.json").exists()
    });
    let mut value = Value::Null;
    wait_until("a worker that says its block", || {
        value = json(&place);
        let begun = value["ensembles"][0]["begun"] == 1;
        begun && value["workers"][0]["blocks"][0]["epoch_max"].as_u64() > Some(0)
    });
    let ensemble = &value["ensembles"][0];
    assert_eq!(
        (
            &ensemble["name"],
            &ensemble["members"],
            &ensemble["finished"]
        ),
        (&"nominal".into(), &2.into(), &0.into())
    );
    assert_eq!(ensemble["state"], "running");
    assert_eq!(value["workers"][0]["pid"], u64::from(child.child().id()));
    assert_eq!(value["claims"][0]["block"], 0);
    let text = place.sideband(&["status", "out"]).exits(0).stdout;
    for part in ["small: 0 of 2 members", "running", "nominal, member 0"] {
        assert!(text.contains(part), "{text}");
    }
    child.kill();
    let text = place.sideband(&["status", "out"]).exits(0).stdout;
    // the worker of this host is seen to be gone at once
    for part in ["nobody works on it in this moment", "gives no sign: 0"] {
        assert!(text.contains(part), "{text}");
    }
    place.run("whole", &[]).exits(0);
    let text = place.sideband(&["status", "whole"]).exits(0).stdout;
    assert!(text.contains("small: 2 of 2 members") && text.contains("complete"));
    assert!(!text.contains("member-events/s"), "{text}");
}

#[test]
fn members_that_are_not_there_cannot_be_asked_for() {
    let place = Workplace::new();
    let mut arguments = Workplace::run_arguments("out", &[]);
    arguments.extend(["--only", "2-3"]);
    let done = place.sideband(&arguments).exits(2);
    assert!(
        done.stderr.contains("the last member is 1"),
        "{}",
        done.stderr
    );
}
