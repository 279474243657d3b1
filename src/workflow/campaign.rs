//! A whole run: all ensembles of an experiment, trained by an executor, each
//! brought to its result.

use super::Workbench;
use super::comparison::{CommonEdges, check_quadrants, compare_methods};
use super::pipeline::{Prepared, RunOptions, base_folder, plan, redo_report, threads};
use super::training::train;
use crate::batch::{Block, blocks};
use crate::error::{Error, Kind, OnFile, Result};
use crate::report::EnsembleEnd;
use crate::results::ComparisonMetrics;
use crate::rundir::{
    DeviceRecord, Inputs, Manifest, Progress, RunDirectory, RunLog, State, VersionRecord,
};
use crate::settings::{ExecutorKind, Experiment};
use crate::training::{Interrupt, Unit};
use serde_json::json;
use sideband_networks::{Compute, cpu_kernel};
use std::cell::RefCell;
use std::time::Instant;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Complete, partial or interrupted: the worst of the ensembles.
    pub state: State,
    /// The run directory.
    pub directory: RunDirectory,
    pub ensembles: Vec<EnsembleEnd>,
    /// What is compared of them.
    pub compared: Option<ComparisonMetrics>,
    /// Whether there is a matrix of them.
    pub is_matrix: bool,
    /// Whether it was asked for some members only, and has them.
    pub is_part: bool,
}

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
    let voice = Progress::lines(options.quiet);
    let say = |text: &str| {
        notes.borrow_mut().push(text.to_owned());
        voice.say(text);
    };
    if options.only.is_some() && experiment.common().executor.kind != ExecutorKind::Local {
        return Err(Error::usage(
            "--only trains in this process; leave it out, or use --executor local",
        ));
    }
    let devices = match open_devices(experiment) {
        // a login node need not have what the nodes have
        Err(error) if experiment.common().executor.kind != ExecutorKind::Local => {
            say(&format!("{error}; the result is computed on the CPU here"));
            vec![Compute::open("cpu")?]
        }
        devices => devices?,
    };
    if let Some(range) = &options.only {
        let members = experiment
            .ensembles
            .iter()
            .map(|e| e.config.ensemble.members);
        let there = members.max().unwrap_or(0).saturating_sub(1);
        if *range.end() > there {
            let (first, last) = range.clone().into_inner();
            return Err(Error::usage(format!(
                "--only {first}-{last}: the last member is {there}"
            )));
        }
    }
    let mut campaign = Campaign::new(experiment, options, interrupt, devices, &say)?;
    let mut ends: Vec<EnsembleEnd> = Vec::new();
    let mut open = Vec::new();
    for prepared in std::mem::take(&mut campaign.prepared) {
        match prepared.finished(options.unblind, campaign.edges.as_ref())? {
            Some(end) => ends.push(end),
            None => open.push(prepared),
        }
    }
    if open.is_empty() {
        let mut ended = campaign.ended(ends);
        if experiment.is_matrix {
            ended.compared = compare_methods(experiment, &ended.ensembles);
            campaign.write_page(&ended)?;
            campaign.close(&ended, started)?;
        }
        say("everything is there already; nothing to do");
        return Ok(ended);
    }
    campaign.prepared = open;
    campaign.started = started;
    campaign.root.close_again(options.unblind)?;
    for prepared in &campaign.prepared {
        prepared.directory.close_again(options.unblind)?;
    }
    let log = campaign.log(notes.take())?;
    campaign.begin(&log)?;
    if !campaign.missing().is_empty() {
        train(&campaign, &log, &say)?;
    }
    let bench = Workbench {
        compute: &campaign.devices[0],
        threads: threads(experiment.common()),
        interrupt,
        say: &say,
    };
    for prepared in &campaign.prepared {
        let mut end = campaign.conclude(prepared, bench, started)?;
        // a member that was damaged since is trained anew, once
        if end.state == State::Interrupted
            && !interrupt.is_raised()
            && options.only.is_none()
            && !campaign.missing().is_empty()
        {
            train(&campaign, &log, &say)?;
            end = campaign.conclude(prepared, bench, started)?;
        }
        ends.push(end);
    }
    let order = |end: &EnsembleEnd| {
        let same = |e: &crate::settings::EnsembleSpec| e.name == end.name;
        experiment.ensembles.iter().position(same)
    };
    ends.sort_by_key(order);
    let mut ended = campaign.ended(ends);
    if experiment.is_matrix {
        ended.compared = compare_methods(experiment, &ended.ensembles);
        campaign.write_page(&ended)?;
    }
    campaign.close(&ended, started)?;
    if ended.state != State::Interrupted {
        log.collect(&campaign.root.join("logs"));
    }
    log.event(
        "end",
        json!({ "state": ended.state, "seconds": started.elapsed().as_secs_f64() }),
    );
    Ok(ended)
}

