//! What a job asks Slurm for.

use super::options::{self, Keyed};
use super::{check_line, check_value, refused};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Slurm may send the warning signal this much early, s.
const SIGNAL_SLACK: u64 = 60;
/// A time limit of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TimeLimit {
    /// Minutes.
    Minutes(u32),
    /// As Slurm writes it: `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`.
    Text(String),
}

impl TimeLimit {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Minutes(minutes) => minutes.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// The limit, s; none if it is no time.
    pub(crate) fn seconds(&self) -> Option<u64> {
        let text = self.text();
        let (days, rest) = match text.split_once('-') {
            Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
            None => (None, text.as_str()),
        };
        let parts: Option<Vec<u64>> = rest.split(':').map(|p| p.parse().ok()).collect();
        let (hours, minutes, seconds) = match (days, parts?.as_slice()) {
            (None, [m]) => (0, *m, 0),
            (None, [m, s]) => (0, *m, *s),
            (_, [h, m, s]) => (*h, *m, *s),
            (Some(_), [h]) => (*h, 0, 0),
            (Some(_), [h, m]) => (*h, *m, 0),
            _ => return None,
        };
        days.unwrap_or(0)
            .checked_mul(24)?
            .checked_add(hours)?
            .checked_mul(60)?
            .checked_add(minutes)?
            .checked_mul(60)?
            .checked_add(seconds)
    }
}

/// What a job asks Slurm for. What is not set is left to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmSettings {
    /// Partition, or several with commas.
    pub partition: Option<String>,
    /// Account that is charged.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Features that a node must have, as `--constraint` takes them.
    pub constraint: Option<String>,
    /// Time limit of a task: minutes, or Slurm's text (`"12:00:00"`, `"1-0"`).
    /// Work is checkpointed when it comes and goes on in another task.
    pub time: Option<TimeLimit>,
    /// CPUs of a task.
    pub cpus: u32,
    /// Memory of a task, MiB.
    pub memory_mib: Option<u64>,
    /// GPUs of a task (`--gres=gpu:N`); for a certain kind use `options`:
    /// `"--gres=gpu:a100:1"`.
    pub gpus: u32,
    /// Time between the warning signal, at which a worker writes its checkpoint,
    /// and the time limit, s.
    pub signal_seconds: u32,
    /// Largest index of a task plus one: no more than the cluster's
    /// `MaxArraySize` (see `scontrol show config`).
    pub array_size: u32,
    /// Lines of shell that are run ahead of the worker (`module load ...`); one
    /// that fails ends the task.
    pub setup: Vec<String>,
    /// Further options of `sbatch`, each as it stands behind `#SBATCH`.
    pub options: Vec<String>,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            constraint: None,
            time: None,
            cpus: 1,
            memory_mib: None,
            gpus: 0,
            signal_seconds: 120,
            array_size: 1000,
            setup: Vec::new(),
            options: Vec::new(),
        }
    }
}

impl SlurmSettings {
    /// Whether a job script can be made of them.
    pub fn check(&self) -> Result<()> {
        for (key, value, others) in [
            ("partition", &self.partition, "_.+-,"),
            ("account", &self.account, "_.@+-"),
            ("qos", &self.qos, "_.@+-"),
            ("constraint", &self.constraint, "_.-&|[]()*!,:="),
        ] {
            if let Some(value) = value {
                check_value(key, value, others)?;
            }
        }
        let wrong = |key, value: String, reason| Err(refused(key, &value, reason));
        if let Some(time) = &self.time {
            check_value("time", &time.text(), ":-")?;
            match time.seconds() {
                None => {
                    return wrong(
                        "time",
                        time.text(),
                        "is neither minutes nor [days-]hours:minutes:seconds",
                    );
                }
                Some(seconds) if seconds <= u64::from(self.signal_seconds) + SIGNAL_SLACK => {
                    return wrong(
                        "time",
                        time.text(),
                        "is no longer than signal_seconds and a minute, after which a task \
                         is told to stop",
                    );
                }
                Some(_) => {}
            }
        }
        if self.signal_seconds > 65_535 {
            return wrong(
                "signal_seconds",
                self.signal_seconds.to_string(),
                "is more than Slurm's 65535",
            );
        }
        for (key, value) in [("cpus", self.cpus), ("array_size", self.array_size)] {
            if value == 0 {
                return wrong(key, value.to_string(), "is not positive");
            }
        }
        if self.memory_mib == Some(0) {
            return wrong(
                "memory_mib",
                "0".to_owned(),
                "would be all memory of a node; leave it out, or say how much",
            );
        }
        for line in &self.setup {
            check_line("setup", line)?;
            if line.trim_end().ends_with('\\') {
                let reason = "ends with \\, which would take in the next line";
                return wrong("setup", line.clone(), reason);
            }
            // #PBS and #BSUB are read wherever they stand
            if ["#SBATCH", "#SLURM", "#PBS", "#BSUB"]
                .iter()
                .any(|word| line.trim_start().starts_with(word))
            {
                let reason = "is for sbatch and not for the shell; put it into options";
                return wrong("setup", line.clone(), reason);
            }
        }
        let keyed = self.keyed();
        for option in &self.options {
            check_line("options", option)?;
            if let Err(reason) = options::check(option, &keyed) {
                return wrong("options", option.clone(), reason);
            }
        }
        Ok(())
    }
}

impl SlurmSettings {
    /// Options that a setting gives.
    fn keyed(&self) -> Vec<Keyed> {
        let key = |is_set: bool, long, short, reason| {
            is_set.then_some(Keyed {
                long,
                short,
                reason,
            })
        };
        [
            key(
                true,
                "cpus-per-task",
                Some('c'),
                "is given by executor.slurm.cpus",
            ),
            key(true, "time", Some('t'), "is given by executor.slurm.time"),
            key(
                self.partition.is_some(),
                "partition",
                Some('p'),
                "is given by executor.slurm.partition",
            ),
            key(
                self.account.is_some(),
                "account",
                Some('A'),
                "is given by executor.slurm.account",
            ),
            key(
                self.qos.is_some(),
                "qos",
                Some('q'),
                "is given by executor.slurm.qos",
            ),
            key(
                self.constraint.is_some(),
                "constraint",
                Some('C'),
                "is given by executor.slurm.constraint",
            ),
            key(
                self.memory_mib.is_some(),
                "mem",
                None,
                "is given by executor.slurm.memory_mib",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
