//! What both kinds of answers share: which columns to show, and dynamic keys picked from `$meta`.

use serde_json::value::RawValue;

use crate::batch_codec::FieldRows;
use crate::column::{Column, Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::keys::Keys;
use crate::schema::{Field, Schema};

/// Members of a JSON object in their order, values untouched.
pub(crate) fn members(object: &[u8]) -> Vec<(String, &RawValue)> {
    serde_json::from_slice::<Members<'_>>(object).map(|members| members.0).unwrap_or_default()
}

pub(crate) struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The `$meta` column with only the asked keys; all of them when none is asked.
pub(crate) fn pick_dynamic(column: Column, keys: &[String]) -> Column {
    let Values::Bytes(objects) = &column.values else { return column };
    if keys.is_empty() {
        return column;
    }
    let mut picked = VarBytes::default();
    for object in objects.iter() {
        let kept: Vec<_> = members(object).into_iter().filter(|(key, _)| keys.contains(key)).collect();
        picked.push(&write_object(&kept));
    }
    Column { values: Values::Bytes(picked), validity: None }
}

/// One JSON object of raw members.
pub(crate) fn write_object(members: &[(String, &RawValue)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (i, (key, value)) in members.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    out
}

/// A JSON string with its quotes.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// The fields to show, in order.
pub(crate) fn shown_fields<'s>(schema: &'s Schema, ids: &[u32]) -> Result<Vec<&'s Field>> {
    let of =
        |id: &u32| schema.by_id(*id).ok_or_else(|| NativeError::Internal(format!("field {id} is not in the schema")));
    ids.iter().map(of).collect()
}

/// The asked fields of `hit_count` hits, gathered from the parts that were fetched: by hit.
pub(crate) fn assemble(fields: &[&Field], parts: &[FieldRows], hit_count: usize) -> Result<Vec<Column>> {
    const NOWHERE: u32 = u32::MAX;
    let mut at = vec![NOWHERE; hit_count];
    let mut base = 0_u32;
    for part in parts {
        for (row, &position) in part.positions.iter().enumerate() {
            let slot = at.get_mut(position as usize);
            *slot.ok_or_else(|| NativeError::Internal("a fetched row belongs to no hit".to_owned()))? =
                base + row as u32;
        }
        base += part.row_count as u32;
    }
    if at.contains(&NOWHERE) {
        return Err(NativeError::Internal("the rows of some hits were not fetched".to_owned()));
    }
    joined(fields, parts).map(|columns| columns.iter().map(|column| column.gather(&at)).collect())
}

/// The asked fields of all parts, part after part.
pub(crate) fn joined(fields: &[&Field], parts: &[FieldRows]) -> Result<Vec<Column>> {
    let column_of = |field: &&Field| {
        let mut all = Column::empty(field);
        for part in parts {
            match part.column(field.id) {
                Some(column) => all.append(column)?,
                None => all.append(&Column::nulls(field, part.row_count))?,
            }
        }
        Ok(all)
    };
    fields.iter().map(column_of).collect()
}

/// Keys of all parts, part after part.
///
/// # Errors
/// `Internal` when a part does not hold the primary key.
pub fn keys_of(schema: &Schema, parts: &[FieldRows]) -> Result<Keys> {
    let primary = schema.primary();
    if parts.iter().any(|part| part.column(primary.id).is_none()) {
        return Err(NativeError::Internal("an answer does not hold its keys".to_owned()));
    }
    let columns = joined(&[primary], parts)?;
    columns.first().map_or_else(|| Ok(Keys::Int(Vec::new())), Keys::of_column)
}
