//! Named columns that are computed: the user's definitions and the built-ins.
//!
//! A name means, in this order: a column of the file, a definition of the user,
//! a built-in. A definition may not take the name of a column of the file,
//! since one of the two would silently be ignored; it may replace a built-in.
//! Where a text means something beside a column, as `pi` and `a-b` do in a file with
//! columns of these names, it is refused: the column is `{pi}`, `{a-b}`. A function's
//! name means the function before a parenthesis, and a column anywhere else.
//!
//! Columns and definitions may be lists; what is asked for is a number for every event,
//! which is found out before anything is read.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunk::{ColumnChunk, ColumnInfo};
use sha2::{Digest as _, Sha256};
use sideband_numerics::expression::{
    Column, Expression, ExpressionError, Fault, Fold, Lane, Lists, Problem, Shape, Value as _,
    can_be_written, is_plain_name, words_of,
};

/// Most layers of definitions upon definitions.
pub(crate) const MAX_LAYERS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub expression: &'static str,
}

/// The derived columns every HH -> 4b analysis starts from. They exist where their inputs
/// do, and step back where the file has a column of the name. Formulas and numbers are
/// those of the ATLAS HH -> 4b mass plane. `m_h1`, `m_h2` in GeV, `deta_hh` signed or not.
pub(crate) const BUILTINS: &[Builtin] = &[
    // Distance from (124, 117) GeV in units of a 10 % mass resolution.
    Builtin {
        name: "x_hh",
        expression: "sqrt(((m_h1 - 124) / (0.1 * m_h1))^2 + ((m_h2 - 117) / (0.1 * m_h2))^2)",
    },
    // Distance in GeV from the centre of the control region.
    Builtin {
        name: "r_cr",
        expression: "hypot(m_h1 - 1.05 * 124, m_h2 - 1.05 * 117)",
    },
    // 1 in the signal region.
    Builtin {
        name: "in_sr",
        expression: "x_hh < 1.6",
    },
    // 1 in the control region.
    Builtin {
        name: "in_cr",
        expression: "x_hh >= 1.6 && r_cr < 45",
    },
    // Side of (124, 117) GeV, cut by m_h2 - 117 = +-(m_h1 - 124): 0 above, 1 right, 2 below, 3
    // left; the lines belong to right and left.
    Builtin {
        name: "quadrant",
        // The last term is 0, or NaN where a mass is.
        expression: "(abs(m_h2 - 117) > abs(m_h1 - 124)) * 2 * (m_h2 < 117) \
                     + (abs(m_h2 - 117) <= abs(m_h1 - 124)) * (1 + 2 * (m_h1 < 124)) \
                     + 0 * (m_h1 + m_h2)",
    },
    // 1 in the nominal control region: quadrants above and below.
    Builtin {
        name: "in_cr1",
        expression: "in_cr && abs(m_h2 - 117) > abs(m_h1 - 124)",
    },
    // 1 in the alternative control region: quadrants right and left.
    Builtin {
        name: "in_cr2",
        expression: "in_cr && abs(m_h2 - 117) <= abs(m_h1 - 124)",
    },
    // Top veto: 0 fails (x_wt <= 1.5), 1 passes.
    Builtin {
        name: "x_wt_category",
        expression: "!(x_wt <= 1.5)",
    },
    // Signal category 0 to 5: 2 * (bin of |deta_hh|: below 0.5, 0.5 to 1, above 1) + (bin of x_hh:
    // below 0.95, 0.95 to 1.6); -1 outside the SR.
    Builtin {
        name: "hh_category",
        expression: "(x_hh < 1.6) \
                     * (1 + 2 * ((abs(deta_hh) >= 0.5) + (abs(deta_hh) >= 1)) + (x_hh >= 0.95)) - 1",
    },
];

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
    /// Digest of the text and of what its names mean: the same in every resolver.
    meaning: [u8; 32],
    expression: Expression,
    inputs: Vec<Input>,
    /// What it has for every row.
    shape: Shape,
    /// Longest chain of definitions below.
    layers: usize,
    /// Names of the built-in columns below.
    builtins: BTreeSet<&'static str>,
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

/// Equal ones have equal values on equal columns, whatever compiled them.
impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.formula.meaning == other.formula.meaning
    }
}

