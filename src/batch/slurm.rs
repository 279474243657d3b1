//! Blocks as tasks of Slurm job arrays.
//!
//! Scripts ask for `--requeue`: when a node dies or a task is preempted, Slurm
//! itself starts the task again under the same number, also if no coordinator
//! looks. The worker takes up its checkpoints, so that nothing is lost by it.
//! Where that does not happen the task ends, and the coordinator submits its block
//! again.
//!
//! The batch shell becomes the worker (`exec`), which therefore gets the signal
//! that Slurm sends ahead of the time limit (`--signal=B:TERM@N`).
//!
//! Tasks are followed with `squeue --states=all`, which also shows those that
//! ended in the last minutes, and `scontrol show job` for exit codes. Accounting
//! (`sacct`) is asked only for what these no longer know, and may be missing.

use super::system::{
    Activity, BatchJob, BatchSystem, Cause, Ending, Patience, Said, Submission, TaskState, call,
    compress, no_answer, path_text, refused,
};
use crate::error::{Context, Kind, OnFile, Result};
use crate::files::atomic;
use crate::settings::{SlurmSettings, TimeLimit, check_line, check_value};
use crate::training::Interrupt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest wait for `squeue`, `scontrol`, `sacct`, `scancel`.
const ASK: Duration = Duration::from_secs(60);
/// Longest wait for `sbatch`, which repeats by itself while a controller is busy.
const SUBMIT: Duration = Duration::from_secs(180);
/// Variables of the environment that give `sbatch` a site's or a person's defaults,
/// and the settings that are meant where they are given. All others of `SBATCH_`
/// are taken away: they would win over the job's script.
const DEFAULTS: [&str; 8] = [
    "ACCOUNT",
    "PARTITION",
    "QOS",
    "CONSTRAINT",
    "CLUSTER_CONSTRAINT",
    "CLUSTERS",
    "RESERVATION",
    "WCKEY",
];
/// What `sbatch` says where the job may or may not have been accepted.
const MAY_PASS: [&str; 8] = [
    "timed out",
    "Unable to contact",
    "Connection refused",
    "Connection reset",
    "Zero Bytes were transmitted",
    "Unexpected message received",
    "temporarily",
    "Protocol authentication error",
];

impl SlurmSettings {
    /// The settings that the variables of [`DEFAULTS`] would win over.
    fn replaces(&self, default: &str) -> bool {
        match default {
            "ACCOUNT" => self.account.is_some(),
            "PARTITION" => self.partition.is_some(),
            "QOS" => self.qos.is_some(),
            "CONSTRAINT" => self.constraint.is_some(),
            _ => false,
        }
    }
}

/// Slurm, by its commands.
#[derive(Clone, Debug)]
pub(crate) struct Slurm {
    settings: SlurmSettings,
    interrupt: Interrupt,
}

impl Slurm {
    /// Slurm with these settings.
    pub(crate) fn new(settings: SlurmSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            interrupt: Interrupt::default(),
        })
    }

    /// The same, leaving its commands when somebody asks to stop.
    #[must_use]
    pub(crate) fn stopped_by(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    fn ask(&self, command: &mut Command) -> Result<Said> {
        call(command, Patience::ask(ASK, &self.interrupt))
    }

    /// A command without what the user's environment would add to it.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        for (key, _) in std::env::vars_os() {
            let Some(text) = key.to_str() else { continue };
            let is_taken_away = match text.split_once('_') {
                Some(("SBATCH", default)) => {
                    !DEFAULTS.contains(&default) || self.settings.replaces(default)
                }
                Some(("SQUEUE" | "SACCT" | "SCANCEL" | "SCONTROL", _)) => true,
                _ => text == "SLURM_HINT",
            };
            if is_taken_away {
                command.env_remove(key);
            }
        }
        command
    }

    /// A command about a job, on its cluster.
    fn command_on(&self, name: &str, cluster: Option<&str>) -> Command {
        let mut command = self.command(name);
        if let Some(cluster) = cluster {
            command.arg(format!("--clusters={cluster}"));
        }
        command
    }

    /// The text of a job script.
    fn script(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let settings = &self.settings;
        let mut lines = vec![
            "#!/bin/bash".to_owned(),
            format!(
                "# Submission {} of a run: task i trains block {} + i.",
                submission.number, submission.base
            ),
            format!("#SBATCH --job-name={}", submission.name),
            "#SBATCH --nodes=1 --ntasks=1".to_owned(),
            format!("#SBATCH --cpus-per-task={}", settings.cpus),
            format!("#SBATCH --signal=B:TERM@{}", settings.signal_seconds),
            "#SBATCH --requeue --open-mode=append".to_owned(),
        ];
        for (option, value) in [
            ("partition", &settings.partition),
            ("account", &settings.account),
            ("qos", &settings.qos),
            ("constraint", &settings.constraint),
            ("time", &settings.time.as_ref().map(TimeLimit::text)),
            ("mem", &settings.memory_mib.map(|mib| format!("{mib}M"))),
        ] {
            if let Some(value) = value {
                lines.push(format!("#SBATCH --{option}={value}"));
            }
        }
        if settings.gpus > 0 {
            lines.push(format!("#SBATCH --gres=gpu:{}", settings.gpus));
        }
        for option in &settings.options {
            lines.push(format!("#SBATCH {option}"));
        }
        lines.push(format!(
            "cd -- {} || exit 70",
            shell(path_text(job.working)?)
        ));
        if !settings.setup.is_empty() {
            lines.push("set -e".to_owned());
            lines.extend(settings.setup.iter().cloned());
        }
        let mut worker = format!(
            "exec {} worker {} --block \"$((SLURM_ARRAY_TASK_ID + {}))\"",
            shell(path_text(job.program)?),
            shell(path_text(job.run)?),
            submission.base
        );
        for argument in job.arguments {
            check_line("arguments", argument)?;
            worker.push(' ');
            worker.push_str(&shell(argument));
        }
        lines.push(worker);
        lines.push(String::new());
        Ok(lines.join("\n"))
    }
}

