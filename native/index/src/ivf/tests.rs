//! IVF_FLAT against the definition.

use crate::catalog::{Index, Rows, build, open};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
use crate::vector::{Element, Metric, SearchParams, VectorIndex};

fn index(rows: &TestRows, metric: Metric, nlist: usize) -> Box<dyn VectorIndex> {
    let params = format!(r#"{{"nlist": {nlist}}}"#);
    let file = build("IVF_FLAT", metric.name(), &params, Rows::Dense(rows), &Progress::default(), 2).expect("built");
    match open(Storage::copy_of(&file)).expect("whole") {
        Index::Dense(index) => index,
        Index::Sparse(_) => panic!("dense"),
    }
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
        let index = index(&rows, metric, 64);
        for (nprobe, floor) in [(8, 0.8), (32, 0.97), (64, 1.0), (65_536, 1.0)] {
            let params = SearchParams { nprobe: Some(nprobe), ..SearchParams::default() };
            let mut sum = 0.0;
            for vector in &queries {
                let query = query(vector, 10, &params);
                let mut hits = vec![];
                index.search(&rows, &query, &mut hits).expect("searches");
                assert_sound(&rows, metric, &query, &hits);
                assert_eq!(hits.len(), 10);
                sum += recall(metric, &hits, &naive(&rows, metric, &query));
            }
            let mean = sum / queries.len() as f64;
            assert!(mean >= floor, "{element:?} {metric:?} nprobe {nprobe}: {mean}");
        }
    }
}

#[test]
fn filters_and_large_k_are_filled_from_further_lists() {
    let mut rows = clustered(Element::F32, 6_000, 12, 20, 3);
    rows.rows[17] = None;
    let index = index(&rows, Metric::L2, 128);
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
            assert_eq!(hits.len(), k.min(count - null), "one in {one_in}, k {k}");
        }
    }
}

#[test]
fn few_rows_equal_rows_and_no_rows_work() {
    for count in [0, 1, 38, 100, 500] {
        let mut rows = clustered(Element::F32, count, 4, 0, 1);
        if count == 500 {
            let copy = rows.rows[0].clone();
            rows.rows.iter_mut().for_each(|row| row.clone_from(&copy));
        }
        let index = index(&rows, Metric::Cosine, 1024);
        let params = SearchParams::default();
        let mut hits = vec![];
        index.search(&rows, &query(&[0x3F; 16], 7, &params), &mut hits).expect("searches");
        assert_eq!(hits.len(), count.min(7));
    }
}
