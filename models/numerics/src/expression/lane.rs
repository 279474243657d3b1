//! The values of a chunk of rows: floating-point numbers, exact integers, and which
//! of them are null.
//!
//! Integers up to 2^53 are computed as `f64`, in which they are exact, as long as a
//! bound on them says so; larger ones as `i128`. Which of the two it is changes no
//! result. An integer that would have to be rounded, and integer arithmetic beyond
//! `i128`, is a [`Problem`] with its row.

use super::floats::{Floats, Rows, is_true, truth};
use super::tree::{Binary, Fold, Number, Unary, Value, exact};
use arrow_buffer::NullBuffer;
use std::cmp::Ordering;
use std::sync::Arc;

/// Every integer up to here is an `f64`.
pub(super) const EXACT: f64 = 9_007_199_254_740_992.0;

/// One value for all rows, or one for each.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(super) values: Values,
    /// Rows without a value; what `values` has there means nothing.
    pub(super) nulls: Option<NullBuffer>,
}

#[derive(Clone, Debug)]
pub(super) enum Values {
    Real(Floats),
    /// Integers, each at most `limit` in size, which is at most [`EXACT`]; no -0.
    Whole(Floats, f64),
    Wide(Integers),
}

pub(super) type Integers = Rows<i128>;

/// Why something cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Problem {
    /// An integer that no `f64` is, where one is needed.
    Inexact {
        /// Whether it is the second operand.
        second: bool,
        /// The row, if it is not the same for all.
        row: Option<usize>,
        /// The integer.
        value: i128,
    },
    /// A result beyond `i128`.
    Overflow {
        /// The row, if it is not the same for all.
        row: Option<usize>,
    },
    /// Two lists of a row that have not as many elements.
    Lengths {
        /// The row.
        row: usize,
        /// Those of the first and of the second operand.
        lengths: [usize; 2],
    },
    /// What is in brackets is no place: not whole, or a constant below zero.
    NoPlace {
        /// The row, if it is not the same for all.
        row: Option<usize>,
        /// What it is.
        value: f64,
    },
    /// A number where a list is needed.
    NotList,
    /// A list in brackets that selects nothing: not of truths, or nested more deeply.
    NotMask,
}

impl Lane {
    /// Floating-point numbers; NaN where null.
    pub fn real(values: Vec<f64>, nulls: Option<NullBuffer>) -> Self {
        Self::of(Values::Real(Floats::Each(Arc::new(values))), nulls)
    }

    /// Integers, each at most `limit` <= 2^53 in size; NaN where null.
    pub fn whole(values: Vec<f64>, limit: f64, nulls: Option<NullBuffer>) -> Self {
        Self::of(Values::Whole(Floats::Each(Arc::new(values)), limit), nulls)
    }

    /// Integers of any size.
    pub fn wide(values: Vec<i128>, nulls: Option<NullBuffer>) -> Self {
        let integers = Integers::Each(Arc::new(values));
        Self::of(integers.shrunk(nulls.as_ref()), nulls)
    }

    pub(super) fn of(values: Values, nulls: Option<NullBuffer>) -> Self {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        Self { values, nulls }
    }

    /// How many rows there are, if they differ.
    pub fn rows(&self) -> Option<usize> {
        self.values.rows()
    }

    /// How many rows are null.
    pub fn null_count(&self) -> usize {
        self.nulls.as_ref().map_or(0, NullBuffer::null_count)
    }

    /// The values of `rows` rows as `f64`, NaN where null.
    pub fn into_rows(self, rows: usize) -> Result<Arc<Vec<f64>>, Problem> {
        let Self { values, nulls } = self;
        let mut values = values.into_real(nulls.as_ref(), false)?.into_rows(rows);
        if let Some(nulls) = nulls {
            let unmarked = |row: usize| nulls.is_null(row) && !values[row].is_nan();
            if (0..rows).any(unmarked) {
                let own = Arc::make_mut(&mut values);
                for (x, valid) in own.iter_mut().zip(nulls.iter()) {
                    if !valid {
                        *x = f64::NAN;
                    }
                }
            }
        }
        Ok(values)
    }

