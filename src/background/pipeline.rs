//! The main job, from a configuration to a run directory.

use super::Workbench;
use super::apply::{Applier, ApplyError, Combiner, PredictionWriter, column_factor, yields};
use super::classifier::ClassifierError;
use super::diagnostics::Accumulator;
use super::metrics::Metrics;
use super::plan::{ENSEMBLE, Plan, PlanError, PlanOptions};
use super::replicas::Replicas;
use crate::config::{Config, Method};
use crate::ensemble::{
    Interrupt, Member, Observer, Outcome, Resources, StoreError, Task, TrainError, train_local,
};
use crate::report::{self, ReportError};
use crate::run::{
    DeviceRecord, DirectoryError, Inputs, Manifest, Progress, RunDirectory, RunLog, State,
    VersionRecord, atomic,
};
use serde_json::json;
use sideband_models::{Compute, DeviceError, cpu_kernel};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a run has no result.
#[derive(Debug, Error)]
pub enum RunError {
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The configuration does not fit the data.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The ensemble could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The closure classifier failed.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    /// The report could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Too few members succeeded.
    #[error(
        "{usable} of {requested} members succeeded, ensemble.minimum asks for {needed}; \
         see `failed` in {manifest}. Lower training.learning_rate or set training.gradient_clip"
    )]
    TooFewMembers {
        /// Members that can be used.
        usable: usize,
        /// Members that were asked for.
        requested: u32,
        /// Members that are needed.
        needed: usize,
        /// The manifest.
        manifest: String,
    },
    /// The loss has no minimum on these weights.
    #[error(
        "the loss of {count} of {requested} members fell below zero: negative event weights \
         dominate somewhere in the inputs' space, where no density ratio exists. \
         Use coarser inputs, merge samples so that their sum is positive, or drop the weights"
    )]
    Unbounded {
        /// Members concerned.
        count: usize,
        /// Members that were asked for.
        requested: u32,
    },
}

/// How a run is done.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The run directory.
    pub out: PathBuf,
    /// Folder that relative data paths start from.
    pub base: PathBuf,
    /// Look at target events of blind regions.
    pub unblind: bool,
    /// No status on stderr.
    pub quiet: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Complete, partial or interrupted.
    pub state: State,
    /// The run directory.
    pub directory: RunDirectory,
    /// The numbers, unless interrupted.
    pub metrics: Option<Metrics>,
    /// Whether everything had been there already.
    pub was_complete: bool,
}

struct Watch<'a> {
    progress: &'a Progress,
    interrupt: &'a Interrupt,
    log: &'a RunLog,
}

impl Observer for Watch<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    fn trained(&self, rows: u64) {
        self.progress.trained(rows);
    }

    fn finished(&self, member: &Member) {
        self.progress.finished();
        let about = &member.about;
        self.log.event(
            "member",
            json!({
                "member": about.member,
                "attempt": about.attempt,
                "outcome": about.outcome,
                "epochs": about.history.validation.len(),
                "best_epoch": about.history.best_epoch,
                "validation_loss": about.history.validation.get(about.history.best_epoch),
                "normalisation": about.normalisation,
            }),
        );
    }
}

