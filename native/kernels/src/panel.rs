//! Many vectors against many at once: a panel of 64 vectors stands dimension by dimension, so that one broadcast
//! element of a row meets all of them and no sum runs across a register. Exact search of several queries, k-means
//! and the training and encoding of product codes are all this product of two matrices.

use crate::dispatch::Isa;

/// Vectors of a panel.
pub const PANEL: usize = 64;

/// 64 vectors of `f32`; value `d` of vector `v` is `values[d * 64 + v]`.
#[derive(Clone, Debug)]
pub struct Panel {
    values: Vec<f32>,
    squares: Vec<f32>,
}

impl Panel {
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { values: vec![0.0; dim * PANEL], squares: vec![0.0; PANEL] }
    }

    /// Puts a vector into a lane.
    pub fn set(&mut self, lane: usize, vector: &[f32]) {
        let mut squares = 0.0;
        for (&value, out) in vector.iter().zip(self.values.iter_mut().skip(lane).step_by(PANEL)) {
            *out = value;
            squares += value * value;
        }
        self.squares[lane] = squares;
    }

    /// Squared length of each vector.
    #[must_use]
    pub fn squares(&self) -> &[f32] {
        &self.squares
    }

    /// All dimensions, or some of them, as [`PanelKernel`] takes them.
    #[must_use]
    pub fn dimensions(&self, range: std::ops::Range<usize>) -> &[f32] {
        &self.values[range.start * PANEL..range.end * PANEL]
    }
}

type DotsFn = fn(&[f32], &[f32], &mut [f32]);
type NearestFn = fn(&[f32], &[f32], u32, &mut [f32], &mut [u32]);

/// The functions for one processor.
#[derive(Clone, Copy, Debug)]
pub struct PanelKernel {
    dots: DotsFn,
    nearest: NearestFn,
}

impl PanelKernel {
    #[must_use]
    pub fn choose(isa: Isa) -> Self {
        match isa.x86() {
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx512) => {
                Self { dots: crate::x86::panel512::dots, nearest: crate::x86::panel512::nearest }
            }
            #[cfg(target_arch = "x86_64")]
            Some(crate::dispatch::X86::Avx2) => Self { dots: crate::x86::panel2::dots, nearest },
            _ => Self { dots, nearest },
        }
    }

    /// `out[r * 64 + v]` = dot product of row `r` and vector `v` of the panel. The rows lie one after the other; there
    /// are as many as `out` has room for. Every product is added in order of dimension, whatever the neighbours.
    ///
    /// # Panics
    /// The slices do not fit each other.
    pub fn dots(&self, panel: &[f32], rows: &[f32], out: &mut [f32]) {
        let dim = panel.len() / PANEL;
        assert!(rows.len() >= out.len() / PANEL * dim, "rows for every line of the answer");
        (self.dots)(panel, rows, out);
    }

    /// Offers rows `first..` with these dot products to each vector's nearest so far, by `squares[r] − 2 · dot`;
    /// the first among equals stays.
    ///
    /// # Panics
    /// The slices do not fit each other.
    pub fn nearest(&self, dots: &[f32], squares: &[f32], first: u32, best: &mut [f32], index: &mut [u32]) {
        assert!(dots.len() >= squares.len() * PANEL && best.len() == PANEL && index.len() == PANEL, "a panel's size");
        (self.nearest)(dots, squares, first, best, index);
    }
}

/// What [`PanelKernel::dots`] means.
fn dots(panel: &[f32], rows: &[f32], out: &mut [f32]) {
    let dim = panel.len() / PANEL;
    for (r, out) in out.chunks_exact_mut(PANEL).enumerate() {
        out.fill(0.0);
        for (&value, lanes) in rows[r * dim..(r + 1) * dim].iter().zip(panel.chunks_exact(PANEL)) {
            out.iter_mut().zip(lanes).for_each(|(sum, &lane)| *sum += value * lane);
        }
    }
}

/// What [`PanelKernel::nearest`] means.
fn nearest(dots: &[f32], squares: &[f32], first: u32, best: &mut [f32], index: &mut [u32]) {
    for (number, (dots, &square)) in dots.chunks_exact(PANEL).zip(squares).enumerate() {
        for ((&dot, best), index) in dots.iter().zip(best.iter_mut()).zip(index.iter_mut()) {
            let key = square - 2.0 * dot;
            if key < *best {
                (*best, *index) = (key, first + number as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PANEL, Panel, PanelKernel};
    use crate::dispatch::Isa;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_level_agrees_with_the_twin(dim in 1usize..70, rows in 1usize..20, seed in any::<u32>()) {
            let mut state = seed | 1;
            let mut draw = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            let mut panel = Panel::new(dim);
            for lane in 0..PANEL {
                let vector: Vec<f32> = (0..dim).map(|_| draw()).collect();
                panel.set(lane, &vector);
            }
            let rows_of: Vec<f32> = (0..rows * dim).map(|_| draw()).collect();
            let squares: Vec<f32> = rows_of.chunks(dim).map(|row| row.iter().map(|x| x * x).sum()).collect();
            let mut expected = vec![0.0; rows * PANEL];
            super::dots(panel.dimensions(0..dim), &rows_of, &mut expected);
            for isa in Isa::available() {
                let kernel = PanelKernel::choose(isa);
                let mut found = vec![7.0; rows * PANEL];
                kernel.dots(panel.dimensions(0..dim), &rows_of, &mut found);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((found - expected).abs() < 1e-4, "{} {found} {expected}", isa.name());
                }
                let (mut best, mut index) = ([f32::INFINITY; PANEL], [0; PANEL]);
                let (mut twin_best, mut twin_index) = (best, index);
                kernel.nearest(&expected, &squares, 5, &mut best, &mut index);
                super::nearest(&expected, &squares, 5, &mut twin_best, &mut twin_index);
                prop_assert_eq!(index, twin_index);
                prop_assert!(best.iter().zip(&twin_best).all(|(a, b)| (a - b).abs() < 1e-4));
            }
        }
    }
}
