//! The run directory: the only state of a run.
//!
//! | path | what |
//! |---|---|
//! | `config.toml` | the configuration as resolved |
//! | `manifest.json` | how the result was made ([`Manifest`]) |
//! | `members/member_NNNN.safetensors` | one trained member a file; never changes |
//! | `checkpoints/` | members in training, while they are |
//! | `predictions/source.parquet` | weights of every source event |
//! | `metrics.json` | every number of the result |
//! | `plots/` | the figures, SVG, PNG and PDF, and their numbers as JSON |
//! | `report.html` | the report, self-contained |
//! | `log.jsonl` | what happened when, a JSON object a line |
//! | `claims/` | which blocks of members a worker has taken ([`Claims`]) |
//! | `workers/` | what each worker does at present ([`WorkerStatus`]) |
//! | `batch/` | scripts and outputs of a batch system's jobs |
//! | `mixing/` | the sets of mixed events, with what they were mixed with |
//! | `aside/` | members above the present number; taken back when it grows |
//!
//! With a matrix, each ensemble has a directory of its own under `ensembles/`,
//! and the run's own holds `config.toml` with the matrix, `manifest.json`,
//! `log.jsonl`, `claims/` and `workers/`.
//!
//! Every file is written under a temporary name and renamed. Members are the
//! only costly ones; all others are derived from them and can be redone.
//!
//! A run directory may be somebody else's: only regular files are opened, and
//! nothing is written through a symbolic link ([`regular`](crate::files::regular)).

mod claims;
mod directory;
mod log;
mod manifest;
mod outputs;
mod progress;
mod workers;

pub(crate) use claims::{Claim, Claims, holders};
pub use directory::RunDirectory;
pub(crate) use log::RunLog;
pub(crate) use log::now;
pub use manifest::Manifest;
pub(crate) use manifest::{
    DeviceRecord, InputChange, InputFiles, OutputRecord, RunInputs, RunState, VersionRecord,
};
pub(crate) use progress::{Progress, Stage, duration};
pub(crate) use workers::{StackStatus, WorkerFile, WorkerStatus, read_all as read_workers};
