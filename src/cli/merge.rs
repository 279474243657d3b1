//! `sideband merge`

use super::options::MergeArguments;
use super::run::{go_to, stop_on_signal, to_result};
use super::{Done, Exit, print};
use crate::error::{Context, Kind, Result};
use crate::rundir::RunDirectory;
use crate::workflow::{RunOptions, merge as merge_runs};
use std::path::PathBuf;

pub(super) fn merge(arguments: &MergeArguments) -> Done {
    let others = arguments
        .others
        .iter()
        .map(|path| Ok(RunDirectory::open(&absolute(path)?)?))
        .collect::<Result<Vec<_>>>()?;
    let root = go_to(&arguments.run)?;
    let merged = merge_runs(&root, &others)?;
    print(&format!(
        "{} members taken over, {} were there and are equal, {} were there and differ, \
         {} are missing",
        merged.taken, merged.equal, merged.different, merged.missing
    ))?;
    if merged.missing > 0 {
        print("run the configuration into this directory to train what is missing")?;
        return Ok(Exit::Partial);
    }
    let options = RunOptions {
        out: root.path().to_owned(),
        base: PathBuf::new(),
        unblind: arguments.unblind,
        quiet: arguments.training.quiet,
        only: None,
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    to_result(&root.experiment()?, &options, &interrupt)
}

/// The path as it stays true in another folder.
fn absolute(path: &std::path::Path) -> Result<PathBuf> {
    std::path::absolute(path).at(Kind::Internal, path.display())
}
