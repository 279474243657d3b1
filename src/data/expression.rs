//! Selections, features and weights as text: `log(pt_h1 / 2) > 4 && !is_mc`.
//!
//! Everything is an `f64`; truth is 1 and 0. Precedence, loosest first: `||`,
//! `&&`, `== !=`, `< <= > >=`, `+ -`, `* / %`, unary `- + !`, `^`. So `-x^2` is
//! `-(x^2)`, `2^3^2` is `2^9`, `a - b - c` is `(a - b) - c`. A division by zero
//! or the logarithm of a negative number is inf or NaN as in IEEE 754; every
//! comparison with NaN is false (`!=` too), and NaN is not true.
//!
//! The words are split and checked here, for positions in the messages; exmex
//! parses and evaluates the checked text.

mod grammar;
mod lane;
mod tokens;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use exmex::{Express as _, FlatEx};

pub(in crate::data) use lane::{Lane, is_true};
use lane::{Literals, Operators};
pub(in crate::data) use tokens::is_plain_name;

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Deepest nesting of parentheses, functions, signs and powers.
pub const MAX_DEPTH: usize = 64;
/// Each function an expression may call: name, number of arguments, meaning.
pub const FUNCTIONS: &[(&str, usize, &str)] = &lane::FUNCTIONS;

/// Columns printed around the place of an error in a long expression.
const SHOWN_AROUND: usize = 60;
/// Least similarity (Jaro-Winkler, 0 to 1) at which a name is suggested.
const LEAST_SIMILARITY: f64 = 0.75;

/// A parsed expression over named variables. Cheap to clone, free of state.
#[derive(Clone)]
pub struct Expression {
    inner: Arc<Parsed>,
}

struct Parsed {
    text: String,
    variables: Vec<String>,
    spans: Vec<Range<usize>>,
    formula: FlatEx<Lane, Operators, Literals>,
}

impl Expression {
    /// Parses `text`; at most [`MAX_LENGTH`] bytes, nested at most [`MAX_DEPTH`] deep.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_LENGTH {
            let message = format!(
                "the expression has {} bytes, at most {MAX_LENGTH} are allowed",
                text.len()
            );
            return Err(ExpressionError::at(text, 0..0, message));
        }
        let tokens = tokens::tokenize(text)?;
        let translation = grammar::translate(text, &tokens)?;
        let formula = FlatEx::parse(&translation.text).map_err(|error| {
            ExpressionError::at(text, 0..text.len(), format!("cannot be parsed: {error}"))
        })?;
        let inner = Parsed {
            text: text.to_owned(),
            variables: translation.variables,
            spans: translation.spans,
            formula,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The names used, each once, in the order of their first appearance.
    pub fn variables(&self) -> &[String] {
        &self.inner.variables
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Evaluates for one row; `values` in the order of [`Self::variables`].
    /// NaN if `values` has another length.
    pub fn eval(&self, values: &[f64]) -> f64 {
        let lanes: Vec<Lane> = values.iter().map(|&value| Lane::Same(value)).collect();
        match self.eval_lanes(&lanes) {
            Lane::Same(value) => value,
            Lane::Each(values) => values.first().copied().unwrap_or(f64::NAN),
        }
    }

    /// Evaluates for all rows of a chunk at once.
    pub(in crate::data) fn eval_lanes(&self, lanes: &[Lane]) -> Lane {
        self.inner
            .formula
            .eval(lanes)
            .unwrap_or(Lane::Same(f64::NAN))
    }

    /// What the operators `O` of another type make of the formula; `variables` in
    /// the order of [`Self::variables`].
    pub(crate) fn interpret<T, O>(&self, variables: &[T]) -> Result<T, ExpressionError>
    where
        T: Clone + Default + fmt::Debug + FromStr,
        T::Err: fmt::Debug,
        O: exmex::MakeOperators<T>,
    {
        let text = self.inner.formula.unparse();
        let formula = FlatEx::<T, O, Literals>::parse(text);
        let value = formula.and_then(|formula| formula.eval(variables));
        value.map_err(|error| {
            let span = 0..self.inner.text.len();
            ExpressionError::at(&self.inner.text, span, format!("cannot be used: {error}"))
        })
    }

    /// Where `variable` first stands in the text.
    pub(crate) fn span_of(&self, variable: &str) -> Range<usize> {
        let index = self
            .inner
            .variables
            .iter()
            .position(|name| name == variable);
        index.map_or(0..self.inner.text.len(), |index| {
            self.inner.spans[index].clone()
        })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.inner.text).finish()
    }
}

/// What is wrong in an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The whole expression.
    pub text: String,
    /// The offending bytes of `text`; empty at a place where something is missing.
    pub span: Range<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl ExpressionError {
    pub(crate) fn at(text: &str, span: Range<usize>, message: String) -> Self {
        Self {
            text: text.to_owned(),
            span,
            message,
        }
    }

    /// The complaint about a variable that is neither a column nor a
    /// definition; names the most similar of `candidates`.
    pub fn unknown_column<'a>(
        expression: &Expression,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let hint = match nearest(name, candidates) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Self::about_variable(
            expression,
            name,
            format!("there is no column `{name}`{hint}"),
        )
    }

    /// A complaint about `variable`, at its place.
    pub(in crate::data) fn about_variable(
        expression: &Expression,
        variable: &str,
        message: String,
    ) -> Self {
        Self::at(expression.text(), expression.span_of(variable), message)
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Line breaks and tabs would part the caret from its place.
        let shown: Vec<char> = self
            .text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let place = |byte: usize| {
            self.text
                .char_indices()
                .take_while(|&(i, _)| i < byte)
                .count()
        };
        let (start, end) = (place(self.span.start), place(self.span.end));
        let from = start.saturating_sub(SHOWN_AROUND);
        let to = shown.len().min(start + SHOWN_AROUND);
        let (left, right) = (
            if from > 0 { "..." } else { "" },
            if to < shown.len() { "..." } else { "" },
        );
        let line: String = shown[from..to].iter().collect();
        let carets = end.min(to).saturating_sub(start).max(1);
        writeln!(f, "{}", self.message)?;
        writeln!(f, "    {left}{line}{right}")?;
        write!(
            f,
            "    {}{}",
            " ".repeat(left.len() + start - from),
            "^".repeat(carets)
        )
    }
}

impl std::error::Error for ExpressionError {}

/// The candidate most similar to `name`, if any is similar at all.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        let similarity = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        (similarity, candidate)
    });
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= LEAST_SIMILARITY).then_some(best.1)
}

#[cfg(test)]
mod tests;
