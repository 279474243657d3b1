//! Blocks of a run on a cluster: submitted, followed, submitted again where they
//! were lost, until all are done.
//!
//! What is known about the jobs lies in `RUN/batch/jobs.json`. A coordinator may
//! be killed at any point; the next one takes over the jobs that live and submits
//! what is neither done nor alive. A job is written down *before* it is submitted,
//! under a name that occurs once, and looked for by that name where its number is
//! not known: neither a crash between the two nor a submission that timed out and
//! was accepted all the same trains a block twice.
//!
//! Whether a block is done is for the files to say, never for the batch system.
//! A task that the system no longer has, in two successful polls in a row, and
//! whose block is still not done, has ended without finishing (shared file systems
//! show files late). A poll that fails says nothing about any task.

mod call;
mod follow;
mod ledger;
mod list;

pub(crate) use follow::{cancel, follow};
pub(crate) use ledger::Submission;
pub(crate) use list::{compress, expand};

pub(super) use call::{Patience, Said, call, path_text};

use crate::error::{Error, Kind, Result};
use crate::files::regular;
use std::fmt::Display;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines of a task's output that an error repeats.
const TAIL_LINES: usize = 5;

/// Largest output that an error repeats lines of.
const TAIL_BYTES: u64 = 1 << 28;

/// Blocks that an error describes one by one.
const LISTED: usize = 10;

/// The batch system does not answer; it may later. What it said, or how long it was
/// waited for.
pub(super) fn no_answer(command: &str, reason: impl Display) -> Error {
    Error::new(Kind::NoAnswer, format!("{command}: {reason}"))
}

/// The batch system does not take the job.
pub(super) fn refused(command: &str, reason: impl Display) -> Error {
    Error::new(
        Kind::Refused,
        format!("{command} refused the job: {reason}"),
    )
}

/// Blocks that ended too often without being done.
fn given_up(failed: &[FailedBlock]) -> Error {
    let blocks: Vec<u32> = failed.iter().map(|f| f.block).collect();
    Error::internal(format!(
        "{} of the blocks did not finish ({}):\n{}run the same command again to try once more",
        failed.len(),
        compress(&blocks),
        list(failed)
    ))
}

/// A block that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedBlock {
    pub block: u32,
    /// How its last task ended.
    pub ending: String,
    /// Where its last task wrote to.
    pub output: PathBuf,
}

fn list(failed: &[FailedBlock]) -> String {
    let mut text = String::new();
    for FailedBlock {
        block,
        ending,
        output,
    } in failed.iter().take(LISTED)
    {
        // writing to a string does not fail
        let _ = writeln!(text, "  block {block}: {ending}; see {}", output.display());
        for line in tail(output) {
            let _ = writeln!(text, "    | {line}");
        }
    }
    if failed.len() > LISTED {
        let _ = writeln!(text, "  and {} more", failed.len() - LISTED);
    }
    text
}

/// The last lines of a file, none if it is not there.
fn tail(path: &Path) -> Vec<String> {
    let text = regular::read(path, TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..]
        .iter()
        .map(|line| line.chars().take(200).collect())
        .collect()
}

/// What is run, the same for every block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchJob<'a> {
    /// This program, absolute.
    pub program: &'a Path,
    /// The run directory, absolute.
    pub run: &'a Path,
    /// Where tasks start, absolute: relative paths of inputs count from here.
    pub working: &'a Path,
    /// `RUN/batch`, absolute: scripts, outputs, `jobs.json`.
    pub folder: &'a Path,
    /// What people see in the queue; other than letters, digits, `_`, `-` and `.`
    /// are replaced.
    pub name: &'a str,
    /// Arguments behind `worker RUN --block K`.
    pub arguments: &'a [String],
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activity {
    /// It waits for its turn.
    Pending,
    /// It runs, is started or cleaned up.
    Running,
    /// It is suspended, and goes on by itself.
    Suspended,
    /// It waits for somebody to release it.
    Held,
}

/// A task that the batch system has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskState {
    pub block: u32,
    /// What it does.
    pub activity: Activity,
    /// Why, in the batch system's words; may be empty.
    pub reason: String,
}

