//! Tests on numbers and the loops that turn 64 rows into one word.

use elanus_kernels::compare::FloatRange;

/// Words of one chunk of rows. Nested nodes hold several such arrays each on the stack.
pub(crate) const CHUNK_WORDS: usize = 16;
pub(crate) const CHUNK_ROWS: usize = CHUNK_WORDS * 64;
pub(crate) type Words = [u64; CHUNK_WORDS];

/// One bit a row for the first `rows` rows; bits above stay zero.
#[inline]
pub(crate) fn pack<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> Words {
    let mut words = [0; CHUNK_WORDS];
    let (blocks, tail) = values.as_chunks::<64>();
    for (word, block) in words.iter_mut().zip(blocks) {
        *word = pack_block(block, &test);
    }
    if let Some(word) = words.get_mut(blocks.len()) {
        *word = tail.iter().enumerate().fold(0, |word, (i, &value)| word | u64::from(test(value)) << i);
    }
    words
}

/// Eight bytes of 0 or 1 become eight bits by one multiplication, which compilers turn into vector compares.
#[inline]
fn pack_block<T: Copy>(block: &[T; 64], test: impl Fn(T) -> bool) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, &value) in flags.iter_mut().zip(block) {
        *flag = u8::from(test(value));
    }
    let (groups, _) = flags.as_chunks::<8>();
    groups.iter().enumerate().fold(0, |word, (i, &group)| {
        word | (u64::from_le_bytes(group).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (i * 8)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
}

impl Operation {
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Add,
            1 => Self::Subtract,
            2 => Self::Multiply,
            3 => Self::Divide,
            4 => Self::Remainder,
            5 => Self::And,
            6 => Self::Or,
            7 => Self::Xor,
            _ => return None,
        })
    }

    /// 64-bit wrapping; the divisor is checked when the program is read.
    #[inline]
    pub fn on_ints(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide => a.wrapping_div(b),
            Self::Remainder => a.wrapping_rem(b),
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        }
    }

    /// `None` for operations that only integers have.
    #[inline]
    pub fn on_floats(self, a: f64, b: f64) -> Option<f64> {
        match self {
            Self::Add => Some(a + b),
            Self::Subtract => Some(a - b),
            Self::Multiply => Some(a * b),
            Self::Divide => Some(a / b),
            Self::Remainder | Self::And | Self::Or | Self::Xor => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum IntTest {
    /// Inclusive; empty when `low > high`.
    Range {
        low: i64,
        high: i64,
    },
    In(IntSet),
}

impl IntTest {
    #[inline]
    pub fn matches(&self, value: i64) -> bool {
        match self {
            Self::Range { low, high } => *low <= value && value <= *high,
            Self::In(set) => set.contains(value),
        }
    }
}

/// Sorted distinct integers, with a bitmap when they lie close together.
#[derive(Debug)]
pub(crate) struct IntSet {
    values: Vec<i64>,
    dense: Option<Vec<u64>>,
}

impl IntSet {
    pub fn new(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        values.dedup();
        let span = match (values.first(), values.last()) {
            (Some(&low), Some(&high)) => high.abs_diff(low).saturating_add(1),
            _ => 0,
        };
        let dense = (span > 0 && span <= (values.len() as u64).saturating_mul(64).max(4096)).then(|| {
            let mut words = vec![0u64; span.div_ceil(64) as usize];
            for value in &values {
                let offset = value.abs_diff(values[0]) as usize;
                words[offset / 64] |= 1 << (offset % 64);
            }
            words
        });
        Self { values, dense }
    }

    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        match &self.dense {
            Some(words) => {
                let offset = value.wrapping_sub(self.values[0]) as u64;
                words.get((offset / 64) as usize).is_some_and(|word| word >> (offset % 64) & 1 == 1)
            }
            None => self.values.binary_search(&value).is_ok(),
        }
    }

    pub fn values(&self) -> &[i64] {
        &self.values
    }
}

#[derive(Debug)]
pub(crate) enum FloatTest {
    Range(FloatRange),
    In(Vec<f64>),
}

impl FloatTest {
    /// NaN matches nothing.
    #[inline]
    pub fn matches(&self, value: f64) -> bool {
        match self {
            Self::Range(range) => range.contains(value),
            Self::In(values) => values.contains(&value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pack_sets_one_bit_a_row(values in proptest::collection::vec(0i64..4, 0..CHUNK_ROWS)) {
            let words = pack(&values, |v| v == 1);
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(words[i / 64] >> (i % 64) & 1 == 1, *value == 1);
            }
            let ones: u32 = words.iter().map(|w| w.count_ones()).sum();
            prop_assert_eq!(ones as usize, values.iter().filter(|v| **v == 1).count());
        }

        #[test]
        fn int_set_is_a_set(values in proptest::collection::vec(-300i64..300, 0..40), probe in -400i64..400) {
            prop_assert_eq!(IntSet::new(values.clone()).contains(probe), values.contains(&probe));
        }
    }

    #[test]
    fn int_set_at_the_ends() {
        let set = IntSet::new(vec![i64::MIN, i64::MAX]);
        assert!(set.contains(i64::MIN) && set.contains(i64::MAX) && !set.contains(0));
        assert!(!IntSet::new(vec![]).contains(0));
        let near = IntSet::new(vec![i64::MAX - 1, i64::MAX]);
        assert!(near.contains(i64::MAX) && !near.contains(i64::MIN) && !near.contains(0));
    }
}
