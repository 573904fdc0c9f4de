//! A schema with every type, and random batches of it, for the tests.

use proptest::prelude::*;
use serde_json::json;

use crate::column::{Batch, Bits, Column, Values, VarBytes};
use crate::schema::{DataType, Field, Schema};

/// A schema of fields given as id, name, Milvus type number and what else their JSON says; the first is the key.
pub(crate) fn schema_of(fields: &[(u32, &str, u32, serde_json::Value)]) -> Schema {
    let described = fields.iter().enumerate().map(|(i, (id, name, data_type, more))| {
        let mut field = json!({
            "id": id, "name": name, "type": data_type, "primaryKey": i == 0, "autoId": false, "partitionKey": false,
            "nullable": false, "dynamic": false,
        });
        let members = more.as_object().into_iter().flatten();
        members.for_each(|(key, value)| field[key] = value.clone());
        field
    });
    let described: Vec<_> = described.collect();
    let dynamic = described.iter().any(|field| field["dynamic"] == true);
    let schema = json!({ "name": "c", "dynamicFieldEnabled": dynamic, "version": 0, "fields": described });
    Schema::from_json(&schema.to_string()).unwrap()
}

pub(crate) fn every_type() -> Schema {
    schema_of(&[
        (100, "id", 5, json!({})),
        (101, "flag", 1, json!({ "nullable": true })),
        (102, "tiny", 2, json!({ "nullable": true })),
        (103, "small", 3, json!({ "defaultValue": "7" })),
        (104, "int", 4, json!({ "nullable": true })),
        (105, "long", 5, json!({ "nullable": true })),
        (106, "real", 10, json!({ "nullable": true })),
        (107, "double", 11, json!({ "nullable": true })),
        (108, "text", 21, json!({ "lengthMax": 64, "partitionKey": true })),
        (109, "json", 23, json!({ "nullable": true })),
        (110, "longs", 22, json!({ "elementType": 5, "capacityMax": 8, "nullable": true })),
        (111, "texts", 22, json!({ "elementType": 21, "capacityMax": 8, "lengthMax": 16 })),
        (112, "floats", 101, json!({ "dim": 4, "nullable": true })),
        (113, "halves", 102, json!({ "dim": 2 })),
        (114, "brains", 103, json!({ "dim": 2 })),
        (115, "bits", 100, json!({ "dim": 16 })),
        (116, "bytes", 105, json!({ "dim": 3 })),
        (117, "sparse", 104, json!({})),
        (118, "$meta", 23, json!({ "nullable": true, "dynamic": true })),
    ])
}

/// Valid rows of the schema: what a request could have brought.
pub(crate) fn any_batch(rows: std::ops::Range<usize>) -> impl Strategy<Value = Batch> {
    rows.prop_flat_map(|row_count| {
        let schema = every_type();
        let columns: Vec<_> = schema.fields.into_iter().map(|field| any_column(field, row_count)).collect();
        columns.prop_map(move |columns| Batch { row_count, columns })
    })
}

fn any_column(field: Field, rows: usize) -> BoxedStrategy<Column> {
    let nullable = field.nullable && !field.dynamic;
    let validity = prop::collection::vec(any::<bool>(), rows);
    (any_values(&field, rows), prop::option::of(validity))
        .prop_map(move |(values, validity)| match validity {
            Some(valid) if nullable && valid.contains(&false) => with_nulls(&field, values, &valid),
            _ => Column { values, validity: None },
        })
        .boxed()
}

/// Null rows hold empty slots.
fn with_nulls(field: &Field, mut values: Values, valid: &[bool]) -> Column {
    let empty_at = values.len() as u32;
    values.append(&Column::nulls(field, 1).values).unwrap();
    let rows: Vec<u32> = valid.iter().enumerate().map(|(i, &v)| if v { i as u32 } else { empty_at }).collect();
    let mut bits = Bits::default();
    valid.iter().for_each(|&v| bits.push(v));
    Column { values: values.gather(&rows), validity: Some(bits) }
}

fn any_values(field: &Field, rows: usize) -> BoxedStrategy<Values> {
    if let Some(width) = field.data_type.vector_width(field.dim) {
        let one_byte = matches!(field.data_type, DataType::BinaryVector | DataType::Int8Vector);
        // High bytes of 16- and 32-bit floats below 0x70 keep every pattern finite.
        return prop::collection::vec(any::<u8>(), rows * width)
            .prop_map(move |data| {
                let data = data.iter().map(|&byte| if one_byte { byte } else { byte % 0x70 }).collect();
                Values::Fixed { width, data }
            })
            .boxed();
    }
    match field.data_type {
        DataType::Array => {
            let element = field.element_type.unwrap();
            let row = prop::collection::vec(any_scalar(element, 1), 0..5);
            prop::collection::vec(row, rows).prop_map(move |rows| lists(element, &rows)).boxed()
        }
        DataType::SparseFloatVector => {
            let row = prop::collection::btree_map(0..u32::MAX, 0.0_f32..9.0, 0..6);
            prop::collection::vec(row, rows)
                .prop_map(|rows| {
                    let mut all = VarBytes::default();
                    for row in rows {
                        let pairs = row.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()]);
                        all.push(&pairs.flatten().collect::<Vec<u8>>());
                    }
                    Values::Bytes(all)
                })
                .boxed()
        }
        DataType::Json if field.dynamic => texts(r#"\{"[q-z]{1,3}":[1-9][0-9]{0,3}\}"#, rows),
        DataType::Json => texts(r#"(null|true|-?[1-9]{1,4}|"[a-z]{0,6}"|\[1,\{"k":2\}\])"#, rows),
        data_type => any_scalar(data_type, rows),
    }
}

fn any_scalar(data_type: DataType, rows: usize) -> BoxedStrategy<Values> {
    match data_type {
        DataType::Bool => prop::collection::vec(any::<bool>(), rows).prop_map(Values::Bool).boxed(),
        DataType::Int8 => prop::collection::vec(-128..128_i32, rows).prop_map(Values::Int32).boxed(),
        DataType::Int16 => prop::collection::vec(-32768..32768_i32, rows).prop_map(Values::Int32).boxed(),
        DataType::Int32 => prop::collection::vec(any::<i32>(), rows).prop_map(Values::Int32).boxed(),
        DataType::Int64 => prop::collection::vec(any::<i64>(), rows).prop_map(Values::Int64).boxed(),
        DataType::Float => prop::collection::vec(-1e30_f32..1e30, rows).prop_map(Values::Float).boxed(),
        DataType::Double => prop::collection::vec(-1e300_f64..1e300, rows).prop_map(Values::Double).boxed(),
        _ => texts(".{0,4}", rows),
    }
}

fn texts(pattern: &'static str, rows: usize) -> BoxedStrategy<Values> {
    prop::collection::vec(pattern, rows)
        .prop_map(|texts| Values::Bytes(texts.iter().map(String::as_bytes).collect()))
        .boxed()
}

fn lists(element: DataType, rows: &[Vec<Values>]) -> Values {
    let mut offsets = vec![0];
    let mut elements =
        if element == DataType::Int64 { Values::Int64(Vec::new()) } else { Values::Bytes(VarBytes::default()) };
    for row in rows {
        row.iter().for_each(|value| elements.append(value).unwrap());
        offsets.push(elements.len() as u64);
    }
    Values::Array { offsets, elements: Box::new(elements) }
}
