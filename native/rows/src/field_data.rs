//! Milvus `FieldData` messages (contract/grpc.md 5.1): one column of a request, parsed but not yet checked
//! against the row count; and the columns of answers.

use crate::column::{Column, Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::geometry;
use crate::proto::{Reader, Wire, Writer, malformed, read_fixed, read_varints};
use crate::schema::{DataType, Field};

/// Numbers of the oneof of `ScalarField`.
const SCALAR_VALID_DATA: u32 = 17;
const VECTOR_DIM: u32 = 1;
const VECTOR_FLOAT: u32 = 2;
const VECTOR_SPARSE: u32 = 6;
const VECTOR_VALID_DATA: u32 = 9;

/// The envelope of one column; the payload is still its message.
#[derive(Default)]
pub(crate) struct Sent<'a> {
    pub name: &'a str,
    pub field_id: i64,
    pub is_dynamic: bool,
    legacy_valid: Option<Vec<bool>>,
    scalars: Option<&'a [u8]>,
    vectors: Option<&'a [u8]>,
    structs: bool,
}

/// What a column's payload holds: only the valid rows where `valid` is given.
pub(crate) struct Payload {
    pub values: Values,
    pub valid: Option<Vec<bool>>,
}

impl<'a> Sent<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self> {
        let mut sent = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, wire)) = reader.field()? {
            match number {
                2 => sent.name = wire.text()?,
                3 => sent.scalars = Some(wire.bytes()?),
                4 => sent.vectors = Some(wire.bytes()?),
                5 => sent.field_id = wire.varint()? as i64,
                6 => sent.is_dynamic = wire.varint()? != 0,
                7 => read_varints(wire, sent.legacy_valid.get_or_insert_default(), |value| value != 0)?,
                8 => sent.structs = true,
                _ => {}
            }
        }
        Ok(sent)
    }

    /// Reads the payload as the field's type.
    pub(crate) fn payload(self, field: &Field) -> Result<Payload> {
        if self.structs {
            return Err(mismatch(field, "struct array"));
        }
        let mut values = Values::empty(field);
        let mut nested = None;
        if field.data_type.is_vector() {
            if let Some(message) = self.vectors {
                values = read_vectors(field, message, &mut nested)?;
            } else if self.scalars.is_some() {
                return Err(mismatch(field, "scalars"));
            }
        } else if let Some(message) = self.scalars {
            read_scalars(field, field.data_type, message, &mut values, &mut nested)?;
        } else if self.vectors.is_some() {
            return Err(mismatch(field, "vectors"));
        }
        let [legacy, nested] = [self.legacy_valid, nested].map(|valid| valid.filter(|rows| !rows.is_empty()));
        if legacy.is_some() && nested.is_some() && legacy != nested {
            let message = format!("field {} has different legacy and field-specific valid_data", field.name);
            return Err(NativeError::InvalidParameter(message));
        }
        Ok(Payload { values, valid: legacy.or(nested) })
    }
}

/// Milvus's words for a payload of another type than the field's.
fn mismatch(field: &Field, actual: &str) -> NativeError {
    let kind = kind_name(field.data_type);
    NativeError::Unexpected {
        message: format!("{kind} field '{}' is illegal, array type mismatch", field.name),
        expected: format!("need {kind} array"),
        actual: format!("got {actual}"),
    }
}

fn kind_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "bool",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int",
        DataType::Int64 => "long",
        DataType::Float => "float",
        DataType::Double => "double",
        DataType::VarChar => "varchar",
        DataType::Array => "array",
        DataType::Json => "json",
        DataType::Geometry => "geometry",
        DataType::BinaryVector => "binary vector",
        DataType::FloatVector => "float vector",
        DataType::Float16Vector => "float16 vector",
        DataType::BFloat16Vector => "bfloat16 vector",
        DataType::SparseFloatVector => "sparse float vector",
        DataType::Int8Vector => "int8 vector",
    }
}

