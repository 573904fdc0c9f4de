//! Programs against an independent, row-by-row evaluation with `Option<bool>` as the three truth values.

use crate::{ColumnSource, ColumnView, Program, ScalarIndexes, ScalarSlice, ViewValues};
use elanus_index::progress::Progress;
use elanus_index::scalar::{ScalarIndex, ScalarRows, Scalars, build};
use elanus_index::storage::Storage;
use elanus_rows::column::{Bits, Column, Values, VarBytes};
use elanus_rows::error::NativeError;
use elanus_rows::schema::Schema;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Field ids of the test schema.
const ID: u32 = 100;
const SMALL: u32 = 101;
const FLOAT: u32 = 102;
const DOUBLE: u32 = 103;
const FLAG: u32 = 104;
const TEXT: u32 = 105;
const DOCUMENT: u32 = 106;
const INTS: u32 = 107;
const TEXTS: u32 = 108;
const DYNAMIC: u32 = 109;
const FIELDS: [u32; 10] = [ID, SMALL, FLOAT, DOUBLE, FLAG, TEXT, DOCUMENT, INTS, TEXTS, DYNAMIC];

fn schema() -> Schema {
    let field = |id: u32, name: &str, kind: u32, element: Option<u32>| {
        let mut field = json!({
            "id": id, "name": name, "type": kind, "primaryKey": id == ID, "autoId": false, "partitionKey": false,
            "nullable": id != ID, "dynamic": id == DYNAMIC,
        });
        if let Some(element) = element {
            field["elementType"] = element.into();
        }
        field
    };
    let fields = json!([
        field(ID, "id", 5, None),
        field(SMALL, "small", 2, None),
        field(FLOAT, "float", 10, None),
        field(DOUBLE, "double", 11, None),
        field(FLAG, "flag", 1, None),
        field(TEXT, "text", 21, None),
        field(DOCUMENT, "document", 23, None),
        field(INTS, "ints", 22, Some(5)),
        field(TEXTS, "texts", 22, Some(21)),
        field(DYNAMIC, "$meta", 23, None),
    ]);
    let schema = json!({"name": "c", "fields": fields, "dynamicFieldEnabled": true, "version": 0});
    Schema::from_json(&schema.to_string()).unwrap()
}

/// One row: a JSON value per field, null where the field is null.
type Row = Vec<Value>;

fn position(field: u32) -> usize {
    (field - ID) as usize
}

// ---- the expression as a tree, its encoding, and its meaning ----

#[derive(Clone, Debug)]
enum Operand {
    Column(u32),
    Json(u32, Vec<Value>),
    Element(u32, u32),
    Length(Box<Operand>),
    Arithmetic(Box<Operand>, u8, Value),
}

