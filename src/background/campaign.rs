//! A whole run: all ensembles of an experiment, trained by an executor, each
//! brought to its result.

use super::Workbench;
use super::pipeline::{EnsembleEnd, Prepared, RunError, RunOptions, base_folder, plan, threads};
use super::plan::Plan;
use crate::config::{DeviceConfig, ExecutorKind, Experiment};
use crate::ensemble::{
    ClassRows, Inputs, Interrupt, Member, Resources, StreamSource, Task, TrainError,
    TrainingSample, Unit, train_local,
};
use crate::executor::batch::FollowSettings;
use crate::executor::htcondor::Htcondor;
use crate::executor::slurm::Slurm;
use crate::executor::{
    Block, Executor, Local, Monitor, Queue, RunLedger, Work, block_members, blocks,
};
use crate::run::{
    Claims, DeviceRecord, DirectoryError, Manifest, Progress, RunDirectory, RunLog, State,
    VersionRecord, WorkerFile, WorkerId,
};
use serde_json::json;
use sideband_models::{Compute, cpu_kernel};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Complete, partial or interrupted: the worst of the ensembles.
    pub state: State,
    /// The run directory.
    pub directory: RunDirectory,
    /// The ensembles.
    pub ensembles: Vec<EnsembleEnd>,
    /// Whether there is a matrix of them.
    pub is_matrix: bool,
    /// Whether it was asked for some members only, and has them.
    pub is_part: bool,
}

/// Trains what is missing, applies the ensembles and writes the result.
///
/// # Errors
/// [`RunError`]; members finished before it are kept, and running again goes on.
pub fn run(
    experiment: &Experiment,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended, RunError> {
    let started = Instant::now();
    let notes = RefCell::new(Vec::new());
    let voice = Progress::lines(options.quiet);
    let say = |text: &str| {
        notes.borrow_mut().push(text.to_owned());
        voice.say(text);
    };
    if options.only.is_some() && experiment.common().executor.kind != ExecutorKind::Local {
        return Err(RunError::OnlyLocal);
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
            return Err(RunError::NoMember { first, last, there });
        }
    }
    let mut campaign = Campaign::new(experiment, options, interrupt, devices, &say)?;
    let mut ends: Vec<EnsembleEnd> = Vec::new();
    let mut open = Vec::new();
    for prepared in std::mem::take(&mut campaign.prepared) {
        match prepared.finished(options.unblind)? {
            Some(end) => ends.push(end),
            None => open.push(prepared),
        }
    }
    if open.is_empty() {
        let ended = campaign.ended(ends);
        if experiment.is_matrix {
            crate::report::write_matrix(&campaign.root, &ended.ensembles)?;
            campaign.close(&ended, started)?;
        }
        say("everything is there already; nothing to do");
        return Ok(ended);
    }
    campaign.prepared = open;
    campaign.started = started;
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
        let same = |e: &crate::config::EnsembleSpec| e.name == end.name;
        experiment.ensembles.iter().position(same)
    };
    ends.sort_by_key(order);
    let ended = campaign.ended(ends);
    if experiment.is_matrix {
        crate::report::write_matrix(&campaign.root, &ended.ensembles)?;
    }
    campaign.close(&ended, started)?;
    if ended.state != State::Interrupted {
        log.collect(&campaign.root.logs());
    }
    log.event(
        "end",
        json!({ "state": ended.state, "seconds": started.elapsed().as_secs_f64() }),
    );
    Ok(ended)
}

/// Trains what is missing, where the configuration says.
fn train(campaign: &Campaign<'_>, log: &RunLog, say: &dyn Fn(&str)) -> Result<(), RunError> {
    let training = Training { campaign, log, say };
    let config = &campaign.experiment.common().executor;
    let follow = FollowSettings {
        poll: Duration::from_secs_f64(config.poll_seconds),
        resubmissions: config.resubmissions,
        ..FollowSettings::default()
    };
    match config.kind {
        ExecutorKind::Local => Local.execute(&training),
        ExecutorKind::Slurm => {
            Queue::new(Slurm::new(config.slurm.clone())?, follow).execute(&training)
        }
        ExecutorKind::Htcondor => {
            Queue::new(Htcondor::new(config.htcondor.clone())?, follow).execute(&training)
        }
    }
}

