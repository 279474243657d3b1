//! Everybody who wants to know how training goes: bars or lines for the person
//! who started it, `log.jsonl` for later, and the worker's own file for
//! `sideband status` in another shell or on another machine.

use crate::files::WorkerId;
use crate::rundir::{BlockStatus, Progress, RunLog, WorkerFile, WorkerStatus, now};
use crate::training::{Interrupt, Member, Observer, Outcome, SlotReport};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
    /// Members that are there, wherever they were trained.
    count: &'a (dyn Fn() -> u64 + Sync),
    epoch_limit: u32,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    told: Instant,
    rows: u64,
    /// Epochs of finished members, and how many they are.
    epochs: (u64, u64),
    blocks: BTreeMap<String, BlockState>,
}

struct BlockState {
    began: Instant,
    rows: u64,
    ensemble: String,
    members: Vec<u32>,
    epochs: (u32, u32),
    /// 16, 50 and 84 % of the members' last validation losses.
    losses: Option<[f64; 3]>,
    /// Epochs that ended in this block, summed over members, since it began.
    ended: u64,
}

impl<'a> Monitor<'a> {
    /// A monitor that tells all of them.
    pub(crate) fn new(
        progress: &'a Progress,
        interrupt: &'a Interrupt,
        log: &'a RunLog,
        (worker, id): (Option<&'a WorkerFile>, &WorkerId),
        (device, epoch_limit): (String, u32),
        count: &'a (dyn Fn() -> u64 + Sync),
    ) -> Self {
        let begin = Instant::now();
        Self {
            progress,
            interrupt,
            log,
            worker,
            about: WorkerStatus {
                worker: id.to_string(),
                host: id.host().to_owned(),
                pid: id.pid(),
                device,
                started: now(),
                ..WorkerStatus::default()
            },
            count,
            epoch_limit,
            state: Mutex::new(State {
                started: begin,
                told: begin,
                rows: 0,
                epochs: (0, 0),
                blocks: BTreeMap::new(),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &State, finished: bool) {
        let rate = state.rows as f64 / state.started.elapsed().as_secs_f64().max(1e-3);
        let expected = state.expected_epochs(self.epoch_limit);
        let blocks: Vec<BlockStatus> = state
            .blocks
            .iter()
            .map(|(name, block)| block.status(name, expected))
            .collect();
        for block in &blocks {
            self.progress.block(&block.name, Some(describe(block)));
        }
        self.progress.set(
            (self.count)(),
            &format!("{:.2} M member-events/s", rate * 1e-6),
        );
        if let Some(worker) = self.worker {
            worker.write(&WorkerStatus {
                updated: now(),
                uptime_seconds: self.progress.seconds(),
                finished,
                events_per_second: rate,
                blocks,
                ..self.about.clone()
            });
        }
    }

    /// Tells the last state.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.blocks.clear();
        self.tell(&state, true);
        self.progress.close();
    }
}

impl State {
    /// Epochs that a member probably takes: the mean of those finished, or the
    /// limit.
    fn expected_epochs(&self, limit: u32) -> f64 {
        let (sum, count) = self.epochs;
        if count == 0 {
            f64::from(limit)
        } else {
            sum as f64 / count as f64
        }
    }
}

impl BlockState {
    fn status(&self, name: &str, expected: f64) -> BlockStatus {
        let seconds = self.began.elapsed().as_secs_f64().max(1e-3);
        let members = self.members.len().max(1) as f64;
        let epoch_seconds = (self.ended > 0).then(|| seconds / (self.ended as f64 / members));
        BlockStatus {
            name: name.to_owned(),
            ensemble: self.ensemble.clone(),
            members: self.members.clone(),
            epoch_min: self.epochs.0,
            epoch_max: self.epochs.1,
            loss_quantiles: self.losses,
            events_per_second: self.rows as f64 / seconds,
            seconds_left: epoch_seconds.map(|s| s * (expected - f64::from(self.epochs.0)).max(0.0)),
        }
    }
}

/// A block in one line.
pub(crate) fn describe(block: &BlockStatus) -> String {
    let members = match block.members.as_slice() {
        [one] => format!("member {one}"),
        list => format!("{} members", list.len()),
    };
    let epochs = if block.epoch_min == block.epoch_max {
        format!("epoch {}", block.epoch_min)
    } else {
        format!("epochs {}–{}", block.epoch_min, block.epoch_max)
    };
    let loss = match block.loss_quantiles {
        Some([low, middle, high]) if block.members.len() > 1 => {
            format!(", loss {middle:.5} [{low:.5}, {high:.5}]")
        }
        Some([_, middle, _]) => format!(", loss {middle:.5}"),
        None => String::new(),
    };
    let left = block
        .seconds_left
        .map_or_else(String::new, |s| format!(", about {} left", duration(s)));
    format!(
        "{}, {members}, {epochs}{loss}, {:.2} M events/s{left}",
        block.ensemble,
        block.events_per_second * 1e-6
    )
}

/// Seconds for people.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round().clamp(0.0, 1e9) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

fn quantiles(slots: &[SlotReport<'_>]) -> Option<[f64; 3]> {
    let mut losses: Vec<f64> = slots
        .iter()
        .map(|slot| slot.validation)
        .filter(|loss| loss.is_finite())
        .collect();
    losses.sort_by(f64::total_cmp);
    let last = losses.len().checked_sub(1)?;
    Some([0.16, 0.5, 0.84].map(|q| losses[(q * last as f64).round() as usize]))
}

impl Observer for Monitor<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    fn trained(&self, block: &str, rows: u64) {
        let mut state = self.state();
        state.rows += rows;
        if let Some(block) = state.blocks.get_mut(block) {
            block.rows += rows;
        }
        if state.told.elapsed() >= TELL_EVERY {
            state.told = Instant::now();
            self.tell(&state, false);
        }
    }

    fn epoch(&self, block: &str, slots: &[SlotReport<'_>]) {
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
        let mut state = self.state();
        let (Some(first), Some(least), Some(most)) = (
            slots.first(),
            slots.iter().map(|slot| slot.epochs).min(),
            slots.iter().map(|slot| slot.epochs).max(),
        ) else {
            state.blocks.remove(block);
            drop(state);
            self.progress.block(block, None);
            return;
        };
        let now = state
            .blocks
            .entry(block.to_owned())
            .or_insert_with(|| BlockState {
                began: Instant::now(),
                rows: 0,
                ensemble: String::new(),
                members: Vec::new(),
                epochs: (0, 0),
                losses: None,
                ended: 0,
            });
        now.ensemble = if slots.iter().all(|slot| slot.ensemble == first.ensemble) {
            first.ensemble.to_owned()
        } else {
            "several ensembles".to_owned()
        };
        now.members = slots.iter().map(|slot| slot.member).collect();
        now.epochs = (least, most);
        now.losses = quantiles(slots);
        now.ended += slots.iter().filter(|slot| slot.ended).count() as u64;
    }

    fn failed(&self, ensemble: &str, member: u32, outcome: Outcome, again: bool) {
        self.log.event(
            "failed",
            json!({ "ensemble": ensemble, "member": member, "outcome": outcome, "again": again }),
        );
        let what = match outcome {
            Outcome::Diverged { epoch } => format!("diverged after {epoch} epochs"),
            Outcome::Unbounded { epoch } => format!("lost its bound after {epoch} epochs"),
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
        {
            let mut state = self.state();
            state.epochs.0 += about.history.validation.len() as u64;
            state.epochs.1 += 1;
        }
        self.log.event(
            "member",
            json!({
                "ensemble": about.ensemble,
                "member": about.member,
                "attempt": about.attempt,
                "outcome": about.outcome,
                "epochs": about.history.validation.len(),
                "best_epoch": about.history.best_epoch,
                "validation_loss": about.history.validation.get(about.history.best_epoch),
                "normalisation": about.normalisation,
            }),
        );
    }

    fn say(&self, text: &str) {
        self.log.event("note", json!({ "text": text }));
        self.progress.say(text);
    }
}
