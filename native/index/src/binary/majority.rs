//! k-means for bits: a centroid has the bits that most of its rows have.

use std::sync::{Mutex, PoisonError};

use elanus_kernels::DistanceKernel;

use crate::IndexError;
use crate::parallel;
use crate::progress::Progress;
use crate::vector::VectorRows;

const ITERATIONS: usize = 10;
/// Training rows for each centroid.
const SAMPLE_PER_LIST: usize = 100;
/// Rows that one thread takes at a time.
const STRETCH: usize = 512;

/// What a training or an assignment works with.
pub(super) struct Majority<'a> {
    pub rows: &'a dyn VectorRows,
    pub kernel: DistanceKernel,
    pub threads: usize,
    pub progress: &'a Progress,
}

impl Majority<'_> {
    /// `lists` centroids of the given rows, one after the other; not more than there are rows.
    pub(super) fn train(&self, of: &[u32], lists: usize) -> Result<Vec<u8>, IndexError> {
        let step = (of.len() / lists.saturating_mul(SAMPLE_PER_LIST).max(1)).max(1);
        let sample: Vec<u32> = of.iter().copied().step_by(step).collect();
        let mut centroids: Vec<u8> = vec![];
        for list in 0..lists {
            centroids.extend_from_slice(self.rows.row(sample[list * sample.len() / lists]));
        }
        for iteration in 0..ITERATIONS {
            let assigned = self.assign(&sample, &centroids)?;
            if !self.move_to_majorities(&sample, &assigned, &mut centroids, iteration) {
                break;
            }
            self.progress.advance(0.6 * (iteration + 1) as f32 / ITERATIONS as f32);
        }
        Ok(centroids)
    }

    /// The list of each of the given rows.
    pub(super) fn assign(&self, of: &[u32], centroids: &[u8]) -> Result<Vec<u32>, IndexError> {
        let mut lists = vec![0u32; of.len()];
        let stretches = Mutex::new(of.chunks(STRETCH).zip(lists.chunks_mut(STRETCH)));
        parallel::run(self.threads, || {
            loop {
                self.progress.check()?;
                let taken = stretches.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((rows, lists)) = taken else { return Ok(()) };
                for (&row, list) in rows.iter().zip(lists) {
                    *list = self.nearest(self.rows.row(row), centroids);
                }
            }
        })?;
        Ok(lists)
    }

    /// The first among equals.
    fn nearest(&self, row: &[u8], centroids: &[u8]) -> u32 {
        let scorer = self.kernel.scorer(row);
        let (mut best, mut least) = (0, f32::INFINITY);
        for (list, centroid) in centroids.chunks_exact(row.len()).enumerate() {
            let distance = scorer.score(centroid);
            if distance < least {
                (best, least) = (list as u32, distance);
            }
        }
        best
    }

    /// Gives every centroid the bits of more than half of its rows; true when any changed. One without rows starts
    /// anew at a row.
    fn move_to_majorities(&self, sample: &[u32], assigned: &[u32], centroids: &mut [u8], iteration: usize) -> bool {
        let row_bytes = self.rows.dim().div_ceil(8).max(1);
        let mut members: Vec<Vec<u32>> = vec![vec![]; centroids.len() / row_bytes];
        for (&row, &list) in sample.iter().zip(assigned) {
            members[list as usize].push(row);
        }
        let mut changed = false;
        let mut counts = vec![0u32; row_bytes * 8];
        for (list, (centroid, members)) in centroids.chunks_exact_mut(row_bytes).zip(&members).enumerate() {
            let moved = if members.is_empty() {
                self.rows.row(sample[(list * 31 + iteration * 17) % sample.len()]).to_vec()
            } else {
                self.majority(members, &mut counts)
            };
            changed |= centroid != moved;
            centroid.copy_from_slice(&moved);
        }
        changed
    }

    fn majority(&self, members: &[u32], counts: &mut [u32]) -> Vec<u8> {
        counts.fill(0);
        for &row in members {
            for (eight, &byte) in counts.chunks_exact_mut(8).zip(self.rows.row(row)) {
                for (bit, count) in eight.iter_mut().enumerate() {
                    *count += u32::from(byte >> bit & 1);
                }
            }
        }
        let half = members.len() as u32 / 2;
        let byte = |eight: &[u32]| (0..8).fold(0u8, |byte, bit| byte | u8::from(eight[bit] > half) << bit);
        counts.chunks_exact(8).map(byte).collect()
    }
}
