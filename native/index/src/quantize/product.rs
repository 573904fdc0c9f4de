//! Product codes: the vector in parts, each part the sum of codebook entries.
//!
//! Jégou, Douze & Schmid, "Product quantization for nearest neighbor search" (TPAMI 2011); several steps a part are
//! product-residual codes. With a parallel weight, assignment follows the anisotropic loss of Guo et al., "Accelerating
//! large-scale inference with anisotropic vector quantization" (ICML 2020, theorem 3.2), by coordinate descent.

use std::sync::Mutex;

use elanus_kernels::panel::{PANEL, Panel};

use super::kmeans::{self, Centroids, NearestWork};
use super::{Factors, Kind, Layout, Vectors, dot};
use crate::IndexError;
use crate::format::corrupt;
use crate::parallel;
use crate::progress::Progress;

/// Training vectors for each entry of a codebook, at most.
const SAMPLE_PER_ENTRY: usize = 64;
const ROUNDS: usize = 10;
/// Passes of coordinate descent over the parts.
const PASSES: usize = 2;

#[derive(Debug)]
pub(super) struct Product {
    dim: usize,
    splits: usize,
    steps: usize,
    bits: u32,
    parallel_weight: f32,
    /// Split by split, within one step by step.
    books: Vec<Centroids>,
}

impl Product {
    pub(super) fn train(
        kind: Kind,
        sample: Vectors<'_>,
        threads: usize,
        progress: &Progress,
    ) -> Result<Self, IndexError> {
        let mut product = Self::empty(kind, sample.dim)?;
        let (part, entries) = (product.part(), product.entries());
        let step = (sample.len() / (entries * SAMPLE_PER_ENTRY)).max(1);
        let books = Mutex::new(vec![vec![]; product.splits]);
        let next = Mutex::new(0..product.splits);
        parallel::run(threads, || {
            loop {
                let taken = next.lock().map_or_else(|broken| broken.into_inner().next(), |mut own| own.next());
                let Some(split) = taken else { return Ok(()) };
                let mut own: Vec<f32> = Vec::new();
                for vector in sample.values.chunks_exact(sample.dim).step_by(step) {
                    own.extend_from_slice(&vector[split * part..(split + 1) * part]);
                }
                let found = train_split(own, part, entries, product.steps, progress)?;
                if let Ok(mut books) = books.lock() {
                    books[split] = found;
                }
            }
        })?;
        product.books = books.into_inner().unwrap_or_default().into_iter().flatten().collect();
        Ok(product)
    }

    fn empty(kind: Kind, dim: usize) -> Result<Self, IndexError> {
        let Kind::Product { splits, steps, bits, parallel_weight } = kind else { return Err(damaged()) };
        let sound = splits > 0 && dim > 0 && dim.is_multiple_of(splits) && (1..=8).contains(&bits);
        if !sound || !(1..=64).contains(&steps) || !parallel_weight.is_finite() {
            return Err(damaged());
        }
        Ok(Self { dim, splits, steps, bits, parallel_weight, books: vec![] })
    }

    pub(super) fn open(kind: Kind, dim: usize, state: &[u8]) -> Result<Self, IndexError> {
        let mut product = Self::empty(kind, dim)?;
        let book = product.part() * product.entries();
        if state.len() != book * 4 * product.symbols() {
            return Err(damaged());
        }
        let floats = |bytes: &[u8]| {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
        };
        product.books =
            state.chunks_exact(book * 4).map(|bytes| Centroids::new(floats(bytes), product.part())).collect();
        Ok(product)
    }

