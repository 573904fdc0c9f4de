//! Answers a query: a walk that always has a few reads under way, or a scan of the codes under a narrow filter.

use std::cell::RefCell;
use std::collections::VecDeque;

use elanus_kernels::{BitsetView, Scorer};

use super::file::DiskGraph;
use crate::IndexError;
use crate::flat;
use crate::hnsw::beam::{Beam, Visited};
use crate::hnsw::codes::{CodeQuery, Codes};
use crate::hnsw::rerank::Rerank;
use crate::hnsw::space::Space;
use crate::top_k::{Bounds, Direction, TopK};
use crate::trace::Alternative;
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows, check_fit};

/// What one thread needs for its searches, in any index.
#[derive(Default)]
struct Workspace {
    visited: Visited,
    beam: Beam,
    /// Nodes whose pages have been asked for.
    asked: VecDeque<u32>,
    near: Vec<u32>,
    values: Vec<f32>,
    code_query: CodeQuery,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// Nodes kept when nothing is said, and in a range search.
const LIST: usize = 16;
const RANGE_LIST: usize = 128;
/// More nodes are kept than are asked for, because codes confuse near neighbours.
const SPARE: usize = 6;
/// Reads under way.
const BEAM_WIDTH: usize = 8;
/// How many codes ahead of the comparison are asked for.
const AHEAD: usize = 8;
/// A scan keeps this many times the nodes that it will read at first.
const SCAN_SPARE: usize = 4;
/// How many of the farthest nodes of a walk tell whether it has left the range.
const RIM: usize = 8;
/// A filter has emptied a place when less than this part of its share passes there.
const BARREN: f32 = 0.3;
/// Nanoseconds of a read, with its share of the waiting; of looking whether a node is allowed; and of comparing a code,
/// for itself and for each byte.
const READ_NS: f32 = 15_000.0;
const LOOK_NS: f32 = 2.0;
const CODE_NS: f32 = 8.0;
const BYTE_NS: f32 = 0.04;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Every allowed row is compared.
    Exact,
    /// The codes of all allowed rows are compared.
    Scan,
    /// Nodes are walked, allowed ones kept.
    Walk { width: usize },
}

impl Plan {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact scan",
            Self::Scan => "code scan",
            Self::Walk { .. } => "disk walk",
        }
    }
}

/// What a search did.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    /// Codes compared.
    codes: usize,
    /// Nodes read.
    read: usize,
}

/// What the steps of one search share.
struct Sought<'a> {
    query: &'a Query<'a>,
    codes: Codes<'a>,
    vector: &'a CodeQuery,
    scorer: &'a Scorer<'a>,
    beam_width: usize,
}

impl DiskGraph {
    /// The cheapest way by estimate to the best `list` of the allowed rows.
    fn plan(&self, query: &Query<'_>, list: usize, limited: bool) -> Plan {
        let rows = self.node_rows().count();
        let allowed = query.allowed.map_or(rows, |_| query.allowed_count.min(rows));
        if query.top_k.saturating_mul(2) >= allowed {
            return Plan::Exact;
        }
        let share = allowed as f32 / rows.max(1) as f32;
        let walk = Plan::Walk { width: (list as f32 / share) as usize };
        let code = CODE_NS + self.encoder.width.stride(self.encoder.dim) as f32 * BYTE_NS;
        let mut ways = vec![(Plan::Exact, allowed as f32 * READ_NS), (walk, list as f32 / share * READ_NS)];
        if query.allowed.is_some() && !limited {
            let codes = self.graph.nodes as f32 * LOOK_NS + allowed as f32 * code;
            ways.push((Plan::Scan, codes + list as f32 * READ_NS));
        }
        query.note(|stats| {
            let weighed = ways.iter().map(|&(plan, cost)| Alternative { plan: plan.name(), cost });
            stats.alternatives = weighed.collect();
        });
        ways.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(Plan::Exact, |&(plan, _)| plan)
    }

    /// Reads the nodes nearest by code, `beam_width` reads being under way at any time, until the nearest `width` have
    /// been read; `workspace.beam` has them then.
    fn walk(&self, sought: &Sought<'_>, width: usize, workspace: &mut Workspace, rerank: &mut Rerank<'_>) -> Work {
        let Workspace { visited, beam, asked, near, .. } = workspace;
        let mut work = Work::default();
        visited.reset(self.graph.nodes);
        beam.reset(width);
        asked.clear();
        let entry = self.upper().descend(&sought.codes, sought.vector, self.graph.entry, near);
        if visited.insert(entry) {
            beam.offer(sought.codes.distance(sought.vector, entry), entry, false);
        }
        loop {
            while asked.len() < sought.beam_width
                && let Some(node) = beam.next()
            {
                self.ask(node);
                asked.push_back(node);
            }
            let Some(node) = asked.pop_front() else { return work };
            let Some((links, vector)) = self.node(node) else { continue };
            work.read += 1;
            rerank.take(node, sought.scorer.score(vector));
            near.clear();
            near.extend(links.iter().copied().filter(|&neighbour| visited.insert(neighbour)));
            work.codes += near.len();
            if self.codes_on_disk {
                near.iter().for_each(|&neighbour| self.ask_code(neighbour));
            }
            near.iter().take(AHEAD).for_each(|&neighbour| sought.codes.prefetch(neighbour));
            for (index, &neighbour) in near.iter().enumerate() {
                if let Some(&later) = near.get(index + AHEAD) {
                    sought.codes.prefetch(later);
                }
                beam.offer(sought.codes.distance(sought.vector, neighbour), neighbour, false);
            }
        }
    }

