//! Search over posting lists by the upper bounds of their cells.
//!
//! First the bounds of all lists of the query are added up, cell by cell: a few thousand sums that say how good the
//! best row of each cell can be. The most promising cells of all are scored first, which gives a k-th best score that
//! most other cells cannot reach; those are never read. The rest is scored in the order of rows, neighbouring cells
//! together, into a small dense array. Where bounds exclude nothing, that is plain bulk scoring of every posting.
//! (Block-max pruning: the papers named in [`super::encode`].)
//!
//! A score is always added up in ascending order of dimensions, so it is bit for bit that of the exact search.

use std::ops::Range;

use elanus_kernels::{BitsetView, Isa, PostingKernels};

use super::encode::{CELL_ROWS, WINDOW_CELLS};
use super::file::{Inverted, List, Shape, Values};
use super::scoring::Scoring;
use crate::top_k::{Bounds, Direction, TopK, pack};
use crate::vector::{Hit, Metric, Query};

/// Cells that are scored together: their sums fill half of a first-level cache.
const RUN_CELLS: usize = 64;
const RUN_ROWS: usize = RUN_CELLS * CELL_ROWS;
/// Cells scored first: so many and an eighth of k.
const SEEDS: usize = 16;
/// Half a row number and a float.
const POSTING_BYTES: u64 = 6;

/// A list of the query.
pub(super) struct Term<'a> {
    pub list: List<'a>,
    pub weight: f32,
    /// What a code of 1 can add to a score.
    pub bound_scale: f32,
    /// In a short list: a posting that no earlier one of the rows to come lies before.
    pub at: usize,
}

