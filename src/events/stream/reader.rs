//! A thread that reads its share of the parts into its queue.

use crate::error::{Error, Kind, Result};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use arrow::record_batch::RecordBatch;

use super::super::arrays::{Arrays, Counts};
use super::super::dataset::Dataset;
use super::super::scan::{OnMissing, Plan, ScanRequest};
use super::super::table::EventTable;
use super::Shared;
use super::order::{Cursor, Turn};

/// What a thread hands over.
pub(super) type Message = Result<Chunk>;

/// Some of the events of a part. Every part has at least one chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) table: EventTable,
    /// Whether it is the last chunk of its part.
    pub(super) ends_part: bool,
    /// Whether it is the last chunk of the last part of a pass.
    pub(super) ends_pass: bool,
}

/// A chunk in the making.
struct Piece {
    arrays: Arrays,
    counts: Counts,
}

pub(super) struct Reader {
    pub(super) dataset: Arc<Dataset>,
    pub(super) request: Arc<ScanRequest>,
    pub(super) cursor: Cursor,
    /// Which of the `threads` this is.
    pub(super) turn: usize,
    pub(super) threads: usize,
    pub(super) chunk_rows: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) sender: SyncSender<Message>,
}

/// Nobody wants the events any more, and nobody reads this either.
fn unwanted() -> Error {
    Error::new(Kind::Interrupted, "reading ahead was stopped")
}

impl Reader {
    pub(super) fn run(self) {
        if let Err(error) = self.read() {
            // Where the consumer has gone, the error does not matter.
            let _ = self.sender.send(Err(error));
        }
    }

    fn read(&self) -> Result<()> {
        let plan = Plan::new(&self.dataset, &self.request)?;
        for (place, turn) in self.cursor.clone().enumerate() {
            if place % self.threads == self.turn {
                self.read_part(&plan, turn?)?;
            }
        }
        Ok(())
    }

    fn read_part(&self, plan: &Plan<'_>, turn: Turn) -> Result<()> {
        let rows = usize::try_from(turn.job.part.rows).unwrap_or(usize::MAX);
        let new_piece = || -> Result<Piece> {
            Ok(Piece {
                arrays: Arrays::new(&self.request, rows.min(self.chunk_rows))?,
                counts: Counts::new(&self.request),
            })
        };
        let mut piece = new_piece()?;
        plan.read(turn.job, |batch, first_row| {
            for start in (0..batch.num_rows()).step_by(self.chunk_rows) {
                if self.shared.stop.load(Ordering::Relaxed) {
                    return Err(unwanted());
                }
                let rows = self.chunk_rows.min(batch.num_rows() - start);
                if piece.counts.events + rows > piece.arrays.room() {
                    let full = mem::replace(&mut piece, new_piece()?);
                    self.send(plan, full, false, false)?;
                }
                let slice = batch.slice(start, rows);
                self.take(plan, &mut piece, turn, &slice, first_row + start as u64)?;
            }
            Ok(())
        })?;
        self.send(plan, piece, true, turn.ends_pass)
    }

    fn take(
        &self,
        plan: &Plan<'_>,
        piece: &mut Piece,
        turn: Turn,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<()> {
        let Piece { arrays, counts } = piece;
        let mut room = arrays.room_from(counts.events);
        plan.take(&mut room, counts, turn.job.file, batch, first_row)?;
        let rows = batch.num_rows() as u64;
        self.shared.rows_read.fetch_add(rows, Ordering::Relaxed);
        match counts.first_missing(&self.request) {
            Some((what, file, row)) if self.request.on_missing == OnMissing::Error => {
                let path = self.dataset.event_files()[file].path.display();
                Err(Error::data(format!(
                    "{what} on the selected row {row} of {path}; select such rows away, or set \
                     data.on_missing = \"drop\" to leave them out and count them"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Hands a chunk over, and waits until there is room for it.
    fn send(&self, plan: &Plan<'_>, piece: Piece, ends_part: bool, ends_pass: bool) -> Result<()> {
        let chunk = Chunk {
            table: plan.table(piece.arrays, &piece.counts),
            ends_part,
            ends_pass,
        };
        self.sender.send(Ok(chunk)).map_err(|_| unwanted())
    }
}
