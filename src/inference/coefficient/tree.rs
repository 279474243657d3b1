//! An expression as a tree: what remains of a text when its operators build nodes
//! instead of numbers.

use super::spline::Spline;
use crate::data::expression::{Expression, ExpressionError};
use exmex::{BinOp, MakeOperators, Operator};
use std::num::ParseFloatError;
use std::str::FromStr;
use std::sync::Arc;

/// A node with all below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Number(f64),
    /// By number, in the order of [`Expression::variables`].
    Variable(usize),
    Unary(Unary, Box<Tree>),
    Binary(Binary, Box<Tree>, Box<Tree>),
    /// A tabulated function.
    Spline(Arc<Spline>, Box<Tree>),
    /// Something without a derivative, by its name.
    Rough(&'static str),
}

/// A function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Negative,
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
}

/// A function of two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Min,
    Max,
}

impl Tree {
    /// The tree of an expression.
    pub(super) fn of(expression: &Expression) -> Result<Self, ExpressionError> {
        let names = expression.variables();
        let variables: Vec<Self> = (0..names.len()).map(Self::Variable).collect();
        let tree = expression.interpret::<Self, Nodes>(&variables)?;
        match tree.rough() {
            None => Ok(tree),
            Some(name) => Err(ExpressionError {
                text: expression.text().to_owned(),
                span: 0..expression.text().len(),
                message: format!(
                    "`{name}` cannot be used here: a coefficient must have derivatives"
                ),
            }),
        }
    }

    /// The first node without a derivative.
    fn rough(&self) -> Option<&'static str> {
        match self {
            Self::Number(_) | Self::Variable(_) => None,
            Self::Rough(name) => Some(name),
            Self::Unary(_, of) | Self::Spline(_, of) => of.rough(),
            Self::Binary(_, left, right) => left.rough().or_else(|| right.rough()),
        }
    }

    /// The tree in which `variable` stands for the square root of what it was.
    pub(super) fn squared(self, variable: usize) -> Self {
        match self {
            Self::Unary(Unary::Sqrt, of) if *of == Self::Variable(variable) => *of,
            Self::Variable(found) if found == variable => {
                let twin = || Box::new(Self::Variable(variable));
                Self::Binary(Binary::Multiply, twin(), twin())
            }
            Self::Unary(function, of) => Self::Unary(function, Box::new(of.squared(variable))),
            Self::Binary(function, left, right) => Self::Binary(
                function,
                Box::new(left.squared(variable)),
                Box::new(right.squared(variable)),
            ),
            Self::Spline(spline, of) => Self::Spline(spline, Box::new(of.squared(variable))),
            Self::Number(_) | Self::Variable(_) | Self::Rough(_) => self,
        }
    }

    /// The tree with another in place of a variable.
    pub(super) fn replaced(self, variable: usize, by: &Self) -> Self {
        match self {
            Self::Variable(found) if found == variable => by.clone(),
            Self::Unary(function, of) => Self::Unary(function, Box::new(of.replaced(variable, by))),
            Self::Binary(function, left, right) => Self::Binary(
                function,
                Box::new(left.replaced(variable, by)),
                Box::new(right.replaced(variable, by)),
            ),
            Self::Spline(spline, of) => Self::Spline(spline, Box::new(of.replaced(variable, by))),
            Self::Number(_) | Self::Variable(_) | Self::Rough(_) => self,
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

impl FromStr for Tree {
    type Err = ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Number)
    }
}

/// The operators of the grammar as makers of nodes.
#[derive(Clone, Debug)]
struct Nodes;

macro_rules! unary {
    ($function:ident) => {
        |of| Tree::Unary(Unary::$function, Box::new(of))
    };
}

macro_rules! binary {
    ($function:ident) => {
        |left, right| Tree::Binary(Binary::$function, Box::new(left), Box::new(right))
    };
}

type MakeUnary = fn(Tree) -> Tree;
type MakeBinary = fn(Tree, Tree) -> Tree;

const UNARY: [(&str, MakeUnary); 22] = [
    ("neg", unary!(Negative)),
    ("log", unary!(Log)),
    ("log10", unary!(Log10)),
    ("log2", unary!(Log2)),
    ("exp", unary!(Exp)),
    ("sqrt", unary!(Sqrt)),
    ("abs", unary!(Abs)),
    ("sin", unary!(Sin)),
    ("cos", unary!(Cos)),
    ("tan", unary!(Tan)),
    ("asin", unary!(Asin)),
    ("acos", unary!(Acos)),
    ("atan", unary!(Atan)),
    ("sinh", unary!(Sinh)),
    ("cosh", unary!(Cosh)),
    ("tanh", unary!(Tanh)),
    ("asinh", unary!(Asinh)),
    ("not", |_| Tree::Rough("!")),
    ("floor", |_| Tree::Rough("floor")),
    ("ceil", |_| Tree::Rough("ceil")),
    ("round", |_| Tree::Rough("round")),
    ("sign", |_| Tree::Rough("sign")),
];

/// With the precedence of the grammar; functions bind tightest.
const BINARY: [(&str, i64, MakeBinary); 18] = [
    ("||", 1, |_, _| Tree::Rough("||")),
    ("&&", 2, |_, _| Tree::Rough("&&")),
    ("==", 3, |_, _| Tree::Rough("==")),
    ("!=", 3, |_, _| Tree::Rough("!=")),
    ("<=", 4, |_, _| Tree::Rough("<=")),
    (">=", 4, |_, _| Tree::Rough(">=")),
    ("<", 4, |_, _| Tree::Rough("<")),
    (">", 4, |_, _| Tree::Rough(">")),
    ("+", 5, binary!(Add)),
    ("-", 5, binary!(Subtract)),
    ("*", 6, binary!(Multiply)),
    ("/", 6, binary!(Divide)),
    ("%", 6, |_, _| Tree::Rough("%")),
    ("^", 7, binary!(Power)),
    ("min", 9, binary!(Min)),
    ("max", 9, binary!(Max)),
    ("atan2", 9, |_, _| Tree::Rough("atan2")),
    ("hypot", 9, |_, _| Tree::Rough("hypot")),
];

impl MakeOperators<Tree> for Nodes {
    fn make<'a>() -> Vec<Operator<'a, Tree>> {
        let unary = UNARY.iter();
        let unary = unary.map(|&(name, apply)| Operator::make_unary(name, apply));
        let binary = BINARY.iter().map(|&(name, prio, apply)| {
            let operation = BinOp {
                apply,
                prio,
                is_commutative: false,
            };
            Operator::make_bin(name, operation)
        });
        unary.chain(binary).collect()
    }
}