    /// Numbers that are true where these are, null where these are.
    pub fn into_condition(self) -> Self {
        match self.values {
            values @ Values::Wide(_) => Self::of(Values::Whole(values.truths(), 1.0), self.nulls),
            values => Self::of(values, self.nulls),
        }
    }

    /// The smallest and the largest value that is neither null nor NaN nor infinite;
    /// none without any.
    pub fn range(&self) -> Option<[Number; 2]> {
        let rows = self.values.rows().unwrap_or(1);
        let known = |row: &usize| !is_null(self.nulls.as_ref(), Some(*row));
        match &self.values {
            Values::Wide(integers) => {
                let values = || (0..rows).filter(known).map(|row| integers.at(row));
                Some([values().min()?, values().max()?].map(Number::Integer))
            }
            Values::Real(x) | Values::Whole(x, _) => {
                let values = || (0..rows).filter(known).map(|row| x.at(row));
                let finite = || values().filter(|x| x.is_finite());
                let range = [finite().reduce(f64::min)?, finite().reduce(f64::max)?];
                Some(range.map(|x| match &self.values {
                    Values::Whole(..) => Number::Integer(x as i128),
                    _ => Number::Real(x),
                }))
            }
        }
    }

    /// The values of `rows` rows as `f64`, NaN where null; large integers rounded.
    pub fn rounded(self, rows: usize) -> Arc<Vec<f64>> {
        let Self { values, nulls } = self;
        let values = match values {
            Values::Wide(integers) => {
                let rounded = |row| or_nan(nulls.as_ref(), row, integers.at(row));
                return Arc::new((0..rows).map(rounded).collect());
            }
            other => other,
        };
        // Nothing is left that could fail to be a number.
        Self { values, nulls }.into_rows(rows).unwrap_or_default()
    }

    /// The one value for all rows, if that is what it is.
    pub(super) fn same(&self) -> Option<f64> {
        match &self.values {
            Values::Real(Floats::Same(x)) | Values::Whole(Floats::Same(x), _) => Some(*x),
            Values::Wide(Integers::Same(x)) => Some(*x as f64),
            _ => None,
        }
    }

    /// A lane of `f64` that is one value for all rows.
    pub(super) fn same_real(value: f64) -> Self {
        Self::of(Values::Real(Floats::Same(value)), None)
    }

    fn arithmetic(operation: Binary, left: Self, right: Self) -> Result<Self, Problem> {
        let nulls = NullBuffer::union(left.nulls.as_ref(), right.nulls.as_ref());
        let (a, b) = (left.values, right.values);
        let is_integer = !matches!(a, Values::Real(_)) && !matches!(b, Values::Real(_));
        match operation {
            Binary::Remainder if is_integer => remainder(a, b, nulls),
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Min | Binary::Max
                if is_integer =>
            {
                let values = integer(operation, a, b, nulls.as_ref())?;
                Ok(Self::of(values, nulls))
            }
            _ => {
                let a = a.into_real(nulls.as_ref(), false)?;
                let b = b.into_real(nulls.as_ref(), true)?;
                Ok(Self::of(Values::Real(a.binary(operation, b)), nulls))
            }
        }
    }

    fn comparison(operation: Binary, left: Self, right: Self) -> Self {
        let nulls = NullBuffer::union(left.nulls.as_ref(), right.nulls.as_ref());
        let truths = match (left.values, right.values) {
            (Values::Real(a) | Values::Whole(a, _), Values::Real(b) | Values::Whole(b, _)) => {
                a.binary(operation, b)
            }
            (a, b) => {
                let at = |row| truth(compared(operation, a.at(row).order(b.at(row))));
                match a.rows().or(b.rows()) {
                    None => Floats::Same(at(0)),
                    Some(rows) => Floats::Each(Arc::new((0..rows).map(at).collect())),
                }
            }
        };
        Self::of(Values::Whole(truths, 1.0), nulls)
    }

