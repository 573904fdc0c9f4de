//! BIN_IVF_FLAT: rows grouped by their nearest majority centroid; a search compares the rows of the nearest groups.

use std::ops::Range;

use elanus_kernels::memory::{as_u32s, prefetch, u32s_as_bytes};
use elanus_kernels::{BitsetView, DistanceKernel, Isa};

use super::majority::Majority;
use super::{check_rows, present};
use crate::IndexError;
use crate::catalog::Meta;
use crate::flat;
use crate::format::{self, File, damaged};
use crate::params::Params;
use crate::progress::Progress;
use crate::top_k::{Bounds, Direction, TopK, pack};
use crate::vector::{Element, Hit, Metric, Query, VectorIndex, VectorRows};

/// Every list must be able to have so many training rows; otherwise there are fewer lists.
const ROWS_PER_LIST_MIN: usize = 39;
const NPROBE: usize = 8;
/// A range search that is short of hits goes on until so many lists in a row gave none (`max_empty_result_buckets`).
const EMPTY_LISTS_MAX: usize = 2;
/// How many rows ahead of the comparison are asked for.
const AHEAD: usize = 8;

/// An opened index.
pub(crate) struct BinaryIvf {
    file: File,
    kernel: DistanceKernel,
    metric: Metric,
    rows: usize,
    dim: usize,
    centroids: Range<usize>,
    starts: Range<usize>,
    listed: Range<usize>,
}

fn kernel_of(metric: Metric) -> Option<DistanceKernel> {
    DistanceKernel::choose(metric, Element::Bit, Isa::detect())
}

impl BinaryIvf {
    /// Builds the file of an index over all rows that are not null.
    pub(crate) fn build_file(
        meta: &Meta,
        metric: Metric,
        params: &Params,
        rows: &dyn VectorRows,
        progress: &Progress,
        threads: usize,
    ) -> Result<Vec<u8>, IndexError> {
        let wanted = params.integer("nlist", 1, 65_536)?.unwrap_or(128);
        let kernel =
            kernel_of(metric).ok_or_else(|| IndexError::Parameter(format!("no lists by {}", metric.name())))?;
        let of = present(rows);
        let lists = wanted.min((of.len() / ROWS_PER_LIST_MIN).max(1)).min(of.len());
        let majority = Majority { rows, kernel, threads, progress };
        let centroids = if lists == 0 { vec![] } else { majority.train(&of, lists)? };
        let assigned = majority.assign(&of, &centroids)?;
        progress.advance(0.95);
        let (starts, listed) = grouped(&of, &assigned, lists);
        let file = format::write(&[
            ("meta", &meta.encode()),
            ("centroids", &centroids),
            ("starts", u32s_as_bytes(&starts)),
            ("rows", u32s_as_bytes(&listed)),
        ])?;
        progress.advance(1.0);
        Ok(file)
    }

    pub(crate) fn open(file: File, meta: &Meta) -> Result<Self, IndexError> {
        let metric = meta.metric()?;
        let index = Self {
            kernel: kernel_of(metric).ok_or_else(|| damaged("meta"))?,
            metric,
            rows: meta.rows,
            dim: meta.dim,
            centroids: file.range("centroids")?,
            starts: file.range("starts")?,
            listed: file.range("rows")?,
            file,
        };
        index.check()?;
        Ok(index)
    }

    /// What checksums cannot tell.
    fn check(&self) -> Result<(), IndexError> {
        let (starts, listed) = (self.words(&self.starts), self.words(&self.listed));
        let whole = starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(listed.len());
        if !whole || !starts.is_sorted() {
            return Err(damaged("starts"));
        }
        if self.row_bytes() == 0 || self.row_bytes().checked_mul(self.lists()) != Some(self.centroids.len()) {
            return Err(damaged("centroids"));
        }
        if listed.iter().any(|&row| row as usize >= self.rows) {
            return Err(damaged("rows"));
        }
        Ok(())
    }

