//! Loops of inverted indexes over whole arrays: upper bounds of cells and sums of rows.
//!
//! Each has one body, compiled once for every instruction level; the plain build of it is the scalar twin, and all
//! levels give the same bits.

use crate::dispatch::Isa;

/// `sums[i] += codes[i] · scale`, as far as both reach.
pub type AddScaledFn = fn(&mut [f32], &[u8], f32);
/// Appends the positions of all values ≥ `least` to `out`, ascending. A NaN is never at least anything.
pub type SelectFn = fn(&[f32], f32, &mut Vec<u32>);
/// The largest of the values; −∞ for none.
pub type LargestFn = fn(&[f32]) -> f32;

/// The loops of one instruction level.
#[derive(Clone, Copy, Debug)]
pub struct PostingKernels {
    pub add_scaled: AddScaledFn,
    pub select: SelectFn,
    pub largest: LargestFn,
}

impl PostingKernels {
    #[must_use]
    pub fn choose(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa.x86() == Some(crate::dispatch::X86::Avx512) {
            return avx512::KERNELS;
        }
        let _ = isa;
        Self { add_scaled, select, largest }
    }
}

#[inline(always)]
fn add_scaled(sums: &mut [f32], codes: &[u8], scale: f32) {
    for (sum, &code) in sums.iter_mut().zip(codes) {
        *sum += f32::from(code) * scale;
    }
}

fn select(values: &[f32], least: f32, out: &mut Vec<u32>) {
    for (position, &value) in values.iter().enumerate() {
        if value >= least {
            out.push(position as u32);
        }
    }
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let mut sixteens = values.chunks_exact(16);
    for sixteen in &mut sixteens {
        for (lane, &value) in lanes.iter_mut().zip(sixteen) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(sixteens.remainder()).fold(f32::NEG_INFINITY, |most, &value| most.max(value))
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::PostingKernels;

    pub(super) const KERNELS: PostingKernels = PostingKernels { add_scaled, select, largest };

    fn add_scaled(sums: &mut [f32], codes: &[u8], scale: f32) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn body(sums: &mut [f32], codes: &[u8], scale: f32) {
            super::add_scaled(sums, codes, scale);
        }
        // SAFETY: `choose` hands this function out only where the processor has the level.
        unsafe { body(sums, codes, scale) }
    }

    fn largest(values: &[f32]) -> f32 {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn body(values: &[f32]) -> f32 {
            super::largest(values)
        }
        // SAFETY: as above.
        unsafe { body(values) }
    }

    fn select(values: &[f32], least: f32, out: &mut Vec<u32>) {
        // SAFETY: as above.
        unsafe { select_body(values, least, out) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn select_body(values: &[f32], least: f32, out: &mut Vec<u32>) {
        let bound = _mm512_set1_ps(least);
        for (number, sixteen) in values.chunks(16).enumerate() {
            let there = u16::MAX >> (16 - sixteen.len());
            // SAFETY: masked-out values are not read; the others lie inside the slice.
            let loaded = unsafe { _mm512_maskz_loadu_ps(there, sixteen.as_ptr()) };
            let mut found = _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(there, loaded, bound);
            while found != 0 {
                out.push(number as u32 * 16 + found.trailing_zeros());
                found &= found - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PostingKernels;
    use crate::dispatch::Isa;

    proptest! {
        #[test]
        fn every_level_agrees_with_the_twin(
            values in prop::collection::vec(-4.0f32..4.0, 0..200),
            codes in prop::collection::vec(any::<u8>(), 0..200),
            scale in 0.0f32..2.0,
            pick in any::<prop::sample::Index>(),
        ) {
            let twin = PostingKernels::choose(Isa::scalar());
            let least = if values.is_empty() { 0.0 } else { values[pick.index(values.len())] };
            for isa in Isa::available() {
                let kernels = PostingKernels::choose(isa);
                let (mut sums, mut expected) = (values.clone(), values.clone());
                (kernels.add_scaled)(&mut sums, &codes, scale);
                (twin.add_scaled)(&mut expected, &codes, scale);
                prop_assert_eq!(&sums, &expected);
                prop_assert_eq!((kernels.largest)(&values), (twin.largest)(&values));
                let (mut found, mut wanted) = (vec![7], vec![7]);
                (kernels.select)(&values, least, &mut found);
                (twin.select)(&values, least, &mut wanted);
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_not_selected_and_nothing_has_no_largest() {
        for isa in Isa::available() {
            let kernels = PostingKernels::choose(isa);
            let mut found = vec![];
            (kernels.select)(&[1.0, f32::NAN, 2.0], f32::NEG_INFINITY, &mut found);
            assert_eq!(found, [0, 2]);
            assert_eq!((kernels.largest)(&[]), f32::NEG_INFINITY);
        }
    }
}
