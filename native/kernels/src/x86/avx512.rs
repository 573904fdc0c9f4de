//! AVX-512 (F, BW, DQ, VL, VNNI, VBMI, VPOPCNTDQ: Ice Lake, Zen 4 and later).
//!
//! One generic body serves one row and four rows with the same order of additions, so a score does not depend on
//! the path that computed it. Half and bfloat rows are widened to `f32` before any arithmetic, as the contract asks;
//! that is why the BF16 dot instruction, which rounds and flushes on its own terms, is not used.

use std::arch::x86_64::*;

use super::{COSINE, L2, float_entries};

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_f32(from: *const u8) -> __m512 {
    // SAFETY: the caller has 64 readable bytes there.
    unsafe { _mm512_loadu_ps(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn tail_f32(from: *const u8, elements: usize) -> __m512 {
    let mask = (1u32 << elements) as u16 - 1;
    // SAFETY: masked-out elements are not read; the caller has `elements` of 4 bytes there.
    unsafe { _mm512_maskz_loadu_ps(mask, from.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_f16(from: *const u8) -> __m512 {
    // SAFETY: the caller has 32 readable bytes there.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn tail_f16(from: *const u8, elements: usize) -> __m512 {
    let mask = (1u32 << elements) as u16 - 1;
    // SAFETY: masked-out elements are not read; the caller has `elements` of 2 bytes there.
    _mm512_cvtph_ps(unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen_bf16(halves: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_bf16(from: *const u8) -> __m512 {
    // SAFETY: the caller has 32 readable bytes there.
    widen_bf16(unsafe { _mm256_loadu_si256(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn tail_bf16(from: *const u8, elements: usize) -> __m512 {
    let mask = (1u32 << elements) as u16 - 1;
    // SAFETY: masked-out elements are not read; the caller has `elements` of 2 bytes there.
    widen_bf16(unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn step<const OP: u8>(x: __m512, y: __m512, sum: &mut __m512, norm: &mut __m512) {
    if OP == L2 {
        let difference = _mm512_sub_ps(x, y);
        *sum = _mm512_fmadd_ps(difference, difference, *sum);
    } else {
        *sum = _mm512_fmadd_ps(x, y, *sum);
    }
    if OP == COSINE {
        *norm = _mm512_fmadd_ps(y, y, *norm);
    }
}

/// Sixteen elements a vector, four partial sums a row.
macro_rules! float_sums {
    ($name:ident, $width:literal, $load:ident, $tail:ident) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn $name<const N: usize, const OP: u8>(query: &[u8], rows: [&[u8]; N]) -> [(f32, f32); N] {
            const LANES: usize = 16;
            const PARTS: usize = 4;
            let bytes = rows.iter().fold(query.len(), |least, row| least.min(row.len()));
            let elements = bytes / $width;
            let mut sums = [[_mm512_setzero_ps(); PARTS]; N];
            let mut norms = [[_mm512_setzero_ps(); PARTS]; N];
            let mut at = 0;
            while at + LANES * PARTS <= elements {
                for part in 0..PARTS {
                    let offset = (at + part * LANES) * $width;
                    // SAFETY: `offset` and the vector after it lie inside the shortest slice.
                    let x = unsafe { $load(query.as_ptr().add(offset)) };
                    for n in 0..N {
                        // SAFETY: as above.
                        let y = unsafe { $load(rows[n].as_ptr().add(offset)) };
                        step::<OP>(x, y, &mut sums[n][part], &mut norms[n][part]);
                    }
                }
                at += LANES * PARTS;
            }
            while at < elements {
                let (offset, count) = (at * $width, (elements - at).min(LANES));
                // SAFETY: `count` elements after `offset` lie inside the shortest slice.
                let x = unsafe { $tail(query.as_ptr().add(offset), count) };
                for n in 0..N {
                    // SAFETY: as above.
                    let y = unsafe { $tail(rows[n].as_ptr().add(offset), count) };
                    step::<OP>(x, y, &mut sums[n][0], &mut norms[n][0]);
                }
                at += count;
            }
            let total = |parts: [__m512; PARTS]| {
                let low = _mm512_add_ps(parts[0], parts[1]);
                _mm512_reduce_add_ps(_mm512_add_ps(low, _mm512_add_ps(parts[2], parts[3])))
            };
            let mut out = [(0.0, 0.0); N];
            for n in 0..N {
                out[n] = (total(sums[n]), if OP == COSINE { total(norms[n]) } else { 0.0 });
            }
            out
        }
    };
}

float_sums!(sums_f32, 4, load_f32, tail_f32);
float_sums!(sums_f16, 2, load_f16, tail_f16);
float_sums!(sums_bf16, 2, load_bf16, tail_bf16);
float_entries!(sums_f32, dot_f32, dot4_f32, l2_f32, l2_4_f32, cosine_f32, cosine4_f32);
float_entries!(sums_f16, dot_f16, dot4_f16, l2_f16, l2_4_f16, cosine_f16, cosine4_f16);
float_entries!(sums_bf16, dot_bf16, dot4_bf16, l2_bf16, l2_4_bf16, cosine_bf16, cosine4_bf16);

/// Exact in 32 bits: 32,768 squared differences of at most 255 fit.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn sums_i8<const OP: u8>(query: &[u8], row: &[u8]) -> (i32, i32) {
    let bytes = query.len().min(row.len());
    let (mut sum, mut norm) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut at = 0;
    while at < bytes {
        let mask = ((1u64 << (bytes - at).min(32)) - 1) as u32;
        // SAFETY: masked-out bytes are not read.
        let x = _mm512_cvtepi8_epi16(unsafe { _mm256_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast()) });
        // SAFETY: as above.
        let y = _mm512_cvtepi8_epi16(unsafe { _mm256_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast()) });
        if OP == L2 {
            let difference = _mm512_sub_epi16(x, y);
            sum = _mm512_dpwssd_epi32(sum, difference, difference);
        } else {
            sum = _mm512_dpwssd_epi32(sum, x, y);
        }
        if OP == COSINE {
            norm = _mm512_dpwssd_epi32(norm, y, y);
        }
        at += 32;
    }
    (_mm512_reduce_add_epi32(sum), _mm512_reduce_add_epi32(norm))
}

pub(crate) fn dot_i8(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { sums_i8::<{ super::DOT }>(query, row).0 as f32 }
}

pub(crate) fn l2_i8(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: as above.
    unsafe { sums_i8::<L2>(query, row).0 as f32 }
}

pub(crate) fn cosine_i8(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: as above.
    let (dot, norm) = unsafe { sums_i8::<COSINE>(query, row) };
    crate::scalar::over_norm(dot as f32, norm as f32)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_u8_i8_body(code: &[u8], query: &[u8]) -> i32 {
    let bytes = code.len().min(query.len());
    let mut sums = [_mm512_setzero_si512(); 2];
    let mut at = 0;
    while at + 128 <= bytes {
        for (part, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 128 bytes after `at` lie inside both slices.
            let (x, y) = unsafe {
                let offset = at + part * 64;
                let x = _mm512_loadu_si512(code.as_ptr().add(offset).cast());
                (x, _mm512_loadu_si512(query.as_ptr().add(offset).cast()))
            };
            *sum = _mm512_dpbusd_epi32(*sum, x, y);
        }
        at += 128;
    }
    while at < bytes {
        let mask = u64::MAX >> (64 - (bytes - at).min(64));
        // SAFETY: masked-out bytes are not read.
        let x = unsafe { _mm512_maskz_loadu_epi8(mask, code.as_ptr().add(at).cast()) };
        // SAFETY: as above.
        let y = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast()) };
        sums[0] = _mm512_dpbusd_epi32(sums[0], x, y);
        at += 64;
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

pub(crate) fn dot_u8_i8(code: &[u8], query: &[u8]) -> i32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { dot_u8_i8_body(code, query) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_u4_i8_body(code: &[u8], low: &[u8], high: &[u8]) -> i32 {
    let bytes = code.len().min(low.len());
    let nibble = _mm512_set1_epi8(15);
    let mut sums = [_mm512_setzero_si512(); 2];
    let mut at = 0;
    while at < bytes {
        let mask = u64::MAX >> (64 - (bytes - at).min(64));
        // SAFETY: masked-out bytes are not read; `high` is as long as `low`.
        let (x, y, z) = unsafe {
            let x = _mm512_maskz_loadu_epi8(mask, code.as_ptr().add(at).cast());
            let y = _mm512_maskz_loadu_epi8(mask, low.as_ptr().add(at).cast());
            (x, y, _mm512_maskz_loadu_epi8(mask, high.as_ptr().add(at).cast()))
        };
        sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_and_si512(x, nibble), y);
        sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_and_si512(_mm512_srli_epi16::<4>(x), nibble), z);
        at += 64;
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

pub(crate) fn dot_u4_i8(code: &[u8], query: &[u8]) -> i32 {
    let (low, high) = query.split_at(query.len() / 2);
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { dot_u4_i8_body(code, low, high) }
}

/// Bits in x∧y and in x∨y (or, for `HAMMING`, in x⊕y).
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
fn count_bits<const HAMMING: bool>(query: &[u8], row: &[u8]) -> (u64, u64) {
    let bytes = query.len().min(row.len());
    let (mut first, mut second) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut at = 0;
    while at < bytes {
        let mask = u64::MAX >> (64 - (bytes - at).min(64));
        // SAFETY: masked-out bytes are not read.
        let x = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast()) };
        // SAFETY: as above.
        let y = unsafe { _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast()) };
        if HAMMING {
            first = _mm512_add_epi64(first, _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
        } else {
            first = _mm512_add_epi64(first, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
            second = _mm512_add_epi64(second, _mm512_popcnt_epi64(_mm512_or_si512(x, y)));
        }
        at += 64;
    }
    (_mm512_reduce_add_epi64(first).cast_unsigned(), _mm512_reduce_add_epi64(second).cast_unsigned())
}

pub(crate) fn hamming(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { count_bits::<true>(query, row).0 as f32 }
}

pub(crate) fn jaccard(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: as above.
    let (both, either) = unsafe { count_bits::<false>(query, row) };
    crate::scalar::jaccard_of(both, either)
}

/// Whether a bit of `part` is missing in `whole`.
#[target_feature(enable = "avx512f,avx512bw")]
fn any_missing(part: &[u8], whole: &[u8]) -> bool {
    let bytes = part.len().min(whole.len());
    let mut at = 0;
    while at < bytes {
        let mask = u64::MAX >> (64 - (bytes - at).min(64));
        // SAFETY: masked-out bytes are not read.
        let x = unsafe { _mm512_maskz_loadu_epi8(mask, part.as_ptr().add(at).cast()) };
        // SAFETY: as above.
        let y = unsafe { _mm512_maskz_loadu_epi8(mask, whole.as_ptr().add(at).cast()) };
        let missing = _mm512_andnot_si512(y, x);
        if _mm512_test_epi64_mask(missing, missing) != 0 {
            return true;
        }
        at += 64;
    }
    false
}

pub(crate) fn substructure(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    if unsafe { any_missing(row, query) } { 1.0 } else { 0.0 }
}

pub(crate) fn superstructure(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: as above.
    if unsafe { any_missing(query, row) } { 1.0 } else { 0.0 }
}

/// Elements of `WIDTH` bytes (1, 2, 4 or 8) that are equal.
#[target_feature(enable = "avx512f,avx512bw")]
fn count_equal<const WIDTH: usize>(query: &[u8], row: &[u8]) -> u32 {
    let bytes = query.len().min(row.len()) / WIDTH * WIDTH;
    let (mut equal, mut at) = (0, 0);
    while at < bytes {
        let there = (bytes - at).min(64);
        let mask = u64::MAX >> (64 - there);
        // SAFETY: masked-out bytes are not read.
        let x = unsafe { _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast()) };
        // SAFETY: as above.
        let y = unsafe { _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast()) };
        let found = match WIDTH {
            1 => _mm512_cmpeq_epi8_mask(x, y),
            2 => u64::from(_mm512_cmpeq_epi16_mask(x, y)),
            4 => u64::from(_mm512_cmpeq_epi32_mask(x, y)),
            _ => u64::from(_mm512_cmpeq_epi64_mask(x, y)),
        };
        // What was masked out is equal, too.
        equal += (found & u64::MAX >> (64 - there / WIDTH)).count_ones();
        at += 64;
    }
    equal
}

pub(crate) fn mh_jaccard<const WIDTH: usize>(query: &[u8], row: &[u8]) -> f32 {
    let all = query.len().min(row.len()) / WIDTH;
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    crate::scalar::share(unsafe { count_equal::<WIDTH>(query, row) } as usize, all)
}
