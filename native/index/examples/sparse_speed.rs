//! Speed of the sparse index, one query after the other on one thread; `bench/sparse.py` makes the files and compares.
//!
//! `cargo run --release --example sparse_speed -- DIR METRIC TOP_K [AVERAGE_LENGTH]`: DIR has `rows.bin` and
//! `queries.bin`, each a sequence of vectors: u32 pairs, then the pairs (u32 dimension, f32 value), ascending. Writes
//! `hits.bin` there (per query u32 hits, then u32 row and f32 score of each) and prints one line of JSON.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use elanus_index::catalog::{Index, Rows, build, open};
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::vector::{Query, SearchParams, SparseParams, SparseRows};

struct Vectors {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Vectors {
    fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        let (mut starts, mut at) = (vec![], 0);
        while at < bytes.len() {
            starts.push(at);
            at += 4 + 8 * u32::from_le_bytes(bytes[at..at + 4].try_into()?) as usize;
        }
        starts.push(at);
        Ok(Self { bytes, starts })
    }
}

impl SparseRows for Vectors {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, row: u32) -> &[u8] {
        &self.bytes[self.starts[row as usize] + 4..self.starts[row as usize + 1]]
    }
}

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, metric, top_k, ..] = &arguments[..] else { return Err("DIR METRIC TOP_K [AVERAGE_LENGTH]".into()) };
    let average_length = arguments.get(3).map(|text| text.parse()).transpose()?;
    let top_k = top_k.parse()?;
    let folder = Path::new(folder);
    let (rows, queries) = (Vectors::read(&folder.join("rows.bin"))?, Vectors::read(&folder.join("queries.bin"))?);
    let start = Instant::now();
    let file = build("SPARSE_INVERTED_INDEX", metric, "{}", Rows::Sparse(&rows), &Progress::default(), 1)?;
    let build_seconds = start.elapsed().as_secs_f64();
    let Index::Sparse(index) = open(Storage::copy_of(&file))? else { return Err("not sparse".into()) };
    let sparse = SparseParams { average_length, ..SparseParams::default() };
    let params = SearchParams { sparse, ..SearchParams::default() };
    let mut rounds = [f64::INFINITY; ROUNDS];
    let mut written: Vec<u8> = vec![];
    for seconds in &mut rounds {
        written.clear();
        let start = Instant::now();
        for number in 0..queries.len() {
            let vector = queries.row(number as u32);
            let query = Query {
                vector,
                top_k,
                allowed: None,
                allowed_count: 0,
                radius: None,
                range_filter: None,
                params: &params,
                trace: None,
            };
            let mut hits = vec![];
            index.search(&query, &mut hits)?;
            written.extend((hits.len() as u32).to_le_bytes());
            for hit in hits {
                written.extend(hit.row.to_le_bytes());
                written.extend(hit.score.to_le_bytes());
            }
        }
        *seconds = start.elapsed().as_secs_f64();
    }
    std::fs::write(folder.join("hits.bin"), &written)?;
    rounds.sort_by(f64::total_cmp);
    let qps = queries.len() as f64 / rounds[ROUNDS / 2];
    let bytes = file.len();
    println!(r#"{{"qps": {qps:.1}, "build_seconds": {build_seconds:.2}, "index_bytes": {bytes}}}"#);
    Ok(())
}
