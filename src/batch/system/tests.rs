//! A batch system of a few lines, and what a coordinator does with it.

use super::follow::chunks;
use super::ledger::Ledger;
use super::*;
use crate::error::{Error, Kind, Result};
use crate::settings::check_value;
use crate::training::Interrupt;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Instant;

/// Name of the run.
const NAME: &str = "my run; rm -rf $HOME";

const MS: Duration = Duration::from_millis(1);

/// What becomes of a block's tasks, one after the other.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Done after so many polls.
    Works(u32),
    /// Ends at once with an exit code, and so much progress.
    Exits(i32, u64),
    /// Ends at once, and its block is done so many polls later.
    Late(u32),
    /// Is held, for ever.
    Held,
}

/// Name, id, and each block's fate with the polls it has seen.
type FakeJob = (String, String, BTreeMap<u32, (Fate, u32)>);

#[derive(Default)]
struct Fake {
    fates: RefCell<BTreeMap<u32, Vec<Fate>>>,
    jobs: RefCell<Vec<FakeJob>>,
    done: RefCell<BTreeSet<u32>>,
    late: RefCell<BTreeMap<u32, u32>>,
    ended: RefCell<BTreeMap<u32, i32>>,
    progress: RefCell<BTreeMap<u32, u64>>,
    silent: Cell<u32>,
    /// Accepted, but said to have timed out.
    timeouts: Cell<u32>,
    refusals: Cell<u32>,
    /// Nothing is said about any job.
    swallows: Cell<bool>,
    largest: Cell<u32>,
    submitted: RefCell<Vec<Vec<u32>>>,
    cancelled: RefCell<Vec<String>>,
    said: RefCell<Vec<String>>,
    polls: Cell<u32>,
    interrupt_after: Cell<Option<u32>>,
}

impl Fake {
    fn new(fates: &[(u32, &[Fate])]) -> Self {
        let fates = fates.iter().map(|(b, f)| (*b, f.to_vec())).collect();
        Self {
            fates: RefCell::new(fates),
            largest: Cell::new(1000),
            ..Self::default()
        }
    }

    fn said(&self, text: &str) -> bool {
        self.said.borrow().iter().any(|line| line.contains(text))
    }

    fn no_answer() -> Error {
        no_answer("queue", "controller is restarting")
    }

    fn take(counter: &Cell<u32>) -> bool {
        let left = counter.get();
        counter.set(left.saturating_sub(1));
        left > 0
    }
}

