//! Exact search over sparse rows, one row after the other.

use elanus_kernels::BitsetView;

use super::Pairs;
use super::scoring::Scoring;
use crate::IndexError;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, SparseRows};

/// Appends the best `query.top_k` allowed rows by IP or BM25 to `out`, best first; equal scores by ascending row.
/// Rows of score 0 never appear. For BM25 the query holds how often it names each word times the word's
/// [`super::idf`], the rows hold how often they name it, and the parameters must tell the average length.
///
/// # Errors
/// The query is not a sparse vector; BM25 without an average length.
pub fn search(rows: &dyn SparseRows, metric: Metric, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
    let vector = Pairs::of_query(query.vector)?;
    let scoring = query.params.sparse.scoring(metric)?;
    let direction = Direction::of(metric);
    let bounds = Bounds::of(query, direction);
    let mut top = TopK::new(query.top_k);
    let mut offer = |row: u32| {
        let score = score(scoring, vector, Pairs::of_row(rows.row(row)));
        let key = direction.key(score);
        if score != 0.0 && bounds.admit(key) {
            top.offer(key, row);
        }
    };
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    match query.allowed {
        None => (0..count).for_each(&mut offer),
        Some(words) => BitsetView::new(words).iter().take_while(|&row| row < count).for_each(&mut offer),
    }
    top.finish(direction, out);
    Ok(())
}

/// Added up in ascending order of dimensions.
fn score(scoring: Scoring, query: Pairs<'_>, row: Pairs<'_>) -> f32 {
    match scoring {
        Scoring::InnerProduct => query.common(row).map(|(weight, value)| value * weight).sum(),
        Scoring::Bm25(bm25) => {
            let norm = bm25.norm(row.length());
            let counted = query.common(row).filter(|&(_, frequency)| frequency > 0.0);
            counted.map(|(weight, frequency)| bm25.score(weight, frequency, norm)).sum()
        }
    }
}
