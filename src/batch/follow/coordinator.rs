//! Submits blocks, follows them, and decides what becomes of a lost one.

use super::words::{FailedBlock, given_up};
use crate::batch::jobs::{JobsFile, chunks, job_name};
use crate::batch::submission::{Submission, compress};
use crate::batch::{Activity, BatchJob, BatchSystem, Cause, Ending, TaskState, Work};
use crate::error::{Error, Kind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Successful polls in a row without a task before it is taken as ended.
const ABSENT_POLLS: u32 = 2;
/// Longest pause after failed polls.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often an interruption is looked for.
const TICK: Duration = Duration::from_millis(200);
/// Exit codes of a worker that was stopped: its time limit, a signal, and a
/// signal that met the shell before the worker.
const STOPPED: [i32; 3] = [75, 130, 143];
/// Exit codes of a worker that will end the same way again: call, configuration.
const HOPELESS: [i32; 2] = [2, 3];

/// How blocks are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowSettings {
    /// Time between two looks at the queue.
    pub(super) poll: Duration,
    /// How often a block that was lost is submitted again.
    pub(super) resubmissions: u32,
    pub(super) patience: Duration,
}

/// Submits, follows and submits again until every block is done; the blocks that are not,
/// after an interruption.
///
/// Tasks that end at a time limit, by preemption or with their node (exit codes
/// 75, 130 and 143, and the batch system's own words) are submitted again without
/// limit as long as [`Work::progress`] changes from one to the next; all others
/// up to [`FollowSettings::resubmissions`] times a block. Exit codes 2 and 3 are
/// final. A block that is given up does not stop the others. The count begins
/// anew with each call. What somebody cancels counts as lost, so that it does not
/// come back for ever; to end a run, interrupt the coordinator first.
///
/// When interrupted, it leaves the jobs in the queue: the same call follows them
/// again, and [`cancel`](super::cancel) ends them.
pub(super) fn follow(
    system: &dyn BatchSystem,
    job: &BatchJob<'_>,
    blocks: &[u32],
    settings: FollowSettings,
    work: &dyn Work,
) -> Result<Vec<u32>> {
    let mut coordinator = Coordinator {
        system,
        job,
        settings,
        work,
        file: JobsFile::open(job.folder, system, job.name)?,
        saved: None,
        open: blocks.iter().copied().collect(),
        accounts: BTreeMap::new(),
        failed: Vec::new(),
        absent: BTreeMap::new(),
        answered: Instant::now(),
        failures: 0,
        refused: false,
        summary: String::new(),
        notes: BTreeSet::new(),
    };
    coordinator.greet();
    coordinator.run()
}

/// What a coordinator remembers of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    lost: u32,
    /// Of the last submission, if this coordinator made it.
    progress: Option<u64>,
}

struct Coordinator<'a> {
    system: &'a dyn BatchSystem,
    job: &'a BatchJob<'a>,
    settings: FollowSettings,
    work: &'a dyn Work,
    file: JobsFile,
    /// What of it is written.
    saved: Option<JobsFile>,
    /// Neither done nor given up.
    open: BTreeSet<u32>,
    accounts: BTreeMap<u32, Account>,
    failed: Vec<FailedBlock>,
    /// Successful polls without a task, by submission and block (none: the whole
    /// submission is being looked for).
    absent: BTreeMap<(u32, Option<u32>), u32>,
    /// When the batch system last answered.
    answered: Instant,
    /// Failed calls since.
    failures: u32,
    /// Whether the last submission was refused.
    refused: bool,
    summary: String,
    /// What was said of tasks that wait.
    notes: BTreeSet<String>,
}

