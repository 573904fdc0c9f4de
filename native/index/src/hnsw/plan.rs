//! Decides how a query is answered, by estimated cost.

use super::walk::beam_width;
use crate::trace::Alternative;
use crate::vector::Query;

/// Nanoseconds, measured on real embeddings of 384 dimensions with `examples/filter_sweep.rs`; only their ratios count.
/// Of a walk for each place in its beam, where codes have 192 bytes and first looks 64, and of its first steps.
const WALK_NS: f32 = 470.0;
const START_NS: f32 = 8_000.0;
/// Of comparing one code or row out of order: for each, and for each byte of it.
const COMPARE_NS: f32 = 8.0;
const BYTE_NS: f32 = 0.04;
/// Of looking at the signs of one row and finding its node: for each, and for each byte, all of which come from afar.
const LOOK_NS: f32 = 8.0;
const LOOK_BYTE_NS: f32 = 0.12;
/// So many nodes are looked at for each that a walk compares by code.
const LOOKED_AT: f32 = 3.0;
/// A scan that looks at signs first compares so many codes for each that it keeps.
const SIFTED: f32 = 12.0;
/// A collecting walk may be wider than expected by so many times the nodes in between.
const COLLECT_WIDER: f32 = 2.5;
/// Where this share passes, a place is dense: a walk needs a beam little wider than without a filter.
pub(super) const DENSE: f32 = 0.4;
/// A scan so many times as dear as a walk through a dense place looks first whether it is at one.
const WORTH_LOOKING: f32 = 1.3;
/// Part of the cost of an exact scan that every other way bears: such a scan follows where a filter leaves only what is
/// far from the query, and codes cannot tell what is nearest.
const UNSURE: f32 = 0.6;

/// How a query is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plan {
    /// Every allowed row is compared.
    Exact,
    /// The codes of all allowed rows are compared. `dense`: how wide a collecting walk may be that is cheaper if much
    /// passes around the query, whatever passes elsewhere.
    Scan { width: usize, dense: Option<usize> },
    /// All nodes are walked, allowed ones are kept.
    Through { width: usize },
    /// All nodes are walked as without a filter, until enough allowed ones are met or the beam is so wide.
    Collect { width: usize },
}

impl Plan {
    /// The name that EXPLAIN shows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact scan",
            Self::Scan { .. } => "code scan",
            Self::Through { .. } => "graph walk",
            Self::Collect { .. } => "collecting walk",
        }
    }
}

/// How much a search looks at. Its width, `ef`, is what it wants and the spare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// How many nodes are wanted.
    pub wanted: usize,
    /// How many more a beam holds.
    pub spare: usize,
    /// How many candidates may be compared with their rows.
    pub compared: usize,
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
    /// Bytes of a first look, where there is one.
    pub look_bytes: Option<usize>,
    pub effort: Effort,
}

impl Situation {
    /// The cheapest way by estimate.
    pub(super) fn plan(&self, query: &Query<'_>) -> Plan {
        let Self { rows, allowed, look_bytes, code_bytes, effort, .. } = *self;
        let Effort { wanted, spare, compared } = effort;
        let ef = wanted + spare;
        if query.top_k.saturating_mul(2) >= allowed {
            return Plan::Exact;
        }
        let share = allowed as f32 / rows.max(1) as f32;
        let comparison = |bytes: usize| COMPARE_NS + bytes as f32 * BYTE_NS;
        let row = comparison(self.row_bytes);
        let compared_bytes = code_bytes.unwrap_or(self.row_bytes);
        let step = WALK_NS
            * match look_bytes {
                Some(look) => {
                    let both = |look, code| LOOKED_AT * comparison(look) + comparison(code);
                    both(look, compared_bytes) / both(64, 192)
                }
                None => comparison(compared_bytes) / comparison(192),
            };
        let exact = allowed as f32 * row;
        // A walk leaves no more than its beam holds, however many may be compared.
        let reranked = compared.min(ef).min(allowed);
        let rerank = reranked as f32 * row + if query.allowed.is_some() { UNSURE * exact } else { 0.0 };
        let start = START_NS + rerank;
        let beam = |share: f32| beam_width(wanted, spare, (wanted as f32 / share) as usize);
        let collect = beam(share / COLLECT_WIDER);
        let mut ways = vec![(Plan::Exact, exact)];
        if let Some(bytes) = code_bytes.filter(|_| compared < allowed) {
            let codes = match look_bytes {
                Some(look) => {
                    let few = (compared as f32 * SIFTED).min(allowed as f32);
                    allowed as f32 * (LOOK_NS + look as f32 * LOOK_BYTE_NS) + few * comparison(bytes)
                }
                None => allowed as f32 * comparison(bytes),
            };
            let walk = START_NS + beam(DENSE) as f32 * step;
            let dense = Some(collect).filter(|_| query.allowed.is_some() && codes > walk * WORTH_LOOKING);
            ways.push((Plan::Scan { width: compared, dense }, codes + rerank));
        }
        if query.allowed.is_none() || compared == usize::MAX {
            let width = (ef as f32 / share) as usize;
            ways.push((Plan::Through { width }, start + width as f32 * step));
        } else {
            ways.push((Plan::Collect { width: collect }, start + beam(share) as f32 * step));
        }
        query.note(|stats| {
            let weighed = ways.iter().map(|&(plan, cost)| Alternative { plan: plan.name(), cost });
            stats.alternatives = weighed.collect();
        });
        ways.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(Plan::Exact, |&(plan, _)| plan)
    }
}
