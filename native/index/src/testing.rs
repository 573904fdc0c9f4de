//! Rows for tests, and the naive answer that every index is held to.

use crate::vector::{Element, Hit, Metric, Query, SearchParams, SparseRows, VectorRows};

/// A small generator: the same seed gives the same rows on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// In −1..1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.word() % limit.max(1) as u64) as usize
    }
}

/// Rows in memory; `None` is null.
pub(crate) struct TestRows {
    pub element: Element,
    pub dim: usize,
    pub rows: Vec<Option<Vec<u8>>>,
}

impl VectorRows for TestRows {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn element(&self) -> Element {
        self.element
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn row(&self, row: u32) -> &[u8] {
        self.rows.get(row as usize).and_then(Option::as_deref).unwrap_or(&[])
    }
}

pub(crate) fn encode(element: Element, values: &[f32]) -> Vec<u8> {
    match element {
        Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Element::Bf16 => values.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect(),
        Element::F16 => values.iter().flat_map(|&value| f16_bits(value).to_le_bytes()).collect(),
        Element::I8 => values.iter().map(|value| ((value * 100.0) as i8).cast_unsigned()).collect(),
        Element::Bit => {
            let byte = |eight: &[f32]| eight.iter().fold(0, |byte, &value| byte << 1 | u8::from(value > 0.0));
            values.chunks(8).map(byte).collect()
        }
    }
}

/// Truncated half precision of a value of moderate size; tiny ones become 0.
fn f16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xFF) as i32 - 127 + 15;
    if exponent <= 0 { sign } else { sign | (exponent as u16) << 10 | (bits >> 13 & 0x3FF) as u16 }
}

/// Gaussian-like values around `centres` centres; none: around 0.
pub(crate) fn clustered(element: Element, count: usize, dim: usize, centres: usize, seed: u64) -> TestRows {
    let mut dice = Dice::new(seed);
    let middles: Vec<Vec<f32>> = (0..centres).map(|_| (0..dim).map(|_| dice.float()).collect()).collect();
    let rows = (0..count).map(|_| {
        let middle = (centres > 0).then(|| dice.below(centres));
        let values: Vec<f32> = (0..dim)
            .map(|at| {
                let noise = (dice.float() + dice.float() + dice.float()) / 3.0;
                middle.map_or(noise, |middle| middles[middle][at] * 0.8 + noise * 0.3)
            })
            .collect();
        Some(encode(element, &values))
    });
    TestRows { element, dim, rows: rows.collect() }
}

fn floats(element: Element, dim: usize, row: &[u8]) -> Vec<f64> {
    let mut values = vec![0f32; dim];
    elanus_kernels::decode::to_f32(element, row, &mut values);
    values.into_iter().map(f64::from).collect()
}

/// The metric as its definition has it, in double precision.
pub(crate) fn score(metric: Metric, element: Element, dim: usize, a: &[u8], b: &[u8]) -> f64 {
    let (a, b) = (floats(element, dim, a), floats(element, dim, b));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    match metric {
        Metric::L2 => a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum(),
        Metric::Ip => dot(&a, &b),
        Metric::Cosine => {
            let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
            if lengths > 0.0 { dot(&a, &b) / lengths } else { 0.0 }
        }
        Metric::Hamming => a.iter().zip(&b).filter(|(x, y)| x != y).count() as f64,
        Metric::Jaccard => {
            let either = a.iter().zip(&b).filter(|(x, y)| **x + **y > 0.0).count();
            if either == 0 { 0.0 } else { 1.0 - dot(&a, &b) / either as f64 }
        }
        Metric::Substructure => f64::from(u8::from(a.iter().zip(&b).any(|(x, y)| x < y))),
        Metric::Superstructure => f64::from(u8::from(a.iter().zip(&b).any(|(x, y)| x > y))),
        // Elements of one byte.
        Metric::MhJaccard => {
            let equal = a.chunks(8).zip(b.chunks(8)).filter(|(x, y)| x == y).count();
            equal as f64 / (dim / 8) as f64
        }
        Metric::Bm25 => panic!("sparse"),
    }
}

