//! What is in the columns, for a first look at files: one pass, a few numbers
//! for each column, whatever the number of rows.

use crate::error::Result;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use arrow::array::{Array as _, ArrayRef};
use rayon::prelude::*;

use super::chunk::to_lane;
use super::dataset::Dataset;
use super::file::EventFile;
use sideband_numerics::expression::Number;

/// One numeric column over all files.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct ColumnSummary {
    pub name: String,
    pub type_name: String,
    /// Rows, with or without a value.
    pub rows: u64,
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

/// Summarises every numeric column of the first file, over all files, in the
/// order of the schema. Other files must have them too.
pub(crate) fn summarise(dataset: &Dataset) -> Result<Vec<ColumnSummary>> {
    let columns = dataset.columns().iter().filter(|column| column.numeric);
    let columns = columns.map(|column| ColumnSummary {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        ..ColumnSummary::default()
    });
    let empty: Vec<ColumnSummary> = columns.collect();
    let names: BTreeSet<&str> = empty.iter().map(|column| column.name.as_str()).collect();
    let projections = dataset.projections(&names)?;
    let files = dataset.event_files().iter().zip(&projections);
    let jobs: Vec<_> = files
        .flat_map(|(file, wanted)| file.parts.iter().map(move |&part| (file, wanted, part)))
        .collect();
    let summarise_part = |&(file, wanted, part): &(&EventFile, &Vec<usize>, _)| {
        let mut summaries = empty.clone();
        file.read(part, wanted, |batch, first_row| {
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
        })?;
        Ok(summaries)
    };
    let parts: Vec<Result<Vec<_>>> = jobs.par_iter().map(summarise_part).collect();
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
        let lane = to_lane(array)?;
        let range = lane.range();
        let values = lane.rounded(array.len());
        let nulls = array.logical_nulls().map_or(0, |nulls| nulls.null_count());
        let mut part = Self {
            rows: values.len() as u64,
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
        self.merge(&part);
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
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
