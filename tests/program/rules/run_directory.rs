//! One state, all or nothing, nobody else's files.

use crate::support::{Done, Workplace, sample, write_parquet};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

/// What takes longer than this hangs, also on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// All files of a folder by their path in it; links by where they lead.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                walk(root, &path, files);
            } else if about.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                files.insert(name, target.into_os_string().into_encoded_bytes());
            } else if about.is_file() {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(folder, folder, &mut files);
    files
}

/// Waits for the end of the program; a test that fails leaves none behind.
#[track_caller]
fn end(mut child: Child) -> Done {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it hangs: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Done::of(child.wait_with_output().unwrap())
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

// ---- all or nothing

#[test]
fn an_extension_that_fails_leaves_the_run_as_it_was() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let before = tree(&place.path("out"));
    let away = place.path("away");
    fs::rename(place.path("source.parquet"), &away).unwrap();
    place
        .sideband(&["extend", "out", "--members", "5000"])
        .exits(4);
    assert!(tree(&place.path("out")) == before);
    fs::rename(&away, place.path("source.parquet")).unwrap();
    place.run("out", &[]).exits(0);
    place
        .sideband(&["extend", "out", "--members", "2"])
        .exits(0);
    let status = place.sideband(&["status", "out"]).exits(0).stdout;
    assert!(status.contains("2 of 2 members"), "{status}");
}

#[test]
fn an_extension_that_was_interrupted_can_be_taken_back() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let metrics = place.read("out/metrics.json");
    let extend = |members| {
        let arguments = ["extend", "out", "--members", members, "--time-limit", "0"];
        place.sideband(&arguments)
    };
    extend("5000").exits(75);
    place.run("out", &[]).exits(0);
    assert!(place.read("out/metrics.json") == metrics);
    extend("5000").exits(75);
    place
        .sideband(&["extend", "out", "--members", "2"])
        .exits(0);
    assert!(place.read("out/metrics.json") == metrics);
}

#[test]
fn foreign_members_are_refused_before_any_is_copied() {
    let place = Workplace::new();
    let settings = ["ensemble.members=3"];
    place.run("out", &settings).exits(0);
    place.run("twin", &settings).exits(0);
    fs::create_dir(place.path("d")).unwrap();
    for (name, seed, first, shift) in [
        ("source.parquet", 11, 0, 0.0),
        ("target.parquet", 12, 1 << 32, 0.5),
    ] {
        write_parquet(&place.path("d").join(name), sample(seed, first, 400, shift));
    }
    let mut command = place.command(&Workplace::run_arguments("../other", &settings));
    fs::copy(place.path("config.toml"), place.path("d/config.toml")).unwrap();
    command.current_dir(place.path("d"));
    Done::of(command.output().unwrap()).exits(0);
    let member =
        |run: &str, n: u32| place.path(&format!("{run}/members/member_{n:04}.safetensors"));
    for n in [0, 2] {
        fs::remove_file(member("out", n)).unwrap();
    }
    let before = tree(&place.path("out"));
    let refused = |others: &[&str], part: &str| {
        let done = place
            .sideband(&[&["merge", "out"], others].concat())
            .exits(4);
        assert!(done.stderr.contains(part), "{}", done.stderr);
        assert!(tree(&place.path("out")) == before, "{others:?}");
    };
    refused(&["other"], "other data");
    // a good one first: nothing of it is taken either
    refused(&["twin", "other"], "other data");
    fs::remove_file(place.path("other/manifest.json")).unwrap();
    refused(&["other"], "no manifest.json");
    // a member of other data among good ones
    fs::copy(member("other", 2), member("twin", 2)).unwrap();
    refused(
        &["twin"],
        "member_0002.safetensors is not a member of this plan",
    );
    // a member under the number of another
    fs::copy(member("twin", 0), member("twin", 2)).unwrap();
    refused(
        &["twin"],
        "member_0002.safetensors is not a member of this plan",
    );
    fs::remove_file(member("twin", 2)).unwrap();
    place.sideband(&["merge", "out", "twin"]).exits(6);
}

// ---- a change that harms no member

