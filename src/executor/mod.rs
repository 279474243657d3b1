//! Where members are trained: in this process, or as the tasks of a batch
//! system. Executors share nothing but the run directory, and a block can be
//! trained by any of them: the members are the same.

mod blocks;
mod ledger;
mod local;
mod monitor;

pub use blocks::{Block, blocks};
pub use ledger::RunLedger;
pub use local::Local;
pub use monitor::Monitor;
pub(crate) use monitor::{describe, duration};

/// The work of a run, as executors see it.
pub trait Work {
    /// Why a block could not be trained.
    type Error;

    /// Numbers of the blocks in which members are missing.
    fn missing(&self) -> Vec<u32>;

    /// Trains blocks in this process, beside others that may do the same.
    ///
    /// # Errors
    /// What went wrong; finished members are kept.
    fn train(&self, blocks: &[u32]) -> Result<(), Self::Error>;
}

/// Gets blocks trained somewhere.
pub trait Executor<W: Work> {
    /// Returns when all blocks are done, or when the run is interrupted.
    ///
    /// # Errors
    /// What went wrong; finished members are kept.
    fn execute(&self, work: &W) -> Result<(), W::Error>;
}
