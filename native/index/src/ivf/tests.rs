//! The family against the definition.

use crate::IndexError;
use crate::catalog::{Index, Rows, build, open};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
use crate::vector::{Element, Metric, SearchParams, VectorIndex};

fn opened(file: &[u8]) -> Box<dyn VectorIndex> {
    match open(Storage::copy_of(file)).expect("whole") {
        Index::Dense(index) => index,
        Index::Sparse(_) => panic!("dense"),
    }
}

fn index(rows: &TestRows, index_type: &str, metric: Metric, params: &str) -> Box<dyn VectorIndex> {
    opened(&build(index_type, metric.name(), params, Rows::Dense(rows), &Progress::default(), 2).expect("built"))
}

/// Mean recall at 10 of the queries; every answer is checked.
fn mean_recall(
    index: &dyn VectorIndex,
    rows: &TestRows,
    metric: Metric,
    queries: &[Vec<u8>],
    params: &SearchParams,
) -> f64 {
    let mut sum = 0.0;
    for vector in queries {
        let query = query(vector, 10, params);
        let mut hits = vec![];
        index.search(rows, &query, &mut hits).expect("searches");
        assert_sound(rows, metric, &query, &hits);
        assert_eq!(hits.len(), 10);
        sum += recall(metric, &hits, &naive(rows, metric, &query));
    }
    sum / queries.len() as f64
}

