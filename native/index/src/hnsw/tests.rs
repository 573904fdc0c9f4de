//! HNSW against the definition.

use elanus_kernels::Isa;
use elanus_kernels::signs::sign_sums;

use crate::IndexError;
use crate::catalog::{Index, Rows, build, open, open_file};
use crate::format::{self, File};
use crate::hnsw::Hnsw;
use crate::hnsw::codes::{CodeQuery, FACTOR_BYTES};
use crate::hnsw::signs::DOUBT;
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
use crate::vector::{Element, Metric, SearchParams, VectorIndex};

const PARAMS: &str = r#"{"M": 16, "efConstruction": 100}"#;

fn file_of(rows: &TestRows, metric: Metric) -> Vec<u8> {
    build("HNSW", metric.name(), PARAMS, Rows::Dense(rows), &Progress::default(), 2).expect("built")
}

fn index(rows: &TestRows, metric: Metric, threads: usize) -> Box<dyn VectorIndex> {
    let file = build("HNSW", metric.name(), PARAMS, Rows::Dense(rows), &Progress::default(), threads).expect("built");
    match open(Storage::copy_of(&file)).expect("whole") {
        Index::Dense(index) => index,
        Index::Sparse(_) => panic!("dense"),
    }
}

/// Queries near the rows, and rows.
fn with_queries(mut rows: TestRows, queries: usize) -> (TestRows, Vec<Vec<u8>>) {
    let at = rows.rows.len() - queries;
    let queries = rows.rows.split_off(at).into_iter().flatten().collect();
    (rows, queries)
}

type Filter<'a> = Option<(&'a [u64], usize)>;

fn mean_recall(rows: &TestRows, index: &dyn VectorIndex, queries: &[Vec<u8>], filter: Filter<'_>) -> f64 {
    mean_recall_of(64, rows, index, queries, filter)
}

fn mean_recall_of(ef: usize, rows: &TestRows, index: &dyn VectorIndex, queries: &[Vec<u8>], filter: Filter<'_>) -> f64 {
    let params = SearchParams { ef: Some(ef), ..SearchParams::default() };
    let mut sum = 0.0;
    for vector in queries {
        let mut query = query(vector, 10, &params);
        if let Some((words, count)) = filter {
            (query.allowed, query.allowed_count) = (Some(words), count);
        }
        let mut hits = vec![];
        index.search(rows, &query, &mut hits).expect("searches");
        assert_sound(rows, index.metric(), &query, &hits);
        let mut exact = vec![];
        crate::flat::search(rows, index.metric(), &query, &mut exact).expect("searches");
        let truth: Vec<(f64, u32)> = exact.iter().map(|hit| (f64::from(hit.score), hit.row)).collect();
        assert_eq!(hits.len(), truth.len(), "as many hits as there are");
        sum += recall(index.metric(), &hits, &truth);
    }
    sum / queries.len() as f64
}

#[test]
fn recall_on_clusters_and_noise_for_every_metric_and_element() {
    let elements = [Element::F32, Element::F16, Element::Bf16, Element::I8];
    for (turn, element) in elements.into_iter().enumerate() {
        for (metric, centres) in [(Metric::L2, 20), (Metric::Cosine, 0), (Metric::Ip, 20), (Metric::Cosine, 20)] {
            let rows = clustered(element, 6_020, 24, centres, 7 + turn as u64);
            let (rows, queries) = with_queries(rows, 20);
            let index = index(&rows, metric, 2);
            let found = mean_recall(&rows, &*index, &queries, None);
            assert!(found >= 0.95, "{element:?} {metric:?} {centres}: {found}");
        }
    }
}

#[test]
fn bits_and_few_dimensions_walk_the_rows_themselves() {
    for (element, metric, dim) in [
        (Element::Bit, Metric::Hamming, 128),
        (Element::Bit, Metric::Jaccard, 128),
        (Element::F32, Metric::L2, 3),
        (Element::F32, Metric::Cosine, 8),
    ] {
        let (rows, queries) = with_queries(clustered(element, 6_020, dim, 20, 3), 20);
        let index = index(&rows, metric, 2);
        let found = mean_recall(&rows, &*index, &queries, None);
        assert!(found >= 0.95, "{element:?} {metric:?}: {found}");
    }
}

