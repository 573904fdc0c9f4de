use std::sync::atomic::{AtomicBool, Ordering};

use super::GrowingLists;
use crate::flat;
use crate::progress::Progress;
use crate::testing::{Dice, TestRows, clustered};
use crate::trace::Trace;
use crate::vector::{Element, Hit, Metric, Query, SearchParams, VectorRows};

/// The first rows of others, as a growing segment has them earlier.
struct First<'a>(&'a TestRows, usize);

impl VectorRows for First<'_> {
    fn len(&self) -> usize {
        self.1
    }
    fn element(&self) -> Element {
        self.0.element
    }
    fn dim(&self) -> usize {
        self.0.dim
    }
    fn row(&self, row: u32) -> &[u8] {
        self.0.row(row)
    }
}

fn best(
    rows: &dyn VectorRows,
    lists: Option<&GrowingLists>,
    metric: Metric,
    asked: (&[u8], usize, Option<&[u64]>),
    trace: Option<&Trace>,
) -> Vec<Hit> {
    let (vector, top_k, allowed) = asked;
    let allowed_count = allowed.map_or(0, |words| words.iter().map(|word| word.count_ones() as usize).sum());
    let params = SearchParams::default();
    let query =
        Query { vector, top_k, allowed, allowed_count, radius: None, range_filter: None, params: &params, trace };
    let mut hits = vec![];
    match lists {
        Some(lists) => lists.search(rows, &query, &mut hits).expect("searches"),
        None => flat::search(rows, metric, &query, &mut hits).expect("searches"),
    }
    hits
}

/// Mean share of the exact hits that the lists find; every score found must be that of exact search.
fn recall(rows: &TestRows, lists: &GrowingLists, metric: Metric, top_k: usize, allowed: Option<&[u64]>) -> f64 {
    let queries = clustered(rows.element, 40, rows.dim, 30, 5);
    let (mut found, mut wanted) = (0, 0);
    for row in 0..20 {
        // Rows of the data, and vectors that are not.
        let vector = if row % 2 == 0 { rows.row(row * 7) } else { queries.row(row) };
        if vector.is_empty() {
            continue;
        }
        let exact = best(rows, None, metric, (vector, top_k, allowed), None);
        let near = best(rows, Some(lists), metric, (vector, top_k, allowed), None);
        assert_eq!(near.len(), exact.len());
        let worst = exact.last().expect("hits").score;
        let better = |score: f32| if metric == Metric::L2 { score <= worst } else { score >= worst };
        found += near.iter().filter(|hit| better(hit.score)).count();
        wanted += exact.len();
        for hit in near.iter().filter(|hit| exact.iter().any(|other| other.row == hit.row)) {
            assert!(exact.contains(hit), "the score of row {} is not exact", hit.row);
        }
    }
    found as f64 / wanted as f64
}

#[test]
fn finds_what_exact_search_finds_while_rows_come() {
    for (element, metric) in [
        (Element::F32, Metric::L2),
        (Element::F32, Metric::Ip),
        (Element::F32, Metric::Cosine),
        (Element::F16, Metric::Cosine),
        (Element::Bf16, Metric::L2),
        (Element::I8, Metric::L2),
    ] {
        let mut rows = clustered(element, 9_000, 32, 40, 3);
        (0..rows.rows.len()).step_by(11).for_each(|row| rows.rows[row] = None);
        let lists = GrowingLists::learn(&First(&rows, 3_000), metric, &Progress::default());
        let lists = lists.expect("learns").expect("has rows to learn from");
        assert_eq!(lists.covered(), 3_000);
        let before = lists.memory_bytes();
        for count in [3_001, 3_500, 9_000] {
            lists.absorb(&First(&rows, count), &Progress::default()).expect("absorbs");
            assert_eq!(lists.covered(), count);
        }
        assert!(lists.memory_bytes() > before + 5_000 * 32);
        for top_k in [1, 10, 100] {
            let share = recall(&rows, &lists, metric, top_k, None);
            assert!(share >= 0.95, "{element:?} {metric:?}: recall@{top_k} {share}");
        }
        let mut dice = Dice::new(9);
        for one_in in [2, 8, 64] {
            let words: Vec<u64> = (0..rows.rows.len().div_ceil(64))
                .map(|_| (0..64).fold(0, |word, bit| word | u64::from(dice.below(one_in) == 0) << bit))
                .collect();
            let share = recall(&rows, &lists, metric, 10, Some(&words));
            assert!(share >= 0.95, "{element:?} {metric:?}: recall {share} of one row in {one_in}");
        }
    }
}

#[test]
fn rows_beyond_the_readers_are_not_found() {
    let rows = clustered(Element::F32, 6_000, 16, 20, 3);
    let lists = GrowingLists::learn(&rows, Metric::L2, &Progress::default()).expect("learns").expect("has rows");
    let trace = Trace::default();
    let hits = best(&First(&rows, 4_000), Some(&lists), Metric::L2, (rows.row(5_000), 50, None), Some(&trace));
    assert_eq!(hits.len(), 50);
    assert!(hits.iter().all(|hit| hit.row < 4_000));
    assert_eq!(trace.take().plans, ["growing lists"]);
}

#[test]
fn a_range_and_a_large_answer_are_complete() {
    let rows = clustered(Element::F32, 5_000, 16, 20, 3);
    let lists = GrowingLists::learn(&rows, Metric::L2, &Progress::default()).expect("learns").expect("has rows");
    let asked = (rows.row(17), 2_000, None);
    assert_eq!(best(&rows, Some(&lists), Metric::L2, asked, None), best(&rows, None, Metric::L2, asked, None));
    let params = SearchParams::default();
    let query = Query {
        vector: rows.row(17),
        top_k: 20,
        allowed: None,
        allowed_count: 0,
        radius: Some(2.0),
        range_filter: Some(0.5),
        params: &params,
        trace: None,
    };
    let (mut found, mut exact) = (vec![], vec![]);
    lists.search(&rows, &query, &mut found).expect("searches");
    flat::search(&rows, Metric::L2, &query, &mut exact).expect("searches");
    assert_eq!(found, exact);
}

#[test]
fn searches_run_beside_appends() {
    let rows = clustered(Element::F32, 20_000, 16, 20, 3);
    let lists = GrowingLists::learn(&First(&rows, 4_000), Metric::L2, &Progress::default());
    let lists = lists.expect("learns").expect("has rows");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in (4_000..=20_000).step_by(50) {
                lists.absorb(&First(&rows, count), &Progress::default()).expect("absorbs");
            }
            done.store(true, Ordering::Release);
        });
        let mut row = 0;
        while !done.load(Ordering::Acquire) {
            let covered = lists.covered();
            row = (row + 4_001) % covered as u32;
            let hits = best(&First(&rows, covered), Some(&lists), Metric::L2, (rows.row(row), 5, None), None);
            assert_eq!((hits[0].row, hits[0].score), (row, 0.0));
        }
    });
}

#[test]
fn nothing_is_learnt_from_nothing() {
    let none = TestRows { element: Element::F32, dim: 8, rows: vec![None; 100] };
    assert!(GrowingLists::learn(&none, Metric::L2, &Progress::default()).expect("learns").is_none());
    let cancelled = Progress::default();
    cancelled.cancel();
    let rows = clustered(Element::F32, 500, 8, 4, 3);
    assert!(GrowingLists::learn(&rows, Metric::L2, &cancelled).is_err());
}