/// A word that a shell takes as it is.
fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A number as in `jobs.json`: the job, and its cluster if there are several.
fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once(';') {
        Some((job, cluster)) => (job, Some(cluster)),
        None => (id, None),
    }
}

/// Whether it is said that there is no such job, which is an answer.
fn is_gone(said: &Said) -> bool {
    said.err.contains("Invalid job id")
}

impl BatchSystem for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn largest_array(&self) -> u32 {
        self.settings.array_size
    }

    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let text = self.script(job, submission)?;
        let script = job.folder.join(format!("job_{:04}.sh", submission.number));
        atomic::write(&script, text.as_bytes())
            .on(&script)
            .of(Kind::Internal)?;
        let tasks: Vec<_> = submission
            .blocks
            .iter()
            .map(|block| block - submission.base)
            .collect();
        // in file names Slurm replaces %A, %a and others
        let folder = path_text(job.folder)?.replace('%', "%%");
        let output = format!("{folder}/job_{:04}_%a.out", submission.number);
        let said = call(
            self.command("sbatch")
                .args(["--parsable", "--ignore-pbs"])
                .arg(format!("--array={}", compress(&tasks)))
                .arg(format!("--output={output}"))
                .arg(format!("--error={output}"))
                .arg(&script)
                .current_dir(job.folder),
            Patience::submit(SUBMIT, &self.interrupt),
        )?;
        if let Some(id) = parse_id(&said.out).filter(|_| said.ok) {
            return Ok(id);
        }
        let may_pass = said.ok || MAY_PASS.iter().any(|text| said.err.contains(text));
        Err(if may_pass {
            no_answer("sbatch", said.reason())
        } else {
            refused("sbatch", said.reason())
        })
    }

    fn find(&self, name: &str) -> Result<Option<String>> {
        let mut command = self.command("squeue");
        command
            .args(["--noheader", "--states=all", "--format=%F"])
            .arg(format!("--name={name}"));
        if let Some(user) = user() {
            command.arg(format!("--user={user}"));
        }
        let said = self.ask(&mut command)?;
        if !said.ok {
            return Err(no_answer("squeue", said.reason()));
        }
        Ok(said
            .out
            .lines()
            .map(str::trim)
            .find(|line| is_number(line))
            .map(ToOwned::to_owned))
    }

    fn alive(&self, submissions: &[&Submission]) -> Result<Vec<Vec<TaskState>>> {
        let mut clusters: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        for id in submissions.iter().filter_map(|s| s.id.as_deref()) {
            let (job, cluster) = split(id);
            clusters.entry(cluster).or_default().push(job);
        }
        let mut texts = BTreeMap::new();
        for (cluster, jobs) in clusters {
            let said = self.ask(
                self.command_on("squeue", cluster)
                    .args(["--noheader", "--array", "--states=all"])
                    .arg(format!("--jobs={}", jobs.join(",")))
                    .arg("--format=%i|%j|%T|%r"),
            )?;
            if !said.ok && !is_gone(&said) {
                return Err(no_answer("squeue", said.reason()));
            }
            texts.insert(cluster, said.out);
        }
        Ok(submissions
            .iter()
            .map(|submission| {
                let (job, cluster) = split(submission.id.as_deref().unwrap_or_default());
                let text = texts.get(&cluster).map_or("", String::as_str);
                parse_squeue(text, job, submission)
            })
            .collect())
    }

    fn endings(&self, submission: &Submission, blocks: &[u32]) -> Vec<Ending> {
        let Some(id) = &submission.id else {
            return Vec::new();
        };
        let (job, cluster) = split(id);
        // nothing depends on whether either answers
        let mut endings = self
            .ask(
                self.command_on("scontrol", cluster)
                    .args(["--oneliner", "show", "job", job]),
            )
            .map(|said| parse_scontrol(&said.out, submission))
            .unwrap_or_default();
        if blocks
            .iter()
            .any(|block| !endings.iter().any(|e| e.block == *block))
        {
            let said = self.ask(
                self.command_on("sacct", cluster)
                    .args(["--noheader", "--parsable2", "--allocations"])
                    .args(["--format=JobID,State,ExitCode", "--jobs", job]),
            );
            for ending in said
                .map(|said| parse_sacct(&said.out, job, submission))
                .unwrap_or_default()
            {
                if !endings.iter().any(|e| e.block == ending.block) {
                    endings.push(ending);
                }
            }
        }
        endings
    }

    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf {
        job.folder.join(format!(
            "job_{:04}_{}.out",
            submission.number,
            block.saturating_sub(submission.base)
        ))
    }

    fn cancel_command(&self, submission: &Submission) -> String {
        match submission.id.as_deref().map(split) {
            Some((job, None)) => format!("scancel {job}"),
            Some((job, Some(cluster))) => format!("scancel --clusters={cluster} {job}"),
            None => format!("scancel --name={}", submission.name),
        }
    }

    fn cancel(&self, submission: &Submission) -> Result<()> {
        let (id, cluster) = match submission.id.as_deref().map(split) {
            Some((job, cluster)) => (Some(job), cluster),
            None => (None, None),
        };
        // what the record says is nothing before the queue itself says it, too
        let mut command = self.command_on("squeue", cluster);
        command
            .args(["--noheader", "--format=%i|%j|%T|%r|%U"])
            .arg(format!("--name={}", submission.name));
        if let Some(job) = id {
            command.arg(format!("--jobs={job}"));
        }
        let user = user();
        if let Some(user) = &user {
            command.arg(format!("--user={user}"));
        }
        let said = self.ask(&mut command)?;
        if !said.ok && !is_gone(&said) {
            return Err(no_answer("squeue", said.reason()));
        }
        for job in own_jobs(&said.out, id, &submission.name, user.as_deref()) {
            let mut command = self.command_on("scancel", cluster);
            command.arg(format!("--name={}", submission.name));
            if let Some(user) = &user {
                command.arg(format!("--user={user}"));
            }
            let said = self.ask(command.arg(&job))?;
            if !said.ok && !is_gone(&said) {
                return Err(no_answer("scancel", said.reason()));
            }
        }
        Ok(())
    }

    fn is_id(&self, id: &str) -> bool {
        parse_id(id).as_deref() == Some(id)
    }
}

