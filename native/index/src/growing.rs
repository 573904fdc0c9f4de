//! An index that grows with its rows: inverted lists of 8-bit codes, to which new rows are appended while searches
//! run (docs/decisions/0019-growing-lists.md).
//!
//! The centroids are learnt once from the rows that are there; a row goes to the list of its nearest one, as in
//! [`crate::ivf`]. Each list has a lock of its own that is held while some codes are appended or scanned, so writers
//! and readers wait for each other for microseconds. How many lists a search looks at is learnt from the rows, too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use elanus_kernels::scan::BLOCK;
use elanus_kernels::{AlignedBuf, BitsetView};

use crate::IndexError;
use crate::flat;
use crate::ivf::{CODES_PER_ROW, RowScan, coarse_blocks, coarse_quantizer, each_bit};
use crate::progress::Progress;
use crate::quantize::kmeans::{self, Centroids};
use crate::quantize::{Decoder, Form, Kind, Quantizer, Vectors, block_bytes, fill_block};
use crate::top_k::{Bounds, Direction, TopK};
use crate::vector::{Element, Hit, Metric, Query, VectorRows};

/// Training rows for each centroid, and rounds: lists need not be as even as those of an index that stays.
const SAMPLE_PER_LIST: usize = 32;
const ROUNDS: usize = 6;
/// Rows that are given to their lists at a time.
const BATCH: usize = 4096;
/// Rows that play queries while the number of lists to look at is learnt, and rows among which they look.
const QUERIES: usize = 64;
const NEIGHBOURS_AMONG: usize = 20_000;
/// Numbers of hits for which it is learnt.
const FEW: usize = 10;
const MANY: usize = 100;
/// Share of the neighbours that the lists looked at must hold.
const KEPT: f64 = 0.96;
/// Queries are not rows: some more lists are looked at than rows as queries need, and one in so many at least.
const SPARE: f64 = 1.6;
const LISTS_PER_PROBE_MAX: usize = 20;
/// Candidates beyond k whose rows are compared, at least.
const MARGIN: usize = 24;
/// A search for more than one in so many of the rows compares them all.
const ROWS_PER_HIT_MIN: usize = 32;

/// Lists over the first rows of a growing segment.
pub struct GrowingLists {
    metric: Metric,
    decoder: Decoder,
    centroids: Centroids,
    coarse: Quantizer,
    coarse_blocks: AlignedBuf,
    codes: Quantizer,
    lists: Vec<RwLock<List>>,
    /// Rows below are in their lists. Later ones may be, too, and are not to be found there yet.
    covered: AtomicUsize,
    bytes: AtomicUsize,
    /// Rows when the centroids were learnt.
    trained: usize,
    /// Lists to look at for [`FEW`] and for [`MANY`] hits.
    probes: [usize; 2],
}

#[derive(Default)]
struct List {
    rows: Vec<u32>,
    blocks: Vec<AlignedBuf>,
    /// Records of the rows in the last block, which is not full.
    open: Vec<u8>,
}

impl GrowingLists {
    /// Whether vectors of this kind can be ordered by lists.
    #[must_use]
    pub fn fits(element: Element, metric: Metric) -> bool {
        element != Element::Bit && matches!(metric, Metric::L2 | Metric::Ip | Metric::Cosine)
    }

    /// Learns from all rows and covers them. `None` when there is nothing to learn from.
    ///
    /// # Errors
    /// Cancelled.
    pub fn learn(rows: &dyn VectorRows, metric: Metric, progress: &Progress) -> Result<Option<Self>, IndexError> {
        let (count, dim) = (u32::try_from(rows.len()).unwrap_or(u32::MAX), rows.dim());
        let row_of: Vec<u32> = (0..count).filter(|&row| !rows.row(row).is_empty()).collect();
        let wanted = 2 * row_of.len().isqrt();
        let decoder = Decoder::centred(rows, &row_of, metric);
        let step = row_of.len().div_ceil((wanted * SAMPLE_PER_LIST).max(1)).max(1);
        let mut values = vec![0f32; row_of.iter().step_by(step).len() * dim];
        for (out, &row) in values.chunks_exact_mut(dim).zip(row_of.iter().step_by(step)) {
            decoder.decode(rows.row(row), out);
        }
        let centroids = kmeans::train(Vectors { values: &values, dim }, wanted, ROUNDS, 1, progress, |_| {})?;
        if centroids.count() == 0 {
            return Ok(None);
        }
        let mut lists = Self {
            coarse: coarse_quantizer(metric, dim)?,
            coarse_blocks: coarse_blocks(&centroids, metric)?,
            codes: Quantizer::open(Kind::Scalar { bits: 8 }, Form::of(metric), dim, &[])?,
            lists: (0..centroids.count()).map(|_| RwLock::default()).collect(),
            covered: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            trained: rows.len(),
            probes: [1, 1],
            metric,
            decoder,
            centroids,
        };
        lists.absorb(rows, progress)?;
        lists.probes = lists.learn_probes(rows, &row_of, progress)?;
        Ok(Some(lists))
    }

