//! Data larger than memory: the events of a scan in chunks, read ahead.
//!
//! A few threads read the parts of the files in turns: thread `t` of `T` reads
//! the parts at places `t`, `t + T`, ... of the order, and has a queue of its
//! own. The consumer empties the queues in the same turns. So the sequence of
//! events is that of the order, whoever is faster; a full queue stops its
//! thread; and no thread ever waits for another, which could lock up.
//!
//! Passes follow each other without a gap: while the consumer is at the end of
//! one, the threads read the beginning of the next.

mod order;

use crate::error::{Context, Error, Kind, Result};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use arrow::record_batch::RecordBatch;

use super::arrays::{EventArrays, ScanCounts};
use super::dataset::Dataset;
use super::file::reason;
use super::scan::{OnMissing, ScanPlan, ScanRequest};
use super::table::EventTable;

use order::{Cursor, Turn};

const AHEAD: &str = "reading ahead failed";

pub(crate) use order::{PartOrder, StreamPosition};

/// How much is read ahead. None of it changes the sequence of events.
///
/// At most `buffers * chunk_rows` events are decoded and not yet taken by the
/// consumer, who holds one more chunk. A thread needs, beside that, the pages
/// of the columns that it is reading and a batch of at most 8192 rows. An
/// Arrow record batch is only read whole, whatever its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Most events in one chunk; at least 1.
    pub chunk_rows: usize,
    /// Most chunks that exist before the consumer has taken them, waiting or in
    /// the making; shared out among the threads, at least one for each. A part
    /// has up to 131 072 rows: with less room than that, a thread cannot
    /// finish its part before its turn, and the threads no longer help.
    pub buffers: usize,
    /// Threads that read; at least 1, at most `buffers`.
    pub threads: usize,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            chunk_rows: 65_536,
            buffers: 8,
            threads: 2,
        }
    }
}

/// The events of a request in chunks; see [`Dataset::stream`].
///
/// An error comes at its place in the sequence and is the last item; events
/// before it in its own chunk are not delivered.
#[derive(Debug)]
pub struct EventStream {
    /// One queue a thread; none when the stream has ended.
    queues: Vec<Receiver<Message>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// The queue whose turn it is.
    turn: usize,
    endless: bool,
    /// Events that are still to be thrown away.
    skip: u64,
    /// Behind the last chunk that came out of a queue.
    position: StreamPosition,
    /// The first event of the last chunk that was handed out.
    chunk_start: StreamPosition,
}

/// What the consumer and the threads both see.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    rows_read: AtomicU64,
}

impl Dataset {
    /// The events that `request` asks for, chunk by chunk, read ahead by
    /// threads that start now and end with the stream. Which events there are,
    /// and in what order, depends on the files, `request` and `order` only.
    ///
    /// A chunk never reaches over the end of a part, and can be empty: its
    /// report still tells what was read for it. Unlike in a scan, duplicate ids
    /// are not counted, which would need all keys in memory; and
    /// [`OnMissing::Error`](super::OnMissing::Error) ends the stream at the
    /// first row that lacks a feature.
    ///
    /// # Errors
    ///
    /// What can be seen without reading events: a request that does not fit the
    /// files, a wrong order in the first pass, threads that do not start.
    pub fn stream(
        self: &Arc<Self>,
        request: &Arc<ScanRequest>,
        order: &PartOrder,
        options: StreamOptions,
    ) -> Result<EventStream> {
        ScanPlan::new(self, request)?;
        let mut cursor = Cursor::new(order, self.jobs())?;
        let (position, skip) = cursor.start(order.position(), request.takes_every_row())?;
        let chunk_rows = options.chunk_rows.max(1);
        let buffers = options.buffers.max(1);
        let threads = options.threads.clamp(1, buffers);
        let mut stream = EventStream {
            queues: Vec::with_capacity(threads),
            threads: Vec::with_capacity(threads),
            shared: Arc::default(),
            turn: 0,
            endless: order.is_endless(),
            skip,
            position,
            chunk_start: position,
        };
        for turn in 0..threads {
            let share = buffers / threads + usize::from(turn < buffers % threads);
            // One chunk of the share is in the making.
            let (sender, queue) = sync_channel(share - 1);
            let reader = Reader {
                dataset: Arc::clone(self),
                request: Arc::clone(request),
                cursor: cursor.clone(),
                turn,
                threads,
                chunk_rows,
                shared: Arc::clone(&stream.shared),
                sender,
            };
            let thread = Builder::new()
                .name(format!("read-{turn}"))
                .spawn(move || reader.run())
                .at(Kind::Data, AHEAD)?;
            stream.queues.push(queue);
            stream.threads.push(thread);
        }
        Ok(stream)
    }
}

