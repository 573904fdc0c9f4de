//! Sums of a signed query over the set bits of records that lie anywhere: the first look of a walk at many neighbours.

use crate::dispatch::Isa;

/// Queries are padded with zeros to whole steps of so many bytes, and bits are read in words of as many.
pub const STEP: usize = 64;

/// Where records lie, and the bits in each.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub bytes: &'a [u8],
    /// Bytes from one record to the next.
    pub stride: usize,
    /// Where in a record the bits start.
    pub bits_at: usize,
}

impl<'a> Records<'a> {
    /// The first `words` words of bits of a record; none where the record has fewer.
    #[inline]
    pub(crate) fn bits(&self, record: u32, words: usize) -> &'a [[u8; 8]] {
        let start = record as usize * self.stride + self.bits_at;
        self.bytes.get(start..start + words * 8).map_or(&[], |bits| bits.as_chunks().0)
    }
}

/// For each record of the list: the sum of the query's bytes whose bit is set, into the place of the same number. Where
/// one of the two is shorter the rest stays as it is; a record outside gives 0; a query of no whole steps is cut.
pub type SignSumsFn = fn(&Records<'_>, &[u32], &[u8], &mut [i32]);

/// The function for this processor.
#[must_use]
pub fn sign_sums(isa: Isa) -> SignSumsFn {
    match isa.x86() {
        #[cfg(target_arch = "x86_64")]
        Some(crate::dispatch::X86::Avx512) => crate::x86::signs512::sums,
        #[cfg(target_arch = "x86_64")]
        Some(crate::dispatch::X86::Avx2) => crate::x86::signs2::sums,
        _ => sums,
    }
}

fn sums(records: &Records<'_>, list: &[u32], query: &[u8], sums: &mut [i32]) {
    let steps = query.as_chunks::<STEP>().0;
    for (&record, sum) in list.iter().zip(sums) {
        let words = records.bits(record, steps.len()).iter().map(|&word| u64::from_le_bytes(word));
        *sum = words.zip(steps).map(|(word, step)| word_sum(word, step)).sum();
    }
}

/// Bit by bit a mask: no branch that data decide.
fn word_sum(word: u64, step: &[u8; STEP]) -> i32 {
    let set = |at: usize| -((word >> at & 1) as i32);
    step.iter().enumerate().map(|(at, &byte)| i32::from(byte.cast_signed()) & set(at)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Records, STEP, sign_sums};
    use crate::dispatch::Isa;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn every_level_adds_the_bytes_whose_bit_is_set(
            bytes in prop::collection::vec(any::<u8>(), 0..1200),
            query in prop::collection::vec(any::<u8>(), 0..400),
            list in prop::collection::vec(0u32..12, 0..23),
            bits_at in 0usize..20,
        ) {
            let words = query.len() / STEP;
            let records = Records { bytes: &bytes, stride: 100, bits_at };
            let bit = |record: u32, at: usize| {
                let start = record as usize * 100 + bits_at;
                let inside = start + words * 8 <= bytes.len();
                inside && bytes[start + at / 8] >> (at % 8) & 1 == 1
            };
            let expected: Vec<i32> = list
                .iter()
                .map(|&record| (0..words * STEP).filter(|&at| bit(record, at)).map(|at| query[at] as i8 as i32).sum())
                .collect();
            for isa in Isa::available() {
                let mut found = vec![7; list.len()];
                sign_sums(isa)(&records, &list, &query, &mut found);
                prop_assert_eq!(&found, &expected, "{}", isa.name());
            }
        }
    }
}
