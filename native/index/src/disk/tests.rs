//! Graphs on disk against the definition, from memory and from a mapped file.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::IndexError;
use crate::catalog::{Index, Rows, build, build_to, open};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
use crate::trace::Trace;
use crate::vector::{Element, Metric, Query, SearchParams, VectorIndex};

const PARAMS: &str = r#"{"max_degree": 32, "search_list_size": 80}"#;

fn params(list: usize) -> SearchParams {
    SearchParams { ef: Some(list), ..SearchParams::default() }
}

/// A file of its own in the folder for temporary files; gone at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("elanus-disk-{}-{number}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("made by the test");
    }
}

/// Streams the index to a file and maps it.
fn mapped(index_type: &str, rows: &TestRows, metric: Metric, params: &str) -> Box<dyn VectorIndex> {
    let path = Temporary::new();
    let mut file = std::fs::File::create(&path.0).expect("a writable folder");
    let progress = Progress::default();
    build_to(&mut file, index_type, metric.name(), params, Rows::Dense(rows), &progress, 2).expect("built");
    dense(Storage::map(&path.0).expect("there"))
}

fn dense(storage: Storage) -> Box<dyn VectorIndex> {
    match open(storage).expect("whole") {
        Index::Dense(index) => index,
        Index::Sparse(_) => panic!("dense"),
    }
}

fn with_queries(mut rows: TestRows, queries: usize) -> (TestRows, Vec<Vec<u8>>) {
    let at = rows.rows.len() - queries;
    let queries = rows.rows.split_off(at).into_iter().flatten().collect();
    (rows, queries)
}

type Filter<'a> = Option<(&'a [u64], usize)>;

fn filtered<'a>(vector: &'a [u8], params: &'a SearchParams, filter: Filter<'a>) -> Query<'a> {
    let mut query = query(vector, 10, params);
    if let Some((words, count)) = filter {
        (query.allowed, query.allowed_count) = (Some(words), count);
    }
    query
}

fn mean_recall(rows: &TestRows, index: &dyn VectorIndex, queries: &[Vec<u8>], filter: Filter<'_>) -> f64 {
    let list = params(48);
    let found = queries.iter().map(|vector| {
        let query = filtered(vector, &list, filter);
        let (mut hits, mut exact) = (vec![], vec![]);
        index.search(rows, &query, &mut hits).expect("searches");
        assert_sound(rows, index.metric(), &query, &hits);
        crate::flat::search(rows, index.metric(), &query, &mut exact).expect("searches");
        assert_eq!(hits.len(), exact.len(), "as many hits as there are");
        for hit in &hits {
            let same = exact.iter().find(|other| other.row == hit.row);
            assert!(same.is_none_or(|same| same.score == hit.score), "scores are those of exact search");
        }
        let truth: Vec<(f64, u32)> = exact.iter().map(|hit| (f64::from(hit.score), hit.row)).collect();
        recall(index.metric(), &hits, &truth)
    });
    found.sum::<f64>() / queries.len() as f64
}

#[test]
fn recall_and_exact_scores_for_every_type_metric_and_element() {
    for (turn, element) in [Element::F32, Element::F16, Element::Bf16].into_iter().enumerate() {
        let noise_and_clusters =
            [(Metric::L2, 72, 20), (Metric::Cosine, 24, 0), (Metric::Ip, 72, 20), (Metric::Cosine, 72, 20)];
        for (metric, dim, centres) in noise_and_clusters {
            let (rows, queries) = with_queries(clustered(element, 6_020, dim, centres, 7 + turn as u64), 20);
            for name in super::TYPES {
                let index = mapped(name, &rows, metric, PARAMS);
                assert_eq!(index.type_name(), name);
                let found = mean_recall(&rows, &*index, &queries, None);
                assert!(found >= 0.95, "{name} {element:?} {metric:?} {centres}: {found}");
            }
        }
    }
}

#[test]
fn a_node_may_be_larger_than_a_page_or_have_an_odd_length() {
    for (element, dim, count) in [(Element::F32, 1_200, 1_020), (Element::F16, 33, 5_020), (Element::F32, 3, 5_020)] {
        let (rows, queries) = with_queries(clustered(element, count, dim, 20, 3), 20);
        let index = mapped("DISKANN", &rows, Metric::L2, PARAMS);
        let found = mean_recall(&rows, &*index, &queries, None);
        assert!(found >= 0.95, "{element:?} {dim}: {found}");
    }
}

