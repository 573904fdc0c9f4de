//! Checks of the values of one column, in Milvus's words (contract/grpc.md 4.7, 5.2-5.4).

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserializer, de};

use crate::column::{Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::geometry;
use crate::schema::{DataType, Field, Schema};

const JSON_BYTES_MAX: usize = 65_536;
const SPARSE_PAIR: usize = 8;
/// Characters of a wrong geometry that its refusal repeats.
const GEOMETRY_SHOWN_MAX: usize = 100;

/// Checks the values that were sent for a field.
pub(crate) fn check_values(schema: &Schema, field: &Field, values: &Values) -> Result<()> {
    match (field.data_type, values) {
        (DataType::Int8 | DataType::Int16, Values::Int32(v)) => check_range(field.data_type, v),
        (DataType::Float, Values::Float(v)) => check_finite(v.iter().map(|&value| f64::from(value))),
        (DataType::Double, Values::Double(v)) => check_finite(v.iter().copied()),
        (DataType::VarChar, Values::Bytes(v)) => check_texts(field, v),
        (DataType::Json, Values::Bytes(v)) => check_documents(schema, field, v),
        (DataType::Array, Values::Array { offsets, elements }) => check_lists(field, offsets, elements),
        (DataType::SparseFloatVector, Values::Bytes(v)) => v.iter().try_for_each(check_sparse_row),
        (data_type, Values::Fixed { data, .. }) => check_elements(data_type, data),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> NativeError {
    NativeError::InvalidParameter(message)
}

fn check_range(data_type: DataType, values: &[i32]) -> Result<()> {
    let (low, high) = match data_type {
        DataType::Int8 => (i32::from(i8::MIN), i32::from(i8::MAX)),
        DataType::Int16 => (i32::from(i16::MIN), i32::from(i16::MAX)),
        _ => return Ok(()),
    };
    let Some(at) = values.iter().position(|value| !(low..=high).contains(value)) else { return Ok(()) };
    Err(NativeError::Unexpected {
        message: format!("the {at}th element ({}) out of range: [{low}, {high}]", values[at]),
        expected: "integer doesn't overflow".to_owned(),
        actual: "out of range".to_owned(),
    })
}

fn check_finite(mut values: impl Iterator<Item = f64>) -> Result<()> {
    values.find(|value| !value.is_finite()).map_or(Ok(()), |value| Err(not_finite(value)))
}

fn not_finite(value: f64) -> NativeError {
    let shown = if value.is_nan() { "NaN" } else { if value > 0.0 { "+Inf" } else { "-Inf" } };
    invalid(format!("value '{shown}' is not a number or infinity"))
}

fn check_elements(data_type: DataType, data: &[u8]) -> Result<()> {
    // A float is no number exactly when all bits of its exponent are set; whole blocks are tested at once, and only
    // a bad vector is looked at again to name the value.
    match data_type {
        DataType::FloatVector if has_exponent(data, |bytes| u32::from_le_bytes(bytes) & 0x7f80_0000 == 0x7f80_0000) => {
            check_finite_words(data, |bytes: [u8; 4]| f32::from_le_bytes(bytes).into())
        }
        DataType::Float16Vector if has_exponent(data, |bytes| u16::from_le_bytes(bytes) & 0x7c00 == 0x7c00) => {
            check_finite_words(data, |bytes| half::f16::from_le_bytes(bytes).into())
        }
        DataType::BFloat16Vector if has_exponent(data, |bytes| u16::from_le_bytes(bytes) & 0x7f80 == 0x7f80) => {
            check_finite_words(data, |bytes| half::bf16::from_le_bytes(bytes).into())
        }
        _ => Ok(()),
    }
}

fn has_exponent<const N: usize>(data: &[u8], is_full: impl Fn([u8; N]) -> bool) -> bool {
    const BLOCK_WORDS: usize = 256;
    let mut blocks = data.as_chunks::<N>().0.chunks(BLOCK_WORDS);
    blocks.any(|block| block.iter().fold(false, |found, bytes| found | is_full(*bytes)))
}

fn check_finite_words<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Result<()> {
    check_finite(data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)))
}

/// The WKB of the WKT that was sent for a field.
pub(crate) fn geometries(field: &Field, texts: &VarBytes) -> Result<VarBytes> {
    let mut found = VarBytes::default();
    for (row, text) in texts.iter().enumerate() {
        let wkb = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned()).and_then(geometry::to_wkb);
        let refused = |why| {
            let shown: String = String::from_utf8_lossy(text).chars().take(GEOMETRY_SHOWN_MAX).collect();
            invalid(format!("invalid Geometry data in row {row} of field {}: {why}: {shown}", field.name))
        };
        found.push(&wkb.map_err(refused)?);
    }
    Ok(found)
}

