//! Answers a query: decides between graph and exact scan, walks, and compares the best few with the rows themselves.

use std::cell::RefCell;

use elanus_kernels::memory::prefetch;
use elanus_kernels::{BitsetView, DistanceKernel, Scorer};

use super::codes::CodeQuery;
use super::copies::NodeRows;
use super::file::Hnsw;
use super::space::{RowSpace, Space};
use super::walk::{Scratch, descend, walk, walk_two_hops};
use crate::IndexError;
use crate::flat;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows};

/// What one thread needs for its searches, in any index.
#[derive(Default)]
struct Workspace {
    scratch: Scratch,
    near: Vec<u32>,
    values: Vec<f32>,
    code_query: CodeQuery,
    candidates: Vec<u32>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// The beam of a range search that names no `ef`.
const RANGE_EF: usize = 512;
/// More candidates than asked for, because codes confuse near neighbours.
const SPARE_CANDIDATES: usize = 24;
/// From this share of allowed rows on, a walk goes through the others as if they were allowed.
const THROUGH_SHARE: f32 = 0.5;
/// So many exact comparisons cost less than any walk.
const EXACT_ROWS: usize = 2_000;
/// Comparisons of a walk for each place in its beam, about; an exact comparison costs as much as `EXACT_COST` of them.
const WALK_COST: usize = 40;
const EXACT_COST: usize = 2;

/// How a query is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Every allowed row is compared.
    Exact,
    /// All nodes are walked, allowed ones are kept.
    Through { width: usize },
    /// Allowed nodes are walked, others are reached over.
    TwoHops { width: usize },
}

impl Hnsw {
    fn plan(&self, query: &Query<'_>, ef: usize) -> Plan {
        let rows = self.node_rows().count();
        let allowed = query.allowed.map_or(rows, |_| query.allowed_count.min(rows));
        let share = allowed as f32 / rows.max(1) as f32;
        let few = EXACT_ROWS.max(ef.saturating_mul(WALK_COST) / EXACT_COST);
        if allowed <= few || query.top_k.saturating_mul(2) >= allowed {
            Plan::Exact
        } else if query.allowed.is_none() {
            Plan::Through { width: ef }
        } else if share >= THROUGH_SHARE {
            Plan::Through { width: (ef as f32 / share) as usize }
        } else {
            Plan::TwoHops { width: ef }
        }
    }

    fn check_rows(&self, rows: &dyn VectorRows) -> Result<(), IndexError> {
        if rows.len() != self.rows || rows.element() != self.element || rows.dim() != self.encoder.dim {
            let text = format!(
                "index covers {} rows of {} dimensions, the segment has {} of {}",
                self.rows,
                self.encoder.dim,
                rows.len(),
                rows.dim()
            );
            return Err(IndexError::Corrupt(text));
        }
        Ok(())
    }

    /// Walks with the given width and leaves nodes in `workspace.candidates`, the nearest first. True when nodes
    /// farther away may have been pushed out of the beam.
    fn candidates(&self, rows: &dyn VectorRows, query: &Query<'_>, plan: Plan, workspace: &mut Workspace) -> bool {
        if self.graph.codes {
            let mut code_query = std::mem::take(&mut workspace.code_query);
            self.encoder.query(query.vector, &mut workspace.values, &mut code_query);
            let full = self.walk(&self.codes(), &code_query, query, plan, workspace);
            workspace.code_query = code_query;
            full
        } else if let Some(space) = RowSpace::new(rows, self.node_rows().first, self.metric) {
            self.walk(&space, &space.query(query.vector), query, plan, workspace)
        } else {
            false
        }
    }

