//! Blocks as jobs of HTCondor clusters, on a file system that all nodes share.
//!
//! A job that is evicted goes back into the queue by itself, and so does one that
//! left at its own time limit (exit code 75): the worker takes up its checkpoints.
//! All other ends leave the queue, and the coordinator looks at the files.
//!
//! Each schedd has a queue of its own; a job's number is kept with the name of its
//! schedd (`123@schedd`), so that a coordinator on another machine finds it.

use super::calls::{Cluster, arguments, is_number, no_answer, path_text, write_script};
use super::submission::{Submission, split};
use super::{Activity, BatchJob, BatchSystem, Cause, Ending, TaskState};
use crate::error::Result;
use crate::settings::{HtcondorSettings, check_value};
use serde_json::Value;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest wait for `condor_q`, `condor_rm`, `condor_history`.
const ASK: Duration = Duration::from_secs(90);
/// Time between SIGTERM and SIGKILL of an evicted job, s.
const VACATE_SECONDS: u32 = 120;
/// So many starts of a job, then the coordinator decides whether it goes on.
const STARTS: u32 = 50;
/// Jobs of one submission.
const LARGEST: u32 = 5000;
/// The job's attribute with its block.
const BLOCK: &str = "SidebandBlock";
/// Attributes that are asked for.
const ATTRIBUTES: &str = "ClusterId,JobBatchName,JobStatus,HoldReason,SidebandBlock,\
                          ExitCode,ExitSignal,ExitBySignal,RemoveReason";
/// What `condor_submit` says where the job may or may not have been accepted.
const MAY_PASS: [&str; 7] = [
    "Failed to connect",
    "Can't connect",
    "Can't find address",
    "connection",
    "timed out",
    "timeout",
    "Failed to commit",
];
/// HTCondor, by its commands.
pub(super) type Htcondor = Cluster<HtcondorSettings>;

impl Htcondor {
    /// Asks a schedd for jobs.
    fn query(&self, schedd: Option<&str>, which: &[&str], attributes: &str) -> Result<Vec<Value>> {
        let mut command = command_on("condor_q", schedd);
        let said = self.ask(
            ASK,
            command
                .args(which)
                .args(["-json", "-attributes", attributes]),
        )?;
        match parse_jobs(&said.out) {
            Some(jobs) if said.ok => Ok(jobs),
            _ => Err(no_answer("condor_q", said.reason())),
        }
    }

    /// The lines of a submit description.
    fn description(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<Vec<String>> {
        let settings = &self.settings;
        let folder = literal(path_text(job.folder)?);
        let output = format!("{folder}/job_{:04}_$(block).out", submission.number);
        let limit = settings.max_seconds;
        let limit = limit.map_or_else(String::new, |seconds| format!(" --time-limit {seconds}"));
        let run = argument(path_text(job.run)?);
        let more = arguments(job, argument)?;
        let mut lines = vec![
            format!(
                "# Submission {} of a run: a job a block.",
                submission.number
            ),
            "universe = vanilla".to_owned(),
            format!("executable = {}", literal(path_text(job.program)?)),
            "transfer_executable = false".to_owned(),
            "should_transfer_files = NO".to_owned(),
            format!("arguments = \"worker {run} --block $(block){limit}{more}\""),
            format!("initialdir = {}", literal(path_text(job.working)?)),
            format!("output = {output}"),
            format!("error = {output}"),
            format!("log = {folder}/job_{:04}.log", submission.number),
            format!("batch_name = {}", submission.name),
            format!("My.{BLOCK} = $(block)"),
            format!("request_cpus = {}", settings.cpus),
            "kill_sig = SIGTERM".to_owned(),
            format!("job_max_vacate_time = {VACATE_SECONDS}"),
            format!(
                "on_exit_remove = (ExitBySignal =?= false && ExitCode =!= 75) || \
                 NumJobStarts >= {STARTS}"
            ),
        ];
        if let Some(mib) = settings.memory_mib {
            lines.push(format!("request_memory = {mib}M"));
        }
        if settings.gpus > 0 {
            lines.push(format!("request_gpus = {}", settings.gpus));
        }
        if let Some(requirements) = &settings.requirements {
            lines.push(format!("requirements = {requirements}"));
        }
        lines.extend(settings.options.iter().cloned());
        lines.push("queue block from (".to_owned());
        lines.extend(submission.blocks.iter().map(u32::to_string));
        lines.push(")".to_owned());
        Ok(lines)
    }
}

/// Text in which a submit description replaces nothing.
fn literal(text: &str) -> String {
    text.replace('$', "$(DOLLAR)")
}

/// An argument between the double quotes of `arguments`.
fn argument(text: &str) -> String {
    let text = literal(text).replace('\'', "''").replace('"', "\"\"");
    format!("'{text}'")
}

fn command_on(name: &str, schedd: Option<&str>) -> Command {
    let mut command = Command::new(name);
    if let Some(schedd) = schedd {
        command.args(["-name", schedd]);
    }
    command
}

/// The number of a job with the name of its schedd, from an id `schedd#123.0#time`.
fn with_schedd(cluster: impl Display, jobs: &[Value]) -> String {
    let id = jobs
        .first()
        .and_then(|job| job.get("GlobalJobId")?.as_str());
    let schedd = id
        .and_then(|id| id.split_once('#'))
        .map(|(schedd, _)| schedd);
    match schedd.filter(|name| check_value("schedd", name, "_.-@:").is_ok()) {
        Some(schedd) => format!("{cluster}@{schedd}"),
        None => cluster.to_string(),
    }
}

impl BatchSystem for Htcondor {
    fn name(&self) -> &'static str {
        "htcondor"
    }

