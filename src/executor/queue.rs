//! Blocks as tasks of a batch system: this process submits and follows them, and
//! trains nothing itself.

use super::batch::{BatchError, BatchJob, BatchSystem, FollowSettings, Followed, Watcher, follow};
use super::{Executor, Work};
use std::path::Path;

/// Trains in a batch system.
pub struct Queue<S> {
    system: S,
    settings: FollowSettings,
}

impl<S: BatchSystem> Queue<S> {
    /// Blocks go to `system` and are followed as `settings` say.
    #[must_use]
    pub fn new(system: S, settings: FollowSettings) -> Self {
        Self { system, settings }
    }
}

impl<S: BatchSystem, W: Work> Executor<W> for Queue<S>
where
    W::Error: From<BatchError>,
{
    fn execute(&self, work: &W) -> Result<(), W::Error> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| BatchError::Io {
                path: path.to_owned(),
                source,
            })
        };
        let program = std::env::current_exe().map_err(|source| BatchError::Io {
            path: "sideband".into(),
            source,
        })?;
        let run = absolute(work.run())?;
        let job = BatchJob {
            program: &program,
            run: &run,
            working: &absolute(Path::new("."))?,
            folder: &run.join("batch"),
            name: work.name(),
            arguments: &["--quiet".to_owned()],
        };
        let followed = follow(
            &self.system,
            &job,
            &work.missing(),
            &self.settings,
            &Eyes(work),
        )?;
        if let Followed::Interrupted { open, jobs } = followed {
            work.say(&format!(
                "{} blocks are not done; jobs {} go on in {}: the same command follows them again",
                open.len(),
                jobs.join(", "),
                self.system.name()
            ));
        }
        Ok(())
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
