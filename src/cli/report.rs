//! `sideband report`

use super::options::ReportArguments;
use super::run::{go_to, print_ended, print_ensemble, to_result};
use super::{Done, Exit};
use crate::background::{RunOptions, redo_matrix, redo_report};
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
    if experiment.is_matrix {
        let root = RunDirectory::open(&arguments.run)?;
        return print_ended(&redo_matrix(&root, &experiment)?, &Interrupt::default());
    }
    print_ensemble(&redo_report(&arguments.run)?)?;
    Ok(Exit::Ok)
}
