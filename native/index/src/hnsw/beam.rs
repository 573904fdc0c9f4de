//! The state of one walk: the best nodes so far in one sorted array (as in NSG, Fu et al., VLDB 2019), and which
//! nodes have been met.

const EXPANDED: u32 = 1 << 31;
const PASSAGE: u32 = 1 << 30;
const NODE: u32 = PASSAGE - 1;

/// A graph has fewer nodes than this.
pub(crate) const NODES_MAX: usize = NODE as usize;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub key: f32,
    tagged: u32,
}

impl Entry {
    pub(crate) fn node(self) -> u32 {
        self.tagged & NODE
    }

    /// Walked through, but not allowed as a result.
    pub(crate) fn is_passage(self) -> bool {
        self.tagged & PASSAGE != 0
    }
}

/// The nearest so many nodes say how far a walk goes: of fewer than these the noise of codes would decide.
const WANTED_MIN: usize = 8;
/// A walk goes so many times as far as the last node that is wanted lies, and farther with its width.
const TIMES_MIN: f32 = 1.3;
const TIMES_PER_DOUBLING: f32 = 0.1;

/// Where a walk ends although its beam holds more: what lies that much farther than the nodes that are wanted hardly
/// leads back to nearer ones (Al-Jazzazi et al., Distance Adaptive Beam Search, NeurIPS 2025). This spares most where a
/// beam is wider than the cluster that the query lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    wanted: usize,
    times: f32,
}

impl Default for Horizon {
    /// None: to the end of the beam.
    fn default() -> Self {
        Self { wanted: usize::MAX, times: 1.0 }
    }
}

impl Horizon {
    /// For the `wanted` nearest by a beam of `width`, by keys that are squared distances.
    pub(crate) fn of(wanted: usize, width: usize) -> Self {
        let doublings = (width as f32 / wanted.max(1) as f32).log2();
        Self { wanted: wanted.max(WANTED_MIN), times: (1.0 + TIMES_PER_DOUBLING * doublings).max(TIMES_MIN) }
    }
}

/// The `capacity` nearest nodes met, ascending by key, each knowing whether its neighbours have been looked at.
#[derive(Debug, Default)]
pub(crate) struct Beam {
    entries: Vec<Entry>,
    capacity: usize,
    cursor: usize,
    horizon: Horizon,
}

impl Beam {
    pub(crate) fn reset(&mut self, capacity: usize) {
        self.entries.clear();
        self.capacity = capacity.max(1);
        self.cursor = 0;
        self.horizon = Horizon::default();
    }

    /// Ends the walk at `horizon`, until the next one begins.
    pub(crate) fn end_at(&mut self, horizon: Horizon) {
        self.horizon = horizon;
    }

    /// True when the node was near enough to be kept.
    #[inline]
    pub(crate) fn offer(&mut self, key: f32, node: u32, passage: bool) -> bool {
        if self.entries.len() >= self.capacity {
            if self.entries.last().is_some_and(|last| key >= last.key) {
                return false;
            }
            self.entries.pop();
        }
        let at = self.entries.partition_point(|entry| entry.key <= key);
        self.entries.insert(at, Entry { key, tagged: node | if passage { PASSAGE } else { 0 } });
        self.cursor = self.cursor.min(at);
        true
    }

    /// The nearest node not looked at yet, marked as looked at, unless it lies beyond the horizon.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u32> {
        let Horizon { wanted, times } = self.horizon;
        let limit = self.entries.get(wanted - 1).map_or(f32::INFINITY, |last| last.key.max(0.0) * times);
        while let Some(entry) = self.entries.get_mut(self.cursor).filter(|entry| entry.key <= limit) {
            self.cursor += 1;
            if entry.tagged & EXPANDED == 0 {
                entry.tagged |= EXPANDED;
                return Some(entry.tagged & NODE);
            }
        }
        None
    }

    /// The node that `next` will probably give.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u32> {
        self.entries.get(self.cursor).map(|entry| entry.node())
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The key that a node must be below to enter.
    #[inline]
    pub(crate) fn limit(&self) -> f32 {
        self.entries.last().filter(|_| self.is_full()).map_or(f32::INFINITY, |last| last.key)
    }

    /// As [`Self::offer`], but a full beam grows instead of losing its farthest entry.
    #[inline]
    pub(crate) fn admit(&mut self, key: f32, node: u32) {
        if key < self.limit() {
            self.capacity += usize::from(self.is_full());
            self.offer(key, node, false);
        }
    }

    /// Drops what is beyond `capacity` entries. Where there are fewer, a full beam stays full: what was too far remains
    /// so.
    #[inline]
    pub(crate) fn narrow(&mut self, capacity: usize) {
        if self.entries.len() >= capacity {
            self.entries.truncate(capacity);
            self.capacity = capacity;
        }
    }

    /// How many entries are as near as `key`, or nearer.
    #[inline]
    pub(crate) fn count_to(&self, key: f32) -> usize {
        self.entries.partition_point(|entry| entry.key <= key)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }
}