#[derive(Clone, Debug)]
enum Node {
    Constant(bool),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull(u32),
    Exists(Operand),
    Compare(u8, Operand, Value),
    Range(u8, Operand, Value, Value),
    In(Operand, Vec<Value>),
    Like(Operand, String),
    Columns(u8, u32, u32),
    Contains(bool, Operand, Vec<Value>),
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_literal(out: &mut Vec<u8>, literal: &Value) {
    match literal {
        Value::Bool(b) => out.extend([0, u8::from(*b)]),
        Value::Number(n) if n.is_i64() => {
            out.push(1);
            out.extend(n.as_i64().unwrap().to_le_bytes());
        }
        Value::Number(n) => {
            out.push(2);
            out.extend(n.as_f64().unwrap().to_le_bytes());
        }
        Value::String(s) => {
            out.push(3);
            put_text(out, s);
        }
        Value::Array(items) => {
            out.push(4);
            put_list(out, items);
        }
        other => panic!("no literal {other}"),
    }
}

fn put_list(out: &mut Vec<u8>, items: &[Value]) {
    out.push(0);
    out.extend((items.len() as u32).to_le_bytes());
    items.iter().for_each(|item| put_literal(out, item));
}

fn put_operand(out: &mut Vec<u8>, operand: &Operand) {
    match operand {
        Operand::Column(field) => {
            out.push(0);
            out.extend(field.to_le_bytes());
        }
        Operand::Json(field, steps) => {
            out.push(1);
            out.extend(field.to_le_bytes());
            out.extend((steps.len() as u32).to_le_bytes());
            for step in steps {
                match step {
                    Value::String(key) => {
                        out.push(0);
                        put_text(out, key);
                    }
                    index => {
                        out.push(1);
                        out.extend((index.as_u64().unwrap() as u32).to_le_bytes());
                    }
                }
            }
        }
        Operand::Element(field, index) => {
            out.push(2);
            out.extend(field.to_le_bytes());
            out.extend(index.to_le_bytes());
        }
        Operand::Length(inner) => {
            out.push(3);
            put_operand(out, inner);
        }
        Operand::Arithmetic(inner, operation, constant) => {
            out.extend([4, *operation]);
            put_operand(out, inner);
            put_literal(out, constant);
        }
    }
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    match node {
        Node::Constant(value) => out.extend([0, u8::from(*value)]),
        Node::And(nodes) | Node::Or(nodes) => {
            out.push(if matches!(node, Node::And(_)) { 1 } else { 2 });
            out.extend((nodes.len() as u32).to_le_bytes());
            nodes.iter().for_each(|node| put_node(out, node));
        }
        Node::Not(inner) => {
            out.push(3);
            put_node(out, inner);
        }
        Node::IsNull(field) => {
            out.push(4);
            out.extend(field.to_le_bytes());
        }
        Node::Exists(operand) => {
            out.push(5);
            put_operand(out, operand);
        }
        Node::Compare(relation, operand, literal) => {
            out.extend([6, *relation]);
            put_operand(out, operand);
            put_literal(out, literal);
        }
        Node::Range(flags, operand, low, high) => {
            out.extend([7, *flags]);
            put_operand(out, operand);
            put_literal(out, low);
            put_literal(out, high);
        }
        Node::In(operand, items) => {
            out.push(8);
            put_operand(out, operand);
            put_list(out, items);
        }
        Node::Like(operand, pattern) => {
            out.push(9);
            put_operand(out, operand);
            put_text(out, pattern);
        }
        Node::Columns(relation, a, b) => {
            out.extend([11, *relation]);
            out.extend(a.to_le_bytes());
            out.extend(b.to_le_bytes());
        }
        Node::Contains(all, operand, items) => {
            out.extend([12, u8::from(*all)]);
            put_operand(out, operand);
            put_list(out, items);
        }
    }
}

fn encode(node: &Node) -> Vec<u8> {
    let mut out = b"EFLT\x01".to_vec();
    put_node(&mut out, node);
    out
}

/// What an operand is in a row.
enum Found {
    Unknown,
    /// Inside a document: no such value.
    Missing,
    Value(Value),
}

fn find(operand: &Operand, row: &Row) -> Found {
    match operand {
        Operand::Column(field) => match &row[position(*field)] {
            Value::Null => Found::Unknown,
            value => Found::Value(value.clone()),
        },
        Operand::Json(field, steps) => {
            let mut at = match &row[position(*field)] {
                Value::Null if *field == DYNAMIC => return Found::Missing,
                Value::Null => return Found::Unknown,
                value => value.clone(),
            };
            for step in steps {
                let next = match (&at, step) {
                    (Value::Object(map), Value::String(key)) => map.get(key),
                    (Value::Object(map), index) => map.get(&index.to_string()),
                    (Value::Array(items), Value::Number(index)) => items.get(index.as_u64().unwrap() as usize),
                    _ => None,
                };
                match next {
                    Some(value) => at = value.clone(),
                    None => return Found::Missing,
                }
            }
            Found::Value(at)
        }
        Operand::Element(field, index) => match &row[position(*field)] {
            Value::Array(items) => items.get(*index as usize).map_or(Found::Unknown, |v| Found::Value(v.clone())),
            _ => Found::Unknown,
        },
        Operand::Length(inner) => match find(inner, row) {
            Found::Value(Value::Array(items)) => Found::Value(items.len().into()),
            Found::Unknown => Found::Unknown,
            _ => Found::Missing,
        },
        Operand::Arithmetic(inner, operation, constant) => match find(inner, row) {
            Found::Value(value) => compute(&value, *operation, constant).map_or(Found::Missing, Found::Value),
            other => other,
        },
    }
}

fn compute(value: &Value, operation: u8, constant: &Value) -> Option<Value> {
    if let (Some(a), Some(b)) = (value.as_i64(), constant.as_i64()) {
        return Some(
            match operation {
                0 => a.wrapping_add(b),
                1 => a.wrapping_sub(b),
                2 => a.wrapping_mul(b),
                3 => a.wrapping_div(b),
                4 => a.wrapping_rem(b),
                5 => a & b,
                6 => a | b,
                _ => a ^ b,
            }
            .into(),
        );
    }
    let (a, b) = (value.as_f64()?, constant.as_f64()?);
    Some(
        match operation {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a / b,
            _ => return None,
        }
        .into(),
    )
}

fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()),
        },
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => order(a, b).is_some_and(|order| order.is_eq()),
    }
}

