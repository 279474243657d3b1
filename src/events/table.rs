//! The events that came out of a scan or a stream, as arrays.

use std::ops::Range;

use super::ids::Ids;
use super::losses::Loss;

/// `N` events with `D` features, in the order of the files and their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventTable {
    /// `D`.
    pub n_features: usize,
    /// Row-major `[N, D]`, all finite.
    pub features: Vec<f32>,
    /// `[N]`, all finite, any sign.
    pub weights: Vec<f64>,
    /// Other variables by name, each `[N]`: what is binned and averaged, as it is in
    /// the file; NaN where there is no value.
    pub columns: Vec<(String, Vec<f64>)>,
    /// `[N]`: bit `i` is region `i` of the request; [`LACKS`](super::LACKS) where
    /// something is missing, if such rows are kept.
    pub flags: Vec<u64>,
    /// Identity of each event.
    pub ids: Ids,
    /// What was counted on the way.
    pub report: ScanReport,
}

/// Counts of a scan. None of them tells how many rows were rejected (blinded)
/// from how many were not selected or in no region.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScanReport {
    /// Rows in the files, wanted or not, but for hidden ones.
    pub rows_read: u64,
    /// Rows in the table: `N`.
    pub rows_selected: u64,
    /// Selected rows that lack a feature, a category or an observable, each once:
    /// left out, or marked if they are kept.
    pub rows_dropped: u64,
    /// Events that are missing somewhere, by reason; a row that lacks two features
    /// counts for both.
    pub losses: Vec<Loss>,
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
        if self.is_empty() {
            self.name_like(other);
        }
        let d = other.n_features;
        self.features
            .extend_from_slice(&other.features[range.start * d..range.end * d]);
        self.weights
            .extend_from_slice(&other.weights[range.clone()]);
        self.flags.extend_from_slice(&other.flags[range.clone()]);
        self.ids.append_range(&other.ids, range.clone());
        for ((_, to), (_, from)) in self.columns.iter_mut().zip(&other.columns) {
            to.extend_from_slice(&from[range.clone()]);
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

    /// Takes over the names of `other`, without events.
    fn name_like(&mut self, other: &Self) {
        self.n_features = other.n_features;
        self.columns = other
            .columns
            .iter()
            .map(|(name, _)| (name.clone(), Vec::new()))
            .collect();
    }
}

impl ScanReport {
    /// Adds the counts of another chunk of the same stream.
    pub fn merge(&mut self, other: &Self) {
        self.rows_read += other.rows_read;
        self.rows_selected += other.rows_selected;
        self.rows_dropped += other.rows_dropped;
        self.duplicate_ids += other.duplicate_ids;
        for loss in &other.losses {
            let same = |known: &&mut Loss| known.kind == loss.kind && known.name == loss.name;
            match self.losses.iter_mut().find(same) {
                Some(known) => {
                    known.events += loss.events;
                    known.weight += loss.weight;
                }
                None => self.losses.push(loss.clone()),
            }
        }
    }
}
