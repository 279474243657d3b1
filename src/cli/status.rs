//! `sideband status`: needs the run directory and nothing else, so that it works
//! in another shell and on another machine. The age of a sign of life is by the
//! file server's clock, for which it touches a file.

use super::options::StatusArguments;
use super::{Done, Exit, print, print_json, table};
use crate::batch::{describe, duration};
use crate::measurement::MeasurementProgress;
use crate::report::read_metrics;
use crate::results::Verdict;
use crate::rundir::{RunDirectory, State, WorkerStatus, holders, read_workers};
use serde_json::json;
use std::time::Duration;

/// How far one ensemble has come.
struct Row {
    name: String,
    members: u32,
    there: u32,
    failed: usize,
    begun: usize,
    state: Option<State>,
    /// What its result says, if there is one.
    verdict: Option<Verdict>,
}

pub(super) fn status(arguments: &StatusArguments) -> Done {
    let root = RunDirectory::open(&arguments.run)?;
    // the clock is a file that is touched
    root.check_links()?;
    let experiment = root.experiment()?;
    let config = &experiment.common().executor;
    let stale = Duration::from_secs_f64(config.stale_seconds);
    let mut rows = Vec::new();
    for (spec, directory) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
        let members = spec.config.ensemble.members;
        let manifest = directory.manifest()?;
        rows.push(Row {
            name: spec.name.clone(),
            members,
            there: directory.count_members(members) as u32,
            failed: manifest.as_ref().map_or(0, |m| m.failed.len()),
            begun: (0..members)
                .filter(|m| directory.checkpoint(*m).exists())
                .count(),
            verdict: manifest
                .as_ref()
                .filter(|m| matches!(m.state, State::Complete | State::Partial))
                .and_then(|_| read_metrics(&directory).ok())
                .map(|metrics| metrics.verdict),
            state: manifest.map(|m| m.state),
        });
    }
    let workers: Vec<(WorkerStatus, Duration)> = read_workers(&root.join("workers"))
        .into_iter()
        .filter(|(worker, age)| *age < stale && !worker.is_gone())
        .collect();
    let claims = holders(&root.join("claims"), stale).unwrap_or_default();
    let measurement = match experiment.measurement {
        Some(_) => Some(MeasurementProgress::read(&root, &experiment)?),
        None => None,
    };
    if arguments.json {
        let mut value = json!({
            "ensembles": rows.iter().map(|r| json!({
                "name": r.name, "members": r.members, "finished": r.there, "failed": r.failed,
                "begun": r.begun, "state": r.state, "verdict": r.verdict,
            })).collect::<Vec<_>>(),
            "workers": workers.iter().map(|(w, _)| w).collect::<Vec<_>>(),
            "claims": claims.iter().map(|c| json!({ "block": c.block, "worker": c.worker,
                // of a token whose date lies ahead nobody knows
                "seconds": (c.age < Duration::MAX).then_some(c.age.as_secs_f64()) })).collect::<Vec<_>>(),
        });
        if let Some(measurement) = &measurement {
            value["measurement"] = json!(measurement);
        }
        return print_json(&value);
    }
    let (there, total) = rows
        .iter()
        .fold((0, 0), |(a, b), r| (a + r.there, b + r.members));
    print(&format!(
        "{}: {there} of {total} members\n",
        experiment.common().experiment.name
    ))?;
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.cells(!workers.is_empty()))
        .collect();
    let header = [
        "ensemble", "finished", "of", "failed", "begun", "state", "verdict",
    ];
    print(&table(&header, &cells))?;
    if let Some(measurement) = &measurement {
        print(&format!("\n{}", measurement.lines().join("\n")))?;
    }
    for (worker, age) in &workers {
        print(&format!(
            "\n{} on {}: {:.2} M member-events/s, {} ago",
            worker.device,
            worker.host,
            worker.events_per_second * 1e-6,
            duration(age.as_secs_f64())
        ))?;
        for stack in &worker.stacks {
            print(&format!("  {}: {}", stack.name, describe(stack)))?;
        }
    }
    let lost: Vec<String> = claims
        .iter()
        .filter(|c| !c.is_alive)
        .map(|c| format!("{} ({})", c.block, c.host))
        .collect();
    if !lost.is_empty() {
        print(&format!(
            "\nblocks whose worker gives no sign: {}; the next worker takes them over",
            lost.join(", ")
        ))?;
    }
    Ok(Exit::Ok)
}

impl Row {
    fn cells(&self, is_worked_on: bool) -> Vec<String> {
        let state = match self.state {
            None => "not begun",
            Some(State::Running) if is_worked_on => "running",
            Some(State::Running) => "nobody works on it in this moment",
            Some(State::Interrupted) if is_worked_on => "running",
            Some(State::Interrupted) => "interrupted",
            Some(State::Partial) => "finished, with fewer members than asked for",
            Some(State::Complete) => "complete",
        };
        vec![
            self.name.clone(),
            self.there.to_string(),
            self.members.to_string(),
            self.failed.to_string(),
            self.begun.to_string(),
            state.to_owned(),
            self.verdict
                .as_ref()
                .map_or("–", |v| v.state.words())
                .to_owned(),
        ]
    }
}
