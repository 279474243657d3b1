//! What is in the columns, for a first look at files: one pass, a few numbers
//! for each column, whatever the number of rows.

use std::collections::BTreeSet;

use arrow::array::ArrayRef;
use rayon::prelude::*;

use super::convert::to_f64;
use super::dataset::Dataset;
use super::error::DataError;

/// One numeric column over all files.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// Its type in the first file.
    pub type_name: String,
    /// Rows, with or without a value.
    pub rows: u64,
    /// Smallest finite value; none if no value is finite.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Mean of the finite values.
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
pub fn summarise(dataset: &Dataset) -> Result<Vec<ColumnSummary>, DataError> {
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
        file.read::<DataError>(part, wanted, |batch, first_row| {
            for (tally, column) in tallies.iter_mut().zip(&columns) {
                let array = batch
                    .column_by_name(&column.name)
                    .ok_or("the column is not there".to_owned());
                let counted = array.and_then(|array| tally.add(array));
                counted.map_err(|message| {
                    file.corrupt(
                        format!("column `{}`, rows from {first_row}", column.name),
                        message,
                    )
                })?;
            }
            Ok(())
        })?;
        Ok(tallies)
    };
    let parts: Vec<Result<Vec<Tally>, DataError>> = jobs.par_iter().map(summarise_part).collect();
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
    min: f64,
    max: f64,
    mean: f64,
    nulls: u64,
    nans: u64,
    infinities: u64,
    zeros: u64,
    negatives: u64,
}

impl Tally {
    fn add(&mut self, array: &ArrayRef) -> Result<(), String> {
        let values = to_f64(array)?;
        let nulls = array.logical_nulls().map_or(0, |nulls| nulls.null_count());
        let mut part = Self {
            rows: values.len() as u64,
            nulls: nulls as u64,
            ..Self::default()
        };
        (part.min, part.max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut sum, mut not_numbers) = (0.0, 0);
        for &x in &values {
            if x.is_finite() {
                part.finite += 1;
                sum += x;
                part.min = part.min.min(x);
                part.max = part.max.max(x);
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
            let empty = self.finite == 0;
            self.min = if empty {
                other.min
            } else {
                self.min.min(other.min)
            };
            self.max = if empty {
                other.max
            } else {
                self.max.max(other.max)
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
        let some = |value: f64| (self.finite > 0).then_some(value);
        ColumnSummary {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            rows: self.rows,
            min: some(self.min),
            max: some(self.max),
            mean: some(self.mean),
            nulls: self.nulls,
            nans: self.nans,
            infinities: self.infinities,
            zeros: self.zeros,
            negatives: self.negatives,
        }
    }
}
