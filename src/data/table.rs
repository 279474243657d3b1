//! The events that came out of a scan or a stream, as arrays.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::error::DataError;
use super::ids::{IdColumn, IdSpec, Ids, extend_key};
use super::scan::ScanRequest;

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
    /// `[N]`: where each event was read, index of the file in the high 24 bits
    /// and row in it in the low 40. The same in every scan and stream of the
    /// same list of files, whatever they select.
    pub places: Vec<u64>,
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
    /// Rows of the table whose key an earlier row has already. Not counted (0)
    /// in a stream: all keys would have to be kept.
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

    /// Appends the events `range` of `other`, which came of the same request.
    /// The report stays as it is.
    pub fn append_range(&mut self, other: &Self, range: Range<usize>) {
        if self.ids.columns.is_empty() {
            self.name_like(other);
        }
        let d = other.n_features;
        self.features
            .extend_from_slice(&other.features[range.start * d..range.end * d]);
        self.weights
            .extend_from_slice(&other.weights[range.clone()]);
        self.flags.extend_from_slice(&other.flags[range.clone()]);
        self.places.extend_from_slice(&other.places[range.clone()]);
        self.ids
            .key
            .extend_from_slice(&other.ids.key[range.clone()]);
        for ((_, to), (_, from)) in self.columns.iter_mut().zip(&other.columns) {
            to.extend_from_slice(&from[range.clone()]);
        }
        for (to, from) in self.ids.columns.iter_mut().zip(&other.ids.columns) {
            to.bits.extend_from_slice(&from.bits[range.clone()]);
        }
    }

    /// The events from `first` on, with the report of all but `rows_selected`.
    pub(super) fn without_first(self, first: usize) -> Self {
        if first == 0 {
            return self;
        }
        let mut rest = Self::default();
        rest.append_range(&self, first..self.len());
        rest.report = self.report;
        rest.report.rows_selected = rest.len() as u64;
        rest
    }

    /// Takes over the names of `other`, without events. A table that has names
    /// has id columns.
    fn name_like(&mut self, other: &Self) {
        let ids = other.ids.columns.iter().map(|column| IdColumn {
            name: column.name.clone(),
            signed: column.signed,
            bits: Vec::new(),
        });
        self.n_features = other.n_features;
        self.columns = other
            .columns
            .iter()
            .map(|(name, _)| (name.clone(), Vec::new()))
            .collect();
        self.ids.columns = ids.collect();
    }
}

impl ScanReport {
    /// Adds the counts of another chunk of the same stream.
    pub fn merge(&mut self, other: &Self) {
        self.rows_read += other.rows_read;
        self.rows_selected += other.rows_selected;
        self.rows_dropped += other.rows_dropped;
        self.duplicate_ids += other.duplicate_ids;
        for (name, rows) in &other.rows_dropped_missing {
            let mut known = self.rows_dropped_missing.iter_mut();
            match known.find(|(known, _)| known == name) {
                Some((_, total)) => *total += rows,
                None => self.rows_dropped_missing.push((name.clone(), *rows)),
            }
        }
    }
}

/// The entry of [`EventTable::places`].
pub(super) fn place_of(file: usize, row: u64) -> u64 {
    (file as u64) << 40 | row
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
    pub(super) places: Vec<u64>,
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
            places: Vec::new(),
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
        self.places.append(&mut next.places);
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
    pub(super) fn into_table(mut self, request: &ScanRequest, signs: &[bool]) -> EventTable {
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
            duplicate_ids: 0,
        };
        let id_names: Vec<(String, bool)> = match &request.id {
            IdSpec::Columns(names) => names.iter().cloned().zip(signs.iter().copied()).collect(),
            IdSpec::FileRow => vec![("file".to_owned(), false), ("row".to_owned(), false)],
        };
        self.features.shrink_to_fit();
        let names = request.columns.iter().map(|(name, _)| name.clone());
        let id_columns = id_names.into_iter().zip(self.id_columns);
        EventTable {
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
            places: self.places,
            report,
        }
    }

    /// The first row that lacks a feature, and the first feature that it lacks:
    /// place of the feature, of the file, row.
    pub(super) fn first_missing(&self) -> Option<(usize, usize, u64)> {
        let lacking = self.missing.iter().enumerate();
        lacking
            .filter_map(|(d, missing)| missing.first.map(|(file, row)| (d, file, row)))
            .min_by_key(|&(d, file, row)| (file, row, d))
    }

    /// The error for rows that lack a feature, with all counts.
    pub(super) fn refuse_missing(
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

/// How many keys an earlier row has already.
pub(super) fn duplicates(key: &[u64]) -> u64 {
    let mut sorted = key.to_vec();
    sorted.par_sort_unstable();
    sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}
