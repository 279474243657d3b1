//! The files of a result: one set, written beside the former one and put in its place.
//!
//! `measurement.json` names them all and is moved last: where it is, they are its own. What
//! a former result had and this one has not is removed.

use super::evaluated::EVENTS;
use super::pipeline::RESULT;
use super::progress::{TOYS, TOYS_FOLDER, ToyFolder};
use crate::error::{Error, OnFile, Result};
use crate::files::{Liveness, WorkerId};
use crate::rundir::RunDirectory;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a folder of a set in the making begins with.
const STAGE: &str = ".result-";
/// The former record while the sets are exchanged.
const FORMER: &str = ".former-measurement.json";
/// Folder of the toys of former likelihoods, by the same names.
const FORMER_TOYS: &str = "former_toys";
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

/// Names of the files of a set, from its folder: those of `plots/` with it.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for inner in ["", "plots"] {
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

/// Files that a record names, as far as they are in the directory itself or in `plots/`.
fn named(record: &Path) -> Vec<String> {
    let Some(value) = fs::read(record)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
    else {
        return Vec::new();
    };
    let own = |name: &&str| {
        let last = name.strip_prefix("plots/").unwrap_or(name);
        let is_the_runs = ["config.toml", "manifest.json", "log.jsonl"].contains(name);
        !is_the_runs && !last.is_empty() && !last.starts_with('.') && !last.contains(['/', '\\'])
    };
    let all = value["files"].as_array().into_iter().flatten();
    let all = all.filter_map(serde_json::Value::as_str).filter(own);
    all.map(ToOwned::to_owned).collect()
}

/// What of a result is written in its place, and not in the set's folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct InPlace {
    /// Toys are asked for.
    pub toys: bool,
    /// The ratios of the events are streamed from a file.
    pub events: bool,
}

/// Puts a set in the place of the former one.
///
/// # Errors
/// If a file cannot be moved: then there is no `measurement.json`, and running again makes
/// the set anew.
pub(super) fn publish(root: &RunDirectory, stage: &RunDirectory, in_place: InPlace) -> Result<()> {
    let at = |name: &str| root.path().join(name);
    let new = names(stage.path())?;
    let mut old: BTreeSet<String> = KNOWN.map(ToOwned::to_owned).into();
    old.extend(named(&at(FORMER)));
    old.extend(named(&at(RESULT)));
    if at(RESULT).is_file() {
        fs::rename(at(RESULT), at(FORMER)).on(&at(RESULT))?;
    }
    for name in old.iter().filter(|name| !new.contains(name)) {
        remove(&at(name))?;
    }
    if !in_place.events {
        remove(&at(EVENTS))?;
    }
    let plots = root.plots();
    fs::create_dir_all(&plots).on(&plots)?;
    for name in new.iter().filter(|name| *name != RESULT) {
        fs::rename(stage.path().join(name), at(name)).on(&at(name))?;
    }
    put_toys_aside(root, in_place.toys)?;
    fs::rename(stage.path().join(RESULT), at(RESULT)).on(&at(RESULT))?;
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
    let (from, to) = (
        root.path().join(FORMER_TOYS).join(name),
        root.path().join(TOYS_FOLDER).join(name),
    );
    if to.exists() || !from.is_dir() {
        return Ok(());
    }
    let folder = root.path().join(TOYS_FOLDER);
    fs::create_dir_all(&folder).on(&folder)?;
    fs::rename(&from, &to).on(&to)?;
    // stays if there is something in it
    let _ = fs::remove_dir(root.path().join(FORMER_TOYS));
    Ok(())
}
