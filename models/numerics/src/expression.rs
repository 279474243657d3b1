//! Selections, features and weights as text: `log(pt_h1 / 2) > 4 && !is_mc`.
//!
//! Precedence, loosest first: `||`, `&&`, `== !=`, `< <= > >=`, `+ -`, `* / %`, unary
//! `- + !`, `^`. So `-x^2` is `-(x^2)`, `2^3^2` is `2^9`, `a - b - c` is `(a - b) - c`.
//!
//! Truth is 1 and 0. Integers are exact through `+ - * %`, comparisons, `min`, `max`,
//! `abs`, `sign`, rounding and logic; `/`, `^`, the other functions and arithmetic with
//! floating-point numbers need an `f64`, and an integer that none is, is an error.
//! Integers are compared with floating-point numbers exactly.
//!
//! Null, which a remainder of integers by zero is too, stays null through everything, but `null && 0` is 0 and `null || 1` is 1, as in
//! SQL. NaN is no null but a number of IEEE 754: a division by zero or the logarithm of
//! a negative number is inf or NaN; every comparison with NaN is false (`!=` too), and
//! NaN is not true.
//!
//! Functions are `log` (natural), `log10`, `log2`, `exp`, `sqrt`, `abs`, `sign`, `sin`,
//! `cos`, `tan`, `asin`, `acos`, `atan`, `sinh`, `cosh`, `tanh`, `asinh`, `floor`, `ceil`,
//! `round` (halves away from zero), `min(a, b)` and `max(a, b)` (NaN if either is),
//! `atan2(y, x)` and `hypot(a, b)`; the constant is `pi`.
//!
//! A variable may be a list of numbers for every row, or a list of lists. Operators and
//! functions are then of each element; a number goes with every element, lists of a row go
//! with each other and must be equally long. `jet_pt[0]` is the first element, and null where
//! there is none. Places are counted from 0; below zero there is none either, since files
//! have -1 for an object that is not there, and a constant below zero is refused. `jet_pt[jet_eta < 2.5]` is the list of the elements for which that is true. One
//! number of a list are `len`, `sum`, `min`, `max`, `argmin`, `argmax` (place of the first
//! of the smallest or largest), `any`, `all`, `count` (how many are true). Without
//! elements `len`, `sum`, `count` and `any` are 0, `all` is 1, the others null. A null
//! element counts for `len`; `any` and `all` are null unless another element decides; the
//! others are null, and so is a list that is selected by a null. NaN makes `sum`, `min` and
//! `max` NaN and `argmin` and `argmax` null. A null list stays null. Of lists of lists
//! brackets open the outermost, `list_of_lists[0]`, functions the innermost: `sum` of a list
//! of lists is a list.
//!
//! The text is split into words, the words become a tree, and the tree is computed
//! over any kind of value: columns here, functions with derivatives in a likelihood.

mod column;
mod error;
mod floats;
mod grammar;
mod lane;
mod misuse;
mod segments;
mod tree;

pub use column::{Column, Lists, Shape};
pub use error::{ExpressionError, nearest};
pub use floats::is_true;
pub use grammar::{can_be_written, is_plain_name, is_single_word, words_of, written};
pub use lane::{Lane, Problem};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use tree::Tree;
pub use tree::{Binary, Fault, Fold, Number, Unary, Value};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 4096;

/// A parsed expression over named variables. Cheap to clone, free of state.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    tree: Arc<Tree>,
}

