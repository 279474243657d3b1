//! Columns as what is computed with here: a few thousand rows of numbers or of lists of
//! numbers, made from Arrow arrays, with what was derived from them; the bits of 64-bit
//! integers for event ids.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use sideband_numerics::expression::{Column, Lane, Lists, Shape};

/// Digits of the widest decimal that `i128` holds.
const DECIMAL_DIGITS: u8 = 38;
/// Bits of the integers that are all exact as `f64`.
const EXACT_BITS: u32 = 53;
/// Most levels of lists in lists.
const MAX_DEPTH: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    pub name: String,
    /// Its Arrow type in the first file, such as `Float32`.
    pub type_name: String,
    /// What expressions see of it, or why they cannot use it. Of use are integers, floats,
    /// decimals, booleans, dictionaries of them, and lists of all these.
    pub shape: Result<Shape, String>,
}

/// Columns of equal length, by name. Definitions evaluated on the chunk stay in
/// it, so that a definition used by ten features costs one evaluation.
#[derive(Debug, Default)]
pub struct ColumnChunk {
    rows: usize,
    /// The file that the rows come from, and the place of the first of them in it.
    origin: Option<(PathBuf, u64)>,
    columns: HashMap<String, Column>,
    derived: RefCell<HashMap<u64, Column>>,
}

impl ColumnChunk {
    /// A chunk of `rows` rows and no columns yet.
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// A chunk of `rows` rows of a file, from its row `first` on.
    pub(super) fn of_file(path: &Path, first: u64, rows: usize) -> Self {
        Self {
            origin: Some((path.to_owned(), first)),
            ..Self::new(rows)
        }
    }

    /// Where a row is in the files, for messages; its place in the chunk if the rows
    /// come from no file.
    pub(super) fn place_of(&self, row: usize) -> String {
        match &self.origin {
            Some((path, first)) => format!("row {} of {}", first + row as u64, path.display()),
            None => format!("row {row}"),
        }
    }

    /// Adds a column of as many floating-point values as the chunk has rows.
    pub fn insert(&mut self, name: impl Into<String>, values: Vec<f64>) -> Result<()> {
        let name = name.into();
        if values.len() != self.rows {
            return Err(Error::data(format!(
                "column `{name}` has {} rows in a chunk of {}",
                values.len(),
                self.rows
            )));
        }
        self.insert_column(name, Column::Numbers(Lane::real(values, None)));
        Ok(())
    }

    /// Adds a column of as many numbers or lists as the chunk has rows.
    pub(super) fn insert_column(&mut self, name: impl Into<String>, column: Column) {
        self.columns.insert(name.into(), column);
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&self, name: &str) -> Option<Column> {
        self.columns.get(name).cloned()
    }

    pub(super) fn derived(&self, id: u64) -> Option<Column> {
        self.derived.borrow().get(&id).cloned()
    }

    pub(super) fn keep_derived(&self, id: u64, column: Column) {
        self.derived.borrow_mut().insert(id, column);
    }
}

/// What expressions see of columns of a type, or why they cannot use them.
pub(super) fn shape_of(data_type: &DataType) -> Result<Shape, String> {
    let (mut depth, mut innermost) = (0, data_type);
    while let DataType::List(inner)
    | DataType::LargeList(inner)
    | DataType::FixedSizeList(inner, _) = innermost
    {
        if let DataType::FixedSizeList(_, ..=0) = innermost {
            return Err("it holds lists without elements; leave it out".to_owned());
        }
        depth += 1;
        innermost = inner.data_type();
    }
    let of = "lists of ".repeat(depth.min(1));
    let unusable = |what: &str, instead: &str| Err(format!("it holds {of}{what}; {instead}"));
    if depth > MAX_DEPTH {
        return Err(format!(
            "it holds lists nested {depth} deep; at most {MAX_DEPTH} levels can be used"
        ));
    }
    let as_number = "write a number for each";
    match innermost {
        number if is_number(number) => Ok(Shape {
            depth,
            truths: depth > 0 && is_truth(number),
        }),
        DataType::Dictionary(..) | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            unusable("text", as_number)
        }
        DataType::Struct(_) => unusable("records", "write a column for each of their fields"),
        DataType::Map(..) | DataType::Union(..) => unusable("mixed values", as_number),
        DataType::ListView(_) | DataType::LargeListView(_) => {
            unusable("views of lists", "write them as lists")
        }
        DataType::RunEndEncoded(..) => unusable("runs of values", "write every value"),
        DataType::Null => unusable("nothing but null", "leave it out"),
        time if time.is_temporal() => unusable("times", "write seconds as a number"),
        _ => unusable("bytes", as_number),
    }
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean => true,
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

