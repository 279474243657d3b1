//! `workers/`: what each worker says about itself, for `sideband status` in
//! another shell or on another machine.
//!
//! One file a worker, rewritten every few seconds and gone when the worker ends
//! in order. Nothing depends on it: a write that fails is not repeated, a file
//! that cannot be read is passed over, and nothing is synced to disk.

use super::now;
use crate::files::{Liveness, ServerClock, WorkerId, is_gone, lock, regular};
use serde::{Deserialize, Deserializer, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// Files above this size are not a worker's.
const SIZE_LIMIT: u64 = 1 << 20;
/// So many files are read at most.
const FILE_LIMIT: usize = 10_000;
/// Files of this age are swept away.
const OLD: Duration = Duration::from_secs(86_400);

/// What a worker says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerStatus {
    /// Its name, a [`WorkerId`].
    pub worker: String,
    /// The host that it runs on.
    pub host: String,
    /// Number of its process there.
    pub pid: u32,
    /// What it computes on.
    pub device: String,
    /// When it started, UTC, ISO 8601, by its own clock.
    pub started: String,
    /// When it wrote this, UTC, ISO 8601, by its own clock.
    pub updated: String,
    /// Time since its start, s.
    #[serde(deserialize_with = "number")]
    pub uptime_seconds: f64,
    /// Whether it has nothing left to do.
    pub finished: bool,
    /// Member-events per second, all stacks together.
    #[serde(deserialize_with = "number")]
    pub events_per_second: f64,
    /// What its threads or devices are at.
    #[serde(rename = "blocks")]
    pub stacks: Vec<StackStatus>,
}

/// What a worker says about a stack in training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StackStatus {
    /// Its thread or device, such as `train-0` or `cuda:0`.
    pub name: String,
    pub ensemble: String,
    /// Numbers of the members in training.
    pub members: Vec<u32>,
    /// Epoch of the member that is furthest behind.
    pub epoch_min: u32,
    /// Epoch of the member that is furthest ahead.
    pub epoch_max: u32,
    /// Quantiles (16, 50, 84 %) of the members' last validation losses.
    #[serde(deserialize_with = "numbers")]
    pub loss_quantiles: Option<[f64; 3]>,
    /// Member-events per second.
    #[serde(deserialize_with = "number")]
    pub events_per_second: f64,
    /// Estimated time to the end of the stack, s.
    pub seconds_left: Option<f64>,
}

impl WorkerStatus {
    /// Of a worker that starts.
    #[must_use]
    pub(crate) fn new(id: &WorkerId, device: String) -> Self {
        Self {
            worker: id.to_string(),
            host: id.host().to_owned(),
            pid: id.pid(),
            device,
            started: now(),
            ..Self::default()
        }
    }

    /// Whether it is seen from here that its process has ended.
    #[must_use]
    pub(crate) fn is_gone(&self) -> bool {
        WorkerId::parse(&self.worker).is_some_and(|id| id.liveness() == Liveness::Gone)
    }
}

/// A number; JSON knows no NaN and no infinity, they are written as `null`.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[f64; 3]>, D::Error> {
    let numbers: Option<[Option<f64>; 3]> = Option::deserialize(from)?;
    Ok(numbers.map(|all| all.map(|x| x.unwrap_or(f64::NAN))))
}

/// The file of this process; dropping it removes it.
#[derive(Debug)]
pub(crate) struct WorkerFile {
    path: PathBuf,
    temporary: PathBuf,
    writing: Mutex<()>,
}

impl WorkerFile {
    /// Makes the folder if it is not there and sweeps it. The file appears with
    /// the first [`WorkerFile::write`].
    pub(crate) fn create(folder: &Path, id: &WorkerId) -> io::Result<Self> {
        regular::make_folder(folder)?;
        sweep(folder);
        Ok(Self {
            path: folder.join(format!("{id}.json")),
            temporary: folder.join(format!("{id}.tmp")),
            writing: Mutex::new(()),
        })
    }

    /// Says how it is. A failure is ignored: the run is more important.
    pub(crate) fn write(&self, status: &WorkerStatus) {
        let Ok(text) = serde_json::to_vec(status) else {
            return;
        };
        let _writing = lock(&self.writing);
        // what lies there under this worker's name is not its own
        let _ = fs::remove_file(&self.temporary);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.temporary)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Drop for WorkerFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What all workers of a folder last said, and how long ago by the file
/// server's clock (without end if the file's time lies ahead), in the order of their names. A worker that was killed is
/// among them until the next one starts: see the age, and
/// [`WorkerId::liveness`].
#[must_use]
pub(crate) fn read_all(folder: &Path) -> Vec<(WorkerStatus, Duration)> {
    let clock = ServerClock::new(folder);
    let mut all: Vec<_> = files(folder)
        .filter(|(_, path)| path.extension().is_some_and(|e| e == "json"))
        .take(FILE_LIMIT)
        .filter_map(|(id, path)| {
            let (status, time) = read(&path).ok()?;
            (status.worker == id.to_string()).then(|| (status, clock.age_of_sign(time)))
        })
        .collect();
    all.sort_by(|a, b| a.0.worker.cmp(&b.0.worker));
    all
}

fn read(path: &Path) -> io::Result<(WorkerStatus, SystemTime)> {
    let about = fs::metadata(path)?;
    let text = regular::read(path, SIZE_LIMIT)?;
    Ok((serde_json::from_slice(&text)?, about.modified()?))
}

/// Files named after workers. No pipe is among them: opening one waits.
fn files(folder: &Path) -> impl Iterator<Item = (WorkerId, PathBuf)> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let extension = path.extension()?;
            let id = WorkerId::parse(path.file_stem()?.to_str()?)?;
            let is_ours = extension == "json" || extension == "tmp";
            (is_ours && entry.file_type().ok()?.is_file()).then_some((id, path))
        })
}

