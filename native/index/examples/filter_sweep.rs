//! No cliff: recall and speed of the graph index under filters of every selectivity, beside exact search over the rows
//! that pass and beside the search without a filter.
//!
//! `cargo run --release --example filter_sweep -- SOURCE ROWS OUT.json`: a NumPy file of rows (C order; every hundredth
//! is held out as a query), or a folder with `base.npy` and `queries.npy`, of which the first ROWS are taken.
//! Filters are random, or correlated with the query (only rows near it may pass), or anti-correlated (only rows far
//! from it; so slow that only the timed queries are asked). Writes one JSON object with a point for each filter and
//! `ef`. Searches of all kinds are timed query by query, and the least time of each counts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use elanus_index::catalog::{Index, Rows, build, open};
use elanus_index::flat;
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::trace::Trace;
use elanus_index::vector::{Element, Hit, Query, SearchParams, VectorIndex, VectorRows};
use elanus_kernels::{Metric, decode};

const TOP_K: usize = 10;
const EFS: [usize; 5] = [16, 24, 32, 64, 128];
const SHARES: [f64; 6] = [0.5, 0.2, 0.1, 0.05, 0.01, 0.001];
const KINDS: [Kind; 3] = [Kind::Random, Kind::Correlated, Kind::AntiCorrelated];
/// Queries that recall is measured with, and of those the first that are timed.
const QUERIES: usize = 1000;
const TIMED: usize = 100;
const TURNS: usize = 3;

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

