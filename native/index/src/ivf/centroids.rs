//! k-means: Lloyd's iterations over a sample.

use std::sync::Mutex;

use elanus_kernels::{AlignedBuf, DistanceKernel, Element, Isa, Metric, Scorer, decode};

use crate::IndexError;
use crate::parallel;
use crate::progress::Progress;
use crate::vector::VectorRows;

const ITERATIONS: usize = 10;
/// Training rows for each centroid.
const SAMPLE_PER_LIST: usize = 100;
/// Rows that one thread takes at a time.
const STRETCH: usize = 512;

/// Points of `dim` floats, little-endian, one after the other.
pub(crate) struct Points {
    pub bytes: AlignedBuf,
    pub dim: usize,
}

impl Points {
    fn zeroed(count: usize, dim: usize) -> Self {
        Self { bytes: AlignedBuf::zeroed(count * dim * 4), dim }
    }

    fn row(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.dim * 4..(index + 1) * self.dim * 4]
    }

    fn row_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.bytes[index * self.dim * 4..(index + 1) * self.dim * 4]
    }

    pub(crate) fn count(&self) -> usize {
        self.bytes.len() / (self.dim * 4).max(1)
    }
}

/// Vectors as k-means sees them: floats; of length 1 for COSINE.
#[derive(Clone, Copy)]
pub(crate) struct Decoder {
    pub element: Element,
    pub metric: Metric,
}

impl Decoder {
    pub(crate) fn decode(self, row: &[u8], values: &mut [f32], bytes: &mut [u8]) {
        decode::to_f32(self.element, row, values);
        if self.metric == Metric::Cosine {
            let length = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
            values.iter_mut().for_each(|value| *value *= scale);
        }
        for (value, four) in values.iter().zip(bytes.chunks_exact_mut(4)) {
            four.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// Scores of one vector against every point, four at a time.
pub(crate) fn score_all(scorer: &Scorer<'_>, bytes: &[u8], row_bytes: usize, mut each: impl FnMut(usize, f32)) {
    if row_bytes == 0 {
        return;
    }
    let mut fours = bytes.chunks_exact(row_bytes * 4);
    let mut index = 0;
    for four in &mut fours {
        let (first, second) = four.split_at(row_bytes * 2);
        let ((a, b), (c, d)) = (first.split_at(row_bytes), second.split_at(row_bytes));
        for score in scorer.score4([a, b, c, d]) {
            each(index, score);
            index += 1;
        }
    }
    for row in fours.remainder().chunks_exact(row_bytes) {
        each(index, scorer.score(row));
        index += 1;
    }
}

/// Index of the nearest point by squared distance, the first among equals.
fn nearest(kernel: &DistanceKernel, vector: &[u8], points: &Points) -> u32 {
    let (mut best, mut best_distance) = (0, f32::INFINITY);
    score_all(&kernel.scorer(vector), &points.bytes, points.dim * 4, |index, distance| {
        if distance < best_distance {
            (best, best_distance) = (index as u32, distance);
        }
    });
    best
}

/// What a training or an assignment works with.
pub(crate) struct Work<'a> {
    pub rows: &'a dyn VectorRows,
    pub decoder: Decoder,
    pub threads: usize,
    pub progress: &'a Progress,
}

impl Work<'_> {
    fn kernel() -> Result<DistanceKernel, IndexError> {
        DistanceKernel::choose(Metric::L2, Element::F32, Isa::detect())
            .ok_or_else(|| IndexError::Parameter("no kernel for L2 over floats".to_owned()))
    }

    /// The list of each of the given rows.
    pub(crate) fn assign(&self, row_of: &[u32], points: &Points) -> Result<Vec<u32>, IndexError> {
        let kernel = Self::kernel()?;
        let mut lists = vec![0u32; row_of.len()];
        let stretches = Mutex::new(row_of.chunks(STRETCH).zip(lists.chunks_mut(STRETCH)));
        parallel::run(self.threads, || {
            let (mut values, mut bytes) = (vec![0f32; points.dim], vec![0u8; points.dim * 4]);
            loop {
                self.progress.check()?;
                let taken = stretches.lock().map_or_else(|broken| broken.into_inner().next(), |mut own| own.next());
                let Some((rows, lists)) = taken else { return Ok(()) };
                for (&row, list) in rows.iter().zip(lists) {
                    self.decoder.decode(self.rows.row(row), &mut values, &mut bytes);
                    *list = nearest(&kernel, &bytes, points);
                }
            }
        })?;
        Ok(lists)
    }

    /// `count` centroids of the given rows.
    pub(crate) fn train(&self, row_of: &[u32], count: usize) -> Result<Points, IndexError> {
        let dim = self.rows.dim();
        let step = (row_of.len() / count.saturating_mul(SAMPLE_PER_LIST).max(1)).max(1);
        let sample: Vec<u32> = row_of.iter().copied().step_by(step).collect();
        let mut values = vec![0f32; dim];
        let mut points = Points::zeroed(count, dim);
        for (index, row) in spread(sample.len(), count).enumerate() {
            self.decoder.decode(self.rows.row(sample[row]), &mut values, points.row_mut(index));
        }
        for iteration in 0..ITERATIONS {
            let lists = self.assign(&sample, &points)?;
            if !self.move_to_means(&sample, &lists, &mut points) {
                break;
            }
            self.progress.advance(0.6 * (iteration + 1) as f32 / ITERATIONS as f32);
        }
        Ok(points)
    }

    /// Moves every centroid to the mean of its rows; true when any moved.
    fn move_to_means(&self, sample: &[u32], lists: &[u32], points: &mut Points) -> bool {
        let dim = points.dim;
        let mut sums = vec![0f64; points.count() * dim];
        let mut counts = vec![0u32; points.count()];
        let (mut values, mut bytes) = (vec![0f32; dim], vec![0u8; dim * 4]);
        for (&row, &list) in sample.iter().zip(lists) {
            self.decoder.decode(self.rows.row(row), &mut values, &mut bytes);
            let sum = &mut sums[list as usize * dim..(list as usize + 1) * dim];
            sum.iter_mut().zip(&values).for_each(|(sum, &value)| *sum += f64::from(value));
            counts[list as usize] += 1;
        }
        let mut moved = false;
        for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let sum = &sums[index * dim..(index + 1) * dim];
            for (four, sum) in points.row_mut(index).chunks_exact_mut(4).zip(sum) {
                let mean = ((sum / f64::from(count)) as f32).to_le_bytes();
                moved |= four != mean;
                four.copy_from_slice(&mean);
            }
        }
        for index in 0..counts.len() {
            if counts[index] == 0 {
                split_largest(points, &mut counts, index);
                moved = true;
            }
        }
        moved
    }
}

