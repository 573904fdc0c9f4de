//! A graph on disk under a memory limit, and what the device itself can read. `bench/disk.mjs` runs the steps and sets
//! the limit.
//!
//! - `disk make FOLDER SOURCE ROWS [PARAMS]`: `rows.bin`, `queries.bin`, `truth.bin` and `index.bin` in FOLDER, from a
//!   NumPy file of embeddings. A tenth of those are queries; the rest are rows, and mixtures of them fill up to ROWS.
//! - `disk search FOLDER THREADS SECONDS LISTS`: recall at each list size up to the first that finds 95 %, then queries
//!   with that one.
//! - `disk device FILE THREADS SECONDS`: reads of 4 KiB here and there, past the page cache.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elanus_index::catalog::{Index, Rows, build_to, open};
use elanus_index::flat;
use elanus_index::progress::Progress;
use elanus_index::storage::Storage;
use elanus_index::vector::{Element, Hit, Query, SearchParams, VectorIndex, VectorRows};
use elanus_kernels::{AlignedBuf, MappedFile, Metric, decode};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PARAMS: &str = r#"{"max_degree": 56, "search_list_size": 100}"#;
const TOP_K: usize = 10;
const RECALL: f64 = 0.95;
/// Queries whose true neighbours are known.
const JUDGED: usize = 500;
const PAGE: usize = 4096;
/// `O_DIRECT` on Linux.
const DIRECT: i32 = 0o40000;

/// Rows of floats in a mapped file.
struct Mapped {
    dim: usize,
    file: MappedFile,
}

impl VectorRows for Mapped {
    fn len(&self) -> usize {
        self.file.len() / (self.dim * 4)
    }
    fn element(&self) -> Element {
        Element::F32
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn row(&self, row: u32) -> &[u8] {
        &self.file[row as usize * self.dim * 4..(row as usize + 1) * self.dim * 4]
    }
    fn run(&self, row: u32) -> (&[u8], usize) {
        (&self.file[row as usize * self.dim * 4..], self.len() - row as usize)
    }
}

fn mapped(folder: &Path, name: &str, dim: usize) -> Outcome<Mapped> {
    Ok(Mapped { dim, file: MappedFile::open(&folder.join(name))? })
}

/// The floats of a NumPy file of half precision (C order), and how many a row has.
fn read_npy(path: &Path) -> Outcome<(usize, Vec<f32>)> {
    let file = std::fs::read(path)?;
    let header_end = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..header_end])?;
    let shape = header.split(['(', ')']).nth(1).ok_or("shape")?;
    let dim: usize = shape.split(',').nth(1).ok_or("dim")?.trim().parse()?;
    let mut values = vec![0f32; (file.len() - header_end) / 2];
    decode::to_f32(Element::F16, &file[header_end..], &mut values);
    Ok((dim, values))
}

struct Dice(u64);

impl Dice {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Around 0, variance 1.
    fn bell(&mut self) -> f32 {
        let sum: f32 = (0..3).map(|_| (self.word() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).sum();
        sum
    }
}

fn make(folder: &Path, source: &Path, count: usize, params: &str) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let (dim, values) = read_npy(source)?;
    let (mut queries, mut own): (Vec<&[f32]>, Vec<&[f32]>) = (vec![], vec![]);
    for (number, row) in values.chunks_exact(dim).enumerate() {
        if number % 10 == 0 { queries.push(row) } else { own.push(row) }
    }
    let write = |file: &mut BufWriter<File>, row: &[f32]| {
        file.write_all(&row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    };
    let mut file = BufWriter::new(File::create(folder.join("queries.bin"))?);
    queries.iter().try_for_each(|row| write(&mut file, row))?;
    file.flush()?;
    let mut file = BufWriter::new(File::create(folder.join("rows.bin"))?);
    let mut dice = Dice(7);
    for number in 0..count {
        if let Some(row) = own.get(number) {
            write(&mut file, row)?;
            continue;
        }
        let (a, b) = (own[dice.word() as usize % own.len()], own[dice.word() as usize % own.len()]);
        let mixed: Vec<f32> = a.iter().zip(b).map(|(a, b)| 0.75 * a + 0.25 * b + 0.01 * dice.bell()).collect();
        write(&mut file, &mixed)?;
    }
    file.flush()?;
    let rows = mapped(folder, "rows.bin", dim)?;
    let start = Instant::now();
    let mut file = File::create(folder.join("index.bin"))?;
    build_to(&mut file, "DISKANN", "COSINE", params, Rows::Dense(&rows), &Progress::default(), 2)?;
    let seconds = start.elapsed().as_secs_f64();
    file.sync_all()?;
    let peak = status_kib("VmHWM")?.saturating_sub(status_kib("RssFile")?);
    println!("{{\"rows\": {count}, \"dim\": {dim}, \"buildSeconds\": {seconds:.1}, \"buildPeakKib\": {peak}}}");
    let truth = judged(&mapped(folder, "queries.bin", dim)?, 2, |query| {
        let mut hits = vec![];
        flat::search(&rows, Metric::Cosine, query, &mut hits)?;
        Ok(hits)
    })?;
    let rows: Vec<u8> = truth.iter().flatten().flat_map(|hit| hit.row.to_le_bytes()).collect();
    std::fs::write(folder.join("truth.bin"), rows)?;
    std::fs::write(folder.join("dim"), dim.to_string())?;
    Ok(())
}

/// A line of `/proc/self/status`.
fn status_kib(key: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(key)).ok_or("no such line")?;
    Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse()?)
}

/// Bytes that this process had read from the device.
fn bytes_read() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("read_bytes: ")).ok_or("read_bytes")?;
    Ok(line.parse()?)
}

