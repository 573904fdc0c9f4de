//! [`crate::signs`] with AVX-512 and VNNI.

use std::arch::x86_64::*;

use crate::signs::{Records, STEP};

/// Records whose sums are folded together.
const FOUR: usize = 4;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sum_of(words: &[[u8; 8]], steps: &[[u8; STEP]]) -> __m512i {
    let ones = _mm512_set1_epi8(1);
    let mut total = _mm512_setzero_si512();
    for (word, step) in words.iter().zip(steps) {
        // SAFETY: a step is one whole register.
        let values = unsafe { _mm512_maskz_loadu_epi8(u64::from_le_bytes(*word), step.as_ptr().cast()) };
        total = _mm512_dpbusd_epi32(total, ones, values);
    }
    total
}

/// The sums of four registers each.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn fold([a, b, c, d]: [__m512i; FOUR]) -> [i32; FOUR] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut sums = [0; FOUR];
    // SAFETY: four words are one register.
    unsafe { _mm_storeu_si128(sums.as_mut_ptr().cast(), quarter) };
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sums_body(records: &Records<'_>, list: &[u32], query: &[u8], sums: &mut [i32]) {
    let steps = query.as_chunks::<STEP>().0;
    for (list, sums) in list.chunks(FOUR).zip(sums.chunks_mut(FOUR)) {
        let totals = std::array::from_fn(|at| {
            let words = list.get(at).map_or(&[][..], |&record| records.bits(record, steps.len()));
            sum_of(words, steps)
        });
        let found = fold(totals);
        sums.copy_from_slice(&found[..sums.len()]);
    }
}

pub(crate) fn sums(records: &Records<'_>, list: &[u32], query: &[u8], sums: &mut [i32]) {
    let count = list.len().min(sums.len());
    // SAFETY: `sign_sums` hands this function out only where the processor has the level.
    unsafe { sums_body(records, &list[..count], query, &mut sums[..count]) }
}
