//! Probes the lists nearest to the query: codes first, then refining codes where the index has them, then the rows
//! of the best. Scores are those of exact search.

use elanus_kernels::memory::prefetch;
use elanus_kernels::scan::BLOCK;
use elanus_kernels::{BitsetView, DistanceKernel, Element, Isa, Scorer};

use super::file::Ivf;
use crate::IndexError;
use crate::flat;
use crate::quantize::{BlockQuery, Form, Quantizer};
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows};

const NPROBE: usize = 8;
/// A range search that is short of hits goes on until so many lists in a row gave none.
const EMPTY_LISTS_MAX: usize = 2;
/// How many rows ahead of the comparison are asked for.
const AHEAD: usize = 4;
/// Candidates beyond k whose rows are compared, at least.
const MARGIN: usize = 24;
/// So many codes are scanned in the time of one row's exact comparison, for rows of as many bytes as their codes.
pub(crate) const CODES_PER_ROW: usize = 4;

/// How many rows or codes a search looks at.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Lists, at least.
    probes: usize,
    /// Best by the lists' codes.
    candidates: usize,
    /// Best by the refining codes.
    compared: usize,
}

/// The caller's vector in the forms that are compared.
struct Prepared {
    values: Vec<f32>,
    bytes: Vec<u8>,
}

impl Ivf {
    fn check_rows(&self, rows: &dyn VectorRows) -> Result<(), IndexError> {
        if rows.len() != self.rows || rows.dim() != self.dim || rows.element() != self.decoder.element {
            let text = format!("index covers {} rows, the segment has {} or another shape", self.rows, rows.len());
            return Err(IndexError::Corrupt(text));
        }
        Ok(())
    }

    fn prepare(&self, query: &Query<'_>) -> Prepared {
        let mut values = vec![0f32; self.dim];
        self.decoder.decode(query.vector, &mut values);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Prepared { values, bytes }
    }

    /// A filter leaves fewer rows in each list, so more lists have to be looked at to find as good ones.
    fn effort(&self, query: &Query<'_>) -> Effort {
        let nprobe = query.params.nprobe.unwrap_or(NPROBE).clamp(1, self.lists().max(1));
        let share = match query.allowed {
            Some(_) => query.allowed_count as f64 / self.rows.max(1) as f64,
            None => 1.0,
        };
        let probes = ((nprobe as f64 / share.max(1e-9).sqrt()) as usize).clamp(nprobe, self.lists().max(1));
        let enough = query.top_k.saturating_mul(2).max(query.top_k.saturating_add(MARGIN));
        let compared = query.params.reorder_k.filter(|_| self.type_name == "SCANN").unwrap_or(enough);
        let refined = query.params.refine_k.map_or(0, |factor| (f64::from(factor) * query.top_k as f64) as usize);
        Effort { probes, candidates: compared.max(refined), compared }
    }

    /// The nearest `count` lists, the nearest first.
    fn nearest_lists(&self, vector: &Prepared, count: usize) -> Vec<u32> {
        let mut top = TopK::new(count);
        let query = self.coarse.block_query(&vector.values);
        let base = self.coarse.base(&vector.values, &vec![0.0; self.dim]);
        let mut keys = [0f32; BLOCK];
        for (number, block) in self.coarse_blocks().enumerate() {
            each_bit(query.scan(block, base, top.bound(), &mut keys), |lane| {
                top.offer(keys[lane], (number * BLOCK + lane) as u32);
            });
        }
        let mut lists = vec![];
        top.finish_rows(&mut lists);
        lists
    }

    /// Calls `probe` with lists from the nearest on, at least `probes`, until it says that it has enough.
    fn probe(&self, vector: &Prepared, probes: usize, mut probe: impl FnMut(usize, usize) -> bool) {
        let near = self.nearest_lists(vector, probes);
        let mut enough = false;
        for (number, &list) in near.iter().enumerate() {
            enough = probe(number, list as usize);
        }
        if enough || probes >= self.lists() {
            return;
        }
        let further = self.nearest_lists(vector, self.lists());
        for (number, &list) in further.iter().enumerate().skip(near.len()) {
            if probe(number, list as usize) {
                return;
            }
        }
    }

    /// Best by code, as keys and places.
    fn scan(&self, codes: &Quantizer, vector: &Prepared, query: &Query<'_>, effort: Effort) -> TopK {
        let mut scan = CodeScan {
            index: self,
            codes,
            query: codes.block_query(&vector.values),
            allowed: query.allowed.map(BitsetView::new),
            top: TopK::new(effort.candidates),
            found: 0,
            scanned: 0,
        };
        let fill = query.params.ensure_topk_full.unwrap_or(self.type_name != "SCANN");
        let centre = centre_kernel(codes.form);
        let scorer = centre.scorer(&vector.bytes);
        self.probe(vector, effort.probes, |number, list| {
            let score = scorer.score(self.centroid(list));
            let base = if codes.form == Form::NegativeDot { -score } else { score };
            if number < effort.probes || scan.found < query.top_k && fill {
                scan.list(list, base);
            }
            scan.found >= query.top_k || !fill
        });
        query.note(|stats| {
            stats.plans.push("list codes");
            stats.visited += scan.scanned as u64;
            stats.compared_codes(scan.scanned, codes.record_bytes());
        });
        scan.top
    }

    /// The best of the candidates by refining codes.
    fn refine(&self, vector: &Prepared, query: &Query<'_>, candidates: TopK, effort: Effort) -> Vec<u32> {
        let mut places = vec![];
        candidates.finish_rows(&mut places);
        let Some(refine) = &self.refine else { return places };
        let by_code = refine.record_query(&vector.values, refine.base(&vector.values, &vec![0.0; self.dim]));
        let mut top = TopK::new(effort.compared);
        for &place in &places {
            top.offer(by_code.key(self.refine_record(refine, place as usize)), place);
        }
        query.note(|stats| stats.compared_codes(places.len(), refine.record_bytes()));
        places.clear();
        top.finish_rows(&mut places);
        places
    }
}

