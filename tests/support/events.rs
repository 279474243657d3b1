//! Files of events: their columns, and the small samples that the configurations of
//! `tests/data/configurations` read.

use arrow::array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array};
use arrow::compute::{cast, concat, concat_batches, filter};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sideband_numerics::random::SplitMix64;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Events of each sample of [`reweighting`].
pub const EVENTS: usize = 400;

/// Seeded numbers.
pub struct Numbers(SplitMix64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A Poisson number, by the normal law: means here are in the hundreds.
    pub fn poisson(&mut self, mean: f64) -> usize {
        (mean + mean.sqrt() * self.normal()).round().max(0.0) as usize
    }
}

/// Null where there is none.
pub fn doubles(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(values.into_iter().map(Into::into)))
}

pub fn singles(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    let values = values.into_iter().map(|x| x as f32);
    Arc::new(Float32Array::from_iter_values(values))
}

/// Null where there is none.
pub fn integers(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values.into_iter().map(Into::into)))
}

/// Columns of a file, in order.
#[derive(Clone, Default)]
pub struct Columns(pub Vec<(String, ArrayRef)>);

impl Columns {
    /// Of `event`, from a first number on.
    pub fn numbered(first: i64, events: usize) -> Self {
        Self::default().with("event", integers((first..).take(events)))
    }

    pub fn with(mut self, name: &str, values: ArrayRef) -> Self {
        self.set(name, values);
        self
    }

    /// Puts values in the place of those of the name, or at the end.
    pub fn set(&mut self, name: &str, values: ArrayRef) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(found) => found.1 = values,
            None => self.0.push((name.to_owned(), values)),
        }
    }

    #[track_caller]
    pub fn get(&self, name: &str) -> &ArrayRef {
        let found = self.0.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no column {name}")).1
    }

    /// Values as f64; NaN where null.
    #[track_caller]
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let values = cast(self.get(name), &DataType::Float64).unwrap();
        let values = values.as_any().downcast_ref::<Float64Array>().unwrap();
        values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.0[0].1.len()
    }

    /// Other values, by row and what was there (NaN where null), as f64; null where none.
    #[track_caller]
    pub fn change<X: Into<Option<f64>>>(
        &mut self,
        name: &str,
        mut change: impl FnMut(usize, f64) -> X,
    ) {
        let old = self.numbers(name).into_iter().enumerate();
        let new = doubles(old.map(|(row, x)| change(row, x)));
        self.set(name, new);
    }

    /// Without the columns of some names.
    pub fn drop(&mut self, names: &[&str]) {
        self.0.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    pub fn slice(&self, first: usize, events: usize) -> Self {
        let part = |(name, v): &(String, ArrayRef)| (name.clone(), v.slice(first, events));
        Self(self.0.iter().map(part).collect())
    }

    /// The first events alone.
    pub fn truncate(&mut self, events: usize) {
        *self = self.slice(0, events);
    }

    /// Only the rows of which the numbers in a column are so.
    pub fn keep(&mut self, name: &str, is_kept: impl Fn(f64) -> bool) {
        let kept: Vec<bool> = self.numbers(name).into_iter().map(is_kept).collect();
        self.keep_rows(kept);
    }

    pub fn keep_rows(&mut self, kept: Vec<bool>) {
        let kept = BooleanArray::from(kept);
        for (_, values) in &mut self.0 {
            *values = filter(values, &kept).unwrap();
        }
    }

    /// Adds the events of other columns, of the same names and types.
    pub fn append(&mut self, other: &Self) {
        for (name, values) in &mut self.0 {
            *values = concat(&[values.as_ref(), other.get(name).as_ref()]).unwrap();
        }
    }

    fn batch(&self) -> RecordBatch {
        let field = |(name, values): &(String, ArrayRef)| {
            Field::new(name, values.data_type().clone(), true)
        };
        let fields: Vec<Field> = self.0.iter().map(field).collect();
        let values = self.0.iter().map(|(_, values)| Arc::clone(values));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), values.collect()).unwrap()
    }

    pub fn write_parquet(&self, path: &Path) {
        let (batch, file) = (self.batch(), File::create(path).unwrap());
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    pub fn write_arrow(&self, path: &Path) {
        let (batch, file) = (self.batch(), File::create(path).unwrap());
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }

    pub fn read_parquet(path: &Path) -> Self {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let schema = Arc::clone(reader.schema());
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let batch = concat_batches(&schema, &batches).unwrap();
        let columns = schema.fields().iter().zip(batch.columns());
        let named = columns.map(|(field, values)| (field.name().clone(), Arc::clone(values)));
        Self(named.collect())
    }
}

