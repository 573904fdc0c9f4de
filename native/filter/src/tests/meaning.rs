//! Programs as trees: their encoding, and what they mean for a row.

use elanus_rows::schema::Schema;
use serde_json::{Value, json};

/// Field ids of the test schema.
pub(super) const ID: u32 = 100;
pub(super) const SMALL: u32 = 101;
pub(super) const FLOAT: u32 = 102;
pub(super) const DOUBLE: u32 = 103;
pub(super) const FLAG: u32 = 104;
pub(super) const TEXT: u32 = 105;
pub(super) const DOCUMENT: u32 = 106;
pub(super) const INTS: u32 = 107;
pub(super) const TEXTS: u32 = 108;
pub(super) const DYNAMIC: u32 = 109;
pub(super) const FIELDS: [u32; 10] = [ID, SMALL, FLOAT, DOUBLE, FLAG, TEXT, DOCUMENT, INTS, TEXTS, DYNAMIC];

pub(super) fn schema() -> Schema {
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
pub(super) type Row = Vec<Value>;

pub(super) fn position(field: u32) -> usize {
    (field - ID) as usize
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Column(u32),
    Json(u32, Vec<Value>),
    Element(u32, u32),
    Length(Box<Operand>),
    Arithmetic(Box<Operand>, u8, Value),
}

#[derive(Clone, Debug)]
pub(super) enum Node {
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

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

pub(super) fn put_literal(out: &mut Vec<u8>, literal: &Value) {
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

pub(super) fn put_list(out: &mut Vec<u8>, items: &[Value]) {
    out.push(0);
    out.extend((items.len() as u32).to_le_bytes());
    items.iter().for_each(|item| put_literal(out, item));
}

pub(super) fn put_operand(out: &mut Vec<u8>, operand: &Operand) {
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

pub(super) fn put_node(out: &mut Vec<u8>, node: &Node) {
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

pub(super) fn encode(node: &Node) -> Vec<u8> {
    let mut out = b"EFLT\x01".to_vec();
    put_node(&mut out, node);
    out
}

/// What an operand is in a row.
pub(super) enum Found {
    Unknown,
    /// Inside a document: no such value.
    Missing,
    Value(Value),
}

pub(super) fn find(operand: &Operand, row: &Row) -> Found {
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

pub(super) fn compute(value: &Value, operation: u8, constant: &Value) -> Option<Value> {
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

pub(super) fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
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

pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => order(a, b).is_some_and(|order| order.is_eq()),
    }
}

pub(super) fn holds(relation: u8, a: &Value, b: &Value) -> bool {
    match relation {
        0 => equal(a, b),
        1 => order(a, b).is_some_and(|o| o.is_lt()),
        2 => order(a, b).is_some_and(|o| o.is_le()),
        3 => order(a, b).is_some_and(|o| o.is_gt()),
        _ => order(a, b).is_some_and(|o| o.is_ge()),
    }
}

/// A constant as the operand's column sees it: 32-bit floats are narrowed.
pub(super) fn narrowed(operand: &Operand, literal: &Value) -> Value {
    match operand {
        Operand::Column(FLOAT) => Value::from(f64::from(literal.as_f64().unwrap() as f32)),
        _ => literal.clone(),
    }
}

pub(super) fn on_value(operand: &Operand, row: &Row, test: impl Fn(&Value) -> bool) -> Option<bool> {
    match find(operand, row) {
        Found::Unknown => None,
        Found::Missing => Some(false),
        Found::Value(value) => Some(test(&value)),
    }
}

pub(super) fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
        ['_', rest @ ..] => !text.is_empty() && like(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && like(rest, &text[1..]),
    }
}

/// `and` is decided by one FALSE, `or` by one TRUE; without it one UNKNOWN makes the whole UNKNOWN.
pub(super) fn decided(nodes: &[Node], row: &Row, decisive: bool) -> Option<bool> {
    let truths: Vec<Option<bool>> = nodes.iter().map(|node| truth(node, row)).collect();
    if truths.contains(&Some(decisive)) {
        return Some(decisive);
    }
    (!truths.contains(&None)).then_some(!decisive)
}

pub(super) fn truth(node: &Node, row: &Row) -> Option<bool> {
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