fn holds(relation: u8, a: &Value, b: &Value) -> bool {
    match relation {
        0 => equal(a, b),
        1 => order(a, b).is_some_and(|o| o.is_lt()),
        2 => order(a, b).is_some_and(|o| o.is_le()),
        3 => order(a, b).is_some_and(|o| o.is_gt()),
        _ => order(a, b).is_some_and(|o| o.is_ge()),
    }
}

/// A constant as the operand's column sees it: 32-bit floats are narrowed.
fn narrowed(operand: &Operand, literal: &Value) -> Value {
    match operand {
        Operand::Column(FLOAT) => Value::from(f64::from(literal.as_f64().unwrap() as f32)),
        _ => literal.clone(),
    }
}

fn on_value(operand: &Operand, row: &Row, test: impl Fn(&Value) -> bool) -> Option<bool> {
    match find(operand, row) {
        Found::Unknown => None,
        Found::Missing => Some(false),
        Found::Value(value) => Some(test(&value)),
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
        ['_', rest @ ..] => !text.is_empty() && like(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && like(rest, &text[1..]),
    }
}

/// `and` is decided by one FALSE, `or` by one TRUE; without it one UNKNOWN makes the whole UNKNOWN.
fn decided(nodes: &[Node], row: &Row, decisive: bool) -> Option<bool> {
    let truths: Vec<Option<bool>> = nodes.iter().map(|node| truth(node, row)).collect();
    if truths.contains(&Some(decisive)) {
        return Some(decisive);
    }
    (!truths.contains(&None)).then_some(!decisive)
}

fn truth(node: &Node, row: &Row) -> Option<bool> {
    match node {
        Node::Constant(value) => Some(*value),
        Node::And(nodes) => decided(nodes, row, false),
        Node::Or(nodes) => decided(nodes, row, true),
        Node::Not(inner) => truth(inner, row).map(|value| !value),
        Node::IsNull(field) => Some(*field != DYNAMIC && row[position(*field)].is_null()),
        Node::Exists(operand) => Some(matches!(find(operand, row), Found::Value(value) if !value.is_null())),
        Node::Compare(relation, operand, literal) => {
            let literal = narrowed(operand, literal);
            on_value(operand, row, |value| holds(*relation, value, &literal))
        }
        Node::Range(flags, operand, low, high) => {
            let (low, high) = (narrowed(operand, low), narrowed(operand, high));
            on_value(operand, row, |value| {
                holds(if flags & 1 == 1 { 4 } else { 3 }, value, &low)
                    && holds(if flags & 2 == 2 { 2 } else { 1 }, value, &high)
            })
        }
        Node::In(operand, items) => {
            on_value(operand, row, |value| items.iter().any(|item| equal(value, &narrowed(operand, item))))
        }
        Node::Like(operand, pattern) => on_value(operand, row, |value| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            value.as_str().is_some_and(|text| like(&chars(pattern), &chars(text)))
        }),
        Node::Columns(relation, a, b) => match (&row[position(*a)], &row[position(*b)]) {
            (Value::Null, _) | (_, Value::Null) => None,
            (a, b) => Some(holds(*relation, a, b)),
        },
        Node::Contains(all, operand, items) => on_value(operand, row, |value| {
            let Value::Array(elements) = value else { return false };
            let found = |item: &Value| elements.iter().any(|element| equal(element, item));
            if *all { items.iter().all(found) } else { items.iter().any(found) }
        }),
    }
}

