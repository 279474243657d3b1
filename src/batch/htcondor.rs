//! Blocks as jobs of HTCondor clusters, on a file system that all nodes share.
//!
//! A job that is evicted goes back into the queue by itself, and so does one that
//! left at its own time limit (exit code 75): the worker takes up its checkpoints.
//! All other ends leave the queue, and the coordinator looks at the files.
//!
//! Each schedd has a queue of its own; a job's number is kept with the name of its
//! schedd (`123@schedd`), so that a coordinator on another machine finds it.

use super::system::{
    Activity, BatchJob, BatchSystem, Cause, Ending, Patience, Said, Submission, TaskState, call,
    no_answer, path_text, refused,
};
use crate::error::{Context, Kind, OnFile, Result};
use crate::files::atomic;
use crate::settings::{HtcondorSettings, check_line, check_value};
use crate::training::Interrupt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest wait for `condor_q`, `condor_rm`, `condor_history`.
const ASK: Duration = Duration::from_secs(90);
/// Longest wait for `condor_submit`.
const SUBMIT: Duration = Duration::from_secs(180);
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
#[derive(Clone, Debug)]
pub(crate) struct Htcondor {
    settings: HtcondorSettings,
    interrupt: Interrupt,
}

impl Htcondor {
    /// HTCondor with these settings.
    pub(crate) fn new(settings: HtcondorSettings) -> Result<Self> {
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

    /// Asks a schedd for jobs.
    fn query(&self, schedd: Option<&str>, which: &[&str], attributes: &str) -> Result<Vec<Value>> {
        let said = self.ask(command_on("condor_q", schedd).args(which).args([
            "-json",
            "-attributes",
            attributes,
        ]))?;
        match parse_jobs(&said.out) {
            Some(jobs) if said.ok => Ok(jobs),
            _ => Err(no_answer("condor_q", said.reason())),
        }
    }

    /// The text of a submit description.
    fn description(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let settings = &self.settings;
        let folder = literal(path_text(job.folder)?);
        let output = format!("{folder}/job_{:04}_$(block).out", submission.number);
        let mut arguments = format!("worker {} --block $(block)", argument(path_text(job.run)?));
        if let Some(seconds) = settings.max_seconds {
            arguments.push_str(&format!(" --time-limit {seconds}"));
        }
        for extra in job.arguments {
            check_line("arguments", extra)?;
            arguments.push(' ');
            arguments.push_str(&argument(extra));
        }
        let mut lines = vec![
            format!(
                "# Submission {} of a run: a job a block.",
                submission.number
            ),
            "universe = vanilla".to_owned(),
            format!("executable = {}", literal(path_text(job.program)?)),
            "transfer_executable = false".to_owned(),
            "should_transfer_files = NO".to_owned(),
            format!("arguments = \"{arguments}\""),
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
        lines.push(String::new());
        Ok(lines.join("\n"))
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

/// A number as in `jobs.json`: the cluster, and its schedd if it is known.
fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once('@') {
        Some((cluster, schedd)) => (cluster, Some(schedd)),
        None => (id, None),
    }
}

fn command_on(name: &str, schedd: Option<&str>) -> Command {
    let mut command = Command::new(name);
    if let Some(schedd) = schedd {
        command.args(["-name", schedd]);
    }
    command
}

/// The name of a job's schedd, from an id `schedd#123.0#time`.
fn schedd_of(jobs: &[Value]) -> Option<String> {
    let id = jobs.first()?.get("GlobalJobId")?.as_str()?;
    let (schedd, _) = id.split_once('#')?;
    check_value("schedd", schedd, "_.-@:").ok()?;
    Some(schedd.to_owned())
}

impl BatchSystem for Htcondor {
    fn name(&self) -> &'static str {
        "htcondor"
    }

    fn largest_array(&self) -> u32 {
        LARGEST
    }

    fn submit(&self, job: &BatchJob<'_>, submission: &Submission) -> Result<String> {
        let text = self.description(job, submission)?;
        let file = job.folder.join(format!("job_{:04}.sub", submission.number));
        atomic::write(&file, text.as_bytes())
            .on(&file)
            .of(Kind::Internal)?;
        let said = call(
            Command::new("condor_submit")
                .arg("-terse")
                .arg(&file)
                .current_dir(job.folder),
            Patience::submit(SUBMIT, &self.interrupt),
        )?;
        let Some(cluster) = parse_cluster(&said.out).filter(|_| said.ok) else {
            let may_pass = said.ok || MAY_PASS.iter().any(|text| said.err.contains(text));
            return Err(if may_pass {
                no_answer("condor_submit", said.reason())
            } else {
                refused("condor_submit", said.reason())
            });
        };
        // without an answer the schedd of this machine is asked later on
        let schedd = self
            .query(None, &[&cluster], "GlobalJobId")
            .ok()
            .and_then(|jobs| schedd_of(&jobs));
        Ok(match schedd {
            Some(schedd) => format!("{cluster}@{schedd}"),
            None => cluster,
        })
    }

    fn find(&self, name: &str) -> Result<Option<String>> {
        let constraint = format!("JobBatchName == \"{name}\"");
        let jobs = self.query(None, &["-constraint", &constraint], "ClusterId,GlobalJobId")?;
        let Some(cluster) = jobs.first().and_then(|job| job.get("ClusterId")?.as_u64()) else {
            return Ok(None);
        };
        Ok(Some(match schedd_of(&jobs) {
            Some(schedd) => format!("{cluster}@{schedd}"),
            None => cluster.to_string(),
        }))
    }

    fn alive(&self, submissions: &[&Submission]) -> Result<Vec<Vec<TaskState>>> {
        let mut schedds: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        for id in submissions.iter().filter_map(|s| s.id.as_deref()) {
            let (cluster, schedd) = split(id);
            schedds.entry(schedd).or_default().push(cluster);
        }
        let mut jobs = BTreeMap::new();
        for (schedd, clusters) in schedds {
            jobs.insert(schedd, self.query(schedd, &clusters, ATTRIBUTES)?);
        }
        Ok(submissions
            .iter()
            .map(|submission| {
                let (_, schedd) = split(submission.id.as_deref().unwrap_or_default());
                let jobs = jobs.get(&schedd).map_or(&[][..], Vec::as_slice);
                tasks(jobs, submission)
            })
            .collect())
    }

    fn endings(&self, submission: &Submission, blocks: &[u32]) -> Vec<Ending> {
        let Some(id) = &submission.id else {
            return Vec::new();
        };
        let (cluster, schedd) = split(id);
        // nothing depends on whether it answers
        let said = self.ask(
            command_on("condor_history", schedd)
                .args([cluster, "-json", "-attributes", ATTRIBUTES, "-limit"])
                .arg(submission.blocks.len().max(blocks.len()).to_string()),
        );
        let jobs = said.ok().and_then(|said| parse_jobs(&said.out));
        endings(&jobs.unwrap_or_default(), submission)
    }

    fn output(&self, job: &BatchJob<'_>, submission: &Submission, block: u32) -> PathBuf {
        job.folder
            .join(format!("job_{:04}_{block}.out", submission.number))
    }

    fn cancel_command(&self, submission: &Submission) -> String {
        match submission.id.as_deref().map(split) {
            Some((cluster, None)) => format!("condor_rm {cluster}"),
            Some((cluster, Some(schedd))) => format!("condor_rm -name {schedd} {cluster}"),
            None => format!(
                "condor_rm -constraint 'JobBatchName == \"{}\"'",
                submission.name
            ),
        }
    }

    fn cancel(&self, submission: &Submission) -> Result<()> {
        let (id, schedd) = match submission.id.as_deref().map(split) {
            Some((cluster, schedd)) => (Some(cluster), schedd),
            None => (None, None),
        };
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
        let said = self.ask(
            command_on("condor_rm", schedd)
                .arg("-constraint")
                .arg(format!("{constraint} && {BLOCK} =!= undefined")),
        )?;
        // no such job: "Couldn't find/remove all jobs matching constraint"
        if said.ok || said.reason().contains("Couldn't find") {
            return Ok(());
        }
        Err(no_answer("condor_rm", said.reason()))
    }

    fn is_id(&self, id: &str) -> bool {
        let (cluster, schedd) = split(id);
        is_number(cluster) && schedd.is_none_or(|s| check_value("schedd", s, "_.-@:").is_ok())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
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
    let number = |job: &Value, key: &str| {
        job.get(key)
            .and_then(Value::as_i64)
            .and_then(|n| i32::try_from(n).ok())
    };
    jobs.iter()
        .filter_map(|job| {
            let block = block_of(job, submission)?;
            let removed = job.get("JobStatus").and_then(Value::as_u64) == Some(3);
            let by_signal = job.get("ExitBySignal").and_then(Value::as_bool) == Some(true);
            let reason = job.get("RemoveReason").and_then(Value::as_str);
            Some(Ending {
                block,
                exit: number(job, "ExitCode").filter(|_| !removed && !by_signal),
                signal: number(job, "ExitSignal").filter(|_| !removed && by_signal),
                state: if removed {
                    format!("removed: {}", reason.unwrap_or("no reason given"))
                } else {
                    String::new()
                },
                cause: if removed {
                    Cause::Person
                } else {
                    Cause::Program
                },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