impl Expression {
    /// Parses `text`; at most 4096 bytes, nested at most 64 deep.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_LENGTH {
            let message = format!(
                "the expression has {} bytes, at most {MAX_LENGTH} are allowed",
                text.len()
            );
            return Err(ExpressionError::at(text, 0..0, message));
        }
        let tree = Arc::new(grammar::parse(text)?);
        let text = text.into();
        Ok(Self { text, tree })
    }

    /// The names used, each once, in the order of their first appearance.
    pub fn variables(&self) -> &[String] {
        &self.tree.variables
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates for one row of floating-point numbers; `values` in the order of
    /// [`Self::variables`]. NaN if `values` has another length, or an integer of the
    /// text is none that floating-point numbers can be computed with.
    pub fn eval(&self, values: &[f64]) -> f64 {
        let lanes: Vec<Lane> = values.iter().map(|&x| Lane::same_real(x)).collect();
        let value = self.evaluate(&lanes).ok();
        value.and_then(|lane| lane.same()).unwrap_or(f64::NAN)
    }

    /// The value over any kind of values; `variables` in the order of
    /// [`Self::variables`]. [`None`] as the problem if there are too few of them.
    pub fn evaluate<V: Value>(&self, variables: &[V]) -> Result<V, Option<Fault<V::Problem>>> {
        if variables.len() != self.variables().len() {
            return Err(None);
        }
        self.tree.evaluate(variables).map_err(Some)
    }

    /// The operator or function at which something cannot be computed.
    pub fn word_of<P>(&self, fault: &Fault<P>) -> Range<usize> {
        self.tree.steps[fault.step].word.clone()
    }

    /// All the text that is computed where something cannot be.
    pub fn span_of_fault<P>(&self, fault: &Fault<P>) -> Range<usize> {
        self.tree.steps[fault.step].span.clone()
    }

    /// The first or second operand at which something cannot be computed: its place in
    /// the text and its variables, by number.
    pub fn operand_of<P>(&self, fault: &Fault<P>, second: bool) -> (Range<usize>, Vec<usize>) {
        let tree = &self.tree;
        let operand = tree.operands(fault.step)[usize::from(second)];
        (tree.steps[operand].span.clone(), tree.variables_of(operand))
    }

    /// The functions that make one number of a list, each outside of all others such.
    pub fn outer_folds(&self) -> Vec<OuterFold> {
        let found = self.tree.outer_folds().into_iter();
        let fold = |(step, fold): (usize, Fold)| {
            let [of, _] = self.tree.operands(step);
            let variables = self.tree.variables_of(of).into_iter();
            OuterFold {
                fold,
                span: self.tree.steps[step].span.clone(),
                of: self.tree.steps[of].span.clone(),
                variables: variables.map(|k| self.variables()[k].clone()).collect(),
            }
        };
        found.map(fold).collect()
    }

    /// The complaint about a constant whose name `is_taken`, if there is one.
    pub fn hidden_by_constant(
        &self,
        what: &str,
        is_taken: impl Fn(&str) -> bool,
    ) -> Option<ExpressionError> {
        let mut constants = self.tree.constants.iter();
        let (name, span) = constants.find(|(name, _)| is_taken(name))?;
        let message = format!(
            "`{name}` is a constant here and also {what}: write {{{name}}} for the latter, or \
             the constant as a number"
        );
        Some(ExpressionError::at(self.text(), span.clone(), message))
    }

    /// Where `variable` first stands in the text.
    pub fn span_of(&self, variable: &str) -> Range<usize> {
        let mut named = self.variables().iter().zip(&self.tree.spans);
        let found = named.find(|(name, _)| *name == variable);
        found.map_or(0..self.text().len(), |(_, span)| span.clone())
    }
}

/// A function that makes one number of a list, in no other such function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterFold {
    /// Which it is.
    pub fold: Fold,
    /// All of it in the text.
    pub span: Range<usize>,
    /// What it is of, in the text.
    pub of: Range<usize>,
    /// The names used in that, each once.
    pub variables: Vec<String>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// Complaints about the variables of an expression.
impl ExpressionError {
    /// The complaint about a variable that is neither a column nor a
    /// definition; names the most similar of `candidates`.
    pub fn unknown_column<'a>(
        expression: &Expression,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let near = nearest(name, candidates).map(written);
        let hint = near.map(|near| format!("; did you mean `{near}`?"));
        let hint = hint.unwrap_or_default();
        let message = format!("there is no column `{name}`{hint}");
        Self::about_variable(expression, name, message)
    }

    /// A complaint about `variable`, at its place.
    pub fn about_variable(expression: &Expression, variable: &str, message: String) -> Self {
        Self::at(expression.text(), expression.span_of(variable), message)
    }
}

#[cfg(test)]
mod tests;