/// Codes of more than a cache line, so that walks look at signs first; an odd number of dimensions among them.
#[test]
fn first_looks_keep_recall() {
    for (metric, name, dim) in [
        (Metric::L2, "HNSW", 200),
        (Metric::Cosine, "HNSW", 201),
        (Metric::Ip, "HNSW", 192),
        (Metric::L2, "HNSW_SQ", 100),
    ] {
        let (rows, queries) = with_queries(clustered(Element::F32, 5_020, dim, 20, 13), 20);
        let file = build(name, metric.name(), PARAMS, Rows::Dense(&rows), &Progress::default(), 2).expect("built");
        let (file, meta) = open_file(Storage::copy_of(&file)).expect("whole");
        let index = Hnsw::open(file, &meta).expect("fits");
        assert!(index.graph.signs);
        let found = mean_recall(&rows, &index, &queries, None);
        assert!(found >= 0.95, "{metric:?} {dim}: {found}");
        let (words, count) = bits(5_000, |row| row % 3 == 0);
        let found = mean_recall(&rows, &index, &queries, Some((&words, count)));
        assert!(found >= 0.95, "{metric:?} {dim}, filtered: {found}");
    }
}

/// Processors without the instructions of this one look with other kernels.
#[test]
fn a_first_look_turns_the_same_nodes_away_at_every_level_of_instructions() {
    for dim in [200, 201] {
        let (rows, queries) = with_queries(clustered(Element::F32, 1_004, dim, 5, 13), 4);
        let (file, meta) = open_file(Storage::copy_of(&file_of(&rows, Metric::L2))).expect("whole");
        let index = Hnsw::open(file, &meta).expect("fits");
        let (mut codes, mut query) = (index.codes(), CodeQuery::default());
        let all: Vec<u32> = (0..1_000).collect();
        for vector in &queries {
            index.encoder.query(vector, &mut vec![], &mut query);
            let mut keys: Vec<f32> = all.iter().map(|&node| codes.compare(&query, node)).collect();
            let (_, &mut limit, _) = keys.select_nth_unstable_by(100, f32::total_cmp);
            let kept = Isa::available().into_iter().map(|isa| {
                codes.sign_sums = sign_sums(isa);
                let mut kept = all.clone();
                codes.sift(&query, &mut kept, limit, DOUBT);
                assert!(all.iter().all(|&node| codes.may_beat(&query, node, limit) == kept.contains(&node)));
                kept
            });
            let kept: Vec<Vec<u32>> = kept.collect();
            assert!(kept.iter().all(|other| *other == kept[0]));
            assert!((50..500).contains(&kept[0].len()), "{}", kept[0].len());
        }
    }
}

/// As files were before heads held signs: another section, and no word of signs among what describes the graph.
fn without_signs(file: &File, head_bytes: usize) -> Vec<u8> {
    let section = |name| file.section(name).expect("there");
    let mut graph: serde_json::Value = serde_json::from_slice(section("graph")).expect("JSON");
    graph.as_object_mut().and_then(|graph| graph.remove("signs")).expect("said");
    let graph = graph.to_string();
    let factors: Vec<u8> =
        section("code_heads").chunks_exact(head_bytes).flat_map(|head| &head[..FACTOR_BYTES]).copied().collect();
    let kept = ["meta", "mean", "rows", "nodes", "copy_nodes", "copy_starts", "copy_rows", "links", "upper"];
    let kept = kept.into_iter().chain(["quantizer", "code_lines"]).map(|name| (name, section(name)));
    let own = [("graph", graph.as_bytes()), ("code_factors", &factors)];
    format::write(&kept.chain(own).collect::<Vec<_>>()).expect("written")
}

#[test]
fn files_from_before_signs_are_opened_and_searched_without() {
    let (rows, queries) = with_queries(clustered(Element::F32, 5_020, 200, 20, 13), 20);
    let bytes = file_of(&rows, Metric::L2);
    let opened = || open_file(Storage::copy_of(&bytes)).expect("whole");
    let (file, meta) = opened();
    let head_bytes = Hnsw::open(file, &meta).expect("fits").encoder.head_bytes();
    let (old, meta) = open_file(Storage::copy_of(&without_signs(&opened().0, head_bytes))).expect("whole");
    let old = Hnsw::open(old, &meta).expect("fits");
    assert!(!old.graph.signs && old.encoder.head_bytes() == FACTOR_BYTES);
    let found = mean_recall(&rows, &old, &queries, None);
    assert!(found >= 0.95, "{found}");
}

