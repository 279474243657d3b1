//! Definitions as they are written, and what is wrong with a text.

use super::super::chunk::ColumnInfo;
use super::super::jets::Jets;
use crate::error::{Error, Result};
use sideband_numerics::expression::{
    Expression, ExpressionError, can_be_written, is_plain_name, words_of,
};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What stands for the columns made of jets in a chain of definitions; no name.
pub(super) const JETS: &str = "[data.jets]";

/// All that is defined by texts.
pub(super) struct Texts<'a> {
    /// By name; whether built in.
    pub(super) definitions: BTreeMap<String, (Expression, bool)>,
    pub(super) jets: Option<JetTexts<'a>>,
}

/// The lists of the jets as expressions.
pub(super) struct JetTexts<'a> {
    pub(super) of: &'a Jets,
    pub(super) lists: Result<Vec<(&'static str, Expression)>, Unusable>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(jets: Option<&'a Jets>, columns: &HashMap<String, ColumnInfo>) -> Self {
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
    pub(super) fn below(&self, name: &str) -> impl Iterator<Item = &str> {
        let definition = self.definitions.get(name).into_iter();
        let lists = self.jets.iter().filter(move |_| name == JETS);
        let lists = lists.flat_map(|jets| jets.lists.iter().flatten());
        let own = definition.map(|(expression, _)| expression);
        own.chain(lists.map(|(_, list)| list))
            .flat_map(|expression| expression.variables().iter().map(String::as_str))
    }
}

/// Kept until the definition is used: a definition for other data is no error.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    /// The definition with the fault; none while its name is not known yet.
    pub(super) place: Option<String>,
    pub(super) error: ExpressionError,
}

impl Unusable {
    pub(super) fn of_jets(key: &str, error: ExpressionError) -> Self {
        Self {
            place: Some(format!("`data.jets.{key}`")),
            error,
        }
    }
}

/// [`parsed`], or what is wrong at a place.
pub(super) fn parse(
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

/// The complaint that a column whose name needs braces stands in `text` without them,
/// around the words at `span`.
pub(super) fn unwritten<'a>(
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
pub(super) fn ambiguous<'a>(
    text: &str,
    columns: impl Iterator<Item = &'a str>,
) -> Option<ExpressionError> {
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
