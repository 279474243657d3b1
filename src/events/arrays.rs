//! The arrays of a table in the making, with room for events that several
//! threads fill at once: each has a [`EventRoom`] of its own. Rooms that were not
//! filled leave gaps, which [`EventArrays::close_up`] removes.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::mem;

use bytemuck::Zeroable;

use super::lost::{Loss, LossKind};
use super::memory;
use super::scan::{ScanPlan, ScanRequest};
use super::table::{EventTable, IdColumn, Ids, ScanReport};

/// Arrays for `room` events. What has not been written is 0, and costs no memory
/// where the system gives zeroed pages on first use.
#[derive(Debug)]
pub(super) struct EventArrays {
    width: usize,
    room: usize,
    features: Vec<f32>,
    /// Weights, then the columns of the request.
    numbers: Vec<Vec<f64>>,
    /// Flags, places, then the id columns: none if events are identified by their places.
    words: Vec<Vec<u64>>,
}

/// The part of [`EventArrays`] that one thread fills.
#[derive(Debug)]
pub(super) struct EventRoom<'a> {
    width: usize,
    pub(super) events: usize,
    /// Row-major.
    pub(super) features: &'a mut [f32],
    pub(super) numbers: Vec<&'a mut [f64]>,
    pub(super) words: Vec<&'a mut [u64]>,
}

/// How many arrays there are of numbers and of words.
fn counts(request: &ScanRequest) -> [usize; 2] {
    [1 + request.columns.len(), 2 + request.id_columns().len()]
}

impl EventArrays {
    pub(super) fn new(request: &ScanRequest, room: usize) -> Result<Self> {
        let (width, [numbers, words]) = (request.features.len(), counts(request));
        // memory that was in use before is cleared at once: by two threads
        let others = || -> Result<_> {
            let numbers = (0..numbers).map(|_| memory::zeros(room, 1));
            let numbers = numbers.collect::<Result<_>>()?;
            let words = (0..words).map(|_| memory::zeros(room, 1));
            Ok((numbers, words.collect::<Result<_>>()?))
        };
        let (features, others) = rayon::join(|| memory::zeros(room, width), others);
        let (features, (numbers, words)) = (features?, others?);
        Ok(Self {
            width,
            room,
            features,
            numbers,
            words,
        })
    }

    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Bytes that an event takes.
    pub(super) fn event_bytes(request: &ScanRequest) -> usize {
        let [numbers, words] = counts(request);
        request.features.len() * size_of::<f32>() + (numbers + words) * size_of::<u64>()
    }

    /// Makes room for `room` events, of which the first `events` are kept.
    pub(super) fn grow(&mut self, events: usize, room: usize) -> Result<()> {
        grow(&mut self.features, events, room, self.width)?;
        for array in &mut self.numbers {
            grow(array, events, room, 1)?;
        }
        for array in &mut self.words {
            grow(array, events, room, 1)?;
        }
        self.room = room;
        Ok(())
    }

    /// The arrays from event number `start` on.
    pub(super) fn room_from(&mut self, start: usize) -> EventRoom<'_> {
        EventRoom {
            width: self.width,
            events: self.room - start,
            features: &mut self.features[start * self.width..],
            numbers: from_each(&mut self.numbers, start),
            words: from_each(&mut self.words, start),
        }
    }

    /// Moves the events that lie at `(start, length)` behind each other, from
    /// event number `to` on; an array is moved by one thread.
    pub(super) fn close_up(&mut self, to: usize, filled: &[(usize, usize)]) {
        let (features, width) = (&mut self.features, self.width);
        let (numbers, words) = (&mut self.numbers, &mut self.words);
        rayon::scope(|scope| {
            scope.spawn(move |_| close_up(features, width, to, filled));
            for array in numbers {
                scope.spawn(move |_| close_up(array, 1, to, filled));
            }
            for array in words {
                scope.spawn(move |_| close_up(array, 1, to, filled));
            }
        });
    }

    /// Names the arrays and cuts them to what was counted.
    pub(super) fn into_table(mut self, plan: &ScanPlan<'_>, counts: &ScanCounts) -> EventTable {
        let (request, events) = (plan.request, counts.events);
        let path = |index: usize| plan.files[index].path.display().to_string();
        cut(&mut self.features, events * self.width);
        self.numbers.iter_mut().for_each(|array| cut(array, events));
        self.words.iter_mut().for_each(|array| cut(array, events));
        let (mut numbers, mut words) = (self.numbers.into_iter(), self.words.into_iter());
        let weights = numbers.next().unwrap_or_default();
        let [flags, places] = [(); 2].map(|()| words.next().unwrap_or_default());
        let names = request.columns.iter().map(|(name, _)| name.clone());
        let id_names = request.id_columns().iter().cloned().zip(&plan.signs);
        let id_column = |((name, &signed), bits)| IdColumn { name, signed, bits };
        EventTable {
            n_features: self.width,
            features: self.features,
            weights,
            columns: names.zip(numbers).collect(),
            flags,
            ids: Ids {
                seed: plan.seed,
                columns: id_names.zip(words).map(id_column).collect(),
                places,
            },
            report: counts.report(request, path),
        }
    }
}

impl<'a> EventRoom<'a> {
    /// Parts with the room for the first `events`, which this then lacks.
    pub(super) fn split_first(&mut self, events: usize) -> EventRoom<'a> {
        self.events -= events;
        EventRoom {
            width: self.width,
            events,
            features: split_first(&mut self.features, events * self.width),
            numbers: split_each(&mut self.numbers, events),
            words: split_each(&mut self.words, events),
        }
    }
}

