//! Up to 64 queries in one pass over the rows, by the product of two matrices (`elanus_kernels::many`).
//!
//! The product tells a score only nearly: its sums run in another order, and squared distances come from lengths and
//! a dot product. So it decides no answer. It says which rows may come in, by a limit that has room for every rounding
//! error, and those few are compared as a single query compares them. That is why the answers are the same to the last
//! bit, and why the limit may err on one side only.
//!
//! With u = 2⁻²⁴ and n dimensions, a dot product summed in any order is off by at most n·u·|q|·|r|, nearly (Higham,
//! "Accuracy and Stability of Numerical Algorithms", section 3.1). Of |q|² + |r|² a squared distance may be off by n·u
//! for the two squares, by n·u for twice the dot product, and by 2n·u where a single query sums the squared
//! differences, which are at most twice as much. 4n·u cover that; `SLACK` roundings more stand for everything else.

use elanus_kernels::many::{BLOCK_ROWS, Lanes, ManyKernel, Products, RowBlock};
use elanus_kernels::memory::f32s_as_bytes;
use elanus_kernels::panel::{PANEL, Panel};
use elanus_kernels::{Element, Isa, Metric};

use super::Scan;
use super::blocks::{Blocks, Row};
use crate::vector::VectorRows;

/// Queries of a pass.
pub(super) const LANES: usize = PANEL;
/// Fewer queries are faster one by one.
const QUERIES_MIN: usize = 4;
/// Bytes of a block of rows: it stays in the second cache while it meets the queries.
const BLOCK_BYTES: usize = 192 << 10;
const BLOCK_ROWS_MAX: usize = 96;
/// Roundings of u·2 in a limit beside those of the dot product.
const SLACK: f32 = 32.0;
/// Squared lengths between which nothing underflows or overflows.
const SQUARES: std::ops::Range<f32> = 1e-30..1e30;

/// Whether a pass can serve these queries, and is worth it.
pub(super) fn fits(metric: Metric, element: Element, queries: usize) -> bool {
    let measured = matches!(metric, Metric::L2 | Metric::Ip | Metric::Cosine);
    measured && element != Element::Bit && queries >= QUERIES_MIN
}

/// Shows the wanted rows to at most 64 scans.
pub(super) fn scan(rows: &dyn VectorRows, metric: Metric, scans: &mut [Scan<'_>], wanted: impl Iterator<Item = u32>) {
    let mut pass = Pass::new(rows, metric, scans);
    let size = (BLOCK_BYTES / (rows.dim() * 4).max(1)).clamp(BLOCK_ROWS, BLOCK_ROWS_MAX) / BLOCK_ROWS * BLOCK_ROWS;
    let mut blocks = Blocks::new(rows, wanted, size);
    while blocks.advance() {
        pass.block(blocks.now(), blocks.next(), scans);
    }
}

struct Pass {
    kernel: ManyKernel,
    metric: Metric,
    element: Element,
    dim: usize,
    panel: Panel,
    limits: Limits,
    /// The rows as `f32`, when they are not.
    values: Vec<f32>,
    products: Products,
}

impl Pass {
    fn new(rows: &dyn VectorRows, metric: Metric, scans: &[Scan<'_>]) -> Self {
        let (element, dim) = (rows.element(), rows.dim());
        let kernel = ManyKernel::choose(Isa::detect());
        let mut panel = Panel::new(dim);
        let mut values = vec![0f32; dim];
        let mut limits = Limits::new(metric, dim);
        for (lane, scan) in scans.iter().enumerate() {
            kernel.widen(element, scan.vector, &mut values);
            panel.set(lane, &values);
            limits.squares[lane] = usable(panel.squares()[lane]);
            limits.update(lane, scan);
        }
        Self { kernel, metric, element, dim, panel, limits, values: vec![], products: Products::default() }
    }

    fn block(&mut self, now: &[Row<'_>], next: &[Row<'_>], scans: &mut [Scan<'_>]) {
        let Self { kernel, element, dim, panel, values, products, .. } = self;
        let panel = panel.dimensions(0..*dim);
        let given: Vec<&[u8]> = now.iter().map(|(_, bytes)| *bytes).collect();
        let ahead: Vec<&[u8]> = next.iter().map(|(_, bytes)| *bytes).collect();
        if *element == Element::F32 {
            kernel.dots(panel, scans.len(), RowBlock { rows: &given, ahead: &ahead }, products);
        } else {
            values.resize(now.len() * *dim, 0.0);
            for (row, values) in given.iter().zip(values.chunks_exact_mut((*dim).max(1))) {
                kernel.widen(*element, row, values);
            }
            let wide: Vec<&[u8]> = values.chunks_exact((*dim).max(1)).map(f32s_as_bytes).collect();
            // The rows ahead are shorter than what stands for them here; asking beyond their end does no harm.
            kernel.dots(panel, scans.len(), RowBlock { rows: &wide, ahead: &ahead }, products);
        }
        self.offer(now, scans);
    }

    /// Compares the rows that may come in.
    fn offer(&mut self, rows: &[Row<'_>], scans: &mut [Scan<'_>]) {
        let Self { kernel, metric, limits, products, .. } = self;
        let used = u64::MAX >> (PANEL - scans.len());
        let products = products.dots.chunks_exact(PANEL).zip(&products.squares);
        for (&(row, bytes), (dots, &squares)) in rows.iter().zip(products) {
            let squares = usable(squares);
            let size = if *metric == Metric::L2 { squares } else { squares.sqrt() };
            let mut reaching = kernel.reach(dots, &limits.base, &limits.slope, size) & used;
            while reaching != 0 {
                let lane = reaching.trailing_zeros() as usize;
                reaching &= reaching - 1;
                let scan = &mut scans[lane];
                scan.offer(row, scan.scorer.score(bytes));
                limits.update(lane, scan);
            }
        }
    }
}

/// A row may come in where its dot product is not below `base` + `slope` · size. The size of a row is its squared
/// length for L2, its length for the others.
struct Limits {
    metric: Metric,
    slack: f32,
    /// Squared length of each query.
    squares: Lanes,
    base: Lanes,
    slope: Lanes,
}

impl Limits {
    fn new(metric: Metric, dim: usize) -> Self {
        let slack = (dim as f32 * 2.0 + SLACK) * f32::EPSILON;
        Self { metric, slack, squares: [0.0; PANEL], base: [0.0; PANEL], slope: [0.0; PANEL] }
    }

    /// Takes over what a scan has found by now.
    fn update(&mut self, lane: usize, scan: &Scan<'_>) {
        let key = scan.bounds.at_most(scan.top.bound());
        let squares = self.squares[lane];
        let length = squares.sqrt();
        (self.base[lane], self.slope[lane]) = match self.metric {
            // |q|² + |r|² − 2·dot ≤ key
            Metric::L2 => ((squares * (1.0 - self.slack) - key) / 2.0, (1.0 - self.slack) / 2.0),
            // −dot / (|q|·|r|) ≤ key
            Metric::Cosine => (0.0, (-key - self.slack) * length),
            // −dot ≤ key
            _ => (-key, -self.slack * length),
        };
    }
}

/// Not a number, which is below no limit, where the limits' reckoning would not hold.
fn usable(squares: f32) -> f32 {
    if SQUARES.contains(&squares) { squares } else { f32::NAN }
}
