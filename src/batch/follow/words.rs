//! What a coordinator says of tasks and of the blocks that it gives up.

use crate::batch::submission::compress;
use crate::batch::{Activity, Ending};
use crate::error::Error;
use crate::files::regular;
use std::path::{Path, PathBuf};

/// Lines of a task's output that an error repeats.
const TAIL_LINES: usize = 5;
/// Largest output that an error repeats lines of.
const TAIL_BYTES: u64 = 1 << 28;
/// Blocks that an error describes one by one.
const LISTED: usize = 10;

/// A block that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedBlock {
    pub(super) block: u32,
    /// How its last task ended.
    pub(super) ending: String,
    /// Where its last task wrote to.
    pub(super) output: PathBuf,
}

/// Blocks that ended too often without being done.
pub(super) fn given_up(failed: &[FailedBlock]) -> Error {
    let blocks: Vec<u32> = failed.iter().map(|f| f.block).collect();
    let mut list = String::new();
    for f in failed.iter().take(LISTED) {
        let output = f.output.display();
        list += &format!("  block {}: {}; see {output}\n", f.block, f.ending);
        for line in tail(&f.output) {
            list += &format!("    | {line}\n");
        }
    }
    if failed.len() > LISTED {
        list += &format!("  and {} more\n", failed.len() - LISTED);
    }
    Error::internal(format!(
        "{} of the blocks did not finish ({}):\n{list}run the same command again to try once more",
        failed.len(),
        compress(&blocks)
    ))
}

/// The last lines of a file, none if it is not there.
fn tail(path: &Path) -> Vec<String> {
    let text = regular::read(path, TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].iter();
    last.map(|line| line.chars().take(200).collect()).collect()
}

impl Activity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Held => "held",
        }
    }
}

impl Ending {
    pub(super) fn text(&self) -> String {
        let how = match (self.exit, self.signal) {
            (_, Some(signal)) => format!("signal {signal}"),
            (Some(exit), None) => format!("exit code {exit}"),
            (None, None) if self.state.is_empty() => return "ended, nobody knows how".to_owned(),
            (None, None) => return self.state.clone(),
        };
        match (self.state.as_str(), self.signal) {
            ("", Some(_)) => format!("ended by {how}"),
            ("", None) => format!("ended with {how}"),
            (state, _) => format!("{state}, {how}"),
        }
    }
}
