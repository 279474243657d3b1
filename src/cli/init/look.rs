//! What is in the files of a sample.

use crate::error::{Error, Result};
use crate::events::{ColumnSummary, Dataset, summarise};
use std::path::Path;

/// Names of columns that tell two classes apart, in the order of what is likely.
const CLASSES: [&str; 8] = [
    "label",
    "target",
    "class",
    "is_target",
    "is_signal",
    "signal",
    "y",
    "type",
];
/// The tree, its column and the weight that make the weights of NanoAOD events a number of
/// expected ones.
pub(super) const RUNS: &str = "Runs";
pub(super) const SUM_OF_WEIGHTS: &str = "genEventSumw";
pub(super) const GENERATOR_WEIGHT: &str = "genWeight";

/// Files of one sample, and what is in them.
pub(super) struct Look {
    pub(super) patterns: Vec<String>,
    pub(super) dataset: Dataset,
    columns: Vec<ColumnSummary>,
    /// Whether the events have generator weights whose sum is known.
    pub(super) is_generated: bool,
}

impl Look {
    pub(super) fn new(patterns: &[String]) -> Result<Self> {
        let dataset = Dataset::open(patterns, Path::new(""))?;
        let columns = summarise(&dataset)?;
        let mut weights = columns.iter().filter(|c| c.name == GENERATOR_WEIGHT);
        Ok(Self {
            patterns: patterns.to_vec(),
            is_generated: weights.any(is_complete) && dataset.has_in_tree(RUNS, SUM_OF_WEIGHTS),
            columns,
            dataset,
        })
    }

    pub(super) fn column(&self, name: &str) -> Option<&ColumnSummary> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Why no expression can use a column, if it is there.
    pub(super) fn misfit(&self, name: &str) -> Option<String> {
        let mut columns = self.dataset.columns().iter();
        let column = columns.find(|column| column.name == name)?;
        let why = column.shape.as_ref().err()?;
        Some(why.strip_prefix("it ").unwrap_or(why).to_owned())
    }

    /// The column that tells two classes apart, and the lower of its values.
    pub(super) fn class(&self) -> Result<(&str, f64)> {
        let all = self.columns.iter().filter_map(|column| {
            let [low, high] = range(column)?;
            let is_class = is_complete(column) && high - low == 1.0 && has_two(column, low);
            let is_class = is_class && column.lengths.is_none();
            is_class.then_some((column.name.as_str(), low))
        });
        let all: Vec<(&str, f64)> = all.collect();
        let named = CLASSES.iter().find_map(|name| {
            let mut all = all.iter();
            all.find(|(column, _)| column.to_lowercase() == *name)
        });
        match (named, all.as_slice()) {
            (Some(class), _) => Ok(*class),
            (None, [class]) if self.patterns.len() == 1 => Ok(*class),
            (None, [] | [_]) => Err(Error::usage(
                "one sample, and no column that tells two classes apart (whole numbers, two values \
                 such as 0 and 1, called `label` or the like where there are several files): name \
                 two samples, what is reweighted and what it shall become; \
                 a pattern in quotes is one: 'data/2b_*.parquet' data/4b.parquet",
            )),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Err(Error::usage(format!(
                    "several columns could tell two classes apart: {names}; call the one that is \
                     meant `label`, or name two samples"
                )))
            }
        }
    }
}

/// Smallest and largest value.
pub(super) fn range(column: &ColumnSummary) -> Option<[f64; 2]> {
    Some([column.min?.to_f64()?, column.max?.to_f64()?])
}

pub(super) fn is_complete(column: &ColumnSummary) -> bool {
    column.nulls + column.nans + column.infinities == 0
}

pub(super) fn is_integer(column: &ColumnSummary) -> bool {
    column.type_name.starts_with("Int") || column.type_name.starts_with("UInt")
}

/// Whether values between `low` and `low + 1` are one of the two.
fn has_two(column: &ColumnSummary, low: f64) -> bool {
    let is_whole = is_integer(column) || column.type_name == "Boolean";
    // of numbers from 0 to 1 the mean is the share of what is not 0 if that is all 1
    let rows = column.rows as f64;
    let above = column.mean.unwrap_or(f64::NAN) * rows;
    is_whole || low == 0.0 && (above - (rows - column.zeros as f64)).abs() < 1e-6 * rows
}
