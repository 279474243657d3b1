//! A whole measurement, from samples to its result.

use super::backgrounds::{Growing, check_without, takes_all, words};
use super::event_file::Evaluated;
use super::events::{Events, observed, reference, unseen, withheld};
use super::export::{export, named};
use super::files;
use super::finite_sample::Trainings;
use super::generate::generate;
use super::likelihoods::{Data, Likelihoods};
use super::model::{Analysis, Parameters, no_likelihood};
use super::notes::{Remarks, add_notes};
use super::page::{Sheet, facts, kept};
use super::plan::{Plan, plan};
use super::ratios::{Columns, Ensembles};
use super::result::{
    BackgroundResult, ContourResult, FORMAT, FiniteSample, FitResult, LimitResult,
    MeasurementResult, RESULT, ScanResult,
};
use super::rules::check_rates;
use super::samples::Reader;
use super::toys::{NORMALISATION, Toys};
use super::trust::examine;
use crate::error::{Error, Kind, Result, counted};
use crate::report::numbers::joined;
use crate::rundir::{Progress, RunDirectory, RunState};
use crate::settings::{EnsembleSpec, Experiment, Measurement, Places};
use crate::training::Interrupt;
use crate::workflow::{Ended, RunOptions, run};
use indexmap::IndexMap;
use sideband_likelihood::fit::Fit;
use sideband_networks::Compute;
use std::time::Instant;

/// How a measurement ended.
#[derive(Debug)]
pub(crate) struct Measured {
    /// How the training of its ratios ended.
    pub training: Ended,
    /// The numbers, unless it was interrupted.
    pub result: Option<MeasurementResult>,
    /// Whether all that was asked for is there; [`MeasurementResult::missing`] says what is
    /// not.
    pub is_whole: bool,
}

