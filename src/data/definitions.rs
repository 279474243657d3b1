//! Named columns that are computed: the user's definitions and the built-ins.
//!
//! A name means, in this order: a column of the file, a definition of the user,
//! a built-in. A definition may not take the name of a column of the file,
//! since one of the two would silently be ignored; it may replace a built-in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::builtins::BUILTINS;
use super::chunk::ColumnChunk;
use super::dataset::ColumnInfo;
use super::error::DataError;
use super::expression::{Expression, ExpressionError, Lane, is_plain_name};

/// Most layers of definitions upon definitions.
pub const MAX_LAYERS: usize = 32;

/// Turns names into columns and definitions, for one schema.
#[derive(Clone, Debug)]
pub struct Resolver {
    columns: HashMap<String, ColumnInfo>,
    definitions: BTreeMap<String, Definition>,
}

#[derive(Clone, Debug)]
struct Definition {
    expression: Expression,
    builtin: bool,
    /// What it compiles to, or why it cannot be used on these columns.
    formula: Result<Arc<Formula>, Unusable>,
}

/// Kept until the definition is used: a definition for other data is no error.
#[derive(Clone, Debug)]
struct Unusable {
    /// The definition with the fault; none while its name is not known yet.
    place: Option<String>,
    error: ExpressionError,
}

/// An expression whose names are resolved.
#[derive(Debug)]
struct Formula {
    /// Tells formulas apart in the memory of a chunk.
    id: u64,
    expression: Expression,
    inputs: Vec<Input>,
    /// Longest chain of definitions below.
    layers: usize,
}

#[derive(Clone, Debug)]
enum Input {
    Column(String),
    Formula(Arc<Formula>),
}

/// An expression ready to be evaluated on chunks of rows.
#[derive(Clone, Debug)]
pub struct Compiled {
    formula: Arc<Formula>,
    columns: Arc<[String]>,
}

impl Resolver {
    /// Checks the user's definitions against the columns of the data. Syntax,
    /// names and circles are checked here; a missing column only where used.
    pub fn new(columns: &[ColumnInfo], user: &BTreeMap<String, String>) -> Result<Self, DataError> {
        let columns: HashMap<_, _> = columns
            .iter()
            .map(|c| (c.name.clone(), c.clone()))
            .collect();
        let mut parsed = BTreeMap::new();
        for builtin in BUILTINS
            .iter()
            .filter(|builtin| !columns.contains_key(builtin.name))
        {
            let expression = parse(builtin.expression, || {
                format!("built-in `{}`", builtin.name)
            })?;
            parsed.insert(builtin.name.to_owned(), (expression, true));
        }
        for (name, text) in user {
            if !is_plain_name(name) {
                return Err(DataError::BadName { name: name.clone() });
            }
            if columns.contains_key(name) {
                return Err(DataError::Ambiguous { name: name.clone() });
            }
            let expression = parse(text, || format!("definition `{name}`"))?;
            parsed.insert(name.clone(), (expression, false));
        }
        refuse_cycles(&parsed)?;
        let mut resolver = Self {
            columns,
            definitions: BTreeMap::new(),
        };
        for name in parsed.keys() {
            resolver.define(name, &parsed)?;
        }
        Ok(resolver)
    }

    /// Compiles an expression over columns and definitions.
    pub fn compile(&self, text: &str) -> Result<Compiled, DataError> {
        let here = || "expression".to_owned();
        let expression = parse(text, here)?;
        let formula = self
            .resolve(&expression, &[])
            .map_err(|unusable| match unusable {
                Some(Unusable { place, error }) => DataError::Expression {
                    context: place.unwrap_or_else(here),
                    error,
                },
                None => DataError::TooDeep {
                    name: text.to_owned(),
                    limit: MAX_LAYERS,
                },
            })?;
        let mut columns = BTreeSet::new();
        let mut seen = BTreeSet::new();
        collect_columns(&formula, &mut columns, &mut seen);
        Ok(Compiled {
            formula,
            columns: columns.into_iter().collect(),
        })
    }

