//! The files of predictions: a row an event, a column a member.

use super::apply::Predicted;
use crate::error::{Context, Kind, Result};
use crate::events::{EventTable, IdColumn};
use crate::files::Sink;
use crate::training::Member;
use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use std::mem::take;
use std::path::Path;
use std::sync::Arc;

/// Rows that are handed to the writer at once.
const CHUNK_ROWS: usize = 8192;

/// What errors of the file of predictions begin with.
const UNWRITTEN: &str = "cannot write predictions";

/// Whether an event is in each of these regions.
pub(super) fn region_fields<'a>(
    regions: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = Field> {
    regions.map(|name| Field::new(format!("in_{name}"), DataType::Boolean, false))
}

pub(super) fn region_columns(flags: &[u64], regions: usize) -> impl Iterator<Item = ArrayRef> {
    (0..regions).map(|region| {
        let inside: Vec<bool> = flags.iter().map(|f| f >> region & 1 == 1).collect();
        Arc::new(BooleanArray::from(inside)) as ArrayRef
    })
}

pub(super) fn member_fields(members: &[Member], has_nulls: bool) -> impl Iterator<Item = Field> {
    members.iter().map(move |m| {
        let name = format!("member_{:04}", m.about.member);
        Field::new(name, DataType::Float32, has_nulls)
    })
}

/// Writes predictions row by row: id columns, the regions (if any), `weight`
/// (the event's own), `nominal`, `spread`, `median`, and `member_NNN`.
pub(super) struct PredictionWriter {
    sink: Sink,
    regions: usize,
    /// Whether events may have no prediction.
    has_nulls: bool,
    /// Events that are not written yet.
    ids: Vec<IdColumn>,
    flags: Vec<u64>,
    weights: Vec<f64>,
    numbers: [Vec<f64>; 3],
    members: Vec<Vec<f32>>,
    /// Which of the events have a prediction.
    predicted: Vec<bool>,
}

impl PredictionWriter {
    /// A writer of events that are named like those of `table`; `has_nulls`: some of
    /// them have no prediction.
    pub(super) fn new<'a>(
        path: &Path,
        table: &EventTable,
        regions: impl Iterator<Item = &'a String> + Clone,
        members: &[Member],
        has_nulls: bool,
    ) -> Result<Self> {
        let ids = table.ids.names();
        let id = |c: &IdColumn| {
            let kind = match c.signed {
                true => DataType::Int64,
                false => DataType::UInt64,
            };
            Field::new(&c.name, kind, false)
        };
        let mut fields: Vec<Field> = ids.iter().map(id).collect();
        fields.extend(region_fields(regions.clone()));
        fields.push(Field::new("weight", DataType::Float64, false));
        let number = |n: &str| Field::new(n, DataType::Float64, has_nulls);
        fields.extend(["nominal", "spread", "median"].map(number));
        fields.extend(member_fields(members, has_nulls));
        Ok(Self {
            sink: Sink::create(path, UNWRITTEN, Schema::new(fields))?,
            regions: regions.count(),
            has_nulls,
            ids,
            flags: Vec::new(),
            weights: Vec::new(),
            numbers: Default::default(),
            members: vec![Vec::new(); members.len()],
            predicted: Vec::new(),
        })
    }

    /// Appends an event of a table: its numbers and those of each member, or none to a
    /// writer that can have such.
    pub(super) fn push(
        &mut self,
        table: &EventTable,
        row: usize,
        prediction: Option<(Predicted, &[f64])>,
    ) -> Result<()> {
        self.predicted.push(prediction.is_some());
        let (event, members) = prediction.unwrap_or_default();
        for (to, value) in self.ids.iter_mut().zip(table.ids.values(row)) {
            to.bits.push(value);
        }
        self.flags.push(table.flags[row]);
        self.weights.push(table.weights[row]);
        let numbers = [event.nominal, event.spread, event.median];
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            column.push(value);
        }
        for (m, column) in self.members.iter_mut().enumerate() {
            column.push(members.get(m).map_or(0.0, |value| *value as f32));
        }
        if self.flags.len() >= CHUNK_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in &mut self.ids {
            let bits = take(&mut column.bits);
            columns.push(match column.signed {
                true => Arc::new(bits.into_iter().map(|b| b as i64).collect::<Int64Array>()),
                false => Arc::new(UInt64Array::from(bits)),
            });
        }
        columns.extend(region_columns(&take(&mut self.flags), self.regions));
        columns.push(Arc::new(Float64Array::from(take(&mut self.weights))));
        let predicted = take(&mut self.predicted);
        let nulls = self.has_nulls.then(|| NullBuffer::from(predicted));
        for column in &mut self.numbers {
            let array = Float64Array::try_new(take(column).into(), nulls.clone());
            columns.push(Arc::new(array.at(Kind::Internal, UNWRITTEN)?));
        }
        for column in &mut self.members {
            let array = Float32Array::try_new(take(column).into(), nulls.clone());
            columns.push(Arc::new(array.at(Kind::Internal, UNWRITTEN)?));
        }
        self.sink.push(columns)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.sink.finish()
    }
}
