//! From what was read to the result: fit, limits, impacts, page.

use super::super::backgrounds::takes_all;
use super::super::export::{export, named};
use super::super::files;
use super::super::likelihoods::impossible;
use super::super::limits::HistogramData;
use super::super::model::{Analysis, HistogramRequest, Parameters};
use super::super::notes::add_notes;
use super::super::page::{Sheet, limit_facts, limit_kept};
use super::super::result::{Checks, FORMAT, MeasurementResult, RESULT};
use super::impacts;
use super::prepared::Prepared;
use crate::error::{Context, Error, Kind, Result};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::{Limit, ScanConfig};
use crate::training::Interrupt;
use crate::workspace::ToyRequest;
use indexmap::IndexMap;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{Likelihood as _, Model};
use std::time::Instant;

/// What its result calls it.
const METHOD: &str = "limit";

/// A fit whose samples are read, and where its result goes.
pub(super) struct Study<'a> {
    pub(super) limit: &'a Limit,
    pub(super) prepared: &'a Prepared,
    pub(super) parameters: &'a Parameters,
    pub(super) root: &'a RunDirectory,
    /// Where the files of the result are written before they are put in their place.
    pub(super) output: RunDirectory,
    pub(super) interrupt: &'a Interrupt,
    pub(super) progress: &'a Progress,
}

impl<'a> Study<'a> {
    fn analysis(&self) -> Analysis<'a> {
        Analysis {
            measurement: &self.prepared.measurement,
            plan: &self.prepared.plan,
            parameters: self.parameters,
        }
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

    /// The result; none if it was interrupted.
    pub(super) fn conclude(&self) -> Result<Option<MeasurementResult>> {
        let (prepared, progress, analysis) = (self.prepared, self.progress, self.analysis());
        let (measurement, plan) = (&prepared.measurement, &prepared.plan);
        let config = &self.limit.measurement.limit;
        let mut remarks = self.remarks()?;
        let is_observed = !prepared.observed.is_empty();
        let asked = HistogramRequest::all(measurement, &prepared.observed, true);
        let model = analysis.with_data(&asked, config, is_observed)?;
        let (added, nominal) = (&prepared.added, model.nominal());
        let emptied = takes_all(self.parameters, added, (&model.channels, &nominal));
        remarks.notes.extend(emptied);
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
        let along = self.limit.measurement.scans.iter();
        let along: Vec<&ScanConfig> = along.filter(|scan| scan.limit).collect();
        let export = export(analysis, &self.output, histograms, &fitted, &along)?;
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
