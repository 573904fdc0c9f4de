//! [`crate::compare`] with AVX2: whole numbers. It compares signed ones only, so both sides are shifted by half of the
//! range of values.

use std::arch::x86_64::*;

#[target_feature(enable = "avx2")]
fn int32_body(values: &[i32], low: i32, span: u32, out: &mut [u64]) {
    let (whole, rest) = values.as_chunks::<64>();
    assert!(out.len() >= values.len().div_ceil(64));
    let low_and_half = _mm256_set1_epi32(low.wrapping_sub(i32::MIN));
    let most = _mm256_set1_epi32(span.cast_signed().wrapping_add(i32::MIN));
    for (word, values) in out.iter_mut().zip(whole) {
        *word = 0;
        for (at, eight) in values.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: eight values are there.
            let value = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
            let beyond = _mm256_cmpgt_epi32(_mm256_sub_epi32(value, low_and_half), most);
            *word |= u64::from(!_mm256_movemask_ps(_mm256_castsi256_ps(beyond)) as u8) << (at * 8);
        }
    }
    crate::compare::pack(rest, &mut out[whole.len()..], |value| value.wrapping_sub(low).cast_unsigned() <= span);
}

pub(crate) fn int32(values: &[i32], low: i32, span: u32, out: &mut [u64]) {
    // SAFETY: `CompareKernel` hands this function out only where the processor has the level.
    unsafe { int32_body(values, low, span, out) }
}

#[target_feature(enable = "avx2")]
fn int64_body(values: &[i64], low: i64, span: u64, out: &mut [u64]) {
    let (whole, rest) = values.as_chunks::<64>();
    assert!(out.len() >= values.len().div_ceil(64));
    let low_and_half = _mm256_set1_epi64x(low.wrapping_sub(i64::MIN));
    let most = _mm256_set1_epi64x(span.cast_signed().wrapping_add(i64::MIN));
    for (word, values) in out.iter_mut().zip(whole) {
        *word = 0;
        for (at, four) in values.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: four values are there.
            let value = unsafe { _mm256_loadu_si256(four.as_ptr().cast()) };
            let beyond = _mm256_cmpgt_epi64(_mm256_sub_epi64(value, low_and_half), most);
            *word |= u64::from(!_mm256_movemask_pd(_mm256_castsi256_pd(beyond)) as u8 & 15) << (at * 4);
        }
    }
    crate::compare::pack(rest, &mut out[whole.len()..], |value| value.wrapping_sub(low).cast_unsigned() <= span);
}

pub(crate) fn int64(values: &[i64], low: i64, span: u64, out: &mut [u64]) {
    // SAFETY: as for `int32`.
    unsafe { int64_body(values, low, span, out) }
}
