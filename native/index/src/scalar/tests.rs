//! The index against a walk over the values.

use super::{Key, ScalarIndex, ScalarRows, Scalars, build};
use crate::progress::Progress;
use crate::storage::Storage;
use proptest::prelude::*;
use std::ops::{Bound, Range};

fn open(rows: &ScalarRows<'_>) -> ScalarIndex {
    ScalarIndex::open(Storage::copy_of(&build(rows, &Progress::default()).unwrap())).unwrap()
}

fn rows_of(index: &ScalarIndex, entries: Range<usize>) -> Vec<usize> {
    let mut words = vec![0; index.row_count().div_ceil(64)];
    index.mark(entries, &mut words);
    (0..index.row_count()).filter(|row| words[row / 64] >> (row % 64) & 1 == 1).collect()
}

fn bits(flags: &[bool]) -> Vec<u64> {
    let mut words = vec![0; flags.len().div_ceil(64)];
    flags.iter().enumerate().for_each(|(i, &flag)| words[i / 64] |= u64::from(flag) << (i % 64));
    words
}

fn any_bound() -> impl Strategy<Value = Bound<i64>> {
    prop_oneof![Just(Bound::Unbounded), (-6i64..6).prop_map(Bound::Included), (-6i64..6).prop_map(Bound::Excluded)]
}

fn any_float() -> impl Strategy<Value = f64> {
    let special = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![proptest::sample::select(special.to_vec()), -3.0..3.0]
}

fn within<T: PartialOrd + Copy>(value: T, low: Bound<T>, high: Bound<T>) -> bool {
    (match low {
        Bound::Unbounded => true,
        Bound::Included(low) => value >= low,
        Bound::Excluded(low) => value > low,
    }) && (match high {
        Bound::Unbounded => true,
        Bound::Included(high) => value <= high,
        Bound::Excluded(high) => value < high,
    })
}

proptest! {
    #[test]
    fn integers(
        rows in proptest::collection::vec((-5i64..5, any::<bool>()), 0..200),
        low in any_bound(), high in any_bound(),
    ) {
        let (values, valid): (Vec<i64>, Vec<bool>) = rows.iter().copied().unzip();
        let validity = bits(&valid);
        let source = ScalarRows {
            row_count: values.len(), values: Scalars::Int64(&values), offsets: None, validity: Some(&validity),
        };
        let index = open(&source);
        let expected: Vec<usize> =
            (0..values.len()).filter(|&i| valid[i] && within(values[i], low, high)).collect();
        let entries = index.between(low.map(Key::Int), high.map(Key::Int));
        prop_assert_eq!(index.count(entries.clone()), expected.len());
        prop_assert_eq!(rows_of(&index, entries), expected);
        let nulls = index.nulls();
        for (i, &valid) in valid.iter().enumerate() {
            prop_assert_eq!(nulls[i / 64] >> (i % 64) & 1 == 1, !valid);
        }
        prop_assert_eq!(index.equal(Key::Text(b"x")), 0..0);
    }

    #[test]
    fn floats(
        values in proptest::collection::vec(any_float(), 0..100),
        low in any_bound(), high in any_bound(),
    ) {
        let index = open(&ScalarRows {
            row_count: values.len(), values: Scalars::Double(&values), offsets: None, validity: None,
        });
        let (low, high) = (low.map(|v| v as f64), high.map(|v| v as f64));
        let expected: Vec<usize> =
            (0..values.len()).filter(|&i| !values[i].is_nan() && within(values[i], low, high)).collect();
        prop_assert_eq!(rows_of(&index, index.between(low.map(Key::Float), high.map(Key::Float))), expected);
        let zeros: Vec<usize> = (0..values.len()).filter(|&i| values[i] == 0.0).collect();
        prop_assert_eq!(rows_of(&index, index.equal(Key::Float(-0.0))), zeros);
    }

    #[test]
    fn texts(values in proptest::collection::vec("[ab]{0,3}", 0..100), probe in "[ab]{0,3}") {
        let mut offsets = vec![0u64];
        let mut data = Vec::new();
        for value in &values {
            data.extend_from_slice(value.as_bytes());
            offsets.push(data.len() as u64);
        }
        let index = open(&ScalarRows {
            row_count: values.len(), values: Scalars::Bytes { offsets: &offsets, data: &data },
            offsets: None, validity: None,
        });
        let all = 0..values.len();
        let where_text = |test: &dyn Fn(&str) -> bool| all.clone().filter(|&i| test(&values[i])).collect::<Vec<_>>();
        prop_assert_eq!(rows_of(&index, index.equal(Key::Text(probe.as_bytes()))), where_text(&|v| v == probe));
        let prefixed = where_text(&|v| v.starts_with(probe.as_str()));
        prop_assert_eq!(rows_of(&index, index.with_prefix(probe.as_bytes())), prefixed);
        let above = index.between(Bound::Excluded(Key::Text(probe.as_bytes())), Bound::Unbounded);
        prop_assert_eq!(rows_of(&index, above), where_text(&|v| v > probe.as_str()));
    }

    #[test]
    fn arrays(rows in proptest::collection::vec(proptest::collection::vec(-3i32..3, 0..5), 0..80), probe in -4i64..4) {
        let values: Vec<i32> = rows.iter().flatten().copied().collect();
        let mut offsets = vec![0u64];
        rows.iter().for_each(|row| offsets.push(offsets[offsets.len() - 1] + row.len() as u64));
        let index = open(&ScalarRows {
            row_count: rows.len(), values: Scalars::Int32(&values), offsets: Some(&offsets), validity: None,
        });
        let holds = |&row: &usize| rows[row].iter().any(|&value| i64::from(value) == probe);
        let expected: Vec<usize> = (0..rows.len()).filter(holds).collect();
        prop_assert_eq!(rows_of(&index, index.equal(Key::Int(probe))), expected);
        prop_assert!(index.is_array());
    }

    #[test]
    fn damage_is_found(at in 0usize..10_000, bit in 0u32..8) {
        let values = [3i64, 1, 2, 3];
        let rows = ScalarRows { row_count: 4, values: Scalars::Int64(&values), offsets: None, validity: None };
        let mut file = build(&rows, &Progress::default()).unwrap();
        let at = at % file.len();
        file[at] ^= 1 << bit;
        prop_assert!(ScalarIndex::open(Storage::copy_of(&file)).is_err());
        file.truncate(at);
        prop_assert!(ScalarIndex::open(Storage::copy_of(&file)).is_err());
    }
}
