//! Exact search: every allowed row is compared. Serves growing segments, segments without an index, the types FLAT
//! and BIN_FLAT, and the other indexes whenever few rows are allowed.
//!
//! Rows are taken in blocks, and those of the next block are asked for while one is compared: a scan is bound by how
//! fast memory is read. Several queries share each block ([`together`]).

mod blocks;
mod together;

use elanus_kernels::memory::prefetch;
use elanus_kernels::{BitsetView, DistanceKernel, Isa, Scorer};

use self::blocks::{Blocks, Row};
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorRows};
use crate::{IndexError, binary};

/// Bytes of rows that are asked for ahead of a scan.
const AHEAD_BYTES: usize = 16 << 10;

/// Appends the best `query.top_k` allowed rows to `out`, best first; equal scores by ascending row.
///
/// # Errors
/// The metric does not fit the element, or the query has another size than the rows.
pub fn search(rows: &dyn VectorRows, metric: Metric, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
    search_many(rows, metric, std::slice::from_ref(query), std::slice::from_mut(out))
}

/// Answers each query as [`search`] does, to the last bit, but reads the rows once for all of them. The queries have
/// the same allowed rows and parameters; `out` has a list for each.
///
/// # Errors
/// As [`search`].
pub fn search_many(
    rows: &dyn VectorRows,
    metric: Metric,
    queries: &[Query<'_>],
    out: &mut [Vec<Hit>],
) -> Result<(), IndexError> {
    let Some(first) = queries.first() else { return Ok(()) };
    if let (Metric::MhJaccard, Some(bands)) = (metric, first.params.min_hash.bands) {
        let mut each = queries.iter().zip(out);
        return each.try_for_each(|(query, out)| binary::scan_bands(rows, bands, query, out));
    }
    let scans = queries.iter().map(|query| Scan::new(rows, metric, query));
    let mut scans = scans.collect::<Result<Vec<_>, _>>()?;
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    match first.allowed {
        _ if first.top_k == 0 => {}
        None => scan(rows, metric, &mut scans, || 0..count),
        Some(words) => {
            scan(rows, metric, &mut scans, || BitsetView::new(words).iter().take_while(|&row| row < count));
        }
    }
    for ((query, scan), out) in queries.iter().zip(scans).zip(out) {
        query.note(|stats| {
            stats.plans.push("exact scan");
            stats.compared_rows(query.allowed.map_or(rows.len(), |_| query.allowed_count), query.vector.len());
        });
        scan.top.finish(scan.direction, out);
    }
    Ok(())
}

/// Shows the wanted rows, in ascending order, to every scan.
fn scan<I: Iterator<Item = u32>>(
    rows: &dyn VectorRows,
    metric: Metric,
    scans: &mut [Scan<'_>],
    wanted: impl Fn() -> I,
) {
    if together::fits(metric, rows.element(), scans.len()) {
        for scans in scans.chunks_mut(together::LANES) {
            together::scan(rows, metric, scans, wanted());
        }
        return;
    }
    let row_bytes = rows.element().row_bytes(rows.dim());
    let mut blocks = Blocks::new(rows, wanted(), (AHEAD_BYTES / row_bytes.max(1)).clamp(4, 64).next_multiple_of(4));
    while blocks.advance() {
        for scan in scans.iter_mut() {
            scan.over(blocks.now(), blocks.next());
        }
    }
}

/// As [`kernel_for`]; for MHJACCARD by the element width that the parameters tell.
fn kernel_for_query(rows: &dyn VectorRows, metric: Metric, query: &Query<'_>) -> Result<DistanceKernel, IndexError> {
    let kernel = kernel_for(rows, metric, query.vector)?;
    let width = query.params.min_hash.element_bytes;
    Ok(if metric == Metric::MhJaccard {
        DistanceKernel::min_hash(width, Isa::detect()).unwrap_or(kernel)
    } else {
        kernel
    })
}

/// The kernel of a metric over these rows, with the query's size checked.
pub(crate) fn kernel_for(rows: &dyn VectorRows, metric: Metric, vector: &[u8]) -> Result<DistanceKernel, IndexError> {
    let kernel = DistanceKernel::choose(metric, rows.element(), Isa::detect())
        .ok_or_else(|| IndexError::Parameter(format!("metric type {} does not fit the vector type", metric.name())))?;
    let expected = rows.element().row_bytes(rows.dim());
    if vector.len() != expected {
        let text = format!("vector dimension mismatch: expected {expected} bytes, actual {}", vector.len());
        return Err(IndexError::Parameter(text));
    }
    Ok(kernel)
}

/// One query and what it has found so far.
struct Scan<'a> {
    scorer: Scorer<'a>,
    vector: &'a [u8],
    direction: Direction,
    bounds: Bounds,
    top: TopK,
}

impl<'a> Scan<'a> {
    fn new(rows: &dyn VectorRows, metric: Metric, query: &Query<'a>) -> Result<Self, IndexError> {
        let kernel = kernel_for_query(rows, metric, query)?;
        let direction = Direction::of(metric);
        let (bounds, top) = (Bounds::of(query, direction), TopK::new(query.top_k));
        Ok(Self { scorer: kernel.scorer(query.vector), vector: query.vector, direction, bounds, top })
    }

    /// Compares a block of rows, four at a time, and asks for as many of the next one.
    fn over(&mut self, block: &[Row<'_>], next: &[Row<'_>]) {
        let (fours, rest) = block.as_chunks::<4>();
        for (at, four) in fours.iter().enumerate() {
            for (_, later) in next.iter().skip(at * 4).take(4) {
                prefetch(later, 0, later.len());
            }
            let scores = self.scorer.score4(four.map(|(_, bytes)| bytes));
            for (&(row, _), score) in four.iter().zip(scores) {
                self.offer(row, score);
            }
        }
        for &(row, bytes) in rest {
            self.offer(row, self.scorer.score(bytes));
        }
    }

    #[inline]
    fn offer(&mut self, row: u32, score: f32) {
        let key = self.direction.key(score);
        if self.bounds.admit(key) {
            self.top.offer(key, row);
        }
    }
}

#[cfg(test)]
mod tests;