#[test]
fn filters_of_every_selectivity_keep_recall() {
    let (rows, queries) = with_queries(clustered(Element::F32, 20_020, 32, 30, 5), 20);
    let index = index(&rows, Metric::L2, 2);
    let unfiltered = mean_recall(&rows, &*index, &queries, None);
    for one_in in [1, 2, 3, 5, 9, 20, 100, 1000, 20_000] {
        let (words, count) = bits(20_000, |row| row % one_in == 0);
        let found = mean_recall(&rows, &*index, &queries, Some((&words, count)));
        assert!(found >= unfiltered.min(0.97) - 0.02, "one in {one_in}: {found} against {unfiltered}");
    }
    // A filter that goes with the position: half of the space.
    let (words, count) = bits(20_000, |row| rows.rows[row].as_ref().is_some_and(|row| row[3] & 0x80 == 0));
    let found = mean_recall(&rows, &*index, &queries, Some((&words, count)));
    assert!(found >= 0.95, "half space: {found}");
}

/// So many rows that it is not always a scan that answers: a narrow beam must find what passes as surely as it finds
/// all.
#[test]
fn filters_leave_a_narrow_beam_its_recall() {
    let (rows, queries) = with_queries(clustered(Element::F32, 30_100, 136, 300, 5), 100);
    let index = index(&rows, Metric::L2, 2);
    for ef in [10, 16, 24] {
        let unfiltered = mean_recall_of(ef, &rows, &*index, &queries, None);
        for one_in in [2, 4, 8, 12, 20] {
            let (words, count) = bits(30_000, |row| row % one_in == 0);
            let found = mean_recall_of(ef, &rows, &*index, &queries, Some((&words, count)));
            // A beam that is wide because little passes misses less.
            let least = if one_in >= 4 { 0.985 } else { unfiltered - 0.01 };
            assert!(found >= least, "ef {ef}, one in {one_in}: {found} against {unfiltered}");
        }
    }
}

/// Filters that keep only the rows farthest from the query: what passes is nowhere near where a walk would look.
#[test]
fn filters_against_the_query_keep_recall() {
    let (rows, queries) = with_queries(clustered(Element::F32, 12_010, 32, 30, 5), 10);
    let index = index(&rows, Metric::L2, 2);
    let params = SearchParams::default();
    for one_in in [2, 5, 10] {
        let mut found = 0.0;
        for vector in &queries {
            let by_distance = naive(&rows, Metric::L2, &query(vector, 12_000, &params));
            let far: std::collections::HashSet<u32> =
                by_distance[12_000 - 12_000 / one_in..].iter().map(|&(_, row)| row).collect();
            let (words, count) = bits(12_000, |row| far.contains(&(row as u32)));
            found += mean_recall(&rows, &*index, std::slice::from_ref(vector), Some((&words, count))) / 10.0;
        }
        assert!(found >= 0.97, "one in {one_in}: {found}");
    }
}

#[test]
fn ranges_hold_what_is_near_enough_and_pages_follow_each_other() {
    let (rows, queries) = with_queries(clustered(Element::F32, 8_010, 24, 10, 9), 10);
    let index = index(&rows, Metric::L2, 2);
    let params = SearchParams::default();
    for vector in &queries {
        let all = naive(&rows, Metric::L2, &query(vector, 8_000, &params));
        // A radius that few rows are within, and one that a quarter of all are.
        for within in [5, 2_000] {
            let mut query = query(vector, 100, &params);
            let radius = ((all[within].0 + all[within + 1].0) / 2.0) as f32;
            query.radius = Some(radius);
            let mut hits = vec![];
            index.search(&rows, &query, &mut hits).expect("searches");
            assert_sound(&rows, Metric::L2, &query, &hits);
            assert!(hits.iter().all(|hit| hit.score < radius));
            let truth = naive(&rows, Metric::L2, &query);
            assert!(recall(Metric::L2, &hits, &truth) >= 0.95, "{within}: {} of {}", hits.len(), truth.len());
        }
        // Pages as an iterator takes them: each starts where the one before ended.
        let mut seen = vec![];
        for page in 0..6 {
            let mut query = query(vector, 50, &params);
            query.radius = Some(f32::MAX);
            query.range_filter = (page > 0).then(|| all[page * 50].0 as f32);
            let mut hits = vec![];
            index.search(&rows, &query, &mut hits).expect("searches");
            assert_eq!(hits.len(), 50);
            seen.extend(hits.iter().map(|hit| hit.row));
        }
        let truth: std::collections::HashSet<u32> = all[..300].iter().map(|&(_, row)| row).collect();
        let found = seen.iter().filter(|row| truth.contains(row)).count();
        assert!(found >= 285, "{found} of 300");
    }
}

