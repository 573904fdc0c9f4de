//! Sums over blocks of 64 codes that lie in the order in which registers want them, and the keys made of them.
//!
//! A sum is an integer; a code's two factors and the query's [`Line`] turn it into a key. Two layouts of a block:
//!
//! - By fours, for `dot` and `nibbles`: 256 bytes hold 4 bytes of each code, vector by vector. For `dot` byte `t`
//!   is dimension 4g + t; for `nibbles` it holds the symbols of the tables 8g + t (low) and 8g + 4 + t (high).
//! - By ones, for `bytes`: 64 bytes hold 1 byte of each code.
//!
//! Table look-up inside registers: André, Kermarrec & Le Scouarnec, "Cache locality is not enough" (VLDB 2015) and
//! "Quicker ADC" (TPAMI 2019); here one permutation reads four 16-entry tables and one integer product adds them up.

use crate::dispatch::Isa;

/// Codes of a block.
pub const BLOCK: usize = 64;
/// Bytes of one step of the layout by fours.
pub const STEP: usize = BLOCK * 4;

/// One sum for each code of a block.
pub type Sums = [i32; BLOCK];

/// What the query adds: key = `base` + bias + scale · `rate` · (sum − `excess`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    pub base: f32,
    pub rate: f32,
    pub excess: f32,
}

impl Line {
    #[inline]
    #[must_use]
    pub fn key(&self, sum: i32, scale: f32, bias: f32) -> f32 {
        (sum as f32 - self.excess) * (scale * self.rate) + (self.base + bias)
    }
}

type SumFn = fn(&[u8], &[u8], &mut Sums);
type BelowFn = fn(&Sums, &[f32], &[f32], &Line, f32, &mut [f32; BLOCK]) -> u64;
type PlaneFn = fn(&[u8], &[u8]) -> i32;

/// The functions for one processor.
#[derive(Clone, Copy, Debug)]
pub struct ScanKernel {
    /// Adds dot products of unsigned codes and a signed query, by fours.
    pub dot: SumFn,
    /// Doubles the sums and adds what the symbols stand for in tables of 16 unsigned bytes, by fours. The tables of
    /// several bit planes are the same, so calls from the highest plane down add up whole numbers.
    pub nibbles: SumFn,
    /// Adds what the bytes stand for in tables of 256 unsigned bytes, by ones.
    pub bytes: SumFn,
    /// Sum of the signed query's bytes whose bit is set.
    pub plane: PlaneFn,
    below: BelowFn,
}

impl ScanKernel {
    #[must_use]
    pub fn choose(isa: Isa) -> Self {
        match isa.x86() {
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx512) => {
                use crate::x86::scan512 as level;
                Self {
                    dot: level::dot,
                    nibbles: level::nibbles,
                    bytes: level::bytes,
                    plane: level::plane,
                    below: level::below,
                }
            }
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx2) => {
                use crate::x86::scan2 as level;
                Self { dot: level::dot, nibbles: level::nibbles, bytes, plane, below }
            }
            _ => Self { dot, nibbles, bytes, plane, below },
        }
    }

    /// Fills `keys` and gives the codes whose key is below `limit`, one bit each. No `scales` means 1 everywhere.
    ///
    /// # Panics
    /// `biases`, or `scales` that are not empty, are fewer than a block.
    pub fn below(
        &self,
        sums: &Sums,
        (scales, biases): (&[f32], &[f32]),
        line: &Line,
        limit: f32,
        keys: &mut [f32; BLOCK],
    ) -> u64 {
        assert!((scales.is_empty() || scales.len() >= BLOCK) && biases.len() >= BLOCK, "factors of a whole block");
        (self.below)(sums, scales, biases, line, limit, keys)
    }
}

/// Where byte `t` of step `step` of code `code` stands in the layout by fours.
#[must_use]
pub fn by_fours(step: usize, code: usize, t: usize) -> usize {
    step * STEP + code * 4 + t
}

fn dot(codes: &[u8], query: &[u8], sums: &mut Sums) {
    for (codes, query) in codes.chunks_exact(STEP).zip(query.chunks_exact(4)) {
        for (code, sum) in codes.chunks_exact(4).zip(sums.iter_mut()) {
            *sum += crate::scalar::dot_u8_i8(code, query);
        }
    }
}