/// Whether it holds booleans, in lists or not.
fn is_truth(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            is_truth(inner.data_type())
        }
        DataType::Dictionary(_, value) => is_truth(value),
        other => *other == DataType::Boolean,
    }
}

/// A column of a type that has a [shape](shape_of).
pub(super) fn to_column(array: &ArrayRef) -> Result<Column, String> {
    match array.data_type() {
        DataType::List(_) => lists(array.as_list::<i32>()),
        DataType::LargeList(_) => lists(array.as_list::<i64>()),
        DataType::FixedSizeList(_, size) => {
            let lists = array.as_fixed_size_list();
            let size = usize::try_from(*size).map_err(|error| error.to_string())?;
            let bounds = (0..=lists.len()).map(|row| row.saturating_mul(size));
            to_lists(bounds.collect(), lists.nulls(), lists.values())
        }
        _ => to_lane(array).map(Column::Numbers),
    }
}

fn lists<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> Result<Column, String> {
    let bounds = array.value_offsets().iter().map(|bound| bound.as_usize());
    to_lists(bounds.collect(), array.nulls(), array.values())
}

/// Lists of those `values` that lie between the first and the last of the bounds.
fn to_lists(
    mut bounds: Vec<usize>,
    nulls: Option<&NullBuffer>,
    values: &ArrayRef,
) -> Result<Column, String> {
    let wrong = || "the lists do not lie in their values".to_owned();
    let (start, end) = bounds.first().zip(bounds.last()).ok_or_else(wrong)?;
    let (start, end) = (*start, *end);
    if start > end || end > values.len() {
        return Err(wrong());
    }
    let values = values.slice(start, end - start);
    for bound in &mut bounds {
        *bound = bound.checked_sub(start).ok_or_else(wrong)?;
    }
    let lists = Lists::new(
        bounds,
        nulls.cloned(),
        to_column(&values)?,
        is_truth(values.data_type()),
    );
    lists.map(Column::Lists).ok_or_else(wrong)
}

