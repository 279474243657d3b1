//! What a request makes of a batch of rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::Float32Type;
use arrow::record_batch::RecordBatch;

use super::arrays::{Counts, Room};
use super::chunk::ColumnChunk;
use super::convert::{to_bits, to_f64};
use super::definitions::Compiled;
use super::error::DataError;
use super::expression::is_true;
use super::file::EventFile;
use super::hidden::{HIDDEN, HIDDEN_IN_WATCHED};
use super::ids::place_of;
use super::scan::Plan;

/// Events turned from columns into rows at once: what is written of them stays
/// in the processor's first cache until its lines are full.
const TILE_EVENTS: usize = 256;

/// Flags that are no regions.
const OF_HIDDEN: u64 = HIDDEN | HIDDEN_IN_WATCHED;

/// A batch of rows of a file.
struct Rows<'a> {
    file: &'a EventFile,
    file_index: usize,
    batch: &'a RecordBatch,
    /// Place of the first row in the file.
    first_row: u64,
}

impl Plan<'_> {
    /// Puts the rows of a batch that the request wants into `room`.
    pub(super) fn take(
        &self,
        room: &mut Room<'_>,
        counts: &mut Counts,
        file_index: usize,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<(), DataError> {
        let request = self.request;
        let (batch, mut chunk) = self.rows(file_index, batch, first_row)?;
        let (mut rows, flags, visible) = self.select(&chunk)?;
        counts.rows_read += visible;
        if rows.is_empty() {
            return Ok(());
        }
        let weights = match &request.weight {
            Some(weight) => Some(batch.weights(weight, &chunk, &rows)?),
            None => None,
        };
        let mut features = Vec::with_capacity(request.features.len());
        for (_, feature) in &request.features {
            features.push(batch.feature(feature, &mut chunk)?);
        }
        batch.drop_incomplete(&features, &mut rows, counts);
        if rows.len() > room.flags.len() {
            let message = "it has more events than a moment ago: another program writes to it";
            return Err(batch.corrupt(message.to_owned()));
        }

        let room = room.split_first(rows.len());
        counts.events += rows.len();
        add_features(room.features, &features, &rows);
        for (to, (_, variable)) in room.columns.into_iter().zip(&request.columns) {
            let values = variable.eval_chunk(&chunk)?;
            gather(to, &rows, |row| match values[row] as f32 {
                usable if usable.is_finite() => usable,
                _ => f32::NAN,
            });
        }
        match weights {
            Some(weights) => gather(room.weights, &rows, |row| weights[row]),
            None => room.weights.fill(1.0),
        }
        gather(room.flags, &rows, |row| flags[row]);
        gather(room.places, &rows, |row| {
            place_of(file_index, batch.row_in_file(row))
        });
        for (name, to) in request.id_columns().iter().zip(room.id_columns) {
            batch.id(name, &rows, to)?;
        }
        Ok(())
    }

    /// How many rows of a batch the request wants, whether they lack features or not.
    pub(super) fn count(
        &self,
        file_index: usize,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<usize, DataError> {
        let (_, chunk) = self.rows(file_index, batch, first_row)?;
        Ok(self.select(&chunk)?.0.len())
    }

    /// A batch, and the columns of it that expressions need.
    fn rows<'a>(
        &'a self,
        file_index: usize,
        batch: &'a RecordBatch,
        first_row: u64,
    ) -> Result<(Rows<'a>, ColumnChunk), DataError> {
        let rows = Rows {
            file: &self.files[file_index],
            file_index,
            batch,
            first_row,
        };
        let mut chunk = ColumnChunk::new(batch.num_rows());
        for name in &self.names {
            rows.convert(name, &mut chunk)?;
        }
        Ok((rows, chunk))
    }

    /// The rows that are wanted, the flags of every row, and how many rows are not gone
    /// for being hidden: no other number may depend on those.
    fn select(&self, chunk: &ColumnChunk) -> Result<(Vec<u32>, Vec<u64>, u64), DataError> {
        let request = self.request;
        let mut hidden = vec![false; chunk.rows()];
        for selection in &request.hidden.selections {
            let values = selection.eval_chunk(chunk)?;
            // Not `is_true`: what is neither true nor false is hidden too.
            let rows = hidden.iter_mut().zip(values.iter());
            rows.for_each(|(hidden, &x)| *hidden |= x != 0.0);
        }
        let rejects = request.hidden.rejects();
        let mut wanted: Vec<bool> = hidden.iter().map(|hidden| !(rejects && *hidden)).collect();
        let visible = wanted.iter().filter(|visible| **visible).count() as u64;
        if let Some(selection) = &request.selection {
            let values = selection.eval_chunk(chunk)?;
            let rows = wanted.iter_mut().zip(values.iter());
            rows.for_each(|(wanted, &x)| *wanted &= is_true(x));
        }
        let mut flags = vec![0_u64; chunk.rows()];
        for (bit, (_, region)) in request.flags.iter().enumerate() {
            let values = region.eval_chunk(chunk)?;
            let rows = flags.iter_mut().zip(values.iter());
            rows.for_each(|(flags, &x)| *flags |= u64::from(is_true(x)) << bit);
        }
        let of_hidden = flags.iter_mut().zip(&hidden).filter(|(_, hidden)| **hidden);
        of_hidden.for_each(|(flags, _)| *flags = request.hidden.flags(*flags));
        if request.require_any_flag {
            let rows = wanted.iter_mut().zip(&flags);
            rows.for_each(|(wanted, &flags)| *wanted &= flags & !OF_HIDDEN != 0);
        }
        Ok((places_of_true(&wanted), flags, visible))
    }
}

