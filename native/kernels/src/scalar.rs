//! What every kernel means, without any processor feature. Sums run in `f64` where the fast twins use several
//! partial `f32` sums, so the two agree to rounding only; integer and bit kernels agree exactly.
//!
//! When two slices differ in length, the shorter one counts (rounded down to whole elements).

use crate::decode::{bf16_at, f16_at, f32_at};

fn elements(a: &[u8], b: &[u8], width: usize) -> usize {
    a.len().min(b.len()) / width
}

fn dot_by(a: &[u8], b: &[u8], width: usize, at: fn(&[u8], usize) -> f32) -> f32 {
    let sum: f64 = (0..elements(a, b, width)).map(|i| f64::from(at(a, i)) * f64::from(at(b, i))).sum();
    sum as f32
}

fn l2_by(a: &[u8], b: &[u8], width: usize, at: fn(&[u8], usize) -> f32) -> f32 {
    let squares = (0..elements(a, b, width)).map(|i| {
        let difference = f64::from(at(a, i)) - f64::from(at(b, i));
        difference * difference
    });
    squares.sum::<f64>() as f32
}

/// Dot product over the length of `row`; 0 for a zero row.
pub(crate) fn over_norm(dot: f32, norm_squared: f32) -> f32 {
    let quotient = dot / norm_squared.sqrt();
    if norm_squared > 0.0 && quotient.is_finite() { quotient } else { 0.0 }
}

macro_rules! float_twins {
    ($width:literal, $at:path, $dot:ident, $l2:ident, $dot_over_norm:ident) => {
        #[must_use]
        pub fn $dot(query: &[u8], row: &[u8]) -> f32 {
            dot_by(query, row, $width, $at)
        }
        #[must_use]
        pub fn $l2(query: &[u8], row: &[u8]) -> f32 {
            l2_by(query, row, $width, $at)
        }
        /// Dot product divided by the length of `row`.
        #[must_use]
        pub fn $dot_over_norm(query: &[u8], row: &[u8]) -> f32 {
            over_norm(dot_by(query, row, $width, $at), dot_by(row, row, $width, $at))
        }
    };
}

float_twins!(4, f32_at, dot_f32, l2_f32, dot_over_norm_f32);
float_twins!(2, f16_at, dot_f16, l2_f16, dot_over_norm_f16);
float_twins!(2, bf16_at, dot_bf16, l2_bf16, dot_over_norm_bf16);

fn signed(byte: u8) -> i32 {
    i32::from(byte.cast_signed())
}

fn dot_i8_exact(a: &[u8], b: &[u8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| signed(x) * signed(y)).sum()
}

#[must_use]
pub fn dot_i8(query: &[u8], row: &[u8]) -> f32 {
    dot_i8_exact(query, row) as f32
}

#[must_use]
pub fn l2_i8(query: &[u8], row: &[u8]) -> f32 {
    let sum: i32 = query.iter().zip(row).map(|(&x, &y)| (signed(x) - signed(y)).pow(2)).sum();
    sum as f32
}

#[must_use]
pub fn dot_over_norm_i8(query: &[u8], row: &[u8]) -> f32 {
    over_norm(dot_i8_exact(query, row) as f32, dot_i8_exact(row, row) as f32)
}

/// Unsigned codes times signed query, exact in 32 bits up to 65,536 elements.
#[must_use]
pub fn dot_u8_i8(code: &[u8], query: &[u8]) -> i32 {
    code.iter().zip(query).map(|(&x, &y)| i32::from(x) * signed(y)).sum()
}

/// Two unsigned 4-bit codes a byte: the low halves go with the first half of the signed query, the high ones with
/// the second. The query has twice as many bytes as the code. Exact in 32 bits up to a million elements.
#[must_use]
pub fn dot_u4_i8(code: &[u8], query: &[u8]) -> i32 {
    let (low, high) = query.split_at(query.len() / 2);
    let pairs = code.iter().zip(low.iter().zip(high));
    pairs.map(|(&x, (&y, &z))| i32::from(x & 15) * signed(y) + i32::from(x >> 4) * signed(z)).sum()
}

fn words<'a>(a: &'a [u8], b: &'a [u8]) -> impl Iterator<Item = (u64, u64)> + 'a {
    let word = |bytes: &[u8]| {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(whole)
    };
    let bytes = a.len().min(b.len());
    a[..bytes].chunks(8).zip(b[..bytes].chunks(8)).map(move |(x, y)| (word(x), word(y)))
}

/// Differing bits.
#[must_use]
pub fn hamming(query: &[u8], row: &[u8]) -> f32 {
    words(query, row).map(|(x, y)| (x ^ y).count_ones()).sum::<u32>() as f32
}

pub(crate) fn jaccard_of(both: u64, either: u64) -> f32 {
    if either == 0 { 0.0 } else { 1.0 - both as f32 / either as f32 }
}

/// 1 − common bits / bits in either; 0 for two empty sets.
#[must_use]
pub fn jaccard(query: &[u8], row: &[u8]) -> f32 {
    let (mut both, mut either) = (0, 0);
    for (x, y) in words(query, row) {
        both += u64::from((x & y).count_ones());
        either += u64::from((x | y).count_ones());
    }
    jaccard_of(both, either)
}

/// 0 when every bit of `part` is in `whole`, else 1.
#[inline(always)]
pub(crate) fn missing(part: &[u8], whole: &[u8]) -> f32 {
    let inside = words(part, whole).all(|(x, y)| x & !y == 0);
    if inside { 0.0 } else { 1.0 }
}

/// 0 when every bit of the row is in the query, else 1.
#[must_use]
pub fn substructure(query: &[u8], row: &[u8]) -> f32 {
    missing(row, query)
}

/// 0 when every bit of the query is in the row, else 1.
#[must_use]
pub fn superstructure(query: &[u8], row: &[u8]) -> f32 {
    missing(query, row)
}

/// Share of the elements of `WIDTH` bytes that are equal, of MinHash signatures; 0 when there are none. Bytes after the
/// last whole element do not count.
#[must_use]
pub fn mh_jaccard<const WIDTH: usize>(query: &[u8], row: &[u8]) -> f32 {
    let pairs = query.chunks_exact(WIDTH).zip(row.chunks_exact(WIDTH));
    let all = pairs.len();
    share(pairs.filter(|(x, y)| x == y).count(), all)
}

pub(crate) fn share(equal: usize, all: usize) -> f32 {
    if all == 0 { 0.0 } else { equal as f32 / all as f32 }
}
