//! The inverted index against exact search: equal, score for score.

use proptest::prelude::*;

use super::exact;
use crate::catalog::{Index, Rows, build, open};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{Dice, TestSparse, bits, query, sparse};
use crate::vector::{SearchParams, SparseIndex};

fn index(rows: &TestSparse) -> Box<dyn SparseIndex> {
    let file = build("SPARSE_INVERTED_INDEX", "", "{}", Rows::Sparse(rows), &Progress::default(), 1).expect("built");
    match open(Storage::copy_of(&file)).expect("whole") {
        Index::Sparse(index) => index,
        Index::Dense(_) => panic!("sparse"),
    }
}

fn agree(count: usize, dimensions: usize, most: usize, signed: bool, seed: u64) {
    let mut dice = Dice::new(seed);
    let rows = TestSparse((0..count).map(|_| sparse(&mut dice, dimensions, most, signed)).collect());
    let index = index(&rows);
    let params = SearchParams::default();
    for one_in in [1, 2, 40] {
        let vector = sparse(&mut dice, dimensions, most * 2, signed);
        let (words, allowed_count) = bits(count, |row| row % one_in == 0);
        for k in [1, 10, 100, 100_000] {
            let mut query = query(&vector, k, &params);
            if one_in > 1 {
                (query.allowed, query.allowed_count) = (Some(&words[..]), allowed_count);
            }
            let (mut expected, mut found) = (vec![], vec![]);
            exact(&rows, &query, &mut expected).expect("searches");
            index.search(&query, &mut found).expect("searches");
            assert_eq!(found, expected);
            if let [first, .., last] = expected[..] {
                (query.radius, query.range_filter) = (Some(last.score), Some((first.score + last.score) / 2.0));
                (expected, found) = (vec![], vec![]);
                exact(&rows, &query, &mut expected).expect("searches");
                index.search(&query, &mut found).expect("searches");
                assert_eq!(found, expected, "in a range");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn equals_exact_search(
        count in 0usize..300, dimensions in 1usize..60, most in 0usize..12, signed: bool, seed in 1u64..,
    ) {
        agree(count, dimensions, most, signed, seed);
    }
}

#[test]
fn equals_exact_search_over_many_windows() {
    agree(30_000, 500, 20, false, 11);
    agree(20_000, 30_000, 60, false, 12);
    agree(10_000, 50, 8, true, 13);
}

#[test]
fn rows_that_share_nothing_never_appear_and_drop_ratio_drops_the_smallest() {
    let pair = |dimension: u32, value: f32| [dimension.to_le_bytes(), value.to_le_bytes()].concat();
    let rows = TestSparse(vec![pair(1, 2.0), pair(2, 100.0), pair(3, -1.0), vec![]]);
    let index = index(&rows);
    let vector = [pair(1, 1.0), pair(2, 0.1), pair(3, 1.0), pair(9, 4.0)].concat();
    let rows_of = |drop_ratio: f32| {
        let params = SearchParams { drop_ratio_search: Some(drop_ratio), ..SearchParams::default() };
        let mut hits = vec![];
        index.search(&query(&vector, 10, &params), &mut hits).expect("searches");
        hits.iter().map(|hit| hit.row).collect::<Vec<_>>()
    };
    assert_eq!(rows_of(0.0), [1, 0, 2]);
    assert_eq!(rows_of(0.25), [0, 2]);
    assert!(index.search(&query(&vector[1..], 1, &SearchParams::default()), &mut vec![]).is_err());
}