/// One query on its way over the cells.
pub(super) struct Sweep<'a> {
    /// In ascending order of dimensions.
    terms: Vec<Term<'a>>,
    kernels: PostingKernels,
    scoring: Scoring,
    lengths: &'a [f32],
    rows: usize,
    cells: usize,
    /// No cell with postings is left out: scores may be negative, or the request wants it.
    exhaustive: bool,
    allowed: Option<BitsetView<'a>>,
    range: Bounds,
    /// Scores below this cannot become hits.
    least: f32,
    /// Offers since `least` was set.
    offered: usize,
    top: TopK,
    top_k: usize,
    sums: Box<[f32; RUN_ROWS]>,
    norms: Box<[f32; RUN_ROWS]>,
    found: Vec<u32>,
    /// Cells scored and postings read, for EXPLAIN.
    cells_scored: u64,
    postings_read: u64,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(
        index: &'a Inverted,
        query: &Query<'a>,
        scoring: Scoring,
        terms: Vec<Term<'a>>,
        exhaustive: bool,
    ) -> Self {
        let negative = terms.iter().any(|term| term.weight < 0.0 || term.list.least < 0.0);
        Self {
            kernels: PostingKernels::choose(Isa::detect()),
            scoring,
            lengths: index.lengths(),
            rows: index.rows,
            cells: index.cells(),
            exhaustive: negative || exhaustive,
            allowed: query.allowed.map(BitsetView::new),
            range: Bounds::of(query, Direction::of(Metric::Ip)),
            // Without negative numbers only a positive score is one of a shared dimension.
            least: if negative { f32::NEG_INFINITY } else { query.radius.unwrap_or(0.0).max(0.0).next_up() },
            offered: 0,
            top: TopK::new(query.top_k),
            top_k: query.top_k,
            sums: Box::new([0.0; RUN_ROWS]),
            norms: Box::new([0.0; RUN_ROWS]),
            found: vec![],
            cells_scored: 0,
            postings_read: 0,
            terms,
        }
    }

    /// Appends the best rows to `out`.
    pub(super) fn run(mut self, query: &Query<'_>, out: &mut Vec<Hit>) {
        let mut bounds = self.bounds();
        if !self.exhaustive {
            for cell in self.seeds(&bounds) {
                self.score_cells(cell..cell + 1);
                bounds[cell] = 0.0;
            }
            self.terms.iter_mut().for_each(|term| term.at = 0);
        }
        let mut cells = vec![];
        let least = if self.exhaustive { f32::INFINITY } else { self.least };
        (self.kernels.select)(&bounds, least, &mut cells);
        let mut cells = cells.into_iter().map(|cell| cell as usize).peekable();
        while let Some(first) = cells.next() {
            if bounds[first] < self.least {
                continue;
            }
            let limit = (first + RUN_CELLS).min((first / WINDOW_CELLS + 1) * WINDOW_CELLS);
            let mut end = first + 1;
            while cells.next_if(|&cell| cell == end && end < limit && bounds[cell] >= self.least).is_some() {
                end += 1;
            }
            self.score_cells(first..end);
        }
        query.note(|stats| {
            stats.plans.push(if self.exhaustive { "every posting" } else { "cells by upper bound" });
            stats.visited += self.postings_read;
            stats.exact_distances += self.cells_scored * CELL_ROWS as u64;
            stats.bytes_read += self.postings_read * POSTING_BYTES;
        });
        self.top.finish(Direction::of(Metric::Ip), out);
    }

    /// Appends the best of `candidates`, scored anew, to `out`.
    pub(super) fn rescore(mut self, candidates: &[Hit], out: &mut Vec<Hit>) {
        let mut rows: Vec<u32> = candidates.iter().map(|hit| hit.row).collect();
        rows.sort_unstable();
        let cell_of = |row: u32| row as usize / CELL_ROWS;
        for rows in rows.chunk_by(|&a, &b| cell_of(a) == cell_of(b)) {
            self.add_up(cell_of(rows[0])..cell_of(rows[0]) + 1);
            for &row in rows {
                self.offer(row, self.sums[row as usize % CELL_ROWS]);
            }
        }
        self.top.finish(Direction::of(Metric::Ip), out);
    }

    /// The most that a row of each cell can score: 0 where no allowed row has any of the dimensions.
    fn bounds(&self) -> Vec<f32> {
        let mut bounds = vec![0f32; self.cells];
        for term in &self.terms {
            let scale = if self.exhaustive { f32::INFINITY } else { term.bound_scale };
            match term.list.shape {
                Shape::Long { .. } if self.exhaustive => bounds.fill(f32::INFINITY),
                Shape::Long { codes, .. } => (self.kernels.add_scaled)(&mut bounds, codes, scale),
                Shape::Short { highs, codes } => {
                    let (mut cell, mut most) = (usize::MAX, 0.0f32);
                    for (posting, &code) in codes.iter().enumerate() {
                        let own = List::short_row(highs, term.list.lows, posting) as usize / CELL_ROWS;
                        if own != cell {
                            if let Some(bound) = bounds.get_mut(cell) {
                                *bound += most;
                            }
                            (cell, most) = (own, 0.0);
                        }
                        most = most.max(if self.exhaustive { scale } else { f32::from(code) * scale });
                    }
                    if let Some(bound) = bounds.get_mut(cell) {
                        *bound += most;
                    }
                }
            }
        }
        if let Some(allowed) = self.allowed {
            let words = allowed.words().iter().chain(std::iter::repeat(&0));
            for (bound, _) in bounds.iter_mut().zip(words).filter(|(_, word)| **word == 0) {
                *bound = 0.0;
            }
        }
        bounds
    }

    /// Cells that are likely to have the best rows, ascending: the best ones of equally long stretches.
    fn seeds(&self, bounds: &[f32]) -> Vec<usize> {
        let wanted = SEEDS + self.top_k / 8;
        let stretch = (bounds.len() / (4 * wanted)).clamp(1, 64);
        let stretches = bounds.chunks(stretch).enumerate();
        let mut best: Vec<u64> =
            stretches.map(|(number, bounds)| pack(-(self.kernels.largest)(bounds), number as u32)).collect();
        if best.len() > wanted {
            best.select_nth_unstable(wanted);
            best.truncate(wanted);
        }
        let cell = |packed: &u64| {
            let first = *packed as u32 as usize * stretch;
            let own = &bounds[first..(first + stretch).min(bounds.len())];
            let largest = (self.kernels.largest)(own);
            first + own.iter().position(|&bound| bound >= largest).unwrap_or(0)
        };
        let mut cells: Vec<usize> = best.iter().map(cell).filter(|&cell| bounds[cell] >= self.least).collect();
        cells.sort_unstable();
        cells
    }

    /// Scores the rows of some cells of one window and offers those that may be hits.
    fn score_cells(&mut self, cells: Range<usize>) {
        let first = cells.start * CELL_ROWS;
        let count = (cells.end * CELL_ROWS).min(self.rows) - first;
        self.add_up(cells);
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        (self.kernels.select)(&self.sums[..count], self.least, &mut found);
        for &local in &found {
            let score = self.sums[local as usize];
            self.offer(first as u32 + local, score);
        }
        self.found = found;
        if self.offered > self.top_k / 8 {
            self.offered = 0;
            let limit = self.top.limit();
            if limit < f32::INFINITY {
                self.least = self.least.max(-limit);
            }
        }
    }

    #[inline]
    fn offer(&mut self, row: u32, score: f32) {
        let key = Direction::of(Metric::Ip).key(score);
        if score != 0.0 && self.range.admit(key) && self.allowed.is_none_or(|allowed| allowed.contains(row)) {
            self.top.offer(key, row);
            self.offered += 1;
        }
    }

    /// Adds the contributions of all lists to the rows of some cells of one window; `sums` starts at the first cell.
    fn add_up(&mut self, cells: Range<usize>) {
        let rows = cells.start * CELL_ROWS..(cells.end * CELL_ROWS).min(self.rows);
        self.sums[..rows.len()].fill(0.0);
        if let Scoring::Bm25(bm25) = self.scoring {
            let (fixed, slope) = bm25.line();
            for (norm, &length) in self.norms.iter_mut().zip(&self.lengths[rows.clone()]) {
                *norm = fixed + slope * length;
            }
        }
        let base = rows.start as u16;
        self.cells_scored += cells.len() as u64;
        for term in &mut self.terms {
            let postings = term.postings(&cells);
            let lows = &term.list.lows[postings.clone()];
            self.postings_read += lows.len() as u64;
            let (weight, norms) = (term.weight, &self.norms);
            match (term.list.values, self.scoring) {
                (Values::Floats(values), Scoring::InnerProduct) => {
                    add(&mut self.sums, lows, base, &values[postings], |value, _| value * weight);
                }
                (Values::Bytes(values), Scoring::InnerProduct) => {
                    add(&mut self.sums, lows, base, &values[postings], |value, _| f32::from(value) * weight);
                }
                (Values::Floats(values), Scoring::Bm25(bm25)) => {
                    add(&mut self.sums, lows, base, &values[postings], |value, row| {
                        bm25.score(weight, value, norms[row])
                    });
                }
                (Values::Bytes(values), Scoring::Bm25(bm25)) => {
                    let score = |value, row: usize| bm25.score(weight, f32::from(value), norms[row]);
                    add(&mut self.sums, lows, base, &values[postings], score);
                }
            }
        }
    }
}