// ---- random rows and expressions ----

fn small_int() -> impl Strategy<Value = i64> {
    -3i64..4
}

fn short_text() -> impl Strategy<Value = String> {
    "[ab%é]{0,3}"
}

/// A number with few digits, so that equal ones occur; often whole.
fn short_float() -> impl Strategy<Value = f64> {
    (-6i32..7).prop_map(|v| f64::from(v) / 2.0)
}

fn nullable(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 5 => value]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        small_int().prop_map(Value::from),
        short_float().prop_map(Value::from),
        short_text().prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[xy0]", inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    });
    prop_oneof![
        5 => proptest::collection::btree_map("[xy0]", inner.clone(), 0..3)
            .prop_map(|m| Value::Object(m.into_iter().collect())),
        1 => proptest::collection::vec(inner, 0..3).prop_map(Value::from),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let array = |element: BoxedStrategy<Value>| proptest::collection::vec(element, 0..4).prop_map(Value::from);
    (
        small_int().prop_map(Value::from),
        nullable(small_int().prop_map(Value::from)),
        nullable(short_float().prop_map(Value::from)),
        nullable(short_float().prop_map(Value::from)),
        nullable(any::<bool>().prop_map(Value::from)),
        nullable(short_text().prop_map(Value::from)),
        nullable(document()),
        nullable(array(small_int().prop_map(Value::from).boxed())),
        nullable(array(short_text().prop_map(Value::from).boxed())),
        nullable(document().prop_filter("an object", Value::is_object)),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| vec![a, b, c, d, e, f, g, h, i, j])
}

fn path() -> impl Strategy<Value = Operand> {
    let step = prop_oneof![3 => "[xy0]".prop_map(Value::from), 1 => (0u64..2).prop_map(Value::from)];
    (prop_oneof![Just(DOCUMENT), Just(DYNAMIC)], proptest::collection::vec(step, 1..3))
        .prop_map(|(field, steps)| Operand::Json(field, steps))
}

fn int_operand() -> impl Strategy<Value = Operand> {
    let plain = prop_oneof![
        Just(Operand::Column(ID)),
        Just(Operand::Column(SMALL)),
        (0u32..3).prop_map(|index| Operand::Element(INTS, index)),
        Just(Operand::Length(Box::new(Operand::Column(INTS)))),
        path().prop_map(|path| Operand::Length(Box::new(path))),
    ];
    (plain, proptest::option::of((0u8..8, 1i64..4))).prop_map(|(operand, arithmetic)| match arithmetic {
        None => operand,
        Some((operation, constant)) => Operand::Arithmetic(Box::new(operand), operation, constant.into()),
    })
}

fn float_operand() -> impl Strategy<Value = Operand> {
    let plain = prop_oneof![Just(Operand::Column(FLOAT)), Just(Operand::Column(DOUBLE))];
    let constant = prop_oneof![(1i64..4).prop_map(Value::from), Just(Value::from(0.5))];
    (plain, proptest::option::of((0u8..4, constant))).prop_map(|(operand, arithmetic)| match arithmetic {
        None => operand,
        Some((operation, constant)) => Operand::Arithmetic(Box::new(operand), operation, constant),
    })
}

fn text_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![Just(Operand::Column(TEXT)), (0u32..3).prop_map(|index| Operand::Element(TEXTS, index))]
}

fn json_literal() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        small_int().prop_map(Value::from),
        short_float().prop_map(Value::from),
        short_text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    prop_oneof![5 => scalar.clone(), 1 => proptest::collection::vec(scalar, 0..3).prop_map(Value::from)]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![small_int().prop_map(Value::from), short_float().prop_map(Value::from)]
}

