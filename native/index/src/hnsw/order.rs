//! After the build: a way to every node, and numbers that put neighbours near each other in memory.

use super::build::{Graph, Shape};
use super::space::Space;
use super::walk::{Links, NONE, Scratch, walk};

/// Level 0 as plain words.
pub(crate) struct Blocks<'a> {
    pub words: &'a [u32],
    pub slots: usize,
}

impl Blocks<'_> {
    #[inline]
    fn block(&self, node: u32) -> &[u32] {
        let start = node as usize * self.slots;
        self.words.get(start..start + self.slots).unwrap_or(&[])
    }
}

impl Links for Blocks<'_> {
    #[inline]
    fn collect(&self, node: u32, out: &mut Vec<u32>) {
        let block = self.block(node);
        let used = block.iter().position(|&word| word == NONE).unwrap_or(block.len());
        out.extend_from_slice(&block[..used]);
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        let bytes = elanus_kernels::memory::u32s_as_bytes(self.block(node));
        elanus_kernels::memory::prefetch(bytes, 0, bytes.len());
    }
}

/// How many nodes a lost one looks among for a free place.
const ATTACH_WIDTH: usize = 64;
const ATTACH_PASSES: usize = 4;

/// Gives every node that cannot be reached from the entry a link from one near to it that can.
pub(crate) fn connect<S: Space>(space: &S, shape: Shape, graph: &mut Graph) {
    let slots = shape.slots();
    let mut scratch = Scratch::default();
    let mut query = S::Query::default();
    for _ in 0..ATTACH_PASSES {
        let mut reached = vec![false; shape.nodes];
        let mut queue = vec![];
        spread(&graph.links, slots, graph.entry, &mut reached, &mut queue);
        if reached.iter().all(|&met| met) {
            return;
        }
        for lost in 0..shape.nodes as u32 {
            if reached[lost as usize] {
                continue;
            }
            space.load(lost, &mut query);
            scratch.start(shape.nodes, ATTACH_WIDTH);
            scratch.enter(space, &query, graph.entry, false);
            walk(space, &Blocks { words: &graph.links, slots }, &query, &mut scratch, |_| true);
            attach(&mut graph.links, slots, lost, &scratch);
            spread(&graph.links, slots, lost, &mut reached, &mut queue);
        }
    }
}

/// Into the first free slot among the nodes met; if none has one, over the last link of the nearest.
fn attach(links: &mut [u32], slots: usize, lost: u32, scratch: &Scratch) {
    let met = scratch.beam.entries();
    let slot_of = |node: u32, index: usize| node as usize * slots + index;
    let free = met.iter().find_map(|entry| {
        let start = slot_of(entry.node(), 0);
        links[start..start + slots].iter().position(|&word| word == NONE).map(|index| start + index)
    });
    let place = free.or_else(|| met.first().map(|nearest| slot_of(nearest.node(), slots - 1)));
    if let Some(place) = place {
        links[place] = lost;
    }
}

/// Marks everything reachable from `start`, in breadth-first order, and leaves that order in `queue`.
fn spread(links: &[u32], slots: usize, start: u32, reached: &mut [bool], queue: &mut Vec<u32>) {
    queue.clear();
    if std::mem::replace(&mut reached[start as usize], true) {
        return;
    }
    queue.push(start);
    let mut head = 0;
    while let Some(&node) = queue.get(head) {
        head += 1;
        let block = &links[node as usize * slots..(node as usize + 1) * slots];
        for &neighbour in block.iter().take_while(|&&word| word != NONE) {
            if !std::mem::replace(&mut reached[neighbour as usize], true) {
                queue.push(neighbour);
            }
        }
    }
}

/// The nodes in breadth-first order from the entry: those a walk meets together lie together (after Coleman et al.,
/// "Graph Reordering for Cache-Efficient Near Neighbor Search", NeurIPS 2022).
pub(crate) fn breadth_first(shape: Shape, graph: &Graph) -> Vec<u32> {
    let mut reached = vec![false; shape.nodes];
    let mut order = vec![];
    if shape.nodes == 0 {
        return order;
    }
    spread(&graph.links, shape.slots(), graph.entry, &mut reached, &mut order);
    order.extend((0..shape.nodes as u32).filter(|&node| !reached[node as usize]));
    order
}
