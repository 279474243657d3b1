//! The files of a result: one set, written beside the former one and put in its place; and
//! the files that it was made of, with their digests.
//!
//! `measurement.json` names them all and is moved last: where it is, they are its own. What
//! a former result had and this one has not is removed.

use super::event_file::EVENTS;
use super::progress::{TOYS, TOYS_FOLDER, ToyFolder};
use super::published;
use super::result::RESULT;
use crate::error::{Error, OnFile, Result};
use crate::events::FileRecord;
use crate::files::regular::make_folder;
use crate::files::{Liveness, WorkerId};
use crate::rundir::{InputChange, InputFiles, Manifest, RunDirectory, now};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a folder of a set in the making begins with.
const STAGE: &str = ".result-";
/// The former record while the sets are exchanged.
const FORMER: &str = ".former-measurement.json";
/// Folder of the toys of former likelihoods, by the same names.
pub(super) const FORMER_TOYS: &str = "former_toys";
/// Characters of a digest in words.
const SHORT: usize = 12;
/// Files of results whose record names none.
const KNOWN: [&str; 10] = [
    "page.json",
    "report.html",
    "curves.parquet",
    "pulls.parquet",
    "ratios.parquet",
    "limit.parquet",
    "contours.parquet",
    "templates.json",
    "workspace.json",
    "workspace_points.json",
];

/// A folder in the run directory for a set in the making.
pub(super) fn stage(root: &RunDirectory) -> Result<RunDirectory> {
    sweep(root.path());
    let path = root.path().join(format!("{STAGE}{}", WorkerId::unique()));
    // it must be new: nothing that is there is written to
    fs::create_dir(&path).on(&path)?;
    Ok(RunDirectory::folder(path))
}

/// Removes what killed processes of this host left in the making.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let worker = name.strip_prefix(STAGE).and_then(WorkerId::parse);
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && worker.is_some_and(|worker| worker.liveness() == Liveness::Gone) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Folders with files of a set.
const FOLDERS: [&str; 2] = ["plots", published::FOLDER];

