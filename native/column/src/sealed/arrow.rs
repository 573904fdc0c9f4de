//! Columns to Arrow arrays and back.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListArray, StringArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as ArrowType, Field as ArrowField};
use elanus_rows::column::{Bits, Column, Values, VarBytes};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::schema::{DataType, Field};

/// Key of the field id in Arrow's field metadata, as the Parquet crate reads and writes it.
const FIELD_ID: &str = "PARQUET:field_id";

/// Arrow's face of a field; vectors do not come here.
pub(crate) fn arrow_field(field: &Field) -> ArrowField {
    let data_type = match field.data_type {
        DataType::Array => {
            let element = element_type(field.element_type.unwrap_or(DataType::Int64));
            ArrowType::List(Arc::new(ArrowField::new("element", element, false)))
        }
        scalar => element_type(scalar),
    };
    let id = [(FIELD_ID.to_owned(), field.id.to_string())];
    ArrowField::new(&field.name, data_type, field.nullable).with_metadata(id)
}

/// The field id that `arrow_field` left.
pub(crate) fn field_id(field: &ArrowField) -> Option<u32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

fn element_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar | DataType::Json => ArrowType::Utf8,
        _ => ArrowType::Binary,
    }
}

/// Rows `from..to` of a column as an array of the field's Arrow type.
pub(crate) fn to_arrow(field: &Field, column: &Column, from: usize, to: usize) -> Result<ArrayRef> {
    let nulls = column
        .validity
        .as_ref()
        .filter(|_| field.nullable)
        .map(|bits| NullBuffer::new(BooleanBuffer::collect_bool(to - from, |i| bits.get(from + i))));
    match &column.values {
        Values::Array { offsets, elements } => {
            let (first, last) = (offsets[from] as usize, offsets[to] as usize);
            let element = field.element_type.unwrap_or(DataType::Int64);
            let item = Arc::new(ArrowField::new("element", element_type(element), false));
            let values = scalars_to_arrow(element, elements, first, last, None)?;
            let array = ListArray::try_new(item, offset_buffer(&offsets[from..=to])?, values, nulls);
            Ok(Arc::new(array.map_err(|e| NativeError::Internal(format!("array column: {e}")))?))
        }
        values => scalars_to_arrow(field.data_type, values, from, to, nulls),
    }
}

fn scalars_to_arrow(
    data_type: DataType,
    values: &Values,
    from: usize,
    to: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    Ok(match (data_type, values) {
        (_, Values::Bool(v)) => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(to - from, |i| v[from + i]), nulls))
        }
        (DataType::Int8, Values::Int32(v)) => {
            Arc::new(Int8Array::new(v[from..to].iter().map(|&x| x as i8).collect(), nulls))
        }
        (DataType::Int16, Values::Int32(v)) => {
            Arc::new(Int16Array::new(v[from..to].iter().map(|&x| x as i16).collect(), nulls))
        }
        (_, Values::Int32(v)) => Arc::new(Int32Array::new(v[from..to].to_vec().into(), nulls)),
        (_, Values::Int64(v)) => Arc::new(Int64Array::new(v[from..to].to_vec().into(), nulls)),
        (_, Values::Float(v)) => Arc::new(Float32Array::new(v[from..to].to_vec().into(), nulls)),
        (_, Values::Double(v)) => Arc::new(Float64Array::new(v[from..to].to_vec().into(), nulls)),
        (DataType::VarChar | DataType::Json, Values::Bytes(v)) => {
            let (offsets, data) = strings(v, from, to)?;
            let array = StringArray::try_new(offsets, data.into(), nulls);
            Arc::new(array.map_err(|e| NativeError::Internal(format!("text column: {e}")))?)
        }
        (_, Values::Bytes(v)) => {
            let (offsets, data) = strings(v, from, to)?;
            let array = BinaryArray::try_new(offsets, data.into(), nulls);
            Arc::new(array.map_err(|e| NativeError::Internal(format!("binary column: {e}")))?)
        }
        (_, Values::Array { .. } | Values::Fixed { .. }) => {
            return Err(NativeError::Internal(format!("{data_type:?} is no scalar")));
        }
    })
}

fn strings(values: &VarBytes, from: usize, to: usize) -> Result<(OffsetBuffer<i32>, Vec<u8>)> {
    let (first, last) = (values.offsets[from] as usize, values.offsets[to] as usize);
    Ok((offset_buffer(&values.offsets[from..=to])?, values.data[first..last].to_vec()))
}

