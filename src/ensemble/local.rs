//! Members trained in this process: a thread a block on a CPU, one block on a
//! GPU.

use super::block::{BlockContext, Finished, train_block};
use super::sample::TrainingSample;
use super::settings::TrainingSettings;
use super::split::Fold;
use super::store::{FeatureScaling, Member, MemberFile, StoreError};
use super::streams::Streams;
use sideband_models::{Compute, DeviceError, Mlp, Predictor};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Members of a block on a CPU, one thread a block: larger stacks fall out of
/// cache (measured, benches/RESULTS.md).
const CPU_BLOCK: usize = 1;
/// Members of a block on a GPU.
const GPU_BLOCK: usize = 128;

/// Why an ensemble was not trained.
#[derive(Debug, Error)]
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
    /// A class has no event, or no weight, in a fold.
    #[error(
        "member {member} has no {fold} events with positive total weight in the {class}; \
         enlarge the selection or change training.validation and training.held_out"
    )]
    EmptyFold {
        /// The member.
        member: u32,
        /// Training or validation.
        fold: &'static str,
        /// Source or target.
        class: &'static str,
    },
}

/// Told what happens while members train; asked whether to stop.
pub trait Observer: Sync {
    /// Whether to stop at the next batch.
    fn interrupted(&self) -> bool;
    /// So many rows were trained on, summed over members.
    fn trained(&self, rows: u64);
    /// A member is finished and written.
    fn finished(&self, member: &Member);
}

/// A flag that says stop.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Asks to stop; whether that had been asked before.
    pub fn raise(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Members that wait for a slot.
pub(super) struct Queue(Mutex<VecDeque<u32>>);

impl Queue {
    pub(super) fn next(&self) -> Option<u32> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop_front()
    }
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
}

/// With what it is trained. No result depends on it on a CPU.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a> {
    /// The device.
    pub compute: &'a Compute,
    /// Training threads on a CPU.
    pub threads: usize,
    /// Members of a block; 0 = the device's own number.
    pub block: usize,
}

/// Trains the given members; `store` takes each as it is finished, from any
/// thread.
///
/// # Errors
/// [`TrainError`]; members finished before the error have been stored.
pub fn train_local(
    task: &Task<'_>,
    resources: Resources<'_>,
    members: &[u32],
    observer: &dyn Observer,
    store: &(dyn Fn(&Member) -> Result<(), StoreError> + Sync),
) -> Result<(), TrainError> {
    let streams = Streams::new(task.seed, task.ensemble);
    for member in members {
        check_folds(task, streams, *member)?;
    }
    let compute = resources.compute;
    let network = Mlp::new(task.settings.network.clone());
    let queue = Queue(Mutex::new(members.iter().copied().collect()));
    let context = compute
        .guard(|| BlockContext::new(compute, task.sample, task.settings, streams, &network))?;
    let stop = Interrupt::default();
    let watch = Watch {
        observer,
        stop: &stop,
    };
    let threads = if compute.is_cpu() {
        resources.threads.clamp(1, members.len().max(1))
    } else {
        1
    };
    let slots = match (resources.block, compute.is_cpu()) {
        (0, true) => CPU_BLOCK,
        (0, false) => GPU_BLOCK,
        (block, _) => block,
    };
    let work = || -> Result<(), TrainError> {
        let mut finish = |finished: Finished| -> Result<(), TrainError> {
            let member = complete(task, compute, &network, finished);
            store(&member)?;
            observer.finished(&member);
            Ok(())
        };
        compute.guard(|| train_block(&context, slots, &queue, &watch, &mut finish))?
    };
    let in_pool = || -> Result<(), TrainError> {
        // one thread a pool: sums of a member have one order
        let result = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|e| TrainError::Thread(e.to_string()))
            .and_then(|pool| pool.install(work));
        if result.is_err() {
            stop.raise();
        }
        result
    };
    if !compute.is_cpu() {
        return work();
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|i| {
                std::thread::Builder::new()
                    .name(format!("train-{i}"))
                    .spawn_scoped(scope, in_pool)
                    .map_err(|e| TrainError::Thread(e.to_string()))
            })
            .collect();
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

struct Watch<'a> {
    observer: &'a dyn Observer,
    stop: &'a Interrupt,
}

impl Observer for Watch<'_> {
    fn interrupted(&self) -> bool {
        self.stop.is_raised() || self.observer.interrupted()
    }
    fn trained(&self, rows: u64) {
        self.observer.trained(rows);
    }
    fn finished(&self, member: &Member) {
        self.observer.finished(member);
    }
}

fn complete(task: &Task<'_>, compute: &Compute, network: &Mlp, finished: Finished) -> Member {
    let normalisation = if finished.outcome.is_usable() {
        normalisation(task, compute, network, &finished)
    } else {
        1.0
    };
    let about = MemberFile {
        format: 0,
        seed: task.seed,
        ensemble: task.ensemble.to_owned(),
        member: finished.member,
        attempt: finished.attempt,
        outcome: finished.outcome,
        objective: task.settings.objective,
        network: task.settings.network.clone(),
        features: task.features.clone(),
        normalisation,
        history: finished.history,
        sha256: String::new(),
    };
    Member::new(about, finished.row)
}

/// Target yield over reweighted source yield in the training region.
fn normalisation(task: &Task<'_>, compute: &Compute, network: &Mlp, finished: &Finished) -> f64 {
    let sample = task.sample;
    let [source, target] = sample.classes();
    let features = &sample.features()[..source.len() * sample.columns()];
    let predictor = Predictor::new(compute, network, std::slice::from_ref(&finished.row));
    let reweighted: f64 = predictor
        .log_ratio(features)
        .iter()
        .zip(&source.weights)
        .map(|(log_r, w)| w * f64::from(*log_r).exp())
        .sum();
    target.weights.iter().sum::<f64>() / reweighted
}

fn check_folds(task: &Task<'_>, streams: Streams, member: u32) -> Result<(), TrainError> {
    let bootstrap = streams.bootstrap(member);
    for (class, events) in ["source", "target"].into_iter().zip(task.sample.classes()) {
        let (mut training, mut validation) = (0.0, 0.0);
        for (weight, key) in events.weights.iter().zip(&events.keys) {
            match task.settings.split.fold(streams, member, *key) {
                Fold::Training if task.settings.bootstrap => {
                    training += weight * f64::from(bootstrap(*key));
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
