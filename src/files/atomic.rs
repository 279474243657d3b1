//! Files that are there whole or not at all.

use super::worker_id::{Liveness, ServerClock, WorkerId};
use crate::error::Result;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A temporary file that nobody wrote to for so long, by the file server's clock,
/// is of a writer that is gone, wherever it ran.
const OLD: Duration = Duration::from_secs(86_400);

/// Writes `bytes` under a temporary name beside `path`, syncs, and renames.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |error| error, |file| file.write_all(bytes))
}

/// As [`write()`], with a function that fills the file, and one for errors of the file
/// system.
pub(crate) fn write_with<E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let (staged, mut file) = Staged::create(path).map_err(&failed)?;
    fill(&mut file)?;
    file.sync_all().map_err(&failed)?;
    drop(file);
    staged.commit().map_err(failed)
}

/// A file that is whole and lies under a temporary name; dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    temporary: PathBuf,
    path: PathBuf,
}

impl Staged {
    /// Writes `bytes` under a temporary name beside `path`, and syncs.
    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let (staged, mut file) = Self::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// A new file of a name that no other process or thread uses, in the same folder.
    /// It is made exclusively: a link that lies there under its name is not followed.
    pub(super) fn create(path: &Path) -> io::Result<(Self, File)> {
        for _ in 0..8 {
            let temporary = temporary_name(path);
            match File::create_new(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    let path = path.to_owned();
                    return Ok((Self { temporary, path }, made?));
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the file to its place.
    pub fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            // the error that matters is the first one
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The name says which process writes, since those of different hosts and
/// containers may have the same number, and so that others see when that is gone.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static WORKER: OnceLock<WorkerId> = OnceLock::new();
    let worker = WORKER.get_or_init(WorkerId::unique);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{worker}-{count}.tmp"));
    path.with_file_name(name)
}

/// Who writes a temporary file; none if the name is not one that this program
/// gives.
fn writer(name: &str) -> Option<WorkerId> {
    let (_, writer) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (worker, count) = writer.rsplit_once('-')?;
    count.parse::<u64>().ok()?;
    WorkerId::parse(worker)
}

/// Removes temporary files that nobody will finish: those of processes that ran
/// on this host and are gone, and of those elsewhere that wrote nothing for a
/// day. Files of other names are somebody else's.
pub(crate) fn sweep(folder: &Path, clock: &ServerClock) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(worker) = writer(&name.to_string_lossy()) else {
            continue;
        };
        let modified = || fs::symlink_metadata(entry.path()).and_then(|m| m.modified());
        let is_left = match worker.liveness() {
            Liveness::Alive => false,
            Liveness::Gone => true,
            Liveness::Unknown => modified().is_ok_and(|time| clock.age(time) > OLD),
        };
        if is_left && entry.file_type().is_ok_and(|kind| kind.is_file()) {
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
        let fill = |file: &mut File| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        };
        assert!(write_with(&path, |error| error, fill).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_under_the_temporary_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mine = folder.path().join("mine");
        fs::write(&mine, "mine").unwrap();
        let next = temporary_name(&path).display().to_string();
        let (stem, count) = next.strip_suffix(".tmp").unwrap().rsplit_once('-').unwrap();
        let count: u64 = count.parse().unwrap();
        for n in count + 1..count + 4 {
            std::os::unix::fs::symlink(&mine, format!("{stem}-{n}.tmp")).unwrap();
        }
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&mine).unwrap(), b"mine");
    }

    #[test]
    fn only_files_of_writers_that_are_gone_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: String, age: Duration| {
            let path = folder.path().join(name);
            fs::write(&path, "x").unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let time = std::time::SystemTime::now() - age;
            file.set_modified(time).unwrap();
            path
        };
        let here = WorkerId::unique();
        let there = WorkerId::unique().elsewhere();
        let stay = [
            put(format!("a.{here}-0.tmp"), 3 * OLD),
            put(format!("a.{there}-0.tmp"), OLD / 12),
            put("notes.tmp".to_owned(), 3 * OLD),
            put("a.1-0.tmp".to_owned(), 3 * OLD),
            put(format!("a.{there}-x.tmp"), 3 * OLD),
        ];
        let go = put(format!("a.{there}-1.tmp"), 2 * OLD);
        sweep(folder.path(), &ServerClock::new(folder.path()));
        assert!(stay.iter().all(|path| path.exists()));
        assert!(!go.exists());
    }
}
