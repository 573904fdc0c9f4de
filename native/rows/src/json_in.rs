//! Rows and query vectors from JSON (contract/rest.md 9, 11).

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use crate::answer::{Members, write_object};
use crate::checks::refused_dynamic_key;
use crate::column::{Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::field_data::{Payload, narrowed};
use crate::ingest::{BatchBuilder, Ingested, WriteOptions};
use crate::json_out::from_base64;
use crate::placeholders;
use crate::schema::{DataType, Field, Schema};

/// Checks and columnises a JSON array of row objects (or one object).
///
/// # Errors
/// `InvalidParameter` that names what is wrong, in Milvus's words where it has some.
pub fn from_json(schema: &Schema, json: &[u8], options: WriteOptions) -> Result<Ingested> {
    let rows = parse_rows(json)?;
    if rows.is_empty() {
        return Err(invalid("the rows of a write are empty".to_owned()));
    }
    let positions: HashMap<&str, usize> =
        schema.fields.iter().enumerate().map(|(i, field)| (field.name.as_str(), i)).collect();
    let mut columns: Vec<FieldColumn> = schema.fields.iter().map(FieldColumn::new).collect();
    for row in &rows {
        let mut slots: Vec<Option<&RawValue>> = vec![None; columns.len()];
        let mut dynamic = Vec::new();
        for (name, value) in &row.0 {
            match positions.get(name.as_str()) {
                Some(&position) if !schema.fields[position].dynamic => slots[position] = Some(*value),
                _ => dynamic.push((name.clone(), *value)),
            }
        }
        let dynamic = dynamic_object(schema, dynamic)?;
        for (column, slot) in columns.iter_mut().zip(slots) {
            if column.field.dynamic { column.push_object(&dynamic) } else { column.push(slot)? }
        }
    }
    let mut builder = BatchBuilder::new(schema, rows.len(), options);
    for column in columns {
        let field = column.field;
        builder.add(field, column.finish()?)?;
    }
    builder.finish()
}

/// The `PlaceholderGroup` message of JSON query vectors.
///
/// # Errors
/// `InvalidParameter` when a vector does not fit the field.
pub fn placeholders_from_json(field: &Field, json: &[u8]) -> Result<Vec<u8>> {
    let vectors: Vec<&RawValue> =
        serde_json::from_slice(json).map_err(|_| invalid("the query vectors are not a JSON array".to_owned()))?;
    if !field.data_type.is_vector() {
        return Err(invalid(format!("field {} is not a vector field", field.name)));
    }
    let mut encoded = VarBytes::default();
    for vector in vectors {
        encoded.push(&vector_bytes(field, vector)?);
    }
    Ok(placeholders::encode(field, &encoded))
}

fn invalid(message: String) -> NativeError {
    NativeError::InvalidParameter(message)
}

fn parse_rows(json: &[u8]) -> Result<Vec<Members<'_>>> {
    let one = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let rows = if one { serde_json::from_slice(json).map(|row| vec![row]) } else { serde_json::from_slice(json) };
    rows.map_err(|error| invalid(format!("rows must be JSON objects: {error}")))
}

/// The keys that are no fields, as the `$meta` document.
fn dynamic_object(schema: &Schema, members: Vec<(String, &RawValue)>) -> Result<Vec<u8>> {
    let Some(first) = members.first() else { return Ok(b"{}".to_vec()) };
    if !schema.fields.iter().any(|field| field.dynamic) {
        return Err(invalid(format!("has pass more field without dynamic schema, please check it: {}", first.0)));
    }
    if let Some((name, _)) = members.iter().find(|(name, _)| refused_dynamic_key(schema, name).is_some()) {
        return Err(invalid(format!("use the invalid field name({name}) when enable dynamicField")));
    }
    let kept: Vec<_> = members.into_iter().filter(|(_, value)| !is_null(value)).collect();
    Ok(write_object(&kept))
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// One field's values over the rows: only those that were given, and which.
struct FieldColumn<'s> {
    field: &'s Field,
    values: Values,
    given: Vec<bool>,
}

impl<'s> FieldColumn<'s> {
    fn new(field: &'s Field) -> Self {
        Self { field, values: Values::empty(field), given: Vec::new() }
    }

    fn push_object(&mut self, object: &[u8]) {
        if let Values::Bytes(objects) = &mut self.values {
            objects.push(object);
            self.given.push(true);
        }
    }

    fn push(&mut self, value: Option<&RawValue>) -> Result<()> {
        let value = value.filter(|value| !is_null(value));
        self.given.push(value.is_some());
        value.map_or(Ok(()), |value| push_value(self.field, self.field.data_type, &mut self.values, value))
    }

    fn finish(self) -> Result<Option<Payload>> {
        let optional = self.field.nullable || self.field.default_value.is_some();
        let missing = self.given.contains(&false);
        if missing && !optional && (self.field.data_type.is_vector() || self.given.contains(&true)) {
            let kind = if self.field.data_type.is_vector() { "vector " } else { "" };
            return Err(invalid(format!("missing {kind}field: {}", self.field.name)));
        }
        if !self.given.contains(&true) {
            return Ok(None);
        }
        Ok(Some(Payload { values: self.values, valid: missing.then_some(self.given) }))
    }
}

fn unfit(field: &Field, value: &RawValue) -> NativeError {
    const SHOWN_CHARS: usize = 64;
    let shown: String = value.get().chars().take(SHOWN_CHARS).collect();
    invalid(format!("field {}: cannot use {shown} as {:?}", field.name, field.data_type))
}