fn nibbles(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    sums.iter_mut().for_each(|sum| *sum *= 2);
    for (codes, tables) in codes.chunks_exact(STEP).zip(tables.chunks_exact(128)) {
        for (code, sum) in codes.chunks_exact(4).zip(sums.iter_mut()) {
            for (t, &byte) in code.iter().enumerate() {
                let low = tables[t * 16 + usize::from(byte & 15)];
                let high = tables[(4 + t) * 16 + usize::from(byte >> 4)];
                *sum += i32::from(low) + i32::from(high);
            }
        }
    }
}

pub(crate) fn bytes(codes: &[u8], tables: &[u8], sums: &mut Sums) {
    for (codes, table) in codes.chunks_exact(BLOCK).zip(tables.chunks_exact(256)) {
        for (&code, sum) in codes.iter().zip(sums.iter_mut()) {
            *sum += i32::from(table[usize::from(code)]);
        }
    }
}

pub(crate) fn plane(bits: &[u8], query: &[u8]) -> i32 {
    let value = |(d, &byte): (usize, &u8)| {
        let set = bits.get(d / 8).is_some_and(|bits| bits >> (d % 8) & 1 == 1);
        if set { i32::from(byte.cast_signed()) } else { 0 }
    };
    query.iter().enumerate().map(value).sum()
}

pub(crate) fn below(
    sums: &Sums,
    scales: &[f32],
    biases: &[f32],
    line: &Line,
    limit: f32,
    keys: &mut [f32; BLOCK],
) -> u64 {
    let mut mask = 0;
    for (code, key) in keys.iter_mut().enumerate() {
        *key = line.key(sums[code], scales.get(code).copied().unwrap_or(1.0), biases[code]);
        mask |= u64::from(*key < limit) << code;
    }
    mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, Line, ScanKernel};
    use crate::dispatch::Isa;

    fn draw(seed: u64, count: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_level_agrees_with_the_twin(steps in 0usize..60, seed in any::<u64>(), start in -1000i32..1000) {
            let twin = ScanKernel::choose(Isa::scalar());
            let codes = draw(seed, steps * 256 + 3);
            let short = &codes[..steps * 64];
            let (query, tables) = (draw(seed ^ 1, steps * 4), draw(seed ^ 2, steps * 256));
            let (scales, biases): (Vec<f32>, Vec<f32>) =
                draw(seed ^ 3, BLOCK).iter().map(|&x| (f32::from(x) / 64.0, f32::from(x) - 99.0)).unzip();
            let line = Line { base: 2.5, rate: -0.25, excess: 70.5 };
            for isa in Isa::available() {
                let kernel = ScanKernel::choose(isa);
                let cases = [
                    (kernel.dot, twin.dot, &codes[..], &query[..]),
                    (kernel.nibbles, twin.nibbles, &codes, &tables[..steps * 128]),
                    (kernel.bytes, twin.bytes, short, &tables),
                ];
                for (number, (fast, slow, codes, query)) in cases.into_iter().enumerate() {
                    let (mut found, mut expected) = ([start; BLOCK], [start; BLOCK]);
                    fast(codes, query, &mut found);
                    slow(codes, query, &mut expected);
                    prop_assert_eq!(found, expected, "{} {}", isa.name(), number);
                    for scales in [&scales[..], &[]] {
                        let (mut keys, mut twin_keys) = ([0.0; BLOCK], [0.0; BLOCK]);
                        let mask = kernel.below(&found, (scales, &biases), &line, -20.0, &mut keys);
                        twin.below(&found, (scales, &biases), &line, -20.0, &mut twin_keys);
                        for code in 0..BLOCK {
                            prop_assert!((keys[code] - twin_keys[code]).abs() <= 1e-5 * twin_keys[code].abs());
                            prop_assert_eq!(mask >> code & 1 == 1, keys[code] < -20.0);
                        }
                    }
                }
                for length in [query.len(), query.len().saturating_sub(5)] {
                    let query = &query[..length];
                    prop_assert_eq!((kernel.plane)(&codes, query), (twin.plane)(&codes, query), "{}", isa.name());
                }
            }
        }
    }
}
