//! Comparison of the codes of all nodes that a filter leaves.

use elanus_kernels::BitsetView;

use super::space::Space;
use crate::top_k::TopK;
use crate::vector::Query;

/// Standard deviations that a scan's first look gives a node for free. A walk's beam reaches farther than its answer; a
/// scan has only this look.
const DOUBT: f32 = 1.0;
/// Nodes looked at together, while what the next ones need is on its way.
const BLOCK: usize = 64;

/// What scans write to; kept between them, so that none allocates.
#[derive(Debug, Default)]
pub(super) struct ScanScratch {
    /// One bit a node.
    passing: Vec<u64>,
    next: Vec<u32>,
    near: Vec<u32>,
    sifted: Vec<u32>,
}

/// Marks the nodes of allowed rows. So they are met once each whatever their copies, and in the order in which their
/// codes lie.
fn mark(query: &Query<'_>, node_of: &[u32], nodes: usize, passing: &mut Vec<u64>) {
    passing.clear();
    let Some(words) = query.allowed else {
        passing.resize(nodes / 64, u64::MAX);
        passing.push((1 << (nodes % 64)) - 1);
        return;
    };
    passing.resize(nodes / 64 + 1, 0);
    for row in BitsetView::new(words).iter().take_while(|&row| (row as usize) < node_of.len()) {
        // A null row has a number beyond all nodes.
        let node = node_of[row as usize];
        if let Some(word) = passing.get_mut(node as usize / 64) {
            *word |= 1 << (node % 64);
        }
    }
}

/// The `width` nearest by code of all allowed nodes. `node_of`: the node of each row, a number beyond all for null.
pub(super) fn scan<S: Space>(
    space: &S,
    vector: &S::Query,
    query: &Query<'_>,
    (node_of, nodes): (&[u32], usize),
    width: usize,
    scratch: &mut ScanScratch,
) -> TopK {
    let ScanScratch { passing, next, near, sifted } = scratch;
    mark(query, node_of, nodes, passing);
    let mut top = TopK::new(width);
    next.clear();
    near.clear();
    sifted.clear();
    let mut turn = |next: &mut Vec<u32>| {
        // The codes of one block come while the signs of the next are looked at.
        space.sift(vector, near, top.bound(), DOUBT);
        near.iter().for_each(|&node| space.prefetch(node));
        for &node in sifted.iter() {
            top.offer(space.distance(vector, node), node);
        }
        sifted.clear();
        std::mem::swap(near, sifted);
        std::mem::swap(next, near);
    };
    for node in BitsetView::new(passing).iter() {
        space.prefetch_first_look(node);
        next.push(node);
        if next.len() == BLOCK {
            turn(next);
        }
    }
    (0..3).for_each(|_| turn(next));
    top
}
