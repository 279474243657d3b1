//! A whole mixing, from samples to its result.

use super::likeness::likeness;
use super::make::{is_made, make, with_material};
use super::page;
use super::result::{FORMAT, MixingResult, RESULT, TEMPLATES, UncertaintyResult};
use super::signal::signals;
use super::summary::SetsSummary;
use super::uncertainties::{Study, fitted, replicas};
use crate::error::{Context, Error, Kind, OnFile, Result, counted};
use crate::report::numbers::percent;
use crate::rundir::{Progress, RunDirectory, RunState};
use crate::settings::{Config, Experiment, Fidelity, Places, Sets};
use crate::training::Interrupt;
use crate::workflow::{Ended, RunOptions, run, told_apart};
use serde_json::{Map, Value, json};
use sideband_likelihood::Likelihood as _;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::mixing::Nuisance;
use sideband_likelihood::workspace;
use std::fs;

/// The predictions of source events in a run directory.
const PREDICTIONS: &str = "source.parquet";

/// How a run of a mixing ended.
#[derive(Debug)]
pub(crate) struct Synthesised {
    /// How the training of its ensembles ended.
    pub training: Ended,
    /// The numbers, unless it was interrupted.
    pub result: Option<MixingResult>,
}

/// Mixes the sets of a run, trains their ensembles and that of the data, and makes uncertainties of
/// them.
///
/// # Errors
/// What was mixed and trained before it is kept, and running again goes on.
pub(crate) fn synthesise(
    experiment: &Experiment,
    config: &Config,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Synthesised> {
    let progress = Progress::new(options.quiet);
    let places = options.places();
    let signals = signals(config, &places)?;
    if let Some(training) = first_pass(experiment, config, options, interrupt)? {
        return Ok(Synthesised {
            training,
            result: None,
        });
    }
    let (root, summary) = begin(experiment, config, options, interrupt, &progress)?;
    let training = run(experiment, options, interrupt)?;
    if training.state == RunState::Interrupted || interrupt.is_raised() {
        return Ok(Synthesised {
            training,
            result: None,
        });
    }
    let study = Study {
        config,
        signals: &signals,
        summary: &summary,
        ends: &training.ensembles,
    };
    let stage = progress.stage("fitting", 0);
    let uncertainties = study.conclude()?;
    drop(stage);
    let mut auc = None;
    if let Some(apart) = config.apart() {
        progress.say("classifier of mixed data against the target");
        auc = told_apart(&apart, &places, interrupt, &progress)?;
        if interrupt.is_raised() {
            return Ok(Synthesised {
                training,
                result: None,
            });
        }
    }
    let mut result = MixingResult {
        format: FORMAT,
        method: "mix".to_owned(),
        experiment: config.experiment.name.clone(),
        settings: config.numbers(),
        notes: notes(config, &summary),
        likeness: likeness(
            &training.ensembles,
            &config.training.region,
            summary.sets.len(),
        ),
        auc,
        sets: summary,
        uncertainties,
    };
    let stage = progress.stage("drawing", 0);
    write(&root, config, &mut result)?;
    drop(stage);
    Ok(Synthesised {
        training,
        result: Some(result),
    })
}

/// Mixes the sets of a run and stops; says where they lie.
///
/// # Errors
/// As [`synthesise`].
pub(crate) fn mix(
    experiment: &Experiment,
    config: &Config,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<String> {
    let progress = Progress::new(options.quiet);
    if first_pass(experiment, config, options, interrupt)?.is_some() {
        let text = "stopped before the sets were mixed; run the same command again";
        return Err(Error::new(interrupt.kind(), text));
    }
    let (root, summary) = begin(experiment, config, options, interrupt, &progress)?;
    let events: usize = summary.sets.iter().map(|set| set.events).sum();
    let folder = root.join(Sets::FOLDER);
    Ok(format!(
        "{} with {} in {}",
        counted(summary.sets.len(), "set"),
        counted(events, "event"),
        folder.display()
    ))
}

/// Trains the ensemble that shapes the queries, if one does; how it ended, if it was stopped.
fn first_pass(
    experiment: &Experiment,
    config: &Config,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Option<Ended>> {
    let Some(first) = config.first_pass()? else {
        return Ok(None);
    };
    let out = options.out.join(Sets::FOLDER).join(Sets::FIRST);
    // what sets were made of stays as it is, however many members the others get
    let predicted = RunDirectory::folder(out.clone()).predictions();
    if is_made(&options.out) && predicted.join(PREDICTIONS).is_file() {
        return Ok(None);
    }
    RunDirectory::create_root(&options.out, experiment)?;
    let own = RunOptions {
        out,
        unblind: false,
        only: None,
        ..options.clone()
    };
    let ended = run(&first, &own, interrupt)?;
    if ended.state == RunState::Interrupted || interrupt.is_raised() {
        return Ok(Some(ended));
    }
    match ended.ensembles.into_iter().find_map(|end| end.error) {
        Some(error) => Err(error.at("the ensemble that shapes the queries")),
        None => Ok(None),
    }
}

fn begin(
    experiment: &Experiment,
    config: &Config,
    options: &RunOptions,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(RunDirectory, SetsSummary)> {
    let is_shaped = config.mixing.iter().any(|m| m.fidelity == Fidelity::Ratio);
    let first = RunDirectory::folder(options.out.join(Sets::FOLDER).join(Sets::FIRST));
    let first = is_shaped.then(|| first.predictions().join(PREDICTIONS));
    let places = options.places();
    with_material(config, &places, first.as_deref(), progress, |material| {
        let root = RunDirectory::create_root(&options.out, experiment)?;
        let summary = make(material, root.path(), interrupt, progress)?;
        // a run that is refused changes nothing
        root.close_again(options.unblind)?;
        Ok((root, summary))
    })
}

/// The sets of a configuration in words, after they have been mixed into a folder.
pub(crate) fn describe(config: &Config, places: &Places) -> Result<String> {
    signals(config, places)?;
    let (interrupt, quiet) = (Interrupt::default(), Progress::new(true));
    let sets = with_material(config, places, None, &quiet, |material| {
        make(material, &places.run, &interrupt, &quiet)
    })?;
    let events: usize = sets.sets.iter().map(|set| set.events).sum();
    let mut lines = vec![
        format!(
            "mixes {} into {} of {:.0} each",
            counted(sets.queries, "event"),
            counted(sets.sets.len(), "set"),
            events as f64 / sets.sets.len() as f64
        ),
        format!("{} of the weight cannot be mixed", percent(sets.unmixable)),
    ];
    lines.extend(sets.pools.iter().map(|pool| {
        format!(
            "pool of {} selected and {} tagged jets, {}: {}",
            pool.selected,
            pool.tagged,
            pool.other
                .map_or("any others".to_owned(), |n| counted(n, "other")),
            counted(pool.hemispheres, "hemisphere")
        )
    }));
    let is_shaped = config.mixing.iter().any(|m| m.fidelity == Fidelity::Ratio);
    if is_shaped {
        let text = "queries will be shaped by the ratio of a first ensemble, which is not trained \
                    here: what is said is of plain ones";
        lines.push(text.to_owned());
    }
    lines.extend(notes(config, &sets));
    Ok(lines.join("\n") + "\n")
}

/// What the user should know of the sets.
fn notes(config: &Config, sets: &SetsSummary) -> Vec<String> {
    let mut notes = Vec::new();
    if sets.expected > 1.0 {
        notes.push(format!(
            "sets share queries: an event is expected {:.1} times in all of them, each time with \
             other neighbours",
            sets.expected
        ));
        if !config.ensemble.bootstrap || replicas(config) < 2 {
            let text = "the variance is too small: models of sets that share queries do not vary \
                        by the number of events, and nor do members of the data's own ensemble \
                        without ensemble.bootstrap or with one replica alone";
            notes.push(text.to_owned());
        }
    }
    if sets.largest > 1.0 {
        notes.push(format!(
            "the heaviest event is expected {:.2} times in one set",
            sets.largest
        ));
    }
    notes
}

/// Writes the files of a result; that with all numbers comes last.
fn write(root: &RunDirectory, config: &Config, result: &mut MixingResult) -> Result<()> {
    let place = root.join(RESULT);
    if place.is_file() {
        fs::remove_file(&place).on(&place)?;
    }
    forget_workspaces(root)?;
    let mut templates = Map::new();
    let is_alone = result.uncertainties.len() == 1;
    for (name, of) in &result.uncertainties {
        templates.insert(name.clone(), template(of));
        let ending = match is_alone {
            true => String::new(),
            false => format!("_{name}"),
        };
        if let Some(signal) = &of.histograms.signal {
            let model = fitted(&of.region, of.background(), signal, of.used())?.model;
            export(root, &model, name, &ending)?;
        }
    }
    root.write_json(&root.join(TEMPLATES), &Value::Object(templates))?;
    let undrawn = page::write(root, config, result)?;
    result.notes.extend(undrawn);
    let bad = crate::files::not_finite(&result.uncertainties);
    if let Some(first) = bad.first() {
        let text = format!("numbers of the result are not finite: {first}");
        return Err(Error::data(text).at(root.path().display()));
    }
    root.write_json(&place, result)
}

/// Removes workspaces of an earlier result, whose uncertainties may have had other names.
fn forget_workspaces(root: &RunDirectory) -> Result<()> {
    for entry in fs::read_dir(root.path()).on(root.path())? {
        let path = entry.on(root.path())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        if is_json && name.starts_with("workspace") {
            fs::remove_file(&path).on(&path)?;
        }
    }
    Ok(())
}

/// Writes a model as a pyhf workspace, with what pyhf needs beside it and this program's numbers.
fn export(root: &RunDirectory, model: &HistogramModel, name: &str, ending: &str) -> Result<()> {
    let (workspace, settings) = workspace::export(model, name).of(Kind::Likelihood)?;
    let place = root.join(format!("workspace{ending}.json"));
    root.write_json(&place, &workspace)?;
    let likelihood = model.likelihood();
    let nominal = model.nominal();
    // a signal of strength one, and every variation at half of its error
    let moved = nominal.iter().enumerate();
    let moved = moved.map(|(k, x)| if k == 0 { x + 1.0 } else { x + 0.5 });
    let points = [nominal.clone(), moved.collect()];
    let text = root.read(&place)?;
    let value = |at: &[f64]| likelihood.value(at);
    let same = workspace::compare(text.as_bytes(), settings, model, &value, &points);
    same.at(Kind::Likelihood, place.display())?;
    let points = json!({
        "modifier_settings": settings.to_json(),
        "points": workspace::reference(model, &points),
    });
    root.write_json(
        &root.join(format!("workspace_points{ending}.json")),
        &points,
    )
}

/// A background with its variations, as events.
fn template(of: &UncertaintyResult) -> Value {
    let background = of.background();
    let times = |factors: &[f64]| -> Vec<f64> {
        let both = background.iter().zip(factors);
        both.map(|(h, f)| h * f).collect()
    };
    let variation = |n: &Nuisance| {
        let value = json!({ "down": times(&n.down), "up": times(&n.up) });
        (n.name.clone(), value)
    };
    json!({
        "region": of.region,
        "observable": of.label,
        "edges": of.histograms.edges,
        "background": background,
        "errors": of.model[1].iter().map(|v| v.sqrt()).collect::<Vec<f64>>(),
        "signal": of.histograms.signal,
        "variations": of.used().iter().map(variation).collect::<Map<String, Value>>(),
    })
}
