//! Blocks of 64 codes, laid out for scans ([`elanus_kernels::scan`]), and a query against them.
//!
//! A block holds the symbols of its codes, then 64 scales if codes have their own, then 64 biases. A block that is
//! not full has infinite biases at its end.

use elanus_kernels::Isa;
use elanus_kernels::memory::as_f32s;
use elanus_kernels::scan::{BLOCK, Line, STEP, ScanKernel, by_fours};

use super::record::SignedQuery;
use super::scalar::{middle, plane_bytes};
use super::{Codec, Layout, Quantizer};

/// Bytes of a block, a multiple of 64.
pub(crate) fn block_bytes(quantizer: &Quantizer) -> usize {
    BLOCK * quantizer.record_bytes()
}

/// Lays at most 64 records out as one block.
pub(crate) fn fill_block(quantizer: &Quantizer, records: &[u8], block: &mut [u8]) {
    let symbols = quantizer.symbol_bytes();
    let (codes, factors) = block.split_at_mut(BLOCK * symbols);
    codes.fill(0);
    for (number, record) in records.chunks_exact(quantizer.record_bytes()).enumerate().take(BLOCK) {
        let code = &record[..symbols];
        match quantizer.layout() {
            Layout::Dimensions => {
                for (at, &byte) in code.iter().enumerate() {
                    codes[by_fours(at / 4, number, at % 4)] = byte;
                }
            }
            Layout::Planes { .. } | Layout::Nibbles => {
                let symbol = |index: usize| code[index / 2] >> (index % 2 * 4) & 15;
                for step in 0..symbols / 4 {
                    for t in 0..4 {
                        codes[by_fours(step, number, t)] = symbol(step * 8 + t) | symbol(step * 8 + 4 + t) << 4;
                    }
                }
            }
            Layout::Bytes | Layout::Halves => {
                for (at, &byte) in code.iter().enumerate() {
                    codes[at * BLOCK + number] = byte;
                }
            }
        }
    }
    let count = records.len() / quantizer.record_bytes();
    for (column, column_bytes) in factors.chunks_exact_mut(BLOCK * 4).enumerate() {
        for (number, four) in column_bytes.chunks_exact_mut(4).enumerate() {
            let at = number * quantizer.record_bytes() + symbols + column * 4;
            four.copy_from_slice(if number < count { &records[at..at + 4] } else { &[0, 0, 0x80, 0x7F] });
        }
    }
    if quantizer.has_scale() {
        // Infinity times zero is not a number: the absent codes have scale 1.
        for four in factors[..BLOCK * 4].chunks_exact_mut(4).skip(count) {
            four.copy_from_slice(&1f32.to_le_bytes());
        }
    }
}

/// A vector in the form in which blocks are compared with it.
pub(crate) struct BlockQuery {
    kernel: ScanKernel,
    layout: Layout,
    line: Line,
    /// Bytes of the symbols of a block.
    codes: usize,
    /// Bytes of the codes of one plane of a block.
    plane: usize,
    scaled: bool,
    /// Signed bytes, or look-up tables.
    bytes: Vec<u8>,
}

impl Quantizer {
    /// Prepares `vector` (as the metric sees it, nothing subtracted) for blocks of any centre.
    pub(crate) fn block_query(&self, vector: &[f32]) -> BlockQuery {
        let layout = self.layout();
        let (bytes, line) = match &self.codec {
            Codec::Scalar(scalar) if layout == Layout::Dimensions => {
                let mut query = SignedQuery::of(vector);
                let line = query.line(self.form, scalar.bits, 0.0);
                query.bytes.resize(self.symbol_bytes(), 0);
                (query.bytes, line)
            }
            Codec::Scalar(scalar) => self.plane_tables(vector, scalar.bits),
            Codec::RaBitQ(rabitq) => {
                let mut rotated = vector.to_vec();
                rabitq.rotate(&mut rotated);
                self.plane_tables(&rotated, rabitq.bits() as u32)
            }
            Codec::Product(product) => {
                let tables = Tables::of(&product.tables(vector), product.table_entries());
                let width = if layout == Layout::Nibbles { 16 } else { 256 };
                let line =
                    Line { base: 0.0, rate: self.form.slope() * tables.step, excess: -tables.offset / tables.step };
                (tables.spaced(product.table_entries(), width, self.symbol_bytes() * 2), line)
            }
            Codec::Half(_) => (vec![], Line::default()),
        };
        BlockQuery {
            kernel: ScanKernel::choose(Isa::detect()),
            layout,
            line,
            codes: BLOCK * self.symbol_bytes(),
            plane: BLOCK * plane_bytes(self.dim),
            scaled: self.has_scale(),
            bytes,
        }
    }

