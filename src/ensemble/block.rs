//! The training loop of one block: a stack whose slots are refilled from a
//! queue as members stop.

use super::batches::{MemberBatches, steps_per_epoch, validation_rows};
use super::local::{Observer, Queue};
use super::sample::TrainingSample;
use super::settings::TrainingSettings;
use super::split::Split;
use super::store::{History, Outcome};
use super::streams::Streams;
use sideband_models::{Batches, Compute, EvaluationRows, Mlp, Row, Stack, Table};

/// A finished member on its way to its file.
pub(super) struct Finished {
    pub member: u32,
    pub attempt: u32,
    pub row: Row,
    pub history: History,
    pub outcome: Outcome,
}

/// What the blocks of one ensemble have in common.
pub(super) struct BlockContext<'a> {
    pub compute: &'a Compute,
    pub sample: &'a TrainingSample,
    pub settings: &'a TrainingSettings,
    pub streams: Streams,
    pub network: &'a Mlp,
    pub table: Table,
    pub steps: usize,
    /// Validation rows, where all members have the same.
    pub validation: Option<EvaluationRows>,
    /// Steps whose rows and coefficients are made and copied at once.
    pub chunk: usize,
}

impl<'a> BlockContext<'a> {
    pub(super) fn new(
        compute: &'a Compute,
        sample: &'a TrainingSample,
        settings: &'a TrainingSettings,
        streams: Streams,
        network: &'a Mlp,
    ) -> Self {
        let table = sample.upload(compute);
        let validation = (settings.split.split == Split::Shared).then(|| {
            let rows = validation_rows(sample, settings, streams, 0);
            EvaluationRows::new(compute, &table, &[rows])
        });
        Self {
            steps: steps_per_epoch(sample, settings, streams),
            chunk: if compute.is_cpu() { 8 } else { 64 },
            compute,
            sample,
            settings,
            streams,
            network,
            table,
            validation,
        }
    }

    fn start(&self, member: u32, attempt: u32) -> (Slot, Row) {
        let key = self.streams.initial(member, attempt);
        let mut statistics = Vec::with_capacity(self.network.statistics().len());
        for (spec, range) in self.network.statistics().iter() {
            statistics.extend(std::iter::repeat_n(spec.centre, range.len()));
        }
        let row = Row {
            parameters: self.network.initial_parameters(key),
            statistics,
        };
        let slot = Slot {
            member,
            attempt,
            batches: MemberBatches::new(self.sample, self.settings, self.streams, member, attempt),
            history: History::default(),
            best: f64::INFINITY,
        };
        (slot, row)
    }

    fn validation(&self, slots: &[Slot]) -> EvaluationRows {
        match &self.validation {
            Some(shared) => shared.clone(),
            None => {
                let lists: Vec<_> = slots
                    .iter()
                    .map(|s| validation_rows(self.sample, self.settings, self.streams, s.member))
                    .collect();
                EvaluationRows::new(self.compute, &self.table, &lists)
            }
        }
    }
}

/// One member in training.
struct Slot {
    member: u32,
    attempt: u32,
    batches: MemberBatches,
    history: History,
    best: f64,
}

impl Slot {
    /// Books one epoch; whether it was the best so far.
    fn book(&mut self, training: f64, validation: f64) -> bool {
        self.history.training.push(training);
        self.history.validation.push(validation);
        let improved = validation < self.best;
        if improved {
            self.best = validation;
            self.history.best_epoch = self.history.validation.len() - 1;
        }
        improved
    }

    fn outcome(&self, settings: &TrainingSettings) -> Option<Outcome> {
        let epochs = self.history.validation.len();
        let last = |losses: &[f64]| losses.last().copied().unwrap_or(0.0);
        let (training, validation) = (last(&self.history.training), last(&self.history.validation));
        if !training.is_finite() || !validation.is_finite() {
            return Some(Outcome::Diverged { epoch: epochs });
        }
        let bound = settings.objective.lower_bound();
        if training < bound || validation < bound {
            return Some(Outcome::Unbounded { epoch: epochs });
        }
        if epochs - self.history.best_epoch > settings.patience as usize {
            return Some(Outcome::Converged);
        }
        (epochs >= settings.epochs as usize).then_some(Outcome::EpochLimit)
    }
}

