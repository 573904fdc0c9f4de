//! Recall and speed of the vector indexes on real embeddings, against exact search.
//!
//! `cargo run --release --example recall -- ROWS [INDEX] [METRIC] [PARAMS]`: a NumPy file of rows (C order), of which
//! every hundredth is held out as a query, or a folder with `base.npy` and `queries.npy`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use elanus_index::catalog::{Index, Rows, build, open};
use elanus_index::flat;
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::vector::{Element, Hit, Query, SearchParams, VectorIndex, VectorRows};
use elanus_kernels::{Metric, decode};

/// Seconds that this thread has really run, where Linux tells; a busy machine does not blur the rates then.
fn processor_seconds(start: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

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
    fn run(&self, row: u32) -> (&[u8], usize) {
        (&self.bytes[row as usize * self.dim * 4..], self.len() - row as usize)
    }
}

const TOP_K: usize = 10;
const SHARES: [f64; 8] = [0.9, 0.6, 0.4, 0.2, 0.1, 0.05, 0.02, 0.005];

/// Rows and queries.
type Loaded = (Floats, Vec<Vec<u8>>);

/// The floats of a NumPy file of half or single precision (C order), and how many a row has.
fn read_npy(path: &Path) -> Result<(usize, Vec<f32>), Box<dyn Error>> {
    let file = std::fs::read(path)?;
    let header_end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..header_end])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("shape")?;
    let dim: usize = shape.split(',').nth(1).ok_or("dim")?.trim().parse()?;
    let element = if header.contains("<f2") { Element::F16 } else { Element::F32 };
    let body = &file[header_end..];
    let mut values = vec![0f32; body.len() / element.row_bytes(1)];
    decode::to_f32(element, body, &mut values);
    Ok((dim, values))
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A folder has `base.npy` and `queries.npy`; of a single file every hundredth row is held out as a query.
fn load(path: &Path) -> Result<Loaded, Box<dyn Error>> {
    if path.is_dir() {
        let (dim, base) = read_npy(&path.join("base.npy"))?;
        let (_, queries) = read_npy(&path.join("queries.npy"))?;
        return Ok((Floats { dim, bytes: bytes_of(&base) }, queries.chunks_exact(dim).map(bytes_of).collect()));
    }
    let (dim, values) = read_npy(path)?;
    let (mut rows, mut queries) = (Floats { dim, bytes: vec![] }, vec![]);
    for (number, row) in values.chunks_exact(dim).enumerate() {
        if number % 100 == 0 {
            queries.push(bytes_of(row));
        } else {
            rows.bytes.extend(bytes_of(row));
        }
    }
    Ok((rows, queries))
}

struct Trial<'a> {
    rows: &'a Floats,
    index: &'a dyn VectorIndex,
    queries: &'a [Vec<u8>],
    allowed: Option<Vec<u64>>,
}

impl Trial<'_> {
    fn query<'q>(&'q self, vector: &'q [u8], params: &'q SearchParams) -> Query<'q> {
        let allowed_count =
            self.allowed.as_ref().map_or(0, |words| words.iter().map(|w| w.count_ones() as usize).sum());
        let allowed = self.allowed.as_deref();
        Query { vector, top_k: TOP_K, allowed, allowed_count, radius: None, range_filter: None, params, trace: None }
    }

    fn exact(&self) -> Vec<Vec<Hit>> {
        let params = SearchParams::default();
        let clock = Instant::now();
        let start = processor_seconds(clock);
        let answers: Vec<Vec<Hit>> = self
            .queries
            .iter()
            .map(|vector| {
                let mut hits = vec![];
                flat::search(self.rows, self.index.metric(), &self.query(vector, &params), &mut hits).expect("exact");
                hits
            })
            .collect();
        println!("exact: {:.0} queries/s", self.queries.len() as f64 / (processor_seconds(clock) - start));
        answers
    }

    fn run(&self, label: &str, params: &SearchParams, exact: &[Vec<Hit>]) {
        let clock = Instant::now();
        let start = processor_seconds(clock);
        let (mut found, mut wanted) = (0, 0);
        for (vector, truth) in self.queries.iter().zip(exact) {
            let mut hits = vec![];
            self.index.search(self.rows, &self.query(vector, params), &mut hits).expect("search");
            found += truth.iter().filter(|hit| hits.iter().any(|other| other.row == hit.row)).count();
            wanted += truth.len();
        }
        let rate = self.queries.len() as f64 / (processor_seconds(clock) - start);
        println!("{label}: {rate:.0} queries/s, recall@{TOP_K} {:.4}", found as f64 / wanted as f64);
    }
}

/// About `share` of the rows, by hash.
fn some(rows: usize, share: f64) -> Vec<u64> {
    let mut words = vec![0u64; rows.div_ceil(64)];
    for row in 0..rows {
        let hash = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        if (hash as f64) < share * (1u64 << 24) as f64 {
            words[row / 64] |= 1 << (row % 64);
        }
    }
    words
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize, default: &str| arguments.get(at).cloned().unwrap_or_else(|| default.to_owned());
    let (rows, queries) = load(Path::new(&arguments[0]))?;
    let (index_type, metric, params) =
        (argument(1, "HNSW"), argument(2, "COSINE"), argument(3, r#"{"M": 18, "efConstruction": 240}"#));
    assert!(Metric::from_name(&metric).is_some(), "metric");
    let start = Instant::now();
    let file = build(&index_type, &metric, &params, Rows::Dense(&rows), &Progress::default(), 2)?;
    println!(
        "{index_type} {metric} {params}: {} rows, built in {:.1} s, {} bytes",
        rows.len(),
        start.elapsed().as_secs_f64(),
        file.len()
    );
    let start = Instant::now();
    let Index::Dense(index) = open(Storage::copy_of(&file))? else { return Err("dense".into()) };
    println!("opened in {:.3} s", start.elapsed().as_secs_f64());
    let mut trial = Trial { rows: &rows, index: &*index, queries: &queries, allowed: None };
    let exact = trial.exact();
    for width in [10, 16, 24, 32, 48, 64, 96, 128, 256] {
        let params = SearchParams { ef: Some(width), nprobe: Some(width), ..SearchParams::default() };
        trial.run(&format!("width {width}"), &params, &exact);
    }
    for share in SHARES {
        trial.allowed = Some(some(rows.len(), share));
        let exact = trial.exact();
        let params = SearchParams { ef: Some(64), nprobe: Some(64), ..SearchParams::default() };
        trial.run(&format!("allowed {share}, width 64"), &params, &exact);
    }
    Ok(())
}