impl Coordinator<'_> {
    fn say(&self, text: impl AsRef<str>) {
        self.work.say(text.as_ref());
    }

    fn greet(&self) {
        let system = self.system.name();
        for submission in &self.file.jobs {
            let id = submission.id.as_deref().unwrap_or("of unknown number");
            let blocks = compress(&submission.blocks);
            self.say(format!("following {system} job {id}: blocks {blocks}"));
        }
    }

    fn run(&mut self) -> Result<Vec<u32>> {
        loop {
            self.open.retain(|block| !self.work.is_done(*block));
            if self.open.is_empty() {
                self.end()?;
                return Ok(Vec::new());
            }
            if self.work.interrupted() {
                self.leave();
                return Ok(self.open.iter().copied().collect());
            }
            let pause = match self.poll().and_then(|()| self.submit()) {
                Ok(()) => {
                    self.answered = Instant::now();
                    self.failures = 0;
                    self.settings.poll
                }
                Err(error) if error.kind() != Kind::NoAnswer => return Err(error),
                Err(_) if self.work.interrupted() => continue,
                Err(error) => self.unanswered(&error)?,
            };
            self.pause(pause);
        }
    }

    fn end(&mut self) -> Result<()> {
        self.failed.retain(|f| !self.work.is_done(f.block));
        // what is done needs no job, even if one has not left the queue yet
        for submission in &mut self.file.jobs {
            submission.blocks.retain(|b| !self.work.is_done(*b));
        }
        self.save()?;
        self.failed.sort_by_key(|f| f.block);
        match self.failed.is_empty() {
            true => Ok(()),
            false => Err(given_up(&self.failed)),
        }
    }

    fn leave(&self) {
        let jobs = self.file.jobs.iter();
        let cancel: Vec<_> = jobs.map(|s| self.system.cancel_command(s)).collect();
        let hint = match cancel.is_empty() {
            true => "",
            false => "; their jobs go on, to end them: ",
        };
        self.say(format!(
            "blocks to go: {}; run the same command again to follow them{hint}{}",
            self.open.len(),
            cancel.join(" && ")
        ));
    }

    /// After a call without an answer: how long to wait.
    fn unanswered(&mut self, error: &Error) -> Result<Duration> {
        let system = self.system.name();
        let silent = self.answered.elapsed();
        if silent >= self.settings.patience {
            return Err(Error::internal(format!(
                "no answer from {system} for {} min, at last: {error}; submitted jobs go on; run \
                 the same command again to follow them",
                silent.as_secs() / 60
            )));
        }
        let longest = LONGEST_PAUSE.max(self.settings.poll);
        let pause = self
            .settings
            .poll
            .saturating_mul(1 << self.failures.min(16));
        let pause = pause.min(longest);
        self.failures += 1;
        self.say(format!(
            "{system} does not answer ({error}); jobs go on, asking again in {:.0} s",
            pause.as_secs_f64()
        ));
        Ok(pause)
    }

    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.work.interrupted() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    /// Asks the batch system, and finds out who is lost.
    fn poll(&mut self) -> Result<()> {
        self.look_for_unknown()?;
        self.save()?;
        let jobs = self.file.jobs.clone();
        let mut places: BTreeMap<Option<&str>, Vec<&Submission>> = BTreeMap::new();
        for submission in jobs.iter().filter(|s| s.id.is_some()) {
            places
                .entry(submission.place())
                .or_default()
                .push(submission);
        }
        let mut states = Vec::new();
        for (place, submissions) in places {
            let alive = self.system.alive(place, &submissions)?;
            states.extend(submissions.into_iter().zip(alive));
        }
        // files may have come since they were looked for
        self.open.retain(|block| !self.work.is_done(*block));
        for (submission, tasks) in &states {
            self.account(submission, tasks);
        }
        self.save()?;
        let tasks: Vec<TaskState> = states.into_iter().flat_map(|(_, tasks)| tasks).collect();
        self.report(&tasks);
        Ok(())
    }

    /// Leaves out jobs without blocks, and writes `jobs.json` if it has changed.
    fn save(&mut self) -> Result<()> {
        self.file.jobs.retain(|s| !s.blocks.is_empty());
        if self.saved.as_ref() != Some(&self.file) {
            self.file.save()?;
            self.saved = Some(self.file.clone());
        }
        Ok(())
    }

    /// Jobs of which it is not known whether they were accepted.
    fn look_for_unknown(&mut self) -> Result<()> {
        let mut vanished = Vec::new();
        for submission in self.file.jobs.iter_mut().filter(|s| s.id.is_none()) {
            let absent = self.absent.entry((submission.number, None)).or_default();
            if let Some(id) = self.system.find(&submission.name)? {
                self.work.say(&format!(
                    "{} job {id} was accepted: blocks {}",
                    self.system.name(),
                    compress(&submission.blocks)
                ));
                submission.id = Some(id);
                continue;
            }
            *absent += 1;
            if *absent >= ABSENT_POLLS {
                // it never was one: its blocks are free again
                vanished.push(submission.clone());
                submission.blocks.clear();
            }
        }
        vanished
            .iter()
            .for_each(|submission| self.vanished(submission));
        Ok(())
    }

    /// A submission of which nobody knows a job. It may have been accepted all the
    /// same, so that it counts as a loss of its blocks.
    fn vanished(&mut self, submission: &Submission) {
        let limit = self.settings.resubmissions;
        let (system, name) = (self.system.name(), &submission.name);
        let mut again = Vec::new();
        for block in submission.blocks.iter().copied() {
            if !self.open.contains(&block) {
                continue;
            }
            let account = self.accounts.entry(block).or_default();
            account.lost += 1;
            if account.lost <= limit {
                again.push(block);
                continue;
            }
            let ending = format!(
                "submitted {} times, and {system} gave no number and knows no job {name}; see \
                 that none of them is in a queue",
                account.lost
            );
            self.give_up(submission, block, ending);
        }
        if !again.is_empty() {
            self.say(format!(
                "{system} gave no number and knows no job {name}: blocks {} are submitted again, \
                 {limit} times at most",
                compress(&again)
            ));
        }
    }

    fn give_up(&mut self, submission: &Submission, block: u32, ending: String) {
        let output = self.system.output(self.job, submission, block);
        self.open.remove(&block);
        self.failed.push(FailedBlock {
            block,
            ending,
            output,
        });
    }

    /// Who of a submission is alive, and what became of the others.
    fn account(&mut self, submission: &Submission, tasks: &[TaskState]) {
        let mut ended = Vec::new();
        for block in &submission.blocks {
            let key = (submission.number, Some(*block));
            let absent = self.absent.entry(key).or_default();
            let is_alive = tasks.iter().any(|task| task.block == *block);
            *absent = if is_alive { 0 } else { *absent + 1 };
            if *absent >= ABSENT_POLLS {
                ended.push(*block);
            }
        }
        let lost = ended
            .iter()
            .copied()
            .filter(|block| self.open.contains(block));
        let lost: Vec<u32> = lost.collect();
        let endings = match lost.is_empty() {
            true => Vec::new(),
            false => self.system.endings(submission, &lost),
        };
        for block in lost {
            let ending = endings.iter().find(|e| e.block == block).cloned();
            self.lost(submission, &ending.unwrap_or_default(), block);
        }
        let same = |record: &&mut Submission| record.number == submission.number;
        for record in self.file.jobs.iter_mut().filter(same) {
            record.blocks.retain(|block| !ended.contains(block));
        }
    }

    /// A task ended without finishing its block.
    fn lost(&mut self, submission: &Submission, ending: &Ending, block: u32) {
        let account = self.accounts.entry(block).or_default();
        let known = ending.exit.is_some() || ending.signal.is_some() || !ending.state.is_empty();
        let stopped = match ending.cause {
            Cause::System => true,
            Cause::Person => false,
            Cause::Program => {
                !known
                    || ending.exit.is_some_and(|code| STOPPED.contains(&code))
                    || matches!(ending.signal, Some(2 | 15))
            }
        };
        let how = ending.text();
        if stopped && account.progress != Some(self.work.progress(block)) {
            self.say(format!("block {block} stopped ({how}): it goes on later"));
            return;
        }
        account.lost += 1;
        let lost = account.lost;
        let limit = self.settings.resubmissions;
        let is_hopeless = ending.exit.is_some_and(|code| HOPELESS.contains(&code));
        let is_last = is_hopeless || lost > limit;
        let next = match is_last {
            true => "given up".to_owned(),
            false => format!("try {lost} of {limit} more"),
        };
        let output = self.system.output(self.job, submission, block);
        self.say(format!(
            "block {block} ended without finishing ({how}), {next}; see {}",
            output.display()
        ));
        if is_last {
            self.give_up(submission, block, how);
        }
    }

    /// Submits what is open and in no job.
    fn submit(&mut self) -> Result<()> {
        let placed = self.file.jobs.iter().flat_map(|s| s.blocks.iter().copied());
        let placed: BTreeSet<u32> = placed.collect();
        let free: Vec<u32> = self.open.difference(&placed).copied().collect();
        for (base, blocks) in chunks(&free, self.system.largest_array()) {
            if self.work.interrupted() {
                break;
            }
            match self.submit_one(base, blocks) {
                // a limit on jobs, perhaps: there is room when others end
                Err(error) if error.kind() == Kind::Refused && !self.file.jobs.is_empty() => {
                    if !std::mem::replace(&mut self.refused, true) {
                        self.say(format!("{error}; trying again as others end"));
                    }
                    break;
                }
                other => other?,
            }
            self.refused = false;
        }
        Ok(())
    }

    fn submit_one(&mut self, base: u32, blocks: Vec<u32>) -> Result<()> {
        let number = self.file.next;
        let submission = Submission {
            number,
            name: job_name(self.job.name, &self.file.tag, number),
            id: None,
            base,
            blocks,
        };
        for block in &submission.blocks {
            let progress = self.work.progress(*block);
            self.accounts.entry(*block).or_default().progress = Some(progress);
        }
        self.file.next += 1;
        self.file.jobs.push(submission.clone());
        self.save()?;
        let submitted = self.system.submit(self.job, &submission);
        match submitted {
            Ok(id) => {
                self.say(format!(
                    "submitted {} job {id}: blocks {}",
                    self.system.name(),
                    compress(&submission.blocks)
                ));
                if let Some(last) = self.file.jobs.last_mut() {
                    last.id = Some(id);
                }
                self.save()
            }
            // accepted or not: it stays, and is looked for by its name
            Err(error) if error.kind() == Kind::NoAnswer => Err(error),
            Err(error) => {
                self.file.jobs.pop();
                self.save()?;
                Err(error)
            }
        }
    }

    /// Says how it stands, if that has changed.
    fn report(&mut self, tasks: &[TaskState]) {
        let is_open = |task: &&TaskState| self.open.contains(&task.block);
        let open: Vec<&TaskState> = tasks.iter().filter(is_open).collect();
        let mut summary = format!("blocks to go: {}", self.open.len());
        for activity in [
            Activity::Running,
            Activity::Pending,
            Activity::Suspended,
            Activity::Held,
        ] {
            match open.iter().filter(|t| t.activity == activity).count() {
                0 => {}
                n => summary.push_str(&format!(", {n} {}", activity.word())),
            }
        }
        if summary != self.summary && !tasks.is_empty() {
            self.say(&summary);
            self.summary = summary;
        }
        let mut reasons: BTreeMap<(Activity, &str), Vec<u32>> = BTreeMap::new();
        for task in open {
            if task.activity != Activity::Running && !task.reason.is_empty() {
                let key = (task.activity, task.reason.as_str());
                reasons.entry(key).or_default().push(task.block);
            }
        }
        let mut notes = BTreeSet::new();
        for ((activity, reason), blocks) in reasons {
            let hint = match activity {
                Activity::Held => "; they wait until somebody releases them",
                _ => "",
            };
            let note = format!("{}: {reason}{hint}", activity.word());
            if !self.notes.contains(&note) {
                self.say(format!("blocks {} are {note}", compress(&blocks)));
            }
            notes.insert(note);
        }
        self.notes = notes;
    }
}
