//! Numbers as they are written or stored: integers exact, the rest as `f64`.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};

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
