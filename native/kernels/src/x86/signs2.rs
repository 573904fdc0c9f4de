//! [`crate::signs`] with AVX2: half a word at a time, its bits spread over bytes.

use std::arch::x86_64::*;

use super::avx2::total_i32;
use crate::signs::{Records, STEP};

#[inline]
#[target_feature(enable = "avx2")]
fn sum_of(words: &[[u8; 8]], steps: &[[u8; STEP]]) -> i32 {
    // Byte `i` of a register looks at bit `i % 8` of byte `i / 8` of the half word, which stands in every lane.
    let byte_of = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let bit_of = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
    let (ones, wide_ones) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    let mut total = _mm256_setzero_si256();
    for (word, step) in words.iter().zip(steps) {
        for (half, values) in word.as_chunks::<4>().0.iter().zip(step.as_chunks::<32>().0) {
            let spread = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(*half)), byte_of);
            let set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of), bit_of);
            // SAFETY: half a step is one whole register.
            let values = unsafe { _mm256_loadu_si256(values.as_ptr().cast()) };
            // Two bytes beside each other fit 16 bits.
            let pairs = _mm256_maddubs_epi16(ones, _mm256_and_si256(values, set));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, wide_ones));
        }
    }
    total_i32(total)
}

#[target_feature(enable = "avx2")]
fn sums_body(records: &Records<'_>, list: &[u32], query: &[u8], sums: &mut [i32]) {
    let steps = query.as_chunks::<STEP>().0;
    for (&record, sum) in list.iter().zip(sums) {
        *sum = sum_of(records.bits(record, steps.len()), steps);
    }
}

pub(crate) fn sums(records: &Records<'_>, list: &[u32], query: &[u8], sums: &mut [i32]) {
    // SAFETY: `sign_sums` hands this function out only where the processor has the level.
    unsafe { sums_body(records, list, query, sums) }
}
