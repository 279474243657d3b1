//! What a run with open blind regions leaves behind is gone when they are closed again.

use super::directory::RunDirectory;
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::Path;

/// Files that show numbers or pictures of a result.
const FILES: [&str; 20] = [
    "metrics.json",
    "figures.json",
    "report.html",
    "ensembles.html",
    "summary.json",
    "comparison.json",
    "comparison.csv",
    "comparison.tex",
    "measurement.json",
    "page.json",
    "workspace.json",
    "workspace_points.json",
    "templates.json",
    "events.parquet",
    "curves.parquet",
    "pulls.parquet",
    "ratios.parquet",
    "limit.parquet",
    "contours.parquet",
    "toys.json",
];
/// Folders of such files.
const FOLDERS: [&str; 4] = ["predictions", "plots", "toys", "former_toys"];

impl RunDirectory {
    /// Takes away the result of a run that looked into blind regions, before one that does
    /// not. Members stay: they do not depend on what may be looked at.
    pub fn close_again(&self, unblind: bool) -> Result<()> {
        if unblind || !self.manifest()?.is_some_and(|m| m.unblind) {
            return Ok(());
        }
        for name in FILES {
            gone(&self.path().join(name), |path| fs::remove_file(path))?;
        }
        for name in FOLDERS {
            let path = self.path().join(name);
            // a link is none of the run's own
            if path.is_dir() && !path.is_symlink() {
                let emptied = |path: &Path| {
                    fs::remove_dir_all(path)?;
                    fs::create_dir(path)
                };
                gone(&path, emptied)?;
            }
        }
        self.forget_notes()
    }

    /// Takes the remarks out of the log, which count events; epochs and times stay.
    fn forget_notes(&self) -> Result<()> {
        let path = self.log_path();
        if !path.is_file() {
            return Ok(());
        }
        let text = self.read(&path)?;
        let is_note = |line: &&str| {
            let value = serde_json::from_str::<serde_json::Value>(line);
            value.is_ok_and(|value| value["event"] == "note")
        };
        let kept: Vec<&str> = text.lines().filter(|line| !is_note(line)).collect();
        let mut text = kept.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        self.write(&path, text.as_bytes())
    }
}

/// Removes what may not be there.
fn gone(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}
