//! `sideband report`

use super::options::ReportArguments;
use super::run::{exit_of, go_to, print_ensemble, to_result};
use super::Done;
use crate::background::{RunOptions, redo_report};
use crate::ensemble::Interrupt;
use crate::run::RunDirectory;
use std::path::PathBuf;

pub(super) fn report(arguments: &ReportArguments) -> Done {
    let experiment = RunDirectory::open(&arguments.run)?.experiment()?;
    if experiment.measurement.is_some() {
        let root = go_to(&arguments.run)?;
        let options = RunOptions {
            out: root.path().to_owned(),
            base: PathBuf::new(),
            unblind: false,
            quiet: false,
            only: None,
        };
        return to_result(&experiment, &options, &Interrupt::default());
    }
    let end = redo_report(&arguments.run)?;
    print_ensemble(&end)?;
    Ok(exit_of(&end))
}