/// A centroid without rows takes one half of the largest list: both lean to opposite sides of where that one was.
fn split_largest(points: &mut Points, counts: &mut [u32], empty: usize) {
    const LEAN: f32 = 1.0 / 1024.0;
    let source = largest(counts);
    let bytes = points.row(source).to_vec();
    for (at, four) in bytes.chunks_exact(4).enumerate() {
        let value = decode::f32_at(four, 0);
        let lean = if at % 2 == 0 { LEAN } else { -LEAN };
        points.row_mut(source)[at * 4..at * 4 + 4].copy_from_slice(&(value * (1.0 + lean)).to_le_bytes());
        points.row_mut(empty)[at * 4..at * 4 + 4].copy_from_slice(&(value * (1.0 - lean)).to_le_bytes());
    }
    counts[empty] = counts[source] / 2;
    counts[source] -= counts[empty];
}

fn largest(counts: &[u32]) -> usize {
    counts.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(index, _)| index)
}

/// `count` distinct numbers below `below` (at least `count`), spread by a stride that shares no factor with it.
fn spread(below: usize, count: usize) -> impl Iterator<Item = usize> {
    let mut stride = (below as f64 * 0.618_033_988_75) as usize;
    while stride > 1 && common_factor(stride, below) > 1 {
        stride += 1;
    }
    (0..count).map(move |index| (index * stride.max(1)) % below.max(1))
}

fn common_factor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_factor(b, a % b) }
}
