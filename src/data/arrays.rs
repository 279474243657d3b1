//! The arrays of a table in the making, with room for events that several
//! threads fill at once: each has a [`Room`] of its own. Rooms that were not
//! filled leave gaps, which [`Arrays::close_up`] removes.

use std::mem;
use std::path::PathBuf;

use super::error::DataError;
use super::ids::{IdColumn, Ids};
use super::scan::ScanRequest;
use super::table::{EventTable, NoValue, ScanReport};

/// Arrays for `room` events. What has not been written is 0, and costs no memory
/// where the system gives zeroed pages on first use.
#[derive(Debug)]
pub(super) struct Arrays {
    width: usize,
    room: usize,
    features: Vec<f32>,
    weights: Vec<f64>,
    columns: Vec<Vec<f32>>,
    flags: Vec<u64>,
    /// Empty if events are identified by their places.
    id_columns: Vec<Vec<u64>>,
    places: Vec<u64>,
}

/// The part of [`Arrays`] that one thread fills.
#[derive(Debug)]
pub(super) struct Room<'a> {
    width: usize,
    /// Row-major.
    pub(super) features: &'a mut [f32],
    pub(super) weights: &'a mut [f64],
    pub(super) columns: Vec<&'a mut [f32]>,
    pub(super) flags: &'a mut [u64],
    pub(super) id_columns: Vec<&'a mut [u64]>,
    pub(super) places: &'a mut [u64],
}

impl Arrays {
    pub(super) fn new(request: &ScanRequest, room: usize) -> Self {
        let width = request.features.len();
        Self {
            width,
            room,
            features: vec![0.0; room * width],
            weights: vec![0.0; room],
            columns: request.columns.iter().map(|_| vec![0.0; room]).collect(),
            flags: vec![0; room],
            id_columns: request.id_columns().iter().map(|_| vec![0; room]).collect(),
            places: vec![0; room],
        }
    }

    /// How many events there is room for.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Bytes that an event takes.
    pub(super) fn event_bytes(request: &ScanRequest) -> usize {
        let floats = request.features.len() + request.columns.len();
        // Weight, flags, place.
        floats * size_of::<f32>() + (3 + request.id_columns().len()) * size_of::<u64>()
    }

    /// Makes room for `room` events, of which the first `events` are kept. What
    /// the system refuses is an error here, where an allocation would abort.
    pub(super) fn grow(
        &mut self,
        events: usize,
        room: usize,
        request: &ScanRequest,
    ) -> Result<(), DataError> {
        let bytes = room.saturating_mul(Self::event_bytes(request));
        let mut probe: Vec<u8> = Vec::new();
        probe
            .try_reserve_exact(bytes)
            .map_err(|source| DataError::NoRoom { rows: room, source })?;
        drop(probe);
        let width = self.width;
        self.room = room;
        grow(&mut self.features, events * width, room * width);
        grow(&mut self.weights, events, room);
        for column in &mut self.columns {
            grow(column, events, room);
        }
        for array in self.words() {
            grow(array, events, room);
        }
        Ok(())
    }

    /// The arrays from event number `start` on.
    pub(super) fn room_from(&mut self, start: usize) -> Room<'_> {
        Room {
            width: self.width,
            features: &mut self.features[start * self.width..],
            weights: &mut self.weights[start..],
            columns: from_each(&mut self.columns, start),
            flags: &mut self.flags[start..],
            id_columns: from_each(&mut self.id_columns, start),
            places: &mut self.places[start..],
        }
    }

    /// Moves the events that lie at `(start, length)` behind each other, from
    /// event number `to` on; an array is moved by one thread.
    pub(super) fn close_up(&mut self, to: usize, filled: &[(usize, usize)]) {
        let Self {
            width, features, ..
        } = self;
        let width = *width;
        let (features, weights, columns) = (features, &mut self.weights, &mut self.columns);
        let (id_columns, others) = (&mut self.id_columns, [&mut self.flags, &mut self.places]);
        rayon::scope(|scope| {
            scope.spawn(move |_| close_up(features, width, to, filled));
            scope.spawn(move |_| close_up(weights, 1, to, filled));
            for column in columns {
                scope.spawn(move |_| close_up(column, 1, to, filled));
            }
            for array in id_columns.iter_mut().chain(others) {
                scope.spawn(move |_| close_up(array, 1, to, filled));
            }
        });
    }

    /// Names the arrays and cuts them to what was counted. `signs` and `seed` are
    /// those of the ids.
    pub(super) fn into_table(
        mut self,
        counts: &Counts,
        request: &ScanRequest,
        signs: &[bool],
        seed: u64,
    ) -> EventTable {
        let events = counts.events;
        cut(&mut self.features, events * self.width);
        cut(&mut self.weights, events);
        self.columns
            .iter_mut()
            .for_each(|column| cut(column, events));
        self.words().for_each(|array| cut(array, events));
        let names = request.columns.iter().map(|(name, _)| name.clone());
        let id_names = request.id_columns().iter().cloned().zip(signs);
        let id_columns = id_names.zip(self.id_columns);
        let id_columns = id_columns
            .map(|((name, &signed), bits)| IdColumn { name, signed, bits })
            .collect();
        EventTable {
            n_features: self.width,
            features: self.features,
            weights: self.weights,
            columns: names.zip(self.columns).collect(),
            flags: self.flags,
            ids: Ids::new(seed, id_columns, self.places),
            report: counts.report(request),
        }
    }

    fn words(&mut self) -> impl Iterator<Item = &mut Vec<u64>> {
        let others = [&mut self.flags, &mut self.places];
        self.id_columns.iter_mut().chain(others)
    }
}