/// Number of the type in the oneof of `ScalarField` or `VectorField`.
fn oneof_number(data_type: DataType) -> u32 {
    match data_type {
        DataType::Bool => 1,
        DataType::Int8 | DataType::Int16 | DataType::Int32 => 2,
        DataType::Int64 => 3,
        DataType::Float => 4,
        DataType::Double => 5,
        DataType::VarChar => 6,
        DataType::Array => 8,
        DataType::Json => 9,
        // As WKT.
        DataType::Geometry => 12,
        DataType::FloatVector => VECTOR_FLOAT,
        DataType::BinaryVector => 3,
        DataType::Float16Vector => 4,
        DataType::BFloat16Vector => 5,
        DataType::SparseFloatVector => VECTOR_SPARSE,
        DataType::Int8Vector => 7,
    }
}

/// Appends the values of a `ScalarField` message of the given type.
fn read_scalars(
    field: &Field,
    data_type: DataType,
    message: &[u8],
    values: &mut Values,
    valid: &mut Option<Vec<bool>>,
) -> Result<()> {
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        if number == oneof_number(data_type) {
            read_scalar_array(field, wire.bytes()?, values)?;
        } else if number == SCALAR_VALID_DATA {
            read_varints(wire, valid.get_or_insert_default(), |value| value != 0)?;
        } else if number < SCALAR_VALID_DATA {
            return Err(mismatch(field, "another type"));
        }
    }
    Ok(())
}

/// Appends what stands in field 1 of `BoolArray`, `IntArray`, …: all of them have that form.
fn read_scalar_array(field: &Field, message: &[u8], values: &mut Values) -> Result<()> {
    let mut reader = Reader::new(message);
    let mut fixed = Vec::new();
    while let Some((number, wire)) = reader.field()? {
        if number != 1 {
            continue;
        }
        match values {
            Values::Bool(v) => read_varints(wire, v, |value| value != 0)?,
            Values::Int32(v) => read_varints(wire, v, |value| value as i32)?,
            Values::Int64(v) => read_varints(wire, v, |value| value as i64)?,
            Values::Float(_) => read_fixed(wire, 4, &mut fixed)?,
            Values::Double(_) => read_fixed(wire, 8, &mut fixed)?,
            Values::Bytes(v) => v.push(wire.bytes()?),
            Values::Array { offsets, elements } => {
                let element_type = field.element_type.unwrap_or(DataType::Int64);
                read_scalars(field, element_type, wire.bytes()?, elements, &mut None)?;
                offsets.push(elements.len() as u64);
            }
            Values::Fixed { .. } => return Err(mismatch(field, "scalars")),
        }
    }
    match values {
        Values::Float(v) => v.extend(fixed.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
        Values::Double(v) => v.extend(fixed.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes))),
        _ => {}
    }
    Ok(())
}

fn read_vectors(field: &Field, message: &[u8], valid: &mut Option<Vec<bool>>) -> Result<Values> {
    let expected = oneof_number(field.data_type);
    let converts = matches!(field.data_type, DataType::Float16Vector | DataType::BFloat16Vector);
    let mut dim = 0;
    let mut data = Vec::new();
    let mut sparse = VarBytes::default();
    let mut converted = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, wire)) = reader.field()? {
        match number {
            VECTOR_DIM => dim = wire.varint()?,
            VECTOR_VALID_DATA => read_varints(wire, valid.get_or_insert_default(), |value| value != 0)?,
            VECTOR_SPARSE if expected == VECTOR_SPARSE => read_strings(wire, &mut sparse)?,
            VECTOR_FLOAT if expected == VECTOR_FLOAT => read_floats(wire, &mut data)?,
            VECTOR_FLOAT if converts => read_floats(wire, &mut converted)?,
            number if number == expected => data.extend_from_slice(wire.bytes()?),
            2..VECTOR_VALID_DATA => return Err(mismatch(field, "another type")),
            _ => {}
        }
    }
    let Some(width) = field.data_type.vector_width(field.dim) else { return Ok(Values::Bytes(sparse)) };
    if !converted.is_empty() {
        data.append(&mut narrowed(field.data_type, &converted));
    }
    check_dim(field, dim, &data, width)?;
    Ok(Values::Fixed { width, data })
}

