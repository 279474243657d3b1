//! The coordinator of a batch system: submits blocks of a run, follows them, and decides what
//! becomes of a lost one, until all are done. It trains nothing itself.
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

mod coordinator;
mod words;

use super::jobs::JobsFile;
use super::{BatchJob, BatchSystem, Work, block_members};
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::rundir::Claims;
use crate::settings::Experiment;
use coordinator::{FollowSettings, follow};
use std::path::Path;
use std::time::Duration;

/// Time after which a silent coordinator is taken for dead.
const COORDINATOR_STALE: Duration = Duration::from_secs(120);
/// How long the batch system may be silent before it is given up.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// Has blocks of a run trained in a batch system. Returns when all of them are done, or when
/// somebody asks to stop.
///
/// # Errors
/// Jobs in the queue go on, and finished members are kept.
pub(crate) fn train_in_batch(
    system: &dyn BatchSystem,
    run: &Path,
    experiment: &Experiment,
    blocks: &[u32],
    work: &dyn Work,
) -> Result<()> {
    let absolute = |path: &Path| std::path::absolute(path).on(path).of(Kind::Internal);
    let program = std::env::current_exe();
    let program = program.on("sideband").of(Kind::Internal)?;
    let run = absolute(run)?;
    let config = experiment.common();
    let job = BatchJob {
        program: &program,
        run: &run,
        working: &absolute(Path::new("."))?,
        folder: &run.join("batch"),
        name: &config.experiment.name,
        arguments: &[
            "--quiet".to_owned(),
            "--block-members".to_owned(),
            block_members(experiment).to_string(),
        ],
    };
    // one coordinator at a time: two would submit every block twice
    let folder = job.folder.join("coordinator");
    let claims = Claims::open(&folder, COORDINATOR_STALE);
    let claims = claims.on(&folder).of(Kind::Internal)?;
    let Some(_coordinator) = claims.claim(0).on(&folder).of(Kind::Internal)? else {
        return Err(Error::internal(
            "another process follows this run's jobs already; wait for it, or help with \
             `sideband worker` on the run directory",
        ));
    };
    let settings = FollowSettings {
        poll: Duration::from_secs_f64(config.executor.poll_seconds),
        resubmissions: config.executor.resubmissions,
        patience: PATIENCE,
    };
    follow(system, &job, blocks, settings, work).map(|_| ())
}

/// Cancels all jobs of the run called `name`; how many there were.
///
/// # Errors
/// Also if a record cannot be of this run, before anything is cancelled; what was
/// cancelled is no longer in `jobs.json`.
pub(crate) fn cancel(system: &dyn BatchSystem, name: &str, folder: &Path) -> Result<usize> {
    let mut file = JobsFile::open(folder, system, name)?;
    let all = file.jobs.len();
    while let Some(submission) = file.jobs.last() {
        system.cancel(submission)?;
        file.jobs.pop();
        file.save()?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
