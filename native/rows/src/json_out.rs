//! Rows as JSON objects (contract/rest.md 4, 11).

use serde::Serialize;

use crate::answer::{members, write_text};
use crate::column::{Column, Values};
use crate::geometry;
use crate::schema::{DataType, Field};

/// Writes rows of some columns as flat objects; keys of `$meta` stand beside the fields.
pub(crate) struct RowWriter<'a> {
    pub fields: &'a [&'a Field],
    pub columns: &'a [Column],
    pub int64_as_text: bool,
}

impl RowWriter<'_> {
    /// One row; `distance` behind the fields when given.
    pub(crate) fn write(&self, out: &mut Vec<u8>, row: usize, distance: Option<f32>) {
        let mut object = ObjectWriter { out, empty: true };
        for (field, column) in self.fields.iter().zip(self.columns) {
            // The score wins over a field of its name.
            if distance.is_some() && field.name == DISTANCE {
                continue;
            }
            if field.dynamic {
                self.write_dynamic(&mut object, column, row);
            } else {
                object.key(&field.name);
                self.write_value(object.out, field, column, row);
            }
        }
        if let Some(distance) = distance {
            object.key(DISTANCE);
            put(object.out, &distance);
        }
        object.close();
    }

    fn write_dynamic(&self, object: &mut ObjectWriter<'_>, column: &Column, row: usize) {
        let Values::Bytes(documents) = &column.values else { return };
        for (key, value) in members(documents.get(row)) {
            object.key(&key);
            object.out.extend_from_slice(value.get().as_bytes());
        }
    }

    fn write_value(&self, out: &mut Vec<u8>, field: &Field, column: &Column, row: usize) {
        if !column.is_valid(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &column.values {
            Values::Array { offsets, elements } => {
                out.push(b'[');
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    if at > offsets[row] as usize {
                        out.push(b',');
                    }
                    self.write_scalar(out, elements, at);
                }
                out.push(b']');
            }
            Values::Bytes(v) if field.data_type == DataType::Json => out.extend_from_slice(v.get(row)),
            Values::Bytes(v) if field.data_type == DataType::Geometry => {
                write_text(out, &geometry::to_wkt(v.get(row)).unwrap_or_default());
            }
            Values::Bytes(v) if field.data_type == DataType::SparseFloatVector => write_sparse(out, v.get(row)),
            Values::Fixed { width, data } => write_vector(out, field.data_type, &data[row * width..(row + 1) * width]),
            scalar => self.write_scalar(out, scalar, row),
        }
    }

    fn write_scalar(&self, out: &mut Vec<u8>, values: &Values, at: usize) {
        match values {
            Values::Bool(v) => put(out, &v[at]),
            Values::Int32(v) => put(out, &v[at]),
            Values::Int64(v) if self.int64_as_text => put(out, &v[at].to_string()),
            Values::Int64(v) => put(out, &v[at]),
            Values::Float(v) => put(out, &v[at]),
            Values::Double(v) => put(out, &v[at]),
            Values::Bytes(v) => write_text(out, &String::from_utf8_lossy(v.get(at))),
            Values::Array { .. } | Values::Fixed { .. } => out.extend_from_slice(b"null"),
        }
    }
}

const DISTANCE: &str = "distance";

struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl ObjectWriter<'_> {
    fn key(&mut self, name: &str) {
        self.out.push(if self.empty { b'{' } else { b',' });
        self.empty = false;
        write_text(self.out, name);
        self.out.push(b':');
    }

    fn close(self) {
        self.out.extend_from_slice(if self.empty { b"{}" } else { b"}" });
    }
}

/// Writing to memory cannot fail.
fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let _ = serde_json::to_writer(out, value);
}

fn write_sparse(out: &mut Vec<u8>, row: &[u8]) {
    let mut object = ObjectWriter { out, empty: true };
    for [a, b, c, d, e, f, g, h] in row.as_chunks().0.iter().copied() {
        object.key(&u32::from_le_bytes([a, b, c, d]).to_string());
        put(object.out, &f32::from_le_bytes([e, f, g, h]));
    }
    object.close();
}

fn write_vector(out: &mut Vec<u8>, data_type: DataType, bytes: &[u8]) {
    if data_type != DataType::FloatVector {
        write_text(out, &base64(bytes));
        return;
    }
    out.push(b'[');
    for (i, element) in bytes.as_chunks().0.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put(out, &f32::from_le_bytes(*element));
    }
    out.push(b']');
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i)) as usize & 63;
            text.push(if i <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// Decodes standard base64 with padding; `None` when it is anything else.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let body = bytes.strip_suffix(b"==").or_else(|| bytes.strip_suffix(b"=")).unwrap_or(bytes);
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    for chunk in body.chunks(4) {
        let mut bits = 0_u32;
        for &symbol in chunk {
            bits = bits << 6 | ALPHABET.iter().position(|&letter| letter == symbol)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}
