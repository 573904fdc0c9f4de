//! Many queries against rows where they lie: up to [`PANEL`] vectors stand in a [`crate::panel::Panel`], and a block of
//! rows of `f32` meets all of them while it is in the cache. The rows asked for next are fetched meanwhile.

use crate::decode::f32_at;
use crate::dispatch::{Element, Isa};
use crate::panel::PANEL;

/// Rows of a block that no kernel has to cut: a multiple of all that they take together.
pub const BLOCK_ROWS: usize = 24;

/// One value for each vector of a panel.
pub type Lanes = [f32; PANEL];

/// Rows as little-endian `f32`, and those that the next call will bring, which may be fewer.
#[derive(Clone, Copy, Debug)]
pub struct RowBlock<'a> {
    pub rows: &'a [&'a [u8]],
    pub ahead: &'a [&'a [u8]],
}

/// What [`ManyKernel::dots`] fills, for each row.
#[derive(Debug, Default)]
pub struct Products {
    /// `dots[r * 64 + v]`: dot product of row `r` and vector `v`. In lanes without a vector it means nothing.
    pub dots: Vec<f32>,
    /// Squared length of row `r`.
    pub squares: Vec<f32>,
}

type DotsFn = fn(&[f32], usize, RowBlock<'_>, &mut Products);
type ReachFn = fn(&[f32], &Lanes, &Lanes, f32) -> u64;
type WidenFn = fn(&[u8], &mut [f32]);

/// The functions for one processor.
#[derive(Clone, Copy, Debug)]
pub struct ManyKernel {
    dots: DotsFn,
    reach: ReachFn,
    widen_f16: WidenFn,
}

impl ManyKernel {
    #[must_use]
    pub fn choose(isa: Isa) -> Self {
        match isa.x86() {
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx512) => Self {
                dots: crate::x86::many512::dots,
                reach: crate::x86::many512::reach,
                widen_f16: crate::x86::many2::widen_f16,
            },
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx2) => {
                Self { dots: crate::x86::many2::dots, reach, widen_f16: crate::x86::many2::widen_f16 }
            }
            _ => Self { dots, reach, widen_f16 },
        }
    }

    /// Multiplies the rows with the first `lanes` vectors of the panel, and with themselves. Every product with a
    /// vector is added in order of dimension.
    ///
    /// # Panics
    /// A row is shorter than the panel's dimensions, or `lanes` is no number of lanes.
    pub fn dots(&self, panel: &[f32], lanes: usize, block: RowBlock<'_>, out: &mut Products) {
        let bytes = panel.len() / PANEL * 4;
        assert!(block.rows.iter().all(|row| row.len() >= bytes), "whole rows");
        assert!((1..=PANEL).contains(&lanes), "lanes of a panel");
        out.dots.resize(block.rows.len() * PANEL, 0.0);
        out.squares.clear();
        out.squares.resize(block.rows.len(), 0.0);
        (self.dots)(panel, lanes, block, out);
    }

    /// The lanes, one bit each, in which a line of [`Self::dots`] is not below `base + slope · size`. What is not a
    /// number is not below.
    ///
    /// # Panics
    /// `dots` has fewer values than a panel has lanes.
    #[inline]
    #[must_use]
    pub fn reach(&self, dots: &[f32], base: &Lanes, slope: &Lanes, size: f32) -> u64 {
        assert!(dots.len() >= PANEL, "a whole line");
        (self.reach)(dots, base, slope, size)
    }

    /// Fills `out` with the elements of a row; what the row lacks becomes 0.
    pub fn widen(&self, element: Element, row: &[u8], out: &mut [f32]) {
        match element {
            Element::F16 => (self.widen_f16)(row, out),
            _ => crate::decode::to_f32(element, row, out),
        }
    }
}

/// What [`ManyKernel::dots`] means.
fn dots(panel: &[f32], lanes: usize, block: RowBlock<'_>, out: &mut Products) {
    let answers = out.dots.chunks_exact_mut(PANEL).zip(&mut out.squares);
    for (row, (dots, squares)) in block.rows.iter().zip(answers) {
        dots.fill(0.0);
        for (d, values) in panel.chunks_exact(PANEL).enumerate() {
            let value = f32_at(row, d);
            dots[..lanes].iter_mut().zip(values).for_each(|(sum, &lane)| *sum += value * lane);
            *squares += value * value;
        }
    }
}

