//! Workspaces of pyhf (HistFactory JSON, schema 1.0.0): read and written.
//!
//! A workspace comes from elsewhere and is not trusted: its size is bounded before
//! it is parsed, unknown words are refused, and an error names the channel, sample
//! and modifier. Heinrich et al., J. Open Source Softw. 6 (2021) 2823; the meaning
//! of the modifiers is that of pyhf 0.7.
//!
//! Differences to pyhf: what it drops silently (a modifier named twice in a sample,
//! an observation without channel) is an error here.

mod combine;
mod compare;
mod export;
mod import;
mod schema;
mod sets;
#[cfg(test)]
mod tests;

pub use combine::{CombineSettings, Combined, Join, Part, combine};
pub use compare::compare;
pub use export::{ReferencePoint, Settings, export, reference};
pub use import::{ImportOptions, Imported, Limits, Poi, import, import_value, read};