fn grow<T: Zeroable + Copy>(
    array: &mut Vec<T>,
    events: usize,
    room: usize,
    width: usize,
) -> Result<()> {
    let mut longer = memory::zeros(room, width)?;
    longer[..events * width].copy_from_slice(&array[..events * width]);
    *array = longer;
    Ok(())
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
    let arrays = arrays.iter_mut();
    arrays.map(|array| split_first(array, length)).collect()
}

/// What is counted while rows are read.
#[derive(Clone, Debug, Default)]
pub(super) struct ScanCounts {
    pub(super) rows_read: u64,
    pub(super) rows_dropped: u64,
    /// Events in the table.
    pub(super) events: usize,
    /// Rows that are missing somewhere.
    lost: BTreeMap<Reason, Lost>,
}

/// A reason why a row is missing somewhere, with its place in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Selection,
    Flag(usize),
    Category(usize),
    Feature(usize),
    /// No value in a column.
    Column(usize),
    /// An infinite value in a column.
    Infinite(usize),
}

/// Rows that are missing somewhere for one reason.
#[derive(Clone, Debug, Default)]
struct Lost {
    /// Their weights in the order of the files, 0 where not finite: sums of them do
    /// not depend on how the files were cut.
    weights: Vec<f64>,
    /// Index of the file and row in it.
    first: Option<(usize, u64)>,
}

impl ScanCounts {
    pub(super) fn lose(&mut self, reason: Reason, file: usize, row: u64, weight: f64) {
        let lost = self.lost.entry(reason).or_default();
        let finite = weight.is_finite();
        lost.weights.push(if finite { weight } else { 0.0 });
        lost.first.get_or_insert((file, row));
    }

    /// Adds what was counted on the rows that come after these.
    pub(super) fn merge(&mut self, next: &Self) {
        self.rows_read += next.rows_read;
        self.rows_dropped += next.rows_dropped;
        self.events += next.events;
        for (reason, from) in &next.lost {
            let to = self.lost.entry(*reason).or_default();
            to.weights.extend_from_slice(&from.weights);
            to.first = to.first.or(from.first);
        }
    }

    /// What was counted, by the names of the request; `path` is that of a file.
    fn report(&self, request: &ScanRequest, path: impl Fn(usize) -> String) -> ScanReport {
        let loss = |(&reason, lost): (&Reason, &Lost)| Loss {
            kind: kind(reason, request),
            name: name(reason, request),
            events: lost.weights.len() as u64,
            weight: lost.weights.iter().sum(),
            first: lost.first.map(|(file, row)| (path(file), row)),
        };
        ScanReport {
            rows_read: self.rows_read,
            rows_selected: self.events as u64,
            rows_dropped: self.rows_dropped,
            losses: self.lost.iter().map(loss).collect(),
            duplicate_ids: 0,
        }
    }

    /// What rows lack that must be there: reason, rows, file and row of the first.
    fn lacking(&self, request: &ScanRequest) -> impl Iterator<Item = (Reason, u64, usize, u64)> {
        let must_be = |reason: &Reason| match reason {
            Reason::Feature(_) | Reason::Category(_) => true,
            Reason::Column(k) => request.matters(*k).is_some(),
            _ => false,
        };
        self.lost.iter().filter_map(move |(reason, lost)| {
            let (file, row) = lost.first.filter(|_| must_be(reason))?;
            Some((*reason, lost.weights.len() as u64, file, row))
        })
    }

    /// The first row that lacks something, and the first that it lacks: its name, place
    /// of the file, row.
    pub(super) fn first_missing(&self, request: &ScanRequest) -> Option<(String, usize, u64)> {
        self.lacking(request)
            .min_by_key(|&(.., file, row)| (file, row))
            .map(|(reason, _, file, row)| (what(reason, request), file, row))
    }

    /// The error for rows that lack something, with all counts.
    pub(super) fn refuse_missing(
        &self,
        request: &ScanRequest,
        path: impl Fn(usize) -> String,
    ) -> Result<()> {
        let mut lacking = self.lacking(request);
        let Some((reason, rows, file, row)) = lacking.next() else {
            return Ok(());
        };
        let others: Vec<String> = lacking
            .map(|(reason, rows, ..)| format!("`{}` on {rows}", name(reason, request)))
            .collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" (also {})", others.join(", ")),
        };
        let what = what(reason, request);
        Err(Error::data(format!(
            "{what} on {rows} of the selected rows, first on row {row} of {}{others}; select \
             such rows away, or set data.on_missing = \"drop\" to leave them out and count them",
            path(file)
        )))
    }
}

/// What is missing, and in which way.
fn what(reason: Reason, request: &ScanRequest) -> String {
    let name = name(reason, request);
    match reason {
        Reason::Feature(_) => format!("feature `{name}` is missing or not finite"),
        Reason::Category(i) => format!(
            "`{name}` is missing or none of {:?}",
            request.categories[i].listed
        ),
        _ => format!("`{name}` has no value"),
    }
}

fn name(reason: Reason, request: &ScanRequest) -> String {
    match reason {
        Reason::Selection => "selection".to_owned(),
        Reason::Flag(i) => request.flags[i].0.clone(),
        Reason::Feature(i) => request.features[i].0.clone(),
        Reason::Category(i) => request.categories[i].name.clone(),
        Reason::Column(i) | Reason::Infinite(i) => request.columns[i].0.clone(),
    }
}

fn kind(reason: Reason, request: &ScanRequest) -> LossKind {
    match reason {
        Reason::Selection => LossKind::Selection,
        Reason::Flag(_) => LossKind::Region,
        Reason::Feature(_) => LossKind::Input,
        Reason::Category(_) => LossKind::Category,
        Reason::Column(k) if request.matters(k).is_some() => LossKind::Observable,
        Reason::Column(_) => LossKind::Variable,
        Reason::Infinite(_) => LossKind::Infinite,
    }
}