impl BatchSystem for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn largest_array(&self) -> u32 {
        self.largest.get()
    }
    fn submit(&self, _: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        if Self::take(&self.refusals) {
            return Err(refused("submit", "no such partition"));
        }
        let mut fates = self.fates.borrow_mut();
        let tasks = submission.blocks.iter().map(|block| {
            let fates = fates.get_mut(block).unwrap();
            let fate = if fates.len() > 1 {
                fates.remove(0)
            } else {
                fates[0]
            };
            (*block, (fate, 0))
        });
        let id = (100 + self.jobs.borrow().len()).to_string();
        self.jobs
            .borrow_mut()
            .push((submission.name.clone(), id.clone(), tasks.collect()));
        self.submitted.borrow_mut().push(submission.blocks.clone());
        if Self::take(&self.timeouts) || self.swallows.get() {
            return Err(Self::no_answer());
        }
        Ok(id)
    }
    fn find(&self, name: &str) -> Result<Option<String>> {
        if self.swallows.get() {
            return Ok(None);
        }
        let jobs = self.jobs.borrow();
        Ok(jobs.iter().find(|j| j.0 == name).map(|j| j.1.clone()))
    }
    fn alive(&self, submissions: &[&Submission]) -> Result<Vec<Vec<TaskState>>> {
        self.polls.set(self.polls.get() + 1);
        if Self::take(&self.silent) {
            return Err(Self::no_answer());
        }
        let mut jobs = self.jobs.borrow_mut();
        let mut all = Vec::new();
        for submission in submissions {
            let mut states = Vec::new();
            for (_, id, tasks) in jobs.iter_mut() {
                if Some(&*id) != submission.id.as_ref() {
                    continue;
                }
                tasks.retain(|block, (fate, polls)| {
                    *polls += 1;
                    let activity = match fate {
                        Fate::Held => Activity::Held,
                        Fate::Works(n) if *polls <= *n => Activity::Running,
                        Fate::Works(_) => {
                            self.done.borrow_mut().insert(*block);
                            return false;
                        }
                        Fate::Exits(code, progress) => {
                            self.ended.borrow_mut().insert(*block, *code);
                            *self.progress.borrow_mut().entry(*block).or_default() += *progress;
                            return false;
                        }
                        Fate::Late(n) => {
                            let at = self.polls.get() + *n;
                            self.late.borrow_mut().insert(*block, at);
                            return false;
                        }
                    };
                    states.push(TaskState {
                        block: *block,
                        activity,
                        reason: "because".to_owned(),
                    });
                    true
                });
            }
            all.push(states);
        }
        Ok(all)
    }
    fn endings(&self, _: &Submission, blocks: &[u32]) -> Vec<Ending> {
        let ended = self.ended.borrow();
        blocks
            .iter()
            .filter_map(|block| {
                Some(Ending {
                    block: *block,
                    exit: Some(*ended.get(block)?),
                    ..Ending::default()
                })
            })
            .collect()
    }
    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf {
        job.folder
            .join(format!("{}_{block}.out", submission.number))
    }
    fn cancel_command(&self, submission: &Submission) -> String {
        format!("cancel {}", submission.id.as_deref().unwrap_or("?"))
    }
    fn is_id(&self, id: &str) -> bool {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
    }
    fn cancel(&self, submission: &Submission) -> Result<()> {
        self.cancelled.borrow_mut().push(submission.name.clone());
        Ok(())
    }
}

impl Watcher for Fake {
    fn is_done(&self, block: u32) -> bool {
        let late = self.late.borrow().get(&block).copied();
        self.done.borrow().contains(&block) || late.is_some_and(|at| self.polls.get() >= at)
    }
    fn progress(&self, block: u32) -> u64 {
        self.progress.borrow().get(&block).copied().unwrap_or(0)
    }
    fn interrupted(&self) -> bool {
        self.interrupt_after
            .get()
            .is_some_and(|n| self.polls.get() >= n)
    }
    fn say(&self, text: &str) {
        self.said.borrow_mut().push(text.to_owned());
    }
}

fn run(fake: &Fake, folder: &Path, blocks: &[u32]) -> Result<Followed> {
    let job = BatchJob {
        program: Path::new("/opt/sideband"),
        run: Path::new("/data/run"),
        working: Path::new("/data"),
        folder,
        name: NAME,
        arguments: &[],
    };
    let settings = FollowSettings {
        poll: MS,
        resubmissions: 2,
        patience: 300 * MS,
    };
    follow(fake, &job, blocks, &settings, fake)
}

fn jobs(folder: &Path) -> Ledger {
    Ledger::open(folder, "fake").unwrap()
}

#[test]
fn lists_are_compressed_and_read_again() {
    for (numbers, text) in [
        (&[][..], ""),
        (&[7], "7"),
        (&[9, 1, 4, 5, 8, 7, 6, 4], "1,4-9"),
        (
            &[0, 1, 1000, 4_294_967_294, 4_294_967_295],
            "0-1,1000,4294967294-4294967295",
        ),
    ] {
        assert_eq!(compress(numbers), text);
        let sorted: BTreeSet<u32> = numbers.iter().copied().collect();
        assert_eq!(expand(text), Some(sorted.into_iter().collect()));
    }
    assert_eq!(expand("2-4%1"), Some(vec![2, 3, 4]));
    for nonsense in ["x", "1,", "4-1", "-3", "1--2", "0-4294967295", "1 2"] {
        assert_eq!(expand(nonsense), None, "{nonsense}");
    }
}

#[test]
fn indices_stay_below_the_size_of_arrays() {
    assert_eq!(
        chunks(&[0, 999, 1000, 1001, 5007], 1000),
        [
            (0, vec![0, 999]),
            (1000, vec![1000, 1001]),
            (5000, vec![5007])
        ]
    );
    assert_eq!(chunks(&[3, 4], 0).len(), 2);
}

