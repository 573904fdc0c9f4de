//! A stretch of rows of one segment, wherever they lie: what searches, queries and merges read.

use std::borrow::Cow;
use std::sync::Arc;

use elanus_filter::{ColumnSource, ColumnView, Estimate, Program, RunColumn, ScalarIndexes, ViewValues};
use elanus_index::rtree::RTree;
use elanus_index::scalar::ScalarIndex;
use elanus_index::vector::{Element, SparseRows, VectorRows};
use elanus_rows::column::{Bits, Column, Values};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::Key;
use elanus_rows::schema::{DataType, Field, Schema};

use crate::attached::Attached;
use crate::chunk::Chunk;
use crate::keys::key_at;
use crate::sealed::blocks::BLOCK_ROWS;
use crate::sealed::vectors::VectorFile;
use crate::sealed::{Sealed, absent};

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Memory(Arc<Chunk>),
    Sealed(Arc<Sealed>),
}

/// Values of one field of one source.
#[derive(Clone, Copy)]
pub(crate) enum Data<'a> {
    Column(&'a Column),
    Vectors(&'a VectorFile),
    /// The field came after these rows.
    Absent,
}

impl Source {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Memory(chunk) => chunk.rows(),
            Self::Sealed(sealed) => sealed.rows(),
        }
    }

    /// Row number in the segment of the first row.
    pub(crate) fn base(&self) -> u32 {
        match self {
            Self::Memory(chunk) => chunk.base,
            Self::Sealed(_) => 0,
        }
    }

    pub(crate) fn data(&self, schema: &Schema, position: usize) -> Result<Data<'_>> {
        match self {
            Self::Memory(chunk) => Ok(chunk.columns.get(position).map_or(Data::Absent, Data::Column)),
            Self::Sealed(sealed) if sealed.width() <= position => Ok(Data::Absent),
            Self::Sealed(sealed) if schema.fields[position].data_type.is_vector() => {
                Ok(sealed.vectors(position).map_or(Data::Absent, Data::Vectors))
            }
            Self::Sealed(sealed) => sealed.column(position).map(Data::Column),
        }
    }

    /// A scalar column; made up for a field that came after these rows.
    pub(crate) fn scalars(&self, schema: &Schema, position: usize) -> Result<Cow<'_, Column>> {
        match self.data(schema, position)? {
            Data::Column(column) => Ok(Cow::Borrowed(column)),
            Data::Absent => Ok(Cow::Owned(absent(&schema.fields[position], self.rows()))),
            Data::Vectors(_) => Err(NativeError::Internal("a vector field is no scalar column".into())),
        }
    }

    /// The primary key column; every row has one.
    pub(crate) fn keys(&self, schema: &Schema) -> Result<&Column> {
        match self.data(schema, schema.primary_position())? {
            Data::Column(column) => Ok(column),
            _ => Err(NativeError::Internal("rows without a primary key".into())),
        }
    }

    pub(crate) fn stamps(&self) -> Result<&[u64]> {
        match self {
            Self::Memory(chunk) => Ok(&chunk.stamps),
            Self::Sealed(sealed) => sealed.stamps(),
        }
    }

    pub(crate) fn key(&self, schema: &Schema, row: u32) -> Result<Key<'_>> {
        key_at(self.keys(schema)?, row as usize)
    }

    /// The rows `rows` (numbers within this source) of a field.
    pub(crate) fn gather(&self, schema: &Schema, position: usize, rows: &[u32]) -> Result<Column> {
        let field = &schema.fields[position];
        match self {
            Self::Sealed(sealed) if !field.data_type.is_vector() && position < sealed.width() => {
                return sealed.gather(position, rows);
            }
            _ => {}
        }
        Ok(match self.data(schema, position)? {
            Data::Column(column) => column.gather(rows),
            Data::Vectors(file) => gather_vectors(field, file, rows),
            Data::Absent => absent(field, rows.len()),
        })
    }
}

