//! Files that are there whole or not at all.

use super::worker_id::{Liveness, WorkerId};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` under a temporary name beside `path`, syncs, and renames.
///
/// # Errors
/// What the file system said; the temporary file is removed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// As [`write()`], with a function that fills the file.
///
/// # Errors
/// What the file system or `fill` said; the temporary file is removed.
pub fn write_with<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let temporary = temporary_name(path);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        fill(&mut file)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)?;
        Ok(())
    })();
    if result.is_err() {
        // the error that matters is the first one
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// What to do about an error of the file system.
#[must_use]
pub fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again: nothing finished is lost"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that can be written to with --out"
        }
        _ => "",
    }
}

/// A name that no other process or thread uses, in the same folder. It names its
/// process, since those of different hosts and containers may have the same
/// number, and so that others see when that is gone.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static WORKER: OnceLock<WorkerId> = OnceLock::new();
    let worker = WORKER.get_or_init(WorkerId::unique);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{worker}-{count}.tmp"));
    path.with_file_name(name)
}

/// Removes temporary files that nobody will finish: those of processes that ran
/// on this host and are gone, and all of more than an hour.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(stem) = name.strip_suffix(".tmp") else {
            continue;
        };
        let writer = stem
            .rsplit_once('.')
            .and_then(|(_, writer)| writer.rsplit_once('-'))
            .and_then(|(worker, _)| WorkerId::parse(worker));
        let is_gone = writer.is_some_and(|worker| worker.liveness() == Liveness::Gone);
        let is_old = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|t| t.elapsed().is_ok_and(|age| age.as_secs() > 3600));
        if is_gone || is_old {
            // another process may have swept it just now
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let failed: io::Result<()> = write_with(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
