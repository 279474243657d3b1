//! A whole measurement, from samples to its result.

use super::alone;
use super::analyse::Analyst;
use super::asimov::Asimov;
use super::columns::{Columns, Ratios, Source};
use super::evaluated::Evaluated;
use super::events::{Events, observed, reference, unseen, withheld};
use super::files;
use super::finite_sample::Trainings;
use super::generate::generate;
use super::inputs;
use super::likelihoods::Likelihoods;
use super::limits::{limit, regions};
use super::model::{Builder, Parameters, no_likelihood};
use super::notes::{checks, notes};
use super::page;
use super::plan::{Plan, plan};
use super::ratios::Ratio;
use super::result::{
    ContourResult, FORMAT, FiniteSample, FitResult, LimitResult, MeasurementResult, ScanResult,
};
use super::samples::Reader;
use super::toys::Toys;
use super::trust::{RatioTrust, examine};
use crate::error::{Error, Kind, Result};
use crate::events::Losses;
use crate::report::EnsembleEnd;
use crate::rundir::{Progress, RunDirectory, State};
use crate::settings::{Experiment, FIXED_SUFFIX, Measurement, RatioName};
use crate::training::Interrupt;
use crate::workflow::{Ended, RunOptions, run};
use indexmap::IndexMap;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::{Parameter, UnbinnedChannel};
use sideband_networks::Compute;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Reference events that normalise the density in fits that are many: of members and of
/// toys.
pub(super) const NORMALISATION: usize = 10_000;
/// The file of all numbers.
pub(super) const RESULT: &str = "measurement.json";

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
    let voice = Progress::lines(options.quiet);
    let say = |text: &str| voice.say(text);
    Parameters::new(measurement, None).check(measurement)?;
    let root = RunDirectory::create_root(&options.out, experiment)?;
    generate(measurement, root.path(), &say)?;
    let (plan, reader) = prepare(measurement, &options.out, options.unblind, &say)?;
    // a run that is refused changes nothing
    root.close_again(options.unblind)?;
    let training = run(experiment, options, interrupt)?;
    if training.state == State::Interrupted || interrupt.is_raised() {
        return Ok(Measured {
            training,
            result: None,
            is_whole: false,
        });
    }
    if let Some(error) = training.ensembles.iter().find_map(|e| e.error.as_ref()) {
        return Err(no_likelihood(format!("a ratio has no result: {error}")));
    }
    let config = &experiment.common().device;
    let first = config.names().next().unwrap_or("cpu");
    let study = Study {
        measurement,
        plan: &plan,
        reader,
        root: &root,
        output: files::stage(&root)?,
        ensembles: &training.ensembles,
        compute: Compute::open(first)?.with_kernels(config.kernels),
        threads: match config.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n.min(1024),
        },
        interrupt,
        say: &say,
        undrawn: Mutex::default(),
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

/// Reads all samples and checks everything that can be checked before training.
pub(super) fn prepare<'a>(
    measurement: &Measurement,
    run: &'a std::path::Path,
    unblind: bool,
    say: &dyn Fn(&str),
) -> Result<(Plan, Reader<'a>)> {
    let reader = Reader::new(measurement, &any_sample(measurement)?, run, unblind)?;
    let mut plan = plan(measurement, &reader, say)?;
    let parameters = Parameters::new(measurement, None);
    let builder = Builder {
        measurement,
        plan: &plan,
        parameters: &parameters,
    };
    super::rules::check(&builder)?;
    super::toys::check(measurement)?;
    let events = observed(measurement, &reader, &plan)?;
    if let Some(events) = &events {
        say(&format!("observed: {} events", events.len()));
        let losses = events.losses.iter();
        plan.notes
            .extend(losses.clone().flat_map(Losses::sentences));
        plan.losses.extend(losses.cloned());
    }
    let templates = events.as_ref().map(|events| events.templates.as_slice());
    let builder = Builder {
        measurement,
        plan: &plan,
        parameters: &parameters,
    };
    let notes = super::bins::check(&builder, templates)?;
    plan.notes.extend(notes);
    let own = reader.files().remove_entry("observed");
    plan.files.extend(own);
    Ok((plan, reader))
}

fn any_sample(measurement: &Measurement) -> Result<crate::settings::SampleConfig> {
    let reference = measurement.reference();
    reference.ok_or_else(|| Error::config_at("measurement.reference", "names no sample"))
}

