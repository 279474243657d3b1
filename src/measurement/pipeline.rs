//! A whole measurement, from samples to its result.

use super::analyse::{Analyst, largest_difference};
use super::asimov::Asimov;
use super::columns::{Columns, Ratios, Source};
use super::error::MeasureError;
use super::events::{Events, observed, reference, unseen};
use super::finite_sample::finite_sample;
use super::generate::{generate, model};
use super::limits::{limit, regions};
use super::model::{Builder, Histogram, Parameters};
use super::notes::{checks, notes};
use super::page;
use super::plan::{Plan, plan};
use super::ratios::Ratio;
use super::result::{ContourResult, FORMAT, LimitResult, MeasurementResult, ScanResult};
use super::samples::Reader;
use super::toys::Toys;
use super::trust::{RatioTrust, examine};
use crate::background::{Ended, EnsembleEnd, RunError, RunOptions, run};
use crate::config::{Experiment, FIXED_SUFFIX, Measurement, RatioName};
use crate::ensemble::Interrupt;
use crate::inference::UnbinnedChannel;
use crate::inference::fit::Fit;
use crate::inference::histogram::{HistogramChannel, HistogramModel};
use crate::inference::{Likelihood, Model, Parameter};
use crate::run::{Progress, RunDirectory, State};
use indexmap::IndexMap;
use sideband_models::Compute;
use std::time::Instant;

/// Reference events that normalise the density in fits that are many: of members and of
/// toys.
pub(super) const NORMALISATION: usize = 10_000;
/// The file of all numbers.
pub(super) const RESULT: &str = "measurement.json";
/// Largest t at which learned and exact curve are compared.
const COMPARED: f64 = 9.0;

/// How a measurement ended.
#[derive(Debug)]
pub struct Measured {
    /// How the training of its ratios ended.
    pub training: Ended,
    /// The numbers, unless it was interrupted.
    pub result: Option<MeasurementResult>,
    /// Whether all that was asked for is there: not so if toys could not be thrown.
    pub is_whole: bool,
}

/// Generates, checks, trains and measures.
///
/// # Errors
/// [`MeasureError`]; what was trained before it is kept, and running again goes on.
pub fn measure(
    experiment: &Experiment,
    measurement: &Measurement,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Measured, MeasureError> {
    let voice = Progress::lines(options.quiet);
    let say = |text: &str| voice.say(text);
    Parameters::new(measurement, None).check(measurement)?;
    let root = RunDirectory::create_root(&options.out, experiment)?;
    generate(measurement, root.path(), &say)?;
    let plan = prepare(measurement, &options.out, &say)?;
    let training = run(experiment, options, interrupt)?;
    if training.state == State::Interrupted || interrupt.is_raised() {
        return Ok(Measured {
            training,
            result: None,
            is_whole: false,
        });
    }
    if let Some(error) = training.ensembles.iter().find_map(|e| e.error.as_ref()) {
        return Err(MeasureError::Likelihood(format!(
            "a ratio has no result: {error}"
        )));
    }
    let config = &experiment.common().device;
    let first = config.names().next().unwrap_or("cpu");
    let study = Study {
        measurement,
        plan: &plan,
        reader: Reader::new(measurement, &any_sample(measurement)?, &options.out)?,
        root: &root,
        ensembles: &training.ensembles,
        compute: Compute::open(first)?.with_kernels(config.kernels),
        threads: match config.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n.min(1024),
        },
        interrupt,
        say: &say,
    };
    let result = study.conclude()?;
    Ok(Measured {
        training,
        is_whole: result.toys.is_some() || measurement.toys.is_none(),
        result: Some(result),
    })
}

/// Reads all samples and checks everything that can be checked before training.
pub(super) fn prepare(
    measurement: &Measurement,
    run: &std::path::Path,
    say: &dyn Fn(&str),
) -> Result<Plan, MeasureError> {
    let plan = plan(measurement, run, say)?;
    let parameters = Parameters::new(measurement, None);
    let builder = Builder {
        measurement,
        plan: &plan,
        parameters: &parameters,
    };
    super::rules::check(&builder)?;
    super::toys::check(measurement)?;
    let reader = Reader::new(measurement, &any_sample(measurement)?, run)?;
    if let Some(events) = observed(measurement, &reader)? {
        say(&format!("observed: {} events", events.len()));
    }
    Ok(plan)
}