/// The number of this process's user; none where the system does not say.
fn user() -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let about = std::fs::metadata("/proc/self").ok()?;
        Some(about.uid().to_string())
    }
    #[cfg(not(unix))]
    None
}

/// Numbers of jobs in lines `123_4|name|PENDING|reason|1000` that are of this name
/// and user, each once, and of this number if it is known.
fn own_jobs(text: &str, id: Option<&str>, name: &str, user: Option<&str>) -> Vec<String> {
    let mut jobs = BTreeSet::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let (Some(task), Some(found)) = (fields.first(), fields.get(1)) else {
            continue;
        };
        let job = task.split('_').next().unwrap_or_default();
        let is_mine = match (fields.len(), user) {
            // a reason may have the sign as well, the user is last
            (5.., Some(user)) => fields.last() == Some(&user),
            _ => true,
        };
        if *found == name && is_mine && is_number(job) && id.is_none_or(|id| id == job) {
            jobs.insert(job.to_owned());
        }
    }
    jobs.into_iter().collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The number that `sbatch --parsable` says, `123` or `123;cluster`; sites let it
/// say more before.
fn parse_id(out: &str) -> Option<String> {
    let id = out.lines().map(str::trim).rfind(|l| !l.is_empty())?;
    let (job, cluster) = split(id);
    let sound = is_number(job) && cluster.is_none_or(|c| check_value("cluster", c, "_.-").is_ok());
    sound.then(|| id.to_owned())
}

