//! A whole run: all ensembles of an experiment, trained by an executor, each
//! brought to its result.

use super::Workbench;
use super::comparison::{CommonEdges, check_quadrants, compare_methods};
use super::ensemble::{EnsembleRun, RunOptions, close, plan, redo_report, threads};
use super::plan::Plan;
use super::sample::Sample;
use super::training::{FamilyPlans, train};
use crate::batch::{Block, blocks};
use crate::error::{Error, Kind, OnFile, Result};
use crate::files::lock;
use crate::report::{EnsembleEnd, write_matrix};
use crate::results::ComparisonMetrics;
use crate::rundir::{
    DeviceRecord, Inputs, Manifest, Progress, RunDirectory, RunLog, State, VersionRecord, now,
};
use crate::settings::{Config, DeviceConfig, EnsembleSpec, ExecutorKind, Experiment, IdentityOf};
use crate::training::{Interrupt, Unit};
use serde_json::json;
use sideband_networks::{Compute, cpu_kernel};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
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
    let is_local = experiment.common().executor.kind == ExecutorKind::Local;
    if options.only.is_some() && !is_local {
        return Err(Error::usage(
            "--only trains in this process; leave it out, or use --executor local",
        ));
    }
    let devices = match open_devices(experiment, &experiment.common().device) {
        // a login node need not have what the nodes have
        Err(error) if !is_local => {
            say(&format!("{error}; the result is computed on the CPU here"));
            vec![Compute::open("cpu")?]
        }
        devices => devices?,
    };
    if let Some(range) = &options.only {
        let ensembles = experiment.ensembles.iter();
        let members = ensembles.map(|e| e.config.ensemble.members);
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
    for run in std::mem::take(&mut campaign.ensembles) {
        match run.finished(options.unblind, campaign.edges.as_ref())? {
            Some(end) => ends.push(end),
            None => campaign.ensembles.push(run),
        }
    }
    if campaign.ensembles.is_empty() {
        let ended = campaign.ended(ends, started)?;
        say("everything is there already; nothing to do");
        return Ok(ended);
    }
    campaign.started = started;
    campaign.root.close_again(options.unblind)?;
    for run in &campaign.ensembles {
        run.directory.close_again(options.unblind)?;
    }
    let log = campaign.log(notes.take())?;
    campaign.begin(&log)?;
    if !campaign.missing().is_empty() {
        train(&campaign, &log, &say)?;
    }
    lock(&campaign.checked).clear();
    let bench = Workbench {
        compute: &campaign.devices[0],
        threads: threads(experiment.common()),
        interrupt,
        say: &say,
    };
    let mut earlier = Vec::new();
    for run in &campaign.ensembles {
        let mut end = campaign.conclude(run, bench, started, &mut earlier)?;
        // a member that was damaged since is trained anew, once
        if end.state == State::Interrupted
            && !interrupt.is_raised()
            && options.only.is_none()
            && !campaign.missing().is_empty()
        {
            earlier.clear();
            train(&campaign, &log, &say)?;
            end = campaign.conclude(run, bench, started, &mut earlier)?;
        }
        ends.push(end);
    }
    let place = |end: &EnsembleEnd| {
        let mut all = experiment.ensembles.iter();
        all.position(|e| e.name == end.name)
    };
    ends.sort_by_key(place);
    let ended = campaign.ended(ends, started)?;
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
    write_matrix(root, &ensembles, compared.as_ref(), &root.report_path())?;
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

/// Opens devices, with the kernels of an experiment.
pub(super) fn open_devices(
    experiment: &Experiment,
    devices: &DeviceConfig,
) -> Result<Vec<Compute>> {
    let kernels = experiment.common().device.kernels;
    let open = |name| Compute::open(name).map(|compute| compute.with_kernels(kernels));
    Ok(devices.names().map(open).collect::<Result<_, _>>()?)
}

/// All ensembles of an experiment, with what is there of them.
pub(super) struct Campaign<'a> {
    pub experiment: &'a Experiment,
    pub options: &'a RunOptions,
    pub interrupt: &'a Interrupt,
    pub devices: Vec<Compute>,
    pub root: RunDirectory,
    pub ensembles: Vec<EnsembleRun>,
    /// Edges that all ensembles of a comparison have in common.
    pub edges: Option<CommonEdges>,
    pub blocks: Vec<Block>,
    /// Plans for the training that the checks have made.
    checked: Mutex<Vec<Plan>>,
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
        let is_local = experiment.common().executor.kind == ExecutorKind::Local;
        let trains = is_local && options.only.is_none();
        let campaign = Self::of(experiment, &all, options, interrupt, devices, say, trains)?;
        // nothing of an earlier configuration is changed before all of it holds
        for run in &campaign.ensembles {
            run.settle(say)?;
        }
        if experiment.is_matrix {
            campaign.root.write_config(&experiment.table)?;
        }
        Ok(campaign)
    }

    /// The same for some of the ensembles, by their place; for one who helps, and
    /// leaves the configuration as it is. `trains`: all that is missing is
    /// trained in this process.
    pub(super) fn of(
        experiment: &'a Experiment,
        wanted: &[usize],
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        say: &dyn Fn(&str),
        trains: bool,
    ) -> Result<Self> {
        let is_matrix = experiment.is_matrix;
        let create_root = || RunDirectory::create_root(&options.out, experiment);
        let root = if is_matrix {
            Some(create_root()?)
        } else {
            None
        };
        if is_matrix {
            say(&format!(
                "checking {} ensembles against their data",
                experiment.ensembles.len()
            ));
        }
        let mut ensembles = Vec::with_capacity(wanted.len());
        let reference = CommonEdges::reference(experiment);
        let mut edges = None;
        let mut earlier = Vec::new();
        let gathers = trains && can_gather(experiment, wanted, root.as_ref());
        let mut family = gathers.then(FamilyPlans::default);
        for place in wanted.iter().copied() {
            let spec = &experiment.ensembles[place];
            if interrupt.is_raised() && !ensembles.is_empty() {
                let text = "interrupted while the ensembles were checked against their data";
                return Err(Error::new(interrupt.kind(), text));
            }
            let quiet: &dyn Fn(&str) = if is_matrix { &|_| {} } else { say };
            let path = match &root {
                Some(root) => root.ensemble(&spec.name).path().to_owned(),
                None => options.out.clone(),
            };
            let run = plan(spec, options, std::mem::take(&mut earlier), quiet).and_then(|plan| {
                check_quadrants(experiment, spec, &plan)?;
                if reference == Some(place) {
                    edges = Some(CommonEdges::of(&plan));
                }
                EnsembleRun::new(spec, plan, &path, say)
            });
            let mut run = match is_matrix {
                true => run.map_err(|error| error.at(format!("ensemble {}", spec.name)))?,
                false => run?,
            };
            if is_matrix && let Some(plan) = run.plan.take() {
                // read again when its turn comes: all of them may not fit
                earlier = match &mut family {
                    Some(family) => family.add(plan),
                    None => plan.samples,
                };
            }
            ensembles.push(run);
        }
        Ok(Self {
            root: root.map_or_else(create_root, Ok)?,
            experiment,
            options,
            interrupt,
            devices,
            ensembles,
            edges,
            blocks: blocks(experiment),
            checked: Mutex::new(family.map_or_else(Vec::new, FamilyPlans::finish)),
            started: Instant::now(),
        })
    }

    /// How all of it ended. Writes the page of a matrix, and its manifest; an ensemble
    /// alone has written its own.
    fn ended(&self, ensembles: Vec<EnsembleEnd>, started: Instant) -> Result<Ended> {
        let has = |state: State| ensembles.iter().any(|e| e.state == state);
        let state = if has(State::Interrupted) {
            State::Interrupted
        } else if has(State::Partial) || ensembles.iter().any(|e| e.error.is_some()) {
            State::Partial
        } else {
            State::Complete
        };
        let mut compared = None;
        if self.experiment.is_matrix {
            compared = compare_methods(self.experiment, &ensembles);
            self.write_page(&ensembles, compared.as_ref())?;
            close(&self.root, &mut self.root_manifest(), state, started)?;
        }
        Ok(Ended {
            state,
            directory: self.root.clone(),
            ensembles,
            compared,
            is_matrix: self.experiment.is_matrix,
            is_part: self.options.only.is_some() && self.missing().is_empty(),
        })
    }

    /// Writes the page of all ensembles; that of a measurement is another one.
    fn write_page(
        &self,
        ensembles: &[EnsembleEnd],
        compared: Option<&ComparisonMetrics>,
    ) -> Result<()> {
        let page = match self.experiment.measurement {
            Some(_) => self.root.path().join("ensembles.html"),
            None => self.root.report_path(),
        };
        if compared.is_none() {
            // of an earlier configuration, if there are any
            for ending in ["json", "csv", "tex"] {
                let path = self.root.path().join(format!("comparison.{ending}"));
                let _ = std::fs::remove_file(path);
            }
        }
        write_matrix(&self.root, ensembles, compared, &page)
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

    /// The manifest of what is under way.
    fn manifest(&self, config: &Config, inputs: Inputs) -> Manifest {
        // for one who goes on elsewhere
        let folder = std::env::current_dir().ok();
        Manifest {
            format: 1,
            state: State::Running,
            seed: config.experiment.seed,
            unblind: self.options.unblind,
            base: folder.map(|folder| folder.display().to_string()),
            versions: VersionRecord::current(),
            device: DeviceRecord {
                name: self.device_names(),
                threads: threads(self.experiment.common()),
                cpu_kernel: cpu_kernel().to_owned(),
            },
            inputs,
            losses: Vec::new(),
            members: Vec::new(),
            failed: Vec::new(),
            ensembles: Vec::new(),
            outputs: BTreeMap::new(),
            started: now(),
            finished: None,
            wall_seconds: 0.0,
        }
    }

    fn ensemble_manifest(&self, run: &EnsembleRun) -> Manifest {
        Manifest {
            outputs: run.outputs.clone(),
            ..self.manifest(&run.spec.config, run.inputs.clone())
        }
    }

    fn root_manifest(&self) -> Manifest {
        // the inputs of a measurement are on record when its result is there
        let known = self.root.manifest().ok().flatten();
        let inputs = known.map(|m| m.inputs).unwrap_or_default();
        let names = self.experiment.ensembles.iter().map(|e| e.name.clone());
        Manifest {
            ensembles: names.collect(),
            ..self.manifest(self.experiment.common(), inputs)
        }
    }

    /// Writes that the run is under way.
    fn begin(&self, log: &RunLog) -> Result<()> {
        for run in &self.ensembles {
            let mut manifest = self.ensemble_manifest(run);
            let is_there = |m: &u32| !run.missing.contains(m);
            manifest.members = (0..run.requested()).filter(is_there).collect();
            run.directory.write_manifest(&manifest)?;
        }
        if self.experiment.is_matrix {
            self.root.write_manifest(&self.root_manifest())?;
        }
        log.event(
            "start",
            json!({
                "ensembles": self.ensembles.len(),
                "members": self.total(),
                "found": self.count(),
                "device": self.device_names(),
                "threads": threads(self.experiment.common()),
            }),
        );
        Ok(())
    }

    /// Members of all ensembles.
    pub(super) fn total(&self) -> u64 {
        let requested = self.ensembles.iter().map(EnsembleRun::requested);
        requested.map(u64::from).sum()
    }

    /// Members that are there, whoever trained them.
    pub(super) fn count(&self) -> u64 {
        self.ensembles.iter().map(EnsembleRun::count).sum()
    }

    /// An ensemble by its place in the experiment.
    pub(super) fn place(&self, task: usize) -> Option<&EnsembleRun> {
        let name = &self.experiment.ensembles.get(task)?.name;
        self.ensembles.iter().find(|run| run.spec.name == *name)
    }

    pub(super) fn is_missing(&self, unit: Unit) -> bool {
        let run = self.place(unit.task);
        run.is_some_and(|run| {
            self.wants(unit.member) && !run.directory.member(unit.member).exists()
        })
    }

    /// Plans for the training of ensembles, if the checks have made them; once.
    pub(super) fn checked(&self, runs: &[&EnsembleRun]) -> Option<Vec<Plan>> {
        let mut plans = std::mem::take(&mut *lock(&self.checked));
        plans.retain(|plan| runs.iter().any(|run| run.spec.name == plan.ensemble));
        (plans.len() == runs.len()).then_some(plans)
    }

    /// Whether a member is to be trained here.
    pub(super) fn wants(&self, member: u32) -> bool {
        let only = self.options.only.as_ref();
        only.is_none_or(|range| range.contains(&member))
    }

    /// Numbers of the blocks in which members are missing.
    pub(super) fn missing(&self) -> Vec<u32> {
        self.blocks
            .iter()
            .filter(|block| block.units.iter().any(|unit| self.is_missing(*unit)))
            .map(|block| block.number)
            .collect()
    }

    /// Brings an ensemble to its result. `earlier` has samples of the one before, and
    /// then its own.
    fn conclude(
        &self,
        run: &EnsembleRun,
        bench: Workbench<'_>,
        started: Instant,
        earlier: &mut Vec<Sample>,
    ) -> Result<EnsembleEnd> {
        let is_matrix = self.experiment.is_matrix;
        let say = |text: &str| match is_matrix {
            true => (bench.say)(&format!("{}: {text}", run.spec.name)),
            false => (bench.say)(text),
        };
        let bench = Workbench { say: &say, ..bench };
        let manifest = self.ensemble_manifest(run);
        if self.interrupt.is_raised() || run.count() < u64::from(run.requested()) {
            return run.interrupted(manifest, started);
        }
        let mut read = None;
        let plan = match &run.plan {
            Some(plan) => plan,
            None => {
                let samples = std::mem::take(earlier);
                let read = read.insert(plan(&run.spec, self.options, samples, &|_| {})?);
                if let Some(edges) = &self.edges {
                    edges.give_to(read);
                }
                &*read
            }
        };
        let kept = [Kind::Partial, Kind::NoResult, Kind::NoSamples];
        let ended = run.conclude(plan, bench, manifest, started);
        *earlier = read.map_or_else(Vec::new, |plan| plan.samples);
        match ended {
            // the other ensembles do not suffer from it
            Err(error) if is_matrix && kept.contains(&error.kind()) => {
                say(&format!("error: {error}"));
                Ok(EnsembleEnd {
                    error: Some(error),
                    ..run.ended(State::Partial, None)
                })
            }
            other => other,
        }
    }
}

/// Whether the training events of all ensembles can be gathered while they are checked, with
/// no more in memory than later: of one family, whose matrix is that of the training, and
/// without members so far, which are read beside a plan.
fn can_gather(experiment: &Experiment, wanted: &[usize], root: Option<&RunDirectory>) -> bool {
    let Some(root) = root else {
        return false;
    };
    let all: Vec<&EnsembleSpec> = wanted.iter().map(|i| &experiment.ensembles[*i]).collect();
    let family = |spec: &EnsembleSpec| spec.config.identity(IdentityOf::Family);
    let has_members = |spec: &&EnsembleSpec| {
        let members = spec.config.ensemble.members;
        root.ensemble(&spec.name).count_members(members) > 0
    };
    !all.iter().any(has_members) && all.windows(2).all(|two| family(two[0]) == family(two[1]))
}
