//! Bit sets over borrowed words, least significant bit first.

/// A set of rows: bit `row % 64` of word `row / 64`. Rows beyond the words are not in the set.
#[derive(Clone, Copy, Debug)]
pub struct BitsetView<'a> {
    words: &'a [u64],
}

impl<'a> BitsetView<'a> {
    #[must_use]
    pub fn new(words: &'a [u64]) -> Self {
        Self { words }
    }

    #[inline]
    #[must_use]
    pub fn contains(self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Number of rows in the set.
    #[must_use]
    pub fn count(self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    #[must_use]
    pub fn words(self) -> &'a [u64] {
        self.words
    }

    /// Rows in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'a {
        self.words.iter().enumerate().flat_map(|(index, &word)| SetBits { word, base: index as u32 * 64 })
    }
}

struct SetBits {
    word: u64,
    base: u32,
}

impl Iterator for SetBits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.base + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::BitsetView;

    #[test]
    fn rows_come_in_order_and_agree_with_contains() {
        let words = [0x8000_0000_0000_0001, 0, 0b1010];
        let set = BitsetView::new(&words);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 129, 131]);
        assert_eq!(set.count(), 4);
        assert!((0..400).all(|row| set.contains(row) == [0, 63, 129, 131].contains(&row)));
    }
}
