//! Which keys are certainly not in a segment. The bits are on disk, so the hash never changes
//! (docs/formats/segment.md).

use elanus_rows::keys::Key;

/// Words of one block: all bits of a key lie in one cache line.
const BLOCK_WORDS: usize = 8;
const BITS_PER_KEY: usize = 12;
const PROBES: u32 = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    pub(crate) fn of<'a>(count: usize, keys: impl Iterator<Item = Key<'a>>) -> Self {
        let blocks = (count * BITS_PER_KEY).div_ceil(BLOCK_WORDS * 64).max(1);
        let mut bloom = Self { words: vec![0; blocks * BLOCK_WORDS] };
        for key in keys {
            let (block, mut bits) = bloom.place(hash(key));
            for _ in 0..PROBES {
                let bit = (bits & 511) as usize;
                bloom.words[block + bit / 64] |= 1 << (bit % 64);
                bits >>= 9;
            }
        }
        bloom
    }

    /// `None` when these are no words of a filter.
    pub(crate) fn from_words(words: Vec<u64>) -> Option<Self> {
        (!words.is_empty() && words.len().is_multiple_of(BLOCK_WORDS)).then_some(Self { words })
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn may_contain(&self, key: Key<'_>) -> bool {
        let (block, mut bits) = self.place(hash(key));
        (0..PROBES).all(|_| {
            let bit = (bits & 511) as usize;
            bits >>= 9;
            self.words[block + bit / 64] >> (bit % 64) & 1 == 1
        })
    }

    /// First word of the block, and the bits that choose within it.
    fn place(&self, hash: u64) -> (usize, u64) {
        let blocks = (self.words.len() / BLOCK_WORDS) as u64;
        let block = (((hash >> 32) * blocks) >> 32) as usize;
        (block * BLOCK_WORDS, mix(hash))
    }
}

/// FNV-1a over the bytes of a text, then mixed; an integer is mixed as it is.
fn hash(key: Key<'_>) -> u64 {
    match key {
        Key::Int(key) => mix(key.cast_unsigned()),
        Key::Text(text) => mix(text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })),
    }
}

/// The finaliser of SplitMix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use elanus_rows::keys::Key;

    use super::Bloom;

    #[test]
    fn knows_its_keys_and_few_others() {
        let bloom = Bloom::of(5000, (0..5000).map(|i| Key::Int(i * 7)));
        assert!((0..5000).all(|i| bloom.may_contain(Key::Int(i * 7))));
        let wrong = (0..10_000).filter(|i| bloom.may_contain(Key::Int(i * 7 + 3))).count();
        assert!(wrong < 200, "{wrong} of 10000 false");
        let texts: Vec<String> = (0..100).map(|i| format!("key {i}")).collect();
        let bloom = Bloom::of(100, texts.iter().map(|text| Key::Text(text.as_bytes())));
        assert!(texts.iter().all(|text| bloom.may_contain(Key::Text(text.as_bytes()))));
    }
}
