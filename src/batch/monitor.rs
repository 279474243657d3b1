//! Everybody who wants to know how training goes: bars or lines for the person
//! who started it, `log.jsonl` for later, and the worker's own file for
//! `sideband status` in another shell or on another machine.

use crate::error::counted;
use crate::files::lock;
use crate::rundir::{Progress, RunLog, StackStatus, WorkerFile, WorkerStatus, duration, now};
use crate::training::{Interrupt, Member, Observer, Outcome, SlotReport};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two states of the worker's file and of the bar.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Watches the training of this process.
pub(crate) struct Monitor<'a> {
    progress: &'a Progress,
    interrupt: &'a Interrupt,
    log: &'a RunLog,
    worker: Option<&'a WorkerFile>,
    about: WorkerStatus,
    epoch_limit: u32,
    /// Members that are there, wherever they were trained, and those that are asked for.
    count: &'a (dyn Fn() -> [u64; 2] + Sync),
    state: Mutex<MonitorState>,
}

struct MonitorState {
    started: Instant,
    told: Instant,
    rows: u64,
    /// Epochs of finished members, and how many they are.
    epochs: (u64, u64),
    /// Epochs that ended here, of whatever member.
    ended: u64,
    stacks: BTreeMap<String, StackState>,
}

struct StackState {
    began: Instant,
    rows: u64,
    /// Epochs that ended in this stack, summed over members, since it began.
    ended: u64,
    /// Epochs of its members, summed.
    epochs: u64,
    status: StackStatus,
}

impl MonitorState {
    /// Epochs that a member probably takes: the mean of those finished, or the limit.
    fn expected(&self, limit: u32) -> f64 {
        match self.epochs {
            (_, 0) => f64::from(limit),
            (sum, count) => sum as f64 / count as f64,
        }
    }

    /// How long it takes until no member is missing, in words.
    fn left(&self, missing: u64, limit: u32, elapsed: f64) -> String {
        if self.ended == 0 {
            return "… left".to_owned();
        }
        let running: u64 = self.stacks.values().map(|stack| stack.epochs).sum();
        let rest = (missing as f64 * self.expected(limit) - running as f64).max(0.0);
        let how = if self.epochs.1 == 0 {
            "at most"
        } else {
            "about"
        };
        let seconds = elapsed * rest / self.ended as f64;
        format!("{how} {} left", duration(seconds))
    }
}

impl<'a> Monitor<'a> {
    /// A monitor that tells all of them; `about`: what does not change of this worker.
    pub(crate) fn new(
        progress: &'a Progress,
        interrupt: &'a Interrupt,
        log: &'a RunLog,
        worker: Option<&'a WorkerFile>,
        about: WorkerStatus,
        epoch_limit: u32,
        count: &'a (dyn Fn() -> [u64; 2] + Sync),
    ) -> Self {
        let begin = Instant::now();
        Self {
            progress,
            interrupt,
            log,
            worker,
            about,
            epoch_limit,
            count,
            state: Mutex::new(MonitorState {
                started: begin,
                told: begin,
                rows: 0,
                epochs: (0, 0),
                ended: 0,
                stacks: BTreeMap::new(),
            }),
        }
    }

    fn tell(&self, state: &MonitorState, finished: bool) {
        let elapsed = state.started.elapsed().as_secs_f64().max(1e-3);
        let rate = state.rows as f64 / elapsed;
        let expected = state.expected(self.epoch_limit);
        let stacks = state.stacks.values().map(|stack| stack.status(expected));
        let stacks: Vec<StackStatus> = stacks.collect();
        for stack in &stacks {
            self.progress.stack(&stack.name, Some(describe(stack)));
        }
        let [done, total] = (self.count)();
        let left = state.left(total.saturating_sub(done), self.epoch_limit, elapsed);
        let about = format!("{left}, {:.2} M member-events/s", rate * 1e-6);
        self.progress.set(done, &about);
        if let Some(worker) = self.worker {
            worker.write(&WorkerStatus {
                updated: now(),
                uptime_seconds: self.progress.seconds(),
                finished,
                events_per_second: rate,
                stacks,
                ..self.about.clone()
            });
        }
    }

    /// Tells the last state.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.stacks.clear();
        self.tell(&state, true);
        self.progress.close();
    }
}

impl StackState {
    fn status(&self, expected: f64) -> StackStatus {
        let seconds = self.began.elapsed().as_secs_f64().max(1e-3);
        let members = self.status.members.len().max(1) as f64;
        let epoch_seconds = (self.ended > 0).then(|| seconds / (self.ended as f64 / members));
        let epochs_left = (expected - f64::from(self.status.epoch_min)).max(0.0);
        StackStatus {
            events_per_second: self.rows as f64 / seconds,
            seconds_left: epoch_seconds.map(|s| s * epochs_left),
            ..self.status.clone()
        }
    }
}

/// A stack in one line.
pub(crate) fn describe(stack: &StackStatus) -> String {
    let members = match stack.members.as_slice() {
        [one] => format!("member {one}"),
        list => format!("{} members", list.len()),
    };
    let epochs = if stack.epoch_min == stack.epoch_max {
        format!("epoch {}", stack.epoch_min)
    } else {
        format!("epochs {}–{}", stack.epoch_min, stack.epoch_max)
    };
    let loss = match stack.loss_quantiles {
        Some([low, middle, high]) if stack.members.len() > 1 => {
            format!(", loss {middle:.5} [{low:.5}, {high:.5}]")
        }
        Some([_, middle, _]) => format!(", loss {middle:.5}"),
        None => String::new(),
    };
    let left = stack.seconds_left;
    let left = left.map_or_else(String::new, |s| format!(", about {} left", duration(s)));
    format!(
        "{}, {members}, {epochs}{loss}, {:.2} M events/s{left}",
        stack.ensemble,
        stack.events_per_second * 1e-6
    )
}

