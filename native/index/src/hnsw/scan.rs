//! Comparison of the codes of all nodes that a filter leaves.

use elanus_kernels::BitsetView;

use super::beam::Visited;
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
    next: Vec<u32>,
    near: Vec<u32>,
    sifted: Vec<u32>,
}

/// The `width` nearest by code of all allowed nodes. `node_of`: the node of each row, a number beyond all for null.
pub(super) fn scan<S: Space>(
    space: &S,
    vector: &S::Query,
    query: &Query<'_>,
    (node_of, nodes): (&[u32], usize),
    width: usize,
    (scratch, visited): (&mut ScanScratch, &mut Visited),
) -> TopK {
    let ScanScratch { next, near, sifted } = scratch;
    visited.reset(nodes);
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
    let mut look = |node: u32| {
        space.prefetch_first_look(node);
        next.push(node);
        if next.len() == BLOCK {
            turn(next);
        }
    };
    match query.allowed {
        None => (0..nodes as u32).for_each(look),
        // Copies of one vector are met once. A null row has a number beyond all nodes.
        Some(words) => BitsetView::new(words).iter().for_each(|row| {
            if let Some(&node) = node_of.get(row as usize)
                && visited.insert(node)
            {
                look(node);
            }
        }),
    }
    (0..3).for_each(|_| turn(next));
    top
}