/// Trains what is missing, applies the ensemble and writes the result.
///
/// # Errors
/// [`RunError`]; members finished before it are kept, and running again goes on.
pub fn run(
    config: &Config,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended, RunError> {
    let members = config.ensemble.members;
    let progress = Progress::new(u64::from(members), 0, true);
    let notes = RefCell::new(Vec::new());
    let say = |text: &str| {
        notes.borrow_mut().push(text.to_owned());
        if !options.quiet {
            Progress::new(0, 0, false).say(text);
        }
    };
    let compute = Compute::open(&config.device.name)?;
    say(&format!(
        "reading {} and {}",
        config.data.source.path.to_list().join(", "),
        config.data.target.path.to_list().join(", ")
    ));
    let plan = Plan::new(
        config.clone(),
        &options.base,
        PlanOptions {
            unblind: options.unblind,
        },
    )?;
    for sample in [&plan.source, &plan.target] {
        describe_sample(sample, &say);
    }
    let shared = plan.shared_keys();
    if shared > 0 {
        say(&format!(
            "{shared} events of the target have the id of a source event and share its folds and \
             bootstrap weights; if they are other events, set data.target.namespace"
        ));
    }
    let inputs = Inputs {
        source: plan.source.files.clone(),
        target: plan.target.files.clone(),
    };
    let directory = RunDirectory::create(&options.out, config, &inputs)?;
    let threads = threads(config);
    let bench = Workbench {
        compute: &compute,
        threads,
        interrupt,
        say: &say,
    };
    let found = find_members(&directory, &plan, &say);
    let earlier = directory.manifest()?;
    let missing: Vec<u32> = (0..members)
        .filter(|m| !found.iter().any(|f| f.about.member == *m))
        .collect();
    let same_view = earlier.as_ref().is_some_and(|m| {
        m.unblind == options.unblind && matches!(m.state, State::Complete | State::Partial)
    });
    let is_predicted = predictions(config)
        .iter()
        .all(|name| directory.predictions().join(name).is_file());
    let is_drawn = directory.report_path().is_file();
    if missing.is_empty() && same_view && is_predicted && is_drawn {
        // what is derived may have been asked for in another form
        if let Ok(metrics) = report::read_metrics(&directory)
            && report_is_current(&directory, config)
        {
            say("everything is there already; nothing to do");
            return Ok(Ended {
                state: earlier.map_or(State::Complete, |m| m.state),
                directory,
                metrics: Some(metrics),
                was_complete: true,
            });
        }
    }
    let log = open_log(&directory)?;
    for note in notes.take() {
        log.event("note", json!({ "text": note }));
    }
    let mut manifest = Manifest {
        format: 1,
        state: State::Running,
        seed: config.experiment.seed,
        unblind: options.unblind,
        versions: VersionRecord::current(),
        device: DeviceRecord {
            name: compute.name().to_owned(),
            threads,
            cpu_kernel: cpu_kernel().to_owned(),
        },
        inputs,
        members: found.iter().map(|m| m.about.member).collect(),
        failed: Vec::new(),
        started: crate::run::now(),
        finished: None,
        wall_seconds: 0.0,
    };
    directory.write_manifest(&manifest)?;
    log.event(
        "start",
        json!({ "members": members, "found": found.len(), "device": compute.name(), "threads": threads }),
    );

    if !missing.is_empty() {
        train_missing(&plan, bench, &missing, &directory, &log, options.quiet)?;
    }
    let all = find_members(&directory, &plan, &say);
    let (usable, failed): (Vec<Member>, Vec<Member>) =
        all.into_iter().partition(|m| m.about.outcome.is_usable());
    manifest.members = usable.iter().map(|m| m.about.member).collect();
    manifest.failed = failed.iter().map(|m| m.about.member).collect();
    let close = |manifest: &mut Manifest, state: State| -> Result<(), DirectoryError> {
        manifest.state = state;
        manifest.finished = Some(crate::run::now());
        manifest.wall_seconds = progress.seconds();
        directory.write_manifest(manifest)?;
        log.event(
            "end",
            json!({ "state": state, "seconds": progress.seconds() }),
        );
        Ok(())
    };
    let interrupted = |manifest: &mut Manifest| -> Result<Ended, RunError> {
        close(manifest, State::Interrupted)?;
        Ok(Ended {
            state: State::Interrupted,
            directory: directory.clone(),
            metrics: None,
            was_complete: false,
        })
    };
    if interrupt.is_raised() {
        return interrupted(&mut manifest);
    }
    let partial = if failed.is_empty() {
        State::Complete
    } else {
        State::Partial
    };
    if let Err(error) = enough(&plan, &usable, &failed, &directory) {
        close(&mut manifest, State::Partial)?;
        return Err(error);
    }
    say(&format!("applying {} members", usable.len()));
    let metrics = predict_and_measure(&plan, bench, &usable, &manifest.failed, &directory)?;
    if interrupt.is_raised() {
        return interrupted(&mut manifest);
    }
    directory.write_json(&directory.metrics_path(), &metrics)?;
    close(&mut manifest, partial)?;
    say("drawing the report");
    let histories: Vec<Member> = usable.into_iter().chain(failed).collect();
    report::write(&directory, config, &manifest, &metrics, &histories)?;
    Ok(Ended {
        state: partial,
        directory,
        metrics: Some(metrics),
        was_complete: false,
    })
}

/// Draws the report of a run anew from its members and metrics.
///
/// # Errors
/// [`RunError`] if the run is not complete or cannot be read.
pub fn redo_report(path: &Path) -> Result<Ended, RunError> {
    let directory = RunDirectory::open(path)?;
    let config = crate::config::load(&directory.config_path(), &[])
        .map_err(|e| ReportError::Unfinished(format!("its config.toml: {e}")))?;
    let manifest = directory
        .manifest()?
        .filter(|m| matches!(m.state, State::Complete | State::Partial))
        .ok_or_else(|| ReportError::Unfinished("it is not finished".to_owned()))?;
    let metrics = report::read_metrics(&directory)?;
    let members = manifest
        .members
        .iter()
        .chain(&manifest.failed)
        .map(|m| Member::read(&directory.member(*m)))
        .collect::<Result<Vec<_>, StoreError>>()
        .map_err(TrainError::from)?;
    report::write(&directory, &config, &manifest, &metrics, &members)?;
    Ok(Ended {
        state: manifest.state,
        directory,
        metrics: Some(metrics),
        was_complete: false,
    })
}

/// Training threads of a configuration on this machine.
#[must_use]
pub(crate) fn threads(config: &Config) -> usize {
    match config.device.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n.min(1024),
    }
}

