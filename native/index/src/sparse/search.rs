//! A query against an opened index: its lists, its scoring, and what is left out on request.

use super::file::Inverted;
use super::pairs::Pairs;
use super::params::no_average_length;
use super::scoring::{Bm25, Scoring};
use super::sweep::{Sweep, Term};
use crate::IndexError;
use crate::vector::{Hit, Metric, Query, SparseIndex};

impl SparseIndex for Inverted {
    fn search(&self, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        let vector = Pairs::of_query(query.vector)?;
        let scoring = self.checked_scoring(query)?;
        if query.top_k == 0 {
            return Ok(());
        }
        let params = &query.params.sparse;
        let whole: Vec<(u32, f32)> = vector.iter().collect();
        let kept = strongest(&whole, params.drop_ratio);
        let factor = params.refine_factor.filter(|&factor| factor > 1 && kept.len() < whole.len());
        match factor {
            None => self.sweep(query, scoring, &kept).run(query, out),
            Some(factor) => {
                let wider =
                    Query { top_k: query.top_k.saturating_mul(factor), radius: None, range_filter: None, ..*query };
                let mut candidates = vec![];
                self.sweep(&wider, scoring, &kept).run(&wider, &mut candidates);
                self.sweep(query, scoring, &whole).rescore(&candidates, out);
            }
        }
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "SPARSE_INVERTED_INDEX"
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_count(&self) -> usize {
        self.rows
    }

    fn memory_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

impl Inverted {
    fn sweep<'a>(&'a self, query: &Query<'a>, scoring: Scoring, pairs: &[(u32, f32)]) -> Sweep<'a> {
        let factor = self.bound_factor(scoring, query, pairs.len());
        let term = |&(dimension, weight): &(u32, f32)| {
            let list = self.list_of(dimension)?;
            Some(Term { list, weight, bound_scale: list.scale * weight * factor, at: 0 })
        };
        let exhaustive = self.header.exhaustive || query.params.sparse.exhaustive;
        Sweep::new(self, query, scoring, pairs.iter().filter_map(term).collect(), exhaustive)
    }

    /// Bounds hold for the k1 and b of the build, and for every average length.
    fn checked_scoring(&self, query: &Query<'_>) -> Result<Scoring, IndexError> {
        let params = &query.params.sparse;
        let Some(own) = self.header.bm25 else { return Ok(Scoring::InnerProduct) };
        let average_length = params.average_length.ok_or_else(no_average_length)?;
        let (k1, b) = (params.k1.unwrap_or(own.k1), params.b.unwrap_or(own.b));
        if !self.header.exhaustive && !params.exhaustive && (k1, b) != (own.k1, own.b) {
            let text = "search time k1/b must equal load time config for DAAT_WAND or DAAT_MAXSCORE algorithm.";
            return Err(IndexError::Parameter(text.to_owned()));
        }
        Ok(Scoring::Bm25(Bm25 { k1, b, average_length }))
    }

    /// What codes are multiplied by beside weight and scale. BM25's bounds were made with the average length of the
    /// segment; with a larger one L' a score grows, at most by L' / L.
    fn bound_factor(&self, scoring: Scoring, query: &Query<'_>, terms: usize) -> f32 {
        let drift = match (self.header.bm25, scoring) {
            (Some(own), Scoring::Bm25(now)) if own.average_length > 0.0 => {
                (now.average_length / own.average_length).max(1.0)
            }
            _ => 1.0,
        };
        // Sums of bounds are rounded otherwise than sums of scores.
        let slack = 1.0 + 2.0 * f32::EPSILON * (terms + 4) as f32;
        drift * slack * query.params.sparse.bound_ratio.unwrap_or(1.0)
    }
}

/// The query without the given share of its smallest weights.
fn strongest(whole: &[(u32, f32)], drop_ratio: f32) -> Vec<(u32, f32)> {
    let mut pairs = whole.to_vec();
    let dropped = (pairs.len() as f32 * drop_ratio.clamp(0.0, 1.0)) as usize;
    if dropped > 0 {
        pairs.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        pairs.truncate(pairs.len() - dropped);
        pairs.sort_by_key(|&(dimension, _)| dimension);
    }
    pairs
}
