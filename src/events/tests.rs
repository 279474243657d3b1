//! From files to arrays, for every format; and what is refused. The files have every type,
//! nulls, several row groups and compressions.

#![allow(clippy::unwrap_used, clippy::panic)]

mod lists;
mod reading;
mod refusals;
mod streaming;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, ListArray, StringArray, UInt8Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

use super::*;

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
/// | `list` of i32 | i, i + 1, ..: i % 4 of them |
/// | `label` text | not numbers |
pub(super) fn batch(first: usize, rows: usize) -> RecordBatch {
    let range = || first..first + rows;
    let x: Float32Array = range().map(|i| i as f32 / 4.0).collect();
    let y = range().map(|i| (i % 100 != 7).then_some(-(i as f64)));
    let n: Int32Array = range().map(|i| (i % 10) as i32).collect();
    let small = range().map(|i| (i % 100 != 50).then_some((i % 5) as i8 - 2));
    let flag: BooleanArray = range().map(|i| Some(i % 2 == 1)).collect();
    let half: Float32Array = range().map(|i| (i % 8) as f32).collect();
    let keys: Int32Array = range().map(|i| (i % 3) as i32).collect();
    let values = Arc::new(Int64Array::from(vec![0, 10, 20]));
    let id: UInt64Array = range().map(|i| (1 << 63) + i as u64).collect();
    let run: Int64Array = range().map(|i| -1 - (i / 1000) as i64).collect();
    let label = range().map(|i| format!("event {i}"));
    let list = range().map(|i| Some((i..i + i % 4).map(|x| Some(x as i32))));
    batch_of(&[
        ("x", Arc::new(x)),
        ("y", Arc::new(Float64Array::from_iter(y))),
        ("n", Arc::new(n)),
        ("small", Arc::new(Int8Array::from_iter(small))),
        ("flag", Arc::new(flag)),
        ("half", cast(&half, &DataType::Float16).unwrap()),
        ("coded", Arc::new(DictionaryArray::new(keys, values))),
        ("id", Arc::new(id)),
        ("run", Arc::new(run)),
        ("label", Arc::new(StringArray::from_iter_values(label))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(list)),
        ),
    ])
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
    let parquet = |properties: WriterPropertiesBuilder| {
        let (file, properties) = (file.try_clone().unwrap(), properties.build());
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
    };
    let ipc = |compression, is_file| {
        let options = IpcWriteOptions::default().try_with_compression(compression);
        let (options, all) = (options.unwrap(), batches.iter());
        if is_file {
            let writer = FileWriter::try_new_with_options(&file, &schema, options);
            let mut writer = writer.unwrap();
            all.for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        } else {
            let writer = StreamWriter::try_new_with_options(&file, &schema, options);
            let mut writer = writer.unwrap();
            all.for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    };
    let properties = WriterProperties::builder();
    match form {
        Form::ParquetSnappy => parquet(properties.set_compression(Compression::SNAPPY)),
        Form::ParquetZstdSplit => {
            let mut properties = properties
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_data_page_row_count_limit(500)
                .set_write_batch_size(100);
            for name in ["x", "y"] {
                let name = ::parquet::schema::types::ColumnPath::from(name);
                properties = properties
                    .set_column_dictionary_enabled(name.clone(), false)
                    .set_column_encoding(name, Encoding::BYTE_STREAM_SPLIT);
            }
            parquet(properties);
        }
        Form::ParquetPlain => parquet(properties.set_dictionary_enabled(false)),
        Form::IpcFile => ipc(None, true),
        Form::IpcFileLz4 => ipc(Some(CompressionType::LZ4_FRAME), true),
        Form::IpcStream => ipc(None, false),
        Form::IpcStreamZstd => ipc(Some(CompressionType::ZSTD), false),
    }
}

const GROUPS: [(usize, usize); 3] = [(0, 1500), (1500, 20_000), (21_500, 500)];
const ROWS: usize = 22_000;

fn sample(path: &Path, form: Form) {
    write(path, form, &GROUPS.map(|(first, rows)| batch(first, rows)));
}

fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.display().to_string()], Path::new("/")).unwrap()
}

/// A folder, gone with the value, and a place in it for a file.
fn folder() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events");
    (directory, path)
}

/// A file of these batches, opened.
fn written(form: Form, batches: &[RecordBatch]) -> (TempDir, Dataset) {
    let (directory, path) = folder();
    write(&path, form, batches);
    (directory, open(&path))
}

#[track_caller]
pub(super) fn says(error: impl ToString, text: &str) {
    let error = error.to_string();
    assert!(error.contains(text), "{error}");
}

fn refused(path: &Path) -> String {
    let dataset = Dataset::open(&[path.display().to_string()], Path::new("/"));
    dataset.unwrap_err().to_string()
}

pub(super) fn resolver(dataset: &Dataset) -> Resolver {
    Resolver::new(dataset.columns(), []).unwrap()
}

pub(super) fn named(resolver: &Resolver, texts: &[&str]) -> Vec<(String, Compiled)> {
    let compiled = |text: &&str| ((*text).to_owned(), resolver.compile(text).unwrap());
    texts.iter().map(compiled).collect()
}
