//! In this process, on all its devices.

use super::{Executor, Work};

/// Trains in this process. Several of them on one directory share the blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<W: Work> Executor<W> for Local {
    fn execute(&self, work: &W) -> Result<(), W::Error> {
        work.train(&work.missing())
    }
}
