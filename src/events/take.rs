//! What a request makes of a batch of rows.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::arrays::{EventRoom, Reason, ScanCounts};
use super::chunk::{ColumnChunk, to_bits, to_column};
use super::definitions::Compiled;
use super::file::EventFile;
use super::scan::{HIDDEN, HIDDEN_IN_WATCHED, LACKS, OnMissing, ScanPlan};
use super::table::place_of;
use sideband_numerics::expression::is_true;

/// Events turned from columns into rows at once: what is written of them stays
/// in the processor's first cache until its lines are full.
const TILE_EVENTS: usize = 256;

/// Flags that are no regions.
const OF_HIDDEN: u64 = HIDDEN | HIDDEN_IN_WATCHED;

/// A batch of rows of a file.
struct BatchRows<'a> {
    file: &'a EventFile,
    batch: &'a RecordBatch,
    /// Place of the first row in the file.
    first_row: u64,
}

impl ScanPlan<'_> {
    /// Puts the rows of a batch that the request wants into `room`.
    pub(super) fn take(
        &self,
        room: &mut EventRoom<'_>,
        counts: &mut ScanCounts,
        file_index: usize,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<()> {
        let request = self.request;
        let (whole, mut chunk) = self.rows(file_index, batch, first_row)?;
        let selected = self.select(&chunk)?;
        counts.rows_read += selected.visible;
        let (wanted, alone);
        let (batch, values) = match self.values(&whole, &mut chunk, &selected) {
            Ok(values) => (&whole, values),
            // unless the reason is on a row that is not wanted
            Err(_) => {
                wanted = selected
                    .alone(batch)
                    .map_err(|message| whole.corrupt(message))?;
                (alone, chunk) = self.rows(file_index, &wanted, first_row)?;
                let values = self.values(&alone, &mut chunk, &selected)?;
                (&alone, values)
            }
        };
        let Values {
            weights,
            mut features,
            columns,
            categories,
        } = values;
        let (mut rows, mut flags) = (selected.rows, selected.flags);
        if let (Some(weight), Some(weights)) = (&request.weight, &weights) {
            batch.check_weights(weight, request.scale, weights, &rows)?;
        }
        let weight = |row: usize| {
            let own = weights.as_ref().map_or(1.0, |weights| weights[row]);
            request.scale * own
        };
        for (reason, row) in selected.undecided {
            let row = row as usize;
            counts.lose(reason, file_index, batch.row_in_file(row), weight(row));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let lacking = self.lacking(&features, &columns, &categories, &rows, &flags);
        if !lacking.is_empty() {
            for &(reason, row) in &lacking {
                let row = row as usize;
                counts.lose(reason, file_index, batch.row_in_file(row), weight(row));
            }
            let mut complete = vec![true; batch.batch.num_rows()];
            for &(_, row) in &lacking {
                complete[row as usize] = false;
            }
            let incomplete = rows.iter().filter(|&&row| !complete[row as usize]);
            counts.rows_dropped += incomplete.count() as u64;
            if request.on_missing == OnMissing::Keep {
                for feature in &mut features {
                    let values = feature.to_mut().iter_mut();
                    values.filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
                }
                let marked = flags.iter_mut().zip(&complete);
                marked.for_each(|(flags, &complete)| *flags |= if complete { 0 } else { LACKS });
            } else {
                rows.retain(|&row| complete[row as usize]);
            }
        }
        if rows.len() > room.events {
            let message = "it has more events than a moment ago: another program writes to it";
            return Err(batch.corrupt(message));
        }

        let room = room.split_first(rows.len());
        counts.events += rows.len();
        add_features(room.features, &features, &rows);
        let (mut numbers, mut words) = (room.numbers.into_iter(), room.words.into_iter());
        if let Some(to) = numbers.next() {
            match &weights {
                Some(weights) => gather(to, &rows, |row| request.scale * weights[row]),
                None => to.fill(request.scale),
            }
        }
        for (k, (to, values)) in numbers.zip(&columns).enumerate() {
            gather(to, &rows, |row| values[row]);
            if all_finite(to, f64::is_finite) {
                continue;
            }
            let matters = request.matters(k);
            for (&row, &value) in rows.iter().zip(to.iter()) {
                let row = row as usize;
                let reason = match value {
                    _ if matters.is_some_and(|mask| flags[row] & mask == 0) => continue,
                    // counted among what is lacking, above
                    x if x.is_nan() && matters.is_some() => continue,
                    x if x.is_nan() => Reason::Column(k),
                    x if x.is_infinite() => Reason::Infinite(k),
                    _ => continue,
                };
                counts.lose(reason, file_index, batch.row_in_file(row), weight(row));
            }
        }
        if let (Some(to_flags), Some(to_places)) = (words.next(), words.next()) {
            gather(to_flags, &rows, |row| flags[row]);
            let place = |row| place_of(file_index, batch.row_in_file(row));
            gather(to_places, &rows, place);
        }
        for (name, to) in request.id_columns().iter().zip(words) {
            batch.id(name, &rows, to)?;
        }
        Ok(())
    }

    /// What the expressions give on all rows of a batch, as far as rows need them.
    fn values<'a>(
        &self,
        batch: &'a BatchRows<'_>,
        chunk: &mut ColumnChunk,
        selected: &Selected,
    ) -> Result<Values<'a>> {
        let request = self.request;
        let mut values = Values::default();
        if !(selected.rows.is_empty() && selected.undecided.is_empty()) {
            let weights = request.weight.as_ref().map(|w| w.eval_chunk(chunk));
            values.weights = weights.transpose()?;
        }
        if selected.rows.is_empty() {
            return Ok(values);
        }
        for (_, feature) in &request.features {
            values.features.push(batch.feature(feature, chunk)?);
        }
        for (_, variable) in &request.columns {
            values.columns.push(variable.eval_chunk(chunk)?);
        }
        for category in &request.categories {
            values.categories.push(category.value.eval_chunk(chunk)?);
        }
        Ok(values)
    }

    /// What the selected `rows` lack that they must have, in the order of the rows for
    /// each reason.
    fn lacking(
        &self,
        features: &[Cow<'_, [f32]>],
        columns: &[Arc<Vec<f64>>],
        categories: &[Arc<Vec<f64>>],
        rows: &[u32],
        flags: &[u64],
    ) -> Vec<(Reason, u32)> {
        let request = self.request;
        let mut lacking = Vec::new();
        for (k, values) in features.iter().enumerate() {
            let mut made = request.categories.iter().map(|category| &category.inputs);
            if all_finite(values, f32::is_finite) || made.any(|inputs| inputs.contains(&k)) {
                continue;
            }
            let lacks = |row: &&u32| !values[**row as usize].is_finite();
            let missing = rows.iter().filter(lacks);
            lacking.extend(missing.map(|&row| (Reason::Feature(k), row)));
        }
        for (k, (category, values)) in request.categories.iter().zip(categories).enumerate() {
            let unknown = rows.iter().filter(|&&row| {
                let value = values[row as usize];
                !category.listed.contains(&value)
            });
            lacking.extend(unknown.map(|&row| (Reason::Category(k), row)));
        }
        for &(k, mask) in &request.needed {
            let missing = rows.iter().filter(|&&row| {
                let row = row as usize;
                flags[row] & mask != 0 && columns[k][row].is_nan()
            });
            lacking.extend(missing.map(|&row| (Reason::Column(k), row)));
        }
        lacking
    }

    /// How many rows of a batch the request wants, whether they lack features or not.
    pub(super) fn count(
        &self,
        file_index: usize,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<usize> {
        let (_, chunk) = self.rows(file_index, batch, first_row)?;
        Ok(self.select(&chunk)?.rows.len())
    }

    /// A batch, and the columns of it that expressions need.
    fn rows<'a>(
        &'a self,
        file_index: usize,
        batch: &'a RecordBatch,
        first_row: u64,
    ) -> Result<(BatchRows<'a>, ColumnChunk)> {
        let rows = BatchRows {
            file: &self.files[file_index],
            batch,
            first_row,
        };
        let mut chunk = ColumnChunk::of_file(&rows.file.path, first_row, batch.num_rows());
        for name in &self.names {
            rows.convert(name, &mut chunk)?;
        }
        Ok((rows, chunk))
    }

    /// The rows that are wanted, the flags of every row, and what has no value. No number
    /// depends on rows that are gone for being hidden.
    fn select(&self, chunk: &ColumnChunk) -> Result<Selected> {
        let request = self.request;
        let mut undecided = Vec::new();
        let mut wanted = vec![true; chunk.rows()];
        let mut visible = chunk.rows();
        let hidden = self.hidden(chunk)?;
        if let Some(hidden) = &hidden
            && request.hidden.rejects()
        {
            let rows = wanted.iter_mut().zip(hidden);
            rows.for_each(|(wanted, hidden)| *wanted = !hidden);
            visible = wanted.iter().filter(|wanted| **wanted).count();
        }
        if let Some(selection) = &request.selection {
            let values = selection.eval_condition(chunk)?;
            add_undecided(&mut undecided, Reason::Selection, &values, &wanted);
            let rows = wanted.iter_mut().zip(values.iter());
            rows.for_each(|(wanted, &x)| *wanted &= is_true(x));
        }
        let mut flags = vec![0_u64; chunk.rows()];
        for (bit, (_, region)) in request.flags.iter().enumerate() {
            let values = region.eval_condition(chunk)?;
            add_undecided(&mut undecided, Reason::Flag(bit), &values, &wanted);
            let rows = flags.iter_mut().zip(values.iter());
            rows.for_each(|(flags, &x)| *flags |= u64::from(is_true(x)) << bit);
        }
        if let Some(hidden) = &hidden {
            let of_hidden = flags.iter_mut().zip(hidden).filter(|(_, hidden)| **hidden);
            of_hidden.for_each(|(flags, _)| *flags = request.hidden.flags(*flags));
        }
        if request.require_any_flag {
            let rows = wanted.iter_mut().zip(&flags);
            rows.for_each(|(wanted, &flags)| *wanted &= flags & !OF_HIDDEN != 0);
        }
        Ok(Selected {
            rows: places_of_true(&wanted),
            flags,
            visible: visible as u64,
            undecided,
        })
    }

    /// Which rows are hidden; none where nothing is.
    fn hidden(&self, chunk: &ColumnChunk) -> Result<Option<Vec<bool>>> {
        let selections = &self.request.hidden.selections;
        let mut hidden = (!selections.is_empty()).then(|| vec![false; chunk.rows()]);
        for selection in selections {
            let values = selection.eval_condition(chunk)?;
            // Not `is_true`: what is neither true nor false is hidden too.
            let rows = hidden.iter_mut().flatten().zip(values.iter());
            rows.for_each(|(hidden, &x)| *hidden |= x != 0.0);
        }
        Ok(hidden)
    }
}

