//! One value for all rows, or one for each, and what `f64` computes of it. Whole chunks are computed at once, which
//! makes the cost of walking the tree vanish, and an intermediate result that nobody
//! else holds is overwritten in place.

use super::tree::{Binary, Unary};
use std::sync::Arc;

/// A value for all rows, or one for each.
#[derive(Clone, Debug)]
pub(super) enum Rows<T> {
    Same(T),
    Each(Arc<Vec<T>>),
}

pub(super) type Floats = Rows<f64>;

impl<T: Copy> Rows<T> {
    pub(super) fn at(&self, row: usize) -> T {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values[row],
        }
    }

    /// Every value; one for all rows where they are the same.
    pub(super) fn values(&self) -> &[T] {
        match self {
            Self::Same(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }

    /// How many rows there are, if they differ.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Each(values) => Some(values.len()),
        }
    }

    pub(super) fn map_each<U>(&self, f: impl Fn(T) -> U) -> Rows<U> {
        match self {
            Self::Same(value) => Rows::Same(f(*value)),
            Self::Each(values) => Rows::Each(Arc::new(values.iter().map(|&x| f(x)).collect())),
        }
    }

    /// The same of every value, each with its row if they differ.
    pub(super) fn try_map<U, E>(
        &self,
        f: impl Fn(Option<usize>, T) -> Result<U, E>,
    ) -> Result<Rows<U>, E> {
        Ok(match self {
            Self::Same(value) => Rows::Same(f(None, *value)?),
            Self::Each(values) => {
                let values = values.iter().enumerate();
                let values = values.map(|(row, &value)| f(Some(row), value));
                Rows::Each(Arc::new(values.collect::<Result<_, _>>()?))
            }
        })
    }
}

impl Floats {
    pub(super) fn into_rows(self, rows: usize) -> Arc<Vec<f64>> {
        match self {
            Self::Same(value) => Arc::new(vec![value; rows]),
            Self::Each(values) => values,
        }
    }

    // A loop of its own for each operation: inlined all into one function they are
    // not vectorised.
    #[inline(never)]
    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
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

    // As `map`.
    #[inline(never)]
    pub(super) fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (a, Self::Same(y)) => a.map(|x| f(x, y)),
            (Self::Same(x), b) => b.map(|y| f(x, y)),
            (Self::Each(mut a), Self::Each(mut b)) => {
                if let Some(own) = Arc::get_mut(&mut a) {
                    let rows = own.iter_mut().zip(b.iter());
                    rows.for_each(|(x, &y)| *x = f(*x, y));
                    return Self::Each(a);
                }
                if let Some(own) = Arc::get_mut(&mut b) {
                    let rows = own.iter_mut().zip(a.iter());
                    rows.for_each(|(y, &x)| *y = f(x, *y));
                    return Self::Each(b);
                }
                let rows = a.iter().zip(b.iter());
                Self::Each(Arc::new(rows.map(|(&x, &y)| f(x, y)).collect()))
            }
        }
    }

    /// An operation as IEEE 754 has it.
    pub(super) fn unary(self, operation: Unary) -> Self {
        match operation {
            Unary::Negative => self.map(|x| -x),
            Unary::Not => self.map(|x| truth(!is_true(x))),
            Unary::Log => self.map(f64::ln),
            Unary::Log10 => self.map(f64::log10),
            Unary::Log2 => self.map(f64::log2),
            Unary::Exp => self.map(f64::exp),
            Unary::Sqrt => self.map(f64::sqrt),
            Unary::Abs => self.map(f64::abs),
            Unary::Sin => self.map(f64::sin),
            Unary::Cos => self.map(f64::cos),
            Unary::Tan => self.map(f64::tan),
            Unary::Asin => self.map(f64::asin),
            Unary::Acos => self.map(f64::acos),
            Unary::Atan => self.map(f64::atan),
            Unary::Sinh => self.map(f64::sinh),
            Unary::Cosh => self.map(f64::cosh),
            Unary::Tanh => self.map(f64::tanh),
            Unary::Asinh => self.map(f64::asinh),
            Unary::Floor => self.map(f64::floor),
            Unary::Ceil => self.map(f64::ceil),
            Unary::Round => self.map(f64::round),
            Unary::Sign => self.map(sign),
        }
    }

    /// An operation as IEEE 754 has it.
    pub(super) fn binary(self, operation: Binary, other: Self) -> Self {
        match operation {
            Binary::Or => self.zip(other, |x, y| truth(is_true(x) | is_true(y))),
            Binary::And => self.zip(other, |x, y| truth(is_true(x) & is_true(y))),
            Binary::Equal => self.zip(other, |x, y| truth(x == y)),
            // By IEEE `NaN != 1` is true; here every comparison with NaN is false.
            Binary::NotEqual => self.zip(other, |x, y| truth((x < y) | (x > y))),
            Binary::LessEqual => self.zip(other, |x, y| truth(x <= y)),
            Binary::GreaterEqual => self.zip(other, |x, y| truth(x >= y)),
            Binary::Less => self.zip(other, |x, y| truth(x < y)),
            Binary::Greater => self.zip(other, |x, y| truth(x > y)),
            Binary::Add => self.zip(other, |x, y| x + y),
            Binary::Subtract => self.zip(other, |x, y| x - y),
            Binary::Multiply => self.zip(other, |x, y| x * y),
            Binary::Divide => self.zip(other, |x, y| x / y),
            Binary::Remainder => self.zip(other, |x, y| x % y),
            Binary::Power => self.zip(other, power),
            Binary::Min => self.zip(other, smaller),
            Binary::Max => self.zip(other, larger),
            Binary::Atan2 => self.zip(other, f64::atan2),
            Binary::Hypot => self.zip(other, f64::hypot),
        }
    }
}

/// Whether a value counts as true: not zero, and not NaN either.
pub fn is_true(x: f64) -> bool {
    // No branch, which could not be foreseen.
    (x < 0.0) | (x > 0.0)
}

pub(super) fn truth(condition: bool) -> f64 {
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
