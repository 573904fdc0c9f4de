//! Answers a query: decides between graph and exact scan, walks, and compares the best few with the rows themselves.

use std::cell::RefCell;

use elanus_kernels::BitsetView;

use super::beam::{Beam, Horizon};
use super::codes::CodeQuery;
use super::file::Hnsw;
use super::plan::{DENSE, Effort, Plan, Situation};
use super::rerank::{Rerank, Rows};
use super::scan::{ScanScratch, scan};
use super::space::{RowSpace, Space};
use super::walk::{Goal, Scratch, walk, walk_collecting};
use crate::IndexError;
use crate::flat;
use crate::top_k::{Bounds, Direction};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows, check_fit};

/// What one thread needs for its searches, in any index.
#[derive(Default)]
struct Workspace {
    scratch: Scratch,
    scanning: ScanScratch,
    /// Allowed nodes that a walk has met.
    passing: Beam,
    near: Vec<u32>,
    values: Vec<f32>,
    code_query: CodeQuery,
    candidates: Vec<u32>,
    /// Of the candidates, by code.
    keys: Vec<f32>,
}

/// What candidates are left.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// Everything that is allowed, or that can be reached.
    All,
    /// The nearest; there may be more.
    Nearest,
    /// Few or none: the filter has emptied the query's surroundings, and what passes lies elsewhere, all nearly as far.
    Barren,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// The beam of a range search that names no `ef`.
const RANGE_EF: usize = 512;
/// A place is barren when less than this part of the filter's share passes there.
const BARREN: f32 = 0.3;
/// A scan that was too narrow to be sure is followed by one so much wider.
const WIDER: usize = 8;
/// It is worth while if it keeps less than one of so many allowed rows.
const WORTH_SCANNING: usize = 32;
/// More candidates than asked for, because codes confuse near neighbours, unless the query says how many.
const SPARE_CANDIDATES: usize = 24;

/// Candidates that the query wants compared with their rows.
fn refined(query: &Query<'_>) -> usize {
    (query.top_k as f32 * query.params.refine_k.unwrap_or(1.0)) as usize
}

impl Hnsw {
    /// The cheapest way by estimate.
    fn plan(&self, query: &Query<'_>, effort: Effort) -> Plan {
        let rows = self.node_rows().count();
        let allowed = query.allowed.map_or(rows, |_| query.allowed_count.min(rows));
        let row_bytes = self.element.row_bytes(self.encoder.dim);
        let code_bytes = self.graph.codes.then(|| self.code_bytes());
        let look_bytes = (self.graph.signs && self.graph.quantizer.is_none()).then(|| self.encoder.head_bytes());
        Situation { rows, allowed, row_bytes, code_bytes, look_bytes, effort }.plan(query)
    }

    /// Leaves nodes and their keys in `workspace.candidates` and `workspace.keys`, the nearest first. Gives the way
    /// that was taken, too.
    fn candidates(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        (plan, effort): (Plan, Effort),
        workspace: &mut Workspace,
    ) -> (Found, Plan) {
        if let Some(records) = self.records() {
            let vector = records.query(query.vector, &mut workspace.values);
            self.find(&records, &vector, query, (plan, effort), workspace)
        } else if self.graph.codes {
            let mut code_query = std::mem::take(&mut workspace.code_query);
            self.encoder.query(query.vector, &mut workspace.values, &mut code_query);
            let found = self.find(&self.codes(), &code_query, query, (plan, effort), workspace);
            workspace.code_query = code_query;
            found
        } else if let Some(space) = RowSpace::new(rows, self.node_rows().first, self.metric) {
            self.find(&space, &space.query(query.vector), query, (plan, effort), workspace)
        } else {
            (Found::All, plan)
        }
    }

