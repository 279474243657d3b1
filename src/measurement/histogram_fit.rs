//! `method = "limit"`: a measurement of histograms alone, from samples and finished runs to its
//! result. Nothing is trained.

mod backgrounds;
mod impacts;
mod replicas;

use super::events::{observed, withheld};
use super::export::{export, named};
use super::files;
use super::likelihoods::impossible;
use super::limits::HistogramData;
use super::model::{Analysis, HistogramRequest, Parameters};
use super::notes::{Remarks, add_notes};
use super::page::{Sheet, limit_facts, limit_kept};
use super::plan::{Plan, VariedPlan, nominal, process, vary};
use super::result::{BackgroundResult, Checks, FORMAT, MeasurementResult, RESULT};
use super::rules::{check_bins, check_rates};
use super::samples::{Reader, Template};
use crate::error::{Context, Error, Kind, Result, counted};
use crate::report::numbers::{joined, percent, significant};
use crate::rundir::{
    DeviceRecord, Manifest, Progress, RunDirectory, RunInputs, RunState, VersionRecord, now,
};
use crate::settings::{
    CHANNEL_REGION, Experiment, Limit, LimitChannelConfig, Measurement, Places, ScanConfig,
};
use crate::training::Interrupt;
use crate::workflow::{RunOptions, Sample};
use crate::workspace::ToyRequest;
use backgrounds::Growing;
use indexmap::IndexMap;
use replicas::Replicas;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{Likelihood as _, Model};
use sideband_networks::cpu_kernel;
use std::collections::BTreeMap;
use std::time::Instant;

/// What its result calls it.
pub(super) const METHOD: &str = "limit";
/// Share of a channel outside of its parts that is said.
const OUTSIDE: f64 = 0.05;
/// Sums that are negative by rounding, relative to the sizes of their terms.
const ROUNDING: f64 = 1e-9;

/// How a fit of histograms ended.
#[derive(Debug)]
pub(crate) struct HistogramFit {
    pub directory: RunDirectory,
    /// The numbers, unless it was interrupted.
    pub result: Option<MeasurementResult>,
    /// Whether all that was asked for is there.
    pub is_whole: bool,
}

