//! Answers a query: decides between graph and exact scan, walks, and compares the best few with the rows themselves.

use std::cell::RefCell;

use elanus_kernels::BitsetView;

use super::codes::CodeQuery;
use super::file::Hnsw;
use super::plan::{Plan, SCAN_SPARE, Situation};
use super::rerank::{Rerank, Rows};
use super::space::{RowSpace, Space};
use super::walk::{NONE, Scratch, walk, walk_two_hops};
use crate::IndexError;
use crate::flat;
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows, check_fit};

/// What one thread needs for its searches, in any index.
#[derive(Default)]
struct Workspace {
    scratch: Scratch,
    near: Vec<u32>,
    values: Vec<f32>,
    code_query: CodeQuery,
    candidates: Vec<u32>,
    /// Keys of the candidates that a walk has found; none after a scan.
    keys: Vec<f32>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// The beam of a range search that names no `ef`.
const RANGE_EF: usize = 512;
/// How many codes ahead of the comparison a scan asks for.
const SCAN_AHEAD: usize = 8;
/// More candidates than asked for, because codes confuse near neighbours, unless the query says how many.
const SPARE_CANDIDATES: usize = 24;

impl Hnsw {
    /// The cheapest way by estimate. `compared`: how many candidates will be compared with their rows.
    fn plan(&self, query: &Query<'_>, ef: usize, compared: usize) -> Plan {
        let rows = self.node_rows().count();
        let allowed = query.allowed.map_or(rows, |_| query.allowed_count.min(rows));
        let row_bytes = self.element.row_bytes(self.encoder.dim);
        let code_bytes = self.graph.codes.then(|| self.code_bytes());
        Situation { rows, allowed, row_bytes, code_bytes, ef, compared }.plan(query)
    }

    /// Walks with the given width and leaves nodes in `workspace.candidates`, the nearest first. True when nodes
    /// farther away may have been pushed out of the beam. `None`: the filter has emptied the query's surroundings; what
    /// passes lies elsewhere, all nearly as far, and only the rows themselves can tell which is nearest.
    fn candidates(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        plan: Plan,
        workspace: &mut Workspace,
    ) -> Option<bool> {
        if let Some(records) = self.records() {
            let vector = records.query(query.vector, &mut workspace.values);
            self.walk(&records, &vector, query, plan, workspace)
        } else if self.graph.codes {
            let mut code_query = std::mem::take(&mut workspace.code_query);
            self.encoder.query(query.vector, &mut workspace.values, &mut code_query);
            let full = self.walk(&self.codes(), &code_query, query, plan, workspace);
            workspace.code_query = code_query;
            full
        } else if let Some(space) = RowSpace::new(rows, self.node_rows().first, self.metric) {
            self.walk(&space, &space.query(query.vector), query, plan, workspace)
        } else {
            Some(false)
        }
    }

    fn walk<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        plan: Plan,
        workspace: &mut Workspace,
    ) -> Option<bool> {
        let Workspace { scratch, near, candidates, keys, .. } = workspace;
        candidates.clear();
        keys.clear();
        let node_rows = self.node_rows();
        let bits = query.allowed.map(BitsetView::new);
        let allowed = |node: u32| {
            bits.is_none_or(|bits| {
                let first = node_rows.first(node).is_some_and(|row| bits.contains(row));
                first || node_rows.copies(node).iter().any(|&row| bits.contains(row))
            })
        };
        let entry = self.upper().descend(space, vector, self.graph.entry, near);
        let base = self.base();
        if query.allowed.is_some() {
            let share = query.allowed_count as f32 / node_rows.count().max(1) as f32;
            if scratch.is_barren(&base, entry, share, allowed) {
                return None;
            }
        }
        match plan {
            Plan::Exact => {}
            Plan::Scan { width } => {
                self.scan(space, vector, query, width, near, candidates);
                return Some(true);
            }
            Plan::Through { width } => {
                scratch.start(self.graph.nodes, width);
                scratch.enter(space, vector, entry, !allowed(entry));
                walk(space, &base, vector, scratch, allowed);
            }
            Plan::TwoHops { width } => {
                scratch.start(self.graph.nodes, width);
                if allowed(entry) {
                    scratch.enter(space, vector, entry, false);
                } else {
                    scratch.enter_around(space, &base, vector, entry, allowed);
                }
                walk_two_hops(space, &base, vector, scratch, self.graph.m * 3 / 2, allowed);
            }
        }
        for entry in scratch.beam.entries().iter().filter(|entry| !entry.is_passage()) {
            candidates.push(entry.node());
            keys.push(entry.key);
        }
        Some(scratch.beam.is_full())
    }

