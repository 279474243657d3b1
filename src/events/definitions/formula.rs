//! An expression whose names are resolved, and its values.

use super::super::chunk::ColumnChunk;
use crate::error::{Error, Result};
use sha2::{Digest as _, Sha256};
use sideband_numerics::expression::{
    Column, Expression, ExpressionError, Fault, Lane, Problem, Shape,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// An expression whose names are resolved.
#[derive(Debug)]
pub(super) struct Formula {
    /// Tells formulas apart in the memory of a chunk.
    pub(super) id: u64,
    /// Digest of the text and of what its names mean: the same in every resolver.
    pub(super) meaning: [u8; 32],
    pub(super) expression: Expression,
    pub(super) inputs: Vec<Input>,
    /// What it has for every row.
    pub(super) shape: Shape,
    /// Longest chain of definitions below.
    pub(super) layers: usize,
    /// Names of the built-in columns below.
    pub(super) builtins: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Column(String),
    Formula(Arc<Formula>),
    /// A column made of jets, by its place among their names.
    OfJets(Arc<OfJets>, usize),
}

/// The lists of the jets, and what else columns that are made of them depend on.
#[derive(Debug)]
pub(super) struct OfJets {
    /// Ids of the columns in the memory of a chunk, from that of the first on.
    pub(super) first_id: u64,
    pub(super) lists: Vec<(&'static str, Arc<Formula>)>,
    pub(super) most: usize,
    /// Longest chain of definitions below.
    pub(super) layers: usize,
    /// Names of the built-in columns below.
    pub(super) builtins: BTreeSet<&'static str>,
}

/// The next id that no formula has.
pub(super) static NEXT_ID: AtomicU64 = AtomicU64::new(0);

pub(super) fn meaning(expression: &Expression, inputs: &[Input]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut add = |kind: u8, bytes: &[u8]| {
        hasher.update([kind]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(0, expression.text().as_bytes());
    for input in inputs {
        match input {
            Input::Column(name) => add(1, name.as_bytes()),
            Input::Formula(formula) => add(2, &formula.meaning),
            Input::OfJets(of_jets, place) => {
                let number = |number: usize| (number as u64).to_le_bytes();
                add(3, &number(*place));
                add(4, &number(of_jets.most));
                for (_, list) in &of_jets.lists {
                    add(5, &list.meaning);
                }
            }
        }
    }
    hasher.finalize().into()
}

pub(super) fn collect_columns(
    formula: &Formula,
    columns: &mut BTreeSet<String>,
    seen: &mut BTreeSet<u64>,
) {
    if !seen.insert(formula.id) {
        return;
    }
    for input in &formula.inputs {
        match input {
            Input::Column(name) => {
                columns.insert(name.clone());
            }
            Input::Formula(formula) => collect_columns(formula, columns, seen),
            Input::OfJets(of_jets, _) => of_jets.collect_columns(columns, seen),
        }
    }
}

impl Formula {
    /// The values of one that has a number for every row.
    pub(super) fn numbers(&self, chunk: &ColumnChunk) -> Result<Lane> {
        self.eval(chunk)?.into_numbers().ok_or_else(|| {
            let error = self.expression.refuse_list(self.shape);
            Error::data(error.to_string())
        })
    }

    /// Recursion is bounded by [`super::MAX_LAYERS`].
    fn eval(&self, chunk: &ColumnChunk) -> Result<Column> {
        let mut columns = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            columns.push(match input {
                Input::Column(name) => chunk.column(name).ok_or_else(|| self.not_in_chunk(name))?,
                Input::Formula(formula) => formula.kept(chunk)?,
                Input::OfJets(of_jets, place) => of_jets.column(*place, chunk)?,
            });
        }
        self.expression
            .evaluate(&columns)
            .map_err(|fault| match fault {
                Some(fault) => self.refused(chunk, Some(&fault), fault.problem),
                None => self.not_in_chunk(""),
            })
    }

    /// The values, computed once for a chunk.
    pub(super) fn kept(&self, chunk: &ColumnChunk) -> Result<Column> {
        if let Some(column) = chunk.derived(self.id) {
            return Ok(column);
        }
        let column = self.eval(chunk)?;
        chunk.keep_derived(self.id, column.clone());
        Ok(column)
    }

    pub(super) fn not_in_chunk(&self, column: &str) -> Error {
        let text = self.expression.text();
        Error::data(format!(
            "column `{column}` of `{text}` is not in the chunk of rows it is evaluated on"
        ))
    }

    /// The complaint about rows that cannot be computed with; without a `fault`, about the
    /// value of the whole expression.
    pub(super) fn refused(
        &self,
        chunk: &ColumnChunk,
        fault: Option<&Fault<Problem>>,
        problem: Problem,
    ) -> Error {
        if let Some(error) = fault.and_then(|fault| self.expression.misuse(fault)) {
            return Error::data(error.to_string());
        }
        let text = self.expression.text();
        let all: Vec<usize> = (0..self.inputs.len()).collect();
        let whole = match fault {
            Some(fault) => self.expression.span_of_fault(fault),
            None => 0..text.len(),
        };
        let operand = |second| match fault {
            Some(fault) => self.expression.operand_of(fault, second),
            None => (0..text.len(), all.clone()),
        };
        let place = |row: Option<usize>| match row {
            Some(row) => format!(" on {}", chunk.place_of(row)),
            None => String::new(),
        };
        let (span, message) = match problem {
            Problem::Inexact { second, row, value } => {
                let (span, variables) = operand(second);
                let message = format!(
                    "{} {value}{}: as a floating-point number this integer would be rounded; \
                     integers are exact in + - * %, min, max, abs, sum and comparisons, with one \
                     another: compare them, or subtract a large one first",
                    self.named(&variables),
                    place(row)
                );
                (span, message)
            }
            Problem::Overflow { row } => {
                let message = format!(
                    "{} too large{}: the result is beyond every integer (2^127)",
                    self.named(&all),
                    place(row)
                );
                (whole, message)
            }
            Problem::Lengths { row, lengths } => {
                let [first, second] = [false, true].map(|second| &text[operand(second).0]);
                let message = format!(
                    "the lists `{first}` and `{second}` have {} and {} elements{}: element by \
                     element, they must be equally long",
                    lengths[0],
                    lengths[1],
                    place(Some(row))
                );
                (whole, message)
            }
            Problem::NoPlace { row, value } => {
                let (span, _) = operand(true);
                let message = format!(
                    "`{}` is {value}{}: elements are counted 0, 1, 2",
                    &text[span.clone()],
                    place(row)
                );
                (span, message)
            }
            Problem::NotList | Problem::NotMask => (whole, "it is of no such list".to_owned()),
        };
        Error::data(ExpressionError::at(text, span, message).to_string())
    }

    /// Inputs by their names, and the columns that definitions rest on.
    fn named(&self, inputs: &[usize]) -> String {
        let name = |&input: &usize| {
            let mut columns = BTreeSet::new();
            match &self.inputs[input] {
                Input::Column(name) => return format!("column `{name}`"),
                Input::Formula(formula) => {
                    collect_columns(formula, &mut columns, &mut BTreeSet::new());
                }
                Input::OfJets(of_jets, _) => {
                    of_jets.collect_columns(&mut columns, &mut BTreeSet::new());
                }
            }
            let columns: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
            let name = &self.expression.variables()[input];
            format!("`{name}` (of column {})", columns.join(", "))
        };
        let names: Vec<String> = inputs.iter().map(name).collect();
        match names.is_empty() {
            true => "the number".to_owned(),
            false => format!("{} is", names.join(" with ")),
        }
    }
}
