//! Fingerprints of the input files, so that a result can say what it was made of.

use crate::error::Result;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::dataset::Dataset;
use super::file::cannot;

/// Bytes hashed at once.
const BLOCK: usize = 1 << 18;
/// Age of a file's last change above which its time tells it from a later one.
const SETTLED: Duration = Duration::from_secs(2);

/// One input file as a result remembers it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileRecord {
    /// The path as it was opened.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// Number of rows; none where it would tell how many events are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: String,
}

impl Dataset {
    /// Reads every file once and fingerprints it; in the order of the files.
    pub fn digest(&self) -> Result<Vec<FileRecord>> {
        let record = |file: &super::file::EventFile| {
            let (sha256, bytes) = sha256(&file.path).map_err(cannot("read", &file.path))?;
            if bytes != file.bytes {
                let message = format!(
                    "it had {} bytes when opened and has {bytes} now",
                    file.bytes
                );
                return Err(file.corrupt("end", message));
            }
            Ok(FileRecord {
                path: file.path.display().to_string(),
                bytes,
                rows: Some(file.rows),
                sha256,
            })
        };
        self.event_files().par_iter().map(record).collect()
    }
}

/// Path, bytes and time of the last change of a file.
type Stamp = (PathBuf, u64, SystemTime);

/// Digests of files that were read before: a run reads its samples many times.
static KNOWN: Mutex<BTreeMap<Stamp, String>> = Mutex::new(BTreeMap::new());

/// What tells a file from a changed one; none for one that was changed just now, whose
/// next change may come at the same tick of the clock.
fn stamp(path: &Path, file: &File) -> Option<Stamp> {
    let about = file.metadata().ok()?;
    let modified = about.modified().ok()?;
    let is_settled = modified.elapsed().is_ok_and(|age| age > SETTLED);
    let path = std::path::absolute(path).ok()?;
    is_settled.then_some((path, about.len(), modified))
}

fn sha256(path: &Path) -> std::io::Result<(String, u64)> {
    let file = File::open(path)?;
    let stamp = stamp(path, &file);
    if let Some(stamp) = &stamp
        && let Some(known) = lock(&KNOWN).get(stamp)
    {
        return Ok((known.clone(), stamp.1));
    }
    let found = read(file)?;
    if let Some(stamp) = stamp.filter(|stamp| stamp.1 == found.1) {
        lock(&KNOWN).insert(stamp, found.0.clone());
    }
    Ok(found)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut file: File) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        hasher.update(&block[..count]);
        bytes += count as u64;
    }
    let hex = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((hex, bytes))
}