fn offset_buffer(offsets: &[u64]) -> Result<OffsetBuffer<i32>> {
    let first = offsets[0];
    let narrow: std::result::Result<Vec<i32>, _> = offsets.iter().map(|&at| i32::try_from(at - first)).collect();
    let narrow = narrow.map_err(|_| NativeError::ParameterTooLarge("one block of strings above 2 GiB".into()))?;
    Ok(OffsetBuffer::new(narrow.into()))
}

/// Puts an array behind a column of the same field. The array's type comes from a file, so it is checked.
pub(crate) fn append_arrow(field: &Field, column: &mut Column, array: &dyn Array) -> std::result::Result<(), String> {
    let expected = arrow_field(field);
    if !same_type(array.data_type(), expected.data_type()) {
        return Err(format!("column {} is {}, not {}", field.name, array.data_type(), expected.data_type()));
    }
    let before = column.len();
    if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        let validity = column.validity.get_or_insert_with(|| Bits::with_value(before, true));
        nulls.iter().for_each(|valid| validity.push(valid));
    } else if let Some(validity) = &mut column.validity {
        (0..array.len()).for_each(|_| validity.push(true));
    }
    append_values(&mut column.values, array)?;
    if let Some(validity) = &column.validity {
        clear_nulls(&mut column.values, validity, before);
    }
    Ok(())
}

/// Null slots hold zero in memory, and anything in an array.
fn clear_nulls(values: &mut Values, validity: &Bits, from: usize) {
    fn clear<T: Default>(values: &mut [T], validity: &Bits, from: usize) {
        let slots = values.iter_mut().enumerate().skip(from);
        slots.filter(|(i, _)| !validity.get(*i)).for_each(|(_, slot)| *slot = T::default());
    }
    match values {
        Values::Bool(v) => clear(v, validity, from),
        Values::Int32(v) => clear(v, validity, from),
        Values::Int64(v) => clear(v, validity, from),
        Values::Float(v) => clear(v, validity, from),
        Values::Double(v) => clear(v, validity, from),
        Values::Bytes(_) | Values::Array { .. } | Values::Fixed { .. } => {}
    }
}

/// List items may differ in name only.
fn same_type(a: &ArrowType, b: &ArrowType) -> bool {
    match (a, b) {
        (ArrowType::List(a), ArrowType::List(b)) => a.data_type() == b.data_type(),
        _ => a == b,
    }
}

fn append_values(values: &mut Values, array: &dyn Array) -> std::result::Result<(), String> {
    match (values, array.data_type()) {
        (Values::Bool(out), ArrowType::Boolean) => out.extend(array.as_boolean().values().iter()),
        (Values::Int32(out), ArrowType::Int8) => {
            out.extend(array.as_primitive::<Int8Type>().values().iter().map(|&x| i32::from(x)));
        }
        (Values::Int32(out), ArrowType::Int16) => {
            out.extend(array.as_primitive::<Int16Type>().values().iter().map(|&x| i32::from(x)));
        }
        (Values::Int32(out), ArrowType::Int32) => out.extend_from_slice(array.as_primitive::<Int32Type>().values()),
        (Values::Int64(out), ArrowType::Int64) => out.extend_from_slice(array.as_primitive::<Int64Type>().values()),
        (Values::Float(out), ArrowType::Float32) => {
            out.extend_from_slice(array.as_primitive::<Float32Type>().values());
        }
        (Values::Double(out), ArrowType::Float64) => {
            out.extend_from_slice(array.as_primitive::<Float64Type>().values());
        }
        (Values::Bytes(out), ArrowType::Utf8) => {
            let array = array.as_string::<i32>();
            append_strings(out, array.value_offsets(), array.value_data());
        }
        (Values::Bytes(out), ArrowType::Binary) => {
            let array = array.as_binary::<i32>();
            append_strings(out, array.value_offsets(), array.value_data());
        }
        (Values::Array { offsets, elements }, ArrowType::List(_)) => {
            let list = array.as_list::<i32>();
            let starts = list.value_offsets();
            let (first, last) = (starts[0] as usize, starts[starts.len() - 1] as usize);
            let base = offsets[offsets.len() - 1];
            offsets.extend(starts[1..].iter().map(|&at| base + (at as usize - first) as u64));
            append_values(elements, &*list.values().slice(first, last - first))?;
        }
        (_, other) => return Err(format!("a column of type {other} does not fit")),
    }
    Ok(())
}

fn append_strings(out: &mut VarBytes, offsets: &[i32], data: &[u8]) {
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    let base = out.data.len() as u64;
    out.data.extend_from_slice(&data[first..last]);
    out.offsets.extend(offsets[1..].iter().map(|&at| base + (at as usize - first) as u64));
}