fn leaf() -> impl Strategy<Value = Node> {
    let relation = 0u8..5;
    let pattern = "[ab%_é]{0,4}";
    prop_oneof![
        any::<bool>().prop_map(Node::Constant),
        proptest::sample::select(&FIELDS[..]).prop_map(Node::IsNull),
        path().prop_map(Node::Exists),
        (relation.clone(), int_operand(), small_int()).prop_map(|(r, o, v)| Node::Compare(r, o, v.into())),
        (0u8..4, int_operand(), small_int(), small_int()).prop_map(|(f, o, a, b)| Node::Range(
            f,
            o,
            a.into(),
            b.into()
        )),
        (relation.clone(), float_operand(), number()).prop_map(|(r, o, v)| Node::Compare(r, o, v)),
        (0u8..4, float_operand(), number(), number()).prop_map(|(f, o, a, b)| Node::Range(f, o, a, b)),
        (relation.clone(), any::<bool>()).prop_map(|(r, v)| Node::Compare(r, Operand::Column(FLAG), v.into())),
        (relation.clone(), text_operand(), short_text()).prop_map(|(r, o, v)| Node::Compare(r, o, v.into())),
        (0u8..4, text_operand(), short_text(), short_text()).prop_map(|(f, o, a, b)| Node::Range(
            f,
            o,
            a.into(),
            b.into()
        )),
        (prop_oneof![text_operand(), path()], pattern).prop_map(|(o, p)| Node::Like(o, p)),
        (path(), json_literal()).prop_map(|(o, v)| Node::Compare(0, o, v)),
        (relation.clone(), path(), number()).prop_map(|(r, o, v)| Node::Compare(r, o, v)),
        (relation.clone(), path(), 0u8..8, 1i64..4, number()).prop_map(|(r, o, op, c, v)| Node::Compare(
            r,
            Operand::Arithmetic(Box::new(o), op, c.into()),
            v
        )),
        (0u8..4, path(), number(), number()).prop_map(|(f, o, a, b)| Node::Range(f, o, a, b)),
        (path(), proptest::collection::vec(json_literal(), 0..4)).prop_map(|(o, items)| Node::In(o, items)),
        (path(), any::<bool>(), proptest::collection::vec(json_literal(), 0..3))
            .prop_map(|(o, all, items)| Node::Contains(all, o, items)),
        (
            prop_oneof![Just(ID), Just(SMALL)].prop_map(Operand::Column),
            proptest::collection::vec(small_int().prop_map(Value::from), 0..4)
        )
            .prop_map(|(o, items)| Node::In(o, items)),
        proptest::collection::vec(number(), 0..4).prop_map(|items| Node::In(Operand::Column(FLOAT), items)),
        (text_operand(), proptest::collection::vec(short_text().prop_map(Value::from), 0..4))
            .prop_map(|(o, items)| Node::In(o, items)),
        (any::<bool>(), proptest::collection::vec(small_int().prop_map(Value::from), 0..3))
            .prop_map(|(all, items)| Node::Contains(all, Operand::Column(INTS), items)),
        (any::<bool>(), proptest::collection::vec(short_text().prop_map(Value::from), 0..3))
            .prop_map(|(all, items)| Node::Contains(all, Operand::Column(TEXTS), items)),
        proptest::collection::vec(small_int().prop_map(Value::from), 0..3).prop_map(|items| Node::Compare(
            0,
            Operand::Column(INTS),
            items.into()
        )),
        (relation, proptest::sample::select(&[(ID, SMALL), (SMALL, FLOAT), (FLOAT, DOUBLE), (DOUBLE, ID)][..]))
            .prop_map(|(r, (a, b))| Node::Columns(r, a, b)),
    ]
}

fn expression() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Node::And),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Node::Or),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}

// ---- rows as columns ----

fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> VarBytes {
    let mut bytes = VarBytes::default();
    values.for_each(|value| bytes.push(value.as_str().unwrap_or("").as_bytes()));
    bytes
}

fn scalars<'a>(field: u32, values: impl Iterator<Item = &'a Value>) -> Values {
    match field {
        ID | INTS => Values::Int64(values.map(|v| v.as_i64().unwrap_or(0)).collect()),
        SMALL => Values::Int32(values.map(|v| v.as_i64().unwrap_or(0) as i32).collect()),
        FLOAT => Values::Float(values.map(|v| v.as_f64().unwrap_or(0.0) as f32).collect()),
        DOUBLE => Values::Double(values.map(|v| v.as_f64().unwrap_or(0.0)).collect()),
        FLAG => Values::Bool(values.map(|v| v.as_bool().unwrap_or(false)).collect()),
        _ => Values::Bytes(texts(values)),
    }
}

