//! The best k of a stream of scores, in one order everywhere: better score first, equal scores by ascending row.

use crate::vector::{Hit, Metric, Query};

/// Scores turned so that smaller is better.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    similarity: bool,
}

impl Direction {
    pub(crate) fn of(metric: Metric) -> Self {
        Self { similarity: metric.larger_is_better() }
    }

    #[inline]
    pub(crate) fn key(self, score: f32) -> f32 {
        if self.similarity { -score } else { score }
    }

    /// The inverse of [`Self::key`]; never gives −0.
    #[inline]
    pub(crate) fn score(self, key: f32) -> f32 {
        self.key(key) + 0.0
    }
}

/// Which keys a range search keeps: `low ≤ key < high`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    low: Option<f32>,
    high: Option<f32>,
}

impl Bounds {
    pub(crate) fn of(query: &Query<'_>, direction: Direction) -> Self {
        Self {
            low: query.range_filter.map(|bound| direction.key(bound)),
            high: query.radius.map(|bound| direction.key(bound)),
        }
    }

    #[inline]
    pub(crate) fn admit(self, key: f32) -> bool {
        self.low.is_none_or(|low| low <= key) && self.high.is_none_or(|high| key < high)
    }

    /// Whether a key lies on the near side of the range.
    pub(crate) fn begins_after(self, key: f32) -> bool {
        self.low.is_some_and(|low| key < low)
    }

    /// Whether a key lies on the far side of the range.
    pub(crate) fn ends_before(self, key: f32) -> bool {
        self.high.is_some_and(|high| key >= high)
    }

    /// The larger of the keys that `admit` lets through is not above this, nor above `key`.
    pub(crate) fn at_most(self, key: f32) -> f32 {
        self.high.map_or(key, |high| high.min(key))
    }

    pub(crate) fn limited(self) -> bool {
        self.low.is_some() || self.high.is_some()
    }
}

/// One integer that sorts like (key, row). A key that is not a number sorts last.
#[inline]
pub(crate) fn pack(key: f32, row: u32) -> u64 {
    let key = if key.is_nan() { f32::INFINITY } else { key + 0.0 };
    let bits = key.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
    u64::from(ordered) << 32 | u64::from(row)
}

#[inline]
pub(crate) fn unpack(packed: u64) -> (f32, u32) {
    let ordered = (packed >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & 0x7FFF_FFFF } else { !ordered };
    (f32::from_bits(bits), packed as u32)
}

/// Keeps what beats the worst of the best so far in a buffer of twice the size, and halves it when it is full:
/// cheaper than a heap, because most offers fail one comparison.
#[derive(Debug)]
pub(crate) struct TopK {
    k: usize,
    capacity: usize,
    buffer: Vec<u64>,
    threshold: u64,
}

impl TopK {
    pub(crate) fn new(k: usize) -> Self {
        let capacity = k.saturating_mul(2).max(32);
        let threshold = if k == 0 { 0 } else { u64::MAX };
        Self { k, capacity, buffer: Vec::with_capacity(capacity.min(1 << 16)), threshold }
    }

    pub(crate) fn wanted(&self) -> usize {
        self.k
    }

    #[inline]
    pub(crate) fn offer(&mut self, key: f32, row: u32) {
        let packed = pack(key, row);
        if packed < self.threshold {
            self.buffer.push(packed);
            if self.buffer.len() == self.capacity {
                self.halve();
            }
        }
    }

    #[cold]
    fn halve(&mut self) {
        let (_, &mut worst, _) = self.buffer.select_nth_unstable(self.k - 1);
        self.threshold = worst;
        self.buffer.truncate(self.k);
    }

    /// A key that a later one must not exceed to enter; tighter from time to time, never wrong.
    #[inline]
    pub(crate) fn bound(&self) -> f32 {
        if self.threshold == u64::MAX { f32::INFINITY } else { unpack(self.threshold).0.next_up() }
    }

    /// The key that a later row must be below to enter; infinite until k are known.
    pub(crate) fn limit(&mut self) -> f32 {
        if self.k > 0 && self.buffer.len() > self.k {
            self.halve();
        } else if self.k > 0 && self.buffer.len() == self.k {
            self.threshold = self.buffer.iter().copied().max().unwrap_or(u64::MAX);
        }
        if self.threshold == u64::MAX { f32::INFINITY } else { unpack(self.threshold).0 }
    }

    /// Rows and their keys, best first.
    pub(crate) fn finish_keyed(mut self, rows: &mut Vec<u32>, keys: &mut Vec<f32>) {
        self.buffer.sort_unstable();
        self.buffer.truncate(self.k);
        rows.extend(self.buffer.iter().map(|&packed| packed as u32));
        keys.extend(self.buffer.iter().map(|&packed| unpack(packed).0));
    }

    /// The rows alone, best first.
    pub(crate) fn finish_rows(mut self, out: &mut Vec<u32>) {
        self.buffer.sort_unstable();
        self.buffer.truncate(self.k);
        out.extend(self.buffer.iter().map(|&packed| packed as u32));
    }

    pub(crate) fn finish(mut self, direction: Direction, out: &mut Vec<Hit>) {
        self.buffer.sort_unstable();
        self.buffer.truncate(self.k);
        out.extend(self.buffer.iter().map(|&packed| {
            let (key, row) = unpack(packed);
            Hit { score: direction.score(key), row }
        }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Direction, TopK, pack, unpack};
    use crate::vector::Metric;

    proptest! {
        #[test]
        fn packed_order_is_the_order_of_keys_then_rows(
            x in -1e30f32..1e30, y in -1e30f32..1e30, rows in any::<(u32, u32)>(),
        ) {
            prop_assert_eq!(unpack(pack(x, rows.0)), (x + 0.0, rows.0));
            let expected = x.partial_cmp(&y).expect("numbers").then(rows.0.cmp(&rows.1));
            prop_assert_eq!(pack(x, rows.0).cmp(&pack(y, rows.1)), expected);
        }

        #[test]
        fn keeps_what_a_full_sort_keeps(scores in prop::collection::vec(-5i8..5, 0..300), k in 0usize..80) {
            let mut top = TopK::new(k);
            let direction = Direction::of(Metric::Ip);
            for (row, &score) in scores.iter().enumerate() {
                top.offer(direction.key(f32::from(score)), row as u32);
            }
            let mut hits = vec![];
            top.finish(direction, &mut hits);
            let mut expected: Vec<(i8, usize)> = scores.iter().enumerate().map(|(row, &s)| (-s, row)).collect();
            expected.sort_unstable();
            expected.truncate(k);
            let found: Vec<(i8, usize)> = hits.iter().map(|hit| (-(hit.score as i8), hit.row as usize)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
