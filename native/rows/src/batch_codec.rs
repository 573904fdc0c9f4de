//! Rows as bytes, for the log and between roles: docs/formats/row-batch.md.

use crate::checks::check_sparse_row;
use crate::column::{Batch, Bits, Column, Values};
use crate::cursor::{Cursor, pad, put_blob, put_numbers, put_var_bytes};
use crate::error::{NativeError, Result};
use crate::keys::Keys;
use crate::schema::{DataType, DefaultValue, Field, Schema};

const MAGIC: [u8; 4] = *b"EROW";
const VERSION: u8 = 1;
const FLAG_POSITIONS: u8 = 1;
const COLUMN_FLAG_VALIDITY: u8 = 1;
const COLUMNS_MAX: usize = 4_096;

const KIND_BOOL: u8 = 1;
const KIND_INT32: u8 = 2;
const KIND_INT64: u8 = 3;
const KIND_FLOAT: u8 = 4;
const KIND_DOUBLE: u8 = 5;
const KIND_BYTES: u8 = 6;
const KIND_ARRAY: u8 = 7;
const KIND_FIXED: u8 = 8;

/// What `$meta` holds where a row has no dynamic keys.
pub(crate) const EMPTY_OBJECT: &str = "{}";

/// Some fields of some rows: a query's answer, or what was fetched for hits.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldRows {
    pub row_count: usize,
    /// For fetched hits: which hit each row belongs to (its place in the flat hits). Empty otherwise.
    pub positions: Vec<u32>,
    /// Field id and column; ids are distinct.
    pub columns: Vec<(u32, Column)>,
}

impl FieldRows {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let columns: Vec<(u32, &Column)> = self.columns.iter().map(|(id, column)| (*id, column)).collect();
        encode(self.row_count, &self.positions, &columns)
    }

    /// Reads what `encode` or `encode_batch` wrote; columns are checked against the schema's fields.
    ///
    /// # Errors
    /// `FileCorrupt` when the bytes are anything else.
    pub fn decode(schema: &Schema, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, "encoded rows");
        let Head { row_count, column_count, positions } = read_head(&mut cursor)?;
        let mut columns: Vec<(u32, Column)> = Vec::new();
        for _ in 0..column_count {
            let (id, column) = read_column(&mut cursor, row_count)?;
            if columns.iter().any(|(other, _)| *other == id) {
                return Err(cursor.damaged(&format!("field {id} stands twice")));
            }
            // A field that the schema no longer has is dropped.
            if let Some(field) = schema.by_id(id) {
                check_column(&cursor, field, &column)?;
                columns.push((id, column));
            }
        }
        cursor.finish()?;
        Ok(Self { row_count, positions, columns })
    }

    #[must_use]
    pub fn column(&self, field: u32) -> Option<&Column> {
        self.columns.iter().find(|(id, _)| *id == field).map(|(_, column)| column)
    }
}

/// The bytes of a batch of whole rows.
#[must_use]
pub fn encode_batch(schema: &Schema, batch: &Batch) -> Vec<u8> {
    let columns: Vec<(u32, &Column)> = schema.fields.iter().map(|field| field.id).zip(&batch.columns).collect();
    encode(batch.row_count, &[], &columns)
}