    fn largest_array(&self) -> u32 {
        LARGEST
    }

    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let file = job.folder.join(format!("job_{:04}.sub", submission.number));
        write_script(&file, &self.description(job, submission)?)?;
        let mut command = Command::new("condor_submit");
        command.arg("-terse").arg(&file);
        let cluster = self.submit_by(&mut command, job, &MAY_PASS, parse_cluster)?;
        // without an answer the schedd of this machine is asked later on
        let jobs = self.query(None, &[&cluster], "GlobalJobId");
        Ok(with_schedd(cluster, &jobs.unwrap_or_default()))
    }

    fn find(&self, name: &str) -> Result<Option<String>> {
        let constraint = format!("JobBatchName == \"{name}\"");
        let jobs = self.query(None, &["-constraint", &constraint], "ClusterId,GlobalJobId")?;
        let cluster = jobs.first().and_then(|job| job.get("ClusterId")?.as_u64());
        Ok(cluster.map(|cluster| with_schedd(cluster, &jobs)))
    }

    fn alive(
        &self,
        schedd: Option<&str>,
        submissions: &[&Submission],
    ) -> Result<Vec<Vec<TaskState>>> {
        let clusters: Vec<&str> = submissions.iter().filter_map(|s| s.job()).collect();
        let jobs = self.query(schedd, &clusters, ATTRIBUTES)?;
        Ok(submissions.iter().map(|s| tasks(&jobs, s)).collect())
    }

    fn endings(&self, submission: &Submission, blocks: &[u32]) -> Vec<Ending> {
        let (Some(cluster), schedd) = (submission.job(), submission.place()) else {
            return Vec::new();
        };
        // nothing depends on whether it answers
        let mut command = command_on("condor_history", schedd);
        command.args([cluster, "-json", "-attributes", ATTRIBUTES, "-limit"]);
        let limit = submission.blocks.len().max(blocks.len());
        let said = self.ask(ASK, command.arg(limit.to_string()));
        let jobs = said.ok().and_then(|said| parse_jobs(&said.out));
        endings(&jobs.unwrap_or_default(), submission)
    }

    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf {
        let name = format!("job_{:04}_{block}.out", submission.number);
        job.folder.join(name)
    }

    fn cancel_command(&self, submission: &Submission) -> String {
        let schedd = submission.place();
        let schedd = schedd.map_or_else(String::new, |name| format!("-name {name} "));
        match submission.job() {
            Some(cluster) => format!("condor_rm {schedd}{cluster}"),
            None => format!(
                "condor_rm -constraint 'JobBatchName == \"{}\"'",
                submission.name
            ),
        }
    }

    fn cancel(&self, submission: &Submission) -> Result<()> {
        let (id, schedd) = (submission.job(), submission.place());
        let mut constraint = format!("JobBatchName == \"{}\"", submission.name);
        if let Some(cluster) = id {
            constraint.push_str(&format!(" && ClusterId == {cluster}"));
        }
        // what the record says is nothing before the queue itself says it, too
        let jobs = self.query(schedd, &["-constraint", &constraint], ATTRIBUTES)?;
        let is_own = |job: &Value| {
            let cluster = job.get("ClusterId").and_then(Value::as_u64);
            job.get("JobBatchName").and_then(Value::as_str) == Some(&submission.name)
                && job.get(BLOCK).is_some()
                && id.is_none_or(|id| cluster.is_none_or(|c| c.to_string() == id))
        };
        if !jobs.iter().any(is_own) {
            return Ok(());
        }
        constraint.push_str(&format!(" && {BLOCK} =!= undefined"));
        let mut command = command_on("condor_rm", schedd);
        let said = self.ask(ASK, command.args(["-constraint", &constraint]))?;
        // no such job: "Couldn't find/remove all jobs matching constraint"
        match said.ok || said.reason().contains("Couldn't find") {
            true => Ok(()),
            false => Err(no_answer("condor_rm", said.reason())),
        }
    }

    fn is_id(&self, id: &str) -> bool {
        let (cluster, schedd) = split(id);
        let is_schedd = |name| check_value("schedd", name, "_.-@:").is_ok() && !id.contains(';');
        is_number(cluster) && schedd.is_none_or(is_schedd)
    }
}

