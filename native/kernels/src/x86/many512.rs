//! [`crate::many`] with AVX-512.

use std::arch::x86_64::*;

use crate::many::{Lanes, Products, RowBlock};
use crate::panel::PANEL;

const LANES: usize = 16;
/// Dimensions taken at a time: their part of a panel stays in the nearest cache for all rows of a block.
const DEPTH: usize = 128;
/// Elements of a cache line.
const LINE: usize = 16;

/// Where the rows of a tile and of the one that will be asked for next lie.
struct Tile<const R: usize> {
    rows: [*const u8; R],
    ahead: [*const u8; R],
}

impl<const R: usize> Tile<R> {
    /// The rows from `first` on; the last one stands in for those that are missing.
    fn of(block: RowBlock<'_>, first: usize) -> Self {
        let row =
            |rows: &[&[u8]], r: usize| rows.get((first + r).min(rows.len().saturating_sub(1))).map(|row| row.as_ptr());
        let rows: [*const u8; R] = std::array::from_fn(|r| row(block.rows, r).unwrap_or(std::ptr::null()));
        let ahead = std::array::from_fn(|r| block.ahead.get(first + r).map_or(rows[r], |row| row.as_ptr()));
        Self { rows, ahead }
    }
}

/// Adds the dimensions from `from` to `to` of `R` rows and `P` registers of lanes to the sums in `out`; gives the
/// squares of the rows' elements.
///
/// # Safety
/// The rows have `to` elements, the panel has `to` dimensions, and `out` has a line for each of the `count` rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add<const R: usize, const P: usize>(
    panel: *const f32,
    tile: &Tile<R>,
    (from, to): (usize, usize),
    out: *mut f32,
    count: usize,
) -> [__m512; R] {
    let mut squares = [_mm512_setzero_ps(); R];
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    if from > 0 {
        for (r, sums) in sums.iter_mut().enumerate().filter(|&(r, _)| r < count) {
            for (part, sum) in sums.iter_mut().enumerate() {
                // SAFETY: line `r` is in `out`.
                *sum = unsafe { _mm512_loadu_ps(out.add(r * PANEL + part * LANES)) };
            }
        }
    }
    for line in (from..to).step_by(LINE) {
        for row in tile.ahead {
            _mm_prefetch::<_MM_HINT_T1>(row.wrapping_add(line * 4).cast());
        }
        let mask = u16::MAX >> (LINE - (to - line).min(LINE));
        for (row, squares) in tile.rows.iter().zip(squares.iter_mut()) {
            // SAFETY: masked-out elements are not read; the others are in the row.
            let values = unsafe { _mm512_maskz_loadu_ps(mask, row.cast::<f32>().add(line)) };
            *squares = _mm512_fmadd_ps(values, values, *squares);
        }
        for d in line..(line + LINE).min(to) {
            // SAFETY: dimension `d` is in the panel.
            let lanes: [__m512; P] =
                std::array::from_fn(|part| unsafe { _mm512_loadu_ps(panel.add(d * PANEL + part * LANES)) });
            for (row, sums) in tile.rows.iter().zip(sums.iter_mut()) {
                // SAFETY: element `d` is in the row.
                let value = _mm512_set1_ps(unsafe { row.cast::<f32>().add(d).read_unaligned() });
                for (sum, lane) in sums.iter_mut().zip(lanes) {
                    *sum = _mm512_fmadd_ps(value, lane, *sum);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate().filter(|&(r, _)| r < count) {
        for (part, &sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(out.add(r * PANEL + part * LANES), sum) };
        }
    }
    squares
}

/// `R` rows together, `P` registers of lanes.
#[target_feature(enable = "avx512f")]
fn dots_of<const R: usize, const P: usize>(panel: &[f32], block: RowBlock<'_>, out: &mut Products) {
    let dim = panel.len() / PANEL;
    assert!(block.rows.iter().all(|row| row.len() >= dim * 4) && out.dots.len() >= block.rows.len() * PANEL);
    for from in (0..dim).step_by(DEPTH) {
        for first in (0..block.rows.len()).step_by(R) {
            let tile = Tile::<R>::of(block, first);
            let count = R.min(block.rows.len() - first);
            // SAFETY: the assertion above covers rows, panel and answer; `first` is a row, so the tile's pointers are
            // too.
            let squares = unsafe {
                let out = out.dots.as_mut_ptr().add(first * PANEL);
                add::<R, P>(panel.as_ptr(), &tile, (from, dim.min(from + DEPTH)), out, count)
            };
            for (total, squares) in out.squares.iter_mut().skip(first).zip(squares) {
                *total += _mm512_reduce_add_ps(squares);
            }
        }
    }
}

pub(crate) fn dots(panel: &[f32], lanes: usize, block: RowBlock<'_>, out: &mut Products) {
    // SAFETY: `ManyKernel` hands this function out only where the processor has the level.
    unsafe {
        match lanes.div_ceil(LANES) {
            1 => dots_of::<8, 1>(panel, block, out),
            2 => dots_of::<8, 2>(panel, block, out),
            3 => dots_of::<8, 3>(panel, block, out),
            _ => dots_of::<6, 4>(panel, block, out),
        }
    }
}

#[target_feature(enable = "avx512f")]
fn reach_body(dots: &[f32], base: &Lanes, slope: &Lanes, size: f32) -> u64 {
    assert!(dots.len() >= PANEL);
    let size = _mm512_set1_ps(size);
    let mut mask = 0;
    for at in (0..PANEL).step_by(LANES) {
        // SAFETY: all three have 64 values.
        let (dot, base, slope) = unsafe {
            let base = _mm512_loadu_ps(base.as_ptr().add(at));
            (_mm512_loadu_ps(dots.as_ptr().add(at)), base, _mm512_loadu_ps(slope.as_ptr().add(at)))
        };
        let limit = _mm512_fmadd_ps(slope, size, base);
        mask |= u64::from(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(dot, limit)) << at;
    }
    mask
}

pub(crate) fn reach(dots: &[f32], base: &Lanes, slope: &Lanes, size: f32) -> u64 {
    // SAFETY: as for `dots`.
    unsafe { reach_body(dots, base, slope, size) }
}