fn column(field: u32, rows: &[Row]) -> Column {
    let cells = || rows.iter().map(|row| &row[position(field)]);
    let values = match field {
        INTS | TEXTS => {
            let empty = Vec::new();
            let arrays: Vec<&Vec<Value>> = cells().map(|v| v.as_array().unwrap_or(&empty)).collect();
            let mut offsets = vec![0u64];
            arrays.iter().for_each(|items| offsets.push(offsets[offsets.len() - 1] + items.len() as u64));
            Values::Array { offsets, elements: Box::new(scalars(field, arrays.into_iter().flatten())) }
        }
        DOCUMENT | DYNAMIC => {
            let mut bytes = VarBytes::default();
            cells().for_each(|v| bytes.push(if v.is_null() { String::new() } else { v.to_string() }.as_bytes()));
            Values::Bytes(bytes)
        }
        _ => scalars(field, cells()),
    };
    let mut validity = Bits::default();
    cells().for_each(|v| validity.push(!v.is_null()));
    Column { values, validity: Some(validity) }
}

struct Runs {
    runs: Vec<Vec<Column>>,
    lengths: Vec<usize>,
}

impl Runs {
    fn new(rows: &[Row], cuts: &[usize]) -> Self {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[Row]> = cuts.windows(2).map(|pair| &rows[pair[0]..pair[1]]).collect();
        Self {
            runs: parts.iter().map(|part| FIELDS.map(|field| column(field, part)).into()).collect(),
            lengths: parts.iter().map(|part| part.len()).collect(),
        }
    }
}

impl ColumnSource for Runs {
    fn row_count(&self) -> usize {
        self.lengths.iter().sum()
    }

    fn run_count(&self) -> usize {
        self.runs.len()
    }

    fn run_rows(&self, run: usize) -> usize {
        self.lengths[run]
    }

    fn column(&self, run: usize, field: u32) -> Result<Option<ColumnView<'_>>, NativeError> {
        Ok(Some((&self.runs[run][position(field)]).into()))
    }
}

struct Indexes(Vec<Option<ScalarIndex>>);

impl Indexes {
    fn new(source: &Runs) -> Self {
        Self(FIELDS.map(|field| (!matches!(field, DOCUMENT | DYNAMIC)).then(|| index(source, field))).into())
    }
}

impl ScalarIndexes for Indexes {
    fn of(&self, field: u32) -> Option<&ScalarIndex> {
        self.0[position(field)].as_ref()
    }
}

fn index(source: &Runs, field: u32) -> ScalarIndex {
    let view = source.column(0, field).unwrap().unwrap();
    let (slice, offsets) = match view.values {
        ViewValues::Scalar(slice) => (slice, None),
        ViewValues::Array { offsets, elements } => (elements, Some(offsets)),
        ViewValues::Opaque => panic!("no index on vectors"),
    };
    let values = match slice {
        ScalarSlice::Bool(v) => Scalars::Bool(v),
        ScalarSlice::Int32(v) => Scalars::Int32(v),
        ScalarSlice::Int64(v) => Scalars::Int64(v),
        ScalarSlice::Float(v) => Scalars::Float(v),
        ScalarSlice::Double(v) => Scalars::Double(v),
        ScalarSlice::Bytes(v) => Scalars::Bytes { offsets: v.offsets, data: v.data },
    };
    let validity = view.validity.map(Bits::words);
    let rows = ScalarRows { row_count: source.row_count(), values, offsets, validity };
    ScalarIndex::open(Storage::copy_of(&build(&rows, &Progress::default()).unwrap())).unwrap()
}