#[test]
fn more_than_there_is_gives_all_and_nulls_never_appear() {
    let mut rows = clustered(Element::F32, 5_000, 16, 4, 2);
    for row in rows.rows.iter_mut().step_by(3) {
        *row = None;
    }
    let index = index(&rows, Metric::Cosine, 1);
    let vector = rows.rows[1].clone().expect("kept");
    let params = SearchParams::default();
    for k in [1, 100, 3_000, 3_333, 16_384] {
        let query = query(&vector, k, &params);
        let mut hits = vec![];
        index.search(&rows, &query, &mut hits).expect("searches");
        assert_eq!(hits.len(), k.min(3_333));
        assert_sound(&rows, Metric::Cosine, &query, &hits);
    }
}

#[test]
fn copies_of_one_vector_and_zero_vectors_do_not_hide_others() {
    let mut rows = clustered(Element::F32, 6_000, 24, 0, 4);
    let copy = rows.rows[0].clone();
    for row in 1..2_000 {
        rows.rows[row] = copy.clone();
    }
    for row in 2_000..3_000 {
        rows.rows[row] = Some(vec![0; 96]);
    }
    let (rows, queries) = with_queries(rows, 20);
    for metric in [Metric::Cosine, Metric::L2] {
        let index = index(&rows, metric, 2);
        let found = mean_recall(&rows, &*index, &queries, None);
        assert!(found >= 0.95, "{metric:?}: {found}");
        let found = mean_recall(&rows, &*index, &[copy.clone().expect("made")], None);
        assert!(found >= 1.0, "{metric:?}, the copies themselves: {found}");
    }
}

#[test]
fn empty_and_tiny_sets_work() {
    for count in [0, 1, 2, 17] {
        let rows = clustered(Element::F32, count, 16, 0, 1);
        let index = index(&rows, Metric::Ip, 2);
        let params = SearchParams::default();
        let vector = vec![0u8; 64];
        let mut hits = vec![];
        index.search(&rows, &query(&vector, 5, &params), &mut hits).expect("searches");
        assert_eq!(hits.len(), count.min(5));
    }
}

#[test]
fn ef_below_k_and_foreign_rows_are_refused() {
    let rows = clustered(Element::F32, 100, 16, 0, 1);
    let index = index(&rows, Metric::L2, 1);
    let vector = vec![0u8; 64];
    let params = SearchParams { ef: Some(5), ..SearchParams::default() };
    let error = index.search(&rows, &query(&vector, 10, &params), &mut vec![]).expect_err("ef");
    assert_eq!(error.to_string(), "ef(5) should be larger than k(10)");
    let other = clustered(Element::F32, 99, 16, 0, 1);
    let params = SearchParams::default();
    let error = index.search(&other, &query(&vector, 10, &params), &mut vec![]).expect_err("rows");
    assert!(matches!(error, IndexError::Corrupt(_)));
}

#[test]
fn one_thread_builds_the_same_file_every_time() {
    let rows = clustered(Element::F32, 2_000, 24, 5, 8);
    let file = || build("HNSW", "L2", PARAMS, Rows::Dense(&rows), &Progress::default(), 1).expect("built");
    assert!(file() == file());
}

