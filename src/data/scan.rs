//! One pass over the files into memory: selection, features, weights, regions and ids.
//!
//! Only the columns that are needed are read. Row groups are read in parallel;
//! the events come out in the order of the files and of the rows in them,
//! whatever the number of threads.
//!
//! A row goes through: `reject` (blinding), `selection`, regions, weight,
//! features. What is rejected leaves no trace in any count, so that looking at
//! a report does not unblind.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::chunk::ColumnChunk;
use super::convert::{to_bits, to_f64};
use super::dataset::Dataset;
use super::definitions::Compiled;
use super::error::DataError;
use super::expression::is_true;
use super::file::{EventFile, Part};
use super::ids::{IdSpec, namespace_seed};
use super::table::{EventTable, Piece, duplicates, place_of};

/// Most regions a scan can tell apart.
pub const MAX_FLAGS: usize = 64;
/// Parts handled by each thread before the results are put together.
const PARTS_PER_THREAD: usize = 4;

/// What to do with a selected row that has no finite value of a feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Refuse the data, and say how many rows and where.
    #[default]
    Error,
    /// Leave the row out, and count it.
    Drop,
}

/// What to read from a [`Dataset`].
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Rows where this is true (not 0, not NaN) are selected; all without it.
    pub selection: Option<Compiled>,
    /// Blinding: rows where any of these is true *or NaN* are gone before
    /// anything else, and never counted. What cannot be decided is rejected.
    pub reject: Vec<Compiled>,
    /// Inputs of a network, by name: finite on every row, as `f32` too.
    pub features: Vec<(String, Compiled)>,
    /// Other variables, for histograms: where not finite, NaN.
    pub columns: Vec<(String, Compiled)>,
    /// Regions: region `i` is bit `i` of a row's flags. At most [`MAX_FLAGS`].
    pub flags: Vec<(String, Compiled)>,
    /// Whether rows in none of the regions are left out.
    pub require_any_flag: bool,
    /// Event weight, finite on every selected row; 1 without it.
    pub weight: Option<Compiled>,
    /// How events are identified.
    pub id: IdSpec,
    /// Told apart from equal ids of other samples by this; see
    /// [`event_key`](super::event_key).
    pub id_namespace: String,
    /// Rows with a missing feature.
    pub on_missing: OnMissing,
}

impl Default for ScanRequest {
    /// All rows, nothing of them but their place.
    fn default() -> Self {
        Self {
            selection: None,
            reject: Vec::new(),
            features: Vec::new(),
            columns: Vec::new(),
            flags: Vec::new(),
            require_any_flag: false,
            weight: None,
            id: IdSpec::FileRow,
            id_namespace: String::new(),
            on_missing: OnMissing::Error,
        }
    }
}

impl ScanRequest {
    fn expressions(&self) -> impl Iterator<Item = &Compiled> {
        let named = self
            .features
            .iter()
            .chain(&self.columns)
            .chain(&self.flags)
            .map(|(_, compiled)| compiled);
        self.selection
            .iter()
            .chain(&self.reject)
            .chain(&self.weight)
            .chain(named)
    }

    /// Whether the number of events is the number of rows, in any part.
    pub(super) fn takes_every_row(&self) -> bool {
        let drops = self.on_missing == OnMissing::Drop && !self.features.is_empty();
        self.selection.is_none() && self.reject.is_empty() && !self.require_any_flag && !drops
    }

    fn id_columns(&self) -> &[String] {
        match &self.id {
            IdSpec::Columns(names) => names,
            IdSpec::FileRow => &[],
        }
    }
}

/// A request that has been checked against the files.
pub(super) struct Plan<'a> {
    files: &'a [EventFile],
    request: &'a ScanRequest,
    /// Columns that expressions need.
    names: BTreeSet<&'a str>,
    /// What is read of each file.
    projections: Vec<Vec<usize>>,
    /// Whether the id columns have signs.
    signs: Vec<bool>,
    seed: u64,
}

