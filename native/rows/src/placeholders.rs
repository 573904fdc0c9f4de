//! Milvus `PlaceholderGroup` messages: the query vectors of a search (contract/grpc.md 5.8).

use crate::checks::{check_sparse_row, check_values};
use crate::column::{Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::field_data::narrowed;
use crate::proto::{Reader, Writer, malformed};
use crate::schema::{DataType, Field, Schema};

const TEXT: u64 = DataType::VarChar as u64;

/// Query vectors, one string each, in the field's own element type.
///
/// # Errors
/// `InvalidParameter` when the message or a vector does not fit the field.
pub fn decode(schema: &Schema, field: &Field, message: &[u8]) -> Result<VarBytes> {
    let (kind, sent) = read_group(message)?;
    if !field.data_type.is_vector() {
        return Err(invalid(format!("field {} is not a vector field", field.name)));
    }
    check_kind(field, kind)?;
    let widens = kind != field.data_type as u64;
    let Some(width) = field.data_type.vector_width(field.dim) else {
        sent.iter().try_for_each(check_sparse_row)?;
        return Ok(sent);
    };
    let expected = if widens { width * 2 } else { width };
    for vector in sent.iter() {
        if vector.len() != expected {
            let actual = vector.len();
            return Err(invalid(format!(
                "vector dimension mismatch, expected vector size(byte) {expected}, actual {actual}"
            )));
        }
    }
    let data = if widens { narrowed(field.data_type, &sent.data) } else { sent.data };
    let values = Values::Fixed { width, data };
    check_values(schema, field, &values)?;
    let Values::Fixed { data, .. } = values else { return Ok(VarBytes::default()) };
    Ok(VarBytes { offsets: (0..=data.len() / width).map(|i| (i * width) as u64).collect(), data })
}

fn invalid(message: String) -> NativeError {
    NativeError::InvalidParameter(message)
}

fn check_kind(field: &Field, kind: u64) -> Result<()> {
    let half = matches!(field.data_type, DataType::Float16Vector | DataType::BFloat16Vector);
    if kind == field.data_type as u64 || (half && kind == DataType::FloatVector as u64) {
        return Ok(());
    }
    let what = if kind == TEXT { "text".to_owned() } else { kind_name(kind) };
    Err(invalid(format!(
        "vector type must be the same, field {} has type {:?}, search data type {what}",
        field.name, field.data_type
    )))
}

fn kind_name(kind: u64) -> String {
    let known = u32::try_from(kind).ok().and_then(DataType::from_number);
    known.map_or_else(|| kind.to_string(), |data_type| format!("{data_type:?}"))
}

/// Type number and values of the one placeholder.
fn read_group(message: &[u8]) -> Result<(u64, VarBytes)> {
    let mut reader = Reader::new(message);
    let mut found = None;
    while let Some((number, wire)) = reader.field()? {
        if number == 1 && found.replace(wire.bytes()?).is_some() {
            return Err(invalid("please provide exactly one placeholder".to_owned()));
        }
    }
    let mut reader = Reader::new(found.ok_or_else(|| malformed("it holds no placeholder"))?);
    let mut kind = 0;
    let mut values = VarBytes::default();
    while let Some((number, wire)) = reader.field()? {
        match number {
            2 => kind = wire.varint()?,
            3 => values.push(wire.bytes()?),
            _ => {}
        }
    }
    Ok((kind, values))
}

/// A `PlaceholderGroup` message of vectors in the field's own element type.
#[must_use]
pub fn encode(field: &Field, vectors: &VarBytes) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(1, |placeholder| {
        placeholder.text(1, "$0");
        placeholder.varint(2, field.data_type as u64);
        vectors.iter().for_each(|vector| placeholder.bytes(3, vector));
    });
    writer.finish()
}
