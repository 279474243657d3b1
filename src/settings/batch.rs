//! What jobs of batch systems ask for, and what may be said to them.

mod options;

use crate::error::{Error, Result};
use options::{SlurmOption, has_word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Slurm may send the warning signal this much early, s.
const SIGNAL_SLACK: u64 = 60;
/// Commands of a submit description that are the executor's own, by all names that
/// HTCondor has for them, and those of its attributes; without `_`.
const OWN_COMMANDS: &str = "universe jobuniverse executable cmd transferexecutable \
    shouldtransferfiles arguments arguments2 args initialdir jobiwd iwd input stdin in output \
    stdout out error stderr err log userlog batchname jobbatchname batchid jobbatchid requestcpus \
    requestmemory requestgpus requirements killsig jobmaxvacatetime onexitremove leaveinqueue \
    leavejobinqueue noopjob owner user clusterid procid globaljobid numjobstarts exitcode \
    exitbysignal sidebandblock";
/// Names that a description of jobs reads as a statement, or that stand for the
/// parts of this one.
const STATEMENTS: &str = "queue if elif else endif include use warning block dollar cluster \
    process step row item itemindex node submitfile";

/// A setting that cannot be given to the batch system.
fn refused(key: &str, value: impl Display, reason: impl Display) -> Error {
    let value = value.to_string();
    Error::config(format!("executor.{key}: {value:?} {reason}"))
}

/// A value that goes into a job script: only ASCII letters, digits and `others`.
pub(crate) fn check_value(key: &str, value: &str, others: &str) -> Result<()> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    let reason = match value {
        "" => "is empty",
        _ if value.starts_with('-') => "begins like an option",
        _ if value.chars().all(is_fine) => return Ok(()),
        _ => "has a character that such a name does not have",
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

/// The same of one that is read with what follows it.
fn check_whole_line(key: &str, line: &str) -> Result<()> {
    check_line(key, line)?;
    match line.trim_end().ends_with('\\') {
        true => Err(refused(
            key,
            line,
            "ends with \\, which would take in the next line",
        )),
        false => Ok(()),
    }
}

fn check_positive(key: &str, value: Option<u64>) -> Result<()> {
    match value {
        Some(0) => Err(refused(key, 0, "is not positive")),
        _ => Ok(()),
    }
}

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
    pub(super) fn check(&self) -> Result<()> {
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
        if let Some(time) = &self.time {
            let text = time.text();
            check_value("time", &text, ":-")?;
            let least = u64::from(self.signal_seconds) + SIGNAL_SLACK;
            let reason = match time.seconds() {
                None => "is neither minutes nor [days-]hours:minutes:seconds",
                Some(seconds) if seconds <= least => {
                    "is no longer than signal_seconds and a minute, after which a task is told to \
                     stop"
                }
                Some(_) => "",
            };
            if !reason.is_empty() {
                return Err(refused("time", text, reason));
            }
        }
        let signal = self.signal_seconds;
        if signal > 65_535 {
            return Err(refused(
                "signal_seconds",
                signal,
                "is more than Slurm's 65535",
            ));
        }
        check_positive("cpus", Some(self.cpus.into()))?;
        check_positive("array_size", Some(self.array_size.into()))?;
        if self.memory_mib == Some(0) {
            let reason = "would be all memory of a node; leave it out, or say how much";
            return Err(refused("memory_mib", 0, reason));
        }
        for line in &self.setup {
            check_whole_line("setup", line)?;
            // #PBS and #BSUB are read wherever they stand
            let start = line.trim_start();
            let directives = ["#SBATCH", "#SLURM", "#PBS", "#BSUB"];
            if directives.iter().any(|word| start.starts_with(word)) {
                let reason = "is for sbatch and not for the shell; put it into options";
                return Err(refused("setup", line, reason));
            }
        }
        let given = self.given();
        for option in &self.options {
            check_line("options", option)?;
            let checked = options::check(option, &given);
            checked.map_err(|reason| refused("options", option, reason))?;
        }
        Ok(())
    }

    /// Options that a setting gives.
    fn given(&self) -> Vec<SlurmOption> {
        let mut all = vec![
            (true, "cpus-per-task", Some('c'), "cpus"),
            (true, "time", Some('t'), "time"),
            (
                self.partition.is_some(),
                "partition",
                Some('p'),
                "partition",
            ),
            (self.account.is_some(), "account", Some('A'), "account"),
            (self.qos.is_some(), "qos", Some('q'), "qos"),
            (
                self.constraint.is_some(),
                "constraint",
                Some('C'),
                "constraint",
            ),
            (self.memory_mib.is_some(), "mem", None, "memory_mib"),
        ];
        all.retain(|(is_set, ..)| *is_set);
        let option = |(_, long, short, key)| SlurmOption { long, short, key };
        all.into_iter().map(option).collect()
    }
}

/// What a job asks HTCondor for. What is not set is left to the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HtcondorSettings {
    /// CPUs of a job.
    pub cpus: u32,
    /// Memory of a job, MiB.
    pub memory_mib: Option<u64>,
    /// GPUs of a job.
    pub gpus: u32,
    /// Expression that a machine has to fulfil.
    pub requirements: Option<String>,
    /// Time after which a worker writes its checkpoint and leaves, to go on in
    /// another turn, s. A pool's own limit is named in `options`
    /// (`"+MaxRuntime = 7200"`) and has to be longer.
    pub max_seconds: Option<u32>,
    /// Further lines of the submit description, each `command = value`.
    pub options: Vec<String>,
}

impl Default for HtcondorSettings {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory_mib: None,
            gpus: 0,
            requirements: None,
            max_seconds: None,
            options: Vec::new(),
        }
    }
}