fn gather_vectors(field: &Field, file: &VectorFile, rows: &[u32]) -> Column {
    let mut column = Column::empty(field);
    let validity = file.validity().map(|bits| bits.gather(rows)).filter(|bits| bits.count_ones() < bits.len());
    match &mut column.values {
        Values::Fixed { width, data } => {
            data.reserve(rows.len() * *width);
            for &row in rows {
                match file.row(row as usize) {
                    [] => data.resize(data.len() + *width, 0),
                    bytes => data.extend_from_slice(bytes),
                }
            }
        }
        Values::Bytes(values) => rows.iter().for_each(|&row| values.push(file.row(row as usize))),
        _ => {}
    }
    column.validity = validity;
    column
}

/// A source, with the rows of it that a read may look at.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) source: Source,
    /// `None`: all rows.
    pub(crate) allowed: Option<Bits>,
}

impl Part {
    pub(crate) fn count(&self) -> usize {
        self.allowed.as_ref().map_or_else(|| self.source.rows(), Bits::count_ones)
    }

    /// Keeps the rows for which the filter is true.
    pub(crate) fn filter(&mut self, schema: &Schema, program: &Program) -> Result<()> {
        self.allowed = Some(self.passing(schema, program, self.allowed.as_ref())?);
        Ok(())
    }

    /// The rows for which the filter is true; of `candidates` only, when given.
    pub(crate) fn passing(&self, schema: &Schema, program: &Program, candidates: Option<&Bits>) -> Result<Bits> {
        program.evaluate(&Columns { source: &self.source, schema }, Some(&self.indexes()), candidates)
    }

    /// Share of the allowed rows for which the filter should be true.
    pub(crate) fn estimate(&self, schema: &Schema, program: &Program) -> Result<Estimate> {
        program.estimate(&Columns { source: &self.source, schema }, Some(&self.indexes()), self.allowed.as_ref())
    }

    /// See [`Program::row_cost`].
    pub(crate) fn filter_cost(&self, program: &Program) -> u32 {
        let indexes = self.indexes();
        program.row_cost(&|field| !indexes.of(field).is_empty())
    }

    fn indexes(&self) -> Indexes {
        match &self.source {
            Source::Memory(_) => Indexes(Vec::new()),
            Source::Sealed(sealed) => Indexes(sealed.attached()),
        }
    }
}

/// The indexes of a sealed segment as a filter reads them.
struct Indexes(Vec<Arc<Attached>>);

impl ScalarIndexes for Indexes {
    fn of(&self, field: u32) -> Vec<&ScalarIndex> {
        self.0.iter().filter(|attached| attached.field == field).filter_map(|attached| attached.scalar()).collect()
    }

    fn tree(&self, field: u32) -> Option<&RTree> {
        self.0.iter().filter(|attached| attached.field == field).find_map(|attached| attached.tree())
    }
}

/// The columns of a source as a filter reads them.
struct Columns<'a> {
    source: &'a Source,
    schema: &'a Schema,
}

impl ColumnSource for Columns<'_> {
    fn row_count(&self) -> usize {
        self.source.rows()
    }

    fn run_count(&self) -> usize {
        match self.source {
            Source::Memory(_) => 1,
            Source::Sealed(sealed) => sealed.rows().div_ceil(BLOCK_ROWS).max(1),
        }
    }

    fn run_rows(&self, run: usize) -> usize {
        match self.source {
            Source::Memory(chunk) => chunk.rows(),
            Source::Sealed(sealed) => BLOCK_ROWS.min(sealed.rows() - run * BLOCK_ROWS),
        }
    }

    fn column(&self, run: usize, field: u32) -> Result<Option<RunColumn<'_>>> {
        let Some(position) = self.schema.position(field) else { return Ok(None) };
        let (start, rows) = (run * BLOCK_ROWS, self.run_rows(run));
        if let Source::Sealed(sealed) = self.source
            && let Some(block) = sealed.block(self.schema, position, run)?
        {
            return Ok(Some(RunColumn::Decoded(block)));
        }
        let view = match self.source.data(self.schema, position)? {
            Data::Column(column) => ColumnView::from(column),
            Data::Vectors(file) => {
                ColumnView { values: ViewValues::Opaque, validity: file.validity().map(Bits::words) }
            }
            Data::Absent => return Ok(None),
        };
        Ok(Some(RunColumn::Kept(view.slice(start, rows))))
    }
}