    /// The `width` nearest by code of all allowed nodes, nearest first.
    fn scan<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        width: usize,
        near: &mut Vec<u32>,
        candidates: &mut Vec<u32>,
    ) {
        let mut top = TopK::new(width);
        let mut compare = |nodes: &[u32]| {
            for (index, &node) in nodes.iter().enumerate() {
                if let Some(&later) = nodes.get(index + SCAN_AHEAD) {
                    space.prefetch(later);
                }
                top.offer(space.distance(vector, node), node);
            }
        };
        let (numbers, copied) = (self.node_of(), !self.node_rows().copies.is_empty());
        near.clear();
        match query.allowed {
            None => near.extend(0..self.graph.nodes as u32),
            Some(words) => {
                let rows = BitsetView::new(words).iter().take_while(|&row| (row as usize) < numbers.len());
                near.extend(rows.map(|row| numbers[row as usize]).filter(|&node| node != NONE));
            }
        }
        if copied {
            near.sort_unstable();
            near.dedup();
        }
        compare(near);
        top.finish_rows(candidates);
    }

    /// `walked`: nodes that a walk compared; `reranked`: rows compared after that.
    fn note_work(&self, query: &Query<'_>, plan: Plan, walked: usize, reranked: usize) {
        query.note(|stats| {
            let row_bytes = query.vector.len();
            let compared = match plan {
                Plan::Scan { .. } => query.allowed.map_or(self.graph.nodes, |_| query.allowed_count),
                _ => walked,
            };
            stats.visited += compared as u64;
            if self.graph.codes {
                stats.compared_codes(compared, self.code_bytes());
                stats.reranked += reranked as u64;
            } else {
                stats.compared_rows(compared, row_bytes);
            }
            stats.compared_rows(reranked, row_bytes);
        });
    }

    fn exact(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        flat::search(rows, self.metric, query, out)
    }

    /// `choose` gives the plan for an `ef` and a number of candidates to compare with their rows.
    fn search_graph(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        choose: &dyn Fn(usize, usize) -> Plan,
        workspace: &mut Workspace,
        out: &mut Vec<Hit>,
    ) -> Result<(), IndexError> {
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let direction = Direction::of(self.metric);
        let bounds = Bounds::of(query, direction);
        let spare = if self.graph.codes { SPARE_CANDIDATES } else { 0 };
        let default_ef = if bounds.limited() { RANGE_EF } else { 16 };
        let refined = (query.top_k as f32 * query.params.refine_k.unwrap_or(1.0)) as usize;
        let mut ef = query.params.ef.unwrap_or(default_ef.max(query.top_k + spare)).max(query.top_k).max(refined);
        let scorer = kernel.scorer(query.vector);
        // Set when a walk has found too little.
        let mut scan = None;
        loop {
            let compared = match (bounds.limited(), self.graph.codes) {
                (true, _) => usize::MAX,
                // Coarse codes may place a neighbour anywhere in the beam.
                (false, true) if self.graph.quantizer.is_some() => ef,
                (false, true) => (query.top_k * 2).max(query.top_k + spare).max(refined),
                (false, false) => query.top_k,
            };
            let plan = scan.unwrap_or_else(|| choose(ef, compared));
            if plan == Plan::Exact {
                return self.exact(rows, query, out);
            }
            query.note(|stats| stats.plans.push(plan.name()));
            let Some(full) = self.candidates(rows, query, plan, workspace) else {
                return self.exact(rows, query, out);
            };
            let mut rerank = Rerank::new(query, self.metric, self.node_rows());
            let (of, Workspace { candidates, keys, .. }) = (Rows { rows, scorer: &scorer }, &*workspace);
            let reranked = if self.graph.codes && !bounds.limited() && !keys.is_empty() {
                rerank.until_sure(&of, candidates, keys)
            } else {
                rerank.best_of(&of, candidates, compared, matches!(plan, Plan::Scan { .. }))
            };
            self.note_work(query, plan, workspace.scratch.compared, reranked);
            if rerank.found >= query.top_k {
                rerank.finish(out);
                return Ok(());
            }
            // A range search is done when it has seen everything near enough; any other must have k hits.
            let beyond = bounds.limited() && (!full || bounds.ends_before(rerank.worst));
            if beyond || query.params.disable_fallback_brute_force {
                rerank.finish(out);
                return Ok(());
            }
            if !bounds.limited() {
                if !self.graph.codes || matches!(plan, Plan::Scan { .. }) {
                    return self.exact(rows, query, out);
                }
                scan = Some(Plan::Scan { width: compared.saturating_mul(SCAN_SPARE) });
                continue;
            }
            ef = ef.saturating_mul(4);
        }
    }
}

