//! The jets of events as they are listed, selected or not.

use crate::error::{Error, Result};
use std::collections::BTreeSet;

use super::chunk::{ColumnChunk, to_column};
use super::dataset::Dataset;
use super::definitions::{JetLists, Resolver};
use super::jets::{Misfit, NUMBERS, SELECTED, TAGGED};
use super::memory;
use super::table::place_of;
use arrow::record_batch::RecordBatch;
use sideband_numerics::expression::Column;

/// A jet of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ListedJet {
    /// pT in GeV, above 0.
    pub pt: f64,
    /// Pseudorapidity.
    pub eta: f64,
    /// Azimuth.
    pub phi: f64,
    /// Mass in GeV, not below 0.
    pub mass: f64,
    /// Whether it is a jet of the event.
    pub is_selected: bool,
    /// Whether it is tagged.
    pub is_tagged: bool,
}

impl Dataset {
    /// All jets of some events, by their places, which rise.
    ///
    /// # Errors
    /// If an event has no list, lists of unequal length, or numbers that are those of no jet.
    pub(crate) fn jets_of(
        &self,
        resolver: &Resolver,
        places: &[u64],
    ) -> Result<Vec<Vec<ListedJet>>> {
        let lists = resolver.jet_lists()?;
        let columns = lists.columns();
        let names: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        let mut events = memory::reserved(places.len())?;
        self.read_columns(&names, |file, batch, first| {
            let mut files = self.event_files().iter();
            let index = files.position(|other| std::ptr::eq(other, file));
            let index = index.unwrap_or_default();
            let rows = batch.num_rows() as u64;
            let (start, end) = (place_of(index, first), place_of(index, first + rows));
            let rest = &places[events.len()..];
            let wanted = &rest[..rest.partition_point(|place| *place < end)];
            if wanted.is_empty() {
                return Ok(());
            }
            let mut chunk = ColumnChunk::of_file(&file.path, first, batch.num_rows());
            add(batch, &mut chunk).map_err(|message| file.corrupt("columns", message))?;
            let found = Rows::new(&lists, &chunk)?;
            for place in wanted {
                events.push(found.jets(place.saturating_sub(start) as usize)?);
            }
            Ok(())
        })?;
        match events.len() == places.len() {
            true => Ok(events),
            false => Err(Error::data(
                "the files have fewer events than a moment ago: another program writes to them",
            )),
        }
    }
}

fn add(batch: &RecordBatch, chunk: &mut ColumnChunk) -> Result<(), String> {
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        chunk.insert_column(field.name(), to_column(array)?);
    }
    Ok(())
}

/// The lists of a chunk of events.
struct Rows<'a> {
    lists: &'a JetLists,
    chunk: &'a ColumnChunk,
    /// Numbers of each list, one event behind the other, NaN where null.
    values: Vec<std::sync::Arc<Vec<f64>>>,
    /// Where each event's begin, and its length unless it is null.
    places: Vec<Vec<(usize, Option<usize>)>>,
}

impl<'a> Rows<'a> {
    fn new(lists: &'a JetLists, chunk: &'a ColumnChunk) -> Result<Self> {
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for (list, column) in lists.of(chunk)?.iter().enumerate() {
            let refused = |misfit| lists.refused(chunk, misfit);
            let Column::Lists(each) = column else {
                return Err(refused(Misfit::NotList { list }));
            };
            let mut next = 0;
            let starts = each.lengths().map(|length| {
                let start = next;
                next += length.unwrap_or(0);
                (start, length)
            });
            places.push(starts.collect());
            let numbers = column.numbers().clone().into_rows(next);
            values.push(numbers.map_err(|_| refused(Misfit::Inexact { list }))?);
        }
        Ok(Self {
            lists,
            chunk,
            values,
            places,
        })
    }

    /// The jets of an event, by its row.
    fn jets(&self, row: usize) -> Result<Vec<ListedJet>> {
        let here = || self.chunk.place_of(row);
        let mut count = None;
        for (list, places) in self.places.iter().enumerate() {
            let length = places[row].1.ok_or_else(|| {
                let key = self.lists.key(list);
                Error::data_at(format!("data.jets.{key}"), format!("null on {}", here()))
            })?;
            let expected = *count.get_or_insert(length);
            if length != expected {
                let misfit = Misfit::Lengths {
                    row,
                    lists: [0, list],
                    lengths: [expected, length],
                };
                return Err(self.lists.refused(self.chunk, misfit));
            }
        }
        let jet = |k: usize| {
            let value = |list: usize| self.values[list][self.places[list][row].0 + k];
            let [pt, eta, phi, mass] = [0, 1, 2, 3].map(value);
            let is_selected = match self.values.len() > SELECTED {
                true => value(SELECTED),
                false => 1.0,
            };
            let is_tagged = value(TAGGED);
            let numbers = [pt, eta, phi, mass, is_selected, is_tagged];
            let is_jet = numbers.iter().all(|x| x.is_finite()) && pt > 0.0 && mass >= 0.0;
            if !is_jet {
                let list = (0..self.values.len()).find(|list| {
                    let x = value(*list);
                    !x.is_finite() || *list == 0 && x <= 0.0 || *list + 1 == NUMBERS && x < 0.0
                });
                let list = list.unwrap_or_default();
                return Err(Error::data_at(
                    format!("data.jets.{}", self.lists.key(list)),
                    format!(
                        "jet {k} on {} has {}, which is that of no jet; select such events away",
                        here(),
                        value(list)
                    ),
                ));
            }
            Ok(ListedJet {
                pt,
                eta,
                phi,
                mass,
                is_selected: is_selected != 0.0,
                is_tagged: is_tagged != 0.0,
            })
        };
        (0..count.unwrap_or(0)).map(jet).collect()
    }
}