/// Names of the files of a set, from its folder: those of [`FOLDERS`] with it.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for inner in [""].into_iter().chain(FOLDERS) {
        let path = folder.join(inner);
        if !path.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&path).on(&path)? {
            let entry = entry.on(&path)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().on(&path)?.is_file() {
                names.push(match inner {
                    "" => name,
                    _ => format!("{inner}/{name}"),
                });
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Files that a record names, as far as they are in the directory itself or in [`FOLDERS`].
fn named(record: &Path) -> Vec<String> {
    let Some(value) = fs::read(record)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
    else {
        return Vec::new();
    };
    let own = |name: &&str| {
        let last = match name.split_once('/') {
            Some((folder, last)) if FOLDERS.contains(&folder) => last,
            _ => *name,
        };
        let is_the_runs = ["config.toml", "manifest.json", "log.jsonl"].contains(name);
        !is_the_runs && !last.is_empty() && !last.starts_with('.') && !last.contains(['/', '\\'])
    };
    let all = value["files"].as_array().into_iter().flatten();
    let all = all.filter_map(serde_json::Value::as_str).filter(own);
    all.map(ToOwned::to_owned).collect()
}

/// Puts a set in the place of the former one. `has_toys`, `has_events`: whether toys are asked
/// for and the ratios of the events are streamed from a file, which are written in their place
/// and not in the set's folder.
///
/// # Errors
/// If a file cannot be moved: then there is no `measurement.json`, and running again makes
/// the set anew.
pub(super) fn publish(
    root: &RunDirectory,
    stage: &RunDirectory,
    has_toys: bool,
    has_events: bool,
) -> Result<()> {
    let at = |name: &str| root.path().join(name);
    let new = names(stage.path())?;
    let mut old: BTreeSet<String> = KNOWN.map(ToOwned::to_owned).into();
    old.extend(named(&at(FORMER)));
    old.extend(named(&at(RESULT)));
    if at(RESULT).is_file() {
        fs::rename(at(RESULT), at(FORMER)).on(at(RESULT))?;
    }
    for name in old.iter().filter(|name| !new.contains(name)) {
        remove(&at(name))?;
    }
    if !has_events {
        remove(&at(EVENTS))?;
    }
    let plots = root.plots();
    fs::create_dir_all(&plots).on(&plots)?;
    let is_published = |name: &String| name.starts_with(&format!("{}/", published::FOLDER));
    if new.iter().any(is_published) {
        let folder = root.path().join(published::FOLDER);
        make_folder(&folder).on(&folder)?;
    }
    for name in new.iter().filter(|name| *name != RESULT) {
        fs::rename(stage.path().join(name), at(name)).on(at(name))?;
    }
    put_toys_aside(root, has_toys)?;
    fs::rename(stage.path().join(RESULT), at(RESULT)).on(at(RESULT))?;
    remove(&at(FORMER))?;
    // it is empty now
    let _ = fs::remove_dir_all(stage.path());
    Ok(())
}

/// Removes a file, if it is there.
fn remove(path: &PathBuf) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}

/// Leaves in `toys/` what the present likelihood has thrown; others go to `former_toys/`,
/// from where [`take_back`] has them if their likelihood comes back.
fn put_toys_aside(root: &RunDirectory, has_toys: bool) -> Result<()> {
    let path = root.path().join(TOYS);
    let present = fs::read(&path).ok().filter(|_| has_toys);
    let present = present.and_then(|bytes| serde_json::from_slice::<ToyFolder>(&bytes).ok());
    if present.is_none() {
        remove(&path)?;
    }
    let toys = root.path().join(TOYS_FOLDER);
    if !toys.is_dir() {
        return Ok(());
    }
    let aside = root.path().join(FORMER_TOYS);
    for entry in fs::read_dir(&toys).on(&toys)? {
        let entry = entry.on(&toys)?;
        let name = entry.file_name();
        if present.as_ref().is_some_and(|p| *p.folder == *name) {
            continue;
        }
        fs::create_dir_all(&aside).on(&aside)?;
        let to = aside.join(&name);
        if to.exists() {
            // the same toys: their names are digests of all that they depend on
            continue;
        }
        fs::rename(entry.path(), &to).on(&to)?;
    }
    // stays if there is something in it
    let _ = fs::remove_dir(&toys);
    Ok(())
}

/// Takes toys of a likelihood back that were put aside, by the name of their folder.
pub(super) fn take_back(root: &RunDirectory, name: &str) -> Result<()> {
    let [former, folder] = [FORMER_TOYS, TOYS_FOLDER].map(|f| root.path().join(f));
    let (from, to) = (former.join(name), folder.join(name));
    if to.exists() || !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(&folder).on(&folder)?;
    fs::rename(&from, &to).on(&to)?;
    // stays if there is something in it
    let _ = fs::remove_dir(former);
    Ok(())
}

/// Refuses files that are others than when the run began.
pub(super) fn check_unchanged(before: &InputFiles, after: &InputFiles) -> Result<()> {
    for (key, files) in after {
        if let Some(earlier) = before.get(key).filter(|earlier| !same(earlier, files)) {
            let text = format!(
                "the files changed while the program read them ({}, then {}); run again when they \
                 are complete",
                words(earlier),
                words(files)
            );
            return Err(Error::data_at(format!("{key}.path"), text));
        }
    }
    Ok(())
}

/// Puts the files of a result on record in the manifest, beside what changed since the
/// results before it, which comes back in words.
pub(super) fn record_inputs(root: &RunDirectory, files: &InputFiles) -> Result<Vec<String>> {
    let Some(mut manifest) = root.manifest()? else {
        return Ok(Vec::new());
    };
    let inputs = &mut manifest.inputs;
    for (key, files) in files {
        let earlier = inputs.files.get(key);
        if let Some(before) = earlier.filter(|earlier| !same(earlier, files)) {
            inputs.changes.push(InputChange {
                key: key.clone(),
                at: now(),
                before: before.clone(),
            });
        }
    }
    inputs.files.clone_from(files);
    let said = inputs.changes.iter().filter_map(|change| {
        let files = files.get(&change.key)?;
        (!same(&change.before, files)).then(|| {
            format!(
                "{}: the files changed ({}): an earlier result in this directory was of {}, this \
                 one is of {}",
                change.key,
                change.at,
                words(&change.before),
                words(files)
            )
        })
    });
    let said = said.collect();
    root.write_manifest(&manifest)?;
    Ok(said)
}

/// Puts what the numbers of a result depend on, a line a key, on record in the manifest.
pub(super) fn record_settings(root: &RunDirectory, settings: Vec<String>) -> Result<()> {
    let Some(manifest) = root.manifest()? else {
        return Ok(());
    };
    root.write_manifest(&Manifest {
        settings,
        ..manifest
    })
}

/// Whether contents are the same, wherever the files lie.
fn same(one: &[FileRecord], other: &[FileRecord]) -> bool {
    one.iter()
        .map(|file| &file.sha256)
        .eq(other.iter().map(|file| &file.sha256))
}

/// Rows and digests.
fn words(files: &[FileRecord]) -> String {
    let one = |file: &FileRecord| {
        let digest = file.sha256.get(..SHORT).unwrap_or(&file.sha256);
        let rows = file
            .rows
            .map_or_else(String::new, |rows| format!("{rows} rows, "));
        format!("{}: {rows}sha256 {digest}", file.path)
    };
    files.iter().map(one).collect::<Vec<_>>().join("; ")
}
