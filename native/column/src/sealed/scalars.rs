//! The `scalars` column group: one Parquet file with all scalar fields and the insert timestamps.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use bytes::Bytes;
use elanus_rows::column::Column;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::{Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::WriterProperties;

use super::arrow::{append_arrow, arrow_field, field_id, to_arrow};
use super::blocks::BLOCK_ROWS;

/// Name of the column of insert timestamps.
pub(crate) const TIMESTAMP: &str = "$timestamp";
/// Bytes of a page before compression: what fetching one value must decode.
const PAGE_BYTES: usize = 1 << 16;
/// Rows encoded and decoded at a time.
const BLOCK: usize = 1 << 16;

/// Writes the file; `column` gives the rows of one scalar field, in file order.
pub(crate) fn encode(
    schema: &Schema,
    stamps: &[u64],
    mut column: impl FnMut(usize) -> Result<Column>,
) -> Result<Vec<u8>> {
    let scalars: Vec<usize> = (0..schema.fields.len()).filter(|&i| !schema.fields[i].data_type.is_vector()).collect();
    let columns: Vec<Column> = scalars.iter().map(|&i| column(i)).collect::<Result<_>>()?;
    let mut fields: Vec<ArrowField> = scalars.iter().map(|&i| arrow_field(&schema.fields[i])).collect();
    fields.push(ArrowField::new(TIMESTAMP, ArrowType::Int64, false));
    let arrow = Arc::new(ArrowSchema::new(fields));
    let zstd = ZstdLevel::try_new(1).map_err(internal)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&arrow), Some(properties)).map_err(internal)?;
    for from in (0..stamps.len()).step_by(BLOCK) {
        let to = stamps.len().min(from + BLOCK);
        let mut arrays: Vec<ArrayRef> = scalars
            .iter()
            .zip(&columns)
            .map(|(&i, column)| to_arrow(&schema.fields[i], column, from, to))
            .collect::<Result<_>>()?;
        arrays.push(Arc::new(stamps[from..to].iter().map(|&at| at.cast_signed()).collect::<Int64Array>()));
        let batch = RecordBatch::try_new(Arc::clone(&arrow), arrays).map_err(|e| internal(e.into()))?;
        writer.write(&batch).map_err(internal)?;
    }
    writer.into_inner().map_err(internal)
}

/// The opened file. Columns are decoded one at a time, when asked for.
#[derive(Debug)]
pub(crate) struct ScalarFile {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    rows: usize,
}

impl ScalarFile {
    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&bytes, options).map_err(corrupt)?;
        let rows = usize::try_from(metadata.metadata().file_metadata().num_rows())
            .ok()
            .filter(|&rows| u32::try_from(rows).is_ok())
            .ok_or_else(|| damaged("impossible row count"))?;
        Ok(Self { bytes, metadata, rows })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// All rows of a field. A field that came after this file reads as its default value or null.
    pub(crate) fn column(&self, field: &Field) -> Result<Column> {
        let Some(position) = self.position(field) else { return Ok(super::absent(field, self.rows)) };
        let mut column = Column::empty(field);
        for batch in self.reader(position)? {
            let batch = batch.map_err(|e| damaged(&e.to_string()))?;
            append_arrow(field, &mut column, batch.column(0)).map_err(|e| damaged(&e))?;
        }
        self.check(column.len())?;
        Ok(column)
    }

    /// Some rows of a field, in any order, decoding only the pages they lie in.
    pub(crate) fn rows_of(&self, field: &Field, rows: &[u32]) -> Result<Column> {
        let Some(position) = self.position(field) else { return Ok(super::absent(field, rows.len())) };
        let mut wanted = rows.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let ranges = wanted.iter().map(|&row| row as usize..row as usize + 1);
        let column = self.selected(field, position, ranges)?;
        if column.len() != wanted.len() {
            return Err(damaged("rows are missing"));
        }
        let places = rows.iter().map(|row| wanted.partition_point(|other| other < row) as u32);
        Ok(column.gather(&places.collect::<Vec<_>>()))
    }

    /// The rows of one block of a field, decoding only the pages they lie in.
    pub(crate) fn block(&self, field: &Field, block: usize) -> Result<Column> {
        let range = block * BLOCK_ROWS..self.rows.min((block + 1) * BLOCK_ROWS);
        let count = range.len();
        let Some(position) = self.position(field) else { return Ok(super::absent(field, count)) };
        let column = self.selected(field, position, std::iter::once(range))?;
        if column.len() == count { Ok(column) } else { Err(damaged("rows are missing")) }
    }

    fn selected(&self, field: &Field, position: usize, ranges: impl Iterator<Item = Range<usize>>) -> Result<Column> {
        let selection = RowSelection::from_consecutive_ranges(ranges, self.rows);
        let mut column = Column::empty(field);
        let reader = self.builder(position).with_row_selection(selection).build().map_err(corrupt)?;
        for batch in reader {
            let batch = batch.map_err(|e| damaged(&e.to_string()))?;
            append_arrow(field, &mut column, batch.column(0)).map_err(|e| damaged(&e))?;
        }
        Ok(column)
    }

    /// Bytes of a field when decoded, about.
    pub(crate) fn column_bytes(&self, field: &Field) -> usize {
        let Some(position) = self.position(field) else { return 0 };
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let groups = self.metadata.metadata().row_groups().iter();
        let leaves = groups.flat_map(|group| group.columns().iter().enumerate());
        let own = leaves.filter(|(leaf, _)| descriptor.get_column_root_idx(*leaf) == position);
        // A dictionary makes texts look smaller than they are.
        let bytes =
            own.map(|(_, chunk)| chunk.uncompressed_size().max(chunk.unencoded_byte_array_data_bytes().unwrap_or(0)));
        usize::try_from(bytes.sum::<i64>()).unwrap_or(0)
    }

    fn position(&self, field: &Field) -> Option<usize> {
        self.metadata.schema().fields().iter().position(|f| field_id(f) == Some(field.id))
    }

    pub(crate) fn stamps(&self) -> Result<Vec<u64>> {
        let position = self.metadata.schema().index_of(TIMESTAMP).map_err(|e| damaged(&e.to_string()))?;
        let mut stamps = Vec::with_capacity(self.rows);
        for batch in self.reader(position)? {
            let batch = batch.map_err(|e| damaged(&e.to_string()))?;
            let values = batch.column(0).as_any().downcast_ref::<Int64Array>();
            let values = values.ok_or_else(|| damaged("timestamps are no integers"))?.values();
            stamps.extend(values.iter().map(|&at| at.cast_unsigned()));
        }
        self.check(stamps.len())?;
        Ok(stamps)
    }

    fn reader(&self, position: usize) -> Result<ParquetRecordBatchReader> {
        self.builder(position).build().map_err(corrupt)
    }

    fn builder(&self, position: usize) -> ParquetRecordBatchReaderBuilder<Bytes> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), [position]);
        builder.with_projection(mask).with_batch_size(BLOCK)
    }

    fn check(&self, rows: usize) -> Result<()> {
        if rows == self.rows { Ok(()) } else { Err(damaged("a column is shorter or longer than the file")) }
    }
}

fn internal(error: parquet::errors::ParquetError) -> NativeError {
    NativeError::Internal(format!("encoding Parquet: {error}"))
}

fn corrupt(error: parquet::errors::ParquetError) -> NativeError {
    damaged(&error.to_string())
}

fn damaged(message: &str) -> NativeError {
    NativeError::FileCorrupt { file: "scalars".into(), message: message.into() }
}
