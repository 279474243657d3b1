//! Where members are trained: in this process, or as the tasks of a batch system ([`Slurm`],
//! [`Htcondor`]). Both share nothing but the run directory, and a block can be trained by any
//! of them: the members are the same.

mod blocks;
mod calls;
mod follow;
mod htcondor;
mod jobs;
mod ledger;
mod monitor;
mod slurm;
mod submission;

pub(crate) use blocks::{Block, block_members, blocks};
pub(crate) use calls::batch_system;
pub(crate) use follow::{cancel, train_in_batch};
pub(crate) use ledger::RunLedger;
pub(crate) use monitor::{Monitor, describe};

use crate::error::Result;
use std::path::{Path, PathBuf};
use submission::Submission;

/// The work of a run, as the coordinator of a batch system sees it.
pub(crate) trait Work {
    /// Whether nothing is missing of a block. Asked at every poll; on a network file
    /// system it should list the folder, and not look for single files, which
    /// may be remembered as missing.
    fn is_done(&self, block: u32) -> bool;

    /// A number that changes with every member and checkpoint of a block that is
    /// written. A stopped task whose block has it unchanged counts as lost.
    fn progress(&self, block: u32) -> u64;

    /// Whether somebody asked to stop; jobs go on.
    fn interrupted(&self) -> bool;

    /// Something that a person should know.
    fn say(&self, text: &str);
}

/// A batch system: where blocks of a run are submitted as tasks of a job.
///
/// Its errors are of the kind [`NoAnswer`](crate::error::Kind::NoAnswer) as a rule; that a
/// job is gone is none.
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
    /// [`NoAnswer`](crate::error::Kind::NoAnswer) if it is not known whether the job was
    /// accepted, [`Refused`](crate::error::Kind::Refused) if it was not, others if it was not
    /// even tried.
    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String>;

    /// The number of a job by its name, also if it has ended lately.
    fn find(&self, name: &str) -> Result<Option<String>>;

    /// Tasks that wait, run, are held or suspended, for each of the submissions, which all
    /// have a number and are at one place.
    fn alive(
        &self,
        place: Option<&str>,
        submissions: &[&Submission],
    ) -> Result<Vec<Vec<TaskState>>>;

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
    fn cancel(&self, submission: &Submission) -> Result<()>;
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
    pub activity: Activity,
    /// Why, in the batch system's words; may be empty.
    pub reason: String,
}

/// How a task ended, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub block: u32,
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The batch system's word for it.
    pub state: String,
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

#[cfg(test)]
impl<'a> BatchJob<'a> {
    fn of_test(run: &'a str, folder: &'a Path, arguments: &'a [String]) -> Self {
        Self {
            program: Path::new("/opt/side band/sideband"),
            run: Path::new(run),
            working: Path::new("/data/$HOME"),
            folder,
            name: "my run; rm -rf $HOME",
            arguments,
        }
    }
}
