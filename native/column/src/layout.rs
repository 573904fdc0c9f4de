//! Rows put in the order of a sealed segment (by key, then age), and written as column groups.

use std::borrow::Cow;

use elanus_rows::column::{Bits, Column};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::Key;
use elanus_rows::schema::Schema;

use crate::chunk::concat;
use crate::keys::key_at;
use crate::part::{Data, Source, vector};
use crate::sealed::bloom::Bloom;
use crate::sealed::statistics::{FieldStatistics, Statistics};
use crate::sealed::{scalars, vectors};

/// Rows of several sources in file order.
#[derive(Debug)]
pub(crate) struct Layout {
    sources: Vec<Source>,
    /// (source, row within it) of each row.
    order: Vec<(u32, u32)>,
    pub(crate) stamps: Vec<u64>,
}

impl Layout {
    /// Sorts the rows `keep` of each source; `None` keeps all.
    pub(crate) fn new(schema: &Schema, sources: Vec<(Source, Option<Bits>)>) -> Result<Self> {
        let total: usize =
            sources.iter().map(|(source, keep)| keep.as_ref().map_or(source.rows(), Bits::count_ones)).sum();
        u32::try_from(total).map_err(|_| NativeError::MemoryLimit("a segment holds at most 2^32 rows".into()))?;
        let mut rows: Vec<(Key<'_>, u64, (u32, u32))> = Vec::with_capacity(total);
        for (i, (source, keep)) in sources.iter().enumerate() {
            let (column, stamps) = (source.keys(schema)?, source.stamps()?);
            for row in (0..source.rows()).filter(|&row| keep.as_ref().is_none_or(|keep| keep.get(row))) {
                rows.push((key_at(column, row)?, stamps[row], (i as u32, row as u32)));
            }
        }
        rows.sort_unstable();
        let order = rows.iter().map(|&(_, _, place)| place).collect();
        let stamps = rows.iter().map(|&(_, stamp, _)| stamp).collect();
        Ok(Self { order, stamps, sources: sources.into_iter().map(|(source, _)| source).collect() })
    }

    pub(crate) fn rows(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn order(&self) -> &[(u32, u32)] {
        &self.order
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(crate) fn encode_scalars(&self, schema: &Schema) -> Result<Vec<u8>> {
        scalars::encode(schema, &self.stamps, |position| self.column(schema, position))
    }

    pub(crate) fn encode_vectors(&self, schema: &Schema, position: usize) -> Result<Vec<u8>> {
        let field = &schema.fields[position];
        let data: Vec<Data<'_>> =
            self.sources.iter().map(|source| source.data(schema, position)).collect::<Result<_>>()?;
        vectors::encode(field, self.rows(), |row| {
            let (source, row) = self.order[row];
            let data = data[source as usize];
            valid(data, row as usize).then(|| vector(data, row as usize))
        })
    }

    pub(crate) fn encode_statistics(&self, schema: &Schema) -> Result<Vec<u8>> {
        let mut fields = Vec::new();
        let mut bloom = None;
        for (position, field) in schema.fields.iter().enumerate() {
            if field.data_type.is_vector() {
                let validity = field.nullable.then(|| self.validity(schema, position)).transpose()?;
                fields.push(FieldStatistics::of_vectors(field.id, validity));
                continue;
            }
            let column = self.column(schema, position)?;
            if field.primary_key {
                let keys: Vec<Key<'_>> = (0..column.len()).map(|row| key_at(&column, row)).collect::<Result<_>>()?;
                bloom = Some(Bloom::of(keys.len(), keys.into_iter()));
            }
            fields.push(FieldStatistics::of(field.id, &column));
        }
        let statistics = Statistics {
            rows: self.rows(),
            stamp_min: self.stamps.iter().copied().min().unwrap_or(0),
            stamp_max: self.stamps.iter().copied().max().unwrap_or(0),
            bloom: bloom.ok_or_else(|| NativeError::Internal("schema without a primary key".into()))?,
            fields,
        };
        Ok(statistics.encode())
    }

    /// A scalar column in file order.
    fn column(&self, schema: &Schema, position: usize) -> Result<Column> {
        let columns: Vec<Cow<'_, Column>> =
            self.sources.iter().map(|source| source.scalars(schema, position)).collect::<Result<_>>()?;
        if columns.is_empty() {
            return Ok(Column::empty(&schema.fields[position]));
        }
        if let [column] = columns.as_slice() {
            let rows: Vec<u32> = self.order.iter().map(|&(_, row)| row).collect();
            return Ok(column.gather(&rows));
        }
        let mut starts = Vec::with_capacity(columns.len());
        let mut total = 0_usize;
        for column in &columns {
            starts.push(total);
            total += column.len();
        }
        u32::try_from(total).map_err(|_| NativeError::MemoryLimit("more than 2^32 rows in one merge".into()))?;
        let rows: Vec<u32> = self.order.iter().map(|&(source, row)| starts[source as usize] as u32 + row).collect();
        let columns: Vec<&Column> = columns.iter().map(|column| &**column).collect();
        Ok(concat(&columns)?.gather(&rows))
    }

    fn validity(&self, schema: &Schema, position: usize) -> Result<Bits> {
        let data: Vec<Data<'_>> =
            self.sources.iter().map(|source| source.data(schema, position)).collect::<Result<_>>()?;
        let mut bits = Bits::with_value(self.rows(), false);
        for (i, &(source, row)) in self.order.iter().enumerate() {
            bits.set(i, valid(data[source as usize], row as usize));
        }
        Ok(bits)
    }
}

fn valid(data: Data<'_>, row: usize) -> bool {
    match data {
        Data::Column(column) => column.is_valid(row),
        Data::Vectors(file) => file.validity().is_none_or(|bits| bits.get(row)),
        Data::Absent => false,
    }
}
