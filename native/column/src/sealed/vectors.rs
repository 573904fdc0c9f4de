//! A vector column group: one Parquet file with one column, uncompressed and PLAIN, so that rows are read where they
//! lie in the mapped file. Every page holds the same number of rows, and its values are its last bytes.

use std::sync::Arc;

use bytes::Bytes;
use elanus_rows::column::{Bits, VarBytes};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::{DataType, Field};
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::get_typed_column_reader;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType as ParquetType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// Bytes of a page, about.
const PAGE_BYTES: usize = 1 << 18;
/// Bytes of the length before a PLAIN byte string.
const LENGTH: usize = 4;
/// Rows of a sparse page.
const SPARSE_ROWS: usize = 1024;

/// Rows of a page; a power of two, so that a row's page is a shift.
fn rows_per_page(width: usize) -> usize {
    let rows = (PAGE_BYTES / width.max(1)).clamp(1, 1 << 14);
    1 << rows.ilog2()
}

/// Writes the file. `row` gives a vector in file order, `None` when null.
pub(crate) fn encode<'a>(field: &Field, rows: usize, row: impl Fn(usize) -> Option<&'a [u8]>) -> Result<Vec<u8>> {
    let width = field.data_type.vector_width(field.dim);
    let per_page = width.map_or(SPARSE_ROWS, rows_per_page);
    // With statistics the offset index says how long a page's byte strings are.
    let statistics = if width.is_none() { EnabledStatistics::Chunk } else { EnabledStatistics::None };
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(statistics)
        .set_data_page_row_count_limit(per_page)
        .set_data_page_size_limit(usize::MAX)
        .set_write_batch_size(usize::MAX / 2)
        .build();
    let schema = Arc::new(parquet_type(field).map_err(internal)?);
    let expected = rows * width.unwrap_or(0) + rows / per_page * 64 + 4096;
    let mut writer =
        SerializedFileWriter::new(Vec::with_capacity(expected), schema, Arc::new(properties)).map_err(internal)?;
    let mut group = writer.next_row_group().map_err(internal)?;
    let mut column = group.next_column().map_err(internal)?.ok_or_else(|| damaged(field, "no column"))?;
    for from in (0..rows).step_by(per_page) {
        let page: Vec<Option<&[u8]>> = (from..rows.min(from + per_page)).map(&row).collect();
        let written = match field.data_type {
            DataType::FloatVector => write_floats(column.typed::<FloatType>(), field, &page),
            DataType::SparseFloatVector => {
                let value = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
                write_strings(column.typed::<ByteArrayType>(), field, &page, value)
            }
            _ => {
                let value = |bytes: &[u8]| FixedLenByteArray::from(bytes.to_vec());
                write_strings(column.typed::<FixedLenByteArrayType>(), field, &page, value)
            }
        };
        written.map_err(internal)?;
    }
    column.close().map_err(internal)?;
    group.close().map_err(internal)?;
    writer.into_inner().map_err(internal)
}

fn write_floats(
    writer: &mut ColumnWriterImpl<'_, FloatType>,
    field: &Field,
    page: &[Option<&[u8]>],
) -> std::result::Result<usize, ParquetError> {
    let mut values = Vec::with_capacity(page.len() * field.dim);
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    // An optional list adds one level; an empty list cannot be.
    let full = 1 + i16::from(field.nullable);
    for row in page {
        let Some(row) = row else {
            definitions.push(0);
            repetitions.push(0);
            continue;
        };
        values.extend(row.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        definitions.resize(definitions.len() + field.dim, full);
        repetitions.push(0);
        repetitions.resize(repetitions.len() + field.dim - 1, 1);
    }
    writer.write_batch(&values, Some(&definitions), Some(&repetitions))
}

fn write_strings<T: ParquetType>(
    writer: &mut ColumnWriterImpl<'_, T>,
    field: &Field,
    page: &[Option<&[u8]>],
    value: impl Fn(&[u8]) -> T::T,
) -> std::result::Result<usize, ParquetError> {
    let values: Vec<T::T> = page.iter().flatten().map(|row| value(row)).collect();
    let definitions: Vec<i16> = page.iter().map(|row| i16::from(row.is_some())).collect();
    writer.write_batch(&values, field.nullable.then_some(definitions.as_slice()), None)
}

fn parquet_type(field: &Field) -> std::result::Result<Type, ParquetError> {
    let repetition = if field.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let id = Some(field.id.cast_signed());
    let root = match field.data_type {
        DataType::FloatVector => {
            let element = Type::primitive_type_builder("element", Physical::FLOAT)
                .with_repetition(Repetition::REQUIRED)
                .build()?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(&field.name)
                .with_repetition(repetition)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(list)])
                .with_id(id)
                .build()?
        }
        DataType::SparseFloatVector => Type::primitive_type_builder(&field.name, Physical::BYTE_ARRAY)
            .with_repetition(repetition)
            .with_id(id)
            .build()?,
        kind => {
            let width = kind.vector_width(field.dim).unwrap_or(0);
            Type::primitive_type_builder(&field.name, Physical::FIXED_LEN_BYTE_ARRAY)
                .with_repetition(repetition)
                .with_length(width as i32)
                .with_id(id)
                .build()?
        }
    };
    Type::group_type_builder("rows").with_fields(vec![Arc::new(root)]).build()
}

