//! Parallel construction of the graph.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
//! World graphs" (TPAMI 2020), with these liberties: neighbour lists are atomic words that are read without a lock
//! (a reader may see a list half replaced; each of its entries is a node all the same); a list may overflow by half
//! before it is cut back, so that the costly choice of neighbours runs less often; a new node becomes reachable only
//! when all its own lists are in place; and nodes that ended up without a way to them are given one at the end.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::order::connect;
use super::signs::DOUBT;
use super::space::Space;
use super::walk::{Links, NONE, Scratch, descend, walk};
use crate::IndexError;
use crate::parallel;
use crate::progress::Progress;

/// No node has more words of neighbours.
pub(crate) const SLOTS_MAX: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub nodes: usize,
    /// Neighbours a node chooses, and the most on upper levels; twice as many on level 0.
    pub m: usize,
    pub ef_construction: usize,
    /// A taken neighbour rules a candidate out when it is nearer to it than the node is by this factor. 1 is HNSW's
    /// rule; more leaves longer links, and so shorter ways (Vamana: Subramanya et al., "DiskANN", NeurIPS 2019).
    pub alpha: f32,
}

impl Shape {
    pub(crate) fn degree(self) -> usize {
        self.m * 2
    }

    /// Words of a neighbour block of level 0: whole cache lines.
    pub(crate) fn slots(self) -> usize {
        self.degree().next_multiple_of(16)
    }
}

/// The finished graph, nodes in the order of insertion.
pub(crate) struct Graph {
    /// `slots` words a node, unused ones `NONE`.
    pub links: Vec<u32>,
    /// Highest level of each node.
    pub levels: Vec<u8>,
    /// Lists of the levels above 0: of node `n`, level `l`: `m` words from `(upper_at[n] + l - 1) * m`.
    pub upper: Vec<u32>,
    pub upper_at: Vec<u32>,
    pub entry: u32,
}

const STRIPES: usize = 1 << 10;
const LEVEL_MAX: u8 = 24;

struct Growing<'a, S: Space> {
    space: &'a S,
    shape: Shape,
    base_slots: usize,
    base: Vec<AtomicU32>,
    upper: Vec<AtomicU32>,
    upper_at: Vec<u32>,
    levels: Vec<u8>,
    /// Level << 32 | node.
    entry: AtomicU64,
    raise: Mutex<()>,
    stripes: Vec<Mutex<()>>,
}

/// One level of a growing graph.
struct Level<'g> {
    words: &'g [AtomicU32],
    slots: usize,
    /// Of the levels above 0.
    upper: Option<(&'g [u32], usize)>,
}

impl Level<'_> {
    fn block(&self, node: u32) -> &[AtomicU32] {
        let index = match self.upper {
            None => node as usize,
            Some((at, level)) => at[node as usize] as usize + level - 1,
        };
        self.words.get(index * self.slots..(index + 1) * self.slots).unwrap_or(&[])
    }
}

impl Links for Level<'_> {
    fn collect(&self, node: u32, out: &mut Vec<u32>) {
        let words = self.block(node).iter().map(|word| word.load(Ordering::Relaxed));
        out.extend(words.take_while(|&word| word != NONE));
    }

    fn prefetch(&self, _: u32) {}
}

/// What one building thread writes to.
struct Worker<S: Space> {
    scratch: Scratch,
    query: S::Query,
    other: S::Query,
    near: Vec<u32>,
    candidates: Vec<(f32, u32)>,
    chosen: Vec<u32>,
    own: Vec<Vec<u32>>,
}

impl<S: Space> Default for Worker<S> {
    fn default() -> Self {
        Self {
            scratch: Scratch::default(),
            query: S::Query::default(),
            other: S::Query::default(),
            near: vec![],
            candidates: vec![],
            chosen: vec![],
            own: vec![],
        }
    }
}

fn empty_words(count: usize) -> Vec<AtomicU32> {
    std::iter::repeat_with(|| AtomicU32::new(NONE)).take(count).collect()
}