    /// Gives the rows that are not covered yet to their lists. One caller at a time.
    ///
    /// # Errors
    /// Cancelled; what has been covered stays.
    pub fn absorb(&self, rows: &dyn VectorRows, progress: &Progress) -> Result<(), IndexError> {
        let dim = self.centroids.dim;
        let mut from = self.covered();
        while from < rows.len() {
            let end = rows.len().min(from + BATCH);
            let batch: Vec<u32> = (from as u32..end as u32).filter(|&row| !rows.row(row).is_empty()).collect();
            let load = |index: usize, out: &mut [f32]| self.decoder.decode(rows.row(batch[index]), out);
            let nearest = kmeans::assign(&self.centroids, batch.len(), load, 1, progress)?;
            let mut by_list: Vec<(u32, u32)> = nearest.into_iter().zip(batch.iter().copied()).collect();
            by_list.sort_unstable();
            let (mut vector, mut residual) = (vec![0f32; dim], vec![0f32; dim]);
            for same in by_list.chunk_by(|a, b| a.0 == b.0) {
                let list = same[0].0 as usize;
                let centre = self.centroids.row(list);
                let mut records = vec![0; same.len() * self.codes.record_bytes()];
                for (&(_, row), record) in same.iter().zip(records.chunks_exact_mut(self.codes.record_bytes())) {
                    self.decoder.decode(rows.row(row), &mut vector);
                    residual.iter_mut().zip(vector.iter().zip(centre)).for_each(|(out, (x, c))| *out = x - c);
                    self.codes.encode(&residual, &vector, &[centre], record);
                }
                self.append(list, same, &records);
            }
            self.covered.store(end, Ordering::Release);
            from = end;
        }
        Ok(())
    }

