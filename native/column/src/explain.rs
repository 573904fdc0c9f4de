//! What a read did in each segment, as EXPLAIN shows it.

use std::time::Instant;

use elanus_filter::Program;
use elanus_index::trace::{SearchStats, Trace};
use elanus_rows::error::Result;
use serde::Serialize;

use crate::moment::Moment;
use crate::part::Part;
use crate::segment::Segment;

/// How a segment's rows were narrowed to those that pass the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Filtering {
    /// There was no filter.
    #[default]
    None,
    /// The filter names primary keys, which were looked up.
    PrimaryKeys,
    /// Bounds of the segment rule every row out.
    Pruned,
    /// Tried on every visible row, or answered by scalar indexes.
    Rows,
    /// Tried on what the vector index found.
    Candidates,
}

/// The account of one segment. Times are in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentReport {
    /// The segment's id as text.
    pub segment: String,
    pub rows: usize,
    /// Rows that the snapshot sees.
    pub visible: usize,
    pub filtering: Filtering,
    /// Share of the visible rows that the filter was expected to let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<f64>,
    /// Share that it did let through; unknown when only candidates were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<f64>,
    pub filter_micros: u64,
    /// Type of the vector index that was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<&'static str>,
    #[serde(flatten)]
    pub search: SearchStats,
    pub search_micros: u64,
}

impl SegmentReport {
    /// What is known of a segment before the read: what the snapshot sees, and what the filter is expected to leave.
    pub(crate) fn of(segment: &Segment, moment: Moment, program: Option<&Program>) -> Result<Self> {
        let seen = segment.view(moment)?;
        let visible: usize = seen.iter().map(Part::count).sum();
        let (segment_id, rows) = (segment.id().to_string(), segment.row_count());
        let mut report = Self { segment: segment_id, rows, visible, ..Self::default() };
        if program.is_some_and(|program| segment.rules_out(program)) {
            (report.estimated, report.filtering) = (Some(0.0), Filtering::Pruned);
        } else if let Some(program) = program {
            let expected =
                seen.iter().map(|part| Ok(part.estimate(segment.schema(), program)?.fraction() * part.count() as f64));
            report.estimated = Some(report.share(expected.sum::<Result<f64>>()?));
            let by_key = program.primary_keys().is_some();
            report.filtering = if by_key { Filtering::PrimaryKeys } else { Filtering::Rows };
        }
        Ok(report)
    }

    /// So many of the visible rows passed the filter.
    pub(crate) fn let_through(&mut self, passed: usize) {
        self.actual = Some(self.share(passed as f64));
    }

    fn share(&self, rows: f64) -> f64 {
        rows / self.visible.max(1) as f64
    }
}

/// Where a search that is being explained keeps its account; without one it costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Explanation {
    pub(crate) trace: Trace,
    /// One of each segment, in the order of the request.
    pub(crate) segments: Vec<SegmentReport>,
}

impl Explanation {
    /// Books what the trace holds on a segment, with the time since `start`.
    pub(crate) fn book(&mut self, segment: usize, start: Instant) {
        let stats = self.trace.take();
        if let Some(report) = self.segments.get_mut(segment) {
            report.search.add(&stats);
            report.search_micros += micros(start);
        }
    }
}

/// Microseconds since `start`.
pub(crate) fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}
