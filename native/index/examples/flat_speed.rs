//! How near exact search comes to what the machine can do: one query to the bandwidth of memory, many to the peak of
//! its arithmetic. Times are of the processor, the best of several.
//!
//! `cargo run --release --example flat_speed -- [ROWS] [DIM]`: random rows, default 50,000 of 384 dimensions.

use std::time::Instant;

use elanus_index::flat;
use elanus_index::vector::{Element, Metric, Query, SearchParams, VectorRows};
use elanus_kernels::many::{ManyKernel, Products, RowBlock};
use elanus_kernels::panel::{PANEL, Panel};
use elanus_kernels::{Isa, memory};

const TOP_K: usize = 10;
const TIMES: usize = 5;
/// Ticks of up to 4 ms are a small part of this.
const SECONDS_MIN: f64 = 0.2;

struct Floats {
    dim: usize,
    values: Vec<f32>,
}

impl VectorRows for Floats {
    fn len(&self) -> usize {
        self.values.len() / self.dim
    }
    fn element(&self) -> Element {
        Element::F32
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn row(&self, row: u32) -> &[u8] {
        memory::f32s_as_bytes(&self.values[row as usize * self.dim..(row as usize + 1) * self.dim])
    }
    fn run(&self, row: u32) -> (&[u8], usize) {
        (memory::f32s_as_bytes(&self.values[row as usize * self.dim..]), self.len() - row as usize)
    }
}

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut float = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| float()).collect()
}

/// Seconds that this thread has really run, where Linux tells: whole ticks of the scheduler.
fn processor_seconds(start: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Seconds of one turn: the least mean of several times as many as make up for the coarse clock.
fn best(mut work: impl FnMut()) -> f64 {
    let clock = Instant::now();
    let timed = (0..TIMES).map(|_| {
        let (start, mut turns) = (processor_seconds(clock), 0);
        loop {
            work();
            turns += 1;
            let taken = processor_seconds(clock) - start;
            if taken > SECONDS_MIN {
                return taken / f64::from(turns);
            }
        }
    });
    timed.fold(f64::INFINITY, f64::min)
}

/// Gigabytes a second of reading all rows and doing next to nothing with them.
fn bandwidth(rows: &Floats) -> f64 {
    let bytes = memory::f32s_as_bytes(&rows.values);
    let read = |ahead: usize| {
        let taken = best(|| {
            let mut sum = 0u64;
            for at in (0..bytes.len() / 64 * 64).step_by(64) {
                memory::prefetch(bytes, at + ahead, 1);
                let words = bytes[at..at + 64].as_chunks::<8>().0;
                sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
            }
            std::hint::black_box(sum);
        });
        bytes.len() as f64 / taken / 1e9
    };
    [0, 4 << 10, 16 << 10].into_iter().map(read).fold(0.0, f64::max)
}

/// Gigaflops of the product kernel on rows that never leave the nearest cache: the peak that arithmetic can come to.
fn peak() -> f64 {
    let (dim, calls) = (64, 4_000);
    let values = random(24 * dim, 5);
    let rows: Vec<&[u8]> = values.chunks_exact(dim).map(memory::f32s_as_bytes).collect();
    let mut panel = Panel::new(dim);
    (0..PANEL).for_each(|lane| panel.set(lane, &values[..dim]));
    let mut out = Products::default();
    let kernel = ManyKernel::choose(Isa::detect());
    let taken = best(|| {
        for _ in 0..calls {
            kernel.dots(panel.dimensions(0..dim), PANEL, RowBlock { rows: &rows, ahead: &[] }, &mut out);
        }
    });
    (calls * rows.len() * PANEL * dim * 2) as f64 / taken / 1e9
}

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let (count, dim) = (arguments.first().copied().unwrap_or(50_000), arguments.get(1).copied().unwrap_or(384));
    let rows = Floats { dim, values: random(count * dim, 1) };
    let vectors = random(64 * dim, 2);
    let params = SearchParams::default();
    let query = |vector| Query {
        vector,
        top_k: TOP_K,
        allowed: None,
        allowed_count: 0,
        radius: None,
        range_filter: None,
        params: &params,
        trace: None,
    };
    let queries: Vec<Query<'_>> =
        vectors.chunks_exact(dim).map(|vector| query(memory::f32s_as_bytes(vector))).collect();
    let (peak, bandwidth) = (peak(), bandwidth(&rows));
    println!("{count} rows of {dim} dimensions; {peak:.0} gigaflops, {bandwidth:.1} GB/s");
    for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
        for many in [1, 2, 4, 16, 64] {
            let taken = best(|| {
                let mut out = vec![vec![]; many];
                flat::search_many(&rows, metric, &queries[..many], &mut out).expect("searches");
                std::hint::black_box(&out);
            });
            let work = (count * dim) as f64 / taken / 1e9;
            let (flops, bytes) = (work * 2.0 * many as f64, work * 4.0);
            println!(
                "{:<7} {many:>2} queries: {:>6.0} queries/s, {flops:>4.0} gigaflops ({:.2}), {bytes:>4.1} GB/s ({:.2})",
                metric.name(),
                many as f64 / taken,
                flops / peak,
                bytes / bandwidth
            );
        }
    }
}
