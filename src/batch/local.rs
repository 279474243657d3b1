//! In this process, on all its devices.

use super::{Executor, Work};
use crate::error::Result;

/// Trains in this process. Several of them on one directory share the blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<W: Work> Executor<W> for Local {
    fn execute(&self, work: &W) -> Result<()> {
        work.train(&work.missing())
    }
}