/// Reads what `encode_batch` wrote, maybe under an older schema: a field it does not hold gets its default or null.
///
/// # Errors
/// `FileCorrupt` when the bytes are anything else.
pub fn decode_batch(schema: &Schema, bytes: &[u8]) -> Result<Batch> {
    let mut rows = FieldRows::decode(schema, bytes)?;
    if rows.column(schema.primary().id).is_none() {
        let message = "it does not hold the primary key".to_owned();
        return Err(NativeError::FileCorrupt { file: "encoded rows".to_owned(), message });
    }
    let columns = schema.fields.iter().map(|field| {
        let at = rows.columns.iter().position(|(id, _)| *id == field.id);
        at.map_or_else(|| filled(field, rows.row_count), |at| Ok(rows.columns.swap_remove(at).1))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(Batch { row_count: rows.row_count, columns })
}

/// The primary keys of what `encode_batch` wrote, in row order, without a look at the columns behind them.
///
/// # Errors
/// `FileCorrupt` when the bytes are anything else, as far as they are looked at.
pub fn decode_keys(schema: &Schema, bytes: &[u8]) -> Result<Keys> {
    let mut cursor = Cursor::new(bytes, "encoded rows");
    let Head { row_count, column_count, .. } = read_head(&mut cursor)?;
    for _ in 0..column_count {
        let (id, column) = read_column(&mut cursor, row_count)?;
        if id == schema.primary().id {
            check_column(&cursor, schema.primary(), &column)?;
            return Keys::of_column(&column);
        }
    }
    Err(cursor.damaged("it does not hold the primary key"))
}

struct Head {
    row_count: usize,
    column_count: usize,
    positions: Vec<u32>,
}

fn read_head(cursor: &mut Cursor<'_>) -> Result<Head> {
    cursor.header(MAGIC)?;
    let [version, flags] = [cursor.u8()?, cursor.u8()?];
    if version != VERSION || flags & !FLAG_POSITIONS != 0 {
        return Err(cursor.damaged(&format!("version {version} with flags {flags} is unknown")));
    }
    cursor.align()?;
    let [row_count, column_count] = [cursor.u32()? as usize, cursor.u32()? as usize];
    if column_count > COLUMNS_MAX {
        return Err(cursor.damaged("it has too many columns"));
    }
    let with_positions = flags & FLAG_POSITIONS != 0;
    let positions = cursor.numbers(if with_positions { row_count } else { 0 }, u32::from_le_bytes)?;
    Ok(Head { row_count, column_count, positions })
}

/// A column of a field that was not sent: its default, else null.
///
/// # Errors
/// `FileCorrupt` when the field has neither.
fn filled(field: &Field, row_count: usize) -> Result<Column> {
    if let Some(value) = &field.default_value {
        return Ok(Column { values: repeated(field, value, row_count), validity: None });
    }
    if field.dynamic {
        let empty = DefaultValue::Text(EMPTY_OBJECT.to_owned());
        return Ok(Column { values: repeated(field, &empty, row_count), validity: None });
    }
    if field.nullable || row_count == 0 {
        return Ok(Column::nulls(field, row_count));
    }
    let message = format!("field {} ({}) is missing and has no default", field.name, field.id);
    Err(NativeError::FileCorrupt { file: "encoded rows".to_owned(), message })
}

/// `count` rows of a default value.
#[must_use]
pub fn repeated(field: &Field, value: &DefaultValue, count: usize) -> Values {
    let mut values = Values::empty(field);
    match (&mut values, value) {
        (Values::Bool(v), DefaultValue::Bool(value)) => v.resize(count, *value),
        (Values::Int32(v), DefaultValue::Int(value)) => v.resize(count, *value as i32),
        (Values::Int64(v), DefaultValue::Int(value)) => v.resize(count, *value),
        (Values::Float(v), DefaultValue::Float(value)) => v.resize(count, *value as f32),
        (Values::Double(v), DefaultValue::Float(value)) => v.resize(count, *value),
        (Values::Bytes(v), DefaultValue::Text(value)) => {
            (0..count).for_each(|_| v.push(value.as_bytes()));
        }
        (Values::Bytes(v), DefaultValue::Bytes(value)) => (0..count).for_each(|_| v.push(value)),
        (other, _) => other.push_zeros(count),
    }
    values
}

fn encode(row_count: usize, positions: &[u32], columns: &[(u32, &Column)]) -> Vec<u8> {
    let bytes: usize = columns.iter().map(|(_, column)| column.byte_size() + 64).sum();
    let mut out = Vec::with_capacity(bytes + positions.len() * 4 + 32);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, if positions.is_empty() { 0 } else { FLAG_POSITIONS }, 0, 0]);
    put_numbers(&mut out, &[row_count as u32, columns.len() as u32], u32::to_le_bytes);
    put_numbers(&mut out, positions, u32::to_le_bytes);
    for (id, column) in columns {
        write_column(&mut out, *id, column);
    }
    out
}

fn write_column(out: &mut Vec<u8>, id: u32, column: &Column) {
    let (kind, element, width) = match &column.values {
        Values::Array { elements, .. } => (KIND_ARRAY, kind_of(elements), 0),
        Values::Fixed { width, .. } => (KIND_FIXED, 0, *width as u32),
        values => (kind_of(values), 0, 0),
    };
    let flags = if column.validity.is_some() { COLUMN_FLAG_VALIDITY } else { 0 };
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&[kind, element, flags, 0]);
    out.extend_from_slice(&width.to_le_bytes());
    pad(out);
    if let Some(bits) = &column.validity {
        put_numbers(out, bits.words(), u64::to_le_bytes);
    }
    write_values(out, &column.values);
}

