//! Tombstones of one segment: which rows died, and when.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use elanus_rows::column::Bits;

/// Deaths by row. A row keeps its earliest death, so that applying the same deletes again, or in another order,
/// changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths {
    at: HashMap<u32, u64>,
    /// (death, row): finds the deaths younger than a snapshot without looking at the others.
    by_time: BTreeSet<(u64, u32)>,
    /// One bit a dead row.
    dead: Vec<u64>,
}

impl Deaths {
    /// True when the row was alive until now.
    pub(crate) fn kill(&mut self, row: u32, at: u64) -> bool {
        match self.at.get_mut(&row) {
            Some(known) if *known <= at => false,
            Some(known) => {
                self.by_time.remove(&(*known, row));
                self.by_time.insert((at, row));
                *known = at;
                false
            }
            None => {
                self.at.insert(row, at);
                self.by_time.insert((at, row));
                let word = row as usize / 64;
                if self.dead.len() <= word {
                    self.dead.resize(word + 1, 0);
                }
                self.dead[word] |= 1 << (row % 64);
                true
            }
        }
    }

    pub(crate) fn of(&self, row: u32) -> Option<u64> {
        self.at.get(&row).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Every (row, death), by row.
    pub(crate) fn sorted(&self) -> Vec<(u32, u64)> {
        let mut all: Vec<_> = self.at.iter().map(|(&row, &at)| (row, at)).collect();
        all.sort_unstable();
        all
    }

    /// (death, row) of the deaths younger than `after`.
    pub(crate) fn younger(&self, after: u64) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.by_time.range((Bound::Excluded((after, u32::MAX)), Bound::Unbounded)).copied()
    }

    /// True when a row of `base..base + rows` has died at any time.
    pub(crate) fn touches(&self, base: u32, rows: usize) -> bool {
        !self.is_empty() && (0..rows.div_ceil(64)).any(|i| self.word(base, i, rows) != 0)
    }

    /// Clears the bits of the rows `base..base + bits.len()` that were dead at `snapshot`.
    pub(crate) fn hide(&self, base: u32, bits: &mut Bits, snapshot: u64) {
        if self.is_empty() {
            return;
        }
        let rows = bits.len();
        let younger: Vec<usize> = self
            .younger(snapshot)
            .filter_map(|(_, row)| row.checked_sub(base).map(|i| i as usize))
            .filter(|&i| i < rows && bits.get(i))
            .collect();
        for (i, word) in bits.words_mut().iter_mut().enumerate() {
            *word &= !self.word(base, i, rows);
        }
        younger.into_iter().for_each(|i| bits.set(i, true));
    }

    /// Heap bytes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.at.len() * 48 + self.dead.len() * 8
    }

    /// Dead bits of the 64 rows from `base + 64 * i`, none beyond `base + rows`.
    fn word(&self, base: u32, i: usize, rows: usize) -> u64 {
        let at = |word: usize| self.dead.get(word).copied().unwrap_or(0);
        let (first, shift) = (base as usize / 64 + i, base % 64);
        let word = match shift {
            0 => at(first),
            _ => at(first) >> shift | at(first + 1) << (64 - shift),
        };
        match rows - i * 64 {
            left @ 0..64 => word & ((1 << left) - 1),
            _ => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use elanus_rows::column::Bits;

    use super::Deaths;

    #[test]
    fn the_earliest_death_stays() {
        let mut deaths = Deaths::default();
        assert!(deaths.kill(7, 20));
        assert!(!deaths.kill(7, 30));
        assert_eq!(deaths.of(7), Some(20));
        assert!(!deaths.kill(7, 10));
        assert_eq!((deaths.of(7), deaths.len()), (Some(10), 1));
        assert_eq!(deaths.younger(9).collect::<Vec<_>>(), [(10, 7)]);
    }

    #[test]
    fn hides_what_was_dead_at_the_snapshot() {
        let mut deaths = Deaths::default();
        for row in 0..200u32 {
            deaths.kill(row, u64::from(row % 7) + 1);
        }
        for (base, rows, snapshot) in [(0, 200, 3), (5, 100, 1), (64, 64, 7), (130, 200, 4), (63, 2, 0)] {
            let mut bits = Bits::with_value(rows, true);
            deaths.hide(base, &mut bits, snapshot);
            for i in 0..rows {
                let dead = deaths.of(base + i as u32).is_some_and(|at| at <= snapshot);
                assert_eq!(bits.get(i), !dead, "row {} at {snapshot}", base as usize + i);
            }
        }
    }
}