/// Squared distances or dot products of a query with centroids.
fn centre_kernel(form: Form) -> DistanceKernel {
    let metric = if form == Form::NegativeDot { Metric::Ip } else { Metric::L2 };
    DistanceKernel::choose(metric, Element::F32, Isa::detect())
        .unwrap_or_else(|| unreachable!("floats have both metrics"))
}

#[inline]
pub(crate) fn each_bit(mut mask: u64, mut each: impl FnMut(usize)) {
    while mask != 0 {
        each(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

struct CodeScan<'a> {
    index: &'a Ivf,
    codes: &'a Quantizer,
    query: BlockQuery,
    allowed: Option<BitsetView<'a>>,
    top: TopK,
    /// Allowed candidates, counted while they are few.
    found: usize,
    scanned: usize,
}

impl CodeScan<'_> {
    fn list(&mut self, list: usize, base: f32) {
        let places = self.index.places(list);
        let rows = self.index.listed();
        let mut keys = [0f32; BLOCK];
        for (number, block) in self.index.blocks(self.codes, list).enumerate() {
            let from = places.start + number * BLOCK;
            let mask = self.query.scan(block, base, self.top.bound(), &mut keys);
            each_bit(mask, |lane| {
                let Some(&row) = rows.get(from + lane) else { return };
                if self.allowed.is_none_or(|allowed| allowed.contains(row)) {
                    self.found += 1;
                    self.top.offer(keys[lane], (from + lane) as u32);
                }
            });
        }
        self.scanned += places.len();
    }
}

/// Compares rows themselves.
pub(crate) struct RowScan<'a> {
    rows: &'a dyn VectorRows,
    scorer: Scorer<'a>,
    allowed: Option<BitsetView<'a>>,
    direction: Direction,
    bounds: Bounds,
    top: TopK,
    found: usize,
    wanted: Vec<u32>,
}

impl<'a> RowScan<'a> {
    pub(crate) fn new(rows: &'a dyn VectorRows, scorer: Scorer<'a>, metric: Metric, query: &Query<'a>) -> Self {
        let direction = Direction::of(metric);
        Self {
            rows,
            scorer,
            allowed: query.allowed.map(BitsetView::new),
            direction,
            bounds: Bounds::of(query, direction),
            top: TopK::new(query.top_k),
            found: 0,
            wanted: vec![],
        }
    }

    /// Compares the allowed ones among `rows`, and says how many these are.
    pub(crate) fn over(&mut self, rows: impl Iterator<Item = u32>) -> usize {
        let allowed = self.allowed;
        self.wanted.clear();
        self.wanted.extend(rows.filter(|&row| allowed.is_none_or(|allowed| allowed.contains(row))));
        for (index, &row) in self.wanted.iter().enumerate() {
            if let Some(&later) = self.wanted.get(index + AHEAD) {
                let bytes = self.rows.row(later);
                prefetch(bytes, 0, bytes.len());
            }
            let key = self.direction.key(self.scorer.score(self.rows.row(row)));
            if self.bounds.admit(key) {
                self.found += 1;
                self.top.offer(key, row);
            }
        }
        self.wanted.len()
    }

    pub(crate) fn finish(self, out: &mut Vec<Hit>) {
        self.top.finish(self.direction, out);
    }
}

impl Ivf {
    /// Compares the rows of the lists: for a range, whose ends codes cannot tell, and for an index without codes.
    fn scan_rows(&self, vector: &Prepared, query: &Query<'_>, probes: usize, scan: &mut RowScan<'_>) {
        let most_empty = query.params.max_empty_result_buckets.unwrap_or(EMPTY_LISTS_MAX);
        let (mut empty_lists, mut compared) = (0, 0);
        self.probe(vector, probes, |_, list| {
            let before = scan.found;
            compared += scan.over(self.listed()[self.places(list)].iter().copied());
            empty_lists = if scan.found > before { 0 } else { empty_lists + 1 };
            scan.found >= query.top_k || scan.bounds.limited() && empty_lists >= most_empty
        });
        query.note(|stats| {
            stats.plans.push("list rows");
            stats.visited += compared as u64;
            stats.compared_rows(compared, query.vector.len());
        });
    }
}

impl VectorIndex for Ivf {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        self.check_rows(rows)?;
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let effort = self.effort(query);
        let few = self.rows / self.lists().max(1) * effort.probes;
        if query.top_k == 0 {
            return Ok(());
        }
        let row_worth = if self.codes.is_some() { CODES_PER_ROW } else { 1 };
        let all = effort.probes >= self.lists() && self.type_name == "IVF_FLAT";
        if all || query.allowed.is_some() && query.allowed_count.saturating_mul(row_worth) <= few {
            return flat::search(rows, self.metric, query, out);
        }
        let vector = self.prepare(query);
        let mut scan = RowScan::new(rows, kernel.scorer(query.vector), self.metric, query);
        match &self.codes {
            Some(codes) if !scan.bounds.limited() => {
                let candidates = self.scan(codes, &vector, query, effort);
                let places = self.refine(&vector, query, candidates, effort);
                let listed = self.listed();
                let compared = scan.over(places.iter().filter_map(|&place| listed.get(place as usize).copied()));
                query.note(|stats| {
                    stats.reranked += compared as u64;
                    stats.compared_rows(compared, query.vector.len());
                });
            }
            _ => self.scan_rows(&vector, query, effort.probes, &mut scan),
        }
        scan.finish(out);
        Ok(())
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