    /// The usable definitions, in order of name: name, expression, whether built in.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.definitions
            .iter()
            .filter(|(_, definition)| definition.formula.is_ok())
            .map(|(name, definition)| {
                (
                    name.as_str(),
                    definition.expression.text(),
                    definition.builtin,
                )
            })
    }

    /// Compiles `name` after what it rests on. No circles here, so it ends;
    /// [`refuse_cycles`] has bounded the depth.
    fn define(
        &mut self,
        name: &str,
        parsed: &BTreeMap<String, (Expression, bool)>,
    ) -> Result<(), DataError> {
        if self.definitions.contains_key(name) {
            return Ok(());
        }
        let Some((expression, builtin)) = parsed.get(name) else {
            return Ok(());
        };
        for variable in expression.variables() {
            self.define(variable, parsed)?;
        }
        let known: Vec<&str> = parsed.keys().map(String::as_str).collect();
        let formula = match self.resolve(expression, &known) {
            Ok(formula) => Ok(formula),
            Err(None) => {
                return Err(DataError::TooDeep {
                    name: name.to_owned(),
                    limit: MAX_LAYERS,
                });
            }
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
            expression: expression.clone(),
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
        let mut layers = 0;
        let here = |error| Unusable { place: None, error };
        for name in expression.variables() {
            if let Some(column) = self.columns.get(name) {
                if !column.numeric {
                    let message = format!("column `{name}` is {}, not a number", column.type_name);
                    return Err(Some(here(ExpressionError::about_variable(
                        expression, name, message,
                    ))));
                }
                inputs.push(Input::Column(name.clone()));
                continue;
            }
            match self
                .definitions
                .get(name)
                .map(|definition| &definition.formula)
            {
                Some(Ok(formula)) => {
                    layers = layers.max(formula.layers + 1);
                    inputs.push(Input::Formula(formula.clone()));
                }
                Some(Err(unusable)) => return Err(Some(unusable.clone())),
                None => {
                    let columns = self.columns.keys().map(String::as_str);
                    let definitions = self.definitions.keys().map(String::as_str);
                    let candidates = columns.chain(definitions).chain(more_names.iter().copied());
                    return Err(Some(here(ExpressionError::unknown_column(
                        expression, name, candidates,
                    ))));
                }
            }
        }
        if layers > MAX_LAYERS {
            return Err(None);
        }
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Formula {
            id,
            expression: expression.clone(),
            inputs,
            layers,
        }))
    }
}

fn parse(text: &str, context: impl Fn() -> String) -> Result<Expression, DataError> {
    Expression::parse(text).map_err(|error| DataError::Expression {
        context: context(),
        error,
    })
}

/// Depth-first search; a name met again on its own path closes a circle.
fn refuse_cycles(parsed: &BTreeMap<String, (Expression, bool)>) -> Result<(), DataError> {
    fn visit<'a>(
        name: &'a str,
        parsed: &'a BTreeMap<String, (Expression, bool)>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Result<(), DataError> {
        if let Some(start) = path.iter().position(|&earlier| earlier == name) {
            let circle = path[start..]
                .iter()
                .chain([&name])
                .map(|&name| name.to_owned())
                .collect();
            return Err(DataError::Cycle { path: circle });
        }
        let Some((expression, _)) = parsed.get(name).filter(|_| !done.contains(name)) else {
            return Ok(());
        };
        path.push(name);
        if path.len() > MAX_LAYERS {
            return Err(DataError::TooDeep {
                name: path[0].to_owned(),
                limit: MAX_LAYERS,
            });
        }
        for variable in expression.variables() {
            visit(variable, parsed, path, done)?;
        }
        path.pop();
        done.insert(name);
        Ok(())
    }
    let mut done = BTreeSet::new();
    for name in parsed.keys() {
        visit(name, parsed, &mut Vec::new(), &mut done)?;
    }
    Ok(())
}

fn collect_columns(formula: &Formula, columns: &mut BTreeSet<String>, seen: &mut BTreeSet<u64>) {
    if !seen.insert(formula.id) {
        return;
    }
    for input in &formula.inputs {
        match input {
            Input::Column(name) => {
                columns.insert(name.clone());
            }
            Input::Formula(formula) => collect_columns(formula, columns, seen),
        }
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

    /// The column, if the expression is nothing but a column.
    pub(super) fn as_column(&self) -> Option<&str> {
        match self.formula.inputs.as_slice() {
            [Input::Column(name)] if name == self.text().trim() => Some(name),
            _ => None,
        }
    }

    /// One value for each row of the chunk. Shared with the chunk, not copied,
    /// where the expression is just a column or a definition.
    pub fn eval_chunk(&self, chunk: &ColumnChunk) -> Result<Arc<Vec<f64>>, DataError> {
        Ok(self.formula.eval(chunk)?.into_rows(chunk.rows()))
    }
}

impl Formula {
    /// Recursion is bounded by [`MAX_LAYERS`].
    fn eval(&self, chunk: &ColumnChunk) -> Result<Lane, DataError> {
        let mut lanes = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            lanes.push(match input {
                Input::Column(name) => chunk.column(name).ok_or_else(|| DataError::NotInChunk {
                    column: name.clone(),
                    expression: self.expression.text().to_owned(),
                })?,
                Input::Formula(formula) => match chunk.derived(formula.id) {
                    Some(lane) => lane,
                    None => {
                        let lane = formula.eval(chunk)?;
                        chunk.keep_derived(formula.id, lane.clone());
                        lane
                    }
                },
            });
        }
        Ok(self.expression.eval_lanes(&lanes))
    }
}

#[cfg(test)]
mod tests;
