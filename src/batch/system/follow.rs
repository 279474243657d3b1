//! The coordinator: polls, submits, and decides what becomes of a lost block.

use super::ledger::{Ledger, job_name};
use super::{
    Activity, BatchJob, BatchSystem, Cause, Ending, FailedBlock, FollowSettings, Followed,
    Submission, TaskState, Watcher, compress, given_up,
};
use crate::error::{Error, Kind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
/// Submits, follows and submits again until every block is done.
///
/// Tasks that end at a time limit, by preemption or with their node (exit codes
/// 75, 130 and 143, and the batch system's own words) are submitted again without
/// limit as long as [`Watcher::progress`] changes from one to the next; all others
/// up to [`FollowSettings::resubmissions`] times a block. Exit codes 2 and 3 are
/// final. A block that is given up does not stop the others. The count begins
/// anew with each call. What somebody cancels counts as lost, so that it does not
/// come back for ever; to end a run, interrupt the coordinator first.
///
/// When interrupted, it leaves the jobs in the queue: the same call follows them
/// again, and [`cancel`] ends them.
///
/// # Errors
/// Jobs in the queue go on.
pub(crate) fn follow(
    system: &dyn BatchSystem,
    job: &BatchJob<'_>,
    blocks: &[u32],
    settings: &FollowSettings,
    watcher: &dyn Watcher,
) -> Result<Followed> {
    let now = Instant::now();
    let ledger = Ledger::open(job.folder, system.name())?;
    ledger.check(job.folder, system, job.name)?;
    let mut coordinator = Coordinator {
        system,
        job,
        settings,
        watcher,
        ledger,
        saved: None,
        open: blocks.iter().copied().collect(),
        accounts: BTreeMap::new(),
        failed: Vec::new(),
        absent: BTreeMap::new(),
        answered: now,
        failures: 0,
        refused: false,
        summary: String::new(),
        notes: BTreeSet::new(),
    };
    coordinator.greet();
    coordinator.run()
}

/// Cancels all jobs of the run called `name`; how many there were.
///
/// # Errors
/// Also if a record cannot be of this run, before anything is cancelled; what was
/// cancelled is no longer in `jobs.json`.
pub(crate) fn cancel(system: &dyn BatchSystem, name: &str, folder: &Path) -> Result<usize> {
    let mut ledger = Ledger::open(folder, system.name())?;
    ledger.check(folder, system, name)?;
    let mut cancelled = 0;
    while let Some(submission) = ledger.jobs.last() {
        system.cancel(submission)?;
        cancelled += 1;
        ledger.jobs.pop();
        ledger.save(folder)?;
    }
    Ok(cancelled)
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
    settings: &'a FollowSettings,
    watcher: &'a dyn Watcher,
    ledger: Ledger,
    /// What of it is in the file.
    saved: Option<Ledger>,
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
    fn greet(&self) {
        for submission in &self.ledger.jobs {
            let id = submission.id.as_deref().unwrap_or("of unknown number");
            self.watcher.say(&format!(
                "following {} job {id}: blocks {}",
                self.system.name(),
                compress(&submission.blocks)
            ));
        }
    }

    fn run(&mut self) -> Result<Followed> {
        loop {
            self.open.retain(|block| !self.watcher.is_done(*block));
            if self.open.is_empty() {
                return self.end();
            }
            if self.watcher.interrupted() {
                return Ok(self.leave());
            }
            let pause = match self.poll().and_then(|()| self.submit()) {
                Ok(()) => {
                    self.answered = Instant::now();
                    self.failures = 0;
                    self.settings.poll
                }
                Err(error) if error.kind() == Kind::NoAnswer && self.watcher.interrupted() => {
                    continue;
                }
                Err(error) if error.kind() == Kind::NoAnswer => self.unanswered(error)?,
                Err(error) => return Err(error),
            };
            self.pause(pause);
        }
    }

    fn end(&mut self) -> Result<Followed> {
        self.failed.retain(|f| !self.watcher.is_done(f.block));
        // what is done needs no job, even if one has not left the queue yet
        for submission in &mut self.ledger.jobs {
            submission.blocks.retain(|b| !self.watcher.is_done(*b));
        }
        self.ledger.jobs.retain(|s| !s.blocks.is_empty());
        self.save()?;
        if self.failed.is_empty() {
            return Ok(Followed::Done);
        }
        self.failed.sort_by_key(|f| f.block);
        Err(given_up(&self.failed))
    }

    fn leave(&self) -> Followed {
        let jobs: Vec<_> = self
            .ledger
            .jobs
            .iter()
            .map(|s| s.id.clone().unwrap_or_else(|| s.name.clone()))
            .collect();
        let cancel: Vec<_> = self
            .ledger
            .jobs
            .iter()
            .map(|submission| self.system.cancel_command(submission))
            .collect();
        let open: Vec<_> = self.open.iter().copied().collect();
        self.watcher.say(&format!(
            "blocks to go: {}; run the same command again to follow them{}{}",
            open.len(),
            if jobs.is_empty() {
                ""
            } else {
                "; their jobs go on, to end them: "
            },
            cancel.join(" && ")
        ));
        Followed::Interrupted { open, jobs }
    }

    /// After a call without an answer: how long to wait.
    fn unanswered(&mut self, error: Error) -> Result<Duration> {
        let silent = self.answered.elapsed();
        if silent >= self.settings.patience {
            return Err(Error::internal(format!(
                "no answer from {} for {} min, at last: {error}; submitted jobs go on; run the \
                 same command again to follow them",
                self.system.name(),
                silent.as_secs() / 60
            )));
        }
        let longest = LONGEST_PAUSE.max(self.settings.poll);
        let pause = self
            .settings
            .poll
            .saturating_mul(1 << self.failures.min(16))
            .min(longest);
        self.failures += 1;
        self.watcher.say(&format!(
            "{} does not answer ({error}); jobs go on, asking again in {:.0} s",
            self.system.name(),
            pause.as_secs_f64()
        ));
        Ok(pause)
    }

    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.watcher.interrupted() {
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
        let known: Vec<Submission> = self
            .ledger
            .jobs
            .iter()
            .filter(|s| s.id.is_some())
            .cloned()
            .collect();
        let states = if known.is_empty() {
            Vec::new()
        } else {
            self.system.alive(&known.iter().collect::<Vec<_>>())?
        };
        // files may have come since they were looked for
        self.open.retain(|block| !self.watcher.is_done(*block));
        for (submission, tasks) in known.iter().zip(&states) {
            self.account(submission, tasks);
        }
        self.ledger.jobs.retain(|s| !s.blocks.is_empty());
        self.save()?;
        self.report(&states.concat());
        Ok(())
    }

    /// Writes `jobs.json` if it has changed.
    fn save(&mut self) -> Result<()> {
        if self.saved.as_ref() != Some(&self.ledger) {
            self.ledger.save(self.job.folder)?;
            self.saved = Some(self.ledger.clone());
        }
        Ok(())
    }

    /// Jobs of which it is not known whether they were accepted.
    fn look_for_unknown(&mut self) -> Result<()> {
        let mut vanished = Vec::new();
        for submission in &mut self.ledger.jobs {
            if submission.id.is_some() {
                continue;
            }
            let absent = self.absent.entry((submission.number, None)).or_default();
            if let Some(id) = self.system.find(&submission.name)? {
                self.watcher.say(&format!(
                    "{} job {id} was accepted: blocks {}",
                    self.system.name(),
                    compress(&submission.blocks)
                ));
                submission.id = Some(id);
            } else {
                *absent += 1;
                if *absent >= ABSENT_POLLS {
                    // it never was one: its blocks are free again
                    vanished.push(submission.clone());
                    submission.blocks.clear();
                }
            }
        }
        for submission in vanished {
            self.vanished(&submission);
        }
        Ok(())
    }

    /// A submission of which nobody knows a job. It may have been accepted all the
    /// same, so that it counts as a loss of its blocks.
    fn vanished(&mut self, submission: &Submission) {
        let limit = self.settings.resubmissions;
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
            self.open.remove(&block);
            self.failed.push(FailedBlock {
                block,
                ending: format!(
                    "submitted {} times, and {} gave no number and knows no job {}; see that \
                     none of them is in a queue",
                    account.lost,
                    self.system.name(),
                    submission.name
                ),
                output: self.system.output(self.job, submission, block),
            });
        }
        if !again.is_empty() {
            self.watcher.say(&format!(
                "{} gave no number and knows no job {}: blocks {} are submitted again, {limit} \
                 times at most",
                self.system.name(),
                submission.name,
                compress(&again)
            ));
        }
    }

    /// Who of a submission is alive, and what became of the others.
    fn account(&mut self, submission: &Submission, tasks: &[TaskState]) {
        let alive: BTreeSet<u32> = tasks.iter().map(|t| t.block).collect();
        let mut ended = Vec::new();
        for block in &submission.blocks {
            let absent = self
                .absent
                .entry((submission.number, Some(*block)))
                .or_default();
            *absent = if alive.contains(block) {
                0
            } else {
                *absent + 1
            };
            if *absent >= ABSENT_POLLS {
                ended.push(*block);
            }
        }
        let lost: Vec<u32> = ended
            .iter()
            .copied()
            .filter(|block| self.open.contains(block))
            .collect();
        let endings = if lost.is_empty() {
            Vec::new()
        } else {
            self.system.endings(submission, &lost)
        };
        for block in lost {
            let ending = endings.iter().find(|e| e.block == block).cloned();
            self.lost(submission, &ending.unwrap_or_default(), block);
        }
        for record in &mut self.ledger.jobs {
            if record.number == submission.number {
                record.blocks.retain(|block| !ended.contains(block));
            }
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
        let kept = account.progress != Some(self.watcher.progress(block));
        let hopeless = ending.exit.is_some_and(|code| HOPELESS.contains(&code));
        let output = self.system.output(self.job, submission, block);
        let how = ending.text();
        if stopped && kept {
            self.watcher
                .say(&format!("block {block} stopped ({how}): it goes on later"));
            return;
        }
        account.lost += 1;
        let limit = self.settings.resubmissions;
        if hopeless || account.lost > limit {
            self.watcher.say(&format!(
                "block {block} ended without finishing ({how}), given up; see {}",
                output.display()
            ));
            self.open.remove(&block);
            self.failed.push(FailedBlock {
                block,
                ending: how,
                output,
            });
        } else {
            self.watcher.say(&format!(
                "block {block} ended without finishing ({how}), try {} of {limit} more; see {}",
                account.lost,
                output.display()
            ));
        }
    }

    /// Submits what is open and in no job.
    fn submit(&mut self) -> Result<()> {
        let placed: BTreeSet<u32> = self
            .ledger
            .jobs
            .iter()
            .flat_map(|s| s.blocks.iter().copied())
            .collect();
        let free: Vec<u32> = self.open.difference(&placed).copied().collect();
        for (base, blocks) in chunks(&free, self.system.largest_array()) {
            if self.watcher.interrupted() {
                break;
            }
            match self.submit_one(base, blocks) {
                // a limit on jobs, perhaps: there is room when others end
                Err(error) if error.kind() == Kind::Refused && !self.ledger.jobs.is_empty() => {
                    if !std::mem::replace(&mut self.refused, true) {
                        self.watcher
                            .say(&format!("{error}; trying again as others end"));
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
        let number = self.ledger.next;
        let submission = Submission {
            number,
            name: job_name(self.job.name, &self.ledger.tag, number),
            id: None,
            base,
            blocks,
        };
        for block in &submission.blocks {
            let progress = self.watcher.progress(*block);
            self.accounts.entry(*block).or_default().progress = Some(progress);
        }
        self.ledger.next += 1;
        self.ledger.jobs.push(submission.clone());
        self.save()?;
        match self.system.submit(self.job, &submission) {
            Ok(id) => {
                self.watcher.say(&format!(
                    "submitted {} job {id}: blocks {}",
                    self.system.name(),
                    compress(&submission.blocks)
                ));
                if let Some(last) = self.ledger.jobs.last_mut() {
                    last.id = Some(id);
                }
                self.save()
            }
            // accepted or not: it stays, and is looked for by its name
            Err(error) if error.kind() == Kind::NoAnswer => Err(error),
            Err(error) => {
                self.ledger.jobs.pop();
                self.save()?;
                Err(error)
            }
        }
    }

    /// Says how it stands, if that has changed.
    fn report(&mut self, tasks: &[TaskState]) {
        let open: Vec<_> = tasks
            .iter()
            .filter(|t| self.open.contains(&t.block))
            .collect();
        let count = |activity| open.iter().filter(|t| t.activity == activity).count();
        let mut summary = format!("blocks to go: {}", self.open.len());
        for (activity, word) in [
            (Activity::Running, "running"),
            (Activity::Pending, "pending"),
            (Activity::Suspended, "suspended"),
            (Activity::Held, "held"),
        ] {
            match count(activity) {
                0 => {}
                n => summary.push_str(&format!(", {n} {word}")),
            }
        }
        if summary != self.summary && !tasks.is_empty() {
            self.watcher.say(&summary);
            self.summary = summary;
        }
        let mut reasons: BTreeMap<(Activity, &str), Vec<u32>> = BTreeMap::new();
        for task in open {
            if task.activity != Activity::Running && !task.reason.is_empty() {
                reasons
                    .entry((task.activity, &task.reason))
                    .or_default()
                    .push(task.block);
            }
        }
        let mut notes = BTreeSet::new();
        for ((activity, reason), blocks) in reasons {
            let (word, hint) = match activity {
                Activity::Held => ("held", "; they wait until somebody releases them"),
                Activity::Suspended => ("suspended", ""),
                _ => ("pending", ""),
            };
            let note = format!("{word}: {reason}{hint}");
            if !self.notes.contains(&note) {
                let blocks = compress(&blocks);
                self.watcher.say(&format!("blocks {blocks} are {note}"));
            }
            notes.insert(note);
        }
        self.notes = notes;
    }
}

/// Blocks as jobs: a base, and blocks less than `largest` above it. `blocks` are
/// in order.
pub(super) fn chunks(blocks: &[u32], largest: u32) -> Vec<(u32, Vec<u32>)> {
    let largest = largest.max(1);
    let mut chunks: Vec<(u32, Vec<u32>)> = Vec::new();
    for block in blocks {
        let base = block / largest * largest;
        match chunks.last_mut() {
            Some((last, list)) if *last == base => list.push(*block),
            _ => chunks.push((base, vec![*block])),
        }
    }
    chunks
}
