//! Damaged files of every type: refused with a reason, never a panic, never a wrong answer.

use proptest::prelude::*;

use super::{Index, Rows, build, open};
use crate::IndexError;
use crate::format::{self, File};
use crate::progress::Progress;
use crate::storage::Storage;
use crate::testing::{Dice, TestRows, TestSparse, clustered, query, sparse, words};
use crate::vector::{Element, SearchParams, SparseParams, VectorRows};

const SECTIONS: [&str; 37] = [
    "meta",
    "origin",
    "recipe",
    "coarse",
    "books",
    "blocks",
    "refine",
    "graph",
    "mean",
    "rows",
    "nodes",
    "copy_nodes",
    "copy_starts",
    "copy_rows",
    "links",
    "upper",
    "quantizer",
    "code_lines",
    "code_factors",
    "centroids",
    "starts",
    "dimensions",
    "values",
    "sparse",
    "places",
    "scales",
    "leasts",
    "lows",
    "highs",
    "short_codes",
    "cell_codes",
    "cell_starts",
    "window_starts",
    "lengths",
    "minhash",
    "hashes",
    "disk_nodes",
];

fn dense_files(rows: &TestRows) -> Vec<Vec<u8>> {
    let build = |index_type: &str, params: &str| {
        build(index_type, "L2", params, Rows::Dense(rows), &Progress::default(), 1).expect("built")
    };
    vec![
        build("FLAT", ""),
        build("IVF_FLAT", r#"{"nlist": 4}"#),
        build("IVF_PQ", r#"{"nlist": 4, "m": 4, "nbits": 3, "refine": true, "refine_type": "sq6"}"#),
        build("HNSW", r#"{"M": 4, "efConstruction": 20}"#),
        build("HNSW_PQ", r#"{"M": 4, "efConstruction": 20, "m": 4, "nbits": 4}"#),
        build("DISKANN", r#"{"max_degree": 8, "search_list_size": 20}"#),
    ]
}

const BINARY: [&str; 2] = ["BIN_IVF_FLAT", "MINHASH_LSH"];

fn binary_file(index_type: &str) -> Vec<u8> {
    let rows = clustered(Element::Bit, 120, 64, 5, 2);
    let params = r#"{"nlist": 3, "mh_lsh_band": 4}"#;
    build(index_type, "", params, Rows::Dense(&rows), &Progress::default(), 1).expect("built")
}

fn sparse_file(metric: &str) -> Vec<u8> {
    let mut dice = Dice::new(3);
    let row = |dice: &mut Dice| if metric == "IP" { sparse(dice, 40, 6, true) } else { words(dice, 40, 6) };
    let rows = TestSparse((0..100).map(|_| row(&mut dice)).collect());
    build("SPARSE_INVERTED_INDEX", metric, "", Rows::Sparse(&rows), &Progress::default(), 1).expect("built")
}

#[test]
fn every_damaged_byte_is_noticed() {
    let mut rows = clustered(Element::F32, 300, 16, 3, 1);
    rows.rows[5] = rows.rows[250].clone();
    for file in
        dense_files(&rows).into_iter().chain([sparse_file("IP"), sparse_file("BM25")]).chain(BINARY.map(binary_file))
    {
        for at in (0..file.len()).step_by(if file.len() > 20_000 { 37 } else { 5 }) {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = open(Storage::copy_of(&damaged)).err().expect("damage is noticed");
            assert!(matches!(error, IndexError::Corrupt(_)), "{error}");
            assert!(error.to_string().contains("header") || error.to_string().contains("block"), "{error}");
        }
    }
}

/// A file whose checksums fit its wrong contents.
fn forge(file: &[u8], change: impl Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
    let opened = File::open(Storage::copy_of(file)).expect("whole");
    let mut sections: Vec<(&str, Vec<u8>)> = vec![];
    for name in SECTIONS {
        if let Ok(bytes) = opened.section(name) {
            let mut bytes = bytes.to_vec();
            change(name, &mut bytes);
            sections.push((name, bytes));
        }
    }
    let borrowed: Vec<(&str, &[u8])> = sections.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    format::write(&borrowed).expect("written")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Wrong contents under right checksums may be refused or answered, but must not panic or hang.
    #[test]
    fn forged_files_never_panic(
        which in 0usize..10, section in 0usize..SECTIONS.len(), at: prop::sample::Index, to in any::<u8>(), cut: bool,
    ) {
        let mut rows = clustered(Element::F32, 120, 16, 3, 1);
        rows.rows[5] = rows.rows[99].clone();
        let file = match which {
            6 => sparse_file("IP"),
            7 => sparse_file("BM25"),
            8 | 9 => binary_file(BINARY[which - 8]),
            _ => dense_files(&rows).swap_remove(which),
        };
        let forged = forge(&file, |name, bytes| {
            if name == SECTIONS[section] && !bytes.is_empty() {
                let at = at.index(bytes.len());
                if cut { bytes.truncate(at) } else { bytes[at] = to }
            }
        });
        let sparse = SparseParams { average_length: Some(4.0), ..SparseParams::default() };
        let params = SearchParams { ef: Some(20), nprobe: Some(2), sparse, ..SearchParams::default() };
        match open(Storage::copy_of(&forged)) {
            Err(error) => prop_assert!(matches!(error, IndexError::Corrupt(_))),
            Ok(Index::Dense(index)) if which > 7 => {
                let rows = clustered(Element::Bit, 120, 64, 5, 2);
                let _ = index.search(&rows, &query(rows.row(7), 5, &params), &mut vec![]);
            }
            Ok(Index::Dense(index)) => {
                let _ = index.search(&rows, &query(&[0; 64], 5, &params), &mut vec![]);
            }
            Ok(Index::Sparse(index)) => {
                let vector = [0u32.to_le_bytes(), 1f32.to_le_bytes(), 7u32.to_le_bytes(), 2f32.to_le_bytes()].concat();
                let _ = index.search(&query(&vector, 5, &params), &mut vec![]);
            }
        }
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let bytes = if magic { [&b"ELANUSIX\x01\0\0\0"[..], &bytes].concat() } else { bytes };
        prop_assert!(open(Storage::copy_of(&bytes)).is_err());
    }
}

#[test]
fn types_and_metrics_must_fit_the_rows() {
    let floats = clustered(Element::F32, 3, 16, 0, 1);
    let bits = clustered(Element::Bit, 3, 16, 0, 1);
    let refused = |index_type: &str, metric: &str, rows: &TestRows| {
        let error = build(index_type, metric, "", Rows::Dense(rows), &Progress::default(), 1).expect_err("refused");
        error.to_string()
    };
    assert_eq!(refused("BIN_FLAT", "L2", &floats), "invalid index type: BIN_FLAT");
    assert_eq!(refused("NOPE", "L2", &floats), "invalid index type: NOPE");
    let text = refused("FLAT", "HAMMING", &floats);
    assert_eq!(text, "metric type HAMMING not found or not supported, supported: [COSINE L2 IP]");
    assert!(refused("BIN_FLAT", "L2", &bits).starts_with("metric type L2 not found"));
    for (rows, expected) in [(&floats, "FLAT"), (&bits, "BIN_FLAT")] {
        let file = build("AUTOINDEX", "", "", Rows::Dense(rows), &Progress::default(), 1).expect("built");
        assert_eq!(open(Storage::copy_of(&file)).expect("whole").type_name(), expected);
    }
}