impl Resolver {
    /// Checks the user's definitions against the columns of the data. Syntax,
    /// names and circles are checked here; a missing column only where used.
    pub fn new<'a>(
        columns: &[ColumnInfo],
        user: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self> {
        let columns = columns.iter().map(|c| (c.name.clone(), c.clone()));
        let columns: HashMap<_, _> = columns.collect();
        let mut parsed = BTreeMap::new();
        let is_free = |builtin: &&Builtin| !columns.contains_key(builtin.name);
        for builtin in BUILTINS.iter().filter(is_free) {
            let place = || format!("built-in `{}`", builtin.name);
            let expression = parse(builtin.expression, &HashMap::new(), place)?;
            parsed.insert(builtin.name.to_owned(), (expression, true));
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
            parsed.insert(name.clone(), (expression, false));
        }
        let mut resolver = Self {
            columns,
            definitions: BTreeMap::new(),
        };
        for name in parsed.keys() {
            resolver.define(name, &parsed, &mut Vec::new())?;
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

    /// The usable definitions, in order of name: name, expression, whether built in.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.definitions
            .iter()
            .filter(|(_, definition)| definition.formula.is_ok())
            .map(|(name, found)| (name.as_str(), found.expression.text(), found.builtin))
    }

    /// Compiles `name` after what it rests on, depth first; a name met again on its own
    /// path closes a circle.
    fn define<'a>(
        &mut self,
        name: &'a str,
        parsed: &'a BTreeMap<String, (Expression, bool)>,
        path: &mut Vec<&'a str>,
    ) -> Result<()> {
        if let Some(start) = path.iter().position(|&earlier| earlier == name) {
            let circle = [&path[start..], &[name]].concat().join(" -> ");
            let text = format!("definitions go round in a circle: {circle}");
            return Err(Error::config(text));
        }
        let is_known = self.definitions.contains_key(name);
        let Some((expression, builtin)) = parsed.get(name).filter(|_| !is_known) else {
            return Ok(());
        };
        path.push(name);
        if path.len() > MAX_LAYERS {
            return Err(too_deep(path[0]));
        }
        for variable in expression.variables() {
            self.define(variable, parsed, path)?;
        }
        path.pop();
        let known: Vec<&str> = parsed.keys().map(String::as_str).collect();
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
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
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

fn meaning(expression: &Expression, inputs: &[Input]) -> [u8; 32] {
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
        }
    }
    hasher.finalize().into()
}

/// Parses a text in which no column may be meant that is not.
fn parse(
    text: &str,
    columns: &HashMap<String, ColumnInfo>,
    context: impl Fn() -> String,
) -> Result<Expression> {
    let names = || columns.keys().map(String::as_str);
    let wrong = |error: ExpressionError| Error::config(error.to_string()).at(context());
    let expression = Expression::parse(text).map_err(|error| {
        let hint = unwritten(text, &error.span, names());
        wrong(hint.unwrap_or(error))
    })?;
    let is_column = |name: &str| columns.contains_key(name);
    if let Some(error) = expression.hidden_by_constant("a column of the data", is_column) {
        return Err(wrong(error));
    }
    Ok(expression)
}

/// The complaint that a column whose name needs braces stands in `text` without them,
/// around the words at `span`.
fn unwritten<'a>(
    text: &str,
    span: &Range<usize>,
    columns: impl Iterator<Item = &'a str>,
) -> Option<ExpressionError> {
    let (name, place) = columns
        .filter(|name| !is_plain_name(name) && can_be_written(name))
        .flat_map(|name| places(text, name).map(move |place| (name, place)))
        .filter(|(_, place)| {
            let inside = |at: usize| place.contains(&at);
            let between = text.get(place.end..span.start);
            let ends_there = between.is_some_and(|between| between.trim().is_empty());
            inside(span.start) || inside(span.end.saturating_sub(1)) || ends_there
        })
        .max_by_key(|(name, _)| name.len())?;
    let message = format!("there is a column `{name}`: write {{{name}}}");
    Some(ExpressionError::at(text, place, message))
}

/// Where a name stands in the text.
fn places<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let found = text.match_indices(name);
    found.map(|(start, found)| start..start + found.len())
}

/// The complaint that words of `text` are also the name of a column.
fn ambiguous<'a>(text: &str, columns: impl Iterator<Item = &'a str>) -> Option<ExpressionError> {
    let mut names = columns.filter(|name| !is_plain_name(name)).peekable();
    names.peek()?;
    let words = words_of(text);
    let is_words = |place: &Range<usize>| {
        let inside =
            |(_, word): &&(bool, Range<usize>)| place.start <= word.start && word.end <= place.end;
        let within = words.iter().filter(inside);
        let (mut count, mut any_name) = (0, false);
        let (mut first, mut last) = (usize::MAX, 0);
        for (is_name, word) in within {
            count += 1;
            any_name |= is_name;
            first = first.min(word.start);
            last = last.max(word.end);
        }
        count > 1 && any_name && first == place.start && last == place.end
    };
    let (name, place) = names
        .flat_map(|name| places(text, name).map(move |place| (name, place)))
        .filter(|(_, place)| is_words(place))
        .max_by_key(|(name, _)| name.len())?;
    let message = format!(
        "there is a column `{name}`: write {{{name}}} for it, or the operation with other \
         spaces"
    );
    Some(ExpressionError::at(text, place, message))
}

