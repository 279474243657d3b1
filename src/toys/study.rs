//! Many pseudo-experiments at several points: in parallel, in files of finished
//! chunks, so that a study that was killed goes on and one that was too small grows.

use super::file::{decode, encode};
use crate::error::{Context, Error, Kind, Result};
use rayon::prelude::*;
use sideband_likelihood::toys::ToyRecord;
use sideband_numerics::random::Key;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

/// The word that branches toys off a seed.
const TOYS: u64 = 0x544F_5953;

/// Where finished chunks of toys are kept.
pub trait Chunks: Sync {
    /// The names of all files there are.
    ///
    /// # Errors
    /// What the file system said.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the file system said.
    fn open(&self, name: &str) -> io::Result<File>;

    /// Writes a file: there whole, or not at all.
    ///
    /// # Errors
    /// What the file system said.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Somebody asked to stop.
fn stopped() -> Error {
    let text = "stopped; what is finished is kept, and the same command goes on from there";
    Error::new(Kind::Interrupted, text)
}

/// A study: `toys` pseudo-experiments at each of `points` points.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What is studied: a digest of model and settings. Toys of another name or seed
    /// are never mixed with these.
    pub name: String,
    /// The seed of all toys.
    pub seed: u64,
    /// Names of the parameters of the fit, the parameter of interest first.
    pub parameters: Vec<String>,
    /// Number of points.
    pub points: u32,
    /// Toys at each of them.
    pub toys: u64,
    /// Toys a file: what is lost, at worst, by each worker of a killed study.
    pub chunk: u64,
}

/// One pseudo-experiment of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toy {
    /// The point.
    pub point: u32,
    /// Its number there.
    pub number: u64,
    /// Its random numbers: a function of the seed, the point and the number.
    pub key: Key,
}

/// Toys `first..end` of a point: one file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    point: u32,
    toys: Range<u64>,
}

impl Chunk {
    fn name(&self) -> String {
        let Range { start, end } = self.toys;
        format!("toys-{:04}-{start:08}-{end:08}.parquet", self.point)
    }

    fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("toys-")?.strip_suffix(".parquet")?;
        let mut parts = stem.split('-');
        let chunk = Self {
            point: parts.next()?.parse().ok()?,
            toys: parts.next()?.parse().ok()?..parts.next()?.parse().ok()?,
        };
        (chunk.name() == name).then_some(chunk)
    }
}

/// Toys in files of these names, by point: of `toys` at each of `points`.
pub(crate) fn finished_toys<'a>(
    names: impl Iterator<Item = &'a str>,
    points: u32,
    toys: u64,
) -> Vec<u64> {
    let mut files: Vec<Chunk> = names.filter_map(Chunk::parse).collect();
    files.sort_unstable_by_key(|chunk| chunk.toys.start);
    let count = |point: u32| {
        let mut counted = (0, 0);
        for Range { start, end } in files.iter().filter(|c| c.point == point).map(|c| &c.toys) {
            let (next, found) = counted;
            let (start, end) = ((*start).max(next), (*end).min(toys).max(next));
            counted = (end, found + end.saturating_sub(start));
        }
        counted.1
    };
    (0..points).map(count).collect()
}

impl Study {
    /// A toy of the study: the same whatever the number of toys, points and workers.
    #[must_use]
    pub fn toy(&self, point: u32, number: u64) -> Toy {
        let key = Key::from_seed(self.seed).with(TOYS);
        Toy {
            point,
            number,
            key: key.with(u64::from(point)).with(number),
        }
    }

    /// Throws and fits the toys that are not there yet, in parallel, each on one
    /// thread; a chunk is written when it is finished. `throw` is the whole of a
    /// pseudo-experiment, a failed fit included; `should_stop` is asked before each.
    ///
    /// # Errors
    /// Files of another study, files that cannot be read or written,
    /// [`Kind::Interrupted`].
    pub fn run(
        &self,
        chunks: &impl Chunks,
        throw: impl Fn(Toy) -> ToyRecord + Sync,
        should_stop: impl Fn() -> bool + Sync,
    ) -> Result<()> {
        let finished = self.finished(chunks)?;
        for chunk in &finished {
            self.read_chunk(chunks, chunk)?;
        }
        self.missing(&finished)
            .into_par_iter()
            .try_for_each(|chunk| {
                let toys = chunk.toys.clone().into_par_iter();
                let records: Option<Vec<_>> = toys
                    .map(|t| (!should_stop()).then(|| throw(self.toy(chunk.point, t))))
                    .collect();
                let records = records.ok_or_else(stopped)?;
                self.write_chunk(chunks, &chunk, &records)
            })
    }

    /// The records of the toys that there are, by point and in order of their numbers.
    ///
    /// # Errors
    /// Files of another study, files that cannot be read.
    pub fn read(&self, chunks: &impl Chunks) -> Result<Vec<Vec<ToyRecord>>> {
        let mut points = vec![BTreeMap::new(); self.points as usize];
        for chunk in self.finished(chunks)? {
            for record in self.read_chunk(chunks, &chunk)? {
                if record.toy < self.toys
                    && let Some(point) = points.get_mut(record.point as usize)
                {
                    point.insert(record.toy, record);
                }
            }
        }
        let in_order = |point: BTreeMap<u64, ToyRecord>| point.into_values().collect();
        Ok(points.into_iter().map(in_order).collect())
    }

    /// What the files say of the study.
    fn label(&self) -> String {
        format!("{}, seed {}", self.name, self.seed)
    }

    fn finished(&self, chunks: &impl Chunks) -> Result<Vec<Chunk>> {
        let names = chunks.list();
        let names = names.at(Kind::Internal, "cannot list the toys of the study")?;
        Ok(names.iter().filter_map(|name| Chunk::parse(name)).collect())
    }

    /// What is left to do, in chunks.
    fn missing(&self, finished: &[Chunk]) -> Vec<Chunk> {
        let mut missing = Vec::new();
        for point in 0..self.points {
            let mut done: Vec<&Range<u64>> = finished
                .iter()
                .filter(|chunk| chunk.point == point)
                .map(|chunk| &chunk.toys)
                .collect();
            done.sort_unstable_by_key(|range| range.start);
            let end = self.toys..self.toys;
            let mut next = 0;
            for range in done.into_iter().chain([&end]) {
                while next < range.start.min(self.toys) {
                    let last = range.start.min(self.toys).min(next + self.chunk.max(1));
                    let toys = next..last;
                    missing.push(Chunk { point, toys });
                    next = last;
                }
                next = next.max(range.end);
            }
        }
        missing
    }

    fn read_chunk(&self, chunks: &impl Chunks, chunk: &Chunk) -> Result<Vec<ToyRecord>> {
        let file = chunk.name();
        let read = |name: &str| decode(chunks.open(name)?, &self.parameters, &self.label());
        read(&file).map_err(|e| {
            let remedy = "remove it or choose another folder";
            Error::data(format!("toys in {file}: {e}; {remedy}"))
        })
    }

    fn write_chunk(
        &self,
        chunks: &impl Chunks,
        chunk: &Chunk,
        records: &[ToyRecord],
    ) -> Result<()> {
        let file = chunk.name();
        encode(records, &self.parameters, &self.label())
            .and_then(|bytes| Ok(chunks.write(&file, &bytes)?))
            .at(Kind::Internal, format!("cannot write toys to {file}"))
    }
}