/// All allowed, in range, best first, equal scores by row.
pub(crate) fn naive(rows: &TestRows, metric: Metric, query: &Query<'_>) -> Vec<(f64, u32)> {
    let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
    let mut hits: Vec<(f64, u32)> = vec![];
    for (number, row) in rows.rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let allowed = query.allowed.is_none_or(|words| words[number / 64] >> (number % 64) & 1 == 1);
        let score = score(metric, rows.element, rows.dim, query.vector, row);
        let low = query.range_filter.is_none_or(|bound| sign * f64::from(bound) <= sign * score);
        let high = query.radius.is_none_or(|bound| sign * score < sign * f64::from(bound));
        if allowed && low && high {
            hits.push((score, number as u32));
        }
    }
    hits.sort_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
    hits.truncate(query.top_k);
    hits
}

/// Bits of the rows that `keep` names.
pub(crate) fn bits(count: usize, keep: impl Fn(usize) -> bool) -> (Vec<u64>, usize) {
    let mut words = vec![0u64; count.div_ceil(64)];
    let kept = (0..count).filter(|&row| keep(row));
    let total = kept.map(|row| words[row / 64] |= 1 << (row % 64)).count();
    (words, total)
}

pub(crate) fn query<'a>(vector: &'a [u8], top_k: usize, params: &'a SearchParams) -> Query<'a> {
    Query { vector, top_k, allowed: None, allowed_count: 0, radius: None, range_filter: None, params, trace: None }
}

/// Hits must be in order, without repetition, inside the filter, and with the scores that the definition gives.
pub(crate) fn assert_sound(rows: &TestRows, metric: Metric, query: &Query<'_>, hits: &[Hit]) {
    let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
    assert!(hits.len() <= query.top_k);
    for pair in hits.windows(2) {
        let (left, right) = (sign * pair[0].score, sign * pair[1].score);
        assert!(left < right || left == right && pair[0].row < pair[1].row, "{pair:?}");
    }
    for hit in hits {
        let row = rows.rows[hit.row as usize].as_ref().expect("no null row is a hit");
        let expected = score(metric, rows.element, rows.dim, query.vector, row);
        let scale = expected.abs().max(1.0);
        assert!((f64::from(hit.score) - expected).abs() <= 2e-5 * scale, "{hit:?} {expected}");
        let allowed = query.allowed.is_none_or(|words| words[hit.row as usize / 64] >> (hit.row % 64) & 1 == 1);
        assert!(allowed, "{hit:?} is filtered");
    }
}

/// Share of the true best that were found; a hit as good as the worst true one counts.
pub(crate) fn recall(metric: Metric, hits: &[Hit], truth: &[(f64, u32)]) -> f64 {
    let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
    let Some(worst) = truth.last() else { return 1.0 };
    let limit = sign * worst.0 + 1e-5 * worst.0.abs().max(1.0);
    let good = hits.iter().filter(|hit| sign * f64::from(hit.score) <= limit).count();
    good.min(truth.len()) as f64 / truth.len() as f64
}

/// Sparse rows in memory.
pub(crate) struct TestSparse(pub Vec<Vec<u8>>);

impl SparseRows for TestSparse {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn row(&self, row: u32) -> &[u8] {
        self.0.get(row as usize).map_or(&[], Vec::as_slice)
    }
}

/// A sparse vector of at most `most` dimensions below `dimensions`, low ones more often.
pub(crate) fn sparse(dice: &mut Dice, dimensions: usize, most: usize, signed: bool) -> Vec<u8> {
    let mut pairs = std::collections::BTreeMap::new();
    for _ in 0..dice.below(most + 1) {
        let highest = dice.below(dimensions) + 1;
        let value = if signed { dice.float() } else { dice.float().abs() };
        pairs.insert(dice.below(highest) as u32, value);
    }
    pairs.iter().flat_map(|(dimension, value)| [dimension.to_le_bytes(), value.to_le_bytes()]).flatten().collect()
}

/// How often a text of at most `most` words names which of `dimensions` words, common ones more often.
pub(crate) fn words(dice: &mut Dice, dimensions: usize, most: usize) -> Vec<u8> {
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..dice.below(most + 1) {
        let highest = dice.below(dimensions) + 1;
        *counts.entry(dice.below(highest) as u32).or_insert(0f32) += 1.0;
    }
    counts.iter().flat_map(|(dimension, count)| [dimension.to_le_bytes(), count.to_le_bytes()]).flatten().collect()
}