fn check_texts(field: &Field, texts: &VarBytes) -> Result<()> {
    let longest = field.length_max.unwrap_or(usize::MAX);
    for (row, text) in texts.iter().enumerate() {
        if text.len() > longest {
            return Err(invalid(format!(
                "length of varchar field {} exceeds max length, row number: {row}, length: {}, max length: {longest}",
                field.name,
                text.len()
            )));
        }
        check_utf8(field, text)?;
    }
    Ok(())
}

fn check_utf8(field: &Field, text: &[u8]) -> Result<()> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid(format!("field {} holds a string that is not valid UTF-8", field.name))),
    }
}

fn check_lists(field: &Field, offsets: &[u64], elements: &Values) -> Result<()> {
    let capacity = field.capacity_max.unwrap_or(usize::MAX) as u64;
    if let Some(row) = offsets.windows(2).position(|pair| pair[1] - pair[0] > capacity) {
        let length = offsets[row + 1] - offsets[row];
        return Err(NativeError::Unexpected {
            message: format!("the length ({length}) of {row}th array exceeds max capacity ({capacity})"),
            expected: "valid length array".to_owned(),
            actual: "array length exceeds max capacity".to_owned(),
        });
    }
    match (field.element_type, elements) {
        (Some(element_type), Values::Int32(v)) => check_range(element_type, v),
        (_, Values::Float(v)) => check_finite(v.iter().map(|&value| f64::from(value))),
        (_, Values::Double(v)) => check_finite(v.iter().copied()),
        (_, Values::Bytes(v)) => check_list_texts(field, offsets, v),
        _ => Ok(()),
    }
}

fn check_list_texts(field: &Field, offsets: &[u64], texts: &VarBytes) -> Result<()> {
    let longest = field.length_max.unwrap_or(usize::MAX);
    for (at, text) in texts.iter().enumerate() {
        check_utf8(field, text)?;
        if text.len() > longest {
            let row = offsets.partition_point(|&offset| offset <= at as u64) - 1;
            return Err(invalid(format!(
                "length of Array array field \"{}\" exceeds max length, row number: {row}, array index: {}, \
                 length: {}, max length: {longest}",
                field.name,
                at as u64 - offsets[row],
                text.len()
            )));
        }
    }
    Ok(())
}

/// A row of a sparse vector: pairs by ascending index.
pub(crate) fn check_sparse_row(row: &[u8]) -> Result<()> {
    let (pairs, rest) = row.as_chunks::<SPARSE_PAIR>();
    if !rest.is_empty() {
        return Err(invalid(format!("invalid data length in sparse float vector: {}", row.len())));
    }
    let mut previous = None;
    for [a, b, c, d, e, f, g, h] in pairs.iter().copied() {
        let (index, value) = (u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
        if index == u32::MAX {
            return Err(invalid("invalid index in sparse float vector: must be less than 2^32-1".to_owned()));
        }
        if previous.is_some_and(|previous| previous >= index) {
            return Err(invalid("unsorted or same indices in sparse float vector".to_owned()));
        }
        if !value.is_finite() {
            return Err(not_finite(value.into()));
        }
        if value < 0.0 {
            return Err(invalid("negative value in sparse float vector".to_owned()));
        }
        previous = Some(index);
    }
    Ok(())
}

fn check_documents(schema: &Schema, field: &Field, documents: &VarBytes) -> Result<()> {
    for (row, document) in documents.iter().enumerate() {
        check_document_length(field, document.len())?;
        check_utf8(field, document)?;
        if field.dynamic {
            check_dynamic(schema, document)?;
        } else if serde_json::from_slice::<IgnoredAny>(document).is_err() {
            return Err(invalid(format!("row {row} of json field {} is not valid JSON", field.name)));
        }
    }
    Ok(())
}

fn check_document_length(field: &Field, length: usize) -> Result<()> {
    if length <= JSON_BYTES_MAX {
        return Ok(());
    }
    let message = if field.dynamic {
        format!("the length ({length}) of dynamic field exceeds max length ({JSON_BYTES_MAX})")
    } else {
        format!("the length ({length}) of json field ({}) exceeds max length ({JSON_BYTES_MAX})", field.name)
    };
    Err(NativeError::Unexpected {
        message,
        expected: "valid length string".to_owned(),
        actual: "length exceeds max length".to_owned(),
    })
}

/// A `$meta` document must be an object without the names that columns have.
fn check_dynamic(schema: &Schema, document: &[u8]) -> Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let checked = deserializer.deserialize_map(DynamicKeys { schema, refused: None });
    match checked.and_then(|refused| deserializer.end().map(|()| refused)) {
        Ok(None) => Ok(()),
        Ok(Some(message)) => Err(invalid(message)),
        Err(_) => Err(invalid("the dynamic field of a row is not a JSON object".to_owned())),
    }
}

