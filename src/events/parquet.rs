//! Parquet: footer, row groups, columns.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelectionPolicy, RowSelector,
};
use parquet::column::page::PageReader as _;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::part::{BATCH_ROWS, Fault, Opened, Part, behind, reopen};
use super::thrift;

/// Row groups longer than this are read by several threads. Each of them skips
/// to its rows page by page, so much smaller parts would not pay.
const PART_ROWS: u64 = 1 << 17;
/// Bytes of a number that is computed with.
const VALUE_BYTES: i64 = 8;

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub(super) struct ParquetFile {
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    pub(super) fn open(file: &File, bytes: u64) -> Result<Opened<Self>, Fault> {
        thrift::check_depth(file, bytes)?;
        let footer = |error: ParquetError| Fault::at("footer", error);
        let metadata =
            ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(footer)?;
        let mut parts = Vec::new();
        let mut first_row = 0_u64;
        for (group, row_group) in metadata.metadata().row_groups().iter().enumerate() {
            let place = || format!("footer, row group {group}");
            let rows = u64::try_from(row_group.num_rows())
                .map_err(|_| Fault::at(place(), "a negative number of rows"))?;
            for column in row_group.columns() {
                let start = column
                    .dictionary_page_offset()
                    .unwrap_or_else(|| column.data_page_offset());
                let end = start.checked_add(column.compressed_size());
                let inside = start >= 0
                    && column.compressed_size() >= 0
                    && end.is_some_and(|end| u64::try_from(end).is_ok_and(|end| end <= bytes));
                let (name, values) = (column.column_path(), column.num_values());
                if !inside {
                    let message = format!("column {name} lies outside the file");
                    return Err(Fault::at(place(), message));
                }
                let leaf = column.column_descr();
                if leaf.max_rep_level() == 0 && values != row_group.num_rows() {
                    let message = format!("column {name} has {values} values for {rows} rows");
                    return Err(Fault::at(place(), message));
                }
            }
            let too_many = || Fault::at(place(), format!("it says that it has {rows} rows"));
            let end = behind(first_row, rows).ok_or_else(too_many)?;
            if rows == 0 && has_values(file, row_group).map_err(|e| Fault::at(place(), e))? {
                let message = "it says that it has no rows, and its pages have some";
                return Err(Fault::at(place(), message));
            }
            split(group, first_row, rows, &mut parts);
            first_row = end;
        }
        if i64::try_from(first_row) != Ok(metadata.metadata().file_metadata().num_rows()) {
            let message = "the row groups do not add up to the number of rows";
            return Err(Fault::at("footer", message));
        }
        let schema = Arc::clone(metadata.schema());
        Ok((Self { metadata }, schema, parts))
    }

    /// Bytes of the largest of the `wanted` columns of a row group, as the file gives
    /// them: pages are unpacked whole. What a few bytes of a file stand for can be many
    /// values where rows are lists, in one row or as what null lists of a fixed size hold.
    pub(super) fn largest(&self, group: usize, wanted: &[usize]) -> usize {
        let metadata = self.metadata.metadata();
        let descriptor = metadata.file_metadata().schema_descr();
        let columns = metadata.row_group(group).columns().iter().enumerate();
        let read = columns.filter(|(k, _)| wanted.contains(&descriptor.get_column_root_idx(*k)));
        let bytes = read.map(|(_, column)| {
            let values = match column.column_descr().max_rep_level() {
                0 => 0,
                _ => column.num_values().saturating_mul(VALUE_BYTES),
            };
            column.uncompressed_size().max(values)
        });
        let bytes = usize::try_from(bytes.max().unwrap_or(0)).unwrap_or(0);
        let schema = self.metadata.schema();
        let types = wanted.iter().map(|&place| schema.field(place).data_type());
        let padded = types.map(|data_type| fixed_size(data_type).saturating_mul(BATCH_ROWS));
        bytes.max(padded.max().unwrap_or(0))
    }

    pub(super) fn read(
        &self,
        path: &Path,
        part: Part,
        wanted: &[usize],
        visit: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), Fault> {
        let place = || format!("row group {}", part.group);
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let count = |rows: u64| usize::try_from(rows).map_err(|error| Fault::at(place(), error));
        let group = self.metadata.metadata().row_group(part.group);
        let behind = part.offset.saturating_add(part.rows);
        // one more than the group says to have, which is not there if it is right
        let more = u64::from(u64::try_from(group.num_rows()) == Ok(behind));
        let rows = vec![
            RowSelector::skip(count(part.offset)?),
            RowSelector::select(count(part.rows.saturating_add(more))?),
        ];
        let (file, metadata) = (reopen(path)?, self.metadata.clone());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(ProjectionMask::roots(descriptor, wanted.iter().copied()))
            .with_row_groups(vec![part.group])
            .with_row_selection(RowSelection::from(rows))
            // masks take what they select for granted
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| Fault::at(place(), error))?;
        for batch in reader {
            if !visit(batch.map_err(|error| Fault::at(place(), error))?) {
                break;
            }
        }
        Ok(())
    }
}

/// Whether the pages of a row group have values.
fn has_values(file: &File, group: &RowGroupMetaData) -> Result<bool, ParquetError> {
    let file = Arc::new(file.try_clone()?);
    for column in group.columns() {
        let mut pages = SerializedPageReader::new(Arc::clone(&file), column, 0, None)?;
        while let Some(page) = pages.peek_next_page()? {
            if !page.is_dict && page.num_levels != Some(0) {
                return Ok(true);
            }
            pages.skip_next_page()?;
        }
    }
    Ok(false)
}

/// Bytes of the numbers of a row that is a list of a fixed size.
fn fixed_size(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(inner) | DataType::LargeList(inner) => fixed_size(inner.data_type()),
        DataType::FixedSizeList(inner, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            size.saturating_mul(fixed_size(inner.data_type()).max(size_of::<f64>()))
        }
        _ => 0,
    }
}

/// Equal parts of at most [`PART_ROWS`] rows; none for an empty row group.
fn split(group: usize, first_row: u64, rows: u64, parts: &mut Vec<Part>) {
    let pieces = rows.div_ceil(PART_ROWS);
    let mut offset = 0;
    for piece in 0..pieces {
        let length = (rows - offset).div_ceil(pieces - piece);
        parts.push(Part {
            first_row: first_row.saturating_add(offset),
            rows: length,
            group,
            offset,
        });
        offset += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_row_group_without_gaps() {
        for rows in [0, 1, PART_ROWS, PART_ROWS + 1, 5 * PART_ROWS - 3] {
            let mut parts = Vec::new();
            split(2, 10, rows, &mut parts);
            let mut next = 0;
            for part in &parts {
                let place = (part.group, part.offset, part.first_row);
                assert_eq!(place, (2, next, 10 + next));
                assert!(part.rows > 0 && part.rows <= PART_ROWS);
                next += part.rows;
            }
            assert_eq!(next, rows);
        }
    }
}
