//! The training loop of one stack, whose slots are refilled from the ledger as
//! members stop. Members of different ensembles may share it; each has
//! its own rows, epoch, learning rate and end.

use super::batches::{MemberBatches, steps_per_epoch, validation_rows};
use super::ledger::{Observer, SlotReport, Taken, Unit};
use super::store::{Checkpoint, CheckpointFile, History, Outcome, anew};
use super::stream::{Feed, Follower};
use super::streams::Streams;
use super::task::Task;
use crate::error::Result;
use crate::settings::Split;
use sideband_networks::{
    Batches, Compute, EvaluationRows, InputScaling, MemberState, Network, Row, Stack, Table,
};
use std::time::Instant;

/// A parameter larger than this is a member that has lost its way, whatever its
/// loss says.
const LARGEST_PARAMETER: f32 = 1e6;

/// A finished member on its way to its file.
pub(super) struct Finished {
    pub unit: Unit,
    pub attempt: u32,
    pub row: Row,
    pub history: History,
    pub outcome: Outcome,
}

/// What the stacks of a device have in common: the events, once, and the
/// ensembles that train on them.
pub(super) struct StackContext<'a> {
    pub compute: &'a Compute,
    pub network: &'a Network,
    ensembles: Vec<EnsembleContext<'a>>,
    table: Table,
    /// Steps whose rows and coefficients are made and copied at once.
    chunk: usize,
}

struct EnsembleContext<'a> {
    task: &'a Task<'a>,
    streams: Streams,
    inputs: InputScaling,
    steps: usize,
    /// Validation rows, where all members have the same.
    validation: Option<EvaluationRows>,
}

