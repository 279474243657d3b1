//! A batch system of a few lines, and what a coordinator does with it.

use super::words::{FailedBlock, given_up};
use super::*;
use crate::batch::calls::{call, no_answer, path_text, refused};
use crate::batch::jobs::{chunks, job_name};
use crate::batch::submission::{Submission, compress, expand};
use crate::batch::{Activity, Ending, TaskState};
use crate::settings::check_value;
use crate::training::Interrupt;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

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
    folder: Option<TempDir>,
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
    /// It is called so.
    is_other: Cell<bool>,
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
            folder: Some(tempfile::tempdir().unwrap()),
            fates: RefCell::new(fates),
            ..Self::default()
        }
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    fn job(&self) -> BatchJob<'_> {
        BatchJob::of_test("/data/run", self.folder(), &[])
    }

    fn follow(&self, blocks: &[u32]) -> Result<Vec<u32>> {
        let settings = FollowSettings {
            poll: MS,
            resubmissions: 2,
            patience: 300 * MS,
        };
        follow(self, &self.job(), blocks, settings, self)
    }

    /// All blocks are done at the end.
    fn ends(&self, blocks: &[u32]) {
        assert_eq!(self.follow(blocks).unwrap(), [0; 0]);
    }

    fn fails(&self, blocks: &[u32]) -> String {
        self.follow(blocks).unwrap_err().to_string()
    }

    /// Follows its blocks for so many polls; those that are open.
    fn interrupted_after(&self, polls: u32, blocks: &[u32]) -> Vec<u32> {
        self.interrupt_after.set(Some(self.polls.get() + polls));
        let open = self.follow(blocks).unwrap();
        self.interrupt_after.set(None);
        open
    }

    fn cancel(&self) -> Result<usize> {
        cancel(self, self.job().name, self.folder())
    }

    fn file(&self) -> JobsFile {
        JobsFile::open(self.folder(), self, self.job().name).unwrap()
    }

    fn said(&self, text: &str) -> bool {
        self.said.borrow().iter().any(|line| line.contains(text))
    }

    fn take(counter: &Cell<u32>) -> bool {
        let left = counter.get();
        counter.set(left.saturating_sub(1));
        left > 0
    }
}

