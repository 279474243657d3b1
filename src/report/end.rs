//! An ensemble of a run when it is over.

use crate::error::Error;
use crate::results::Metrics;
use crate::rundir::{RunDirectory, RunState};
use crate::settings::Config;

/// How one ensemble ended.
#[derive(Debug)]
pub(crate) struct EnsembleEnd {
    pub name: String,
    pub config: Config,
    pub directory: RunDirectory,
    /// Complete, partial or interrupted.
    pub state: RunState,
    /// The numbers, if there are any.
    pub metrics: Option<Metrics>,
    /// Why there are none, if not for an interruption.
    pub error: Option<Error>,
}
