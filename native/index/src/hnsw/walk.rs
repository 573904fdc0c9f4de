//! Best-first walks over one level of the graph.

use super::beam::{Beam, Visited};
use super::signs::DOUBT;
use super::space::Space;

/// An empty slot of a neighbour block; what follows it is empty too.
pub(crate) const NONE: u32 = u32::MAX;

/// So many allowed nodes are expected in a sample that tells whether a filter has emptied a place.
const EXPECTED_ALLOWED: f32 = 16.0;
/// Neighbours are missed more often the farther they are. The spare part of the beam grows by one in so many for each
/// node that lies in between for each that is wanted, and by one in so many more for the first.
const SPREAD: usize = 6;
const FIRST_SPREAD: usize = 8;

/// Neighbour lists of one level.
pub(crate) trait Links {
    /// Appends the neighbours of `node` to `out`.
    fn collect(&self, node: u32, out: &mut Vec<u32>);

    /// Asks for the block of `node` to be in the cache soon.
    fn prefetch(&self, node: u32);
}

/// Everything a walk writes to; kept between walks, so that none allocates.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub visited: Visited,
    pub beam: Beam,
    near: Vec<u32>,
    /// Nodes that passed the first look.
    sifted: Vec<u32>,
    hops: Vec<u32>,
    second: Vec<u32>,
    /// Nodes compared with the query since the walk began.
    pub compared: usize,
}

impl Scratch {
    /// Prepares for a walk of at most `width` nodes kept.
    pub(crate) fn start(&mut self, nodes: usize, width: usize) {
        self.visited.reset(nodes);
        self.near.clear();
        self.sifted.clear();
        self.compared = 0;
        self.beam.reset(width);
    }

    /// Puts a first node into the beam.
    pub(crate) fn enter<S: Space>(&mut self, space: &S, query: &S::Query, node: u32, passage: bool) {
        if self.visited.insert(node) {
            self.beam.offer(space.distance(query, node), node, passage);
        }
    }
}

/// One step of a walk: looks at the neighbours of the nearest node that was not looked at yet, and has `take` judge
/// those of an earlier step that may be near enough for the beam. False when nothing is left to do.
///
/// A pipeline: while the vectors of one node's neighbours are on their way from memory, the signs of the next one's are
/// asked for. What is walked next is therefore chosen without the neighbours found last, which costs a few steps
/// and saves waiting in each.
#[inline(always)]
fn step<S: Space, L: Links>(
    space: &S,
    links: &L,
    query: &S::Query,
    scratch: &mut Scratch,
    mut take: impl FnMut(&mut Beam, f32, u32),
) -> bool {
    let Scratch { visited, near, sifted, beam, compared, .. } = scratch;
    std::mem::swap(near, sifted);
    space.sift(query, sifted, beam.limit(), DOUBT);
    sifted.iter().for_each(|&node| space.prefetch(node));
    near.clear();
    let next = beam.next();
    if let Some(node) = next {
        links.collect(node, near);
        visited.keep_new(near);
        near.iter().for_each(|&node| space.prefetch_first_look(node));
        *compared += near.len();
    }
    if next.is_none() && near.is_empty() && sifted.is_empty() {
        return false;
    }
    for &node in sifted.iter() {
        take(beam, space.distance(query, node), node);
    }
    if let Some(next) = beam.peek() {
        links.prefetch(next);
    }
    true
}

/// Walks until every node of the beam has been looked at. Nodes that are not `allowed` are walked through and kept as
/// passages.
pub(crate) fn walk<S: Space, L: Links>(
    space: &S,
    links: &L,
    query: &S::Query,
    scratch: &mut Scratch,
    allowed: impl Fn(u32) -> bool,
) {
    while step(space, links, query, scratch, |beam, key, node| {
        beam.offer(key, node, !allowed(node));
    }) {}
}

