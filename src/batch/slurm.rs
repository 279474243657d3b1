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

use super::calls::{Cluster, Said, arguments, is_number, no_answer, path_text, write_script};
use super::submission::{Submission, compress, expand, split};
use super::{Activity, BatchJob, BatchSystem, Cause, Ending, TaskState};
use crate::error::Result;
use crate::settings::{SlurmSettings, TimeLimit, check_value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest wait for `squeue`, `scontrol`, `sacct`, `scancel`.
const ASK: Duration = Duration::from_secs(60);
/// Variables of the environment that give `sbatch` a site's or a person's defaults,
/// and the settings that are meant where they are given. All others of `SBATCH_`
/// are taken away: they would win over the job's script.
const DEFAULTS: &str =
    "ACCOUNT PARTITION QOS CONSTRAINT CLUSTER_CONSTRAINT CLUSTERS RESERVATION WCKEY";
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

/// Slurm, by its commands.
pub(super) type Slurm = Cluster<SlurmSettings>;

impl Slurm {
    /// A command without what the user's environment would add to it.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        for (key, _) in std::env::vars_os() {
            let Some(text) = key.to_str() else { continue };
            let is_taken_away = match text.split_once('_') {
                Some(("SBATCH", default)) => self.is_taken_away(default),
                Some(("SQUEUE" | "SACCT" | "SCANCEL" | "SCONTROL", _)) => true,
                _ => text == "SLURM_HINT",
            };
            if is_taken_away {
                command.env_remove(key);
            }
        }
        command
    }

    /// Whether a variable of `SBATCH_` is no default of a site or a person, or a setting
    /// replaces it.
    fn is_taken_away(&self, default: &str) -> bool {
        let settings = &self.settings;
        let replaced = match default {
            "ACCOUNT" => &settings.account,
            "PARTITION" => &settings.partition,
            "QOS" => &settings.qos,
            "CONSTRAINT" => &settings.constraint,
            _ => &None,
        };
        replaced.is_some() || !DEFAULTS.split(' ').any(|known| known == default)
    }

    /// A command about a job, on its cluster.
    fn command_on(&self, name: &str, cluster: Option<&str>) -> Command {
        let mut command = self.command(name);
        if let Some(cluster) = cluster {
            command.arg(format!("--clusters={cluster}"));
        }
        command
    }

    /// The lines of a job script.
    fn script(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<Vec<String>> {
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
        worker.push_str(&arguments(job, shell)?);
        lines.push(worker);
        Ok(lines)
    }

    /// What `squeue` says of jobs at a place; that there are none is an answer.
    fn squeue(&self, place: Option<&str>, arguments: &[&str]) -> Result<String> {
        let mut command = self.command_on("squeue", place);
        let said = self.ask(ASK, command.arg("--noheader").args(arguments))?;
        done("squeue", said)
    }
}

/// What a command said that is done, or found nothing left to do.
fn done(name: &str, said: Said) -> Result<String> {
    match said.ok || said.err.contains("Invalid job id") {
        true => Ok(said.out),
        false => Err(no_answer(name, said.reason())),
    }
}

