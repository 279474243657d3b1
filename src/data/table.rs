//! The events that came out of a scan or a stream, as arrays.

use std::ops::Range;

use rayon::prelude::*;

use super::ids::{IdColumn, Ids};

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

/// Bits of an entry of [`EventTable::places`] that are the row.
const ROW_BITS: u32 = 40;

/// The entry of [`EventTable::places`].
pub(super) fn place_of(file: usize, row: u64) -> u64 {
    (file as u64) << ROW_BITS | row
}

/// Index of the file of a place.
pub(super) fn file_of(place: u64) -> u64 {
    place >> ROW_BITS
}

/// Row in the file of a place.
pub(super) fn row_of(place: u64) -> u64 {
    place & ((1 << ROW_BITS) - 1)
}

/// How many keys an earlier row has already.
pub(super) fn duplicates(key: &[u64]) -> u64 {
    let mut sorted = key.to_vec();
    sorted.par_sort_unstable();
    sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}
