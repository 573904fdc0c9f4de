//! Exact search against the definition.

use proptest::prelude::*;

use super::{search, search_many};
use crate::testing::{TestRows, assert_sound, bits, clustered, encode, naive, query};
use crate::vector::{Element, Hit, Metric, Query, SearchParams};

const DENSE: [Element; 4] = [Element::F32, Element::F16, Element::Bf16, Element::I8];

fn fitting(element: Element) -> &'static [Metric] {
    if element == Element::Bit {
        &[Metric::Hamming, Metric::Jaccard, Metric::Substructure, Metric::Superstructure, Metric::MhJaccard]
    } else {
        &[Metric::L2, Metric::Ip, Metric::Cosine]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn agrees_with_the_definition(
        count in 0usize..200, dim in 1usize..40, k in 0usize..50, seed in 1u64..,
        share in 0usize..4, nulls in 1usize..6,
    ) {
        for element in DENSE.into_iter().chain([Element::Bit]) {
            let dim = if element == Element::Bit { dim.next_multiple_of(8) } else { dim };
            let mut rows = clustered(element, count + 1, dim, 3, seed);
            let vector = rows.rows.pop().flatten().expect("made");
            for row in rows.rows.iter_mut().skip(1).step_by(nulls * 3) {
                *row = None;
            }
            let params = SearchParams::default();
            let (words, allowed_count) = bits(count, |row| row % 4 <= share);
            for &metric in fitting(element) {
                let mut query = query(&vector, k, &params);
                if share < 3 {
                    query.allowed = Some(&words);
                    query.allowed_count = allowed_count;
                }
                let mut hits = vec![];
                search(&rows, metric, &query, &mut hits).expect("fits");
                assert_sound(&rows, metric, &query, &hits);
                let truth = naive(&rows, metric, &query);
                prop_assert_eq!(hits.len(), truth.len());
                for (hit, (score, _)) in hits.iter().zip(&truth) {
                    prop_assert!((f64::from(hit.score) - score).abs() <= 2e-5 * score.abs().max(1.0));
                }
            }
        }
    }
}

/// Rows in which every rounding and overflow occurs: copies, far from 0 and near each other, zero, tiny, huge, and,
/// where the element has them, infinite ones and such that are no numbers.
fn awkward(element: Element, count: usize, dim: usize, seed: u64) -> TestRows {
    let mut rows = clustered(element, count, dim, 3, seed);
    let number = |value: f32| Some(encode(element, &vec![value; dim]));
    for (at, row) in rows.rows.iter_mut().enumerate() {
        match at % 23 {
            5 => *row = None,
            7 => *row = number(0.0),
            11 => *row = number(0.01 + at as f32 * 1e-6),
            13 if element == Element::F32 => {
                *row = number([1e-20, 1e-42, 1e19, 3e38, f32::INFINITY, f32::NAN][at % 6]);
            }
            17 => *row = number(0.9),
            _ => {}
        }
    }
    rows
}

fn same_bits(a: &[Hit], b: &[Hit]) -> bool {
    let bits = |hits: &[Hit]| hits.iter().map(|hit| (hit.score.to_bits(), hit.row)).collect::<Vec<_>>();
    bits(a) == bits(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn many_queries_are_answered_as_each_alone(
        count in 0usize..400, dim in 1usize..150, lanes in 1usize..150, k in 0usize..40, seed in 1u64..,
        share in 1usize..4, limited in any::<bool>(),
    ) {
        for element in DENSE.into_iter().chain([Element::Bit]) {
            let dim = if element == Element::Bit { dim.next_multiple_of(8) } else { dim };
            let mut rows = awkward(element, count + lanes, dim, seed);
            let vectors = rows.rows.split_off(count);
            let zero = vec![0; element.row_bytes(dim)];
            let params = SearchParams::default();
            let (words, allowed_count) = bits(count, |row| row % 4 < share);
            for &metric in fitting(element) {
                let asked = |vector| {
                    let mut query = query(vector, k, &params);
                    if share < 3 {
                        (query.allowed, query.allowed_count) = (Some(&words[..]), allowed_count);
                    }
                    query.radius = limited.then_some(0.5);
                    query
                };
                let queries: Vec<Query<'_>> =
                    vectors.iter().map(|vector| asked(vector.as_deref().unwrap_or(&zero))).collect();
                let mut together = vec![vec![]; queries.len()];
                search_many(&rows, metric, &queries, &mut together).expect("fits");
                for (query, together) in queries.iter().zip(&together) {
                    let mut alone = vec![];
                    search(&rows, metric, query, &mut alone).expect("fits");
                    prop_assert!(same_bits(&alone, together), "{element:?} {metric:?}: {alone:?} {together:?}");
                }
            }
        }
    }
}

#[test]
fn ranges_have_an_open_and_a_closed_end() {
    let mut rows = clustered(Element::Bit, 0, 8, 0, 1);
    rows.rows = [0b0000, 0b0001, 0b0011, 0b0111, 0b1111].map(|byte| Some(vec![byte])).to_vec();
    let params = SearchParams::default();
    let mut query = query(&[0], 10, &params);
    (query.range_filter, query.radius) = (Some(1.0), Some(3.0));
    let mut hits = vec![];
    search(&rows, Metric::Hamming, &query, &mut hits).expect("fits");
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 2]);

    let mut floats = clustered(Element::F32, 0, 1, 0, 1);
    floats.rows = [1f32, 2.0, 3.0, 4.0].map(|value| Some(value.to_le_bytes().to_vec())).to_vec();
    let one = 1f32.to_le_bytes();
    let mut query = crate::testing::query(&one, 10, &params);
    (query.radius, query.range_filter) = (Some(1.0), Some(3.0));
    hits.clear();
    search(&floats, Metric::Ip, &query, &mut hits).expect("fits");
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn wrong_sizes_and_metrics_are_refused() {
    let rows = clustered(Element::F32, 3, 4, 0, 1);
    let params = SearchParams::default();
    assert!(search(&rows, Metric::L2, &query(&[0; 12], 1, &params), &mut vec![]).is_err());
    assert!(search(&rows, Metric::Hamming, &query(&[0; 16], 1, &params), &mut vec![]).is_err());
}
