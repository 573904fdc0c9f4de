//! Eight bits a dimension: the form of the vectors that the graph is built and walked over. An exact comparison with
//! the rows follows for the best few, so codes cost recall only where they confuse near neighbours, and
//! [`super::build`] measures that before it trusts them.
//!
//! A record is one byte a dimension, then, in the last 16 bytes of its whole cache lines, `scale: f32, bias: f32`, so
//! that vector loads stay within cache lines. Byte `c`
//! means `scale · (c − 128)`; `bias` is the squared length of what the bytes mean. Every vector has its own scale
//! (its largest magnitude / 127). For L2 and COSINE the mean of all vectors is subtracted first, which leaves
//! distances as they are and spends the bits on what differs; COSINE vectors are brought to length 1 before.

use elanus_kernels::{AlignedBuf, DistanceKernel, Element, Isa, Metric, decode, dispatch::code_dot};

use crate::IndexError;
use crate::progress::Progress;
use crate::vector::VectorRows;

const FOOTER_BYTES: usize = 16;
const LINE_BYTES: usize = 64;
/// The byte that stands for 0; fills the rest of a record.
const ZERO: u8 = 128;

/// Bytes of a record.
pub(crate) fn stride(dim: usize) -> usize {
    (dim + FOOTER_BYTES).next_multiple_of(LINE_BYTES)
}

/// Turns rows and queries into codes.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub metric: Metric,
    pub element: Element,
    /// Subtracted from every vector; empty: nothing is.
    pub mean: Vec<f32>,
    pub dim: usize,
}

/// Rows looked at for the mean.
const MEAN_ROWS: usize = 20_000;

impl Encoder {
    /// Learns the mean from evenly spread rows.
    pub(crate) fn train(rows: &dyn VectorRows, row_of: &[u32], metric: Metric) -> Self {
        let dim = rows.dim();
        let mut encoder = Self { metric, element: rows.element(), mean: vec![], dim };
        if metric == Metric::Ip || row_of.is_empty() {
            return encoder;
        }
        let mut sums = vec![0f64; dim];
        let mut values = vec![0f32; dim];
        let step = row_of.len().div_ceil(MEAN_ROWS);
        let sampled = row_of.iter().step_by(step);
        let count = sampled.len() as f64;
        for &row in sampled {
            encoder.decode(rows.row(row), &mut values);
            sums.iter_mut().zip(&values).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        if mean.iter().all(|value| value.is_finite()) {
            encoder.mean = mean;
        }
        encoder
    }

    /// The vector as the metric sees it, before the mean is subtracted. True for a zero vector.
    fn decode(&self, row: &[u8], values: &mut [f32]) -> bool {
        decode::to_f32(self.element, row, values);
        if self.metric == Metric::Cosine {
            let length = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
            values.iter_mut().for_each(|value| *value *= scale);
        }
        values.iter().all(|&value| value == 0.0)
    }

    /// Magnitude of one step, after filling `values` with what is to be encoded.
    fn prepare(&self, row: &[u8], values: &mut [f32]) -> (f32, bool) {
        let zero = self.decode(row, values);
        values.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
        let largest = values.iter().fold(0f32, |most, value| most.max(value.abs()));
        let scale = if largest.is_finite() { largest / 127.0 } else { 0.0 };
        (scale, zero)
    }

    /// Fills one record. `values` is scratch of `dim` floats.
    fn encode(&self, row: &[u8], values: &mut [f32], record: &mut [u8]) {
        let (scale, zero) = self.prepare(row, values);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let mut squares = 0i64;
        for (&value, code) in values.iter().zip(record.iter_mut()) {
            let step = (value * inverse).round().clamp(-127.0, 127.0) as i32;
            squares += i64::from(step * step);
            *code = (step + 128) as u8;
        }
        let mut bias = scale * scale * squares as f32;
        if self.metric == Metric::Cosine && zero {
            // Similarity 0 with everything: as far away as a unit vector at a right angle.
            bias += 1.0;
        }
        let footer = record.len() - FOOTER_BYTES;
        record[self.dim..footer].fill(ZERO);
        record[footer..footer + 4].copy_from_slice(&scale.to_le_bytes());
        record[footer + 4..footer + 8].copy_from_slice(&bias.to_le_bytes());
    }

    /// Encodes a caller's vector to compare with codes.
    pub(crate) fn query(&self, vector: &[u8], values: &mut Vec<f32>, query: &mut CodeQuery) {
        values.clear();
        values.resize(self.dim, 0.0);
        let (scale, _) = self.prepare(vector, values);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        query.resize(self.dim);
        for (&value, byte) in values.iter().zip(query.bytes.iter_mut()) {
            *byte = ((value * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
        }
        query.finish(scale);
    }

    /// Codes of the given rows, in that order.
    pub(crate) fn encode_all(
        &self,
        rows: &dyn VectorRows,
        row_of: &[u32],
        threads: usize,
        progress: &Progress,
    ) -> Result<AlignedBuf, IndexError> {
        let stride = stride(self.dim);
        let mut codes = AlignedBuf::zeroed(row_of.len() * stride);
        let share = row_of.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let mut workers = vec![];
            for (rows_part, codes_part) in row_of.chunks(share).zip(codes.chunks_mut(share * stride)) {
                let mut work = move || {
                    let mut values = vec![0f32; self.dim];
                    for (&row, record) in rows_part.iter().zip(codes_part.chunks_exact_mut(stride)) {
                        progress.check()?;
                        self.encode(rows.row(row), &mut values, record);
                    }
                    Ok(())
                };
                if threads > 1 {
                    workers.push(scope.spawn(work));
                } else {
                    work()?;
                }
            }
            workers.into_iter().try_for_each(crate::parallel::joined)
        })?;
        Ok(codes)
    }
}

/// A vector in signed bytes.
#[derive(Debug)]
pub(crate) struct CodeQuery {
    /// As many as dimensions.
    bytes: AlignedBuf,
    scale: f32,
    /// 128 · sum of the bytes: what the unsigned records count too much.
    excess: i32,
    norm: f32,
}

impl Default for CodeQuery {
    fn default() -> Self {
        Self { bytes: AlignedBuf::zeroed(0), scale: 0.0, excess: 0, norm: 0.0 }
    }
}

impl CodeQuery {
    fn resize(&mut self, dim: usize) {
        if self.bytes.len() != dim {
            self.bytes = AlignedBuf::zeroed(dim);
        }
    }