impl EventStream {
    /// Where the next event is; [`PartOrder::starting_at`] continues there.
    pub fn position(&self) -> StreamPosition {
        StreamPosition {
            pass: self.position.pass,
            event: self.position.event + self.skip,
        }
    }

    /// Rows that the threads have read so far, wanted or not; ahead of what has
    /// been handed out. For a progress bar.
    pub fn rows_read(&self) -> u64 {
        self.shared.rows_read.load(Ordering::Relaxed)
    }

    /// Ends all threads and waits for them; the first panic among them.
    fn end(&mut self) -> Option<Error> {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes those who wait for room.
        self.queues.clear();
        let ended = self.threads.drain(..).map(JoinHandle::join);
        let panics: Vec<_> = ended.filter_map(Result::err).collect();
        let panic = panics.first()?;
        Some(Error::data(reason(panic.as_ref())).at(AHEAD))
    }
}

impl Iterator for EventStream {
    type Item = Result<EventTable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let chunk = match self.queues.get(self.turn)?.recv() {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => {
                    self.end();
                    return Some(Err(error));
                }
                // The thread whose turn it is has no part left, or panicked.
                Err(_) => return self.end().map(Err),
            };
            if chunk.ends_part {
                self.turn = (self.turn + 1) % self.queues.len();
            }
            let rows = chunk.table.len() as u64;
            let skipped = rows.min(self.skip);
            let unwanted = self.skip > 0 && skipped == rows;
            self.skip -= skipped;
            self.chunk_start = self.position;
            self.chunk_start.event += skipped;
            self.position.event += rows;
            if chunk.ends_pass {
                let pass = self.position.pass;
                if self.endless && self.position.event == 0 {
                    self.end();
                    let text = format!("no event is selected in pass {pass} over the files");
                    return Some(Err(Error::data(text)));
                }
                self.position = StreamPosition {
                    pass: pass + 1,
                    event: 0,
                };
            }
            if !unwanted {
                // At most the length of the chunk, which is a usize.
                return Some(Ok(chunk.table.without_first(skipped as usize)));
            }
        }
    }
}

impl std::iter::FusedIterator for EventStream {}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.end();
    }
}

type Message = Result<StreamChunk>;

/// Some of the events of a part. Every part has at least one chunk.
#[derive(Debug)]
struct StreamChunk {
    table: EventTable,
    ends_part: bool,
    ends_pass: bool,
}

struct Piece {
    arrays: EventArrays,
    counts: ScanCounts,
}

/// A thread that reads its share of the parts into its queue.
struct Reader {
    dataset: Arc<Dataset>,
    request: Arc<ScanRequest>,
    cursor: Cursor,
    /// Which of the `threads` this is.
    turn: usize,
    threads: usize,
    chunk_rows: usize,
    shared: Arc<Shared>,
    sender: SyncSender<Message>,
}

/// Nobody wants the events any more, and nobody reads this either.
fn unwanted() -> Error {
    Error::new(Kind::Interrupted, "reading ahead was stopped")
}

impl Reader {
    fn run(self) {
        if let Err(error) = self.read() {
            // Where the consumer has gone, the error does not matter.
            let _ = self.sender.send(Err(error));
        }
    }

    fn read(&self) -> Result<()> {
        let plan = ScanPlan::new(&self.dataset, &self.request)?;
        for (place, turn) in self.cursor.clone().enumerate() {
            if place % self.threads == self.turn {
                self.read_part(&plan, turn?)?;
            }
        }
        Ok(())
    }

    fn read_part(&self, plan: &ScanPlan<'_>, turn: Turn) -> Result<()> {
        let rows = usize::try_from(turn.job.part.rows).unwrap_or(usize::MAX);
        let new_piece = || -> Result<Piece> {
            Ok(Piece {
                arrays: EventArrays::new(&self.request, rows.min(self.chunk_rows))?,
                counts: ScanCounts::default(),
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
        plan: &ScanPlan<'_>,
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
    fn send(
        &self,
        plan: &ScanPlan<'_>,
        piece: Piece,
        ends_part: bool,
        ends_pass: bool,
    ) -> Result<()> {
        let chunk = StreamChunk {
            table: piece.arrays.into_table(plan, &piece.counts),
            ends_part,
            ends_pass,
        };
        self.sender.send(Ok(chunk)).map_err(|_| unwanted())
    }
}