/// A measurement's model in words, after all checks that need no training. Samples are
/// generated into `run` if the configuration asks for that.
///
/// # Errors
/// [`MeasureError`] with the first thing that does not fit.
pub fn describe(measurement: &Measurement, run: &std::path::Path) -> Result<String, MeasureError> {
    Parameters::new(measurement, None).check(measurement)?;
    if measurement.generate.is_some() {
        generate(measurement, run, &|_| {})?;
    }
    let plan = prepare(measurement, run, &|_| {})?;
    let mut lines = vec![format!(
        "measures {} without bins in {}, against the reference {}",
        measurement.measurement.interest.join(" and "),
        measurement.training.region,
        measurement.measurement.reference.join(" + ")
    )];
    for process in &plan.processes {
        lines.push(format!(
            "{}: {} events, rate {:.2} +- {:.2}, times {}",
            process.name,
            process.events,
            process.rate(),
            process.scale * process.sum_error,
            measurement.samples[&process.name].coefficient
        ));
    }
    for ((systematic, process), varied) in &plan.varied {
        let [down, up] = varied.rates;
        let shape = measurement.systematics[systematic].shape && varied.sums.is_some();
        lines.push(format!(
            "{systematic} on {process}: rate x {down:.4} at -1, x {up:.4} at +1{}",
            if shape { ", and the density" } else { "" }
        ));
    }
    let ratios = measurement.ratios().len();
    let second = measurement.measurement.finite_sample_members;
    let networks = ratios as u64 * u64::from(measurement.ensemble.members + second);
    let ensembles = if second > 0 { 2 * ratios } else { ratios };
    lines.push(format!(
        "{ratios} ratios: {ensembles} ensembles, {networks} networks\n\n"
    ));
    lines.extend(plan.notes);
    Ok(lines.join("\n"))
}

fn any_sample(measurement: &Measurement) -> Result<crate::config::SampleConfig, MeasureError> {
    let reference = measurement.reference();
    reference.ok_or_else(|| MeasureError::config("measurement.reference", "names no sample"))
}

/// A measurement whose ratios are trained.
pub(super) struct Study<'a> {
    pub measurement: &'a Measurement,
    pub plan: &'a Plan,
    pub reader: Reader<'a>,
    pub root: &'a RunDirectory,
    pub ensembles: &'a [EnsembleEnd],
    pub compute: Compute,
    pub threads: usize,
    pub interrupt: &'a Interrupt,
    pub say: &'a dyn Fn(&str),
}

/// A likelihood with what it was made of.
pub(super) struct Likelihoods {
    pub model: Model,
    pub channel: UnbinnedChannel,
    pub histograms: Option<HistogramModel>,
    channels: Vec<HistogramChannel>,
    list: Vec<Parameter>,
    parameters: Parameters,
}

impl Likelihoods {
    /// Place of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<usize> {
        self.parameters.place(name)
    }

    /// All parameters of the model.
    pub(super) fn list(&self) -> &[Parameter] {
        &self.list
    }

    /// The histograms among its channels.
    pub(super) fn channels(&self) -> &[HistogramChannel] {
        &self.channels
    }

    /// Bounds of a parameter, in the fit's coordinate.
    pub(super) fn bounds(&self, place: usize) -> (f64, f64) {
        self.parameters.list[place].bounds
    }

    /// A coordinate of the fit as a value of the parameter.
    pub(super) fn reported(&self, place: usize, coordinate: f64) -> f64 {
        self.parameters.value(place, coordinate)
    }
}

