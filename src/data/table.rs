//! The events that came out of a scan, as arrays.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::error::DataError;
use super::ids::{IdColumn, IdSpec, Ids, extend_key};
use super::scan::{OnMissing, ScanRequest};

/// `N` events with `D` features, in the order of the files and their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventTable {
    /// `D`.
    pub n_features: usize,
    /// Row-major `[N, D]`, all finite.
    pub features: Vec<f32>,
    /// `[N]`, all finite, any sign.
    pub weights: Vec<f64>,
    /// Other variables by name, each `[N]`; NaN where not finite.
    pub columns: Vec<(String, Vec<f32>)>,
    /// `[N]`: bit `i` is region `i` of the request.
    pub flags: Vec<u64>,
    /// Identity of each event.
    pub ids: Ids,
    /// What was counted on the way.
    pub report: ScanReport,
}

/// Counts of a scan. None of them tells how many rows were rejected (blinded)
/// from how many were not selected or in no region.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ScanReport {
    /// Rows in the files, wanted or not.
    pub rows_read: u64,
    /// Rows in the table: `N`.
    pub rows_selected: u64,
    /// Selected rows left out because of missing features.
    pub rows_dropped: u64,
    /// The same for each feature that was missing anywhere; a row that lacks
    /// two features counts for both.
    pub rows_dropped_missing: Vec<(String, u64)>,
    /// Rows of the table whose key an earlier row has already.
    pub duplicate_ids: u64,
}

impl EventTable {
    /// `N`.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether no event was selected.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}

/// Missing values of one feature.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    rows: u64,
    /// Index of the file and row in it.
    first: Option<(usize, u64)>,
}

impl Missing {
    pub(super) fn count(&mut self, file: usize, row: u64) {
        self.rows += 1;
        self.first.get_or_insert((file, row));
    }
}

/// A table in the making, without names.
#[derive(Debug)]
pub(super) struct Piece {
    features: Vec<f32>,
    pub(super) weights: Vec<f64>,
    pub(super) columns: Vec<Vec<f32>>,
    pub(super) flags: Vec<u64>,
    id_columns: Vec<Vec<u64>>,
    key: Vec<u64>,
    pub(super) missing: Vec<Missing>,
    pub(super) rows_read: u64,
    pub(super) rows_dropped: u64,
}

impl Piece {
    pub(super) fn new(request: &ScanRequest) -> Self {
        let id_columns = match &request.id {
            IdSpec::Columns(names) => names.len(),
            IdSpec::FileRow => 2,
        };
        Self {
            features: Vec::new(),
            weights: Vec::new(),
            columns: vec![Vec::new(); request.columns.len()],
            flags: Vec::new(),
            id_columns: vec![Vec::new(); id_columns],
            key: Vec::new(),
            missing: vec![Missing::default(); request.features.len()],
            rows_read: 0,
            rows_dropped: 0,
        }
    }

    /// Appends `rows` of the feature columns, turned into rows.
    pub(super) fn add_features(&mut self, features: &[Arc<Vec<f64>>], rows: &[u32]) {
        let start = self.features.len();
        self.features
            .resize(start + rows.len() * features.len(), 0.0);
        for (d, values) in features.iter().enumerate() {
            let out = self.features[start..]
                .iter_mut()
                .skip(d)
                .step_by(features.len());
            for (out, &row) in out.zip(rows) {
                *out = values[row as usize] as f32;
            }
        }
    }

    /// Appends id columns, and the keys made of them row by row.
    pub(super) fn add_ids(&mut self, seed: u64, ids: &[Vec<u64>]) {
        let start = self.key.len();
        self.key
            .resize(start + ids.first().map_or(0, Vec::len), seed);
        for (to, values) in self.id_columns.iter_mut().zip(ids) {
            for (key, &value) in self.key[start..].iter_mut().zip(values) {
                *key = extend_key(*key, value);
            }
            to.extend_from_slice(values);
        }
    }

    /// Appends the events that come after these.
    pub(super) fn append(&mut self, mut next: Self) {
        self.features.append(&mut next.features);
        self.weights.append(&mut next.weights);
        self.flags.append(&mut next.flags);
        self.key.append(&mut next.key);
        self.columns
            .iter_mut()
            .zip(&mut next.columns)
            .for_each(|(to, from)| to.append(from));
        self.id_columns
            .iter_mut()
            .zip(&mut next.id_columns)
            .for_each(|(to, from)| to.append(from));
        for (to, from) in self.missing.iter_mut().zip(next.missing) {
            to.rows += from.rows;
            to.first = to.first.or(from.first);
        }
        self.rows_read += next.rows_read;
        self.rows_dropped += next.rows_dropped;
    }

    /// Names the arrays; `signs` are those of the id columns.
    pub(super) fn into_table(
        mut self,
        request: &ScanRequest,
        signs: &[bool],
        path: impl Fn(usize) -> PathBuf,
    ) -> Result<EventTable, DataError> {
        if request.on_missing == OnMissing::Error {
            self.refuse_missing(request, path)?;
        }
        let lacking = request
            .features
            .iter()
            .zip(&self.missing)
            .filter(|(_, missing)| missing.rows > 0);
        let report = ScanReport {
            rows_read: self.rows_read,
            rows_selected: self.weights.len() as u64,
            rows_dropped: self.rows_dropped,
            rows_dropped_missing: lacking
                .map(|((name, _), missing)| (name.clone(), missing.rows))
                .collect(),
            duplicate_ids: duplicates(&self.key),
        };
        let id_names: Vec<(String, bool)> = match &request.id {
            IdSpec::Columns(names) => names.iter().cloned().zip(signs.iter().copied()).collect(),
            IdSpec::FileRow => vec![("file".to_owned(), false), ("row".to_owned(), false)],
        };
        self.features.shrink_to_fit();
        let names = request.columns.iter().map(|(name, _)| name.clone());
        let id_columns = id_names.into_iter().zip(self.id_columns);
        Ok(EventTable {
            n_features: request.features.len(),
            features: self.features,
            weights: self.weights,
            columns: names.zip(self.columns).collect(),
            flags: self.flags,
            ids: Ids {
                columns: id_columns
                    .map(|((name, signed), bits)| IdColumn { name, signed, bits })
                    .collect(),
                key: self.key,
            },
            report,
        })
    }

    fn refuse_missing(
        &self,
        request: &ScanRequest,
        path: impl Fn(usize) -> PathBuf,
    ) -> Result<(), DataError> {
        let mut lacking =
            request
                .features
                .iter()
                .zip(&self.missing)
                .filter_map(|((name, _), missing)| {
                    missing
                        .first
                        .map(|(file, row)| (name, missing.rows, file, row))
                });
        let Some((feature, rows, file, row)) = lacking.next() else {
            return Ok(());
        };
        let others: Vec<String> = lacking
            .map(|(name, rows, ..)| format!("`{name}` on {rows}"))
            .collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" (also {})", others.join(", ")),
        };
        Err(DataError::Missing {
            feature: feature.clone(),
            rows,
            path: path(file),
            row,
            others,
        })
    }
}

fn duplicates(key: &[u64]) -> u64 {
    let mut sorted = key.to_vec();
    sorted.par_sort_unstable();
    sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}