    fn words(&self, range: &Range<usize>) -> &[u32] {
        as_u32s(&self.file.bytes()[range.clone()]).unwrap_or(&[])
    }

    fn row_bytes(&self) -> usize {
        Element::Bit.row_bytes(self.dim)
    }

    fn lists(&self) -> usize {
        self.words(&self.starts).len().saturating_sub(1)
    }

    fn list(&self, list: usize) -> &[u32] {
        let starts = self.words(&self.starts);
        match (starts.get(list), starts.get(list + 1)) {
            (Some(&start), Some(&end)) => self.words(&self.listed).get(start as usize..end as usize).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// All lists, the nearest first.
    fn ranked(&self, vector: &[u8]) -> Vec<u64> {
        let scorer = self.kernel.scorer(vector);
        let centroids = self.file.bytes()[self.centroids.clone()].chunks_exact(self.row_bytes()).enumerate();
        let mut ranked: Vec<u64> =
            centroids.map(|(list, centroid)| pack(scorer.score(centroid), list as u32)).collect();
        ranked.sort_unstable();
        ranked
    }
}

/// Where each list starts, and the rows list by list.
fn grouped(of: &[u32], assigned: &[u32], lists: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; lists + 1];
    for &list in assigned {
        starts[list as usize + 1] += 1;
    }
    for list in 0..lists {
        starts[list + 1] += starts[list];
    }
    let (mut next, mut listed) = (starts.clone(), vec![0u32; of.len()]);
    for (&row, &list) in of.iter().zip(assigned) {
        listed[next[list as usize] as usize] = row;
        next[list as usize] += 1;
    }
    (starts, listed)
}

impl VectorIndex for BinaryIvf {
    fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        check_rows(rows, self.rows, self.dim)?;
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let nprobe = query.params.nprobe.unwrap_or(NPROBE).clamp(1, self.lists().max(1));
        let few = self.rows / self.lists().max(1) * nprobe;
        if query.top_k == 0 {
            return Ok(());
        }
        if nprobe >= self.lists() || query.allowed.is_some() && query.allowed_count <= few {
            return flat::search(rows, self.metric, query, out);
        }
        let (scorer, direction) = (kernel.scorer(query.vector), Direction::of(self.metric));
        let (bounds, allowed) = (Bounds::of(query, direction), query.allowed.map(BitsetView::new));
        let (mut top, mut wanted) = (TopK::new(query.top_k), vec![]);
        let (mut found, mut empty_lists, mut compared) = (0, 0, 0);
        for (number, &ranked) in self.ranked(query.vector).iter().enumerate() {
            let exhausted = bounds.limited() && empty_lists >= EMPTY_LISTS_MAX;
            if number >= nprobe && (found >= query.top_k || exhausted) {
                break;
            }
            let before = found;
            let list = self.list(ranked as u32 as usize);
            wanted.clear();
            wanted.extend(list.iter().filter(|&&row| allowed.is_none_or(|allowed| allowed.contains(row))));
            for (index, &row) in wanted.iter().enumerate() {
                if let Some(&later) = wanted.get(index + AHEAD) {
                    let bytes = rows.row(later);
                    prefetch(bytes, 0, bytes.len());
                }
                let key = direction.key(scorer.score(rows.row(row)));
                if bounds.admit(key) {
                    found += 1;
                    top.offer(key, row);
                }
            }
            compared += wanted.len();
            empty_lists = if found > before { 0 } else { empty_lists + 1 };
        }
        query.note(|stats| {
            stats.plans.push("nearest lists");
            stats.compared_rows(compared + self.lists(), query.vector.len());
        });
        top.finish(direction, out);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "BIN_IVF_FLAT"
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_count(&self) -> usize {
        self.rows
    }

    fn memory_bytes(&self) -> usize {
        self.file.heap_bytes()
    }
}
