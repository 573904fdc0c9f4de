//! AVX2 with FMA, F16C and POPCNT (Haswell and later).

use std::arch::x86_64::*;

use super::{COSINE, L2, float_entries};

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_f32(from: *const u8) -> __m256 {
    // SAFETY: the caller has 32 readable bytes there.
    unsafe { _mm256_loadu_ps(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn load_f16(from: *const u8) -> __m256 {
    // SAFETY: the caller has 16 readable bytes there.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_bf16(from: *const u8) -> __m256 {
    // SAFETY: the caller has 16 readable bytes there.
    let halves = unsafe { _mm_loadu_si128(from.cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step<const OP: u8>(x: __m256, y: __m256, sum: &mut __m256, norm: &mut __m256) {
    if OP == L2 {
        let difference = _mm256_sub_ps(x, y);
        *sum = _mm256_fmadd_ps(difference, difference, *sum);
    } else {
        *sum = _mm256_fmadd_ps(x, y, *sum);
    }
    if OP == COSINE {
        *norm = _mm256_fmadd_ps(y, y, *norm);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn total_f32(parts: [__m256; 2]) -> f32 {
    let both = _mm256_add_ps(parts[0], parts[1]);
    let four = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Up to eight elements, the rest zero, in a buffer that a whole vector can be loaded from.
#[inline]
fn padded(bytes: &[u8]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole[..bytes.len()].copy_from_slice(bytes);
    whole
}

/// Eight elements a vector, two partial sums a row.
macro_rules! float_sums {
    ($name:ident, $width:literal, $load:ident) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name<const N: usize, const OP: u8>(query: &[u8], rows: [&[u8]; N]) -> [(f32, f32); N] {
            const LANES: usize = 8;
            const PARTS: usize = 2;
            let bytes = rows.iter().fold(query.len(), |least, row| least.min(row.len()));
            let elements = bytes / $width;
            let mut sums = [[_mm256_setzero_ps(); PARTS]; N];
            let mut norms = [[_mm256_setzero_ps(); PARTS]; N];
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
                let count = (elements - at).min(LANES);
                let range = at * $width..(at + count) * $width;
                let x = padded(&query[range.clone()]);
                // SAFETY: a padded buffer holds a whole vector.
                let x = unsafe { $load(x.as_ptr()) };
                for n in 0..N {
                    let y = padded(&rows[n][range.clone()]);
                    // SAFETY: as above.
                    let y = unsafe { $load(y.as_ptr()) };
                    step::<OP>(x, y, &mut sums[n][0], &mut norms[n][0]);
                }
                at += count;
            }
            let mut out = [(0.0, 0.0); N];
            for n in 0..N {
                out[n] = (total_f32(sums[n]), if OP == COSINE { total_f32(norms[n]) } else { 0.0 });
            }
            out
        }
    };
}

float_sums!(sums_f32, 4, load_f32);
float_sums!(sums_f16, 2, load_f16);
float_sums!(sums_bf16, 2, load_bf16);
float_entries!(sums_f32, dot_f32, dot4_f32, l2_f32, l2_4_f32, cosine_f32, cosine4_f32);
float_entries!(sums_f16, dot_f16, dot4_f16, l2_f16, l2_4_f16, cosine_f16, cosine4_f16);
float_entries!(sums_bf16, dot_bf16, dot4_bf16, l2_bf16, l2_4_bf16, cosine_bf16, cosine4_bf16);

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn total_i32(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
}

/// Sixteen bytes, or the rest of the slice padded with zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8], at: usize, end: usize) -> __m128i {
    if at + 16 <= end {
        // SAFETY: `end` is at most the slice's length.
        unsafe { _mm_loadu_si128(bytes[at..end].as_ptr().cast()) }
    } else {
        let whole = padded(&bytes[at..end]);
        // SAFETY: a padded buffer holds 32 bytes.
        unsafe { _mm_loadu_si128(whole.as_ptr().cast()) }
    }
}

#[target_feature(enable = "avx2")]
fn sums_i8<const OP: u8>(query: &[u8], row: &[u8]) -> (i32, i32) {
    let bytes = query.len().min(row.len());
    let (mut sum, mut norm) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for at in (0..bytes).step_by(16) {
        let x = _mm256_cvtepi8_epi16(load_bytes(query, at, bytes));
        let y = _mm256_cvtepi8_epi16(load_bytes(row, at, bytes));
        let products = if OP == L2 {
            let difference = _mm256_sub_epi16(x, y);
            _mm256_madd_epi16(difference, difference)
        } else {
            _mm256_madd_epi16(x, y)
        };
        sum = _mm256_add_epi32(sum, products);
        if OP == COSINE {
            norm = _mm256_add_epi32(norm, _mm256_madd_epi16(y, y));
        }
    }
    (total_i32(sum), total_i32(norm))
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

/// Widened to 16 bits first: the 8-bit multiply-add of AVX2 saturates.
#[target_feature(enable = "avx2")]
fn dot_u8_i8_body(code: &[u8], query: &[u8]) -> i32 {
    let bytes = code.len().min(query.len());
    let mut sum = _mm256_setzero_si256();
    for at in (0..bytes).step_by(16) {
        let x = _mm256_cvtepu8_epi16(load_bytes(code, at, bytes));
        let y = _mm256_cvtepi8_epi16(load_bytes(query, at, bytes));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
    }
    total_i32(sum)
}

pub(crate) fn dot_u8_i8(code: &[u8], query: &[u8]) -> i32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { dot_u8_i8_body(code, query) }
}

#[target_feature(enable = "avx2")]
fn dot_u4_i8_body(code: &[u8], low: &[u8], high: &[u8]) -> i32 {
    let bytes = code.len().min(low.len());
    let mask = _mm_set1_epi8(15);
    let mut sum = _mm256_setzero_si256();
    for at in (0..bytes).step_by(16) {
        let x = load_bytes(code, at, bytes);
        let halves = [(_mm_and_si128(x, mask), low), (_mm_and_si128(_mm_srli_epi16::<4>(x), mask), high)];
        for (x, query) in halves {
            let y = _mm256_cvtepi8_epi16(load_bytes(query, at, bytes));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(x), y));
        }
    }
    total_i32(sum)
}

pub(crate) fn dot_u4_i8(code: &[u8], query: &[u8]) -> i32 {
    let (low, high) = query.split_at(query.len() / 2);
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { dot_u4_i8_body(code, low, high) }
}

/// The scalar twin compiled with the population-count instruction, which is as fast as memory here.
#[target_feature(enable = "avx2,popcnt")]
fn hamming_body(query: &[u8], row: &[u8]) -> f32 {
    let bytes = query.len().min(row.len());
    let mut differing = 0;
    let (query, row) = (query[..bytes].chunks_exact(8), row[..bytes].chunks_exact(8));
    let tail = query.remainder().iter().zip(row.remainder());
    differing += tail.map(|(x, y)| u64::from((x ^ y).count_ones())).sum::<u64>();
    for (x, y) in query.zip(row) {
        differing += u64::from((word(x) ^ word(y)).count_ones());
    }
    differing as f32
}

#[inline]
fn word(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(chunk);
    u64::from_le_bytes(bytes)
}

#[target_feature(enable = "avx2,popcnt")]
fn jaccard_body(query: &[u8], row: &[u8]) -> f32 {
    let bytes = query.len().min(row.len());
    let (mut both, mut either) = (0, 0);
    let (query, row) = (query[..bytes].chunks_exact(8), row[..bytes].chunks_exact(8));
    for (x, y) in query.remainder().iter().zip(row.remainder()) {
        both += u64::from((x & y).count_ones());
        either += u64::from((x | y).count_ones());
    }
    for (x, y) in query.zip(row) {
        let (x, y) = (word(x), word(y));
        both += u64::from((x & y).count_ones());
        either += u64::from((x | y).count_ones());
    }
    crate::scalar::jaccard_of(both, either)
}

pub(crate) fn hamming(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: `dispatch` hands this function out only where the processor has the level.
    unsafe { hamming_body(query, row) }
}

pub(crate) fn jaccard(query: &[u8], row: &[u8]) -> f32 {
    // SAFETY: as above.
    unsafe { jaccard_body(query, row) }
}
