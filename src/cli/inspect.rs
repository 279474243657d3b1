//! What is there: `sideband inspect` and `sideband status`. The status needs the run
//! directory and nothing else, so that it works in another shell and on another machine.
//! The age of a sign of life is by the file server's clock, for which it touches a file.

use super::exit::Exit;
use super::out::{Done, print, print_json, print_verdict, table};
use super::workspace::ended;
use crate::batch::describe;
use crate::error::{Context, Error, Kind, Result, counted};
use crate::events::{Dataset, Jets, Resolver, TableSummary, summarise, tables};
use crate::files::to_value;
use crate::measurement::{MeasurementProgress, measurement_verdict, read_result};
use crate::mixing::{mixing_verdict, read_mixing};
use crate::report::numbers::{significant, trimmed};
use crate::report::{read_metrics, verdict};
use crate::results::Verdict;
use crate::rundir::{
    Progress, RunDirectory, RunState, WorkerStatus, duration, holders, read_workers,
};
use crate::settings::{Config, Experiment, JetsConfig, Limit, Measurement};
use crate::workspace::{
    ParameterSummary, PatchSetSummary, PatchSummary, Summary, WorkspaceSummary, is_document,
    summary, values_in_words,
};
use serde_json::json;
use sideband_numerics::Number;
use std::path::Path;
use std::time::Duration;

/// Whole numbers below this are written without a point.
const WHOLE: f64 = 1e15;
/// Width of the first column of what is said of a run.
const COLUMN: usize = 8;

pub(super) fn inspect(pattern: &str, as_json: bool) -> Done {
    let path = Path::new(pattern);
    if path.is_dir() {
        return inspect_run(path, as_json);
    }
    if pattern == "-" || path.is_file() && is_document(path)? {
        return inspect_document(pattern, as_json);
    }
    if path.is_file()
        && let Some(tables) = tables(path)?
    {
        return inspect_tables(pattern, &tables, as_json);
    }
    let dataset = Dataset::open(&[pattern.to_owned()], Path::new(""))?;
    let progress = Progress::new(false);
    let stage = progress.stage("reading", 0);
    let columns = summarise(&dataset)?;
    drop(stage);
    let built_in = built_in(&dataset)?;
    let unusable = dataset.columns().iter().filter_map(|column| {
        let why = column.shape.as_ref().err()?;
        Some([&column.name, &column.type_name, why])
    });
    if as_json {
        let unusable = unusable.map(
            |[name, type_name, why]| json!({ "name": name, "type_name": type_name, "why": why }),
        );
        let value = json!({
            "files": dataset.files().map(|f| f.display().to_string()).collect::<Vec<_>>(),
            "rows": dataset.rows(),
            "columns": columns,
            "unusable": unusable.collect::<Vec<_>>(),
            "built_in": built_in[0],
            "of_jets": built_in[1],
        });
        return print_json(&value);
    }
    let number = |v: Option<Number>| match v {
        None => "–".to_owned(),
        // numbers of things and of events are whole, in whatever type
        Some(Number::Real(v)) if v.fract() == 0.0 && v.abs() < WHOLE => format!("{:.0}", v + 0.0),
        Some(Number::Real(v)) => significant(v, 7),
        Some(integer) => integer.to_string(),
    };
    let mut rows = Vec::new();
    let mut lists = Vec::new();
    for c in &columns {
        let mean = number(c.mean.map(Number::Real));
        let texts = [&c.name, &c.type_name, &number(c.min), &mean, &number(c.max)];
        let counts = [c.nulls, c.nans, c.infinities, c.zeros, c.negatives];
        let counts = counts.iter().map(u64::to_string);
        rows.push(texts.into_iter().cloned().chain(counts).collect());
        lists.extend(c.lengths.as_ref().map(|lengths| {
            let length = |length: Option<u64>| number(length.map(|l| Number::Integer(l.into())));
            let mean = number(lengths.mean.map(Number::Real));
            let [shortest, longest] = [lengths.min, lengths.max].map(length);
            let counts = [lengths.nulls, lengths.elements].map(|count| count.to_string());
            let cells = [c.name.clone(), shortest, mean, longest];
            cells.into_iter().chain(counts).collect::<Vec<_>>()
        }));
    }
    let files = counted(dataset.files().count(), "file");
    print(&format!("{} in {files}\n", counted(dataset.rows(), "row")))?;
    let header = [
        "column", "type", "min", "mean", "max", "null", "NaN", "inf", "zero", "negative",
    ];
    print(&table(&header, &rows))?;
    if !lists.is_empty() {
        let header = ["list", "shortest", "mean", "longest", "null", "elements"];
        print("\nLengths of lists, whose elements are summarised above:\n")?;
        print(&table(&header, &lists))?;
    }
    let unusable: Vec<Vec<String>> = unusable
        .map(|texts| texts.map(Clone::clone).into())
        .collect();
    if !unusable.is_empty() {
        print("\nColumns that no expression can use:\n")?;
        print(&table(&["column", "type", "why"], &unusable))?;
    }
    let [of_columns, of_jets] = built_in.map(|names| names.join(", "));
    if !of_columns.is_empty() {
        print(&format!("\nBuilt-in columns: {of_columns}"))?;
    }
    if !of_jets.is_empty() {
        print(&format!(
            "\nWith data.jets.candidates = \"min_dr\": {of_jets}"
        ))?;
    }
    Ok(Exit::Ok)
}

