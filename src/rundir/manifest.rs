//! `manifest.json`: how a result was made.

use crate::events::{FileRecord, Losses, in_blocks};
use crate::files::regular;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It is under way, or was killed.
    Running,
    /// It was asked to stop.
    Interrupted,
    /// It has its result, from fewer members than were asked for.
    Partial,
    /// It has its result.
    Complete,
}

/// Versions of everything that computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// This program.
    pub sideband: String,
    /// Its source, if it was built from a git checkout.
    pub git_revision: Option<String>,
    /// The tensor library.
    pub burn: String,
    /// Operating system and processor family.
    pub platform: String,
}

impl VersionRecord {
    /// The versions in this program.
    #[must_use]
    pub fn current() -> Self {
        Self {
            sideband: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: option_env!("SIDEBAND_GIT_REVISION").map(ToOwned::to_owned),
            burn: "0.22.1".to_owned(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// What computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Name of the device.
    pub name: String,
    /// Training threads.
    pub threads: usize,
    /// Instruction set of the CPU's matrix products.
    pub cpu_kernel: String,
}

/// Files by the configuration's key, such as `observed` and `samples.NAME`.
pub(crate) type InputFiles = BTreeMap<String, Vec<FileRecord>>;

/// Files that are others than those of an earlier result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputChange {
    /// The configuration's key.
    pub key: String,
    /// When it was noticed, UTC, ISO 8601.
    pub at: String,
    /// The files of the earlier result.
    pub before: Vec<FileRecord>,
}

/// Input files of both samples, or those of a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInputs {
    pub source: Vec<FileRecord>,
    pub target: Vec<FileRecord>,
    /// Built-in columns that were computed, where other files may have columns of these
    /// names; none in a run of an earlier program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<Vec<String>>,
    /// Of a measurement: all that its result depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: InputFiles,
    /// Of a measurement: what changed between its results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<InputChange>,
}

/// A file that was derived from the members, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Size.
    pub bytes: u64,
    /// CRC-32 of the content (of zip and PNG): finds damage, not malice.
    pub crc32: u32,
}

impl OutputRecord {
    /// The record of a regular file.
    ///
    /// # Errors
    /// What the file system said, or that it is no regular file.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut hasher = crc32fast::Hasher::new();
        let bytes = in_blocks(regular::open(path)?, |block| hasher.update(block))?;
        Ok(Self {
            bytes,
            crc32: hasher.finalize(),
        })
    }
}

/// The whole of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the run directory.
    pub format: u32,
    /// How far the run has come.
    pub state: RunState,
    /// Seed of every random number.
    pub seed: u64,
    /// Whether blind regions were open.
    pub unblind: bool,
    /// Folder in which the run was started.
    #[serde(default)]
    pub base: Option<String>,
    /// Folder of the configuration as it was named there, from which relative data paths
    /// start; `base` itself if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Versions of everything that computes.
    pub versions: VersionRecord,
    /// What computed.
    pub device: DeviceRecord,
    /// Input files.
    pub inputs: RunInputs,
    /// Events of each sample that are missing somewhere, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Losses>,
    /// Numbers of the usable members.
    pub members: Vec<u32>,
    /// Numbers of the members that failed.
    pub failed: Vec<u32>,
    /// Names of the ensembles, each with a directory of its own, if there is a
    /// matrix of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ensembles: Vec<String>,
    /// Files of the result, by their path in the directory; empty in a run of an
    /// earlier program, and until there is a result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputRecord>,
    /// What the numbers of the result depend on, a line a key; empty in a run of an earlier
    /// program, and until there is a result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// When the run was started (last), UTC, ISO 8601.
    pub started: String,
    /// When it ended, UTC, ISO 8601.
    pub finished: Option<String>,
    /// Wall time of the last start to its end, s.
    pub wall_seconds: f64,
}