#[test]
fn build_parameters_out_of_range_and_cancelling_end_the_build() {
    let rows = clustered(Element::F32, 3_000, 24, 5, 8);
    let refused = |params: &str| {
        let error = build("HNSW", "L2", params, Rows::Dense(&rows), &Progress::default(), 1).expect_err("refused");
        error.to_string()
    };
    assert_eq!(refused(r#"{"M": 1}"#), "Out of range in json: param 'M' (1) should be in range [2, 2048]");
    assert_eq!(refused(r#"{"refine": true}"#), "refine is not supported for this index");
    let progress = Progress::default();
    progress.cancel();
    let error = build("HNSW", "L2", PARAMS, Rows::Dense(&rows), &progress, 2).expect_err("cancelled");
    assert!(matches!(error, IndexError::Cancelled));
    let progress = Progress::default();
    build("HNSW", "L2", PARAMS, Rows::Dense(&rows), &progress, 2).expect("built");
    assert_eq!(progress.fraction(), 1.0);
}

#[test]
fn every_code_of_the_family_keeps_recall_and_exact_scores() {
    let variants = [
        ("HNSW_SQ", r#"{"M": 16, "efConstruction": 100, "sq_type": "SQ4U"}"#),
        ("HNSW_SQ", r#"{"M": 16, "efConstruction": 100}"#),
        ("HNSW_SQ", r#"{"M": 16, "efConstruction": 100, "sq_type": "BF16"}"#),
        ("HNSW_PQ", r#"{"M": 16, "efConstruction": 100, "m": 16}"#),
        ("HNSW_PRQ", r#"{"M": 16, "efConstruction": 100, "m": 8, "nrq": 2, "nbits": 6}"#),
    ];
    for (turn, (name, params)) in variants.into_iter().enumerate() {
        let element = [Element::F32, Element::F16, Element::I8][turn % 3];
        for metric in [Metric::L2, Metric::Cosine, Metric::Ip] {
            let (rows, queries) = with_queries(clustered(element, 9_020, 32, 20, 11), 20);
            let dense = Rows::Dense(&rows);
            let file = build(name, metric.name(), params, dense, &Progress::default(), 2).expect("built");
            let Index::Dense(index) = open(Storage::copy_of(&file)).expect("whole") else { panic!("dense") };
            assert_eq!(index.type_name(), name);
            let found = mean_recall(&rows, &*index, &queries, None);
            assert!(found >= 0.95, "{name} {params} {element:?} {metric:?}: {found}");
        }
    }
}

#[test]
fn a_wider_refinement_finds_more() {
    let (rows, queries) = with_queries(clustered(Element::F32, 9_020, 32, 0, 11), 20);
    let params = r#"{"M": 16, "efConstruction": 100, "m": 4, "nbits": 4}"#;
    let file = build("HNSW_PQ", "L2", params, Rows::Dense(&rows), &Progress::default(), 2).expect("built");
    let Index::Dense(index) = open(Storage::copy_of(&file)).expect("whole") else { panic!("dense") };
    let mean = |refine_k: f32| {
        let params = SearchParams { refine_k: Some(refine_k), ..SearchParams::default() };
        let found = queries.iter().map(|vector| {
            let query = query(vector, 10, &params);
            let mut hits = vec![];
            index.search(&rows, &query, &mut hits).expect("searches");
            recall(Metric::L2, &hits, &naive(&rows, Metric::L2, &query))
        });
        found.sum::<f64>() / queries.len() as f64
    };
    let (narrow, wide) = (mean(1.0), mean(7.0));
    assert!(narrow + 0.05 < wide, "{narrow} {wide}");
}

#[test]
fn wrong_parameters_of_the_family_are_refused_with_milvus_texts() {
    let rows = clustered(Element::F32, 50, 16, 0, 1);
    let refused = |name: &str, params: &str| {
        build(name, "L2", params, Rows::Dense(&rows), &Progress::default(), 1).expect_err("refused").to_string()
    };
    assert_eq!(refused("HNSW_SQ", r#"{"sq_type": "SQ5"}"#), "invalid scalar quantizer type");
    assert!(refused("HNSW_PQ", r#"{"m": 5}"#).ends_with("Dimension: 16, m: 5"));
    assert!(refused("HNSW_PRQ", r#"{"nrq": 17}"#).starts_with("Out of range in json: param 'nrq' (17)"));
    assert_eq!(refused("HNSW", r#"{"refine": true}"#), "refine is not supported for this index");
}
