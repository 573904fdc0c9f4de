//! [`crate::scan`] with AVX2, where it pays: sums by fours.

use std::arch::x86_64::*;

use crate::scan::{BLOCK, STEP, Sums};

/// Registers of 8 codes that make a block.
const PARTS: usize = BLOCK / 8;

#[inline]
#[target_feature(enable = "avx2")]
fn load_sums(sums: &Sums) -> [__m256i; PARTS] {
    // SAFETY: a block's sums are eight whole registers.
    std::array::from_fn(|part| unsafe { _mm256_loadu_si256(sums.as_ptr().add(part * 8).cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_sums(values: [__m256i; PARTS], sums: &mut Sums) {
    for (part, value) in values.into_iter().enumerate() {
        // SAFETY: a block's sums are eight whole registers.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().add(part * 8).cast(), value) };
    }
}

/// The even and the odd bytes of a code meet the query's in 16 bits: products of whole bytes would saturate.
#[target_feature(enable = "avx2")]
fn dot_body(codes: &[u8], query: &[u8], sums: &mut Sums) {
    let low_byte = _mm256_set1_epi16(255);
    let mut totals = load_sums(sums);
    for (codes, query) in codes.chunks_exact(STEP).zip(query.chunks_exact(4)) {
        let wide = |byte: u8| i32::from(byte.cast_signed());
        let even = _mm256_set1_epi32(wide(query[0]) & 0xFFFF | wide(query[2]) << 16);
        let odd = _mm256_set1_epi32(wide(query[1]) & 0xFFFF | wide(query[3]) << 16);
        for (part, total) in totals.iter_mut().enumerate() {
            // SAFETY: a step is eight whole registers.
            let code = unsafe { _mm256_loadu_si256(codes.as_ptr().add(part * 32).cast()) };
            let evens = _mm256_madd_epi16(_mm256_and_si256(code, low_byte), even);
            let odds = _mm256_madd_epi16(_mm256_srli_epi16::<8>(code), odd);
            *total = _mm256_add_epi32(*total, _mm256_add_epi32(evens, odds));
        }
    }
    store_sums(totals, sums);
}

pub(crate) fn dot(codes: &[u8], query: &[u8], sums: &mut Sums) {
    // SAFETY: `ScanKernel` hands this function out only where the processor has the level.
    unsafe { dot_body(codes, query, sums) }
}

/// What four tables say of four symbols, table t for byte t of each code.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(tables: &[u8], symbols: __m256i) -> __m256i {
    let mut found = _mm256_setzero_si256();
    for (t, table) in tables.chunks_exact(16).take(4).enumerate() {
        // SAFETY: a table is one whole register of 16 bytes.
        let table = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) });
        let own = _mm256_set1_epi32((0xFFu32 << (8 * t)).cast_signed());
        found = _mm256_or_si256(found, _mm256_and_si256(_mm256_shuffle_epi8(table, symbols), own));
    }
    found
}

#[target_feature(enable = "avx2")]
fn nibbles_body(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    let low_four = _mm256_set1_epi8(15);
    let (ones, pairs) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    let mut totals = load_sums(sums).map(|sum| _mm256_slli_epi32::<1>(sum));
    for (codes, tables) in codes.chunks_exact(STEP).zip(tables.chunks_exact(128)) {
        for (part, total) in totals.iter_mut().enumerate() {
            // SAFETY: a step is eight whole registers.
            let code = unsafe { _mm256_loadu_si256(codes.as_ptr().add(part * 32).cast()) };
            let low = look_up(&tables[..64], _mm256_and_si256(code, low_four));
            let high = look_up(&tables[64..], _mm256_and_si256(_mm256_srli_epi16::<4>(code), low_four));
            let twos = _mm256_add_epi16(_mm256_maddubs_epi16(low, ones), _mm256_maddubs_epi16(high, ones));
            *total = _mm256_add_epi32(*total, _mm256_madd_epi16(twos, pairs));
        }
    }
    store_sums(totals, sums);
}

pub(crate) fn nibbles(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    // SAFETY: as for `dot`.
    unsafe { nibbles_body(codes, tables, sums) }
}
