//! What an expression computes with, and the tree that it is: numbers, operators and
//! functions, in the order in which they are computed, every operand before its
//! operator. It is evaluated over any kind of value.

use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// A number: an integer is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer.
    Integer(i128),
    /// A number with a point or an exponent.
    Real(f64),
}

impl Number {
    /// As `f64`; nothing if it would have to be rounded.
    pub fn to_f64(self) -> Option<f64> {
        match self {
            Self::Integer(value) => exact(value),
            Self::Real(value) => Some(value),
        }
    }

    /// How it compares with another, without rounding; nothing for NaN.
    pub fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Real(x), Self::Real(y)) => x.partial_cmp(&y),
            (Self::Integer(x), Self::Integer(y)) => Some(x.cmp(&y)),
            (Self::Integer(x), Self::Real(y)) => order(x, y),
            (Self::Real(x), Self::Integer(y)) => order(y, x).map(Ordering::reverse),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(value) => fmt::Display::fmt(value, f),
        }
    }
}

impl Serialize for Number {
    /// As a number; an integer beyond 64 bits as a text, since readers would round it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Real(value) => serializer.serialize_f64(value),
            Self::Integer(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.collect_str(&value),
            },
        }
    }
}

/// How an integer compares with a number that may lie between integers.
fn order(x: i128, y: f64) -> Option<Ordering> {
    if y.is_nan() {
        return None;
    }
    // The conversion saturates, and is exact for whole numbers within i128.
    let whole = y.trunc();
    let limit = i128::MAX as f64;
    if whole >= limit {
        return Some(Ordering::Less);
    }
    if whole < -limit {
        return Some(Ordering::Greater);
    }
    let rest = 0.0_f64.partial_cmp(&(y - whole))?;
    Some(x.cmp(&(whole as i128)).then(rest))
}

/// The `f64` that is this integer, if there is one.
pub(super) fn exact(value: i128) -> Option<f64> {
    let x = value as f64;
    // 2^127 is no i128, and the conversion back saturates.
    (x < i128::MAX as f64 && x as i128 == value).then_some(x)
}

/// An operator or a function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unary {
    Negative,
    Not,
    Log,
    Log10,
    Log2,
    Exp,
    Sqrt,
    Abs,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Floor,
    Ceil,
    Round,
    Sign,
}

/// An operator or a function of two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Min,
    Max,
    Atan2,
    Hypot,
}

impl Binary {
    /// Whether its result is 1 or 0.
    pub(super) fn is_truth(self) -> bool {
        matches!(
            self,
            Self::Or
                | Self::And
                | Self::Equal
                | Self::NotEqual
                | Self::LessEqual
                | Self::GreaterEqual
                | Self::Less
                | Self::Greater
        )
    }
}

/// A function that makes one number of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Fold {
    Len,
    Sum,
    Min,
    Max,
    ArgMin,
    ArgMax,
    Any,
    All,
    /// How many are true.
    Count,
}

impl Fold {
    /// Whether its result is 1 or 0.
    pub(super) fn is_truth(self) -> bool {
        matches!(self, Self::Any | Self::All)
    }
}

/// An operator between two values; `level` is its precedence, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) symbol: &'static str,
    pub(super) level: u8,
    pub(super) binary: Binary,
}

pub(super) const LEVEL_EQUALITY: u8 = 3;
pub(super) const LEVEL_ORDER: u8 = 4;
pub(super) const LEVEL_POWER: u8 = 7;

const fn operator(symbol: &'static str, level: u8, binary: Binary) -> Operator {
    Operator {
        symbol,
        level,
        binary,
    }
}