fn read_floats(wire: Wire<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mut reader = Reader::new(wire.bytes()?);
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            read_fixed(wire, 4, out)?;
        }
    }
    Ok(())
}

fn read_strings(wire: Wire<'_>, out: &mut VarBytes) -> Result<()> {
    let mut reader = Reader::new(wire.bytes()?);
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            out.push(wire.bytes()?);
        }
    }
    Ok(())
}

/// Little-endian f32 to the elements of a 16-bit vector type.
pub(crate) fn narrowed(data_type: DataType, floats: &[u8]) -> Vec<u8> {
    let values = floats.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    match data_type {
        DataType::Float16Vector => values.flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect(),
        _ => values.flat_map(|value| half::bf16::from_f32(value).to_le_bytes()).collect(),
    }
}

fn check_dim(field: &Field, dim: u64, data: &[u8], width: usize) -> Result<()> {
    if dim != field.dim as u64 && !data.is_empty() {
        return Err(NativeError::Unexpected {
            message: format!(
                "the dim ({dim}) of field data({}) is not equal to schema dim ({})",
                field.name, field.dim
            ),
            expected: field.dim.to_string(),
            actual: dim.to_string(),
        });
    }
    if data.len().is_multiple_of(width) {
        return Ok(());
    }
    let message = match field.data_type {
        DataType::BinaryVector => {
            format!("the length({}) of all bits should divide the dim({})", data.len() * 8, field.dim)
        }
        data_type => {
            let length = data.len() * field.dim / width;
            let kind = kind_name(data_type).trim_end_matches(" vector");
            format!("the length({length}) of {kind} data should divide the dim({})", field.dim)
        }
    };
    Err(NativeError::InvalidParameter(message))
}

/// How one column of an answer is labelled.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    pub name: &'a str,
    pub field_id: u32,
    pub data_type: DataType,
    pub element_type: Option<DataType>,
    pub dim: usize,
    pub nullable: bool,
    pub dynamic: bool,
}

impl<'a> Label<'a> {
    pub(crate) fn of(field: &'a Field) -> Self {
        Self {
            name: &field.name,
            field_id: field.id,
            data_type: field.data_type,
            element_type: field.element_type,
            dim: field.dim,
            nullable: field.nullable && !field.dynamic,
            dynamic: field.dynamic,
        }
    }
}

/// Writes one column as `FieldData`: scalars at full length with empty null slots, vectors without the null rows.
pub(crate) fn write_field_data(writer: &mut Writer, label: Label<'_>, column: &Column) {
    writer.varint(1, label.data_type as u64);
    writer.text(2, label.name);
    if label.data_type.is_vector() {
        writer.message(4, |vectors| write_vectors(vectors, label, column));
    } else {
        writer.message(3, |scalars| write_scalars(scalars, label.data_type, label.element_type, &column.values));
    }
    writer.varint(5, u64::from(label.field_id));
    writer.varint(6, u64::from(label.dynamic));
    if label.nullable {
        writer.packed_varints(7, (0..column.len()).map(|row| u64::from(column.is_valid(row))));
    }
}

fn write_scalars(writer: &mut Writer, data_type: DataType, element_type: Option<DataType>, values: &Values) {
    writer.message(oneof_number(data_type), |array| match values {
        Values::Array { offsets, elements } => write_lists(array, element_type, offsets, elements),
        // A null row has an empty slot.
        Values::Bytes(wkb) if data_type == DataType::Geometry => {
            wkb.iter().for_each(|row| array.bytes(1, geometry::to_wkt(row).unwrap_or_default().as_bytes()));
        }
        flat => write_scalar_range(array, flat, 0, flat.len()),
    });
}

