//! Probes the lists nearest to the query.

use elanus_kernels::memory::prefetch;
use elanus_kernels::{BitsetView, DistanceKernel, Element, Isa, Scorer};

use super::centroids::score_all;
use super::file::Ivf;
use crate::IndexError;
use crate::flat;
use crate::top_k::{Bounds, Direction, TopK, pack};
use crate::vector::{Hit, Metric, Query, VectorIndex, VectorRows};

const NPROBE: usize = 8;
/// A range search that is short of hits goes on until so many lists in a row gave none (`max_empty_result_buckets`).
const EMPTY_LISTS_MAX: usize = 2;
/// How many rows ahead of the comparison are asked for.
const AHEAD: usize = 4;

impl Ivf {
    /// All lists, the nearest first.
    fn ranked_lists(&self, query: &Query<'_>) -> Result<Vec<u64>, IndexError> {
        let metric = if self.metric == Metric::Ip { Metric::Ip } else { Metric::L2 };
        let kernel = DistanceKernel::choose(metric, Element::F32, Isa::detect())
            .ok_or_else(|| IndexError::Parameter("no kernel for the centroids".to_owned()))?;
        let (mut values, mut vector) = (vec![0f32; self.dim], vec![0u8; self.dim * 4]);
        self.decoder.decode(query.vector, &mut values, &mut vector);
        let direction = Direction::of(metric);
        let mut ranked = Vec::with_capacity(self.lists());
        score_all(&kernel.scorer(&vector), self.centroids(), self.dim * 4, |list, score| {
            ranked.push(pack(direction.key(score), list as u32));
        });
        ranked.sort_unstable();
        Ok(ranked)
    }

    fn check_rows(&self, rows: &dyn VectorRows) -> Result<(), IndexError> {
        if rows.len() != self.rows || rows.dim() != self.dim || rows.element() != self.decoder.element {
            let text = format!("index covers {} rows, the segment has {} or another shape", self.rows, rows.len());
            return Err(IndexError::Corrupt(text));
        }
        Ok(())
    }
}

struct Probe<'a> {
    rows: &'a dyn VectorRows,
    scorer: Scorer<'a>,
    allowed: Option<BitsetView<'a>>,
    direction: Direction,
    bounds: Bounds,
    top: TopK,
    found: usize,
    wanted: Vec<u32>,
}

impl Probe<'_> {
    fn list(&mut self, rows: &[u32]) {
        self.wanted.clear();
        let allowed = self.allowed;
        self.wanted.extend(rows.iter().filter(|&&row| allowed.is_none_or(|allowed| allowed.contains(row))));
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
    }
}

impl VectorIndex for Ivf {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        self.check_rows(rows)?;
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let nprobe = query.params.nprobe.unwrap_or(NPROBE).clamp(1, self.lists().max(1));
        let few = self.rows / self.lists().max(1) * nprobe;
        if query.top_k == 0 {
            return Ok(());
        }
        if nprobe == self.lists() || query.allowed.is_some() && query.allowed_count <= few {
            return flat::search(rows, self.metric, query, out);
        }
        let direction = Direction::of(self.metric);
        let bounds = Bounds::of(query, direction);
        let mut probe = Probe {
            rows,
            scorer: kernel.scorer(query.vector),
            allowed: query.allowed.map(BitsetView::new),
            direction,
            bounds,
            top: TopK::new(query.top_k),
            found: 0,
            wanted: vec![],
        };
        let mut empty_lists = 0;
        for (number, &ranked) in self.ranked_lists(query)?.iter().enumerate() {
            let exhausted = bounds.limited() && empty_lists >= EMPTY_LISTS_MAX;
            if number >= nprobe && (probe.found >= query.top_k || exhausted) {
                break;
            }
            let before = probe.found;
            probe.list(self.list(ranked as u32 as usize));
            empty_lists = if probe.found > before { 0 } else { empty_lists + 1 };
        }
        probe.top.finish(direction, out);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "IVF_FLAT"
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