/// Removes what workers left behind that were killed here, or long ago.
fn sweep(folder: &Path) {
    let clock = ServerClock::new(folder);
    for (id, path) in files(folder) {
        let is_old = || match fs::symlink_metadata(&path).and_then(|m| m.modified()) {
            Ok(time) => clock.age(time) > OLD,
            Err(e) => is_gone(&e),
        };
        if id.liveness() == Liveness::Gone || is_old() {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    fn status(id: &WorkerId) -> WorkerStatus {
        WorkerStatus {
            stacks: vec![StackStatus {
                name: "train-0".to_owned(),
                members: vec![3, 4],
                loss_quantiles: Some([0.1, 0.2, 0.3]),
                seconds_left: Some(1.5),
                ..StackStatus::default()
            }],
            ..WorkerStatus::new(id, "cpu".to_owned())
        }
    }

    #[test]
    fn what_is_written_is_read_until_the_worker_ends() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("workers");
        assert!(read_all(&folder).is_empty());
        let (a, b) = (WorkerId::unique(), WorkerId::unique());
        let file = WorkerFile::create(&folder, &a).unwrap();
        let other = WorkerFile::create(&folder, &b).unwrap();
        let mut said = status(&a);
        file.write(&said);
        said.uptime_seconds = 2.0;
        file.write(&said);
        other.write(&status(&b));
        let all = read_all(&folder);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].0, said);
        assert!(all.iter().all(|(_, age)| *age < Duration::from_secs(60)));
        drop(file);
        assert_eq!(read_all(&folder).len(), 1);
        drop(other);
        let left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [".clock"]);
    }

    #[test]
    fn losses_that_are_no_numbers_do_not_hide_a_worker() {
        let folder = tempfile::tempdir().unwrap();
        let id = WorkerId::unique();
        let file = WorkerFile::create(folder.path(), &id).unwrap();
        let mut said = status(&id);
        said.events_per_second = f64::INFINITY;
        said.stacks[0].loss_quantiles = Some([0.1, 0.2, f64::NAN]);
        said.stacks[0].seconds_left = Some(f64::NAN);
        file.write(&said);
        let (read, _) = read_all(folder.path()).remove(0);
        assert!(read.events_per_second.is_nan());
        let losses = read.stacks[0].loss_quantiles.unwrap();
        assert!(losses[1] == 0.2 && losses[2].is_nan());
        assert_eq!(read.stacks[0].seconds_left, None);
    }

    #[test]
    fn garbage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let id = || WorkerId::unique().elsewhere();
        fs::write(path("a.json"), "{}").unwrap();
        fs::write(path(&format!("{}.json", id())), "{\"worker\":").unwrap();
        fs::write(path(&format!("{}.json", id())), [0xff; 10]).unwrap();
        fs::write(path(&format!("{}.json", id())), "").unwrap();
        let other = serde_json::to_vec(&status(&id())).unwrap();
        fs::write(path(&format!("{}.json", id())), other).unwrap();
        fs::create_dir(path(&format!("{}.json", id()))).unwrap();
        let large = id();
        let mut said = status(&large);
        said.device = "x".repeat(SIZE_LIMIT as usize);
        fs::write(
            path(&format!("{large}.json")),
            serde_json::to_vec(&said).unwrap(),
        )
        .unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.json");
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        assert!(read_all(folder.path()).is_empty());
        // a later version may say more, an earlier one less
        let good = id();
        let text = format!("{{\"worker\": \"{good}\", \"more\": 1}}");
        fs::write(path(&format!("{good}.json")), text).unwrap();
        assert_eq!(read_all(folder.path()).len(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_of_workers_that_are_gone_are_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let here = WorkerId::unique();
        // above the largest number that Linux gives
        let killed = WorkerId::unique().with_process(1 << 23);
        let remote = WorkerId::unique().elsewhere();
        let old = WorkerId::unique().elsewhere();
        let put = |name: String| {
            let path = folder.path().join(name);
            fs::write(&path, "{}").unwrap();
            path
        };
        let stay = [
            put(format!("{here}.json")),
            put(format!("{remote}.json")),
            put("notes.json".to_owned()),
        ];
        let go = [
            put(format!("{killed}.json")),
            put(format!("{killed}.tmp")),
            put(format!("{old}.json")),
        ];
        let file = OpenOptions::new().write(true).open(&go[2]).unwrap();
        file.set_modified(SystemTime::now() - 2 * OLD).unwrap();
        let _file = WorkerFile::create(folder.path(), &WorkerId::unique()).unwrap();
        assert!(stay.iter().all(|path| path.exists()));
        assert!(go.iter().all(|path| !path.exists()));
    }

    #[test]
    fn a_folder_that_went_away_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workers");
        let id = WorkerId::unique();
        let file = WorkerFile::create(&path, &id).unwrap();
        fs::remove_dir_all(&path).unwrap();
        file.write(&status(&id));
        assert!(read_all(&path).is_empty());
    }
}
