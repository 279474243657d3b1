//! `method = "limit"`: a measurement of histograms alone, from samples and finished runs to its
//! result. Nothing is trained.

mod impacts;
mod prepared;
mod remarks;
mod replicas;
mod study;

use super::backgrounds::words;
use super::events::withheld;
use super::files;
use super::model::Parameters;
use super::result::MeasurementResult;
use crate::error::{Result, counted};
use crate::report::numbers::joined;
use crate::rundir::{
    DeviceRecord, Manifest, Progress, RunDirectory, RunInputs, RunState, VersionRecord, now,
};
use crate::settings::{Experiment, Limit};
use crate::training::Interrupt;
use crate::workflow::RunOptions;
use prepared::prepare;
use sideband_networks::cpu_kernel;
use std::collections::BTreeMap;
use std::time::Instant;
use study::Study;

/// How a fit of histograms ended.
#[derive(Debug)]
pub(crate) struct HistogramFit {
    pub directory: RunDirectory,
    /// The numbers, unless it was interrupted.
    pub result: Option<MeasurementResult>,
    /// Whether all that was asked for is there.
    pub is_whole: bool,
}

/// Reads, fits and writes.
///
/// # Errors
/// What is wrong with a sample or run, or that there is no fit.
pub(crate) fn fit_histograms(
    experiment: &Experiment,
    limit: &Limit,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<HistogramFit> {
    let started = Instant::now();
    let progress = Progress::new(options.quiet);
    let root = RunDirectory::create_root(&options.out, experiment)?;
    let prepared = prepare(limit, options, &progress)?;
    // a run that is refused changes nothing
    root.close_again(options.unblind)?;
    root.write_config(&experiment.table)?;
    let mut manifest = begin(&root, limit, options)?;
    let interrupted = |mut manifest: Manifest| {
        manifest.state = RunState::Interrupted;
        root.write_manifest(&manifest)?;
        Ok(HistogramFit {
            directory: root.clone(),
            result: None,
            is_whole: false,
        })
    };
    if interrupt.is_raised() {
        return interrupted(manifest);
    }
    let parameters = Parameters::new(&prepared.measurement, None);
    let study = Study {
        limit,
        prepared: &prepared,
        parameters: &parameters,
        output: files::stage(&root)?,
        root: &root,
        interrupt,
        progress: &progress,
    };
    let found = study.conclude();
    if !matches!(found, Ok(Some(_))) {
        // nobody finishes it
        let _ = std::fs::remove_dir_all(study.output.path());
    }
    let Some(result) = found? else {
        return interrupted(manifest);
    };
    files::publish(&root, &study.output, false, false)?;
    if let Some(known) = root.manifest()? {
        // with what was read
        manifest.inputs = known.inputs;
    }
    manifest.settings = limit.numbers();
    manifest.state = RunState::Complete;
    manifest.finished = Some(now());
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    root.write_manifest(&manifest)?;
    Ok(HistogramFit {
        is_whole: result.missing.is_empty(),
        result: Some(result),
        directory: root,
    })
}

/// Writes that the fit is under way.
fn begin(root: &RunDirectory, limit: &Limit, options: &RunOptions) -> Result<Manifest> {
    let [base, folder] = options.origin();
    let known = root.manifest()?;
    let manifest = Manifest {
        format: 1,
        state: RunState::Running,
        seed: limit.experiment.seed,
        unblind: options.unblind,
        base,
        folder,
        versions: VersionRecord::current(),
        device: DeviceRecord {
            name: "cpu".to_owned(),
            threads: rayon::current_num_threads(),
            cpu_kernel: cpu_kernel().to_owned(),
        },
        inputs: known.map_or_else(RunInputs::default, |known| known.inputs),
        losses: Vec::new(),
        members: Vec::new(),
        failed: Vec::new(),
        ensembles: Vec::new(),
        outputs: BTreeMap::new(),
        settings: Vec::new(),
        started: now(),
        finished: None,
        wall_seconds: 0.0,
    };
    root.write_manifest(&manifest)?;
    Ok(manifest)
}

/// A limit's model in words, after all checks.
pub(crate) fn describe_limit(limit: &Limit, options: &RunOptions) -> Result<String> {
    let prepared = prepare(limit, options, &Progress::new(true))?;
    let (measurement, plan) = (&prepared.measurement, &prepared.plan);
    let m = &measurement.measurement;
    let bins = measurement.channels.values().map(|c| c.bins.len() - 1);
    let mut lines = vec![format!(
        "limits {} with {} in {}",
        limit.limited(),
        counted(bins.sum::<usize>(), "bin"),
        counted(measurement.channels.len(), "channel")
    )];
    for process in &plan.processes {
        let sample = &limit.samples[&process.name];
        let of = prepared
            .backgrounds
            .iter()
            .find(|b| b.sample == process.name);
        let from =
            of.map(|b| format!(", from {}, {} of it", b.run, counted(b.replicas, "replica")));
        lines.push(format!(
            "{}: {}, rate {}, times {}{}",
            process.name,
            counted(process.events, "event"),
            joined(process.rate(), &[process.scale * process.sum_error], " +- "),
            sample.coefficient,
            from.unwrap_or_default()
        ));
    }
    for of in &prepared.backgrounds {
        lines.push(words(of));
    }
    lines.push(match (&limit.observed, withheld(measurement, plan)) {
        (None, _) => "nothing is observed: the expected limit alone".to_owned(),
        (Some(_), Some(reason)) => format!(
            "{reason}: the observed events are not opened, and there is the expected limit alone"
        ),
        (Some(_), None) => {
            let all = prepared.observed.iter().flat_map(|t| &t.contents);
            format!("observed: {} events", all.sum::<f64>())
        }
    });
    let free = measurement.parameters.len() + measurement.systematics.len() - m.fixed.len();
    lines.push(format!(
        "{} beside those of bins\n",
        counted(free, "parameter")
    ));
    lines.extend(plan.notes.iter().cloned());
    Ok(lines.join("\n"))
}
