//! `jobs.json`: the submissions of a run.

use super::BatchSystem;
use super::list::{compress, expand};
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, regular};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Version of `jobs.json`.
const FORMAT: u32 = 1;
/// Largest `jobs.json` that is read.
const SIZE_LIMIT: u64 = 1 << 26;

/// One submission, as it stands in `jobs.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission {
    /// Its number in the run.
    pub number: u32,
    /// Its name in the queue, which occurs once.
    pub name: String,
    /// The batch system's number; none as long as it is not known whether the
    /// job was accepted.
    pub id: Option<String>,
    /// Number of the block that is task 0.
    pub base: u32,
    /// Its blocks, of which nobody knows yet how they ended.
    #[serde(with = "compressed")]
    pub blocks: Vec<u32>,
}

/// `jobs.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    format: u32,
    system: String,
    /// Part of every job's name, so that runs of one name differ.
    pub(super) tag: String,
    /// Number of the next submission.
    pub(super) next: u32,
    pub(super) jobs: Vec<Submission>,
}

impl Ledger {
    fn path(folder: &Path) -> PathBuf {
        folder.join("jobs.json")
    }

    pub(super) fn open(folder: &Path, system: &'static str) -> Result<Self> {
        let path = Self::path(folder);
        let text = match regular::read(&path, SIZE_LIMIT) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                regular::make_folder(folder).on(&path).of(Kind::Internal)?;
                return Ok(Self {
                    format: FORMAT,
                    system: system.to_owned(),
                    tag: tag(),
                    next: 1,
                    jobs: Vec::new(),
                });
            }
            Err(e) => return Err(Error::io(&path, &e).of(Kind::Internal)),
        };
        let mut ledger: Self = serde_json::from_slice(&text).map_err(|e| damaged(&path, e))?;
        if ledger.format != FORMAT {
            let found = ledger.format;
            let reason = format!("format {found}, this program knows {FORMAT}");
            return Err(damaged(&path, reason));
        }
        if ledger.system != system {
            if !ledger.jobs.is_empty() {
                return Err(Error::internal(format!(
                    "{} has jobs of {found}, not of {system}: follow them with {found}, or cancel \
                     them and delete the file",
                    path.display(),
                    found = ledger.system
                )));
            }
            system.clone_into(&mut ledger.system);
        }
        Ok(ledger)
    }

    /// Whether all jobs can be of a run of this name: what lies in a run directory
    /// may be somebody else's, and is said to the batch system.
    pub(super) fn check(&self, folder: &Path, system: &dyn BatchSystem, name: &str) -> Result<()> {
        let wrong = |reason: String| Err(damaged(&Self::path(folder), reason));
        let is_tag = self.tag.len() == 8 && self.tag.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_tag {
            return wrong(format!("{:?} is no tag", self.tag));
        }
        for job in &self.jobs {
            let own = job_name(name, &self.tag, job.number);
            if job.name != own {
                return wrong(format!(
                    "job {:?} is not this run's, which would be {own:?}",
                    job.name
                ));
            }
            if let Some(id) = job.id.as_ref().filter(|id| !system.is_id(id)) {
                return wrong(format!("{id:?} is no number of a {} job", system.name()));
            }
        }
        Ok(())
    }

    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let path = Self::path(folder);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        text.and_then(|text| atomic::write(&path, &text))
            .on(&path)
            .of(Kind::Internal)
    }
}

fn damaged(path: &Path, reason: impl Display) -> Error {
    Error::internal(format!(
        "{}: not readable: {reason}; see that no job of this run is left in the queue, then \
         delete the file",
        path.display()
    ))
}

/// What a submission is called in the queue.
pub(super) fn job_name(run: &str, tag: &str, number: u32) -> String {
    format!("{}-{tag}-{number}", plain(run))
}

/// A name without what shells and batch systems could read as something else.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(64)
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    match plain.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => plain,
        _ => format!("sideband-{plain}"),
    }
}

/// Eight characters that another run is unlikely to have.
fn tag() -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}

mod compressed {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(blocks: &[u32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::compress(blocks))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
        let text = String::deserialize(from)?;
        super::expand(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is no list of blocks")))
    }
}