/// What a walk under a filter looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Allowed nodes that are wanted.
    pub wanted: usize,
    /// How many nodes behind the farthest of them the beam holds, too.
    pub spare: usize,
    /// The most nodes that the beam may hold.
    pub width: usize,
}

/// How wide a beam has to be to find the `wanted` nearest that pass, where they lie among the `near` nearest of all.
/// Without a filter `spare` nodes more would be held.
pub(crate) fn beam_width(wanted: usize, spare: usize, near: usize) -> usize {
    let beyond = near.saturating_sub(wanted);
    let per_wanted = |nodes: usize, one_in: usize| spare.saturating_mul(nodes) / wanted.saturating_mul(one_in).max(1);
    let more = per_wanted(beyond, SPREAD) + per_wanted(beyond.min(wanted), FIRST_SPREAD);
    near.saturating_add(spare).saturating_add(more)
}

/// Walks as if there were no filter, and offers every allowed node to `passing`. The beam holds everything up to the
/// last of the allowed nodes that are `wanted`, as near as known so far, and some more: as wide as the filter is narrow
/// at this very place. True when as many were found, and not for want of a wider beam.
pub(crate) fn walk_collecting<S: Space, L: Links>(
    space: &S,
    links: &L,
    query: &S::Query,
    scratch: &mut Scratch,
    passing: &mut Beam,
    goal: Goal,
    allowed: impl Fn(u32) -> bool,
) -> bool {
    let wide_enough = |key, beam: &Beam| beam_width(goal.wanted, goal.spare, beam.count_to(key));
    let last_wanted = |passing: &Beam| passing.entries().get(goal.wanted - 1).map(|entry| entry.key);
    while step(space, links, query, scratch, |beam, key, node| {
        if key < passing.limit() && allowed(node) {
            passing.offer(key, node, false);
        }
        beam.admit(key, node);
    }) {
        let beam = &mut scratch.beam;
        let width = last_wanted(passing).map_or(goal.width, |key| wide_enough(key, beam));
        beam.narrow(width.min(goal.width));
    }
    last_wanted(passing).is_some_and(|key| wide_enough(key, &scratch.beam) <= goal.width)
}

impl Scratch {
    /// The share of the nodes around `node` that pass the filter, where `share` of all do; `None` where so few would be
    /// expected that it says nothing.
    pub(crate) fn share_around<L: Links>(
        &mut self,
        links: &L,
        node: u32,
        share: f32,
        allowed: impl Fn(u32) -> bool,
    ) -> Option<f32> {
        let wanted = (EXPECTED_ALLOWED / share.max(f32::EPSILON)) as usize;
        self.hops.clear();
        links.collect(node, &mut self.hops);
        self.second.clear();
        self.second.extend_from_slice(&self.hops);
        for &hop in &self.hops {
            if self.second.len() >= wanted {
                break;
            }
            links.collect(hop, &mut self.second);
        }
        if share * (self.second.len() as f32) < EXPECTED_ALLOWED / 2.0 {
            return None;
        }
        let passing = self.second.iter().filter(|&&node| allowed(node)).count();
        Some(passing as f32 / self.second.len() as f32)
    }
}

/// Moves to a nearer neighbour as long as there is one; gives the last node.
pub(crate) fn descend<S: Space, L: Links>(
    space: &S,
    links: &L,
    query: &S::Query,
    start: u32,
    node_of: impl Fn(u32) -> u32,
    near: &mut Vec<u32>,
) -> u32 {
    let mut best = start;
    let mut best_key = space.distance(query, node_of(start));
    loop {
        near.clear();
        links.collect(best, near);
        let before = best;
        near.iter().for_each(|&neighbour| space.prefetch_first_look(node_of(neighbour)));
        for &neighbour in near.iter() {
            let node = node_of(neighbour);
            if !space.may_beat(query, node, best_key) {
                continue;
            }
            let key = space.distance(query, node);
            if key < best_key {
                (best, best_key) = (neighbour, key);
            }
        }
        if best == before {
            return best;
        }
    }
}