struct DynamicKeys<'s> {
    schema: &'s Schema,
    refused: Option<String>,
}

impl<'de> Visitor<'de> for DynamicKeys<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        while let Some(key) = map.next_key_seed(CowKey)? {
            map.next_value::<IgnoredAny>()?;
            self.refused = self.refused.or_else(|| refused_dynamic_key(self.schema, &key));
        }
        Ok(self.refused)
    }
}

/// Why a key may not stand in `$meta`.
pub(crate) fn refused_dynamic_key(schema: &Schema, key: &str) -> Option<String> {
    let field = schema.by_name(key)?;
    Some(if field.dynamic {
        format!("cannot set json key to: {key}")
    } else {
        format!("dynamic field name cannot include the static field name: {key}")
    })
}

/// Reads a key without copying it where it has no escapes.
struct CowKey;

impl<'de> de::DeserializeSeed<'de> for CowKey {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for CowKey {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> std::result::Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> std::result::Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> std::result::Result<Self::Value, E> {
        Err(E::custom("a key is not text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_are_refused_exactly_when_an_element_is_no_number(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), wild in any::<bool>(),
        ) {
            if !wild {
                bytes.iter_mut().for_each(|byte| *byte %= 0x70);
            }
            bytes.truncate(bytes.len() / 4 * 4);
            let floats = || bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).is_finite());
            let halves = || bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).is_finite());
            let brains = || bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).is_finite());
            let accepted = |data_type| check_elements(data_type, &bytes).is_ok();
            prop_assert_eq!(accepted(DataType::FloatVector), floats().all(|ok| ok));
            prop_assert_eq!(accepted(DataType::Float16Vector), halves().all(|ok| ok));
            prop_assert_eq!(accepted(DataType::BFloat16Vector), brains().all(|ok| ok));
        }

        #[test]
        fn sparse_rows_are_accepted_exactly_when_their_pairs_rise(
            pairs in prop::collection::vec((0_u32..6, -1_i8..3), 0..5),
        ) {
            let bytes: Vec<u8> =
                pairs.iter().flat_map(|&(i, v)| [i.to_le_bytes(), f32::from(v).to_le_bytes()]).flatten().collect();
            let right = pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|&(_, v)| v >= 0);
            prop_assert_eq!(check_sparse_row(&bytes).is_ok(), right);
            if !bytes.is_empty() {
                prop_assert!(check_sparse_row(&bytes[1..]).is_err());
            }
        }
    }

    #[test]
    fn sparse_rows_are_refused_in_milvus_words() {
        let pair = |index: u32, value: f32| [index.to_le_bytes(), value.to_le_bytes()].concat();
        let words = |row: &[u8]| check_sparse_row(row).unwrap_err().to_string();
        assert_eq!(words(&[0; 9]), "invalid data length in sparse float vector: 9");
        assert_eq!(words(&[pair(2, 1.0), pair(2, 1.0)].concat()), "unsorted or same indices in sparse float vector");
        assert_eq!(words(&pair(1, -1.0)), "negative value in sparse float vector");
        assert_eq!(words(&pair(u32::MAX, 1.0)), "invalid index in sparse float vector: must be less than 2^32-1");
        assert!(words(&pair(1, f32::NAN)).contains("is not a number or infinity"));
    }
}