/// Generates, checks, trains and measures.
///
/// # Errors
/// What was trained before it is kept, and running again goes on.
pub(crate) fn measure(
    experiment: &Experiment,
    measurement: &Measurement,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Measured> {
    let progress = Progress::new(options.quiet);
    Parameters::new(measurement, None).check(measurement)?;
    let root = RunDirectory::create_root(&options.out, experiment)?;
    generate(measurement, root.path(), &progress)?;
    let places = options.places();
    let reader = Reader::new(measurement, places.clone(), options.unblind)?;
    let prepared = prepare(&reader, &places, &progress)?;
    // a run that is refused changes nothing
    root.close_again(options.unblind)?;
    let training = run(experiment, options, interrupt)?;
    if training.state == RunState::Interrupted || interrupt.is_raised() {
        return Ok(Measured {
            training,
            result: None,
            is_whole: false,
        });
    }
    if let Some(error) = training.ensembles.iter().find_map(|e| e.error.as_ref()) {
        return Err(no_likelihood(format!("a ratio has no result: {error}")));
    }
    let parameters = Parameters::new(&prepared.measurement, None);
    let analysis = Analysis {
        measurement: &prepared.measurement,
        plan: &prepared.plan,
        parameters: &parameters,
    };
    let config = &experiment.common().device;
    let first = config.names().next().unwrap_or("cpu");
    let study = Study {
        analysis,
        prepared: &prepared,
        reader: &reader,
        ensembles: Ensembles {
            analysis,
            ends: &training.ensembles,
            compute: Compute::open(first)?.with_kernels(config.kernels),
            threads: match config.threads {
                0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                n => n.min(1024),
            },
        },
        ratios: &experiment.ensembles,
        root: &root,
        output: files::stage(&root)?,
        interrupt,
        progress: &progress,
    };
    let result = study.conclude();
    if result.is_err() {
        // nobody finishes it
        let _ = std::fs::remove_dir_all(study.output.path());
    }
    let result = result?;
    Ok(Measured {
        training,
        is_whole: result.missing.is_empty(),
        result: Some(result),
    })
}

/// Samples and runs that were read and checked.
struct Prepared {
    /// With the nuisance parameters of backgrounds.
    measurement: Measurement,
    plan: Plan,
    /// Names of these parameters.
    added: Vec<String>,
    backgrounds: Vec<BackgroundResult>,
}

/// Reads all samples and runs, and checks everything that can be checked before training.
fn prepare(reader: &Reader<'_>, places: &Places, progress: &Progress) -> Result<Prepared> {
    let base = reader.measurement;
    let mut growing = Growing::new(base, places, plan(reader, progress)?);
    let is_closed = reader.blinding.is_closed();
    let blind = base.regions.iter().filter(|(_, r)| r.blind && is_closed);
    growing.hidden = blind
        .map(|(name, r)| (format!("regions.{name}.selection"), r.selection.clone()))
        .collect();
    let unbinned = base.regions.get(&base.training.region);
    growing.apart = unbinned.map(|r| ("training.region".to_owned(), r.selection.clone()));
    let mut backgrounds = Vec::new();
    for (name, _) in base.samples.iter().filter(|(_, s)| s.is_run()) {
        backgrounds.push(growing.read(name, progress)?);
    }
    let Growing {
        measurement,
        mut plan,
        added,
        ..
    } = growing;
    check_rates(&Analysis {
        measurement: &measurement,
        plan: &plan,
        parameters: &Parameters::new(&measurement, None),
    })?;
    super::toys::check(base)?;
    let events = observed(reader, &plan)?;
    let mut templates = Vec::new();
    if let Some(events) = events {
        progress.say(&format!("observed: {}", counted(events.len(), "event")));
        let losses = events.losses.iter();
        losses.for_each(|l| plan.note_losses(l, None));
        templates = events.templates;
    }
    let notes = check_without(base, &plan, &templates)?;
    plan.notes.extend(notes);
    plan.files.extend(reader.files().remove_entry("observed"));
    Ok(Prepared {
        measurement,
        plan,
        added,
        backgrounds,
    })
}

/// A measurement's model in words, after all checks that need no training. Samples are
/// generated into the run directory if the configuration asks for that.
pub(crate) fn describe(measurement: &Measurement, places: Places, unblind: bool) -> Result<String> {
    Parameters::new(measurement, None).check(measurement)?;
    let quiet = Progress::new(true);
    generate(measurement, &places.run, &quiet)?;
    let reader = Reader::new(measurement, places.clone(), unblind)?;
    let Prepared {
        plan, backgrounds, ..
    } = prepare(&reader, &places, &quiet)?;
    let mut lines = vec![format!(
        "measures {} without bins in {}, against the reference {}",
        measurement.measurement.interest.join(" and "),
        measurement.training.region,
        measurement.measurement.reference.join(" + ")
    )];
    for process in plan.measured() {
        let scaled = reader.recorded(&process.name, process.scale);
        let scaled = scaled.map(|scale| format!(", scaled by {scale:?}"));
        lines.push(format!(
            "{}: {}, rate {}, times {}{}",
            process.name,
            counted(process.events, "event"),
            joined(process.rate(), &[process.scale * process.sum_error], " +- "),
            measurement.samples[&process.name].coefficient,
            scaled.unwrap_or_default()
        ));
    }
    for of in &backgrounds {
        let [rate, error] = of.expected;
        lines.push(format!(
            "{}: {}, rate {}, times {}, from {}, {} of it, in channels alone",
            of.sample,
            counted(of.events, "event"),
            joined(rate, &[error], " +- "),
            measurement.samples[&of.sample].coefficient,
            of.run,
            counted(of.replicas, "replica")
        ));
        lines.push(words(of));
    }
    for ((systematic, process), varied) in &plan.varied {
        // those of backgrounds are said above
        let Some(config) = measurement.systematics.get(systematic) else {
            continue;
        };
        let [down, up] = varied.rates;
        let shape = config.shape && varied.sums.is_some();
        lines.push(format!(
            "{systematic} on {process}: rate x {down:.4} at -1, x {up:.4} at +1{}",
            if shape { ", and the density" } else { "" }
        ));
    }
    // what is hidden, and what is left to be measured
    let hidden: Vec<&str> = reader.blinding.hidden_regions().collect();
    let hidden = hidden.join(", ");
    match withheld(measurement, &plan) {
        _ if hidden.is_empty() => {}
        Some(reason) => lines.push(format!(
            "blind regions: {hidden}; {reason}: the observed events are not opened, all numbers \
             are of expected events (Asimov data), and of the limit there is the expected one alone"
        )),
        None => lines.push(format!(
            "blind regions: {hidden}; observed events in them are hidden"
        )),
    }
    let ratios = measurement.ratios().len();
    let second = measurement.measurement.finite_sample_members;
    let networks = ratios as u64 * u64::from(measurement.ensemble.members + second);
    let ensembles = if second > 0 { 2 * ratios } else { ratios };
    lines.push(format!(
        "{}: {}, {}\n\n",
        counted(ratios, "ratio"),
        counted(ensembles, "ensemble"),
        counted(networks, "network")
    ));
    lines.extend(plan.notes);
    Ok(lines.join("\n"))
}

/// A measurement whose ratios are trained: what is read, and where its result goes.
struct Study<'a> {
    /// Without the error of the finite training sample.
    analysis: Analysis<'a>,
    prepared: &'a Prepared,
    reader: &'a Reader<'a>,
    ensembles: Ensembles<'a>,
    /// What the ensembles are of.
    ratios: &'a [EnsembleSpec],
    root: &'a RunDirectory,
    /// Where the files of the result are written before they are put in their place.
    output: RunDirectory,
    interrupt: &'a Interrupt,
    progress: &'a Progress,
}

