//! `jobs.json`: the submissions of a run.

use super::BatchSystem;
use super::submission::Submission;
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::formats::JOBS;
use crate::files::{atomic, regular};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Largest `jobs.json` that is read.
const SIZE_LIMIT: u64 = 1 << 26;

/// All submissions of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsFile {
    format: u32,
    system: String,
    /// Part of every job's name, so that runs of one name differ.
    pub tag: String,
    /// Number of the next submission.
    pub next: u32,
    pub jobs: Vec<Submission>,
    #[serde(skip)]
    path: PathBuf,
}

impl JobsFile {
    /// The file of a folder, which is made if it is not there. All of its jobs can be of a
    /// run of this name: what lies in a run directory may be somebody else's, and is said to
    /// the batch system.
    pub(super) fn open(folder: &Path, system: &dyn BatchSystem, name: &str) -> Result<Self> {
        let path = folder.join("jobs.json");
        let text = match regular::read(&path, SIZE_LIMIT) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                regular::make_folder(folder).on(&path).of(Kind::Internal)?;
                return Ok(Self {
                    format: JOBS.written,
                    system: system.name().to_owned(),
                    tag: tag(),
                    next: 1,
                    jobs: Vec::new(),
                    path,
                });
            }
            Err(e) => return Err(Error::io(&path, &e).of(Kind::Internal)),
        };
        let mut file: Self = serde_json::from_slice(&text).map_err(|e| damaged(&path, e))?;
        file.path = path;
        file.check(system, name)?;
        system.name().clone_into(&mut file.system);
        Ok(file)
    }

    fn check(&self, system: &dyn BatchSystem, name: &str) -> Result<()> {
        let wrong = |reason: String| Err(damaged(&self.path, reason));
        JOBS.check(self.format).or_else(wrong)?;
        if self.system != system.name() && !self.jobs.is_empty() {
            return Err(Error::internal(format!(
                "{} has jobs of {found}, not of {}: follow them with {found}, or cancel them and \
                 delete the file",
                self.path.display(),
                system.name(),
                found = self.system
            )));
        }
        let is_tag = self.tag.len() == 8 && self.tag.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_tag {
            return wrong(format!("{:?} is no tag", self.tag));
        }
        for job in &self.jobs {
            let own = job_name(name, &self.tag, job.number);
            if job.name != own {
                let found = &job.name;
                return wrong(format!(
                    "job {found:?} is not this run's, which would be {own:?}"
                ));
            }
            if let Some(id) = job.id.as_ref().filter(|id| !system.is_id(id)) {
                return wrong(format!("{id:?} is no number of a {} job", system.name()));
            }
        }
        Ok(())
    }

    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let saved = text.and_then(|text| atomic::write(&self.path, &text));
        saved.on(&self.path).of(Kind::Internal)
    }
}

fn damaged(path: &Path, reason: impl Display) -> Error {
    Error::internal(format!(
        "{}: not readable: {reason}; see that no job of this run is left in the queue, then \
         delete the file",
        path.display()
    ))
}

/// What a submission is called in the queue: without what shells and batch systems could
/// read as something else.
pub(super) fn job_name(run: &str, tag: &str, number: u32) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let plain = run.chars().map(|c| if is_plain(c) { c } else { '_' });
    let plain: String = plain.take(64).collect();
    let start = match plain.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => "",
        false => "sideband-",
    };
    format!("{start}{plain}-{tag}-{number}")
}

/// Eight characters that another run is unlikely to have.
fn tag() -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}

/// Blocks as jobs: a base, and blocks less than `largest` above it. `blocks` are
/// in order.
pub(super) fn chunks(blocks: &[u32], largest: u32) -> Vec<(u32, Vec<u32>)> {
    let largest = largest.max(1);
    let mut chunks: Vec<(u32, Vec<u32>)> = Vec::new();
    for block in blocks {
        let base = block / largest * largest;
        match chunks.last_mut() {
            Some((last, list)) if *last == base => list.push(*block),
            _ => chunks.push((base, vec![*block])),
        }
    }
    chunks
}