    /// Rows that searches find here.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.covered.load(Ordering::Acquire)
    }

    /// Rows that the centroids were learnt from.
    #[must_use]
    pub fn trained(&self) -> usize {
        self.trained
    }

    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Bytes of heap memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.centroids.values.len() * 4 + self.coarse_blocks.len()
    }

    /// Appends at most `query.top_k` hits to `out`, best first; equal scores by ascending row. `rows` are the first
    /// ones of the segment, all of them covered. Scores are exact. Ranges and searches for a good part of the rows
    /// compare every row, so that nothing is missing.
    ///
    /// # Errors
    /// The query has another size than the rows.
    pub fn search(&self, rows: &dyn VectorRows, query: &Query<'_>, out: &mut Vec<Hit>) -> Result<(), IndexError> {
        let kernel = flat::kernel_for(rows, self.metric, query.vector)?;
        let allowed = if query.allowed.is_some() { query.allowed_count } else { rows.len() };
        let probes = self.effort(query.top_k, allowed, rows.len());
        let scanned = rows.len() / self.lists.len() * probes;
        let limited = Bounds::of(query, Direction::of(self.metric)).limited();
        let large = query.top_k.saturating_mul(ROWS_PER_HIT_MIN) > rows.len();
        let all = limited || large || allowed.saturating_mul(CODES_PER_ROW) <= scanned;
        if all || query.top_k == 0 || probes * CODES_PER_ROW > 3 * self.lists.len() {
            return flat::search(rows, self.metric, query, out);
        }
        let candidates = self.scan(query, probes, rows.len());
        let mut scan = RowScan::new(rows, kernel.scorer(query.vector), self.metric, query);
        let mut wanted = vec![];
        candidates.finish_rows(&mut wanted);
        let compared = scan.over(wanted.into_iter());
        query.note(|stats| {
            stats.reranked += compared as u64;
            stats.compared_rows(compared, query.vector.len());
        });
        scan.finish(out);
        Ok(())
    }

    /// Lists to look at. A filter leaves fewer rows in each, so more have to be looked at to find as good ones.
    fn effort(&self, top_k: usize, allowed: usize, rows: usize) -> usize {
        let [few, many] = self.probes.map(|probes| probes as f64);
        let learnt = if top_k <= FEW {
            few
        } else if top_k <= MANY {
            few + (many - few) * (top_k as f64 / FEW as f64).log10()
        } else {
            many * (top_k as f64 / MANY as f64).sqrt()
        };
        let share = allowed as f64 / rows.max(1) as f64;
        ((learnt / share.max(1e-9).sqrt()).ceil() as usize).clamp(1, self.lists.len())
    }

    /// The best rows by code, of those below `limit`.
    fn scan(&self, query: &Query<'_>, probes: usize, limit: usize) -> TopK {
        let mut vector = vec![0f32; self.centroids.dim];
        self.decoder.decode(query.vector, &mut vector);
        let by_code = self.codes.block_query(&vector);
        let allowed = query.allowed.map(BitsetView::new);
        let mut top = TopK::new(query.top_k.saturating_mul(2).max(query.top_k + MARGIN));
        let (mut found, mut scanned) = (0, 0);
        let mut keys = [0f32; BLOCK];
        let mut look = |list: usize| {
            let base = self.codes.base(&vector, self.centroids.row(list));
            let list = self.list(list);
            for (block, rows) in list.blocks.iter().zip(list.rows.chunks(BLOCK)) {
                each_bit(by_code.scan(block, base, top.bound(), &mut keys), |lane| {
                    let Some(&row) = rows.get(lane).filter(|&&row| (row as usize) < limit) else { return };
                    if allowed.is_none_or(|allowed| allowed.contains(row)) {
                        found += 1;
                        top.offer(keys[lane], row);
                    }
                });
            }
            scanned += list.rows.len();
            found
        };
        let near = self.nearest_lists(&vector, probes);
        let mut enough = near.iter().map(|&list| look(list as usize)).last().unwrap_or(0) >= query.top_k;
        if !enough {
            for &list in self.nearest_lists(&vector, self.lists.len()).iter().skip(near.len()) {
                enough = look(list as usize) >= query.top_k;
                if enough {
                    break;
                }
            }
        }
        query.note(|stats| {
            stats.plans.push("growing lists");
            stats.visited += scanned as u64;
            stats.compared_codes(scanned, self.codes.record_bytes());
        });
        top
    }

    /// The nearest `count` lists, the nearest first.
    fn nearest_lists(&self, vector: &[f32], count: usize) -> Vec<u32> {
        let mut top = TopK::new(count);
        let query = self.coarse.block_query(vector);
        let base = self.coarse.base(vector, &vec![0.0; vector.len()]);
        let mut keys = [0f32; BLOCK];
        for (number, block) in self.coarse_blocks.chunks_exact(block_bytes(&self.coarse)).enumerate() {
            each_bit(query.scan(block, base, top.bound(), &mut keys), |lane| {
                top.offer(keys[lane], (number * BLOCK + lane) as u32);
            });
        }
        let mut lists = vec![];
        top.finish_rows(&mut lists);
        lists
    }

    fn list(&self, list: usize) -> RwLockReadGuard<'_, List> {
        self.lists[list].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, list: usize, rows: &[(u32, u32)], records: &[u8]) {
        let full = BLOCK * self.codes.record_bytes();
        let mut list = self.lists[list].write().unwrap_or_else(PoisonError::into_inner);
        let before = list.blocks.len();
        if !list.open.is_empty() {
            list.blocks.pop();
        }
        let mut all = std::mem::take(&mut list.open);
        all.extend_from_slice(records);
        for records in all.chunks(full) {
            let mut block = AlignedBuf::zeroed(block_bytes(&self.codes));
            fill_block(&self.codes, records, &mut block);
            list.blocks.push(block);
        }
        let rest = all.len() % full;
        list.open = all.split_off(all.len() - rest);
        list.rows.extend(rows.iter().map(|&(_, row)| row));
        let grown = (list.blocks.len() - before) * block_bytes(&self.codes) + rows.len() * 4;
        self.bytes.fetch_add(grown, Ordering::Relaxed);
    }

    /// How many of the nearest lists hold nearly all of the nearest rows, when rows play queries.
    fn learn_probes(
        &self,
        rows: &dyn VectorRows,
        row_of: &[u32],
        progress: &Progress,
    ) -> Result<[usize; 2], IndexError> {
        let mut list_of = vec![0u32; rows.len()];
        for number in 0..self.lists.len() {
            self.list(number).rows.iter().for_each(|&row| list_of[row as usize] = number as u32);
        }
        let among: Vec<u32> = row_of.iter().copied().step_by(row_of.len().div_ceil(NEIGHBOURS_AMONG)).collect();
        let direction = Direction::of(self.metric);
        let (mut vector, mut ranks) = (vec![0f32; rows.dim()], [vec![], vec![]]);
        for &query in row_of.iter().step_by(row_of.len().div_ceil(QUERIES)) {
            progress.check()?;
            let kernel = flat::kernel_for(rows, self.metric, rows.row(query))?;
            let scorer = kernel.scorer(rows.row(query));
            let mut top = TopK::new(MANY);
            for &row in among.iter().filter(|&&row| row != query) {
                top.offer(direction.key(scorer.score(rows.row(row))), row);
            }
            self.decoder.decode(rows.row(query), &mut vector);
            let mut rank = vec![0u32; self.lists.len()];
            let near = self.nearest_lists(&vector, self.lists.len());
            near.iter().zip(0..).for_each(|(&list, number)| rank[list as usize] = number);
            let mut neighbours = vec![];
            top.finish_rows(&mut neighbours);
            for (count, ranks) in [FEW, MANY].into_iter().zip(&mut ranks) {
                ranks.extend(neighbours.iter().take(count).map(|&row| rank[list_of[row as usize] as usize]));
            }
        }
        Ok(ranks.map(|mut ranks| {
            ranks.sort_unstable();
            let kept = ranks.get((ranks.len() as f64 * KEPT) as usize).copied().unwrap_or(0);
            (((f64::from(kept) + 1.0) * SPARE).ceil() as usize).max(self.lists.len().div_ceil(LISTS_PER_PROBE_MAX))
        }))
    }
}

impl std::fmt::Debug for GrowingLists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lists over {} rows", self.lists.len(), self.covered())
    }
}

#[cfg(test)]
mod tests;