/// Every operator between two values, two-character symbols before their prefixes.
pub(super) const OPERATORS: [Operator; 14] = [
    operator("||", 1, Binary::Or),
    operator("&&", 2, Binary::And),
    operator("==", LEVEL_EQUALITY, Binary::Equal),
    operator("!=", LEVEL_EQUALITY, Binary::NotEqual),
    operator("<=", LEVEL_ORDER, Binary::LessEqual),
    operator(">=", LEVEL_ORDER, Binary::GreaterEqual),
    operator("<", LEVEL_ORDER, Binary::Less),
    operator(">", LEVEL_ORDER, Binary::Greater),
    operator("+", 5, Binary::Add),
    operator("-", 5, Binary::Subtract),
    operator("*", 6, Binary::Multiply),
    operator("/", 6, Binary::Divide),
    operator("%", 6, Binary::Remainder),
    operator("^", LEVEL_POWER, Binary::Power),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    One(Unary),
    Two(Binary),
    Fold(Fold),
    /// Of one argument, which is a list, or of two.
    FoldOrTwo(Fold, Binary),
}

pub(super) const FUNCTIONS: [(&str, Call); 31] = [
    ("log", Call::One(Unary::Log)),
    ("log10", Call::One(Unary::Log10)),
    ("log2", Call::One(Unary::Log2)),
    ("exp", Call::One(Unary::Exp)),
    ("sqrt", Call::One(Unary::Sqrt)),
    ("abs", Call::One(Unary::Abs)),
    ("sin", Call::One(Unary::Sin)),
    ("cos", Call::One(Unary::Cos)),
    ("tan", Call::One(Unary::Tan)),
    ("asin", Call::One(Unary::Asin)),
    ("acos", Call::One(Unary::Acos)),
    ("atan", Call::One(Unary::Atan)),
    ("sinh", Call::One(Unary::Sinh)),
    ("cosh", Call::One(Unary::Cosh)),
    ("tanh", Call::One(Unary::Tanh)),
    ("asinh", Call::One(Unary::Asinh)),
    ("floor", Call::One(Unary::Floor)),
    ("ceil", Call::One(Unary::Ceil)),
    ("round", Call::One(Unary::Round)),
    ("sign", Call::One(Unary::Sign)),
    ("min", Call::FoldOrTwo(Fold::Min, Binary::Min)),
    ("max", Call::FoldOrTwo(Fold::Max, Binary::Max)),
    ("atan2", Call::Two(Binary::Atan2)),
    ("hypot", Call::Two(Binary::Hypot)),
    ("len", Call::Fold(Fold::Len)),
    ("sum", Call::Fold(Fold::Sum)),
    ("argmin", Call::Fold(Fold::ArgMin)),
    ("argmax", Call::Fold(Fold::ArgMax)),
    ("any", Call::Fold(Fold::Any)),
    ("all", Call::Fold(Fold::All)),
    ("count", Call::Fold(Fold::Count)),
];

pub(super) const CONSTANTS: [(&str, f64); 1] = [("pi", std::f64::consts::PI)];

pub(super) fn function(name: &str) -> Option<Call> {
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    Some(known.1)
}

/// A kind of value that expressions can be computed with.
pub trait Value: Clone {
    /// Why an operation cannot be done.
    type Problem;

    /// A number of the text.
    fn number(number: Number) -> Result<Self, Self::Problem>;

    /// An operation on one value.
    fn unary(operation: Unary, of: Self) -> Result<Self, Self::Problem>;

    /// An operation on two values.
    fn binary(operation: Binary, left: Self, right: Self) -> Result<Self, Self::Problem>;

    /// One number of the innermost list.
    fn fold(operation: Fold, of: Self) -> Result<Self, Self::Problem>;

    /// The element of a list at a place, or the elements where a mask is true.
    fn index(of: Self, at: Self) -> Result<Self, Self::Problem>;
}

/// What is done in a node of the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Number(Number),
    /// By number, in the order of first appearance.
    Variable(usize),
    Unary(Unary),
    Binary(Binary),
    Fold(Fold),
    Index,
}

/// A node and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) node: Node,
    /// Place of the first step of the part of the tree below.
    first: usize,
    /// The operator, function or value in the text.
    pub(super) word: Range<usize>,
    /// All that is computed here, in the text.
    pub(super) span: Range<usize>,
}