impl Study<'_> {
    fn conclude(&self) -> Result<MeasurementResult, MeasureError> {
        let measurement = self.measurement;
        let (ratios, trust) = self.ratios()?;
        (self.say)("evaluating the ratios");
        let observed = observed(measurement, &self.reader)?;
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
        let columns = source.learned(&ratios, &events.features, events.weights.clone())?;
        let pool = source.learned(&ratios, &reference.features, reference.weights.clone())?;
        let mut parameters = base.clone();
        let mut finite = None;
        if measurement.measurement.finite_sample_members > 0 {
            (self.say)("finite training sample: a fit for every member");
            let thinned = self
                .is_renormalised()
                .then(|| reference.thinned(NORMALISATION));
            let found = finite_sample(self, &source, &events, thinned.as_ref())?;
            parameters = Parameters::new(measurement, Some(found.coordinate_error));
            finite = Some(found);
        }
        let builder = Builder {
            measurement,
            plan: self.plan,
            parameters: &parameters,
        };
        let made = self.likelihoods(&builder, &events, &columns, &pool, is_observed)?;
        let over_pool = made
            .channel
            .with_sample(pool.sample()?)
            .map_err(|e| MeasureError::Likelihood(e.to_string()))?;
        (self.say)("fitting");
        let analyst = Analyst {
            measurement,
            parameters: &parameters,
        };
        let started = Instant::now();
        let mut best = analyst.best(&made.model)?;
        let mut scans = IndexMap::new();
        for place in analyst.interest() {
            let name = parameters.list[place].name.clone();
            scans.insert(name, analyst.scan(&made.model, &mut best, place)?);
        }
        let fit = analyst.fit_result(&made.model, &best, started)?;
        let impacts = analyst.impacts(&made.model, &best)?;
        if let Some(histograms) = &made.histograms {
            self.histogram_curves(&analyst, histograms, &mut scans)?;
        }
        self.exact_curves(&builder, &events, &reference, &mut scans)?;
        let mut said = self.plan.notes.clone();
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
                let thrown = toys.report(scan);
                match thrown {
                    Ok(thrown) => Some(thrown),
                    // the fit stands without them
                    Err(
                        error @ (MeasureError::Fit(_)
                        | MeasureError::Likelihood(_)
                        | MeasureError::Other(_)),
                    ) => {
                        said.push(format!("there are no toys: {error}"));
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let (limit, contours) = self.questions(&analyst, &made, &best, (&reference, &over_pool))?;
        let checks = checks(&made.channel, &made.model, &best);
        let mut result = MeasurementResult {
            format: FORMAT,
            experiment: measurement.experiment.name.clone(),
            data: if is_observed { "observed" } else { "asimov" }.to_owned(),
            events: events.len(),
            weight: events.weights.iter().sum(),
            expected: made.channel.rates(&best.point).iter().sum(),
            rates: self
                .plan
                .processes
                .iter()
                .map(|p| (p.name.clone(), [p.rate(), p.scale * p.sum_error]))
                .collect(),
            fit,
            scans,
            impacts,
            limit,
            contours,
            checks,
            finite_sample: finite,
            toys: thrown,
            ratios: trust,
            notes: said,
        };
        notes(&mut result);
        page::write(self, &result, &made, &best, (&reference, &over_pool))?;
        Ok(result)
    }

    /// The upper limit and the regions of two parameters that are asked for. `events`,
    /// `channel`: the reference that no network has seen.
    fn questions(
        &self,
        analyst: &Analyst<'_>,
        made: &Likelihoods,
        best: &Fit,
        (events, channel): (&Events, &UnbinnedChannel),
    ) -> Result<(Option<LimitResult>, Vec<ContourResult>), MeasureError> {
        let asked = &self.measurement.measurement;
        let asimov = Asimov {
            channel,
            weights: &events.weights,
            histograms: &made.channels,
        };
        let data = (&made.model, made.list());
        let limit = asked.limit.as_ref().and_then(|config| {
            (self.say)("upper limit");
            limit(analyst, config, data, &asimov, best)
        });
        let contours = asked.contours.iter().map(|config| {
            (self.say)(&format!("contour of {}", config.parameters.join(" and ")));
            regions(analyst, config, &made.model, best)
        });
        Ok((limit, contours.collect::<Result<_, _>>()?))
    }

    /// Whether densities are divided by their integral over the reference.
    pub(super) fn is_renormalised(&self) -> bool {
        self.measurement.measurement.renormalise
    }

    /// Opens and examines all ratios.
    fn ratios(&self) -> Result<(Ratios, Vec<RatioTrust>), MeasureError> {
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

    fn ensemble(&self, name: &str) -> Result<&EnsembleEnd, MeasureError> {
        let found = self.ensembles.iter().find(|e| e.name == name);
        found.ok_or_else(|| MeasureError::Likelihood(format!("there is no ensemble {name}")))
    }

    /// Opens a ratio, or its second ensemble.
    pub(super) fn open(&self, name: &RatioName, suffix: &str) -> Result<Ratio, MeasureError> {
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
    ) -> Result<IndexMap<RatioName, Vec<Vec<f32>>>, MeasureError> {
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
    fn asimov(&self) -> Result<Events, MeasureError> {
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

    /// All channels in one likelihood.
    fn likelihoods(
        &self,
        builder: &Builder<'_>,
        events: &Events,
        columns: &Columns,
        pool: &Columns,
        is_observed: bool,
    ) -> Result<Likelihoods, MeasureError> {
        let counts = |number: usize| {
            let template = events.templates.get(number).filter(|_| is_observed)?;
            Some(template.contents.clone())
        };
        let has_own = Reader::has_own_histogram(self.measurement);
        let channels = self.measurement.channels.iter().enumerate();
        let asked: Vec<Histogram> = channels
            .map(|(i, (name, channel))| {
                let number = i + usize::from(has_own);
                Histogram {
                    name: name.clone(),
                    number,
                    observed: counts(number),
                    statistical: channel.statistical,
                }
            })
            .collect();
        let (channels, parameters) = builder.histograms(&asked)?;
        let reference = pool.sample()?;
        let channel = builder.unbinned(columns, Some(&reference), &parameters)?;
        let list = parameters.clone();
        let model = Builder::model(parameters, Some(channel.clone()), channels.clone());
        // the region without bins as a histogram, beside the channels that are ones
        let own = has_own.then(|| Histogram {
            name: self.measurement.training.region.clone(),
            number: 0,
            observed: counts(0),
            statistical: false,
        });
        let all: Vec<Histogram> = own.into_iter().chain(asked).collect();
        let histograms = if all.is_empty() {
            None
        } else {
            let (channels, parameters) = builder.histograms(&all)?;
            Some(Builder::histogram_model(parameters, channels))
        };
        Ok(Likelihoods {
            model,
            channel,
            histograms,
            channels,
            list,
            parameters: builder.parameters.clone(),
        })
    }

    /// What histograms alone would say.
    fn histogram_curves(
        &self,
        analyst: &Analyst<'_>,
        histograms: &HistogramModel,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<(), MeasureError> {
        let likelihood = histograms.likelihood();
        add_curve(analyst, &likelihood, "histogram", scans)
    }

    /// What the exact ratios would say, where they are known.
    fn exact_curves(
        &self,
        builder: &Builder<'_>,
        events: &Events,
        reference: &Events,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<(), MeasureError> {
        let points = |events: &Events| events.points(self.measurement);
        let (Some(config), Some(points), Some(pool)) = (
            &self.measurement.generate,
            points(events),
            points(reference),
        ) else {
            return Ok(());
        };
        let truth = model(config)?;
        let parameters = Parameters::new(self.measurement, None);
        let source = Source {
            measurement: self.measurement,
            parameters: &parameters,
            plan: self.plan,
        };
        let columns = source.exact(&truth, &points, events.weights.clone())?;
        let exact = Builder {
            parameters: &parameters,
            ..*builder
        };
        let pool = source.exact(&truth, &pool, reference.weights.clone())?;
        let pool = pool.sample()?;
        let channel = exact.unbinned(&columns, Some(&pool), &parameters.list)?;
        let analyst = Analyst {
            measurement: self.measurement,
            parameters: &parameters,
        };
        let model = Builder::model(parameters.list.clone(), Some(channel), Vec::new());
        add_curve(&analyst, &model, "exact", scans)?;
        for scan in scans.values_mut() {
            if let [Some(learned), Some(exact)] =
                ["profiled", "exact"].map(|name| scan.curves.get(name))
            {
                scan.largest_difference = largest_difference(learned, exact, COMPARED);
            }
        }
        Ok(())
    }
}

fn add_curve(
    analyst: &Analyst<'_>,
    likelihood: &dyn Likelihood,
    name: &str,
    scans: &mut IndexMap<String, ScanResult>,
) -> Result<(), MeasureError> {
    let best = analyst.best(likelihood)?;
    for place in analyst.interest() {
        let settings = analyst.settings();
        let (_, curve, sets) = analyst.curve(likelihood, &settings, &best, place)?;
        let scan = scans
            .entry(analyst.parameters.list[place].name.clone())
            .or_default();
        scan.curves.insert(name.to_owned(), curve);
        scan.intervals.insert(name.to_owned(), sets);
    }
    Ok(())
}

impl From<crate::config::ConfigError> for MeasureError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Run(RunError::Config(error))
    }
}