    fn find<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        (plan, effort): (Plan, Effort),
        workspace: &mut Workspace,
    ) -> (Found, Plan) {
        workspace.candidates.clear();
        workspace.keys.clear();
        match plan {
            Plan::Exact => (Found::All, plan),
            Plan::Scan { dense: None, .. } => self.scan(space, vector, query, plan, workspace),
            _ => self.walk(space, vector, query, (plan, effort), workspace),
        }
    }

    fn walk<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        (mut plan, effort): (Plan, Effort),
        workspace: &mut Workspace,
    ) -> (Found, Plan) {
        let Workspace { scratch, passing, near, candidates, keys, .. } = workspace;
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
            let around = scratch.share_around(&base, entry, share, allowed);
            if around.is_some_and(|around| around < share * BARREN) {
                return (Found::Barren, plan);
            }
            if let Plan::Scan { dense: Some(width), .. } = plan {
                if around.is_none_or(|around| around < DENSE) {
                    return self.scan(space, vector, query, plan, workspace);
                }
                plan = Plan::Collect { width };
            }
        }
        let mut found = &scratch.beam;
        match plan {
            Plan::Exact | Plan::Scan { .. } => {}
            Plan::Through { width } => {
                scratch.start(self.graph.nodes, width);
                scratch.beam.end_at(self.horizon(query, effort));
                scratch.enter(space, vector, entry, !allowed(entry));
                walk(space, &base, vector, scratch, allowed);
                found = &scratch.beam;
            }
            Plan::Collect { width } => {
                scratch.start(self.graph.nodes, width);
                scratch.enter(space, vector, entry, false);
                passing.reset(effort.compared);
                if allowed(entry) {
                    passing.offer(space.distance(vector, entry), entry, false);
                }
                let goal = Goal { wanted: effort.wanted, spare: effort.spare, width };
                if !walk_collecting(space, &base, vector, scratch, passing, goal, allowed) {
                    return (Found::Barren, plan);
                }
                found = passing;
            }
        }
        for entry in found.entries().iter().filter(|entry| !entry.is_passage()) {
            candidates.push(entry.node());
            keys.push(entry.key);
        }
        (if found.is_full() { Found::Nearest } else { Found::All }, plan)
    }

    fn scan<S: Space>(
        &self,
        space: &S,
        vector: &S::Query,
        query: &Query<'_>,
        plan: Plan,
        workspace: &mut Workspace,
    ) -> (Found, Plan) {
        let Workspace { scratch, scanning, candidates, keys, .. } = workspace;
        let width = if let Plan::Scan { width, .. } = plan { width } else { 0 };
        let nodes = (self.node_of(), self.graph.nodes);
        let scratch = (scanning, &mut scratch.visited);
        scan(space, vector, query, nodes, width, scratch).finish_keyed(candidates, keys);
        (if candidates.len() < width { Found::All } else { Found::Nearest }, plan)
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

    /// Candidates beyond those asked for.
    fn spare(&self) -> usize {
        if self.graph.codes { SPARE_CANDIDATES } else { 0 }
    }

    /// What a search of width `ef` looks at; `limited`: for a range.
    fn effort(&self, query: &Query<'_>, ef: usize, limited: bool) -> Effort {
        let coarse = self.graph.quantizer.is_some();
        let compared = match (limited, self.graph.codes) {
            (true, _) => usize::MAX,
            // Coarse codes may place a neighbour anywhere in the beam.
            (false, true) if coarse => ef,
            (false, true) => (query.top_k * 2).max(query.top_k + self.spare()).max(refined(query)),
            (false, false) => query.top_k,
        };
        let wanted = if coarse { ef } else { query.top_k };
        Effort { wanted, spare: ef - wanted, compared }
    }

    /// How far a walk without a filter goes. Only where keys are distances can one be so many times another.
    fn horizon(&self, query: &Query<'_>, effort: Effort) -> Horizon {
        let squared = match self.metric {
            Metric::L2 => true,
            Metric::Cosine => self.graph.codes,
            _ => false,
        };
        let whole = !squared || query.allowed.is_some() || effort.compared == usize::MAX;
        if whole { Horizon::default() } else { Horizon::of(effort.wanted, effort.wanted + effort.spare) }
    }

    /// After a search that has kept `width` candidates and could not be sure.
    fn wider_scan(&self, query: &Query<'_>, width: usize) -> Plan {
        let allowed = query.allowed.map_or(self.graph.nodes, |_| query.allowed_count);
        let width = width.saturating_mul(WIDER);
        if width >= allowed / WORTH_SCANNING { Plan::Exact } else { Plan::Scan { width, dense: None } }
    }

    fn exact(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        flat::search(rows, self.metric, query, out)
    }

    fn search_graph(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        choose: &dyn Fn(Effort) -> Plan,
        workspace: &mut Workspace,
        out: &mut Vec<Hit>,
    ) -> Result<(), IndexError> {
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let direction = Direction::of(self.metric);
        let bounds = Bounds::of(query, direction);
        let default_ef = if bounds.limited() { RANGE_EF } else { 16 };
        let default_ef = default_ef.max(query.top_k + self.spare());
        let mut ef = query.params.ef.unwrap_or(default_ef).max(query.top_k).max(refined(query));
        let scorer = kernel.scorer(query.vector);
        // Set when a walk has found too little, or a scan was too narrow.
        let mut scan = None;
        loop {
            let effort = self.effort(query, ef, bounds.limited());
            let plan = scan.unwrap_or_else(|| choose(effort));
            if plan == Plan::Exact {
                return self.exact(rows, query, out);
            }
            let (found, plan) = self.candidates(rows, query, (plan, effort), workspace);
            query.note(|stats| stats.plans.push(plan.name()));
            let can_scan = self.graph.codes && !bounds.limited();
            if found == Found::Barren {
                return self.exact(rows, query, out);
            }
            let full = found == Found::Nearest;
            let mut rerank = Rerank::new(query, self.metric, self.node_rows());
            let (of, Workspace { candidates, keys, .. }) = (Rows { rows, scorer: &scorer }, &*workspace);
            let reranked = if can_scan {
                rerank.until_sure(&of, candidates, keys)
            } else {
                rerank.best_of(&of, candidates, effort.compared)
            };
            self.note_work(query, plan, workspace.scratch.compared, reranked);
            if let Plan::Scan { width, .. } = plan
                && full
                && !rerank.sure
            {
                scan = Some(self.wider_scan(query, width));
                continue;
            }
            // A range search is done when it has seen everything near enough; any other must have k hits.
            let enough = match bounds.limited() {
                true => !full || rerank.well_within(candidates.len()),
                false => rerank.found >= query.top_k,
            };
            if enough || query.params.disable_fallback_brute_force {
                rerank.finish(out);
                return Ok(());
            }
            if !bounds.limited() {
                if !can_scan || matches!(plan, Plan::Scan { .. }) {
                    return self.exact(rows, query, out);
                }
                scan = Some(Plan::Scan { width: effort.compared, dense: None });
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
        let choose = |effort| self.plan(query, effort);
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
    use crate::hnsw::plan::{Effort, Plan};
    use crate::progress::Progress;
    use crate::storage::Storage;
    use crate::testing::{TestRows, assert_sound, bits, clustered, naive, query, recall};
    use crate::trace::Trace;
    use crate::vector::{Element, Metric, Query, SearchParams};

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
                let collect = Plan::Collect { width: 64 + 25 * one_in };
                let mut plans = vec![Plan::Exact, through, collect];
                plans.extend(index.graph.codes.then_some(Plan::Scan { width: 34, dense: None }));
                for plan in plans {
                    let mut sum = 0.0;
                    for vector in &queries {
                        let mut query = query(vector, 10, &params);
                        (query.allowed, query.allowed_count) = (Some(&words[..]), count);
                        let (mut hits, mut exact) = (vec![], vec![]);
                        index
                            .search_graph(&rows, &query, &|_| plan, &mut Workspace::default(), &mut hits)
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

    /// Ranges are walked, too, as far as they reach, whatever `ef` is.
    #[test]
    fn walked_ranges_hold_what_is_near_enough() {
        let params = SearchParams { ef: Some(64), ..SearchParams::default() };
        for (metric, one_in) in [(Metric::L2, 1), (Metric::L2, 3), (Metric::Cosine, 1), (Metric::Ip, 3)] {
            let mut rows = clustered(Element::F32, 8_010, 64, 25, 33);
            let queries: Vec<Vec<u8>> = rows.rows.split_off(8_000).into_iter().flatten().collect();
            let index = built(&rows, metric);
            let (words, count) = bits(8_000, |row| row % one_in == 0);
            let walk = |effort: Effort| Plan::Through { width: (effort.wanted + effort.spare) * one_in };
            for (from, to) in [(0, 5), (0, 40), (0, 600), (30, 50), (100, 600)] {
                let mut sum = 0.0;
                for vector in &queries {
                    let mut query = query(vector, 8_000, &params);
                    (query.allowed, query.allowed_count) = ((one_in > 1).then_some(&words[..]), count);
                    let all = naive(&rows, metric, &query);
                    let edge = |at: usize| ((all[at].0 + all[at + 1].0) / 2.0) as f32;
                    (query.top_k, query.radius) = (50, Some(edge(to)));
                    query.range_filter = (from > 0).then(|| edge(from));
                    let mut hits = vec![];
                    index.search_graph(&rows, &query, &walk, &mut Workspace::default(), &mut hits).expect("searches");
                    assert_sound(&rows, metric, &query, &hits);
                    let truth = naive(&rows, metric, &query);
                    assert!(hits.len() <= truth.len());
                    sum += recall(metric, &hits, &truth);
                }
                let mean = sum / queries.len() as f64;
                assert!(mean >= 0.95, "{metric:?}, one in {one_in}, {from} to {to}: {mean}");
            }
        }
    }

    #[test]
    fn a_beam_wider_than_the_cluster_stays_near() {
        for metric in [Metric::L2, Metric::Cosine] {
            let mut rows = clustered(Element::F32, 8_050, 96, 160, 31);
            let queries: Vec<Vec<u8>> = rows.rows.split_off(8_000).into_iter().flatten().collect();
            let index = built(&rows, metric);
            let params = SearchParams { ef: Some(1_600), ..SearchParams::default() };
            let (mut visited, mut sum) = (0, 0.0);
            for vector in &queries {
                let trace = Trace::default();
                let query = Query { trace: Some(&trace), ..query(vector, 10, &params) };
                let (mut hits, walk) = (vec![], Plan::Through { width: 1_600 });
                index.search_graph(&rows, &query, &|_| walk, &mut Workspace::default(), &mut hits).expect("searches");
                sum += recall(metric, &hits, &naive(&rows, metric, &query));
                visited += trace.take().visited;
            }
            let (recall, visited) = (sum / 50.0, visited / 50);
            assert!(recall >= 0.99 && visited < 800, "{metric:?}: recall {recall}, {visited} nodes");
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
            index.plan(&query, Effort { wanted: top_k, spare: ef - top_k, compared: top_k + 24 })
        };
        assert_eq!(plan(10, 10, 32), Plan::Through { width: 32 });
        assert_eq!(plan(10, 5, 32), Plan::Collect { width: 88 });
        assert!(matches!(plan(10, 4, 400), Plan::Scan { width: 34, .. }));
        assert_eq!(plan(10, 1, 200), Plan::Exact);
        assert_eq!(plan(6_000, 10, 6_000), Plan::Exact);
        // Of a range everything that the beam holds is compared, and no more.
        let of_range = |ef: usize| Effort { wanted: 10, spare: ef - 10, compared: usize::MAX };
        let query = query(&vector, 10, &params);
        assert_eq!(index.plan(&query, of_range(512)), Plan::Through { width: 512 });
        assert_eq!(index.plan(&query, of_range(8_192)), Plan::Exact);
    }
}