/// Steps of a whole expression, and the names behind its numbered variables. The
/// last step is its value; the grammar puts the operands of every operator before it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) steps: Vec<Step>,
    pub(super) variables: Vec<String>,
    /// Where each variable first stands in the text.
    pub(super) spans: Vec<Range<usize>>,
    /// Names that were taken for constants, and where.
    pub(super) constants: Vec<(&'static str, Range<usize>)>,
}

/// An operation that cannot be done, at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault<P> {
    pub(super) step: usize,
    /// Why.
    pub problem: P,
}

impl Tree {
    pub(super) fn leaf(&mut self, node: Node, word: Range<usize>) {
        self.push(node, self.steps.len(), word.clone(), word);
    }

    /// Adds an operation on what was added last, one value or two, the first of which
    /// ended with step `left`; `span` is all of its text.
    pub(super) fn operation(
        &mut self,
        node: Node,
        left: usize,
        word: Range<usize>,
        span: Range<usize>,
    ) {
        self.push(node, self.steps[left].first, word, span);
    }

    fn push(&mut self, node: Node, first: usize, word: Range<usize>, span: Range<usize>) {
        self.steps.push(Step {
            node,
            first,
            word,
            span,
        });
    }

    /// The place of the step that was added last.
    pub(super) fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The value for `variables`, of which there are enough.
    pub(super) fn evaluate<V: Value>(&self, variables: &[V]) -> Result<V, Fault<V::Problem>> {
        const COMPLETE: &str = "the grammar puts operands before their operator";
        let mut values: Vec<V> = Vec::with_capacity(8);
        for (place, step) in self.steps.iter().enumerate() {
            let value = match step.node {
                Node::Number(number) => V::number(number),
                Node::Variable(variable) => Ok(variables[variable].clone()),
                Node::Unary(operation) => V::unary(operation, values.pop().expect(COMPLETE)),
                Node::Binary(operation) => {
                    let right = values.pop().expect(COMPLETE);
                    V::binary(operation, values.pop().expect(COMPLETE), right)
                }
                Node::Fold(operation) => V::fold(operation, values.pop().expect(COMPLETE)),
                Node::Index => {
                    let at = values.pop().expect(COMPLETE);
                    V::index(values.pop().expect(COMPLETE), at)
                }
            };
            let fault = |problem| Fault {
                step: place,
                problem,
            };
            values.push(value.map_err(fault)?);
        }
        Ok(values.pop().expect(COMPLETE))
    }

    /// The steps that make the operands of a step, the last of each.
    pub(super) fn operands(&self, step: usize) -> [usize; 2] {
        match self.steps[step].node {
            Node::Binary(_) | Node::Index => [self.steps[step - 1].first - 1, step - 1],
            Node::Unary(_) | Node::Fold(_) => [step - 1; 2],
            Node::Number(_) | Node::Variable(_) => [step; 2],
        }
    }

    /// The folds that are below no other fold, with their steps, in the order of the text.
    pub(super) fn outer_folds(&self) -> Vec<(usize, Fold)> {
        let steps = self.steps.iter().enumerate();
        let folds = steps.filter_map(|(place, step)| match step.node {
            Node::Fold(fold) => Some((place, fold)),
            _ => None,
        });
        let folds: Vec<(usize, Fold)> = folds.collect();
        let is_outer = |(place, _): &&(usize, Fold)| {
            let mut later = folds.iter().filter(|(other, _)| other > place);
            later.all(|(other, _)| self.steps[*other].first > *place)
        };
        folds.iter().filter(is_outer).copied().collect()
    }

    /// The variables below a step, each once.
    pub(super) fn variables_of(&self, step: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for below in &self.steps[self.steps[step].first..=step] {
            if let Node::Variable(variable) = below.node
                && !found.contains(&variable)
            {
                found.push(variable);
            }
        }
        found
    }
}
