//! `sideband worker`: idempotent, shares nothing with others but the run
//! directory.

use super::options::WorkerArguments;
use super::run::{exit_of_part, go_to, stop_on_signal};
use super::{Done, print};
use crate::workflow::{RunOptions, WorkOptions, work};
use std::path::PathBuf;

pub(super) fn worker(arguments: &WorkerArguments) -> Done {
    let root = go_to(&arguments.run)?;
    let options = RunOptions {
        out: root.path().to_owned(),
        base: PathBuf::new(),
        unblind: false,
        quiet: arguments.training.quiet,
        only: None,
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    let wanted = WorkOptions {
        block: arguments.block,
        block_members: arguments.block_members,
        devices: arguments.device.as_deref(),
    };
    let is_done = work(&root, &wanted, &options, &interrupt)?;
    let what = match arguments.block {
        Some(block) => format!("block {block}"),
        None => "every block".to_owned(),
    };
    if is_done {
        return print(&format!("{what} is done"));
    }
    print(&format!("{what}: not all is done, start again to go on"))?;
    Ok(exit_of_part(&interrupt))
}
