//! What jobs of batch systems ask for, and what may be said to them.

mod htcondor;
mod options;
mod slurm;

pub(crate) use htcondor::HtcondorSettings;
pub(crate) use slurm::{SlurmSettings, TimeLimit};

/// A setting that cannot be given to the batch system.
#[derive(Debug, thiserror::Error)]
#[error("executor.{key}: {value:?} {reason}")]
pub struct SettingError {
    /// The setting.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A value that goes into a job script: only ASCII letters, digits and `others`.
pub(crate) fn check_value(key: &str, value: &str, others: &str) -> Result<(), SettingError> {
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
    Err(SettingError {
        key: key.to_owned(),
        value: value.to_owned(),
        reason,
    })
}

/// A line that goes into a job script as it is: it has to be one line.
pub(crate) fn check_line(key: &str, line: &str) -> Result<(), SettingError> {
    let reason = if line.contains(|c: char| c.is_control() && c != '\t') {
        "has a line break or a control character"
    } else if line.trim().is_empty() {
        "is empty"
    } else {
        return Ok(());
    };
    Err(SettingError {
        key: key.to_owned(),
        value: line.to_owned(),
        reason,
    })
}
