//! The index against a walk over the values.

use super::{Key, ScalarIndex, ScalarRows, ScalarType, Scalars, build, grams_of};
use crate::IndexError;
use crate::format::{self, File};
use crate::progress::Progress;
use crate::storage::Storage;
use proptest::prelude::*;
use std::ops::{Bound, Range};

fn open_as(of: ScalarType, rows: &ScalarRows<'_>) -> ScalarIndex {
    let index = ScalarIndex::open(Storage::copy_of(&build(rows, of, None, &Progress::default()).unwrap())).unwrap();
    assert_eq!(index.type_name(), of.name());
    index
}

/// By lists, by bitmaps, and by whichever the number of values decides.
fn any_type() -> impl Strategy<Value = ScalarType> {
    let types = [ScalarType::Inverted, ScalarType::StlSort, ScalarType::Bitmap, ScalarType::Hybrid { limit: 3 }];
    proptest::sample::select(types.to_vec())
}

fn any_text_type() -> impl Strategy<Value = ScalarType> {
    prop_oneof![3 => any_type(), 1 => Just(ScalarType::Trie)]
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
        low in any_bound(), high in any_bound(), of in any_type(),
    ) {
        let (values, valid): (Vec<i64>, Vec<bool>) = rows.iter().copied().unzip();
        let validity = bits(&valid);
        let source = ScalarRows {
            row_count: values.len(), values: Scalars::Int64(&values), offsets: None, validity: Some(&validity),
        };
        let index = open_as(of, &source);
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
        low in any_bound(), high in any_bound(), of in any_type(),
    ) {
        let index = open_as(of, &ScalarRows {
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
    fn texts(values in proptest::collection::vec("[ab]{0,3}", 0..100), probe in "[ab]{0,3}", of in any_text_type()) {
        let (offsets, data) = packed(&values);
        let index = open_as(of, &ScalarRows {
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
    fn arrays(rows in proptest::collection::vec(proptest::collection::vec(-3i32..3, 0..5), 0..80), probe in -4i64..4,
        of in any_type()) {
        let values: Vec<i32> = rows.iter().flatten().copied().collect();
        let mut offsets = vec![0u64];
        rows.iter().for_each(|row| offsets.push(offsets[offsets.len() - 1] + row.len() as u64));
        let index = open_as(of, &ScalarRows {
            row_count: rows.len(), values: Scalars::Int32(&values), offsets: Some(&offsets), validity: None,
        });
        let holds = |&row: &usize| rows[row].iter().any(|&value| i64::from(value) == probe);
        let expected: Vec<usize> = (0..rows.len()).filter(holds).collect();
        prop_assert_eq!(rows_of(&index, index.equal(Key::Int(probe))), expected);
        prop_assert!(index.is_array());
    }

    #[test]
    fn grams(
        values in proptest::collection::vec("[abé]{0,6}", 0..100), literal in "[abé]{1,7}",
        min in 1usize..4, more in 0usize..3,
    ) {
        let (offsets, data) = packed(&values);
        let index = open_as(ScalarType::Ngram { min, max: min + more }, &ScalarRows {
            row_count: values.len(), values: Scalars::Bytes { offsets: &offsets, data: &data },
            offsets: None, validity: None,
        });
        let (min, max) = index.grams().unwrap();
        let Some(grams) = grams_of(literal.as_bytes(), min, max) else {
            prop_assert!(literal.chars().count() < min);
            return Ok(());
        };
        // A row with the literal has all its grams; the rows of a gram are those that contain it.
        for gram in grams {
            let gram = std::str::from_utf8(gram).unwrap();
            prop_assert!(literal.contains(gram));
            let expected: Vec<usize> = (0..values.len()).filter(|&i| values[i].contains(gram)).collect();
            prop_assert_eq!(rows_of(&index, index.equal(Key::Text(gram.as_bytes()))), expected);
        }
    }

    #[test]
    fn damage_is_found(at in 0usize..10_000, bit in 0u32..8, of in any_type()) {
        let values = [3i64, 1, 2, 3];
        let rows = ScalarRows { row_count: 4, values: Scalars::Int64(&values), offsets: None, validity: None };
        let mut file = build(&rows, of, None, &Progress::default()).unwrap();
        let at = at % file.len();
        file[at] ^= 1 << bit;
        prop_assert!(ScalarIndex::open(Storage::copy_of(&file)).is_err());
        file.truncate(at);
        prop_assert!(ScalarIndex::open(Storage::copy_of(&file)).is_err());
    }

    /// Wrong bytes under right checksums: refused or read, but never a panic.
    #[test]
    fn forgeries_do_not_crash(
        section in 1usize..8, damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut in 0usize..3, of in any_text_type(),
    ) {
        let values: Vec<String> = (0..70).map(|i| format!("common{}", i % 40)).collect();
        let (offsets, data) = packed(&values);
        let rows = ScalarRows {
            row_count: values.len(), values: Scalars::Bytes { offsets: &offsets, data: &data },
            offsets: None, validity: Some(&[u64::MAX, 0b10_1111]),
        };
        let file = build(&rows, of, None, &Progress::default()).unwrap();
        let file = File::open(Storage::copy_of(&file)).unwrap();
        let names = ["meta", "values", "offsets", "starts", "rows", "places", "bitmaps", "nulls"];
        let mut sections: Vec<(&str, Vec<u8>)> =
            names.iter().map(|&name| (name, file.section(name).unwrap().to_vec())).collect();
        let forged = &mut sections[section].1;
        for (at, byte) in damage {
            if let Some(place) = at.checked_rem(forged.len()) {
                forged[place] = byte;
            }
        }
        forged.truncate(forged.len().saturating_sub(cut));
        let sections: Vec<(&str, &[u8])> = sections.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        if let Ok(index) = ScalarIndex::open(Storage::copy_of(&format::write(&sections).expect("written"))) {
            rows_of(&index, index.with_prefix(b"common1"));
            rows_of(&index, index.equal(Key::Text(b"common7")));
            rows_of(&index, 0..index.distinct());
            let _ = index.nulls();
        }
    }
}

fn packed(values: &[String]) -> (Vec<u64>, Vec<u8>) {
    let mut offsets = vec![0u64];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(data.len() as u64);
    }
    (offsets, data)
}

#[test]
fn common_values_take_a_bit_a_row() {
    let values: Vec<i64> = (0..64_000).map(|row| row % 3).collect();
    let rows = ScalarRows { row_count: values.len(), values: Scalars::Int64(&values), offsets: None, validity: None };
    let bytes = |of| build(&rows, of, None, &Progress::default()).unwrap().len();
    assert!(bytes(ScalarType::Bitmap) < 3 * 64_000 / 8 + 2_000);
    assert_eq!(bytes(ScalarType::Hybrid { limit: 3 }), bytes(ScalarType::Bitmap));
    assert!(bytes(ScalarType::Hybrid { limit: 2 }) > 4 * 64_000);
}

#[test]
fn types_and_their_parameters() {
    let parse = |name, params| ScalarType::parse(name, params).map_err(|e| e.to_string());
    assert_eq!(parse("marisa-trie", ""), Ok(ScalarType::Trie));
    assert_eq!(parse("NGRAM", r#"{"min_gram": "2", "max_gram": 3}"#), Ok(ScalarType::Ngram { min: 2, max: 3 }));
    assert_eq!(parse("HYBRID", ""), Ok(ScalarType::Hybrid { limit: 100 }));
    assert!(parse("HYBRID", r#"{"bitmap_cardinality_limit": 0}"#).is_err());
    assert!(parse("NGRAM", r#"{"min_gram": 2}"#).is_err());
    assert!(parse("NGRAM", r#"{"min_gram": 3, "max_gram": 2}"#).is_err());
    assert_eq!(parse("trie", ""), Err("invalid index type: trie".to_owned()));
}

#[test]
fn a_cancelled_build_stops() {
    let values = [1i64];
    let rows = ScalarRows { row_count: 1, values: Scalars::Int64(&values), offsets: None, validity: None };
    let progress = Progress::default();
    progress.cancel();
    assert!(matches!(build(&rows, ScalarType::Inverted, None, &progress), Err(IndexError::Cancelled)));
}
