//! The `statistics` column group: what a segment can say without reading its columns.

use elanus_filter::{ColumnBounds, ValueRange};
use elanus_rows::column::{Bits, Column, Values};
use elanus_rows::error::Result;
use elanus_rows::keys::Key;

use super::bloom::Bloom;
use super::checked::{self, Reader};

const MAGIC: [u8; 4] = *b"ELST";
const ROLE: &str = "statistics";
/// Longer texts have no bounds.
const BOUND_BYTES: usize = 256;

/// Smallest and largest value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Bounds {
    Int(i64, i64),
    Float(f64, f64),
    Text(Vec<u8>, Vec<u8>),
}

/// What is known of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldStatistics {
    pub field: u32,
    pub null_count: u64,
    /// Absent for fields without order, without values, with NaN or with long texts.
    pub bounds: Option<Bounds>,
    /// Which rows are not null; for nullable vector fields.
    pub(crate) validity: Option<Bits>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) rows: usize,
    pub(crate) stamp_min: u64,
    pub(crate) stamp_max: u64,
    pub(crate) bloom: Bloom,
    pub(crate) fields: Vec<FieldStatistics>,
}

impl FieldStatistics {
    pub(crate) fn of(field: u32, column: &Column) -> Self {
        let null_count = column.validity.as_ref().map_or(0, |bits| bits.len() - bits.count_ones()) as u64;
        Self { field, null_count, bounds: bounds_of(column), validity: None }
    }

    pub(crate) fn of_vectors(field: u32, validity: Option<Bits>) -> Self {
        let validity = validity.filter(|bits| bits.count_ones() < bits.len());
        let null_count = validity.as_ref().map_or(0, |bits| bits.len() - bits.count_ones()) as u64;
        Self { field, null_count, bounds: None, validity }
    }
}

impl Statistics {
    /// What is known of a field, as filters ask.
    pub(crate) fn column_bounds(&self, id: u32) -> Option<ColumnBounds<'_>> {
        let field = self.field(id)?;
        let range = match &field.bounds {
            None => ValueRange::Unknown,
            Some(Bounds::Int(min, max)) => ValueRange::Ints(*min, *max),
            Some(Bounds::Float(min, max)) => ValueRange::Floats(*min, *max),
            Some(Bounds::Text(min, max)) => ValueRange::Texts(min, max),
        };
        Some(ColumnBounds { nulls: field.null_count > 0, values: field.null_count < self.rows as u64, range })
    }

    pub(crate) fn field(&self, id: u32) -> Option<&FieldStatistics> {
        self.fields.iter().find(|field| field.field == id)
    }

    /// False when no row can have this key.
    pub(crate) fn may_contain(&self, primary: u32, key: Key<'_>) -> bool {
        let inside = match (self.field(primary).and_then(|field| field.bounds.as_ref()), key) {
            (Some(Bounds::Int(min, max)), Key::Int(key)) => (*min..=*max).contains(&key),
            (Some(Bounds::Text(min, max)), Key::Text(key)) => min.as_slice() <= key && key <= max.as_slice(),
            _ => true,
        };
        inside && self.bloom.may_contain(key)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = checked::begin(MAGIC);
        for number in [self.rows as u64, self.stamp_min, self.stamp_max] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_words(&mut out, self.bloom.words());
        out.extend_from_slice(&(self.fields.len() as u32).to_le_bytes());
        self.fields.iter().for_each(|field| put_field(&mut out, field));
        checked::finish(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::open(ROLE, MAGIC, bytes)?;
        let rows = usize::try_from(reader.u64()?).map_err(|_| reader.damaged("impossible row count"))?;
        let (stamp_min, stamp_max) = (reader.u64()?, reader.u64()?);
        let words = read_words(&mut reader)?;
        let bloom = Bloom::from_words(words).ok_or_else(|| reader.damaged("impossible key filter"))?;
        let fields = (0..reader.count()?).map(|_| read_field(&mut reader, rows)).collect::<Result<_>>()?;
        reader.end()?;
        Ok(Self { rows, stamp_min, stamp_max, bloom, fields })
    }
}

fn put_words(out: &mut Vec<u8>, words: &[u64]) {
    out.extend_from_slice(&(words.len() as u32).to_le_bytes());
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

fn read_words(reader: &mut Reader<'_>) -> Result<Vec<u64>> {
    let count = reader.count()?;
    reader.u64s(count)
}

fn put_field(out: &mut Vec<u8>, field: &FieldStatistics) {
    out.extend_from_slice(&field.field.to_le_bytes());
    out.extend_from_slice(&field.null_count.to_le_bytes());
    match &field.bounds {
        None => out.push(0),
        Some(Bounds::Int(min, max)) => {
            out.push(1);
            [min, max].into_iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        }
        Some(Bounds::Float(min, max)) => {
            out.push(2);
            [min, max].into_iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        }
        Some(Bounds::Text(min, max)) => {
            out.push(3);
            for text in [min, max] {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text);
            }
        }
    }
    put_words(out, field.validity.as_ref().map_or(&[], Bits::words));
}

fn read_field(reader: &mut Reader<'_>, rows: usize) -> Result<FieldStatistics> {
    let field = reader.u32()?;
    let null_count = reader.u64()?;
    let bounds = match reader.u8()? {
        0 => None,
        1 => Some(Bounds::Int(reader.u64()?.cast_signed(), reader.u64()?.cast_signed())),
        2 => Some(Bounds::Float(f64::from_bits(reader.u64()?), f64::from_bits(reader.u64()?))),
        3 => Some(Bounds::Text(read_text(reader)?, read_text(reader)?)),
        _ => return Err(reader.damaged("unknown kind of bounds")),
    };
    let words = read_words(reader)?;
    let validity = match words.is_empty() {
        true => None,
        false => Some(Bits::from_words(words, rows).ok_or_else(|| reader.damaged("impossible null bits"))?),
    };
    Ok(FieldStatistics { field, null_count, bounds, validity })
}

fn read_text(reader: &mut Reader<'_>) -> Result<Vec<u8>> {
    let count = reader.count()?;
    Ok(reader.take(count)?.to_vec())
}

fn bounds_of(column: &Column) -> Option<Bounds> {
    fn range<T: Copy>(column: &Column, values: &[T], less: impl Fn(T, T) -> bool) -> Option<(T, T)> {
        let mut valid = (0..values.len()).filter(|&i| column.is_valid(i)).map(|i| values[i]);
        let first = valid.next()?;
        Some(valid.fold((first, first), |(min, max), x| {
            (if less(x, min) { x } else { min }, if less(max, x) { x } else { max })
        }))
    }
    match &column.values {
        Values::Int32(v) => {
            range(column, v, |a, b| a < b).map(|(min, max)| Bounds::Int(i64::from(min), i64::from(max)))
        }
        Values::Int64(v) => range(column, v, |a, b| a < b).map(|(min, max)| Bounds::Int(min, max)),
        Values::Float(v) if v.iter().all(|x| !x.is_nan()) => {
            range(column, v, |a, b| a < b).map(|(min, max)| Bounds::Float(f64::from(min), f64::from(max)))
        }
        Values::Double(v) if v.iter().all(|x| !x.is_nan()) => {
            range(column, v, |a, b| a < b).map(|(min, max)| Bounds::Float(min, max))
        }
        Values::Bytes(v) => {
            let texts: Vec<&[u8]> = v.iter().collect();
            let (min, max) = range(column, &texts, |a, b| a < b)?;
            let short = min.len().max(max.len()) <= BOUND_BYTES;
            short.then(|| Bounds::Text(min.to_vec(), max.to_vec()))
        }
        _ => None,
    }
}
