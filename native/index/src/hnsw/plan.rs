//! Decides how a query is answered, by estimated cost.

use crate::trace::Alternative;
use crate::vector::Query;

/// So many exact comparisons cost less than anything else.
const EXACT_ROWS: usize = 2_000;
/// Costs below are in comparisons of one code read out of order, and were measured on real embeddings (384
/// dimensions): a walk for each place in its beam, and a walk that reaches over what is not allowed.
const WALK_COST: f32 = 60.0;
const TWO_HOPS_COST: f32 = 200.0;
/// Bytes of a row whose exact comparison costs as much as a code's.
const ROW_COST_BYTES: f32 = 400.0;

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
    /// Whether the graph has codes next to it.
    pub codes: bool,
    pub ef: usize,
    /// How many candidates will be compared with their rows.
    pub compared: usize,
}

impl Situation {
    /// The cheapest way by estimate.
    pub(super) fn plan(&self, query: &Query<'_>) -> Plan {
        let Self { rows, allowed, codes, ef, compared, .. } = *self;
        if allowed <= EXACT_ROWS || query.top_k.saturating_mul(2) >= allowed {
            return Plan::Exact;
        }
        let share = allowed as f32 / rows.max(1) as f32;
        let row_cost = (self.row_bytes as f32 / ROW_COST_BYTES).max(0.5);
        let walk_cost = if codes { 1.0 } else { row_cost };
        let width = (ef as f32 / share) as usize;
        let mut ways = vec![(Plan::Exact, allowed as f32 * row_cost)];
        if codes && compared < allowed {
            ways.push((Plan::Scan { width: compared }, allowed as f32 + compared as f32 * row_cost));
        }
        ways.push((Plan::Through { width }, width as f32 * WALK_COST * walk_cost));
        if query.allowed.is_some() {
            ways.push((Plan::TwoHops { width: ef }, ef as f32 * TWO_HOPS_COST * walk_cost));
        }
        query.note(|stats| {
            let weighed = ways.iter().map(|&(plan, cost)| Alternative { plan: plan.name(), cost });
            stats.alternatives = weighed.collect();
        });
        ways.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(Plan::Exact, |&(plan, _)| plan)
    }
}
