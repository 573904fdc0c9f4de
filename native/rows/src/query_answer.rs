//! Answers of queries: one `FieldData` message per column (contract/grpc.md 5.11) or JSON rows.

use crate::answer::{joined, keys_of, pick_dynamic, shown_fields};
use crate::batch_codec::FieldRows;
use crate::column::{Column, Values};
use crate::error::Result;
use crate::field_data::{Label, write_field_data};
use crate::json_out::RowWriter;
use crate::keys::Keys;
use crate::proto::Writer;
use crate::schema::{DataType, Field, Schema};

/// How a query's answer is cut and written.
#[derive(Clone, Debug, Default)]
pub struct QueryEncoding {
    /// Ids of the fields to show, in order.
    pub fields: Vec<u32>,
    /// Keys to pick from `$meta`; empty: all.
    pub dynamic_keys: Vec<String>,
    pub offset: usize,
    pub limit: Option<usize>,
    /// JSON: 64-bit integers as text.
    pub int64_as_text: bool,
}

/// The parts' rows by ascending key, cut, as columns of the asked fields.
fn merged<'s>(
    schema: &'s Schema,
    parts: &[FieldRows],
    encoding: &QueryEncoding,
) -> Result<(Vec<&'s Field>, Vec<Column>)> {
    let fields = shown_fields(schema, &encoding.fields)?;
    let rows = rows_by_key(&keys_of(schema, parts)?, encoding.offset, encoding.limit);
    let columns = joined(&fields, parts)?.into_iter().zip(&fields).map(|(column, field)| {
        let column = column.gather(&rows);
        if field.dynamic { pick_dynamic(column, &encoding.dynamic_keys) } else { column }
    });
    Ok((fields.clone(), columns.collect()))
}

/// Positions of the keys in ascending order, cut. The parts are sorted already: a stable sort only merges their runs.
fn rows_by_key(keys: &Keys, offset: usize, limit: Option<usize>) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..keys.len() as u32).collect();
    rows.sort_by(|&a, &b| keys.get(a as usize).cmp(&keys.get(b as usize)));
    rows.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect()
}

/// One `FieldData` message per asked field.
///
/// # Errors
/// `Internal` when the parts do not hold their keys.
pub fn encode_messages(schema: &Schema, parts: &[FieldRows], encoding: &QueryEncoding) -> Result<Vec<Vec<u8>>> {
    let (fields, columns) = merged(schema, parts, encoding)?;
    let message = |(field, column): (&&Field, &Column)| {
        let mut writer = Writer::default();
        write_field_data(&mut writer, Label::of(field), column);
        writer.finish()
    };
    Ok(fields.iter().zip(&columns).map(message).collect())
}

/// `[row, …]`.
///
/// # Errors
/// `Internal` when the parts do not hold their keys.
pub fn encode_json(schema: &Schema, parts: &[FieldRows], encoding: &QueryEncoding) -> Result<Vec<u8>> {
    let (fields, columns) = merged(schema, parts, encoding)?;
    let rows = RowWriter { fields: &fields, columns: &columns, int64_as_text: encoding.int64_as_text };
    let mut out = vec![b'['];
    for row in 0..columns.first().map_or(0, Column::len) {
        if row > 0 {
            out.push(b',');
        }
        rows.write(&mut out, row, None);
    }
    out.push(b']');
    Ok(out)
}

/// One Int64 `FieldData` message of one row.
#[must_use]
pub fn encode_count(name: &str, count: i64) -> Vec<u8> {
    let label = Label {
        name,
        field_id: 0,
        data_type: DataType::Int64,
        element_type: None,
        dim: 0,
        nullable: false,
        dynamic: false,
    };
    let mut writer = Writer::default();
    write_field_data(&mut writer, label, &Column { values: Values::Int64(vec![count]), validity: None });
    writer.finish()
}

/// An `IDs` message of the keys, in their order.
#[must_use]
pub fn encode_ids(keys: &Keys) -> Vec<u8> {
    let mut writer = Writer::default();
    crate::field_data::write_ids(&mut writer, &keys.clone().into_values());
    writer.finish()
}
