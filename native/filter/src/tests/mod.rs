//! Programs against an independent, row-by-row evaluation with `Option<bool>` as the three truth values.

mod meaning;
mod random;
mod table;

use crate::{ColumnBounds, Program, ValueRange};
use elanus_index::scalar::ScalarType;
use elanus_rows::column::Bits;
use meaning::{DOCUMENT, DOUBLE, FIELDS, FLOAT, ID, Node, Operand, Row, SMALL, TEXT, encode, position, schema, truth};
use proptest::prelude::*;
use random::{expression, index_type, json_definition, row};
use serde_json::Value;
use table::{Indexes, JsonDefinition, Runs};

fn true_rows(bits: &Bits) -> Vec<usize> {
    bits.iter_ones().collect()
}

/// The texts of the rows, sorted.
fn text_values(rows: &[Row]) -> Vec<Vec<u8>> {
    let texts = rows.iter().filter_map(|row| row[position(TEXT)].as_str());
    let mut texts: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
    texts.sort_unstable();
    texts
}

/// What is known of a column of the rows.
fn bounds_of<'a>(field: u32, rows: &[Row], texts: &'a [Vec<u8>]) -> ColumnBounds<'a> {
    let column = || rows.iter().map(|row| &row[position(field)]).filter(|value| !value.is_null());
    let range = match field {
        ID | SMALL => {
            let ints = || column().filter_map(Value::as_i64);
            ints().min().zip(ints().max()).map(|(min, max)| ValueRange::Ints(min, max))
        }
        FLOAT | DOUBLE => {
            let floats = || column().filter_map(Value::as_f64);
            let (min, max) = (floats().reduce(f64::min), floats().reduce(f64::max));
            min.zip(max).map(|(min, max)| ValueRange::Floats(min, max))
        }
        TEXT => texts.first().zip(texts.last()).map(|(min, max)| ValueRange::Texts(min, max)),
        _ => None,
    };
    let values = column().count();
    ColumnBounds { nulls: values < rows.len(), values: values > 0, range: range.unwrap_or(ValueRange::Unknown) }
}

