//! `sideband extend`

use super::Done;
use super::options::ExtendArguments;
use super::run::{go_to, print_ended, stop_on_signal, to_result};
use crate::workflow::{RunOptions, extend as extend_run};
use std::path::PathBuf;

pub(super) fn extend(arguments: &ExtendArguments) -> Done {
    let root = go_to(&arguments.run)?;
    let options = RunOptions {
        out: root.path().to_owned(),
        base: PathBuf::new(),
        unblind: arguments.unblind,
        quiet: arguments.training.quiet,
        only: None,
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    let ended = extend_run(&root, arguments.members, &options, &interrupt)?;
    let experiment = root.experiment()?;
    if experiment.measurement.is_some() {
        // its likelihood is of all members
        return to_result(&experiment, &options, &interrupt);
    }
    print_ended(&ended, &interrupt)
}