impl VectorIndex for Hnsw {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        check_fit(rows, self.rows, self.element, self.encoder.dim)?;
        if let Some(ef) = query.params.ef.filter(|&ef| ef < query.top_k) {
            return Err(IndexError::Parameter(format!("ef({ef}) should be larger than k({})", query.top_k)));
        }
        if query.top_k == 0 {
            return Ok(());
        }
        let choose = |ef, compared| self.plan(query, ef, compared);
        WORKSPACE.with(|workspace| match workspace.try_borrow_mut() {
            Ok(mut workspace) => self.search_graph(rows, query, &choose, &mut workspace, out),
            Err(_) => self.search_graph(rows, query, &choose, &mut Workspace::default(), out),
        })
    }

    fn type_name(&self) -> &'static str {
        self.type_name
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

#[cfg(test)]
mod tests {
    use super::Workspace;
    use crate::catalog::{Rows, build, open_file};
    use crate::flat;
    use crate::hnsw::Hnsw;
    use crate::hnsw::plan::Plan;
    use crate::progress::Progress;
    use crate::storage::Storage;
    use crate::testing::{TestRows, assert_sound, bits, clustered, query, recall};
    use crate::vector::{Element, Metric, SearchParams};

    fn built(rows: &TestRows, metric: Metric) -> Hnsw {
        let params = r#"{"M": 16, "efConstruction": 100}"#;
        let progress = Progress::default();
        let file = build("HNSW", metric.name(), params, Rows::Dense(rows), &progress, 2).expect("built");
        let (file, meta) = open_file(Storage::copy_of(&file)).expect("whole");
        Hnsw::open(file, &meta).expect("fits")
    }

    /// Whatever the cost estimate would say: every plan must find the neighbours under every filter it may meet.
    #[test]
    fn every_plan_answers_under_every_filter() {
        for (element, metric) in [(Element::F32, Metric::Cosine), (Element::Bit, Metric::Hamming)] {
            let mut rows = clustered(element, 8_020, 64, 25, 21);
            let queries: Vec<Vec<u8>> = rows.rows.split_off(8_000).into_iter().flatten().collect();
            for row in (0..2_000).step_by(3) {
                rows.rows[row + 2_000] = rows.rows[row].clone();
            }
            let index = built(&rows, metric);
            assert_eq!(index.graph.codes, element == Element::F32);
            let params = SearchParams { ef: Some(64), ..SearchParams::default() };
            for one_in in [1, 2, 4, 10, 40] {
                let (words, count) = bits(8_000, |row| row % one_in == 0);
                let through = Plan::Through { width: 64 * one_in };
                let mut plans = vec![Plan::Exact, through, Plan::TwoHops { width: 64 }];
                plans.extend(index.graph.codes.then_some(Plan::Scan { width: 34 }));
                for plan in plans {
                    let mut sum = 0.0;
                    for vector in &queries {
                        let mut query = query(vector, 10, &params);
                        (query.allowed, query.allowed_count) = (Some(&words[..]), count);
                        let (mut hits, mut exact) = (vec![], vec![]);
                        index
                            .search_graph(&rows, &query, &|_, _| plan, &mut Workspace::default(), &mut hits)
                            .expect("searches");
                        assert_sound(&rows, metric, &query, &hits);
                        flat::search(&rows, metric, &query, &mut exact).expect("searches");
                        assert_eq!(hits.len(), exact.len());
                        let truth: Vec<(f64, u32)> = exact.iter().map(|hit| (f64::from(hit.score), hit.row)).collect();
                        sum += recall(metric, &hits, &truth);
                    }
                    let mean = sum / queries.len() as f64;
                    assert!(mean >= 0.93, "{element:?} {plan:?} one in {one_in}: {mean}");
                }
            }
        }
    }

    #[test]
    fn plans_follow_the_cost() {
        let rows = clustered(Element::F32, 9_000, 256, 5, 2);
        let index = built(&rows, Metric::L2);
        let params = SearchParams::default();
        let vector = [0u8; 1024];
        let plan = |top_k: usize, share: usize, ef: usize| {
            let (words, count) = bits(9_000, |row| row % 10 < share);
            let mut query = query(&vector, top_k, &params);
            (query.allowed, query.allowed_count) = ((share < 10).then_some(&words[..]), count);
            index.plan(&query, ef, top_k + 24)
        };
        assert_eq!(plan(10, 10, 32), Plan::Through { width: 32 });
        assert!(matches!(plan(10, 5, 32), Plan::TwoHops { width: 38..=46 }));
        assert_eq!(plan(10, 2, 200), Plan::Scan { width: 272 });
        assert_eq!(plan(6_000, 10, 6_000), Plan::Exact);
    }
}
