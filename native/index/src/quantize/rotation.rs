//! A random rotation in O(d log d): random signs and a Hadamard transform, alternately over the first and the last
//! power of two of the dimensions, so that none has to be added.
//!
//! Ailon & Chazelle, "The fast Johnson-Lindenstrauss transform" (SICOMP 2009); four rounds as RaBitQ's authors use.

const ROUNDS: usize = 4;

#[derive(Debug)]
pub(super) struct Rotation {
    /// One of ±1 for each round and dimension.
    signs: Vec<f32>,
    dim: usize,
}

impl Rotation {
    /// The same for the same number of dimensions, always: files do not hold it.
    pub(super) fn new(dim: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut sign = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state >> 63 == 0 { 1.0 } else { -1.0 }
        };
        Self { signs: (0..dim * ROUNDS).map(|_| sign()).collect(), dim }
    }

    pub(super) fn apply(&self, vector: &mut [f32]) {
        let power = 1 << self.dim.max(1).ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dim.max(1)).enumerate() {
            vector.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
            let from = if round % 2 == 0 { 0 } else { self.dim - power };
            hadamard(&mut vector[from..from + power]);
        }
    }

    pub(super) fn undo(&self, vector: &mut [f32]) {
        let power = 1 << self.dim.max(1).ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dim.max(1)).enumerate().rev() {
            let from = if round % 2 == 0 { 0 } else { self.dim - power };
            hadamard(&mut vector[from..from + power]);
            vector.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
        }
    }
}

/// In place, orthonormal, its own inverse; the length is a power of two.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(half * 2) {
            let (low, high) = pair.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                (*low, *high) = (*low + *high, *low - *high);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f32).sqrt();
    values.iter_mut().for_each(|value| *value *= scale);
}

#[cfg(test)]
mod tests {
    use super::Rotation;

    #[test]
    fn keeps_lengths_spreads_spikes_and_can_be_undone() {
        for dim in [1, 2, 3, 100, 384, 768] {
            let rotation = Rotation::new(dim);
            let mut vector = vec![0f32; dim];
            vector[dim / 2] = 3.0;
            rotation.apply(&mut vector);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((length - 3.0).abs() < 1e-4, "{dim}: {length}");
            let largest = vector.iter().fold(0f32, |most, x| most.max(x.abs()));
            assert!(dim < 100 || largest < 1.2, "{dim}: {largest}");
            rotation.undo(&mut vector);
            assert!((vector[dim / 2] - 3.0).abs() < 1e-4);
        }
    }
}