impl Study<'_> {
    fn conclude(&self) -> Result<MeasurementResult> {
        let (base, reader, progress) = (self.analysis, self.reader, self.progress);
        let (measurement, plan) = (base.measurement, base.plan);
        let asked = &measurement.measurement;
        let (ratios, trust) = examine(&self.ensembles, reader, progress)?;
        progress.say("evaluating the ratios");
        let stage = progress.stage("evaluating", 0);
        let observed = observed(reader, plan)?;
        let is_observed = observed.is_some();
        let events = match observed {
            Some(events) => events,
            None => self.asimov()?,
        };
        let pool = reference(reader, plan)?;
        let columns = base.evaluate(&ratios, &events, self.root)?;
        let pool_columns = base.learned(&ratios, &pool.features, pool.weights.clone())?;
        drop(stage);
        let mut remarks = self.remarks()?;
        let (finite, curve) = match asked.finite_sample_members {
            0 => None,
            _ => {
                progress.say("finite training sample: fits of every member");
                let pool = (&pool, &pool_columns);
                let found = self.finite_sample(&events, &columns, pool);
                remarks.without(found, "no error of the finite training sample")?
            }
        }
        .unzip();
        let parameters = Parameters::new(measurement, curve);
        let analysis = Analysis {
            parameters: &parameters,
            ..base
        };
        let made = Likelihoods::new(analysis, &events, &columns, &pool_columns)?;
        let point: Vec<f64> = made.parameters().iter().map(|p| p.nominal).collect();
        let added = &self.prepared.added;
        let emptied = takes_all(&parameters, added, (&made.channels, &point));
        remarks.notes.extend(emptied);
        let channel = &made.events.channel;
        let over_pool = channel.with_sample(pool_columns.sample()?);
        let over_pool = over_pool.map_err(no_likelihood)?;
        progress.say("fitting");
        let stage = progress.stage("fitting", 0);
        let started = Instant::now();
        let mut best = analysis.best(&made.model).map_err(|e| made.reason(e))?;
        let mut scans = IndexMap::new();
        for place in analysis.interest() {
            let name = parameters.list[place].name.clone();
            let scan = analysis.scan(&made.model, &mut best, place);
            if let Some(scan) = remarks.without(scan, &format!("no scan of {name}"))? {
                scans.insert(name, scan);
            }
        }
        let fit = analysis.fit_result(&made.model, &best, started);
        let impacts = analysis.impacts(&made.model, &best, &fit);
        let impacts = remarks.without(impacts, "no impacts")?;
        if let Some(histograms) = &made.histograms {
            base.histogram_curves(histograms, &mut scans);
        }
        match &columns {
            Evaluated::Memory(_) => base.exact_curves(&events, &pool, &mut scans)?,
            Evaluated::File(_) => remarks.notes.push(format!(
                "{} events are more than measurement.stream_above: they are streamed from a file, \
                 and not compared with exact ratios",
                events.len()
            )),
        }
        drop(stage);
        let mut thrown = None;
        if let Some(config) = &measurement.toys {
            let toys = Toys {
                analysis,
                config,
                reader,
                ratios: &ratios,
                made: &made,
                best: &best,
                reference: (&pool, &pool_columns),
            };
            let name = &asked.interest[0];
            let parameter = fit.parameters.iter().find(|p| p.name == *name);
            let found = match parameter.and_then(|p| p.not_measured.as_ref()) {
                Some(why) => {
                    let text = format!("{name} is not measured: {why}");
                    Err(Error::new(Kind::NotMeasured, text))
                }
                None => toys.report(scans.get(name), self.root, self.interrupt, progress),
            };
            thrown = remarks.without(found, "no toys")?;
        }
        let data = Data {
            model: made.model.clone(),
            pool: &over_pool,
            weights: &pool.weights,
            histograms: &made.channels,
        };
        let limit = self.limit(analysis, &data, &fit, &scans);
        let contours = self.contours(analysis, &data, &best, &fit);
        let checks = made.checks(&best)?;
        files::check_unchanged(&plan.files, &reader.files())?;
        let mut histogram_limit = None;
        let mut fitted = vec![named(analysis, made.parameters(), &best)];
        if let Some(histograms) = &made.histograms {
            let config = asked.limit.as_ref();
            histogram_limit = config.and_then(|c| base.histogram_limit(c, histograms, is_observed));
            let prior = parameters.prior.clone();
            if let Ok(best) = base.best(&histograms.likelihood().with_prior(prior)) {
                fitted.push(named(analysis, &histograms.parameters, &best));
            }
        }
        let histograms = made.histograms.as_ref();
        let histograms = histograms.map(|model| (model, made.asked.as_slice()));
        let export = export(analysis, &self.output, histograms, &fitted, &[])?;
        if let Some(reason) = export.reason.as_ref().filter(|_| export.is_wrong) {
            remarks.miss(format!("there is no workspace.json: {reason}"));
        }
        let rates = plan.measured();
        let rates = rates.map(|p| (p.name.clone(), [p.rate(), p.scale * p.sum_error]));
        let mut result = MeasurementResult {
            format: FORMAT,
            method: "measure".to_owned(),
            experiment: measurement.experiment.name.clone(),
            data: if is_observed { "observed" } else { "asimov" }.to_owned(),
            events: events.len(),
            weight: events.weights.iter().sum(),
            expected: channel.rates(&best.point).iter().sum(),
            rates: rates.collect(),
            fit,
            scans,
            impacts: impacts.unwrap_or_default(),
            limit,
            histogram_limit,
            contours,
            checks,
            finite_sample: finite,
            toys: thrown,
            missing: remarks.missing,
            ratios: trust,
            backgrounds: self.prepared.backgrounds.clone(),
            yields: IndexMap::new(),
            limit_impacts: None,
            limit_scans: Vec::new(),
            replica_limits: Vec::new(),
            export,
            inputs: plan.files.clone(),
            files: Vec::new(),
            losses: plan.losses.clone(),
            notes: remarks.notes,
        };
        add_notes(&mut result);
        self.write(analysis, &mut result, (&made, &best), (&pool, &over_pool))?;
        let has_events = matches!(columns, Evaluated::File(_));
        files::publish(
            self.root,
            &self.output,
            measurement.toys.is_some(),
            has_events,
        )?;
        // as the configuration has it, without what backgrounds add
        files::record_settings(self.root, reader.measurement.numbers())?;
        Ok(result)
    }

    /// What is known before anything is fitted.
    fn remarks(&self) -> Result<Remarks> {
        let Analysis {
            measurement, plan, ..
        } = self.analysis;
        let mut notes = files::record_inputs(self.root, &plan.files)?;
        notes.extend(plan.notes.iter().cloned());
        notes.extend(withheld(measurement, plan).map(|reason| {
            format!(
                "{reason}: they were not opened, and all numbers here are of expected events \
                 (Asimov data)"
            )
        }));
        Ok(Remarks {
            notes,
            ..Remarks::default()
        })
    }

    /// Events that the model expects at its nominal point, which no network has seen.
    fn asimov(&self) -> Result<Events> {
        let nominal = self.analysis.parameters.nominal();
        let mut events = Events::default();
        for process in self.analysis.unbinned_processes()? {
            let rate = process.rate.value(&nominal);
            if rate != 0.0 {
                unseen(self.reader, &process.name, rate, &mut events)?;
            }
        }
        Ok(events)
    }

    /// The error of the finite training sample, and the same as a function of the parameter.
    fn finite_sample(
        &self,
        events: &Events,
        columns: &Evaluated,
        (pool, pool_columns): (&Events, &Columns),
    ) -> Result<(FiniteSample, sideband_likelihood::Spline)> {
        let trainings = Trainings {
            ensembles: &self.ensembles,
            analysis: self.analysis,
            made: &Likelihoods::new(self.analysis, events, columns, pool_columns)?,
            pool: &pool.thinned(NORMALISATION),
            columns: &pool_columns.thinned(NORMALISATION),
            progress: self.progress,
        };
        trainings.error()
    }

    /// The upper limit that is asked for.
    fn limit(
        &self,
        analysis: Analysis<'_>,
        data: &Data<'_>,
        found: &FitResult,
        scans: &IndexMap<String, ScanResult>,
    ) -> Option<LimitResult> {
        let asked = &analysis.measurement.measurement;
        let config = asked.limit.as_ref()?;
        self.progress.say("upper limit");
        let _stage = self.progress.stage("upper limit", 0);
        let name = config.poi.as_ref().unwrap_or(&asked.interest[0]);
        let curve = scans.get(name).and_then(|s| s.curves.get("profiled"));
        let points = curve.iter().flat_map(|c| &c.points);
        let scanned: Vec<f64> = points.map(|p| p[0]).collect();
        let is_hidden = !analysis.plan.hidden.is_empty();
        analysis.limit(config, is_hidden, data, (found, &scanned))
    }

    /// The regions of two parameters that are asked for.
    fn contours(
        &self,
        analysis: Analysis<'_>,
        data: &Data<'_>,
        best: &Fit,
        found: &FitResult,
    ) -> Vec<ContourResult> {
        let contours = analysis.measurement.measurement.contours.iter();
        let contours = contours.map(|config| {
            let what = format!("contour of {}", config.parameters.join(" and "));
            self.progress.say(&what);
            let _stage = self.progress.stage(&what, 0);
            analysis.regions(config, &data.model, (best, found))
        });
        contours.collect()
    }

    /// Writes the page, its figures and tables, and the result, which names all of them.
    fn write(
        &self,
        analysis: Analysis<'_>,
        result: &mut MeasurementResult,
        (made, best): (&Likelihoods, &Fit),
        pool: (&Events, &sideband_likelihood::UnbinnedChannel),
    ) -> Result<()> {
        let (output, measurement) = (&self.output, analysis.measurement);
        let _stage = self.progress.stage("drawing", 0);
        let kept = kept(analysis, &self.reader.names(), (made, best), pool, result)?;
        let mut sheet = Sheet::new(measurement, (&*result, &kept), output);
        let sections = sheet.sections()?;
        let undrawn = sheet.undrawn;
        result.notes.extend(undrawn);
        let facts = facts(result, self.ratios);
        Sheet::new(measurement, (&*result, &kept), output).write(sections, facts)?;
        result.files = files::names(output.path())?;
        output.write_json(&output.path().join(RESULT), &result)
    }
}
