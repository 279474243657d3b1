//! Samples of the interference model as Parquet files.

use super::gaussian::{DIMENSIONS, Point};
use super::{Interference, Nuisance, Process, Side};
use crate::error::{Context, Kind, Result};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sideband_numerics::random::Key;
use std::io::Write;
use std::sync::Arc;

/// Events drawn and written at once.
const ROW_GROUP: usize = 65_536;

const UNWRITTEN: &str = "interference model: cannot write a sample";

/// What the columns of all files are.
fn schema() -> Arc<Schema> {
    let mut fields: Vec<Field> = (1..=DIMENSIONS)
        .map(|i| Field::new(format!("x{i}"), DataType::Float32, false))
        .collect();
    fields.push(Field::new("event_id", DataType::Int64, false));
    fields.push(Field::new("weight", DataType::Float64, false));
    Arc::new(Schema::new(fields))
}

/// Groups of rows as one file.
fn write<W: Write + Send>(
    output: W,
    groups: impl Iterator<Item = Vec<ArrayRef>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build();
    let schema = schema();
    let mut writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))?;
    for columns in groups {
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        writer.flush()?;
    }
    writer.close()?;
    Ok(())
}

/// Writes events, each of weight one, with the columns of the samples; `event_id`
/// counts them.
pub(crate) fn write_events<W: Write + Send>(output: W, events: &[Point]) -> Result<()> {
    let ids = (0..events.len() as i64).collect();
    let columns = columns(events, ids, 1.0);
    write(output, std::iter::once(columns)).at(Kind::Internal, UNWRITTEN)
}

/// One file of simulated events: a process, nominal or at one side of the
/// shape-and-rate nuisance parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub process: Process,
    /// The side, none for nominal.
    pub side: Option<Side>,
}

impl Sample {
    /// All nine: nominal, up and down for each process.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let sides = [None, Some(Side::Up), Some(Side::Down)];
        let of = |process| sides.map(|side| Self { process, side });
        Process::ALL.into_iter().flat_map(of).collect()
    }

    /// `S.parquet`, `S_shape_up.parquet`, `S_shape_down.parquet`, ...
    #[must_use]
    pub fn file_name(&self) -> String {
        let side = match self.side {
            None => "",
            Some(Side::Up) => "_shape_up",
            Some(Side::Down) => "_shape_down",
        };
        format!("{}{side}.parquet", self.process.name())
    }

    /// Its place in [`Sample::all`].
    fn index(&self) -> u64 {
        let side = match self.side {
            None => 0,
            Some(Side::Up) => 1,
            Some(Side::Down) => 2,
        };
        3 * self.process as u64 + side
    }
}

impl Interference {
    /// Writes `n` events of a sample as Parquet: `x1` to `x6` (f32), `event_id`
    /// (i64, no two alike in all nine samples for fewer than 2^32 events each),
    /// `weight` (f64, all equal). The weights add up to the expected events:
    /// `nu_j`, times `G_j(+-1)` in a varied sample. Events are drawn and written in
    /// row groups: memory does not grow with `n`. Samples with one `key` are
    /// independent of each other.
    ///
    /// # Errors
    /// What the writer said.
    pub fn write_sample<W: Write + Send>(
        &self,
        output: W,
        sample: Sample,
        n: usize,
        key: Key,
    ) -> Result<()> {
        let composition = self.of_process(sample.process, sample.side);
        let key = key.with(sample.index());
        let weight = self.sample_events(sample) / n as f64;
        let groups = (0..n).step_by(ROW_GROUP).map(|first| {
            let range = first..n.min(first + ROW_GROUP);
            let events = self.draw(&composition, range.clone(), key);
            let id = |i: usize| ((sample.index() << 32) + i as u64) as i64;
            columns(&events, range.map(id).collect(), weight)
        });
        write(output, groups).at(Kind::Internal, UNWRITTEN)
    }

    /// Expected events of a sample.
    #[must_use]
    pub fn sample_events(&self, sample: Sample) -> f64 {
        let rate = |side: Side| side.of(self.rates(sample.process, Nuisance::Shape));
        self.events(sample.process) * sample.side.map_or(1.0, rate)
    }
}

fn columns(events: &[Point], ids: Vec<i64>, weight: f64) -> Vec<ArrayRef> {
    let column = |d: usize| -> ArrayRef {
        let values = events.iter().map(|x| x[d] as f32);
        Arc::new(Float32Array::from_iter_values(values))
    };
    let mut columns: Vec<ArrayRef> = (0..DIMENSIONS).map(column).collect();
    columns.push(Arc::new(Int64Array::from(ids)));
    columns.push(Arc::new(Float64Array::from(vec![weight; events.len()])));
    columns
}