/// Draws the reports of all ensembles of a matrix anew, and their page, tables and
/// comparison: from members and metrics, without events.
pub(crate) fn redo_matrix(root: &RunDirectory, experiment: &Experiment) -> Result<Ended> {
    let mut ensembles = Vec::with_capacity(experiment.ensembles.len());
    for (spec, directory) in experiment.ensembles.iter().zip(root.ensembles(experiment)) {
        let name = &spec.name;
        let end = redo_report(directory.path());
        let end = end.map_err(|e| e.at(format!("ensemble {name}")))?;
        ensembles.push(EnsembleEnd {
            name: name.clone(),
            ..end
        });
    }
    let compared = compare_methods(experiment, &ensembles);
    crate::report::write_matrix(root, &ensembles, compared.as_ref(), &root.report_path())?;
    let is_partial = ensembles.iter().any(|end| end.state == State::Partial);
    Ok(Ended {
        state: match is_partial {
            true => State::Partial,
            false => State::Complete,
        },
        directory: root.clone(),
        ensembles,
        compared,
        is_matrix: true,
        is_part: false,
    })
}

/// Opens all devices of an experiment.
pub(super) fn open_devices(experiment: &Experiment) -> Result<Vec<Compute>> {
    let config = &experiment.common().device;
    let open = |name| Compute::open(name).map(|compute| compute.with_kernels(config.kernels));
    Ok(config.names().map(open).collect::<Result<_, _>>()?)
}

/// All ensembles of an experiment, with what is there of them.
pub(super) struct Campaign<'a> {
    pub experiment: &'a Experiment,
    pub options: &'a RunOptions,
    pub interrupt: &'a Interrupt,
    pub devices: Vec<Compute>,
    pub root: RunDirectory,
    pub prepared: Vec<Prepared>,
    /// Edges that all ensembles of a comparison have in common.
    pub edges: Option<CommonEdges>,
    pub blocks: Vec<Block>,
    pub started: Instant,
}

impl<'a> Campaign<'a> {
    /// Checks every ensemble against its data and looks at what is there.
    pub(super) fn new(
        experiment: &'a Experiment,
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let all: Vec<usize> = (0..experiment.ensembles.len()).collect();
        let campaign = Self::of(experiment, &all, options, interrupt, devices, say)?;
        // nothing of an earlier configuration is changed before all of it holds
        for prepared in &campaign.prepared {
            prepared.settle(say)?;
        }
        if experiment.is_matrix {
            campaign.root.write_config(&experiment.table)?;
        }
        Ok(campaign)
    }

