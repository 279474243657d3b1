//! An expression ready to be evaluated on chunks of rows.

use super::super::chunk::ColumnChunk;
use super::formula::{Formula, Input};
use crate::error::{Error, Result};
use sideband_numerics::expression::{Column, Fold, Lists, Problem, Value as _};
use std::sync::Arc;

/// An expression ready to be evaluated on chunks of rows.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(super) formula: Arc<Formula>,
    pub(super) columns: Arc<[String]>,
}

/// Equal ones have equal values on equal columns, whatever compiled them.
impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.formula.meaning == other.formula.meaning
    }
}

impl Compiled {
    /// The columns of the file that are needed, in order of name.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        self.formula.expression.text()
    }

    /// Names of the built-in columns that it rests on.
    pub(crate) fn builtins(&self) -> impl Iterator<Item = &'static str> {
        self.formula.builtins.iter().copied()
    }

    /// The column, if the expression is nothing but a column.
    pub(in crate::events) fn as_column(&self) -> Option<&str> {
        match self.formula.inputs.as_slice() {
            [Input::Column(name)] if name == self.text().trim() => Some(name),
            _ => None,
        }
    }

    /// One value for each row of the chunk. Shared with the chunk, not copied,
    /// where the expression is just a column or a definition.
    ///
    /// # Errors
    /// If an integer would have to be rounded, or a column is not in the chunk.
    pub fn eval_chunk(&self, chunk: &ColumnChunk) -> Result<Arc<Vec<f64>>> {
        let values = self.formula.numbers(chunk)?.into_rows(chunk.rows());
        values.map_err(|problem| self.formula.refused(chunk, None, problem))
    }

    /// One number of the values of all rows of the chunk.
    pub(in crate::events) fn fold_chunk(&self, fold: Fold, chunk: &ColumnChunk) -> Result<Column> {
        let values = Column::Numbers(self.formula.numbers(chunk)?);
        let list = Lists::new(vec![0, chunk.rows()], None, values, false);
        let list = list.ok_or_else(|| self.formula.not_in_chunk(""))?;
        let folded = Column::fold(fold, Column::Lists(list));
        folded.map_err(|problem| self.refused(chunk, problem))
    }

    /// The complaint about values that cannot be computed with.
    pub(in crate::events) fn refused(&self, chunk: &ColumnChunk, problem: Problem) -> Error {
        self.formula.refused(chunk, None, problem)
    }

    /// As [`Self::eval_chunk`], for a condition, which an integer of any size may be.
    pub(in crate::events) fn eval_condition(&self, chunk: &ColumnChunk) -> Result<Arc<Vec<f64>>> {
        let values = self.formula.numbers(chunk)?.into_condition();
        let values = values.into_rows(chunk.rows());
        values.map_err(|problem| self.formula.refused(chunk, None, problem))
    }
}