    /// Tables of four dimensions, which serve every plane: Σ 2^p · (what plane p holds) = u·q.
    fn plane_tables(&self, vector: &[f32], bits: u32) -> (Vec<u8>, Line) {
        let mut padded = vector.to_vec();
        padded.resize(plane_bytes(self.dim) * 8, 0.0);
        let mut sums = Vec::with_capacity(padded.len() * 4);
        for four in padded.chunks_exact(4) {
            sums.extend((0..16usize).map(|symbol| {
                four.iter().enumerate().map(|(d, value)| if symbol >> d & 1 == 1 { *value } else { 0.0 }).sum::<f32>()
            }));
        }
        let tables = Tables::of(&sums, 16);
        let all: f32 = vector.iter().sum();
        let weights = ((1u32 << bits) - 1) as f32;
        let excess = (middle(bits) * all - weights * tables.offset) / tables.step;
        (tables.bytes, Line { base: 0.0, rate: self.form.slope() * tables.step, excess })
    }
}

/// Tables of floats as unsigned bytes: entry = its table's offset + `step` · byte.
struct Tables {
    bytes: Vec<u8>,
    step: f32,
    /// Sum of the tables' offsets.
    offset: f32,
}

impl Tables {
    fn of(values: &[f32], entries: usize) -> Self {
        let range = |table: &[f32]| {
            let least = table.iter().fold(f32::INFINITY, |least, &value| least.min(value));
            (least, table.iter().fold(f32::NEG_INFINITY, |most, &value| most.max(value)))
        };
        let ranges: Vec<(f32, f32)> = values.chunks_exact(entries).map(range).collect();
        let widest = ranges.iter().fold(0f32, |widest, (least, most)| widest.max(most - least));
        let step = if widest > 0.0 && widest.is_finite() { widest / 255.0 } else { 1.0 };
        let inverse = 1.0 / step;
        let mut bytes = Vec::with_capacity(values.len());
        for (table, (least, _)) in values.chunks_exact(entries).zip(&ranges) {
            bytes.extend(table.iter().map(|value| ((value - least) * inverse + 0.5) as u8));
        }
        Self { bytes, step, offset: ranges.iter().map(|(least, _)| least).sum() }
    }

    /// Tables of `width` entries each, `least` tables or more; what is added is 0.
    fn spaced(&self, entries: usize, width: usize, least: usize) -> Vec<u8> {
        let mut spaced = Vec::with_capacity(width * least);
        for table in self.bytes.chunks_exact(entries) {
            spaced.extend_from_slice(table);
            spaced.resize(spaced.len().next_multiple_of(width), 0);
        }
        spaced.resize(spaced.len().max(if width == 16 { least * width } else { 0 }), 0);
        spaced
    }
}

impl BlockQuery {
    /// Fills `keys` with the keys of a block whose centre has the given base, and gives those below `limit`, one bit
    /// each. A block of another size has none.
    #[inline]
    pub(crate) fn scan(&self, block: &[u8], base: f32, limit: f32, keys: &mut [f32; BLOCK]) -> u64 {
        let columns = BLOCK * 4 * (1 + usize::from(self.scaled));
        if block.len() != self.codes + columns {
            return 0;
        }
        let (codes, factors) = block.split_at(self.codes);
        let Some(factors) = as_f32s(factors) else { return 0 };
        let mut sums = [0; BLOCK];
        match self.layout {
            Layout::Dimensions => (self.kernel.dot)(codes, &self.bytes, &mut sums),
            Layout::Nibbles => (self.kernel.nibbles)(codes, &self.bytes, &mut sums),
            Layout::Planes { .. } => {
                for plane in codes.chunks_exact(self.plane.max(STEP)).rev() {
                    (self.kernel.nibbles)(plane, &self.bytes, &mut sums);
                }
            }
            Layout::Bytes => (self.kernel.bytes)(codes, &self.bytes, &mut sums),
            Layout::Halves => return 0,
        }
        let (scales, biases) = factors.split_at(factors.len() - BLOCK);
        let line = Line { base, ..self.line };
        self.kernel.below(&sums, (scales, biases), &line, limit, keys)
    }
}
