//! In which order the parts of the files are read, pass after pass, and where
//! to begin.

use crate::error::{Error, Result};
use std::collections::HashSet;
use std::sync::Arc;

use super::super::scan::Job;

/// A place in the sequence of events of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// The pass over the files, from 0.
    pub pass: u64,
    /// The selected event in the pass, from 0.
    pub event: u64,
}

/// The order in which the parts ([`Dataset::parts`](super::super::Dataset::parts))
/// are read: one pass or endlessly many. Rows of a part keep their order.
#[derive(Clone)]
pub struct PartOrder {
    kind: Sequence,
    start: StreamPosition,
}

#[derive(Clone)]
enum Sequence {
    Files,
    Given(Arc<[u32]>),
    Passes(Arc<dyn Fn(u64) -> Vec<u32> + Send + Sync>),
}

impl PartOrder {
    /// One pass in the order of the files, as in a scan.
    pub fn files() -> Self {
        Sequence::Files.into()
    }

    /// One pass over these parts: a permutation, or a selection of parts, each
    /// at most once.
    pub fn given(parts: Vec<u32>) -> Self {
        Sequence::Given(parts.into()).into()
    }

    /// Pass after pass, pass `p` in the order `order(p)`, without an end. Every
    /// thread calls `order`, so it must depend on `p` only; and some time
    /// before the pass begins. At least one part a pass.
    pub fn passes(order: impl Fn(u64) -> Vec<u32> + Send + Sync + 'static) -> Self {
        Sequence::Passes(Arc::new(order)).into()
    }

    /// Leaves out what lies before `start`. Where the request takes every row,
    /// whole parts are passed over unread; otherwise what lies before `start` in
    /// its pass is read and thrown away, since only that tells how many events
    /// it holds. A start behind the end of its pass lies in the next one.
    pub fn starting_at(mut self, start: StreamPosition) -> Self {
        self.start = start;
        self
    }

    pub(super) fn position(&self) -> StreamPosition {
        self.start
    }

    pub(super) fn is_endless(&self) -> bool {
        matches!(self.kind, Sequence::Passes(_))
    }
}

impl From<Sequence> for PartOrder {
    fn from(kind: Sequence) -> Self {
        Self {
            kind,
            start: StreamPosition::default(),
        }
    }
}

/// The parts one after the other, over all passes.
#[derive(Clone)]
pub(super) struct Cursor {
    kind: Sequence,
    jobs: Arc<[Job]>,
    /// The pass after that of `list`.
    next_pass: u64,
    list: Vec<u32>,
    at: usize,
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) job: Job,
    pub(super) ends_pass: bool,
}

impl Cursor {
    /// Stands before the first part of the pass where `order` starts.
    pub(super) fn new(order: &PartOrder, jobs: Vec<Job>) -> Result<Self> {
        let mut cursor = Self {
            kind: order.kind.clone(),
            jobs: jobs.into(),
            next_pass: order.start.pass,
            list: Vec::new(),
            at: 0,
            failed: false,
        };
        cursor.peek()?;
        Ok(cursor)
    }

    /// Moves towards `start`: over whole parts where every row is an event, else
    /// not at all. Returns where it stands and how many events are missing.
    pub(super) fn start(
        &mut self,
        start: StreamPosition,
        every_row: bool,
    ) -> Result<(StreamPosition, u64)> {
        let mut here = StreamPosition { event: 0, ..start };
        let mut missing = start.event;
        while every_row
            && missing > 0
            && let Some(turn) = self.peek()?
            && turn.job.part.rows <= missing
        {
            self.at += 1;
            missing -= turn.job.part.rows;
            here.event += turn.job.part.rows;
            if turn.ends_pass {
                here = StreamPosition {
                    pass: here.pass + 1,
                    event: 0,
                };
            }
        }
        Ok((here, missing))
    }

    fn peek(&mut self) -> Result<Option<Turn>> {
        while self.at == self.list.len() {
            let pass = self.next_pass;
            match self.list_of(pass)? {
                Some(list) => (self.list, self.at, self.next_pass) = (list, 0, pass + 1),
                None => return Ok(None),
            }
        }
        // `list_of` has checked the numbers.
        let job = self.jobs[self.list[self.at] as usize];
        let ends_pass = self.at + 1 == self.list.len();
        Ok(Some(Turn { job, ends_pass }))
    }

    fn list_of(&self, pass: u64) -> Result<Option<Vec<u32>>> {
        let parts = self.jobs.len();
        let bad = |what: String| {
            let order = format!("pass {pass} has a wrong order of the {parts} parts of the files");
            Error::data(what).at(order)
        };
        let list = match &self.kind {
            Sequence::Files | Sequence::Given(_) if pass > 0 => return Ok(None),
            Sequence::Files => {
                let end = u32::try_from(parts).map_err(|_| bad("too many parts".to_owned()))?;
                return Ok(Some((0..end).collect()));
            }
            Sequence::Given(list) => list.to_vec(),
            Sequence::Passes(order) => order(pass),
        };
        if list.is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        let mut seen = HashSet::with_capacity(list.len());
        for &part in &list {
            if part as usize >= parts {
                return Err(bad(format!("there is no part {part}")));
            }
            if !seen.insert(part) {
                return Err(bad(format!("part {part} comes twice")));
            }
        }
        Ok(Some(list))
    }
}

impl Iterator for Cursor {
    type Item = Result<Turn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let turn = self.peek();
        match &turn {
            Ok(Some(_)) => self.at += 1,
            Ok(None) => {}
            Err(_) => self.failed = true,
        }
        turn.transpose()
    }
}
