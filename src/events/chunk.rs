//! A few thousand rows of columns as numbers, and what was derived from them.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sideband_numerics::expression::Lane;

/// Columns of equal length, by name. Definitions evaluated on the chunk stay in
/// it, so that a definition used by ten features costs one evaluation.
#[derive(Debug, Default)]
pub struct ColumnChunk {
    rows: usize,
    /// The file that the rows come from, and the place of the first of them in it.
    origin: Option<(PathBuf, u64)>,
    columns: HashMap<String, Lane>,
    derived: RefCell<HashMap<u64, Lane>>,
}

impl ColumnChunk {
    /// A chunk of `rows` rows and no columns yet.
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// A chunk of `rows` rows of a file, from its row `first` on.
    pub(super) fn of_file(path: &Path, first: u64, rows: usize) -> Self {
        Self {
            origin: Some((path.to_owned(), first)),
            ..Self::new(rows)
        }
    }

    /// Where a row is in the files, for messages; its place in the chunk if the rows
    /// come from no file.
    pub(super) fn place_of(&self, row: usize) -> String {
        match &self.origin {
            Some((path, first)) => format!("row {} of {}", first + row as u64, path.display()),
            None => format!("row {row}"),
        }
    }

    /// Adds a column of as many floating-point values as the chunk has rows.
    pub fn insert(&mut self, name: impl Into<String>, values: Vec<f64>) -> Result<()> {
        let name = name.into();
        if values.len() != self.rows {
            return Err(Error::data(format!(
                "column `{name}` has {} rows in a chunk of {}",
                values.len(),
                self.rows
            )));
        }
        self.insert_lane(name, Lane::real(values, None));
        Ok(())
    }

    /// Adds a column of as many values as the chunk has rows.
    pub(super) fn insert_lane(&mut self, name: impl Into<String>, lane: Lane) {
        self.columns.insert(name.into(), lane);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&self, name: &str) -> Option<Lane> {
        self.columns.get(name).cloned()
    }

    pub(super) fn derived(&self, id: u64) -> Option<Lane> {
        self.derived.borrow().get(&id).cloned()
    }

    pub(super) fn keep_derived(&self, id: u64, lane: Lane) {
        self.derived.borrow_mut().insert(id, lane);
    }
}
