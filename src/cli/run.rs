//! What trains, and what makes or draws a result: `sideband run`, `extend`, `merge`,
//! `worker`, `cancel`, `predict` and `report`.

use super::exit::Exit;
use super::options::{
    ConfigArguments, ExtendArguments, MergeArguments, MixArguments, PredictArguments, RunArguments,
    TrainingArguments, WorkerArguments,
};
use super::out::{Done, print, print_verdict};
use crate::batch::{batch_system, cancel as cancel_jobs};
use crate::error::{Context, Error, Kind, Result, counted};
use crate::files::terminal::{self, say};
use crate::measurement::{
    HistogramFit, Measured, MeasurementResult, fit_histograms, measure, measurement_verdict,
    redraw_limit, redraw_measurement,
};
use crate::mixing::{
    MixingResult, Synthesised, mix as mix_sets, mixing_verdict, redraw_mixing, synthesise,
};
use crate::report::page::{PageVerdict, Status};
use crate::report::{EnsembleEnd, best, verdict};
use crate::results::{ComparisonMetrics, VerdictState};
use crate::rundir::{Progress, RunDirectory, RunState};
use crate::settings::{Experiment, Places, load_experiment};
use crate::training::Interrupt;
use crate::workflow::{
    Ended, PredictOptions, RunOptions, WorkOptions, extend as extend_run, merge as merge_runs,
    predict as predict_events, redo_matrix, redo_report, run as run_experiment, work,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Ensembles of a ranking that are named on the terminal.
const RANKED: usize = 3;
/// Width of the first column of what is said of a result.
const COLUMN: usize = 7;

pub(super) fn run(arguments: &RunArguments) -> Done {
    let (experiment, folder) = resolve(&arguments.config)?;
    let out = run_directory(arguments.out.as_ref(), &experiment);
    let options = RunOptions {
        only: arguments.only.clone().map(|r| r.0),
        folder,
        ..options(&out, arguments.config.unblind, arguments.training.quiet)
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    to_result(&experiment, &options, &interrupt)
}

/// Mixes the sets of a run, and trains nothing.
pub(super) fn mix(arguments: &MixArguments) -> Done {
    let (experiment, folder) = resolve(&arguments.config)?;
    let Some(config) = &experiment.mixing else {
        return Err(Error::usage(format!(
            "{}: nothing is mixed without method = \"mix\"",
            arguments.config.config.display()
        )));
    };
    let out = run_directory(arguments.out.as_ref(), &experiment);
    let options = RunOptions {
        folder,
        ..options(&out, arguments.config.unblind, arguments.training.quiet)
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    print(&mix_sets(&experiment, config, &options, &interrupt)?)
}

/// The run directory of an experiment.
pub(super) fn run_directory(out: Option<&PathBuf>, experiment: &Experiment) -> PathBuf {
    let own = || Path::new("runs").join(experiment.name());
    out.cloned().unwrap_or_else(own)
}

/// How a run is done whose data paths start from the working directory.
pub(super) fn options(out: &Path, unblind: bool, quiet: bool) -> RunOptions {
    RunOptions {
        out: out.to_owned(),
        folder: PathBuf::new(),
        unblind,
        quiet,
        only: None,
    }
}

pub(super) fn extend(arguments: &ExtendArguments) -> Done {
    let (root, folder) = go_to(&arguments.run)?;
    let options = RunOptions {
        folder,
        ..options(root.path(), arguments.unblind, arguments.training.quiet)
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    let ended = extend_run(&root, arguments.members, &options, &interrupt)?;
    let experiment = root.experiment()?;
    if experiment.measurement.is_some() || experiment.mixing.is_some() {
        // what is made of all ensembles is of all members
        return to_result(&experiment, &options, &interrupt);
    }
    print_ended(&ended, &interrupt)
}

pub(super) fn merge(arguments: &MergeArguments) -> Done {
    // the paths as they stay true in another folder
    let open = |path: &PathBuf| {
        let absolute = std::path::absolute(path).at(Kind::Internal, path.display());
        RunDirectory::open(&absolute?)
    };
    let others = arguments.others.iter().map(open);
    let others = others.collect::<Result<Vec<_>>>()?;
    let (root, folder) = go_to(&arguments.run)?;
    let merged = merge_runs(&root, &others)?;
    print(&format!(
        "{} taken over, {} there and equal, {} there and different, {} missing",
        counted(merged.taken, "member"),
        merged.equal,
        merged.different,
        merged.missing
    ))?;
    if merged.missing > 0 {
        print("run the configuration into this directory to train what is missing")?;
        return Ok(Exit::Partial);
    }
    let options = RunOptions {
        folder,
        ..options(root.path(), arguments.unblind, arguments.training.quiet)
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    to_result(&root.experiment()?, &options, &interrupt)
}

/// Trains a block; idempotent, shares nothing with others but the run directory.
pub(super) fn worker(arguments: &WorkerArguments) -> Done {
    let (root, folder) = go_to(&arguments.run)?;
    let options = RunOptions {
        folder,
        ..options(root.path(), false, arguments.training.quiet)
    };
    let interrupt = stop_on_signal(&arguments.training)?;
    let wanted = WorkOptions {
        block: arguments.block,
        block_members: arguments.block_members,
        devices: arguments.device.as_deref(),
    };
    let is_done = work(&root, &wanted, &options, &interrupt)?;
    let what = match arguments.block {
        Some(block) => format!("block {block}"),
        None => "every block".to_owned(),
    };
    if is_done {
        return print(&format!("{what} is done"));
    }
    print(&format!("{what}: not all is done, start again to go on"))?;
    Ok(exit_of_part(&interrupt))
}

/// Ends a run's jobs in a batch system; what is finished or saved stays.
pub(super) fn cancel(run: &Path) -> Done {
    let (root, _) = go_to(run)?;
    let experiment = root.experiment()?;
    let config = &experiment.common().executor;
    let (name, folder) = (&experiment.common().experiment.name, root.join("batch"));
    let Some(system) = batch_system(config, &Interrupt::default()) else {
        return Err(Error::usage(
            "the run is not in a batch system; stop it where it was started (Ctrl-C)",
        ));
    };
    let jobs = cancel_jobs(&*system, name, &folder)?;
    print(&format!("{} cancelled", counted(jobs, "job")))
}

pub(super) fn predict(arguments: &PredictArguments) -> Done {
    let options = PredictOptions {
        data: arguments.data.clone(),
        out: arguments.out.clone(),
        selection: arguments.selection.clone(),
        weight: arguments.weight.clone(),
        id: arguments.id.clone(),
        device: arguments.device.clone(),
        unblind: arguments.unblind,
    };
    let done = predict_events(&arguments.run, &options, &Progress::new(false))?;
    for reason in &done.reasons {
        terminal::say(&format!("warning: {reason}"));
    }
    let without = match done.without {
        0 => String::new(),
        n => format!(", {n} of them without a prediction (null)"),
    };
    let (events, out) = (counted(done.events, "event"), arguments.out.display());
    print(&format!("{events} in {out}{without}"))
}

/// Draws what is there anew. It neither trains nor fits.
pub(super) fn report(run: &Path) -> Done {
    let root = RunDirectory::open(run)?;
    let experiment = root.experiment()?;
    let progress = Progress::new(false);
    if let Some(limit) = &experiment.limit {
        root.check_links()?;
        return print_measurement(&redraw_limit(&root, limit, &progress)?, &root);
    }
    if let Some(measurement) = &experiment.measurement {
        root.check_links()?;
        return print_measurement(
            &redraw_measurement(&root, &experiment, measurement, &progress)?,
            &root,
        );
    }
    if let Some(config) = &experiment.mixing {
        root.check_links()?;
        return print_mixing(
            &redraw_mixing(&root, &experiment, config, &progress)?,
            &root,
        );
    }
    if experiment.is_matrix {
        let ended = redo_matrix(&root, &experiment, &progress)?;
        return print_ended(&ended, &Interrupt::default());
    }
    print_ensemble(&redo_report(run, None, &progress)?)
}

/// Trains what is missing, makes the result, and says how it ended.
fn to_result(experiment: &Experiment, options: &RunOptions, interrupt: &Interrupt) -> Done {
    if let Some(limit) = &experiment.limit {
        if options.only.is_some() {
            experiment.check_trains()?;
        }
        let fitted = fit_histograms(experiment, limit, options, interrupt)?;
        return print_fitted(&fitted, interrupt);
    }
    if let Some(measurement) = &experiment.measurement {
        let measured = measure(experiment, measurement, options, interrupt)?;
        return print_measured(&measured, interrupt);
    }
    if let Some(config) = &experiment.mixing {
        let made = synthesise(experiment, config, options, interrupt)?;
        return print_synthesised(&made, interrupt);
    }
    let ended = run_experiment(experiment, options, interrupt)?;
    print_ended(&ended, interrupt)
}

/// Runs an experiment without a word, for users of the library. What the command would end
/// with another exit code than 0 is an error.
pub(crate) fn run_quietly(
    experiment: &Experiment,
    folder: &Path,
    out: &Path,
) -> Result<RunDirectory> {
    let options = RunOptions {
        folder: folder.to_owned(),
        ..options(out, false, true)
    };
    let interrupt = Interrupt::default();
    if let Some(limit) = &experiment.limit {
        let fitted = fit_histograms(experiment, limit, &options, &interrupt)?;
        return match fitted.is_whole {
            true => Ok(fitted.directory),
            false => {
                let text = "a part of the result is missing; see its report";
                let place = fitted.directory.path().display();
                Err(Error::new(Kind::Partial, text).at(place))
            }
        };
    }
    let (ended, is_whole) = match &experiment.measurement {
        Some(measurement) => {
            let measured = measure(experiment, measurement, &options, &interrupt)?;
            let is_whole = measured.is_whole && measured.result.is_some();
            (measured.training, is_whole)
        }
        None => match &experiment.mixing {
            Some(config) => {
                let made = synthesise(experiment, config, &options, &interrupt)?;
                let is_whole = made.result.is_some();
                (made.training, is_whole)
            }
            None => (run_experiment(experiment, &options, &interrupt)?, true),
        },
    };
    let place = ended.directory.path().display();
    if ended.ensembles.iter().any(is_no_result) {
        return Err(
            Error::data("numbers of the result are not finite; its report says where").at(place),
        );
    }
    if ended.state != RunState::Complete || !is_whole {
        let failed = ended.ensembles.iter().find_map(|end| end.error.as_ref());
        let why = failed.map_or_else(String::new, |error| format!(": {error}"));
        let text =
            format!("members failed or a part of the result is missing{why}; see its report");
        return Err(Error::new(Kind::Partial, text).at(place));
    }
    Ok(ended.directory)
}

fn print_measured(measured: &Measured, interrupt: &Interrupt) -> Done {
    let Some(result) = &measured.result else {
        return print_ended(&measured.training, interrupt);
    };
    print_measurement(result, &measured.training.directory)?;
    Ok(match measured.training.state {
        RunState::Complete if measured.is_whole => Exit::Ok,
        _ => Exit::Partial,
    })
}

fn print_fitted(fitted: &HistogramFit, interrupt: &Interrupt) -> Done {
    let Some(result) = &fitted.result else {
        let path = fitted.directory.path().display();
        print(&format!(
            "interrupted; run the same command again to make the result in {path}"
        ))?;
        return Ok(exit_of_part(interrupt));
    };
    print_measurement(result, &fitted.directory)?;
    Ok(match fitted.is_whole {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

fn print_synthesised(made: &Synthesised, interrupt: &Interrupt) -> Done {
    let Some(result) = &made.result else {
        return print_ended(&made.training, interrupt);
    };
    print_mixing(result, &made.training.directory)?;
    Ok(match made.training.state {
        RunState::Complete => Exit::Ok,
        _ => Exit::Partial,
    })
}

/// Says what a mixing found and where it lies.
fn print_mixing(result: &MixingResult, directory: &RunDirectory) -> Done {
    print_verdict(&mixing_verdict(result), COLUMN)?;
    print_places(directory)
}

/// Says what a measurement found and where it lies.
fn print_measurement(result: &MeasurementResult, directory: &RunDirectory) -> Done {
    print_verdict(&measurement_verdict(result), COLUMN)?;
    print_places(directory)
}

fn print_places(directory: &RunDirectory) -> Done {
    print(&format!("result  {}", directory.path().display()))?;
    print(&format!("report  {}", directory.report_path().display()))
}

/// The experiment with what the command line puts on top of it, and the folder from which its
/// paths start.
pub(super) fn resolve(arguments: &ConfigArguments) -> Result<(Experiment, PathBuf)> {
    let mut settings = arguments.set.clone();
    if let Some(device) = &arguments.device {
        settings.push(format!("device.name={device:?}"));
    }
    if let Some(executor) = &arguments.executor {
        settings.push(format!("executor.kind={executor:?}"));
    }
    let experiment = load_experiment(&arguments.config, &settings)?;
    experiment.check_uses()?;
    let remarks = experiment.remarks();
    let notes = experiment.renamed.iter().chain(&remarks);
    notes.for_each(|note| say(note));
    let places = Places {
        folder: folder_of(&arguments.config),
        ..Places::default()
    };
    let notes = places.notes(&experiment)?;
    notes.iter().for_each(|note| say(note));
    experiment.unscaled().iter().for_each(|note| say(note));
    Ok((experiment, places.folder))
}

/// The folder from which the paths of a configuration start: its own, or of one in a run
/// directory that of the one that the run was started with.
fn folder_of(config: &Path) -> PathBuf {
    let own = config.parent().unwrap_or(Path::new(""));
    let of_run = || {
        let is_runs = config.file_name()? == "config.toml";
        let run = RunDirectory::open(&Path::new(".").join(own)).ok();
        let run = run.filter(|_| is_runs)?;
        let manifest = run.manifest().ok()??;
        let folder = Path::new(&manifest.base?).join(manifest.folder.unwrap_or_default());
        folder.is_dir().then_some(folder)
    };
    of_run().unwrap_or_else(|| own.to_owned())
}

/// Opens a run and goes to the folder it was started in; gives that of its configuration, from
/// which its data paths start.
fn go_to(run: &Path) -> Result<(RunDirectory, PathBuf)> {
    let path = std::path::absolute(run).at(Kind::Data, run.display())?;
    let root = RunDirectory::open(&path)?;
    root.check_links()?;
    root.experiment()?.check_trains()?;
    if let Some(matrix) = root.matrix() {
        return Err(Error::usage(format!(
            "{} is one ensemble of a matrix; name the directory of all of them, {}",
            path.display(),
            matrix.display()
        )));
    }
    let manifest = root.manifest()?;
    let folder = manifest.as_ref().and_then(|m| m.folder.clone());
    if let Some(base) = manifest.and_then(|m| m.base) {
        let base = PathBuf::from(base);
        std::env::set_current_dir(&base).map_err(|e| {
            Error::data(format!(
                "the run was started in {}, from which its data paths start: {e}; run its \
                 config.toml with --out in the folder that has the data",
                base.display()
            ))
        })?;
    }
    Ok((root, folder.map(PathBuf::from).unwrap_or_default()))
}

/// Says how a run ended: verdicts and where the result lies.
fn print_ended(ended: &Ended, interrupt: &Interrupt) -> Done {
    let path = ended.directory.path().display();
    for end in &ended.ensembles {
        let has_ended = end.metrics.is_some() || end.error.is_some();
        if ended.is_matrix && has_ended {
            print(&format!("{}:", end.name))?;
        }
        print_ensemble(end)?;
    }
    let compared = ended.compared.as_ref();
    let missing = compared
        .filter(|_| ended.state != RunState::Interrupted)
        .map(ComparisonMetrics::missing)
        .unwrap_or_default();
    let missing = missing
        .into_iter()
        .map(|line| PageVerdict::new(Status::Warning, format!("comparison, {line}")));
    let has_ended = ended.state != RunState::Interrupted;
    let ranked = has_ended.then(|| best(&ended.ensembles, RANKED));
    let ranked = ranked
        .flatten()
        .map(|line| PageVerdict::new(Status::Info, line));
    print_verdict(&missing.chain(ranked).collect::<Vec<_>>(), COLUMN)?;
    if ended.is_matrix {
        print(&format!("run     {path}"))?;
        let report = ended.directory.report_path();
        if report.is_file() {
            print(&format!("report  {}", report.display()))?;
        }
    }
    match ended.state {
        RunState::Interrupted if ended.is_part && !interrupt.is_raised() => {
            print(&format!(
                "the members asked for are in {path}; the result is left to `merge`, or to a run \
                 without --only"
            ))?;
            Ok(Exit::Ok)
        }
        RunState::Interrupted | RunState::Running => {
            let exit = exit_of_part(interrupt);
            let why = match exit {
                Exit::TimeLimit => "time limit reached",
                Exit::Interrupted => "interrupted",
                _ => "members are missing",
            };
            print(&format!(
                "{why}; what is finished is in {path}, run the same command again to go on"
            ))?;
            Ok(exit)
        }
        _ if ended.ensembles.iter().any(is_no_result) => Ok(Exit::Data),
        RunState::Partial => Ok(Exit::Partial),
        RunState::Complete => Ok(Exit::Ok),
    }
}

/// The exit code where members are missing.
fn exit_of_part(interrupt: &Interrupt) -> Exit {
    match interrupt.is_raised() {
        true => interrupt.kind().into(),
        false => Exit::Partial,
    }
}

/// Whether the numbers of an ensemble are none to be used.
fn is_no_result(end: &EnsembleEnd) -> bool {
    let verdict = end.metrics.as_ref().map(|m| m.verdict.state);
    verdict == Some(VerdictState::NotFinite)
}

fn print_ensemble(end: &EnsembleEnd) -> Done {
    if let Some(error) = &end.error {
        print_verdict(&[PageVerdict::new(Status::Bad, error.to_string())], COLUMN)?;
    }
    let Some(metrics) = &end.metrics else {
        return Ok(Exit::Ok);
    };
    print_verdict(&verdict(metrics, &end.config), COLUMN)?;
    let exit = print_places(&end.directory)?;
    Ok(if is_no_result(end) { Exit::Data } else { exit })
}

/// The first Ctrl-C or SIGTERM asks to stop, the second ends at once; a time
/// limit asks to stop as well.
fn stop_on_signal(arguments: &TrainingArguments) -> Result<Arc<Interrupt>> {
    let interrupt = Arc::new(Interrupt::default());
    let raised = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if raised.raise() {
            std::process::exit(Exit::Interrupted as i32);
        }
    })
    .at(Kind::Internal, "cannot listen to signals")?;
    if let Some(seconds) = arguments.time_limit {
        let raised = Arc::clone(&interrupt);
        // ends with the process
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            raised.raise_by_time();
        });
    }
    Ok(interrupt)
}