/// A word that a shell takes as it is.
fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl BatchSystem for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn largest_array(&self) -> u32 {
        self.settings.array_size
    }

    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let script = job.folder.join(format!("job_{:04}.sh", submission.number));
        write_script(&script, &self.script(job, submission)?)?;
        let tasks = submission
            .blocks
            .iter()
            .map(|block| block - submission.base);
        let tasks: Vec<u32> = tasks.collect();
        // in file names Slurm replaces %A, %a and others
        let folder = path_text(job.folder)?.replace('%', "%%");
        let output = format!("{folder}/job_{:04}_%a.out", submission.number);
        let mut command = self.command("sbatch");
        command
            .args(["--parsable", "--ignore-pbs"])
            .arg(format!("--array={}", compress(&tasks)))
            .arg(format!("--output={output}"))
            .arg(format!("--error={output}"))
            .arg(&script);
        self.submit_by(&mut command, job, &MAY_PASS, parse_id)
    }

    fn find(&self, name: &str) -> Result<Option<String>> {
        let name = format!("--name={name}");
        let user = user().map(|user| format!("--user={user}"));
        let mut arguments = vec!["--states=all", "--format=%F", &name];
        arguments.extend(user.as_deref());
        let out = self.squeue(None, &arguments)?;
        let mut lines = out.lines().map(str::trim);
        Ok(lines.find(|line| is_number(line)).map(ToOwned::to_owned))
    }

    fn alive(
        &self,
        cluster: Option<&str>,
        submissions: &[&Submission],
    ) -> Result<Vec<Vec<TaskState>>> {
        let jobs: Vec<&str> = submissions.iter().filter_map(|s| s.job()).collect();
        let jobs = format!("--jobs={}", jobs.join(","));
        let format = "--format=%i|%j|%T|%r";
        let out = self.squeue(cluster, &["--array", "--states=all", &jobs, format])?;
        Ok(submissions.iter().map(|s| parse_squeue(&out, s)).collect())
    }

    fn endings(&self, submission: &Submission, blocks: &[u32]) -> Vec<Ending> {
        let (Some(job), cluster) = (submission.job(), submission.place()) else {
            return Vec::new();
        };
        // nothing depends on whether either answers
        let mut command = self.command_on("scontrol", cluster);
        let said = self.ask(ASK, command.args(["--oneliner", "show", "job", job]));
        let endings = said.map(|said| parse_scontrol(&said.out, submission));
        let mut endings = endings.unwrap_or_default();
        let is_known = |endings: &[Ending], block| endings.iter().any(|e| e.block == block);
        if blocks.iter().all(|block| is_known(&endings, *block)) {
            return endings;
        }
        let mut command = self.command_on("sacct", cluster);
        let said = self.ask(
            ASK,
            command
                .args(["--noheader", "--parsable2", "--allocations"])
                .args(["--format=JobID,State,ExitCode", "--jobs", job]),
        );
        let more = said.map(|said| parse_sacct(&said.out, submission));
        for ending in more.unwrap_or_default() {
            if !is_known(&endings, ending.block) {
                endings.push(ending);
            }
        }
        endings
    }

    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf {
        let task = block.saturating_sub(submission.base);
        let name = format!("job_{:04}_{task}.out", submission.number);
        job.folder.join(name)
    }

    fn cancel_command(&self, submission: &Submission) -> String {
        let cluster = submission.place();
        let cluster = cluster.map_or_else(String::new, |c| format!("--clusters={c} "));
        match submission.job() {
            Some(job) => format!("scancel {cluster}{job}"),
            None => format!("scancel --name={}", submission.name),
        }
    }

    fn cancel(&self, submission: &Submission) -> Result<()> {
        let (id, cluster) = (submission.job(), submission.place());
        let name = format!("--name={}", submission.name);
        let job = id.map(|job| format!("--jobs={job}"));
        let user = user();
        let own = user.as_ref().map(|user| format!("--user={user}"));
        // what the record says is nothing before the queue itself says it, too
        let mut arguments = vec!["--format=%i|%j|%T|%r|%U", &name];
        arguments.extend(job.as_deref());
        arguments.extend(own.as_deref());
        let out = self.squeue(cluster, &arguments)?;
        for job in own_jobs(&out, id, &submission.name, user.as_deref()) {
            let mut command = self.command_on("scancel", cluster);
            let said = self.ask(ASK, command.arg(&name).args(&own).arg(&job))?;
            done("scancel", said)?;
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

/// The number that `sbatch --parsable` says, `123` or `123;cluster`; sites let it
/// say more before.
fn parse_id(out: &str) -> Option<String> {
    let id = out.lines().map(str::trim).rfind(|l| !l.is_empty())?;
    let (job, cluster) = split(id);
    let is_cluster = |name| check_value("cluster", name, "_.-").is_ok() && !id.contains('@');
    let sound = is_number(job) && cluster.is_none_or(is_cluster);
    sound.then(|| id.to_owned())
}

/// The blocks of `123_4` or `123_[4-9]`, if 123 is this job and they are its.
fn blocks_of(text: &str, submission: &Submission) -> Vec<u32> {
    let job = submission.job().unwrap_or_default();
    let tasks = text.trim().strip_prefix(job);
    let Some(tasks) = tasks.and_then(|rest| rest.strip_prefix('_')) else {
        return Vec::new();
    };
    let tasks = tasks.trim_start_matches('[').trim_end_matches(']');
    let tasks = expand(tasks).unwrap_or_default().into_iter();
    let blocks = tasks.filter_map(|task| submission.base.checked_add(task));
    blocks
        .filter(|block| submission.blocks.contains(block))
        .collect()
}

/// Tasks of a job in lines `123_4|name|PENDING|reason`; other lines are left out,
/// and jobs of another name: a controller that lost its state counts anew.
fn parse_squeue(text: &str, submission: &Submission) -> Vec<TaskState> {
    let mut tasks = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(4, '|').collect();
        let [id, name, state, rest @ ..] = fields.as_slice() else {
            continue;
        };
        let reason = rest.first().map_or("", |reason| reason.trim());
        let Some(activity) = activity(state.trim(), reason).filter(|_| *name == submission.name)
        else {
            continue;
        };
        let is_said = !["None", "(null)", "Priority", "Resources"].contains(&reason);
        let reason = if is_said { reason } else { "" };
        tasks.extend(
            blocks_of(id, submission)
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
    let of_line = |line: &str| {
        let field = |key: &str| {
            let mut words = line.split_whitespace();
            let value = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default()
        };
        let task: u32 = field("ArrayTaskId").parse().ok()?;
        let block = submission.base.checked_add(task)?;
        let ending = ending(block, field("JobState"), field("Reason"), field("ExitCode"));
        ending.filter(|_| field("JobName") == submission.name)
    };
    text.lines().filter_map(of_line).collect()
}

/// How tasks ended, of lines `123_4|FAILED|1:0`.
fn parse_sacct(text: &str, submission: &Submission) -> Vec<Ending> {
    let mut endings = Vec::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('|').collect();
        let [id, state, code] = fields.as_slice() else {
            continue;
        };
        let blocks = blocks_of(id, submission).into_iter();
        endings.extend(blocks.filter_map(|block| ending(block, state, "", code)));
    }
    endings
}

#[cfg(test)]
mod tests;
