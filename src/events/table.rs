//! The events that came out of a scan or a stream, as arrays; and their identity: the
//! integers that name an event, and the 64-bit key that is made of them.
//!
//! Splits and Poisson weights of ensemble members are functions of the key, so it must
//! never change: not with the platform, the number of threads, the order of files, nor
//! between versions of the program.

use crate::error::Result;
use std::ops::Range;

use rayon::prelude::*;
use sideband_numerics::random::{GOLDEN_GAMMA, fnv1a, mix};

use super::lost::Loss;
use super::memory;

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
            let columns = other.columns.iter();
            self.columns = columns
                .map(|(name, _)| (name.clone(), Vec::new()))
                .collect();
            self.n_features = other.n_features;
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

/// How an event is told from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdSpec {
    /// By integer columns of the file, in this order.
    Columns(Vec<String>),
    /// By the file's place in the sorted list and the row in the file. Changes
    /// with the list of files.
    FileRow,
}

/// One integer of the identity, for every event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdColumn {
    /// The column's name; `file` and `row` for [`IdSpec::FileRow`].
    pub name: String,
    /// Whether `bits` are those of an `i64`.
    pub signed: bool,
    /// The values; a signed one as the two's complement of its `i64`.
    pub bits: Vec<u64>,
}

/// Identities of the `N` events of a table. Only what was read is kept; keys, and
/// the numbers of files and rows, are computed where they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// State of [`event_key`] behind the namespace.
    pub(super) seed: u64,
    /// None if events are told apart by their places.
    pub(super) columns: Vec<IdColumn>,
    pub(super) places: Vec<u64>,
}

impl Ids {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The integers that name an event, without values.
    pub fn names(&self) -> Vec<IdColumn> {
        let column = |name: &str, signed| IdColumn {
            name: name.to_owned(),
            signed,
            bits: Vec::new(),
        };
        match self.columns.as_slice() {
            [] => vec![column("file", false), column("row", false)],
            columns => columns.iter().map(|c| column(&c.name, c.signed)).collect(),
        }
    }

    /// The integers that name an event, in the order of [`Self::names`]; a signed
    /// one as the two's complement of its `i64`.
    pub fn values(&self, event: usize) -> impl Iterator<Item = u64> + '_ {
        let by_place = match self.columns.is_empty() {
            true => {
                let place = self.places[event];
                Some([place >> ROW_BITS, place & ((1 << ROW_BITS) - 1)])
            }
            false => None,
        };
        let columns = self.columns.iter().map(move |column| column.bits[event]);
        by_place.into_iter().flatten().chain(columns)
    }

    /// [`event_key`] of an event.
    pub fn key(&self, event: usize) -> u64 {
        self.values(event).fold(self.seed, extend_key)
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        (0..self.len()).map(|event| self.key(event))
    }

    /// Where an event was read: index of the file in the high 24 bits and row in
    /// it in the low 40. The same in every scan and stream of the same list of
    /// files, whatever they select.
    pub fn place(&self, event: usize) -> u64 {
        self.places[event]
    }

    /// How many events have the key of an earlier one.
    pub(crate) fn duplicates(&self) -> Result<u64> {
        let keys = self.sorted_keys()?;
        Ok(keys.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64)
    }

    /// The keys of all events, rising.
    pub(crate) fn sorted_keys(&self) -> Result<Vec<u64>> {
        let mut keys = memory::reserved(self.len())?;
        let events = (0..self.len()).into_par_iter();
        events
            .map(|event| self.key(event))
            .collect_into_vec(&mut keys);
        keys.par_sort_unstable();
        Ok(keys)
    }

    /// Appends the events `range` of `other`; names and namespace are its own if
    /// there is no event yet.
    pub(super) fn append_range(&mut self, other: &Self, range: Range<usize>) {
        if self.is_empty() {
            self.seed = other.seed;
            self.columns = match other.columns.is_empty() {
                true => Vec::new(),
                false => other.names(),
            };
        }
        self.places.extend_from_slice(&other.places[range.clone()]);
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.bits.extend_from_slice(&from.bits[range.clone()]);
        }
    }
}

/// Bits of [`Ids::place`] that are the row.
const ROW_BITS: u32 = 40;

pub(super) fn place_of(file: usize, row: u64) -> u64 {
    (file as u64) << ROW_BITS | row
}

/// The key of an event: `h = mix(fnv1a_64(namespace))`, then for each value
/// `h = mix((h xor value) + 0x9e3779b97f4a7c15)`, where `mix` is the finaliser
/// of splitmix64 (Steele, Lea, Flood 2014) and arithmetic wraps. Each step is a
/// bijection of the value, so events with one id column never collide within a
/// namespace.
#[cfg(test)]
pub(crate) fn event_key(namespace: &str, values: &[u64]) -> u64 {
    values
        .iter()
        .fold(namespace_seed(namespace), |key, &value| {
            extend_key(key, value)
        })
}

/// The part of [`event_key`] that only depends on the namespace.
pub(super) fn namespace_seed(namespace: &str) -> u64 {
    mix(fnv1a(namespace.as_bytes()))
}

/// One more value into the key.
fn extend_key(key: u64, value: u64) -> u64 {
    mix((key ^ value).wrapping_add(GOLDEN_GAMMA))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values from an independent Python implementation of the formula.
    #[test]
    fn the_key_never_changes() {
        assert_eq!(event_key("", &[]), 0xf52a15e9a9b5e89b);
        assert_eq!(event_key("", &[0]), 0xe587d3dff9e92ed0);
        assert_eq!(event_key("data", &[1]), 0x4030db2877d3a55a);
        assert_eq!(event_key("data", &[42, 7]), 0xa1452bce3355bcd8);
        assert_eq!(event_key("µ", &[18446744073709551615]), 0xf4ce1673f05914c9);
        assert_eq!(event_key("hh4b", &[310, 12345678901]), 0xca8e52c58e6d599d);
    }

    #[test]
    fn namespaces_and_order_matter() {
        assert_ne!(event_key("a", &[1]), event_key("b", &[1]));
        assert_ne!(event_key("a", &[1, 2]), event_key("a", &[2, 1]));
        assert_ne!(event_key("a", &[0]), event_key("a", &[0, 0]));
    }
}