#[inline(always)]
fn add<V: Copy>(
    sums: &mut [f32; RUN_ROWS],
    lows: &[u16],
    base: u16,
    values: &[V],
    contribution: impl Fn(V, usize) -> f32,
) {
    for (&low, &value) in lows.iter().zip(values) {
        let row = usize::from(low.wrapping_sub(base)) % RUN_ROWS;
        sums[row] += contribution(value, row);
    }
}

impl Term<'_> {
    /// The postings of some cells of one window. Calls must go on in ascending order, unless `at` is set back.
    fn postings(&mut self, cells: &Range<usize>) -> Range<usize> {
        match self.list.shape {
            Shape::Long { cell_starts, window_starts, .. } => {
                List::range_in_window(cell_starts, window_starts, cells.start, cells.end)
            }
            Shape::Short { highs, .. } => {
                let start = self.gallop(highs, self.at, cells.start * CELL_ROWS);
                let end = self.gallop(highs, start, cells.end * CELL_ROWS);
                self.at = end;
                start..end
            }
        }
    }

    /// The first posting from `from` on whose row is not before `row`.
    fn gallop(&self, highs: &[u16], from: usize, row: usize) -> usize {
        let before = |posting: usize| (List::short_row(highs, self.list.lows, posting) as usize) < row;
        let (mut low, mut step) = (from, 1);
        while low + step <= highs.len() && before(low + step - 1) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(highs.len());
        while low < high {
            let middle = (low + high) / 2;
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}
