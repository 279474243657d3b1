//! What jobs of batch systems ask for, and what may be said to them.

use crate::error::{Error, Result};

mod htcondor;
mod options;
mod slurm;

pub(crate) use htcondor::HtcondorSettings;
pub(crate) use slurm::{SlurmSettings, TimeLimit};

/// A setting that cannot be given to the batch system.
pub(crate) fn refused(key: &str, value: &str, reason: &str) -> Error {
    Error::config(format!("executor.{key}: {value:?} {reason}"))
}

/// A value that goes into a job script: only ASCII letters, digits and `others`.
pub(crate) fn check_value(key: &str, value: &str, others: &str) -> Result<()> {
    let reason = if value.is_empty() {
        "is empty"
    } else if value.starts_with('-') {
        "begins like an option"
    } else if value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    {
        return Ok(());
    } else {
        "has a character that such a name does not have"
    };
    Err(refused(key, value, reason))
}

/// A line that goes into a job script as it is: it has to be one line.
pub(crate) fn check_line(key: &str, line: &str) -> Result<()> {
    let reason = if line.contains(|c: char| c.is_control() && c != '\t') {
        "has a line break or a control character"
    } else if line.trim().is_empty() {
        "is empty"
    } else {
        return Ok(());
    };
    Err(refused(key, line, reason))
}