impl<'a> StackContext<'a> {
    /// All tasks have the matrix of inputs, the network, the optimizer and the
    /// size of a batch in common.
    pub(super) fn new(compute: &'a Compute, tasks: &'a [Task<'a>], network: &'a Network) -> Self {
        let table = tasks[0].sample.inputs().upload(compute);
        let ensembles = tasks
            .iter()
            .map(|task| {
                let streams = Streams::new(task.seed, task.ensemble);
                let inputs = task.features.inputs();
                // a copy of their inputs, so only where there is one ensemble
                let shared = task.settings.split.split == Split::Shared && tasks.len() == 1;
                EnsembleContext {
                    streams,
                    steps: steps_per_epoch(task),
                    validation: shared.then(|| {
                        let rows = validation_rows(task.sample, task.settings, streams, 0);
                        let inputs = std::slice::from_ref(&inputs);
                        EvaluationRows::new(compute, &table, &[rows], inputs)
                    }),
                    inputs,
                    task,
                }
            })
            .collect();
        Self {
            chunk: if compute.is_cpu() { 8 } else { 64 },
            compute,
            network,
            ensembles,
            table,
        }
    }

    /// A member from where it stood, or from its start.
    fn start(&self, unit: Unit, attempt: u32, found: Option<Checkpoint>) -> (Slot, MemberState) {
        let ensemble = &self.ensembles[unit.task];
        let task = ensemble.task;
        let found = found.filter(|c| {
            let whose = (c.about.seed, &*c.about.ensemble, c.about.member);
            let is_own = whose == (task.seed, task.ensemble, unit.member);
            is_own && c.suits(self.network, task.features)
        });
        let attempt = found.as_ref().map_or(attempt, |c| c.about.attempt);
        // a stream's batches are made by its feed
        let batches = task.stream.is_none().then(|| {
            let (sample, settings) = (task.sample, task.settings);
            MemberBatches::new(sample, settings, ensemble.streams, unit.member, attempt)
        });
        let (history, state) = match found {
            Some(checkpoint) => (checkpoint.about.history, checkpoint.state),
            None => {
                let start = MemberState::start(self.initial(unit, attempt));
                (History::default(), start)
            }
        };
        let slot = Slot {
            unit,
            attempt,
            step: state.clock.steps(),
            batches,
            history,
        };
        (slot, state)
    }

    fn initial(&self, unit: Unit, attempt: u32) -> Row {
        let streams = self.ensembles[unit.task].streams;
        self.network.initial(streams.initial(unit.member, attempt))
    }

    fn inputs(&self, slots: &[Slot]) -> Vec<InputScaling> {
        let inputs = |slot: &Slot| self.ensembles[slot.unit.task].inputs.clone();
        slots.iter().map(inputs).collect()
    }

    /// Validation losses of the slots at the given places, in their order.
    fn validate(&self, stack: &Stack, slots: &[Slot], places: &[usize]) -> Vec<f64> {
        let mut losses = vec![0.0; places.len()];
        for (task, ensemble) in self.ensembles.iter().enumerate() {
            let (found, members): (Vec<usize>, Vec<usize>) = places
                .iter()
                .enumerate()
                .filter(|(_, place)| slots[**place].unit.task == task)
                .map(|(k, place)| (k, *place))
                .unzip();
            if members.is_empty() {
                continue;
            }
            let values = match &ensemble.validation {
                Some(rows) => stack.evaluate(&members, &self.table, rows),
                None => {
                    let (sample, settings) = (ensemble.task.sample, ensemble.task.settings);
                    let rows = |place: &usize| {
                        let member = slots[*place].unit.member;
                        validation_rows(sample, settings, ensemble.streams, member)
                    };
                    let lists: Vec<_> = members.iter().map(rows).collect();
                    let inputs = vec![ensemble.inputs.clone(); members.len()];
                    let rows = EvaluationRows::new(self.compute, &self.table, &lists, &inputs);
                    stack.evaluate(&members, &self.table, &rows)
                }
            };
            for (k, value) in found.into_iter().zip(values) {
                losses[k] = value;
            }
        }
        losses
    }

    /// The feed of a stack that reads a stream. Only members at the same step
    /// stay in the stack, the others go back to the ledger.
    fn feed(
        &'a self,
        active: &mut Vec<Slot>,
        mut states: Vec<MemberState>,
        taken: &Taken<'_>,
    ) -> Result<(Vec<MemberState>, Option<Streamed<'a>>)> {
        let first = active.first().map(|slot| (slot.unit.task, slot.step));
        let Some((number, step)) = first else {
            return Ok((states, None));
        };
        let task = self.ensembles[number].task;
        let Some(source) = task.stream else {
            return Ok((states, None));
        };
        let keeps = |slot: &Slot| slot.step == step && slot.unit.task == number;
        let keep: Vec<bool> = active.iter().map(keeps).collect();
        for (slot, _) in active.iter().zip(&keep).filter(|(_, keep)| !**keep) {
            taken.give_back(slot.unit);
        }
        retain(active, &keep);
        retain(&mut states, &keep);
        let feed = Feed::new(self.compute, task, source, step)?;
        let follower = |slot: &Slot| Follower::new(slot.unit.member, slot.attempt);
        let followers = active.iter().map(follower).collect();
        Ok((states, Some((feed, followers))))
    }

    fn checkpoint(&self, slot: &Slot, state: MemberState) -> Checkpoint {
        let task = self.ensembles[slot.unit.task].task;
        let about = CheckpointFile {
            format: 0,
            seed: task.seed,
            ensemble: task.ensemble.to_owned(),
            member: slot.unit.member,
            attempt: slot.attempt,
            history: slot.history.clone(),
            loss: state.loss,
            clock: state.clock,
            network: task.settings.network.clone(),
            features: task.features.clone(),
            sha256: String::new(),
        };
        Checkpoint::new(about, state)
    }
}

/// Leaves the entries that are to be kept.
fn retain<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| *keep.next().unwrap_or(&true));
}

/// What a stack reads while it trains, and the members that keep step.
type Streamed<'a> = (Feed<'a>, Vec<Follower>);

struct Slot {
    unit: Unit,
    attempt: u32,
    step: u64,
    /// Its rows, where they are in memory.
    batches: Option<MemberBatches>,
    history: History,
}

impl Slot {
    /// Books one epoch; whether it was the best so far.
    fn book(&mut self, training: f64, validation: f64) -> bool {
        let history = &mut self.history;
        let best = history.validation.get(history.best_epoch);
        let improved = best.is_none_or(|best| validation < *best);
        history.training.push(training);
        history.validation.push(validation);
        if improved {
            history.best_epoch = history.validation.len() - 1;
        }
        improved
    }

