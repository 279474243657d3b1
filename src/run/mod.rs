//! The run directory: the only state of a run.
//!
//! | path | what |
//! |---|---|
//! | `config.toml` | the configuration as resolved |
//! | `manifest.json` | how the result was made ([`Manifest`]) |
//! | `members/member_NNNN.safetensors` | one trained member a file; never changes |
//! | `predictions/source.parquet` | weights of every source event |
//! | `metrics.json` | every number of the result |
//! | `plots/` | the figures, SVG and PNG |
//! | `report.html` | the report, self-contained |
//! | `log.jsonl` | what happened when, a JSON object a line |
//!
//! Every file is written under a temporary name and renamed. Members are the
//! only costly ones; all others are derived from them and can be redone.

pub mod atomic;
mod directory;
mod log;
mod manifest;
mod progress;

pub use directory::{DirectoryError, RunDirectory};
pub use log::RunLog;
pub(crate) use log::now;
pub use manifest::{DeviceRecord, Inputs, Manifest, State, VersionRecord};
pub use progress::Progress;
