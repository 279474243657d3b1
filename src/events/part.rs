//! What the readers of all formats have in common: the parts of a file that are read by
//! themselves, and what is wrong with a file.

use std::fs::File;
use std::path::Path;

use arrow::datatypes::SchemaRef;

/// Rows handled at once: columns of this length stay in the processor's cache
/// while an expression is evaluated on them.
pub(super) const BATCH_ROWS: usize = 8192;

/// Rows of a file or table, at most: a row's number has as many bits in an event's place.
pub(super) const ALL_ROWS: u64 = 1 << 40;

/// The place behind `rows` more rows, if a file can have so many.
pub(super) fn behind(first_row: u64, rows: u64) -> Option<u64> {
    first_row
        .checked_add(rows)
        .filter(|&behind| behind <= ALL_ROWS)
}

/// A contiguous range of rows that is read by one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Place of the first row in the file.
    pub(super) first_row: u64,
    pub(super) rows: u64,
    /// Row group (Parquet) or record batch (Arrow) that holds the rows.
    pub(super) group: usize,
    /// Place of the first row in the group.
    pub(super) offset: u64,
}

/// What is known of a file by its format, its schema and its parts.
pub(super) type Opened<T> = (T, SchemaRef, Vec<Part>);

/// What a decoder reports; the path is added behind it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn at(place: impl Into<String>, message: impl ToString) -> Self {
        Self {
            place: place.into(),
            message: message.to_string(),
        }
    }
}

/// Opens a file to be read again later; the file may have changed meanwhile.
pub(super) fn reopen(path: &Path) -> Result<File, Fault> {
    File::open(path).map_err(|error| Fault::at("file", error))
}
