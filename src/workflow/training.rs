//! The members of a campaign on their way through an executor, and workers that
//! train a part of them.

use super::campaign::{Campaign, open_devices};
use super::pipeline::{Prepared, RunOptions, plan, threads};
use super::planned::Planned;
use crate::batch::{Block, Monitor, RunLedger, Work, batch_system, blocks, train_in_batch};
use crate::error::{Error, OnFile, Result};
use crate::files::WorkerId;
use crate::rundir::{Claims, Progress, RunDirectory, RunLog, WorkerFile, WorkerStatus};
use crate::settings::DeviceConfig;
use crate::training::{
    ClassRows, Inputs, Interrupt, Resources, StreamSource, Task, TrainingSample, Unit, train_local,
};
use serde_json::json;
use sideband_networks::Compute;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Trains what is missing of one block, or of whatever block is free, and leaves
/// the result to others.
///
/// # Errors
/// Members finished before it are kept.
pub(crate) fn work(
    root: &RunDirectory,
    (block, block_members): (Option<u32>, Option<usize>),
    devices: Option<&str>,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Worked> {
    let mut experiment = root.experiment()?;
    if let Some(members) = block_members {
        // the numbers of the blocks are those of the one who submitted them
        for spec in &mut experiment.ensembles {
            spec.config.executor.block = members;
        }
    }
    let all = blocks(&experiment);
    if let Some(block) = block
        && block as usize >= all.len()
    {
        let last = all.len() as u32 - 1;
        return Err(Error::usage(format!(
            "there is no block {block}; the run has blocks 0 to {last}"
        )));
    }
    let devices = match devices {
        Some(names) => {
            let own = experiment.common().device.kinds();
            let asked = DeviceConfig {
                name: names.to_owned(),
                ..DeviceConfig::default()
            };
            if asked.kinds() != own {
                let own = own.join(",");
                return Err(Error::usage(format!(
                    "the run is one on {own}, --device {names} is another kind: members would \
                     not be the same"
                )));
            }
            let kernels = experiment.common().device.kernels;
            let open = |name| Compute::open(name).map(|c| c.with_kernels(kernels));
            asked.names().map(open).collect::<Result<_, _>>()?
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
    let path = root.join("logs").join(format!("{name}.jsonl"));
    let log = crate::files::regular::make_folder(&root.join("logs"))
        .and_then(|()| RunLog::open(&path))
        .on(path)?;
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
pub(crate) struct Worked {
    /// Whether nothing is missing of what it was asked for.
    pub is_done: bool,
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
            worker.as_ref(),
            WorkerStatus::new(claims.worker(), campaign.device_names()),
            limit,
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
    ) -> Result<()> {
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
            executor,
            &interrupted,
        );
        let resources = Resources {
            devices: &campaign.devices,
            threads: threads(config),
            block: config.device.stack,
            device_memory: (config.device.memory_mib > 0).then_some(config.device.memory_mib << 20),
        };
        train_local(&tasks, resources, &ledger, monitor)
    }
}

/// What is kept of a plan for training.
struct Trainable {
    name: String,
    seed: u64,
    sample: TrainingSample,
    settings: crate::training::TrainingSettings,
    features: crate::training::FeatureScaling,
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
fn share(prepared: &[&Prepared], campaign: &Campaign<'_>) -> Result<Vec<Trainable>> {
    let mut inputs = Inputs::default();
    // (class, place in the files) -> row of the matrix
    let mut rows: HashMap<(usize, u64), u32> = HashMap::new();
    let mut parts = Vec::with_capacity(prepared.len());
    for prepared in prepared {
        let plan = plan(&prepared.spec, campaign.options, &|_| {})?;
        let task = plan.task();
        if inputs.columns() == 0 {
            inputs = Inputs::new(Vec::new(), task.sample.inputs().columns());
        }
        let classes = shared_rows(&plan, &mut inputs, &mut rows);
        // the events themselves are in the matrix now
        let rest = (
            task.settings.clone(),
            task.features.clone(),
            task.stream.cloned(),
        );
        parts.push((task.ensemble.to_owned(), task.seed, rest, classes));
    }
    let inputs = Arc::new(inputs);
    Ok(parts
        .into_iter()
        .map(
            |(name, seed, (settings, features, stream), classes)| Trainable {
                name,
                seed,
                sample: TrainingSample::of(Arc::clone(&inputs), classes),
                settings,
                features,
                stream,
            },
        )
        .collect())
}

/// The classes of a plan with rows in the common matrix.
fn shared_rows(
    plan: &Planned,
    inputs: &mut Inputs,
    rows: &mut HashMap<(usize, u64), u32>,
) -> Vec<ClassRows> {
    let sample = plan.task().sample;
    let own = sample.inputs();
    let mut classes = sample.classes().to_vec();
    for (number, (class, places)) in classes.iter_mut().zip(plan.places()).enumerate() {
        for (row, place) in class.rows.iter_mut().zip(places) {
            let features = own.row(*row as usize);
            *row = *rows
                .entry((number, place))
                .or_insert_with(|| inputs.push(features) as u32);
        }
    }
    classes
}