/// The values of a column of numbers. Integers of every width, booleans and decimals
/// without a fraction stay exact; what has a fraction is rounded to `f64`.
fn to_lane(array: &ArrayRef) -> Result<Lane, String> {
    /// All integers of a type, which are at most 2^`bits` in size.
    macro_rules! small {
        ($type:ty, $bits:literal) => {{
            let integers = array.as_primitive::<$type>();
            Ok(Lane::whole(
                values(integers, f64::from),
                f64::from(1_u32 << ($bits / 2)) * f64::from(1_u32 << ($bits - $bits / 2)),
                integers.nulls().cloned(),
            ))
        }};
    }
    match array.data_type() {
        DataType::Float64 => Ok(floats(array.as_primitive::<Float64Type>(), |x| x)),
        DataType::Float32 => Ok(floats(array.as_primitive::<Float32Type>(), f64::from)),
        DataType::Int8 => small!(Int8Type, 7),
        DataType::Int16 => small!(Int16Type, 15),
        DataType::Int32 => small!(Int32Type, 31),
        DataType::UInt8 => small!(UInt8Type, 8),
        DataType::UInt16 => small!(UInt16Type, 16),
        DataType::UInt32 => small!(UInt32Type, 32),
        DataType::Int64 => {
            let integers = array.as_primitive::<Int64Type>();
            // -1 has the size of 0 here, which the bound allows for.
            let size = |x: i64| (x ^ (x >> 63)).cast_unsigned();
            Ok(integer(integers, size, |x| x as f64, i128::from))
        }
        DataType::UInt64 => {
            let integers = array.as_primitive::<UInt64Type>();
            Ok(integer(integers, |x| x, |x| x as f64, i128::from))
        }
        DataType::Boolean => {
            let cast = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
            let truths = cast.as_primitive::<Float64Type>();
            let nulls = truths.nulls().cloned();
            Ok(Lane::whole(values(truths, |x| x), 1.0, nulls))
        }
        DataType::Dictionary(_, value) => {
            to_lane(&cast(array, value).map_err(|error| error.to_string())?)
        }
        decimal if is_whole_decimal(decimal) => {
            let widest = DataType::Decimal128(DECIMAL_DIGITS, 0);
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let cast = cast_with_options(array, &widest, &options);
            let cast = cast.map_err(|error| error.to_string())?;
            let integers = cast.as_primitive::<Decimal128Type>();
            let nulls = integers.nulls().cloned();
            Ok(Lane::wide(integers.values().to_vec(), nulls))
        }
        // Half floats and decimals with a fraction.
        _ => {
            let cast = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
            Ok(floats(cast.as_primitive::<Float64Type>(), |x| x))
        }
    }
}

fn is_whole_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale)
            if *scale <= 0
    )
}

fn floats<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    convert: impl Fn(T::Native) -> f64,
) -> Lane {
    Lane::real(values(array, convert), array.nulls().cloned())
}

/// Integers of 64 bits, as `f64` where all are small enough; `size` has no more bits
/// than the integer.
fn integer<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    size: impl Fn(T::Native) -> u64,
    convert: impl Fn(T::Native) -> f64,
    widen: impl Fn(T::Native) -> i128,
) -> Lane {
    let bits = array.values().iter().fold(0, |bits, &x| bits | size(x));
    let nulls = array.nulls().cloned();
    if bits >> EXACT_BITS != 0 {
        let wide = array.values().iter().map(|&x| widen(x)).collect();
        return Lane::wide(wide, nulls);
    }
    let limit = (1_u64 << (u64::BITS - bits.leading_zeros())) as f64;
    Lane::whole(values(array, convert), limit, nulls)
}

/// The values of a column, null as NaN.
fn values<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    convert: impl Fn(T::Native) -> f64,
) -> Vec<f64> {
    let mut out: Vec<f64> = array.values().iter().map(|&x| convert(x)).collect();
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (x, valid) in out.iter_mut().zip(nulls.iter()) {
            if !valid {
                *x = f64::NAN;
            }
        }
    }
    out
}

/// Whether the integers of a column have a sign; `None` for other types.
pub(super) fn integer_sign(data_type: &DataType) -> Option<bool> {
    match data_type {
        DataType::Dictionary(_, value) => integer_sign(value),
        other if other.is_signed_integer() => Some(true),
        other if other.is_unsigned_integer() => Some(false),
        _ => None,
    }
}

/// The integers of a column as 64 bits, signed ones with their sign extended,
/// and which of them are null.
pub(super) fn to_bits(array: &ArrayRef) -> Result<(Vec<u64>, Option<NullBuffer>), String> {
    let wide = match integer_sign(array.data_type()) {
        Some(true) => DataType::Int64,
        Some(false) => DataType::UInt64,
        None => return Err(format!("{} is no integer type", array.data_type())),
    };
    let array = cast(array, &wide).map_err(|error| error.to_string())?;
    let bits = match wide {
        DataType::Int64 => {
            let integers = array.as_primitive::<Int64Type>().values().iter();
            integers.map(|x| x.cast_unsigned()).collect()
        }
        _ => array.as_primitive::<UInt64Type>().values().to_vec(),
    };
    let nulls = array.logical_nulls();
    Ok((bits, nulls.filter(|nulls| nulls.null_count() > 0)))
}
