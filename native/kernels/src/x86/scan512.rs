//! [`crate::scan`] with AVX-512, VNNI and VBMI.

use std::arch::x86_64::*;

use crate::scan::{BLOCK, Line, STEP, Sums};

/// Registers of 16 codes that make a block.
const PARTS: usize = BLOCK / 16;

#[inline]
#[target_feature(enable = "avx512f")]
fn load_sums(sums: &Sums) -> [__m512i; PARTS] {
    // SAFETY: a block's sums are four whole registers.
    std::array::from_fn(|part| unsafe { _mm512_loadu_si512(sums.as_ptr().add(part * 16).cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_sums(values: [__m512i; PARTS], sums: &mut Sums) {
    for (part, value) in values.into_iter().enumerate() {
        // SAFETY: a block's sums are four whole registers.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().add(part * 16).cast(), value) };
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn dot_body(codes: &[u8], query: &[u8], sums: &mut Sums) {
    let mut totals = load_sums(sums);
    for (codes, query) in codes.chunks_exact(STEP).zip(query.chunks_exact(4)) {
        let query = _mm512_set1_epi32(i32::from_le_bytes([query[0], query[1], query[2], query[3]]));
        for (part, total) in totals.iter_mut().enumerate() {
            // SAFETY: a step is four whole registers.
            let code = unsafe { _mm512_loadu_si512(codes.as_ptr().add(part * 64).cast()) };
            *total = _mm512_dpbusd_epi32(*total, code, query);
        }
    }
    store_sums(totals, sums);
}

pub(crate) fn dot(codes: &[u8], query: &[u8], sums: &mut Sums) {
    // SAFETY: `ScanKernel` hands this function out only where the processor has the level.
    unsafe { dot_body(codes, query, sums) }
}

#[target_feature(enable = "avx512f,avx512vnni,avx512vbmi")]
fn nibbles_body(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    /// (a ∧ b) ∨ c.
    const AND_OR: i32 = 0xEA;
    let low_four = _mm512_set1_epi8(15);
    // Byte t of a code looks into the t-th table of the register.
    let lanes = _mm512_set1_epi32(0x3020_1000);
    let ones = _mm512_set1_epi8(1);
    let start = load_sums(sums);
    let mut lows = start.map(|sum| _mm512_slli_epi32::<1>(sum));
    let mut highs = [_mm512_setzero_si512(); PARTS];
    for (codes, tables) in codes.chunks_exact(STEP).zip(tables.chunks_exact(128)) {
        // SAFETY: eight tables of 16 bytes are two whole registers.
        let (low, high) =
            unsafe { (_mm512_loadu_si512(tables.as_ptr().cast()), _mm512_loadu_si512(tables.as_ptr().add(64).cast())) };
        for part in 0..PARTS {
            // SAFETY: a step is four whole registers.
            let code = unsafe { _mm512_loadu_si512(codes.as_ptr().add(part * 64).cast()) };
            let first = _mm512_ternarylogic_epi32::<AND_OR>(code, low_four, lanes);
            let second = _mm512_ternarylogic_epi32::<AND_OR>(_mm512_srli_epi32::<4>(code), low_four, lanes);
            lows[part] = _mm512_dpbusd_epi32(lows[part], _mm512_permutexvar_epi8(first, low), ones);
            highs[part] = _mm512_dpbusd_epi32(highs[part], _mm512_permutexvar_epi8(second, high), ones);
        }
    }
    store_sums(std::array::from_fn(|part| _mm512_add_epi32(lows[part], highs[part])), sums);
}

pub(crate) fn nibbles(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    // SAFETY: as for `dot`.
    unsafe { nibbles_body(codes, tables, sums) }
}

/// Steps after which 16-bit sums of bytes must be emptied.
const BYTES_RUN: usize = 256;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn bytes_body(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    for (codes, tables) in codes.chunks(BYTES_RUN * BLOCK).zip(tables.chunks(BYTES_RUN * 256)) {
        // Even codes with the odd ones' carries above them, and odd codes.
        let (mut all, mut odd) = ([_mm512_setzero_si512(); 2], [_mm512_setzero_si512(); 2]);
        for (step, (codes, table)) in codes.chunks_exact(BLOCK).zip(tables.chunks_exact(256)).enumerate() {
            // SAFETY: a step is one whole register, a table four.
            let (code, table) = unsafe {
                let table: [__m512i; 4] =
                    std::array::from_fn(|part| _mm512_loadu_si512(table.as_ptr().add(part * 64).cast()));
                (_mm512_loadu_si512(codes.as_ptr().cast()), table)
            };
            let low = _mm512_permutex2var_epi8(table[0], code, table[1]);
            let high = _mm512_permutex2var_epi8(table[2], code, table[3]);
            let value = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(code), high);
            all[step % 2] = _mm512_add_epi16(all[step % 2], value);
            odd[step % 2] = _mm512_add_epi16(odd[step % 2], _mm512_srli_epi16::<8>(value));
        }
        let odd = _mm512_add_epi16(odd[0], odd[1]);
        let even = _mm512_sub_epi16(_mm512_add_epi16(all[0], all[1]), _mm512_slli_epi16::<8>(odd));
        let (mut evens, mut odds) = ([0u16; 32], [0u16; 32]);
        // SAFETY: 32 words of 2 bytes are one register.
        unsafe {
            _mm512_storeu_si512(evens.as_mut_ptr().cast(), even);
            _mm512_storeu_si512(odds.as_mut_ptr().cast(), odd);
        }
        for (pair, (even, odd)) in sums.chunks_exact_mut(2).zip(evens.into_iter().zip(odds)) {
            pair[0] += i32::from(even);
            pair[1] += i32::from(odd);
        }
    }
}

pub(crate) fn bytes(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    // SAFETY: as for `dot`.
    unsafe { bytes_body(codes, tables, sums) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn plane_body(bits: &[u8], query: &[u8]) -> i32 {
    let ones = _mm512_set1_epi8(1);
    let mut total = _mm512_setzero_si512();
    for (bits, query) in bits.chunks(8).zip(query.chunks(64)) {
        let mut word = [0; 8];
        word[..bits.len()].copy_from_slice(bits);
        let mask = u64::from_le_bytes(word) & u64::MAX >> (64 - query.len());
        // SAFETY: masked-out bytes are not read.
        let values = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().cast()) };
        total = _mm512_dpbusd_epi32(total, ones, values);
    }
    _mm512_reduce_add_epi32(total)
}

pub(crate) fn plane(bits: &[u8], query: &[u8]) -> i32 {
    // SAFETY: as for `dot`.
    unsafe { plane_body(bits, query) }
}

#[target_feature(enable = "avx512f")]
fn below_body(sums: &Sums, scales: &[f32], biases: &[f32], line: &Line, limit: f32, keys: &mut [f32; BLOCK]) -> u64 {
    assert!((scales.is_empty() || scales.len() >= BLOCK) && biases.len() >= BLOCK);
    let (base, rate, excess) = (_mm512_set1_ps(line.base), _mm512_set1_ps(line.rate), _mm512_set1_ps(line.excess));
    let limit = _mm512_set1_ps(limit);
    let mut mask = 0;
    for (part, sum) in load_sums(sums).into_iter().enumerate() {
        // SAFETY: the assertion above covers all codes of a block.
        let (scale, bias) = unsafe {
            let scale = match scales {
                [] => rate,
                _ => _mm512_mul_ps(_mm512_loadu_ps(scales.as_ptr().add(part * 16)), rate),
            };
            (scale, _mm512_loadu_ps(biases.as_ptr().add(part * 16)))
        };
        let sum = _mm512_sub_ps(_mm512_cvtepi32_ps(sum), excess);
        let key = _mm512_fmadd_ps(sum, scale, _mm512_add_ps(base, bias));
        // SAFETY: `keys` has a block's size.
        unsafe { _mm512_storeu_ps(keys.as_mut_ptr().add(part * 16), key) };
        mask |= u64::from(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(key, limit)) << (part * 16);
    }
    mask
}

pub(crate) fn below(
    sums: &Sums,
    scales: &[f32],
    biases: &[f32],
    line: &Line,
    limit: f32,
    keys: &mut [f32; BLOCK],
) -> u64 {
    // SAFETY: as for `dot`.
    unsafe { below_body(sums, scales, biases, line, limit, keys) }
}
