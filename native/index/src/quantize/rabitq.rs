//! RaBitQ: bits of the rotated residual, with factors that make the estimate of a dot product unbiased.
//!
//! Gao & Long, "RaBitQ" (SIGMOD 2024), and with more bits Gao et al. (SIGMOD 2025). For a code v of residual r the
//! estimate of r·y is (r·r / r·v) · v·y. With r̂ = (r·r / r·v) v the distance from q is then
//! |q − c|² + r·r + 2 c·r̂ − 2 q·r̂, which is linear in the query: one table serves all lists.

use super::rotation::Rotation;
use super::scalar::{self, Scalar, Work};
use super::{Factors, dot};

#[derive(Debug)]
pub(super) struct RaBitQ {
    rotation: Rotation,
    planes: Scalar,
}

impl RaBitQ {
    pub(super) fn new(dim: usize, bits: u32) -> Self {
        Self { rotation: Rotation::new(dim), planes: Scalar::planes(dim, bits) }
    }

    pub(super) fn bits(&self) -> usize {
        self.planes.bits as usize
    }

    pub(super) fn symbol_bytes(&self) -> usize {
        self.planes.symbol_bytes()
    }

    pub(super) fn rotate(&self, vector: &mut [f32]) {
        self.rotation.apply(vector);
    }

    pub(super) fn encode(&self, residual: &[f32], centre: &[f32], work: &mut Work, code: &mut [u8]) -> Factors {
        let mut rotated = std::mem::take(&mut work.rotated);
        rotated.clear();
        rotated.extend_from_slice(residual);
        self.rotation.apply(&mut rotated);
        let grid = scalar::fit(&rotated, self.planes.bits, work);
        let square = dot(&rotated, &rotated);
        let scale = if grid.along > 0.0 { square / grid.along } else { 0.0 };
        self.planes.pack(work.levels(), code);
        let mut with_centre = 0.0;
        if !centre.is_empty() {
            rotated.clear();
            rotated.extend_from_slice(centre);
            self.rotation.apply(&mut rotated);
            with_centre = scalar::dot_centred(&rotated, work.levels(), self.planes.bits);
        }
        work.rotated = rotated;
        Factors { scale, bias: square + 2.0 * scale * with_centre }
    }

    pub(super) fn decode(&self, code: &[u8], scale: f32, out: &mut [f32]) {
        self.planes.decode(code, scale, out);
        self.rotation.undo(out);
    }
}
