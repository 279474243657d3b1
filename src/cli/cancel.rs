//! `sideband cancel`: ends a run's jobs in a batch system; what is finished or
//! saved stays.

use super::options::CancelArguments;
use super::run::go_to;
use super::{Done, print};
use crate::batch::htcondor::Htcondor;
use crate::batch::slurm::Slurm;
use crate::batch::system::cancel as cancel_jobs;
use crate::error::Error;
use crate::settings::ExecutorKind;

pub(super) fn cancel(arguments: &CancelArguments) -> Done {
    let root = go_to(&arguments.run)?;
    let experiment = root.experiment()?;
    let config = &experiment.common().executor;
    let (name, folder) = (&experiment.common().experiment.name, root.batch());
    root.check_links()?;
    let jobs = match config.kind {
        ExecutorKind::Slurm => cancel_jobs(&Slurm::new(config.slurm.clone())?, name, &folder)?,
        ExecutorKind::Htcondor => {
            cancel_jobs(&Htcondor::new(config.htcondor.clone())?, name, &folder)?
        }
        ExecutorKind::Local => {
            return Err(Error::usage(
                "the run is not in a batch system; stop it where it was started (Ctrl-C)",
            ));
        }
    };
    print(&format!("{jobs} jobs cancelled"))
}
