//! Named columns that are computed: the user's definitions and the built-ins.
//!
//! A name means, in this order: a column of the file, a definition of the user,
//! a built-in. A definition may not take the name of a column of the file,
//! since one of the two would silently be ignored; it may replace a built-in. Built in are
//! expressions ([`BUILTINS`]) and, where the jets are named, columns that are made of them.
//! Where a text means something beside a column, as `pi` and `a-b` do in a file with
//! columns of these names, it is refused: the column is `{pi}`, `{a-b}`. A function's
//! name means the function before a parenthesis, and a column anywhere else.
//!
//! Columns and definitions may be lists; what is asked for is a number for every event,
//! which is found out before anything is read.

mod builtins;
mod compiled;
mod formula;
mod of_jets;
mod texts;

pub(crate) use builtins::{BUILTINS, builtin_names};
pub use compiled::Compiled;
pub(super) use of_jets::JetLists;

use super::chunk::ColumnInfo;
use super::jets::{self, Jets};
use crate::error::{Error, Result};
use builtins::Builtin;
use formula::{Formula, Input, NEXT_ID, OfJets, collect_columns, meaning};
use sideband_numerics::expression::{Expression, ExpressionError, Shape, is_plain_name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use texts::{JETS, Texts, Unusable, ambiguous, parse, unwritten};

/// Most layers of definitions upon definitions.
const MAX_LAYERS: usize = 32;

/// Turns names into columns and definitions, for one schema.
#[derive(Clone, Debug)]
pub struct Resolver {
    columns: HashMap<String, ColumnInfo>,
    definitions: BTreeMap<String, Definition>,
    /// What columns are made of jets with, where the jets are named.
    jets: Option<Result<Arc<OfJets>, Unusable>>,
}

#[derive(Clone, Debug)]
struct Definition {
    builtin: bool,
    /// What it compiles to, or why it cannot be used on these columns.
    formula: Result<Arc<Formula>, Unusable>,
}

impl Resolver {
    /// Checks the user's definitions against the columns of the data. Syntax,
    /// names and circles are checked here; a missing column only where used.
    pub fn new<'a>(
        columns: &[ColumnInfo],
        user: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self> {
        Self::with_jets(columns, None, user)
    }

    /// The same with columns that are made of jets, where these are named.
    pub fn with_jets<'a>(
        columns: &[ColumnInfo],
        jets: Option<&Jets>,
        user: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self> {
        let columns = columns.iter().map(|c| (c.name.clone(), c.clone()));
        let columns: HashMap<_, _> = columns.collect();
        let mut texts = Texts::new(jets, &columns);
        let is_free = |builtin: &&Builtin| !columns.contains_key(builtin.name);
        for builtin in BUILTINS.iter().filter(is_free) {
            let place = || format!("built-in `{}`", builtin.name);
            let expression = parse(builtin.expression, &HashMap::new(), place)?;
            let definition = (expression, true);
            texts
                .definitions
                .insert(builtin.name.to_owned(), definition);
        }
        // in the order of their names, whatever that of the configuration is
        for (name, text) in user.into_iter().collect::<BTreeMap<_, _>>() {
            if !is_plain_name(name) {
                return Err(Error::config(format!(
                    "`{name}` is no name for a definition; use letters, digits, `_` and `.`, and \
                     no digit first"
                )));
            }
            if columns.contains_key(name) {
                return Err(Error::config(format!(
                    "`{name}` is defined in the configuration and is also a column of the data; \
                     give the definition another name"
                )));
            }
            let expression = parse(text, &columns, || format!("definition `{name}`"))?;
            texts.definitions.insert(name.clone(), (expression, false));
        }
        let mut resolver = Self {
            columns,
            definitions: BTreeMap::new(),
            jets: None,
        };
        let jets = texts.jets.as_ref().map(|_| JETS);
        let names = texts.definitions.keys().map(String::as_str);
        for name in names.chain(jets) {
            resolver.define(name, &texts, &mut Vec::new())?;
        }
        Ok(resolver)
    }

    /// Whether a name is that of a column or of a definition of the user.
    pub fn knows(&self, name: &str) -> bool {
        let definition = self.definitions.get(name);
        self.columns.contains_key(name) || definition.is_some_and(|found| !found.builtin)
    }

    /// Compiles an expression over columns and definitions, with a number for every row.
    pub fn compile(&self, text: &str) -> Result<Compiled> {
        let here = || "expression".to_owned();
        let expression = parse(text, &self.columns, here)?;
        let wrong = |unusable| match unusable {
            Some(Unusable { place, error }) => {
                Error::config(error.to_string()).at(place.unwrap_or_else(here))
            }
            None => too_deep(text),
        };
        let formula = self.resolve(&expression, &[]).map_err(wrong)?;
        if formula.shape.depth > 0 {
            let error = expression.refuse_list(formula.shape);
            return Err(Error::config(error.to_string()).at(here()));
        }
        let mut columns = BTreeSet::new();
        collect_columns(&formula, &mut columns, &mut BTreeSet::new());
        Ok(Compiled {
            formula,
            columns: columns.into_iter().collect(),
        })
    }

    /// Names of the built-in columns that can be used: those of expressions, then those that
    /// are made of jets.
    pub(crate) fn builtins(&self) -> Vec<&str> {
        let definitions = self.definitions.iter();
        let usable = definitions.filter(|(_, found)| found.builtin && found.formula.is_ok());
        let mut names: Vec<&str> = usable.map(|(name, _)| name.as_str()).collect();
        if let Some(Ok(_)) = &self.jets {
            for name in Jets::columns() {
                let is_column = self.columns.contains_key(name);
                if !is_column && !self.definitions.contains_key(name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Compiles `name` after what it rests on, depth first; a name met again on its own
    /// path closes a circle.
    fn define<'a>(
        &mut self,
        name: &'a str,
        texts: &'a Texts<'_>,
        path: &mut Vec<&'a str>,
    ) -> Result<()> {
        let is_defined = texts.definitions.contains_key(name) || self.columns.contains_key(name);
        let is_of_jets = !is_defined && texts.jets.is_some() && jets::place_of(name).is_some();
        let name = if is_of_jets { JETS } else { name };
        if let Some(start) = path.iter().position(|&earlier| earlier == name) {
            let circle = [&path[start..], &[name]].concat().join(" -> ");
            let text = format!("definitions go round in a circle: {circle}");
            return Err(Error::config(text));
        }
        let is_text = texts.definitions.contains_key(name) || name == JETS;
        let is_known = self.definitions.contains_key(name) || name == JETS && self.jets.is_some();
        if is_known || !is_text {
            return Ok(());
        }
        path.push(name);
        if path.len() > MAX_LAYERS {
            return Err(too_deep(path[0]));
        }
        for variable in texts.below(name) {
            self.define(variable, texts, path)?;
        }
        path.pop();
        let known: Vec<&str> = texts.definitions.keys().map(String::as_str).collect();
        if let Some(lists) = texts.jets.as_ref().filter(|_| name == JETS) {
            self.jets = match self.of_jets(lists, &known) {
                Ok(of_jets) => Some(Ok(of_jets)),
                Err(None) => return Err(too_deep(name)),
                Err(Some(unusable)) => Some(Err(unusable)),
            };
            return Ok(());
        }
        let Some((expression, builtin)) = texts.definitions.get(name) else {
            return Ok(());
        };
        let formula = match self.resolve(expression, &known) {
            Ok(formula) => Ok(formula),
            Err(None) => return Err(too_deep(name)),
            Err(Some(Unusable { place, error })) => {
                let kind = if *builtin { "built-in" } else { "definition" };
                // The innermost definition is the one with the fault.
                Err(Unusable {
                    place: place.or_else(|| Some(format!("{kind} `{name}`"))),
                    error,
                })
            }
        };
        let definition = Definition {
            builtin: *builtin,
            formula,
        };
        self.definitions.insert(name.to_owned(), definition);
        Ok(())
    }

    /// `Err(None)` where the layers are too many.
    fn resolve(
        &self,
        expression: &Expression,
        more_names: &[&str],
    ) -> Result<Arc<Formula>, Option<Unusable>> {
        let mut inputs = Vec::with_capacity(expression.variables().len());
        let mut shapes = Vec::with_capacity(expression.variables().len());
        let mut layers = 0;
        let mut builtins = BTreeSet::new();
        let here = |error| Unusable { place: None, error };
        for name in expression.variables() {
            if let Some(column) = self.columns.get(name) {
                let shape = column.shape.as_ref().map_err(|why| {
                    let of = &column.type_name;
                    let message = format!("column `{name}` is {of}, not a number: {why}");
                    Some(here(ExpressionError::about_variable(
                        expression, name, message,
                    )))
                })?;
                inputs.push(Input::Column(name.clone()));
                shapes.push(*shape);
                continue;
            }
            let known = self.definitions.get(name);
            if known.is_some_and(|definition| definition.builtin) {
                let names = BUILTINS.iter().map(|builtin| builtin.name);
                builtins.extend(names.filter(|builtin| builtin == name));
            }
            if let (None, Some(of_jets), Some((place, name))) =
                (known, &self.jets, jets::place_of(name))
            {
                let of_jets = of_jets.as_ref();
                let of_jets = of_jets.map_err(|unusable| Some(unusable.clone()))?;
                layers = layers.max(of_jets.layers + 1);
                builtins.extend(&of_jets.builtins);
                builtins.insert(name);
                shapes.push(Shape::NUMBER);
                inputs.push(Input::OfJets(Arc::clone(of_jets), place));
                continue;
            }
            match known.map(|definition| &definition.formula) {
                Some(Ok(formula)) => {
                    layers = layers.max(formula.layers + 1);
                    builtins.extend(&formula.builtins);
                    shapes.push(formula.shape);
                    inputs.push(Input::Formula(formula.clone()));
                }
                Some(Err(unusable)) => return Err(Some(unusable.clone())),
                None => {
                    let columns = self.columns.keys().map(String::as_str);
                    let definitions = self.definitions.keys().map(String::as_str);
                    let candidates = columns.chain(definitions).chain(more_names.iter().copied());
                    let mut candidates: Vec<&str> = candidates.collect();
                    for name in Jets::columns().filter(|_| self.jets.is_some()) {
                        candidates.push(name);
                    }
                    let columns = self.columns.keys().map(String::as_str);
                    let span = expression.span_of(name);
                    let error = unwritten(expression.text(), &span, columns).unwrap_or_else(|| {
                        ExpressionError::unknown_column(expression, name, candidates)
                    });
                    return Err(Some(here(error)));
                }
            }
        }
        if layers > MAX_LAYERS {
            return Err(None);
        }
        let columns = self.columns.keys().map(String::as_str);
        if let Some(error) = ambiguous(expression.text(), columns) {
            return Err(Some(here(error)));
        }
        let shape = expression.shape(&shapes);
        let shape = shape.map_err(|error| Some(here(error)))?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Formula {
            id,
            meaning: meaning(expression, &inputs),
            expression: expression.clone(),
            inputs,
            shape,
            layers,
            builtins,
        }))
    }
}

fn too_deep(name: &str) -> Error {
    Error::config(format!(
        "definition `{name}` rests on more than {MAX_LAYERS} layers of other definitions"
    ))
}

#[cfg(test)]
mod tests;
