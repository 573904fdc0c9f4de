//! Ranges of numbers: which values of a column lie between two ends, one bit each, least significant first.

use crate::dispatch::Isa;

/// Both ends of a range of floats, each with whether it belongs to it. What is not a number is in no range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatRange {
    pub low: f64,
    pub low_closed: bool,
    pub high: f64,
    pub high_closed: bool,
}

impl FloatRange {
    #[inline]
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        let above = value > self.low || self.low_closed && value == self.low;
        above && (value < self.high || self.high_closed && value == self.high)
    }
}

type IntsFn<T, U> = fn(&[T], T, U, &mut [u64]);
type FloatsFn<T> = fn(&[T], &FloatRange, &mut [u64]);

/// The functions for one processor. Each fills the words of `out` that hold a bit of `values` (bits above stay zero)
/// and panics when there are too few. A whole number is in a range when it is at most `span` above `low`.
#[derive(Clone, Copy, Debug)]
pub struct CompareKernel {
    pub int32: IntsFn<i32, u32>,
    pub int64: IntsFn<i64, u64>,
    pub float: FloatsFn<f32>,
    pub double: FloatsFn<f64>,
}

impl CompareKernel {
    #[must_use]
    pub fn choose(isa: Isa) -> Self {
        match isa.x86() {
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx512) => {
                use crate::x86::compare512 as level;
                Self { int32: level::int32, int64: level::int64, float: level::float, double: level::double }
            }
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx2) => {
                Self { int32: crate::x86::compare2::int32, int64: crate::x86::compare2::int64, float, double }
            }
            _ => Self { int32, int64, float, double },
        }
    }
}

/// One bit a value.
#[inline]
pub(crate) fn pack<T: Copy>(values: &[T], out: &mut [u64], test: impl Fn(T) -> bool) {
    assert!(out.len() >= values.len().div_ceil(64), "a bit for every value");
    for (word, values) in out.iter_mut().zip(values.chunks(64)) {
        *word = values.iter().enumerate().fold(0, |word, (bit, &value)| word | u64::from(test(value)) << bit);
    }
}

fn int32(values: &[i32], low: i32, span: u32, out: &mut [u64]) {
    pack(values, out, |value| value.wrapping_sub(low).cast_unsigned() <= span);
}

fn int64(values: &[i64], low: i64, span: u64, out: &mut [u64]) {
    pack(values, out, |value| value.wrapping_sub(low).cast_unsigned() <= span);
}

fn float(values: &[f32], range: &FloatRange, out: &mut [u64]) {
    pack(values, out, |value| range.contains(f64::from(value)));
}

fn double(values: &[f64], range: &FloatRange, out: &mut [u64]) {
    pack(values, out, |value| range.contains(value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CompareKernel, FloatRange};
    use crate::dispatch::Isa;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_level_agrees_with_the_twin(
            values in prop::collection::vec(
                prop_oneof![-9i64..9, any::<i64>(), Just(i64::MIN), Just(i64::MAX)],
                0..300,
            ),
            low in prop_oneof![-9i64..9, any::<i64>()], span in prop_oneof![0u64..9, any::<u64>()],
            closed in any::<(bool, bool)>(),
        ) {
            let twin = CompareKernel::choose(Isa::scalar());
            let ints: Vec<i32> = values.iter().map(|&value| value as i32).collect();
            let odd = |at: usize, value: i64| match at % 11 {
                3 => f64::NAN,
                5 => f64::INFINITY,
                7 => -0.0,
                _ => value as f64,
            };
            let doubles: Vec<f64> = values.iter().enumerate().map(|(at, &value)| odd(at, value)).collect();
            let floats: Vec<f32> = doubles.iter().map(|&value| value as f32).collect();
            let (low_closed, high_closed) = closed;
            let (from, to) = (low as f64, (low as f64) + span as f64);
            let range = FloatRange { low: from, low_closed, high: to, high_closed };
            for isa in Isa::available() {
                let kernel = CompareKernel::choose(isa);
                let words = || vec![0u64; values.len().div_ceil(64)];
                let (mut found, mut expected) = (words(), words());
                (kernel.int32)(&ints, low as i32, span as u32, &mut found);
                (twin.int32)(&ints, low as i32, span as u32, &mut expected);
                prop_assert_eq!(&found, &expected, "{}", isa.name());
                (kernel.int64)(&values, low, span, &mut found);
                (twin.int64)(&values, low, span, &mut expected);
                prop_assert_eq!(&found, &expected, "{}", isa.name());
                (kernel.float)(&floats, &range, &mut found);
                (twin.float)(&floats, &range, &mut expected);
                prop_assert_eq!(&found, &expected, "{}", isa.name());
                (kernel.double)(&doubles, &range, &mut found);
                (twin.double)(&doubles, &range, &mut expected);
                prop_assert_eq!(&found, &expected, "{}", isa.name());
            }
        }
    }
}
