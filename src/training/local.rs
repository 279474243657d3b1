//! Members trained in this process: a thread a block on a CPU, one block on a
//! GPU, on any number of devices at once.

use super::block::{BlockContext, BlockEnd, Finished, train_block};
use super::ledger::{Interrupt, Ledger, Observer, SlotReport, Unit};
use super::memory;
use super::sample::TrainingSample;
use super::settings::TrainingSettings;
use super::split::Fold;
use super::store::{FeatureScaling, Member, MemberFile, Outcome, StoreError};
use super::stream::{self, StreamSource};
use super::streams::Streams;
use crate::events::DataError;
use rayon::prelude::*;
use sideband_networks::{Compute, DeviceError, EVALUATION_CHUNK, Network, Predictor};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use thiserror::Error;

/// Why an ensemble was not trained.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TrainError {
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A member could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("cannot start a training thread: {0}")]
    Thread(String),
    /// The events could not be read again.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A class has no event, or no weight, in a fold.
    #[error(
        "member {member} has no {fold} events with positive total weight in the {class}; \
         enlarge the selection or change training.validation and training.held_out"
    )]
    EmptyFold {
        member: u32,
        fold: &'static str,
        class: &'static str,
    },
}

/// What is trained: an ensemble of networks on one sample.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The events.
    pub sample: &'a TrainingSample,
    /// How members are trained.
    pub settings: &'a TrainingSettings,
    /// Seed of the ensemble.
    pub seed: u64,
    /// Name of the ensemble.
    pub ensemble: &'a str,
    /// Inputs and their standardisation, kept with each member.
    pub features: &'a FeatureScaling,
    /// Where the events are read from while training, if they are more than
    /// memory holds; `sample` then has those that validate.
    pub stream: Option<&'a StreamSource>,
}

/// With what it is trained. No result depends on it on a CPU.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a> {
    /// The devices; one may be there twice.
    pub devices: &'a [Compute],
    /// Training threads of each CPU.
    pub threads: usize,
    /// Members of a stack; 0 = what suits the device.
    pub block: usize,
    /// Memory of a GPU in bytes, if it is known.
    pub device_memory: Option<u64>,
}

/// Trains members of the given tasks, as many as the ledger has. The tasks have
/// the matrix of inputs, the network, the optimizer and the size of a batch in
/// common, so that they can share a stack.
///
/// # Errors
/// [`TrainError`]; members finished before the error have been kept.
pub fn train_local(
    tasks: &[Task<'_>],
    resources: Resources<'_>,
    ledger: &dyn Ledger,
    observer: &dyn Observer,
) -> Result<(), TrainError> {
    let Some(first) = tasks.first() else {
        return Ok(());
    };
    let network = Network::new(first.settings.network.clone());
    let stop = Interrupt::default();
    let watch = Watch {
        observer,
        stop: &stop,
    };
    let contexts = resources
        .devices
        .iter()
        .map(|compute| compute.guard(|| BlockContext::new(compute, tasks, &network)))
        .collect::<Result<Vec<_>, _>>()?;
    // a large stack leaves the other devices their share
    let threads_of = |compute: &Compute| {
        if compute.is_cpu() {
            resources.threads.max(1)
        } else {
            1
        }
    };
    let all: usize = resources.devices.iter().map(threads_of).sum();
    let missing = ledger.missing();
    let fair = missing.div_ceil(all.max(1)).max(1);
    std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for (number, context) in contexts.iter().enumerate() {
            let compute = context.compute;
            let device = if contexts.len() > 1 {
                format!("{number}:{}", compute.name())
            } else {
                compute.name().to_owned()
            };
            let cores = threads_of(compute);
            // members that are fewer than threads share them
            let threads = if compute.has_host_kernels() {
                cores.min(missing.max(1))
            } else {
                cores
            };
            for thread in 0..threads {
                let worker = Worker {
                    name: if threads > 1 {
                        format!("{device}/{thread}")
                    } else {
                        device.clone()
                    },
                    pool: cores / threads + usize::from(thread < cores % threads),
                    context,
                    tasks,
                    ledger,
                    observer: &watch,
                    slots: memory::slots(&resources, tasks, compute).min(fair),
                };
                let stop = &stop;
                let work = move || {
                    let result = worker.run();
                    if result.is_err() {
                        stop.raise();
                    }
                    result
                };
                handles.push(
                    std::thread::Builder::new()
                        .name(format!("train-{number}-{thread}"))
                        .spawn_scoped(scope, work)
                        .map_err(|e| TrainError::Thread(e.to_string())),
                );
            }
        }
        handles
            .into_iter()
            .map(|handle| {
                handle?.join().unwrap_or_else(|_| {
                    Err(TrainError::Thread("a training thread panicked".to_owned()))
                })
            })
            .fold(Ok(()), Result::and)
    })
}