    fn finish(&mut self, scale: f32) {
        let (mut sum, mut squares) = (0i32, 0i64);
        for &byte in self.bytes.iter() {
            let value = i32::from(byte.cast_signed());
            sum += value;
            squares += i64::from(value * value);
        }
        self.scale = scale;
        self.excess = sum * 128;
        self.norm = scale * scale * squares as f32;
    }
}

/// Records of all nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes<'a> {
    pub bytes: &'a [u8],
    pub stride: usize,
    dim: usize,
    /// −dot product instead of squared distance.
    negative_dot: bool,
    dot: elanus_kernels::dispatch::CodeDotFn,
}

impl<'a> Codes<'a> {
    pub(crate) fn new(bytes: &'a [u8], dim: usize, metric: Metric) -> Self {
        Self { bytes, stride: stride(dim), dim, negative_dot: metric == Metric::Ip, dot: code_dot(Isa::detect()) }
    }

    /// Code, scale and bias of a node.
    #[inline]
    fn record(&self, node: u32) -> (&'a [u8], f32, f32) {
        let start = node as usize * self.stride;
        let Some(record) = self.bytes.get(start..start + self.stride) else { return (&[], 0.0, 0.0) };
        let (code, footer) = record.split_at(self.stride - FOOTER_BYTES);
        let scale = f32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]);
        let bias = f32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]]);
        (&code[..self.dim], scale, bias)
    }

    #[inline]
    pub(crate) fn compare(&self, query: &CodeQuery, node: u32) -> f32 {
        let (code, scale, bias) = self.record(node);
        let dot = ((self.dot)(code, &query.bytes) - query.excess) as f32;
        let dot = dot * (scale * query.scale);
        if self.negative_dot { -dot } else { query.norm + bias - 2.0 * dot }
    }

    pub(crate) fn query_of_node(&self, node: u32, query: &mut CodeQuery) {
        let (code, scale, bias) = self.record(node);
        query.resize(self.dim);
        for (byte, code) in query.bytes.iter_mut().zip(code) {
            *byte = code ^ 0x80;
        }
        query.finish(scale);
        query.norm = bias;
    }
}

const SAMPLE_QUERIES: usize = 24;
const SAMPLE_ROWS: usize = 200_000;
const SAMPLE_NEAREST: usize = 10;
const SAMPLE_CANDIDATES: usize = 32;

/// Whether codes keep neighbourhoods apart: for sampled queries, nearly all of the exact ten nearest must be among
/// the thirty-two nearest by code.
pub(crate) fn codes_suffice(rows: &dyn VectorRows, row_of: &[u32], codes: &Codes<'_>, metric: Metric) -> bool {
    let Some(kernel) = DistanceKernel::choose(metric, rows.element(), Isa::detect()) else { return false };
    let direction = crate::top_k::Direction::of(metric);
    let step = row_of.len().div_ceil(SAMPLE_ROWS).max(1);
    let nodes: Vec<u32> = (0..row_of.len() as u32).step_by(step).collect();
    let (mut found, mut wanted) = (0, 0);
    let mut query = CodeQuery::default();
    for &node in nodes.iter().step_by(nodes.len().div_ceil(SAMPLE_QUERIES).max(1)) {
        codes.query_of_node(node, &mut query);
        let scorer = kernel.scorer(rows.row(row_of[node as usize]));
        let mut by_code: Vec<(f32, u32)> = nodes.iter().map(|&other| (codes.compare(&query, other), other)).collect();
        let exact_key = |other: u32| direction.key(scorer.score(rows.row(row_of[other as usize])));
        let mut exact: Vec<f32> = nodes.iter().map(|&other| exact_key(other)).collect();
        let nearest = SAMPLE_NEAREST.min(nodes.len());
        let (_, &mut limit, _) = exact.select_nth_unstable_by(nearest - 1, f32::total_cmp);
        let candidates = SAMPLE_CANDIDATES.min(nodes.len());
        by_code.select_nth_unstable_by(candidates - 1, |a, b| a.0.total_cmp(&b.0));
        let hits = by_code[..candidates].iter().filter(|&&(_, other)| exact_key(other) <= limit).count();
        found += hits.min(nearest);
        wanted += nearest;
    }
    found * 1000 >= wanted * 995
}
