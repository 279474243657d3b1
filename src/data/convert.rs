//! Arrow arrays into the two number types used here: `f64` for values, the
//! bits of 64-bit integers for event ids.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// The values of a numeric column, null as NaN. Integers beyond 2^53 round.
pub(super) fn to_f64(array: &ArrayRef) -> Result<Vec<f64>, String> {
    match array.data_type() {
        DataType::Float64 => Ok(values(array.as_primitive::<Float64Type>(), |x| x)),
        DataType::Float32 => Ok(values(array.as_primitive::<Float32Type>(), f64::from)),
        DataType::Int8 => Ok(values(array.as_primitive::<Int8Type>(), f64::from)),
        DataType::Int16 => Ok(values(array.as_primitive::<Int16Type>(), f64::from)),
        DataType::Int32 => Ok(values(array.as_primitive::<Int32Type>(), f64::from)),
        DataType::Int64 => Ok(values(array.as_primitive::<Int64Type>(), |x| x as f64)),
        DataType::UInt8 => Ok(values(array.as_primitive::<UInt8Type>(), f64::from)),
        DataType::UInt16 => Ok(values(array.as_primitive::<UInt16Type>(), f64::from)),
        DataType::UInt32 => Ok(values(array.as_primitive::<UInt32Type>(), f64::from)),
        DataType::UInt64 => Ok(values(array.as_primitive::<UInt64Type>(), |x| x as f64)),
        // Half floats, decimals, booleans and dictionaries.
        _ => {
            let cast = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
            Ok(values(cast.as_primitive::<Float64Type>(), |x| x))
        }
    }
}

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