/// What [`ManyKernel::reach`] means.
fn reach(dots: &[f32], base: &Lanes, slope: &Lanes, size: f32) -> u64 {
    let lanes = dots.iter().zip(base.iter().zip(slope));
    let below = lanes.map(|(&dot, (&base, &slope))| dot < base + slope * size);
    below.enumerate().fold(0, |mask, (lane, below)| mask | u64::from(!below) << lane)
}

fn widen_f16(row: &[u8], out: &mut [f32]) {
    crate::decode::to_f32(Element::F16, row, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Lanes, ManyKernel, Products, RowBlock};
    use crate::dispatch::{Element, Isa};
    use crate::panel::{PANEL, Panel};

    fn draw(seed: u32) -> impl FnMut() -> f32 {
        let mut state = seed | 1;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_level_agrees_with_the_twin(
            dim in 1usize..300, count in 0usize..30, lanes in 1usize..=64, seed in any::<u32>(), skew in 0usize..4,
        ) {
            let mut draw = draw(seed);
            let mut panel = Panel::new(dim);
            for lane in 0..lanes {
                let vector: Vec<f32> = (0..dim).map(|_| draw()).collect();
                panel.set(lane, &vector);
            }
            // Rows begin anywhere.
            let bytes: Vec<u8> = (0..skew).map(|_| 0)
                .chain((0..count * dim).flat_map(|_| draw().to_le_bytes())).collect();
            let rows: Vec<&[u8]> = bytes[skew..].chunks_exact(dim * 4).collect();
            let block = RowBlock { rows: &rows, ahead: &rows[..count / 2] };
            let twin = ManyKernel::choose(Isa::scalar());
            let (mut expected, mut found) = (Products::default(), Products::default());
            twin.dots(panel.dimensions(0..dim), lanes, block, &mut expected);
            for isa in Isa::available() {
                ManyKernel::choose(isa).dots(panel.dimensions(0..dim), lanes, block, &mut found);
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 2e-4;
                for (found, expected) in found.dots.chunks(PANEL).zip(expected.dots.chunks(PANEL)) {
                    prop_assert!(found[..lanes].iter().zip(expected).all(near), "{}", isa.name());
                }
                prop_assert!(found.squares.iter().zip(&expected.squares).all(near), "{}", isa.name());
            }
        }

        #[test]
        fn every_level_reaches_the_same_lanes(seed in any::<u32>(), odd in 0usize..64) {
            let mut draw = draw(seed);
            // Quarters, so that some values meet the limit exactly and none is rounded.
            let mut lanes = || -> Lanes { std::array::from_fn(|_| (draw() * 8.0).round() / 4.0) };
            let (mut dots, mut base, slope) = (lanes(), lanes(), lanes());
            (dots[odd], base[63 - odd]) = (f32::NAN, f32::NEG_INFINITY);
            for size in [0.5, 0.0, f32::NAN] {
                let expected = super::reach(&dots, &base, &slope, size);
                for isa in Isa::available() {
                    prop_assert_eq!(ManyKernel::choose(isa).reach(&dots, &base, &slope, size), expected);
                }
                prop_assert!(expected >> odd & 1 == 1 && (!size.is_nan() || expected == u64::MAX));
            }
        }

        #[test]
        fn every_level_widens_alike(row in prop::collection::vec(any::<u8>(), 0..90), dim in 0usize..45) {
            for element in [Element::F32, Element::F16, Element::Bf16, Element::I8] {
                let mut expected = vec![1.0; dim];
                crate::decode::to_f32(element, &row, &mut expected);
                for isa in Isa::available() {
                    let mut found = vec![2.0; dim];
                    ManyKernel::choose(isa).widen(element, &row, &mut found);
                    for (found, expected) in found.iter().zip(&expected) {
                        prop_assert!(found == expected || found.is_nan() && expected.is_nan(), "{}", isa.name());
                    }
                }
            }
        }
    }
}
