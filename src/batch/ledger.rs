//! The members of a run that are missing, taken block by block from the run
//! directory, beside other processes that do the same.
//!
//! A block is claimed before its members are trained, so that two workers seldom
//! do the same; nothing depends on it: members are equal whoever trains them, and
//! their files appear by rename.

use super::blocks::Block;
use crate::error::Result;
use crate::files::lock;
use crate::rundir::{Claim, Claims, RunDirectory};
use crate::settings::ExecutorConfig;
use crate::training::{Checkpoint, Ledger, Member, Unit};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Time between two looks at blocks that others work on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Blocks of one family of ensembles in a run directory.
pub(crate) struct RunLedger<'a> {
    claims: &'a Claims,
    /// Directory of each task's ensemble.
    ensembles: Vec<&'a RunDirectory>,
    /// Units of each block, by task.
    blocks: Vec<Block>,
    /// How often members are saved.
    config: &'a ExecutorConfig,
    state: Mutex<ClaimedUnits>,
    interrupted: &'a (dyn Fn() -> bool + Sync),
}

#[derive(Default)]
struct ClaimedUnits {
    /// Claimed members that nobody in this process works on.
    queue: VecDeque<Unit>,
    /// Members that a thread of this process works on.
    active: Vec<Unit>,
    claimed: Vec<(usize, Claim)>,
}

impl<'a> RunLedger<'a> {
    /// `blocks`: with units by their place in `ensembles`.
    pub(crate) fn new(
        claims: &'a Claims,
        ensembles: Vec<&'a RunDirectory>,
        blocks: Vec<Block>,
        config: &'a ExecutorConfig,
        interrupted: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self {
            claims,
            ensembles,
            blocks,
            config,
            state: Mutex::default(),
            interrupted,
        }
    }

    fn state(&self) -> MutexGuard<'_, ClaimedUnits> {
        lock(&self.state)
    }

    fn units(&self) -> impl Iterator<Item = Unit> {
        self.blocks
            .iter()
            .flat_map(|block| block.units.iter().copied())
    }

    fn path(&self, unit: Unit) -> PathBuf {
        self.ensembles[unit.task].member(unit.member)
    }

    fn checkpoint(&self, unit: Unit) -> PathBuf {
        self.ensembles[unit.task].checkpoint(unit.member)
    }

    fn is_missing(&self, unit: Unit) -> bool {
        !self.path(unit).exists()
    }

    /// Claims the next block in which something is missing.
    fn claim(&self, state: &mut ClaimedUnits) {
        for (place, block) in self.blocks.iter().enumerate() {
            let is_open = |unit: &Unit| self.is_missing(*unit) && !state.active.contains(unit);
            let missing: Vec<Unit> = block.units.iter().copied().filter(is_open).collect();
            if missing.is_empty() {
                continue;
            }
            if state.claimed.iter().any(|(p, _)| *p == place) {
                // finished, but then found damaged by another process and moved aside
                state.queue.extend(missing);
                return;
            }
            // a claim that cannot be made for whatever reason of the file
            // system is not needed either: two workers do no harm
            let claim = match self.claims.claim(block.number) {
                Ok(None) => continue,
                Ok(claim) => claim,
                Err(_) => None,
            };
            let missing = missing.into_iter().filter(|unit| self.is_missing(*unit));
            state.queue.extend(missing);
            match claim {
                Some(claim) if !state.queue.is_empty() => state.claimed.push((place, claim)),
                Some(claim) => drop(claim.finish()),
                None => {}
            }
            if !state.queue.is_empty() {
                return;
            }
        }
    }
}

impl Ledger for RunLedger<'_> {
    fn next(&self) -> Option<Unit> {
        let mut state = self.state();
        loop {
            // another process may have finished it in the meantime
            while let Some(unit) = state.queue.pop_front() {
                if self.is_missing(unit) {
                    state.active.push(unit);
                    return Some(unit);
                }
            }
            self.claim(&mut state);
            if state.queue.is_empty() {
                return None;
            }
        }
    }

    fn missing(&self) -> usize {
        self.units().filter(|unit| self.is_missing(*unit)).count()
    }

    fn give_back(&self, unit: Unit) {
        let mut state = self.state();
        state.active.retain(|u| *u != unit);
        state.queue.push_front(unit);
    }

    fn wait(&self) -> bool {
        if !self.units().any(|unit| self.is_missing(unit)) || (self.interrupted)() {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
        true
    }

    fn load(&self, unit: Unit) -> Option<Checkpoint> {
        Checkpoint::newest(&self.checkpoint(unit), |about| about.member == unit.member)
    }

    fn save(&self, unit: Unit, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.checkpoint(unit))
    }

    fn save_every(&self) -> Duration {
        Duration::from_secs_f64(self.config.checkpoint_seconds)
    }

    fn save_epochs(&self) -> u32 {
        self.config.checkpoint_epochs
    }

    fn finish(&self, unit: Unit, member: &Member) -> Result<()> {
        member.write(&self.path(unit))?;
        Checkpoint::remove(&self.checkpoint(unit));
        let mut state = self.state();
        state.active.retain(|u| *u != unit);
        let done = state.claimed.iter().position(|(place, _)| {
            let units = &self.blocks[*place].units;
            units.contains(&unit) && !units.iter().any(|unit| self.is_missing(*unit))
        });
        if let Some(place) = done {
            let (_, claim) = state.claimed.swap_remove(place);
            // a token that stays is one of a block without anything missing
            drop(claim.finish());
        }
        Ok(())
    }
}
