//! Limits with every patch of a set, several at a time. With a folder each has a file when it is
//! found, and what is there already is not made again.

use super::limit::{LimitRecord, LimitRequest};
use super::opened::{Base, Opened, Request};
use super::outputs::check_no_input;
use super::patch_set::NamedPatch;
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, from_text, regular, to_text};
use crate::rundir::Progress;
use indexmap::IndexMap;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Largest file of a limit that is read back.
const FILE: u64 = 16 << 20;

/// What was found with one patch.
#[derive(Debug, Serialize)]
pub(crate) struct PatchLimit {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
    /// Null where the workspace cannot be made or has no limit.
    pub(crate) limit: Option<LimitRecord>,
    /// Why.
    pub(crate) failure: Option<String>,
}

/// Limits with all patches.
#[derive(Debug, Serialize)]
pub(crate) struct PlaneRecord {
    pub(crate) format: u32,
    pub(crate) method: &'static str,
    pub(crate) workspace: String,
    pub(crate) patch_set: String,
    pub(crate) description: String,
    pub(crate) labels: Vec<String>,
    /// In the order of the set.
    pub(crate) patches: Vec<PatchLimit>,
}

impl PlaneRecord {
    /// Values of the patches by a label, as numbers; none if one is a text.
    pub(super) fn column(&self, label: usize) -> Option<Vec<f64>> {
        let values = self.patches.iter();
        values.map(|patch| patch.values[label].as_f64()).collect()
    }
}

impl Base {
    /// The limit with each patch of the set, and how many of them were there already.
    pub(crate) fn limits(
        &self,
        request: &Request,
        asked: &LimitRequest,
        folder: Option<&Path>,
        progress: &Progress,
    ) -> Result<(PlaneRecord, usize)> {
        let set = self.every().ok_or_else(|| {
            Error::usage("`all` means every patch of a set, and the file of --patch is none")
        })?;
        let folder = folder.map(|folder| folder.join("patches"));
        if let Some(folder) = &folder {
            regular::make_folder(folder).on(folder)?;
        }
        let stage = progress.stage("limits", set.patches.len() as u64);
        let one = |patch: &NamedPatch| {
            let found = self.limit_of(request, asked, patch, folder.as_deref());
            stage.add(1);
            found
        };
        let mut found: Vec<(PatchLimit, bool)> = Vec::with_capacity(set.patches.len());
        // no more at a time than there is room for
        for patches in set.patches.chunks(self.at_a_time()) {
            let some: Vec<_> = patches.par_iter().map(one).collect::<Result<_>>()?;
            found.extend(some);
        }
        drop(stage);
        if let Some(folder) = &folder {
            sweep(folder, &found)?;
        }
        let kept = found.iter().filter(|(_, is_kept)| *is_kept).count();
        let record = PlaneRecord {
            format: crate::files::formats::LIKELIHOOD.written,
            method: "limit",
            workspace: request.workspace.clone(),
            patch_set: set.file.clone(),
            description: set.description.clone(),
            labels: set.labels.clone(),
            patches: found.into_iter().map(|(limit, _)| limit).collect(),
        };
        Ok((record, kept))
    }

    /// The limit with a patch, and whether it was there. An error ends the whole: a folder that
    /// cannot be written to, an interest that no patch has.
    fn limit_of(
        &self,
        request: &Request,
        asked: &LimitRequest,
        patch: &NamedPatch,
        folder: Option<&Path>,
    ) -> Result<(PatchLimit, bool)> {
        let found = |limit: Result<LimitRecord>| {
            let (limit, failure) = match limit {
                Ok(limit) => {
                    let failure = limit.failure.clone();
                    (Some(limit), failure)
                }
                Err(error) => (None, Some(error.to_string())),
            };
            PatchLimit {
                name: patch.name.clone(),
                values: patch.values.clone(),
                limit,
                failure,
            }
        };
        let opened = match self.with(request, patch) {
            Ok(opened) => opened,
            Err(error) => return Ok((found(Err(error)), false)),
        };
        let path = folder.map(|folder| folder.join(format!("{}.json", patch.name)));
        if let Some(path) = &path {
            check_no_input(path, &opened.inputs())?;
        }
        if let Some(there) = path.as_ref().and_then(|path| earlier(path, &opened, asked)) {
            return Ok((found(Ok(there)), true));
        }
        let limit = opened.limit(asked, &|_| ());
        if let (Some(path), Ok(limit)) = (&path, &limit) {
            let text = to_text(limit, true).at(Kind::Internal, path.display())?;
            atomic::write(path, text.as_bytes()).on(path)?;
        }
        Ok((found(limit), false))
    }
}

/// A limit that is in a file.
fn limit_in(path: &Path) -> Option<LimitRecord> {
    let bytes = regular::read(path, FILE).ok()?;
    from_text(&String::from_utf8(bytes).ok()?).ok()
}

/// A limit that was found earlier for the same workspace in the same way.
fn earlier(path: &Path, opened: &Opened, asked: &LimitRequest) -> Option<LimitRecord> {
    limit_in(path).filter(|record| record.answers(opened, asked))
}

/// Removes limits of a folder that are of no patch of the set, or of one that has none now.
fn sweep(folder: &Path, found: &[(PatchLimit, bool)]) -> Result<()> {
    let present = found.iter().filter(|(patch, _)| patch.limit.is_some());
    let present: HashSet<String> = present
        .map(|(patch, _)| format!("{}.json", patch.name))
        .collect();
    for entry in fs::read_dir(folder).on(folder)? {
        let entry = entry.on(folder)?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_present = name.to_str().is_none_or(|name| present.contains(name));
        if !is_present && path.extension().is_some_and(|e| e == "json") && limit_in(&path).is_some()
        {
            fs::remove_file(&path).on(&path)?;
        }
    }
    Ok(())
}

/// Labels whose values are not the same for all patches.
pub(super) fn varied(record: &PlaneRecord) -> Vec<usize> {
    let is_constant = |label: usize| {
        let mut values = record.patches.iter().map(|patch| &patch.values[label]);
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    let labels = 0..record.labels.len();
    labels.filter(|label| !is_constant(*label)).collect()
}

/// The patches whose values of all labels but one are the same, by the value of that one: the
/// points of a line. None if there is no such label or its values are no numbers.
pub(super) fn line(record: &PlaneRecord) -> Option<(usize, Vec<usize>)> {
    let [label] = varied(record)[..] else {
        return None;
    };
    let values = record.column(label)?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    Some((label, order))
}

/// Failures and how often each is there.
pub(crate) fn failures(record: &PlaneRecord) -> IndexMap<&str, usize> {
    let mut counts = IndexMap::new();
    for failure in record.patches.iter().filter_map(|p| p.failure.as_deref()) {
        *counts.entry(failure).or_insert(0) += 1;
    }
    counts
}
