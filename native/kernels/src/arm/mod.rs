//! NEON, which every 64-bit Arm processor has. Only `f32` is written out; the other elements use the scalar twin,
//! which the compiler vectorises in part.

use std::arch::aarch64::*;

use crate::decode::f32_at;

const LANES: usize = 4;

fn sums<const L2: bool, const NORM: bool>(query: &[u8], row: &[u8]) -> (f32, f32) {
    let elements = query.len().min(row.len()) / 4;
    let whole = elements / (LANES * 2) * (LANES * 2);
    // SAFETY: NEON is part of the architecture, and every load lies below `whole` elements of both slices.
    let (mut sum, mut norm) = unsafe {
        let mut sums = [vdupq_n_f32(0.0); 2];
        let mut norms = [vdupq_n_f32(0.0); 2];
        for at in (0..whole).step_by(LANES * 2) {
            for part in 0..2 {
                let offset = (at + part * LANES) * 4;
                let x = vreinterpretq_f32_u8(vld1q_u8(query.as_ptr().add(offset)));
                let y = vreinterpretq_f32_u8(vld1q_u8(row.as_ptr().add(offset)));
                if L2 {
                    let difference = vsubq_f32(x, y);
                    sums[part] = vfmaq_f32(sums[part], difference, difference);
                } else {
                    sums[part] = vfmaq_f32(sums[part], x, y);
                }
                if NORM {
                    norms[part] = vfmaq_f32(norms[part], y, y);
                }
            }
        }
        (vaddvq_f32(vaddq_f32(sums[0], sums[1])), vaddvq_f32(vaddq_f32(norms[0], norms[1])))
    };
    for i in whole..elements {
        let (x, y) = (f32_at(query, i), f32_at(row, i));
        sum += if L2 { (x - y) * (x - y) } else { x * y };
        norm += y * y;
    }
    (sum, norm)
}

pub(crate) fn dot_f32(query: &[u8], row: &[u8]) -> f32 {
    sums::<false, false>(query, row).0
}

pub(crate) fn l2_f32(query: &[u8], row: &[u8]) -> f32 {
    sums::<true, false>(query, row).0
}

pub(crate) fn cosine_f32(query: &[u8], row: &[u8]) -> f32 {
    let (dot, norm) = sums::<false, true>(query, row);
    crate::scalar::over_norm(dot, norm)
}