fn describe_sample(sample: &super::Sample, say: &dyn Fn(&str)) {
    let report = &sample.table.report;
    say(&format!(
        "{}: {} events in {} file(s)",
        sample.role,
        sample.table.len(),
        sample.files.len()
    ));
    if sample.ids_by_row {
        say(&format!(
            "{}: no data.{}.id, events are named by file and row: \
             adding or renaming files changes folds and bootstrap weights",
            sample.role, sample.role
        ));
    }
    if report.rows_dropped > 0 {
        let each: Vec<String> = report
            .rows_dropped_missing
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{name}: {n}"))
            .collect();
        say(&format!(
            "{}: dropped {} events with missing features ({})",
            sample.role,
            report.rows_dropped,
            each.join(", ")
        ));
    }
    if report.duplicate_ids > 0 {
        say(&format!(
            "{}: warning: {} events have the id of an earlier event; they share folds and \
             bootstrap weights. Give more id columns, or a namespace for each sample",
            sample.role, report.duplicate_ids
        ));
    }
}

fn open_log(directory: &RunDirectory) -> Result<RunLog, DirectoryError> {
    let path = directory.log_path();
    RunLog::open(&path).map_err(|source| DirectoryError::Io { path, source })
}

/// Members whose files are there and intact.
fn find_members(directory: &RunDirectory, plan: &Plan, say: &dyn Fn(&str)) -> Vec<Member> {
    (0..plan.config.ensemble.members)
        .filter_map(|number| {
            let path = directory.member(number);
            if !path.exists() {
                return None;
            }
            let member = match Member::read(&path) {
                Ok(member) => member,
                Err(error) => {
                    say(&format!("training member {number} anew: {error}"));
                    return None;
                }
            };
            let about = &member.about;
            let fits = about.member == number
                && about.seed == plan.config.experiment.seed
                && about.network == plan.settings.network
                && about.features == plan.scaling;
            if !fits {
                say(&format!(
                    "training member {number} anew: {} belongs to another run",
                    path.display()
                ));
            }
            fits.then_some(member)
        })
        .collect()
}

/// Names of the prediction files.
fn predictions(config: &Config) -> &'static [&'static str] {
    match config.experiment.method {
        Method::Reweight => &["source.parquet"],
        Method::Ratio => &["source.parquet", "target.parquet"],
    }
}

fn report_is_current(directory: &RunDirectory, config: &Config) -> bool {
    let used = directory.path().join("plots").join("report.toml");
    std::fs::read_to_string(used).is_ok_and(|old| old == report::settings_text(config))
}

fn train_missing(
    plan: &Plan,
    bench: Workbench<'_>,
    missing: &[u32],
    directory: &RunDirectory,
    log: &RunLog,
    quiet: bool,
) -> Result<(), RunError> {
    let members = u64::from(plan.config.ensemble.members);
    let progress = Progress::new(members, members - missing.len() as u64, quiet);
    progress.say(&format!(
        "training {} members on {}",
        missing.len(),
        bench.compute.name()
    ));
    let task = Task {
        sample: &plan.sample,
        settings: &plan.settings,
        seed: plan.config.experiment.seed,
        ensemble: ENSEMBLE,
        features: &plan.scaling,
    };
    let resources = Resources {
        compute: bench.compute,
        threads: bench.threads,
        block: plan.config.device.block,
    };
    let watch = Watch {
        progress: &progress,
        interrupt: bench.interrupt,
        log,
    };
    let store = |member: &Member| member.write(&directory.member(member.about.member));
    let result = train_local(&task, resources, missing, &watch, &store);
    progress.close();
    Ok(result?)
}

