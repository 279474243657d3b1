//! `jobs.json`: the submissions of a run.

use super::BatchSystem;
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::formats::JOBS;
use crate::files::{atomic, regular};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

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
    #[serde(serialize_with = "write_list", deserialize_with = "read_list")]
    pub blocks: Vec<u32>,
}

impl Submission {
    /// The number by itself.
    pub(super) fn job(&self) -> Option<&str> {
        self.id.as_deref().map(|id| split(id).0)
    }

    /// Cluster of Slurm or schedd of HTCondor that gave the number, if there are several.
    pub(super) fn place(&self) -> Option<&str> {
        split(self.id.as_deref()?).1
    }
}

/// A number as in `jobs.json`: the job, and its place. Slurm writes `123;cluster`.
pub(super) fn split(id: &str) -> (&str, Option<&str>) {
    match id.split_once([';', '@']) {
        Some((job, place)) => (job, Some(place)),
        None => (id, None),
    }
}

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

fn write_list<S: Serializer>(blocks: &[u32], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&compress(blocks))
}

fn read_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
    let text = String::deserialize(from)?;
    expand(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no list of blocks")))
}

/// Numbers as people and Slurm write them, `1,4-9`; they need not be in order.
pub(super) fn compress(numbers: &[u32]) -> String {
    let sorted: BTreeSet<u32> = numbers.iter().copied().collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for n in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
            _ => ranges.push((n, n)),
        }
    }
    let text = |(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The numbers of `1,4-9`; none if it is no such list. What follows a `%` (how
/// many run at a time, in Slurm) is left out.
pub(super) fn expand(text: &str) -> Option<Vec<u32>> {
    let text = text.split('%').next().unwrap_or_default();
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // a damaged file is not to fill the memory
        if last < first || last - first >= 10_000_000 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
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
