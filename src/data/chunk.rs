//! A few thousand rows of columns as `f64`, and what was derived from them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::error::DataError;
use super::expression::Lane;

/// Columns of equal length, by name. Definitions evaluated on the chunk stay in
/// it, so that a definition used by ten features costs one evaluation.
#[derive(Debug, Default)]
pub struct ColumnChunk {
    rows: usize,
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

    /// Adds a column of as many values as the chunk has rows.
    pub fn insert(&mut self, name: impl Into<String>, values: Vec<f64>) -> Result<(), DataError> {
        let name = name.into();
        if values.len() != self.rows {
            return Err(DataError::ChunkLength {
                column: name,
                found: values.len(),
                expected: self.rows,
            });
        }
        self.columns.insert(name, Lane::Each(Arc::new(values)));
        Ok(())
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