fn kind_of(values: &Values) -> u8 {
    match values {
        Values::Bool(_) => KIND_BOOL,
        Values::Int32(_) => KIND_INT32,
        Values::Int64(_) => KIND_INT64,
        Values::Float(_) => KIND_FLOAT,
        Values::Double(_) => KIND_DOUBLE,
        Values::Bytes(_) => KIND_BYTES,
        Values::Array { .. } => KIND_ARRAY,
        Values::Fixed { .. } => KIND_FIXED,
    }
}

fn write_values(out: &mut Vec<u8>, values: &Values) {
    match values {
        Values::Bool(v) => put_numbers(out, v, |value| [u8::from(value)]),
        Values::Int32(v) => put_numbers(out, v, i32::to_le_bytes),
        Values::Int64(v) => put_numbers(out, v, i64::to_le_bytes),
        Values::Float(v) => put_numbers(out, v, f32::to_le_bytes),
        Values::Double(v) => put_numbers(out, v, f64::to_le_bytes),
        Values::Bytes(v) => put_var_bytes(out, v),
        Values::Array { offsets, elements } => {
            put_numbers(out, offsets, u64::to_le_bytes);
            write_values(out, elements);
        }
        Values::Fixed { data, .. } => put_blob(out, data),
    }
}

fn read_column(cursor: &mut Cursor<'_>, row_count: usize) -> Result<(u32, Column)> {
    let id = cursor.u32()?;
    let [kind, element, flags, zero] = [cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?];
    let width = cursor.u32()? as usize;
    cursor.align()?;
    if flags & !COLUMN_FLAG_VALIDITY != 0 || zero != 0 {
        return Err(cursor.damaged("a column's flags are unknown"));
    }
    let validity = if flags & COLUMN_FLAG_VALIDITY == 0 {
        None
    } else {
        let words = cursor.numbers(row_count.div_ceil(64), u64::from_le_bytes)?;
        let bits = Bits::from_words(words, row_count);
        Some(bits.ok_or_else(|| cursor.damaged("validity has bits above its rows"))?)
    };
    let values = match kind {
        KIND_ARRAY => {
            let offsets = cursor.offsets(row_count)?;
            let count = cursor.length_of(offsets.last().copied())?;
            Values::Array { offsets, elements: Box::new(read_values(cursor, element, count)?) }
        }
        KIND_FIXED => {
            let bytes = row_count.checked_mul(width).filter(|_| width > 0);
            let bytes = bytes.ok_or_else(|| cursor.damaged("a vector width is impossible"))?;
            Values::Fixed { width, data: cursor.blob(bytes)?.to_vec() }
        }
        _ => read_values(cursor, kind, row_count)?,
    };
    Ok((id, Column { values, validity }))
}

fn read_values(cursor: &mut Cursor<'_>, kind: u8, count: usize) -> Result<Values> {
    Ok(match kind {
        KIND_BOOL => {
            let bytes = cursor.blob(count)?;
            if bytes.iter().any(|&byte| byte > 1) {
                return Err(cursor.damaged("a bool is neither 0 nor 1"));
            }
            Values::Bool(bytes.iter().map(|&byte| byte == 1).collect())
        }
        KIND_INT32 => Values::Int32(cursor.numbers(count, i32::from_le_bytes)?),
        KIND_INT64 => Values::Int64(cursor.numbers(count, i64::from_le_bytes)?),
        KIND_FLOAT => Values::Float(cursor.numbers(count, f32::from_le_bytes)?),
        KIND_DOUBLE => Values::Double(cursor.numbers(count, f64::from_le_bytes)?),
        KIND_BYTES => Values::Bytes(cursor.var_bytes(count)?),
        _ => return Err(cursor.damaged(&format!("column kind {kind} is unknown"))),
    })
}

/// The column must be of the field's kind, so that nothing behind the decoder meets a surprise.
fn check_column(cursor: &Cursor<'_>, field: &Field, column: &Column) -> Result<()> {
    if !column.values.same_kind(&Values::empty(field)) {
        return Err(cursor.damaged(&format!("the column of field {} is of another type", field.name)));
    }
    let text_is_utf8 = match &column.values {
        Values::Bytes(rows) if field.data_type.is_vector() => return rows.iter().try_for_each(check_sparse_row),
        Values::Bytes(_) if field.data_type == DataType::Geometry => true,
        Values::Bytes(strings) => utf8_by_row(strings),
        Values::Array { elements, .. } => match elements.as_ref() {
            Values::Bytes(strings) => utf8_by_row(strings),
            _ => true,
        },
        _ => true,
    };
    if text_is_utf8 { Ok(()) } else { Err(cursor.damaged(&format!("field {} is not UTF-8", field.name))) }
}