#[test]
fn blocks_are_followed_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[
        (0, &[Fate::Works(2)]),
        (1, &[Fate::Works(3)]),
        (2000, &[Fate::Late(1)]),
    ]);
    fake.done.borrow_mut().insert(7);
    assert_eq!(
        run(&fake, folder.path(), &[0, 1, 7, 2000]).unwrap(),
        Followed::Done
    );
    assert_eq!(*fake.submitted.borrow(), [vec![0, 1], vec![2000]]);
    let name = &fake.jobs.borrow()[0].0;
    assert!(name.starts_with("my_run__rm_-rf__HOME-"), "{name}");
}

#[test]
fn files_that_show_late_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    // gone at the first poll, done at the second
    let fake = Fake::new(&[(0, &[Fate::Late(1)])]);
    run(&fake, folder.path(), &[0]).unwrap();
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(jobs(folder.path()).jobs.is_empty());
}

#[test]
fn lost_blocks_are_submitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[
        (3, &[Fate::Exits(70, 0), Fate::Exits(1, 0), Fate::Works(1)]),
        (4, &[Fate::Works(1)]),
    ]);
    run(&fake, folder.path(), &[3, 4]).unwrap();
    assert_eq!(*fake.submitted.borrow(), [vec![3, 4], vec![3], vec![3]]);
    assert!(fake.said("block 3 ended without finishing (ended with exit code 70), try 1 of 2"));
}

#[test]
fn stops_with_progress_are_free_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let stops: Vec<Fate> = (0..10).map(|_| Fate::Exits(75, 1)).collect();
    let fate = [stops, vec![Fate::Exits(130, 1), Fate::Works(0)]].concat();
    let fake = Fake::new(&[(0, &fate)]);
    run(&fake, folder.path(), &[0]).unwrap();
    assert_eq!(fake.submitted.borrow().len(), 12);

    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Exits(75, 0)])]);
    assert!(run(&fake, folder.path(), &[0]).is_err());
    assert_eq!(fake.submitted.borrow().len(), 3);
}

#[test]
fn giving_up_names_blocks_and_outputs_and_lets_the_others_finish() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("3_5.out"), "one\nout of memory\n").unwrap();
    let fake = Fake::new(&[
        (5, &[Fate::Exits(1, 0)]),
        (6, &[Fate::Exits(3, 0)]),
        (7, &[Fate::Works(40)]),
    ]);
    let error = run(&fake, folder.path(), &[5, 6, 7])
        .unwrap_err()
        .to_string();
    assert!(fake.is_done(7));
    // a wrong configuration is final, others are tried three times
    assert_eq!(*fake.submitted.borrow(), [vec![5, 6, 7], vec![5], vec![5]]);
    for part in [
        "2 of the blocks did not finish (5-6)",
        "block 5: ended with exit code 1; see",
        "3_5.out",
        "| out of memory",
        "block 6: ended with exit code 3",
        "run the same command again",
    ] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
fn a_second_coordinator_adopts_live_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[
        (0, &[Fate::Works(20)]),
        (1, &[Fate::Works(1)]),
        (2, &[Fate::Works(1)]),
    ]);
    fake.interrupt_after.set(Some(3));
    let Followed::Interrupted { open, jobs } = run(&fake, folder.path(), &[0, 1]).unwrap() else {
        unreachable!()
    };
    assert_eq!((open, jobs), (vec![0], vec!["100".to_owned()]));
    assert!(fake.said("run the same command again to follow them"));
    assert!(fake.said("cancel 100"));
    fake.interrupt_after.set(None);
    assert_eq!(
        run(&fake, folder.path(), &[0, 1, 2]).unwrap(),
        Followed::Done
    );
    assert_eq!(*fake.submitted.borrow(), [vec![0, 1], vec![2]]);
    assert!(fake.said("following fake job 100"));
}