/// Which rows of a chunk a request wants.
struct Selected {
    rows: Vec<u32>,
    flags: Vec<u64>,
    /// Rows that are not gone for being hidden.
    visible: u64,
    /// Rows for which a selection has no value.
    undecided: Vec<(Reason, u32)>,
}

impl Selected {
    /// A batch with nulls on all rows but those that are wanted, and those for which a
    /// selection has no value.
    fn alone(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut places = vec![None; batch.num_rows()];
        let undecided = self.undecided.iter().map(|(_, row)| *row);
        for row in self.rows.iter().copied().chain(undecided) {
            places[row as usize] = Some(row);
        }
        let places = UInt32Array::from(places);
        let columns = batch
            .columns()
            .iter()
            .map(|array| take(array, &places, None));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields = batch.schema();
        let names = fields.fields().iter().map(|field| field.name());
        RecordBatch::try_from_iter(names.zip(columns))
    }
}

/// What expressions give on all rows of a batch.
#[derive(Default)]
struct Values<'a> {
    weights: Option<Arc<Vec<f64>>>,
    features: Vec<Cow<'a, [f32]>>,
    columns: Vec<Arc<Vec<f64>>>,
    categories: Vec<Arc<Vec<f64>>>,
}

/// Adds the wanted rows for which a selection has no value.
fn add_undecided(
    undecided: &mut Vec<(Reason, u32)>,
    reason: Reason,
    values: &[f64],
    wanted: &[bool],
) {
    if has_nan(values) {
        let rows = (0..).zip(values.iter().zip(wanted));
        let rows = rows.filter(|(_, (x, wanted))| x.is_nan() && **wanted);
        undecided.extend(rows.map(|(row, _)| (reason, row)));
    }
}

