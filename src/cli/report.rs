//! `sideband report`

use super::options::ReportArguments;
use super::run::print_ensemble;
use super::{Done, Exit};
use crate::background::redo_report;

pub(super) fn report(arguments: &ReportArguments) -> Done {
    print_ensemble(&redo_report(&arguments.run)?)?;
    Ok(Exit::Ok)
}
