//! What training asks of the world: which members, where they come from when
//! they were interrupted, where they go, and who is told.

use super::store::{Checkpoint, Member, Outcome};
use crate::error::{Kind, Result};
use crate::files::lock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One network to train: which of the ensembles at hand, and which member of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// Place of the ensemble in the list of tasks.
    pub task: usize,
    /// Number of the member.
    pub member: u32,
}

/// Where members come from and go to. Shared by training threads.
pub trait Ledger: Sync {
    /// A member that nobody works on; none if there is none now.
    fn next(&self) -> Option<Unit>;

    /// Members that are missing, taken or not.
    fn missing(&self) -> usize;

    /// A member that was taken and comes back unfinished.
    fn give_back(&self, unit: Unit);

    /// Waits a moment for members that others work on; false if there are none,
    /// so that training is over.
    fn wait(&self) -> bool {
        false
    }

    /// Where a member stood when its training was interrupted.
    fn load(&self, _unit: Unit) -> Option<Checkpoint> {
        None
    }

    /// Keeps where a member stands; training goes on where it cannot be written.
    fn save(&self, _unit: Unit, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }

    /// How often members are to be saved.
    fn save_every(&self) -> Duration {
        Duration::MAX
    }

    /// Epochs after which a member is to be saved; 0 = by time alone.
    fn save_epochs(&self) -> u32 {
        0
    }

    /// Keeps a finished member; training ends where it cannot be written.
    fn finish(&self, unit: Unit, member: &Member) -> Result<()>;
}

/// A list of members, finished ones handed to a function: for ensembles that
/// live in this process alone.
pub struct List<F> {
    queue: Mutex<VecDeque<Unit>>,
    finish: F,
}

impl<F: Fn(&Member) -> Result<()> + Sync> List<F> {
    /// The given members of the first task.
    pub fn new(members: impl IntoIterator<Item = u32>, finish: F) -> Self {
        let units = members.into_iter().map(|member| Unit { task: 0, member });
        Self {
            queue: Mutex::new(units.collect()),
            finish,
        }
    }
}

impl<F: Fn(&Member) -> Result<()> + Sync> Ledger for List<F> {
    fn next(&self) -> Option<Unit> {
        lock(&self.queue).pop_front()
    }

    fn missing(&self) -> usize {
        lock(&self.queue).len()
    }

    fn give_back(&self, unit: Unit) {
        lock(&self.queue).push_front(unit);
    }

    fn finish(&self, _: Unit, member: &Member) -> Result<()> {
        (self.finish)(member)
    }
}

/// The ledger as one thread sees it: remembers what it has taken, so that a stack that
/// broke can be begun again.
pub(super) struct Taken<'a> {
    pub ledger: &'a dyn Ledger,
    back: Mutex<VecDeque<Unit>>,
    active: Mutex<VecDeque<Unit>>,
}

impl<'a> Taken<'a> {
    pub(super) fn new(ledger: &'a dyn Ledger) -> Self {
        Self {
            ledger,
            back: Mutex::default(),
            active: Mutex::default(),
        }
    }

    /// A member to work on, first of those that wait again.
    pub(super) fn next(&self) -> Option<Unit> {
        let back = lock(&self.back).pop_front();
        let unit = back.or_else(|| self.ledger.next())?;
        lock(&self.active).push_back(unit);
        Some(unit)
    }

    /// How many members it works on.
    pub(super) fn active(&self) -> usize {
        lock(&self.active).len()
    }

    pub(super) fn done(&self, unit: Unit) {
        lock(&self.active).retain(|u| *u != unit);
    }

    pub(super) fn give_back(&self, unit: Unit) {
        self.done(unit);
        self.ledger.give_back(unit);
    }

    /// All that is active waits again.
    pub(super) fn put_back(&self) {
        lock(&self.back).append(&mut lock(&self.active));
    }

    pub(super) fn give_all_back(&self) {
        self.put_back();
        lock(&self.back)
            .drain(..)
            .for_each(|unit| self.ledger.give_back(unit));
    }
}

/// Where a member in training stands at the end of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotReport<'a> {
    pub ensemble: &'a str,
    pub member: u32,
    pub attempt: u32,
    pub epochs: u32,
    /// Its last training loss; NaN before the first epoch is over.
    pub training: f64,
    /// Its last validation loss; NaN before the first epoch is over.
    pub validation: f64,
    pub ended: bool,
}

/// Told what happens while members train; asked whether to stop.
pub trait Observer: Sync {
    /// Whether to stop at the next batch.
    fn interrupted(&self) -> bool;
    /// So many rows were trained on, summed over members, by this stack.
    fn trained(&self, stack: &str, rows: u64);
    /// Where all members of a stack stand, whenever an epoch of one has ended;
    /// none when the stack is over.
    fn epoch(&self, _stack: &str, _slots: &[SlotReport<'_>]) {}
    /// A member's attempt failed; whether there is another.
    fn failed(&self, _ensemble: &str, _member: u32, _outcome: Outcome, _again: bool) {}
    /// A member is finished and written.
    fn finished(&self, member: &Member);
    /// Something that a person should know.
    fn say(&self, _text: &str) {}
}

/// A flag that says stop; copies are the same flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    const BY_PERSON: u8 = 1;
    const BY_TIME: u8 = 2;

    /// Asks to stop; whether that had been asked before.
    pub(crate) fn raise(&self) -> bool {
        self.0.swap(Self::BY_PERSON, Ordering::SeqCst) == Self::BY_PERSON
    }

    /// Asks to stop because the time is over.
    pub(crate) fn raise_by_time(&self) {
        // a person's wish is the stronger one
        let order = Ordering::SeqCst;
        let _ = self.0.compare_exchange(0, Self::BY_TIME, order, order);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }

    /// Of which kind an end is that it brings.
    pub(crate) fn kind(&self) -> Kind {
        match self.0.load(Ordering::SeqCst) {
            Self::BY_TIME => Kind::TimeLimit,
            _ => Kind::Interrupted,
        }
    }
}
