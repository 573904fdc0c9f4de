//! A first look at a vector: one bit a dimension, in the head of its code. A walk compares most nodes only to turn them
//! away; the signs say so from a cache line or two, and the code itself is read for the rest.
//!
//! A head is `scale: f32, bias: f32` of the code, and with signs `scale: f32` of the signs and a bit a dimension, set
//! where the value is not negative. The vector x is taken for its signs s, |x|² / ⟨x, s⟩ long each: an estimate of
//! ⟨q, x⟩ without bias where the error stands at a right angle to x (RaBitQ, Gao & Long, SIGMOD 2024, 3.2). That
//! error comes from the part of s at a right angle to x, √(D(1 − ⟨x, s⟩²/D|x|²)) long, about 0.6 √D, which q meets
//! at a random angle: ⟨q, s⟩ errs by about 0.6 |q|.

use elanus_kernels::signs::STEP;

use super::codes::{FACTOR_BYTES, LINE_BYTES};

/// Where the signs begin in a head.
pub(super) const SIGNS_AT: usize = FACTOR_BYTES + 4;

/// Standard deviations that a walk's first look gives a node for free: fewer lose neighbours, more read codes in vain.
pub(crate) const DOUBT: f32 = 0.5;
const ERROR: f32 = 0.6;

/// Bytes of a head with signs: whole cache lines, or a part of one that divides it.
pub(super) fn signed_head_bytes(dim: usize) -> usize {
    let bytes = SIGNS_AT + dim.next_multiple_of(STEP) / 8;
    if bytes <= LINE_BYTES { bytes.next_power_of_two() } else { bytes.next_multiple_of(LINE_BYTES) }
}

/// The standard deviation of a dot product with signs, of a query whose bytes have this sum of squares.
pub(super) fn error(squares: f32) -> f32 {
    ERROR * squares.sqrt()
}

/// Writes the signs' scale and the signs, into zeroed bytes.
pub(super) fn write_signs(values: &[f32], out: &mut [u8]) {
    let (scale_bytes, signs) = out.split_at_mut(4);
    let (mut along, mut squares) = (0f64, 0f64);
    for (at, &value) in values.iter().enumerate() {
        along += f64::from(value.abs());
        squares += f64::from(value * value);
        signs[at / 8] |= u8::from(value >= 0.0) << (at % 8);
    }
    let scale = if along > 0.0 { (squares / along) as f32 } else { 0.0 };
    scale_bytes.copy_from_slice(&scale.to_le_bytes());
}