impl BatchSystem for Fake {
    fn name(&self) -> &'static str {
        if self.is_other.get() { "other" } else { "fake" }
    }
    fn largest_array(&self) -> u32 {
        1000
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
        let tasks = tasks.collect();
        let id = (100 + self.jobs.borrow().len()).to_string();
        let job = (submission.name.clone(), id.clone(), tasks);
        self.jobs.borrow_mut().push(job);
        self.submitted.borrow_mut().push(submission.blocks.clone());
        match Self::take(&self.timeouts) || self.swallows.get() {
            true => Err(no_answer("queue", "controller is restarting")),
            false => Ok(id),
        }
    }
    fn find(&self, name: &str) -> Result<Option<String>> {
        let jobs = self.jobs.borrow();
        let known = jobs
            .iter()
            .find(|job| job.0 == name && !self.swallows.get());
        Ok(known.map(|job| job.1.clone()))
    }
    fn alive(&self, _: Option<&str>, submissions: &[&Submission]) -> Result<Vec<Vec<TaskState>>> {
        self.polls.set(self.polls.get() + 1);
        if Self::take(&self.silent) {
            return Err(no_answer("queue", "controller is restarting"));
        }
        let mut jobs = self.jobs.borrow_mut();
        let mut all = Vec::new();
        for submission in submissions {
            let mut states = Vec::new();
            let own = |job: &&mut FakeJob| Some(&job.1) == submission.id.as_ref();
            for (_, _, tasks) in jobs.iter_mut().filter(own) {
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
        let ending = |block: &u32| {
            Some(Ending {
                block: *block,
                exit: Some(*ended.get(block)?),
                ..Ending::default()
            })
        };
        blocks.iter().filter_map(ending).collect()
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

impl Work for Fake {
    fn is_done(&self, block: u32) -> bool {
        let late = self.late.borrow().get(&block).copied();
        self.done.borrow().contains(&block) || late.is_some_and(|at| self.polls.get() >= at)
    }
    fn progress(&self, block: u32) -> u64 {
        self.progress.borrow().get(&block).copied().unwrap_or(0)
    }
    fn interrupted(&self) -> bool {
        let limit = self.interrupt_after.get();
        limit.is_some_and(|n| self.polls.get() >= n)
    }
    fn say(&self, text: &str) {
        self.said.borrow_mut().push(text.to_owned());
    }
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
    let fake = Fake::new(&[
        (0, &[Fate::Works(2)]),
        (1, &[Fate::Works(3)]),
        (2000, &[Fate::Late(1)]),
    ]);
    fake.done.borrow_mut().insert(7);
    fake.ends(&[0, 1, 7, 2000]);
    assert_eq!(*fake.submitted.borrow(), [vec![0, 1], vec![2000]]);
    let name = &fake.jobs.borrow()[0].0;
    assert!(name.starts_with("my_run__rm_-rf__HOME-"), "{name}");
}

#[test]
fn files_that_show_late_are_waited_for() {
    // gone at the first poll, done at the second
    let fake = Fake::new(&[(0, &[Fate::Late(1)])]);
    fake.ends(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.file().jobs.is_empty());
}

#[test]
fn lost_blocks_are_submitted_again() {
    let fake = Fake::new(&[
        (3, &[Fate::Exits(70, 0), Fate::Exits(1, 0), Fate::Works(1)]),
        (4, &[Fate::Works(1)]),
    ]);
    fake.ends(&[3, 4]);
    assert_eq!(*fake.submitted.borrow(), [vec![3, 4], vec![3], vec![3]]);
    assert!(fake.said("block 3 ended without finishing (ended with exit code 70), try 1 of 2"));
}

#[test]
fn stops_with_progress_are_free_and_others_are_not() {
    let mut fates = vec![Fate::Exits(75, 1); 10];
    fates.extend([Fate::Exits(130, 1), Fate::Works(0)]);
    let fake = Fake::new(&[(0, &fates)]);
    fake.ends(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 12);

    let fake = Fake::new(&[(0, &[Fate::Exits(75, 0)])]);
    fake.fails(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 3);
}

#[test]
fn giving_up_names_blocks_and_outputs_and_lets_the_others_finish() {
    let fake = Fake::new(&[
        (5, &[Fate::Exits(1, 0)]),
        (6, &[Fate::Exits(3, 0)]),
        (7, &[Fate::Works(40)]),
    ]);
    fs::write(fake.folder().join("3_5.out"), "one\nout of memory\n").unwrap();
    let error = fake.fails(&[5, 6, 7]);
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
    let fake = Fake::new(&[
        (0, &[Fate::Works(20)]),
        (1, &[Fate::Works(1)]),
        (2, &[Fate::Works(1)]),
    ]);
    assert_eq!(fake.interrupted_after(3, &[0, 1]), [0]);
    assert!(fake.said("run the same command again to follow them"));
    assert!(fake.said("cancel 100"));
    fake.ends(&[0, 1, 2]);
    assert_eq!(*fake.submitted.borrow(), [vec![0, 1], vec![2]]);
    assert!(fake.said("following fake job 100"));
}

#[test]
fn a_submission_that_timed_out_but_was_accepted_is_found() {
    let fake = Fake::new(&[(0, &[Fate::Works(3)])]);
    fake.timeouts.set(1);
    fake.ends(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("job 100 was accepted"));
}

#[test]
fn a_submission_that_never_was_is_made_again() {
    let fake = Fake::new(&[(0, &[Fate::Works(3)])]);
    // a coordinator was killed between writing down and submitting
    let mut file = fake.file();
    file.next = 2;
    file.jobs.push(Submission {
        number: 1,
        name: job_name(fake.job().name, &file.tag, 1),
        id: None,
        base: 0,
        blocks: vec![0],
    });
    file.save().unwrap();
    fake.ends(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.jobs.borrow()[0].0.ends_with("-2"));
}

#[test]
fn a_silent_batch_system_is_no_end_of_tasks() {
    let fake = Fake::new(&[(0, &[Fate::Works(2)])]);
    fake.silent.set(4);
    fake.ends(&[0]);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("fake does not answer (queue: controller is restarting)"));
}

#[test]
fn a_batch_system_that_stays_silent_is_given_up() {
    let fake = Fake::new(&[(0, &[Fate::Works(2)])]);
    fake.silent.set(u32::MAX);
    let error = fake.fails(&[0]);
    assert!(error.contains("no answer from fake"), "{error}");
    assert_eq!(fake.file().jobs.len(), 1, "its job is not forgotten");
}

#[test]
fn refusals_are_errors_only_where_nothing_runs() {
    let fake = Fake::new(&[(0, &[Fate::Works(1)])]);
    fake.refusals.set(1);
    let error = fake.fails(&[0]);
    assert!(
        error.contains("refused the job: no such partition"),
        "{error}"
    );
    assert!(fake.file().jobs.is_empty());

    let fake = Fake::new(&[
        (0, &[Fate::Works(9)]),
        (1, &[Fate::Exits(1, 0), Fate::Works(1)]),
    ]);
    fake.interrupted_after(1, &[0, 1]);
    fake.refusals.set(2);
    fake.ends(&[0, 1]);
    assert!(fake.said("trying again as others end"));
}

#[test]
fn held_tasks_are_alive_and_said() {
    let fake = Fake::new(&[(0, &[Fate::Held])]);
    fake.interrupted_after(6, &[0]);
    assert_eq!(fake.submitted.borrow().len(), 1);
    assert!(fake.said("blocks 0 are held: because; they wait until somebody releases"));
    let said = fake.said.borrow();
    assert_eq!(said.iter().filter(|l| l.contains("because")).count(), 1);
}

#[test]
fn jobs_of_a_run_are_cancelled_and_those_of_others_refused() {
    let fake = Fake::new(&[(0, &[Fate::Held]), (1000, &[Fate::Held])]);
    fake.interrupted_after(2, &[0, 1000]);
    let path = fake.folder().join("jobs.json");
    let good = fs::read_to_string(&path).unwrap();
    let file = fake.file();
    let (name, tag) = (file.jobs[0].name.as_str(), file.tag.as_str());
    for (old, new) in [
        (name, "thesis-fit"),
        (name, ""),
        (name, "*"),
        (name, "--me"),
        ("\"100\"", "\"-u root\""),
        ("\"100\"", "\"--user=me\""),
        ("\"100\"", "\"100,101\""),
        ("\"100\"", "\"100 101\""),
        ("\"100\"", "\"\""),
        (tag, "x\\\"; rm"),
    ] {
        fs::write(&path, good.replacen(old, new, 1)).unwrap();
        assert!(fake.cancel().is_err(), "{old} {new}");
        assert!(fake.follow(&[0]).is_err(), "{old} {new}");
    }
    fs::write(&path, &good).unwrap();
    assert!(cancel(&fake, "another run", fake.folder()).is_err());
    assert!(fake.cancelled.borrow().is_empty());
    assert_eq!(fake.cancel().unwrap(), 2);
    assert_eq!(fake.cancelled.borrow().len(), 2);
    assert!(fake.file().jobs.is_empty());
}

#[test]
fn submissions_that_nobody_knows_are_counted() {
    let fake = Fake::new(&[(3, &[Fate::Works(1)])]);
    // accepted perhaps, and in no queue that is looked at
    fake.swallows.set(true);
    let error = fake.fails(&[3]);
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
        let limit = Duration::from_secs(60);
        call(&mut command, limit, Duration::ZERO, &interrupt).unwrap_err()
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{error}");
    std::thread::sleep(3200 * MS);
    assert!(!mark.exists());
}

#[test]
fn a_damaged_or_foreign_record_is_refused() {
    let fake = Fake::new(&[(0, &[Fate::Held])]);
    fake.interrupted_after(1, &[0]);
    fake.is_other.set(true);
    let error = fake.fails(&[0]);
    assert!(error.contains("has jobs of fake, not of other"), "{error}");
    fake.is_other.set(false);
    for text in ["", "{}", "[1]", "{\"format\": 2"] {
        fs::write(fake.folder().join("jobs.json"), text).unwrap();
        let error = fake.fails(&[0]);
        assert!(error.contains("then delete the file"), "{error}");
    }
}

#[test]
fn commands_have_a_time_limit() {
    let start = Instant::now();
    let ask =
        |command: &mut Command, limit| call(command, limit, Duration::ZERO, &Interrupt::default());
    let slow = ask(Command::new("sleep").arg("60"), 50 * MS).unwrap_err();
    assert_eq!(slow.kind(), Kind::NoAnswer, "{slow}");
    assert!(start.elapsed() < Duration::from_secs(30));
    let missing = ask(&mut Command::new("no-such-command-here"), MS).unwrap_err();
    assert_eq!(missing.kind(), Kind::Internal);
    let text = missing.to_string();
    assert!(text.starts_with("cannot start "), "{text}");
    let mut command = Command::new("sh");
    command.args(["-c", "echo out; echo err >&2; exit 3"]);
    let said = ask(&mut command, Duration::from_secs(30)).unwrap();
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
