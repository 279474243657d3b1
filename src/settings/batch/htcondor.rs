//! What a job asks HTCondor for.

use super::{check_line, check_value, refused};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Commands of a submit description that are the executor's own, by all names that
/// HTCondor has for them, and those of its attributes; without `_`.
const OWN_COMMANDS: [&str; 46] = [
    "universe",
    "jobuniverse",
    "executable",
    "cmd",
    "transferexecutable",
    "shouldtransferfiles",
    "arguments",
    "arguments2",
    "args",
    "initialdir",
    "jobiwd",
    "iwd",
    "input",
    "stdin",
    "in",
    "output",
    "stdout",
    "out",
    "error",
    "stderr",
    "err",
    "log",
    "userlog",
    "batchname",
    "jobbatchname",
    "batchid",
    "jobbatchid",
    "requestcpus",
    "requestmemory",
    "requestgpus",
    "requirements",
    "killsig",
    "jobmaxvacatetime",
    "onexitremove",
    "leaveinqueue",
    "leavejobinqueue",
    "noopjob",
    "owner",
    "user",
    "clusterid",
    "procid",
    "globaljobid",
    "numjobstarts",
    "exitcode",
    "exitbysignal",
    "sidebandblock",
];
/// Names that a description of jobs reads as a statement, or that stand for the
/// parts of this one.
const STATEMENTS: [&str; 18] = [
    "queue",
    "if",
    "elif",
    "else",
    "endif",
    "include",
    "use",
    "warning",
    "block",
    "dollar",
    "cluster",
    "process",
    "step",
    "row",
    "item",
    "itemindex",
    "node",
    "submitfile",
];

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
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, value: &str, reason| Err(refused(key, value, reason));
        if self.cpus == 0 {
            return wrong("cpus", "0", "is not positive");
        }
        if self.memory_mib == Some(0) {
            return wrong("memory_mib", "0", "is not positive");
        }
        if self.max_seconds == Some(0) {
            return wrong("max_seconds", "0", "is not positive");
        }
        let one_line = |key: &str, line: &str| {
            check_line(key, line)?;
            if line.trim_end().ends_with('\\') {
                return wrong(key, line, "ends with \\, which would take in the next line");
            }
            Ok(())
        };
        if let Some(requirements) = &self.requirements {
            one_line("requirements", requirements)?;
        }
        for option in &self.options {
            one_line("options", option)?;
            let Some((name, _)) = option.split_once('=') else {
                return wrong("options", option, "is not of the form command = value");
            };
            let name = name.trim();
            check_value("options", name, "_.+")?;
            // +Name and MY.Name are attributes of the job
            let plain = name.to_ascii_lowercase();
            let plain = plain.strip_prefix('+').unwrap_or(&plain);
            let plain = plain.strip_prefix("my.").unwrap_or(plain).replace('_', "");
            if plain.is_empty() || plain.contains(['.', '+']) {
                return wrong("options", option, "has no name of a command or attribute");
            }
            if OWN_COMMANDS.contains(&plain.as_str()) {
                return wrong("options", option, "is set by the program itself");
            }
            if STATEMENTS.contains(&plain.as_str()) {
                return wrong("options", option, "is read as a statement of its own");
            }
        }
        Ok(())
    }
}