#[test]
fn a_submission_that_timed_out_but_was_accepted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Works(3)])]);
    fake.timeouts.set(1);
    run(&fake, folder.path(), &[0]).unwrap();
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("job 100 was accepted"));
}

#[test]
fn a_submission_that_never_was_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Works(3)])]);
    // a coordinator was killed between writing down and submitting
    let mut ledger = jobs(folder.path());
    ledger.next = 2;
    ledger.jobs.push(Submission {
        number: 1,
        name: super::ledger::job_name(NAME, &ledger.tag, 1),
        id: None,
        base: 0,
        blocks: vec![0],
    });
    ledger.save(folder.path()).unwrap();
    run(&fake, folder.path(), &[0]).unwrap();
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.jobs.borrow()[0].0.ends_with("-2"));
}

#[test]
fn a_silent_batch_system_is_no_end_of_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Works(2)])]);
    fake.silent.set(4);
    assert_eq!(run(&fake, folder.path(), &[0]).unwrap(), Followed::Done);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("fake does not answer (queue: controller is restarting)"));
}

#[test]
fn a_batch_system_that_stays_silent_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Works(2)])]);
    fake.silent.set(u32::MAX);
    let error = run(&fake, folder.path(), &[0]).unwrap_err().to_string();
    assert!(error.contains("no answer from fake"), "{error}");
    assert_eq!(
        jobs(folder.path()).jobs.len(),
        1,
        "its job is not forgotten"
    );
}

#[test]
fn refusals_are_errors_only_where_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Works(1)])]);
    fake.refusals.set(1);
    let error = run(&fake, folder.path(), &[0]).unwrap_err().to_string();
    assert!(
        error.contains("refused the job: no such partition"),
        "{error}"
    );
    assert!(jobs(folder.path()).jobs.is_empty());

    let fake = Fake::new(&[
        (0, &[Fate::Works(9)]),
        (1, &[Fate::Exits(1, 0), Fate::Works(1)]),
    ]);
    fake.interrupt_after.set(Some(1));
    run(&fake, folder.path(), &[0, 1]).unwrap();
    fake.interrupt_after.set(None);
    fake.refusals.set(2);
    assert_eq!(run(&fake, folder.path(), &[0, 1]).unwrap(), Followed::Done);
    assert!(fake.said("trying again as others end"));
}

#[test]
fn held_tasks_are_alive_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Held])]);
    fake.interrupt_after.set(Some(6));
    run(&fake, folder.path(), &[0]).unwrap();
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("blocks 0 are held: because; they wait until somebody releases"));
    let said = fake.said.borrow();
    assert_eq!(said.iter().filter(|l| l.contains("because")).count(), 1);
}

#[test]
fn all_jobs_of_a_run_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Held]), (1000, &[Fate::Held])]);
    fake.interrupt_after.set(Some(2));
    run(&fake, folder.path(), &[0, 1000]).unwrap();
    assert_eq!(cancel(&fake, NAME, folder.path()).unwrap(), 2);
    assert_eq!(fake.cancelled.borrow().len(), 2);
    assert!(jobs(folder.path()).jobs.is_empty());
}

#[test]
fn records_that_cannot_be_of_the_run_are_refused_before_anything_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Held]), (1000, &[Fate::Held])]);
    fake.interrupt_after.set(Some(2));
    run(&fake, folder.path(), &[0, 1000]).unwrap();
    let path = folder.path().join("jobs.json");
    let good = fs::read_to_string(&path).unwrap();
    let ledger = jobs(folder.path());
    let (name, tag) = (&ledger.jobs[0].name, &ledger.tag);
    for (old, new) in [
        (name.as_str(), "thesis-fit"),
        (name.as_str(), ""),
        (name.as_str(), "*"),
        (name.as_str(), "--me"),
        ("\"100\"", "\"-u root\""),
        ("\"100\"", "\"--user=me\""),
        ("\"100\"", "\"100,101\""),
        ("\"100\"", "\"100 101\""),
        ("\"100\"", "\"\""),
        (tag.as_str(), "x\\\"; rm"),
    ] {
        fs::write(&path, good.replacen(old, new, 1)).unwrap();
        assert!(cancel(&fake, NAME, folder.path()).is_err(), "{old} {new}");
        assert!(run(&fake, folder.path(), &[0]).is_err(), "{old} {new}");
    }
    fs::write(&path, &good).unwrap();
    assert!(cancel(&fake, "another run", folder.path()).is_err());
    assert!(fake.cancelled.borrow().is_empty());
    assert_eq!(cancel(&fake, NAME, folder.path()).unwrap(), 2);
}

