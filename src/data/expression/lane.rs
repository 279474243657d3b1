//! The value exmex computes with: one number, or one number for every row of
//! a chunk. Evaluating whole chunks makes the interpreter's cost vanish, and
//! an intermediate result that nobody else holds is overwritten in place.

use std::num::ParseFloatError;
use std::str::FromStr;
use std::sync::Arc;

use exmex::{BinOp, MakeOperators, MatchLiteral, Operator};

use super::tokens::OPERATORS;

/// A number for all rows, or one for each.
#[derive(Clone, Debug)]
pub(in crate::data) enum Lane {
    Same(f64),
    Each(Arc<Vec<f64>>),
}

impl Default for Lane {
    fn default() -> Self {
        Self::Same(0.0)
    }
}

impl FromStr for Lane {
    type Err = ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Same)
    }
}

impl Lane {
    /// The values of `rows` rows.
    pub(in crate::data) fn into_rows(self, rows: usize) -> Arc<Vec<f64>> {
        match self {
            Self::Same(value) => Arc::new(vec![value; rows]),
            Self::Each(values) => values,
        }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Same(x) => Self::Same(f(x)),
            Self::Each(mut values) => {
                if let Some(own) = Arc::get_mut(&mut values) {
                    own.iter_mut().for_each(|x| *x = f(*x));
                    return Self::Each(values);
                }
                Self::Each(Arc::new(values.iter().map(|&x| f(x)).collect()))
            }
        }
    }

    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (a, Self::Same(y)) => a.map(|x| f(x, y)),
            (Self::Same(x), b) => b.map(|y| f(x, y)),
            (Self::Each(mut a), Self::Each(mut b)) => {
                if let Some(own) = Arc::get_mut(&mut a) {
                    own.iter_mut()
                        .zip(b.iter())
                        .for_each(|(x, &y)| *x = f(*x, y));
                    return Self::Each(a);
                }
                if let Some(own) = Arc::get_mut(&mut b) {
                    own.iter_mut()
                        .zip(a.iter())
                        .for_each(|(y, &x)| *y = f(x, *y));
                    return Self::Each(b);
                }
                Self::Each(Arc::new(
                    a.iter().zip(b.iter()).map(|(&x, &y)| f(x, y)).collect(),
                ))
            }
        }
    }
}

/// Whether a value counts as true: not zero, and not NaN either.
pub(in crate::data) fn is_true(x: f64) -> bool {
    // No branch, which could not be foreseen.
    (x < 0.0) | (x > 0.0)
}

fn truth(condition: bool) -> f64 {
    // Several rows at once; `f64::from(bool)` is computed one by one.
    if condition { 1.0 } else { 0.0 }
}

/// Squares are exact products: faster than `powf`, and never less accurate.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 2.0 {
        base * base
    } else {
        base.powf(exponent)
    }
}

fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        x
    } else {
        x.signum()
    }
}

/// NaN wins, unlike `f64::min`: a missing value must not vanish.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

type Unary = fn(Lane) -> Lane;
type Binary = fn(Lane, Lane) -> Lane;

/// Each function: name, number of arguments, what it does.
pub(super) const FUNCTIONS: [(&str, usize, &str); 24] = [
    ("log", 1, "natural logarithm"),
    ("log10", 1, "logarithm to base 10"),
    ("log2", 1, "logarithm to base 2"),
    ("exp", 1, "exponential"),
    ("sqrt", 1, "square root"),
    ("abs", 1, "absolute value"),
    ("sin", 1, "sine"),
    ("cos", 1, "cosine"),
    ("tan", 1, "tangent"),
    ("asin", 1, "inverse sine"),
    ("acos", 1, "inverse cosine"),
    ("atan", 1, "inverse tangent"),
    ("sinh", 1, "hyperbolic sine"),
    ("cosh", 1, "hyperbolic cosine"),
    ("tanh", 1, "hyperbolic tangent"),
    ("asinh", 1, "inverse hyperbolic sine"),
    ("floor", 1, "largest integer not above"),
    ("ceil", 1, "smallest integer not below"),
    ("round", 1, "nearest integer, halves away from zero"),
    ("sign", 1, "-1, 0 or 1"),
    ("min", 2, "the smaller; NaN if either is"),
    ("max", 2, "the larger; NaN if either is"),
    ("atan2", 2, "angle of the point (second, first), y before x"),
    ("hypot", 2, "sqrt(a^2 + b^2)"),
];

