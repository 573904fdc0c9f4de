//! [`crate::many`] with AVX2 and FMA: 16 lanes at a time, for want of registers.

use std::arch::x86_64::*;

use crate::many::{Products, RowBlock};
use crate::panel::PANEL;

const LANES: usize = 8;
/// Registers of lanes taken together.
const PARTS: usize = 2;
/// Rows taken together: 12 sums, 2 loaded values and 1 broadcast of 16 registers.
const ROWS: usize = 6;
/// Dimensions taken at a time: their part of a panel stays in the nearest cache for all rows of a block.
const DEPTH: usize = 128;

/// Adds the dimensions from `from` to `to` of `ROWS` rows and 16 lanes to the sums in `out`.
///
/// # Safety
/// The rows have `to` elements, the panel has `to` dimensions, and `out` has a line for each of the `count` rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add(panel: *const f32, rows: &[*const u8; ROWS], (from, to): (usize, usize), out: *mut f32, count: usize) {
    let mut sums = [[_mm256_setzero_ps(); PARTS]; ROWS];
    if from > 0 {
        for (r, sums) in sums.iter_mut().enumerate().filter(|&(r, _)| r < count) {
            for (part, sum) in sums.iter_mut().enumerate() {
                // SAFETY: line `r` is in `out`.
                *sum = unsafe { _mm256_loadu_ps(out.add(r * PANEL + part * LANES)) };
            }
        }
    }
    for d in from..to {
        // SAFETY: dimension `d` is in the panel.
        let lanes: [__m256; PARTS] =
            std::array::from_fn(|part| unsafe { _mm256_loadu_ps(panel.add(d * PANEL + part * LANES)) });
        for (row, sums) in rows.iter().zip(sums.iter_mut()) {
            // SAFETY: element `d` is in the row.
            let value = _mm256_set1_ps(unsafe { row.cast::<f32>().add(d).read_unaligned() });
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum = _mm256_fmadd_ps(value, lane, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate().filter(|&(r, _)| r < count) {
        for (part, &sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(out.add(r * PANEL + part * LANES), sum) };
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn square(row: &[u8], dim: usize) -> f32 {
    assert!(row.len() >= dim * 4);
    let mut sums = [_mm256_setzero_ps(); PARTS];
    let whole = dim / (PARTS * LANES) * (PARTS * LANES);
    for at in (0..whole).step_by(PARTS * LANES) {
        for (part, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the row has `dim` elements.
            let values = unsafe { _mm256_loadu_ps(row.as_ptr().cast::<f32>().add(at + part * LANES)) };
            *sum = _mm256_fmadd_ps(values, values, *sum);
        }
    }
    let mut lanes = [0f32; LANES];
    // SAFETY: eight lanes fit.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_add_ps(sums[0], sums[1])) };
    let rest = (whole..dim).map(|d| crate::decode::f32_at(row, d));
    lanes.iter().sum::<f32>() + rest.map(|value| value * value).sum::<f32>()
}

#[target_feature(enable = "avx2,fma")]
fn dots_body(panel: &[f32], lanes: usize, block: RowBlock<'_>, out: &mut Products) {
    let dim = panel.len() / PANEL;
    let RowBlock { rows, ahead } = block;
    assert!(rows.iter().all(|row| row.len() >= dim * 4) && out.dots.len() >= rows.len() * PANEL && lanes <= PANEL);
    for (row, squares) in rows.iter().zip(&mut out.squares) {
        *squares = square(row, dim);
    }
    for from in (0..dim).step_by(DEPTH) {
        let to = dim.min(from + DEPTH);
        for first in (0..rows.len()).step_by(ROWS) {
            let count = ROWS.min(rows.len() - first);
            let tile = std::array::from_fn(|r| rows[first + r.min(count - 1)].as_ptr());
            for row in ahead.iter().skip(first).take(ROWS) {
                crate::memory::prefetch(row, from * 4, (to - from) * 4);
            }
            for lane in (0..lanes).step_by(PARTS * LANES) {
                // SAFETY: the assertion above covers rows, panel and answer; `lane` and the 15 after it are lanes.
                unsafe {
                    let out = out.dots.as_mut_ptr().add(first * PANEL + lane);
                    add(panel.as_ptr().add(lane), &tile, (from, to), out, count);
                }
            }
        }
    }
}

pub(crate) fn dots(panel: &[f32], lanes: usize, block: RowBlock<'_>, out: &mut Products) {
    // SAFETY: `ManyKernel` hands this function out only where the processor has the level.
    unsafe { dots_body(panel, lanes, block, out) }
}

#[target_feature(enable = "avx2,f16c")]
fn widen_f16_body(row: &[u8], out: &mut [f32]) {
    let whole = (row.len() / 2).min(out.len()) / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        // SAFETY: elements `at` to `at + 8` are in both.
        unsafe {
            let halves = _mm_loadu_si128(row.as_ptr().add(at * 2).cast());
            _mm256_storeu_ps(out.as_mut_ptr().add(at), _mm256_cvtph_ps(halves));
        }
    }
    crate::decode::to_f32(crate::Element::F16, &row[whole * 2..], &mut out[whole..]);
}

pub(crate) fn widen_f16(row: &[u8], out: &mut [f32]) {
    // SAFETY: as for `dots`.
    unsafe { widen_f16_body(row, out) }
}