/// Where the rows of a dense or binary field lie.
#[derive(Debug)]
enum Place {
    /// In the file: start of each page's values.
    Pages { starts: Vec<u64>, shift: u32 },
    /// In memory, because the file's pages are not as we write them; null rows have no bytes.
    Memory(Vec<u8>),
    /// Sparse rows in the file: where each row that is not null begins, after its length.
    Strings(Vec<u64>),
    /// Sparse rows in memory.
    Sparse(VarBytes),
}

/// The opened file.
#[derive(Debug)]
pub(crate) struct VectorFile {
    bytes: Bytes,
    width: usize,
    rows: usize,
    place: Place,
    nulls: Option<Ranked>,
}

impl VectorFile {
    /// `validity` comes from the segment's statistics; `None`: no row is null.
    pub(crate) fn open(field: &Field, bytes: Bytes, rows: usize, validity: Option<Bits>) -> Result<Self> {
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&bytes)
            .map_err(|e| damaged(field, &e.to_string()))?;
        if usize::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
            return Err(damaged(field, "the row count is not that of the segment"));
        }
        check_type(field, &metadata)?;
        let nulls = validity.map(Ranked::new);
        let width = field.data_type.vector_width(field.dim).unwrap_or(0);
        let place = match field.data_type {
            DataType::SparseFloatVector => match mapped_strings(&metadata, &bytes, rows, nulls.as_ref()) {
                Some(starts) => Place::Strings(starts),
                None => Place::Sparse(decode_sparse(field, &bytes, rows, nulls.as_ref())?),
            },
            _ => match mapped_pages(&metadata, bytes.len(), width, rows, nulls.as_ref()) {
                Some((starts, shift)) => Place::Pages { starts, shift },
                None => Place::Memory(decode_dense(field, &bytes, rows, width, nulls.as_ref())?),
            },
        };
        Ok(Self { bytes, width, rows, place, nulls })
    }

    #[cfg(test)]
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.place, Place::Pages { .. } | Place::Strings(_))
    }

    pub(crate) fn validity(&self) -> Option<&Bits> {
        self.nulls.as_ref().map(|nulls| &nulls.bits)
    }

    /// The vector of a row; empty when null.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        if let Place::Sparse(rows) = &self.place {
            return rows.get(row);
        }
        if self.nulls.as_ref().is_some_and(|nulls| !nulls.bits.get(row)) {
            return &[];
        }
        let at = self.offset(row);
        let width = match &self.place {
            Place::Strings(_) => length_before(&self.bytes, at).unwrap_or(0),
            _ => self.width,
        };
        &self.data()[at..at + width]
    }

    /// As `VectorRows::run`: the rows of `row..end` that lie back to back, or the length of a stretch of nulls.
    pub(crate) fn run(&self, row: usize, end: usize) -> (&[u8], usize) {
        let end = end.min(self.rows);
        let page_end = match &self.place {
            Place::Pages { shift, .. } => end.min(((row >> shift) + 1) << shift),
            _ => end,
        };
        let Some(nulls) = &self.nulls else {
            let at = self.offset(row);
            return (&self.data()[at..at + (page_end - row) * self.width], page_end - row);
        };
        let valid = nulls.bits.get(row);
        let count = (row..page_end).take_while(|&i| nulls.bits.get(i) == valid).count();
        if !valid {
            return (&[], count);
        }
        let at = self.offset(row);
        (&self.data()[at..at + count * self.width], count)
    }

    /// Heap bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let place = match &self.place {
            Place::Pages { starts, .. } | Place::Strings(starts) => starts.len() * 8,
            Place::Memory(data) => data.len(),
            Place::Sparse(rows) => rows.data.len() + rows.offsets.len() * 8,
        };
        place + self.nulls.as_ref().map_or(0, |nulls| nulls.bits.words().len() * 8 + nulls.before.len() * 4)
    }

    fn data(&self) -> &[u8] {
        match &self.place {
            Place::Memory(data) => data,
            _ => &self.bytes,
        }
    }

    /// Position of a row that is not null in `data`.
    fn offset(&self, row: usize) -> usize {
        let rank = |row: usize| self.nulls.as_ref().map_or(row, |nulls| nulls.rank(row));
        match &self.place {
            Place::Pages { starts, shift } => {
                let page = row >> shift;
                starts[page] as usize + (rank(row) - rank(page << shift)) * self.width
            }
            Place::Strings(starts) => starts[rank(row)] as usize,
            _ => rank(row) * self.width,
        }
    }
}

