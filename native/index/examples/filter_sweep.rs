//! No cliff: recall and speed of the graph index under filters of every selectivity, beside exact search over the rows
//! that pass and beside the search without a filter.
//!
//! `cargo run --release --example filter_sweep -- FILE.npy|clustered ROWS OUT.json`: a NumPy file of half-precision
//! rows (C order; every hundredth row is held out as a query), or ROWS rows of 768 dimensions around 500 centres.
//! Filters are random, or correlated with the query (only rows near it may pass), or anti-correlated (only rows far
//! from it). Writes one JSON object with a point for each filter. Times are of the processor, interleaved by query.

use std::error::Error;
use std::fmt::Write;
use std::time::Instant;

use elanus_index::catalog::{Index, Rows, build, open};
use elanus_index::flat;
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::trace::Trace;
use elanus_index::vector::{Element, Hit, Query, SearchParams, VectorIndex, VectorRows};
use elanus_kernels::{Metric, decode};

const TOP_K: usize = 10;
const EFS: [usize; 2] = [64, 128];
const SHARES: [f64; 6] = [0.5, 0.2, 0.1, 0.05, 0.01, 0.001];
const KINDS: [Kind; 3] = [Kind::Random, Kind::Correlated, Kind::AntiCorrelated];
const QUERIES: usize = 200;

#[derive(Clone, Copy)]
enum Kind {
    Random,
    Correlated,
    AntiCorrelated,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Correlated => "correlated",
            Self::AntiCorrelated => "anti-correlated",
        }
    }
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

/// Rows and queries.
type Loaded = (Floats, Vec<Vec<u8>>);

fn load(path: &str, limit: usize) -> Result<Loaded, Box<dyn Error>> {
    let file = std::fs::read(path)?;
    let header_end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..header_end])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("shape")?;
    let dim: usize = shape.split(',').nth(1).ok_or("dim")?.trim().parse()?;
    let mut values = vec![0f32; dim];
    let (mut rows, mut queries) = (Floats { dim, bytes: vec![] }, vec![]);
    for (number, row) in file[header_end..].chunks_exact(dim * 2).take(limit).enumerate() {
        decode::to_f32(Element::F16, row, &mut values);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        if number % 100 == 0 { queries.push(bytes.collect()) } else { rows.bytes.extend(bytes) }
    }
    queries.truncate(QUERIES);
    Ok((rows, queries))
}

fn clustered(count: usize) -> Loaded {
    let (dim, mut state) = (768, 1u64);
    let mut float = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let centres: Vec<f32> = (0..500 * dim).map(|_| float()).collect();
    let mut row = |bytes: &mut Vec<u8>| {
        let centre = ((float() + 1.0) * 250.0) as usize % 500;
        for at in 0..dim {
            bytes.extend((centres[centre * dim + at] + float()).to_le_bytes());
        }
    };
    let mut rows = Floats { dim, bytes: vec![] };
    (0..count).for_each(|_| row(&mut rows.bytes));
    let queries = (0..QUERIES).map(|_| {
        let mut query = vec![];
        row(&mut query);
        query
    });
    let queries = queries.collect();
    (rows, queries)
}

/// The rows that pass for a query.
struct Allowed {
    words: Vec<u64>,
    count: usize,
}

fn allowed(rows: usize, kind: Kind, share: f64, ranked: &[u32], seed: u64) -> Allowed {
    let mut words = vec![0u64; rows.div_ceil(64)];
    let mut pass = |row: usize| words[row / 64] |= 1 << (row % 64);
    let dice = |row: u32, limit: f64| {
        let hash = (u64::from(row) ^ seed << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        (hash as f64) < limit * (1u64 << 24) as f64
    };
    // Correlated: of the nearer third of the rows most; anti-correlated: of the farther half of them.
    let wanted = |place: usize, row: u32| match kind {
        Kind::Random => dice(row, share),
        Kind::Correlated => (place as f64) < rows as f64 * share * 1.5 && dice(row, 1.0 / 1.5),
        Kind::AntiCorrelated => {
            let from = rows as f64 * (1.0 - (share * 1.5).min(0.9));
            place as f64 >= from && dice(row, share / (share * 1.5).min(0.9))
        }
    };
    ranked.iter().enumerate().filter(|&(place, &row)| wanted(place, row)).for_each(|(_, &row)| pass(row as usize));
    let count = words.iter().map(|word| word.count_ones() as usize).sum();
    Allowed { words, count }
}

/// Seconds that this thread has really run, where Linux tells; a busy machine does not blur the rates then.
fn seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.unwrap_or(0.0) / 1e9
}

#[derive(Default)]
struct Sums {
    seconds: f64,
    found: usize,
    wanted: usize,
}

impl Sums {
    /// The search has run before, so that what another one left in the caches does not count.
    fn timed(&mut self, search: impl Fn(&mut Vec<Hit>)) -> Vec<Hit> {
        search(&mut vec![]);
        let mut hits = vec![];
        let clock = Instant::now();
        search(&mut hits);
        self.seconds += clock.elapsed().as_secs_f64();
        hits
    }

    fn judge(&mut self, hits: &[Hit], truth: &[Hit]) {
        self.found += truth.iter().filter(|hit| hits.iter().any(|other| other.row == hit.row)).count();
        self.wanted += truth.len();
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.wanted.max(1) as f64
    }
}

