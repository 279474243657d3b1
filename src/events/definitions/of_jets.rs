//! Columns that are made of the jets of an event.

use super::super::chunk::ColumnChunk;
use super::super::jets::{self, Jets, Misfit};
use super::formula::{NEXT_ID, OfJets, collect_columns};
use super::texts::{JetTexts, Unusable};
use super::{MAX_LAYERS, Resolver};
use crate::error::{Error, Result};
use sideband_numerics::expression::{Column, Expression, ExpressionError, Shape};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Resolver {
    /// What columns are made of these lists with; `Err(None)` as of [`Self::resolve`].
    pub(super) fn of_jets(
        &self,
        texts: &JetTexts<'_>,
        more_names: &[&str],
    ) -> Result<Arc<OfJets>, Option<Unusable>> {
        let (mut layers, mut builtins) = (0, BTreeSet::new());
        let mut lists = Vec::new();
        let expressions = texts.lists.as_ref();
        for (key, expression) in expressions.map_err(|unusable| Some(unusable.clone()))? {
            let formula = self.resolve(expression, more_names).map_err(|unusable| {
                // the innermost definition is the one with the fault
                let Unusable { place, error } = unusable?;
                let own = Unusable::of_jets(key, error);
                Some(Unusable {
                    place: place.or(own.place),
                    ..own
                })
            })?;
            if let Some(error) = misfit(expression, formula.shape, lists.len() >= jets::NUMBERS) {
                return Err(Some(Unusable::of_jets(key, error)));
            }
            layers = layers.max(formula.layers + 1);
            builtins.extend(&formula.builtins);
            lists.push((*key, formula));
        }
        if layers > MAX_LAYERS {
            return Err(None);
        }
        let columns = Jets::columns().count() as u64;
        Ok(Arc::new(OfJets {
            first_id: NEXT_ID.fetch_add(columns, Ordering::Relaxed),
            lists,
            most: texts.of.most,
            layers,
            builtins,
        }))
    }

    /// The lists of the jets that are named.
    pub(in crate::events) fn jet_lists(&self) -> Result<JetLists> {
        match &self.jets {
            Some(Ok(lists)) => Ok(JetLists(Arc::clone(lists))),
            Some(Err(Unusable { place, error })) => {
                let place = place.as_deref().unwrap_or("`data.jets`");
                Err(Error::config(error.to_string()).at(place))
            }
            None => Err(Error::config_at("data.jets", "no jets are named")),
        }
    }
}

/// The complaint that an expression is no list of numbers, or of truths, a jet each.
fn misfit(expression: &Expression, shape: Shape, of_truths: bool) -> Option<ExpressionError> {
    let text = expression.text().trim();
    let message = if shape.depth != 1 {
        format!("`{text}` is {shape} for every event, and a list with one number a jet is needed")
    } else if of_truths && !shape.truths {
        format!(
            "`{text}` is a list of numbers, and a truth a jet is needed: write a condition, such as \
             `{text} > 0`"
        )
    } else {
        return None;
    };
    let span = 0..expression.text().len();
    Some(ExpressionError::at(expression.text(), span, message))
}

impl OfJets {
    pub(super) fn collect_columns(&self, columns: &mut BTreeSet<String>, seen: &mut BTreeSet<u64>) {
        for (_, list) in &self.lists {
            collect_columns(list, columns, seen);
        }
    }

    /// One of the columns, kept with those that are computed together with it.
    pub(super) fn column(&self, place: usize, chunk: &ColumnChunk) -> Result<Column> {
        let id = |place: usize| self.first_id + place as u64;
        if let Some(column) = chunk.derived(id(place)) {
            return Ok(column);
        }
        let lists = self.lists.iter().map(|(_, list)| list.kept(chunk));
        let lists = lists.collect::<Result<Vec<Column>>>()?;
        let made = jets::columns(place, &lists, chunk.rows(), self.most);
        let (places, columns) = made.map_err(|misfit| self.refused(chunk, misfit))?;
        for (place, column) in places.zip(columns) {
            chunk.keep_derived(id(place), column);
        }
        let column = chunk.derived(id(place));
        column.ok_or_else(|| Error::internal(format!("no column {place} of jets")))
    }

    /// The complaint about lists that are not those of jets.
    fn refused(&self, chunk: &ColumnChunk, misfit: Misfit) -> Error {
        let named = |list: usize| {
            let (key, list) = &self.lists[list];
            format!("`{}` (data.jets.{key})", list.expression.text().trim())
        };
        Error::data(match misfit {
            Misfit::Lengths {
                row,
                lists,
                lengths,
            } => {
                let [first, second] = lists.map(named);
                let [some, others] = lengths;
                format!(
                    "the lists {first} and {second} have {some} and {others} elements on {}: those \
                     of the jets of an event must be equally long",
                    chunk.place_of(row)
                )
            }
            Misfit::Inexact { list } => format!(
                "the list {} has an integer that would be rounded as a floating-point number",
                named(list)
            ),
            Misfit::NotList { list } => format!("{} is no list", named(list)),
        })
    }
}

/// The lists of the jets by their places, in the order of [`Jets::texts`].
pub(in crate::events) struct JetLists(Arc<OfJets>);

impl JetLists {
    /// The columns that are needed.
    pub(in crate::events) fn columns(&self) -> BTreeSet<String> {
        let mut columns = BTreeSet::new();
        self.0.collect_columns(&mut columns, &mut BTreeSet::new());
        columns
    }

    /// The key of one.
    pub(in crate::events) fn key(&self, list: usize) -> &'static str {
        self.0.lists[list].0
    }

    /// All of them on a chunk.
    pub(in crate::events) fn of(&self, chunk: &ColumnChunk) -> Result<Vec<Column>> {
        let lists = self.0.lists.iter().map(|(_, list)| list.kept(chunk));
        lists.collect()
    }

    /// The complaint about lists that are not those of jets.
    pub(in crate::events) fn refused(&self, chunk: &ColumnChunk, misfit: Misfit) -> Error {
        self.0.refused(chunk, misfit)
    }
}