/// Bits that can say how many are set before a position.
#[derive(Debug)]
struct Ranked {
    bits: Bits,
    /// Set bits before each word.
    before: Vec<u32>,
}

impl Ranked {
    fn new(bits: Bits) -> Self {
        let mut total = 0;
        let before = bits
            .words()
            .iter()
            .map(|word| {
                let before = total;
                total += word.count_ones();
                before
            })
            .collect();
        Self { bits, before }
    }

    fn rank(&self, row: usize) -> usize {
        match self.bits.words().get(row / 64) {
            Some(word) => self.before[row / 64] as usize + (word & ((1 << (row % 64)) - 1)).count_ones() as usize,
            None => self.bits.count_ones(),
        }
    }
}

fn check_type(field: &Field, metadata: &ParquetMetaData) -> Result<()> {
    let expected = parquet_type(field).map_err(internal)?;
    let expected = &expected.get_fields()[0];
    let found = metadata.file_metadata().schema().get_fields();
    let fits = found.len() == 1
        && match (&**expected, &*found[0]) {
            (
                Type::PrimitiveType { physical_type: a, type_length: x, .. },
                Type::PrimitiveType { physical_type: b, type_length: y, .. },
            ) => a == b && x == y,
            (Type::GroupType { .. }, Type::GroupType { .. }) => {
                let columns = metadata.file_metadata().schema_descr().columns();
                columns.len() == 1 && columns[0].physical_type() == Physical::FLOAT && columns[0].max_rep_level() == 1
            }
            _ => false,
        };
    if fits { Ok(()) } else { Err(damaged(field, "the column's type is not that of the field")) }
}

/// True when the file is one uncompressed, PLAIN column in one row group.
fn is_plain(metadata: &ParquetMetaData) -> bool {
    let [group] = metadata.row_groups() else { return false };
    let chunk = group.column(0);
    let plain = chunk.encodings().all(|encoding| matches!(encoding, Encoding::PLAIN | Encoding::RLE));
    plain && chunk.compression() == Compression::UNCOMPRESSED && chunk.dictionary_page_offset().is_none()
}

/// Starts of the pages' values, when the pages are as `encode` writes them; `None`: read the file the long way.
fn mapped_pages(
    metadata: &ParquetMetaData,
    file_bytes: usize,
    width: usize,
    rows: usize,
    nulls: Option<&Ranked>,
) -> Option<(Vec<u64>, u32)> {
    if rows == 0 {
        return Some((Vec::new(), 0));
    }
    let index = metadata.page_index_for_row_group(0);
    let pages = index.offset_index(0).filter(|_| is_plain(metadata))?.page_locations();
    let per_page = match pages.get(1) {
        Some(second) => usize::try_from(second.first_row_index).ok()?,
        None => rows.next_power_of_two(),
    };
    if !per_page.is_power_of_two() || pages.len() != rows.div_ceil(per_page) {
        return None;
    }
    let rank = |row: usize| nulls.map_or(row, |nulls| nulls.rank(row.min(rows)));
    let starts = pages.iter().enumerate().map(|(i, page)| {
        let first = i * per_page;
        let values = (rank(rows.min(first + per_page)) - rank(first)) * width;
        let fits = page.first_row_index == first as i64;
        values_start(page, values, file_bytes).filter(|_| fits).map(|start| start as u64)
    });
    Some((starts.collect::<Option<Vec<u64>>>()?, per_page.ilog2()))
}

