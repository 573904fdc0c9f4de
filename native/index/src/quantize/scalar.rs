//! Some bits a dimension: level u of `bits` bits stands for scale · (u − z), z = (2^bits − 1) / 2.
//!
//! Every vector has its own scale. The grid that fits best is looked for among a few (as in extended RaBitQ, Gao et
//! al., SIGMOD 2025): the one whose direction is nearest to the vector's.

use super::{Factors, Layout};

/// Planes are scanned in steps of eight tables of four dimensions.
const PLANE_DIMENSIONS: usize = 32;
/// Grids tried for a vector, from one that cuts its largest values off to one that holds all.
const GRIDS: usize = 8;
const TIGHTEST: f32 = 0.35;

/// Scratch of an encoder.
#[derive(Default)]
pub(super) struct Work {
    tried: Vec<u16>,
    /// Levels of the best grid.
    best: Vec<u16>,
    pub rotated: Vec<f32>,
}

#[derive(Debug)]
pub(super) struct Scalar {
    dim: usize,
    pub bits: u32,
    layout: Layout,
}

/// A vector on a grid, with v = u − z: `along` = r·v, `square` = v·v.
pub(super) struct OnGrid {
    pub along: f32,
    pub square: f32,
}

impl Scalar {
    /// Whole bytes for 8 bits, otherwise planes.
    pub(super) fn new(dim: usize, bits: u32) -> Self {
        if bits == 8 { Self { dim, bits, layout: Layout::Dimensions } } else { Self::planes(dim, bits) }
    }

    pub(super) fn planes(dim: usize, bits: u32) -> Self {
        Self { dim, bits, layout: Layout::Planes { count: bits as usize } }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn symbol_bytes(&self) -> usize {
        match self.layout {
            Layout::Dimensions => self.dim.next_multiple_of(4),
            _ => plane_bytes(self.dim) * self.bits as usize,
        }
    }

    pub(super) fn encode(&self, residual: &[f32], centre: &[f32], work: &mut Work, code: &mut [u8]) -> Factors {
        let grid = fit(residual, self.bits, work);
        self.pack(&work.best, code);
        let scale = if grid.square > 0.0 { grid.along / grid.square } else { 0.0 };
        let with_centre = dot_centred(centre, &work.best, self.bits);
        Factors { scale, bias: scale * scale * grid.square + 2.0 * scale * with_centre }
    }

    pub(super) fn pack(&self, levels: &[u16], code: &mut [u8]) {
        code.fill(0);
        if self.layout == Layout::Dimensions {
            code.iter_mut().zip(levels).for_each(|(byte, &level)| *byte = level as u8);
            return;
        }
        for (plane, bytes) in code.chunks_exact_mut(plane_bytes(self.dim)).enumerate() {
            for (byte, levels) in bytes.iter_mut().zip(levels.chunks(8)) {
                *byte = levels.iter().rev().fold(0, |byte, level| byte << 1 | (level >> plane & 1) as u8);
            }
        }
    }

    /// scale · (u − z) of each dimension.
    pub(super) fn decode(&self, code: &[u8], scale: f32, out: &mut [f32]) {
        let middle = middle(self.bits);
        let planes = plane_bytes(self.dim);
        for (d, value) in out.iter_mut().enumerate().take(self.dim) {
            let level = match self.layout {
                Layout::Dimensions => u32::from(code[d]),
                _ => code
                    .chunks_exact(planes)
                    .rev()
                    .fold(0, |level, plane| level << 1 | u32::from(plane[d / 8] >> (d % 8) & 1)),
            };
            *value = scale * (level as f32 - middle);
        }
    }
}

/// Bytes of one bit plane.
pub(super) fn plane_bytes(dim: usize) -> usize {
    dim.next_multiple_of(PLANE_DIMENSIONS) / 8
}

/// The z of levels of so many bits.
pub(super) fn middle(bits: u32) -> f32 {
    ((1u32 << bits) - 1) as f32 / 2.0
}

/// Leaves the levels of the best grid in `work.best`.
pub(super) fn fit(residual: &[f32], bits: u32, work: &mut Work) -> OnGrid {
    let largest = residual.iter().fold(0f32, |most, value| most.max(value.abs()));
    work.best.clear();
    work.tried.clear();
    work.best.resize(residual.len(), 0);
    work.tried.resize(residual.len(), 0);
    let usable = largest.is_finite() && largest > 0.0;
    let mut best = OnGrid { along: 0.0, square: 0.0 };
    let first = if bits == 1 || bits == 8 { GRIDS } else { 1 };
    for grid in first..=GRIDS {
        let cut = largest * (TIGHTEST + (1.0 - TIGHTEST) * grid as f32 / GRIDS as f32);
        let inverse = if usable { middle(bits) / cut } else { 0.0 };
        let own = on_grid(residual, bits, inverse, &mut work.tried);
        if best.square == 0.0 || own.along * own.along * best.square > best.along * best.along * own.square {
            best = own;
            std::mem::swap(&mut work.best, &mut work.tried);
        }
    }
    if usable { best } else { OnGrid { along: 0.0, square: 0.0 } }
}

fn on_grid(residual: &[f32], bits: u32, inverse: f32, levels: &mut [u16]) -> OnGrid {
    let (middle, top) = (middle(bits), ((1u32 << bits) - 1) as f32);
    let (mut along, mut square) = ([0f32; 8], [0f32; 8]);
    for (values, levels) in residual.chunks(8).zip(levels.chunks_mut(8)) {
        for (lane, (&value, level)) in values.iter().zip(levels).enumerate() {
            // Half away from zero is what adding a half and cutting off does to a number that is not negative.
            let step = (value * inverse + (middle + 0.5)).clamp(0.0, top) as i32;
            let centred = step as f32 - middle;
            along[lane] += value * centred;
            square[lane] += centred * centred;
            *level = step as u16;
        }
    }
    OnGrid { along: along.iter().sum(), square: square.iter().sum() }
}

/// Dot product of a vector, or nothing, with v = u − z.
pub(super) fn dot_centred(vector: &[f32], levels: &[u16], bits: u32) -> f32 {
    let middle = middle(bits);
    vector.iter().zip(levels).map(|(value, &level)| value * (f32::from(level) - middle)).sum()
}

impl Work {
    pub(super) fn levels(&self) -> &[u16] {
        &self.best
    }
}