#[test]
fn bounds_rule_rows_out() {
    let known = |field| match field {
        SMALL => Some(ColumnBounds { nulls: true, values: true, range: ValueRange::Ints(3, 9) }),
        FLOAT => Some(ColumnBounds { nulls: false, values: true, range: ValueRange::Floats(0.5, 0.5) }),
        TEXT => Some(ColumnBounds { nulls: false, values: true, range: ValueRange::Texts(b"ba", b"bz") }),
        DOUBLE => Some(ColumnBounds { nulls: true, values: false, range: ValueRange::Unknown }),
        _ => None,
    };
    let column = |field| Operand::Column(field);
    let (equal, less, greater) = (0, 1, 3);
    let not = |node| Node::Not(Box::new(node));
    let two = |a, b| vec![a, b];
    for (node, may_pass) in [
        (Node::Compare(less, column(SMALL), 3.into()), false),
        (Node::Compare(less, column(SMALL), 4.into()), true),
        (not(Node::Compare(greater, column(SMALL), 2.into())), false),
        (not(Node::Compare(greater, column(SMALL), 3.into())), true),
        (Node::In(column(SMALL), vec![1.into(), 10.into()]), false),
        (Node::In(column(SMALL), vec![1.into(), 5.into()]), true),
        (Node::Compare(equal, column(FLOAT), 1.into()), false),
        (not(Node::Compare(equal, column(FLOAT), 0.5.into())), false),
        (Node::Compare(greater, column(TEXT), "bz".into()), false),
        (Node::Compare(greater, column(TEXT), "by".into()), true),
        (Node::IsNull(FLOAT), false),
        (Node::IsNull(SMALL), true),
        (not(Node::IsNull(DOUBLE)), false),
        (Node::Compare(less, column(DOUBLE), 1.into()), false),
        (not(Node::Compare(less, column(DOUBLE), 1.into())), false),
        (Node::Compare(less, column(ID), 1.into()), true),
        (
            Node::And(two(Node::Compare(less, column(ID), 1.into()), Node::Compare(less, column(SMALL), 1.into()))),
            false,
        ),
        (Node::Or(two(Node::Compare(less, column(ID), 1.into()), Node::Compare(less, column(SMALL), 1.into()))), true),
        (Node::Or(two(Node::IsNull(FLOAT), Node::Compare(less, column(SMALL), 1.into()))), false),
    ] {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        assert_eq!(program.may_pass(&known), may_pass, "{node:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn programs_mean_what_they_say(
        node in expression(),
        rows in proptest::collection::vec(row(), 0..90),
        cuts in proptest::collection::vec(any::<usize>(), 0..3),
        mask in any::<u64>(),
        of in index_type(),
        json in proptest::collection::vec(json_definition(), 0..3),
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
        let indexes = Indexes::new(&whole, of, &json);
        prop_assert_eq!(true_rows(&program.evaluate(&whole, Some(&indexes), None).unwrap()), expected);
        prop_assert_eq!(true_rows(&program.evaluate(&whole, Some(&indexes), Some(&candidates)).unwrap()), among);
    }

    #[test]
    fn what_bounds_rule_out_has_no_row(node in expression(), rows in proptest::collection::vec(row(), 0..4)) {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        let passed = (0..rows.len()).any(|i| truth(&node, &rows[i]) == Some(true));
        let texts: Vec<Vec<u8>> = text_values(&rows);
        prop_assert!(program.may_pass(&|field| Some(bounds_of(field, &rows, &texts))) || !passed);
        prop_assert!(program.may_pass(&|_| None) || !passed);
    }

    #[test]
    fn an_estimate_of_few_rows_is_exact(
        node in expression(),
        rows in proptest::collection::vec(row(), 0..90),
        cuts in proptest::collection::vec(any::<usize>(), 0..3),
    ) {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        let passed = (0..rows.len()).filter(|&i| truth(&node, &rows[i]) == Some(true)).count();
        let estimate = program.estimate(&Runs::new(&rows, &cuts), None, None).unwrap();
        prop_assert_eq!((estimate.passed, estimate.tried, estimate.exact), (passed, rows.len(), true));
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
fn float_columns_compare_in_32_bits() {
    let mut row: Row = vec![Value::Null; FIELDS.len()];
    row[0] = 1.into();
    row[2] = 0.1.into();
    let source = Runs::new(&[row], &[]);
    let indexes = Indexes::new(&source, ScalarType::Inverted, &[]);
    for node in [
        Node::Compare(0, Operand::Column(FLOAT), 0.1.into()),
        Node::In(Operand::Column(FLOAT), vec![0.1.into()]),
        Node::Range(3, Operand::Column(FLOAT), 0.1.into(), 0.1.into()),
    ] {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        assert!(program.evaluate(&source, None, None).unwrap().get(0), "{node:?}");
        assert!(program.evaluate(&source, Some(&indexes), None).unwrap().get(0), "{node:?}");
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
fn the_deepest_program_fits_a_small_stack() {
    let row: Row = (0..FIELDS.len()).map(|i| if i == 0 { 1.into() } else { Value::Null }).collect();
    let mut node = Node::Compare(0, Operand::Column(ID), 1.into());
    for level in 0..299 {
        let unknown = Node::Compare(0, Operand::Column(SMALL), 1.into());
        node = match level % 3 {
            0 => Node::And(vec![Node::Constant(true), unknown, node]),
            1 => Node::Or(vec![unknown, node]),
            _ => Node::Not(Box::new(node)),
        };
    }
    let bytes = encode(&node);
    let small = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = move || {
        let program = Program::decode(&schema(), &bytes).unwrap();
        program.evaluate(&Runs::new(&[row], &[]), None, None).unwrap().count_ones()
    };
    small.spawn(run).unwrap().join().unwrap();
}

/// Threads of the pool have more than twice that.
const STACK_BYTES: usize = 768 << 10;

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

/// A column of running numbers, of which a share passes: in one stretch, scattered, and periodic in the block size.
#[test]
fn an_estimate_of_many_rows_is_near() {
    let rows = 40_000;
    let row = |id: usize| -> Row {
        (0..FIELDS.len()).map(|i| if i == 0 { Value::from(id as i64) } else { Value::Null }).collect()
    };
    let all: Vec<Row> = (0..rows).map(row).collect();
    let id = || Operand::Column(ID);
    let remainder = |by: i64| Operand::Arithmetic(Box::new(id()), 4, by.into());
    for (node, share) in [
        (Node::Compare(1, id(), 4_000.into()), 0.1),
        (Node::Compare(1, remainder(100), 5.into()), 0.05),
        (Node::Compare(1, remainder(640), 64.into()), 0.1),
        (Node::Compare(1, id(), 0.into()), 0.0),
    ] {
        let program = Program::decode(&schema(), &encode(&node)).unwrap();
        for cuts in [&[][..], &[123, 20_001]] {
            let estimate = program.estimate(&Runs::new(&all, cuts), None, None).unwrap();
            assert!(!estimate.exact && estimate.tried < rows / 4, "{estimate:?}");
            assert!((estimate.fraction() - share).abs() < 0.05, "{node:?}: {} for {share}", estimate.fraction());
            assert!(estimate.fraction() > 0.0);
        }
    }
}

/// An index whose values were cast from texts answers for the numbers that they spell.
#[test]
fn texts_that_spell_numbers_are_found_by_a_casting_index() {
    let documents = [r#"{"a": "12.5"}"#, r#"{"a": 12.5}"#, r#"{"a": "x"}"#, r#"{"a": " 3 "}"#, r#"{"a": "inf"}"#, "{}"];
    let row = |(id, text): (usize, &&str)| -> Row {
        let value = |&field: &u32| match field {
            ID => Value::from(id),
            DOCUMENT => serde_json::from_str(text).unwrap(),
            _ => Value::Null,
        };
        FIELDS.iter().map(value).collect()
    };
    let rows: Vec<Row> = documents.iter().enumerate().map(row).collect();
    let source = Runs::new(&rows, &[]);
    let at = || Operand::Json(DOCUMENT, vec!["a".into()]);
    for (cast, equal, less, texts) in
        [("DOUBLE", vec![1], vec![], vec![2]), ("STRING_TO_DOUBLE", vec![0, 1], vec![3], vec![2])]
    {
        let json = JsonDefinition { of: ScalarType::Inverted, path: vec!["a".into()], cast };
        let indexes = Indexes::new(&source, ScalarType::Inverted, &[json]);
        let found = |node: &Node| {
            let program = Program::decode(&schema(), &encode(node)).unwrap();
            true_rows(&program.evaluate(&source, Some(&indexes), None).unwrap())
        };
        assert_eq!(found(&Node::Compare(0, at(), 12.5.into())), equal, "{cast}");
        assert_eq!(found(&Node::Compare(1, at(), 12.into())), less, "{cast}");
        assert_eq!(found(&Node::Compare(0, at(), "x".into())), texts, "{cast}");
        assert_eq!(found(&Node::Exists(at())), vec![0, 1, 2, 3, 4], "{cast}");
    }
}