/// Where the last `values` bytes of a page begin, when they are in the page and the page is in the file.
fn values_start(page: &PageLocation, values: usize, file_bytes: usize) -> Option<usize> {
    let size = usize::try_from(page.compressed_page_size).ok()?;
    let end = usize::try_from(page.offset).ok()?.checked_add(size)?;
    (size >= values && end <= file_bytes).then(|| end - values)
}

/// Starts of the byte strings of all rows that are not null, when they can be read in place.
fn mapped_strings(metadata: &ParquetMetaData, bytes: &[u8], rows: usize, nulls: Option<&Ranked>) -> Option<Vec<u64>> {
    if rows == 0 {
        return Some(Vec::new());
    }
    let index = metadata.page_index_for_row_group(0);
    let index = index.offset_index(0).filter(|_| is_plain(metadata))?;
    let (pages, sizes) = (index.page_locations(), index.unencoded_byte_array_data_bytes()?);
    let rank = |row: usize| nulls.map_or(row, |nulls| nulls.rank(row));
    let mut starts = Vec::with_capacity(rank(rows));
    for (i, (page, &size)) in pages.iter().zip(sizes).enumerate() {
        let first = usize::try_from(page.first_row_index).ok().filter(|&first| first <= rows)?;
        let next = pages.get(i + 1).map_or(Some(rows), |next| usize::try_from(next.first_row_index).ok())?;
        let count = rank(next.min(rows)).checked_sub(rank(first))?;
        let values = usize::try_from(size).ok()?.checked_add(count * LENGTH)?;
        let mut at = values_start(page, values, bytes.len())?;
        let end = at + values;
        for _ in 0..count {
            at += LENGTH;
            starts.push(at as u64);
            at = at.checked_add(length_before(bytes, at)?).filter(|&at| at <= end)?;
        }
        if at != end {
            return None;
        }
    }
    (starts.len() == rank(rows)).then_some(starts)
}

/// The length that stands before a byte string.
fn length_before(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at.checked_sub(LENGTH)?..at)?.first_chunk::<LENGTH>()?;
    Some(u32::from_le_bytes(*length) as usize)
}

fn decode_dense(field: &Field, bytes: &Bytes, rows: usize, width: usize, nulls: Option<&Ranked>) -> Result<Vec<u8>> {
    let expected = nulls.map_or(rows, |nulls| nulls.bits.count_ones()) * width;
    let mut data = Vec::with_capacity(expected);
    match field.data_type {
        DataType::FloatVector => {
            each_value::<FloatType>(field, bytes, |value| data.extend_from_slice(&value.to_le_bytes()))?;
        }
        _ => each_value::<FixedLenByteArrayType>(field, bytes, |value| data.extend_from_slice(value.data()))?,
    }
    if data.len() == expected { Ok(data) } else { Err(damaged(field, "values are missing or too many")) }
}

fn decode_sparse(field: &Field, bytes: &Bytes, rows: usize, nulls: Option<&Ranked>) -> Result<VarBytes> {
    let mut values = VarBytes::default();
    each_value::<ByteArrayType>(field, bytes, |value| values.push(value.data()))?;
    let count = nulls.map_or(rows, |nulls| nulls.bits.count_ones());
    if values.len() != count {
        return Err(damaged(field, "values are missing or too many"));
    }
    let Some(nulls) = nulls else { return Ok(values) };
    let mut all = VarBytes::default();
    let mut next = values.iter();
    for row in 0..rows {
        all.push(if nulls.bits.get(row) { next.next().unwrap_or_default() } else { &[] });
    }
    Ok(all)
}

fn each_value<T: ParquetType>(field: &Field, bytes: &Bytes, mut each: impl FnMut(&T::T)) -> Result<()> {
    let wrong = |e: ParquetError| damaged(field, &e.to_string());
    let reader = SerializedFileReader::new(bytes.clone()).map_err(wrong)?;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(wrong)?;
        let mut column = get_typed_column_reader::<T>(group.get_column_reader(0).map_err(wrong)?);
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            values.clear();
            definitions.clear();
            repetitions.clear();
            let (records, ..) = column
                .read_records(SPARSE_ROWS, Some(&mut definitions), Some(&mut repetitions), &mut values)
                .map_err(wrong)?;
            if records == 0 {
                break;
            }
            values.iter().for_each(&mut each);
        }
    }
    Ok(())
}

fn internal(error: ParquetError) -> NativeError {
    NativeError::Internal(format!("encoding Parquet: {error}"))
}

fn damaged(field: &Field, message: &str) -> NativeError {
    NativeError::FileCorrupt { file: format!("vector:{}", field.id), message: message.into() }
}