/// Trains what is missing of one block, or of whatever block is free, and leaves
/// the result to others.
///
/// # Errors
/// [`RunError`]; members finished before it are kept.
pub fn work(
    root: &RunDirectory,
    (block, block_members): (Option<u32>, Option<usize>),
    devices: Option<&str>,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Worked, RunError> {
    let mut experiment = root.experiment()?;
    if let Some(members) = block_members {
        // the numbers of the blocks are those of the one who submitted them
        for spec in &mut experiment.ensembles {
            spec.config.executor.members = members;
        }
    }
    let all = blocks(&experiment);
    if let Some(block) = block
        && block as usize >= all.len()
    {
        let last = all.len() as u32 - 1;
        return Err(RunError::NoBlock { block, last });
    }
    let devices = match devices {
        Some(names) => {
            let own = experiment.common().device.kinds();
            let asked = DeviceConfig {
                name: names.to_owned(),
                ..DeviceConfig::default()
            };
            if asked.kinds() != own {
                return Err(RunError::MixedDevices {
                    asked: names.to_owned(),
                    own: own.join(","),
                });
            }
            asked.names().map(Compute::open).collect::<Result<_, _>>()?
        }
        None => open_devices(&experiment)?,
    };
    let mut wanted: Vec<usize> = all
        .iter()
        .filter(|b| block.is_none_or(|block| b.number == block))
        .flat_map(|b| b.units.iter().map(|unit| unit.task))
        .collect();
    wanted.dedup();
    let campaign = Campaign::of(&experiment, &wanted, options, interrupt, devices, &|_| {})?;
    let name = WorkerId::unique();
    let path = root.logs().join(format!("{name}.jsonl"));
    let log = std::fs::create_dir_all(root.logs())
        .and_then(|()| RunLog::open(&path))
        .map_err(|source| DirectoryError::Io { path, source })?;
    let training = Training {
        campaign: &campaign,
        log: &log,
        say: &|_| {},
    };
    let missing = |campaign: &Campaign<'_>| -> Vec<u32> {
        let list = campaign.missing().into_iter();
        list.filter(|b| block.is_none_or(|block| *b == block))
            .collect()
    };
    let numbers = missing(&campaign);
    if !numbers.is_empty() {
        training.train(&numbers)?;
    }
    Ok(Worked {
        is_done: missing(&campaign).is_empty(),
    })
}

/// How a worker ended.
#[derive(Clone, Copy, Debug)]
pub struct Worked {
    /// Whether nothing is missing of what it was asked for.
    pub is_done: bool,
}

/// Adds members to a run and brings it to its result; those that are there stay
/// as they are.
///
/// # Errors
/// [`RunError::Shrink`] if the number is smaller than the present one; else
/// as [`run`].
pub fn extend(
    root: &RunDirectory,
    members: u32,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended, RunError> {
    let old = root.experiment()?;
    let there = old.ensembles.iter().map(|e| e.config.ensemble.members);
    let there = there.max().unwrap_or(0);
    // as many as there are: it was stopped before, and goes on
    if members < there {
        return Err(RunError::Shrink {
            there,
            asked: members,
        });
    }
    let experiment = old.with_members(members)?;
    root.write_experiment(&experiment)?;
    run(&experiment, options, interrupt)
}

/// What came of a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Members that were taken over.
    pub taken: u32,
    /// Members that both had, and that are equal.
    pub equal: u32,
    /// Members that both had and that differ: those of the run itself stay.
    pub different: u32,
    /// Members that nobody has.
    pub missing: u32,
}