    /// Compares the codes of all allowed nodes and reads the nearest `list`; goes on until as many more add nothing.
    fn scan(&self, sought: &Sought<'_>, list: usize, workspace: &mut Workspace, rerank: &mut Rerank<'_>) -> Work {
        let near = &mut workspace.near;
        let node_rows = self.node_rows();
        let bits = sought.query.allowed.map(BitsetView::new);
        let is_allowed = |node: u32| {
            let passes = |row: u32| bits.is_none_or(|bits| bits.contains(row));
            node_rows.first(node).is_some_and(passes) || node_rows.copies(node).iter().any(|&row| passes(row))
        };
        let mut work = Work::default();
        let mut top = TopK::new(list.saturating_mul(SCAN_SPARE));
        for node in (0..self.graph.nodes as u32).filter(|&node| is_allowed(node)) {
            work.codes += 1;
            top.offer(sought.codes.distance(sought.vector, node), node);
        }
        near.clear();
        top.finish_rows(near);
        near.iter().take(sought.beam_width).for_each(|&node| self.ask(node));
        for (round, nodes) in near.chunks(list).enumerate() {
            let before = rerank.limit();
            for (index, &node) in nodes.iter().enumerate() {
                if let Some(&later) = near.get(round * list + index + sought.beam_width) {
                    self.ask(later);
                }
                if let Some((_, vector)) = self.node(node) {
                    work.read += 1;
                    rerank.take(node, sought.scorer.score(vector));
                }
            }
            if rerank.limit() >= before && before.is_finite() {
                break;
            }
        }
        work
    }

    /// Whether a walk has gone beyond the range: none of the farthest nodes it kept lies in it.
    fn is_beyond(&self, sought: &Sought<'_>, bounds: Bounds, direction: Direction, beam: &Beam) -> bool {
        let rim = beam.entries().iter().rev().take(RIM);
        let vectors = rim.filter_map(|entry| self.node(entry.node()));
        let mut keys = vectors.map(|(_, vector)| direction.key(sought.scorer.score(vector)));
        !beam.is_full() || keys.all(|key| bounds.ends_before(key))
    }

    /// Whether far fewer of the nodes read were allowed than everywhere: then what is allowed lies elsewhere and a walk
    /// has not looked for it.
    fn is_barren(&self, query: &Query<'_>, found: usize, read: usize) -> bool {
        let share = query.allowed_count as f32 / self.node_rows().count().max(1) as f32;
        query.allowed.is_some() && (found as f32) < BARREN * share * read as f32
    }

    fn note_work(&self, query: &Query<'_>, plan: Plan, work: Work) {
        query.note(|stats| {
            stats.plans.push(plan.name());
            stats.visited += work.read as u64;
            stats.compared_codes(work.codes, self.encoder.width.stride(self.encoder.dim));
            stats.reranked += work.read as u64;
            stats.compared_rows(work.read, self.layout.piece_bytes);
        });
    }

    /// `choose` gives the plan for the number of nodes to keep.
    fn search_graph(
        &self,
        rows: &dyn VectorRows,
        query: &Query<'_>,
        choose: &dyn Fn(usize) -> Plan,
        workspace: &mut Workspace,
        out: &mut Vec<Hit>,
    ) -> Result<(), IndexError> {
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let direction = Direction::of(self.metric);
        let bounds = Bounds::of(query, direction);
        let least = if bounds.limited() { RANGE_LIST } else { LIST };
        let mut list = query.params.ef.unwrap_or(least).max(query.top_k.saturating_add(SPARE));
        let mut code_query = std::mem::take(&mut workspace.code_query);
        self.encoder.query(query.vector, &mut workspace.values, &mut code_query);
        let sought = Sought {
            query,
            codes: self.codes(),
            vector: &code_query,
            scorer: &kernel.scorer(query.vector),
            beam_width: query.params.beam_width.unwrap_or(BEAM_WIDTH),
        };
        let mut plan = choose(list);
        let found = loop {
            let mut rerank = Rerank::new(query, self.metric, self.node_rows());
            let work = match plan {
                Plan::Exact => break None,
                Plan::Scan => self.scan(&sought, list, workspace, &mut rerank),
                Plan::Walk { width } => self.walk(&sought, width, workspace, &mut rerank),
            };
            self.note_work(query, plan, work);
            let barren = self.is_barren(query, rerank.found, work.read) || rerank.found < query.top_k;
            if bounds.limited() {
                if rerank.found >= query.top_k || self.is_beyond(&sought, bounds, direction, &workspace.beam) {
                    break Some(rerank);
                }
                list = list.saturating_mul(4);
                plan = choose(list);
            } else if plan == Plan::Scan || !barren {
                break Some(rerank).filter(|rerank| rerank.found >= query.top_k);
            } else {
                plan = Plan::Scan;
            }
        };
        workspace.code_query = code_query;
        match found {
            Some(rerank) => rerank.finish(out),
            None => flat::search(rows, self.metric, query, out)?,
        }
        Ok(())
    }
}

impl VectorIndex for DiskGraph {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        check_fit(rows, self.rows, self.element, self.encoder.dim)?;
        if let Some(list) = query.params.ef.filter(|&list| list < query.top_k) {
            let text = format!("search_list_size({list}) should be larger than k({})", query.top_k);
            return Err(IndexError::Parameter(text));
        }
        if query.top_k == 0 {
            return Ok(());
        }
        let limited = query.radius.is_some() || query.range_filter.is_some();
        let choose = |list| self.plan(query, list, limited);
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
