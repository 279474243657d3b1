//! `sideband cancel`: ends a run's jobs in a batch system; what is finished or
//! saved stays.

use super::options::CancelArguments;
use super::run::go_to;
use super::{Done, print};
use crate::batch::{batch_system, cancel as cancel_jobs};
use crate::error::Error;
use crate::training::Interrupt;

pub(super) fn cancel(arguments: &CancelArguments) -> Done {
    let root = go_to(&arguments.run)?;
    let experiment = root.experiment()?;
    let config = &experiment.common().executor;
    let (name, folder) = (&experiment.common().experiment.name, root.join("batch"));
    root.check_links()?;
    let Some(system) = batch_system(config, &Interrupt::default()) else {
        return Err(Error::usage(
            "the run is not in a batch system; stop it where it was started (Ctrl-C)",
        ));
    };
    let jobs = cancel_jobs(&*system, name, &folder)?;
    print(&format!("{jobs} jobs cancelled"))
}