/// Says what is in a workspace or a patch set.
fn inspect_document(name: &str, as_json: bool) -> Done {
    match summary(name)? {
        Summary::PatchSet(summary) => match as_json {
            true => print_json(&summary),
            false => print(&describe_patch_set(&summary)),
        },
        Summary::Workspace(summary) => {
            match as_json {
                true => print_json(&summary)?,
                false => print(&describe_workspace(&summary))?,
            };
            Ok(ended(summary.failure.as_deref()))
        }
    }
}

fn describe_patch_set(summary: &PatchSetSummary) -> String {
    let row = |patch: &PatchSummary| {
        let operations = patch.operations.to_string();
        vec![
            patch.name.clone(),
            values_in_words(&patch.values),
            operations,
        ]
    };
    let rows: Vec<Vec<String>> = summary.patches.iter().map(row).collect();
    let digests = summary.digests.iter();
    let digests: Vec<String> = digests.map(|(name, x)| format!("{name} {x}")).collect();
    let values = summary.labels.join(", ");
    format!(
        "{}: {}\n{} for the workspace of {}\n\n{}",
        summary.patch_set,
        summary.description,
        counted(rows.len(), "patch"),
        digests.join(", "),
        table(&["patch", &values, "operations"], &rows)
    )
}

fn describe_workspace(summary: &WorkspaceSummary) -> String {
    let count = |of: fn(&ParameterSummary) -> usize| summary.parameters.values().map(of).sum();
    let (all, fixed): (usize, usize) = (count(|p| p.count), count(|p| p.fixed));
    let mut text = format!(
        "{}: {}, {}, {}, {fixed} of them fixed\nsha256 {}\n",
        summary.workspace,
        counted(summary.channels.len(), "channel"),
        counted(
            summary.channels.iter().map(|c| c.bins).sum::<usize>(),
            "bin"
        ),
        counted(all, "parameter"),
        summary.digests["sha256"]
    );
    for measurement in &summary.measurements {
        let poi = match measurement.poi.as_str() {
            "" => "without parameter of interest".to_owned(),
            poi => format!("of {poi}"),
        };
        text += &format!("measurement {} {poi}\n", measurement.name);
    }
    for note in &summary.notes {
        text += &format!("note: {note}\n");
    }
    let samples = summary.channels.iter().flat_map(|channel| {
        channel.samples.iter().enumerate().map(|(place, sample)| {
            let own = [
                channel.name.clone(),
                channel.bins.to_string(),
                trimmed(channel.observed),
            ];
            let first = if place == 0 { own } else { Default::default() };
            let more = [
                sample.name.clone(),
                trimmed(sample.nominal),
                sample.modifiers.to_string(),
            ];
            first.into_iter().chain(more).collect()
        })
    });
    let samples: Vec<Vec<String>> = samples.collect();
    let header = [
        "channel",
        "bins",
        "observed",
        "sample",
        "nominal",
        "modifiers",
    ];
    text += &format!("\n{}", table(&header, &samples));
    if summary.parameters.is_empty() {
        return text;
    }
    let row = |(name, p): (&String, &ParameterSummary)| {
        let [low, high] = p.bounds.map(trimmed);
        let fixed = match p.fixed {
            0 => String::new(),
            fixed if fixed == p.count => "all".to_owned(),
            fixed => fixed.to_string(),
        };
        vec![
            name.clone(),
            p.count.to_string(),
            p.types.join(", "),
            p.constraint.to_owned(),
            trimmed(p.nominal),
            format!("{low} to {high}"),
            fixed,
            p.channels.to_string(),
            p.samples.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = summary.parameters.iter().map(row).collect();
    let header = [
        "parameter",
        "number",
        "types",
        "constraint",
        "nominal",
        "bounds",
        "fixed",
        "channels",
        "samples",
    ];
    text + &format!("\n\n{}", table(&header, &rows))
}

/// Built-in columns that expressions over the files can use: without jets, and those that
/// jets with the names of the defaults add.
fn built_in(dataset: &Dataset) -> Result<[Vec<String>; 2]> {
    let jets = Jets::from(&JetsConfig::default());
    let names = |jets: Option<&Jets>| {
        let resolver = Resolver::with_jets(dataset.columns(), jets, [])?;
        let names = resolver.builtins().into_iter().map(str::to_owned);
        Ok::<Vec<String>, Error>(names.collect())
    };
    let (without, mut with) = (names(None)?, names(Some(&jets))?);
    with.retain(|name| !without.contains(name));
    Ok([without, with])
}

/// Lists what a ROOT file with several trees holds.
fn inspect_tables(pattern: &str, tables: &[TableSummary], as_json: bool) -> Done {
    if as_json {
        return print_json(&json!({ "file": pattern, "tables": tables }));
    }
    let row = |t: &TableSummary| {
        let counts = [t.rows.to_string(), t.columns.to_string()];
        [t.name.clone(), t.class.clone()]
            .into_iter()
            .chain(counts)
            .collect()
    };
    let rows: Vec<Vec<String>> = tables.iter().map(row).collect();
    print(&table(&["tree", "class", "rows", "columns"], &rows))?;
    if let Some(first) = tables.first() {
        print(&format!(
            "\nOne of them: sideband inspect {pattern}:{}",
            first.name
        ))?;
    }
    Ok(Exit::Ok)
}

/// Describes a measurement: its model, how far it has come, and what it found.
fn inspect_measurement(
    root: &RunDirectory,
    experiment: &Experiment,
    measurement: &Measurement,
    as_json: bool,
) -> Done {
    let progress = MeasurementProgress::read(root, experiment)?;
    let result = read_result(root)?;
    if as_json {
        return print_json(&json!({
            "experiment": measurement.experiment.name,
            "interest": measurement.measurement.interest,
            "reference": measurement.measurement.reference,
            "progress": progress,
            "result": result,
        }));
    }
    let m = &measurement.measurement;
    let samples: Vec<&str> = measurement.samples.keys().map(String::as_str).collect();
    print(&format!(
        "{}: {}\nmeasures {}, against the reference {}\nsamples  {}",
        measurement.experiment.name,
        measurement.experiment.method.describe(),
        m.interest.join(" and "),
        m.reference.join(" + "),
        samples.join(", ")
    ))?;
    if !measurement.systematics.is_empty() {
        let list: Vec<&str> = measurement.systematics.keys().map(String::as_str).collect();
        print(&format!("varied   {}", list.join(", ")))?;
    }
    print(&progress.lines().join("\n"))?;
    match &result {
        Some(result) => print_verdict(&measurement_verdict(result), COLUMN),
        None => Ok(Exit::Ok),
    }
}

/// Describes a limit: its model, and what it found.
fn inspect_limit(root: &RunDirectory, limit: &Limit, as_json: bool) -> Done {
    let result = read_result(root)?;
    if as_json {
        return print_json(&json!({
            "experiment": limit.experiment.name,
            "interest": limit.measurement.interest,
            "result": result,
        }));
    }
    let list = |names: Vec<&str>| names.join(", ");
    print(&format!(
        "{}: {}\nlimits   {}\nsamples  {}\nchannels {}",
        limit.experiment.name,
        limit.experiment.method.describe(),
        limit.limited(),
        list(limit.samples.keys().map(String::as_str).collect()),
        list(limit.channels.keys().map(String::as_str).collect())
    ))?;
    match &result {
        Some(result) => print_verdict(&measurement_verdict(result), COLUMN),
        None => print("result   none yet"),
    }
}

/// Describes a mixing: its uncertainties, and what it found.
fn inspect_mixing(root: &RunDirectory, config: &Config, as_json: bool) -> Done {
    let result = read_mixing(root)?;
    if as_json {
        return print_json(&json!({
            "experiment": config.experiment.name,
            "result": result.map(|result| to_value(&result)).transpose().of(Kind::Internal)?,
        }));
    }
    let mixing = config.mixing.iter();
    let names = mixing.flat_map(|mixing| mixing.uncertainties.keys());
    let names: Vec<&str> = names.map(String::as_str).collect();
    print(&format!(
        "{}: {}\nuncertainties {}",
        config.experiment.name,
        config.experiment.method.describe(),
        names.join(", ")
    ))?;
    match &result {
        Some(result) => print_verdict(&mixing_verdict(result), COLUMN),
        None => print("no result yet"),
    }
}

fn inspect_run(path: &Path, as_json: bool) -> Done {
    let directory = RunDirectory::open(path)?;
    let experiment = directory.experiment()?;
    if let Some(limit) = &experiment.limit {
        return inspect_limit(&directory, limit, as_json);
    }
    if let Some(measurement) = &experiment.measurement {
        return inspect_measurement(&directory, &experiment, measurement, as_json);
    }
    if let Some(config) = &experiment.mixing {
        return inspect_mixing(&directory, config, as_json);
    }
    let Some(manifest) = directory.manifest()? else {
        let path = path.display();
        return Err(Error::data(format!("{path} has no manifest.json yet")));
    };
    let has_result = directory.metrics_path().is_file();
    if as_json {
        let mut value = serde_json::to_value(&manifest).of(Kind::Internal)?;
        if has_result && let Ok(metrics) = read_metrics(&directory) {
            value["verdict"] = to_value(&metrics.verdict).of(Kind::Internal)?;
        }
        return print_json(&value);
    }
    let config = directory.config()?;
    let state = match manifest.state {
        RunState::Running => "running, or killed: run the same command again to go on",
        RunState::Interrupted => "interrupted: run the same command again to go on",
        RunState::Partial if !has_result => "ended without a result: too few members succeeded",
        RunState::Partial => "finished, with fewer members than asked for",
        RunState::Complete => "complete",
    };
    let there = (0..config.ensemble.members)
        .filter(|m| directory.member(*m).is_file() && !manifest.failed.contains(m))
        .count();
    print(&format!(
        "{}: {}\nstate    {state}\nmembers  {there} of {}, {} failed\nseed     {}\ndevice   {}, \
         {}\nprogram  sideband {}\nstarted  {}, {:.1} s",
        config.experiment.name,
        config.experiment.method.describe(),
        config.ensemble.members,
        manifest.failed.len(),
        manifest.seed,
        manifest.device.name,
        counted(manifest.device.threads, "thread"),
        manifest.versions.sideband,
        manifest.started,
        manifest.wall_seconds
    ))?;
    if has_result && matches!(manifest.state, RunState::Complete | RunState::Partial) {
        print_verdict(&verdict(&read_metrics(&directory)?, &config), COLUMN)?;
    }
    Ok(Exit::Ok)
}

/// How far one ensemble has come.
struct EnsembleProgress {
    name: String,
    members: u32,
    there: u32,
    failed: usize,
    begun: usize,
    state: Option<RunState>,
    /// What its result says, if there is one.
    verdict: Option<Verdict>,
}

pub(super) fn status(run: &Path, as_json: bool) -> Done {
    let root = RunDirectory::open(run)?;
    // the clock is a file that is touched
    root.check_links()?;
    let experiment = root.experiment()?;
    if experiment.limit.is_some() {
        return limit_status(&root, &experiment, as_json);
    }
    let config = &experiment.common().executor;
    let stale = Duration::from_secs_f64(config.stale_seconds);
    let mut rows = Vec::new();
    for (spec, directory) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
        let members = spec.config.ensemble.members;
        let manifest = directory.manifest()?;
        rows.push(EnsembleProgress {
            name: spec.name.clone(),
            members,
            there: directory.count_members(members) as u32,
            failed: manifest.as_ref().map_or(0, |m| m.failed.len()),
            begun: (0..members)
                .filter(|m| directory.checkpoint(*m).exists())
                .count(),
            verdict: manifest
                .as_ref()
                .filter(|m| matches!(m.state, RunState::Complete | RunState::Partial))
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
    let measurement = experiment.measurement.as_ref();
    let measurement = measurement.map(|_| MeasurementProgress::read(&root, &experiment));
    let measurement = measurement.transpose()?;
    if as_json {
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
        "{}: {there} of {}\n",
        experiment.common().experiment.name,
        counted(total, "member")
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

/// A limit has no members: there is its result, or not.
fn limit_status(root: &RunDirectory, experiment: &Experiment, as_json: bool) -> Done {
    let state = root.manifest()?.map(|m| m.state);
    let has_result = read_result(root)?.is_some();
    if as_json {
        return print_json(&json!({
            "name": experiment.name(), "state": state, "has_result": has_result,
        }));
    }
    let words = match (state, has_result) {
        (Some(RunState::Complete), true) => "complete",
        (Some(RunState::Interrupted), _) => "interrupted",
        (Some(RunState::Running), _) => "running, or nobody works on it in this moment",
        _ => "no result yet",
    };
    print(&format!("{}: {words}", experiment.name()))
}

impl EnsembleProgress {
    fn cells(&self, is_worked_on: bool) -> Vec<String> {
        let state = match self.state {
            None => "not begun",
            Some(RunState::Running) if is_worked_on => "running",
            Some(RunState::Running) => "nobody works on it in this moment",
            Some(RunState::Interrupted) if is_worked_on => "running",
            Some(RunState::Interrupted) => "interrupted",
            Some(RunState::Partial) => "finished, with fewer members than asked for",
            Some(RunState::Complete) => "complete",
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
