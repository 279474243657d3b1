//! What a request makes of a batch of rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::Float32Type;
use arrow::record_batch::RecordBatch;

use super::arrays::{Counts, Room};
use super::chunk::ColumnChunk;
use super::convert::{to_bits, to_lane};
use super::definitions::Compiled;
use super::error::DataError;
use super::expression::is_true;
use super::file::EventFile;
use super::ids::place_of;
use super::scan::Plan;
use super::table::ConditionKind;

/// Events turned from columns into rows at once: what is written of them stays
/// in the processor's first cache until its lines are full.
const TILE_EVENTS: usize = 256;

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
        counts.rows_read += batch.batch.num_rows() as u64;
        let Selected {
            mut rows,
            flags,
            undecided,
        } = self.select(&chunk)?;
        batch.count_undecided(request.weight.as_ref(), &chunk, &undecided, counts)?;
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
        Ok(self.select(&chunk)?.rows.len())
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
        let mut chunk = ColumnChunk::of_file(&rows.file.path, first_row, batch.num_rows());
        for name in &self.names {
            rows.convert(name, &mut chunk)?;
        }
        Ok((rows, chunk))
    }

    /// The rows that are wanted, and the regions of every row.
    fn select(&self, chunk: &ColumnChunk) -> Result<Selected, DataError> {
        let mut wanted = vec![true; chunk.rows()];
        let mut flags = vec![0_u64; chunk.rows()];
        let mut undecided = Vec::new();
        let mut bit = 0;
        for (place, (kind, _, condition)) in self.request.conditions().enumerate() {
            let (values, is_complete) = condition.eval_condition(chunk)?;
            if !is_complete {
                let without = without_value(&values, &wanted);
                if !without.is_empty() {
                    undecided.push((place, without));
                }
            }
            let rows = wanted.iter_mut().zip(&mut flags).zip(values.iter());
            match kind {
                // Not `!is_true`: what has no value is rejected too.
                ConditionKind::Blind => rows.for_each(|((wanted, _), &x)| *wanted &= x == 0.0),
                ConditionKind::Selection => {
                    rows.for_each(|((wanted, _), &x)| *wanted &= is_true(x));
                }
                ConditionKind::Region => {
                    rows.for_each(|((_, flags), &x)| *flags |= u64::from(is_true(x)) << bit);
                    bit += 1;
                }
            }
        }
        if self.request.require_any_flag {
            let rows = wanted.iter_mut().zip(&flags);
            rows.for_each(|(wanted, &flags)| *wanted &= flags != 0);
        }
        Ok(Selected {
            rows: places_of_true(&wanted),
            flags,
            undecided,
        })
    }
}

/// What the conditions of a request make of a batch.
struct Selected {
    /// The rows that are wanted.
    rows: Vec<u32>,
    /// The regions of every row.
    flags: Vec<u64>,
    /// By place in [`ScanRequest::conditions`]: rows for which it has no value.
    undecided: Vec<(usize, Vec<u32>)>,
}

/// The rows among those `wanted` so far that have no value.
fn without_value(values: &[f64], wanted: &[bool]) -> Vec<u32> {
    // No branches: many rows at once.
    let any = values.iter().fold(false, |any, x| any | x.is_nan());
    if !any {
        return Vec::new();
    }
    let rows = (0_u32..).zip(values.iter().zip(wanted));
    let without = rows.filter(|(_, (x, wanted))| x.is_nan() & **wanted);
    without.map(|(row, _)| row).collect()
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
            let lane = to_lane(self.column(name)?).map_err(|message| self.corrupt(message))?;
            chunk.insert_lane(name, lane);
        }
        Ok(())
    }

    /// Counts rows for which conditions have no value, with their weights.
    fn count_undecided(
        &self,
        weight: Option<&Compiled>,
        chunk: &ColumnChunk,
        undecided: &[(usize, Vec<u32>)],
        counts: &mut Counts,
    ) -> Result<(), DataError> {
        if undecided.is_empty() {
            return Ok(());
        }
        let weights = weight.map(|weight| weight.eval_chunk(chunk)).transpose()?;
        for (place, rows) in undecided {
            for &row in rows {
                let weight = weights
                    .as_ref()
                    .map_or(1.0, |weights| weights[row as usize]);
                counts.undecided[*place].count(weight);
            }
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