#[test]
fn submissions_that_nobody_knows_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(3, &[Fate::Works(1)])]);
    // accepted perhaps, and in no queue that is looked at
    fake.swallows.set(true);
    let error = run(&fake, folder.path(), &[3]).unwrap_err().to_string();
    assert!(
        error.contains("submitted 3 times, and fake gave no number"),
        "{error}"
    );
    assert_eq!(fake.submitted.borrow().len(), 3);
    assert!(fake.said("are submitted again, 2 times at most"));
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_what_is_waited_for_and_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("sleep 3; touch {}", mark.display());
    let interrupt = Interrupt::default();
    let start = Instant::now();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("sh -c '{script}'; true")]);
    let error = std::thread::scope(|scope| {
        let flag = interrupt.clone();
        scope.spawn(move || {
            std::thread::sleep(200 * MS);
            flag.raise();
        });
        call(
            &mut command,
            Patience::ask(Duration::from_secs(60), &interrupt),
        )
        .unwrap_err()
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{error}");
    std::thread::sleep(3200 * MS);
    assert!(!mark.exists());
}

#[test]
fn a_damaged_or_foreign_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(&[(0, &[Fate::Held])]);
    fake.interrupt_after.set(Some(1));
    run(&fake, folder.path(), &[0]).unwrap();
    let error = Ledger::open(folder.path(), "slurm")
        .unwrap_err()
        .to_string();
    assert!(error.contains("has jobs of fake, not of slurm"), "{error}");
    for text in ["", "{}", "[1]", "{\"format\": 2"] {
        fs::write(folder.path().join("jobs.json"), text).unwrap();
        let error = run(&fake, folder.path(), &[0]).unwrap_err().to_string();
        assert!(error.contains("then delete the file"), "{error}");
    }
}

#[test]
fn commands_have_a_time_limit() {
    let start = Instant::now();
    let interrupt = Interrupt::default();
    let patience = |limit| Patience::ask(limit, &interrupt);
    let slow = call(Command::new("sleep").arg("60"), patience(50 * MS)).unwrap_err();
    assert_eq!(slow.kind(), Kind::NoAnswer, "{slow}");
    assert!(start.elapsed() < Duration::from_secs(30));
    let missing = call(&mut Command::new("no-such-command-here"), patience(MS)).unwrap_err();
    assert_eq!(missing.kind(), Kind::Internal);
    assert!(
        missing.to_string().starts_with("cannot start "),
        "{missing}"
    );
    let said = call(
        Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
        patience(Duration::from_secs(30)),
    )
    .unwrap();
    assert!(!said.ok && said.out == "out\n" && said.reason() == "err");
}

#[test]
fn paths_and_values_are_checked() {
    assert!(path_text(Path::new("/data/my run/it's $HOME")).is_ok());
    for path in ["run", "/data/a\nb", "/data/a\\b"] {
        assert!(path_text(Path::new(path)).is_err(), "{path}");
    }
    assert!(check_value("partition", "short,long-2", "_-,").is_ok());
    for value in ["", "-p", "a b", "a;b", "a\nb", "a'b", "$(x)", "ä"] {
        assert!(check_value("partition", value, "_-,").is_err(), "{value}");
    }
}

#[test]
fn a_long_list_of_failures_is_cut() {
    let failed = |block| FailedBlock {
        block,
        ending: "ended".to_owned(),
        output: PathBuf::from("/none"),
    };
    let text = given_up(&(0..30).map(failed).collect::<Vec<_>>()).to_string();
    assert!(text.contains("(0-29)") && text.contains("block 9:") && !text.contains("block 10:"));
    assert!(text.contains("and 20 more"), "{text}");
}
