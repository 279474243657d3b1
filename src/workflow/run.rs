//! A whole run: a campaign from its devices to its result.

use super::Workbench;
use super::campaign::{Campaign, Ended, open_devices, write_page};
use super::comparison::compare_methods;
use super::ensemble::{RunOptions, redo_report, threads};
use super::training::train;
use crate::error::{Error, Result};
use crate::files::lock;
use crate::report::EnsembleEnd;
use crate::rundir::{Manifest, Progress, RunDirectory, RunState};
use crate::settings::{ExecutorKind, Experiment};
use crate::training::Interrupt;
use serde_json::json;
use sideband_networks::Compute;
use std::cell::RefCell;
use std::time::Instant;

/// Trains what is missing, applies the ensembles and writes the result.
///
/// # Errors
/// Members finished before it are kept, and running again goes on.
pub(crate) fn run(
    experiment: &Experiment,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended> {
    let started = Instant::now();
    let notes = RefCell::new(Vec::new());
    let voice = Progress::new(options.quiet);
    let say = |text: &str| {
        notes.borrow_mut().push(text.to_owned());
        voice.say(text);
    };
    let is_local = experiment.common().executor.kind == ExecutorKind::Local;
    if options.only.is_some() && !is_local {
        return Err(Error::usage(
            "--only trains in this process; leave it out, or use --executor local",
        ));
    }
    let devices = match open_devices(experiment, &experiment.common().device) {
        // a login node need not have what the nodes have
        Err(error) if !is_local => {
            say(&format!("{error}; the result is computed on the CPU here"));
            vec![Compute::open("cpu")?]
        }
        devices => devices?,
    };
    if let Some(range) = &options.only {
        let ensembles = experiment.ensembles.iter();
        let members = ensembles.map(|e| e.config.ensemble.members);
        let there = members.max().unwrap_or(0).saturating_sub(1);
        if *range.end() > there {
            let (first, last) = range.clone().into_inner();
            return Err(Error::usage(format!(
                "--only {first}-{last}: the last member is {there}"
            )));
        }
    }
    let mut campaign = Campaign::new(experiment, options, interrupt, devices, (&say, &voice))?;
    let mut ends: Vec<EnsembleEnd> = Vec::new();
    for run in std::mem::take(&mut campaign.ensembles) {
        match run.finished(options.unblind, campaign.edges.as_ref(), (&say, &voice))? {
            Some(end) => ends.push(end),
            None => campaign.ensembles.push(run),
        }
    }
    if campaign.ensembles.is_empty() {
        let ended = campaign.ended(ends, started, &voice)?;
        say("everything is there already; nothing to do");
        return Ok(ended);
    }
    campaign.started = started;
    campaign.root.close_again(options.unblind)?;
    for run in &campaign.ensembles {
        run.directory.close_again(options.unblind)?;
    }
    let log = campaign.log(notes.take())?;
    campaign.begin(&log)?;
    if !campaign.missing().is_empty() {
        train(&campaign, &log, &say)?;
    }
    lock(&campaign.checked).clear();
    let bench = Workbench {
        compute: &campaign.devices[0],
        threads: threads(experiment.common()),
        interrupt,
        say: &say,
        progress: &voice,
        of: "",
    };
    let mut earlier = Vec::new();
    for run in &campaign.ensembles {
        let mut end = campaign.conclude(run, bench, started, &mut earlier)?;
        // a member that was damaged since is trained anew, once
        if end.state == RunState::Interrupted
            && !interrupt.is_raised()
            && options.only.is_none()
            && !campaign.missing().is_empty()
        {
            earlier.clear();
            train(&campaign, &log, &say)?;
            end = campaign.conclude(run, bench, started, &mut earlier)?;
        }
        ends.push(end);
    }
    let place = |end: &EnsembleEnd| {
        let mut all = experiment.ensembles.iter();
        all.position(|e| e.name == end.name)
    };
    ends.sort_by_key(place);
    let ended = campaign.ended(ends, started, &voice)?;
    if ended.state != RunState::Interrupted {
        log.collect(&campaign.root.join("logs"));
    }
    log.event(
        "end",
        json!({ "state": ended.state, "seconds": started.elapsed().as_secs_f64() }),
    );
    Ok(ended)
}

/// Draws the reports of all ensembles of a matrix anew, and their page, tables and
/// comparison: from members and metrics, without events, and with the words of the matrix's own
/// configuration.
pub(crate) fn redo_matrix(
    root: &RunDirectory,
    experiment: &Experiment,
    progress: &Progress,
) -> Result<Ended> {
    let mut ensembles = Vec::with_capacity(experiment.ensembles.len());
    for (spec, directory) in experiment.ensembles.iter().zip(root.ensembles(experiment)) {
        let name = &spec.name;
        let end = redo_report(directory.path(), Some(&spec.config), progress);
        let end = end.map_err(|e| e.at(format!("ensemble {name}")))?;
        ensembles.push(EnsembleEnd {
            name: name.clone(),
            ..end
        });
    }
    let compared = compare_methods(experiment, &ensembles);
    let manifest = root.manifest()?;
    let outputs = manifest.as_ref().map(|m| m.outputs.clone());
    let mut outputs = outputs.unwrap_or_default();
    let ends = (&*ensembles, compared.as_ref());
    write_page(root, experiment, ends, &mut outputs, progress)?;
    if let Some(manifest) = manifest.filter(|m| m.outputs != outputs) {
        root.write_manifest(&Manifest {
            outputs,
            ..manifest
        })?;
    }
    let is_partial = ensembles.iter().any(|end| end.state == RunState::Partial);
    Ok(Ended {
        state: match is_partial {
            true => RunState::Partial,
            false => RunState::Complete,
        },
        directory: root.clone(),
        ensembles,
        compared,
        is_matrix: true,
        is_part: false,
    })
}
