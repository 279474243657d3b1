//! `sideband report`

use super::options::ReportArguments;
use super::run::print_result;
use super::{Done, Exit};
use crate::background::redo_report;

pub(super) fn report(arguments: &ReportArguments) -> Done {
    let ended = redo_report(&arguments.run)?;
    let config = crate::config::load(&ended.directory.config_path(), &[])?;
    print_result(&ended, &config)?;
    Ok(Exit::Ok)
}