    fn walk<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        plan: Plan,
        workspace: &mut Workspace,
    ) -> bool {
        let Workspace { scratch, near, candidates, .. } = workspace;
        let node_rows = self.node_rows();
        let bits = query.allowed.map(BitsetView::new);
        let allowed = |node: u32| {
            bits.is_none_or(|bits| {
                let first = node_rows.first(node).is_some_and(|row| bits.contains(row));
                first || node_rows.copies(node).iter().any(|&row| bits.contains(row))
            })
        };
        let entry = self.descend(space, vector, near);
        let base = self.base();
        match plan {
            Plan::Exact => {}
            Plan::Through { width } => {
                scratch.start(self.graph.nodes, width);
                scratch.enter(space, vector, entry, !allowed(entry));
                walk(space, &base, vector, scratch, allowed);
            }
            Plan::TwoHops { width } => {
                scratch.start(self.graph.nodes, width);
                scratch.enter(space, vector, entry, !allowed(entry));
                walk_two_hops(space, &base, vector, scratch, self.graph.m * 2, allowed);
            }
        }
        candidates.clear();
        let kept = scratch.beam.entries().iter().filter(|entry| !entry.is_passage());
        candidates.extend(kept.map(|entry| entry.node()));
        scratch.beam.is_full()
    }

    /// From the top level down to a node of level 0 near the query.
    fn descend<S: Space>(&self, space: &S, vector: &S::Query, near: &mut Vec<u32>) -> u32 {
        let mut node = self.graph.entry;
        for level in self.upper_levels() {
            let Ok(start) = level.nodes.binary_search(&node) else { continue };
            let node_of = |position: u32| level.nodes.get(position as usize).copied().unwrap_or(0);
            let position = descend(space, &level, vector, start as u32, node_of, near);
            node = node_of(position);
        }
        node
    }

    fn exact(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        flat::search(rows, self.metric, query, out)
    }

    fn search_graph(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        kernel: &DistanceKernel,
        workspace: &mut Workspace,
        out: &mut Vec<Hit>,
    ) -> Result<(), IndexError> {
        let direction = Direction::of(self.metric);
        let bounds = Bounds::of(query, direction);
        let spare = if self.graph.codes { SPARE_CANDIDATES } else { 0 };
        let default_ef = if bounds.limited() { RANGE_EF } else { 16 };
        let mut ef = query.params.ef.unwrap_or(default_ef.max(query.top_k)).max(query.top_k + spare);
        let scorer = kernel.scorer(query.vector);
        loop {
            let plan = self.plan(query, ef);
            if plan == Plan::Exact {
                return self.exact(rows, query, out);
            }
            let full = self.candidates(rows, query, plan, workspace);
            let compared = match (bounds.limited(), self.graph.codes) {
                (true, _) => usize::MAX,
                (false, true) => (query.top_k * 2).max(query.top_k + spare),
                (false, false) => query.top_k,
            };
            let mut rerank = Rerank {
                rows,
                node_rows: self.node_rows(),
                allowed: query.allowed.map(BitsetView::new),
                direction,
                bounds,
                top: TopK::new(query.top_k),
                found: 0,
                worst: f32::NEG_INFINITY,
            };
            let candidates = workspace.candidates.get(..compared).unwrap_or(&workspace.candidates);
            rerank.compare(&scorer, candidates);
            if rerank.found >= query.top_k {
                rerank.top.finish(direction, out);
                return Ok(());
            }
            // A range search is done when it has seen everything near enough; any other must have k hits.
            let beyond = bounds.limited() && (!full || bounds.ends_before(rerank.worst));
            if beyond || query.params.disable_fallback_brute_force {
                rerank.top.finish(direction, out);
                return Ok(());
            }
            if !bounds.limited() {
                return self.exact(rows, query, out);
            }
            ef = ef.saturating_mul(4);
        }
    }
}

/// Comparison of the candidates with the rows themselves.
struct Rerank<'a> {
    rows: &'a dyn VectorRows,
    node_rows: NodeRows<'a>,
    allowed: Option<BitsetView<'a>>,
    direction: Direction,
    bounds: Bounds,
    top: TopK,
    found: usize,
    /// Key of the farthest candidate.
    worst: f32,
}

impl Rerank<'_> {
    fn compare(&mut self, scorer: &Scorer<'_>, nodes: &[u32]) {
        for (index, &node) in nodes.iter().enumerate() {
            if let Some(later) = nodes.get(index + 2).and_then(|&later| self.node_rows.first(later)) {
                let bytes = self.rows.row(later);
                prefetch(bytes, 0, bytes.len());
            }
            let Some(first) = self.node_rows.first(node) else { continue };
            let key = self.direction.key(scorer.score(self.rows.row(first)));
            self.worst = self.worst.max(key);
            if self.bounds.admit(key) {
                self.offer(key, first);
                for &copy in self.node_rows.copies(node) {
                    self.offer(key, copy);
                }
            }
        }
    }

    #[inline]
    fn offer(&mut self, key: f32, row: u32) {
        if self.allowed.is_none_or(|allowed| allowed.contains(row)) {
            self.found += 1;
            self.top.offer(key, row);
        }
    }
}

impl VectorIndex for Hnsw {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        self.check_rows(rows)?;
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        if let Some(ef) = query.params.ef.filter(|&ef| ef < query.top_k) {
            return Err(IndexError::Parameter(format!("ef({ef}) should be larger than k({})", query.top_k)));
        }
        if query.top_k == 0 {
            return Ok(());
        }
        WORKSPACE.with(|workspace| match workspace.try_borrow_mut() {
            Ok(mut workspace) => self.search_graph(rows, query, &kernel, &mut workspace, out),
            Err(_) => self.search_graph(rows, query, &kernel, &mut Workspace::default(), out),
        })
    }

    fn type_name(&self) -> &'static str {
        "HNSW"
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn memory_bytes(&self) -> usize {
        self.heap_bytes()
    }
}