fn enough(
    plan: &Plan,
    usable: &[Member],
    failed: &[Member],
    directory: &RunDirectory,
) -> Result<(), RunError> {
    let requested = plan.config.ensemble.members;
    let needed = (plan.config.ensemble.minimum * f64::from(requested)).ceil() as usize;
    let unbounded = failed
        .iter()
        .filter(|m| matches!(m.about.outcome, Outcome::Unbounded { .. }))
        .count();
    if usable.len() >= needed.max(1) && Replicas::new(plan, usable).len() > 0 {
        return Ok(());
    }
    if unbounded * 2 > failed.len() {
        return Err(RunError::Unbounded {
            count: unbounded,
            requested,
        });
    }
    Err(RunError::TooFewMembers {
        usable: usable.len(),
        requested,
        needed,
        manifest: directory.manifest_path().display().to_string(),
    })
}

fn predict_and_measure(
    plan: &Plan,
    bench: Workbench<'_>,
    members: &[Member],
    failed: &[u32],
    directory: &RunDirectory,
) -> Result<Metrics, RunError> {
    let network = plan.network();
    let applier = Applier::new(bench.compute, bench.threads, &network, members)?;
    let replicas = Replicas::new(plan, members);
    let unnormalised =
        1.0 / (members.iter().map(|m| m.about.normalisation).sum::<f64>() / members.len() as f64);
    let mut accumulator = Accumulator::new(plan, &replicas);
    let method = plan.config.experiment.method;
    let yields = yields(plan);
    let trained = plan.training_region();
    let path = directory.predictions().join("source.parquet");
    atomic::write_with(&path, |file| {
        let table = &plan.source.table;
        let regions = plan.config.regions.keys().cloned().collect();
        let mut writer = PredictionWriter::new(file, table, regions, members)?;
        let combine = plan.config.ensemble.combine;
        let mut combiner = Combiner::new(&replicas, combine);
        let mut raw_combiner = Combiner::new(&replicas, combine);
        let mut raw = vec![0.0; members.len()];
        applier.for_each(&table.features, |row, ratios| {
            let weight = table.weights[row];
            let (key, in_training) = (table.ids.key[row], table.flags[row] >> trained & 1 == 1);
            let factor = column_factor(method, weight, yields);
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let (event, _) = combiner.event(&scaled, key, in_training);
            writer.push(event, scaled.iter().copied())?;
            for ((raw, ratio), member) in raw.iter_mut().zip(ratios).zip(members) {
                *raw = weight * ratio / (member.about.normalisation * unnormalised);
            }
            let (_, raw) = raw_combiner.event(&raw, key, in_training);
            let weights: Vec<f64> = ratios.iter().map(|r| r * weight).collect();
            let (event, values) = combiner.event(&weights, key, in_training);
            accumulator.push(event, values, raw);
            Ok::<(), ApplyError>(())
        })?;
        writer.finish()
    })?;
    if method == Method::Ratio {
        write_target(plan, &applier, &replicas, members, directory)?;
    }
    Ok(accumulator.metrics(members, failed, &applier, bench)?)
}

/// With the ratio as the product, the target's events have theirs too.
fn write_target(
    plan: &Plan,
    applier: &Applier,
    replicas: &Replicas,
    members: &[Member],
    directory: &RunDirectory,
) -> Result<(), ApplyError> {
    let table = &plan.target.table;
    let trained = plan.training_region();
    let yields = yields(plan);
    let path = directory.predictions().join("target.parquet");
    atomic::write_with(&path, |file| {
        let regions = plan.config.regions.keys().cloned().collect();
        let mut writer = PredictionWriter::new(file, table, regions, members)?;
        let mut combiner = Combiner::new(replicas, plan.config.ensemble.combine);
        applier.for_each(&table.features, |row, ratios| {
            let factor = column_factor(Method::Ratio, table.weights[row], yields);
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(&scaled, table.ids.key[row], in_training);
            writer.push(event, scaled.iter().copied())
        })?;
        writer.finish()
    })
}