    /// The same for some of the ensembles, by their place; for one who helps, and
    /// leaves the configuration as it is.
    pub(super) fn of(
        experiment: &'a Experiment,
        wanted: &[usize],
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let silent = |_: &str| {};
        let of = |name: &str, error: Error| match experiment.is_matrix {
            true => error.at(format!("ensemble {name}")),
            false => error,
        };
        let mut root = None;
        if experiment.is_matrix {
            root = Some(RunDirectory::create_root(&options.out, experiment)?);
            say(&format!(
                "checking {} ensembles against their data",
                experiment.ensembles.len()
            ));
        }
        let mut list = Vec::with_capacity(wanted.len());
        let reference = CommonEdges::reference(experiment);
        let mut edges = None;
        for place in wanted.iter().copied() {
            let spec = &experiment.ensembles[place];
            if interrupt.is_raised() && !list.is_empty() {
                let text = "interrupted while the ensembles were checked against their data";
                return Err(Error::new(interrupt.kind(), text));
            }
            let quiet: &dyn Fn(&str) = if experiment.is_matrix { &silent } else { say };
            let path = match &root {
                Some(root) => root.ensemble(&spec.name).path().to_owned(),
                None => options.out.clone(),
            };
            let prepared = plan(spec, options, quiet)
                .and_then(|plan| {
                    check_quadrants(experiment, spec, &plan)?;
                    if reference == Some(place) {
                        edges = Some(CommonEdges::of(&plan));
                    }
                    Prepared::new(spec, plan, &path, say)
                })
                .map_err(|error| of(&spec.name, error))?;
            list.push(prepared);
            if experiment.is_matrix {
                // read again when its turn comes: all of them may not fit
                list.iter_mut().for_each(|p: &mut Prepared| p.plan = None);
            }
        }
        let root = match root {
            Some(root) => root,
            None => RunDirectory::create_root(&options.out, experiment)?,
        };
        Ok(Self {
            experiment,
            options,
            interrupt,
            devices,
            root,
            prepared: list,
            edges,
            blocks: blocks(experiment),
            started: Instant::now(),
        })
    }

    /// Writes the page of all ensembles; that of a measurement is another one.
    fn write_page(&self, ended: &Ended) -> Result<()> {
        let page = match self.experiment.measurement {
            Some(_) => self.root.path().join("ensembles.html"),
            None => self.root.report_path(),
        };
        let compared = ended.compared.as_ref();
        if compared.is_none() {
            // of an earlier configuration, if there are any
            for ending in ["json", "csv", "tex"] {
                let path = self.root.path().join(format!("comparison.{ending}"));
                let _ = std::fs::remove_file(path);
            }
        }
        crate::report::write_matrix(&self.root, &ended.ensembles, compared, &page)
    }

    fn ended(&self, ensembles: Vec<EnsembleEnd>) -> Ended {
        let has = |state: State| ensembles.iter().any(|e| e.state == state);
        let state = if has(State::Interrupted) {
            State::Interrupted
        } else if has(State::Partial) || ensembles.iter().any(|e| e.error.is_some()) {
            State::Partial
        } else {
            State::Complete
        };
        Ended {
            state,
            directory: self.root.clone(),
            ensembles,
            compared: None,
            is_matrix: self.experiment.is_matrix,
            is_part: self.options.only.is_some() && self.missing().is_empty(),
        }
    }

    fn log(&self, notes: Vec<String>) -> Result<RunLog> {
        let path = self.root.join("log.jsonl");
        let log = RunLog::open(&path).on(&path)?;
        for note in notes {
            log.event("note", json!({ "text": note }));
        }
        Ok(log)
    }

    pub(super) fn device_names(&self) -> String {
        let names: Vec<&str> = self.devices.iter().map(Compute::name).collect();
        names.join(",")
    }

    fn manifest(&self, prepared: &Prepared) -> Manifest {
        let threads = threads(self.experiment.common());
        prepared.manifest(&self.device_names(), threads, self.options)
    }

    /// Writes that the run is under way.
    fn begin(&self, log: &RunLog) -> Result<()> {
        for prepared in &self.prepared {
            let mut manifest = self.manifest(prepared);
            let there = |m: &u32| !prepared.missing.contains(m);
            manifest.members = (0..prepared.spec.config.ensemble.members)
                .filter(there)
                .collect();
            prepared.directory.write_manifest(&manifest)?;
        }
        if self.experiment.is_matrix {
            self.root
                .write_manifest(&self.root_manifest(State::Running))?;
        }
        log.event(
            "start",
            json!({
                "ensembles": self.prepared.len(),
                "members": self.total(),
                "found": self.count(),
                "device": self.device_names(),
                "threads": threads(self.experiment.common()),
            }),
        );
        Ok(())
    }

