//! Arrow arrays into what is computed with here: lanes of numbers for values, the
//! bits of 64-bit integers for event ids.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use sideband_numerics::expression::Lane;

/// Digits of the widest decimal that `i128` holds.
const DECIMAL_DIGITS: u8 = 38;
/// Bits of the integers that are all exact as `f64`.
const EXACT_BITS: u32 = 53;

/// The values of a numeric column. Integers of every width, booleans and decimals
/// without a fraction stay exact; what has a fraction is rounded to `f64`.
pub(super) fn to_lane(array: &ArrayRef) -> Result<Lane, String> {
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
            Ok(Lane::whole(
                values(truths, |x| x),
                1.0,
                truths.nulls().cloned(),
            ))
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
            Ok(Lane::wide(
                integers.values().to_vec(),
                integers.nulls().cloned(),
            ))
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
        DataType::Int64 => array
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .map(|x| x.cast_unsigned())
            .collect(),
        _ => array.as_primitive::<UInt64Type>().values().to_vec(),
    };
    Ok((
        bits,
        array.logical_nulls().filter(|nulls| nulls.null_count() > 0),
    ))
}