    /// `&&` and `||` of SQL: null unless the other value alone decides.
    fn logic(operation: Binary, left: Self, right: Self) -> Self {
        let decisive = operation == Binary::Or;
        let (a, b) = (left.values.truths(), right.values.truths());
        let nulls = match (&left.nulls, &right.nulls) {
            (None, None) => None,
            (own, other) => {
                let rows = own.as_ref().or(other.as_ref()).map_or(0, NullBuffer::len);
                let known = |nulls: &Option<NullBuffer>, row| {
                    nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
                };
                let is_known = |row| {
                    let (own, other) = (known(own, row), known(other, row));
                    let decides = |x: &Floats| is_true(x.at(row)) == decisive;
                    own && (other || decides(&a)) || other && decides(&b)
                };
                Some((0..rows).map(is_known).collect::<Vec<bool>>().into())
            }
        };
        Self::of(Values::Whole(a.binary(operation, b), 1.0), nulls)
    }
}

impl Value for Lane {
    type Problem = Problem;

    fn number(number: Number) -> Result<Self, Problem> {
        let values = match number {
            Number::Real(value) => Values::Real(Floats::Same(value)),
            Number::Integer(value) => Integers::Same(value).shrunk(None),
        };
        Ok(Self::of(values, None))
    }

    fn unary(operation: Unary, of: Self) -> Result<Self, Problem> {
        let Self { values, nulls } = of;
        let values = match (operation, values) {
            (Unary::Not, values) => Values::Whole(values.truths().unary(Unary::Not), 1.0),
            // 0 - x, since -x would be -0 for 0.
            (Unary::Negative, Values::Whole(x, limit)) => Values::Whole(x.map(|x| 0.0 - x), limit),
            (Unary::Abs, Values::Whole(x, limit)) => Values::Whole(x.unary(operation), limit),
            (Unary::Sign, Values::Whole(x, _)) => Values::Whole(x.unary(operation), 1.0),
            (Unary::Floor | Unary::Ceil | Unary::Round, Values::Whole(x, limit)) => {
                Values::Whole(x, limit)
            }
            (Unary::Floor | Unary::Ceil | Unary::Round, Values::Wide(x)) => Values::Wide(x),
            (Unary::Negative, Values::Wide(x)) => {
                x.checked(nulls.as_ref(), |_, x| x.checked_neg())?
            }
            (Unary::Abs, Values::Wide(x)) => x.checked(nulls.as_ref(), |_, x| x.checked_abs())?,
            (Unary::Sign, Values::Wide(x)) => x.checked(nulls.as_ref(), |_, x| Some(x.signum()))?,
            (_, values) => Values::Real(values.into_real(nulls.as_ref(), false)?.unary(operation)),
        };
        Ok(Self::of(values, nulls))
    }

    fn binary(operation: Binary, left: Self, right: Self) -> Result<Self, Problem> {
        match operation {
            Binary::Or | Binary::And => Ok(Self::logic(operation, left, right)),
            Binary::Equal
            | Binary::NotEqual
            | Binary::LessEqual
            | Binary::GreaterEqual
            | Binary::Less
            | Binary::Greater => Ok(Self::comparison(operation, left, right)),
            _ => Self::arithmetic(operation, left, right),
        }
    }

    fn fold(_: Fold, _: Self) -> Result<Self, Problem> {
        Err(Problem::NotList)
    }

    fn index(_: Self, _: Self) -> Result<Self, Problem> {
        Err(Problem::NotList)
    }
}