impl Dataset {
    /// Reads the events that `request` asks for. `progress` is called from
    /// several threads with the number of rows just read.
    pub fn scan(
        &self,
        request: &ScanRequest,
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<EventTable, DataError> {
        let plan = Plan::new(self, request)?;
        let jobs = self.jobs();
        let mut whole = Piece::new(request);
        for wave in jobs.chunks(PARTS_PER_THREAD * rayon::current_num_threads()) {
            let read = |&job: &Job| {
                let mut piece = Piece::new(request);
                plan.read::<DataError>(job, |batch, first_row| {
                    plan.take(&mut piece, job.file, batch, first_row)?;
                    if let Some(progress) = progress {
                        progress(batch.num_rows() as u64);
                    }
                    Ok(())
                })?;
                Ok(piece)
            };
            let pieces: Vec<Result<Piece, DataError>> = wave.par_iter().map(read).collect();
            for piece in pieces {
                whole.append(piece?);
            }
        }
        if request.on_missing == OnMissing::Error {
            whole.refuse_missing(request, |index| plan.files[index].path.clone())?;
        }
        let mut table = plan.table(whole);
        table.report.duplicate_ids = duplicates(&table.ids.key);
        Ok(table)
    }

    /// The parts of all files, in the order of files and rows.
    pub(super) fn jobs(&self) -> Vec<Job> {
        let files = self.event_files().iter().enumerate();
        files
            .flat_map(|(file, opened)| opened.parts.iter().map(move |&part| Job { file, part }))
            .collect()
    }
}

/// A part of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Place of the file in the list.
    pub(super) file: usize,
    pub(super) part: Part,
}

impl<'a> Plan<'a> {
    /// Checks the request; nothing is read.
    pub(super) fn new(dataset: &'a Dataset, request: &'a ScanRequest) -> Result<Self, DataError> {
        if request.flags.len() > MAX_FLAGS {
            return Err(DataError::TooManyFlags {
                found: request.flags.len(),
                limit: MAX_FLAGS,
            });
        }
        if request.id == IdSpec::Columns(Vec::new()) {
            return Err(DataError::NoIdColumns);
        }
        let names: BTreeSet<&str> = request
            .expressions()
            .flat_map(Compiled::columns)
            .map(String::as_str)
            .collect();
        let signs = request
            .id_columns()
            .iter()
            .map(|name| dataset.id_sign(name))
            .collect::<Result<Vec<_>, _>>()?;
        let all = names
            .iter()
            .copied()
            .chain(request.id_columns().iter().map(String::as_str))
            .collect();
        Ok(Self {
            files: dataset.event_files(),
            request,
            names,
            projections: dataset.projections(&all)?,
            signs,
            seed: namespace_seed(&request.id_namespace),
        })
    }

