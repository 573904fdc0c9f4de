//! Where nodes lie: as many as fit share a page, and one that is larger has pages of its own.

use crate::format::PAGE_BYTES;
use crate::hnsw::walk::NONE;

/// Bytes of neighbour lists, vectors and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Words of a neighbour list.
    pub slots: usize,
    pub row_bytes: usize,
    /// From one node of a piece to the next: list, vector, filling up to a whole word.
    pub node_bytes: usize,
    pub nodes_per_piece: usize,
    /// Whole pages.
    pub piece_bytes: usize,
}

impl Layout {
    pub(crate) fn new(slots: usize, row_bytes: usize) -> Self {
        let node_bytes = (slots * 4 + row_bytes).next_multiple_of(4);
        let nodes_per_piece = (PAGE_BYTES / node_bytes.max(1)).max(1);
        Self { slots, row_bytes, node_bytes, nodes_per_piece, piece_bytes: node_bytes.next_multiple_of(PAGE_BYTES) }
    }

    pub(crate) fn pieces(self, nodes: usize) -> usize {
        nodes.div_ceil(self.nodes_per_piece)
    }

    /// Where the piece of a node starts.
    pub(crate) fn piece(self, node: u32) -> usize {
        node as usize / self.nodes_per_piece * self.piece_bytes
    }

    /// Where a node starts.
    pub(crate) fn node(self, node: u32) -> usize {
        self.piece(node) + node as usize % self.nodes_per_piece * self.node_bytes
    }
}

/// Nodes in the order of `order`, but each page filled with the nearest neighbours of those on it that have no place
/// yet: a page that was read for one node then often serves the next (after Wang et al., "Starling", SIGMOD 2024).
pub(crate) fn packed(order: &[u32], links: &[u32], slots: usize, nodes_per_piece: usize) -> Vec<u32> {
    if nodes_per_piece < 2 {
        return order.to_vec();
    }
    let list = |node: u32| {
        let list = links.get(node as usize * slots..(node as usize + 1) * slots).unwrap_or(&[]);
        list.iter().copied().take_while(|&word| word != NONE)
    };
    let mut placed = vec![false; order.len()];
    let mut waiting = order.iter().copied();
    let mut out: Vec<u32> = Vec::with_capacity(order.len());
    while out.len() < order.len() {
        let page = &out[out.len() / nodes_per_piece * nodes_per_piece..];
        let near = page.iter().flat_map(|&node| list(node)).find(|&node| !placed[node as usize]);
        let Some(node) = near.or_else(|| waiting.find(|&node| !placed[node as usize])) else { break };
        placed[node as usize] = true;
        out.push(node);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Layout, packed};
    use crate::hnsw::walk::NONE;

    #[test]
    fn no_node_straddles_a_page_unless_it_is_larger_than_one() {
        for (slots, row_bytes) in [(64, 1536), (16, 6), (64, 3840), (64, 3841), (128, 9000), (16, 0)] {
            let layout = Layout::new(slots, row_bytes);
            for node in 0..200 {
                let (at, end) = (layout.node(node), layout.node(node) + layout.node_bytes);
                assert!(at.is_multiple_of(4) && end <= layout.node(node + 1));
                let pages = (end - 1) / 4096 - at / 4096 + 1;
                assert_eq!(pages, layout.node_bytes.div_ceil(4096), "{layout:?} {node}");
                assert!(layout.node_bytes <= 4096 || at.is_multiple_of(4096));
                assert!(end <= layout.pieces(node as usize + 1) * layout.piece_bytes);
            }
        }
    }

    #[test]
    fn pages_take_near_neighbours_and_every_node_once() {
        let links = [3, 1, 0, NONE, 3, NONE, 2, NONE, NONE, NONE];
        assert_eq!(packed(&[0, 1, 2, 3, 4], &links, 2, 2), [0, 3, 1, 2, 4]);
        assert_eq!(packed(&[0, 1, 2, 3, 4], &links, 2, 1), [0, 1, 2, 3, 4]);
        assert_eq!(packed(&[4, 0, 1, 2, 3], &links, 2, 8), [4, 0, 3, 1, 2]);
    }
}