/// A measurement whose ratios are trained.
pub(super) struct Study<'a> {
    pub measurement: &'a Measurement,
    pub plan: &'a Plan,
    pub reader: Reader<'a>,
    pub root: &'a RunDirectory,
    /// Where the files of the result are written before they are put in their place.
    pub output: RunDirectory,
    pub ensembles: &'a [EnsembleEnd],
    pub compute: Compute,
    pub threads: usize,
    pub interrupt: &'a Interrupt,
    pub say: &'a dyn Fn(&str),
    /// Figures that could not be drawn, and why.
    pub undrawn: Mutex<Vec<String>>,
}

impl Study<'_> {
    fn conclude(&self) -> Result<MeasurementResult> {
        let measurement = self.measurement;
        let (ratios, trust) = self.ratios()?;
        (self.say)("evaluating the ratios");
        let observed = observed(measurement, &self.reader, self.plan)?;
        let is_observed = observed.is_some();
        let events = match observed {
            Some(events) => events,
            None => self.asimov()?,
        };
        let reference = reference(measurement, &self.reader, self.plan)?;
        let base = Parameters::new(measurement, None);
        let source = Source {
            measurement,
            parameters: &base,
            plan: self.plan,
        };
        let columns = source.evaluate(&ratios, &events, self.root)?;
        let pool = source.learned(&ratios, &reference.features, reference.weights.clone())?;
        let mut missing = Vec::new();
        let mut said = inputs::record(self.root, &self.plan.files)?;
        said.extend(self.plan.notes.iter().cloned());
        said.extend(withheld(measurement, self.plan).map(|reason| {
            format!(
                "{reason}: they were not opened, and all numbers here are of expected events \
                 (Asimov data)"
            )
        }));
        let (finite, parameters) = match measurement.measurement.finite_sample_members {
            0 => (None, base.clone()),
            _ => {
                let found = self.finite_sample(
                    &source,
                    (&events, &columns),
                    (&reference, &pool),
                    is_observed,
                );
                let what = "no error of the finite training sample";
                match without(found, what, &mut said, &mut missing)? {
                    Some(found) => found,
                    None => (None, base.clone()),
                }
            }
        };
        let builder = Builder {
            measurement,
            plan: self.plan,
            parameters: &parameters,
        };
        let made = self.likelihoods(&builder, &events, &columns, &pool, is_observed)?;
        let over_pool = made
            .events
            .channel
            .with_sample(pool.sample()?)
            .map_err(no_likelihood)?;
        (self.say)("fitting");
        let analyst = Analyst {
            measurement,
            parameters: &parameters,
        };
        let started = Instant::now();
        let mut best = analyst.best(&made.model).map_err(|e| made.reason(e))?;
        let mut scans = IndexMap::new();
        for place in analyst.interest() {
            let name = parameters.list[place].name.clone();
            let scan = analyst.scan(&made.model, &mut best, place);
            let what = format!("no scan of {name}");
            if let Some(scan) = without(scan, &what, &mut said, &mut missing)? {
                scans.insert(name, scan);
            }
        }
        let fit = analyst.fit_result(&made.model, &best, started)?;
        let impacts = analyst.impacts(&made.model, &best, &fit);
        let impacts = without(impacts, "no impacts", &mut said, &mut missing)?;
        if let Some(histograms) = &made.histograms {
            self.histogram_curves(histograms, &mut scans);
        }
        match &columns {
            Evaluated::Memory(_) => {
                self.exact_curves(&events, &reference, is_observed, &mut scans)?;
            }
            Evaluated::File(_) => said.push(format!(
                "{} events are more than measurement.stream_above: they are streamed from a file, \
                 and not compared with exact ratios",
                events.len()
            )),
        }
        let thrown = match &measurement.toys {
            None => None,
            Some(config) => {
                let source = Source {
                    parameters: &parameters,
                    ..source
                };
                let scan = scans.get(&measurement.measurement.interest[0]);
                let toys = Toys {
                    study: self,
                    config,
                    ratios: &ratios,
                    source: &source,
                    made: &made,
                    analyst: &analyst,
                    best: &best,
                    reference: &reference,
                };
                let thrown = match why_not(&fit, &measurement.measurement.interest[0]) {
                    Some(why) => Err(Error::new(Kind::NotMeasured, why)),
                    None => toys.report(scan),
                };
                without(thrown, "no toys", &mut said, &mut missing)?
            }
        };
        let scanned = (&fit, &scans);
        let pool = (&reference, &over_pool);
        let (limit, contours) = self.questions(&analyst, &made, &best, pool, scanned);
        let checks = checks(&made.events, &made.model, &best)?;
        inputs::unchanged(&self.plan.files, &self.reader.files())?;
        let mut histogram_limit = None;
        let mut fitted = vec![named(&made, made.list(), &best)];
        if let Some(histograms) = &made.histograms {
            let alone = histograms
                .likelihood()
                .with_prior(made.parameters().prior.clone());
            let plain = Parameters::new(measurement, None);
            let analyst = Analyst {
                measurement,
                parameters: &plain,
            };
            histogram_limit = measurement.measurement.limit.as_ref().and_then(|config| {
                alone::histogram_limit(&analyst, config, histograms, is_observed)
            });
            if let Ok(best) = analyst.best(&alone) {
                fitted.push(named(&made, &histograms.parameters, &best));
            }
        }
        let export = page::export::export(self, &made, &fitted)?;
        if let Some(reason) = export.reason.as_ref().filter(|_| export.is_wrong) {
            let text = format!("there is no workspace.json: {reason}");
            said.push(text.clone());
            missing.push(text);
        }
        let mut result = MeasurementResult {
            format: FORMAT,
            experiment: measurement.experiment.name.clone(),
            data: if is_observed { "observed" } else { "asimov" }.to_owned(),
            events: events.len(),
            weight: events.weights.iter().sum(),
            expected: made.events.channel.rates(&best.point).iter().sum(),
            rates: self
                .plan
                .processes
                .iter()
                .map(|p| (p.name.clone(), [p.rate(), p.scale * p.sum_error]))
                .collect(),
            fit,
            scans,
            impacts: impacts.unwrap_or_default(),
            limit,
            histogram_limit,
            contours,
            checks,
            finite_sample: finite,
            toys: thrown,
            missing,
            ratios: trust,
            export,
            inputs: self.plan.files.clone(),
            files: Vec::new(),
            losses: self.plan.losses.clone(),
            notes: said,
        };
        notes(&mut result);
        page::write(self, &mut result, &made, &best, (&reference, &over_pool))?;
        result.files = files::names(self.output.path())?;
        let path = self.output.path().join(RESULT);
        self.output.write_json(&path, &result)?;
        let in_place = files::InPlace {
            toys: measurement.toys.is_some(),
            events: matches!(columns, Evaluated::File(_)),
        };
        files::publish(self.root, &self.output, in_place)?;
        Ok(result)
    }

    /// The error of the finite training sample, and the parameters with one for it.
    fn finite_sample(
        &self,
        source: &Source<'_>,
        (events, columns): (&Events, &Evaluated),
        (reference, pool): (&Events, &Columns),
        is_observed: bool,
    ) -> Result<(Option<FiniteSample>, Parameters)> {
        (self.say)("finite training sample: fits of every member");
        let builder = Builder {
            measurement: self.measurement,
            plan: self.plan,
            parameters: source.parameters,
        };
        let trainings = Trainings {
            study: self,
            source,
            made: &self.likelihoods(&builder, events, columns, pool, is_observed)?,
            pool: &reference.thinned(NORMALISATION),
            columns: &pool.thinned(NORMALISATION),
        };
        let (found, curve) = trainings.error()?;
        Ok((Some(found), Parameters::new(self.measurement, Some(curve))))
    }

    /// The upper limit and the regions of two parameters that are asked for. `events`,
    /// `channel`: the reference that no network has seen.
    fn questions(
        &self,
        analyst: &Analyst<'_>,
        made: &Likelihoods,
        best: &Fit,
        (events, channel): (&Events, &UnbinnedChannel),
        (found, scans): (&FitResult, &IndexMap<String, ScanResult>),
    ) -> (Option<LimitResult>, Vec<ContourResult>) {
        let asked = &self.measurement.measurement;
        let asimov = Asimov {
            channel,
            weights: &events.weights,
            histograms: made.channels(),
        };
        let data = (&made.model, made.list());
        let limit = asked.limit.as_ref().and_then(|config| {
            (self.say)("upper limit");
            let is_hidden = !self.plan.hidden.is_empty();
            let name = config.poi.as_ref().unwrap_or(&asked.interest[0]);
            let curve = scans.get(name).and_then(|s| s.curves.get("profiled"));
            let scanned: Vec<f64> = curve
                .iter()
                .flat_map(|c| c.points.iter().map(|p| p[0]))
                .collect();
            limit(
                analyst,
                (config, is_hidden),
                data,
                &asimov,
                (found, &scanned),
            )
        });
        let contours = asked.contours.iter().map(|config| {
            (self.say)(&format!("contour of {}", config.parameters.join(" and ")));
            regions(analyst, config, &made.model, (best, found))
        });
        (limit, contours.collect())
    }

    /// Whether densities are divided by their integral over the reference.
    pub(super) fn is_renormalised(&self) -> bool {
        self.measurement.measurement.renormalise
    }

    /// Opens and examines all ratios.
    fn ratios(&self) -> Result<(Ratios, Vec<RatioTrust>)> {
        let mut ratios = Ratios::new();
        let mut all = Vec::new();
        for name in self.measurement.ratios() {
            let Some([source, target]) = self.measurement.sides(&name) else {
                continue;
            };
            (self.say)(&format!("examining {name}"));
            let end = self.ensemble(&name.to_string())?;
            let ratio = self.open(&name, "")?;
            let source = self.reader.read("measurement.reference", &source)?;
            let target = self.reader.read(&format!("samples of {name}"), &target)?;
            let (trust, map) = examine(
                &name.to_string(),
                &self.reader,
                [&source, &target],
                &ratio,
                self.measurement,
                end.metrics.as_ref(),
            )?;
            all.push(trust);
            ratios.insert(name, (ratio, map));
        }
        Ok((ratios, all))
    }

    fn ensemble(&self, name: &str) -> Result<&EnsembleEnd> {
        let found = self.ensembles.iter().find(|e| e.name == name);
        found.ok_or_else(|| no_likelihood(format!("there is no ensemble {name}")))
    }

    /// Opens a ratio, or its second ensemble.
    pub(super) fn open(&self, name: &RatioName, suffix: &str) -> Result<Ratio> {
        let end = self.ensemble(&format!("{name}{suffix}"))?;
        let requested = end.config.ensemble.members;
        let sum = |process: &str| {
            let found = self.plan.processes.iter().find(|p| p.name == process);
            found.map_or(f64::NAN, |p| p.sum)
        };
        let yields = match name {
            RatioName::Process(process) => [self.plan.reference, sum(process)],
            RatioName::Varied {
                process,
                systematic,
                up,
            } => {
                let key = (systematic.clone(), process.clone());
                let varied = self.plan.varied.get(&key).and_then(|v| v.sums);
                let varied = varied.map_or(f64::NAN, |s| s[usize::from(*up)]);
                [sum(process), varied]
            }
        };
        let bench = (&self.compute, self.threads);
        Ratio::open(&end.directory, requested, yields, bench)
    }

    /// Ratios of every member at events, by name: of the bootstrapped or of the second
    /// ensembles.
    pub(super) fn member_logs(
        &self,
        features: &[f32],
        is_fixed: bool,
    ) -> Result<IndexMap<RatioName, Vec<Vec<f32>>>> {
        let suffix = if is_fixed { FIXED_SUFFIX } else { "" };
        let aggregate = self.measurement.measurement.aggregate;
        let mut all = IndexMap::new();
        for name in self.measurement.ratios() {
            let column = self.open(&name, suffix)?.at(features, aggregate, true)?;
            all.insert(name, column.members);
        }
        Ok(all)
    }

    /// Events that the model expects at its nominal point, which no network has seen.
    fn asimov(&self) -> Result<Events> {
        let parameters = Parameters::new(self.measurement, None);
        let builder = Builder {
            measurement: self.measurement,
            plan: self.plan,
            parameters: &parameters,
        };
        let nominal: Vec<f64> = parameters.list.iter().map(|p| p.nominal).collect();
        let mut events = Events::default();
        for process in builder.processes()? {
            let rate = process.rate.value(&nominal);
            if rate != 0.0 {
                let name = &process.name;
                unseen(self.measurement, &self.reader, name, rate, &mut events)?;
            }
        }
        Ok(events)
    }
}

/// A fitted point by the names of its parameters, every one as itself.
fn named(made: &Likelihoods, list: &[Parameter], best: &Fit) -> HashMap<String, f64> {
    let parameters = made.parameters();
    let value = |p: &Parameter, x: f64| match parameters.place(&p.name) {
        Some(place) => parameters.value(place, x),
        None => x,
    };
    let all = list.iter().zip(&best.point);
    all.map(|(p, x)| (p.name.clone(), value(p, *x))).collect()
}

/// A part of the result without which the rest stands: none, with a note that says why,
/// where the likelihood does not give it. Files, interruptions and the like stay errors.
fn without<T>(
    found: Result<T>,
    what: &str,
    said: &mut Vec<String>,
    missing: &mut Vec<String>,
) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                Kind::Fit | Kind::Likelihood | Kind::NotMeasured
            ) =>
        {
            let text = format!("there is {what}: {error}");
            said.push(text.clone());
            missing.push(text);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Why a parameter has no toys: the data do not measure it.
fn why_not(fit: &FitResult, name: &str) -> Option<String> {
    let parameter = fit.parameters.iter().find(|p| p.name == name)?;
    let why = parameter.not_measured.as_ref()?;
    Some(format!("{name} is not measured: {why}"))
}