/// The cluster of `123.0 - 123.9`.
fn parse_cluster(out: &str) -> Option<String> {
    let line = out.lines().map(str::trim).rfind(|l| !l.is_empty())?;
    let (cluster, rest) = line.split_once('.')?;
    let first = rest.split([' ', '-']).next()?;
    (is_number(cluster) && is_number(first)).then(|| cluster.to_owned())
}

/// Jobs as JSON; nothing at all is an empty list.
fn parse_jobs(out: &str) -> Option<Vec<Value>> {
    if out.trim().is_empty() {
        return Some(Vec::new());
    }
    match serde_json::from_str(out).ok()? {
        Value::Array(jobs) => Some(jobs),
        _ => None,
    }
}

/// The block of a job, if it is this submission's.
fn block_of(job: &Value, submission: &Submission) -> Option<u32> {
    if job.get("JobBatchName")?.as_str()? != submission.name {
        return None;
    }
    let block = u32::try_from(job.get(BLOCK)?.as_u64()?).ok()?;
    submission.blocks.contains(&block).then_some(block)
}

fn tasks(jobs: &[Value], submission: &Submission) -> Vec<TaskState> {
    let task = |job: &Value| {
        let block = block_of(job, submission)?;
        let activity = match job.get("JobStatus").and_then(Value::as_u64) {
            Some(1) => Activity::Pending,
            // removed, completed: they leave the queue
            Some(3 | 4) => return None,
            Some(5) => Activity::Held,
            Some(7) => Activity::Suspended,
            // 2 running, 6 writing its output; what is not known is taken as life
            _ => Activity::Running,
        };
        let reason = job.get("HoldReason").and_then(Value::as_str);
        let reason = reason.filter(|_| activity == Activity::Held);
        Some(TaskState {
            block,
            activity,
            reason: reason.unwrap_or_default().to_owned(),
        })
    };
    jobs.iter().filter_map(task).collect()
}

fn endings(jobs: &[Value], submission: &Submission) -> Vec<Ending> {
    let ending = |job: &Value| {
        let block = block_of(job, submission)?;
        if job.get("JobStatus").and_then(Value::as_u64) == Some(3) {
            let reason = job.get("RemoveReason").and_then(Value::as_str);
            return Some(Ending {
                block,
                state: format!("removed: {}", reason.unwrap_or("no reason given")),
                cause: Cause::Person,
                ..Ending::default()
            });
        }
        let number = |key| i32::try_from(job.get(key)?.as_i64()?).ok();
        let by_signal = job.get("ExitBySignal").and_then(Value::as_bool) == Some(true);
        Some(Ending {
            block,
            exit: number("ExitCode").filter(|_| !by_signal),
            signal: number("ExitSignal").filter(|_| by_signal),
            ..Ending::default()
        })
    };
    jobs.iter().filter_map(ending).collect()
}

#[cfg(test)]
mod tests;