/// Samples and runs that were read and checked.
struct Prepared {
    /// With the nuisance parameters of backgrounds.
    measurement: Measurement,
    plan: Plan,
    /// Names of these parameters.
    added: Vec<String>,
    backgrounds: Vec<BackgroundResult>,
    /// Those whose replicas are looked at one by one.
    replicas: Vec<Replicas>,
    /// Histograms of the observed events; none if they are not there, or not to be looked at.
    observed: Vec<Template>,
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
        lines.push(background_words(of));
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

/// What is known of a background's error, in words.
fn background_words(of: &BackgroundResult) -> String {
    format!(
        "{}: retraining {} of the yield, {} with {} of its variance; normalisation {}",
        of.sample,
        percent(of.spread),
        counted(of.components, "component"),
        percent(of.share),
        percent(of.normalisation)
    )
}

/// An error or a note with the names that the user knows: regions of channels are the channels'.
fn users(text: &str) -> String {
    text.replace(&format!("regions.{CHANNEL_REGION}"), CHANNEL_REGION)
}

/// Reads all samples and runs, and checks all that can be checked before a fit.
fn prepare(limit: &Limit, options: &RunOptions, progress: &Progress) -> Result<Prepared> {
    let base = limit.measurement()?;
    let prepared = read(limit, &base, options, progress);
    let mut prepared = prepared.map_err(|error| error.map(|text| users(&text)))?;
    let notes = &mut prepared.plan.notes;
    notes.iter_mut().for_each(|note| *note = users(note));
    Ok(prepared)
}

fn read(
    limit: &Limit,
    base: &Measurement,
    options: &RunOptions,
    progress: &Progress,
) -> Result<Prepared> {
    Parameters::new(base, None).check(base)?;
    let places: Places = options.places();
    let reader = Reader::new(base, places.clone(), options.unblind)?;
    let mut growing = Growing {
        limit,
        places: &places,
        measurement: base.clone(),
        plan: Plan::default(),
        added: Vec::new(),
        is_closed: reader.blinding.is_closed(),
        replicas: Vec::new(),
        known: Vec::new(),
    };
    for (name, channel) in &base.channels {
        let region = reader.region(&channel.region);
        if region.is_some_and(|region| !reader.blinding.shows(region)) {
            let has = |(key, c): &(&String, &LimitChannelConfig)| {
                c.parts(key).iter().any(|part| part.name == *name)
            };
            let of = limit.channels.iter().find(has);
            let region = of.map_or(String::new(), |(_, c)| c.region.clone());
            growing
                .plan
                .hidden
                .insert(format!("channels.{name}"), region);
        }
    }
    let mut backgrounds = Vec::new();
    for (name, config) in &limit.samples {
        match &config.run {
            Some(run) => {
                progress.say(&format!("sample {name}: reading {run}"));
                let stage = progress.stage(&format!("reading {run}"), 0);
                let found = growing.add(name)?;
                drop(stage);
                progress.say(&format!(
                    "sample {name}: {}, rate {}, {}",
                    counted(found.events, "event"),
                    significant(found.expected[0], 5),
                    counted(found.replicas, "replica")
                ));
                rates_alone(base, name, &mut growing.plan);
                backgrounds.push(found);
            }
            None => simulated(limit, &reader, name, &mut growing.plan, progress)?,
        }
    }
    let Growing {
        measurement,
        mut plan,
        added,
        replicas,
        ..
    } = growing;
    plan.files.extend(reader.files());
    let parameters = Parameters::new(&measurement, None);
    parameters.check(&measurement)?;
    check_rates(&Analysis {
        measurement: &measurement,
        plan: &plan,
        parameters: &parameters,
    })?;
    let events = observed(&reader, &plan)?;
    let mut templates = Vec::new();
    if let Some(events) = events {
        events.losses.iter().for_each(|l| plan.note_losses(l, None));
        templates = events.templates;
        let all = templates.iter().flat_map(|t| &t.contents);
        progress.say(&format!("observed: {} events", all.sum::<f64>()));
        plan.files.extend(reader.files().remove_entry("observed"));
    }
    let mut plain = plan.clone();
    // those of backgrounds are looked at apart: where one takes all of a bin is no error
    plain
        .varied
        .retain(|(systematic, _), _| base.systematics.contains_key(systematic));
    let of_base = Parameters::new(base, None);
    let checked = Analysis {
        measurement: base,
        plan: &plain,
        parameters: &of_base,
    };
    plan.notes.extend(check_bins(&checked, &templates)?);
    Ok(Prepared {
        measurement,
        plan,
        added,
        backgrounds,
        replicas,
        observed: templates,
    })
}

/// Factors on the rate of a process that no samples are read for.
fn rates_alone(measurement: &Measurement, name: &str, plan: &mut Plan) {
    for (systematic, config) in &measurement.systematics {
        if let Some(rates) = config.rates.get(name).copied()
            && !config.samples.contains_key(name)
        {
            plan.note_response(systematic, name, rates);
            let key = (systematic.clone(), name.to_owned());
            plan.varied.insert(key, VariedPlan::of_rates(rates));
        }
    }
}

/// Adds a process of simulated events.
fn simulated(
    limit: &Limit,
    reader: &Reader<'_>,
    name: &str,
    plan: &mut Plan,
    progress: &Progress,
) -> Result<()> {
    let measurement = reader.measurement;
    let sample = nominal(reader, name)?;
    plan.hidden.extend(reader.hidden(&sample));
    let mut of = process(reader, name, &sample)?;
    of.is_statistical = limit.is_statistical(name);
    rates_alone(measurement, name, plan);
    let varied = measurement.systematics.iter();
    for (systematic, config) in varied.filter(|(_, c)| c.samples.contains_key(name)) {
        let mut found = vary(reader, systematic, (&of, &sample), None, plan)?;
        found.rates = config.rates.get(name).copied().unwrap_or(found.rates);
        plan.note_response(systematic, name, found.rates);
        plan.varied
            .insert((systematic.clone(), name.to_owned()), found);
    }
    progress.say(&format!(
        "sample {name}: {}, rate {} +- {}",
        counted(of.events, "event"),
        significant(of.rate(), 5),
        percent(of.sum_error / of.sum)
    ));
    plan.note_losses(&sample.losses, reader.recorded(name, of.scale));
    note_outside(limit, reader, (name, &sample), plan);
    plan.processes.push(of);
    Ok(())
}

/// Says what of a channel is in none of its parts.
fn note_outside(
    limit: &Limit,
    reader: &Reader<'_>,
    (name, sample): (&str, &Sample),
    plan: &mut Plan,
) {
    for (channel, config) in limit
        .channels
        .iter()
        .filter(|(_, c)| c.categories.is_some())
    {
        let Some(whole) = reader.region(&format!("{CHANNEL_REGION}{channel}")) else {
            continue;
        };
        let parts = config.parts(channel).into_iter();
        let parts = parts.filter_map(|p| reader.region(&format!("{CHANNEL_REGION}{}", p.name)));
        let inside = parts.fold(0_u64, |all, region| all | 1 << region);
        let sum = |wanted: &dyn Fn(u64) -> bool| -> f64 {
            let rows = sample.in_region(whole);
            let rows = rows.filter(|row| wanted(sample.table.flags[*row]));
            rows.map(|row| sample.table.weights[row]).sum()
        };
        let (all, outside) = (sum(&|_| true), sum(&|flags| flags & inside == 0));
        if outside > OUTSIDE * all {
            plan.notes.push(format!(
                "samples.{name}: {} of channels.{channel} is in none of its categories",
                percent(outside / all)
            ));
        }
    }
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

/// A fit whose samples are read, and where its result goes.
struct Study<'a> {
    limit: &'a Limit,
    prepared: &'a Prepared,
    parameters: &'a Parameters,
    root: &'a RunDirectory,
    /// Where the files of the result are written before they are put in their place.
    output: RunDirectory,
    interrupt: &'a Interrupt,
    progress: &'a Progress,
}

impl<'a> Study<'a> {
    fn analysis(&self) -> Analysis<'a> {
        Analysis {
            measurement: &self.prepared.measurement,
            plan: &self.prepared.plan,
            parameters: self.parameters,
        }
    }

