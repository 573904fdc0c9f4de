//! The `scalars` column group: one Parquet file with all scalar fields and the insert timestamps.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use bytes::Bytes;
use elanus_rows::column::Column;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::{Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::arrow::{append_arrow, arrow_field, field_id, to_arrow};

/// Name of the column of insert timestamps.
pub(crate) const TIMESTAMP: &str = "$timestamp";
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
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(zstd)).build();
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
        let metadata = ArrowReaderMetadata::load(&bytes, Default::default()).map_err(corrupt)?;
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
        let position = self.metadata.schema().fields().iter().position(|f| field_id(f) == Some(field.id));
        let Some(position) = position else { return Ok(super::absent(field, self.rows)) };
        let mut column = Column::empty(field);
        for batch in self.reader(position)? {
            let batch = batch.map_err(|e| damaged(&e.to_string()))?;
            append_arrow(field, &mut column, batch.column(0)).map_err(|e| damaged(&e))?;
        }
        self.check(column.len())?;
        Ok(column)
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
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), [position]);
        builder.with_projection(mask).with_batch_size(BLOCK).build().map_err(corrupt)
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
