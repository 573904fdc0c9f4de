//! [`crate::panel`] with AVX2 and FMA: half a panel's lanes at a time, for want of registers.

use std::arch::x86_64::*;

use crate::panel::PANEL;

/// Registers of 8 lanes taken together.
const PARTS: usize = 2;
/// Rows taken together: 12 sums, 2 loaded values and 1 broadcast of 16 registers.
const ROWS: usize = 6;

#[target_feature(enable = "avx2,fma")]
fn tile<const R: usize>(panel: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    assert!(panel.len() >= dim * PANEL && rows.len() >= R * dim && out.len() >= R * PANEL);
    for from in (0..PANEL).step_by(PARTS * 8) {
        let mut sums = [[_mm256_setzero_ps(); PARTS]; R];
        for d in 0..dim {
            // SAFETY: the assertion above covers all 64 values of dimension `d`.
            let lanes: [__m256; PARTS] =
                std::array::from_fn(|part| unsafe { _mm256_loadu_ps(panel.as_ptr().add(d * PANEL + from + part * 8)) });
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: as above, for element `d` of row `r`.
                let value = _mm256_set1_ps(unsafe { *rows.get_unchecked(r * dim + d) });
                for (sum, lane) in sums.iter_mut().zip(lanes) {
                    *sum = _mm256_fmadd_ps(value, lane, *sum);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (part, sum) in sums.into_iter().enumerate() {
                // SAFETY: as above, for line `r` of the answer.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(r * PANEL + from + part * 8), sum) };
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
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