/// One training thread, with those that help it.
struct Worker<'a> {
    name: String,
    /// Threads that its tensor operations and blocks of rows run on. More than one
    /// only where a member's numbers do not depend on it.
    pool: usize,
    context: &'a BlockContext<'a>,
    tasks: &'a [Task<'a>],
    ledger: &'a dyn Ledger,
    observer: &'a dyn Observer,
    slots: usize,
}

impl Worker<'_> {
    fn run(self) -> Result<(), TrainError> {
        if !self.context.compute.is_cpu() {
            return self.work();
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.pool)
            .build()
            .map_err(|e| TrainError::Thread(e.to_string()))?
            .install(|| self.work())
    }

    fn work(&self) -> Result<(), TrainError> {
        let taken = Taken::new(self.ledger);
        let mut slots = self.slots;
        let mut finish = |finished: Finished| -> Result<(), TrainError> {
            let unit = finished.unit;
            let task = &self.tasks[unit.task];
            let member = complete(task, self.context, finished)?;
            self.ledger.finish(unit, &member)?;
            taken.finished(unit);
            self.observer.finished(&member);
            Ok(())
        };
        loop {
            let block = || {
                train_block(
                    &self.name,
                    self.context,
                    slots,
                    &taken,
                    self.observer,
                    &mut finish,
                )
            };
            let ended = match self.context.compute.guard(block) {
                Ok(ended) => ended,
                Err(error) if error.is_out_of_memory() && taken.active.list().len() > 1 => {
                    slots = slots.min(taken.active.list().len()) / 2;
                    self.observer.say(&format!(
                        "{}: out of memory, going on with blocks of {slots}; set device.block = \
                         {slots} to start with them",
                        self.name
                    ));
                    taken.put_back();
                    continue;
                }
                Err(error) => Err(error.into()),
            };
            match ended {
                Ok(BlockEnd::Interrupted) => return Ok(()),
                Ok(BlockEnd::Streamed) => {}
                Ok(BlockEnd::Empty) => {
                    if self.observer.interrupted() || !self.ledger.wait() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    taken.put_back();
                    while let Some(unit) = taken.back.pop() {
                        self.ledger.give_back(unit);
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// The ledger as one thread sees it: remembers what it has taken, so that a
/// block that broke can be begun again.
struct Taken<'a> {
    ledger: &'a dyn Ledger,
    back: Units,
    active: Units,
}

/// A list that is shared by reference.
#[derive(Default)]
struct Units(Mutex<VecDeque<Unit>>);

impl Units {
    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<Unit>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Unit> {
        self.list().pop_front()
    }
}

impl<'a> Taken<'a> {
    fn new(ledger: &'a dyn Ledger) -> Self {
        Self {
            ledger,
            back: Units::default(),
            active: Units::default(),
        }
    }

    fn finished(&self, unit: Unit) {
        self.active.list().retain(|u| *u != unit);
    }

    /// All that is active waits again.
    fn put_back(&self) {
        self.back.list().append(&mut self.active.list());
    }
}

impl Ledger for Taken<'_> {
    fn next(&self) -> Option<Unit> {
        let unit = self.back.pop().or_else(|| self.ledger.next())?;
        self.active.list().push_back(unit);
        Some(unit)
    }

    fn missing(&self) -> usize {
        self.ledger.missing()
    }

    fn give_back(&self, unit: Unit) {
        self.finished(unit);
        self.ledger.give_back(unit);
    }

    fn load(&self, unit: Unit) -> Option<super::checkpoint::Checkpoint> {
        self.ledger.load(unit)
    }

    fn save(
        &self,
        unit: Unit,
        checkpoint: &super::checkpoint::Checkpoint,
    ) -> Result<(), StoreError> {
        self.ledger.save(unit, checkpoint)
    }

    fn save_every(&self) -> Duration {
        self.ledger.save_every()
    }

    fn save_epochs(&self) -> u32 {
        self.ledger.save_epochs()
    }

    fn finish(&self, unit: Unit, member: &Member) -> Result<(), StoreError> {
        self.ledger.finish(unit, member)
    }
}

/// Passes everything on, and stops all threads when one has failed.
struct Watch<'a> {
    observer: &'a dyn Observer,
    stop: &'a Interrupt,
}

impl Observer for Watch<'_> {
    fn interrupted(&self) -> bool {
        self.stop.is_raised() || self.observer.interrupted()
    }
    fn trained(&self, block: &str, rows: u64) {
        self.observer.trained(block, rows);
    }
    fn epoch(&self, block: &str, slots: &[SlotReport<'_>]) {
        self.observer.epoch(block, slots);
    }
    fn failed(&self, ensemble: &str, member: u32, outcome: Outcome, again: bool) {
        self.observer.failed(ensemble, member, outcome, again);
    }
    fn finished(&self, member: &Member) {
        self.observer.finished(member);
    }
    fn say(&self, text: &str) {
        self.observer.say(text);
    }
}

fn complete(
    task: &Task<'_>,
    context: &BlockContext<'_>,
    finished: Finished,
) -> Result<Member, TrainError> {
    let normalisation = if finished.outcome.is_usable() {
        normalisation(task, context, &finished)?
    } else {
        1.0
    };
    let about = MemberFile {
        format: 0,
        seed: task.seed,
        ensemble: task.ensemble.to_owned(),
        member: finished.unit.member,
        attempt: finished.attempt,
        outcome: finished.outcome,
        objective: task.settings.objective,
        network: task.settings.network.clone(),
        features: task.features.clone(),
        normalisation,
        history: finished.history,
        sha256: String::new(),
    };
    Ok(Member::new(about, finished.row))
}

/// Target yield over reweighted source yield in the training region.
fn normalisation(
    task: &Task<'_>,
    context: &BlockContext<'_>,
    finished: &Finished,
) -> Result<f64, TrainError> {
    let sample = task.sample;
    let [source, target] = match sample.classes() {
        // a density has norm one
        [_] => return Ok(1.0),
        classes => [&classes[0], &classes[1]],
    };
    let predictor = Predictor::new(
        context.compute,
        context.network,
        &task.features.inputs(),
        std::slice::from_ref(&finished.row),
    );
    if let Some(source) = task.stream {
        return Ok(stream::normalisation(source, &predictor)?);
    }
    let mut reweighted = 0.0;
    let pieces = source.rows.chunks(8 * EVALUATION_CHUNK);
    for (rows, weights) in pieces.zip(source.weights.chunks(8 * EVALUATION_CHUNK)) {
        let features: Vec<f32> = rows
            .iter()
            .flat_map(|row| sample.inputs().row(*row as usize))
            .copied()
            .collect();
        let log_ratios = predictor.output(&features);
        for (log_ratio, weight) in log_ratios.iter().zip(weights) {
            reweighted += weight * f64::from(*log_ratio).exp();
        }
    }
    Ok(target.weights.iter().sum::<f64>() / reweighted)
}

/// Whether the folds of the given members have something to train on and to
/// validate with.
///
/// # Errors
/// [`TrainError::EmptyFold`] for the first that has not.
pub(crate) fn check_folds(task: &Task<'_>, members: &[u32]) -> Result<(), TrainError> {
    let streams = Streams::new(task.seed, task.ensemble);
    let check = |member: &u32| check_member(task, streams, *member).err();
    members.par_iter().find_map_first(check).map_or(Ok(()), Err)
}

fn check_member(task: &Task<'_>, streams: Streams, member: u32) -> Result<(), TrainError> {
    let bootstrap = streams.bootstrap(task.settings.split.replica(member));
    for (class, events) in task.sample.named_classes() {
        let (mut training, mut validation) = (0.0, 0.0);
        for (_, weight, key) in events.iter() {
            match task.settings.split.fold(streams, member, key) {
                Fold::Training if task.settings.bootstrap => {
                    training += weight * f64::from(bootstrap(key));
                }
                Fold::Training => training += weight,
                Fold::Validation => validation += weight,
                Fold::HeldOut => {}
            }
        }
        for (fold, sum) in [("training", training), ("validation", validation)] {
            if sum <= 0.0 || !sum.is_finite() {
                return Err(TrainError::EmptyFold {
                    member,
                    fold,
                    class,
                });
            }
        }
    }
    Ok(())
}
