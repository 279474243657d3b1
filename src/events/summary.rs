//! What is in the columns, for a first look at files: one pass, a few numbers
//! for each column, whatever the number of rows.

use crate::error::Result;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::atomic::{self, AtomicUsize};

use arrow::array::{Array as _, ArrayRef};
use rayon::prelude::*;

use super::chunk::to_column;
use super::dataset::Dataset;
use super::file::EventFile;
use sideband_numerics::expression::{Column, Lane, Lists, Number};

/// One column of numbers over all files, or of lists of numbers: of these, every number
/// of every list.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct ColumnSummary {
    pub name: String,
    pub type_name: String,
    /// Rows, with or without a value.
    pub rows: u64,
    /// How long the lists are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// Smallest finite value; none if no value is finite.
    pub min: Option<Number>,
    pub max: Option<Number>,
    /// Mean of the finite values, that of large integers rounded.
    pub mean: Option<f64>,
    pub nulls: u64,
    pub nans: u64,
    pub infinities: u64,
    pub zeros: u64,
    /// Rows below 0, minus infinity included.
    pub negatives: u64,
    /// Rows that hold a finite value.
    #[serde(skip)]
    finite: u64,
}

/// How long the lists of a column are.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Lengths {
    /// None if all lists are null.
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub mean: Option<f64>,
    /// Rows that have no list.
    pub nulls: u64,
    /// Elements of all lists.
    pub elements: u64,
    #[serde(skip)]
    lists: u64,
}

/// Summarises every column of numbers or lists of numbers of the first file, over all
/// files, in the order of the schema. Other files must have them too.
pub(crate) fn summarise(dataset: &Dataset) -> Result<Vec<ColumnSummary>> {
    let columns = dataset.columns().iter();
    let columns = columns.filter(|column| column.shape.is_ok());
    let columns = columns.map(|column| ColumnSummary {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        ..ColumnSummary::default()
    });
    let empty: Vec<ColumnSummary> = columns.collect();
    if empty.is_empty() {
        return Ok(empty);
    }
    let names: BTreeSet<&str> = empty.iter().map(|column| column.name.as_str()).collect();
    let projections = dataset.projections(&names)?;
    let files = dataset.event_files().iter().zip(&projections);
    let jobs: Vec<_> = files
        .flat_map(|(file, wanted)| file.parts.iter().map(move |&part| (file, wanted, part)))
        .collect();
    // nothing is looked at behind what cannot be read
    let failed = AtomicUsize::new(usize::MAX);
    let relaxed = atomic::Ordering::Relaxed;
    let summarise_part =
        |(number, &(file, wanted, part)): (usize, &(&EventFile, &Vec<usize>, _))| {
            if failed.load(relaxed) < number {
                return Ok(Vec::new());
            }
            let mut summaries = empty.clone();
            let read = file.read(part, wanted, |batch, first_row| {
                for summary in &mut summaries {
                    let array = batch.column_by_name(&summary.name);
                    let array = array.ok_or("the column is not there".to_owned());
                    let counted = array.and_then(|array| summary.add(array));
                    counted.map_err(|message| {
                        let place = format!("column `{}`, rows from {first_row}", summary.name);
                        file.corrupt(place, message)
                    })?;
                }
                Ok(())
            });
            if read.is_err() {
                failed.fetch_min(number, relaxed);
            }
            read.map(|()| summaries)
        };
    let parts = jobs.par_iter().enumerate().map(summarise_part);
    let parts: Vec<Result<Vec<_>>> = parts.collect();
    // In the order of the rows, so that sums round the same on every machine.
    let mut totals = empty.clone();
    for part in parts {
        let both = totals.iter_mut().zip(part?);
        both.for_each(|(total, part)| total.merge(&part));
    }
    Ok(totals)
}

impl ColumnSummary {
    fn add(&mut self, array: &ArrayRef) -> Result<(), String> {
        let column = to_column(array)?;
        if let Column::Lists(lists) = &column {
            self.lengths.get_or_insert_default().add(lists);
        }
        let numbers = column.numbers().clone();
        self.merge(&Self {
            rows: array.len() as u64,
            ..Self::of(numbers)
        });
        Ok(())
    }

    fn of(lane: Lane) -> Self {
        let (range, nulls) = (lane.range(), lane.null_count());
        let values = lane.rows().unwrap_or(0);
        let values = lane.rounded(values);
        let mut part = Self {
            nulls: nulls as u64,
            min: range.map(|[min, _]| min),
            max: range.map(|[_, max]| max),
            ..Self::default()
        };
        let (mut sum, mut not_numbers) = (0.0, 0);
        for &x in values.iter() {
            if x.is_finite() {
                part.finite += 1;
                sum += x;
                part.zeros += u64::from(x == 0.0);
            } else if x.is_nan() {
                not_numbers += 1;
            } else {
                part.infinities += 1;
            }
            part.negatives += u64::from(x < 0.0);
        }
        part.nans = u64::saturating_sub(not_numbers, part.nulls);
        part.mean = (part.finite > 0).then(|| sum / part.finite as f64);
        part
    }

    fn merge(&mut self, other: &Self) {
        if let Some(lengths) = &other.lengths {
            self.lengths.get_or_insert_default().merge(lengths);
        }
        if let Some(mean) = other.mean {
            let is = |than: Option<Number>, found: Option<Number>, wanted: Ordering| {
                let order = found.zip(than).and_then(|(found, than)| found.order(than));
                than.is_none() || order == Some(wanted)
            };
            if is(self.min, other.min, Ordering::Less) {
                self.min = other.min;
            }
            if is(self.max, other.max, Ordering::Greater) {
                self.max = other.max;
            }
            self.finite += other.finite;
            let before = self.mean.unwrap_or(0.0);
            self.mean = Some(before + (mean - before) * (other.finite as f64 / self.finite as f64));
        }
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.zeros += other.zeros;
        self.negatives += other.negatives;
    }
}

impl Lengths {
    fn add(&mut self, lists: &Lists) {
        for length in lists.lengths() {
            let part = match length {
                None => Self {
                    nulls: 1,
                    ..Self::default()
                },
                Some(length) => Self {
                    min: Some(length as u64),
                    max: Some(length as u64),
                    lists: 1,
                    elements: length as u64,
                    ..Self::default()
                },
            };
            self.merge(&part);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.min = self.min.into_iter().chain(other.min).min();
        self.max = self.max.max(other.max);
        self.nulls += other.nulls;
        self.lists += other.lists;
        self.elements += other.elements;
        self.mean = (self.lists > 0).then(|| self.elements as f64 / self.lists as f64);
    }
}
