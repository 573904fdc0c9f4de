//! How much of a segment a filter lets through, from a systematic sample of short blocks of rows: many short blocks,
//! because neighbouring rows are often alike.

use crate::evaluate::Evaluation;
use crate::numbers::CHUNK_ROWS;
use crate::source::ColumnSource;
use elanus_rows::error::Result;
use std::ops::Range;

/// Blocks begin at multiples of it.
const BLOCK_ROWS: usize = 64;
/// Rows of a block that are tried.
const TRIED_ROWS: usize = 32;
const SAMPLE_BLOCKS: usize = 128;

/// What a sample of rows says of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Rows of the sample for which the filter is TRUE.
    pub passed: usize,
    /// Rows of the sample.
    pub tried: usize,
    /// The sample was every row.
    pub exact: bool,
}

impl Estimate {
    /// Share of the rows that pass, 0..=1. A sample without a match does not prove that there is none, so an
    /// estimate lies strictly between the two (Jeffreys' prior).
    #[must_use]
    pub fn fraction(&self) -> f64 {
        match (self.exact, self.tried) {
            (true, 0) => 0.0,
            (true, tried) => self.passed as f64 / tried as f64,
            (false, tried) => (self.passed as f64 + 0.5) / (tried as f64 + 1.0),
        }
    }
}

pub(crate) fn estimate(evaluation: &Evaluation<'_>, source: &dyn ColumnSource) -> Result<Estimate> {
    let blocks = source.row_count().div_ceil(BLOCK_ROWS);
    let exact = blocks <= SAMPLE_BLOCKS || evaluation.reads_nothing();
    let (mut passed, mut tried, mut first_row) = (0, 0, 0);
    for run in 0..source.run_count() {
        let rows = source.run_rows(run);
        let stretches = if exact { whole(rows) } else { sample(first_row, rows, blocks) };
        if !stretches.is_empty() {
            let counts = evaluation.count(run, first_row, &stretches)?;
            (passed, tried) = (passed + counts.0, tried + counts.1);
        }
        first_row += rows;
    }
    Ok(Estimate { passed, tried, exact })
}

fn whole(rows: usize) -> Vec<Range<usize>> {
    (0..rows).step_by(CHUNK_ROWS).map(|start| start..rows.min(start + CHUNK_ROWS)).collect()
}

/// The sampled blocks of a run, one from each of `SAMPLE_BLOCKS` equal parts of the source. The place within the part
/// varies, so that a period in the data is not taken for the whole.
fn sample(first_row: usize, rows: usize, blocks: usize) -> Vec<Range<usize>> {
    let part = blocks / SAMPLE_BLOCKS;
    let chosen = (0..SAMPLE_BLOCKS).map(|i| {
        let spread = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (i * blocks / SAMPLE_BLOCKS + spread as usize % part) * BLOCK_ROWS
    });
    let inside = chosen.filter(|row| (first_row..first_row + rows).contains(row));
    inside
        .map(|row| {
            let start = (row - first_row) / BLOCK_ROWS * BLOCK_ROWS;
            start..rows.min(start + TRIED_ROWS)
        })
        .collect()
}