#[test]
fn what_harms_no_member_is_accepted_and_the_result_made_anew() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let members = place.members("out");
    for setting in [
        "regions.vr.selection=\"mass > 0.3\"",
        "ensemble.combine=\"median\"",
        "ensemble.minimum=0.5",
        "data.define.q=\"pt*2\"",
        "report.bins=5",
        "regions.sr.selection=\"mass > 0.8\"",
        "experiment.description=\"words\"",
    ] {
        let before = place.read("out/config.toml");
        let done = place.run("out", &[setting]).exits(0);
        assert!(
            !done.stderr.contains("training"),
            "{setting}: {}",
            done.stderr
        );
        assert!(
            done.stderr.contains("applying"),
            "{setting}: {}",
            done.stderr
        );
        assert!(place.read("out/config.toml") != before, "{setting}");
        // and it stays so
        let done = place.run("out", &[setting]).exits(0);
        assert!(
            done.stderr.contains("nothing to do"),
            "{setting}: {}",
            done.stderr
        );
    }
    assert_eq!(place.members("out"), members);
    // more members are trained, and fewer are no loss
    let done = place.run("out", &["ensemble.members=4"]).exits(0);
    assert!(
        done.stderr.contains("training 2 members"),
        "{}",
        done.stderr
    );
    let all = place.members("out");
    let done = place.run("out", &[]).exits(0);
    assert!(done.stderr.contains("2 members above"), "{}", done.stderr);
    assert_eq!(place.members("out"), members);
    let done = place.run("out", &["ensemble.members=4"]).exits(0);
    assert!(!done.stderr.contains("training"), "{}", done.stderr);
    assert_eq!(place.members("out"), all);
    for harmful in [
        "training.epochs=3",
        "regions.cr.selection=\"mass <= 0.6\"",
        "data.define.pt=\"eta\"",
        "ensemble.bootstrap=false",
    ] {
        let done = place.run("out", &["ensemble.members=4", harmful]);
        assert!(matches!(done.exit, Some(3 | 4)), "{harmful}: {done:?}");
    }
    assert_eq!(place.members("out"), all);
}

// ---- one state

#[test]
fn a_derived_file_that_is_damaged_is_made_anew() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let manifest = place.json("out/manifest.json");
    let outputs = manifest["outputs"].as_object().unwrap().clone();
    for name in ["metrics.json", "report.html", "predictions/source.parquet"] {
        assert!(outputs.contains_key(name), "{name}");
    }
    assert!(outputs.keys().any(|name| name.ends_with(".svg")));
    let mut seen = Vec::new();
    for name in outputs.keys() {
        // one file of each ending
        let ending = name.rsplit('.').next().unwrap().to_owned();
        if seen.contains(&ending) {
            continue;
        }
        seen.push(ending);
        let path = place.path("out").join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
            fs::write(&path, damaged).unwrap();
            let done = place.run("out", &[]).exits(0);
            assert!(!done.stderr.contains("training"), "{name}: {}", done.stderr);
            let again = fs::read(&path).unwrap();
            // the page says when it was made
            assert!(again == whole || name == "report.html", "{name}");
        }
    }
    // what is drawn is drawn by `report`, what is computed is not
    for (name, exit) in [("report.html", 0), ("metrics.json", 4)] {
        let path = place.path("out").join(name);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push('\n');
        fs::write(&path, text).unwrap();
        place.sideband(&["report", "out"]).exits(exit);
    }
}

#[test]
fn figures_of_what_is_no_longer_asked_for_are_gone() {
    let place = Workplace::new();
    let variable = "report.variables=[{name = \"mass\", bins = 4}]";
    place.run("out", &[variable]).exits(0);
    let figures = |place: &Workplace| -> Vec<PathBuf> {
        let files = tree(&place.path("out/plots"));
        files.into_keys().collect()
    };
    let of_mass = |list: &[PathBuf]| {
        let names = list.iter().map(|p| p.display().to_string());
        names.filter(|name| name.contains("mass")).count()
    };
    assert!(of_mass(&figures(&place)) > 0);
    fs::write(place.path("out/plots/mass_of_mine.svg"), "mine").unwrap();
    place.run("out", &[]).exits(0);
    assert_eq!(of_mass(&figures(&place)), 1, "{:?}", figures(&place));
}