fn write_lists(writer: &mut Writer, element_type: Option<DataType>, offsets: &[u64], elements: &Values) {
    let element_type = element_type.unwrap_or(DataType::Int64);
    for pair in offsets.windows(2) {
        writer.message(1, |row| {
            row.message(oneof_number(element_type), |list| {
                write_scalar_range(list, elements, pair[0] as usize, pair[1] as usize);
            });
        });
    }
    writer.varint(2, element_type as u64);
}

fn write_scalar_range(writer: &mut Writer, values: &Values, from: usize, to: usize) {
    match values {
        Values::Bool(v) => writer.packed_varints(1, v[from..to].iter().map(|&value| u64::from(value))),
        Values::Int32(v) => writer.packed_varints(1, v[from..to].iter().map(|&value| i64::from(value) as u64)),
        Values::Int64(v) => writer.packed_varints(1, v[from..to].iter().map(|&value| value as u64)),
        Values::Float(v) => writer.packed_fixed(1, v[from..to].iter().map(|value| value.to_le_bytes())),
        Values::Double(v) => writer.packed_fixed(1, v[from..to].iter().map(|value| value.to_le_bytes())),
        Values::Bytes(v) => (from..to).for_each(|row| writer.bytes(1, v.get(row))),
        Values::Array { .. } | Values::Fixed { .. } => {}
    }
}

fn write_vectors(writer: &mut Writer, label: Label<'_>, column: &Column) {
    let rows = (0..column.len()).filter(|&row| column.is_valid(row));
    match &column.values {
        Values::Fixed { width, data } => {
            writer.varint(VECTOR_DIM, label.dim as u64);
            let all = column.validity.is_none();
            let valid = |rows: &mut dyn Iterator<Item = usize>| -> Vec<u8> {
                rows.flat_map(|row| &data[row * width..(row + 1) * width]).copied().collect()
            };
            let picked = if all { Vec::new() } else { valid(&mut rows.into_iter()) };
            let bytes = if all { data.as_slice() } else { &picked };
            if label.data_type == DataType::FloatVector {
                writer.message(VECTOR_FLOAT, |floats| {
                    if !bytes.is_empty() {
                        floats.bytes(1, bytes);
                    }
                });
            } else {
                writer.bytes(oneof_number(label.data_type), bytes);
            }
        }
        Values::Bytes(sparse) => {
            writer.varint(VECTOR_DIM, sparse_dim(sparse));
            writer.message(VECTOR_SPARSE, |array| {
                rows.for_each(|row| array.bytes(1, sparse.get(row)));
                array.varint(2, sparse_dim(sparse));
            });
        }
        _ => {}
    }
}

/// One more than the highest index.
fn sparse_dim(rows: &VarBytes) -> u64 {
    let last_index = |row: &[u8]| row.len().checked_sub(8).and_then(|at| row.get(at..)?.first_chunk().copied());
    rows.iter().filter_map(last_index).map(|bytes| u64::from(u32::from_le_bytes(bytes)) + 1).max().unwrap_or(0)
}

/// Writes an `IDs` message.
pub(crate) fn write_ids(writer: &mut Writer, values: &Values) {
    match values {
        Values::Int64(_) => writer.message(1, |ids| write_scalar_range(ids, values, 0, values.len())),
        Values::Bytes(_) => writer.message(2, |ids| write_scalar_range(ids, values, 0, values.len())),
        _ => {}
    }
}

/// The keys of an `IDs` message.
///
/// # Errors
/// `InvalidParameter` when it is malformed or holds no ids.
pub fn read_ids(message: &[u8]) -> Result<crate::keys::Keys> {
    let mut reader = Reader::new(message);
    let mut ids = None;
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            let mut keys = Vec::new();
            let mut inner = Reader::new(wire.bytes()?);
            while let Some((1, wire)) = inner.field()? {
                read_varints(wire, &mut keys, |value| value as i64)?;
            }
            ids = Some(crate::keys::Keys::Int(keys));
        } else if number == 2 {
            let mut keys = VarBytes::default();
            read_strings(wire, &mut keys)?;
            ids = Some(crate::keys::Keys::Text(keys));
        }
    }
    ids.ok_or_else(|| malformed("it holds no ids"))
}