    /// Reads one part, batch by batch; see [`EventFile::read`].
    pub(super) fn read<E: From<DataError>>(
        &self,
        job: Job,
        visit: impl FnMut(&RecordBatch, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.files[job.file].read(job.part, &self.projections[job.file], visit)
    }

    /// Names what was taken.
    pub(super) fn table(&self, piece: Piece) -> EventTable {
        piece.into_table(self.request, &self.signs)
    }

    /// Adds the rows of a batch that the request wants to `piece`.
    pub(super) fn take(
        &self,
        piece: &mut Piece,
        file_index: usize,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<(), DataError> {
        let (request, file) = (self.request, &self.files[file_index]);
        let row_in_file = |row: u32| first_row + u64::from(row);
        let place = || format!("rows from {first_row}");
        piece.rows_read += batch.num_rows() as u64;

        let mut chunk = ColumnChunk::new(batch.num_rows());
        for &name in &self.names {
            let array = column(batch, name)
                .ok_or_else(|| file.corrupt(place(), format!("no column `{name}`")))?;
            let values = to_f64(array).map_err(|message| file.corrupt(place(), message))?;
            chunk.insert(name, values)?;
        }

        let (mut rows, flags) = self.select(&chunk)?;
        if rows.is_empty() {
            return Ok(());
        }

        let weights = request
            .weight
            .as_ref()
            .map(|weight| weight.eval_chunk(&chunk))
            .transpose()?;
        if let Some(weights) = &weights
            && let Some(&row) = rows.iter().find(|&&row| !weights[row as usize].is_finite())
        {
            let (path, value) = (file.path.clone(), weights[row as usize]);
            return Err(DataError::BadWeight {
                path,
                row: row_in_file(row),
                value,
            });
        }

        let mut features = Vec::with_capacity(request.features.len());
        let mut complete = vec![true; rows.len()];
        for (d, (_, feature)) in request.features.iter().enumerate() {
            let values = feature.eval_chunk(&chunk)?;
            for (&row, complete) in rows.iter().zip(&mut complete) {
                if !is_usable(values[row as usize]) {
                    *complete = false;
                    piece.missing[d].count(file_index, row_in_file(row));
                }
            }
            features.push(values);
        }
        let before = rows.len();
        let mut complete = complete.into_iter();
        rows.retain(|_| complete.next().unwrap_or(false));
        piece.rows_dropped += (before - rows.len()) as u64;

        piece.add_features(&features, &rows);
        for (out, (_, variable)) in piece.columns.iter_mut().zip(&request.columns) {
            let values = variable.eval_chunk(&chunk)?;
            out.extend(rows.iter().map(|&row| {
                let value = values[row as usize];
                if is_usable(value) {
                    value as f32
                } else {
                    f32::NAN
                }
            }));
        }
        match weights {
            Some(weights) => piece
                .weights
                .extend(rows.iter().map(|&row| weights[row as usize])),
            None => piece.weights.resize(piece.weights.len() + rows.len(), 1.0),
        }
        piece
            .flags
            .extend(rows.iter().map(|&row| flags[row as usize]));
        let ids = match &request.id {
            IdSpec::FileRow => {
                let place = rows.iter().map(|&row| row_in_file(row)).collect();
                vec![vec![file_index as u64; rows.len()], place]
            }
            IdSpec::Columns(names) => self.ids(names, file, batch, first_row, &rows)?,
        };
        piece.add_ids(self.seed, &ids);
        piece.places.extend(
            rows.iter()
                .map(|&row| place_of(file_index, row_in_file(row))),
        );
        Ok(())
    }

    /// The rows that are wanted, and the regions of every row.
    fn select(&self, chunk: &ColumnChunk) -> Result<(Vec<u32>, Vec<u64>), DataError> {
        let request = self.request;
        let mut wanted = vec![true; chunk.rows()];
        for reject in &request.reject {
            let values = reject.eval_chunk(chunk)?;
            // Not `!is_true`: NaN is rejected too.
            wanted
                .iter_mut()
                .zip(values.iter())
                .for_each(|(wanted, &x)| *wanted &= x == 0.0);
        }
        if let Some(selection) = &request.selection {
            let values = selection.eval_chunk(chunk)?;
            wanted
                .iter_mut()
                .zip(values.iter())
                .for_each(|(wanted, &x)| *wanted &= is_true(x));
        }
        let mut flags = vec![0_u64; chunk.rows()];
        for (bit, (_, region)) in request.flags.iter().enumerate() {
            let values = region.eval_chunk(chunk)?;
            flags
                .iter_mut()
                .zip(values.iter())
                .for_each(|(flags, &x)| *flags |= u64::from(is_true(x)) << bit);
        }
        let all_rows = 0..u32::try_from(chunk.rows()).unwrap_or(u32::MAX);
        let in_region = |row: usize| !request.require_any_flag || flags[row] != 0;
        let rows = all_rows
            .filter(|&row| wanted[row as usize] && in_region(row as usize))
            .collect();
        Ok((rows, flags))
    }

    /// The id columns on the wanted `rows` of a batch, none of which may be null.
    fn ids(
        &self,
        names: &[String],
        file: &EventFile,
        batch: &RecordBatch,
        first_row: u64,
        rows: &[u32],
    ) -> Result<Vec<Vec<u64>>, DataError> {
        let place = || format!("rows from {first_row}");
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            let array = column(batch, name)
                .ok_or_else(|| file.corrupt(place(), format!("no column `{name}`")))?;
            let (bits, nulls) = to_bits(array).map_err(|message| file.corrupt(place(), message))?;
            if let Some(nulls) = nulls
                && let Some(&row) = rows.iter().find(|&&row| nulls.is_null(row as usize))
            {
                let row = first_row + u64::from(row);
                return Err(DataError::BadId {
                    path: file.path.clone(),
                    row,
                    column: name.clone(),
                });
            }
            ids.push(rows.iter().map(|&row| bits[row as usize]).collect());
        }
        Ok(ids)
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a arrow::array::ArrayRef> {
    batch.column_by_name(name)
}

/// Whether a network can be given the value: finite, and not too large for `f32`.
fn is_usable(value: f64) -> bool {
    (value as f32).is_finite()
}
