//! Answers of searches: Milvus's `SearchResultData` (contract/grpc.md 5.9) or JSON rows (contract/rest.md 10.2).

use crate::answer::{assemble, pick_dynamic, shown_fields};
use crate::batch_codec::FieldRows;
use crate::column::Column;
use crate::error::{NativeError, Result};
use crate::field_data::{Label, write_field_data, write_ids};
use crate::hits::Hits;
use crate::json_out::RowWriter;
use crate::proto::Writer;
use crate::schema::{Field, Schema};

/// How a search's answer is written.
#[derive(Clone, Debug, Default)]
pub struct SearchEncoding {
    /// Ids of the fields to show, in order.
    pub fields: Vec<u32>,
    /// The client's names.
    pub output_fields: Vec<String>,
    /// Keys to pick from `$meta`; empty: all.
    pub dynamic_keys: Vec<String>,
    /// Digits behind the point; negative: all.
    pub round_decimal: i32,
    pub top_k: u64,
    /// JSON: 64-bit integers as text.
    pub int64_as_text: bool,
    /// The field whose values grouped the hits.
    pub group_field: Option<u32>,
    /// Token and last bound of a search iterator's page.
    pub iterator: Option<(String, f32)>,
}

/// The hits' columns in the asked order.
struct Shown<'s> {
    fields: Vec<&'s Field>,
    columns: Vec<Column>,
}

fn shown<'s>(schema: &'s Schema, hits: &Hits, parts: &[FieldRows], encoding: &SearchEncoding) -> Result<Shown<'s>> {
    let fields = shown_fields(schema, &encoding.fields)?;
    let primary = schema.primary().id;
    // Keys travel with the hits: they need no fetching.
    let fetched: Vec<&Field> = fields.iter().copied().filter(|field| field.id != primary).collect();
    let columns = if fetched.is_empty() { Vec::new() } else { assemble(&fetched, parts, hits.len())? };
    let mut columns = fetched
        .iter()
        .zip(columns)
        .map(|(field, column)| if field.dynamic { pick_dynamic(column, &encoding.dynamic_keys) } else { column });
    let key_column = || Column { values: hits.keys.clone().into_values(), validity: None };
    let columns = fields
        .iter()
        .map(|field| if field.id == primary { key_column() } else { columns.next().unwrap_or_else(key_column) })
        .collect();
    Ok(Shown { fields, columns })
}

/// `floor(score * 10^digits + 0.5) / 10^digits`; the score itself for negative digits.
fn rounded(score: f32, digits: i32) -> f32 {
    if digits < 0 {
        return score;
    }
    let scale = 10_f64.powi(digits);
    ((f64::from(score) * scale + 0.5).floor() / scale) as f32
}

/// A `SearchResultData` message.
///
/// # Errors
/// `Internal` when rows of hits are missing.
pub fn encode_message(schema: &Schema, hits: &Hits, parts: &[FieldRows], encoding: &SearchEncoding) -> Result<Vec<u8>> {
    let shown = shown(schema, hits, parts, encoding)?;
    let mut writer = Writer::default();
    writer.varint(1, hits.counts.len() as u64);
    writer.varint(2, encoding.top_k);
    for (field, column) in shown.fields.iter().zip(&shown.columns) {
        writer.message(3, |message| write_field_data(message, Label::of(field), column));
    }
    writer.packed_fixed(4, hits.scores.iter().map(|&score| rounded(score, encoding.round_decimal).to_le_bytes()));
    writer.message(5, |ids| {
        if !hits.is_empty() {
            write_ids(ids, &hits.keys.clone().into_values());
        }
    });
    writer.packed_varints(6, hits.counts.iter().map(|&count| u64::from(count)));
    encoding.output_fields.iter().for_each(|name| writer.bytes(7, name.as_bytes()));
    if let (Some(id), Some(groups)) = (encoding.group_field, &hits.groups) {
        let field = schema.by_id(id).ok_or_else(|| NativeError::Internal(format!("no field {id} to group by")))?;
        let column = groups.column(&Column::empty(field).values)?;
        writer.message(8, |message| write_field_data(message, Label::of(field), &column));
    }
    if let Some((token, last_bound)) = &encoding.iterator {
        writer.message(11, |results| {
            results.text(1, token);
            results.float(2, *last_bound);
        });
    }
    writer.text(13, &schema.primary().name);
    Ok(writer.finish())
}

/// `[[row, …], …]`: one list of row objects per query; the score stands under `distance`.
///
/// # Errors
/// `Internal` when rows of hits are missing.
pub fn encode_json(schema: &Schema, hits: &Hits, parts: &[FieldRows], encoding: &SearchEncoding) -> Result<Vec<u8>> {
    let mut shown = shown(schema, hits, parts, encoding)?;
    if shown.fields.iter().all(|field| !field.primary_key) {
        shown.fields.insert(0, schema.primary());
        shown.columns.insert(0, Column { values: hits.keys.clone().into_values(), validity: None });
    }
    let rows = RowWriter { fields: &shown.fields, columns: &shown.columns, int64_as_text: encoding.int64_as_text };
    let mut out = vec![b'['];
    for (query, pair) in hits.starts().windows(2).enumerate() {
        out.extend_from_slice(if query > 0 { b",[" } else { b"[" });
        for row in pair[0]..pair[1] {
            if row > pair[0] {
                out.push(b',');
            }
            rows.write(&mut out, row, Some(rounded(hits.scores[row], encoding.round_decimal)));
        }
        out.push(b']');
    }
    out.push(b']');
    Ok(out)
}