    fn outcome(&self, task: &Task<'_>, largest: f32) -> Option<Outcome> {
        let settings = task.settings;
        let epochs = self.history.validation.len();
        let last = |losses: &[f64]| losses.last().copied().unwrap_or(0.0);
        let (training, validation) = (last(&self.history.training), last(&self.history.validation));
        let lost = !training.is_finite() || !validation.is_finite();
        if lost || largest.is_nan() || largest > LARGEST_PARAMETER {
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

    /// Steps until the end of the epoch.
    fn steps_left(&self, context: &StackContext<'_>) -> usize {
        let steps = context.ensembles[self.unit.task].steps;
        steps - (self.step % steps as u64) as usize
    }
}

pub(super) enum StackEnd {
    /// The ledger had nothing more.
    Empty,
    /// All members of a stack that reads a stream are done; the ledger may have
    /// more.
    Streamed,
    /// Somebody asked to stop; members are saved where they stand.
    Interrupted,
}

pub(super) struct StackWorker<'a> {
    pub name: &'a str,
    pub context: &'a StackContext<'a>,
    pub taken: &'a Taken<'a>,
    pub observer: &'a dyn Observer,
    pub interrupted: &'a dyn Fn() -> bool,
}

impl StackWorker<'_> {
    /// Trains members from the ledger in at most `slots` slots until it has no more
    /// or the run is interrupted; each finished member goes to `finish`.
    pub(super) fn train(
        &self,
        slots: usize,
        finish: &mut dyn FnMut(Finished) -> Result<()>,
    ) -> Result<StackEnd> {
        let (context, taken, ledger) = (self.context, self.taken, self.taken.ledger);
        let (mut active, states): (Vec<Slot>, Vec<MemberState>) =
            std::iter::from_fn(|| taken.next())
                .take(slots)
                .map(|unit| context.start(unit, 0, ledger.load(unit)))
                .unzip();
        let (states, mut feed) = context.feed(&mut active, states, taken)?;
        let Some(first) = active.first() else {
            return Ok(StackEnd::Empty);
        };
        let settings = context.ensembles[first.unit.task].task.settings;
        let inputs = context.inputs(&active);
        let mut stack = Stack::new(context.compute, settings.stack(), &states, &inputs);
        drop(states);
        let mut saved = Instant::now();
        self.report(&active, &[]);
        loop {
            let interrupted = (self.interrupted)();
            if interrupted || saved.elapsed() >= ledger.save_every() {
                let all = vec![true; active.len()];
                self.save(&active, &stack, &all);
                saved = Instant::now();
            }
            if interrupted {
                active.iter().for_each(|slot| taken.give_back(slot.unit));
                self.observer.epoch(self.name, &[]);
                return Ok(StackEnd::Interrupted);
            }
            let left = active.iter().map(|slot| slot.steps_left(context)).min();
            let mut steps = context.chunk.min(left.unwrap_or(1));
            if let Some((feed, followers)) = &mut feed {
                steps = steps.min(feed.ready(followers)?);
            }
            let batches = assemble(context, &mut active, feed.as_mut(), steps);
            let table = feed.as_ref().and_then(|(feed, _)| feed.table());
            stack.train(table.unwrap_or(&context.table), &batches);
            self.observer
                .trained(self.name, (steps * active.len() * settings.batch) as u64);

            // an epoch is over where the next one is whole
            let ended: Vec<bool> = active
                .iter()
                .map(|slot| slot.steps_left(context) == context.ensembles[slot.unit.task].steps)
                .collect();
            if !ended.contains(&true) {
                continue;
            }
            let outcomes = end_epoch(context, &mut active, &mut stack, &ended);
            self.report(&active, &ended);
            let mut keep = vec![true; active.len()];
            for (i, outcome) in outcomes.into_iter().enumerate() {
                let Some(outcome) = outcome else { continue };
                let (unit, attempt) = (active[i].unit, active[i].attempt);
                let task = context.ensembles[unit.task].task;
                let again = outcome.is_worth_retrying() && attempt < task.settings.retries;
                if !outcome.is_usable() {
                    self.observer
                        .failed(task.ensemble, unit.member, outcome, again);
                }
                let next = if again && feed.is_some() {
                    // it cannot keep step with the others: a later stack has it
                    let (slot, state) = context.start(unit, attempt + 1, None);
                    let saved = ledger.save(unit, &context.checkpoint(&slot, state));
                    saved.map_err(anew)?;
                    taken.give_back(unit);
                    None
                } else if again {
                    Some(context.start(unit, attempt + 1, None))
                } else {
                    finish(Finished {
                        unit,
                        attempt,
                        row: stack.best(i),
                        history: std::mem::take(&mut active[i].history),
                        outcome,
                    })?;
                    let next = if feed.is_some() { None } else { taken.next() };
                    next.map(|unit| context.start(unit, 0, ledger.load(unit)))
                };
                match next {
                    Some((slot, state)) => {
                        let inputs = &context.ensembles[slot.unit.task].inputs;
                        stack.replace(i, &state, inputs);
                        active[i] = slot;
                    }
                    None => keep[i] = false,
                }
            }
            if !keep.contains(&true) {
                self.observer.epoch(self.name, &[]);
                return Ok(match feed {
                    Some(_) => StackEnd::Streamed,
                    None => StackEnd::Empty,
                });
            }
            if keep.contains(&false) {
                stack.retain(&keep);
                retain(&mut active, &keep);
                if let Some((_, followers)) = &mut feed {
                    retain(followers, &keep);
                }
            }
            let every = ledger.save_epochs() as usize;
            if every > 0 {
                let is_due = |slot: &Slot| {
                    let epochs = slot.history.validation.len();
                    slot.steps_left(context) == context.ensembles[slot.unit.task].steps
                        && epochs > 0
                        && epochs.is_multiple_of(every)
                };
                let due: Vec<bool> = active.iter().map(is_due).collect();
                self.save(&active, &stack, &due);
            }
        }
    }