/// The blocks of `123_4` or `123_[4-9]`, if 123 is this job and they are its.
fn blocks_of(text: &str, job: &str, submission: &Submission) -> Vec<u32> {
    let Some(tasks) = text
        .trim()
        .strip_prefix(job)
        .and_then(|rest| rest.strip_prefix('_'))
    else {
        return Vec::new();
    };
    let tasks = tasks.trim_start_matches('[').trim_end_matches(']');
    let tasks = super::system::expand(tasks).unwrap_or_default();
    tasks
        .iter()
        .filter_map(|task| submission.base.checked_add(*task))
        .filter(|block| submission.blocks.contains(block))
        .collect()
}

/// Tasks of a job in lines `123_4|name|PENDING|reason`; other lines are left out,
/// and jobs of another name: a controller that lost its state counts anew.
fn parse_squeue(text: &str, job: &str, submission: &Submission) -> Vec<TaskState> {
    let mut tasks = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(4, '|');
        let (Some(id), Some(name), Some(state)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if name != submission.name {
            continue;
        }
        let reason = fields.next().unwrap_or_default().trim();
        let Some(activity) = activity(state.trim(), reason) else {
            continue;
        };
        let reason = if matches!(reason, "None" | "(null)" | "Priority" | "Resources") {
            ""
        } else {
            reason
        };
        tasks.extend(
            blocks_of(id, job, submission)
                .into_iter()
                .map(|block| TaskState {
                    block,
                    activity,
                    reason: reason.to_owned(),
                }),
        );
    }
    tasks
}

/// What a state of Slurm is; none if the task has ended.
fn activity(state: &str, reason: &str) -> Option<Activity> {
    match state {
        "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "NODE_FAIL"
        | "OUT_OF_MEMORY" | "PREEMPTED" | "REVOKED" | "TIMEOUT" | "LAUNCH_FAILED"
        | "RECONFIG_FAIL" => None,
        "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => Some(Activity::Held),
        "PENDING" | "REQUEUED" | "REQUEUE_FED" if reason.to_lowercase().contains("held") => {
            Some(Activity::Held)
        }
        "PENDING" | "REQUEUED" | "REQUEUE_FED" | "CONFIGURING" => Some(Activity::Pending),
        "SUSPENDED" | "STOPPED" => Some(Activity::Suspended),
        // a state that is not known here is taken as life, not as an end
        _ => Some(Activity::Running),
    }
}

/// `code:signal`
fn exit_code(text: &str) -> Option<(Option<i32>, Option<i32>)> {
    let (code, signal) = text.split_once(':')?;
    let (code, signal): (i32, i32) = (code.parse().ok()?, signal.parse().ok()?);
    Some(match signal {
        0 => (Some(code), None),
        _ => (None, Some(signal)),
    })
}

fn ending(block: u32, state: &str, reason: &str, code: &str) -> Option<Ending> {
    // "CANCELLED by 1000"
    let word = state.split_whitespace().next().unwrap_or_default();
    if activity(word, "").is_some() {
        return None;
    }
    let (exit, signal) = exit_code(code).unwrap_or_default();
    let cause = match (word, reason) {
        ("CANCELLED", _) => Cause::Person,
        ("BOOT_FAIL" | "NODE_FAIL" | "PREEMPTED" | "TIMEOUT" | "LAUNCH_FAILED", _)
        | (_, "JobLaunchFailure" | "NodeDown") => Cause::System,
        _ => Cause::Program,
    };
    Some(Ending {
        block,
        exit,
        signal,
        state: match reason {
            "JobLaunchFailure" => format!("{word} ({reason})"),
            _ => word.to_owned(),
        },
        cause,
    })
}

/// How tasks ended, of `scontrol --oneliner show job`.
fn parse_scontrol(text: &str, submission: &Submission) -> Vec<Ending> {
    let mut endings = Vec::new();
    for line in text.lines() {
        let field = |key: &str| {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or_default()
        };
        if field("JobName") != submission.name {
            continue;
        }
        let Ok(task) = field("ArrayTaskId").parse::<u32>() else {
            continue;
        };
        let Some(block) = submission.base.checked_add(task) else {
            continue;
        };
        endings.extend(ending(
            block,
            field("JobState"),
            field("Reason"),
            field("ExitCode"),
        ));
    }
    endings
}

/// How tasks ended, of lines `123_4|FAILED|1:0`.
fn parse_sacct(text: &str, job: &str, submission: &Submission) -> Vec<Ending> {
    let mut endings = Vec::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('|').collect();
        let [id, state, code] = fields.as_slice() else {
            continue;
        };
        for block in blocks_of(id, job, submission) {
            endings.extend(ending(block, state, "", code));
        }
    }
    endings
}

#[cfg(test)]
mod tests;