/// Runs `work` on `threads` threads and gives what each gave.
fn on_threads<T: Send>(threads: usize, work: impl Fn(usize) -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn({
                    let work = &work;
                    move || work(number)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| "a thread failed")?).collect()
    })
}

fn asked<'a>(vector: &'a [u8], params: &'a SearchParams) -> Query<'a> {
    let (radius, range_filter) = (None, None);
    Query { vector, top_k: TOP_K, allowed: None, allowed_count: 0, radius, range_filter, params, trace: None }
}

/// The hits of every judged query, by `threads` threads.
fn judged(
    queries: &Mapped,
    threads: usize,
    search: impl Fn(&Query<'_>) -> Outcome<Vec<Hit>> + Sync,
) -> Outcome<Vec<Vec<Hit>>> {
    judged_with(queries, threads, &SearchParams::default(), search)
}

fn judged_with(
    queries: &Mapped,
    threads: usize,
    params: &SearchParams,
    search: impl Fn(&Query<'_>) -> Outcome<Vec<Hit>> + Sync,
) -> Outcome<Vec<Vec<Hit>>> {
    let count = queries.len().min(JUDGED);
    let parts = on_threads(threads, |number| {
        let own = (number..count).step_by(threads);
        own.map(|at| Ok((at, search(&asked(queries.row(at as u32), params))?))).collect::<Outcome<Vec<_>>>()
    })?;
    let mut all: Vec<(usize, Vec<Hit>)> = parts.into_iter().flatten().collect();
    all.sort_by_key(|&(at, _)| at);
    Ok(all.into_iter().map(|(_, hits)| hits).collect())
}

fn search(folder: &Path, threads: usize, seconds: f64, lists: &str) -> Outcome<()> {
    let dim: usize = std::fs::read_to_string(folder.join("dim"))?.parse()?;
    let (rows, queries) = (mapped(folder, "rows.bin", dim)?, mapped(folder, "queries.bin", dim)?);
    let truth = std::fs::read(folder.join("truth.bin"))?;
    let truth: Vec<u32> = truth.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    let start = Instant::now();
    let Index::Dense(index) = open(Storage::map(&folder.join("index.bin"))?)? else { return Err("dense".into()) };
    println!("{{\"openSeconds\": {:.1}, \"heapBytes\": {}}}", start.elapsed().as_secs_f64(), index.memory_bytes());
    let index: &dyn VectorIndex = &*index;
    for list in lists.split(',') {
        let params = SearchParams { ef: Some(list.parse()?), ..SearchParams::default() };
        let before = bytes_read()?;
        let found = judged_with(&queries, threads, &params, |query| {
            let mut hits = vec![];
            index.search(&rows, query, &mut hits)?;
            Ok(hits)
        })?;
        let pages = (bytes_read()? - before) as f64 / PAGE as f64 / found.len() as f64;
        let right = found
            .iter()
            .zip(truth.chunks(TOP_K))
            .flat_map(|(hits, truth)| hits.iter().filter(|hit| truth.contains(&hit.row)));
        let recall = right.count() as f64 / (found.len() * TOP_K) as f64;
        println!("{{\"list\": {list}, \"recall\": {recall:.4}, \"pagesPerQuery\": {pages:.1}}}");
        if recall >= RECALL {
            return throughput(index, &rows, &queries, threads, seconds, &params);
        }
    }
    Err("no list reaches the recall".into())
}

fn throughput(
    index: &dyn VectorIndex,
    rows: &Mapped,
    queries: &Mapped,
    threads: usize,
    seconds: f64,
    params: &SearchParams,
) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let before = bytes_read()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let times = on_threads(threads, |_| {
        let mut times = vec![];
        while Instant::now() < end {
            let at = next.fetch_add(1, Ordering::Relaxed) % queries.len();
            let begun = Instant::now();
            index.search(rows, &asked(queries.row(at as u32), params), &mut vec![])?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    })?;
    let took = start.elapsed().as_secs_f64();
    let pages = (bytes_read()? - before) as f64 / PAGE as f64;
    let mut times: Vec<f64> = times.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"threads\": {threads}, \"queriesPerSecond\": {:.0}, \"p50Ms\": {:.2}, \"p99Ms\": {:.2}, \
         \"pagesPerQuery\": {:.1}, \"readsPerSecond\": {:.0}}}",
        times.len() as f64 / took,
        at(0.5),
        at(0.99),
        pages / times.len() as f64,
        pages / took
    );
    Ok(())
}

/// Reads whole pages at random places for a while.
fn device(path: &Path, threads: usize, seconds: f64) -> Outcome<()> {
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let counts = on_threads(threads, |number| {
        let file = OpenOptions::new().read(true).custom_flags(DIRECT).open(path)?;
        let pages = file.metadata()?.len() / PAGE as u64;
        let mut buffer = AlignedBuf::zeroed(2 * PAGE);
        let from = buffer.as_ptr().align_offset(PAGE);
        let mut dice = Dice(number as u64 * 977 + 5);
        let mut count = 0u64;
        while Instant::now() < end {
            file.read_exact_at(&mut buffer[from..from + PAGE], dice.word() % pages * PAGE as u64)?;
            count += 1;
        }
        Ok(count)
    })?;
    let rate = counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64();
    println!("{{\"threads\": {threads}, \"readsPerSecond\": {rate:.0}}}");
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["make", folder, source, rows] => make(Path::new(folder), Path::new(source), rows.parse()?, PARAMS),
        ["make", folder, source, rows, params] => make(Path::new(folder), Path::new(source), rows.parse()?, params),
        ["search", folder, threads, seconds, lists] => {
            search(Path::new(folder), threads.parse()?, seconds.parse()?, lists)
        }
        ["device", file, threads, seconds] => device(Path::new(file), threads.parse()?, seconds.parse()?),
        _ => Err("make, search or device".into()),
    }
}