/// The rows of a source's vector field, as indexes and exact search read them.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    data: Data<'a>,
    rows: usize,
    element: Element,
    dim: usize,
}

impl<'a> Vectors<'a> {
    pub(crate) fn new(schema: &Schema, source: &'a Source, position: usize) -> Result<Self> {
        let field = &schema.fields[position];
        let element = match field.data_type {
            DataType::Float16Vector => Element::F16,
            DataType::BFloat16Vector => Element::Bf16,
            DataType::Int8Vector => Element::I8,
            DataType::BinaryVector => Element::Bit,
            // A sparse field's rows are read through `SparseRows`, which asks for no element.
            _ => Element::F32,
        };
        Ok(Self { data: source.data(schema, position)?, rows: source.rows(), element, dim: field.dim })
    }
}

/// The vectors of several sources as those of one, by their row numbers in the segment.
pub(crate) struct Joined<'a> {
    /// By ascending first row; rows between them have no vector.
    parts: Vec<(u32, Vectors<'a>)>,
    rows: usize,
}

impl<'a> Joined<'a> {
    /// `None` without parts.
    pub(crate) fn of(parts: Vec<(u32, Vectors<'a>)>) -> Option<Self> {
        let rows = parts.last().map(|(base, vectors)| *base as usize + vectors.rows)?;
        Some(Self { parts, rows })
    }

    /// The part that holds a row, and the row's number there.
    pub(crate) fn place(&self, row: u32) -> Option<(usize, u32)> {
        let part = self.parts.partition_point(|(base, _)| *base <= row).checked_sub(1)?;
        let (base, vectors) = &self.parts[part];
        Some((part, row - base)).filter(|(_, row)| (*row as usize) < vectors.rows)
    }
}

impl VectorRows for Joined<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn element(&self) -> Element {
        self.parts[0].1.element
    }

    fn dim(&self) -> usize {
        self.parts[0].1.dim
    }

    fn row(&self, row: u32) -> &[u8] {
        self.place(row).map_or(&[], |(part, row)| VectorRows::row(&self.parts[part].1, row))
    }

    fn run(&self, row: u32) -> (&[u8], usize) {
        self.place(row).map_or((&[], 1), |(part, row)| self.parts[part].1.run(row))
    }
}

impl VectorRows for Vectors<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn element(&self) -> Element {
        self.element
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn row(&self, row: u32) -> &[u8] {
        vector(self.data, row as usize)
    }

    fn run(&self, row: u32) -> (&[u8], usize) {
        let (row, end) = (row as usize, self.rows);
        match self.data {
            Data::Vectors(file) => file.run(row, end),
            Data::Column(Column { values: Values::Fixed { width, data }, validity: None }) => {
                (&data[row * width..end * width], end - row)
            }
            Data::Column(Column { values: Values::Fixed { width, data }, validity: Some(bits) }) => {
                let valid = bits.get(row);
                let count = (row..end).take_while(|&i| bits.get(i) == valid).count();
                (if valid { &data[row * width..(row + count) * width] } else { &[] }, count)
            }
            _ => (&[], end - row),
        }
    }
}

impl SparseRows for Vectors<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn row(&self, row: u32) -> &[u8] {
        vector(self.data, row as usize)
    }
}

/// The bytes of one vector; empty when null.
pub(crate) fn vector(data: Data<'_>, row: usize) -> &[u8] {
    match data {
        Data::Vectors(file) => file.row(row),
        Data::Column(column) if column.is_valid(row) => match &column.values {
            Values::Fixed { width, data } => &data[row * width..(row + 1) * width],
            Values::Bytes(values) => values.get(row),
            _ => &[],
        },
        _ => &[],
    }
}