/// Dimension and little-endian floats of a NumPy file of half or single precision.
fn read_npy(path: &Path) -> Result<(usize, Vec<u8>), Box<dyn Error>> {
    let file = std::fs::read(path)?;
    let header_end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..header_end])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("shape")?;
    let dim: usize = shape.split(',').nth(1).ok_or("dim")?.trim().parse()?;
    if header.contains("<f4") {
        return Ok((dim, file[header_end..].to_vec()));
    }
    let mut values = vec![0f32; (file.len() - header_end) / 2];
    decode::to_f32(Element::F16, &file[header_end..], &mut values);
    Ok((dim, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
}

fn load(source: &Path, limit: usize) -> Result<Loaded, Box<dyn Error>> {
    let (mut rows, mut queries) = (vec![], vec![]);
    let folder = source.is_dir();
    let (dim, given) = read_npy(&if folder { source.join("base.npy") } else { source.into() })?;
    for (number, row) in given.chunks_exact(dim * 4).take(limit).enumerate() {
        if !folder && number % 100 == 0 { queries.push(row.to_vec()) } else { rows.extend(row) }
    }
    if folder {
        queries = read_npy(&source.join("queries.npy"))?.1.chunks_exact(dim * 4).map(<[u8]>::to_vec).collect();
    }
    queries.truncate(QUERIES);
    Ok((Floats { dim, bytes: rows }, queries))
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

/// What one way of searching has shown.
#[derive(Default)]
struct Sums {
    seconds: f64,
    found: usize,
    wanted: usize,
}

impl Sums {
    fn judge(&mut self, hits: &[Hit], truth: &[Hit]) {
        self.found += truth.iter().filter(|hit| hits.iter().any(|other| other.row == hit.row)).count();
        self.wanted += truth.len();
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.wanted.max(1) as f64
    }
}

/// The least seconds of some searches. One has run before, so that what another one left in the caches does not count.
fn timed(turns: usize, search: impl Fn(&mut Vec<Hit>)) -> f64 {
    let mut hits = vec![];
    search(&mut hits);
    let seconds = (0..turns).map(|_| {
        hits.clear();
        let clock = Instant::now();
        search(&mut hits);
        clock.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

/// Of one filter and `ef`.
#[derive(Default)]
struct Point {
    filtered: Sums,
    free: Sums,
    plans: BTreeMap<String, usize>,
}

struct Sweep<'a> {
    rows: &'a Floats,
    index: &'a dyn VectorIndex,
    queries: &'a [Vec<u8>],
    /// Of each query all rows, nearest first.
    ranked: Vec<Vec<u32>>,
}

impl Sweep<'_> {
    /// A point as JSON for each `ef`.
    fn points(&self, kind: Kind, share: f64) -> Vec<String> {
        let mut points: [Point; EFS.len()] = Default::default();
        let mut brute = 0.0;
        let asked = if matches!(kind, Kind::AntiCorrelated) { TIMED } else { QUERIES };
        for (number, (vector, ranked)) in self.queries.iter().zip(&self.ranked).take(asked).enumerate() {
            let Allowed { words, count } = allowed(self.rows.len(), kind, share, ranked, number as u64);
            let params = EFS.map(|ef| SearchParams { ef: Some(ef), ..SearchParams::default() });
            let plain = query(vector, TOP_K, &params[0]);
            let narrow = Query { allowed: Some(&words), allowed_count: count, ..plain.clone() };
            let hit = |&row: &u32| Hit { score: 0.0, row };
            let nearest: Vec<Hit> = ranked[..TOP_K].iter().map(hit).collect();
            let passes = |&&row: &&u32| words[row as usize / 64] >> (row % 64) & 1 == 1;
            let truth: Vec<Hit> = ranked.iter().filter(passes).take(TOP_K).map(hit).collect();
            let search = |query: &Query<'_>, out: &mut Vec<Hit>| {
                self.index.search(self.rows, query, out).expect("searches");
            };
            let turns = if number < TIMED { TURNS } else { 0 };
            if turns > 0 {
                brute +=
                    timed(turns, |out| flat::search(self.rows, self.index.metric(), &narrow, out).expect("searches"));
            }
            for (point, params) in points.iter_mut().zip(&params) {
                let (plain, narrow) = (Query { params, ..plain.clone() }, Query { params, ..narrow.clone() });
                let (mut hits, mut free) = (vec![], vec![]);
                let trace = Trace::default();
                search(&Query { trace: Some(&trace), ..narrow.clone() }, &mut hits);
                *point.plans.entry(trace.take().plans.join(" + ")).or_insert(0) += 1;
                search(&plain, &mut free);
                point.filtered.judge(&hits, &truth);
                point.free.judge(&free, &nearest);
                if turns > 0 {
                    point.filtered.seconds += timed(turns, |out| search(&narrow, out));
                    point.free.seconds += timed(turns, |out| search(&plain, out));
                }
            }
        }
        points.iter().zip(EFS).map(|(point, ef)| self.line((kind, share, ef), point, brute)).collect()
    }

    fn line(&self, (kind, share, ef): (Kind, f64, usize), point: &Point, brute: f64) -> String {
        let Point { filtered, free, plans } = point;
        let rate = |seconds: f64| self.queries.len().min(TIMED) as f64 / seconds;
        let ratio = rate(filtered.seconds) / rate(free.seconds).max(rate(brute));
        let name = kind.name();
        let mut line = format!(r#"{{"filter":"{name}","share":{share},"ef":{ef},"ratio":{ratio:.2},"#);
        let rates = [filtered.seconds, free.seconds, brute].map(rate);
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

fn query<'a>(vector: &'a [u8], top_k: usize, params: &'a SearchParams) -> Query<'a> {
    Query { vector, top_k, allowed: None, allowed_count: 0, radius: None, range_filter: None, params, trace: None }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let limit = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let (rows, queries) = load(Path::new(arguments.first().ok_or("say which rows")?), limit)?;
    let begun = Instant::now();
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
    println!("{} rows of {} dimensions, {:.0} s", rows.len(), rows.dim, begun.elapsed().as_secs_f64());
    let Index::Dense(index) = open(Storage::copy_of(&file))? else { return Err("dense".into()) };
    let params = SearchParams::default();
    let rank = |vector: &Vec<u8>| {
        let mut hits = vec![];
        flat::search(&rows, Metric::L2, &query(vector, rows.len(), &params), &mut hits).expect("ranks");
        hits.iter().map(|hit| hit.row).collect()
    };
    let ranked = queries.iter().map(rank).collect();
    let sweep = Sweep { rows: &rows, index: &*index, queries: &queries, ranked };
    let points: Vec<String> =
        KINDS.into_iter().flat_map(|kind| SHARES.map(|share| sweep.points(kind, share))).flatten().collect();
    if let Some(path) = arguments.get(2) {
        let mut json = String::new();
        write!(json, r#"{{"rows":{},"dim":{},"topK":{TOP_K},"points":["#, rows.len(), rows.dim)?;
        write!(json, "\n{}\n]}}\n", points.join(",\n"))?;
        std::fs::write(path, json)?;
    }
    Ok(())
}
