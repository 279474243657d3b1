//! Files for the tests: every type, nulls, several row groups, compressions.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, ListArray, StringArray, UInt8Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    ParquetSnappy,
    ParquetZstdSplit,
    ParquetPlain,
    IpcFile,
    IpcFileLz4,
    IpcStream,
    IpcStreamZstd,
}

pub(super) const FORMS: [Form; 7] = [
    Form::ParquetSnappy,
    Form::ParquetZstdSplit,
    Form::ParquetPlain,
    Form::IpcFile,
    Form::IpcFileLz4,
    Form::IpcStream,
    Form::IpcStreamZstd,
];

/// Rows `first..first + rows` of a sample; row `i` holds
///
/// | column | value |
/// |---|---|
/// | `x` f32 | i / 4 |
/// | `y` f64 | -i, null where i % 100 == 7 |
/// | `n` i32 | i % 10 |
/// | `small` i8 | i % 5 - 2, null where i % 100 == 50 |
/// | `flag` bool | i odd |
/// | `half` f16 | i % 8 |
/// | `coded` dictionary of i64 | 10 (i % 3) |
/// | `id` u64 | 2^63 + i |
/// | `run` i64 | -1 - i / 1000 |
/// | `label` text, `list` | not numbers |
pub(super) fn batch(first: usize, rows: usize) -> RecordBatch {
    let range = || first..first + rows;
    let half = Float32Array::from_iter_values(range().map(|i| (i % 8) as f32));
    let coded = DictionaryArray::<Int32Type>::new(
        Int32Array::from_iter_values(range().map(|i| (i % 3) as i32)),
        Arc::new(Int64Array::from(vec![0, 10, 20])),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "x",
            Arc::new(Float32Array::from_iter_values(
                range().map(|i| i as f32 / 4.0),
            )),
        ),
        (
            "y",
            Arc::new(Float64Array::from_iter(
                range().map(|i| (i % 100 != 7).then_some(-(i as f64))),
            )),
        ),
        (
            "n",
            Arc::new(Int32Array::from_iter_values(
                range().map(|i| (i % 10) as i32),
            )),
        ),
        (
            "small",
            Arc::new(Int8Array::from_iter(
                range().map(|i| (i % 100 != 50).then_some((i % 5) as i8 - 2)),
            )),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(range().map(|i| Some(i % 2 == 1)))),
        ),
        ("half", cast(&half, &DataType::Float16).unwrap()),
        ("coded", Arc::new(coded)),
        (
            "id",
            Arc::new(UInt64Array::from_iter_values(
                range().map(|i| (1 << 63) + i as u64),
            )),
        ),
        (
            "run",
            Arc::new(Int64Array::from_iter_values(
                range().map(|i| -1 - (i / 1000) as i64),
            )),
        ),
        (
            "label",
            Arc::new(StringArray::from_iter_values(
                range().map(|i| format!("event {i}")),
            )),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                range().map(|i| Some(vec![Some(i as i32)])),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// A few columns of our choice.
pub(super) fn batch_of(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let columns = columns
        .iter()
        .map(|(name, array)| (*name, Arc::clone(array), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

pub(super) fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub(super) fn bytes(values: &[u8]) -> ArrayRef {
    Arc::new(UInt8Array::from(values.to_vec()))
}

/// Writes `batches`, each one row group or record batch.
pub(super) fn write(path: &Path, form: Form, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let schema = batches[0].schema();
    let ipc = |compression| {
        IpcWriteOptions::default()
            .try_with_compression(compression)
            .unwrap()
    };
    let parquet = |properties: WriterProperties| {
        let mut writer =
            ArrowWriter::try_new(file.try_clone().unwrap(), schema.clone(), Some(properties))
                .unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
    };
    let ipc_file = |compression| {
        let mut writer =
            FileWriter::try_new_with_options(&file, &schema, ipc(compression)).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    };
    let ipc_stream = |compression| {
        let mut writer =
            StreamWriter::try_new_with_options(&file, &schema, ipc(compression)).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    };
    let properties = WriterProperties::builder();
    match form {
        Form::ParquetSnappy => parquet(properties.set_compression(Compression::SNAPPY).build()),
        Form::ParquetZstdSplit => {
            let mut properties = properties
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_data_page_row_count_limit(500)
                .set_write_batch_size(100);
            for name in ["x", "y"] {
                let name = parquet::schema::types::ColumnPath::from(name);
                properties = properties
                    .set_column_dictionary_enabled(name.clone(), false)
                    .set_column_encoding(name, Encoding::BYTE_STREAM_SPLIT);
            }
            parquet(properties.build());
        }
        Form::ParquetPlain => parquet(properties.set_dictionary_enabled(false).build()),
        Form::IpcFile => ipc_file(None),
        Form::IpcFileLz4 => ipc_file(Some(CompressionType::LZ4_FRAME)),
        Form::IpcStream => ipc_stream(None),
        Form::IpcStreamZstd => ipc_stream(Some(CompressionType::ZSTD)),
    }
}