// No branches: many values at once.
fn has_nan(values: &[f64]) -> bool {
    values.iter().fold(false, |any, x| any | x.is_nan())
}

impl BatchRows<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch
            .column_by_name(name)
            .ok_or_else(|| self.corrupt(format!("no column `{name}`")))
    }

    fn corrupt(&self, message: impl Display) -> Error {
        self.file
            .corrupt(format!("rows from {}", self.first_row), message)
    }

    fn wrong(&self, row: u32, text: String) -> Error {
        let (path, row) = (self.file.path.display(), self.row_in_file(row as usize));
        Error::data(format!("{path}: row {row}: {text}"))
    }

    fn row_in_file(&self, row: usize) -> u64 {
        self.first_row + row as u64
    }

    /// Adds a column to the chunk, unless it is there.
    fn convert(&self, name: &str, chunk: &mut ColumnChunk) -> Result<()> {
        if chunk.column(name).is_none() {
            let column = to_column(self.column(name)?).map_err(|message| self.corrupt(message))?;
            chunk.insert_column(name, column);
        }
        Ok(())
    }

    fn check_weights(
        &self,
        weight: &Compiled,
        scale: f64,
        weights: &[f64],
        rows: &[u32],
    ) -> Result<()> {
        let bad = |&&row: &&u32| !(scale * weights[row as usize]).is_finite();
        let Some(&row) = rows.iter().find(bad) else {
            return Ok(());
        };
        let is_null = |name: &&String| {
            let array = self.batch.column_by_name(name);
            array.is_some_and(|array| array.is_null(row as usize))
        };
        let found = match weight.columns().iter().find(is_null) {
            Some(name) if weight.as_column().is_none() => format!("null, as column `{name}` is"),
            Some(_) => "null".to_owned(),
            None => (scale * weights[row as usize]).to_string(),
        };
        Err(self.wrong(
            row,
            format!("the weight is {found}; weights must be finite"),
        ))
    }

    /// A feature on all rows, as a network is given it. A column of floats or of integers that
    /// all are an `f64` is not made one of the chunk first.
    fn feature(&self, feature: &Compiled, chunk: &mut ColumnChunk) -> Result<Cow<'_, [f32]>> {
        if let Some(name) = feature.as_column() {
            let array = self.column(name)?;
            if array.null_count() == 0 {
                if let Some(single) = array.as_primitive_opt::<Float32Type>() {
                    return Ok(Cow::Borrowed(single.values()));
                }
                if let Some(double) = array.as_primitive_opt::<Float64Type>() {
                    return Ok(double.values().iter().map(|&x| x as f32).collect());
                }
                if let Some(integers) = array.as_primitive_opt::<Int32Type>() {
                    return Ok(integers.values().iter().map(|&x| x as f32).collect());
                }
            }
            self.convert(name, chunk)?;
        }
        let values = feature.eval_chunk(chunk)?;
        Ok(values.iter().map(|&value| value as f32).collect())
    }

    /// One integer of the identity of the wanted `rows`, none of which may be null.
    fn id(&self, name: &str, rows: &[u32], to: &mut [u64]) -> Result<()> {
        let (bits, nulls) = to_bits(self.column(name)?).map_err(|message| self.corrupt(message))?;
        if let Some(nulls) = nulls
            && let Some(&row) = rows.iter().find(|&&row| nulls.is_null(row as usize))
        {
            return Err(self.wrong(row, format!("id column `{name}` is null")));
        }
        gather(to, rows, |row| bits[row]);
        Ok(())
    }
}

// No branches: many values at once.
fn all_finite<T: Copy>(values: &[T], is_finite: impl Fn(T) -> bool) -> bool {
    values.iter().fold(true, |all, &x| all & is_finite(x))
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
            if let [a, b, c, d] = columns {
                // one length for all, so that a row is looked up once; and by place: an iterator of
                // chunks is not inlined without link-time optimisation
                let length = a.len();
                let (a, b, c, d) = (&a[..length], &b[..length], &c[..length], &d[..length]);
                let mut place = 4 * four;
                for &row in rows {
                    let row = row as usize;
                    if let Some(to) = tile[place..].first_chunk_mut() {
                        *to = [a[row], b[row], c[row], d[row]];
                    }
                    place += width;
                }
                continue;
            }
            for (place, column) in (4 * four..).zip(columns) {
                let column = &**column;
                for (event, &row) in tile.chunks_exact_mut(width).zip(rows) {
                    event[place] = column[row as usize];
                }
            }
        }
    }
}
