//! Kinds of numbers, and arrays of them from the bytes of a file.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::events::memory;

/// The name of what a list holds, as Parquet and Arrow have it.
const ITEM: &str = "item";

/// A column of a tree or an RNTuple.
#[derive(Debug)]
pub(super) struct Column<C> {
    pub(super) name: String,
    /// What the file calls its type.
    pub(super) type_name: String,
    /// How it is read, or why it is not.
    pub(super) content: Result<C, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// What a macro of Arrow's and Rust's type gives for a kind of number, or what stands there for
/// truths.
macro_rules! of_kind {
    ($number:expr, $numbers:ident, $truths:expr) => {
        match $number {
            Number::Bool => $truths,
            Number::I8 => $numbers!(Int8Type, i8),
            Number::I16 => $numbers!(Int16Type, i16),
            Number::I32 => $numbers!(Int32Type, i32),
            Number::I64 => $numbers!(Int64Type, i64),
            Number::U8 => $numbers!(UInt8Type, u8),
            Number::U16 => $numbers!(UInt16Type, u16),
            Number::U32 => $numbers!(UInt32Type, u32),
            Number::U64 => $numbers!(UInt64Type, u64),
            Number::F32 => $numbers!(Float32Type, f32),
            Number::F64 => $numbers!(Float64Type, f64),
        }
    };
}

impl Number {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::I8 => DataType::Int8,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
        }
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The number that C++ calls so, with or without `std::`.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        let name = name.trim();
        Some(match name.strip_prefix("std::").unwrap_or(name) {
            "bool" | "Bool_t" => Self::Bool,
            "char" | "signed char" | "Char_t" | "int8_t" => Self::I8,
            "short" | "Short_t" | "int16_t" => Self::I16,
            "int" | "Int_t" | "int32_t" => Self::I32,
            "long" | "long long" | "Long_t" | "Long64_t" | "int64_t" => Self::I64,
            "unsigned char" | "UChar_t" | "uint8_t" | "byte" => Self::U8,
            "unsigned short" | "UShort_t" | "uint16_t" => Self::U16,
            "unsigned int" | "UInt_t" | "uint32_t" => Self::U32,
            "unsigned long" | "unsigned long long" | "ULong_t" | "ULong64_t" | "uint64_t" => {
                Self::U64
            }
            "float" | "Float_t" => Self::F32,
            "double" | "Double_t" => Self::F64,
            _ => return None,
        })
    }

    /// The big-endian numbers in `pieces`, each of which holds whole ones.
    pub(super) fn array<'a>(self, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> ArrayRef {
        macro_rules! numbers {
            ($type:ty, $native:ty) => {{
                let bytes: usize = pieces.clone().map(<[u8]>::len).sum();
                let mut values: Vec<$native> = Vec::with_capacity(bytes / size_of::<$native>());
                for piece in pieces {
                    let (whole, _) = piece.as_chunks();
                    values.extend(whole.iter().map(|&b| <$native>::from_be_bytes(b)));
                }
                Arc::new(PrimitiveArray::<$type>::new(values.into(), None))
            }};
        }
        of_kind!(self, numbers, {
            let truths = pieces.flatten().map(|&byte| byte != 0);
            Arc::new(BooleanArray::from(truths.collect::<Vec<bool>>()))
        })
    }

    /// `count` numbers, whose little-endian bytes `fill` writes over zeros.
    pub(super) fn filled(
        self,
        count: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), String>,
    ) -> Result<ArrayRef, String> {
        macro_rules! numbers {
            ($type:ty, $native:ty) => {{
                let mut values: Vec<$native> =
                    memory::zeros(count, 1).map_err(|e| e.to_string())?;
                fill(bytemuck::cast_slice_mut(&mut values))?;
                if cfg!(target_endian = "big") {
                    for value in &mut values {
                        *value = <$native>::from_le_bytes(value.to_ne_bytes());
                    }
                }
                Arc::new(PrimitiveArray::<$type>::new(values.into(), None))
            }};
        }
        let array: ArrayRef = of_kind!(self, numbers, {
            let mut bytes: Vec<u8> = memory::zeros(count, 1).map_err(|e| e.to_string())?;
            fill(&mut bytes)?;
            let truths = BooleanBuffer::collect_bool(count, |place| bytes[place] != 0);
            Arc::new(BooleanArray::new(truths, None))
        });
        Ok(array)
    }
}

fn item(of: DataType) -> Arc<Field> {
    Arc::new(Field::new(ITEM, of, false))
}

pub(super) fn list_type(of: DataType) -> DataType {
    DataType::List(item(of))
}

/// An array of `length`, if that is a length.
pub(super) fn fixed_type(of: DataType, length: usize) -> Result<DataType, String> {
    let length = i32::try_from(length).map_err(|_| format!("an array of {length}"))?;
    Ok(DataType::FixedSizeList(item(of), length))
}

/// Lists of `lengths` of the items, which they use up.
pub(super) fn list(
    lengths: impl Iterator<Item = usize>,
    items: ArrayRef,
) -> Result<ArrayRef, String> {
    let mut offsets = vec![0_i32];
    let mut end = 0_usize;
    for length in lengths {
        end = end.saturating_add(length);
        let end = i32::try_from(end).map_err(|_| "too many values in a part of the file")?;
        offsets.push(end);
    }
    let field = item(items.data_type().clone());
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let lists = ListArray::try_new(field, offsets, items, None);
    Ok(Arc::new(lists.map_err(|error| error.to_string())?))
}

/// Arrays of a fixed length of the items.
pub(super) fn fixed(length: usize, items: ArrayRef) -> Result<ArrayRef, String> {
    let size = i32::try_from(length).map_err(|_| format!("an array of {length}"))?;
    let field = item(items.data_type().clone());
    let arrays = FixedSizeListArray::try_new(field, size, items, None);
    Ok(Arc::new(arrays.map_err(|error| error.to_string())?))
}