    fn root_manifest(&self, state: State) -> Manifest {
        let common = self.experiment.common();
        Manifest {
            format: 1,
            state,
            seed: common.experiment.seed,
            unblind: self.options.unblind,
            base: base_folder(),
            versions: VersionRecord::current(),
            device: DeviceRecord {
                name: self.device_names(),
                threads: threads(common),
                cpu_kernel: cpu_kernel().to_owned(),
            },
            inputs: self.known_inputs(),
            losses: Vec::new(),
            members: Vec::new(),
            failed: Vec::new(),
            outputs: std::collections::BTreeMap::new(),
            ensembles: self
                .experiment
                .ensembles
                .iter()
                .map(|e| e.name.clone())
                .collect(),
            started: crate::rundir::now(),
            finished: None,
            wall_seconds: 0.0,
        }
    }

    /// What the manifest has of the inputs of a measurement, which is on record when its
    /// result is there.
    fn known_inputs(&self) -> Inputs {
        let manifest = self.root.manifest().ok().flatten();
        manifest.map(|m| m.inputs).unwrap_or_default()
    }

    /// Writes how a matrix ended; an ensemble alone has written it itself.
    fn close(&self, ended: &Ended, started: Instant) -> Result<()> {
        if !self.experiment.is_matrix {
            return Ok(());
        }
        let mut manifest = self.root_manifest(ended.state);
        manifest.finished = Some(crate::rundir::now());
        manifest.wall_seconds = started.elapsed().as_secs_f64();
        self.root.write_manifest(&manifest)
    }

    /// Members of all ensembles.
    pub(super) fn total(&self) -> u64 {
        let members = |p: &Prepared| u64::from(p.spec.config.ensemble.members);
        self.prepared.iter().map(members).sum()
    }

    /// Members that are there, whoever trained them.
    pub(super) fn count(&self) -> u64 {
        let there = |p: &Prepared| p.directory.count_members(p.spec.config.ensemble.members);
        self.prepared.iter().map(there).sum()
    }

    pub(super) fn place(&self, task: usize) -> Option<&Prepared> {
        let name = &self.experiment.ensembles.get(task)?.name;
        self.prepared.iter().find(|p| p.spec.name == *name)
    }

    pub(super) fn is_missing(&self, unit: Unit) -> bool {
        self.place(unit.task)
            .is_some_and(|p| self.wants(unit.member) && !p.directory.member(unit.member).exists())
    }

    /// Whether a member is to be trained here.
    pub(super) fn wants(&self, member: u32) -> bool {
        self.options
            .only
            .as_ref()
            .is_none_or(|range| range.contains(&member))
    }

    /// Numbers of the blocks in which members are missing.
    pub(super) fn missing(&self) -> Vec<u32> {
        self.blocks
            .iter()
            .filter(|block| block.units.iter().any(|unit| self.is_missing(*unit)))
            .map(|block| block.number)
            .collect()
    }

    fn conclude(
        &self,
        prepared: &Prepared,
        bench: Workbench<'_>,
        started: Instant,
    ) -> Result<EnsembleEnd> {
        let name = &prepared.spec.name;
        let say = |text: &str| {
            if self.experiment.is_matrix {
                (bench.say)(&format!("{name}: {text}"));
            } else {
                (bench.say)(text);
            }
        };
        let bench = Workbench { say: &say, ..bench };
        let manifest = self.manifest(prepared);
        let members = prepared.spec.config.ensemble.members;
        if self.interrupt.is_raised()
            || prepared.directory.count_members(members) < u64::from(members)
        {
            return prepared.interrupted(manifest, started);
        }
        let mut read;
        let plan = match &prepared.plan {
            Some(plan) => plan,
            None => {
                read = plan(&prepared.spec, self.options, &|_| {})?;
                if let Some(edges) = &self.edges {
                    edges.give_to(&mut read);
                }
                &read
            }
        };
        match prepared.conclude(plan, bench, manifest, started) {
            // the other ensembles do not suffer from it
            Err(error)
                if self.experiment.is_matrix
                    && matches!(
                        error.kind(),
                        Kind::Partial | Kind::NoResult | Kind::NoSamples
                    ) =>
            {
                say(&format!("error: {error}"));
                Ok(EnsembleEnd {
                    name: name.clone(),
                    config: prepared.spec.config.clone(),
                    directory: prepared.directory.clone(),
                    state: State::Partial,
                    metrics: None,
                    error: Some(error),
                })
            }
            other => other,
        }
    }
}
