//! `sideband report`: draws what is there anew. It neither trains nor fits.

use super::options::ReportArguments;
use super::run::{exit_of, print_ended, print_ensemble, print_measurement};
use super::{Done, Exit};
use crate::measurement::redraw_measurement;
use crate::rundir::RunDirectory;
use crate::training::Interrupt;
use crate::workflow::{redo_matrix, redo_report};

pub(super) fn report(arguments: &ReportArguments) -> Done {
    let root = RunDirectory::open(&arguments.run)?;
    let experiment = root.experiment()?;
    if experiment.measurement.is_some() {
        root.check_links()?;
        print_measurement(&redraw_measurement(&root)?, &root)?;
        return Ok(Exit::Ok);
    }
    if experiment.is_matrix {
        return print_ended(&redo_matrix(&root, &experiment)?, &Interrupt::default());
    }
    let end = redo_report(&arguments.run)?;
    print_ensemble(&end)?;
    Ok(exit_of(&end))
}