impl Values {
    /// As `f64`, if that rounds nothing where there is a value.
    fn into_real(self, nulls: Option<&NullBuffer>, second: bool) -> Result<Floats, Problem> {
        let integers = match self {
            Self::Real(x) | Self::Whole(x, _) => return Ok(x),
            Self::Wide(integers) => integers,
        };
        integers.try_map(|row, value| match exact(value) {
            Some(x) => Ok(x),
            None if is_null(nulls, row) => Ok(f64::NAN),
            None => Err(Problem::Inexact { second, row, value }),
        })
    }

    /// Numbers that are true where these are.
    pub(super) fn truths(self) -> Floats {
        match self {
            Self::Real(x) | Self::Whole(x, _) => x,
            Self::Wide(integers) => integers.map_each(|x| truth(x != 0)),
        }
    }

    /// Integers of any size; 0 for what is none.
    pub(super) fn into_integers(self) -> Integers {
        match self {
            Self::Wide(integers) => integers,
            Self::Real(x) | Self::Whole(x, _) => x.map_each(|x| x as i128),
        }
    }

    /// Whether a value is 0, null or not.
    fn has_zero(&self) -> bool {
        match self {
            Self::Real(x) | Self::Whole(x, _) => x.values().contains(&0.0),
            Self::Wide(integers) => integers.values().contains(&0),
        }
    }

    /// How many rows there are, if they differ.
    fn rows(&self) -> Option<usize> {
        match self {
            Self::Real(x) | Self::Whole(x, _) => x.count(),
            Self::Wide(integers) => integers.count(),
        }
    }

    pub(super) fn at(&self, row: usize) -> Number {
        match self {
            Self::Real(x) | Self::Whole(x, _) => Number::Real(x.at(row)),
            Self::Wide(integers) => Number::Integer(integers.at(row)),
        }
    }

    /// The bound on the size of integers, after a look at them.
    pub(super) fn tightened(self) -> Self {
        match self {
            Self::Whole(x, _) => {
                let size = |most: f64, x: &f64| if x.abs() > most { x.abs() } else { most };
                let limit = x.values().iter().fold(0.0, size);
                Self::Whole(x, limit)
            }
            other => other,
        }
    }
}

impl Integers {
    /// As `f64` if all that are not null are small enough.
    pub(super) fn shrunk(self, nulls: Option<&NullBuffer>) -> Values {
        const LIMIT: u128 = EXACT as u128;
        match self {
            Self::Same(value) if value.unsigned_abs() <= LIMIT => {
                let value = value as f64;
                Values::Whole(Floats::Same(value), value.abs())
            }
            Self::Each(values) => {
                let rows = values.iter().enumerate();
                let sizes = rows.filter(|(row, _)| !is_null(nulls, Some(*row)));
                let limit = sizes.map(|(_, x)| x.unsigned_abs()).max().unwrap_or(0);
                if limit > LIMIT {
                    return Values::Wide(Self::Each(values));
                }
                let rows = values.iter().enumerate();
                let values = rows.map(|(row, &x)| or_nan(nulls, row, x)).collect();
                Values::Whole(Floats::Each(Arc::new(values)), limit as f64)
            }
            same => Values::Wide(same),
        }
    }

    fn checked(
        self,
        nulls: Option<&NullBuffer>,
        f: impl Fn(Option<usize>, i128) -> Option<i128>,
    ) -> Result<Values, Problem> {
        let values = self.try_map(|row, x| match f(row, x) {
            Some(value) => Ok(value),
            None if is_null(nulls, row) => Ok(0),
            None => Err(Problem::Overflow { row }),
        })?;
        Ok(values.shrunk(nulls))
    }

    fn checked_with(
        self,
        other: Self,
        nulls: Option<&NullBuffer>,
        f: impl Fn(i128, i128) -> Option<i128>,
    ) -> Result<Values, Problem> {
        match (self, other) {
            (Self::Same(x), b) => b.checked(nulls, |_, y| f(x, y)),
            (a, b) => a.checked(nulls, |row, x| f(x, b.at(row.unwrap_or(0)))),
        }
    }
}

