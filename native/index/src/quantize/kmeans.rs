//! k-means: Lloyd's iterations over a bounded sample, 64 vectors against all centroids at a time.

use std::sync::Mutex;

use elanus_kernels::Isa;
use elanus_kernels::panel::{PANEL, Panel, PanelKernel};

use super::{Vectors, dot};
use crate::IndexError;
use crate::parallel;
use crate::progress::Progress;

/// Centroids whose dot products with a panel are kept at a time: they stay in the first-level cache.
const TILE: usize = 48;

/// Centroids, `dim` floats each, with their squared lengths.
#[derive(Clone, Debug)]
pub(crate) struct Centroids {
    pub values: Vec<f32>,
    pub dim: usize,
    squares: Vec<f32>,
}

impl Centroids {
    pub(crate) fn new(values: Vec<f32>, dim: usize) -> Self {
        let squares = values.chunks_exact(dim.max(1)).map(|row| dot(row, row)).collect();
        Self { values, dim, squares }
    }

    pub(crate) fn count(&self) -> usize {
        self.squares.len()
    }

    pub(crate) fn row(&self, index: usize) -> &[f32] {
        self.values.get(index * self.dim..(index + 1) * self.dim).unwrap_or(&[])
    }

    /// Index of the nearest centroid for each lane of a panel's dimensions, the first among equals.
    pub(crate) fn nearest(&self, panel: &[f32], work: &mut NearestWork) -> [u32; PANEL] {
        let kernel = PanelKernel::choose(Isa::detect());
        let (mut best, mut index) = ([f32::INFINITY; PANEL], [0; PANEL]);
        work.dots.resize(TILE * PANEL, 0.0);
        let tiles = self.values.chunks(TILE * self.dim).zip(self.squares.chunks(TILE));
        for (number, (rows, squares)) in tiles.enumerate() {
            let dots = &mut work.dots[..squares.len() * PANEL];
            kernel.dots(panel, rows, dots);
            kernel.nearest(dots, squares, (number * TILE) as u32, &mut best, &mut index);
        }
        index
    }
}

/// Scratch of [`Centroids::nearest`].
#[derive(Default)]
pub(crate) struct NearestWork {
    dots: Vec<f32>,
}

/// A stretch of vectors that one thread takes at a time, and their places in the answer.
const STRETCH: usize = 8 * PANEL;

/// The nearest centroid of each of `count` vectors; `load` fills a buffer with a vector.
pub(crate) fn assign(
    centroids: &Centroids,
    count: usize,
    load: impl Fn(usize, &mut [f32]) + Sync,
    threads: usize,
    progress: &Progress,
) -> Result<Vec<u32>, IndexError> {
    let mut nearest = vec![0u32; count];
    let stretches = Mutex::new(nearest.chunks_mut(STRETCH).enumerate());
    parallel::run(threads, || {
        let (mut panel, mut vector) = (Panel::new(centroids.dim), vec![0f32; centroids.dim]);
        let mut work = NearestWork::default();
        loop {
            progress.check()?;
            let taken = stretches.lock().map_or_else(|broken| broken.into_inner().next(), |mut own| own.next());
            let Some((stretch, places)) = taken else { return Ok(()) };
            for (part, places) in places.chunks_mut(PANEL).enumerate() {
                for lane in 0..places.len() {
                    load(stretch * STRETCH + part * PANEL + lane, &mut vector);
                    panel.set(lane, &vector);
                }
                let found = centroids.nearest(panel.dimensions(0..centroids.dim), &mut work);
                places.copy_from_slice(&found[..places.len()]);
            }
        }
    })?;
    Ok(nearest)
}

/// `count` centroids of the sample, at most as many as it has vectors. `report` is told the share of rounds done.
pub(crate) fn train(
    sample: Vectors<'_>,
    count: usize,
    rounds: usize,
    threads: usize,
    progress: &Progress,
    report: impl Fn(f32),
) -> Result<Centroids, IndexError> {
    let dim = sample.dim;
    let row = |index: usize| &sample.values[index * dim..(index + 1) * dim];
    let count = count.min(sample.len());
    let mut values = Vec::with_capacity(count * dim);
    spread(sample.len(), count).for_each(|index| values.extend_from_slice(row(index)));
    let mut centroids = Centroids::new(values, dim);
    for round in 0..rounds {
        let load = |index: usize, out: &mut [f32]| out.copy_from_slice(row(index));
        let nearest = assign(&centroids, sample.len(), load, threads, progress)?;
        let (values, moved) = means(sample, &nearest, &centroids);
        centroids = Centroids::new(values, dim);
        report((round + 1) as f32 / rounds as f32);
        if !moved {
            break;
        }
    }
    Ok(centroids)
}

/// The mean of each centroid's vectors, and whether any differs from the centroid.
fn means(sample: Vectors<'_>, nearest: &[u32], centroids: &Centroids) -> (Vec<f32>, bool) {
    let dim = sample.dim;
    let mut sums = vec![0f64; centroids.values.len()];
    let mut counts = vec![0u32; centroids.count()];
    for (vector, &list) in sample.values.chunks_exact(dim).zip(nearest) {
        let sum = &mut sums[list as usize * dim..(list as usize + 1) * dim];
        sum.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += f64::from(value));
        counts[list as usize] += 1;
    }
    let mut values = centroids.values.clone();
    for ((value, sum), &count) in values.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(&counts) {
        if count > 0 {
            value.iter_mut().zip(sum).for_each(|(value, sum)| *value = (sum / f64::from(count)) as f32);
        }
    }
    let mut moved = values != centroids.values;
    for empty in 0..counts.len() {
        if counts[empty] == 0 {
            split_largest(&mut values, dim, &mut counts, empty);
            moved = true;
        }
    }
    (values, moved)
}

/// A centroid without vectors takes one half of the largest: both lean to opposite sides of where that one was.
fn split_largest(values: &mut [f32], dim: usize, counts: &mut [u32], empty: usize) {
    const LEAN: f32 = 1.0 / 1024.0;
    let source = counts.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(index, _)| index);
    for at in 0..dim {
        let value = values[source * dim + at];
        let lean = if at % 2 == 0 { LEAN } else { -LEAN };
        values[source * dim + at] = value * (1.0 + lean);
        values[empty * dim + at] = value * (1.0 - lean);
    }
    counts[empty] = counts[source] / 2;
    counts[source] -= counts[empty];
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
