//! Members trained in this process: a thread a stack on a CPU, one stack on a
//! GPU, on any number of devices at once.

use super::ledger::{Interrupt, Ledger, Observer, Taken};
use super::memory;
use super::split::Fold;
use super::stack::{Finished, StackContext, StackEnd, StackWorker};
use super::store::{Member, MemberFile};
use super::stream;
use super::streams::Streams;
use super::task::{Resources, Task};
use crate::error::{Context, Error, Kind, Result};
use rayon::prelude::*;
use sideband_networks::{Compute, EVALUATION_CHUNK, Network, Predictor};

const NO_THREAD: &str = "cannot start a training thread";

/// Trains members of the given tasks, as many as the ledger has. The tasks have
/// the matrix of inputs, the network, the optimizer and the size of a batch in
/// common, so that they can share a stack.
pub fn train_local(
    tasks: &[Task<'_>],
    resources: Resources<'_>,
    ledger: &dyn Ledger,
    observer: &dyn Observer,
) -> Result<()> {
    let Some(first) = tasks.first() else {
        return Ok(());
    };
    let network = Network::new(first.settings.network.clone());
    if resources.devices.iter().any(|compute| compute.is_cpu()) {
        memory::MemoryModel::new(first).check_host()?;
    }
    let stop = Interrupt::default();
    let contexts = resources
        .devices
        .iter()
        .map(|compute| compute.guard(|| StackContext::new(compute, tasks, &network)))
        .collect::<Result<Vec<_>, _>>()?;
    // a large stack leaves the other devices their share
    let threads_of = |compute: &Compute| match compute.is_cpu() {
        true => resources.threads.max(1),
        false => 1,
    };
    let all: usize = resources.devices.iter().map(threads_of).sum();
    let missing = ledger.missing();
    let fair = missing.div_ceil(all.max(1)).max(1);
    std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for (number, context) in contexts.iter().enumerate() {
            let compute = context.compute;
            let device = match contexts.len() {
                1 => compute.name().to_owned(),
                _ => format!("{number}:{}", compute.name()),
            };
            let cores = threads_of(compute);
            // members that are fewer than threads share them
            let threads = match compute.has_host_kernels() {
                true => cores.min(missing.max(1)),
                false => cores,
            };
            for thread in 0..threads {
                let name = match threads {
                    1 => device.clone(),
                    _ => format!("{device}/{thread}"),
                };
                let worker = Worker {
                    name,
                    pool: cores / threads + usize::from(thread < cores % threads),
                    context,
                    tasks,
                    ledger,
                    observer,
                    stop: &stop,
                    slots: memory::slots(&resources, tasks, compute).min(fair),
                };
                let builder = std::thread::Builder::new().name(format!("train-{number}-{thread}"));
                let handle = builder.spawn_scoped(scope, move || worker.run());
                handles.push(handle.at(Kind::Internal, NO_THREAD));
            }
        }
        handles
            .into_iter()
            .map(|handle| {
                let died = |_| Err(Error::internal("a training thread panicked").at(NO_THREAD));
                handle?.join().unwrap_or_else(died)
            })
            .fold(Ok(()), Result::and)
    })
}

/// One training thread, with those that help it.
struct Worker<'a> {
    name: String,
    /// Threads that its tensor operations and tiles of rows run on. More than one
    /// only where a member's numbers do not depend on it.
    pool: usize,
    context: &'a StackContext<'a>,
    tasks: &'a [Task<'a>],
    ledger: &'a dyn Ledger,
    observer: &'a dyn Observer,
    /// Raised when one of the threads has failed.
    stop: &'a Interrupt,
    slots: usize,
}

impl Worker<'_> {
    fn run(self) -> Result<()> {
        let result = match self.context.compute.is_cpu() {
            true => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(self.pool);
                let pool = pool.build().at(Kind::Internal, NO_THREAD);
                pool.and_then(|pool| pool.install(|| self.work()))
            }
            false => self.work(),
        };
        if result.is_err() {
            self.stop.raise();
        }
        result
    }

    fn work(&self) -> Result<()> {
        let taken = Taken::new(self.ledger);
        let mut slots = self.slots;
        let mut finish = |finished: Finished| -> Result<()> {
            let unit = finished.unit;
            let task = &self.tasks[unit.task];
            let member = complete(task, self.context, finished)?;
            self.ledger.finish(unit, &member)?;
            taken.done(unit);
            self.observer.finished(&member);
            Ok(())
        };
        let interrupted = || self.stop.is_raised() || self.observer.interrupted();
        let stack = StackWorker {
            name: &self.name,
            context: self.context,
            taken: &taken,
            observer: self.observer,
            interrupted: &interrupted,
        };
        loop {
            let train = || stack.train(slots, &mut finish);
            let ended = match self.context.compute.guard(train) {
                Ok(ended) => ended,
                Err(error) if error.is_out_of_memory() && taken.active() > 1 => {
                    slots = slots.min(taken.active()) / 2;
                    self.observer.say(&format!(
                        "{}: out of memory, going on with stacks of {slots}; set device.stack = \
                         {slots} to start with them",
                        self.name
                    ));
                    taken.put_back();
                    continue;
                }
                Err(error) => Err(error.into()),
            };
            match ended {
                Ok(StackEnd::Interrupted) => return Ok(()),
                Ok(StackEnd::Streamed) => {}
                Ok(StackEnd::Empty) => {
                    if interrupted() || !self.ledger.wait() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    taken.give_all_back();
                    return Err(error);
                }
            }
        }
    }
}

fn complete(task: &Task<'_>, context: &StackContext<'_>, finished: Finished) -> Result<Member> {
    let normalisation = match finished.outcome.is_usable() {
        true => normalisation(task, context, &finished)?,
        false => 1.0,
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
fn normalisation(task: &Task<'_>, context: &StackContext<'_>, finished: &Finished) -> Result<f64> {
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
        return stream::normalisation(source, &predictor);
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
pub(crate) fn check_folds(task: &Task<'_>, members: &[u32]) -> Result<()> {
    let streams = Streams::new(task.seed, task.ensemble);
    let check = |member: &u32| check_member(task, streams, *member).err();
    members.par_iter().find_map_first(check).map_or(Ok(()), Err)
}

fn check_member(task: &Task<'_>, streams: Streams, member: u32) -> Result<()> {
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
                return Err(Error::data(format!(
                    "member {member} has no {fold} events with positive total weight in the \
                     {class}; enlarge the selection or change training.validation and \
                     training.held_out"
                )));
            }
        }
    }
    Ok(())
}