    /// The result; none if it was interrupted.
    fn conclude(&self) -> Result<Option<MeasurementResult>> {
        let (prepared, progress, analysis) = (self.prepared, self.progress, self.analysis());
        let (measurement, plan) = (&prepared.measurement, &prepared.plan);
        let config = &self.limit.measurement.limit;
        let mut remarks = self.remarks()?;
        let is_observed = !prepared.observed.is_empty();
        let asked = HistogramRequest::all(measurement, &prepared.observed, true);
        let model = analysis.with_data(&asked, config, is_observed)?;
        remarks.notes.extend(self.takes_all(analysis, &model));
        remarks
            .notes
            .extend(self.negative_signals(analysis, &model));
        let groups = impacts::groups(self.limit, analysis, &model, &prepared.added)?;
        let prior = self.parameters.prior.clone();
        let likelihood = model.likelihood().with_prior(prior.clone());
        progress.say("fitting");
        let stage = progress.stage("fitting", 0);
        let started = Instant::now();
        let best = analysis.best(&likelihood);
        let mut best = best.map_err(|error| reason(error, &model, &likelihood))?;
        let mut scans = IndexMap::new();
        for place in analysis.interest() {
            let name = self.parameters.list[place].name.clone();
            let scan = analysis.scan(&likelihood, &mut best, place);
            if let Some(scan) = remarks.without(scan, &format!("no scan of {name}"))? {
                scans.insert(name, scan);
            }
        }
        let fit = analysis.fit_result(&likelihood, &best, started);
        let impacts = analysis.impacts(&likelihood, &best, &fit);
        let impacts = remarks.without(impacts, "no impacts")?;
        drop(stage);
        if self.interrupt.is_raised() {
            return Ok(None);
        }
        let data = HistogramData {
            model: model.clone(),
            prior,
        };
        progress.say("upper limit");
        let stage = progress.stage("upper limit", 0);
        let scan = scans.get(self.limit.limited());
        let curve = scan.and_then(|s| s.curves.get("profiled"));
        let points = curve.iter().flat_map(|c| &c.points);
        let scanned: Vec<f64> = points.map(|p| p[0]).collect();
        let mut limit = analysis.limit(config, !is_observed, &data, (&fit, &scanned));
        drop(stage);
        if self.interrupt.is_raised() {
            return Ok(None);
        }
        if let (Some(limit), Some(toys)) = (&mut limit, self.toys()) {
            progress.say("upper limit by toys");
            let stage = progress.stage("upper limit by toys", toys.most());
            let count = |toys| stage.add(toys);
            let [lost, noted] = analysis.add_toys(limit, &toys, (&model, is_observed), &count);
            drop(stage);
            remarks.notes.extend(noted);
            lost.into_iter().for_each(|text| remarks.miss(text));
        }
        if self.interrupt.is_raised() {
            return Ok(None);
        }
        progress.say("impacts on the limit");
        let stage = progress.stage("impacts on the limit", 0);
        let table = impacts::table(analysis, (config, &data), groups).of(Kind::Fit);
        let limit_impacts = remarks.without(table, "no table of impacts on the limit")?;
        drop(stage);
        let mut limit_scans = Vec::new();
        for scan in self
            .limit
            .measurement
            .scans
            .iter()
            .filter(|scan| scan.limit)
        {
            if self.interrupt.is_raised() {
                return Ok(None);
            }
            progress.say(&format!("limits along {}", scan.parameter));
            let _stage = progress.stage(&format!("limits along {}", scan.parameter), 0);
            limit_scans.push(impacts::along(
                analysis,
                scan,
                (config, &data),
                !is_observed,
            )?);
        }
        let mut replica_limits = Vec::new();
        for of in &prepared.replicas {
            progress.say(&format!("limits with replicas of {}", of.sample));
            let _stage = progress.stage("limits with replicas", 0);
            let found = of.limits(analysis, &asked, (config, is_observed), self.interrupt);
            let Some(found) = found else {
                return Ok(None);
            };
            replica_limits.push(found);
        }
        let fitted = [named(analysis, likelihood.parameters(), &best)];
        let histograms = Some((&model, asked.as_slice()));
        let scans = self.limit.measurement.scans.iter();
        let scans: Vec<&ScanConfig> = scans.filter(|scan| scan.limit).collect();
        let export = export(analysis, &self.output, histograms, &fitted, &scans)?;
        if let Some(reason) = export.reason.as_ref().filter(|_| export.is_wrong) {
            remarks.miss(format!("there is no workspace.json: {reason}"));
        }
        let counts = model.channels.iter().flat_map(|c| c.observed());
        let counts: f64 = counts.sum();
        let expected = model.channels.iter().flat_map(|c| c.expected(&best.point));
        let rates = plan.processes.iter();
        let rates = rates.map(|p| (p.name.clone(), [p.rate(), p.scale * p.sum_error]));
        let mut result = MeasurementResult {
            format: FORMAT,
            method: METHOD.to_owned(),
            experiment: measurement.experiment.name.clone(),
            data: if is_observed { "observed" } else { "asimov" }.to_owned(),
            events: 0,
            weight: counts,
            expected: expected.sum(),
            rates: rates.collect(),
            fit,
            scans,
            impacts: impacts.unwrap_or_default(),
            limit,
            histogram_limit: None,
            contours: Vec::new(),
            checks: Checks::default(),
            finite_sample: None,
            toys: None,
            missing: remarks.missing,
            ratios: Vec::new(),
            backgrounds: prepared.backgrounds.clone(),
            yields: analysis.yields(&model, &best, is_observed),
            limit_impacts,
            limit_scans,
            replica_limits,
            export,
            inputs: plan.files.clone(),
            files: Vec::new(),
            losses: plan.losses.clone(),
            notes: remarks.notes,
        };
        add_notes(&mut result);
        self.write(analysis, &mut result, &asked, &best)?;
        Ok(Some(result))
    }

