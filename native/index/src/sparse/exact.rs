//! Exact search over sparse rows, one row after the other.

use elanus_kernels::BitsetView;

use super::Pairs;
use crate::IndexError;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, SparseRows};

/// Appends the best `query.top_k` allowed rows by inner product to `out`, best first; equal scores by ascending row.
/// Rows of score 0 never appear.
///
/// # Errors
/// The query is not a sparse vector.
pub fn search(rows: &dyn SparseRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
    let vector = Pairs::of_query(query.vector)?;
    let direction = Direction::of(Metric::Ip);
    let bounds = Bounds::of(query, direction);
    let mut top = TopK::new(query.top_k);
    let mut offer = |row: u32| {
        let score = vector.dot(Pairs::of_row(rows.row(row)));
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