struct Sweep<'a> {
    rows: &'a Floats,
    index: &'a dyn VectorIndex,
    queries: &'a [Vec<u8>],
    /// Of each query all rows, nearest first.
    ranked: Vec<Vec<u32>>,
}

impl Sweep<'_> {
    /// One point as JSON. Searches are repeated and the least time of each is taken.
    fn point(&self, kind: Kind, share: f64, ef: usize) -> String {
        let params = SearchParams { ef: Some(ef), ..SearchParams::default() };
        let (mut filtered, mut free, mut brute) = (Sums::default(), Sums::default(), Sums::default());
        let mut plans = std::collections::BTreeMap::new();
        for (number, (vector, ranked)) in self.queries.iter().zip(&self.ranked).enumerate() {
            let Allowed { words, count } = allowed(self.rows.len(), kind, share, ranked, number as u64);
            let plain = Query {
                vector,
                top_k: TOP_K,
                allowed: None,
                allowed_count: 0,
                radius: None,
                range_filter: None,
                params: &params,
                trace: None,
            };
            let narrow = Query { allowed: Some(&words), allowed_count: count, ..plain.clone() };
            let trace = Trace::default();
            let traced = Query { trace: Some(&trace), ..narrow.clone() };
            self.index.search(self.rows, &traced, &mut vec![]).expect("searches");
            *plans.entry(trace.take().plans.join(" + ")).or_insert(0) += 1;
            let mut best: [Sums; 3] = Default::default();
            for turn in 0..5 {
                let mut sums: [Sums; 3] = Default::default();
                let hits = sums[0].timed(|out| self.index.search(self.rows, &narrow, out).expect("searches"));
                let unfiltered = sums[1].timed(|out| self.index.search(self.rows, &plain, out).expect("searches"));
                let metric = self.index.metric();
                let truth = sums[2].timed(|out| flat::search(self.rows, metric, &narrow, out).expect("searches"));
                sums[0].judge(&hits, &truth);
                let nearest: Vec<Hit> = ranked[..TOP_K].iter().map(|&row| Hit { score: 0.0, row }).collect();
                sums[1].judge(&unfiltered, &nearest);
                for (best, sum) in best.iter_mut().zip(sums) {
                    if turn == 0 || sum.seconds < best.seconds {
                        *best = sum;
                    }
                }
            }
            for (total, one) in [&mut filtered, &mut free, &mut brute].into_iter().zip(best) {
                total.seconds += one.seconds;
                total.found += one.found;
                total.wanted += one.wanted;
            }
        }
        let rate = |sums: &Sums| self.queries.len() as f64 / sums.seconds;
        let ratio = rate(&filtered) / rate(&free).max(rate(&brute));
        let (name, rates) = (kind.name(), [rate(&filtered), rate(&free), rate(&brute)]);
        let mut line = format!(r#"{{"filter":"{name}","share":{share},"ef":{ef},"ratio":{ratio:.2},"#);
        for (key, value) in ["qps", "unfilteredQps", "bruteQps"].iter().zip(rates) {
            write!(line, r#""{key}":{value:.0},"#).expect("text");
        }
        let recalls = [filtered.recall(), free.recall()];
        write!(line, r#""recall":{:.4},"unfilteredRecall":{:.4},"plans":{plans:?}}}"#, recalls[0], recalls[1])
            .expect("text");
        println!("{line}");
        line
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let limit = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let source = arguments.first().ok_or("say which rows")?;
    let (rows, queries) = if source == "clustered" { clustered(limit) } else { load(source, limit)? };
    let begun = seconds();
    let cache = std::env::temp_dir().join(format!("filter-sweep-{}-{}.index", rows.dim, rows.len()));
    let file = match std::fs::read(&cache) {
        Ok(file) => file,
        Err(_) => {
            let params = r#"{"M": 16, "efConstruction": 200}"#;
            let file = build("HNSW", Metric::L2.name(), params, Rows::Dense(&rows), &Progress::default(), 2)?;
            std::fs::write(&cache, &file)?;
            file
        }
    };
    println!("{} rows of {} dimensions, {:.0} s", rows.len(), rows.dim, seconds() - begun);
    let Index::Dense(index) = open(Storage::copy_of(&file))? else { return Err("dense".into()) };
    let params = SearchParams::default();
    let rank = |vector: &Vec<u8>| {
        let mut hits = vec![];
        let query = Query {
            vector,
            top_k: rows.len(),
            allowed: None,
            allowed_count: 0,
            radius: None,
            range_filter: None,
            params: &params,
            trace: None,
        };
        flat::search(&rows, Metric::L2, &query, &mut hits).expect("ranks");
        hits.iter().map(|hit| hit.row).collect()
    };
    let ranked = queries.iter().map(rank).collect();
    let sweep = Sweep { rows: &rows, index: &*index, queries: &queries, ranked };
    let mut points = vec![];
    for ef in EFS {
        for kind in KINDS {
            points.extend(SHARES.map(|share| sweep.point(kind, share, ef)));
        }
    }
    if let Some(path) = arguments.get(2) {
        let mut json = String::new();
        write!(json, r#"{{"rows":{},"dim":{},"topK":{TOP_K},"points":["#, rows.len(), rows.dim)?;
        write!(json, "\n{}\n]}}\n", points.join(",\n"))?;
        std::fs::write(path, json)?;
    }
    Ok(())
}
