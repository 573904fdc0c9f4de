//! Binary indexes against the definition.

use proptest::prelude::*;

use crate::IndexError;
use crate::catalog::{Index, Rows, build, open};
use crate::flat;
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
use crate::vector::{Element, Hit, Metric, Query, SearchParams, VectorIndex, VectorRows};

fn index(rows: &TestRows, index_type: &str, metric: &str, params: &str, threads: usize) -> Box<dyn VectorIndex> {
    let file = build(index_type, metric, params, Rows::Dense(rows), &Progress::default(), threads).expect("built");
    match open(Storage::copy_of(&file)).expect("whole") {
        Index::Dense(index) => index,
        Index::Sparse(_) => panic!("dense"),
    }
}

fn hits(index: &dyn VectorIndex, rows: &TestRows, query: &Query<'_>) -> Vec<Hit> {
    let mut hits = vec![];
    index.search(rows, query, &mut hits).expect("searches");
    hits
}

#[test]
fn lists_find_most_of_the_nearest_and_all_of_them_when_all_are_probed() {
    let mut rows = clustered(Element::Bit, 6000, 256, 40, 3);
    for row in (0..6000).step_by(97) {
        rows.rows[row] = None;
    }
    let vectors: Vec<Vec<u8>> = (1..6000).step_by(601).map(|row| rows.row(row).to_vec()).collect();
    for metric in [Metric::Hamming, Metric::Jaccard] {
        let index = index(&rows, "BIN_IVF_FLAT", metric.name(), r#"{"nlist": 64}"#, 2);
        assert_eq!((index.type_name(), index.metric(), index.row_count()), ("BIN_IVF_FLAT", metric, 6000));
        let (words, allowed_count) = bits(6000, |row| row % 2 == 0);
        for (nprobe, floor) in [(8, 0.9), (64, 1.0)] {
            let params = SearchParams { nprobe: Some(nprobe), ..SearchParams::default() };
            let mut found = 0.0;
            for vector in &vectors {
                let mut query = query(vector, 10, &params);
                for filter in [None, Some(&words[..])] {
                    (query.allowed, query.allowed_count) = (filter, filter.map_or(0, |_| allowed_count));
                    let hits = hits(&*index, &rows, &query);
                    assert_sound(&rows, metric, &query, &hits);
                    assert_eq!(hits.len(), 10);
                    found += recall(metric, &hits, &naive(&rows, metric, &query)) / 2.0 / vectors.len() as f64;
                }
            }
            assert!(found >= floor, "{metric:?} {nprobe}: {found}");
        }
    }
}

#[test]
fn a_range_over_lists_keeps_its_bounds_and_a_build_can_be_stopped() {
    let rows = clustered(Element::Bit, 3000, 128, 10, 4);
    let index = index(&rows, "BIN_IVF_FLAT", "HAMMING", r#"{"nlist": 16}"#, 1);
    let params = SearchParams { nprobe: Some(4), ..SearchParams::default() };
    let mut query = query(rows.row(5), 3000, &params);
    (query.range_filter, query.radius) = (Some(5.0), Some(30.0));
    let hits = hits(&*index, &rows, &query);
    assert!(!hits.is_empty() && hits.iter().all(|hit| (5.0..30.0).contains(&hit.score)));
    assert_sound(&rows, Metric::Hamming, &query, &hits);
    for index_type in ["BIN_IVF_FLAT", "MINHASH_LSH"] {
        let progress = Progress::default();
        progress.cancel();
        let stopped = build(index_type, "", "", Rows::Dense(&rows), &progress, 1);
        assert!(matches!(stopped, Err(IndexError::Cancelled)));
    }
}

/// Rows that share a band with the query, by the definition.
fn sharing(rows: &TestRows, vector: &[u8], band_bytes: usize, bands: usize) -> Vec<u32> {
    let share = |row: &[u8]| {
        let parts = row.chunks_exact(band_bytes).zip(vector.chunks_exact(band_bytes)).take(bands);
        !row.is_empty() && parts.into_iter().any(|(a, b)| a == b)
    };
    (0..rows.len() as u32).filter(|&row| share(rows.row(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn signatures_meet_exactly_in_equal_bands(
        count in 0usize..300, elements in 1usize..12, width in 1usize..5, band in 1usize..14, seed in 1u64..,
        one_in in 1usize..4, k in 1usize..60,
    ) {
        let dim = elements * width * 8;
        let mut rows = clustered(Element::Bit, count + 1, dim, 3, seed);
        let vector = rows.rows.pop().flatten().expect("made");
        // Few values an element, so that bands meet.
        let vector: Vec<u8> = vector.iter().map(|byte| byte % 3).collect();
        for (number, row) in rows.rows.iter_mut().enumerate() {
            *row = row.take().filter(|_| number % 7 != 3).map(|row| row.iter().map(|byte| byte % 3).collect());
        }
        let (bands, bits_wide) = (band.min(elements), width * 8);
        let band_bytes = elements / bands * width;
        let build = format!(r#"{{"mh_lsh_band": {band}, "mh_element_bit_width": {bits_wide}}}"#);
        let index = index(&rows, "MINHASH_LSH", "", &build, 1);
        let (words, allowed_count) = bits(count, |row| row % one_in == 0);
        let mut expected = sharing(&rows, &vector, band_bytes, bands);
        expected.retain(|&row| (row as usize).is_multiple_of(one_in));
        for similar in [false, true] {
            let json = format!(r#"{{"mh_search_with_jaccard": {similar}, "mh_element_bit_width": {bits_wide}}}"#);
            let params = SearchParams::from_json("MINHASH_LSH", &json, k).expect("fits");
            let mut query = query(&vector, k, &params);
            (query.allowed, query.allowed_count) = (Some(&words[..]), allowed_count);
            let found = hits(&*index, &rows, &query);
            let mut scanned = vec![];
            let json = json.replace('}', &format!(r#", "mh_lsh_band": {band}}}"#));
            let banded = SearchParams::from_json("FLAT", &json, k).expect("fits");
            flat::search(&rows, Metric::MhJaccard, &Query { params: &banded, ..query.clone() }, &mut scanned)
                .expect("fits");
            prop_assert_eq!(&scanned, &found);
            prop_assert_eq!(found.len(), expected.len().min(k));
            prop_assert!(found.iter().all(|hit| expected.contains(&hit.row)));
            if similar {
                let mut exact = vec![];
                flat::search(&rows, Metric::MhJaccard, &Query { top_k: count, ..query.clone() }, &mut exact)
                    .expect("fits");
                exact.retain(|hit| expected.contains(&hit.row));
                exact.truncate(k);
                prop_assert_eq!(found, exact);
            } else {
                prop_assert!(found.iter().zip(&expected).all(|(hit, row)| hit.row == *row && hit.score == 1.0));
            }
        }
    }
}

#[test]
fn widths_and_bands_must_fit() {
    let rows = clustered(Element::Bit, 3, 16, 0, 1);
    let refused = |metric: &str, params: &str| {
        let built = build("MINHASH_LSH", metric, params, Rows::Dense(&rows), &Progress::default(), 1);
        built.expect_err("refused").to_string()
    };
    assert!(refused("HAMMING", "").ends_with("supported: [MHJACCARD]"));
    assert!(refused("", r#"{"mh_lsh_band": 0}"#).starts_with("Out of range in json: param 'mh_lsh_band' (0)"));
    assert!(refused("", r#"{"mh_element_bit_width": 12}"#).contains("multiple of 8"));
    assert!(refused("", r#"{"mh_element_bit_width": 32}"#).contains("should not be larger than dim (16)"));
}
