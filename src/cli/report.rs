//! `sideband report`: draws what is there anew. It neither trains nor fits.

use super::options::ReportArguments;
use super::run::{print_ensemble, print_result};
use super::{Done, Exit};
use crate::background::redo_report;
use crate::measurement::redraw;
use crate::run::RunDirectory;

pub(super) fn report(arguments: &ReportArguments) -> Done {
    let root = RunDirectory::open(&arguments.run)?;
    if root.experiment()?.measurement.is_some() {
        root.check_links()?;
        let result = redraw(&root)?;
        print_result(&result, &root)?;
        return Ok(Exit::Ok);
    }
    print_ensemble(&redo_report(&arguments.run)?)?;
    Ok(Exit::Ok)
}