/// Whole UTF-8 and no row starts inside a character.
fn utf8_by_row(strings: &crate::column::VarBytes) -> bool {
    std::str::from_utf8(&strings.data)
        .is_ok_and(|text| strings.offsets.iter().all(|&offset| text.is_char_boundary(offset as usize)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fixture::{any_batch, every_type, schema_of};

    #[test]
    fn a_field_added_later_reads_as_its_default_or_null_and_a_dropped_one_is_gone() {
        let older = schema_of(&[(100, "id", 5, json!({})), (101, "gone", 1, json!({}))]);
        let newer = schema_of(&[
            (100, "id", 5, json!({})),
            (102, "rank", 4, json!({ "defaultValue": "9" })),
            (103, "note", 21, json!({ "nullable": true })),
            (104, "$meta", 23, json!({ "nullable": true, "dynamic": true })),
        ]);
        let batch = Batch {
            row_count: 2,
            columns: vec![
                Column { values: Values::Int64(vec![1, 2]), validity: None },
                Column { values: Values::Bool(vec![true, false]), validity: None },
            ],
        };
        let read = decode_batch(&newer, &encode_batch(&older, &batch)).unwrap();
        assert_eq!(read.columns[1].values, Values::Int32(vec![9, 9]));
        assert!(!read.columns[2].is_valid(0));
        let Values::Bytes(objects) = &read.columns[3].values else { panic!("no documents") };
        assert_eq!(objects.get(1), b"{}");
    }

    #[test]
    fn a_column_of_another_type_is_refused() {
        let schema = every_type();
        let column = Column { values: Values::Bool(vec![true]), validity: None };
        let rows = FieldRows { row_count: 1, positions: Vec::new(), columns: vec![(100, column)] };
        assert!(FieldRows::decode(&schema, &rows.encode()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn decoding_gives_back_what_was_encoded(batch in any_batch(0..20)) {
            let schema = every_type();
            let bytes = encode_batch(&schema, &batch);
            prop_assert_eq!(bytes.len() % 8, 0);
            prop_assert_eq!(decode_batch(&schema, &bytes).unwrap(), batch.clone());
            let keys = Keys::of_column(&batch.columns[schema.primary_position()]).unwrap();
            prop_assert_eq!(decode_keys(&schema, &bytes).unwrap().encode(), keys.encode());
        }

        #[test]
        fn damaged_bytes_never_panic_and_cut_ones_are_refused(
            batch in any_batch(1..6),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let schema = every_type();
            let mut bytes = encode_batch(&schema, &batch);
            prop_assert!(decode_batch(&schema, &bytes[..cut.index(bytes.len())]).is_err());
            for (at, to) in damage {
                let i = at.index(bytes.len());
                bytes[i] = to;
            }
            if let Ok(read) = decode_batch(&schema, &bytes) {
                // What is accepted is whole: every later reader may walk it.
                let rows: Vec<u32> = (0..read.row_count as u32).collect();
                prop_assert_eq!(read.gather(&rows).row_count, read.row_count);
                prop_assert!(read.columns.iter().all(|column| column.len() == read.row_count));
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let schema = every_type();
            let _ = decode_batch(&schema, &bytes);
            let _ = decode_keys(&schema, &[b"EROW\x01\x00\x00\x00", bytes.as_slice()].concat());
            let _ = decode_batch(&schema, &[b"EROW\x01\x00\x00\x00", bytes.as_slice()].concat());
        }

        #[test]
        fn gathered_and_joined_columns_are_what_rows_say(
            batch in any_batch(1..12),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let rows: Vec<u32> = picks.iter().map(|pick| pick.index(batch.row_count) as u32).collect();
            let gathered = batch.gather(&rows);
            let mut joined = Batch::empty(&every_type());
            for &row in &rows {
                joined.append(&batch.gather(&[row])).unwrap();
            }
            prop_assert_eq!(gathered.row_count, joined.row_count);
            for (a, b) in gathered.columns.iter().zip(&joined.columns) {
                prop_assert_eq!(&a.values, &b.values);
                prop_assert!((0..a.len()).all(|row| a.is_valid(row) == b.is_valid(row)));
            }
        }
    }
}
