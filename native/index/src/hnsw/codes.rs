//! Four or eight bits a dimension: the forms of the vectors that the graph is built and walked over. An exact
//! comparison with the rows follows for the best few, so codes cost recall only where they confuse near neighbours, and
//! [`super::file`] measures that before it trusts them.
//!
//! A code fills whole cache lines; its `scale: f32, bias: f32` lie in its head ([`super::signs`]) in an array of heads,
//! which is small enough to stay in a near cache. Level `c` of a code means `c − middle` steps (128 and 7.5 are the
//! middles). For L2 and COSINE the mean of all vectors is subtracted first, which leaves distances as they are and
//! spends the bits on what differs; COSINE vectors are brought to length 1 before. `bias` is the squared length of
//! what is left, x, and `scale` turns steps x̂ into lengths: |x|² / ⟨x̂, x⟩ makes ⟨q, scale·x̂⟩ an estimate of ⟨q, x⟩
//! without bias where the error stands at a right angle to x (as in RaBitQ, Gao & Long, SIGMOD 2024).
//!
//! The bytes of four-bit codes hold dimension `i` in the low half and `i + half` in the high one, where half of the
//! dimensions are rounded up.

use elanus_kernels::dispatch::{CodeDotFn, code_dot, nibble_dot};
use elanus_kernels::memory::prefetch;
use elanus_kernels::signs::{self, Records, SignSumsFn, sign_sums};
use elanus_kernels::{AlignedBuf, DistanceKernel, Element, Isa, Metric, decode};
use serde::{Deserialize, Serialize};

use super::signs::{DOUBT, SIGNS_AT, error, signed_head_bytes, write_signs};
use crate::IndexError;
use crate::progress::Progress;
use crate::vector::VectorRows;

/// Bytes of scale and bias: a head without signs.
pub(crate) const FACTOR_BYTES: usize = 8;
pub(super) const LINE_BYTES: usize = 64;
/// Nodes that a first look takes at once.
const SIFT_AT_ONCE: usize = 64;

/// Bits of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Width {
    Four,
    Eight,
}

impl Width {
    /// Bytes of a code without its record.
    fn code_bytes(self, dim: usize) -> usize {
        match self {
            Self::Four => dim.div_ceil(2),
            Self::Eight => dim,
        }
    }

    /// Bytes from one code to the next.
    pub(crate) fn stride(self, dim: usize) -> usize {
        self.code_bytes(dim).next_multiple_of(LINE_BYTES)
    }

    /// The level that would stand for 0.
    fn middle(self) -> f32 {
        match self {
            Self::Four => 7.5,
            Self::Eight => 128.0,
        }
    }

    /// Largest number of steps, and the share of the largest magnitude that they reach. A few values cut off cost
    /// less than wide steps: 0.85 was best on sentence embeddings and on synthetic clusters.
    fn reach(self) -> (f32, f32) {
        match self {
            Self::Four => (7.5, 0.85),
            Self::Eight => (127.0, 1.0),
        }
    }
}

/// Turns rows and queries into codes.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub metric: Metric,
    pub element: Element,
    /// Subtracted from every vector; empty: nothing is.
    pub mean: Vec<f32>,
    pub dim: usize,
    pub width: Width,
    /// Whether heads hold signs.
    pub signs: bool,
}

/// Rows looked at for the mean.
const MEAN_ROWS: usize = 20_000;