impl HtcondorSettings {
    /// Whether a submit description can be made of them.
    pub(super) fn check(&self) -> Result<()> {
        check_positive("cpus", Some(self.cpus.into()))?;
        check_positive("memory_mib", self.memory_mib)?;
        check_positive("max_seconds", self.max_seconds.map(u64::from))?;
        if let Some(requirements) = &self.requirements {
            check_whole_line("requirements", requirements)?;
        }
        for option in &self.options {
            check_whole_line("options", option)?;
            let wrong = |reason| Err(refused("options", option, reason));
            let Some((name, _)) = option.split_once('=') else {
                return wrong("is not of the form command = value");
            };
            let name = name.trim();
            check_value("options", name, "_.+")?;
            // +Name and MY.Name are attributes of the job
            let plain = name.to_ascii_lowercase();
            let plain = plain.strip_prefix('+').unwrap_or(&plain);
            let plain = plain.strip_prefix("my.").unwrap_or(plain).replace('_', "");
            if plain.is_empty() || plain.contains(['.', '+']) {
                return wrong("has no name of a command or attribute");
            }
            if has_word(OWN_COMMANDS, &plain) {
                return wrong("is set by the program itself");
            }
            if has_word(STATEMENTS, &plain) {
                return wrong("is read as a statement of its own");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings, each with the key that is refused; nothing where all is fine.
    fn check_all<S: serde::de::DeserializeOwned>(check: fn(&S) -> Result<()>, table: &str) {
        for line in table.lines() {
            let (key, text) = line.split_once(": ").unwrap();
            let settings: S = toml::from_str(&text.replace("; ", "\n")).unwrap();
            let found = check(&settings).map_or_else(|e| e.to_string(), |()| "fine".to_owned());
            let expected = match key {
                "fine" => "fine".to_owned(),
                key => format!("executor.{key}: "),
            };
            assert!(found.starts_with(&expected), "{line}: {found}");
        }
    }

    #[test]
    fn settings_that_would_be_read_as_more_are_refused() {
        check_all(
            SlurmSettings::check,
            r##"fine: cpus = 2
partition: partition = "a b"
partition: partition = "a\n#SBATCH -A x"
account: account = "$(id)"
qos: qos = ""
constraint: constraint = "a`id`"
time: time = "tomorrow"
time: time = "1:2:3:4"
time: time = 3
cpus: cpus = 0
memory_mib: memory_mib = 0
setup: setup = ["a\nb"]
setup: setup = ["#PBS -o elsewhere"]
setup: setup = ["#SBATCH --array=1"]
setup: setup = ["module load x \\"]
options: options = ["exclude=n"]
options: options = ["--array=1-3"]
options: options = ["-oelsewhere"]
options: options = ["--no-requeue"]
options: options = ["--exclude=n --wrap=true"]
options: options = ["-plong"]; partition = "short""##,
        );
        check_all(
            HtcondorSettings::check,
            r#"fine: cpus = 2
cpus: cpus = 0
memory_mib: memory_mib = 0
max_seconds: max_seconds = 0
requirements: requirements = "a\nqueue"
requirements: requirements = "a \\"
options: options = ["queue 10"]
options: options = ["include command : id"]"#,
        );
    }

    /// Lines of a submit description as `condor_submit` reads them.
    #[test]
    fn options_of_htcondor_are_read_as_it_reads_them() {
        let check = |option: &str| {
            let settings = HtcondorSettings {
                options: vec![option.to_owned()],
                ..HtcondorSettings::default()
            };
            settings.check()
        };
        let good = "+MaxRuntime = 7200 | +JobFlavour = \"tomorrow\" | MY.SendCredential = True | \
            accounting_group = higgs | concurrency_limits=a:1 | rank = Memory | \
            environment = \"A=1\" | periodic_remove = NumJobStarts > 5 | getenv = true";
        for good in good.split(" | ") {
            assert!(check(good).is_ok(), "{good}");
        }
        let wrong = "queue | queue 5 | queue = 5 | Queue\t= 5 | executable = /bin/true | \
            EXECUTABLE=/bin/true | Executable = /bin/sh | +Cmd = \"/bin/true\" | \
            My.Cmd = \"/bin/true\" | cmd = /bin/true | Args = x | +Iwd = \"/\" | \
            +JobBatchName = \"x\" | JobBatchName = x | +SidebandBlock = 3 | stdout = x | \
            +Out = \"x\" | JobUniverse = 7 | request_cpus = 8 | RequestCpus = 8 | \
            +RequestCpus = 8 | block = 7 | DOLLAR = x | include : file = x | include = x | \
            if = true | use feature : a=b | foo @=end | foo@=end | + = 3 | my. = 3 | a.b = 3 | \
            rank = Memory \\ | rank = Memory\nqueue | a = b\nqueue | -name = x | # a = b";
        for wrong in wrong.split(" | ") {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_slurms() {
        for (text, seconds) in [
            ("90", Some(5400)),
            ("90:30", Some(5430)),
            ("2:00:00", Some(7200)),
            ("1-0", Some(86_400)),
            ("1-12:30", Some(131_400)),
            ("1-00:00:01", Some(86_401)),
            ("", None),
            ("-", None),
            ("1-", None),
            ("x", None),
            ("99999999999999999999", None),
            ("9999999999999999999-0", None),
        ] {
            assert_eq!(TimeLimit::Text(text.into()).seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn settings_are_strict() {
        let settings: SlurmSettings = toml::from_str("time = 60\ncpus = 2").unwrap();
        assert_eq!(settings.time, Some(TimeLimit::Minutes(60)));
        assert!(toml::from_str::<SlurmSettings>("cpu = 2").is_err());
    }
}
