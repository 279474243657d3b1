//! Event files into arrays.
//!
//! [`Dataset`] opens Parquet, Arrow IPC and ROOT files. A [`Resolver`] turns texts
//! such as `in_cr1 && x_wt > 1.5` into [`Compiled`] expressions over their
//! columns, the user's definitions and the [`BUILTINS`], which may be made of [`Jets`].
//! [`Dataset::scan`] then
//! makes one pass over the files and returns an [`EventTable`]: features,
//! weights, regions and event keys, ready for training. [`Dataset::stream`] gives
//! the same events in chunks, for files that are larger than the memory.
//! [`summarise`] looks at columns, [`Dataset::digest`] fingerprints files.
//!
//! Files are not trusted: corrupt, truncated or absurd ones end in a
//! [`Error`](crate::error::Error). Where a decoder panics on one, the panic is caught, though
//! the standard hook has then printed a line.

mod arrays;
mod candidates;
mod chunk;
mod dataset;
mod definitions;
mod file;
mod glob;
mod ipc;
mod jet_lists;
mod jets;
mod lost;
pub(crate) mod memory;
mod parquet;
mod part;
mod pass;
mod root;
mod scale;
mod scan;
mod stream;
mod summary;
mod table;
mod take;
mod thrift;

#[cfg(test)]
mod tests;

pub(crate) use chunk::{ColumnChunk, ColumnInfo};
pub use dataset::Dataset;
pub(crate) use dataset::{FileRecord, in_blocks, same_contents};
pub(crate) use definitions::{BUILTINS, builtin_names};
pub use definitions::{Compiled, Resolver};
pub(crate) use file::tables;
pub(crate) use glob::{found, within};
pub(crate) use jet_lists::ListedJet;
pub use jets::Jets;
pub use lost::LossKind;
pub(crate) use lost::{Loss, Losses};
pub(crate) use root::TableSummary;
pub(crate) use scale::Scale;
pub(crate) use scan::{Category, HIDDEN, HIDDEN_IN_WATCHED, LACKS, OnMissing};
pub use scan::{Hidden, ScanRequest};
pub(crate) use stream::{EventStream, PartOrder, StreamOptions, StreamPosition};
pub(crate) use summary::{ColumnSummary, summarise};
pub use table::EventTable;
pub(crate) use table::{IdColumn, IdSpec, ScanReport};
