//! Search over posting lists, one window of rows after the other.
//!
//! Within a window the products of each list are added into a small dense array, as in "bulk" scoring; lists that even
//! together cannot lift a row above the k-th best score found so far are not read, only looked up for the rows that the
//! other lists have brought near it (MaxScore: Turtle & Flood, "Query evaluation: strategies and optimizations", 1995).
//! A score is always added up in ascending order of dimensions, so it is bit for bit that of the exact search.

use elanus_kernels::BitsetView;

use super::inverted::{Inverted, Postings};
use super::pairs::Pairs;
use crate::IndexError;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, SparseIndex};

/// Rows of a window: its sums fill half of a first-level cache.
const WINDOW_ROWS: usize = 1 << 12;
/// Sums of upper bounds are widened by this much: rounding must not prune a hit.
const SLACK: f32 = 1.0 + 1e-4;
/// A look-up in a list costs about as much as reading so many of its entries.
const LOOKUP_COST: usize = 16;

/// A list of the query, in ascending order of dimensions.
#[derive(Clone, Copy, Debug)]
struct Term<'a> {
    postings: Postings<'a>,
    weight: f32,
    /// The most that this list can add to a score.
    bound: f32,
    /// Start of the current window in the list.
    at: usize,
    /// Its end.
    end: usize,
}

impl Term<'_> {
    /// The product for a row of the current window.
    fn product(&self, row: u32) -> Option<f32> {
        let rows = self.postings.rows.get(self.at..self.end)?;
        let index = self.at + rows.binary_search(&row).ok()?;
        self.postings.values.get(index).map(|value| value * self.weight)
    }
}

struct Search<'a> {
    terms: Vec<Term<'a>>,
    /// Terms by ascending bound.
    by_bound: Vec<usize>,
    /// Whether a term is read in the current window, or only looked up.
    essential: Vec<bool>,
    /// The most that the terms only looked up can add; `None`: all are read.
    rest: Option<f32>,
    /// Key that a row of this window must be below.
    limit: f32,
    sums: Vec<f32>,
    allowed: Option<BitsetView<'a>>,
    direction: Direction,
    bounds: Bounds,
    top: TopK,
}

impl SparseIndex for Inverted {
    fn search(&self, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        let vector = Pairs::of_query(query.vector)?;
        if query.top_k == 0 {
            return Ok(());
        }
        let terms = self.terms(vector, query.params.drop_ratio_search.unwrap_or(0.0));
        let mut by_bound: Vec<usize> = (0..terms.len()).collect();
        by_bound.sort_by(|&a, &b| terms[a].bound.total_cmp(&terms[b].bound));
        let direction = Direction::of(Metric::Ip);
        let mut search = Search {
            essential: vec![true; terms.len()],
            rest: None,
            limit: f32::INFINITY,
            terms,
            by_bound,
            sums: vec![],
            allowed: query.allowed.map(BitsetView::new),
            direction,
            bounds: Bounds::of(query, direction),
            top: TopK::new(query.top_k),
        };
        let entries: usize = search.terms.iter().map(|term| term.postings.rows.len()).sum();
        let lookups = query.allowed_count.saturating_mul(search.terms.len()).saturating_mul(LOOKUP_COST);
        match query.allowed {
            Some(words) if lookups < entries => search.probe(words, self.rows),
            _ => search.scan(self.rows),
        }
        search.top.finish(direction, out);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "SPARSE_INVERTED_INDEX"
    }

    fn row_count(&self) -> usize {
        self.rows
    }

    fn memory_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

impl Inverted {
    /// The query's lists, without the given share of its smallest weights.
    fn terms(&self, vector: Pairs<'_>, drop_ratio: f32) -> Vec<Term<'_>> {
        let mut pairs: Vec<(u32, f32)> = vector.iter().collect();
        let dropped = (pairs.len() as f32 * drop_ratio.clamp(0.0, 1.0)) as usize;
        if dropped > 0 {
            pairs.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
            pairs.truncate(pairs.len() - dropped);
            pairs.sort_by_key(|&(dimension, _)| dimension);
        }
        let term = |(dimension, weight): (u32, f32)| {
            let postings = self.postings(dimension)?;
            let bound = (postings.least * weight).max(postings.largest * weight).max(0.0);
            Some(Term { postings, weight, bound, at: 0, end: 0 })
        };
        pairs.into_iter().filter_map(term).collect()
    }
}

impl Search<'_> {
    /// Looks every allowed row up in every list.
    fn probe(&mut self, words: &[u64], rows: usize) {
        for term in &mut self.terms {
            term.end = term.postings.rows.len();
        }
        let inside = |row: &u32| (*row as usize) < rows;
        for row in BitsetView::new(words).iter().take_while(inside) {
            let score = self.exact_score(row);
            self.offer(row, score);
        }
    }

