//! Blocks as tasks of a batch system: this process submits and follows them, and
//! trains nothing itself.

use super::system::{BatchJob, BatchSystem, FollowSettings, Followed, Watcher, follow};
use super::{Executor, Work};
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::rundir::Claims;
use std::path::Path;
use std::time::Duration;

/// Time after which a silent coordinator is taken for dead.
const COORDINATOR_STALE: Duration = Duration::from_secs(120);

/// Trains in a batch system.
pub(crate) struct Queue<S> {
    system: S,
    settings: FollowSettings,
}

impl<S: BatchSystem> Queue<S> {
    /// Blocks go to `system` and are followed as `settings` say.
    #[must_use]
    pub(crate) fn new(system: S, settings: FollowSettings) -> Self {
        Self { system, settings }
    }
}

impl<S: BatchSystem, W: Work> Executor<W> for Queue<S> {
    fn execute(&self, work: &W) -> Result<()> {
        let absolute = |path: &Path| std::path::absolute(path).on(path).of(Kind::Internal);
        let program = std::env::current_exe();
        let program = program.on("sideband").of(Kind::Internal)?;
        let run = absolute(work.run())?;
        let job = BatchJob {
            program: &program,
            run: &run,
            working: &absolute(Path::new("."))?,
            folder: &run.join("batch"),
            name: work.name(),
            arguments: &[
                "--quiet".to_owned(),
                "--block-members".to_owned(),
                work.block_members().to_string(),
            ],
        };
        // one coordinator at a time: two would submit every block twice
        let folder = run.join("batch").join("coordinator");
        let claims = Claims::open(&folder, COORDINATOR_STALE);
        let claims = claims.on(&folder).of(Kind::Internal)?;
        let Some(_coordinator) = claims.claim(0).on(&folder).of(Kind::Internal)? else {
            return Err(Error::internal(
                "another process follows this run's jobs already; wait for it, or help with \
                 `sideband worker` on the run directory",
            ));
        };
        let followed = follow(
            &self.system,
            &job,
            &work.missing(),
            &self.settings,
            &Eyes(work),
        )?;
        match followed {
            Followed::Done | Followed::Interrupted { .. } => Ok(()),
        }
    }
}

/// What a run knows of its blocks.
struct Eyes<'a, W>(&'a W);

impl<W: Work> Watcher for Eyes<'_, W> {
    fn is_done(&self, block: u32) -> bool {
        self.0.is_done(block)
    }
    fn progress(&self, block: u32) -> u64 {
        self.0.progress(block)
    }
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
    fn say(&self, text: &str) {
        self.0.say(text);
    }
}
