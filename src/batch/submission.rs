//! One job of a batch system: which blocks it trains.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;

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