    fn scan(&mut self, rows: usize) {
        self.sums = vec![0.0; WINDOW_ROWS.min(rows)];
        for start in (0..rows).step_by(WINDOW_ROWS) {
            let entries = self.enter(start);
            if entries == 0 {
                continue;
            }
            self.split();
            self.accumulate(start);
            if entries * 4 < WINDOW_ROWS {
                self.visit_listed(start);
            } else {
                self.visit_all(start);
            }
        }
    }

    /// Moves every list to the window; gives the entries there.
    fn enter(&mut self, start: usize) -> usize {
        let limit = start + WINDOW_ROWS;
        let mut entries = 0;
        for term in &mut self.terms {
            term.at = term.end;
            let ahead = &term.postings.rows[term.at..];
            let ahead = &ahead[..ahead.len().min(WINDOW_ROWS)];
            term.end = term.at + ahead.partition_point(|&row| (row as usize) < limit);
            entries += term.end - term.at;
        }
        entries
    }

    /// Chooses the lists to read.
    fn split(&mut self) {
        self.limit = self.top.limit();
        let worst_score = self.direction.score(self.limit);
        let mut rest = 0.0;
        let mut pruning = worst_score > 0.0;
        self.rest = None;
        for &index in &self.by_bound {
            let with = rest + self.terms[index].bound * SLACK;
            pruning = pruning && with <= worst_score;
            if pruning {
                rest = with;
                self.rest = Some(rest);
            }
            self.essential[index] = !pruning;
        }
    }

    fn accumulate(&mut self, start: usize) {
        for (term, _) in self.terms.iter().zip(&self.essential).filter(|(_, essential)| **essential) {
            let entries = term.postings.rows[term.at..term.end].iter().zip(&term.postings.values[term.at..term.end]);
            for (&row, &value) in entries {
                if let Some(sum) = self.sums.get_mut(row as usize - start) {
                    *sum += value * term.weight;
                }
            }
        }
    }

    /// Looks at the sums of the rows that the lists name: few.
    fn visit_listed(&mut self, start: usize) {
        for index in 0..self.terms.len() {
            let Term { postings, at, end, .. } = self.terms[index];
            if !self.essential[index] {
                continue;
            }
            for &row in &postings.rows[at..end] {
                let sum = self.sums.get_mut(row as usize - start).map_or(0.0, std::mem::take);
                if sum != 0.0 {
                    self.consider(row, sum);
                }
            }
        }
    }

    /// Looks at all sums of the window.
    fn visit_all(&mut self, start: usize) {
        let mut sums = std::mem::take(&mut self.sums);
        for (offset, sum) in sums.iter_mut().enumerate() {
            if *sum != 0.0 {
                let sum = std::mem::take(sum);
                self.consider((start + offset) as u32, sum);
            }
        }
        self.sums = sums;
    }

    #[inline]
    fn consider(&mut self, row: u32, sum: f32) {
        match self.rest {
            None => self.offer(row, sum),
            Some(rest) => {
                let most = sum + rest + sum.abs() * (SLACK - 1.0);
                if self.direction.key(most) < self.limit {
                    let score = self.exact_score(row);
                    self.offer(row, score);
                }
            }
        }
    }

    fn exact_score(&self, row: u32) -> f32 {
        let mut sum = 0.0;
        for term in &self.terms {
            if let Some(product) = term.product(row) {
                sum += product;
            }
        }
        sum
    }

    #[inline]
    fn offer(&mut self, row: u32, score: f32) {
        let key = self.direction.key(score);
        if score != 0.0 && self.bounds.admit(key) && self.allowed.is_none_or(|allowed| allowed.contains(row)) {
            self.top.offer(key, row);
        }
    }
}
