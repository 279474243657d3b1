//! What is in the columns, for a first look at files: one pass, a few numbers
//! for each column, whatever the number of rows.

use crate::error::Result;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use arrow::array::{Array as _, ArrayRef};
use rayon::prelude::*;

use super::convert::to_lane;
use super::dataset::Dataset;
use sideband_numerics::expression::Number;

/// One numeric column over all files.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct ColumnSummary {
    pub name: String,
    /// Its type in the first file.
    pub type_name: String,
    /// Rows, with or without a value.
    pub rows: u64,
    /// Smallest finite value; none if no value is finite.
    pub min: Option<Number>,
    /// Largest finite value.
    pub max: Option<Number>,
    /// Mean of the finite values, that of large integers rounded.
    pub mean: Option<f64>,
    /// Rows without a value.
    pub nulls: u64,
    /// Rows that hold NaN.
    pub nans: u64,
    /// Rows that hold plus or minus infinity.
    pub infinities: u64,
    /// Rows that hold 0.
    pub zeros: u64,
    /// Rows below 0, minus infinity included.
    pub negatives: u64,
}

/// Summarises every numeric column of the first file, over all files, in the
/// order of the schema. Other files must have them too.
pub(crate) fn summarise(dataset: &Dataset) -> Result<Vec<ColumnSummary>> {
    let columns: Vec<_> = dataset
        .columns()
        .iter()
        .filter(|column| column.numeric)
        .collect();
    let names: BTreeSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let projections = dataset.projections(&names)?;
    let jobs: Vec<_> = dataset
        .event_files()
        .iter()
        .zip(&projections)
        .flat_map(|(file, wanted)| file.parts.iter().map(move |&part| (file, wanted, part)))
        .collect();
    let summarise_part = |&(file, wanted, part): &(&super::file::EventFile, &Vec<usize>, _)| {
        let mut tallies = vec![Tally::default(); columns.len()];
        file.read(part, wanted, |batch, first_row| {
            for (tally, column) in tallies.iter_mut().zip(&columns) {
                let array = batch
                    .column_by_name(&column.name)
                    .ok_or("the column is not there".to_owned());
                let counted = array.and_then(|array| tally.add(array));
                counted.map_err(|message| {
                    let place = format!("column `{}`, rows from {first_row}", column.name);
                    file.corrupt(place, message)
                })?;
            }
            Ok(())
        })?;
        Ok(tallies)
    };
    let parts: Vec<Result<Vec<Tally>>> = jobs.par_iter().map(summarise_part).collect();
    // In the order of the rows, so that sums round the same on every machine.
    let mut totals = vec![Tally::default(); columns.len()];
    for part in parts {
        totals
            .iter_mut()
            .zip(part?)
            .for_each(|(total, part)| total.merge(&part));
    }
    let named = columns.into_iter().zip(totals);
    Ok(named
        .map(|(column, tally)| tally.named(&column.name, &column.type_name))
        .collect())
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    rows: u64,
    finite: u64,
    /// Smallest and largest finite value.
    range: Option<[Number; 2]>,
    mean: f64,
    nulls: u64,
    nans: u64,
    infinities: u64,
    zeros: u64,
    negatives: u64,
}

impl Tally {
    fn add(&mut self, array: &ArrayRef) -> Result<(), String> {
        let lane = to_lane(array)?;
        let range = lane.range();
        let values = lane.rounded(array.len());
        let nulls = array.logical_nulls().map_or(0, |nulls| nulls.null_count());
        let mut part = Self {
            rows: values.len() as u64,
            nulls: nulls as u64,
            range,
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
        part.mean = if part.finite > 0 {
            sum / part.finite as f64
        } else {
            0.0
        };
        self.merge(&part);
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if other.finite > 0 {
            self.range = match (self.range, other.range) {
                (Some([low, high]), Some([lower, higher])) => {
                    let min = if lower.order(low).is_some_and(Ordering::is_lt) {
                        lower
                    } else {
                        low
                    };
                    let max = if higher.order(high).is_some_and(Ordering::is_gt) {
                        higher
                    } else {
                        high
                    };
                    Some([min, max])
                }
                (range, other) => range.or(other),
            };
            self.finite += other.finite;
            self.mean += (other.mean - self.mean) * (other.finite as f64 / self.finite as f64);
        }
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.zeros += other.zeros;
        self.negatives += other.negatives;
    }

    fn named(self, name: &str, type_name: &str) -> ColumnSummary {
        ColumnSummary {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            rows: self.rows,
            min: self.range.map(|[min, _]| min),
            max: self.range.map(|[_, max]| max),
            mean: (self.finite > 0).then_some(self.mean),
            nulls: self.nulls,
            nans: self.nans,
            infinities: self.infinities,
            zeros: self.zeros,
            negatives: self.negatives,
        }
    }
}