#[test]
fn the_report_of_a_measurement_is_drawn_and_nothing_is_fitted() {
    let place = Workplace::measurement();
    let done = place.run("out", &[]).exits(0);
    let whole = tree(&place.path("out"));
    // neither samples nor members are needed
    remove(&place.path("out/samples"));
    remove(&place.path("out/report.html"));
    remove(&place.path("out/plots"));
    let again = place.sideband(&["report", "out"]).exits(0);
    let verdicts = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::to_owned);
        lines.filter(|line| !line.starts_with("re")).collect()
    };
    assert_eq!(verdicts(&again.stdout), verdicts(&done.stdout));
    let now = tree(&place.path("out"));
    for (name, bytes) in &whole {
        if !name.starts_with("samples") {
            assert!(now.get(name) == Some(bytes), "{}", name.display());
        }
    }
}

// ---- what lies in a run directory may be somebody else's

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_by_what_they_are() {
    let place = Workplace::new();
    place.run("ref", &[]).exits(0);
    for name in [
        "manifest.json",
        "config.toml",
        "metrics.json",
        "log.jsonl",
        "figures.json",
        "report.html",
        "members/member_0001.safetensors",
        "checkpoints/member_0001.safetensors",
        "predictions/source.parquet",
        "plots/report.toml",
        "claims/block_00000.open",
        "claims/block_00000.new",
        "claims/.clock",
        "batch/jobs.json",
        "logs/x.jsonl",
    ] {
        remove(&place.path("a"));
        copy(&place.path("ref"), &place.path("a"));
        let path = place.path("a").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        remove(&path);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        remove(&place.path("a/members/member_0000.safetensors"));
        for command in [
            &["status", "a"][..],
            &["inspect", "a"],
            &["report", "a"],
            &["predict", "a", "source.parquet", "--out", "p.parquet"],
            &["extend", "a", "--members", "3"],
            &["worker", "a"],
            &["merge", "ref", "a"],
            &["cancel", "a"],
            &["run", "config.toml", "--out", "a"],
        ] {
            let done = end(place.start(command)).exits(4);
            assert!(
                done.stderr.contains("not a regular file but a pipe"),
                "{name} {command:?}: {}",
                done.stderr
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_or_removed_through_a_link() {
    use std::os::unix::fs::symlink;
    let place = Workplace::new();
    place.run("ref", &[]).exits(0);
    fs::create_dir(place.path("victim")).unwrap();
    fs::write(place.path("victim/mine"), "my own file").unwrap();
    let victim = tree(&place.path("victim"));
    for name in [
        "members",
        "checkpoints",
        "predictions",
        "plots",
        "claims",
        "workers",
        "logs",
        "batch",
        "aside",
        "log.jsonl",
        "claims/.clock",
        "claims/block_00000.open",
    ] {
        remove(&place.path("a"));
        copy(&place.path("ref"), &place.path("a"));
        remove(&place.path("a/members/member_0001.safetensors"));
        let path = place.path("a").join(name);
        remove(&path);
        let is_file = name.contains('.');
        symlink(
            place.path(if is_file { "victim/mine" } else { "victim" }),
            &path,
        )
        .unwrap();
        for command in [
            &["run", "config.toml", "--out", "a"][..],
            &["extend", "a", "--members", "3"],
            &["worker", "a"],
            &["status", "a"],
        ] {
            let done = end(place.start(command));
            assert!(tree(&place.path("victim")) == victim, "{name} {command:?}");
            if !is_file {
                let done = done.exits(4);
                assert!(done.stderr.contains("symbolic link"), "{}", done.stderr);
            }
        }
    }
    // files that are written by rename take the link's place
    remove(&place.path("a"));
    copy(&place.path("ref"), &place.path("a"));
    for name in ["metrics.json", "report.html", "predictions/source.parquet"] {
        remove(&place.path("a").join(name));
        symlink(place.path("victim/mine"), place.path("a").join(name)).unwrap();
    }
    place.run("a", &[]).exits(0);
    assert!(tree(&place.path("victim")) == victim);
    assert!(place.read("a/metrics.json") == place.read("ref/metrics.json"));
}

#[test]
fn only_files_of_the_program_are_swept() {
    let place = Workplace::new();
    place.run("out", &[]).exits(0);
    let old = SystemTime::now() - Duration::from_secs(30 * 86_400);
    let mine: Vec<PathBuf> = [
        "members/notes.tmp",
        "thesis.tmp",
        "predictions/a.1-0.tmp",
        "logs/letters.jsonl",
        "plots/mine.svg",
        "workers/mine.json",
        "aside/mine.txt",
    ]
    .iter()
    .map(|name| {
        let path = place.path("out").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        path
    })
    .collect();
    place.run("out", &["report.bins=5"]).exits(0);
    place
        .sideband(&["extend", "out", "--members", "3"])
        .exits(0);
    place.sideband(&["worker", "out"]).exits(0);
    for path in mine {
        assert_eq!(fs::read(&path).unwrap(), b"mine", "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_plan_uses_no_folder_that_was_there_before() {
    let place = Workplace::measurement();
    for folder in ["tmp", "victim", "victim/samples"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    fs::write(place.path("victim/samples/S.parquet"), "my own file").unwrap();
    let script = "ln -s \"$PWD/victim\" \"$TMPDIR/sideband-plan-$$\"; \
                  exec \"$0\" plan config.toml --no-calibration";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sideband")])
        .current_dir(place.path("."))
        .env("TMPDIR", place.path("tmp"))
        .output()
        .unwrap();
    Done::of(output).exits(0);
    assert_eq!(place.read("victim/samples/S.parquet"), b"my own file");
    assert_eq!(tree(&place.path("victim")).len(), 1);
    // its own folder is gone, the planted link is not touched
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 1);
}

// ---- clocks

#[test]
fn a_claim_whose_date_lies_ahead_does_not_last_for_ever() {
    let place = Workplace::new();
    let settings = ["executor.stale_seconds=2"];
    place.run("out", &settings).exits(0);
    fs::remove_file(place.path("out/members/member_0001.safetensors")).unwrap();
    for token in [
        "block_00000.elsewhere-00000000000000aa-7-1-0_0.held",
        "block_00000.new",
    ] {
        let path = place.path("out/claims").join(token);
        fs::write(&path, "{}").unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let ahead = SystemTime::now() + Duration::from_secs(30 * 86_400);
        file.set_modified(ahead).unwrap();
        end(place.start(&Workplace::run_arguments("out", &settings))).exits(0);
        let member = place.path("out/members/member_0001.safetensors");
        fs::remove_file(&member).unwrap();
        assert!(!path.exists(), "{token}");
    }
}

// ---- text for people

#[test]
fn no_command_reaches_the_terminal() {
    let evil = "a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}b\nc\td\u{2028}e\u{7f}";
    let clean = |text: &str| {
        let is_bad = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}".contains(c);
        assert!(!text.contains(is_bad), "{text:?}");
    };
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        let values = columns[1].1.clone();
        columns.push((evil.to_owned(), values));
    });
    let check = |arguments: &[&str]| {
        let done = place.sideband(arguments);
        clean(&done.stdout);
        clean(&done.stderr);
        done
    };
    let done = check(&["inspect", "source.parquet"]).exits(0);
    assert!(
        done.stdout
            .contains(r"a\x1b]0;title\x07\x1b[2J\x9b31m\u{202e}b\x0ac\x09d")
    );
    // the table has a line for each column
    assert_eq!(done.stdout.lines().count(), 4 + 7, "{}", done.stdout);
    let done = check(&["inspect", "source.parquet", "--json"]).exits(0);
    let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["columns"][6]["name"], evil);
    // in messages: of the command line, of a file, of a configuration
    check(&["inspect", &format!("no{evil}where.parquet")]);
    check(&[&format!("no{evil}command")]).exits(2);
    check(&["status", &format!("no{evil}run")]).exits(4);
    let name = serde_json::to_string(evil).unwrap();
    let setting = format!("features.inputs=[{name}]");
    check(&["run", "config.toml", "--set", &setting]);
    check(&[
        "plan",
        "config.toml",
        "--set",
        &format!("device.name={name}"),
    ]);
    // what others say in a run directory
    place.run("out", &[]).exits(0);
    let manifest = fs::read_to_string(place.path("out/manifest.json")).unwrap();
    let manifest = manifest.replace("\"cpu\"", &name);
    fs::write(place.path("out/manifest.json"), manifest).unwrap();
    check(&["inspect", "out"]).exits(0);
    fs::write(place.path("out/config.toml"), format!("x = '{evil}'")).unwrap();
    check(&["status", "out"]);
}

// ---- batch systems

/// Commands of a batch system that do what `scripts` say.
#[cfg(unix)]
fn commands(place: &Workplace, scripts: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = place.path("bin");
    fs::create_dir_all(&folder).unwrap();
    for (name, script) in scripts {
        let path = folder.join(name);
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n",
            place.path("calls").display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[cfg(unix)]
fn calls(place: &Workplace, command: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path("calls")).unwrap_or_default();
    let lines = text.lines().map(str::to_owned);
    lines
        .filter(|line| line.split(' ').next() == Some(command))
        .collect()
}

#[cfg(unix)]
fn start_in_batch(place: &Workplace, path: &str, settings: &[&str]) -> Child {
    let mut arguments = Workplace::run_arguments("out", settings);
    arguments.extend(["--set", "executor.poll_seconds=0.1"]);
    let mut command = place.command(&arguments);
    command
        .env("PATH", path)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

#[cfg(unix)]
#[test]
fn submissions_end_also_where_nobody_gives_a_number() {
    for (system, submit, ask) in [
        ("slurm", "sbatch", "squeue"),
        ("htcondor", "condor_submit", "condor_q"),
    ] {
        let place = Workplace::new();
        let path = commands(&place, &[(submit, "exit 0"), (ask, "exit 0")]);
        let kind = format!("executor.kind=\"{system}\"");
        let settings = [&*kind, "executor.resubmissions=1"];
        let done = end(start_in_batch(&place, &path, &settings)).exits(70);
        assert!(done.stderr.contains("gave no number"), "{}", done.stderr);
        assert_eq!(calls(&place, submit).len(), 2, "{system}");
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_does_not_wait_for_a_batch_system() {
    for hanging in ["squeue", "sbatch"] {
        let place = Workplace::new();
        let script = |name: &str, script| {
            if name == hanging { "sleep 300" } else { script }
        };
        let path = commands(
            &place,
            &[
                ("sbatch", script("sbatch", "echo 100")),
                ("squeue", script("squeue", "exit 0")),
            ],
        );
        let child = start_in_batch(&place, &path, &["executor.kind=\"slurm\""]);
        wait_until("a command that hangs", || {
            !calls(&place, hanging).is_empty()
        });
        std::thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let done = end(child).exits(130);
        assert!(started.elapsed() < Duration::from_secs(9), "{hanging}");
        if hanging == "sbatch" {
            assert!(
                done.stderr.contains("waiting up to 5 s for sbatch"),
                "{}",
                done.stderr
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn only_jobs_of_the_run_itself_are_cancelled() {
    let place = Workplace::new();
    let path = commands(&place, &[("sbatch", "echo 100"), ("squeue", "sleep 300")]);
    let child = start_in_batch(&place, &path, &["executor.kind=\"slurm\""]);
    wait_until("a submission", || !calls(&place, "squeue").is_empty());
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    end(child).exits(130);
    let file = place.path("out/batch/jobs.json");
    let good = fs::read_to_string(&file).unwrap();
    let name = place.json("out/batch/jobs.json")["jobs"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let uid = {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&file).unwrap().uid()
    };
    let cancel = |queue: &str| -> (Done, Vec<String>) {
        remove(&place.path("calls"));
        let queue = format!("printf '%s\\n' '{queue}'");
        let path = commands(&place, &[("squeue", &queue), ("scancel", "exit 0")]);
        let mut command = place.command(&["cancel", "out"]);
        let done = Done::of(command.env("PATH", path).output().unwrap());
        (done, calls(&place, "scancel"))
    };
    // somebody else's record
    for (old, new) in [
        ("\"100\"", "\"100 101\""),
        ("\"100\"", "\"--user=me\""),
        ("\"100\"", "\"-u\""),
        ("\"100\"", "\"100;x --me\""),
        (name.as_str(), "thesis"),
        (name.as_str(), "*"),
    ] {
        fs::write(&file, good.replacen(old, new, 1)).unwrap();
        let (done, calls) = cancel(&format!("100_0|{name}|RUNNING|None|{uid}"));
        assert!(done.exit != Some(0), "{new}: {done:?}");
        assert!(calls.is_empty(), "{new}: {calls:?}");
    }
    // the queue says that the number is another's
    for queue in [
        format!("100_0|thesis|RUNNING|None|{uid}"),
        format!("100_0|{name}|RUNNING|None|{}", uid + 1),
        format!("101_0|{name}|RUNNING|None|{uid}"),
        String::new(),
    ] {
        fs::write(&file, &good).unwrap();
        let (_, calls) = cancel(&queue);
        assert!(calls.is_empty(), "{queue}: {calls:?}");
    }
    fs::write(&file, &good).unwrap();
    let (done, calls) = cancel(&format!("100_0|{name}|RUNNING|None|{uid}"));
    assert_eq!(done.exit, Some(0), "{done:?}");
    assert_eq!(calls.len(), 1);
    assert!(calls[0].ends_with(" 100") && calls[0].contains(&format!("--name={name}")));
}

#[test]
fn options_are_read_as_the_batch_system_reads_them() {
    let place = Workplace::new();
    for setting in [
        "executor.slurm.options=[\"--exclude=n --array=1\"]",
        "executor.slurm.options=[\"--outp=x\"]",
        "executor.slurm.options=[\"-Ha1\"]",
        "executor.slurm.options=[\"--wrap true\"]",
        "executor.slurm.options=[\"--exclude=n\\n#SBATCH --array=1\"]",
        "executor.slurm.setup=[\"#PBS -o x\"]",
        "executor.htcondor.options=[\"queue = 5\"]",
        "executor.htcondor.options=[\"+Cmd = \\\"/bin/true\\\"\"]",
        "executor.htcondor.options=[\"include : f = x\"]",
        "executor.htcondor.options=[\"rank = 1 \\\\\"]",
    ] {
        let done = place.run("out", &[setting]).exits(3);
        assert!(
            done.stderr.contains("executor."),
            "{setting}: {}",
            done.stderr
        );
    }
}

// ---- the environment

#[test]
fn no_variable_of_the_environment_hangs_or_ends_the_program() {
    let place = Workplace::new();
    for (name, value, exit) in [
        ("RAYON_NUM_THREADS", "1000000000", 0),
        ("RAYON_NUM_THREADS", "abc", 0),
        ("RAYON_NUM_THREADS", "-1", 0),
        ("RAYON_RS_NUM_CPUS", "100000", 0),
        ("RUST_MIN_STACK", "99999999999999", 2),
        ("RUST_MIN_STACK", "1", 2),
        ("RUST_MIN_STACK", "abc", 0),
        ("RUST_BACKTRACE", "full", 0),
        ("RUST_LOG", "trace", 0),
        ("TMPDIR", "/no/such/folder", 0),
        ("HOME", "", 0),
        ("COLUMNS", "0", 0),
        ("COLUMNS", "-99999999999999999999", 0),
        ("TERM", "nonsense", 0),
        ("NO_COLOR", "1", 0),
        ("CLICOLOR_FORCE", "1", 0),
        ("LANG", "xx_YY.nonsense", 0),
        ("SLURM_ARRAY_TASK_ID", "abc", 0),
        ("OMP_NUM_THREADS", "1000000", 0),
        ("PATH", "", 0),
    ] {
        let mut command = place.command(&["run", "config.toml", "--out", "out"]);
        command
            .env(name, value)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let done = end(command.spawn().unwrap());
        assert_eq!(done.exit, Some(exit), "{name}={value}: {}", done.stderr);
        if exit != 0 {
            assert!(done.stderr.contains(name), "{}", done.stderr);
        }
        remove(&place.path("out/metrics.json"));
    }
    let done = place.run("out", &["device.threads=1000000"]).exits(3);
    assert!(done.stderr.contains("device.threads"), "{}", done.stderr);
}
