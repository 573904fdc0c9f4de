//! [`crate::compare`] with AVX-512.

use std::arch::x86_64::*;

use crate::compare::FloatRange;

/// Makes a function that fills one word from 64 values, `$lanes` at a time, with what `$test` says of a register.
macro_rules! ranges {
    ($name:ident, $body:ident, $type:ty, $lanes:literal, ($($end:ident: $of:ty),+), $load:ident,
     $prepare:expr, $test:expr) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
        fn $body(values: &[$type], $($end: $of),+, out: &mut [u64]) {
            assert!(out.len() >= values.len().div_ceil(64));
            let ends = $prepare($($end),+);
            for (word, values) in out.iter_mut().zip(values.chunks(64)) {
                *word = 0;
                for at in (0..values.len()).step_by($lanes) {
                    let there = u16::MAX >> (16 - (values.len() - at).min($lanes));
                    // SAFETY: masked-out values are not read; the others are in the slice.
                    let register = unsafe { $load(there as _, values.as_ptr().add(at)) };
                    *word |= u64::from($test(register, &ends) as u16 & there) << at;
                }
            }
        }

        pub(crate) fn $name(values: &[$type], $($end: $of),+, out: &mut [u64]) {
            // SAFETY: `CompareKernel` hands this function out only where the processor has the level.
            unsafe { $body(values, $($end),+, out) }
        }
    };
}

ranges!(
    int32, int32_body, i32, 16, (low: i32, span: u32), _mm512_maskz_loadu_epi32,
    |low, span: u32| (_mm512_set1_epi32(low), _mm512_set1_epi32(span.cast_signed())),
    |value, ends: &(__m512i, __m512i)| _mm512_cmple_epu32_mask(_mm512_sub_epi32(value, ends.0), ends.1)
);
ranges!(
    int64, int64_body, i64, 8, (low: i64, span: u64), _mm512_maskz_loadu_epi64,
    |low, span: u64| (_mm512_set1_epi64(low), _mm512_set1_epi64(span.cast_signed())),
    |value, ends: &(__m512i, __m512i)| _mm512_cmple_epu64_mask(_mm512_sub_epi64(value, ends.0), ends.1)
);
ranges!(
    double, double_body, f64, 8, (range: &FloatRange), _mm512_maskz_loadu_pd,
    |range| Ends::of(range),
    |value, ends: &Ends| ends.around(value)
);
ranges!(
    float, float_body, f32, 8, (range: &FloatRange), load_floats,
    |range| Ends::of(range),
    |value, ends: &Ends| ends.around(value)
);

/// Eight floats as doubles.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_floats(there: u16, from: *const f32) -> __m512d {
    // SAFETY: masked-out values are not read; the caller has the others.
    _mm512_cvtps_pd(_mm512_castps512_ps256(unsafe { _mm512_maskz_loadu_ps(there, from) }))
}

struct Ends {
    low: __m512d,
    high: __m512d,
    /// Masks of all lanes or none.
    low_closed: u8,
    high_closed: u8,
}

impl Ends {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn of(range: &FloatRange) -> Self {
        let lanes = |closed| if closed { u8::MAX } else { 0 };
        Self {
            low: _mm512_set1_pd(range.low),
            high: _mm512_set1_pd(range.high),
            low_closed: lanes(range.low_closed),
            high_closed: lanes(range.high_closed),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn around(&self, value: __m512d) -> u8 {
        let above = _mm512_cmp_pd_mask::<_CMP_GT_OQ>(value, self.low);
        let at_low = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(value, self.low) & self.low_closed;
        let below = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(value, self.high);
        let at_high = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(value, self.high) & self.high_closed;
        (above | at_low) & (below | at_high)
    }
}