fn true_rows(bits: &Bits) -> Vec<usize> {
    bits.iter_ones().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn programs_mean_what_they_say(
        node in expression(),
        rows in proptest::collection::vec(row(), 0..90),
        cuts in proptest::collection::vec(any::<usize>(), 0..3),
        mask in any::<u64>(),
    ) {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        let expected: Vec<usize> = (0..rows.len()).filter(|&i| truth(&node, &rows[i]) == Some(true)).collect();
        let source = Runs::new(&rows, &cuts);
        prop_assert_eq!(true_rows(&program.evaluate(&source, None, None).unwrap()), expected.clone());

        let mut candidates = Bits::with_value(rows.len(), false);
        (0..rows.len()).for_each(|i| candidates.set(i, mask >> (i % 61) & 1 == 1));
        let among: Vec<usize> = expected.iter().copied().filter(|&i| candidates.get(i)).collect();
        prop_assert_eq!(true_rows(&program.evaluate(&source, None, Some(&candidates)).unwrap()), among.clone());

        let whole = Runs::new(&rows, &[]);
        let indexes = Indexes::new(&whole);
        prop_assert_eq!(true_rows(&program.evaluate(&whole, Some(&indexes), None).unwrap()), expected);
        prop_assert_eq!(true_rows(&program.evaluate(&whole, Some(&indexes), Some(&candidates)).unwrap()), among);
    }

    #[test]
    fn damaged_programs_are_refused_or_run(
        node in expression(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        cut in any::<usize>(),
        rows in proptest::collection::vec(row(), 0..5),
    ) {
        let mut bytes = encode(&node);
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut % 3);
        if let Ok(program) = Program::decode(&schema(), &bytes) {
            program.evaluate(&Runs::new(&rows, &[]), None, None).unwrap();
        }
    }

    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut program = b"EFLT\x01".to_vec();
        program.extend(&bytes);
        let _ = Program::decode(&schema(), &program);
        let _ = Program::decode(&schema(), &bytes);
    }
}

#[test]
fn nulls_follow_the_truth_table() {
    let mut row: Row = vec![Value::Null; FIELDS.len()];
    row[0] = 1.into();
    let n = || Operand::Column(SMALL);
    let compare = |relation, value: i64| Node::Compare(relation, n(), value.into());
    let not = |node| Node::Not(Box::new(node));
    let id = |relation| Node::Compare(relation, Operand::Column(ID), 0.into());
    let source = Runs::new(std::slice::from_ref(&row), &[]);
    let selected = |node: &Node| {
        let program = Program::decode(&schema(), &encode(node)).unwrap();
        program.evaluate(&source, None, None).unwrap().get(0)
    };
    for out in [
        compare(0, 1),
        not(compare(0, 1)),
        not(not(compare(0, 1))),
        Node::In(n(), vec![1.into()]),
        not(Node::In(n(), vec![1.into()])),
        Node::In(n(), vec![]),
        not(Node::In(n(), vec![])),
        Node::Or(vec![compare(3, 0), compare(2, 0)]),
    ] {
        assert!(!selected(&out), "{out:?}");
    }
    for kept in [
        Node::Or(vec![Node::IsNull(SMALL), compare(0, 1)]),
        Node::Or(vec![compare(0, 1), id(4)]),
        not(Node::And(vec![compare(0, 1), id(1)])),
    ] {
        assert!(selected(&kept), "{kept:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let mut bytes = b"EFLT\x01".to_vec();
    bytes.extend(vec![3; 1_000_000]);
    bytes.extend([0, 1]);
    assert!(Program::decode(&schema(), &bytes).is_err());
}

#[test]
fn keys_are_read_off() {
    let keys = |node: &Node| Program::decode(&schema(), &encode(node)).unwrap().primary_keys();
    let ids = Node::In(Operand::Column(ID), vec![3.into(), 1.into(), 3.into()]);
    let found = keys(&ids).unwrap();
    assert_eq!((found.keys, found.exact), (crate::KeyList::Ints(vec![1, 3]), true));
    let both = Node::And(vec![ids.clone(), Node::Compare(0, Operand::Column(TEXT), "a".into())]);
    assert!(!keys(&both).unwrap().exact);
    assert!(keys(&Node::Not(Box::new(ids.clone()))).is_none());
    assert!(keys(&Node::Or(vec![ids, Node::Constant(false)])).is_none());
}
