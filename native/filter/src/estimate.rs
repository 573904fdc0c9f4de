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
/// Runs that a sample touches at most: reading one may mean decoding it.
const SAMPLE_RUNS: usize = 8;

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
    let runs = source.run_count();
    let exact = source.row_count() <= SAMPLE_BLOCKS * BLOCK_ROWS || evaluation.reads_nothing();
    let step = if exact { 1 } else { runs.div_ceil(SAMPLE_RUNS) };
    let is_read = |run: usize| run % step == step / 2;
    let rows_read: usize = (0..runs).filter(|&run| is_read(run)).map(|run| source.run_rows(run)).sum();
    let (mut passed, mut tried, mut first_row) = (0, 0, 0);
    for run in 0..runs {
        let rows = source.run_rows(run);
        if is_read(run) && rows > 0 {
            let blocks = (SAMPLE_BLOCKS * rows).div_ceil(rows_read);
            let stretches = if exact { whole(rows) } else { sample(rows, blocks) };
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

/// So many blocks of a run, one from each equal part of it. The place within the part varies, so that a period in the
/// data is not taken for the whole.
fn sample(rows: usize, count: usize) -> Vec<Range<usize>> {
    let blocks = rows.div_ceil(BLOCK_ROWS);
    let part = blocks.div_ceil(count);
    let chosen = (0..count).map(|i| {
        let spread = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (i * blocks / count + spread as usize % part).min(blocks - 1) * BLOCK_ROWS
    });
    chosen.map(|start| start..rows.min(start + TRIED_ROWS)).collect()
}