fn too_deep(name: &str) -> Error {
    Error::config(format!(
        "definition `{name}` rests on more than {MAX_LAYERS} layers of other definitions"
    ))
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

    /// Names of the built-in columns that it rests on.
    pub(crate) fn builtins(&self) -> impl Iterator<Item = &'static str> {
        self.formula.builtins.iter().copied()
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
    ///
    /// # Errors
    /// If an integer would have to be rounded, or a column is not in the chunk.
    pub fn eval_chunk(&self, chunk: &ColumnChunk) -> Result<Arc<Vec<f64>>> {
        let values = self.formula.numbers(chunk)?.into_rows(chunk.rows());
        values.map_err(|problem| self.formula.refused(chunk, None, problem))
    }

    /// One number of the values of all rows of the chunk.
    pub(super) fn fold_chunk(&self, fold: Fold, chunk: &ColumnChunk) -> Result<Column> {
        let values = Column::Numbers(self.formula.numbers(chunk)?);
        let list = Lists::new(vec![0, chunk.rows()], None, values, false);
        let list = list.ok_or_else(|| self.formula.not_in_chunk(""))?;
        let folded = Column::fold(fold, Column::Lists(list));
        folded.map_err(|problem| self.refused(chunk, problem))
    }

    /// The complaint about values that cannot be computed with.
    pub(super) fn refused(&self, chunk: &ColumnChunk, problem: Problem) -> Error {
        self.formula.refused(chunk, None, problem)
    }

    /// As [`Self::eval_chunk`], for a condition, which an integer of any size may be.
    pub(super) fn eval_condition(&self, chunk: &ColumnChunk) -> Result<Arc<Vec<f64>>> {
        let values = self.formula.numbers(chunk)?.into_condition();
        let values = values.into_rows(chunk.rows());
        values.map_err(|problem| self.formula.refused(chunk, None, problem))
    }
}

impl Formula {
    /// The values of one that has a number for every row.
    fn numbers(&self, chunk: &ColumnChunk) -> Result<Lane> {
        self.eval(chunk)?.into_numbers().ok_or_else(|| {
            let error = self.expression.refuse_list(self.shape);
            Error::data(error.to_string())
        })
    }

    /// Recursion is bounded by [`MAX_LAYERS`].
    fn eval(&self, chunk: &ColumnChunk) -> Result<Column> {
        let mut columns = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            columns.push(match input {
                Input::Column(name) => chunk.column(name).ok_or_else(|| self.not_in_chunk(name))?,
                Input::Formula(formula) => match chunk.derived(formula.id) {
                    Some(column) => column,
                    None => {
                        let column = formula.eval(chunk)?;
                        chunk.keep_derived(formula.id, column.clone());
                        column
                    }
                },
            });
        }
        self.expression
            .evaluate(&columns)
            .map_err(|fault| match fault {
                Some(fault) => self.refused(chunk, Some(&fault), fault.problem),
                None => self.not_in_chunk(""),
            })
    }

    fn not_in_chunk(&self, column: &str) -> Error {
        let text = self.expression.text();
        Error::data(format!(
            "column `{column}` of `{text}` is not in the chunk of rows it is evaluated on"
        ))
    }

    /// The complaint about rows that cannot be computed with; without a `fault`, about the
    /// value of the whole expression.
    fn refused(
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
        let name = |&input: &usize| match &self.inputs[input] {
            Input::Column(name) => format!("column `{name}`"),
            Input::Formula(formula) => {
                let mut columns = BTreeSet::new();
                collect_columns(formula, &mut columns, &mut BTreeSet::new());
                let columns: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
                let name = &self.expression.variables()[input];
                format!("`{name}` (of column {})", columns.join(", "))
            }
        };
        let names: Vec<String> = inputs.iter().map(name).collect();
        match names.is_empty() {
            true => "the number".to_owned(),
            false => format!("{} is", names.join(" with ")),
        }
    }
}

#[cfg(test)]
mod tests;