impl Encoder {
    /// Learns the mean from evenly spread rows.
    pub(crate) fn train(rows: &dyn VectorRows, row_of: &[u32], metric: Metric) -> Self {
        let dim = rows.dim();
        let mut encoder =
            Self { metric, element: rows.element(), mean: vec![], dim, width: Width::Eight, signs: false };
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

    /// Bytes from one head to the next.
    pub(crate) fn head_bytes(&self) -> usize {
        if self.signs { signed_head_bytes(self.dim) } else { FACTOR_BYTES }
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

    /// The vector as the metric sees it, less the mean.
    pub(crate) fn residual(&self, row: &[u8], values: &mut [f32]) {
        self.prepare(row, values);
    }

    /// The vector as the metric sees it; its squared distance from the mean, or 0 when that is not a matter of lengths.
    pub(crate) fn whole(&self, vector: &[u8], values: &mut [f32]) -> f32 {
        self.decode(vector, values);
        if self.metric == Metric::Ip {
            return 0.0;
        }
        let mean = self.mean.iter().copied().chain(std::iter::repeat(0.0));
        values.iter().zip(mean).map(|(value, mean)| (value - mean) * (value - mean)).sum()
    }

    /// Fills `values` with what is to be encoded and gives its largest magnitude. True for a zero vector.
    fn prepare(&self, row: &[u8], values: &mut [f32]) -> (f32, bool) {
        let zero = self.decode(row, values);
        values.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
        let largest = values.iter().fold(0f32, |most, value| most.max(value.abs()));
        (if largest.is_finite() { largest } else { 0.0 }, zero)
    }

    /// Fills one code and its head, zeroed before. `values` is scratch of `dim` floats.
    fn encode(&self, row: &[u8], values: &mut [f32], code: &mut [u8], head: &mut [u8]) {
        let (largest, zero) = self.prepare(row, values);
        let (most, share) = self.width.reach();
        let step = largest * share / most;
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let (mut along, mut squares) = (0f64, 0f64);
        let middle = self.width.middle();
        let half = self.dim.div_ceil(2);
        for (at, &value) in values.iter().enumerate() {
            let level = rounded((value * inverse + middle).clamp(middle - most, middle + most));
            along += f64::from((level - middle) * value);
            squares += f64::from(value * value);
            match self.width {
                Width::Eight => code[at] = level as u8,
                Width::Four if at < half => code[at] |= level as u8,
                Width::Four => code[at - half] |= (level as u8) << 4,
            }
        }
        let scale = if along > 0.0 { squares / along } else { 0.0 };
        let mut bias = squares as f32;
        if self.metric == Metric::Cosine && zero {
            // Similarity 0 with everything: as far away as a unit vector at a right angle.
            bias += 1.0;
        }
        head[..4].copy_from_slice(&(scale as f32).to_le_bytes());
        head[4..FACTOR_BYTES].copy_from_slice(&bias.to_le_bytes());
        if self.signs {
            write_signs(values, &mut head[FACTOR_BYTES..]);
        }
    }

    /// Encodes a caller's vector to compare with codes: eight bits a dimension whatever their width.
    pub(crate) fn query(&self, vector: &[u8], values: &mut Vec<f32>, query: &mut CodeQuery) {
        values.clear();
        values.resize(self.dim, 0.0);
        let (largest, _) = self.prepare(vector, values);
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        query.resize(self.dim);
        for (&value, byte) in values.iter().zip(query.bytes.iter_mut()) {
            *byte = (rounded((value * inverse).clamp(-127.0, 127.0)) as i8).cast_unsigned();
        }
        query.finish(scale, self.width);
    }

    /// Codes of the given rows, in that order.
    pub(crate) fn encode_all(
        &self,
        rows: &dyn VectorRows,
        row_of: &[u32],
        threads: usize,
        progress: &Progress,
    ) -> Result<Encoded, IndexError> {
        let stride = self.width.stride(self.dim);
        let mut codes = AlignedBuf::zeroed(row_of.len() * stride);
        let head_bytes = self.head_bytes();
        let mut heads = AlignedBuf::zeroed(row_of.len() * head_bytes);
        let share = row_of.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let mut workers = vec![];
            let parts = codes.chunks_mut(share * stride).zip(heads.chunks_mut(share * head_bytes));
            for (rows_part, (codes_part, heads_part)) in row_of.chunks(share).zip(parts) {
                let mut work = move || {
                    let mut values = vec![0f32; self.dim];
                    let records = codes_part.chunks_exact_mut(stride).zip(heads_part.chunks_exact_mut(head_bytes));
                    for (&row, (code, head)) in rows_part.iter().zip(records) {
                        progress.check()?;
                        self.encode(rows.row(row), &mut values, code, head);
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
        Ok(Encoded { codes, heads })
    }
}

/// The nearest whole number of a small one, halves to even; `f32::round` is a call of its own on older processors.
#[inline]
fn rounded(value: f32) -> f32 {
    // In this range a float has no room for a fraction.
    const WHOLE: f32 = 12_582_912.0;
    value + WHOLE - WHOLE
}

/// Codes of all nodes, as a build holds them.
pub(crate) struct Encoded {
    pub codes: AlignedBuf,
    /// The head of each.
    pub heads: AlignedBuf,
}

impl Encoded {
    pub(crate) fn view<'a>(&'a self, encoder: &Encoder) -> Codes<'a> {
        Codes::new(&self.codes, &self.heads, encoder)
    }
}

/// A vector in signed bytes.
#[derive(Debug)]
pub(crate) struct CodeQuery {
    /// As many as dimensions, rounded up to an even number.
    bytes: AlignedBuf,
    /// The same in whole steps of the first look.
    steps: AlignedBuf,
    scale: f32,
    /// Sum of the bytes.
    sum: f32,
    /// What the unsigned levels count too much.
    excess: f32,
    /// The standard deviation of the dot product with signs.
    error: f32,
    norm: f32,
}

impl Default for CodeQuery {
    fn default() -> Self {
        Self {
            bytes: AlignedBuf::zeroed(0),
            steps: AlignedBuf::zeroed(0),
            scale: 0.0,
            sum: 0.0,
            excess: 0.0,
            error: 0.0,
            norm: 0.0,
        }
    }
}

impl CodeQuery {
    fn resize(&mut self, dim: usize) {
        let bytes = dim.next_multiple_of(2);
        if self.bytes.len() != bytes {
            self.bytes = AlignedBuf::zeroed(bytes);
            self.steps = AlignedBuf::zeroed(dim.next_multiple_of(signs::STEP));
        } else if bytes > dim {
            self.bytes[dim] = 0;
        }
    }

    fn finish(&mut self, scale: f32, width: Width) {
        // Exact: 32,768 squares of at most 128² fit.
        let (mut sum, mut squares) = (0i32, 0i32);
        for &byte in self.bytes.iter() {
            let value = i32::from(byte.cast_signed());
            sum += value;
            squares += value * value;
        }
        let filled = self.bytes.len().min(self.steps.len());
        self.steps[..filled].copy_from_slice(&self.bytes[..filled]);
        self.scale = scale;
        self.sum = sum as f32;
        self.excess = self.sum * width.middle();
        self.error = error(squares as f32);
        self.norm = scale * scale * squares as f32;
    }
}

/// Codes of all nodes, where comparisons read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes<'a> {
    pub bytes: &'a [u8],
    heads: &'a [u8],
    head_bytes: usize,
    signs: bool,
    pub stride: usize,
    dim: usize,
    width: Width,
    code_bytes: usize,
    /// −dot product instead of squared distance.
    negative_dot: bool,
    dot: CodeDotFn,
    pub(super) sign_sums: SignSumsFn,
}

impl<'a> Codes<'a> {
    pub(crate) fn new(bytes: &'a [u8], heads: &'a [u8], encoder: &Encoder) -> Self {
        let (dim, width) = (encoder.dim, encoder.width);
        let dot = match width {
            Width::Four => nibble_dot(Isa::detect()),
            Width::Eight => code_dot(Isa::detect()),
        };
        Self {
            bytes,
            heads,
            head_bytes: encoder.head_bytes(),
            signs: encoder.signs,
            stride: width.stride(dim),
            dim,
            width,
            code_bytes: width.code_bytes(dim),
            negative_dot: encoder.metric == Metric::Ip,
            dot,
            sign_sums: sign_sums(Isa::detect()),
        }
    }

    #[inline]
    fn head(&self, node: u32) -> &'a [u8] {
        let start = node as usize * self.head_bytes;
        self.heads.get(start..start + self.head_bytes).unwrap_or(&[])
    }

    /// Leaves those nodes in the list that their signs do not tell to be no nearer than `limit`, by `doubt` standard
    /// deviations.
    #[inline]
    pub(crate) fn sift(&self, query: &CodeQuery, nodes: &mut Vec<u32>, limit: f32, doubt: f32) {
        if !self.signs {
            return;
        }
        let records = Records { bytes: self.heads, stride: self.head_bytes, bits_at: SIGNS_AT };
        let slack = doubt * query.error - query.sum;
        let mut sums = [0; SIFT_AT_ONCE];
        let mut kept = 0;
        for start in (0..nodes.len()).step_by(SIFT_AT_ONCE) {
            let end = nodes.len().min(start + SIFT_AT_ONCE);
            (self.sign_sums)(&records, &nodes[start..end], &query.steps, &mut sums);
            for (at, &sum) in (start..end).zip(&sums) {
                // Without a branch: the outcome is hard to foresee.
                let node = nodes[at];
                nodes[kept] = node;
                kept += usize::from(self.first_key(query, node, sum, slack) < limit);
            }
        }
        nodes.truncate(kept);
    }

    /// As [`Self::sift`], for one node.
    #[inline]
    pub(crate) fn may_beat(&self, query: &CodeQuery, node: u32, limit: f32) -> bool {
        if !self.signs {
            return true;
        }
        let records = Records { bytes: self.heads, stride: self.head_bytes, bits_at: SIGNS_AT };
        let mut sums = [0];
        (self.sign_sums)(&records, &[node], &query.steps, &mut sums);
        self.first_key(query, node, sums[0], DOUBT * query.error - query.sum) < limit
    }

    /// The least key that is likely for a node whose positive dimensions have the given sum. `slack`: what may be
    /// missing in their dot product, less the sum of all dimensions.
    #[inline]
    fn first_key(&self, query: &CodeQuery, node: u32, positive: i32, slack: f32) -> f32 {
        let head = self.head(node);
        let (Some(bias), Some(scale)) = (float_at(head, 4), float_at(head, FACTOR_BYTES)) else {
            return f32::NEG_INFINITY;
        };
        let dot = (2.0 * positive as f32 + slack) * (scale * query.scale);
        if self.negative_dot { -dot } else { query.norm + bias - 2.0 * dot }
    }

    #[inline]
    pub(crate) fn prefetch_head(&self, node: u32) {
        prefetch(self.heads, node as usize * self.head_bytes, self.head_bytes);
    }

    /// Code, scale and bias of a node.
    #[inline]
    fn record(&self, node: u32) -> (&'a [u8], f32, f32) {
        let start = node as usize * self.stride;
        let Some(code) = self.bytes.get(start..start + self.code_bytes) else { return (&[], 0.0, 0.0) };
        let head = self.head(node);
        (code, float_at(head, 0).unwrap_or(0.0), float_at(head, 4).unwrap_or(0.0))
    }

    #[inline]
    pub(crate) fn compare(&self, query: &CodeQuery, node: u32) -> f32 {
        let (code, scale, bias) = self.record(node);
        let dot = (self.dot)(code, &query.bytes) as f32 - query.excess;
        let dot = dot * (scale * query.scale);
        if self.negative_dot { -dot } else { query.norm + bias - 2.0 * dot }
    }

    pub(crate) fn query_of_node(&self, node: u32, query: &mut CodeQuery) {
        let (code, scale, bias) = self.record(node);
        query.resize(self.dim);
        let steps = match self.width {
            Width::Eight => {
                query.bytes.iter_mut().zip(code).for_each(|(byte, code)| *byte = code ^ 0x80);
                1.0
            }
            Width::Four => {
                // Half steps are whole numbers.
                let signed = |level: u8| (i16::from(level) * 2 - 15) as u8;
                let (low, high) = query.bytes.split_at_mut(self.code_bytes);
                low.iter_mut().zip(code).for_each(|(byte, code)| *byte = signed(code & 15));
                high.iter_mut().zip(code).for_each(|(byte, code)| *byte = signed(code >> 4));
                if self.dim % 2 == 1 {
                    query.bytes[self.dim] = 0;
                }
                0.5
            }
        };
        query.finish(scale * steps, self.width);
        query.norm = bias;
    }
}

#[inline]
fn float_at(bytes: &[u8], at: usize) -> Option<f32> {
    bytes.get(at..at + 4)?.first_chunk().map(|&four| f32::from_le_bytes(four))
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
