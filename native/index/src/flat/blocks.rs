//! The wanted rows of a scan, a block at a time with the next one in sight.

use crate::vector::VectorRows;

/// A row's number and its bytes.
pub(super) type Row<'a> = (u32, &'a [u8]);

/// Null rows are left out.
pub(super) struct Blocks<'a, I> {
    rows: &'a dyn VectorRows,
    wanted: I,
    run: Run<'a>,
    row_bytes: usize,
    size: usize,
    now: Vec<Row<'a>>,
    next: Vec<Row<'a>>,
}

impl<'a, I: Iterator<Item = u32>> Blocks<'a, I> {
    /// Blocks of `size` rows; `wanted` ascends.
    pub(super) fn new(rows: &'a dyn VectorRows, wanted: I, size: usize) -> Self {
        let run = Run { start: 0, end: 0, bytes: &[] };
        let row_bytes = rows.element().row_bytes(rows.dim());
        let mut blocks = Self { rows, wanted, run, row_bytes, size, now: vec![], next: Vec::with_capacity(size) };
        blocks.fill();
        blocks
    }

    /// Goes to the next block; false when there is none.
    pub(super) fn advance(&mut self) -> bool {
        std::mem::swap(&mut self.now, &mut self.next);
        self.fill();
        !self.now.is_empty()
    }

    pub(super) fn now(&self) -> &[Row<'a>] {
        &self.now
    }

    pub(super) fn next(&self) -> &[Row<'a>] {
        &self.next
    }

    fn fill(&mut self) {
        let Self { rows, wanted, run, row_bytes, size, next, .. } = self;
        next.clear();
        while next.len() < *size {
            let Some(row) = wanted.next() else { return };
            if row >= run.end {
                *run = Run::at(*rows, row);
            }
            next.extend(run.row(row, *row_bytes).map(|bytes| (row, bytes)));
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