#[test]
fn memory_holds_codes_and_no_vectors() {
    let rows = clustered(Element::F32, 4_000, 256, 20, 3);
    let held = mapped("DISKANN", &rows, Metric::L2, PARAMS).memory_bytes();
    assert!((4_000 * 128..4_000 * 160).contains(&held), "{held}");
    let wider = mapped("DISKANN", &rows, Metric::L2, r#"{"pq_code_budget_gb_ratio": 0.25}"#).memory_bytes();
    assert!((4_000 * 256..4_000 * 300).contains(&wider), "{wider}");
    let held = mapped("AISAQ", &rows, Metric::L2, PARAMS).memory_bytes();
    assert!(held < 4_000 * 12, "{held}");
}

#[test]
fn filters_of_every_selectivity_keep_recall() {
    let (rows, queries) = with_queries(clustered(Element::F32, 20_020, 32, 30, 5), 20);
    let index = mapped("DISKANN", &rows, Metric::L2, PARAMS);
    for one_in in [1, 2, 3, 5, 9, 20, 100, 1000, 20_000] {
        let (words, count) = bits(20_000, |row| row % one_in == 0);
        let found = mean_recall(&rows, &*index, &queries, Some((&words, count)));
        assert!(found >= 0.95, "one in {one_in}: {found}");
    }
    // Only the rows farthest from the query: nowhere near where a walk would look.
    for one_in in [2, 5] {
        for vector in &queries[..5] {
            let by_distance = naive(&rows, Metric::L2, &query(vector, 20_000, &params(48)));
            let far: std::collections::HashSet<u32> =
                by_distance[20_000 - 20_000 / one_in..].iter().map(|&(_, row)| row).collect();
            let (words, count) = bits(20_000, |row| far.contains(&(row as u32)));
            let found = mean_recall(&rows, &*index, std::slice::from_ref(vector), Some((&words, count)));
            assert!(found >= 0.9, "one in {one_in}: {found}");
        }
    }
}

#[test]
fn ranges_hold_what_is_near_enough_and_pages_follow_each_other() {
    let list = SearchParams::default();
    for metric in [Metric::L2, Metric::Cosine] {
        let (rows, queries) = with_queries(clustered(Element::F32, 8_010, 24, 10, 9), 10);
        let index = mapped("DISKANN", &rows, metric, PARAMS);
        for vector in &queries {
            let all = naive(&rows, metric, &query(vector, 8_000, &list));
            for within in [5, 2_000] {
                let mut query = query(vector, 100, &list);
                query.radius = Some(((all[within].0 + all[within + 1].0) / 2.0) as f32);
                let mut hits = vec![];
                index.search(&rows, &query, &mut hits).expect("searches");
                assert_sound(&rows, metric, &query, &hits);
                assert!(recall(metric, &hits, &naive(&rows, metric, &query)) >= 0.95, "{metric:?} {within}");
            }
            let (mut seen, mut after) = (vec![], None);
            for _ in 0..4 {
                let mut query = query(vector, 50, &list);
                query.range_filter = after;
                let mut hits = vec![];
                index.search(&rows, &query, &mut hits).expect("searches");
                assert_eq!(hits.len(), 50);
                let next = hits.last().map(|hit| hit.score);
                after = next.map(|score| if metric == Metric::L2 { score.next_up() } else { score.next_down() });
                seen.extend(hits);
            }
            let truth: Vec<(f64, u32)> = all[..200].to_vec();
            assert!(recall(metric, &seen, &truth) >= 0.95, "{metric:?}");
        }
    }
}

#[test]
fn nulls_are_never_hits_and_copies_all_are() {
    let (mut rows, queries) = with_queries(clustered(Element::F32, 5_010, 32, 10, 4), 10);
    let copy = rows.rows[77].clone();
    for row in (0..5_000).step_by(9) {
        rows.rows[row] = None;
    }
    for row in (1_000..1_400).filter(|row| row % 9 != 0) {
        rows.rows[row] = copy.clone();
    }
    let index = mapped("DISKANN", &rows, Metric::L2, PARAMS);
    assert!(mean_recall(&rows, &*index, &queries, None) >= 0.95);
    assert!(mean_recall(&rows, &*index, &[copy.expect("made")], None) >= 1.0);
}

#[test]
fn empty_and_tiny_sets_work() {
    for count in [0, 1, 2, 17] {
        let rows = clustered(Element::F32, count, 16, 0, 1);
        let index = mapped("DISKANN", &rows, Metric::Ip, "");
        let mut hits = vec![];
        index.search(&rows, &query(&[0; 64], 5, &params(48)), &mut hits).expect("searches");
        assert_eq!(hits.len(), count.min(5));
    }
}

#[test]
fn a_trace_tells_what_was_read() {
    let (rows, queries) = with_queries(clustered(Element::F32, 5_001, 64, 10, 4), 1);
    let index = mapped("DISKANN", &rows, Metric::L2, PARAMS);
    let (trace, list) = (Trace::default(), params(48));
    let query = Query { trace: Some(&trace), ..query(&queries[0], 10, &list) };
    index.search(&rows, &query, &mut vec![]).expect("searches");
    let stats = trace.take();
    assert_eq!(stats.plans, ["disk walk"]);
    assert!(stats.visited >= 48 && stats.visited < 200, "{stats:?}");
    assert_eq!(stats.bytes_read, stats.visited * 4096 + stats.code_distances * 64);
}

#[test]
fn wrong_parameters_foreign_rows_and_cancelling_are_refused() {
    let rows = clustered(Element::F32, 100, 16, 0, 1);
    let refused = |params: &str| {
        build("DISKANN", "L2", params, Rows::Dense(&rows), &Progress::default(), 1).expect_err("refused").to_string()
    };
    let text = "Out of range in json: param 'max_degree' (0) should be in range [1, 2048]";
    assert_eq!(refused(r#"{"max_degree": 0}"#), text);
    assert!(refused(r#"{"pq_code_budget_gb_ratio": 0.3}"#).starts_with("Out of range in json"));
    let index = mapped("DISKANN", &rows, Metric::L2, PARAMS);
    let search = |rows: &TestRows, params: &SearchParams| {
        index.search(rows, &query(&[0; 64], 10, params), &mut vec![]).expect_err("refused")
    };
    assert_eq!(search(&rows, &params(5)).to_string(), "search_list_size(5) should be larger than k(10)");
    assert!(matches!(search(&clustered(Element::F32, 99, 16, 0, 1), &params(48)), IndexError::Corrupt(_)));
    let progress = Progress::default();
    progress.cancel();
    let error = build("DISKANN", "L2", "", Rows::Dense(&rows), &progress, 2).expect_err("cancelled");
    assert!(matches!(error, IndexError::Cancelled));
}

#[test]
fn one_thread_builds_the_same_file_every_time_and_a_copy_in_memory_answers_alike() {
    let (rows, queries) = with_queries(clustered(Element::F32, 2_005, 24, 5, 8), 5);
    let file = || build("AISAQ", "L2", PARAMS, Rows::Dense(&rows), &Progress::default(), 1).expect("built");
    assert!(file() == file());
    let index = dense(Storage::copy_of(&file()));
    assert!(mean_recall(&rows, &*index, &queries, None) >= 0.95);
}

/// A storage with room for so many bytes, in which nothing is ever written over.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        if self.0 < usize::MAX / 2 { Ok(0) } else { Err(io::ErrorKind::NotSeekable.into()) }
    }
}

#[test]
fn a_storage_that_refuses_is_told_wherever_it_does() {
    let rows = clustered(Element::F32, 1_500, 256, 5, 1);
    for index_type in ["DISKANN", "HNSW"] {
        let progress = Progress::default();
        let whole = build(index_type, "L2", PARAMS, Rows::Dense(&rows), &progress, 2).expect("built").len();
        // The head of a file that is streamed is written a second time at the end.
        let streamed = if index_type == "DISKANN" { vec![whole, usize::MAX] } else { vec![] };
        for room in [0, 100, whole / 2, whole - 1].into_iter().chain(streamed) {
            let rows = Rows::Dense(&rows);
            let refused = build_to(&mut Full(room), index_type, "L2", PARAMS, rows, &Progress::default(), 2);
            let Err(IndexError::Unwritten(text)) = refused else { panic!("{index_type} {room}: {refused:?}") };
            assert!(text.starts_with("index file cannot be written: "), "{text}");
        }
    }
}
