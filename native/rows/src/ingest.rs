//! From the columns of a write request to a batch of whole rows (contract/grpc.md 5.2, 8.1, 8.2).

use std::collections::HashSet;

use crate::batch_codec::{EMPTY_OBJECT, repeated};
use crate::checks::{check_values, geometries};
use crate::column::{Batch, Bits, Column, Values, VarBytes};
use crate::error::{NativeError, Result};
use crate::field_data::{Payload, Sent};
use crate::keys::Keys;
use crate::schema::{DataType, DefaultValue, Field, Schema};

/// No batch grows beyond this, whatever a small message claims about null rows.
const BATCH_BYTES_MAX: usize = 2 << 30;

/// How a write treats its keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// First of a range of ids for an automatic key.
    pub first_auto_id: Option<i64>,
    /// The key must be sent and must not repeat.
    pub upsert: bool,
    /// Keep keys that the client sent although the key is automatic.
    pub allow_insert_auto_id: bool,
}

/// Checked rows of one write.
#[derive(Clone, Debug)]
pub struct Ingested {
    pub batch: Batch,
    /// Keys that the client sent and that were replaced by new automatic ones (upsert).
    pub replaced: Option<Keys>,
}

/// Checks and columnises the `FieldData` messages of a request.
///
/// # Errors
/// `InvalidParameter` and its relatives in Milvus's words; `Internal` when an automatic key lacks its ids.
pub fn from_field_data(
    schema: &Schema,
    messages: &[&[u8]],
    row_count: usize,
    options: WriteOptions,
) -> Result<Ingested> {
    if row_count == 0 || u32::try_from(row_count).is_err() {
        return Err(NativeError::Unexpected {
            message: "num_rows should be greater than 0".to_owned(),
            expected: "greater than 0".to_owned(),
            actual: row_count.to_string(),
        });
    }
    let mut sent: Vec<Option<Sent<'_>>> = schema.fields.iter().map(|_| None).collect();
    for message in messages {
        let column = Sent::parse(message)?;
        let position = position_of(schema, &column, messages.len())?;
        if sent[position].is_some() {
            let message = format!("duplicated field {} found", schema.fields[position].name);
            return Err(NativeError::InvalidParameter(message));
        }
        sent[position] = Some(column);
    }
    let mut builder = BatchBuilder::new(schema, row_count, options);
    for (field, column) in schema.fields.iter().zip(sent) {
        let payload = column.map(|column| column.payload(field)).transpose()?;
        builder.add(field, payload)?;
    }
    builder.finish()
}

fn position_of(schema: &Schema, sent: &Sent<'_>, message_count: usize) -> Result<usize> {
    let position = schema.fields.iter().position(|field| {
        if sent.is_dynamic || field.dynamic {
            field.dynamic && (sent.is_dynamic || sent.name == field.name)
        } else if sent.name.is_empty() {
            i64::from(field.id) == sent.field_id
        } else {
            field.name == sent.name
        }
    });
    position.ok_or_else(|| {
        NativeError::InvalidParameter(if message_count > schema.fields.len() {
            "more fieldData has pass in".to_owned()
        } else {
            format!("fieldName {} not exist in collection schema", sent.name)
        })
    })
}

/// Collects the columns of a batch in field order; both wire forms (messages, JSON) end here.
pub(crate) struct BatchBuilder<'s> {
    schema: &'s Schema,
    row_count: usize,
    options: WriteOptions,
    columns: Vec<Column>,
    replaced: Option<Keys>,
    bytes: usize,
}

impl<'s> BatchBuilder<'s> {
    pub(crate) fn new(schema: &'s Schema, row_count: usize, options: WriteOptions) -> Self {
        Self { schema, row_count, options, columns: Vec::new(), replaced: None, bytes: 0 }
    }

