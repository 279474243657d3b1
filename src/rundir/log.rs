//! `log.jsonl`: what happened when, one JSON object a line.

use crate::files::{Liveness, WorkerId, lock, regular};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// An open log, shared by threads.
#[derive(Debug)]
pub(crate) struct RunLog {
    file: Mutex<File>,
}

impl RunLog {
    /// Opens the log to append to it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = regular::edit_or_create(path, OpenOptions::new().append(true))?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Appends the logs of workers in a folder, in the order of their names, and
    /// removes them; not those of workers that run on this host, and no other
    /// files.
    pub(crate) fn collect(&self, folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let is_log = path.extension().is_some_and(|e| e == "jsonl");
            let Some(worker) = WorkerId::parse(&name).filter(|_| is_log) else {
                continue;
            };
            if worker.liveness() == Liveness::Alive {
                continue;
            }
            // no link: it would be removed, and what it leads to copied
            let Ok(mut from) = regular::edit(&path).and_then(|_| File::open(&path)) else {
                continue;
            };
            let mut file = lock(&self.file);
            if io::copy(&mut from, &mut *file).is_ok() {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Appends an event with its fields. A log that cannot be written does not
    /// stop the run.
    pub(crate) fn event(&self, name: &str, fields: Value) {
        let mut line = json!({ "time": now(), "event": name });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        let mut file = lock(&self.file);
        // in one piece, so that those of other processes do not get in between
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// The present time, UTC, ISO 8601 with seconds.
#[must_use]
pub(crate) fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    iso8601(seconds)
}

/// Civil time of seconds since 1970 (Hinnant, "chrono-compatible low-level date
/// algorithms").
fn iso8601(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_time_of_known_seconds() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso8601(1_784_000_000), "2026-07-14T03:33:20Z");
    }
}