fn quantiles(slots: &[SlotReport<'_>]) -> Option<[f64; 3]> {
    let losses = slots.iter().map(|slot| slot.validation);
    let mut losses: Vec<f64> = losses.filter(|loss| loss.is_finite()).collect();
    losses.sort_by(f64::total_cmp);
    let last = losses.len().checked_sub(1)?;
    Some([0.16, 0.5, 0.84].map(|q| losses[(q * last as f64).round() as usize]))
}

impl Observer for Monitor<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    fn trained(&self, stack: &str, rows: u64) {
        let mut state = lock(&self.state);
        state.rows += rows;
        if let Some(stack) = state.stacks.get_mut(stack) {
            stack.rows += rows;
        }
        if state.told.elapsed() >= TELL_EVERY {
            state.told = Instant::now();
            self.tell(&state, false);
        }
    }

    fn epoch(&self, name: &str, slots: &[SlotReport<'_>]) {
        for slot in slots.iter().filter(|slot| slot.ended) {
            self.log.event(
                "epoch",
                json!({
                    "ensemble": slot.ensemble,
                    "member": slot.member,
                    "attempt": slot.attempt,
                    "epoch": slot.epochs,
                    "training_loss": slot.training,
                    "validation_loss": slot.validation,
                }),
            );
        }
        let mut state = lock(&self.state);
        let epochs = || slots.iter().map(|slot| slot.epochs);
        let (Some(first), Some(epoch_min), Some(epoch_max)) =
            (slots.first(), epochs().min(), epochs().max())
        else {
            state.stacks.remove(name);
            drop(state);
            self.progress.stack(name, None);
            return;
        };
        let is_one = slots.iter().all(|slot| slot.ensemble == first.ensemble);
        let ensemble = if is_one {
            first.ensemble
        } else {
            "several ensembles"
        };
        let stack = state.stacks.entry(name.to_owned());
        let stack = stack.or_insert_with(|| StackState {
            began: Instant::now(),
            rows: 0,
            ended: 0,
            epochs: 0,
            status: StackStatus::default(),
        });
        let ended = slots.iter().filter(|slot| slot.ended).count() as u64;
        stack.ended += ended;
        stack.epochs = epochs().map(u64::from).sum();
        stack.status = StackStatus {
            name: name.to_owned(),
            ensemble: ensemble.to_owned(),
            members: slots.iter().map(|slot| slot.member).collect(),
            epoch_min,
            epoch_max,
            loss_quantiles: quantiles(slots),
            ..StackStatus::default()
        };
        state.ended += ended;
    }

    fn failed(&self, ensemble: &str, member: u32, outcome: Outcome, again: bool) {
        self.log.event(
            "failed",
            json!({ "ensemble": ensemble, "member": member, "outcome": outcome, "again": again }),
        );
        let what = match outcome {
            Outcome::Diverged { epoch } => format!("diverged after {}", counted(epoch, "epoch")),
            Outcome::Unbounded { epoch } => {
                format!("lost its bound after {}", counted(epoch, "epoch"))
            }
            Outcome::Converged | Outcome::EpochLimit => return,
        };
        let then = if again {
            "trying again from another start"
        } else {
            "recorded as failed"
        };
        self.progress
            .say(&format!("{ensemble}, member {member}: {what}; {then}"));
    }

    fn finished(&self, member: &Member) {
        let about = &member.about;
        let losses = &about.history.validation;
        {
            let mut state = lock(&self.state);
            state.epochs.0 += losses.len() as u64;
            state.epochs.1 += 1;
        }
        self.log.event(
            "member",
            json!({
                "ensemble": about.ensemble,
                "member": about.member,
                "attempt": about.attempt,
                "outcome": about.outcome,
                "epochs": losses.len(),
                "best_epoch": about.history.best_epoch,
                "validation_loss": losses.get(about.history.best_epoch),
                "normalisation": about.normalisation,
            }),
        );
    }

    fn say(&self, text: &str) {
        self.log.event("note", json!({ "text": text }));
        self.progress.say(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(ended: u64, finished: (u64, u64), running: u64) -> MonitorState {
        let now = Instant::now();
        let stack = StackState {
            began: now,
            rows: 0,
            ended,
            epochs: running,
            status: StackStatus::default(),
        };
        MonitorState {
            started: now,
            told: now,
            rows: 0,
            epochs: finished,
            ended,
            stacks: BTreeMap::from([("a".to_owned(), stack)]),
        }
    }

    /// Before a member has ended nobody knows how many epochs one takes; it is never no time.
    #[test]
    fn time_that_is_left_is_no_guess_of_nothing() {
        for (state, missing, expected) in [
            (state(0, (0, 0), 0), 8, "… left"),
            // 8 x 100 epochs less the 10 that are done, at one a second
            (state(10, (0, 0), 10), 8, "at most 13 min 10 s left"),
            (state(50, (40, 2), 10), 3, "about 10 s left"),
            (state(50, (40, 2), 0), 0, "about 0 s left"),
        ] {
            let elapsed = state.ended as f64;
            let elapsed = if state.epochs.1 > 0 { 10.0 } else { elapsed };
            assert_eq!(state.left(missing, 100, elapsed), expected);
        }
    }
}