/// Takes over the members of other runs of the same plan.
///
/// # Errors
/// [`RunError::Merge`] if another is not of the same plan or data; nothing of it
/// is taken over then.
pub fn merge(root: &RunDirectory, others: &[RunDirectory]) -> Result<Merged, RunError> {
    let experiment = root.experiment()?;
    let mut merged = Merged::default();
    for other in others {
        let refuse = |reason: String| RunError::Merge {
            path: other.path().to_owned(),
            reason,
        };
        let theirs = other.experiment()?;
        let mut pairs = Vec::new();
        for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
            let place = theirs.ensembles.iter().position(|e| e.name == spec.name);
            let Some(place) = place else { continue };
            let from = other.ensembles(&theirs).swap_remove(place);
            let mut config = spec.config.clone();
            config.ensemble.members = theirs.ensembles[place].config.ensemble.members;
            from.compare_config(&config)
                .map_err(|e| refuse(e.to_string()))?;
            if let (Some(manifest), true) = (from.manifest()?, own.manifest()?.is_some()) {
                own.same_inputs(&manifest.inputs)
                    .map_err(|e| refuse(e.to_string()))?;
            }
            pairs.push((spec, own, from));
        }
        if pairs.is_empty() {
            return Err(refuse("it has none of the ensembles".to_owned()));
        }
        for (spec, own, from) in pairs {
            for number in 0..spec.config.ensemble.members {
                let Ok(member) = Member::read(&from.member(number)) else {
                    continue;
                };
                match Member::read(&own.member(number)) {
                    Ok(there) if there == member => merged.equal += 1,
                    Ok(_) => merged.different += 1,
                    Err(_) => {
                        member
                            .write(&own.member(number))
                            .map_err(TrainError::from)?;
                        merged.taken += 1;
                    }
                }
            }
        }
    }
    for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
        let members = spec.config.ensemble.members;
        merged.missing += members - own.count_members(members) as u32;
    }
    Ok(merged)
}

/// Opens all devices of an experiment.
pub(super) fn open_devices(experiment: &Experiment) -> Result<Vec<Compute>, RunError> {
    let names = experiment.common().device.names();
    Ok(names.map(Compute::open).collect::<Result<_, _>>()?)
}

/// All ensembles of an experiment, with what is there of them.
struct Campaign<'a> {
    experiment: &'a Experiment,
    options: &'a RunOptions,
    interrupt: &'a Interrupt,
    devices: Vec<Compute>,
    root: RunDirectory,
    prepared: Vec<Prepared>,
    blocks: Vec<Block>,
    started: Instant,
}

impl<'a> Campaign<'a> {
    /// Checks every ensemble against its data and looks at what is there.
    fn new(
        experiment: &'a Experiment,
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        say: &dyn Fn(&str),
    ) -> Result<Self, RunError> {
        let all: Vec<usize> = (0..experiment.ensembles.len()).collect();
        Self::of(experiment, &all, options, interrupt, devices, say)
    }

