//! The inverted index against exact search: equal, score for score.

use proptest::prelude::*;

use super::exact;
use crate::IndexError;
use crate::catalog::{Index, Rows, build, open};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{Dice, TestSparse, bits, query, sparse, words};
use crate::trace::Trace;
use crate::vector::{Hit, Metric, Query, SearchParams, SparseIndex, SparseParams};

fn index(rows: &TestSparse, metric: Metric, params: &str, threads: usize) -> Box<dyn SparseIndex> {
    let (progress, rows) = (Progress::default(), Rows::Sparse(rows));
    let file = build("SPARSE_INVERTED_INDEX", metric.name(), params, rows, &progress, threads).expect("built");
    assert_eq!(progress.fraction(), 1.0);
    match open(Storage::copy_of(&file)).expect("whole") {
        Index::Sparse(index) => index,
        Index::Dense(_) => panic!("sparse"),
    }
}

/// What a random case is made of.
#[derive(Clone, Copy, Debug)]
struct Case {
    metric: Metric,
    count: usize,
    dimensions: usize,
    most: usize,
    signed: bool,
    seed: u64,
}

impl Case {
    fn row(&self, dice: &mut Dice, most: usize) -> Vec<u8> {
        match self.metric {
            Metric::Bm25 => words(dice, self.dimensions, most),
            _ => sparse(dice, self.dimensions, most, self.signed),
        }
    }

    /// All searches of this case by the index and by the oracle.
    fn check(self) {
        let mut dice = Dice::new(self.seed);
        let rows = TestSparse((0..self.count).map(|_| self.row(&mut dice, self.most)).collect());
        let index = index(&rows, self.metric, "{}", 1 + self.seed as usize % 3);
        assert_eq!(index.metric(), self.metric);
        for one_in in [1, 2, 40, 700] {
            let vector = self.row(&mut dice, self.most * 2);
            let (words, allowed_count) = bits(self.count, |row| row / 3 % one_in == 0);
            let average_length = Some(1.0 + dice.below(8) as f32);
            let params = SearchParams {
                sparse: SparseParams { average_length, exhaustive: one_in == 2, ..SparseParams::default() },
                ..SearchParams::default()
            };
            for k in [1, 10, 100, 100_000] {
                let mut query = query(&vector, k, &params);
                if one_in > 1 {
                    (query.allowed, query.allowed_count) = (Some(&words[..]), allowed_count);
                }
                let expected = self.agree(&rows, &*index, &query);
                if let [first, .., last] = expected[..] {
                    (query.radius, query.range_filter) = (Some(last.score), Some((first.score + last.score) / 2.0));
                    self.agree(&rows, &*index, &query);
                }
            }
        }
    }

