//! Files of a result: what is derived from the members and can be made anew. They are
//! recorded, found damaged, and removed when they are another's result or when blind regions
//! are closed again.

use super::directory::RunDirectory;
use super::manifest::{Manifest, OutputRecord};
use crate::error::{Error, OnFile, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Files of one ensemble's result in the directory itself.
const OUTPUTS: [&str; 3] = ["metrics.json", "figures.json", "report.html"];
/// Folders with files of a result, and the endings of those.
const OUTPUT_FOLDERS: [(&str, &[&str]); 2] = [
    ("predictions", &["parquet"]),
    ("plots", &["svg", "png", "pdf", "json", "toml"]),
];
/// Further files that show numbers or pictures of a result.
const SHOWN: &str = "ensembles.html summary.json comparison.json comparison.csv comparison.tex \
                     measurement.json mixing.json page.json workspace.json workspace_points.json \
                     templates.json events.parquet curves.parquet pulls.parquet ratios.parquet \
                     limit.parquet contours.parquet toys.json limit_scans.parquet impacts.csv \
                     impacts.tex yields.csv yields.tex";
/// Folders of such files.
const SHOWN_FOLDERS: [&str; 5] = ["predictions", "plots", "toys", "former_toys", "hepdata"];

impl RunDirectory {
    /// Records of the files of a result: predictions, numbers, figures and page, as
    /// far as they are there. Names with an ending of the program's own alone.
    pub(crate) fn outputs(&self) -> Result<BTreeMap<String, OutputRecord>> {
        let mut names: Vec<String> = OUTPUTS.map(ToOwned::to_owned).into();
        for (folder, endings) in OUTPUT_FOLDERS {
            let path = self.join(folder);
            let entries = fs::read_dir(&path).on(&path)?;
            names.extend(entries.flatten().filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let ending = Path::new(&name).extension()?.to_str()?;
                let is_own = endings.contains(&ending);
                is_own.then(|| format!("{folder}/{name}"))
            }));
        }
        let mut outputs = BTreeMap::new();
        for name in names {
            let path = self.join(&name);
            match OutputRecord::of(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                record => {
                    outputs.insert(name, record.on(&path)?);
                }
            }
        }
        Ok(outputs)
    }

    /// The first file of a result, of those that are `wanted` by their names, that
    /// is not there or not as it was written.
    pub(crate) fn damaged_output(
        &self,
        manifest: &Manifest,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let is_damaged = |(name, record): &(&String, &OutputRecord)| {
            let is_own = is_output(name) && wanted(name);
            is_own && OutputRecord::of(&self.join(name)).ok().as_ref() != Some(record)
        };
        let found = manifest.outputs.iter().find(is_damaged);
        found.map(|(name, _)| name.clone())
    }

    /// Removes files of an earlier result that the present one has not: figures of
    /// variables that are gone. Both by their records; other files stay.
    pub(crate) fn retire(
        &self,
        earlier: &BTreeMap<String, OutputRecord>,
        present: &BTreeMap<String, OutputRecord>,
    ) {
        for name in earlier.keys() {
            if is_output(name) && !present.contains_key(name) {
                // a file that cannot be removed does no more harm than before
                let _ = fs::remove_file(self.join(name));
            }
        }
    }

    /// Records of figures that were drawn, by their path in the directory, in the place of those
    /// of a drawing before, whose other figures are removed.
    pub(crate) fn keep_drawn(
        &self,
        outputs: &mut BTreeMap<String, OutputRecord>,
        drawn: &BTreeSet<String>,
    ) -> Result<()> {
        let earlier = std::mem::take(outputs);
        for name in drawn {
            let path = self.join(name);
            let record = OutputRecord::of(&path).on(&path)?;
            outputs.insert(name.clone(), record);
        }
        self.retire(&earlier, outputs);
        Ok(())
    }

    /// Takes away the result of a run that looked into blind regions, before one that does
    /// not. Members stay: they do not depend on what may be looked at.
    pub(crate) fn close_again(&self, unblind: bool) -> Result<()> {
        if unblind || !self.manifest()?.is_some_and(|m| m.unblind) {
            return Ok(());
        }
        for name in OUTPUTS.into_iter().chain(SHOWN.split(' ')) {
            gone(&self.join(name), |path| fs::remove_file(path))?;
        }
        for path in SHOWN_FOLDERS.map(|name| self.join(name)) {
            // a link is none of the run's own
            if path.is_dir() && !path.is_symlink() {
                gone(&path, |path| {
                    fs::remove_dir_all(path)?;
                    fs::create_dir(path)
                })?;
            }
        }
        // remarks in the log count events; epochs and times stay
        let path = self.join("log.jsonl");
        if !path.is_file() {
            return Ok(());
        }
        let is_note = |line: &&str| {
            let value = serde_json::from_str::<serde_json::Value>(line);
            value.is_ok_and(|value| value["event"] == "note")
        };
        let text = self.read(&path)?;
        let kept = text.lines().filter(|line| !is_note(line));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        self.write(&path, kept.as_bytes())
    }
}

/// Whether a name of a manifest, which anybody may have written, is one of a file
/// of a result, in the directory itself or one folder below.
fn is_output(name: &str) -> bool {
    let is_plain =
        |file: &str| !file.is_empty() && !file.starts_with('.') && !file.contains(['\\', '/']);
    match name.split_once('/') {
        None => OUTPUTS.contains(&name),
        Some((folder, file)) => {
            is_plain(file) && OUTPUT_FOLDERS.iter().any(|(own, _)| *own == folder)
        }
    }
}

/// Removes what may not be there.
fn gone(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}