impl Rows<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef, DataError> {
        self.batch
            .column_by_name(name)
            .ok_or_else(|| self.corrupt(format!("no column `{name}`")))
    }

    fn corrupt(&self, message: String) -> DataError {
        self.file
            .corrupt(format!("rows from {}", self.first_row), message)
    }

    fn row_in_file(&self, row: usize) -> u64 {
        self.first_row + row as u64
    }

    /// Adds a column to the chunk, unless it is there.
    fn convert(&self, name: &str, chunk: &mut ColumnChunk) -> Result<(), DataError> {
        if chunk.column(name).is_none() {
            let values = to_f64(self.column(name)?).map_err(|message| self.corrupt(message))?;
            chunk.insert(name, values)?;
        }
        Ok(())
    }

    /// The weights of all rows, finite on the wanted ones.
    fn weights(
        &self,
        weight: &Compiled,
        chunk: &ColumnChunk,
        rows: &[u32],
    ) -> Result<Arc<Vec<f64>>, DataError> {
        let weights = weight.eval_chunk(chunk)?;
        let bad = |&&row: &&u32| !weights[row as usize].is_finite();
        match rows.iter().find(bad) {
            Some(&row) => Err(DataError::BadWeight {
                path: self.file.path.clone(),
                row: self.row_in_file(row as usize),
                value: weights[row as usize],
            }),
            None => Ok(weights),
        }
    }

    /// A feature on all rows, as a network is given it. A column of `f32` is not
    /// converted to `f64` and back.
    fn feature(
        &self,
        feature: &Compiled,
        chunk: &mut ColumnChunk,
    ) -> Result<Cow<'_, [f32]>, DataError> {
        if let Some(name) = feature.as_column() {
            let array = self.column(name)?;
            if let Some(single) = array.as_primitive_opt::<Float32Type>()
                && single.null_count() == 0
            {
                return Ok(Cow::Borrowed(single.values()));
            }
            self.convert(name, chunk)?;
        }
        let values = feature.eval_chunk(chunk)?;
        Ok(values.iter().map(|&value| value as f32).collect())
    }

    /// Removes from `rows` those that lack a feature, and counts them.
    fn drop_incomplete(
        &self,
        features: &[Cow<'_, [f32]>],
        rows: &mut Vec<u32>,
        counts: &mut Counts,
    ) {
        // No branches: many rows at once.
        let finite = |values: &[f32]| values.iter().fold(true, |all, x| all & x.is_finite());
        if features.iter().all(|values| finite(values)) {
            return;
        }
        let mut complete = vec![true; self.batch.num_rows()];
        for (values, missing) in features.iter().zip(&mut counts.missing) {
            for &row in rows.iter() {
                if !values[row as usize].is_finite() {
                    complete[row as usize] = false;
                    missing.count(self.file_index, self.row_in_file(row as usize));
                }
            }
        }
        let before = rows.len();
        rows.retain(|&row| complete[row as usize]);
        counts.rows_dropped += (before - rows.len()) as u64;
    }

    /// One integer of the identity of the wanted `rows`, none of which may be null.
    fn id(&self, name: &str, rows: &[u32], to: &mut [u64]) -> Result<(), DataError> {
        let (bits, nulls) = to_bits(self.column(name)?).map_err(|message| self.corrupt(message))?;
        if let Some(nulls) = nulls
            && let Some(&row) = rows.iter().find(|&&row| nulls.is_null(row as usize))
        {
            return Err(DataError::BadId {
                path: self.file.path.clone(),
                row: self.row_in_file(row as usize),
                column: name.to_owned(),
            });
        }
        gather(to, rows, |row| bits[row]);
        Ok(())
    }
}

/// The places where it is true; no branches, which could not be foreseen.
fn places_of_true(wanted: &[bool]) -> Vec<u32> {
    let mut places = vec![0; wanted.len()];
    let mut count = 0;
    for (place, &wanted) in (0_u32..).zip(wanted) {
        places[count] = place;
        count += usize::from(wanted);
    }
    places.truncate(count);
    places
}

fn gather<T>(to: &mut [T], rows: &[u32], value: impl Fn(usize) -> T) {
    for (to, &row) in to.iter_mut().zip(rows) {
        *to = value(row as usize);
    }
}

/// Writes `rows` of the feature columns, turned into rows; four columns at once,
/// for which a row is looked up once.
fn add_features(to: &mut [f32], features: &[Cow<'_, [f32]>], rows: &[u32]) {
    let width = features.len();
    if width == 0 {
        return;
    }
    let tiles = to.chunks_mut(TILE_EVENTS * width);
    for (tile, rows) in tiles.zip(rows.chunks(TILE_EVENTS)) {
        for (four, columns) in features.chunks(4).enumerate() {
            let events = tile.chunks_exact_mut(width).zip(rows);
            let events = events.map(|(event, &row)| (&mut event[4 * four..], row as usize));
            if let [a, b, c, d] = columns {
                let (a, b, c, d) = (&**a, &**b, &**c, &**d);
                for (event, row) in events {
                    event[..4].copy_from_slice(&[a[row], b[row], c[row], d[row]]);
                }
            } else {
                for (event, row) in events {
                    for (to, column) in event.iter_mut().zip(columns) {
                        *to = column[row];
                    }
                }
            }
        }
    }
}