#[test]
fn recall_grows_with_the_probes_and_all_probes_are_exact() {
    for (element, metric) in [
        (Element::F32, Metric::L2),
        (Element::F32, Metric::Cosine),
        (Element::F32, Metric::Ip),
        (Element::F16, Metric::Cosine),
        (Element::I8, Metric::L2),
    ] {
        let mut rows = clustered(element, 8_020, 20, 30, 6);
        let queries: Vec<Vec<u8>> = rows.rows.split_off(8_000).into_iter().flatten().collect();
        let index = index(&rows, "IVF_FLAT", metric, r#"{"nlist": 64}"#);
        for (nprobe, floor) in [(8, 0.8), (32, 0.97), (64, 1.0), (65_536, 1.0)] {
            let params = SearchParams { nprobe: Some(nprobe), ..SearchParams::default() };
            let mean = mean_recall(&*index, &rows, metric, &queries, &params);
            assert!(mean >= floor, "{element:?} {metric:?} nprobe {nprobe}: {mean}");
        }
    }
}

/// Types with parameters, and the recall that all lists give at least.
const TYPES: [(&str, &str, f64); 9] = [
    ("IVF_SQ8", r#"{"nlist": 32}"#, 0.99),
    ("IVF_SQ8", r#"{"nlist": 32, "sq_type": "SQ4"}"#, 0.95),
    ("IVF_SQ8", r#"{"nlist": 32, "sq_type": "sq6", "refine": true, "refine_type": "fp16"}"#, 0.99),
    ("IVF_PQ", r#"{"nlist": 32, "m": 16}"#, 0.95),
    ("IVF_PQ", r#"{"nlist": 32, "m": 8, "nbits": 12, "refine": "true", "refine_type": "SQ8"}"#, 0.95),
    ("IVF_RABITQ", r#"{"nlist": 32}"#, 0.7),
    ("IVF_RABITQ", r#"{"nlist": 32, "refine": true, "refine_type": "sq6"}"#, 0.95),
    ("IVF_RABITQ", r#"{"nlist": 32, "rbq_bits": 5}"#, 0.98),
    ("SCANN", r#"{"nlist": 32}"#, 0.95),
];

#[test]
fn codes_find_the_nearest_and_rows_give_the_scores() {
    let cases = [(Element::F32, Metric::L2), (Element::Bf16, Metric::Cosine), (Element::F16, Metric::Ip)];
    for (element, metric) in cases {
        let mut rows = clustered(element, 4_020, 32, 20, 6);
        let queries: Vec<Vec<u8>> = rows.rows.split_off(4_000).into_iter().flatten().collect();
        rows.rows[11] = None;
        for (index_type, params, floor) in TYPES {
            let index = index(&rows, index_type, metric, params);
            let refine_k = params.contains("refine").then_some(10.0);
            let search = SearchParams { nprobe: Some(32), refine_k, ..SearchParams::default() };
            let mean = mean_recall(&*index, &rows, metric, &queries, &search);
            assert!(mean >= floor, "{index_type} {params} {element:?} {metric:?}: {mean}");
        }
    }
}

#[test]
fn filters_and_large_k_are_filled_from_further_lists() {
    let mut rows = clustered(Element::F32, 6_000, 16, 20, 3);
    rows.rows[17] = None;
    for index_type in ["IVF_FLAT", "IVF_SQ8", "IVF_RABITQ"] {
        let index = index(&rows, index_type, Metric::L2, r#"{"nlist": 128}"#);
        let params = SearchParams { nprobe: Some(1), ..SearchParams::default() };
        let vector = rows.rows[0].clone().expect("made");
        for one_in in [1, 2, 7, 50, 600] {
            let (words, count) = bits(6_000, |row| row % one_in == 0);
            for k in [1, 10, 3_000, 16_384] {
                let mut query = query(&vector, k, &params);
                (query.allowed, query.allowed_count) = (Some(&words[..]), count);
                let mut hits = vec![];
                index.search(&rows, &query, &mut hits).expect("searches");
                assert_sound(&rows, Metric::L2, &query, &hits);
                let null = usize::from(words[0] >> 17 & 1 == 1);
                assert_eq!(hits.len(), k.min(count - null), "{index_type} one in {one_in}, k {k}");
            }
        }
    }
}

#[test]
fn scann_leaves_an_answer_short_unless_told_otherwise() {
    let rows = clustered(Element::F32, 2_000, 16, 20, 3);
    let index = index(&rows, "SCANN", Metric::L2, r#"{"nlist": 40}"#);
    let vector = rows.rows[0].clone().expect("made");
    let found = |full: Option<bool>| {
        let params = SearchParams { nprobe: Some(1), ensure_topk_full: full, ..SearchParams::default() };
        let mut hits = vec![];
        index.search(&rows, &query(&vector, 1_500, &params), &mut hits).expect("searches");
        hits.len()
    };
    assert!(found(None) < 1_500);
    assert_eq!(found(Some(true)), 1_500);
}

#[test]
fn ranges_hold_exactly_and_lose_little() {
    let rows = clustered(Element::F32, 3_000, 24, 10, 3);
    let vector = rows.rows[5].clone().expect("made");
    for index_type in ["IVF_FLAT", "IVF_SQ8", "IVF_RABITQ"] {
        let index = index(&rows, index_type, Metric::L2, r#"{"nlist": 24}"#);
        let params = SearchParams { nprobe: Some(12), ..SearchParams::default() };
        let mut query = query(&vector, 500, &params);
        (query.range_filter, query.radius) = (Some(0.2), Some(2.0));
        let mut hits = vec![];
        index.search(&rows, &query, &mut hits).expect("searches");
        assert_sound(&rows, Metric::L2, &query, &hits);
        assert!(hits.iter().all(|hit| hit.score >= 0.2 && hit.score < 2.0));
        let truth = naive(&rows, Metric::L2, &query);
        assert!(!truth.is_empty() && recall(Metric::L2, &hits, &truth) >= 0.9, "{index_type}: {}", hits.len());
    }
}

#[test]
fn few_rows_equal_rows_and_no_rows_work() {
    for (index_type, params, _) in TYPES.into_iter().chain([("IVF_FLAT", r#"{"nlist": 1024}"#, 0.0)]) {
        for count in [0, 1, 38, 100, 500] {
            let mut rows = clustered(Element::F32, count, 16, 0, 1);
            if count == 500 {
                let copy = rows.rows[0].clone();
                rows.rows.iter_mut().for_each(|row| row.clone_from(&copy));
            }
            let index = index(&rows, index_type, Metric::Cosine, params);
            let params = SearchParams::default();
            let mut hits = vec![];
            index.search(&rows, &query(&[0x3F; 64], 7, &params), &mut hits).expect("searches");
            assert_eq!(hits.len(), count.min(7), "{index_type} {count}");
        }
    }
}

#[test]
fn vectors_far_from_the_origin_are_told_apart() {
    let mut rows = clustered(Element::F32, 2_000, 16, 10, 2);
    for row in rows.rows.iter_mut().flatten() {
        for four in row.chunks_exact_mut(4) {
            let value = f32::from_le_bytes([four[0], four[1], four[2], four[3]]) + 1_000.0;
            four.copy_from_slice(&value.to_le_bytes());
        }
    }
    let queries: Vec<Vec<u8>> = rows.rows.iter().take(20).flatten().cloned().collect();
    let index = index(&rows, "IVF_FLAT", Metric::L2, r#"{"nlist": 20}"#);
    let params = SearchParams { nprobe: Some(8), ..SearchParams::default() };
    assert!(mean_recall(&*index, &rows, Metric::L2, &queries, &params) >= 0.8);
}

#[test]
fn parameters_are_held_to_the_contract() {
    let rows = clustered(Element::F32, 100, 16, 0, 1);
    let refused = |index_type: &str, params: &str| {
        build(index_type, "L2", params, Rows::Dense(&rows), &Progress::default(), 1).expect_err("refused").to_string()
    };
    assert_eq!(
        refused("IVF_PQ", r#"{"m": 5}"#),
        "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). Dimension: 16, m: 5"
    );
    assert_eq!(refused("IVF_PQ", "{}"), "param 'm' not exist in json");
    assert!(refused("IVF_PQ", r#"{"m": 4, "nbits": 25}"#).starts_with("Out of range in json: param 'nbits' (25)"));
    assert!(refused("IVF_RABITQ", r#"{"rbq_bits": 10}"#).starts_with("Out of range in json: param 'rbq_bits'"));
    assert!(refused("SCANN", r#"{"sub_dim": 3}"#).contains("should be a multiple of"));
    assert_eq!(refused("IVF_SQ8", r#"{"sq_type": "sq5"}"#), "invalid scalar quantizer type");
    assert_eq!(
        refused("IVF_SQ8", r#"{"refine": true, "refine_type": "x"}"#),
        "invalid refine type : x, optional types are [sq6, sq8, fp16, bf16, fp32, flat]"
    );
}

#[test]
fn a_build_can_be_cancelled_and_comes_out_the_same_with_any_threads() {
    let rows = clustered(Element::F32, 3_000, 16, 10, 4);
    let cancelled = Progress::default();
    cancelled.cancel();
    let params = r#"{"nlist": 16, "m": 4}"#;
    let error = build("IVF_PQ", "L2", params, Rows::Dense(&rows), &cancelled, 2).expect_err("cancelled");
    assert!(matches!(error, IndexError::Cancelled));
    let file =
        |threads| build("IVF_PQ", "L2", params, Rows::Dense(&rows), &Progress::default(), threads).expect("built");
    assert!(file(1) == file(2));
}
