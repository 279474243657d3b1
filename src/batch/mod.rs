//! Where members are trained: in this process ([`Local`]), or as the tasks of a
//! batch system ([`Queue`] of [`slurm`] or [`htcondor`]). Executors share nothing but the run directory, and a block can be
//! trained by any of them: the members are the same.

mod blocks;
pub(crate) mod htcondor;
mod ledger;
mod local;
mod monitor;
mod queue;
pub(crate) mod slurm;
pub(crate) mod system;

pub(crate) use blocks::{Block, block_members, blocks};
pub(crate) use ledger::RunLedger;
pub(crate) use local::Local;
pub(crate) use monitor::Monitor;
pub(crate) use monitor::{describe, duration};
pub(crate) use queue::Queue;

use crate::error::Result;
use std::path::Path;

/// The work of a run, as executors see it.
pub(crate) trait Work {
    /// The run directory.
    fn run(&self) -> &Path;

    /// How the run is called in a queue.
    fn name(&self) -> &str;

    /// Numbers of the blocks in which members are missing.
    fn missing(&self) -> Vec<u32>;

    /// Members of a block, on which the blocks' numbers depend.
    fn block_members(&self) -> usize;

    /// Whether nothing is missing of a block.
    fn is_done(&self, block: u32) -> bool;

    /// A number that changes with every member and checkpoint of a block that is
    /// written.
    fn progress(&self, block: u32) -> u64;

    /// Whether somebody asked to stop.
    fn interrupted(&self) -> bool;

    /// Something that a person should know.
    fn say(&self, text: &str);

    /// Trains blocks in this process, beside others that may do the same.
    ///
    /// # Errors
    /// What went wrong; finished members are kept.
    fn train(&self, blocks: &[u32]) -> Result<()>;
}

/// Gets blocks trained somewhere.
pub(crate) trait Executor<W: Work> {
    /// Returns when all blocks are done, or when the run is interrupted.
    ///
    /// # Errors
    /// What went wrong; finished members are kept.
    fn execute(&self, work: &W) -> Result<()>;
}