/// Trains members from the queue in at most `slots` slots until the queue is
/// empty or the run is interrupted; each finished member goes to `finish`.
pub(super) fn train_block<E>(
    context: &BlockContext<'_>,
    slots: usize,
    queue: &Queue,
    observer: &dyn Observer,
    finish: &mut dyn FnMut(Finished) -> Result<(), E>,
) -> Result<(), E> {
    let (mut active, rows): (Vec<Slot>, Vec<Row>) = std::iter::from_fn(|| queue.next())
        .take(slots)
        .map(|member| context.start(member, 0))
        .unzip();
    if active.is_empty() {
        return Ok(());
    }
    let mut stack = Stack::new(context.compute, context.settings.stack(), &rows);
    let mut validation = context.validation(&active);
    loop {
        let mut step = 0;
        while step < context.steps {
            if observer.interrupted() {
                return Ok(());
            }
            let steps = context.chunk.min(context.steps - step);
            let batches = assemble(context, &mut active, steps);
            stack.train(&context.table, &batches);
            observer.trained(steps as u64 * (active.len() * context.settings.batch) as u64);
            step += steps;
        }
        let training = stack.take_losses();
        let losses = stack.evaluate(&context.table, &validation);
        let improved: Vec<bool> = active
            .iter_mut()
            .enumerate()
            .map(|(i, slot)| slot.book(training[i] / context.steps as f64, losses[i]))
            .collect();
        stack.keep_best(&improved);

        let outcomes: Vec<Option<Outcome>> = active
            .iter()
            .map(|slot| slot.outcome(context.settings))
            .collect();
        if outcomes.iter().all(Option::is_none) {
            continue;
        }
        let mut keep = vec![true; active.len()];
        for (i, outcome) in outcomes.into_iter().enumerate() {
            let Some(outcome) = outcome else { continue };
            let (member, attempt) = (active[i].member, active[i].attempt);
            let retry = outcome.is_worth_retrying() && attempt < context.settings.retries;
            if !retry {
                finish(Finished {
                    member,
                    attempt,
                    row: stack.best(i),
                    history: std::mem::take(&mut active[i].history),
                    outcome,
                })?;
            }
            let next = if retry {
                Some((member, attempt + 1))
            } else {
                queue.next().map(|member| (member, 0))
            };
            match next {
                Some((member, attempt)) => {
                    let (slot, row) = context.start(member, attempt);
                    stack.replace(i, &row);
                    active[i] = slot;
                }
                None => keep[i] = false,
            }
        }
        if !keep.contains(&true) {
            return Ok(());
        }
        if keep.contains(&false) {
            stack.retain(&keep);
            let mut stays = keep.iter();
            active.retain(|_| *stays.next().unwrap_or(&true));
        }
        validation = context.validation(&active);
    }
}

fn assemble(context: &BlockContext<'_>, active: &mut [Slot], steps: usize) -> Batches {
    let size = steps * active.len() * context.settings.batch;
    let mut rows = Vec::with_capacity(size);
    let mut coefficients = Vec::with_capacity(size);
    let first_steps = active.iter().map(|s| s.batches.steps_made()).collect();
    for _ in 0..steps {
        for slot in active.iter_mut() {
            slot.batches.next(&mut rows, &mut coefficients);
        }
    }
    Batches {
        steps,
        rows,
        coefficients,
        learning_rates: active
            .iter()
            .map(|slot| {
                let settings = context.settings;
                settings.learning_rate * settings.schedule.factor(&slot.history.validation)
            })
            .collect(),
        dropout_keys: active
            .iter()
            .map(|slot| context.streams.dropout(slot.member, slot.attempt))
            .collect(),
        first_steps,
    }
}