/// A level with probability falling by a factor `m` each: the same for the same node in every build.
fn level_of(node: usize, m: usize) -> u8 {
    let mut state = (node as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    state = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ state >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    let uniform = ((state ^ state >> 31) >> 11) as f64 / (1u64 << 53) as f64;
    let level = -(uniform.max(1e-18)).ln() / (m.max(2) as f64).ln();
    (level as u8).min(LEVEL_MAX)
}

/// Builds the graph over all nodes of `space` with `threads` threads, with a way to every node.
pub(crate) fn grow<S: Space>(
    space: &S,
    shape: Shape,
    threads: usize,
    progress: &Progress,
) -> Result<Graph, IndexError> {
    let mut graph = build(space, shape, threads, progress, (0.05, 0.9))?;
    if shape.nodes > 0 {
        connect(space, shape, &mut graph);
    }
    Ok(graph)
}

fn build<S: Space>(
    space: &S,
    shape: Shape,
    threads: usize,
    progress: &Progress,
    share: (f32, f32),
) -> Result<Graph, IndexError> {
    let growing = Growing::new(space, shape);
    let next = AtomicUsize::new(1);
    parallel::run(threads, || {
        let mut worker = Worker::default();
        loop {
            let node = next.fetch_add(1, Ordering::Relaxed);
            if node >= shape.nodes {
                return Ok(());
            }
            if node.is_multiple_of(64) {
                progress.check()?;
                progress.advance(share.0 + share.1 * node as f32 / shape.nodes as f32);
            }
            growing.insert(node as u32, &mut worker);
        }
    })?;
    progress.check()?;
    Ok(growing.finish())
}

impl<'a, S: Space> Growing<'a, S> {
    fn new(space: &'a S, shape: Shape) -> Self {
        let levels: Vec<u8> = (0..shape.nodes).map(|node| level_of(node, shape.m)).collect();
        let mut upper_at = Vec::with_capacity(shape.nodes);
        let mut upper_lists = 0u32;
        for &level in &levels {
            upper_at.push(upper_lists);
            upper_lists += u32::from(level);
        }
        let base_slots = (shape.degree() + shape.m / 2).next_multiple_of(16);
        let first_level = levels.first().copied().unwrap_or(0);
        Self {
            space,
            shape,
            base_slots,
            base: empty_words(shape.nodes * base_slots),
            upper: empty_words(upper_lists as usize * shape.m),
            upper_at,
            levels,
            entry: AtomicU64::new(u64::from(first_level) << 32),
            raise: Mutex::new(()),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
        }
    }

    fn level(&self, level: usize) -> Level<'_> {
        match level {
            0 => Level { words: &self.base, slots: self.base_slots, upper: None },
            _ => Level { words: &self.upper, slots: self.shape.m, upper: Some((&self.upper_at, level)) },
        }
    }

    fn entry(&self) -> (u32, usize) {
        let packed = self.entry.load(Ordering::Acquire);
        (packed as u32, (packed >> 32) as usize)
    }

    fn insert(&self, node: u32, worker: &mut Worker<S>) {
        let top = usize::from(self.levels[node as usize]);
        self.space.load(node, &mut worker.query);
        // A node above all others becomes the entry; only one such insertion runs at a time.
        let _raising = (top > self.entry().1).then(|| self.raise.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut at, entry_level) = self.entry();
        for level in (top + 1..=entry_level).rev() {
            at = descend(self.space, &self.level(level), &worker.query, at, |node| node, &mut worker.near);
        }
        worker.own.resize_with(worker.own.len().max(top + 1), Vec::new);
        for level in (0..=top.min(entry_level)).rev() {
            let links = self.level(level);
            worker.scratch.start(self.shape.nodes, self.shape.ef_construction);
            worker.scratch.enter(self.space, &worker.query, at, false);
            worker.scratch.visited.insert(node);
            walk(self.space, &links, &worker.query, &mut worker.scratch, |_| true);
            let met = worker.scratch.beam.entries();
            at = met.first().map_or(at, |entry| entry.node());
            worker.candidates.clear();
            worker.candidates.extend(met.iter().map(|entry| (entry.key, entry.node())));
            self.choose(self.shape.m, worker);
            store(links.block(node), &worker.chosen);
            worker.own[level].clone_from(&worker.chosen);
        }
        for level in 0..=top.min(entry_level) {
            for index in 0..worker.own[level].len() {
                let neighbour = worker.own[level][index];
                self.link_back(neighbour, node, level, worker);
            }
        }
        if top > entry_level {
            self.entry.store((top as u64) << 32 | u64::from(node), Ordering::Release);
        }
    }

    /// The heuristic choice of neighbours: of the candidates, ascending by distance, one is taken unless a taken one
    /// is nearer to it than the node itself is, by the factor alpha.
    fn choose(&self, most: usize, worker: &mut Worker<S>) {
        let Worker { candidates, chosen, other, near, .. } = worker;
        chosen.clear();
        for &(key, candidate) in candidates.iter() {
            if chosen.len() >= most {
                break;
            }
            if !chosen.is_empty() {
                self.space.load(candidate, other);
                near.clear();
                near.extend_from_slice(chosen);
                let alpha = self.shape.alpha;
                self.space.sift(other, near, key / alpha, DOUBT);
                if near.iter().any(|&taken| self.space.distance(other, taken) * alpha < key) {
                    continue;
                }
            }
            chosen.push(candidate);
        }
    }

    /// Adds `node` to the list of `to`, cutting the list back when it overflows.
    fn link_back(&self, to: u32, node: u32, level: usize, worker: &mut Worker<S>) {
        let _own = self.stripes[to as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner);
        let links = self.level(level);
        let block = links.block(to);
        for word in block {
            let present = word.load(Ordering::Relaxed);
            if present == node {
                return;
            }
            if present == NONE {
                word.store(node, Ordering::Relaxed);
                return;
            }
        }
        let most = if level == 0 { self.shape.degree() } else { self.shape.m };
        self.cut_back(&links, to, Some(node), most, worker);
    }

    fn cut_back(&self, links: &Level<'_>, of: u32, with: Option<u32>, most: usize, worker: &mut Worker<S>) {
        worker.near.clear();
        links.collect(of, &mut worker.near);
        worker.near.extend(with);
        self.space.load(of, &mut worker.other);
        worker.candidates.clear();
        for &neighbour in &worker.near {
            worker.candidates.push((self.space.distance(&worker.other, neighbour), neighbour));
        }
        worker.candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.choose(most, worker);
        store(links.block(of), &worker.chosen);
    }

    fn finish(self) -> Graph {
        let mut worker = Worker::default();
        let base = self.level(0);
        let degree = self.shape.degree();
        for node in 0..self.shape.nodes as u32 {
            if base.block(node).get(degree).is_some_and(|word| word.load(Ordering::Relaxed) != NONE) {
                self.cut_back(&base, node, None, degree, &mut worker);
            }
        }
        let slots = self.shape.slots();
        let mut links = vec![NONE; self.shape.nodes * slots];
        for (node, block) in links.chunks_exact_mut(slots.max(1)).enumerate() {
            for (to, from) in block.iter_mut().zip(base.block(node as u32)) {
                *to = from.load(Ordering::Relaxed);
            }
        }
        Graph {
            links,
            entry: self.entry().0,
            levels: self.levels,
            upper: self.upper.iter().map(|word| word.load(Ordering::Relaxed)).collect(),
            upper_at: self.upper_at,
        }
    }
}

/// Replaces a list.
fn store(block: &[AtomicU32], list: &[u32]) {
    let padded = list.iter().copied().chain(std::iter::repeat(NONE));
    for (word, node) in block.iter().zip(padded) {
        word.store(node, Ordering::Relaxed);
    }
}
