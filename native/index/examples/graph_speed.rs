//! Speed and recall of a graph index, setting by setting, over a folder of the benchmarks (`bench/datasets.py`).
//!
//! `cargo run --release --example graph_speed -- FOLDER [PARAMS] [FILE] [WIDTHS]`: builds the index, or reads it from
//! FILE when that is there, and prints queries per second by the clock of one thread and of two at once, the best of
//! many rounds: the kernel tells a thread's processor time in steps of milliseconds only.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use elanus_index::catalog::{Index, Rows, build, open};
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::vector::{Element, Query, SearchParams, VectorRows};

struct Floats {
    dim: usize,
    bytes: Vec<u8>,
}

impl VectorRows for Floats {
    fn len(&self) -> usize {
        self.bytes.len() / (self.dim * 4)
    }
    fn element(&self) -> Element {
        Element::F32
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn row(&self, row: u32) -> &[u8] {
        &self.bytes[row as usize * self.dim * 4..(row as usize + 1) * self.dim * 4]
    }
}

/// Columns and body of a NumPy file (C order).
fn read_npy(path: &Path) -> Result<(usize, Vec<u8>), Box<dyn Error>> {
    let mut file = std::fs::read(path)?;
    let header_end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..header_end])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("shape")?;
    let columns = shape.split(',').nth(1).ok_or("columns")?.trim().parse()?;
    file.drain(..header_end);
    Ok((columns, file))
}

const TOP_K: usize = 10;
const ROUNDS: usize = 25;
const WIDTHS: [usize; 12] = [10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().ok_or("a folder")?);
    let params = arguments.get(1).map_or(r#"{"M": 16, "efConstruction": 200}"#, String::as_str);
    let (dim, bytes) = read_npy(&folder.join("base.npy"))?;
    let rows = Floats { dim, bytes };
    let queries = read_npy(&folder.join("queries.npy"))?.1;
    let queries: Vec<&[u8]> = queries.chunks_exact(dim * 4).collect();
    let (depth, truth) = read_npy(&folder.join("truth.npy"))?;
    let truth: Vec<u32> = truth.as_chunks::<8>().0.iter().map(|&row| u64::from_le_bytes(row) as u32).collect();
    let kept = arguments.get(2).and_then(|path| std::fs::read(path).ok());
    let file = if let Some(file) = kept {
        file
    } else {
        let threads = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
        let start = Instant::now();
        let file = build("HNSW", "L2", params, Rows::Dense(&rows), &Progress::default(), threads)?;
        let per_row = file.len() / rows.len();
        println!(
            "{params}: {} rows, built in {:.1} s, {per_row} bytes a row",
            rows.len(),
            start.elapsed().as_secs_f64()
        );
        if let Some(path) = arguments.get(2) {
            std::fs::write(path, &file)?;
        }
        file
    };
    let Index::Dense(index) = open(Storage::copy_of(&file))? else { return Err("dense".into()) };
    let asked = arguments.get(3).map(|list| list.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>());
    for width in asked.transpose()?.unwrap_or_else(|| WIDTHS.to_vec()) {
        let params = SearchParams { ef: Some(width), ..SearchParams::default() };
        let round = || {
            let mut hits = vec![];
            let mut found = 0;
            for (vector, truth) in queries.iter().zip(truth.chunks_exact(depth)) {
                let query = Query {
                    vector,
                    top_k: TOP_K,
                    allowed: None,
                    allowed_count: 0,
                    radius: None,
                    range_filter: None,
                    params: &params,
                    trace: None,
                };
                hits.clear();
                index.search(&rows, &query, &mut hits).expect("searches");
                found += hits.iter().filter(|hit| truth[..TOP_K].contains(&hit.row)).count();
            }
            found
        };
        let (mut one, mut two) = (f64::INFINITY, f64::INFINITY);
        let mut found = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            found = round();
            one = one.min(start.elapsed().as_secs_f64() / queries.len() as f64);
            let start = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(round);
                round();
            });
            two = two.min(start.elapsed().as_secs_f64() / (2 * queries.len()) as f64);
        }
        let recall = found as f64 / (queries.len() * TOP_K) as f64;
        println!(
            "ef {width:>4}: recall {recall:.4}, {:>7.1} µs, {:>7.0} queries/s, {:>7.0} with two threads ({:.2})",
            one * 1e6,
            1.0 / one,
            1.0 / two,
            one / two
        );
    }
    Ok(())
}
