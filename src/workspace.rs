//! HistFactory workspaces as pyhf has them: what `fit`, `limit`, `scan`, `impacts` and `combine` do with
//! one. The likelihood and its statistics are `sideband_likelihood`'s; here files are read, patches
//! applied, and results become records.
//!
//! ```text
//! Source (file or standard input, gzip) -> document (JSON, bounded) -> patches (RFC 6902, digests)
//!     -> Opened (measurement, parameter of interest, fixed parameters) -> records, tables, figures
//! ```
//!
//! Nothing of it is trusted: sizes are bounded before room is made for them, and an error names the file,
//! and in it the channel, sample and modifier, the parameter or the operation of a patch.

mod source;

mod digest;
mod document;
mod patch;
mod patch_set;

mod contents;

mod brought;
mod opened;

mod head;
mod outputs;
mod prediction;

mod fit;
mod groups;
mod limit;
mod scan;
mod toy_limit;

mod impacts;

mod all_patches;

mod grid;

mod published;
mod written;

mod combine;
mod summary;

pub(crate) use all_patches::{PlaneRecord, failures};
pub(crate) use combine::{CombineRequest, combined};
pub(crate) use fit::{FitRecord, FitRequest, FittedParameter};
pub(crate) use grid::Grid;
pub(crate) use groups::Grouping;
pub(crate) use impacts::{ImpactsKind, ImpactsRecord, ImpactsRequest};
pub(crate) use limit::{ClsPoint, Curve, LimitRecord, LimitRequest, Statistic};
pub(crate) use opened::{Base, Opened, PatchRequest, Request};
pub(crate) use patch_set::words as values_in_words;
pub(crate) use scan::{IntervalSet, ScanRecord, ScanRequest};
pub(crate) use summary::{
    ParameterSummary, PatchSetSummary, PatchSummary, Summary, WorkspaceSummary, is_document,
    summary,
};
pub(crate) use toy_limit::{Counted, ToyRecord, ToyRequest, limits_by_toys};