    /// The toys that are asked for.
    fn toys(&self) -> Option<ToyRequest> {
        let toys = self.limit.measurement.toys.as_ref()?;
        Some(ToyRequest {
            seed: self.limit.experiment.seed,
            toys: toys.number,
            precision: toys.precision,
            points: (!toys.points.is_empty()).then(|| toys.points.clone()),
        })
    }

    /// What is known before anything is fitted.
    fn remarks(&self) -> Result<Remarks> {
        let (measurement, plan) = (&self.prepared.measurement, &self.prepared.plan);
        let mut notes = files::record_inputs(self.root, &plan.files)?;
        notes.extend(plan.notes.iter().cloned());
        notes.extend(withheld(measurement, plan).map(|reason| {
            format!(
                "{reason}: they were not opened, and all numbers here are of events as expected \
                 without signal (Asimov data)"
            )
        }));
        Ok(Remarks {
            notes,
            ..Remarks::default()
        })
    }

    /// Bins in which a standard deviation of a background's parameter leaves nothing, in words.
    fn takes_all(&self, analysis: Analysis<'_>, model: &HistogramModel) -> Vec<String> {
        let nominal = model.nominal();
        let mut notes = Vec::new();
        for name in &self.prepared.added {
            let Some(place) = analysis.parameters.place(name) else {
                continue;
            };
            let empty = [-1.0, 1.0].into_iter().find_map(|side| {
                let mut at = nominal.clone();
                at[place] = side;
                model.channels.iter().find_map(|channel| {
                    let bin = channel.expected(&at).iter().position(|mean| *mean <= 0.0)?;
                    Some((side, channel.name(), bin))
                })
            });
            if let Some((side, channel, bin)) = empty {
                notes.push(format!(
                    "channel {channel}, bin {bin}: nothing is expected at {name} = {side}, where \
                     the likelihood ends; merge the bin with a neighbour"
                ));
            }
        }
        notes
    }

