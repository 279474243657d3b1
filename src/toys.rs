//! Studies of many pseudo-experiments: every toy is a function of the seed, the point and
//! its number, thrown in parallel. Finished ones are kept in Parquet files, so that a study
//! that was killed goes on and one that was too small grows.

#[cfg(test)]
mod tests;

use crate::error::{Context, Error, Kind, Result};
use crate::files::{Sink, regular};
use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, UInt32Array, UInt64Array};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use sideband_likelihood::toys::ToyRecord;
use sideband_numerics::random::Key;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The word that branches toys off a seed.
const TOYS: u64 = 0x544F_5953;
/// Key of a file's metadata that names the study.
const STUDY: &str = "sideband.study";

/// A study: `toys` pseudo-experiments at each of `points` points.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyStudy {
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

    /// Those of a folder, by their first toy.
    fn list(folder: &Path) -> Result<Vec<Self>> {
        let mut chunks = Vec::new();
        let unlisted = "cannot list the toys of the study";
        for entry in fs::read_dir(folder).at(Kind::Internal, unlisted)? {
            let name = entry.at(Kind::Internal, unlisted)?.file_name();
            chunks.extend(Self::parse(&name.to_string_lossy()));
        }
        chunks.sort_unstable_by_key(|chunk| chunk.toys.start);
        Ok(chunks)
    }
}

