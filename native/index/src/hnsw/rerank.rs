//! Comparison of candidates with the vectors themselves.

use elanus_kernels::memory::prefetch;
use elanus_kernels::{BitsetView, Scorer};

use super::copies::NodeRows;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorRows};

/// Candidates compared with their rows between two looks at how far the codes err.
const STEP: usize = 4;
/// A candidate so many root mean square errors behind the k-th best ends the comparison.
const DEVIATIONS: f32 = 3.0;

/// The best rows behind the candidates so far.
pub(crate) struct Rerank<'a> {
    node_rows: NodeRows<'a>,
    allowed: Option<BitsetView<'a>>,
    direction: Direction,
    cosine: bool,
    bounds: Bounds,
    top: TopK,
    /// Rows that were allowed and in range.
    pub found: usize,
    /// Candidates nearer than the range, and farther.
    before: usize,
    beyond: usize,
    /// Whether no candidate that is worse by code may be among the best, by the errors that codes have shown.
    pub sure: bool,
    /// Of the keys by code, summed over the candidates compared.
    squared_errors: f32,
}

/// Where the vectors of candidates lie, and what they are compared with.
pub(crate) struct Rows<'a> {
    pub rows: &'a dyn VectorRows,
    pub scorer: &'a Scorer<'a>,
}

impl<'a> Rerank<'a> {
    pub(crate) fn new(query: &Query<'a>, metric: Metric, node_rows: NodeRows<'a>) -> Self {
        let direction = Direction::of(metric);
        Self {
            node_rows,
            allowed: query.allowed.map(BitsetView::new),
            direction,
            cosine: metric == Metric::Cosine,
            bounds: Bounds::of(query, direction),
            top: TopK::new(query.top_k),
            found: 0,
            before: 0,
            beyond: 0,
            sure: false,
            squared_errors: 0.0,
        }
    }

    /// Compares the first `compared` candidates; gives how many were.
    pub(crate) fn best_of(&mut self, of: &Rows<'_>, nodes: &[u32], compared: usize) -> usize {
        let nodes = &nodes[..nodes.len().min(compared)];
        self.compare(of, nodes, &[]);
        nodes.len()
    }

    /// Compares candidates with their keys by code, ascending, until one is too far behind the k-th best to pass it by
    /// the errors that the codes have shown; gives how many were.
    pub(crate) fn until_sure(&mut self, of: &Rows<'_>, nodes: &[u32], keys: &[f32]) -> usize {
        let mut done = 0;
        while done < nodes.len() {
            let end = nodes.len().min((done + STEP).max(self.top.wanted()));
            self.compare(of, &nodes[done..end], &keys[done..end]);
            done = end;
            let doubt = DEVIATIONS * (self.squared_errors / done as f32).sqrt();
            let limit = self.limit();
            let limit = self.key_by_code(limit);
            self.sure = keys.get(done).or(keys.last()).is_some_and(|&key| key - doubt > limit);
            if self.sure {
                break;
            }
        }
        done
    }

    /// What a code without error would give: the squared distance of directions, where the score is their cosine.
    fn key_by_code(&self, key: f32) -> f32 {
        if self.cosine { 2.0 + 2.0 * key } else { key }
    }

    /// `keys`: those by code, where errors are to be told.
    fn compare(&mut self, of: &Rows<'_>, nodes: &[u32], keys: &[f32]) {
        for (index, &node) in nodes.iter().enumerate() {
            if let Some(later) = nodes.get(index + 2).and_then(|&later| self.node_rows.first(later)) {
                let bytes = of.rows.row(later);
                prefetch(bytes, 0, bytes.len());
            }
            if let Some(first) = self.node_rows.first(node) {
                let key = self.take(node, of.scorer.score(of.rows.row(first)));
                if let Some(by_code) = keys.get(index) {
                    self.squared_errors += (by_code - self.key_by_code(key)).powi(2);
                }
            }
        }
    }

    /// Takes a candidate's score into account; gives its key.
    #[inline]
    pub(crate) fn take(&mut self, node: u32, score: f32) -> f32 {
        let key = self.direction.key(score);
        self.before += usize::from(self.bounds.begins_after(key));
        self.beyond += usize::from(self.bounds.ends_before(key));
        if self.bounds.admit(key)
            && let Some(first) = self.node_rows.first(node)
        {
            self.offer(key, first);
            for &copy in self.node_rows.copies(node) {
                self.offer(key, copy);
            }
        }
        key
    }

    #[inline]
    fn offer(&mut self, key: f32, row: u32) {
        if self.allowed.is_none_or(|allowed| allowed.contains(row)) {
            self.found += 1;
            self.top.offer(key, row);
        }
    }

    /// Whether a range ends, or the last row wanted of it lies, in the nearer half of all `met` candidates: the farther
    /// they are, the more others a walk has missed.
    pub(crate) fn well_within(&self, met: usize) -> bool {
        let wanted = self.top.wanted();
        let near = self.before == 0 || (self.before + wanted) * 2 <= met;
        self.beyond * 2 >= met || (self.found >= wanted && near)
    }

    /// The key that a later row must be below to enter; infinite until enough are known.
    pub(crate) fn limit(&mut self) -> f32 {
        self.top.limit()
    }

    pub(crate) fn finish(self, out: &mut Vec<Hit>) {
        self.top.finish(self.direction, out);
    }
}