fn compared(operation: Binary, order: Option<Ordering>) -> bool {
    order.is_some_and(|order| match operation {
        Binary::Equal => order.is_eq(),
        Binary::NotEqual => order.is_ne(),
        Binary::LessEqual => order.is_le(),
        Binary::GreaterEqual => order.is_ge(),
        Binary::Less => order.is_lt(),
        _ => order.is_gt(),
    })
}

pub(super) fn is_null(nulls: Option<&NullBuffer>, row: Option<usize>) -> bool {
    match (nulls, row) {
        (Some(nulls), Some(row)) => nulls.is_null(row),
        _ => false,
    }
}

fn or_nan(nulls: Option<&NullBuffer>, row: usize, value: i128) -> f64 {
    match is_null(nulls, Some(row)) {
        true => f64::NAN,
        false => value as f64,
    }
}

/// The remainder of integers; by zero there is none: null.
fn remainder(a: Values, b: Values, nulls: Option<NullBuffer>) -> Result<Lane, Problem> {
    let rows = a.rows().or(b.rows());
    let nulls = match (b.has_zero(), rows) {
        (false, _) => nulls,
        (true, None) => return Ok(Lane::same_real(f64::NAN)),
        (true, Some(rows)) => {
            let is_divisor =
                |row| b.at(row) != Number::Integer(0) && b.at(row) != Number::Real(0.0);
            let divisors: NullBuffer = (0..rows).map(is_divisor).collect::<Vec<bool>>().into();
            NullBuffer::union(nulls.as_ref(), Some(&divisors))
        }
    };
    let values = integer(Binary::Remainder, a, b, nulls.as_ref())?;
    Ok(Lane::of(values, nulls))
}

/// Integer arithmetic: in `f64` where no result can leave its exact integers, in
/// `i128` else.
fn integer(
    operation: Binary,
    a: Values,
    b: Values,
    nulls: Option<&NullBuffer>,
) -> Result<Values, Problem> {
    let (a, b) = match small(operation, a, b) {
        Ok(values) => return Ok(values),
        // The bounds may be too wide: those of a type, or of a sum.
        Err((a, b)) => match small(operation, a.tightened(), b.tightened()) {
            Ok(values) => return Ok(values),
            Err(wide) => wide,
        },
    };
    let compute: fn(i128, i128) -> Option<i128> = match operation {
        Binary::Add => i128::checked_add,
        Binary::Subtract => i128::checked_sub,
        Binary::Multiply => i128::checked_mul,
        Binary::Min => |x, y| Some(x.min(y)),
        Binary::Max => |x, y| Some(x.max(y)),
        // Null where the divisor is 0.
        _ => |x, y| Some(x.checked_rem(y).unwrap_or(0)),
    };
    a.into_integers()
        .checked_with(b.into_integers(), nulls, compute)
}

/// The operation in `f64`, or its operands again.
fn small(operation: Binary, a: Values, b: Values) -> Result<Values, (Values, Values)> {
    let (x, y, limit) = match (a, b) {
        (Values::Whole(x, p), Values::Whole(y, q)) => {
            let limit = match operation {
                Binary::Add | Binary::Subtract => p + q,
                Binary::Multiply => p * q,
                Binary::Remainder => p.min(q),
                _ => p.max(q),
            };
            // The limit itself may have been rounded down to 2^53.
            if limit >= EXACT {
                return Err((Values::Whole(x, p), Values::Whole(y, q)));
            }
            (x, y, limit)
        }
        wide => return Err(wide),
    };
    let values = match operation {
        // Integers have no -0: `0 * -1` and `-2 % 2` are 0.
        Binary::Multiply => x.zip(y, |x, y| x * y + 0.0),
        Binary::Remainder => x.zip(y, |x, y| x % y + 0.0),
        _ => x.binary(operation, y),
    };
    Ok(Values::Whole(values, limit))
}
