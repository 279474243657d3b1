//! Parquet files: of one compression and one size of row groups, whole or not there.

use super::atomic::Staged;
use crate::error::{Context, Error, Kind, Result, hint};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Rows of a row group: it bounds the memory of a writer at 4 or 8 bytes a row and column.
const ROW_GROUP: usize = 1 << 16;

/// A Parquet file that grows by batches of rows and takes its place when it is finished;
/// dropped before, it leaves nothing.
pub(crate) struct Sink {
    writer: ArrowWriter<File>,
    staged: Staged,
    schema: SchemaRef,
    /// What its errors begin with.
    name: String,
}

impl Sink {
    /// A file in the place of what is there. Errors begin with `name`.
    pub(crate) fn create(
        path: &Path,
        name: impl Into<String>,
        schema: impl Into<SchemaRef>,
    ) -> Result<Self> {
        let (name, schema) = (name.into(), schema.into());
        let (staged, file) = Staged::create(path).map_err(|e| refused(&name, &e.into()))?;
        let of_level = |level| {
            // numbers of events hardly repeat: a dictionary costs time and saves nothing
            WriterProperties::builder()
                .set_compression(Compression::ZSTD(level))
                .set_dictionary_enabled(false)
                .set_max_row_group_row_count(Some(ROW_GROUP))
                .build()
        };
        let writer = ZstdLevel::try_new(1)
            .and_then(|level| {
                ArrowWriter::try_new(file, Arc::clone(&schema), Some(of_level(level)))
            })
            .map_err(|e| refused(&name, &e))?;
        Ok(Self {
            writer,
            staged,
            schema,
            name,
        })
    }

    /// Adds a note to the file's metadata.
    pub(crate) fn note(&mut self, key: &str, value: String) {
        let pair = KeyValue::new(key.to_owned(), value);
        self.writer.append_key_value_metadata(pair);
    }

    /// Appends rows: a column a field of the schema.
    pub(crate) fn push(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        self.write(&batch.at(Kind::Internal, &self.name)?)
    }

    /// Appends the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = self.writer.write(batch);
        written.map_err(|e| refused(&self.name, &e))
    }

    /// Ends the file and brings it to its place.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { writer, staged, .. } = self;
        let end = || {
            writer.into_inner()?.sync_all()?;
            Ok(staged.commit()?)
        };
        end().map_err(|e| refused(&self.name, &e))
    }
}

fn refused(name: &str, error: &ParquetError) -> Error {
    // of the file system, as that said it
    let source = match error {
        ParquetError::External(source) => source.downcast_ref::<std::io::Error>(),
        _ => None,
    };
    match source {
        Some(source) => Error::internal(format!("{name}: {source}{}", hint(source))),
        None => Error::internal(format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Float64Array};
    use arrow::datatypes::Float64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs;

    fn batch(numbers: std::ops::Range<u32>) -> RecordBatch {
        let numbers = Float64Array::from_iter_values(numbers.map(f64::from));
        RecordBatch::try_from_iter([("x", Arc::new(numbers) as ArrayRef)]).unwrap()
    }

    #[test]
    fn rows_come_back_in_groups_of_one_size_and_a_note_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let mut sink = Sink::create(&path, "x", batch(0..0).schema()).unwrap();
        sink.note("key", "value".to_owned());
        for numbers in [0..1000, 1000..200_000] {
            sink.push(batch(numbers).columns().to_vec()).unwrap();
        }
        sink.finish().unwrap();
        let file = File::open(&path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let metadata = reader.metadata().clone();
        let groups = metadata.row_groups().iter().map(|group| group.num_rows());
        assert_eq!(groups.collect::<Vec<_>>(), [65_536, 65_536, 65_536, 3392]);
        let notes = metadata.file_metadata().key_value_metadata().unwrap();
        assert!(notes.contains(&KeyValue::new("key".to_owned(), "value".to_owned())));
        let reader = reader.build().unwrap().map(Result::unwrap);
        let read = reader.flat_map(|b| b.column(0).as_primitive::<Float64Type>().values().to_vec());
        assert!(read.eq((0..200_000).map(f64::from)));
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        fs::write(&path, "old").unwrap();
        let mut sink = Sink::create(&path, "x", batch(0..0).schema()).unwrap();
        sink.write(&batch(0..9)).unwrap();
        drop(sink);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = Sink::create(&path.join("y.parquet"), "y", batch(0..0).schema());
        assert!(nowhere.err().unwrap().to_string().starts_with("y: "));
    }
}