/// Finished toys in a folder, by point: of `toys` at each of `points`. None where there is no
/// folder.
pub(crate) fn finished_toys(folder: &Path, points: u32, toys: u64) -> Vec<u64> {
    let files = Chunk::list(folder).unwrap_or_default();
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

impl ToyStudy {
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

    /// Throws and fits the toys that are not in `folder` yet, in parallel, each on one
    /// thread; a file is written when its toys are finished. `throw` is the whole of a
    /// pseudo-experiment, a failed fit included; `should_stop` is asked before each.
    ///
    /// # Errors
    /// Files of another study, files that cannot be read or written,
    /// [`Kind::Interrupted`].
    pub fn run(
        &self,
        folder: &Path,
        throw: impl Fn(Toy) -> ToyRecord + Sync,
        should_stop: impl Fn() -> bool + Sync,
    ) -> Result<()> {
        let finished = Chunk::list(folder)?;
        for chunk in &finished {
            self.read_chunk(folder, chunk)?;
        }
        self.missing(&finished)
            .into_par_iter()
            .try_for_each(|chunk| {
                let toys = chunk.toys.clone().into_par_iter();
                let records: Option<Vec<_>> = toys
                    .map(|t| (!should_stop()).then(|| throw(self.toy(chunk.point, t))))
                    .collect();
                let stopped = || {
                    let kept = "what is finished is kept, and the same command goes on from there";
                    Error::new(Kind::Interrupted, format!("stopped; {kept}"))
                };
                let (file, records) = (chunk.name(), records.ok_or_else(stopped)?);
                let name = format!("cannot write toys to {file}");
                let batch = self.encode(&records).at(Kind::Internal, &name)?;
                let mut sink = Sink::create(&folder.join(&file), name, batch.schema())?;
                sink.note(STUDY, self.label());
                sink.write(&batch)?;
                sink.finish()
            })
    }

    /// The records of the toys that there are, by point and in order of their numbers.
    ///
    /// # Errors
    /// Files of another study, files that cannot be read.
    pub fn read(&self, folder: &Path) -> Result<Vec<Vec<ToyRecord>>> {
        let mut points = vec![BTreeMap::new(); self.points as usize];
        for chunk in Chunk::list(folder)? {
            for record in self.read_chunk(folder, &chunk)? {
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

    /// What is left to do, in chunks; `finished` in their order.
    fn missing(&self, finished: &[Chunk]) -> Vec<Chunk> {
        let mut missing = Vec::new();
        for point in 0..self.points {
            let done = finished.iter().filter(|chunk| chunk.point == point);
            let end = self.toys..self.toys;
            let mut next = 0;
            for range in done.map(|chunk| &chunk.toys).chain([&end]) {
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

    fn read_chunk(&self, folder: &Path, chunk: &Chunk) -> Result<Vec<ToyRecord>> {
        let file = chunk.name();
        self.decode(&folder.join(&file)).map_err(|e| {
            let remedy = "remove it or choose another folder";
            Error::data(format!("toys in {file}: {e}; {remedy}"))
        })
    }

    /// What the files say of the study.
    fn label(&self) -> String {
        format!("{}, seed {}", self.name, self.seed)
    }

    /// The records as columns: `point` (u32), `toy`, `events` (u64), `converged`, `t`, and
    /// `<name>_true`, `<name>_fitted`, `<name>_error` (f64) for each parameter.
    fn encode(&self, records: &[ToyRecord]) -> Result<RecordBatch, ArrowError> {
        let toys = |of: fn(&ToyRecord) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(records.iter().map(of)))
        };
        let numbers = |of: &dyn Fn(&ToyRecord) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(records.iter().map(of)))
        };
        let point = UInt32Array::from_iter_values(records.iter().map(|r| r.point));
        let converged: Vec<bool> = records.iter().map(|r| r.converged).collect();
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("point".into(), Arc::new(point)),
            ("toy".into(), toys(|r| r.toy)),
            ("events".into(), toys(|r| r.events)),
            ("converged".into(), Arc::new(BooleanArray::from(converged))),
            ("t".into(), numbers(&|r| r.t)),
        ];
        for (k, parameter) in self.parameters.iter().enumerate() {
            let values = [
                numbers(&|r| r.truth[k]),
                numbers(&|r| r.fitted[k]),
                numbers(&|r| r.errors[k]),
            ];
            columns.extend(columns_of(parameter).into_iter().zip(values));
        }
        RecordBatch::try_from_iter(columns)
    }

    /// The records of a file.
    fn decode(&self, path: &Path) -> Result<Vec<ToyRecord>, AnyError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(regular::open(path)?)?;
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        let found = metadata
            .and_then(|all| all.iter().find(|pair| pair.key == STUDY))
            .and_then(|pair| pair.value.clone())
            .unwrap_or_default();
        let study = self.label();
        if found != study {
            let text = format!("it holds toys of another study: {found}, expected {study}");
            return Err(text.into());
        }
        let mut records = Vec::new();
        for batch in builder.build()? {
            let batch = batch?;
            let point = column::<UInt32Array>(&batch, "point")?;
            let toy = column::<UInt64Array>(&batch, "toy")?;
            let events = column::<UInt64Array>(&batch, "events")?;
            let converged = column::<BooleanArray>(&batch, "converged")?;
            let t = column::<Float64Array>(&batch, "t")?;
            let mut numbers: [Vec<&Float64Array>; 3] = Default::default();
            for parameter in &self.parameters {
                for (numbers, name) in numbers.iter_mut().zip(columns_of(parameter)) {
                    numbers.push(column(&batch, &name)?);
                }
            }
            records.extend((0..batch.num_rows()).map(|row| {
                let [truth, fitted, errors] = numbers
                    .each_ref()
                    .map(|columns| columns.iter().map(|c| c.value(row)).collect());
                ToyRecord {
                    point: point.value(row),
                    toy: toy.value(row),
                    events: events.value(row),
                    converged: converged.value(row),
                    t: t.value(row),
                    truth,
                    fitted,
                    errors,
                }
            }));
        }
        Ok(records)
    }
}

/// Any error: the caller names the file.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn columns_of(parameter: &str) -> [String; 3] {
    ["true", "fitted", "error"].map(|what| format!("{parameter}_{what}"))
}

fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, AnyError> {
    let array = batch.column_by_name(name);
    array
        .and_then(|array| array.as_any().downcast_ref())
        .ok_or_else(|| format!("it has no column `{name}` as this version writes it").into())
}