    /// The same for some of the ensembles, by their place.
    fn of(
        experiment: &'a Experiment,
        wanted: &[usize],
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        say: &dyn Fn(&str),
    ) -> Result<Self, RunError> {
        let silent = |_: &str| {};
        let of = |name: &str, error: RunError| -> RunError {
            if experiment.is_matrix {
                RunError::Ensemble {
                    name: name.to_owned(),
                    error: Box::new(error),
                }
            } else {
                error
            }
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
        for spec in wanted.iter().map(|place| &experiment.ensembles[*place]) {
            if interrupt.is_raised() && !list.is_empty() {
                let by_time = interrupt.is_by_time();
                return Err(RunError::Interrupted { by_time });
            }
            let quiet: &dyn Fn(&str) = if experiment.is_matrix { &silent } else { say };
            let path = match &root {
                Some(root) => root.ensemble(&spec.name).path().to_owned(),
                None => options.out.clone(),
            };
            let prepared = plan(spec, options, quiet)
                .and_then(|plan| Prepared::new(spec, plan, &path, say))
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
            blocks: blocks(experiment),
            started: Instant::now(),
        })
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
            is_matrix: self.experiment.is_matrix,
            is_part: self.options.only.is_some() && self.missing().is_empty(),
        }
    }

    fn log(&self, notes: Vec<String>) -> Result<RunLog, RunError> {
        let path = self.root.log_path();
        let log = RunLog::open(&path).map_err(|source| DirectoryError::Io { path, source })?;
        for note in notes {
            log.event("note", json!({ "text": note }));
        }
        Ok(log)
    }

    fn device_names(&self) -> String {
        let names: Vec<&str> = self.devices.iter().map(Compute::name).collect();
        names.join(",")
    }

    fn manifest(&self, prepared: &Prepared) -> Manifest {
        let threads = threads(self.experiment.common());
        prepared.manifest(&self.device_names(), threads, self.options)
    }

    /// Writes that the run is under way.
    fn begin(&self, log: &RunLog) -> Result<(), RunError> {
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
            inputs: crate::run::Inputs::default(),
            members: Vec::new(),
            failed: Vec::new(),
            ensembles: self
                .experiment
                .ensembles
                .iter()
                .map(|e| e.name.clone())
                .collect(),
            started: crate::run::now(),
            finished: None,
            wall_seconds: 0.0,
        }
    }

    /// Writes how a matrix ended; an ensemble alone has written it itself.
    fn close(&self, ended: &Ended, started: Instant) -> Result<(), RunError> {
        if !self.experiment.is_matrix {
            return Ok(());
        }
        let mut manifest = self.root_manifest(ended.state);
        manifest.finished = Some(crate::run::now());
        manifest.wall_seconds = started.elapsed().as_secs_f64();
        Ok(self.root.write_manifest(&manifest)?)
    }

    /// Members of all ensembles.
    fn total(&self) -> u64 {
        let members = |p: &Prepared| u64::from(p.spec.config.ensemble.members);
        self.prepared.iter().map(members).sum()
    }

    /// Members that are there, whoever trained them.
    fn count(&self) -> u64 {
        let there = |p: &Prepared| p.directory.count_members(p.spec.config.ensemble.members);
        self.prepared.iter().map(there).sum()
    }

    fn place(&self, task: usize) -> Option<&Prepared> {
        let name = &self.experiment.ensembles.get(task)?.name;
        self.prepared.iter().find(|p| p.spec.name == *name)
    }

    fn is_missing(&self, unit: Unit) -> bool {
        self.place(unit.task)
            .is_some_and(|p| self.wants(unit.member) && !p.directory.member(unit.member).exists())
    }

    /// Whether a member is to be trained here.
    fn wants(&self, member: u32) -> bool {
        self.options
            .only
            .as_ref()
            .is_none_or(|range| range.contains(&member))
    }

    /// Numbers of the blocks in which members are missing.
    fn missing(&self) -> Vec<u32> {
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
    ) -> Result<EnsembleEnd, RunError> {
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
        let read;
        let plan = match &prepared.plan {
            Some(plan) => plan,
            None => {
                read = plan(&prepared.spec, self.options, &|_| {})?;
                &read
            }
        };
        match prepared.conclude(plan, bench, manifest, started) {
            // the other ensembles do not suffer from it
            Err(error @ (RunError::TooFewMembers { .. } | RunError::Unbounded { .. }))
                if self.experiment.is_matrix =>
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

/// Training as executors see it.
struct Training<'a> {
    campaign: &'a Campaign<'a>,
    log: &'a RunLog,
    say: &'a dyn Fn(&str),
}

impl Work for Training<'_> {
    type Error = RunError;

    fn run(&self) -> &Path {
        self.campaign.root.path()
    }

    fn name(&self) -> &str {
        &self.campaign.experiment.common().experiment.name
    }

    fn missing(&self) -> Vec<u32> {
        self.campaign.missing()
    }

    fn block_members(&self) -> usize {
        block_members(self.campaign.experiment)
    }

    fn is_done(&self, block: u32) -> bool {
        self.units(block)
            .all(|unit| !self.campaign.is_missing(unit))
    }

    fn progress(&self, block: u32) -> u64 {
        let of = |unit: Unit| {
            let Some(prepared) = self.campaign.place(unit.task) else {
                return 0;
            };
            let written = |path: std::path::PathBuf| {
                let time = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
                let age = time.duration_since(std::time::UNIX_EPOCH).ok()?;
                Some(age.as_nanos() as u64)
            };
            let member = written(prepared.directory.member(unit.member));
            let checkpoint = written(prepared.directory.checkpoint(unit.member));
            member.unwrap_or(0).wrapping_mul(3) ^ checkpoint.unwrap_or(0)
        };
        self.units(block)
            .fold(0, |sum, unit| sum.wrapping_add(of(unit)))
    }

    fn interrupted(&self) -> bool {
        self.campaign.interrupt.is_raised()
    }

    fn say(&self, text: &str) {
        self.log.event("note", json!({ "text": text }));
        (self.say)(text);
    }

    fn train(&self, numbers: &[u32]) -> Result<(), RunError> {
        let campaign = self.campaign;
        let config = &campaign.experiment.common().executor;
        let stale = Duration::from_secs_f64(config.stale_seconds);
        let folder = campaign.root.claims();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DirectoryError::Io { path, source }
        };
        let claims = Claims::open(&folder, stale).map_err(io(&folder))?;
        let worker = WorkerFile::create(&campaign.root.workers(), claims.worker()).ok();
        let wanted: Vec<&Block> = campaign
            .blocks
            .iter()
            .filter(|block| numbers.contains(&block.number))
            .collect();
        let members: usize = wanted.iter().map(|block| block.units.len()).sum();
        let (total, done) = (campaign.total(), campaign.count());
        let progress = Progress::new(total, done, campaign.options.quiet).since(campaign.started);
        progress.say(&format!(
            "training {} members on {}",
            (total - done).min(members as u64),
            campaign.device_names()
        ));
        let count = || campaign.count();
        let limit = campaign.experiment.common().training.epochs;
        let monitor = Monitor::new(
            &progress,
            campaign.interrupt,
            self.log,
            (worker.as_ref(), claims.worker()),
            (campaign.device_names(), limit),
            &count,
        );
        let mut families: Vec<usize> = wanted.iter().map(|block| block.family).collect();
        families.sort_unstable();
        families.dedup();
        let mut result = Ok(());
        for family in families {
            if campaign.interrupt.is_raised() {
                break;
            }
            let of_family = |block: &&&Block| block.family == family;
            let blocks: Vec<&Block> = wanted.iter().filter(of_family).copied().collect();
            result = self.train_family(&blocks, &claims, &monitor);
            if result.is_err() {
                break;
            }
        }
        monitor.close();
        result
    }
}