    /// The next field's column: what was sent, or `None`.
    pub(crate) fn add(&mut self, field: &Field, payload: Option<Payload>) -> Result<()> {
        let column = if field.primary_key { self.key_column(field, payload)? } else { self.column(field, payload)? };
        self.bytes += column.byte_size();
        self.check_size(0)?;
        self.columns.push(column);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Ingested> {
        if self.options.upsert {
            let own = self.columns.get(self.schema.primary_position()).map(Keys::of_column).transpose()?;
            if let Some(keys) = self.replaced.as_ref().or(own.as_ref()) {
                check_distinct(keys)?;
            }
        }
        Ok(Ingested { batch: Batch { row_count: self.row_count, columns: self.columns }, replaced: self.replaced })
    }

    fn check_size(&self, more: usize) -> Result<()> {
        if self.bytes.saturating_add(more) <= BATCH_BYTES_MAX {
            return Ok(());
        }
        Err(NativeError::ParameterTooLarge(format!("the rows of one request take more than {BATCH_BYTES_MAX} bytes")))
    }

    fn key_column(&mut self, field: &Field, payload: Option<Payload>) -> Result<Column> {
        let WriteOptions { first_auto_id, upsert, allow_insert_auto_id } = self.options;
        match (payload, field.auto_id) {
            (None, _) if upsert => {
                Err(NativeError::InvalidParameter(format!("must assign pk when upsert, primary field: {}", field.name)))
            }
            (Some(payload), true) if upsert => {
                let sent = self.column(field, Some(payload))?;
                let Some(first) = first_auto_id else { return Ok(sent) };
                self.replaced = Some(Keys::of_column(&sent)?);
                Ok(auto_ids(field, first, self.row_count))
            }
            (Some(_), true) if !allow_insert_auto_id => Err(NativeError::InvalidParameter(format!(
                "can not assign primary field data when auto id enabled and allow_insert_auto_id is false {}",
                field.name
            ))),
            (None, true) => {
                let first =
                    first_auto_id.ok_or_else(|| NativeError::Internal("no ids for an automatic key".to_owned()));
                Ok(auto_ids(field, first?, self.row_count))
            }
            (payload, _) => self.column(field, payload),
        }
    }

    fn column(&mut self, field: &Field, payload: Option<Payload>) -> Result<Column> {
        let filler = filler_of(field);
        let Some(Payload { mut values, valid }) = payload else {
            let Some(filler) = filler else { return Err(missing(field)) };
            self.check_size(filler.values.byte_size().saturating_mul(self.row_count))?;
            return Ok(filler.gather(&vec![0; self.row_count]));
        };
        check_values(self.schema, field, &values)?;
        if let (DataType::Geometry, Values::Bytes(texts)) = (field.data_type, &values) {
            values = Values::Bytes(geometries(field, texts)?);
        }
        let Some(valid) = valid else {
            check_row_count(field, values.len(), self.row_count)?;
            return Ok(Column { values, validity: None });
        };
        let filler = filler.ok_or_else(|| wrong_valid_data(field, 0, valid.len()))?;
        if valid.len() != self.row_count {
            return Err(wrong_valid_data(field, self.row_count, valid.len()));
        }
        check_compact_length(&valid, values.len())?;
        self.check_size(filler.values.byte_size().saturating_mul(self.row_count))?;
        let fill_at = values.len() as u32;
        values.append(&filler.values)?;
        let rows = compact_positions(&valid, fill_at);
        let null = filler.validity.is_some() && valid.contains(&false);
        Ok(Column { values: values.gather(&rows), validity: null.then(|| bits_of(&valid)) })
    }
}

/// Where each row's value stands: the valid ones one after the other, the others at `fill_at`.
fn compact_positions(valid: &[bool], fill_at: u32) -> Vec<u32> {
    let mut next = 0;
    let position = |&is_valid: &bool| {
        if !is_valid {
            return fill_at;
        }
        next += 1;
        next - 1
    };
    valid.iter().map(position).collect()
}

fn bits_of(valid: &[bool]) -> Bits {
    let mut bits = Bits::default();
    valid.iter().for_each(|&is_valid| bits.push(is_valid));
    bits
}

/// One row that stands where nothing was sent: the default, else null; `None` when a value is required.
fn filler_of(field: &Field) -> Option<Column> {
    if let Some(value) = &field.default_value {
        return Some(Column { values: repeated(field, value, 1), validity: None });
    }
    if field.dynamic {
        let empty = DefaultValue::Text(EMPTY_OBJECT.to_owned());
        return Some(Column { values: repeated(field, &empty, 1), validity: None });
    }
    field.nullable.then(|| Column::nulls(field, 1))
}

fn auto_ids(field: &Field, first: i64, count: usize) -> Column {
    let ids = (0..count as i64).map(|i| first.wrapping_add(i));
    let values = match Values::empty(field) {
        Values::Bytes(_) => {
            let mut texts = VarBytes::default();
            ids.for_each(|id| texts.push(id.to_string().as_bytes()));
            Values::Bytes(texts)
        }
        _ => Values::Int64(ids.collect()),
    };
    Column { values, validity: None }
}

fn missing(field: &Field) -> NativeError {
    NativeError::InvalidParameter(format!("fieldSchema({}) has no corresponding fieldData pass in", field.name))
}

fn wrong_valid_data(field: &Field, expected: usize, actual: usize) -> NativeError {
    NativeError::Unexpected {
        message: format!("the length of valid_data of field({}) is wrong", field.name),
        expected: expected.to_string(),
        actual: actual.to_string(),
    }
}

fn check_row_count(field: &Field, actual: usize, expected: usize) -> Result<()> {
    if actual == expected {
        return Ok(());
    }
    Err(NativeError::Unexpected {
        message: format!(
            "the num_rows ({actual}) of field ({}) is not equal to passed num_rows ({expected})",
            field.name
        ),
        expected: expected.to_string(),
        actual: actual.to_string(),
    })
}

fn check_compact_length(valid: &[bool], actual: usize) -> Result<()> {
    let expected = valid.iter().filter(|&&is_valid| is_valid).count();
    if actual == expected {
        return Ok(());
    }
    Err(NativeError::Unexpected {
        message: "the length of field is wrong".to_owned(),
        expected: expected.to_string(),
        actual: actual.to_string(),
    })
}

fn check_distinct(keys: &Keys) -> Result<()> {
    let mut seen = HashSet::with_capacity(keys.len());
    if keys.iter().all(|key| seen.insert(key)) {
        return Ok(());
    }
    Err(NativeError::InvalidParameter("duplicate primary keys are not allowed in the same batch".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fixture::{any_batch, every_type, schema_of};
    use crate::json_in::from_json;
    use crate::query_answer::{QueryEncoding, encode_json, encode_messages};
    use crate::{batch_codec::FieldRows, field_data};

    fn small(auto_id: bool) -> Schema {
        schema_of(&[
            (100, "id", 5, json!({ "autoId": auto_id })),
            (101, "text", 21, json!({ "lengthMax": 4, "nullable": true })),
            (102, "rank", 2, json!({ "defaultValue": "5" })),
            (103, "vec", 101, json!({ "dim": 2 })),
            (104, "$meta", 23, json!({ "nullable": true, "dynamic": true })),
        ])
    }

    fn whole(schema: &Schema, batch: &Batch) -> FieldRows {
        let columns = schema.fields.iter().map(|field| field.id).zip(batch.columns.iter().cloned()).collect();
        FieldRows { row_count: batch.row_count, positions: Vec::new(), columns }
    }

    fn all_fields(schema: &Schema) -> QueryEncoding {
        QueryEncoding { fields: schema.fields.iter().map(|field| field.id).collect(), ..Default::default() }
    }

    fn refused(schema: &Schema, json: &str, options: WriteOptions) -> String {
        from_json(schema, json.as_bytes(), options).unwrap_err().to_string()
    }

    #[test]
    fn rows_miss_what_may_be_missing() {
        let schema = small(false);
        let json = r#"[{"id":1,"vec":[1,2],"color":"red","gone":null},{"id":"2","vec":[3,4],"text":"ab","rank":7}]"#;
        let batch = from_json(&schema, json.as_bytes(), WriteOptions::default()).unwrap().batch;
        assert!(!batch.columns[1].is_valid(0) && batch.columns[1].is_valid(1));
        assert_eq!(batch.columns[2], Column { values: Values::Int32(vec![5, 7]), validity: None });
        let Values::Bytes(objects) = &batch.columns[4].values else { panic!("no documents") };
        assert_eq!(objects.iter().collect::<Vec<_>>(), [br#"{"color":"red"}"#.as_slice(), b"{}"]);
    }

    #[test]
    fn wrong_rows_are_refused_by_name() {
        let schema = small(false);
        let plain = WriteOptions::default();
        assert_eq!(refused(&schema, r#"[{"id":1}]"#, plain), "missing vector field: vec");
        assert!(
            refused(&schema, r#"[{"vec":[1,2]}]"#, plain).contains("fieldSchema(id) has no corresponding fieldData")
        );
        assert!(refused(&schema, r#"[{"id":1,"vec":[1,2,3]}]"#, plain).contains("the dim (3) of field data(vec)"));
        assert!(refused(&schema, r#"[{"id":1,"vec":[1,2],"rank":200}]"#, plain).contains("out of range: [-128, 127]"));
        let long = refused(&schema, r#"[{"id":1,"vec":[1,2],"text":"abcde"}]"#, plain);
        assert_eq!(long, "length of varchar field text exceeds max length, row number: 0, length: 5, max length: 4");
        assert!(refused(&schema, r#"[{"id":1,"vec":[1,2],"$meta":{}}]"#, plain).contains("invalid field name($meta)"));
        assert!(refused(&schema, r#"[1]"#, plain).contains("rows must be JSON objects"));
    }

    #[test]
    fn automatic_keys_are_filled_kept_or_replaced() {
        let schema = small(true);
        let sent = r#"[{"id":7,"vec":[1,2]},{"id":8,"vec":[1,2]}]"#;
        let unsent = r#"[{"vec":[1,2]},{"vec":[1,2]}]"#;
        let first = WriteOptions { first_auto_id: Some(100), ..Default::default() };
        let upsert = WriteOptions { upsert: true, ..first };
        let keys =
            |json: &str, options| from_json(&schema, json.as_bytes(), options).unwrap().batch.columns[0].values.clone();
        assert_eq!(keys(unsent, first), Values::Int64(vec![100, 101]));
        assert!(refused(&schema, sent, first).contains("can not assign primary field data when auto id enabled"));
        assert_eq!(keys(sent, WriteOptions { allow_insert_auto_id: true, ..first }), Values::Int64(vec![7, 8]));
        assert_eq!(keys(sent, upsert), Values::Int64(vec![100, 101]));
        let replaced = from_json(&schema, sent.as_bytes(), upsert).unwrap().replaced;
        assert_eq!(replaced, Some(Keys::Int(vec![7, 8])));
        assert!(refused(&schema, unsent, upsert).contains("must assign pk when upsert, primary field: id"));
        let twice = refused(&schema, &sent.replace('8', "7"), upsert);
        assert_eq!(twice, "duplicate primary keys are not allowed in the same batch");
    }

    #[test]
    fn geometries_come_as_text_and_are_kept_as_bytes() {
        let schema = schema_of(&[
            (100, "id", 5, json!({})),
            (101, "place", 24, json!({ "nullable": true, "defaultValue": "POINT (0 0)" })),
            (102, "area", 24, json!({ "nullable": true })),
        ]);
        let sent = r#"[{"id":1,"place":"POINT(1 2)"},{"id":2,"area":"linestring(0 0, 1 1)"}]"#;
        let batch = from_json(&schema, sent.as_bytes(), WriteOptions::default()).unwrap().batch;
        let Values::Bytes(places) = &batch.columns[1].values else { panic!("no bytes") };
        assert_eq!(places.get(0), crate::geometry::to_wkb("POINT (1 2)").unwrap());
        assert!(!batch.columns[2].is_valid(0));
        let parts = [whole(&schema, &batch)];
        let json = String::from_utf8(encode_json(&schema, &parts, &all_fields(&schema)).unwrap()).unwrap();
        assert!(json.contains(r#""place":"POINT (0 0)","area":"LINESTRING (0 0, 1 1)""#), "{json}");
        let messages = encode_messages(&schema, &parts, &all_fields(&schema)).unwrap();
        let messages: Vec<&[u8]> = messages[..2].iter().map(Vec::as_slice).collect();
        let read = from_field_data(&schema, &messages, 2, WriteOptions::default()).unwrap().batch;
        assert_eq!(read.columns[1].values, batch.columns[1].values);
        let bytes = crate::batch_codec::encode_batch(&schema, &batch);
        assert_eq!(crate::batch_codec::decode_batch(&schema, &bytes).unwrap(), batch);
        let wrong = refused(&schema, r#"[{"id":1,"place":"POINT (1)"}]"#, WriteOptions::default());
        assert_eq!(wrong, "invalid Geometry data in row 0 of field place: a number expected at character 9: POINT (1)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Rows written as an answer and sent back as a request are the same rows, as long as nothing is null:
        /// answers pad null scalars, requests leave them out.
        #[test]
        fn an_answer_is_a_request(batch in any_batch(1..10)) {
            let schema = every_type();
            let mut batch = batch;
            batch.columns.iter_mut().for_each(|column| column.validity = None);
            batch.columns[0].values = Values::Int64((0..batch.row_count as i64).collect());
            batch.columns[9].values = batch.columns[18].values.clone();
            let parts = [whole(&schema, &batch)];
            let messages = encode_messages(&schema, &parts, &all_fields(&schema)).unwrap();
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let read = from_field_data(&schema, &messages, batch.row_count, WriteOptions::default()).unwrap().batch;
            prop_assert_eq!(&read, &batch);
            let json = encode_json(&schema, &parts, &all_fields(&schema)).unwrap();
            let read = from_json(&schema, &json, WriteOptions::default()).unwrap().batch;
            for (i, (a, b)) in read.columns.iter().zip(&batch.columns).enumerate() {
                prop_assert_eq!(a, b, "column {}", i);
            }
        }

        #[test]
        fn damaged_messages_never_panic(
            batch in any_batch(1..5),
            damage in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 1..6),
        ) {
            let schema = every_type();
            let mut messages = encode_messages(&schema, &[whole(&schema, &batch)], &all_fields(&schema)).unwrap();
            for (message, at, to) in damage {
                let i = message.index(messages.len());
                let at = at.index(messages[i].len());
                messages[i][at] = to;
            }
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            if let Ok(read) = from_field_data(&schema, &messages, batch.row_count, WriteOptions::default()) {
                prop_assert!(read.batch.columns.iter().all(|column| column.len() == batch.row_count));
            }
        }

        #[test]
        fn random_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let schema = every_type();
            let _ = from_field_data(&schema, &[&bytes], 2, WriteOptions::default());
            let _ = from_json(&schema, &bytes, WriteOptions::default());
            let _ = field_data::read_ids(&bytes);
            let _ = crate::placeholders::decode(&schema, &schema.fields[12], &bytes);
        }
    }
}