    pub(super) fn state(&self) -> Vec<u8> {
        self.books.iter().flat_map(|book| &book.values).flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Dimensions of a part.
    fn part(&self) -> usize {
        self.dim / self.splits
    }

    fn entries(&self) -> usize {
        1 << self.bits
    }

    /// Symbols of a code.
    pub(super) fn symbols(&self) -> usize {
        self.splits * self.steps
    }

    pub(super) fn layout(&self) -> Layout {
        if self.bits <= 4 { Layout::Nibbles } else { Layout::Bytes }
    }

    pub(super) fn symbol_bytes(&self) -> usize {
        match self.layout() {
            // Eight tables make a step of a scan.
            Layout::Nibbles => self.symbols().next_multiple_of(8) / 2,
            _ => self.symbols(),
        }
    }

    fn symbol(&self, code: &[u8], index: usize) -> usize {
        let symbol = match self.layout() {
            Layout::Nibbles => code.get(index / 2).map_or(0, |byte| byte >> (index % 2 * 4) & 15),
            _ => code.get(index).copied().unwrap_or(0),
        };
        usize::from(symbol) & (self.entries() - 1)
    }

    fn set_symbol(&self, code: &mut [u8], index: usize, symbol: usize) {
        match self.layout() {
            Layout::Nibbles => {
                let shift = index % 2 * 4;
                code[index / 2] = code[index / 2] & !(15 << shift) | (symbol as u8) << shift;
            }
            _ => code[index] = symbol as u8,
        }
    }

    fn entry(&self, index: usize, symbol: usize) -> &[f32] {
        self.books.get(index).map_or(&[], |book| book.row(symbol))
    }

    /// Fills the symbols of up to 64 records of `stride` bytes.
    pub(super) fn encode(&self, residuals: &[f32], vectors: &[f32], records: &mut [u8], stride: usize) {
        let mut panel = Panel::new(self.dim);
        let mut left = residuals.to_vec();
        let mut work = NearestWork::default();
        let part = self.part();
        for step in 0..self.steps {
            for (lane, residual) in left.chunks_exact(self.dim).enumerate().take(PANEL) {
                panel.set(lane, residual);
            }
            for split in 0..self.splits {
                let index = split * self.steps + step;
                let found = self.books[index].nearest(panel.dimensions(split * part..(split + 1) * part), &mut work);
                let lanes = left.chunks_exact_mut(self.dim).zip(records.chunks_exact_mut(stride));
                for ((residual, record), symbol) in lanes.zip(found) {
                    self.set_symbol(record, index, symbol as usize);
                    let own = &mut residual[split * part..(split + 1) * part];
                    own.iter_mut().zip(self.entry(index, symbol as usize)).for_each(|(value, entry)| *value -= entry);
                }
            }
        }
        if self.parallel_weight > 1.0 {
            let lanes = left.chunks_exact_mut(self.dim).zip(vectors.chunks_exact(self.dim));
            for ((error, vector), record) in lanes.zip(records.chunks_exact_mut(stride)) {
                self.turn_across(error, vector, record);
            }
        }
    }

    /// Changes symbols so that less of the error lies along the vector. `error` is what the code lacks.
    fn turn_across(&self, error: &mut [f32], vector: &[f32], code: &mut [u8]) {
        let square = dot(vector, vector);
        if square <= 0.0 || !square.is_finite() {
            return;
        }
        let (part, extra) = (self.part(), (self.parallel_weight - 1.0) / square);
        let mut along = dot(error, vector);
        for _ in 0..PASSES {
            for index in 0..self.symbols() {
                let range = index / self.steps * part..(index / self.steps + 1) * part;
                let (own, direction) = (&error[range.clone()], &vector[range.clone()]);
                let symbol = self.symbol(code, index);
                let entry = self.entry(index, symbol);
                let without: Vec<f32> = own.iter().zip(entry).map(|(error, entry)| error + entry).collect();
                let along_without = along + dot(entry, direction);
                let cost = |candidate: usize| {
                    let entry = self.entry(index, candidate);
                    let across: f32 = without.iter().zip(entry).map(|(x, y)| (x - y) * (x - y)).sum();
                    across + extra * (along_without - dot(entry, direction)).powi(2)
                };
                let best = (0..self.entries()).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(symbol);
                let entry = self.entry(index, best);
                along = along_without - dot(entry, direction);
                error[range].iter_mut().zip(without.iter().zip(entry)).for_each(|(out, (x, y))| *out = x - y);
                self.set_symbol(code, index, best);
            }
        }
    }

    pub(super) fn factors(&self, code: &[u8], centre: &[f32]) -> Factors {
        let mut decoded = vec![0f32; self.dim];
        self.decode(code, &mut decoded);
        Factors { scale: 1.0, bias: dot(&decoded, &decoded) + 2.0 * dot(&decoded[..centre.len()], centre) }
    }

    pub(super) fn decode(&self, code: &[u8], out: &mut [f32]) {
        out.fill(0.0);
        let part = self.part();
        for index in 0..self.symbols() {
            let own = &mut out[index / self.steps * part..(index / self.steps + 1) * part];
            let entry = self.entry(index, self.symbol(code, index));
            own.iter_mut().zip(entry).for_each(|(value, entry)| *value += entry);
        }
    }

    /// Dot product of the query with every entry, symbol by symbol.
    pub(super) fn tables(&self, query: &[f32]) -> Vec<f32> {
        let part = self.part();
        let mut tables = Vec::with_capacity(self.symbols() * self.entries());
        for (index, book) in self.books.iter().enumerate() {
            let own = &query[index / self.steps * part..(index / self.steps + 1) * part];
            tables.extend(book.values.chunks_exact(part).map(|entry| dot(entry, own)));
        }
        tables
    }

    /// Sum of a code's entries in [`Self::tables`].
    pub(super) fn look_up(&self, tables: &[f32], code: &[u8]) -> f32 {
        let entries = self.entries();
        (0..self.symbols()).map(|index| tables[index * entries + self.symbol(code, index)]).sum()
    }

    pub(super) fn table_entries(&self) -> usize {
        self.entries()
    }
}

fn damaged() -> IndexError {
    corrupt("the codebooks do not fit the vectors")
}

/// The codebooks of one part, each learnt from what those before it leave.
fn train_split(
    mut own: Vec<f32>,
    part: usize,
    entries: usize,
    steps: usize,
    progress: &Progress,
) -> Result<Vec<Centroids>, IndexError> {
    let mut books = Vec::with_capacity(steps);
    for _ in 0..steps {
        let sample = Vectors { values: &own, dim: part };
        let mut book = kmeans::train(sample, entries, ROUNDS, 1, progress, |_| {})?;
        // A small sample leaves a book short: zeros fill it.
        let mut values = book.values.clone();
        values.resize(entries * part, 0.0);
        book = Centroids::new(values, part);
        let nearest = {
            let load = |index: usize, out: &mut [f32]| out.copy_from_slice(&own[index * part..(index + 1) * part]);
            kmeans::assign(&book, own.len() / part, load, 1, progress)?
        };
        for (vector, symbol) in own.chunks_exact_mut(part).zip(nearest) {
            vector.iter_mut().zip(book.row(symbol as usize)).for_each(|(value, entry)| *value -= entry);
        }
        books.push(book);
    }
    Ok(books)
}