impl Training<'_> {
    fn units(&self, block: u32) -> impl Iterator<Item = Unit> {
        let block = self.campaign.blocks.get(block as usize);
        block
            .into_iter()
            .flat_map(|block| block.units.iter().copied())
    }

    /// Trains blocks of one family on one matrix of inputs.
    fn train_family(
        &self,
        blocks: &[&Block],
        claims: &Claims,
        monitor: &Monitor<'_>,
    ) -> Result<(), RunError> {
        let campaign = self.campaign;
        // ensembles of which something is missing, by their place in the experiment
        let mut places: Vec<usize> = blocks
            .iter()
            .flat_map(|block| &block.units)
            .filter(|unit| campaign.is_missing(**unit))
            .map(|unit| unit.task)
            .collect();
        places.sort_unstable();
        places.dedup();
        let prepared: Vec<&Prepared> = places
            .iter()
            .filter_map(|task| campaign.place(*task))
            .collect();
        let Some(first) = prepared.first() else {
            return Ok(());
        };
        let read: Vec<Trainable>;
        let tasks: Vec<Task<'_>> = match &first.plan {
            Some(plan) => vec![plan.task()],
            None => {
                read = share(&prepared, campaign)?;
                read.iter().map(Trainable::task).collect()
            }
        };
        let blocks = blocks
            .iter()
            .map(|block| Block {
                units: block
                    .units
                    .iter()
                    .filter(|unit| campaign.wants(unit.member))
                    .filter_map(|unit| {
                        let task = places.iter().position(|p| *p == unit.task)?;
                        Some(Unit { task, ..*unit })
                    })
                    .collect(),
                ..(*block).clone()
            })
            .collect();
        let config = &first.spec.config;
        let executor = &config.executor;
        let interrupted = || campaign.interrupt.is_raised();
        let ledger = RunLedger::new(
            claims,
            prepared.iter().map(|p| &p.directory).collect(),
            blocks,
            (
                Duration::from_secs_f64(executor.checkpoint_seconds),
                executor.checkpoint_epochs,
            ),
            &interrupted,
        );
        let resources = Resources {
            devices: &campaign.devices,
            threads: threads(config),
            block: config.device.block,
            device_memory: (config.device.memory_mib > 0).then_some(config.device.memory_mib << 20),
        };
        Ok(train_local(&tasks, resources, &ledger, monitor)?)
    }
}

