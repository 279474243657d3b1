//! The members of a campaign on their way through an executor, and workers that
//! train a part of them.

use super::campaign::{Campaign, open_devices};
use super::ensemble::{EnsembleRun, RunOptions, plan, threads};
use super::family::FamilyPlans;
use super::plan::Plan;
use crate::batch::{Block, Monitor, RunLedger, Work, batch_system, blocks, train_in_batch};
use crate::error::{Error, OnFile, Result, counted};
use crate::files::{WorkerId, regular};
use crate::rundir::{Claims, Progress, RunDirectory, RunLog, WorkerFile, WorkerStatus};
use crate::settings::Config;
use crate::training::{Interrupt, Resources, Task, Unit, train_local};
use serde_json::json;
use sideband_networks::Compute;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// Trains what is missing, where the configuration says.
pub(super) fn train(campaign: &Campaign<'_>, log: &RunLog, say: &dyn Fn(&str)) -> Result<()> {
    let training = Training { campaign, log, say };
    let config = &campaign.experiment.common().executor;
    let missing = campaign.missing();
    match batch_system(config, campaign.interrupt) {
        None => training.train(&missing),
        Some(system) => {
            let run = campaign.root.path();
            train_in_batch(&*system, run, campaign.experiment, &missing, &training)
        }
    }
}

/// With what members are trained in this process.
pub(super) fn resources<'a>(config: &Config, devices: &'a [Compute]) -> Resources<'a> {
    let memory = config.device.memory_mib << 20;
    Resources {
        devices,
        threads: threads(config),
        stack: config.device.stack,
        device_memory: (memory > 0).then_some(memory),
    }
}

/// What of a run a worker trains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkOptions<'a> {
    /// The block; without it whatever is free.
    pub block: Option<u32>,
    /// Members of a block, if others than the configuration says.
    pub block_members: Option<usize>,
    /// Devices in place of the configuration's.
    pub devices: Option<&'a str>,
}

/// Trains what is missing of one block, or of whatever block is free, and leaves
/// the result to others. Whether nothing is missing of what it was asked for.
///
/// # Errors
/// Members finished before it are kept.
pub(crate) fn work(
    root: &RunDirectory,
    wanted: &WorkOptions<'_>,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<bool> {
    let mut experiment = root.experiment()?;
    if let Some(members) = wanted.block_members {
        // the numbers of the blocks are those of the one who submitted them
        for spec in &mut experiment.ensembles {
            spec.config.executor.block = members;
        }
    }
    let all = blocks(&experiment);
    if let Some(block) = wanted.block
        && block as usize >= all.len()
    {
        let last = all.len() as u32 - 1;
        return Err(Error::usage(format!(
            "there is no block {block}; the run has blocks 0 to {last}"
        )));
    }
    let mut device = experiment.common().device.clone();
    if let Some(names) = wanted.devices {
        let own = device.kinds();
        names.clone_into(&mut device.name);
        if device.kinds() != own {
            let own = own.join(",");
            return Err(Error::usage(format!(
                "the run is one on {own}, --device {names} is another kind: members would \
                 not be the same"
            )));
        }
    }
    let devices = open_devices(&experiment, &device)?;
    let is_wanted = |number: u32| wanted.block.is_none_or(|block| number == block);
    let mut places: Vec<usize> = all
        .iter()
        .filter(|block| is_wanted(block.number))
        .flat_map(|block| block.units.iter().map(|unit| unit.task))
        .collect();
    places.dedup();
    let (say, progress) = (|_: &str| {}, Progress::new(true));
    let campaign = Campaign::of(
        &experiment,
        &places,
        options,
        interrupt,
        devices,
        (&say, &progress),
        true,
    )?;
    let logs = root.join("logs");
    let path = logs.join(format!("{}.jsonl", WorkerId::unique()));
    let log = regular::make_folder(&logs).and_then(|()| RunLog::open(&path));
    let training = Training {
        campaign: &campaign,
        log: &log.on(path)?,
        say: &|_| {},
    };
    let missing = || -> Vec<u32> {
        let list = campaign.missing().into_iter();
        list.filter(|block| is_wanted(*block)).collect()
    };
    let numbers = missing();
    if !numbers.is_empty() {
        training.train(&numbers)?;
    }
    Ok(missing().is_empty())
}

/// Training as executors see it.
struct Training<'a> {
    campaign: &'a Campaign<'a>,
    log: &'a RunLog,
    say: &'a dyn Fn(&str),
}