    fn agree(&self, rows: &TestSparse, index: &dyn SparseIndex, query: &Query<'_>) -> Vec<Hit> {
        let (mut expected, mut found) = (vec![], vec![]);
        exact(rows, self.metric, query, &mut expected).expect("searches");
        index.search(query, &mut found).expect("searches");
        assert_eq!(found, expected, "{self:?} {query:?}");
        expected
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn equals_exact_search(
        count in 0usize..700, dimensions in 1usize..60, most in 0usize..12, signed: bool, counted: bool, seed in 1u64..,
    ) {
        let metric = if counted { Metric::Bm25 } else { Metric::Ip };
        Case { metric, count, dimensions, most, signed, seed }.check();
    }
}

#[test]
fn equals_exact_search_over_several_windows() {
    let case = Case { metric: Metric::Ip, count: 140_000, dimensions: 3000, most: 12, signed: false, seed: 11 };
    case.check();
    Case { metric: Metric::Bm25, seed: 12, ..case }.check();
    Case { count: 20_000, dimensions: 30_000, most: 60, seed: 13, ..case }.check();
    Case { count: 10_000, dimensions: 50, most: 8, signed: true, seed: 14, ..case }.check();
}

fn pair(dimension: u32, value: f32) -> Vec<u8> {
    [dimension.to_le_bytes(), value.to_le_bytes()].concat()
}

#[test]
fn rows_that_share_nothing_never_appear_and_drop_ratio_drops_the_smallest() {
    let rows = TestSparse(vec![pair(1, 2.0), pair(2, 100.0), pair(3, -1.0), vec![]]);
    let index = index(&rows, Metric::Ip, "", 1);
    let vector = [pair(1, 1.0), pair(2, 0.1), pair(3, 1.0), pair(9, 4.0)].concat();
    let rows_of = |json: &str| {
        let params = SearchParams::from_json(index.type_name(), json, 10).expect("fits");
        let mut hits = vec![];
        index.search(&query(&vector, 2, &params), &mut hits).expect("searches");
        hits.iter().map(|hit| (hit.row, hit.score)).collect::<Vec<_>>()
    };
    assert_eq!(rows_of("{}"), [(1, 10.0), (0, 2.0)]);
    assert_eq!(rows_of(r#"{"drop_ratio_search": 0.25}"#), [(0, 2.0), (2, -1.0)]);
    // Scored again with the whole query.
    let small = TestSparse(vec![[pair(1, 2.0), pair(2, 1.0)].concat(), [pair(1, 1.9), pair(2, 90.0)].concat()]);
    let index = self::index(&small, Metric::Ip, "", 1);
    let params = SearchParams::from_json(index.type_name(), r#"{"drop_ratio_search": 0.5, "refine_factor": 2}"#, 1);
    let (params, mut hits) = (params.expect("fits"), vec![]);
    let vector = [pair(1, 1.0), pair(2, 0.1)].concat();
    index.search(&query(&vector, 1, &params), &mut hits).expect("searches");
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [1]);
    assert!(index.search(&query(&vector[1..], 1, &SearchParams::default()), &mut vec![]).is_err());
}

#[test]
fn bm25_wants_an_average_length_and_the_parameters_of_the_build() {
    let rows = TestSparse(vec![[pair(1, 2.0), pair(5, 1.0)].concat(), pair(1, 1.0), vec![]]);
    let search = |build: &str, json: &str| {
        let index = index(&rows, Metric::Bm25, build, 1);
        let params = SearchParams::from_json(index.type_name(), json, 10)?;
        let mut hits = vec![];
        index.search(&query(&pair(1, 1.0), 10, &params), &mut hits)?;
        Ok::<_, IndexError>(hits)
    };
    let refused = |build: &str, json: &str| search(build, json).expect_err("refused").to_string();
    assert_eq!(refused("", "{}"), "avgdl must be supplied during searching");
    let other = "search time k1/b must equal load time config for DAAT_WAND or DAAT_MAXSCORE algorithm.";
    assert_eq!(refused("", r#"{"bm25_avgdl": 2, "bm25_k1": 1.5}"#), other);
    let hits = search(r#"{"bm25_k1": 1.5, "bm25_b": 0.5}"#, r#"{"bm25_avgdl": 2, "bm25_k1": "1.5"}"#).expect("equal");
    let expected = [2.5 * 2.0 / (2.0 + 1.5 * (0.5 + 0.5 * 3.0 / 2.0)), 2.5 / (1.0 + 1.5 * (0.5 + 0.5 * 1.0 / 2.0))];
    assert_eq!(hits.len(), 2);
    for (hit, expected) in hits.iter().zip(expected) {
        assert!((f64::from(hit.score) - expected).abs() < 1e-6, "{hit:?} {expected}");
    }
    let naive = r#"{"inverted_index_algo": "taat_naive"}"#;
    assert_eq!(search(naive, r#"{"bm25_avgdl": 2, "bm25_k1": 3}"#).expect("no bounds").len(), 2);
}

#[test]
fn wrong_parameters_are_refused_in_milvus_words() {
    let rows = TestSparse(vec![pair(1, 2.0)]);
    let build_error = |metric: &str, params: &str| {
        let built = build("SPARSE_WAND", metric, params, Rows::Sparse(&rows), &Progress::default(), 1);
        built.expect_err("refused").to_string()
    };
    assert!(build_error("IP", r#"{"inverted_index_algo": "x"}"#).starts_with("inverted_index_algo x not found"));
    assert_eq!(
        build_error("BM25", r#"{"quant_type": "fp16"}"#),
        "quant_type for BM25 metric must be 'u16' or 'u32', got 'fp16'"
    );
    assert!(build_error("IP", r#"{"sindi_window_size": 10}"#).starts_with("Out of range"));
    assert!(build_error("IP", r#"{"drop_ratio_build": 1}"#).starts_with("Out of range"));
    let cancelled = Progress::default();
    cancelled.cancel();
    let stopped = build("SPARSE_WAND", "IP", "", Rows::Sparse(&rows), &cancelled, 1);
    assert!(matches!(stopped, Err(IndexError::Cancelled)));
}

#[test]
fn a_search_that_is_explained_reads_fewer_postings_than_there_are() {
    let mut dice = Dice::new(5);
    let rows = TestSparse((0..20_000).map(|_| words(&mut dice, 400, 12)).collect());
    let index = index(&rows, Metric::Bm25, "", 2);
    let vector = [pair(3, 1.0), pair(20, 4.0), pair(200, 6.0)].concat();
    let read = |exhaustive: bool| {
        let sparse = SparseParams { average_length: Some(5.0), exhaustive, ..SparseParams::default() };
        let (params, trace) = (SearchParams { sparse, ..SearchParams::default() }, Trace::default());
        let mut query = query(&vector, 10, &params);
        query.trace = Some(&trace);
        index.search(&query, &mut vec![]).expect("searches");
        trace.take()
    };
    let (all, some) = (read(true), read(false));
    assert_eq!((all.plans, some.plans), (vec!["every posting"], vec!["cells by upper bound"]));
    assert!(some.visited > 0 && some.visited < all.visited, "{} of {}", some.visited, all.visited);
}