const UNARY: [(&str, Unary); 22] = [
    ("neg", |a| a.map(|x| -x)),
    ("not", |a| a.map(|x| truth(!is_true(x)))),
    ("log", |a| a.map(f64::ln)),
    ("log10", |a| a.map(f64::log10)),
    ("log2", |a| a.map(f64::log2)),
    ("exp", |a| a.map(f64::exp)),
    ("sqrt", |a| a.map(f64::sqrt)),
    ("abs", |a| a.map(f64::abs)),
    ("sin", |a| a.map(f64::sin)),
    ("cos", |a| a.map(f64::cos)),
    ("tan", |a| a.map(f64::tan)),
    ("asin", |a| a.map(f64::asin)),
    ("acos", |a| a.map(f64::acos)),
    ("atan", |a| a.map(f64::atan)),
    ("sinh", |a| a.map(f64::sinh)),
    ("cosh", |a| a.map(f64::cosh)),
    ("tanh", |a| a.map(f64::tanh)),
    ("asinh", |a| a.map(f64::asinh)),
    ("floor", |a| a.map(f64::floor)),
    ("ceil", |a| a.map(f64::ceil)),
    ("round", |a| a.map(f64::round)),
    ("sign", |a| a.map(sign)),
];

const BINARY: [(&str, Binary); 18] = [
    ("||", |a, b| a.zip(b, |x, y| truth(is_true(x) | is_true(y)))),
    ("&&", |a, b| a.zip(b, |x, y| truth(is_true(x) & is_true(y)))),
    ("==", |a, b| a.zip(b, |x, y| truth(x == y))),
    // By IEEE `NaN != 1` is true; here every comparison with NaN is false.
    ("!=", |a, b| a.zip(b, |x, y| truth((x < y) | (x > y)))),
    ("<=", |a, b| a.zip(b, |x, y| truth(x <= y))),
    (">=", |a, b| a.zip(b, |x, y| truth(x >= y))),
    ("<", |a, b| a.zip(b, |x, y| truth(x < y))),
    (">", |a, b| a.zip(b, |x, y| truth(x > y))),
    ("+", |a, b| a.zip(b, |x, y| x + y)),
    ("-", |a, b| a.zip(b, |x, y| x - y)),
    ("*", |a, b| a.zip(b, |x, y| x * y)),
    ("/", |a, b| a.zip(b, |x, y| x / y)),
    ("%", |a, b| a.zip(b, |x, y| x % y)),
    ("^", |a, b| a.zip(b, power)),
    ("min", |a, b| a.zip(b, smaller)),
    ("max", |a, b| a.zip(b, larger)),
    ("atan2", |a, b| a.zip(b, f64::atan2)),
    ("hypot", |a, b| a.zip(b, f64::hypot)),
];

/// The operators as exmex wants them.
#[derive(Clone, Debug)]
pub(super) struct Operators;

impl MakeOperators<Lane> for Operators {
    fn make<'a>() -> Vec<Operator<'a, Lane>> {
        let unary = UNARY
            .iter()
            .map(|&(name, apply)| Operator::make_unary(name, apply));
        let binary = BINARY.iter().map(|&(symbol, apply)| {
            let level = OPERATORS
                .iter()
                .find(|operator| operator.symbol == symbol)
                .map_or(9, |o| o.level);
            // exmex uses commutativity to reorder constants, which would round
            // differently from what was written; nothing is declared so.
            Operator::make_bin(
                symbol,
                BinOp {
                    apply,
                    prio: i64::from(level),
                    is_commutative: false,
                },
            )
        });
        unary.chain(binary).collect()
    }
}

/// Numbers as the translation writes them: `1.5e-3`.
#[derive(Clone, Debug)]
pub(super) struct Literals;

impl MatchLiteral for Literals {
    fn is_literal(text: &str) -> Option<&str> {
        let bytes = text.as_bytes();
        let digits = |from: usize| {
            bytes
                .iter()
                .skip(from)
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let mut length = digits(0);
        if length == 0 {
            return None;
        }
        if bytes.get(length) == Some(&b'.') {
            length += 1 + digits(length + 1);
        }
        if bytes.get(length) == Some(&b'e') {
            let sign = usize::from(bytes.get(length + 1) == Some(&b'-'));
            length += 1 + sign + digits(length + 1 + sign);
        }
        text.get(..length)
    }
}
