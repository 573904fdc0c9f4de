//! Exact search: every allowed row is compared. Serves growing segments, segments without an index, the types FLAT
//! and BIN_FLAT, and the other indexes whenever few rows are allowed.

use elanus_kernels::{BitsetView, DistanceKernel, Isa, Scorer};

use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorRows};
use crate::{IndexError, binary};

/// Appends the best `query.top_k` allowed rows to `out`, best first; equal scores by ascending row.
///
/// # Errors
/// The metric does not fit the element, or the query has another size than the rows.
pub fn search(rows: &dyn VectorRows, metric: Metric, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
    if let (Metric::MhJaccard, Some(bands)) = (metric, query.params.min_hash.bands) {
        return binary::scan_bands(rows, bands, query, out);
    }
    let kernel = kernel_for_query(rows, metric, query)?;
    let direction = Direction::of(metric);
    let mut scan = Scan {
        rows,
        scorer: kernel.scorer(query.vector),
        row_bytes: query.vector.len(),
        direction,
        bounds: Bounds::of(query, direction),
        top: TopK::new(query.top_k),
    };
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    match query.allowed {
        _ if query.top_k == 0 => {}
        None => scan.over(0..count),
        Some(words) => scan.over(BitsetView::new(words).iter().take_while(|&row| row < count)),
    }
    query.note(|stats| {
        stats.plans.push("exact scan");
        stats.compared_rows(query.allowed.map_or(rows.len(), |_| query.allowed_count), query.vector.len());
    });
    scan.top.finish(direction, out);
    Ok(())
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

struct Scan<'a> {
    rows: &'a dyn VectorRows,
    scorer: Scorer<'a>,
    row_bytes: usize,
    direction: Direction,
    bounds: Bounds,
    top: TopK,
}

impl Scan<'_> {
    /// Compares the given rows, in ascending order, four at a time.
    fn over(&mut self, wanted: impl Iterator<Item = u32>) {
        let mut run = Run { start: 0, end: 0, bytes: &[] };
        let mut waiting: [(u32, &[u8]); 4] = [(0, &[]); 4];
        let mut count = 0;
        for row in wanted {
            if row >= run.end {
                run = Run::at(self.rows, row);
            }
            let Some(bytes) = run.row(row, self.row_bytes) else { continue };
            waiting[count] = (row, bytes);
            count += 1;
            if count == waiting.len() {
                let scores = self.scorer.score4(waiting.map(|(_, bytes)| bytes));
                for (&(row, _), score) in waiting.iter().zip(scores) {
                    self.offer(row, score);
                }
                count = 0;
            }
        }
        for &(row, bytes) in &waiting[..count] {
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

struct Run<'a> {
    start: u32,
    end: u32,
    bytes: &'a [u8],
}

impl<'a> Run<'a> {
    fn at(rows: &'a dyn VectorRows, row: u32) -> Self {
        let (bytes, count) = rows.run(row);
        Self { start: row, end: row.saturating_add(u32::try_from(count.max(1)).unwrap_or(u32::MAX)), bytes }
    }

    /// `None` for a null row.
    #[inline]
    fn row(&self, row: u32, row_bytes: usize) -> Option<&'a [u8]> {
        let offset = (row - self.start) as usize * row_bytes;
        self.bytes.get(offset..offset + row_bytes).filter(|bytes| !bytes.is_empty())
    }
}

#[cfg(test)]
mod tests;
