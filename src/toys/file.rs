//! The Parquet files that keep pseudo-experiments.

use crate::error::Result;
use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, UInt32Array, UInt64Array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sideband_likelihood::toys::ToyRecord;
use std::fs::File;
use std::sync::Arc;

/// Any error: the caller names the file.
pub(super) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Key of the metadata that names the study.
const STUDY: &str = "sideband.study";

fn columns_of(parameter: &str) -> [String; 3] {
    ["true", "fitted", "error"].map(|what| format!("{parameter}_{what}"))
}

/// The records as one row group of a Parquet file: `point` (u32), `toy`, `events`
/// (u64), `converged`, `t`, and `<name>_true`, `<name>_fitted`, `<name>_error` (f64)
/// for each of `parameters`. `study` names the study in the file's metadata.
pub(super) fn encode(
    records: &[ToyRecord],
    parameters: &[String],
    study: &str,
) -> Result<Vec<u8>, AnyError> {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (
            "point".into(),
            Arc::new(UInt32Array::from_iter_values(
                records.iter().map(|r| r.point),
            )),
        ),
        (
            "toy".into(),
            Arc::new(UInt64Array::from_iter_values(records.iter().map(|r| r.toy))),
        ),
        (
            "events".into(),
            Arc::new(UInt64Array::from_iter_values(
                records.iter().map(|r| r.events),
            )),
        ),
    ];
    let converged: Vec<bool> = records.iter().map(|r| r.converged).collect();
    columns.push(("converged".into(), Arc::new(BooleanArray::from(converged))));
    let numbers = |of: &dyn Fn(&ToyRecord) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(records.iter().map(of)))
    };
    columns.push(("t".into(), numbers(&|r| r.t)));
    for (k, parameter) in parameters.iter().enumerate() {
        let values: [ArrayRef; 3] = [
            numbers(&|r| r.truth[k]),
            numbers(&|r| r.fitted[k]),
            numbers(&|r| r.errors[k]),
        ];
        columns.extend(columns_of(parameter).into_iter().zip(values));
    }
    let field =
        |(name, array): &(String, ArrayRef)| Field::new(name, array.data_type().clone(), false);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_key_value_metadata(Some(vec![KeyValue::new(
            STUDY.to_owned(),
            study.to_owned(),
        )]))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

/// The records of a file.
pub(super) fn decode(
    file: File,
    parameters: &[String],
    study: &str,
) -> Result<Vec<ToyRecord>, AnyError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let found = metadata
        .and_then(|all| all.iter().find(|pair| pair.key == STUDY))
        .and_then(|pair| pair.value.clone())
        .unwrap_or_default();
    if found != study {
        return Err(format!("it holds toys of another study: {found}, expected {study}").into());
    }
    let mut records = Vec::new();
    for batch in builder.build()? {
        rows(&batch?, parameters, &mut records)?;
    }
    Ok(records)
}

fn rows(
    batch: &RecordBatch,
    parameters: &[String],
    records: &mut Vec<ToyRecord>,
) -> Result<(), AnyError> {
    let point = column::<UInt32Array>(batch, "point")?;
    let toy = column::<UInt64Array>(batch, "toy")?;
    let events = column::<UInt64Array>(batch, "events")?;
    let converged = column::<BooleanArray>(batch, "converged")?;
    let t = column::<Float64Array>(batch, "t")?;
    let mut numbers: [Vec<&Float64Array>; 3] = Default::default();
    for parameter in parameters {
        for (numbers, name) in numbers.iter_mut().zip(columns_of(parameter)) {
            numbers.push(column(batch, &name)?);
        }
    }
    records.extend((0..batch.num_rows()).map(|row| {
        let [truth, fitted, errors] = [0, 1, 2].map(|what: usize| {
            let columns = numbers[what].iter();
            columns.map(|column| column.value(row)).collect()
        });
        ToyRecord {
            point: point.value(row),
            toy: toy.value(row),
            events: events.value(row),
            converged: converged.value(row),
            t: t.value(row),
            truth,
            fitted,
            errors,
        }
    }));
    Ok(())
}

fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, AnyError> {
    let array = batch.column_by_name(name);
    array
        .and_then(|array| array.as_any().downcast_ref())
        .ok_or_else(|| format!("it has no column `{name}` as this version writes it").into())
}
