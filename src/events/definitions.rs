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

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunk::{ColumnChunk, ColumnInfo};
use super::jets::{self, Jets, Misfit};
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

/// Names of all built-in columns.
pub(crate) fn builtin_names() -> impl Iterator<Item = &'static str> {
    let names = BUILTINS.iter().map(|builtin| builtin.name);
    names.chain(Jets::columns())
}

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
    /// A column made of jets, by its place among their names.
    OfJets(Arc<OfJets>, usize),
}

/// The lists of the jets, and what else columns that are made of them depend on.
#[derive(Debug)]
struct OfJets {
    /// Ids of the columns in the memory of a chunk, from that of the first on.
    first_id: u64,
    lists: Vec<(&'static str, Arc<Formula>)>,
    most: usize,
    /// Longest chain of definitions below.
    layers: usize,
    /// Names of the built-in columns below.
    builtins: BTreeSet<&'static str>,
}

/// What stands for the columns made of jets in a chain of definitions; no name.
const JETS: &str = "[data.jets]";

/// All that is defined by texts.
struct Texts<'a> {
    /// By name; whether built in.
    definitions: BTreeMap<String, (Expression, bool)>,
    jets: Option<JetTexts<'a>>,
}

/// The lists of the jets as expressions.
struct JetTexts<'a> {
    of: &'a Jets,
    lists: Result<Vec<(&'static str, Expression)>, Unusable>,
}

impl<'a> Texts<'a> {
    fn new(jets: Option<&'a Jets>, columns: &HashMap<String, ColumnInfo>) -> Self {
        let jets = jets.map(|of| {
            let parse = |(key, text): (&'static str, &str)| {
                let parsed = parsed(text, columns);
                let list = parsed.map(|expression| (key, expression));
                list.map_err(|error| Unusable::of_jets(key, error))
            };
            JetTexts {
                of,
                lists: of.texts().map(parse).collect(),
            }
        });
        Self {
            definitions: BTreeMap::new(),
            jets,
        }
    }

    /// Names that the definition of one rests on.
    fn below(&self, name: &str) -> impl Iterator<Item = &str> {
        let definition = self.definitions.get(name).into_iter();
        let lists = self.jets.iter().filter(move |_| name == JETS);
        let lists = lists.flat_map(|jets| jets.lists.iter().flatten());
        let own = definition.map(|(expression, _)| expression);
        own.chain(lists.map(|(_, list)| list))
            .flat_map(|expression| expression.variables().iter().map(String::as_str))
    }
}

impl Unusable {
    fn of_jets(key: &str, error: ExpressionError) -> Self {
        Self {
            place: Some(format!("`data.jets.{key}`")),
            error,
        }
    }
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

    /// What columns are made of these lists with; `Err(None)` as of [`Self::resolve`].
    fn of_jets(
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

/// The next id that no formula has.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

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

/// [`parsed`], or what is wrong at a place.
fn parse(
    text: &str,
    columns: &HashMap<String, ColumnInfo>,
    context: impl Fn() -> String,
) -> Result<Expression> {
    let expression = parsed(text, columns);
    expression.map_err(|error| Error::config(error.to_string()).at(context()))
}

/// Parses a text in which no column may be meant that is not.
fn parsed(
    text: &str,
    columns: &HashMap<String, ColumnInfo>,
) -> Result<Expression, ExpressionError> {
    let names = || columns.keys().map(String::as_str);
    let expression = Expression::parse(text)
        .map_err(|error| unwritten(text, &error.span, names()).unwrap_or(error))?;
    let is_column = |name: &str| columns.contains_key(name);
    match expression.hidden_by_constant("a column of the data", is_column) {
        Some(error) => Err(error),
        None => Ok(expression),
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
            Input::OfJets(of_jets, _) => of_jets.collect_columns(columns, seen),
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
    fn kept(&self, chunk: &ColumnChunk) -> Result<Column> {
        if let Some(column) = chunk.derived(self.id) {
            return Ok(column);
        }
        let column = self.eval(chunk)?;
        chunk.keep_derived(self.id, column.clone());
        Ok(column)
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

impl OfJets {
    fn collect_columns(&self, columns: &mut BTreeSet<String>, seen: &mut BTreeSet<u64>) {
        for (_, list) in &self.lists {
            collect_columns(list, columns, seen);
        }
    }

    /// One of the columns, kept with those that are computed together with it.
    fn column(&self, place: usize, chunk: &ColumnChunk) -> Result<Column> {
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

#[cfg(test)]
mod tests;
