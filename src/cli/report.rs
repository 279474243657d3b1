//! `sideband report`: draws what is there anew. It neither trains nor fits.

use super::Done;
use super::options::ReportArguments;
use super::run::{print_ended, print_ensemble, print_measurement};
use crate::measurement::redraw_measurement;
use crate::rundir::RunDirectory;
use crate::training::Interrupt;
use crate::workflow::{redo_matrix, redo_report};

pub(super) fn report(arguments: &ReportArguments) -> Done {
    let root = RunDirectory::open(&arguments.run)?;
    let experiment = root.experiment()?;
    if experiment.measurement.is_some() {
        root.check_links()?;
        return print_measurement(&redraw_measurement(&root)?, &root);
    }
    if experiment.is_matrix {
        return print_ended(&redo_matrix(&root, &experiment)?, &Interrupt::default());
    }
    print_ensemble(&redo_report(&arguments.run)?)
}
