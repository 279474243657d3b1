//! Tables of equal length, cut from a stream.

use super::super::error::DataError;
use super::super::table::EventTable;
use super::{EventStream, StreamPosition};

/// The events of a stream in tables of exactly so many events, across parts and
/// passes; the last one of a finite stream is shorter. Holds one window and one
/// chunk beside what the stream holds.
///
/// A chunk is counted in the report of the window that its first event is in;
/// `rows_selected` is the length of the window. An error ends the windows as it
/// ends the stream; a window that was not full by then is not delivered.
#[derive(Debug)]
pub struct WindowStream {
    stream: EventStream,
    rows: usize,
    /// The last chunk, of which `taken` events are used.
    chunk: EventTable,
    taken: usize,
}

impl WindowStream {
    pub(super) fn new(stream: EventStream, rows: usize) -> Self {
        Self {
            stream,
            rows: rows.max(1),
            chunk: EventTable::default(),
            taken: 0,
        }
    }

    /// Where the first event of the next window is;
    /// [`PartOrder::starting_at`](super::PartOrder::starting_at) continues there.
    pub fn position(&self) -> StreamPosition {
        let mut position = self.stream.chunk_start;
        if self.taken == self.chunk.len() {
            return self.stream.position();
        }
        position.event += self.taken as u64;
        position
    }

    /// Rows read so far; see [`EventStream::rows_read`].
    pub fn rows_read(&self) -> u64 {
        self.stream.rows_read()
    }
}

impl Iterator for WindowStream {
    type Item = Result<EventTable, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut window = EventTable::default();
        loop {
            let left = self.chunk.len() - self.taken;
            let end = self.taken + left.min(self.rows - window.len());
            window.append_range(&self.chunk, self.taken..end);
            self.taken = end;
            if window.len() == self.rows {
                break;
            }
            // Not before the chunk is used up: its memory is free then.
            (self.chunk, self.taken) = (EventTable::default(), 0);
            match self.stream.next() {
                Some(Ok(chunk)) => {
                    window.report.merge(&chunk.report);
                    self.chunk = chunk;
                }
                Some(Err(error)) => return Some(Err(error)),
                None if window.is_empty() => return None,
                None => break,
            }
        }
        window.report.rows_selected = window.len() as u64;
        Some(Ok(window))
    }
}

impl std::iter::FusedIterator for WindowStream {}