impl Work for Training<'_> {
    fn is_done(&self, block: u32) -> bool {
        self.units(block)
            .all(|unit| !self.campaign.is_missing(unit))
    }

    fn progress(&self, block: u32) -> u64 {
        let of = |unit: Unit| {
            let Some(run) = self.campaign.place(unit.task) else {
                return 0;
            };
            let written = |path: PathBuf| {
                let time = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
                let age = time.duration_since(UNIX_EPOCH).ok()?;
                Some(age.as_nanos() as u64)
            };
            let member = written(run.directory.member(unit.member));
            let checkpoint = written(run.directory.checkpoint(unit.member));
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
}

impl Training<'_> {
    /// Trains blocks in this process, beside others that may do the same.
    fn train(&self, numbers: &[u32]) -> Result<()> {
        let campaign = self.campaign;
        let config = &campaign.experiment.common().executor;
        let stale = Duration::from_secs_f64(config.stale_seconds);
        let folder = campaign.root.join("claims");
        let claims = Claims::open(&folder, stale).on(&folder)?;
        let worker = WorkerFile::create(&campaign.root.join("workers"), claims.worker()).ok();
        let wanted = campaign.blocks.iter();
        let wanted = wanted.filter(|block| numbers.contains(&block.number));
        let wanted: Vec<&Block> = wanted.collect();
        let members: usize = wanted.iter().map(|block| block.units.len()).sum();
        let (total, done) = (campaign.total(), campaign.count());
        let progress = Progress::new(campaign.options.quiet).since(campaign.started);
        progress.say(&format!(
            "training {} on {}",
            counted((total - done).min(members as u64), "member"),
            campaign.device_names()
        ));
        progress.train(total, done);
        let count = || [campaign.count(), total];
        let limit = campaign.experiment.common().training.epochs;
        let monitor = Monitor::new(
            &progress,
            campaign.interrupt,
            self.log,
            worker.as_ref(),
            WorkerStatus::new(claims.worker(), campaign.device_names()),
            limit,
            &count,
        );
        let families: BTreeSet<usize> = wanted.iter().map(|block| block.family).collect();
        let mut result = Ok(());
        for family in families {
            if campaign.interrupt.is_raised() || result.is_err() {
                break;
            }
            let of_family = wanted.iter().filter(|block| block.family == family);
            let blocks: Vec<&Block> = of_family.copied().collect();
            result = self.train_family(&blocks, &claims, &monitor);
        }
        monitor.close();
        result
    }

    fn units(&self, block: u32) -> impl Iterator<Item = Unit> {
        let block = self.campaign.blocks.get(block as usize).into_iter();
        block.flat_map(|block| block.units.iter().copied())
    }

    /// Trains blocks of one family on one matrix of inputs.
    fn train_family(
        &self,
        blocks: &[&Block],
        claims: &Claims,
        monitor: &Monitor<'_>,
    ) -> Result<()> {
        let campaign = self.campaign;
        // ensembles of which something is missing, by their place in the experiment
        let units = blocks.iter().flat_map(|block| &block.units);
        let missing = units.filter(|unit| campaign.is_missing(**unit));
        let places: BTreeSet<usize> = missing.map(|unit| unit.task).collect();
        let runs = places.iter().filter_map(|task| campaign.place(*task));
        let runs: Vec<&EnsembleRun> = runs.collect();
        let Some(first) = runs.first() else {
            return Ok(());
        };
        let read: Vec<Plan>;
        let tasks: Vec<Task<'_>> = match &first.plan {
            Some(plan) => vec![plan.task()],
            None => {
                read = match campaign.checked(&runs) {
                    Some(plans) => plans,
                    None => share(&runs, campaign)?,
                };
                read.iter().map(Plan::task).collect()
            }
        };
        // units by the place of their ensemble among these
        let unit = |unit: &Unit| {
            let task = places.iter().position(|place| *place == unit.task)?;
            campaign
                .wants(unit.member)
                .then_some(Unit { task, ..*unit })
        };
        let blocks = blocks.iter().map(|block| Block {
            units: block.units.iter().filter_map(unit).collect(),
            ..(*block).clone()
        });
        let config = &first.spec.config;
        let executor = &config.executor;
        let interrupted = || campaign.interrupt.is_raised();
        let ledger = RunLedger::new(
            claims,
            runs.iter().map(|run| &run.directory).collect(),
            blocks.collect(),
            executor,
            &interrupted,
        );
        let resources = resources(config, &campaign.devices);
        train_local(&tasks, resources, &ledger, monitor)
    }
}

/// Plans of ensembles, read one after the other, for their training.
fn share(runs: &[&EnsembleRun], campaign: &Campaign<'_>) -> Result<Vec<Plan>> {
    let mut family = FamilyPlans::default();
    let mut earlier = Vec::new();
    for run in runs {
        let plan = plan(&run.spec, campaign.options, earlier, &|_| {})?;
        earlier = family.add(plan);
    }
    Ok(family.finish())
}