impl<'a> Room<'a> {
    /// Parts with the room for the first `events`, which this then lacks.
    pub(super) fn split_first(&mut self, events: usize) -> Room<'a> {
        Room {
            width: self.width,
            features: split_first(&mut self.features, events * self.width),
            weights: split_first(&mut self.weights, events),
            columns: split_each(&mut self.columns, events),
            flags: split_first(&mut self.flags, events),
            id_columns: split_each(&mut self.id_columns, events),
            places: split_first(&mut self.places, events),
        }
    }
}

fn grow<T: Copy + Default>(array: &mut Vec<T>, keep: usize, length: usize) {
    let mut longer = vec![T::default(); length];
    longer[..keep].copy_from_slice(&array[..keep]);
    *array = longer;
}

fn cut<T>(array: &mut Vec<T>, length: usize) {
    array.truncate(length);
    array.shrink_to_fit();
}

fn close_up<T: Copy>(array: &mut [T], width: usize, to: usize, filled: &[(usize, usize)]) {
    let mut to = to * width;
    for &(start, length) in filled {
        let (start, length) = (start * width, length * width);
        if start != to {
            array.copy_within(start..start + length, to);
        }
        to += length;
    }
}

fn from_each<T>(arrays: &mut [Vec<T>], start: usize) -> Vec<&mut [T]> {
    arrays.iter_mut().map(|array| &mut array[start..]).collect()
}

fn split_first<'a, T>(array: &mut &'a mut [T], length: usize) -> &'a mut [T] {
    let (first, rest) = mem::take(array).split_at_mut(length);
    *array = rest;
    first
}

fn split_each<'a, T>(arrays: &mut [&'a mut [T]], length: usize) -> Vec<&'a mut [T]> {
    arrays
        .iter_mut()
        .map(|array| split_first(array, length))
        .collect()
}

/// What is counted while rows are read.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) rows_read: u64,
    pub(super) rows_dropped: u64,
    /// Events in the table.
    pub(super) events: usize,
    /// Of each feature.
    pub(super) missing: Vec<Missing>,
    /// Of each of [`ScanRequest::conditions`].
    pub(super) undecided: Vec<Undecided>,
}

/// Rows for which a condition has no value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undecided {
    rows: u64,
    weight: f64,
    /// What rounding took from `weight`: sums of parts agree with the sum of all.
    rest: f64,
}

impl Undecided {
    /// Adds a row; its weight if that is finite.
    pub(super) fn count(&mut self, weight: f64) {
        self.rows += 1;
        if weight.is_finite() {
            self.add(weight);
        }
    }

    fn add(&mut self, weight: f64) {
        let sum = self.weight + weight;
        let added = sum - self.weight;
        self.rest += (self.weight - (sum - added)) + (weight - added);
        self.weight = sum;
    }

    fn merge(&mut self, next: &Self) {
        self.rows += next.rows;
        self.add(next.weight);
        self.rest += next.rest;
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

impl Counts {
    pub(super) fn new(request: &ScanRequest) -> Self {
        Self {
            rows_read: 0,
            rows_dropped: 0,
            events: 0,
            missing: vec![Missing::default(); request.features.len()],
            undecided: vec![Undecided::default(); request.conditions().count()],
        }
    }

    /// Adds what was counted on the rows that come after these.
    pub(super) fn merge(&mut self, next: &Self) {
        self.rows_read += next.rows_read;
        self.rows_dropped += next.rows_dropped;
        self.events += next.events;
        for (to, from) in self.missing.iter_mut().zip(&next.missing) {
            to.rows += from.rows;
            to.first = to.first.or(from.first);
        }
        for (to, from) in self.undecided.iter_mut().zip(&next.undecided) {
            to.merge(from);
        }
    }

    fn report(&self, request: &ScanRequest) -> ScanReport {
        let features = request.features.iter().zip(&self.missing);
        let conditions = request.conditions().zip(&self.undecided);
        let undecided = conditions.filter(|(_, undecided)| undecided.rows > 0);
        let no_value = undecided.map(|((kind, name, _), undecided)| NoValue {
            kind,
            condition: name.to_owned(),
            rows: undecided.rows,
            weight: undecided.weight + undecided.rest,
        });
        ScanReport {
            rows_read: self.rows_read,
            rows_selected: self.events as u64,
            rows_dropped: self.rows_dropped,
            rows_dropped_missing: features
                .filter(|(_, missing)| missing.rows > 0)
                .map(|((name, _), missing)| (name.clone(), missing.rows))
                .collect(),
            duplicate_ids: 0,
            no_value: no_value.collect(),
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
        let named = request.features.iter().zip(&self.missing);
        let mut lacking = named.filter_map(|((name, _), missing)| {
            let (file, row) = missing.first?;
            Some((name, missing.rows, file, row))
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
