//! Random rows and programs.

use super::meaning::{
    DOCUMENT, DOUBLE, DYNAMIC, FIELDS, FLAG, FLOAT, ID, INTS, Node, Operand, Row, SMALL, TEXT, TEXTS,
};
use super::table::JsonDefinition;
use elanus_index::scalar::ScalarType;
use proptest::prelude::*;
use serde_json::Value;

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

pub(super) fn row() -> impl Strategy<Value = Row> {
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

pub(super) fn expression() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Node::And),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Node::Or),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}

pub(super) fn index_type() -> impl Strategy<Value = ScalarType> {
    let types = [
        ScalarType::Inverted,
        ScalarType::Bitmap,
        ScalarType::StlSort,
        ScalarType::Trie,
        ScalarType::Ngram { min: 1, max: 2 },
        ScalarType::Ngram { min: 2, max: 3 },
        ScalarType::Hybrid { limit: 2 },
    ];
    proptest::sample::select(types.to_vec())
}

pub(super) fn json_definition() -> impl Strategy<Value = JsonDefinition> {
    const CASTS: [&str; 7] = ["BOOL", "DOUBLE", "VARCHAR", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR", "JSON"];
    let step = prop_oneof![3 => "[xy0]".prop_map(Value::from), 1 => (0u64..2).prop_map(Value::from)];
    let path = proptest::collection::vec(step, 0..3);
    let lookup = (path.clone(), index_type(), proptest::sample::select(&CASTS[..])).prop_map(|(path, of, cast)| {
        let of = if let ScalarType::Ngram { .. } = of { ScalarType::Inverted } else { of };
        JsonDefinition { of, path, cast }
    });
    let grams =
        path.prop_map(|path| JsonDefinition { of: ScalarType::Ngram { min: 1, max: 2 }, path, cast: "VARCHAR" });
    prop_oneof![5 => lookup, 1 => grams]
}