    /// Bins in which all signals together are less than nothing at a value along which limits are
    /// asked for, in words: what is simulated does not suffice for their sum.
    fn negative_signals(&self, analysis: Analysis<'_>, model: &HistogramModel) -> Vec<String> {
        let is_signal: Vec<bool> = analysis
            .plan
            .processes
            .iter()
            .map(|p| self.limit.is_signal(&p.name))
            .collect();
        let negative = |at: &[f64]| {
            model.channels.iter().find_map(|channel| {
                let parts = channel.contributions(at);
                let signals = parts.iter().zip(&is_signal).filter(|(_, is)| **is);
                let signals: Vec<&Vec<f64>> = signals.map(|(bins, _)| bins).collect();
                let bin = (0..channel.observed().len()).find(|bin| {
                    let (sum, size) = signals.iter().fold((0.0, 0.0), |(sum, size), bins| {
                        (sum + bins[*bin], size + bins[*bin].abs())
                    });
                    sum < -ROUNDING * size
                })?;
                Some((channel.name(), bin))
            })
        };
        let scans = self
            .limit
            .measurement
            .scans
            .iter()
            .filter(|scan| scan.limit);
        let found = scans.filter_map(|scan| {
            let place = analysis.parameters.place(&scan.parameter)?;
            let (low, high) = analysis.parameters.list[place].bounds;
            let range = scan.range.unwrap_or([low, high]);
            let mut at = model.nominal();
            let mut values = analysis.evenly(place, range, scan.points).into_iter();
            let (value, (channel, bin)) = values.find_map(|value| {
                at[place] = value;
                Some((value, negative(&at)?))
            })?;
            Some(format!(
                "channel {channel}, bin {bin}: the signals add up to less than nothing at {} = \
                 {value}; simulate more of them, or merge the bin with a neighbour",
                scan.parameter
            ))
        });
        found.collect()
    }

    /// Writes the page, its figures and tables, and the result, which names all of them.
    fn write(
        &self,
        analysis: Analysis<'_>,
        result: &mut MeasurementResult,
        asked: &[HistogramRequest],
        best: &Fit,
    ) -> Result<()> {
        let (output, measurement) = (&self.output, analysis.measurement);
        let _stage = self.progress.stage("drawing", 0);
        let kept = limit_kept(analysis, asked, best)?;
        let mut sheet = Sheet::new(measurement, (&*result, &kept), output);
        let sections = sheet.limit_sections()?;
        let undrawn = sheet.undrawn;
        result.notes.extend(undrawn);
        let facts = limit_facts(result);
        Sheet::new(measurement, (&*result, &kept), output).write(sections, facts)?;
        result.files = files::names(output.path())?;
        output.write_json(&output.path().join(RESULT), &result)
    }
}

/// Why there is no best fit: that, or a bin that is impossible at the nominal point.
fn reason(error: Error, model: &HistogramModel, likelihood: &Model) -> Error {
    if error.kind() != Kind::Fit {
        return error;
    }
    let nominal: Vec<f64> = likelihood.parameters().iter().map(|p| p.nominal).collect();
    let bin = model.channels.iter().find_map(|c| impossible(c, &nominal));
    error.map(|text| match bin {
        Some(bin) => format!("{text}: {bin}"),
        None => text,
    })
}