/// A set of nodes that is emptied in no time: a byte a node tells in which walk the node was met last.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    marks: Vec<u8>,
    epoch: u8,
}

impl Visited {
    pub(crate) fn reset(&mut self, nodes: usize) {
        if self.marks.len() < nodes {
            self.marks.resize(nodes, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }

    /// False when the node was in the set already. Nodes outside the graph are never new.
    #[inline]
    pub(crate) fn insert(&mut self, node: u32) -> bool {
        match self.marks.get_mut(node as usize) {
            Some(mark) if *mark != self.epoch => {
                *mark = self.epoch;
                true
            }
            _ => false,
        }
    }

    /// Puts all nodes of the list in and leaves only the new ones there.
    #[inline]
    pub(crate) fn keep_new(&mut self, nodes: &mut Vec<u32>) {
        let mut kept = 0;
        for at in 0..nodes.len() {
            // Without a branch: which nodes are new is hard to foresee.
            let node = nodes[at];
            nodes[kept] = node;
            if let Some(mark) = self.marks.get_mut(node as usize) {
                kept += usize::from(*mark != self.epoch);
                *mark = self.epoch;
            }
        }
        nodes.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::{Beam, Horizon, Visited};

    #[test]
    fn beam_keeps_the_nearest_and_goes_back_for_nearer_ones() {
        let mut beam = Beam::default();
        beam.reset(3);
        for (key, node) in [(5.0, 5), (1.0, 1), (3.0, 3)] {
            beam.offer(key, node, false);
        }
        assert_eq!(beam.next(), Some(1));
        assert_eq!(beam.next(), Some(3));
        beam.offer(0.5, 7, true);
        beam.offer(9.0, 9, false);
        assert_eq!(beam.next(), Some(7));
        assert_eq!(beam.next(), None);
        assert_eq!(beam.entries().iter().map(|entry| entry.node()).collect::<Vec<_>>(), [7, 1, 3]);
        assert!(beam.entries()[0].is_passage() && beam.is_full());
    }

    #[test]
    fn a_walk_ends_at_its_horizon() {
        let mut beam = Beam::default();
        beam.reset(100);
        beam.end_at(Horizon::of(8, 16));
        (1..=9u8).for_each(|node| {
            beam.offer(f32::from(node), u32::from(node), false);
        });
        assert_eq!(std::iter::from_fn(|| beam.next()).count(), 9);
        beam.offer(8.0 * 1.3 + 0.1, 10, false);
        assert_eq!(beam.next(), None);
        beam.end_at(Horizon::of(8, 8 << 4));
        assert_eq!(beam.next(), Some(10));
        beam.offer(1e9, 11, false);
        assert_eq!(beam.next(), None);
        beam.end_at(Horizon::default());
        assert_eq!(beam.next(), Some(11));
    }

    #[test]
    fn a_narrowed_beam_never_takes_what_was_too_far() {
        let mut beam = Beam::default();
        beam.reset(100);
        (0..6u8).for_each(|node| beam.admit(f32::from(node), u32::from(node)));
        assert_eq!((beam.count_to(2.0), beam.is_full()), (3, false));
        beam.narrow(4);
        beam.admit(3.5, 9);
        beam.admit(0.5, 7);
        beam.narrow(6);
        beam.admit(4.0, 8);
        assert_eq!(beam.entries().iter().map(|entry| entry.node()).collect::<Vec<_>>(), [0, 7, 1, 2, 3]);
        assert!(beam.is_full());
    }

    #[test]
    fn visited_forgets_between_walks_even_when_the_epoch_turns_over() {
        let mut visited = Visited::default();
        for _ in 0..600 {
            visited.reset(4);
            assert!(visited.insert(2) && !visited.insert(2) && !visited.insert(4));
            let mut nodes = vec![3, 2, 4, 0, 3, 1];
            visited.keep_new(&mut nodes);
            assert_eq!(nodes, [3, 0, 1]);
        }
    }
}