    /// Keeps where the given members stand. What cannot be written is said: the members
    /// go on without it.
    fn save(&self, active: &[Slot], stack: &Stack, which: &[bool]) {
        for (i, slot) in active.iter().enumerate().filter(|(i, _)| which[*i]) {
            let checkpoint = self.context.checkpoint(slot, stack.state(i));
            if let Err(error) = self.taken.ledger.save(slot.unit, &checkpoint) {
                let text = format!("warning: no checkpoint could be written: {error}");
                return self.observer.say(&text);
            }
        }
    }

    fn report(&self, active: &[Slot], ended: &[bool]) {
        let last = |losses: &[f64]| losses.last().copied().unwrap_or(f64::NAN);
        let report = |(i, slot): (usize, &Slot)| SlotReport {
            ensemble: self.context.ensembles[slot.unit.task].task.ensemble,
            member: slot.unit.member,
            attempt: slot.attempt,
            epochs: slot.history.validation.len() as u32,
            training: last(&slot.history.training),
            validation: last(&slot.history.validation),
            ended: ended.get(i).copied().unwrap_or(false),
        };
        let slots: Vec<SlotReport<'_>> = active.iter().enumerate().map(report).collect();
        self.observer.epoch(self.name, &slots);
    }
}

/// Books the epoch of the slots where it ended; which members are done.
fn end_epoch(
    context: &StackContext<'_>,
    active: &mut [Slot],
    stack: &mut Stack,
    ended: &[bool],
) -> Vec<Option<Outcome>> {
    let places: Vec<usize> = (0..active.len()).filter(|i| ended[*i]).collect();
    let training = stack.take_losses(ended);
    let validation = context.validate(stack, active, &places);
    let largest = stack.largest_parameters();
    let mut improved = vec![false; active.len()];
    for (place, validation) in places.iter().zip(validation) {
        let slot = &mut active[*place];
        let steps = context.ensembles[slot.unit.task].steps;
        improved[*place] = slot.book(training[*place] / steps as f64, validation);
    }
    stack.keep_best(&improved);
    let outcome = |(i, slot): (usize, &Slot)| {
        ended[i]
            .then(|| slot.outcome(context.ensembles[slot.unit.task].task, largest[i]))
            .flatten()
    };
    active.iter().enumerate().map(outcome).collect()
}

/// The next steps of all members.
fn assemble(
    context: &StackContext<'_>,
    active: &mut [Slot],
    feed: Option<&mut Streamed<'_>>,
    steps: usize,
) -> Batches {
    let first_steps = active.iter().map(|s| s.step).collect();
    let (rows, coefficients) = match feed {
        Some((feed, followers)) => feed.next(followers, steps),
        None => {
            let batch = context.ensembles[0].task.settings.batch;
            let size = steps * active.len() * batch;
            let (mut rows, mut coefficients) = (Vec::with_capacity(size), Vec::with_capacity(size));
            for step in 0..steps as u64 {
                for slot in active.iter_mut() {
                    if let Some(batches) = &mut slot.batches {
                        batches.append(slot.step + step, &mut rows, &mut coefficients);
                    }
                }
            }
            (rows, coefficients)
        }
    };
    active.iter_mut().for_each(|slot| slot.step += steps as u64);
    let rate = |slot: &Slot| {
        let settings = context.ensembles[slot.unit.task].task.settings;
        settings.learning_rate * settings.schedule.factor(&slot.history.validation)
    };
    let dropout = |slot: &Slot| {
        let streams = context.ensembles[slot.unit.task].streams;
        streams.dropout(slot.unit.member, slot.attempt)
    };
    Batches {
        steps,
        rows,
        coefficients,
        learning_rates: active.iter().map(rate).collect(),
        dropout_keys: active.iter().map(dropout).collect(),
        first_steps,
    }
}
