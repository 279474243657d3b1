//! Everything that can go wrong between a file's name and an array.

use std::path::PathBuf;

use sideband_numerics::expression::ExpressionError;

/// Why events could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    /// An expression that cannot be parsed, or uses what is not there.
    #[error("{context}: {error}")]
    Expression {
        /// Which expression: `definition "x"`, `selection`, ...
        context: String,
        /// What is wrong in it, and where. Part of the message, so not a source too.
        error: ExpressionError,
    },
    /// An integer that would be rounded, or arithmetic beyond all integers.
    #[error("{error}")]
    Integer {
        /// Which, on which row, and where in the expression.
        error: ExpressionError,
    },
    /// Definitions that need each other.
    #[error("definitions go round in a circle: {}", .path.join(" -> "))]
    Cycle {
        /// The names along the circle; the first is repeated at the end.
        path: Vec<String>,
    },
    /// Definitions upon definitions without end.
    #[error("definition `{name}` rests on more than {limit} layers of other definitions")]
    TooDeep { name: String, limit: usize },
    /// A definition whose name is a column of the file.
    #[error(
        "`{name}` is defined in the configuration and is also a column of the data; \
         give the definition another name"
    )]
    Ambiguous { name: String },
    /// A definition whose name cannot be written in an expression.
    #[error(
        "`{name}` is no name for a definition; use letters, digits, `_` and `.`, and no digit first"
    )]
    BadName { name: String },
    /// A glob that is none.
    #[error("`{pattern}` is not a valid file pattern: {source}")]
    BadPattern {
        pattern: String,
        source: ::glob::PatternError,
    },
    /// A glob without files.
    #[error("no file matches `{pattern}` (looked in {})", .base.display())]
    NoMatch { pattern: String, base: PathBuf },
    /// A glob that goes too far.
    #[error("`{pattern}` leads to more than {limit} {what}; name them more closely")]
    TooManyFiles {
        pattern: String,
        what: &'static str,
        limit: usize,
    },
    /// No patterns at all.
    #[error("no file is named; give at least one path or pattern")]
    NoPatterns,
    /// A path that does not exist.
    #[error("{}: no such file", .path.display())]
    NotFound { path: PathBuf },
    /// A directory, pipe or device.
    #[error("{}: not a regular file{hint}", .path.display())]
    NotAFile { path: PathBuf, hint: String },
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
        source: std::io::Error,
    },
    /// Neither Parquet nor Arrow.
    #[error("{}: neither Parquet nor Arrow IPC; {found}", .path.display())]
    UnknownFormat {
        path: PathBuf,
        /// The first bytes and, where known, what they mean.
        found: String,
    },
    /// A file whose content contradicts itself or is cut off.
    #[error("{}: corrupt or truncated at {place}: {message}", .path.display())]
    Corrupt {
        path: PathBuf,
        /// Which part: `footer`, `row group 3`, ...
        place: String,
        message: String,
    },
    /// No rows in any file.
    #[error("no rows in {}", .paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoRows { paths: Vec<PathBuf> },
    /// A schema with two columns of one name.
    #[error("{}: two columns are called `{name}`", .path.display())]
    DuplicateColumn { path: PathBuf, name: String },
    /// A file that differs from the first in a column that is needed.
    #[error("{}: column `{column}`: expected {expected}, found {found}", .path.display())]
    SchemaMismatch {
        path: PathBuf,
        column: String,
        /// What is needed, or what the first file has.
        expected: String,
        found: String,
    },
    /// Selected rows without a usable value of a feature, category or observable.
    #[error(
        "{what} on {rows} of the selected rows, first on row {row} of {}{others}; \
         select such rows away, or set data.on_missing = \"drop\" to leave them out and count them",
        .path.display()
    )]
    Missing {
        /// What the first such column lacks, in the order of the request.
        what: String,
        rows: u64,
        path: PathBuf,
        /// Its row in that file, from 0.
        row: u64,
        /// The other such columns, or nothing.
        others: String,
    },
    /// The same in a stream, which cannot count rows that it has not read yet.
    #[error(
        "{what} on the selected row {row} of {}; \
         select such rows away, or set data.on_missing = \"drop\" to leave them out and count them",
        .path.display()
    )]
    MissingOnRow {
        /// What the first such column lacks, in the order of the request.
        what: String,
        path: PathBuf,
        /// The row in the file, from 0.
        row: u64,
    },
    /// A weight that is no number.
    #[error("{}: row {row}: the weight is {value}; weights must be finite", .path.display())]
    BadWeight {
        path: PathBuf,
        /// The row in the file, from 0.
        row: u64,
        value: f64,
    },
    /// An event id that is missing.
    #[error("{}: row {row}: id column `{column}` is null", .path.display())]
    BadId {
        path: PathBuf,
        /// The row in the file, from 0.
        row: u64,
        column: String,
    },
    /// An id made of no columns.
    #[error("the event id needs at least one column; without any, identify events by file and row")]
    NoIdColumns,
    /// An order of parts that names what is not there, or the same twice.
    #[error("pass {pass} has a wrong order of the {parts} parts of the files: {what}")]
    BadOrder {
        pass: u64,
        parts: usize,
        what: String,
    },
    /// A pass of an endless stream without any event: the next would have none either.
    #[error("no event is selected in pass {pass} over the files")]
    NothingSelected { pass: u64 },
    /// The threads that read ahead.
    #[error("reading ahead failed: {source}")]
    Threads {
        /// What the system says, or a panic.
        source: std::io::Error,
    },
    /// The events would not fit in the memory.
    #[error(
        "there is no memory for {rows} events: {source}; select fewer, or read them as a stream \
         ([data.stream])"
    )]
    NoRoom {
        /// Events there must be room for, selected or not.
        rows: usize,
        source: std::collections::TryReserveError,
    },
    /// A part of a file would not fit in the memory.
    #[error(
        "{}: there is no memory for a column of {bytes} bytes: {source}; write the file with \
         shorter row groups",
        .path.display()
    )]
    NoMemory {
        path: PathBuf,
        /// Bytes of the column in a row group, unpacked.
        bytes: usize,
        source: std::collections::TryReserveError,
    },
    /// More regions than bits.
    #[error("{found} regions, at most {limit} are possible")]
    TooManyFlags { found: usize, limit: usize },
    /// A column that a chunk was made without.
    #[error("column `{column}` of `{expression}` is not in the chunk of rows it is evaluated on")]
    NotInChunk { column: String, expression: String },
    /// Columns of different lengths in one chunk.
    #[error("column `{column}` has {found} rows in a chunk of {expected}")]
    ChunkLength {
        column: String,
        found: usize,
        expected: usize,
    },
}
