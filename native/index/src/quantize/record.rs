//! A query against single records.

use elanus_kernels::dispatch::{CodeDotFn, code_dot};
use elanus_kernels::scan::{Line, ScanKernel};
use elanus_kernels::{DistanceKernel, Element, Isa, Metric, decode};

use super::scalar::middle;
use super::{Codec, Form, Layout, Quantizer};

/// A vector in the form in which records are compared with it.
pub(crate) struct RecordQuery<'a> {
    quantizer: &'a Quantizer,
    line: Line,
    way: Way,
}

enum Way {
    Dimensions { query: Vec<u8>, dot: CodeDotFn },
    Planes { query: Vec<u8>, kernel: ScanKernel },
    Tables(Vec<f32>),
    Halves { query: Vec<u8>, kernel: DistanceKernel },
}

/// A query in signed bytes: what one step means, and the sum of the bytes.
pub(super) struct SignedQuery {
    pub bytes: Vec<u8>,
    pub step: f32,
    pub sum: f32,
}

impl SignedQuery {
    pub(super) fn of(vector: &[f32]) -> Self {
        let largest = vector.iter().fold(0f32, |most, value| most.max(value.abs()));
        let step = if largest.is_finite() { largest / 127.0 } else { 0.0 };
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let signed = |&value: &f32| ((value * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
        let bytes: Vec<u8> = vector.iter().map(signed).collect();
        let sum = bytes.iter().map(|byte| i32::from(byte.cast_signed())).sum::<i32>() as f32;
        Self { bytes, step, sum }
    }

    /// Its line against codes whose levels have `bits` bits.
    pub(super) fn line(&self, form: Form, bits: u32, base: f32) -> Line {
        Line { base, rate: form.slope() * self.step, excess: middle(bits) * self.sum }
    }
}

impl Quantizer {
    /// Prepares `vector` (as the metric sees it, nothing subtracted). `base` is |q − c|² or −q·c for the records'
    /// centre c, by the form.
    pub(crate) fn record_query(&self, vector: &[f32], base: f32) -> RecordQuery<'_> {
        let isa = Isa::detect();
        let mut line = Line { base, rate: self.form.slope(), excess: 0.0 };
        let way = match &self.codec {
            Codec::Product(product) => Way::Tables(product.tables(vector)),
            Codec::Half(halves) => {
                let mut query = vec![0; vector.len() * 2];
                decode::from_f32(halves.element, vector, &mut query);
                Way::Halves { query, kernel: half_kernel(self.form, halves.element) }
            }
            Codec::Scalar(scalar) => {
                let query = SignedQuery::of(vector);
                line = query.line(self.form, scalar.bits, base);
                match scalar.layout() {
                    Layout::Dimensions => Way::Dimensions { query: query.bytes, dot: code_dot(isa) },
                    _ => Way::Planes { query: query.bytes, kernel: ScanKernel::choose(isa) },
                }
            }
            Codec::RaBitQ(rabitq) => {
                let mut rotated = vector.to_vec();
                rabitq.rotate(&mut rotated);
                let query = SignedQuery::of(&rotated);
                line = query.line(self.form, rabitq.bits() as u32, base);
                Way::Planes { query: query.bytes, kernel: ScanKernel::choose(isa) }
            }
        };
        RecordQuery { quantizer: self, line, way }
    }
}

impl RecordQuery<'_> {
    /// The key of a record (of [`Quantizer::record_bytes`] bytes); infinite for one that is cut short.
    #[inline]
    pub(crate) fn key(&self, record: &[u8]) -> f32 {
        let symbols = self.quantizer.symbol_bytes();
        if record.len() < self.quantizer.record_bytes() {
            return f32::INFINITY;
        }
        let code = &record[..symbols];
        let sum = match &self.way {
            Way::Tables(tables) => {
                let Codec::Product(product) = &self.quantizer.codec else { return f32::INFINITY };
                let bias = self.quantizer.factors_of(record).bias;
                return self.line.base + bias + self.line.rate * product.look_up(tables, code);
            }
            Way::Halves { query, kernel } => {
                let score = kernel.scorer(query).score(code);
                return if self.quantizer.form == Form::NegativeDot { -score } else { score };
            }
            Way::Dimensions { query, dot } => dot(code, query),
            Way::Planes { query, kernel } => {
                let planes = code.chunks_exact(super::scalar::plane_bytes(self.quantizer.dim));
                planes.rev().fold(0, |sum, plane| 2 * sum + (kernel.plane)(plane, query))
            }
        };
        let factors = self.quantizer.factors_of(record);
        self.line.key(sum, factors.scale, factors.bias)
    }
}

fn half_kernel(form: Form, element: Element) -> DistanceKernel {
    let metric = if form == Form::NegativeDot { Metric::Ip } else { Metric::L2 };
    DistanceKernel::choose(metric, element, Isa::detect()).unwrap_or_else(|| unreachable!("floats have both metrics"))
}