/// A sample of `reweighting.toml`: `event`, `pt`, `eta`, `mass` in [0, 1), `kind` 0, 1 or
/// 2, `weight`. `shift` moves `pt`, so that there is something to learn.
pub fn reweighting(seed: u64, first_event: i64, events: usize, shift: f64) -> Columns {
    let mut numbers = Numbers::new(seed);
    let mut values: [Vec<f64>; 5] = Default::default();
    for _ in 0..events {
        values[0].push(numbers.normal() + shift);
        values[1].push(numbers.normal());
        values[2].push(numbers.uniform());
        values[3].push((numbers.bits() % 3) as f64);
        values[4].push(0.5 + numbers.uniform());
    }
    let [pt, eta, mass, kind, weight] = values;
    Columns::numbered(first_event, events)
        .with("pt", singles(pt))
        .with("eta", singles(eta))
        .with("mass", doubles(mass))
        .with("kind", integers(kind.into_iter().map(|k| k as i64)))
        .with("weight", doubles(weight))
}

/// Events of [`plane`].
pub const PLANE_EVENTS: usize = 800;

/// The sample of `plane.toml`: `event`, `m1` and `m2` in [60, 200), `pt` above 0, `eta`,
/// `year` 2016 or 2017, `kind` 0, 1 or 2, which no sampled event has, and `weight`.
pub fn plane(seed: u64) -> Columns {
    let mut numbers = Numbers::new(seed);
    let mut real: [Vec<f64>; 5] = Default::default();
    let mut year = Vec::new();
    for _ in 0..PLANE_EVENTS {
        real[0].push(60.0 + 140.0 * numbers.uniform());
        real[1].push(60.0 + 140.0 * numbers.uniform());
        real[2].push(100.0 * (0.5 * numbers.normal()).exp());
        real[3].push(numbers.normal());
        year.push(2016 + (numbers.bits() % 2) as i64);
        real[4].push(0.5 + numbers.uniform());
    }
    let mut columns = Columns::numbered(0, PLANE_EVENTS)
        .with("year", integers(year))
        .with("kind", integers((0..PLANE_EVENTS as i64).map(|i| i % 3)));
    for (name, values) in ["m1", "m2", "pt", "eta", "weight"].iter().zip(real) {
        columns.set(name, doubles(values));
    }
    columns
}

/// Events of `measurement.toml`, so many of signal and of background: `event` from a first
/// number on; `x` and `z` normal, around 1 for signal and 0 for background; a weight `w`,
/// of which `total` add up in each of the regions, with two variations `wu` and `wd` by
/// `z`; the region `reg`.
pub fn measured(
    seed: u64,
    first_event: i64,
    events: [usize; 2],
    total: f64,
    regions: usize,
) -> Columns {
    let mut numbers = Numbers::new(seed);
    let n = events.iter().sum();
    let centre = |event| f64::from(u8::from(event < events[0]));
    let drawn = (0..n).map(|i| [(); 2].map(|()| centre(i) + numbers.normal()));
    let (x, z): (Vec<f64>, Vec<f64>) = drawn.map(|[x, z]| (x, z.clamp(-3.99, 3.99))).unzip();
    let w = regions as f64 * total / n as f64;
    let varied = |sign: f64| z.iter().map(move |z| w * (1.0 + sign * (0.1 + 0.05 * z)));
    Columns::numbered(first_event, n)
        .with("x", doubles(x))
        .with("wu", doubles(varied(1.0)))
        .with("wd", doubles(varied(-1.0)))
        .with("w", doubles(vec![w; n]))
        .with(
            "reg",
            integers((0..n).map(|event| (event % regions) as i64)),
        )
        .with("z", doubles(z.iter().copied()))
}