/// How a task ended, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub block: u32,
    /// The exit code.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The batch system's word for it.
    pub state: String,
    /// Who ended it.
    pub cause: Cause,
}

/// Who ended a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The program, or nobody knows.
    #[default]
    Program,
    /// The batch system: time limit, preemption, a node that went down.
    System,
    /// Somebody who cancelled it.
    Person,
}

impl Ending {
    fn text(&self) -> String {
        match (self.exit, self.signal, self.state.is_empty()) {
            (_, Some(signal), true) => format!("ended by signal {signal}"),
            (_, Some(signal), false) => format!("{}, signal {signal}", self.state),
            (Some(exit), None, true) => format!("ended with exit code {exit}"),
            (Some(exit), None, false) => format!("{}, exit code {exit}", self.state),
            (None, None, false) => self.state.clone(),
            (None, None, true) => "ended, nobody knows how".to_owned(),
        }
    }
}

/// A batch system: where blocks of a run are submitted as tasks of a job.
pub(crate) trait BatchSystem {
    /// Its name, as in a configuration.
    fn name(&self) -> &'static str;
    /// Number of a job's tasks, and the number below which the indices of its
    /// tasks must be.
    fn largest_array(&self) -> u32;
    /// Submits the blocks as one job; its number in the batch system. Block
    /// `base + i` is task i.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`] if it is not known whether the job was accepted,
    /// [`Kind::Refused`] if it was not, others if it was not even tried.
    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String>;
    /// The number of a job by its name, also if it has ended lately.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`] as a rule.
    fn find(&self, name: &str) -> Result<Option<String>>;
    /// Tasks that wait, run, are held or suspended, for each of the submissions.
    /// All submissions have a number.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`] as a rule; that a job is gone is no error.
    fn alive(&self, submissions: &[&Submission]) -> Result<Vec<Vec<TaskState>>>;
    /// How the tasks of some blocks ended, as far as it can be found out.
    fn endings(&self, submission: &Submission, blocks: &[u32]) -> Vec<Ending>;
    /// Where the task of a block writes to.
    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf;
    /// The command that cancels a job, for people.
    fn cancel_command(&self, submission: &Submission) -> String;
    /// Whether a text is a number as this system gives one to a job.
    fn is_id(&self, id: &str) -> bool;
    /// Cancels what is left of a job, also one whose number is not known; only what
    /// the system itself says is of this name, number and user.
    ///
    /// # Errors
    /// [`Kind::NoAnswer`] as a rule; that a job is gone is no error.
    fn cancel(&self, submission: &Submission) -> Result<()>;
}

/// How blocks are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FollowSettings {
    /// Time between two looks at the queue.
    pub poll: Duration,
    /// How often a block that was lost is submitted again.
    pub resubmissions: u32,
    /// How long the batch system may be silent before it is given up.
    pub patience: Duration,
}

impl Default for FollowSettings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            resubmissions: 3,
            patience: Duration::from_secs(6 * 3600),
        }
    }
}

/// What a coordinator has to be told, and tells.
pub(crate) trait Watcher {
    /// Whether all of a block is there. Asked at every poll; on a network file
    /// system it should list the folder, and not look for single files, which
    /// may be remembered as missing.
    fn is_done(&self, block: u32) -> bool;
    /// Any number that changes when work of a block has been kept: members and
    /// checkpoints written, say. A stopped task whose block has it unchanged
    /// counts as lost.
    fn progress(&self, block: u32) -> u64;
    /// Whether to leave, with the jobs going on.
    fn interrupted(&self) -> bool;
    /// Takes a line for people.
    fn say(&self, text: &str);
}

/// How following ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Every block is done.
    Done,
    /// It was interrupted; the jobs go on. The same call follows them again.
    Interrupted {
        /// Blocks that are not done.
        open: Vec<u32>,
        /// Jobs that go on.
        jobs: Vec<String>,
    },
}

#[cfg(test)]
use std::fs;
#[cfg(test)]
mod tests;
