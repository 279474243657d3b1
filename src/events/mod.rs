//! Event files into arrays.
//!
//! [`Dataset`] opens Parquet and Arrow IPC files. A [`Resolver`] turns texts
//! such as `in_cr1 && x_wt > 1.5` into [`Compiled`] expressions over their
//! columns, the user's definitions and the [`BUILTINS`]. [`Dataset::scan`] then
//! makes one pass over the files and returns an [`EventTable`]: features,
//! weights, regions and event keys, ready for training. [`Dataset::stream`] gives
//! the same events in chunks, for files that are larger than the memory.
//! [`summarise`] looks at columns, [`Dataset::digest`] fingerprints files.
//!
//! Files are not trusted: corrupt, truncated or absurd ones end in a
//! [`DataError`]. Where a decoder panics on one, the panic is caught, though
//! the standard hook has then printed a line.

mod arrays;
mod builtins;
mod chunk;
mod convert;
mod dataset;
mod definitions;
mod digest;
mod error;
mod file;
mod glob;
mod hidden;
mod ids;
mod ipc;
mod losses;
pub(crate) mod memory;
mod parquet;
mod pass;
mod scan;
mod stream;
mod summary;
mod table;
mod take;

#[cfg(test)]
mod sample_files;
#[cfg(test)]
mod tests;

pub use builtins::{BUILTINS, Builtin};
pub use chunk::ColumnChunk;
pub use dataset::{ColumnInfo, Dataset};
pub use definitions::{Compiled, MAX_LAYERS, Resolver};
pub use digest::FileRecord;
pub use error::DataError;
pub use hidden::{HIDDEN, HIDDEN_IN_WATCHED, Hidden};
pub use ids::{IdColumn, IdSpec, Ids, event_key};
pub use losses::{Loss, LossKind, Losses};
pub use scan::{Category, LACKS, MAX_FLAGS, OnMissing, ScanRequest};
pub use stream::{EventStream, PartOrder, StreamOptions, StreamPosition};
pub use summary::{ColumnSummary, summarise};
pub use table::{EventTable, ScanReport};
