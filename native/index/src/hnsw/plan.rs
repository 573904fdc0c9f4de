//! Decides how a query is answered, by estimated cost.

use crate::trace::Alternative;
use crate::vector::Query;

/// A code scan keeps this many times the candidates that will be compared with their rows at first.
pub(super) const SCAN_SPARE: usize = 8;
/// Nanoseconds, measured on real embeddings of 384 dimensions with `examples/filter_sweep.rs`: of a walk for each place
/// in its beam, and of a search's first steps. A walk that reaches over nodes costs `TWO_HOPS` times as much.
const WALK_NS: f32 = 650.0;
const TWO_HOPS: f32 = 1.45;
const START_NS: f32 = 6_000.0;
/// Nanoseconds of comparing one code or row out of order: for each, and for each byte of it.
const COMPARE_NS: f32 = 8.0;
const BYTE_NS: f32 = 0.04;

/// How a query is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plan {
    /// Every allowed row is compared.
    Exact,
    /// The codes of all allowed rows are compared.
    Scan { width: usize },
    /// All nodes are walked, allowed ones are kept.
    Through { width: usize },
    /// Allowed nodes are walked, others are reached over.
    TwoHops { width: usize },
}

impl Plan {
    /// The name that EXPLAIN shows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact scan",
            Self::Scan { .. } => "code scan",
            Self::Through { .. } => "graph walk",
            Self::TwoHops { .. } => "two-hop walk",
        }
    }
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    /// Nodes' rows, all and allowed.
    pub rows: usize,
    pub allowed: usize,
    pub row_bytes: usize,
    /// Bytes of a code, where the graph has codes next to it.
    pub code_bytes: Option<usize>,
    pub ef: usize,
    /// How many candidates will be compared with their rows.
    pub compared: usize,
}

impl Situation {
    /// The cheapest way by estimate.
    pub(super) fn plan(&self, query: &Query<'_>) -> Plan {
        let Self { rows, allowed, code_bytes, ef, compared, .. } = *self;
        if query.top_k.saturating_mul(2) >= allowed {
            return Plan::Exact;
        }
        let share = allowed as f32 / rows.max(1) as f32;
        let comparison = |bytes: usize| COMPARE_NS + bytes as f32 * BYTE_NS;
        let row = comparison(self.row_bytes);
        let step = WALK_NS * comparison(code_bytes.unwrap_or(self.row_bytes)) / comparison(384);
        let (start, rerank) = (START_NS, compared.min(allowed) as f32 * row);
        let mut ways = vec![(Plan::Exact, allowed as f32 * row)];
        if let Some(bytes) = code_bytes.filter(|_| compared < allowed) {
            let width = compared.saturating_mul(SCAN_SPARE);
            ways.push((Plan::Scan { width }, allowed as f32 * comparison(bytes) + 2.0 * rerank));
        }
        let width = (ef as f32 / share) as usize;
        ways.push((Plan::Through { width }, start + width as f32 * step + rerank));
        if query.allowed.is_some() {
            // Links over nodes in between are worse than a graph's own; a wider beam makes up for that.
            let width = (ef as f32 * (1.15 + 0.08 / share).min(2.0)) as usize;
            ways.push((Plan::TwoHops { width }, start + width as f32 * step * TWO_HOPS + rerank));
        }
        query.note(|stats| {
            let weighed = ways.iter().map(|&(plan, cost)| Alternative { plan: plan.name(), cost });
            stats.alternatives = weighed.collect();
        });
        ways.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(Plan::Exact, |&(plan, _)| plan)
    }
}