fn push_value(field: &Field, data_type: DataType, values: &mut Values, value: &RawValue) -> Result<()> {
    let fits = |fits: bool| if fits { Ok(()) } else { Err(unfit(field, value)) };
    let text = value.get();
    match values {
        Values::Bool(v) => fits(boolean(text).map(|value| v.push(value)).is_some()),
        Values::Int32(v) => {
            let number = integer(text).ok_or_else(|| unfit(field, value))?;
            let narrow = i32::try_from(number).ok().filter(|&number| fits_integer(data_type, number));
            v.push(narrow.ok_or_else(|| out_of_range(data_type, number, v.len()))?);
            Ok(())
        }
        Values::Int64(v) => fits(integer(text).map(|value| v.push(value)).is_some()),
        Values::Float(v) => fits(number(text).map(|value| v.push(value as f32)).is_some()),
        Values::Double(v) => fits(number(text).map(|value| v.push(value)).is_some()),
        Values::Bytes(v) if data_type == DataType::Json => {
            v.push(text.as_bytes());
            Ok(())
        }
        Values::Bytes(v) if matches!(data_type, DataType::VarChar | DataType::Geometry) => {
            fits(string(text).map(|value| v.push(value.as_bytes())).is_some())
        }
        Values::Bytes(v) => {
            v.push(&vector_bytes(field, value)?);
            Ok(())
        }
        Values::Array { offsets, elements } => {
            let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| unfit(field, value))?;
            let element_type = field.element_type.unwrap_or(DataType::Int64);
            list.into_iter().try_for_each(|element| push_value(field, element_type, elements, element))?;
            offsets.push(elements.len() as u64);
            Ok(())
        }
        Values::Fixed { data, .. } => {
            data.extend_from_slice(&vector_bytes(field, value)?);
            Ok(())
        }
    }
}

fn fits_integer(data_type: DataType, value: i32) -> bool {
    match data_type {
        DataType::Int8 => i8::try_from(value).is_ok(),
        DataType::Int16 => i16::try_from(value).is_ok(),
        _ => true,
    }
}

fn out_of_range(data_type: DataType, value: i64, at: usize) -> NativeError {
    let (low, high) = match data_type {
        DataType::Int8 => (i32::from(i8::MIN), i32::from(i8::MAX)),
        DataType::Int16 => (i32::from(i16::MIN), i32::from(i16::MAX)),
        _ => (i32::MIN, i32::MAX),
    };
    NativeError::Unexpected {
        message: format!("the {at}th element ({value}) out of range: [{low}, {high}]"),
        expected: "integer doesn't overflow".to_owned(),
        actual: "out of range".to_owned(),
    }
}

/// The content of a JSON string, or a number literal as its text.
fn string(text: &str) -> Option<String> {
    if text.starts_with('"') {
        return serde_json::from_str(text).ok();
    }
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number.then(|| text.to_owned())
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim_matches('"') {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// An integer literal or string; a float literal without a fraction is one too.
fn integer(text: &str) -> Option<i64> {
    let text = string(text)?;
    text.parse().ok().or_else(|| {
        let float: f64 = text.parse().ok()?;
        let exact = float.fract() == 0.0 && float.abs() < 9.0e15;
        exact.then_some(float as i64)
    })
}

fn number(text: &str) -> Option<f64> {
    string(text)?.trim().parse().ok()
}

/// One vector in the field's own element type.
fn vector_bytes(field: &Field, value: &RawValue) -> Result<Vec<u8>> {
    let text = value.get();
    let bytes = match field.data_type {
        DataType::SparseFloatVector => return sparse_row(text).ok_or_else(|| unfit(field, value)),
        _ if text.starts_with('"') => {
            let decoded = if field.data_type == DataType::FloatVector { None } else { string(text) };
            decoded.and_then(|text| from_base64(&text))
        }
        DataType::FloatVector => float_bytes(text),
        DataType::Float16Vector | DataType::BFloat16Vector => {
            float_bytes(text).map(|floats| narrowed(field.data_type, &floats))
        }
        DataType::Int8Vector => {
            serde_json::from_str::<Vec<i8>>(text).ok().map(|elements| elements.iter().map(|&e| e as u8).collect())
        }
        _ => serde_json::from_str::<Vec<u8>>(text).ok(),
    };
    let bytes = bytes.ok_or_else(|| unfit(field, value))?;
    let expected = field.data_type.vector_width(field.dim).unwrap_or(0);
    if bytes.len() == expected {
        return Ok(bytes);
    }
    let actual = bytes.len() * field.dim / expected.max(1);
    Err(NativeError::Unexpected {
        message: format!("the dim ({actual}) of field data({}) is not equal to schema dim ({})", field.name, field.dim),
        expected: field.dim.to_string(),
        actual: actual.to_string(),
    })
}

fn float_bytes(text: &str) -> Option<Vec<u8>> {
    let floats: Vec<f32> = serde_json::from_str(text).ok()?;
    Some(floats.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// `{"12": 0.5}` or `{"indices": [12], "values": [0.5]}`, to ascending pairs.
fn sparse_row(text: &str) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Lists {
        indices: Vec<u32>,
        values: Vec<f32>,
    }
    let pairs: BTreeMap<u32, f32> = match serde_json::from_str::<Lists>(text) {
        Ok(lists) if lists.indices.len() == lists.values.len() => {
            let count = lists.indices.len();
            let pairs: BTreeMap<u32, f32> = lists.indices.into_iter().zip(lists.values).collect();
            Some(pairs).filter(|pairs| pairs.len() == count)?
        }
        _ => {
            let members: HashMap<String, f32> = serde_json::from_str(text).ok()?;
            members.into_iter().map(|(index, value)| Some((index.parse().ok()?, value))).collect::<Option<_>>()?
        }
    };
    Some(pairs.iter().flat_map(|(index, value)| [index.to_le_bytes(), value.to_le_bytes()]).flatten().collect())
}
