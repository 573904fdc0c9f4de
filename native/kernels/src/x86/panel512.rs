//! [`crate::panel`] with AVX-512.

use std::arch::x86_64::*;

use crate::panel::PANEL;

/// Registers that hold one value of all vectors of a panel.
const PARTS: usize = PANEL / 16;
/// Rows taken together: 24 sums and 4 loaded values fill the register file.
const ROWS: usize = 6;

#[target_feature(enable = "avx512f")]
fn tile<const R: usize>(panel: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    assert!(panel.len() >= dim * PANEL && rows.len() >= R * dim && out.len() >= R * PANEL);
    let mut sums = [[_mm512_setzero_ps(); PARTS]; R];
    for d in 0..dim {
        // SAFETY: the assertion above covers all 64 values of dimension `d`.
        let lanes: [__m512; PARTS] =
            std::array::from_fn(|part| unsafe { _mm512_loadu_ps(panel.as_ptr().add(d * PANEL + part * 16)) });
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above, for element `d` of row `r`.
            let value = _mm512_set1_ps(unsafe { *rows.get_unchecked(r * dim + d) });
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum = _mm512_fmadd_ps(value, lane, *sum);
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (part, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above, for line `r` of the answer.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr().add(r * PANEL + part * 16), sum) };
        }
    }
}

#[target_feature(enable = "avx512f")]
fn dots_body(panel: &[f32], rows: &[f32], out: &mut [f32]) {
    let dim = panel.len() / PANEL;
    let count = out.len() / PANEL;
    let mut row = 0;
    while row + ROWS <= count {
        tile::<ROWS>(panel, &rows[row * dim..], dim, &mut out[row * PANEL..]);
        row += ROWS;
    }
    while row < count {
        tile::<1>(panel, &rows[row * dim..], dim, &mut out[row * PANEL..]);
        row += 1;
    }
}

pub(crate) fn dots(panel: &[f32], rows: &[f32], out: &mut [f32]) {
    // SAFETY: `PanelKernel` hands this function out only where the processor has the level.
    unsafe { dots_body(panel, rows, out) }
}

#[target_feature(enable = "avx512f")]
fn nearest_body(dots: &[f32], squares: &[f32], first: u32, best: &mut [f32], index: &mut [u32]) {
    assert!(dots.len() >= squares.len() * PANEL && best.len() >= PANEL && index.len() >= PANEL);
    let two = _mm512_set1_ps(2.0);
    for part in 0..PARTS {
        // SAFETY: the assertion above covers all 64 values of both.
        let (mut keys, mut rows) = unsafe {
            let keys = _mm512_loadu_ps(best.as_ptr().add(part * 16));
            (keys, _mm512_loadu_si512(index.as_ptr().add(part * 16).cast()))
        };
        for (number, &square) in squares.iter().enumerate() {
            // SAFETY: as above, for line `number`.
            let dot = unsafe { _mm512_loadu_ps(dots.as_ptr().add(number * PANEL + part * 16)) };
            let key = _mm512_fnmadd_ps(two, dot, _mm512_set1_ps(square));
            let nearer = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(key, keys);
            keys = _mm512_mask_mov_ps(keys, nearer, key);
            rows = _mm512_mask_mov_epi32(rows, nearer, _mm512_set1_epi32((first + number as u32).cast_signed()));
        }
        // SAFETY: as above.
        unsafe {
            _mm512_storeu_ps(best.as_mut_ptr().add(part * 16), keys);
            _mm512_storeu_si512(index.as_mut_ptr().add(part * 16).cast(), rows);
        }
    }
}

pub(crate) fn nearest(dots: &[f32], squares: &[f32], first: u32, best: &mut [f32], index: &mut [u32]) {
    // SAFETY: as for `dots`.
    unsafe { nearest_body(dots, squares, first, best, index) }
}