/// What is kept of a plan for training.
struct Trainable {
    name: String,
    seed: u64,
    sample: TrainingSample,
    settings: crate::ensemble::TrainingSettings,
    features: crate::ensemble::FeatureScaling,
    stream: Option<StreamSource>,
}

impl Trainable {
    fn task(&self) -> Task<'_> {
        Task {
            sample: &self.sample,
            settings: &self.settings,
            seed: self.seed,
            ensemble: &self.name,
            features: &self.features,
            stream: self.stream.as_ref(),
        }
    }
}

/// Reads ensembles one after the other and puts their events into one matrix,
/// each event once however many ensembles use it.
fn share(prepared: &[&Prepared], campaign: &Campaign<'_>) -> Result<Vec<Trainable>, RunError> {
    let mut inputs = Inputs::default();
    // (class, place in the files) -> row of the matrix
    let mut rows: HashMap<(usize, u64), u32> = HashMap::new();
    let mut parts = Vec::with_capacity(prepared.len());
    for prepared in prepared {
        let plan = plan(&prepared.spec, campaign.options, &|_| {})?;
        if inputs.columns() == 0 {
            inputs = Inputs::new(Vec::new(), plan.sample.inputs().columns());
        }
        let classes = shared_rows(&plan, &mut inputs, &mut rows);
        // the events themselves are in the matrix now
        let seed = plan.config.experiment.seed;
        let rest = (plan.settings, plan.scaling, plan.stream);
        parts.push((plan.ensemble, seed, rest, classes));
    }
    let inputs = Arc::new(inputs);
    Ok(parts
        .into_iter()
        .map(
            |(name, seed, (settings, features, stream), [source, target])| Trainable {
                name,
                seed,
                sample: TrainingSample::new(Arc::clone(&inputs), source, target),
                settings,
                features,
                stream,
            },
        )
        .collect())
}

/// The classes of a plan with rows in the common matrix.
fn shared_rows(
    plan: &Plan,
    inputs: &mut Inputs,
    rows: &mut HashMap<(usize, u64), u32>,
) -> [ClassRows; 2] {
    let own = plan.sample.inputs();
    let samples = [&plan.source, &plan.target];
    let region = plan.training_region();
    let mut classes = plan.sample.classes().clone();
    for (number, (class, sample)) in classes.iter_mut().zip(samples).enumerate() {
        let places = sample.in_region(region).map(|i| sample.table.places[i]);
        for (row, place) in class.rows.iter_mut().zip(places) {
            let features = own.row(*row as usize);
            *row = *rows
                .entry((number, place))
                .or_insert_with(|| inputs.push(features) as u32);
        }
    }
    classes
}
